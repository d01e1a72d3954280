//! Things that go from one rack to another while both are open.

use super::*;
use crate::{
    rack::{HistoryKind, Link, RackId},
    store::{CrashPlan, Space},
};

fn rack_id(name: &str) -> RackId {
    RackId::new(name).unwrap()
}

fn r1() -> RackId {
    rack_id("miner-xx-one-r1")
}

fn r2() -> RackId {
    rack_id("miner-xx-two-r2")
}

/// Two racks of one family, each with a tag of its own.
async fn racks(site: &Site) -> [LocalRack; 2] {
    [
        site.rack_of(TYPE, "r1", |options| options.tags = vec!["hall-1".into()]).await,
        site.rack_of("miner-xx-two", "r2", |options| options.tags = vec!["hall-2".into()]).await,
    ]
}

async fn take(site: &Site, from: &RackId, to: &RackId) -> Result<Arc<ThingRecord>> {
    site.things.reassign(&id("m1"), from, to, &by()).await
}

/// How many things each rack asks.
fn asked(racks: &[LocalRack; 2]) -> [usize; 2] {
    [racks[0].counts().things, racks[1].counts().things]
}

#[tokio::test(start_paused = true)]
async fn a_thing_takes_everything_along() {
    let site = Site::new().await;
    let racks = racks(&site).await;
    site.lab.place("10.0.0.1", Device::new("C8:11:05:00:0A:01", "S1"));
    let new = json!({
        "id": "m1", "opts": {"address": "10.0.0.1", "password": "hunter-2"},
        "info": {"pos": "1", "container": "c"}, "tags": ["mine"], "comment": "hums", "readOnly": true
    });
    racks[0].register(draft(new), &by()).await.unwrap();
    site.pass(12).await;
    let old = site.things.get(&id("m1")).unwrap();
    assert!(old.evidence.is_some());
    let said = racks[0].last(&id("m1")).await.unwrap().unwrap();

    site.lab.hangs.store(true, Ordering::SeqCst);
    let new = site.things.reassign(&id("m1"), &r1(), &r2(), &Caller::new("bob")).await.unwrap();
    assert_eq!((&new.rack, new.thing_type.as_str()), (&r2(), "miner-xx-two"));
    let kept = |thing: &ThingRecord| {
        let mut info = thing.info.map();
        info.remove("updatedAt");
        let made = (thing.id.clone(), thing.code.clone(), thing.driver.clone(), thing.read_only);
        (made, thing.opts.all().clone(), info, thing.comments.clone(), thing.evidence.clone())
    };
    assert_eq!(kept(&new), kept(&old));
    assert!(new.revision() > old.revision());
    let tags = ["t-miner-xx-two", "t-miner-xx", "t-miner", "hall-2", "mine", "id-m1", "code-XX-ONE-0001"];
    assert_eq!(tags_of(&new), [&tags[..], &["pos-1", "container-c"]].concat());

    let history = site.things.history(&id("m1")).unwrap();
    let kinds: Vec<_> = history.iter().map(|entry| (entry.what, entry.by.as_str())).collect();
    assert_eq!(kinds, [(HistoryKind::Moved, "bob"), (HistoryKind::Register, "ann@site")]);
    let rack = &history[0].changes["rack"];
    assert_eq!((rack.old_value.clone(), rack.new_value.clone()), (Some(json!(r1())), Some(json!(r2()))));

    // What it said is there before the new rack has asked, and never as fresh.
    let last = racks[1].last(&id("m1")).await.unwrap().unwrap();
    assert_eq!((last.link, last.good.as_ref().unwrap().ts), (Link::Stale, said.good.as_ref().unwrap().ts));
    assert_eq!(listed(&racks[1], "m1").await["last"]["link"], "stale");
    assert!(racks[0].get(&id("m1")).await.unwrap().is_none());
    assert_eq!(listed(&racks[0], "m1").await, Value::Null);
    assert_eq!(asked(&racks), [0, 1]);
    site.pass(1).await;
    assert_eq!(*lock(&site.lab.closed), ["m1"], "the old rack let go of it");
    site.lab.hangs.store(false, Ordering::SeqCst);
    site.pass(30).await;
    assert_eq!(racks[1].last(&id("m1")).await.unwrap().unwrap().link, Link::Online);
    assert_eq!(site.lab.opened("m1")[1], ("10.0.0.1".into(), "hunter-2".into()));
    // Its code is taken still, and the next one of its old type goes on.
    assert_eq!(racks[0].next_code().await.unwrap(), "XX-ONE-0002");
    assert_eq!(
        refused(racks[0].register(miner("m2", "10.0.0.1"), &by()).await).0,
        "ERR_THING_IP_ADDRESS_EXISTS"
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_rack_that_has_it_asks_it() {
    let site = Site::new().await;
    let racks = racks(&site).await;
    site.lab.place("10.0.0.1", Device::default());
    racks[0].register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    let mut readings = [racks[0].subscribe(64), racks[1].subscribe(64)];
    // There, back and there again, also while a poll is under way.
    for (n, (from, to)) in [(r1(), r2()), (r2(), r1()), (r1(), r2())].into_iter().enumerate() {
        site.lab.hangs.store(n == 1, Ordering::SeqCst);
        site.pass(6).await;
        take(&site, &from, &to).await.unwrap();
    }
    assert_eq!(asked(&racks), [0, 1]);
    site.pass(30).await;
    for rack in &racks {
        rack.shutdown(Duration::from_secs(1)).await;
    }
    let mut late = [0, 0];
    let moved = site.things.get(&id("m1")).unwrap().info.map()["updatedAt"].as_i64().unwrap();
    for (readings, late) in readings.iter_mut().zip(&mut late) {
        while let Some(event) = readings.next().await {
            *late += usize::from(event.reading.ts.0 > moved);
        }
    }
    assert!(late[0] == 0 && late[1] >= 4, "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_move_stays() {
    let site = Site::new().await;
    let racks = racks(&site).await;
    let sensors = site.rack_of("sensor-temp", "r3", |_| {}).await;
    let made = racks[0].register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    let elsewhere = take(&site, &r2(), &r1()).await.unwrap_err();
    assert_eq!((elsewhere.kind(), elsewhere.code()), (ErrorKind::Conflict, "ERR_THING_RACK_CHANGED"));
    let family = take(&site, &r1(), &sensors.info().id).await.unwrap_err();
    assert_eq!((family.kind(), family.code()), (ErrorKind::Invalid, "ERR_RACK_FAMILY"));
    assert_eq!(refused(take(&site, &r1(), &r1()).await), ("ERR_INVALID", Some("to".into())));
    assert_eq!(refused(take(&site, &r1(), &rack_id("miner-x-none")).await).0, "ERR_RACK_NOT_FOUND");
    let nothing = site.things.reassign(&id("m9"), &r1(), &r2(), &by()).await;
    assert_eq!(refused(nothing).0, "ERR_THING_NOTFOUND");
    let other = Lab { info: DriverInfo::new("other", "miner", "Nobody", ""), ..site.lab.clone() };
    let mut drivers = Registry::new();
    drivers.register(other);
    let info = RackInfo::new(TYPE, "r4").unwrap();
    let (things, options) = (Arc::clone(&site.things), RackOptions::new("other"));
    let stranger = LocalRack::open(site.cx.clone(), Arc::new(drivers), things, info, options, None);
    let stranger = stranger.await.unwrap();
    let driver = refused(take(&site, &r1(), &stranger.info().id).await);
    assert_eq!(driver, ("ERR_INVALID", Some("driver".into())));
    let [first, second] = racks;
    second.shutdown(Duration::from_secs(1)).await;
    assert_eq!(refused(take(&site, &r1(), &r2()).await).0, "ERR_RACK_NOT_FOUND");
    let still = site.things.get(&id("m1")).unwrap();
    assert_eq!((&*still, still.revision()), (&*made, made.revision()));
    assert_eq!((first.counts().things, site.things.history(&id("m1")).unwrap().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rack_that_wants_one_miner_an_address_takes_no_second() {
    let site = Site::new().await;
    let loose = site.rack_of(TYPE, "r1", |o| o.allow_duplicate_ips = true).await;
    let strict = site.rack_of("miner-xx-two", "r2", |_| {}).await;
    for name in ["m1", "m2"] {
        loose.register(miner(name, "10.0.0.1"), &by()).await.unwrap();
    }
    let taken = refused(take(&site, &r1(), &r2()).await);
    assert_eq!(taken, ("ERR_THING_IP_ADDRESS_EXISTS", Some("opts.address".into())));
    loose.update(&id("m2"), change(json!({"opts": {"address": "10.0.0.2"}})), &by()).await.unwrap();
    take(&site, &r1(), &r2()).await.unwrap();
    assert_eq!([&loose, &strict].map(|rack| rack.counts().things), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn of_64_moves_at_once_exactly_one_wins() {
    let site = Arc::new(Site::new().await);
    let racks = racks(&site).await;
    let third = site.rack("r3").await;
    racks[0].register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    let calls: Vec<_> = (0..64)
        .map(|n| {
            let to = if n % 2 == 0 { r2() } else { third.info().id.clone() };
            let site = Arc::clone(&site);
            tokio::spawn(async move { take(&site, &r1(), &to).await })
        })
        .collect();
    let mut won = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(record) => won.push(record.rack.clone()),
            Err(e) => assert_eq!(e.code(), "ERR_THING_RACK_CHANGED"),
        }
    }
    assert_eq!(won, [site.things.get(&id("m1")).unwrap().rack.clone()]);
    let asking = [&racks[0], &racks[1], &third].map(|rack| (rack.info().id.clone(), rack.counts().things));
    for (rack, things) in asking {
        assert_eq!(things, usize::from(rack == won[0]), "{rack}");
        assert_eq!(site.things.of_rack(&rack).len(), things, "{rack}");
    }
    assert_eq!(site.things.history(&id("m1")).unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_it_where_it_went() {
    let site = Site::new().await;
    let both = racks(&site).await;
    site.lab.place("10.0.0.1", Device::new("C8:11:05:00:0A:01", "S1"));
    both[0].register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    site.pass(12).await;
    let moved = take(&site, &r1(), &r2()).await.unwrap();
    drop(both);
    site.lab.hangs.store(true, Ordering::SeqCst);
    let site = site.restart().await;
    let both = racks(&site).await;
    let found = site.things.get(&id("m1")).unwrap();
    assert_eq!((&*found, found.revision()), (&*moved, moved.revision()));
    assert_eq!(asked(&both), [0, 1]);
    assert!(both[1].last(&id("m1")).await.unwrap().unwrap().good.is_some());
    assert_eq!(site.things.history(&id("m1")).unwrap().len(), 2);
}

/// A thing that moved in a commit that failed, or whose outcome was unknown, is in one rack, and that one asks it.
#[tokio::test(start_paused = true)]
async fn an_error_at_any_call_leaves_it_in_one_rack() {
    let mut outcomes = [0, 0];
    for k in 0..30 {
        let site = Site::new().await;
        let both = racks(&site).await;
        both[0].register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
        let fail_for = [1, 3, 200][k as usize % 3];
        let plan = CrashPlan { fail_at: Some(k), fail_for, forget_failed_sync: true, ..CrashPlan::default() };
        site.disk.plan(plan);
        let told = take(&site, &r1(), &r2()).await.map(|thing| thing.rack.clone());
        site.disk.plan(CrashPlan::default());
        // Mended, the next request settles what was unknown.
        both[0].register(miner("m2", "10.0.0.2"), &by()).await.unwrap();
        let rack = site.things.get(&id("m1")).unwrap().rack.clone();
        let there = usize::from(rack == r2());
        outcomes[there] += 1;
        if let Ok(told) = told {
            assert_eq!(told, rack, "call {k}");
        }
        assert_eq!(asked(&both), [2 - there, there], "call {k}");
        assert_eq!(site.things.of_rack(&r2()).len(), there, "call {k}");
        let kept = site.things.store().get_record(Space::Things, "m1").unwrap();
        assert_eq!(ThingRecord::load(&kept).unwrap().rack, rack, "call {k}");
        drop(both);
        let site = site.restart().await;
        assert_eq!(site.things.get(&id("m1")).unwrap().rack, rack, "call {k}");
    }
    assert!(outcomes.iter().all(|n| *n > 0), "{outcomes:?}");
}
