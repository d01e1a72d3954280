//! What is wrong at the first place of a log where something is.

use std::fmt;

use super::{
    Hash, code,
    entry::{Link, hash_with},
    frontier::Frontier,
};
use crate::{Error, ErrorKind};

/// The first place where a log is not what it should be.
///
/// Entries before the last checkpoint that matched are those that were witnessed. Those between it and [`entry`](Self::entry)
/// fit each other, and were taken for right. An entry is vouched for by the one behind it: where several neighbours were
/// changed, the first of them may be the entry before the one that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Place of the first wrong entry, from 0; for [`Why::Rebuilt`] the first that may be wrong.
    pub entry: u64,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The entry is not the one that its neighbours, or a checkpoint, vouch for.
    Altered,
    /// The line is not an entry.
    Unreadable,
    /// The entry was put in: what stands behind it follows the one before it.
    Inserted,
    /// Entries are missing from here on; the one in their place has this number.
    Missing {
        /// Number of the entry in their place.
        found: u64,
    },
    /// Another entry, of this number, stands in the place of this one.
    Swapped {
        /// Number of the entry that stands here.
        found: u64,
    },
    /// An entry of this number stands here, and what is behind does not say why.
    OutOfSequence {
        /// Number of the entry that stands here.
        found: u64,
    },
    /// The entry behind this one does not follow it: one of the two is not the one that was written.
    Broken,
    /// The log ends here, below the size of this checkpoint.
    Cut {
        /// Size of the checkpoint.
        checkpoint: u64,
    },
    /// The chain is unbroken, but the root at the size of this checkpoint is another: an entry of
    /// [`Fault::entry`]`..checkpoint` was changed and all behind it made anew. Which one cannot be known; more checkpoints
    /// narrow it.
    Rebuilt {
        /// Size of the first checkpoint that does not match.
        checkpoint: u64,
    },
    /// Two checkpoints of this size have different roots: different logs were signed.
    Contradiction {
        /// Size of the checkpoints.
        checkpoint: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.entry;
        match self.why {
            Why::Altered => write!(f, "entry {entry} was altered"),
            Why::Unreadable => write!(f, "line {entry} (from 0) is not an entry"),
            Why::Inserted => write!(f, "entry {entry} was inserted"),
            Why::Missing { found } => write!(f, "entry {entry} is missing, {found} stands in its place"),
            Why::Swapped { found } => write!(f, "entry {found} was put in the place of entry {entry}"),
            Why::OutOfSequence { found } => write!(f, "entry {found} stands in the place of entry {entry}"),
            Why::Broken => {
                write!(f, "entry {entry} or the one behind it was altered: they do not follow each other")
            }
            Why::Cut { checkpoint } => {
                write!(f, "the log ends before entry {entry}, a checkpoint was made of {checkpoint} entries")
            }
            Why::Rebuilt { checkpoint } => write!(
                f,
                "the log does not match the checkpoint of {checkpoint} entries: it was made anew from some entry \
                 between {entry} and {} on",
                checkpoint.saturating_sub(1)
            ),
            Why::Contradiction { checkpoint } => {
                write!(f, "two checkpoints of {checkpoint} entries contradict each other")
            }
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// The fault as an [`Error`]: [`Corrupt`](ErrorKind::Corrupt) with `AUDIT_CORRUPT`, and the fact `entry`.
    #[must_use]
    pub fn to_error(self) -> Error {
        let text = format!(
            "the audit log is not what was written: {self}. Keep a copy of the store, restore the latest backup, and \
             compare both with the last checkpoint"
        );
        let error = Error::new(ErrorKind::Corrupt, "audit.verify", text).code_as(code::CORRUPT);
        error.with("entry", self.entry).caused_by(self)
    }
}

/// A line near the first wrong one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    link: Option<Link>,
    hash: Hash,
    bytes: Vec<u8>,
}

impl Line {
    pub fn of(bytes: &[u8]) -> Self {
        Self { link: Link::of(bytes), hash: Hash::leaf(bytes), bytes: bytes.to_vec() }
    }

