//! A disk of which somebody sees every call before it is made, and may refuse it, hold it or spoil what it reads.

use std::{fmt, io, sync::Arc};

use headframe_core::history::{Disk, DiskFile};

/// A call, with the name that the file had when it was opened.
#[derive(Debug, Clone, Copy)]
pub enum Call<'a> {
    Create(&'a str),
    /// With the new name.
    Rename(&'a str),
    Remove(&'a str),
    Write(&'a str),
    SyncDir,
    Other,
}

/// Who sees the calls.
pub trait Hook: fmt::Debug + Send + Sync + 'static {
    /// Before a call; an error is the call's.
    fn before(&self, _: Call<'_>) -> io::Result<()> {
        Ok(())
    }

    /// After bytes were read.
    fn read(&self, _: &mut [u8]) {}
}

/// `disk` with a hook.
pub fn hooked(disk: impl Disk, hook: Arc<dyn Hook>) -> Arc<dyn Disk> {
    Arc::new(Hooked { disk, hook })
}

#[derive(Debug)]
struct Hooked<D> {
    disk: D,
    hook: Arc<dyn Hook>,
}

#[derive(Debug)]
struct HookedFile {
    name: String,
    file: Box<dyn DiskFile>,
    hook: Arc<dyn Hook>,
}

impl<D> Hooked<D> {
    fn file(&self, name: &str, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(HookedFile { name: name.into(), file, hook: self.hook.clone() })
    }
}

impl<D: Disk> Disk for Hooked<D> {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.hook.before(Call::Other)?;
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.hook.before(Call::Create(name))?;
        Ok(self.file(name, self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.hook.before(Call::Other)?;
        Ok(self.file(name, self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.hook.before(Call::Rename(to))?;
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.hook.before(Call::Remove(name))?;
        self.disk.remove(name)
    }

    fn release(&self) {
        self.disk.release();
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.hook.before(Call::SyncDir)?;
        self.disk.sync_dir()
    }
}

impl DiskFile for HookedFile {
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        self.hook.before(Call::Other)?;
        self.file.read_at(out, at)?;
        self.hook.read(out);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.hook.before(Call::Write(&self.name))?;
        self.file.write_at(bytes, at)
    }

    fn len(&self) -> io::Result<u64> {
        self.hook.before(Call::Other)?;
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.hook.before(Call::Other)?;
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.hook.before(Call::Other)?;
        self.file.sync()
    }
}
