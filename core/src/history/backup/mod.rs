//! A copy of a history that is taken while it is written to, and put back where it is checked first.

mod copy;
mod manifest;
mod restore;
mod take;

pub use manifest::BackupFile;
pub(crate) use restore::CheckedBackup;
pub(super) use restore::refuse;

use super::fault::code;
use crate::{Error, ErrorKind, io::Timestamp};

/// The file that makes a folder a backup. It is written last.
pub(crate) const MANIFEST: &str = "history.backup";
/// The file that says that a folder is being filled by a restore, and is no history yet.
const RESTORING: &str = "history.restoring";

const OP_BACKUP: &str = "history.backup";
const OP_RESTORE: &str = "history.restore";

/// What a [backup](super::History::backup) holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The last sequence that is in it: samples up to it are, in so far as they were not removed to keep the bound.
    pub sequence: u64,
    /// Samples in it.
    pub samples: u64,
    /// Its files, without the manifest.
    pub files: Vec<BackupFile>,
    /// Damaged files of the history, and what is wrong with each: the backup goes without them.
    pub left_out: Vec<(String, String)>,
}

impl BackupReport {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// What a [restore](super::History::restore) wrote, or could write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// When the backup was begun.
    pub taken: Timestamp,
    /// Files of the backup.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were damaged when the backup was taken, and are not in it.
    pub left_out: Vec<String>,
}

/// What was found is no backup, or not all of one.
fn invalid(what: &str) -> Error {
    let text = format!("{what}: the backup cannot be relied on. Nothing was written; use another backup");
    Error::new(ErrorKind::Corrupt, OP_RESTORE, text).code_as(code::BACKUP_INVALID)
}

/// A folder that should be empty is not.
fn not_empty(op: &'static str, file: &str) -> Error {
    let text = "the folder is not empty: give an empty one. It was left unchanged";
    Error::new(ErrorKind::Conflict, op, text).code_as(code::EXISTS).with("file", file)
}
