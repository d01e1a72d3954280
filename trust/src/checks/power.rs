//! `s-power`: the power is cut at any moment, with what was not synced lost, reordered and torn.

use std::{collections::BTreeMap, sync::Arc};

use headframe_core::{
    Error, Sent,
    store::{CrashBackend, CrashPlan},
};
use serde_json::{Value, json};

use super::{Check, step};
use crate::{
    oracle::{Oracle, is_refusal},
    past,
    rig::{Rig, needed, simulate},
    run::{Case, Run},
    telemetry,
    workload::{Op, Registry, actions},
};

pub const CHECK: Check = Check {
    name: "s-power",
    bug: "no-sync",
    ci: 8_000,
    long: 40_000,
    probes: &[
        "register",
        "update",
        "comment",
        "settings",
        "forget",
        "settle",
        "reword",
        "seen",
        "merge",
        "split",
        "a guard refused",
        "cut within a commit",
        "cut between commits",
        "cut while a store was made",
        "writes lost",
        "torn block",
        "batch at the cut was durable",
        "batch at the cut was not",
        "several batches in a commit",
        "refused beside accepted",
        "a cut while executing",
        "a cut with a call under way",
        "reconciled after a cut",
        "nobody knows after a cut",
        "stops hold over a cut",
        "pushed again with its key",
        "several votes at once",
        "voted",
        "taken back",
        "cancelled",
        "settled by a person",
        "stopped",
        "shed",
        "setLimits",
        "setPolicy",
        "a sample of an earlier day",
        "a log sealed",
        "parts merged",
        "a day made",
        "days removed",
        "cut while a history was made",
        "cut while a history was opened",
        "cut within maintenance",
        "killed before the cut",
        "a torn commit",
        "an unfinished step was put right",
        "the commit at the cut was durable",
        "the commit at the cut was not",
        "readings were durable",
        "readings were lost",
        "a reading came late",
        "cut while telemetry was opened",
        "rows made anew",
    ],
    run,
};

const SECTOR: usize = 512;
const BLOCK: usize = 4096;
/// One case in so many has many callers; and in so many one has its first cut while the store is made. Both are odd, so
/// that the workloads take turns in them.
const CROWDS: u64 = 5;
const MAKINGS: u64 = 35;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("backend");
    run.until(run.n(), |case| match case.index % CROWDS {
        _ if case.is_over_actions() => simulate(actions::power_life(case)),
        _ if case.is_over_history() => past::power_life(case),
        _ if case.is_over_telemetry() => simulate(telemetry::power_life(case)),
        3 => simulate(crowd(case)),
        4 if case.index % MAKINGS == 4 => simulate(making(case)),
        _ => simulate(life(case)),
    });
    Ok(())
}

/// One store that lives through several cuts.
async fn life(case: &mut Case) -> Result<(), String> {
    let rig = Rig::new(case);
    let mut disk = CrashBackend::new(case.seed);
    let mut registry = needed("a store cannot be made", rig.create(disk.clone()).await)?;
    let mut oracle = Oracle::empty();
    let mut n = 0;
    for _ in 0..case.rng.usize(1..12) {
        let planned = case.rng.u32(0..5) > 0;
        if planned {
            let cut_at = Some(case.rng.u64(0..120));
            disk.plan(CrashPlan { cut_at, ..CrashPlan::default() });
        }
        let mut within = false;
        for _ in 0..case.rng.usize(1..30) {
            n += 1;
            let told = step::change(case, &*registry, &mut oracle, n).await?;
            if told.is_err() && !step::refused(&told) {
                if !planned {
                    return Err(format!("refused although nothing is wrong: {told:?}"));
                }
                within = true;
                break;
            }
        }
        case.hit(if within { "cut within a commit" } else { "cut between commits" });
        let last = oracle.model();
        let in_flight = oracle.unsure();
        disk = cut(case, &disk);
        registry = needed("refused after a power cut", rig.open(disk.clone()).await)?;
        let found = registry.content();
        oracle.found(&found)?;
        if in_flight {
            case.hit(if found == last { "batch at the cut was not" } else { "batch at the cut was durable" });
        }
        case.unit();
    }
    Ok(())
}

