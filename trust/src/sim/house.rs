//! The site: its devices, its disk, and the process that can be started over and over.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Weak},
    time::Duration,
};

use headframe_core::{
    ThingId,
    action::{
        Engine, EngineOptions, Person, RightsSource, StaticPrincipals,
        catalogue::Images,
        policy::{Row, Rule, Rules},
    },
    auth::Permissions,
    driver::{Ports, Registry},
    io::{Clock as _, Ctx, Mono, SeededRng, SystemClock, Timestamp},
    model::Members,
    ork::{LocalHands, Orchestrator, OrkFleet, OrkOptions, RackConf},
    rack::{Caller, CollectorOptions, LocalRack, Rack, RackInfo, RackOptions, ThingDraft, Things},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
};
use headframe_sim::{AntminerOptions, Device, Family, Fleet, FleetBuilder, WhatsminerOptions};
use serde_json::json;

use super::{
    desk::{PEOPLE, RIGHTS},
    eyes::{Eyes, Watched},
    knobs::Knobs,
    net::Wires,
    trace::Trace,
};
use crate::{
    rig::needed,
    site::{Jumping, START_MS},
};

const PASSWORD: &str = "Rack_07x";
/// What stands in each rack: its type, its driver, and which devices they are.
const KINDS: [(&str, &str, &str); 4] = [
    ("miner-wm-m50s", "whatsminer", "whatsminer v2"),
    ("miner-am-s21", "antminer", "antminer 2025"),
    ("miner-wm-m60s", "whatsminer", "whatsminer v3"),
    ("miner-am-s19", "antminer", "antminer 2022"),
];
/// All families that are written to.
pub const FAMILIES: [&str; 4] = [KINDS[0].2, KINDS[1].2, KINDS[2].2, KINDS[3].2];

/// How long something may run on of which the process is gone.
const OUTLIVES: Duration = Duration::from_secs(120);
/// People who are asked for where a name is changed.
pub const THREE: u32 = 3;

/// A thing as it was registered.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Its id.
    pub id: String,
    /// Its number in the site.
    pub n: u32,
    /// Its rack.
    pub rack: usize,
    /// The rack's id.
    pub rack_id: String,
}

/// See the module.
#[derive(Debug)]
pub struct House {
    pub knobs: Knobs,
    /// The site's time and randomness.
    pub cx: Ctx,
    /// The clock behind it.
    pub clock: Arc<Jumping>,
    /// The store's disk.
    pub disk: CrashBackend,
    /// The network.
    pub wires: Wires,
    /// Who sees what is sent.
    pub eyes: Eyes,
    /// All that can be observed.
    pub trace: Trace,
    /// The things.
    pub facts: Vec<Fact>,
    fleet: Fleet,
    store: StoreOptions,
    actions: EngineOptions,
}

/// The site's process.
#[derive(Debug)]
pub struct Process {
    /// Its engine.
    pub engine: Arc<Engine>,
    /// MiningOS's methods.
    pub ork: Orchestrator,
    /// Its racks.
    pub racks: Vec<Arc<LocalRack>>,
    things: Arc<Things>,
}

impl House {
    /// Devices that run, and an empty disk.
    pub async fn new(seed: u64, knobs: Knobs, trace: Trace) -> Result<Self, String> {
        let clock = Arc::new(Jumping::starting_at(Timestamp(START_MS)));
        // Nobody sets the clocks of the devices.
        let steady = Arc::new(SystemClock::starting_at(Timestamp(START_MS)));
        let wires = Wires::new(seed ^ 2, Arc::clone(&steady) as _, trace.clone());
        let net = Arc::new(wires.clone());
        let outside = Ctx::new(steady, Arc::new(SeededRng::new(seed ^ 1)), Arc::clone(&net) as _);
        let cx = Ctx::new(Arc::clone(&clock) as _, Arc::new(SeededRng::new(seed)), net);
        let mut fleet = FleetBuilder::new().seed(seed).base(Ipv4Addr::new(10, 20, 0, 1));
        let mut facts = Vec::new();
        for (rack, things) in knobs.racks.iter().enumerate() {
            let rack_id = needed("no rack", info(rack))?.id.to_string();
            for _ in 0..*things {
                let n = u32::try_from(facts.len()).unwrap_or(u32::MAX);
                fleet = device(fleet, rack);
                facts.push(Fact { id: format!("t{n:03}"), n, rack, rack_id: rack_id.clone() });
            }
        }
        let fleet = needed("no devices", fleet.start(&outside).await)?;
        let mut store = StoreOptions::default();
        store.reserve_bytes = 64 << 10;
        store.writer = Writer::Inline;
        store.key = Some(SealKey::from_bytes([7; 32]));
        let actions = actions(&knobs)?;
        let disk = CrashBackend::new(seed);
        let made = ControlStore::create_on(&cx, Arc::new(disk.clone()), &store).await;
        needed("no store", needed("no store", made)?.close().await)?;
        Ok(Self { knobs, cx, clock, disk, wires, eyes: Eyes::default(), trace, facts, fleet, store, actions })
    }

