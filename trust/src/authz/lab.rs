use std::{collections::BTreeMap, sync::Arc, time::Duration};

use headframe_core::{
    Result, ThingId,
    action::{
        ActionId, Ballot, Bare, By, Claims, Draft, Engine, Kind, Person, RightsSource, StaticPrincipals,
        policy::Rules,
    },
    auth::{Permissions, Principal},
    driver::Registry,
    ork::{Orchestrator, OrkOptions, RackConf, call::Reply},
    rack::{Caller, CollectorOptions, LocalRack, RackId, RackInfo, RackOptions, Things},
    store::Revision,
};
use headframe_drivers::register_all;
use serde_json::{Value, json};

use super::{
    Held, Profile, Setting,
    bodies::{no_device, scope},
    people::{Standing, Who},
    table::Target,
};
use crate::{
    rig::needed,
    run::Case,
    site::{Mood, Site, by, person, thing},
};

/// Racks of the registry.
pub const FRONT: &str = "miner-wm-front";
/// The other rack of miners.
pub const BACK: &str = "miner-wm-back";
/// A rack of containers.
pub const COOL: &str = "container-as-cool";
/// A rack of sensors.
pub const AIR: &str = "sensor-x-air";
/// The rack of all actions.
pub const PLANT: &str = "miner-wm-1";
const COOLERS: &str = "container-as-1";

/// The things of the registry, and the areas of their racks.
pub const THINGS: [(&str, &str, &str); 5] = [
    ("f1", FRONT, "miner"),
    ("f2", FRONT, "miner"),
    ("b1", BACK, "miner"),
    ("c1", COOL, "container"),
    ("s1", AIR, "temp"),
];
/// The device that waits for the calls of a case.
const FREE: u32 = 11;

/// The device of an action.
pub fn thing_of(target: Target) -> String {
    let at = Target::STORED.iter().position(|one| *one == target);
    thing(PLANT, at.and_then(|at| u32::try_from(at).ok()).unwrap_or(FREE))
}

/// What no refused call may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of the store: registry, actions, journal, stops and audit log.
    revision: Revision,
    sent: usize,
    stops: usize,
    racks: usize,
}

/// A site with racks, things and actions in every state.
pub struct Lab {
    /// What it is like.
    pub setting: Setting,
    /// Carol's comment on `f1`.
    pub comment: String,
    site: Site,
    ork: Orchestrator,
    engine: Arc<Engine>,
    people: Arc<StaticPrincipals>,
    ids: BTreeMap<&'static str, ActionId>,
}

impl Lab {
    /// A site of this kind.
    pub async fn new(case: &Case, setting: Setting) -> Result<Self, String> {
        let people = Arc::new(StaticPrincipals::new());
        for name in ["boss", "chief", "carol"] {
            needed("nobody", people.set(&person(name)?, Permissions::ALL))?;
        }
        let (rules, rights) = match setting.profile {
            Profile::Mos => (Rules::mos(), RightsSource::Claims),
            Profile::Safe => (Rules::safe(), RightsSource::Current(Arc::clone(&people) as _)),
        };
        let mut site = Site::new(case, &[(PLANT, FREE + 1), (COOLERS, 1)], rules, rights).await?;
        site.options.begin_by_itself = false;
        let engine = Arc::new(site.start().await?);
        let ork = needed("no racks", registry(&site, &engine).await)?;
        ork.serve_actions(&engine);
        let mut lab =
            Self { setting, comment: String::new(), site, ork, engine, people, ids: BTreeMap::new() };
        lab.furnish().await?;
        lab.act().await?;
        lab.hold().await?;
        Ok(lab)
    }

    async fn furnish(&mut self) -> Result<(), String> {
        for (n, (id, rack, _)) in THINGS.iter().enumerate() {
            // `f2` has an address of the other rack.
            let net = [0, 1, 1, 2, 3][n];
            let opts = json!({"address": format!("10.0.{net}.{}", n + 1)});
            self.admin("registerThing", json!({"rackId": rack, "id": id, "opts": opts, "info": {}})).await?;
        }
        let map = json!({FRONT: "10.0.0.0/24", BACK: "10.0.1.0/24"});
        self.admin("setThingMap", json!({"thingMap": map})).await?;
        let (rack, f1) = (needed("no rack", RackId::new(FRONT))?, needed("no id", ThingId::new("f1"))?);
        let saved = self.ork.save_comment(&rack, &f1, "noisy", None, &Caller::new("carol")).await;
        self.comment = needed("no comment", saved)?.id;
        Ok(())
    }

    async fn admin(&self, method: &str, body: Value) -> Result<Value, String> {
        let who = Principal::new("boss", Permissions::ALL);
        needed(method, self.ork.call(&who, method, &body.to_string()).await)
    }

    /// Puts an action into every state.
    async fn act(&mut self) -> Result<(), String> {
        self.site.plant.set(&thing_of(Target::Executing), Mood::Hangs, false);
        self.site.plant.set(&thing_of(Target::Paused), Mood::Hangs, false);
        self.site.plant.set(&thing_of(Target::Lost), Mood::Mumbles, true);
        for target in [Target::Executing, Target::Paused, Target::Ended, Target::Lost] {
            self.push(target, 1, "boss").await?;
        }
        needed("not begun", self.engine.begin_ready().await)?;
        self.site.pass(2_000).await;
        for (target, votes, who) in [
            (Target::Approved, 1, "chief"),
            (Target::Voting, 2, "boss"),
            (Target::Voted, 3, "boss"),
            (Target::Mine, 2, "carol"),
            (Target::Wide, 2, "chief"),
            (Target::Limits, 1, "chief"),
        ] {
            self.push(target, votes, who).await?;
        }
        let carol = full("carol")?;
        needed("not voted", self.engine.vote(self.id(Target::Voted), Ballot::new(true), &carol).await)?;
        needed("not held", self.engine.pause(self.id(Target::Paused), None, &full("boss")?).await)?;
        self.check().await
    }

