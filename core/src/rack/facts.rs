use std::{borrow::Cow, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

/// Facts or options of a thing, kept as JSON text, and as a rule as that part of the record which the store has: a tree
/// of ten facts takes five times the room, and a site keeps 100,000 of them that are hardly ever read. Reading one fact
/// looks through the text; for more, take the [`map`](Self::map). Cheap to clone.
#[derive(Clone)]
pub struct Facts {
    record: Arc<[u8]>,
    at: u32,
    len: u32,
}

impl Facts {
    /// One fact.
    pub fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// A fact that is a text and not empty.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let raw = self.raw(name)?.get();
        let bare = raw.strip_prefix('"')?.strip_suffix('"')?;
        let text = if bare.contains('\\') {
            Cow::Owned(serde_json::from_str(raw).ok()?)
        } else {
            Cow::Borrowed(bare)
        };
        (!text.is_empty()).then_some(text)
    }

    /// Whether there is such a fact.
    pub fn contains_key(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// All facts.
    pub fn map(&self) -> Map<String, Value> {
        // What is kept was written from a map, so this never falls back.
        serde_json::from_str(self.text_of_all()).unwrap_or_default()
    }

    /// Adds or replaces one fact.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let mut map = self.map();
        map.insert(name.to_owned(), value.into());
        *self = map.into();
    }

    /// The same facts as `part` of `record`, a JSON text. Gives `self` when that part says anything else.
    pub(super) fn within(self, record: &Arc<[u8]>, part: &RawValue) -> Self {
        let text = part.get();
        let at = (text.as_ptr() as usize).checked_sub(record.as_ptr() as usize);
        let (Some(Ok(at)), Ok(len)) = (at.map(u32::try_from), u32::try_from(text.len())) else { return self };
        let part = Self { record: Arc::clone(record), at, len };
        if part == self { part } else { self }
    }

    fn text_of_all(&self) -> &str {
        let from = usize::try_from(self.at).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(self.len).unwrap_or(usize::MAX));
        // What is kept was written as text, so this never falls back.
        self.record.get(from..to).and_then(|part| std::str::from_utf8(part).ok()).unwrap_or("{}")
    }

    fn raw(&self, name: &str) -> Option<&RawValue> {
        find(self.text_of_all(), name)
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.text_of_all() == other.text_of_all()
    }
}

impl Eq for Facts {}

impl Default for Facts {
    fn default() -> Self {
        Map::new().into()
    }
}

/// The member `name` of an object.
fn find<'a>(object: &'a str, name: &str) -> Option<&'a RawValue> {
    serde_json::Deserializer::from_str(object).deserialize_map(Find(name)).ok().flatten()
}

impl From<Map<String, Value>> for Facts {
    fn from(map: Map<String, Value>) -> Self {
        let text = Value::Object(map).to_string();
        // A record has at most 8 MiB; what could not be counted is told by the store.
        Self { len: u32::try_from(text.len()).unwrap_or(u32::MAX), at: 0, record: text.into_bytes().into() }
    }
}

impl fmt::Debug for Facts {
    /// The names only: among the values are secrets, sealed or not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.map().keys()).finish()
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.map().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Into::into)
    }
}

/// Looks for one member of an object.
struct Find<'a>(&'a str);

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(Is(self.0))? {
            if wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a name is this one.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<bool, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(value: Value) -> Facts {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn facts_read_as_they_were_written() {
        let value = json!({"pos": "1_2", "note": "a \"b\"\nü", "empty": "", "n": 7, "deep": {"list": [1, {"x": null}]}});
        let facts = facts(value.clone());
        for (name, fact) in value.as_object().unwrap() {
            assert_eq!(facts.get(name).as_ref(), Some(fact), "{name}");
            assert_eq!(facts.text(name).as_deref(), fact.as_str().filter(|text| !text.is_empty()), "{name}");
        }
        assert_eq!((facts.get("x"), facts.text("list"), facts.contains_key("po")), (None, None, false));
        assert_eq!(serde_json::to_value(&facts).unwrap(), value);
        assert_eq!(Value::Object(facts.map()), value);
    }

    #[test]
    fn a_fact_is_added_or_replaced_whatever_its_name() {
        let mut facts = Facts::default();
        for (name, value) in [("b", json!(1)), ("a \"\\ü", json!("x")), ("b", json!([2]))] {
            facts.set(name, value.clone());
            assert_eq!(facts.get(name), Some(value));
        }
        assert_eq!(facts, self::facts(json!({"b": [2], "a \"\\ü": "x"})));
        assert_eq!(format!("{facts:?}"), r#"["a \"\\ü", "b"]"#);
    }

    #[test]
    fn facts_can_be_a_part_of_their_record() {
        let own = facts(json!({"pos": "1_2", "n": 7}));
        let record: Arc<[u8]> = br#"{"id":"m1","info":{"n":7,"pos":"1_2"},"opts":{}}"#[..].into();
        let within = |record: &Arc<[u8]>, name: &str| {
            own.clone().within(record, find(std::str::from_utf8(record).unwrap(), name).unwrap())
        };
        let part = within(&record, "info");
        assert!(part == own && Arc::ptr_eq(&part.record, &record));
        assert_eq!((part.get("n"), part.text("pos").as_deref()), (Some(json!(7)), Some("1_2")));
        for other in ["opts", "id"] {
            let same = within(&record, other);
            assert!(same == own && !Arc::ptr_eq(&same.record, &record), "{other}");
        }
        // A text of elsewhere is no part of the record.
        let elsewhere = serde_json::value::to_raw_value(&own).unwrap();
        assert_eq!(own.clone().within(&record, &elsewhere), own);
    }
}
