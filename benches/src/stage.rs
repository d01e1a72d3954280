//! Telemetry of racks whose things say what a program has them say, at times of its own. Everything is in memory.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Result, ThingId,
    auth::{Permissions, Principal},
    driver::Registry,
    history::MemDisk,
    io::{Ctx, MemNet, SeededRng, Timestamp},
    model::{MinerSnapshot, RackId, Snapshot},
    ork::{Orchestrator, OrkOptions, RackConf},
    rack::{Caller, LocalRack, Rack as _, RackInfo, RackOptions, Reading, SnapshotSink, ThingDraft, Things},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
    telemetry::{Disks, RackFacts, Telemetry, TelemetryOptions},
};
use serde_json::{Value, json};

use crate::hand::Hand;

/// See the module.
#[derive(Debug)]
pub struct Stage {
    clock: Arc<Hand>,
    /// What keeps.
    pub telemetry: Telemetry,
    ork: Orchestrator,
    /// The racks, in the order in which they were asked for.
    pub racks: Vec<Cast>,
}

/// A rack and its things.
#[derive(Debug)]
pub struct Cast {
    /// Its id.
    pub id: RackId,
    sink: Arc<dyn SnapshotSink>,
    things: Vec<ThingId>,
    seq: u64,
}

/// How things are spread.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// Things of each rack.
    pub things: usize,
    /// Containers of all racks together.
    pub containers: usize,
    /// PDU racks of all containers together.
    pub pdu_racks: usize,
}

impl Stage {
    /// Racks of miners of these types, whose things are polled once in an interval, from `start` on.
    ///
    /// # Errors
    /// When something cannot be registered.
    pub async fn new(start: Timestamp, types: &[&str], spread: Spread, interval: Duration) -> Result<Self> {
        let clock = Arc::new(Hand::new(start));
        let cx = Ctx::new(Arc::clone(&clock) as _, Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()));
        let mut options = StoreOptions::default();
        (options.reserve_bytes, options.writer) = (0, Writer::Inline);
        options.key = Some(SealKey::from_bytes([7; 32]));
        let store = ControlStore::create_on(&cx, Arc::new(CrashBackend::new(1)), &options).await?;
        let things = Things::open(&cx, store.clone()).await?;
        let disks = Disks { readings: Arc::new(MemDisk::new(1)), rows: Arc::new(MemDisk::new(2)) };
        let telemetry = Telemetry::open(&cx, Arc::clone(&things), disks, TelemetryOptions::default())?;
        let mut options = OrkOptions::default();
        options.things = Some(Arc::clone(&things));
        let ork = Orchestrator::open(&cx, store, options)?;
        let mut racks = Vec::with_capacity(types.len());
        for (n, thing_type) in types.iter().enumerate() {
            let info = RackInfo::new(thing_type, "bench")?;
            let mut options = RackOptions::without_devices();
            options.logs = Some(telemetry.logs(&info.id));
            let rack = LocalRack::open(
                cx.clone(),
                Arc::new(Registry::new()),
                Arc::clone(&things),
                info.clone(),
                options,
                None,
            )
            .await?;
            let drafts: Result<Vec<_>> =
                (n * spread.things..(n + 1) * spread.things).map(|n| spread.draft(n)).collect();
            let mut ids = Vec::with_capacity(spread.things);
            for made in rack.register_many(drafts?, &Caller::new("bench")).await {
                ids.push(made?.id.clone());
            }
            let sink = telemetry.sink(RackFacts::new(info.clone(), interval))?;
            ork.attach(Arc::new(rack), RackConf::default()).await?;
            racks.push(Cast { id: info.id, sink, things: ids, seq: 0 });
        }
        Ok(Self { clock, telemetry, ork, racks })
    }

    /// Sets the clock, so many ms after the start.
    pub fn set(&self, ms: i64) {
        self.clock.set(ms);
    }

    /// What the site answers to a call.
    ///
    /// # Errors
    /// Those of the method.
    pub async fn call(&self, method: &str, params: &Value) -> Result<Value> {
        let who = Principal::new("bench", Permissions::ALL);
        self.ork.call(&who, method, &params.to_string()).await
    }
}

impl Cast {
    /// Readings of all things at one time, made beforehand.
    pub fn readings(&mut self, ts: Timestamp, say: impl Fn(usize) -> Snapshot) -> Vec<Arc<Reading>> {
        self.seq += 1;
        let made = |(n, id): (usize, &ThingId)| {
            Arc::new(Reading::made(id.clone(), self.seq, ts, Duration::from_millis(20), say(n)))
        };
        self.things.iter().enumerate().map(made).collect()
    }

