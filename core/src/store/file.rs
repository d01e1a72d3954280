use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    backend::Backend,
    fault::{Fault, code, locked},
};
use crate::{Error, ErrorKind, Result};

const OP: &str = "store.open";
const CHUNK: usize = 64 << 10;

/// A file of the operating system, locked while it is open.
pub struct FileBackend {
    path: PathBuf,
    ballast: Option<PathBuf>,
    file: Mutex<File>,
}

impl FileBackend {
    /// Opens an existing file and locks it. `ballast` is the file that keeps room on the disk.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with `STORE_MISSING`, [`Conflict`](ErrorKind::Conflict) with `STORE_LOCKED`.
    pub fn open(path: &Path, ballast: Option<PathBuf>) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Self::locked(path, ballast, file.map_err(|e| at(path, &e))?)
    }

    /// Makes a file for a new store, and locks it. What an unfinished attempt left there is cleared.
    pub(super) fn create(path: &Path, ballast: Option<PathBuf>) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let made = Self::locked(path, ballast, options.open(path).map_err(|e| at(path, &e))?)?;
        made.set_size(0).map_err(|e| at(path, &e))?;
        Ok(made)
    }

    fn locked(path: &Path, ballast: Option<PathBuf>, file: File) -> Result<Self> {
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), ballast, file: Mutex::new(file) }),
            Err(TryLockError::WouldBlock) => Err(locked(OP).with("path", path.display())),
            Err(TryLockError::Error(e)) => Err(at(path, &e)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for FileBackend {
    fn size(&self) -> io::Result<u64> {
        Ok(self.lock().metadata()?.len())
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let mut file = self.lock();
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(out)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.lock();
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.lock().set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.lock().sync_data()
    }

    fn occupy(&self, bytes: u64) -> io::Result<()> {
        let Some(path) = &self.ballast else { return Ok(()) };
        let before = self.occupied();
        if before == bytes {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let made = fill(&file, before, bytes);
        if made.is_err() {
            // A half-made ballast would only take the space that is looked for.
            if before == 0 { remove(path)? } else { file.set_len(before)? }
        }
        made
    }

    fn release(&self) -> io::Result<()> {
        self.ballast.as_deref().map_or(Ok(()), remove)
    }

    fn occupied(&self) -> u64 {
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |m| m.len());
        self.ballast.as_ref().map_or(0, size)
    }
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileBackend").field(&self.path).finish()
    }
}

/// Brings a file to `to` bytes that neither holes nor compression make smaller.
fn fill(mut file: &File, from: u64, to: u64) -> io::Result<()> {
    file.set_len(from.min(to))?;
    file.seek(SeekFrom::End(0))?;
    let mut left = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    let mut word = 0x9e37_79b9_7f4a_7c15_u64 ^ from;
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        for eight in chunk.chunks_mut(8) {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            eight.copy_from_slice(&word.to_le_bytes());
        }
        let n = left.min(CHUNK);
        file.write_all(&chunk[..n])?;
        left -= n;
    }
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The error of an operation on the file at `path`.
pub(super) fn at(path: &Path, e: &io::Error) -> Error {
    let error = match e.kind() {
        io::ErrorKind::NotFound => {
            let text = "there is no store: check the path, or set the site up with create";
            Error::new(ErrorKind::NotFound, OP, text).code_as(code::MISSING)
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            let text = format!("the store cannot be written ({e}): check owner and rights of the folder");
            Error::new(ErrorKind::Forbidden, OP, text)
        }
        kind => Fault::Io(kind, e.to_string()).to_error(OP),
    };
    error.with("path", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ballast_grows_shrinks_and_goes() {
        let dir = std::env::temp_dir().join(format!("headframe-ballast-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let ballast = dir.join("ballast");
        let file = FileBackend::create(&dir.join("store"), Some(ballast.clone())).unwrap();
        for bytes in [10_000, 200_000, 5_000, 5_000] {
            file.occupy(bytes).unwrap();
            assert_eq!((file.occupied(), fs::read(&ballast).unwrap().len() as u64), (bytes, bytes));
        }
        file.release().unwrap();
        file.release().unwrap();
        assert_eq!(file.occupied(), 0);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_second_handle_is_refused() {
        let path = std::env::temp_dir().join(format!("headframe-lock-{}", std::process::id()));
        let first = FileBackend::create(&path, None).unwrap();
        assert_eq!(FileBackend::open(&path, None).unwrap_err().code(), code::LOCKED);
        drop(first);
        assert!(FileBackend::open(&path, None).is_ok());
        fs::remove_file(&path).unwrap();
    }
}
