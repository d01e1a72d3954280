use headframe_sim::{Join, WhatsminerOptions};
use serde_json::{Value, json};

use crate::client::{Bench, code};

async fn bench(join: Join) -> Bench {
    Bench::new(WhatsminerOptions { join, ..Default::default() }).await
}

fn part_code(reply: &Value, name: &str) -> i64 {
    let part = &reply[name][0];
    let status = if part["STATUS"].is_array() { &part["STATUS"][0] } else { part };
    code(status)
}

const MIXED: &str = "summary+get_version+pools+status+power_off+nonsense+summary";

#[tokio::test(start_paused = true)]
async fn without_joining_the_text_is_one_unknown_name() {
    let bench = bench(Join::None).await;
    let reply = bench.read("summary+pools").await;
    assert_eq!((code(&reply), &reply["STATUS"]), (14, &json!("E")));
    assert!(reply.get("summary").is_none());
    assert_eq!(bench.device.counts().keys().collect::<Vec<_>>(), ["summary+pools"]);
}

#[tokio::test(start_paused = true)]
async fn where_reports_join_the_others_are_denied_in_their_part() {
    let bench = bench(Join::Reports).await;
    let reply = bench.read(MIXED).await;
    assert!(reply.get("STATUS").is_none(), "no outer status");
    assert_eq!(reply["id"], 1);
    for (name, expected) in [
        ("summary", 11),
        ("pools", 7),
        ("get_version", 45),
        ("status", 45),
        ("power_off", 45),
        ("nonsense", 14),
    ] {
        assert_eq!(part_code(&reply, name), expected, "{name}");
    }
    assert_eq!(reply["status"][0]["STATUS"][0]["STATUS"], "E");
    assert_eq!(reply["status"][0]["STATUS"][0]["Msg"], "Access denied");
    assert_eq!(reply["summary"].as_array().unwrap().len(), 1);
    assert!(reply["pools"][0]["POOLS"].is_array());
}

#[tokio::test(start_paused = true)]
async fn every_read_joins_by_default_and_writes_never_do() {
    let bench = Bench::ordinary().await;
    let all = "summary+pools+edevs+devs+devdetails+get_version+get_miner_info+get_psu+get_error_code+status";
    let reply = bench.read(all).await;
    for name in all.split('+') {
        assert!(matches!(part_code(&reply, name), 7 | 9 | 11 | 69 | 131), "{name}: {}", reply[name]);
    }
    assert_eq!(reply["status"][0]["Msg"]["mineroff"], "false");
    let mixed = bench.read(MIXED).await;
    assert_eq!(part_code(&mixed, "power_off"), 45);
    assert_eq!(part_code(&mixed, "nonsense"), 14);
    assert!(!bench.device.truth().asleep);
    let counts = bench.device.counts();
    assert_eq!(
        (counts["summary"], counts["status"], bench.device.requests()),
        (2, 2, 2),
        "a repeat counts once"
    );
}

#[tokio::test(start_paused = true)]
async fn joined_parts_equal_the_single_answers() {
    let bench = Bench::ordinary().await;
    let joined = bench.read("pools+get_miner_info").await;
    assert_eq!(joined["pools"][0], bench.read("pools").await);
    assert_eq!(joined["get_miner_info"][0], bench.read("get_miner_info").await);
}

#[tokio::test(start_paused = true)]
async fn joined_text_names_its_parts() {
    let text = Bench::ordinary().await.text("summary+pools").await;
    assert!(text.contains("CMD=summary|STATUS=S,") && text.contains("CMD=pools|STATUS=S,"), "{text}");
}
