//! Simulated devices whose physics is asked directly, at times of our own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Result,
    io::{Clock, Ctx, MemNet, Mono, SeededRng, Timestamp},
};
use headframe_sim::{FleetBuilder, Truth};

/// A clock that stands until it is set.
#[derive(Debug)]
struct Hand {
    wall_at_origin: i64,
    ms: AtomicU64,
}

#[async_trait]
impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        Timestamp(self.wall_at_origin + i64::try_from(self.ms.load(Relaxed)).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> Mono {
        Mono::from_origin(Duration::from_millis(self.ms.load(Relaxed)))
    }

    async fn sleep_until(&self, _: Mono) {
        std::future::pending().await
    }
}

/// Simulated Whatsminers in memory.
pub struct Fleet {
    hand: Arc<Hand>,
    fleet: headframe_sim::Fleet,
    _runtime: tokio::runtime::Runtime,
}

impl Fleet {
    /// `n` devices whose clock begins at `start`.
    ///
    /// # Errors
    /// When the devices cannot be made.
    pub fn new(n: usize, start: i64) -> Result<Self> {
        let hand = Arc::new(Hand { wall_at_origin: start, ms: AtomicU64::new(0) });
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(super::failed)?;
        let cx = Ctx::new(hand.clone(), Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()));
        let fleet = runtime.block_on(FleetBuilder::new().seed(7).whatsminers(n).start(&cx))?;
        Ok(Self { hand, fleet, _runtime: runtime })
    }

    /// What is so in a device `ms` after the start.
    pub fn truth(&self, device: usize, ms: i64) -> Option<Truth> {
        self.hand.ms.store(u64::try_from(ms).unwrap_or(0), Relaxed);
        self.fleet.devices().get(device).map(headframe_sim::Device::truth)
    }
}
