//! The actions of the site that the dispatcher is fuzzed over: a fleet in memory, and an engine with an action in each
//! state.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Result,
    action::{
        ActionId, Bare, By, Claims, Draft, Engine, EngineOptions, Person, Principals, RightsSource,
        StaticPrincipals, StopScope, policy::Rules,
    },
    auth::Permissions,
    io::Ctx,
    ork::Orchestrator,
    store::{ControlStore, Revision},
    testkit::{MemFault, MemFleet, MemRack},
};
use serde_json::{Value, json};

use crate::serve::pass;

const RACK: &str = "miner-wm-1";
const COOLERS: &str = "container-as-1";
/// What the devices take, and how many votes that needs.
const KNOWN: [(&str, u32); 4] = [("reboot", 1), ("setPowerMode", 1), ("setUpfreqSpeed", 2), ("setLED", 1)];

/// Whose rules a site has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// MiningOS's.
    Mos,
    /// Ours, and a list of people.
    Safe,
}

/// The engine of a case, and what its devices received.
#[derive(Debug)]
pub struct Acts {
    engine: Arc<Engine>,
    racks: [Arc<MemRack>; 2],
    cx: Ctx,
}

impl Acts {
    /// An engine over what a store holds. `caller` is on the list of people, with these rights.
    pub async fn over(
        cx: &Ctx,
        ork: &Orchestrator,
        store: ControlStore,
        profile: Profile,
        caller: (&str, Permissions),
    ) -> Result<Self> {
        let fleet = Arc::new(MemFleet::default());
        let racks =
            [fleet.rack(RACK, "miner-wm", 8, &KNOWN)?, fleet.rack(COOLERS, "container-as", 2, &KNOWN)?];
        racks[0].fault(&device(0), MemFault::Hangs);
        racks[0].fault(&device(1), MemFault::LosesBoth);
        racks[0].mute(&device(1), true);
        let people = StaticPrincipals::new();
        for name in ["boss", "chief"] {
            people.set(&Person::from_text(name)?, Permissions::ALL)?;
        }
        people.set(&Person::from_text(caller.0)?, caller.1)?;
        let (rules, rights) = match profile {
            Profile::Mos => (Rules::mos(), RightsSource::Claims),
            Profile::Safe => {
                let people: Arc<dyn Principals> = Arc::new(people);
                (Rules::safe(), RightsSource::Current(people))
            }
        };
        let mut options = EngineOptions::new(Arc::new(rules), rights);
        options.begin_by_itself = false;
        let engine = Arc::new(Engine::open(cx, store, fleet, options)?);
        ork.serve_actions(&engine);
        Ok(Self { engine, racks, cx: cx.clone() })
    }

    /// Begins what is approved: the first device of it hangs, so one goes on and on.
    pub async fn begin(&self) -> Result<()> {
        self.engine.begin_ready().await?;
        pass(&self.cx, Duration::from_millis(50)).await;
        Ok(())
    }

    /// Fills a new store: one action ended, one ended as nobody knows, two wait for votes, one is approved and held, one is
    /// approved; actions of one rack are locked, and a person is.
    pub async fn make(&self) -> Result<()> {
        for (action, n) in [("reboot", 2), ("reboot", 1)] {
            self.push(action, n, "boss").await?;
        }
        self.engine.begin_ready().await?;
        pass(&self.cx, Duration::from_secs(60)).await;
        for (action, n) in [("setUpfreqSpeed", 3), ("setUpfreqSpeed", 4)] {
            self.push(action, n, "boss").await?;
        }
        let held = self.push("reboot", 5, "chief").await?;
        self.engine.pause(held, Some("not now"), &by("chief")?).await?;
        self.push("reboot", 0, "chief").await?;
        let eve = StopScope::Person(Person::from_text("eve")?);
        self.engine.begin_stopping(eve, Some("left"), &by("boss")?).await
    }

    async fn push(&self, action: &str, n: u32, who: &str) -> Result<ActionId> {
        let draft = Draft::new(action, Vec::new(), json!({"id": device(n)}))?;
        self.engine.push(draft, &by(who)?).await?.into_id()
    }

    /// What no caller without a right changes: the store, and how much was sent.
    pub fn mark(&self) -> (Revision, u64) {
        (self.engine.store().revision(), self.racks.iter().map(|rack| rack.sent()).sum())
    }

    /// Begins what may begin and lets it run; says whether devices received only what boss and chief had pushed.
    pub async fn only_theirs(&self) -> Result<bool> {
        self.begin().await?;
        pass(&self.cx, Duration::from_secs(1)).await;
        let mut received = Vec::new();
        for rack in &self.racks {
            received.extend(rack.things().flat_map(|thing| rack.received(thing)));
        }
        let theirs = |id: &ActionId| {
            let header = self.engine.header(*id);
            header.is_some_and(|h| ["boss", "chief"].contains(&h.order.creator.key()))
        };
        Ok(received.iter().all(theirs))
    }
}

fn device(n: u32) -> String {
    format!("{RACK}-{n:06}")
}

fn by(name: &str) -> Result<By> {
    let claims: Value = json!(["*:rw"]);
    Ok(By::claiming(Person::from_text(name)?, Claims::parse(&claims, Bare::Refused)?))
}
