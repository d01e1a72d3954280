use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    backend::Backend,
    control::Writer,
    db::{About, Db, FORMAT, Frozen, Wanted},
    dir::{self, LAST_FILE, SITE_FILE},
    fault::{Fault, closed, code},
    file::{FileBackend, at},
    migrate::STEPS,
    record::{MAX_VALUE_BYTES, encode, raw_key},
    state::RawWrite,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    io::{Clock, Ctx, Mono, Timestamp},
    model::Snapshot,
};

pub(super) const KIND: &str = "last";
/// Stands for a last row in the file; no space of the control store has this number.
const LAST: u8 = 200;
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Opening the file again reads all of it, so a disk that stays full or broken is not tried every second.
const AFTER_ERROR: Duration = Duration::from_secs(10);
/// Most rows and bytes that wait. At the largest site each thing has one row here, whatever its interval.
const MAX_ROWS: usize = 200_000;
const MAX_BYTES: usize = 512 << 20;

/// What a thing said last, as MiningOS keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRow {
    /// When the collection began.
    pub ts: Timestamp,
    /// Why there is no snapshot, or `null`.
    #[serde(default)]
    pub err: Option<String>,
    /// The snapshot, or `null`.
    #[serde(default)]
    pub snap: Option<Snapshot>,
}

/// What a [`LastStore`] held when it was opened.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Restored {
    /// The last row of each thing, by id.
    pub rows: Vec<(ThingId, LastRow)>,
    /// Rows that this release cannot read.
    pub unreadable: u64,
}

/// The last row of every thing, over restarts. Rows are taken at once and become durable together, at most once a
/// second, or as often as [`StoreOptions::last_every`](super::StoreOptions::last_every) says; of several rows of a thing
/// within that time the last counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LastStore(Arc<Owner>);

/// Ends the thread when the last clone is dropped.
#[derive(Debug)]
struct Owner {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    writer: Writer,
    waiting: Mutex<Waiting>,
    bell: Condvar,
    file: Mutex<Option<File>>,
    durable_until: AtomicI64,
    dropped: AtomicU64,
    every_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Without a row the thing was forgotten.
    rows: BTreeMap<ThingId, Option<Vec<u8>>>,
    bytes: usize,
    closed: bool,
    flushed: Mono,
    not_before: Mono,
}

#[derive(Debug)]
struct File {
    backend: Arc<dyn Backend>,
    site: String,
    db: Option<Db>,
    suspects: BTreeSet<u64>,
    revision: u64,
}

impl LastStore {
    /// Makes the file for a site that was set up before.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `STORE_EXISTS` when there is one.
    pub fn create(dir: &Path) -> Result<()> {
        let path = dir.join(LAST_FILE);
        if path.exists() {
            return Err(dir::exists(&path));
        }
        let fresh = dir.join(format!("{LAST_FILE}.new"));
        let backend = Arc::new(FileBackend::create(&fresh, None)?);
        Self::create_on(backend, &site_of(dir)?)?;
        dir::rename(&fresh, &path).and_then(|()| dir::sync_dir(dir)).map_err(|e| at(&path, &e))
    }

    /// Opens the file; never makes one. Gives the rows that were durable.
    ///
    /// # Errors
    /// As [`ControlStore::open`](super::ControlStore::open).
    pub fn open(cx: &Ctx, dir: &Path, writer: Writer) -> Result<(Self, Restored)> {
        let backend = Arc::new(FileBackend::open(&dir.join(LAST_FILE), None)?);
        Self::open_on(cx, backend, &site_of(dir)?, writer)
    }

