//! `t-kill`: a process that keeps history, or a rack's readings and statistics, is killed at points and at random times, over
//! and over. What it told of as durable is there, once; nothing else is; the bound holds.

use super::Check;
use crate::{
    past,
    rig::in_real_time,
    run::{Case, Run},
    telemetry,
};

pub const CHECK: Check = Check {
    name: "t-kill",
    bug: "remove-first",
    ci: 240,
    long: 1_500,
    probes: &[
        "begins a log",
        "begins a sealed file",
        "writes a commit",
        "writes a sealed file",
        "names a part",
        "names a day",
        "removes a log",
        "removes a part",
        "removes a day",
        "syncs the folder",
        "killed at a random time",
        "a log sealed",
        "a day made",
        "days removed",
        "an unfinished step was put right",
        "readings were durable",
        "readings were lost",
        "rows made anew",
    ],
    run,
};

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("process");
    run.until(run.n(), life);
    Ok(())
}

fn life(case: &mut Case) -> Result<(), String> {
    if case.is_over_telemetry() { in_real_time(telemetry::kill_life(case)) } else { past::kill_life(case) }
}
