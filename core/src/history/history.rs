use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use super::{
    catalog::Core,
    check,
    disk::Disk,
    fault::{OP_APPEND, OP_COMMIT, OP_OPEN, code, corrupt, failed, full, is_gone},
    handle::Handle,
    log::{Log, LogState},
    maintain::{Work, rotation_due},
    name::{day_of, log_name},
    open,
    record::{LOG_HEADER, LogHeader, most_bytes},
    types::{
        HistoryOptions, HistoryStats, MAX_OWNER_BYTES, MAX_TEXT_BYTES, MAX_TS, Maintained, OpenReport,
        Sample, VerifiedFile,
    },
};
use crate::{Error, ErrorKind, Result, io::Timestamp};

/// What things said, kept in a folder; see [the module](super).
#[derive(Debug)]
pub struct History {
    pub(super) core: Arc<Core>,
    writing: Mutex<Writing>,
    work: Mutex<Work>,
    infinite: AtomicU64,
    closed: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Writing {
    log: Arc<Log>,
    /// Bytes of the bound that were taken for a commit that failed.
    taken: u64,
}

impl Writing {
    /// The last sequence that is durable.
    pub fn durable_sequence(&self) -> u64 {
        // Of a log that has none yet this is what comes before its first.
        (self.log.sequence(0) + u64::from(self.log.state().durable)).saturating_sub(1)
    }
}

impl History {
    /// Makes a history in a folder that has none.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_HISTORY_EXISTS` when there is one.
    pub fn create(
        disk: Arc<dyn Disk>,
        options: HistoryOptions,
        now: Timestamp,
    ) -> Result<(Self, OpenReport)> {
        if open::is_there(&*disk)? {
            let text = "there is a history already: open it, or move the folder's files away";
            return Err(Error::new(ErrorKind::Conflict, OP_OPEN, text).code_as(code::EXISTS));
        }
        Self::start(disk, options, now)
    }

    /// Opens the history of a folder, and begins a new log.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with `ERR_HISTORY_MISSING` when there is none,
    /// [`Corrupt`](ErrorKind::Corrupt) with `ERR_HISTORY_CORRUPT` when a log is damaged. Damaged parts and days are in
    /// the report, and everything else can be read.
    pub fn open(disk: Arc<dyn Disk>, options: HistoryOptions, now: Timestamp) -> Result<(Self, OpenReport)> {
        if !open::is_there(&*disk)? {
            let text = "there is no history: check the path, or make one with create";
            return Err(Error::new(ErrorKind::NotFound, OP_OPEN, text).code_as(code::MISSING));
        }
        Self::start(disk, options, now)
    }

    /// Opens the history of a folder, or makes one where there is none. What is damaged is logged.
    pub(crate) fn open_or_create(
        disk: Arc<dyn Disk>,
        options: HistoryOptions,
        now: Timestamp,
    ) -> Result<Self> {
        let (history, report) = if open::is_there(&*disk)? {
            Self::open(disk, options, now)?
        } else {
            Self::create(disk, options, now)?
        };
        for (file, problem) in &report.damaged {
            tracing::error!(%file, %problem, "a file of the history is damaged; others can be read");
        }
        Ok(history)
    }

    fn start(disk: Arc<dyn Disk>, options: HistoryOptions, now: Timestamp) -> Result<(Self, OpenReport)> {
        options.check()?;
        let (catalog, mut report) = open::take_over(&disk)?;
        let core = Arc::new(Core::new(disk, options, catalog));
        core.reserve(OP_OPEN, 0)?;
        let today = day_of(now.0);
        let parts: Vec<_> = core.catalog().days.range(today..).flat_map(|(_, files)| files.clone()).collect();
        for part in parts.iter().filter(|part| part.info.is_some()) {
            let problems = check::sealed(&core.files, part)?;
            report.damaged.extend(problems.into_iter().take(1).map(|p| (part.name().to_owned(), p)));
        }
        let log = new_log(&core, now)?;
        let writing = Mutex::new(Writing { log, taken: 0 });
        Ok((
            Self {
                core,
                writing,
                work: Mutex::default(),
                infinite: AtomicU64::new(0),
                closed: AtomicBool::new(false),
            },
            report,
        ))
    }

    pub(super) fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes everything durable that was appended, and lets the folder be opened again; whoever still holds this can read,
    /// and write no more.
    ///
    /// # Errors
    /// Those of [`commit`](Self::commit). It is closed all the same.
    pub fn close(&self) -> Result<()> {
        // Who maintains it is let end.
        let _work = self.work();
        let committed = self.commit();
        self.closed.store(true, SeqCst);
        self.core.disk.release();
        committed
    }

