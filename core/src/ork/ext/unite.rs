//! Rows of several pools as one list.

use serde_json::{Map, Value, json};

/// What a row of pools has, whatever was asked for: MiningOS's readers go through these without looking.
const LISTS: [&str; 3] = ["stats", "workers", "transactions"];
/// What is added up, and MiningOS's name for the sum.
const COUNTS: [(&str, &str); 3] = [("count", "workersCount"), ("active", "active"), ("inactive", "inactive")];

/// Rows of one time that contradict each other stand beside each other; a further one is compared with so many of them.
const MOST_BESIDE: usize = 64;

type Row = Map<String, Value>;

/// Rows of one time as one, in the order of time; their `ts` is a text, as MiningOS has it.
pub(super) fn by_time(sources: Vec<Vec<Row>>) -> Vec<Value> {
    let mut rows: Vec<Row> = sources.into_iter().flatten().map(named).collect();
    // Equal times stay in the order of their sources. What has no time comes first and joins nothing.
    rows.sort_by_key(time);
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let at = time(&row);
        // Several may stand beside each other already, because they contradict each other.
        let same = out.iter_mut().rev().take_while(|other| at.is_some() && time(other) == at);
        match same.take(MOST_BESIDE).find(|other| agree(other, &row)) {
            Some(other) => join(other, row),
            None => out.push(row),
        }
    }
    out.into_iter().map(shown).collect()
}

/// What is so now, as one row of the newest time.
pub(super) fn live(sources: Vec<Vec<Row>>) -> Vec<Value> {
    let mut rows: Vec<Row> = sources.into_iter().flatten().filter(|row| !row.is_empty()).collect();
    let newest = rows.iter().filter_map(time).max();
    for row in &mut rows {
        let Some(at) = time(row) else { continue };
        // The time of the row will be another's.
        for account in row.get_mut("stats").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(account) = account {
                account.entry("timestamp").or_insert_with(|| at.into());
            }
        }
        if let Some(newest) = newest {
            row.insert("ts".into(), newest.into());
        }
    }
    by_time(vec![rows])
}

/// A row's time in ms, written as a number or as its text.
fn time(row: &Row) -> Option<i64> {
    match row.get("ts")? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// Counts under the names of their sums.
fn named(mut row: Row) -> Row {
    for (from, to) in COUNTS {
        if from != to
            && let Some(count) = row.remove(from)
        {
            row.insert(to.into(), count);
        }
    }
    row
}

/// Whether each member of both is a list, a count or the same.
fn agree(a: &Row, b: &Row) -> bool {
    b.iter().all(|(name, theirs)| match a.get(name) {
        None => true,
        Some(ours) => match (ours, theirs) {
            (Value::Array(_), Value::Array(_)) => true,
            (Value::Number(_), Value::Number(_)) if is_count(name) => true,
            _ => name == "ts" || ours == theirs,
        },
    })
}

fn is_count(name: &str) -> bool {
    COUNTS.iter().any(|(_, sum)| *sum == name)
}

fn join(row: &mut Row, other: Row) {
    for (name, theirs) in other {
        match (row.get_mut(&name), theirs) {
            (None, theirs) => drop(row.insert(name, theirs)),
            (Some(Value::Array(ours)), Value::Array(theirs)) => ours.extend(theirs),
            (Some(ours), Value::Number(theirs)) if is_count(&name) => *ours = sum(ours, &theirs),
            // They agree.
            (Some(_), _) => {}
        }
    }
}

fn sum(a: &Value, b: &serde_json::Number) -> Value {
    match (a.as_u64(), b.as_u64()) {
        (Some(a), Some(b)) => a.saturating_add(b).into(),
        _ => json!(a.as_f64().unwrap_or_default() + b.as_f64().unwrap_or_default()),
    }
}

fn shown(mut row: Row) -> Value {
    if let Some(ts) = row.get_mut("ts")
        && ts.is_number()
    {
        *ts = ts.to_string().into();
    }
    for list in LISTS {
        row.entry(list).or_insert_with(|| json!([]));
    }
    row.entry("blocksData").or_insert_with(|| json!({}));
    Value::Object(row)
}
