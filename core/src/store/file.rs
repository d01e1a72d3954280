use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    backend::Backend,
    dir::sync_dir,
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
    /// The ballast, once there is one: it is open all the time, for there may be no file handle left later.
    kept: Mutex<Option<File>>,
}

impl FileBackend {
    /// Opens an existing file and locks it. `ballast` is the file whose space is kept for stop actions.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with `STORE_MISSING`, [`Conflict`](ErrorKind::Conflict) with `STORE_LOCKED`.
    pub fn open(path: &Path, ballast: Option<PathBuf>) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Self::locked(path, ballast, file.map_err(|e| at(path, &e))?)
    }

    /// Opens a file that is only read: it may be on a medium that cannot be written, and is not locked.
    pub(super) fn open_to_read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| at(path, &e))?;
        Ok(Self { path: path.into(), ballast: None, file: Mutex::new(file), kept: Mutex::default() })
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
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(OP).with("path", path.display())),
            Err(TryLockError::Error(e)) => return Err(at(path, &e)),
        }
        let there = ballast.as_deref().map(|ballast| open_ballast(ballast, false)).transpose();
        let kept = match there {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(path, &e)),
            there => there.unwrap_or_default(),
        };
        Ok(Self { path: path.into(), ballast, file: Mutex::new(file), kept: Mutex::new(kept) })
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        lock(&self.file)
    }
}

impl Drop for FileBackend {
    /// A process that this one starts at the very moment has the file open too, until it is another program, and with it the
    /// lock: whoever opens the store next would be refused. Closing gives the lock back in any case.
    fn drop(&mut self) {
        let _closing_does_it = self.lock().unlock();
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
        let file = self.lock();
        let old = file.metadata()?.len();
        if size > old { grow(&file, old, size) } else { file.set_len(size) }
    }

    fn sync(&self) -> io::Result<()> {
        self.lock().sync_data()
    }

    fn probe(&self, bytes: u64) -> io::Result<()> {
        let file = self.lock();
        let size = file.metadata()?.len();
        let probed = allocate(&file, size, size + bytes);
        file.set_len(size)?;
        probed.map(|_| ())
    }

    fn occupy(&self, bytes: u64) -> io::Result<()> {
        {
            // Files of earlier releases have holes.
            let file = self.lock();
            allocate(&file, 0, file.metadata()?.len())?;
        }
        let Some(path) = &self.ballast else { return Ok(()) };
        let mut kept = lock(&self.kept);
        let file = match &mut *kept {
            Some(file) => file,
            none => none.insert(open_ballast(path, true)?),
        };
        let before = file.metadata()?.len();
        if before == bytes {
            return Ok(());
        }
        let made = fill(file, before, bytes);
        if made.is_err() {
            // A half-made ballast would only take the space that is looked for.
            file.set_len(before)?;
        }
        made
    }

    fn occupied(&self) -> u64 {
        let size = |file: &File| file.metadata().map_or(0, |m| m.len());
        lock(&self.kept).as_ref().map_or(0, size)
    }

    fn read_kept(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let mut kept = lock(&self.kept);
        let file = kept.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(out)
    }

    fn write_kept(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut kept = lock(&self.kept);
        let file = kept.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)?;
        file.sync_data()
    }
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileBackend").field(&self.path).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_ballast(path: &Path, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if create && let Some(dir) = path.parent() {
        sync_dir(dir)?;
    }
    Ok(file)
}

/// Extends a file by zeros that have their space on the disk, or leaves it as it was.
fn grow(file: &File, from: u64, to: u64) -> io::Result<()> {
    let made = match allocate(file, from, to) {
        Ok(true) => file.set_len(to),
        Ok(false) => zeros(file, from, to),
        Err(e) => Err(e),
    };
    if made.is_err() {
        // What was allocated behind the end goes too.
        file.set_len(from)?;
    }
    made
}

/// Gives `from..to` of a file its space on the disk, and leaves its length. False where that cannot be asked for.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn allocate(file: &File, from: u64, to: u64) -> io::Result<bool> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    if from == to {
        return Ok(true);
    }
    loop {
        return match fallocate(file, FallocateFlags::KEEP_SIZE, from, to - from) {
            Ok(()) => Ok(true),
            Err(Errno::INTR) => continue,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(e) => Err(e.into()),
        };
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
const fn allocate(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

fn zeros(mut file: &File, from: u64, to: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(from))?;
    io::copy(&mut io::repeat(0).take(to - from), &mut file).map(|_| ())
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
    use std::fs;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("headframe-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn the_ballast_grows_and_shrinks() {
        let dir = folder("ballast");
        let ballast = dir.join("ballast");
        let file = FileBackend::create(&dir.join("store"), Some(ballast.clone())).unwrap();
        for bytes in [10_000, 200_000, 5_000, 5_000] {
            file.occupy(bytes).unwrap();
            assert_eq!((file.occupied(), fs::read(&ballast).unwrap().len() as u64), (bytes, bytes));
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_is_kept_is_overwritten_in_place_and_outlives_the_handle() {
        let dir = folder("kept");
        let (path, ballast) = (dir.join("store"), dir.join("ballast"));
        let file = FileBackend::create(&path, Some(ballast.clone())).unwrap();
        assert!(file.write_kept(0, b"stop").is_err());
        file.occupy(100_000).unwrap();
        file.write_kept(5_000, b"stop").unwrap();
        drop(file);
        let file = FileBackend::open(&path, Some(ballast)).unwrap();
        file.occupy(200_000).unwrap();
        let mut found = [0; 4];
        file.read_kept(5_000, &mut found).unwrap();
        assert_eq!((&found, file.occupied()), (b"stop", 200_000));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_lock_goes_with_the_store_whoever_else_has_its_file() {
        let dir = folder("lock");
        let path = dir.join("store");
        let file = FileBackend::create(&path, None).unwrap();
        let _of_a_child = file.lock().try_clone().unwrap();
        assert_eq!(FileBackend::open(&path, None).unwrap_err().code(), code::LOCKED);
        drop(file);
        FileBackend::open(&path, None).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_byte_of_the_file_is_a_hole() {
        use std::os::unix::fs::MetadataExt;
        let dir = folder("holes");
        let path = dir.join("store");
        let file = FileBackend::create(&path, None).unwrap();
        let blocks = || fs::metadata(&path).unwrap().blocks() * 512;
        for size in [8_192, 1 << 20, 4_096, 300_000] {
            file.set_size(size).unwrap();
            assert!(file.size().unwrap() == size && blocks() >= size, "{size}: {} bytes", blocks());
        }
        let mut end = vec![1; 4_096];
        file.read(290_000, &mut end).unwrap();
        assert!(end.iter().all(|byte| *byte == 0));
        // A file of an earlier release.
        file.lock().set_len(2 << 20).unwrap();
        assert!(blocks() < 2 << 20);
        file.occupy(0).unwrap();
        assert!(blocks() >= 2 << 20);
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
