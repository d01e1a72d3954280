//! A full disk under an engine.

use std::time::Duration;

use headframe_core::{
    Error,
    action::{ActionQuery, Ballot, Bucket, Engine, Shed, StopScope},
    io::Clock as _,
    store::CrashPlan,
};
use serde_json::json;

use super::{Answer, RACKS, World, by, patient};
use crate::{
    checks::{RESERVE, is_full},
    rig::needed,
    run::Case,
    site::{Mood, person, thing},
    watch::Watch,
};

/// Stops that are asked for on a full disk: more than a file happens to have room for.
const STOPS: usize = 40;
const SECOND: Duration = Duration::from_secs(1);
/// Given free at the end.
const ROOM: u64 = 16 << 20;

/// A disk that fills up while an engine works, and has space again later.
pub async fn in_memory(case: &mut Case) -> Result<(), String> {
    let mut world = World::new(case, RESERVE).await?;
    // The one that is put to sleep takes it.
    world.site.plant.set(&thing(RACKS[0], 0), Mood::Well, false);
    let mut engine = needed("no engine", world.start().await)?;
    let plan = CrashPlan {
        capacity: Some(world.site.disk.used() + case.rng.u64(..400_000)),
        greedy: case.rng.bool(),
        ..CrashPlan::default()
    };
    case.hit_if(plan.greedy, "another program took space at any moment");
    world.site.disk.plan(plan.clone());
    if !world.push(case, &engine, "needs-2", "".into(), json!({})).await? {
        // Not even that fits: it is asked for again when there is space.
        case.hit("full while writing");
    }
    for _ in 0..case.rng.usize(..8) {
        world.step(case, &engine).await?;
    }
    fill_up(case, &mut world, &engine).await?;
    reads(&engine)?;
    stops(case, &mut world, &engine).await?;
    shed(case, &mut world, &engine).await?;
    // The disk is as full as before, but for what was kept.
    is_full(&refused(case, &mut world, &engine).await?)?;
    case.hit("ordinary write refused while full");
    case.hit_if(engine.store().health().reserve_bytes < RESERVE, "reserve used");
    if case.rng.bool() {
        world.off(case, engine).await?;
        let capacity = Some(world.site.disk.used());
        world.site.disk.plan(CrashPlan { capacity, ..CrashPlan::default() });
        engine = needed("refused after a cut while full", world.start().await)?;
        case.hit("cut while full");
        world.site.pass(case.rng.u64(..5_000)).await;
    }
    world.site.disk.take_space(0);
    world.site.disk.plan(CrashPlan { capacity: Some(world.site.disk.used() + ROOM), ..CrashPlan::default() });
    world.site.pass(3_000).await;
    resumed(case, &mut world, &engine).await?;
    // All goes on without a restart.
    world.finish(case, &engine).await?;
    world.cut(case, engine).await.map(drop)
}

/// Pushes until the disk is full. What runs is held up by that, and goes on later.
async fn fill_up(case: &mut Case, world: &mut World, engine: &Engine) -> Result<(), String> {
    for _ in 0..2_000 {
        if let Some(e) = large(case, world, engine, "needs-1").await? {
            case.hit("full while writing");
            world.told.look(engine)?;
            case.hit_if(world.told.under_way().0, "calls held up by a full disk");
            return is_full(&e);
        }
    }
    Err("the disk never became full".into())
}

/// A push that needs room; gives the error.
async fn large(
    case: &mut Case,
    world: &mut World,
    engine: &Engine,
    action: &str,
) -> Result<Option<Error>, String> {
    let query = json!({"id": thing(RACKS[1], case.rng.u32(..super::THINGS))});
    world.push_told(case, engine, action, "z".repeat(20_000).into(), query).await.map(|answer| match answer {
        Answer::Failed(e) => Some(e),
        _ => None,
    })
}

/// The error of a write that needs room.
async fn refused(case: &mut Case, world: &mut World, engine: &Engine) -> Result<Error, String> {
    let told = large(case, world, engine, "needs-3").await?;
    told.ok_or_else(|| "an ordinary write took the space of stop actions".into())
}

/// Everything can be read.
fn reads(engine: &Engine) -> Result<(), String> {
    for bucket in Bucket::ALL {
        for listed in needed("a full disk cannot be read", engine.query(&ActionQuery::new(bucket)))? {
            needed("a full disk cannot be read", engine.get(listed.id))?.ok_or("an action is gone")?;
        }
    }
    Ok(())
}

/// Stops are durable at once, whatever the disk; votes are not.
async fn stops(case: &mut Case, world: &mut World, engine: &Engine) -> Result<(), String> {
    if let Some(id) = world.told.headers().find(|h| h.status.bucket() == Bucket::Voting).map(|h| h.id) {
        let who = by("nobody-voted")?;
        match patient(engine.vote(id, Ballot::new(true), &who)).await? {
            Answer::Failed(e) => is_full(&e).map(|()| case.hit("vote refused while full"))?,
            other => return Err(format!("a vote on a full disk: {other:?}")),
        }
    }
    for n in 0..STOPS {
        let scope = if n == STOPS / 2 {
            StopScope::Halt
        } else {
            StopScope::Person(person(&format!("visitor-{n}"))?)
        };
        let (watch, began) = (Watch::start(), world.site.clock.mono());
        if !world.stop(case, engine, scope, &"smoke ".repeat(80)).await? {
            return Err(format!("the stop {n} was refused on a full disk"));
        }
        case.took(watch.ms());
        let took = world.site.clock.mono().since(began);
        if watch.ms() > 1_000 || took > SECOND {
            return Err(format!("a stop took {} ms, {took:?} of the site's time", watch.ms()));
        }
    }
    case.hit("stop journalled on a full disk");
    Ok(())
}

/// Load is shed and recorded, within a second, though the site is halted and the disk is full.
async fn shed(case: &mut Case, world: &mut World, engine: &Engine) -> Result<(), String> {
    let target = thing(RACKS[0], 0);
    let ask = Shed::new(json!({"id": target}), "the grid asks");
    let began = world.site.clock.mono();
    let answer = patient(engine.shed(ask, &by("dan")?)).await?;
    let Answer::Yes(pushed) = answer else { return Err(format!("load is not shed: {answer:?}")) };
    let id = pushed.id.ok_or("nothing was shed")?;
    world.told.shed(Some(id));
    let took = world.site.clock.mono().since(began);
    world.site.pass(1_000).await;
    let sent = world.site.plant.log().into_iter().find(|sent| sent.id == id);
    if took > SECOND || sent.is_none_or(|sent| sent.begun.since(began) > SECOND) {
        return Err(format!("load was not shed within a second: {took:?}"));
    }
    world.told.look(engine)?;
    let counts = engine.header(id).map(|header| header.counts).unwrap_or_default();
    if counts.ok != 1 {
        return Err(format!("what became of the load that was shed is not recorded: {counts:?}"));
    }
    case.hit("load shed on a full disk");
    Ok(())
}

/// Writing goes on by itself, and the space for stops is taken again.
async fn resumed(case: &mut Case, world: &mut World, engine: &Engine) -> Result<(), String> {
    if large(case, world, engine, "needs-3").await?.is_some() {
        return Err("writing did not resume by itself".into());
    }
    case.hit("resumed by itself");
    let health = engine.store().health();
    if health.full || health.reserve_bytes != RESERVE {
        return Err(format!("the space for stop actions was not taken again: {health:?}"));
    }
    case.hit("reserve whole again");
    engine.reconciled().await;
    world.compare(case, engine).await
}
