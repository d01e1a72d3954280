//! The real registry: racks over [`Things`], asked through their own interface.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result, ThingId,
    driver::{self, Driver, DriverInfo, Match, ProbeSpec, Thing},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::ThingConf,
    query::{Filter, Query},
    rack::{
        Caller, CollectorOptions, CommentRef, Evidence, LocalRack, Rack, RackInfo, RackOptions, Sighting,
        ThingChange, ThingDraft, ThingRecord, Things, Which,
    },
    store::{Batch, ControlStore, Space},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Op, Registry, Rules, Workload, halt,
    rows::{self, Row, TYPE, Unique},
};
use crate::oracle::Model;

/// Readings come later than all changes: nothing that is said is old news.
const LATER: Timestamp = Timestamp(i64::MAX / 4);
/// After so many changes lists are compared with records.
const COMPARE_EVERY: u64 = 8;
const NOBODY: &str = "nobody";

/// Writes through a rack of the site's registry.
#[derive(Debug)]
pub struct ThingsWorkload;

#[async_trait]
impl Workload for ThingsWorkload {
    fn name(&self) -> &'static str {
        "over things"
    }

    async fn over(&self, store: ControlStore) -> Result<Arc<dyn Registry>> {
        let opened = Opened::new(store).await?;
        opened.agree().await?;
        Ok(Arc::new(opened))
    }
}

/// A driver whose devices never answer: what they say is told by [`Op::Seen`] alone.
#[derive(Debug)]
struct Nobody(DriverInfo);

#[async_trait]
impl Driver for Nobody {
    fn info(&self) -> &DriverInfo {
        &self.0
    }

    fn probes(&self) -> &[ProbeSpec] {
        &[]
    }

    fn recognise(&self, _: &driver::Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _: &Ctx, _: &ThingConf) -> Result<Arc<dyn Thing>> {
        Err(Error::new(ErrorKind::Unreachable, "trust.open", "nobody is there"))
    }
}

/// One process with the registry open.
#[derive(Debug)]
pub struct Opened {
    store: ControlStore,
    things: Arc<Things>,
    rack: LocalRack,
    by: Caller,
    changes: AtomicU64,
}

impl Opened {
    /// Opens the registry in `store` and one rack.
    pub async fn new(store: ControlStore) -> Result<Self> {
        let cx = context(&store);
        let things = Things::open(&cx, store.clone()).await?;
        let mut drivers = driver::Registry::new();
        drivers.register(Nobody(DriverInfo::new(NOBODY, "miner", "Nobody", "")));
        let mut options = RackOptions::new(NOBODY);
        options.collector = CollectorOptions::every(Duration::from_secs(600));
        let info = RackInfo::new(TYPE, "r1")?;
        let rack = LocalRack::open(cx, Arc::new(drivers), Arc::clone(&things), info, options, None).await?;
        Ok(Self { store, things, rack, by: Caller::new("ops@example.com"), changes: AtomicU64::new(0) })
    }

    /// The rack through which it is asked.
    pub fn rack(&self) -> &LocalRack {
        &self.rack
    }

    /// The registry itself.
    pub fn things(&self) -> &Arc<Things> {
        &self.things
    }

    async fn register(&self, things: &[(String, Value)]) -> Result<String> {
        let mut drafts = Vec::new();
        for (id, value) in things {
            let (opts, info) = rows::parts(value);
            let mut draft = json!({"id": id, "opts": opts, "info": info});
            for name in ["tags", "code"] {
                if let Some(given) = value.get(name) {
                    draft[name] = given.clone();
                }
            }
            drafts.push(read::<ThingDraft>(draft)?);
        }
        let mut answer = Vec::new();
        let mut refused = Vec::new();
        for told in self.rack.register_many(drafts, &self.by).await {
            match told {
                Ok(_) => answer.push("ok"),
                Err(e) => {
                    answer.push(e.code());
                    refused.push(e);
                }
            }
        }
        let all = refused.len() == answer.len();
        match refused.into_iter().next() {
            Some(e) if all || e.code().starts_with("STORE_") => Err(e),
            _ => Ok(answer.join(" ")),
        }
    }

