//! A whole site on real sockets and real files, with simulated miners.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

mod support;

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use headframe::{
    ErrorKind, ThingId,
    action::{Fleet as _, catalogue::FirmwareShelf},
    auth::{Permissions, Principal},
    driver::Ports,
    io::Ctx,
    ork::{ExtData, ExtQuery, OrkFleet, ThingMap},
    query::Query,
    rack::{CollectorOptions, HeldReason, HistoryKind, Link, Partial, RackId, RackOptions},
    site::{FindReport, Login, Site},
};
use headframe_sim::FleetBuilder;
use serde_json::{Map, Value, json};
use support::{Folder, builder, fleet, me, until, until_online};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_finds_registers_and_remembers() {
    let (cx, folder) = (Ctx::system(), Folder::new("remembers"));
    let fleet = fleet(&cx, 61, 4, 3).await;
    let site = builder().open_or_create(&cx, folder.path()).await.unwrap();
    let id = site.id().to_owned();
    let login = Login::new("antminer").with("password", "root");
    let range = || "127.61.0.1-127.61.0.9".parse().unwrap();
    let report = site
        .find_and_register(range(), Ports::simulated(), std::slice::from_ref(&login), &me())
        .await
        .unwrap();
    assert_eq!((report.registered.len(), report.known.len(), report.refused.len()), (7, 0, 0), "{report:?}");
    until_online(&cx, &site, 7).await;

    let query =
        Query::parse_str(r#"{"query":{"type":"miner-am-s21"},"fields":{"id":1,"last":1},"status":true}"#)
            .unwrap();
    let page = site.list(&query).await.unwrap();
    assert!(page.failed.is_empty());
    assert_eq!(page.items.items.len(), 3);
    for item in &page.items.items {
        assert_eq!(item.value.get("last.snap.stats.status").unwrap().as_str(), Some("mining"));
        assert!(!item.value.to_string().contains("root"), "no password in a listing");
    }
    let again = site.find_and_register(range(), Ports::simulated(), &[login], &me()).await.unwrap();
    assert_eq!((again.registered.len(), again.known.len(), again.refused.len()), (0, 7, 0), "{again:?}");
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    fleet.stop().await;

    // The devices are gone; the site knows them all the same, and what they said last.
    let site = builder().open(&cx, folder.path()).await.unwrap();
    assert_eq!((site.id(), site.things().len()), (id.as_str(), 7));
    for asked in [0, 7] {
        // Also when they have been asked in vain.
        until(&cx, "all were asked", || site.counts().polls_failed >= asked).await;
        for id in site.things().ids() {
            let last = site.last(&id).await.unwrap().expect("what it said before the restart");
            let good = last.good.as_ref().expect("it had answered");
            assert_ne!(last.link, Link::Online, "an old reading is never passed off as fresh");
            assert_eq!(good.snapshot.miner().unwrap().stats.is_mining, Some(true));
        }
    }
    site.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_of_all_racks_come_through_one_subscription() {
    let (cx, folder) = (Ctx::system(), Folder::new("readings"));
    let _fleet = fleet(&cx, 62, 2, 2).await;
    let site = builder().create(&cx, folder.path()).await.unwrap();
    let mut readings = site.subscribe(64);
    let range = "127.62.0.1-127.62.0.4".parse().unwrap();
    site.find_and_register(range, Ports::simulated(), &[], &me()).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 4 {
        let event = readings.next().await.unwrap();
        seen.insert(event.reading.thing.clone());
    }
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    while readings.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn miningos_methods_are_spoken_over_the_site() {
    let (cx, folder) = (Ctx::system(), Folder::new("methods"));
    let site = builder().create(&cx, folder.path()).await.unwrap();
    let who = Principal::new("operator", Permissions::parse(["miner:rw"]).unwrap());
    let params = r#"{"rackId":"miner-am-s21-hall-1","opts":{"address":"127.63.0.1","password":"hidden-word"},
        "info":{"pos":"1_2","container":"c1","macAddress":"AA:00:00:00:00:01"}}"#;
    let made = site.orchestrator().call(&who, "registerThing", params).await.unwrap();
    assert_eq!(made["code"], "AM-S21-0001");
    let twice = site.orchestrator().call(&who, "registerThing", params).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict, "{twice}");
    let things = site.orchestrator().call(&who, "listThings", "{}").await.unwrap();
    assert_eq!(things.as_array().unwrap().len(), 1);
    assert!(!things.to_string().contains("hidden-word"));
    let nobody = Principal::new("nobody", Permissions::parse(Vec::<&str>::new()).unwrap());
    let refused = site.orchestrator().call(&nobody, "forgetThings", r#"{"all":true}"#).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden, "{refused}");
    let unknown = site.orchestrator().call(&who, "dropTables", "{}").await.unwrap_err();
    assert_eq!(unknown.code(), "UNKNOWN_METHOD");
    assert_eq!(site.things().len(), 1);
    let racks = OrkFleet::new(site.orchestrator().clone()).racks().unwrap();
    assert!(racks.len() == 2 && racks.iter().all(|rack| rack.hands.is_some()), "{racks:?}");
    site.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn things_go_to_the_rack_that_owns_their_address() {
    let (cx, folder) = (Ctx::system(), Folder::new("reassign"));
    let fleet = fleet(&cx, 64, 3, 0).await;
    let mut options = RackOptions::new("whatsminer");
    options.collector = CollectorOptions::every(Duration::from_millis(500));
    let both = || builder().rack("miner-wm-m50s", "hall-2", options.clone());
    let site = both().create(&cx, folder.path()).await.unwrap();
    let range = "127.64.0.1-127.64.0.3".parse().unwrap();
    site.find_and_register(range, Ports::simulated(), &[], &me()).await.unwrap();
    until_online(&cx, &site, 3).await;
    let [first, second] =
        ["hall-1", "hall-2"].map(|hall| RackId::new(&format!("miner-wm-m50s-{hall}")).unwrap());
    assert_eq!((site.things().of_rack(&first).len(), site.ownership().await.unwrap().items), (3, vec![]));

    let map = format!(r#"{{"{first}": "127.64.0.1", "{second}": "127.64.0.2-127.64.0.3"}}"#);
    site.orchestrator().set_thing_map(ThingMap::parse(&map).unwrap(), None).await.unwrap();
    let Partial { items: moves, failed, .. } = site.ownership().await.unwrap();
    assert!(failed.is_empty());
    assert_eq!(moves.len(), 2);
    assert!(moves.iter().all(|one| one.from == first && one.to == second), "{moves:?}");
    let before: Vec<_> = moves.iter().map(|one| site.things().get(&one.id).unwrap().code.clone()).collect();
    let mut readings = site.rack(&second).unwrap().subscribe(16);
    let done = site.reassign(moves.clone(), &me()).await;
    let after: Vec<_> = done.iter().map(|(_, moved)| moved.as_ref().unwrap().code.clone()).collect();
    assert_eq!(before, after);
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        let reading = readings.next().await.unwrap().reading;
        assert!(moves.iter().any(|one| one.id == reading.thing));
        if reading.link == Link::Online {
            seen.insert(reading.thing.clone());
        }
    }
    until_online(&cx, &site, 3).await;
    assert_eq!([&first, &second].map(|rack| site.rack(rack).unwrap().counts().things), [1, 2]);
    assert!(site.ownership().await.unwrap().items.is_empty());
    let again = site.reassign(moves, &me()).await;
    assert!(again.iter().all(|(_, e)| e.as_ref().unwrap_err().kind() == ErrorKind::Conflict), "{again:?}");
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    let site = both().open(&cx, folder.path()).await.unwrap();
    assert_eq!([first, second].map(|rack| site.things().of_rack(&rack).len()), [1, 2]);
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    fleet.stop().await;
}

/// The same devices at other addresses: each has the serial numbers and MAC address that it had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_at_new_addresses_are_followed_and_copies_are_held() {
    let (cx, folder) = (Ctx::system(), Folder::new("follows"));
    let at = |last: u8| {
        let builder = FleetBuilder::new().seed(65).base(Ipv4Addr::new(127, 65, 0, last));
        builder.whatsminers(2).antminers(2)
    };
    let before = at(1).start(&cx).await.unwrap();
    let site = builder().create(&cx, folder.path()).await.unwrap();
    let find = async || {
        let range = "127.65.0.1-127.65.0.40".parse().unwrap();
        site.find_and_register(range, Ports::simulated(), &[], &me()).await.unwrap()
    };
    let first = find().await;
    assert_eq!((first.registered.len(), first.refused.len()), (4, 0), "{first:?}");
    until_online(&cx, &site, 4).await;
    until(&cx, "all identities are known", || {
        site.things().ids().iter().all(|id| site.things().get(id).unwrap().evidence.is_some())
    })
    .await;
    let addresses = || -> BTreeMap<String, String> {
        let records = site.things().ids().into_iter().map(|id| site.things().get(&id).unwrap());
        records.map(|record| (record.id.to_string(), record.address().unwrap().to_owned())).collect()
    };
    let old = addresses();

    // A DHCP server gave them other leases. Followed at once, also while they still count as online.
    before.stop().await;
    let moved = at(11).start(&cx).await.unwrap();
    let second = find().await;
    let shape = |r: &FindReport| [r.registered.len(), r.known.len(), r.moved.len(), r.refused.len()];
    assert_eq!(shape(&second), [0, 0, 4, 0], "{second:?}");
    let new = addresses();
    assert_eq!(old.keys().collect::<Vec<_>>(), new.keys().collect::<Vec<_>>());
    assert!(old.values().all(|address| !new.values().any(|other| other == address)), "{old:?} {new:?}");
    for id in site.things().ids() {
        let newest = &site.things().history(&id).unwrap()[0];
        let change = &newest.changes["opts.address"];
        assert_eq!((newest.what, newest.by.as_str()), (HistoryKind::Moved, "headframe"));
        assert_eq!(change.new_value.as_ref().unwrap(), &new[id.as_str()]);
    }
    until_online(&cx, &site, 4).await;
    assert_eq!(shape(&find().await), [0, 4, 0, 0]);

    // Two devices with one identity: the thing is held where it is, and the copy is not registered.
    let copies = at(21).start(&cx).await.unwrap();
    let third = find().await;
    assert_eq!(shape(&third), [0, 4, 0, 4], "{third:?}");
    assert!(third.refused.iter().all(|(_, e)| e.code() == "ERR_THING_IDENTITY"), "{third:?}");
    assert_eq!(addresses(), new);
    for id in site.things().ids() {
        let held = site.things().get(&id).unwrap().held.clone().unwrap();
        assert_eq!(held.reason, HeldReason::SameIdentity);
        assert!(held.seen.address.unwrap().starts_with("127.65.0.2"));
        site.things().split(&id, &me()).await.unwrap();
    }
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    moved.stop().await;
    copies.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_miner_in_the_range_of_another_family_is_refused() {
    let (cx, folder) = (Ctx::system(), Folder::new("family"));
    let fleet = fleet(&cx, 67, 1, 0).await;
    let site = builder().rack("inventory-miner_part-psu", "store", RackOptions::without_devices());
    let site = site.create(&cx, folder.path()).await.unwrap();
    let map = ThingMap::parse(r#"{"inventory-miner_part-psu-store": "127.67.0.0/24"}"#).unwrap();
    site.orchestrator().set_thing_map(map, None).await.unwrap();
    let range = "127.67.0.1".parse().unwrap();
    let report = site.find_and_register(range, Ports::simulated(), &[], &me()).await.unwrap();
    let codes: Vec<_> = report.refused.iter().map(|(_, e)| e.code()).collect();
    assert_eq!((codes, site.things().len()), (vec!["ERR_RACK_FAMILY"], 0), "{report:?}");
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_that_no_driver_takes_are_refused_with_their_name() {
    let (cx, folder) = (Ctx::system(), Folder::new("options"));
    let site = builder().create(&cx, folder.path()).await.unwrap();
    let who = Principal::new("operator", Permissions::parse(["miner:rw"]).unwrap());
    for (rack, opts, field) in [
        ("miner-am-s21-hall-1", r#"{"address":"127.66.0.1","side_port":"x"}"#, "opts.side_port"),
        ("miner-am-s21-hall-1", r#"{"address":"http://127.66.0.1/"}"#, "opts.address"),
        ("miner-wm-m50s-hall-1", r#"{"address":"127.66.0.1","port":0}"#, "opts.port"),
        ("miner-wm-m50s-hall-1", r#"{"address":"127.66.0.1","password":["hidden-word"]}"#, "opts.password"),
    ] {
        let params = format!(r#"{{"rackId":"{rack}","opts":{opts}}}"#);
        let e = site.orchestrator().call(&who, "registerThing", &params).await.unwrap_err();
        assert_eq!(
            (e.kind(), e.code(), e.fact("field")),
            (ErrorKind::Invalid, "ERR_THING_VALIDATE_OPTS_INVALID", Some(field)),
            "{params}"
        );
        assert!(!format!("{e:?}").contains("hidden-word"));
    }
    assert!(site.things().is_empty());
    site.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_could_not_start_leaves_its_stores_free() {
    let (cx, folder) = (Ctx::system(), Folder::new("half-open"));
    builder().create(&cx, folder.path()).await.unwrap().shutdown(Duration::from_secs(5)).await.unwrap();
    let twice = builder().rack("miner-wm-m50s", "hall-1", RackOptions::new("whatsminer"));
    let e = twice.open(&cx, folder.path()).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("rack")), (ErrorKind::Conflict, Some("miner-wm-m50s-hall-1")), "{e}");
    // Found out only when the racks are opened: one that runs elsewhere has the id.
    let site = builder().open(&cx, folder.path()).await.unwrap();
    let who = Principal::new("operator", Permissions::ALL);
    let far = r#"{"id":"miner-wm-m50s-hall-2","type":"miner-wm-m50s","info":{"rpcPublicKey":"ab"}}"#;
    site.orchestrator().call(&who, "registerRack", far).await.unwrap();
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    let both = builder().rack("miner-wm-m50s", "hall-2", RackOptions::new("whatsminer"));
    let e = both.open(&cx, folder.path()).await.unwrap_err();
    assert_eq!(e.code(), "ERR_RACK_EXISTS", "{e}");
    let nameless = builder().rack("", "hall-2", RackOptions::new("whatsminer"));
    let e = nameless.open(&cx, folder.path()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Invalid, "ERR_RACK_TYPE_INVALID"), "{e}");
    let site = builder().open(&cx, folder.path()).await.unwrap();
    site.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_is_never_silently_made_anew() {
    let (cx, folder) = (Ctx::system(), Folder::new("anew"));
    let missing = builder().open(&cx, folder.path()).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    builder().create(&cx, folder.path()).await.unwrap().shutdown(Duration::from_secs(5)).await.unwrap();
    let exists = builder().create(&cx, folder.path()).await.unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::Conflict, "{exists}");
    std::fs::remove_file(folder.path().join("control.redb")).unwrap();
    let lost = builder().open_or_create(&cx, folder.path()).await.unwrap_err();
    assert!(!lost.to_string().is_empty());
    assert!(!folder.path().join("control.redb").exists(), "a lost store does not look like a new site");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named() {
    let (cx, folder) = (Ctx::system(), Folder::new("wrong"));
    let site = builder().create(&cx, folder.path()).await.unwrap();
    let rack = RackId::new("miner-wm-m50s-hall-9").unwrap();
    let e = site.rack(&rack).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains("miner-wm-m50s-hall-1"), "{e}");
    let e = site.last(&ThingId::new("nobody").unwrap()).await.unwrap_err();
    assert_eq!(e.code(), "ERR_THING_NOTFOUND");
    site.shutdown(Duration::from_secs(5)).await.unwrap();
    let wrong =
        Site::builder(headframe::registry()).rack("miner-wm-m50s", "x", RackOptions::new("no-such-driver"));
    let e = wrong.open(&cx, folder.path()).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("default_driver")), "{e}");
}

/// A price that somebody fetched.
#[derive(Debug)]
struct Price;

#[async_trait::async_trait]
impl ExtData for Price {
    fn name(&self) -> &str {
        "desk"
    }

    async fn rows(&self, query: &ExtQuery) -> headframe::Result<Vec<Map<String, Value>>> {
        assert_eq!(query.needs_key()?, "current_price");
        Ok(vec![Map::from_iter([("currentPrice".to_owned(), json!(105_250))])])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_answers_from_sources_that_its_program_gives() {
    let (cx, folder) = (Ctx::system(), Folder::new("sources"));
    let shelf = FirmwareShelf::default();
    let image = shelf.add_named("S21", "image");
    let sources = || builder().ext_data("mempool", Arc::new(Price));
    let twice = sources().ext_data("mempool", Arc::new(Price)).create(&cx, folder.path()).await.unwrap_err();
    assert_eq!((twice.kind(), twice.code()), (ErrorKind::Conflict, "ERR_EXT_DATA_EXISTS"));
    let site = sources().firmware(Arc::new(shelf)).create(&cx, folder.path()).await.unwrap();
    let who = Principal::new("operator", Permissions::ALL);
    let call = async |method: &str, params: &str| site.orchestrator().call(&who, method, params).await;
    let price = call("getWrkExtData", r#"{"type":"mempool","query":{"key":"current_price"}}"#).await.unwrap();
    assert_eq!(price, json!([{"currentPrice": 105_250}]));
    let images = call("listFirmwares", "{}").await.unwrap();
    assert_eq!(images, json!([{"id": image, "name": "S21", "file": "S21"}]));
    assert_eq!(call("storeFile", "{}").await.unwrap_err().code(), "ERR_NOT_CONFIGURED");
    site.shutdown(Duration::from_secs(5)).await.unwrap();
}
