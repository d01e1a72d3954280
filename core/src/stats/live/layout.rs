use crate::{Error, Result};

/// How many columns of each sort an engine counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    values: usize,
    counts: usize,
    maxes: usize,
}

impl Layout {
    /// Most columns of one sort: predicates come as the bits of a `u64`.
    pub const MOST: usize = 64;

    /// Columns for `values` numbers whose integrals are kept, `counts` predicates whose time is counted, and `maxes`
    /// numbers whose greatest value is kept.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for more than [`MOST`](Self::MOST) of one sort.
    pub fn new(values: usize, counts: usize, maxes: usize) -> Result<Self> {
        for (field, n) in [("values", values), ("counts", counts), ("maxes", maxes)] {
            if n > Self::MOST {
                return Err(Error::invalid(
                    "stats.layout",
                    field,
                    "there can be at most 64 columns of a sort",
                )
                .with("columns", n));
            }
        }
        Ok(Self { values, counts, maxes })
    }

    /// Numbers whose integrals are kept.
    pub const fn values(self) -> usize {
        self.values
    }

    /// Predicates whose time is counted.
    pub const fn counts(self) -> usize {
        self.counts
    }

    /// Numbers whose greatest value is kept.
    pub const fn maxes(self) -> usize {
        self.maxes
    }

    /// Columns of times: one per value (known), one per predicate, and one for the things themselves.
    pub(super) const fn times(self) -> usize {
        self.values + self.counts + 1
    }

    /// The predicates that there are, of those given.
    pub(super) const fn mask(self, predicates: u64) -> u64 {
        if self.counts == Self::MOST { predicates } else { predicates & ((1 << self.counts) - 1) }
    }
}
