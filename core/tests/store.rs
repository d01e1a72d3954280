//! The store in a real folder: set up, opened, refused, locked, killed.
#![cfg(all(feature = "store", feature = "net"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use headframe_core::{
    ErrorKind,
    io::Ctx,
    store::{
        Batch, CONTROL_FILE, ControlStore, KEY_FILE, LAST_FILE, LastStore, SITE_FILE, SealKey, Space,
        StoreOptions, Writer, code, doctor, salvage,
    },
};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("headframe-store-{name}-{}", std::process::id()));
        let _old = fs::remove_dir_all(&path);
        Self(path)
    }

    /// Every file's bytes.
    fn bytes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().path());
        let mut all: Vec<_> = entries.map(|p| (p.clone(), fs::read(p).unwrap())).collect();
        all.sort();
        all
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

impl std::ops::Deref for Folder {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.reserve_bytes = 64 << 10;
    options
}

async fn create(dir: &Path) -> ControlStore {
    ControlStore::create(&Ctx::system(), dir, &options()).await.unwrap()
}

async fn refusal(dir: &Path) -> headframe_core::Error {
    ControlStore::open(&Ctx::system(), dir, &options()).await.unwrap_err()
}

#[tokio::test]
async fn a_site_is_set_up_once_and_opened_ever_after() {
    let dir = Folder::new("life");
    fs::create_dir_all(&*dir).unwrap();
    let nothing = refusal(&dir).await;
    assert_eq!((nothing.kind(), nothing.code()), (ErrorKind::NotFound, code::MISSING));
    assert!(dir.bytes().is_empty(), "opening made a file");

    let store = create(&dir).await;
    let site = store.site().to_owned();
    store.commit(Batch::new().put(Space::Racks, "r1", &"north")).await.unwrap();
    store.verify().await.unwrap();
    assert_eq!(store.health().reserve_bytes, 64 << 10);
    let e = ControlStore::open(&Ctx::system(), &dir, &options()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::LOCKED));
    drop(store);

    let store = ControlStore::open(&Ctx::system(), &dir, &options()).await.unwrap();
    assert_eq!(store.site(), site);
    assert_eq!(store.get::<String>(Space::Racks, "r1").unwrap().unwrap().value, "north");
    store.close().await.unwrap();
    let e = ControlStore::create(&Ctx::system(), &dir, &options()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::EXISTS));
}

#[tokio::test]
async fn an_unfinished_set_up_is_no_store_and_can_be_repeated() {
    let dir = Folder::new("unfinished");
    fs::create_dir_all(&*dir).unwrap();
    fs::write(dir.join("control.redb.new"), b"half a file").unwrap();
    assert_eq!(refusal(&dir).await.code(), code::MISSING);
    create(&dir).await.close().await.unwrap();
    // As if it had ended before the store got its name.
    fs::rename(dir.join(CONTROL_FILE), dir.join("control.redb.new")).unwrap();
    let e = refusal(&dir).await;
    assert!(e.code() == code::MISSING && e.message().contains("once more"), "{e}");
    create(&dir).await.close().await.unwrap();
    assert!(ControlStore::open(&Ctx::system(), &dir, &options()).await.is_ok());
    assert!(!dir.join("control.redb.new").exists());
}

