//! How much memory a case takes, as the system tells.

use std::fs;

const STATUS: &str = "/proc/self/status";
/// Writing `5` here sets the peak to what is in use.
const RESET: &str = "/proc/self/clear_refs";

/// The memory at a moment, to be compared with the peak after it. Where the system tells nothing, nothing is compared.
#[derive(Debug, Clone, Copy)]
pub struct Peak(Option<u64>);

impl Peak {
    /// Begins now.
    pub fn start() -> Self {
        Self(fs::write(RESET, "5").ok().and_then(|()| bytes("VmRSS:")))
    }

    /// By how many bytes the peak since the start is above it.
    pub fn growth(self) -> Option<u64> {
        Some(bytes("VmHWM:")?.saturating_sub(self.0?))
    }
}

fn bytes(name: &str) -> Option<u64> {
    kib(&fs::read_to_string(STATUS).ok()?, name).map(|kib| kib * 1024)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_read() {
        let status = "Name:\ttrust\nVmHWM:\t   11048 kB\nVmRSS:\t    9216 kB\n";
        assert_eq!(
            (kib(status, "VmHWM:"), kib(status, "VmRSS:"), kib(status, "VmSwap:")),
            (Some(11_048), Some(9_216), None)
        );
    }

    #[test]
    fn what_is_given_back_counts_too() {
        let peak = Peak::start();
        let many = std::hint::black_box(vec![1_u8; 8 << 20]);
        drop(many);
        // Elsewhere than on Linux nothing is told.
        assert!(peak.growth().is_none_or(|bytes| bytes >= 7 << 20));
    }
}
