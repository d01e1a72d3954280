use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::cx;
use crate::{
    Error, ErrorKind, Result, ThingId,
    io::Clock,
    query::{Filter, Query, QueryPage},
    rack::{
        Caller, Comment, CommentRef, Rack, RackInfo, Reading, Tail, TailQuery, ThingChange, ThingDraft,
        ThingRecord, Which, ipv4_of,
    },
    stats::Row,
};

/// How a rack behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Good,
    Fails,
    Hangs,
    /// Answers after so many seconds.
    Slow(u64),
    /// Comes to a bad end.
    Panics,
}

/// A rack in memory.
#[derive(Debug)]
pub struct Fake {
    info: RackInfo,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    calls: u64,
    things: BTreeMap<String, Value>,
    comments: Vec<(String, Comment)>,
    settings: Map<String, Value>,
    rows: Vec<Row>,
    stored: Option<Vec<Value>>,
}

impl Fake {
    /// Gives it rows of statistics.
    pub fn keep_rows(&self, rows: Vec<Row>) {
        self.lock().rows = rows;
    }

    /// Gives it rows of statistics as MiningOS stores them.
    pub fn store_rows(&self, rows: Vec<Value>) {
        self.lock().stored = Some(rows);
    }

    pub fn new(thing_type: &str, name: &str) -> Self {
        let state = State {
            mode: Mode::Good,
            calls: 0,
            things: BTreeMap::new(),
            comments: Vec::new(),
            settings: Map::new(),
            rows: Vec::new(),
            stored: None,
        };
        let info = RackInfo::new(thing_type, name).unwrap();
        Self { info, clock: cx().clock, state: Mutex::new(state) }
    }

    pub fn set(&self, mode: Mode) {
        self.lock().mode = mode;
    }

    pub fn put(&self, id: &str, info: Value) {
        let (kind, rack) = (&self.info.thing_type, &self.info.id);
        let code = format!("CODE-{}", self.lock().things.len() + 1);
        let doc = json!({"id": id, "code": code, "type": kind, "rack": rack, "driver": "d", "tags": [], "info": info});
        self.lock().things.insert(id.into(), doc);
    }

    pub fn edit(&self, id: &str, member: &str, value: Value) {
        self.lock().things.get_mut(id).unwrap()[member] = value;
    }

    pub fn docs(&self) -> Vec<Value> {
        self.lock().things.values().cloned().collect()
    }

    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    pub fn comments(&self) -> Vec<Comment> {
        self.lock().comments.iter().map(|(_, c)| c.clone()).collect()
    }

    /// What it holds, without how often it was asked.
    pub fn state(&self) -> String {
        let state = self.lock();
        format!("{:?} {:?} {:?}", state.things, state.comments, state.settings)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn enter(&self) -> Result<()> {
        let mode = {
            let mut state = self.lock();
            state.calls += 1;
            state.mode
        };
        match mode {
            Mode::Good => Ok(()),
            Mode::Fails => Err(Error::new(ErrorKind::Unreachable, "fake", "the rack is off")),
            Mode::Hangs => std::future::pending().await,
            Mode::Slow(seconds) => {
                let at = self.clock.mono() + std::time::Duration::from_secs(seconds);
                self.clock.sleep_until(at).await;
                Ok(())
            }
            Mode::Panics => panic!("a defect of this rack"),
        }
    }

    fn record(doc: &Value) -> Arc<ThingRecord> {
        Arc::new(serde_json::from_value(doc.clone()).unwrap())
    }

    fn of_user(&self, id: &ThingId, which: &CommentRef, by: &Caller) -> Result<usize> {
        let missing = |code| Error::new(ErrorKind::NotFound, "fake", "no such comment").code_as(code);
        let state = self.lock();
        if !state.things.contains_key(id.as_str()) {
            return Err(missing("ERR_THING_NOTFOUND"));
        }
        let named = |c: &Comment| which.id.as_ref().map_or(which.ts == Some(c.ts), |id| *id == c.id);
        let at = state.comments.iter().position(|(thing, c)| thing == id.as_str() && named(c));
        let at = at.ok_or_else(|| missing("ERR_THING_COMMENT_NOTFOUND"))?;
        if state.comments[at].1.user != by.user {
            let e = Error::new(ErrorKind::Forbidden, "fake", "not your comment");
            return Err(e.code_as("ERR_COMMENT_ACCESS_DENIED"));
        }
        Ok(at)
    }
}

#[async_trait]
impl Rack for Fake {
    fn info(&self) -> &RackInfo {
        &self.info
    }

    async fn register(&self, draft: ThingDraft, _: &Caller) -> Result<Arc<ThingRecord>> {
        self.enter().await?;
        let next = self.next_code().await?;
        let mut state = self.lock();
        let id = draft.id.unwrap_or_else(|| format!("made-{}", state.things.len()));
        if state.things.contains_key(&id) {
            let e = Error::new(ErrorKind::Conflict, "fake", "it exists");
            return Err(e.code_as("ERR_THING_WITH_ID_ALREADY_EXISTS").with("field", "id"));
        }
        let mut doc = json!({
            "id": id, "code": draft.code.unwrap_or(next), "type": self.info.thing_type,
            "rack": self.info.id, "driver": "d", "tags": draft.tags, "info": draft.info,
        });
        if let Some(ip) = draft.opts.as_ref().and_then(ipv4_of) {
            doc["address"] = ip.to_string().into();
        }
        let record = Self::record(&doc);
        state.things.insert(id, doc);
        Ok(record)
    }

