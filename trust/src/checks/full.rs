//! `s-full`: the disk is full. Reads go on, stop actions are journalled, writing resumes by itself, nothing is lost.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use headframe_core::{
    Error, Sent,
    io::Ctx,
    store::{ControlStore, CrashBackend, CrashPlan, StoreOptions, code},
};
use serde_json::json;

use super::{Check, step};
use crate::{
    child,
    oracle::Oracle,
    rig::{Folder, Rig, in_real_time, needed, simulate},
    run::{Case, Run},
    watch::{self, Watch},
    workload::{Op, Registry, actions},
};

pub const CHECK: Check = Check {
    name: "s-full",
    bug: "no-ballast",
    ci: 450,
    long: 4_500,
    probes: &[
        "full while writing",
        "another program took the space",
        "another program took space at any moment",
        "stop journalled on a full disk",
        "reserve used",
        "ordinary write refused while full",
        "resumed by itself",
        "reserve whole again",
        "cut while full",
        "vote refused while full",
        "load shed on a full disk",
        "calls held up by a full disk",
    ],
    run,
};

/// Bytes that are kept for stop actions.
pub const RESERVE: u64 = 1 << 20;
const STOPS: u64 = 40;
const STOP_LIMIT_MS: u64 = 1_000;
/// Real file systems: their kind, bytes, and how many times each is filled.
const REAL: &[(&str, u64)] = &[("tmpfs", 8 << 20), ("ext4", 16 << 20)];
const REAL_LIMIT: Duration = Duration::from_secs(40);

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("backend");
    run.until(run.n(), |case| {
        if case.is_over_actions() { simulate(actions::full(case)) } else { simulate(in_memory(case)) }
    });
    for (kind, bytes) in REAL {
        if !run.enough() {
            real(run, kind, *bytes)?;
        }
    }
    Ok(())
}

async fn in_memory(case: &mut Case) -> Result<(), String> {
    let rig = Rig::new(case).with_reserve(RESERVE);
    let disk = CrashBackend::new(case.seed);
    let registry = needed("a store cannot be made", rig.create(disk.clone()).await)?;
    let mut oracle = Oracle::empty();
    let room = case.rng.u64(0..400_000);
    let capacity = disk.used() + room;
    let greedy = case.rng.bool();
    disk.plan(CrashPlan { capacity: Some(capacity), greedy, ..CrashPlan::default() });
    case.hit_if(greedy, "another program took space at any moment");
    if case.rng.u32(0..3) == 0 {
        for n in 0..case.rng.u64(0..6) {
            let _any = step::change(case, &*registry, &mut oracle, n).await?;
        }
        disk.take_space(capacity.saturating_sub(disk.used()));
        case.hit("another program took the space");
    }
    let refused = fill_up(case, &*registry, &mut oracle).await?;
    is_full(&refused)?;
    case.hit("full while writing");
    oracle.found(&registry.content())?;
    stop(case, &*registry, &mut oracle).await?;
    // The disk is as full as before, but for what was kept.
    let told = step::make(case, &*registry, &mut oracle, &large(9_999)).await?;
    match told {
        Err(e) => is_full(&e).map(|()| case.hit("ordinary write refused while full"))?,
        Ok(()) => return Err("an ordinary write took the space of stop actions".into()),
    }
    case.hit_if(registry.store().health().reserve_bytes < RESERVE, "reserve used");
    if case.rng.bool() {
        let after = needed("refused after a cut while full", rig.open(disk.cut()).await)?;
        oracle.clone().found(&after.content())?;
        case.hit("cut while full");
    }
    disk.take_space(0);
    disk.plan(CrashPlan { capacity: Some(disk.used() + (8 << 20)), ..CrashPlan::default() });
    rig.cx.clock.sleep_until(rig.cx.clock.mono() + Duration::from_secs(2)).await;
    resumed(case, &*registry, &mut oracle).await?;
    let after = needed("refused at the end", rig.open(disk.cut()).await)?;
    oracle.found(&after.content())
}

/// A change that needs room.
fn large(n: u64) -> Op {
    Op::Register(vec![(format!("large-{n}"), json!({"n": n, "text": "z".repeat(20_000)}))])
}

/// Writes until the disk is full; gives the error.
async fn fill_up(case: &mut Case, registry: &dyn Registry, oracle: &mut Oracle) -> Result<Error, String> {
    for n in 0..10_000 {
        if let Err(e) = step::make(case, registry, oracle, &large(n)).await? {
            return Ok(e);
        }
    }
    Err("the disk never became full".into())
}

/// Whether an error tells of a full disk as it should.
pub fn is_full(e: &Error) -> Result<(), String> {
    if (e.code(), e.sent(), e.retryable()) == (code::FULL, Sent::No, true) {
        return Ok(());
    }
    Err(format!("a full disk is told as {e:?}"))
}

/// Stop actions are durable at once, whatever the disk.
async fn stop(case: &mut Case, registry: &dyn Registry, oracle: &mut Oracle) -> Result<(), String> {
    for n in 0..STOPS {
        let watch = Watch::start();
        let told = step::make(case, registry, oracle, &Op::Stop(n)).await?;
        case.took(watch.ms());
        needed("a stop action was refused", told)?;
        if watch.ms() > STOP_LIMIT_MS {
            return Err(format!("a stop action took {} ms", watch.ms()));
        }
    }
    case.hit("stop journalled on a full disk");
    Ok(())
}

