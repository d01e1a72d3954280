//! What history costs: `cargo run --release -p headframe-benches --bin history -- --things 1000 --days 7`.
//!
//! The samples are what simulated Whatsminers measure, by the simulators' own physical model, rounded as the devices
//! report them. Times are CPU times of this process, without the model's. Each simulated second is one durable commit:
//! on a slow disk it takes long, unless `TMPDIR` names a folder in memory. `sync_floor_us` is what as many bare commits cost, of the
//! same numbers as they are, in a file of their own: what no program can go below.

mod fleet;
mod floor;
mod miner;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use fleet::Fleet;
use floor::Floor;
use headframe_benches::{cpu, round};
use headframe_core::{
    Error, ErrorKind, Result,
    history::{FolderDisk, History, HistoryOptions, Sample},
    io::Timestamp,
};

/// A Monday, 0:00 UTC.
const START: i64 = 1_764_547_200_000;
const DAY_MS: i64 = 86_400_000;
const STEP_MS: i64 = 300_000;
const POWER: &str = "stats.power_w";
/// Devices that are asked for one series each.
const ASKED: usize = 15;

/// Measures appending, bytes and queries of the durable history.
#[derive(Debug, Parser)]
struct Args {
    /// How many devices.
    #[arg(long, default_value_t = 50)]
    things: usize,
    /// How many days.
    #[arg(long, default_value_t = 1)]
    days: i64,
    /// Seconds between two samples of one device.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=3600))]
    interval_s: i64,
    /// pco's level for day files.
    #[arg(long, default_value_t = 4)]
    level: usize,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("history: {e}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn failed(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "history.bench", e.to_string())
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("history: {} stays: {e}", self.0.display());
        }
    }
}

fn measure(args: &Args) -> Result<()> {
    if args.things == 0 || args.days < 1 {
        return Err(Error::invalid("history.args", "things", "things and days are at least 1"));
    }
    let folder = Folder(std::env::temp_dir().join(format!("headframe-bench-history-{}", std::process::id())));
    let options = HistoryOptions { level: args.level, ..HistoryOptions::default() };
    let disk = || FolderDisk::open(&folder.0).map(Arc::new);
    let (history, _) = History::create(disk()?, options.clone(), Timestamp(START))?;
    let mut floor = Floor::in_folder(&folder.0)?;
    let spent = fill(args, &history, &mut floor)?;
    floor.end()?;
    let stats = history.stats();
    drop(history);
    let (snapshots, values) = (stats.samples as f64, stats.sealed_values as f64);
    let end = START + args.days * DAY_MS;
    let mut open_ms = Vec::new();
    for _ in 0..3 {
        let disk = disk()?;
        let before = cpu::time();
        drop(History::open(disk, options.clone(), Timestamp(end))?);
        open_ms.push(since(before) * 1e3);
    }
    let (history, _) = History::open(disk()?, options, Timestamp(end))?;
    let series_ms = series(args, &history, end)?;
    let site_sum_ms = site_sum(args, &history, end)?;
    let line = serde_json::json!({
        "bench": "history", "things": args.things, "days": args.days, "interval_s": args.interval_s,
        "model": "simulated Whatsminers, physics asked directly", "snapshots": stats.samples,
        "values_per_snapshot": round(values / snapshots, 1),
        "append_us": round(spent.appended * 1e6 / snapshots, 2),
        "sync_floor_us": round(floor.cpu_s(args.days * DAY_MS / 1_000) * 1e6 / snapshots, 2),
        "of_which_maintain_us": round(spent.maintained * 1e6 / snapshots, 2),
        "bytes_per_sample": round(stats.bytes as f64 / values, 3),
        "bytes_per_snapshot": round(stats.bytes as f64 / snapshots, 1),
        "open_ms": round(middle(open_ms), 2), "series_ms": round(series_ms, 3),
        "site_sum_ms": round(site_sum_ms.0, 1), "site_sum_cpu_ms": round(site_sum_ms.1, 1),
        "longest_maintain_ms": round(spent.longest * 1e3, 1),
        "rss_mb": round(cpu::resident_mb()?, 1),
    });
    println!("{line}");
    Ok(())
}

/// CPU seconds.
#[derive(Debug, Default)]
struct Spent {
    appended: f64,
    /// Of it in maintenance, and the longest call of that.
    maintained: f64,
    longest: f64,
}

