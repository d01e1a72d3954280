//! How the action engine writes to racks of this process.
//!
//! [`LocalHands`] carries approved actions out over one [`LocalRack`]; [`OrkFleet`] shows the engine all racks of an
//! [`Orchestrator`](super::Orchestrator), with the hands of those that have some. `things` writes to devices, `racks` to
//! the registry, and `power` says what a command does to the power drawn.
//!
//! A thing falls out of an action, or is refused right before the write, with one of these codes:
//!
//! | code | why |
//! |---|---|
//! | `ERR_THING_NOTFOUND`, `ERR_THING_RACK_CHANGED` | it was forgotten, or went to another rack, since the push |
//! | `ERR_THING_IN_MAINTENANCE` | it is being repaired |
//! | `ERR_THING_HELD` | its identity is in doubt |
//! | `ERR_THING_READ_ONLY` | it was registered so |
//! | `ERR_THING_NOT_INITIALIZED` | it is no device |
//! | `ERR_IDENTITY_UNKNOWN` | neither MAC address nor serial number is known of it; told right before the write |
//! | `ERR_IDENTITY_MISMATCH` | another device answers; told right before the write |
//! | `ERR_UNSUPPORTED`, the command's own | its device cannot do it, or not with these values |

mod fleet;
mod power;
mod racks;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
mod things;

pub use fleet::OrkFleet;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    Result,
    action::{
        Ask, Before, Call, Hands, Look, Reply, Seen, Selection,
        catalogue::{self, ActionKind, Images},
    },
    driver::Permit,
    io::{Ctx, Mono},
    rack::{LocalRack, Rack},
};

const OP: &str = "ork.hands";

/// The hands of a rack of this process.
pub struct LocalHands {
    rack: Arc<LocalRack>,
    pools: Option<Vec<Value>>,
    images: Arc<Images>,
    /// Since when the rack's connections are what they are.
    restarted: Mutex<Mono>,
}

impl LocalHands {
    /// The hands of `rack`. `pools` are those of the rack's configuration, in MiningOS's form; firmware comes from
    /// `images`.
    pub fn new(cx: &Ctx, rack: Arc<LocalRack>, pools: Option<Vec<Value>>, images: Arc<Images>) -> Self {
        Self { rack, pools, images, restarted: Mutex::new(cx.clock.mono()) }
    }

    fn restarted(&self) -> std::sync::MutexGuard<'_, Mono> {
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LocalHands {
    /// Without the pools, whose passwords are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHands").field("rack", &self.rack.info().id).finish_non_exhaustive()
    }
}

/// Whether an action is one on the rack itself.
fn is_rack_action(action: &str) -> bool {
    catalogue::row(action).is_some_and(|row| row.kind == ActionKind::Rack)
}

#[async_trait]
impl Hands for LocalHands {
    async fn select(&self, cx: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        let family = self.rack.info().family();
        let Some(row) = catalogue::row(&ask.action).filter(|row| row.families.contains(&family)) else {
            return Ok(None);
        };
        match row.kind {
            ActionKind::Rack => self.select_rack(row, ask),
            _ => cx.within(OP, self.select_things(row, ask)).await,
        }
        .map(Some)
    }

    async fn look(&self, cx: &Ctx, call: &Call) -> Result<Look> {
        if is_rack_action(&call.action) { self.look_rack(call) } else { self.look_thing(cx, call).await }
    }

    async fn send(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        if is_rack_action(&call.action) {
            // The registry is no device: the permit says that the engine asks, and that is all it has to say.
            self.send_rack(cx, call).await
        } else {
            self.send_thing(cx, call, permit).await
        }
    }

    async fn confirm(&self, cx: &Ctx, call: &Call, before: &Before, since: Duration) -> Seen {
        if is_rack_action(&call.action) {
            self.confirm_rack(cx, call, since).await
        } else {
            self.confirm_thing(cx, call, before, since).await
        }
    }
}
