use std::sync::Arc;

use tokio::task::AbortHandle;

use super::{
    lanes::Class,
    options::Limits,
    reading::{Kept, Link, Reading, link},
    schedule::Place,
};
use crate::{
    Result,
    driver::Thing,
    io::{Mono, Timestamp},
    model::{Snapshot, ThingConf},
};

/// A poll to start.
#[derive(Debug)]
pub(super) struct Flight {
    pub place: Place,
    pub conf: Arc<ThingConf>,
    pub thing: Option<Arc<dyn Thing>>,
}

/// How a poll ended.
#[derive(Debug)]
pub(super) enum Landed {
    /// By itself, at this time.
    Done { result: Result<Snapshot>, at: Mono, ts: Timestamp },
    /// The driver panicked.
    Panicked { text: String, ts: Timestamp },
    /// It was told to end.
    Ended { ts: Timestamp },
}

/// Why a running poll was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Wanted,
    Expired,
    Cut,
    /// The thing was removed or changed, or the collector stops: its result is nobody's any more.
    Unwanted,
}

/// What a thing's poll does now.
#[derive(Debug)]
pub(super) enum Run {
    Idle,
    Waiting { due: Mono },
    Flying { started: Mono, due: Mono, slow: bool, task: Option<AbortHandle>, fate: Fate },
}

/// One thing.
#[derive(Debug)]
pub(super) struct Slot {
    pub conf: Arc<ThingConf>,
    pub thing: Option<Arc<dyn Thing>>,
    pub run: Run,
    pub proven: bool,
    /// It was removed while a poll ran, and goes when that has ended.
    pub leaving: bool,
    pub misses: u32,
    pub seq: u64,
    pub good: Option<Kept>,
    pub last: Option<(Arc<Reading>, Mono)>,
}

impl Slot {
    pub fn new(conf: ThingConf) -> Self {
        Self {
            conf: Arc::new(conf),
            thing: None,
            run: Run::Idle,
            proven: false,
            leaving: false,
            misses: 0,
            seq: 0,
            good: None,
            last: None,
        }
    }

    pub fn class(&self) -> Class {
        match (self.misses, self.proven) {
            (0, true) => Class::Proven,
            (0, false) => Class::New,
            _ => Class::Slow,
        }
    }

    pub fn link(&self, limits: &Limits, now: Mono) -> Link {
        let last = self.last.as_ref().map(|(r, at)| (r.outcome.as_ref().err().map(AsRef::as_ref), *at));
        link(limits, last, self.good.as_ref().map(|good| good.at), now)
    }
}
