//! The one place where actions change: judges requests one after the other, makes many durable together with their
//! audit entries, and only then lets them be seen.

mod commit;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    ActionId, Status,
    archive::Packed,
    calls::{CallState, Calls},
    id::unknown,
    note::Note,
    policy::{ActionClass, Recent},
    record::{Json, Step},
    shared::{Shared, Shown},
    state::{Effect, Event, Header, step},
    stops::Stops,
};
use crate::{
    Error, ErrorKind, Result, Sent,
    audit::{Draft, Log},
    planted::{Bug, planted},
    store::{Key, Space},
};

/// From so many steps of calls or writes on, requests wait for the next commit.
const MANY: usize = 4_000;
/// From so many bytes on.
const MANY_BYTES: usize = 4 << 20;

/// A request, and what is left to do when it is durable or failed.
pub(super) type Work = Box<dyn FnOnce(&mut Desk) -> Done + Send>;
pub(super) type Done = Box<dyn FnOnce(Result<(), &Error>) + Send>;

/// What is staged for the next commit.
#[derive(Debug, Default)]
struct Staged {
    headers: BTreeMap<ActionId, Arc<Header>>,
    rows: Vec<(ActionId, Vec<Json>)>,
    journal: BTreeMap<ActionId, Vec<Step>>,
    /// Whose journal gets a row.
    folded: Vec<ActionId>,
    /// States that calls had before, newest last.
    undo: Vec<(ActionId, u32, CallState)>,
    notes: Vec<Draft>,
    puts: Vec<(Space, Key, Value)>,
    deletes: Vec<(Space, Key)>,
    stops: Option<Arc<Stops>>,
    moved: Vec<Packed>,
    effects: Vec<(ActionId, Effect)>,
    urgent: bool,
    size: usize,
    bytes: usize,
}

/// How much was staged at some moment.
#[derive(Debug)]
pub(super) struct Mark {
    newest: ActionId,
    rows: usize,
    notes: usize,
    puts: usize,
    effects: usize,
    size: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Desk {
    pub shared: Arc<Shared>,
    calls: BTreeMap<ActionId, Calls>,
    log: Log,
    staged: Staged,
    events: mpsc::UnboundedSender<(ActionId, Effect)>,
}

impl Desk {
    /// Reads all actions.
    pub fn open(shared: Arc<Shared>, events: mpsc::UnboundedSender<(ActionId, Effect)>) -> Result<Self> {
        let log = Log::open(&shared.store)?;
        shared.show_log(&log);
        let mut calls = BTreeMap::new();
        for held in shared.store.scan(Space::Actions, .., usize::MAX) {
            let header: Header = held.parse()?;
            let times = [Some(header.order.pushed_ms), header.decided_ms, header.begun_ms, header.ended_ms];
            shared.seen(times.into_iter().flatten().max().unwrap_or_default());
            if header.status.bucket() != super::Bucket::Done || header.counts.unknown > 0 {
                calls.insert(header.id, Calls::load(&shared.store, &header)?);
            }
            let shown = Shown { header: Arc::new(header), revision: held.revision };
            shared.show(shown);
        }
        shared.load_moved()?;
        if let Some(stops) = shared.store.get::<Stops>(Space::Meta, Stops::KEY)? {
            shared.seen(stops.value.since());
            shared.show_stops(Arc::new(stops.value));
        }
        Ok(Self { shared, calls, log, staged: Staged::default(), events })
    }

    /// Serves requests until nobody can send any more; those of the urgent lane first.
    pub async fn serve(mut self, mut requests: mpsc::Receiver<Work>, mut urgent: mpsc::Receiver<Work>) {
        loop {
            let first = tokio::select! {
                biased;
                Some(work) = urgent.recv() => work,
                work = requests.recv() => match work {
                    Some(work) => work,
                    None => return,
                },
            };
            let mut done = vec![first(&mut self)];
            while self.staged.size < MANY
                && self.staged.bytes < MANY_BYTES
                && let Ok(work) = urgent.try_recv().or_else(|_| requests.try_recv())
            {
                done.push(work(&mut self));
            }
            let result = self.commit().await;
            done.into_iter().for_each(|done| done(result.as_ref().copied()));
        }
    }

    /// Now, ms; never before what was seen.
    pub fn now(&self) -> i64 {
        self.shared.now()
    }