    async fn push(&mut self, target: Target, votes: u32, who: &str) -> Result<(), String> {
        let mut ids = vec![thing_of(target)];
        if target == Target::Wide {
            ids.push(thing(COOLERS, 0));
        }
        let draft = match target {
            Target::Limits => {
                Draft::new("setLimits", vec![json!({"emergencyRampKwPerS": 500.0})], no_device())
            }
            _ => Draft::new(&format!("needs-{votes}"), Vec::new(), json!({"id": {"$in": ids}})),
        };
        let pushed = self.engine.push(needed("no draft", draft)?, &full(who)?).await;
        let id = needed("not pushed", needed("not pushed", pushed)?.into_id())?;
        self.ids.insert(target.name(), id);
        Ok(())
    }

    /// Whether every action is where it should be.
    async fn check(&self) -> Result<(), String> {
        let who = Principal::new("boss", Permissions::ALL);
        for target in Target::STORED {
            let body = json!({"id": self.id(target), "type": target.list()});
            needed(target.name(), self.ork.call(&who, "getAction", &body.to_string()).await)?;
        }
        Ok(())
    }

    async fn hold(&self) -> Result<(), String> {
        if self.setting.held == Held::Open {
            return Ok(());
        }
        let stopped = self.admin("stopScope", json!({"scope": scope(self.setting.held)})).await;
        stopped.map(drop)
    }

    /// The action in this state.
    pub fn id(&self, target: Target) -> ActionId {
        self.ids.get(target.name()).copied().unwrap_or(ActionId::new(1))
    }

    /// What it is like now.
    pub fn mark(&self) -> Result<Mark, String> {
        Ok(Mark {
            revision: self.engine.store().revision(),
            sent: self.site.plant.count(),
            stops: self.engine.stops().iter().count(),
            racks: needed("racks", self.ork.racks())?.len(),
        })
    }

    /// Asks as somebody.
    pub async fn ask(&self, who: &Who, method: &str, body: &str) -> Result<Result<Reply>, String> {
        if self.setting.profile == Profile::Safe {
            needed("the list of people", self.know(who))?;
        }
        let principal = needed("no principal", who.principal())?;
        Ok(self.ork.ask(&principal, method, body).await)
    }

    /// The site's list says this of carol and her other names.
    fn know(&self, who: &Who) -> Result<()> {
        let named = |name: &str| Person::from_text(name);
        let carol = named("carol")?;
        self.people.remove(&carol);
        let kind = match who.standing {
            Standing::Removed => return Ok(()),
            Standing::Demoted(list) => return self.people.set(&carol, Permissions::parse(list)?),
            Standing::Alias => Some(Kind::Alias),
            Standing::ApiKey => Some(Kind::ApiKey),
            Standing::Agent => Some(Kind::Agent),
            Standing::Service => Some(Kind::Service),
            Standing::Person | Standing::Locked => None,
        };
        self.people.set(&carol, Permissions::parse(who.known())?)?;
        if let Some(kind) = kind {
            self.people.name(&named(who.user())?, kind, &carol)?;
        }
        if who.standing == Standing::Locked { self.people.lock(&carol, true) } else { Ok(()) }
    }

    /// What is approved goes on, as nobody who had no right to it was to hold it.
    pub async fn goes_on(&self) -> Result<(), String> {
        let (before, begun) = (self.site.plant.count(), self.engine.begin_ready().await);
        self.site.pass(1_000).await;
        if needed("not begun", begun)? == 1 && self.site.plant.count() > before {
            return Ok(());
        }
        Err("an approved action does not begin any more".into())
    }
}

/// Somebody with all rights, by claim and by the site's list.
fn full(name: &str) -> Result<By, String> {
    let claims = Claims::parse(&json!(["*:rw"]), Bare::Refused);
    Ok(By::claiming(by(name)?.person, needed("no claims", claims)?))
}

/// The racks of the dispatcher, over the store of the engine.
async fn registry(site: &Site, engine: &Engine) -> Result<Orchestrator> {
    let (cx, store) = (&site.cx, engine.store().clone());
    let things = Things::open(cx, store.clone()).await?;
    let mut drivers = Registry::new();
    register_all(&mut drivers);
    let drivers = Arc::new(drivers);
    let mut options = OrkOptions::default();
    options.things = Some(Arc::clone(&things));
    options.global_config = json!({"isAutoSleepAllowed": false}).as_object().cloned();
    let ork = Orchestrator::open(cx, store, options)?;
    for (kind, name) in
        [("miner-wm", "front"), ("miner-wm", "back"), ("container-as", "cool"), ("sensor-x", "air")]
    {
        let mut options = RackOptions::new("whatsminer");
        options.collector = CollectorOptions::every(Duration::from_secs(24 * 3_600));
        let (info, drivers) = (RackInfo::new(kind, name)?, Arc::clone(&drivers));
        let rack = LocalRack::open(cx.clone(), drivers, Arc::clone(&things), info, options, None).await?;
        let mut conf = RackConf::default();
        conf.config = json!({"site": "north"}).as_object().cloned();
        ork.attach(Arc::new(rack), conf).await?;
    }
    Ok(ork)
}
