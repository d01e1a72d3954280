//! Serves simulated mining devices until it is told to stop.

use std::{
    io::{Read, Write},
    net::Ipv4Addr,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, ValueEnum};
use headframe_core::{Error, ErrorKind, Result, io::Ctx};
use headframe_sim::{Family, Fleet, FleetBuilder, Join, Role, WhatsminerOptions};
use serde_json::{Value, json};

/// Serves simulated mining devices on loopback addresses. Prints one line when all ports are open.
#[derive(Debug, Parser)]
#[command(name = "headframe-sim", version)]
struct Arguments {
    /// Whatsminers with API v2, which take the first addresses.
    #[arg(long, default_value_t = 0, value_name = "N")]
    whatsminers: usize,
    /// Whatsminers with API v1 (reads only), which take the next addresses.
    #[arg(long, default_value_t = 0, value_name = "N")]
    whatsminers_v1: usize,
    /// Whatsminers with API v3, which take the next addresses.
    #[arg(long, default_value_t = 0, value_name = "N")]
    whatsminers_v3: usize,
    /// Antminers, which take the last addresses.
    #[arg(long, default_value_t = 0, value_name = "N")]
    antminers: usize,
    /// First address; the next devices follow it.
    #[arg(long, default_value = "127.20.0.1", value_name = "IPV4")]
    base: Ipv4Addr,
    /// Everything random follows from this.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Stop after so many seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Put all devices on the base address, on consecutive ports from this one.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "14028")]
    by_port: Option<u16>,
    /// Which commands of Whatsminers a client can join with '+'.
    #[arg(long, value_enum, default_value_t = JoinKind::All)]
    join: JoinKind,
    /// Stop when standard input closes.
    #[arg(long)]
    until_stdin_closes: bool,
    /// Print the ready line as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum JoinKind {
    None,
    Reports,
    All,
}

impl From<JoinKind> for Join {
    fn from(kind: JoinKind) -> Self {
        match kind {
            JoinKind::None => Self::None,
            JoinKind::Reports => Self::Reports,
            JoinKind::All => Self::All,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headframe-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let cx = Ctx::system();
    let mut builder = FleetBuilder::new().base(arguments.base).seed(arguments.seed);
    if let Some(first) = arguments.by_port {
        builder = builder.by_port(first);
    }
    for (count, preset) in [
        (arguments.whatsminers, WhatsminerOptions::v2()),
        (arguments.whatsminers_v1, WhatsminerOptions::v1()),
        (arguments.whatsminers_v3, WhatsminerOptions::v3()),
    ] {
        let options = WhatsminerOptions { join: arguments.join.into(), ..preset };
        builder = builder.whatsminers_with(count, options);
    }
    let fleet = builder.antminers(arguments.antminers).start(&cx).await?;
    let ranges = ranges(&fleet);
    let line = if arguments.json {
        json!({ "ready": true, "seed": arguments.seed, "ranges": ranges }).to_string()
    } else {
        sentence(&ranges)
    };
    let mut out = std::io::stdout();
    let printed = writeln!(out, "{line}").and_then(|()| out.flush());
    printed.map_err(|e| Error::new(ErrorKind::Closed, "sim.ready", e.to_string()))?;
    until_told(&cx, &arguments).await;
    fleet.stop().await;
    Ok(())
}

/// Per family and port: how many, the first and the last address.
fn ranges(fleet: &Fleet) -> Vec<Value> {
    let mut ranges = Vec::new();
    for family in [Family::Whatsminer, Family::Antminer] {
        for (role, name) in
            [(Role::Rpc, "rpc"), (Role::RpcV3, "rpc_v3"), (Role::Web, "web"), (Role::Side, "side")]
        {
            let devices = fleet.devices().iter().filter(|d| d.family() == family);
            let addresses: Vec<_> = devices.filter_map(|d| d.address(role)).collect();
            if let (Some(first), Some(last)) = (addresses.first(), addresses.last()) {
                ranges.push(json!({
                    "family": family.name(), "role": name, "count": addresses.len(),
                    "first": first.to_string(), "last": last.to_string(),
                }));
            }
        }
    }
    ranges
}

fn sentence(ranges: &[Value]) -> String {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let parts = ranges.iter().map(|r| {
        let [count, family, role, first, last] =
            ["count", "family", "role", "first", "last"].map(|key| text(&r[key]));
        format!("{count} {family} {role} {first} - {last}")
    });
    format!("ready: {}", parts.collect::<Vec<_>>().join("; "))
}

async fn until_told(cx: &Ctx, arguments: &Arguments) {
    let (closed, stdin_closed) = tokio::sync::oneshot::channel::<()>();
    let _never = if arguments.until_stdin_closes {
        // A thread of its own: a read of standard input cannot be cancelled and must not hold the runtime.
        std::thread::spawn(move || {
            let mut scrap = [0; 256];
            while std::io::stdin().read(&mut scrap).is_ok_and(|n| n > 0) {}
            drop(closed);
        });
        None
    } else {
        Some(closed)
    };
    let end = async {
        match arguments.seconds {
            Some(seconds) => {
                cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(seconds)).await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {}
        _ = stdin_closed => {}
        () = end => {}
    }
}
