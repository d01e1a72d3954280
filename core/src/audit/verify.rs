use std::collections::VecDeque;

use super::{
    Checkpoint, Hash,
    diagnose::{Fault, Line, Place, Why, diagnose},
    entry::Link,
    frontier::Frontier,
    stored::{self, Lines},
};
use crate::{
    Result,
    planted::{Bug, planted},
    store::{ControlStore, Record},
};

/// How many lines behind the first wrong one are looked at to find out what is wrong.
const AHEAD: usize = 2;

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many entries there are.
    pub size: u64,
    /// The root over all of them.
    pub root: Hash,
    /// So many, from the first on, are those that were witnessed: the largest checkpoint's size. What follows has an
    /// unbroken chain only, which whoever has the log can make anew.
    pub witnessed: u64,
}

/// Checks the lines of a log, in order, against checkpoints: numbers, chain, and the roots at the checkpoints' sizes.
/// Without checkpoints only numbers and chain are checked, and a log that was made anew as a whole is not noticed.
///
/// Needs little memory, whatever the log's length.
///
/// # Errors
/// The first place where something is wrong.
pub fn verify<L: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = L>,
    checkpoints: &[Checkpoint],
) -> Result<Verified, Fault> {
    let checkpoints = if planted(Bug::ChainOnly) { &[] } else { checkpoints };
    let walk = Walk::over(entries, checkpoints)?;
    let witnessed = checkpoints.iter().map(|c| c.size()).max().unwrap_or(0);
    Ok(Verified { size: walk.tree.size(), root: walk.tree.root(), witnessed })
}

/// As [`verify`], of the log in a store.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) with the code `AUDIT_CORRUPT`; the fact `entry` is the first place where something
/// is wrong.
pub fn verify_stored(store: &ControlStore, checkpoints: &[Checkpoint]) -> Result<Verified> {
    let mut lines = Lines::of(store);
    let verified = verify(&mut lines, checkpoints).map_err(Fault::to_error)?;
    lines.strange().map_or(Ok(verified), Err)
}

/// As [`verify_stored`] without checkpoints, of the records of the space [`Audit`](crate::store::Space::Audit) of a store
/// that is not open, in the order of their keys.
pub(crate) fn verify_records<'a>(records: impl Iterator<Item = &'a Record>) -> Result<Verified> {
    verify(stored::lines_of(records)?, &[]).map_err(Fault::to_error)
}

/// A walk over the lines of a log.
#[derive(Debug)]
pub(super) struct Walk {
    /// Hash of the last entry.
    pub last: Hash,
    /// Hash of the one before the last.
    before_last: Hash,
    /// The tree over all entries.
    pub tree: Frontier,
    /// The tree without the last entry, where a checkpoint was made behind that.
    tree_before: Frontier,
    /// The size of the last checkpoint that matched.
    sound: u64,
}

impl Walk {
    /// Goes over all lines.
    pub fn over<L: AsRef<[u8]>>(
        entries: impl IntoIterator<Item = L>,
        checkpoints: &[Checkpoint],
    ) -> Result<Self, Fault> {
        let mut marks: Vec<&Checkpoint> = checkpoints.iter().collect();
        marks.sort_by_key(|mark| mark.size());
        let mut marks = VecDeque::from(marks);
        let mut lines = entries.into_iter();
        let mut walk = Self::begin();
        loop {
            let wrong = walk.compare(&mut marks);
            let Some(line) = lines.next() else {
                return match (wrong, marks.front()) {
                    (Some(fault), _) => Err(fault),
                    (None, Some(mark)) => Err(walk.cut(mark)),
                    (None, None) => Ok(walk),
                };
            };
            let line = line.as_ref();
            match Link::of(line) {
                Some(link) if link.seq == walk.tree.size() && link.prev == walk.last => {
                    // A line that breaks the chain would have said more about the same place.
                    wrong.map_or(Ok(()), Err)?;
                    walk.take(line, &marks);
                }
                _ => return Err(walk.place(line, lines, wrong, &marks)),
            }
        }
    }

    fn begin() -> Self {
        let (last, before_last) = (Hash::ZERO, Hash::ZERO);
        let (tree, tree_before) = (Frontier::default(), Frontier::default());
        Self { last, before_last, tree, tree_before, sound: 0 }
    }

    fn take(&mut self, line: &[u8], marks: &VecDeque<&Checkpoint>) {
        if marks.front().is_some_and(|mark| mark.size() == self.tree.size() + 1) {
            self.tree_before = self.tree.clone();
        }
        self.before_last = self.last;
        self.last = Hash::leaf(line);
        self.tree.push(self.last);
    }

    /// Compares the checkpoints of this size, and takes them away.
    fn compare(&mut self, marks: &mut VecDeque<&Checkpoint>) -> Option<Fault> {
        let size = self.tree.size();
        while let Some(mark) = marks.front().filter(|mark| mark.size() == size) {
            if self.tree.root() != mark.root() {
                let twice = self.sound == size;
                let why = if twice {
                    Why::Contradiction { checkpoint: size }
                } else {
                    Why::Rebuilt { checkpoint: size }
                };
                return Some(Fault { entry: self.sound, why });
            }
            self.sound = size;
            marks.pop_front();
        }
        None
    }

    fn cut(&self, mark: &Checkpoint) -> Fault {
        Fault { entry: self.tree.size(), why: Why::Cut { checkpoint: mark.size() } }
    }

    /// What is wrong at `line`, which is not the one whose turn it is.
    fn place<L: AsRef<[u8]>>(
        &self,
        line: &[u8],
        rest: impl Iterator<Item = L>,
        wrong: Option<Fault>,
        marks: &VecDeque<&Checkpoint>,
    ) -> Fault {
        let size = self.tree.size();
        let root = |size| marks.iter().find(|mark| mark.size() == size).map(|mark| mark.root());
        let place = Place {
            index: size,
            before: [self.last, self.before_last],
            tree: &self.tree,
            tree_before: &self.tree_before,
            sound: self.sound == size,
            here: Line::of(line),
            next: rest.take(AHEAD).map(|line| Line::of(line.as_ref())).collect(),
            roots: [root(size), root(size + 1)],
        };
        let fault = diagnose(&place);
        // Where the root is wrong already, what comes after it is not the first.
        wrong.filter(|_| fault.entry >= size).unwrap_or(fault)
    }
}
