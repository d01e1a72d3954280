use std::{path::Path, sync::OnceLock};

use headframe_core::stats::Js;
use serde_json::{Map, Value};

const TEXT: &str = include_str!("../fixtures/stats-vectors.json");

/// The whole file.
pub fn all() -> &'static Value {
    static ALL: OnceLock<Value> = OnceLock::new();
    ALL.get_or_init(|| serde_json::from_str(TEXT).unwrap())
}

/// The vectors of one class.
pub fn class(name: &str) -> &'static [Value] {
    all()[name].as_array().unwrap()
}

/// A file of the reference; `None` when the variable that names their folder is not set.
pub fn reference(name: &str) -> Option<String> {
    let shared = std::env::var_os("HEADFRAME_SHARED")?;
    let path = Path::new(&shared).join("reference").join(name);
    Some(std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

#[test]
fn the_copy_equals_the_original() {
    if let Some(original) = reference("stats-vectors.json") {
        assert!(original == TEXT, "core/tests/fixtures/stats-vectors.json differs from the reference");
    }
}

/// What stands for a value that JSON does not have.
fn sentinel(value: &Value) -> Option<Js> {
    let members = value.as_object().filter(|m| m.len() == 1)?;
    let (name, value) = members.iter().next()?;
    match (name.as_str(), value) {
        ("$undefined", _) => Some(Js::Undefined),
        ("$nan", _) => Some(Js::Number(f64::NAN)),
        ("$inf", sign) => Some(Js::Number(f64::INFINITY * sign.as_f64()?)),
        _ => None,
    }
}

/// The value with what stands for others in it.
pub fn js(value: &Value) -> Js {
    match value {
        Value::Array(items) => Js::List(items.iter().map(js).collect()),
        Value::Object(members) => sentinel(value)
            .unwrap_or_else(|| Js::Object(members.iter().map(|(name, v)| (name.clone(), js(v))).collect())),
        other => other.into(),
    }
}

/// An input without the members that are `undefined`, which are read as missing ones are.
pub fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => {
            let known = members.iter().filter(|(_, v)| sentinel(v).is_none());
            Value::Object(known.map(|(name, v)| (name.clone(), plain(v))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Compares JSON with numbers by value: `5` and `5.0` are one number in JavaScript.
pub fn same(found: &Value, expected: &Value, name: &Value) {
    assert_eq!(js(found), js(expected), "{name}");
}

/// The text of a vector's sort, in which the order of keys is kept.
pub fn sort_text(name: &str) -> String {
    let at = TEXT.find(&format!("\"{name}\"")).unwrap();
    let vector = TEXT[at..].split("\"expected\"").next().unwrap();
    let start = vector.rfind('{').unwrap();
    let end = start + vector[start..].find('}').unwrap();
    vector[start..=end].to_owned()
}
