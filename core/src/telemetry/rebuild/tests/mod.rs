//! Rows that were made anew, against those of a run in which nothing came late.

mod faults;
mod jumps;
mod late;
mod restart;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fastrand::Rng;
use serde_json::json;

use crate::{
    Error, ErrorKind, ThingId,
    driver::Registry,
    history::{HistoryOptions, MAX_TS, MemDisk},
    io::{Clock, Ctx, MemNet, Mono, SeededRng, SystemClock, Timestamp},
    model::{RackId, Snapshot},
    rack::{
        Caller, Link, LocalRack, LogKey, Rack, RackInfo, RackOptions, Reading, SnapshotSink, TailQuery,
        ThingRecord, Things,
    },
    stats::{Plan, Row, families, live::Window},
    telemetry::{
        Disks, RackFacts, Telemetry, TelemetryOptions,
        kept::{Kept, columns},
        name,
        read::read,
        tests::things as things_in_memory,
    },
};

/// 2025-11-26T23:50:00Z: ten minutes later windows of all lengths end.
const START: i64 = 1_764_201_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;
const IDS: [&str; 4] = ["m1", "m2", "m3", "m4"];

/// A clock that stands where it was put.
#[derive(Debug)]
struct SetClock(AtomicI64, SystemClock);

#[async_trait]
impl Clock for SetClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    fn mono(&self) -> Mono {
        self.1.mono()
    }

    async fn sleep_until(&self, at: Mono) {
        self.1.sleep_until(at).await;
    }
}

/// A rack with four things in two containers and in maintenance, some with tags.
struct Lab {
    cx: Ctx,
    clock: Arc<SetClock>,
    things: Arc<Things>,
    rack: LocalRack,
    info: RackInfo,
}

impl Lab {
    async fn new() -> Self {
        let clock = Arc::new(SetClock(AtomicI64::new(START), SystemClock::default()));
        let cx = Ctx::new(clock.clone(), Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
        let things = things_in_memory(&cx).await;
        let info = RackInfo::new("miner-xx", "hall-1").unwrap();
        let (drivers, of) = (Arc::new(Registry::new()), Arc::clone(&things));
        let options = RackOptions::without_devices();
        let rack = LocalRack::open(cx.clone(), drivers, of, info.clone(), options, None).await.unwrap();
        let lab = Self { cx, clock, things, rack, info };
        for (n, id) in IDS.into_iter().enumerate() {
            let container = ["bay-1", "bay-1", "bay-2", "maintenance"][n];
            let tags = [json!(["zone-a"]), json!([]), json!(["zone-a"]), json!(["zone-b"])][n].clone();
            lab.register(id, container, &tags).await;
        }
        lab
    }

    async fn register(&self, id: &str, container: &str, tags: &serde_json::Value) {
        let info =
            json!({"container": container, "pos": format!("1_{}", &id[1..]), "nominalHashrateMhs": 2e8});
        let draft = json!({"id": id, "opts": {}, "info": info, "tags": tags});
        self.rack.register(serde_json::from_value(draft).unwrap(), &Caller::new("ann@site")).await.unwrap();
    }

    fn thing(&self, id: &str) -> Arc<ThingRecord> {
        self.things.get(&ThingId::new(id).unwrap()).unwrap()
    }

    /// Telemetry of the rack on these disks, at this time.
    fn run(&self, now: i64, readings: MemDisk, rows: MemDisk) -> Run<'_> {
        self.clock.0.store(now, Ordering::Relaxed);
        let small = || HistoryOptions { seal_log_bytes: 16 << 10, ..HistoryOptions::default() };
        let options = TelemetryOptions { readings: small(), rows: small(), ..TelemetryOptions::default() };
        let disks = Disks { readings: Arc::new(readings.clone()), rows: Arc::new(rows.clone()) };
        let telemetry = Telemetry::open(&self.cx, Arc::clone(&self.things), disks, options).unwrap();
        let facts = RackFacts::new(self.info.clone(), Duration::from_secs(60));
        let facts = facts.bounds(Duration::from_secs(10), Duration::from_secs(100));
        let sink = telemetry.sink(facts).unwrap();
        Run { lab: self, telemetry, sink, readings, rows, ticks: AtomicU64::new(0) }
    }

