use super::*;
use crate::rack::Link;

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_everything_and_shows_what_was_with_its_age() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    site.lab.place("10.0.0.1", Device::new("C8:11:05:00:0A:01", "S1"));
    let new = json!({
        "id": "m1", "opts": {"address": "10.0.0.1", "password": "hunter-2"}, "info": {"pos": "1"},
        "tags": ["x"], "comment": "c", "readOnly": true
    });
    rack.register(draft(new), &by()).await.unwrap();
    rack.register(miner("m2", "10.0.0.2"), &by()).await.unwrap();
    site.pass(12).await;
    let report = rack.shutdown(Duration::from_secs(2)).await;
    assert_eq!((report.aborted, report.undelivered), (0, 0));
    assert_eq!(refused(rack.register(miner("m3", "10.0.0.3"), &by()).await).0, "ERR_CLOSED");
    let before = site.things.get(&id("m1")).unwrap();
    let before_doc = listed(&rack, "m1").await;
    drop(rack);
    site.lab.remove("10.0.0.1");
    site.lab.hangs.store(true, Ordering::SeqCst);
    let site = site.restart().await;
    let after = site.things.get(&id("m1")).unwrap();
    assert_eq!((&*before, before.revision()), (&*after, after.revision()));

    site.pass(100).await;
    let rack = site.rack("r1").await;
    let reading = rack.last(&id("m1")).await.unwrap().unwrap();
    assert_eq!((reading.link, reading.seq), (Link::Stale, 0));
    let age = reading.good.as_ref().unwrap().age;
    assert!(age >= Duration::from_secs(100) && age < Duration::from_secs(120), "{age:?}");
    let last = listed(&rack, "m1").await["last"].take();
    assert_eq!(last["ts"], before_doc["last"]["ts"]);
    assert_eq!((&last["link"], &last["snap"]["stats"]["state"]), (&json!("stale"), &json!("stale")));
    assert!(last["ageMs"].as_i64().unwrap() >= 100_000);
    // Nobody answered as m2 before: no good reading is made up.
    let lost = rack.last(&id("m2")).await.unwrap().unwrap();
    assert!(lost.good.is_none() && lost.outcome.is_err());
    site.lab.hangs.store(false, Ordering::SeqCst);
    site.pass(30).await;
    let last = listed(&rack, "m1").await["last"].take();
    assert_eq!((&last["link"], &last["goodTs"]), (&json!("offline"), &before_doc["last"]["goodTs"]));
    site.lab.place("10.0.0.1", Device::new("C8:11:05:00:0A:01", "S1"));
    site.pass(60).await;
    assert_eq!(listed(&rack, "m1").await["last"]["link"], "online");
    assert_eq!(site.lab.opened("m1").last().unwrap().1, "hunter-2");
    assert_eq!(rack.next_code().await.unwrap(), "XX-ONE-0003");
}

#[tokio::test(start_paused = true)]
async fn several_racks_and_types_share_one_registry() {
    let site = Site::new().await;
    let racks =
        [site.rack("r1").await, site.rack("r2").await, site.rack_of("miner-yy-two", "r3", |_| {}).await];
    for (n, rack) in racks.iter().enumerate() {
        rack.register(miner(&format!("m{n}"), &format!("10.0.0.{n}")), &by()).await.unwrap();
    }
    let codes: Vec<Text> =
        ["m0", "m1", "m2"].iter().map(|m| site.things.get(&id(m)).unwrap().code.clone()).collect();
    assert_eq!(codes, ["XX-ONE-0001", "XX-ONE-0002", "YY-TWO-0001"]);
    // A rack knows its own things only.
    assert!(racks[0].get(&id("m1")).await.unwrap().is_none());
    assert_eq!(refused(racks[0].update(&id("m1"), change(json!({})), &by()).await).0, "ERR_THING_NOTFOUND");
    assert_eq!(racks[0].count(&crate::query::Filter::all()).await.unwrap(), 1);
    let twice = LocalRack::open(
        site.cx.clone(),
        Arc::new({
            let mut drivers = Registry::new();
            drivers.register(site.lab.clone());
            drivers
        }),
        Arc::clone(&site.things),
        RackInfo::new(TYPE, "r1").unwrap(),
        RackOptions::new("dummy"),
        None,
    );
    assert_eq!(twice.await.unwrap_err().kind(), ErrorKind::Conflict);
    let unknown = LocalRack::open(
        site.cx.clone(),
        Arc::default(),
        Arc::clone(&site.things),
        RackInfo::new(TYPE, "r9").unwrap(),
        RackOptions::new("dummy"),
        None,
    );
    assert_eq!(refused(unknown.await), ("ERR_INVALID", Some("default_driver".into())));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_goes_away_is_whole() {
    let site = Site::new().await;
    let rack = Arc::new(site.rack("r1").await);
    for n in 0..20 {
        let rack = Arc::clone(&rack);
        let call = tokio::spawn(async move {
            rack.register(miner(&format!("m{n}"), &format!("10.0.0.{n}")), &by()).await
        });
        if n % 2 == 0 {
            tokio::task::yield_now().await;
        }
        call.abort();
    }
    site.pass(1).await;
    let known = site.things.len();
    assert_eq!(site.things.store().count(crate::store::Space::Things), known);
    assert_eq!(rack.counts().things, known);
}
