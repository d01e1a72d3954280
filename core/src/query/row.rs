use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{project::Projection, view::Shown};

/// What a projection gives of one document.
///
/// It shares the document and copies nothing: a member is looked up when it is asked for, and serialising writes the
/// members straight from the document. It holds the document in memory as long as it lives. Two rows are equal when
/// what they give is.
#[derive(Clone)]
pub struct Row {
    doc: Arc<Value>,
    /// Gives all of the document when `None`.
    fields: Option<Projection>,
    /// A member that it has beside, where the document gives none of this name.
    added: Option<Arc<(Box<str>, Value)>>,
}

impl Row {
    pub(super) fn new(doc: Arc<Value>, fields: Projection) -> Self {
        Self { doc, fields: Some(fields), added: None }
    }

    fn shown(&self) -> Shown<'_> {
        match &self.fields {
            Some(fields) => fields.shown(&self.doc),
            None => Shown::whole(&self.doc),
        }
    }

    /// The value at a dotted path of members and elements, such as `info.pos` or `tags.0`; a copy only where something
    /// is left out of it.
    pub fn get(&self, path: &str) -> Option<Cow<'_, Value>> {
        let own = self.shown();
        if let Some(shown) = own.at(path) {
            return Some(shown.value());
        }
        let (name, value) = self.added.as_deref()?;
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        if *first != **name || !own.is_object() || own.member(name).is_some() {
            return None;
        }
        let whole = Shown::whole(value);
        rest.map_or(Some(whole), |rest| whole.at(rest)).map(Shown::value)
    }

    /// A copy of all that it gives.
    pub fn to_value(&self) -> Value {
        let mut value = self.shown().to_value();
        complete(&mut value, self.added.as_deref());
        value
    }

    /// All that it gives; copied only if the document is shared or something is left out of it.
    pub fn into_value(self) -> Value {
        if self.fields.is_some() {
            return self.to_value();
        }
        let Self { doc, added, .. } = self;
        let mut value = Arc::unwrap_or_clone(doc);
        complete(&mut value, added.as_deref());
        value
    }

    /// Gives it the member `name` unless it has one; what is no object stays as it is.
    #[must_use]
    pub fn or_member(self, name: &str, value: impl Into<Value>) -> Self {
        self.or_shared(&Arc::new((name.into(), value.into())))
    }

    /// The same for a member that many rows share.
    pub(crate) fn or_shared(self, member: &Arc<(Box<str>, Value)>) -> Self {
        let own = if self.added.is_some() { Self::from(self.into_value()) } else { self };
        Self { added: Some(Arc::clone(member)), ..own }
    }

    /// The same without the member `name`.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        if self.added.is_none() && self.shown().member(name).is_none() {
            return self;
        }
        let mut value = self.into_value();
        if let Value::Object(members) = &mut value {
            members.remove(name);
        }
        Self::from(value)
    }
}

fn complete(value: &mut Value, added: Option<&(Box<str>, Value)>) {
    if let (Value::Object(members), Some((name, value))) = (value, added) {
        members.entry(&**name).or_insert_with(|| value.clone());
    }
}

impl From<Value> for Row {
    /// A row that gives all of the value.
    fn from(value: Value) -> Self {
        Self { doc: Arc::new(value), fields: None, added: None }
    }
}

impl From<Row> for Value {
    fn from(row: Row) -> Self {
        row.into_value()
    }
}

impl Serialize for Row {
    /// The same as its value's, without making it. The number of members is not known beforehand.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = self.shown();
        let Some((added, value)) = self.added.as_deref().filter(|_| shown.is_object()) else {
            return shown.serialize(serializer);
        };
        let mut map = serializer.serialize_map(None)?;
        let mut waits = true;
        shown.members(|name, member| {
            if waits && **added <= *name {
                waits = false;
                if **added < *name {
                    map.serialize_entry(added, value)?;
                }
            }
            map.serialize_entry(name, &member)
        })?;
        if waits {
            map.serialize_entry(added, value)?;
        }
        map.end()
    }
}

impl fmt::Display for Row {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Row {
    /// What it gives, never the rest of the document.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_value(), f)
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        *self == other.to_value()
    }
}

impl PartialEq<Value> for Row {
    fn eq(&self, other: &Value) -> bool {
        self.to_value() == *other
    }
}
