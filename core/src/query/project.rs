use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    compare,
    filter::Element,
    hidden::{Hidden, View},
    limits, parse,
    path::{Path, Seg, member},
    refused,
    row::Row,
    shown,
    view::Shown,
};
use crate::Result;

const OP: &str = "query.fields";

/// Which members of a document a listing gives, compiled once. The [module's page](super) lists what it can say.
///
/// What is hidden is never given, whatever the projection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Projection(Arc<Rules>);

#[derive(Debug, Default)]
struct Rules {
    mode: Mode,
    root: Branch,
    copies: Vec<Copy>,
    hidden: Hidden,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// All but what is named.
    #[default]
    Exclude,
    /// Only what is named.
    Include,
}

/// What is said of a member or element and of what is below it.
#[derive(Debug, Default)]
pub(super) struct Branch {
    act: Option<Act>,
    children: Vec<(Seg, Branch)>,
}

#[derive(Debug)]
enum Act {
    Keep,
    Drop,
    Slice(Slice),
    Element(Element),
}

/// A member that takes another's value.
#[derive(Debug)]
struct Copy {
    to: Path,
    from: Path,
}

impl Projection {
    /// Compiles a projection of things: what [`Hidden::standard`] names cannot be asked for.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_QUERY_INVALID`, naming the member (`field`).
    pub fn parse(fields: &Value) -> Result<Self> {
        Self::parse_with(fields, &Hidden::standard())
    }

    /// Compiles a projection of documents that hide `hidden`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(fields: &Value, hidden: &Hidden) -> Result<Self> {
        let Value::Object(members) = fields else {
            return Err(refused(OP, "fields", "a projection is an object"));
        };
        let mut parser = Parser { hidden, rules: Rules::default(), mode: None, count: 0 };
        parser.members("", members, 0)?;
        let mode = parser.mode.unwrap_or_default();
        Ok(Self(Arc::new(Rules { mode, hidden: hidden.clone(), ..parser.rules })))
    }

    /// Everything but what [`Hidden::standard`] names.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether it may give something of this member of a document.
    pub fn uses(&self, member: &str) -> bool {
        let Rules { mode, root, copies, .. } = &*self.0;
        let here = |seg: &Seg| seg.key() == member;
        let named = root.children.iter().find(|(seg, _)| here(seg)).map(|(_, branch)| &branch.act);
        let shown = match mode {
            Mode::Include => named.is_some(),
            Mode::Exclude => !matches!(named, Some(Some(Act::Drop))),
        };
        shown || copies.iter().any(|copy| copy.from.segs().first().is_some_and(here))
    }

    /// What the projection gives of the document, as a value of its own. Members that it does not have are absent.
    pub fn apply(&self, doc: &Value) -> Value {
        let Rules { mode, root, copies, hidden } = &*self.0;
        let mut out = match mode {
            Mode::Include if root.children.is_empty() => Value::Object(Map::new()),
            _ => self.shown(doc).to_value(),
        };
        for copy in copies {
            if let Some(value) = copy.from.value(hidden.view(), doc) {
                put(&mut out, copy.to.segs(), value.into_owned());
            }
        }
        out
    }

    /// The same, sharing the document: nothing of it is copied unless the projection copies members (`"a": "$b"`).
    pub fn row(&self, doc: &Arc<Value>) -> Row {
        if self.0.copies.is_empty() {
            Row::new(Arc::clone(doc), self.clone())
        } else {
            self.apply(doc).into()
        }
    }

    /// What is given without the copies.
    pub(super) fn shown<'a>(&'a self, doc: &'a Value) -> Shown<'a> {
        let Rules { mode, root, hidden, .. } = &*self.0;
        root.shown(*mode, hidden.view(), doc).unwrap_or(Shown::NULL)
    }
}