/// Appends all samples, second by second, and lets the last day be made.
fn fill(args: &Args, history: &History, floor: &mut Floor) -> Result<Spent> {
    let fleet = Fleet::new(args.things, START)?;
    let shape = miner::shape()?;
    let owners: Vec<String> = (0..args.things).map(|i| format!("miner-{i:05}")).collect();
    let mut spent = Spent::default();
    let mut rows: Vec<(usize, i64, Vec<f64>)> = Vec::new();
    for second in 0..args.days * DAY_MS / 1_000 {
        rows.clear();
        let first = usize::try_from(second % args.interval_s).unwrap_or(0);
        let step = usize::try_from(args.interval_s).unwrap_or(1);
        for device in (first..args.things).step_by(step) {
            // Answers take their time.
            let late = (second.wrapping_mul(7_919) ^ (device as i64).wrapping_mul(104_729)).rem_euclid(180);
            let at = second * 1_000 + late;
            let Some(truth) = fleet.truth(device, at) else { continue };
            let mut values = Vec::with_capacity(shape.len());
            miner::values(&truth, &mut values);
            rows.push((device, at, values));
        }
        let samples: Vec<Sample<'_>> = rows
            .iter()
            .map(|(device, at, values)| Sample {
                owner: &owners[*device],
                ts: Timestamp(START + at),
                shape: &shape,
                values,
                texts: None,
            })
            .collect();
        let before = cpu::time();
        history.append(&samples)?;
        history.commit()?;
        spent.appended += since(before);
        floor.write(second, rows.iter().map(|(_, _, values)| values.len() * size_of::<f64>()).sum())?;
        maintain(history, START + second * 1_000, &mut spent)?;
    }
    // Behind the grace that a day's file waits for.
    maintain(history, START + args.days * DAY_MS + DAY_MS / 4, &mut spent)?;
    Ok(spent)
}

fn maintain(history: &History, now: i64, spent: &mut Spent) -> Result<()> {
    loop {
        let before = cpu::time();
        let done = history.maintain(Timestamp(now))?;
        let took = since(before);
        spent.appended += took;
        spent.maintained += took;
        spent.longest = spent.longest.max(took);
        if done.is_none() {
            return Ok(());
        }
    }
}

/// Median CPU time of one member of one device over all days, ms.
fn series(args: &Args, history: &History, end: i64) -> Result<f64> {
    let mut times = Vec::new();
    for i in 0..ASKED {
        let owner = format!("miner-{:05}", i * args.things / ASKED);
        let before = cpu::time();
        let series = history.series(&owner, POWER, Timestamp(START)..Timestamp(end))?;
        times.push(since(before) * 1e3);
        if series.points.len() as i64 != args.days * DAY_MS / 1_000 / args.interval_s {
            return Err(failed(format!("{owner} has {} points", series.points.len())));
        }
    }
    Ok(middle(times))
}

/// Elapsed and CPU time of the sum of one member over all devices in steps, on two threads, ms.
fn site_sum(args: &Args, history: &History, end: i64) -> Result<(f64, f64)> {
    let clock = headframe_core::io::SystemClock::default();
    let now = || headframe_core::io::Clock::mono(&clock);
    let half = args.things.div_ceil(2);
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..3 {
        let (begun, before) = (now(), cpu::time());
        let halves: Vec<Result<Vec<f64>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = [0..half, half..args.things]
                .map(|things| scope.spawn(move || sum(args, history, things, end)))
                .into();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(failed("a thread failed")))).collect()
        });
        let (elapsed, spent) = (now().since(begun).as_secs_f64() * 1e3, since(before) * 1e3);
        let mut total = 0.0;
        for half in halves {
            total += half?.iter().sum::<f64>();
        }
        if total <= 0.0 {
            return Err(failed("the sum is nothing"));
        }
        best = (best.0.min(elapsed), best.1.min(spent));
    }
    Ok(best)
}

/// Sum over some devices in each step: a value holds until the next, for 2.5 intervals at most.
fn sum(args: &Args, history: &History, things: std::ops::Range<usize>, end: i64) -> Result<Vec<f64>> {
    let steps = usize::try_from((end - START) / STEP_MS).unwrap_or(0);
    let mut sums = vec![0.0; steps];
    let hold = args.interval_s * 2_500;
    for thing in things {
        let owner = format!("miner-{thing:05}");
        let points = history.series_with_gaps(&owner, POWER, Timestamp(START)..Timestamp(end))?.points;
        let (mut step, mut step_end, mut held) = (0, START + STEP_MS, 0.0);
        for (i, (ts, value)) in points.iter().enumerate() {
            let next = points.get(i + 1).map_or(end, |(next, _)| *next);
            let until = next.min(ts + hold);
            if value.is_nan() {
                continue;
            }
            let mut from = *ts;
            while from < until {
                if from >= step_end {
                    sums[step] += std::mem::take(&mut held);
                    step = usize::try_from((from - START) / STEP_MS).unwrap_or(0);
                    step_end = START + (step as i64 + 1) * STEP_MS;
                }
                let to = until.min(step_end);
                held += value * (to - from) as f64;
                from = to;
            }
        }
        sums[step] += held;
    }
    sums.iter_mut().for_each(|sum| *sum /= STEP_MS as f64);
    Ok(sums)
}

fn since(before: Duration) -> f64 {
    cpu::time().saturating_sub(before).as_secs_f64()
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}
