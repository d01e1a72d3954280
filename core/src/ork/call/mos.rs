//! Rows as MiningOS stores them, folded as MiningOS folds them: where they repeat its mistakes, so do the answers.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::tail::{Asked, OWN};
use crate::{
    Result,
    rack::LogKey,
    stats::{
        Semantics, bucket,
        fold::{Edges, FoldField, FoldRequest, FoldSpec, Span, fold_mos},
    },
};

/// Rows of a rack when neither a begin, nor an end, nor a limit is given.
const NEWEST: usize = 100;

/// The answer to one key over the rows of each rack, oldest first.
pub(super) fn folded(asked: &Asked, spec: &FoldSpec, racks: Vec<Vec<Value>>) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for rack in racks {
        rows.extend(of_rack(asked, spec, rack)?);
    }
    let mut request = FoldRequest::of(asked.aggr_fields.iter());
    if let Some(spans) = &asked.spans {
        request = request.over(spans.clone());
    }
    let rows = fold_mos(spec, &rows, &request);
    Ok(rows.into_iter().map(|row| Value::Object(asked.shown(row))).collect())
}

/// What a rack of MiningOS gives: its newest rows, by groups of time, of each the fields that are needed.
fn of_rack(asked: &Asked, spec: &FoldSpec, mut rows: Vec<Value>) -> Result<Vec<Value>> {
    let limit = asked.limit.or_else(|| asked.query.open.then_some(NEWEST));
    // MiningOS's offset counts files, which are not there.
    rows.truncate(rows.len().saturating_sub(asked.offset));
    rows.drain(..limit.map_or(0, |limit| rows.len().saturating_sub(limit)));
    if let Some(size) = asked.group.as_deref().filter(|_| asked.query.key != LogKey::Now) {
        let grouped = bucket::json(&rows, size, asked.mean, Edges::Instants, Semantics::MiningOs)?;
        rows = grouped.into_iter().map(Value::Object).collect();
    }
    let mut needed: BTreeSet<&str> = asked.names.iter().map(String::as_str).collect();
    let folds = spec.only(&asked.aggr_fields);
    if !asked.aggr_fields.is_empty() {
        needed.extend(folds.sources());
    }
    if !needed.is_empty() {
        let kept = |name: &String| name == "ts" || needed.contains(name.as_str());
        rows.iter_mut().filter_map(Value::as_object_mut).for_each(|row| row.retain(|name, _| kept(name)));
    }
    Ok(rows)
}

/// One row for each of the days that have rows.
pub(super) fn by_day(
    spec: &FoldSpec,
    fields: &BTreeSet<String>,
    days: &[Span],
    rows: &[Value],
) -> Vec<(Span, Map<String, Value>)> {
    let folded = fold_mos(spec, rows, &FoldRequest::of(fields.iter()).over(days.to_vec()));
    // Days without rows have none, and the others come in their order.
    let mut days = days.iter();
    let day = |row: Map<String, Value>| {
        let name = row.get("aggrTsRange").and_then(Value::as_str)?;
        let day = days.find(|day| day.to_string() == name)?;
        Some((*day, row))
    };
    folded.into_iter().filter_map(day).collect()
}

/// One row of rows of days, by the same operations once more: averages become averages of averages.
pub(super) fn of_days(
    spec: &FoldSpec,
    fields: &BTreeSet<String>,
    days: Vec<Map<String, Value>>,
) -> Result<Option<Map<String, Value>>> {
    let again =
        |field: &FoldField| (field.name.to_string(), json!({"op": field.kind.name(), "src": *field.name}));
    let again: Map<String, Value> = spec.only(fields).fields().map(again).collect();
    let spec = FoldSpec::parse(&Value::Object(again))?;
    let rows: Vec<Value> = days.into_iter().map(Value::Object).collect();
    Ok(fold_mos(&spec, &rows, &FoldRequest::of(fields.iter())).pop())
}

/// The results alone.
pub(super) fn results(mut row: Map<String, Value>) -> Value {
    row.retain(|name, _| !OWN.contains(&name.as_str()));
    Value::Object(row)
}
