//! Rows that racks stored as MiningOS does are folded as MiningOS folds them.

use serde_json::{Value, json};

use super::{Site, tail::rows};
use crate::io::Timestamp;

/// 2025-10-01T00:00:00Z.
const DAY: i64 = 1_759_276_800_000;
const STEP: i64 = 300_000;

/// Rows of `watts` each, every step from `from` on.
fn stored(watts: i64, from: i64, step: i64, n: i64) -> Vec<Value> {
    let row = |i: i64| {
        json!({"ts": from + i * step, "power_w_sum": watts * i, "power_w_avg": watts, "type_cnt": {"miner-x": 1},
            "temperature_c_group_max": {"bay-1": 70}})
    };
    (1..=n).map(row).collect()
}

async fn site() -> Site {
    let site = Site::new().await;
    site.front.store_rows(stored(3_000, DAY, STEP, 150));
    site.back.store_rows(stored(1_000, DAY, STEP, 150));
    site
}

fn asked(more: &[(&str, Value)]) -> Value {
    let mut params = json!({"type": "miner", "key": "stat-5m", "tag": "t-miner",
        "aggrFields": {"power_w_sum_aggr": 1, "power_w_avg_aggr": 1, "temperature_c_group_max_aggr": 1}});
    more.iter().for_each(|(name, value)| params[*name] = value.clone());
    params
}

async fn ask(site: &Site, more: &[(&str, Value)]) -> Vec<Value> {
    site.call("tailLog", asked(more)).await.unwrap().as_array().unwrap().clone()
}

#[tokio::test]
async fn mistakes_of_the_fold_are_repeated() {
    let site = site().await;
    let first = ask(&site, &[("end", json!(DAY + STEP))]).await;
    let expected = json!({"ts": DAY + STEP, "power_w_sum_aggr": 4_000, "power_w_avg_aggr": 2_000,
        "temperature_c_group_max_aggr": {"bay-1": 140}, "aggrTsRange": "", "aggrCount": 2, "aggrIntervals": 1});
    assert_eq!(first, [expected]);
    let all = site
        .call("tailLog", json!({"type": "miner", "key": "stat-5m", "tag": "t-miner", "limit": 1}))
        .await
        .unwrap();
    assert_eq!((&all[0]["efficiency_w_ths_avg_aggr"], &all[0]["status_group_aggr"]), (&json!(0), &json!({})));
    assert_eq!(all[0]["type_cnt"], json!({"miner-x": 2}));
    // Averages of rows are projected to nothing, and are 0 then.
    let fields = json!({"type": "miner", "key": "stat-5m", "tag": "t-miner", "limit": 1, "fields": {"power_w_sum": 1}});
    let fields = site.call("tailLog", fields).await.unwrap();
    assert_eq!(
        (&fields[0]["power_w_sum_aggr"], &fields[0]["power_w_avg_aggr"]),
        (&json!(600_000), &json!(0))
    );
}

#[tokio::test]
async fn bounds_are_those_of_miningos() {
    let site = site().await;
    let newest = ask(&site, &[]).await;
    assert_eq!(
        (newest.len(), &newest[0]["ts"]),
        (100, &json!(DAY + 51 * STEP)),
        "a hundred, when nothing is said"
    );
    assert_eq!(ask(&site, &[("start", json!(DAY))]).await.len(), 150);
    let page = ask(&site, &[("limit", json!(2)), ("offset", json!(1))]).await;
    assert_eq!((page.len(), &page[1]["ts"]), (2, &json!(DAY + 149 * STEP)));
    let spans = json!([{"start": DAY + STEP, "end": DAY + 2 * STEP}, {"start": DAY + 2 * STEP, "end": DAY + 3 * STEP}]);
    let spans = ask(&site, &[("start", json!(DAY)), ("aggrTimes", spans)]).await;
    let counts: Vec<&Value> = spans.iter().map(|row| &row["aggrCount"]).collect();
    assert_eq!((counts, &spans[0]["ts"]), (vec![&json!(4), &json!(4)], &json!(0)), "a border counts twice");
}

#[tokio::test]
async fn blocks_of_time_are_made_before_racks_are_folded() {
    let site = site().await;
    let hour = [("end", json!(DAY + 3_599_999)), ("start", json!(DAY)), ("groupRange", json!("1H"))];
    let rows = ask(&site, &hour).await;
    let sum: i64 = (1..12).map(|i| 4_000 * i).sum();
    assert_eq!((rows.len(), &rows[0]["ts"]), (1, &json!(format!("{DAY}-{}", DAY + 3_599_999))));
    assert_eq!((&rows[0]["power_w_sum_aggr"], &rows[0]["aggrCount"]), (&json!(sum), &json!(2)));
    assert_eq!(rows[0]["power_w_avg_aggr"], 2_000 * 11, "averages are added");
    let mean = ask(&site, &[&hour[..], &[("shouldCalculateAvg", json!(true))]].concat()).await;
    assert_eq!(mean[0]["power_w_avg_aggr"], 2_000);
    assert_eq!(ask(&site, &[("groupRange", json!("15m"))]).await.len(), 1, "fifteen months");
    let nonsense = site.call("tailLog", asked(&[("groupRange", json!("5s"))])).await.unwrap_err();
    assert_eq!(nonsense.code(), "ERR_INVALID_GROUP_RANGE_FORMAT");
}

#[tokio::test]
async fn days_are_folded_of_samples_and_what_is_longer_of_days() {
    let site = Site::new().await;
    let three_hours = 3 * 3_600_000;
    site.front.store_rows(stored(3_000, DAY, three_hours, 15));
    site.back.store_rows(stored(1_000, DAY, three_hours, 15));
    let key = |member: &str| {
        json!({"type": "miner", "startDate": "2025-10-01", "endDate": "2025-10-03", member: true,
            "fields": {"power_w_sum_aggr": 1, "power_w_avg_aggr": 1}})
    };
    let keys = [key("shouldReturnDailyData"), key("shouldReturnMonthlyData"), key("none")];
    let answer = site.call("tailLogCustomRangeAggr", json!({"keys": keys})).await.unwrap();
    let sum = |range: std::ops::RangeInclusive<i64>| range.map(|i| 4_000 * i).sum::<i64>();
    // Midnight is in both days.
    let (first, second) = (sum(1..=8), sum(8..=15));
    let day =
        |ts: i64, sum: i64| json!({"ts": ts, "val": {"power_w_sum_aggr": sum, "power_w_avg_aggr": 2_000}});
    assert_eq!(answer[0]["data"], json!([day(DAY, first), day(DAY + 8 * three_hours, second)]));
    let val = json!({"power_w_sum_aggr": first + second, "power_w_avg_aggr": 2_000});
    assert_eq!(answer[1]["data"], json!([{"year": 2025, "month": 10, "val": val}]));
    assert_eq!(
        (&answer[2]["data"]["power_w_sum_aggr"], &answer[2]["data"]["aggrCount"]),
        (&json!(first + second), &json!(2))
    );
}

#[tokio::test]
async fn a_rack_with_totals_beside_one_with_rows_is_folded_with_it() {
    let site = Site::new().await;
    site.front.store_rows(stored(3_000, DAY, STEP, 1));
    site.back.keep_rows(
        rows(10.0, 1_000.0, 1).into_iter().map(|row| row.at(Some(Timestamp(DAY + STEP)))).collect(),
    );
    let both = ask(&site, &[]).await;
    assert_eq!((both.len(), &both[0]["power_w_sum_aggr"]), (1, &json!(13_000)));
    assert_eq!(both[0]["power_w_avg_aggr"], 2_000, "not weighted");
}