    fn is_open(&self, op: &'static str) -> Result<()> {
        if self.closed.load(SeqCst) {
            return Err(Error::new(ErrorKind::Closed, op, "the history was closed"));
        }
        Ok(())
    }

    /// Takes samples, all or none, and gives the sequence of the last. They can be read at once, and are durable
    /// after the next [`commit`](Self::commit) that succeeds.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a sample out of bounds, [`RateLimited`](ErrorKind::RateLimited) with
    /// `ERR_HISTORY_BOUND` when too much waits for a commit.
    pub fn append(&self, samples: &[Sample<'_>]) -> Result<u64> {
        let mut bytes = 0;
        let mut infinite = 0;
        for (i, sample) in samples.iter().enumerate() {
            check_sample(sample).map_err(|e| e.with("sample", i))?;
            infinite += sample.values.iter().filter(|x| x.is_infinite()).count();
            bytes += most_bytes(sample.values.len(), sample.texts) + sample.owner.len() + 2;
        }
        let writing = self.writing();
        self.is_open(OP_APPEND)?;
        let most = self.core.options.max_block_bytes;
        writing.log.append(samples, bytes, most)?;
        self.infinite.fetch_add(infinite as u64, Relaxed);
        let records = writing.log.state().records;
        Ok(writing.log.sequence(records.saturating_sub(1)))
    }

    /// Makes everything durable that was appended before.
    ///
    /// # Errors
    /// When the disk failed, what waits stays and can be read; [`sent`](Error::sent) says whether it may be durable
    /// all the same. The next commit writes it again, in the same place. `ERR_HISTORY_FULL` when there is no room.
    pub fn commit(&self) -> Result<()> {
        let mut writing = self.writing();
        self.is_open(OP_COMMIT)?;
        let logs: Vec<_> = self.core.catalog().logs.values().cloned().collect();
        let unsealed: u64 = logs.iter().map(|log| log.state().written).sum();
        let waiting = writing.log.waiting() as u64;
        if waiting > 0 && unsealed + waiting > self.core.options.bound_bytes / 4 {
            // A log that is sealed needs room for its parts while it is there.
            return Err(full(OP_COMMIT, "logs that wait to be sealed take a quarter of the bound: maintain"));
        }
        self.commit_locked(&mut writing)
    }

    fn commit_locked(&self, writing: &mut Writing) -> Result<()> {
        let waiting = writing.log.waiting() as u64;
        self.core.reserve(OP_COMMIT, waiting.saturating_sub(writing.taken))?;
        writing.taken = writing.taken.max(waiting);
        writing.log.commit()?;
        writing.taken = 0;
        Ok(())
    }

    /// Does one bounded piece of what is due: closes the log, seals logs, merges parts, makes a day's file. `None`
    /// when nothing is due. Appending, committing and reading go on meanwhile, in other threads.
    ///
    /// # Errors
    /// When the disk failed or is full; the next call tries again. `ERR_HISTORY_CORRUPT` once for each day or log with
    /// damage: it stays as it is.
    pub fn maintain(&self, now: Timestamp) -> Result<Option<Maintained>> {
        let mut work = self.work();
        if self.closed.load(SeqCst) {
            return Ok(None);
        }
        self.core.settle()?;
        let open = {
            let mut writing = self.writing();
            if rotation_due(&self.core, &writing.log, now) {
                self.commit_locked(&mut writing)?;
                let log = writing.log.header.number;
                writing.log = new_log(&self.core, now)?;
                return Ok(Some(Maintained::Rotated { log }));
            }
            writing.log.header.number
        };
        work.step(&self.core, open, now)
    }

    /// Closes the open log before that is due, so that [`maintain`](Self::maintain) seals it next. What waits is
    /// committed.
    ///
    /// # Errors
    /// As [`maintain`](Self::maintain).
    pub fn rotate(&self, now: Timestamp) -> Result<()> {
        let _work = self.work();
        self.core.settle()?;
        let mut writing = self.writing();
        self.commit_locked(&mut writing)?;
        let used = writing.log.state().records > 0;
        if used {
            writing.log = new_log(&self.core, now)?;
        }
        Ok(())
    }

    /// Compares all checksums of all files, with one file's reads at a time.
    ///
    /// # Errors
    /// Only when the disk does not answer.
    pub fn verify(&self) -> Result<Vec<VerifiedFile>> {
        let (files, logs) = {
            let catalog = self.core.catalog();
            let files: Vec<_> = catalog.days.values().flatten().cloned().collect();
            (files, catalog.logs.values().cloned().collect::<Vec<_>>())
        };
        let mut out = Vec::with_capacity(files.len() + logs.len());
        let mut keep = |verified: Result<VerifiedFile>| match verified {
            // Removed or merged meanwhile.
            Err(e) if is_gone(&e) => Ok(()),
            other => other.map(|verified| out.push(verified)),
        };
        for file in files {
            let problems = check::sealed(&self.core.files, &file);
            let (name, bytes) = (file.name().to_owned(), file.bytes);
            keep(problems.map(|problems| VerifiedFile { file: name, bytes, problems }))?;
        }
        logs.iter().try_for_each(|log| keep(check::log(log)))?;
        Ok(out)
    }

    /// What is kept, and what was done.
    pub fn stats(&self) -> HistoryStats {
        let stuck_days = self.work.try_lock().map_or(0, |work| work.stuck_days.len());
        let log = self.writing().log.clone();
        let (records, durable) = {
            let state = log.state();
            (state.records, state.durable)
        };
        let catalog = self.core.catalog();
        let infos = || catalog.days.values().flatten().filter_map(|file| file.info.as_ref());
        let open: u64 = catalog.logs.values().map(|log| u64::from(log.state().records)).sum();
        HistoryStats {
            bytes: catalog.used,
            samples: open + infos().map(|info| info.rows).sum::<u64>(),
            sealed_values: infos().map(|info| info.values).sum(),
            days: catalog.days.len(),
            logs: catalog.logs.len(),
            sequence: log.sequence(records.saturating_sub(1)),
            durable_sequence: log.sequence(durable.saturating_sub(1)),
            infinite_values: self.infinite.load(Relaxed),
            removed_days: catalog.removed.days,
            removed_bytes: catalog.removed.bytes,
            removed_samples: catalog.removed.samples,
            stuck_days,
        }
    }
}

/// Begins a log; it is the one that takes what comes.
fn new_log(core: &Arc<Core>, now: Timestamp) -> Result<Arc<Log>> {
    let number = core.number();
    core.reserve(OP_OPEN, LOG_HEADER as u64)?;
    let (removed_before, notes) = {
        let mut catalog = core.catalog();
        (catalog.removed.before.unwrap_or(i64::MIN), std::mem::take(&mut catalog.notes))
    };
    let header = LogHeader { number, created: now.0, removed_before };
    let name = log_name(number);
    let made = core.create(OP_OPEN, &name).and_then(|file| {
        let wrote = file.write_at(&header.to_bytes(), 0).and_then(|()| file.sync());
        wrote.map_err(|e| failed(OP_OPEN, &name, e))?;
        core.sync_dir()?;
        Ok(file)
    });
    let file = match made {
        Ok(file) => file,
        Err(e) => {
            // Left there it would be taken for a log that nothing was committed to.
            core.catalog().notes.extend(notes);
            core.unlink(name, LOG_HEADER as u64)?;
            return Err(e);
        }
    };
    // Its header says which days were removed.
    for note in notes {
        if let Err(e) = core.unlink(note, 0) {
            tracing::warn!(error = %e, "a note of a day that was removed is removed later");
        }
    }
    let state = LogState::with_bytes(LOG_HEADER as u64);
    let log = Arc::new(Log::new(header, Handle::with_file(name, file, ()), state));
    core.catalog().logs.insert(number, log.clone());
    Ok(log)
}

fn check_sample(sample: &Sample<'_>) -> Result<()> {
    let wrong = |field, text: &str| Err(Error::invalid(OP_APPEND, field, text));
    if sample.owner.is_empty() || sample.owner.len() > MAX_OWNER_BYTES {
        return wrong("owner", "an owner has 1 to 128 bytes");
    }
    if !(0..=MAX_TS).contains(&sample.ts.0) {
        return wrong("ts", "the time is within 1970 to 9999");
    }
    if sample.values.len() != sample.shape.len() {
        return wrong("values", "there is one value for each member of the shape");
    }
    if sample.texts.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
        return wrong("texts", "the texts of a sample have at most 1 MiB");
    }
    Ok(())
}

/// The first and last ms of a range; `None` when it is empty.
pub(super) fn bounds(range: &Range<Timestamp>) -> Option<(i64, i64)> {
    // Nothing is kept outside of these.
    let (from, to) = (range.start.0.max(0), range.end.0.min(MAX_TS + 1));
    (from < to).then(|| (from, to - 1))
}

/// A log's record that makes no sense.
pub(super) fn bad_record(log: &Log) -> Error {
    corrupt(log.name(), "a record is not what was written")
}
