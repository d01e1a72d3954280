//! `f-stop`: whatever waits, hangs or fails, no send begins after a halt is acknowledged until two people lift it; and load
//! that is shed goes at once, at the site's ramp, with a whole report.

use std::time::Duration;

use headframe_core::{
    action::{ActionId, BatchOptions, Draft, Engine, RightsSource, Shed, StopScope, policy::Rules},
    io::{Clock as _, Mono},
    store::CrashPlan,
};
use serde_json::json;

use super::Check;
use crate::{
    rig::{needed, simulate, within},
    run::{Case, Run},
    site::{Mood, Site, by, code, draft, header, name, thing, vote},
};

pub const CHECK: Check = Check {
    name: "f-stop",
    bug: "stop-in-queue",
    ci: 160,
    long: 2_000,
    probes: &[
        "halted",
        "10,000 calls queued",
        "a full store",
        "a failing store",
        "a rack that hangs",
        "approvals at the same time",
        "halted with calls on their way",
        "halted over a restart",
        "one person is not enough",
        "lifted",
        "shed",
        "shed twice at once",
        "shed while halted",
        "shed beside 10,000 calls",
    ],
    run,
};

const RACKS: [&str; 4] = ["miner-wm-1", "miner-wm-2", "miner-wm-3", "miner-wm-4"];
/// One case in so many has the full figures.
const FULL: u64 = 80;
const QUEUED: u32 = 10_000;
const PENDING: usize = 1_000;
/// Kept on the disk for stops.
const RESERVE: u64 = 2 << 20;
const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;
/// A caller of a stop that waits longer, in simulated time, waits for ever.
const WAIT: Duration = Duration::from_secs(3_600);
/// How long a report may take when a rack of the full figures hangs.
const HOURS: u32 = 4;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.until(run.n(), |case| {
        if case.index.is_multiple_of(2) { simulate(halted(case)) } else { simulate(shed(case)) }
    });
    Ok(())
}

/// What a stop answers its caller.
async fn returned<T>(what: &str, call: impl Future<Output = T>) -> Result<T, String> {
    within(WAIT, call).await.ok_or_else(|| format!("{what} did not return within {WAIT:?}"))
}

/// A site under load.
struct Load {
    site: Site,
    engine: Engine,
    /// Things of each rack.
    things: u32,
    running: Vec<ActionId>,
    pending: Vec<ActionId>,
    /// The rack whose devices hang.
    hangs: Option<&'static str>,
}

impl Load {
    async fn new(case: &mut Case) -> Result<Self, String> {
        let full = (case.index / 2).is_multiple_of(FULL);
        let things = if full { QUEUED / 4 } else { case.rng.u32(5..60) };
        let racks = RACKS.map(|rack| (rack, things));
        let mut site = Site::with_reserve(case, &racks, Rules::mos(), RightsSource::Claims, RESERVE).await?;
        site.options.in_flight = case.rng.usize(4..80);
        site.options.in_flight_per_rack = case.rng.usize(2..40);
        site.options.call_within = Duration::from_secs(120);
        let hangs = case.rng.bool().then(|| RACKS[case.rng.usize(..4)]);
        for rack in RACKS {
            for n in 0..things {
                let id = thing(rack, n);
                site.plant.weigh(&id, case.rng.u64(5..300), f64::from(case.rng.u32(10..60)) / 10.0);
                let mood = if case.rng.bool() { Mood::Hangs } else { Mood::Silent };
                if hangs == Some(rack) {
                    site.plant.set(&id, mood, false);
                }
            }
        }
        case.hit_if(hangs.is_some(), "a rack that hangs");
        case.hit_if(
            full,
            if case.index.is_multiple_of(2) { "10,000 calls queued" } else { "shed beside 10,000 calls" },
        );
        let engine = site.start().await?;
        let mut load = Self { site, engine, things, running: Vec::new(), pending: Vec::new(), hangs };
        load.push(case.rng.usize(1..3), if full { PENDING } else { 20 }).await?;
        load.site.pass(case.rng.u64(..3_000)).await;
        Ok(load)
    }

    async fn push(&mut self, running: usize, pending: usize) -> Result<(), String> {
        for _ in 0..running {
            self.running.push(crate::site::push(&self.engine, 1, &name(0)).await?);
        }
        let one = json!({"id": thing(RACKS[0], 0)});
        let drafts: Result<Vec<Draft>, String> =
            (0..pending).map(|_| draft(2, Vec::new(), one.clone())).collect();
        let pushed = self.engine.push_batch(drafts?, &BatchOptions::default(), &by(&name(0))?).await;
        self.pending = needed("not pushed", pushed)?.into_iter().filter_map(|p| p.id).collect();
        Ok(())
    }

