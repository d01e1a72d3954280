//! Backup of a site while it runs, and restore into an empty folder. `docs/backup.md` has the form of a backup.

mod files;
#[cfg_attr(not(feature = "history"), path = "no_histories.rs")]
mod histories;
mod manifest;
mod restore;
mod take;
#[cfg(test)]
#[cfg(feature = "net")]
mod tests;

use std::path::Path;

use serde::Serialize;

use super::Site;
use crate::{Error, ErrorKind, Result, io::Timestamp, store::Revision};

/// The stable codes of this module's errors.
pub mod code {
    /// A backup is not what was backed up, or was not restored to its end.
    pub const BACKUP_INVALID: &str = "ERR_BACKUP_INVALID";
    /// A folder that should be empty is not, or a backup is where a site should be.
    pub const BACKUP_EXISTS: &str = "ERR_BACKUP_EXISTS";
    /// The disk has no room for the copy.
    pub const BACKUP_FULL: &str = "ERR_BACKUP_FULL";
    /// The disk failed.
    pub const BACKUP_IO: &str = "ERR_BACKUP_IO";
}

/// The file that makes a folder a site's backup. It gets its name last.
const MANIFEST: &str = "site.backup";
/// The manifest before it has its name.
const BEGUN: &str = "site.backup.new";
/// The control store of a site that is being restored, before it has its name. Until then the folder is no site.
const RESTORING: &str = "site.restoring";

const OP_BACKUP: &str = "site.backup";
const OP_RESTORE: &str = "site.restore";

/// What a [backup](Site::backup) holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SiteBackup {
    /// Id of the site.
    pub site: String,
    /// When the backup was begun.
    pub taken: Timestamp,
    /// The commit of the control store that is in it.
    pub revision: Revision,
    /// Its files, without manifests.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Samples in its histories.
    pub samples: u64,
    /// Damaged files of histories, each with its folder, and what is wrong with them: the backup goes without them.
    pub left_out: Vec<(String, String)>,
}

/// What a [restore](Site::restore) wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SiteRestore {
    /// Id of the site.
    pub site: String,
    /// When the backup was begun.
    pub taken: Timestamp,
    /// The commit of the control store that is in it.
    pub revision: Revision,
    /// Entries of the audit log, whose chain was verified.
    pub audit_entries: u64,
    /// Files of the backup, without manifests.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files of histories, each with its folder, that were damaged when the backup was taken, and are not in it.
    pub left_out: Vec<String>,
}

impl Site {
    /// Copies the site into the folder `to`, which is empty or not there, while everything goes on: the control store as of
    /// one commit, then the last rows, then the histories, each as of one commit of its own that comes after. What was
    /// durable when the call began is in it. Every copy is read back and checked before the manifest makes the folder a
    /// backup. Damaged files of a history are left out, and the report names them.
    ///
    /// **No key is copied**: keep the site's key file, and the key that signs audit checkpoints, apart from the backup. A
    /// restored site opens only with the key that the site had when the backup was taken.
    ///
    /// Dropping the future does not stop the copying.
    ///
    /// ```no_run
    /// # async fn example(site: headframe_core::site::Site) -> headframe_core::Result<()> {
    /// let report = site.backup("/backups/2026-11-26".as_ref()).await?;
    /// println!("{} files, {} bytes", report.files, report.bytes);
    /// for (file, why) in &report.left_out {
    ///     eprintln!("{file} is damaged and not in the backup: {why}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_BACKUP_EXISTS` when `to` is not empty; [`Invalid`](ErrorKind::Invalid)
    /// when it lies in the site's own folder; `AUDIT_CORRUPT` when the site's audit log is not whole; those of
    /// [`ControlStore::backup`](crate::store::ControlStore::backup) and of the histories; `ERR_BACKUP_FULL` and
    /// `ERR_BACKUP_IO`. What was copied is removed then.
    pub async fn backup(&self, to: &Path) -> Result<SiteBackup> {
        let taking = take::Taking::of(self);
        let to = to.to_owned();
        if self.things.store().is_inline() {
            return taking.run(&to);
        }
        beside(OP_BACKUP, move || taking.run(&to)).await
    }

