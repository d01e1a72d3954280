//! MiningOS's methods of actions, over a fleet in memory.

mod callers;
mod lists;
mod verbs;
mod votes;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    action::{
        ActionId, Bare, By, Claims, Draft, Engine, EngineOptions, Person, RightsSource, Status, policy::Rules,
    },
    testkit::{MemFault, MemFleet, MemRack},
};

/// A fleet in memory, and the engine that writes to it.
pub(super) struct Served {
    pub engine: Arc<Engine>,
    pub rack: Arc<MemRack>,
}

impl Served {
    pub const RACK: &str = "miner-wm-1";

    pub fn thing(n: u32) -> String {
        format!("{}-{n:06}", Self::RACK)
    }

    /// Actions under MiningOS's rules, with the rights that come with each call.
    pub fn by(ork: &Orchestrator) -> Self {
        Self::with(ork, EngineOptions::new(Arc::new(Rules::mos()), RightsSource::Claims))
    }

    pub fn with(ork: &Orchestrator, options: EngineOptions) -> Self {
        let fleet = Arc::new(MemFleet::default());
        let known = [("reboot", 1), ("setPowerMode", 1), ("setUpfreqSpeed", 2), ("three", 3)];
        let rack = fleet.rack(Self::RACK, "miner-wm", 3, &known).unwrap();
        let engine = Engine::open(&cx(), ork.0.store.clone(), fleet, options).unwrap();
        let engine = Arc::new(engine);
        ork.serve_actions(&engine);
        Self { engine, rack }
    }

    pub async fn push(&self, action: &str, who: &str) -> ActionId {
        self.push_on(action, json!({}), who).await
    }

    async fn push_on(&self, action: &str, query: Value, who: &str) -> ActionId {
        let claims = Claims::parse(&json!(["miner:rw"]), Bare::Refused).unwrap();
        let by = By::claiming(Person::from_text(who).unwrap(), claims);
        let draft = Draft::new(action, Vec::new(), query).unwrap();
        self.engine.push(draft, &by).await.unwrap().into_id().unwrap()
    }

    /// An action that runs and does not end.
    pub async fn running(&self, who: &str) -> ActionId {
        self.rack.fault(&Self::thing(0), MemFault::Hangs);
        let id = self.push_on("reboot", json!({"id": Self::thing(0)}), who).await;
        self.until(id, Status::Executing).await;
        // Under way, not only begun.
        while self.engine.header(id).unwrap().counts.open == 0 {
            tokio::task::yield_now().await;
        }
        id
    }

    /// An action that ended, with a call of which nobody knows what became.
    pub async fn lost(&self, who: &str) -> ActionId {
        self.rack.fault(&Self::thing(1), MemFault::LosesBoth);
        self.rack.mute(&Self::thing(1), true);
        let id = self.push_on("reboot", json!({"id": Self::thing(1)}), who).await;
        self.until(id, Status::Partial).await;
        id
    }

    async fn until(&self, id: ActionId, status: Status) {
        for _ in 0..100_000 {
            if self.engine.header(id).unwrap().status == status {
                return;
            }
            pass(Duration::from_millis(1)).await;
        }
        panic!("{:?} is not {status:?}", self.engine.header(id).unwrap());
    }
}

/// An orchestrator and its actions, and callers of both kinds.
struct Lab {
    ork: Orchestrator,
    served: Served,
}

impl Lab {
    async fn mos() -> Self {
        let ork = Orchestrator::open(&cx(), store().await, OrkOptions::default()).unwrap();
        let served = Served::by(&ork);
        Self { ork, served }
    }

    /// MiningOS's gateway, which says in each body who acts.
    async fn gateway(&self, method: &str, params: Value) -> Result<Value> {
        let who = Principal::gateway("app-node", Permissions::ALL);
        self.ork.call(&who, method, &params.to_string()).await
    }

    /// Somebody who signed in.
    async fn person(&self, name: &str, method: &str, params: Value) -> Result<Value> {
        let who = Principal::new(name, Permissions::parse(["miner:rw", "actions:rw"]).unwrap());
        self.ork.call(&who, method, &params.to_string()).await
    }

    /// A push as the gateway sends it.
    async fn push(&self, action: &str, voter: &str) -> Value {
        self.gateway("pushAction", push(action, voter)).await.unwrap()
    }

    async fn code(&self, method: &str, params: Value) -> &'static str {
        self.gateway(method, params.clone()).await.expect_err(&format!("{method} {params}")).code()
    }
}

async fn pass(time: Duration) {
    let clock = cx().clock;
    clock.sleep_until(clock.mono() + time).await;
}

fn push(action: &str, voter: &str) -> Value {
    json!({"query": {}, "action": action, "params": [], "voter": voter, "authPerms": ["miner:rw"]})
}

fn vote(id: &Value, voter: &str, approve: bool) -> Value {
    json!({"id": id, "voter": voter, "approve": approve, "authPerms": ["miner"]})
}

/// `body` with the members of `more` in it.
fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn id_of(value: &Value) -> ActionId {
    ActionId::new(value.as_u64().unwrap())
}
