use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};

use super::collect::{Good, Link, Reading, ThingState};
use crate::{
    Error, ErrorKind, ThingId,
    io::Timestamp,
    model::{Snapshot, State},
    store::{LastRow, LastStore, Restored},
};

/// The last rows of a site: taken from readings, and those of before the start, or of a thing's former rack, until
/// something newer comes. Cheap to clone; all racks of a process share one.
#[derive(Debug, Clone)]
pub struct LastRows(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: LastStore,
    restored: Mutex<BTreeMap<ThingId, LastRow>>,
}

impl LastRows {
    /// The rows of an open store, with what it held.
    pub fn new(store: LastStore, restored: Restored) -> Self {
        Self(Arc::new(Inner { store, restored: Mutex::new(restored.rows.into_iter().collect()) }))
    }

    /// The store behind it.
    pub fn store(&self) -> &LastStore {
        &self.0.store
    }

    fn restored(&self) -> MutexGuard<'_, BTreeMap<ThingId, LastRow>> {
        self.0.restored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, reading: &Reading) {
        let began = reading.ts.0.saturating_sub(millis(reading.took));
        let err = reading.outcome.as_ref().err().map(|e| e.code().to_owned());
        let snap = Some(Snapshot::clone(&reading.snapshot()));
        self.0.store.record(&reading.thing, &LastRow { ts: Timestamp(began), err, snap });
        if reading.outcome.is_ok() {
            let mut restored = self.restored();
            // What was carried over of this same reading is for the thing's new rack.
            if restored.get(&reading.thing).is_some_and(|row| row.ts.0 != began) {
                restored.remove(&reading.thing);
            }
        }
    }

    /// Keeps the last good answer that `reading` knows for the rack that asks from now on, until that has its own.
    pub(super) fn carry(&self, reading: &Reading) {
        let mut restored = self.restored();
        if let Some(good) = &reading.good {
            let took = if reading.outcome.is_ok() { millis(reading.took) } else { 0 };
            let snap = Some(Snapshot::clone(&good.snapshot));
            let row = LastRow { ts: Timestamp(good.ts.0.saturating_sub(took)), err: None, snap };
            restored.insert(reading.thing.clone(), row);
        } else if let Err(error) = &reading.outcome {
            let snap = Some(Snapshot::clone(&reading.snapshot()));
            let row = LastRow { ts: reading.ts, err: Some(error.code().to_owned()), snap };
            restored.entry(reading.thing.clone()).or_insert(row);
        }
    }

    pub(super) fn forget(&self, id: &ThingId) {
        self.restored().remove(id);
        self.0.store.forget(id);
    }

    /// Forgets rows of before the start whose thing is not known any more.
    pub(super) fn prune(&self, known: impl Fn(&ThingId) -> bool) {
        let gone: Vec<ThingId> = self.restored().keys().filter(|id| !known(id)).cloned().collect();
        gone.iter().for_each(|id| self.forget(id));
    }

    /// The row of before the start, or of its former rack, as a reading: never fresh, and with its age at `now`.
    pub(super) fn before_start(&self, id: &ThingId, now: Timestamp) -> Option<Reading> {
        let row = self.restored().get(id).cloned()?;
        let age = u64::try_from(now.0.saturating_sub(row.ts.0)).unwrap_or(0);
        let good = row.snap.clone().filter(|s| s.miner().is_some_and(|m| m.success)).map(|snapshot| Good {
            snapshot: Arc::new(snapshot),
            ts: row.ts,
            age: Duration::from_millis(age),
        });
        let lost = || {
            let text = "the thing gave no usable answer before this rack began to ask it";
            let e = Error::new(ErrorKind::Unreachable, "rack.restored", text);
            Arc::new(e.with("code", row.err.as_deref().unwrap_or("ERR_OFFLINE")))
        };
        Some(Reading {
            thing: id.clone(),
            seq: 0,
            ts: row.ts,
            took: Duration::ZERO,
            outcome: good.as_ref().map(|good| Arc::clone(&good.snapshot)).ok_or_else(lost),
            link: Link::Stale,
            good,
        })
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A reading as MiningOS's `last`, with how the thing stands now and its last good answer beside it; `before` is that
/// of before the start.
pub(super) fn shown(reading: &Reading, state: Option<&ThingState>, before: Option<&Good>) -> Value {
    let link = state.map_or(reading.link, |state| state.link);
    let good = state.map_or(reading.good.as_ref(), |state| state.good.as_ref()).or(before);
    let snapshot = reading.snapshot();
    let mut snap = serde_json::to_value(&*snapshot).unwrap_or_default();
    if link == Link::Stale
        && let Some(stats) = snap.get_mut("stats").and_then(Value::as_object_mut)
    {
        stats.insert("state".into(), State::Stale.to_string().into());
    }
    let mut last = Map::new();
    last.insert("ts".into(), reading.ts.0.saturating_sub(millis(reading.took)).into());
    last.insert("err".into(), reading.outcome.as_ref().err().map(|e| e.code()).into());
    last.insert("snap".into(), snap);
    last.insert("link".into(), link.to_string().into());
    if let Some(good) = good {
        last.insert("goodTs".into(), good.ts.0.into());
        last.insert("ageMs".into(), millis(good.age).into());
    }
    Value::Object(last)
}

/// `last` of a thing that is not polled because it is being repaired.
pub(super) fn in_maintenance() -> Value {
    json!({ "err": null, "snap": Snapshot::offline(), "link": Link::Never.to_string(), "maintenance": true })
}
