//! `w-linear`: clients vote, take back, cancel and read at once, over restarts, with calls that time out and a store that
//! fails: every history has an order in which each action behaves as one register, acknowledged votes are never lost, and
//! nobody sees voting again after somebody saw the decision.

mod search;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use headframe_core::{
    Sent,
    action::{ActionId, Ballot, Engine, RightsSource, policy::Rules, state::Header},
    io::Ctx,
    store::CrashPlan,
};

use super::Check;
use crate::{
    rig::simulate,
    run::{Case, Run},
    site::{Act, Reference, START_MS, Site, Terms, by, header, name, push},
};
use search::{Call, Shown};

pub const CHECK: Check = Check {
    name: "w-linear",
    bug: "stale-read",
    ci: 400,
    long: 5_000,
    probes: &[
        "restarted",
        "a call without an answer",
        "a failing store",
        "a vote acknowledged",
        "a vote refused",
        "taken back",
        "cancelled",
        "approved",
        "denied",
        "read",
    ],
    run,
};

const CLIENTS: usize = 8;
const OPS: usize = 50;
const ACTIONS: usize = 4;
const PEOPLE: usize = 24;
const WEEK_MS: i64 = 7 * 24 * 3_600 * 1_000;
const RACK: &str = "miner-wm-1";

/// What all clients have in common.
#[derive(Debug)]
struct World {
    cx: Ctx,
    /// None while the engine is down.
    engine: Mutex<Option<Engine>>,
    ids: Vec<ActionId>,
    /// Numbers what is asked and answered, in its order.
    order: AtomicU64,
    calls: Mutex<Vec<(usize, Call)>>,
}

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.until(run.n(), |case| simulate(one(case)));
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn one(case: &mut Case) -> Result<(), String> {
    let mut rules = Rules::mos();
    rules.default.votes_against = case.rng.u32(2..5);
    let no = rules.default.votes_against as usize;
    let mut site = Site::new(case, &[(RACK, 1)], rules, RightsSource::Claims).await?;
    site.options.begin_by_itself = false;
    let engine = site.start().await?;
    let (mut ids, mut needs) = (Vec::new(), Vec::new());
    for _ in 0..ACTIONS {
        let yes = case.rng.usize(2..12);
        ids.push(push(&engine, u32::try_from(yes).unwrap_or(2), &name(0)).await?);
        needs.push(yes);
    }
    let world = Arc::new(World {
        cx: site.cx.clone(),
        engine: Mutex::new(Some(engine)),
        ids,
        order: AtomicU64::new(0),
        calls: Mutex::default(),
    });
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(Arc::clone(&world), case.rng.u64(..)));
    }
    for _ in 0..case.rng.usize(..4) {
        site.pass(case.rng.u64(1..400)).await;
        if case.rng.bool() {
            case.hit("a failing store");
            let (fail_at, fail_for) = (Some(case.rng.u64(..20)), case.rng.u64(1..4));
            site.disk.plan(CrashPlan { fail_at, fail_for, ..CrashPlan::default() });
        } else {
            case.hit("restarted");
            site.disk.plan(CrashPlan::default());
            restart(&world, &site).await?;
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended.map_err(|e| format!("a client: {e}"))??;
    }
    site.disk.plan(CrashPlan::default());
    restart(&world, &site).await?;
    let engine = lock(&world.engine).take().ok_or("no engine")?;
    judge(case, &world, &engine, &needs, no)
}

/// The engine dies with whatever is under way.
async fn restart(world: &World, site: &Site) -> Result<(), String> {
    let Some(engine) = lock(&world.engine).take() else { return Ok(()) };
    // Whoever is waiting for an answer never gets one: clients look every few ms whether the engine is still there.
    site.pass(20).await;
    let engine = site.restart(engine).await?;
    *lock(&world.engine) = Some(engine);
    Ok(())
}

/// Does 50 things, one after the other.
async fn client(world: Arc<World>, seed: u64) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..OPS {
        let pause = Duration::from_millis(rng.u64(..12));
        world.cx.clock.sleep_until(world.cx.clock.mono() + pause).await;
        let Some(engine) = lock(&world.engine).clone() else { continue };
        let at = rng.usize(..ACTIONS);
        let (id, who) = (world.ids[at], rng.usize(..PEOPLE));
        let act = match rng.u8(..40) {
            0..=17 => Some(Act::Vote(who, rng.u8(..8) > 0)),
            18..=23 => Some(Act::Withdraw(who)),
            24 => Some(Act::Cancel(if rng.u8(..4) == 0 { 0 } else { who })),
            _ => None,
        };
        let asked = world.order.fetch_add(1, Ordering::SeqCst);
        let told = match &act {
            None => Some(Ok(shown(&*header(&engine, id)?))),
            Some(act) => ask(&world, &mut rng, engine, id, act).await?,
        };
        let answered = world.order.fetch_add(1, Ordering::SeqCst);
        lock(&world.calls).push((at, Call { act, asked, answered, told }));
    }
    Ok(())
}