async fn resumed(case: &mut Case, registry: &dyn Registry, oracle: &mut Oracle) -> Result<(), String> {
    let told = step::make(case, registry, oracle, &large(10_000)).await?;
    needed("writing did not resume by itself", told)?;
    case.hit("resumed by itself");
    let health = registry.store().health();
    if health.full || health.reserve_bytes != RESERVE {
        return Err(format!("the space for stop actions was not taken again: {health:?}"));
    }
    case.hit("reserve whole again");
    oracle.found(&registry.content())
}

/// The same on a small file system of the kernel's, where this user may mount one: in a namespace of its own, so that
/// it goes with its process.
fn real(run: &mut Run, kind: &'static str, bytes: u64) -> Result<(), String> {
    let folder = Folder::new()?;
    let at = folder.join("disk");
    fs::create_dir_all(&at).map_err(|e| e.to_string())?;
    let mount = match kind {
        "tmpfs" => format!("mount -t tmpfs -o size={bytes} tmpfs \"$1\""),
        _ => format!(
            "truncate -s {bytes} \"$1.img\" && mkfs.{kind} -q -F \"$1.img\" && mount -o loop \"$1.img\" \"$1\""
        ),
    };
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let script = format!("{mount} || exit 77; \"$2\" child fill \"$1\"; s=$?; umount \"$1\"; exit $s");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(&at).arg(program);
    let (said, well) = match watch::output(&mut command, REAL_LIMIT) {
        Ok(ended) => ended,
        Err(e) if e.ends_with(watch::LATE) => {
            run.violation(&format!("{kind}: {e}"));
            return Ok(());
        }
        Err(_) => (String::new(), false),
    };
    if !said.contains(child::BEGAN) {
        eprintln!("{}: no {kind} can be mounted here", run.name());
        return Ok(());
    }
    run.form_ran(kind);
    run.each(1, |_, case| {
        said.lines().filter_map(|l| l.strip_prefix("ms ")?.parse().ok()).for_each(|ms| case.took(ms));
        let violation = said.lines().find_map(|l| l.strip_prefix("violation "));
        match violation {
            Some(text) => Err(format!("{kind}: {text}")),
            None if well => Ok(()),
            None => Err(format!("{kind}: the process that filled it ended badly")),
        }
    });
    Ok(())
}

/// Fills the file system of `dir`: first with what a store writes, then with a file of another program.
pub fn fill(dir: &Path) -> Result<(), String> {
    child::say(child::BEGAN);
    let mut scratch = Run::new(&CHECK, 1, 1, crate::args::Profile::Ci, false);
    let mut outcome = Ok(());
    scratch.each(1, |_, case| {
        outcome = in_real_time(fill_dir(case, dir));
        Ok(())
    });
    if let Some(ms) = scratch.slowest_ms() {
        child::say(&format!("ms {ms}"));
    }
    if scratch.violations() > 0 {
        return Err("it panicked".into());
    }
    if let Err(text) = &outcome {
        child::say(&format!("violation {text}"));
    }
    outcome
}

async fn fill_dir(case: &mut Case, dir: &Path) -> Result<(), String> {
    let (cx, site) = (Ctx::system(), dir.join("site"));
    let mut options = StoreOptions::default();
    options.reserve_bytes = RESERVE;
    let store = needed("a store cannot be made", ControlStore::create(&cx, &site, &options).await)?;
    let registry: Arc<dyn Registry> = needed("no registry", case.workload.over(store).await)?;
    let mut oracle = Oracle::empty();
    let told = step::make(case, &*registry, &mut oracle, &large(20_000)).await?;
    needed("a write was refused on an empty disk", told)?;
    let other = Greedy::start(dir.join("another program"))?;
    let refused = fill_up(case, &*registry, &mut oracle).await?;
    is_full(&refused)?;
    oracle.found(&registry.content())?;
    stop(case, &*registry, &mut oracle).await?;
    // A new try for the ordinary ones comes, and fails.
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(1_100)).await;
    let told = step::make(case, &*registry, &mut oracle, &large(20_001)).await?;
    is_full(&told.err().ok_or("a write found space on a full disk")?)?;
    let told = step::make(case, &*registry, &mut oracle, &Op::Stop(STOPS)).await?;
    needed("a stop action was refused later", told)?;
    oracle.found(&registry.content())?;
    other.stop()?;
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(1_600)).await;
    resumed(case, &*registry, &mut oracle).await?;
    drop(registry);
    let store = needed("refused at the end", ControlStore::open(&cx, &site, &options).await)?;
    let registry = needed("no registry", case.workload.over(store).await)?;
    oracle.found(&registry.content())
}

/// Another program: whatever becomes free, it takes at once.
struct Greedy {
    path: PathBuf,
    enough: mpsc::Sender<()>,
    thread: JoinHandle<Result<(), String>>,
}

impl Greedy {
    /// Returns when the disk is full.
    fn start(path: PathBuf) -> Result<Self, String> {
        occupy(&path)?;
        let (enough, told) = mpsc::channel();
        let own = path.clone();
        let thread = std::thread::spawn(move || {
            while told.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
                occupy(&own)?;
            }
            Ok(())
        });
        Ok(Self { path, enough, thread })
    }

    /// Gives everything back.
    fn stop(self) -> Result<(), String> {
        drop(self.enough);
        self.thread.join().map_err(|_| "the other program panicked")??;
        fs::remove_file(&self.path).map_err(|e| e.to_string())
    }
}

/// Takes what is left of the disk.
fn occupy(path: &Path) -> Result<(), String> {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).map_err(|e| e.to_string())?;
    for size in [64 << 10, 4 << 10, 512] {
        let bytes = vec![0x5a; size];
        while file.write_all(&bytes).is_ok() {}
    }
    Ok(())
}