    async fn register_many(&self, drafts: Vec<ThingDraft>, by: &Caller) -> Vec<Result<Arc<ThingRecord>>> {
        let mut all = Vec::new();
        for draft in drafts {
            all.push(self.register(draft, by).await);
        }
        all
    }

    async fn update(&self, id: &ThingId, change: ThingChange, _: &Caller) -> Result<Arc<ThingRecord>> {
        self.enter().await?;
        let mut state = self.lock();
        let missing =
            || Error::new(ErrorKind::NotFound, "fake", "no such thing").code_as("ERR_THING_NOTFOUND");
        let doc = state.things.get_mut(id.as_str()).ok_or_else(missing)?;
        for (name, value) in change.info.unwrap_or_default() {
            doc["info"][name] = value;
        }
        Ok(Self::record(doc))
    }

    async fn forget(&self, which: &Which, _: &Caller) -> Result<Vec<ThingId>> {
        self.enter().await?;
        let mut state = self.lock();
        let gone = |doc: &Value| match which {
            Which::Matching(filter) => filter.matches(doc),
            Which::All => true,
        };
        let ids: Vec<String> =
            state.things.iter().filter(|(_, doc)| gone(doc)).map(|(id, _)| id.clone()).collect();
        ids.iter().for_each(|id| drop(state.things.remove(id)));
        ids.iter().map(|id| ThingId::new(id)).collect()
    }

    async fn list(&self, query: &Query) -> Result<QueryPage> {
        self.enter().await?;
        let state = self.lock();
        query.run(state.things.iter().map(|(id, doc)| (id.as_str(), doc)))
    }

    async fn count(&self, filter: &Filter) -> Result<u64> {
        self.enter().await?;
        Ok(self.lock().things.values().filter(|doc| filter.matches(doc)).count() as u64)
    }

    async fn get(&self, id: &ThingId) -> Result<Option<Arc<ThingRecord>>> {
        self.enter().await?;
        Ok(self.lock().things.get(id.as_str()).map(Self::record))
    }

    async fn last(&self, _: &ThingId) -> Result<Option<Arc<Reading>>> {
        self.enter().await?;
        Ok(None)
    }

    async fn save_comment(
        &self,
        id: &ThingId,
        text: &str,
        pos: Option<&str>,
        by: &Caller,
    ) -> Result<Comment> {
        self.enter().await?;
        let mut state = self.lock();
        let n = state.comments.len() as i64;
        let comment = Comment {
            id: format!("c{n}"),
            ts: n,
            comment: text.into(),
            user: by.user.clone(),
            pos: pos.map(str::to_owned),
        };
        state.comments.push((id.to_string(), comment.clone()));
        Ok(comment)
    }

    async fn edit_comment(
        &self,
        id: &ThingId,
        which: &CommentRef,
        text: &str,
        by: &Caller,
    ) -> Result<Comment> {
        self.enter().await?;
        let at = self.of_user(id, which, by)?;
        let mut state = self.lock();
        state.comments[at].1.comment = text.into();
        Ok(state.comments[at].1.clone())
    }

    async fn delete_comment(&self, id: &ThingId, which: &CommentRef, by: &Caller) -> Result<()> {
        self.enter().await?;
        let at = self.of_user(id, which, by)?;
        self.lock().comments.remove(at);
        Ok(())
    }

    async fn settings(&self) -> Result<Map<String, Value>> {
        self.enter().await?;
        Ok(self.lock().settings.clone())
    }

    async fn save_settings(&self, entries: Map<String, Value>, _: &Caller) -> Result<Map<String, Value>> {
        self.enter().await?;
        let mut state = self.lock();
        state.settings.extend(entries);
        Ok(state.settings.clone())
    }

    async fn tail(&self, query: &TailQuery) -> Result<Tail> {
        self.enter().await?;
        if let Some(mut stored) = self.lock().stored.clone() {
            let ts = |row: &Value| row["ts"].as_i64().unwrap();
            stored.retain(|row| (query.from.0..=query.to.0).contains(&ts(row)));
            let drop = query.newest.map_or(0, |newest| stored.len().saturating_sub(newest));
            return Ok(Tail::Mos(stored.split_off(drop)));
        }
        let mut rows = self.lock().rows.clone();
        rows.retain(|row| row.ts.is_none_or(|ts| (query.from..=query.to).contains(&ts)));
        if let Some(newest) = query.newest {
            rows.drain(..rows.len().saturating_sub(newest));
        }
        Ok(Tail::Rows(rows))
    }

    async fn next_code(&self) -> Result<String> {
        self.enter().await?;
        Ok(format!("CODE-{}", self.lock().things.len() + 1))
    }
}
