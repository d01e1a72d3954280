use std::time::Duration;

use super::Identity;
use crate::{io::Ctx, model::Command};

/// What a device shows of what a command changes.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Observed {
    /// Who answered.
    pub identity: Identity,
    /// The state, as the command that would bring it about; `None` when the device does not tell it.
    pub now: Option<Command>,
    /// When the device, or the software that the command restarts, came up: ms since the clock's origin, which can be
    /// before it.
    pub up_since_ms: Option<i64>,
    /// Fingerprint of the section of settings that the command rewrites whole; `None` when it rewrites none.
    pub version: Option<u64>,
}

impl Observed {
    /// Devices tell their uptime in whole seconds, and some count from when their clock is set.
    const UPTIME_SLACK_MS: i64 = 5_000;

    /// What `identity` shows.
    pub const fn new(identity: Identity, now: Option<Command>) -> Self {
        Self { identity, now, up_since_ms: None, version: None }
    }

    /// Adds for how long the device is up at this moment.
    #[must_use]
    pub fn up_for(mut self, cx: &Ctx, uptime: Option<Duration>) -> Self {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.up_since_ms = uptime.map(|up| ms(cx.clock.mono().since_origin()).saturating_sub(ms(up)));
        self
    }

    /// Adds the fingerprint of what the command rewrites.
    #[must_use]
    pub const fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Whether the device restarted since `before`.
    pub fn restarted_since(&self, before: &Self) -> bool {
        match (before.up_since_ms, self.up_since_ms) {
            (Some(then), Some(now)) => now.saturating_sub(then) > Self::UPTIME_SLACK_MS,
            _ => false,
        }
    }
}
