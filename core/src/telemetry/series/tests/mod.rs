//! Series over histories in memory, against a naive walk and by hand.

mod answers;
mod faults;
mod naive;
mod random;
mod refused;
mod zones;

use std::{ops::Range, sync::Arc, time::Duration};

use serde_json::json;

use super::*;
use crate::{
    driver::Registry,
    history::{History, HistoryOptions, MemDisk, Sample, Shape},
    io::{Ctx, MemNet, SeededRng, SystemClock},
    model::RackId,
    rack::{Caller, LocalRack, Rack, RackInfo, RackOptions, SnapshotSink, Things},
    telemetry::{
        Disks, ExportQuery, RackFacts, Telemetry, TelemetryOptions, tests::things as things_in_memory,
    },
};

/// 2025-11-26T12:00:00Z.
const NOON: i64 = 1_764_158_400_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const POWER: &str = "stats.power_w";

/// Telemetry over disks in memory, at a time that stands still.
struct Lab {
    cx: Ctx,
    things: Arc<Things>,
    telemetry: Telemetry,
    /// Of the readings.
    disk: MemDisk,
    shape: Arc<Shape>,
}

impl Lab {
    async fn at(now: i64) -> Self {
        Self::with(now, HistoryOptions::default()).await
    }

    async fn with(now: i64, readings: HistoryOptions) -> Self {
        let clock = Arc::new(SystemClock::starting_at(Timestamp(now)));
        let cx = Ctx::new(clock, Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
        let things = things_in_memory(&cx).await;
        let disk = MemDisk::new(1);
        let telemetry = open(&cx, &things, &disk, readings);
        Self { cx, things, telemetry, disk, shape: Shape::new([POWER, "stats.temperature_c.max"]).unwrap() }
    }

    fn history(&self) -> &History {
        self.telemetry.readings()
    }

    /// Has a thing say a power.
    fn say(&self, thing: &str, ts: i64, power: f64) {
        let values = [power, 61.5];
        let sample =
            Sample { owner: thing, ts: Timestamp(ts), shape: &self.shape, values: &values, texts: None };
        self.history().append(&[sample]).unwrap();
    }

    /// Commits and maintains until nothing is due at that time.
    fn settle(&self, now: i64) {
        self.history().commit().unwrap();
        let mut calls = 0;
        while self.history().maintain(Timestamp(now)).unwrap().is_some() {
            calls += 1;
            assert!(calls < 100_000, "maintenance does not end");
        }
    }

    /// A rack whose things are polled so often, with things of these ids and tags.
    async fn rack(&self, name: &str, interval: Duration, ids: &[&str]) -> (RackId, Arc<dyn SnapshotSink>) {
        let info = RackInfo::new("miner-xx", name).unwrap();
        let (drivers, things) = (Arc::new(Registry::new()), Arc::clone(&self.things));
        let mut options = RackOptions::without_devices();
        options.tags = vec![format!("of-{name}")];
        let rack = LocalRack::open(self.cx.clone(), drivers, things, info.clone(), options, None).await;
        let rack = rack.unwrap();
        for id in ids {
            let draft =
                serde_json::from_value(json!({"id": id, "opts": {}, "info": {"site": name}})).unwrap();
            rack.register(draft, &Caller::new("ann@site")).await.unwrap();
        }
        let sink = self.telemetry.sink(RackFacts::new(info.clone(), interval)).unwrap();
        (info.id, sink)
    }

    fn points(&self, query: &SeriesQuery) -> Vec<Vec<Point>> {
        let answer = self.telemetry.series(query).unwrap();
        assert!(answer.failed.is_empty(), "{:?}", answer.failed);
        answer.columns.into_iter().map(|column| column.points().to_vec()).collect()
    }
}

fn open(cx: &Ctx, things: &Arc<Things>, disk: &MemDisk, readings: HistoryOptions) -> Telemetry {
    let disks = Disks { readings: Arc::new(disk.clone()), rows: Arc::new(MemDisk::new(2)) };
    let options = TelemetryOptions { readings, ..TelemetryOptions::default() };
    Telemetry::open(cx, Arc::clone(things), disks, options).unwrap()
}

fn id(text: &str) -> ThingId {
    ThingId::new(text).unwrap()
}

fn range(from: i64, to: i64) -> Range<Timestamp> {
    Timestamp(from)..Timestamp(to)
}

/// The mean power of things that are polled once a minute.
fn power_of(ids: &[&str], from: i64, to: i64) -> SeriesQuery {
    let ids = ids.iter().map(|text| id(text)).collect();
    let mut query = SeriesQuery::new(ThingsOf::Ids(ids), POWER, range(from, to));
    query.interval = Some(Duration::from_secs(60));
    query
}

fn values(points: &[Point]) -> Vec<Option<f64>> {
    points.iter().map(|point| point.value).collect()
}
