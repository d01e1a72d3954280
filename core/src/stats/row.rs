//! Results of statistics: numbers that carry how many things they are of, so that they can be folded again.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::source;
use crate::io::Timestamp;

/// How results of one kind become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Merge {
    /// They are added.
    Sum,
    /// Their mean, each with its weight.
    Mean,
    /// The greatest.
    Max,
}

/// The largest number and weight of a result: no unit comes near it, and no number of results that are added leaves what a
/// float can hold.
const LARGEST: f64 = 1e290;

/// A number and how many contributors it has, which may be a fraction where they did not contribute all the time.
/// Both are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stat {
    value: f64,
    weight: f64,
}

impl Stat {
    /// `None` where a number is NaN, infinite or beyond 1e290, or the weight is negative.
    pub fn new(value: f64, weight: f64) -> Option<Self> {
        // Adding 0 makes −0 and 0 the same.
        let fits = value.abs() <= LARGEST && (0.0..=LARGEST).contains(&weight);
        fits.then_some(Self { value: value + 0.0, weight })
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.value
    }

    /// How many contributed.
    pub fn weight(self) -> f64 {
        self.weight
    }

    /// One result of two.
    #[must_use]
    pub fn merged(self, other: Self, how: Merge) -> Self {
        let weight = self.weight + other.weight;
        let value = match how {
            Merge::Sum => self.value + other.value,
            Merge::Max => self.value.max(other.value),
            // Nobody contributed to either: both are means of nothing, and equal ones stay what they are.
            Merge::Mean if weight == 0.0 => f64::midpoint(self.value, other.value),
            Merge::Mean => {
                let mean = (self.value * self.weight + other.value * other.weight) / weight;
                // A share of each, where the products are too large.
                let shares = || self.value * (self.weight / weight) + other.value * (other.weight / weight);
                if mean.is_finite() { mean } else { shares() }
            }
        };
        Self { value, weight }
    }
}

/// The result of one operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// A number.
    Number(Merge, Stat),
    /// A number for each group.
    Groups(Merge, BTreeMap<Arc<str>, Stat>),
    /// A value of any type for each group. Of two, the later one counts.
    Values(Map<String, Value>),
    /// A list.
    List(Vec<Value>),
}

impl Cell {
    /// The values alone, in MiningOS's shape.
    pub fn to_json(&self) -> Value {
        let number = |stat: &Stat| source::number(stat.value).unwrap_or(Value::Null);
        match self {
            Self::Number(_, stat) => number(stat),
            Self::Groups(_, groups) => {
                Value::Object(groups.iter().map(|(name, stat)| (name.to_string(), number(stat))).collect())
            }
            Self::Values(values) => Value::Object(values.clone()),
            Self::List(items) => Value::Array(items.clone()),
        }
    }

    /// Takes in another result of the same operation, which is the later one. One of another form is left out: it is
    /// no result of this operation.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Number(how, stat), Self::Number(_, more)) => *stat = stat.merged(*more, *how),
            (Self::Groups(how, groups), Self::Groups(_, more)) => {
                for (name, more) in more {
                    match groups.get_mut(name) {
                        None => drop(groups.insert(Arc::clone(name), *more)),
                        Some(stat) => *stat = stat.merged(*more, *how),
                    }
                }
            }
            (Self::Values(values), Self::Values(more)) => {
                values.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (Self::List(items), Self::List(more)) => items.extend(more.iter().cloned()),
            _ => {}
        }
    }
}

/// A row of statistics: the results of one window and one tag. What nobody contributed to is not in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// The end of the window; none where a row is about now.
    pub ts: Option<Timestamp>,
    /// How many times the row was made anew after it had been given out, because samples came late or a restart had
    /// cut its window; not in MiningOS's shape.
    pub rev: u32,
    cells: BTreeMap<Arc<str>, Cell>,
}

