//! Approved writes over a local rack with the real drivers and simulated devices: select, look, send, confirm.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use headframe_core::{
    Sent,
    action::{ActionId, Ask, Before, Call, Hands, Look, Reply, Seen, Selection, catalogue::Images},
    driver::{Ports, Registry},
    io::Ctx,
    ork::LocalHands,
    rack::{Caller, CollectorOptions, LocalRack, Rack, RackInfo, RackOptions, Things},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
    testkit::{self, permit_of},
};
use headframe_sim::{AntminerOptions, Device, Family, Fault, Fleet, FleetBuilder, WhatsminerOptions};
use serde_json::{Value, json};

/// Time in which any device is up again, tuned and at rest after a command.
const SETTLE: u64 = 1800;

/// A rack with one thing, its hands, and the device behind them.
struct Bench {
    cx: Ctx,
    fleet: Fleet,
    things: Arc<Things>,
    rack: Arc<LocalRack>,
    hands: LocalHands,
}

impl Bench {
    async fn new(cx: Ctx, fleet: FleetBuilder, password: &str) -> Self {
        let fleet = fleet.seed(7).base(Ipv4Addr::new(10, 7, 0, 1)).start(&cx).await.unwrap();
        let mut options = StoreOptions::default();
        options.reserve_bytes = 0;
        options.writer = Writer::Inline;
        options.key = Some(SealKey::from_bytes([7; 32]));
        let store = ControlStore::create_on(&cx, Arc::new(CrashBackend::new(1)), &options).await.unwrap();
        let things = Things::open(&cx, store).await.unwrap();
        let mut drivers = Registry::new();
        headframe_drivers::register_all(&mut drivers);
        let ports = Ports::simulated();
        let (driver, opts) = match fleet.devices()[0].family() {
            Family::Antminer => {
                ("antminer", json!({"port": ports.web, "rpc_port": ports.rpc, "side_port": ports.side}))
            }
            _ => ("whatsminer", json!({"port": ports.rpc, "v3_port": ports.v3})),
        };
        let mut options = RackOptions::new(driver);
        options.collector = CollectorOptions::every(Duration::from_secs(20));
        let info = RackInfo::new("miner-x", "a").unwrap();
        let rack = LocalRack::open(cx.clone(), Arc::new(drivers), Arc::clone(&things), info, options, None);
        let rack = Arc::new(rack.await.unwrap());
        let mut draft = json!({"id": "m1", "opts": opts});
        draft["opts"]["address"] = fleet.devices()[0].ip().to_string().into();
        draft["opts"]["password"] = password.into();
        rack.register(serde_json::from_value(draft).unwrap(), &Caller::new("ann@site")).await.unwrap();
        let hands = LocalHands::new(&cx, Arc::clone(&rack), None, Arc::new(Images::new(None)));
        let bench = Self { cx, fleet, things, rack, hands };
        bench.pass(60).await;
        bench
    }

    fn device(&self) -> &Device {
        &self.fleet.devices()[0]
    }

    async fn pass(&self, seconds: u64) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + Duration::from_secs(seconds)).await;
    }

    async fn select(&self, action: &str, params: &[Value]) -> Selection {
        let ask =
            Ask { action: action.into(), params: params.into(), query: json!({"id": "m1"}), rack_call: None };
        let selection = self.hands.select(&self.cx, &ask).await.unwrap().unwrap();
        assert_eq!(selection.excluded, [], "{action}");
        selection
    }

    fn call(action: &str, params: &[Value]) -> Call {
        Call {
            id: ActionId::new(7),
            user: "ann@site".into(),
            action: action.into(),
            params: params.into(),
            target: "m1".into(),
        }
    }

    /// From the choice to the read-back, where `fault` lies between the look and the reply. Exactly one write is
    /// carried out.
    async fn write(&self, action: &str, params: &[Value], fault: Option<Fault>) -> (Look, Option<Reply>) {
        let selection = self.select(action, params).await;
        assert_eq!(selection.picks.len(), 1);
        let call = Self::call(action, params);
        let look = self.hands.look(&self.cx, &call).await.unwrap();
        assert!(!look.already, "{action} {params:?}");
        let done = self.device().executed();
        fault.into_iter().for_each(|fault| self.device().fault(fault));
        let begun = self.cx.clock.mono();
        let sent = self.hands.send(&self.cx, &call, &permit_of(&look.observed)).await;
        self.device().clear();
        let reply = match sent {
            Ok(reply) => {
                let receipt = reply.receipt.as_ref().unwrap();
                let state = if receipt.reply.is_some() { "accepted" } else { "sent" };
                assert_eq!(reply.result, json!({"success": true, "state": state}));
                assert!(reply.confirm, "{action} shows");
                Some(reply)
            }
            Err(e) => {
                assert_eq!(e.sent(), Sent::Maybe, "{action}: {e:?}");
                None
            }
        };
        let before = Before { observed: look.observed.clone(), up_since_wall_ms: None };
        let since = self.cx.clock.mono().since(begun);
        let seen = self.hands.confirm(&self.cx, &call, &before, since).await;
        assert_eq!(seen, Seen::Applied, "{action} {params:?}");
        let done = self.since(&done);
        assert!(!done.is_empty() && done.values().all(|n| *n == 1), "{action} {params:?}: {done:?}");
        (look, reply)
    }

    fn since(&self, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let mut now = self.device().executed();
        now.retain(|name, count| {
            *count -= before.get(name).copied().unwrap_or(0);
            *count > 0
        });
        now
    }
}

