use serde_json::{Map, Value, json};

use super::{Call, OP, Reply, blocking, id, id_of, ids};
use crate::{
    Error, ErrorKind, Result,
    action::{ActionId, Bucket, Engine, Status},
};

pub(in crate::ork::call) async fn get(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let wanted = bucket(call.params.get("type")?, "ERR_SUBDB_UNKOWN")?;
    let id = id(&call)?;
    match blocking(call.ork, move || view(&engine, id)).await? {
        Some((bucket, view)) if bucket == wanted => Ok(Reply::of(view)),
        _ => {
            let text = "there is no action with this id in this list";
            Err(Error::new(ErrorKind::NotFound, OP, text).code_as("ERR_ACTION_ID_NOT_FOUND"))
        }
    }
}

pub(in crate::ork::call) async fn get_batch(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let ids: Vec<ActionId> = ids(&call)?.iter().filter_map(|id| id_of(id).ok()).collect();
    let found = blocking(call.ork, move || {
        let shown = |id| {
            let found = view(&engine, id)?;
            Ok(found.map(|(bucket, view)| json!({"type": bucket, "action": view})))
        };
        ids.into_iter().filter_map(|id| shown(id).transpose()).collect::<Result<Vec<Value>>>()
    });
    Ok(Reply::of(found.await?))
}

/// An action and the list that it is in, by one and the same state of it.
fn view(engine: &Engine, id: ActionId) -> Result<Option<(Bucket, Value)>> {
    let Some(view) = engine.get(id)?.map(|view| view.0) else { return Ok(None) };
    let status: Status = serde_json::from_value(view["status"].clone()).map_err(|e| {
        Error::new(ErrorKind::Internal, OP, "an action is shown without a status").caused_by(e)
    })?;
    Ok(Some((status.bucket(), view)))
}

/// One of MiningOS's four lists.
pub(super) fn bucket(value: Option<&Value>, code: &'static str) -> Result<Bucket> {
    let named = value.and_then(Value::as_str);
    let found = named.and_then(|name| Bucket::ALL.into_iter().find(|bucket| bucket.as_str() == name));
    found.ok_or_else(|| Error::invalid(OP, "type", "takes voting, ready, executing or done").code_as(code))
}

/// An action as MiningOS stores it: `payload` for parameters, targets and the rights that it needs.
pub(super) fn record(view: Value) -> Value {
    let Value::Object(mut members) = view else { return view };
    let payload = ["params", "targets", "requiredPerms"].map(|name| members.remove(name).unwrap_or_default());
    let mut record = Map::new();
    record.insert("payload".into(), Value::Array(payload.into()));
    record.extend(members);
    Value::Object(record)
}
