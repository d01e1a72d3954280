//! Bits that flip under an engine: in the file at rest, in one record of it, while the engine runs, in a read.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Error, ErrorKind,
    action::Engine,
    store::{CrashBackend, CrashPlan, code},
};
use serde_json::json;

use super::{World, damage, look::Told};
use crate::{
    checks::{WrongOnce, flip},
    rig::{needed, within},
    run::Case,
    site::Plant,
};

/// A site whose power went while something ran.
#[derive(Debug)]
pub struct Sample {
    pub(super) bytes: Vec<u8>,
    plant: Plant,
    told: Told,
    n: u64,
}

/// A site with actions of every kind, one of which executed when the power went.
pub async fn sample(case: &mut Case) -> Result<Sample, String> {
    let mut world = World::new(case, 0).await?;
    let engine = needed("no engine", world.start().await)?;
    for _ in 0..50 {
        world.step(case, &engine).await?;
    }
    world.stop(case, &engine, headframe_core::action::StopScope::Freeze, "storm").await?;
    world.lift_all(&engine).await?;
    world.push(case, &engine, "needs-1", "".into(), json!({})).await?;
    world.push(case, &engine, "needs-2", "".into(), json!({})).await?;
    world.site.pass(case.rng.u64(5..40)).await;
    world.stop(case, &engine, headframe_core::action::StopScope::Halt, "smoke").await?;
    world.off(case, engine).await?;
    let World { site, told, n } = world;
    Ok(Sample { bytes: site.disk.bytes(), plant: site.plant.fork(), told, n })
}

impl World {
    /// The site of a sample, as it was.
    pub(super) async fn of(case: &mut Case, sample: &Sample) -> Result<Self, String> {
        let mut world = Self::new(case, 0).await?;
        world.site.disk = CrashBackend::with_bytes(case.seed, sample.bytes.clone());
        world.site.plant = Arc::new(sample.plant.fork());
        (world.told, world.n) = (sample.told.clone(), sample.n);
        // The time of the sample is over.
        world.site.clock.jump(60_000);
        Ok(world)
    }
}

/// Whether a damaged site may be refused so.
pub fn is_damage(e: &Error) -> bool {
    e.code().starts_with("STORE_") || e.kind() == ErrorKind::Corrupt
}

/// One flip, in turn of another kind.
pub async fn one(case: &mut Case, sample: &Sample, round: u64) -> Result<(), String> {
    match round % 6 {
        0 => at_rest(case, sample).await,
        1 => damage::of_a_record(case, sample, round / 6).await,
        2 => while_open(case, sample).await,
        3 | 4 => in_a_read(case, sample).await,
        _ => damage::beneath_an_engine(case, sample, round / 6).await,
    }
}

/// A refused site is as it was, and has sent nothing.
pub fn refused(world: &World, before: (&[u8], usize), e: &Error) -> Result<(), String> {
    if !is_damage(e) {
        return Err(format!("no error of damage: {e:?}"));
    }
    if world.site.disk.bytes() != before.0 {
        return Err("a refused file was changed".into());
    }
    if world.site.plant.count() != before.1 {
        return Err("a refused site sent something".into());
    }
    Ok(())
}

/// Waits until what was under way was looked at, and compares.
async fn compared(case: &mut Case, world: &mut World, engine: &Engine) -> Result<(), String> {
    if within(Duration::from_secs(60), engine.reconciled()).await.is_none() {
        return Err("what was under way is not looked at".into());
    }
    world.compare(case, engine).await
}

async fn at_rest(case: &mut Case, sample: &Sample) -> Result<(), String> {
    case.hit("flip at rest");
    let mut world = World::of(case, sample).await?;
    flip(case, &world.site.disk);
    let (bytes, sent) = (world.site.disk.bytes(), world.site.plant.count());
    match world.start().await {
        Err(e) => {
            case.hit("refused");
            refused(&world, (&bytes, sent), &e)
        }
        Ok(engine) => {
            case.hit("harmless");
            compared(case, &mut world, &engine).await?;
            world.finish(case, &engine).await
        }
    }
}

async fn while_open(case: &mut Case, sample: &Sample) -> Result<(), String> {
    case.hit("flip while open");
    let mut world = World::of(case, sample).await?;
    let engine = world.recover(case).await?;
    let bit = case.rng.usize(0..world.site.disk.bytes().len() * 8);
    world.site.disk.flip(bit);
    if case.rng.bool() {
        match engine.store().verify().await {
            Err(e) if e.code() == code::CORRUPT => case.hit("noticed by verify"),
            other => return Err(format!("verify did not see the flip of bit {bit}: {other:?}")),
        }
    }
    go_on(case, world, engine).await
}

/// People go on over a disk that may be damaged: what they are told is right, and so is what is there when it is opened
/// again, unless it is refused.
async fn go_on(case: &mut Case, mut world: World, engine: Engine) -> Result<(), String> {
    for _ in 0..8 {
        if !world.step(case, &engine).await? {
            case.hit("a commit met the damage");
            break;
        }
        super::verdict::devices(&world, &engine)?;
    }
    world.off(case, engine).await?;
    let (bytes, sent) = (world.site.disk.bytes(), world.site.plant.count());
    match world.start().await {
        Err(e) => refused(&world, (&bytes, sent), &e),
        Ok(engine) => compared(case, &mut world, &engine).await,
    }
}

async fn in_a_read(case: &mut Case, sample: &Sample) -> Result<(), String> {
    case.hit("flip in a read");
    let mut world = World::of(case, sample).await?;
    world.site.disk.plan(CrashPlan::default());
    let wrong = WrongOnce::new(world.site.disk.clone(), case.rng.u64(0..60), case.rng.usize(..));
    let opened = world.site.store_on(wrong).await.and_then(|store| world.site.run(store));
    match opened {
        Err(e) => {
            case.hit("refused");
            refused(&world, (&sample.bytes, world.site.plant.count()), &e)
        }
        Ok(engine) => {
            compared(case, &mut world, &engine).await?;
            case.hit("opened in spite of a wrong read");
            go_on(case, world, engine).await
        }
    }
}
