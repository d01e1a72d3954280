//! What a site measures becomes history and statistics, and both survive a restart.

#![cfg(feature = "history")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

mod support;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use headframe::{
    auth::{Permissions, Principal},
    driver::Ports,
    io::{Clock, Ctx, Mono, SystemClock, Timestamp},
    metrics::{Labels, Metric, Recorder},
    rack::{CollectorOptions, RackOptions},
    site::{Site, SiteBuilder},
    stats::{
        Json, Semantics, families,
        fold::{FoldRequest, fold_mos},
        tally,
    },
};
use headframe_sim::Fleet;
use serde_json::{Value, json};
use support::{Folder, fleet, me};

/// So many times as fast as the machine's: a minute passes in 4 s.
const SPEED: u32 = 15;
/// 2026-11-26T10:00:00Z.
const START: i64 = 1_795_687_200_000;

#[derive(Debug)]
struct Quick(SystemClock, i64);

#[async_trait]
impl Clock for Quick {
    fn wall(&self) -> Timestamp {
        Timestamp(self.1 + i64::try_from(self.mono().since_origin().as_millis()).unwrap())
    }

    fn mono(&self) -> Mono {
        Mono::from_origin(self.0.mono().since_origin() * SPEED)
    }

    async fn sleep_until(&self, at: Mono) {
        self.0.sleep_until(Mono::from_origin(at.since_origin() / SPEED)).await;
    }
}

fn quick(start: i64) -> Ctx {
    Ctx { clock: Arc::new(Quick(SystemClock::default(), start)), ..Ctx::system() }
}

fn builder() -> SiteBuilder {
    let options = |driver| {
        let mut options = RackOptions::new(driver);
        options.collector = CollectorOptions::every(Duration::from_secs(6));
        options
    };
    Site::builder(headframe::registry()).rack("miner-wm-m50s", "hall-1", options("whatsminer")).rack(
        "miner-am-s21",
        "hall-1",
        options("antminer"),
    )
}

fn who() -> Principal {
    Principal::new("operator", Permissions::parse(["miner:r"]).unwrap())
}

async fn ask(site: &Site, method: &str, params: Value) -> Value {
    site.orchestrator().call(&who(), method, &params.to_string()).await.unwrap()
}

/// What a site counts, by name and labels.
#[derive(Debug, Default)]
struct Measured(Vec<(String, f64)>);

impl Recorder for Measured {
    fn counter(&mut self, metric: &'static Metric, labels: Labels<'_>, value: u64) {
        self.gauge(metric, labels, value as f64);
    }

    fn gauge(&mut self, metric: &'static Metric, labels: Labels<'_>, value: f64) {
        let labels: Vec<_> = labels.iter().map(|(_, value)| *value).collect();
        self.0.push((format!("{} {}", metric.name, labels.join(" ")), value));
    }
}

/// Waits until a row of the one-minute statistics is of `n` miners.
async fn row_of(cx: &Ctx, site: &Site, n: f64) -> Value {
    let fields = json!({"hashrate_mhs_5m_sum_aggr": 1, "power_w_sum_aggr": 1, "power_w_avg_aggr": 1, "type_cnt": 1,
        "online_or_minor_error_miners_amount_aggr": 1, "alerts_aggr": 1});
    let params =
        json!({"type": "miner", "key": "stat-1m", "tag": "t-miner", "limit": 1, "aggrFields": fields});
    for _ in 0..600 {
        let rows = ask(site, "tailLog", params.clone()).await;
        let row = rows.as_array().unwrap().last().cloned().unwrap_or_default();
        if row["online_or_minor_error_miners_amount_aggr"].as_f64() == Some(n) {
            return row;
        }
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(1)).await;
    }
    panic!("no whole minute: {:?}", ask(site, "tailLog", params).await);
}