#[tokio::test]
async fn what_is_not_this_sites_store_is_refused_and_stays_as_it_was() {
    let dir = Folder::new("refuse");
    let store = create(&dir).await;
    store.commit(Batch::new().put(Space::Racks, "r1", &"north")).await.unwrap();
    store.close().await.unwrap();
    let path = dir.join(CONTROL_FILE);
    let whole = fs::read(&path).unwrap();

    for bytes in
        [Vec::new(), b"#!/bin/sh\n".to_vec(), whole[..whole.len() / 2].to_vec(), vec![0; whole.len()]]
    {
        fs::write(&path, &bytes).unwrap();
        let before = dir.bytes();
        let e = refusal(&dir).await;
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
        assert!(e.message().contains("estore"), "the message names no remedy: {e}");
        assert!(dir.bytes() == before);
    }
    fs::remove_file(&path).unwrap();
    let e = refusal(&dir).await;
    assert_eq!((e.kind(), e.code()), (ErrorKind::NotFound, code::MISSING));
    assert!(e.message().contains("backup"), "{e}");
    fs::write(&path, &whole).unwrap();

    let site = fs::read(dir.join(SITE_FILE)).unwrap();
    fs::write(dir.join(SITE_FILE), br#"{"site":"another","created":0}"#).unwrap();
    assert_eq!(refusal(&dir).await.code(), code::FOREIGN);
    fs::remove_file(dir.join(SITE_FILE)).unwrap();
    assert_eq!(refusal(&dir).await.code(), code::CORRUPT);
    fs::write(dir.join(SITE_FILE), site).unwrap();
    assert!(ControlStore::open(&Ctx::system(), &dir, &options()).await.is_ok());
}

#[tokio::test]
async fn the_key_has_to_be_the_sites_own() {
    let dir = Folder::new("key");
    create(&dir).await.close().await.unwrap();
    let key = dir.join(KEY_FILE);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let e = refusal(&dir).await;
        assert_eq!(e.code(), code::KEY);
        assert!(e.message().contains("chmod 600"), "{e}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = fs::read_to_string(&key).unwrap();
    let mut given = options();
    given.key = Some(SealKey::load(&key).unwrap());
    fs::remove_file(&key).unwrap();
    assert_eq!(refusal(&dir).await.code(), code::KEY);
    assert!(ControlStore::open(&Ctx::system(), &dir, &given).await.is_ok());
    SealKey::from_bytes([1; 32]).save(&key).unwrap();
    let e = refusal(&dir).await;
    assert_eq!((e.kind(), e.code()), (ErrorKind::Unauthenticated, code::KEY));
    assert!(!format!("{e:?}").contains(text.trim()));
    assert_eq!(SealKey::from_bytes([1; 32]).save(&key).unwrap_err().code(), code::EXISTS);
}

#[tokio::test]
async fn last_rows_are_in_a_file_of_their_own() {
    let dir = Folder::new("last");
    assert_eq!(LastStore::create(&dir).unwrap_err().code(), code::MISSING);
    create(&dir).await.close().await.unwrap();
    assert_eq!(LastStore::open(&Ctx::system(), &dir, Writer::Thread).unwrap_err().code(), code::MISSING);
    LastStore::create(&dir).unwrap();
    assert_eq!(LastStore::create(&dir).unwrap_err().code(), code::EXISTS);
    let (store, restored) = LastStore::open(&Ctx::system(), &dir, Writer::Thread).unwrap();
    assert!(restored.rows.is_empty());
    assert_eq!(LastStore::open(&Ctx::system(), &dir, Writer::Thread).unwrap_err().code(), code::LOCKED);
    store.close().unwrap();
    fs::copy(dir.join(LAST_FILE), dir.join(CONTROL_FILE)).unwrap();
    assert_eq!(refusal(&dir).await.code(), code::FOREIGN);
}

#[tokio::test]
async fn the_doctor_looks_and_touches_nothing() {
    let dir = Folder::new("doctor");
    let store = create(&dir).await;
    LastStore::create(&dir).unwrap();
    store.commit(Batch::new().put(Space::Racks, "r1", &"north")).await.unwrap();
    let report = doctor(&Ctx::system(), &dir).unwrap();
    assert!(report.control.locked && report.control.records.is_none() && !report.last.locked);
    assert_eq!((report.site.as_deref(), report.ballast_bytes), (Some(store.site()), 64 << 10));
    store.close().await.unwrap();

    let before = dir.bytes();
    let report = doctor(&Ctx::system(), &dir).unwrap();
    assert_eq!((report.control.revision, report.control.records), (Some(1), Some(1)));
    assert!(report.sync_us.is_some());
    assert!(dir.bytes() == before);

    let path = dir.join(CONTROL_FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.windows(5).position(|w| w == b"north").unwrap();
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let report = doctor(&Ctx::system(), &dir).unwrap();
    assert!(report.control.records.is_none());
    assert!(report.problems.iter().any(|p| p.contains("salvage")), "{:?}", report.problems);
    let out = dir.join("out.jsonl");
    let salvaged = salvage(&dir, &out).unwrap();
    assert_eq!((salvaged.records + salvaged.carved, salvaged.lost.is_empty()), (0, false));
    assert!(salvage(&dir, &out).is_err(), "an earlier export was overwritten");
}

const CHILD: &str = "HEADFRAME_TEST_STORE";

/// Not a test of its own: the process that the next test starts and kills.
#[tokio::test]
async fn child_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let store = ControlStore::open(&Ctx::system(), Path::new(&dir), &options()).await.unwrap();
    for n in store.revision().0 + 1.. {
        let batch = Batch::new().put(Space::Journal, format!("{n}"), &n).put(Space::Meta, "last", &n);
        println!("acknowledged {}", store.commit(batch).await.unwrap());
    }
}

fn child(dir: &Path) -> Child {
    let arguments = ["--exact", "child_commits_until_it_is_killed", "--nocapture"];
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).env(CHILD, dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn another_process_is_refused_and_a_killed_one_leaves_all_it_acknowledged() {
    let dir = Folder::new("kill");
    create(&dir).await.close().await.unwrap();
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = child(&dir);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut numbers = lines.by_ref().filter_map(|l| l.split("acknowledged ").nth(1)?.parse::<u64>().ok());
        acknowledged = numbers.nth(10 * round).unwrap();
        assert_eq!(refusal(&dir).await.code(), code::LOCKED);
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = numbers.last().unwrap_or(acknowledged);
        let store = ControlStore::open(&Ctx::system(), &dir, &options()).await.unwrap();
        let last = store.get::<u64>(Space::Meta, "last").unwrap().unwrap().value;
        assert!(last >= acknowledged, "acknowledged {acknowledged}, found {last}");
        assert_eq!(store.count(Space::Journal) as u64, last);
        assert_eq!(store.revision().0, last);
        store.close().await.unwrap();
    }
    assert!(acknowledged > 50);
}
