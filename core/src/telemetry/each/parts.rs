//! Things that nobody asks: spare parts and work orders are counted by what is written of them.

use std::{sync::Arc, time::Duration};

use crate::{
    Result,
    io::Timestamp,
    model::{RackId, Snapshot},
    rack::{Link, Reading, ThingRecord},
    stats::live::Window,
    telemetry::{Inner, intake::Intake},
};

/// The family of things without a device.
const FAMILY: &str = "inventory";

impl Inner {
    /// Counts the parts of all racks, as often as things of these racks would be asked.
    pub(in crate::telemetry) fn count_parts(&self, now: Timestamp) -> Result<()> {
        let racks: Vec<(RackId, i64)> = {
            let racks = self.racks();
            let of_parts = racks.iter().filter(|(_, stats)| stats.facts.info.family() == FAMILY);
            let every = |interval: Duration| {
                i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).min(Window::M1.length_ms())
            };
            of_parts.map(|(rack, stats)| (rack.clone(), every(stats.facts.interval))).collect()
        };
        for (rack, every) in racks {
            if !self.racks().get_mut(&rack).is_some_and(|stats| stats.counts(now, every)) {
                continue;
            }
            for thing in self.things.of_rack(&rack) {
                self.count_part(&rack, &thing, now)?;
            }
        }
        Ok(())
    }

    fn count_part(&self, rack: &RackId, thing: &Arc<ThingRecord>, now: Timestamp) -> Result<()> {
        let snapshot = Arc::new(Snapshot::offline());
        let reading = Reading {
            thing: thing.id.clone(),
            seq: 0,
            ts: now,
            took: Duration::ZERO,
            outcome: Ok(Arc::clone(&snapshot)),
            link: Link::Never,
            good: None,
        };
        let mut intake = self.intake();
        let Intake { flattener, .. } = &mut *intake;
        let flat = flattener.flatten(&snapshot)?;
        match self.racks().get_mut(rack) {
            Some(stats) => {
                stats.place(thing, now);
                stats.take(&reading, &snapshot, &flat, now).map(drop)
            }
            None => Ok(()),
        }
    }
}
