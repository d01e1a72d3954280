use serde_json::{Value, json};

use crate::{
    Error, ErrorKind, Result,
    auth::Access::{Read, Write},
    ork::fan::Target,
    query::Filter,
    rack::{CommentRef, Partial, RackId, ThingChange, ThingDraft, Which},
};

use super::{Call, OP, Reply};

pub(super) async fn list(call: Call<'_>) -> Result<Reply> {
    let mut query = call.params.query()?;
    let targets = call.ork.allowed(call.who.permissions, Read)?;
    let asked = targets.len();
    if call.params.get("limit")?.is_none() {
        // As many as the racks of MiningOS give together, of which each has its own first hundred.
        query.page.limit = query.page.limit.saturating_mul(asked.max(1) as u64);
    }
    let all = call.ork.list_of(targets, &query).await;
    let answered = all.failed.len() < asked;
    // A page that leaves racks out is no place to go on from: what they hold would never come.
    let next = all.items.next.as_ref().filter(|_| all.failed.is_empty()).map(ToString::to_string);
    let reply = Reply::partial(answered, all, |page| {
        page.items.into_iter().map(|item| item.value.into_value()).collect()
    })?;
    Ok(Reply { next, ..reply })
}

pub(super) async fn count(call: Call<'_>) -> Result<Reply> {
    let filter = call.params.filter()?.unwrap_or_default();
    let all = call.ork.count_of(call.ork.allowed(call.who.permissions, Read)?, &filter).await;
    // A number that leaves a rack out is wrong, and there is no place to say so.
    Reply::partial(false, all, |counts| counts.iter().map(|(_, n)| n).sum::<u64>().into())
}

pub(super) async fn register(call: Call<'_>) -> Result<Reply> {
    let draft: ThingDraft = call.params.thing_members()?;
    let rack = call.ork.rack_for(&draft, call.params.rack_or_none()?.as_ref())?;
    may_write(&call, &rack)?;
    let (rack, record) = call.ork.register(draft, Some(&rack), &call.caller()).await?;
    Ok(Reply::of(json!({"id": record.id, "code": record.code, "rack": rack})))
}

pub(super) async fn update(call: Call<'_>) -> Result<Reply> {
    let id = call.params.thing("id", "ERR_ACTION_INVALID_MISSING_ID")?;
    let change: ThingChange = call.params.thing_members()?;
    let rack = match call.params.rack_or_none()? {
        Some(rack) => rack,
        None => {
            let all = call.ork.get_of(call.ork.allowed(call.who.permissions, Read)?, &id).await;
            held_by(all)?
        }
    };
    may_write(&call, &rack)?;
    call.ork.update(&rack, &id, change, &call.caller()).await?;
    Ok(Reply::of(1))
}

fn held_by(all: Partial<Option<crate::ork::Placed>>) -> Result<RackId> {
    if let Some((rack, _)) = all.items {
        return Ok(rack);
    }
    // It may be in a rack that did not answer.
    if let Some((_, e)) = all.failed.into_iter().next() {
        return Err(e);
    }
    let e = Error::new(ErrorKind::NotFound, OP, "there is no such thing");
    Err(e.code_as("ERR_THING_NOTFOUND"))
}

pub(super) fn may_write(call: &Call<'_>, rack: &RackId) -> Result<()> {
    let target = call.ork.target(rack)?;
    let checked = call.who.permissions.check_family(OP, target.info.family(), Write);
    checked.map_err(|e| e.with("rack", rack))
}

pub(super) async fn forget(call: Call<'_>) -> Result<Reply> {
    let which = which(&call)?;
    let permissions = call.who.permissions;
    let mut touched = call.ork.targets(|info| {
        permissions.allows_family(info.family(), Read) || permissions.allows_family(info.family(), Write)
    })?;
    // Asked first, so that a rack that cannot answer stops it before anything is forgotten.
    let filter = if let Which::Matching(filter) = &which { filter.clone() } else { Filter::all() };
    let Partial { items, failed } = call.ork.count_of(touched.clone(), &filter).await;
    if let Some((_, e)) = failed.into_iter().next() {
        return Err(e.with("forgotten", 0));
    }
    touched.retain(|target| items.iter().any(|(rack, n)| *rack == target.info.id && *n > 0));
    for Target { info, .. } in &touched {
        permissions.check_family(OP, info.family(), Write).map_err(|e| e.with("rack", &info.id))?;
    }
    let Partial { items, failed } = call.ork.forget_of(touched, &which, &call.caller()).await;
    let forgotten: usize = items.iter().map(|(_, ids)| ids.len()).sum();
    match failed.into_iter().next() {
        Some((_, e)) => Err(e.with("forgotten", forgotten)),
        None => Ok(Reply::of(forgotten)),
    }
}

fn which(call: &Call<'_>) -> Result<Which> {
    if super::params::truthy(call.params.get("all")?) {
        return Ok(Which::All);
    }
    let query = match (call.params.get("query")?, call.params.get("ids")?) {
        (Some(Value::Object(query)), None) if !query.is_empty() => Value::Object(query.clone()),
        (None, Some(ids @ Value::Array(_))) => json!({"id": {"$in": ids}}),
        _ => {
            let e = Error::invalid(OP, "query", "takes a query or ids, or all: true instead");
            return Err(e.code_as("ERR_QUERY_INVALID"));
        }
    };
    Ok(Which::Matching(Filter::parse(&query)?))
}

/// Whether there is such a rack as far as the caller can see.
pub(super) fn seen(call: &Call<'_>, rack: &RackId) -> Result<bool> {
    match call.ork.target(rack) {
        Ok(target) => Ok(call.who.permissions.allows_family(target.info.family(), Read)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

pub(super) async fn save_comment(call: Call<'_>) -> Result<Reply> {
    let (rack, thing) = (call.params.rack()?, call.params.thing("thingId", "ERR_THING_ID_INVALID")?);
    let text = call.params.text("comment", "ERR_COMMENT_INVALID")?;
    let pos = call.params.text_or_none("pos")?;
    if !seen(&call, &rack)? {
        return Ok(Reply::of(0));
    }
    call.ork.save_comment(&rack, &thing, text, pos, &call.caller()).await?;
    Ok(Reply::of(1))
}

pub(super) async fn edit_comment(call: Call<'_>) -> Result<Reply> {
    let (rack, thing) = (call.params.rack()?, call.params.thing("thingId", "ERR_THING_ID_INVALID")?);
    let text = call.params.text("comment", "ERR_COMMENT_INVALID")?;
    let which = comment(&call)?;
    if !seen(&call, &rack)? {
        return Ok(Reply::of(0));
    }
    call.ork.edit_comment(&rack, &thing, &which, text, &call.caller()).await?;
    Ok(Reply::of(1))
}

pub(super) async fn delete_comment(call: Call<'_>) -> Result<Reply> {
    let (rack, thing) = (call.params.rack()?, call.params.thing("thingId", "ERR_THING_ID_INVALID")?);
    let which = comment(&call)?;
    if !seen(&call, &rack)? {
        return Ok(Reply::of(0));
    }
    call.ork.delete_comment(&rack, &thing, &which, &call.caller()).await?;
    Ok(Reply::of(1))
}

fn comment(call: &Call<'_>) -> Result<CommentRef> {
    let which = CommentRef {
        id: call.params.text_or_none("id")?.map(str::to_owned),
        ts: call.params.number_or_none("ts")?,
    };
    if which == CommentRef::default() {
        return Err(Error::invalid(OP, "id", "takes the comment's id, or ts instead"));
    }
    Ok(which)
}
