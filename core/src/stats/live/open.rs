use super::{Layout, MINUTE, table::Table};

/// What a thing holds from some moment on; nothing at all has only NaN, no predicate, and `held` false.
#[derive(Debug, Clone, Copy)]
pub(super) struct State<'a> {
    pub values: &'a [f64],
    pub predicates: u64,
    pub held: bool,
}

impl State<'_> {
    pub const NOTHING: Self = Self { values: &[f64::NAN; Layout::MOST], predicates: 0, held: false };
}

/// A minute that is not closed yet: changes within it, their integrals to its end, and maxima held.
#[derive(Debug)]
pub(super) struct Open {
    /// By how much what is held at the minute's end differs from what is held at its start.
    change: Table,
    /// The integral over the minute of that difference.
    inside: Table,
    touched: Vec<bool>,
    any: bool,
}

impl Open {
    pub fn new(layout: Layout) -> Self {
        Self { change: Table::new(layout), inside: Table::new(layout), touched: Vec::new(), any: false }
    }

    /// Whether anything changed in it.
    pub fn is_touched(&self) -> bool {
        self.any
    }

    /// Whether anything changed in `cell`.
    pub fn touches(&self, cell: usize) -> bool {
        self.touched.get(cell).copied().unwrap_or(false)
    }

    pub fn rows(&self) -> usize {
        self.touched.len()
    }

    fn touch(&mut self, cell: usize) {
        if cell >= self.touched.len() {
            self.touched.resize((cell + 1).max(self.touched.len() * 3 / 2), false);
        }
        if let Some(touched) = self.touched.get_mut(cell) {
            *touched = true;
        }
        self.any = true;
    }

    /// A thing of `cell` changes from one state to another, `rest` ms before the minute's end.
    pub fn shift(&mut self, layout: Layout, cell: usize, rest: i64, from: State<'_>, to: State<'_>) {
        self.touch(cell);
        let (change, inside) = (self.change.row_mut(cell), self.inside.row_mut(cell));
        let (known, counts) = change.times.split_at_mut(layout.values());
        let (known_ms, counts_ms) = inside.times.split_at_mut(layout.values());
        let sums = change.sums.iter_mut().zip(inside.sums).zip(known.iter_mut().zip(known_ms));
        for (((sum, integral), (known, known_ms)), (old, new)) in sums.zip(from.values.iter().zip(to.values))
        {
            if old.to_bits() == new.to_bits() {
                continue;
            }
            if !old.is_nan() {
                sum.add(-old);
                integral.add_product(-old, rest);
                *known -= 1;
                *known_ms -= rest;
            }
            if !new.is_nan() {
                sum.add(*new);
                integral.add_product(*new, rest);
                *known += 1;
                *known_ms += rest;
            }
        }
        let mut differ = from.predicates ^ to.predicates;
        while differ != 0 {
            let bit = differ.trailing_zeros();
            let sign = if to.predicates >> bit & 1 == 1 { 1 } else { -1 };
            let at = usize::try_from(bit).unwrap_or_default();
            if let (Some(count), Some(ms)) = (counts.get_mut(at), counts_ms.get_mut(at)) {
                *count += sign;
                *ms += sign * rest;
            }
            differ &= differ - 1;
        }
        let held = i64::from(to.held) - i64::from(from.held);
        if let (Some(count), Some(ms)) = (counts.last_mut(), counts_ms.last_mut()) {
            *count += held;
            *ms += held * rest;
        }
    }

    /// Things of `cell` held these numbers at some moment within the minute.
    pub fn raise(&mut self, cell: usize, max: &[f64]) {
        self.touch(cell);
        self.inside.row_mut(cell).raise(max);
    }

    /// Adds to `out` what changed by the end of the minute.
    pub fn add_change(&self, cell: usize, out: &mut Table) {
        if self.touches(cell) {
            out.row_mut(cell).add(self.change.row(cell), 1);
        }
    }

    /// Moves one cell on from the minute's start to its end: `held` becomes what is held then, and `out`, an empty row,
    /// what was held over the minute.
    pub fn pass(&mut self, cell: usize, held: &mut Table, out: &mut super::table::RowMut<'_>) {
        let mut held = held.row_mut(cell);
        for (sum, held) in out.sums.iter_mut().zip(&*held.sums) {
            sum.add_scaled(*held, MINUTE);
        }
        out.times.iter_mut().zip(&*held.times).for_each(|(time, held)| *time += held * MINUTE);
        if self.touches(cell) {
            let (mut change, mut inside) = (self.change.row_mut(cell), self.inside.row_mut(cell));
            for (sum, inside) in out.sums.iter_mut().zip(&*inside.sums) {
                sum.add_sum(*inside);
            }
            out.times.iter_mut().zip(&*inside.times).for_each(|(time, inside)| *time += inside);
            out.raise(inside.max);
            held.sums.iter_mut().zip(&*change.sums).for_each(|(sum, change)| sum.add_sum(*change));
            held.times.iter_mut().zip(&*change.times).for_each(|(time, change)| *time += change);
            held.settle();
            change.clear();
            inside.clear();
        }
        out.settle();
    }

    /// Ready for another minute, once each cell has passed.
    pub fn reset(&mut self) {
        self.touched.fill(false);
        self.any = false;
    }
}
