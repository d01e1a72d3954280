use std::sync::Arc;

use regex::Regex;
use serde_json::{Number, Value};

use super::{
    compare::{self, Order},
    expr::Expr,
    hidden::{Hidden, View},
    parse,
    path::{Path, Seg, walk},
};
use crate::Result;

/// A condition on documents, compiled once and tested on many. Cheap to clone.
///
/// The [module's page](super) lists what it can say.
#[derive(Debug, Clone)]
pub struct Filter {
    node: Arc<Node>,
    hidden: Hidden,
}

impl Filter {
    /// Compiles a filter over things: what [`Hidden::standard`] names cannot be asked for.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_QUERY_INVALID`; the context names the path (`field`) and,
    /// where it is one, the `operator`.
    pub fn parse(query: &Value) -> Result<Self> {
        Self::parse_with(query, &Hidden::standard())
    }

    /// Compiles a filter over documents that hide `hidden`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(query: &Value, hidden: &Hidden) -> Result<Self> {
        let node = parse::filter(query, hidden)?;
        Ok(Self { node: Arc::new(node), hidden: hidden.clone() })
    }

    /// Accepts every document.
    pub fn all() -> Self {
        Self { node: Arc::new(Node::And(Vec::new())), hidden: Hidden::standard() }
    }

    /// Whether it accepts every document because it says nothing.
    pub fn is_empty(&self) -> bool {
        matches!(&*self.node, Node::And(nodes) if nodes.is_empty())
    }

    /// Whether it may look at this member of a document.
    pub fn uses(&self, member: &str) -> bool {
        self.node.uses(member)
    }

    /// Whether the document meets the condition. What is hidden in it makes no difference.
    pub fn matches(&self, doc: &Value) -> bool {
        self.node.accepts(self.hidden.view(), doc)
    }
}

impl Default for Filter {
    /// [`Filter::all`].
    fn default() -> Self {
        Self::all()
    }
}

/// A condition on a document.
#[derive(Debug)]
pub(super) enum Node {
    And(Vec<Self>),
    Or(Vec<Self>),
    Nor(Vec<Self>),
    At(Path, Vec<Test>),
    Expr(Expr),
}

impl Node {
    fn uses(&self, member: &str) -> bool {
        match self {
            Self::And(nodes) | Self::Or(nodes) | Self::Nor(nodes) => nodes.iter().any(|n| n.uses(member)),
            Self::At(path, _) => path.segs().first().is_some_and(|seg| seg.key() == member),
            Self::Expr(_) => true,
        }
    }

    pub(super) fn accepts(&self, view: View<'_>, doc: &Value) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|n| n.accepts(view, doc)),
            Self::Or(nodes) => nodes.iter().any(|n| n.accepts(view, doc)),
            Self::Nor(nodes) => !nodes.iter().any(|n| n.accepts(view, doc)),
            Self::At(path, tests) => tests.iter().all(|t| t.holds(path.segs(), view, doc)),
            Self::Expr(expr) => expr.holds(view, doc),
        }
    }
}

/// A condition on what a path leads to.
#[derive(Debug)]
pub(super) enum Test {
    Not(Vec<Self>),
    All(Vec<Self>),
    Exists(bool),
    Equal(Literal),
    Order(Order, Literal),
    In(Members),
    Type(Types),
    Mod { divisor: f64, remainder: f64 },
    Regex(Regex),
    Size(usize),
    Element(Element),
    Bits(Bits, u64),
}

/// A value from the query. A document's objects and arrays are looked at without what they hide, which is only needed
/// where the value is such itself.
#[derive(Debug)]
pub(super) struct Literal {
    value: Value,
    container: bool,
}

impl Literal {
    pub(super) fn new(value: Value) -> Self {
        let container = is_container(&value);
        Self { value, container }
    }
}

/// The list of an `$in`, sorted.
#[derive(Debug)]
pub(super) struct Members {
    sorted: Vec<Value>,
    containers: bool,
}

impl Members {
    pub(super) fn new(mut values: Vec<Value>) -> Self {
        values.sort_unstable_by(compare::total);
        let containers = values.iter().any(is_container);
        Self { sorted: values, containers }
    }

    fn has(&self, value: &Value) -> bool {
        // Texts of other lengths are told apart without a look at them.
        const FEW: usize = 8;
        if self.sorted.len() <= FEW {
            return self.sorted.iter().any(|v| compare::same(v, value));
        }
        self.sorted.binary_search_by(|v| compare::total(v, value)).is_ok()
    }
}

