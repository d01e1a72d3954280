//! The statistics of one rack while they are made.

use std::{sync::Arc, time::Duration};

use super::{
    filling::{Ended, Filling},
    holds::Holds,
    kept::Kept,
    look::{Looks, document},
    members::Members,
    owners::{Owners, Sorting},
    rebuild::Dirty,
    sets::Sets,
};
use crate::{
    Result, ThingId,
    io::Timestamp,
    model::{Snapshot, flat::Flat},
    rack::{RackInfo, Reading, ThingRecord, Things},
    stats::{
        Plan, Seen, families,
        live::{Engine, Fate, Late, Options, Said, View, Window},
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

/// What became of a reading.
pub(super) struct Taken {
    /// Whether its texts are to be kept.
    pub texts: bool,
    /// What of its time is to be counted anew once it is kept.
    pub late: Option<Late>,
}

#[derive(Debug)]
pub(super) struct RackStats {
    pub facts: RackFacts,
    pub plan: Arc<Plan>,
    pub owners: Owners,
    pub sorting: Sorting,
    engine: Engine,
    looks: Looks,
    pub members: Members,
    pub filling: Filling,
    columns: Columns,
    /// Minutes to be counted anew.
    pub dirty: Dirty,
    /// Samples that came too late for the minute that they belong to.
    pub late: u64,
    pub until: Until,
    /// When things without a device were counted last.
    counted: Option<Timestamp>,
}

/// Up to when readings of a rack have come, and are durable.
#[derive(Debug, Default)]
pub(super) struct Until {
    /// All had come, by the time at which their polls ended.
    pub ended: Timestamp,
    /// All are durable, by the time at which their polls began.
    pub durable: Timestamp,
}

const DAY_MS: i64 = 86_400_000;

impl RackStats {
    pub fn new(facts: RackFacts, grace: Duration, now: Timestamp) -> Result<Self> {
        let spec = families::spec(&facts.info.thing_type).unwrap_or_default();
        let plan = Plan::of(&spec)?;
        let options = Options { grace, coarser: false };
        let engine = Engine::new(plan.layout(), options, now)?;
        Ok(Self {
            looks: Looks::new(plan.looks()),
            sorting: Sorting::new(&plan, &facts.info.thing_type, &facts.tags),
            owners: Owners::default(),
            members: Members::default(),
            filling: Filling::new(plan.layout(), engine.open_from()),
            engine,
            columns: Columns::default(),
            dirty: Dirty::default(),
            late: 0,
            until: Until::default(),
            counted: None,
            plan: Arc::new(plan),
            facts,
        })
    }

    /// A reading comes: it is what its thing said last. `false` when the rack has no such thing (any more).
    pub fn hear(&mut self, things: &Things, reading: &Arc<Reading>, began: Timestamp) -> bool {
        // Read before any record is looked up: one that changes meanwhile is looked up again.
        let version = things.version();
        if self.members.hear(reading, version, began) {
            return true;
        }
        let is_here = |record: &Arc<ThingRecord>| record.rack == self.facts.info.id;
        let Some(record) = things.get(&reading.thing).filter(is_here) else { return false };
        self.place(&record, began);
        self.members.checked(&record.id, version);
        self.members.hear(reading, version, began)
    }

    /// Takes a reading of a thing that [is known](Self::place).
    pub fn take(
        &mut self,
        reading: &Reading,
        snapshot: &Snapshot,
        flat: &Flat<'_>,
        began: Timestamp,
    ) -> Result<Taken> {
        let holds = self.holds();
        let Some(slot) = self.members.slot(&reading.thing) else {
            return Ok(Taken { texts: false, late: None });
        };
        let error = reading.outcome.as_ref().err().map(|error| error.code());
        let texts = slot.has_new_texts(began, flat.texts_hash, error, began.0.div_euclid(DAY_MS));
        let Some(stand) = slot.stand() else { return Ok(Taken { texts, late: None }) };
        let mut seen: Vec<Seen<'_>> = Vec::with_capacity(self.plan.looks().len());
        self.looks.seen(&stand.facts, flat, snapshot, &mut seen);
        self.plan.read(&seen, &mut self.columns);
        let hold = if error.is_none() { holds.answered } else { holds.failed };
        let said = Said {
            cell: stand.cell,
            ts: began,
            hold_until: Timestamp(began.0.saturating_add(hold)),
            values: &self.columns.values,
            predicates: self.columns.predicates,
            maxes: &self.columns.maxes,
        };
        let late = match self.engine.update(slot.number, &said)? {
            Fate::Counted => None,
            Fate::Late(late) => Some(late),
            // What the thing said before is counted in its place for as long as that holds.
            Fate::Ahead => Some(Late::over(began, Timestamp(began.0.saturating_add(holds.longest())))),
        };
        self.late += u64::from(late.is_some());
        Ok(Taken { texts, late })
    }

    /// Up to when all readings have come, by the time at which their polls began: those that began later may still be under
    /// way.
    pub fn all_until(&self) -> Timestamp {
        let deadline = i64::try_from(self.facts.deadline.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.until.ended.0.saturating_sub(deadline))
    }

    /// A reading comes whose poll began and ended then. Where the clock was set back, what was durable by it says nothing of
    /// the times that come again.
    pub fn comes(&mut self, ended: Timestamp, began: Timestamp) {
        if ended < self.all_until() {
            self.until.ended = ended;
        }
        self.until.durable = self.until.durable.min(Timestamp(began.0.saturating_sub(1)));
    }

    /// How long samples hold.
    pub fn holds(&self) -> Holds {
        Holds::new(self.facts.interval, self.facts.max_backoff)
    }

    /// Finds the cell of a thing, anew when its record changed. It stands there from `since` on.
    pub fn place(&mut self, record: &Arc<ThingRecord>, since: Timestamp) {
        if self.members.placed(record, since).is_some() {
            return;
        }
        let document = document(record);
        let facts = self.looks.facts(&document);
        let owners = self.sorting.owners(&document, record.tags.iter().map(|tag| tag.as_str()));
        let cell = self.owners.cell(owners);
        self.members.place(record, since, cell, facts);
    }

    /// Whether things without a device are to be counted again: once in so many ms.
    pub fn counts(&mut self, now: Timestamp, every: i64) -> bool {
        let is_due = self.counted.is_none_or(|last| last.0.saturating_add(every) <= now.0 || last > now);
        if is_due {
            self.counted = Some(now);
        }
        is_due
    }

    /// Lets go of things that are not the rack's any more.
    pub fn sweep(&mut self, now: Timestamp, is_here: impl Fn(&ThingId) -> bool) -> Result<()> {
        let gone: Vec<ThingId> = self.members.ids().filter(|id| !is_here(id)).cloned().collect();
        for id in gone {
            let Some(number) = self.members.remove(&id, now) else { continue };
            if let Fate::Late(late) = self.engine.remove(number, now)? {
                self.late += 1;
                self.dirty.mark_late(late);
            }
        }
        self.members.forget_gone(now);
        Ok(())
    }

    /// Start of the first minute that is open.
    pub fn open_from(&self) -> Timestamp {
        self.engine.open_from()
    }

    /// Windows that have ended at `now`, finer ones first.
    pub fn close(&mut self, now: Timestamp) -> Vec<Ended> {
        let mut ended = Vec::new();
        loop {
            let closing = self.engine.close_until(now);
            for closed in &closing.closed {
                let sets = self.sets(closed.cells.iter(), Window::M1.length_ms());
                self.filling.minute(closed.start, sets, &mut ended);
            }
            if !closing.more {
                // Where nobody says anything, windows end all the same.
                self.filling.advance(self.engine.open_from(), &mut ended);
                return ended;
            }
        }
    }

    /// Totals by set, of those by cell, over so many ms.
    pub fn sets<'v>(&self, cells: impl Iterator<Item = (u32, View<'v>)>, ms: i64) -> Sets {
        let mut sets = Sets::new(self.plan.layout());
        let mut totals = Kept::new(self.plan.layout());
        for (cell, view) in cells {
            totals.fill(view, ms);
            for owner in self.owners.of_cell(cell) {
                sets.entry(*owner).add(&totals, 1.0);
            }
        }
        sets
    }

    /// What things say now, by set.
    pub fn now(&self, at: Timestamp) -> Sets {
        // Totals of now are over one millisecond.
        self.sets(self.engine.now_totals(at).iter(), 1)
    }
}
