use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use headframe_core::io::{Clock, Mono, SystemClock, Timestamp};

/// A clock of simulated time whose wall time somebody sets, forward and back.
#[derive(Debug)]
pub struct Jumping {
    clock: SystemClock,
    off_ms: AtomicI64,
}

impl Jumping {
    /// Right at the beginning.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { clock: SystemClock::starting_at(wall), off_ms: AtomicI64::new(0) }
    }

    /// Sets the wall time by so much.
    pub fn jump(&self, ms: i64) {
        self.off_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Jumping {
    fn wall(&self) -> Timestamp {
        let Timestamp(right) = self.clock.wall();
        Timestamp(right.saturating_add(self.off_ms.load(Ordering::SeqCst)))
    }

    fn mono(&self) -> Mono {
        self.clock.mono()
    }

    async fn sleep_until(&self, at: Mono) {
        self.clock.sleep_until(at).await;
    }
}
