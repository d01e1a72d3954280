//! Faults against the store, in memory and from seeds. The long runs of the same are trust checks.

mod faults;
mod format;
mod full;
mod guards;
mod keys;
mod last;
mod power;
mod rot;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    Backend, Batch, ControlStore, CrashBackend, CrashPlan, Expect, Revision, SealKey, Space, StoreOptions,
    Writer, code,
};
use crate::{
    Error, Result, Sent,
    io::{Ctx, MemNet, SeededRng, SystemClock},
};

/// What a store should hold: value by key.
type Model = BTreeMap<String, Value>;

fn cx(seed: u64) -> Ctx {
    let net = Arc::new(MemNet::new());
    Ctx::new(Arc::new(SystemClock::default()), Arc::new(SeededRng::new(seed)), net)
}

fn inline() -> StoreOptions {
    StoreOptions {
        reserve_bytes: 0,
        writer: Writer::Inline,
        key: Some(SealKey::from_bytes([7; 32])),
        ..StoreOptions::default()
    }
}

async fn create(disk: &CrashBackend) -> ControlStore {
    ControlStore::create_on(&cx(1), Arc::new(disk.clone()), &inline()).await.unwrap()
}

async fn open(disk: &CrashBackend) -> Result<ControlStore> {
    ControlStore::open_on(&cx(2), Arc::new(disk.clone()), &inline()).await
}

/// The `n`th batch of a workload: puts, replacements and deletions over a few keys, some of them large.
fn step(rng: &mut fastrand::Rng, n: usize, model: &Model) -> (Batch, Model) {
    let mut after = model.clone();
    let mut batch = Batch::new();
    for part in 0..rng.usize(1..6) {
        let key = format!("thing-{}", rng.u32(0..40));
        if rng.u32(0..5) == 0 {
            batch = batch.delete(Space::Things, key.as_str());
            after.remove(&key);
        } else {
            let size = if rng.u32(0..12) == 0 { rng.usize(5_000..20_000) } else { rng.usize(0..400) };
            let value = json!({"n": n, "part": part, "text": "x".repeat(size)});
            batch = batch.put(Space::Things, key.as_str(), &value);
            after.insert(key, value);
        }
    }
    after.insert("count".into(), json!(n));
    (batch.put(Space::Things, "count", &n), after)
}

fn content(store: &ControlStore) -> Model {
    let records = store.scan(Space::Things, .., usize::MAX);
    records.iter().map(|r| (r.key.to_string(), r.parse().unwrap())).collect()
}

/// A store of `n` batches on an honest disk, and what it should hold after each of them.
async fn filled(disk: &CrashBackend, seed: u64, n: usize) -> (ControlStore, Vec<Model>) {
    let store = create(disk).await;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut models = vec![Model::new()];
    for i in 0..n {
        let (batch, after) = step(&mut rng, i, &models[i]);
        store.commit(batch).await.unwrap();
        models.push(after);
    }
    (store, models)
}

fn is_typed(e: &Error) -> bool {
    e.code().starts_with("STORE_")
}
