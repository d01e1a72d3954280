use serde_json::{Value, json};

use super::{
    Call, OP, Reply,
    actions::{By, answer, text},
};
use crate::{
    Error, Result,
    action::{Shed, StopScope},
};

pub(super) async fn halt(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let (by, why) = (By::Acting.of(&call)?, text(&call, "why")?);
    engine.halt(why.as_deref(), &by).await?;
    Ok(Reply::of(1))
}

pub(super) async fn stop(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let (by, why) = (By::Acting.of(&call)?, text(&call, "why")?);
    engine.begin_stopping(scope(&call)?, why.as_deref(), &by).await?;
    Ok(Reply::of(1))
}

pub(super) async fn lift(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let (by, why) = (By::Acting.of(&call)?, text(&call, "why")?);
    let lifted = engine.lift(scope(&call)?, why.as_deref(), &by).await?;
    Ok(Reply::of(json!({"lifted": lifted})))
}

pub(super) async fn list(call: Call<'_>) -> Result<Reply> {
    let stops = call.ork.actions()?.stops();
    Ok(Reply::of(stops.iter().map(|stop| json!(stop)).collect::<Vec<_>>()))
}

fn scope(call: &Call<'_>) -> Result<StopScope> {
    let scope = call.params.get("scope")?.cloned().unwrap_or_default();
    // The error's own text quotes what was sent.
    serde_json::from_value(scope).map_err(|_| {
        let why =
            "takes {\"kind\": \"halt\"} or \"freeze\", or \"person\" or \"rack\" with its name in \"of\"";
        Error::invalid(OP, "scope", why).code_as("ERR_PAYLOAD_INVALID")
    })
}

pub(super) async fn shed(call: Call<'_>) -> Result<Reply> {
    let engine = call.ork.actions()?;
    let by = By::Acting.of(&call)?;
    let refused = |field, why: &str, code| Error::invalid(OP, field, why).code_as(code);
    let query = call.params.get("query")?.filter(|query| query.is_object()).cloned();
    let query = query.ok_or_else(|| refused("query", "takes an object", "ERR_QUERY_INVALID"))?;
    let why = text(&call, "why")?;
    let why = why.ok_or_else(|| refused("why", "takes the reason", "ERR_PAYLOAD_INVALID"))?;
    let mut shed = Shed::new(query, &why);
    if let Some(ramp) = call.params.get("kwPerS")? {
        let ramp = Value::as_f64(ramp);
        shed.kw_per_s =
            Some(ramp.ok_or_else(|| refused("kwPerS", "takes a number of kW", "ERR_PAYLOAD_INVALID"))?);
    }
    let pushed = engine.shed(shed, &by).await.map_err(|e| match e.fact("field") {
        Some("kw_per_s") => e.with("field", "kwPerS"),
        _ => e,
    })?;
    answer(&engine, pushed).map(Reply::of)
}
