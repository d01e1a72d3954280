use super::{Layout, Sum};

/// One row for each of many cells, in one piece of memory per sort of column.
#[derive(Debug, Clone)]
pub(super) struct Table {
    layout: Layout,
    rows: usize,
    sums: Vec<Sum>,
    times: Vec<i64>,
    max: Vec<f64>,
}

/// One row of a [`Table`].
pub(super) struct RowMut<'a> {
    pub sums: &'a mut [Sum],
    pub times: &'a mut [i64],
    pub max: &'a mut [f64],
}

impl Table {
    pub fn new(layout: Layout) -> Self {
        Self { layout, rows: 0, sums: Vec::new(), times: Vec::new(), max: Vec::new() }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    fn reserve(&mut self, rows: usize) {
        self.sums.reserve(rows * self.layout.values());
        self.times.reserve(rows * self.layout.times());
        self.max.reserve(rows * self.layout.maxes());
    }

    /// Row `row`, after those up to it were added where they were missing.
    pub fn row_mut(&mut self, row: usize) -> RowMut<'_> {
        if row >= self.rows {
            self.rows = row + 1;
            self.sums.resize(self.rows * self.layout.values(), Sum::ZERO);
            self.times.resize(self.rows * self.layout.times(), 0);
            self.max.resize(self.rows * self.layout.maxes(), f64::NAN);
        }
        RowMut {
            sums: part_mut(&mut self.sums, row, self.layout.values()),
            times: part_mut(&mut self.times, row, self.layout.times()),
            max: part_mut(&mut self.max, row, self.layout.maxes()),
        }
    }

    /// Row `row`; one that does not exist is empty.
    pub fn row(&self, row: usize) -> View<'_> {
        View {
            layout: self.layout,
            sums: part(&self.sums, row, self.layout.values()),
            times: part(&self.times, row, self.layout.times()),
            max: part(&self.max, row, self.layout.maxes()),
        }
    }
}

impl RowMut<'_> {
    pub fn clear(&mut self) {
        self.sums.fill(Sum::ZERO);
        self.times.fill(0);
        self.max.fill(f64::NAN);
    }

    /// Adds a row, `factor` (1 or -1) times. Maxima are not taken back.
    pub fn add(&mut self, other: View<'_>, factor: i64) {
        for (sum, other) in self.sums.iter_mut().zip(other.sums) {
            if factor < 0 { sum.subtract(*other) } else { sum.add_sum(*other) }
        }
        self.times.iter_mut().zip(other.times).for_each(|(time, other)| *time += factor * other);
        if factor > 0 {
            self.raise(other.max);
        }
    }

    pub fn raise(&mut self, max: &[f64]) {
        // `max` of floats ignores NaN, which stands for nothing.
        self.max.iter_mut().zip(max).for_each(|(max, other)| *max = max.max(*other));
    }

    /// A sum over nobody is exactly 0.
    pub fn settle(&mut self) {
        for (sum, known) in self.sums.iter_mut().zip(&*self.times) {
            if *known == 0 {
                *sum = Sum::ZERO;
            }
        }
    }
}

fn part<T>(all: &[T], row: usize, width: usize) -> &[T] {
    all.get(row * width..(row + 1) * width).unwrap_or_default()
}

fn part_mut<T>(all: &mut [T], row: usize, width: usize) -> &mut [T] {
    all.get_mut(row * width..(row + 1) * width).unwrap_or_default()
}

/// What things held over a window. Times are thing-milliseconds: two things for a second each make 2000.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub(super) layout: Layout,
    pub(super) sums: &'a [Sum],
    pub(super) times: &'a [i64],
    pub(super) max: &'a [f64],
}

impl<'a> View<'a> {
    /// The integral over time of value `column`, in its unit times ms; 0 when it was known at no time.
    pub fn integral(self, column: usize) -> f64 {
        self.sums.get(column).map_or(0.0, |sum| sum.get())
    }

    /// The integrals of all values, in the order of their columns.
    pub fn integrals(self) -> impl Iterator<Item = f64> {
        self.sums.iter().map(|sum| sum.get())
    }

    /// All times, thing-ms: how long each value was known, then how long each predicate was true, then how long things
    /// held anything at all.
    pub fn times_ms(self) -> &'a [i64] {
        self.times
    }

    /// The greatest number held in each column of the maxima; NaN where there was none.
    pub fn maxes(self) -> &'a [f64] {
        self.max
    }

    /// How long value `column` was known, thing-ms.
    pub fn known_ms(self, column: usize) -> i64 {
        self.times.get(..self.layout.values()).and_then(|known| known.get(column)).copied().unwrap_or(0)
    }

    /// How long predicate `column` was true, thing-ms.
    pub fn count_ms(self, column: usize) -> i64 {
        let counts = self.times.get(self.layout.values()..self.layout.times() - 1).unwrap_or_default();
        counts.get(column).copied().unwrap_or(0)
    }

    /// How long things held anything at all, known or not, thing-ms.
    pub fn held_ms(self) -> i64 {
        self.times.last().copied().unwrap_or(0)
    }

    /// The greatest number held in column `column` of the maxima; `None` when there was none.
    pub fn max(self, column: usize) -> Option<f64> {
        self.max.get(column).copied().filter(|max| !max.is_nan())
    }
}

/// Totals of one cell, or of several, that stand alone.
#[derive(Debug, Clone)]
pub struct Totals(Table);

impl Totals {
    /// Nothing yet.
    pub fn new(layout: Layout) -> Self {
        let mut table = Table::new(layout);
        table.row_mut(0);
        Self(table)
    }

    /// Adds other totals of the same layout.
    pub fn add(&mut self, other: View<'_>) {
        let mut row = self.0.row_mut(0);
        row.add(other, 1);
        row.settle();
    }

    /// The totals.
    pub fn view(&self) -> View<'_> {
        self.0.row(0)
    }

    pub(super) fn row(&mut self) -> RowMut<'_> {
        self.0.row_mut(0)
    }
}

/// Totals of many cells, in the order of the cells.
#[derive(Debug, Clone)]
pub struct Rows {
    cells: Vec<u32>,
    table: Table,
}

impl Rows {
    pub(super) fn new(layout: Layout) -> Self {
        Self { cells: Vec::new(), table: Table::new(layout) }
    }

    /// With room for as many cells.
    pub(super) fn with_room(layout: Layout, cells: usize) -> Self {
        let mut rows = Self::new(layout);
        rows.cells.reserve(cells);
        rows.table.reserve(cells);
        rows
    }

    /// Adds a row for `cell`; gives the row, which is empty.
    pub(super) fn push(&mut self, cell: u32) -> RowMut<'_> {
        self.cells.push(cell);
        self.table.row_mut(self.cells.len() - 1)
    }

    /// Takes the last row back.
    pub(super) fn pop(&mut self) {
        if self.cells.pop().is_some() {
            self.table.row_mut(self.cells.len()).clear();
        }
    }

    /// The last row.
    pub(super) fn last(&self) -> View<'_> {
        self.table.row(self.cells.len().saturating_sub(1))
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Each cell with its totals.
    pub fn iter(&self) -> impl Iterator<Item = (u32, View<'_>)> {
        self.cells.iter().enumerate().map(|(row, cell)| (*cell, self.table.row(row)))
    }

    /// The totals of `cell`; `None` when it had nothing.
    pub fn get(&self, cell: u32) -> Option<View<'_>> {
        self.cells.binary_search(&cell).ok().map(|row| self.table.row(row))
    }
}
