//! JavaScript's values, as far as MiningOS's operations let them show: `undefined`, NaN, and what becomes of texts and
//! objects in an addition.

use std::collections::BTreeMap;

use serde_json::Value;

use super::source::{self, Seen};

/// A value in MiningOS's memory. [`to_json`](Self::to_json) is what its log has of it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Js {
    /// No value.
    #[default]
    Undefined,
    /// `null`.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number; NaN and the infinities too.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(BTreeMap<String, Self>),
}

impl PartialEq for Js {
    /// By what they are: NaN equals NaN.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) | (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b || a.is_nan() && b.is_nan(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
    }
}

impl From<Seen<'_>> for Js {
    fn from(seen: Seen<'_>) -> Self {
        match seen {
            Seen::Absent => Self::Undefined,
            Seen::Null => Self::Null,
            Seen::Bool(b) => Self::Bool(b),
            Seen::Number(n) => Self::Number(n),
            Seen::Text(text) => Self::Text(text.to_owned()),
            Seen::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Seen::Object(members) => {
                Self::Object(members.iter().map(|(name, v)| (name.clone(), Self::from(v))).collect())
            }
        }
    }
}

impl From<&Value> for Js {
    fn from(value: &Value) -> Self {
        Seen::from(value).into()
    }
}

impl Js {
    /// What JavaScript takes for true.
    pub(super) fn truthy(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Bool(b) => *b,
            Self::Number(n) => *n != 0.0 && !n.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::List(_) | Self::Object(_) => true,
        }
    }

    /// `Number(value)`.
    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Undefined => f64::NAN,
            Self::Null => 0.0,
            Self::Bool(b) => f64::from(u8::from(*b)),
            Self::Number(n) => *n,
            Self::Text(text) => from_text(text),
            Self::List(_) | Self::Object(_) => from_text(&self.text()),
        }
    }

    /// What an operation adds for the value: nothing for what counts as false.
    pub(super) fn added(&self) -> f64 {
        if self.truthy() { self.number() } else { 0.0 }
    }

    /// `String(value)`.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Undefined => "undefined".into(),
            Self::Null => "null".into(),
            Self::Bool(b) => b.to_string(),
            Self::Number(n) => number_text(*n),
            Self::Text(text) => text.clone(),
            Self::List(items) => {
                let item = |v: &Self| match v {
                    Self::Undefined | Self::Null => String::new(),
                    other => other.text(),
                };
                items.iter().map(item).collect::<Vec<_>>().join(",")
            }
            Self::Object(_) => "[object Object]".into(),
        }
    }

    /// `self + other`: as texts where one of them is a text, a list or an object.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let textual = |v: &Self| matches!(v, Self::Text(_) | Self::List(_) | Self::Object(_));
        if textual(self) || textual(other) {
            Self::Text(self.text() + &other.text())
        } else {
            Self::Number(self.number() + other.number())
        }
    }

    /// The value as it is written to a log: `undefined` is left out, and NaN is `null`.
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Undefined => return None,
            Self::Null => Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Number(n) => source::number(*n).unwrap_or(Value::Null),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(|v| v.to_json().unwrap_or(Value::Null)).collect(),
            Self::Object(members) => {
                let known = members.iter().filter_map(|(name, v)| Some((name.clone(), v.to_json()?)));
                Value::Object(known.collect())
            }
        })
    }
}

/// `Number(text)`.
fn from_text(text: &str) -> f64 {
    let text = text.trim();
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).map_or(f64::NAN, |n| n as f64);
    match text.get(..2) {
        _ if text.is_empty() => 0.0,
        Some("0x" | "0X") => radix(&text[2..], 16),
        Some("0o" | "0O") => radix(&text[2..], 8),
        Some("0b" | "0B") => radix(&text[2..], 2),
        _ => match text.trim_start_matches(['+', '-']) {
            // Rust reads more names of infinity and NaN than JavaScript.
            "Infinity" => text.replace("Infinity", "inf").parse().unwrap_or(f64::NAN),
            rest if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                text.parse().unwrap_or(f64::NAN)
            }
            _ => f64::NAN,
        },
    }
}

/// `String(number)`: digits from 1e−6 to 1e21, powers beyond.
fn number_text(n: f64) -> String {
    match n {
        _ if n.is_nan() => "NaN".into(),
        _ if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        0.0 => "0".into(),
        _ if (1e-6..1e21).contains(&n.abs()) => n.to_string(),
        _ => {
            let text = format!("{n:e}");
            if n.abs() < 1.0 { text } else { text.replace('e', "e+") }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_values() {
        let number = |v: Value| Js::from(&v).number();
        assert_eq!(number(json!(null)), 0.0);
        assert_eq!(number(json!(true)), 1.0);
        assert_eq!(number(json!(" 25 ")), 25.0);
        assert_eq!(number(json!("")), 0.0);
        assert_eq!(number(json!("0x10")), 16.0);
        assert_eq!(number(json!("-.5e1")), -5.0);
        assert_eq!(number(json!("-Infinity")), f64::NEG_INFINITY);
        assert_eq!(number(json!([4])), 4.0);
        for none in [json!("abc"), json!("inf"), json!("nan"), json!("1x"), json!([1, 2]), json!({})] {
            assert!(number(none.clone()).is_nan(), "{none}");
        }
        assert!(Js::Undefined.number().is_nan());
    }

    #[test]
    fn texts_of_values() {
        let text = |v: Value| Js::from(&v).text();
        assert_eq!(text(json!([1, null, "a", [2.5]])), "1,,a,2.5");
        assert_eq!(text(json!({"a": 1})), "[object Object]");
        assert_eq!(text(json!(1e21)), "1e+21");
        assert_eq!(text(json!(1.5e-7)), "1.5e-7");
        assert_eq!(text(json!(1e20)), "100000000000000000000");
        assert_eq!(text(json!(-0.000001)), "-0.000001");
        assert_eq!(Js::Number(f64::NAN).text(), "NaN");
    }

    #[test]
    fn additions() {
        let plus = |a: Value, b: Value| Js::from(&a).plus(&Js::from(&b)).to_json();
        assert_eq!(plus(json!(2), json!(null)), Some(json!(2)));
        assert_eq!(plus(json!("on"), json!("off")), Some(json!("onoff")));
        assert_eq!(plus(json!("on"), json!(1)), Some(json!("on1")));
        assert_eq!(plus(json!({"t": 1}), json!({"t": 2})), Some(json!("[object Object][object Object]")));
        assert_eq!(Js::Number(1.0).plus(&Js::Undefined).to_json(), Some(Value::Null));
        assert_eq!(Js::Undefined.to_json(), None);
    }
}
