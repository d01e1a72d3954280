use std::collections::BTreeMap;

use super::{Layout, Said, open::State};

/// Ends of holds are looked up by the second, which divides a minute.
const TICK: i64 = 1000;

/// No thing.
const NONE: u32 = u32::MAX;

/// What each thing said last, and when its hold ends.
#[derive(Debug)]
pub(super) struct Slots {
    layout: Layout,
    slots: Vec<Slot>,
    values: Vec<f64>,
    maxes: Vec<f64>,
    /// Things that hold, by the second in which that ends: the first of a list through [`Slot::after`].
    due: BTreeMap<i64, u32>,
    live: usize,
    stamp: u64,
}

/// One thing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub cell: u32,
    pub ts: i64,
    pub hold: i64,
    /// Start of the minute in which its sample began to hold, as far as it counts.
    pub minute: i64,
    pub stamp: u64,
    predicates: u64,
    /// Whether it holds still; one whose time is up does until its minute closes.
    pub live: bool,
    before: u32,
    after: u32,
}

impl Slots {
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            slots: Vec::new(),
            values: Vec::new(),
            maxes: Vec::new(),
            due: BTreeMap::new(),
            live: 0,
            stamp: 0,
        }
    }

    /// How many things hold something.
    pub fn live(&self) -> usize {
        self.live
    }

    /// A thing that said something, at whatever time.
    pub fn get(&self, thing: u32) -> Option<&Slot> {
        self.slots.get(index(thing)).filter(|slot| slot.stamp > 0)
    }

    /// A thing that holds something.
    pub fn holding(&self, thing: u32) -> Option<&Slot> {
        self.get(thing).filter(|slot| slot.live)
    }

    pub fn alive(&self, thing: u32, stamp: u64) -> bool {
        self.holding(thing).is_some_and(|slot| slot.stamp == stamp)
    }

    pub fn state(&self, thing: u32) -> State<'_> {
        let values = part(&self.values, thing, self.layout.values());
        let predicates = self.get(thing).map_or(0, |slot| slot.predicates);
        State { values, predicates, held: true }
    }

    pub fn maxes(&self, thing: u32) -> &[f64] {
        part(&self.maxes, thing, self.layout.maxes())
    }

    /// A thing says something that counts from the minute `minute` on; gives the sample's stamp.
    pub fn say(&mut self, thing: u32, said: &Said<'_>, hold: i64, minute: i64, live: bool) -> u64 {
        self.grow(thing);
        let old_tick = self.holding(thing).map(|slot| slot.hold.div_euclid(TICK));
        let tick = live.then(|| hold.div_euclid(TICK));
        if old_tick != tick {
            self.unlink(thing, old_tick);
        }
        self.stamp += 1;
        self.live = self.live + usize::from(live) - usize::from(old_tick.is_some());
        let predicates = self.layout.mask(said.predicates);
        if let Some(slot) = self.slots.get_mut(index(thing)) {
            let (before, after) = (slot.before, slot.after);
            let (cell, ts, stamp) = (said.cell, said.ts.0, self.stamp);
            *slot = Slot { cell, ts, hold, minute, stamp, predicates, live, before, after };
        }
        copy(&mut self.values, thing, said.values);
        copy(&mut self.maxes, thing, said.maxes);
        if let Some(tick) = tick
            && old_tick != Some(tick)
        {
            self.link(thing, tick);
        }
        self.stamp
    }

    /// A thing, which holds nothing, was removed at `ts`: what it said before that and comes later is late.
    pub fn remove(&mut self, thing: u32, ts: i64) {
        self.grow(thing);
        self.stamp += 1;
        if let Some(slot) = self.slots.get_mut(index(thing)) {
            (slot.ts, slot.stamp) = (ts, self.stamp);
        }
    }

    /// A thing holds nothing any more.
    pub fn release(&mut self, thing: u32) {
        let tick = self.holding(thing).map(|slot| slot.hold.div_euclid(TICK));
        self.unlink(thing, tick);
        self.live -= usize::from(tick.is_some());
        if let Some(slot) = self.slots.get_mut(index(thing)) {
            slot.live = false;
        }
    }

    /// Some thing that holds something until before `end`, which begins a second.
    pub fn first_due(&self, end: i64) -> Option<u32> {
        self.due.first_key_value().filter(|(tick, _)| **tick < end.div_euclid(TICK)).map(|(_, thing)| *thing)
    }

    /// All things that hold something which ends at `at` or before.
    pub fn due(&self, at: i64) -> impl Iterator<Item = u32> {
        let lists = self.due.range(..=at.div_euclid(TICK));
        lists
            .flat_map(|(_, first)| self.list(*first))
            .filter(move |(_, slot)| slot.hold <= at)
            .map(|(t, _)| t)
    }

    fn list(&self, first: u32) -> impl Iterator<Item = (u32, &Slot)> {
        let after = |(_, slot): &(u32, &Slot)| self.holding(slot.after).map(|next| (slot.after, next));
        std::iter::successors(self.holding(first).map(|slot| (first, slot)), after)
    }

    fn grow(&mut self, thing: u32) {
        if index(thing) < self.slots.len() {
            return;
        }
        let empty = Slot {
            cell: 0,
            ts: 0,
            hold: 0,
            minute: 0,
            stamp: 0,
            predicates: 0,
            live: false,
            before: NONE,
            after: NONE,
        };
        let len = index(thing) + 1;
        self.slots.resize(len, empty);
        self.values.resize(len * self.layout.values(), f64::NAN);
        self.maxes.resize(len * self.layout.maxes(), f64::NAN);
    }

    fn link(&mut self, thing: u32, tick: i64) {
        let first = self.due.insert(tick, thing).unwrap_or(NONE);
        if let Some(slot) = self.slots.get_mut(index(first)) {
            slot.before = thing;
        }
        if let Some(slot) = self.slots.get_mut(index(thing)) {
            (slot.before, slot.after) = (NONE, first);
        }
    }

    fn unlink(&mut self, thing: u32, tick: Option<i64>) {
        let (Some(tick), Some(slot)) = (tick, self.slots.get_mut(index(thing))) else { return };
        let (before, after) = (slot.before, slot.after);
        (slot.before, slot.after) = (NONE, NONE);
        if let Some(next) = self.slots.get_mut(index(after)) {
            next.before = before;
        }
        if let Some(previous) = self.slots.get_mut(index(before)) {
            previous.after = after;
        } else if after == NONE {
            self.due.remove(&tick);
        } else {
            self.due.insert(tick, after);
        }
    }
}

fn index(thing: u32) -> usize {
    usize::try_from(thing).unwrap_or(usize::MAX)
}

fn part(all: &[f64], thing: u32, width: usize) -> &[f64] {
    all.get(index(thing) * width..(index(thing) + 1) * width).unwrap_or_default()
}

fn copy(all: &mut [f64], thing: u32, from: &[f64]) {
    let width = from.len();
    if let Some(place) = all.get_mut(index(thing) * width..(index(thing) + 1) * width) {
        place.copy_from_slice(from);
    }
}
