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
    let late = json!({"logType": "info", "start": i64::MAX});
    assert_eq!(call("getHistoricalLogs", late).await.unwrap(), json!([]));
    let other = Principal::new("bob", Permissions::parse(["container:r"]).unwrap());
    let seen = ork.call(&other, "getHistoricalLogs", r#"{"logType": "info"}"#).await.unwrap();
    assert!(seen.as_array().unwrap().iter().all(|row| row["id"] == "k1"));

    assert_eq!(call("forgetThings", json!({"all": true})).await.unwrap(), 3);
    assert!(ork.get(&ThingId::new("m1").unwrap()).await.unwrap().items.is_none());
}
