//! The steps of a scenario, one by one, as callers make them.

use std::collections::BTreeMap;

use headframe_core::{
    Error, Result,
    action::{ActionId, Bucket},
};
use serde_json::{Value, json};

use super::{
    look,
    ways::{Listed, Told, Way},
    world::World,
};

/// The last entry when nothing was stored.
pub const EMPTY: &str = "ERR_ORK_ACTION_CALLS_EMPTY";

fn thrown(e: &Error) -> Value {
    json!({"throws": e.code()})
}

fn told(result: Result<Value>) -> Value {
    result.unwrap_or_else(|e| thrown(&e))
}

fn answer(world: &mut World, alias: Option<&str>, told: &Told) -> Value {
    if let (Some(alias), Some(id)) = (alias, told.id) {
        world.ids.insert(alias.to_owned(), id);
    }
    look::pushed(told)
}

pub async fn push(world: &mut World, step: &Value) -> Result<Value> {
    let told = world.way().push(step).await?;
    Ok(answer(world, step["as"].as_str(), &told))
}

async fn push_batch(world: &mut World, step: &Value) -> Result<Value> {
    let all = world.way().push_batch(step).await?;
    let aliases = step["as"].as_array().unwrap();
    let answers = all.iter().enumerate();
    Ok(answers.map(|(n, told)| answer(world, aliases.get(n).and_then(Value::as_str), told)).collect())
}

pub async fn vote(way: &dyn Way, ids: &BTreeMap<String, ActionId>, step: &Value) -> Result<Value> {
    way.vote(ids[step["on"].as_str().unwrap()], step).await.map(|()| json!({"returns": 1}))
}

/// Cancels id by id.
pub async fn cancel(way: &dyn Way, ids: &BTreeMap<String, ActionId>, step: &Value) -> Result<Value> {
    let on = step["on"].as_array().unwrap().iter();
    let id = |on: &Value| on.as_str().map_or_else(|| ActionId::new(on.as_u64().unwrap()), |alias| ids[alias]);
    way.cancel(&on.map(id).collect::<Vec<_>>(), step).await
}

/// A step that several callers make at the same time.
pub async fn by_one_of_many(way: &dyn Way, ids: &BTreeMap<String, ActionId>, step: &Value) -> Value {
    told(match step["op"].as_str().unwrap() {
        "vote" => vote(way, ids, step).await,
        "cancel" => cancel(way, ids, step).await,
        other => panic!("nobody does {other} at the same time as another"),
    })
}

fn bucket(step: &Value) -> Bucket {
    let name = step["bucket"].as_str().unwrap();
    Bucket::ALL.into_iter().find(|bucket| bucket.as_str() == name).unwrap()
}

async fn query(world: &World, step: &Value) -> Result<Value> {
    let alias = |id: &ActionId| world.ids.iter().find(|(_, own)| *own == id).map(|(alias, _)| json!(alias));
    let listed = world.way().list(bucket(step), step).await?;
    let answer = listed.iter().map(|one| match one {
        Listed::Single(id) => json!({"single": alias(id)}),
        Listed::Batch { name, id, members } => {
            let members: Vec<_> = members.iter().map(alias).collect();
            json!({"batchActionUID": name, "id": id, "members": members})
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
        "vote" => vote(&*world.way(), &world.ids, step).await,
        "cancel" => cancel(&*world.way(), &world.ids, step).await,
        "query" => query(world, step).await,
        "count" => world.way().list(bucket(step), &json!({})).await.map(|all| json!(all.len())),
        "where" => Ok(look::whereabouts(&*world.way(), world.ids[step["on"].as_str().unwrap()]).await),
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
