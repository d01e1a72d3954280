use std::{sync::Arc, time::Duration};

use crate::{
    Error, Result,
    history::{Disk, HistoryOptions},
};

use super::OP;

/// The folders of the two histories.
#[derive(Debug, Clone)]
pub struct Disks {
    /// What things said.
    pub readings: Arc<dyn Disk>,
    /// Statistics.
    pub rows: Arc<dyn Disk>,
}

/// How telemetry is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TelemetryOptions {
    /// How the history of readings is kept; its bound is 64 GiB.
    pub readings: HistoryOptions,
    /// How the history of statistics is kept; its bound is 16 GiB.
    pub rows: HistoryOptions,
    /// How long after its end a minute stays open for polls that began in it; 5 s.
    pub grace: Duration,
    /// How often all is made durable; 1 s.
    pub commit_every: Duration,
    /// Whether tail logs and statistics are what MiningOS itself would have stored (`mosCompatible`); no. The corrected
    /// statistics are kept beside them. `docs/statistics.md` says what is wrong with MiningOS's.
    pub mos_compatible: bool,
}

/// Bound of the statistics, bytes.
const ROWS_BOUND: u64 = 16 << 30;
const LONGEST_COMMIT: Duration = Duration::from_secs(60);

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            readings: HistoryOptions::default(),
            rows: HistoryOptions { bound_bytes: ROWS_BOUND, ..HistoryOptions::default() },
            grace: Duration::from_secs(5),
            commit_every: Duration::from_secs(1),
            mos_compatible: false,
        }
    }
}

impl TelemetryOptions {
    pub(super) fn check(&self) -> Result<()> {
        if self.commit_every.is_zero() || self.commit_every > LONGEST_COMMIT {
            return Err(Error::invalid(OP, "commit_every", "is more than nothing and at most a minute"));
        }
        Ok(())
    }
}
