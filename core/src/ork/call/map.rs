use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Error, ErrorKind, Result, ThingId,
    auth::Access::{Read, Write},
    ork::{Move, ThingMap},
    rack::{RackId, Things},
    store::Revision,
};

use super::{Call, OP, Reply};

pub(super) async fn get(call: Call<'_>) -> Result<Reply> {
    let map = call.ork.thing_map();
    Ok(Reply::of(json!({"thingMap": map.value.racks(), "revision": map.revision.0})))
}

pub(super) async fn set(call: Call<'_>) -> Result<Reply> {
    // From the text, where a rack that is named twice still stands twice.
    let Some(text) = call.params.raw("thingMap")? else {
        let e = Error::invalid(OP, "thingMap", "takes an object of racks and their addresses");
        return Err(e.code_as("ERR_THING_MAP_INVALID"));
    };
    let map = ThingMap::parse(&text)?;
    let wanted = call.params.number_or_none("ifRevision")?;
    let wanted = wanted.map(u64::try_from).transpose();
    let wanted = wanted.map_err(|_| Error::invalid(OP, "ifRevision", "is not negative"))?;
    let revision = call.ork.set_thing_map(map, wanted.map(Revision)).await?;
    Ok(Reply::of(json!({"revision": revision.0})))
}

pub(super) async fn misplaced(call: Call<'_>) -> Result<Reply> {
    let targets = call.ork.allowed(call.who.permissions, Read)?;
    let asked = targets.len();
    let all = call.ork.misplaced_of(targets).await?;
    let answered = all.failed.len() < asked;
    Reply::partial(answered, all, |moves| moves.iter().map(row).collect())
}

fn row(one: &Move) -> Value {
    json!({"id": one.id, "from": one.from, "to": one.to})
}

#[derive(Deserialize)]
struct Wanted {
    id: String,
    from: String,
    to: String,
}

impl Wanted {
    fn check(self, at: usize) -> Result<Move> {
        let named = |field| move |e: Error| e.with("field", format!("moves[{at}].{field}"));
        let id = ThingId::new(&self.id).map_err(named("id"))?;
        let from = RackId::new(&self.from).map_err(named("from"))?;
        let to = RackId::new(&self.to).map_err(named("to"))?;
        Ok(Move { id, from, to })
    }
}

/// Moves the things named, or all that are misplaced in racks that the caller sees; says what became of each.
pub(super) async fn reassign(call: Call<'_>) -> Result<Reply> {
    let moves = if super::params::truthy(call.params.get("all")?) {
        let all = call.ork.misplaced_of(call.ork.allowed(call.who.permissions, Read)?).await?;
        if let Some((_, e)) = all.failed.into_iter().next() {
            return Err(e.with("moved", 0));
        }
        all.items
    } else {
        let Some(list @ Value::Array(_)) = call.params.get("moves")? else {
            return Err(Error::invalid(OP, "moves", "takes a list of {id, from, to}, or all: true instead"));
        };
        let list: Vec<Wanted> = serde_path_to_error::deserialize(list).map_err(|e| {
            Error::invalid(OP, &format!("moves{}", e.path()), "takes id, from and to, each a text")
        })?;
        list.into_iter().enumerate().map(|(at, one)| one.check(at)).collect::<Result<_>>()?
    };
    for rack in moves.iter().flat_map(|one| [&one.from, &one.to]) {
        super::things::may_write(&call, rack)?;
    }
    if moves.is_empty() {
        return Ok(Reply::of(Vec::<Value>::new()));
    }
    let done = call.ork.reassign(things(&call)?, moves, &call.caller()).await;
    let rows = done.iter().map(|(one, moved)| {
        let mut row = row(one);
        row["moved"] = moved.is_ok().into();
        if let Err(e) = moved {
            row["error"] = json!({"code": e.code(), "message": e.message()});
        }
        row
    });
    Ok(Reply::of(rows.collect::<Vec<_>>()))
}

/// The registry of this process, where things are moved and doubts are settled.
fn things<'a>(call: &'a Call<'_>) -> Result<&'a Things> {
    call.ork.0.things.as_deref().ok_or_else(|| {
        let text = "things are not kept here: ask the site that holds them";
        Error::new(ErrorKind::Unsupported, OP, text)
    })
}

pub(super) async fn merge(call: Call<'_>) -> Result<Reply> {
    let keep = call.params.thing("keep", "ERR_THING_ID_INVALID")?;
    let drop = call.params.thing("drop", "ERR_THING_ID_INVALID")?;
    for id in [&keep, &drop] {
        may_decide(&call, id)?;
    }
    things(&call)?.merge(&keep, &drop, &call.caller()).await?;
    Ok(Reply::of(1))
}

pub(super) async fn split(call: Call<'_>) -> Result<Reply> {
    let id = call.params.thing("id", "ERR_THING_ID_INVALID")?;
    may_decide(&call, &id)?;
    things(&call)?.split(&id, &call.caller()).await?;
    Ok(Reply::of(1))
}

/// Whether the caller may change the thing; one that it does not see is not there.
fn may_decide(call: &Call<'_>, id: &ThingId) -> Result<()> {
    let permissions = call.who.permissions;
    let seen = |family: &str| [Read, Write].iter().any(|access| permissions.allows_family(family, *access));
    let record = things(call)?.get(id).filter(|record| seen(record.family())).ok_or_else(|| {
        let e = Error::new(ErrorKind::NotFound, OP, "there is no such thing");
        e.code_as("ERR_THING_NOTFOUND").with("thing", id)
    })?;
    permissions.check_family(OP, record.family(), Write).map_err(|e| e.with("thing", id))
}
