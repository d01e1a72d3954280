use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::{RackId, Text};

/// Targets that are written to now: two actions do not write to one at the same time, as each would take the other's
/// effect for its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<Mutex<BTreeSet<(RackId, Text)>>>);

/// A target that nobody else writes to as long as this is there.
#[derive(Debug)]
pub(super) struct Claimed {
    busy: Busy,
    target: (RackId, Text),
}

impl Busy {
    /// Claims a target; `None` while somebody else has it.
    pub fn claim(&self, rack: &RackId, target: &Text) -> Option<Claimed> {
        let target = (rack.clone(), target.clone());
        self.targets().insert(target.clone()).then(|| Claimed { busy: self.clone(), target })
    }

    fn targets(&self) -> MutexGuard<'_, BTreeSet<(RackId, Text)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.busy.targets().remove(&self.target);
    }
}
