//! What statistics cost: `cargo run --release -p headframe-benches --bin aggregate -- --things 10000`.
//!
//! Miners of ten types in 40 containers with 500 PDU racks say something once a minute. Measured are taking what they say,
//! beside appending the same to a bare history, and the end of a minute, in turns without and with
//! keeping its rows. Times are CPU times
//! of this process.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use headframe_benches::{
    cpu, round,
    stage::{Spread, Stage, snapshot, varied},
};
use headframe_core::{
    Error, Result,
    history::{History, HistoryOptions, MemDisk, Sample, Shape},
    io::Timestamp,
    model::flat::Flattener,
    rack::Reading,
};
use serde_json::json;

/// A Monday, 0:00 UTC.
const START: i64 = 1_764_547_200_000;
const MINUTE: i64 = 60_000;
const TYPES: [&str; 10] = [
    "miner-wm-m30sp",
    "miner-wm-m50s",
    "miner-wm-m53s",
    "miner-wm-m56s",
    "miner-wm-m60s",
    "miner-wm-m63s",
    "miner-am-s19xp",
    "miner-am-s19xph",
    "miner-am-s21",
    "miner-am-s21pro",
];

/// Measures samples and the ends of windows.
#[derive(Debug, Parser)]
struct Args {
    /// How many miners.
    #[arg(long, default_value_t = 10_000)]
    things: usize,
    /// In how many containers.
    #[arg(long, default_value_t = 40)]
    containers: usize,
    /// With how many PDU racks in all.
    #[arg(long, default_value_t = 500)]
    pdu_racks: usize,
    /// How many minutes are measured.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
}

fn main() -> ExitCode {
    headframe_benches::run("aggregate", measure(Args::parse()))
}

/// CPU times, ms.
#[derive(Debug, Default)]
struct Spent {
    put: Vec<f64>,
    bare: Vec<f64>,
    close: Vec<f64>,
    flush: Vec<f64>,
}

async fn measure(args: Args) -> Result<()> {
    if args.things < TYPES.len() || args.minutes == 0 {
        return Err(Error::invalid("aggregate.args", "things", "at least one of each type, and one minute"));
    }
    let per_rack = args.things / TYPES.len();
    let spread = Spread { things: per_rack, containers: args.containers, pdu_racks: args.pdu_racks };
    let mut stage = Stage::new(Timestamp(START), &TYPES, spread, Duration::from_secs(60)).await?;
    let mut bare = Bare::new()?;
    let template = snapshot()?;
    let (mut spent, mut rows) = (Spent::default(), 0);
    for step in 0..args.minutes {
        let at = i64::try_from(step).unwrap_or(0) * MINUTE;
        // As in a running site: the minute before ends some seconds into this one.
        stage.set(at + 30_000);
        let readings: Vec<Vec<Arc<Reading>>> = stage
            .racks
            .iter_mut()
            .enumerate()
            .map(|(n, rack)| {
                let say = |thing: usize| varied(&template, n * per_rack + thing, step);
                rack.readings(Timestamp(START + at + 30_000), say)
            })
            .collect();
        let before = cpu::time();
        for (rack, readings) in stage.racks.iter().zip(&readings) {
            rack.put(readings).await;
        }
        spent.put.push(since(before));
        spent.bare.push(bare.append(&readings)?);
        stage.set(at + MINUTE + 6_000);
        let before = cpu::time();
        if step % 2 == 0 {
            rows = rows.max(stage.telemetry.close_windows());
            spent.close.push(since(before));
            stage.telemetry.flush()?;
        } else {
            stage.telemetry.flush()?;
            spent.flush.push(since(before));
        }
    }
    let things = (per_rack * TYPES.len()) as f64;
    let close_max = spent.close.iter().copied().fold(f64::NAN, f64::max);
    let (put, bare) = (middle(spent.put) * 1e3 / things, middle(spent.bare) * 1e3 / things);
    let line = json!({
        "bench": "aggregate", "things": per_rack * TYPES.len(), "types": TYPES.len(),
        "containers": args.containers, "pdu_racks": args.pdu_racks,
        "close_ms": round(middle(spent.close), 2), "close_max_ms": round(close_max, 2), "rows": rows,
        "flush_ms": round(middle(spent.flush), 2),
        "snapshot_us": round(put - bare, 2), "put_us": round(put, 2), "append_us": round(bare, 2),
    });
    println!("{line}");
    Ok(())
}

/// A history alone: the floor.
struct Bare {
    history: History,
    flattener: Flattener,
    shape: Option<Arc<Shape>>,
}

impl Bare {
    fn new() -> Result<Self> {
        let disk = Arc::new(MemDisk::new(3));
        let (history, _) = History::create(disk, HistoryOptions::default(), Timestamp(START))?;
        Ok(Self { history, flattener: Flattener::default(), shape: None })
    }

    /// Appends what readings say; the CPU time of that, without making it flat.
    fn append(&mut self, racks: &[Vec<Arc<Reading>>]) -> Result<f64> {
        let mut rows = Vec::new();
        for reading in racks.iter().flatten() {
            let snapshot = reading.snapshot();
            let flat = self.flattener.flatten(&snapshot)?;
            if self.shape.is_none() {
                self.shape = Some(Shape::new(flat.shape.members().iter().map(|member| &**member))?);
            }
            rows.push((reading.thing.clone(), reading.ts, flat.values.to_vec()));
        }
        let Some(shape) = &self.shape else { return Ok(0.0) };
        let before = cpu::time();
        for (owner, ts, values) in &rows {
            let sample = Sample { owner: owner.as_str(), ts: *ts, shape, values, texts: None };
            self.history.append(&[sample])?;
        }
        let spent = since(before);
        self.history.commit()?;
        Ok(spent)
    }
}

fn since(before: Duration) -> f64 {
    (cpu::time() - before).as_secs_f64() * 1e3
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
