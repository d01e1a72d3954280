//! `setupPools`: MiningOS's pool configurations.

use serde_json::{Value, json};

use super::{Scope, args::Args};
use crate::{Result, model::PoolSetup};

/// Most pools that a configuration names; no device holds as many.
const MOST: usize = 16;
/// MiningOS's password of a worker that has none.
const PASSWORD: &str = ".";
/// Ours beside MiningOS's members of a configuration: `false` leaves the worker names as they are.
const APPEND: &str = "appendId";

/// The pools that a thing gets. Lists are not padded here: the drivers fill a device's places where it wants that.
pub(super) fn parse(args: &Args<'_>, scope: &Scope<'_>) -> Result<Vec<PoolSetup>> {
    let given = args.optional()?;
    let Some(config) = given.map(|value| config(args, value)).transpose()?.flatten() else {
        let none = || args.wrong("config", "is needed: the rack's configuration names no pools");
        return pools(args, scope.pools.ok_or_else(none)?, Some(scope.thing));
    };
    let list = config.get("poolUrls").and_then(Value::as_array);
    let list = list.ok_or_else(|| args.wrong("config.poolUrls", "is a list of pools"))?;
    let append = match config.get(APPEND) {
        None | Some(Value::Bool(true)) => Some(scope.thing),
        Some(Value::Bool(false)) => None,
        Some(_) => return Err(args.wrong("config.appendId", "is true or false")),
    };
    pools(args, list, append)
}

/// The configuration in `{config}`; an object without it means the rack's.
fn config<'a>(args: &Args<'_>, value: &'a Value) -> Result<Option<&'a Value>> {
    let members = value.as_object().ok_or_else(|| args.wrong("params[0]", "is an object with a config"))?;
    if let Some(other) = members.keys().find(|name| *name != "config") {
        return Err(args.wrong(&format!("params[0].{other}"), "is no member of this parameter"));
    }
    match members.get("config") {
        None | Some(Value::Null) => Ok(None),
        Some(config @ Value::Object(_)) => Ok(Some(config)),
        Some(_) => Err(args.wrong("config", "is an object")),
    }
}

fn pools(args: &Args<'_>, list: &[Value], append: Option<&str>) -> Result<Vec<PoolSetup>> {
    if list.len() > MOST {
        return Err(args.wrong("config.poolUrls", format!("names more than {MOST} pools")));
    }
    let text = |pool: &Value, at: usize, name: &str| match pool.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(args.wrong(&format!("config.poolUrls[{at}].{name}"), "is a text")),
    };
    let mut out = Vec::with_capacity(list.len());
    for (at, pool) in list.iter().enumerate() {
        let url = text(pool, at, "url")?.unwrap_or_default();
        let mut username = text(pool, at, "workerName")?.unwrap_or_default();
        if let Some(id) = append.filter(|_| !username.is_empty()) {
            username = format!("{username}.{id}");
        }
        let password = text(pool, at, "workerPassword")?.unwrap_or_else(|| PASSWORD.to_owned());
        out.push(PoolSetup::new(url, username, password));
    }
    // Forms have places for three pools, of which the last may be empty.
    out.truncate(used(&out));
    Ok(out)
}

fn used(pools: &[PoolSetup]) -> usize {
    pools.iter().rposition(|pool| !pool.url.is_empty()).map_or(0, |last| last + 1)
}

/// The parameter that gives a thing exactly these pools, whatever its id.
pub(super) fn of(pools: &[PoolSetup]) -> Value {
    let urls = pools.iter().take(used(pools)).map(|pool| {
        json!({"url": pool.url, "workerName": pool.username, "workerPassword": pool.password.expose()})
    });
    json!({"config": {"poolUrls": urls.collect::<Vec<_>>(), APPEND: false}})
}

/// Id of the configuration that `setupPools` names.
pub(super) fn config_id(params: &[Value]) -> Option<&Value> {
    let id = params.first()?.get("config")?.get("id")?;
    matches!(id, Value::String(_) | Value::Number(_)).then_some(id)
}
