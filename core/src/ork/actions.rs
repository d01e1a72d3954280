use std::sync::{Arc, PoisonError};

use super::Orchestrator;
use crate::{Error, ErrorKind, Result, action::Engine};

impl Orchestrator {
    /// Serves MiningOS's methods of actions with this engine; one that served before serves no more. The engine sees the
    /// racks through its orchestrator ([`OrkFleet`](super::OrkFleet)), so this one does not own it: whoever opened it keeps
    /// it, and without it the methods answer with [`Closed`](ErrorKind::Closed).
    pub fn serve_actions(&self, engine: &Arc<Engine>) {
        let mut served = self.0.actions.write().unwrap_or_else(PoisonError::into_inner);
        *served = Some(Arc::downgrade(engine));
    }

    /// The engine that serves actions.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) with `ERR_ACTIONS_NOT_SERVED` where there is none,
    /// [`Closed`](ErrorKind::Closed) when it ended.
    pub fn actions(&self) -> Result<Arc<Engine>> {
        let served = self.0.actions.read().unwrap_or_else(PoisonError::into_inner);
        let Some(served) = &*served else {
            let e =
                Error::new(ErrorKind::Unsupported, "ork.actions", "this orchestrator has no action engine");
            return Err(e.code_as("ERR_ACTIONS_NOT_SERVED"));
        };
        let closed = || Error::new(ErrorKind::Closed, "ork.actions", "the action engine was closed");
        served.upgrade().ok_or_else(closed)
    }
}
