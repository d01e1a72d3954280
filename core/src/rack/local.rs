use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    api::{Caller, Comment, CommentRef, Rack, RackInfo, ThingChange, ThingDraft, Which},
    changes::{self, Rules},
    checks, codes,
    collect::{Collector, Counts, Reading, ShutdownReport, Subscription, ThingState},
    comments,
    docs::Docs,
    last::{self, LastRows},
    options::RackOptions,
    record::ThingRecord,
    things::Things,
    watch::{Polling, Watch},
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Registry,
    io::{Ctx, Timestamp},
    query::{Filter, Query, QueryPage},
    store::{Batch, Expect, Space},
};

/// How many documents are made before others get their turn.
const CHUNK: usize = 1024;
/// How many drafts, and how many bytes of them, share one commit.
const TOGETHER: usize = 4_000;
const TOGETHER_BYTES: usize = 8 << 20;
/// How often a change that met another is tried again.
const TRIES: u32 = 16;

/// A rack of this process: its things stand in the site's [`Things`], and its own [`Collector`] polls them.
///
/// Dropping it ends its polls at once; [`shutdown`](Self::shutdown) ends them in order.
#[derive(Debug)]
pub struct LocalRack {
    cx: Ctx,
    rules: Arc<Rules>,
    things: Arc<Things>,
    polling: Arc<Polling>,
    docs: Docs,
    closed: AtomicBool,
}

