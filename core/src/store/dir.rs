//! The folder of a site: which files there are, and how a new one comes to be.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    control::StoreOptions,
    db::{About, Db},
    fault::{Fault, code},
    file::{FileBackend, at},
    planted::{Bug, planted},
    seal::{Place, SealKey, Sealer},
    space::{Key, Space},
};
use crate::{
    Error, ErrorKind, Result, Secret,
    io::{Ctx, Rng, Timestamp},
};

/// The control store.
pub const CONTROL_FILE: &str = "control.redb";
/// The last snapshots.
pub const LAST_FILE: &str = "last.redb";
/// The site's id once more, so that a lost store is not taken for a new site.
pub const SITE_FILE: &str = "site.json";
/// The key that seals secrets.
pub const KEY_FILE: &str = "site.key";
pub(super) const BALLAST_FILE: &str = "ballast";
pub(super) const CONTROL: &str = "control";
const OP_CREATE: &str = "store.create";
const OP_OPEN: &str = "store.open";
const SITE_ID_BYTES: usize = 16;

/// What stands in [`SITE_FILE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SiteFile {
    pub site: String,
    pub created: Timestamp,
}

/// A folder's files, ready for the engine.
#[derive(Debug)]
pub(super) struct Ready {
    pub backend: Arc<FileBackend>,
    pub site: String,
    pub sealer: Sealer,
}

pub(super) fn new_site(rng: &dyn Rng) -> String {
    let mut bytes = [0; SITE_ID_BYTES];
    rng.fill(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What a new control file says about itself.
pub(super) fn about(rng: &dyn Rng, site: &str, sealer: &Sealer) -> Result<About> {
    let seal = sealer.seal(rng, &check_place(&Key::from(site)), &Secret::new(site))?;
    Ok(About { kind: CONTROL.into(), site: site.into(), seal: Some(seal) })
}

/// Compares what the file says about itself with what is expected.
pub(super) fn judge(about: &About, site: Option<&str>, sealer: &Sealer) -> Result<(), Fault> {
    if planted(Bug::CreateOnOpen) && about.site.is_empty() {
        return Ok(());
    }
    if site.is_some_and(|site| site != about.site) {
        return Err(Fault::Foreign(format!(
            "the store belongs to site {} and {SITE_FILE} to site {}: one of them is of another site",
            about.site,
            site.unwrap_or_default()
        )));
    }
    let key = Key::from(about.site.as_str());
    let opens = about.seal.as_ref().is_some_and(|seal| sealer.open(&check_place(&key), seal).is_ok());
    if opens {
        Ok(())
    } else {
        let text = "the key is not the one that seals this store's secrets: restore the site's key file";
        Err(Fault::Key(text.into()))
    }
}

const fn check_place(key: &Key) -> Place<'_> {
    Place { space: Space::Meta, key, field: "seal" }
}

/// Makes the files of a new site; nothing may be there but what an attempt left that did not come to its end.
pub(super) fn create(cx: &Ctx, dir: &Path, options: &StoreOptions) -> Result<Ready> {
    fs::create_dir_all(dir).map_err(|e| at(dir, &e))?;
    let (store, site_file) = (dir.join(CONTROL_FILE), dir.join(SITE_FILE));
    let fresh = dir.join(format!("{CONTROL_FILE}.new"));
    let key_file = options.key.is_none().then(|| key_path(dir, options));
    // The last step gives the store its name, so until then nothing in the folder was of use to anybody.
    let unfinished = fresh.exists();
    let others = [&site_file].into_iter().chain(&key_file).filter(|_| !unfinished);
    if let Some(path) = [&store].into_iter().chain(others).find(|path| path.exists()) {
        return Err(exists(path));
    }
    let backend = Arc::new(FileBackend::create(&fresh, Some(dir.join(BALLAST_FILE)))?);
    let key = match (&options.key, &key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(path)) if path.exists() => SealKey::load(path)?,
        (None, _) => SealKey::random(&*cx.rng),
    };
    let sealer = Sealer::new(&key);
    let site = new_site(&*cx.rng);
    let about = about(&*cx.rng, &site, &sealer)?;
    drop(Db::create(backend.clone(), &about).map_err(|f| f.to_error(OP_CREATE))?);
    if let Some(path) = key_file.filter(|path| !path.exists()) {
        key.save(&path)?;
    }
    let about = SiteFile { site: site.clone(), created: cx.clock.wall() };
    name(dir, &fresh, &about).map_err(|e| at(dir, &e))?;
    Ok(Ready { backend, site, sealer })
}

