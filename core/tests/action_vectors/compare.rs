//! What a run came to against what it must come to, by the file's own rules.

use std::collections::BTreeMap;

use headframe_core::action::ActionId;
use serde_json::{Map, Value};

use super::{
    look::Seen,
    steps::EMPTY,
    vectors::{Contract, Scenario},
};

/// How far the time in a batch's name may lie before its first member, ms.
const BATCH_MS: u64 = 1_000;

/// Everything that differs.
pub fn diff(scenario: &Scenario, contract: &Contract, seen: &Seen) -> Vec<String> {
    let mut out = seen.wrong.clone();
    let expect = |value: &Value| named(value, &seen.ids);
    for (n, (step, expected)) in scenario.steps.iter().zip(&contract.steps).enumerate() {
        if !answer(step, &expect(expected), &seen.steps[n]) {
            let op = step["op"].as_str().unwrap();
            out.push(format!(
                "step {n} ({op}):\n  expected {}\n  got      {}",
                expect(expected),
                seen.steps[n]
            ));
        }
    }
    let end = expect(&contract.end);
    let aliases = end.as_object().unwrap().keys().chain(seen.end.as_object().unwrap().keys());
    for alias in aliases.collect::<std::collections::BTreeSet<_>>() {
        let (expected, got) = (&end[alias], &seen.end[alias]);
        if !places(expected, got) {
            out.push(format!("in the end {alias}:\n  expected {expected}\n  got      {got}"));
        }
    }
    let calls = expect(&contract.device_calls);
    if !by_rack(&calls, &seen.device_calls, |a, b| a == b) {
        out.push(format!("device calls:\n  expected {calls}\n  got      {}", seen.device_calls));
    }
    out
}

/// Puts ids in the place of `<id:alias>`.
fn named(value: &Value, ids: &BTreeMap<String, ActionId>) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            for (alias, id) in ids {
                let name = format!("<id:{alias}>");
                if text == name {
                    return id.get().into();
                }
                text = text.replace(&name, &id.to_string());
            }
            text.into()
        }
        Value::Array(list) => list.iter().map(|item| named(item, ids)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), named(value, ids)))
            .collect::<Map<_, _>>()
            .into(),
        plain => plain.clone(),
    }
}

/// Whether an error's text is the expected one, with or without a detail.
fn text(expected: &Value, got: &Value) -> bool {
    let (Some(expected), Some(got)) = (expected.as_str(), got.as_str()) else { return expected == got };
    let rest = got.strip_prefix(expected);
    rest.is_some_and(|rest| {
        rest.is_empty() || expected != EMPTY && (rest.starts_with(": ") || rest.starts_with(' '))
    })
}

/// Whether each expected item has one of its own that fits it, and none is left over.
fn same_set(expected: &Value, got: &Value, fits: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) else { return false };
    let mut expected: Vec<&Value> = expected.iter().collect();
    // What is told exactly finds its own before what it goes on from.
    expected.sort_by_key(|item| std::cmp::Reverse(item.to_string().len()));
    let mut left: Vec<&Value> = got.iter().collect();
    expected.into_iter().all(|item| {
        let at = left.iter().position(|own| fits(item, own));
        at.map(|at| left.swap_remove(at)).is_some()
    }) && left.is_empty()
}

fn equal(a: &Value, b: &Value) -> bool {
    a == b
}

/// The pusher's vote comes first, the rest in any order.
fn votes_for(expected: &Value, got: &Value) -> bool {
    expected.get(0) == got.get(0) && same_set(expected, got, equal)
}

fn by_rack(expected: &Value, got: &Value, fits: impl Fn(&Value, &Value) -> bool + Copy) -> bool {
    let (Some(expected), Some(got)) = (expected.as_object(), got.as_object()) else { return false };
    expected.keys().eq(got.keys()) && expected.iter().all(|(rack, list)| same_set(list, &got[rack], fits))
}

/// One call, or one thing that fell out: all but the error's detail is the same.
fn call(expected: &Value, got: &Value) -> bool {
    let without = |value: &Value| {
        let mut members = value.as_object().cloned().unwrap_or_default();
        members.remove("error");
        members
    };
    let error = match (expected.get("error"), got.get("error")) {
        (None, None) => true,
        (Some(expected), Some(got)) => text(expected, got),
        _ => false,
    };
    error && without(expected) == without(got)
}

/// The buckets that hold an action, and how it stands there.
fn places(expected: &Value, got: &Value) -> bool {
    let none = Value::Object(Map::new());
    let place = |expected: &Value, got: &Value| {
        where_it_is(expected, got)
            && by_rack(&expected["calls"], &got["calls"], call)
            && by_rack(expected.get("excluded").unwrap_or(&none), &got["excluded"], call)
    };
    in_turn(expected, got, place)
}

fn where_it_is(expected: &Value, got: &Value) -> bool {
    expected["bucket"] == got["bucket"]
        && expected["status"] == got["status"]
        && votes_for(&expected["votesPos"], &got["votesPos"])
        && same_set(&expected["votesNeg"], &got["votesNeg"], equal)
}

fn in_turn(expected: &Value, got: &Value, fits: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) else { return false };
    expected.len() == got.len() && expected.iter().zip(got).all(|(a, b)| fits(a, b))
}

