use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};

use crate::{
    Error, ErrorKind, Result,
    auth::Access::Read,
    io::Timestamp,
    query::Projection,
    rack::{LogKey, Partial, Rack, RackId, Tail, TailQuery},
    stats::{
        Row,
        bucket::{self, GroupRange},
        families,
        fold::{Edges, FoldRequest, FoldSpec, Span, fold},
    },
};

use super::{
    Call, OP, Reply, mos,
    params::{Params, truthy},
    racks::of_type,
};

/// Most rows of one answer.
const MOST_ROWS: usize = 100_000;
const MOST_KEYS: usize = 64;
const MOST_SPANS: usize = 10_000;
/// What a folded row has beside its results.
pub(super) const OWN: [&str; 4] = ["ts", "aggrTsRange", "aggrCount", "aggrIntervals"];

/// The answer to one key.
struct Answer {
    rows: Vec<Value>,
    failed: Vec<(RackId, Error)>,
    /// Whether a rack answered.
    answered: bool,
}

/// What is asked, checked.
pub(super) struct Asked {
    pub query: TailQuery,
    fields: Projection,
    /// The members of `fields`.
    pub names: BTreeSet<String>,
    pub aggr_fields: BTreeSet<String>,
    pub spans: Option<Vec<Span>>,
    pub group: Option<String>,
    pub mean: bool,
    pub offset: usize,
    pub limit: Option<usize>,
}

pub(super) async fn tail(call: Call<'_>) -> Result<Reply> {
    let answer = one(&call, &call.params).await?;
    finish(&call, answer.answered, answer.rows.into(), answer.failed)
}

pub(super) async fn multi(call: Call<'_>) -> Result<Reply> {
    let wrong = || Error::invalid(OP, "keys", "takes a list of {key, type, tag}").code_as("ERR_KEYS_INVALID");
    let keys = call.params.get("keys")?.and_then(Value::as_array).ok_or_else(wrong)?;
    if keys.is_empty() || keys.len() > MOST_KEYS {
        return Err(Error::invalid(OP, "keys", "takes 1 to 64 keys").code_as("ERR_KEYS_INVALID"));
    }
    let (mut all, mut failed, mut answered) = (Vec::new(), BTreeMap::new(), false);
    for key in keys {
        let mut members: Map<String, Value> = key.as_object().ok_or_else(wrong)?.clone();
        let shared = call.params.object()?.iter().filter(|(name, _)| *name != "keys");
        members.extend(shared.map(|(name, value)| (name.clone(), value.clone())));
        let text = Value::Object(members).to_string();
        let answer = one(&call, &Params::parse(&text)?).await?;
        answered |= answer.answered;
        failed.extend(answer.failed);
        all.push(Value::Array(answer.rows));
    }
    finish(&call, answered, all.into(), failed.into_iter().collect())
}

fn finish(call: &Call<'_>, answered: bool, rows: Value, failed: Vec<(RackId, Error)>) -> Result<Reply> {
    if !truthy(call.params.get("partial")?) {
        return Reply::partial(answered, Partial { items: rows, failed }, |rows| rows);
    }
    let racks = failed.iter().map(|(rack, error)| json!({"rackId": rack, "error": error.code()}));
    let value = json!({"items": rows, "failed": racks.collect::<Vec<_>>()});
    Ok(Reply::named(value, failed))
}

