use std::{fs, path::PathBuf};

use super::{
    files::{self, Target},
    manifest::Manifest,
    restore::{self, Checked},
    *,
};
use crate::{
    audit::{Draft, Log},
    driver::Registry,
    io::Ctx,
    store::{Batch, CONTROL_FILE, ControlStore, KEY_FILE, LAST_FILE, SITE_FILE, Space, StoreOptions, Writer},
};

/// Folders of one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("headframe-site-{name}-{}", std::process::id()));
        let _old = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn options(writer: Writer) -> StoreOptions {
    StoreOptions { reserve_bytes: 0, writer, ..StoreOptions::default() }
}

/// A site with an audit log, in `site`, and its backup in `copy`.
async fn backed_up(folder: &Folder, writer: Writer) -> SiteBackup {
    let cx = Ctx::system();
    let builder = Site::builder(Registry::new()).store(options(writer));
    let site = builder.create(&cx, &folder.at("site")).await.unwrap();
    let store = site.things().store();
    let drafts = (0..5).map(|n| Draft::new(n, "ann", "test")).collect();
    let (batch, _) = Log::open(store).unwrap().stage(Batch::new(), drafts).unwrap();
    store.commit(batch).await.unwrap();
    let before = cx.clock.mono();
    let report = site.backup(&folder.at("copy")).await.unwrap();
    if writer == Writer::Inline {
        assert_eq!(cx.clock.mono(), before, "time passes while a simulation is copied");
    }
    site.shutdown(std::time::Duration::ZERO).await.unwrap();
    report
}

/// Gives a backup the manifest that belongs to its files as they are.
fn manifest_anew(folder: &Folder, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = restore::read(&folder.at("copy")).unwrap();
    for file in &mut manifest.files {
        (file.bytes, file.sha256) = files::sum(&folder.at("copy").join(&file.name)).unwrap();
    }
    change(&mut manifest);
    fs::write(folder.at("copy").join(MANIFEST), manifest.to_text()).unwrap();
}

async fn refused(folder: &Folder) -> Error {
    let e = Site::restore(&folder.at("copy"), &folder.at("to")).await.unwrap_err();
    assert!(!folder.at("to").exists(), "{e}");
    e
}

#[tokio::test]
async fn a_backup_with_a_manifest_of_its_own_is_not_believed() {
    let (cx, folder) = (Ctx::system(), Folder::new("forged"));
    backed_up(&folder, Writer::Thread).await;
    let (copy, key) = (folder.at("copy"), folder.at("site").join(KEY_FILE));
    let options = StoreOptions { key_file: Some(key), ..options(Writer::Thread) };
    let open = async || ControlStore::open(&cx, &copy, &options).await.unwrap();
    let store = open().await;
    assert_eq!(Log::open(&store).unwrap().size(), 5);
    let second = store.scan_prefix(Space::Audit, "log").remove(1);
    let revision = store.commit(Batch::new().delete(Space::Audit, second.key.clone())).await.unwrap();
    store.close().await.unwrap();
    manifest_anew(&folder, |manifest| manifest.revision = revision);
    let e = refused(&folder).await;
    assert_eq!((e.kind(), e.code()), (ErrorKind::Corrupt, code::BACKUP_INVALID), "{e}");
    assert!(e.fact("file") == Some(CONTROL_FILE) && e.message().contains("no entry 1"), "{e}");

    // Put back with another text, it breaks the chain.
    let store = open().await;
    let altered = String::from_utf8(second.json.to_vec()).unwrap().replace("ann", "eve");
    let value: serde_json::Value = serde_json::from_str(&altered).unwrap();
    let revision = store.commit(Batch::new().put(Space::Audit, second.key, &value)).await.unwrap();
    store.close().await.unwrap();
    manifest_anew(&folder, |manifest| manifest.revision = revision);
    let e = refused(&folder).await;
    assert_eq!((e.code(), e.fact("file")), (code::BACKUP_INVALID, Some(CONTROL_FILE)), "{e}");

    // Sound in themselves, but not what the manifest says.
    manifest_anew(&folder, |manifest| manifest.site = "f".repeat(32));
    assert_eq!(refused(&folder).await.code(), code::BACKUP_INVALID);
    manifest_anew(&folder, |manifest| manifest.revision.0 += 1);
    assert_eq!(refused(&folder).await.code(), code::BACKUP_INVALID);
    fs::copy(copy.join(LAST_FILE), copy.join(CONTROL_FILE)).unwrap();
    manifest_anew(&folder, |_| {});
    assert_eq!(refused(&folder).await.code(), code::BACKUP_INVALID);
    fs::write(copy.join(SITE_FILE), "{}").unwrap();
    manifest_anew(&folder, |_| {});
    assert_eq!(refused(&folder).await.code(), code::BACKUP_INVALID);
}

