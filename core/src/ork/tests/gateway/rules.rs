//! What holds for every method, whatever is sent to it.

use serde_json::{Map, Value, json};

use super::*;

/// Methods whose results the gateway looks into: a null would end its request.
const LOOKED_INTO: &[&str] = &[
    "pushAction",
    "pushActionsBatch",
    "voteAction",
    "cancelActionsBatch",
    "getActionsBatch",
    "getConfigs",
    "saveThingComment",
    "editThingComment",
    "deleteThingComment",
    "getWrkSettings",
    "saveWrkSettings",
    "setWrkExtData",
];

/// Parameters that a method takes, for each method with some.
fn good(method: &str) -> Value {
    let thing = format!("{FRONT}-1");
    let file = json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1", "fileId": "f0"});
    match method {
        "listThings" => {
            json!({"query": {}, "fields": {"id": 1}, "sort": {"id": 1}, "offset": 0, "limit": 5, "status": 1})
        }
        "getThingsCount" => json!({"query": {}, "status": 1}),
        "listRacks" => json!({"type": "miner"}),
        "tailLog" => {
            json!({"type": "miner", "key": "stat-5m", "tag": "t-miner", "start": 1, "end": NOW, "limit": 5, "offset": 0})
        }
        "tailLogMulti" => {
            json!({"keys": [{"type": "miner", "key": "stat-5m", "tag": "t-miner"}], "start": 1, "end": NOW, "limit": 1})
        }
        "tailLogCustomRangeAggr" => {
            json!({"keys": [{"type": "miner", "startDate": "2026-01-01", "endDate": "2026-01-02"}]})
        }
        "getHistoricalLogs" => json!({"logType": "alerts", "start": 1, "end": NOW, "limit": 5, "offset": 0}),
        "getWrkExtData" => {
            json!({"type": "minerpool", "query": {"key": "stats", "start": 1, "end": NOW}, "start": 1, "end": NOW})
        }
        "setWrkExtData" => json!({"type": "electricity", "key": "availableEnergy", "value": []}),
        "setGlobalConfig" => json!({"isAutoSleepAllowed": true}),
        "pushAction" => {
            json!({"query": {}, "action": "three", "params": [], "voter": "ann@site", "authPerms": ["miner:rw"]})
        }
        "pushActionsBatch" => {
            json!({"batchActionsPayload": [], "voter": "ann@site", "authPerms": ["miner:rw"]})
        }
        "voteAction" => json!({"id": 7, "approve": true, "voter": "ann@site", "authPerms": ["miner"]}),
        "cancelActionsBatch" => json!({"ids": ["7"], "voter": "ann@site"}),
        "getAction" => json!({"id": "7", "type": "done"}),
        "getActionsBatch" => json!({"ids": ["7"]}),
        "queryActions" => json!({"queries": [{"type": "voting"}]}),
        "getWrkConf" => json!({"type": "miner", "fields": {}}),
        "getThingConf" => json!({"type": "miner", "requestType": "nextAvailableCode"}),
        "getWrkSettings" => json!({"rackId": FRONT}),
        "saveWrkSettings" => json!({"rackId": FRONT, "entries": {"a": 1}}),
        "saveThingComment" => json!({"rackId": FRONT, "thingId": thing, "comment": "hot", "user": "x"}),
        "editThingComment" => json!({"rackId": FRONT, "thingId": thing, "id": "c0", "comment": "x"}),
        "deleteThingComment" => json!({"rackId": FRONT, "thingId": thing, "ts": 5}),
        "getConfigs" => json!({"type": "pool", "query": {}, "fields": {}}),
        "storeFile" => {
            json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1", "name": "a", "mime": "text/plain", "contentBase64": ""})
        }
        "loadFile" | "removeFile" => file,
        "exportAudit" => json!({"from": 0, "limit": 5}),
        _ => json!({}),
    }
}

/// An answer or an error as the gateway takes it.
fn fits(method: &str, params: &str, answer: &Result<Value>) {
    match answer {
        Ok(value) => {
            let text = serde_json::to_string(value).unwrap();
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{method} {params}");
            if LOOKED_INTO.contains(&method) {
                assert!(!value.is_null(), "{method} {params}");
            }
            // A method that gives back what was sent gives back this, too.
            if !["echo", "ping"].contains(&method) {
                assert!(value.get("error").is_none(), "{method} {params}: read as a failure: {value}");
                assert!(!text.starts_with("\"[HRPC_ERR]="), "{method} {params}");
            }
        }
        Err(e) => {
            assert!(e.code().starts_with("ERR_"), "{method} {params}: {e:?}");
            assert!(
                ![ErrorKind::Internal, ErrorKind::Corrupt].contains(&e.kind()),
                "{method} {params}: {e:?}"
            );
        }
    }
}

async fn check(at: &Gateway, method: &str, params: &Value) -> Result<Value> {
    let text = params.to_string();
    let answer = at.ask(method, params.clone()).await;
    fits(method, &text, &answer);
    answer
}

