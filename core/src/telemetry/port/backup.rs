use crate::{
    Result,
    history::{BackupReport, History, RestoreReport},
    telemetry::{Disks, Telemetry},
};

/// What a [backup](Telemetry::backup) of both histories holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelemetryBackup {
    /// What things said.
    pub readings: BackupReport,
    /// Statistics.
    pub rows: BackupReport,
}

impl Telemetry {
    /// Copies what is durable of both histories into empty folders, while all goes on. Each is as it was at one commit of
    /// its own. Blocks until it is done.
    ///
    /// # Errors
    /// Those of [`History::backup`]. When the second fails the first is a backup all the same.
    pub fn backup(&self, target: &Disks) -> Result<TelemetryBackup> {
        let inner = &self.0;
        let now = inner.cx.clock.wall();
        let readings = inner.raw.backup(&*target.readings, now)?;
        let rows = inner.rows.backup(&*target.rows, now)?;
        for (file, problem) in readings.left_out.iter().chain(&rows.left_out) {
            tracing::error!(%file, %problem, "a damaged file of the history is not in the backup");
        }
        Ok(TelemetryBackup { readings, rows })
    }

    /// Writes both backups into empty folders, after both were checked. Gives what was written of readings and of
    /// statistics.
    ///
    /// # Errors
    /// Those of [`History::restore`]. Nothing is written when one of the backups is not sound.
    pub fn restore(from: &Disks, to: &Disks) -> Result<(RestoreReport, RestoreReport)> {
        History::check_backup(&*from.rows)?;
        let readings = History::restore(&*from.readings, &*to.readings)?;
        let rows = History::restore(&*from.rows, &*to.rows)?;
        Ok((readings, rows))
    }
}
