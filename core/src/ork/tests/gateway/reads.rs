use serde_json::{Value, json};

use super::{super::tail::rows, *};
use crate::io::Timestamp;

/// Midnight of the rows that `rows` makes.
const ROWS: i64 = 1_767_225_600_000;

async fn with_rows() -> Gateway {
    let at = Gateway::new().await;
    at.site.front.keep_rows(rows(9.0, 3_000.0, 24));
    at.site.back.keep_rows(rows(1.0, 1_000.0, 24));
    at
}

#[tokio::test]
async fn list_things() {
    let at = Gateway::new().await;
    let params = json!({"query": {"rack": {"$regex": "^miner"}}, "fields": {"id": 1}, "sort": {"id": 1},
        "offset": 1, "limit": 2, "status": "1", "overwriteCache": true});
    let things = at.list("listThings", params).await;
    assert_eq!(ids(&things), [format!("{BACK}-2"), format!("{FRONT}-1")]);
    for thing in &things {
        assert!(
            thing["rack"].as_str().unwrap().starts_with("miner") && thing.get("info").is_none(),
            "{thing}"
        );
    }
    assert!(at.list("listThings", json!({"query": {"id": "none"}})).await.is_empty());
    // A walk over pages of 100 ends with the first that is shorter.
    for n in 0..150 {
        at.site.front.put(&format!("more-{n}"), json!({}));
    }
    let page = async |offset: u64| at.list("listThings", json!({"limit": 100, "offset": offset})).await.len();
    assert_eq!((page(0).await, page(100).await, page(200).await), (100, 56, 0));
    assert_eq!(at.list("listThings", json!({})).await.len(), 156, "not only the first hundred of all racks");
    let reply = at.site.ork.ask(&Principal::new("ann", Permissions::ALL), "listThings", "{}").await.unwrap();
    assert_eq!(reply.next, None);
    for n in 150..350 {
        at.site.front.put(&format!("more-{n}"), json!({}));
    }
    assert_eq!(
        at.list("listThings", json!({"overwriteCache": true})).await.len(),
        300,
        "a hundred for each rack"
    );
}

#[tokio::test]
async fn get_things_count() {
    let at = Gateway::new().await;
    let params = json!({"query": {"rack": FRONT}, "status": 1});
    assert_eq!(at.get("getThingsCount", params).await, 3);
}

#[tokio::test]
async fn list_racks() {
    let at = Gateway::new().await;
    let far = json!({"id": "far", "type": "miner-x", "info": {"rpcPublicKey": "ab", "at": "x"}});
    assert_eq!(at.get("registerRack", far).await, 1);
    let racks = at.list("listRacks", json!({"type": "miner", "overwriteCache": false})).await;
    assert_eq!(ids(&racks), ["far", BACK, FRONT]);
    for rack in &racks {
        assert!(rack["type"].is_string() && rack["info"].is_object(), "{rack}");
        assert!(rack["info"].get("rpcPublicKey").is_none(), "{rack}");
    }
    assert_eq!(at.get("forgetRacks", json!({"ids": ["far"]})).await, 1);
}

#[tokio::test]
async fn tail_log() {
    let at = with_rows().await;
    let params = json!({"key": "stat-5m", "type": "miner", "tag": "t-miner", "start": ROWS.to_string(),
        "end": ROWS + DAY, "limit": "1", "mergeSitesData": true, "applyAggrCrossthg": false,
        "aggrFields": {"power_w_sum_aggr": 1}});
    let newest = at.list("tailLog", params).await;
    assert_eq!(newest.len(), 1);
    numbers(&newest[0], &["ts", "power_w_sum_aggr", "aggrCount", "aggrIntervals"]);
    assert!(newest[0]["aggrTsRange"].is_string());
    // Unknown keys of a URL come as texts.
    let params = json!({"key": "stat-5m", "type": "miner", "tag": "t-miner", "start": ROWS, "end": ROWS + DAY,
        "groupRange": "1D", "shouldCalculateAvg": "true", "aggrFields": {"type_cnt": 1}});
    let grouped = at.list("tailLog", params).await;
    assert_eq!(grouped[0]["ts"], format!("{ROWS}-{}", ROWS + DAY - 1));
}

#[tokio::test]
async fn tail_log_multi() {
    let at = with_rows().await;
    let key = |of: &str, tag: &str| json!({"key": "stat-5m", "type": of, "tag": tag});
    let params = json!({"keys": [key("miner", "t-miner"), key("powermeter", "t-powermeter"), key("container", "t-container")],
        "limit": 1, "start": ROWS, "end": ROWS + DAY, "aggrFields": {"power_w_sum_aggr": 1}});
    let all = at.list("tailLogMulti", params).await;
    assert_eq!(all.len(), 3, "in the order of the keys, those without racks, too");
    numbers(&all[0][0], &["ts", "power_w_sum_aggr"]);
    assert_eq!(all[1], json!([]));
}

