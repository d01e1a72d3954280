//! Which files there are, and the bound that they keep.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    disk::{Disk, DiskFile},
    fault::{OP_MAINTAIN, code, failed, full},
    handle::Handles,
    log::Log,
    name::{DAY_MS, Kind, sealed_name},
    sealed::{Files, Sealed},
    types::HistoryOptions,
};
use crate::Result;

/// What readers, the writer and maintenance share.
#[derive(Debug)]
pub(super) struct Core {
    pub disk: Arc<dyn Disk>,
    pub options: HistoryOptions,
    pub files: Files,
    catalog: Mutex<Catalog>,
}

/// The files.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub days: BTreeMap<i32, Vec<Arc<Sealed>>>,
    /// Logs, with the open one, which is the last.
    pub logs: BTreeMap<u32, Arc<Log>>,
    /// Bytes of all files in the folder, and those that are about to be written.
    pub used: u64,
    /// The next file's number.
    pub next: u32,
    /// Files that are no longer part of the history and could not be removed yet, with their bytes.
    pub unlinked: Vec<(String, u64)>,
    /// Whether the folder has to be synced before anything builds on what was removed.
    pub unsettled: bool,
    pub removed: Removed,
    /// Notes of days that were removed, by name, until the header of a log says so.
    pub notes: Vec<String>,
}

/// What was removed to keep the bound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Removed {
    pub days: u64,
    pub bytes: u64,
    pub samples: u64,
    /// End of the last day that was removed.
    pub before: Option<i64>,
}

impl Core {
    pub fn new(disk: Arc<dyn Disk>, options: HistoryOptions, catalog: Catalog) -> Self {
        let files = Handles::new(disk.clone(), options.max_open_files);
        Self { disk, options, files, catalog: Mutex::new(catalog) }
    }

    pub fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn number(&self) -> u32 {
        let mut catalog = self.catalog();
        catalog.next += 1;
        catalog.next - 1
    }

    /// Takes `bytes` of the bound before they are written; the oldest days make room.
    pub fn reserve(&self, op: &'static str, bytes: u64) -> Result<()> {
        loop {
            let oldest = {
                let mut catalog = self.catalog();
                if catalog.used.saturating_add(bytes) <= self.options.bound_bytes {
                    catalog.used += bytes;
                    return Ok(());
                }
                catalog.days.keys().next().copied()
            };
            let Some(day) = oldest else {
                let text = "the history is at its bound and nothing older can be removed: raise the bound, or let \
                            maintenance seal the log";
                return Err(full(op, text).with("bound_bytes", self.options.bound_bytes));
            };
            self.note_removal(op, day)?;
            // Somebody else may have removed it meanwhile.
            let files = self.catalog().days.remove(&day);
            if let Some(files) = files {
                self.remove_day(day, &files)?;
            }
        }
    }

    /// Notes that the files which a day has now are about to be removed, so that after a crash nothing is left of them, and
    /// answers say so.
    fn note_removal(&self, op: &'static str, day: i32) -> Result<()> {
        let name = {
            let mut catalog = self.catalog();
            let last = catalog.days.get(&day).and_then(|files| files.iter().map(|file| file.number).max());
            let Some(last) = last else { return Ok(()) };
            let name = sealed_name(Kind::Gone { day }, last);
            if catalog.notes.contains(&name) {
                return Ok(());
            }
            catalog.notes.push(name.clone());
            name
        };
        let noted = self.create(op, &name).and_then(|_| self.sync_dir());
        match noted {
            // There is no room for a name: room is what the removal makes.
            Err(e) if e.code() == code::FULL => {
                self.catalog().notes.retain(|note| *note != name);
                Ok(())
            }
            Err(e) => {
                self.catalog().notes.retain(|note| *note != name);
                self.unlink(name, 0)?;
                Err(e)
            }
            Ok(()) => Ok(()),
        }
    }

    fn remove_day(&self, day: i32, files: &[Arc<Sealed>]) -> Result<()> {
        {
            let mut catalog = self.catalog();
            let removed = &mut catalog.removed;
            removed.days += 1;
            removed.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
            removed.samples += files.iter().map(|file| file.rows()).sum::<u64>();
            let end = (i64::from(day) + 1) * DAY_MS;
            removed.before = Some(removed.before.map_or(end, |before| before.max(end)));
        }
        let mut outcome = Ok(());
        for file in files {
            file.handle.retire();
            outcome = outcome.and(self.unlink(file.name().into(), file.bytes));
        }
        outcome
    }

    /// Removes a file that is no longer part of the history. What cannot be removed now is tried again by
    /// [`settle`](Self::settle).
    pub fn unlink(&self, name: String, bytes: u64) -> Result<()> {
        let removed = self.disk.remove(&name);
        let mut catalog = self.catalog();
        catalog.unsettled = true;
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                let error = failed(OP_MAINTAIN, &name, e);
                catalog.unlinked.push((name, bytes));
                Err(error)
            }
            _ => {
                catalog.used = catalog.used.saturating_sub(bytes);
                Ok(())
            }
        }
    }

    /// Makes durable that files were removed; nothing new is built before that.
    pub fn settle(&self) -> Result<()> {
        let unlinked = {
            let mut catalog = self.catalog();
            if !catalog.unsettled {
                return Ok(());
            }
            std::mem::take(&mut catalog.unlinked)
        };
        let mut outcome = Ok(());
        for (name, bytes) in unlinked {
            outcome = outcome.and(self.unlink(name, bytes));
        }
        outcome?;
        self.sync_dir()?;
        self.catalog().unsettled = false;
        Ok(())
    }

    pub fn sync_dir(&self) -> Result<()> {
        self.disk.sync_dir().map_err(|e| failed(OP_MAINTAIN, "the folder", e))
    }

    /// Makes a file.
    pub fn create(&self, op: &'static str, name: &str) -> Result<Box<dyn DiskFile>> {
        self.disk.create(name).map_err(|e| failed(op, name, e))
    }
}
