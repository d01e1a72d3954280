//! What comes from outside the site.

use serde_json::{Map, Value};

use crate::{
    Error, Result,
    auth::Access::{Read, Write},
    io::Timestamp,
    ork::ExtQuery,
    query::Projection,
};

use super::{Call, OP, Reply, params::whole};

/// Longest key or name of a pool, in characters.
const TEXT_CHARS: usize = 200;
/// The gateway's name for all pools.
const ALL_POOLS: &str = "all";

pub(super) async fn get(call: Call<'_>) -> Result<Reply> {
    let wanted = call.params.text("type", "ERR_TYPE_INVALID")?;
    let (query, fields) = asked(&call)?;
    if !call.who.permissions.allows_family(family(wanted), Read) {
        // What belongs to other families is not there.
        return Ok(Reply::of(Vec::<Value>::new()));
    }
    let said = call.ork.ext_rows(wanted, query).await?;
    Reply::partial(said.answered, said.rows, |rows| rows.iter().map(|row| fields.apply(row)).collect())
}

pub(super) async fn set(call: Call<'_>) -> Result<Reply> {
    let wanted = call.params.text("type", "ERR_TYPE_INVALID")?;
    call.who.permissions.check_family(OP, family(wanted), Write)?;
    let key = call.params.text("key", "ERR_KEY_INVALID")?;
    let key = short(key).ok_or_else(|| refused("key", "is longer than 200 characters", "ERR_KEY_INVALID"))?;
    let value = call.params.get("value")?.cloned();
    let value = value.ok_or_else(|| refused("value", "is needed", "ERR_VALUE_INVALID"))?;
    let told = call.ork.ext_set(wanted, key, value, &call.caller()).await?;
    Ok(Reply::of(if told.is_null() { Value::from(1) } else { told }))
}

fn family(wanted: &str) -> &str {
    wanted.split('-').next().unwrap_or_default()
}

/// The question, and what of each row is given. Callers write the range and the fields into the question or beside it.
fn asked(call: &Call<'_>) -> Result<(ExtQuery, Projection)> {
    let mut members = match call.params.get("query")? {
        None => Map::new(),
        Some(Value::Object(members)) => members.clone(),
        Some(_) => return Err(refused("query", "takes an object", "ERR_QUERY_INVALID")),
    };
    let beside = call.params.object()?;
    let member = |name: &str| {
        let given = |of: &Map<String, Value>| of.get(name).filter(|value| !value.is_null()).cloned();
        given(&members).or_else(|| given(beside))
    };
    let time = |name: &str, code| {
        let wrong = || refused(name, "takes a time in ms", code);
        member(name).map(|value| whole(&value).map(Timestamp).ok_or_else(wrong)).transpose()
    };
    let fields =
        member("fields").map_or_else(|| Ok(Projection::all()), |fields| Projection::parse(&fields))?;
    let (start, end) = (time("start", "ERR_START_INVALID")?, time("end", "ERR_END_INVALID")?);
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        return Err(refused("end", "lies before start", "ERR_RANGE_INVALID"));
    }
    let key = text(&members, "key", "ERR_KEY_INVALID")?;
    let pool = text(&members, "pool", "ERR_POOL_INVALID")?.filter(|pool| pool != ALL_POOLS);
    // Without their times, rows cannot be united: what is given of them is chosen afterwards.
    members.remove("fields");
    let query = ExtQuery { key, start, end, pool, members };
    Ok((query, fields))
}

/// A text that is there and not empty.
fn text(members: &Map<String, Value>, name: &str, code: &'static str) -> Result<Option<String>> {
    let wrong = || refused(&format!("query.{name}"), "takes a text of at most 200 characters", code);
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => {
            let text = value.as_str().and_then(short).ok_or_else(wrong)?;
            Ok(Some(text.to_owned()))
        }
    }
}

fn short(text: &str) -> Option<&str> {
    Some(text).filter(|text| text.chars().count() <= TEXT_CHARS)
}

fn refused(field: &str, why: &str, code: &'static str) -> Error {
    Error::invalid(OP, field, why).code_as(code)
}
