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
    begin::CHANGED,
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
        record::{Fate, Outcome, Step, TargetRow},
    },
    io::{Clock, Mono},
    model::{RackId, Text},
    planted::{Bug, planted},
};

/// How often the rights of those who voted are looked at while an action runs.
const RIGHTS_EVERY: Duration = Duration::from_secs(1);
/// How long that may take; a send begins at most 2 s after a right is gone.
const RIGHTS_WITHIN: Duration = Duration::from_millis(900);
/// How long is waited before a call is tried again that was certainly not sent.
const AGAIN: Duration = Duration::from_secs(1);

/// One action that runs.
#[derive(Debug)]
pub(super) struct Run {
    pub id: ActionId,
    /// Until when calls may begin. A clock that is set does not change how long an action may run.
    until: Mono,
    /// The same as a time of the wall clock, ms.
    until_wall: i64,
    user: Text,
    action: Text,
    params: Arc<[serde_json::Value]>,
    places: Arc<Semaphore>,
    /// How fast it goes, when it sheds load.
    pace: Option<Pace>,
}

/// Whether a call may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    /// It may.
    Now,
    /// Something holds it.
    Later,
    /// The action's time is over.
    TooLate,
    /// The action or the engine ended.
    Never,
}

impl Run {
    /// How long calls may still begin.
    fn left(&self, clock: &dyn Clock) -> Duration {
        if planted(Bug::WallDeadline) {
            let left = self.until_wall.saturating_sub(clock.wall().0);
            return Duration::from_millis(u64::try_from(left).unwrap_or_default());
        }
        self.until.since(clock.mono())
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
            loop {
                let ran = Arc::clone(&inner).run_action(id).await;
                if let Err(error) = &ran {
                    tracing::warn!(%error, action = %id, "an action cannot be carried out yet");
                }
                if !inner.is_left(id, ran.is_err()) {
                    return;
                }
                // The store failed at a bad moment: what was begun ends all the same.
                inner.pause().await;
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.spawn(&runtime, task);
        }
    }

    /// Whether calls of an action that was carried out as far as possible still have not begun. Of load that is shed a call
    /// can be on its way without standing in the journal, so that is carried out again only while nothing of it began.
    fn is_left(&self, id: ActionId, nothing_began: bool) -> bool {
        let Some(header) = self.shared.header(id) else { return false };
        let waits = header.status == Status::Executing && header.counts.waiting() > 0;
        waits && !self.places.is_closed() && (nothing_began || header.order.shed.is_none())
    }

    async fn run_action(self: Arc<Self>, id: ActionId) -> Result<()> {
        self.point("before_run").await;
        let header = self.shared.header(id).ok_or_else(unknown)?;
        let within = self.options.run_within;
        let begun = header.begun_ms.unwrap_or_default();
        let ran = u64::try_from(self.shared.now().saturating_sub(begun)).unwrap_or_default();
        let left = within.saturating_sub(Duration::from_millis(ran));
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        let at_once =
            header.order.terms.max_in_flight.map_or(Semaphore::MAX_PERMITS, |most| most.max(1) as usize);
        let run = Arc::new(Run {
            id,
            until: self.cx.clock.mono() + left,
            until_wall: begun.saturating_add(within),
            user: header.order.creator.shown().into(),
            action: header.order.action.clone(),
            params: push::params(&self, &header)?,
            places: Arc::new(Semaphore::new(at_once)),
            pace: header.order.shed.map(Pace::new),
        });
        let mut racks = JoinSet::new();
        let Some(rows) = self.rows_to_run(id).await? else { return Ok(()) };
        if run.pace.is_none() {
            self.check_rights(id).await;
        }
        for (rack, mut queue) in self.queues(id, rows).await? {
            if run.pace.is_some() {
                // What relieves most goes first.
                queue.sort_by(|a, b| b.power_w.unwrap_or(0.0).total_cmp(&a.power_w.unwrap_or(0.0)));
            }
            racks.spawn(Arc::clone(&self).run_rack(Arc::clone(&run), rack, queue));
        }
        tokio::select! {
            biased;
            () = async { while racks.join_next().await.is_some() {} } => {}
            () = self.watch_rights(id) => {}
        }
        Ok(())
    }

