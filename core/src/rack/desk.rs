//! The one place where records change: judges requests one after the other, makes many durable together, and only then
//! lets them be seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::HashMap;
use tokio::sync::mpsc;

use super::{
    api::RackId,
    changes::Rules,
    checks::{Claim, ClaimKey, address_key, claims, identity_key},
    claims::Claims,
    codes::Codes,
    history::{self, HistoryEntry},
    identity::Evidence,
    record::ThingRecord,
};
use crate::{
    Error, Result, Sent, ThingId,
    io::Ctx,
    store::{Batch, ControlStore, Expect, Revision, Space},
};

/// From so many writes or bytes on, requests wait for the next commit. The largest request fits beside it into the
/// store's bounds.
const MANY_WRITES: usize = 1_500;
const MANY_BYTES: usize = 8 << 20;
/// How often a commit whose outcome is unknown is looked for while nobody asks for anything.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What everybody sees: records that are durable.
#[derive(Debug)]
pub(super) struct Shared {
    pub cx: Ctx,
    pub store: ControlStore,
    state: RwLock<State>,
    /// How many changes of records can be seen.
    version: AtomicU64,
    followers: Mutex<BTreeMap<RackId, Weak<dyn Follow>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Looked up often: that has to be quick, and the order stands in `racks`.
    things: HashMap<ThingId, Arc<ThingRecord>>,
    /// The same records by rack, so that a question walks over them without looking each up.
    racks: BTreeMap<RackId, BTreeMap<ThingId, Arc<ThingRecord>>>,
}

/// Who is told of changes to the things of a rack, in their order. It must not wait.
pub(super) trait Follow: std::fmt::Debug + Send + Sync {
    fn changed(&self, id: &ThingId, old: Option<&ThingRecord>, new: Option<&Arc<ThingRecord>>);

    /// A thing went to another rack, which is told next: it is not asked here any more, and not forgotten.
    fn left(&self, id: &ThingId, old: &ThingRecord);

    /// Whether the thing's last poll gave a good answer.
    fn is_online(&self, id: &ThingId) -> bool;

    /// What the rack asks of its things.
    fn rules(&self) -> Arc<Rules>;
}

/// A request, and what is left to do when it is durable or failed.
pub(super) type Work = Box<dyn FnOnce(&mut Desk) -> Done + Send>;
pub(super) type Done = Box<dyn FnOnce(Result<(), &Error>) + Send>;

