use std::fmt;

use crate::io::Timestamp;

/// A window of the statistics, aligned to the wall clock in UTC. Each is a whole number of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// One minute.
    M1,
    /// Five minutes.
    M5,
    /// A quarter of an hour.
    M15,
    /// Half an hour.
    M30,
    /// Three hours.
    H3,
    /// One day.
    D1,
}

impl Window {
    /// All of them, finest first.
    pub const ALL: [Self; 6] = [Self::M1, Self::M5, Self::M15, Self::M30, Self::H3, Self::D1];

    /// The windows that are made of finer ones, finest first.
    pub(super) const COARSE: [Self; 5] = [Self::M5, Self::M15, Self::M30, Self::H3, Self::D1];

    /// Its length in ms.
    pub const fn length_ms(self) -> i64 {
        match self {
            Self::M1 => 60_000,
            Self::M5 => 300_000,
            Self::M15 => 900_000,
            Self::M30 => 1_800_000,
            Self::H3 => 10_800_000,
            Self::D1 => 86_400_000,
        }
    }

    /// MiningOS's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::M1 => "stat-1m",
            Self::M5 => "stat-5m",
            Self::M15 => "stat-15m",
            Self::M30 => "stat-30m",
            Self::H3 => "stat-3h",
            Self::D1 => "stat-1D",
        }
    }

    /// The window with MiningOS's name `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.name() == name)
    }

    /// Start of the window that holds `ts`.
    pub const fn start_of(self, ts: Timestamp) -> Timestamp {
        Timestamp(ts.0.saturating_sub(ts.0.rem_euclid(self.length_ms())))
    }

    /// End of the window that holds `ts`: the first moment after it.
    pub const fn end_of(self, ts: Timestamp) -> Timestamp {
        Timestamp(self.start_of(ts).0.saturating_add(self.length_ms()))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
