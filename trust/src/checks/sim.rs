//! `w-sim`: a whole site under everything that can go wrong, then under nothing: what devices received, what people were
//! told and what the site says agree, every action ends, and the same seed gives the same run.

use super::Check;
use crate::{
    args::Profile,
    rig::simulate,
    run::{Case, Run},
    sim::{Played, Scale, Trace, play},
};

pub const CHECK: Check = Check { name: "w-sim", bug: "wall-clock", ci: 64, long: 2_020, probes: PROBES, run };

const PROBES: &[&str] = &[
    // Every status of an action.
    "VOTING",
    "APPROVED",
    "EXECUTING",
    "INTERRUPTED",
    "COMPLETED",
    "PARTIAL",
    "FAILED",
    "DENIED",
    "CANCELLED",
    "EXPIRED",
    // What became of calls.
    "a call ok",
    "a call failed",
    "a call unknown",
    "a call settled",
    // What people do.
    "setLED",
    "setPowerMode",
    "setupPools",
    "reboot",
    "suspendMining",
    "resumeMining",
    "setHostname",
    "setPowerLimit",
    "restartMinerSoftware",
    "setPowerPct",
    "downloadLogs",
    "setUpfreqSpeed",
    "voted for",
    "voted against",
    "withdrawn",
    "cancelled",
    "pauseAction",
    "resumeAction",
    "stopAction",
    "settled",
    "halted",
    "locked",
    "lifted",
    "shed",
    "queryActions",
    "an outsider",
    // Who was written to.
    "whatsminer v2",
    "whatsminer v3",
    "antminer 2022",
    "antminer 2025",
    // What went wrong.
    "a connection refused",
    "a request cut",
    "a request lost",
    "a reply lost",
    "a reply torn",
    "a reply late",
    "a link clogs",
    "a link is let through again",
    "a device hangs",
    "a device reboots",
    "a device refuses",
    "a device lies about success",
    "a device is mute",
    "a device is slow",
    "a device lies",
    "a device talks garbage",
    "devices change places",
    "a full disk",
    "a failing disk",
    "a crash",
    "a crash while executing",
    "the clock jumps",
    // How things were asked for.
    "$eq",
    "$ne",
    "$in",
    "$nin",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$and",
    "$or",
    "$nor",
    "$not",
    "$exists",
    "$type",
    "$mod",
    "$size",
    "$all",
    "$elemMatch",
    "$regex",
    "$expr",
    "$bitsAnySet",
    "several members",
    "MiningOS's rules",
    "our rules",
    "the same seed twice",
];

/// One case in so many is run twice.
const TWICE_EVERY: u64 = 4;
/// In the long profile one case in so many is a large site for a whole day.
const LARGE_EVERY: u64 = 101;

const LARGE: Scale = Scale { things: 200, minutes: 24 * 60, full: true };

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("whole site in memory");
    let scale = match (run.is_control(), run.profile()) {
        (true, _) => Scale { things: 8, minutes: 2, full: false },
        (_, Profile::Quick) => Scale { things: 10, minutes: 12, full: false },
        (_, Profile::Ci) => Scale { things: 20, minutes: 30, full: false },
        (_, Profile::Long) => Scale { things: 50, minutes: 120, full: true },
    };
    let (control, long) = (run.is_control(), run.profile() == Profile::Long);
    run.each(run.n(), |i, case| {
        let large = long && !control && i % LARGE_EVERY == LARGE_EVERY - 1;
        case.hit_if(large, "a large site for a day");
        one(case, i, if large { LARGE } else { scale }, control)
    });
    Ok(())
}

fn one(case: &mut Case, index: u64, scale: Scale, control: bool) -> Result<(), String> {
    let seed = case.seed;
    let trace = Trace::default();
    let played = simulate(play(seed, index, scale, &trace))?;
    case.simulated(played.time);
    case.hit(if (index / 4) % 2 == 1 { "MiningOS's rules" } else { "our rules" });
    played.hits.iter().for_each(|hit| case.hit(hit));
    if control || index.is_multiple_of(TWICE_EVERY) {
        let again = Trace::default();
        let replayed = simulate(play(seed, index, scale, &again))?;
        case.simulated(replayed.time);
        same(&trace, &again, &played, &replayed)
            .map_err(|text| tell(seed, index, scale, &trace, &again, &text))?;
        case.hit("the same seed twice");
    }
    played.verdict.map_err(|text| format!("story {}, {text}", index % 4))
}

fn same(one: &Trace, two: &Trace, played: &Played, replayed: &Played) -> Result<(), String> {
    if one.hash() == two.hash() && played.verdict == replayed.verdict {
        return Ok(());
    }
    Err(format!(
        "the same seed gave {:x} of {} events and {:x} of {}",
        one.hash(),
        one.events(),
        two.hash(),
        two.events()
    ))
}

/// Where two runs begin to differ, found out by running twice more.
fn tell(seed: u64, index: u64, scale: Scale, one: &Trace, two: &Trace, text: &str) -> String {
    let Some(minute) = one.differs(two) else { return text.to_owned() };
    let (three, four) = (Trace::telling(minute), Trace::telling(minute));
    let again = |trace: &Trace| drop(simulate(play(seed, index, scale, trace)));
    again(&three);
    again(&four);
    format!("{text}; first in minute {minute}: {}", three.difference(&four))
}
