//! How much memory the process takes, and how much of it is in use.

use std::{alloc::System, fs};

use cap::Cap;

/// Counts what is in use: the system tells only what the process has, with all that its allocator keeps for later.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What the process had before.
#[derive(Debug)]
pub struct Memory {
    before_kib: u64,
}

impl Memory {
    /// Begins to watch; `None` where the system does not tell.
    pub fn watch() -> Option<Self> {
        // The peak begins anew, where that is allowed; else it is the one since the start, which can only be more.
        let _kept = fs::write("/proc/self/clear_refs", "5");
        Some(Self { before_kib: field("VmRSS:")? })
    }

    /// By how much the peak since then is above what was before, in KiB.
    pub fn peak_growth_kib(&self) -> u64 {
        field("VmHWM:").unwrap_or(0).saturating_sub(self.before_kib)
    }
}

/// Memory that the process has now, KiB; `None` where the system does not tell.
pub fn resident_kib() -> Option<u64> {
    field("VmRSS:")
}

/// Bytes that are allocated now and not given back.
pub fn in_use_bytes() -> u64 {
    ALLOCATOR.allocated() as u64
}

fn field(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_allocation_shows_after_it_is_gone() {
        let Some(memory) = Memory::watch() else { return };
        let large = vec![1_u8; 64 << 20];
        assert_eq!(large.iter().step_by(4096).map(|b| u64::from(*b)).sum::<u64>(), (64 << 20) / 4096);
        assert!(in_use_bytes() >= 64 << 20, "{}", in_use_bytes());
        drop(large);
        assert!(memory.peak_growth_kib() > 48 << 10, "{}", memory.peak_growth_kib());
    }
}
