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
        self.up_since_ms = uptime.map(|up| mono_ms(cx).saturating_sub(ms(up)));
        self
    }

    /// When the device came up, ms since 1970: what a journal keeps, as the clock's origin is another one after a
    /// restart of this process.
    pub fn up_since_wall_ms(&self, cx: &Ctx) -> Option<i64> {
        let ago = mono_ms(cx).saturating_sub(self.up_since_ms?);
        Some(cx.clock.wall().0.saturating_sub(ago))
    }

    /// The same observation in this process, of which a journal kept when the device came up on the wall clock. A
    /// device that came up after `since` ago, when it was told to restart, did so since whatever the wall clock did
    /// meanwhile.
    #[cfg(feature = "store")]
    #[must_use]
    pub(crate) fn came_up(mut self, cx: &Ctx, wall_ms: Option<i64>, since: Duration) -> Self {
        if let (None, Some(wall_ms)) = (self.up_since_ms, wall_ms) {
            let now = mono_ms(cx);
            let up = now.saturating_sub(cx.clock.wall().0.saturating_sub(wall_ms));
            let told = now.saturating_sub(ms(since));
            self.up_since_ms = Some(up.max(told.saturating_sub(Self::UPTIME_SLACK_MS)));
        }
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

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn mono_ms(cx: &Ctx) -> i64 {
    ms(cx.clock.mono().since_origin())
}
