//! What everybody sees of actions: what is durable.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use tokio::sync::{Notify, broadcast, watch};

use super::{
    ActionId, Points,
    state::Header,
    status::Bucket,
    stops::{StopScope, Stops},
    watch::Summary,
};
use crate::{
    Error, ErrorKind, Result,
    audit::Log,
    io::{Ctx, Timestamp},
    planted::{Bug, planted},
    store::{ControlStore, Revision},
};

/// What everybody sees: what is durable.
#[derive(Debug)]
pub(super) struct Shared {
    pub cx: Ctx,
    pub store: ControlStore,
    durable: RwLock<Durable>,
    /// The latest time seen, ms.
    latest: AtomicI64,
    pub watch: broadcast::Sender<Summary>,
    /// Rises whenever anything changed.
    version: watch::Sender<u64>,
    /// The head of the audit log.
    log: RwLock<Log>,
    /// No send begins while it is set.
    pub halted: Arc<AtomicBool>,
    /// Told when an action that was begun has ended.
    pub ended: Notify,
    points: Option<Arc<dyn Points>>,
    /// Nobody else carries out the store's actions while it is held.
    _claim: Arc<()>,
}

#[derive(Debug, Default)]
struct Durable {
    actions: BTreeMap<ActionId, Shown>,
    /// Those that have not ended.
    unfinished: BTreeSet<ActionId>,
    stops: Arc<Stops>,
}

/// A header and the commit that wrote it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub header: Arc<Header>,
    pub revision: Revision,
}

impl Shared {
    pub fn new(
        cx: Ctx,
        store: ControlStore,
        readers: usize,
        points: Option<Arc<dyn Points>>,
    ) -> Result<Self> {
        let claim = store.claim_actions().ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "engine.open", "an engine is open over this store; end it first")
                .code_as("ERR_ENGINE_OPEN")
        })?;
        let (watch, version) = (broadcast::Sender::new(readers), watch::Sender::new(0));
        Ok(Self {
            cx,
            store,
            durable: RwLock::default(),
            watch,
            version,
            log: RwLock::default(),
            latest: AtomicI64::new(0),
            halted: Arc::default(),
            ended: Notify::new(),
            points,
            _claim: claim,
        })
    }

    /// The head of the audit log, as far as it is durable.
    pub fn log(&self) -> Log {
        self.log.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn show_log(&self, log: &Log) {
        self.log.write().unwrap_or_else(PoisonError::into_inner).clone_from(log);
    }

    /// Tells whoever wants to know that the engine is here.
    pub async fn point(&self, name: &'static str) {
        if let Some(points) = &self.points {
            points.at(name).await;
        }
    }

    /// Now, ms: never before what was seen, so that nothing that ran out is revived by a clock that is set back.
    pub fn now(&self) -> i64 {
        let Timestamp(wall) = self.cx.clock.wall();
        if planted(Bug::WallDeadline) {
            return wall;
        }
        self.seen(wall)
    }

    /// There was such a time, ms; gives the latest.
    pub fn seen(&self, ms: i64) -> i64 {
        self.latest.fetch_max(ms, Ordering::SeqCst).max(ms)
    }

    pub fn header(&self, id: ActionId) -> Option<Arc<Header>> {
        self.read(|d| d.actions.get(&id).map(|shown| Arc::clone(&shown.header)))
    }

    /// Every header of a range of ids, in their order.
    pub fn headers(&self, range: impl std::ops::RangeBounds<ActionId>) -> Vec<Arc<Header>> {
        self.read(|d| d.actions.range(range).map(|(_, shown)| Arc::clone(&shown.header)).collect())
    }

    /// The actions that have not ended, in the order of their ids.
    pub fn unfinished(&self) -> Vec<ActionId> {
        self.read(|d| d.unfinished.iter().copied().collect())
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Tells those who wait that something changed.
    pub fn tell(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// Lets a durable header be seen.
    pub fn show(&self, shown: Shown) {
        let (id, done) = (shown.header.id, shown.header.status.bucket() == Bucket::Done);
        self.write(|d| {
            if done {
                d.unfinished.remove(&id)
            } else {
                d.unfinished.insert(id)
            };
            d.actions.insert(id, shown);
        });
    }

    pub fn stops(&self) -> Arc<Stops> {
        self.read(|d| Arc::clone(&d.stops))
    }

    pub fn shown(&self, id: ActionId) -> Option<Shown> {
        self.read(|d| d.actions.get(&id).cloned())
    }

    pub fn last_id(&self) -> ActionId {
        self.read(|d| d.actions.last_key_value().map_or(ActionId::new(0), |(id, _)| *id))
    }

    pub fn show_stops(&self, stops: Arc<Stops>) {
        let halted = stops.holds(&StopScope::Halt);
        self.write(|d| d.stops = stops);
        self.halted.store(halted, Ordering::SeqCst);
    }

    fn read<T>(&self, f: impl FnOnce(&Durable) -> T) -> T {
        f(&self.durable.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, f: impl FnOnce(&mut Durable) -> T) -> T {
        f(&mut self.durable.write().unwrap_or_else(PoisonError::into_inner))
    }
}
