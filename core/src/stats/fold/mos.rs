//! The fold as MiningOS's orchestrator does it: over JSON rows, both ends of a span inside, a missing source is 0.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{FoldRequest, FoldSpec};
use crate::{
    io::Timestamp,
    stats::{
        mos::MosTally,
        spec::{Op, Spec},
    },
};

/// Folds rows as MiningOS does, those of one rack after those of another. Rows in no span are left out.
pub fn fold(spec: &FoldSpec, rows: &[Value], request: &FoldRequest) -> Vec<Map<String, Value>> {
    let wanted = spec.only(&request.fields);
    let asked: BTreeSet<&str> = if request.fields.is_empty() { BTreeSet::new() } else { wanted.sources() };
    let spec = as_spec(&wanted);
    let mut rows: Vec<&Value> = rows.iter().collect();
    rows.sort_by(|a, b| key(a).cmp(&key(b)));
    match &request.times {
        None => {
            let at = |rows: &[&Value]| {
                let mut out = fold_rows(&spec, rows, &asked, String::new());
                out.extend(rows[0].get("ts").map(|ts| ("ts".to_owned(), ts.clone())));
                out
            };
            rows.chunk_by(|a, b| key(a) == key(b)).map(at).collect()
        }
        Some(spans) => {
            let of = |span: &super::Span| {
                let rows = span.closed(&rows, |row| ts(row));
                let mut out = fold_rows(&spec, rows, &asked, span.to_string());
                out.insert("ts".into(), 0.into());
                (!rows.is_empty()).then_some(out)
            };
            spans.iter().filter_map(of).collect()
        }
    }
}

fn ts(row: &Value) -> Option<Timestamp> {
    row.get("ts").and_then(Value::as_f64).map(|ts| Timestamp(ts as i64))
}

/// What rows are grouped and ordered by: rows that were grouped already have a text in place of the time.
fn key(row: &Value) -> (Option<Timestamp>, Option<&str>) {
    (ts(row), row.get("ts").and_then(Value::as_str))
}

fn as_spec(fold: &FoldSpec) -> Spec {
    let op = |field: &super::FoldField| (Arc::clone(&field.name), Op::of(field.kind, field.src.clone()));
    Spec::of(fold.fields().map(op))
}

fn fold_rows(spec: &Spec, rows: &[&Value], asked: &BTreeSet<&str>, span: String) -> Map<String, Value> {
    let mut tally = MosTally::new(spec);
    rows.iter().for_each(|row| tally.add(*row));
    let mut out = tally.to_json();
    out.insert("aggrTsRange".into(), span.into());
    out.insert("aggrCount".into(), rows.len().into());
    out.insert("aggrIntervals".into(), intervals(rows, asked).into());
    out
}

/// Different times among rows that carry more than their time, as far as the racks send it.
fn intervals(rows: &[&Value], asked: &BTreeSet<&str>) -> usize {
    let mut times = BTreeSet::new();
    for row in rows {
        let Some(members) = row.as_object() else { continue };
        let sent = |name: &String| asked.is_empty() || name == "ts" || asked.contains(name.as_str());
        if members.keys().filter(|name| sent(name)).count() > 1 {
            times.insert(key(row));
        }
    }
    times.len()
}