/// What a caller was told.
fn answer(step: &Value, expected: &Value, got: &Value) -> bool {
    if expected["any"] == true {
        return true;
    }
    if expected.get("throws").is_some() || expected.get("throws_any").is_some() {
        return one_of(expected, "throws", got, text);
    }
    match step["op"].as_str().unwrap() {
        "push" => push(expected, got),
        "pushBatch" => batch(expected, got),
        "cancel" => in_turn(expected, got, cancelled),
        "where" => in_turn(expected, got, where_it_is),
        "query" if step["groupBatch"] == true => same_set(expected, got, group),
        "parallel" | "slowSecondVote" => {
            let steps = step["steps"].as_array().unwrap();
            let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) else { return false };
            steps.len() == expected.len()
                && steps.len() == got.len()
                && steps
                    .iter()
                    .zip(expected)
                    .zip(got)
                    .all(|((step, expected), got)| answer(step, expected, got))
        }
        _ => expected == got,
    }
}

/// A member that is expected as it is, or as one of those in `<name>_any`.
fn one_of(expected: &Value, name: &str, got: &Value, fits: impl Fn(&Value, &Value) -> bool) -> bool {
    let got = &got[name];
    match (expected.get(name), expected.get(format!("{name}_any"))) {
        (Some(one), _) => fits(one, got),
        (None, Some(Value::Array(any))) => any.iter().any(|one| fits(one, got)),
        _ => got.is_null(),
    }
}

fn cancelled(expected: &Value, got: &Value) -> bool {
    expected["id"] == got["id"]
        && expected["success"] == got["success"]
        && one_of(expected, "error", got, text)
}

fn push(expected: &Value, got: &Value) -> bool {
    let errors = |expected: &Value, got: &Value| same_set(expected, got, text);
    if !one_of(expected, "errors", got, errors) {
        return false;
    }
    if expected["id"].is_null() {
        let last = got["errors"].as_array().and_then(|all| all.last());
        return got["id"].is_null() && last.is_some_and(|last| last == EMPTY) && typed(got);
    }
    let whole = ["status", "reqVotesPos", "reqVotesNeg"];
    got["id"].as_u64().is_some_and(|id| id > 0)
        && whole.iter().all(|name| expected[name] == got[name])
        && votes_for(&expected["votesPos"], &got["votesPos"])
        && same_set(&expected["requiredPerms"], &got["requiredPerms"], equal)
        && expected.get("batchActionUID").is_some() == got.get("batchActionUID").is_some()
        && targets(&expected["targets"], &got["targets"])
}

fn targets(expected: &Value, got: &Value) -> bool {
    let (Some(expected), Some(got)) = (expected.as_object(), got.as_object()) else { return false };
    let none = Value::Array(Vec::new());
    let rack = |expected: &Value, got: &Value| {
        let excluded = |value: &Value| value.get("excluded").unwrap_or(&none).clone();
        same_set(&expected["calls"], &got["calls"], equal)
            && one_of(expected, "error", got, text)
            && same_set(&excluded(expected), &excluded(got), call)
    };
    expected.keys().eq(got.keys()) && expected.iter().all(|(id, own)| rack(own, &got[id]))
}

/// The typed error of a push that stored nothing: the reason, when there is one only.
fn typed(got: &Value) -> bool {
    let Some(code) = got["code"].as_str() else { return true };
    let errors = got["errors"].as_array().unwrap();
    let reasons = errors.iter().filter_map(Value::as_str).filter(|error| *error != EMPTY);
    let codes = reasons.map(|reason| reason.split(": ").find(|part| part.starts_with("ERR_")).unwrap());
    let codes: std::collections::BTreeSet<&str> = codes.collect();
    let own = if codes.len() == 1 { codes.first().copied().unwrap() } else { EMPTY };
    code == own
}

/// Every member of a batch, and the one name that they have.
fn batch(expected: &Value, got: &Value) -> bool {
    if !in_turn(expected, got, push) {
        return false;
    }
    let stored: Vec<(&Value, &Value)> = expected
        .as_array()
        .unwrap()
        .iter()
        .zip(got.as_array().unwrap())
        .filter(|(_, g)| !g["id"].is_null())
        .collect();
    let Some((_, first)) = stored.first() else { return true };
    let (name, id) = (&first["batchActionUID"], first["id"].as_u64().unwrap());
    let taken = |ts: u64| ts <= id && id - ts < BATCH_MS;
    stored.iter().all(|(expected, got)| {
        got["batchActionUID"] == *name && batch_name(&expected["batchActionUID"], name).is_some_and(taken)
    })
}

/// The time in the name of a batch, when the rest is as expected.
fn batch_name(expected: &Value, got: &Value) -> Option<u64> {
    let rest = expected.as_str()?.strip_prefix("<ts>")?;
    got.as_str()?.strip_suffix(rest)?.parse().ok()
}

fn group(expected: &Value, got: &Value) -> bool {
    if expected.get("single").is_some() {
        return expected == got;
    }
    batch_name(&expected["batchActionUID"], &got["batchActionUID"]).is_some()
        && expected["id"] == got["id"]
        && same_set(&expected["members"], &got["members"], equal)
}
