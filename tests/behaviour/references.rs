//! What texts of a case stand for.

use serde_json::{Map, Value};

/// A value of a case with everything in place that its texts stand for: `$name.path` what was saved, `{word}` one of
/// `words`.
pub fn resolve(told: &Value, saved: &Map<String, Value>, words: &[(&str, &str)]) -> Result<Value, String> {
    Ok(match told {
        Value::String(text) => match text.strip_prefix('$') {
            Some(rest) if rest.starts_with('$') => rest.into(),
            Some(path) => look(path, saved)?.clone(),
            None => words.iter().fold(text.clone(), |text, (word, is)| text.replace(word, is)).into(),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| resolve(item, saved, words)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let member = |(name, told): (&String, _)| Ok((name.clone(), resolve(told, saved, words)?));
            Value::Object(members.iter().map(member).collect::<Result<_, String>>()?)
        }
        _ => told.clone(),
    })
}

fn look<'a>(path: &str, saved: &'a Map<String, Value>) -> Result<&'a Value, String> {
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let mut found = saved.get(first);
    for part in parts {
        found = match found {
            Some(Value::Object(members)) => members.get(part),
            Some(Value::Array(items)) => part.parse().ok().and_then(|at: usize| items.get(at)),
            _ => None,
        };
    }
    found.ok_or_else(|| format!("there is no ${path}"))
}
