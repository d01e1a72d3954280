//! Runs actions: takes pushes and votes, carries approved ones out, and knows what became of each call.

mod archive;
mod begin;
mod call;
mod draft;
mod options;
mod preview;
mod push;
mod pushed;
mod query;
mod reconcile;
mod run;
mod settle;
mod shed;
mod stop;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
mod timer;
mod view;
mod vote;
mod witness;

pub use draft::{BatchOptions, By, Draft};
pub use options::{EngineOptions, Points};
pub use preview::Preview;
pub use pushed::Pushed;
pub use query::{ActionQuery, Group, Listed};
pub use settle::Settled;
pub use shed::Shed;
pub use view::ActionView;
pub use vote::Ballot;
pub use witness::{AuditOptions, Witnessed};

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    ActionId, Fleet, Policy, RightsSource,
    admin::{AdminHands, Limits, Live, SITE, WithSite},
    desk::{Desk, Done, Work, again},
    shared::Shared,
    state::{Effect, Header},
    stops::Stops,
    watch::Watch,
};
use crate::{
    Error, ErrorKind, Result,
    io::{Ctx, Mono},
    model::RackId,
    planted::{Bug, planted},
    store::ControlStore,
};

const WAITING: usize = 4_096;
/// Requests of stops that wait.
const URGENT: usize = 64;

/// The action engine of a site: the only way to write to its devices. Cheap to clone.
///
/// Whatever it acknowledges is durable. [`close`](Self::close) ends it in order; dropping the last clone ends it at once,
/// as a crash does: what was under way is reconciled by the next [`open`](Self::open).
#[derive(Clone)]
pub struct Engine(Arc<Owner>);

/// What all clones of an [`Engine`] have in common; its tasks end with it.
struct Owner(Arc<Inner>);

struct Inner {
    cx: Ctx,
    shared: Arc<Shared>,
    fleet: Arc<dyn Fleet>,
    policy: Arc<dyn Policy>,
    live: Arc<Live>,
    rights: RightsSource,
    options: EngineOptions,
    requests: mpsc::Sender<Work>,
    urgent: mpsc::Sender<Work>,
    reconciled: watch::Sender<bool>,
    /// Calls under way at the same time, of all actions.
    places: Arc<Semaphore>,
    /// As `places`, rack by rack, and for calls that shed load.
    rack_places: Mutex<BTreeMap<(RackId, bool), Arc<Semaphore>>>,
    /// Until when the load that was shed so far fills the ramp, which is the site's.
    shed_busy: Mutex<Mono>,
    /// The same, of what was sent.
    shed_sent: Mutex<Mono>,
    /// Since when actions are approved, of those that were while this engine runs.
    approved_at: Mutex<BTreeMap<ActionId, Mono>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Approved actions of which it is judged whether they may begin.
    beginning: Mutex<BTreeSet<ActionId>>,
    /// How each witness does, in their order.
    witnessed: Mutex<Vec<Witnessed>>,
}

