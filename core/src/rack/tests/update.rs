use super::*;
use crate::{
    query::Filter,
    rack::{HistoryKind, Which},
};

async fn two() -> (Site, LocalRack) {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    for (name, address, pos, container) in [("m1", "10.0.0.1", "1_1", "c1"), ("m2", "10.0.0.2", "1_1", "c2")]
    {
        site.lab.place(address, Device::default());
        let new = json!({
            "id": name, "opts": {"address": address, "password": "old-pass"},
            "info": {"pos": pos, "container": container}, "tags": ["repos-1", "x"]
        });
        rack.register(draft(new), &by()).await.unwrap();
    }
    (site, rack)
}

#[tokio::test(start_paused = true)]
async fn new_options_reach_the_driver_and_the_old_one_is_closed() {
    let (site, rack) = two().await;
    site.pass(3).await;
    site.lab.place("10.0.0.9", Device::default());
    rack.update(&id("m1"), change(json!({"opts": {"address": "10.0.0.9"}})), &by()).await.unwrap();
    rack.update(&id("m1"), change(json!({"opts": {"password": "new-pass"}})), &by()).await.unwrap();
    site.pass(3).await;
    let opened = site.lab.opened("m1");
    assert_eq!(opened.first().unwrap(), &("10.0.0.1".into(), "old-pass".into()));
    assert_eq!(opened.last().unwrap(), &("10.0.0.9".into(), "new-pass".into()));
    assert!(lock(&site.lab.closed).contains(&"m1".into()));
    let count = opened.len();
    rack.update(&id("m1"), change(json!({"info": {"note": 1}})), &by()).await.unwrap();
    site.pass(3).await;
    assert_eq!(site.lab.opened("m1").len(), count, "a note needs no new connection");
}