    fn fresh(&self, now: i64) -> Run<'_> {
        self.run(now, MemDisk::new(1), MemDisk::new(2))
    }
}

/// What a thing says once.
#[derive(Debug, Clone)]
struct Say {
    thing: &'static str,
    ts: i64,
    /// When it comes.
    comes: i64,
    /// `None` for a poll that failed.
    snap: Option<Arc<Snapshot>>,
}

fn snap(power: Option<f64>, rate: f64, heat: f64, status: &str, mode: &str, errors: usize) -> Arc<Snapshot> {
    let errors: Vec<_> = (0..errors).map(|n| json!({"code": format!("E{n}"), "msg": "x"})).collect();
    let mut stats = json!({"status": status, "state": "hashing", "errors": errors,
        "hashrate_mhs": {"t_5m": rate}, "temperature_c": {"max": heat, "avg": heat - 9.5, "chips": []}});
    if let Some(power) = power {
        stats["power_w"] = json!(power);
    }
    let json = json!({"success": true, "stats": stats, "config": {"power_mode": mode}});
    Arc::new(serde_json::from_value(json).unwrap())
}

fn power(watts: f64) -> Option<Arc<Snapshot>> {
    Some(snap(Some(watts), 2e8, 61.5, "mining", "normal", 0))
}

fn say(thing: &'static str, ts: i64, watts: f64) -> Say {
    Say { thing, ts, comes: ts, snap: power(watts) }
}

struct Run<'l> {
    lab: &'l Lab,
    telemetry: Telemetry,
    sink: Arc<dyn SnapshotSink>,
    readings: MemDisk,
    rows: MemDisk,
    ticks: AtomicU64,
}

impl Run<'_> {
    fn id(&self) -> &RackId {
        &self.lab.info.id
    }

    fn tick_at(&self, now: i64) {
        self.lab.clock.0.store(now, Ordering::Relaxed);
        self.telemetry.0.tick(self.ticks.fetch_add(1, Ordering::Relaxed));
    }

    async fn take(&self, say: &Say) {
        let outcome = say.snap.clone().ok_or_else(|| {
            Arc::new(Error::new(ErrorKind::Unreachable, "thing.snapshot", "no answer").code_as("ERR_TIMEOUT"))
        });
        let link = if outcome.is_ok() { Link::Online } else { Link::Offline };
        let took = Duration::from_millis(700);
        let ts = Timestamp(say.ts + 700);
        let thing = self.lab.thing(say.thing).id.clone();
        let reading = Reading { thing, seq: 1, ts, took, outcome, link, good: None };
        self.sink.put(&[Arc::new(reading)]).await;
    }

    /// Has readings come in the order in which they do, with ticks between.
    async fn hear(&self, says: &[Say]) {
        let mut says = says.to_vec();
        says.sort_by_key(|say| say.comes);
        for pair in says.iter().zip(says.iter().skip(1).map(Some).chain([None])) {
            // Ticks go on while nobody says anything.
            if pair.0.comes / MINUTE > self.lab.clock.wall().0 / MINUTE {
                self.tick_at(pair.0.comes);
            }
            self.lab.clock.0.store(pair.0.comes, Ordering::Relaxed);
            self.take(pair.0).await;
            let minute = pair.0.comes / MINUTE;
            if pair.1.is_none_or(|next| next.comes / MINUTE > minute) {
                self.tick_at((minute + 1) * MINUTE + 6_000.min(pair.1.map_or(6_000, |n| n.comes % MINUTE)));
            }
        }
    }

    /// Ticks until nothing is dirty that has ended.
    fn settle(&self, now: i64) {
        for _ in 0..2_000 {
            self.tick_at(now);
            let waits = self
                .telemetry
                .0
                .racks()
                .values()
                .any(|stats| stats.dirty.waits(stats.open_from().min(Timestamp(now - 5_000))));
            if !waits && self.telemetry.0.rebuilds().jobs.is_empty() {
                return;
            }
        }
        panic!("it never ends");
    }

    /// All rows that were kept, by the name of the set and the end of the window.
    fn all(&self) -> BTreeMap<(String, i64), Kept> {
        let plan = Plan::of(&families::spec("miner-xx").unwrap()).unwrap();
        let rows = &self.telemetry.0.rows;
        let mut all = BTreeMap::new();
        for owner in rows.owners(Timestamp(0)..Timestamp(MAX_TS)).unwrap() {
            let prefix = |window: &Window| name::prefix(*window, self.id());
            let rest = Window::ALL.iter().find_map(|window| owner.strip_prefix(prefix(window).as_str()));
            let Some(rest) = rest else { continue };
            let group = name::owner(rest, &plan).unwrap().group.map(|(group, _)| group);
            let members = columns(&plan, group);
            let kept = read(rows, &owner, &plan, &members, Timestamp(0)..Timestamp(MAX_TS)).unwrap();
            for (end, kept) in kept.into_iter().filter(|(_, kept)| kept.held() > 0.0) {
                all.insert((owner.to_string(), end.0), kept);
            }
        }
        all
    }

    fn row(&self, window: Window, tag: &str, end: i64) -> Option<Row> {
        let query = TailQuery::new(LogKey::Stat(window), tag, Timestamp(end), Timestamp(end));
        self.telemetry.rows(self.id(), window, &query).unwrap().pop()
    }

    fn power(&self, window: Window, end: i64) -> f64 {
        self.row(window, "t-miner", end).unwrap().number("power_w_sum").unwrap().value()
    }
}

