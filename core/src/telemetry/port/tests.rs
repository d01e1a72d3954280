use std::{io::BufReader, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ExportQuery, ImportOptions, Imported, code};
use crate::{
    ThingId,
    history::{Disk, MAX_TS, MemDisk, Sample, Shape},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    telemetry::{Disks, Telemetry, TelemetryOptions, tests::things as things_in_memory},
};

/// Noon of 2025-11-26.
pub(super) const NOON: i64 = 1_764_158_400_000;
pub(super) const DAY: i64 = super::DAY_MS;
pub(super) const ALL: std::ops::Range<Timestamp> = Timestamp(0)..Timestamp(MAX_TS + 1);

pub(super) fn open_on(readings: &MemDisk, rows: &MemDisk) -> Telemetry {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let clock = SystemClock::starting_at(Timestamp(NOON + 400 * DAY));
    let cx = Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
    let things = runtime.block_on(things_in_memory(&cx));
    Telemetry::open(&cx, things, disks(readings, rows), TelemetryOptions::default()).unwrap()
}

fn disks(readings: &MemDisk, rows: &MemDisk) -> Disks {
    Disks { readings: Arc::new(readings.clone()), rows: Arc::new(rows.clone()) }
}

pub(super) fn open() -> Telemetry {
    open_on(&MemDisk::new(1), &MemDisk::new(2))
}

pub(super) fn import(telemetry: &Telemetry, text: &str) -> Imported {
    telemetry.import(&mut BufReader::new(text.as_bytes()), &ImportOptions::default()).unwrap()
}

pub(super) fn thing(name: &str) -> ThingId {
    ThingId::new(name).unwrap()
}

fn reading(ts: i64, power: f64, status: &str) -> Value {
    json!({"ts": ts, "err": null, "snap": {"stats": {"power_w": power, "status": status, "fans": [{"rpm": 25}], "mhz": "25"}}})
}

pub(super) fn line(name: &str, rows: &[Value]) -> String {
    format!("{}\n", json!({"thing": name, "rows": rows}))
}

#[test]
fn readings_come_back_as_they_were_and_a_second_import_adds_none() {
    let telemetry = open();
    let mut rows: Vec<Value> = (0..50)
        .map(|i| reading(NOON + i * DAY / 4, 3_000.0 + i as f64, ["on", "off"][i as usize / 5 % 2]))
        .collect();
    rows[7] = json!({"ts": rows[7]["ts"], "err": "ERR_TIMEOUT", "snap": null});
    rows[8] = json!({"ts": rows[8]["ts"], "err": "half", "snap": {"stats": {"power_w": 0.1}}});
    let mut mixed = rows.clone();
    mixed.reverse();
    let text = line("m1", &mixed) + "\n" + &line("m2", &rows[..3]);
    let done = import(&telemetry, &text);
    assert_eq!((done.lines, done.readings, done.same, &done.skipped[..]), (3, 53, 0, &[][..]));
    let expected: Vec<Value> = rows
        .iter()
        .map(|row| match &row["snap"] {
            Value::Null => json!({"ts": row["ts"], "err": row["err"], "snap": {}}),
            _ => row.clone(),
        })
        .collect();
    let found = Value::from(telemetry.snapshots(&thing("m1"), ALL).unwrap());
    assert_eq!(serde_json::from_str::<Value>(&found.to_string()).unwrap(), normal(&Value::from(expected)));
    let again = import(&telemetry, &text);
    assert_eq!((again.readings, again.same), (0, 53));
    assert_eq!(Value::from(telemetry.snapshots(&thing("m1"), ALL).unwrap()), found);
    assert_eq!(telemetry.counters().readings.samples, 53);
}

/// Whole numbers as they come back.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(n) if n.as_f64().is_some_and(|x| x.fract() == 0.0) => json!(n.as_f64().unwrap() as i64),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), normal(v))).collect(),
        other => other.clone(),
    }
}

#[test]
fn lines_that_cannot_be_taken_are_named_and_the_others_stay() {
    let bad = [
        "{",
        "5",
        "{\"rows\":[]}",
        r#"{"thing":"a","key":"k","rows":[]}"#,
        r#"{"thing":"a b","rows":[]}"#,
        r#"{"thing":"a","rows":[{"ts":-1,"snap":{}}]}"#,
        r#"{"thing":"a","rows":[{"ts":1}]}"#,
        r#"{"thing":"a","rows":[{"ts":1,"snap":7}]}"#,
        r#"{"thing":"a","rows":[{"ts":1,"snap":{"err":1}}]}"#,
        r#"{"thing":"a","rows":[{"ts":1,"snap":{"x":1e999}}]}"#,
        r#"{"key":"k","type":"t","tag":"","rows":[]}"#,
    ];
    let good = line("m1", &[reading(NOON, 5.0, "on")]);
    for bad in bad {
        let telemetry = open_on(&MemDisk::new(1), &MemDisk::new(2));
        let text = format!("{good}{bad}\n{}", line("m1", &[reading(NOON + 1, 5.0, "on")]));
        let done = import(&telemetry, &text);
        assert_eq!((done.lines, done.readings, done.skipped_count), (3, 2, 1), "{bad}: {done:?}");
        assert_eq!(done.skipped[0].0, 2, "{bad}");
        let strict = ImportOptions { strict: true, ..ImportOptions::default() };
        let telemetry = open();
        let e = telemetry.import(&mut BufReader::new(text.as_bytes()), &strict).unwrap_err();
        assert_eq!(
            (e.code(), e.fact("line"), e.fact("readings")),
            (code::LINE, Some("2"), Some("1")),
            "{bad}: {e}"
        );
        assert_eq!(telemetry.counters().readings.samples, 1);
    }
}

