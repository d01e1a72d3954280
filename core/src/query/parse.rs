use serde_json::{Map, Value};

use super::{
    compare::{self, Order},
    expr::{Binary, Expr},
    filter::{Bits, Element, Literal, Members, Node, Test, Types},
    hidden::Hidden,
    limits,
    path::{Path, Seg},
    refused, regex, shown,
};
use crate::{Error, Result};

const OP: &str = "query.filter";

/// Compiles a whole filter.
pub(super) fn filter(query: &Value, hidden: &Hidden) -> Result<Node> {
    let Value::Object(members) = query else {
        return Err(refused(OP, "query", "a query is an object"));
    };
    Parser::new(OP, hidden).node(members, &[], 0)
}

/// Compiles the operand of an `$elemMatch` that stands at `path` in a projection.
pub(super) fn element(op: &'static str, path: &Path, operand: &Value, hidden: &Hidden) -> Result<Element> {
    Parser::new(op, hidden).element(&At { path: path.text(), full: path.segs() }, operand, 1)
}

struct Parser<'h> {
    op: &'static str,
    hidden: &'h Hidden,
    conditions: usize,
    values: usize,
    regexes: usize,
}

/// The path whose condition is being read.
struct At<'a> {
    /// As written, for messages.
    path: &'a str,
    /// From the document's root, also inside an `$elemMatch`.
    full: &'a [Seg],
}

impl<'h> Parser<'h> {
    fn new(op: &'static str, hidden: &'h Hidden) -> Self {
        Self { op, hidden, conditions: 0, values: 0, regexes: 0 }
    }

    fn refused(&self, path: &str, operator: &str, why: impl Into<String>) -> Error {
        refused(self.op, path, why).with("operator", shown(operator))
    }

    fn deeper(&self, path: &str, depth: usize) -> Result<usize> {
        if depth < limits::DEPTH {
            return Ok(depth + 1);
        }
        Err(refused(self.op, path, format!("the query is nested deeper than {}", limits::DEPTH)))
    }

    fn count_condition(&mut self, path: &str) -> Result<()> {
        self.conditions += 1;
        if self.conditions <= limits::CONDITIONS {
            return Ok(());
        }
        Err(refused(self.op, path, format!("the query has more than {} conditions", limits::CONDITIONS)))
    }

    /// A path that may be asked for.
    fn path(&self, text: &str, base: &[Seg]) -> Result<Path> {
        self.hidden.path(self.op, base, text, "asked for")
    }

