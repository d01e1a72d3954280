use std::{
    ops::{Bound, RangeBounds},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLockReadGuard, Weak, atomic::Ordering},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::{
    backend::Backend,
    batch::{Batch, Revision},
    db::{Db, FORMAT},
    dir,
    engine::{Job, Plan, Shared, Waiting},
    fault::code,
    group::Runner,
    last,
    migrate::STEPS,
    record::{Record, Versioned},
    seal::{SealKey, Sealer},
    space::{Key, Space},
    state::State,
};
use crate::{Error, ErrorKind, Result, io::Ctx};

const DEFAULT_RESERVE: u64 = 4 << 20;

/// Who does the blocking work of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writer {
    /// A thread of its own, which makes all batches that wait durable together.
    #[default]
    Thread,
    /// Whoever commits: for simulations, where the order of everything comes from one seed.
    Inline,
}

/// How a [`ControlStore`] is run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Bytes kept on the disk for stop actions; 0 keeps none. On a full disk they are logged there, in place; on a
    /// file system that copies on write (btrfs, ZFS, APFS) that may need space all the same.
    pub reserve_bytes: u64,
    /// Who does the blocking work.
    pub writer: Writer,
    /// The key that seals secrets; without it a key file is used.
    pub key: Option<SealKey>,
    /// Where the key file is; `site.key` in the store's folder by default.
    pub key_file: Option<PathBuf>,
    /// How often a site makes durable what its things said last; 1 s.
    pub last_every: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let (reserve_bytes, writer, last_every) = (DEFAULT_RESERVE, Writer::Thread, last::EVERY);
        Self { reserve_bytes, writer, key: None, key_file: None, last_every }
    }
}

/// How a store does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// The disk is full: only stop actions are committed.
    pub full: bool,
    /// Bytes kept for stop actions and not in use at the moment.
    pub reserve_bytes: u64,
    /// Why the file cannot be written; reading goes on.
    pub broken: Option<String>,
    /// Transactions made durable since the start.
    pub commits: u64,
    /// Batches made durable since the start.
    pub batches: u64,
    /// Batches refused because a guard did not hold.
    pub refused: u64,
    /// Batches refused because the disk was full.
    pub refused_full: u64,
    /// How often the file was opened: once, and once more after each error.
    pub opened: u64,
    /// Batches that wait.
    pub waiting: u64,
}

/// A site's registry, actions, audit and settings: state in memory, one file as its durable log. Cheap to clone; the
/// file is closed when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct ControlStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runner: Runner,
    shared: Arc<Shared>,
    sealer: Sealer,
    site: String,
    /// Who writes actions, while somebody does.
    engine: Mutex<Weak<()>>,
}

impl ControlStore {
    /// Sets a new site up in the folder `dir`: an explicit act, never a part of starting. Writes the store, the
    /// site's id beside it, and the key that seals secrets unless one is given.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `STORE_EXISTS` when any of it is there already.
    pub async fn create(cx: &Ctx, dir: &Path, options: &StoreOptions) -> Result<Self> {
        let ready = dir::create(cx, dir, options)?;
        Self::start(cx, ready.backend, Some(ready.site), ready.sealer, options).await
    }

    /// The right to be the one who writes actions, until it is dropped; `None` while somebody else has it.
    pub(crate) fn claim_actions(&self) -> Option<Arc<()>> {
        let mut held = self.0.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if held.strong_count() > 0 {
            return None;
        }
        let claim = Arc::new(());
        *held = Arc::downgrade(&claim);
        Some(claim)
    }

    /// Opens the site in the folder `dir`; never makes one. A file that is refused stays as it was.
    ///
    /// # Errors
    /// One of the codes in [`code`](super::code), with a message that says what to do.
    pub async fn open(cx: &Ctx, dir: &Path, options: &StoreOptions) -> Result<Self> {
        let ready = dir::open(dir, options)?;
        match Self::start(cx, ready.backend, Some(ready.site), ready.sealer, options).await {
            Ok(store) => {
                dir::drop_next_key(dir, options);
                Ok(store)
            }
            // A change of the key that was cut short after its commit.
            Err(e) if e.code() == code::KEY && dir::next_key(dir, options).is_some_and(|p| p.exists()) => {
                let ready = dir::open_with_next_key(dir, options)?;
                let store = Self::start(cx, ready.backend, Some(ready.site), ready.sealer, options);
                let store = store.await.map_err(|_| e)?;
                dir::take_next_key(dir, options)?;
                Ok(store)
            }
            Err(e) => Err(e),
        }
    }

