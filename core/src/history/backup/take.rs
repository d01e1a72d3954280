//! Takes a backup while the history goes on.

use std::{collections::BTreeMap, sync::Arc};

use super::{BackupFile, BackupReport, MANIFEST, OP_BACKUP, copy, manifest::Manifest, not_empty};
use crate::{
    Error, ErrorKind, Result,
    history::{
        History, check,
        disk::Disk,
        fault::{code, failed, gone, is_gone},
        log::Log,
        name::Kind,
        sealed::Sealed,
    },
    io::Timestamp,
};

/// How often the files are looked at anew because some were merged or removed before they were copied. What was copied
/// stays, so each time there is less to do.
const TRIES: usize = 64;

/// The history's files as they are at one commit.
struct View {
    sealed: Vec<Arc<Sealed>>,
    /// With the bytes that are durable.
    logs: Vec<(Arc<Log>, u64)>,
    samples: u64,
    sequence: u64,
}

/// A backup on its way.
struct Taking<'a> {
    history: &'a History,
    target: &'a dyn Disk,
    copied: BTreeMap<String, BackupFile>,
    /// Damaged files, with what is wrong and their samples.
    left_out: BTreeMap<String, (String, u64)>,
}

impl History {
    /// Copies all that is durable into an empty folder, as it was at one commit that ends after the call began.
    /// Appending, committing, reading and maintenance go on meanwhile. Every file of the copy is read back and checked
    /// before the manifest makes the folder a backup. Damaged files are left out, and the report names them.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_HISTORY_EXISTS` when the folder is not empty; when a disk failed or
    /// the target is full. What was copied is removed then.
    pub fn backup(&self, target: &dyn Disk, now: Timestamp) -> Result<BackupReport> {
        let io = |e| failed(OP_BACKUP, "the target folder", e);
        if let Some((file, _)) = target.list().map_err(io)?.first() {
            return Err(not_empty(OP_BACKUP, file));
        }
        let mut taking = Taking { history: self, target, copied: BTreeMap::new(), left_out: BTreeMap::new() };
        let taken = taking.run(now);
        if taken.is_err() {
            for name in taking.copied.keys().map(String::as_str).chain([MANIFEST]) {
                copy::remove(target, name);
            }
        }
        taken
    }

    /// All files at one commit. Nobody commits or appends for this moment.
    fn at_one_commit(&self) -> View {
        let writing = self.writing();
        let catalog = self.core.catalog();
        let sealed: Vec<Arc<Sealed>> = catalog.days.values().flatten().cloned().collect();
        let mut samples = sealed.iter().map(|file| file.rows()).sum();
        let mut logs = Vec::with_capacity(catalog.logs.len());
        for log in catalog.logs.values() {
            let state = log.state();
            samples += u64::from(state.durable);
            logs.push((Arc::clone(log), state.written));
        }
        let sequence = writing.durable_sequence();
        View { sealed, logs, samples, sequence }
    }
}

