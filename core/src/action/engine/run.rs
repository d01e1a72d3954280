use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::{
    Inner,
    call::{Lane, Next},
    push,
    shed::Pace,
};
use crate::{
    Result,
    action::{
        ActionId, Call, Status,
        id::unknown,
        note::Note,
        record::{self, Fate, Outcome, Step},
        state::{Event, Header},
    },
    model::{RackId, Text},
};

/// How often the rights of those who voted are looked at while an action runs.
const RIGHTS_EVERY: Duration = Duration::from_secs(1);

/// One action that runs.
#[derive(Debug)]
pub(super) struct Run {
    pub id: ActionId,
    /// Until when calls may begin, ms.
    until: i64,
    user: Text,
    action: Text,
    params: Arc<[serde_json::Value]>,
    places: Arc<Semaphore>,
    /// How fast it goes, when it sheds load.
    pace: Option<Pace>,
}

impl Run {
    /// How long calls may still begin.
    fn left(&self, now: i64) -> Duration {
        Duration::from_millis(u64::try_from(self.until.saturating_sub(now)).unwrap_or_default())
    }
}

/// What a call holds while it is under way: a place each of its action, its rack and the site; one that sheds load, of its
/// action and of those that are kept for that.
type Place = Vec<OwnedSemaphorePermit>;

/// Calls of one rack that wait.
type Queue = Vec<Waiting>;

/// A call that waits.
#[derive(Debug)]
struct Waiting {
    n: u32,
    /// Made so far.
    attempts: u16,
    target: Text,
    power_w: Option<f64>,
}

