//! A clock that stands until it is set.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::io::{Clock, Mono, Timestamp};

/// See the module. Nobody can wait for it.
#[derive(Debug)]
pub struct Hand {
    start: i64,
    ms: AtomicU64,
}

impl Hand {
    /// It stands at `start`, a time of the wall clock.
    pub fn new(start: Timestamp) -> Self {
        Self { start: start.0, ms: AtomicU64::new(0) }
    }

    /// Sets it, so many ms after its start.
    pub fn set(&self, ms: i64) {
        self.ms.store(u64::try_from(ms).unwrap_or(0), Relaxed);
    }
}

#[async_trait]
impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        Timestamp(self.start + i64::try_from(self.ms.load(Relaxed)).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> Mono {
        Mono::from_origin(Duration::from_millis(self.ms.load(Relaxed)))
    }

    async fn sleep_until(&self, _: Mono) {
        std::future::pending().await
    }
}
