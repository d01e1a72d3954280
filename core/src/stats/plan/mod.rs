//! Operations over time: which columns the window engine has to count for a [`Spec`], and what comes of its totals.
//!
//! Each value, condition and maximum that several operations share is one column. What a column is called is made of what
//! it counts (`last.snap.stats.power_w?info.container!="maintenance"`), so that totals that were kept are read by later
//! releases, whatever their operations are called then.

mod cond;
mod row;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use cond::{Cond, Tests};
pub use row::{Member, Named, Totalled};

use super::{Filter, Group, Kind, Of, Op, Path, Seen, Spec, live::Layout};
use crate::{Error, Result};

/// What is counted for a set of operations.
#[derive(Debug, Clone)]
pub struct Plan {
    looks: Vec<(Of, Path)>,
    tests: Tests,
    conds: Vec<(String, Cond)>,
    values: Vec<Column>,
    counts: Vec<Option<usize>>,
    maxes: Vec<Column>,
    groups: Vec<Group>,
    rules: Vec<(Arc<str>, Rule)>,
    rest: Spec,
    layout: Layout,
}

/// A number of a thing, while a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    look: usize,
    when: Option<usize>,
}

/// How a result comes of totals.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Sum(usize),
    Avg(usize),
    Cnt(usize),
    GroupSum(usize, usize),
    GroupAvg(usize, usize),
    GroupCnt(usize, usize),
    GroupMax(usize, usize),
}

/// The columns of one thing, to be filled by [`Plan::read`]. One serves for many things.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// One number per column of values; NaN for unknown.
    pub values: Vec<f64>,
    /// Which predicates hold, by bits.
    pub predicates: u64,
    /// One number per column of maxima; NaN for unknown.
    pub maxes: Vec<f64>,
    tests: Vec<bool>,
    holds: Vec<bool>,
}

impl Plan {
    /// The columns of these operations. Those that are no function of totals (lists, texts, one value per thing) are left
    /// to [`rest`](Self::rest).
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID` for operations that need more than 64 columns
    /// of a sort.
    pub fn of(spec: &Spec) -> Result<Self> {
        let mut plan = Self {
            looks: Vec::new(),
            tests: Tests::default(),
            conds: Vec::new(),
            values: Vec::new(),
            counts: Vec::new(),
            maxes: Vec::new(),
            groups: Vec::new(),
            rules: Vec::new(),
            rest: Spec::default(),
            layout: Layout::new(0, 0, 0)?,
        };
        let mut rest = Vec::new();
        for (name, op) in spec.ops() {
            match plan.rule(op) {
                Some(rule) => plan.rules.push((Arc::clone(name), rule)),
                None => rest.push((Arc::clone(name), op.clone())),
            }
        }
        plan.rest = Spec::of(rest);
        let too_many = |e: Error| e.code_as(super::CODE);
        plan.layout =
            Layout::new(plan.values.len(), plan.counts.len(), plan.maxes.len()).map_err(too_many)?;
        Ok(plan)
    }

    fn rule(&mut self, op: &Op) -> Option<Rule> {
        if op.on_demand {
            return None;
        }
        let group = |plan: &mut Self| op.group.as_ref().map(|group| place(&mut plan.groups, group.clone()));
        Some(match op.kind {
            Kind::Sum => Rule::Sum(self.value(op)?),
            Kind::Avg => Rule::Avg(self.value(op)?),
            Kind::Cnt => Rule::Cnt(self.count(op)),
            Kind::GroupSum => Rule::GroupSum(self.value(op)?, group(self)?),
            Kind::GroupAvg => Rule::GroupAvg(self.value(op)?, group(self)?),
            Kind::GroupCnt => Rule::GroupCnt(self.count(op), group(self)?),
            Kind::GroupMax => {
                let column = self.column(op)?;
                Rule::GroupMax(place(&mut self.maxes, column), group(self)?)
            }
            _ => return None,
        })
    }

    fn value(&mut self, op: &Op) -> Option<usize> {
        let column = self.column(op)?;
        Some(place(&mut self.values, column))
    }

    fn column(&mut self, op: &Op) -> Option<Column> {
        let look = place(&mut self.looks, (Of::Entry, op.src.clone()?));
        let when = op.filter.as_ref().map(|filter| self.cond(filter));
        let mut name = self.looks[look].1.text().to_owned();
        if let Some(when) = when {
            name.push('?');
            name.push_str(&self.conds[when].0);
        }
        Some(Column { name, look, when })
    }

    fn count(&mut self, op: &Op) -> usize {
        let when = op.filter.as_ref().map(|filter| self.cond(filter));
        place(&mut self.counts, when)
    }

    fn cond(&mut self, filter: &Filter) -> usize {
        let (text, cond) = Cond::of(filter, &mut self.looks, &mut self.tests);
        match self.conds.iter().position(|(known, _)| *known == text) {
            Some(at) => at,
            None => {
                self.conds.push((text, cond));
                self.conds.len() - 1
            }
        }
    }

    /// How many columns there are of each sort.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What has to be looked up of each thing, in the order that [`read`](Self::read) takes it.
    pub fn looks(&self) -> &[(Of, Path)] {
        &self.looks
    }

    /// By what things are grouped.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Operations that do not come of totals.
    pub fn rest(&self) -> &Spec {
        &self.rest
    }

    /// The columns of a thing of which `seen` was looked up.
    pub fn read(&self, seen: &[Seen<'_>], out: &mut Columns) {
        let at = |look: usize| seen.get(look).copied().unwrap_or(Seen::Absent);
        self.tests.hold(seen, &mut out.tests);
        out.holds.clear();
        out.holds.extend(self.conds.iter().map(|(_, cond)| cond.holds(&out.tests)));
        let holds = |when: Option<usize>, holds: &[bool]| {
            when.is_none_or(|when| holds.get(when).copied().unwrap_or(false))
        };
        let number = |column: &Column, all: &[bool]| match holds(column.when, all) {
            true => at(column.look).number().unwrap_or(f64::NAN),
            false => f64::NAN,
        };
        out.values.clear();
        out.values.extend(self.values.iter().map(|column| number(column, &out.holds)));
        out.maxes.clear();
        out.maxes.extend(self.maxes.iter().map(|column| number(column, &out.holds)));
        out.predicates = 0;
        for (bit, when) in self.counts.iter().enumerate() {
            out.predicates |= u64::from(holds(*when, &out.holds)) << bit;
        }
    }
}

/// Where `item` stands in `list`, which gets it if it is not there.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    match list.iter().position(|known| *known == item) {
        Some(at) => at,
        None => {
            list.push(item);
            list.len() - 1
        }
    }
}