/// Asks for a change; without an answer when the engine dies, when the caller has no more patience, or when the store
/// cannot say what became of it.
async fn ask(
    world: &World,
    rng: &mut fastrand::Rng,
    engine: Engine,
    id: ActionId,
    act: &Act,
) -> Result<Option<Result<Shown, &'static str>>, String> {
    let who = match act {
        Act::Vote(who, _) | Act::Withdraw(who) | Act::Cancel(who) => by(&name(*who))?,
        _ => return Err("not something that a client does".into()),
    };
    let change = async {
        match act {
            Act::Vote(_, yes) => engine.vote(id, Ballot::new(*yes), &who).await,
            Act::Withdraw(_) => engine.withdraw(id, &who).await,
            _ => engine.cancel(id, &who).await,
        }
    };
    let patience = if rng.u8(..10) == 0 { rng.usize(..2) } else { usize::MAX };
    let gives_up = async {
        for _ in 0..patience {
            if patience < 2 {
                tokio::task::yield_now().await;
                continue;
            }
            let clock = &world.cx.clock;
            clock.sleep_until(clock.mono() + Duration::from_millis(5)).await;
            if lock(&world.engine).is_none() {
                return;
            }
        }
    };
    let told = tokio::select! {
        biased;
        told = change => told,
        () = gives_up => return Ok(None),
    };
    Ok(match told {
        Ok(header) => Some(Ok(shown(&header))),
        Err(e) if e.sent() == Sent::Maybe || e.code().is_empty() => None,
        Err(e)
            if e.code().starts_with("ERR_ACTION")
                || e.code().starts_with("ERR_VOTER")
                || e.code().starts_with("ERR_CALLER") =>
        {
            Some(Err(e.code()))
        }
        // It certainly did nothing.
        Err(_) => Some(Err("")),
    })
}

fn shown(header: &Header) -> Shown {
    let votes = header.votes.iter().map(|v| (v.person.key().to_owned(), v.approve)).collect();
    Shown { status: header.status.as_str(), votes, rev: header.rev }
}

fn judge(case: &mut Case, world: &World, engine: &Engine, needs: &[usize], no: usize) -> Result<(), String> {
    let calls = std::mem::take(&mut *lock(&world.calls));
    for (at, id) in world.ids.iter().enumerate() {
        let mut own: Vec<Call> = calls.iter().filter(|(a, _)| *a == at).map(|(_, c)| c.clone()).collect();
        own.iter().for_each(|call| probes(case, call));
        let last = shown(&*header(engine, *id)?);
        let end = world.order.fetch_add(2, Ordering::SeqCst);
        own.push(Call { act: None, asked: end, answered: end + 1, told: Some(Ok(last.clone())) });
        lost(&own, &last)?;
        stale(&own)?;
        let terms = Terms { yes: needs[at], no, own: true, expires: START_MS + WEEK_MS, within: WEEK_MS };
        let start = Reference::pushed(terms, 1, START_MS);
        search::order(&own, start).map_err(|e| format!("no order explains the history of {id}: {e}"))?;
    }
    Ok(())
}

fn probes(case: &mut Case, call: &Call) {
    case.hit_if(call.told.is_none(), "a call without an answer");
    case.hit_if(call.act.is_none(), "read");
    let Some(told) = &call.told else { return };
    match (&call.act, told) {
        (Some(Act::Vote(..)), Ok(_)) => case.hit("a vote acknowledged"),
        (Some(Act::Vote(..)), Err(_)) => case.hit("a vote refused"),
        (Some(Act::Withdraw(_)), Ok(_)) => case.hit("taken back"),
        (Some(Act::Cancel(_)), Ok(_)) => case.hit("cancelled"),
        _ => {}
    }
    if let Ok(shown) = told {
        case.hit_if(shown.status == "APPROVED", "approved");
        case.hit_if(shown.status == "DENIED", "denied");
    }
}

/// Every acknowledged vote that nobody may have taken back is there in the end.
fn lost(calls: &[Call], last: &Shown) -> Result<(), String> {
    let there: BTreeSet<&String> = last.votes.iter().map(|(who, _)| who).collect();
    for call in calls {
        let (Some(Act::Vote(who, _)), Some(Ok(_))) = (&call.act, &call.told) else { continue };
        let back = |c: &Call| {
            matches!(c.act, Some(Act::Withdraw(other)) if other == *who) && !matches!(c.told, Some(Err(_)))
        };
        if !there.contains(&name(*who)) && !calls.iter().any(back) {
            return Err(format!("the acknowledged vote of {} is lost", name(*who)));
        }
    }
    Ok(())
}

/// After somebody saw the decision nobody sees voting.
fn stale(calls: &[Call]) -> Result<(), String> {
    let seen = |call: &Call| call.told.as_ref().and_then(|told| told.as_ref().ok()).map(|shown| shown.status);
    let decided = calls.iter().filter(|call| seen(call).is_some_and(|status| status != "VOTING"));
    let Some(first) = decided.map(|call| call.answered).min() else { return Ok(()) };
    match calls.iter().find(|call| call.asked > first && seen(call) == Some("VOTING")) {
        Some(call) => Err(format!("a stale read: {call:?} after {first}")),
        None => Ok(()),
    }
}
