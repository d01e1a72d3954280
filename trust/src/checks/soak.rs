//! `b-soak`: a site that polls and keeps history for long has no more memory, files and tasks than at first, and its files
//! grow by what is said and by nothing else.
//!
//! The site is the whole one, with its real drivers, and its files are real; its devices are simulated, in memory. Once its
//! time is simulated too, so that an hour of many things takes minutes, and once it is not.

use std::{fs, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use headframe_core::{
    auth::{Permissions, Principal},
    driver::{Ports, Registry},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::Members,
    rack::{Caller, CollectorOptions, RackId, RackOptions, ThingDraft},
    site::Site,
    store::{StoreOptions, Writer},
    telemetry::{Aggregate, Over, SeriesQuery, TelemetryOptions, ThingsOf},
};
use headframe_sim::{Fleet, FleetBuilder, Join, WhatsminerOptions};
use serde_json::json;

use super::Check;
use crate::{
    args::Profile,
    rig::{Folder, needed, simulate},
    run::{Case, Run},
    wire::{in_use_bytes, resident_kib},
};

pub const CHECK: Check = Check {
    name: "b-soak",
    bug: "leak-reading",
    ci: 60,
    long: 60,
    probes: &["sealed", "a day was merged", "asked meanwhile", "nobody listened"],
    run,
};

const TYPE: &str = "miner-wm-m50s";
const NAME: &str = "soak";
/// When the clock of a simulated site begins: a day ends, and is merged, before anything is measured.
const START_MS: i64 = 1_764_028_800_000 - 120_000;
/// What may come on top in an hour of 100,000 things that are polled once a minute; `trust.md`.
const HOUR_POLLS: f64 = 6_000_000.0;
const HOUR_KIB: f64 = 1_024.0;
/// By how much what is in use may differ from minute to minute, KiB: polls and blocks under way are not the same.
const NOISE_KIB: f64 = 256.0;
/// What an allocator may keep back for later, as a part of all that the process has.
const KEPT_BACK: f64 = 0.02;
/// Most bytes that a reading of a Whatsminer takes, where it is not sealed.
const OPEN_BYTES: f64 = 450.0;
/// How much one half may differ from the other in what it adds to the files.
const UNEVEN: f64 = 0.25;
/// Most files by which two moments may differ: one is sealed, or read.
const READ_NOW: f64 = 3.0;
/// Most tasks by which two moments may differ: a poll or an answer is under way.
const UNDER_WAY: usize = 16;
/// What files beside the history may come to hold: the last rows are written again and again, and packed now and then.
const OTHER_BYTES: f64 = 512.0;

/// How large a site is, and how long it is watched.
#[derive(Debug, Clone, Copy)]
struct Size {
    things: usize,
    interval: Duration,
    minutes: u64,
}

/// The least of a minute.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    in_use_kib: u64,
    resident_kib: u64,
}

/// What a site holds at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    polls: u64,
    memory: Memory,
    files: usize,
    tasks: usize,
    /// Samples in the history of readings, and in that of statistics.
    readings: u64,
    rows: u64,
    readings_bytes: u64,
    /// Of all files that are no history.
    other_bytes: u64,
}

