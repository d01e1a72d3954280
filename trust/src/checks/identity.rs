//! `w-identity`: two devices change places at any moment of a write; it is executed by the one that is meant, or by
//! none.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use headframe_core::{ErrorKind, driver::IDENTITY_MISMATCH, model::CommandName};

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    wire::{Before, Dial, Generation, Plan, Site, Turn, judge},
};

pub const CHECK: Check = Check {
    name: "w-identity",
    bug: "trust-address",
    ci: 1_000,
    long: 4_000,
    probes: &[
        "whatsminer v2",
        "whatsminer v2 early",
        "whatsminer v3",
        "antminer 2020",
        "antminer 2022",
        "antminer 2024",
        "antminer 2025",
        "antminer silent",
        "before the look",
        "between look and send",
        "between the proof and the send",
        "between two requests of a command",
        "after the send",
        "and back again",
        "refused by the identity",
        "executed by the one that is meant",
        "every command of every generation",
    ],
    run,
};

/// When they change places, in the order of the behaviours' numbers.
const MOMENTS: [&str; 4] =
    ["before the look", "between look and send", "between the proof and the send", "after the send"];

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("memory");
    let plan = Plan::new(run, MOMENTS.len())?;
    // At which of its connections a command is sent.
    let mut sends = BTreeMap::new();
    for (generation, command) in plan.pairs() {
        let at = simulate(connections(generation, *command))?;
        sends.insert((generation.name, *command), at);
    }
    run.each(run.n(), |i, case| {
        let turn = plan.turn(i);
        case.turn = turn.generation.name;
        let at = &sends[&(turn.generation.name, turn.command)];
        simulate(one(case, turn, at, i < plan.pairs().len() as u64))?;
        case.hit_if(i + 1 == plan.pairs().len() as u64, "every command of every generation");
        Ok(())
    });
    Ok(())
}

/// The numbers of the connections over which a command's requests go.
async fn connections(generation: &Generation, command: CommandName) -> Result<Vec<usize>, String> {
    let site = Site::new(generation, 7, 1).await?;
    site.prepare(command).await?;
    needed(generation.name, site.execute(command).await?)?;
    let mut at: Vec<_> =
        site.proxy.exchanges().iter().filter(|e| e.write).map(|exchange| exchange.connection).collect();
    at.dedup();
    if at.is_empty() {
        at.extend(site.proxy.dialled().len().checked_sub(1));
    }
    if at.is_empty() { Err(format!("{}: {command} sends nothing", generation.name)) } else { Ok(at) }
}

async fn one(case: &mut Case, turn: Turn, sends: &[usize], first: bool) -> Result<(), String> {
    let Turn { generation, command: name, behaviour } = turn;
    let site = Site::new(generation, case.seed, 2).await?;
    site.prepare(name).await?;
    let send = sends[0];
    // Between the requests of a command of several: there are few, so their first turn is for that.
    let within = sends.len() > 1 && (first || behaviour == 2 && case.rng.bool());
    let swap = match behaviour {
        _ if within => sends[case.rng.usize(1..sends.len())],
        0 => 0,
        1 => case.rng.usize(1..send.max(2)),
        2 => send,
        _ => send + case.rng.usize(1..6),
    };
    let back = (case.rng.u8(0..4) == 0).then(|| swap + case.rng.usize(1..4));
    let (one, two) = (site.device().ip(), site.others()[0].ip());
    site.proxy.connect(move |number, at| {
        let swapped = number >= swap && back.is_none_or(|back| number < back);
        Dial::To(if swapped { elsewhere(at, one, two) } else { at })
    });
    let before = Before::of(&site);
    let command = site.sample(name)?;
    let cx = site.cx.deadline_in(site.limit(&command)?);
    let outcome = site.direct.execute_as(&cx, &site.identity(), &command).await;
    site.settle().await;
    let told = judge(&site, &before, &command, &outcome);
    let moment = if within { "between two requests of a command" } else { MOMENTS[behaviour] };
    let what = || format!("{}, {moment}, back at {back:?}", generation.name);
    told.map_err(|text| format!("{}: {text}", what()))?;
    if swap == 0 && back.is_none() {
        let refused = outcome.as_ref().is_err_and(|e| e.kind() == ErrorKind::Conflict);
        if !refused {
            return Err(format!("{}: another device was not noticed: {outcome:?}", what()));
        }
    }
    let reached = site.proxy.dialled().len() > swap;
    case.hit_if(reached, moment);
    case.hit_if(back.is_some_and(|back| site.proxy.dialled().len() > back), "and back again");
    case.hit_if(outcome.as_ref().is_err_and(|e| e.code() == IDENTITY_MISMATCH), "refused by the identity");
    case.hit_if(!before.since(&site).is_empty(), "executed by the one that is meant");
    Ok(())
}

/// Where the other device of the two is.
fn elsewhere(at: SocketAddr, one: IpAddr, two: IpAddr) -> SocketAddr {
    match at.ip() {
        ip if ip == one => SocketAddr::new(two, at.port()),
        ip if ip == two => SocketAddr::new(one, at.port()),
        _ => at,
    }
}