fn is_container(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

impl Test {
    fn holds(&self, segs: &[Seg], view: View<'_>, doc: &Value) -> bool {
        match self {
            Self::Not(tests) => !tests.iter().all(|t| t.holds(segs, view, doc)),
            Self::All(tests) => !tests.is_empty() && tests.iter().all(|t| t.holds(segs, view, doc)),
            Self::Exists(wanted) => walk(segs, view, doc, &mut |_, found| found.is_some()) == *wanted,
            _ => walk(segs, view, doc, &mut |view, found| self.accepts(view, found)),
        }
    }

    /// Whether one thing that the path leads to, or its absence, passes.
    fn accepts(&self, view: View<'_>, found: Option<&Value>) -> bool {
        let seen = match (found, self.compares_containers()) {
            (Some(value), true) => Some(view.visible(value)),
            _ => None,
        };
        let found = seen.as_deref().or(found);
        match (self, found) {
            (Self::Equal(literal), _) => compare::equal(found, &literal.value),
            (Self::Order(order, literal), _) => compare::ordered(found, *order, &literal.value),
            (Self::In(members), None) => members.has(&Value::Null),
            (Self::Size(size), Some(Value::Array(items))) => items.len() == *size,
            (Self::Element(element), Some(Value::Array(items))) => {
                items.iter().any(|item| element.accepts(view, item))
            }
            (_, Some(value)) => compare::itself_or_element(value, |v| self.accepts_value(v)),
            (_, None) => false,
        }
    }

    fn accepts_value(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::In(members), _) => members.has(value),
            (Self::Type(types), _) => types.has(value),
            // As MiningOS does, null counts as 0 here; a missing member does not.
            (Self::Mod { remainder, .. }, Value::Null) => *remainder == 0.0,
            (Self::Mod { divisor, remainder }, Value::Number(n)) => compare::float(n) % divisor == *remainder,
            (Self::Regex(regex), Value::String(text)) => regex.is_match(text),
            (Self::Bits(bits, mask), Value::Number(n)) => bits_of(n).is_some_and(|v| bits.accept(v, *mask)),
            _ => false,
        }
    }

    fn compares_containers(&self) -> bool {
        match self {
            Self::Equal(literal) | Self::Order(_, literal) => literal.container,
            Self::In(members) => members.containers,
            _ => false,
        }
    }
}

/// What an element of an array must be.
#[derive(Debug)]
pub(super) enum Element {
    /// Tests of the element itself.
    Value(Vec<Test>),
    /// A filter over an element that has members.
    Members(Box<Node>),
}

impl Element {
    pub(super) fn accepts(&self, view: View<'_>, item: &Value) -> bool {
        match self {
            Self::Value(tests) => tests.iter().all(|t| t.holds(&[], view, item)),
            Self::Members(node) => is_container(item) && node.accepts(view, item),
        }
    }
}

/// A set of JSON types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    const NUMBER: u8 = 1;
    const STRING: u8 = 2;
    const OBJECT: u8 = 4;
    const ARRAY: u8 = 8;
    const BOOL: u8 = 16;
    const NULL: u8 = 32;
    const INT: u8 = 64;
    const LONG: u8 = 128;

    /// The type of this name; types that JSON does not have are known, and no value is of them.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(Self(match name {
            "double" | "decimal" | "number" => Self::NUMBER,
            "string" => Self::STRING,
            "object" => Self::OBJECT,
            "array" => Self::ARRAY,
            "bool" | "boolean" => Self::BOOL,
            "null" => Self::NULL,
            "int" => Self::INT,
            "long" => Self::LONG,
            "binData"
            | "undefined"
            | "objectId"
            | "date"
            | "regex"
            | "dbPointer"
            | "javascript"
            | "symbol"
            | "javascriptWithScope"
            | "timestamp"
            | "minKey"
            | "maxKey" => 0,
            _ => return None,
        }))
    }

    /// The type of this number.
    pub(super) fn numbered(code: i128) -> Option<Self> {
        Some(Self(match code {
            1 | 19 => Self::NUMBER,
            2 => Self::STRING,
            3 => Self::OBJECT,
            4 => Self::ARRAY,
            8 => Self::BOOL,
            10 => Self::NULL,
            16 => Self::INT,
            18 => Self::LONG,
            5 | 6 | 7 | 9 | 11..=15 | 17 | -1 | 127 => 0,
            _ => return None,
        }))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, value: &Value) -> bool {
        let types = match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOL,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
            Value::Number(n) => Self::NUMBER | whole_types(n),
        };
        self.0 & types != 0
    }
}

fn whole_types(n: &Number) -> u8 {
    let Some(whole) = compare::whole(n) else { return 0 };
    let int = i32::try_from(whole).map_or(0, |_| Types::INT);
    int | i64::try_from(whole).map_or(0, |_| Types::LONG)
}

/// The four tests of single bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bits {
    AllSet,
    AllClear,
    AnySet,
    AnyClear,
}

impl Bits {
    pub(super) fn named(operator: &str) -> Option<Self> {
        Some(match operator {
            "$bitsAllSet" => Self::AllSet,
            "$bitsAllClear" => Self::AllClear,
            "$bitsAnySet" => Self::AnySet,
            "$bitsAnyClear" => Self::AnyClear,
            _ => return None,
        })
    }

    fn accept(self, value: u64, mask: u64) -> bool {
        match self {
            Self::AllSet => value & mask == mask,
            Self::AllClear => value & mask == 0,
            Self::AnySet => value & mask != 0,
            Self::AnyClear => value & mask != mask,
        }
    }
}

/// The 64 bits of a whole number, in two's complement when it is negative.
fn bits_of(n: &Number) -> Option<u64> {
    let whole = compare::whole(n)?;
    u64::try_from(whole).ok().or_else(|| i64::try_from(whole).ok().map(i64::cast_unsigned))
}