    fn node(&mut self, members: &Map<String, Value>, base: &[Seg], depth: usize) -> Result<Node> {
        let mut nodes = Vec::with_capacity(members.len());
        for (key, value) in members {
            nodes.push(match key.as_str() {
                "$and" => Node::And(self.nodes(key, value, base, depth)?),
                "$or" => Node::Or(self.nodes(key, value, base, depth)?),
                "$nor" => Node::Nor(self.nodes(key, value, base, depth)?),
                "$expr" => Node::Expr(self.expr(value, base, self.deeper(key, depth)?)?),
                operator if operator.starts_with('$') => return Err(self.misplaced(operator)),
                text => {
                    let path = self.path(text, base)?;
                    let full = [base, path.segs()].concat();
                    let tests = self.condition(&At { path: text, full: &full }, value, depth)?;
                    Node::At(path, tests)
                }
            });
        }
        // A single condition needs no list around it.
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::And(nodes) })
    }

    fn misplaced(&self, operator: &str) -> Error {
        let why = if is_operator(operator) {
            "this operator stands below a path, not in its place"
        } else {
            "this operator is not supported"
        };
        self.refused(operator, operator, why)
    }

    fn nodes(&mut self, operator: &str, value: &Value, base: &[Seg], depth: usize) -> Result<Vec<Node>> {
        let depth = self.deeper(operator, depth)?;
        let Value::Array(items) = value else {
            return Err(self.refused(operator, operator, "takes a list of queries"));
        };
        let mut nodes = Vec::new();
        for item in items {
            self.count_condition(operator)?;
            let Value::Object(members) = item else {
                return Err(self.refused(
                    operator,
                    operator,
                    "takes a list of queries, and each is an object",
                ));
            };
            nodes.push(self.node(members, base, depth)?);
        }
        Ok(nodes)
    }

    /// What is written at a path: operators, or the value that it must equal.
    fn condition(&mut self, at: &At<'_>, value: &Value, depth: usize) -> Result<Vec<Test>> {
        match value {
            Value::Object(members) if members.keys().any(|k| k.starts_with('$')) => {
                self.operators(at, members, depth)
            }
            _ => {
                self.count_condition(at.path)?;
                Ok(vec![Test::Equal(self.literal(at, "$eq", value, depth)?)])
            }
        }
    }

    fn operators(&mut self, at: &At<'_>, members: &Map<String, Value>, depth: usize) -> Result<Vec<Test>> {
        if let Some(plain) = members.keys().find(|k| !k.starts_with('$')) {
            let why = "operators and plain members are mixed in one condition";
            return Err(refused(self.op, at.path, why).with("member", shown(plain)));
        }
        let mut tests = Vec::with_capacity(members.len());
        for (operator, operand) in members {
            self.count_condition(at.path)?;
            match operator.as_str() {
                "$regex" => tests.push(self.regex(at, operand, members.get("$options"))?),
                "$options" if members.contains_key("$regex") => {}
                "$options" => return Err(self.refused(at.path, operator, "needs '$regex' beside it")),
                _ => tests.push(self.operator(at, operator, operand, depth)?),
            }
        }
        Ok(tests)
    }

    fn operator(&mut self, at: &At<'_>, operator: &str, operand: &Value, depth: usize) -> Result<Test> {
        if let Some(order) = Order::named(operator) {
            return Ok(Test::Order(order, self.literal(at, operator, operand, depth)?));
        }
        if let Some(bits) = Bits::named(operator) {
            return Ok(Test::Bits(bits, self.mask(at, operator, operand)?));
        }
        Ok(match operator {
            "$eq" => Test::Equal(self.literal(at, operator, operand, depth)?),
            "$ne" => Test::Not(vec![Test::Equal(self.literal(at, operator, operand, depth)?)]),
            "$in" => Test::In(self.members(at, operator, operand, depth)?),
            "$nin" => Test::Not(vec![Test::In(self.members(at, operator, operand, depth)?)]),
            "$not" => Test::Not(self.condition(at, operand, self.deeper(at.path, depth)?)?),
            "$all" => Test::All(self.all(at, operand, depth)?),
            "$elemMatch" => Test::Element(self.element(at, operand, self.deeper(at.path, depth)?)?),
            "$exists" => Test::Exists(self.exists(at, operand)?),
            "$type" => Test::Type(self.types(at, operand)?),
            "$mod" => self.modulo(at, operand)?,
            "$size" => Test::Size(self.size(at, operand)?),
            "$and" | "$or" | "$nor" | "$expr" => {
                return Err(self.refused(
                    at.path,
                    operator,
                    "this operator stands beside paths, not below one",
                ));
            }
            _ => return Err(self.refused(at.path, operator, "this operator is not supported")),
        })
    }

    /// A value to compare with. An operator inside it would be compared literally and match nothing, or, negated,
    /// everything: it is refused.
    fn literal(&mut self, at: &At<'_>, operator: &str, value: &Value, depth: usize) -> Result<Literal> {
        self.check_literal(at, operator, value, depth)?;
        Ok(Literal::new(value.clone()))
    }

    fn check_literal(&mut self, at: &At<'_>, operator: &str, value: &Value, depth: usize) -> Result<()> {
        self.values += 1;
        if self.values > limits::VALUES {
            let why = format!("the query holds more than {} values", limits::VALUES);
            return Err(self.refused(at.path, operator, why));
        }
        match value {
            Value::Array(items) => {
                let depth = self.deeper(at.path, depth)?;
                items.iter().try_for_each(|v| self.check_literal(at, operator, v, depth))
            }
            Value::Object(members) => {
                let depth = self.deeper(at.path, depth)?;
                members.iter().try_for_each(|(key, v)| {
                    if key.starts_with('$') {
                        let why = format!("'{}' stands inside a value, where no operator can be", shown(key));
                        return Err(self.refused(at.path, operator, why));
                    }
                    self.check_literal(at, operator, v, depth)
                })
            }
            _ => Ok(()),
        }
    }

    fn list<'v>(&self, at: &At<'_>, operator: &str, operand: &'v Value) -> Result<&'v Vec<Value>> {
        operand.as_array().ok_or_else(|| self.refused(at.path, operator, "takes a list"))
    }

    fn members(&mut self, at: &At<'_>, operator: &str, operand: &Value, depth: usize) -> Result<Members> {
        let list = self.list(at, operator, operand)?;
        list.iter().try_for_each(|v| self.check_literal(at, operator, v, depth))?;
        Ok(Members::new(list.clone()))
    }

    fn all(&mut self, at: &At<'_>, operand: &Value, depth: usize) -> Result<Vec<Test>> {
        let list = self.list(at, "$all", operand)?;
        let mut tests = Vec::with_capacity(list.len().min(limits::CONDITIONS));
        for item in list {
            self.count_condition(at.path)?;
            let sole = item.as_object().filter(|m| m.len() == 1).and_then(|m| m.get("$elemMatch"));
            tests.push(match sole {
                Some(inner) => Test::Element(self.element(at, inner, self.deeper(at.path, depth)?)?),
                None => Test::Equal(self.literal(at, "$all", item, depth)?),
            });
        }
        Ok(tests)
    }

    fn element(&mut self, at: &At<'_>, operand: &Value, depth: usize) -> Result<Element> {
        let Value::Object(members) = operand else {
            return Err(self.refused(at.path, "$elemMatch", "takes an object"));
        };
        let logical = |k: &String| matches!(k.as_str(), "$and" | "$or" | "$nor" | "$expr");
        if !members.is_empty() && members.keys().all(|k| k.starts_with('$') && !logical(k)) {
            return Ok(Element::Value(self.operators(at, members, depth)?));
        }
        if members.keys().any(|k| k.starts_with('$') && !logical(k)) {
            let why = "operators on the element and conditions on its members are mixed";
            return Err(self.refused(at.path, "$elemMatch", why));
        }
        Ok(Element::Members(Box::new(self.node(members, at.full, depth)?)))
    }

    fn exists(&self, at: &At<'_>, operand: &Value) -> Result<bool> {
        match operand {
            Value::Bool(wanted) => Ok(*wanted),
            Value::Number(n) => Ok(compare::float(n) != 0.0),
            _ => Err(self.refused(at.path, "$exists", "takes true or false")),
        }
    }

    fn types(&self, at: &At<'_>, operand: &Value) -> Result<Types> {
        let one = |value: &Value| match value {
            Value::String(name) => Types::named(name),
            Value::Number(n) => compare::whole(n).and_then(Types::numbered),
            _ => None,
        };
        let types = match operand {
            Value::Array(items) if !items.is_empty() => {
                items.iter().try_fold(Types::default(), |all, v| Some(all.or(one(v)?)))
            }
            single => one(single),
        };
        types.ok_or_else(|| {
            self.refused(at.path, "$type", "takes the name or number of a type, or a list of them")
        })
    }

    fn modulo(&self, at: &At<'_>, operand: &Value) -> Result<Test> {
        let wrong =
            || self.refused(at.path, "$mod", "takes a list of divisor and remainder, and no division by 0");
        let pair = operand.as_array().filter(|l| l.len() == 2).ok_or_else(wrong)?;
        let divisor = pair[0].as_f64().filter(|d| *d != 0.0).ok_or_else(wrong)?;
        Ok(Test::Mod { divisor, remainder: pair[1].as_f64().ok_or_else(wrong)? })
    }

    fn size(&self, at: &At<'_>, operand: &Value) -> Result<usize> {
        let whole = operand.as_number().and_then(compare::whole);
        let size = whole.and_then(|n| usize::try_from(n).ok());
        size.ok_or_else(|| self.refused(at.path, "$size", "takes a whole number that is not negative"))
    }

    fn mask(&self, at: &At<'_>, operator: &str, operand: &Value) -> Result<u64> {
        let bit = |v: &Value| {
            let position = v.as_number().and_then(compare::whole).filter(|p| (0..64).contains(p))?;
            Some(1_u64 << position)
        };
        let mask = match operand {
            Value::Number(n) => compare::whole(n).and_then(|n| u64::try_from(n).ok()),
            Value::Array(positions) => positions.iter().try_fold(0, |mask, p| Some(mask | bit(p)?)),
            _ => None,
        };
        let why = "takes a whole number that is not negative, or a list of positions from 0 to 63";
        mask.ok_or_else(|| self.refused(at.path, operator, why))
    }

    fn regex(&mut self, at: &At<'_>, pattern: &Value, options: Option<&Value>) -> Result<Test> {
        self.regexes += 1;
        if self.regexes > limits::REGEXES {
            let why = format!("the query has more than {} regular expressions", limits::REGEXES);
            return Err(self.refused(at.path, "$regex", why));
        }
        let options = match options {
            None => "",
            Some(Value::String(text)) => text,
            Some(_) => return Err(self.refused(at.path, "$options", "takes a text of flags")),
        };
        let Value::String(pattern) = pattern else {
            return Err(self.refused(at.path, "$regex", "takes a text"));
        };
        regex::compile(pattern, options).map(Test::Regex).map_err(|why| self.refused(at.path, "$regex", why))
    }

    fn expr(&mut self, value: &Value, base: &[Seg], depth: usize) -> Result<Expr> {
        self.count_condition("$expr")?;
        match value {
            Value::String(text) if text.starts_with("$$") => {
                Err(self.refused("$expr", shown(text).as_str(), "variables are not supported"))
            }
            Value::String(text) => match text.strip_prefix('$') {
                Some(path) => Ok(Expr::Member(self.path(path, base)?)),
                None => Ok(Expr::Const(value.clone())),
            },
            Value::Object(members) if members.keys().any(|k| k.starts_with('$')) => {
                self.expr_operator(members, base, depth)
            }
            constant => self.constant(constant, depth),
        }
    }

    fn expr_operator(&mut self, members: &Map<String, Value>, base: &[Seg], depth: usize) -> Result<Expr> {
        let depth = self.deeper("$expr", depth)?;
        let mut each = members.iter();
        let (Some((operator, operand)), None) = (each.next(), each.next()) else {
            return Err(refused(self.op, "$expr", "an expression has one operator"));
        };
        let operands = match operand {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        let known = Binary::named(operator);
        if known.is_none() && !matches!(operator.as_str(), "$and" | "$or" | "$not") {
            return Err(self.refused("$expr", operator, "this operator is not supported in an expression"));
        }
        let mut parsed = Vec::with_capacity(operands.len().min(limits::CONDITIONS));
        for item in operands {
            parsed.push(self.expr(item, base, depth)?);
        }
        match (operator.as_str(), known) {
            ("$and", _) => Ok(Expr::And(parsed)),
            ("$or", _) => Ok(Expr::Or(parsed)),
            (_, None) => {
                let one = parsed.pop().filter(|_| parsed.is_empty());
                one.map(|e| Expr::Not(Box::new(e)))
                    .ok_or_else(|| self.refused("$expr", operator, "takes one operand"))
            }
            (_, Some(binary)) => {
                let sides = <[Expr; 2]>::try_from(parsed);
                let sides =
                    sides.map_err(|_| self.refused("$expr", operator, "takes a list of two operands"))?;
                Ok(Expr::Binary(binary, Box::new(sides)))
            }
        }
    }

    /// A value in an expression. A list or object that would have to be computed is refused.
    fn constant(&mut self, value: &Value, depth: usize) -> Result<Expr> {
        if computed(value, depth) {
            return Err(refused(self.op, "$expr", "lists and objects cannot be computed in an expression"));
        }
        self.check_literal(&At { path: "$expr", full: &[] }, "$expr", value, depth)?;
        Ok(Expr::Const(value.clone()))
    }
}

/// Whether a text in it is a reference. What is nested too deeply is refused elsewhere.
fn computed(value: &Value, depth: usize) -> bool {
    match value {
        Value::String(text) => text.starts_with('$'),
        Value::Array(items) if depth < limits::DEPTH => items.iter().any(|v| computed(v, depth + 1)),
        Value::Object(members) if depth < limits::DEPTH => members.values().any(|v| computed(v, depth + 1)),
        _ => false,
    }
}

fn is_operator(text: &str) -> bool {
    const OTHERS: &[&str] = &[
        "$eq",
        "$ne",
        "$in",
        "$nin",
        "$not",
        "$all",
        "$elemMatch",
        "$exists",
        "$type",
        "$mod",
        "$size",
        "$regex",
        "$options",
    ];
    OTHERS.contains(&text) || Order::named(text).is_some() || Bits::named(text).is_some()
}
