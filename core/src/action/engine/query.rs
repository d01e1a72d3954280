use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use serde_json::Value;

use super::{
    Engine, Inner,
    view::{TARGETS, summary},
};
use crate::{
    Result,
    action::{ActionId, Bucket, archive, shared::Listing, state::Header},
    model::Text,
    query::{Filter, Projection},
};

/// A question for actions of one bucket.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ActionQuery {
    /// Which.
    pub bucket: Bucket,
    /// Ids from here on.
    pub from: Bound<ActionId>,
    /// Ids to here.
    pub to: Bound<ActionId>,
    /// Newest first.
    pub reverse: bool,
    /// At most so many; of those that match.
    pub limit: Option<usize>,
    /// What they must match.
    pub filter: Option<Filter>,
    /// What of them is given.
    pub fields: Option<Projection>,
    /// What the name of their batch ends with.
    pub suffix: Option<Text>,
}

impl ActionQuery {
    /// All actions of a bucket, oldest first.
    pub const fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            reverse: false,
            limit: None,
            filter: None,
            fields: None,
            suffix: None,
        }
    }

    /// Whether it asks for actions of this batch.
    fn names(&self, batch: Option<&Text>) -> bool {
        let ends = |suffix: &Text| batch.is_some_and(|batch| batch.ends_with(suffix.as_str()));
        self.suffix.as_ref().is_none_or(ends)
    }

    fn gives(&self, view: &Value) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(view))
    }

    fn listed(&self, id: ActionId, batch: Option<Text>, view: Value) -> Listed {
        let view = match &self.fields {
            Some(fields) => fields.apply(&view),
            None => view,
        };
        Listed { id, batch, view }
    }
}

/// An action that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its identity.
    pub id: ActionId,
    /// The batch that it was pushed in.
    pub batch: Option<Text>,
    /// What of it was asked for.
    pub view: Value,
}

/// Actions of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The batch; `None` for an action of its own.
    pub batch: Option<Text>,
    /// Its members that were asked for, in the order asked for.
    pub actions: Vec<Listed>,
}

impl Engine {
    /// Actions of a bucket, in the order of their ids. Those that ended so long ago that they are in the archive are read
    /// from there, as far as the limit needs them: that blocks, as files do. Of one that the archive does not have any more
    /// `id`, `status`, `digest` and `archivedAt` are left.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for records that this release cannot read, and for a damaged archive.
    pub fn query(&self, query: &ActionQuery) -> Result<Vec<Listed>> {
        let empty = match (query.from, query.to) {
            (Bound::Included(a), Bound::Included(b)) => a > b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a >= b,
            _ => false,
        };
        if empty {
            return Ok(Vec::new());
        }
        let most = query.limit.unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut walk = Walk::new(&self.0, query);
        while found.len() < most
            && let Some(next) = walk.next()?
        {
            found.extend(match next {
                Found::Header(header) => self.0.listed(&header, query)?,
                Found::Rest(id, view) => query.gives(&view).then(|| query.listed(id, None, view)),
            });
        }
        Ok(found)
    }

    /// The same with the members of each batch together, where the first of them stands.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn query_groups(&self, query: &ActionQuery) -> Result<Vec<Group>> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: BTreeMap<Text, usize> = BTreeMap::new();
        for listed in self.query(query)? {
            let place = listed.batch.as_ref().and_then(|batch| places.get(batch)).copied();
            match place.and_then(|at| groups.get_mut(at)) {
                Some(group) => group.actions.push(listed),
                None => {
                    if let Some(batch) = &listed.batch {
                        places.insert(batch.clone(), groups.len());
                    }
                    groups.push(Group { batch: listed.batch.clone(), actions: vec![listed] });
                }
            }
        }
        Ok(groups)
    }
}

/// An action that a query comes to.
enum Found {
    Header(Arc<Header>),
    /// What is left of one that the archive does not have any more.
    Rest(ActionId, Value),
}

/// Goes through the actions of a query's range and bucket.
struct Walk<'a> {
    engine: &'a Inner,
    query: &'a ActionQuery,
    /// In the order opposite to the one asked for.
    left: Vec<Listing>,
    /// What was read of the archive.
    read: BTreeMap<ActionId, Option<Header>>,
}

impl<'a> Walk<'a> {
    /// So many headers are read from the archive at once.
    const AT_ONCE: usize = 256;

    fn new(engine: &'a Inner, query: &'a ActionQuery) -> Self {
        let mut left = engine.shared.all((query.from, query.to));
        left.retain(|listing| match listing {
            Listing::Here(header) => {
                header.status.bucket() == query.bucket && query.names(header.batch.as_ref())
            }
            Listing::Archived(..) => query.bucket == Bucket::Done,
        });
        if !query.reverse {
            left.reverse();
        }
        Self { engine, query, left, read: BTreeMap::new() }
    }

    fn next(&mut self) -> Result<Option<Found>> {
        while let Some(listing) = self.left.pop() {
            let id = match listing {
                Listing::Here(header) => return Ok(Some(Found::Header(header))),
                Listing::Archived(id, at) => {
                    if !self.read.contains_key(&id) {
                        self.read_on((id, at))?;
                    }
                    id
                }
            };
            match self.read.remove(&id).flatten() {
                Some(header) if self.query.names(header.batch.as_ref()) => {
                    return Ok(Some(Found::Header(Arc::new(header))));
                }
                Some(_) => {}
                None => {
                    let moved = self.engine.old().moved(id)?.filter(|_| self.query.names(None));
                    if let Some(moved) = moved {
                        return Ok(Some(Found::Rest(id, archive::rest(id, &moved))));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Reads this header and the next ones.
    fn read_on(&mut self, first: (ActionId, i64)) -> Result<()> {
        let next = self.left.iter().rev().filter_map(|listing| match listing {
            Listing::Archived(id, at) => Some((*id, *at)),
            Listing::Here(_) => None,
        });
        let most = self.query.limit.unwrap_or(Self::AT_ONCE).min(Self::AT_ONCE);
        let wanted: Vec<(ActionId, i64)> = std::iter::once(first).chain(next).take(most).collect();
        let mut found = self.engine.old().headers(&wanted)?;
        self.read = wanted.into_iter().map(|(id, _)| (id, found.remove(&id))).collect();
        Ok(())
    }
}

impl Inner {
    /// What a query gives of an action; `None` when it does not match. Targets are read only where they are looked at: an
    /// action may have a million.
    fn listed(&self, header: &Header, query: &ActionQuery) -> Result<Option<Listed>> {
        let mut view = summary(header);
        let looks = query.filter.as_ref().is_some_and(|filter| filter.uses(TARGETS));
        let gives = query.fields.as_ref().is_none_or(|fields| fields.uses(TARGETS));
        if !looks && !query.gives(&view) {
            return Ok(None);
        }
        if looks || gives {
            self.add_targets(&mut view, header, false)?;
        }
        if looks && !query.gives(&view) {
            return Ok(None);
        }
        Ok(Some(query.listed(header.id, header.batch.clone(), view)))
    }
}
