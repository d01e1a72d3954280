//! `w-cut`: the link is cut after each byte of each write, and of its reply. What is told of it is so, and nothing is
//! sent again of which a byte had left.

use headframe_core::{
    Error, Sent,
    model::{CommandName, Outcome, OutcomeState},
};

use super::Check;
use crate::{
    args::Profile,
    rig::{needed, simulate},
    run::{Case, Run},
    wire::{Act, Before, End, Exchange, Generation, Plan, Reply, Request, Site, judge},
};

pub const CHECK: Check = Check {
    name: "w-cut",
    bug: "nothing-sent",
    ci: 2_400,
    // More than there are bytes: all of them.
    long: 250_000,
    probes: &[
        "whatsminer v2",
        "whatsminer v2 early",
        "whatsminer v3",
        "antminer 2020",
        "antminer 2022",
        "antminer 2024",
        "antminer 2025",
        "antminer silent",
        "before the first byte",
        "within the request",
        "behind the last byte",
        "before the reply",
        "within the reply",
        "in a second request of a command",
        "told as not sent",
        "told as unknown",
        "settled by reading back",
        "silence taken as done",
        "executed although cut",
        "every command of every generation",
    ],
    run,
};

/// The requests of a command: how many bytes each has, and its reply.
struct Shape {
    generation: &'static Generation,
    command: CommandName,
    seed: u64,
    requests: Vec<(usize, usize)>,
}

/// Where the link is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// In which request of the command.
    request: usize,
    /// After so many bytes.
    after: usize,
    /// Of the request or of the reply.
    reply: bool,
}

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("memory");
    let plan = Plan::new(run, 1)?;
    let mut shapes = Vec::new();
    for (n, (generation, command)) in plan.pairs().iter().enumerate() {
        shapes.push(simulate(shape(generation, *command, run.seed() ^ n as u64, run.is_control()))?);
    }
    let all: usize = shapes.iter().map(Shape::places).sum();
    let n = run.n().min(all as u64);
    eprintln!("w-cut: {all} places of {} commands", shapes.len());
    let count = shapes.len() as u64;
    let last = n.min(count);
    // Place after place when there is time for all, else drawn ones of every command in turn.
    let every = run.profile() == Profile::Long && n == all as u64;
    let mut next = shapes.iter().flat_map(|shape| (0..shape.places()).map(move |at| (shape, at)));
    run.each(n, |i, case| {
        let drawn = &shapes[usize::try_from(i % count).unwrap_or(0)];
        let (shape, at) = match next.next().filter(|_| every) {
            Some(place) => place,
            None => (drawn, drawn.draw(&mut case.rng, i < count)),
        };
        case.turn = shape.generation.name;
        simulate(one(case, shape, shape.place(at)))?;
        case.hit_if(i + 1 == last.max(count) || (every && i + 1 == n), "every command of every generation");
        Ok(())
    });
    Ok(())
}

impl Shape {
    /// How many places there are to cut: before the first byte too, and behind the last of a request.
    fn places(&self) -> usize {
        self.requests.iter().map(|(request, reply)| request + 1 + reply).sum()
    }

    fn place(&self, mut at: usize) -> Cut {
        for (request, (bytes, reply)) in self.requests.iter().enumerate() {
            if at <= *bytes {
                return Cut { request, after: at, reply: false };
            }
            at -= bytes + 1;
            if at < *reply {
                return Cut { request, after: at, reply: true };
            }
            at -= reply;
        }
        Cut { request: 0, after: 0, reply: false }
    }

    /// A place, often one at an edge; the first time in the last of several requests.
    fn draw(&self, rng: &mut fastrand::Rng, first: bool) -> usize {
        let all = self.places();
        let request = self.requests.first().map_or(0, |(bytes, _)| *bytes);
        let (bytes, reply) = self.requests.last().copied().unwrap_or_default();
        match rng.u8(0..8) {
            _ if first && self.requests.len() > 1 => all - rng.usize(1..=bytes + 1 + reply),
            0 => rng.usize(0..all.min(2)),
            1 => request.saturating_sub(rng.usize(0..2)),
            2 => (request + 1 + rng.usize(0..2)).min(all - 1),
            _ => rng.usize(0..all),
        }
    }
}

