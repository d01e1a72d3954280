//! A snapshot as flat members, as history and statistics keep it: numbers in columns, and all else as one text.
//!
//! The **path** of a member is that of MiningOS's projections: names joined by dots, places of arrays as numbers, such as
//! `stats.hashrate_mhs.t_5m` or `stats.fans.0.rpm`. A name that holds a dot or a backslash has a backslash before each
//! of them, and a name made of digits alone has one at its start, so that every path leads back to one member:
//! `missing` of a snapshot holds paths itself (`missing.stats\.power_w`).
//!
//! Numbers are members of their own. Texts, booleans, `null`, empty lists and empty objects stand in one JSON object, by
//! path, in the order of the snapshot, which is the same for each snapshot of a release: equal texts mean that nothing
//! of it changed. A number stands there as well where a float cannot hold it (whole, beyond 2⁵³), and where it is no
//! measurement (in an error that the device reports). `age_ms` is left out: it is another in each snapshot, and says
//! when values were read, which the collector knows.
//!
//! [`unflatten`] gives the JSON back. A whole number comes back without a fraction (`3.0` as `3`), as the units of a
//! snapshot write it anyway.

mod back;
mod compound;
mod serializer;
mod shape;
#[cfg(test)]
mod tests;
mod texts;
mod trie;

pub use back::unflatten;
pub use shape::Shape;

use serde::Serialize;

use super::Snapshot;
use crate::{Error, Result};
use serializer::Member;
use shape::Shapes;
use texts::Texts;
use trie::Trie;

/// Nested deeper than this, a value is refused: as deep as JSON is read.
const DEEPEST: usize = 128;

/// A snapshot as flat members. It lives in its [`Flattener`] until the next one.
#[derive(Debug, Clone, Copy)]
pub struct Flat<'a> {
    /// The paths of the numbers; equal lists are the same [`Shape`].
    pub shape: &'a Shape,
    /// The numbers, parallel to the members of `shape`; all are finite.
    pub values: &'a [f64],
    /// All else: a JSON object of path to text, boolean, `null`, `[]`, `{}`, or a number that is no measurement.
    pub texts: &'a str,
    /// A hash of `texts`, the same on all machines.
    pub texts_hash: u64,
    /// Numbers that were not finite; they are `null` in `texts`, as in JSON.
    pub not_finite: usize,
}

/// Makes snapshots flat. It remembers the members of things that it has seen: one for many things of a few kinds is
/// quickest. What it remembers is bounded.
#[derive(Debug, Default)]
pub struct Flattener {
    trie: Trie,
    shapes: Shapes,
    shape: Shape,
    found: Found,
}

/// What was found in one value.
#[derive(Debug, Default)]
struct Found {
    /// Nodes of the numbers.
    nodes: Vec<u32>,
    values: Vec<f64>,
    texts: Texts,
    not_finite: usize,
    depth: usize,
}

impl Flattener {
    /// One that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The members of `snapshot`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when `extra` holds something that JSON has no form for, or is nested deeper
    /// than JSON is read.
    pub fn flatten(&mut self, snapshot: &Snapshot) -> Result<Flat<'_>> {
        self.flatten_value(snapshot)
    }

    /// The members of any value whose JSON is an object, by the same rules.
    ///
    /// # Errors
    /// As [`flatten`](Self::flatten); and when it is no object.
    pub fn flatten_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Flat<'_>> {
        if self.trie.is_full() {
            self.trie = Trie::default();
            self.shapes = Shapes::default();
        }
        self.found.clear();
        let root = Member { trie: &mut self.trie, found: &mut self.found, node: trie::ROOT };
        value.serialize(root).map_err(|stopped| {
            Error::invalid("model.flatten", "snapshot", format!("it cannot be made flat: {}", stopped.0))
        })?;
        let found = &mut self.found;
        self.shapes.find(&found.nodes, &self.trie, &mut self.shape);
        let (texts, texts_hash) = found.texts.finish();
        Ok(Flat {
            shape: &self.shape,
            values: &found.values,
            texts,
            texts_hash,
            not_finite: found.not_finite,
        })
    }
}

impl Found {
    fn clear(&mut self) {
        self.nodes.clear();
        self.values.clear();
        self.texts.clear();
        (self.not_finite, self.depth) = (0, 0);
    }
}
