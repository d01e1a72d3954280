use super::{
    Engine, Layout, MINUTE, Rows, View, Window,
    open::Open,
    said::FARTHEST,
    table::{RowMut, Table},
};
use crate::io::Timestamp;

/// Minutes that one call closes at most: each gives a row per cell.
const AT_ONCE: usize = 16;

/// A window that has ended.
#[derive(Debug, Clone)]
pub struct Closed {
    /// Its length.
    pub window: Window,
    /// Its start.
    pub start: Timestamp,
    /// Its end, which is the time stamp of its statistics.
    pub end: Timestamp,
    /// What each cell held in it; a cell that held nothing is absent.
    pub cells: Rows,
}

/// Windows that have ended since the last call.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    /// In the order of their ends, finer ones first. Those with nothing in them are left out.
    pub closed: Vec<Closed>,
    /// How many windows of all lengths were left out.
    pub skipped: u64,
    /// Whether there are more: call again.
    pub more: bool,
}

/// The window of one length that is being filled with closed finer ones.
#[derive(Debug)]
pub(super) struct Coarse {
    pub window: Window,
    pub start: i64,
    table: Table,
    touched: Vec<bool>,
}

impl Coarse {
    pub fn new(layout: Layout, window: Window, from: i64) -> Self {
        let start = window.start_of(Timestamp(from)).0;
        Self { window, start, table: Table::new(layout), touched: Vec::new() }
    }

    /// Adds totals of a finer window; gives the row of the cell.
    pub fn add(&mut self, cell: usize, totals: View<'_>, factor: i64) -> RowMut<'_> {
        if cell >= self.touched.len() {
            self.touched.resize(cell + 1, false);
        }
        if let Some(touched) = self.touched.get_mut(cell) {
            *touched = true;
        }
        let mut row = self.table.row_mut(cell);
        row.add(totals, factor);
        row
    }

    pub fn touches(&self, cell: usize) -> bool {
        self.touched.get(cell).copied().unwrap_or(false)
    }

    /// Takes all that is in it.
    fn take(&mut self, layout: Layout) -> Rows {
        let cells = self.touched.iter().filter(|touched| **touched).count();
        let mut rows = Rows::with_room(layout, cells);
        for (cell, touched) in self.touched.iter_mut().enumerate().filter(|(_, touched)| **touched) {
            *touched = false;
            let mut row = self.table.row_mut(cell);
            row.settle();
            if row.times.last().is_some_and(|held| *held > 0) {
                let number = u32::try_from(cell).unwrap_or(u32::MAX);
                rows.push(number).add(self.table.row(cell), 1);
            }
            self.table.row_mut(cell).clear();
        }
        rows
    }
}

impl Engine {
    /// Closes the minutes whose end and grace have passed at `now`, and the coarser windows that end with them.
    ///
    /// It costs as much as there are cells in open windows, and as there are things whose hold ran out. Time in which
    /// nothing holds is passed over at once, however long; of other minutes one call closes 16 at most. A clock that went
    /// back closes nothing.
    pub fn close_until(&mut self, now: Timestamp) -> Closing {
        let mut closing = Closing::default();
        let target = Window::M1.start_of(Timestamp(now.0.clamp(-FARTHEST, FARTHEST) - self.grace)).0;
        let mut minutes = 0;
        while self.from < target {
            let empty = self.present == 0 && self.slots.live() == 0;
            if empty && !self.open.iter().any(Open::is_touched) {
                self.open.clear();
                closing.skipped += u64::try_from((target - self.from) / MINUTE).unwrap_or(0);
                self.advance(target, &mut closing);
                break;
            }
            if minutes == AT_ONCE {
                closing.more = true;
                break;
            }
            minutes += 1;
            self.close_minute(&mut closing);
        }
        self.counters.skipped += closing.skipped;
        closing
    }

    /// Whether nothing of `cell` is in an open window, so that its number can be given to another.
    pub fn is_idle(&self, cell: u32) -> bool {
        let place = super::engine::index(cell);
        self.held.row(place).held_ms() == 0
            && !self.open.iter().any(|open| open.touches(place))
            && !self.coarse.iter().any(|coarse| coarse.touches(place))
            && !self.behind.values().any(|behind| behind.cell == cell)
    }

    fn close_minute(&mut self, closing: &mut Closing) {
        let (start, end) = (self.from, self.from + MINUTE);
        while let Some(thing) = self.slots.first_due(end) {
            let Some(hold) = self.slots.holding(thing).map(|slot| slot.hold) else { break };
            self.finish(thing, hold.max(start));
        }
        let rows = self.pass(start);
        push(closing, Window::M1, start, rows);
        self.advance(end, closing);
    }

    /// What was held over the first open minute. It is taken out, and what is held at its end becomes what is held.
    fn pass(&mut self, start: i64) -> Rows {
        let mut open = self.open.pop_front().unwrap_or_else(|| Open::new(self.layout));
        let all = self.held.rows().max(open.rows());
        let count = (0..all).filter(|cell| self.is_in_use(&open, *cell)).count();
        let mut rows = Rows::with_room(self.layout, count);
        self.present = 0;
        for cell in 0..all {
            if !self.is_in_use(&open, cell) {
                continue;
            }
            let mut row = rows.push(u32::try_from(cell).unwrap_or(u32::MAX));
            open.pass(cell, &mut self.held, &mut row);
            self.present += self.held.row(cell).held_ms();
            if row.times.last().is_none_or(|held| *held == 0) {
                rows.pop();
                continue;
            }
            let slots = &self.slots;
            self.maxima.raise(cell, start, row.max, |thing, stamp| slots.alive(thing, stamp));
            if let Some(coarse) = self.coarse.first_mut() {
                coarse.add(cell, rows.last(), 1);
            }
        }
        open.reset();
        if self.open.len() < 2 {
            self.open.push_back(open);
        }
        rows
    }

    /// Whether anything of `cell` is held over the first open minute, or changes in it.
    fn is_in_use(&self, open: &Open, cell: usize) -> bool {
        open.touches(cell) || self.held.row(cell).held_ms() != 0
    }

    /// Goes on to `from`, and closes the coarser windows that end until then, each into the next coarser one.
    fn advance(&mut self, from: i64, closing: &mut Closing) {
        self.from = from;
        for place in 0..self.coarse.len() {
            let (finer, coarser) = self.coarse.split_at_mut(place + 1);
            let Some(ended) = finer.last_mut() else { return };
            let next = ended.window.start_of(Timestamp(from)).0;
            if next == ended.start {
                // Coarser ones have not ended either.
                return;
            }
            let rows = ended.take(self.layout);
            if let Some(coarser) = coarser.first_mut() {
                rows.iter().for_each(|(cell, totals)| {
                    coarser.add(super::engine::index(cell), totals, 1);
                });
            }
            let passed = (next - ended.start) / ended.window.length_ms() - 1;
            closing.skipped += u64::try_from(passed).unwrap_or(0);
            let (window, start) = (ended.window, ended.start);
            ended.start = next;
            push(closing, window, start, rows);
        }
    }
}

fn push(closing: &mut Closing, window: Window, start: i64, cells: Rows) {
    if cells.is_empty() {
        closing.skipped += 1;
        return;
    }
    let (start, end) = (Timestamp(start), Timestamp(start + window.length_ms()));
    closing.closed.push(Closed { window, start, end, cells });
}
