//! Headframe's operators: only what has a value contributes, and every result knows how many did.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    Semantics,
    row::{Cell, Merge, Row, Stat},
    source::{self, Of, Seen, Source},
    spec::{Kind, Op, Spec},
};

/// The severity of an alert that tells none.
const DEFAULT_SEVERITY: &str = "medium";

/// Collects what the operators make of things. Except for what stands in no order (`group`, lists), the result does not
/// depend on the order in which things come.
#[derive(Debug)]
pub struct Tally<'s> {
    ops: Vec<(&'s Arc<str>, &'s Op, Acc)>,
    things: f64,
}

/// Numbers seen so far.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    sum: f64,
    count: f64,
    max: f64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { sum: 0.0, count: 0.0, max: f64::NEG_INFINITY }
    }
}

impl Numbers {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
        self.max = self.max.max(value);
    }

    /// The result; `None` where nobody contributed, or it is too large for a number.
    fn stat(self, how: Merge) -> Option<Stat> {
        let value = match how {
            Merge::Sum => self.sum,
            Merge::Mean => self.sum / self.count,
            Merge::Max => self.max,
        };
        Stat::new(value, self.count).filter(|_| self.count > 0.0)
    }
}

/// What an operation has gathered.
#[derive(Debug)]
enum Acc {
    Number(Numbers),
    /// How many things, of how many that were looked at.
    Count(f64),
    Groups(BTreeMap<Arc<str>, Numbers>),
    Values(Map<String, Value>),
    /// Numbers of objects, added, and what else they have.
    Joined(BTreeMap<Arc<str>, Numbers>, Map<String, Value>),
    List(Vec<Value>),
    /// For each name the first object, and the inner operations.
    Nested(BTreeMap<String, (Map<String, Value>, Vec<Self>)>),
    /// The inner operations.
    Folded(Vec<Self>),
}

impl<'s> Tally<'s> {
    /// Nothing gathered yet.
    pub fn new(spec: &'s Spec) -> Self {
        Self { ops: spec.ops().map(|(name, op)| (name, op, Acc::of(op))).collect(), things: 0.0 }
    }

    /// Adds a thing.
    pub fn add<S: Source + ?Sized>(&mut self, thing: &S) {
        self.things += 1.0;
        for (_, op, acc) in &mut self.ops {
            if op.filter.as_ref().is_none_or(|filter| filter.holds(thing, Semantics::Corrected)) {
                acc.add(op, thing);
            }
        }
    }

    /// The results; of what nobody contributed to there is none. Counts of nothing are 0 where there are things.
    pub fn finish(self) -> Row {
        if self.things == 0.0 {
            return Row::default();
        }
        let things = self.things;
        let cell = |(name, op, acc): (&Arc<str>, &Op, Acc)| {
            Some((Arc::clone(name), acc.cell(merge_of(op.kind), op, things)?))
        };
        self.ops.into_iter().filter_map(cell).collect()
    }
}

/// How results of this kind merge.
fn merge_of(kind: Kind) -> Merge {
    match kind {
        Kind::Avg | Kind::GroupAvg => Merge::Mean,
        Kind::GroupMax => Merge::Max,
        _ => Merge::Sum,
    }
}

impl Acc {
    fn of(op: &Op) -> Self {
        match op.kind {
            Kind::NestedObjConcat => Self::Nested(BTreeMap::new()),
            Kind::ArrayObjCalc => Self::Folded(Self::inner(op)),
            kind => Self::simple(kind),
        }
    }

    fn inner(op: &Op) -> Vec<Self> {
        op.nested.iter().map(|nested| Self::simple(nested.kind)).collect()
    }

    fn simple(kind: Kind) -> Self {
        match kind {
            Kind::Sum | Kind::Avg => Self::Number(Numbers::default()),
            Kind::Cnt => Self::Count(0.0),
            Kind::Group | Kind::GroupMultipleStats => Self::Values(Map::new()),
            Kind::ArrConcat => Self::List(Vec::new()),
            Kind::ObjConcat => Self::Joined(BTreeMap::new(), Map::new()),
            _ => Self::Groups(BTreeMap::new()),
        }
    }

    fn add<S: Source + ?Sized>(&mut self, op: &Op, thing: &S) {
        let seen = || op.src.as_ref().map_or(Seen::Absent, |src| thing.look(Of::Entry, src));
        let group = || op.group.as_ref().and_then(|group| group.name(thing, Semantics::Corrected));
        match (op.kind, &mut *self) {
            (Kind::GroupCnt, Self::Groups(groups)) => {
                if let Some(name) = group() {
                    add_to(groups, &name, 1.0);
                }
            }
            (Kind::GroupSum | Kind::GroupAvg | Kind::GroupMax, Self::Groups(groups)) => {
                if let (Some(value), Some(name)) = (seen().number(), group()) {
                    add_to(groups, &name, value);
                }
            }
            (Kind::AlertsGroupCnt, Self::Groups(groups)) => severities(groups, seen()),
            (Kind::Group, Self::Values(values)) => {
                if let (Some(value), Some(name)) = (seen().to_value(), group()) {
                    values.insert(name.into_owned(), value);
                }
            }
            (Kind::GroupMultipleStats, Self::Values(values)) => {
                if let Some(name) = group() {
                    named_values(values, &name, op, thing);
                }
            }
            (_, Self::Nested(outer)) => nested(outer, op, seen()),
            (_, Self::Folded(accs)) => {
                let Seen::List(rows) = seen() else { return };
                rows.iter().for_each(|row| fold_member(accs, op, row));
            }
            (_, acc) => acc.take(seen()),
        }
    }