fn pools(name: &str) -> Value {
    json!({"config": {"id": name, "poolUrls": [
        {"url": format!("stratum+tcp://{name}.example:3333"), "workerName": "site9", "workerPassword": "p00l-w0rd"},
        {"url": "stratum+tcp://spare.example:3333", "workerName": "site9"},
    ]}})
}

/// Every write of a day, on one device.
async fn a_day(bench: Bench) {
    let sleep = bench.select("setPowerMode", &[json!("sleep")]).await;
    let power = sleep.picks[0].power_w;
    let told = bench.rack.state(&bench.things.ids()[0]).unwrap().good.unwrap();
    let told = told.snapshot.miner().unwrap().stats.power_w.map(|w| w.get());
    assert!(power.is_some_and(|w| w > 500.0) && power == told, "{power:?} {told:?}");

    bench.write("setPowerMode", &[json!("sleep")], None).await;
    assert!(bench.device().truth().asleep);
    let call = Bench::call("setPowerMode", &[json!("sleep")]);
    assert!(bench.hands.look(&bench.cx, &call).await.unwrap().already, "it sleeps");
    bench.pass(SETTLE).await;
    bench.write("setPowerMode", &[json!("normal")], None).await;
    bench.pass(SETTLE).await;
    assert!(bench.device().truth().mining);

    let (look, _) = bench.write("reboot", &[], None).await;
    // As after a crash of this process, which knows no more than its journal.
    let up_since_wall_ms = look.observed.up_since_wall_ms(&bench.cx);
    let mut observed = look.observed;
    observed.up_since_ms = None;
    let before = Before { observed, up_since_wall_ms };
    let call = Bench::call("reboot", &[]);
    let hands = LocalHands::new(&bench.cx, Arc::clone(&bench.rack), None, Arc::new(Images::new(None)));
    let late = Duration::from_secs(1200);
    assert_eq!(hands.confirm(&bench.cx, &call, &before, late).await, Seen::Applied);
    bench.pass(SETTLE).await;
    assert_eq!(hands.confirm(&bench.cx, &call, &before, Duration::from_secs(900)).await, Seen::NotApplied);

    for (name, fault) in [("one", None), ("two", Some(Fault::Mute))] {
        bench.write("setupPools", &[pools(name)], fault).await;
        bench.pass(SETTLE).await;
        let set = bench.device().truth().pools;
        let used: Vec<_> = set.iter().filter(|pool| !pool.url.is_empty()).collect();
        assert_eq!(used.len(), 2);
        assert_eq!(used[0].url, format!("stratum+tcp://{name}.example:3333"));
        assert!(used.iter().all(|pool| pool.user == "site9.m1"));
        assert_eq!((used[0].password.as_str(), used[1].password.as_str()), ("p00l-w0rd", "."));
        let record = bench.things.get(&bench.things.ids()[0]).unwrap();
        assert_eq!(record.info.get("poolConfig"), Some(json!(name)));
    }
}

#[test]
fn a_whatsminer_of_api_v2_does_each_write_once() {
    testkit::run(|cx, _net| async move {
        a_day(Bench::new(cx, FleetBuilder::new().whatsminers(1), "admin").await).await;
    });
}

#[test]
fn a_whatsminer_of_api_v3_does_each_write_once() {
    testkit::run(|cx, _net| async move {
        let fleet = FleetBuilder::new().whatsminer(WhatsminerOptions::v3());
        a_day(Bench::new(cx, fleet, "super").await).await;
    });
}

#[test]
fn an_antminer_does_each_write_once() {
    testkit::run(|cx, _net| async move {
        let fleet = FleetBuilder::new().antminer(AntminerOptions::default());
        a_day(Bench::new(cx, fleet, "root").await).await;
    });
}

#[test]
fn a_device_that_only_says_yes_is_told_from_one_that_is_silent() {
    testkit::run(|cx, _net| async move {
        let bench = Bench::new(cx, FleetBuilder::new().whatsminers(1), "admin").await;
        let call = Bench::call("setPowerMode", &[json!("sleep")]);
        let look = bench.hands.look(&bench.cx, &call).await.unwrap();
        bench.device().fault(Fault::IgnoreWrites);
        let reply = bench.hands.send(&bench.cx, &call, &permit_of(&look.observed)).await.unwrap();
        assert!(reply.confirm);
        let before = Before { observed: look.observed, up_since_wall_ms: None };
        let seen = bench.hands.confirm(&bench.cx, &call, &before, Duration::ZERO).await;
        assert_eq!(seen, Seen::NotApplied);
        bench.device().clear();
        bench.device().fault(Fault::Refuse);
        let late = Duration::from_secs(3600);
        assert_eq!(bench.hands.confirm(&bench.cx, &call, &before, late).await, Seen::Unknown);
    });
}
