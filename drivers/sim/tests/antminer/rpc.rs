use headframe_sim::{AntminerModel, AntminerOptions, Join, Role, RpcOptions};
use serde_json::{Value, json};

use crate::client::{START, Site, wait};

async fn ask(site: &Site, request: &Value) -> Value {
    let bytes = site.raw(Role::Rpc, request.to_string().as_bytes()).await;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

fn code(answer: &Value) -> (&str, u64) {
    (answer["STATUS"][0]["STATUS"].as_str().unwrap(), answer["STATUS"][0]["Code"].as_u64().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_legacy_reports() {
    let site = Site::new(AntminerOptions::default()).await;
    let truth = site.device().truth();
    let version = ask(&site, &json!({"command": "version"})).await;
    assert_eq!((code(&version), &version["id"]), (("S", 22), &json!(1)));
    assert_eq!(version["STATUS"][0]["When"], json!(START));
    assert_eq!(version["VERSION"][0]["Type"], json!("Antminer S21"));
    let summary = ask(&site, &json!({"command": "summary"})).await;
    assert_eq!(code(&summary), ("S", 11));
    assert_eq!(summary["SUMMARY"][0]["Elapsed"], json!(truth.elapsed_s));
    assert_eq!(summary["SUMMARY"][0]["Accepted"], json!(truth.accepted));
    let stats = ask(&site, &json!({"command": "stats"})).await;
    assert_eq!((code(&stats), stats["STATS"].as_array().unwrap().len()), (("S", 70), 2));
    let flat = &stats["STATS"][1];
    assert_eq!(
        (&flat["fan_num"], &flat["chain_acn1"], &flat["chain_acn4"]),
        (&json!(4), &json!(108), &json!(0))
    );
    assert_eq!((&flat["chain_rate4"], &flat["temp_chip4"]), (&json!(""), &json!("0-0-0-0")));
    assert_eq!(flat["total_rateideal"], json!(200_000.0));
    let rates: f64 =
        (1..=3).map(|n| flat[format!("chain_rate{n}")].as_str().unwrap().parse::<f64>().unwrap()).sum();
    assert!((rates * 1000.0 / truth.rates.realtime - 1.0).abs() < 1e-6);
    assert_eq!(flat["chain_acs1"].as_str().unwrap().split_whitespace().count(), 36);
    let pools = ask(&site, &json!({"command": "pools"})).await;
    assert_eq!((code(&pools), pools["POOLS"].as_array().unwrap().len()), (("S", 7), 2));
    assert_eq!(code(&ask(&site, &json!({"command": "devs"})).await), ("S", 9));
    assert_eq!(site.counted("rpc.stats"), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_codes() {
    let site = Site::new(AntminerOptions::default()).await;
    assert_eq!(code(&ask(&site, &json!({"command": "devdetails"})).await), ("E", 14));
    assert_eq!(code(&ask(&site, &json!({"command": "summary+pools"})).await), ("E", 14));
    assert_eq!(code(&ask(&site, &json!({"command": "restart"})).await), ("E", 45));
    let bytes = site.raw(Role::Rpc, b"{\"command\":\0").await;
    assert!(String::from_utf8_lossy(&bytes).contains("\"Code\":23"));
    assert_eq!(
        (site.counted("rpc.devdetails"), site.counted("rpc.joined"), site.counted("rpc.restart")),
        (1, 1, 1)
    );
    assert!(site.device().executed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn new_api_counts_at_the_top_level_only() {
    let site = Site::new(AntminerOptions::default()).await;
    for (command, section) in [("stats", "STATS"), ("summary", "SUMMARY"), ("pools", "POOLS")] {
        let web = site.client().get(command).await.json();
        let new = ask(&site, &json!({"command": command, "new_api": true})).await;
        assert_eq!(new, web);
        assert!(new["STATUS"].is_object() && new[section].is_array());
        let nested = ask(&site, &json!({"command": command, "parameter": {"new_api": true}})).await;
        assert!(nested["STATUS"].is_array());
    }
    let stats = ask(&site, &json!({"command": "stats", "new_api": true})).await;
    assert_eq!(stats["STATS"][0]["chain"].as_array().unwrap().len(), 3);
    let old = Site::new(AntminerOptions::s19j_pro_2022()).await;
    let version = ask(&old, &json!({"command": "version", "new_api": true})).await;
    assert!(version["STATUS"].is_array());
}

#[tokio::test(start_paused = true)]
async fn the_missing_comma_and_the_nul() {
    let site = Site::new(AntminerOptions::s19j_pro_2022()).await;
    let bytes = site.raw(Role::Rpc, b"{\"command\":\"stats\"}").await;
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with('\0') && text.matches("}{").count() == 1);
    let text = text.trim_end_matches('\0');
    assert!(serde_json::from_str::<Value>(text).is_err());
    let repaired: Value = serde_json::from_str(&text.replace("}{", "},{")).unwrap();
    assert_eq!(repaired["STATS"][1]["chain_acn1"], json!(126));
    let rpc = RpcOptions { nul: false, ..RpcOptions::default() };
    let site = Site::new(AntminerOptions { rpc, ..AntminerOptions::default() }).await;
    assert!(site.raw(Role::Rpc, b"{\"command\":\"version\"}").await.ends_with(b"}"));
}

#[tokio::test(start_paused = true)]
async fn joined_commands_and_text_where_they_are_known() {
    let rpc = RpcOptions { join: Join::Reports, ..RpcOptions::default() };
    let site = Site::new(AntminerOptions { rpc, ..AntminerOptions::default() }).await;
    let both = ask(&site, &json!({"command": "summary+pools+devdetails"})).await;
    assert_eq!(both.get("STATUS"), None);
    assert_eq!(code(&both["summary"][0]), ("S", 11));
    assert_eq!(code(&both["pools"][0]), ("S", 7));
    assert_eq!(code(&both["devdetails"][0]), ("E", 14));
    let text = String::from_utf8(site.raw(Role::Rpc, b"version\n").await).unwrap();
    assert!(
        text.starts_with("STATUS=S,") && text.contains("|VERSION,") && text.contains("Type=Antminer S21")
    );
}

#[tokio::test(start_paused = true)]
async fn the_port_can_be_closed_and_breaks_while_mining_restarts() {
    let rpc = RpcOptions { listens: false, ..RpcOptions::default() };
    let site = Site::new(AntminerOptions { rpc, ..AntminerOptions::default() }).await;
    assert_eq!(site.device().address(Role::Rpc), None);
    assert_eq!(site.client().get("get_miner_conf").await.json()["api-listen"], json!(false));
    assert!(site.cx.net.tcp((site.device().ip(), 14_028).into()).await.is_err());

    let site = Site::new(AntminerOptions::with_model(AntminerModel::S21)).await;
    site.client().post("set_miner_conf", &json!({"miner-mode": "3"})).await.unwrap();
    let down = site.raw(Role::Rpc, b"{\"command\":\"summary\"}").await;
    assert_eq!(down, b"Socket connect failed: Connection refused\n");
    wait(&site.cx, 21).await;
    assert_eq!(code(&ask(&site, &json!({"command": "summary"})).await), ("S", 11));
}
