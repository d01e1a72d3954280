use std::{collections::HashSet, sync::Arc, time::Duration};

use super::fault::{OP_APPEND, OP_OPEN};
use crate::{Error, Result, io::Timestamp};

/// Longest owner in bytes.
pub const MAX_OWNER_BYTES: usize = 128;
/// Most members of a shape.
pub const MAX_MEMBERS: usize = 4_096;
/// Longest name of a member in bytes.
pub const MAX_MEMBER_BYTES: usize = 256;
/// Longest text of a sample in bytes.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// Last ms of the year 9999; earlier than 1970 is not kept either.
pub const MAX_TS: i64 = 253_402_300_799_999;

/// Names of numeric members in the order of a sample's values. Things of a kind share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(Box<[Box<str>]>);

impl Shape {
    /// A shape of these members.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for more than 4,096 members, for a name of no or more than 256 bytes,
    /// and for a name that comes twice.
    pub fn new<S: Into<Box<str>>>(members: impl IntoIterator<Item = S>) -> Result<Arc<Self>> {
        let members: Box<[Box<str>]> = members.into_iter().take(MAX_MEMBERS + 1).map(Into::into).collect();
        if members.len() > MAX_MEMBERS {
            return Err(Error::invalid(OP_APPEND, "members", "a sample has at most 4,096 members"));
        }
        if let Some(bad) = members.iter().find(|name| name.is_empty() || name.len() > MAX_MEMBER_BYTES) {
            let text = "the name of a member has 1 to 256 bytes";
            return Err(Error::invalid(OP_APPEND, "members", text).with("bytes", bad.len()));
        }
        let mut seen = HashSet::with_capacity(members.len());
        if let Some(twice) = members.iter().find(|name| !seen.insert(&***name)) {
            return Err(Error::invalid(OP_APPEND, "members", "a member comes twice").with("member", twice));
        }
        Ok(Arc::new(Self(members)))
    }

    /// The members.
    pub fn members(&self) -> &[Box<str>] {
        &self.0
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a member stands.
    pub fn position(&self, member: &str) -> Option<usize> {
        self.0.iter().position(|name| **name == *member)
    }
}

/// What one thing said once.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Whose it is: a thing's id, or the name of a statistics log; 1 to 128 bytes.
    pub owner: &'a str,
    /// When it was said.
    pub ts: Timestamp,
    /// The members of `values`.
    pub shape: &'a Arc<Shape>,
    /// Values in the shape's order; NaN is an absent member, infinities count as absent.
    pub values: &'a [f64],
    /// The textual members as one JSON object, given only when they changed since the owner's sample before.
    pub texts: Option<&'a str>,
}

/// How a history keeps what it is given.
#[derive(Debug, Clone)]
pub struct HistoryOptions {
    /// Most bytes that the folder's files take, also while files are merged. The oldest days go first.
    pub bound_bytes: u64,
    /// The open log is sealed once it has this many bytes.
    pub seal_log_bytes: u64,
    /// The open log is sealed once it is this old.
    pub seal_age: Duration,
    /// How long after a day's end its file is made, for samples that come late.
    pub day_grace: Duration,
    /// How long a part that came after its day's file waits for others before it is merged into that.
    pub late_after: Duration,
    /// Most bytes that wait for a commit.
    pub max_block_bytes: usize,
    /// Most files that are kept open for reading.
    pub max_open_files: usize,
    /// Most rows of one answer.
    pub max_rows: usize,
    /// About how many values one call of [`maintain`](super::History::maintain) handles.
    pub step_values: usize,
    /// pco's level for day files, 0 to 12.
    pub level: usize,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            bound_bytes: 64 << 30,
            seal_log_bytes: 64 << 20,
            seal_age: Duration::from_secs(3_600),
            day_grace: Duration::from_secs(900),
            late_after: Duration::from_secs(6 * 3_600),
            max_block_bytes: 64 << 20,
            max_open_files: 64,
            max_rows: 8 << 20,
            step_values: 2 << 20,
            level: 4,
        }
    }
}

