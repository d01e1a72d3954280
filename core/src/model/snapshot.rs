use std::fmt;

use serde::{Deserialize, Serialize};

use super::{MinerSnapshot, MinerStats};

/// What a thing said at one time, by kind of thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Snapshot {
    /// A miner's.
    Miner(Box<MinerSnapshot>),
}

impl Snapshot {
    /// The miner's snapshot, if it is one.
    pub fn miner(&self) -> Option<&MinerSnapshot> {
        match self {
            Self::Miner(miner) => Some(miner),
        }
    }

    /// MiningOS's status.
    pub fn status(&self) -> Status {
        match self {
            Self::Miner(miner) => miner.stats.status,
        }
    }

    /// Headframe's state.
    pub fn state(&self) -> State {
        match self {
            Self::Miner(miner) => miner.stats.state,
        }
    }

    /// MiningOS's form for a thing that does not answer:
    /// `{"success":false,"stats":{"status":"offline"}}`, with our state beside it.
    pub fn offline() -> Self {
        Self::failed(Status::Offline, State::Unreachable)
    }

    /// The form for a thing that answered what cannot be used; the reason stands in `stats.errors`.
    pub fn unusable(message: &str, at: crate::io::Timestamp) -> Self {
        let Self::Miner(mut miner) = Self::failed(Status::Error, State::Unknown);
        miner.stats.errors.push(super::DeviceError {
            msg: Some(message.into()),
            timestamp: Some(at),
            ..super::DeviceError::default()
        });
        Self::Miner(miner)
    }

    fn failed(status: Status, state: State) -> Self {
        Self::Miner(Box::new(MinerSnapshot {
            success: false,
            raw_errors: None,
            stats: MinerStats { status, state, ..MinerStats::default() },
            ..MinerSnapshot::default()
        }))
    }
}

impl From<MinerSnapshot> for Snapshot {
    fn from(mut miner: MinerSnapshot) -> Self {
        // It is kept until the next one: what the lists reserved in growing would be kept with it.
        miner.shrink();
        Self::Miner(Box::new(miner))
    }
}

/// MiningOS's `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// No answer for longer than the time-out.
    #[default]
    Offline,
    /// Stopped by order.
    Sleeping,
    /// Hashing.
    Mining,
    /// The device reports at least one error, even while it hashes.
    Error,
    /// Not hashing, and not by order.
    NotMining,
}

/// What the device is doing, finer than MiningOS's [`Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Hashing as it should.
    Hashing,
    /// Hashing, but with errors, missing boards or far below nominal.
    Degraded,
    /// Stopped because somebody ordered it: sleep or curtailment.
    Idle,
    /// On its way up: booting, tuning, no hashrate yet.
    Starting,
    /// Not hashing although it should.
    Fault,
    /// Does not answer.
    Unreachable,
    /// The last snapshot is too old to speak for now.
    Stale,
    /// It answered, but not enough to tell.
    #[default]
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hashing => "hashing",
            Self::Degraded => "degraded",
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Fault => "fault",
            Self::Unreachable => "unreachable",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
        })
    }
}

/// Why a member of a snapshot is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MissingReason {
    /// The model or firmware does not report it.
    NotReported,
    /// The device reports its own mark for unknown (−1 W, −273 °C, an empty text).
    Sentinel,
    /// The command or page that carries it got no answer.
    NoReply,
    /// The device refused the command that carries it.
    Refused,
    /// The reply could not be understood.
    BadReply,
    /// The value is outside what is physically possible.
    Implausible,
    /// The device sleeps and reports nothing meanwhile.
    Asleep,
    /// It is computed from a value that is itself missing.
    Derived,
}
