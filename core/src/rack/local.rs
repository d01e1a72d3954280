use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    addressing::{self, Addressing, Plan},
    api::{Caller, Comment, RackInfo, ThingChange, ThingDraft},
    changes::{self, Rules},
    collect::{Collector, Counts, Reading, ShutdownReport, Subscription, ThingState},
    docs::{Docs, KEPT},
    identity::{Evidence, ask_identity},
    last::{self, LastRows},
    logs::RackLogs,
    options::RackOptions,
    record::ThingRecord,
    things::Things,
    watch::{Polling, Watch},
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Registry,
    io::{Ctx, Timestamp},
    query::{Filter, Item, Query},
};

/// How many documents are made before others get their turn.
const CHUNK: usize = 1024;
/// How many drafts, and how many bytes of them, share one commit.
const TOGETHER: usize = 4_000;
const TOGETHER_BYTES: usize = 8 << 20;
/// How often a change that met another is tried again.
pub(super) const TRIES: u32 = 16;

/// A rack of this process: its things stand in the site's [`Things`], and its own [`Collector`] polls them.
///
/// Dropping it ends its polls at once; [`shutdown`](Self::shutdown) ends them in order.
#[derive(Debug)]
pub struct LocalRack {
    pub(super) cx: Ctx,
    pub(super) rules: Arc<Rules>,
    pub(super) things: Arc<Things>,
    pub(super) polling: Arc<Polling>,
    /// Where its logs are.
    pub(super) logs: Option<Arc<dyn RackLogs>>,
    docs: Docs,
    closed: AtomicBool,
}

/// Settings as they are kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    pub values: Map<String, Value>,
    pub ts: i64,
    pub by: String,
}

/// Whether a question looks at this member of documents.
pub(super) type Looks<'a> = &'a (dyn Fn(&str) -> bool + Sync);

impl LocalRack {
    /// Opens a rack and begins to poll the things that it has. What they said before the start is there at once, with
    /// its age.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), naming the option; [`Conflict`](ErrorKind::Conflict) when this process has the
    /// rack open already.
    pub async fn open(
        cx: Ctx,
        drivers: Arc<Registry>,
        things: Arc<Things>,
        info: RackInfo,
        options: RackOptions,
        last: Option<LastRows>,
    ) -> Result<Self> {
        options.check(&drivers)?;
        let logs = options.logs;
        let watch = Watch {
            things: Arc::clone(&things),
            rack: info.id.clone(),
            last: last.clone(),
            sink: options.sink,
        };
        let collector =
            Collector::start(cx.clone(), Arc::clone(&drivers), options.collector, Arc::new(watch))?;
        if let Some(last) = &last {
            last.prune(|id| things.get(id).is_some());
        }
        let sealer = things.store().sealer().clone();
        let rules = Arc::new(Rules {
            info,
            drivers,
            default_driver: options.default_driver,
            tags: options.tags,
            allow_duplicate_ips: options.allow_duplicate_ips,
            addressing: options.addressing,
            container_subnets: options.container_subnets,
        });
        let polling = Arc::new(Polling { collector, sealer, last, rules: Arc::clone(&rules) });
        things.follow(&rules.info.id, Arc::clone(&polling) as _).await?;
        Ok(Self { cx, rules, things, polling, logs, docs: Docs::default(), closed: AtomicBool::new(false) })
    }

