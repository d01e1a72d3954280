//! What is due: closing the log, sealing logs, merging parts, making days.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    catalog::Core,
    fault::{code, is_gone},
    log::Log,
    merge::MergeJob,
    name::{DAY_MS, Kind},
    seal::SealJob,
    sealed::Sealed,
    types::Maintained,
};
use crate::{Result, io::Timestamp};

/// A day that still grows is merged when it has more parts than this.
const MOST_PARTS: usize = 12;
/// How many parts become one then.
const MERGED_PARTS: usize = 8;
/// Late parts that are merged into a day's file without waiting for others.
const LATE_PARTS: usize = 4;

/// The piece of work that is under way, and what cannot be worked on.
#[derive(Default)]
pub(super) struct Work {
    job: Option<Job>,
    /// Days and logs with damage: they stay as they are.
    pub stuck_days: BTreeSet<i32>,
    stuck_logs: BTreeSet<u32>,
}

enum Job {
    Seal(Box<SealJob>),
    Merge(Box<MergeJob>),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("stuck_days", &self.stuck_days).finish_non_exhaustive()
    }
}

/// Whether the open log should be closed.
pub(super) fn rotation_due(core: &Core, log: &Log, now: Timestamp) -> bool {
    let state = log.state();
    if state.records == 0 {
        return false;
    }
    let grace = millis(core.options.day_grace);
    let age = now.0.saturating_sub(log.header.created);
    // What comes later than this for an ended day waits for the log's age.
    let ended = state.days.keys().any(|day| {
        let due = (i64::from(*day) + 1) * DAY_MS + grace;
        log.header.created < due && due <= now.0
    });
    ended || age >= millis(core.options.seal_age) || state.written >= core.options.seal_log_bytes
}

fn millis(d: std::time::Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

impl Work {
    /// Goes on with the piece of work, or begins the next; `open` is the log that is not to be sealed.
    pub fn step(&mut self, core: &Arc<Core>, open: u32, now: Timestamp) -> Result<Option<Maintained>> {
        if self.job.is_none() {
            self.job = self.next(core, open, now)?;
        }
        let budget = core.options.step_values;
        let done = match &mut self.job {
            None => return Ok(None),
            Some(Job::Seal(job)) => job.step(core, now.0, budget),
            Some(Job::Merge(job)) => job.step(core, now.0, budget),
        };
        match done {
            Ok(Some(Maintained::Working)) => Ok(Some(Maintained::Working)),
            Ok(done) => {
                self.job = None;
                Ok(done)
            }
            Err(e) => {
                match self.job.take() {
                    Some(Job::Seal(mut job)) => {
                        job.abandon(core);
                        if e.code() == code::CORRUPT {
                            self.stuck_logs.insert(job.log.header.number);
                        }
                    }
                    Some(Job::Merge(job)) if e.code() == code::CORRUPT => {
                        self.stuck_days.insert(job.day);
                    }
                    _ => {}
                }
                // The day went to make room: there is nothing left to merge.
                if is_gone(&e) { Ok(Some(Maintained::Working)) } else { Err(e) }
            }
        }
    }

    fn next(&self, core: &Arc<Core>, open: u32, now: Timestamp) -> Result<Option<Job>> {
        let (log, merge) = {
            let catalog = core.catalog();
            let mut logs = catalog.logs.iter().filter(|(n, _)| **n != open && !self.stuck_logs.contains(n));
            let log = logs.next().map(|(_, log)| log.clone());
            let mut days = catalog.days.iter().filter(|(day, _)| !self.stuck_days.contains(day));
            (log, days.find_map(|(day, files)| due(core, *day, files, now)))
        };
        if let Some(log) = log {
            let number = log.header.number;
            return SealJob::new(core, log)
                .map(|job| Some(Job::Seal(Box::new(job))))
                .map_err(|e| e.with("log", number));
        }
        Ok(merge.map(|job| Job::Merge(Box::new(job))))
    }
}

/// The merge that a day needs.
fn due(core: &Core, day: i32, files: &[Arc<Sealed>], now: Timestamp) -> Option<MergeJob> {
    let (days, mut parts): (Vec<_>, Vec<_>) =
        files.iter().cloned().partition(|file| matches!(file.kind, Kind::Day { .. }));
    let options = &core.options;
    let ended = (i64::from(day) + 1) * DAY_MS + millis(options.day_grace) <= now.0;
    let created = parts.iter().filter_map(|p| p.info.as_ref()).map(|info| info.created).min();
    let late = |created: i64| now.0.saturating_sub(created) >= millis(options.late_after);
    let make = match days.len() {
        0 => !parts.is_empty(),
        1 => parts.len() >= LATE_PARTS || created.is_some_and(late),
        _ => true,
    };
    if ended && make {
        return Some(MergeJob::new(Kind::Day { day }, day, files.to_vec()));
    }
    (parts.len() > MOST_PARTS).then(|| {
        parts.sort_by_key(|part| part.bytes);
        parts.truncate(MERGED_PARTS);
        MergeJob::new(Kind::Part { day }, day, parts)
    })
}