    /// The store gets into trouble; gives whether its errors leave open what became of a commit.
    fn trouble(&self, case: &mut Case) -> bool {
        match case.rng.u8(..3) {
            0 => {
                case.hit("a full store");
                let capacity = Some(self.site.disk.used());
                self.site.disk.plan(CrashPlan { capacity, ..CrashPlan::default() });
                false
            }
            1 => {
                case.hit("a failing store");
                let fail_at = Some(case.rng.u64(..20));
                let fail_for = case.rng.u64(1..120);
                self.site.disk.plan(CrashPlan { fail_at, fail_for, ..CrashPlan::default() });
                true
            }
            _ => false,
        }
    }

    /// Two votes at once for each of a few actions.
    fn voters(&self, case: &mut Case) -> tokio::task::JoinSet<()> {
        let mut voters = tokio::task::JoinSet::new();
        for id in self.pending.iter().take(case.rng.usize(..15)) {
            let (engine, id) = (self.engine.clone(), *id);
            case.hit("approvals at the same time");
            voters.spawn(async move { drop(vote(&engine, id, true, "user1").await) });
        }
        voters
    }
}

async fn halted(case: &mut Case) -> Result<(), String> {
    let mut load = Load::new(case).await?;
    let failing = load.trouble(case);
    let mut voters = load.voters(case);
    if case.rng.bool() {
        tokio::task::yield_now().await;
    }
    let asked = load.site.clock.mono();
    let on_their_way = load.site.plant.count();
    let eve = by("eve")?;
    let told = returned("the halt", load.engine.halt(Some("smoke"), &eve)).await?;
    let (acked, took) = (load.site.plant.count(), load.site.clock.mono().since(asked).as_millis());
    case.hit_if(on_their_way > 0, "halted with calls on their way");
    case.hit("halted");
    if !failing && (told.is_err() || took > u128::from(SECOND_MS)) {
        return Err(format!("the halt took {took} ms and said {told:?}"));
    }
    still(case, &load, acked).await?;
    voters.abort_all();
    while voters.join_next().await.is_some() {}
    load.site.disk.plan(CrashPlan::default());
    still(case, &load, acked).await?;
    if told.is_ok() && !(case.index / 2).is_multiple_of(3) {
        case.hit("halted over a restart");
        load.engine = returned("the restart", load.site.restart(load.engine)).await??;
        still(case, &load, acked).await?;
    }
    if told.is_ok() {
        lifted(case, &load, acked).await?;
    }
    Ok(())
}

/// Nothing is sent, whatever else happens.
async fn still(case: &mut Case, load: &Load, acked: usize) -> Result<(), String> {
    load.site.pass(if case.rng.u8(..6) == 0 { HOUR_MS } else { case.rng.u64(500..20_000) }).await;
    let log = load.site.plant.log();
    match log.get(acked) {
        None => Ok(()),
        Some(sent) => Err(format!("{} commands after the halt, the first {sent:?}", log.len() - acked)),
    }
}

/// Two different people lift it, and everything goes on.
async fn lifted(case: &mut Case, load: &Load, acked: usize) -> Result<(), String> {
    let lift = async |who: &str| -> Result<_, String> {
        returned("the lift", load.engine.lift(StopScope::Halt, None, &by(who)?)).await
    };
    let first = lift("eve").await?;
    if !matches!(first, Ok(false)) {
        return Err(format!("one person lifted the halt: {first:?}"));
    }
    case.hit("one person is not enough");
    let again = lift(" EVE ").await?;
    if code(&again) != "ERR_VOTER_EXISTS" {
        return Err(format!("the same person again: {again:?}"));
    }
    still(case, load, acked).await?;
    let second = lift("bob").await?;
    if !matches!(second, Ok(true)) {
        return Err(format!("two people did not lift the halt: {second:?}"));
    }
    case.hit("lifted");
    load.site.pass(24 * HOUR_MS).await;
    for id in &load.running {
        let received = load.site.plant.received(*id);
        if let Some(twice) = received.iter().find(|(_, times)| **times > 1) {
            return Err(format!("{twice:?} was sent again"));
        }
        for rack in RACKS.iter().filter(|rack| load.hangs != Some(**rack)) {
            let missing = (0..load.things).map(|n| thing(rack, n)).find(|id| !received.contains_key(id));
            let ran_out = header(&load.engine, *id)?.counts.failed > 0;
            if let Some(missing) = missing.filter(|_| !ran_out) {
                return Err(format!("{missing} received nothing, though the halt was lifted"));
            }
        }
    }
    Ok(())
}