#[tokio::test]
async fn tail_log_custom_range_aggr() {
    let at = Gateway::new().await;
    let day = rows(9.0, 3_000.0, 1).into_iter().map(|row| row.at(Some(Timestamp(ROWS + DAY))));
    at.site.front.keep_rows(day.collect());
    let key = json!({"type": "miner", "startDate": "2026-01-01T00:00:00.000Z",
        "endDate": "2026-01-01T23:59:59.999Z", "fields": {"power_w_sum_aggr": 1}, "shouldReturnDailyData": 1});
    let bad = json!({"type": "toaster", "startDate": "2026-01-01", "endDate": "2026-01-02"});
    let params = json!({"keys": [key, bad], "overwriteCache": true});
    let all = at.list("tailLogCustomRangeAggr", params).await;
    assert_eq!((&all[0]["type"], &all[0]["error"]), (&json!("miner"), &Value::Null));
    assert_eq!(all[0]["data"][0]["ts"], ROWS);
    numbers(&all[0]["data"][0]["val"], &["power_w_sum_aggr"]);
    assert_eq!((&all[1]["error"], all[1]["data"].is_object()), (&json!("ERR_TYPE_AGGR_INVALID"), true));
}

#[tokio::test]
async fn get_historical_logs() {
    let at = Gateway::new().await;
    let params = json!({"logType": "alerts", "start": NOW - DAY, "end": NOW, "offset": 0, "limit": 100,
        "startExcl": NOW - DAY, "endExcl": NOW, "tag": "t-miner", "query": {}, "fields": {}});
    assert_eq!(at.get("getHistoricalLogs", params).await, json!([]), "alerts are not kept yet");
    // The changes of things are in the tests over racks as they are.
    let e = at.ask("getHistoricalLogs", json!({"logType": "x"})).await.unwrap_err();
    assert_eq!(e.code(), "ERR_LOG_TYPE_INVALID");
}

#[tokio::test]
async fn get_wrk_ext_data_of_pools() {
    let at = Gateway::new().await;
    let stats = at.ext("minerpool", json!({"key": "stats"})).await;
    assert_eq!((stats.len(), stats[0]["ts"].is_string()), (1, true), "readers look at the first row only");
    let accounts = stats[0]["stats"].as_array().unwrap();
    assert_eq!(accounts.len(), 2);
    for account in accounts {
        assert!(account["poolType"].is_string() && account["username"].is_string());
        numbers(
            account,
            &["hashrate", "hashrate_1h", "hashrate_24h", "worker_count", "active_workers_count"],
        );
        numbers(account, &["balance", "unsettled", "revenue_24h", "timestamp"]);
        let months = account["yearlyBalances"].as_array().unwrap();
        assert_eq!((months.len(), &months[0]["month"]), (12, &json!("11-2025")));
        assert_eq!(months[11]["month"], "12-2024");
    }
    let range = json!({"key": "transactions", "start": NOW - 3 * DAY, "end": NOW});
    let days = at.ext("minerpool", range.clone()).await;
    let of = |day: &Value, member: &str| -> Vec<Value> {
        let all = day["transactions"].as_array().unwrap().iter();
        all.filter(|one| one.get(member).is_some()).cloned().collect()
    };
    assert_eq!(days.len(), 3);
    for day in &days {
        let (f2pool, ocean) = (of(day, "changed_balance"), of(day, "satoshis_net_earned"));
        numbers(&f2pool[0], &["changed_balance", "created_at"]);
        numbers(&f2pool[0]["mining_extra"], &["hash_rate", "tx_fee"]);
        assert!(f2pool[0]["created_at"].as_i64().unwrap() < 1_000_000_000_000, "seconds");
        numbers(&ocean[0], &["ts", "satoshis_net_earned", "fees_colected_satoshis"]);
        assert!(ocean[0]["ts"].as_i64().unwrap() >= 1_000_000_000_000, "milliseconds");
    }
    let one = at.ext("minerpool-f2pool", range).await;
    assert!(one.iter().all(|day| of(day, "satoshis_net_earned").is_empty()));
    let workers = at.ext("minerpool", json!({"key": "workers", "limit": 500, "offset": 0})).await;
    assert_eq!((workers.len(), &workers[0]["ts"]), (1, &json!("0")));
    assert_eq!(workers[0]["workers"].as_array().unwrap().len(), 30);
    numbers(&workers[0]["workers"][0], &["online", "hashrate", "last_updated"]);
}

#[tokio::test]
async fn get_wrk_ext_data_of_the_network() {
    let at = Gateway::new().await;
    let live = at.list("getWrkExtData", json!({"type": "mempool", "overwriteCache": true})).await;
    assert_eq!(live.len(), 1);
    numbers(
        &live[0],
        &["currentPrice", "priceChange24Hrs", "blockHeight", "currentHashrate", "currentDifficulty"],
    );
    numbers(&live[0]["blockRewardAvgs"], &["24h", "3d", "1w", "1m", "3m", "6m", "1y", "2y", "3y"]);
    numbers(&live[0]["transactionFees"], &["fastest", "halfHour", "hour"]);
    assert!(live[0]["adjustments"].is_object());
    let price = at.ext("mempool", json!({"key": "current_price"})).await;
    assert_eq!(price[0]["currentPrice"], live[0]["currentPrice"]);
    for (key, members) in [
        ("HISTORICAL_PRICES", &["ts", "priceUSD"][..]),
        ("prices", &["ts", "priceUSD"]),
        ("HISTORICAL_BLOCKSIZES", &["ts", "blockReward", "blockTotalFees", "blockSize"]),
        ("HISTORICAL_HASHRATE", &["ts", "avgHashrateMHs"]),
    ] {
        let rows = at.ext("mempool", json!({"key": key, "start": NOW - 200 * DAY, "end": NOW})).await;
        assert_eq!(rows.len(), 200, "{key}: a range is not cut");
        rows.iter().for_each(|row| numbers(row, members));
    }
}

