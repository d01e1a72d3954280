//! Statistics as MiningOS itself would have stored them, for whoever wants its dashboards bit for bit while moving over
//! (`mosCompatible`).
//!
//! MiningOS does not look at a window. At each window's end it takes what things said last, folds it for every tag that a
//! thing of the rack has, and stores the results. So is it here, with [`Semantics::MiningOs`]: a row is a JSON object in a
//! text, and an answer is a fold of such rows. The totals of the corrected statistics are kept beside them, and show again
//! when the option is off.
//!
//! [`Semantics::MiningOs`]: crate::stats::Semantics::MiningOs

mod tail;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};

use super::{Inner, last::began, look::document, name};
use crate::{
    Result, ThingId,
    history::{Sample, Shape},
    io::Timestamp,
    model::{RackId, Snapshot},
    rack::{RackInfo, Reading, ThingRecord},
    stats::{Json, MosTally, Spec, families, live::Window},
};

const DAY_MS: i64 = 86_400_000;

/// What is needed of each rack to store rows as MiningOS does.
#[derive(Debug, Default)]
pub(super) struct Mos(Mutex<BTreeMap<RackId, OfRack>>);

#[derive(Debug)]
struct OfRack {
    how: How,
    /// The next end of a window.
    due: Timestamp,
    /// Since when its readings come here.
    since: Timestamp,
    /// The newest readings of before the start, of things that have said nothing since; `None` where there is none.
    before_start: HashMap<ThingId, Option<Value>>,
}

/// How a rack's things are folded.
#[derive(Debug, Clone)]
struct How {
    spec: Arc<Spec>,
    family: Arc<str>,
}

/// Documents of things as MiningOS's operations read them, with the tags that they are folded for.
struct Document {
    entry: Value,
    ext: Value,
    record: Arc<ThingRecord>,
}

/// The windows whose ends MiningOS has an alarm for. Those of a minute are of containers alone; those of a quarter of an
/// hour, which it has for meters, are there for all.
fn windows(family: &str) -> impl Iterator<Item = Window> + '_ {
    Window::ALL.into_iter().filter(move |window| match window {
        Window::M1 => family == "container",
        _ => true,
    })
}

/// The first end of a window after `now`.
fn due(family: &str, now: Timestamp) -> Timestamp {
    windows(family).map(|window| window.end_of(now)).min().unwrap_or(now)
}

impl Mos {
    fn racks(&self) -> MutexGuard<'_, BTreeMap<RackId, OfRack>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to store rows of a rack, from the next end of a window on, which it gives.
    pub fn begin(&self, info: &RackInfo, now: Timestamp) -> Timestamp {
        let family: Arc<str> = info.thing_type.split('-').next().unwrap_or_default().into();
        let spec = families::mos_spec(&info.thing_type).unwrap_or_default();
        let due = due(&family, now);
        let how = How { spec, family };
        self.racks().insert(info.id.clone(), OfRack { how, due, since: now, before_start: HashMap::new() });
        due
    }

    fn how(&self, rack: &RackId) -> Option<How> {
        self.racks().get(rack).map(|of| of.how.clone())
    }

    fn forget_before_start(&self, rack: &RackId) {
        if let Some(of) = self.racks().get_mut(rack) {
            of.before_start = HashMap::new();
        }
    }

    /// Racks of which windows have ended, with the windows by their ends. Ends that were slept through are passed over.
    fn ended(&self, now: Timestamp) -> Vec<(RackId, How, BTreeMap<Timestamp, Vec<Window>>)> {
        let mut out = Vec::new();
        for (rack, of) in self.racks().iter_mut().filter(|(_, of)| of.due <= now) {
            let mut ends: BTreeMap<Timestamp, Vec<Window>> = BTreeMap::new();
            for window in windows(&of.how.family) {
                let end = window.start_of(now);
                if end >= of.due {
                    ends.entry(end).or_default().push(window);
                }
            }
            of.due = due(&of.how.family, now);
            out.push((rack.clone(), of.how.clone(), ends));
        }
        out
    }
}

