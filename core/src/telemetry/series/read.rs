//! Samples of one thing, a UTC day after the other: files are of a day, so a damaged one costs its own day.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{OP, code};
use crate::{Error, Result, history::History, io::Timestamp};

const DAY_MS: i64 = 86_400_000;

/// What is left of a bound that all threads share.
#[derive(Debug)]
pub(in crate::telemetry) struct Budget {
    most: u64,
    used: AtomicU64,
    why: &'static str,
}

impl Budget {
    pub const fn new(most: u64, why: &'static str) -> Self {
        Self { most, used: AtomicU64::new(0), why }
    }

    /// Takes `n` of it.
    pub fn take(&self, n: usize) -> Result<()> {
        let n = n as u64;
        let used = self.used.fetch_add(n, Ordering::Relaxed).saturating_add(n);
        if used <= self.most {
            return Ok(());
        }
        let e = Error::invalid(OP, "limit", self.why).code_as(code::LIMIT_EXCEEDED);
        Err(e.with("most", self.most))
    }
}

/// Where samples are read, of which number and when.
#[derive(Debug)]
pub(in crate::telemetry) struct Reader<'a> {
    pub history: &'a History,
    pub metric: &'a str,
    pub samples: Budget,
}

/// What became of reading a thing.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Outcome {
    /// Whether the number was there once.
    pub known: bool,
    /// What could not be read.
    pub failed: Option<Error>,
    pub removed_before: Option<Timestamp>,
}

impl Reader<'_> {
    /// Gives each sample in the range to `each`, by time and sequence; NaN where one has no such number, or from where
    /// on one could not be read, if `gaps` are to be told.
    ///
    /// # Errors
    /// Those of `each`, and `ERR_LIMIT_EXCEEDED`. What cannot be read is no error here.
    pub fn read(
        &self,
        owner: &str,
        range: Range<i64>,
        gaps: bool,
        mut each: impl FnMut(i64, f64) -> Result<()>,
    ) -> Result<Outcome> {
        let mut out = Outcome::default();
        let (mut from, mut parts) = (range.start, 0_u32);
        while from < range.end {
            let next = (from.div_euclid(DAY_MS) + 1).saturating_mul(DAY_MS).min(range.end);
            match self.history.series_with_gaps(owner, self.metric, Timestamp(from)..Timestamp(next)) {
                Ok(series) => {
                    self.samples.take(series.points.len())?;
                    out.removed_before = out.removed_before.max(series.removed_before);
                    for (ts, value) in series.points {
                        out.known |= !value.is_nan();
                        each(ts, value)?;
                    }
                }
                Err(e) => {
                    parts += 1;
                    out.failed.get_or_insert_with(|| e.with("from", from).with("to", next));
                    if gaps {
                        each(from, f64::NAN)?;
                    }
                }
            }
            from = next;
        }
        if parts > 1 {
            out.failed = out.failed.map(|e| e.with("parts", parts));
        }
        Ok(out)
    }
}