#[test]
fn a_reading_that_would_change_what_ours_says_is_not_put_before_it() {
    let telemetry = open();
    let shape = Shape::new(["stats.power_w"]).unwrap();
    for (ts, texts) in [(NOON, Some("{\"stats.status\":\"on\"}")), (NOON + 1_000, None)] {
        let sample = Sample { owner: "m1", ts: Timestamp(ts), shape: &shape, values: &[1.0], texts };
        telemetry.readings().append(&[sample]).unwrap();
    }
    let row = |ts, status: &str| json!({"ts": ts, "snap": {"stats": {"power_w": 2, "status": status}}});
    let rows =
        [row(NOON - 5, "off"), row(NOON + 500, "on"), row(NOON + 600, "off"), row(NOON + 2_000, "off")];
    let done = import(&telemetry, &line("m1", &rows));
    assert_eq!((done.readings, done.skipped.len()), (3, 1), "{done:?}");
    assert!(done.skipped[0].1.starts_with("row 3:"), "{done:?}");
    let said = telemetry.snapshots(&thing("m1"), ALL).unwrap();
    let status: Vec<_> = said.iter().map(|row| row["snap"]["stats"]["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["off", "on", "on", "on", "off"]);
}

#[test]
fn more_days_than_a_log_holds_are_taken() {
    let telemetry = open();
    let rows: Vec<Value> = (0..900).map(|day| reading(day * DAY, 5.0, "on")).collect();
    assert_eq!(import(&telemetry, &line("m1", &rows)).readings, 900);
    assert_eq!(telemetry.snapshots(&thing("m1"), ALL).unwrap().len(), 900);
}

#[test]
fn a_table_of_all_time_passes_over_days_of_which_nobody_said_anything() {
    let telemetry = open();
    let said = [3, 40, 20_000, 20_002].map(|day| reading(day * DAY + 7, day as f64, "on"));
    import(&telemetry, &(line("m1", &said) + &line("m2", &[reading(41 * DAY, 1.0, "on")])));
    let days = |from: i64, to: i64, with_texts| {
        let query = ExportQuery {
            things: vec![thing("m1"), thing("m2")],
            members: Some(vec!["stats.power_w".into()]),
            range: Timestamp(from)..Timestamp(to),
            with_texts,
        };
        let mut out = Vec::new();
        assert_eq!(telemetry.export_csv(&query, &mut out).unwrap().removed_before, None);
        let lines = String::from_utf8(out).unwrap();
        lines.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for with_texts in [false, true] {
        assert_eq!(days(i64::MIN, i64::MAX, with_texts), ["3", "40", "20000", "20002", "1"]);
        assert_eq!(days(40 * DAY + 7, 20_000 * DAY + 8, with_texts), ["40", "20000", "1"]);
        assert_eq!(days(40 * DAY + 8, 20_000 * DAY + 7, with_texts), ["1"]);
        assert_eq!(days(i64::MAX - 1, i64::MAX, with_texts), [""; 0]);
    }
    telemetry.readings().rotate(Timestamp(NOON)).unwrap();
    while telemetry.readings().maintain(Timestamp(NOON + 500 * DAY)).unwrap().is_some() {}
    assert_eq!(days(0, i64::MAX, false), ["3", "40", "20000", "20002", "1"]);
}

#[test]
fn rows_of_statistics_are_shown_as_they_were() {
    let telemetry = open();
    let row = |ts: i64, x: f64| json!({"ts": ts, "hashrate_mhs_5m_sum_aggr": x, "g": {"a": "25"}});
    let line = |rows: &[Value]| {
        format!("{}\n", json!({"type": "miner", "key": "stat-5m", "tag": "t-miner", "rows": rows}))
    };
    let text = line(&[row(NOON, 0.1), row(NOON + 300_000, 2.5)]);
    assert_eq!(import(&telemetry, &text).rows, 2);
    let again = import(&telemetry, &text);
    assert_eq!((again.rows, again.same), (0, 2));
    let rows = |range| telemetry.imported_rows("stat-5m", "miner", "t-miner", range).unwrap();
    assert_eq!(rows(ALL), [row(NOON, 0.1), row(NOON + 300_000, 2.5)]);
    assert_eq!(rows(Timestamp(NOON + 1)..Timestamp(NOON + 300_001)), [row(NOON + 300_000, 2.5)]);
    assert_eq!(import(&telemetry, &line(&[row(NOON, 7.0)])).rows, 1);
    assert_eq!(rows(ALL)[0], row(NOON, 7.0));
    assert_eq!(telemetry.imported_rows("stat-5m", "miner", "t-x", ALL).unwrap(), [Value::Null; 0]);
}

#[test]
fn the_table_has_a_line_for_each_reading() {
    let telemetry = open();
    let snap = json!({"a": 0.1, "b": -5, "say": "=1+1", "note": "x, \"y\"", "on": true});
    let rows =
        [json!({"ts": NOON, "snap": snap}), json!({"ts": NOON + DAY + 7, "err": "E", "snap": {"c": 1e300}})];
    import(&telemetry, &(line("m1", &rows) + &line("-m2", &[json!({"ts": NOON, "snap": {"b": 7}})])));
    let query = |members: Option<&[&str]>, with_texts| ExportQuery {
        things: vec![thing("m1"), thing("-m2"), thing("m1"), thing("nobody")],
        members: members.map(|names| names.iter().map(ToString::to_string).collect()),
        range: ALL,
        with_texts,
    };
    let table = |query: &ExportQuery| {
        let mut out = Vec::new();
        let done = telemetry.export_csv(query, &mut out).unwrap();
        assert_eq!((done.rows, done.things, done.bytes), (3, 2, out.len() as u64));
        String::from_utf8(out).unwrap()
    };
    let expected = "ts,ts_ms,thing,a,b,c\r\n\
        2025-11-26T12:00:00.000Z,1764158400000,m1,0.1,-5,\r\n\
        2025-11-27T12:00:00.007Z,1764244800007,m1,,,1e300\r\n\
        2025-11-26T12:00:00.000Z,1764158400000,'-m2,,7,\r\n";
    assert_eq!(table(&query(None, false)), expected);
    let expected = "ts,ts_ms,thing,a,b,c,err,note,on,say\r\n\
        2025-11-26T12:00:00.000Z,1764158400000,m1,0.1,-5,,,\"x, \"\"y\"\"\",true,'=1+1\r\n\
        2025-11-27T12:00:00.007Z,1764244800007,m1,,,1e300,E,,,\r\n\
        2025-11-26T12:00:00.000Z,1764158400000,'-m2,,7,,,,,\r\n";
    assert_eq!(table(&query(None, true)), expected);
    let named = table(&query(Some(&["say", "b", "x"]), true));
    assert!(
        named
            .starts_with("ts,ts_ms,thing,say,b,x\r\n2025-11-26T12:00:00.000Z,1764158400000,m1,'=1+1,-5,\r\n"),
        "{named}"
    );
    let twice = telemetry.export_csv(&query(Some(&["b", "b"]), false), &mut Vec::new()).unwrap_err();
    assert_eq!(twice.fact("field"), Some("members"));
    let mut full = [0_u8; 30];
    let e = telemetry.export_csv(&query(None, false), &mut &mut full[..]).unwrap_err();
    assert_eq!(e.code(), code::OUTPUT);
}

#[test]
fn both_histories_are_backed_up_and_restored_together() {
    let telemetry = open();
    let stats = json!({"type": "miner", "key": "stat-5m", "tag": "t-miner", "rows": [{"ts": NOON, "x": 1}]});
    import(&telemetry, &format!("{}{stats}\n", line("m1", &[reading(NOON, 5.5, "on")])));
    let backup = (MemDisk::new(3), MemDisk::new(4));
    let report = telemetry.backup(&disks(&backup.0, &backup.1)).unwrap();
    assert_eq!((report.readings.samples, report.rows.samples), (1, 1));
    let to = (MemDisk::new(5), MemDisk::new(6));
    backup.1.flip("history.backup", 9);
    Telemetry::restore(&disks(&backup.0, &backup.1), &disks(&to.0, &to.1)).unwrap_err();
    assert!(to.0.list().unwrap().is_empty() && to.1.list().unwrap().is_empty());
    backup.1.flip("history.backup", 9);
    Telemetry::restore(&disks(&backup.0, &backup.1), &disks(&to.0, &to.1)).unwrap();
    let again = open_on(&to.0, &to.1);
    assert_eq!(again.snapshots(&thing("m1"), ALL).unwrap(), telemetry.snapshots(&thing("m1"), ALL).unwrap());
    assert_eq!(
        again.imported_rows("stat-5m", "miner", "t-miner", ALL).unwrap(),
        [json!({"ts": NOON, "x": 1})]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn arbitrary_lines_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..400,
        at in 0_usize..400,
        byte: u8,
    ) {
        let telemetry = open();
        let mut text = line("m1", &[reading(NOON, 5.0, "on"), reading(NOON + 1, -0.0, "=x")]).into_bytes();
        let len = text.len();
        text[at % len] = byte;
        text.truncate(cut.max(1));
        text.extend_from_slice(b"\n");
        text.extend_from_slice(&bytes);
        let done = telemetry.import(&mut &text[..], &ImportOptions::default()).unwrap();
        prop_assert!(done.readings <= 2 && done.skipped.len() as u64 == done.skipped_count);
        let said = telemetry.snapshots(&thing("m1"), ALL).unwrap();
        prop_assert!(said.len() as u64 <= done.readings);
    }
}