#[tokio::test(start_paused = true)]
async fn every_method_answers_or_refuses_whatever_is_sent() {
    let at = Gateway::new().await;
    for row in methods() {
        for params in [json!({}), Value::Null, json!([]), json!(7), json!("x"), json!(true)] {
            let _ = check(&at, row.name, &params).await;
        }
        let whole = good(row.name);
        let members: Map<String, Value> = whole.as_object().unwrap().clone();
        for (member, value) in &members {
            let wrong = [
                json!(null),
                json!(""),
                json!("x"),
                json!(-1),
                json!(1.5),
                json!([]),
                json!({}),
                json!(true),
                json!([[{"$where": 1}]]),
                json!({"$where": "1"}),
                json!(u64::MAX),
                json!("99999999999999999999"),
            ];
            for wrong in wrong.into_iter().filter(|wrong| wrong != value) {
                let mut params = whole.clone();
                params[member] = wrong;
                let _ = check(&at, row.name, &params).await;
            }
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(member);
            let _ = check(&at, row.name, &without).await;
        }
    }
    let unknown = at.ask("getWrkExtdata", json!({})).await.unwrap_err();
    assert_eq!(unknown.code(), "UNKNOWN_METHOD");
}

/// The same answer, or the same error.
fn same(a: &Result<Value>, b: &Result<Value>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a == b,
        (Err(a), Err(b)) => a.code() == b.code(),
        _ => false,
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_method_does_not_know_is_ignored() {
    for row in methods().iter().filter(|row| !["echo", "ping", "registerRack"].contains(&row.name)) {
        let answers = [json!({}), json!({"overwriteCache": true, "foo": {"$bad": 1}, "error": "x"})].map(
            |stray| async move {
                let at = Gateway::new().await;
                let mut params = good(row.name);
                params.as_object_mut().unwrap().extend(stray.as_object().unwrap().clone());
                check(&at, row.name, &params).await
            },
        );
        let [plain, stray] = answers;
        let (plain, stray) = (plain.await, stray.await);
        assert!(same(&plain, &stray), "{}: {plain:?} is {stray:?} with stray members", row.name);
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_that_a_url_made_texts_of_are_numbers() {
    const NUMBERS: [&str; 9] =
        ["start", "end", "startExcl", "endExcl", "limit", "offset", "status", "ts", "from"];
    let mut seen = 0;
    for row in methods() {
        let plain = good(row.name);
        let mut text = plain.clone();
        for (name, value) in text.as_object_mut().unwrap() {
            if NUMBERS.contains(&name.as_str()) && value.is_number() {
                *value = value.to_string().into();
                seen += 1;
            }
        }
        if text == plain {
            continue;
        }
        let (a, b) = (Gateway::new().await, Gateway::new().await);
        let (plain, text) = (check(&a, row.name, &plain).await, check(&b, row.name, &text).await);
        assert!(same(&plain, &text), "{}: {plain:?} is {text:?}", row.name);
    }
    assert!(seen >= 15, "{seen}");
}

/// What the gateway makes a boolean of stays strict: a text is not taken for a yes.
#[tokio::test(start_paused = true)]
async fn a_text_is_no_yes_where_something_is_decided() {
    let at = Gateway::new().await;
    for (method, member, code) in [
        ("voteAction", "approve", "ERR_PAYLOAD_APPROVE_REQUIRED"),
        ("setGlobalConfig", "isAutoSleepAllowed", "ERR_CONFIG_INVALID"),
    ] {
        for value in [json!("true"), json!("false"), json!(1), json!(""), json!(null)] {
            let mut params = good(method);
            params[member] = value.clone();
            assert_eq!(at.ask(method, params).await.unwrap_err().code(), code, "{method} {value}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ids_of_actions_are_numbers_or_their_texts() {
    let at = Gateway::new().await;
    let push = at.get("pushAction", good("pushAction")).await;
    let id = push["id"].clone();
    let view = at.get("getAction", json!({"id": id, "type": "voting"})).await;
    assert_eq!(at.get("getAction", json!({"id": id.to_string(), "type": "voting"})).await, view);
    let both = json!({"ids": [id, id.to_string()]});
    assert_eq!(at.list("getActionsBatch", both).await.len(), 2);
    for wrong in [json!(""), json!("x"), json!(-1), json!(null), json!([])] {
        let e = at.ask("getAction", json!({"id": wrong, "type": "voting"})).await.unwrap_err();
        assert_eq!(e.code(), "ERR_ACTION_ID_NOT_FOUND", "{wrong}");
    }
}

#[tokio::test]
async fn what_is_answered_is_nobody_elses() {
    // Callers change results and parameters as they like.
    let at = Gateway::new().await;
    let mut first = at.ext("minerpool", json!({"key": "stats"})).await;
    first[0]["stats"] = json!("gone");
    assert!(at.ext("minerpool", json!({"key": "stats"})).await[0]["stats"].is_array());
}