/// That rows are those of another run but for rounding; `rev` aside.
fn same(ours: &Run<'_>, expected: &Run<'_>, seed: &str) {
    let plan = Plan::of(&families::spec("miner-xx").unwrap()).unwrap();
    let (ours, expected) = (ours.all(), expected.all());
    let names = |all: &BTreeMap<(String, i64), Kept>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&expected), "{seed}");
    let close = |a: f64, b: f64| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    for ((name, end), ours) in &ours {
        let other = &expected[&(name.clone(), *end)];
        for (member, of) in members_of(&plan) {
            let (a, b) = (of.of(ours), of.of(other));
            assert!(
                close(a, b),
                "{seed}: {name:?} until {end} (+{} ms): {member}: {a}, not {b}",
                end - START
            );
        }
    }
}

/// All numbers of a set; those that are not kept of it are the same in both.
fn members_of(plan: &Plan) -> Vec<(String, crate::stats::Member)> {
    let groups = (0..plan.groups().len()).map(Some);
    [None].into_iter().chain(groups).flat_map(|group| columns(plan, group)).collect()
}

/// What things say over some minutes: gaps, failed polls, and all that statistics look at.
fn random(rng: &mut Rng, from: i64, minutes: i64) -> Vec<Say> {
    let mut says = Vec::new();
    for thing in IDS.into_iter().take(rng.usize(2..=4)) {
        let mut ts = from + rng.i64(0..MINUTE);
        while ts < from + minutes * MINUTE {
            let watts = [None, Some(f64::from(rng.i32(-40..140_000)) / 40.0)][usize::from(rng.u32(0..9) > 0)];
            let status = ["mining", "sleeping", "error", "not_mining"][rng.usize(0..4)];
            let mode = ["low", "normal", "high"][rng.usize(0..3)];
            let (rate, heat) = (rng.f64() * 2e8, rng.f64() * 90.0 - 5.0);
            let snap = snap(watts, rate, heat, status, mode, rng.usize(0..4));
            // The texts of most are those of the one before.
            let before = says.last().and_then(|say: &Say| say.snap.clone());
            let snap = if rng.u32(0..3) == 0 { snap } else { before.unwrap_or(snap) };
            says.push(Say { thing, ts, comes: ts, snap: (rng.u32(0..8) > 0).then_some(snap) });
            ts += match rng.u32(0..10) {
                0 => rng.i64(MINUTE..6 * MINUTE),
                1 => rng.i64(1..MINUTE),
                _ => MINUTE + rng.i64(-9_000..9_000),
            };
        }
    }
    says.sort_by_key(|say| say.ts);
    // No two of the same time, so that their order is that of time.
    says.iter_mut().zip(0..).for_each(|(say, n)| say.ts = say.ts / 256 * 256 + n % 256);
    says.iter_mut().for_each(|say| say.comes = say.ts + 700);
    says
}