    /// The devices, in the order of the things.
    pub fn devices(&self) -> &[Device] {
        self.fleet.devices()
    }

    /// The address of a thing's device.
    pub fn ip(&self, thing: usize) -> IpAddr {
        self.devices()[thing].ip()
    }

    /// Starts the process.
    pub async fn start(&self) -> Result<Process, String> {
        let cx = &self.cx;
        let opened = ControlStore::open_on(cx, Arc::new(self.disk.clone()), &self.store).await;
        let store = needed("the store is not opened", opened)?;
        let things = needed("no registry", Things::open(cx, store.clone()).await)?;
        let mut options = OrkOptions::default();
        options.things = Some(Arc::clone(&things));
        let ork = needed("no orchestrator", Orchestrator::open(cx, store.clone(), options))?;
        let mut drivers = Registry::new();
        headframe_drivers::register_all(&mut drivers);
        let (drivers, images) = (Arc::new(drivers), Arc::new(Images::new(None)));
        let mut racks = Vec::new();
        for (rack, (_, driver, _)) in KINDS.iter().enumerate().take(self.knobs.racks.len()) {
            let mut options = RackOptions::new(driver);
            options.collector = CollectorOptions::every(self.knobs.poll);
            options.collector.lanes = self.knobs.limits.lanes;
            options.collector.slow_lanes = self.knobs.limits.lanes;
            let info = needed("no rack", info(rack))?;
            let opened =
                LocalRack::open(cx.clone(), Arc::clone(&drivers), Arc::clone(&things), info, options, None);
            let opened = Arc::new(needed("a rack is not opened", opened.await)?);
            let hands = LocalHands::new(cx, Arc::clone(&opened), None, Arc::clone(&images));
            let watched = Watched { hands, eyes: self.eyes.clone(), trace: self.trace.clone() };
            let face = Arc::clone(&opened) as Arc<dyn Rack>;
            let attached = ork.attach_with_hands(face, RackConf::default(), Arc::new(watched)).await;
            needed("a rack is not attached", attached)?;
            racks.push(opened);
        }
        let fleet = Arc::new(OrkFleet::new(ork.clone()));
        let engine = Arc::new(needed("no engine", Engine::open(cx, store, fleet, self.actions.clone()))?);
        ork.serve_actions(&engine);
        Ok(Process { engine, ork, racks, things })
    }

    /// The process dies, and the power with it; the disk keeps what it must.
    pub async fn crash(&mut self, process: Process) -> Result<(), String> {
        let gone: Vec<Weak<LocalRack>> = process.racks.iter().map(Arc::downgrade).collect();
        let old = process.engine.store().clone();
        self.disk = self.disk.cut();
        drop(process);
        self.pass(Duration::from_millis(1)).await;
        // What was begun for a caller who is gone runs on in a task of its own; the next process starts after it.
        let outlives = || gone.iter().any(|rack| rack.strong_count() > 0);
        let end = self.clock.mono() + OUTLIVES;
        while outlives() && self.clock.mono() < end {
            self.pass(Duration::from_secs(1)).await;
        }
        needed("the old store is not closed", old.close().await)?;
        if outlives() {
            return Err("a rack outlived its process".into());
        }
        Ok(())
    }

    /// Registers all things.
    pub async fn register(&self, process: &Process) -> Result<(), String> {
        let ports = Ports::simulated();
        for (at, rack) in process.racks.iter().enumerate() {
            let draft = |fact: &Fact| {
                let device = &self.devices()[fact.n as usize];
                let mut opts = Members::default();
                let mut put = |name: &'static str, value: serde_json::Value| drop(opts.insert(name, value));
                put("address", json!(device.ip().to_string()));
                put("password", json!(PASSWORD));
                if device.family() == Family::Antminer {
                    put("port", json!(ports.web));
                    put("rpc_port", json!(ports.rpc));
                    put("side_port", json!(ports.side));
                } else {
                    put("port", json!(ports.rpc));
                    put("v3_port", json!(ports.v3));
                }
                let mut draft = ThingDraft::default();
                draft.id = Some(fact.id.clone());
                draft.opts = Some(opts);
                draft.info = super::queries::info(fact.n);
                draft.tags = vec![format!("mod-{}", fact.n % 3)];
                draft
            };
            let drafts = self.facts.iter().filter(|fact| fact.rack == at).map(draft).collect();
            for made in rack.register_many(drafts, &Caller::new("ann")).await {
                needed("a thing is refused", made)?;
            }
        }
        Ok(())
    }

