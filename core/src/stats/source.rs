//! What operations read: a thing as its last reading with its facts, and paths into it.

use serde_json::{Map, Value};

use super::refused;
use crate::Result;

/// Bytes of a path.
const MOST_BYTES: usize = 1_024;
/// Parts of a path.
const MOST_PARTS: usize = 32;

/// Which of the two documents of a thing a path begins in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Of {
    /// `{last, info}`: the last reading and the facts. A row of statistics, where rows are folded.
    #[default]
    Entry,
    /// `{id, tags, info, opts, type}`: what the thing is.
    Ext,
}

/// A dotted path such as `last.snap.stats.power_w`, parsed once. `a[0].b` and `a.0.b` read an element, `a.length` is
/// the length of a list or text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Part {
    name: Box<str>,
    index: Option<usize>,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID` for what is no path, or a very long one.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| Err(refused(text, why));
        if text.len() > MOST_BYTES {
            return wrong("the path is longer than 1,024 bytes");
        }
        let mut parts = Vec::new();
        for piece in text.split('.') {
            let (name, indices) = piece.split_at(piece.find('[').unwrap_or(piece.len()));
            if name.is_empty() {
                return wrong("the path has an empty part");
            }
            parts.push(Part { name: name.into(), index: index(name) });
            for bracket in indices.split_inclusive(']') {
                let inner = bracket.strip_prefix('[').and_then(|b| b.strip_suffix(']'));
                let Some(at) = inner.and_then(index) else { return wrong("an element is written [0]") };
                parts.push(Part { name: at.to_string().into(), index: Some(at) });
            }
        }
        if parts.len() > MOST_PARTS {
            return wrong("the path has more than 32 parts");
        }
        Ok(Self { text: text.into(), parts: parts.into() })
    }

    /// The path as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its parts: names of members, and numbers of elements.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &*part.name)
    }

    /// What it leads to in a JSON document.
    pub fn look<'v>(&self, doc: &'v Value) -> Seen<'v> {
        let mut at = doc;
        for (i, part) in self.parts.iter().enumerate() {
            let next = match at {
                Value::Object(members) => members.get(&*part.name),
                Value::Array(items) => part.index.and_then(|at| items.get(at)),
                _ => None,
            };
            match next {
                Some(value) => at = value,
                None if i + 1 == self.parts.len() && *part.name == *"length" => return length(at),
                None => return Seen::Absent,
            }
        }
        Seen::from(at)
    }
}

fn index(text: &str) -> Option<usize> {
    let number = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    number.then(|| text.parse().ok()).flatten()
}

/// What JavaScript calls the length of a list or of a text.
fn length<'v>(value: &Value) -> Seen<'v> {
    match value {
        Value::Array(items) => Seen::Number(items.len() as f64),
        Value::String(text) => Seen::Number(text.encode_utf16().count() as f64),
        _ => Seen::Absent,
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Seen<'v> {
    /// Nothing.
    Absent,
    /// `null`.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'v str),
    /// A list.
    List(&'v [Value]),
    /// An object.
    Object(&'v Map<String, Value>),
}

impl<'v> Seen<'v> {
    /// The number, where it is one and finite: a text of digits is none.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(n).filter(|n| n.is_finite()),
            _ => None,
        }
    }

    /// The text, where it is one.
    pub fn text(self) -> Option<&'v str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is a value: neither absent, nor `null`, nor a number that is none.
    pub fn is_value(self) -> bool {
        match self {
            Self::Absent | Self::Null => false,
            Self::Number(n) => n.is_finite(),
            _ => true,
        }
    }

    /// What JavaScript takes for true.
    pub fn truthy(self) -> bool {
        match self {
            Self::Absent | Self::Null => false,
            Self::Bool(b) => b,
            Self::Number(n) => n != 0.0 && !n.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::List(_) | Self::Object(_) => true,
        }
    }

    /// As JSON; `None` for what is no value.
    pub fn to_value(self) -> Option<Value> {
        match self {
            Self::Absent | Self::Null => None,
            Self::Bool(b) => Some(b.into()),
            Self::Number(n) => number(n),
            Self::Text(text) => Some(text.into()),
            Self::List(items) => Some(items.to_vec().into()),
            Self::Object(members) => Some(members.clone().into()),
        }
    }
}

impl<'v> From<&'v Value> for Seen<'v> {
    fn from(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => n.as_f64().map_or(Self::Absent, Self::Number),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items),
            Value::Object(members) => Self::Object(members),
        }
    }
}

/// A number as JavaScript writes it: whole ones without a point. `None` for what JSON has no number for.
pub fn number(n: f64) -> Option<Value> {
    /// Above it not every whole number is a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if n.fract() == 0.0 && n.abs() <= EXACT {
        return Some((n as i64).into());
    }
    serde_json::Number::from_f64(n).map(Value::Number)
}

/// A thing, or a row, that operations read.
pub trait Source {
    /// What stands at a path.
    fn look(&self, of: Of, path: &Path) -> Seen<'_>;
}

impl<S: Source + ?Sized> Source for &S {
    fn look(&self, of: Of, path: &Path) -> Seen<'_> {
        (**self).look(of, path)
    }
}

/// A thing as two JSON documents.
#[derive(Debug, Clone, Copy)]
pub struct Json<'v> {
    /// `{last, info}`.
    pub entry: &'v Value,
    /// `{id, tags, info, opts, type}`; rows have none.
    pub ext: Option<&'v Value>,
}

impl Source for Json<'_> {
    fn look(&self, of: Of, path: &Path) -> Seen<'_> {
        match of {
            Of::Entry => path.look(self.entry),
            Of::Ext => self.ext.map_or(Seen::Absent, |ext| path.look(ext)),
        }
    }
}

impl Source for Value {
    /// A row: there is no ext.
    fn look(&self, of: Of, path: &Path) -> Seen<'_> {
        match of {
            Of::Entry => path.look(self),
            Of::Ext => Seen::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(doc: &Value, path: &str) -> Option<Value> {
        Path::parse(path).unwrap().look(doc).to_value()
    }

    #[test]
    fn paths_lead_through_members_and_elements() {
        let doc = json!({"a": [{"b": 4}, {"b": null}], "t": "né", "o": {"length": 7}, "n": 2.5});
        assert_eq!(at(&doc, "a[0].b"), Some(json!(4)));
        assert_eq!(at(&doc, "a.0.b"), Some(json!(4)));
        assert_eq!(at(&doc, "a.length"), Some(json!(2)));
        assert_eq!(at(&doc, "t.length"), Some(json!(2)));
        assert_eq!(at(&doc, "o.length"), Some(json!(7)));
        assert_eq!(at(&doc, "n"), Some(json!(2.5)));
        for absent in ["a[2].b", "a.b", "n.length", "x.y.z", "t.0", "a[1].b"] {
            assert_eq!(at(&doc, absent), None, "{absent}");
        }
        assert_eq!(Path::parse("a[1].b").unwrap().look(&doc), Seen::Null);
        assert_eq!(Path::parse("a[1][2].b").unwrap().parts().collect::<Vec<_>>(), ["a", "1", "2", "b"]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = "x".repeat(MOST_BYTES + 1);
        let deep = "x.".repeat(MOST_PARTS) + "x";
        for bad in ["", "a..b", ".a", "a[", "a[]", "a[x]", "a[0]b", "[0]", &long, &deep] {
            assert_eq!(Path::parse(bad).unwrap_err().code(), "ERR_STATS_SPEC_INVALID", "{bad}");
        }
    }

    #[test]
    fn numbers_are_written_as_in_javascript() {
        let text = |n: f64| number(n).map(|v| v.to_string());
        assert_eq!(text(7905.0).as_deref(), Some("7905"));
        assert_eq!(text(-0.0).as_deref(), Some("0"));
        assert_eq!(text(1317.5).as_deref(), Some("1317.5"));
        assert_eq!(text(1e300).as_deref(), Some("1e+300"));
        assert_eq!(text(f64::NAN), None);
        assert_eq!(text(f64::INFINITY), None);
    }
}
