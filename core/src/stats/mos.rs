//! MiningOS's operators, to the bit: what counts as false adds 0 and is counted, texts of digits are numbers, other texts
//! poison a sum, only `sum` lets its filter see what a thing is.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    Semantics,
    js::Js,
    source::{Of, Path, Seen, Source},
    spec::{Kind, Nested, Op, Spec},
};

/// Collects what MiningOS's operations make of things, one after the other.
#[derive(Debug)]
pub struct MosTally<'s> {
    ops: Vec<(&'s Arc<str>, &'s Op, Acc)>,
    entries: u64,
}

/// What an operation has gathered.
#[derive(Debug)]
enum Acc {
    /// Sum and count.
    Number(f64, f64),
    /// The same for each group.
    Groups(BTreeMap<String, (f64, f64)>),
    /// What is a result already.
    Done(Js),
}

/// A thing without what it is.
struct EntryOnly<'s, S: ?Sized>(&'s S);

impl<S: Source + ?Sized> Source for EntryOnly<'_, S> {
    fn look(&self, of: Of, path: &Path) -> Seen<'_> {
        match of {
            Of::Entry => self.0.look(of, path),
            Of::Ext => Seen::Absent,
        }
    }
}

impl<'s> MosTally<'s> {
    /// Nothing gathered yet.
    pub fn new(spec: &'s Spec) -> Self {
        Self { ops: spec.ops().map(|(name, op)| (name, op, Acc::of(op))).collect(), entries: 0 }
    }

    /// Adds a thing.
    pub fn add<S: Source + ?Sized>(&mut self, thing: &S) {
        self.entries += 1;
        for (_, op, acc) in &mut self.ops {
            let counted = op.filter.as_ref().is_none_or(|filter| match op.kind {
                Kind::Sum => filter.holds(thing, Semantics::MiningOs),
                _ => filter.holds(&EntryOnly(thing), Semantics::MiningOs),
            });
            if counted {
                acc.add(op, thing);
            }
        }
    }

    /// The results. Without any thing there are none.
    pub fn finish(self) -> BTreeMap<Arc<str>, Js> {
        if self.entries == 0 {
            return BTreeMap::new();
        }
        self.ops.into_iter().map(|(name, op, acc)| (Arc::clone(name), acc.result(op))).collect()
    }

    /// The results as they are written to a log.
    pub fn to_json(self) -> Map<String, Value> {
        self.finish().into_iter().filter_map(|(name, js)| Some((name.to_string(), js.to_json()?))).collect()
    }
}

impl Acc {
    fn of(op: &Op) -> Self {
        match op.kind {
            Kind::Sum | Kind::Avg | Kind::Cnt => Self::Number(0.0, 0.0),
            Kind::GroupSum | Kind::GroupAvg | Kind::GroupCnt | Kind::GroupMax => {
                Self::Groups(BTreeMap::new())
            }
            Kind::ArrConcat => Self::Done(Js::List(Vec::new())),
            _ => Self::Done(Js::Object(BTreeMap::new())),
        }
    }

    fn add<S: Source + ?Sized>(&mut self, op: &Op, thing: &S) {
        let value = || op.src.as_ref().map_or(Seen::Null, |src| thing.look(Of::Entry, src));
        let group = || op.group.as_ref().and_then(|group| group.name(thing, Semantics::MiningOs));
        match self {
            Self::Number(sum, count) => {
                *count += 1.0;
                *sum += Js::from(value()).added();
            }
            Self::Groups(groups) => {
                let Some(name) = group() else { return };
                let (sum, count) = groups.entry(name.into_owned()).or_default();
                let value = Js::from(value()).added();
                *count += 1.0;
                *sum = match op.kind {
                    Kind::GroupMax if value.is_nan() || sum.is_nan() => f64::NAN,
                    Kind::GroupMax => sum.max(value),
                    _ => *sum + value,
                };
            }
            Self::Done(result) => match (op.kind, &mut *result) {
                (Kind::Group, Js::Object(groups)) => {
                    let Some(name) = group() else { return };
                    groups.insert(name.into_owned(), value().into());
                }
                (Kind::GroupMultipleStats, Js::Object(groups)) => {
                    let Some(name) = group() else { return };
                    let each = op.srcs.iter();
                    let each = each.map(|(n, src)| (n.to_string(), thing.look(Of::Entry, src).into()));
                    groups.insert(name.into_owned(), Js::Object(each.collect()));
                }
                (Kind::AlertsGroupCnt, Js::Object(counts)) => severities(counts, value()),
                (Kind::NestedObjConcat, Js::Object(outer)) => nested_concat(outer, op, &value().into()),
                (Kind::ArrayObjCalc, Js::Object(folded)) => list_fold(folded, op, value()),
                (kind, _) => calc(kind, result, &value().into()),
            },
        }
    }

