use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{
    rack::{Tail, TailQuery},
    stats::{Semantics, tally},
    telemetry::{
        TelemetryOptions,
        tests::{Lab, LabRack, NOON, draft, miner},
    },
};

async fn lab() -> Lab {
    Lab::new(TelemetryOptions { mos_compatible: true, ..TelemetryOptions::default() }).await
}

async fn miners(lab: &Lab, thing_type: &str) -> LabRack {
    let mut third = draft("m3", "bay-2", "2_1");
    third["tags"] = json!(["zone-x", "site-1"]);
    lab.rack(thing_type, "hall-1", &[draft("m1", "bay-1", "1_1"), draft("m2", "bay-1", "1_2"), third]).await
}

fn rows(lab: &Lab, rack: &LabRack, query: &TailQuery) -> Vec<Value> {
    match lab.tail(rack, query) {
        Tail::Mos(rows) => rows,
        other => panic!("rows are not stored as MiningOS does: {other:?}"),
    }
}

fn stored(lab: &Lab, rack: &LabRack, key: &str, tag: &str) -> Vec<Value> {
    rows(lab, rack, &lab.query(key, tag))
}

/// The pure fold over documents of things that said this.
fn pure(lab: &Lab, rack: &LabRack, thing_type: &str, said: &[(&str, Option<Value>)]) -> Value {
    let spec = families::mos_spec(thing_type).unwrap();
    let document = |(id, said): &(&str, Option<Value>)| {
        let record = lab.things.get(&ThingId::new(id).unwrap()).unwrap();
        assert_eq!(record.rack, rack.id);
        let last = said.as_ref().map_or(json!({}), |snap| json!({"snap": snap}));
        (json!({"last": last, "info": record.info.map()}), document(&record))
    };
    let documents: Vec<(Value, Value)> = said.iter().map(document).collect();
    let things = documents.iter().map(|(entry, ext)| Json { entry, ext: Some(ext) });
    Value::Object(tally(&spec, Semantics::MiningOs, things))
}

fn at(mut row: Value, ts: i64) -> Value {
    row["ts"] = ts.into();
    row
}

#[tokio::test(start_paused = true)]
async fn a_window_s_end_is_what_was_said_last_by_then() {
    let lab = lab().await;
    let (kind, tag) = ("miner-am-s21", "t-miner");
    let rack = miners(&lab, kind).await;
    let (high, low, late) =
        (miner("mining", "high", 3_000.0), miner("mining", "low", 1_000.0), miner("error", "low", 7.0));
    rack.say(&lab, "m1", low.clone()).await;
    rack.say(&lab, "m2", low.clone()).await;
    lab.pass(299).await;
    rack.say(&lab, "m1", high.clone()).await;
    tokio::time::advance(std::time::Duration::from_millis(1_200)).await;
    // After the end, and before anybody has looked.
    rack.say(&lab, "m2", late.clone()).await;
    rack.say(&lab, "m3", late.clone()).await;
    rack.say(&lab, "m2", late.clone()).await;
    lab.pass(1).await;
    let expected =
        pure(&lab, &rack, kind, &[("m1", Some(high.clone())), ("m2", Some(low.clone())), ("m3", None)]);
    assert_eq!(expected["power_w_sum"], 4_000);
    assert!((expected["power_w_avg"].as_f64().unwrap() - 4_000.0 / 3.0).abs() < 1e-9, "MiningOS's mistake");
    let end = NOON + 300_000;
    assert_eq!(stored(&lab, &rack, "stat-5m", tag), [at(expected.clone(), end)]);
    for tag in ["t-miner-am", "t-miner-am-s21"] {
        assert_eq!(stored(&lab, &rack, "stat-5m", tag), [at(expected.clone(), end)], "{tag}");
    }
    let bay = pure(&lab, &rack, kind, &[("m1", Some(high.clone())), ("m2", Some(low))]);
    assert_eq!(stored(&lab, &rack, "stat-5m", "container-bay-1"), [at(bay, end)]);
    let zone = stored(&lab, &rack, "stat-5m", "zone-x");
    assert_eq!((zone.len(), &zone[0]["power_w_sum"]), (1, &json!(0)));
    for none in ["pos-1_1", "id-m1", "site-1", "t-container", "stat"] {
        assert_eq!(stored(&lab, &rack, "stat-5m", none), [] as [Value; 0], "{none}");
    }
    assert_eq!(stored(&lab, &rack, "stat-1m", tag), [] as [Value; 0], "minutes are of containers alone");
    let now = pure(&lab, &rack, kind, &[("m1", Some(high)), ("m2", Some(late.clone())), ("m3", Some(late))]);
    assert_eq!(stored(&lab, &rack, "stat-rtd", tag), [now]);
    assert_eq!(
        stored(&lab, &rack, "stat-rtd", "container-bay-1"),
        [] as [Value; 0],
        "MiningOS has none of it"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_of_before_a_restart_is_the_last_and_rows_stay() {
    let mut lab = lab().await;
    let (kind, tag) = ("miner-wm-m63", "t-miner");
    let rack = miners(&lab, kind).await;
    let (high, low) = (miner("mining", "high", 3_000.0), miner("sleeping", "sleep", 20.0));
    rack.say(&lab, "m1", high.clone()).await;
    rack.say(&lab, "m3", low.clone()).await;
    lab.pass(1_790).await;
    let before = stored(&lab, &rack, "stat-15m", tag);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0]["status_group"], json!({"bay-1-1_1": "mining", "bay-2-2_1": "sleeping"}), "of M63s");
    let rack = lab.restart(rack);
    rack.say(&lab, "m3", high.clone()).await;
    lab.pass(12).await;
    let expected = pure(&lab, &rack, kind, &[("m1", Some(high.clone())), ("m2", None), ("m3", Some(high))]);
    let rows = stored(&lab, &rack, "stat-15m", tag);
    assert_eq!(rows, [before[0].clone(), at(expected.clone(), NOON + 1_800_000)]);
    assert_eq!(stored(&lab, &rack, "stat-30m", tag), [rows[1].clone()]);
    let mut newest = lab.query("stat-5m", tag);
    (newest.newest, newest.to) = (Some(2), Timestamp(NOON + 900_000));
    let ts = super::tests::rows(&lab, &rack, &newest).iter().map(|row| row["ts"].clone()).collect::<Vec<_>>();
    assert_eq!(ts, [NOON + 600_000, NOON + 900_000]);
    let startup = stored(&lab, &rack, "stat-startup", tag);
    assert_eq!(startup.last(), Some(&json!({"ts": NOON + 1_800_000, "startupStatus": 1})));
    assert_eq!(startup[0], json!({"ts": NOON + 300_000, "startupStatus": 0}), "one of two");
}