/// How glibc's allocator is asked to keep its memory together, as `docs/telemetry.md` advises for large sites: what threads
/// and large buffers leave behind in arenas of their own is no memory of the site's, and comes and goes by tens of MiB. With
/// fewer arenas than threads that work these wait for each other.
#[cfg(unix)]
const ALLOCATOR: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "8"), ("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Begins this program anew where the allocator was not asked yet: it looks at these variables once.
#[cfg(unix)]
fn ask_allocator() -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    if ALLOCATOR.iter().all(|(name, _)| std::env::var_os(name).is_some()) {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut anew = std::process::Command::new(program);
    Err(anew.args(std::env::args_os().skip(1)).envs(ALLOCATOR).exec().to_string())
}

fn run(run: &mut Run) -> Result<(), String> {
    #[cfg(unix)]
    ask_allocator()?;
    let seconds = Duration::from_secs;
    // The bug shows at once.
    let n = if run.is_control() { 12 } else { run.n() };
    let (simulated, real) = match run.profile() {
        Profile::Quick => (Size { things: 1_000, interval: seconds(10), minutes: n.max(12) }, None),
        Profile::Ci => (
            Size { things: 2_000, interval: seconds(10), minutes: n },
            Some(Size { things: 2_000, interval: seconds(2), minutes: 5 }),
        ),
        // The hour of 100,000 things is real: simulated it takes as long, and leaves its memory behind.
        Profile::Long => (
            Size { things: 2_000, interval: seconds(10), minutes: n },
            Some(Size { things: 100_000, interval: seconds(60), minutes: 60 }),
        ),
    };
    run.form_ran("simulated");
    run.each(1, |_, case| simulate(soak(case, simulated, true)));
    let Some(real) = real.filter(|_| !run.enough()) else { return Ok(()) };
    run.form_ran("real time");
    run.each(1, |_, case| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
        runtime.map_err(|e| e.to_string())?.block_on(soak(case, real, false))
    });
    Ok(())
}

async fn soak(case: &mut Case, size: Size, simulated: bool) -> Result<(), String> {
    let clock =
        if simulated { SystemClock::starting_at(Timestamp(START_MS)) } else { SystemClock::default() };
    let cx = Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(case.seed)), Arc::new(MemNet::new()));
    let folder = Folder::new()?;
    let devices = devices(&cx, size.things).await?;
    let site = open(&cx, &folder, size, simulated).await?;
    register(&site, &devices).await?;
    // Nobody reads: it is told how many it missed, and costs no more than its room.
    let _idle = site.subscribe(64);
    case.hit("nobody listened");
    let mut held = Vec::new();
    for minute in 0..size.minutes {
        let memory = least_in_minute(&cx).await?;
        ask(&cx, &site).await?;
        case.hit("asked meanwhile");
        case.unit();
        eprintln!("b-soak: minute {minute}: {memory:?}");
        held.push(look(&site, &folder, memory).map_err(|e| format!("minute {minute}: {e}"))?);
    }
    let telemetry = site.telemetry().ok_or("there is no history")?;
    let kept = telemetry.readings().stats();
    case.hit_if(kept.sealed_values > 0, "sealed");
    case.hit_if(kept.days > 1, "a day was merged");
    let counts = site.counts();
    eprintln!("b-soak: {counts:?}, {:?}", telemetry.counters());
    needed("no end", site.shutdown(Duration::from_secs(10)).await)?;
    drop(devices);
    judge(&held, size)?;
    if counts.polls_failed > 0 || counts.sink_dropped > 0 {
        // A machine that has too much else to do is too slow for the site; what it held was judged all the same.
        return Err(format!("not everything was read and kept: {counts:?}"));
    }
    Ok(())
}

/// Waits for a minute, and gives the least memory in it: blocks, polls and questions under way come and go.
async fn least_in_minute(cx: &Ctx) -> Result<Memory, String> {
    let mut least = Memory { in_use_kib: u64::MAX, resident_kib: u64::MAX };
    for _ in 0..60 {
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(1)).await;
        let resident_kib = resident_kib().ok_or("nobody says how much memory there is")?;
        least.in_use_kib = least.in_use_kib.min(in_use_bytes() / 1_024);
        least.resident_kib = least.resident_kib.min(resident_kib);
    }
    Ok(least)
}

async fn devices(cx: &Ctx, things: usize) -> Result<Fleet, String> {
    let options = WhatsminerOptions { join: Join::None, ..WhatsminerOptions::v2() };
    let fleet =
        FleetBuilder::new().seed(1).base(Ipv4Addr::new(10, 0, 0, 1)).whatsminers_with(things, options);
    needed("no devices", fleet.start(cx).await)
}

