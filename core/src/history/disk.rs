//! The folder that a history lives in: a flat set of files, so that tests can lose power and run out of space.

use std::{fmt, io};

/// A flat folder. Names hold no separators. What is created, renamed or removed is durable after
/// [`sync_dir`](Disk::sync_dir).
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// All files with their lengths, in any order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// Makes a file that must not exist, open for reading and writing.
    ///
    /// # Errors
    /// When it exists, or cannot be made.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// When it does not exist, or cannot be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Renames to a name that is free.
    ///
    /// # Errors
    /// When it cannot be done; it is as before then.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file that nobody has open.
    ///
    /// # Errors
    /// When it cannot be done.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Lets others open the folder. Nothing is written afterwards.
    fn release(&self) {}
    /// Makes names durable.
    ///
    /// # Errors
    /// When the disk cannot promise it.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file of a [`Disk`]; reads and writes say where.
#[allow(clippy::len_without_is_empty, reason = "a file's length is a fallible question")]
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Fills `out` from byte `at` on.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the file ends before.
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()>;
    /// Writes all of `bytes` at byte `at`, growing the file where needed.
    ///
    /// # Errors
    /// When the disk fails or is full; any part may have been written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Length in bytes.
    ///
    /// # Errors
    /// When the disk does not tell.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// When it cannot be done.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the content durable.
    ///
    /// # Errors
    /// When the disk cannot promise it.
    fn sync(&self) -> io::Result<()>;
}
