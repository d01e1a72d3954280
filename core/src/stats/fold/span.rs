use std::fmt;

use crate::io::Timestamp;

/// A span of time, both ends as the caller wrote them. See [`Edges`] for what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Its beginning.
    pub start: Timestamp,
    /// Its end. Written as the last millisecond of a second (`…999`), it means the second's end.
    pub end: Timestamp,
}

/// What the `ts` of rows is, which decides about a row on a border. Of two spans that meet there it is in one only, and a
/// span that stands alone has as many windows as fit into it.
///
/// MiningOS counts a row on the border of two spans in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Edges {
    /// The end of the row's window, as in rows of statistics: a row at the end of a span is about the last minutes of the
    /// span, and one at its start about what was before. A span is `(start, end]`.
    #[default]
    WindowEnds,
    /// The moment that the row is about, or the start of its window: a span is `[start, end)`.
    Instants,
}

impl Span {
    /// From milliseconds since 1970.
    pub fn ms(start: i64, end: i64) -> Self {
        Self { start: Timestamp(start), end: Timestamp(end) }
    }

    /// Those of `rows`, which are ordered by time, that lie in it.
    pub(in crate::stats) fn of<R>(
        self,
        rows: &[R],
        ts: impl Fn(&R) -> Option<Timestamp>,
        edges: Edges,
    ) -> &[R] {
        let whole_end =
            if self.end.0.rem_euclid(1_000) == 999 { self.end.0.saturating_add(1) } else { self.end.0 };
        let (from, to) = match edges {
            Edges::WindowEnds => (self.start.0.saturating_add(1), whole_end.saturating_add(1)),
            Edges::Instants => (self.start.0, whole_end),
        };
        between(rows, ts, from, to)
    }

    /// The same with both ends inside.
    pub(super) fn closed<R>(self, rows: &[R], ts: impl Fn(&R) -> Option<Timestamp>) -> &[R] {
        between(rows, ts, self.start.0, self.end.0.saturating_add(1))
    }
}

/// The rows from `from` until before `to`. Rows without a time come first and lie nowhere.
fn between<R>(rows: &[R], ts: impl Fn(&R) -> Option<Timestamp>, from: i64, to: i64) -> &[R] {
    let before = |at: i64| rows.partition_point(|row| ts(row).is_none_or(|ts| ts.0 < at));
    let (first, last) = (before(from), before(to));
    rows.get(first..last).unwrap_or_default()
}

impl fmt::Display for Span {
    /// `<start>-<end>` in milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start.0, self.end.0)
    }
}