impl Engine {
    /// Starts the engine over a site's store. Actions that an earlier engine left unfinished are reconciled in the
    /// background, and nothing is sent before that is done: see [`reconciled`](Self::reconciled).
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_ENGINE_OPEN` while another engine is open over this store, as that of a
    /// [`Site`](crate::site::Site) is: two would send everything twice. It ends shortly after its last handle is gone.
    /// [`Corrupt`](ErrorKind::Corrupt) when the store's actions or audit log are damaged; [`Invalid`](ErrorKind::Invalid)
    /// for options that make no sense, or when no tokio runtime is running.
    pub fn open(
        cx: &Ctx,
        store: ControlStore,
        fleet: Arc<dyn Fleet>,
        options: EngineOptions,
    ) -> Result<Self> {
        let op = "engine.open";
        options.check()?;
        let runtime = Handle::try_current()
            .map_err(|e| Error::invalid(op, "runtime", "no tokio runtime is running here").caused_by(e))?;
        let shared = Arc::new(Shared::new(cx.clone(), store, options.watchers, options.points.clone())?);
        let (events_in, events) = mpsc::unbounded_channel();
        let desk = Desk::open(Arc::clone(&shared), events_in)?;
        let (requests, inbox) = mpsc::channel(WAITING);
        let (urgent, urgent_inbox) = mpsc::channel(URGENT);
        runtime.spawn(desk.serve(inbox, urgent_inbox));
        let limits = Limits { emergency_ramp_kw_per_s: options.emergency_ramp_kw_per_s };
        let live = Arc::new(Live::open(&shared.store, Arc::clone(&options.policy), limits)?);
        let admin =
            AdminHands { live: Arc::clone(&live), store: shared.store.clone(), requests: requests.clone() };
        let fleet = WithSite { fleet, admin: Arc::new(admin), site: RackId::new(SITE)? };
        let inner = Arc::new(Inner {
            cx: cx.clone(),
            shared,
            fleet: Arc::new(fleet),
            policy: Arc::clone(&live) as _,
            live,
            rights: options.rights.clone(),
            requests,
            urgent,
            reconciled: watch::Sender::new(false),
            places: Arc::new(Semaphore::new(options.in_flight)),
            rack_places: Mutex::default(),
            shed_busy: Mutex::default(),
            shed_sent: Mutex::default(),
            approved_at: Mutex::default(),
            tasks: Mutex::default(),
            beginning: Mutex::default(),
            witnessed: Mutex::new(witness::first(&options)),
            options,
        });
        inner.spawn(&runtime, Arc::clone(&inner).serve(events));
        inner.spawn(&runtime, timer::serve(Arc::downgrade(&inner)));
        if inner.options.archive.is_some() {
            inner.spawn(&runtime, archive::serve(Arc::downgrade(&inner)));
        }
        if inner.options.audit.as_ref().is_some_and(|audit| !audit.witnesses.is_empty()) {
            inner.spawn(&runtime, witness::serve(Arc::downgrade(&inner)));
        }
        Ok(Self(Arc::new(Owner(inner))))
    }

    /// Waits until every call that an earlier engine left unfinished was looked at.
    pub async fn reconciled(&self) {
        let mut done = self.0.reconciled.subscribe();
        // It cannot close while this handle is there.
        drop(done.wait_for(|done| *done).await);
    }

    /// The site's store.
    pub fn store(&self) -> &ControlStore {
        &self.0.shared.store
    }

    /// All changes of actions from now on.
    pub fn watch(&self) -> Watch {
        Watch { changes: self.0.shared.watch.subscribe() }
    }

    /// The header of one action; `None` also when it ended so long ago that it is in the archive: [`get`](Self::get) shows
    /// it.
    pub fn header(&self, id: ActionId) -> Option<Arc<Header>> {
        self.0.shared.header(id)
    }

    /// What is stopped.
    pub fn stops(&self) -> Arc<Stops> {
        self.0.shared.stops()
    }

    /// Begins no more calls, waits up to `bound` for those under way, and ends; gives whether all of them ended. What
    /// became of one that did not is found out when the engine is opened again, as after a crash, and an action that is not
    /// finished goes on then.
    pub async fn close(self, bound: Duration) -> bool {
        const LOOK: Duration = Duration::from_millis(20);
        self.0.shared.halted.store(true, std::sync::atomic::Ordering::SeqCst);
        // Whoever waits for a place, or to be let go on, gives up; every call under way has a place.
        self.0.places.close();
        self.0.shared.tell();
        let clock = &self.0.cx.clock;
        let over = clock.mono() + bound;
        let busy = || self.0.places.available_permits() < self.0.options.in_flight || self.0.is_shedding();
        while busy() && clock.mono() < over {
            clock.sleep_until(over.min(clock.mono() + LOOK)).await;
        }
        self.0.stop_tasks();
        !busy()
    }
}

impl Inner {
    /// Has `work` done in its turn and gives its result when it is durable. `work` stages changes only when it succeeds.
    async fn ask<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk) -> Result<T> + Send + 'static,
    {
        ask_on(&self.requests, work).await
    }

    /// As [`ask`](Self::ask), again and again while the store takes nothing: for what the engine owes, and nobody asks for a
    /// second time.
    async fn insist<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Desk) -> Result<T> + Clone + Send + 'static,
    {
        loop {
            match self.ask(work.clone()).await {
                Err(error) if error.code().starts_with("STORE_") => {
                    tracing::warn!(%error, "what is under way waits for the store");
                    self.pause().await;
                }
                told => return told,
            }
        }
    }

    /// As [`ask`](Self::ask), before everything else, with the space that is kept for stops.
    async fn ask_urgently<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk) -> Result<T> + Send + 'static,
    {
        if planted(Bug::StopInQueue) {
            // As if a stop waited for the calls under way.
            let all = u32::try_from(self.options.in_flight).unwrap_or(u32::MAX);
            drop(self.places.acquire_many(all).await);
            return self.ask(work).await;
        }
        ask_on(&self.urgent, work).await
    }

    fn spawn(&self, runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(runtime.spawn(task));
    }

    fn stop_tasks(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|task| task.abort());
    }

    /// Reconciles, then carries out what is approved.
    async fn serve(self: Arc<Self>, mut events: mpsc::UnboundedReceiver<(ActionId, Effect)>) {
        let weak = Arc::downgrade(&self);
        reconcile::all(&self).await;
        self.reconciled.send_replace(true);
        // What is approved is begun by the timer.
        drop(self);
        while let Some((id, effect)) = events.recv().await {
            let Some(inner) = weak.upgrade() else { return };
            inner.note_approval(id, &effect);
            match effect {
                Effect::Approved => inner.approved(id),
                Effect::Begun => inner.run(id),
                Effect::Ended | Effect::Voided(_) => {}
            }
        }
    }
}

pub(in crate::action) async fn ask_on<T, F>(requests: &mpsc::Sender<Work>, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&mut Desk) -> Result<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let request: Work = Box::new(move |desk| {
        let result = work(desk);
        let done: Done = Box::new(move |durable| {
            let result = match (durable, result) {
                (Ok(()), result) => result,
                (Err(_), Err(own)) if own.kind() == ErrorKind::Invalid => Err(own),
                (Err(e), _) => Err(again(e)),
            };
            // Nobody waits when the caller went away.
            drop(reply.send(result));
        });
        done
    });
    let closed = || Error::new(ErrorKind::Closed, "action", "the engine was closed");
    requests.send(request).await.map_err(|_| closed())?;
    answer.await.map_err(|_| closed().maybe_sent())?
}

impl Deref for Owner {
    type Target = Arc<Inner>;

    fn deref(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.stop_tasks();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("site", &self.0.shared.store.site()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}
