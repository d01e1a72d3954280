//! MiningOS's methods of actions, and ours beside them.

mod caller;
mod push;
mod query;
mod read;
mod votes;

pub(super) use caller::By;
pub(super) use push::{answer, push, push_batch};
pub(super) use query::query;
pub(super) use read::{get, get_batch};
pub(super) use votes::{cancel, pause, resume, settle, stop, vote, withdraw};

use serde_json::Value;

use super::{Call, OP, Reply, blocking};
use crate::{Error, Result, action::ActionId, model::Text};

/// Most ids of one call.
const MOST_IDS: usize = 1_000;
/// Longest text of a batch's name or a reason, in characters.
const TEXT_CHARS: usize = 200;

/// The id of an action, a number or its text. Whatever is neither is the id of none, as in MiningOS.
fn id_of(value: &Value) -> Result<ActionId> {
    match value {
        Value::Number(number) => number.to_string().parse(),
        Value::String(text) => text.parse(),
        _ => "".parse(),
    }
}

fn id(call: &Call<'_>) -> Result<ActionId> {
    id_of(call.params.get("id")?.unwrap_or(&Value::Null)).map_err(|e| e.with("field", "id"))
}

fn ids<'a>(call: &'a Call<'_>) -> Result<&'a [Value]> {
    let ids = call.params.get("ids")?.and_then(Value::as_array);
    ids.filter(|ids| ids.len() <= MOST_IDS)
        .map(Vec::as_slice)
        .ok_or_else(|| malformed("ids", "takes a list of at most 1,000 ids"))
}

fn malformed(field: &'static str, why: &str) -> Error {
    Error::invalid(OP, field, why).code_as("ERR_PAYLOAD_INVALID")
}

/// A short text that is there and not empty.
pub(super) fn text(call: &Call<'_>, member: &'static str) -> Result<Option<Text>> {
    let Some(value) = call.params.get(member)? else { return Ok(None) };
    let fits = |text: &&str| text.chars().count() <= TEXT_CHARS && !text.contains(char::is_control);
    let text = value.as_str().filter(fits);
    let text = text.ok_or_else(|| malformed(member, "takes a text of at most 200 characters"))?;
    Ok(Some(text.into()).filter(|_| !text.is_empty()))
}

/// MiningOS's answer to whatever changed an action.
fn done<T>(changed: Result<T>) -> Result<Reply> {
    changed.map(|_| Reply::of(1))
}
