//! The two ways to the engine: its own interface, and MiningOS's methods as its gateway calls them.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use headframe_core::{
    Result,
    action::{ActionId, ActionQuery, Ballot, BatchOptions, Bucket, By, Draft, Engine, Group, Person, Pushed},
    auth::{Permissions, Principal},
    io::Ctx,
    ork::{Orchestrator, OrkOptions},
    query::Filter,
};
use serde_json::{Value, json};

use super::{look, steps::EMPTY};

/// Which way a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Engine,
    Dispatcher,
}

impl Face {
    pub const BOTH: [Self; 2] = [Self::Engine, Self::Dispatcher];
}

/// What a caller is told of a push.
#[derive(Debug)]
pub struct Told {
    pub id: Option<ActionId>,
    pub errors: Value,
    /// The action as it is shown right after it.
    pub shown: Option<Value>,
    /// The typed reason, where there is one.
    pub code: Option<&'static str>,
}

/// What callers ask. A body holds what a step of the file says of the caller and the call.
#[async_trait]
pub trait Way: Send + Sync {
    async fn push(&self, body: &Value) -> Result<Told>;
    async fn push_batch(&self, body: &Value) -> Result<Vec<Told>>;
    async fn vote(&self, id: ActionId, body: &Value) -> Result<()>;
    /// Cancels id by id.
    async fn cancel(&self, ids: &[ActionId], body: &Value) -> Result<Value>;
    /// A list, with batches where the body asks for them: `{single}`, or `{batchActionUID, id, members}`.
    async fn list(&self, bucket: Bucket, body: &Value) -> Result<Vec<Listed>>;
    /// The buckets that hold an action, with what they show of it.
    async fn places(&self, id: ActionId) -> Vec<(Bucket, Value)>;
}

/// One entry of a list.
#[derive(Debug)]
pub enum Listed {
    Single(ActionId),
    Batch { name: String, id: Value, members: Vec<ActionId> },
}

/// The way of this name to an engine.
pub fn way(face: Face, cx: &Ctx, engine: &Engine) -> Arc<dyn Way> {
    match face {
        Face::Engine => Arc::new(Direct(engine.clone())),
        Face::Dispatcher => {
            let ork = Orchestrator::open(cx, engine.store().clone(), OrkOptions::default()).unwrap();
            let engine = Arc::new(engine.clone());
            ork.serve_actions(&engine);
            Arc::new(Dispatched { ork, _engine: engine })
        }
    }
}

/// The engine's own interface.
struct Direct(Engine);

impl Direct {
    fn told(&self, pushed: &Pushed) -> Told {
        let shown = pushed.id.map(|id| self.0.get(id).unwrap().unwrap().0);
        let code = pushed.clone().into_id().err().map(|e| e.code());
        Told { id: pushed.id, errors: json!(pushed.errors), shown, code }
    }
}

/// Who pushes, unless the rights are malformed: then the code that the caller gets instead.
fn pusher(body: &Value) -> Result<Result<By, &'static str>> {
    match By::pushing(body) {
        Ok(by) => Ok(Ok(by)),
        Err(e) if ["ERR_AUTH_PERMS_INVALID", "ERR_PAYLOAD_AUTH_PERMS_REQUIRED"].contains(&e.code()) => {
            Ok(Err(e.code()))
        }
        Err(e) => Err(e),
    }
}

fn malformed(code: &str) -> Told {
    Told { id: None, errors: json!([code, EMPTY]), shown: None, code: None }
}

#[async_trait]
impl Way for Direct {
    async fn push(&self, body: &Value) -> Result<Told> {
        let draft = Draft::from_body(body)?;
        match pusher(body)? {
            Ok(by) => Ok(self.told(&self.0.push(draft, &by).await?)),
            Err(code) => Ok(malformed(code)),
        }
    }

    async fn push_batch(&self, body: &Value) -> Result<Vec<Told>> {
        let drafts = body["batch"].as_array().unwrap().iter().map(Draft::from_body);
        let drafts = drafts.collect::<Result<Vec<_>>>()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(Into::into);
        let mut options = BatchOptions::default();
        (options.uid, options.suffix) = (text("batchActionUID"), text("suffix"));
        let by = match pusher(body)? {
            Ok(by) => by,
            Err(code) => return Ok(drafts.iter().map(|_| malformed(code)).collect()),
        };
        let all = self.0.push_batch(drafts, &options, &by).await?;
        Ok(all.iter().map(|pushed| self.told(pushed)).collect())
    }

    async fn vote(&self, id: ActionId, body: &Value) -> Result<()> {
        // As a gateway does: who, then what, then with which rights.
        Person::from_json(&body["voter"])?;
        let ballot = Ballot::from_body(body)?;
        let by = By::voting(body)?;
        self.0.vote(id, ballot, &by).await.map(drop)
    }

    async fn cancel(&self, ids: &[ActionId], body: &Value) -> Result<Value> {
        let by = By::new(Person::from_json(&body["voter"])?);
        let mut answers = Vec::new();
        for id in ids {
            answers.push(match self.0.cancel(*id, &by).await {
                Ok(_) => json!({"id": id, "success": true}),
                Err(e) => {
                    let error = format!("ERR_CANCEL_BATCH_ACTION-ID-{id} {}", e.code());
                    json!({"id": id, "success": false, "error": error})
                }
            });
        }
        Ok(answers.into())
    }

