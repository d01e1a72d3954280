//! The audit log over a store in memory; the long runs of the same are a trust check.

mod faults;
mod log;
mod merkle;
mod notes;
mod outsider;
mod witness;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;

use super::{AuditKey, Checkpoint, Draft, Hash, Log, export};
use crate::{
    io::{Ctx, MemNet, SeededRng, SystemClock},
    store::{Batch, ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
};

const NAME: &str = "headframe/test";

fn cx() -> Ctx {
    let net = Arc::new(MemNet::new());
    Ctx::new(Arc::new(SystemClock::default()), Arc::new(SeededRng::new(5)), net)
}

fn options() -> StoreOptions {
    StoreOptions {
        reserve_bytes: 0,
        writer: Writer::Inline,
        key: Some(SealKey::from_bytes([7; 32])),
        ..StoreOptions::default()
    }
}

async fn store_on(disk: &CrashBackend) -> ControlStore {
    ControlStore::create_on(&cx(), Arc::new(disk.clone()), &options()).await.unwrap()
}

async fn store() -> ControlStore {
    store_on(&CrashBackend::new(1)).await
}

fn key() -> AuditKey {
    AuditKey::from_bytes(NAME, [3; 32]).unwrap()
}

/// A checkpoint; signing is slow in a build for tests, and has tests of its own.
fn checkpoint(log: &Log) -> Checkpoint {
    Checkpoint::parse(&Checkpoint::text(NAME, log)).unwrap()
}

fn draft(n: u64) -> Draft {
    let draft = Draft::new(1_760_000_000_000 + n.cast_signed(), format!("person {}", n % 7), "vote");
    match n % 3 {
        0 => draft.why("it is \"hot\" — 40 °C").action(n),
        1 => draft.data(json!({"b": n, "a": [1.5, null, "x"]})),
        _ => draft,
    }
}

/// Commits `n` more entries, a few at a time.
async fn grow(store: &ControlStore, log: &Log, n: u64) -> Log {
    let mut log = log.clone();
    let end = log.size() + n;
    while log.size() < end {
        let to = end.min(log.size() + 100);
        let (batch, next) = log.stage(Batch::new(), (log.size()..to).map(draft).collect()).unwrap();
        store.commit(batch).await.unwrap();
        log = next;
    }
    log
}

fn exported(store: &ControlStore) -> Vec<u8> {
    let mut out = Vec::new();
    export(store, &mut out).unwrap();
    out
}

/// A log of `n` entries without a store: its lines, and the heads after each of them.
fn made(n: u64) -> (Vec<Vec<u8>>, Vec<Log>) {
    let mut log = Log::new();
    let (mut lines, mut heads) = (Vec::new(), vec![log.clone()]);
    for i in 0..n {
        lines.push(log.append(draft(i)).unwrap().to_vec());
        heads.push(log.clone());
    }
    (lines, heads)
}

/// The root of a tree, written as RFC 6962 defines it.
fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::plain(b""),
        [leaf] => *leaf,
        _ => {
            let mut middle = 1;
            while middle * 2 < leaves.len() {
                middle *= 2;
            }
            Hash::node(&naive(&leaves[..middle]), &naive(&leaves[middle..]))
        }
    }
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("headframe-audit-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap();
}
