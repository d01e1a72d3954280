//! The language once more, written for clarity instead of speed: it reads the filter anew for each document, and shares
//! nothing with what it judges.

use std::cmp::Ordering;

use serde_json::Value;

/// Whether a well-formed filter holds. Panics on what the language does not have.
pub(super) fn holds(filter: &Value, doc: &Value) -> bool {
    let members = filter.as_object().unwrap();
    members.iter().all(|(key, value)| {
        let each = || value.as_array().unwrap().iter().map(|f| holds(f, doc));
        match key.as_str() {
            "$and" => each().all(|h| h),
            "$or" => each().any(|h| h),
            "$nor" => !each().any(|h| h),
            "$expr" => truthy(&evaluate(value, doc)),
            path => {
                let found = lookup(doc, &path.split('.').collect::<Vec<_>>());
                condition(value, &found)
            }
        }
    })
}

/// All that a path leads to; `None` for each place where it ends early.
fn lookup(value: &Value, path: &[&str]) -> Vec<Option<Value>> {
    let [key, rest @ ..] = path else { return vec![Some(value.clone())] };
    match value {
        Value::Object(members) if members.contains_key(*key) => lookup(&members[*key], rest),
        Value::Array(items) => {
            let objects = || items.iter().filter(|i| i.is_object());
            let Ok(index) = key.parse::<usize>() else {
                return objects().flat_map(|o| lookup(o, path)).collect();
            };
            let mut found: Vec<_> = items.iter().skip(index).take(1).flat_map(|i| lookup(i, rest)).collect();
            found.extend(objects().filter(|o| o.get(*key).is_some()).flat_map(|o| lookup(o, path)));
            if found.is_empty() && items.len() <= index && !objects().any(|o| o.get(*key).is_some()) {
                found.push(None);
            }
            found
        }
        _ => vec![None],
    }
}

fn condition(condition: &Value, found: &[Option<Value>]) -> bool {
    match condition.as_object() {
        Some(members) if members.keys().any(|k| k.starts_with('$')) => {
            members.iter().all(|(operator, operand)| operator_holds(operator, operand, members, found))
        }
        _ => operator_holds("$eq", condition, &serde_json::Map::new(), found),
    }
}

fn operator_holds(
    operator: &str,
    operand: &Value,
    beside: &serde_json::Map<String, Value>,
    found: &[Option<Value>],
) -> bool {
    // The values themselves and the elements of those that are arrays.
    let leaves = || {
        let values = found.iter().flatten().cloned();
        values.flat_map(|v| [vec![v.clone()], v.as_array().cloned().unwrap_or_default()].concat())
    };
    let missing = found.iter().any(Option::is_none);
    let list = || operand.as_array().unwrap().clone();
    match operator {
        "$eq" => leaves().any(|v| equal(&v, operand)) || (missing && operand.is_null()),
        "$ne" => !operator_holds("$eq", operand, beside, found),
        "$gt" | "$lt" => leaves().any(|v| within_type(&v, operand) == Some(wanted(operator))),
        "$gte" | "$lte" => {
            let strict = if operator == "$gte" { "$gt" } else { "$lt" };
            operator_holds(strict, operand, beside, found) || operator_holds("$eq", operand, beside, found)
        }
        "$in" => list().iter().any(|one| operator_holds("$eq", one, beside, found)),
        "$nin" => !list().iter().any(|one| operator_holds("$eq", one, beside, found)),
        "$not" => !condition(operand, found),
        "$exists" => {
            found.iter().any(Option::is_some) == (operand == &Value::Bool(true) || operand == &Value::from(1))
        }
        "$type" => {
            let names = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
            names.iter().any(|name| leaves().any(|v| is_of(&v, name)))
        }
        "$mod" => leaves().any(|v| {
            let (divisor, rest) = (operand[0].as_f64().unwrap(), operand[1].as_f64().unwrap());
            v.as_f64().or(v.is_null().then_some(0.0)).is_some_and(|n| n % divisor == rest)
        }),
        "$regex" => leaves().any(|v| {
            let fold = beside.get("$options").is_some_and(|o| o.as_str().unwrap().contains('i'));
            let case = |t: &str| if fold { t.to_lowercase() } else { t.to_owned() };
            v.as_str().is_some_and(|text| pike(&case(operand.as_str().unwrap()), &case(text)))
        }),
        "$options" => true,
        "$all" => {
            let each = |one: &Value| match one.get("$elemMatch") {
                Some(inner) => operator_holds("$elemMatch", inner, beside, found),
                None => operator_holds("$eq", one, beside, found),
            };
            !list().is_empty() && list().iter().all(each)
        }
        "$elemMatch" => {
            let logical = |k: &str| ["$and", "$or", "$nor", "$expr"].contains(&k);
            let of_members = operand.as_object().unwrap().keys().all(|k| !k.starts_with('$') || logical(k));
            let arrays = found.iter().flatten().filter_map(|v| v.as_array().cloned());
            arrays.flatten().any(|item| match of_members {
                true => (item.is_object() || item.is_array()) && holds(operand, &item),
                false => condition(operand, &[Some(item)]),
            })
        }
        "$size" => {
            found.iter().flatten().any(|v| v.as_array().is_some_and(|a| operand == &Value::from(a.len())))
        }
        bits => leaves().any(|v| bit_test(bits, &v, operand)),
    }
}

