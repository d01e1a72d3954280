use std::{fmt, io};

use crate::{Error, ErrorKind};

/// The stable codes of this module's errors.
pub mod code {
    /// Another process, or another handle, has the store open.
    pub const LOCKED: &str = "STORE_LOCKED";
    /// There is no store.
    pub const MISSING: &str = "STORE_MISSING";
    /// There is a store, or a part of one, already.
    pub const EXISTS: &str = "STORE_EXISTS";
    /// The file has no bytes.
    pub const EMPTY: &str = "STORE_EMPTY";
    /// The file is not this kind of store.
    pub const FOREIGN: &str = "STORE_FOREIGN";
    /// The file is damaged or cut.
    pub const CORRUPT: &str = "STORE_CORRUPT";
    /// A newer release wrote the file.
    pub const NEWER: &str = "STORE_NEWER";
    /// The file is older than what this release can take over.
    pub const TOO_OLD: &str = "STORE_TOO_OLD";
    /// The disk is full.
    pub const FULL: &str = "STORE_FULL";
    /// The disk failed.
    pub const IO: &str = "STORE_IO";
    /// The disk lost commits that it had confirmed.
    pub const LOST: &str = "STORE_LOST";
    /// The key that unseals secrets is missing or wrong.
    pub const KEY: &str = "STORE_KEY";
    /// Too many commits wait already.
    pub const BUSY: &str = "STORE_BUSY";
}

/// Why the file could not be used.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    Io(io::ErrorKind, String),
    Empty,
    Foreign(String),
    Damaged(String),
    Newer { found: u32, known: u32 },
    TooOld { found: u32 },
    Lost { acknowledged: u64, found: u64 },
    Key(String),
}

/// A block whose bytes are not those that were written; travels inside an [`io::Error`] through the engine.
#[derive(Debug)]
pub(super) struct DamagedBlock(pub u64);

impl fmt::Display for DamagedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the block at byte {} is not what was written", self.0.saturating_mul(4096))
    }
}

impl std::error::Error for DamagedBlock {}

impl Fault {
    pub(super) fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
        matches!(self, Self::Io(kind, _) if full.contains(kind))
    }

    /// Whether opening again cannot help.
    pub(super) fn is_lasting(&self) -> bool {
        !matches!(self, Self::Io(..))
    }

    pub(super) fn to_error(&self, op: &'static str) -> Error {
        const RESTORE: &str = "Restore the latest backup, or export what still reads with salvage";
        let corrupt = |code, text: String| Error::new(ErrorKind::Corrupt, op, text).code_as(code);
        match self {
            Self::Io(kind, _) if self.is_full() => full(op).caused_by(io::Error::from(*kind)),
            Self::Io(kind, text) => {
                Error::new(ErrorKind::Unreachable, op, format!("the disk failed: {text}"))
                    .code_as(code::IO)
                    .caused_by(io::Error::from(*kind))
            }
            Self::Empty => corrupt(
                code::EMPTY,
                format!(
                    "the store's file is empty, so its content was lost. {RESTORE}. It was left unchanged"
                ),
            ),
            Self::Foreign(what) => corrupt(
                code::FOREIGN,
                format!("{what}. Check the path, or restore the latest backup. It was left unchanged"),
            ),
            Self::Damaged(what) => corrupt(code::CORRUPT, format!("{what}. {RESTORE}")),
            Self::Newer { found, known } => {
                let text = format!(
                    "a newer release wrote this store (format {found}; this release knows {known}). Run that \
                     release, or restore a backup made before the upgrade. It was left unchanged"
                );
                Error::new(ErrorKind::Unsupported, op, text).code_as(code::NEWER)
            }
            Self::TooOld { found } => {
                let text = format!(
                    "this store has format {found}, which this release cannot take over. Open it once with a \
                     release in between. It was left unchanged"
                );
                Error::new(ErrorKind::Unsupported, op, text).code_as(code::TOO_OLD)
            }
            Self::Lost { acknowledged, found } => {
                let text = format!(
                    "the disk lost commits that it had confirmed (commit {acknowledged} was durable, {found} is \
                     there). Do not trust this disk. {RESTORE}"
                );
                corrupt(code::LOST, text)
            }
            Self::Key(text) => Error::new(ErrorKind::Unauthenticated, op, text.clone()).code_as(code::KEY),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        match e.get_ref().and_then(|inner| inner.downcast_ref::<DamagedBlock>()) {
            Some(block) => Self::Damaged(block.to_string()),
            None if e.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged("the store's file is cut: it ends before its content does".into())
            }
            None => Self::Io(e.kind(), e.to_string()),
        }
    }
}

impl From<redb::StorageError> for Fault {
    fn from(e: redb::StorageError) -> Self {
        match e {
            redb::StorageError::Io(e) if e.kind() == io::ErrorKind::InvalidData => Self::not_ours(&e),
            redb::StorageError::Io(e) => e.into(),
            redb::StorageError::PreviousIo => io::Error::other("an earlier error closed the file").into(),
            other => Self::Damaged(format!("the store's file is damaged: {other}")),
        }
    }
}

impl Fault {
    fn not_ours(e: &io::Error) -> Self {
        if e.get_ref().is_some_and(|inner| inner.is::<DamagedBlock>()) {
            Self::Damaged(e.to_string())
        } else {
            Self::Foreign(format!("the file is not a store of Headframe: {e}"))
        }
    }
}

macro_rules! through_redb {
    ($($kind:ident),+) => {$(
        impl From<redb::$kind> for Fault {
            fn from(e: redb::$kind) -> Self {
                match e {
                    redb::$kind::Storage(e) => e.into(),
                    other => Self::Damaged(format!("the store's file is damaged: {other}")),
                }
            }
        }
    )+};
}

through_redb!(CommitError, TransactionError);

impl From<redb::DatabaseError> for Fault {
    fn from(e: redb::DatabaseError) -> Self {
        match e {
            redb::DatabaseError::Storage(e) => e.into(),
            redb::DatabaseError::UpgradeRequired(version) => Self::Foreign(format!(
                "the file has version {version} of a layout that this release does not read"
            )),
            other => Self::Damaged(format!("the store's file is damaged: {other}")),
        }
    }
}

impl From<redb::TableError> for Fault {
    fn from(e: redb::TableError) -> Self {
        match e {
            redb::TableError::Storage(e) => e.into(),
            other => Self::Foreign(format!("the file is a database, but not a store of Headframe: {other}")),
        }
    }
}

pub(super) fn full(op: &'static str) -> Error {
    let text = "the disk is full: free space, and writing resumes by itself. Reading and stop actions go on";
    Error::new(ErrorKind::RateLimited, op, text).code_as(code::FULL)
}

pub(super) fn locked(op: &'static str) -> Error {
    let text = "the store is open in another process or handle: stop that first. It was left unchanged";
    Error::new(ErrorKind::Conflict, op, text).code_as(code::LOCKED)
}

pub(super) fn closed(op: &'static str) -> Error {
    Error::new(ErrorKind::Closed, op, "the store was closed")
}
