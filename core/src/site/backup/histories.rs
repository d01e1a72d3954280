//! The histories of a site, each of which has a backup of its own in the site's.

use std::{path::Path, sync::Arc};

use super::{
    OP_BACKUP, OP_RESTORE, code, failed,
    files::{self, HISTORY},
    invalid,
    manifest::Manifest,
    take::Taken,
};
use crate::{
    Error, ErrorKind, Result,
    history::{BACKUP_MANIFEST, CheckedBackup, Disk, FolderDisk, code as history_code},
    io::Timestamp,
    site::archive::{FOLDERS, Kept},
    store::sync_dir,
};

/// Copies the histories one after the other.
pub(super) fn take(kept: &Kept, to: &Path, now: Timestamp) -> Result<Taken> {
    let mut taken = Taken::default();
    for (folder, history) in kept.histories() {
        let dir = to.join(folder);
        let disk = FolderDisk::open(&dir)?;
        let report = history.backup(&disk, now).map_err(|e| e.with("folder", folder))?;
        drop(disk);
        let manifest = dir.join(BACKUP_MANIFEST);
        let (_, sha256) = files::sum(&manifest).map_err(|e| failed(OP_BACKUP, &manifest, e))?;
        taken.files += report.files.len();
        taken.bytes += report.bytes();
        taken.samples += report.samples;
        let named = report.left_out.into_iter().map(|(file, why)| (format!("{folder}/{file}"), why));
        taken.left_out.extend(named);
        taken.manifests.push((folder.to_owned(), sha256));
    }
    Ok(taken)
}

/// Backups of histories that were read and found sound.
#[derive(Debug)]
pub(super) struct Checked(Vec<One>);

#[derive(Debug)]
struct One {
    folder: String,
    from: Arc<dyn Disk>,
    backup: CheckedBackup,
}

impl Checked {
    pub fn read(from: &Path, manifest: &Manifest) -> Result<Self> {
        let mut all = Vec::new();
        for (folder, sha256) in &manifest.histories {
            if !FOLDERS.contains(&folder.as_str()) {
                let text =
                    format!("the backup has {folder}, which this release does not know: run a newer one");
                return Err(Error::new(ErrorKind::Unsupported, OP_RESTORE, text).with("folder", folder));
            }
            let (dir, file) = (from.join(folder), format!("{folder}/{BACKUP_MANIFEST}"));
            super::restore::sum(from, &file).and_then(|(_, found)| match found == *sha256 {
                true => Ok(()),
                false => Err(invalid(&file, "its checksum is not that of the manifest")),
            })?;
            let from: Arc<dyn Disk> = Arc::new(FolderDisk::read_only(dir));
            let backup = CheckedBackup::read(&*from).map_err(|e| of(folder, e))?;
            all.push(One { folder: folder.clone(), from, backup });
        }
        Ok(Self(all))
    }

    /// Writes them into the folder of a site.
    pub fn write(&self, to: &Path) -> Result<()> {
        for one in &self.0 {
            let disk = FolderDisk::open(to.join(&one.folder))?;
            one.backup.write(&*one.from, &disk).map_err(|e| of(&one.folder, e))?;
        }
        if self.0.is_empty() {
            return Ok(());
        }
        let folder = to.join(HISTORY);
        sync_dir(&folder).map_err(|e| failed(OP_RESTORE, &folder, e))
    }

    pub fn files(&self) -> usize {
        self.0.iter().map(|one| one.backup.report().files).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|one| one.backup.report().bytes).sum()
    }

    pub fn left_out(&self) -> Vec<String> {
        let named = |one: &One| {
            let files = one.backup.report().left_out;
            files.into_iter().map(|file| format!("{}/{file}", one.folder)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(named).collect()
    }
}

/// An error about the backup of one history, as one about the site's.
fn of(folder: &str, e: Error) -> Error {
    if e.code() != history_code::BACKUP_INVALID {
        return e.with("folder", folder);
    }
    let file = format!("{folder}/{}", e.fact("file").unwrap_or(BACKUP_MANIFEST));
    let text = format!("{folder}: {}", e.message());
    let invalid = Error::new(ErrorKind::Corrupt, OP_RESTORE, text).code_as(code::BACKUP_INVALID);
    invalid.with("file", file).caused_by(e)
}