    fn result(self, op: &Op) -> Js {
        let number = |(sum, count): (f64, f64)| {
            Js::Number(match op.kind {
                Kind::Cnt | Kind::GroupCnt => count,
                Kind::Avg | Kind::GroupAvg if count == 0.0 => 0.0,
                Kind::Avg | Kind::GroupAvg => sum / count,
                _ => sum,
            })
        };
        match self {
            Self::Number(sum, count) => number((sum, count)),
            Self::Groups(groups) => Js::Object(groups.into_iter().map(|(k, v)| (k, number(v))).collect()),
            Self::Done(result) => result,
        }
    }
}

fn severities(counts: &mut BTreeMap<String, Js>, alerts: Seen<'_>) {
    let Seen::List(alerts) = alerts else { return };
    for alert in alerts {
        let severity = Js::from(alert.get("severity").map_or(Seen::Absent, Seen::from));
        let name = if severity.truthy() { severity.text() } else { "medium".into() };
        let count = counts.entry(name).or_insert(Js::Number(0.0));
        *count = Js::Number(count.number() + 1.0);
    }
}

/// One step of an operation on a value that is shown as it stands: no division comes after it.
fn calc(kind: Kind, result: &mut Js, value: &Js) {
    match kind {
        Kind::Sum => *result = Js::Number(result.added() + value.added()),
        Kind::Cnt => *result = Js::Number(result.added() + 1.0),
        Kind::ArrConcat => append(result, value),
        Kind::ObjConcat => {
            join(
                result,
                value,
                |current, more| {
                    if current.truthy() { current.plus(more) } else { more.clone() }
                },
            )
        }
        Kind::AlertsAggr => join(result, value, |current, more| Js::Number(current.added() + more.added())),
        // An average that is a number already stays what it is.
        _ => {}
    }
}

fn append(result: &mut Js, value: &Js) {
    if !matches!(result, Js::List(_)) {
        *result = Js::List(Vec::new());
    }
    let Js::List(items) = result else { return };
    match value {
        Js::Undefined | Js::Null => {}
        Js::List(more) => items.extend(more.iter().cloned()),
        other => items.push(other.clone()),
    }
}

fn join(result: &mut Js, value: &Js, joined: impl Fn(&Js, &Js) -> Js) {
    let Js::Object(more) = value else { return };
    if !matches!(result, Js::Object(_)) {
        *result = Js::Object(BTreeMap::new());
    }
    let Js::Object(members) = result else { return };
    for (name, value) in more {
        let current = members.entry(name.clone()).or_default();
        *current = joined(current, value);
    }
}

fn nested_concat(outer: &mut BTreeMap<String, Js>, op: &Op, value: &Js) {
    let Js::Object(more) = value else { return };
    for (name, inner) in more {
        match outer.get_mut(name) {
            Some(current) if current.truthy() => {
                for Nested { kind, name, .. } in &op.nested {
                    let (Js::Object(current), Js::Object(inner)) = (&mut *current, inner) else { continue };
                    let value = inner.get(&**name).cloned().unwrap_or_default();
                    calc(*kind, current.entry(name.to_string()).or_default(), &value);
                }
            }
            _ => {
                outer.insert(name.clone(), inner.clone());
            }
        }
    }
}

/// Folds a list of objects: the first value is taken as it is, further ones are added to it.
fn list_fold(folded: &mut BTreeMap<String, Js>, op: &Op, value: Seen<'_>) {
    let Seen::List(rows) = value else { return };
    for row in rows {
        for Nested { kind, name, src } in &op.nested {
            let value = Js::from(src.look(row));
            if !value.truthy() {
                continue;
            }
            match folded.get_mut(&**name) {
                Some(current) => calc(*kind, current, &value),
                None => {
                    folded.insert(name.to_string(), value);
                }
            }
        }
    }
}
