//! `w-reply`: whatever becomes of a reply, a command is executed once at most, and what is told of it is so.

use std::time::Duration;

use headframe_core::{
    Error, Sent,
    driver::Direct,
    model::{Command, CommandName, Outcome},
};

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    wire::{
        Act, Before, End, Generation, Make, Plan, Reply, Request, Script, Site, Turn, generations, judge,
    },
};

pub const CHECK: Check = Check {
    name: "w-reply",
    bug: "retry-on-timeout",
    ci: 2_000,
    long: 10_000,
    probes: &[
        "whatsminer v1",
        "whatsminer v2",
        "whatsminer v2 early",
        "whatsminer v3",
        "antminer 2020",
        "antminer 2022",
        "antminer 2024",
        "antminer 2025",
        "antminer silent",
        "lost, and silence",
        "lost, and the end",
        "lost, and a reset",
        "after the deadline",
        "late",
        "doubled",
        "of another request",
        "of another device",
        "half, and the end",
        "half, and silence",
        "garbage",
        "of a write",
        "of a reading before the write",
        "of a reading after the write",
        "of a poll",
        "lost although executed",
        "settled by reading back",
        "told as unknown",
        "every command of every generation",
    ],
    run,
};

/// What becomes of a reply, in the order of the behaviours' numbers.
const BEHAVIOURS: [&str; 11] = [
    "lost, and silence",
    "lost, and the end",
    "lost, and a reset",
    "after the deadline",
    "late",
    "doubled",
    "of another request",
    "of another device",
    "half, and the end",
    "half, and silence",
    "garbage",
];
const OF_ANOTHER_REQUEST: usize = 6;
const OF_ANOTHER_DEVICE: usize = 7;

/// One case in so many polls instead of writing.
const POLLS: u64 = 8;
/// A poll ends within this.
const POLL: Duration = Duration::from_secs(20);
/// The steps of a simulation.
const SLACK: Duration = Duration::from_millis(50);

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("memory");
    let plan = Plan::new(run, BEHAVIOURS.len())?;
    let n = run.n();
    let readers: Vec<_> = generations().collect();
    let mut writes = 0;
    run.each(n, |i, case| {
        if i % POLLS == POLLS - 1 {
            let generation = readers[usize::try_from(i / POLLS).unwrap_or(0) % readers.len()];
            let behaviour = case.rng.usize(0..BEHAVIOURS.len());
            case.turn = generation.name;
            return simulate(poll(case, generation, behaviour));
        }
        let turn = plan.turn(writes);
        writes += 1;
        case.turn = turn.generation.name;
        simulate(write(case, turn))?;
        case.hit_if(writes == plan.pairs().len() as u64, "every command of every generation");
        Ok(())
    });
    Ok(())
}

/// What is done to the reply.
fn reply(case: &mut Case, behaviour: usize, other: Option<Vec<u8>>) -> Act {
    let rng = &mut case.rng;
    let made = |make, end| Act::reply(Reply::Made(make, end));
    let nothing = || Make::Instead(Vec::new());
    match behaviour {
        0 => made(nothing(), End::Silence),
        1 => made(nothing(), End::Closed),
        2 => made(nothing(), End::Reset),
        3 => Act::reply(Reply::Late(Duration::from_millis(rng.u64(61_000..300_000)))),
        4 => Act::reply(Reply::Late(Duration::from_millis(rng.u64(100..29_000)))),
        5 => made(Make::Twice, End::AsItIs),
        OF_ANOTHER_REQUEST | OF_ANOTHER_DEVICE => {
            let end = if rng.bool() { End::Closed } else { End::AsItIs };
            let other = other.unwrap_or_default();
            // Nobody can tell somebody else's refusal from one of the device, so then it is one.
            let refused = is_refusal(&other);
            let request = if refused || rng.u8(0..4) == 0 { Request::Swallow } else { Request::Pass };
            let end = if request == Request::Swallow { End::Silence } else { end };
            let reply = match request {
                Request::Swallow => Reply::Script(Script::new(other, end)),
                _ => Reply::Made(Make::Instead(other), end),
            };
            Act { request, reply }
        }
        8 => made(Make::Half, End::Closed),
        9 => made(Make::Half, End::Silence),
        _ => {
            let bytes = (0..rng.usize(1..400)).map(|_| rng.u8(..)).collect();
            made(Make::Instead(bytes), if rng.bool() { End::Closed } else { End::Silence })
        }
    }
}