/// Sets the value at a path of member names, making the objects on the way.
fn put(target: &mut Value, segs: &[Seg], value: Value) {
    let Some((seg, rest)) = segs.split_first() else {
        *target = value;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(members) = target {
        put(members.entry(seg.key()).or_insert(Value::Null), rest, value);
    }
}

impl Branch {
    /// The place of a path below this one. What is named as a whole stays so when a part of it is named too.
    fn set(&mut self, segs: &[Seg], act: Act) {
        let Some((seg, rest)) = segs.split_first() else {
            self.act = Some(act);
            return;
        };
        // In the order of the members that they make.
        let at = match self.children.binary_search_by(|(s, _)| s.key().cmp(seg.key())) {
            Ok(at) => at,
            Err(at) => {
                self.children.insert(at, (seg.clone(), Self::default()));
                at
            }
        };
        self.children[at].1.set(rest, act);
    }

    /// What is given of the members that are named here, in ascending order.
    pub(super) fn named<'a>(
        &'a self,
        mode: Mode,
        view: View<'a>,
        members: &'a Map<String, Value>,
    ) -> impl Iterator<Item = (&'a str, Shown<'a>)> {
        self.children.iter().filter_map(move |(seg, branch)| {
            let below = view.member(seg.key())?;
            Some((seg.key(), branch.shown(mode, below, member(members, seg.key())?)?))
        })
    }

    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        self.children.iter().find(|(s, _)| s.key() == key).map(|(_, b)| b)
    }

    fn element(&self, index: usize) -> Option<&Self> {
        self.children.iter().find(|(s, _)| s.index() == Some(index)).map(|(_, b)| b)
    }

    /// What is given of the value that this branch is about.
    fn shown<'a>(&'a self, mode: Mode, view: View<'a>, value: &'a Value) -> Option<Shown<'a>> {
        Some(match (&self.act, value) {
            (Some(Act::Slice(slice)), Value::Array(items)) => Shown::Items(view, slice.of(items)),
            (Some(Act::Element(element)), Value::Array(items)) => {
                let first = items.iter().find(|item| element.accepts(view, item))?;
                Shown::Items(view, std::slice::from_ref(first))
            }
            (Some(Act::Element(_) | Act::Drop), _) => return None,
            (None, Value::Object(_) | Value::Array(_))
                if mode == Mode::Include || !self.children.is_empty() =>
            {
                Shown::Part(mode, self, view, value)
            }
            (None, _) if mode == Mode::Include => return None,
            _ => Shown::Whole(view, value),
        })
    }

    /// What is given of an object's member.
    pub(super) fn member<'a>(
        &'a self,
        mode: Mode,
        name: &str,
        below: View<'a>,
        value: &'a Value,
    ) -> Option<Shown<'a>> {
        match self.child(name) {
            Some(branch) => branch.shown(mode, below, value),
            None => (mode == Mode::Exclude).then_some(Shown::Whole(below, value)),
        }
    }

    /// What is given of an array's element.
    pub(super) fn item<'a>(
        &'a self,
        mode: Mode,
        at: usize,
        view: View<'a>,
        value: &'a Value,
    ) -> Option<Shown<'a>> {
        let everywhere = || mode == Mode::Exclude || self.children.iter().any(|(s, _)| s.index().is_none());
        match self.element(at) {
            Some(branch) => branch.shown(mode, view, value),
            None if everywhere() => self.shown(mode, view, value),
            None => None,
        }
    }
}

/// A part of an array: `skip` from the start, or from the end where negative.
#[derive(Debug, Clone, Copy)]
struct Slice {
    skip: i64,
    take: u64,
}

impl Slice {
    fn parse(operand: &Value) -> Option<Self> {
        let whole = |v: &Value| i64::try_from(v.as_number().and_then(compare::whole)?).ok();
        match operand {
            Value::Array(pair) => match pair.as_slice() {
                [skip, take] => {
                    let take = u64::try_from(whole(take)?).ok().filter(|t| *t > 0)?;
                    Some(Self { skip: whole(skip)?, take })
                }
                _ => None,
            },
            single => {
                let count = whole(single)?;
                Some(Self { skip: count.min(0), take: count.unsigned_abs() })
            }
        }
    }

