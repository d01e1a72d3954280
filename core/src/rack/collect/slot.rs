use std::{fmt, sync::Arc};

use tokio::task::AbortHandle;

use super::{
    lanes::Class,
    options::Limits,
    reading::{Kept, Link, Reading, link},
    schedule::Place,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Thing,
    io::{Mono, Timestamp},
    model::{Snapshot, ThingConf},
};

/// A poll to start.
#[derive(Debug)]
pub(super) struct Flight {
    pub place: Place,
    pub target: Target,
}

/// What is polled.
#[derive(Debug)]
pub(super) enum Target {
    Open(Arc<dyn Thing>),
    /// To be opened with this.
    Closed(Result<ThingConf>),
}

/// A configuration that waits until its thing is opened, once as a rule: as JSON text it takes a quarter of the room.
pub(super) struct PackedConf(Box<[u8]>);

impl PackedConf {
    pub fn new(conf: &ThingConf) -> Self {
        // Names, texts and numbers always can be written, and what could not is told when the thing is opened.
        Self(serde_json::to_vec(conf).unwrap_or_default().into())
    }

    /// Whether it is this configuration.
    #[cfg(feature = "store")]
    pub fn is(&self, conf: &ThingConf) -> bool {
        self.0 == Self::new(conf).0
    }

    fn unpack(&self) -> Result<ThingConf> {
        serde_json::from_slice(&self.0).map_err(|e| {
            // The error's own text can quote a password.
            let text = format!("a configuration cannot be read back ({:?})", e.classify());
            Error::new(ErrorKind::Internal, "collector.open", text)
        })
    }
}

impl fmt::Debug for PackedConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedConf").finish_non_exhaustive()
    }
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
    pub id: ThingId,
    pub conf: PackedConf,
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
    pub fn new(conf: &ThingConf) -> Self {
        Self {
            id: conf.id.clone(),
            conf: PackedConf::new(conf),
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

    pub fn target(&self) -> Target {
        match &self.thing {
            Some(thing) => Target::Open(Arc::clone(thing)),
            None => Target::Closed(self.conf.unpack()),
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
