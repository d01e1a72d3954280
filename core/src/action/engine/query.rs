use std::{collections::BTreeMap, ops::Bound};

use serde_json::Value;

use super::{
    Engine, Inner,
    view::{TARGETS, summary},
};
use crate::{
    Result,
    action::{ActionId, Bucket, state::Header},
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
    /// Actions of a bucket, in the order of their ids.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for records that this release cannot read.
    pub fn query(&self, query: &ActionQuery) -> Result<Vec<Listed>> {
        let empty = match (query.from, query.to) {
            (Bound::Included(a), Bound::Included(b)) => a > b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a >= b,
            _ => false,
        };
        if empty {
            return Ok(Vec::new());
        }
        let mut headers = self.0.shared.headers((query.from, query.to));
        if query.reverse {
            headers.reverse();
        }
        let ends =
            |batch: Option<&Text>, suffix: &Text| batch.is_some_and(|batch| batch.ends_with(suffix.as_str()));
        let mut found = Vec::new();
        for header in headers {
            let named = query.suffix.as_ref().is_none_or(|suffix| ends(header.batch.as_ref(), suffix));
            if header.status.bucket() != query.bucket || !named {
                continue;
            }
            if query.limit.is_some_and(|limit| found.len() >= limit) {
                break;
            }
            let Some(view) = self.0.listed(&header, query)? else { continue };
            found.push(Listed { id: header.id, batch: header.batch.clone(), view });
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

impl Inner {
    /// What a query gives of an action; `None` when it does not match. Targets are read only where they are looked at: an
    /// action may have a million.
    fn listed(&self, header: &Header, query: &ActionQuery) -> Result<Option<Value>> {
        let mut view = summary(header);
        let looks = query.filter.as_ref().is_some_and(|filter| filter.uses(TARGETS));
        let gives = query.fields.as_ref().is_none_or(|fields| fields.uses(TARGETS));
        let fits = |view: &Value| query.filter.as_ref().is_none_or(|filter| filter.matches(view));
        if !looks && !fits(&view) {
            return Ok(None);
        }
        if looks || gives {
            self.add_targets(&mut view, header, false)?;
        }
        if looks && !fits(&view) {
            return Ok(None);
        }
        Ok(Some(match &query.fields {
            Some(fields) => fields.apply(&view),
            None => view,
        }))
    }
}