    async fn list(&self, bucket: Bucket, body: &Value) -> Result<Vec<Listed>> {
        let mut query = ActionQuery::new(bucket);
        let opts = &body["opts"];
        query.limit = opts["limit"].as_u64().map(|limit| usize::try_from(limit).unwrap());
        query.reverse = opts["reverse"] == true;
        query.filter = body.get("query").map(Filter::parse).transpose()?;
        if body["groupBatch"] != true {
            return Ok(self.0.query(&query)?.iter().map(|one| Listed::Single(one.id)).collect());
        }
        let listed = |Group { batch, actions, .. }: Group| match batch {
            None => Listed::Single(actions[0].id),
            Some(batch) => Listed::Batch {
                name: batch.to_string(),
                id: "string".into(),
                members: actions.iter().map(|one| one.id).collect(),
            },
        };
        Ok(self.0.query_groups(&query)?.into_iter().map(listed).collect())
    }

    async fn places(&self, id: ActionId) -> Vec<(Bucket, Value)> {
        look::places(&self.0, id)
    }
}

/// MiningOS's methods, called by its gateway.
struct Dispatched {
    ork: Orchestrator,
    /// The orchestrator does not own it.
    _engine: Arc<Engine>,
}

impl Dispatched {
    async fn call(&self, method: &str, params: &Value) -> Result<Value> {
        let gateway = Principal::gateway("app-node", Permissions::ALL);
        self.ork.call(&gateway, method, &params.to_string()).await
    }
}

/// A body with these members more. What else a step says, its number and its name among it, no method looks at.
fn with<const N: usize>(body: &Value, more: [(&str, Value); N]) -> Value {
    let mut body = body.clone();
    for (name, value) in more {
        body[name] = value;
    }
    body
}

/// What a push answers with.
fn told(answer: &Value) -> Told {
    let shown = answer.get("data").map(|record| {
        let mut shown = record.clone();
        for (n, name) in ["params", "targets", "requiredPerms"].into_iter().enumerate() {
            shown[name] = record["payload"][n].clone();
        }
        assert_eq!(record["id"], answer["id"]);
        shown
    });
    Told { id: id_of(&answer["id"]), errors: answer["errors"].clone(), shown, code: None }
}

fn id_of(id: &Value) -> Option<ActionId> {
    id.as_u64().map(ActionId::new)
}

#[async_trait]
impl Way for Dispatched {
    async fn push(&self, body: &Value) -> Result<Told> {
        self.call("pushAction", body).await.map(|answer| told(&answer))
    }

    async fn push_batch(&self, body: &Value) -> Result<Vec<Told>> {
        let body = with(body, [("batchActionsPayload", body["batch"].clone())]);
        let answers = self.call("pushActionsBatch", &body).await?;
        Ok(answers.as_array().unwrap().iter().map(told).collect())
    }

    async fn vote(&self, id: ActionId, body: &Value) -> Result<()> {
        let answer = self.call("voteAction", &with(body, [("id", json!(id))])).await?;
        assert_eq!(answer, 1);
        Ok(())
    }

    async fn cancel(&self, ids: &[ActionId], body: &Value) -> Result<Value> {
        self.call("cancelActionsBatch", &with(body, [("ids", json!(ids))])).await
    }

    async fn list(&self, bucket: Bucket, body: &Value) -> Result<Vec<Listed>> {
        let query = with(body, [("type", json!(bucket))]);
        let asked = json!({"queries": [query], "groupBatch": body["groupBatch"]});
        let answer = self.call("queryActions", &asked).await?;
        let listed = |one: &Value| match one["actions"].as_array() {
            None => Listed::Single(id_of(&one["id"]).unwrap()),
            Some(actions) => Listed::Batch {
                name: one["batchActionUID"].as_str().unwrap().to_owned(),
                id: if one["id"].is_string() { "string".into() } else { one["id"].clone() },
                members: actions.iter().map(|action| id_of(&action["id"]).unwrap()).collect(),
            },
        };
        Ok(answer[bucket.as_str()].as_array().unwrap().iter().map(listed).collect())
    }

    async fn places(&self, id: ActionId) -> Vec<(Bucket, Value)> {
        let queries: Vec<Value> = Bucket::ALL.iter().map(|bucket| json!({"type": bucket})).collect();
        let lists = self.call("queryActions", &json!({"queries": queries})).await.unwrap();
        let mut places = Vec::new();
        for bucket in Bucket::ALL {
            let all = lists[bucket.as_str()].as_array().unwrap().iter();
            places.extend(all.filter(|view| view["id"] == json!(id)).map(|view| (bucket, view.clone())));
        }
        // What the other readers say of it.
        let batch = self.call("getActionsBatch", &json!({"ids": [id]})).await.unwrap();
        let found: BTreeMap<&str, &Value> = batch
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["type"].as_str().unwrap(), &one["action"]["status"]))
            .collect();
        for bucket in Bucket::ALL {
            let one = self.call("getAction", &json!({"id": id, "type": bucket})).await;
            let place = places.iter().find(|(at, _)| *at == bucket).map(|(_, view)| &view["status"]);
            assert_eq!(one.ok().as_ref().map(|view| &view["status"]), place, "getAction, {bucket:?}");
            assert_eq!(found.get(bucket.as_str()).copied(), place, "getActionsBatch, {bucket:?}");
        }
        places
    }
}