/// Gives a store that was just written its name, which makes it one.
pub(super) fn name(dir: &Path, fresh: &Path, site: &SiteFile) -> io::Result<()> {
    write_whole(&dir.join(SITE_FILE), site)?;
    sync_dir(dir)?;
    rename(fresh, &dir.join(CONTROL_FILE))?;
    sync_dir(dir)
}

/// Finds and locks the files of a site; changes nothing.
pub(super) fn open(dir: &Path, options: &StoreOptions) -> Result<Ready> {
    open_as(dir, options, || SealKey::load(&key_path(dir, options)))
}

/// As [`open`], with the key that a change of the key left.
pub(super) fn open_with_next_key(dir: &Path, options: &StoreOptions) -> Result<Ready> {
    open_as(dir, options, || SealKey::load(&next_path(dir, options)))
}

fn open_as(dir: &Path, options: &StoreOptions, key: impl FnOnce() -> Result<SealKey>) -> Result<Ready> {
    let path = dir.join(CONTROL_FILE);
    let site = read_site(dir)?;
    if !path.exists() && planted(Bug::CreateOnOpen) {
        drop(FileBackend::create(&path, None)?);
    }
    let Some(site) = site else {
        let text = format!("{SITE_FILE} is missing beside the store: restore it from the same backup");
        let missing = if path.exists() {
            Error::new(ErrorKind::Corrupt, OP_OPEN, text).code_as(code::CORRUPT)
        } else {
            at(&path, &io::ErrorKind::NotFound.into())
        };
        return Err(missing.with("folder", dir.display()));
    };
    if !path.exists() {
        let text = if dir.join(format!("{CONTROL_FILE}.new")).exists() {
            "setting the site up did not come to its end: run it once more".into()
        } else {
            format!("{CONTROL_FILE} of site {} is missing: restore the latest backup", site.site)
        };
        let lost = Error::new(ErrorKind::NotFound, OP_OPEN, text).code_as(code::MISSING);
        return Err(lost.with("folder", dir.display()));
    }
    let backend = Arc::new(FileBackend::open(&path, Some(dir.join(BALLAST_FILE)))?);
    let key = options.key.clone().map_or_else(key, Ok)?;
    Ok(Ready { backend, site: site.site, sealer: Sealer::new(&key) })
}

/// What [`SITE_FILE`] says; `None` when there is none.
pub(super) fn read_site(dir: &Path) -> Result<Option<SiteFile>> {
    let path = dir.join(SITE_FILE);
    let text = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| at(&path, &e))?,
    };
    let parsed = serde_json::from_slice(&text).map_err(|_| {
        let text = format!("{SITE_FILE} cannot be read: restore it from the same backup as the store");
        Error::new(ErrorKind::Corrupt, OP_OPEN, text).code_as(code::CORRUPT).with("path", path.display())
    });
    parsed.map(Some)
}

fn key_path(dir: &Path, options: &StoreOptions) -> PathBuf {
    options.key_file.clone().unwrap_or_else(|| dir.join(KEY_FILE))
}

/// Where the next key stands while it takes the place of the present one.
fn next_path(dir: &Path, options: &StoreOptions) -> PathBuf {
    let mut path = key_path(dir, options).into_os_string();
    path.push(".new");
    path.into()
}

/// [`next_path`], where keys stand in files.
pub(super) fn next_key(dir: &Path, options: &StoreOptions) -> Option<PathBuf> {
    options.key.is_none().then(|| next_path(dir, options))
}

/// Writes the next key, durable before anything is sealed with it.
pub(super) fn write_next_key(dir: &Path, options: &StoreOptions, key: &SealKey) -> Result<()> {
    let path = next_path(dir, options);
    key.save(&path)?;
    sync_dir(folder_of(&path)).map_err(|e| at(dir, &e))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The next key becomes the key.
pub(super) fn take_next_key(dir: &Path, options: &StoreOptions) -> Result<()> {
    let (next, path) = (next_path(dir, options), key_path(dir, options));
    let renamed = fs::rename(&next, &path).and_then(|()| sync_dir(folder_of(&path)));
    renamed.map_err(|e| at(&path, &e))
}

/// Forgets a next key that seals nothing: the store was opened with the present one.
pub(super) fn drop_next_key(dir: &Path, options: &StoreOptions) {
    let Some(path) = next_key(dir, options) else { return };
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(error = %e, "a key that seals nothing cannot be removed");
        }
        _ => {}
    }
}

pub(super) fn exists(path: &Path) -> Error {
    let text = "there is a store, or a part of one, already: open it, or move the folder's files away";
    Error::new(ErrorKind::Conflict, OP_CREATE, text).code_as(code::EXISTS).with("path", path.display())
}

/// Renames to a name that is free.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Writes a file that is either there as a whole or not at all.
fn write_whole(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    rename(&fresh, path)
}

/// Makes names in a folder durable, where the operating system has that.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
