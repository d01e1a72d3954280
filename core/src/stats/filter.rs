//! Which things an operation counts.

use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Semantics, js, refused,
    source::{Of, Path, Seen, Source},
};
use crate::Result;

/// Nesting of `all` and `any`.
const MOST_DEPTH: usize = 16;
/// Bytes of a compiled pattern.
const MOST_REGEX_BYTES: usize = 64 * 1024;

/// A condition on a thing.
///
/// Written `{path, cmp, value, of}`, or `{all: […]}` and `{any: […]}` of such. `cmp` is `eq` and `ne` (by type and
/// value; a missing member is not equal to anything), `in` (one of a list), `gt` (a greater number), `truthy` and
/// `falsy` (as JavaScript has them; missing, 0 and the empty text are false), `notnull` (there and not `null`), or
/// `regex` (a pattern found in the text of the value, `\d` and the like mean ASCII). `of: "ext"` begins at what the
/// thing is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Filter {
    /// All hold.
    All(Vec<Self>),
    /// One holds.
    Any(Vec<Self>),
    /// What stands at a path holds.
    Test(Of, Path, Cmp),
}

/// A test of what stands at a path.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Cmp {
    /// Is this value.
    Eq(Value),
    /// Is not this value.
    Ne(Value),
    /// Is one of these.
    In(Vec<Value>),
    /// Is a greater number.
    Gt(f64),
    /// Counts as true.
    Truthy,
    /// Counts as false.
    Falsy,
    /// Is there.
    NotNull,
    /// Has a match.
    Regex(Regex),
}

impl PartialEq for Cmp {
    /// Patterns are equal when their texts are.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Eq(a), Self::Eq(b)) | (Self::Ne(a), Self::Ne(b)) => a == b,
            (Self::In(a), Self::In(b)) => a == b,
            (Self::Gt(a), Self::Gt(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All(a), Self::All(b)) | (Self::Any(a), Self::Any(b)) => a == b,
            (Self::Test(of, path, cmp), Self::Test(o, p, c)) => of == o && path == p && cmp == c,
            _ => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    All { all: Vec<Value> },
    Any { any: Vec<Value> },
    Test(WireTest),
}

#[derive(Deserialize)]
struct WireTest {
    path: String,
    cmp: String,
    #[serde(default)]
    value: Value,
    of: Option<String>,
}

impl Filter {
    /// Reads the written form.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_STATS_SPEC_INVALID`.
    pub fn parse(value: &Value) -> Result<Self> {
        Self::nested(value, MOST_DEPTH)
    }

    fn nested(value: &Value, depth: usize) -> Result<Self> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(refused("filter", "all and any are nested too deeply"));
        };
        let wire = Wire::deserialize(value).map_err(|_| refused("filter", "no filter has this form"))?;
        let each = |list: &[Value]| list.iter().map(|f| Self::nested(f, depth)).collect::<Result<Vec<_>>>();
        match wire {
            Wire::All { all } => each(&all).map(Self::All),
            Wire::Any { any } => each(&any).map(Self::Any),
            Wire::Test(WireTest { path, cmp, value, of }) => {
                Ok(Self::Test(of_named(of.as_deref())?, Path::parse(&path)?, Cmp::parse(&cmp, value)?))
            }
        }
    }

    /// Whether the thing is counted. The semantics differ in `gt` alone: MiningOS's compares texts of digits too.
    pub fn holds<S: Source + ?Sized>(&self, source: &S, semantics: Semantics) -> bool {
        match self {
            Self::All(each) => each.iter().all(|f| f.holds(source, semantics)),
            Self::Any(each) => each.iter().any(|f| f.holds(source, semantics)),
            Self::Test(of, path, cmp) => cmp.holds(source.look(*of, path), semantics),
        }
    }

    /// All paths that it looks at.
    pub fn paths(&self) -> Vec<(Of, &Path)> {
        match self {
            Self::All(each) | Self::Any(each) => each.iter().flat_map(Self::paths).collect(),
            Self::Test(of, path, _) => vec![(*of, path)],
        }
    }
}

pub(super) fn of_named(of: Option<&str>) -> Result<Of> {
    match of {
        None | Some("entry") => Ok(Of::Entry),
        Some("ext") => Ok(Of::Ext),
        Some(other) => Err(refused(other, "'of' is entry or ext")),
    }
}

impl Cmp {
    fn parse(cmp: &str, value: Value) -> Result<Self> {
        Ok(match (cmp, value) {
            ("eq", value) => Self::Eq(value),
            ("ne", value) => Self::Ne(value),
            ("in", Value::Array(list)) => Self::In(list),
            ("gt", Value::Number(n)) => Self::Gt(n.as_f64().unwrap_or(f64::NAN)),
            ("truthy", _) => Self::Truthy,
            ("falsy", _) => Self::Falsy,
            ("notnull", _) => Self::NotNull,
            ("regex", Value::String(text)) => {
                let built = RegexBuilder::new(&text).unicode(false).size_limit(MOST_REGEX_BYTES).build();
                Self::Regex(built.map_err(|e| refused("filter", "not a pattern").caused_by(e))?)
            }
            (other, _) => return Err(refused(other, "no such comparison, or not with such a value")),
        })
    }

