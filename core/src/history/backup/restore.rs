//! Puts a backup back.

use super::{MANIFEST, OP_RESTORE, RESTORING, RestoreReport, copy, invalid, manifest::Manifest, not_empty};
use crate::{
    Error, ErrorKind, Result,
    history::{
        History,
        disk::Disk,
        fault::{OP_OPEN, code, failed},
    },
    io::Timestamp,
};

/// A manifest larger than this is none.
const MOST_MANIFEST: u64 = 64 << 20;

/// A backup that was read and found sound.
#[derive(Debug)]
pub(crate) struct CheckedBackup(Manifest);

impl CheckedBackup {
    /// As [`History::check_backup`].
    pub fn read(from: &dyn Disk) -> Result<Self> {
        verify(from).map(Self)
    }

    /// What it holds.
    pub fn report(&self) -> RestoreReport {
        RestoreReport {
            taken: Timestamp(self.0.taken),
            files: self.0.files.len(),
            bytes: self.0.files.iter().map(|file| file.bytes).sum(),
            left_out: self.0.left_out.clone(),
        }
    }

    /// As [`History::restore`]. Only what changed since it was read is noticed again.
    pub fn write(&self, from: &dyn Disk, to: &dyn Disk) -> Result<()> {
        let io = |e| failed(OP_RESTORE, "the target folder", e);
        is_empty(to)?;
        let mark = to.create(RESTORING).map_err(io)?;
        let restored = mark.sync().and_then(|()| to.sync_dir()).map_err(io);
        drop(mark);
        let restored = restored.and_then(|()| fill(from, to, &self.0));
        if restored.is_err() {
            let all = self.0.files.iter().filter(|file| !copy::remove(to, &file.name)).count() == 0;
            // What could not be removed must not be taken for a history.
            let _ = all && copy::remove(to, RESTORING);
        }
        restored?;
        to.remove(RESTORING).and_then(|()| to.sync_dir()).map_err(io)
    }
}

impl History {
    /// Reads all of a backup, and compares it with its manifest and by the checks that a history has itself. Nothing
    /// is written.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) with `ERR_HISTORY_BACKUP_INVALID` when something is not what was backed up, or
    /// there is no manifest; `ERR_HISTORY_NEWER` when a newer release wrote it; when the disk does not answer.
    pub fn check_backup(from: &dyn Disk) -> Result<RestoreReport> {
        CheckedBackup::read(from).map(|backup| backup.report())
    }

    /// Writes a backup into an empty folder, after all of it was [checked](Self::check_backup). Until it ended well the
    /// folder cannot be opened as a history.
    ///
    /// # Errors
    /// Those of [`check_backup`](Self::check_backup), and [`Conflict`](ErrorKind::Conflict) with `ERR_HISTORY_EXISTS` when
    /// the folder is not empty: nothing is written then. When a disk fails later, what was written is removed.
    pub fn restore(from: &dyn Disk, to: &dyn Disk) -> Result<RestoreReport> {
        is_empty(to)?;
        let backup = CheckedBackup::read(from)?;
        backup.write(from, to)?;
        Ok(backup.report())
    }
}

fn is_empty(to: &dyn Disk) -> Result<()> {
    let files = to.list().map_err(|e| failed(OP_RESTORE, "the target folder", e))?;
    files.first().map_or(Ok(()), |(file, _)| Err(not_empty(OP_RESTORE, file)))
}

/// Refuses a folder that a restore did not fill to its end, and one that holds a backup.
pub(in crate::history) fn refuse(files: &[(String, u64)]) -> Result<()> {
    let has = |file: &str| files.iter().any(|(name, _)| name == file);
    let refused = |code, text: &str| Err(Error::new(ErrorKind::Conflict, OP_OPEN, text).code_as(code));
    if has(RESTORING) {
        let text = "a restore into this folder did not end: empty the folder and restore again";
        return refused(code::BACKUP_INVALID, text);
    }
    if has(MANIFEST) {
        let text = "the folder holds a backup, which stays as it is: restore it into an empty folder";
        return refused(code::EXISTS, text);
    }
    Ok(())
}

fn verify(from: &dyn Disk) -> Result<Manifest> {
    let manifest = read(from)?;
    for file in &manifest.files {
        let wrong = |what: &str| invalid(&format!("{}: {what}", file.name)).with("file", &file.name);
        let io = |e| failed(OP_RESTORE, &file.name, e);
        let opened = match from.open(&file.name) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(wrong("it is missing")),
            opened => opened.map_err(io)?,
        };
        if opened.len().map_err(io)? != file.bytes {
            return Err(wrong("its length is not that of the manifest"));
        }
        if copy::sum(OP_RESTORE, &*opened, &file.name, file.bytes)? != file.sha256 {
            return Err(wrong("its checksum is not that of the manifest"));
        }
        drop(opened);
        if let Some(problem) = copy::problems(from, &file.name)?.first() {
            return Err(wrong(problem));
        }
    }
    Ok(manifest)
}

fn read(from: &dyn Disk) -> Result<Manifest> {
    let io = |e| failed(OP_RESTORE, MANIFEST, e);
    let file = match from.open(MANIFEST) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(invalid("there is no manifest: this is no backup, or one that did not end"));
        }
        file => file.map_err(io)?,
    };
    let len = file.len().map_err(io)?;
    let len = usize::try_from(len).ok().filter(|_| len <= MOST_MANIFEST);
    let mut bytes = vec![0; len.ok_or_else(|| invalid("the manifest is too large"))?];
    file.read_at(&mut bytes, 0).map_err(io)?;
    Manifest::parse(&bytes).ok_or_else(|| invalid("the manifest is not what was written"))
}

fn fill(from: &dyn Disk, to: &dyn Disk, manifest: &Manifest) -> Result<()> {
    for file in &manifest.files {
        let io = |e| failed(OP_RESTORE, &file.name, e);
        let source = from.open(&file.name).map_err(io)?;
        let read = |out: &mut [u8], at| source.read_at(out, at).map_err(io);
        if copy::copy(OP_RESTORE, to, &file.name, file.bytes, read)? != *file {
            let text =
                "the backup changed while it was restored: what was written was removed; restore again";
            let changed = Error::new(ErrorKind::Corrupt, OP_RESTORE, text).code_as(code::BACKUP_INVALID);
            return Err(changed.with("file", &file.name));
        }
    }
    to.sync_dir().map_err(|e| failed(OP_RESTORE, "the target folder", e))
}
