//! Puts a backup back, once all of it was found sound.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use super::{
    MANIFEST, OP_RESTORE, RESTORING, SiteRestore, code, failed,
    files::{self, Sum, Target},
    histories, invalid,
    manifest::{Entry, Manifest, Wrong},
};
use crate::{
    Error, ErrorKind, Result, audit,
    store::{CONTROL_FILE, Contents, LAST_FILE, Space},
};

/// A manifest larger than this is none.
const MOST_MANIFEST: u64 = 64 << 10;

/// Reads the backup in `from`, then writes it into the folder `to`.
pub(super) fn run(from: &Path, to: &Path) -> Result<SiteRestore> {
    files::empty(OP_RESTORE, to)?;
    let manifest = read(from)?;
    files::outside(OP_RESTORE, from, to, "backup")?;
    let backup = Checked::read(from, manifest)?;
    let target = Target::take(OP_RESTORE, to, RESTORING)?;
    if let Err(e) = backup.write(from, &target) {
        target.give_up();
        return Err(e);
    }
    target.finish(CONTROL_FILE)?;
    Ok(backup.report())
}

/// A backup that was read and found sound.
#[derive(Debug)]
pub(super) struct Checked {
    manifest: Manifest,
    audit_entries: u64,
    histories: histories::Checked,
}

impl Checked {
    pub fn read(from: &Path, manifest: Manifest) -> Result<Self> {
        for file in &manifest.files {
            let (bytes, sha256) = sum(from, &file.name)?;
            if bytes != file.bytes {
                return Err(invalid(&file.name, "its length is not that of the manifest"));
            }
            if sha256 != file.sha256 {
                return Err(invalid(&file.name, "its checksum is not that of the manifest"));
            }
        }
        let control = Contents::control(from).map_err(|e| unsound(CONTROL_FILE, e))?;
        let last = Contents::last(from).map_err(|e| unsound(LAST_FILE, e))?;
        if [&control.site, &last.site].iter().any(|site| **site != manifest.site) {
            return Err(invalid(CONTROL_FILE, "it is of another site than the manifest says"));
        }
        if control.revision != manifest.revision {
            return Err(invalid(CONTROL_FILE, "it is of another commit than the manifest says"));
        }
        let verified = audit::verify_records(control.of(Space::Audit));
        let audit_entries = verified.map_err(|e| unsound(CONTROL_FILE, e))?.size;
        let histories = histories::Checked::read(from, &manifest)?;
        Ok(Self { manifest, audit_entries, histories })
    }

    /// Writes all but the name of the control store, without which there is no site.
    pub fn write(&self, from: &Path, target: &Target<'_>) -> Result<()> {
        let to = target.dir();
        self.histories.write(to)?;
        for entry in &self.manifest.files {
            if entry.name == CONTROL_FILE {
                copy(from, entry, &to.join(RESTORING), &target.file)?;
            } else {
                let path = to.join(&entry.name);
                let file = files::make(&path).map_err(|e| failed(OP_RESTORE, &path, e))?;
                copy(from, entry, &path, &file)?;
            }
        }
        Ok(())
    }

    pub fn report(self) -> SiteRestore {
        let Manifest { site, taken, revision, files, .. } = self.manifest;
        SiteRestore {
            site,
            taken,
            revision,
            audit_entries: self.audit_entries,
            files: files.len() + self.histories.files(),
            bytes: files.iter().map(|file| file.bytes).sum::<u64>() + self.histories.bytes(),
            left_out: self.histories.left_out(),
        }
    }
}

/// Reads the manifest of a backup.
pub(super) fn read(from: &Path) -> Result<Manifest> {
    let path = from.join(MANIFEST);
    let file = match File::open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let text = "it is missing: this is no backup of a site, or one that did not come to its end";
            return Err(invalid(MANIFEST, text).with("folder", from.display()));
        }
        file => file.map_err(|e| failed(OP_RESTORE, &path, e))?,
    };
    let mut bytes = Vec::new();
    let read = file.take(MOST_MANIFEST).read_to_end(&mut bytes);
    read.map_err(|e| failed(OP_RESTORE, &path, e))?;
    Manifest::parse(&bytes).map_err(|wrong| match wrong {
        Wrong::Altered => invalid(MANIFEST, "it is not what was written"),
        Wrong::Newer(version) => {
            let text = format!(
                "a newer release took this backup (version {version}): restore it with that. Nothing was written"
            );
            let newer = Error::new(ErrorKind::Unsupported, OP_RESTORE, text).code_as(code::BACKUP_INVALID);
            newer.with("file", MANIFEST)
        }
    })
}

/// Length and SHA-256 of a file of a backup.
pub(super) fn sum(from: &Path, name: &str) -> Result<Sum> {
    let path = from.join(name);
    match fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(invalid(name, "it is missing")),
        Ok(about) if !about.is_file() => return Err(invalid(name, "it is no file")),
        _ => {}
    }
    files::sum(&path).map_err(|e| failed(OP_RESTORE, &path, e))
}

fn copy(from: &Path, entry: &Entry, path: &Path, to: &File) -> Result<()> {
    let copied = files::copy(&from.join(&entry.name), to).map_err(|e| failed(OP_RESTORE, path, e))?;
    if copied == (entry.bytes, entry.sha256) {
        return Ok(());
    }
    let text = "the backup changed while it was restored: what was written is removed; restore again";
    let changed = Error::new(ErrorKind::Corrupt, OP_RESTORE, text).code_as(code::BACKUP_INVALID);
    Err(changed.with("file", &entry.name))
}

/// What a store's own checks say of a file, as an error about the backup. Of a newer release, or a disk that does not
/// answer, it stays what it is.
fn unsound(file: &str, e: Error) -> Error {
    if e.kind() == ErrorKind::Corrupt {
        invalid(file, e.message()).caused_by(e)
    } else {
        e.with("file", file)
    }
}
