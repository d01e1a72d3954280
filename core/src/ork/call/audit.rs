use serde_json::{Value, json};

use super::{Call, OP, Reply, blocking};
use crate::{
    Error, Result,
    audit::{self, Checkpoint, VerifierKey},
};

/// Most checkpoints of one call.
const MOST_CHECKPOINTS: usize = 1_000;
/// Most entries of a page.
const MOST_LINES: usize = 1_000;

/// Of a log that is not whole the answer says where; that is no failure of the call.
pub(super) async fn verify(call: Call<'_>) -> Result<Reply> {
    let checkpoints = checkpoints(&call)?;
    let store = call.ork.0.store.clone();
    let verified = blocking(call.ork, move || audit::verify_stored(&store, &checkpoints)).await;
    match verified {
        Ok(of) => Ok(Reply::of(json!({
            "verified": true, "size": of.size, "root": of.root.to_string(), "witnessed": of.witnessed,
        }))),
        Err(e) if e.code() == audit::code::CORRUPT => {
            let entry = e.fact("entry").and_then(|entry| entry.parse::<u64>().ok());
            Ok(Reply::of(json!({"verified": false, "entry": entry, "why": e.message()})))
        }
        Err(e) => Err(e),
    }
}

fn checkpoints(call: &Call<'_>) -> Result<Vec<Checkpoint>> {
    let Some(notes) = call.params.get("checkpoints")? else { return Ok(Vec::new()) };
    let refused = |field, why: &str| Error::invalid(OP, field, why).code_as("ERR_PAYLOAD_INVALID");
    let notes = notes.as_array().filter(|notes| notes.len() <= MOST_CHECKPOINTS);
    let notes = notes.ok_or_else(|| refused("checkpoints", "takes a list of at most 1,000 signed notes"))?;
    let key = call.params.text("key", "ERR_PAYLOAD_INVALID")?;
    let key: VerifierKey = key.parse()?;
    let open = |note: &Value| {
        let note = note.as_str().ok_or_else(|| refused("checkpoints", "takes signed notes"))?;
        key.open(note.as_bytes())
    };
    notes.iter().enumerate().map(|(at, note)| open(note).map_err(|e| e.with("index", at))).collect()
}

pub(super) async fn export(call: Call<'_>) -> Result<Reply> {
    let number = |member, none: u64| {
        let given = call.params.number_or_none(member)?.map(u64::try_from).transpose();
        let given = given.map_err(|_| Error::invalid(OP, member, "is not negative"))?;
        Ok::<_, Error>(given.unwrap_or(none))
    };
    let (from, limit) = (number("from", 0)?, number("limit", MOST_LINES as u64)?);
    let limit = usize::try_from(limit).unwrap_or(MOST_LINES).clamp(1, MOST_LINES);
    let store = call.ork.0.store.clone();
    let page = blocking(call.ork, move || audit::page(&store, from, limit)).await?;
    let mut reply = json!({"lines": page.lines});
    if let Some(next) = page.next {
        reply["next"] = next.into();
    }
    Ok(Reply::of(reply))
}
