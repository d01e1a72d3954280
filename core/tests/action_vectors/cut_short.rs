//! Pushes and cancels whose process dies while they become durable, and batches of which one element is refused.

use std::sync::Arc;

use headframe_core::action::{ActionQuery, Bucket, Engine};
use serde_json::{Value, json};

use super::{
    closing::{push, sends, status, world},
    fleet::{Failing, Offline, Site},
    gate::Gate,
    steps,
    world::{Death, World, simulate},
};

/// Makes a step in a process that dies at `point`, and starts another.
async fn dies_in(world: &mut World, step: &Value, point: &str) {
    world.gate.kill_at(point);
    let gate = Arc::clone(&world.gate);
    {
        let work = steps::plain(world, step);
        tokio::select! {
            biased;
            () = gate.died() => {}
            told = work => panic!("the process lived: {told}"),
        }
    }
    world.crash(Death::PowerCut);
    world.open().await;
}

fn stored(engine: &Engine) -> usize {
    Bucket::ALL.into_iter().map(|bucket| engine.query(&ActionQuery::new(bucket)).unwrap().len()).sum()
}

#[test]
fn a_push_that_was_cut_short_is_stored_once() {
    simulate(async {
        for point in ["before_commit", "after_commit"] {
            let mut world = world(0).await;
            let mut step = push("setUpfreqSpeed");
            step["clientKey"] = "the-push".into();
            dies_in(&mut world, &step, point).await;
            assert_eq!(stored(world.engine()), usize::from(point == "after_commit"));
            let (first, second) =
                (steps::plain(&mut world, &step).await, steps::plain(&mut world, &step).await);
            assert_eq!((first["status"].clone(), &first), (json!("VOTING"), &second), "{point}");
            assert_eq!(stored(world.engine()), 1, "{point}");
            step["params"] = json!([1]);
            let other = steps::plain(&mut world, &step).await;
            assert_eq!(other, json!({"throws": "ERR_CLIENT_KEY_CONFLICT"}), "{point}");
        }
    });
}

#[test]
fn a_batch_that_was_cut_short_is_there_as_a_whole_or_not_at_all() {
    simulate(async {
        for (point, expected) in [("before_commit", 0), ("after_commit", 3)] {
            let mut world = world(0).await;
            let batch = vec![push("reboot"), push("setUpfreqSpeed"), push("reboot")];
            let step = json!({
                "op": "pushBatch", "as": [], "voter": "u1", "authPerms": ["miner:rw"], "batchActionUID": "m", "batch": batch,
            });
            dies_in(&mut world, &step, point).await;
            assert_eq!(stored(world.engine()), expected, "{point}");
        }
    });
}

#[test]
fn a_cancel_that_was_cut_short_counts_or_does_not() {
    simulate(async {
        for (point, expected) in [("before_commit", "APPROVED"), ("after_commit", "CANCELLED")] {
            let mut world = world(0).await;
            steps::plain(&mut world, &push("reboot")).await;
            let (id, cancel) = (world.ids["P"], json!({"op": "cancel", "on": ["P"], "voter": "u1"}));
            dies_in(&mut world, &cancel, point).await;
            assert_eq!(status(&world, id), expected);
            steps::plain(&mut world, &json!({"op": "tick"})).await;
            let ended =
                if point == "before_commit" { (json!("COMPLETED"), 3) } else { (json!("CANCELLED"), 0) };
            assert_eq!((status(&world, id), sends(&world)), ended, "{point}");
        }
    });
}

#[test]
fn a_batch_of_which_one_element_is_refused_stores_nothing() {
    simulate(async {
        let mut world = world(0).await;
        let (mut one, mut other) = (push("reboot"), push("setUpfreqSpeed"));
        (one["clientKey"], other["clientKey"]) = ("same".into(), "same".into());
        let step = json!({
            "op": "pushBatch", "as": [], "voter": "u1", "authPerms": ["miner:rw"], "batch": [one, other],
        });
        let told = steps::plain(&mut world, &step).await;
        assert_eq!(told, json!({"throws": "ERR_CLIENT_KEY_CONFLICT"}));
        assert_eq!(stored(world.engine()), 0);
        // Neither is anything of it left for the next one to make durable.
        steps::plain(&mut world, &push("reboot")).await;
        assert_eq!(stored(world.engine()), 1);
        world.crash(Death::Kill);
        world.open().await;
        assert_eq!(stored(world.engine()), 1);
    });
}

#[test]
fn a_push_that_stores_nothing_has_the_code_of_its_only_reason() {
    let rack = |id: &str, family: &str, online: bool| {
        json!({
            "id": id, "type": family, "whitelist": [["reboot", 1]], "online": online,
            "things": [{"id": format!("{id}-thing"), "tags": []}],
        })
    };
    let (offline, denied) = (rack("miner-a-0", "miner-a", false), rack("container-x-0", "container-x", true));
    let cases = [
        (vec![offline.clone()], "ERR_RACK_UNREACHABLE"),
        (vec![denied.clone()], "ERR_ACTION_DENIED"),
        (vec![offline, denied], "ERR_ORK_ACTION_CALLS_EMPTY"),
        (Vec::new(), "ERR_ACTION_UNKOWN"),
    ];
    for (racks, code) in cases {
        let told = simulate(async {
            let gate = Arc::new(Gate::new(0, false));
            let site = Site::new(&racks, Offline::Closed, Failing::Refused, Arc::clone(&gate));
            let mut world = World::start(Arc::new(site), gate, 0).await;
            steps::plain(&mut world, &push("reboot")).await
        });
        assert_eq!((&told["id"], &told["code"]), (&Value::Null, &json!(code)), "{told}");
    }
}
