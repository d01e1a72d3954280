//! Takes a backup while the site runs.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    BEGUN, MANIFEST, OP_BACKUP, SiteBackup, code, failed,
    files::{self, HISTORY, Target},
    histories,
    manifest::{Entry, FILES, Manifest},
};
use crate::{
    Error, ErrorKind, Result,
    audit::{self, Hash},
    io::Ctx,
    site::{Site, archive::Kept},
    store::{Contents, ControlStore, LastStore, Revision, Space, sync_dir},
};

/// What was taken of all histories.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub files: usize,
    pub bytes: u64,
    pub samples: u64,
    /// Damaged files with their folders, and what is wrong with them.
    pub left_out: Vec<(String, String)>,
    /// Folders with the SHA-256 of the manifests in them.
    pub manifests: Vec<(String, Hash)>,
}

/// What of a site a backup needs.
pub(super) struct Taking {
    cx: Ctx,
    dir: PathBuf,
    store: ControlStore,
    last: LastStore,
    kept: Kept,
}

impl Taking {
    pub fn of(site: &Site) -> Self {
        Self {
            cx: site.cx.clone(),
            dir: site.dir.clone(),
            store: site.things.store().clone(),
            last: site.last.store().clone(),
            kept: site.archive.kept(),
        }
    }

    /// Copies all into the folder `to`.
    pub fn run(self, to: &Path) -> Result<SiteBackup> {
        files::outside(OP_BACKUP, &self.dir, to, "site")?;
        let target = Target::take(OP_BACKUP, to, BEGUN)?;
        match self.fill(&target) {
            Ok(report) => target.finish(MANIFEST).map(|()| report),
            Err(e) => {
                target.give_up();
                Err(e)
            }
        }
    }

    /// In this order what one store hands over to the next one while the backup is taken is in one of them at least.
    fn fill(&self, target: &Target<'_>) -> Result<SiteBackup> {
        let (dir, taken) = (target.dir(), self.cx.clock.wall());
        let revision = self.store.backup_here(&self.cx, dir)?;
        self.last.backup(dir)?;
        let files = FILES.map(|name| entry(dir, name)).into_iter().collect::<Result<Vec<_>>>()?;
        self.read_back(dir, revision)?;
        let mut histories = histories::take(&self.kept, dir, taken)?;
        if !histories.manifests.is_empty() {
            let folder = dir.join(HISTORY);
            sync_dir(&folder).map_err(|e| failed(OP_BACKUP, &folder, e))?;
        }
        for (file, problem) in &histories.left_out {
            tracing::error!(%file, %problem, "a damaged file of the history is not in the backup");
        }
        let report = SiteBackup {
            site: self.store.site().to_owned(),
            taken,
            revision,
            files: files.len() + histories.files,
            bytes: files.iter().map(|file| file.bytes).sum::<u64>() + histories.bytes,
            samples: histories.samples,
            left_out: std::mem::take(&mut histories.left_out),
        };
        // By their names, as a manifest has them.
        histories.manifests.sort_by(|(one, _), (other, _)| one.cmp(other));
        let site = report.site.clone();
        let text = Manifest { site, taken, revision, files, histories: histories.manifests }.to_text();
        let written = (&target.file).write_all(text.as_bytes());
        written.map_err(|e| failed(OP_BACKUP, &dir.join(BEGUN), e))?;
        Ok(report)
    }

    /// Reads the copies of both stores as a restore does.
    fn read_back(&self, dir: &Path, revision: Revision) -> Result<()> {
        let unlike = |e: Error| {
            let text = format!("the target does not give back what was written to it: {e}. Use another disk");
            let unlike = Error::new(ErrorKind::Unreachable, OP_BACKUP, text).code_as(code::BACKUP_IO);
            unlike.with("path", dir.display()).caused_by(e)
        };
        let control = Contents::control(dir).map_err(unlike)?;
        Contents::last(dir).map_err(unlike)?;
        if control.site != self.store.site() || control.revision != revision {
            return Err(unlike(Error::new(ErrorKind::Corrupt, OP_BACKUP, "it is another store")));
        }
        // Otherwise a restore would refuse it, on the day when it is needed.
        audit::verify_records(control.of(Space::Audit)).map(|_| ())
    }
}

fn entry(dir: &Path, name: &str) -> Result<Entry> {
    let path = dir.join(name);
    let sum: io::Result<_> = files::settle(&path).and_then(|()| files::sum(&path));
    let (bytes, sha256) = sum.map_err(|e| failed(OP_BACKUP, &path, e))?;
    Ok(Entry { name: name.to_owned(), bytes, sha256 })
}
