use std::{fmt, io};

/// The bytes of one store file, and the space kept free beside it. [`FileBackend`](super::FileBackend) is the real
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

    /// Cuts or extends the file; new bytes are zero.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Returns when all that was written before is durable.
    fn sync(&self) -> io::Result<()>;

    /// Occupies exactly `bytes` of the disk beside the file, as room for stop actions on a full disk. When that
    /// fails, as much is occupied as before.
    fn occupy(&self, bytes: u64) -> io::Result<()>;

    /// Gives the occupied space back.
    fn release(&self) -> io::Result<()>;

    /// How many bytes are occupied.
    fn occupied(&self) -> u64;
}