    /// The targets of an action, once they are those that were voted for; `None` when it ended before that.
    async fn rows_to_run(&self, id: ActionId) -> Result<Option<Vec<TargetRow>>> {
        loop {
            let header = self.shared.header(id).ok_or_else(unknown)?;
            if header.status != Status::Executing {
                return Ok(None);
            }
            if let Some(rows) = self.voted_rows(&header)? {
                return Ok(Some(rows));
            }
            if header.hold.is_none()
                && let Err(error) = self.hold(id, CHANGED, Note::own("changed")).await
            {
                tracing::warn!(%error, action = %id, "an action that was changed could not be held yet");
            }
            self.cx.clock.sleep_until(self.cx.clock.mono() + AGAIN).await;
        }
    }

    /// What waits, by rack.
    async fn queues(&self, id: ActionId, rows: Vec<TargetRow>) -> Result<BTreeMap<RackId, Queue>> {
        let waiting = move |desk: &mut crate::action::desk::Desk| {
            Ok(desk
                .calls(id)
                .map(|calls| calls.waiting().collect::<BTreeMap<u32, u16>>())
                .unwrap_or_default())
        };
        let waiting = self.insist(waiting).await?;
        let mut queues: BTreeMap<RackId, Queue> = BTreeMap::new();
        for row in rows {
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
            let Some(place) = self.place(&run, &rack, waiting.power_w).await else { break };
            let (inner, run, rack) = (Arc::clone(&self), Arc::clone(&run), rack.clone());
            under_way.spawn(async move { inner.calls(&run, rack, waiting, place).await });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    /// A place for one call; `None` when the engine ends, or the action's time is over.
    async fn place(&self, run: &Run, rack: &RackId, power_w: Option<f64>) -> Option<Place> {
        let mut wanted = vec![Arc::clone(&run.places), self.places_of(rack, run.pace.is_some())];
        wanted.extend(run.pace.is_none().then(|| Arc::clone(&self.places)));
        let found = async {
            let mut place = Place::new();
            for places in wanted {
                place.push(places.acquire_owned().await.ok()?);
            }
            if let Some(pace) = &run.pace {
                // Last, so that what waited for a place does not go all at once.
                pace.wait(&self.cx, &self.shed_busy, power_w).await;
            }
            Some(place)
        };
        let over = self.cx.clock.mono() + run.left(&*self.cx.clock);
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
    async fn calls(self: &Arc<Self>, run: &Run, rack: RackId, waiting: Waiting, mut place: Place) {
        let Waiting { n, mut attempts, target, power_w } = waiting;
        let lane = run.pace.as_ref().map_or(Lane::Usual, |pace| Lane::Shed(pace, power_w));
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
                next @ (Next::Again | Next::Unkept) => {
                    attempts += u16::from(next == Next::Again);
                    self.point("before_again").await;
                    self.pause().await;
                    // It keeps its turn: behind one that hangs it might not get another, and while the store fails every
                    // other would only be looked at for nothing.
                    if self.go(run, n) == Go::Now {
                        continue;
                    }
                }
            }
            // What holds a call may last: others have its place, and its target is not looked at all the time.
            drop(place);
            self.pause().await;
            if !self.may_go(run, n).await {
                return;
            }
            place = match self.place(run, &rack, power_w).await {
                Some(place) => place,
                None => return,
            };
        }
    }

    /// Waits until the call `n` of the action may begin; `false` when no more of its calls will.
    async fn may_go(&self, run: &Run, n: u32) -> bool {
        let mut changes = self.shared.changes();
        loop {
            changes.mark_seen();
            match self.go(run, n) {
                Go::Now => return true,
                Go::Never => return false,
                Go::TooLate => {
                    self.give_up(run.id, "ERR_ACTION_DEADLINE").await;
                    return false;
                }
                Go::Later => {}
            }
            let tick = self.cx.clock.mono() + Duration::from_secs(1);
            tokio::select! {
                biased;
                () = changes.changed() => {}
                () = self.cx.clock.sleep_until(tick) => {}
            }
        }
    }

    /// Whether the call `n` of the action may begin now.
    fn go(&self, run: &Run, n: u32) -> Go {
        let Some(header) = self.shared.header(run.id) else { return Go::Never };
        // Closed places: the engine ends.
        if header.status != Status::Executing || self.places.is_closed() {
            return Go::Never;
        }
        if run.left(&*self.cx.clock).is_zero() {
            return Go::TooLate;
        }
        let against = self.shared.stops().against_call(&header.order, n);
        let stopped = self.shared.halted.load(Ordering::SeqCst) || against.is_some();
        if run.pace.is_some() || header.hold.is_none() && !stopped { Go::Now } else { Go::Later }
    }

    /// Ends every call that has not begun.
    pub(super) async fn give_up(&self, id: ActionId, code: &'static str) {
        let stopped = self.ask(move |desk| end_waiting(desk, id, code, None)).await;
        if let Err(error) = stopped {
            tracing::warn!(%error, action = %id, "calls that are not to begin could not be ended yet");
        }
    }

    /// Looks at the rights of those who voted again and again; does not end.
    async fn watch_rights(&self, id: ActionId) {
        loop {
            self.cx.clock.sleep_until(self.cx.clock.mono() + RIGHTS_EVERY).await;
            self.check_rights(id).await;
        }
    }

    /// Holds the action when those who voted for it may not any more, or nobody can say whether they may. Calls under way
    /// go on.
    async fn check_rights(&self, id: ActionId) {
        let Some(header) = self.shared.header(id) else { return };
        if header.status != Status::Executing || header.hold.is_some() {
            return;
        }
        let cx = self.cx.deadline_in(RIGHTS_WITHIN);
        let why = match cx.within("action.rights", self.void(&header)).await {
            Ok(void) if void.is_empty() => return,
            Ok(_) => "who voted for it may not any more",
            Err(error) => {
                tracing::warn!(%error, action = %id, "nobody can say whether those who voted still may");
                "nobody can say whether those who voted for it still may"
            }
        };
        let note = Note::own("pause").data(json!({"code": "ERR_ACTION_DENIED"}));
        if let Err(error) = self.hold(id, why, note).await {
            tracing::warn!(%error, action = %id, "an action could not be held yet");
        }
    }

    /// Whether calls that shed load are under way.
    pub(super) fn is_shedding(&self) -> bool {
        let all = self.rack_places.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.options.shed_in_flight;
        all.iter().any(|((_, shed), places)| *shed && places.available_permits() < most)
    }

    /// Where calls to a rack find a place. Those that shed load have places of their own, so that neither what is under
    /// way nor another rack that hangs takes them.
    pub(super) fn places_of(&self, rack: &RackId, shed: bool) -> Arc<Semaphore> {
        let most = if shed { self.options.shed_in_flight } else { self.options.in_flight_per_rack };
        let mut all = self.rack_places.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(most));
        Arc::clone(all.entry((rack.clone(), shed)).or_insert_with(new))
    }
}

/// Ends every call of an action that has not begun, as failed with `code`.
pub(super) fn end_waiting(
    desk: &mut crate::action::desk::Desk,
    id: ActionId,
    code: &'static str,
    by: Option<&Text>,
) -> Result<u32> {
    let waiting = desk.calls(id).ok_or_else(unknown)?.waiting();
    // What was sent has an outcome of its own.
    let waiting: Vec<(u32, u16)> = waiting.filter(|(n, _)| !desk.shared.is_unrecorded(id, *n)).collect();
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
