//! Real time: how long something took on this machine, and processes that end in time.

#![allow(
    clippy::disallowed_methods,
    reason = "what a limit on real time is compared with does not follow the simulated clock"
)]

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How the error of a program ends that took too long.
pub const LATE: &str = "did not end in time";
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Measures real time.
#[derive(Debug, Clone, Copy)]
pub struct Watch(Instant);

impl Watch {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// Milliseconds since the start.
    pub fn ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// What it printed.
    pub out: String,
    /// What it printed as errors.
    pub err: String,
    /// Its status.
    pub status: ExitStatus,
}

/// Runs a program to its end, at most `limit` long; gives what it printed, and whether it ended well.
pub fn output(command: &mut Command, limit: Duration) -> Result<(String, bool), String> {
    run(command.stderr(Stdio::null()), limit).map(|ended| (ended.out, ended.status.success()))
}

/// Runs a program to its end, at most `limit` long; gives what it printed, also as errors, and how it ended.
pub fn ended(command: &mut Command, limit: Duration) -> Result<Ended, String> {
    run(command.stderr(Stdio::piped()), limit)
}

fn run(command: &mut Command, limit: Duration) -> Result<Ended, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
    let (out, err) = (read(child.stdout.take()), read(child.stderr.take()));
    let status = end_within(&mut child, limit);
    let text = |reader: JoinHandle<io::Result<Vec<u8>>>| -> Result<String, String> {
        let bytes = reader.join().map_err(|_| "the reader ended".to_owned())?.map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (out, err) = (text(out)?, text(err)?);
    Ok(Ended { out, err, status: status.ok_or(format!("{name} {LATE}"))? })
}

fn read(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes)).map(|_| bytes)
    })
}

fn end_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    end(child);
    None
}

/// Ends a process at once.
pub fn end(child: &mut Child) {
    let _gone = child.kill();
    let _reaped = child.wait();
}