    /// As [`create`](Self::create), in an empty backend; `options.key` has to be given.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_on(cx: &Ctx, backend: Arc<dyn Backend>, options: &StoreOptions) -> Result<Self> {
        let sealer = given_key(options)?;
        let site = dir::new_site(&*cx.rng);
        let about = dir::about(&*cx.rng, &site, &sealer)?;
        if backend.size().is_ok_and(|size| size > 0) {
            return Err(dir::exists(Path::new("backend")));
        }
        drop(Db::create(backend.clone(), &about).map_err(|fault| fault.to_error("store.create"))?);
        Self::start(cx, backend, Some(site), sealer, options).await
    }

    /// As [`open`](Self::open), from a backend; `options.key` has to be given.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(cx: &Ctx, backend: Arc<dyn Backend>, options: &StoreOptions) -> Result<Self> {
        Self::start(cx, backend, None, given_key(options)?, options).await
    }

    async fn start(
        cx: &Ctx,
        backend: Arc<dyn Backend>,
        site: Option<String>,
        sealer: Sealer,
        options: &StoreOptions,
    ) -> Result<Self> {
        let plan = Plan {
            backend,
            clock: cx.clock.clone(),
            sealer,
            site,
            reserve: options.reserve_bytes,
            steps: STEPS,
            format: FORMAT,
        };
        Self::run(plan, options.writer).await
    }

    pub(super) async fn run(plan: Plan, writer: Writer) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let sealer = plan.sealer.clone();
        let (runner, site) = Runner::open(writer, plan, shared.clone()).await?;
        Ok(Self(Arc::new(Inner { runner, shared, sealer, site, engine: Mutex::default() })))
    }

    /// Id of the site.
    pub fn site(&self) -> &str {
        &self.0.site
    }

    /// Seals secrets before they are put into a record, and unseals them.
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.0.shared.state()
    }

    /// The last durable commit.
    pub fn revision(&self) -> Revision {
        Revision(self.0.shared.state().revision)
    }

    /// One record as its own type.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when it is not of that type.
    pub fn get<T: DeserializeOwned>(
        &self,
        space: Space,
        key: impl Into<Key>,
    ) -> Result<Option<Versioned<T>>> {
        let Some(record) = self.get_record(space, key) else { return Ok(None) };
        Ok(Some(Versioned { value: record.parse()?, revision: record.revision }))
    }

    /// One record as its JSON text.
    pub fn get_record(&self, space: Space, key: impl Into<Key>) -> Option<Record> {
        self.0.shared.state().record(space, key.into().as_str())
    }

    /// The first `limit` records of a range of keys, in order. What is given belongs to one commit; it is not
    /// followed by later ones.
    pub fn scan(&self, space: Space, keys: impl RangeBounds<Key>, limit: usize) -> Vec<Record> {
        let state = self.0.shared.state();
        let range = (keys.start_bound(), keys.end_bound());
        if let (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) =
            range
        {
            // The map's own range does not take these.
            if from > to || (from == to && matches!(range, (Bound::Excluded(_), Bound::Excluded(_)))) {
                return Vec::new();
            }
        }
        state.space(space).range::<Key, _>(range).take(limit).map(|(key, held)| held.record(key)).collect()
    }

    /// All records whose key begins with `prefix`, in order.
    pub fn scan_prefix(&self, space: Space, prefix: &str) -> Vec<Record> {
        let state = self.0.shared.state();
        let from = state.space(space).range(Key::from(prefix)..);
        let records = from.take_while(|(key, _)| key.as_str().starts_with(prefix));
        records.map(|(key, held)| held.record(key)).collect()
    }

    /// How many records a space has.
    pub fn count(&self, space: Space) -> usize {
        self.0.shared.state().space(space).len()
    }

    /// Makes a batch durable and gives its revision; returns only then. Dropping the future does not stop the batch.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when a guard does not hold; `STORE_FULL`, `STORE_IO`, `STORE_BUSY` and the
    /// codes of damage. [`Error::sent`] is [`Sent::Maybe`](crate::Sent::Maybe) when the outcome is unknown: read the
    /// record then; otherwise nothing was written.
    pub async fn commit(&self, mut batch: Batch) -> Result<Revision> {
        batch.check()?;
        let _waiting = Waiting::new(&self.0.shared);
        let (reply, answer) = oneshot::channel();
        self.0.runner.submit(Job { batch, reply })?;
        let gone =
            |_| Error::new(ErrorKind::Closed, "store.commit", "the store ended meanwhile").maybe_sent();
        answer.await.map_err(gone)?
    }

    /// Reads the whole file and compares it with what was written.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when a block differs.
    pub async fn verify(&self) -> Result<()> {
        self.0.runner.scrub().await
    }

    /// Whether whoever commits does the blocking work: see [`Writer::Inline`].
    pub(crate) fn is_inline(&self) -> bool {
        self.0.runner.is_inline()
    }

    /// How the store does.
    pub fn health(&self) -> StoreHealth {
        let mut health = self.0.shared.health().clone();
        health.waiting = self.0.shared.waiting.load(Ordering::Relaxed);
        health
    }

    /// Finishes what waits and closes the file. Other clones answer [`Closed`](ErrorKind::Closed) from then on.
    ///
    /// # Errors
    /// None at present; the file is whole whenever it is opened again.
    pub async fn close(self) -> Result<()> {
        self.0.runner.close();
        Ok(())
    }
}

pub(super) fn given_key(options: &StoreOptions) -> Result<Sealer> {
    let missing = || Error::invalid("store.open", "key", "a store on a backend of its own needs a key");
    options.key.as_ref().map(Sealer::new).ok_or_else(missing)
}
