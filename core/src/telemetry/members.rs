//! Which things a rack has and had, and where each of them stood when.

use std::{collections::VecDeque, sync::Arc};

use foldhash::HashMap;

use super::{last::Last, look::Fact};
use crate::{
    ThingId,
    io::Timestamp,
    rack::{Reading, ThingRecord},
};

/// Changes of its place that are remembered of a thing.
const MOST_STANDS: usize = 8;
/// Things that are remembered after they left, and for how long: a late sample reaches no farther.
const MOST_GONE: usize = 4_096;
const GONE_MS: i64 = 86_400_000;

/// Where a thing stood from a time on.
#[derive(Debug, Clone)]
pub(super) struct Stand {
    pub since: Timestamp,
    pub cell: u32,
    pub facts: Arc<[Fact]>,
}

/// A thing, as its statistics know it.
#[derive(Debug)]
pub(super) struct Slot {
    pub number: u32,
    record: Arc<ThingRecord>,
    /// Of all records, when its own was looked up.
    version: Option<u64>,
    /// By time, never none; the last is where it stands.
    stands: Vec<Stand>,
    /// What was kept last of its texts, and on which day that was.
    texts: Option<TextsKept>,
    /// The greatest time of a sample.
    newest: Timestamp,
    last: Last,
}

/// Texts by their hash, the code of the error beside them, and a day.
type TextsKept = (u64, Option<Box<str>>, i64);

impl Slot {
    /// It stood where it did first at `ts` already: what the rack itself read is its own, however late it comes.
    fn stood_at(&mut self, ts: Timestamp) {
        if let Some(first) = self.stands.first_mut() {
            first.since = first.since.min(ts);
        }
    }

    /// Where it stands.
    pub fn stand(&self) -> Option<&Stand> {
        self.stands.last()
    }

    /// Whether texts that a sample has at a time have to be kept with it: they are others than those before, or the sample
    /// comes late, so that in order of time it stands between samples that it came after.
    pub fn has_new_texts(&mut self, ts: Timestamp, hash: u64, error: Option<&str>, day: i64) -> bool {
        if ts < self.newest {
            self.texts = None;
            return true;
        }
        self.newest = ts;
        let same = |known: &TextsKept| known.0 == hash && known.1.as_deref() == error && known.2 == day;
        if self.texts.as_ref().is_some_and(same) {
            return false;
        }
        self.texts = Some((hash, error.map(Box::from), day));
        true
    }
}

/// A thing whose samples are to be read, and where it stood.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub id: ThingId,
    pub stands: Vec<Stand>,
    /// When it left the rack.
    pub until: Option<Timestamp>,
}

impl Subject {
    /// Where it stood at a time; `None` before it came to the rack.
    pub fn stand(&self, ts: Timestamp) -> Option<&Stand> {
        self.stands.iter().rev().find(|stand| stand.since <= ts)
    }
}

/// The things of a rack.
#[derive(Debug, Default)]
pub(super) struct Members {
    slots: HashMap<ThingId, Slot>,
    free: Vec<u32>,
    gone: VecDeque<Subject>,
    /// Somebody will ask what things had said by then.
    instant: Option<Timestamp>,
}

impl Members {
    pub fn slot(&mut self, id: &ThingId) -> Option<&mut Slot> {
        self.slots.get_mut(id)
    }

    /// A thing that is known by this very record, as one that came to the rack at `ts` or before.
    pub fn placed(&mut self, record: &Arc<ThingRecord>, ts: Timestamp) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(&record.id)?;
        slot.stood_at(ts);
        Arc::ptr_eq(&slot.record, record).then_some(slot)
    }

    /// A reading comes of a thing that is known by its record of this version of all: it is what the thing said last.
    /// `false` for any other.
    pub fn hear(&mut self, reading: &Arc<Reading>, version: u64, began: Timestamp) -> bool {
        let Some(slot) = self.slots.get_mut(&reading.thing).filter(|slot| slot.version == Some(version))
        else {
            return false;
        };
        slot.stood_at(began);
        slot.last.put(reading, self.instant);
        true
    }

    /// The record by which a thing is known is that of this version of all.
    pub fn checked(&mut self, id: &ThingId, version: u64) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.version = Some(version);
        }
    }

    /// What a thing said last.
    pub fn last(&self, id: &ThingId) -> Option<&Arc<Reading>> {
        self.slots.get(id)?.last.get()
    }

    /// What it had said last at an instant that was [expected](Self::expect).
    pub fn last_by(&self, id: &ThingId, at: Timestamp) -> Option<&Arc<Reading>> {
        self.slots.get(id)?.last.by(at)
    }

    /// Says for which instant will be asked next.
    pub fn expect(&mut self, instant: Timestamp) {
        self.instant = Some(instant);
        self.slots.values_mut().for_each(|slot| slot.last.expect(instant));
    }

    /// A thing stands in a cell from `since` on, by its record.
    pub fn place(&mut self, record: &Arc<ThingRecord>, since: Timestamp, cell: u32, facts: Box<[Fact]>) {
        let stand = Stand { since, cell, facts: facts.into() };
        let Some(slot) = self.slots.get_mut(&record.id) else {
            let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
            let number = self.free.pop().unwrap_or(next);
            let record = Arc::clone(record);
            let id = record.id.clone();
            let slot = Slot {
                number,
                record,
                version: None,
                stands: vec![stand],
                texts: None,
                newest: Timestamp(i64::MIN),
                last: Last::default(),
            };
            self.slots.insert(id, slot);
            return;
        };
        slot.record = Arc::clone(record);
        let Some(last) = slot.stands.last() else { return };
        if last.cell == stand.cell && last.facts == stand.facts {
            return;
        }
        let since = stand.since.max(last.since);
        slot.stands.push(Stand { since, ..stand });
        if slot.stands.len() > MOST_STANDS {
            let first = slot.stands.remove(0).since;
            if let Some(next) = slot.stands.first_mut() {
                next.since = first;
            }
        }
    }

    /// Lets a thing go; gives its number, which another can have.
    pub fn remove(&mut self, id: &ThingId, now: Timestamp) -> Option<u32> {
        let slot = self.slots.remove(id)?;
        self.free.push(slot.number);
        self.gone.push_back(Subject { id: id.clone(), stands: slot.stands, until: Some(now) });
        Some(slot.number)
    }

    /// Forgets things that left long ago.
    pub fn forget_gone(&mut self, now: Timestamp) {
        let is_old = |gone: &Subject| gone.until.is_some_and(|until| until.0.saturating_add(GONE_MS) < now.0);
        while self.gone.len() > MOST_GONE || self.gone.front().is_some_and(is_old) {
            self.gone.pop_front();
        }
    }

    /// Samples of a thing up to this time were kept by an earlier run: what has an earlier time comes late.
    pub fn kept_until(&mut self, id: &ThingId, ts: Timestamp) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.newest = slot.newest.max(ts);
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn ids(&self) -> impl Iterator<Item = &ThingId> {
        self.slots.keys()
    }

    /// What was thought to be kept was not: the texts of the next readings are.
    pub fn forget_texts(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.texts = None);
    }

    /// All that are here, and those that left of late.
    pub fn subjects(&self) -> Vec<Subject> {
        let here = |(id, slot): (&ThingId, &Slot)| Subject {
            id: id.clone(),
            stands: slot.stands.clone(),
            until: None,
        };
        self.slots.iter().map(here).chain(self.gone.iter().cloned()).collect()
    }
}