/// What a case asks to be shed.
async fn shed(case: &mut Case) -> Result<(), String> {
    let mut load = Load::new(case).await?;
    let ramp = f64::from(case.rng.u32(20..400));
    load.site.options.emergency_ramp_kw_per_s = ramp;
    load.engine = returned("the restart", load.site.restart(load.engine)).await??;
    load.site.pass(case.rng.u64(..3_000)).await;
    if case.rng.bool() {
        case.hit("shed while halted");
        let eve = by("eve")?;
        needed("not halted", returned("the halt", load.engine.halt(None, &eve)).await?)?;
    }
    load.trouble(case);
    case.hit("shed");
    let asked = load.site.clock.mono();
    let mut calls = tokio::task::JoinSet::new();
    let twice = (case.index / 2) % 3 == 1;
    case.hit_if(twice, "shed twice at once");
    for who in if twice { &["bob", "eve"][..] } else { &["bob"] } {
        let (engine, who) = (load.engine.clone(), by(who)?);
        calls.spawn(async move { engine.shed(Shed::new(json!({}), "the grid asks"), &who).await });
    }
    load.site.pass(SECOND_MS).await;
    let commands = |load: &Load| -> Vec<(Mono, f64, String)> {
        let log = load.site.plant.log();
        let of = log.into_iter().filter(|sent| sent.what[0] == "setPowerMode" && sent.begun >= asked);
        of.map(|sent| (sent.begun, sent.kw, sent.thing)).collect()
    };
    // Of a rack that hangs before it takes a command nothing is seen.
    let silent = load.hangs.is_some();
    if commands(&load).is_empty() && !silent {
        return Err(format!("nothing was sent within a second of {ramp} kW/s"));
    }
    let kw = 6.0 * f64::from(load.things * 4) * if twice { 2.0 } else { 1.0 };
    load.site.pass((kw / ramp * 1_000.0) as u64 + 20 * SECOND_MS).await;
    // Before the store is of use again.
    healthy(&load, &commands(&load), usize::from(twice) + 1, ramp)?;
    load.site.disk.plan(CrashPlan::default());
    load.site.pass(10 * 60 * SECOND_MS).await;
    let sent = commands(&load);
    window(&sent, ramp)?;
    healthy(&load, &sent, usize::from(twice) + 1, ramp)?;
    report(&load, calls).await
}

/// Every device of a rack that does not hang was told, as often as it was asked.
fn healthy(load: &Load, sent: &[(Mono, f64, String)], times: usize, ramp: f64) -> Result<(), String> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    sent.iter().for_each(|(_, _, thing)| *counts.entry(thing).or_default() += 1);
    for rack in RACKS.iter().filter(|rack| load.hangs != Some(**rack)) {
        for id in (0..load.things).map(|n| thing(rack, n)) {
            let received = counts.get(id.as_str()).copied().unwrap_or(0);
            if received != times {
                return Err(format!(
                    "{id} was told {received} times to sleep instead of {times}, at {ramp} kW/s"
                ));
            }
        }
    }
    Ok(())
}

/// In no window of a second more than the ramp, but for the one device with which it is exceeded: devices are whole.
fn window(sent: &[(Mono, f64, String)], ramp: f64) -> Result<(), String> {
    let mut sorted = sent.to_vec();
    sorted.sort_by_key(|(at, ..)| *at);
    let largest = sorted.iter().map(|(_, kw, _)| *kw).fold(0.0, f64::max);
    let (mut first, mut sum) = (0, 0.0);
    for (at, kw, _) in &sorted {
        sum += kw;
        while at.since(sorted[first].0).as_millis() >= u128::from(SECOND_MS) {
            sum -= sorted[first].1;
            first += 1;
        }
        if sum > ramp + largest + 0.001 {
            return Err(format!("{sum} kW within a second before {at:?} instead of {ramp}"));
        }
    }
    Ok(())
}

/// What was recorded tells what became of every target.
async fn report(
    load: &Load,
    mut calls: tokio::task::JoinSet<headframe_core::Result<headframe_core::action::Pushed>>,
) -> Result<(), String> {
    let all = load.things * 4;
    loop {
        let told = within(WAIT, calls.join_next()).await;
        let Some(told) = told.ok_or_else(|| format!("the call to shed did not return within {WAIT:?}"))?
        else {
            return Ok(());
        };
        let Ok(pushed) = told.map_err(|e| e.to_string())? else { continue };
        let id = pushed.id.ok_or_else(|| format!("nothing was shed: {:?}", pushed.errors))?;
        // Some 1,250 devices hang for two minutes each, 64 at a time, and twice that when it was asked twice.
        for _ in 0..HOURS {
            if header(&load.engine, id)?.counts.ended() == all {
                break;
            }
            load.site.pass(HOUR_MS).await;
        }
        let counts = header(&load.engine, id)?.counts;
        let hung = if load.hangs.is_some() { load.things } else { 0 };
        if counts.total != all || counts.ended() != all || counts.ok < all - hung {
            return Err(format!("the report of {all} targets says {counts:?}"));
        }
    }
}