    /// Writes a backup into the folder `to`, which is empty or not there, after all of it was verified: its manifest, every
    /// length and SHA-256, the stores' own checks, the chain of the audit log, and the histories' own checks. The backup is
    /// only read. Put the site's key into the folder, then [open](super::SiteBuilder::open) it.
    ///
    /// The restored site has the id of the one that was backed up: do not run both. Actions that were not finished when the
    /// backup was taken go on when it is opened, as after a restart.
    ///
    /// Until the restore came to its end, the folder opens as no site. Dropping the future does not stop it.
    ///
    /// ```no_run
    /// # async fn example(builder: headframe_core::site::SiteBuilder) -> headframe_core::Result<()> {
    /// use headframe_core::{io::Ctx, site::Site};
    ///
    /// let report = Site::restore("/backups/2026-11-26".as_ref(), "site".as_ref()).await?;
    /// println!("site {} as of commit {}", report.site, report.revision.0);
    /// std::fs::copy("/safe/site.key", "site/site.key").expect("the key is kept apart");
    /// let site = builder.open(&Ctx::system(), "site".as_ref()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) with `ERR_BACKUP_INVALID` when anything is not what was backed up, or there is no
    /// manifest: nothing is written, and the fact `file` says which. [`Conflict`](ErrorKind::Conflict) with
    /// `ERR_BACKUP_EXISTS` when `to` is not empty; [`Invalid`](ErrorKind::Invalid) when it lies in the backup;
    /// [`Unsupported`](ErrorKind::Unsupported) when a newer release took the backup, or it has histories and this build has
    /// not; `ERR_BACKUP_FULL` and `ERR_BACKUP_IO`. When a disk fails while it is written, what was written is removed.
    pub async fn restore(from: &Path, to: &Path) -> Result<SiteRestore> {
        let (from, to) = (from.to_owned(), to.to_owned());
        beside(OP_RESTORE, move || restore::run(&from, &to)).await
    }
}

/// Refuses to take a folder for a site's that a restore did not fill to its end, or that holds a backup.
pub(super) fn refuse(dir: &Path) -> Result<()> {
    let has = |name: &str| dir.join(name).exists();
    let refused = |code, text: &str| {
        let e = Error::new(ErrorKind::Conflict, "site.open", text).code_as(code);
        Err(e.with("folder", dir.display()))
    };
    if has(RESTORING) {
        let text = "a restore into this folder did not end: empty the folder and restore again";
        return refused(code::BACKUP_INVALID, text);
    }
    if has(MANIFEST) || has(BEGUN) {
        let text =
            "the folder holds the backup of a site, which stays as it is: restore it into an empty folder";
        return refused(code::BACKUP_EXISTS, text);
    }
    Ok(())
}

/// Does blocking work beside the tasks.
async fn beside<T: Send + 'static>(
    op: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = |e| Error::new(ErrorKind::Internal, op, "the copying came to a bad end").caused_by(e);
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

/// The file of a backup is not what was backed up.
fn invalid(file: &str, what: &str) -> Error {
    let text = format!(
        "{file}: {what}: the backup cannot be relied on. Nothing was written; use another backup, or another copy of it"
    );
    Error::new(ErrorKind::Corrupt, OP_RESTORE, text).code_as(code::BACKUP_INVALID).with("file", file)
}

/// A folder that should be empty is not.
fn not_empty(op: &'static str, dir: &Path, file: &str) -> Error {
    let text = "the folder is not empty: give an empty one, or one that is not there. It was left unchanged";
    let e = Error::new(ErrorKind::Conflict, op, text).code_as(code::BACKUP_EXISTS);
    e.with("folder", dir.display()).with("file", file)
}

/// An input or output error at `path`.
fn failed(op: &'static str, path: &Path, e: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let error = match e.kind() {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            let text = "the disk has no room for the copy: free space, or use another disk";
            Error::new(ErrorKind::RateLimited, op, text).code_as(code::BACKUP_FULL)
        }
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            Error::new(ErrorKind::Forbidden, op, format!("{e}: check owner and rights of the folder"))
        }
        _ => Error::new(ErrorKind::Unreachable, op, format!("the disk failed: {e}")).code_as(code::BACKUP_IO),
    };
    error.with("path", path.display()).caused_by(e)
}