/// The disk after a cut; notes what the cut did.
pub fn cut(case: &mut Case, disk: &CrashBackend) -> CrashBackend {
    let before = disk.bytes();
    let after = disk.cut();
    let image = after.bytes();
    case.hit_if(image != before, "writes lost");
    let torn = before.chunks(BLOCK).zip(image.chunks(BLOCK)).any(|(a, b)| {
        let same = a.chunks(SECTOR).zip(b.chunks(SECTOR)).filter(|(a, b)| a == b).count();
        // Sectors without content are the same in any case.
        a != b
            && same > 0
            && a.chunks(SECTOR).zip(b.chunks(SECTOR)).any(|(a, b)| a == b && a.iter().any(|x| *x != 0))
    });
    case.hit_if(torn, "torn block");
    after
}

/// The power is cut while a store is made: it is there and empty, or refused.
async fn making(case: &mut Case) -> Result<(), String> {
    let rig = Rig::new(case);
    let disk = CrashBackend::new(case.seed);
    disk.plan(CrashPlan { cut_at: Some(case.rng.u64(0..40)), ..CrashPlan::default() });
    let made = rig.create(disk.clone()).await;
    case.hit_if(made.is_err(), "cut while a store was made");
    match rig.open(disk.cut()).await {
        Ok(registry) if registry.content().is_empty() => Ok(()),
        Ok(_) => Err("a store that was being made has content".into()),
        Err(e) if made.is_ok() => Err(format!("a store that was made is refused: {e}")),
        Err(e) if e.code().starts_with("STORE_") => Ok(()),
        Err(e) => Err(format!("no error of a store: {e:?}")),
    }
}

/// What a caller of a crowd wrote and was told.
struct Told {
    things: Vec<String>,
    stamp: u64,
    result: Result<(), Error>,
}

/// Many callers at once, some of them for the same names, and a cut among them. Which batches share a commit depends
/// on the machine; what must be true does not.
async fn crowd(case: &mut Case) -> Result<(), String> {
    let rig = Rig::new(case).with_thread();
    let disk = CrashBackend::new(case.seed);
    let registry = needed("a store cannot be made", rig.create(disk.clone()).await)?;
    let cut_at = (case.rng.u32(0..4) > 0).then(|| case.rng.u64(0..60));
    disk.plan(CrashPlan { cut_at, ..CrashPlan::default() });
    let callers = case.rng.u64(8..40);
    let mut waiting = Vec::new();
    for stamp in 0..callers {
        // Two neighbours in four want the same things.
        let name = if stamp % 4 < 2 { format!("s{}", stamp / 4) } else { format!("c{stamp}") };
        let things: Vec<String> = (0..3).map(|part| format!("{name}-{part}")).collect();
        let op = Op::Register(things.iter().map(|id| (id.clone(), json!({ "stamp": stamp }))).collect());
        let registry = registry.clone();
        waiting.push(tokio::spawn(async move {
            Told { things, stamp, result: registry.apply(&op).await.map(drop) }
        }));
    }
    let mut told = Vec::new();
    for caller in waiting {
        told.push(caller.await.map_err(|e| format!("a caller ended: {e}"))?);
    }
    let health = registry.store().health();
    case.hit_if(health.batches > health.commits, "several batches in a commit");
    case.hit_if(health.refused > 0 && health.batches > 0, "refused beside accepted");
    let after = cut(case, &disk);
    drop(registry);
    let registry = needed("refused after a power cut", rig.open(after).await)?;
    judge(&*registry, &told)
}

fn judge(registry: &dyn Registry, told: &[Told]) -> Result<(), String> {
    let content = registry.content();
    let mut owners: BTreeMap<&str, u64> = BTreeMap::new();
    for Told { things, stamp, result } in told {
        let is_mine = |text: &Arc<str>| {
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            [&value["stamp"], &value["info"]["stamp"]].contains(&&json!(stamp))
        };
        let mine = |id: &&String| content.get(&format!("things/{id}")).is_some_and(is_mine);
        let there = things.iter().filter(mine).count();
        if there != 0 && there != things.len() {
            return Err(format!("a part of batch {stamp} is there"));
        }
        let text = |what: &str| Err(format!("batch {stamp} {what}: {result:?}"));
        match result {
            Ok(()) if there == 0 => return text("was acknowledged and is lost"),
            Ok(()) => {
                let first = things.first().map_or("", String::as_str);
                if owners.insert(first, *stamp).is_some() {
                    return text("was acknowledged beside another of the same names");
                }
            }
            Err(e) if e.sent() == Sent::No && there > 0 => return text("was told undone and is there"),
            Err(e) if !is_refusal(e) && !e.code().starts_with("STORE_") => {
                return text("got no error of a store");
            }
            Err(_) => {}
        }
    }
    Ok(())
}
