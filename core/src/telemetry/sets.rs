//! Totals of many sets of things over one window.

use super::kept::{Kept, width};
use crate::stats::live::Layout;

/// Totals of sets by their numbers, which are dense. All lie in one piece of memory.
#[derive(Debug, Clone)]
pub(super) struct Sets {
    layout: Layout,
    /// Which row each set has, by its number; [`NONE`] for none.
    rows: Vec<u32>,
    /// The sets in the order of their rows.
    owners: Vec<u32>,
    numbers: Vec<f64>,
}

const NONE: u32 = u32::MAX;

impl Sets {
    pub fn new(layout: Layout) -> Self {
        Self { layout, rows: Vec::new(), owners: Vec::new(), numbers: Vec::new() }
    }

    /// The totals of a set, empty ones if there were none.
    pub fn entry(&mut self, number: u32) -> Kept<&mut [f64]> {
        let at = place(number);
        if at >= self.rows.len() {
            self.rows.resize(at + 1, NONE);
        }
        let width = width(self.layout);
        let is_new = self.rows[at] == NONE;
        if is_new {
            self.rows[at] = u32::try_from(self.owners.len()).unwrap_or(NONE);
            self.owners.push(number);
            self.numbers.resize(self.owners.len() * width, 0.0);
        }
        let numbers = &mut self.numbers[place(self.rows[at]) * width..][..width];
        let mut kept = Kept::over(self.layout, numbers);
        if is_new {
            kept.clear();
        }
        kept
    }

    /// Sets the totals of a set.
    pub fn set(&mut self, number: u32, kept: &Kept) {
        let mut there = self.entry(number);
        there.clear();
        there.add(kept, 1.0);
    }

    /// The totals of a set; `None` when it held nothing.
    pub fn get(&self, number: u32) -> Option<Kept<&[f64]>> {
        let row = self.rows.get(place(number)).filter(|row| **row != NONE)?;
        Some(self.row(place(*row))).filter(|kept| kept.held() > 0.0)
    }

    /// Adds what the same sets held over a part of the window, which is this share of it.
    pub fn add(&mut self, other: &Self, share: f64) {
        for (number, kept) in other.iter() {
            self.entry(number).add(&kept, share);
        }
    }

    /// Each set that held something, with its totals.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Kept<&[f64]>)> {
        let all = self.owners.iter().enumerate().map(|(row, number)| (*number, self.row(row)));
        all.filter(|(_, kept)| kept.held() > 0.0)
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All of them; none is left, but room for as many.
    pub fn take(&mut self) -> Self {
        let mut empty = Self::new(self.layout);
        empty.make_room(self);
        std::mem::replace(self, empty)
    }

    /// Makes room for as many sets as there are in `other`.
    pub fn make_room(&mut self, other: &Self) {
        let owners = other.owners.len().saturating_sub(self.owners.len());
        self.rows.reserve(other.rows.len().saturating_sub(self.rows.len()));
        self.owners.reserve(owners);
        self.numbers.reserve_exact(owners * width(self.layout));
    }

    /// For how many sets there is room.
    #[cfg(test)]
    pub fn room(&self) -> usize {
        self.numbers.capacity() / width(self.layout)
    }

    fn row(&self, row: usize) -> Kept<&[f64]> {
        let width = width(self.layout);
        Kept::over(self.layout, &self.numbers[row * width..][..width])
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
