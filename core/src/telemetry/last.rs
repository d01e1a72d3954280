//! What a thing said last.

use std::sync::Arc;

use super::Inner;
use crate::{
    io::Timestamp,
    model::RackId,
    rack::{Reading, ThingRecord},
};

/// The last reading of a thing. The rack's collector keeps it as well, so that here it costs a pointer.
#[derive(Debug, Default)]
pub(super) struct Last {
    last: Option<Arc<Reading>>,
    /// The last one by the instant that somebody will ask for, once there is one after it.
    before: Option<Arc<Reading>>,
}

/// When a poll began.
pub(super) fn began(reading: &Reading) -> Timestamp {
    let took = i64::try_from(reading.took.as_millis()).unwrap_or(i64::MAX);
    Timestamp(reading.ts.0.saturating_sub(took))
}

impl Last {
    /// Takes a reading. One that is older than what is known changes nothing.
    pub fn put(&mut self, reading: &Arc<Reading>, instant: Option<Timestamp>) {
        if self.last.as_ref().is_some_and(|last| reading.ts < last.ts) {
            return;
        }
        let last = self.last.replace(Arc::clone(reading));
        let crosses = |last: &Arc<Reading>| instant.is_some_and(|at| last.ts <= at && reading.ts > at);
        if self.before.is_none() {
            self.before = last.filter(crosses);
        }
    }

    /// It.
    pub fn get(&self) -> Option<&Arc<Reading>> {
        self.last.as_ref()
    }

    /// The last reading whose poll had ended at an instant that was [expected](Self::expect).
    pub fn by(&self, at: Timestamp) -> Option<&Arc<Reading>> {
        [&self.last, &self.before].into_iter().flatten().find(|reading| reading.ts <= at)
    }

    /// Says which instant will be asked for next: what was kept for the one before is let go.
    pub fn expect(&mut self, instant: Timestamp) {
        let passed = self.last.as_ref().is_some_and(|last| last.ts > instant);
        // It may have passed that instant already.
        self.before = self.before.take().filter(|before| passed && before.ts <= instant);
    }
}

impl Inner {
    /// The last readings of these things of a rack, in their order.
    pub(super) fn lasts(&self, rack: &RackId, things: &[Arc<ThingRecord>]) -> Vec<Option<Arc<Reading>>> {
        let racks = self.racks();
        let members = racks.get(rack).map(|stats| &stats.members);
        things.iter().map(|thing| members?.last(&thing.id).cloned()).collect()
    }

    /// The same as it was at an instant that was [expected](Last::expect).
    pub(super) fn lasts_by(
        &self,
        rack: &RackId,
        things: &[Arc<ThingRecord>],
        at: Timestamp,
    ) -> Vec<Option<Arc<Reading>>> {
        let racks = self.racks();
        let members = racks.get(rack).map(|stats| &stats.members);
        things.iter().map(|thing| members?.last_by(&thing.id, at).cloned()).collect()
    }
}
