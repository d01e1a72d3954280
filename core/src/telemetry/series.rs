//! Questions about one number of things over time: samples as they were said, or values over steps of time.
//!
//! A sample **holds** until the thing's next one, or for 2.5 poll intervals of its rack, whichever is first. Where a
//! sample has no such number, because the poll failed or the thing left it out, it is unknown from there on; an earlier
//! value does not shine through. What holds over a step makes its value, so that a thing that is asked more often does
//! not count for more, and time in which nobody knew is left out and told as coverage, never taken for 0.
//!
//! ```no_run
//! # use headframe_core::{Result, io::Timestamp, telemetry::Telemetry};
//! # use headframe_core::telemetry::{Aggregate, Over, SeriesQuery, Step, ThingsOf};
//! # use headframe_core::stats::bucket::Unit;
//! # fn example(telemetry: &Telemetry, from: Timestamp, to: Timestamp) -> Result<()> {
//! let mut query = SeriesQuery::new(ThingsOf::Tag("t-miner".into()), "stats.power_w", from..to);
//! query.step = Step::Calendar { unit: Unit::Day, count: 1, zone: "America/New_York".into() };
//! query.over = Over::Together;
//! query.aggregate = Aggregate::Energy;
//! let answer = telemetry.series(&query)?;
//! for (step, point) in answer.steps.iter().zip(answer.columns[0].points()) {
//!     println!("{step}: {:?} Wh, {} % known", point.value, point.coverage * 100.0);
//! }
//! # Ok(())
//! # }
//! ```

mod ask;
mod fold;
mod json;
mod read;
mod similar;
mod steps;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

use std::{ops::Range, time::Duration};

use crate::{Error, Result, ThingId, io::Timestamp, query::Filter, stats::bucket::Unit, stats::fold::Span};
use ask::{Ask, Limits};
pub(super) use fold::{Fold, Held};
pub(super) use read::{Budget, Reader};

const OP: &str = "telemetry.series";

/// The stable codes of these questions' errors.
pub mod code {
    /// No thing said this number in the range.
    pub const METRIC_NOT_FOUND: &str = "ERR_METRIC_NOT_FOUND";
    /// The step is none, or goes with nothing else that was asked.
    pub const STEP_INVALID: &str = "ERR_STEP_INVALID";
    /// The range ends before it begins, or lies outside of 1970 to 9999.
    pub const RANGE_INVALID: &str = "ERR_RANGE_INVALID";
    /// The answer would be too large, or a bound that was asked for is beyond what there is.
    pub const LIMIT_EXCEEDED: &str = "ERR_LIMIT_EXCEEDED";
    /// The number has no such aggregate.
    pub const AGGREGATE_INVALID: &str = "ERR_AGGREGATE_INVALID";
}

/// Most points or samples of an answer.
pub const MAX_POINTS: usize = 1_000_000;
/// Most things that one question asks.
pub const MAX_THINGS: usize = 100_000;
/// Most samples that are read for one answer: 100,000 things that are polled once a minute, over three days.
pub const MAX_SAMPLES: u64 = 500_000_000;
/// Most threads of one question.
pub const MAX_THREADS: usize = 16;

/// Which things are asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ThingsOf {
    /// These; also ones that are not registered any more, see [`SeriesQuery::interval`].
    Ids(Vec<ThingId>),
    /// Those whose listing, [`ThingRecord::listing`](crate::rack::ThingRecord::listing), matches. A filter that looks
    /// at `last`, or has an `$expr`, which may do so, is refused: what a thing said last is no property of a history.
    Matching(Filter),
    /// Those that have this tag.
    Tag(String),
}

/// How the range is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Not at all: samples as they were said.
    Raw,
    /// One step, which is the range.
    Whole,
    /// Steps of so many ms, a multiple of 1,000, that are counted from 1970.
    Fixed(i64),
    /// Blocks of the calendar in a zone; see [`Buckets`](crate::stats::range::Buckets).
    Calendar {
        /// The unit.
        unit: Unit,
        /// How many units.
        count: u32,
        /// Name of the IANA zone, such as `America/New_York`.
        zone: String,
    },
}

/// Whether there is one column for each thing, or one over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Over {
    /// A column for each thing.
    #[default]
    Each,
    /// One column over all things.
    Together,
}

/// What is made of what held over a step. *Integral* is the sum of values times the time for which they held, *known*
/// that time; both are those of one thing, or the sums over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Aggregate {
    /// Integral / known.
    #[default]
    Mean,
    /// Integral / length of the step: a thing that is known half of the time adds half.
    Sum,
    /// The least value that held.
    Min,
    /// The greatest value that held.
    Max,
    /// Of the values that held, the one that was said last; of things that said theirs at the same time, the one of
    /// the last thing in order of ids.
    Last,
    /// How many things were known, a mean over time: known / length of the step.
    Count,
    /// Integral in Wh, of members that end in `power_w` only. What is not known adds nothing: see the coverage.
    Energy,
    /// Known / (things × length of the step), 0 to 1.
    Coverage,
}

