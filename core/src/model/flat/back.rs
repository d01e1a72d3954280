use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::DEEPEST;
use crate::{Error, ErrorKind, Result};

const OP: &str = "model.unflatten";

/// Places of lists that may be filled with `null` because their members are not among those given.
const MOST_GAPS: usize = 1 << 16;

/// Whole numbers up to this size survive a 64-bit float unchanged.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The JSON of what was flat: `values` at the paths `members`, and all of `texts`. Only some of the members give only
/// those; places of lists that are missing are `null`. A value that is not finite is absent.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) when `texts` is no such object, two members exclude each other, a path is nested
/// too deep, or a list has more than 65,536 places without a member.
pub fn unflatten<P: AsRef<str>>(members: &[P], values: &[f64], texts: &str) -> Result<Value> {
    let texts: Map<String, Value> = serde_json::from_str(texts)
        .map_err(|e| Error::new(ErrorKind::Corrupt, OP, "the texts are not a JSON object").caused_by(e))?;
    let mut root = Node::Object(BTreeMap::new());
    for (path, value) in members.iter().zip(values).filter(|(_, value)| value.is_finite()) {
        root.put(path.as_ref(), number(*value))?;
    }
    for (path, value) in texts {
        root.put(&path, value)?;
    }
    let mut gaps = MOST_GAPS;
    root.into_value(&mut gaps)
}

/// A number as JavaScript writes it: `26`, not `26.0`.
#[allow(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() <= EXACT { Value::from(x as i64) } else { Value::from(x) }
}

/// JSON while it is put together.
enum Node {
    Value(Value),
    List(BTreeMap<usize, Node>),
    Object(BTreeMap<String, Node>),
}

/// One step of a path.
enum Step {
    Index(usize),
    Name(String),
}

impl Node {
    fn put(&mut self, path: &str, value: Value) -> Result<()> {
        let steps = steps(path);
        if steps.len() > DEEPEST {
            return Err(corrupt("a path is nested too deep", path));
        }
        let mut steps = steps.into_iter().peekable();
        let mut node = self;
        while let Some(step) = steps.next() {
            let below = match steps.peek() {
                Some(Step::Index(_)) => Self::List(BTreeMap::new()),
                Some(Step::Name(_)) => Self::Object(BTreeMap::new()),
                None => Self::Value(Value::Null),
            };
            node = match (node, step) {
                (Self::List(list), Step::Index(at)) => list.entry(at).or_insert(below),
                (Self::Object(object), Step::Name(name)) => object.entry(name).or_insert(below),
                _ => return Err(corrupt("two members exclude each other", path)),
            };
        }
        match node {
            Self::Value(place @ Value::Null) => *place = value,
            _ => return Err(corrupt("two members exclude each other", path)),
        }
        Ok(())
    }

    fn into_value(self, gaps: &mut usize) -> Result<Value> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Object(members) => {
                let members = members.into_iter().map(|(name, node)| Ok((name, node.into_value(gaps)?)));
                Ok(Value::Object(members.collect::<Result<_>>()?))
            }
            Self::List(items) => {
                let len = items.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
                *gaps = gaps.checked_sub(len - items.len()).ok_or_else(|| {
                    corrupt("a list has too many places without a member", &len.to_string())
                })?;
                let mut out = vec![Value::Null; len];
                for (at, node) in items {
                    if let Some(place) = out.get_mut(at) {
                        *place = node.into_value(gaps)?;
                    }
                }
                Ok(Value::Array(out))
            }
        }
    }
}

fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut name, mut escaped) = (String::new(), false);
    let end = |name: &mut String, escaped: &mut bool| {
        let name = std::mem::take(name);
        let digits = !std::mem::take(escaped) && name.bytes().all(|b| b.is_ascii_digit());
        name.parse().ok().filter(|_| digits).map_or(Step::Name(name), Step::Index)
    };
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => steps.push(end(&mut name, &mut escaped)),
            '\\' => {
                escaped = true;
                name.extend(chars.next());
            }
            c => name.push(c),
        }
    }
    steps.push(end(&mut name, &mut escaped));
    steps
}

fn corrupt(message: &str, path: &str) -> Error {
    Error::new(ErrorKind::Corrupt, OP, message).with("path", path.chars().take(200).collect::<String>())
}