    /// The next id: the time, or one more than the last.
    pub fn next_id(&self) -> ActionId {
        let staged = self.staged.headers.last_key_value().map_or(0, |(id, _)| id.get());
        let last = self.shared.last_id().get().max(staged);
        let now = u64::try_from(self.now()).unwrap_or_default();
        ActionId::new(now.max(last + 1))
    }

    /// A header as it will be when what is staged is durable.
    pub fn current(&self, id: ActionId) -> Option<Arc<Header>> {
        if planted(Bug::StaleRead) {
            return self.shared.header(id);
        }
        self.staged.headers.get(&id).cloned().or_else(|| self.shared.header(id))
    }

    /// The same, or why nothing can be done to it.
    pub fn known(&self, id: ActionId) -> Result<Arc<Header>> {
        self.current(id).ok_or_else(|| self.shared.missing(id))
    }

    /// Stops as they will be.
    pub fn stops(&self) -> Arc<Stops> {
        self.staged.stops.clone().unwrap_or_else(|| self.shared.stops())
    }

    /// How the calls of an action stand, while some are not settled.
    pub fn calls(&self, id: ActionId) -> Option<&Calls> {
        self.calls.get(&id)
    }

    /// What was proposed before in actions of a class that can still be carried out, or were.
    pub fn recent(&self, class: ActionClass, window_s: u32, creator: &super::Person) -> Recent {
        let mut recent = Recent::default();
        if window_s == 0 {
            return recent;
        }
        let from = self.now().saturating_sub(i64::from(window_s) * 1_000);
        let from = ActionId::new(u64::try_from(from).unwrap_or_default());
        let mut headers = self.shared.headers(from..);
        headers.retain(|header| !self.staged.headers.contains_key(&header.id));
        headers.extend(self.staged.headers.values().cloned());
        for header in headers {
            let gone = matches!(header.status, Status::Denied | Status::Cancelled | Status::Expired);
            if gone || header.order.class != class {
                continue;
            }
            recent.site = recent.site.and(header.order.size);
            if header.order.creator == *creator {
                recent.creator = recent.creator.and(header.order.size);
            }
        }
        recent
    }

    /// Stages a new action.
    pub fn insert(
        &mut self,
        header: Header,
        rows: Vec<Json>,
        effects: Vec<Effect>,
        note: Note,
    ) -> Arc<Header> {
        let id = header.id;
        self.calls.insert(id, Calls::new(header.counts.total));
        self.staged.urgent |= header.order.shed.is_some();
        self.staged.size += rows.len();
        self.staged.rows.push((id, rows));
        self.stage(Arc::new(header), effects, note)
    }

    /// How much is staged, before new actions are.
    pub fn mark(&self) -> Mark {
        let staged = &self.staged;
        let newest = staged.headers.last_key_value().map_or_else(|| self.shared.last_id(), |(id, _)| *id);
        Mark {
            newest: newest.max(self.shared.last_id()),
            rows: staged.rows.len(),
            notes: staged.notes.len(),
            puts: staged.puts.len(),
            effects: staged.effects.len(),
            size: staged.size,
        }
    }

    /// Takes back the actions that were staged since, and all that came with them.
    pub fn back_to(&mut self, mark: &Mark) {
        let staged = &mut self.staged;
        staged.headers.retain(|id, _| *id <= mark.newest);
        for (id, _) in staged.rows.drain(mark.rows..) {
            self.calls.remove(&id);
        }
        staged.notes.truncate(mark.notes);
        staged.puts.truncate(mark.puts);
        staged.effects.truncate(mark.effects);
        staged.size = mark.size;
    }

    /// Stages what `event` makes of an action.
    pub fn step(&mut self, id: ActionId, event: &Event, note: Note) -> Result<Arc<Header>> {
        let state = self.known(id)?;
        let now = self.now();
        let (next, effects) = step(&state, event, now)?;
        Ok(self.stage(Arc::new(next), effects, note))
    }

    fn stage(&mut self, header: Arc<Header>, effects: Vec<Effect>, note: Note) -> Arc<Header> {
        self.staged.headers.insert(header.id, Arc::clone(&header));
        self.staged.effects.extend(effects.into_iter().map(|effect| (header.id, effect)));
        self.staged.size += 1;
        self.note(Some(header.id), note, Some(header.status));
        header
    }

