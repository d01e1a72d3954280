//! A store that fails, or loses its power, in the middle of a step: never a third end state.

use std::{sync::Arc, time::Duration};

use headframe_core::store::CrashPlan;
use serde_json::{Value, json};

use super::{
    compare,
    fleet::{Failing, Offline, Site},
    gate::Gate,
    look, steps,
    vectors::{Contract, Scenario},
    world::{Death, World, simulate},
};

/// More calls to the disk than any of the steps makes.
const MOST_CALLS: u64 = 400;
/// How long a caller waits for an answer, in the run's time.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the disk does wrong, from one of its calls on.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It fails so many times; the process lives on.
    Fails(u64),
    /// The power goes.
    Off,
}

/// Whether the fault was met at all, and what differs.
type Outcome = (bool, Option<String>);

/// Runs the step that the file kills with a failure at every call to the disk instead.
pub fn run(all: &[Scenario]) {
    let mut failures = Vec::new();
    let mut met = 0;
    // A device that hangs keeps the step from ending.
    for scenario in all.iter().filter(|s| !s.crashes().is_empty() && s.id != "AV45") {
        for fault in [Fault::Fails(1), Fault::Fails(5), Fault::Fails(25), Fault::Off] {
            for at in 0..MOST_CALLS {
                let (hit, differs) = simulate(one(scenario, fault, at));
                failures.extend(differs.map(|why| format!("{} {fault:?} at call {at}: {why}", scenario.id)));
                if !hit {
                    break;
                }
                met += 1;
            }
        }
    }
    assert!(met > 100, "only {met} faults were met");
    let n = failures.len();
    failures.truncate(6);
    assert!(failures.is_empty(), "{n} of {met} runs differ\n{}", failures.join("\n"));
}

async fn one(scenario: &Scenario, fault: Fault, at: u64) -> Outcome {
    let gate = Arc::new(Gate::new(at, false));
    let site = Site::new(&scenario.racks, Offline::Closed, Failing::Refused, Arc::clone(&gate));
    let mut world = World::start(Arc::new(site), gate, at).await;
    let (mut answers, mut told, mut hit) = (Vec::new(), None, false);
    let kill_at = scenario.crashes()[0].step;
    for (n, step) in scenario.steps.iter().enumerate() {
        answers.push(match step["op"].as_str().unwrap() {
            _ if n == kill_at => {
                (hit, told) = faulty(&mut world, step, fault, at).await;
                json!({"started": true})
            }
            "restart" => {
                world.crash(if matches!(fault, Fault::Off) { Death::PowerCut } else { Death::Kill });
                world.open().await;
                json!({"ok": true})
            }
            _ => steps::plain(&mut world, step).await,
        });
    }
    world.settle().await;
    let seen = look::at_the_end(&world, answers).await;
    let allowed = allowed(scenario, fault, told.as_ref());
    let differences: Vec<_> = allowed.iter().map(|c| compare::diff(scenario, c, &seen)).collect();
    if differences.iter().any(Vec::is_empty) {
        return (hit, None);
    }
    (hit, Some(format!("told {told:?}, no end state fits\n{}", differences.concat().join("\n"))))
}

/// The step over a disk that goes wrong; whether it did, and what the caller was told.
async fn faulty(world: &mut World, step: &Value, fault: Fault, at: u64) -> (bool, Option<Value>) {
    let mut plan = CrashPlan { forget_failed_sync: at % 2 == 1, ..CrashPlan::default() };
    match fault {
        Fault::Fails(times) => (plan.fail_at, plan.fail_for) = (Some(at), times),
        Fault::Off => plan.cut_at = Some(at),
    }
    world.disk.plan(plan);
    let (engine, way) = (world.engine().clone(), world.way());
    let (ids, step) = (world.ids.clone(), step.clone());
    let mut task = tokio::spawn(async move {
        if step["op"] == "voteCrash" {
            steps::vote(&*way, &ids, &step).await
        } else {
            engine.begin_ready().await.map(|_| json!({"ran": true}))
        }
    });
    let late = world.cx.clock.mono() + PATIENCE;
    let told = tokio::select! {
        biased;
        told = &mut task => Some(told.unwrap().unwrap_or_else(|e| json!({"throws": e.code(), "sent": format!("{:?}", e.sent())}))),
        () = world.cx.clock.sleep_until(late) => None,
    };
    if told.is_none() {
        task.abort();
        drop(task.await);
    }
    // A disk without power is not waited for; one that failed is worked with again.
    if matches!(fault, Fault::Off) {
        world.wait(PATIENCE).await;
    } else {
        drop(world.rest().await);
    }
    let hit = world.disk.calls() > at;
    if !matches!(fault, Fault::Off) {
        world.disk.plan(CrashPlan::default());
    }
    (hit, told)
}

/// The end states that one of the file's crashes has; when the process lives on, only those that need no person.
fn allowed(scenario: &Scenario, fault: Fault, told: Option<&Value>) -> Vec<Contract> {
    let crashes = scenario.crashes().into_iter().filter(|c| ["none", "any"].contains(&c.readback.as_str()));
    let vote = scenario.steps.iter().any(|step| step["op"] == "voteCrash");
    let returned = told.is_some_and(|told| told.get("throws").is_none());
    let refused = told.is_some_and(|told| told["sent"] == "No");
    let fits = |point: &str| match (vote, fault) {
        // Whoever was told that the vote counts finds it, and whoever was told that nothing happened does not.
        (true, _) if returned => point == "after_commit",
        (true, _) if refused => point == "before_commit",
        (true, _) | (false, Fault::Off) => true,
        (false, Fault::Fails(_)) => ["before_journal", "after_outcome"].contains(&point),
    };
    crashes.filter(|crash| fits(&crash.point)).map(|crash| crash.contract).collect()
}
