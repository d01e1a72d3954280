use std::io;

use crate::{Error, ErrorKind};

/// The stable codes of this module's errors.
pub mod code {
    /// Stored bytes are not those that were written.
    pub const CORRUPT: &str = "ERR_HISTORY_CORRUPT";
    /// What was asked for was removed to make room.
    pub const GONE: &str = "ERR_HISTORY_GONE";
    /// No room is left, on the disk or within the bound.
    pub const FULL: &str = "ERR_HISTORY_FULL";
    /// Another process, or another handle, has the history open.
    pub const LOCKED: &str = "ERR_HISTORY_LOCKED";
    /// There is no history.
    pub const MISSING: &str = "ERR_HISTORY_MISSING";
    /// There is a history already.
    pub const EXISTS: &str = "ERR_HISTORY_EXISTS";
    /// A newer release wrote the file.
    pub const NEWER: &str = "ERR_HISTORY_NEWER";
    /// The disk failed.
    pub const IO: &str = "ERR_HISTORY_IO";
    /// Too much waits to be committed, or the answer would be too large.
    pub const BOUND: &str = "ERR_HISTORY_BOUND";
    /// A backup is not what was backed up, or was not restored to its end.
    pub const BACKUP_INVALID: &str = "ERR_HISTORY_BACKUP_INVALID";
}

pub(super) const OP_OPEN: &str = "history.open";
pub(super) const OP_APPEND: &str = "history.append";
pub(super) const OP_COMMIT: &str = "history.commit";
pub(super) const OP_READ: &str = "history.read";
pub(super) const OP_MAINTAIN: &str = "history.maintain";

/// Bytes of the file `name` are not those that were written.
pub(super) fn corrupt(name: &str, what: &str) -> Error {
    let text = format!(
        "{name} is damaged: {what}. Restore it from a backup, or move it out of the folder while the history is \
         closed to go on without what it holds. Other days and owners can still be read"
    );
    Error::new(ErrorKind::Corrupt, OP_READ, text).code_as(code::CORRUPT).with("file", name)
}

/// The file was removed to make room, or merged into another meanwhile.
pub(super) fn gone(name: &str) -> Error {
    let text = "what was asked for was removed meanwhile to keep the history within its bound: ask again";
    Error::new(ErrorKind::NotFound, OP_READ, text).code_as(code::GONE).with("file", name)
}

pub(super) fn is_gone(e: &Error) -> bool {
    e.code() == code::GONE
}

pub(super) fn full(op: &'static str, what: &str) -> Error {
    let text = format!("{what}. What was committed stays, and reading goes on");
    Error::new(ErrorKind::RateLimited, op, text).code_as(code::FULL)
}

pub(super) fn bound(op: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::RateLimited, op, what).code_as(code::BOUND)
}

pub(super) fn newer(name: &str, found: u32) -> Error {
    let text = format!("{name} has format {found}, which this release does not know: run the newer release");
    Error::new(ErrorKind::Unsupported, OP_OPEN, text).code_as(code::NEWER).with("file", name)
}

/// An input or output error on the file `name`.
pub(super) fn failed(op: &'static str, name: &str, e: io::Error) -> Error {
    let full_kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
    let error = match e.kind() {
        kind if full_kinds.contains(&kind) => {
            full(op, "the disk is full: free space, and writing resumes by itself")
        }
        io::ErrorKind::UnexpectedEof => corrupt(name, "it is shorter than what was written"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::new(ErrorKind::Forbidden, op, format!("{e}: check owner and rights of the folder"))
        }
        _ => Error::new(ErrorKind::Unreachable, op, format!("the disk failed: {e}")).code_as(code::IO),
    };
    error.with("file", name).caused_by(e)
}
