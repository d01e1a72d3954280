//! What a chart of months costs: `cargo run --release -p headframe-benches --bin tail -- --days 90`.
//!
//! Miners in two containers say something every five minutes for so many days, by a clock that is moved; then `tailLog` is
//! asked for all of it, as text, the way a gateway asks. Times are CPU times of this process.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use headframe_benches::{
    cpu, round,
    stage::{Spread, Stage, snapshot, varied},
};
use headframe_core::{Error, Result, io::Timestamp};
use serde_json::{Value, json};

/// A Monday, 0:00 UTC.
const START: i64 = 1_764_547_200_000;
const POLL_MS: i64 = 300_000;
const DAY_MS: i64 = 86_400_000;
/// How often each chart is asked for.
const ASKED: usize = 9;
const TYPE: &str = "miner-wm-m50s";

/// Measures `tailLog` over a long time.
#[derive(Debug, Parser)]
struct Args {
    /// How many days.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
    /// How many miners.
    #[arg(long, default_value_t = 24)]
    things: usize,
}

fn main() -> ExitCode {
    headframe_benches::run("tail", measure(Args::parse()))
}

async fn measure(args: Args) -> Result<()> {
    let spread = Spread { things: args.things, containers: 2, pdu_racks: 4 };
    let mut stage = Stage::new(Timestamp(START), &[TYPE], spread, Duration::from_secs(300)).await?;
    let template = snapshot()?;
    let end = args.days * DAY_MS;
    for step in 0..end / POLL_MS {
        let at = step * POLL_MS;
        stage.set(at);
        stage.telemetry.flush()?;
        let Some(rack) = stage.racks.first_mut() else { continue };
        let say = |n: usize| varied(&template, n, u64::try_from(step).unwrap_or(0));
        let readings = rack.readings(Timestamp(START + at), say);
        rack.put(&readings).await;
        settle(&stage, at)?;
    }
    stage.set(end + 10_000);
    stage.telemetry.flush()?;
    settle(&stage, end + DAY_MS / 4)?;
    let charts = [
        ("tail_ms", "stat-3h", json!({"hashrate_mhs_1m_sum_aggr": 1, "power_w_sum_aggr": 1})),
        ("tail_all_ms", "stat-3h", Value::Null),
        ("tail_5m_ms", "stat-5m", json!({"hashrate_mhs_1m_sum_aggr": 1, "power_w_sum_aggr": 1})),
    ];
    let mut line = json!({"bench": "tail", "days": args.days, "things": args.things});
    for (name, key, fields) in charts {
        let (ms, rows) = chart(&stage, key, &fields, end).await?;
        line[name] = round(ms, 2).into();
        line[name.replace("_ms", "_rows")] = rows.into();
    }
    println!("{line}");
    Ok(())
}

/// Median CPU time of a chart, ms, and its rows.
async fn chart(stage: &Stage, key: &str, fields: &Value, end: i64) -> Result<(f64, usize)> {
    let mut params = json!({"key": key, "type": "miner", "tag": "t-miner", "start": START, "end": START + end, "limit": 50_000});
    if !fields.is_null() {
        params["fields"] = fields.clone();
        params["aggrFields"] = fields.clone();
    }
    let (mut times, mut rows) = (Vec::new(), 0);
    for _ in 0..ASKED {
        let before = cpu::time();
        let answer = stage.call("tailLog", &params).await?;
        let text = answer.to_string();
        times.push((cpu::time() - before).as_secs_f64() * 1e3);
        rows = answer.as_array().map_or(0, Vec::len);
        if text.len() < rows * 20 {
            return Err(Error::invalid("tail", "rows", "hold nothing"));
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], rows))
}

fn settle(stage: &Stage, at: i64) -> Result<()> {
    for history in [stage.telemetry.readings(), stage.telemetry.statistics()] {
        while history.maintain(Timestamp(START + at))?.is_some() {}
    }
    Ok(())
}
