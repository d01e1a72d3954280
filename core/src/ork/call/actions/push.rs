use serde_json::{Value, json};

use super::{By, Call, OP, Reply, malformed, read::record, text};
use crate::{
    Error, Result,
    action::{self, BatchOptions, Draft, Engine, Pushed},
};

/// Most elements of a batch.
const MOST: usize = 500;
/// Codes of rights that came with a push and cannot be read. MiningOS's clients look for them in the answer.
const OF_RIGHTS: [&str; 2] = ["ERR_PAYLOAD_AUTH_PERMS_REQUIRED", "ERR_AUTH_PERMS_INVALID"];
/// The last entry whenever nothing was stored.
const EMPTY: &str = "ERR_ORK_ACTION_CALLS_EMPTY";

pub(in crate::ork::call) async fn push(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let draft = Draft::from_body(call.params.body()?)?;
    let by = match caller(&call)? {
        Ok(by) => by,
        Err(nothing) => return Ok(Reply::of(nothing)),
    };
    let options = BatchOptions { uid: text(&call, "batchActionUID")?, ..BatchOptions::default() };
    let pushed = engine.push_batch(vec![draft], &options, &by).await?;
    let answers: Result<Vec<Value>> = pushed.into_iter().map(|pushed| answer(&engine, pushed)).collect();
    let missing = || Error::new(crate::ErrorKind::Internal, OP, "a push without an answer");
    answers?.pop().map(Reply::of).ok_or_else(missing)
}

/// Every element is checked for form before any is stored.
pub(in crate::ork::call) async fn push_batch(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let payload = call.params.get("batchActionsPayload")?.and_then(Value::as_array);
    let payload = payload
        .filter(|all| all.len() <= MOST)
        .ok_or_else(|| malformed("batchActionsPayload", "takes a list of at most 500 actions"))?;
    let draft = |(at, body)| Draft::from_body(body).map_err(|e| e.with("index", at));
    let drafts: Vec<Draft> = payload.iter().enumerate().map(draft).collect::<Result<_>>()?;
    let by = match caller(&call)? {
        Ok(by) => by,
        Err(nothing) => return Ok(Reply::of(vec![nothing; drafts.len()])),
    };
    let all_or_nothing = match call.params.get("allOrNothing")? {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| malformed("allOrNothing", "takes true or false"))?,
    };
    let uid = text(&call, "batchActionUID")?;
    let options = BatchOptions { uid, suffix: text(&call, "suffix")?, all_or_nothing };
    let pushed = engine.push_batch(drafts, &options, &by).await?;
    let answers: Result<Vec<Value>> = pushed.into_iter().map(|pushed| answer(&engine, pushed)).collect();
    answers.map(Reply::of)
}

/// Who pushes; or the answer when the rights that came with the push cannot be read.
fn caller(call: &Call<'_>) -> Result<Result<action::By, Value>> {
    match By::Acting.of(call) {
        Ok(by) => Ok(Ok(by)),
        Err(e) if OF_RIGHTS.contains(&e.code()) => Ok(Err(json!({"id": null, "errors": [e.code(), EMPTY]}))),
        Err(e) => Err(e),
    }
}

/// What a push answers with.
pub(in crate::ork::call) fn answer(engine: &Engine, pushed: Pushed) -> Result<Value> {
    let Some(id) = pushed.id else { return Ok(json!({"id": null, "errors": pushed.errors})) };
    let data = engine.get(id)?.map(|view| record(view.0));
    Ok(json!({"id": id, "data": data, "errors": pushed.errors}))
}
