use super::{Hash, Log, code, frontier::Frontier, stored};
use crate::{Error, ErrorKind, Result, store::ControlStore};

const OP: &str = "audit.proof";
/// Entries of the smallest subtree whose root is kept; below that the entries are hashed anew.
const TILE: u64 = 256;

/// The inner nodes of the log's tree, from which proofs are made. Follows the log when it is asked; keeps a hundredth of
/// what the log has.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// The roots of complete subtrees of 256, 512, 1,024, … entries, from the left.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of nothing; it reads the log when it is asked for a proof.
    pub fn new() -> Self {
        Self::default()
    }

    /// The proof that the entry `seq` is in the tree of the first `size` entries, for
    /// [`verify_inclusion`](super::verify_inclusion).
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when there is no such entry or `size` is above the log's;
    /// [`Corrupt`](ErrorKind::Corrupt) when the store does not have the entries of `log`.
    pub fn inclusion(&mut self, store: &ControlStore, log: &Log, seq: u64, size: u64) -> Result<Vec<Hash>> {
        if seq >= size || size > log.size() {
            let text = format!("there is no entry {seq} among the first {size} of {}", log.size());
            return Err(Error::invalid(OP, "seq", text));
        }
        self.follow(store, log)?;
        let (mut proof, mut from, mut to) = (Vec::new(), 0, size);
        while to - from > 1 {
            let middle = from + split(to - from);
            if seq < middle {
                proof.push(self.root(store, middle, to)?);
                to = middle;
            } else {
                proof.push(self.root(store, from, middle)?);
                from = middle;
            }
        }
        proof.reverse();
        Ok(proof)
    }

    /// The proof that the tree of the first `new` entries begins with that of the first `old`, for
    /// [`verify_consistency`](super::verify_consistency). Empty where nothing has to be proved.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when `old` is above `new`, or `new` above the log's size;
    /// [`Corrupt`](ErrorKind::Corrupt) when the store does not have the entries of `log`.
    pub fn consistency(&mut self, store: &ControlStore, log: &Log, old: u64, new: u64) -> Result<Vec<Hash>> {
        if old > new || new > log.size() {
            let text = format!("sizes {old} and {new} do not fit a log of {} entries", log.size());
            return Err(Error::invalid(OP, "size", text));
        }
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        self.follow(store, log)?;
        let (mut proof, mut from, mut to) = (Vec::new(), 0, new);
        // Whether the old tree ends where the subtree does, and begins with it: its root is known then.
        let mut whole = true;
        while to != old {
            let middle = from + split(to - from);
            if old <= middle {
                proof.push(self.root(store, middle, to)?);
                to = middle;
            } else {
                proof.push(self.root(store, from, middle)?);
                (from, whole) = (middle, false);
            }
        }
        if !whole {
            proof.push(self.root(store, from, to)?);
        }
        proof.reverse();
        Ok(proof)
    }

    /// Takes in the entries of `log` that it does not have yet.
    fn follow(&mut self, store: &ControlStore, log: &Log) -> Result<()> {
        let known = self.levels.first().map_or(0, |tiles| tiles.len() as u64);
        for tile in known..log.size() / TILE {
            let mut node = leaves(store, tile * TILE, (tile + 1) * TILE)?;
            for level in 0.. {
                if level == self.levels.len() {
                    self.levels.push(Vec::new());
                }
                let row = &mut self.levels[level];
                row.push(node);
                let [.., left, right] = row.as_slice() else { break };
                if row.len() % 2 == 1 {
                    break;
                }
                node = Hash::node(left, right);
            }
        }
        Ok(())
    }

    /// The root over the entries `from..to`, a subtree of some tree of the log.
    fn root(&self, store: &ControlStore, from: u64, to: u64) -> Result<Hash> {
        let size = to - from;
        if size < TILE {
            return leaves(store, from, to);
        }
        if size.is_power_of_two() {
            let level = (size / TILE).trailing_zeros() as usize;
            let place = usize::try_from(from / size).unwrap_or(usize::MAX);
            return self.levels.get(level).and_then(|row| row.get(place)).copied().ok_or_else(|| gone(from));
        }
        let middle = from + split(size);
        Ok(Hash::node(&self.root(store, from, middle)?, &self.root(store, middle, to)?))
    }
}

/// The root over few entries, which are hashed anew.
fn leaves(store: &ControlStore, from: u64, to: u64) -> Result<Hash> {
    let mut tree = Frontier::default();
    stored::some(store, from, to).iter().for_each(|line| tree.push(Hash::leaf(line)));
    if tree.size() == to - from { Ok(tree.root()) } else { Err(gone(from)) }
}

/// The size of the left subtree of a tree of `size` > 1 entries: the largest power of two below it.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

fn gone(from: u64) -> Error {
    let text = format!("the store does not have all entries from {from} on that the log should have");
    Error::new(ErrorKind::Corrupt, OP, text).code_as(code::CORRUPT)
}