#[tokio::test]
async fn what_a_newer_release_took_is_refused_as_such() {
    let folder = Folder::new("newer");
    backed_up(&folder, Writer::Thread).await;
    let body = "headframe site backup 2\nwho knows\n";
    let text = format!("{body}sha256 {}\n", files::hash(body.as_bytes()));
    let old = fs::read(folder.at("copy").join(MANIFEST)).unwrap();
    fs::write(folder.at("copy").join(MANIFEST), text).unwrap();
    let e = refused(&folder).await;
    assert_eq!((e.kind(), e.code()), (ErrorKind::Unsupported, code::BACKUP_INVALID), "{e}");
    fs::write(folder.at("copy").join(MANIFEST), old).unwrap();
    // A history that this build has no place for.
    let other = ("history/zones".to_owned(), files::hash(b""));
    manifest_anew(&folder, |manifest| manifest.histories.push(other));
    let e = refused(&folder).await;
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    assert!(e.fact("folder").unwrap().starts_with("history/"), "{e}");
}

#[tokio::test]
async fn what_changes_while_it_is_restored_leaves_nothing_behind() {
    let folder = Folder::new("changes");
    backed_up(&folder, Writer::Thread).await;
    let (copy, to) = (folder.at("copy"), folder.at("new/to"));
    for name in [CONTROL_FILE, LAST_FILE, SITE_FILE] {
        let path = copy.join(name);
        let backup = Checked::read(&copy, restore::read(&copy).unwrap()).unwrap();
        let old = fs::read(&path).unwrap();
        fs::write(&path, b"no more").unwrap();
        let target = Target::take(OP_RESTORE, &to, RESTORING).unwrap();
        assert_eq!(refuse(&to).unwrap_err().code(), code::BACKUP_INVALID);
        let e = backup.write(&copy, &target).unwrap_err();
        assert_eq!((e.code(), e.fact("file")), (code::BACKUP_INVALID, Some(name)), "{e}");
        target.give_up();
        assert!(!folder.at("new").exists(), "{name}");
        fs::write(&path, old).unwrap();
    }
    // The last step fails: everything is there but the store's name.
    let backup = Checked::read(&copy, restore::read(&copy).unwrap()).unwrap();
    let target = Target::take(OP_RESTORE, &to, RESTORING).unwrap();
    backup.write(&copy, &target).unwrap();
    fs::create_dir(to.join(CONTROL_FILE)).unwrap();
    let e = target.finish(CONTROL_FILE).unwrap_err();
    assert_eq!(e.code(), code::BACKUP_IO, "{e}");
    assert_eq!(refuse(&to).unwrap_err().code(), code::BACKUP_INVALID);
}

#[test]
fn one_folder_is_filled_by_one() {
    let folder = Folder::new("claims");
    let to = folder.at("a/b");
    let first = Target::take(OP_BACKUP, &to, BEGUN).unwrap();
    for claim in [BEGUN, RESTORING] {
        let e = Target::take(OP_BACKUP, &to, claim).unwrap_err();
        assert_eq!((e.code(), e.fact("file")), (code::BACKUP_EXISTS, Some(BEGUN)), "{e}");
    }
    fs::write(to.join("mine"), "mine").unwrap();
    first.give_up();
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "what somebody else put there stays");
    fs::remove_file(to.join("mine")).unwrap();
    let target = Target::take(OP_BACKUP, &to, BEGUN).unwrap();
    target.finish(MANIFEST).unwrap();
    assert!(to.join(MANIFEST).exists() && !to.join(BEGUN).exists());
}

