use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    Error, ErrorKind, Result, Sent, ThingId,
    auth::Access::{Read, Write},
    query::{Filter, Item, Query, QueryPage},
    rack::{
        Caller, Comment, CommentRef, Partial, Rack, RackId, ThingChange, ThingDraft, ThingRecord, Which,
        ipv4_of,
    },
};

use super::{Orchestrator, fan::Target};

/// A thing's record and the rack that holds it.
pub type Placed = (RackId, Arc<ThingRecord>);

impl Orchestrator {
    /// Lists things of all racks: one order and one page over all of them. Each thing names its `rack`.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the registry is damaged. A rack that fails is named in the answer.
    pub async fn list(&self, query: &Query) -> Result<Partial<QueryPage>> {
        Ok(self.list_of(self.targets(|_| true)?, query).await)
    }

    pub(super) async fn list_of(&self, targets: Vec<Target>, query: &Query) -> Partial<QueryPage> {
        let part = Query { page: query.page_of_part(), ..query.clone() };
        let all = self.0.fan.each(targets, Read, |rack| {
            let part = part.clone();
            async move { rack.list(&part).await }
        });
        let Partial { items, failed } = all.await;
        let pages = items.into_iter().map(|(rack, page)| {
            let named = Arc::new(("rack".into(), rack.as_str().into()));
            let with_rack = |item: Item| Item { value: item.value.or_shared(&named), ..item };
            QueryPage { items: page.items.into_iter().map(with_rack).collect(), ..page }
        });
        Partial { items: query.merge(pages.collect()), failed }
    }

