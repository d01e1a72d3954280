use std::{borrow::Cow, sync::Arc};

use serde_json::{Map, Value};

use super::{
    path::{Path, Seg},
    refused,
};
use crate::Result;

/// Members that nobody may list, query or sort by.
///
/// A hidden member is named by its path, and everything below it is hidden too, inside arrays as well; or by its
/// name alone, wherever it stands and in upper or lower case. A filter, projection or sort that names one is refused.
/// One that uses a member *above* it sees and gives that member without what is hidden. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hidden(Arc<Rules>);

#[derive(Debug, Default)]
struct Rules {
    root: Branch,
    names: Names,
    /// Options that stand beside the hidden ones, where everybody sees them.
    shown: &'static [&'static str],
}

#[derive(Debug, Default)]
struct Branch {
    hidden: bool,
    children: Vec<(Box<str>, Branch)>,
}

#[derive(Debug, Default)]
struct Names {
    all: Vec<Box<str>>,
    /// One bit for each length that a name has: nearly all keys are passed by this alone.
    lengths: u64,
}

/// Where connection data live.
const OPTIONS: &str = "opts";

/// What a thing shows of them, as members of its own.
const SHOWN_OPTIONS: &[&str] = &["address", "port", "unitId"];

/// What secrets are called, wherever they stand.
const STANDARD_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "workerPassword",
    "worker_password",
    "secret",
    "credentials",
    "token",
    "privateKey",
    "private_key",
    "apiKey",
    "api_key",
    "apiSecret",
    "api_secret",
];

impl Hidden {
    /// What things hide: `opts`, and every member called like a secret (`password`, `token`, …). What a thing shows of its
    /// options also goes by MiningOS's name for it: `opts.address` is `address`.
    pub fn standard() -> Self {
        let mut rules = Rules { shown: SHOWN_OPTIONS, ..Rules::default() };
        rules.root.hide(&[OPTIONS]);
        for name in STANDARD_NAMES {
            rules.names.add(name);
        }
        Self(Arc::new(rules))
    }

    /// Hides nothing: for records that hold no secret.
    pub fn nothing() -> Self {
        Self(Arc::default())
    }

    /// Hides the members at `paths` (dotted, without array indices) and all members called one of `names`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a path that is empty or has an empty part.
    pub fn new(paths: &[&str], names: &[&str]) -> Result<Self> {
        let mut rules = Rules::default();
        for path in paths {
            let parsed = Path::parse("query.hidden", path)?;
            let keys: Vec<&str> = parsed.segs().iter().map(|s| s.key()).collect();
            rules.root.hide(&keys);
        }
        names.iter().for_each(|name| rules.names.add(name));
        Ok(Self(Arc::new(rules)))
    }

    /// Whether the dotted path names a hidden member or something inside one.
    pub fn hides(&self, path: &str) -> bool {
        Path::parse("query.hidden", path).is_ok_and(|p| self.hides_segs(&[p.segs()]))
    }

    /// The path that a question names below `base`; refused when it is hidden and so cannot be `done`.
    pub(super) fn path(&self, op: &'static str, base: &[Seg], text: &str, done: &str) -> Result<Path> {
        let option = text.strip_prefix(OPTIONS).and_then(|rest| rest.strip_prefix('.'));
        let shown = option.filter(|name| base.is_empty() && self.0.shown.contains(name));
        let path = Path::parse(op, shown.unwrap_or(text))?;
        if self.hides_segs(&[base, path.segs()]) {
            return Err(refused(op, text, format!("this member is hidden and cannot be {done}")));
        }
        Ok(path)
    }

    fn hides_segs(&self, pieces: &[&[Seg]]) -> bool {
        let segs: Vec<&Seg> = pieces.iter().copied().flatten().collect();
        segs.iter().any(|s| self.0.names.has(s.key())) || self.0.root.reaches(&segs)
    }

    /// The view of a whole document.
    pub(super) fn view(&self) -> View<'_> {
        let rules = &*self.0;
        let branch = Some(&rules.root).filter(|b| !b.children.is_empty());
        View { names: &rules.names, branch }
    }
}

impl Default for Hidden {
    /// [`Hidden::standard`].
    fn default() -> Self {
        Self::standard()
    }
}

impl Branch {
    fn hide(&mut self, keys: &[&str]) {
        let Some((key, rest)) = keys.split_first() else {
            self.hidden = true;
            return;
        };
        let at = self.children.iter().position(|(k, _)| **k == **key).unwrap_or(self.children.len());
        if at == self.children.len() {
            self.children.push(((*key).into(), Self::default()));
        }
        self.children[at].1.hide(rest);
    }

    fn child(&self, key: &str) -> Option<&Self> {
        self.children.iter().find(|(k, _)| **k == *key).map(|(_, b)| b)
    }

    /// Whether a path can end in or below something hidden. A number may be an index, which steps over nothing.
    fn reaches(&self, segs: &[&Seg]) -> bool {
        if self.hidden {
            return true;
        }
        let Some((seg, rest)) = segs.split_first() else { return false };
        self.child(seg.key()).is_some_and(|b| b.reaches(rest))
            || (seg.index().is_some() && self.reaches(rest))
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        self.lengths |= 1 << name.len().min(63);
        self.all.push(name.into());
    }

    fn has(&self, key: &str) -> bool {
        self.lengths & (1 << key.len().min(63)) != 0 && self.all.iter().any(|n| n.eq_ignore_ascii_case(key))
    }
}

/// What is hidden below the place in a document that has been reached. Elements of an array have its view.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'h> {
    names: &'h Names,
    branch: Option<&'h Branch>,
}

impl<'h> View<'h> {
    /// Hides nothing.
    pub(super) const NOTHING: View<'static> =
        View { names: &Names { all: Vec::new(), lengths: 0 }, branch: None };

    /// The view of an object's member; `None` when it is hidden.
    pub(super) fn member(self, key: &str) -> Option<Self> {
        if self.names.has(key) {
            return None;
        }
        let branch = self.branch.and_then(|b| b.child(key));
        if branch.is_some_and(|b| b.hidden) { None } else { Some(Self { branch, ..self }) }
    }

    pub(super) fn hides_something(self) -> bool {
        self.branch.is_some() || self.names.lengths != 0
    }

    fn hides_in(self, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|v| self.hides_in(v)),
            Value::Object(members) => {
                members.iter().any(|(k, v)| self.member(k).is_none_or(|view| view.hides_in(v)))
            }
            _ => false,
        }
    }

    /// The value without what is hidden in it; copied only if something is.
    pub(super) fn visible(self, value: &Value) -> Cow<'_, Value> {
        if self.hides_something() && self.hides_in(value) {
            Cow::Owned(self.stripped(value))
        } else {
            Cow::Borrowed(value)
        }
    }

    /// A copy without what is hidden.
    pub(super) fn copy(self, value: &Value) -> Value {
        if self.hides_something() { self.stripped(value) } else { value.clone() }
    }

    fn stripped(self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|v| self.stripped(v)).collect(),
            Value::Object(members) => {
                let shown =
                    members.iter().filter_map(|(k, v)| Some((k.clone(), self.member(k)?.stripped(v))));
                object(shown)
            }
            other => other.clone(),
        }
    }
}

/// An object of members in ascending order. Adding them one by one is cheaper than collecting, which sorts them first.
pub(super) fn object(members: impl Iterator<Item = (String, Value)>) -> Value {
    let mut out = Map::new();
    members.for_each(|(key, value)| {
        out.insert(key, value);
    });
    Value::Object(out)
}
