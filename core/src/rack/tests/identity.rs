use super::*;
use crate::rack::{Evidence as Told, HeldReason, HistoryKind, Sighting};

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";
const C: &str = "10.0.0.3";

fn first() -> Device {
    Device { boards: vec!["B1", "B2"], ..Device::new("C8:11:05:00:0A:01", "S1") }
}

fn second() -> Device {
    Device { boards: vec!["B3", "B4"], ..Device::new("C8:11:05:00:0A:02", "S2") }
}

fn told(device: &Device) -> Told {
    Told { mac: device.mac.map(Into::into), serial: device.serial.map(Into::into), ..Told::default() }
}

/// Two miners whose identity was learnt.
async fn two() -> (Site, LocalRack) {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    for (name, address, device) in [("m1", A, first()), ("m2", B, second())] {
        site.lab.place(address, device);
        rack.register(miner(name, address), &by()).await.unwrap();
    }
    site.pass(8).await;
    (site, rack)
}

fn held(site: &Site, name: &str) -> Option<HeldReason> {
    site.things.get(&id(name)).unwrap().held.as_ref().map(|held| held.reason)
}

#[tokio::test(start_paused = true)]
async fn what_a_device_says_first_is_kept_and_guards_the_site() {
    let (site, rack) = two().await;
    let record = site.things.get(&id("m1")).unwrap();
    let evidence = record.evidence.as_ref().unwrap();
    assert_eq!(
        (evidence.mac.as_deref(), evidence.serial.as_deref()),
        (Some("C8:11:05:00:0A:01"), Some("S1"))
    );
    assert_eq!((evidence.boards.len(), evidence.address.as_deref()), (2, Some(A)));
    let twin = json!({"opts": {"address": C}, "info": {"macAddress": "c8-11-05-00-0a-01"}});
    assert_eq!(refused(rack.register(draft(twin), &by()).await).0, "ERR_THING_MACADDRESS_EXISTS");
    let commits = site.things.store().health().commits;
    site.pass(60).await;
    assert_eq!(site.things.store().health().commits, commits, "old news is not written again");
}

