use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    disk::{Disk, DiskFile},
    fault::{OP_OPEN, code, failed},
};
use crate::{Error, ErrorKind, Result};

/// The file whose lock says that a history is open; it stays empty.
const LOCK_FILE: &str = "history.lock";

/// A folder of the operating system, locked while it is open.
#[derive(Debug)]
pub struct FolderDisk {
    path: PathBuf,
    /// Holds the lock until it is released.
    lock: Mutex<Option<File>>,
    read_only: bool,
}

impl FolderDisk {
    /// Opens the folder, makes it when it is not there, and locks it.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_HISTORY_LOCKED` when another process or handle has it open.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let at = |e: io::Error| failed(OP_OPEN, LOCK_FILE, e).with("path", path.display());
        fs::create_dir_all(&path).map_err(at)?;
        let lock = options().create(true).truncate(false).open(path.join(LOCK_FILE)).map_err(at)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock: Mutex::new(Some(lock)), read_only: false }),
            Err(TryLockError::WouldBlock) => {
                let text = "the history is open in another process or handle: stop that first. It was left unchanged";
                let locked = Error::new(ErrorKind::Conflict, OP_OPEN, text).code_as(code::LOCKED);
                Err(locked.with("path", path.display()))
            }
            Err(TryLockError::Error(e)) => Err(at(e)),
        }
    }

    /// A folder that is only read, such as a backup on a medium that cannot be written. It is neither made nor locked, and
    /// what would change it is an error.
    pub fn read_only(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), lock: Mutex::default(), read_only: true }
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn may_write(&self) -> io::Result<()> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Drop for FolderDisk {
    fn drop(&mut self) {
        self.release();
    }
}

impl Disk for FolderDisk {
    fn release(&self) {
        let Some(file) = self.lock().take() else { return };
        // A process that this one starts at the very moment has the lock too, until it is another program: whoever opens the
        // history next would be refused. Closing gives it back in any case.
        let _closing_does_it = file.unlock();
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let meta = entry.metadata()?;
            if meta.is_file() && name != LOCK_FILE {
                files.push((name, meta.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.may_write()?;
        Ok(Box::new(FolderFile(options().create_new(true).open(self.at(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FolderFile(options().write(!self.read_only).open(self.at(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.may_write()?;
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        fs::remove_file(self.at(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync_dir(&self.path)
    }
}

/// Makes names in a folder durable, where the operating system has that.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[derive(Debug)]
struct FolderFile(File);

impl DiskFile for FolderFile {
    #[cfg(unix)]
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, out, at)
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, at)
    }

    #[cfg(windows)]
    fn read_at(&self, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
        while !out.is_empty() {
            let n = std::os::windows::fs::FileExt::seek_read(&self.0, out, at)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out = &mut out[n..];
            at += n as u64;
        }
        Ok(())
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = std::os::windows::fs::FileExt::seek_write(&self.0, bytes, at)?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[n..];
            at += n as u64;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_goes_with_the_folder_whoever_else_has_its_file() {
        let dir = std::env::temp_dir().join(format!("headframe-folder-{}", std::process::id()));
        let disk = FolderDisk::open(&dir).unwrap();
        let _of_a_child = disk.lock().as_ref().map(|file| file.try_clone().unwrap());
        assert_eq!(FolderDisk::open(&dir).unwrap_err().code(), code::LOCKED);
        drop(disk);
        FolderDisk::open(&dir).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
}