    /// Counts things of all racks. With a rack in `failed` it is the number of the others'.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn count(&self, filter: &Filter) -> Result<Partial<u64>> {
        let Partial { items, failed } = self.count_of(self.targets(|_| true)?, filter).await;
        Ok(Partial { items: items.iter().map(|(_, n)| n).sum(), failed })
    }

    pub(super) async fn count_of(
        &self,
        targets: Vec<Target>,
        filter: &Filter,
    ) -> Partial<Vec<(RackId, u64)>> {
        let count = |rack: Arc<dyn Rack>| {
            let filter = filter.clone();
            async move { rack.count(&filter).await }
        };
        self.0.fan.each(targets, Read, count).await
    }

    /// The record of one thing and the rack that holds it. `None` is certain only when no rack failed.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn get(&self, id: &ThingId) -> Result<Partial<Option<Placed>>> {
        Ok(self.get_of(self.targets(|_| true)?, id).await)
    }

    pub(super) async fn get_of(&self, targets: Vec<Target>, id: &ThingId) -> Partial<Option<Placed>> {
        let get = |rack: Arc<dyn Rack>| {
            let id = id.clone();
            async move { rack.get(&id).await }
        };
        let Partial { items, failed } = self.0.fan.each(targets, Read, get).await;
        let found = items.into_iter().find_map(|(rack, record)| Some((rack, record?)));
        Partial { items: found, failed }
    }

    /// The rack that a new thing goes to: the one named, else the one that owns its address.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_ACTION_INVALID_MISSING_RACKID` when neither is known, and with
    /// `ERR_THING_MAP_OTHER_RACK` when another rack than the one named owns the address.
    pub fn rack_for(&self, draft: &ThingDraft, named: Option<&RackId>) -> Result<RackId> {
        let address = draft.opts.as_ref().and_then(ipv4_of);
        let map = self.thing_map();
        let owner = address.and_then(|ip| map.value.owner(ip));
        match (named, owner) {
            (Some(named), Some(owner)) if named != owner => {
                let e = Error::invalid("ork.register", "rackId", "another rack owns the address");
                Err(e.code_as("ERR_THING_MAP_OTHER_RACK").with("rack", named).with("owner", owner))
            }
            (Some(rack), _) | (None, Some(rack)) => Ok(rack.clone()),
            (None, None) => {
                let e = Error::invalid("ork.register", "rackId", "names no rack, and none owns the address");
                Err(e.code_as("ERR_ACTION_INVALID_MISSING_RACKID"))
            }
        }
    }

    /// Registers a thing in the rack named, or in the one that owns its address; gives the rack, too.
    ///
    /// # Errors
    /// As [`rack_for`](Self::rack_for), [`NotFound`](crate::ErrorKind::NotFound) for an unknown rack, and the rack's.
    pub async fn register(&self, draft: ThingDraft, rack: Option<&RackId>, by: &Caller) -> Result<Placed> {
        let id = self.rack_for(&draft, rack)?;
        let by = by.clone();
        let work = |rack: Arc<dyn Rack>| async move { rack.register(draft, &by).await };
        let record = self.0.fan.one(&self.target(&id)?, Write, work).await?;
        Ok((id, record))
    }

    /// Registers many things, each as [`register`](Self::register) does and judged alone; those of one rack together.
    /// The results stand in the order of the drafts.
    pub async fn register_many(
        &self,
        drafts: Vec<ThingDraft>,
        rack: Option<&RackId>,
        by: &Caller,
    ) -> Vec<Result<Placed>> {
        let mut results: Vec<Option<Result<Placed>>> = Vec::with_capacity(drafts.len());
        let mut racks: BTreeMap<RackId, (Vec<usize>, Vec<ThingDraft>)> = BTreeMap::new();
        for (at, draft) in drafts.into_iter().enumerate() {
            let id = self.rack_for(&draft, rack);
            results.push(match id {
                Ok(id) => {
                    let (places, drafts) = racks.entry(id).or_default();
                    places.push(at);
                    drafts.push(draft);
                    None
                }
                Err(e) => Some(Err(e)),
            });
        }
        for (id, (places, drafts)) in racks {
            let by = by.clone();
            let work = |rack: Arc<dyn Rack>| async move { Ok(rack.register_many(drafts, &by).await) };
            let made = match self.target(&id) {
                Ok(target) => self.0.fan.one(&target, Write, work).await,
                Err(e) => Err(e),
            };
            fill(&mut results, &id, &places, made);
        }
        let lost = || Err(Error::new(ErrorKind::Internal, "ork.register", "the rack gave no result"));
        results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }

    /// Changes a thing of the rack `rack`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown rack, and the rack's.
    pub async fn update(
        &self,
        rack: &RackId,
        id: &ThingId,
        change: ThingChange,
        by: &Caller,
    ) -> Result<Arc<ThingRecord>> {
        let (id, by) = (id.clone(), by.clone());
        let work = |rack: Arc<dyn Rack>| async move { rack.update(&id, change, &by).await };
        self.0.fan.one(&self.target(rack)?, Write, work).await
    }

    /// Forgets things of all racks; each rack forgets all of its own or none.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn forget(&self, which: &Which, by: &Caller) -> Result<Partial<Vec<(RackId, Vec<ThingId>)>>> {
        Ok(self.forget_of(self.targets(|_| true)?, which, by).await)
    }

    pub(super) async fn forget_of(
        &self,
        targets: Vec<Target>,
        which: &Which,
        by: &Caller,
    ) -> Partial<Vec<(RackId, Vec<ThingId>)>> {
        let forget = |rack: Arc<dyn Rack>| {
            let (which, by) = (which.clone(), by.clone());
            async move { rack.forget(&which, &by).await }
        };
        self.0.fan.each(targets, Write, forget).await
    }

    /// Adds a comment to a thing.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn save_comment(
        &self,
        rack: &RackId,
        id: &ThingId,
        text: &str,
        pos: Option<&str>,
        by: &Caller,
    ) -> Result<Comment> {
        let (id, by) = (id.clone(), by.clone());
        let (text, pos) = (text.to_owned(), pos.map(str::to_owned));
        let work =
            |rack: Arc<dyn Rack>| async move { rack.save_comment(&id, &text, pos.as_deref(), &by).await };
        self.0.fan.one(&self.target(rack)?, Write, work).await
    }

    /// Changes a comment of the same user.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn edit_comment(
        &self,
        rack: &RackId,
        id: &ThingId,
        which: &CommentRef,
        text: &str,
        by: &Caller,
    ) -> Result<Comment> {
        let (id, which, text, by) = (id.clone(), which.clone(), text.to_owned(), by.clone());
        let work = |rack: Arc<dyn Rack>| async move { rack.edit_comment(&id, &which, &text, &by).await };
        self.0.fan.one(&self.target(rack)?, Write, work).await
    }

    /// Deletes a comment of the same user.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn delete_comment(
        &self,
        rack: &RackId,
        id: &ThingId,
        which: &CommentRef,
        by: &Caller,
    ) -> Result<()> {
        let (id, which, by) = (id.clone(), which.clone(), by.clone());
        let work = |rack: Arc<dyn Rack>| async move { rack.delete_comment(&id, &which, &by).await };
        self.0.fan.one(&self.target(rack)?, Write, work).await
    }

    /// A rack's settings.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn settings(&self, rack: &RackId) -> Result<Map<String, Value>> {
        let work = |rack: Arc<dyn Rack>| async move { rack.settings().await };
        self.0.fan.one(&self.target(rack)?, Read, work).await
    }

    /// Merges settings of a rack; gives all of them.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn save_settings(
        &self,
        rack: &RackId,
        entries: Map<String, Value>,
        by: &Caller,
    ) -> Result<Map<String, Value>> {
        let by = by.clone();
        let work = |rack: Arc<dyn Rack>| async move { rack.save_settings(entries, &by).await };
        self.0.fan.one(&self.target(rack)?, Write, work).await
    }
}

/// Puts what a rack made of its drafts in their places. Errors cannot be copied, so that of a whole rack is told again
/// to each.
fn fill(
    results: &mut [Option<Result<Placed>>],
    rack: &RackId,
    places: &[usize],
    made: Result<Vec<Result<Arc<ThingRecord>>>>,
) {
    let mut put = |place: usize, result| {
        if let Some(slot) = results.get_mut(place) {
            *slot = Some(result);
        }
    };
    match made {
        Ok(made) => places.iter().zip(made).for_each(|(place, one)| {
            put(*place, one.map(|record| (rack.clone(), record)));
        }),
        Err(e) => {
            for place in places {
                let again = Error::new(e.kind(), e.op(), e.message()).code_as(e.code()).with("rack", rack);
                put(*place, Err(if e.sent() == Sent::Maybe { again.maybe_sent() } else { again }));
            }
        }
    }
}
