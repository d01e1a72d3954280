use super::{
    Engine, Layout, Rows, Said,
    engine::index,
    open::{Open, State},
    table::Table,
};
use crate::io::Timestamp;

/// What a thing said with a time before that of its last sample, or whose hold ended before the first open minute: after
/// a clock jumped back, that is what is so now.
#[derive(Debug)]
pub(super) struct Behind {
    pub cell: u32,
    hold: i64,
    predicates: u64,
    values: Box<[f64]>,
}

impl Behind {
    pub fn new(layout: Layout, said: &Said<'_>) -> Self {
        let predicates = layout.mask(said.predicates);
        Self { cell: said.cell, hold: said.held_until(), predicates, values: said.values.into() }
    }

    /// The thing was removed.
    pub fn nothing(ts: i64, cell: u32) -> Self {
        Self { cell, hold: ts, predicates: 0, values: Box::default() }
    }
}

impl Engine {
    /// What things hold at `at`, by cell, for `stat-rtd`: as totals over one millisecond, so the integral of a column is
    /// the sum of its values, and times are numbers of things. There are no maxima.
    ///
    /// A thing counts with what it said last in order of time; a sample that lies after `at` (the clock jumped back) gives
    /// way to the one that came last.
    pub fn now_totals(&self, at: Timestamp) -> Rows {
        let mut table = self.held.clone();
        for cell in 0..self.open.iter().map(Open::rows).max().unwrap_or(0) {
            self.open.iter().for_each(|open| open.add_change(cell, &mut table));
        }
        // Changes to what is held now stand in a minute of their own, of which only the differences count.
        let mut late = Open::new(self.layout);
        for thing in self.slots.due(at.0) {
            if let Some(slot) = self.slots.holding(thing) {
                late.shift(self.layout, index(slot.cell), 0, self.slots.state(thing), State::NOTHING);
            }
        }
        for (thing, behind) in &self.behind {
            let slot = self.slots.get(*thing).filter(|slot| slot.ts > at.0 || !slot.live);
            if slot.is_some_and(|slot| slot.live && slot.hold > at.0) {
                let cell = slot.map_or(0, |slot| index(slot.cell));
                late.shift(self.layout, cell, 0, self.slots.state(*thing), State::NOTHING);
            }
            if slot.is_some() && behind.hold > at.0 {
                let state = State { values: &behind.values, predicates: behind.predicates, held: true };
                late.shift(self.layout, index(behind.cell), 0, State::NOTHING, state);
            }
        }
        (0..late.rows()).for_each(|cell| late.add_change(cell, &mut table));
        self.rows(&table)
    }

    fn rows(&self, table: &Table) -> Rows {
        let mut rows = Rows::new(self.layout);
        for cell in (0..table.rows()).filter(|cell| table.row(*cell).held_ms() > 0) {
            let mut row = rows.push(u32::try_from(cell).unwrap_or(u32::MAX));
            row.add(table.row(cell), 1);
            row.settle();
        }
        rows
    }
}