impl Inner {
    /// Stores rows of windows that have ended.
    pub(super) fn store_mos(&self, now: Timestamp) {
        let Some(mos) = &self.mos else { return };
        for (rack, how, ends) in mos.ended(now) {
            let things = self.things.of_rack(&rack);
            for (end, windows) in ends {
                let readings = self.lasts_by(&rack, &things, end);
                let rows = self.fold_tags(mos, &rack, &how, &things, &readings);
                if readings.iter().all(Option::is_some) {
                    mos.forget_before_start(&rack);
                }
                for (tag, mut row) in rows {
                    row.insert("ts".into(), end.0.into());
                    let text = Value::Object(row).to_string();
                    for window in &windows {
                        if let Err(error) = self.put_mos(&rack, *window, &tag, end, &text) {
                            self.failed(&error, "a row of MiningOS");
                        }
                    }
                }
            }
            if let Some(stats) = self.racks().get_mut(&rack) {
                stats.members.expect(due(&how.family, now));
            }
        }
    }

    fn put_mos(&self, rack: &RackId, window: Window, tag: &str, ts: Timestamp, text: &str) -> Result<()> {
        let owner = name::mos(window, rack, tag);
        let shape = Shape::new::<&str>([])?;
        let sample = Sample { owner: &owner, ts, shape: &shape, values: &[], texts: Some(text) };
        self.rows.append(&[sample]).map(drop)
    }

    /// One row for each tag of the things; all things are folded in order of ids.
    fn fold_tags(
        &self,
        mos: &Mos,
        rack: &RackId,
        how: &How,
        things: &[Arc<ThingRecord>],
        readings: &[Option<Arc<Reading>>],
    ) -> BTreeMap<String, Map<String, Value>> {
        let skipped = families::skip_tags(&how.family);
        let mut tallies: BTreeMap<String, MosTally<'_>> = BTreeMap::new();
        for (record, reading) in things.iter().zip(readings) {
            let Document { entry, ext, record } = self.document(mos, rack, record, reading.as_deref());
            let thing = Json { entry: &entry, ext: Some(&ext) };
            let has_rows = |tag: &str| !skipped.iter().any(|prefix| tag.starts_with(prefix.as_str()));
            for tag in record.tags.iter().map(|tag| tag.as_str()).filter(|tag| has_rows(tag)) {
                match tallies.get_mut(tag) {
                    Some(tally) => tally.add(&thing),
                    None => {
                        let mut tally = MosTally::new(&how.spec);
                        tally.add(&thing);
                        tallies.insert(tag.to_owned(), tally);
                    }
                }
            }
        }
        tallies.into_iter().map(|(tag, tally)| (tag, tally.to_json())).collect()
    }

    /// A thing as MiningOS's operations read it.
    fn document(
        &self,
        mos: &Mos,
        rack: &RackId,
        record: &Arc<ThingRecord>,
        reading: Option<&Reading>,
    ) -> Document {
        let last = match reading {
            // It is not asked; MiningOS says at each tick that it does not answer.
            _ if record.in_maintenance() => {
                json!({"err": null, "snap": Snapshot::offline(), "alerts": null})
            }
            Some(reading) => said(reading),
            None => self.before_start(mos, rack, &record.id).unwrap_or_else(|| json!({})),
        };
        let ext = document(record);
        let entry = json!({"last": last, "info": ext.get("info")});
        Document { entry, ext, record: Arc::clone(record) }
    }

    /// What a thing said last before the start, as MiningOS takes it from the thing's log.
    fn before_start(&self, mos: &Mos, rack: &RackId, thing: &ThingId) -> Option<Value> {
        let (since, known) = {
            let racks = mos.racks();
            let of = racks.get(rack)?;
            (of.since, of.before_start.get(thing).cloned())
        };
        if let Some(known) = known {
            return known;
        }
        let found = self.newest_reading(thing, since).unwrap_or_else(|error| {
            self.failed(&error, "a reading of before the start");
            None
        });
        if let Some(of) = mos.racks().get_mut(rack) {
            of.before_start.insert(thing.clone(), found.clone());
        }
        found
    }

    /// The newest reading of a thing whose poll began before `until`.
    fn newest_reading(&self, thing: &ThingId, until: Timestamp) -> Result<Option<Value>> {
        let last = self.raw.last(thing.as_str())?.rows.last().map(|row| row.ts);
        let range = match last {
            None => return Ok(None),
            Some(ts) if ts < until => ts..until,
            // It has said something meanwhile: what it said before is not far.
            Some(_) => Timestamp(until.0.saturating_sub(DAY_MS).max(0))..until,
        };
        Ok(self.snapshots_of(thing, range)?.pop())
    }
}

/// A reading as MiningOS's `last`. Nobody raises alerts.
pub(super) fn said(reading: &Reading) -> Value {
    json!({
        "ts": began(reading),
        "err": reading.outcome.as_ref().err().map(|error| error.code()),
        "snap": &*reading.snapshot(),
        "alerts": null,
    })
}