    /// Hands readings to telemetry, as a collector does.
    pub async fn put(&self, readings: &[Arc<Reading>]) {
        for batch in readings.chunks(512) {
            self.sink.put(batch).await;
        }
    }
}

impl Spread {
    fn draft(self, n: usize) -> Result<ThingDraft> {
        let container = n % self.containers.max(1);
        let racks = self.pdu_racks.div_ceil(self.containers.max(1)).max(1);
        let (place, shelf) = (n / self.containers.max(1), n / self.containers.max(1) / racks);
        let draft = json!({
            "id": format!("miner-{n:06}"),
            "opts": {},
            "info": {
                "container": format!("container-{container}"),
                "pos": format!("{}_{}_{}", place % racks + 1, shelf / 4 + 1, shelf % 4 + 1),
                "serialNum": format!("HHM38S{n:08}"),
                "site": "bench",
                "status": "in service",
                "nominalHashrateMhs": 126_000_000,
            },
        });
        let wrong =
            |e: serde_json::Error| headframe_core::Error::invalid("bench.draft", "draft", e.to_string());
        serde_json::from_value(draft).map_err(wrong)
    }
}

/// What a miner with three boards says of itself.
///
/// # Errors
/// Never: the document is good.
pub fn snapshot() -> Result<Snapshot> {
    let board = |n: usize| {
        json!({
            "slot": n, "hashrate_mhs": 42_000_000.0 + n as f64, "chips": 117, "frequency_mhz": 615.0,
            "temperature_c": 62.5, "chip_max_c": 81.0,
        })
    };
    let document = json!({
        "success": true,
        "raw_errors": [],
        "stats": {
            "status": "mining", "state": "hashing", "is_mining": true,
            "power_w": 3_360.0, "power_source": "device", "power_limit_w": 3_500.0,
            "efficiency_w_ths": 26.6, "nominal_efficiency_w_ths": 26.0, "uptime_ms": 86_400_000,
            "pool_status": [{"pool": "stratum+tcp://pool.example:3333", "accepted": 1_201, "rejected": 3, "stale": 0}],
            "all_pools_shares": {"accepted": 12, "rejected": 0, "stale": 0},
            "hashrate_mhs": {"avg": 126.0e6, "t_5s": 126.1e6, "t_1m": 126.2e6, "t_5m": 126.0e6, "t_15m": 125.9e6},
            "nominal_hashrate_mhs": 126.0e6,
            "frequency_mhz": {"avg": 615.0, "target": 620.0, "chips": [{"index": 0, "current": 615.0}, {"index": 1, "current": 614.0}, {"index": 2, "current": 616.0}]},
            "temperature_c": {"ambient": 28.5, "max": 81.0, "avg": 71.0, "chips": [{"index": 0, "max": 81.0, "min": 60.0, "avg": 71.0}, {"index": 1, "max": 80.0, "min": 59.0, "avg": 70.0}, {"index": 2, "max": 80.5, "min": 61.0, "avg": 72.0}], "pcb": [{"index": 0, "current": 62.5}, {"index": 1, "current": 62.0}, {"index": 2, "current": 63.0}]},
            "boards": [board(0), board(1), board(2)],
            "fans": [{"name": "in", "rpm": 4_230}, {"name": "out", "rpm": 4_260}],
        },
        "config": {"power_mode": "normal", "suspended": false, "led_status": false, "firmware_ver": "1.0"},
    });
    let wrong =
        |e: serde_json::Error| headframe_core::Error::invalid("bench.snapshot", "snapshot", e.to_string());
    serde_json::from_value::<MinerSnapshot>(document).map(Snapshot::from).map_err(wrong)
}

/// The same, with numbers that vary with the thing and the time.
pub fn varied(template: &Snapshot, thing: usize, step: u64) -> Snapshot {
    let mut snapshot = template.clone();
    let Snapshot::Miner(miner) = &mut snapshot else { return snapshot };
    let wave = ((thing as u64 * 7_919 + step * 104_729) % 1_000) as f64 / 1_000.0;
    let stats = &mut miner.stats;
    stats.power_w = headframe_core::units::Watts::new(3_300.0 + (wave * 120.0).round());
    stats.uptime_ms = Some(step * 60_000);
    if let Some(rates) = &mut stats.hashrate_mhs {
        let rate = headframe_core::units::Hashrate::new(126.0e6 + (wave * 2.0e6).round());
        (rates.t_5s, rates.t_1m, rates.t_5m) = (rate, rate, rate);
    }
    snapshot
}
