//! The key is changed, also half way; copies are made.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use headframe_core::{
    io::Ctx,
    store::{ControlStore, CrashBackend, CrashPlan, KEY_FILE, SealKey, code},
};

use super::{Kept, all_open, canaries::Canaries};
use crate::{
    child,
    rig::{Folder, Rig, files, needed},
    run::Case,
    watch,
};

const CUTS: u64 = 6;
/// Calls at the end of a change in which its commit ends.
const LAST_CALLS: u64 = 12;
const KILLED: Duration = Duration::from_secs(20);
/// The calls at whose n-th the process is killed.
const CALLS: &str = "inject=write,fsync,fdatasync,ftruncate,rename,unlink";

/// Changes the key of copies of `disk` while the power is cut, then that of `disk` itself.
pub async fn cut(
    case: &mut Case,
    rig: &mut Rig,
    disk: &mut CrashBackend,
    kept: &Kept,
    canaries: &Canaries,
) -> Result<(), String> {
    let new = SealKey::from_bytes(std::array::from_fn(|_| case.rng.u8(..)));
    // How many calls a change takes is tried out on a copy.
    let copy = CrashBackend::with_bytes(case.seed, disk.bytes());
    let told = ControlStore::rotate_key_on(&rig.cx, Arc::new(copy.clone()), &rig.options, &new);
    needed("the key cannot be changed", told)?;
    let calls = copy.calls();
    for n in 0..CUTS {
        let copy = CrashBackend::with_bytes(case.rng.u64(..), disk.bytes());
        // What decides is at the end.
        let last = if n % 2 == 0 { calls + 2 } else { LAST_CALLS.min(calls) };
        let cut_at = Some(calls + 2 - case.rng.u64(0..=last));
        copy.plan(CrashPlan { cut_at, ..CrashPlan::default() });
        let told = ControlStore::rotate_key_on(&rig.cx, Arc::new(copy.clone()), &rig.options, &new);
        if let Err(e) = &told {
            canaries.not_told("a change of the key that was cut", e)?;
        }
        let after = copy.cut();
        canaries.absent("the disk after a cut in a change of the key", &after.bytes())?;
        let old = rig.open_store(after.clone()).await;
        let store = match old {
            Ok(_) if told.is_ok() => return Err("an acknowledged change of the key is lost".into()),
            Ok(store) => {
                case.hit("a cut left the old key");
                store
            }
            Err(e) if e.code() != code::KEY => return Err(format!("refused after a cut: {e}")),
            Err(_) => {
                case.hit("a cut left the new key");
                needed("neither key opens", with_key(rig, &new, after).await)?
            }
        };
        all_open(&store, kept, canaries)?;
    }
    let told = ControlStore::rotate_key_on(&rig.cx, Arc::new(disk.clone()), &rig.options, &new);
    needed("the key cannot be changed", told)?;
    rig.options.key = Some(new);
    Ok(())
}

async fn with_key(rig: &Rig, key: &SealKey, disk: CrashBackend) -> headframe_core::Result<ControlStore> {
    let mut options = rig.options.clone();
    options.key = Some(key.clone());
    ControlStore::open_on(&rig.cx, Arc::new(disk), &options).await
}

/// Changes the key of the site in `dir`; the old key opens nothing after that.
pub async fn changed(
    case: &mut Case,
    dir: &Path,
    kept: &Kept,
    canaries: &mut Canaries,
) -> Result<(), String> {
    let (cx, options) = (Ctx::system(), child::options());
    let old = needed("key", SealKey::load(&dir.join(KEY_FILE)))?;
    let report = needed("change of the key", ControlStore::rotate_key(&cx, dir, &options, None).await)?;
    let key = fs::read_to_string(dir.join(KEY_FILE)).map_err(|e| e.to_string())?;
    canaries.add(key.trim());
    canaries.absent("report of a change", format!("{report:?}").as_bytes())?;
    canaries.not_in_files(dir)?;
    if (report.secrets as usize) < kept.len() {
        return Err(format!("{} secrets of {} things were sealed anew", report.secrets, kept.len()));
    }
    let mut given = child::options();
    given.key = Some(old);
    match ControlStore::open(&cx, dir, &given).await {
        Ok(_) => return Err("the old key still opens".into()),
        Err(e) => canaries.not_told("old key", &e)?,
    }
    let store = needed("refused with the new key", ControlStore::open(&cx, dir, &options).await)?;
    all_open(&store, kept, canaries)?;
    case.hit("key changed");
    needed("close", store.close().await)
}