    /// All readings from now on; see [`Collector::subscribe`].
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.polling.collector.subscribe(capacity)
    }

    /// How its collector does.
    pub fn counts(&self) -> Counts {
        self.polling.collector.counts()
    }

    /// How one of its things stands now; `None` while it is not polled.
    pub fn state(&self, id: &ThingId) -> Option<ThingState> {
        self.polling.collector.state(id)
    }

    /// Who answers where the thing is reached; asked now, beside the polls.
    pub(crate) async fn identity_of(
        &self,
        thing: &ThingRecord,
        patience: Duration,
    ) -> Result<Option<Evidence>> {
        let conf = thing.conf(self.things.store().sealer())?;
        ask_identity(&self.cx.deadline_in(patience), &self.rules.drivers, &conf).await
    }

    /// The driver of things that name none.
    pub fn default_driver(&self) -> &str {
        &self.rules.default_driver
    }

    /// The registry that it shares.
    pub fn things(&self) -> &Arc<Things> {
        &self.things
    }

    /// Ends the rack within `bound`: see [`Collector::shutdown`]. Reading goes on; changes are refused from then on.
    pub async fn shutdown(&self, bound: Duration) -> ShutdownReport {
        if !self.closed.swap(true, Ordering::SeqCst) {
            self.things.unfollow(&self.rules.info.id);
        }
        let report = self.polling.collector.shutdown(bound).await;
        if let Some(last) = &self.polling.last
            && let Err(error) = last.store().flush()
        {
            tracing::warn!(%error, "the last rows are not durable");
        }
        report
    }

    pub(super) fn running(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "rack", "the rack was shut down"));
        }
        Ok(())
    }

    pub(super) fn record(&self, id: &ThingId) -> Option<Arc<ThingRecord>> {
        self.things.get(id).filter(|record| record.rack == self.rules.info.id)
    }

    pub(super) fn reading(&self, record: &ThingRecord) -> Option<Arc<Reading>> {
        if record.in_maintenance() {
            return None;
        }
        let before = || self.before_start(record, self.cx.clock.wall());
        let Some(last) = self.polling.collector.last(&record.id) else { return before().map(Arc::new) };
        if last.good.is_some() {
            return Some(last);
        }
        // It has not answered since the start; what it said before that is known all the same.
        let good = before().and_then(|reading| reading.good);
        Some(if good.is_some() { Arc::new(Reading { good, ..(*last).clone() }) } else { last })
    }

    fn before_start(&self, record: &ThingRecord, now: Timestamp) -> Option<Reading> {
        self.polling.last.as_ref()?.before_start(&record.id, now)
    }

    /// The things' documents: MiningOS's listing form, with `last` where that is looked at.
    fn docs(&self, records: &[Arc<ThingRecord>], large: bool, looks: Looks<'_>) -> Vec<Arc<Value>> {
        match (looks("last"), large) {
            (true, _) => records.iter().map(|record| self.whole(record)).collect(),
            (false, true) => records.iter().map(|record| Arc::new(record.listing_of(looks))).collect(),
            (false, false) => self.docs.of(records),
        }
    }

    /// A thing's document with what it said last.
    fn whole(&self, record: &ThingRecord) -> Arc<Value> {
        let mut doc = record.listing();
        if let Some(members) = doc.as_object_mut() {
            members.insert("last".into(), self.last_of(record));
        }
        Arc::new(doc)
    }

    fn last_of(&self, record: &ThingRecord) -> Value {
        if record.in_maintenance() {
            return last::in_maintenance();
        }
        let restored = || self.before_start(record, self.cx.clock.wall());
        let state = self.polling.collector.state(&record.id);
        if let Some(reading) = state.as_ref().and_then(|state| state.last.as_ref()) {
            let known = state.as_ref().is_some_and(|state| state.good.is_some());
            let before = if known { None } else { restored().and_then(|reading| reading.good) };
            return last::shown(reading, state.as_ref(), before.as_ref());
        }
        restored().map_or_else(|| Value::Object(Map::new()), |reading| last::shown(&reading, None, None))
    }

    /// All things, of which a question is asked.
    pub(super) fn asked(&self) -> Vec<Arc<ThingRecord>> {
        let all = self.all();
        self.docs.prune(&all);
        all
    }

    /// An item of a list with all that is wanted of it.
    pub(super) fn shown(&self, item: Item, query: &Query) -> Item {
        let fields = &query.fields;
        let record = ThingId::new(&item.id).ok().and_then(|id| self.record(&id));
        let value = match record {
            Some(record) if query.status => fields.row(&self.whole(&record)),
            Some(record) => fields.row(&Arc::new(record.listing())),
            // It was forgotten meanwhile.
            None => fields.apply(&item.value.to_value()).into(),
        };
        Item { value, ..item }
    }

    /// Gives `each` the documents of things, in order of ids, a chunk at a time. Of more than [`KEPT`] they have only the
    /// members that are looked at.
    pub(super) async fn each_chunk(
        &self,
        all: &[Arc<ThingRecord>],
        looks: Looks<'_>,
        mut each: impl FnMut(&[Arc<ThingRecord>], &[Arc<Value>]) -> Result<()> + Send,
    ) -> Result<()> {
        for records in all.chunks(CHUNK) {
            let docs = self.docs(records, all.len() > KEPT, looks);
            each(records, &docs)?;
            drop(docs);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The things that match, with the revision that matched.
    pub(super) async fn matching(&self, filter: &Filter) -> Result<Vec<(ThingId, u64)>> {
        let mut found = Vec::new();
        let take = |records: &[Arc<ThingRecord>], docs: &[Arc<Value>]| {
            let matching = records.iter().zip(docs).filter(|(_, doc)| filter.matches(doc));
            found.extend(matching.map(|(record, _)| (record.id.clone(), record.revision())));
            Ok(())
        };
        self.each_chunk(&self.asked(), &|member| filter.uses(member), take).await?;
        Ok(found)
    }

    /// Drafts that share one commit, taken from the front.
    pub(super) fn together(
        drafts: &mut std::iter::Peekable<std::vec::IntoIter<ThingDraft>>,
    ) -> Vec<ThingDraft> {
        let size = |draft: &ThingDraft| {
            let info = serde_json::to_vec(&draft.info).map_or(0, |json| json.len());
            info + draft.opts.as_ref().and_then(|o| serde_json::to_vec(o).ok()).map_or(0, |json| json.len())
        };
        let (mut out, mut bytes) = (Vec::new(), 0);
        while let Some(draft) = drafts.next_if(|_| out.len() < TOGETHER && bytes < TOGETHER_BYTES) {
            bytes += size(&draft);
            out.push(draft);
        }
        out
    }

    /// Changes the comments of one thing.
    pub(super) async fn comment<T: Send + 'static>(
        &self,
        id: &ThingId,
        change: impl FnOnce(&mut super::desk::Desk, &mut Vec<Comment>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.running()?;
        let (rules, id) = (Arc::clone(&self.rules), id.clone());
        let work = move |desk: &mut super::desk::Desk| {
            let old = changes::own(desk, &rules.info.id, &id, "thing.comment")?;
            let mut new = ThingRecord::clone(&old);
            let result = change(desk, &mut new.comments)?;
            desk.put(new, None);
            Ok(result)
        };
        self.things.ask(work).await
    }

    pub(super) async fn change(
        &self,
        id: &ThingId,
        change: ThingChange,
        by: &Caller,
    ) -> Result<Arc<ThingRecord>> {
        let (rules, id, by) = (Arc::clone(&self.rules), id.clone(), by.clone());
        self.things.ask(move |desk| changes::update(desk, &rules, &id, change, &by)).await
    }

    /// One change at a time asks a server for addresses or gives them back.
    pub(super) async fn addressing_turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.rules.addressing {
            Addressing::Server(_) => Some(self.things.addressing.lock().await),
            _ => None,
        }
    }

    /// A draft with the address that the rack gives it.
    pub(super) async fn addressed(&self, mut draft: ThingDraft) -> Result<(ThingDraft, Plan)> {
        let addressing = &self.rules.addressing;
        let Some(opts) = draft.opts.as_mut().filter(|_| !matches!(addressing, Addressing::Given)) else {
            return Ok((draft, Plan::default()));
        };
        let (family, mut info) = (self.rules.info.family(), draft.info.clone());
        addressing::subnet(&self.rules.container_subnets, family, &mut info);
        let plan = addressing.first(&self.cx, family, &info, opts).await?;
        if let Some(Some(ip)) = plan.address {
            opts.insert("address", ip.to_string().into());
        }
        Ok((draft, plan))
    }

    /// A change of which the address may follow. It is judged by one state of the thing and made on that.
    pub(super) async fn update_addressed(
        &self,
        id: &ThingId,
        wanted: ThingChange,
        by: &Caller,
    ) -> Result<Arc<ThingRecord>> {
        let _turn = self.addressing_turn().await;
        let addressing = &self.rules.addressing;
        let mut tries = TRIES;
        loop {
            let old = self.record(id).ok_or_else(|| changes::unknown("thing.update", id))?;
            let mut change = wanted.clone();
            change.if_revision = change.if_revision.or(Some(old.revision()));
            let info = addressing::facts_after(&self.rules, &old, &wanted);
            let plan = addressing.next(&self.cx, &old, &info, &wanted).await?;
            change.address = plan.address;
            let made = self.change(id, change, by).await;
            addressing.settle(&self.cx, &self.things, &plan, &made).await;
            match made {
                Err(e) if addressing::is_overtaken(&e) && wanted.if_revision.is_none() && tries > 1 => {
                    tries -= 1
                }
                made => return made,
            }
        }
    }

    /// The addresses that go back to their server when these things are forgotten.
    pub(super) fn addresses_of(&self, chosen: &[(ThingId, u64)]) -> Vec<Ipv4Addr> {
        if !matches!(self.rules.addressing, Addressing::Server(_)) {
            return Vec::new();
        }
        chosen.iter().filter_map(|(id, _)| self.record(id)?.ipv4()).collect()
    }

    pub(super) fn settings_key(&self) -> String {
        format!("rack/{}", self.rules.info.id)
    }
}

impl Drop for LocalRack {
    fn drop(&mut self) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            self.things.unfollow(&self.rules.info.id);
        }
    }
}