async fn one(call: &Call<'_>, params: &Params<'_>) -> Result<Answer> {
    let thing_type = params.text("type", "ERR_TYPE_INVALID")?;
    let family = thing_type.split('-').next().unwrap_or_default();
    let spec = families::fold(family).ok_or_else(|| {
        let e = Error::invalid(OP, "type", "there are no statistics of this family");
        e.code_as("ERR_TYPE_AGGR_INVALID")
    })?;
    let asked = Asked::of(params, &spec, call.ork.0.fan.now())?;
    let targets = of_type(call, thing_type)?;
    let query = Arc::new(asked.query.clone());
    let work = |rack: Arc<dyn Rack>| {
        let query = Arc::clone(&query);
        async move { rack.tail(&query).await }
    };
    let Partial { items, failed } = call.ork.0.fan.each(targets, Read, work).await;
    let answered = !items.is_empty();
    let (mut rows, mut documents, mut stored, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (_, tail) in items {
        match tail {
            Tail::Rows(more) => rows.extend(more),
            Tail::Documents(more) => documents.extend(more),
            Tail::Mos(more) => {
                count += more.len();
                stored.push(more);
            }
        }
        if rows.len().max(documents.len()).max(count) > MOST_ROWS * 4 {
            return Err(too_many());
        }
    }
    let rows = match asked.query.key {
        LogKey::Thing => asked.documents(documents),
        _ if stored.is_empty() => asked.folded(&spec, rows)?,
        _ => {
            stored.push(rows.iter().map(|row| Value::Object(row.to_json())).collect());
            mos::folded(&asked, &spec, stored)?
        }
    };
    if rows.len() > MOST_ROWS {
        return Err(too_many());
    }
    Ok(Answer { rows, failed, answered })
}

fn too_many() -> Error {
    let why = "the answer has more than 100,000 rows: ask for a shorter time, longer windows or with a limit";
    Error::invalid(OP, "limit", why).code_as("ERR_LIMIT_EXCEEDED")
}

impl Asked {
    fn of(params: &Params<'_>, spec: &FoldSpec, now: Timestamp) -> Result<Self> {
        let key = LogKey::parse(params.text("key", "ERR_LOG_KEY_NOTFOUND")?)?;
        let tag = params.text("tag", "ERR_LOG_TAG_INVALID")?;
        // MiningOS takes 0 for not given.
        let time = |member| Ok::<_, Error>(params.number_or_none(member)?.filter(|ms| *ms != 0));
        let (start, end) = (time("start")?, time("end")?);
        let (from, to) = (start.unwrap_or(0), end.unwrap_or(now.0));
        if start.is_some() && from > to {
            return Err(Error::invalid(OP, "end", "lies before start").code_as("ERR_RANGE_INVALID"));
        }
        let count = |member: &'static str| {
            let number = params.number_or_none(member)?;
            let wrong = || Error::invalid(OP, member, "takes a whole number from 0 on");
            number.map(|n| usize::try_from(n).map_err(|_| wrong())).transpose()
        };
        let (offset, limit) = (count("offset")?.unwrap_or(0), count("limit")?);
        if limit.is_some_and(|limit| limit > MOST_ROWS) {
            return Err(too_many());
        }
        let aggr_fields = names(params, "aggrFields")?;
        let mut query = TailQuery::new(key, tag, Timestamp(from), Timestamp(to));
        query.open = start.is_none() && end.is_none();
        query.newest = limit.map(|limit| limit.saturating_add(offset));
        if !aggr_fields.is_empty() {
            let only = spec.only(&aggr_fields);
            query.wanted = Some(only.sources().into_iter().map(str::to_owned).collect());
        }
        let group = params.text_or_none("groupRange")?.filter(|text| !text.is_empty());
        // What it means is said by who kept the rows.
        group.map(GroupRange::parse_mos).transpose()?;
        Ok(Self {
            query,
            fields: params.fields()?,
            names: names(params, "fields")?,
            aggr_fields,
            spans: spans(params)?,
            group: group.map(str::to_owned),
            mean: truthy(params.get("shouldCalculateAvg")?),
            offset,
            limit,
        })
    }

    /// The newest `limit` after the newest `offset`, of rows in order of time.
    fn page<T>(&self, rows: &mut Vec<T>) {
        rows.truncate(rows.len().saturating_sub(self.offset));
        if let Some(limit) = self.limit {
            rows.drain(..rows.len().saturating_sub(limit));
        }
    }

    fn documents(&self, mut documents: Vec<Value>) -> Vec<Value> {
        documents.sort_by_key(|doc| doc.get("ts").and_then(Value::as_i64));
        self.page(&mut documents);
        documents.iter().map(|doc| self.fields.apply(doc)).collect()
    }

    fn folded(&self, spec: &FoldSpec, rows: Vec<Row>) -> Result<Vec<Value>> {
        let group = self.group.as_deref().map(GroupRange::parse).transpose()?;
        let request = FoldRequest::of(self.aggr_fields.iter());
        let rows = match &self.spans {
            Some(spans) => fold(spec, &rows, &request.over(spans.clone())),
            None => fold(spec, &rows, &request),
        };
        let mut rows: Vec<(Row, Map<String, Value>)> =
            rows.into_iter().map(|folded| (folded.row.clone(), folded.to_json())).collect();
        self.page(&mut rows);
        let rows = match group {
            Some(size) if self.spans.is_none() => self.grouped(size, rows),
            _ => rows.into_iter().map(|(_, json)| json).collect(),
        };
        Ok(rows.into_iter().map(|row| Value::Object(self.shown(row))).collect())
    }

    /// Rows of groups of windows, whose `ts` is the text `<start>-<end>`.
    fn grouped(&self, size: GroupRange, rows: Vec<(Row, Map<String, Value>)>) -> Vec<Map<String, Value>> {
        let at = |json: &Map<String, Value>| json.get("ts").and_then(Value::as_i64).map(Timestamp);
        let rows: Vec<Row> = rows.into_iter().map(|(row, json)| row.at(at(&json))).collect();
        let grouped = bucket::rows(&rows, size, Edges::WindowEnds, self.mean);
        let json = |(span, row): (Span, Row)| {
            let inside = rows.iter().filter_map(|row| row.ts);
            let count = inside.filter(|ts| *ts > span.start && *ts <= span.end).count();
            let mut json = row.at(None).to_json();
            json.insert("ts".into(), Span::ms(span.start.0, span.end.0 - 1).to_string().into());
            json.insert("aggrTsRange".into(), "".into());
            json.insert("aggrCount".into(), count.into());
            json.insert("aggrIntervals".into(), count.into());
            json
        };
        grouped.into_iter().map(json).collect()
    }

    /// A row with what was asked for.
    pub fn shown(&self, mut row: Map<String, Value>) -> Map<String, Value> {
        if !self.aggr_fields.is_empty() {
            row.retain(|name, _| OWN.contains(&name.as_str()) || self.aggr_fields.contains(name));
        }
        row
    }
}

