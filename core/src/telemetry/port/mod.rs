//! History brought in from MiningOS, given out as CSV, Arrow or Parquet, and copied as a whole.

#[cfg(feature = "arrow")]
pub mod arrow;
mod backup;
mod csv;
mod export;
mod import;
mod line;
#[cfg(feature = "parquet")]
mod parquet;
mod readings;
mod results;
mod table;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
mod there;

use crate::{Error, ErrorKind};
pub use backup::TelemetryBackup;
pub use export::{ExportQuery, Exported};
pub use import::{ImportOptions, Imported};

/// The stable codes of this module's errors.
pub mod code {
    /// The input could not be read.
    pub const INPUT: &str = "ERR_IMPORT_INPUT";
    /// A line or row of the input cannot be taken.
    pub const LINE: &str = "ERR_IMPORT_LINE";
    /// The output could not be written.
    pub const OUTPUT: &str = "ERR_EXPORT_OUTPUT";
    /// There are more members than a table is made of.
    pub const COLUMNS: &str = "ERR_EXPORT_COLUMNS";
}

const DAY_MS: i64 = 86_400_000;

/// The output took no more.
fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    let text = format!("the output could not be written: {e}. What was written is not all");
    Error::new(ErrorKind::Unreachable, table::OP, text).code_as(code::OUTPUT).caused_by(e)
}
