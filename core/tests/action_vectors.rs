//! The scenarios of `action-vectors.json` against the real engine: a store in memory, racks that do what the scenarios
//! say, and time that costs nothing. Callers reach the engine through its own interface, and in a second run of everything
//! through MiningOS's methods, as its gateway calls them. Without `HEADFRAME_SHARED` there are no scenarios to run.
#![cfg(all(feature = "store", feature = "testkit"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::collections::BTreeSet;

#[path = "action_vectors/cases.rs"]
mod cases;
#[path = "action_vectors/closing.rs"]
mod closing;
#[path = "action_vectors/compare.rs"]
mod compare;
#[path = "action_vectors/contest.rs"]
mod contest;
#[path = "action_vectors/cut_short.rs"]
mod cut_short;
#[path = "action_vectors/faults.rs"]
mod faults;
#[path = "action_vectors/fleet.rs"]
mod fleet;
#[path = "action_vectors/gate.rs"]
mod gate;
#[path = "action_vectors/held.rs"]
mod held;
#[path = "action_vectors/look.rs"]
mod look;
#[path = "action_vectors/runs.rs"]
mod runs;
#[path = "action_vectors/steps.rs"]
mod steps;
#[path = "action_vectors/vectors.rs"]
mod vectors;
#[path = "action_vectors/ways.rs"]
mod ways;
#[path = "action_vectors/world.rs"]
mod world;

/// One test for each scenario.
macro_rules! scenarios {
    ($($name:ident)+) => {
        const NAMES: &[&str] = &[$(stringify!($name)),+];
        $(
            #[test]
            fn $name() {
                cases::run(stringify!($name));
            }
        )+
    };
}

scenarios! {
    av01 av02 av03 av04 av05 av06 av07 av08 av09 av10 av11 av12 av13
    av14 av15 av16 av17 av18 av19 av20 av21 av22 av23 av24 av25 av26
    av27 av28 av29 av30 av31 av32 av33 av34 av35 av36 av37 av38 av39
    av40 av41 av42 av43 av44 av45 av46 av47 av48 av49 av50 av51 av52
}

#[test]
fn every_scenario_of_the_file_is_run() {
    let Some(all) = vectors::all() else { return };
    let ids: Vec<String> = all.iter().map(|s| s.id.to_ascii_lowercase()).collect();
    assert_eq!(ids, NAMES);
}

/// What befalls a site, its racks and its process: no caller asks for it, so no method says it.
const BESIDE: [(&str, &str); 7] = [
    ("addThing", "racks register things"),
    ("forgetRacks", "racks go away; the method of this name is not about the racks of a process"),
    ("removeThing", "racks forget things"),
    ("restart", "a process ends and another begins"),
    ("tick", "the executor runs by itself"),
    ("tickCrash", "a process is killed"),
    ("tickNoWait", "the executor runs by itself"),
];
/// What callers ask, alone or several at once: [`ways::Dispatched`] says each of it in a method.
const CALLS: [&str; 10] = [
    "cancel",
    "count",
    "parallel",
    "push",
    "pushBatch",
    "query",
    "slowSecondVote",
    "vote",
    "voteCrash",
    "where",
];

#[test]
fn every_scenario_is_said_in_methods_too() {
    let Some(all) = vectors::all() else { return };
    let mut beside = BTreeSet::new();
    for scenario in all {
        let ops = scenario.steps.iter().map(|step| step["op"].as_str().unwrap());
        let (calls, others): (Vec<_>, Vec<_>) = ops.partition(|op| CALLS.contains(op));
        assert!(!calls.is_empty(), "{} asks for nothing", scenario.id);
        beside.extend(others);
    }
    assert_eq!(beside, BESIDE.iter().map(|(op, _)| *op).collect());
}

#[test]
fn a_store_that_fails_leaves_one_of_two_end_states() {
    let Some(all) = vectors::all() else { return };
    faults::run(all);
}