/// A question about one number of things over a range of time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SeriesQuery {
    /// Which things are asked.
    pub things: ThingsOf,
    /// Path of the number in a snapshot, such as `stats.power_w`; see [`flat`](crate::model::flat).
    pub metric: String,
    /// `[from, to)`. Steps that have a part in it come whole, so that a step's value does not depend on who asks.
    pub range: Range<Timestamp>,
    /// How the range is cut; a minute.
    pub step: Step,
    /// One column for each thing, or one over all. Raw samples are each thing's.
    pub over: Over,
    /// What is made of what held over a step; the mean. Raw samples have none.
    pub aggregate: Aggregate,
    /// Between two polls of things that no rack of this process has: it says how long their samples hold. Without it
    /// they fail, except in raw samples.
    pub interval: Option<Duration>,
    /// Most points or samples of the answer, at most and by default [`MAX_POINTS`].
    pub limit: usize,
    /// On how many threads it is read, 1 to [`MAX_THREADS`]; 2. With 1 no thread is made.
    pub threads: usize,
}

impl SeriesQuery {
    /// The mean of each thing by the minute.
    pub fn new(things: ThingsOf, metric: &str, range: Range<Timestamp>) -> Self {
        Self {
            things,
            metric: metric.into(),
            range,
            step: Step::Fixed(60_000),
            over: Over::Each,
            aggregate: Aggregate::Mean,
            interval: None,
            limit: MAX_POINTS,
            threads: 2,
        }
    }
}

/// What held over a step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Point {
    /// The aggregate; `None` when nobody was known in the step.
    pub value: Option<f64>,
    /// Which part of the time of all things is known, 0 to 1. Things that could not be read count as unknown.
    pub coverage: f64,
    /// How many things were known, a mean over time.
    pub contributors: f64,
}

/// A sample as it was said.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RawSample {
    /// When the poll began.
    pub ts: Timestamp,
    /// The number; `None` where the sample has none: it is unknown from there on.
    pub value: Option<f64>,
}

/// What there is of a thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// One for each step.
    Points(Vec<Point>),
    /// By time, and by the order in which they came where it is the same.
    Samples(Vec<RawSample>),
}

/// A thing's values, or those over all.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Column {
    /// Whose they are; `None` over all.
    pub thing: Option<ThingId>,
    /// The values.
    pub values: Values,
}

impl Column {
    /// One point for each step; none of raw samples.
    pub fn points(&self) -> &[Point] {
        match &self.values {
            Values::Points(points) => points,
            Values::Samples(_) => &[],
        }
    }

    /// The raw samples, when these were asked for.
    pub fn samples(&self) -> &[RawSample] {
        match &self.values {
            Values::Points(_) => &[],
            Values::Samples(samples) => samples,
        }
    }
}

/// An answer, in columns.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SeriesAnswer {
    /// The steps, each `[start, end)` and whole; none of raw samples. The values of one that is not over are over what
    /// of it has passed.
    pub steps: Vec<Span>,
    /// One over all, or one for each thing in order of ids.
    pub columns: Vec<Column>,
    /// Things of which a part could not be read, with the first error of each: `from` and `to` are the time that is
    /// missing, `parts` how many such times there are, if more. It counts as unknown.
    pub failed: Vec<(ThingId, Error)>,
    /// A part of what was asked for was removed to keep the history's bound: what is earlier than this, and what would
    /// have held into the time after it, is not complete.
    pub removed_before: Option<Timestamp>,
}

impl super::Telemetry {
    /// Answers a question about one number of things over a range of time.
    ///
    /// **It blocks** for as long as it takes to read: call it from `spawn_blocking`, not from a task. A damaged day costs
    /// its own time of the things in it, which are in [`failed`](SeriesAnswer::failed).
    ///
    /// How long samples hold follows from the interval that racks have now. A thing that was taken off its rack holds
    /// what it said last to the end, because the history does not say when that was.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), with the field:
    /// * `ERR_METRIC_NOT_FOUND` when things said numbers in the range, but none of them this one; `similar` names up to
    ///   5 that they said;
    /// * `ERR_STEP_INVALID` for a step that is not a positive multiple of a second, and for raw samples over all;
    /// * `ERR_RANGE_INVALID` for a range that ends before it begins or lies outside of 1970 to 9999;
    /// * `ERR_AGGREGATE_INVALID` for the energy of what is no power;
    /// * `ERR_QUERY_INVALID` for a filter over what things said last;
    /// * `ERR_LIMIT_EXCEEDED` for more things than [`MAX_THINGS`], more points than the limit, more than
    ///   [`MAX_SAMPLES`] to read, and for limits and threads out of bounds;
    /// * those of [`Buckets`](crate::stats::range::Buckets) for a zone or a count.
    pub fn series(&self, query: &SeriesQuery) -> Result<SeriesAnswer> {
        Ask::new(&self.0, query, Limits::default())?.answer()
    }
}
