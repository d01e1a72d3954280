//! The steps of a range.

use std::ops::Range;

use super::{OP, Step, code};
use crate::{
    Error, Result,
    history::MAX_TS,
    io::Timestamp,
    stats::{fold::Span, range::Buckets},
};

/// Steps are of whole seconds.
const SECOND: i64 = 1_000;

/// Refuses a range that is none.
pub(super) fn check(range: &Range<Timestamp>) -> Result<()> {
    let wrong = |why: &str| Err(Error::invalid(OP, "range", why).code_as(code::RANGE_INVALID));
    if range.start > range.end {
        return wrong("the range ends before it begins");
    }
    if range.start.0 < 0 || range.end.0 > MAX_TS + 1 {
        return wrong("the range lies within 1970 to 9999");
    }
    Ok(())
}

/// All whole steps that have a part in a range; each begins where the one before ends. An empty range has none.
pub(super) fn steps(step: &Step, range: &Range<Timestamp>, most: usize) -> Result<Vec<Span>> {
    let invalid = |why: &str| Error::invalid(OP, "step", why).code_as(code::STEP_INVALID);
    let span = Span { start: range.start, end: range.end };
    match step {
        Step::Raw => Ok(Vec::new()),
        Step::Whole if range.is_empty() => Ok(Vec::new()),
        Step::Whole => Ok(vec![span]),
        Step::Fixed(ms) if *ms <= 0 || ms % SECOND != 0 || *ms > MAX_TS => {
            Err(invalid("a step is a multiple of 1,000 ms, and more than nothing").with("step", ms))
        }
        Step::Fixed(_) if range.is_empty() => Ok(Vec::new()),
        Step::Fixed(ms) => {
            let (first, last) = (range.start.0 / ms, (range.end.0 - 1) / ms);
            let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
            if count > most {
                return Err(too_many(count, most));
            }
            Ok((first..=last).map(|n| Span::ms(n * ms, (n + 1) * ms)).collect())
        }
        Step::Calendar { unit, count, zone } => {
            let buckets = Buckets::new(zone, *unit, *count, span)?;
            Ok(buckets.spans().to_vec())
        }
    }
}

/// The answer would have too many points.
pub(super) fn too_many(points: usize, most: usize) -> Error {
    let why = "too many points: ask for a shorter range, longer steps or fewer things";
    let e = Error::invalid(OP, "limit", why).code_as(code::LIMIT_EXCEEDED);
    e.with("points", points).with("most", most)
}