/// Whether a reply says that its request was not carried out.
fn is_refusal(reply: &[u8]) -> bool {
    let has = |word: &[u8]| reply.windows(word.len()).any(|w| w == word);
    reply.starts_with(b"HTTP/1.1 4") || has(b"\"STATUS\":\"E\"") || has(b"\"code\":-")
}

/// Which exchange of a write it happens to.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The n-th that is part of the write.
    Write(usize),
    /// The n-th of all.
    Any(usize),
}

async fn write(case: &mut Case, turn: Turn) -> Result<(), String> {
    let Turn { generation, command: name, behaviour } = turn;
    let site = Site::new(generation, case.seed, 2).await?;
    let other = strange_reply(case, &site, generation, name, behaviour).await?;
    site.prepare(name).await?;
    let command = site.sample(name)?;
    let target = match case.rng.u8(0..5) {
        0..3 => Target::Write(0),
        3 => Target::Write(case.rng.usize(0..3)),
        _ => Target::Any(case.rng.usize(0..14)),
    };
    let act = reply(case, behaviour, other);
    let mut writes = 0;
    site.proxy.decide(move |exchange, number| {
        let hit = match target {
            Target::Write(n) => exchange.write && writes == n,
            Target::Any(n) => number == n,
        };
        writes += usize::from(exchange.write);
        if hit { act.clone() } else { Act::PASS }
    });
    let before = Before::of(&site);
    let start = site.cx.clock.mono();
    let outcome = site.execute(name).await?;
    let took = site.cx.clock.mono().since(start);
    site.settle().await;
    let what = || format!("{}, {name}, {} ({target:?})", generation.name, BEHAVIOURS[behaviour]);
    judge(&site, &before, &command, &outcome).map_err(|text| format!("{}: {text}", what()))?;
    if took > site.limit(&command)? + SLACK {
        return Err(format!("{}: took {took:?}", what()));
    }
    reached(case, &site, &before, (target, behaviour), &outcome);
    // A reply that came too late must not meet the next question.
    site.proxy.decide(|_, _| Act::PASS);
    site.wait(Duration::from_secs(700)).await;
    is_itself(&site, &site.direct).await
}

/// Notes which of the rare paths a write took.
fn reached(
    case: &mut Case,
    site: &Site,
    before: &Before,
    (target, behaviour): (Target, usize),
    outcome: &Result<Outcome, Error>,
) {
    let exchanges = site.proxy.exchanges();
    let first = exchanges.iter().position(|exchange| exchange.write);
    let number = match target {
        Target::Write(n) => exchanges.iter().enumerate().filter(|(_, e)| e.write).nth(n).map(|(i, _)| i),
        Target::Any(n) => Some(n).filter(|n| *n < exchanges.len()),
    };
    if let Some(number) = number {
        case.hit(BEHAVIOURS[behaviour]);
        case.hit_if(exchanges[number].write, "of a write");
        case.hit_if(first.is_none_or(|first| number < first), "of a reading before the write");
        case.hit_if(
            !exchanges[number].write && first.is_some_and(|first| number > first),
            "of a reading after the write",
        );
        let done = !before.since(site).is_empty();
        let lost = behaviour < 4 && exchanges[number].write && done;
        case.hit_if(lost, "lost although executed");
        let unknown = outcome.as_ref().is_err_and(|e| e.sent() == Sent::Maybe);
        case.hit_if(lost && unknown, "told as unknown");
        case.hit_if(lost && outcome.is_ok(), "settled by reading back");
    }
}

