//! The log's records in the control store: their keys, and reading them in order.

use std::{ops::Bound, sync::Arc};

use super::code;
use crate::{
    Error, ErrorKind, Result,
    store::{ControlStore, Key, Record, Space},
};

/// The space also holds the history of racks, under other keys.
const PREFIX: &str = "log";
/// How many records are taken from the store at once.
const CHUNK: usize = 1_024;

/// The key of an entry.
pub(super) fn key(seq: u64) -> Key {
    Key::from(PREFIX).join(Key::number(seq))
}

/// The lines of the entries `from..to`, where the store has them.
pub(super) fn some(store: &ControlStore, from: u64, to: u64) -> Vec<Arc<[u8]>> {
    store.scan(Space::Audit, key(from)..key(to), usize::MAX).into_iter().map(|record| record.json).collect()
}

/// The lines of all entries in order, a chunk at a time. What is appended meanwhile may be seen.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    store: &'a ControlStore,
    chunk: std::vec::IntoIter<Record>,
    after: Bound<Key>,
    next: u64,
    strange: Option<Key>,
}

impl<'a> Lines<'a> {
    pub fn of(store: &'a ControlStore) -> Self {
        Self::starting(store, 0)
    }

    /// Those from the entry `from` on.
    pub fn starting(store: &'a ControlStore, from: u64) -> Self {
        // What stands before the first entry would be strange, too.
        let begin = if from == 0 { Key::from(format!("{PREFIX}/")) } else { key(from) };
        Self {
            store,
            chunk: Vec::new().into_iter(),
            after: Bound::Included(begin),
            next: from,
            strange: None,
        }
    }

    /// The error about the first record that stands under a key that is not its turn; the lines end before it.
    pub fn strange(&self) -> Option<Error> {
        self.strange.as_ref().map(|key| no_entry(self.next, key))
    }
}

/// The lines of the log among the records of its space, which are in the order of their keys.
///
/// # Errors
/// As [`Lines::strange`].
pub(super) fn lines_of<'a>(records: impl Iterator<Item = &'a Record>) -> Result<Vec<Arc<[u8]>>> {
    let of_log =
        |record: &&Record| record.key.as_str().strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/'));
    let mut lines = Vec::new();
    for record in records.filter(of_log) {
        let next = lines.len() as u64;
        if record.key != key(next) {
            return Err(no_entry(next, &record.key));
        }
        lines.push(Arc::clone(&record.json));
    }
    Ok(lines)
}

fn no_entry(entry: u64, found: &Key) -> Error {
    let text = format!(
        "the audit log has no entry {entry}: after the one before comes '{found}'. Restore the latest backup, and \
         compare it with the last checkpoint"
    );
    Error::new(ErrorKind::Corrupt, "audit.open", text).code_as(code::CORRUPT).with("entry", entry)
}

impl Iterator for Lines<'_> {
    type Item = Arc<[u8]>;

    fn next(&mut self) -> Option<Arc<[u8]>> {
        if self.strange.is_some() {
            return None;
        }
        if self.chunk.len() == 0 {
            // '0' follows '/'.
            let end = Bound::Excluded(Key::from(format!("{PREFIX}0")));
            self.chunk = self.store.scan(Space::Audit, (self.after.clone(), end), CHUNK).into_iter();
        }
        let record = self.chunk.next()?;
        if record.key != key(self.next) {
            self.strange = Some(record.key);
            return None;
        }
        self.next += 1;
        self.after = Bound::Excluded(record.key);
        Some(record.json)
    }
}