impl Taking<'_> {
    fn run(&mut self, now: Timestamp) -> Result<BackupReport> {
        let mut tries = 1;
        let view = loop {
            let view = self.history.at_one_commit();
            match self.copy(&view) {
                Ok(()) => break view,
                Err(e) if is_gone(&e) && tries < TRIES => tries += 1,
                Err(e) => return Err(e),
            }
        };
        self.finish(now, &view)
    }

    /// Copies what of a view is not copied yet, the oldest days first: they change least.
    fn copy(&mut self, view: &View) -> Result<()> {
        self.drop_others(view)?;
        let (days, parts): (Vec<_>, Vec<_>) =
            view.sealed.iter().partition(|file| matches!(file.kind, Kind::Day { .. }));
        for file in days.into_iter().chain(parts) {
            self.sealed(file)?;
        }
        view.logs.iter().try_for_each(|(log, len)| self.log(log, *len))
    }

    /// Removes copies of files that are not in the view, and of logs that have grown.
    fn drop_others(&mut self, view: &View) -> Result<()> {
        let mut lengths: BTreeMap<&str, u64> = view.sealed.iter().map(|f| (f.name(), f.bytes)).collect();
        lengths.extend(view.logs.iter().map(|(log, len)| (log.name(), *len)));
        let stays = |file: &BackupFile| lengths.get(file.name.as_str()) == Some(&file.bytes);
        let others: Vec<String> =
            self.copied.values().filter(|f| !stays(f)).map(|f| f.name.clone()).collect();
        for name in others {
            self.drop_copy(&name)?;
        }
        self.left_out.retain(|name, _| lengths.contains_key(name.as_str()));
        Ok(())
    }

    fn drop_copy(&mut self, name: &str) -> Result<()> {
        self.target.remove(name).map_err(|e| failed(OP_BACKUP, name, e))?;
        self.copied.remove(name);
        Ok(())
    }

    fn is_done(&self, name: &str) -> bool {
        self.copied.contains_key(name) || self.left_out.contains_key(name)
    }

    fn sealed(&mut self, file: &Sealed) -> Result<()> {
        if self.is_done(file.name()) {
            return Ok(());
        }
        let core = &self.history.core;
        if file.info.is_none() {
            let why = check::sealed(&core.files, file)?.into_iter().next().unwrap_or_default();
            self.left_out.insert(file.name().to_owned(), (why, 0));
            return Ok(());
        }
        // The file may be in use by several: each read finds its own place.
        let read = |out: &mut [u8], at| file.read_raw(&core.files, out, at);
        let copied = copy::copy(OP_BACKUP, self.target, file.name(), file.bytes, read);
        self.keep(file.name(), file.rows(), copied, || check::sealed(&core.files, file))
    }

    fn log(&mut self, log: &Log, len: u64) -> Result<()> {
        if self.is_done(log.name()) {
            return Ok(());
        }
        let closed = || Err(gone(log.name()));
        let read = |out: &mut [u8], at| {
            let read = log
                .handle
                .peek(|open| open.file.read_at(out, at).map_err(|e| failed(OP_BACKUP, log.name(), e)));
            read.unwrap_or_else(closed)
        };
        let copied = copy::copy(OP_BACKUP, self.target, log.name(), len, read);
        let samples = u64::from(log.state().durable);
        self.keep(log.name(), samples, copied, || check::log(log).map(|verified| verified.problems))
    }

    /// Reads a copy back. When it is not sound, the history's own file tells whose damage that is.
    fn keep(
        &mut self,
        name: &str,
        samples: u64,
        copied: Result<BackupFile>,
        own: impl Fn() -> Result<Vec<String>>,
    ) -> Result<()> {
        let wrote = match copied {
            Err(e) if e.code() == code::CORRUPT => {
                self.left_out.insert(name.to_owned(), (e.message().to_owned(), samples));
                return Ok(());
            }
            copied => copied?,
        };
        self.copied.insert(name.to_owned(), wrote.clone());
        let Some(why) = copy::problems(self.target, name)?.into_iter().next() else { return Ok(()) };
        let file = self.target.open(name).map_err(|e| failed(OP_BACKUP, name, e))?;
        let back = copy::sum(OP_BACKUP, &*file, name, wrote.bytes)?;
        drop(file);
        if back != wrote.sha256 || own()?.is_empty() {
            let text =
                format!("the target does not give back what was written to it: {why}. Use another disk");
            return Err(Error::new(ErrorKind::Unreachable, OP_BACKUP, text)
                .code_as(code::IO)
                .with("file", name));
        }
        self.drop_copy(name)?;
        self.left_out.insert(name.to_owned(), (why, samples));
        Ok(())
    }

    fn finish(&mut self, now: Timestamp, view: &View) -> Result<BackupReport> {
        let io = |e| failed(OP_BACKUP, MANIFEST, e);
        self.target.sync_dir().map_err(io)?;
        let files: Vec<BackupFile> = self.copied.values().cloned().collect();
        let left_out = self.left_out.keys().cloned().collect();
        let text = Manifest { taken: now.0, files: files.clone(), left_out }.to_text();
        let file = self.target.create(MANIFEST).map_err(io)?;
        file.write_at(text.as_bytes(), 0).and_then(|()| file.sync()).map_err(io)?;
        drop(file);
        self.target.sync_dir().map_err(io)?;
        let lost: u64 = self.left_out.values().map(|(_, samples)| samples).sum();
        let left_out = std::mem::take(&mut self.left_out);
        Ok(BackupReport {
            sequence: view.sequence,
            samples: view.samples.saturating_sub(lost),
            files,
            left_out: left_out.into_iter().map(|(name, (why, _))| (name, why)).collect(),
        })
    }
}
