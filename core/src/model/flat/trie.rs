use std::{collections::HashMap, fmt::Write as _, sync::Arc};

/// The node of the value itself.
pub(super) const ROOT: u32 = 0;

/// Nodes that are kept; with more, all are forgotten before the next value.
const MOST: usize = 1 << 16;

/// No node.
const NONE: u32 = u32::MAX;

/// Which paths there are. Each member is a node, and remembers which sibling came after it the last time: as long as things
/// say the same members in the same order, a member costs one comparison.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Node {
    /// Its own name; empty for a place in a list.
    name: Box<str>,
    /// Where the name of a field stood the last time; 0 for none.
    spot: usize,
    /// Dotted, escaped.
    pub path: Arc<str>,
    /// `"path":`, as JSON.
    pub label: Box<str>,
    pub rule: Rule,
    /// The child that came first, and the sibling that came next, the last time.
    first: u32,
    next: u32,
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
        Self { nodes: vec![Node::new("", "", Rule::Measured)] }
    }
}

impl Node {
    fn new(name: &str, path: &str, rule: Rule) -> Self {
        let label = serde_json::Value::from(path).to_string() + ":";
        Self {
            name: name.into(),
            spot: 0,
            path: path.into(),
            label: label.into(),
            rule,
            first: NONE,
            next: NONE,
            by_name: HashMap::new(),
            by_index: Vec::new(),
        }
    }
}

impl Trie {
    pub fn is_full(&self) -> bool {
        self.nodes.len() > MOST
    }

    pub fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(node).ok()?)
    }

    pub fn rule(&self, node: u32) -> Rule {
        self.node(node).map_or(Rule::LeftOut, |node| node.rule)
    }

    fn change(&mut self, node: u32, change: impl FnOnce(&mut Node)) {
        if let Some(node) = usize::try_from(node).ok().and_then(|at| self.nodes.get_mut(at)) {
            change(node);
        }
    }

    /// The member `name` of an object, which came after the member `last`, or first.
    #[inline]
    pub fn member(&mut self, parent: u32, last: Option<u32>, name: &str) -> u32 {
        match self.expected(parent, last) {
            Some((at, node)) if &*node.name == name => at,
            _ => self.search(parent, last, name),
        }
    }

    /// The same of a field, whose name is nearly always known by where it stands: what is `'static` stays there.
    #[inline]
    pub fn field(&mut self, parent: u32, last: Option<u32>, name: &'static str) -> u32 {
        let spot = name.as_ptr().addr();
        match self.expected(parent, last) {
            Some((at, node)) if node.spot == spot && node.name.len() == name.len() => at,
            _ => {
                let at = self.member(parent, last, name);
                self.change(at, |node| node.spot = spot);
                at
            }
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

    /// The place `index` of a list.
    #[inline]
    pub fn item(&mut self, parent: u32, index: usize) -> u32 {
        if let Some(known) = self.node(parent).and_then(|node| node.by_index.get(index)) {
            return *known;
        }
        // Places come in order, so the first that is unknown is the next.
        let item = self.add(parent, "", &index.to_string());
        self.change(parent, |node| node.by_index.push(item));
        item
    }

    #[cold]
    fn search(&mut self, parent: u32, last: Option<u32>, name: &str) -> u32 {
        let known = self.node(parent).and_then(|node| node.by_name.get(name).copied());
        let child = known.unwrap_or_else(|| {
            let child = self.add(parent, name, &escaped(name));
            self.change(parent, |node| {
                node.by_name.insert(name.into(), child);
            });
            child
        });
        match last {
            Some(last) => self.change(last, |node| node.next = child),
            None => self.change(parent, |node| node.first = child),
        }
        child
    }

    fn add(&mut self, parent: u32, name: &str, segment: &str) -> u32 {
        let Some(above) = self.node(parent) else { return NONE };
        let mut path = String::from(&*above.path);
        if parent != ROOT {
            path.push('.');
        }
        path.push_str(segment);
        let rule = match above.rule {
            Rule::Measured => rule(&path),
            inherited => inherited,
        };
        let node = Node::new(name, &path, rule);
        let at = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(node);
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