async fn open(cx: &Ctx, dir: &Path, size: Size, simulated: bool) -> Result<Site, String> {
    let mut drivers = Registry::new();
    headframe_drivers::register_all(&mut drivers);
    let mut rack = RackOptions::new("whatsminer");
    rack.collector = CollectorOptions::every(size.interval);
    let mut store = StoreOptions::default();
    store.reserve_bytes = 0;
    if simulated {
        store.writer = Writer::Inline;
    }
    let mut history = TelemetryOptions::default();
    // Where only few may be open, it shows whether more are.
    (history.readings.max_open_files, history.rows.max_open_files) = (8, 8);
    // What happens once in an hour, or at the end of a day, happens before anything is measured, and all the time. Not more
    // often than it must: each sealed part has all texts once.
    history.readings.seal_age = Duration::from_secs(60 * size.minutes / 6);
    if simulated {
        history.readings.day_grace = Duration::from_secs(60);
    }
    let builder = Site::builder(drivers).rack(TYPE, NAME, rack).store(store).history(Some(history));
    needed("no site", builder.create(cx, dir).await)
}

async fn register(site: &Site, fleet: &Fleet) -> Result<(), String> {
    let ports = Ports::simulated();
    let draft = |(n, device): (usize, &headframe_sim::Device)| {
        let mut opts = Members::default();
        for (name, value) in [
            ("address", json!(device.ip().to_string())),
            ("port", json!(ports.rpc)),
            ("v3_port", json!(ports.v3)),
            ("password", json!("admin")),
        ] {
            opts.insert(name, value);
        }
        let mut draft = ThingDraft::default();
        draft.opts = Some(opts);
        let pos = format!("{}_{}_{}", n / 100, n / 10 % 10, n % 10);
        draft.info = json!({"container": format!("container-{}", n / 500), "pos": pos})
            .as_object()
            .cloned()
            .unwrap_or_default();
        draft
    };
    let drafts = fleet.devices().iter().enumerate().map(draft).collect();
    let rack = rack()?;
    let made = site.register_many(&rack, drafts, &Caller::new("soak")).await;
    for one in needed("nothing is registered", made)? {
        needed("a thing is refused", one)?;
    }
    Ok(())
}

fn rack() -> Result<RackId, String> {
    needed("no rack", RackId::new(&format!("{TYPE}-{NAME}")))
}

/// What people and dashboards ask for all the time.
async fn ask(cx: &Ctx, site: &Site) -> Result<(), String> {
    let who = needed("nobody", Permissions::parse(["miner:rw"]))?;
    let who = Principal::new("ann@soak", who);
    let tail = json!({"type": TYPE, "key": "stat-1m", "tag": "t-miner", "limit": 60});
    for (method, params) in [("listThings", json!({"limit": 50, "status": 1})), ("tailLog", tail)] {
        needed(method, site.orchestrator().call(&who, method, &params.to_string()).await)?;
    }
    let now = cx.clock.wall();
    let ids = site.things().ids().into_iter().take(20).collect();
    let mut query = SeriesQuery::new(ThingsOf::Ids(ids), "stats.power_w", Timestamp(now.0 - 600_000)..now);
    (query.over, query.aggregate, query.threads) = (Over::Together, Aggregate::Sum, 1);
    let telemetry = site.telemetry().ok_or("there is no history")?;
    needed("no series", telemetry.series(&query)).map(drop)
}

/// What is held now.
fn look(site: &Site, dir: &Path, memory: Memory) -> Result<Held, String> {
    let telemetry = site.telemetry().ok_or("there is no history")?;
    let bytes = |dir: &Path| -> std::io::Result<u64> {
        let mut sum = 0;
        for entry in fs::read_dir(dir)? {
            let meta = entry?.metadata()?;
            sum += if meta.is_file() { meta.len() } else { 0 };
        }
        Ok(sum)
    };
    Ok(Held {
        polls: site.counts().polls_done,
        memory,
        files: fs::read_dir("/proc/self/fd").map_err(|e| e.to_string())?.count(),
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        readings: telemetry.readings().stats().samples,
        rows: telemetry.statistics().stats().samples,
        readings_bytes: telemetry.readings().stats().bytes,
        other_bytes: bytes(dir).map_err(|e| e.to_string())?,
    })
}

