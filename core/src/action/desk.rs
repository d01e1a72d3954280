//! The one place where actions change: judges requests one after the other, makes many durable together with their
//! audit entries, and only then lets them be seen.

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
    record::{self, Json, Step},
    shared::{Shared, Shown},
    state::{Effect, Event, Header, step},
    stops::Stops,
    watch::Summary,
};
use crate::{
    Error, ErrorKind, Result, Sent,
    audit::{Draft, Log, Rows},
    planted::{Bug, planted},
    store::{Batch, Expect, Key, Revision, Space},
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

    /// Turns the journal into rows and what it means for the headers.
    fn fold_journal(&mut self, mut batch: Batch) -> Result<Batch> {
        for (id, steps) in std::mem::take(&mut self.staged.journal) {
            let Some(calls) = self.calls.get_mut(&id) else { continue };
            let key = id.key().join(Key::number(calls.rows));
            calls.rows += 1;
            self.staged.folded.push(id);
            let counts = calls.counts();
            let json = Batch::json(Space::Journal, &key, &steps)?;
            let rows = Rows::new().add(Space::Journal, &key, &json);
            batch =
                batch.require(Space::Journal, &key, Expect::Absent).put_json(Space::Journal, key, Ok(json));
            let by = steps.iter().find_map(|s| match s {
                Step::Outcome(o) => o.by.clone(),
                Step::Intent(_) => None,
            });
            let note = Note::new(by.as_deref().unwrap_or("headframe"), "calls")
                .data(json!({"counts": counts, "steps": steps.len()}));
            self.step(id, &Event::Calls { counts }, note)?;
            if let Some(last) = self.staged.notes.last_mut() {
                last.rows = Some(rows.hash().to_string());
            }
        }
        Ok(batch)
    }

    fn batch(&mut self) -> Result<(Batch, Log)> {
        let mut batch = self.fold_journal(Batch::new())?;
        for (id, rows) in &self.staged.rows {
            batch = record::put_rows(batch, *id, rows);
        }
        for (id, header) in &self.staged.headers {
            let expect =
                self.shared.shown(*id).map_or(Expect::Absent, |shown| Expect::Revision(shown.revision));
            if !planted(Bug::StaleRead) {
                batch = batch.require(Space::Actions, id.key(), expect);
            }
            batch = batch.put(Space::Actions, id.key(), &**header);
        }
        for packed in &self.staged.moved {
            let key = packed.id.key();
            let shown = self.shared.shown(packed.id).ok_or_else(|| self.shared.missing(packed.id))?;
            batch = batch.require(Space::Actions, &key, Expect::Revision(shown.revision));
            batch = packed.keys.iter().fold(batch, |batch, (space, key)| batch.delete(*space, key));
            batch = batch.delete(Space::Actions, key);
        }
        for (space, key) in &self.staged.deletes {
            batch = batch.delete(*space, key);
        }
        for (space, key, value) in &self.staged.puts {
            batch = batch.put(*space, key, value);
        }
        if self.staged.urgent {
            batch = batch.urgent();
        }
        self.log.stage(batch, std::mem::take(&mut self.staged.notes))
    }

    async fn commit(&mut self) -> Result<()> {
        if self.staged.size == 0 && self.staged.notes.is_empty() {
            self.discard();
            return Ok(());
        }
        self.shared.point("before_fold").await;
        let (batch, log) = match self.batch() {
            Ok(made) => made,
            Err(e) => {
                self.discard();
                return Err(e);
            }
        };
        self.shared.point("before_commit").await;
        match self.shared.store.commit(batch).await {
            Ok(revision) => {
                self.shared.point("after_commit").await;
                self.publish(revision, log);
                self.shared.point("after_publish").await;
                Ok(())
            }
            Err(e) if e.sent() == Sent::Maybe => self.look(e, log).await,
            Err(e) => {
                self.discard();
                Err(e)
            }
        }
    }

    /// After a commit whose outcome is unknown: nothing is judged, and nobody answered, before it is known.
    async fn look(&mut self, error: Error, log: Log) -> Result<()> {
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(250);
        let clock = Arc::clone(&self.shared.cx.clock);
        loop {
            let probe = Batch::new().put(Space::Meta, "action.probe", &self.now());
            match self.shared.store.commit(probe).await {
                Ok(_) => break,
                // It is closed: whoever opens it next sees what became of it.
                Err(e) if e.kind() == ErrorKind::Closed => {
                    self.discard();
                    return Err(error);
                }
                Err(_) => clock.sleep_until(clock.mono() + PAUSE).await,
            }
        }
        // Every commit has an audit entry of its own, so the log's size tells.
        let durable = Log::open(&self.shared.store)?;
        if durable.root() == log.root() {
            let revision = self.shared.store.revision();
            self.publish(revision, log);
            return self.reload_revisions();
        }
        self.discard();
        Err(error_not_sent(&error))
    }

    /// The commit that wrote each header, after one that was not told.
    fn reload_revisions(&self) -> Result<()> {
        for held in self.shared.store.scan(Space::Actions, .., usize::MAX) {
            let header: Header = held.parse()?;
            let shown = Shown { header: Arc::new(header), revision: held.revision };
            self.shared.show(shown);
        }
        Ok(())
    }

    fn publish(&mut self, revision: Revision, log: Log) {
        self.shared.show_log(&log);
        self.log = log;
        let staged = std::mem::take(&mut self.staged);
        for (id, header) in &staged.headers {
            if header.status.bucket() == super::Bucket::Done && header.counts.unknown == 0 {
                self.calls.remove(id);
            }
            self.shared.show(Shown { header: Arc::clone(header), revision });
        }
        for packed in &staged.moved {
            self.shared.leave(packed.id, packed.moved.at);
        }
        if let Some(stops) = &staged.stops {
            self.shared.show_stops(Arc::clone(stops));
        }
        self.shared.tell();
        for header in staged.headers.values() {
            // Nobody has to listen.
            drop(self.shared.watch.send(Summary::of(header)));
        }
        let begun = |id: &ActionId| staged.headers.get(id).is_some_and(|header| header.begun_ms.is_some());
        if staged.effects.iter().any(|(id, effect)| *effect == Effect::Ended && begun(id)) {
            self.shared.ended.notify_one();
        }
        for effect in staged.effects {
            drop(self.events.send(effect));
        }
    }

    /// Takes back what is staged.
    fn discard(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        for (id, n, before) in staged.undo.into_iter().rev() {
            if let Some(calls) = self.calls.get_mut(&id) {
                calls.restore(n, before);
            }
        }
        for id in staged.folded {
            if let Some(calls) = self.calls.get_mut(&id) {
                calls.rows -= 1;
            }
        }
        for (id, _) in staged.rows {
            self.calls.remove(&id);
        }
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
