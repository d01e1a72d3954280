//! The same over racks as they are.

use async_trait::async_trait;
use serde_json::json;

use super::{super::*, cx, ip, store};
use crate::{
    ThingId,
    auth::Principal,
    driver::{self, Driver, DriverInfo, Evidence, Match, ProbeSpec, Thing},
    model::ThingConf,
    rack::{LocalRack, RackOptions},
};

/// A driver that opens nothing.
#[derive(Debug)]
struct Dummy(DriverInfo);

#[async_trait]
impl Driver for Dummy {
    fn info(&self) -> &DriverInfo {
        &self.0
    }

    fn probes(&self) -> &[ProbeSpec] {
        &[]
    }

    fn recognise(&self, _: &Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _: &Ctx, _: &ThingConf) -> Result<Arc<dyn Thing>> {
        Err(Error::new(ErrorKind::Unreachable, "dummy", "nobody is there"))
    }
}

async fn ork() -> Orchestrator {
    let cx = cx();
    let store = store().await;
    let things = Things::open(&cx, store.clone()).await.unwrap();
    let options = OrkOptions { things: Some(Arc::clone(&things)), ..OrkOptions::default() };
    let ork = Orchestrator::open(&cx, store, options).unwrap();
    for (thing_type, name) in [("miner-x", "a"), ("miner-x", "b"), ("container-y", "c")] {
        let mut drivers = driver::Registry::new();
        drivers.register(Dummy(DriverInfo::new("dummy", "miner", "Nobody", "")));
        let info = RackInfo::new(thing_type, name).unwrap();
        let options = RackOptions::new("dummy");
        let rack = LocalRack::open(cx.clone(), Arc::new(drivers), Arc::clone(&things), info, options, None);
        ork.attach(Arc::new(rack.await.unwrap()), RackConf::default()).await.unwrap();
    }
    ork
}

