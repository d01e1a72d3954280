use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::options::Limits;
use crate::{
    Error, ErrorKind, ThingId,
    io::{Mono, Timestamp},
    model::{Snapshot, State},
};

/// Whether what is known of a thing can be trusted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Link {
    /// Its last poll gave a snapshot that is not stale.
    Online,
    /// It answered its last poll, but not usably: wrong credentials, an unknown reply, a defect of the driver.
    Error,
    /// It cannot be reached and gave no good answer for a while.
    Offline,
    /// The last good snapshot is too old, or the thing missed a poll shortly after a good one.
    Stale,
    /// No poll has ended yet.
    Never,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Online => "online",
            Self::Error => "error",
            Self::Offline => "offline",
            Self::Stale => "stale",
            Self::Never => "never",
        })
    }
}

/// The last good snapshot of a thing, with its age.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Good {
    /// What the thing said.
    pub snapshot: Arc<Snapshot>,
    /// When it said it, by the wall clock.
    pub ts: Timestamp,
    /// How old it is, by the monotonic clock.
    pub age: Duration,
}

/// What one poll brought.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reading {
    /// Whose it is.
    pub thing: ThingId,
    /// Number of this reading among those of the thing since it was added, from 1, without gaps.
    pub seq: u64,
    /// When the poll ended.
    pub ts: Timestamp,
    /// How long the poll took, opening included.
    pub took: Duration,
    /// What the thing said, or why that is not known.
    pub outcome: Result<Arc<Snapshot>, Arc<Error>>,
    /// How the thing stood when the poll ended.
    pub link: Link,
    /// The last good snapshot by then: of this poll with age zero, or of an earlier one.
    pub good: Option<Good>,
}

impl Reading {
    /// A good reading, for programs that measure or test what takes readings.
    #[cfg(feature = "testkit")]
    pub fn made(thing: ThingId, seq: u64, ts: Timestamp, took: Duration, snapshot: Snapshot) -> Self {
        Self { thing, seq, ts, took, outcome: Ok(Arc::new(snapshot)), link: Link::Online, good: None }
    }

    /// The reading in MiningOS's form: the snapshot itself, `offline` for a thing that cannot be reached, or
    /// `error` for one that answered or was seen a moment ago, with the error's code as `msg` and its whole text
    /// beside it. Never an older snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let error = match &self.outcome {
            Ok(snapshot) => return Arc::clone(snapshot),
            Err(error) => error,
        };
        if self.link == Link::Offline {
            return Arc::new(Snapshot::offline());
        }
        let mut snapshot = Snapshot::unusable(error.code(), self.ts);
        let Snapshot::Miner(miner) = &mut snapshot;
        if let Some(reason) = miner.stats.errors.first_mut() {
            reason.text = Some(error.to_string());
        }
        if self.link == Link::Stale {
            miner.stats.state = State::Stale;
        }
        Arc::new(snapshot)
    }
}

/// How a thing stands now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ThingState {
    /// Whether what is known can be trusted now.
    pub link: Link,
    /// The last good snapshot and its age now.
    pub good: Option<Good>,
    /// The last reading.
    pub last: Option<Arc<Reading>>,
    /// How many polls in a row it missed.
    pub misses: u32,
}

/// What the collector keeps of a good snapshot.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub snapshot: Arc<Snapshot>,
    pub ts: Timestamp,
    pub at: Mono,
}

impl Kept {
    pub fn good(&self, now: Mono) -> Good {
        Good { snapshot: Arc::clone(&self.snapshot), ts: self.ts, age: now.since(self.at) }
    }
}

/// Whether an error means that nothing answered.
pub(super) fn unreached(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout)
}

/// Tells apart how a thing stands `now`. `last` is the error of the last poll, if it failed, and when that ended.
pub(super) fn link(
    limits: &Limits,
    last: Option<(Option<&Error>, Mono)>,
    good: Option<Mono>,
    now: Mono,
) -> Link {
    let old = |at: Mono, limit: Duration| now.since(at) > limit;
    match last {
        None => Link::Never,
        Some((Some(error), _)) if unreached(error) => match good {
            Some(at) if !old(at, limits.offline_after) => Link::Stale,
            _ => Link::Offline,
        },
        Some((_, at)) if old(at, limits.stale_after) => Link::Stale,
        Some((Some(_), _)) => Link::Error,
        Some((None, _)) => Link::Online,
    }
}
