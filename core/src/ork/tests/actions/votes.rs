use super::*;

#[tokio::test(start_paused = true)]
async fn a_push_answers_with_the_record_and_what_fell_out() {
    let lab = Lab::mos().await;
    let pushed = lab.push("setUpfreqSpeed", "u1").await;
    assert_eq!(keys(&pushed), ["data", "errors", "id"]);
    assert_eq!(pushed["errors"], json!([]));
    let data = &pushed["data"];
    assert_eq!(data["id"], pushed["id"]);
    let tags = ["t-miner-wm".to_owned(), format!("rack-{}", Served::RACK)];
    let calls: Vec<Value> = (0..3).map(|n| json!({"id": Served::thing(n), "tags": tags})).collect();
    assert_eq!(data["payload"], json!([[], {(Served::RACK): {"calls": calls}}, ["miner"]]));
    for (name, value) in [
        ("action", json!("setUpfreqSpeed")),
        ("votesPos", json!(["u1"])),
        ("votesNeg", json!([])),
        ("reqVotesPos", json!(2)),
        ("reqVotesNeg", json!(1)),
        ("status", json!("VOTING")),
    ] {
        assert_eq!(data[name], value, "{name}");
    }
    for gone in ["params", "targets", "requiredPerms", "batchActionUID"] {
        assert!(data.get(gone).is_none(), "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_that_stores_nothing_says_why() {
    let lab = Lab::mos().await;
    let none = |codes: &[&str]| json!({"id": null, "errors": codes});
    let nobody = with(push("reboot", "u1"), json!({"query": {"id": "nobody"}}));
    let empty = none(&["ERR_ORK_ACTION_CALLS_EMPTY"]);
    assert_eq!(lab.gateway("pushAction", nobody.clone()).await.unwrap(), empty);
    let bare = with(nobody.clone(), json!({"authPerms": ["miner"]}));
    let wrong = none(&["ERR_AUTH_PERMS_INVALID", "ERR_ORK_ACTION_CALLS_EMPTY"]);
    assert_eq!(lab.gateway("pushAction", bare.clone()).await.unwrap(), wrong);
    let two = json!({"batchActionsPayload": [push("reboot", ""), push("reboot", "")]});
    assert_eq!(lab.gateway("pushActionsBatch", with(bare, two)).await.unwrap(), json!([wrong, wrong]));
    let without = with(nobody, json!({"authPerms": null}));
    let missing = none(&["ERR_PAYLOAD_AUTH_PERMS_REQUIRED", "ERR_ORK_ACTION_CALLS_EMPTY"]);
    assert_eq!(lab.gateway("pushAction", without).await.unwrap(), missing);
    for (change, code) in [
        (json!({"query": []}), "ERR_QUERY_INVALID"),
        (json!({"query": {"$foo": 1}}), "ERR_QUERY_INVALID"),
        (json!({"action": ""}), "ERR_ACTION_INVALID"),
        (json!({"params": {}}), "ERR_PARAMS_INVALID"),
        (json!({"voter": " "}), "ERR_VOTER_INVALID"),
        (json!({"voter": 0}), "ERR_VOTER_INVALID"),
        (json!({"batchActionUID": 7}), "ERR_PAYLOAD_INVALID"),
        (json!({"clientKey": 7}), "ERR_PAYLOAD_INVALID"),
    ] {
        assert_eq!(lab.code("pushAction", with(push("reboot", "u1"), change)).await, code);
    }
    assert_eq!(lab.served.rack.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_is_sent_again_with_its_key_gets_its_first_answer() {
    let lab = Lab::mos().await;
    let keyed = |action| with(push(action, "u1"), json!({"clientKey": "k1"}));
    let first = lab.gateway("pushAction", keyed("three")).await.unwrap();
    assert_eq!(lab.gateway("pushAction", keyed("three")).await.unwrap(), first);
    assert_eq!(lab.code("pushAction", keyed("reboot")).await, "ERR_CLIENT_KEY_CONFLICT");
}

#[tokio::test(start_paused = true)]
async fn votes_decide_and_each_list_has_its_actions() {
    let lab = Lab::mos().await;
    let id = lab.push("setUpfreqSpeed", "u1").await["id"].clone();
    for (change, code) in [
        (json!({"voter": null, "approve": null}), "ERR_VOTER_INVALID"),
        (json!({"approve": null, "authPerms": null}), "ERR_PAYLOAD_APPROVE_REQUIRED"),
        (json!({"authPerms": null}), "ERR_PAYLOAD_AUTH_PERMS_REQUIRED"),
        (json!({"id": 12345}), "ERR_ACTION_ID_NOT_FOUND"),
        (json!({"id": "x"}), "ERR_ACTION_ID_NOT_FOUND"),
        (json!({"id": -1}), "ERR_ACTION_ID_NOT_FOUND"),
        (json!({"id": null}), "ERR_ACTION_ID_NOT_FOUND"),
        (json!({"authPerms": ["miner:r"]}), "ERR_ACTION_DENIED"),
        (json!({"authPerms": ["container"]}), "ERR_ACTION_DENIED"),
        (json!({"digest": "0"}), "ERR_ACTION_CHANGED"),
        (json!({"voter": " U1 "}), "ERR_VOTER_EXISTS"),
    ] {
        let body = with(vote(&id, "u2", true), change);
        assert_eq!(lab.code("voteAction", body.clone()).await, code, "{body}");
    }
    let of = |kind: &str| json!({"id": id, "type": kind});
    let view = lab.gateway("getAction", of("voting")).await.unwrap();
    assert_eq!((view["params"].clone(), view["requiredPerms"].clone()), (json!([]), json!(["miner"])));
    assert!(view["targets"][Served::RACK]["calls"][0]["tags"].is_array());
    assert!(view.get("payload").is_none());
    assert_eq!(lab.code("getAction", of("done")).await, "ERR_ACTION_ID_NOT_FOUND");
    assert_eq!(lab.code("getAction", of("gone")).await, "ERR_SUBDB_UNKOWN");
    assert_eq!(lab.code("getAction", json!({"id": id})).await, "ERR_SUBDB_UNKOWN");

    let text = Value::from(id.to_string());
    assert_eq!(lab.gateway("voteAction", vote(&text, "u2", true)).await.unwrap(), 1);
    lab.served.until(id_of(&id), Status::Completed).await;
    assert_eq!(lab.code("voteAction", vote(&id, "u3", true)).await, "ERR_ACTION_DECIDED");
    let done = lab.gateway("getAction", json!({"id": text, "type": "done"})).await.unwrap();
    assert_eq!((done["status"].clone(), done["votesPos"].clone()), (json!("COMPLETED"), json!(["u1", "u2"])));
    assert_eq!(done["targets"][Served::RACK]["calls"][2]["result"], json!({"success": true}));

    let other = lab.push("three", "u1").await["id"].clone();
    let batch = json!({"ids": [other, "gone", text, 12345, null]});
    let batch = lab.gateway("getActionsBatch", batch).await.unwrap();
    let shape: Vec<_> = batch.as_array().unwrap().iter().map(|a| (&a["type"], &a["action"]["id"])).collect();
    assert_eq!(shape, [(&json!("voting"), &other), (&json!("done"), &id)]);
    for ids in [json!("1"), json!(null), json!(vec![1; 1_001])] {
        assert_eq!(lab.code("getActionsBatch", json!({"ids": ids})).await, "ERR_PAYLOAD_INVALID");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_reports_each_id_as_it_was_given() {
    let lab = Lab::mos().await;
    let [own, other] =
        [lab.push("three", "u1").await, lab.push("three", "u9").await].map(|p| p["id"].clone());
    let text = Value::from(own.to_string());
    let body = json!({"ids": [text, other, 12345, "x y", own], "voter": "U1"});
    let answer = lab.gateway("cancelActionsBatch", body).await.unwrap();
    let failed = |id: &Value, shown: &str, code: &str| json!({"id": id, "success": false, "error": format!("ERR_CANCEL_BATCH_ACTION-ID-{shown} {code}")});
    let expected = json!([
        {"id": text, "success": true},
        failed(&other, &other.to_string(), "ERR_CALLER_NOT_CREATOR"),
        failed(&json!(12345), "12345", "ERR_ACTION_ID_NOT_FOUND"),
        failed(&json!("x y"), "x y", "ERR_ACTION_ID_NOT_FOUND"),
        failed(&own, &own.to_string(), "ERR_ACTION_DECIDED"),
    ]);
    assert_eq!(answer, expected);
    assert_eq!(lab.served.engine.header(id_of(&own)).unwrap().status, Status::Cancelled);
    assert_eq!(lab.code("cancelActionsBatch", json!({"ids": [own]})).await, "ERR_VOTER_INVALID");
    assert_eq!(lab.code("cancelActionsBatch", json!({"voter": "u1"})).await, "ERR_PAYLOAD_INVALID");
}
