//! The statistics of one rack while they are made.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    kept::Kept,
    look::{Fact, Looks, document},
    owners::{Owners, Sorting},
};
use crate::{
    Result, ThingId,
    io::Timestamp,
    model::{Snapshot, flat::Flat},
    rack::{RackInfo, Reading, ThingRecord},
    stats::{
        Plan, Seen, families,
        live::{Closed, Engine, Fate, Options, Said, Window},
        plan::Columns,
    },
};

/// What a rack's statistics need to know of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RackFacts {
    /// What it is.
    pub info: RackInfo,
    /// Tags that all its things have.
    pub tags: Vec<String>,
    /// Between two polls of a thing.
    pub interval: Duration,
    /// Between two polls of one that does not answer, at most.
    pub max_backoff: Duration,
    /// How long a poll may take.
    pub deadline: Duration,
}

impl RackFacts {
    /// A rack whose things are polled once in an interval.
    pub fn new(info: RackInfo, interval: Duration) -> Self {
        Self { info, tags: Vec::new(), interval, max_backoff: interval, deadline: interval }
    }

    /// Tags that all its things have.
    #[must_use]
    pub fn tags(self, tags: Vec<String>) -> Self {
        Self { tags, ..self }
    }

    /// How long a poll may take, and the longest time between two of a thing that does not answer.
    #[must_use]
    pub fn bounds(self, deadline: Duration, max_backoff: Duration) -> Self {
        Self { deadline, max_backoff, ..self }
    }
}

/// A thing, as its statistics know it.
#[derive(Debug)]
struct Slot {
    number: u32,
    cell: u32,
    facts: Box<[Fact]>,
    record: Arc<ThingRecord>,
    /// The texts that were kept last, by their hash, and on which day that was.
    texts: Option<(u64, i64)>,
}

/// A window that is being filled with minutes.
#[derive(Debug)]
struct Filling {
    window: Window,
    start: i64,
    sets: BTreeMap<u32, Kept>,
}

/// Totals of a window that has ended, by the number of the set.
pub(super) struct Ended {
    pub window: Window,
    pub end: Timestamp,
    pub sets: BTreeMap<u32, Kept>,
}

#[derive(Debug)]
pub(super) struct RackStats {
    pub facts: RackFacts,
    pub plan: Arc<Plan>,
    pub owners: Owners,
    pub sorting: Sorting,
    engine: Engine,
    looks: Looks,
    slots: HashMap<ThingId, Slot>,
    free: Vec<u32>,
    filling: Vec<Filling>,
    columns: Columns,
    /// Samples that came too late for the minute that they belong to.
    pub late: u64,
    /// Up to when all readings had come, by the time at which their polls ended.
    pub ended: Timestamp,
}

const DAY_MS: i64 = 86_400_000;

impl RackStats {
    pub fn new(facts: RackFacts, grace: Duration, now: Timestamp) -> Result<Self> {
        let spec = families::spec(&facts.info.thing_type).unwrap_or_default();
        let plan = Plan::of(&spec)?;
        let options = Options { grace, coarser: false };
        Ok(Self {
            engine: Engine::new(plan.layout(), options, now)?,
            looks: Looks::new(plan.looks()),
            sorting: Sorting::new(&plan, &facts.info.thing_type, &facts.tags),
            plan: Arc::new(plan),
            owners: Owners::default(),
            slots: HashMap::new(),
            free: Vec::new(),
            filling: Vec::new(),
            columns: Columns::default(),
            late: 0,
            ended: Timestamp(0),
            facts,
        })
    }

    /// Takes a reading; whether its texts are to be kept.
    pub fn take(
        &mut self,
        record: &Arc<ThingRecord>,
        reading: &Reading,
        snapshot: &Snapshot,
        flat: &Flat<'_>,
        began: Timestamp,
    ) -> Result<bool> {
        self.place(record);
        let Some(slot) = self.slots.get_mut(&record.id) else { return Ok(false) };
        let mut seen: Vec<Seen<'_>> = Vec::with_capacity(self.plan.looks().len());
        self.looks.seen(&slot.facts, flat.shape, flat.values, snapshot, &mut seen);
        self.plan.read(&seen, &mut self.columns);
        let interval = if reading.outcome.is_ok() { self.facts.interval } else { self.facts.max_backoff };
        let hold = i64::try_from(interval.as_millis() * 5 / 2).unwrap_or(i64::MAX);
        let said = Said {
            cell: slot.cell,
            ts: began,
            hold_until: Timestamp(began.0.saturating_add(hold)),
            values: &self.columns.values,
            predicates: self.columns.predicates,
            maxes: &self.columns.maxes,
        };
        let texts = Some((flat.texts_hash, began.0.div_euclid(DAY_MS)));
        let changed = slot.texts != texts;
        slot.texts = texts;
        match self.engine.update(slot.number, &said)? {
            Fate::Counted => {}
            Fate::Late(_) | Fate::Ahead => self.late += 1,
        }
        Ok(changed)
    }