impl Row {
    /// An empty row.
    pub fn new(ts: Option<Timestamp>) -> Self {
        Self { ts, rev: 0, cells: BTreeMap::new() }
    }

    /// The same results for another time.
    #[must_use]
    pub fn at(self, ts: Option<Timestamp>) -> Self {
        Self { ts, ..self }
    }

    /// Sets a result.
    pub fn set(&mut self, name: impl Into<Arc<str>>, cell: Cell) {
        self.cells.insert(name.into(), cell);
    }

    /// A result.
    pub fn get(&self, name: &str) -> Option<&Cell> {
        self.cells.get(name)
    }

    /// The number of a result that is one.
    pub fn number(&self, name: &str) -> Option<Stat> {
        match self.cells.get(name)? {
            Cell::Number(_, stat) => Some(*stat),
            _ => None,
        }
    }

    /// All results, ordered by name.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Cell)> {
        self.cells.iter()
    }

    /// Whether there is no result.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Takes in the results of another row, which is the later one.
    pub fn merge(&mut self, other: &Self) {
        for (name, cell) in &other.cells {
            match self.cells.get_mut(name) {
                None => {
                    self.cells.insert(Arc::clone(name), cell.clone());
                }
                Some(known) => known.merge(cell),
            }
        }
    }

    /// In MiningOS's shape: the values, and `ts` where there is one.
    pub fn to_json(&self) -> Map<String, Value> {
        let cells = self.cells.iter().map(|(name, cell)| (name.to_string(), cell.to_json()));
        let ts = self.ts.map(|ts| ("ts".to_owned(), ts.0.into()));
        cells.chain(ts).collect()
    }
}

impl FromIterator<(Arc<str>, Cell)> for Row {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Cell)>>(cells: I) -> Self {
        Self { ts: None, rev: 0, cells: cells.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stat(value: f64, weight: f64) -> Stat {
        Stat::new(value, weight).unwrap()
    }

    #[test]
    fn numbers_merge_by_their_kind() {
        let (a, b) = (stat(3_000.0, 1_000.0), stat(1_000.0, 1.0));
        assert_eq!(a.merged(b, Merge::Sum), stat(4_000.0, 1_001.0));
        assert_eq!(a.merged(b, Merge::Max), stat(3_000.0, 1_001.0));
        let mean = a.merged(b, Merge::Mean);
        assert!((mean.value() - 3_001_000.0 / 1_001.0).abs() < 1e-9);
        assert_eq!(stat(-12.0, 1.0).merged(stat(-3.0, 1.0), Merge::Max), stat(-3.0, 2.0));
        let large = stat(LARGEST, LARGEST);
        assert_eq!(large.merged(stat(LARGEST, 0.0), Merge::Mean), large);
        assert!((0..1_000).fold(large, |sum, _| sum.merged(large, Merge::Sum)).value().is_finite());
        assert_eq!(stat(5.0, 0.0).merged(stat(5.0, 0.0), Merge::Mean), stat(5.0, 0.0));
        for (value, weight) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (1.0, -1.0), (f64::MAX, 1.0)] {
            assert_eq!(Stat::new(value, weight), None);
        }
    }

    #[test]
    fn rows_merge_member_by_member() {
        let cells = |n: f64| {
            let groups = [(Arc::from("bay-1"), stat(n, 1.0))].into();
            let mut row = Row::new(Some(Timestamp(5)));
            row.set("max", Cell::Groups(Merge::Max, groups));
            row.set("status", Cell::Values(json!({"bay-1": format!("s{n}")}).as_object().unwrap().clone()));
            row.set("ids", Cell::List(vec![json!(n as i64)]));
            row
        };
        let mut row = cells(80.0);
        row.merge(&cells(70.0));
        let expected = json!({"ts": 5, "max": {"bay-1": 80}, "status": {"bay-1": "s70"}, "ids": [80, 70]});
        assert_eq!(Value::Object(row.to_json()), expected);
    }
}
