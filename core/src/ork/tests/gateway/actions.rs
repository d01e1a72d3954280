use serde_json::{Value, json};

use super::*;
use crate::action::ActionId;

const PERMS: &[&str] = &["miner:rw", "actions:rw"];

fn draft(action: &str) -> Value {
    json!({"query": {}, "action": action, "params": []})
}

async fn pushed(at: &Gateway) -> Value {
    at.act("pushAction", draft("three"), PERMS).await
}

#[tokio::test(start_paused = true)]
async fn push_action() {
    let at = Gateway::new().await;
    let answer = pushed(&at).await;
    assert!(answer["id"].is_u64() && answer["errors"] == json!([]), "{answer}");
    assert_eq!(
        (&answer["data"]["action"], &answer["data"]["votesPos"]),
        (&json!("three"), &json!(["ann@site"]))
    );
    let mut none = draft("three");
    none["query"] = json!({"id": "none"});
    let answer = at.act("pushAction", none, PERMS).await;
    assert!(answer["id"].is_null() && !answer["errors"].as_array().unwrap().is_empty(), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn push_actions_batch() {
    let at = Gateway::new().await;
    let batch =
        json!({"batchActionsPayload": [draft("three"), draft("unheard")], "batchActionUID": "1764000000000"});
    let Value::Array(answers) = at.act("pushActionsBatch", batch, PERMS).await else { panic!("no list") };
    assert_eq!((answers[0]["id"].is_u64(), answers[1]["id"].is_null()), (true, true), "{answers:?}");
    assert!(answers.iter().all(|one| one["errors"].is_array()));
}

#[tokio::test(start_paused = true)]
async fn vote_action() {
    let at = Gateway::new().await;
    let id = pushed(&at).await["id"].clone();
    let vote = json!({"id": id, "approve": true, "voter": "bob@site", "authPerms": ["miner"]});
    assert_eq!(at.get("voteAction", vote.clone()).await, 1);
    let again = at.ask("voteAction", vote).await.unwrap_err();
    assert_eq!(again.code(), "ERR_VOTER_EXISTS");
    // The gateway makes a boolean of what it gets; what is none is no vote.
    let text = json!({"id": id, "approve": "true", "voter": "eve@site", "authPerms": ["miner"]});
    assert_eq!(at.ask("voteAction", text).await.unwrap_err().code(), "ERR_PAYLOAD_APPROVE_REQUIRED");
}

#[tokio::test(start_paused = true)]
async fn cancel_actions_batch() {
    let at = Gateway::new().await;
    let id = pushed(&at).await["id"].to_string();
    let answer = at.get("cancelActionsBatch", json!({"ids": [id, "7"], "voter": "ann@site"})).await;
    let code = "ERR_CANCEL_BATCH_ACTION-ID-7 ERR_ACTION_ID_NOT_FOUND";
    assert_eq!(answer, json!([{"id": id, "success": true}, {"id": "7", "success": false, "error": code}]));
}

#[tokio::test(start_paused = true)]
async fn get_action() {
    let at = Gateway::new().await;
    let id = pushed(&at).await["id"].clone();
    for id in [id.clone(), json!(id.to_string())] {
        let action = at.get("getAction", json!({"id": id, "type": "voting"})).await;
        assert!(
            action["votesPos"].is_array()
                && action["votesNeg"].is_array()
                && action["requiredPerms"].is_array()
        );
        let calls = &action["targets"][Served::RACK]["calls"];
        assert!(calls.as_array().unwrap().iter().all(|call| call["id"].is_string()), "{action}");
        assert!(action["params"].is_array() && action["action"] == "three");
    }
    let e = at.ask("getAction", json!({"id": 7, "type": "done"})).await.unwrap_err();
    assert_eq!(e.code(), "ERR_ACTION_ID_NOT_FOUND", "an error, not null");
}

#[tokio::test(start_paused = true)]
async fn get_actions_batch() {
    let at = Gateway::new().await;
    let id = pushed(&at).await["id"].to_string();
    let found = at.list("getActionsBatch", json!({"ids": ["7", id]})).await;
    assert_eq!((found.len(), &found[0]["type"]), (1, &json!("voting")));
    assert_eq!(found[0]["action"]["id"].to_string(), id);
    assert!(at.list("getActionsBatch", json!({"ids": []})).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn query_actions() {
    let at = Gateway::new().await;
    let id = pushed(&at).await["id"].clone();
    let queries = json!([
        {"type": "voting", "filter": {"gte": id.to_string()}, "opts": {"reverse": true, "limit": 10}},
        {"type": "done"},
    ]);
    let lists = at.get("queryActions", json!({"queries": queries, "groupBatch": false})).await;
    assert_eq!(lists["voting"][0]["id"], id);
    assert_eq!(
        (&lists["done"], lists.as_object().unwrap().len()),
        (&json!([]), 2),
        "only what was asked for"
    );
    assert!(at.served.engine.header(ActionId::new(id.as_u64().unwrap())).is_some());
}
