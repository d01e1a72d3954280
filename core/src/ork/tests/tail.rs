use std::sync::Arc;

use serde_json::{Value, json};

use super::{Mode, Site};
use crate::{
    io::Timestamp,
    stats::{Cell, Merge, Row, Stat},
};

/// 2026-01-01T00:00:00Z.
const DAY: i64 = 1_767_225_600_000;
const STEP: i64 = 300_000;

/// Rows of so many things of `watts` each, every five minutes from midnight on.
pub(super) fn rows(things: f64, watts: f64, n: i64) -> Vec<Row> {
    let row = |i: i64| {
        let mut row = Row::new(Some(Timestamp(DAY + i * STEP)));
        let stat = |value| Stat::new(value, things).unwrap();
        row.set("power_w_sum", Cell::Number(Merge::Sum, stat(things * watts)));
        row.set("power_w_avg", Cell::Number(Merge::Mean, stat(watts)));
        row.set("type_cnt", Cell::Groups(Merge::Sum, [(Arc::from("miner-x"), stat(things))].into()));
        row
    };
    (1..=n).map(row).collect()
}

async fn site() -> Site {
    let site = Site::new().await;
    site.front.keep_rows(rows(9.0, 3_000.0, 24));
    site.back.keep_rows(rows(1.0, 1_000.0, 24));
    site
}

fn asked(more: &[(&str, Value)]) -> Value {
    let mut params = json!({"type": "miner", "key": "stat-5m", "tag": "t-miner", "end": DAY * 2, "aggrFields": {
        "power_w_sum_aggr": 1, "power_w_avg_aggr": 1, "type_cnt": 1}});
    more.iter().for_each(|(name, value)| params[*name] = value.clone());
    params
}

