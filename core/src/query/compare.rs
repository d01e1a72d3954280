use std::cmp::Ordering;

use serde_json::{Number, Value};

/// One of the four ordering operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Order {
    pub(super) fn named(operator: &str) -> Option<Self> {
        Some(match operator {
            "$gt" => Self::Gt,
            "$gte" => Self::Gte,
            "$lt" => Self::Lt,
            "$lte" => Self::Lte,
            _ => return None,
        })
    }

    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
        }
    }
}

/// Whether what stands at a path equals `wanted`: itself, one of its elements, or, for `null`, by being absent.
pub(super) fn equal(found: Option<&Value>, wanted: &Value) -> bool {
    match found {
        None => wanted.is_null(),
        Some(value) => itself_or_element(value, |v| same(v, wanted)),
    }
}

/// Whether what stands at a path is ordered so against `wanted`. Values of different types are in no order.
pub(super) fn ordered(found: Option<&Value>, order: Order, wanted: &Value) -> bool {
    let accepts = |v: &Value| {
        rank(v) == rank(wanted) && order.accepts(total(v, wanted)) && !(v.is_null() && order.strict())
    };
    match found {
        None => accepts(&Value::Null),
        Some(value) => itself_or_element(value, accepts),
    }
}

impl Order {
    fn strict(self) -> bool {
        matches!(self, Self::Gt | Self::Lt)
    }
}

/// A value is tested as it is; an array is also tested by its elements, one level deep.
pub(super) fn itself_or_element(value: &Value, mut test: impl FnMut(&Value) -> bool) -> bool {
    test(value) || value.as_array().is_some_and(|items| items.iter().any(test))
}

/// Equality of JSON values: numbers by value, members of objects in any order.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => numbers(a, b).is_eq(),
        _ => rank(a) == rank(b) && total(a, b).is_eq(),
    }
}

/// An order of all JSON values: null, numbers, strings, objects, arrays, booleans.
pub(super) fn total(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let differs = a.iter().zip(b).map(|(a, b)| total(a, b)).find(|o| o.is_ne());
            differs.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let pairs = a.iter().zip(b);
            let mut each = pairs.map(|((ka, va), (kb, vb))| ka.cmp(kb).then_with(|| total(va, vb)));
            each.find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Object(_) => 3,
        Value::Array(_) => 4,
        Value::Bool(_) => 5,
    }
}

/// Compares by exact value, also where an integer is too large for a float.
pub(super) fn numbers(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => against_float(a, float(b)),
        (None, Some(b)) => against_float(b, float(a)).reverse(),
        (None, None) => float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal),
    }
}

fn against_float(a: i128, b: f64) -> Ordering {
    // Where the rounded integer equals the float, the float is an integer itself and fits easily.
    (a as f64).partial_cmp(&b).unwrap_or(Ordering::Equal).then_with(|| a.cmp(&(b as i128)))
}

/// The number where it is stored as an integer.
pub(super) fn integer(n: &Number) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

pub(super) fn float(n: &Number) -> f64 {
    n.as_f64().unwrap_or(0.0)
}

/// The number where its value is whole, however it is written, as far as 64 bits reach.
pub(super) fn whole(n: &Number) -> Option<i128> {
    integer(n).or_else(|| {
        let value = float(n);
        (value.fract() == 0.0 && value.abs() <= u64::MAX as f64).then_some(value as i128)
    })
}