    /// What was thought to be kept was not: the texts of the next reading are.
    pub fn forget_texts(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.texts = None);
    }

    /// Finds the cell of a thing, anew when its record changed.
    fn place(&mut self, record: &Arc<ThingRecord>) {
        if self.slots.get(&record.id).is_some_and(|slot| Arc::ptr_eq(&slot.record, record)) {
            return;
        }
        let document = document(record);
        let facts = self.looks.facts(&document);
        let owners = self.sorting.owners(&document, record.tags.iter().map(|tag| tag.as_str()));
        let cell = self.owners.cell(owners);
        if let Some(slot) = self.slots.get_mut(&record.id) {
            (slot.cell, slot.facts, slot.record) = (cell, facts, Arc::clone(record));
            return;
        }
        let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let number = self.free.pop().unwrap_or(next);
        let slot = Slot { number, cell, facts, record: Arc::clone(record), texts: None };
        self.slots.insert(record.id.clone(), slot);
    }

    /// Lets go of things that are not the rack's any more.
    pub fn sweep(&mut self, now: Timestamp, is_here: impl Fn(&ThingId) -> bool) -> Result<()> {
        let gone: Vec<ThingId> = self.slots.keys().filter(|id| !is_here(id)).cloned().collect();
        for id in gone {
            if let Some(slot) = self.slots.remove(&id) {
                if matches!(self.engine.remove(slot.number, now)?, Fate::Late(_)) {
                    self.late += 1;
                }
                self.free.push(slot.number);
            }
        }
        Ok(())
    }

    /// Windows that have ended at `now`, finer ones first.
    pub fn close(&mut self, now: Timestamp) -> Vec<Ended> {
        let mut ended = Vec::new();
        loop {
            let closing = self.engine.close_until(now);
            for closed in &closing.closed {
                self.minute(closed, &mut ended);
            }
            if !closing.more {
                return ended;
            }
        }
    }

    fn minute(&mut self, closed: &Closed, ended: &mut Vec<Ended>) {
        let mut sets: BTreeMap<u32, Kept> = BTreeMap::new();
        for (cell, view) in closed.cells.iter() {
            let totals = (view, Window::M1.length_ms());
            for owner in self.owners.of_cell(cell) {
                let kept = sets.entry(*owner).or_insert_with(|| Kept::new(self.plan.layout()));
                kept.add(&totals, 1.0);
            }
        }
        for window in Window::ALL.into_iter().filter(|window| *window != Window::M1) {
            self.fill(window, closed.start, &sets, ended);
        }
        ended.push(Ended { window: Window::M1, end: closed.end, sets });
    }

    /// Adds a minute to a coarser window; the one before ends when the minute is not in it.
    fn fill(
        &mut self,
        window: Window,
        minute: Timestamp,
        sets: &BTreeMap<u32, Kept>,
        ended: &mut Vec<Ended>,
    ) {
        let start = window.start_of(minute).0;
        let layout = self.plan.layout();
        let at = match self.filling.iter().position(|filling| filling.window == window) {
            Some(at) => at,
            None => {
                self.filling.push(Filling { window, start, sets: BTreeMap::new() });
                self.filling.len() - 1
            }
        };
        let Some(filling) = self.filling.get_mut(at) else { return };
        if filling.start != start {
            ended.extend(filling.take(start));
        }
        let share = Window::M1.length_ms() as f64 / window.length_ms() as f64;
        for (owner, kept) in sets {
            filling.sets.entry(*owner).or_insert_with(|| Kept::new(layout)).add(kept, share);
        }
        let last = minute.0 + Window::M1.length_ms();
        if last == start + window.length_ms() {
            ended.extend(filling.take(last));
        }
    }

    /// Begins the windows that are open at `now` with what was kept of them before a restart.
    pub fn seed(&mut self, window: Window, start: Timestamp, owner: u32, kept: &Kept, share: f64) {
        let layout = self.plan.layout();
        if !self.filling.iter().any(|filling| filling.window == window) {
            self.filling.push(Filling { window, start: start.0, sets: BTreeMap::new() });
        }
        let same = |filling: &&mut Filling| filling.window == window && filling.start == start.0;
        if let Some(filling) = self.filling.iter_mut().find(same) {
            filling.sets.entry(owner).or_insert_with(|| Kept::new(layout)).add(kept, share);
        }
    }

    /// What things say now, by set.
    pub fn now(&self, at: Timestamp) -> BTreeMap<u32, Kept> {
        let mut sets: BTreeMap<u32, Kept> = BTreeMap::new();
        let rows = self.engine.now_totals(at);
        for (cell, view) in rows.iter() {
            for owner in self.owners.of_cell(cell) {
                let kept = sets.entry(*owner).or_insert_with(|| Kept::new(self.plan.layout()));
                kept.add(&(view, 1), 1.0);
            }
        }
        sets
    }
}

impl Filling {
    fn take(&mut self, next: i64) -> Option<Ended> {
        let end = Timestamp(self.start + self.window.length_ms());
        self.start = next;
        let sets = std::mem::take(&mut self.sets);
        (!sets.is_empty()).then_some(Ended { window: self.window, end, sets })
    }
}
