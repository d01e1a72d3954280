use std::{cmp::Ordering, sync::Arc};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    compare,
    filter::Filter,
    hidden::Hidden,
    page::{self, Cursor, Item, Page, QueryPage},
    project::Projection,
    refused,
    row::Row,
    sort::{Sort, SortKey, Spec},
};
use crate::Result;

const OP: &str = "query";

/// A whole request: MiningOS's `{query, fields, sort, offset, limit, status}`, and a `cursor`.
///
/// Everything is optional; members with other names are ignored. Deserialising gives the same as
/// [`parse_str`](Self::parse_str) but loses the kind of an error, and, from a [`Value`], the order of a sort's keys.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Which documents (`query`); all by default.
    pub filter: Filter,
    /// Which of their members (`fields`); all that are not hidden by default.
    pub fields: Projection,
    /// In which order; that of ids by default.
    pub sort: Sort,
    /// Which part of them (`offset`, `limit`, `cursor`); the first 100 by default.
    pub page: Page,
    /// Whether a thing's last reading is wanted with it.
    pub status: bool,
}

/// The request as written.
#[derive(Deserialize)]
struct Wire<S> {
    query: Option<Value>,
    fields: Option<Value>,
    sort: Option<S>,
    offset: Option<Value>,
    limit: Option<Value>,
    cursor: Option<Value>,
    status: Option<Value>,
}

impl Query {
    /// Reads a request about things.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_QUERY_INVALID`: for text that is not JSON or no object, and for
    /// what its parts refuse.
    pub fn parse_str(text: &str) -> Result<Self> {
        Self::parse_str_with(text, &Hidden::standard())
    }

    /// Reads a request about documents that hide `hidden`.
    ///
    /// # Errors
    /// As [`parse_str`](Self::parse_str).
    pub fn parse_str_with(text: &str, hidden: &Hidden) -> Result<Self> {
        let wire = serde_json::from_str::<Wire<Spec>>(text);
        wire.map_err(|e| refused(OP, "query", "not a request in JSON").caused_by(e))?.query(hidden)
    }

    /// Reads a request that was parsed before. Its members have lost their order, so a sort by several keys must be a
    /// list of pairs here.
    ///
    /// # Errors
    /// As [`parse_str`](Self::parse_str), and for a sort that is an object of several keys.
    pub fn from_value(value: &Value, hidden: &Hidden) -> Result<Self> {
        let Value::Object(members) = value else {
            return Err(refused(OP, "query", "a request is an object"));
        };
        let member = |name: &str| members.get(name).filter(|v| !v.is_null()).cloned();
        let sort = members.get("sort").filter(|v| !v.is_null()).map(Spec::of).transpose()?;
        let wire = Wire {
            query: member("query"),
            fields: member("fields"),
            sort,
            offset: member("offset"),
            limit: member("limit"),
            cursor: member("cursor"),
            status: member("status"),
        };
        wire.query(hidden)
    }

    /// Filters, sorts and pages the documents, and copies what the projection gives of those of the page. Ids must be
    /// unique.
    ///
    /// The result does not depend on the order in which the documents come.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a cursor of another sort.
    pub fn run<'a, I>(&self, things: I) -> Result<QueryPage>
    where
        I: IntoIterator<Item = (&'a str, &'a Value)>,
    {
        self.page(things, |doc| doc, |doc| self.fields.apply(doc).into())
    }

    /// The same over documents that the rows of the page share instead of copying them.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_shared<'a, I>(&self, things: I) -> Result<QueryPage>
    where
        I: IntoIterator<Item = (&'a str, &'a Arc<Value>)>,
    {
        self.page(things, |doc| doc, |doc| self.fields.row(doc))
    }

    fn page<'a, D: 'a>(
        &self,
        things: impl IntoIterator<Item = (&'a str, &'a D)>,
        seen: impl Fn(&'a D) -> &'a Value,
        given: impl Fn(&'a D) -> Row,
    ) -> Result<QueryPage> {
        let mut best = Best::new(self)?;
        let mut matched = 0;
        for (id, doc) in things {
            let value = seen(doc);
            if self.filter.matches(value) {
                matched += 1;
                best.offer(id, doc, value);
            }
        }
        let (places, more) = page::cut(best.sorted(), &self.page);
        let item =
            |place: Place<'a, D>| Item { id: place.id.to_owned(), value: given(place.doc), key: place.key };
        let items: Vec<Item> = places.into_iter().map(item).collect();
        let next = page::next(&items, more, &self.sort);
        Ok(QueryPage { items, matched, next })
    }

    /// Where its page stands in `all`, which are in order of ids; `None` unless it asks for everything in that order. Of the
    /// rest no document is needed. One more is in it, which says that a page follows.
    #[cfg(feature = "store")]
    pub(crate) fn window<T>(&self, all: &[T], id: impl Fn(&T) -> &str) -> Option<std::ops::Range<usize>> {
        if !self.filter.is_empty() || self.sort.keys().next().is_some() {
            return None;
        }
        let after = |cursor: &Cursor| all.partition_point(|one| id(one) <= cursor.id.as_str());
        let start = self.page.cursor.as_ref().map_or(0, after);
        let (offset, limit) = page::counts(&self.page);
        Some(start..start.saturating_add(offset).saturating_add(limit).saturating_add(1).min(all.len()))
    }

    /// The page that each of several racks must give so that [`merge`](Self::merge) can make this query's of them.
    pub fn page_of_part(&self) -> Page {
        Page {
            offset: 0,
            limit: self.page.offset.saturating_add(self.page.limit),
            cursor: self.page.cursor.clone(),
        }
    }

    /// Makes this query's page of the pages that racks gave for [`page_of_part`](Self::page_of_part). The racks' ids must
    /// be unique together.
    pub fn merge(&self, parts: Vec<QueryPage>) -> QueryPage {
        let matched = parts.iter().map(|p| p.matched).sum();
        let beyond = parts.iter().any(|p| p.next.is_some());
        let mut items: Vec<Item> = parts.into_iter().flat_map(|p| p.items).collect();
        items.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| a.id.cmp(&b.id)));
        let (items, more) = page::cut(items, &self.page);
        let next = page::next(&items, more || beyond, &self.sort);
        QueryPage { items, matched, next }
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::<Spec>::deserialize(deserializer)?;
        wire.query(&Hidden::standard()).map_err(serde::de::Error::custom)
    }
}

