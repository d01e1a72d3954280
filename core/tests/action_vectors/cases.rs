//! All runs of a scenario.

use std::collections::BTreeMap;

use super::{
    compare,
    fleet::{Failing, Offline},
    runs::{self, Kill, Plan},
    vectors::{self, Contract, Crash, Scenario},
    ways::Face,
    world::Death,
};

/// Orders in which a race is run.
const RACES: u64 = 96;
/// Orders in which everything else is run.
const SHAKEN: u64 = 3;
/// The engine's places at which a point of the file falls, beside the one of the same name.
const SAME_PLACE: [(&str, &[&str]); 1] = [("before_journal", &["before_begin", "after_begin"])];
/// Where a second process is killed, while it reconciles.
const TWICE: [Option<&str>; 3] = [None, Some("before_reconcile"), Some("after_reconcile")];

/// Runs the scenario with this name in every way, and fails with all that differs.
pub fn run(name: &str) {
    let Some(all) = vectors::all() else {
        println!("HEADFRAME_SHARED is not set: {name} was not run");
        return;
    };
    let scenario = all.iter().find(|s| s.id.eq_ignore_ascii_case(name)).unwrap();
    let crashes = scenario.crashes();
    let mut failures = Vec::new();
    if scenario.is_race() {
        Face::BOTH.into_iter().for_each(|face| race(scenario, face, &mut failures));
    } else if crashes.is_empty() {
        for plan in Face::BOTH.into_iter().flat_map(|face| plain(scenario, face)) {
            check(scenario, &scenario.contracts()[0], &plan, &mut failures);
        }
    }
    for crash in &crashes {
        for plan in Face::BOTH.into_iter().flat_map(|face| killed(crash, face)) {
            check(scenario, &crash.contract, &plan, &mut failures);
        }
    }
    let n = failures.len();
    failures.truncate(8);
    assert!(failures.is_empty(), "{name}: {n} runs differ\n{}", failures.join("\n"));
}

fn check(scenario: &Scenario, contract: &Contract, plan: &Plan, failures: &mut Vec<String>) {
    let differences = match runs::run(scenario, plan) {
        Ok(seen) => compare::diff(scenario, contract, &seen),
        Err(why) => vec![why],
    };
    if !differences.is_empty() {
        failures.push(format!("{plan:?}\n{}", differences.join("\n")));
    }
}

/// As it is, and in some other orders; with each way in which racks and devices can fail.
fn plain(scenario: &Scenario, face: Face) -> Vec<Plan> {
    let any = |name: &str| scenario.racks.iter().any(|rack| rack.to_string().contains(name));
    let offline: &[Offline] = if any("\"online\":false") {
        &[Offline::Closed, Offline::Absent, Offline::Silent]
    } else {
        &[Offline::Closed]
    };
    let failing: &[Failing] =
        if any("\"fail\"") { &[Failing::Refused, Failing::InDoubt] } else { &[Failing::Refused] };
    let mut plans = Vec::new();
    for seed in 0..SHAKEN {
        for offline in offline {
            for failing in failing {
                plans.push(Plan { seed, face, offline: *offline, failing: *failing, kill: None });
            }
        }
    }
    plans
}

/// Every run comes to one of the alternatives, and each of them is seen.
fn race(scenario: &Scenario, face: Face, failures: &mut Vec<String>) {
    let contracts = scenario.contracts();
    let mut seen: BTreeMap<&str, usize> = contracts.iter().map(|c| (c.when.as_str(), 0)).collect();
    for seed in 1..=RACES {
        let plan = Plan { seed, face, offline: Offline::Closed, failing: Failing::Refused, kill: None };
        let came_to = match runs::run(scenario, &plan) {
            Ok(came_to) => came_to,
            Err(why) => {
                failures.push(format!("{plan:?}\n{why}"));
                continue;
            }
        };
        let differences: Vec<_> = contracts.iter().map(|c| compare::diff(scenario, c, &came_to)).collect();
        let fits: Vec<_> = contracts.iter().zip(&differences).filter(|(_, d)| d.is_empty()).collect();
        match fits.as_slice() {
            [(contract, _)] => *seen.entry(&contract.when).or_default() += 1,
            [] => {
                failures.push(format!("{plan:?}: no alternative holds\n{}", differences.concat().join("\n")))
            }
            _ => failures.push(format!("{plan:?}: more than one alternative holds")),
        }
    }
    for (when, times) in seen {
        if times == 0 {
            failures.push(format!("never seen in {RACES} orders through the {face:?}: {when}"));
        }
    }
}

/// Every way to be killed at one point.
fn killed(crash: &Crash, face: Face) -> Vec<Plan> {
    let same = SAME_PLACE.iter().find(|(point, _)| *point == crash.point);
    let points = std::iter::once(crash.point.as_str())
        .chain(same.into_iter().flat_map(|(_, all)| all.iter().copied()));
    let readbacks: &[&str] = match crash.readback.as_str() {
        "any" => &["none", "applied", "not_applied"],
        "none" => &["none"],
        "applied" => &["applied"],
        "not_applied" => &["not_applied"],
        other => panic!("no read-back is called {other}"),
    };
    let mut plans = Vec::new();
    for point in points {
        for readback in readbacks {
            for death in [Death::Kill, Death::PowerCut] {
                for twice in TWICE {
                    for keyed in if crash.then { [false, true].as_slice() } else { &[false] } {
                        let kill = Kill {
                            step: crash.step,
                            point: point.into(),
                            readback: (*readback).into(),
                            death,
                            twice,
                            keyed: *keyed,
                            then: crash.then,
                        };
                        let seed = plans.len() as u64;
                        let (offline, failing) = (Offline::Closed, Failing::Refused);
                        plans.push(Plan { seed, face, offline, failing, kill: Some(kill) });
                    }
                }
            }
        }
    }
    plans
}
