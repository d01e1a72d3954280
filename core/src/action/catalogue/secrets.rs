//! Secrets in an action's parameters: hidden in views, sealed in the store.

use serde_json::Value;

use super::args::OP;
use crate::{
    Error, Result,
    io::Rng,
    model::CommandName,
    query::Hidden,
    store::{Key, Place, Sealer, Space},
};

/// Where the parameters stand in an action's record. A change of the site's key finds secrets by their members there; elements
/// of a list have the list's place.
const AT: &str = "order.params";
/// What stands in a view where a secret is.
const SHOWN: &str = "***";

/// The parameters as anybody may see them: without secrets, at any depth. An array.
pub fn redact(action: &str, params: &[Value]) -> Value {
    // Showing no secret cannot fail.
    let hide = |_: &str, _: &Value| Ok(SHOWN.into());
    Value::Array(mapped(action, params, &hide).unwrap_or_default())
}

/// The parameters as the store keeps them, in the record of [`Space::Actions`] with this key.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) when a secret has the form of a sealed one, which could be somebody else's;
/// else those of the [`Sealer`].
pub fn seal(sealer: &Sealer, rng: &dyn Rng, key: &Key, action: &str, params: &[Value]) -> Result<Vec<Value>> {
    mapped(action, params, &|field, value| {
        if value.get("$sealed").is_some() {
            return Err(Error::invalid(OP, field, "a secret is given as it is, not sealed"));
        }
        sealer.seal_value(rng, &Place { space: Space::Actions, key, field }, value)
    })
}

/// Undoes [`seal`].
///
/// # Errors
/// Those of the [`Sealer`]: the key is another one, or a secret was moved or changed.
pub fn open(sealer: &Sealer, key: &Key, action: &str, params: &[Value]) -> Result<Vec<Value>> {
    let open =
        |field: &str, value: &Value| sealer.open_value(&Place { space: Space::Actions, key, field }, value);
    mapped(action, params, &open)
}

type Change<'a> = &'a dyn Fn(&str, &Value) -> Result<Value>;

/// The parameters with `change` applied to each secret, which is told where it stands.
fn mapped(action: &str, params: &[Value], change: Change<'_>) -> Result<Vec<Value>> {
    // Passwords stand by position here, whatever else is beside them.
    let all = action == CommandName::UpdateAdminPassword.as_str();
    let hidden = Hidden::standard();
    let each = params.iter();
    each.map(|value| if all { change(AT, value) } else { inside(&hidden, AT, value, change) }).collect()
}

fn inside(hidden: &Hidden, path: &str, value: &Value, change: Change<'_>) -> Result<Value> {
    match value {
        Value::Object(map) => {
            let members = map.iter().map(|(name, value)| {
                let path = format!("{path}.{name}");
                let new = if is_secret(hidden, name) {
                    change(&path, value)?
                } else {
                    inside(hidden, &path, value, change)?
                };
                Ok((name.clone(), new))
            });
            members.collect::<Result<_>>().map(Value::Object)
        }
        Value::Array(list) => {
            let items = list.iter().map(|item| inside(hidden, path, item, change));
            items.collect::<Result<_>>().map(Value::Array)
        }
        plain => Ok(plain.clone()),
    }
}

/// Names that the store seals or that queries hide. A name with a dot is a path to the query language; its parts are
/// judged alone.
fn is_secret(hidden: &Hidden, name: &str) -> bool {
    Sealer::is_secret(name) || name.split('.').any(|part| part != "opts" && hidden.hides(part))
}
