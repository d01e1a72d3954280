use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{
    addressing::Addressing,
    api::{Caller, Comment, CommentRef, Rack, RackInfo, ThingChange, ThingDraft, Which},
    changes, checks, codes,
    collect::Reading,
    comments,
    docs::KEPT,
    inventory,
    local::{LocalRack, Settings, TRIES},
    logs::{Tail, TailQuery},
    record::ThingRecord,
    secrets,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    query::{Filter, Item, Projection, Query, QueryPage},
    store::{Batch, Expect, Space},
};

#[async_trait]
impl Rack for LocalRack {
    fn info(&self) -> &RackInfo {
        &self.rules.info
    }

    async fn register(&self, draft: ThingDraft, by: &Caller) -> Result<Arc<ThingRecord>> {
        self.running()?;
        let _turn = self.addressing_turn().await;
        let (draft, plan) = self.addressed(draft).await?;
        let (rules, by) = (Arc::clone(&self.rules), by.clone());
        let made = self.things.ask(move |desk| changes::register(desk, &rules, draft, &by)).await;
        self.rules.addressing.settle(&self.cx, &self.things, &plan, &made).await;
        made
    }

    async fn register_many(&self, drafts: Vec<ThingDraft>, by: &Caller) -> Vec<Result<Arc<ThingRecord>>> {
        let mut out = Vec::with_capacity(drafts.len());
        if !matches!(self.rules.addressing, Addressing::Given) {
            // Each waits for its address, and gives it back when it is refused.
            for draft in drafts {
                out.push(self.register(draft, by).await);
            }
            return out;
        }
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
        if !matches!(self.rules.addressing, Addressing::Given) {
            return self.update_addressed(id, change, by).await;
        }
        self.change(id, change, by).await
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
        let _turn = self.addressing_turn().await;
        // Nothing is chosen while it is not known what there is.
        self.things.ask(|_| Ok(())).await?;
        let mut tries = TRIES;
        loop {
            let chosen = self.matching(filter).await?;
            let addresses = self.addresses_of(&chosen);
            let (rack, by) = (self.rules.info.id.clone(), by.clone());
            let result = self.things.ask(move |desk| changes::forget(desk, &rack, &chosen, &by)).await;
            match result {
                Err(e) if e.kind() == ErrorKind::Conflict && tries > 1 => tries -= 1,
                Err(e) => return Err(e),
                Ok(gone) => {
                    for ip in addresses {
                        self.rules.addressing.release(&self.cx, &self.things, Some(ip)).await;
                    }
                    return Ok(gone);
                }
            }
        }
    }

    async fn list(&self, query: &Query) -> Result<QueryPage> {
        let looks = |member: &str| query.filter.uses(member) || query.sort.uses(member);
        let all = self.asked();
        let window = query.window(&all, |record| record.id.as_str());
        let asked = window.clone().and_then(|window| all.get(window)).unwrap_or(&all);
        // What things said last is long, and so are many documents: unless it decides, it is made only of those that are shown.
        let added = !looks("last") && (query.status || asked.len() > KEPT);
        let fields = if added { Projection::all() } else { query.fields.clone() };
        let part = Query { page: query.page_of_part(), fields, ..query.clone() };
        let mut pages = vec![part.run(std::iter::empty())?];
        let take = |records: &[Arc<ThingRecord>], docs: &[Arc<Value>]| {
            let things = records.iter().zip(docs).map(|(record, doc)| (record.id.as_str(), doc));
            pages.push(part.run_shared(things)?);
            Ok(())
        };
        self.each_chunk(asked, &looks, take).await?;
        let mut page = query.merge(pages);
        if window.is_some() {
            page.matched = all.len() as u64;
        }
        let shown = std::mem::take(&mut page.items).into_iter();
        page.items = match (added, query.status) {
            (true, _) => shown.map(|item| self.shown(item, query)).collect(),
            (false, true) => shown.collect(),
            (false, false) => shown.map(|item| Item { value: item.value.without("last"), ..item }).collect(),
        };
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
        if let Some(secret) = secrets::first_secret(&entries) {
            let why = "is called like a secret, and settings are shown to people";
            let e = Error::invalid("rack.settings", &format!("entries.{secret}"), why);
            return Err(e.code_as("ERR_ENTRIES_INVALID"));
        }
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

    async fn tail(&self, query: &TailQuery) -> Result<Tail> {
        match &self.logs {
            Some(logs) => logs.tail(query).await,
            None => {
                let e = Error::new(ErrorKind::Unsupported, "rack.tail", "the rack keeps no logs");
                Err(e.code_as("ERR_NOT_CONFIGURED").with("rack", &self.rules.info.id))
            }
        }
    }

    async fn next_code(&self) -> Result<String> {
        if inventory::codes_need_facts(&self.rules.info.thing_type) {
            let text = "the code of a part or work order depends on what it is";
            return Err(Error::new(ErrorKind::Unsupported, "rack.next_code", text));
        }
        let prefix = codes::prefix(&self.rules.info.thing_type);
        self.things.ask(move |desk| Ok(desk.codes.next(&prefix))).await
    }
}