    pub(super) fn holds(&self, seen: Seen<'_>, semantics: Semantics) -> bool {
        match self {
            Self::Eq(value) => equal(seen, value),
            Self::Ne(value) => !equal(seen, value),
            Self::In(list) => list.iter().any(|value| equal(seen, value)),
            Self::Gt(least) => match semantics {
                Semantics::Corrected => seen.number().is_some_and(|n| n > *least),
                Semantics::MiningOs => js::Js::from(seen).number() > *least,
            },
            Self::Truthy => seen.truthy(),
            Self::Falsy => !seen.truthy(),
            Self::NotNull => !matches!(seen, Seen::Absent | Seen::Null),
            Self::Regex(regex) => match seen {
                Seen::Absent | Seen::Null => false,
                Seen::Text(text) => regex.is_match(text.as_bytes()),
                other => regex.is_match(js::Js::from(other).text().as_bytes()),
            },
        }
    }
}

/// JavaScript's `===`: lists and objects are equal to nothing that is written down.
fn equal(seen: Seen<'_>, value: &Value) -> bool {
    match (seen, Seen::from(value)) {
        (Seen::Null, Seen::Null) => true,
        (Seen::Bool(a), Seen::Bool(b)) => a == b,
        (Seen::Number(a), Seen::Number(b)) => a == b,
        (Seen::Text(a), Seen::Text(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(filter: &Value, entry: &Value, semantics: Semantics) -> bool {
        Filter::parse(filter).unwrap().holds(entry, semantics)
    }

    #[test]
    fn comparisons() {
        let entry = json!({"n": 5, "z": 0, "t": "tr12", "d": "7", "u": null, "l": [1]});
        for (filter, expected) in [
            (json!({"path": "n", "cmp": "eq", "value": 5.0}), true),
            (json!({"path": "d", "cmp": "eq", "value": 7}), false),
            (json!({"path": "x", "cmp": "ne", "value": "maintenance"}), true),
            (json!({"path": "x", "cmp": "eq", "value": null}), false),
            (json!({"path": "t", "cmp": "in", "value": ["a", "tr12"]}), true),
            (json!({"path": "z", "cmp": "truthy"}), false),
            (json!({"path": "x", "cmp": "falsy"}), true),
            (json!({"path": "l.length", "cmp": "truthy"}), true),
            (json!({"path": "u", "cmp": "notnull"}), false),
            (json!({"path": "z", "cmp": "notnull"}), true),
            (json!({"path": "t", "cmp": "regex", "value": "^tr\\d+$"}), true),
            (json!({"path": "n", "cmp": "regex", "value": "^5$"}), true),
            (json!({"path": "x", "cmp": "regex", "value": ".*"}), false),
            (json!({"any": [{"path": "z", "cmp": "truthy"}, {"path": "n", "cmp": "gt", "value": 4}]}), true),
            (json!({"all": [{"path": "z", "cmp": "truthy"}, {"path": "n", "cmp": "gt", "value": 4}]}), false),
        ] {
            for semantics in [Semantics::Corrected, Semantics::MiningOs] {
                assert_eq!(holds(&filter, &entry, semantics), expected, "{filter} {semantics:?}");
            }
        }
        let text = json!({"path": "d", "cmp": "gt", "value": 0});
        assert!(holds(&text, &entry, Semantics::MiningOs));
        assert!(!holds(&text, &entry, Semantics::Corrected));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let mut deep = json!({"path": "a", "cmp": "truthy"});
        for _ in 0..MOST_DEPTH {
            deep = json!({"all": [deep]});
        }
        for bad in [
            json!({}),
            json!([]),
            json!({"path": "a"}),
            json!({"path": "a", "cmp": "like", "value": 1}),
            json!({"path": "a", "cmp": "in", "value": 1}),
            json!({"path": "a", "cmp": "gt", "value": "1"}),
            json!({"path": "a", "cmp": "regex", "value": "("}),
            json!({"path": "a", "cmp": "eq", "value": 1, "of": "opts"}),
            deep,
        ] {
            assert_eq!(Filter::parse(&bad).unwrap_err().code(), "ERR_STATS_SPEC_INVALID", "{bad}");
        }
    }

    #[test]
    fn paths_are_all_that_is_looked_at() {
        let filter = json!({"all": [{"path": "a", "cmp": "truthy"},
            {"any": [{"path": "b.c", "cmp": "falsy", "of": "ext"}]}]});
        let filter = Filter::parse(&filter).unwrap();
        let paths: Vec<(Of, &str)> = filter.paths().into_iter().map(|(of, p)| (of, p.text())).collect();
        assert_eq!(paths, [(Of::Entry, "a"), (Of::Ext, "b.c")]);
    }
}
