use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// What goes wrong in a device. A device holds one fault of each kind; see [`Device::fault`](crate::Device::fault).
///
/// In JSON it is an object with `kind`, `{"kind": "ignoreWrites"}`, and its members, of which times are in milliseconds:
/// `{"kind": "slow", "delayMs": 500}`. [`Lie`](Self::Lie) has no JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Accepts and reads, never answers and never acts.
    Hang,
    /// Acts, then closes the connection after so many bytes of the reply.
    Cut {
        /// Bytes that still arrive.
        after: usize,
    },
    /// Sends the reply in small pieces.
    Drip {
        /// Bytes in a piece.
        bytes: usize,
        /// Pause before each piece.
        #[serde(rename = "everyMs", deserialize_with = "millis")]
        every: Duration,
    },
    /// Reports well-formed values that are not true.
    #[serde(skip)]
    Lie(Lie),
    /// Sends bytes without end instead of the reply.
    Flood,
    /// Reported hashrate, power and temperatures move away from the truth by this fraction per hour.
    Drift {
        /// Fraction per hour; negative drifts downwards.
        per_hour: f64,
    },
    /// Restarts the whole device once: unreachable for so long, then up and ramping. Settings survive; a device that
    /// was told not to mine still does not.
    Reboot {
        /// How long nothing listens.
        #[serde(rename = "downMs", deserialize_with = "millis")]
        down: Duration,
    },
    /// Nothing listens: connections are refused, open ones are closed.
    Refuse,
    /// The coolant or air fails: temperatures rise until the device protects itself and stops mining.
    Overheat,
    /// Answers with bytes that are no message at all.
    Garbage,
    /// Answers with the first half of the message, then closes properly.
    HalfJson,
    /// Answers with a well-formed message blown up to at least this size.
    Oversized {
        /// Bytes of the message.
        bytes: usize,
    },
    /// Answers after a pause.
    Slow {
        /// The pause.
        #[serde(rename = "delayMs", deserialize_with = "millis")]
        delay: Duration,
    },
    /// Executes writes but closes without a reply.
    Mute,
    /// Answers writes with success but changes nothing.
    IgnoreWrites,
    /// A hash board disappears.
    BoardLost {
        /// Its slot.
        slot: u8,
    },
    /// A fan stands still.
    FanFailed {
        /// Its number, from 0.
        fan: u8,
    },
    /// No pool answers: the device gets no work and hashes nothing.
    PoolsDead,
}

fn millis<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

impl Fault {
    /// Whether `other` replaces this one.
    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether the fault is in the machine rather than in what it says.
    pub(crate) fn is_physical(&self) -> bool {
        matches!(
            self,
            Self::Reboot { .. }
                | Self::Overheat
                | Self::BoardLost { .. }
                | Self::FanFailed { .. }
                | Self::PoolsDead
        )
    }
}

/// How a device misreports. All members stay well-formed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Lie {
    /// Everything is zero.
    Zero,
    /// Everything has the wrong sign.
    Negative,
    /// Everything is multiplied: a unit mistaken, a register overflowed.
    Factor(f64),
    /// Everything stays as it was when the fault began, clocks and counters too.
    Frozen,
}
