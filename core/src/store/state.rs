use std::collections::BTreeMap;

use super::{
    batch::{Batch, Expect, Revision},
    record::{Framed, Json, Record, encode, raw_key},
    space::{Key, Space},
};
use crate::{Error, ErrorKind, Result};

/// What a record holds, without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub revision: Revision,
    pub json: Json,
}

impl Held {
    pub(super) fn record(&self, key: &Key) -> Record {
        Record { key: key.clone(), revision: self.revision, json: self.json.clone() }
    }
}

/// All records in memory, as of the last durable commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    spaces: [BTreeMap<Key, Held>; Space::ALL.len()],
    /// The last durable commit.
    pub revision: u64,
}

impl State {
    /// The state in a file; a record of an unknown kind is the error.
    pub(super) fn load(records: Vec<Framed>, revision: u64) -> Result<Self, u8> {
        let mut state = Self { revision, ..Self::default() };
        for Framed { space, record } in records {
            let space = Space::from_number(space).ok_or(space)?;
            let held = Held { revision: record.revision, json: record.json };
            state.spaces[space.index()].insert(record.key, held);
        }
        Ok(state)
    }

    pub(super) fn space(&self, space: Space) -> &BTreeMap<Key, Held> {
        &self.spaces[space.index()]
    }

    pub(super) fn record(&self, space: Space, key: &str) -> Option<Record> {
        let (key, held) = self.space(space).get_key_value(key)?;
        Some(held.record(key))
    }

    pub(super) fn apply(&mut self, changes: &Changes) {
        for ((space, key), held) in &changes.records {
            let records = &mut self.spaces[space.index()];
            match held {
                Some(held) => records.insert(key.clone(), held.clone()),
                None => records.remove(key),
            };
        }
        self.revision = changes.revision;
    }
}

/// What a group of batches changes, before it is durable.
#[derive(Debug, Default)]
pub(super) struct Changes {
    records: BTreeMap<(Space, Key), Option<Held>>,
    pub revision: u64,
}

impl Changes {
    /// Judges `batch` against `state` with the batches before it in the group; takes its writes over as commit
    /// `revision` when all its guards hold.
    pub(super) fn judge(&mut self, state: &State, batch: &Batch, revision: u64) -> Result<()> {
        for (space, key, expect) in &batch.guards {
            let found = match self.records.get(&(*space, key.clone())) {
                Some(changed) => changed.as_ref().map(|h| h.revision),
                None => state.space(*space).get(key).map(|h| h.revision),
            };
            let holds = match expect {
                Expect::Absent => found.is_none(),
                Expect::Exists => found.is_some(),
                Expect::Revision(revision) => found == Some(*revision),
            };
            if !holds {
                return Err(refused(*space, key, *expect, found));
            }
        }
        for (space, key, json) in &batch.writes {
            let held = json.clone().map(|json| Held { revision: Revision(revision), json });
            self.records.insert((*space, key.clone()), held);
        }
        self.revision = revision;
        Ok(())
    }

    pub(super) fn raw(&self) -> Vec<RawWrite> {
        let raw = |((space, key), held): (&(Space, Key), &Option<Held>)| {
            let number = space.number();
            let value = held.as_ref().map(|h| encode(number, key.as_str(), h.revision.0, &h.json));
            RawWrite { key: raw_key(number, key.as_str()), value }
        };
        self.records.iter().map(raw).collect()
    }
}

/// One write as the file gets it; without a value the record goes.
#[derive(Debug)]
pub(super) struct RawWrite {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

fn refused(space: Space, key: &Key, expect: Expect, found: Option<Revision>) -> Error {
    let found = found.map_or("absent".into(), |r| format!("revision {r}"));
    let expected = match expect {
        Expect::Absent => "absent".into(),
        Expect::Exists => "any revision".into(),
        Expect::Revision(r) => format!("revision {r}"),
    };
    Error::new(ErrorKind::Conflict, "store.commit", "a record is not as expected: read it again")
        .with("space", space)
        .with("key", key)
        .with("expected", expected)
        .with("found", found)
}
