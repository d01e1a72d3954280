//! Programs that try to break what Headframe promises, and prove that they would notice.
//!
//! Each check runs cases from one seed and prints one JSON line. A check counts only with its control: a build that
//! holds a planted bug, in which the check must find violations. `cargo xtask trust` runs both.

mod act;
mod args;
mod authz;
mod checks;
mod child;
mod fixture;
mod life;
mod line;
mod log;
mod oracle;
mod past;
mod rig;
mod run;
mod sim;
mod site;
mod telemetry;
mod watch;
mod wire;
mod workload;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use args::{Args, Asked, Profile};
use checks::Check;
use clap::Parser;
use headframe_core::io::Ctx;
use line::Line;
use run::Run;

/// The variable that chooses the planted bug.
const PLANTED: &str = "HEADFRAME_PLANTED";
/// Seeds stay within what every reader of JSON takes for a whole number.
const SEED_BITS: u32 = 48;

/// Panics since the start, those that the store turned into errors too.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    match Args::parse().asked {
        Asked::List => {
            checks::ALL.iter().for_each(|check| println!("{} {}", check.name, check.bug));
            ExitCode::SUCCESS
        }
        Asked::Run(how) => match run(&how) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(Failure::Usage(text)) => complain(&text, 2),
            Err(Failure::Ended(text)) => complain(&text, 1),
        },
        Asked::Fixture { dir } => match fixture::make(&dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => complain(&text, 1),
        },
        Asked::Child { what, dir } => match child::run(what, &dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => complain(&text, 1),
        },
    }
}

#[derive(Debug)]
enum Failure {
    Usage(String),
    Ended(String),
}

fn complain(text: &str, status: u8) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::from(status)
}

/// Runs a check and prints its line; true when it ended well.
fn run(how: &args::How) -> Result<bool, Failure> {
    let check = checks::find(&how.name).map_err(Failure::Usage)?;
    if how.planted {
        planted(check).map_err(Failure::Usage)?;
    }
    // Panics are counted; the text of those that are part of a case would only hide what matters.
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
    let seed = how.seed.unwrap_or_else(|| Ctx::system().rng.u64() >> (u64::BITS - SEED_BITS));
    // A control ends when the bug was found, so it may look for long.
    let profile = if how.planted && how.profile == Profile::Quick { Profile::Ci } else { how.profile };
    let n = how.n.unwrap_or_else(|| check.size(profile));
    eprintln!("{}: {n} cases from the seed {seed}", check.name);
    let mut run = Run::new(check, n, seed, how.profile, how.planted);
    let watch = watch::Watch::start();
    run.whole().map_err(Failure::Ended)?;
    let line = Line::new(&run, watch.seconds(), how.control_caught, PANICS.load(Ordering::Relaxed));
    println!("{}", serde_json::to_string(&line).map_err(|e| Failure::Ended(e.to_string()))?);
    Ok(line.is_well(how.planted))
}

fn planted(check: &Check) -> Result<(), String> {
    if !cfg!(planted) {
        return Err("this build holds no planted bugs: build it with --cfg planted".into());
    }
    match std::env::var(PLANTED) {
        Ok(bug) if bug == check.bug => Ok(()),
        _ => Err(format!("the bug of {} is chosen with {PLANTED}={}", check.name, check.bug)),
    }
}
