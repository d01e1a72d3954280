//! Looks for mining devices in a range of addresses, without any password:
//!
//! `cargo run --release --example scan -- 10.0.0.0/24`

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::Ipv4Addr,
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use headframe::{
    Error, Result,
    discover::{AddressRange, FoundDevice, Scan, ScanEvent, ScanReport, ScanStream, UnknownHost},
    driver::Ports,
    io::Ctx,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

const STEPS: u64 = 1000;
const REDRAW: Duration = Duration::from_millis(100);

/// Looks for mining devices in a range of addresses.
#[derive(Parser)]
struct Args {
    /// What to look at: 10.0.0.0/24, 10.0.0.1-200, 10.0.0.7, several with commas between
    #[arg(required = true)]
    range: Vec<String>,
    /// Other ports than the usual ones, for example rpc=14028,web=14080 (also v3 and side)
    #[arg(long, value_name = "ROLE=PORT,…", default_value = "")]
    ports: String,
    /// Ask on the ports of simulated devices
    #[arg(long)]
    simulated: bool,
    /// End after this many seconds, and say how many addresses were not reached
    #[arg(long, value_name = "S")]
    timeout: Option<f64>,
    /// Print one JSON object a line, as it comes
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let cx = Ctx::system();
    let stream = match start(&args, &cx) {
        Ok(stream) => stream,
        Err(e) => {
            eprintln!("error: {}: {}", e.fact("field").unwrap_or(e.op()), e.message());
            return ExitCode::from(2);
        }
    };
    match show(&args, &cx, stream).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: output: {e}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args, cx: &Ctx) -> Result<ScanStream> {
    let range: AddressRange = args.range.join(" ").parse()?;
    let usual = if args.simulated { Ports::simulated() } else { Ports::default() };
    let mut scan =
        Scan::new(Arc::new(headframe::registry()), cx.clone(), range).ports(ports(usual, &args.ports)?);
    if let Some(seconds) = args.timeout {
        let wrong = |_| Error::invalid("scan", "timeout", format!("{seconds} is not a number of seconds"));
        scan = scan.deadline(Duration::try_from_secs_f64(seconds).map_err(wrong)?);
    }
    scan.start()
}

/// `usual` with the ports that `text` sets.
fn ports(usual: Ports, text: &str) -> Result<Ports> {
    let mut ports = usual;
    for piece in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let message = format!("'{piece}' is not one of rpc=, web=, v3=, side= and a port");
        let wrong = || Error::invalid("scan", "ports", message.clone());
        let (role, port) = piece.split_once('=').ok_or_else(wrong)?;
        let slot = match role.trim() {
            "rpc" => &mut ports.rpc,
            "web" => &mut ports.web,
            "v3" => &mut ports.v3,
            "side" => &mut ports.side,
            _ => return Err(wrong()),
        };
        *slot = port.trim().parse().map_err(|_| wrong())?;
    }
    Ok(ports)
}

/// Shows the scan as it goes, and what it found. Ctrl-C ends it early.
async fn show(args: &Args, cx: &Ctx, mut stream: ScanStream) -> io::Result<()> {
    let bar = ProgressBar::new(STEPS);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} % {elapsed} {msg}") {
        bar.set_style(style);
    }
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut interrupted = false;
    let mut devices: BTreeMap<Ipv4Addr, FoundDevice> = BTreeMap::new();
    let mut unknown: BTreeMap<Ipv4Addr, UnknownHost> = BTreeMap::new();
    loop {
        tokio::select! {
            event = stream.next() => {
                let Some(event) = event else { break };
                if args.json && let Some(line) = json_line(&event) {
                    bar.suspend(|| writeln!(io::stdout(), "{line}"))?;
                }
                match event {
                    ScanEvent::Found(device) => drop(devices.insert(device.host, device)),
                    ScanEvent::Unknown { host, unknown: what, .. } => drop(unknown.insert(host, what)),
                    _ => {}
                }
            }
            () = cx.clock.sleep_until(cx.clock.mono() + REDRAW) => {}
            result = &mut interrupt, if !interrupted => {
                interrupted = true;
                if result.is_ok() {
                    stream.stop();
                }
            }
        }
        let progress = stream.progress();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to STEPS")]
        bar.set_position((progress.fraction() * STEPS as f64) as u64);
        bar.set_message(format!("{} devices, {} unknown", progress.devices, progress.unknown));
    }
    bar.finish_and_clear();
    let report = stream.finish().await;
    if args.json { summary_line(&report) } else { tables(&devices, &unknown, &report) }
}

fn json_line(event: &ScanEvent) -> Option<serde_json::Value> {
    match event {
        ScanEvent::Found(FoundDevice { host, device, .. }) => Some(json!({
            "event": "device", "address": host, "driver": device.driver, "make": device.make, "model": device.model,
            "firmware": device.firmware, "mac": device.mac, "opts": device.opts,
        })),
        ScanEvent::Unknown { host, unknown, .. } => Some(json!({
            "event": "unknown", "address": host, "answers": unknown.answers, "reason": unknown.reason,
        })),
        _ => None,
    }
}

fn summary_line(report: &ScanReport) -> io::Result<()> {
    let mut line = serde_json::to_value(report)?;
    line["event"] = "summary".into();
    line["not_reached_count"] = report.not_reached.len().into();
    writeln!(io::stdout(), "{line}")
}

fn tables(
    devices: &BTreeMap<Ipv4Addr, FoundDevice>,
    unknown: &BTreeMap<Ipv4Addr, UnknownHost>,
    report: &ScanReport,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !devices.is_empty() {
        let header = ["ADDRESS", "MAKE", "MODEL", "FIRMWARE", "MAC"].map(str::to_owned);
        let rows: Vec<[String; 5]> = std::iter::once(header).chain(devices.values().map(row)).collect();
        let widths: [usize; 5] =
            std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
        for row in &rows {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
    }
    for (host, what) in unknown {
        let reason = what.reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
        writeln!(out, "\n{host}  unknown{reason}")?;
        for answer in &what.answers {
            writeln!(out, "    {answer}")?;
        }
    }
    let empty = devices.is_empty() && unknown.is_empty();
    writeln!(out, "{}{report}", if empty { "" } else { "\n" })
}

fn row(found: &FoundDevice) -> [String; 5] {
    let device = &found.device;
    // Devices choose these texts; nothing in them may steer the terminal.
    let shown = |text: Option<&str>| text.unwrap_or("-").replace(char::is_control, ".");
    [
        found.host.to_string(),
        shown(Some(&device.make)),
        shown(device.model.as_deref()),
        shown(device.firmware.as_deref()),
        shown(device.mac.as_deref()),
    ]
}
