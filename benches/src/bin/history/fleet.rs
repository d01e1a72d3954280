//! Simulated devices whose physics is asked directly, at times of our own.

use std::sync::Arc;

use headframe_benches::hand::Hand;
use headframe_core::{
    Result,
    io::{Ctx, MemNet, SeededRng, Timestamp},
};
use headframe_sim::{FleetBuilder, Truth};

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
        let hand = Arc::new(Hand::new(Timestamp(start)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(super::failed)?;
        let cx = Ctx::new(hand.clone(), Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()));
        let fleet = runtime.block_on(FleetBuilder::new().seed(7).whatsminers(n).start(&cx))?;
        Ok(Self { hand, fleet, _runtime: runtime })
    }

    /// What is so in a device `ms` after the start.
    pub fn truth(&self, device: usize, ms: i64) -> Option<Truth> {
        self.hand.set(ms);
        self.fleet.devices().get(device).map(headframe_sim::Device::truth)
    }
}
