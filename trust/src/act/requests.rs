//! What the client asks for.

use headframe_core::{
    Error, Result,
    action::{ActionId, ActionQuery, Ballot, Bucket, By, Draft, Engine, Settled, Shed, StopScope},
    io::Ctx,
    model::RackId,
    store::Space,
};
use serde_json::{Value, json};

fn wrong(field: &'static str) -> Error {
    Error::invalid("trust.request", field, "is missing or wrong")
}

fn text<'a>(body: &'a Value, field: &'static str) -> Result<&'a str> {
    body[field].as_str().ok_or_else(|| wrong(field))
}

fn scope(body: &Value) -> Result<StopScope> {
    serde_json::from_value(body["scope"].clone()).map_err(|_| wrong("scope"))
}

/// Does what `body` asks for.
pub async fn perform(cx: &Ctx, engine: &Engine, body: &Value) -> Result<Value> {
    let id = || body["id"].as_u64().map(ActionId::new).ok_or_else(|| wrong("id"));
    let none = |()| Value::Null;
    match text(body, "do")? {
        "list" => list(engine),
        "time" => Ok(json!(cx.clock.wall())),
        "get" => engine.get(id()?).map(|view| view.map_or(Value::Null, |view| view.0)),
        "push" => {
            let pushed = engine.push(Draft::from_body(body)?, &By::pushing(body)?).await?;
            Ok(json!(pushed.id))
        }
        "shed" => {
            let shed = Shed::new(body["query"].clone(), "the grid asks for it");
            Ok(json!(engine.shed(shed, &By::pushing(body)?).await?.id))
        }
        "vote" => {
            let header = engine.vote(id()?, Ballot::from_body(body)?, &By::voting(body)?).await?;
            Ok(json!(header.status))
        }
        "halt" => engine.halt(Some("smoke"), &By::pushing(body)?).await.map(none),
        "freeze" => engine.begin_stopping(scope(body)?, None, &By::pushing(body)?).await.map(none),
        "lift" => engine.lift(scope(body)?, None, &By::pushing(body)?).await.map(Value::Bool),
        "settle" => {
            let rack = RackId::new(text(body, "rack")?)?;
            let said: Settled =
                serde_json::from_value(body["settled"].clone()).map_err(|_| wrong("settled"))?;
            let target = (&rack, text(body, "target")?);
            let header = engine.settle(id()?, target, said, None, &By::pushing(body)?).await?;
            Ok(json!(header.status))
        }
        change => {
            let (id, by) = (id()?, By::pushing(body)?);
            let header = match change {
                "withdraw" => engine.withdraw(id, &by).await,
                "cancel" => engine.cancel(id, &by).await,
                "pause" => engine.pause(id, None, &by).await,
                "resume" => engine.resume(id, &by).await,
                "stop" => engine.stop(id, None, &by).await,
                _ => Err(wrong("do")),
            };
            Ok(json!(header?.status))
        }
    }
}

/// All actions, without their targets, and whether anything is stopped.
fn list(engine: &Engine) -> Result<Value> {
    let mut all = Vec::new();
    for record in engine.store().scan(Space::Actions, .., usize::MAX) {
        let id: ActionId =
            serde_json::from_value(record.parse::<Value>()?["id"].clone()).map_err(|_| wrong("id"))?;
        // Durable, and perhaps about to be seen.
        let Some(header) = engine.header(id) else { continue };
        all.push(json!({
            "id": id,
            "status": header.status,
            "counts": header.counts,
            "held": header.hold.is_some(),
            "params": header.order.params,
            "action": header.order.action,
            "expires": header.order.terms.expires_at_ms,
            "times": [Some(header.order.pushed_ms), header.decided_ms, header.begun_ms, header.ended_ms],
        }));
    }
    let here = |id: ActionId| all.iter().any(|action| action["id"] == json!(id));
    // Those that left the store for the archive.
    let mut old = engine.query(&ActionQuery::new(Bucket::Done))?;
    old.retain(|listed| !here(listed.id));
    all.extend(old.into_iter().map(|listed| {
        let view = listed.view;
        json!({
            "id": listed.id, "status": view["status"], "counts": view["counts"], "held": false,
            "params": view["params"], "action": view["action"],
        })
    }));
    Ok(json!({"actions": all, "stopped": engine.stops().iter().count()}))
}
