//! Real time: how long something took on this machine, and processes that end in time.

#![allow(
    clippy::disallowed_methods,
    reason = "what a limit on real time is compared with does not follow the simulated clock"
)]

use std::{
    io::Read,
    process::{Child, Command, Stdio},
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

/// Runs a program to its end, at most `limit` long; gives what it printed, and whether it ended well.
pub fn output(command: &mut Command, limit: Duration) -> Result<(String, bool), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
    let out = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.map_or(Ok(0), |mut out| out.read_to_end(&mut bytes)).map(|_| bytes)
    });
    let ended = end_within(&mut child, limit);
    let bytes = reader.join().map_err(|_| "the reader ended".to_owned())?.map_err(|e| e.to_string())?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), ended.ok_or(format!("{name} {LATE}"))?))
}

fn end_within(child: &mut Child, limit: Duration) -> Option<bool> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.success());
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