    /// As [`create`](Self::create), in an empty backend.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_on(backend: Arc<dyn Backend>, site: &str) -> Result<()> {
        let about = About { kind: KIND.into(), site: site.into(), seal: None };
        drop(Db::create(backend, &about).map_err(|fault| fault.to_error("store.create"))?);
        Ok(())
    }

    /// As [`open`](Self::open), from a backend.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        cx: &Ctx,
        backend: Arc<dyn Backend>,
        site: &str,
        writer: Writer,
    ) -> Result<(Self, Restored)> {
        let mut file = File { backend, site: site.into(), db: None, suspects: BTreeSet::new(), revision: 0 };
        let restored = file.open().map_err(|fault| fault.to_error("store.open"))?;
        let inner = Arc::new(Inner {
            clock: cx.clock.clone(),
            writer,
            waiting: Mutex::new(Waiting { flushed: cx.clock.mono(), ..Waiting::default() }),
            bell: Condvar::new(),
            file: Mutex::new(Some(file)),
            durable_until: AtomicI64::new(i64::MIN),
            dropped: AtomicU64::new(0),
            every_ms: AtomicU64::new(millis(EVERY)),
        });
        let thread = match writer {
            Writer::Inline => None,
            Writer::Thread => {
                let inner = inner.clone();
                let spawned =
                    std::thread::Builder::new().name("headframe-last".into()).spawn(move || inner.serve());
                Some(spawned.map_err(|e| {
                    Error::new(ErrorKind::Internal, "store.open", "no thread can be started").caused_by(e)
                })?)
            }
        };
        Ok((Self(Arc::new(Owner { inner, thread: Mutex::new(thread) })), restored))
    }

    /// How often rows are made durable from now on.
    pub(crate) fn set_every(&self, every: Duration) {
        self.0.inner.every_ms.store(millis(every), Ordering::Relaxed);
    }

    /// Takes the last row of a thing. When too much waits already, it is dropped and counted.
    pub fn record(&self, id: &ThingId, row: &LastRow) {
        self.put(id, serde_json::to_vec(row).map_or_else(|_| None, |json| Some(Some(json))));
    }

    /// Removes a thing's row.
    pub fn forget(&self, id: &ThingId) {
        self.put(id, Some(None));
    }

    /// Every row taken before this time is durable; `None` when nothing was taken yet.
    pub fn durable_until(&self) -> Option<Timestamp> {
        let until = self.0.inner.durable_until.load(Ordering::Acquire);
        (until > i64::MIN).then_some(Timestamp(until))
    }

    /// Rows that were dropped because too much waited.
    pub fn dropped(&self) -> u64 {
        self.0.inner.dropped.load(Ordering::Relaxed)
    }

    /// Makes durable what waits, now.
    ///
    /// # Errors
    /// Those of the disk; the rows wait on.
    pub fn flush(&self) -> Result<()> {
        self.0.inner.flush().map_err(|fault| fault.to_error("store.last"))
    }

    /// Makes durable what waits and closes the file.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn close(self) -> Result<()> {
        let flushed = self.flush();
        self.0.stop();
        flushed
    }

    /// The rows that are durable, with the site and their commit. What waits is made durable before, where the disk lets it.
    pub(super) fn frozen(&self, op: &'static str) -> Result<(Frozen, About, u64)> {
        self.0.inner.flush_or_tell();
        let mut file = lock(&self.0.inner.file);
        let file = file.as_mut().ok_or_else(|| closed(op))?;
        let (frozen, revision) = file.frozen().map_err(|fault| fault.to_error(op))?;
        Ok((frozen, About { kind: KIND.into(), site: file.site.clone(), seal: None }, revision))
    }

    /// `None` is a row that cannot be written.
    fn put(&self, id: &ThingId, row: Option<Option<Vec<u8>>>) {
        let inner = &self.0.inner;
        let due = {
            let mut waiting = lock(&inner.waiting);
            let fits = row.as_ref().is_some_and(|row| waiting.fits(id, row.as_deref()));
            match row {
                Some(row) if fits => waiting.insert(id.clone(), row),
                _ => {
                    inner.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            inner.clock.mono().since(waiting.flushed) >= inner.every()
        };
        if inner.writer == Writer::Inline && due {
            inner.flush_or_tell();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Owner {
    fn stop(&self) {
        lock(&self.inner.waiting).closed = true;
        self.inner.bell.notify_all();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the last rows did not end well");
        }
        drop(lock(&self.inner.file).take());
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Err(fault) = self.inner.flush() {
            tracing::warn!(?fault, "the last rows of this run are lost");
        }
        self.stop();
    }
}

impl Waiting {
    fn fits(&self, id: &ThingId, row: Option<&[u8]>) -> bool {
        let bytes = row.map_or(0, <[u8]>::len);
        let known = self.rows.contains_key(id);
        !self.closed
            && bytes <= MAX_VALUE_BYTES
            && (known || self.rows.len() < MAX_ROWS)
            && self.bytes.saturating_add(bytes) <= MAX_BYTES
    }

    fn insert(&mut self, id: ThingId, row: Option<Vec<u8>>) {
        self.bytes += row.as_ref().map_or(0, Vec::len);
        let old = self.rows.insert(id, row).flatten();
        self.bytes -= old.map_or(0, |old| old.len());
    }
}

impl Inner {
    fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms.load(Ordering::Relaxed))
    }

    fn serve(&self) {
        loop {
            let mut waiting = lock(&self.waiting);
            if !waiting.closed {
                let woken = self.bell.wait_timeout(waiting, self.every());
                waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            if waiting.closed {
                return;
            }
            drop(waiting);
            self.flush_or_tell();
        }
    }

    fn flush_or_tell(&self) {
        if self.clock.mono() < lock(&self.waiting).not_before {
            return;
        }
        if let Err(fault) = self.flush() {
            tracing::warn!(?fault, "the last rows are not durable yet");
        }
    }

    fn flush(&self) -> Result<(), Fault> {
        let mut file = lock(&self.file);
        let Some(file) = &mut *file else { return Ok(()) };
        let (rows, until) = {
            let mut waiting = lock(&self.waiting);
            waiting.flushed = self.clock.mono();
            waiting.bytes = 0;
            (std::mem::take(&mut waiting.rows), self.clock.wall())
        };
        if !rows.is_empty()
            && let Err(fault) = file.write(&rows)
        {
            let mut waiting = lock(&self.waiting);
            waiting.not_before = self.clock.mono() + AFTER_ERROR;
            for (id, row) in rows {
                if !waiting.rows.contains_key(&id) {
                    waiting.insert(id, row);
                }
            }
            return Err(fault);
        }
        // When the clock was set back, so is this.
        self.durable_until.store(until.0, Ordering::Release);
        Ok(())
    }
}

impl File {
    fn open(&mut self) -> Result<Restored, Fault> {
        let site = self.site.clone();
        let wanted = Wanted {
            kind: KIND,
            steps: STEPS,
            format: FORMAT,
            judge: &|loaded| match loaded.about.site == site {
                true => Ok(()),
                false => Err(Fault::Foreign(format!("{LAST_FILE} is of another site than {SITE_FILE}"))),
            },
        };
        let (db, loaded) = Db::open(self.backend.clone(), &mut self.suspects, &wanted)?;
        if loaded.revision < self.revision {
            return Err(Fault::Lost { acknowledged: self.revision, found: loaded.revision });
        }
        self.revision = loaded.revision;
        self.db = Some(db);
        let mut restored = Restored::default();
        for framed in loaded.records {
            match (ThingId::new(framed.record.key.as_str()), framed.record.parse()) {
                (Ok(id), Ok(row)) => restored.rows.push((id, row)),
                _ => restored.unreadable += 1,
            }
        }
        Ok(restored)
    }

    fn frozen(&mut self) -> Result<(Frozen, u64), Fault> {
        if self.db.is_none() {
            self.open()?;
        }
        let Some(db) = &self.db else { return Err(Fault::Empty) };
        Ok((db.frozen()?, self.revision))
    }

    /// Rows are whole states, so writing them twice does no harm: an unknown outcome needs no look.
    fn write(&mut self, rows: &BTreeMap<ThingId, Option<Vec<u8>>>) -> Result<(), Fault> {
        if self.db.is_none() {
            self.open()?;
        }
        let Some(db) = &self.db else { return Err(Fault::Empty) };
        let revision = self.revision + 1;
        let raw = |(id, row): (&ThingId, &Option<Vec<u8>>)| RawWrite {
            key: raw_key(LAST, id.as_str()),
            value: row.as_ref().map(|json| encode(LAST, id.as_str(), revision, json)),
        };
        let writes: Vec<RawWrite> = rows.iter().map(raw).collect();
        let written = db.write(&writes, revision);
        match written {
            Ok(()) => self.revision = revision,
            Err(_) => {
                if let Some(db) = self.db.take() {
                    self.suspects.extend(db.abandon());
                }
            }
        }
        written
    }
}

fn site_of(dir: &Path) -> Result<String> {
    let missing = || {
        let text = "the site is not set up here: create the control store first";
        Error::new(ErrorKind::NotFound, "store.open", text)
            .code_as(code::MISSING)
            .with("folder", dir.display())
    };
    dir::read_site(dir)?.map(|site| site.site).ok_or_else(missing)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
