use std::borrow::Cow;

use serde_json::Value;

use super::{
    compare::{self, Order},
    hidden::View,
    path::Path,
};

/// The condition of an `$expr`: comparisons between members of one document.
#[derive(Debug)]
pub(super) enum Expr {
    Const(Value),
    Member(Path),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Binary(Binary, Box<[Self; 2]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Eq,
    Ne,
    Order(Order),
    /// −1, 0 or 1 by the order of all values, with a missing one as null.
    Cmp,
}

impl Binary {
    pub(super) fn named(operator: &str) -> Option<Self> {
        Some(match operator {
            "$eq" => Self::Eq,
            "$ne" => Self::Ne,
            "$cmp" => Self::Cmp,
            other => Self::Order(Order::named(other)?),
        })
    }

    fn of(self, a: Option<&Value>, b: Option<&Value>) -> Value {
        let wanted = b.unwrap_or(&Value::Null);
        match self {
            Self::Eq => compare::equal(a, wanted).into(),
            Self::Ne => (!compare::equal(a, wanted)).into(),
            Self::Order(order) => compare::ordered(a, order, wanted).into(),
            Self::Cmp => (compare::total(a.unwrap_or(&Value::Null), wanted) as i8).into(),
        }
    }
}

impl Expr {
    pub(super) fn holds(&self, view: View<'_>, doc: &Value) -> bool {
        match self {
            Self::And(each) => each.iter().all(|e| e.holds(view, doc)),
            Self::Or(each) => each.iter().any(|e| e.holds(view, doc)),
            Self::Not(one) => !one.holds(view, doc),
            _ => self.value(view, doc).is_some_and(|v| truthy(&v)),
        }
    }

    fn value<'v>(&'v self, view: View<'v>, doc: &'v Value) -> Option<Cow<'v, Value>> {
        match self {
            Self::Const(value) => Some(Cow::Borrowed(value)),
            Self::Member(path) => path.value(view, doc),
            Self::Binary(binary, sides) => {
                let [a, b] = &**sides;
                let (a, b) = (a.value(view, doc), b.value(view, doc));
                Some(Cow::Owned(binary.of(a.as_deref(), b.as_deref())))
            }
            Self::And(_) | Self::Or(_) | Self::Not(_) => Some(Cow::Owned(self.holds(view, doc).into())),
        }
    }
}

/// Everything but false, null, 0 and a missing member; the empty text too.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(n) => compare::float(n) != 0.0,
        _ => true,
    }
}
