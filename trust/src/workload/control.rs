use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    store::{Batch, ControlStore, Expect, Space},
};
use serde_json::{Value, json};

use super::{FORGOTTEN, Op, Registry, Workload, halt, note};
use crate::oracle::Model;

/// Writes the registry's records to the store itself, in guarded batches as a registry does.
#[derive(Debug)]
pub struct ControlWorkload;

#[derive(Debug)]
struct Records(ControlStore);

#[async_trait]
impl Workload for ControlWorkload {
    async fn over(&self, store: ControlStore) -> Result<Arc<dyn Registry>> {
        Ok(Arc::new(Records(store)))
    }
}

#[async_trait]
impl Registry for Records {
    async fn apply(&self, op: &Op) -> Result<()> {
        let batch = match op {
            Op::Register(things) => things.iter().fold(Batch::new(), |batch, (id, value)| {
                let id = id.as_str();
                batch.require(Space::Things, id, Expect::Absent).put(Space::Things, id, value)
            }),
            Op::Update(id, value) => {
                let known = self.0.get_record(Space::Things, id.as_str()).ok_or_else(unknown)?;
                let unchanged = Expect::Revision(known.revision);
                let batch = Batch::new().require(Space::Things, id.as_str(), unchanged);
                batch.put(Space::Things, id.as_str(), value)
            }
            Op::Comment(id, n, value) => {
                let batch = Batch::new().require(Space::Things, id.as_str(), Expect::Exists);
                batch.put(Space::Comments, format!("{id}/{n}"), value)
            }
            Op::Set(key, value) => Batch::new().put(Space::Settings, key.as_str(), value),
            Op::Stop(n) => Batch::new().put(Space::Journal, format!("stop-{n}"), &halt()).urgent(),
            Op::Forget(n, things) => self.forget(*n, things),
            Op::Settle => return self.settle().await,
        };
        self.0.commit(batch).await.map(drop)
    }

    fn content(&self) -> Model {
        let mut model = Model::new();
        for space in [Space::Things, Space::Comments, Space::Settings, Space::Journal, Space::Meta] {
            for record in self.0.scan(space, .., usize::MAX) {
                let text = String::from_utf8_lossy(&record.json).into_owned();
                model.insert(format!("{space}/{}", record.key), text.into());
            }
        }
        model
    }

    fn store(&self) -> &ControlStore {
        &self.0
    }
}

impl Records {
    fn forget(&self, n: u64, things: &[String]) -> Batch {
        let mut batch = Batch::new().put(Space::Journal, format!("forget-{n}"), &note(things, false));
        for id in things {
            batch = batch.require(Space::Things, id.as_str(), Expect::Exists);
            batch = batch.delete(Space::Things, id.as_str());
            for comment in self.0.scan_prefix(Space::Comments, &format!("{id}/")) {
                batch = batch.delete(Space::Comments, &comment.key);
            }
        }
        batch
    }

    /// Finishes what is noted: the count and the notes change together, so that it can be done again at any time.
    async fn settle(&self) -> Result<()> {
        let known = self.0.get::<u64>(Space::Meta, FORGOTTEN)?;
        let guard = known.map_or(Expect::Absent, |v| Expect::Revision(v.revision));
        let mut total = known.map_or(0, |v| v.value);
        let mut notes = Batch::new();
        for record in self.0.scan_prefix(Space::Journal, "forget-") {
            let value: Value = record.parse()?;
            if value["settled"] == json!(false) {
                let things: Vec<String> = serde_json::from_value(value["things"].clone()).unwrap_or_default();
                total += things.len() as u64;
                notes = notes.require(Space::Journal, &record.key, Expect::Revision(record.revision));
                notes = notes.put(Space::Journal, &record.key, &note(&things, true));
            }
        }
        if notes.is_empty() {
            return Ok(());
        }
        if counts_first() {
            self.0.commit(Batch::new().put(Space::Meta, FORGOTTEN, &total)).await?;
            return self.0.commit(notes).await.map(drop);
        }
        let batch = notes.require(Space::Meta, FORGOTTEN, guard).put(Space::Meta, FORGOTTEN, &total);
        self.0.commit(batch).await.map(drop)
    }
}

/// The planted bug: what was noted is counted in a commit of its own, so that a cut between the two counts it again.
fn counts_first() -> bool {
    cfg!(planted) && std::env::var(crate::PLANTED).is_ok_and(|bug| bug == crate::checks::SETTLES_TWICE)
}

fn unknown() -> Error {
    Error::new(ErrorKind::Conflict, "trust.update", "there is no such thing")
}
