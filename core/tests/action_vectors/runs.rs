//! One run of a scenario, with what befalls it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    fleet::{Failing, Offline, Site},
    gate::Gate,
    look::{self, Seen},
    steps,
    vectors::Scenario,
    ways::Face,
    world::{Death, World, simulate},
};

/// What befalls a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Which way callers go.
    pub face: Face,
    pub offline: Offline,
    pub failing: Failing,
    pub kill: Option<Kill>,
}

/// How and where a process is killed.
#[derive(Debug, Clone)]
pub struct Kill {
    pub step: usize,
    pub point: String,
    pub readback: String,
    pub death: Death,
    /// Where the next process is killed too.
    pub twice: Option<&'static str>,
    /// Whether the vote that is cut short carries a client key.
    pub keyed: bool,
    /// Whether the vote is cast again at the end.
    pub then: bool,
}

/// How long a run waits for the place where it is killed, in its own time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a scenario; an error when it did not come to its end.
pub fn run(scenario: &Scenario, plan: &Plan) -> Result<Seen, String> {
    simulate(whole(scenario, plan))
}

async fn whole(scenario: &Scenario, plan: &Plan) -> Result<Seen, String> {
    let gate = Arc::new(Gate::new(plan.seed, plan.seed > 0));
    let site = Arc::new(Site::new(&scenario.racks, plan.offline, plan.failing, Arc::clone(&gate)));
    let mut world = World::start_behind(plan.face, site, gate, plan.seed).await;
    let mut answers = Vec::new();
    for (n, step) in scenario.steps.iter().enumerate() {
        let kill = plan.kill.as_ref().filter(|kill| kill.step == n);
        answers.push(match kill {
            Some(kill) => killed(&mut world, step, kill).await?,
            None => one(&mut world, scenario, step, plan).await?,
        });
    }
    world.settle().await;
    let mut seen = look::at_the_end(&world, answers).await;
    if let Some(kill) = plan.kill.as_ref().filter(|kill| kill.then) {
        again(&mut world, &scenario.steps[kill.step], kill, &mut seen.wrong).await;
    }
    Ok(seen)
}

async fn one(world: &mut World, scenario: &Scenario, step: &Value, plan: &Plan) -> Result<Value, String> {
    Ok(match step["op"].as_str().unwrap() {
        "tickNoWait" => {
            world.engine().begin_ready().await.map_err(|e| e.to_string())?;
            world.wait(Duration::from_millis(80)).await;
            json!({"started": true})
        }
        "restart" => {
            reopen(world, plan.kill.as_ref()).await;
            json!({"ok": true})
        }
        "parallel" => parallel(world, step).await,
        "slowSecondVote" => {
            assert!(scenario.holds_a_vote());
            slow_second_vote(world, step).await?
        }
        _ => steps::plain(world, step).await,
    })
}

async fn reopen(world: &mut World, kill: Option<&Kill>) {
    if !world.is_down() {
        world.crash(Death::Kill);
    }
    let Some(point) = kill.and_then(|kill| kill.twice) else { return world.open().await };
    world.gate.kill_at(point);
    world.launch().await;
    let (gate, engine) = (Arc::clone(&world.gate), world.engine().clone());
    let died = tokio::select! {
        biased;
        () = gate.died() => true,
        () = engine.reconciled() => false,
    };
    drop(engine);
    if !died {
        return world.gate.revive();
    }
    world.settle().await;
    world.crash(Death::PowerCut);
    world.open().await;
}

/// Makes a step that its process does not live to see the end of.
async fn killed(world: &mut World, step: &Value, kill: &Kill) -> Result<Value, String> {
    world.site.show(&kill.readback);
    match kill.point.as_str() {
        "after_send_before_reply" => world.site.dies_after_send.store(true, Ordering::SeqCst),
        point => world.gate.kill_at(point),
    }
    let (engine, way) = (world.engine().clone(), world.way());
    let (ids, step) = (world.ids.clone(), keyed(step, kill));
    let task = tokio::spawn(async move {
        // Nobody is told what became of it.
        if step["op"] == "voteCrash" {
            drop(steps::vote(&*way, &ids, &step).await);
        } else {
            drop(engine.begin_ready().await);
        }
    });
    let late = world.cx.clock.mono() + PATIENCE;
    let died = tokio::select! {
        biased;
        () = world.gate.died() => true,
        () = world.cx.clock.sleep_until(late) => false,
    };
    world.settle().await;
    task.abort();
    drop(task.await);
    world.site.dies_after_send.store(false, Ordering::SeqCst);
    if !died {
        return Err(format!("the engine never came past {}", kill.point));
    }
    world.crash(kill.death);
    Ok(json!({"started": true}))
}