/// Settings as they are kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Settings {
    values: Map<String, Value>,
    ts: i64,
    by: String,
}

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
        });
        let polling = Arc::new(Polling { collector, sealer, last, rules: Arc::clone(&rules) });
        things.follow(&rules.info.id, Arc::clone(&polling) as _).await?;
        Ok(Self { cx, rules, things, polling, docs: Docs::default(), closed: AtomicBool::new(false) })
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

    fn running(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "rack", "the rack was shut down"));
        }
        Ok(())
    }

    fn record(&self, id: &ThingId) -> Option<Arc<ThingRecord>> {
        self.things.get(id).filter(|record| record.rack == self.rules.info.id)
    }

    fn reading(&self, record: &ThingRecord) -> Option<Arc<Reading>> {
        if record.in_maintenance() {
            return None;
        }
        let now = self.cx.clock.wall();
        self.polling.collector.last(&record.id).or_else(|| self.before_start(record, now).map(Arc::new))
    }

    fn before_start(&self, record: &ThingRecord, now: Timestamp) -> Option<Reading> {
        self.polling.last.as_ref()?.before_start(&record.id, now)
    }

    /// The things' documents: MiningOS's listing form, with `last` when it is wanted.
    fn docs(&self, records: &[Arc<ThingRecord>], with_last: bool) -> Vec<Arc<Value>> {
        if !with_last {
            return self.docs.of(records);
        }
        let whole = |record: &Arc<ThingRecord>| {
            let mut doc = record.listing();
            if let Some(members) = doc.as_object_mut() {
                members.insert("last".into(), self.last_of(record));
            }
            Arc::new(doc)
        };
        records.iter().map(whole).collect()
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

    /// Gives `each` the documents of all things in turn, a chunk at a time.
    async fn each_chunk(
        &self,
        with_last: bool,
        mut each: impl FnMut(&[Arc<ThingRecord>], &[Arc<Value>]) -> Result<()> + Send,
    ) -> Result<()> {
        let all = self.things.of_rack(&self.rules.info.id);
        for records in all.chunks(CHUNK) {
            let docs = self.docs(records, with_last);
            each(records, &docs)?;
            drop(docs);
            tokio::task::yield_now().await;
        }
        self.docs.prune(&all);
        Ok(())
    }

    /// The things that match, with the revision that matched.
    async fn matching(&self, filter: &Filter) -> Result<Vec<(ThingId, u64)>> {
        let mut found = Vec::new();
        let take = |records: &[Arc<ThingRecord>], docs: &[Arc<Value>]| {
            let matching = records.iter().zip(docs).filter(|(_, doc)| filter.matches(doc));
            found.extend(matching.map(|(record, _)| (record.id.clone(), record.revision())));
            Ok(())
        };
        self.each_chunk(filter.uses("last"), take).await?;
        Ok(found)
    }

    /// Drafts that share one commit, taken from the front.
    fn together(drafts: &mut std::iter::Peekable<std::vec::IntoIter<ThingDraft>>) -> Vec<ThingDraft> {
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
    async fn comment<T: Send + 'static>(
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

    fn settings_key(&self) -> String {
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

#[async_trait]
impl Rack for LocalRack {
    fn info(&self) -> &RackInfo {
        &self.rules.info
    }

    async fn register(&self, draft: ThingDraft, by: &Caller) -> Result<Arc<ThingRecord>> {
        self.running()?;
        let (rules, by) = (Arc::clone(&self.rules), by.clone());
        self.things.ask(move |desk| changes::register(desk, &rules, draft, &by)).await
    }

    async fn register_many(&self, drafts: Vec<ThingDraft>, by: &Caller) -> Vec<Result<Arc<ThingRecord>>> {
        let mut out = Vec::with_capacity(drafts.len());
        let mut drafts = drafts.into_iter().peekable();
        while drafts.peek().is_some() {
            let part = Self::together(&mut drafts);
            let (rules, by, len) = (Arc::clone(&self.rules), by.clone(), part.len());
            let work = move |desk: &mut super::desk::Desk| {
                let each = part.into_iter().map(|draft| changes::register(desk, &rules, draft, &by));
                Ok(each.collect::<Vec<_>>())
            };
            let result = match self.running() {
                Ok(()) => self.things.ask(work).await,
                Err(e) => Err(e),
            };
            match result {
                Ok(results) => out.extend(results),
                Err(e) => out.extend((0..len).map(|_| Err(super::desk::again(&e, e.sent())))),
            }
        }
        out
    }

    async fn update(&self, id: &ThingId, change: ThingChange, by: &Caller) -> Result<Arc<ThingRecord>> {
        self.running()?;
        let (rules, id, by) = (Arc::clone(&self.rules), id.clone(), by.clone());
        self.things.ask(move |desk| changes::update(desk, &rules, &id, change, &by)).await
    }

    async fn forget(&self, which: &Which, by: &Caller) -> Result<Vec<ThingId>> {
        self.running()?;
        let filter = match which {
            Which::All => &Filter::all(),
            Which::Matching(filter) if filter.is_empty() => {
                let text = "an empty filter means every thing: say so with all";
                return Err(Error::invalid("thing.forget", "query", text).code_as("ERR_QUERY_INVALID"));
            }
            Which::Matching(filter) => filter,
        };
        // Nothing is chosen while it is not known what there is.
        self.things.ask(|_| Ok(())).await?;
        let mut tries = TRIES;
        loop {
            let chosen = self.matching(filter).await?;
            let (rack, by) = (self.rules.info.id.clone(), by.clone());
            let result = self.things.ask(move |desk| changes::forget(desk, &rack, &chosen, &by)).await;
            match result {
                Err(e) if e.kind() == ErrorKind::Conflict && tries > 1 => tries -= 1,
                result => return result,
            }
        }
    }

    async fn list(&self, query: &Query) -> Result<QueryPage> {
        let by_last = |path: &str| path == "last" || path.starts_with("last.");
        let with_last =
            query.status || query.filter.uses("last") || query.sort.keys().any(|(path, _)| by_last(path));
        let part = Query { page: query.page_of_part(), ..query.clone() };
        let mut pages = vec![part.run(std::iter::empty())?];
        let take = |records: &[Arc<ThingRecord>], docs: &[Arc<Value>]| {
            pages.push(part.run(records.iter().zip(docs).map(|(record, doc)| (record.id.as_str(), &**doc)))?);
            Ok(())
        };
        self.each_chunk(with_last, take).await?;
        let mut page = query.merge(pages);
        if !query.status {
            let members = page.items.iter_mut().filter_map(|item| item.value.as_object_mut());
            members.for_each(|members| drop(members.remove("last")));
        }
        Ok(page)
    }

    async fn count(&self, filter: &Filter) -> Result<u64> {
        if filter.is_empty() {
            let all = self.things.of_rack(&self.rules.info.id).len();
            return Ok(u64::try_from(all).unwrap_or(u64::MAX));
        }
        Ok(u64::try_from(self.matching(filter).await?.len()).unwrap_or(u64::MAX))
    }

    async fn get(&self, id: &ThingId) -> Result<Option<Arc<ThingRecord>>> {
        Ok(self.record(id))
    }

    async fn last(&self, id: &ThingId) -> Result<Option<Arc<Reading>>> {
        Ok(self.record(id).and_then(|record| self.reading(&record)))
    }

    async fn save_comment(
        &self,
        id: &ThingId,
        text: &str,
        pos: Option<&str>,
        by: &Caller,
    ) -> Result<Comment> {
        let (text, pos, by) = (text.to_owned(), pos.map(str::to_owned), by.clone());
        self.comment(id, move |desk, all| {
            let new = changes::comment(desk, desk.now(), &text, pos.as_deref(), &by)?;
            comments::add(all, new.clone())?;
            Ok(new)
        })
        .await
    }

    async fn edit_comment(
        &self,
        id: &ThingId,
        which: &CommentRef,
        text: &str,
        by: &Caller,
    ) -> Result<Comment> {
        let (which, text, by) = (which.clone(), text.to_owned(), by.clone());
        self.comment(id, move |_, all| comments::edit(all, &which, &text, &by)).await
    }

    async fn delete_comment(&self, id: &ThingId, which: &CommentRef, by: &Caller) -> Result<()> {
        let (which, by) = (which.clone(), by.clone());
        self.comment(id, move |_, all| comments::delete(all, &which, &by)).await
    }

    async fn settings(&self) -> Result<Map<String, Value>> {
        let kept = self.things.store().get::<Settings>(Space::Settings, self.settings_key())?;
        Ok(kept.map(|kept| kept.value.values).unwrap_or_default())
    }

    async fn save_settings(&self, entries: Map<String, Value>, by: &Caller) -> Result<Map<String, Value>> {
        self.running()?;
        let (store, key) = (self.things.store(), self.settings_key());
        let mut tries = TRIES;
        loop {
            let kept = store.get::<Settings>(Space::Settings, key.as_str())?;
            let expect = kept.as_ref().map_or(Expect::Absent, |kept| Expect::Revision(kept.revision));
            let mut values = kept.map(|kept| kept.value.values).unwrap_or_default();
            for (name, value) in &entries {
                if value.is_null() {
                    values.remove(name);
                } else {
                    values.insert(name.clone(), value.clone());
                }
            }
            checks::size("entries", values.iter().map(|(name, value)| (name.as_str(), value)))?;
            let new = Settings { values, ts: self.cx.clock.wall().0, by: by.user.clone() };
            let batch = Batch::new().require(Space::Settings, key.as_str(), expect).put(
                Space::Settings,
                key.as_str(),
                &new,
            );
            match store.commit(batch).await {
                Ok(_) => return Ok(new.values),
                Err(e) if e.kind() == ErrorKind::Conflict && tries > 1 => tries -= 1,
                Err(e) => return Err(e),
            }
        }
    }

    async fn next_code(&self) -> Result<String> {
        let prefix = codes::prefix(&self.rules.info.thing_type);
        self.things.ask(move |desk| Ok(desk.codes.next(&prefix))).await
    }
}