fn wanted(operator: &str) -> Ordering {
    if operator == "$gt" { Ordering::Greater } else { Ordering::Less }
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap()
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => number(a) == number(b),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

fn kind(v: &Value) -> usize {
    let tests = [Value::is_null, Value::is_number, Value::is_string, Value::is_object, Value::is_array];
    tests.iter().position(|is| is(v)).unwrap_or(5)
}

fn within_type(a: &Value, b: &Value) -> Option<Ordering> {
    (kind(a) == kind(b)).then(|| by_all(a, b))
}

fn by_all(a: &Value, b: &Value) -> Ordering {
    if kind(a) != kind(b) {
        return kind(a).cmp(&kind(b));
    }
    match a {
        Value::Number(_) => number(a).partial_cmp(&number(b)).unwrap(),
        Value::String(text) => text.as_bytes().cmp(b.as_str().unwrap().as_bytes()),
        Value::Bool(_) => a.as_bool().cmp(&b.as_bool()),
        Value::Null => Ordering::Equal,
        Value::Array(items) => pairwise(items.iter(), b.as_array().unwrap().iter(), by_all),
        Value::Object(members) => {
            pairwise(members.iter(), b.as_object().unwrap().iter(), |(k, x), (l, y)| {
                if k == l { by_all(x, y) } else { k.cmp(l) }
            })
        }
    }
}

fn pairwise<T>(
    mut a: impl Iterator<Item = T>,
    mut b: impl Iterator<Item = T>,
    by: fn(T, T) -> Ordering,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) => match by(x, y) {
                Ordering::Equal => {}
                other => return other,
            },
        }
    }
}

fn is_of(v: &Value, name: &Value) -> bool {
    let whole = v.as_f64().filter(|n| n.fract() == 0.0);
    match name.as_str().unwrap_or("") {
        "number" | "double" | "decimal" => v.is_number(),
        "string" => v.is_string(),
        "object" => v.is_object(),
        "array" => v.is_array(),
        "bool" => v.is_boolean(),
        "null" => v.is_null(),
        "int" => whole.is_some_and(|n| n.abs() < 2_147_483_648.0),
        "long" => whole.is_some_and(|n| n.abs() < 9.2e18),
        _ => match name.as_i64() {
            Some(1) => v.is_number(),
            Some(2) => v.is_string(),
            Some(10) => v.is_null(),
            _ => false,
        },
    }
}

fn bit_test(operator: &str, v: &Value, operand: &Value) -> bool {
    let Some(n) = v.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15) else { return false };
    let set = |position: u32| (n as i64 >> position) & 1 == 1;
    let positions: Vec<u32> = match operand.as_array() {
        Some(list) => list.iter().map(|p| number(p) as u32).collect(),
        None => (0..63).filter(|p| (number(operand) as i64 >> p) & 1 == 1).collect(),
    };
    match operator {
        "$bitsAllSet" => positions.iter().all(|p| set(*p)),
        "$bitsAnySet" => positions.iter().any(|p| set(*p)),
        "$bitsAllClear" => !positions.iter().any(|p| set(*p)),
        "$bitsAnyClear" => positions.iter().any(|p| !set(*p)),
        other => panic!("{other} is no operator"),
    }
}

/// A pattern of plain characters, `.`, `*`, and `^` and `$` at its ends.
fn pike(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    match pattern.split_first() {
        Some(('^', rest)) => here(rest, &text),
        _ => (0..=text.len()).any(|at| here(&pattern, &text[at..])),
    }
}

fn here(pattern: &[char], text: &[char]) -> bool {
    let one = |c: &char| text.first().is_some_and(|t| *c == '.' || c == t);
    match pattern {
        [] => true,
        ['$'] => text.is_empty(),
        [c, '*', rest @ ..] => here(rest, text) || (one(c) && here(pattern, &text[1..])),
        [c, rest @ ..] => one(c) && here(rest, &text[1..]),
    }
}

/// An expression's value; `None` for what is missing.
fn evaluate(expr: &Value, doc: &Value) -> Option<Value> {
    if let Some(path) = expr.as_str().and_then(|t| t.strip_prefix('$')) {
        return member(doc, &path.split('.').collect::<Vec<_>>());
    }
    let Some((operator, operand)) = expr.as_object().and_then(|m| m.iter().find(|(k, _)| k.starts_with('$')))
    else {
        return Some(expr.clone());
    };
    let operands: Vec<Option<Value>> = match operand.as_array() {
        Some(list) => list.iter().map(|e| evaluate(e, doc)).collect(),
        None => vec![evaluate(operand, doc)],
    };
    let null = |v: &Option<Value>| v.clone().unwrap_or(Value::Null);
    Some(match operator.as_str() {
        "$and" => operands.iter().all(truthy).into(),
        "$or" => operands.iter().any(truthy).into(),
        "$not" => (!truthy(&operands[0])).into(),
        "$cmp" => Value::from(by_all(&null(&operands[0]), &null(&operands[1])) as i8),
        other => operator_holds(other, &null(&operands[1]), &serde_json::Map::new(), &operands[..1]).into(),
    })
}

fn member(value: &Value, path: &[&str]) -> Option<Value> {
    let [key, rest @ ..] = path else { return Some(value.clone()) };
    match value {
        Value::Object(members) => member(members.get(*key)?, rest),
        Value::Array(items) => match key.parse::<usize>() {
            Ok(index) => member(items.get(index)?, rest),
            Err(_) => Some(items.iter().filter(|i| i.is_object()).filter_map(|i| member(i, path)).collect()),
        },
        _ => None,
    }
}

fn truthy(value: &Option<Value>) -> bool {
    !matches!(value, None | Some(Value::Null | Value::Bool(false)))
        && value.as_ref().and_then(Value::as_f64) != Some(0.0)
}