impl Shared {
    pub fn new(cx: Ctx, store: ControlStore) -> Self {
        Self { cx, store, state: RwLock::default(), version: AtomicU64::new(0), followers: Mutex::default() }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was looked up after this was read is as it was then for as long as this stays the same.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn get(&self, id: &ThingId) -> Option<Arc<ThingRecord>> {
        self.state().things.get(id).cloned()
    }

    pub fn ids(&self) -> Vec<ThingId> {
        let mut ids: Vec<_> = self.state().things.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    pub fn len(&self) -> usize {
        self.state().things.len()
    }

    pub fn of_rack(&self, rack: &RackId) -> Vec<Arc<ThingRecord>> {
        let state = self.state();
        state.racks.get(rack).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    pub fn followers(&self) -> MutexGuard<'_, BTreeMap<RackId, Weak<dyn Follow>>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who follows the rack, while it is open.
    pub fn follower(&self, rack: &RackId) -> Option<Arc<dyn Follow>> {
        self.followers().get(rack).and_then(Weak::upgrade)
    }

    /// Lets a durable change be seen and tells the rack; of a move both racks, the old one first.
    fn show(&self, id: &ThingId, new: Option<Arc<ThingRecord>>) {
        let old = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let old = match &new {
                Some(record) => {
                    let things = state.racks.entry(record.rack.clone()).or_default();
                    things.insert(id.clone(), Arc::clone(record));
                    state.things.insert(id.clone(), Arc::clone(record))
                }
                None => state.things.remove(id),
            };
            if let Some(old) = &old
                && new.as_ref().is_none_or(|new| new.rack != old.rack)
                && let Some(things) = state.racks.get_mut(&old.rack)
            {
                things.remove(id);
            }
            // After the change: whoever reads the new one finds the new record.
            self.version.fetch_add(1, Ordering::Release);
            old
        };
        let Some(rack) = new.as_ref().or(old.as_ref()).map(|record| &record.rack) else { return };
        let came = old.as_ref().filter(|old| old.rack != *rack);
        if let Some(old) = came
            && let Some(follower) = self.follower(&old.rack)
        {
            follower.left(id, old);
        }
        if let Some(follower) = self.follower(rack) {
            follower.changed(id, old.as_deref().filter(|old| old.rack == *rack), new.as_ref());
        }
    }
}

/// Judges requests. What it has taken but not yet committed is staged.
#[derive(Debug)]
pub(super) struct Desk {
    pub shared: Arc<Shared>,
    pub codes: Codes,
    claims: Claims,
    staged: BTreeMap<ThingId, Option<Arc<ThingRecord>>>,
    made: Vec<Arc<ThingRecord>>,
    batch: Batch,
    writes: usize,
    bytes: usize,
    /// Things of a commit whose outcome is unknown.
    doubtful: BTreeSet<ThingId>,
}

impl Desk {
    /// Reads all records.
    pub fn open(shared: Arc<Shared>) -> Result<Self> {
        let mut desk = Self {
            shared: Arc::clone(&shared),
            codes: Codes::default(),
            claims: Claims::default(),
            staged: BTreeMap::new(),
            made: Vec::new(),
            batch: Batch::new(),
            writes: 0,
            bytes: 0,
            doubtful: BTreeSet::new(),
        };
        for record in shared.store.scan(Space::Things, .., usize::MAX) {
            let thing = ThingRecord::load(&record)?;
            desk.reclaim(None, Some(&thing));
            let id = thing.id.clone();
            shared.show(&id, Some(Arc::new(thing)));
        }
        Ok(desk)
    }

    /// Serves requests until nobody can send any more.
    pub async fn serve(mut self, mut requests: mpsc::Receiver<Work>) {
        while let Some(work) = self.next(&mut requests).await {
            let ready = self.settle_doubts().await;
            let mut done = vec![work(&mut self)];
            while self.writes < MANY_WRITES
                && self.bytes < MANY_BYTES
                && let Ok(work) = requests.try_recv()
            {
                done.push(work(&mut self));
            }
            let result = match ready {
                Ok(()) => self.commit().await,
                Err(e) => {
                    self.discard();
                    Err(e)
                }
            };
            for done in done {
                done(result.as_ref().copied());
            }
        }
    }

    /// The next request. Until one comes, what is doubtful is looked for: whoever was told that the outcome is unknown
    /// reads the record, and must not read what was there before for ever.
    async fn next(&mut self, requests: &mut mpsc::Receiver<Work>) -> Option<Work> {
        while !self.doubtful.is_empty() {
            let clock = Arc::clone(&self.shared.cx.clock);
            tokio::select! {
                biased;
                work = requests.recv() => return work,
                () = clock.sleep_until(clock.mono() + LOOK_EVERY) => {}
            }
            if let Err(error) = self.settle_doubts().await {
                tracing::warn!(%error, "what became of a commit is still unknown");
            }
        }
        requests.recv().await
    }

    /// Wall-clock time, ms.
    pub fn now(&self) -> i64 {
        self.shared.cx.clock.wall().0
    }

    /// A record as it will be when what is staged is durable.
    pub fn current(&self, id: &ThingId) -> Option<Arc<ThingRecord>> {
        match self.staged.get(id) {
            Some(staged) => staged.clone(),
            None => self.shared.get(id),
        }
    }

    /// Things that have this claim.
    fn having<'a>(&'a self, key: &'a ClaimKey) -> impl Iterator<Item = Arc<ThingRecord>> + 'a {
        let found = self.claims.candidates(key).filter_map(|id| self.current(id));
        found.filter(move |thing| claims(thing).contains(key))
    }

    /// Things with one of `thing`'s claims of this kind, `thing` itself left out.
    pub fn owners(&self, thing: &ThingRecord, kinds: &[Claim]) -> Vec<ThingId> {
        let mut out: Vec<ThingId> = Vec::new();
        for key in claims(thing).into_iter().filter(|(claim, _)| kinds.contains(claim)) {
            out.extend(self.having(&key).map(|owner| owner.id.clone()).filter(|id| *id != thing.id));
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Miners of which this MAC address or serial number is known, each once.
    pub fn with_identity(&self, seen: &Evidence) -> Vec<Arc<ThingRecord>> {
        let told = [(Claim::Mac, &seen.mac), (Claim::Serial, &seen.serial)];
        let keys = told.into_iter().filter_map(|(claim, told)| Some((claim, identity_key(told.as_ref()?))));
        let mut found: BTreeMap<ThingId, Arc<ThingRecord>> = BTreeMap::new();
        for key in keys {
            found.extend(self.having(&key).map(|record| (record.id.clone(), record)));
        }
        found.into_values().collect()
    }

    /// Whether its rack heard it well in its last poll.
    pub fn is_online(&self, thing: &ThingRecord) -> bool {
        self.shared.follower(&thing.rack).is_some_and(|rack| rack.is_online(&thing.id))
    }

    /// Whether a miner has this address.
    pub fn has_address(&self, address: &str) -> bool {
        self.having(&(Claim::Address, address_key(address))).next().is_some()
    }

    /// Whether no other miner has the address where `thing` was seen.
    pub fn is_free_address(&self, thing: &ThingRecord, seen: &Evidence) -> bool {
        let key = seen.address.as_ref().map(|address| (Claim::Address, address_key(address)));
        key.is_none_or(|key| self.having(&key).all(|owner| owner.id == thing.id))
    }

    /// Refuses `new` when it claims what another thing has, and `old` did not claim yet.
    pub fn free(
        &self,
        op: &'static str,
        new: &ThingRecord,
        old: Option<&ThingRecord>,
        duplicate_addresses: bool,
    ) -> Result<()> {
        let before = old.map(claims).unwrap_or_default();
        for key in claims(new) {
            if before.contains(&key) || (duplicate_addresses && key.0 == Claim::Address) {
                continue;
            }
            if let Some(owner) = self.having(&key).find(|owner| owner.id != new.id) {
                return Err(key.0.taken(op, &owner.id));
            }
        }
        Ok(())
    }

    /// Stages a new or changed record.
    pub fn put(&mut self, mut record: ThingRecord, entry: Option<HistoryEntry>) -> Arc<ThingRecord> {
        record.revision.set(0);
        let json = Batch::json(Space::Things, &record.id, &record.stored());
        if let Ok(json) = &json {
            record.rest_in(json);
            self.bytes += json.len();
        }
        let record = Arc::new(record);
        let old = self.stage(&record.id, Some(Arc::clone(&record)));
        self.reclaim(old.as_deref(), Some(&record));
        let batch = std::mem::take(&mut self.batch);
        self.batch = batch.put_json(Space::Things, &record.id, json);
        self.writes += 1;
        self.note(entry);
        self.made.push(Arc::clone(&record));
        record
    }

    /// Stages a removal.
    pub fn remove(&mut self, id: &ThingId, entry: Option<HistoryEntry>) {
        let Some(old) = self.stage(id, None) else { return };
        self.reclaim(Some(&old), None);
        let batch = std::mem::take(&mut self.batch);
        self.batch = batch.delete(Space::Things, id);
        self.writes += 1;
        self.note(entry);
    }

    fn stage(&mut self, id: &ThingId, new: Option<Arc<ThingRecord>>) -> Option<Arc<ThingRecord>> {
        let old = self.current(id);
        if self.staged.insert(id.clone(), new).is_none() {
            let expect = old.as_ref().map_or(Expect::Absent, |o| Expect::Revision(Revision(o.revision())));
            let batch = std::mem::take(&mut self.batch);
            self.batch = batch.require(Space::Things, id, expect);
        }
        old
    }

    /// Adds an entry to a thing's history; beyond the bound the oldest goes.
    fn note(&mut self, entry: Option<HistoryEntry>) {
        let Some(entry) = entry else { return };
        let prefix = history::prefix(&entry.id);
        let place = self.shared.store.revision().0 + 1;
        let key = format!("{prefix}{place:020} {:06}", self.writes);
        let mut batch = std::mem::take(&mut self.batch);
        let kept = self.shared.store.scan_prefix(Space::Audit, &prefix);
        let over = (kept.len() + 1).saturating_sub(history::MOST_ENTRIES);
        for old in kept.iter().take(over) {
            batch = batch.delete(Space::Audit, &old.key);
            self.writes += 1;
        }
        self.batch = batch.put(Space::Audit, key, &entry);
        self.writes += 1;
    }

    /// The claims of `old` become those of `new`, which is the same thing.
    fn reclaim(&mut self, old: Option<&ThingRecord>, new: Option<&ThingRecord>) {
        let [before, after] = [old, new].map(|thing| thing.map(claims).unwrap_or_default());
        let Some(id) = new.or(old).map(|thing| &thing.id) else { return };
        before.iter().filter(|key| !after.contains(key)).for_each(|key| self.claims.remove(key, id));
        after.iter().filter(|key| !before.contains(key)).for_each(|key| self.claims.add(key, id));
        let codes = [old, new].map(|thing| thing.map(|thing| &thing.code));
        if let [old, new] = codes
            && old != new
        {
            old.iter().for_each(|code| self.codes.remove(code));
            new.iter().for_each(|code| self.codes.add(code));
        }
    }

    async fn commit(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            self.discard();
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let error = match self.shared.store.commit(batch).await {
            Ok(revision) => {
                self.publish(revision.0);
                return Ok(());
            }
            Err(e) => e,
        };
        if error.sent() != Sent::Maybe {
            self.discard();
            return Err(error);
        }
        if self.probe().await.is_err() {
            self.doubtful.extend(self.staged.keys().cloned());
            self.discard();
            return Err(error);
        }
        if let Some(revision) = self.found() {
            self.publish(revision);
            return Ok(());
        }
        self.discard();
        Err(again(&error, Sent::No))
    }

    /// The revision of what is staged when the store holds it after all. A commit is whole, so one record tells; but
    /// not one that was the same before, nor is the time of a removal the commit of the records beside it.
    fn found(&self) -> Option<u64> {
        let store = &self.shared.store;
        let known = |id: &ThingId| self.shared.get(id);
        let mut put = self.staged.iter().filter_map(|(id, staged)| Some((id, staged.as_ref()?)));
        if let Some((id, new)) = put.next() {
            let held = store.get_record(Space::Things, id)?;
            let json = serde_json::to_vec(&new.stored()).ok()?;
            let is_new = known(id).is_none_or(|known| known.revision() != held.revision.0);
            return (is_new && *held.json == *json).then_some(held.revision.0);
        }
        // What was neither there before nor stays tells nothing.
        let (id, _) = self.staged.iter().find(|(id, _)| known(id).is_some())?;
        store.get_record(Space::Things, id).is_none().then(|| store.revision().0)
    }

    /// Makes the store look at its file again.
    async fn probe(&self) -> Result<()> {
        let probe = Batch::new().put(Space::Meta, "rack.probe", &self.now());
        self.shared.store.commit(probe).await.map(|_| ())
    }

    /// After a commit with an unknown outcome: nothing is judged before that outcome is known.
    async fn settle_doubts(&mut self) -> Result<()> {
        if self.doubtful.is_empty() {
            return Ok(());
        }
        self.probe().await.map_err(|e| again(&e, Sent::No))?;
        while let Some(id) = self.doubtful.first().cloned() {
            let held = self.shared.store.get_record(Space::Things, &id);
            let known = self.shared.get(&id);
            if held.as_ref().map(|r| r.revision.0) == known.as_ref().map(|k| k.revision()) {
                self.doubtful.remove(&id);
                continue;
            }
            let held = held.as_ref().map(ThingRecord::load).transpose()?.map(Arc::new);
            self.doubtful.remove(&id);
            if let Some(known) = &known {
                self.reclaim(Some(known), None);
            }
            if let Some(held) = &held {
                self.reclaim(None, Some(held));
            }
            self.shared.show(&id, held);
        }
        Ok(())
    }

    fn publish(&mut self, revision: u64) {
        self.made.drain(..).for_each(|record| record.revision.set(revision));
        for (id, new) in std::mem::take(&mut self.staged) {
            self.shared.show(&id, new);
        }
        (self.writes, self.bytes) = (0, 0);
    }

    /// Takes back what is staged.
    fn discard(&mut self) {
        for (id, new) in std::mem::take(&mut self.staged) {
            if let Some(new) = new {
                self.reclaim(Some(&new), None);
            }
            if let Some(old) = self.shared.get(&id) {
                self.reclaim(None, Some(&old));
            }
        }
        self.made.clear();
        self.batch = Batch::new();
        (self.writes, self.bytes) = (0, 0);
    }
}

/// The same error for one more caller.
pub(super) fn again(error: &Error, sent: Sent) -> Error {
    let copy = Error::new(error.kind(), error.op(), error.message()).code_as(error.code());
    let copy = error.context().fold(copy, |copy, (key, value)| copy.with(key, value));
    if sent == Sent::Maybe { copy.maybe_sent() } else { copy }
}
