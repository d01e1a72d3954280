//! Power cuts while an engine works, and while it looks at what was under way.

use std::time::Duration;

use headframe_core::store::{CrashBackend, CrashPlan};

use super::World;
use crate::{rig::within, run::Case};

/// Backend calls among which the power is cut.
const CALLS: u64 = 500;
/// Backend calls of an opening, or of what follows it, that the second cut is drawn from.
const FIRST_CALLS: u64 = 120;

/// One site that lives through several cuts.
pub async fn life(case: &mut Case) -> Result<(), String> {
    let mut world = World::new(case, 0).await?;
    let mut engine = world.start().await.map_err(|e| format!("no engine: {e}"))?;
    for _ in 0..case.rng.usize(1..6) {
        engine = round(case, &mut world, engine).await?;
        case.unit();
    }
    world.site.disk.plan(CrashPlan::default());
    world.finish(case, &engine).await
}

/// People ask until the power is cut, and a new engine looks at it.
async fn round(
    case: &mut Case,
    world: &mut World,
    engine: headframe_core::action::Engine,
) -> Result<headframe_core::action::Engine, String> {
    let planned = case.rng.u8(..5) > 0;
    if planned {
        let cut_at = Some(case.rng.u64(..CALLS));
        world.site.disk.plan(CrashPlan { cut_at, ..CrashPlan::default() });
    }
    for _ in 0..case.rng.usize(1..30) {
        if !world.step(case, &engine).await? {
            if !planned {
                return Err("the store failed although nothing is wrong".into());
            }
            break;
        }
    }
    world.cut(case, engine).await
}

/// The power is cut again while an engine opens its store and looks at what was under way.
pub async fn again(case: &mut Case) -> Result<(), String> {
    let mut world = World::new(case, 0).await?;
    let engine = world.start().await.map_err(|e| format!("no engine: {e}"))?;
    for _ in 0..case.rng.usize(6..16) {
        world.step(case, &engine).await?;
    }
    // Something runs when the power goes for the first time.
    world.push(case, &engine, "needs-1", "".into(), serde_json::json!({})).await?;
    world.site.pass(case.rng.u64(5..60)).await;
    world.off(case, engine).await?;
    let cuts = case.rng.usize(1..5);
    for _ in 0..cuts {
        while_opening(case, &mut world).await?;
        case.unit();
    }
    case.hit_if(cuts >= 3, "three cuts in a row");
    world.site.disk.plan(CrashPlan::default());
    let engine = world.recover(case).await?;
    // A look at what is known already changes nothing.
    world.off(case, engine).await?;
    let engine = world.recover(case).await?;
    world.finish(case, &engine).await
}

async fn while_opening(case: &mut Case, world: &mut World) -> Result<(), String> {
    // How many calls this opening takes is tried out on a copy.
    let copy = CrashBackend::with_bytes(case.seed, world.site.disk.bytes());
    let disk = std::mem::replace(&mut world.site.disk, copy);
    let opened = world.site.store().await.map_err(|e| format!("refused after a power cut: {e}"))?;
    drop(opened);
    let opening = std::mem::replace(&mut world.site.disk, disk.clone()).calls();
    let cut_at = match case.rng.u8(..4) {
        0 => case.rng.u64(..opening.max(1)),
        _ => opening + case.rng.u64(..FIRST_CALLS),
    };
    disk.plan(CrashPlan { cut_at: Some(cut_at), ..CrashPlan::default() });
    match world.start().await {
        Err(e) if e.code().starts_with("STORE_") => {
            case.hit("cut while opening");
            world.site.disk = crate::checks::cut_power(case, &disk);
        }
        Err(e) => return Err(format!("no error of a store: {e:?}")),
        Ok(engine) => {
            let patience = Duration::from_millis(case.rng.u64(1..3_000));
            let done = within(patience, engine.reconciled()).await.is_some();
            case.hit_if(!done, "cut while reconciling");
            world.off(case, engine).await?;
        }
    }
    Ok(())
}
