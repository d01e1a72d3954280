//! A disk that fails at any call, under an engine.

use headframe_core::store::CrashPlan;
use serde_json::json;

use super::World;
use crate::{rig::needed, run::Case};

/// How many calls one case stands for: an engine makes many.
const STRIDE: u64 = 4;
/// Calls that follow the first that fails, at least.
const BEYOND: u64 = 100;
/// Steps in which that many calls have to come.
const STEPS: usize = 300;

/// An engine over a disk that fails from about the `k`-th stretch of calls on, some times.
pub async fn fails_at(case: &mut Case, k: u64) -> Result<(), String> {
    let mut world = World::new(case, 0).await?;
    let engine = needed("no engine", world.start().await)?;
    let fail_for = *case.rng.choice(&[1, 2, 3, 7, 40]).unwrap_or(&1);
    let at = k * STRIDE + case.rng.u64(..STRIDE);
    let plan = CrashPlan { fail_at: Some(at), fail_for, forget_failed_sync: true, ..CrashPlan::default() };
    world.site.disk.plan(plan);
    for _ in 0..STEPS {
        if world.site.disk.calls() >= at + fail_for + BEYOND {
            break;
        }
        let told = world.step(case, &engine).await?;
        case.hit_if(!told, "told nothing until mended");
        world.told.undone(&engine)?;
    }
    world.site.disk.plan(CrashPlan::default());
    world.site.pass(2_000).await;
    if !world.push(case, &engine, "needs-1", "mended".into(), json!({})).await? {
        return Err(format!("call {at}: the store did not mend itself"));
    }
    if let Some(broken) = engine.store().health().broken {
        return Err(format!("call {at}: the store counts as broken: {broken}"));
    }
    // The same key gives the one action that there is, or a new one where there is none.
    world.retry(case, &engine).await?;
    world.compare(case, &engine).await.map_err(|e| format!("call {at}: {e}"))?;
    // All goes on without a restart.
    let restarts = case.rng.u8(..3) == 0;
    if !restarts {
        world.finish(case, &engine).await.map_err(|e| format!("call {at}, at the end: {e}"))?;
    }
    // What a failed sync forgot was written once more.
    let engine = world.cut(case, engine).await.map_err(|e| format!("call {at}, after a cut: {e}"))?;
    if restarts {
        world.finish(case, &engine).await.map_err(|e| format!("call {at}, after a cut: {e}"))?;
    }
    Ok(())
}