    async fn reword(&self, id: &ThingId, old: &str, new: Option<&String>) -> Result<()> {
        let record = self.things.get(id);
        let comments = record.iter().flat_map(|record| &record.comments);
        let found = comments.filter(|c| c.comment == old).map(|c| c.id.clone()).next();
        let which = CommentRef { id: Some(found.unwrap_or_else(|| "none".into())), ts: None };
        match new {
            Some(text) => self.rack.edit_comment(id, &which, text, &self.by).await.map(drop),
            None => self.rack.delete_comment(id, &which, &self.by).await,
        }
    }

    async fn change(&self, op: &Op) -> Result<String> {
        let quiet = String::new();
        match op {
            Op::Register(things) => self.register(things).await,
            Op::Update(id, value) => {
                let change: ThingChange = read(value.clone())?;
                self.rack.update(&ThingId::new(id)?, change, &self.by).await.map(|_| quiet)
            }
            Op::Comment(id, _, value) => {
                let text = rows::comment(value);
                self.rack.save_comment(&ThingId::new(id)?, &text, None, &self.by).await.map(|_| quiet)
            }
            Op::Reword(id, old, new) => {
                self.reword(&ThingId::new(id)?, old, new.as_ref()).await.map(|()| quiet)
            }
            Op::Set(key, value) => {
                let entries = [(key.clone(), value.clone())].into_iter().collect();
                self.rack.save_settings(entries, &self.by).await.map(|_| quiet)
            }
            Op::Stop(n) => {
                let batch = Batch::new().put(Space::Journal, format!("stop-{n}"), &halt()).urgent();
                self.store.commit(batch).await.map(|_| quiet)
            }
            Op::Forget(_, things) => {
                let which = Which::Matching(Filter::parse(&json!({"id": {"$in": things}}))?);
                Ok(words(&self.rack.forget(&which, &self.by).await?))
            }
            Op::Settle => self.rack.next_code().await,
            Op::Seen(id, mac) => {
                let mut evidence = Evidence::default();
                evidence.mac = Some(mac.as_str().into());
                let sighting = Sighting::polled(ThingId::new(id)?, evidence, LATER);
                Ok(words(&self.things.sight(vec![sighting]).await?))
            }
            Op::Merge(keep, gone) => {
                let (keep, gone) = (ThingId::new(keep)?, ThingId::new(gone)?);
                self.things.merge(&keep, &gone, &self.by).await.map(|_| quiet)
            }
            Op::Split(id) => self.things.split(&ThingId::new(id)?, &self.by).await.map(|_| quiet),
        }
    }

