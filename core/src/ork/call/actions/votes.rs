use serde_json::{Value, json};

use super::{By, Call, OP, Reply, done, id, id_of, ids, text};
use crate::{
    Error, Result,
    action::{Ballot, Settled},
};

/// Checked in MiningOS's order: who votes, for or against, with which rights.
pub(in crate::ork::call) async fn vote(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let by = By::Voting.of(&call);
    if let Err(e) = &by
        && e.code() == "ERR_VOTER_INVALID"
    {
        return done(by);
    }
    let ballot = Ballot::from_body(call.params.body()?)?;
    done(engine.vote(id(&call)?, ballot, &by?).await)
}

pub(in crate::ork::call) async fn withdraw(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let by = By::Person.of(&call)?;
    done(engine.withdraw(id(&call)?, &by).await)
}

/// Each alone: one that cannot be cancelled keeps no other from it.
pub(in crate::ork::call) async fn cancel(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let by = By::Person.of(&call)?;
    let mut answers = Vec::new();
    for given in ids(&call)? {
        let cancelled = match id_of(given) {
            Ok(id) => engine.cancel(id, &by).await,
            Err(e) => Err(e),
        };
        answers.push(match cancelled {
            Ok(_) => json!({"id": given, "success": true}),
            Err(e) => json!({"id": given, "success": false, "error": not_cancelled(given, &e)}),
        });
    }
    Ok(Reply::of(answers))
}

fn not_cancelled(given: &Value, e: &Error) -> String {
    let id = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    format!("ERR_CANCEL_BATCH_ACTION-ID-{id} {}", e.code())
}

pub(in crate::ork::call) async fn pause(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let (by, why) = (By::Acting.of(&call)?, text(&call, "why")?);
    done(engine.pause(id(&call)?, why.as_deref(), &by).await)
}

pub(in crate::ork::call) async fn resume(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let by = By::Acting.of(&call)?;
    done(engine.resume(id(&call)?, &by).await)
}

pub(in crate::ork::call) async fn stop(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let (by, why) = (By::Acting.of(&call)?, text(&call, "why")?);
    done(engine.stop(id(&call)?, why.as_deref(), &by).await)
}

pub(in crate::ork::call) async fn settle(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let settled = match call.params.text_or_none("settled")? {
        Some("ok") => Settled::Ok,
        Some("failed") => Settled::Failed,
        Some("unknown") => Settled::Unknown,
        _ => return Err(Error::invalid(OP, "settled", "takes ok, failed or unknown")),
    };
    let (rack, by, why) = (call.params.rack()?, By::Acting.of(&call)?, text(&call, "why")?);
    let thing = call.params.text("thingId", "ERR_THING_ID_INVALID")?;
    done(engine.settle(id(&call)?, (&rack, thing), settled, why.as_deref(), &by).await)
}
