//! Reading an action's parameters.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::table::{ActionRow, PARAMS};
use crate::{Error, Result};

pub(super) const OP: &str = "action.params";
/// Most bytes of an action's parameters as JSON. The largest that are any use, a list of pools, take some hundreds.
const MOST_BYTES: usize = 64 << 10;
const MOST_DEPTH: usize = 16;

/// Refuses parameters that are too large or too deep.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) with `ERR_PARAMS_INVALID`.
pub(super) fn bounded(params: &[Value]) -> Result<()> {
    let refused = |why: String| Err(Error::invalid(OP, "params", why).code_as(PARAMS));
    if !params.iter().all(|value| shallow(value, MOST_DEPTH)) {
        return refused(format!("are nested deeper than {MOST_DEPTH} levels"));
    }
    // Whatever is no text or list takes less than its JSON.
    match serde_json::to_vec(params) {
        Ok(json) if json.len() <= MOST_BYTES => Ok(()),
        _ => refused(format!("take more than {MOST_BYTES} bytes")),
    }
}

fn shallow(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(list) => left > 0 && list.iter().all(|v| shallow(v, left - 1)),
        Value::Object(map) => left > 0 && map.values().all(|v| shallow(v, left - 1)),
        _ => true,
    }
}

/// The parameters of one action. No action takes more than one, and what stands behind it is refused, so that nothing
/// can be smuggled to a device that takes optional arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Args<'a> {
    pub row: &'static ActionRow,
    pub params: &'a [Value],
}

impl<'a> Args<'a> {
    /// Why `field` is wrong. Never tells its value, which can be a secret.
    pub fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::invalid(OP, field, why).code_as(self.row.code).with("action", self.row.name)
    }

    /// Takes none.
    pub fn none(&self) -> Result<()> {
        self.at_most(0)
    }

    /// The only one, if it is there.
    pub fn optional(&self) -> Result<Option<&'a Value>> {
        self.at_most(1)?;
        Ok(self.params.first())
    }

    /// The only one, called `field`.
    pub fn one(&self, field: &str) -> Result<&'a Value> {
        self.optional()?.ok_or_else(|| self.wrong(field, "is missing"))
    }

    pub fn flag(&self, field: &str) -> Result<bool> {
        self.one(field)?.as_bool().ok_or_else(|| self.wrong(field, "is true or false"))
    }

    pub fn text(&self, field: &str) -> Result<&'a str> {
        self.one(field)?.as_str().ok_or_else(|| self.wrong(field, "is a text"))
    }

    /// A whole number that fits.
    pub fn whole<T: TryFrom<i64>>(&self, field: &str) -> Result<T> {
        let number = self.one(field)?.as_i64().and_then(|n| n.try_into().ok());
        number.ok_or_else(|| self.wrong(field, "is a whole number in the command's range"))
    }

    /// Whatever the command's own JSON takes.
    pub fn typed<T: DeserializeOwned>(&self, field: &str) -> Result<T> {
        serde_path_to_error::deserialize(self.one(field)?).map_err(|e| {
            let path = e.path().to_string();
            let field = if path == "." { field.to_owned() } else { format!("{field}.{path}") };
            self.wrong(&field, "has the wrong form")
        })
    }

    fn at_most(&self, count: usize) -> Result<()> {
        if self.params.len() <= count {
            return Ok(());
        }
        let why = format!("{} takes {count} parameters, and nothing after them", self.row.name);
        let e = Error::invalid(OP, &format!("params[{count}]"), why).code_as(PARAMS);
        Err(e.with("action", self.row.name))
    }
}
