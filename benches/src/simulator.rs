//! The devices, in other processes, so that their CPU time is not counted.
//!
//! A measuring program starts itself again with an [`Order`] in its environment and talks to that process over its
//! standard input and output.

use std::{net::Ipv4Addr, process::Stdio};

use headframe::{Error, ErrorKind, Result, io::Ctx};
use headframe_sim::{Fault, FleetBuilder, Join, WhatsminerOptions};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::Family;

/// Devices in one process: each needs a few file descriptors, and an ordinary limit is about 20,000.
const PER_PROCESS: usize = 7_500;
/// Where a serving process finds its order.
const VARIABLE: &str = "HEADFRAME_BENCH_SERVE";

/// What a serving process has to serve.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Order {
    /// Which devices.
    pub family: Family,
    /// How many.
    pub things: usize,
    /// Their first address.
    pub base: Ipv4Addr,
    /// Share of devices that take connections and never answer, in percent.
    pub dead_pct: usize,
}

/// What a serving process writes when asked.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    addresses: Vec<String>,
    requests: u64,
}

fn failed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Internal, "bench.simulator", why)
}

/// The order of this process, when it was started to serve.
pub fn order() -> Option<Result<Order>> {
    let text = std::env::var(VARIABLE).ok()?;
    Some(serde_json::from_str(&text).map_err(|e| failed(e.to_string())))
}

/// Serves until standard input closes; each line read is answered with a report.
///
/// # Errors
/// When the devices cannot be started.
pub async fn serve(order: Order) -> Result<()> {
    let cx = Ctx::system();
    let builder = FleetBuilder::new().seed(u64::from(u32::from(order.base))).base(order.base);
    let builder = match order.family {
        Family::Whatsminer => builder.whatsminers(order.things),
        Family::WhatsminerSingle => {
            let options = WhatsminerOptions { join: Join::None, ..WhatsminerOptions::v2() };
            builder.whatsminers_with(order.things, options)
        }
        Family::WhatsminerV3 => builder.whatsminers_with(order.things, WhatsminerOptions::v3()),
        Family::Antminer => builder.antminers(order.things),
    };
    let fleet = builder.start(&cx).await?;
    let dead = order.things * order.dead_pct / 100;
    // Evenly among the others, as in a real hall.
    for n in 0..dead {
        if let Some(device) = fleet.devices().get(n * order.things / dead) {
            device.fault(Fault::Hang);
        }
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut addresses: Vec<String> = fleet.devices().iter().map(|d| d.ip().to_string()).collect();
    while let Ok(Some(_)) = lines.next_line().await {
        let requests = fleet.devices().iter().map(headframe_sim::Device::requests).sum();
        let report = Report { addresses: std::mem::take(&mut addresses), requests };
        println!("{}", serde_json::to_string(&report).map_err(|e| failed(e.to_string()))?);
    }
    fleet.stop().await;
    Ok(())
}

#[derive(Debug)]
struct Process {
    child: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    async fn report(&mut self) -> Result<Report> {
        self.ask.write_all(b"report\n").await.map_err(|e| failed(e.to_string()))?;
        let line = self.answers.next_line().await.map_err(|e| failed(e.to_string()))?;
        let line = line.ok_or_else(|| failed("a simulator ended; is its address range in use?"))?;
        serde_json::from_str(&line).map_err(|e| failed(e.to_string()))
    }
}

/// All serving processes.
#[derive(Debug)]
pub struct Simulators {
    processes: Vec<Process>,
    addresses: Vec<String>,
}

impl Simulators {
    /// Starts as many processes as `things` devices need; `dead_pct` percent of them never answer.
    ///
    /// # Errors
    /// When a process cannot be started or its addresses are in use.
    pub async fn start(family: Family, things: usize, dead_pct: usize) -> Result<Self> {
        let mut all = Self { processes: Vec::new(), addresses: Vec::new() };
        let mut left = things;
        while left > 0 {
            let n = left.min(PER_PROCESS);
            let octet = u8::try_from(40 + all.processes.len()).map_err(|_| failed("too many devices"))?;
            let base = Ipv4Addr::new(127, octet, 0, 1);
            let mut process = spawn(&Order { family, things: n, base, dead_pct })?;
            all.addresses.extend(process.report().await?.addresses);
            all.processes.push(process);
            left -= n;
        }
        Ok(all)
    }

    /// Address of each device.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Requests that the devices received so far.
    ///
    /// # Errors
    /// When a process ended.
    pub async fn requests(&mut self) -> Result<u64> {
        let mut sum = 0;
        for process in &mut self.processes {
            sum += process.report().await?.requests;
        }
        Ok(sum)
    }

    /// Ends the processes.
    pub async fn stop(self) {
        for Process { mut child, ask, answers } in self.processes {
            drop((ask, answers));
            // It ends when its standard input closes; whatever it says then is no result.
            let _status = child.wait().await;
        }
    }
}

fn spawn(order: &Order) -> Result<Process> {
    let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let order = serde_json::to_string(order).map_err(|e| failed(e.to_string()))?;
    let mut child = Command::new(program)
        .env(VARIABLE, order)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let (Some(ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("a simulator has no pipes"));
    };
    Ok(Process { child, ask, answers: BufReader::new(answers).lines() })
}
