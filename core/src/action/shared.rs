//! What everybody sees of actions: what is durable.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, broadcast};

use super::{
    ActionId, Points, archive,
    id::unknown,
    state::Header,
    status::Bucket,
    stops::{StopScope, Stops},
    watch::Summary,
};
use crate::{
    Error, ErrorKind, Result,
    audit::Log,
    io::Ctx,
    planted::{Bug, planted},
    store::{ControlStore, Revision},
};

/// What everybody sees: what is durable.
#[derive(Debug)]
pub(super) struct Shared {
    pub cx: Ctx,
    pub store: ControlStore,
    durable: RwLock<Durable>,
    /// How far the latest time that was seen is ahead of the monotonic clock, ms.
    ahead: AtomicI64,
    pub watch: broadcast::Sender<Summary>,
    version: Arc<Version>,
    /// The head of the audit log.
    log: RwLock<Log>,
    /// No send begins while it is set.
    pub halted: Arc<AtomicBool>,
    /// Told when an action that was begun has ended.
    pub ended: Notify,
    points: Option<Arc<dyn Points>>,
    /// Calls that were sent though their intent could not be journalled, until their outcome is.
    unrecorded: Mutex<BTreeSet<(ActionId, u32)>>,
    /// Nobody else carries out the store's actions while it is held.
    _claim: Arc<()>,
}

#[derive(Debug, Default)]
struct Durable {
    actions: BTreeMap<ActionId, Shown>,
    /// Those that have not ended.
    unfinished: BTreeSet<ActionId>,
    /// Those that are in the archive, and since when, ms.
    moved: BTreeMap<ActionId, i64>,
    stops: Arc<Stops>,
}

/// An action in a list.
#[derive(Debug)]
pub(super) enum Listing {
    /// It is in the control store.
    Here(Arc<Header>),
    /// It is in the archive since then, ms.
    Archived(ActionId, i64),
}

impl Listing {
    pub fn id(&self) -> ActionId {
        match self {
            Self::Here(header) => header.id,
            Self::Archived(id, _) => *id,
        }
    }
}

/// A header and the commit that wrote it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub header: Arc<Header>,
    pub revision: Revision,
}

/// Rises whenever anything changed.
#[derive(Debug, Default)]
struct Version {
    number: AtomicU64,
    changed: Notify,
}

/// Tells of changes. Who waits first is told first: tokio's own `watch` wakes in a random order, and in a simulation the
/// order of everything comes from one seed.
#[derive(Debug)]
pub(super) struct Changes {
    version: Arc<Version>,
    seen: u64,
}

impl Changes {
    /// Whatever changed until now is known.
    pub fn mark_seen(&mut self) {
        self.seen = self.version.number.load(Ordering::SeqCst);
    }

