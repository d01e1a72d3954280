use super::*;

fn one(action: &str, query: Value) -> Value {
    json!({"query": query, "action": action, "params": []})
}

fn batch(payload: Value, more: Value) -> Value {
    with(json!({"batchActionsPayload": payload, "voter": "u1", "authPerms": ["miner:rw"]}), more)
}

fn of(id: &Value) -> Value {
    json!({"id": id})
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_checked_whole() {
    let lab = Lab::mos().await;
    let wrong = json!([one("reboot", json!({})), {"query": {}, "action": "reboot", "params": "x"}]);
    let e = lab.gateway("pushActionsBatch", batch(wrong, json!({}))).await.unwrap_err();
    assert_eq!((e.code(), e.fact("index")), ("ERR_PARAMS_INVALID", Some("1")));
    for payload in [json!(null), json!({}), json!(vec![one("reboot", json!({})); 501])] {
        assert_eq!(lab.code("pushActionsBatch", batch(payload, json!({}))).await, "ERR_PAYLOAD_INVALID");
    }
    let payload = json!([one("three", json!({})), one("three", json!({"id": "none"}))]);
    let all = batch(payload.clone(), json!({"allOrNothing": true}));
    let answer = lab.gateway("pushActionsBatch", all).await.unwrap();
    assert!(answer.as_array().unwrap().iter().all(|one| one["id"].is_null()), "{answer}");
    let all = batch(payload, json!({"allOrNothing": "yes"}));
    assert_eq!(lab.code("pushActionsBatch", all).await, "ERR_PAYLOAD_INVALID");
    let stored =
        lab.gateway("queryActions", json!({"queries": [{"type": "voting"}, {"type": "ready"}]})).await;
    assert_eq!(stored.unwrap(), json!({"voting": [], "ready": []}));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_grouped_by_its_name() {
    let lab = Lab::mos().await;
    let every = || one("three", json!({}));
    let payload = json!([every(), one("three", json!({"id": "none"})), every()]);
    let named = json!({"batchActionUID": "maint", "suffix": "repair"});
    let answer = lab.gateway("pushActionsBatch", batch(payload, named)).await.unwrap();
    let ids: Vec<&Value> = answer.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids[1], &json!(null));
    let uid = answer[0]["data"]["batchActionUID"].as_str().unwrap();
    let (ms, rest) = uid.split_once('-').unwrap();
    assert!(rest == "maint-repair" && ms.parse::<i64>().is_ok(), "{uid}");
    let alone = lab.push("three", "u1").await["id"].clone();

    let ask = async |more: Value| {
        let body = with(json!({"queries": [{"type": "voting", "fields": {"id": 1}}]}), more);
        lab.gateway("queryActions", body).await.unwrap()
    };
    assert_eq!(ask(json!({})).await, json!({"voting": [of(ids[0]), of(ids[2]), of(&alone)]}));
    assert_eq!(ask(json!({"suffix": "repair"})).await, json!({"voting": [of(ids[0]), of(ids[2])]}));
    let group = json!({"batchActionUID": uid, "id": ms, "actions": [of(ids[0]), of(ids[2])]});
    assert_eq!(ask(json!({"groupBatch": true})).await, json!({"voting": [group, of(&alone)]}));
    let nameless = batch(json!([every()]), json!({"suffix": "repair"}));
    let answer = lab.gateway("pushActionsBatch", nameless).await.unwrap();
    let uid = answer[0]["data"]["batchActionUID"].as_str().unwrap();
    assert!(uid.strip_suffix("-repair").unwrap().parse::<i64>().is_ok(), "{uid}");
    let single = with(push("three", "u1"), json!({"batchActionUID": "moveMiner"}));
    let answer = lab.gateway("pushAction", single).await.unwrap();
    assert!(answer["data"]["batchActionUID"].as_str().unwrap().ends_with("-moveMiner"));
}

#[tokio::test(start_paused = true)]
async fn queries_take_ranges_orders_and_questions() {
    let lab = Lab::mos().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(lab.push("three", "u1").await["id"].clone());
    }
    let ask = async |query: Value| {
        let query = with(query, json!({"type": "voting", "fields": {"id": 1}}));
        let listed = lab.gateway("queryActions", json!({"queries": [query]})).await.unwrap();
        listed["voting"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    let (first, last, none) = (ids[0].to_string(), ids[3].clone(), Vec::<Value>::new());
    assert_eq!(ask(json!({"filter": {"gt": first, "lt": last}})).await, ids[1..3]);
    assert_eq!(ask(json!({"filter": {"gte": first, "lte": last}})).await, ids);
    let both = json!({"filter": {"gte": first, "gt": ids[1], "lte": last, "lt": last}});
    assert_eq!(ask(both).await, ids[2..3]);
    assert_eq!(ask(json!({"filter": {"gt": last, "lt": first}})).await, none);
    assert_eq!(ask(json!({"filter": {"gte": -5}, "opts": {"limit": 2}})).await, ids[..2]);
    assert_eq!(ask(json!({"filter": {"lt": -5}})).await, none);
    assert_eq!(ask(json!({"opts": {"reverse": true, "limit": 1}})).await, ids[3..]);
    let some = json!({"query": {"id": {"$in": [ids[1], ids[3]]}}, "opts": {"limit": 1}});
    assert_eq!(ask(some).await, ids[1..2], "the question comes before the limit");
    let whole = lab.gateway("queryActions", json!({"queries": [{"type": "voting"}, {"type": "done"}]})).await;
    let whole = whole.unwrap();
    assert_eq!(whole["done"], json!([]));
    assert_eq!(keys(&whole["voting"][0]["targets"][Served::RACK]["calls"][0]), ["id"], "without tags");
    for (queries, code) in [
        (json!(null), "ERR_QUERIES_INVALID"),
        (json!({}), "ERR_QUERIES_INVALID"),
        (json!([7]), "ERR_QUERIES_INVALID"),
        (json!(vec![json!({"type": "done"}); 11]), "ERR_QUERIES_INVALID"),
        (json!([{"type": "done"}, {"type": "done"}]), "ERR_QUERIES_INVALID"),
        (json!([{"type": "gone"}]), "ERR_QUERIES_TYPE_INVALID"),
        (json!([{}]), "ERR_QUERIES_TYPE_INVALID"),
        (json!([{"type": "done", "filter": 7}]), "ERR_QUERIES_INVALID"),
        (json!([{"type": "done", "filter": {"gt": "x"}}]), "ERR_QUERIES_INVALID"),
        (json!([{"type": "done", "opts": {"limit": -1}}]), "ERR_QUERIES_INVALID"),
        (json!([{"type": "done", "query": {"$foo": 1}}]), "ERR_QUERY_INVALID"),
    ] {
        assert_eq!(lab.code("queryActions", json!({"queries": queries})).await, code, "{queries}");
    }
}
