use std::{collections::BTreeSet, ops::Bound};

use serde_json::{Map, Value, json};

use super::{Call, OP, Reply, blocking, read::bucket, text};
use crate::{
    Error, Result,
    action::{ActionId, ActionQuery, Engine, Group, Listed},
    model::Text,
    ork::call::params::truthy,
    query::{Filter, Projection},
};

/// Most queries of one call, as MiningOS's gateway has it.
const MOST: usize = 10;
/// Most actions of one list.
const MOST_ACTIONS: usize = 10_000;

pub(in crate::ork::call) async fn query(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let queries = call.params.get("queries")?.and_then(Value::as_array);
    let queries = queries
        .filter(|all| all.len() <= MOST && all.iter().all(Value::is_object))
        .ok_or_else(|| refused("queries", "takes a list of at most 10 queries"))?;
    let suffix = text(&call, "suffix")?;
    let grouped = truthy(call.params.get("groupBatch")?);
    let (mut asked, mut seen) = (Vec::new(), BTreeSet::new());
    for (at, query) in queries.iter().enumerate() {
        let query = parse(query, suffix.as_ref()).map_err(|e| e.with("index", at))?;
        if !seen.insert(query.bucket.as_str()) {
            // In the answer the second would stand in the place of the first.
            return Err(refused("queries", "asks twice for one type: the answer has one place for it"));
        }
        asked.push(query);
    }
    let answer = blocking(call.ork, move || {
        let lists = asked.iter().map(|query| {
            let listed = list(&engine, query, grouped)?;
            Ok((query.bucket.as_str().to_owned(), Value::from(listed)))
        });
        lists.collect::<Result<Map<String, Value>>>()
    });
    Ok(Reply::of(answer.await?))
}

fn list(engine: &Engine, query: &ActionQuery, grouped: bool) -> Result<Vec<Value>> {
    if !grouped {
        return Ok(engine.query(query)?.into_iter().map(|listed| listed.view).collect());
    }
    Ok(engine.query_groups(query)?.into_iter().flat_map(group).collect())
}

/// A batch in the place of its first member; an action of its own as it is.
fn group(group: Group) -> Vec<Value> {
    let actions = group.actions.into_iter().map(|Listed { view, .. }| view).collect();
    let Some(batch) = group.batch else { return actions };
    let ms = batch.split_once('-').map_or(batch.as_str(), |(ms, _)| ms);
    vec![json!({"batchActionUID": batch, "id": ms, "actions": actions})]
}

fn parse(query: &Value, suffix: Option<&Text>) -> Result<ActionQuery> {
    let mut asked = ActionQuery::new(bucket(query.get("type"), "ERR_QUERIES_TYPE_INVALID")?);
    let member = |of: &'static str| {
        let value = query.get(of).filter(|value| !value.is_null());
        value.map(|value| value.as_object().ok_or_else(|| refused(of, "takes an object"))).transpose()
    };
    if let Some(filter) = member("filter")? {
        asked.from = stricter(bound(filter, "gt")?, bound(filter, "gte")?, ActionId::gt);
        asked.to = stricter(bound(filter, "lt")?, bound(filter, "lte")?, ActionId::lt);
    }
    asked.limit = Some(MOST_ACTIONS);
    if let Some(opts) = member("opts")? {
        asked.reverse = truthy(opts.get("reverse"));
        if let Some(limit) = opts.get("limit").filter(|limit| !limit.is_null()) {
            let limit = limit.as_u64().and_then(|limit| usize::try_from(limit).ok());
            let limit = limit.ok_or_else(|| refused("opts.limit", "takes a whole number"))?;
            asked.limit = Some(limit.min(MOST_ACTIONS));
        }
    }
    asked.filter = query.get("query").filter(|q| !q.is_null()).map(Filter::parse).transpose()?;
    asked.fields = query.get("fields").filter(|f| !f.is_null()).map(Projection::parse).transpose()?;
    asked.suffix = suffix.cloned();
    Ok(asked)
}

/// A bound, a number or its text. Below all ids lies 0.
fn bound(filter: &Map<String, Value>, name: &'static str) -> Result<Option<ActionId>> {
    let Some(value) = filter.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    let number = number.ok_or_else(|| refused("filter", "takes ids of actions").with("bound", name))?;
    Ok(Some(ActionId::new(u64::try_from(number).unwrap_or_default())))
}

/// Of two bounds the one that leaves less.
fn stricter(
    without: Option<ActionId>,
    with: Option<ActionId>,
    leaves_less: fn(&ActionId, &ActionId) -> bool,
) -> Bound<ActionId> {
    match (without, with) {
        (None, None) => Bound::Unbounded,
        (Some(without), None) => Bound::Excluded(without),
        (Some(without), Some(with)) if !leaves_less(&with, &without) => Bound::Excluded(without),
        (_, Some(with)) => Bound::Included(with),
    }
}

fn refused(field: &'static str, why: &str) -> Error {
    Error::invalid(OP, field, why).code_as("ERR_QUERIES_INVALID")
}
