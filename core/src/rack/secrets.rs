//! Secrets in options and facts: sealed at rest, at any depth, and never listed.

use serde_json::{Map, Value};

use crate::{
    Result, ThingId,
    io::Rng,
    model::Members,
    query::Hidden,
    store::{Key, Place, Sealer, Space},
};

/// Names of secrets: what the store seals and what queries hide.
pub(super) fn is_secret(hidden: &Hidden, name: &str) -> bool {
    // A name with a dot is a path to the query language; its parts are judged alone.
    Sealer::is_secret(name) || name.split('.').any(|part| hidden.hides(part) && part != "opts")
}

/// Seals and opens what is called like a secret in one record.
struct Walk<'a> {
    sealer: &'a Sealer,
    /// Seals with it; opens without.
    rng: Option<&'a dyn Rng>,
    key: Key,
    hidden: Hidden,
}

impl Walk<'_> {
    fn option(&self, name: &str, mut value: Value) -> Result<Value> {
        self.value(&format!("opts.{name}"), name, &mut value)?;
        Ok(value)
    }

    fn value(&self, path: &str, name: &str, value: &mut Value) -> Result<()> {
        if is_secret(&self.hidden, name) {
            let place = Place { space: Space::Things, key: &self.key, field: path };
            *value = match self.rng {
                Some(rng) => self.sealer.seal_value(rng, &place, value)?,
                None => self.sealer.open_value(&place, value)?,
            };
            return Ok(());
        }
        match value {
            Value::Object(map) => {
                map.iter_mut().try_for_each(|(name, v)| self.value(&format!("{path}.{name}"), name, v))
            }
            // Elements move when a list is changed, so its place is the list's.
            Value::Array(list) => list.iter_mut().try_for_each(|v| self.value(path, "", v)),
            _ => Ok(()),
        }
    }
}

/// The options of `id` with their secrets sealed.
pub(super) fn seal(
    sealer: &Sealer,
    rng: &dyn Rng,
    id: &ThingId,
    opts: &Members<Value>,
) -> Result<Map<String, Value>> {
    let walk = walk(sealer, Some(rng), id);
    let sealed = opts.iter().map(|(name, value)| Ok((name.to_owned(), walk.option(name, value.clone())?)));
    sealed.collect()
}

/// Undoes [`seal`].
pub(super) fn open(sealer: &Sealer, id: &ThingId, opts: Map<String, Value>) -> Result<Members<Value>> {
    let walk = walk(sealer, None, id);
    let opened = opts.into_iter().map(|(name, value)| {
        let value = walk.option(&name, value)?;
        Ok((name, value))
    });
    opened.collect()
}

/// Seals the secrets among the facts of `id`.
pub(super) fn seal_info(
    sealer: &Sealer,
    rng: &dyn Rng,
    id: &ThingId,
    info: &mut Map<String, Value>,
) -> Result<()> {
    let walk = walk(sealer, Some(rng), id);
    info.iter_mut().try_for_each(|(name, value)| walk.value(&format!("info.{name}"), name, value))
}

fn walk<'a>(sealer: &'a Sealer, rng: Option<&'a dyn Rng>, id: &ThingId) -> Walk<'a> {
    Walk { sealer, rng, key: id.into(), hidden: Hidden::standard() }
}

/// Where the first member stands that is called like a secret, dotted: for what has no place for secrets.
pub(crate) fn first_secret(map: &Map<String, Value>) -> Option<String> {
    fn within(hidden: &Hidden, value: &Value) -> Option<String> {
        match value {
            Value::Object(map) => first(hidden, map),
            Value::Array(list) => list.iter().find_map(|v| within(hidden, v)),
            _ => None,
        }
    }
    fn first(hidden: &Hidden, map: &Map<String, Value>) -> Option<String> {
        map.iter().find_map(|(name, value)| {
            let inner = || within(hidden, value).map(|rest| format!("{name}.{rest}"));
            if is_secret(hidden, name) { Some(name.clone()) } else { inner() }
        })
    }
    first(&Hidden::standard(), map)
}

/// Facts without secrets, sealed or not.
pub(super) fn stripped(mut info: Map<String, Value>) -> Value {
    strip(&Hidden::standard(), &mut info);
    Value::Object(info)
}

/// The same of any value.
pub(super) fn inner_stripped(value: &Value) -> Value {
    let mut value = value.clone();
    strip_inner(&Hidden::standard(), &mut value);
    value
}

fn strip(hidden: &Hidden, map: &mut Map<String, Value>) {
    map.retain(|name, _| !is_secret(hidden, name));
    map.values_mut().for_each(|value| strip_inner(hidden, value));
}

fn strip_inner(hidden: &Hidden, value: &mut Value) {
    match value {
        Value::Object(map) => strip(hidden, map),
        Value::Array(list) => list.iter_mut().for_each(|value| strip_inner(hidden, value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::SealKey;

    #[derive(Debug)]
    struct Fixed;
    impl Rng for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(5);
        }
    }

    #[test]
    fn secrets_are_sealed_at_any_depth_and_open_again() {
        let sealer = Sealer::new(&SealKey::from_bytes([7; 32]));
        let id = ThingId::new("m1").unwrap();
        let opts: Members<Value> = [
            ("address", json!("10.0.0.7")),
            ("password", json!("hunter-2")),
            ("login", json!({"user": "root", "passphrase": "hunter-3", "more": [{"apiKey": "hunter-4"}]})),
        ]
        .into_iter()
        .collect();
        let sealed = seal(&sealer, &Fixed, &id, &opts).unwrap();
        let text = serde_json::to_string(&sealed).unwrap();
        assert!(!text.contains("hunter") && text.contains("10.0.0.7") && text.contains("root"), "{text}");
        assert_eq!(open(&sealer, &id, sealed.clone()).unwrap(), opts);
        assert!(open(&sealer, &ThingId::new("m2").unwrap(), sealed).is_err());

        let info = json!({"pos": "1", "token": "x", "list": [{"password": "y", "z": 1}]});
        let shown = stripped(info.as_object().unwrap().clone());
        assert_eq!(shown, json!({"pos": "1", "list": [{"z": 1}]}));
        assert_eq!(first_secret(info.as_object().unwrap()).as_deref(), Some("list.password"));
        assert_eq!(first_secret(shown.as_object().unwrap()), None);
    }
}
