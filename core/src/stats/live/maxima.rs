use std::{cmp::Ordering, collections::BinaryHeap};

/// Entries that were replaced may stand in a heap besides four times the valid ones before they are thrown out.
const SLACK: usize = 32;

/// Numbers that things hold now, by cell, so that the greatest is at hand when a minute closes. Samples are kept by the
/// minute in which they began: those of a later minute do not count in an earlier one.
#[derive(Debug, Default)]
pub(super) struct Maxima {
    cells: Vec<Vec<Begun>>,
}

/// Samples that began in one minute.
#[derive(Debug)]
struct Begun {
    minute: i64,
    /// How many of them still hold; what stands in the heaps beside them is thrown out some time.
    valid: usize,
    columns: Vec<BinaryHeap<Entry>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    value: f64,
    thing: u32,
    stamp: u64,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value).then(self.stamp.cmp(&other.stamp))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// A sample, as heaps know it. Whether it still holds, `alive(thing, stamp)` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub minute: i64,
    pub thing: u32,
    pub stamp: u64,
    pub maxes: &'a [f64],
}

impl Maxima {
    /// A sample begins to hold in `cell`.
    pub fn begin(&mut self, cell: usize, sample: Sample<'_>, alive: impl Fn(u32, u64) -> bool) {
        if cell >= self.cells.len() {
            self.cells.resize_with(cell + 1, Vec::new);
        }
        let Some(cell) = self.cells.get_mut(cell) else { return };
        let known = cell.iter().rposition(|begun| begun.minute == sample.minute);
        let place = known.or_else(|| cell.iter().position(|begun| begun.valid == 0)).unwrap_or(cell.len());
        if place == cell.len() {
            let columns = sample.maxes.iter().map(|_| BinaryHeap::new()).collect();
            cell.push(Begun { minute: sample.minute, valid: 0, columns });
        }
        let Some(begun) = cell.get_mut(place) else { return };
        begun.minute = sample.minute;
        begun.valid += 1;
        for (heap, value) in begun.columns.iter_mut().zip(sample.maxes) {
            if !value.is_nan() {
                heap.push(Entry { value: *value, thing: sample.thing, stamp: sample.stamp });
            }
            if heap.len() > 4 * begun.valid + SLACK {
                heap.retain(|entry| alive(entry.thing, entry.stamp));
            }
        }
    }

    /// A sample that began in `minute` holds no more.
    pub fn end(&mut self, cell: usize, minute: i64) {
        let Some(cell) = self.cells.get_mut(cell) else { return };
        if let Some(begun) = cell.iter_mut().rfind(|begun| begun.minute == minute && begun.valid > 0) {
            begun.valid -= 1;
            if begun.valid == 0 {
                begun.columns.iter_mut().for_each(BinaryHeap::clear);
            }
        }
    }

    /// Raises `out` to the greatest of those that hold and began in `minute` or before.
    pub fn raise(&mut self, cell: usize, minute: i64, out: &mut [f64], alive: impl Fn(u32, u64) -> bool) {
        let Some(cell) = self.cells.get_mut(cell) else { return };
        for begun in cell.iter_mut().filter(|begun| begun.valid > 0 && begun.minute <= minute) {
            for (out, heap) in out.iter_mut().zip(&mut begun.columns) {
                while heap.peek().is_some_and(|top| !alive(top.thing, top.stamp)) {
                    heap.pop();
                }
                if let Some(top) = heap.peek() {
                    *out = out.max(top.value);
                }
            }
        }
    }
}
