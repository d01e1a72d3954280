use super::*;
use crate::rack::HistoryKind;

#[tokio::test(start_paused = true)]
async fn a_thing_is_stamped_coded_tagged_polled_and_listed() {
    let site = Site::new().await;
    let rack = site.rack_of(TYPE, "r1", |o| o.tags = vec!["xx".into()]).await;
    site.lab.place("10.0.0.7", Device::default());
    let new = draft(json!({
        "opts": {"address": "10.0.0.7", "port": 14028, "password": "hunter-2"},
        "info": {"pos": "1_2", "container": "c1", "createdAt": 5}, "tags": ["site-a"], "comment": "new"
    }));
    assert_eq!(rack.next_code().await.unwrap(), "XX-ONE-0001");
    let record = rack.register(new, &by()).await.unwrap();
    assert_eq!(record.id.as_str().len(), 15);
    assert_eq!((record.code.as_str(), record.driver.as_str()), ("XX-ONE-0001", "dummy"));
    assert_eq!(record.info.map()["createdAt"], START.0);
    let own = [format!("id-{}", record.id), "code-XX-ONE-0001".into()];
    let expected = [
        "t-miner-xx-one",
        "t-miner-xx",
        "t-miner",
        "xx",
        "site-a",
        &own[0],
        &own[1],
        "pos-1_2",
        "container-c1",
    ];
    assert_eq!(tags_of(&record), expected);
    assert_eq!((record.comments[0].comment.as_str(), record.comments[0].user.as_str()), ("new", "ann@site"));
    assert_eq!(rack.next_code().await.unwrap(), "XX-ONE-0002");
    site.pass(2).await;
    let doc = listed(&rack, record.id.as_str()).await;
    assert_eq!(doc["last"]["snap"]["success"], true);
    assert_eq!(doc["last"]["link"], "online");
    let shown = (&doc["address"], &doc["port"], &doc["rack"], &doc["type"]);
    assert_eq!(shown, (&json!("10.0.0.7"), &json!(14028), &json!("miner-xx-one-r1"), &json!(TYPE)));
    assert!(doc.get("opts").is_none());
    let history = site.things.history(&record.id).unwrap();
    assert_eq!((history[0].what, history[0].by.as_str()), (HistoryKind::Register, "ann@site"));
}

#[tokio::test(start_paused = true)]
async fn each_check_has_its_code_and_field_over_the_whole_site() {
    let site = Site::new().await;
    let (first, second) = (site.rack("r1").await, site.rack_of("miner-yy-two", "r2", |_| {}).await);
    let taken = draft(json!({
        "id": "m1", "code": "XX-ONE-0007", "opts": {"address": "10.0.0.7"},
        "info": {"macAddress": "c8:11:05:00:0a:01", "serialNum": "S1", "pos": "1_2", "container": "c1"}
    }));
    first.register(taken, &by()).await.unwrap();
    let a = "10.0.0.9";
    let cases = [
        (json!({"id": "m1"}), "ERR_THING_WITH_ID_ALREADY_EXISTS", "id"),
        (json!({"id": "m 1"}), "ERR_THING_ID_INVALID", "id"),
        (json!({"code": "XX-ONE-0007"}), "ERR_THING_WITH_CODE_ALREADY_EXISTS", "code"),
        (json!({"code": "XX"}), "ERR_THING_CODE_INVALID", "code"),
        (json!({"tags": [""]}), "ERR_THING_TAGS_INVALID", "tags"),
        (json!({"opts": null}), "ERR_THING_VALIDATE_OPTS_INVALID", "opts"),
        (json!({"opts": {"address": 7}}), "ERR_THING_VALIDATE_OPTS_INVALID", "opts.address"),
        (json!({"opts": {"address": "10.0.0. 9"}}), "ERR_THING_VALIDATE_OPTS_INVALID", "opts.address"),
        (json!({"opts": {"address": a, "port": "high"}}), "ERR_THING_VALIDATE_OPTS_INVALID", "opts.port"),
        (json!({"opts": {"address": "::ffff:10.0.0.7"}}), "ERR_THING_IP_ADDRESS_EXISTS", "opts.address"),
        (json!({"opts": {"address": "10.0.0.7", "port": 9}}), "ERR_THING_IP_ADDRESS_EXISTS", "opts.address"),
        (
            json!({"info": {"macAddress": "C8-11-05-00-0A-01"}}),
            "ERR_THING_MACADDRESS_EXISTS",
            "info.macAddress",
        ),
        (json!({"info": {"macAddress": "c8"}}), "ERR_THING_MACADDRESS_INVALID", "info.macAddress"),
        (
            json!({"info": {"macAddress": "01:00:00:00:00:00"}}),
            "ERR_THING_MACADDRESS_MULTICAST",
            "info.macAddress",
        ),
        (json!({"info": {"serialNum": "S1"}}), "ERR_THING_SERIALNUM_EXISTS", "info.serialNum"),
        (json!({"info": {"pos": "1_2", "container": "c1"}}), "ERR_THING_POS_EXISTS", "info.pos"),
        (json!({"driver": "none"}), "ERR_INVALID", "driver"),
        (json!({"comment": " "}), "ERR_INVALID", "comment"),
        (json!({"info": {"x": "y".repeat(70_000)}}), "ERR_INVALID", "info"),
    ];
    let before = site.disk.bytes();
    for (members, code, field) in cases {
        let mut whole = map(json!({"opts": {"address": a}}));
        whole.extend(map(members));
        let result = second.register(draft(Value::Object(whole.clone())), &by()).await;
        assert_eq!(refused(result), (code, Some(field.to_owned())), "{whole:?}");
    }
    assert!(site.things.len() == 1 && site.disk.bytes() == before, "a refusal changed something");
    let free = json!({"opts": {"address": a}, "info": {"pos": "1_2", "container": "c2", "macAddress": ""}});
    assert_eq!(second.register(draft(free), &by()).await.unwrap().code, "YY-TWO-0001");
}

