//! What one full poll costs: `cargo run --release -p headframe-benches --bin collect -- --driver whatsminer`.
//!
//! Simulated devices run in other processes. This process first polls them with Headframe's collector, then with a
//! bare socket client that makes the same connections, requests and bytes at the same spread, and prints one JSON
//! line with the CPU time (user + system) per poll of both.

mod floor;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use headframe::{
    Error, ErrorKind, Result,
    io::Ctx,
    rack::{Collector, CollectorOptions, NullSink},
};
use headframe_benches::{Family, cpu, round, simulator::Simulators};

/// Measures the CPU time of one full poll.
#[derive(Debug, Parser)]
struct Args {
    /// Which devices: the driver's name, and the kind where the driver asks kinds differently.
    #[arg(long, value_enum, default_value = "whatsminer")]
    driver: Family,
    /// How many devices.
    #[arg(long, default_value_t = 1000)]
    things: usize,
    /// Time between two polls of one device, ms.
    #[arg(long, default_value_t = 1000)]
    interval_ms: u64,
    /// Time measured, for the driver and for the floor each; at least two intervals.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

fn main() -> ExitCode {
    headframe_benches::run("collect", measure(Args::parse()))
}

/// What one side cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    polls: u64,
    cpu_us_per_poll: f64,
    requests_per_poll: f64,
}

async fn measure(args: Args) -> Result<()> {
    if args.things == 0 || args.interval_ms == 0 {
        return Err(Error::invalid("collect.args", "things", "things and interval-ms are at least 1"));
    }
    let interval = Duration::from_millis(args.interval_ms);
    let window = Duration::from_secs(args.seconds).max(interval * 2);
    let mut simulators = Simulators::start(args.driver, args.things, 0).await?;
    let (cost, failed, rss_mb, lateness) = with_headframe(&args, interval, window, &mut simulators).await?;
    let floor = floor::run(args.driver, simulators.addresses(), interval, window, &mut simulators).await?;
    simulators.stop().await;
    let line = serde_json::json!({
        "driver": args.driver.id(),
        "kind": args.driver.kind(),
        "things": args.things,
        "interval_ms": args.interval_ms,
        "polls": cost.polls,
        "failed": failed,
        "cpu_us_per_poll": round(cost.cpu_us_per_poll, 1),
        "requests_per_poll": round(cost.requests_per_poll, 3),
        "floor_cpu_us_per_poll": round(floor.cpu_us_per_poll, 1),
        "floor_polls": floor.polls,
        "floor_requests_per_poll": round(floor.requests_per_poll, 3),
        "above_floor_us": round(cost.cpu_us_per_poll - floor.cpu_us_per_poll, 1),
        "rss_mb": round(rss_mb, 1),
        "p99_lateness_ms": round(lateness, 2),
    });
    println!("{line}");
    Ok(())
}

async fn with_headframe(
    args: &Args,
    interval: Duration,
    window: Duration,
    simulators: &mut Simulators,
) -> Result<(Cost, u64, f64, f64)> {
    let cx = Ctx::system();
    let registry = Arc::new(headframe::registry());
    let options = CollectorOptions::every(interval);
    let collector = Collector::start(cx.clone(), registry, options, Arc::new(NullSink))?;
    for address in simulators.addresses() {
        collector.add(args.driver.conf(&address)?)?;
    }
    warm_up(&cx, &collector, args.things, interval).await?;
    let (before, requests, cpu) = (collector.counts(), simulators.requests().await?, cpu::time());
    cx.clock.sleep_until(cx.clock.mono() + window).await;
    let (used, after) = (cpu::time().saturating_sub(cpu), collector.counts());
    let asked = simulators.requests().await?.saturating_sub(requests);
    let rss_mb = cpu::resident_mb()?;
    collector.shutdown(Duration::from_secs(5)).await;
    let polls = after.polls_done - before.polls_done;
    let cost = cost(polls, used, asked)?;
    Ok((cost, after.polls_failed - before.polls_failed, rss_mb, after.lateness_p99.as_secs_f64() * 1e3))
}

fn cost(polls: u64, used: Duration, requests: u64) -> Result<Cost> {
    if polls == 0 {
        return Err(Error::new(ErrorKind::Timeout, "collect.measure", "no poll ended within the window"));
    }
    let n = polls as f64;
    Ok(Cost { polls, cpu_us_per_poll: used.as_secs_f64() * 1e6 / n, requests_per_poll: requests as f64 / n })
}

/// Opening a thing asks for more than a later poll does, so measuring begins when each was polled twice.
async fn warm_up(cx: &Ctx, collector: &Collector, things: usize, interval: Duration) -> Result<()> {
    let give_up = cx.clock.mono() + Duration::from_secs(60) + interval * 4;
    loop {
        let counts = collector.counts();
        let all = counts.never == 0 && counts.polls_done >= 2 * things as u64;
        if all {
            return Ok(());
        }
        if cx.clock.mono() >= give_up {
            let why = format!("only {} of {things} devices were read", things - counts.never);
            return Err(Error::new(ErrorKind::Timeout, "collect.warm_up", why));
        }
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(100)).await;
    }
}
