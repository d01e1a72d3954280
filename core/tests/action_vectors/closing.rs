//! An engine that is ended in order, at each place where calls can be under way.

use std::{sync::Arc, time::Duration};

use headframe_core::action::ActionId;
use serde_json::{Value, json};

use super::{
    fleet::{Failing, Offline, Site},
    gate::Gate,
    look, steps,
    world::{World, simulate},
};

/// Longer than an engine may take to end once its devices have answered.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn racks() -> Vec<Value> {
    let thing = |id: &str| json!({"id": id, "tags": []});
    vec![json!({
        "id": "miner-a-0",
        "type": "miner-a",
        "whitelist": [["reboot", 1], ["setUpfreqSpeed", 2]],
        "things": [thing("m0"), thing("m1"), thing("m2")],
    })]
}

pub async fn world(seed: u64) -> World {
    let gate = Arc::new(Gate::new(seed, seed > 0));
    let site = Site::new(&racks(), Offline::Closed, Failing::Refused, Arc::clone(&gate));
    World::start(Arc::new(site), gate, seed).await
}

pub fn push(action: &str) -> Value {
    json!({
        "op": "push", "as": "P", "voter": "u1", "authPerms": ["miner:rw"],
        "query": {}, "action": action, "params": [],
    })
}

pub fn status(world: &World, id: ActionId) -> Value {
    let places = look::places(world.engine(), id);
    assert_eq!(places.len(), 1, "in one bucket: {places:?}");
    places[0].1["status"].clone()
}

pub fn sends(world: &World) -> usize {
    world.site.calls()["miner-a-0"].as_array().map_or(0, Vec::len)
}

async fn closed_at(point: &'static str, seed: u64) {
    let mut world = world(seed).await;
    steps::plain(&mut world, &push("reboot")).await;
    world.gate.hold_at(point);
    let engine = world.engine().clone();
    let begun = tokio::spawn(async move { engine.begin_ready().await.map(|_| ()) });
    world.gate.held().await;
    world.settle().await;
    let engine = world.hand_over();
    let clock = Arc::clone(&world.cx.clock);
    let closing = tokio::spawn(async move { engine.close(PATIENCE).await });
    world.settle().await;
    world.gate.let_go();
    let late = clock.mono() + PATIENCE;
    tokio::select! {
        biased;
        closed = closing => assert!(closed.unwrap(), "{point}: calls were broken off"),
        () = clock.sleep_until(late) => panic!("{point}: an engine does not end"),
    }
    begun.abort();
    drop(begun.await);
    world.settle().await;
    world.open().await;
    steps::plain(&mut world, &json!({"op": "tick"})).await;
    let id = world.ids["P"];
    assert_eq!((status(&world, id), sends(&world)), (json!("COMPLETED"), 3), "{point} {seed}");
}

#[test]
fn an_engine_that_is_closed_ends_and_what_is_left_is_sent_once() {
    let points =
        ["before_begin", "after_begin", "before_journal", "after_journal_before_send", "after_outcome"];
    for point in points.into_iter().chain(["after_reply_before_outcome", "before_commit", "after_commit"]) {
        for seed in 0..4 {
            simulate(closed_at(point, seed));
        }
    }
}
