//! `w-kill`: a process with the real engine is killed at any moment and started again, until every action ended. No device
//! gets a command twice, no target is forgotten, and what the engine tells is so.

use super::Check;
use crate::{
    life::{End, Everything, Kill, Life},
    run::{Case, Run},
};

pub const CHECK: Check = Check {
    name: "w-kill",
    bug: "intent-after-send",
    ci: 200,
    long: 2_000,
    probes: &[
        "killed before it began",
        "killed while it ran",
        "killed under a command",
        "killed with a command on its way",
        "settled by a person",
        "a push came again",
        "halted",
    ],
    run,
};

/// Things in each of three racks.
const THINGS: u32 = 100;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("process");
    run.until(run.n(), life);
    Ok(())
}

/// A site that is killed over and over.
fn life(case: &mut Case) -> Result<(), String> {
    // Each second one is asked for everything.
    let everything = if case.index.is_multiple_of(2) { Everything::Yes } else { Everything::No };
    let mut site = Life::new(&mut case.rng, THINGS, everything)?;
    for n in 0..case.rng.u32(6..16) {
        let kill = match case.rng.u8(..10) {
            // Whatever else comes, these do.
            _ if n == 0 && case.index.is_multiple_of(4) => Kill::Pushing(0),
            _ if n == 0 && !case.index.is_multiple_of(2) => Kill::Sending(case.rng.u64(1..30)),
            // The second one in any case: there is something to begin with.
            _ if n == 1 => Kill::Early(case.rng.u64(..3)),
            0..2 => Kill::Early(case.rng.u64(..40)),
            2..5 => Kill::Later(case.rng.u64(..20)),
            5..7 => Kill::Later(case.rng.u64(..150)),
            7 => Kill::Pushing(case.rng.u64(..4)),
            8 => Kill::Sending(site.devices.received + case.rng.u64(1..100)),
            _ => Kill::Later(case.rng.u64(..600)),
        };
        let (received, way) = (site.devices.received, site.on_the_way);
        let end = site.process(kill, None)?;
        case.unit();
        case.hit_if(end == End::BeforeItBegan, "killed before it began");
        case.hit_if(end == End::Killed, "killed while it ran");
        case.hit_if(site.devices.received > received && site.client.works(), "killed under a command");
        case.hit_if(site.on_the_way > way, "killed with a command on its way");
        if !site.client.works() {
            break;
        }
    }
    site.ends()?;
    case.hit_if(!site.client.known.settled.is_empty(), "settled by a person");
    case.hit_if(site.client.repeated, "a push came again");
    case.hit_if(site.client.known.granted.iter().any(|wish| wish.what == "halt"), "halted");
    Ok(())
}