impl Inner {
    /// Carries a begun action out.
    pub(super) fn run(self: &Arc<Self>, id: ActionId) {
        let inner = Arc::clone(self);
        let task = async move {
            if let Err(error) = inner.run_action(id).await {
                tracing::warn!(%error, action = %id, "an action stopped before its end");
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.spawn(&runtime, task);
        }
    }

    async fn run_action(self: Arc<Self>, id: ActionId) -> Result<()> {
        self.point("before_run").await;
        let header = self.shared.header(id).ok_or_else(unknown)?;
        if let Some(why) = self.changed(&header)? {
            let event = Event::Pause { by: "headframe".into(), why: Some(why.into()) };
            self.ask(move |desk| desk.step(id, &event, Note::own("changed").why(Some(why)))).await?;
            return Ok(());
        }
        let within = i64::try_from(self.options.run_within.as_millis()).unwrap_or(i64::MAX);
        let at_once =
            header.order.terms.max_in_flight.map_or(Semaphore::MAX_PERMITS, |most| most.max(1) as usize);
        let run = Arc::new(Run {
            id,
            until: header.begun_ms.unwrap_or_default().saturating_add(within),
            user: header.order.creator.shown().into(),
            action: header.order.action.clone(),
            params: push::params(&self, &header)?,
            places: Arc::new(Semaphore::new(at_once)),
            pace: header.order.shed.map(|ramp| Pace::new(ramp, self.cx.clock.mono())),
        });
        let mut racks = JoinSet::new();
        for (rack, mut queue) in self.queues(&header).await? {
            if run.pace.is_some() {
                // What relieves most goes first.
                queue.sort_by(|a, b| b.power_w.unwrap_or(0.0).total_cmp(&a.power_w.unwrap_or(0.0)));
            }
            racks.spawn(Arc::clone(&self).run_rack(Arc::clone(&run), rack, queue));
        }
        let watch = self.watch_rights(id);
        tokio::select! {
            biased;
            () = async { while racks.join_next().await.is_some() {} } => {}
            () = watch => {}
        }
        Ok(())
    }

    /// What waits, by rack.
    async fn queues(&self, header: &Header) -> Result<BTreeMap<RackId, Queue>> {
        let id = header.id;
        let waiting = move |desk: &mut crate::action::desk::Desk| {
            Ok(desk
                .calls(id)
                .map(|calls| calls.waiting().collect::<BTreeMap<u32, u16>>())
                .unwrap_or_default())
        };
        let waiting = self.ask(waiting).await?;
        let mut queues: BTreeMap<RackId, Queue> = BTreeMap::new();
        for row in record::load_rows(&self.shared.store, id)?.0 {
            let Some(rack) = row.rack else { continue };
            let calls = (row.first..).zip(row.calls);
            let left = calls.filter_map(|(n, call)| {
                let attempts = *waiting.get(&n)?;
                Some(Waiting { n, attempts, target: call.id, power_w: call.power_w })
            });
            queues.entry(rack).or_default().extend(left);
        }
        queues.retain(|_, queue| !queue.is_empty());
        Ok(queues)
    }

    async fn run_rack(self: Arc<Self>, run: Arc<Run>, rack: RackId, queue: Queue) {
        let mut under_way = JoinSet::new();
        for waiting in queue {
            if !self.may_go(&run, waiting.n).await {
                break;
            }
            if let Some(pace) = &run.pace {
                pace.wait(&self.cx, waiting.power_w).await;
            }
            let Some(place) = self.place(&run, &rack).await else { break };
            let (inner, run, rack) = (Arc::clone(&self), Arc::clone(&run), rack.clone());
            under_way.spawn(async move { inner.calls(&run, rack, waiting, place).await });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    /// A place for one call; `None` when the engine ends, or the action's time is over.
    async fn place(&self, run: &Run, rack: &RackId) -> Option<Place> {
        let wanted = match run.pace {
            Some(_) => vec![Arc::clone(&run.places), Arc::clone(&self.shed_places)],
            None => vec![Arc::clone(&run.places), self.places_of(rack), Arc::clone(&self.places)],
        };
        let found = async {
            let mut place = Place::new();
            for places in wanted {
                place.push(places.acquire_owned().await.ok()?);
            }
            Some(place)
        };
        let over = self.cx.clock.mono() + run.left(self.cx.clock.wall().0);
        tokio::select! {
            biased;
            place = found => place,
            () = self.cx.clock.sleep_until(over) => {
                self.give_up(run.id, "ERR_ACTION_DEADLINE").await;
                None
            }
        }
    }

    /// Makes a call, and makes it again while it is certain that it was not sent.
    async fn calls(&self, run: &Run, rack: RackId, waiting: Waiting, mut place: Place) {
        let Waiting { n, mut attempts, target, .. } = waiting;
        let lane = if run.pace.is_some() { Lane::Shed } else { Lane::Usual };
        loop {
            let call = Call {
                id: run.id,
                user: run.user.clone(),
                action: run.action.clone(),
                params: Arc::clone(&run.params),
                target: target.clone(),
            };
            match self.call(&rack, n, attempts, &call, lane).await {
                Next::Ended => return,
                Next::Held => {}
                Next::Again => {
                    attempts += 1;
                    self.point("before_again").await;
                }
            }
            // What holds a call may last: others have its place, and its target is not looked at all the time.
            drop(place);
            self.pause().await;
            if !self.may_go(run, n).await {
                return;
            }
            place = match self.place(run, &rack).await {
                Some(place) => place,
                None => return,
            };
        }
    }

    /// Waits until the call `n` of the action may begin; `false` when no more of its calls will.
    async fn may_go(&self, run: &Run, n: u32) -> bool {
        let mut changes = self.shared.changes();
        loop {
            changes.borrow_and_update();
            let Some(header) = self.shared.header(run.id) else { return false };
            // Closed places: the engine ends.
            if header.status != Status::Executing || self.places.is_closed() {
                return false;
            }
            if run.left(self.cx.clock.wall().0).is_zero() {
                self.give_up(run.id, "ERR_ACTION_DEADLINE").await;
                return false;
            }
            let against = self.shared.stops().against_call(&header.order, n);
            let stopped = self.shared.halted.load(Ordering::SeqCst) || against.is_some();
            if run.pace.is_some() || header.hold.is_none() && !stopped {
                return true;
            }
            drop(header);
            let tick = self.cx.clock.mono() + Duration::from_secs(1);
            tokio::select! {
                biased;
                changed = changes.changed() => if changed.is_err() { return false },
                () = self.cx.clock.sleep_until(tick) => {}
            }
        }
    }

    /// Ends every call that has not begun.
    pub(super) async fn give_up(&self, id: ActionId, code: &'static str) {
        let stopped = self.ask(move |desk| end_waiting(desk, id, code, None)).await;
        if let Err(error) = stopped {
            tracing::warn!(%error, action = %id, "calls that are not to begin could not be ended yet");
        }
    }

    /// Holds the action when those who voted for it may not any more. It never returns: what was sent is followed to its
    /// end, whatever goes wrong here.
    async fn watch_rights(&self, id: ActionId) {
        loop {
            self.cx.clock.sleep_until(self.cx.clock.mono() + RIGHTS_EVERY).await;
            if let Err(error) = self.look_at_rights(id).await {
                tracing::warn!(%error, action = %id, "whether its voters still may could not be found out");
            }
        }
    }

    async fn look_at_rights(&self, id: ActionId) -> Result<()> {
        let Some(header) = self.shared.header(id) else { return Ok(()) };
        let live = header.status == Status::Executing && header.hold.is_none();
        if !live || self.void(&header).await?.is_empty() {
            return Ok(());
        }
        let why = "who voted for it may not any more";
        let event = Event::Pause { by: "headframe".into(), why: Some(why.into()) };
        let note = Note::own("pause").why(Some(why)).data(json!({"code": "ERR_ACTION_DENIED"}));
        self.ask(move |desk| desk.step(id, &event, note)).await.map(|_| ())
    }

    /// Where calls to a rack find a place.
    pub(super) fn places_of(&self, rack: &RackId) -> Arc<Semaphore> {
        let mut all = self.rack_places.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(self.options.in_flight_per_rack));
        Arc::clone(all.entry(rack.clone()).or_insert_with(new))
    }
}

/// Ends every call of an action that has not begun, as failed with `code`.
pub(super) fn end_waiting(
    desk: &mut crate::action::desk::Desk,
    id: ActionId,
    code: &'static str,
    by: Option<&Text>,
) -> Result<u32> {
    let waiting: Vec<(u32, u16)> = desk.calls(id).ok_or_else(unknown)?.waiting().collect();
    let ts = desk.now();
    let mut ended = 0;
    for (n, attempt) in waiting {
        let error = Some(code.into());
        let outcome = Outcome {
            n,
            attempt,
            ts,
            fate: Fate::Failed,
            result: None,
            error,
            receipt: None,
            by: by.cloned(),
        };
        desk.journal(id, Step::Outcome(outcome))?;
        ended += 1;
    }
    Ok(ended)
}