impl Wire<Spec> {
    fn query(self, hidden: &Hidden) -> Result<Query> {
        let filter = self.query.map(|v| Filter::parse_with(&v, hidden)).transpose()?;
        let fields = self.fields.map(|v| Projection::parse_with(&v, hidden)).transpose()?;
        let page = Page {
            offset: count("offset", self.offset)?.unwrap_or(0),
            limit: count("limit", self.limit)?.unwrap_or(Page::DEFAULT_LIMIT),
            cursor: cursor(self.cursor)?,
        };
        if page.cursor.is_some() && page.offset > 0 {
            return Err(refused(OP, "offset", "an offset and a cursor cannot be combined"));
        }
        let everything = serde_json::json!({});
        let query = Query {
            filter: filter.map_or_else(|| Filter::parse_with(&everything, hidden), Ok)?,
            fields: fields.map_or_else(|| Projection::parse_with(&everything, hidden), Ok)?,
            sort: self.sort.unwrap_or_default().sort(hidden)?,
            page,
            status: flag(self.status)?,
        };
        if let Some(cursor) = &query.page.cursor {
            cursor.check(&query.sort)?;
        }
        Ok(query)
    }
}

fn count(field: &str, value: Option<Value>) -> Result<Option<u64>> {
    let Some(value) = value else { return Ok(None) };
    let count = value.as_number().and_then(compare::whole).and_then(|n| u64::try_from(n).ok());
    count.map(Some).ok_or_else(|| refused(OP, field, "takes a whole number that is not negative"))
}

fn cursor(value: Option<Value>) -> Result<Option<Cursor>> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some),
        Some(_) => Err(refused(OP, "cursor", "takes a text")),
    }
}

/// The dashboard sends numbers for yes and no.
fn flag(value: Option<Value>) -> Result<bool> {
    match value {
        None => Ok(false),
        Some(Value::Bool(wanted)) => Ok(wanted),
        Some(Value::Number(n)) => Ok(compare::float(&n) != 0.0),
        Some(_) => Err(refused(OP, "status", "takes true or false")),
    }
}

/// A document that may be on the page, and its place in the order.
struct Place<'a, D> {
    key: SortKey,
    id: &'a str,
    doc: &'a D,
}

impl<D> Place<'_, D> {
    fn order(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then_with(|| self.id.cmp(other.id))
    }
}

/// The first documents of those offered, as many as the page can need.
struct Best<'q, 'a, D> {
    query: &'q Query,
    wanted: usize,
    places: Vec<Place<'a, D>>,
    /// Documents at or behind this place are too many already.
    bar: Option<(SortKey, &'a str)>,
    scratch: Vec<u8>,
}

impl<'q, 'a, D> Best<'q, 'a, D> {
    /// Below this, cutting back costs more than it saves.
    const FEW: usize = 64;

    fn new(query: &'q Query) -> Result<Self> {
        if let Some(cursor) = &query.page.cursor {
            cursor.check(&query.sort)?;
        }
        let (offset, limit) = page::counts(&query.page);
        // One more than the page holds tells whether there is a next one.
        let wanted = if limit == 0 { 0 } else { offset.saturating_add(limit).saturating_add(1) };
        Ok(Self { query, wanted, places: Vec::new(), bar: None, scratch: Vec::new() })
    }

    fn offer(&mut self, id: &'a str, doc: &'a D, value: &Value) {
        if self.wanted == 0 {
            return;
        }
        self.scratch.clear();
        self.query.sort.encode(value, &mut self.scratch);
        let key = self.scratch.as_slice();
        let place = (key, id);
        let seen = self.query.page.cursor.as_ref().is_some_and(|c| place <= (c.key.bytes(), c.id.as_str()));
        if seen || self.bar.as_ref().is_some_and(|(key, bar)| place >= (key.bytes(), *bar)) {
            return;
        }
        self.places.push(Place { key: SortKey::new(key), id, doc });
        if self.places.len() >= self.wanted.saturating_mul(2).max(Self::FEW) {
            self.cut_back();
        }
    }

    fn cut_back(&mut self) {
        let (_, last, _) = self.places.select_nth_unstable_by(self.wanted - 1, Place::order);
        self.bar = Some((last.key.clone(), last.id));
        self.places.truncate(self.wanted);
    }

    fn sorted(mut self) -> Vec<Place<'a, D>> {
        self.places.sort_unstable_by(Place::order);
        self.places.truncate(self.wanted);
        self.places
    }
}
