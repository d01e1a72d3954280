//! CPU time and memory of this process.

use std::time::Duration;

use headframe::{Error, ErrorKind, Result};
use rustix::time::{ClockId, clock_gettime};

/// User and system time used so far.
pub fn time() -> Duration {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Memory resident now, MB.
///
/// # Errors
/// Where `/proc` does not tell.
pub fn resident_mb() -> Result<f64> {
    let failed = |why: String| Error::new(ErrorKind::Internal, "collect.memory", why);
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| failed(e.to_string()))?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).ok_or_else(|| failed("no VmRSS".into()))?;
    let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| failed("VmRSS is no number".into()))
}
