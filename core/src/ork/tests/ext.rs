//! Sources of data from outside: united, bounded, and named when they fail.

use serde_json::{Map, Value, json};

use super::{super::*, Site, cx, id, store};
use crate::{
    auth::Principal,
    io::Timestamp,
    rack::Caller,
    testkit::{MemExtData, MemExtFault},
};

const NOW: i64 = 1_764_000_000_000;
const DAY: i64 = 86_400_000;

/// A source that says what it was made with.
#[derive(Debug)]
struct Says(&'static str, Vec<Value>);

#[async_trait::async_trait]
impl ExtData for Says {
    fn name(&self) -> &str {
        self.0
    }

    async fn rows(&self, _: &ExtQuery) -> Result<Vec<Map<String, Value>>> {
        Ok(self.1.iter().map(|row| row.as_object().unwrap().clone()).collect())
    }
}

async fn united(key: &str, sources: Vec<Vec<Value>>) -> Value {
    let ork = Orchestrator::open(&cx(), store().await, OrkOptions::default()).unwrap();
    for (name, rows) in ["a", "b", "c"].into_iter().zip(sources) {
        ork.serve_ext("minerpool", Arc::new(Says(name, rows))).unwrap();
    }
    let who = Principal::new("ann", Permissions::parse(["minerpool:r"]).unwrap());
    let params = json!({"type": "minerpool", "query": {"key": key}}).to_string();
    ork.call(&who, "getWrkExtData", &params).await.unwrap()
}

/// A row as MiningOS fills it up.
fn filled(more: Value) -> Value {
    let mut row = json!({"stats": [], "workers": [], "transactions": [], "blocksData": {}});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

fn asked(key: &str) -> Value {
    json!({"type": "minerpool", "query": {"key": key}})
}

#[tokio::test]
async fn rows_of_one_time_are_one_row_whose_time_is_a_text() {
    let (a, b) = (json!({"t": 1}), json!({"t": 2}));
    let rows = united(
        "transactions",
        vec![
            vec![json!({"ts": 200, "transactions": [a]}), json!({"ts": 100, "transactions": [a]})],
            vec![json!({"ts": "200", "transactions": [b]}), json!({"transactions": [b]})],
        ],
    );
    let want = [
        json!({"transactions": [b]}),
        json!({"ts": "100", "transactions": [a]}),
        json!({"ts": "200", "transactions": [a, b]}),
    ];
    assert_eq!(rows.await, Value::from(want.map(filled).to_vec()), "what has no time joins nothing");
    let counts = united(
        "workers-count",
        vec![
            vec![json!({"ts": 1, "count": 3, "active": 2})],
            vec![json!({"ts": 1, "count": 4, "active": 0.5})],
        ],
    );
    assert_eq!(counts.await, json!([filled(json!({"ts": "1", "workersCount": 7, "active": 2.5}))]));
}

#[tokio::test]
async fn what_cannot_be_united_stands_beside_each_other() {
    // MiningOS adds the luck of two pools and writes lists behind one another as text.
    let (a, b) = (json!({"allBlocksLuck": 100}), json!({"allBlocksLuck": 50}));
    let rows = united(
        "blocks",
        vec![vec![json!({"ts": 5, "blocksData": a})], vec![json!({"ts": 5, "blocksData": b})]],
    );
    assert_eq!(
        rows.await,
        json!([filled(json!({"ts": "5", "blocksData": a})), filled(json!({"ts": "5", "blocksData": b}))])
    );
    let hourly = [json!({"ts": 1, "hourlyRevenues": [{"ts": 9, "revenue": 0.5}]})];
    let rows = united("transactions", vec![hourly.to_vec(), vec![]]).await;
    assert_eq!(rows[0]["hourlyRevenues"][0]["revenue"], 0.5, "MiningOS loses what it has no operator for");
}

#[tokio::test]
async fn the_present_of_all_pools_is_one_row() {
    let rows = united(
        "stats",
        vec![
            vec![json!({"ts": 60_000, "stats": [{"username": "a"}]})],
            vec![json!({"ts": 61_000, "stats": [{"username": "b", "timestamp": 59_000}]})],
            vec![json!({})],
        ],
    );
    let stats = json!([{"username": "a", "timestamp": 60_000}, {"username": "b", "timestamp": 59_000}]);
    assert_eq!(rows.await, json!([filled(json!({"ts": "61000", "stats": stats}))]));
    assert_eq!(united("stats", vec![vec![json!({})]]).await, json!([]), "before the first tick");
}

#[tokio::test]
async fn a_type_asks_its_own_sources_and_those_below_it() {
    let site = Site::new().await;
    let pools = async |of: &str| {
        let rows = site.call("getWrkExtData", json!({"type": of, "query": {"key": "stats"}})).await.unwrap();
        let all = rows.as_array().unwrap().iter().flat_map(|row| row["stats"].as_array().unwrap().clone());
        all.map(|account| account["poolType"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pools("minerpool").await, ["f2pool", "ocean"]);
    assert_eq!(pools("minerpool-ocean").await, ["ocean"]);
    for none in ["minerpool-oce", "miner", "mine", "openweather", "minerpool-ocean-x"] {
        assert!(pools(none).await.is_empty(), "{none}");
    }
    let one = json!({"type": "minerpool", "query": {"key": "stats", "pool": "ocean"}});
    let one = site.call("getWrkExtData", one).await.unwrap();
    assert_eq!(one[0]["stats"].as_array().unwrap().len(), 1);
    let all = json!({"type": "minerpool", "query": {"key": "stats", "pool": "all"}});
    let all = site.call("getWrkExtData", all).await.unwrap();
    assert_eq!(all[0]["stats"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_named_and_all_failing_is_an_error() {
    let site = Site::new().await;
    let who = Principal::new("ann", Permissions::ALL);
    for (fault, kind) in [
        (MemExtFault::Fails, ErrorKind::Unreachable),
        (MemExtFault::Hangs, ErrorKind::Timeout),
        (MemExtFault::Floods, ErrorKind::Invalid),
        (MemExtFault::Panics, ErrorKind::Internal),
    ] {
        site.ocean.fault(fault);
        let clock = cx().clock;
        let begun = clock.mono();
        let reply = site.ork.ask(&who, "getWrkExtData", &asked("stats").to_string()).await.unwrap();
        assert!(clock.mono().since(begun) <= super::secs(11), "{fault:?}");
        assert_eq!(reply.value[0]["stats"].as_array().unwrap().len(), 1, "{fault:?}");
        let failed: Vec<_> = reply.failed.iter().map(|(of, e)| (of.as_str(), e.kind())).collect();
        assert_eq!(failed, [("minerpool-ocean-south", kind)]);
        assert_eq!(reply.failed[0].1.fact("source"), Some("minerpool-ocean-south"));
        site.f2pool.fault(MemExtFault::Fails);
        let e = site.call("getWrkExtData", asked("stats")).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("others_failed")), (ErrorKind::Unreachable, Some("1")));
        site.f2pool.fault(MemExtFault::None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_holds_nobody_elses_place() {
    let site = Site::new().await;
    site.ocean.fault(MemExtFault::Hangs);
    let calls = (0..100).map(|_| {
        let ork = site.ork.clone();
        tokio::spawn(async move {
            let who = Principal::new("ann", Permissions::ALL);
            let one = json!({"type": "minerpool-f2pool", "query": {"key": "stats"}}).to_string();
            let both = ork.ask(&who, "getWrkExtData", &asked("stats").to_string()).await.unwrap();
            (both.failed.len(), ork.call(&who, "getWrkExtData", &one).await.unwrap())
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let (failed, one) = call.await.unwrap();
        assert_eq!((failed, one[0]["stats"].as_array().unwrap().len()), (1, 1));
    }
}

#[tokio::test]
async fn more_rows_than_an_answer_takes_are_refused() {
    let rows: Vec<Value> = (0..60_000).map(|ts| json!({"ts": ts})).collect();
    let ork = Orchestrator::open(&cx(), store().await, OrkOptions::default()).unwrap();
    for name in ["a", "b"] {
        ork.serve_ext("minerpool", Arc::new(Says(name, rows.clone()))).unwrap();
    }
    let who = Principal::new("ann", Permissions::ALL);
    let e = ork.call(&who, "getWrkExtData", &asked("transactions").to_string()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, "ERR_LIMIT_EXCEEDED"));
    ork.unserve_ext(&id("minerpool-b")).unwrap();
    let rows = ork.call(&who, "getWrkExtData", &asked("transactions").to_string()).await.unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 60_000);
    assert_eq!(ork.unserve_ext(&id("minerpool-b")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn sources_are_for_whoever_may_read_and_tell_their_family() {
    let site = Site::new().await;
    let get = async |list: &[&str], of: &str, key: &str| {
        let rows = site.call_as(list, "getWrkExtData", json!({"type": of, "query": {"key": key}})).await;
        rows.unwrap().as_array().unwrap().len()
    };
    assert_eq!(get(&["minerpool:r"], "minerpool", "stats").await, 1);
    assert_eq!(get(&["miner:r", "electricity:r"], "minerpool", "stats").await, 0);
    assert_eq!(get(&["electricity:r"], "electricity", "forecast").await, 48);
    // No area owns the family, so everything is needed.
    assert_eq!((get(&["minerpool:r"], "mempool", "").await, get(&["*:r"], "mempool", "").await), (0, 1));

    let set = json!({"type": "electricity", "key": "availableEnergy", "value": [{"ts": 1, "mwh": 2}]});
    let before = site.state();
    for list in [&["electricity:r", "miner:rw"][..], &["minerpool:w"]] {
        let e = site.call_as(list, "setWrkExtData", set.clone()).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("needs")), (ErrorKind::Forbidden, Some("electricity:w")));
    }
    let blind = json!({"type": "mempool", "key": "x", "value": 1});
    let e = site.call_as(&["electricity:rw"], "setWrkExtData", blind.clone()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Forbidden, "whether there is such a source is not told");
    assert_eq!(site.state(), before);
    assert_eq!(site.call_as(&["electricity:w"], "setWrkExtData", set).await.unwrap(), 1);
    assert_eq!(site.supply.told("availableEnergy"), Some(json!([{"ts": 1, "mwh": 2}])));
    assert_eq!(site.call("setWrkExtData", blind).await.unwrap_err().code(), "ERR_NOT_CONFIGURED");
}

#[tokio::test]
async fn one_source_is_told() {
    let site = Site::new().await;
    let set = |key: &str, value: Value| json!({"type": "electricity", "key": key, "value": value});
    for (params, code) in [
        (json!({"key": "availableEnergy", "value": []}), "ERR_TYPE_INVALID"),
        (json!({"type": ["electricity"], "key": "availableEnergy", "value": []}), "ERR_TYPE_INVALID"),
        (json!({"type": "electricity", "value": []}), "ERR_KEY_INVALID"),
        (set(&"x".repeat(201), json!([])), "ERR_KEY_INVALID"),
        (set("availableEnergy", json!(null)), "ERR_VALUE_INVALID"),
        (set("availableEnergy", json!({})), "ERR_VALUE_INVALID"),
        (set("forecastSettings", json!({"lcoe": {}})), "ERR_VALUE_INVALID"),
        (set("forecast", json!([])), "ERR_NOT_CONFIGURED"),
        (json!({"type": "openweather", "key": "x", "value": 1}), "ERR_NOT_CONFIGURED"),
        (json!({"type": "minerpool", "key": "x", "value": 1}), "ERR_NOT_CONFIGURED"),
    ] {
        assert_eq!(site.call("setWrkExtData", params.clone()).await.unwrap_err().code(), code, "{params}");
    }
    assert_eq!((site.supply.told("availableEnergy"), site.supply.told("forecastSettings")), (None, None));
    let other = Arc::new(MemExtData::electricity(&cx(), "other", 9));
    site.ork.serve_ext("electricity-south", other.clone()).unwrap();
    let e = site.call("setWrkExtData", set("availableEnergy", json!([]))).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("sources")), (ErrorKind::Conflict, Some("2")));
    let one = json!({"type": "electricity-south", "key": "availableEnergy", "value": []});
    assert_eq!(site.call("setWrkExtData", one).await.unwrap(), 1);
    assert_eq!((site.supply.told("availableEnergy"), other.told("availableEnergy")), (None, Some(json!([]))));

    let twice = site.ork.serve_ext("electricity-south", other).unwrap_err();
    assert_eq!((twice.kind(), twice.code()), (ErrorKind::Conflict, "ERR_EXT_DATA_EXISTS"));
    let says = |name| Arc::new(Says(name, Vec::new()));
    assert_eq!(site.ork.serve_ext("-x", says("a")).unwrap_err().code(), "ERR_RACK_TYPE_INVALID");
    assert_eq!(site.ork.serve_ext("x", says("a b")).unwrap_err().code(), "ERR_RACK_ID_INVALID");
    let default = says("a").set("k", json!(1), &Caller::new("ann")).await.unwrap_err();
    assert_eq!(default.code(), "ERR_NOT_CONFIGURED");
}

#[tokio::test]
async fn questions_are_read_as_callers_write_them() {
    let site = Site::new().await;
    let (start, end) = (NOW - 3 * DAY, NOW);
    let inside = json!({"type": "minerpool", "query": {"key": "transactions", "start": start, "end": end}});
    let rows = site.call("getWrkExtData", inside).await.unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    // The gateway writes the range of forecasts beside the question, and a URL makes texts of numbers.
    let beside = json!({"type": "minerpool", "query": {"key": "transactions", "end": end.to_string()},
        "start": start.to_string(), "overwriteCache": true});
    assert_eq!(site.call("getWrkExtData", beside).await.unwrap(), rows);
    let fields = json!({"ts": 1, "transactions.changed_balance": 1});
    let part = json!({"type": "minerpool-f2pool",
        "query": {"key": "transactions", "start": start, "end": end, "fields": fields}});
    let part = site.call("getWrkExtData", part).await.unwrap();
    let balance = &rows[0]["transactions"][0]["changed_balance"];
    assert_eq!(part[0], json!({"ts": rows[0]["ts"], "transactions": [{"changed_balance": balance}]}));

    for (member, value, code) in [
        ("query", json!("{}"), "ERR_QUERY_INVALID"),
        ("query", json!([]), "ERR_QUERY_INVALID"),
        ("query", json!({"key": 7}), "ERR_KEY_INVALID"),
        ("query", json!({"key": "x".repeat(201)}), "ERR_KEY_INVALID"),
        ("query", json!({"key": "stats", "pool": []}), "ERR_POOL_INVALID"),
        ("query", json!({"key": "stats", "fields": 1}), "ERR_QUERY_INVALID"),
        ("query", json!({"key": "transactions"}), "ERR_START_INVALID"),
        ("query", json!({"key": "transactions", "start": 1}), "ERR_END_INVALID"),
        ("query", json!({"key": "transactions", "start": 2, "end": 1}), "ERR_RANGE_INVALID"),
        ("query", json!({"key": ""}), "ERR_KEY_INVALID"),
        ("query", json!({"key": "workers", "limit": -1}), "ERR_INVALID"),
        ("start", json!(""), "ERR_START_INVALID"),
        ("end", json!(1.5), "ERR_END_INVALID"),
        ("type", json!(null), "ERR_TYPE_INVALID"),
        ("type", json!(7), "ERR_TYPE_INVALID"),
    ] {
        let mut params = json!({"type": "minerpool"});
        params[member] = value.clone();
        let e = site.call("getWrkExtData", params).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, code), "{member} {value}");
        assert!(e.fact("field").is_some(), "{member} {value}");
    }
}

#[tokio::test]
async fn sources_in_memory_say_the_same_to_the_same_question() {
    let (a, b) = (Site::new().await, Site::new().await);
    let range = json!({"start": NOW - 40 * DAY, "end": NOW + 40 * DAY});
    for (of, key) in [
        ("minerpool", "stats-history"),
        ("minerpool", "transactions"),
        ("minerpool", "workers"),
        ("minerpool", "workers-count"),
        ("mempool", ""),
        ("mempool", "HISTORICAL_PRICES"),
        ("mempool", "HISTORICAL_BLOCKSIZES"),
        ("mempool", "HISTORICAL_HASHRATE"),
        ("electricity", "stats-history"),
        ("electricity", "forecastHistory"),
    ] {
        let mut query = range.clone();
        query["key"] = key.into();
        query["groupRange"] = "1D".into();
        let params = json!({"type": of, "query": query});
        let said = a.call("getWrkExtData", params.clone()).await.unwrap();
        assert_eq!(said, b.call("getWrkExtData", params).await.unwrap(), "{of} {key}");
        let rows = said.as_array().unwrap();
        assert!(!rows.is_empty(), "{of} {key}");
        let time = |row: &Value| row["ts"].as_i64().or_else(|| row["ts"].as_str()?.parse().ok());
        let times: Option<Vec<i64>> = rows.iter().map(time).collect();
        let Some(times) = times else { continue };
        assert!(
            times.is_sorted() && times.iter().all(|ts| *ts <= NOW),
            "{of} {key}: nobody knows the future"
        );
    }
    let query = ExtQuery::new("transactions").between(Timestamp(0), Timestamp(i64::MAX));
    let all = a.ocean.rows(&query).await.unwrap();
    assert_eq!(all.len(), 3_660, "bounded");
}
