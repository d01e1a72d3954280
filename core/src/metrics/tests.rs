use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use super::*;
use crate::{
    ThingId,
    discover::ReportCounts,
    history::HistoryStats,
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::Snapshot,
    rack::Counts,
    stats::live::Counters,
    store::{CrashBackend, LastRow, LastStore, StoreHealth, Writer},
    telemetry::TelemetryCounters,
};

/// What was given: by name and labels.
#[derive(Default)]
struct Given(BTreeMap<(&'static str, String), (Kind, f64)>);

impl Given {
    fn take(&mut self, metric: &'static Metric, labels: Labels<'_>, kind: Kind, value: f64) {
        assert!(ALL.contains(metric), "{}", metric.name);
        assert_eq!(metric.kind, kind, "{}", metric.name);
        assert!(labels.iter().map(|(name, _)| name).eq(metric.labels), "{}: {labels:?}", metric.name);
        let values: Vec<_> = labels.iter().map(|(_, value)| *value).collect();
        let before = self.0.insert((metric.name, values.join(" ")), (kind, value));
        assert_eq!(before, None, "{} {labels:?} came twice", metric.name);
    }

    fn of(&self, metric: &Metric, labels: &str) -> f64 {
        self.0[&(metric.name, labels.to_owned())].1
    }
}

impl Recorder for Given {
    fn counter(&mut self, metric: &'static Metric, labels: Labels<'_>, value: u64) {
        self.take(metric, labels, Kind::Counter, value as f64);
    }

    fn gauge(&mut self, metric: &'static Metric, labels: Labels<'_>, value: f64) {
        self.take(metric, labels, Kind::Gauge, value);
    }
}

/// No flag has so high a number.
const FIRST: u32 = 100;

/// Numbers of which no two are equal.
struct Numbers(u32);

impl Numbers {
    fn next<T: From<u16>>(&mut self) -> T {
        self.0 += 1;
        T::from(u16::try_from(self.0).unwrap())
    }
}

fn counts(n: &mut Numbers) -> Counts {
    Counts {
        things: n.next(),
        online: n.next(),
        offline: n.next(),
        error: n.next(),
        stale: n.next(),
        never: n.next(),
        slow: n.next(),
        in_flight: n.next(),
        waiting: n.next(),
        polls_done: n.next(),
        polls_failed: n.next(),
        polls_late: n.next(),
        polls_cut: n.next(),
        ticks_missed: n.next(),
        sink_dropped: n.next(),
        events_missed: n.next(),
        lateness_p50: Duration::from_secs(n.next()),
        lateness_p99: Duration::from_secs(n.next()),
    }
}

fn history(n: &mut Numbers) -> HistoryStats {
    HistoryStats {
        bytes: n.next(),
        samples: n.next(),
        sealed_values: n.next(),
        days: n.next(),
        logs: n.next(),
        sequence: n.next(),
        durable_sequence: n.next(),
        infinite_values: n.next(),
        removed_days: n.next(),
        removed_bytes: n.next(),
        removed_samples: n.next(),
        stuck_days: n.next(),
    }
}

fn health(n: &mut Numbers) -> StoreHealth {
    StoreHealth {
        full: true,
        reserve_bytes: n.next(),
        broken: None,
        commits: n.next(),
        batches: n.next(),
        refused: n.next(),
        refused_full: n.next(),
        opened: n.next(),
        waiting: n.next(),
    }
}

/// A store that dropped the row of one thing, which is too long.
fn last() -> LastStore {
    let clock = SystemClock::starting_at(Timestamp(0));
    let cx = Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
    let disk = Arc::new(CrashBackend::new(1));
    LastStore::create_on(disk.clone(), "site").unwrap();
    let (store, _) = LastStore::open_on(&cx, disk, "site", Writer::Inline).unwrap();
    let row = LastRow { ts: Timestamp(0), err: Some("x".repeat(9 << 20)), snap: Some(Snapshot::offline()) };
    store.record(&ThingId::new("m1").unwrap(), &row);
    store
}

/// All parts, each with numbers of its own.
fn given() -> (Given, u32) {
    let (mut to, mut n) = (Given::default(), Numbers(FIRST));
    counts(&mut n).measure("r1", &mut to);
    counts(&mut n).measure("r2", &mut to);
    health(&mut n).measure("", &mut to);
    let telemetry = TelemetryCounters {
        dropped: n.next(),
        of_gone: n.next(),
        failures: n.next(),
        late: n.next(),
        rebuilt: n.next(),
        rebuilds_dropped: n.next(),
        readings: history(&mut n),
        rows: history(&mut n),
    };
    telemetry.measure("", &mut to);
    let reports = ReportCounts {
        received: n.next(),
        reports: n.next(),
        acknowledgements: n.next(),
        malformed: n.next(),
        limited: n.next(),
        missed: n.next(),
    };
    reports.measure("", &mut to);
    Counters { implausible: n.next(), late: n.next(), ahead: n.next(), skipped: n.next() }
        .measure("e", &mut to);
    (to, n.0)
}

#[test]
fn every_counter_that_exists_is_given_once_under_a_listed_name() {
    let (mut to, numbers) = given();
    let values: BTreeSet<u64> = to.0.values().map(|(_, value)| *value as u64).collect();
    let missing: Vec<u64> =
        (FIRST..numbers).map(|n| u64::from(n) + 1).filter(|n| !values.contains(n)).collect();
    // The sums of two racks, and places in the logs of two histories, which count nothing.
    let n = &mut Numbers(FIRST);
    let (one, two, _) = (counts(n).things as u64, counts(n).things as u64, health(n));
    // What telemetry itself counts.
    n.0 += 6;
    let (readings, rows) = (history(n), history(n));
    let places = [readings.sequence, readings.durable_sequence, rows.sequence, rows.durable_sequence];
    assert_eq!(missing, [&[one, two][..], &places].concat());

    last().measure("", &mut to);
    assert_eq!(to.of(&names::LAST_ROWS_DROPPED, ""), 1.0);
    assert_eq!((to.of(&names::STORE_FULL, ""), to.of(&names::STORE_BROKEN, "")), (1.0, 0.0));
    let given: BTreeSet<_> = to.0.keys().map(|(name, _)| *name).collect();
    let listed: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(given, listed);
    assert_eq!(listed.len(), ALL.len());
}

#[test]
fn what_is_given_is_what_was_counted() {
    let (to, _) = given();
    let n = &mut Numbers(FIRST);
    let (one, two, store) = (counts(n), counts(n), health(n));
    assert_eq!(to.of(&names::RACK_READINGS_DROPPED, "r1"), one.sink_dropped as f64);
    assert_eq!(to.of(&names::RACK_READINGS_DROPPED, "r2"), two.sink_dropped as f64);
    assert_eq!(to.of(&names::RACK_THINGS, "r2 stale"), two.stale as f64);
    assert_eq!(to.of(&names::RACK_POLL_LATENESS, "r1 0.99"), one.lateness_p99.as_secs_f64());
    assert_eq!(to.of(&names::STORE_REFUSED, "full"), store.refused_full as f64);
    assert_eq!(to.of(&names::STORE_REFUSED, "guard"), store.refused as f64);
    let (dropped, of_gone): (f64, f64) = (n.next(), n.next());
    let (failures, late): (f64, f64) = (n.next(), n.next());
    assert_eq!(to.of(&names::TELEMETRY_DROPPED, ""), dropped);
    assert_eq!(to.of(&names::TELEMETRY_OF_GONE, ""), of_gone);
    assert_eq!(to.of(&names::TELEMETRY_FAILURES, ""), failures);
    assert_eq!(to.of(&names::TELEMETRY_LATE, ""), late);
    let (rebuilt, given_up): (f64, f64) = (n.next(), n.next());
    assert_eq!(to.of(&names::TELEMETRY_REBUILT, ""), rebuilt);
    assert_eq!(to.of(&names::TELEMETRY_REBUILDS_DROPPED, ""), given_up);
    let (readings, rows) = (history(n), history(n));
    assert_eq!(to.of(&names::HISTORY_REMOVED_SAMPLES, "readings"), readings.removed_samples as f64);
    assert_eq!(to.of(&names::HISTORY_STUCK, "statistics"), rows.stuck_days as f64);
}

#[test]
fn names_are_snake_case_and_say_their_units() {
    for metric in ALL {
        let name = metric.name.strip_prefix("headframe_").unwrap();
        let snake = |name: &str| {
            name.split('_').all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()))
        };
        assert!(snake(name) && metric.labels.iter().all(|label| snake(label)), "{name}");
        let stem = name.strip_suffix("_total");
        assert_eq!(stem.is_some(), metric.kind == Kind::Counter, "{name}");
        let unit = match stem.unwrap_or(name).rsplit('_').next() {
            Some("bytes") => Unit::Bytes,
            Some("seconds") => Unit::Seconds,
            _ if metric.unit == Unit::Flag => Unit::Flag,
            _ => Unit::Count,
        };
        assert_eq!(metric.unit, unit, "{name}");
        assert!(metric.about.ends_with('.') && !metric.about.contains('|'), "{name}");
    }
}

#[test]
fn the_page_lists_what_there_is() {
    let mut table = String::new();
    for Metric { name, kind, labels, since, about, .. } in ALL {
        let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        writeln!(table, "| `{name}` | {kind} | {labels} | {since} | {about} |").unwrap();
    }
    let page = include_str!("../../../docs/counters.md");
    assert!(
        page.contains(&format!("|---|---|---|---|---|\n{table}\n")),
        "docs/counters.md should have:\n{table}"
    );
}