    /// Waits until something changed that is not known.
    pub async fn changed(&mut self) {
        let mut told = pin!(self.version.changed.notified());
        // From here on no change is missed.
        told.as_mut().enable();
        if self.version.number.load(Ordering::SeqCst) == self.seen {
            told.await;
        }
        self.seen = self.version.number.load(Ordering::SeqCst);
    }
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
        let watch = broadcast::Sender::new(readers);
        Ok(Self {
            cx,
            store,
            durable: RwLock::default(),
            watch,
            version: Arc::default(),
            log: RwLock::default(),
            ahead: AtomicI64::new(i64::MIN),
            halted: Arc::default(),
            ended: Notify::new(),
            points,
            unrecorded: Mutex::default(),
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

    /// Now, ms: never before what was seen, so that nothing that ran out is revived by a clock that is set back; and it goes
    /// on from there, so that nothing waits for that clock to catch up.
    pub fn now(&self) -> i64 {
        let wall = self.wall();
        if planted(Bug::WallDeadline) {
            return wall;
        }
        self.seen(wall)
    }

    /// What the wall clock says, ms: it can be set back.
    pub fn wall(&self) -> i64 {
        self.cx.clock.wall().0
    }

    /// The time that stands in an audit entry made now, ms.
    pub fn stamp(&self) -> i64 {
        if planted(Bug::WallClock) {
            return crate::planted::machine_ms();
        }
        self.now()
    }

    /// There was such a time, ms; gives what time it is at least.
    pub fn seen(&self, ms: i64) -> i64 {
        let passed = i64::try_from(self.cx.clock.mono().since_origin().as_millis()).unwrap_or(i64::MAX);
        let ahead = ms.saturating_sub(passed);
        self.ahead.fetch_max(ahead, Ordering::SeqCst).max(ahead).saturating_add(passed)
    }

    pub fn header(&self, id: ActionId) -> Option<Arc<Header>> {
        self.read(|d| d.actions.get(&id).map(|shown| Arc::clone(&shown.header)))
    }

    /// The same, or why nothing can be done to it.
    pub fn known(&self, id: ActionId) -> Result<Arc<Header>> {
        self.header(id).ok_or_else(|| self.missing(id))
    }

    /// Why an action is not among those that something can be done to.
    pub fn missing(&self, id: ActionId) -> Error {
        if !self.read(|d| d.moved.contains_key(&id)) {
            return unknown();
        }
        let text = "the action ended long ago and is in the archive";
        Error::new(ErrorKind::Conflict, "action", text).code_as("ERR_ACTION_DECIDED")
    }

    /// Headers and archived ones of a range of ids, at one moment.
    pub fn all(&self, range: impl std::ops::RangeBounds<ActionId> + Clone) -> Vec<Listing> {
        let mut all: Vec<Listing> = self.read(|d| {
            let here =
                d.actions.range(range.clone()).map(|(_, shown)| Listing::Here(Arc::clone(&shown.header)));
            here.chain(d.moved.range(range).map(|(id, at)| Listing::Archived(*id, *at))).collect()
        });
        all.sort_by_key(Listing::id);
        all
    }

    /// Reads what is in the archive already.
    pub fn load_moved(&self) -> Result<()> {
        let moved = archive::moved(&self.store)?;
        self.seen(moved.iter().map(|(_, at)| *at).max().unwrap_or_default());
        self.write(|d| d.moved = moved.into_iter().collect());
        Ok(())
    }

    /// An action has left for the archive.
    pub fn leave(&self, id: ActionId, at: i64) {
        self.write(|d| {
            d.actions.remove(&id);
            d.unfinished.remove(&id);
            d.moved.insert(id, at);
        });
    }

    /// Every header of a range of ids, in their order.
    pub fn headers(&self, range: impl std::ops::RangeBounds<ActionId>) -> Vec<Arc<Header>> {
        self.read(|d| d.actions.range(range).map(|(_, shown)| Arc::clone(&shown.header)).collect())
    }

    /// Some of the actions of which nothing can change any more and that ended before that, ms; in the order of their ids.
    pub fn ended_before(&self, before: i64, most: usize) -> Vec<Arc<Header>> {
        self.read(|d| {
            let headers = d.actions.values().map(|shown| &shown.header);
            headers.filter(|header| header.is_over_since(before)).take(most).cloned().collect()
        })
    }

    /// The actions that have not ended, in the order of their ids.
    pub fn unfinished(&self) -> Vec<ActionId> {
        self.read(|d| d.unfinished.iter().copied().collect())
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> Changes {
        let seen = self.version.number.load(Ordering::SeqCst);
        Changes { version: Arc::clone(&self.version), seen }
    }

    /// Tells those who wait that something changed.
    pub fn tell(&self) {
        self.version.number.fetch_add(1, Ordering::SeqCst);
        self.version.changed.notify_waiters();
    }

    /// A call is about to be sent, and the journal does not say so.
    pub fn sends_unrecorded(&self, id: ActionId, n: u32) {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).insert((id, n));
    }

    /// The journal says how it ended.
    pub fn recorded(&self, id: ActionId, n: u32) {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).remove(&(id, n));
    }

    /// Whether a call that waits by its journal was sent.
    pub fn is_unrecorded(&self, id: ActionId, n: u32) -> bool {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).contains(&(id, n))
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
        let last = |d: &Durable| {
            let here = d.actions.last_key_value().map(|(id, _)| *id);
            here.max(d.moved.last_key_value().map(|(id, _)| *id))
        };
        self.read(last).unwrap_or(ActionId::new(0))
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn changes(version: &Arc<Version>) -> Changes {
        Changes { version: Arc::clone(version), seen: version.number.load(Ordering::SeqCst) }
    }

    fn change(version: &Version) {
        version.number.fetch_add(1, Ordering::SeqCst);
        version.changed.notify_waiters();
    }

    #[tokio::test]
    async fn who_waits_first_is_told_first() {
        let (version, told) = (Arc::<Version>::default(), Arc::<Mutex<Vec<usize>>>::default());
        let mut waiting = JoinSet::new();
        for n in 0..50 {
            let (mut changes, told) = (changes(&version), Arc::clone(&told));
            waiting.spawn(async move {
                changes.changed().await;
                told.lock().unwrap().push(n);
            });
        }
        yield_now().await;
        change(&version);
        while waiting.join_next().await.is_some() {}
        assert_eq!(*told.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_change_before_the_wait_is_not_missed() {
        let version = Arc::<Version>::default();
        let mut changes = changes(&version);
        change(&version);
        changes.changed().await;
        change(&version);
        changes.mark_seen();
        let late = tokio::select! { biased; () = changes.changed() => false, () = yield_now() => true };
        assert!(late, "it is known already");
    }
}