    /// Takes in one value: what operations without groups do.
    fn take(&mut self, seen: Seen<'_>) {
        match self {
            Self::Number(numbers) => {
                if let Some(value) = seen.number() {
                    numbers.add(value);
                }
            }
            Self::Count(count) => *count += 1.0,
            Self::List(items) => match seen {
                Seen::List(more) => items.extend(more.iter().cloned()),
                other => items.extend(other.to_value()),
            },
            Self::Joined(numbers, others) => {
                let Seen::Object(members) = seen else { return };
                for (name, value) in members {
                    match Seen::from(value) {
                        Seen::Number(n) => add_to(numbers, name, n),
                        Seen::Null => {}
                        _ => {
                            others.insert(name.clone(), value.clone());
                        }
                    }
                }
            }
            Self::Groups(groups) => {
                let Seen::Object(members) = seen else { return };
                for (name, value) in members {
                    if let Some(value) = Seen::from(value).number() {
                        add_to(groups, name, value);
                    }
                }
            }
            Self::Values(_) | Self::Nested(_) | Self::Folded(_) => {}
        }
    }

    fn cell(self, how: Merge, op: &Op, things: f64) -> Option<Cell> {
        Some(match self {
            Self::Number(numbers) => Cell::Number(how, numbers.stat(how)?),
            Self::Count(count) => Cell::Number(Merge::Sum, Stat::new(count, things)?),
            Self::Groups(groups) => Cell::Groups(how, stats(groups, how)),
            Self::Values(values) => Cell::Values(values),
            Self::List(items) => Cell::List(items),
            Self::Joined(numbers, others) if others.is_empty() => {
                Cell::Groups(Merge::Sum, stats(numbers, Merge::Sum))
            }
            Self::Joined(numbers, mut others) => {
                for (name, stat) in stats(numbers, Merge::Sum) {
                    others.entry(&*name).or_insert(source::number(stat.value())?);
                }
                Cell::Values(others)
            }
            Self::Nested(outer) => {
                let each = outer.into_iter().map(|(name, (mut first, accs))| {
                    results(accs, op, things, &mut first);
                    (name, Value::Object(first))
                });
                Cell::Values(each.collect())
            }
            Self::Folded(accs) => {
                let mut values = Map::new();
                results(accs, op, things, &mut values);
                Cell::Values(values)
            }
        })
    }
}

fn add_to(groups: &mut BTreeMap<Arc<str>, Numbers>, name: &str, value: f64) {
    match groups.get_mut(name) {
        Some(numbers) => numbers.add(value),
        None => groups.entry(name.into()).or_default().add(value),
    }
}

fn stats(groups: BTreeMap<Arc<str>, Numbers>, how: Merge) -> BTreeMap<Arc<str>, Stat> {
    groups.into_iter().filter_map(|(name, numbers)| Some((name, numbers.stat(how)?))).collect()
}

fn severities(groups: &mut BTreeMap<Arc<str>, Numbers>, alerts: Seen<'_>) {
    let Seen::List(alerts) = alerts else { return };
    for alert in alerts.iter().filter_map(Value::as_object) {
        let told = alert.get("severity").and_then(Value::as_str).filter(|text| !text.is_empty());
        add_to(groups, told.unwrap_or(DEFAULT_SEVERITY), 1.0);
    }
}

/// Sets those values of the group that are known.
fn named_values<S: Source + ?Sized>(values: &mut Map<String, Value>, name: &str, op: &Op, thing: &S) {
    for (member, src) in &op.srcs {
        let Some(value) = thing.look(Of::Entry, src).to_value() else { continue };
        let group = values.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = group {
            members.insert(member.to_string(), value);
        }
    }
}

fn nested(outer: &mut BTreeMap<String, (Map<String, Value>, Vec<Acc>)>, op: &Op, seen: Seen<'_>) {
    let Seen::Object(members) = seen else { return };
    for (name, inner) in members {
        let Value::Object(first) = inner else { continue };
        let (_, accs) = outer.entry(name.clone()).or_insert_with(|| (first.clone(), Acc::inner(op)));
        fold_member(accs, op, inner);
    }
}

fn fold_member(accs: &mut [Acc], op: &Op, row: &Value) {
    for (acc, nested) in accs.iter_mut().zip(&op.nested) {
        let seen = nested.src.look(row);
        if seen.is_value() {
            acc.take(seen);
        }
    }
}

/// Writes the results of inner operations into an object.
fn results(accs: Vec<Acc>, op: &Op, things: f64, into: &mut Map<String, Value>) {
    for (acc, nested) in accs.into_iter().zip(&op.nested) {
        match acc.cell(merge_of(nested.kind), op, things) {
            Some(cell) => into.insert(nested.name.to_string(), cell.to_json()),
            None => into.remove(&*nested.name),
        };
    }
}

#[cfg(test)]
mod tests;
