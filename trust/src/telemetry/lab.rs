//! A rack whose things say what a case has them say, and the real telemetry that keeps it.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result, ThingId,
    driver::Registry,
    history::{Disk, HistoryOptions},
    io::{Clock, Ctx, MemNet, SeededRng, Timestamp},
    model::Snapshot,
    rack::{Caller, Link, LocalRack, Rack, RackId, RackInfo, RackOptions, Reading, SnapshotSink, Things},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
    telemetry::{Disks, RackFacts, Telemetry, TelemetryOptions},
};
use serde_json::json;
use tokio::task::JoinHandle;

/// 2025-11-26T23:50:00Z: ten minutes later windows of all lengths end.
pub const START: i64 = 1_764_201_000_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// The rack's things.
pub const IDS: [&str; 4] = ["m1", "m2", "m3", "m4"];
/// How long a reading holds, ms: 2.5 intervals; and that of a poll that failed.
pub const HOLDS: i64 = 150_000;
pub const HOLDS_FAILED: i64 = 250_000;
/// How long each poll takes.
const TOOK: Duration = Duration::from_millis(700);

/// What a thing says once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Say {
    /// Which thing.
    pub thing: usize,
    /// When its poll began, by the wall clock.
    pub ts: i64,
    /// Watts; `None` for a poll that failed.
    pub power: Option<f64>,
}

/// The rack, its things and its clock, which outlive every telemetry.
pub struct Lab {
    pub cx: Ctx,
    things: Arc<Things>,
    info: RackInfo,
}

/// Telemetry that runs.
pub struct Run {
    pub telemetry: Telemetry,
    sink: Arc<dyn SnapshotSink>,
    task: JoinHandle<()>,
}

/// Where readings and rows are kept.
pub type Pair = (Arc<dyn Disk>, Arc<dyn Disk>);

impl Lab {
    /// A rack with four things in two containers and in maintenance, some with tags.
    pub async fn new(clock: Arc<dyn Clock>) -> std::result::Result<Self, String> {
        Self::make(clock).await.map_err(|e| format!("no rack: {e}"))
    }

    async fn make(clock: Arc<dyn Clock>) -> Result<Self> {
        let cx = Ctx::new(clock, Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
        let mut options = StoreOptions::default();
        options.reserve_bytes = 0;
        options.writer = Writer::Inline;
        options.key = Some(SealKey::from_bytes([7; 32]));
        let store = ControlStore::create_on(&cx, Arc::new(CrashBackend::new(1)), &options).await?;
        let things = Things::open(&cx, store).await?;
        let info = RackInfo::new("miner-xx", "hall-1")?;
        let (drivers, options) = (Arc::new(Registry::new()), RackOptions::without_devices());
        let rack =
            LocalRack::open(cx.clone(), drivers, Arc::clone(&things), info.clone(), options, None).await?;
        for (n, id) in IDS.into_iter().enumerate() {
            let container = ["bay-1", "bay-1", "bay-2", "maintenance"][n];
            let tags = [json!(["zone-a"]), json!([]), json!(["zone-a"]), json!(["zone-b"])][n].clone();
            let info = json!({"container": container, "pos": format!("1_{n}"), "nominalHashrateMhs": 2e8});
            let draft = json!({"id": id, "opts": {}, "info": info, "tags": tags});
            let draft = serde_json::from_value(draft)
                .map_err(|e| Error::invalid("trust", "draft", "is no thing").caused_by(e))?;
            rack.register(draft, &Caller::new("ann@site")).await?;
        }
        Ok(Self { cx, things, info })
    }

    pub fn rack(&self) -> &RackId {
        &self.info.id
    }

    /// The wall clock, ms.
    pub fn now(&self) -> i64 {
        self.cx.clock.wall().0
    }

    /// Lets time pass.
    pub async fn pass(&self, ms: i64) {
        let ms = Duration::from_millis(ms.unsigned_abs());
        self.cx.clock.sleep_until(self.cx.clock.mono() + ms).await;
    }

    /// Has telemetry keep the rack's readings.
    pub fn run(&self, (readings, rows): Pair, options: &TelemetryOptions) -> Result<Run> {
        let telemetry =
            Telemetry::open(&self.cx, Arc::clone(&self.things), Disks { readings, rows }, options.clone())?;
        let facts = RackFacts::new(self.info.clone(), Duration::from_secs(60));
        let facts = facts.bounds(Duration::from_secs(10), Duration::from_secs(100));
        let sink = telemetry.sink(facts)?;
        let task = tokio::spawn(telemetry.clone().run());
        Ok(Run { telemetry, sink, task })
    }
}

/// Small files, so that all steps happen often, and nothing is removed.
pub fn kept() -> HistoryOptions {
    HistoryOptions {
        bound_bytes: 64 << 20,
        seal_log_bytes: 16 << 10,
        max_block_bytes: 1 << 20,
        step_values: 4_000,
        max_open_files: 8,
        level: 2,
        ..HistoryOptions::default()
    }
}

/// Two histories of one kind.
pub fn options(small: &HistoryOptions, commit_every: Duration) -> TelemetryOptions {
    let mut options = TelemetryOptions::default();
    (options.readings, options.rows) = (small.clone(), small.clone());
    options.commit_every = commit_every;
    options
}

impl Run {
    /// A thing said something, and it comes now.
    pub async fn hear(&self, say: &Say) -> std::result::Result<(), String> {
        let thing = ThingId::new(IDS[say.thing]).map_err(|e| e.to_string())?;
        let power = say.power.unwrap_or_default();
        let stats = json!({"status": "mining", "state": "hashing", "errors": [], "power_w": power,
            "hashrate_mhs": {"t_5m": power * 3.0}, "temperature_c": {"max": 61.5, "avg": 52.0, "chips": []}});
        let snapshot: Snapshot = serde_json::from_value(
            json!({"success": true, "stats": stats, "config": {"power_mode": "normal"}}),
        )
        .map_err(|e| e.to_string())?;
        let took = i64::try_from(TOOK.as_millis()).unwrap_or(0);
        let mut reading = Reading::made(thing, 1, Timestamp(say.ts + took), TOOK, snapshot);
        if say.power.is_none() {
            let error = Error::new(ErrorKind::Unreachable, "thing.snapshot", "no answer");
            (reading.outcome, reading.link) = (Err(Arc::new(error.code_as("ERR_TIMEOUT"))), Link::Offline);
        }
        self.sink.put(&[Arc::new(reading)]).await;
        Ok(())
    }

    /// Up to when readings are told to be durable.
    pub fn durable_until(&self, lab: &Lab) -> i64 {
        self.telemetry.durable_until(lab.rack()).0
    }

    /// The process ends, without a word to anybody.
    pub fn off(self) {
        self.task.abort();
    }

    /// The process ends as it should.
    pub fn close(self) -> std::result::Result<(), String> {
        self.task.abort();
        self.telemetry.close().map_err(|e| format!("it cannot be closed: {e}"))
    }
}
