//! `b-hostile`: devices that hang, drip, flood and lie. Every call ends with a typed error inside its deadline, in
//! little memory, without a panic.

use std::{sync::atomic::Ordering, time::Duration};

use headframe_core::{Error, Sent, model::CommandName};

mod behaviours;

use behaviours::{BEHAVIOURS, Behaviour, How};

use super::Check;
use crate::{
    PANICS,
    rig::{needed, simulate},
    run::{Case, Run},
    watch::Watch,
    wire::{Act, Before, Dial, Generation, Memory, Plan, Reply, Request, Site, Turn, generations, judge},
};

pub const CHECK: Check = Check {
    name: "b-hostile",
    bug: "read-to-end",
    ci: 2_480,
    long: 12_000,
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
        "hangs before it accepts",
        "hangs after it accepted",
        "drips",
        "endless",
        "64 MiB",
        "packed",
        "nested 100,000 deep",
        "the same key again and again",
        "no UTF-8",
        "1e999",
        "a flood of NULs",
        "a length that lies",
        "closes at once",
        "half of the JSON",
        "a reply before the request",
        "redirects for ever",
        "a flood of fields",
        "a poll",
        "a write",
        "a look before a write",
        "executed, and not told",
        "every behaviour to a poll of every generation",
        "every command of every generation",
    ],
    run,
};

/// What a process may grow by in a case.
const GROWTH_KIB: u64 = 32 << 10;
/// What a driver may take from a device in a case of a few requests.
const TAKEN: u64 = 32 << 20;
/// The longest that a case may keep this machine busy.
const BUSY_S: f64 = 20.0;
const DEADLINE: Duration = Duration::from_secs(20);
const SLACK: Duration = Duration::from_millis(50);

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("memory");
    let plan = Plan::new(run, BEHAVIOURS.len())?;
    let readers: Vec<_> = generations().collect();
    let polls = (readers.len() * BEHAVIOURS.len()) as u64;
    let (n, mut polled, mut written) = (run.n(), 0_u64, 0_u64);
    run.each(n, |i, case| {
        // Polls and writes in turn, each through all of its product.
        if i % 2 == 0 {
            let at = usize::try_from(polled % polls).unwrap_or(0);
            polled += 1;
            let (generation, behaviour) = (readers[at % readers.len()], &BEHAVIOURS[at / readers.len()]);
            case.turn = generation.name;
            case.hit_if(polled == polls, "every behaviour to a poll of every generation");
            return guarded(case, |case| simulate(poll(case, generation, behaviour)));
        }
        let turn = plan.turn(written);
        written += 1;
        case.turn = turn.generation.name;
        case.hit_if(written == plan.pairs().len() as u64, "every command of every generation");
        guarded(case, |case| simulate(write(case, turn)))
    });
    Ok(())
}

/// Runs a case within bounds of memory and of real time, and without any panic.
fn guarded(case: &mut Case, work: impl FnOnce(&mut Case) -> Result<(), String>) -> Result<(), String> {
    let (watch, panics) = (Watch::start(), PANICS.load(Ordering::Relaxed));
    let memory = Memory::watch();
    work(case)?;
    case.took(watch.ms());
    if let Some(grown) = memory.map(|memory| memory.peak_growth_kib())
        && grown > GROWTH_KIB
    {
        return Err(format!("{}: the process grew by {grown} KiB", case.turn));
    }
    if PANICS.load(Ordering::Relaxed) > panics {
        return Err(format!("{}: a panic", case.turn));
    }
    if watch.seconds() > BUSY_S {
        Err(format!("{}: busy for {} s", case.turn, watch.seconds()))
    } else {
        Ok(())
    }
}

/// Lets the device behave so in each connection from `first` on, or in each exchange of a write.
fn misbehave(site: &Site, behaviour: &'static Behaviour, first: Option<usize>, swallow: bool) {
    let request = if swallow { Request::Swallow } else { Request::Pass };
    match (&behaviour.how, first) {
        (How::Unaccepted, first) => {
            let first = first.unwrap_or(0);
            site.proxy.connect(move |number, at| if number >= first { Dial::Hang } else { Dial::To(at) });
        }
        (How::Early, first) => {
            let first = first.unwrap_or(0);
            site.proxy.connect(move |number, at| {
                if number >= first { Dial::Early(behaviour.script(at.port())) } else { Dial::To(at) }
            });
        }
        (_, None) => site.proxy.decide(move |exchange, _| Act {
            request,
            reply: Reply::Script(behaviour.script(exchange.at.port())),
        }),
        (_, Some(_)) => site.proxy.decide(move |exchange, _| {
            let reply = Reply::Script(behaviour.script(exchange.at.port()));
            if exchange.write { Act { request, reply } } else { Act::PASS }
        }),
    }
}