#[tokio::test]
async fn get_wrk_ext_data_of_energy() {
    let at = Gateway::new().await;
    let range = json!({"key": "stats-history", "start": NOW - 40 * DAY, "end": NOW, "groupRange": "1D"});
    let days = at.ext("electricity", range).await;
    assert_eq!(days.len(), 41);
    let months = json!({"key": "stats-history", "start": NOW - 40 * DAY, "end": NOW, "groupRange": "1M"});
    for row in days.iter().chain(&at.ext("electricity", months).await) {
        numbers(row, &["ts"]);
        numbers(&row["energy_aggr"], &["active_energy_in_aggr", "ute_energy_aggr"]);
        numbers(&row["energy"], &["usedEnergy", "availableEnergy"]);
    }
    assert_eq!(at.ext("electricity", json!({"key": "forecast"})).await.len(), 48);
    let past =
        json!({"type": "electricity", "query": {"key": "forecastHistory"}, "start": NOW - DAY, "end": NOW});
    assert_eq!(at.list("getWrkExtData", past).await.len(), 25, "the range stands beside the question");
    let settings = at.ext("electricity", json!({"key": "forecastSettings"})).await;
    assert!(settings[0]["lcoe"].is_object() && settings.len() == 1);
}

#[tokio::test]
async fn get_global_config() {
    let at = Gateway::new().await;
    assert_eq!(at.get("getGlobalConfig", json!({})).await["nominalSiteMinerCapacity"], 600);
    let params = json!({"fields": {"isAutoSleepAllowed": 1}, "overwriteCache": true});
    assert_eq!(at.get("getGlobalConfig", params).await, json!({"isAutoSleepAllowed": false}));
}

#[tokio::test]
async fn get_wrk_conf_and_get_thing_conf() {
    let at = Gateway::new().await;
    let params = json!({"type": "miner", "fields": {"site": 1}, "overwriteCache": true});
    let confs = at.list("getWrkConf", params).await;
    assert_eq!(confs[1], json!({"rackId": FRONT, "config": {"site": "north"}}));
    let codes = at.list("getThingConf", json!({"type": "miner", "requestType": "nextAvailableCode"})).await;
    assert!(
        codes.iter().all(|row| row["rackId"].is_string() && row["requestValue"].is_string()),
        "{codes:?}"
    );
    let pools = at.list("getThingConf", json!({"type": "miner", "requestType": "poolConfig"})).await;
    assert_eq!(pools[1], json!({"rackId": FRONT, "requestValue": [{"url": "stratum+tcp://pool"}]}));
}

#[tokio::test]
async fn get_configs() {
    let at = Gateway::new().await;
    let configs = at.list("getConfigs", json!({"type": "pool"})).await;
    let want = json!({"id": FRONT, "rackId": FRONT, "type": "miner-wm-m56s", "poolUrls": [{"url": "stratum+tcp://pool"}]});
    assert_eq!(configs, [want], "without the passwords");
    let params =
        json!({"type": "pool", "query": {"poolUrls.url": {"$regex": "pool$"}}, "fields": {"type": 1}});
    assert_eq!(at.list("getConfigs", params).await, [json!({"id": FRONT, "type": "miner-wm-m56s"})]);
    assert!(at.list("getConfigs", json!({"type": "pool", "query": {"id": "none"}})).await.is_empty());
    assert!(at.list("getConfigs", json!({"type": "container"})).await.is_empty());
    let e = at.ask("getConfigs", json!({"type": "pool", "query": {"workerPassword": "hunter2"}})).await;
    assert_eq!(e.unwrap_err().code(), "ERR_QUERY_INVALID");
    // Whoever sees no miners sees none of their pools.
    let blind =
        at.site.call_as(&["pool_config:r", "container:r"], "getConfigs", json!({"type": "pool"})).await;
    assert_eq!(blind.unwrap(), json!([]));
}

#[tokio::test]
async fn list_firmwares() {
    let at = Gateway::new().await;
    let image = json!({"id": at.site.firmware, "name": "S21 2026-02", "file": "S21 2026-02"});
    assert_eq!(at.list("listFirmwares", json!({})).await, [image]);
}

#[tokio::test]
async fn echo() {
    let at = Gateway::new().await;
    for body in [json!(null), json!({"a": [1]}), json!("x")] {
        let want = if body.is_null() { json!({}) } else { body.clone() };
        assert_eq!(at.get("echo", body).await, want);
    }
}
