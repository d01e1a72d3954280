//! What a run came to, in the words of the file.

use std::collections::BTreeMap;

use headframe_core::action::{ActionId, ActionQuery, Bucket, Engine};
use serde_json::{Map, Value, json};

use super::{
    ways::{Told, Way},
    world::World,
};

/// Everything of a run that the file speaks of.
#[derive(Debug)]
pub struct Seen {
    pub steps: Vec<Value>,
    pub end: Value,
    pub device_calls: Value,
    pub ids: BTreeMap<String, ActionId>,
    /// What is wrong whatever the file expects.
    pub wrong: Vec<String>,
}

/// The buckets that hold an action, with what they show of it.
pub fn places(engine: &Engine, id: ActionId) -> Vec<(Bucket, Value)> {
    let in_bucket = |bucket| {
        let all = engine.query(&ActionQuery::new(bucket)).unwrap();
        let own = all.into_iter().filter(|listed| listed.id == id);
        own.map(move |listed| (bucket, listed.view)).collect::<Vec<_>>()
    };
    Bucket::ALL.into_iter().flat_map(in_bucket).collect()
}

fn brief(bucket: Bucket, view: &Value) -> Value {
    json!({
        "bucket": bucket.as_str(),
        "status": view["status"],
        "votesPos": view["votesPos"],
        "votesNeg": view["votesNeg"],
    })
}

pub async fn whereabouts(way: &dyn Way, id: ActionId) -> Value {
    way.places(id).await.iter().map(|(bucket, view)| brief(*bucket, view)).collect()
}

/// The record as it stands at the end.
pub async fn record(way: &dyn Way, id: ActionId) -> Value {
    let one = |(bucket, view): &(Bucket, Value)| {
        let mut doc = brief(*bucket, view);
        let (mut calls, mut excluded) = (Map::new(), Map::new());
        for (rack, target) in view["targets"].as_object().unwrap() {
            let only = |call: &Value| {
                let members = ["id", "result", "error"].into_iter();
                members.filter_map(|name| Some((name.to_owned(), call.get(name)?.clone()))).collect::<Value>()
            };
            calls.insert(rack.clone(), target["calls"].as_array().unwrap().iter().map(only).collect());
            if let Some(fell_out) = target.get("excluded") {
                excluded.insert(rack.clone(), fell_out.clone());
            }
        }
        doc["calls"] = calls.into();
        doc["excluded"] = excluded.into();
        doc
    };
    way.places(id).await.iter().map(one).collect()
}

/// What callers see of a push right after it.
pub fn pushed(told: &Told) -> Value {
    let mut doc = json!({"id": told.id, "errors": told.errors});
    if let Some(code) = told.code {
        doc["code"] = code.into();
    }
    let Some(view) = &told.shown else { return doc };
    let shown = ["status", "reqVotesPos", "reqVotesNeg", "votesPos", "requiredPerms", "batchActionUID"];
    for name in shown {
        if let Some(value) = view.get(name) {
            doc[name] = value.clone();
        }
    }
    let mut targets = Map::new();
    for (rack, target) in view["targets"].as_object().unwrap() {
        let mut own = target.clone();
        let calls = target["calls"].as_array().unwrap();
        own["calls"] = calls.iter().map(|call| call["id"].clone()).collect();
        targets.insert(rack.clone(), own);
    }
    doc["targets"] = targets.into();
    doc
}

/// What a run came to.
pub async fn at_the_end(world: &World, steps: Vec<Value>) -> Seen {
    let mut end = Map::new();
    for (alias, id) in &world.ids {
        end.insert(alias.clone(), record(&*world.way(), *id).await);
    }
    let mut wrong = Vec::new();
    for bucket in Bucket::ALL {
        for listed in world.engine().query(&ActionQuery::new(bucket)).unwrap() {
            if !world.ids.values().any(|id| *id == listed.id) {
                wrong.push(format!("an action is stored that nobody was told of: {}", listed.view));
            }
        }
    }
    for (alias, places) in &end {
        if places.as_array().unwrap().len() != 1 {
            wrong.push(format!("{alias} is not in exactly one bucket: {places}"));
        }
    }
    Seen { steps, end: end.into(), device_calls: world.site.calls(), ids: world.ids.clone(), wrong }
}