/// What is held at the end is what was held after a third of the time, but for what the readings are.
fn judge(held: &[Held], size: Size) -> Result<(), String> {
    let after = &held[held.len() / 3..];
    let (first, second) = after.split_at(after.len() / 2);
    let (Some(start), Some(middle), Some(end)) = (first.first(), first.last(), second.last()) else {
        return Err(format!("{} minutes are too few", held.len()));
    };
    eprintln!("b-soak: {} things: {start:?}, then {middle:?}, at last {end:?}", size.things);
    memory(first, second)?;
    let files = (median(first, |h| h.files as u64), median(second, |h| h.files as u64));
    if files.1 > files.0 + READ_NOW {
        return Err(format!("{} files were open, then {}", files.0, files.1));
    }
    let tasks = (median(first, |h| h.tasks as u64), median(second, |h| h.tasks as u64));
    if tasks.1 > tasks.0 + UNDER_WAY as f64 {
        return Err(format!("there were {} tasks, then {}", tasks.0, tasks.1));
    }
    // One reading for each poll, but for those of the last second.
    let lost = end.polls.abs_diff(end.readings);
    let second = (size.things as f64 / size.interval.as_secs_f64()).ceil() as u64;
    if lost > second + UNDER_WAY as u64 {
        return Err(format!("{} polls left {} readings", end.polls, end.readings));
    }
    let other = end.other_bytes.saturating_sub(start.other_bytes) as f64;
    if other > OTHER_BYTES * size.things as f64 {
        return Err(format!("{other} bytes came on top beside the history"));
    }
    even("rows of statistics", start.rows, middle.rows, end.rows)?;
    let bytes = end.readings_bytes.saturating_sub(start.readings_bytes) as f64;
    // Where polls come late there are fewer readings in a sealed part, and no fewer texts.
    let due = size.things as f64 * (after.len() - 1) as f64 * 60.0 / size.interval.as_secs_f64();
    let came = end.readings.saturating_sub(start.readings) as f64;
    if bytes > OPEN_BYTES * due.max(came) {
        return Err(format!(
            "{bytes} bytes of history came of readings {} to {}",
            start.readings, end.readings
        ));
    }
    Ok(())
}

/// No more is in use in the second half than in the first, and little more is kept back. What is sealed from time to time
/// comes and goes with it, so that the least of each half says what stays.
fn memory(first: &[Held], second: &[Held]) -> Result<(), String> {
    let polls = median(second, |h| h.polls) - median(first, |h| h.polls);
    let least = |half: &[Held], of: fn(&Memory) -> u64| {
        half.iter().map(|held| of(&held.memory)).min().unwrap_or(0) as f64
    };
    let in_use = least(second, |memory| memory.in_use_kib) - least(first, |memory| memory.in_use_kib);
    let most = NOISE_KIB + HOUR_KIB * polls / HOUR_POLLS;
    if in_use > most {
        return Err(format!("{in_use} KiB more are in use after {polls} polls, {most:.0} may"));
    }
    let before = least(first, |memory| memory.resident_kib);
    let resident = least(second, |memory| memory.resident_kib) - before;
    let most = most.max(KEPT_BACK * before);
    if resident > most {
        return Err(format!("{resident} KiB of {before} came on top in what the process has, {most:.0} may"));
    }
    Ok(())
}

fn median(half: &[Held], of: impl Fn(&Held) -> u64) -> f64 {
    let mut all: Vec<u64> = half.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0) as f64
}

/// Both halves add as much.
fn even(what: &str, start: u64, middle: u64, end: u64) -> Result<(), String> {
    let (first, second) = (middle as f64 - start as f64, end as f64 - middle as f64);
    let is_even = (first - second).abs() <= UNEVEN * first.max(second);
    if is_even { Ok(()) } else { Err(format!("{first} {what} came in one half, {second} in the other")) }
}