/// The backup goes on without it, and both reports say so.
#[cfg(feature = "history")]
#[tokio::test]
async fn a_damaged_day_of_a_history_is_left_out_and_named() {
    use crate::{
        history::{Sample, Shape},
        io::Timestamp,
    };
    const DAY: i64 = 86_400_000;
    let (cx, folder) = (Ctx::system(), Folder::new("left-out"));
    let builder = Site::builder(Registry::new()).store(options(Writer::Thread));
    let site = builder.create(&cx, &folder.at("site")).await.unwrap();
    let (history, shape) = (site.telemetry().unwrap().readings(), Shape::new(["x"]).unwrap());
    let now = cx.clock.wall().0;
    for ts in [now - 3 * DAY, now] {
        let values = [ts as f64];
        let sample = Sample { owner: "m1", ts: Timestamp(ts), shape: &shape, values: &values, texts: None };
        history.append(&[sample]).unwrap();
    }
    history.commit().unwrap();
    while history.maintain(Timestamp(now + DAY)).unwrap().is_some() {}
    let files = all(&folder.at("site/history/readings"));
    let of_a_day =
        |path: &PathBuf| path.extension().is_some_and(|of| of != "log") && !path.ends_with("history.lock");
    let (day, content) = files.iter().find(|(path, _)| of_a_day(path)).unwrap();
    let mut damaged = content.clone();
    damaged[content.len() / 2] ^= 1;
    fs::write(day, damaged).unwrap();
    let report = site.backup(&folder.at("copy")).await.unwrap();
    let name = format!("history/readings/{}", day.file_name().unwrap().to_str().unwrap());
    assert_eq!(report.left_out.iter().map(|(file, _)| file).collect::<Vec<_>>(), [&name]);
    assert!(!report.left_out[0].1.is_empty() && report.samples < 2, "{report:?}");
    site.shutdown(std::time::Duration::ZERO).await.unwrap();
    let restored = Site::restore(&folder.at("copy"), &folder.at("to")).await.unwrap();
    assert_eq!((restored.left_out, restored.bytes), (vec![name], report.bytes));
}

/// All files below a folder with their content.
fn all(dir: &std::path::Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .flat_map(
            |path| if path.is_dir() { all(&path) } else { vec![(path.clone(), fs::read(path).unwrap())] },
        )
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_restore_only_reads_the_backup() {
    let folder = Folder::new("reads");
    let report = backed_up(&folder, Writer::Thread).await;
    let copy = folder.at("copy");
    for (lock, _) in all(&copy).iter().filter(|(path, _)| path.ends_with("history.lock")) {
        fs::remove_file(lock).unwrap();
    }
    let before = all(&copy);
    let restored = Site::restore(&copy, &folder.at("to")).await.unwrap();
    assert_eq!((restored.audit_entries, restored.bytes), (5, report.bytes));
    assert!(all(&copy) == before, "the backup was changed");
}

#[tokio::test(start_paused = true)]
async fn a_simulation_is_copied_in_no_time() {
    let folder = Folder::new("inline");
    let report = backed_up(&folder, Writer::Inline).await;
    let to = folder.at("to");
    Site::restore(&folder.at("copy"), &to).await.unwrap();
    fs::copy(folder.at("site").join(KEY_FILE), to.join(KEY_FILE)).unwrap();
    let builder = Site::builder(Registry::new()).store(options(Writer::Inline));
    let site = builder.open(&Ctx::system(), &to).await.unwrap();
    assert_eq!((site.id(), site.things().store().revision()), (&*report.site, report.revision));
    site.shutdown(std::time::Duration::ZERO).await.unwrap();
}
