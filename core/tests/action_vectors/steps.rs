//! The steps of a scenario, one by one, as callers make them.

use std::collections::BTreeMap;

use headframe_core::{
    Error, Result,
    action::{ActionId, ActionQuery, Ballot, BatchOptions, Bucket, By, Draft, Engine, Person, Pushed},
    query::Filter,
};
use serde_json::{Value, json};

use super::{look, world::World};

/// The last entry when nothing was stored.
pub const EMPTY: &str = "ERR_ORK_ACTION_CALLS_EMPTY";

fn thrown(e: &Error) -> Value {
    json!({"throws": e.code()})
}

fn told(result: Result<Value>) -> Value {
    result.unwrap_or_else(|e| thrown(&e))
}

/// Who pushes, unless the rights are malformed: then what the caller gets instead.
fn pusher(body: &Value) -> Result<Result<By, Value>> {
    match By::pushing(body) {
        Ok(by) => Ok(Ok(by)),
        Err(e) if ["ERR_AUTH_PERMS_INVALID", "ERR_PAYLOAD_AUTH_PERMS_REQUIRED"].contains(&e.code()) => {
            Ok(Err(json!({"id": null, "errors": [e.code(), EMPTY]})))
        }
        Err(e) => Err(e),
    }
}

fn answer(world: &mut World, alias: Option<&str>, pushed: &Pushed) -> Value {
    if let (Some(alias), Some(id)) = (alias, pushed.id) {
        world.ids.insert(alias.to_owned(), id);
    }
    let mut doc = look::pushed(world.engine(), pushed.id, &pushed.errors);
    if let Err(e) = pushed.clone().into_id() {
        doc["code"] = e.code().into();
    }
    doc
}

pub async fn push(world: &mut World, step: &Value) -> Result<Value> {
    let draft = Draft::from_body(step)?;
    let by = match pusher(step)? {
        Ok(by) => by,
        Err(answer) => return Ok(answer),
    };
    let pushed = world.engine().push(draft, &by).await?;
    Ok(answer(world, step["as"].as_str(), &pushed))
}

async fn push_batch(world: &mut World, step: &Value) -> Result<Value> {
    let drafts =
        step["batch"].as_array().unwrap().iter().map(Draft::from_body).collect::<Result<Vec<_>>>()?;
    let by = match pusher(step)? {
        Ok(by) => by,
        Err(answer) => return Ok(drafts.iter().map(|_| answer.clone()).collect()),
    };
    let text = |name: &str| step.get(name).and_then(Value::as_str).map(Into::into);
    let mut options = BatchOptions::default();
    (options.uid, options.suffix) = (text("batchActionUID"), text("suffix"));
    let all = world.engine().push_batch(drafts, &options, &by).await?;
    let aliases = step["as"].as_array().unwrap();
    let answers = all.iter().enumerate();
    Ok(answers.map(|(n, pushed)| answer(world, aliases.get(n).and_then(Value::as_str), pushed)).collect())
}

/// Votes as a gateway does: who, then what, then with which rights.
pub async fn vote(engine: &Engine, ids: &BTreeMap<String, ActionId>, step: &Value) -> Result<Value> {
    Person::from_json(&step["voter"])?;
    let ballot = Ballot::from_body(step)?;
    let by = By::voting(step)?;
    engine.vote(ids[step["on"].as_str().unwrap()], ballot, &by).await.map(|_| json!({"returns": 1}))
}

/// Cancels id by id.
pub async fn cancel(engine: &Engine, ids: &BTreeMap<String, ActionId>, step: &Value) -> Result<Value> {
    let by = By::new(Person::from_json(&step["voter"])?);
    let mut answers = Vec::new();
    for on in step["on"].as_array().unwrap() {
        let id = on.as_str().map_or_else(|| ActionId::new(on.as_u64().unwrap()), |alias| ids[alias]);
        answers.push(match engine.cancel(id, &by).await {
            Ok(_) => json!({"id": id, "success": true}),
            Err(e) => {
                let error = format!("ERR_CANCEL_BATCH_ACTION-ID-{id} {}", e.code());
                json!({"id": id, "success": false, "error": error})
            }
        });
    }
    Ok(answers.into())
}

/// A step that several callers make at the same time.
pub async fn by_one_of_many(engine: &Engine, ids: &BTreeMap<String, ActionId>, step: &Value) -> Value {
    told(match step["op"].as_str().unwrap() {
        "vote" => vote(engine, ids, step).await,
        "cancel" => cancel(engine, ids, step).await,
        other => panic!("nobody does {other} at the same time as another"),
    })
}

fn bucket(step: &Value) -> Bucket {
    let name = step["bucket"].as_str().unwrap();
    Bucket::ALL.into_iter().find(|bucket| bucket.as_str() == name).unwrap()
}

fn query(world: &World, step: &Value) -> Result<Value> {
    let mut query = ActionQuery::new(bucket(step));
    let opts = &step["opts"];
    query.limit = opts["limit"].as_u64().map(|limit| usize::try_from(limit).unwrap());
    query.reverse = opts["reverse"] == true;
    query.filter = step.get("query").map(Filter::parse).transpose()?;
    let alias = |id: ActionId| world.ids.iter().find(|(_, own)| **own == id).map(|(alias, _)| json!(alias));
    if step["groupBatch"] != true {
        let listed = world.engine().query(&query)?;
        return Ok(listed.iter().map(|one| json!({"single": alias(one.id)})).collect());
    }
    let groups = world.engine().query_groups(&query)?;
    let answer = groups.iter().map(|group| match &group.batch {
        None => json!({"single": alias(group.actions[0].id)}),
        Some(batch) => {
            let members: Vec<_> = group.actions.iter().map(|one| alias(one.id)).collect();
            json!({"batchActionUID": batch, "id": "string", "members": members})
        }
    });
    Ok(answer.collect())
}

async fn tick(world: &World) -> Result<Value> {
    world.engine().begin_ready().await?;
    world.rest().await.map_err(|why| Error::new(headframe_core::ErrorKind::Internal, "tick", why))?;
    Ok(json!({"ran": true}))
}

/// Makes one step that is neither a race nor a crash; gives what the caller is told.
pub async fn plain(world: &mut World, step: &Value) -> Value {
    told(match step["op"].as_str().unwrap() {
        "push" => push(world, step).await,
        "pushBatch" => push_batch(world, step).await,
        "vote" => vote(world.engine(), &world.ids, step).await,
        "cancel" => cancel(world.engine(), &world.ids, step).await,
        "query" => query(world, step),
        "count" => world.engine().query(&ActionQuery::new(bucket(step))).map(|all| json!(all.len())),
        "where" => Ok(look::whereabouts(world.engine(), world.ids[step["on"].as_str().unwrap()])),
        "tick" => tick(world).await,
        "forgetRacks" => Ok(json!(world.site.forget_racks())),
        "addThing" => {
            world.site.add_thing(step["rack"].as_str().unwrap(), &step["thing"]);
            Ok(json!({"ok": true}))
        }
        "removeThing" => {
            world.site.remove_thing(step["rack"].as_str().unwrap(), step["id"].as_str().unwrap());
            Ok(json!({"ok": true}))
        }
        other => panic!("no step is called {other}"),
    })
}