    /// Waits until the identity of every thing is known.
    pub async fn known(&self, process: &Process) -> Result<(), String> {
        for _ in 0..300 {
            let ids = process.things.ids();
            let known = |id: &ThingId| process.things.get(id).is_some_and(|record| record.evidence.is_some());
            if ids.iter().all(known) {
                return Ok(());
            }
            self.pass(Duration::from_secs(2)).await;
        }
        Err("not every identity is known after 600 s of good weather".into())
    }

    /// Waits until then.
    pub async fn until(&self, at: Mono) {
        self.clock.sleep_until(at).await;
    }

    /// Time passes.
    pub async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.mono() + time).await;
    }
}

impl Process {
    /// Things whose last good snapshot is not there, or older than `most`, and what is known of them. Those whose devices
    /// changed places may be in doubt for good: then they are not polled.
    pub fn not_fresh(&self, most: Duration, swapped: &BTreeSet<String>) -> Vec<String> {
        let mut late = Vec::new();
        for id in self.things.ids() {
            let state = self.racks.iter().find_map(|rack| rack.state(&id));
            let good = state.as_ref().and_then(|state| state.good.as_ref());
            if good.is_some_and(|good| good.age <= most) {
                continue;
            }
            let record = self.things.get(&id);
            let held = record.as_ref().and_then(|record| record.held.clone());
            if held.is_some() && swapped.contains(id.as_str()) {
                continue;
            }
            let error = state.as_ref().and_then(|state| state.last.as_ref()?.outcome.as_ref().err().cloned());
            let age = good.map(|good| good.age);
            let rack = record.as_ref().map(|record| record.rack.to_string());
            late.push(format!("{id} of {rack:?}: {age:?} old, {held:?}, {error:?}"));
        }
        late
    }
}

fn info(rack: usize) -> headframe_core::Result<RackInfo> {
    RackInfo::new(KINDS[rack].0, &format!("hall-{rack}"))
}

fn device(fleet: FleetBuilder, rack: usize) -> FleetBuilder {
    let password = || PASSWORD.to_owned();
    match rack {
        0 => fleet.whatsminer(WhatsminerOptions { password: password(), ..WhatsminerOptions::v2() }),
        1 => fleet.antminer(AntminerOptions { password: password(), ..AntminerOptions::s21_2025() }),
        2 => {
            let mut options = WhatsminerOptions { password: password(), ..WhatsminerOptions::v3() };
            options.v3.password = password();
            fleet.whatsminer(options)
        }
        _ => fleet.antminer(AntminerOptions { password: password(), ..AntminerOptions::s19_xp_2022() }),
    }
}

fn actions(knobs: &Knobs) -> Result<EngineOptions, String> {
    let mut rules = if knobs.mos { Rules::mos() } else { Rules::safe() };
    // Somebody can take a vote back only while more are waited for.
    let rule = Rule { votes_for: THREE, own_vote: true, ..Rule::default() };
    rules.rows.push(Row { actions: BTreeSet::from(["setHostname".into()]), classes: BTreeSet::new(), rule });
    rules.default.expires_s = knobs.limits.expires_s;
    rules.rows.iter_mut().for_each(|row| row.rule.expires_s = knobs.limits.expires_s);
    let rights = if knobs.mos {
        RightsSource::Claims
    } else {
        let people = StaticPrincipals::new();
        for name in &PEOPLE[..4] {
            let rights = needed("no rights", Permissions::parse(RIGHTS))?;
            let person = needed("no person", Person::from_text(name))?;
            needed("no person", people.set(&person, rights))?;
        }
        RightsSource::Current(Arc::new(people))
    };
    let mut options = EngineOptions::new(Arc::new(rules), rights);
    (options.in_flight, options.in_flight_per_rack) = knobs.limits.in_flight;
    options.attempts = knobs.limits.attempts;
    options.look_within = knobs.limits.look;
    options.call_within = knobs.limits.call;
    options.confirm_within = knobs.limits.confirm;
    options.run_within = knobs.limits.run;
    options.watchers = 4_096;
    Ok(options)
}
