//! Telemetry over disks in memory, with racks whose things say what a test has them say.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Disks, RackFacts, Telemetry, TelemetryOptions};
use crate::{
    ThingId,
    driver::Registry,
    history::MemDisk,
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::{MinerSnapshot, RackId, Snapshot},
    rack::{
        Caller, Link, LocalRack, LogKey, Rack, RackInfo, RackOptions, Reading, SnapshotSink, Tail, TailQuery,
        Things,
    },
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
};

/// 2025-11-26T12:00:00Z.
pub const NOON: i64 = 1_764_158_400_000;

pub struct Lab {
    pub cx: Ctx,
    pub things: Arc<Things>,
    pub telemetry: Telemetry,
    disks: Disks,
    options: TelemetryOptions,
}

/// A rack, with where its readings go.
pub struct LabRack {
    pub id: RackId,
    info: RackInfo,
    sink: Arc<dyn SnapshotSink>,
}

/// Registered things, none yet, in a store in memory.
pub async fn things(cx: &Ctx) -> Arc<Things> {
    let options = StoreOptions {
        reserve_bytes: 0,
        writer: Writer::Inline,
        key: Some(SealKey::from_bytes([7; 32])),
        ..StoreOptions::default()
    };
    let store = ControlStore::create_on(cx, Arc::new(CrashBackend::new(1)), &options).await.unwrap();
    Things::open(cx, store).await.unwrap()
}

impl Lab {
    /// At noon, by a clock that moves when a test says so.
    pub async fn new(options: TelemetryOptions) -> Self {
        let clock = Arc::new(SystemClock::starting_at(Timestamp(NOON)));
        let cx = Ctx::new(clock, Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
        let things = things(&cx).await;
        let disks = Disks { readings: Arc::new(MemDisk::new(1)), rows: Arc::new(MemDisk::new(2)) };
        let telemetry = Telemetry::open(&cx, Arc::clone(&things), disks.clone(), options.clone()).unwrap();
        Self { cx, things, telemetry, disks, options }
    }

    /// A rack with these things, polled every 30 s.
    pub async fn rack(&self, thing_type: &str, name: &str, drafts: &[Value]) -> LabRack {
        let info = RackInfo::new(thing_type, name).unwrap();
        let (drivers, things) = (Arc::new(Registry::new()), Arc::clone(&self.things));
        let options = RackOptions::without_devices();
        let rack =
            LocalRack::open(self.cx.clone(), drivers, things, info.clone(), options, None).await.unwrap();
        for draft in drafts {
            let draft = serde_json::from_value(draft.clone()).unwrap();
            rack.register(draft, &Caller::new("ann@site")).await.unwrap();
        }
        self.attach(info)
    }

    fn attach(&self, info: RackInfo) -> LabRack {
        let facts = RackFacts::new(info.clone(), Duration::from_secs(30));
        let sink = self.telemetry.sink(facts).unwrap();
        LabRack { id: info.id.clone(), info, sink }
    }

    /// Closes the histories and opens them again, as a process that restarts does.
    pub fn restart(&mut self, rack: LabRack) -> LabRack {
        self.telemetry.close().unwrap();
        let things = Arc::clone(&self.things);
        self.telemetry = Telemetry::open(&self.cx, things, self.disks.clone(), self.options.clone()).unwrap();
        self.attach(rack.info)
    }

    pub fn now(&self) -> i64 {
        self.cx.clock.wall().0
    }

    /// Lets time pass, and does each second what is due.
    pub async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            tokio::time::advance(Duration::from_secs(1)).await;
            self.telemetry.flush().unwrap();
        }
    }

    pub fn tail(&self, rack: &LabRack, query: &TailQuery) -> Tail {
        self.telemetry.tail(&rack.id, query).unwrap()
    }

    pub fn query(&self, key: &str, tag: &str) -> TailQuery {
        TailQuery::new(LogKey::parse(key).unwrap(), tag, Timestamp(0), Timestamp(self.now()))
    }
}

impl LabRack {
    /// Has a thing say something now.
    pub async fn say(&self, lab: &Lab, thing: &str, said: Value) {
        let snapshot: MinerSnapshot = serde_json::from_value(said).unwrap();
        let reading = Reading {
            thing: ThingId::new(thing).unwrap(),
            seq: 0,
            ts: Timestamp(lab.now()),
            took: Duration::ZERO,
            outcome: Ok(Arc::new(Snapshot::from(snapshot))),
            link: Link::Online,
            good: None,
        };
        self.sink.put(&[Arc::new(reading)]).await;
    }
}

/// What a miner says.
pub fn miner(status: &str, mode: &str, power: f64) -> Value {
    json!({"success": true,
        "stats": {"status": status, "power_w": power, "uptime_ms": 5_000, "efficiency_w_ths": 17.5,
            "nominal_efficiency_w_ths": 17.0, "hashrate_mhs": {"t_1m": power * 2.0, "t_5m": power * 3.0},
            "temperature_c": {"avg": 60.5, "max": 71.5}, "frequency_mhz": {"avg": 500},
            "all_pools_shares": {"accepted": 10, "rejected": 1, "stale": 0}},
        "config": {"power_mode": mode}})
}

/// A thing at a place.
pub fn draft(id: &str, container: &str, pos: &str) -> Value {
    json!({"id": id, "opts": {}, "info": {"container": container, "pos": pos, "status": "ok", "location": "site.container",
        "nominalHashrateMhs": 1_000, "nominalEfficiencyWThs": 20, "nominalMinerCapacity": 300}})
}
