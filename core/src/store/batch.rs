use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    record::{Json, MAX_VALUE_BYTES},
    space::{Key, Space},
};
use crate::{Error, Result};

const OP: &str = "store.batch";
/// Most writes and guards of one batch.
const MAX_WRITES: usize = 20_000;
/// Most bytes of one batch.
const MAX_BYTES: usize = 32 << 20;

/// Number of a commit. Every commit has a higher one than all before it, over restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What must be true of a record for a batch to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// There is no such record.
    Absent,
    /// There is one, whatever it holds.
    Exists,
    /// It was last written by this commit.
    Revision(Revision),
}

/// Writes that become durable together or not at all, and what must be true before.
///
/// Guards are judged against the state before the batch. A value that cannot be written as JSON, a bad key and a
/// batch beyond its limits (20,000 writes, 32 MiB, 8 MiB a value) are told by
/// [`ControlStore::commit`](super::ControlStore::commit).
#[derive(Default)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    pub(super) guards: Vec<(Space, Key, Expect)>,
    pub(super) writes: Vec<(Space, Key, Option<Json>)>,
    pub(super) urgent: bool,
    bytes: usize,
    wrong: Option<Error>,
}

impl Batch {
    /// A batch without writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits only if the record is as expected.
    pub fn require(mut self, space: Space, key: impl Into<Key>, expect: Expect) -> Self {
        let key = key.into();
        self.note(key.check());
        self.guards.push((space, key, expect));
        self
    }

    /// Writes a record. The last write of a key counts.
    pub fn put<T: Serialize + ?Sized>(self, space: Space, key: impl Into<Key>, value: &T) -> Self {
        let key = key.into();
        let json = Self::json(space, &key, value);
        self.put_json(space, key, json)
    }

    /// The JSON text of a record, as [`put_json`](Self::put_json) takes it.
    pub(crate) fn json<T: Serialize + ?Sized>(space: Space, key: impl Into<Key>, value: &T) -> Result<Json> {
        let refused = |why: &str| Error::invalid(OP, "value", why.to_owned()).with("space", space);
        match serde_json::to_vec(value) {
            Ok(json) if json.len() <= MAX_VALUE_BYTES => Ok(json.into()),
            Ok(_) => Err(refused("a record has at most 8 MiB").with("key", key.into())),
            Err(e) => {
                let why = format!("the value cannot be written as JSON ({:?})", e.classify());
                Err(refused(&why).with("key", key.into()))
            }
        }
    }

    /// Writes a record whose JSON text others have too. The last write of a key counts.
    pub(crate) fn put_json(mut self, space: Space, key: impl Into<Key>, json: Result<Json>) -> Self {
        match json {
            Ok(json) => {
                self.bytes += json.len();
                self.write(space, key.into(), Some(json));
            }
            Err(e) => self.note(Err(e)),
        }
        self
    }

    /// Removes a record; nothing happens when there is none.
    pub fn delete(mut self, space: Space, key: impl Into<Key>) -> Self {
        self.write(space, key.into(), None);
        self
    }

    /// Marks a stop action: it is committed before others and may use the space kept free for it on a full disk.
    pub fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(super) fn check(&mut self) -> Result<()> {
        if let Some(e) = self.wrong.take() {
            return Err(e);
        }
        if self.writes.len().max(self.guards.len()) > MAX_WRITES || self.bytes > MAX_BYTES {
            return Err(Error::invalid(OP, "batch", "a batch has at most 20,000 writes and 32 MiB"));
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn write(&mut self, space: Space, key: Key, json: Option<Json>) {
        self.note(key.check());
        self.writes.push((space, key, json));
    }

    /// The first thing that is wrong is what the caller hears of.
    fn note(&mut self, result: Result<()>) {
        if let Err(e) = result {
            self.wrong.get_or_insert(e);
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes: Vec<_> =
            self.writes.iter().map(|(space, key, json)| (space, key, json.is_some())).collect();
        f.debug_struct("Batch")
            .field("guards", &self.guards)
            .field("writes", &writes)
            .field("urgent", &self.urgent)
            .finish_non_exhaustive()
    }
}
