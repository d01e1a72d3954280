use std::sync::Arc;

use super::{
    Draft, Fault, Hash,
    frontier::Frontier,
    stored::{self, Lines},
    verify::Walk,
};
use crate::{
    Result,
    store::{Batch, ControlStore, Expect, Space},
};

/// The head of the audit log: how many entries there are, the hash of the last, and what is needed to append. Small, and
/// cheap to clone; the entries are in the control store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    last: Hash,
    tree: Frontier,
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl Log {
    /// The head of a log without entries.
    pub fn new() -> Self {
        Self { last: Hash::ZERO, tree: Frontier::default() }
    }

    /// The head of the log in a store. Reads all of it, and checks numbers and chain.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) with the code `AUDIT_CORRUPT` and the number of the first wrong entry in
    /// the fact `entry`.
    pub fn open(store: &ControlStore) -> Result<Self> {
        let mut lines = Lines::of(store);
        let walk = Walk::over(&mut lines, &[]).map_err(Fault::to_error)?;
        match lines.strange() {
            Some(e) => Err(e),
            None => Ok(Self { last: walk.last, tree: walk.tree }),
        }
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The root of the Merkle tree over all entries.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Hash of the last entry; zeros when there is none.
    pub fn last(&self) -> &Hash {
        &self.last
    }

    /// Puts entries into a batch, behind those of this head, and gives the head that holds once the batch is durable.
    /// May be called again for the same batch, on the head that it gave.
    ///
    /// The batch is refused with [`Conflict`](crate::ErrorKind::Conflict) when somebody else appended meanwhile.
    /// When the commit fails, this head still holds; where its fate is unknown, [`open`](Self::open) again.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for an entry above 64 KiB or with a sealed secret; the batch is lost then.
    pub fn stage(&self, mut batch: Batch, drafts: Vec<Draft>) -> Result<(Batch, Self)> {
        let mut next = self.clone();
        if !drafts.is_empty() {
            batch = batch.require(Space::Audit, stored::key(self.size()), Expect::Absent);
        }
        for draft in drafts {
            let key = stored::key(next.size());
            let line = next.append(draft)?;
            batch = batch.put_json(Space::Audit, key, Ok(line));
        }
        Ok((batch, next))
    }

    /// Takes one entry in, and gives its line. Nothing is written.
    ///
    /// # Errors
    /// As [`stage`](Self::stage).
    pub fn append(&mut self, draft: Draft) -> Result<Arc<[u8]>> {
        let line = draft.line(self.size(), &self.last)?;
        self.last = Hash::leaf(&line);
        self.tree.push(self.last);
        Ok(line.into())
    }
}