/// A reply that belongs to something else, where the behaviour needs one.
async fn strange_reply(
    case: &mut Case,
    site: &Site,
    generation: &Generation,
    name: CommandName,
    behaviour: usize,
) -> Result<Option<Vec<u8>>, String> {
    match behaviour {
        OF_ANOTHER_REQUEST => {
            let earlier = if name == CommandName::SetLed { Command::Reboot } else { Command::SetLed(true) };
            needed("an earlier write", site.direct.execute(&site.cx, &earlier).await)?;
            site.wait(Duration::from_secs(700)).await;
        }
        OF_ANOTHER_DEVICE => {
            let second = site.handle(generation, 1).await?;
            needed("another device is not read", second.snapshot(&site.cx.deadline_in(POLL)).await)?;
            if name == CommandName::ResumeMining {
                needed("cannot prepare", second.execute(&site.cx, &Command::SuspendMining).await)?;
            }
            // Both cannot move to one address.
            if name != CommandName::SetNetworkInformation {
                site.proxy.reset();
                needed("another device", second.execute(&site.cx, &site.sample(name)?).await)?;
            }
        }
        _ => return Ok(None),
    }
    let exchanges = site.proxy.exchanges();
    let writes: Vec<_> = exchanges.iter().filter(|e| e.write && !e.reply.is_empty()).collect();
    let reads: Vec<_> = exchanges.iter().filter(|e| !e.write && !e.reply.is_empty()).collect();
    let list =
        if writes.is_empty() || (!reads.is_empty() && case.rng.u8(0..3) == 0) { reads } else { writes };
    if list.is_empty() {
        return Err("no reply was noted".into());
    }
    Ok(Some(list[case.rng.usize(0..list.len())].reply.clone()))
}

/// A poll one of whose replies goes wrong.
async fn poll(case: &mut Case, generation: &Generation, behaviour: usize) -> Result<(), String> {
    let site = Site::new(generation, case.seed, 1).await?;
    needed("a healthy device is not read", site.read().await)?;
    let exchanges = site.proxy.exchanges();
    let other = exchanges[case.rng.usize(0..exchanges.len())].reply.clone();
    let target = case.rng.usize(0..exchanges.len());
    let act = reply(case, behaviour, Some(other));
    site.proxy.reset();
    site.proxy.decide(move |_, number| if number == target { act.clone() } else { Act::PASS });
    // One that knows the device, or one that meets it.
    let new = site.handle(generation, 0).await?;
    let direct = if case.rng.bool() { &new } else { &site.direct };
    let start = site.cx.clock.mono();
    let told = is_itself(&site, direct).await;
    let took = site.cx.clock.mono().since(start);
    case.hit("of a poll");
    if took > POLL + SLACK {
        return Err(format!("{}: a poll took {took:?}", generation.name));
    }
    if !site.device().executed().is_empty() {
        return Err(format!("{}: a poll changed something", generation.name));
    }
    told.map_err(|text| format!("{}, {}: {text}", generation.name, BEHAVIOURS[behaviour]))
}

/// Reads the device: a typed error, or values that are its own.
async fn is_itself(site: &Site, direct: &Direct) -> Result<(), String> {
    let snapshot = match direct.snapshot(&site.cx.deadline_in(POLL)).await {
        Ok(snapshot) => snapshot,
        Err(e) if e.message().is_empty() => return Err(format!("untyped: {e:?}")),
        Err(_) => return Ok(()),
    };
    let Some(miner) = snapshot.miner() else { return Err("no miner".into()) };
    let mac = miner.info.as_ref().and_then(|info| info.mac.as_deref());
    if mac.is_some_and(|mac| !mac.eq_ignore_ascii_case(site.device().mac())) {
        return Err(format!("read as {mac:?}, and it is {}", site.device().mac()));
    }
    let truth = site.device().truth();
    let asleep = miner.config.as_ref().and_then(|config| config.suspended);
    if asleep.is_some_and(|asleep| asleep != truth.asleep) {
        return Err(format!("read as asleep {asleep:?}, and it is {}", truth.asleep));
    }
    Ok(())
}