async fn poll(
    case: &mut Case,
    generation: &'static Generation,
    behaviour: &'static Behaviour,
) -> Result<(), String> {
    let site = Site::new(generation, case.seed, 1).await?;
    let new = site.handle(generation, 0).await?;
    // One that knows the device, or one that meets it.
    let direct = if case.rng.bool() { &new } else { &site.direct };
    misbehave(&site, behaviour, None, case.rng.bool());
    let start = site.cx.clock.mono();
    let out = direct.snapshot(&site.cx.deadline_in(DEADLINE)).await;
    let took = site.cx.clock.mono().since(start);
    let what = format!("{}, a poll, {}", generation.name, behaviour.name);
    case.hit(behaviour.name);
    case.hit("a poll");
    bounded(&site, took, DEADLINE).map_err(|text| format!("{what}: {text}"))?;
    match out {
        Err(e) => typed(&e).map_err(|text| format!("{what}: {text}")),
        // Values can be in an odd reply too; what is no reply at all holds none.
        Ok(_) if matches!(behaviour.name, "the same key again and again" | "1e999" | "no UTF-8") => Ok(()),
        Ok(snapshot) => Err(format!("{what}: read as {snapshot:?}")),
    }
}

fn bounded(site: &Site, took: Duration, limit: Duration) -> Result<(), String> {
    if took > limit + SLACK {
        return Err(format!("took {took:?} of {limit:?}"));
    }
    let taken = site.proxy.taken();
    if taken > TAKEN { Err(format!("{taken} bytes were read")) } else { Ok(()) }
}

/// The longest text of an error: what a device says is cut.
const MESSAGE: usize = 2_000;

fn typed(e: &Error) -> Result<(), String> {
    let told = e.to_string();
    let well = !e.code().is_empty() && !told.is_empty() && told.len() <= MESSAGE;
    if well { Ok(()) } else { Err(format!("an error of {} bytes: {e:?}", told.len())) }
}

async fn write(case: &mut Case, turn: Turn) -> Result<(), String> {
    let Turn { generation, command: name, behaviour } = turn;
    let behaviour = &BEHAVIOURS[behaviour];
    let seed = case.seed;
    let look = case.rng.u8(0..5) == 0;
    let first = if look { None } else { Some(send_at(generation, name, seed).await?) };
    let site = Site::new(generation, seed, 1).await?;
    site.prepare(name).await?;
    let swallow = case.rng.u8(0..3) == 0;
    misbehave(&site, behaviour, first, swallow);
    let before = Before::of(&site);
    let start = site.cx.clock.mono();
    let command = site.sample(name)?;
    let outcome = site.execute(name).await?;
    let took = site.cx.clock.mono().since(start);
    site.settle().await;
    let what = |text: String| format!("{}, {name}, {}: {text}", generation.name, behaviour.name);
    bounded(&site, took, site.limit(&command)?).map_err(what)?;
    judge(&site, &before, &command, &outcome).map_err(what)?;
    let done = !before.since(&site).is_empty();
    match &outcome {
        Err(e) => typed(e).map_err(what)?,
        Ok(_) if look && !done => return Err(what(format!("nothing could be read, and told: {outcome:?}"))),
        Ok(_) => {}
    }
    case.hit(behaviour.name);
    case.hit(if look { "a look before a write" } else { "a write" });
    case.hit_if(done && outcome.is_err_and(|e| e.sent() == Sent::Maybe), "executed, and not told");
    Ok(())
}

/// At which connection a command is sent.
async fn send_at(generation: &Generation, name: CommandName, seed: u64) -> Result<usize, String> {
    let site = Site::new(generation, seed, 1).await?;
    site.prepare(name).await?;
    needed("a healthy device", site.execute(name).await?)?;
    let exchanges = site.proxy.exchanges();
    let write = exchanges.iter().find(|exchange| exchange.write).map(|exchange| exchange.connection);
    Ok(write.unwrap_or(site.proxy.dialled().len().saturating_sub(1)))
}
