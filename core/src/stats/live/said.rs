use super::{MINUTE, Window};
use crate::io::Timestamp;

/// Longest that a sample can hold, ms; a longer hold is taken as this. It bounds what a late sample can change.
pub const LONGEST_HOLD_MS: i64 = 86_400_000;

/// Numbers from here on are no measurement, and their integral over a day of many things might not be finite.
const ABSURD: f64 = 1e200;

/// Times are within what JavaScript can hold, so that no arithmetic on them overflows.
pub(super) const FARTHEST: i64 = 8_640_000_000_000_000;

/// What a thing said once.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The cell to which the thing belongs from `ts` on.
    pub cell: u32,
    /// When.
    pub ts: Timestamp,
    /// Until when it holds unless the thing says something else before.
    pub hold_until: Timestamp,
    /// One number per column of values; NaN for unknown.
    pub values: &'a [f64],
    /// Which predicates are true, by bits.
    pub predicates: u64,
    /// One number per column of maxima; NaN for unknown.
    pub maxes: &'a [f64],
}

impl Said<'_> {
    /// A thing's removal at `ts`, for [`fold_series`](super::fold_series): from then on it holds nothing.
    pub const fn removed(ts: Timestamp) -> Self {
        Self { cell: 0, ts, hold_until: ts, values: &[], predicates: 0, maxes: &[] }
    }

    /// When its hold ends, at most [`LONGEST_HOLD_MS`] after it was said.
    pub(super) fn held_until(&self) -> i64 {
        self.hold_until.0.min(self.ts.0.saturating_add(LONGEST_HOLD_MS))
    }
}

/// Whether `x` can be counted. NaN cannot, and neither can what would make a sum infinite.
pub(crate) fn plausible(x: f64) -> bool {
    x.abs() < ABSURD
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "late samples have to be counted by a rebuild"]
pub enum Fate {
    /// It counts in the open windows, exactly.
    Counted,
    /// It came too late for some minutes, which have to be rebuilt.
    Late(Late),
    /// Nothing was changed, because it lies too far after the first open minute: close what has ended, then give it again.
    Ahead,
}

/// Minutes that a late sample may have changed. Those that are still open are rebuilt once they are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// Start of the first of them.
    pub from: Timestamp,
    /// End of the last of them.
    pub until: Timestamp,
}

impl Late {
    pub(super) fn between(from: i64, until: i64) -> Self {
        let start = Window::M1.start_of(Timestamp(from));
        let end = if until <= from { start } else { Window::M1.end_of(Timestamp(until - 1)) };
        Self { from: start, until: end }
    }

    /// The minutes that have a part in `[from, until)`.
    pub fn over(from: Timestamp, until: Timestamp) -> Self {
        Self::between(from.0, until.0)
    }

    /// Starts of the minutes, at most those of a day and one more.
    pub fn minutes(self) -> impl Iterator<Item = Timestamp> {
        let count = (self.until.0 - self.from.0) / MINUTE;
        (0..count).map(move |n| Timestamp(self.from.0 + n * MINUTE))
    }
}
