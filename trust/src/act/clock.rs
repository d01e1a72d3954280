use async_trait::async_trait;
use headframe_core::io::{Clock, Mono, SystemClock, Timestamp};

use super::SPEED;

/// The machine's clock, [`SPEED`] times as fast.
#[derive(Debug)]
pub struct Quick {
    clock: SystemClock,
    wall: Timestamp,
}

impl Quick {
    /// A clock whose wall time begins at `wall`.
    pub fn new(wall: Timestamp) -> Self {
        Self { clock: SystemClock::default(), wall }
    }
}

#[async_trait]
impl Clock for Quick {
    fn wall(&self) -> Timestamp {
        let passed = i64::try_from(self.mono().since_origin().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.wall.0.saturating_add(passed))
    }

    fn mono(&self) -> Mono {
        Mono::from_origin(self.clock.mono().since_origin().saturating_mul(SPEED))
    }

    async fn sleep_until(&self, at: Mono) {
        self.clock.sleep_until(Mono::from_origin(at.since_origin() / SPEED)).await;
    }
}