/// The members of an object of fields that are wanted.
pub(super) fn names(params: &Params<'_>, member: &'static str) -> Result<BTreeSet<String>> {
    let Some(value) = params.get(member)? else { return Ok(BTreeSet::new()) };
    let fields = value.as_object().ok_or_else(|| Error::invalid(OP, member, "takes an object of fields"))?;
    Ok(fields.iter().filter(|(_, wanted)| truthy(Some(wanted))).map(|(name, _)| name.clone()).collect())
}

fn spans(params: &Params<'_>) -> Result<Option<Vec<Span>>> {
    let wrong = || Error::invalid(OP, "aggrTimes", "takes a list of {start, end}");
    let Some(value) = params.get("aggrTimes")? else { return Ok(None) };
    let list = value.as_array().ok_or_else(wrong)?;
    if list.len() > MOST_SPANS {
        return Err(Error::new(ErrorKind::Invalid, OP, "aggrTimes takes 10,000 spans at most"));
    }
    let span = |item: &Value| {
        let at = |name: &str| item.get(name).and_then(Value::as_i64).ok_or_else(wrong);
        Ok(Span::ms(at("start")?, at("end")?))
    };
    if list.is_empty() { Ok(None) } else { list.iter().map(span).collect::<Result<_>>().map(Some) }
}