    /// Stages an audit entry.
    pub fn note(&mut self, action: Option<ActionId>, note: Note, status: Option<Status>) {
        let mut data = note.data;
        if let Some(status) = status {
            match &mut data {
                Value::Object(members) => drop(members.insert("status".into(), status.as_str().into())),
                other => *other = json!({"status": status.as_str()}),
            }
        }
        let ts = self.shared.stamp();
        let Note { by, what, why, .. } = note;
        let action = action.map(ActionId::get);
        let mut draft = Draft::new(ts, by, what).data(data);
        (draft.why, draft.action) = (why, action);
        self.staged.notes.push(draft);
    }

    /// Stages a step of a call.
    pub fn journal(&mut self, id: ActionId, step: Step) -> Result<()> {
        let header = self.current(id).ok_or_else(unknown)?;
        if matches!(step, Step::Intent(_)) {
            self.may_begin(&header, step.n())?;
        }
        // What stops things may use the space that is kept for that.
        self.staged.urgent |= header.order.shed.is_some();
        let calls = self.calls.get_mut(&id).ok_or_else(unknown)?;
        let n = step.n();
        let before = calls.apply(&step)?;
        self.staged.undo.push((id, n, before));
        self.staged.size += 1;
        if let Step::Outcome(outcome) = &step {
            let receipt = outcome.receipt.as_ref();
            let sizes = receipt.map_or(0, |r| r.requests.iter().map(String::len).sum::<usize>());
            self.staged.bytes += 200 + sizes + receipt.and_then(|r| r.reply.as_ref()).map_or(0, String::len);
        }
        self.staged.journal.entry(id).or_default().push(step);
        Ok(())
    }

    fn may_begin(&self, header: &Header, n: u32) -> Result<()> {
        let held =
            |why: String| Error::new(ErrorKind::Conflict, "action.begin", why).code_as("ERR_ACTION_HELD");
        if header.status != Status::Executing {
            return Err(held("the action is not executing".into()).with("status", header.status.as_str()));
        }
        if header.order.shed.is_some() {
            return Ok(());
        }
        if header.hold.is_some() && !planted(Bug::IgnoreHold) {
            return Err(held("the action is paused".into()));
        }
        if let Some(why) = self.stops().against_call(&header.order, n) {
            return Err(held(why));
        }
        Ok(())
    }

    /// Stages a record beside the actions.
    pub fn put(&mut self, space: Space, key: Key, value: Value) {
        self.staged.size += 1;
        self.staged.puts.push((space, key, value));
    }

    /// Stages that a record beside the actions goes.
    pub fn delete(&mut self, space: Space, key: Key) {
        self.staged.size += 1;
        self.staged.deletes.push((space, key));
    }

    /// Stages that an action leaves for the archive, unless it has changed since it was packed. It can be asked for there
    /// already.
    pub fn leave(&mut self, packed: Packed) -> Result<()> {
        let same = self.current(packed.id).is_some_and(|header| header.rev == packed.rev);
        if !same || self.calls.contains_key(&packed.id) {
            return Ok(());
        }
        let (key, value) = packed.stays()?;
        self.put(Space::Meta, key, value);
        self.staged.size += packed.keys.len();
        self.note(Some(packed.id), packed.note(), Some(packed.moved.status));
        self.staged.moved.push(packed);
        Ok(())
    }

    /// A staged record beside the actions, or the durable one.
    pub fn beside(&self, space: Space, key: &Key) -> Option<Value> {
        let staged = self.staged.puts.iter().rev().find(|(s, k, _)| *s == space && k == key);
        match staged {
            Some((_, _, value)) => Some(value.clone()),
            None => self.shared.store.get_record(space, key)?.parse().ok(),
        }
    }

    /// Stages new stops; they use what is kept free for them.
    pub fn stop(&mut self, stops: Stops, note: Note) {
        self.put(Space::Meta, Stops::KEY.into(), serde_json::to_value(&stops).unwrap_or_default());
        self.staged.stops = Some(Arc::new(stops));
        self.staged.urgent = true;
        self.note(None, note, None);
    }
}

fn error_not_sent(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.op(), error.message()).code_as(error.code());
    error.context().fold(copy, |copy, (key, value)| copy.with(key, value))
}

/// The same error for one more caller.
pub(super) fn again(error: &Error) -> Error {
    let copy = error_not_sent(error);
    if error.sent() == Sent::Maybe { copy.maybe_sent() } else { copy }
}