#[tokio::test(start_paused = true)]
async fn the_result_is_checked_and_not_only_what_changes() {
    let (site, rack) = two().await;
    let moved = rack.update(&id("m1"), change(json!({"info": {"container": "c2"}})), &by()).await;
    assert_eq!(refused(moved), ("ERR_THING_POS_EXISTS", Some("info.pos".into())));
    let address = rack.update(&id("m1"), change(json!({"opts": {"address": "10.0.0.2"}})), &by()).await;
    assert_eq!(refused(address).0, "ERR_THING_IP_ADDRESS_EXISTS");
    let port = rack.update(&id("m1"), change(json!({"opts": {"port": "high"}})), &by()).await;
    assert_eq!(refused(port), ("ERR_THING_VALIDATE_OPTS_INVALID", Some("opts.port".into())));
    let nowhere = json!({"info": {"location": "site.container", "container": ""}});
    let nowhere = rack.update(&id("m1"), change(nowhere), &by()).await;
    assert_eq!(refused(nowhere).0, "ERR_THING_VALIDATE_CONTAINER_INVALID");
    assert_eq!(refused(rack.update(&id("m9"), change(json!({})), &by()).await).0, "ERR_THING_NOTFOUND");
    assert_eq!(site.things.get(&id("m1")).unwrap().info.map()["container"], "c1");
    // A swap frees what it leaves.
    rack.update(&id("m2"), change(json!({"info": {"pos": "1_2"}})), &by()).await.unwrap();
    rack.update(&id("m1"), change(json!({"info": {"container": "c2"}})), &by()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn merge_overwrite_tags_revision_and_history() {
    let (site, rack) = two().await;
    let first = site.things.get(&id("m1")).unwrap();
    site.pass(1).await;
    let all = json!({"info": {"pos": "9", "createdAt": 1}, "forceOverwrite": true, "tags": ["y", "pos-1_1"],
        "comment": "moved", "actionId": 12, "ifRevision": first.revision()});
    let record = rack.update(&id("m1"), change(all.clone()), &by()).await.unwrap();
    assert_eq!(record.info.map()["createdAt"], START.0);
    assert_eq!(
        (&record.info.map()["updatedAt"], &record.info.map()["lastActionId"]),
        (&json!(START.0 + 1000), &json!(12))
    );
    assert!(record.info.get("container").is_none() && record.address() == Some("10.0.0.1"));
    let expected = ["t-miner-xx-one", "t-miner-xx", "t-miner", "y", "id-m1", "code-XX-ONE-0001", "pos-9"];
    assert_eq!(tags_of(&record), expected);
    let late = rack.update(&id("m1"), change(all), &by()).await.unwrap_err();
    assert_eq!(
        (late.kind(), late.fact("revision")),
        (ErrorKind::Conflict, Some(&*record.revision().to_string()))
    );
    let history = site.things.history(&id("m1")).unwrap();
    let newest = &history[0];
    assert_eq!(newest.changes["pos"].new_value, Some(json!("9")));
    assert_eq!((newest.what, newest.by.as_str()), (HistoryKind::Update, "ann@site"));
}

#[tokio::test(start_paused = true)]
async fn read_only_is_set_taken_back_and_told() {
    let (site, rack) = two().await;
    for wanted in [true, false] {
        let record = rack.update(&id("m1"), change(json!({"readOnly": wanted})), &by()).await.unwrap();
        assert_eq!(record.read_only, wanted);
        assert_eq!(listed(&rack, "m1").await.get("readOnly").is_some(), wanted);
        let newest = &site.things.history(&id("m1")).unwrap()[0];
        assert_eq!(newest.changes["readOnly"].new_value, Some(json!(wanted)));
        let note = rack.update(&id("m1"), change(json!({"info": {"n": 1}})), &by()).await.unwrap();
        assert_eq!(note.read_only, wanted, "what is not named stays");
    }
}

#[tokio::test(start_paused = true)]
async fn maintenance_is_not_polled_and_shows_it() {
    let (site, rack) = two().await;
    site.pass(3).await;
    rack.update(&id("m1"), change(json!({"info": {"container": "maintenance"}})), &by()).await.unwrap();
    let polls = rack.counts();
    assert_eq!(polls.things, 1);
    let doc = listed(&rack, "m1").await;
    assert_eq!(
        (&doc["last"]["maintenance"], &doc["last"]["snap"]["stats"]["status"]),
        (&json!(true), &json!("offline"))
    );
    assert!(rack.last(&id("m1")).await.unwrap().is_none());
    rack.update(&id("m1"), change(json!({"info": {"container": "c1"}})), &by()).await.unwrap();
    site.pass(3).await;
    assert_eq!(listed(&rack, "m1").await["last"]["link"], "online");
}

#[tokio::test(start_paused = true)]
async fn forgetting_is_all_or_none_and_needs_a_clear_word() {
    let (site, rack) = two().await;
    site.pass(3).await;
    let empty = rack.forget(&Which::Matching(Filter::all()), &by()).await;
    assert_eq!(refused(empty), ("ERR_QUERY_INVALID", Some("query".into())));
    let none = Which::Matching(Filter::parse(&json!({"id": "m9"})).unwrap());
    assert!(rack.forget(&none, &by()).await.unwrap().is_empty());
    let online = Which::Matching(Filter::parse(&json!({"last.snap.success": true, "id": "m1"})).unwrap());
    assert_eq!(rack.forget(&online, &by()).await.unwrap(), [id("m1")]);
    assert_eq!(rack.forget(&Which::All, &by()).await.unwrap(), [id("m2")]);
    site.pass(1).await;
    assert_eq!((rack.counts().things, site.things.len()), (0, 0));
    let mut closed = lock(&site.lab.closed).clone();
    closed.sort();
    assert_eq!(closed, ["m1", "m2"]);
    assert_eq!(site.things.history(&id("m1")).unwrap()[0].what, HistoryKind::Forget);
    rack.register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    let site = {
        drop(rack);
        site.restart().await
    };
    assert!(site.things.get(&id("m1")).is_some() && site.things.get(&id("m2")).is_none());
}

#[tokio::test(start_paused = true)]
async fn history_names_what_changed_and_is_bounded() {
    let (site, rack) = two().await;
    rack.update(&id("m1"), change(json!({"info": {"pos": "7", "a": {"b": 1}, "list": [1]}})), &by())
        .await
        .unwrap();
    rack.update(&id("m1"), change(json!({"info": {"a": {"b": 2}, "list": [2]}})), &by()).await.unwrap();
    let changes = serde_json::to_value(&site.things.history(&id("m1")).unwrap()[0].changes).unwrap();
    let expected =
        json!({"a.b": {"oldValue": 1, "newValue": 2}, "list": {"additions": [2], "deletions": [1]}});
    assert_eq!(changes, expected);
    for n in 0..120 {
        rack.update(&id("m1"), change(json!({"info": {"n": n}})), &by()).await.unwrap();
    }
    let history = site.things.history(&id("m1")).unwrap();
    assert_eq!(history.len(), 100);
    assert_eq!(history[0].changes["n"].new_value, Some(json!(119)));
}
