use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        live::View,
        row::{Cell, Merge, Row, Stat},
    },
    Plan, Rule,
};
use crate::io::Timestamp;

/// Totals of some things over a window, by column.
///
/// A number that is known a part of the window counts with that part: sums are the integral divided by the window's
/// length, and `known` and `count` are how many things there were on the average.
pub trait Totalled {
    /// The integral of value `column` divided by the window's length.
    fn sum(&self, column: usize) -> f64;
    /// How many things had value `column`, on the average.
    fn known(&self, column: usize) -> f64;
    /// For how many things predicate `column` held, on the average.
    fn count(&self, column: usize) -> f64;
    /// How many things said anything, on the average.
    fn held(&self) -> f64;
    /// The greatest number in column `column` of the maxima.
    fn max(&self, column: usize) -> Option<f64>;
}

/// Totals of the engine over a window of so many ms.
impl Totalled for (View<'_>, i64) {
    fn sum(&self, column: usize) -> f64 {
        self.0.integral(column) / self.1 as f64
    }

    fn known(&self, column: usize) -> f64 {
        self.0.known_ms(column) as f64 / self.1 as f64
    }

    fn count(&self, column: usize) -> f64 {
        self.0.count_ms(column) as f64 / self.1 as f64
    }

    fn held(&self) -> f64 {
        self.0.held_ms() as f64 / self.1 as f64
    }

    fn max(&self, column: usize) -> Option<f64> {
        self.0.max(column)
    }
}

/// The totals of one group.
#[derive(Debug, Clone)]
pub struct Named<T> {
    /// Which of [`Plan::groups`].
    pub group: usize,
    /// Its name.
    pub name: Arc<str>,
    /// Its totals.
    pub totals: T,
}

impl Plan {
    /// The results of a window: `all` are the totals of all things, `groups` those of each group. `wanted` says which
    /// results are wanted by name.
    pub fn row<T: Totalled>(
        &self,
        ts: Option<Timestamp>,
        all: &T,
        groups: &[Named<T>],
        wanted: impl Fn(&str) -> bool,
    ) -> Row {
        let mut row = Row::new(ts);
        for (name, rule) in self.rules.iter().filter(|(name, _)| wanted(name)) {
            let cell = match rule.group() {
                None => rule.stat(all).map(|stat| Cell::Number(rule.merge(), stat)),
                Some(at) => {
                    let of = groups.iter().filter(|named| named.group == at);
                    let stats =
                        of.filter_map(|named| Some((Arc::clone(&named.name), rule.stat(&named.totals)?)));
                    Some(Cell::Groups(rule.merge(), stats.collect::<BTreeMap<_, _>>()))
                }
            };
            if let Some(cell) = cell {
                row.set(Arc::clone(name), cell);
            }
        }
        row
    }

    /// Which groups the wanted results need.
    pub fn groups_of(&self, wanted: impl Fn(&str) -> bool) -> Vec<usize> {
        let rules = self.rules.iter().filter(|(name, _)| wanted(name));
        let mut groups: Vec<usize> = rules.filter_map(|(_, rule)| rule.group()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// Names of the columns that are kept of a set of things: of all of them (`None`) or of one of a group. Each
    /// stands beside what it is.
    pub fn members(&self, group: Option<usize>) -> Vec<(String, Member)> {
        self.members_for(group, |_| true)
    }

    /// As [`members`](Self::members), those that the wanted results need.
    pub fn members_for(&self, group: Option<usize>, wanted: impl Fn(&str) -> bool) -> Vec<(String, Member)> {
        let mut members = vec![("held".to_owned(), Member::Held)];
        for (_, rule) in self.rules.iter().filter(|(name, rule)| rule.group() == group && wanted(name)) {
            for (name, member) in self.members_of(rule) {
                if !members.iter().any(|(_, known)| *known == member) {
                    members.push((name, member));
                }
            }
        }
        members
    }

    fn members_of(&self, rule: &Rule) -> Vec<(String, Member)> {
        let value = |at: usize| self.values.get(at).map_or("", |column| column.name.as_str());
        match *rule {
            Rule::Sum(at) | Rule::Avg(at) | Rule::GroupSum(at, _) | Rule::GroupAvg(at, _) => vec![
                (format!("sum {}", value(at)), Member::Sum(at)),
                (format!("known {}", value(at)), Member::Known(at)),
            ],
            Rule::Cnt(at) | Rule::GroupCnt(at, _) => {
                let when = self.counts.get(at).copied().flatten().and_then(|when| self.conds.get(when));
                // Those that are counted without a condition are those that said anything.
                when.map(|(text, _)| (format!("count {text}"), Member::Count(at))).into_iter().collect()
            }
            Rule::GroupMax(at, _) => {
                let name = self.maxes.get(at).map_or("", |column| column.name.as_str());
                vec![(format!("max {name}"), Member::Max(at))]
            }
        }
    }

    /// Whether predicate `column` holds for every thing.
    pub fn counts_all(&self, column: usize) -> bool {
        self.counts.get(column).is_some_and(Option::is_none)
    }
}

/// A number that is kept of a set of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Member {
    /// [`Totalled::held`]
    Held,
    /// [`Totalled::sum`]
    Sum(usize),
    /// [`Totalled::known`]
    Known(usize),
    /// [`Totalled::count`]
    Count(usize),
    /// [`Totalled::max`]
    Max(usize),
}

impl Member {
    /// The number; NaN where there is none.
    pub fn of(self, totals: &impl Totalled) -> f64 {
        match self {
            Self::Held => totals.held(),
            Self::Sum(at) if totals.known(at) > 0.0 => totals.sum(at),
            Self::Sum(_) => f64::NAN,
            Self::Known(at) => totals.known(at),
            Self::Count(at) => totals.count(at),
            Self::Max(at) => totals.max(at).unwrap_or(f64::NAN),
        }
    }
}

impl Rule {
    fn group(&self) -> Option<usize> {
        match *self {
            Self::Sum(_) | Self::Avg(_) | Self::Cnt(_) => None,
            Self::GroupSum(_, group)
            | Self::GroupAvg(_, group)
            | Self::GroupCnt(_, group)
            | Self::GroupMax(_, group) => Some(group),
        }
    }

    fn merge(&self) -> Merge {
        match self {
            Self::Avg(_) | Self::GroupAvg(..) => Merge::Mean,
            Self::GroupMax(..) => Merge::Max,
            _ => Merge::Sum,
        }
    }

    fn stat<T: Totalled>(&self, totals: &T) -> Option<Stat> {
        match *self {
            Self::Sum(at) | Self::GroupSum(at, _) => {
                let known = totals.known(at);
                Stat::new(totals.sum(at), known).filter(|_| known > 0.0)
            }
            Self::Avg(at) | Self::GroupAvg(at, _) => {
                let known = totals.known(at);
                Stat::new(totals.sum(at) / known, known).filter(|_| known > 0.0)
            }
            Self::Cnt(at) => {
                let held = totals.held();
                Stat::new(totals.count(at), held).filter(|_| held > 0.0)
            }
            Self::GroupCnt(at, _) => {
                let count = totals.count(at);
                Stat::new(count, totals.held()).filter(|_| count > 0.0)
            }
            Self::GroupMax(at, _) => Stat::new(totals.max(at)?, totals.held()),
        }
    }
}
