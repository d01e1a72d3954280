use serde_json::json;

use super::*;
use crate::{
    action::Fleet,
    ork::{Orchestrator, OrkFleet, OrkOptions, RackConf, RackRecord},
};

fn picked(selection: &Selection) -> Vec<&str> {
    selection.picks.iter().map(|pick| pick.id.as_str()).collect()
}

fn excluded(selection: &Selection) -> Vec<(&str, &str)> {
    selection.excluded.iter().map(|one| (one.id.as_str(), one.error.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn things_fall_out_one_by_one_with_their_codes() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({"info": {"pos": "1"}, "tags": ["north"]})).await;
    bench.thing(2, Device::new("S2"), json!({"readOnly": true})).await;
    bench.thing(3, Device::new("S3"), json!({"info": {"container": "maintenance"}})).await;
    bench.thing(4, Device::new("S4"), json!({"info": {"serialNum": "label"}})).await;
    bench.thing(5, Device { writable: false, ..Device::new("S5") }, json!({})).await;
    bench.pass(20).await;
    assert!(bench.things.get(&id("m4")).unwrap().held.is_some(), "its device says another serial number");
    bench.thing(6, Device::new("S6"), json!({"opts": {"address": "10.0.0.66"}})).await;

    let all = bench.select("setPowerMode", json!(["sleep"]), json!({})).await.unwrap().unwrap();
    assert_eq!(
        (all.votes, picked(&all)),
        (1, vec!["m1", "m6"]),
        "m6 never answered: it is judged at the look"
    );
    let expected = [
        ("m2", "ERR_THING_READ_ONLY"),
        ("m3", "ERR_THING_IN_MAINTENANCE"),
        ("m4", "ERR_THING_HELD"),
        ("m5", "ERR_UNSUPPORTED"),
    ];
    assert_eq!(excluded(&all), expected);
    let (first, last) = (&all.picks[0], &all.picks[1]);
    assert!(first.tags.iter().any(|tag| tag == "north"));
    assert_eq!((first.power_w, last.power_w), (Some(3400.0), None), "all that it draws; nobody can say");

    let high =
        bench.select("setPowerMode", json!(["high"]), json!({"info.pos": "1"})).await.unwrap().unwrap();
    assert_eq!(excluded(&high), [("m1", "ERR_SET_POWER_MODE_INVALID")]);
    let none = bench.select("reboot", json!([]), json!({"id": "nobody"})).await.unwrap().unwrap();
    assert_eq!((none.picks.len(), none.excluded.len()), (0, 0));
    let four =
        json!({"config": {"poolUrls": vec![json!({"url": "stratum+tcp://a:1", "workerName": "w"}); 4]}});
    let four = bench.select("setupPools", json!([four]), json!({"info.pos": "1"})).await.unwrap().unwrap();
    assert_eq!(excluded(&four), [("m1", "ERR_INVALID")], "the device holds three");
}

#[tokio::test(start_paused = true)]
async fn what_no_thing_would_take_is_refused_as_a_whole() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({})).await;
    for (action, params, query, code) in [
        ("setPowerMode", json!(["turbo"]), json!({}), "ERR_SET_POWER_MODE_INVALID"),
        ("reboot", json!([{"actionId": 1}]), json!({}), "ERR_PARAMS_INVALID"),
        ("reboot", json!([]), json!({"id": {"$nope": 1}}), "ERR_QUERY_INVALID"),
        (
            "updateFirmware",
            json!([{"name": "a", "sha256": "0".repeat(64)}]),
            json!({}),
            "ERR_FIRMWARE_NOT_FOUND",
        ),
        ("registerThing", json!([{}]), json!({}), "ERR_ACTION_INVALID_MISSING_RACKID"),
        ("registerThing", json!([{"rackId": RACK, "tags": "x"}]), json!({}), "ERR_THING_TAGS_INVALID"),
        (
            "updateThing",
            json!([{"rackId": RACK, "id": "m1", "info": 7}]),
            json!({}),
            "ERR_THING_VALIDATE_INFO_INVALID",
        ),
    ] {
        let e = bench.select(action, params, query).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, code), "{action}");
    }
    for unknown in ["switchSocket", "nope"] {
        assert_eq!(bench.select(unknown, json!([]), json!({})).await.unwrap(), None, "{unknown}");
    }
}

#[tokio::test(start_paused = true)]
async fn rack_actions_select_their_rack() {
    let bench = Bench::new().await;
    let one = |selection: Selection| {
        let pick = selection.picks.into_iter().next();
        (selection.votes, pick.map(|pick| pick.id.as_str().to_owned()))
    };
    for (action, params, votes, expected) in [
        ("registerThing", json!([{"rackId": RACK, "id": "n1", "opts": {}}]), 1, Some("n1")),
        ("registerThing", json!([{"rackId": RACK, "opts": {}}]), 1, Some(RACK)),
        ("registerThing", json!([{"rackId": "miner-x-b", "opts": {}}]), 1, None),
        ("forgetThings", json!([{"rackId": RACK, "query": {"id": "m1"}}]), 1, Some("m1")),
        ("rackReboot", json!([{"rackIds": ["miner-x-b", RACK]}]), 2, Some(RACK)),
        ("rackReboot", json!([]), 2, Some(RACK)),
    ] {
        let selection = bench.select(action, params.clone(), json!({})).await.unwrap().unwrap();
        assert_eq!(one(selection), (votes, expected.map(Into::into)), "{action} {params}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_engine_sees_all_racks_and_the_hands_there_are() {
    let bench = Bench::new().await;
    let options = OrkOptions { things: Some(Arc::clone(&bench.things)), ..OrkOptions::default() };
    let ork = Orchestrator::open(&bench.cx, bench.things.store().clone(), options).unwrap();
    let far = json!({"id": "miner-am-far", "type": "miner-am", "info": {"rpcPublicKey": "k"}});
    ork.register_rack(RackRecord::new(far.as_object().unwrap().clone()).unwrap()).await.unwrap();
    let hands = Arc::new(Bench::hands(&bench.cx, &bench.rack));
    ork.attach(bench.other.clone(), RackConf::default()).await.unwrap();
    ork.attach_with_hands(bench.rack.clone(), RackConf::default(), hands).await.unwrap();
    let racks = OrkFleet::new(ork.clone()).racks().unwrap();
    let seen: Vec<_> =
        racks.iter().map(|rack| (rack.id.as_str(), rack.family(), rack.hands.is_some())).collect();
    assert_eq!(
        seen,
        [("miner-am-far", "miner", false), (RACK, "miner", true), ("miner-x-b", "miner", false)]
    );
    assert!(!format!("{racks:?}").contains("own.example"));
    ork.detach(&bench.rack.info().id).await.unwrap();
    assert_eq!(OrkFleet::new(ork).racks().unwrap().len(), 2);
}
