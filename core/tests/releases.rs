//! The stores of earlier releases, and of this one: each opens, and shows what it showed to the release that wrote it.
//! `docs/testing.md` says when a store is added.
#![cfg(all(feature = "store", feature = "testkit"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

#[path = "stores/seen.rs"]
mod seen;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use headframe_core::{
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    store::{Batch, CONTROL_FILE, ControlStore, SITE_FILE, SealKey, Space, StoreOptions, Writer, code},
};
use serde_json::Value;

/// The key of these stores; it keeps no secret.
const KEY: [u8; 32] = [0x48; 32];

fn options(key: [u8; 32]) -> StoreOptions {
    let mut options = StoreOptions::default();
    (options.reserve_bytes, options.writer, options.key) =
        (0, Writer::Inline, Some(SealKey::from_bytes(key)));
    options
}

fn releases() -> Vec<PathBuf> {
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores");
    let mut all: Vec<_> = fs::read_dir(stores).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// A copy of a release's store, removed at the end.
struct Copy(PathBuf);

impl Copy {
    fn of(release: &Path) -> Self {
        let name = release.file_name().unwrap().to_string_lossy();
        let path = std::env::temp_dir().join(format!("headframe-release-{name}-{}", std::process::id()));
        let _old = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        for file in [CONTROL_FILE, SITE_FILE] {
            fs::copy(release.join(file), path.join(file)).unwrap();
        }
        Self(path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn every_release_opens_and_shows_what_it_showed() {
    let all = releases();
    let current = env!("CARGO_PKG_VERSION");
    assert!(all.iter().any(|path| path.ends_with(current)), "no store of the release {current}");
    for release in all {
        let copy = Copy::of(&release);
        let clock = Arc::new(SystemClock::starting_at(Timestamp(1_900_000_000_000)));
        let cx = Ctx::new(clock, Arc::new(SeededRng::new(2)), Arc::new(MemNet::new()));
        let before = fs::read(copy.0.join(CONTROL_FILE)).unwrap();
        let e = ControlStore::open(&cx, &copy.0, &options([1; 32])).await.unwrap_err();
        assert_eq!(e.code(), code::KEY);
        assert!(fs::read(copy.0.join(CONTROL_FILE)).unwrap() == before, "{}", release.display());

        let store = ControlStore::open(&cx, &copy.0, &options(KEY)).await.unwrap();
        let opened = seen::Opened::new(&cx, store.clone()).await.unwrap();
        let seen = opened.seen(&cx).await.unwrap();
        let expected: Value =
            serde_json::from_slice(&fs::read(release.join("expected.json")).unwrap()).unwrap();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(seen[name], *value, "{name} of {}", release.display());
        }
        // It is not only read.
        store.commit(Batch::new().put(Space::Meta, "opened", &1)).await.unwrap();
    }
}
