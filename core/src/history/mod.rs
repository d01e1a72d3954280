//! What things said, kept for years: a durable log, sealed into parts, and one checksummed columnar file per UTC day.
//!
//! Samples are appended, can be read at once, and are durable after a commit. [`History::maintain`] does the rest, in
//! bounded pieces: a log becomes parts, parts become a day's file, and the oldest days go when the bound is reached.
//! The format of the files is in `docs/history.md`.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use headframe_core::{Result, io::Timestamp};
//! # use headframe_core::history::{FolderDisk, History, HistoryOptions, Sample, Shape};
//! # fn example(now: Timestamp) -> Result<()> {
//! let disk = Arc::new(FolderDisk::open("site/history")?);
//! let (history, _) = History::create(disk, HistoryOptions::default(), now)?;
//! let shape = Shape::new(["stats.power_w", "stats.hashrate_mhs.t_5m"])?;
//! let values = [3_421.0, 112_000_000.5];
//! history.append(&[Sample { owner: "miner-1", ts: now, shape: &shape, values: &values, texts: None }])?;
//! history.commit()?;
//! while history.maintain(now)?.is_some() {}
//! let power = history.series("miner-1", "stats.power_w", Timestamp(0)..Timestamp(now.0 + 1))?;
//! assert_eq!(power.points, [(now.0, 3_421.0)]);
//! # Ok(())
//! # }
//! ```
//!
//! Numbers come back bit by bit. A damaged byte is an error with `ERR_HISTORY_CORRUPT` for those who ask for what it
//! belongs to, never a wrong number.

mod backup;
mod bytes;
mod catalog;
mod check;
mod chunk;
mod column;
mod disk;
mod fault;
mod folder;
mod handle;
#[allow(clippy::module_inception, reason = "the type that the module is named after")]
mod history;
mod index;
mod line;
mod log;
mod maintain;
#[cfg(feature = "testkit")]
mod mem;
mod merge;
mod name;
mod number;
mod open;
mod query;
mod record;
mod scan;
mod seal;
mod sealed;
mod table;
mod types;
mod writer;

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

pub use backup::{BackupFile, BackupReport, RestoreReport};
pub(crate) use backup::{CheckedBackup, MANIFEST as BACKUP_MANIFEST};
pub use disk::{Disk, DiskFile};
pub use fault::code;
pub use folder::FolderDisk;
pub use history::History;
#[cfg(feature = "testkit")]
pub use mem::{DiskPlan, MemDisk};
pub use query::RowsQuery;
pub use types::{
    Columns, HistoryOptions, HistoryRow, HistoryStats, MAX_MEMBER_BYTES, MAX_MEMBERS, MAX_OWNER_BYTES,
    MAX_TEXT_BYTES, MAX_TS, Maintained, OpenReport, Rows, Sample, Series, Shape, TextChange, VerifiedFile,
};
