use super::*;
use crate::query::{Hidden, Query};

#[tokio::test(start_paused = true)]
async fn secrets_stand_nowhere_but_at_the_driver() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    site.lab.place("10.0.0.1", Device::default());
    let new = json!({
        "id": "m1",
        "opts": {"address": "10.0.0.1", "username": "root", "password": "hunter-2",
            "v3": {"apiSecret": "hunter-3", "list": [{"passphrase": "hunter-4"}]}},
        "info": {"pos": "1", "workerPassword": "hunter-5", "pool": {"token": "hunter-6"}}
    });
    rack.register(draft(new), &by()).await.unwrap();
    let update = json!({"opts": {"password": "hunter-7"}, "info": {"workerPassword": "hunter-8"}});
    rack.update(&id("m1"), change(update), &by()).await.unwrap();
    site.pass(3).await;
    assert_eq!(site.lab.opened("m1").last().unwrap().1, "hunter-7");

    let open = Hidden::nothing();
    let query = Query::from_value(&json!({"status": true}), &open).unwrap();
    let page = rack.list(&query).await.unwrap();
    let record = rack.get(&id("m1")).await.unwrap().unwrap();
    let mut shown = format!("{page:?} {record:?} {rack:?} {:?}", site.things);
    shown += &serde_json::to_string(&*record).unwrap();
    shown += &serde_json::to_string(&site.things.history(&id("m1")).unwrap()).unwrap();
    let bad = json!({"id": "m1", "code": "hunter-9", "opts": {"address": 7, "password": "hunter-9"}});
    let e = rack.register(draft(bad), &by()).await.unwrap_err();
    shown += &format!("{e} {e:?}");
    let bytes = String::from_utf8_lossy(&site.disk.bytes()).into_owned();
    let last = String::from_utf8_lossy(&site.last_disk.bytes()).into_owned();
    for (place, text) in [("shown", shown), ("file", bytes), ("last file", last)] {
        assert!(!text.contains("hunter"), "a secret stands in: {place}");
    }
    let doc = listed(&rack, "m1").await;
    assert_eq!(doc["info"]["pool"], json!({}));
    assert!(doc.to_string().contains("10.0.0.1") && !doc.to_string().contains("sealed"));
}

#[tokio::test(start_paused = true)]
async fn settings_take_no_secrets() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    let wrong = rack.save_settings(map(json!({"a": 1, "smtp": [{"password": "hunter-1"}]})), &by()).await;
    assert_eq!(refused(wrong), ("ERR_ENTRIES_INVALID", Some("entries.smtp.password".into())));
    assert!(rack.settings().await.unwrap().is_empty());
    assert!(!String::from_utf8_lossy(&site.disk.bytes()).contains("hunter"));
}
