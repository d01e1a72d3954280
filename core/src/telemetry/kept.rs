//! Totals of a set of things over a window, as they are kept and read back.

use crate::stats::{Member, Plan, Totalled, live::Layout};

/// The member of a row that says how many times it was made anew; absent for never.
pub(super) const REV: &str = "rev";

/// Means over the window's length of what things held; see [`Totalled`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Kept {
    pub held: f64,
    /// How many times it was made anew after it had been given out.
    pub rev: u32,
    sums: Vec<f64>,
    known: Vec<f64>,
    counts: Vec<f64>,
    maxes: Vec<f64>,
}

impl Kept {
    pub fn new(layout: Layout) -> Self {
        Self {
            held: 0.0,
            rev: 0,
            sums: vec![0.0; layout.values()],
            known: vec![0.0; layout.values()],
            counts: vec![0.0; layout.counts()],
            maxes: vec![f64::NAN; layout.maxes()],
        }
    }

    /// Adds what other things held over the same window, or, with a share of the window, the same things over a part of it.
    pub fn add(&mut self, other: &impl Totalled, share: f64) {
        self.held += other.held() * share;
        for (at, (sum, known)) in self.sums.iter_mut().zip(&mut self.known).enumerate() {
            let of = other.known(at);
            if of > 0.0 {
                *sum += other.sum(at) * share;
                *known += of * share;
            }
        }
        for (at, count) in self.counts.iter_mut().enumerate() {
            *count += other.count(at) * share;
        }
        for (at, max) in self.maxes.iter_mut().enumerate() {
            if let Some(more) = other.max(at) {
                *max = max.max(more);
            }
        }
    }

    /// Sets a number that was read back.
    pub fn set(&mut self, member: Member, value: f64) {
        let slot = match member {
            Member::Held => Some(&mut self.held),
            Member::Sum(at) => self.sums.get_mut(at),
            Member::Known(at) => self.known.get_mut(at),
            Member::Count(at) => self.counts.get_mut(at),
            Member::Max(at) => self.maxes.get_mut(at),
        };
        if let Some(slot) = slot {
            *slot = if value.is_nan() && !matches!(member, Member::Max(_)) { 0.0 } else { value };
        }
    }

    /// Whether these numbers differ by more than rounding.
    pub fn differs(&self, other: &Self, members: &[(String, Member)]) -> bool {
        /// Far above what rounding leaves, far below what a device can tell.
        const PART: f64 = 1e-12;
        let is_same =
            |a: f64, b: f64| (a.is_nan() && b.is_nan()) || (a - b).abs() <= PART * a.abs().max(b.abs());
        !members.iter().all(|(_, member)| is_same(member.of(self), member.of(other)))
    }

    /// After all was read back: predicates that hold for every thing are not kept.
    pub fn settle(&mut self, plan: &Plan) {
        for (at, count) in self.counts.iter_mut().enumerate() {
            if plan.counts_all(at) {
                *count = self.held;
            }
        }
    }
}

impl Totalled for Kept {
    fn sum(&self, column: usize) -> f64 {
        self.sums.get(column).copied().unwrap_or(0.0)
    }

    fn known(&self, column: usize) -> f64 {
        self.known.get(column).copied().unwrap_or(0.0)
    }

    fn count(&self, column: usize) -> f64 {
        self.counts.get(column).copied().unwrap_or(0.0)
    }

    fn held(&self) -> f64 {
        self.held
    }

    fn max(&self, column: usize) -> Option<f64> {
        self.maxes.get(column).copied().filter(|max| !max.is_nan())
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
