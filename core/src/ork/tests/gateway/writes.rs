use serde_json::json;

use super::*;

#[tokio::test]
async fn set_wrk_ext_data() {
    let at = Gateway::new().await;
    let settings = json!({"miningRevenueTaxFees": {}, "sellingEnergyTaxFees": {}, "buyingEnergyTaxFees": {},
        "lcoe": {"usdPerMwh": 40}, "siteEfficiency": {}});
    let params = json!({"type": "electricity", "key": "forecastSettings", "value": settings});
    assert_eq!(at.get("setWrkExtData", params).await, 1);
    assert_eq!(at.ext("electricity", json!({"key": "forecastSettings"})).await, [settings]);
    let rows = json!([{"ts": NOW, "mwh": 30}]);
    let params = json!({"type": "electricity", "key": "availableEnergy", "value": rows});
    assert_eq!(at.get("setWrkExtData", params).await, 1);
    assert_eq!(at.ext("electricity", json!({"key": "availableEnergy"})).await, *rows.as_array().unwrap());
}

#[tokio::test]
async fn set_global_config() {
    let at = Gateway::new().await;
    let config = at.get("setGlobalConfig", json!({"isAutoSleepAllowed": true})).await;
    assert_eq!(config, json!({"isAutoSleepAllowed": true, "nominalSiteMinerCapacity": 600}));
}

#[tokio::test]
async fn get_and_save_wrk_settings() {
    let at = Gateway::new().await;
    let entries = json!({"rackId": FRONT, "entries": {"a": 1}});
    assert_eq!(at.get("saveWrkSettings", entries).await, json!({"a": 1}));
    assert_eq!(at.get("getWrkSettings", json!({"rackId": FRONT})).await, json!({"a": 1}));
    assert_eq!(at.get("getWrkSettings", json!({"rackId": "gone"})).await, 0);
    assert_eq!(at.get("saveWrkSettings", json!({"rackId": "gone", "entries": {"a": 1}})).await, 0);
}

#[tokio::test]
async fn thing_comments() {
    let at = Gateway::new().await;
    let of = |more: Value| {
        let mut body = json!({"rackId": FRONT, "thingId": format!("{FRONT}-1"), "user": "ann@site"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    assert_eq!(at.get("saveThingComment", of(json!({"comment": "hot", "pos": "1-1"}))).await, 1);
    assert_eq!(at.get("editThingComment", of(json!({"id": "c0", "ts": 0, "comment": "cold"}))).await, 1);
    assert_eq!(at.get("deleteThingComment", of(json!({"ts": "0"}))).await, 1);
    assert!(at.site.front.comments().is_empty());
    let gone = json!({"rackId": "gone", "thingId": "x", "comment": "x", "user": "ann@site"});
    assert_eq!(at.get("saveThingComment", gone).await, 0);
}

#[tokio::test]
async fn work_order_files() {
    let at = Gateway::new().await;
    let order = |more: Value| {
        let mut body = json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let file = json!({"name": "a.csv", "mime": "text/csv", "contentBase64": "YQ==", "user": "ann@site"});
    let kept = at.get("storeFile", order(file)).await;
    assert!(kept["id"].is_string() && kept["name"] == "a.csv" && kept["mime"] == "text/csv", "{kept}");
    assert_eq!(kept["size"], 1);
    let one = order(json!({"fileId": kept["id"]}));
    assert_eq!(at.get("loadFile", one.clone()).await, json!({"contentBase64": "YQ=="}));
    assert_eq!(at.get("removeFile", one).await, json!({"cleared": true}));
}

#[tokio::test]
async fn forget_things() {
    let at = Gateway::new().await;
    assert_eq!(at.get("forgetThings", json!({"query": {"id": format!("{FRONT}-1")}})).await, 1);
    assert_eq!(at.get("forgetThings", json!({"all": true})).await, 5);
}
