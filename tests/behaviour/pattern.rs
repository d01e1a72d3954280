//! Patterns: what an answer has to be like.

use serde_json::{Map, Value};

type Faults = Vec<String>;

/// Whether everything in a pattern is known.
pub fn check(pattern: &Value) -> Result<(), String> {
    match pattern {
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(members) if matcher(members) => {
            members.iter().try_for_each(|(name, told)| known(name, told))
        }
        Value::Object(members) => match members.keys().find(|name| name.starts_with('$')) {
            Some(name) => Err(format!("{name} stands beside members")),
            None => members.values().try_for_each(check),
        },
        _ => Ok(()),
    }
}

fn matcher(members: &Map<String, Value>) -> bool {
    !members.is_empty() && members.keys().all(|name| name.starts_with('$'))
}

fn known(name: &str, told: &Value) -> Result<(), String> {
    let referred = |told: &Value| told.as_str().is_some_and(|text| text.starts_with('$'));
    let fits = match name {
        "$any" => told.as_str().is_some_and(|kind| KINDS.contains(&kind)),
        "$gt" | "$lt" => told.is_number() || referred(told),
        "$near" => {
            let names =
                told.as_object().map(|members| members.keys().map(String::as_str).collect::<Vec<_>>());
            names.is_some_and(|names| names == ["by", "to"]) && told["by"].is_number()
        }
        "$absent" => *told == Value::Bool(true),
        "$nowhere" => told.is_string(),
        "$len" | "$contains" | "$each" | "$not" => return check(told),
        _ => return Err(format!("there is no matcher {name}")),
    };
    if fits { Ok(()) } else { Err(format!("{name} does not take {told}")) }
}

const KINDS: &[&str] = &["boolean", "list", "null", "number", "object", "text"];

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Where and how a value is not like the pattern; empty when it is.
pub fn differences(pattern: &Value, value: &Value) -> Faults {
    let mut faults = Faults::new();
    compare(pattern, Some(value), "answer", &mut faults);
    faults
}

fn compare(pattern: &Value, value: Option<&Value>, at: &str, faults: &mut Faults) {
    if let Value::Object(members) = pattern
        && matcher(members)
    {
        for (name, told) in members {
            apply(name, told, value, at, faults);
        }
        return;
    }
    let Some(value) = value else {
        return faults.push(format!("{at}: is not there, should be {pattern}"));
    };
    match (pattern, value) {
        (Value::Object(members), Value::Object(there)) => {
            for (name, pattern) in members {
                compare(pattern, there.get(name), &format!("{at}.{name}"), faults);
            }
        }
        (Value::Array(items), Value::Array(there)) if items.len() == there.len() => {
            for (n, (pattern, value)) in items.iter().zip(there).enumerate() {
                compare(pattern, Some(value), &format!("{at}.{n}"), faults);
            }
        }
        _ if same(pattern, value) => {}
        _ => faults.push(format!("{at}: is {value}, should be {pattern}")),
    }
}

/// Numbers are the same by what they are worth: 1 and 1.0.
fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && b.is_number() && a.as_f64() == b.as_f64() && !(whole(a) && whole(b)))
}

fn whole(number: &Value) -> bool {
    number.is_i64() || number.is_u64()
}

fn apply(name: &str, told: &Value, value: Option<&Value>, at: &str, faults: &mut Faults) {
    let Some(value) = value else {
        if name != "$absent" {
            faults.push(format!("{at}: is not there, should be {name} {told}"));
        }
        return;
    };
    let numbers = || value.as_f64().zip(told.as_f64());
    let holds = match name {
        "$any" => kind(value) == told,
        "$gt" => numbers().is_some_and(|(value, told)| value > told),
        "$lt" => numbers().is_some_and(|(value, told)| value < told),
        "$near" => {
            let near = |value: f64| Some((value - told["to"].as_f64()?).abs() <= told["by"].as_f64()?);
            value.as_f64().and_then(near).unwrap_or(false)
        }
        "$nowhere" => told.as_str().is_some_and(|word| !value.to_string().contains(word)),
        "$not" => !differences(told, value).is_empty(),
        "$contains" => match (value, told) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(items), _) => items.iter().any(|item| differences(told, item).is_empty()),
            _ => false,
        },
        "$len" => {
            let len = value.as_array().map(Vec::len).or_else(|| value.as_object().map(Map::len));
            return compare(told, len.map(Value::from).as_ref(), &format!("{at}.$len"), faults);
        }
        "$each" => match value.as_array() {
            Some(items) if !items.is_empty() => {
                for (n, item) in items.iter().enumerate() {
                    compare(told, Some(item), &format!("{at}.{n}"), faults);
                }
                return;
            }
            _ => false,
        },
        // An `$absent` that is there, and what `check` has refused.
        _ => false,
    };
    if !holds {
        faults.push(format!("{at}: is {value}, should be {name} {told}"));
    }
}
