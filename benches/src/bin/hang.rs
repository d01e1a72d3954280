//! What dead devices cost the healthy ones: `cargo run --release -p headframe-benches --bin hang -- --dead-pct 20`.
//!
//! Runs the collector over the same number of simulated Whatsminers without and with dead ones, in pairs, and prints
//! one JSON line with the 99th percentile of the lateness of healthy polls of both.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use headframe::{
    Error, ErrorKind, Result,
    io::Ctx,
    rack::{Collector, CollectorOptions, NullSink},
};
use headframe_benches::{Family, round, simulator::Simulators};

/// Measures how late healthy devices are polled beside dead ones.
#[derive(Debug, Parser)]
struct Args {
    /// How many devices.
    #[arg(long, default_value_t = 1000)]
    things: usize,
    /// Share of them that take connections and never answer, in percent.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=99))]
    dead_pct: u8,
    /// Time between two polls of one device, ms.
    #[arg(long, default_value_t = 1000)]
    interval_ms: u64,
    /// Length of one run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

fn main() -> ExitCode {
    headframe_benches::run("hang", measure(Args::parse()))
}

/// One run.
#[derive(Debug, Clone, Copy)]
struct Run {
    p99_ms: f64,
    shutdown_s: f64,
    failed: u64,
}

async fn measure(args: Args) -> Result<()> {
    if args.things == 0 || args.interval_ms == 0 || args.pairs == 0 {
        return Err(Error::invalid("hang.args", "things", "things, interval-ms and pairs are at least 1"));
    }
    let (mut healthy, mut beside, mut shutdown, mut extra_failed) = (Vec::new(), Vec::new(), 0_f64, 0);
    for _ in 0..args.pairs {
        let alone = run(&args, 0).await?;
        let with_dead = run(&args, usize::from(args.dead_pct)).await?;
        healthy.push(alone.p99_ms);
        beside.push(with_dead.p99_ms);
        extra_failed += alone.failed;
        shutdown = shutdown.max(alone.shutdown_s).max(with_dead.shutdown_s);
    }
    let (alone, with_dead) = (median(healthy), median(beside));
    let line = serde_json::json!({
        "things": args.things,
        "dead_pct": args.dead_pct,
        "pairs": args.pairs,
        "p99_lateness_ms": round(with_dead, 2),
        "p99_lateness_without_dead_ms": round(alone, 2),
        "limit_ms": round((1.1 * alone).max(alone + 10.0), 2),
        "failed_without_dead": extra_failed,
        "shutdown_s": round(shutdown, 2),
    });
    println!("{line}");
    Ok(())
}

async fn run(args: &Args, dead_pct: usize) -> Result<Run> {
    let cx = Ctx::system();
    let simulators = Simulators::start(Family::Whatsminer, args.things, dead_pct).await?;
    let options = CollectorOptions::every(Duration::from_millis(args.interval_ms));
    let registry = Arc::new(headframe::registry());
    let collector = Collector::start(cx.clone(), registry, options, Arc::new(NullSink))?;
    for address in simulators.addresses() {
        collector.add(Family::Whatsminer.conf(&address)?)?;
    }
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(args.seconds)).await;
    let counts = collector.counts();
    let alive = args.things - args.things * dead_pct / 100;
    if counts.online < alive {
        let why = format!("only {} of {alive} healthy devices were read", counts.online);
        return Err(Error::new(ErrorKind::Timeout, "hang.run", why));
    }
    let stopping = cx.clock.mono();
    collector.shutdown(Duration::from_secs(10)).await;
    let shutdown_s = cx.clock.mono().since(stopping).as_secs_f64();
    simulators.stop().await;
    Ok(Run { p99_ms: counts.lateness_p99.as_secs_f64() * 1e3, shutdown_s, failed: counts.polls_failed })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
