//! The devices, in other processes, so that their CPU time is not counted.

use std::{net::Ipv4Addr, process::Stdio};

use headframe::{Error, ErrorKind, Result, io::Ctx};
use headframe_sim::FleetBuilder;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::Family;

/// Devices in one process: each needs a few file descriptors, and an ordinary limit is about 20,000.
const PER_PROCESS: usize = 2_500;

/// What a serving process writes when asked.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    first: Ipv4Addr,
    addresses: Vec<String>,
    requests: u64,
}

fn failed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Internal, "collect.simulator", why)
}

/// Serves `things` devices until standard input closes; each line read is answered with a report.
pub async fn serve(family: Family, things: usize, base: Ipv4Addr) -> Result<()> {
    let cx = Ctx::system();
    let builder = FleetBuilder::new().seed(u64::from(u32::from(base))).base(base);
    let builder = match family {
        Family::Whatsminer => builder.whatsminers(things),
        Family::Antminer => builder.antminers(things),
    };
    let fleet = builder.start(&cx).await?;
    let mut lines = BufReader::new(tokio_stdin()).lines();
    let mut addresses: Vec<String> = fleet.devices().iter().map(|d| d.ip().to_string()).collect();
    while let Ok(Some(_)) = lines.next_line().await {
        let requests = fleet.devices().iter().map(headframe_sim::Device::requests).sum();
        let report = Report { first: base, addresses: std::mem::take(&mut addresses), requests };
        println!("{}", serde_json::to_string(&report).map_err(|e| failed(e.to_string()))?);
    }
    fleet.stop().await;
    Ok(())
}

fn tokio_stdin() -> impl tokio::io::AsyncRead + Unpin {
    tokio::io::stdin()
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
    /// Starts as many processes as `things` devices need.
    pub async fn start(family: Family, things: usize) -> Result<Self> {
        let mut all = Self { processes: Vec::new(), addresses: Vec::new() };
        let mut left = things;
        while left > 0 {
            let n = left.min(PER_PROCESS);
            let octet = u8::try_from(40 + all.processes.len()).map_err(|_| failed("too many devices"))?;
            let mut process = spawn(family, n, Ipv4Addr::new(127, octet, 0, 1))?;
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

fn spawn(family: Family, things: usize, base: Ipv4Addr) -> Result<Process> {
    let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let mut child = Command::new(program)
        .args(["--driver", family.id(), "--things", &things.to_string(), "--serve-from", &base.to_string()])
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
