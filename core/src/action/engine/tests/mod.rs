//! The engine over a store and a fleet in memory, in simulated time.

mod admin;
mod archive;
mod attacks;
mod audit;
mod crash;
mod page;
mod past;
mod query;
mod runs;
mod stops;
mod trust;
mod votes;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Ballot, By, Draft, Engine, EngineOptions, Points, Pushed};
use crate::{
    Error,
    action::{
        ActionId, Claims, Person, RightsSource, StaticPrincipals, Status, policy::Rules, state::Header,
    },
    auth::Permissions,
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::RackId,
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
    testkit::{MemFleet, MemRack},
};

const START: Timestamp = Timestamp(1_764_000_000_000);
const RACK: &str = "miner-wm-1";
const ACTIONS: &[(&str, u32)] = &[("reboot", 1), ("setPowerMode", 1), ("setUpfreqSpeed", 2), ("three", 3)];

/// A site that can be started over and over.
struct Lab {
    cx: Ctx,
    disk: CrashBackend,
    fleet: Arc<MemFleet>,
    rack: Arc<MemRack>,
    options: EngineOptions,
}

fn store_options() -> StoreOptions {
    StoreOptions {
        writer: Writer::Inline,
        key: Some(SealKey::from_bytes([7; 32])),
        ..StoreOptions::default()
    }
}

impl Lab {
    /// A site with so many things in one rack, under MiningOS's rules.
    async fn mos(things: u32) -> Self {
        let clock = Arc::new(SystemClock::starting_at(START));
        let cx = Ctx::new(clock, Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()));
        let disk = CrashBackend::new(1);
        ControlStore::create_on(&cx, Arc::new(disk.clone()), &store_options())
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
        let fleet = Arc::new(MemFleet::default());
        let rack = fleet.rack(RACK, "miner-wm", things, ACTIONS).unwrap();
        let options = EngineOptions::new(Arc::new(Rules::mos()), RightsSource::Claims);
        Self { cx, disk, fleet, rack, options }
    }

    /// The same with an hour for votes, so that waiting for their end takes little.
    async fn hourly(things: u32) -> Self {
        let mut lab = Self::mos(things).await;
        let mut rules = Rules::mos();
        rules.default.expires_s = 3_600;
        lab.options.policy = Arc::new(rules);
        lab
    }

    /// The same under our own rules, with the rights that `people` have.
    async fn safe(things: u32, people: Arc<StaticPrincipals>) -> Self {
        let mut lab = Self::mos(things).await;
        lab.options = EngineOptions::new(Arc::new(Rules::safe()), RightsSource::Current(people));
        lab
    }

    async fn start(&self) -> Engine {
        let store =
            ControlStore::open_on(&self.cx, Arc::new(self.disk.clone()), &store_options()).await.unwrap();
        Engine::open(&self.cx, store, Arc::clone(&self.fleet) as _, self.options.clone()).unwrap()
    }

    /// Ends an engine as a crash does.
    async fn kill(&self, engine: Engine) {
        let store = engine.store().clone();
        drop(engine);
        // Tasks are gone when they have been polled once more.
        self.pass(1).await;
        store.close().await.unwrap();
        self.pass(1).await;
    }

    async fn pass(&self, ms: u64) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + Duration::from_millis(ms)).await;
    }
}

fn by(name: &str) -> By {
    let claims = Claims::parse(&json!(["miner:rw", "actions:rw"]), super::super::Bare::Refused).unwrap();
    By::claiming(Person::from_text(name).unwrap(), claims)
}

fn draft(action: &str, query: Value) -> Draft {
    Draft::new(action, Vec::new(), query).unwrap()
}

async fn push(engine: &Engine, action: &str, query: Value, who: &str) -> ActionId {
    engine.push(draft(action, query), &by(who)).await.unwrap().into_id().unwrap()
}

async fn vote(engine: &Engine, id: ActionId, approve: bool, who: &str) -> Result<Arc<Header>, Error> {
    engine.vote(id, Ballot::new(approve), &by(who)).await
}

/// Waits until an action has this status.
async fn until(engine: &Engine, id: ActionId, status: Status) -> Arc<Header> {
    for tries in 0..100_000 {
        let header = engine.header(id).unwrap();
        if header.status == status {
            return header;
        }
        let clock = &engine.0.cx.clock;
        let pause = if tries < 1_000 { 20 } else { 1_000 };
        clock.sleep_until(clock.mono() + Duration::from_millis(pause)).await;
    }
    panic!("{id} is {:?}, not {status:?}", engine.header(id).unwrap());
}

fn everybody(people: &[&str]) -> Arc<StaticPrincipals> {
    let principals = StaticPrincipals::new();
    let rights = Permissions::parse(["miner:rw", "actions:rw"]).unwrap();
    people.iter().for_each(|name| principals.set(&Person::from_text(name).unwrap(), rights).unwrap());
    Arc::new(principals)
}

/// Never comes back from one place.
#[derive(Debug)]
struct Dies(&'static str);

#[async_trait]
impl Points for Dies {
    async fn at(&self, name: &'static str) {
        if name == self.0 {
            std::future::pending::<()>().await;
        }
    }
}

fn rack() -> RackId {
    RackId::new(RACK).unwrap()
}

/// One call in a view.
fn call(engine: &Engine, id: ActionId, thing: &str) -> Value {
    let view = engine.get(id).unwrap().unwrap().0;
    let calls = view["targets"][RACK]["calls"].as_array().unwrap();
    calls.iter().find(|call| call["id"] == thing).unwrap().clone()
}

fn thing(n: u32) -> String {
    format!("{RACK}-{n:06}")
}

fn one(n: u32) -> Value {
    json!({"id": thing(n)})
}

fn nothing(pushed: &Pushed) -> bool {
    pushed.id.is_none() && pushed.errors.last().is_some_and(|last| last == "ERR_ORK_ACTION_CALLS_EMPTY")
}
