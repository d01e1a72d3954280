//! `s-power2`: the power is cut again while the store is opened and its registry finishes what was left.

use headframe_core::store::{CrashBackend, CrashPlan};

use super::{Check, SETTLES_TWICE, power::cut, step};
use crate::{
    oracle::Oracle,
    rig::{Rig, needed, simulate},
    run::{Case, Run},
    workload::{Op, actions},
};

pub const CHECK: Check = Check {
    name: "s-power2",
    bug: SETTLES_TWICE,
    ci: 6_000,
    long: 30_000,
    probes: &[
        "forget",
        "settle",
        "cut while opening",
        "cut after repairs began",
        "cut while settling",
        "opened before the cut",
        "three cuts in a row",
        "writes lost",
        "torn block",
        "a cut while executing",
        "a cut with a call under way",
        "cut while reconciling",
        "reconciled after a cut",
        "nobody knows after a cut",
    ],
    run,
};

/// Backend calls of an opening that the second cut is drawn from.
const FIRST_CALLS: u64 = 30;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("backend");
    run.until(run.n(), |case| {
        if case.is_over_actions() { simulate(actions::power_again(case)) } else { simulate(life(case)) }
    });
    Ok(())
}

async fn life(case: &mut Case) -> Result<(), String> {
    let rig = Rig::new(case);
    let mut disk = CrashBackend::new(case.seed);
    let registry = needed("a store cannot be made", rig.create(disk.clone()).await)?;
    let mut oracle = Oracle::empty();
    for n in 0..case.rng.u64(3..12) {
        step::sound(case, &*registry, &mut oracle, n).await?;
    }
    disk.plan(CrashPlan { cut_at: Some(case.rng.u64(0..60)), ..CrashPlan::default() });
    for n in 100..case.rng.u64(102..120) {
        let told = step::change(case, &*registry, &mut oracle, n).await?;
        if told.is_err() && !step::refused(&told) {
            break;
        }
    }
    disk = cut(case, &disk);
    let cuts = case.rng.usize(1..5);
    for _ in 0..cuts {
        disk = again(case, &rig, &disk, &mut oracle).await?;
        case.unit();
    }
    case.hit_if(cuts >= 3, "three cuts in a row");
    disk.plan(CrashPlan::default());
    let registry = needed("refused after the last cut", rig.open(disk.clone()).await)?;
    oracle.found(&registry.content())?;
    let settled = step::make(case, &*registry, &mut oracle, &Op::Settle).await?;
    needed("cannot settle after the last cut", settled)?;
    oracle.found(&registry.content())
}

/// Opens and settles until the power is cut once more; gives the disk after that.
async fn again(
    case: &mut Case,
    rig: &Rig,
    disk: &CrashBackend,
    oracle: &mut Oracle,
) -> Result<CrashBackend, String> {
    // How many calls this opening takes is tried out on a copy.
    let copy = CrashBackend::with_bytes(case.seed, disk.bytes());
    let opened = rig.open(copy.clone()).await;
    let opening = copy.calls();
    needed("refused after a power cut", opened.map(drop))?;
    let cut_at = match case.rng.u32(0..3) {
        0 => case.rng.u64(0..FIRST_CALLS),
        1 => case.rng.u64(opening / 2..opening.max(1) + 1),
        _ => opening + case.rng.u64(0..FIRST_CALLS),
    };
    let before = disk.bytes();
    disk.plan(CrashPlan { cut_at: Some(cut_at), ..CrashPlan::default() });
    match rig.open(disk.clone()).await {
        Ok(registry) => {
            case.hit("opened before the cut");
            oracle.found(&registry.content())?;
            let told = step::make(case, &*registry, oracle, &Op::Settle).await?;
            case.hit_if(told.is_err(), "cut while settling");
        }
        Err(e) if e.code().starts_with("STORE_") => {
            case.hit("cut while opening");
            case.hit_if(disk.bytes() != before, "cut after repairs began");
        }
        Err(e) => return Err(format!("no error of a store: {e:?}")),
    }
    Ok(cut(case, disk))
}
