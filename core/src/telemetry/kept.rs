//! Totals of a set of things over a window, as they are kept and read back.

use crate::stats::{
    Member, Plan, Totalled,
    live::{Layout, View, Window},
};

/// The member of a row that says how many times it was made anew; absent for never.
pub(super) const REV: &str = "rev";

/// Means over the window's length of what things held; see [`Totalled`]. The numbers are its own, or lie in a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept<N = Box<[f64]>> {
    /// How many times it was made anew after it had been given out.
    pub rev: u32,
    layout: Layout,
    /// One after the other: sums, how many are known of each, counts, how many held anything, and maxima.
    numbers: N,
}

/// How many numbers there are.
pub(super) fn width(layout: Layout) -> usize {
    2 * layout.values() + layout.counts() + 1 + layout.maxes()
}

/// The numbers of a [`Kept`]. All but maxima add up.
struct Parts<T> {
    sums: T,
    /// Of how many things: that know each value, of which each predicate is true, and that held anything.
    times: T,
    maxes: T,
}

impl Kept {
    /// Nothing yet.
    pub fn new(layout: Layout) -> Self {
        let mut kept = Kept::over(layout, vec![0.0; width(layout)].into());
        kept.clear();
        kept
    }

    /// Those over a window, of those over the windows of a finer length in it.
    pub fn joined<'k>(
        plan: &Plan,
        parts: impl Iterator<Item = &'k Self>,
        finer: Window,
        window: Window,
    ) -> Self {
        let mut kept = Self::new(plan.layout());
        let share = finer.length_ms() as f64 / window.length_ms() as f64;
        parts.for_each(|part| kept.add(part, share));
        kept
    }
}

impl<N: AsRef<[f64]>> Kept<N> {
    /// Those that numbers of this layout are.
    pub fn over(layout: Layout, numbers: N) -> Self {
        Self { rev: 0, layout, numbers }
    }

    /// How many things held anything.
    pub fn held(&self) -> f64 {
        self.parts().times.last().copied().unwrap_or(0.0)
    }

    /// The same, with numbers of its own.
    pub fn to_own(&self) -> Kept {
        Kept { rev: self.rev, layout: self.layout, numbers: self.numbers.as_ref().into() }
    }

    fn parts(&self) -> Parts<&[f64]> {
        let (sums, rest) = self.numbers.as_ref().split_at(self.layout.values());
        let (times, maxes) = rest.split_at(self.layout.values() + self.layout.counts() + 1);
        Parts { sums, times, maxes }
    }

    fn known_and_counts(&self) -> (&[f64], &[f64]) {
        let (known, rest) = self.parts().times.split_at(self.layout.values());
        (known, &rest[..self.layout.counts()])
    }

    /// Whether these numbers differ by more than rounding.
    pub fn differs(&self, other: &Self, members: &[(String, Member)]) -> bool {
        /// Far above what rounding leaves, far below what a device can tell.
        const PART: f64 = 1e-12;
        let is_same =
            |a: f64, b: f64| (a.is_nan() && b.is_nan()) || (a - b).abs() <= PART * a.abs().max(b.abs());
        !members.iter().all(|(_, member)| is_same(member.of(self), member.of(other)))
    }
}

impl<N: AsRef<[f64]> + AsMut<[f64]>> Kept<N> {
    fn parts_mut(&mut self) -> Parts<&mut [f64]> {
        let (sums, rest) = self.numbers.as_mut().split_at_mut(self.layout.values());
        let (times, maxes) = rest.split_at_mut(self.layout.values() + self.layout.counts() + 1);
        Parts { sums, times, maxes }
    }

    /// Nothing is left.
    pub fn clear(&mut self) {
        let Parts { sums, times, maxes } = self.parts_mut();
        sums.fill(0.0);
        times.fill(0.0);
        maxes.fill(f64::NAN);
    }

    /// Takes over totals of the same layout over so many ms, in place of its own.
    pub fn fill(&mut self, totals: View<'_>, ms: i64) {
        let ms = ms as f64;
        let to = self.parts_mut();
        to.sums.iter_mut().zip(totals.integrals()).for_each(|(sum, integral)| *sum = integral / ms);
        to.times.iter_mut().zip(totals.times_ms()).for_each(|(time, of)| *time = *of as f64 / ms);
        to.maxes.iter_mut().zip(totals.maxes()).for_each(|(max, of)| *max = *of);
    }

    /// Adds what other things held over the same window, or, with a share of the window, the same things over a part of it.
    pub fn add(&mut self, other: &Kept<impl AsRef<[f64]>>, share: f64) {
        let (to, from) = (self.parts_mut(), other.parts());
        for ((sum, more), known) in to.sums.iter_mut().zip(from.sums).zip(from.times) {
            *sum += if *known > 0.0 { more * share } else { 0.0 };
        }
        to.times.iter_mut().zip(from.times).for_each(|(time, more)| *time += more * share);
        // `max` of floats ignores NaN, which stands for nothing.
        to.maxes.iter_mut().zip(from.maxes).for_each(|(max, more)| *max = max.max(*more));
    }

    /// Sets a number that was read back.
    pub fn set(&mut self, member: Member, value: f64) {
        let (known, counts) = (self.layout.values(), self.layout.counts());
        let Parts { sums, times, maxes } = self.parts_mut();
        let slot = match member {
            Member::Held => times.last_mut(),
            Member::Sum(at) => sums.get_mut(at),
            Member::Known(at) => times[..known].get_mut(at),
            Member::Count(at) => times[known..][..counts].get_mut(at),
            Member::Max(at) => maxes.get_mut(at),
        };
        if let Some(slot) = slot {
            *slot = if value.is_nan() && !matches!(member, Member::Max(_)) { 0.0 } else { value };
        }
    }

    /// After all was read back: predicates that hold for every thing are not kept.
    pub fn settle(&mut self, plan: &Plan) {
        for at in (0..self.layout.counts()).filter(|at| plan.counts_all(*at)) {
            self.set(Member::Count(at), self.held());
        }
    }
}

impl<N: AsRef<[f64]>> Totalled for Kept<N> {
    fn sum(&self, column: usize) -> f64 {
        self.parts().sums.get(column).copied().unwrap_or(0.0)
    }

    fn known(&self, column: usize) -> f64 {
        self.known_and_counts().0.get(column).copied().unwrap_or(0.0)
    }

    fn count(&self, column: usize) -> f64 {
        self.known_and_counts().1.get(column).copied().unwrap_or(0.0)
    }

    fn held(&self) -> f64 {
        self.held()
    }

    fn max(&self, column: usize) -> Option<f64> {
        self.parts().maxes.get(column).copied().filter(|max| !max.is_nan())
    }
}

/// The numbers that are kept of a set, with their names: what results by its group need, and of a container all, because
/// a tag asks for its things alone.
pub(super) fn columns(plan: &Plan, group: Option<usize>) -> Vec<(String, Member)> {
    let mut members = plan.members(group);
    if group.is_some() && group == super::name::container(plan) {
        for (name, member) in plan.members(None) {
            if !members.iter().any(|(_, known)| *known == member) {
                members.push((name, member));
            }
        }
    }
    members
}