fn keyed(step: &Value, kill: &Kill) -> Value {
    let mut step = step.clone();
    if kill.keyed {
        step["clientKey"] = "the-vote".into();
    }
    step
}

/// The vote that was cut short comes once more, then the executor runs.
async fn again(world: &mut World, step: &Value, kill: &Kill, wrong: &mut Vec<String>) {
    let told = steps::vote(&*world.way(), &world.ids, &keyed(step, kill)).await;
    let told = told.map_or_else(|e| e.code().to_owned(), |answer| answer.to_string());
    let late = kill.point == "after_commit" && !kill.keyed;
    let expected = if late { "ERR_ACTION_DECIDED" } else { "{\"returns\":1}" };
    if told != expected {
        wrong.push(format!("the repeated vote: {told} instead of {expected}"));
    }
    let (alias, id) = world.ids.iter().next().map(|(alias, id)| (alias.clone(), *id)).unwrap();
    let approved =
        json!([{"bucket": "ready", "status": "APPROVED", "votesPos": ["u1", "u2"], "votesNeg": []}]);
    let stands = look::whereabouts(&*world.way(), id).await;
    if stands != approved {
        wrong.push(format!("after the repeated vote {alias} is {stands}"));
    }
    for _ in 0..2 {
        steps::plain(world, &json!({"op": "tick"})).await;
    }
    let sent = world.site.calls()["miner-a-0"].as_array().map_or(0, Vec::len);
    let ended = look::whereabouts(&*world.way(), id).await[0]["status"].clone();
    if sent != 3 || ended != "COMPLETED" {
        wrong.push(format!("after the repeated vote and a tick: {sent} sends to 3 things, {ended}"));
    }
}

/// Several callers at once, in an order that the seed has.
async fn parallel(world: &World, step: &Value) -> Value {
    let steps = step["steps"].as_array().unwrap();
    let spawn = |at: usize| {
        let (way, ids, gate) = (world.way(), world.ids.clone(), Arc::clone(&world.gate));
        let step = steps[at].clone();
        tokio::spawn(async move {
            gate.give_way().await;
            steps::by_one_of_many(&*way, &ids, &step).await
        })
    };
    both(spawn, world.gate.draw(2) == 1).await
}

/// Two tasks, the second of which is started first when `swapped`; their answers in their order.
async fn both(spawn: impl Fn(usize) -> tokio::task::JoinHandle<Value>, swapped: bool) -> Value {
    let (first, second) = if swapped {
        let second = spawn(1);
        (spawn(0), second)
    } else {
        let first = spawn(0);
        (first, spawn(1))
    };
    json!([first.await.unwrap(), second.await.unwrap()])
}

/// Two votes at once: whichever reads second is held before it is cast, and the executor runs meanwhile.
async fn slow_second_vote(world: &World, step: &Value) -> Result<Value, String> {
    let ms = |name: &str| Duration::from_millis(step[name].as_u64().unwrap());
    let (delay, tick_after) = (ms("delay_ms"), ms("tick_after_ms"));
    let steps = step["steps"].as_array().unwrap();
    let readers = Arc::new(AtomicUsize::new(0));
    let start = world.cx.clock.mono();
    let spawn = |at: usize| {
        let (engine, way) = (world.engine().clone(), world.way());
        let (ids, gate) = (world.ids.clone(), Arc::clone(&world.gate));
        let (step, readers, clock) = (steps[at].clone(), Arc::clone(&readers), Arc::clone(&world.cx.clock));
        tokio::spawn(async move {
            let read = engine.get(ids[step["on"].as_str().unwrap()]).unwrap().unwrap();
            assert_eq!(read.0["status"], "VOTING");
            if readers.fetch_add(1, Ordering::SeqCst) > 0 {
                clock.sleep_until(start + delay).await;
            }
            gate.give_way().await;
            steps::by_one_of_many(&*way, &ids, &step).await
        })
    };
    let executor = {
        let (engine, clock) = (world.engine().clone(), Arc::clone(&world.cx.clock));
        tokio::spawn(async move {
            clock.sleep_until(start + tick_after).await;
            engine.begin_ready().await
        })
    };
    let answers = both(spawn, world.gate.draw(2) == 1).await;
    executor.await.unwrap().map_err(|e| e.to_string())?;
    world.rest().await?;
    Ok(answers)
}
