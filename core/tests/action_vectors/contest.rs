//! A cancel and the begin of execution at once: one of them wins.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use super::{
    closing::{push, sends, status, world},
    steps,
    world::simulate,
};

#[test]
fn a_cancel_and_the_begin_of_execution_do_not_both_win() {
    let mut seen = BTreeSet::new();
    (1..=96).for_each(|seed| {
        seen.insert(simulate(contest(seed)));
    });
    assert_eq!(seen, BTreeSet::from([false, true]), "who won, in 96 orders");
}

/// Gives whether the cancel won. The other action of the site is carried out either way.
async fn contest(seed: u64) -> bool {
    let mut world = world(seed).await;
    steps::plain(&mut world, &push("reboot")).await;
    let mut other = push("reboot");
    (other["as"], other["query"]) = ("Q".into(), json!({"id": "m1"}));
    steps::plain(&mut world, &other).await;
    let (engine, gate) = (world.engine().clone(), Arc::clone(&world.gate));
    let begin = async move {
        gate.give_way().await;
        engine.begin_ready().await
    };
    let (way, gate, ids) = (world.way(), Arc::clone(&world.gate), world.ids.clone());
    let cancel = async move {
        gate.give_way().await;
        steps::by_one_of_many(&*way, &ids, &json!({"op": "cancel", "on": ["P"], "voter": "u1"})).await
    };
    let (begin, cancel) = if world.gate.draw(2) == 1 {
        let cancel = tokio::spawn(cancel);
        (tokio::spawn(begin), cancel)
    } else {
        (tokio::spawn(begin), tokio::spawn(cancel))
    };
    begin.await.unwrap().unwrap();
    let told = cancel.await.unwrap();
    world.rest().await.unwrap();
    let won = told[0]["success"] == true;
    let expected = if won { (json!("CANCELLED"), 1) } else { (json!("COMPLETED"), 4) };
    assert_eq!((status(&world, world.ids["P"]), sends(&world)), expected, "{seed}: {told}");
    assert_eq!(status(&world, world.ids["Q"]), "COMPLETED", "{seed}");
    let id = world.ids["P"];
    let refused = format!("ERR_CANCEL_BATCH_ACTION-ID-{id} ERR_ACTION_DECIDED");
    assert!(won || told[0]["error"] == refused.as_str(), "{seed}: {told}");
    won
}