    /// Compares what lists, counts and settings say with the records.
    async fn agree(&self) -> Result<()> {
        let records = self.things.of_rack(&self.rack.info().id);
        let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        let all = self.rack.list(&Query::parse_str(r#"{"limit": 10000, "sort": {"id": 1}}"#)?).await?;
        let listed: BTreeMap<&str, Value> =
            all.items.iter().map(|i| (i.id.as_str(), i.value.to_value())).collect();
        if listed.keys().copied().collect::<Vec<_>>() != ids || self.things.len() != ids.len() {
            return Err(differ("a list does not name the things"));
        }
        if records.iter().any(|record| listed.get(record.id.as_str()) != Some(&record.listing())) {
            return Err(differ("a list does not show the records"));
        }
        if self.rack.count(&Filter::all()).await? != all.matched {
            return Err(differ("a count is not the list's"));
        }
        let Some(one) = records.first() else { return Ok(()) };
        let tagged = Filter::parse(&json!({"tags": {"$in": [format!("code-{}", one.code)]}}))?;
        if self.rack.count(&tagged).await? != 1 {
            return Err(differ("a tag does not name its thing alone"));
        }
        Ok(())
    }

    /// What memory and store say differently; only what is durable is shown.
    fn differences(&self) -> Option<String> {
        let kept = self.store.scan(Space::Things, .., usize::MAX);
        if kept.len() != self.things.len() {
            return Some(format!("{} things are kept and {} are known", kept.len(), self.things.len()));
        }
        kept.iter().find_map(|record| {
            let known = ThingId::new(record.key.as_str()).ok().and_then(|id| self.things.get(&id));
            let Some(known) = known else { return Some(format!("{} is kept and not known", record.key)) };
            let stored: Value = record.parse().unwrap_or_default();
            let same = stored["info"] == json!(known.info)
                && stored["code"] == json!(known.code)
                && stored["comments"].as_array().map_or(0, Vec::len) == known.comments.len()
                && record.revision.0 == known.revision();
            (!same).then(|| format!("{} is kept otherwise than it is known", record.key))
        })
    }

    fn histories(&self, model: &mut Model) {
        let audit = self.store.scan_prefix(Space::Audit, "thing ");
        let ids: BTreeSet<&str> = audit.iter().filter_map(|r| r.key.as_str().split(' ').nth(1)).collect();
        for id in ids {
            let entries = ThingId::new(id).and_then(|id| self.things.history(&id));
            let kinds: Value = match entries {
                Ok(entries) => entries.iter().map(|entry| json!(entry.what)).collect(),
                Err(e) => e.to_string().into(),
            };
            model.insert(format!("history/{id}"), kinds.to_string().into());
        }
    }
}

#[async_trait]
impl Registry for Opened {
    async fn apply(&self, op: &Op) -> Result<String> {
        let answer = self.change(op).await?;
        if self.changes.fetch_add(1, Ordering::Relaxed).is_multiple_of(COMPARE_EVERY) {
            self.agree().await?;
        }
        Ok(answer)
    }

    async fn look(&self) -> bool {
        let store = self.store.commit(Batch::new().put(Space::Meta, "trust.look", &1)).await;
        store.is_ok() && self.rack.next_code().await.is_ok()
    }

    fn content(&self) -> Model {
        let mut model = Model::new();
        for record in self.things.ids().iter().filter_map(|id| self.things.get(id)) {
            model.insert(format!("things/{}", record.id), json!(row(&record)).to_string().into());
        }
        self.histories(&mut model);
        for record in self.store.scan_prefix(Space::Settings, "rack/") {
            let value: Value = record.parse().unwrap_or_default();
            for (name, value) in value["values"].as_object().into_iter().flatten() {
                model.insert(format!("settings/{name}"), value.to_string().into());
            }
        }
        for record in self.store.scan(Space::Journal, .., usize::MAX) {
            let text = String::from_utf8_lossy(&record.json).into_owned();
            model.insert(format!("journal/{}", record.key), text.into());
        }
        if let Some(text) = self.differences() {
            model.insert(format!("difference/{text}"), text.into());
        }
        model
    }

    fn rules(&self) -> &'static dyn Rules {
        &Unique
    }

    fn store(&self) -> &ControlStore {
        &self.store
    }
}

impl Drop for Opened {
    /// Ends like a process: the registry's own task would keep the file open until its next turn.
    fn drop(&mut self) {
        let closing = pin!(self.store.clone().close());
        // Closing waits for nothing but the store's thread, which it joins.
        let _closed = closing.poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// Time and randomness of one process: the same for the same store, and other nonces after each commit.
fn context(store: &ControlStore) -> Ctx {
    let seed = store
        .site()
        .bytes()
        .fold(store.revision().0, |seed, byte| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Ctx::new(Arc::new(SystemClock::default()), Arc::new(SeededRng::new(seed)), Arc::new(MemNet::new()))
}

/// A thing as its callers see it.
fn row(record: &ThingRecord) -> Row {
    let listing = record.listing();
    let mut info = record.info.map();
    info.retain(|name, _| !["createdAt", "updatedAt"].contains(&name.as_str()));
    // In whatever order: of two things that are one they are sorted by their times, which nobody tells here.
    let mut comments: Vec<_> = record.comments.iter().map(|c| c.comment.clone()).collect();
    comments.sort_unstable();
    Row {
        code: record.code.as_str().into(),
        address: listing["address"].as_str().map(Into::into),
        port: listing.get("port").cloned(),
        info,
        tags: record.tags.iter().map(|tag| tag.as_str().into()).collect(),
        comments,
        held: record.held.as_ref().map(|held| json!({"reason": held.reason, "seen": held.seen})),
        evidence: record.evidence.as_ref().map(|evidence| json!(evidence)),
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| Error::invalid("trust.read", "value", e.to_string()))
}

fn words(ids: &[ThingId]) -> String {
    ids.iter().map(ThingId::as_str).collect::<Vec<_>>().join(" ")
}

fn differ(text: &str) -> Error {
    Error::new(ErrorKind::Internal, "trust.agree", text)
}
