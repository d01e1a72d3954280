use std::{collections::HashMap, fmt::Write as _, sync::Arc};

/// The node of the value itself.
pub(super) const ROOT: u32 = 0;

/// Nodes that are kept; with more, all are forgotten before the next value.
const MOST: usize = 1 << 16;

/// No node.
const NONE: u32 = u32::MAX;

/// Where a place in a list stands, in place of a name: no text has this address.
const ITEM: usize = usize::MAX;

/// Which paths there are. Each member is a node, and remembers which sibling came after it the last time: as long as things
/// say the same members in the same order, a member costs one comparison.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The rest of each node, which is asked for when something is new.
    rest: Vec<Rest>,
}

/// What is asked of a member each time. Kept small: a snapshot passes through more than a hundred.
#[derive(Debug)]
pub(super) struct Node {
    /// Where the name of a field stood the last time; 0 for none, [`ITEM`] for a place in a list.
    spot: usize,
    /// `"path":`, as JSON.
    pub label: Box<str>,
    /// How long its name is.
    len: u32,
    /// The child that came first, and the sibling that came next, the last time.
    first: u32,
    next: u32,
    pub rule: Rule,
}

#[derive(Debug)]
struct Rest {
    /// Its own name; empty for a place in a list.
    name: Box<str>,
    /// Dotted, escaped.
    path: Arc<str>,
    by_name: HashMap<Box<str>, u32>,
    by_index: Vec<u32>,
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// A number is a number.
    Measured,
    /// A number is part of the texts, here and below.
    Told,
    /// It is left out, with all below.
    LeftOut,
}

impl Default for Trie {
    fn default() -> Self {
        let mut trie = Self { nodes: Vec::new(), rest: Vec::new() };
        trie.push("", 0, "", Rule::Measured);
        trie
    }
}

impl Trie {
    pub fn is_full(&self) -> bool {
        self.nodes.len() > MOST
    }

    pub fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(node).ok()?)
    }

    fn rest(&self, node: u32) -> Option<&Rest> {
        self.rest.get(usize::try_from(node).ok()?)
    }

    pub fn rule(&self, node: u32) -> Rule {
        self.node(node).map_or(Rule::LeftOut, |node| node.rule)
    }

    pub fn path(&self, node: u32) -> Option<&Arc<str>> {
        self.rest(node).map(|rest| &rest.path)
    }

    fn change(&mut self, node: u32, change: impl FnOnce(&mut Node, &mut Rest)) {
        let Ok(at) = usize::try_from(node) else { return };
        if let (Some(node), Some(rest)) = (self.nodes.get_mut(at), self.rest.get_mut(at)) {
            change(node, rest);
        }
    }

    /// The member `name` of an object, which came after the member `last`, or first.
    #[inline]
    pub fn member(&mut self, parent: u32, last: Option<u32>, name: &str) -> u32 {
        match self.expected(parent, last) {
            Some((at, node)) if node.spot != ITEM && self.is_named(at, name) => at,
            _ => self.search(parent, last, name),
        }
    }

    /// The same of a field, whose name is nearly always known by where it stands: what is `'static` stays there.
    #[inline]
    pub fn field(&mut self, parent: u32, last: Option<u32>, name: &'static str) -> u32 {
        let spot = name.as_ptr().addr();
        match self.expected(parent, last) {
            Some((at, node)) if node.spot == spot && usize::try_from(node.len) == Ok(name.len()) => at,
            _ => {
                let at = self.member(parent, last, name);
                self.change(at, |node, _| node.spot = spot);
                at
            }
        }
    }

    /// The place `index` of a list, which comes after the place `last`, or first.
    #[inline]
    pub fn item(&mut self, parent: u32, last: Option<u32>, index: usize) -> u32 {
        match self.expected(parent, last) {
            Some((at, node)) if node.spot == ITEM => at,
            _ => self.find_item(parent, last, index),
        }
    }

    #[inline]
    fn expected(&self, parent: u32, last: Option<u32>) -> Option<(u32, &Node)> {
        let at = match last {
            Some(last) => self.node(last)?.next,
            None => self.node(parent)?.first,
        };
        Some((at, self.node(at)?))
    }

    fn is_named(&self, node: u32, name: &str) -> bool {
        self.rest(node).is_some_and(|rest| &*rest.name == name)
    }

    #[cold]
    fn search(&mut self, parent: u32, last: Option<u32>, name: &str) -> u32 {
        let known = self.rest(parent).and_then(|rest| rest.by_name.get(name).copied());
        let child = known.unwrap_or_else(|| {
            let child = self.add(parent, name, 0, &escaped(name));
            self.change(parent, |_, rest| {
                rest.by_name.insert(name.into(), child);
            });
            child
        });
        self.follows(parent, last, child);
        child
    }

    #[cold]
    fn find_item(&mut self, parent: u32, last: Option<u32>, index: usize) -> u32 {
        let known = self.rest(parent).and_then(|rest| rest.by_index.get(index).copied());
        let item = known.unwrap_or_else(|| {
            // Places come in order, so the first that is unknown is the next.
            let item = self.add(parent, "", ITEM, &index.to_string());
            self.change(parent, |_, rest| rest.by_index.push(item));
            item
        });
        self.follows(parent, last, item);
        item
    }

    fn follows(&mut self, parent: u32, last: Option<u32>, child: u32) {
        match last {
            Some(last) => self.change(last, |node, _| node.next = child),
            None => self.change(parent, |node, _| node.first = child),
        }
    }

    fn add(&mut self, parent: u32, name: &str, spot: usize, segment: &str) -> u32 {
        let (Some(above), Some(rest)) = (self.node(parent), self.rest(parent)) else { return NONE };
        let mut path = String::from(&*rest.path);
        if parent != ROOT {
            path.push('.');
        }
        path.push_str(segment);
        let rule = match above.rule {
            Rule::Measured => rule(&path),
            inherited => inherited,
        };
        self.push(name, spot, &path, rule)
    }

    fn push(&mut self, name: &str, spot: usize, path: &str, rule: Rule) -> u32 {
        let at = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let label = serde_json::Value::from(path).to_string() + ":";
        let len = u32::try_from(name.len()).unwrap_or(NONE);
        self.nodes.push(Node { spot, label: label.into(), len, first: NONE, next: NONE, rule });
        self.rest.push(Rest {
            name: name.into(),
            path: path.into(),
            by_name: HashMap::new(),
            by_index: Vec::new(),
        });
        at
    }
}

/// The rules that a path begins.
fn rule(path: &str) -> Rule {
    match path {
        "age_ms" => Rule::LeftOut,
        "raw_errors" | "stats.errors" => Rule::Told,
        _ => Rule::Measured,
    }
}

/// A name as a segment of a path.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        out.push('\\');
    }
    for c in name.chars() {
        // Writing to a `String` cannot fail.
        let _ = if matches!(c, '.' | '\\') { write!(out, "\\{c}") } else { out.write_char(c) };
    }
    out
}
