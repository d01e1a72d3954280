use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{hidden::View, limits, refused};
use crate::Result;

/// A dotted path such as `last.snap.stats.status` or `pools.0.url`, parsed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    text: Box<str>,
    segs: Box<[Seg]>,
}

/// One part of a path: a member's name that may also be an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seg {
    key: Box<str>,
    index: Option<usize>,
}

impl Seg {
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The index, when the part is a number as JSON writes it.
    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }

    fn parse(key: &str) -> Self {
        let number = key.len() <= 9
            && key.bytes().all(|b| b.is_ascii_digit())
            && (key == "0" || !key.starts_with('0'));
        Self { key: key.into(), index: number.then(|| key.parse().ok()).flatten() }
    }
}

impl Path {
    pub(super) fn parse(op: &'static str, text: &str) -> Result<Self> {
        if text.len() > limits::PATH_BYTES {
            let why = format!("the path is longer than {} bytes", limits::PATH_BYTES);
            return Err(refused(op, text, why));
        }
        let segs: Box<[Seg]> = text.split('.').map(Seg::parse).collect();
        if segs.len() > limits::PATH_PARTS {
            return Err(refused(op, text, format!("the path has more than {} parts", limits::PATH_PARTS)));
        }
        if segs.iter().any(|s| s.key.is_empty()) {
            return Err(refused(op, text, "the path has an empty part"));
        }
        if segs.iter().any(|s| s.key.starts_with('$')) {
            return Err(refused(op, text, "operators and positions cannot be part of a path"));
        }
        Ok(Self { text: text.into(), segs })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn segs(&self) -> &[Seg] {
        &self.segs
    }

    /// The one value of the path: a path that leads through an array gives the array of what its elements have.
    pub(super) fn value<'v>(&self, view: View<'v>, doc: &'v Value) -> Option<Cow<'v, Value>> {
        value_at(&self.segs, view, doc)
    }

    /// The first value that the path leads to, looking through arrays.
    pub(super) fn first<'v>(&self, view: View<'_>, doc: &'v Value) -> Option<&'v Value> {
        let mut first = None;
        walk(&self.segs, view, doc, &mut |_, found| {
            first = found;
            first.is_some()
        });
        first
    }
}

/// The member of this name.
///
/// In thousands of documents nothing is in the processor's cache. A search of the tree fetches every key that it
/// compares with; going through them and comparing lengths first, which lie side by side, fetches hardly any but the
/// right one.
pub(super) fn member<'v>(members: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    const FEW: usize = 48;
    if members.len() > FEW {
        return members.get(key);
    }
    members.iter().find(|(k, _)| k.len() == key.len() && *k == key).map(|(_, v)| v)
}

/// Calls `visit` with everything that the path leads to until it says `true`, and returns whether it did.
///
/// A path goes through arrays: each object in an array is followed, and a number also picks the element. `None` is
/// given where the path ends early: at a missing member, a hidden one, or a value that has no members. An array
/// without objects leads to nothing at all, so that `null` does not match it.
pub(super) fn walk<'v, 'h, F>(segs: &[Seg], view: View<'h>, value: &'v Value, visit: &mut F) -> bool
where
    F: FnMut(View<'h>, Option<&'v Value>) -> bool,
{
    let Some((seg, rest)) = segs.split_first() else { return visit(view, Some(value)) };
    match value {
        Value::Object(members) => match (member(members, seg.key()), view.member(seg.key())) {
            (Some(member), Some(view)) => walk(rest, view, member, visit),
            _ => visit(view, None),
        },
        Value::Array(items) => match seg.index {
            None => items.iter().any(|item| item.is_object() && walk(segs, view, item, visit)),
            Some(index) => walk_indexed(segs, index, view, items, visit),
        },
        _ => visit(view, None),
    }
}

fn walk_indexed<'v, 'h, F>(
    segs: &[Seg],
    index: usize,
    view: View<'h>,
    items: &'v [Value],
    visit: &mut F,
) -> bool
where
    F: FnMut(View<'h>, Option<&'v Value>) -> bool,
{
    let mut found = false;
    if let Some(item) = items.get(index) {
        found = true;
        if walk(&segs[1..], view, item, visit) {
            return true;
        }
    }
    // An object in the array may have a member that is called like the index.
    for item in items {
        if item.as_object().is_some_and(|m| m.contains_key(segs[0].key())) {
            found = true;
            if walk(segs, view, item, visit) {
                return true;
            }
        }
    }
    !found && visit(view, None)
}

fn value_at<'v>(segs: &[Seg], view: View<'v>, value: &'v Value) -> Option<Cow<'v, Value>> {
    let Some((seg, rest)) = segs.split_first() else { return Some(view.visible(value)) };
    match value {
        Value::Object(members) => value_at(rest, view.member(seg.key())?, member(members, seg.key())?),
        Value::Array(items) => match seg.index.and_then(|i| items.get(i)) {
            Some(item) => value_at(rest, view, item),
            None if seg.index.is_some() => None,
            None => {
                let objects = items.iter().filter(|v| v.is_object());
                let each = objects.filter_map(|v| value_at(segs, view, v).map(Cow::into_owned));
                Some(Cow::Owned(each.collect()))
            }
        },
        _ => None,
    }
}
