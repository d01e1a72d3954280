//! Watch a fleet: `cargo run --release --example quickstart`.
//!
//! Starts simulated miners, finds them by scanning, collects them once a second and shows what they say. With
//! `--address RANGE` it looks at real miners instead.

mod args;
mod fleet;
mod table;
mod totals;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use args::Args;
use clap::Parser;
use headframe::{
    ErrorKind, Result, ThingId,
    discover::{FoundDevice, Scan, ScanEvent},
    io::Ctx,
    model::ThingConf,
    rack::{Collector, CollectorOptions, NullSink},
};

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("quickstart: no runtime: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("quickstart: {e}");
            ExitCode::from(if e.kind() == ErrorKind::Invalid { 2 } else { 1 })
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let cx = Ctx::system();
    let site = match &args.address {
        Some(range) => fleet::Site::real(range, args)?,
        None => fleet::Site::simulated(&cx, args.things).await?,
    };
    let found = find(&cx, &site, args).await?;
    let options = CollectorOptions::every(Duration::from_secs(1));
    let collector =
        Collector::start(cx.clone(), Arc::new(headframe::registry()), options, Arc::new(NullSink))?;
    for conf in found {
        collector.add(conf)?;
    }
    show(&cx, &site, &collector, args).await?;
    collector.shutdown(Duration::from_secs(2)).await;
    Ok(())
}

/// Scans the site's range; gives a configuration for each device found.
async fn find(cx: &Ctx, site: &fleet::Site, args: &Args) -> Result<Vec<ThingConf>> {
    let registry = Arc::new(headframe::registry());
    let scan = Scan::new(registry, cx.clone(), site.range.clone()).ports(site.ports);
    let mut events = scan.deadline(Duration::from_secs(args.scan_seconds)).start()?;
    let mut found = Vec::new();
    while let Some(event) = events.next().await {
        if let ScanEvent::Found(FoundDevice { host, device, .. }) = event {
            let id = ThingId::new(&format!("{}-{host}", device.driver))?;
            found.push(args.with_credentials(device.conf(id)));
        }
    }
    let report = events.finish().await;
    if !args.json {
        println!("Scanned {}: {report}", site.range);
    }
    if found.is_empty() {
        let why = format!("no miner answered in {}", site.range);
        return Err(headframe::Error::new(ErrorKind::NotFound, "quickstart.scan", why)
            .with("ports", format!("{}/{}", site.ports.rpc, site.ports.web)));
    }
    Ok(found)
}

/// Shows the fleet once a second, then a last time.
async fn show(cx: &Ctx, site: &fleet::Site, collector: &Collector, args: &Args) -> Result<()> {
    let start = cx.clock.mono();
    let mut screen = table::Screen::new(args.json);
    for second in 1..=args.seconds {
        cx.clock.sleep_until(start + Duration::from_secs(second)).await;
        site.play(second, args.seconds);
        let last = second == args.seconds;
        let rows = totals::rows(site, collector);
        let sum = totals::Totals::of(&rows);
        if args.json {
            let line = sum.json(cx.clock.wall(), last);
            // A reader that went away ends the show.
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return Ok(());
            }
        } else {
            screen.draw(site, &rows, &sum, second, args.seconds);
        }
    }
    Ok(())
}