async fn filled(cx: &Ctx, site: &Site, octet: u8) -> Fleet {
    let fleet = fleet(&Ctx::system(), octet, 3, 2).await;
    let range = format!("127.{octet}.0.1-127.{octet}.0.5").parse().unwrap();
    let found = site.find_and_register(range, Ports::simulated(), &[], &me()).await.unwrap();
    assert_eq!(found.registered.len(), 5, "{found:?}");
    support::until_online(cx, site, 5).await;
    fleet
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_become_statistics_and_stay() {
    let (cx, folder) = (quick(START), Folder::new("history"));
    let site = builder().create(&cx, folder.path()).await.unwrap();
    let fleet = filled(&cx, &site, 71).await;

    let row = row_of(&cx, &site, 5.0).await;
    let ts = row["ts"].as_i64().unwrap();
    assert!(ts % 60_000 == 0 && ts > START, "a row carries the end of its minute: {row}");
    assert_eq!(row["type_cnt"], json!({"miner-wm-m50s": 3, "miner-am-s21": 2}));
    assert_eq!((&row["aggrCount"], &row["aggrIntervals"]), (&json!(2), &json!(1)));
    assert_eq!(row["alerts_aggr"], json!({}));
    let power = row["power_w_sum_aggr"].as_f64().unwrap();
    let said: f64 = said_power(&site).await;
    assert!((power / said - 1.0).abs() < 0.2, "{power} W in the statistics, {said} W said");
    assert!((row["power_w_avg_aggr"].as_f64().unwrap() * 5.0 / power - 1.0).abs() < 1e-6, "{row}");

    let now = ask(&site, "tailLog", json!({"type": "miner", "key": "stat-rtd", "tag": "t-miner"})).await;
    assert_eq!(now[0]["type_cnt"], json!({"miner-wm-m50s": 3, "miner-am-s21": 2}), "{now}");
    assert!(now[0].get("ts").is_none(), "what is so now has no time stamp");
    singles(&site, ts, power).await;
    days(&cx, &site, power).await;
    let nobody = json!({"type": "miner", "key": "stat-1m", "tag": "zone-x"});
    assert_eq!(ask(&site, "tailLog", nobody).await, json!([]));

    let thing = site.things().ids()[0].clone();
    let log = json!({"type": "miner", "key": "thing-5m", "tag": thing, "limit": 2});
    let readings = ask(&site, "tailLog", log.clone()).await;
    assert_eq!(readings.as_array().unwrap().len(), 2);
    let last = site.last(&thing).await.unwrap().unwrap();
    let mut expected = serde_json::to_value(&*last.snapshot()).unwrap();
    expected.as_object_mut().unwrap().remove("age_ms");
    let kept = readings
        .as_array()
        .unwrap()
        .iter()
        .chain(ask(&site, "tailLog", log).await.as_array().unwrap())
        .any(|reading| reading["snap"]["config"] == expected["config"] && reading["err"].is_null());
    assert!(kept, "{readings} is not what the thing said: {expected}");

    let rack = headframe::rack::RackId::new("miner-wm-m50s-hall-1").unwrap();
    let until = site.telemetry().unwrap().durable_until(&rack);
    assert!(until.0 > START, "nothing is durable: {until:?}");
    let counters = site.telemetry().unwrap().counters();
    assert_eq!((counters.dropped, counters.failures, counters.late), (0, 0, 0), "{counters:?}");
    let mut measured = Measured::default();
    site.measure(&mut measured);
    let of =
        |name: &str| measured.0.iter().filter(|(of, _)| of.starts_with(name)).map(|(_, n)| n).sum::<f64>();
    assert_eq!(of("headframe_rack_things miner-wm-m50s-hall-1 online"), 3.0, "{measured:?}");
    assert!(of("headframe_rack_polls_total miner-am-s21-hall-1") > 0.0, "{measured:?}");
    assert!(of("headframe_history_samples readings") >= 5.0, "{measured:?}");
    assert!(of("headframe_store_commits_total") > 0.0, "{measured:?}");
    assert_eq!(
        of("headframe_last_rows_dropped_total") + of("headframe_telemetry_readings_dropped_total"),
        0.0
    );
    let end = cx.clock.wall().0;
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    fleet.stop().await;

    // The devices are gone. What was kept is there.
    let cx = quick(end + 1_000);
    let site = builder().open(&cx, folder.path()).await.unwrap();
    let params = json!({"type": "miner", "key": "stat-1m", "tag": "t-miner", "start": ts, "end": ts});
    let again = ask(&site, "tailLog", params).await;
    assert_eq!(again[0]["power_w_sum_aggr"], row["power_w_sum_aggr"], "{again}");
    let multi = json!({"keys": [
        {"type": "miner", "key": "stat-1m", "tag": "t-miner"}, {"type": "miner", "key": "stat-1D", "tag": "t-miner"},
    ], "end": end, "aggrFields": {"power_w_sum_aggr": 1}});
    let multi = ask(&site, "tailLogMulti", multi).await;
    assert!(!multi[0].as_array().unwrap().is_empty() && multi[1] == json!([]), "{multi}");
    site.shutdown(Duration::from_secs(5)).await.unwrap();
}

/// Values of single miners, of now and of a minute.
async fn singles(site: &Site, ts: i64, power: f64) {
    for key in ["stat-rtd", "stat-1m"] {
        let params = json!({"type": "miner", "key": key, "tag": "t-miner", "limit": 1, "start": ts,
            "aggrFields": {"status_group_aggr": 1, "power_mode_group_aggr": 1, "power_w_group_aggr": 1}});
        let each = &ask(site, "tailLog", params).await[0];
        // Nobody has said where they stand.
        assert_eq!(each["status_group_aggr"], json!({"undefined-undefined": "mining"}), "{key}: {each}");
        let watts = each["power_w_group_aggr"]["undefined-undefined"].as_f64().unwrap();
        assert!(watts > power / 10.0 && watts < power / 2.0, "{key}: {watts} of {power} W");
    }
}

/// The day so far, by day, by month and as a whole.
async fn days(cx: &Ctx, site: &Site, power: f64) {
    while cx.clock.wall().0 < START + 6 * 60_000 {
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(10)).await;
    }
    let key = |member: &str| {
        json!({"type": "miner", "startDate": "2026-11-25T00:00:00Z", "endDate": "2026-11-26T23:59:59.999Z",
            "fields": {"power_w_avg_aggr": 1}, member: 1})
    };
    let keys =
        [key("shouldReturnDailyData"), key("shouldReturnMonthlyData"), key("none"), json!({"type": 5})];
    let answer = ask(site, "tailLogCustomRangeAggr", json!({"keys": keys})).await;
    let near = |value: &Value| (value.as_f64().unwrap_or(0.0) * 5.0 / power - 1.0).abs() < 0.3;
    let daily = &answer[0]["data"];
    assert_eq!(daily.as_array().unwrap().len(), 1, "nothing is told of a day without readings: {answer}");
    assert_eq!(daily[0]["ts"], START - 10 * 3_600_000);
    assert!(near(&daily[0]["val"]["power_w_avg_aggr"]), "{answer}");
    assert_eq!((&answer[1]["data"][0]["year"], &answer[1]["data"][0]["month"]), (&json!(2026), &json!(11)));
    assert!(near(&answer[1]["data"][0]["val"]["power_w_avg_aggr"]), "{answer}");
    assert!(near(&answer[2]["data"]["power_w_avg_aggr"]), "{answer}");
    assert_eq!(answer[3], json!({"type": 5, "data": {}, "error": "ERR_TYPE_INVALID"}));
}