#[tokio::test]
async fn rows_of_racks_are_folded_by_their_time() {
    let site = site().await;
    let all = site.call("tailLog", asked(&[])).await.unwrap();
    assert_eq!(all.as_array().unwrap().len(), 24, "without a limit all there is");
    let first = json!({"ts": DAY + STEP, "power_w_sum_aggr": 28_000, "power_w_avg_aggr": 2_800,
        "type_cnt": {"miner-x": 10}, "aggrTsRange": "", "aggrCount": 2, "aggrIntervals": 1});
    assert_eq!(all[0], first, "averages are weighted by the things that they are of");
    let newest = site.call("tailLog", asked(&[("limit", json!(1))])).await.unwrap();
    assert_eq!((newest.as_array().unwrap().len(), &newest[0]["ts"]), (1, &json!(DAY + 24 * STEP)));
    let before = site.call("tailLog", asked(&[("limit", json!(2)), ("offset", json!(1))])).await.unwrap();
    assert_eq!((&before[0]["ts"], &before[1]["ts"]), (&json!(DAY + 22 * STEP), &json!(DAY + 23 * STEP)));
    let range = [("start", json!(DAY + 2 * STEP)), ("end", json!(DAY + 3 * STEP))];
    assert_eq!(site.call("tailLog", asked(&range)).await.unwrap().as_array().unwrap().len(), 2, "both ends");
    let none = site.call("tailLog", asked(&[("start", json!(DAY + 25 * STEP))])).await.unwrap();
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn groups_of_time_have_a_text_for_a_time() {
    let site = site().await;
    let hours = [("groupRange", json!("1H")), ("shouldCalculateAvg", json!(true))];
    let hours = site.call("tailLog", asked(&hours)).await.unwrap();
    assert_eq!(hours.as_array().unwrap().len(), 2);
    assert_eq!(hours[0]["ts"], format!("{DAY}-{}", DAY + 3_600_000 - 1));
    assert_eq!((&hours[0]["power_w_sum_aggr"], &hours[0]["aggrCount"]), (&json!(28_000), &json!(12)));
    let spans = json!([{"start": DAY, "end": DAY + STEP}, {"start": DAY + STEP, "end": DAY + 3 * STEP}]);
    let spans = site.call("tailLog", asked(&[("aggrTimes", spans)])).await.unwrap();
    let told = |n: usize| (spans[n]["aggrTsRange"].clone(), spans[n]["aggrIntervals"].clone());
    assert_eq!(told(0), (json!(format!("{DAY}-{}", DAY + STEP)), json!(1)), "a border counts once");
    assert_eq!((told(1).1, &spans[1]["ts"]), (json!(2), &json!(0)));
}

#[tokio::test]
async fn a_rack_that_fails_is_named() {
    let site = site().await;
    site.back.set(Mode::Fails);
    let rows = site.call("tailLog", asked(&[("limit", json!(1))])).await.unwrap();
    assert_eq!((&rows[0]["aggrCount"], &rows[0]["power_w_sum_aggr"]), (&json!(1), &json!(27_000)));
    let partial = site.call("tailLog", asked(&[("partial", json!(true))])).await.unwrap();
    assert_eq!(partial["items"].as_array().unwrap().len(), 24);
    assert_eq!(partial["failed"][0]["rackId"], super::BACK);
    let keys = json!({"keys": [asked(&[]), asked(&[])], "limit": 3});
    let multi = site.call("tailLogMulti", keys).await.unwrap();
    assert_eq!(multi.as_array().unwrap().iter().map(|rows| rows.as_array().unwrap().len()).sum::<usize>(), 6);
    site.front.set(Mode::Fails);
    assert!(site.call("tailLog", asked(&[])).await.is_err(), "nobody answered");
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let site = site().await;
    for (member, value, code) in [
        ("key", json!("stat-5s"), "ERR_LOG_KEY_NOTFOUND"),
        ("tag", json!(""), "ERR_LOG_TAG_INVALID"),
        ("type", json!("toaster"), "ERR_TYPE_AGGR_INVALID"),
        ("groupRange", json!("15m"), "ERR_INVALID_GROUP_RANGE_FORMAT"),
        ("groupRange", json!("0H"), "ERR_INVALID_GROUP_RANGE_FORMAT"),
        ("limit", json!(1_000_000), "ERR_LIMIT_EXCEEDED"),
        ("limit", json!(-1), "ERR_INVALID"),
        ("start", json!(DAY * 10), "ERR_RANGE_INVALID"),
        ("aggrTimes", json!([{"start": 1}]), "ERR_INVALID"),
        ("aggrFields", json!(["power_w_sum_aggr"]), "ERR_INVALID"),
    ] {
        let error = site.call("tailLog", asked(&[(member, value.clone())])).await.unwrap_err();
        assert_eq!(error.code(), code, "{member} {value}");
    }
    for keys in [json!({}), json!({"keys": []}), json!({"keys": [7]})] {
        assert_eq!(site.call("tailLogMulti", keys).await.unwrap_err().code(), "ERR_KEYS_INVALID");
    }
    let key = |from: &str, to: &str, more: Value| {
        let mut key = json!({"type": "miner", "startDate": from, "endDate": to});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let keys = [
        key("x", "2026-01-02", json!({})),
        key("2026-01-02", "2026-01-01", json!({})),
        key("2026-01-01", "2026-01-02", json!({"timezoneOffset": 1})),
        key("2000-01-01", "2026-01-02", json!({})),
        key("2026-01-01", "2026-01-02", json!({"type": "toaster"})),
    ];
    let told = site.call("tailLogCustomRangeAggr", json!({"keys": keys})).await.unwrap();
    let codes: Vec<&str> = told.as_array().unwrap().iter().filter_map(|key| key["error"].as_str()).collect();
    assert_eq!(
        codes,
        [
            "ERR_START_DATE_INVALID",
            "ERR_END_DATE_INVALID",
            "ERR_TIMEZONE_OFFSET_INVALID",
            "ERR_END_DATE_INVALID",
            "ERR_TYPE_AGGR_INVALID"
        ]
    );
}
