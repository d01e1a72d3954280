use std::{fmt, io};

/// The bytes of one store file, and the space kept beside it. [`FileBackend`](super::FileBackend) is the real
/// one; tests put faults here.
///
/// One store at a time uses a backend. After an error it calls the same backend again, so an implementation must not
/// turn one failure into a lasting one by itself.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Fills `out` from the byte `at` on; an error when the file ends before.
    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at the byte `at`. Durable after the next [`sync`](Self::sync) only.
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or extends the file. New bytes are zero and have their space on the disk, so that no later write within
    /// the file lacks it; when there is not enough, the call fails and the file is as before.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Returns when all that was written before is durable.
    fn sync(&self) -> io::Result<()>;

    /// Fails when the file could not grow by `bytes`; changes nothing.
    fn probe(&self, bytes: u64) -> io::Result<()>;

    /// Makes the kept space exactly `bytes` long; what it holds stays, as far as it goes. Sees too that all of the
    /// file has its space on the disk. When that fails, as much is kept as before.
    fn occupy(&self, bytes: u64) -> io::Result<()>;

    /// How many bytes are kept.
    fn occupied(&self) -> u64;

    /// Fills `out` from the byte `at` of the kept space on.
    fn read_kept(&self, at: u64, out: &mut [u8]) -> io::Result<()>;

    /// Overwrites a part of the kept space; it is durable when the call returns. Needs no space of the disk.
    fn write_kept(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
}
