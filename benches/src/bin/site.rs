//! A whole site in one process: `cargo run --release -p headframe-benches --bin site -- --things 100000`.
//!
//! Registers the devices that other processes simulate on real sockets, collects them into the stores, and prints one
//! JSON line.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use headframe::{Error, ErrorKind, Result, io::Ctx, rack::Caller};
use headframe_benches::{
    Family, cpu,
    place::{Place, draft},
    round,
    simulator::Simulators,
};

/// Measures a site with its stores.
#[derive(Debug, Parser)]
struct Args {
    /// How many devices.
    #[arg(long, default_value_t = 100_000)]
    things: usize,
    /// Time between two polls of one device, ms.
    #[arg(long, default_value_t = 60_000)]
    interval_ms: u64,
    /// Time measured after all were read once; at least one interval.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

fn main() -> ExitCode {
    headframe_benches::run("site", measure(Args::parse()))
}

async fn measure(args: Args) -> Result<()> {
    if args.things == 0 || args.interval_ms == 0 {
        return Err(Error::invalid("site.args", "things", "things and interval-ms are at least 1"));
    }
    let interval = Duration::from_millis(args.interval_ms);
    let cx = Ctx::system();
    let simulators = Simulators::start(Family::Whatsminer, args.things, 0).await?;
    let place = Place::new(&cx, interval).await?;
    let rack = place.rack()?;
    let mut drafts = Vec::with_capacity(args.things);
    for (n, address) in simulators.addresses().iter().enumerate() {
        let mut thing = draft(n, address, false)?;
        // The device tells its own; a registered one that differs would be a doubt about its identity.
        thing.info.remove("macAddress");
        thing.info.remove("serialNum");
        drafts.push(thing);
    }
    let start = cx.clock.mono();
    for outcome in place.site.register_many(&rack, drafts, &Caller::new("bench")).await? {
        outcome?;
    }
    let registered_s = cx.clock.mono().since(start).as_secs_f64();
    all_read(&cx, &place, args.things, interval).await?;
    let before = place.site.counts();
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(args.seconds).max(interval)).await;
    let (after, rss_mb) = (place.site.counts(), cpu::resident_mb()?);
    place.end().await?;
    simulators.stop().await;
    let line = serde_json::json!({
        "things": args.things,
        "interval_ms": args.interval_ms,
        "form": "all devices on real sockets in other processes",
        "registered_s": round(registered_s, 2),
        "polls": after.polls_done - before.polls_done,
        "failed": after.polls_failed - before.polls_failed,
        "online": after.online,
        "sink_dropped": after.sink_dropped,
        "rss_mb": round(rss_mb, 1),
        "p99_lateness_ms": round(after.lateness_p99.as_secs_f64() * 1e3, 2),
    });
    println!("{line}");
    Ok(())
}

async fn all_read(cx: &Ctx, place: &Place, things: usize, interval: Duration) -> Result<()> {
    let give_up = cx.clock.mono() + Duration::from_secs(120) + interval * 4;
    while place.site.counts().online < things {
        if cx.clock.mono() >= give_up {
            let why = format!("only {} of {things} devices were read", place.site.counts().online);
            return Err(Error::new(ErrorKind::Timeout, "site.warm_up", why));
        }
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(500)).await;
    }
    Ok(())
}
