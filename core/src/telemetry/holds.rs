//! How long what a thing said holds.

use std::time::Duration;

use crate::stats::live::LONGEST_HOLD_MS;

/// How long a sample holds when the next is due after `interval`, ms.
pub(super) fn hold_ms(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis() * 5 / 2).unwrap_or(i64::MAX).min(LONGEST_HOLD_MS)
}

/// How long samples hold, ms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds {
    /// One of a poll that was answered.
    pub answered: i64,
    /// One of a poll that failed: the next may come later.
    pub failed: i64,
}

impl Holds {
    pub fn new(interval: Duration, max_backoff: Duration) -> Self {
        Self { answered: hold_ms(interval), failed: hold_ms(max_backoff) }
    }

    /// The longer one.
    pub fn longest(self) -> i64 {
        self.answered.max(self.failed)
    }
}
