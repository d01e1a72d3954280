//! History brought in from MiningOS, given out as CSV, and copied as a whole.

mod backup;
mod csv;
mod export;
mod import;
mod line;
mod readings;
mod results;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
mod there;

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