#[tokio::test(start_paused = true)]
async fn a_certain_device_at_a_free_address_is_followed() {
    let (site, rack) = two().await;
    site.lab.remove(A);
    site.lab.place(C, first());
    let seen = Told { boards: vec![], ..told(&first()) };
    // As far as anybody knows it still answers at its old address: that must be looked at first.
    let early = Sighting::scanned(C, seen.clone(), START);
    assert!(site.things.sight(vec![early]).await.unwrap().is_empty());
    site.pass(8).await;
    let changed = site.things.sight(vec![Sighting::scanned(C, seen, START)]).await.unwrap();
    assert_eq!(changed, [id("m1")]);
    let record = site.things.get(&id("m1")).unwrap();
    assert_eq!((record.address(), record.held.as_ref()), (Some(C), None));
    site.pass(8).await;
    assert_eq!(listed(&rack, "m1").await["last"]["link"], "online");
    let newest = &site.things.history(&id("m1")).unwrap()[0];
    assert_eq!((newest.what, newest.by.as_str()), (HistoryKind::Moved, "headframe"));
    assert_eq!(newest.changes["opts.address"].old_value, Some(json!(A)));
    // The same again is no news, and an address of another thing is not taken.
    let again = vec![
        Sighting::scanned(C, told(&first()), START),
        Sighting::scanned(B, told(&first()), START),
        Sighting::scanned("10.0.0.9", told(&Device::new("00:00:00:00:00:01", "S9")), START),
    ];
    assert!(site.things.sight(again).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn half_an_identity_holds_until_a_person_decides() {
    let (site, rack) = two().await;
    site.lab.place(A, Device { serial: Some("S9"), ..first() });
    site.pass(8).await;
    assert_eq!(held(&site, "m1"), Some(HeldReason::PartlyTheSame));
    let doc = listed(&rack, "m1").await;
    assert_eq!((&doc["held"]["reason"], &doc["last"]["link"]), (&json!("partly_the_same"), &json!("online")));
    assert_eq!(site.things.history(&id("m1")).unwrap()[0].what, HistoryKind::Held);
    let record = site.things.split(&id("m1"), &by()).await.unwrap();
    assert_eq!(
        (record.held.as_ref(), record.evidence.as_ref().unwrap().serial.as_deref()),
        (None, Some("S9"))
    );
    site.pass(30).await;
    assert_eq!(held(&site, "m1"), None);
    let again = site.things.split(&id("m1"), &by()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn one_identity_at_two_things_holds_both_until_they_are_merged() {
    let (site, rack) = two().await;
    site.lab.place(C, first());
    rack.register(miner("m3", C), &by()).await.unwrap();
    site.pass(8).await;
    let both = (held(&site, "m1"), held(&site, "m3"));
    assert_eq!(both, (Some(HeldReason::SameIdentity), Some(HeldReason::SameIdentity)));
    assert_eq!(site.things.get(&id("m1")).unwrap().held.as_ref().unwrap().with, Some(id("m3")));
    site.lab.remove(A);
    rack.save_comment(&id("m1"), "loud fan", None, &by()).await.unwrap();
    let kept = site.things.merge(&id("m3"), &id("m1"), &by()).await.unwrap();
    assert_eq!(kept.comments[0].comment, "loud fan");
    assert!(kept.held.is_none() && site.things.get(&id("m1")).is_none());
    site.pass(8).await;
    let record = site.things.get(&id("m3")).unwrap();
    assert_eq!((held(&site, "m3"), record.evidence.as_ref().unwrap().serial.as_deref()), (None, Some("S1")));
    assert_eq!(rack.counts().things, 2);
    assert!(site.things.merge(&id("m3"), &id("m3"), &by()).await.is_err());
    assert_eq!(refused(site.things.merge(&id("m3"), &id("m9"), &by()).await).0, "ERR_THING_NOTFOUND");
}

#[tokio::test(start_paused = true)]
async fn two_that_show_one_identity_can_be_two_by_decision() {
    let (site, rack) = two().await;
    site.lab.place(C, first());
    rack.register(miner("m3", C), &by()).await.unwrap();
    site.pass(8).await;
    for name in ["m1", "m3"] {
        site.things.split(&id(name), &by()).await.unwrap();
    }
    site.pass(30).await;
    assert_eq!((held(&site, "m1"), held(&site, "m3")), (None, None));
    // A held or decided thing can still be edited.
    rack.update(&id("m3"), change(json!({"tags": ["ok"]})), &by()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stranger_never_overwrites_what_is_registered() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    site.lab.place(A, second());
    let new = json!({"id": "m1", "opts": {"address": A}, "info": {"macAddress": "c8-11-05-00-0a-01"}});
    rack.register(draft(new), &by()).await.unwrap();
    site.pass(8).await;
    let record = site.things.get(&id("m1")).unwrap();
    assert_eq!(held(&site, "m1"), Some(HeldReason::InfoDiffers));
    assert_eq!(
        (&record.info.map()["macAddress"], record.evidence.as_ref()),
        (&json!("c8-11-05-00-0a-01"), None)
    );
    let record = site.things.split(&id("m1"), &by()).await.unwrap();
    assert_eq!(record.info.map()["macAddress"], "C8:11:05:00:0A:02");
    assert_eq!(site.things.history(&id("m1")).unwrap()[0].by, "ann@site");
}

#[tokio::test(start_paused = true)]
async fn a_device_at_the_address_of_another_is_counted_once() {
    let (site, rack) = two().await;
    // m1's device got m2's address from a DHCP server; m2's device is gone, then found.
    site.lab.remove(A);
    site.lab.place(B, first());
    site.pass(8).await;
    assert_eq!((held(&site, "m1"), held(&site, "m2")), (None, Some(HeldReason::AddressTaken)));
    assert_eq!(site.things.get(&id("m1")).unwrap().address(), Some(B));
    assert_eq!(rack.counts().things, 1);
    site.lab.place(C, second());
    let seen = vec![Sighting::scanned(C, told(&second()), START)];
    assert_eq!(site.things.sight(seen).await.unwrap(), [id("m2")]);
    site.pass(8).await;
    assert_eq!((held(&site, "m2"), rack.counts().things), (None, 2));
    assert_eq!(listed(&rack, "m2").await["last"]["link"], "online");
}

#[tokio::test(start_paused = true)]
async fn an_identity_at_two_addresses_holds_its_thing() {
    let (site, _rack) = two().await;
    site.lab.place(C, first());
    let seen = Sighting::scanned(C, told(&first()), START);
    let changed = site.things.sight(vec![seen.clone().also_at_home(true)]).await.unwrap();
    assert_eq!((changed, held(&site, "m1")), (vec![id("m1")], Some(HeldReason::SameIdentity)));
    assert_eq!(site.things.get(&id("m1")).unwrap().address(), Some(A));
    // Nothing more is concluded before a person decides.
    assert!(site.things.sight(vec![seen.also_at_home(false)]).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_device_looked_for_at_home_and_not_found_there_is_followed_at_once() {
    let (site, _rack) = two().await;
    site.lab.remove(A);
    let seen = Sighting::scanned(C, told(&first()), START).also_at_home(false);
    assert_eq!(site.things.sight(vec![seen]).await.unwrap(), [id("m1")]);
    assert_eq!(site.things.get(&id("m1")).unwrap().address(), Some(C));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_half_of_one_thing_and_half_of_another_holds_both() {
    let (site, _rack) = two().await;
    let mixed = Told { serial: Some("S2".into()), ..told(&first()) };
    let changed = site.things.sight(vec![Sighting::scanned(C, mixed, START)]).await.unwrap();
    assert_eq!(changed, [id("m1"), id("m2")]);
    for (name, other) in [("m1", "m2"), ("m2", "m1")] {
        let held = site.things.get(&id(name)).unwrap().held.clone().unwrap();
        assert_eq!((held.reason, held.with), (HeldReason::PartlyTheSame, Some(id(other))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_typed_serial_that_the_device_contradicts_is_said_listed_and_corrected() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    for (name, address, typed) in [("m1", A, "label-77"), ("m2", B, " s2 "), ("m3", C, "label-78")] {
        let device = [first(), second(), Device::new("C8:11:05:00:0A:03", "S3")];
        site.lab.place(address, device[name.as_bytes()[1] as usize - b'1' as usize].clone());
        let new = json!({"id": name, "opts": {"address": address}, "info": {"serialNum": typed}});
        rack.register(draft(new), &by()).await.unwrap();
    }
    site.pass(8).await;
    // Neither capitals nor spaces make another number.
    let reasons = ["m1", "m2", "m3"].map(|name| held(&site, name));
    assert_eq!(reasons, [Some(HeldReason::InfoDiffers), None, Some(HeldReason::InfoDiffers)]);
    let doc = listed(&rack, "m1").await;
    assert_eq!(
        (&doc["held"]["reason"], &doc["held"]["differs"], &doc["held"]["seen"]["serial"]),
        (&json!("info_differs"), &json!(["info.serialNum"]), &json!("S1"))
    );
    assert_eq!(doc["last"]["link"], "online", "it is read all the same");
    for query in [json!({"held.reason": "info_differs"}), json!({"held.differs": "info.serialNum"})] {
        assert_eq!(rack.count(&crate::query::Filter::parse(&query).unwrap()).await.unwrap(), 2);
    }
    assert_eq!(
        site.things.history(&id("m1")).unwrap()[0].changes["held"].new_value,
        Some(json!("info_differs"))
    );
    // Another wrong number settles nothing, the device's own does, and so does none at all.
    rack.update(&id("m1"), change(json!({"info": {"serialNum": "label-79"}})), &by()).await.unwrap();
    assert_eq!(held(&site, "m1"), Some(HeldReason::InfoDiffers));
    rack.update(&id("m1"), change(json!({"info": {"serialNum": "S1"}})), &by()).await.unwrap();
    rack.update(&id("m3"), change(json!({"info": {"serialNum": null}})), &by()).await.unwrap();
    site.pass(20).await;
    assert_eq!(["m1", "m2", "m3"].map(|name| held(&site, name)), [None, None, None]);
    assert_eq!(site.things.get(&id("m3")).unwrap().evidence.as_ref().unwrap().serial.as_deref(), Some("S3"));
}

#[tokio::test(start_paused = true)]
async fn a_person_can_say_where_a_thing_is_whose_address_was_taken() {
    let (site, rack) = two().await;
    site.lab.remove(A);
    site.lab.place(B, first());
    site.pass(8).await;
    assert_eq!(held(&site, "m2"), Some(HeldReason::AddressTaken));
    site.lab.place(C, second());
    rack.update(&id("m2"), change(json!({"opts": {"address": C}})), &by()).await.unwrap();
    site.pass(8).await;
    assert_eq!((held(&site, "m2"), rack.counts().things), (None, 2));
    assert_eq!(listed(&rack, "m2").await["last"]["link"], "online");
}

#[tokio::test(start_paused = true)]
async fn things_that_nobody_doubts_are_not_merged() {
    let (site, _rack) = two().await;
    let e = site.things.merge(&id("m1"), &id("m2"), &by()).await.unwrap_err();
    assert_eq!((e.kind(), site.things.len()), (ErrorKind::Conflict, 2));
}

#[tokio::test(start_paused = true)]
async fn a_reading_from_before_a_change_says_nothing_about_it() {
    let (site, rack) = two().await;
    let old = Sighting::polled(id("m1"), told(&first()), site.cx.clock.wall());
    let new = json!({"opts": {"address": C}, "info": {"macAddress": "C8:11:05:00:0A:03"}});
    rack.update(&id("m1"), change(new), &by()).await.unwrap();
    assert!(site.things.sight(vec![old]).await.unwrap().is_empty());
    assert_eq!(held(&site, "m1"), None);
}
