//! Watch a fleet: `cargo run --release --example quickstart`.
//!
//! Starts simulated miners, finds them by scanning, collects them once a second and shows what they say. Two people put
//! some of them to sleep. With `--address RANGE` it looks at real miners instead, and writes nothing.

mod approve;
mod args;
mod fleet;
mod table;
mod totals;
mod trend;

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use approve::Approval;
use args::Args;
use clap::Parser;
use headframe::{
    ErrorKind, Result,
    io::Ctx,
    rack::{Caller, CollectorOptions, RackOptions},
    site::Site,
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
    let fleet = match &args.address {
        Some(range) => fleet::Fleets::real(range, args)?,
        None => fleet::Fleets::simulated(&cx, args.things).await?,
    };
    let folder = Folder::new(args.store.clone());
    let rack = |driver: &str| {
        let mut options = RackOptions::new(driver);
        options.collector = CollectorOptions::every(Duration::from_secs(1));
        options
    };
    let mut site = Site::builder(headframe::registry())
        .rack("miner-am", "quickstart", rack("antminer"))
        .rack("miner-wm", "quickstart", rack("whatsminer"));
    if args.address.is_none() {
        // Of a site with real miners nobody is told to have any rights, so nobody can write to it.
        site = approve::two_people(site)?;
    }
    let site = site.open_or_create(&cx, &folder.path).await?;
    let shown = match find(&fleet, &site, args).await {
        Ok(()) => show(&cx, &fleet, &site, args).await,
        Err(e) => Err(e),
    };
    site.shutdown(Duration::from_secs(2)).await?;
    shown
}

/// Where the site is kept: the folder that was named, or one that goes away at the end.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(named: Option<PathBuf>) -> Self {
        let keep = named.is_some();
        let own = || std::env::temp_dir().join(format!("headframe-quickstart-{}", std::process::id()));
        Self { path: named.unwrap_or_else(own), keep }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep
            && self.path.exists()
            && let Err(e) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("quickstart: {} is left behind: {e}", self.path.display());
        }
    }
}

/// Scans the range and registers what is found, unless the site has things already.
async fn find(fleet: &fleet::Fleets, site: &Site, args: &Args) -> Result<()> {
    if !site.things().is_empty() {
        if !args.json {
            println!("{} miners are known from an earlier run; no scan.", site.things().len());
        }
        return Ok(());
    }
    let report = site
        .find_and_register(fleet.range.clone(), fleet.ports, &fleet.logins(args), &Caller::new("quickstart"))
        .await?;
    if !args.json {
        println!("Scanned {}: {}; {} registered", fleet.range, report.scan, report.registered.len());
    }
    for (host, e) in &report.refused {
        eprintln!("quickstart: {host} is not registered: {e}");
    }
    if report.registered.is_empty() {
        let why = format!("no miner answered in {}", fleet.range);
        return Err(headframe::Error::new(ErrorKind::NotFound, "quickstart.scan", why)
            .with("ports", format!("{}/{}", fleet.ports.rpc, fleet.ports.web)));
    }
    Ok(())
}

/// Shows the fleet once a second, then a last time.
async fn show(cx: &Ctx, fleet: &fleet::Fleets, site: &Site, args: &Args) -> Result<()> {
    let (start, since) = (cx.clock.mono(), cx.clock.wall());
    let mut screen = table::Screen::new(args.json);
    let mut approval = Approval::new(cx, fleet.sleepers())?;
    for second in 1..=args.seconds {
        cx.clock.sleep_until(start + Duration::from_secs(second)).await;
        fleet.play(second, args.seconds);
        approval.play(site, second, args.seconds).await?;
        let last = second == args.seconds;
        let audited = if last { Some(approval.audit(site)?) } else { None };
        let rows = totals::rows(fleet, site);
        let sum = totals::Totals::of(&rows);
        if args.json {
            let mut line = sum.json(cx.clock.wall(), last);
            line["actions"] = approval.json(site).into();
            if let Some(audited) = &audited {
                line["audit_entries"] = audited.entries.into();
                line["audit_verified"] = audited.verified.into();
            }
            // A reader that went away ends the show.
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return Ok(());
            }
        } else {
            let mut notes: Vec<String> = approval.line(site).into_iter().collect();
            notes.extend(audited.into_iter().flat_map(|audited| audited.lines));
            let trend = trend::line(cx, site, since).await?;
            let (rows, sum, notes, seconds) = (&rows, &sum, &notes, args.seconds);
            screen.draw(fleet, &table::Shown { rows, sum, trend, notes, second, seconds });
        }
    }
    Ok(())
}