/// What MiningOS would have stored at `ts`, by the pure folds over what things had said by then.
async fn possible_rows(site: &Site, ts: i64) -> Vec<Value> {
    // A poll that had begun by then may have ended later.
    let mut sets: Vec<Vec<Value>> = vec![Vec::new()];
    for id in site.things().ids() {
        let ext = serde_json::to_value(site.things().get(&id).unwrap().listing()).unwrap();
        let log =
            json!({"type": "miner", "key": "thing-5m", "tag": id, "start": START, "end": ts, "limit": 2});
        let said = ask(site, "tailLog", log).await;
        let one = |last: &Value| json!({"entry": {"last": last, "info": ext["info"]}, "ext": ext});
        let said: Vec<Value> = said.as_array().unwrap().iter().map(one).collect();
        let with = |set: Vec<Value>| {
            said.iter()
                .map(move |one| set.iter().chain([one]).cloned().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        sets = sets.into_iter().flat_map(with).collect();
    }
    let folded = |things: &Vec<Value>| {
        let row = |kind: &str| {
            let of = things.iter().filter(|thing| thing["ext"]["type"] == kind);
            let of = of.map(|thing| Json { entry: &thing["entry"], ext: thing.get("ext") });
            let mut row = tally(&families::mos_spec(kind).unwrap(), Semantics::MiningOs, of);
            row.insert("ts".into(), ts.into());
            Value::Object(row)
        };
        let rows = ["miner-am-s21", "miner-wm-m50s"].map(row);
        let fold = families::fold("miner").unwrap();
        Value::Object(fold_mos(&fold, &rows, &FoldRequest::default()).remove(0))
    };
    sets.iter().map(folded).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_is_mos_compatible_stores_what_miningos_would_and_keeps_it() {
    let (cx, folder) = (quick(START), Folder::new("history-mos"));
    let site = builder().mos_compatible(true).create(&cx, folder.path()).await.unwrap();
    let fleet = filled(&cx, &site, 72).await;
    let log = json!({"type": "miner", "key": "stat-5m", "tag": "t-miner"});
    let mut rows = json!([]);
    while rows.as_array().unwrap().is_empty() && cx.clock.wall().0 < START + 20 * 60_000 {
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(5)).await;
        rows = ask(&site, "tailLog", log.clone()).await;
    }
    let row = rows[0].clone();
    let ts = row["ts"].as_i64().unwrap();
    assert_eq!((ts % 300_000, &row["aggrCount"]), (0, &json!(2)), "{row}");
    assert_eq!(row["type_cnt"], json!({"miner-wm-m50s": 3, "miner-am-s21": 2}));
    assert!(row["power_w_sum_aggr"].as_f64().unwrap() > 5_000.0, "{row}");
    let possible = possible_rows(&site, ts).await;
    assert!(possible.contains(&row), "{row} is none of {}: {}", possible.len(), possible[0]);
    let now = ask(&site, "tailLog", json!({"type": "miner", "key": "stat-rtd", "tag": "t-miner"})).await;
    assert_eq!((&now[0]["type_cnt"], now[0].get("ts")), (&row["type_cnt"], None), "{now}");
    assert_eq!(now[0]["status_group_aggr"], json!({}), "MiningOS has it of M63s alone");
    let end = cx.clock.wall().0;
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    fleet.stop().await;

    let site = builder().mos_compatible(true).open(&quick(end + 1_000), folder.path()).await.unwrap();
    let mut again = log.clone();
    (again["start"], again["end"]) = (json!(ts), json!(ts));
    assert_eq!(ask(&site, "tailLog", again).await, json!([row]));
    let day =
        json!({"type": "miner", "startDate": "2026-11-26T00:00:00Z", "endDate": "2026-11-26T23:59:59.999Z"});
    let days = ask(&site, "tailLogCustomRangeAggr", json!({"keys": [day]})).await;
    assert_eq!(days, json!([{"type": "miner", "data": {}, "error": null}]), "no three hours have passed");
    site.shutdown(Duration::from_secs(5)).await.unwrap();

    // Without the option the corrected statistics of the same time are there.
    let site = builder().open(&quick(end + 2_000), folder.path()).await.unwrap();
    let mut again = log.clone();
    (again["start"], again["end"]) = (json!(ts), json!(ts));
    let corrected = ask(&site, "tailLog", again).await;
    assert_eq!((corrected[0]["ts"].as_i64(), corrected.as_array().unwrap().len()), (Some(ts), 1));
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    let error = builder().history(None).mos_compatible(true).open(&quick(end + 3_000), folder.path()).await;
    assert!(error.unwrap_err().to_string().contains("mosCompatible"));
}

async fn said_power(site: &Site) -> f64 {
    let mut sum = 0.0;
    for id in site.things().ids() {
        let last = site.last(&id).await.unwrap().unwrap();
        sum += last.snapshot().miner().unwrap().stats.power_w.map_or(0.0, |watts| watts.get());
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_refused_by_name() {
    let (cx, folder) = (Ctx::system(), Folder::new("history-refusals"));
    let site = builder().create(&cx, folder.path()).await.unwrap();
    let good = json!({"type": "miner", "key": "stat-5m", "tag": "t-miner"});
    for (member, value, code) in [
        ("type", json!(7), "ERR_TYPE_INVALID"),
        ("type", json!("nothing-like-it"), "ERR_TYPE_AGGR_INVALID"),
        ("key", json!("stat-7m"), "ERR_LOG_KEY_NOTFOUND"),
        ("tag", Value::Null, "ERR_LOG_TAG_INVALID"),
        ("groupRange", json!("15m"), "ERR_INVALID_GROUP_RANGE_FORMAT"),
        ("limit", json!(100_001), "ERR_LIMIT_EXCEEDED"),
        ("start", json!(i64::MAX), "ERR_RANGE_INVALID"),
    ] {
        let mut params = good.clone();
        params[member] = value;
        let error = site.orchestrator().call(&who(), "tailLog", &params.to_string()).await.unwrap_err();
        assert_eq!(error.code(), code, "{params}: {error}");
    }
    assert_eq!(ask(&site, "tailLog", good).await, json!([]));
    let nobody = Principal::new("nobody", Permissions::parse(Vec::<&str>::new()).unwrap());
    let params = r#"{"type":"miner","key":"stat-5m","tag":"t-miner"}"#;
    assert!(site.orchestrator().call(&nobody, "tailLog", params).await.is_err());
    site.shutdown(Duration::from_secs(5)).await.unwrap();
}