/// A process that changes the key is killed at its `k`-th call of a kind, or after a while where none can be traced.
pub async fn killed(
    case: &mut Case,
    dir: &Path,
    k: u64,
    kept: &Kept,
    canaries: &Canaries,
) -> Result<(), String> {
    let copy = Folder::new()?;
    for (path, _) in files(dir)? {
        let name = path.file_name().ok_or("a file without a name")?;
        fs::copy(&path, copy.join(name)).map_err(|e| e.to_string())?;
    }
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("{CALLS}:signal=KILL:when={k}")]);
    traced.arg(&program).args(["child", "rotate"]).arg(&*copy);
    let ended = match watch::output(&mut traced, KILLED) {
        Ok((said, well)) if said.contains(child::BEGAN) || well => Ok(well),
        _ => {
            let mut alone = Command::new(&program);
            alone.args(["child", "rotate"]).arg(&*copy);
            watch::output(&mut alone, Duration::from_millis(case.rng.u64(1..60))).map(|(_, well)| well)
        }
    };
    case.hit_if(ended != Ok(true), "process killed in a change");
    canaries.not_in_files(&copy)?;
    let opened = ControlStore::open(&Ctx::system(), &copy, &child::options()).await;
    let store = needed("refused after a kill in a change of the key", opened)?;
    all_open(&store, kept, canaries)?;
    needed("close", store.close().await)?;
    let left: Vec<_> = files(&copy)?.into_iter().map(|(path, _)| path).collect();
    if left.iter().any(|path| path.ends_with("site.key.new")) {
        return Err("a key that seals nothing stays".into());
    }
    Ok(())
}

/// The part of the process that is killed.
pub async fn rotate(dir: &Path) -> Result<(), String> {
    child::say(child::BEGAN);
    needed("change", ControlStore::rotate_key(&Ctx::system(), dir, &child::options(), None).await).map(drop)
}

/// A copy has no key and no secret in it, and is the store once the key is beside it.
pub async fn backup(
    case: &mut Case,
    store: &ControlStore,
    (dir, cx): (&Path, &Ctx),
    kept: &Kept,
    canaries: &Canaries,
) -> Result<(), String> {
    let copy = Folder::new()?;
    let revision = needed("backup", store.backup(cx, &copy).await)?;
    canaries.not_in_files(&copy)?;
    let names: Vec<_> = files(&copy)?.into_iter().map(|(path, _)| path).collect();
    if names.len() != 2 || revision != store.revision() {
        return Err(format!("a backup of commit {revision} has the files {names:?}"));
    }
    match ControlStore::open(cx, &copy, &child::options()).await {
        Ok(_) => return Err("a backup opened without its key".into()),
        Err(e) if e.code() != code::KEY || !e.message().contains("key file") => {
            return Err(format!("a backup without its key is refused as: {e}"));
        }
        Err(e) => canaries.not_told("backup without key", &e)?,
    }
    case.hit("backup without key refused");
    fs::copy(dir.join(KEY_FILE), copy.join(KEY_FILE)).map_err(|e| e.to_string())?;
    let store = needed("backup refused", ControlStore::open(cx, &copy, &child::options()).await)?;
    all_open(&store, kept, canaries)?;
    case.hit("backup opened");
    needed("close", store.close().await)
}