#[tokio::test(start_paused = true)]
async fn what_was_slept_through_is_a_gap_and_a_thing_that_is_repaired_does_not_answer() {
    let lab = lab().await;
    let (kind, tag) = ("miner-am-s21", "t-miner");
    let drafts = [draft("m1", "maintenance", "1_1"), draft("m2", "bay-1", "1_2")];
    let rack = lab.rack(kind, "hall-1", &drafts).await;
    let said = miner("mining", "high", 3_000.0);
    rack.say(&lab, "m1", said.clone()).await;
    rack.say(&lab, "m2", said.clone()).await;
    tokio::time::advance(std::time::Duration::from_secs(11 * 60)).await;
    lab.pass(1).await;
    let rows = stored(&lab, &rack, "stat-5m", tag);
    let offline = json!({"success": false, "stats": {"status": "offline"}});
    let expected = pure(&lab, &rack, kind, &[("m1", Some(offline)), ("m2", Some(said))]);
    assert_eq!(rows, [at(expected, NOON + 600_000)]);
}

#[tokio::test(start_paused = true)]
async fn without_the_option_nothing_is_stored_and_totals_are_kept_with_it_too() {
    for mos_compatible in [false, true] {
        let lab = Lab::new(TelemetryOptions { mos_compatible, ..TelemetryOptions::default() }).await;
        let rack = miners(&lab, "miner-am-s21").await;
        for _ in 0..11 {
            rack.say(&lab, "m1", miner("mining", "high", 3_000.0)).await;
            lab.pass(30).await;
        }
        let range = Timestamp(0)..Timestamp(NOON * 2);
        let owners = lab.telemetry.0.rows.owners(range).unwrap();
        assert_eq!(owners.iter().any(|owner| owner.starts_with("mos-row")), mos_compatible);
        let totals = lab.telemetry.rows(&rack.id, Window::M5, &lab.query("stat-5m", "t-miner")).unwrap();
        assert_eq!(
            totals[0].number("power_w_avg").unwrap().value(),
            3_000.0,
            "one of three has said anything"
        );
        match lab.tail(&rack, &lab.query("stat-5m", "t-miner")) {
            Tail::Mos(rows) => assert_eq!((mos_compatible, &rows[0]["power_w_avg"]), (true, &json!(1_000))),
            _ => assert!(!mos_compatible),
        }
    }
}

#[test]
fn operations_are_those_of_miningos() {
    let names = |kind: &str| -> BTreeSet<String> {
        families::mos_spec(kind).unwrap().ops().map(|(name, _)| name.to_string()).collect()
    };
    let counts = ["miner-am-s21", "miner-wm-m56s", "miner-wm-m63", "powermeter-abb-b23", "sensor-temp-x"];
    assert_eq!(counts.map(|kind| names(kind).len()), [68, 71, 75, 2, 0]);
    assert!(!names("miner-am-s21").contains("pools_stale_shares_total"));
}