#[tokio::test(start_paused = true)]
async fn racks_of_this_process_are_listed_routed_and_remembered() {
    let ork = ork().await;
    let who = Principal::new("ann@site", Permissions::ALL);
    let call = async |method: &str, params: Value| ork.call(&who, method, &params.to_string()).await;
    let map = ThingMap::parse(r#"{"miner-x-a": "10.0.0.0/24", "miner-x-b": "10.0.1.0/24"}"#).unwrap();
    ork.set_thing_map(map, None).await.unwrap();

    let miner =
        |id: &str, address: &str| json!({"id": id, "opts": {"address": address, "password": "hunter2"}});
    for (id, address, rack) in [("m1", "10.0.1.1", "miner-x-b"), ("m2", "10.0.0.1", "miner-x-a")] {
        let made = call("registerThing", miner(id, address)).await.unwrap();
        assert_eq!((&made["id"], &made["rack"]), (&json!(id), &json!(rack)));
    }
    let cooler = json!({"rackId": "container-y-c", "id": "k1", "opts": {"address": "10.0.0.9"}, "info": {"container": "k"}});
    let e = call("registerThing", cooler.clone()).await.unwrap_err();
    assert_eq!(e.code(), "ERR_THING_MAP_OTHER_RACK");
    let cooler = json!({"rackId": "container-y-c", "id": "k1", "opts": {}, "info": {"container": "k"}});
    call("registerThing", cooler).await.unwrap();
    let e = call("registerThing", miner("m1", "10.0.0.2")).await.unwrap_err();
    assert_eq!(e.code(), "ERR_THING_WITH_ID_ALREADY_EXISTS", "in the whole site, not in one rack");

    let listed = call("listThings", json!({"sort": {"id": -1}, "limit": 2})).await.unwrap();
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|thing| &thing["id"]).collect();
    assert_eq!(ids, ["m2", "m1"]);
    assert!(!listed.to_string().contains("hunter2"));
    assert_eq!(call("updateThing", json!({"id": "m1", "info": {"pos": "7"}})).await.unwrap(), 1);
    assert_eq!(
        call("saveThingComment", json!({"rackId": "miner-x-b", "thingId": "m1", "comment": "hot"}))
            .await
            .unwrap(),
        1
    );

    // An address moves; the map says where its thing belongs.
    assert!(ork.misplaced().await.unwrap().items.is_empty());
    let moved = json!({"id": "m1", "opts": {"address": "10.0.0.77"}});
    assert_eq!(call("updateThing", moved).await.unwrap(), 1);
    let moves = ork.misplaced().await.unwrap().items;
    assert_eq!(moves.len(), 1);
    assert_eq!((moves[0].id.as_str(), moves[0].to.as_str()), ("m1", "miner-x-a"));
    assert_eq!(ork.thing_map().value.owner(ip("10.0.0.77")), Some(&moves[0].to));

    let history = call("getHistoricalLogs", json!({"logType": "info", "query": {"id": "m1"}})).await.unwrap();
    let rows = history.as_array().unwrap();
    assert!(rows.len() >= 3 && rows.iter().all(|row| row["id"] == "m1" && row["rack"] == "miner-x-b"));
    assert!(rows.is_sorted_by(|a, b| a["ts"].as_i64() >= b["ts"].as_i64()));
    assert!(!history.to_string().contains("hunter2"));
    // As MiningOS's work orders ask, and by both kinds of bounds.
    let of_thing = json!({"logType": "info", "query": {"thing.id": "m1"}, "limit": "100"});
    let of_thing = call("getHistoricalLogs", of_thing).await.unwrap();
    assert_eq!(&of_thing, &history);
    let thing = &rows[0]["thing"];
    assert_eq!((&thing["type"], &thing["id"]), (&json!("miner-x"), &json!("m1")));
    assert!(thing["code"].is_string() && thing["tags"].is_array() && thing["info"].is_object(), "{thing}");
    let newest = rows[0]["ts"].as_i64().unwrap();
    let bounds = |start: &str, end: &str| json!({"logType": "info", start: newest.to_string(), end: newest});
    let at = call("getHistoricalLogs", bounds("start", "end")).await.unwrap();
    assert!(at.as_array().unwrap().iter().any(|row| row["id"] == "m1"), "both are included");
    for (start, end) in [("startExcl", "end"), ("start", "endExcl")] {
        assert_eq!(call("getHistoricalLogs", bounds(start, end)).await.unwrap(), json!([]));
    }
    let late = json!({"logType": "info", "start": i64::MAX});
    assert_eq!(call("getHistoricalLogs", late).await.unwrap(), json!([]));
    let other = Principal::new("bob", Permissions::parse(["container:r"]).unwrap());
    let seen = ork.call(&other, "getHistoricalLogs", r#"{"logType": "info"}"#).await.unwrap();
    assert!(seen.as_array().unwrap().iter().all(|row| row["id"] == "k1"));

    assert_eq!(call("forgetThings", json!({"all": true})).await.unwrap(), 3);
    assert!(ork.get(&ThingId::new("m1").unwrap()).await.unwrap().items.is_none());
    let gone = json!({"logType": "info", "query": {"what": "forget", "by": "ann@site"}, "sort": {"id": 1}});
    let gone = call("getHistoricalLogs", gone).await.unwrap();
    let gone: Vec<&Value> = gone.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(gone, ["k1", "m1", "m2"]);
    let seen = ork.call(&other, "getHistoricalLogs", r#"{"logType": "info"}"#).await.unwrap();
    assert!(!seen.as_array().unwrap().is_empty());
    assert!(seen.as_array().unwrap().iter().all(|row| row["rack"] == "container-y-c"), "{seen}");
    assert!(seen.as_array().unwrap().iter().all(|row| row["thing"] == json!({"id": "k1"})), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn the_map_of_addresses_is_kept_and_followed_by_methods() {
    let ork = ork().await;
    let who = Principal::new("ann@site", Permissions::ALL);
    let call = async |method: &str, params: Value| ork.call(&who, method, &params.to_string()).await;
    assert_eq!(call("getThingMap", json!({})).await.unwrap(), json!({"thingMap": {}, "revision": 0}));
    for (id, address) in [("m1", "10.0.0.1"), ("m2", "10.0.1.1"), ("m3", "10.9.0.1")] {
        let new = json!({"rackId": "miner-x-a", "id": id, "opts": {"address": address}});
        call("registerThing", new).await.unwrap();
    }
    let map = json!({"miner-x-a": "10.0.0.0/24", "miner-x-b": ["10.0.1.0-10.0.1.99", "10.0.1.100"]});
    let set = call("setThingMap", json!({"thingMap": map, "ifRevision": 0})).await.unwrap();
    let kept = call("getThingMap", json!({})).await.unwrap();
    assert_eq!(
        kept["thingMap"],
        json!({"miner-x-a": "10.0.0.0-10.0.0.255", "miner-x-b": "10.0.1.0-10.0.1.100"})
    );
    assert_eq!(kept["revision"], set["revision"]);

    // Refused with what is wrong, and nothing changed.
    let twice = r#"{"thingMap": {"miner-x-a": "10.0.0.1", "miner-x-b": "10.0.0.0/24"}}"#;
    let e = ork.call(&who, "setThingMap", twice).await.unwrap_err();
    assert_eq!((e.code(), e.fact("field")), ("ERR_THING_MAP_OVERLAP", Some("thingMap")));
    for (params, code, field) in [
        (json!({}), "ERR_THING_MAP_INVALID", Some("thingMap")),
        (json!({"thingMap": "10.0.0.1"}), "ERR_THING_MAP_INVALID", Some("thingMap")),
        (json!({"thingMap": {"miner-x-a": "10.0.0.0/33"}}), "ERR_THING_MAP_INVALID", Some("thingMap")),
        (json!({"thingMap": {"miner-x-z": "10.0.0.1"}}), "ERR_THING_MAP_INVALID", Some("thingMap")),
        (json!({"thingMap": {}, "ifRevision": -1}), "ERR_INVALID", Some("ifRevision")),
        (json!({"thingMap": {}, "ifRevision": 0}), "ERR_CONFLICT", None),
    ] {
        let e = call("setThingMap", params.clone()).await.expect_err(&params.to_string());
        assert_eq!(e.code(), code, "{params}");
        assert!(field.is_none() || e.fact("field") == field, "{params}: {e}");
    }
    assert_eq!(call("getThingMap", json!({})).await.unwrap(), kept);

    let one = json!({"id": "m2", "from": "miner-x-a", "to": "miner-x-b"});
    assert_eq!(call("getMisplacedThings", json!({})).await.unwrap(), json!([one]));
    let cooler = Principal::new("bob", Permissions::parse(["container:rw", "racks:w"]).unwrap());
    assert_eq!(ork.call(&cooler, "getMisplacedThings", "{}").await.unwrap(), json!([]));
    let moves = json!({ "moves": [one] });
    let e = ork.call(&cooler, "reassignThings", &moves.to_string()).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("needs")), (ErrorKind::Forbidden, Some("miner:w")));
    for (params, field) in [
        (json!({}), "moves"),
        (json!({"moves": [{"id": "m2"}]}), "moves[0]"),
        (json!({"moves": [{"id": "m 2", "from": "miner-x-a", "to": "miner-x-b"}]}), "moves[0].id"),
    ] {
        let e = call("reassignThings", params.clone()).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some(field)), "{params}");
    }
    let before = ork.get(&ThingId::new("m2").unwrap()).await.unwrap().items.unwrap().1;
    let done = call("reassignThings", json!({"all": true})).await.unwrap();
    assert_eq!((&done[0]["id"], &done[0]["moved"]), (&json!("m2"), &json!(true)));
    let (rack, after) = ork.get(&ThingId::new("m2").unwrap()).await.unwrap().items.unwrap();
    assert_eq!((rack.as_str(), &after.code), ("miner-x-b", &before.code));
    let late = call("reassignThings", moves).await.unwrap();
    assert_eq!(
        (&late[0]["moved"], &late[0]["error"]["code"]),
        (&json!(false), &json!("ERR_THING_RACK_CHANGED"))
    );
    assert_eq!(call("reassignThings", json!({"all": true})).await.unwrap(), json!([]));
    let history = call("getHistoricalLogs", json!({"logType": "info", "query": {"id": "m2"}})).await.unwrap();
    let done: Vec<&Value> = history.as_array().unwrap().iter().map(|row| &row["what"]).collect();
    assert_eq!(done, ["moved", "register"]);
}