impl HistoryOptions {
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |field, text: &str| Err(Error::invalid(OP_OPEN, field, text));
        if self.bound_bytes < self.seal_log_bytes.saturating_mul(8) {
            return wrong("bound_bytes", "the bound is at least eight times seal_log_bytes");
        }
        if self.bound_bytes < (self.max_block_bytes as u64).saturating_mul(4) {
            return wrong("bound_bytes", "the bound is at least four times max_block_bytes");
        }
        if self.max_block_bytes > 64 << 20 || self.max_block_bytes < 4 << 10 {
            return wrong("max_block_bytes", "a block has 4 KiB to 64 MiB");
        }
        if self.level > 12 {
            return wrong("level", "the level is 0 to 12");
        }
        if self.max_open_files == 0 || self.max_rows == 0 || self.step_values == 0 {
            return wrong("max_open_files", "max_open_files, max_rows and step_values are at least 1");
        }
        Ok(())
    }
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Logs of earlier runs, to be sealed.
    pub logs: usize,
    /// Records in them.
    pub records: u64,
    /// Bytes cut from the end of the last log: a commit that was never acknowledged.
    pub cut_bytes: u64,
    /// Files that an interrupted step left, removed.
    pub leftovers: usize,
    /// Damaged files, and what is wrong with each. Other files can be read.
    pub damaged: Vec<(String, String)>,
    /// Files in the folder that are not the history's.
    pub foreign: Vec<String>,
}

/// Values of one member in time order.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// Time in ms and value, by time and, within one time, by sequence.
    pub points: Vec<(i64, f64)>,
    /// A part of the range was removed to keep the bound: what is earlier than this is not complete.
    pub removed_before: Option<Timestamp>,
}

/// One row of an owner.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// When it was said.
    pub ts: Timestamp,
    /// Its place in the order in which samples came.
    pub seq: u64,
    /// Values in the order of [`Rows::members`]; NaN where absent.
    pub values: Box<[f64]>,
}

/// Rows of an owner.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Rows {
    /// The members of the rows' values.
    pub members: Vec<Box<str>>,
    /// The rows, by time and sequence.
    pub rows: Vec<HistoryRow>,
    /// A part of the range was removed to keep the bound: what is earlier than this is not complete.
    pub removed_before: Option<Timestamp>,
}

/// Rows of an owner, column by column.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Columns {
    /// The members of the columns.
    pub members: Vec<Box<str>>,
    /// Time of each row in ms, by time and sequence.
    pub ts: Vec<i64>,
    /// For each member its value in each row; NaN where absent.
    pub values: Vec<Vec<f64>>,
    /// A part of the range was removed to keep the bound: what is earlier than this is not complete.
    pub removed_before: Option<Timestamp>,
}

/// A text and when it began to hold.
pub type TextChange = (Timestamp, Arc<str>);

/// What a call of [`maintain`](super::History::maintain) did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maintained {
    /// A new log takes what comes; the one before is sealed next.
    Rotated {
        /// Number of the log that was closed.
        log: u32,
    },
    /// A part of a longer piece of work was done.
    Working,
    /// A log became parts and was removed.
    Sealed {
        /// Number of the log.
        log: u32,
        /// How many parts it became.
        parts: usize,
    },
    /// Parts of a day became one.
    Merged {
        /// The new file.
        file: String,
        /// How many files went in.
        from: usize,
    },
    /// A day's file was made.
    DayMade {
        /// The new file.
        file: String,
        /// How many files went in.
        from: usize,
    },
}

/// What is kept and what was done, since the history was opened where it counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryStats {
    /// Bytes of all files.
    pub bytes: u64,
    /// Samples in all files, and those that wait for a commit.
    pub samples: u64,
    /// Values in sealed files.
    pub sealed_values: u64,
    /// Days of which there is a file.
    pub days: usize,
    /// Logs that are not sealed, with the open one.
    pub logs: usize,
    /// The last sequence that was given.
    pub sequence: u64,
    /// The last sequence that is durable.
    pub durable_sequence: u64,
    /// Values that were infinite and count as absent.
    pub infinite_values: u64,
    /// Days, or parts of them, removed to keep the bound.
    pub removed_days: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Samples in them.
    pub removed_samples: u64,
    /// Days whose files cannot be merged, because one is damaged.
    pub stuck_days: usize,
}

/// What [`verify`](super::History::verify) found in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedFile {
    /// Its name.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// What is wrong with it.
    pub problems: Vec<String>,
}
