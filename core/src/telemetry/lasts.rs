//! What things said last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::HashMap;

use crate::{
    ThingId,
    io::Timestamp,
    model::RackId,
    rack::{Reading, ThingRecord},
};

/// The last readings of things, by rack. A rack's collector keeps them as well, so that here they cost a pointer.
#[derive(Debug, Default)]
pub(super) struct Lasts(Mutex<BTreeMap<RackId, OfRack>>);

#[derive(Debug, Default)]
struct OfRack {
    things: HashMap<ThingId, Said>,
    /// Somebody will ask what was the last by then.
    instant: Option<Timestamp>,
    /// When things without a device were counted last.
    counted: Option<Timestamp>,
}

#[derive(Debug)]
struct Said {
    last: Arc<Reading>,
    /// The last one by the instant, once there is one after it.
    before: Option<Arc<Reading>>,
}

impl Said {
    /// The last reading whose poll had ended at `at`.
    fn by(&self, at: Timestamp) -> Option<&Arc<Reading>> {
        [Some(&self.last), self.before.as_ref()].into_iter().flatten().find(|reading| reading.ts <= at)
    }
}

/// When a poll began.
pub(super) fn began(reading: &Reading) -> Timestamp {
    let took = i64::try_from(reading.took.as_millis()).unwrap_or(i64::MAX);
    Timestamp(reading.ts.0.saturating_sub(took))
}

impl Lasts {
    fn racks(&self) -> MutexGuard<'_, BTreeMap<RackId, OfRack>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a reading. One that is older than what is known changes nothing.
    pub fn put(&self, rack: &RackId, reading: &Arc<Reading>) {
        let mut racks = self.racks();
        let OfRack { things, instant, .. } = match racks.get_mut(rack) {
            Some(of) => of,
            None => racks.entry(rack.clone()).or_default(),
        };
        let Some(said) = things.get_mut(&reading.thing) else {
            things.insert(reading.thing.clone(), Said { last: Arc::clone(reading), before: None });
            return;
        };
        if reading.ts < said.last.ts {
            return;
        }
        let last = std::mem::replace(&mut said.last, Arc::clone(reading));
        let crosses = instant.is_some_and(|at| last.ts <= at && reading.ts > at);
        if crosses && said.before.is_none() {
            said.before = Some(last);
        }
    }

    /// Whether a rack's things without a device are to be counted again: once in so many ms.
    pub fn counts(&self, rack: &RackId, now: Timestamp, every: i64) -> bool {
        let mut racks = self.racks();
        let of = racks.entry(rack.clone()).or_default();
        let is_due = of.counted.is_none_or(|last| last.0.saturating_add(every) <= now.0 || last > now);
        if is_due {
            of.counted = Some(now);
        }
        is_due
    }

    /// Lets go of a rack's things that are not its own any more.
    pub fn retain(&self, rack: &RackId, is_here: impl Fn(&ThingId) -> bool) {
        if let Some(of) = self.racks().get_mut(rack) {
            of.things.retain(|id, _| is_here(id));
        }
    }

    /// The last readings of these things of a rack, in their order.
    pub fn of(&self, rack: &RackId, things: &[Arc<ThingRecord>]) -> Vec<Option<Arc<Reading>>> {
        let racks = self.racks();
        let known = racks.get(rack);
        let last = |thing: &Arc<ThingRecord>| Some(Arc::clone(&known?.things.get(&thing.id)?.last));
        things.iter().map(last).collect()
    }

    /// The same as it was at an instant that was [expected](Self::expect).
    pub fn by(&self, rack: &RackId, things: &[Arc<ThingRecord>], at: Timestamp) -> Vec<Option<Arc<Reading>>> {
        let racks = self.racks();
        let known = racks.get(rack);
        let last = |thing: &Arc<ThingRecord>| known?.things.get(&thing.id)?.by(at).cloned();
        things.iter().map(last).collect()
    }

    /// Says which instant will be asked for next: what was kept for the one before is let go.
    pub fn expect(&self, rack: &RackId, instant: Timestamp) {
        let mut racks = self.racks();
        let of = racks.entry(rack.clone()).or_default();
        of.instant = Some(instant);
        // A thing may have passed that instant already.
        for said in of.things.values_mut() {
            said.before = said.before.take().filter(|before| said.last.ts > instant && before.ts <= instant);
        }
    }
}