    fn is(&self, seq: u64) -> bool {
        self.link.is_some_and(|link| link.seq == seq)
    }

    fn follows(&self, prev: &Hash) -> bool {
        self.link.is_some_and(|link| link.prev == *prev)
    }
}

/// The first place where a line is not the one whose turn it is, and what is around it.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Its number.
    pub index: u64,
    /// Hash of the line before, and of the one before that.
    pub before: [Hash; 2],
    /// The tree up to this place.
    pub tree: &'a Frontier,
    /// The tree without the line before, where a checkpoint was made right here.
    pub tree_before: &'a Frontier,
    /// Whether a checkpoint says that all before is right.
    pub sound: bool,
    /// The line.
    pub here: Line,
    /// Those behind it.
    pub next: Vec<Line>,
    /// The root of a checkpoint that was made right here and does not match, and of one that includes the line.
    pub roots: [Option<Hash>; 2],
}

pub(super) fn diagnose(place: &Place<'_>) -> Fault {
    let Place { index, before: [before, _], here, next, .. } = place;
    let fault = |entry, why| Fault { entry, why };
    let behind = next.first();
    if behind.is_some_and(|line| line.is(*index) && line.follows(before)) {
        // The right one comes next.
        let third = next.get(1);
        let moved = here.is(index + 1) && third.is_some_and(|l| l.is(index + 2) || l.follows(&here.hash));
        return fault(*index, if moved { Why::Swapped { found: index + 1 } } else { Why::Inserted });
    }
    match here.link {
        None => fault(*index, Why::Unreadable),
        Some(Link { seq, .. }) if seq == *index => broken(place),
        // Only the number is wrong.
        Some(Link { prev, .. }) if prev == *before => fault(*index, Why::Altered),
        Some(Link { seq, prev }) if index.checked_sub(1) == Some(seq) && prev == place.before[1] => {
            twice(place)
        }
        Some(Link { seq: found, .. }) => {
            let goes_on = behind.is_some_and(|line| line.is(index + 1));
            fault(
                *index,
                match (found > *index, goes_on && found != *index) {
                    (true, false) => Why::Missing { found },
                    (_, true) => Why::Swapped { found },
                    (false, false) => Why::OutOfSequence { found },
                },
            )
        }
    }
}

/// The line has the right number, but does not follow the one before it.
fn broken(place: &Place<'_>) -> Fault {
    let Place { index, here, tree, roots: [at, behind], .. } = place;
    let Some(last) = index.checked_sub(1).filter(|_| !place.sound) else {
        return Fault { entry: *index, why: Why::Altered };
    };
    // With the right hash before, would it be the one that the next line or a checkpoint vouches for?
    let mended = hash_with(&here.bytes, &place.before[0]);
    let vouched = mended.is_some_and(|hash| match place.next.first() {
        Some(next) => next.follows(&hash),
        None => behind.is_some_and(|root| tree.root_with(hash) == root),
    });
    if vouched {
        return Fault { entry: *index, why: Why::Altered };
    }
    let claimed = here.link.map(|link| link.prev);
    if let (Some(root), Some(claimed)) = (at, claimed) {
        // A checkpoint ends between the two: the line knows the right one's hash, or more is wrong.
        let alone = place.tree_before.root_with(claimed) == *root;
        return if alone {
            Fault { entry: last, why: Why::Altered }
        } else {
            Fault { entry: *index, why: Why::Broken }
        };
    }
    let sure = place.next.first().is_some_and(|next| next.follows(&here.hash));
    Fault { entry: last, why: if sure { Why::Altered } else { Why::Broken } }
}

/// Two lines claim the place of the one before; which is right?
fn twice(place: &Place<'_>) -> Fault {
    let here = &place.here;
    let first_is_wrong = !place.sound
        && match place.roots[0] {
            Some(root) => place.tree_before.root_with(here.hash) == root,
            None => place.next.first().is_some_and(|next| next.follows(&here.hash)),
        };
    Fault { entry: place.index - u64::from(first_is_wrong), why: Why::Inserted }
}
