//! Who changed what in a thing's record, and when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    api::{Caller, RackId},
    record::ThingRecord,
    secrets,
};
use crate::{ThingId, query::Hidden};

/// Most entries kept of one thing.
pub(super) const MOST_ENTRIES: usize = 100;
/// Options whose values may be shown.
const SHOWN: [&str; 3] = ["address", "port", "unitId"];

/// One change of a thing's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When, ms.
    pub ts: i64,
    /// The thing.
    pub id: ThingId,
    /// The rack that had it then, after a move the new one; entries of older releases do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<RackId>,
    /// What was done.
    pub what: HistoryKind,
    /// Who did it; `headframe` for what was concluded from readings.
    pub by: String,
    /// Dotted path to what was there and what is there now. Secrets and options are named without their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, Changed>,
}

/// What was done to a thing's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HistoryKind {
    /// Registered.
    Register,
    /// Changed by a person.
    Update,
    /// Forgotten.
    Forget,
    /// Found at another address, or taken to another rack.
    Moved,
    /// Its identity came into doubt.
    Held,
    /// A person said that it and another are one device.
    Merge,
    /// A person said that it is a device of its own.
    Split,
}

/// One change, in MiningOS's form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Changed {
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_value: Option<Value>,
    /// What is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_value: Option<Value>,
    /// Elements that came to a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additions: Vec<Value>,
    /// Elements that left it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Value>,
}

impl Changed {
    /// What differs between two objects: for each dotted path what was there and what is there now, of lists what came and
    /// what went. Secrets are named without their values.
    pub fn between(old: &Map<String, Value>, new: &Map<String, Value>) -> BTreeMap<String, Self> {
        let mut changes = BTreeMap::new();
        differences(&Hidden::standard(), "", old, new, &mut changes);
        changes
    }

    fn of(old: Option<&Value>, new: Option<&Value>) -> Self {
        if let (Some(Value::Array(old)), Some(Value::Array(new))) = (old, new) {
            let without = |a: &[Value], b: &[Value]| a.iter().filter(|v| !b.contains(v)).cloned().collect();
            return Self { additions: without(new, old), deletions: without(old, new), ..Self::default() };
        }
        Self { old_value: old.cloned(), new_value: new.cloned(), ..Self::default() }
    }
}

/// An entry about the step from `old` to `new`.
pub(super) fn entry(
    ts: i64,
    what: HistoryKind,
    by: &Caller,
    old: Option<&ThingRecord>,
    new: Option<&ThingRecord>,
) -> Option<HistoryEntry> {
    let (id, rack) = new.or(old).map(|thing| (thing.id.clone(), Some(thing.rack.clone())))?;
    let mut changes = BTreeMap::new();
    if let (Some(old), Some(new)) = (old, new) {
        changes = Changed::between(&old.info.map(), &new.info.map());
        changes.remove("updatedAt");
        options(old, new, &mut changes);
        for (name, before, after) in
            [("rack", old.rack.as_str(), new.rack.as_str()), ("type", &old.thing_type, &new.thing_type)]
        {
            if before != after {
                let (before, after) = (Value::from(before), Value::from(after));
                changes.insert(name.into(), Changed::of(Some(&before), Some(&after)));
            }
        }
        if old.read_only != new.read_only {
            let (before, after) = (Value::from(old.read_only), Value::from(new.read_only));
            changes.insert("readOnly".into(), Changed::of(Some(&before), Some(&after)));
        }
        let doubt = |thing: &ThingRecord| serde_json::to_value(thing.held.as_ref()?.reason).ok();
        if old.held != new.held {
            changes.insert("held".into(), Changed::of(doubt(old).as_ref(), doubt(new).as_ref()));
        }
        if old.tags != new.tags {
            let list = |thing: &ThingRecord| Value::from(thing.tags.as_slice());
            changes.insert("tags".into(), Changed::of(Some(&list(old)), Some(&list(new))));
        }
    }
    Some(HistoryEntry { ts, id, rack, what, by: by.user.clone(), changes })
}

fn differences(
    hidden: &Hidden,
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    out: &mut BTreeMap<String, Changed>,
) {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if secrets::is_secret(hidden, name) {
            out.insert(at, Changed::default());
            continue;
        }
        match (before, after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                differences(hidden, &at, before, after, out);
            }
            _ => {
                let clean = |v: Option<&Value>| v.map(secrets::inner_stripped);
                out.insert(at, Changed::of(clean(before).as_ref(), clean(after).as_ref()));
            }
        }
    }
}

/// Options are named; only where the thing is reached is shown.
fn options(old: &ThingRecord, new: &ThingRecord, out: &mut BTreeMap<String, Changed>) {
    let (old, new) = (old.opts.all().map(), new.opts.all().map());
    for name in old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)) {
        let shown =
            |opts: &Map<String, Value>| opts.get(name).filter(|_| SHOWN.contains(&name.as_str())).cloned();
        let (before, after) = (shown(&old), shown(&new));
        out.insert(format!("opts.{name}"), Changed::of(before.as_ref(), after.as_ref()));
    }
}

/// What the keys of all entries begin with.
pub(super) const PREFIX: &str = "thing ";

/// What the keys of a thing's entries begin with. Ids have no spaces.
pub(super) fn prefix(id: &ThingId) -> String {
    format!("{PREFIX}{id} ")
}

/// The thing that the entry of this key is about.
pub(super) fn thing_of(key: &str) -> Option<ThingId> {
    ThingId::new(key.strip_prefix(PREFIX)?.split(' ').next()?).ok()
}