#[tokio::test(start_paused = true)]
async fn doubts_are_listed_and_settled_by_methods() {
    use crate::rack::{Evidence as Told, Sighting};
    let ork = ork().await;
    let who = Principal::new("ann@site", Permissions::ALL);
    let call = async |method: &str, params: Value| ork.call(&who, method, &params.to_string()).await;
    for (n, id) in ["m1", "m2", "m3"].into_iter().enumerate() {
        let serial = if n == 2 { "label" } else { "" };
        let new = json!({"rackId": "miner-x-a", "id": id, "opts": {"address": format!("10.0.0.{n}")},
            "info": {"serialNum": serial}});
        call("registerThing", new).await.unwrap();
    }
    let things = ork.0.things.clone().unwrap();
    let later = crate::io::Timestamp(i64::MAX);
    let told = |serial: &str| Told { serial: Some(serial.into()), ..Told::default() };
    let seen = [("m1", "S1"), ("m2", "S1"), ("m3", "S3")]
        .map(|(id, serial)| Sighting::polled(ThingId::new(id).unwrap(), told(serial), later));
    things.sight(seen.into()).await.unwrap();
    let held = async |query: Value| -> Vec<String> {
        let listed = call("listThings", json!({"query": query, "fields": {"id": 1}})).await.unwrap();
        listed.as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(held(json!({"held": {"$exists": true}})).await, ["m1", "m2", "m3"]);
    assert_eq!(held(json!({"held.reason": "same_identity"})).await, ["m1", "m2"]);
    assert_eq!(held(json!({"held.differs": "info.serialNum"})).await, ["m3"]);

    let merge = json!({"keep": "m1", "drop": "m2"}).to_string();
    let cooler = Principal::new("bob", Permissions::parse(["container:rw"]).unwrap());
    assert_eq!(ork.call(&cooler, "mergeThings", &merge).await.unwrap_err().code(), "ERR_THING_NOTFOUND");
    let reader = Principal::new("eve", Permissions::parse(["miner:r", "container:w"]).unwrap());
    let e = ork.call(&reader, "mergeThings", &merge).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("needs")), (ErrorKind::Forbidden, Some("miner:w")));
    assert_eq!(call("mergeThings", json!({"keep": "m1", "drop": "m2"})).await.unwrap(), 1);
    assert_eq!(call("splitThing", json!({"id": "m3"})).await.unwrap(), 1);
    assert_eq!(held(json!({"held": {"$exists": true}})).await, Vec::<String>::new());
    assert_eq!(call("splitThing", json!({"id": "m3"})).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(
        call("mergeThings", json!({"keep": "m1", "drop": "m2"})).await.unwrap_err().code(),
        "ERR_THING_NOTFOUND"
    );
    assert_eq!(call("mergeThings", json!({"keep": "m1"})).await.unwrap_err().fact("field"), Some("drop"));
    assert_eq!(things.get(&ThingId::new("m3").unwrap()).unwrap().info.map()["serialNum"], "S3");
}
