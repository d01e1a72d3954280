//! Keys and copies of a store in a real folder.
#![cfg(all(feature = "store", feature = "net"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use headframe_core::{
    ErrorKind, Secret,
    io::Ctx,
    store::{
        Batch, CONTROL_FILE, ControlStore, KEY_FILE, Key, Place, SealKey, Sealed, Space, StoreOptions, code,
        doctor,
    },
};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("headframe-keys-{name}-{}", std::process::id()));
        let _old = fs::remove_dir_all(&path);
        Self(path)
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
    options.reserve_bytes = 0;
    options
}

fn place(key: &Key) -> Place<'_> {
    Place { space: Space::Things, key, field: "password" }
}

/// A site with one secret.
async fn site(dir: &Path) {
    let cx = Ctx::system();
    let store = ControlStore::create(&cx, dir, &options()).await.unwrap();
    let sealed = store.sealer().seal(&*cx.rng, &place(&"m1".into()), &Secret::new("hunter-2")).unwrap();
    let record = serde_json::json!({ "password": sealed });
    store.commit(Batch::new().put(Space::Things, "m1", &record)).await.unwrap();
    // So large that its pages stay as they are for a while.
    let large = "left the site ".repeat(10_000);
    store.commit(Batch::new().put(Space::Meta, "gone", &large)).await.unwrap();
    store.commit(Batch::new().delete(Space::Meta, "gone")).await.unwrap();
    store.close().await.unwrap();
}

/// The secret of the site in `dir`.
async fn secret(dir: &Path) -> String {
    let store = ControlStore::open(&Ctx::system(), dir, &options()).await.unwrap();
    let value: serde_json::Value = store.get_record(Space::Things, "m1").unwrap().parse().unwrap();
    let sealed: Sealed = serde_json::from_value(value["password"].clone()).unwrap();
    store.sealer().open(&place(&"m1".into()), &sealed).unwrap().expose().to_owned()
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_site_gets_another_key_file() {
    let dir = Folder::new("rotate");
    site(&dir).await;
    let old = fs::read_to_string(dir.join(KEY_FILE)).unwrap();
    let cx = Ctx::system();
    let open = ControlStore::open(&cx, &dir, &options()).await.unwrap();
    let e = ControlStore::rotate_key(&cx, &dir, &options(), None).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::LOCKED));
    drop(open);

    let report = ControlStore::rotate_key(&cx, &dir, &options(), None).await.unwrap();
    assert_eq!((report.records, report.secrets), (1, 1));
    let new = fs::read_to_string(dir.join(KEY_FILE)).unwrap();
    assert!(old != new && !dir.join("site.key.new").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(dir.join(KEY_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(secret(&dir).await, "hunter-2");
    fs::write(dir.join(KEY_FILE), &old).unwrap();
    let e = ControlStore::open(&cx, &dir, &options()).await.unwrap_err();
    assert_eq!(e.code(), code::KEY);
}

#[tokio::test]
async fn a_change_that_was_cut_short_is_finished_or_forgotten() {
    let dir = Folder::new("cut");
    site(&dir).await;
    let cx = Ctx::system();
    let (key, next) = (dir.join(KEY_FILE), dir.join("site.key.new"));
    // Before the commit: the next key seals nothing.
    SealKey::from_bytes([3; 32]).save(&next).unwrap();
    assert_eq!(secret(&dir).await, "hunter-2");
    assert!(!next.exists());

    // After the commit, before the new file took its place.
    let old = fs::read(&key).unwrap();
    ControlStore::rotate_key(&cx, &dir, &options(), None).await.unwrap();
    fs::rename(&key, &next).unwrap();
    SealKey::from_bytes([4; 32]).save(&key).unwrap();
    fs::write(&key, &old).unwrap();
    let report = doctor(&cx, &dir).unwrap();
    assert!(report.problems.iter().any(|p| p.contains("open the site once")), "{:?}", report.problems);
    assert_eq!(secret(&dir).await, "hunter-2");
    assert!(!next.exists() && fs::read(&key).unwrap() != old);

    // Neither of them is the store's: it is refused, and both stay.
    let right = fs::read(&key).unwrap();
    fs::write(&key, &old).unwrap();
    SealKey::from_bytes([5; 32]).save(&next).unwrap();
    let e = ControlStore::open(&cx, &dir, &options()).await.unwrap_err();
    assert!(e.code() == code::KEY && next.exists(), "{e}");
    fs::write(&key, right).unwrap();
    assert_eq!(secret(&dir).await, "hunter-2");
}

#[tokio::test]
async fn a_given_key_is_changed_for_a_given_one() {
    let dir = Folder::new("given");
    let (cx, mut given) = (Ctx::system(), options());
    given.key = Some(SealKey::from_bytes([1; 32]));
    ControlStore::create(&cx, &dir, &given).await.unwrap().close().await.unwrap();
    let e = ControlStore::rotate_key(&cx, &dir, &given, None).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("new")));
    let new = SealKey::from_bytes([2; 32]);
    ControlStore::rotate_key(&cx, &dir, &given, Some(&new)).await.unwrap();
    assert_eq!(ControlStore::open(&cx, &dir, &given).await.unwrap_err().code(), code::KEY);
    given.key = Some(new);
    assert!(ControlStore::open(&cx, &dir, &given).await.is_ok());
}

#[tokio::test]
async fn a_backup_is_the_store_of_one_commit_without_its_key() {
    let (dir, copy) = (Folder::new("backup"), Folder::new("copy"));
    site(&dir).await;
    let cx = Ctx::system();
    let store = ControlStore::open(&cx, &dir, &options()).await.unwrap();
    let revision = store.backup(&cx, &copy).await.unwrap();
    assert_eq!(revision, store.revision());
    let e = store.backup(&cx, &copy).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::EXISTS));
    let kept = store.scan(Space::Things, .., usize::MAX);
    drop(store);

    let before = fs::read(copy.join(CONTROL_FILE)).unwrap();
    assert!(has(&fs::read(dir.join(CONTROL_FILE)).unwrap(), b"left the site"));
    assert!(!has(&before, b"left the site"), "what was deleted is in the copy");
    let e = ControlStore::open(&cx, &copy, &options()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Unauthenticated, code::KEY));
    assert!(e.message().contains("key file") && e.message().contains("backup"), "{e}");
    assert!(fs::read(copy.join(CONTROL_FILE)).unwrap() == before);

    fs::copy(dir.join(KEY_FILE), copy.join(KEY_FILE)).unwrap();
    assert_eq!(secret(&copy).await, "hunter-2");
    let store = ControlStore::open(&cx, &copy, &options()).await.unwrap();
    assert_eq!((store.revision(), store.scan(Space::Things, .., usize::MAX)), (revision, kept));
}
