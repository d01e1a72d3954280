//! What held over steps, in one pass over a thing's samples.

use super::{Aggregate, Point};
use crate::stats::{
    fold::Span,
    live::{LONGEST_HOLD_MS, Sum, plausible},
};

const MS_PER_HOUR: f64 = 3_600_000.0;

/// What held over one step.
#[derive(Debug, Clone, Copy)]
pub(in crate::telemetry) struct Held {
    /// Of values times ms.
    integral: Sum,
    /// ms in which it was known, of all things.
    known: i64,
    min: f64,
    max: f64,
    /// What was said last, and when.
    last: (i64, f64),
}

impl Held {
    /// Nothing.
    pub const NOTHING: Self = Self {
        integral: Sum::ZERO,
        known: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        last: (i64::MIN, f64::NAN),
    };

    fn hold(&mut self, said: i64, value: f64, ms: i64) {
        self.integral.add_product(value, ms);
        self.known += ms;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.said(said, value);
    }

    fn said(&mut self, ts: i64, value: f64) {
        if ts >= self.last.0 {
            self.last = (ts, value);
        }
    }

    /// Adds what held of things that come after these in order of ids.
    pub fn add(&mut self, other: &Self) {
        self.integral.add_sum(other.integral);
        self.known += other.known;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.known > 0 {
            self.said(other.last.0, other.last.1);
        }
    }

    /// The point of a step of which `length` ms have passed, over so many things.
    pub fn point(&self, aggregate: Aggregate, length: i64, things: usize) -> Point {
        if self.known == 0 || length <= 0 {
            return Point::default();
        }
        let (integral, known, length) = (self.integral.get(), self.known as f64, length as f64);
        let (coverage, contributors) = (known / (length * things as f64), known / length);
        let value = match aggregate {
            Aggregate::Mean => integral / known,
            Aggregate::Sum => integral / length,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Last => self.last.1,
            Aggregate::Count => contributors,
            Aggregate::Energy => integral / MS_PER_HOUR,
            Aggregate::Coverage => coverage,
        };
        Point { value: Some(value), coverage, contributors }
    }
}

/// The last sample, while it is not known how long it holds.
#[derive(Debug, Clone, Copy)]
struct Said {
    ts: i64,
    value: f64,
}

/// Puts one thing's samples, which come by time and sequence, into steps.
#[derive(Debug)]
pub(in crate::telemetry) struct Fold<'a> {
    /// Each begins where the one before ends.
    steps: &'a [Span],
    /// The end of all: that of the last step, or now.
    until: i64,
    /// The longest time that a sample holds.
    hold: i64,
    /// The step that comes next.
    at: usize,
    said: Option<Said>,
}

impl<'a> Fold<'a> {
    /// Of a thing whose samples hold for `hold` ms.
    pub fn new(steps: &'a [Span], until: i64, hold: i64) -> Self {
        Self { steps, until, hold: hold.min(LONGEST_HOLD_MS), at: 0, said: None }
    }

    /// The next sample; NaN ends what held before. `into` has one for each step.
    pub fn push(&mut self, ts: i64, value: f64, into: &mut [Held]) {
        self.close(ts, into);
        self.said = plausible(value).then_some(Said { ts, value });
    }

    /// There is no more.
    pub fn finish(mut self, into: &mut [Held]) {
        self.close(self.until, into);
    }

    fn close(&mut self, until: i64, into: &mut [Held]) {
        let Some(said) = self.said.take() else { return };
        let until = until.min(said.ts.saturating_add(self.hold)).min(self.until);
        let mut from = said.ts;
        while let Some(step) = self.steps.get(self.at) {
            from = from.max(step.start.0);
            let end = step.end.0.min(until);
            if from < end
                && let Some(held) = into.get_mut(self.at)
            {
                held.hold(said.ts, said.value, end - from);
                from = end;
            }
            if step.end.0 > until {
                return;
            }
            self.at += 1;
        }
    }
}