#[tokio::test(start_paused = true)]
async fn other_families_need_less_and_do_not_meet_miners() {
    let site = Site::new().await;
    let (miners, meters) = (site.rack("r1").await, site.rack_of("powermeter-zz-m1", "r2", |_| {}).await);
    miners.register(miner("m1", "10.0.0.7"), &by()).await.unwrap();
    let meter = json!({"id": "p1", "opts": {"address": "10.0.0.7", "unitId": 3}});
    meters.register(draft(meter), &by()).await.unwrap();
    meters.register(draft(json!({"id": "p2"})), &by()).await.unwrap();
    assert_eq!(listed(&meters, "p1").await["unitId"], 3);
    let loose = site.rack_of(TYPE, "r3", |o| o.allow_duplicate_ips = true).await;
    loose.register(miner("m2", "10.0.0.7"), &by()).await.unwrap();
    assert_eq!(
        refused(miners.register(miner("m3", "10.0.0.7"), &by()).await).0,
        "ERR_THING_IP_ADDRESS_EXISTS"
    );
}

#[tokio::test(start_paused = true)]
async fn many_are_judged_one_by_one_and_durable_together() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    let drafts = vec![
        miner("m1", "10.0.0.1"),
        miner("m1", "10.0.0.2"),
        miner("m2", "10.0.0.1"),
        miner("m3", "10.0.0.3"),
    ];
    let before = site.things.store().health().commits;
    let results = rack.register_many(drafts, &by()).await;
    assert_eq!(site.things.store().health().commits, before + 1);
    let codes: Vec<&str> = results.iter().map(|r| r.as_ref().map_or_else(|e| e.code(), |_| "")).collect();
    assert_eq!(codes, ["", "ERR_THING_WITH_ID_ALREADY_EXISTS", "ERR_THING_IP_ADDRESS_EXISTS", ""]);
    let made: Vec<&str> = results.iter().flatten().map(|r| r.code.as_str()).collect();
    assert_eq!(made, ["XX-ONE-0001", "XX-ONE-0002"]);
    assert!(results.iter().flatten().all(|r| r.revision() > 0));
}

#[tokio::test(start_paused = true)]
async fn codes_of_forgotten_things_are_free_again_and_never_before() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    rack.register(draft(json!({"id": "m1", "code": "XX-ONE-0450", "opts": {}})), &by()).await.unwrap();
    assert_eq!(rack.register(miner("m2", "10.0.0.2"), &by()).await.unwrap().code, "XX-ONE-0451");
    let one =
        |id: &str| crate::rack::Which::Matching(crate::query::Filter::parse(&json!({"id": id})).unwrap());
    rack.forget(&one("m1"), &by()).await.unwrap();
    assert_eq!(rack.next_code().await.unwrap(), "XX-ONE-0452");
    rack.forget(&one("m2"), &by()).await.unwrap();
    assert_eq!(rack.next_code().await.unwrap(), "XX-ONE-0001");
}