    fn of(self, items: &[Value]) -> &[Value] {
        let distance = usize::try_from(self.skip.unsigned_abs()).unwrap_or(usize::MAX);
        let start =
            if self.skip < 0 { items.len().saturating_sub(distance) } else { distance.min(items.len()) };
        let take = usize::try_from(self.take).unwrap_or(usize::MAX);
        let rest = items.get(start..).unwrap_or_default();
        rest.get(..take).unwrap_or(rest)
    }
}

struct Parser<'h> {
    hidden: &'h Hidden,
    rules: Rules,
    mode: Option<Mode>,
    count: usize,
}

impl Parser<'_> {
    fn members(&mut self, above: &str, members: &Map<String, Value>, depth: usize) -> Result<()> {
        if depth >= limits::DEPTH {
            return Err(refused(
                OP,
                above,
                format!("the projection is nested deeper than {}", limits::DEPTH),
            ));
        }
        for (key, value) in members {
            let text = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            self.member(&text, value, depth)?;
        }
        Ok(())
    }

    fn member(&mut self, text: &str, value: &Value, depth: usize) -> Result<()> {
        self.count += 1;
        if self.count > limits::FIELDS {
            let why = format!("the projection has more than {} members", limits::FIELDS);
            return Err(refused(OP, text, why));
        }
        let excluded = match value {
            Value::Bool(kept) => !kept,
            Value::Number(n) => compare::float(n) == 0.0,
            _ => false,
        };
        // To leave out what is never given is no question about it.
        let path = if excluded { Path::parse(OP, text)? } else { self.path(text)? };
        match value {
            Value::Bool(_) | Value::Number(_) => {}
            Value::String(from) => return self.copy(path, from),
            Value::Object(members) if members.keys().any(|k| k.starts_with('$')) => {
                return self.operator(&path, members);
            }
            Value::Object(members) if !members.is_empty() => return self.members(text, members, depth + 1),
            _ => return Err(refused(OP, text, "takes true or false, 1 or 0, '$path', or an object")),
        }
        self.set_mode(text, if excluded { Mode::Exclude } else { Mode::Include })?;
        self.rules.root.set(path.segs(), if excluded { Act::Drop } else { Act::Keep });
        Ok(())
    }

    fn path(&self, text: &str) -> Result<Path> {
        self.hidden.path(OP, &[], text, "listed")
    }

    fn set_mode(&mut self, text: &str, mode: Mode) -> Result<()> {
        if self.mode.is_some_and(|m| m != mode) {
            return Err(refused(OP, text, "members to include and members to exclude are mixed"));
        }
        self.mode = Some(mode);
        Ok(())
    }

    fn copy(&mut self, to: Path, from: &str) -> Result<()> {
        let Some(from) = from.strip_prefix('$').filter(|f| !f.starts_with('$')) else {
            return Err(refused(OP, to.text(), "a text must be '$' and the path to copy"));
        };
        self.set_mode(to.text(), Mode::Include)?;
        let from = self.path(from)?;
        self.rules.copies.push(Copy { to, from });
        Ok(())
    }

    fn operator(&mut self, path: &Path, members: &Map<String, Value>) -> Result<()> {
        let mut each = members.iter();
        let (Some((operator, operand)), None) = (each.next(), each.next()) else {
            return Err(refused(OP, path.text(), "a member has one operator"));
        };
        let act = match operator.as_str() {
            "$slice" => {
                let why = "takes a whole number, or a list of how many to skip and how many to take";
                let wrong = || refused(OP, path.text(), why).with("operator", "$slice");
                Act::Slice(Slice::parse(operand).ok_or_else(wrong)?)
            }
            "$elemMatch" => {
                self.set_mode(path.text(), Mode::Include)?;
                Act::Element(parse::element(OP, path, operand, self.hidden)?)
            }
            other => {
                let why = "computed members are not supported";
                return Err(refused(OP, path.text(), why).with("operator", shown(other)));
            }
        };
        self.rules.root.set(path.segs(), act);
        Ok(())
    }
}
