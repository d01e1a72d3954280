//! `b-fuzz`: any bytes for every parser that reads from outside.
//!
//! The functions of `headframe-fuzz` over their corpora and over changed and drawn bytes; in the profile `long` also
//! under libFuzzer, where a nightly compiler is installed.

mod memory;
mod mutate;

use std::{
    io::ErrorKind,
    panic,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use headframe_fuzz::{TARGETS, Target};

use super::Check;
use crate::{
    args::Profile,
    run::{Case, Run},
    watch::Watch,
};

pub const CHECK: Check = Check {
    name: "b-fuzz",
    bug: "unchecked-length",
    ci: 16_000,
    long: 400_000,
    probes: &["a file of the corpus", "changed", "two of the corpus joined", "drawn", "nested deep"],
    run,
};

/// The stack of the threads on which users run the library.
const STACK: usize = 2 * 1024 * 1024;
/// A case that takes longer hangs, and is left behind.
const LIMIT: Duration = Duration::from_secs(30);
/// What a case may take; most take a few milliseconds. The machine may be busy otherwise.
const SLOW_MS: u64 = 10_000;
/// From so long on a case is worth a look.
const TOLD_MS: u64 = 1_000;
/// What a case may add to the memory of the process.
const GROWTH: u64 = 32 * 1024 * 1024;
/// Minutes of each target under libFuzzer.
const MINUTES: &str = "10";

type Seeds = Vec<(&'static Target, Vec<(String, Vec<u8>)>)>;

fn run(run: &mut Run) -> Result<(), String> {
    let seeds = seeds()?;
    watch_panics();
    run.form_ran("corpus");
    let files: Vec<_> =
        seeds.iter().flat_map(|(target, files)| files.iter().map(move |f| (*target, f))).collect();
    run.each(files.len() as u64, |i, case| {
        let Some((target, (name, bytes))) = usize::try_from(i).ok().and_then(|i| files.get(i)) else {
            return Ok(());
        };
        case.hit("a file of the corpus");
        one(case, target, bytes.clone()).map_err(|why| format!("{}/{name}: {why}", target.name))
    });
    run.form_ran("random");
    run.each(run.n(), |i, case| {
        let place = usize::try_from(i).unwrap_or(0) % seeds.len();
        let Some((target, files)) = seeds.get(place) else { return Ok(()) };
        let bytes = mutate::drawn(case, files);
        one(case, target, bytes).map_err(|why| format!("{}: {why}", target.name))
    });
    if run.profile() == Profile::Long && !run.is_control() {
        libfuzzer(run)?;
    }
    Ok(())
}

fn seeds() -> Result<Seeds, String> {
    let read = |target: &'static Target| match headframe_fuzz::corpus(target.name) {
        Ok(files) => Ok((target, files)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok((target, Vec::new())),
        Err(e) => Err(format!("the corpus of {}: {e}", target.name)),
    };
    TARGETS.iter().map(read).collect()
}

/// Panics in tasks of their own, which the runtime swallows, are noted too.
fn watch_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        headframe_fuzz::note(info);
        before(info);
    }));
}

/// Runs one case on a thread like those of users, in its bounds of time and memory.
fn one(case: &mut Case, target: &'static Target, bytes: Vec<u8>) -> Result<(), String> {
    let panics = headframe_fuzz::noted();
    let shown = excerpt(&bytes);
    let broken = |why: String| Err(format!("{why}; the bytes were {shown}"));
    let peak = memory::Peak::start();
    let watch = Watch::start();
    let (sender, receiver) = mpsc::channel();
    let work = move || {
        let told = panic::catch_unwind(|| (target.run)(&bytes)).map_err(|payload| said(&*payload));
        let _gone = sender.send(told);
    };
    let thread = thread::Builder::new().stack_size(STACK).spawn(work).map_err(|e| e.to_string())?;
    match receiver.recv_timeout(LIMIT) {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => return broken(format!("panic: {panic}")),
        Err(_) => return broken(format!("no end within {} s", LIMIT.as_secs())),
    }
    let _ended = thread.join();
    let ms = watch.ms();
    case.took(ms);
    if headframe_fuzz::noted() > panics {
        return broken("a task panicked".into());
    }
    if ms > TOLD_MS {
        eprintln!("b-fuzz: {}: {ms} ms for {shown}", target.name);
    }
    if ms > SLOW_MS {
        return broken(format!("it took {ms} ms"));
    }
    match peak.growth() {
        Some(bytes) if bytes > GROWTH => broken(format!("{} MiB were added to the memory", bytes >> 20)),
        _ => Ok(()),
    }
}

fn said(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    text.chars().take(400).collect()
}

/// The beginning of a case's bytes, for people; the seed and the number repeat them whole.
fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 160;
    let head = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii();
    if bytes.len() > SHOWN {
        format!("\"{head}\" … ({} bytes)", bytes.len())
    } else {
        format!("\"{head}\"")
    }
}

/// The same functions under libFuzzer, with the checks of AddressSanitizer.
fn libfuzzer(run: &mut Run) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let xtask = |args: &[&str]| {
        let mut command = Command::new(&cargo);
        command.args(["xtask", "fuzz"]).args(args).stdin(Stdio::null()).stdout(Stdio::null());
        command.status().map_err(|e| format!("cargo xtask fuzz: {e}"))
    };
    if !xtask(&["ready"])?.success() {
        eprintln!("b-fuzz: without libFuzzer: no nightly compiler is installed");
        return Ok(());
    }
    run.form_ran("libfuzzer");
    for target in TARGETS {
        if !xtask(&[target.name, "--minutes", MINUTES])?.success() {
            run.violation(&format!("libFuzzer found something in {}", target.name));
        }
    }
    Ok(())
}