/// Carries the command out once to see of what it consists.
async fn shape(
    generation: &'static Generation,
    command: CommandName,
    seed: u64,
    control: bool,
) -> Result<Shape, String> {
    let site = Site::new(generation, seed, 1).await?;
    site.prepare(command).await?;
    let outcome = site.execute(command).await?;
    if !control {
        needed(&format!("{}: {command}", generation.name), outcome)?;
    }
    let writes = site.proxy.exchanges().into_iter().filter(|exchange| exchange.write);
    let mut requests: Vec<_> = writes.map(|e| (e.arrived, e.reply.len())).collect();
    if requests.is_empty() && command == CommandName::DownloadLogs {
        // It only reads, over a page of its own.
        requests.push((0, 0));
    }
    if requests.is_empty() {
        return Err(format!("{}: {command} sends nothing", generation.name));
    }
    Ok(Shape { generation, command, seed, requests })
}

async fn one(case: &mut Case, shape: &Shape, cut: Cut) -> Result<(), String> {
    let site = Site::new(shape.generation, shape.seed, 1).await?;
    site.prepare(shape.command).await?;
    let end = if case.rng.bool() { End::Reset } else { End::Closed };
    let mut writes = 0;
    site.proxy.decide(move |exchange, _| {
        writes += usize::from(exchange.write);
        match cut {
            _ if !exchange.write || writes != cut.request + 1 => Act::PASS,
            Cut { reply: true, after, .. } => Act::reply(Reply::Cut(after, end)),
            Cut { after, .. } => Act { request: Request::Cut(after), reply: Reply::Pass },
        }
    });
    let before = Before::of(&site);
    let outcome = site.execute(shape.command).await?;
    site.settle().await;
    let writes: Vec<_> = site.proxy.exchanges().into_iter().filter(|exchange| exchange.write).collect();
    let told = judge(&site, &before, &site.sample(shape.command)?, &outcome);
    // The first request of an upload over port 4028 only announces the image: without it there is nothing to install.
    let announces = shape.command == CommandName::UpdateFirmware && shape.generation.driver == "whatsminer";
    let told = told.and_then(|()| honest(cut, &writes, announces, &outcome));
    told.map_err(|text| format!("{}, {}, {cut:?}: {text}", shape.generation.name, shape.command))?;
    let (bytes, _) = shape.requests[cut.request];
    case.hit(match cut {
        Cut { reply: true, after: 0, .. } => "before the reply",
        Cut { reply: true, .. } => "within the reply",
        Cut { after: 0, .. } => "before the first byte",
        Cut { after, .. } if after == bytes => "behind the last byte",
        _ => "within the request",
    });
    case.hit_if(cut.request > 0, "in a second request of a command");
    let done = !before.since(&site).is_empty();
    case.hit_if(done, "executed although cut");
    let announced = announces && cut.request == 0 && (cut.reply || cut.after > 0);
    case.hit_if(
        announced && outcome.as_ref().is_err_and(|e| e.sent() == Sent::No),
        "announced, and no image sent",
    );
    match &outcome {
        Err(e) if e.sent() == Sent::No => case.hit("told as not sent"),
        Err(_) => case.hit("told as unknown"),
        Ok(o) if o.state == OutcomeState::Verified => case.hit("settled by reading back"),
        Ok(_) => case.hit_if(!cut.reply, "silence taken as done"),
    }
    Ok(())
}

/// What is told of a cut write: not sent only when no byte had left that the device had not refused, and nothing is
/// sent again otherwise.
fn honest(
    cut: Cut,
    writes: &[Exchange],
    announces: bool,
    outcome: &Result<Outcome, Error>,
) -> Result<(), String> {
    let open =
        |(n, e): (usize, &Exchange)| if e.reply.is_empty() || n == cut.request { e.arrived } else { 0 };
    let left: usize = writes.iter().enumerate().skip(usize::from(announces)).map(open).sum();
    if let Err(e) = outcome
        && e.sent() == Sent::No
        && left > 0
    {
        return Err(format!("{left} bytes of it had left, and it is told as not sent: {e:?}"));
    }
    let again = writes.iter().skip(cut.request + 1).map(|e| e.arrived).sum::<usize>();
    if !cut.reply && cut.after > 0 && again > 0 {
        return Err(format!("{} bytes had left, and {again} were sent again: {outcome:?}", cut.after));
    }
    Ok(())
}
