//! Rows that are made anew from the readings that were kept.
//!
//! A row can be wrong when it is given out: a reading of its minute came later, the clock jumped back, or the process ended
//! within the minute. Such minutes are **dirty**. Once a minute is over by the clock and closed by the engine, each thing's
//! readings are read back, counted by the same columns and holds as when they came, and the rows of sets that changed are
//! appended again with `rev` one higher; then so are the longer windows with the minute in them, and those that are still
//! being filled are corrected. Rows of sets that did not change stay: they are right.
//!
//! Readings of one thing are taken in order of time, and of their sequence where the time is the same, so a clock that ran
//! through some minutes twice leaves the readings of both passes in them.
//!
//! **Which things count.** Those that the rack has, and for a day those that left it while the process ran, each where it
//! stood at the time as far as this process saw it. After a restart it is where things stand now: what left the rack
//! before is not known to have been the rack's, so it is missing in minutes that the restart cut. Poll intervals are
//! those of now, too.
//!
//! **Bounds.** A tick does one piece for each rack: it reads a number of things, and writes the rows of a few minutes once all
//! are read. Where things are so many that it takes several ticks, minutes wait for each other. Minutes that wait are bounded; what is given up is counted in `rebuilds_dropped`, and its rows stay as they are.
//!
//! **When the process ends.** Which minutes wait is noted with the rows once a tick, before readings are made durable, so a
//! later run makes them anew. After a kill only a late reading of the last moment can be without its note.

mod dirty;
mod job;
mod pending;
mod restart;
mod rows;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

use std::collections::BTreeMap;

pub(super) use dirty::Dirty;
use job::{Job, THINGS};

use super::Inner;
use crate::{Error, io::Timestamp, model::RackId, stats::live::Window};

/// One minute in ms.
const MINUTE: i64 = Window::M1.length_ms();

/// Rebuilds that are under way, one for each rack at most.
#[derive(Debug, Default)]
pub(super) struct Rebuilds {
    jobs: BTreeMap<RackId, Job>,
    noted: BTreeMap<RackId, Noted>,
}

/// Which minutes of a rack wait, as it was noted last.
#[derive(Debug, Default)]
struct Noted {
    ts: Timestamp,
    /// Each `[from, until)`.
    spans: Vec<(i64, i64)>,
}

impl Inner {
    /// Does a piece of what is to be made anew of each rack.
    pub(super) fn rebuild(&self, tick: u64) {
        let mut rebuilds = self.rebuilds();
        let racks: Vec<RackId> = self.racks().keys().cloned().collect();
        for rack in racks {
            let Some(mut job) = rebuilds.jobs.remove(&rack).or_else(|| self.begin(&rack, tick)) else {
                continue;
            };
            match job.read(&self.raw) {
                Ok(true) => match self.make_anew(&rack, &job) {
                    Ok(rewritten) => {
                        if let Some(stats) = self.racks().get_mut(&rack) {
                            stats.dirty.rebuilt += rewritten;
                        }
                    }
                    Err(error) => self.give_back(&rack, job, tick, &error),
                },
                Ok(false) => drop(rebuilds.jobs.insert(rack, job)),
                Err(error) => self.give_back(&rack, job, tick, &error),
            }
        }
    }

    /// Minutes until then are over by the clock.
    fn over(&self) -> Timestamp {
        let grace = i64::try_from(self.options.grace.as_millis()).unwrap_or(0);
        Timestamp(self.cx.clock.wall().0.saturating_sub(grace))
    }

    /// Takes some dirty minutes of a rack.
    fn begin(&self, rack: &RackId, tick: u64) -> Option<Job> {
        let over = self.over();
        let removed = self.raw.begins().1;
        let mut racks = self.racks();
        let stats = racks.get_mut(rack)?;
        let cheap = stats.members.len() <= THINGS;
        let minutes = stats.dirty.take(stats.open_from().min(over), tick, cheap);
        let longest = stats.holds().longest();
        let is_there = |start: i64| removed.is_none_or(|removed| removed.0 <= start.saturating_sub(longest));
        let (there, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            minutes.into_iter().partition(|(start, _)| is_there(*start));
        stats.dirty.drop_all(gone.len());
        (!there.is_empty()).then(|| Job::new(stats, there))
    }

    fn give_back(&self, rack: &RackId, job: Job, tick: u64, error: &Error) {
        self.failed(error, "a rebuild of rows");
        let mut racks = self.racks();
        let Some(stats) = racks.get_mut(rack) else { return };
        let dropped = stats.dirty.failed(job.minutes, tick);
        if dropped > 0 {
            tracing::error!(%error, %rack, minutes = dropped, "rows that should be made anew stay as they are");
        }
    }
}
