//! What a disk that fails does to the registry: nothing is believed that is not durable, and nothing durable is lost.

use super::*;
use crate::{
    Sent,
    store::{CrashPlan, Space},
};

/// Whether registry, store and collector say the same.
fn agree(site: &Site, rack: &LocalRack, context: &str) {
    let kept: Vec<String> =
        site.things.store().scan(Space::Things, .., usize::MAX).iter().map(|r| r.key.to_string()).collect();
    let known: Vec<String> = site.things.ids().iter().map(ToString::to_string).collect();
    assert_eq!(kept, known, "{context}");
    assert_eq!(rack.counts().things, known.len(), "{context}");
}

#[tokio::test(start_paused = true)]
async fn an_error_at_any_call_leaves_registry_and_store_the_same() {
    let mut outcomes = [0, 0, 0];
    for k in 0..60 {
        let site = Site::new().await;
        let rack = site.rack("r1").await;
        rack.register(miner("m0", "10.0.1.1"), &by()).await.unwrap();
        let fail_for = [1, 3, 200][k as usize % 3];
        let plan = CrashPlan { fail_at: Some(k), fail_for, forget_failed_sync: true, ..CrashPlan::default() };
        site.disk.plan(plan);
        let mut told = Vec::new();
        for n in 1..6 {
            let result = rack.register(miner(&format!("m{n}"), &format!("10.0.0.{n}")), &by()).await;
            told.push(result.map(|_| ()).map_err(|e| e.sent()));
        }
        let moved = rack.update(&id("m0"), change(json!({"opts": {"address": "10.0.1.2"}})), &by()).await;
        site.disk.plan(CrashPlan::default());
        let context = format!("call {k}, failing {fail_for} times: {told:?}");
        // Mended, the next request settles what was unknown.
        rack.register(miner("m9", "10.0.0.9"), &by()).await.unwrap();
        agree(&site, &rack, &context);
        for (n, told) in told.iter().enumerate() {
            let there = site.things.get(&id(&format!("m{}", n + 1))).is_some();
            match told {
                Ok(()) => assert!(there, "{context}"),
                Err(Sent::No) => assert!(!there, "{context}"),
                Err(Sent::Maybe) => {}
            }
            outcomes[match told {
                Ok(()) => 0,
                Err(Sent::No) => 1,
                Err(Sent::Maybe) => 2,
            }] += 1;
            // What is not there can be registered now, what is there cannot.
            let again =
                rack.register(miner(&format!("m{}", n + 1), &format!("10.0.0.{}", n + 1)), &by()).await;
            assert_eq!(again.is_ok(), !there, "{context}");
        }
        if let Ok(record) = moved {
            assert_eq!(record.address(), Some("10.0.1.2"));
        }
        let address = site.things.get(&id("m0")).unwrap().address().unwrap().to_owned();
        drop(rack);
        let site = site.restart().await;
        assert_eq!(site.things.get(&id("m0")).unwrap().address(), Some(&*address), "{context}");
        assert_eq!(site.things.len(), 7, "{context}");
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn forgetting_on_a_failing_disk_is_all_or_none() {
    let mut outcomes = [0, 0];
    for k in 0..40 {
        let site = Site::new().await;
        let rack = site.rack("r1").await;
        let drafts = (0..4).map(|n| miner(&format!("m{n}"), &format!("10.0.0.{n}"))).collect();
        assert!(rack.register_many(drafts, &by()).await.iter().all(Result::is_ok));
        let fail_for = [1, 4, 200][k as usize % 3];
        site.disk.plan(CrashPlan { fail_at: Some(k), fail_for, ..CrashPlan::default() });
        let result = rack.forget(&crate::rack::Which::All, &by()).await;
        site.disk.plan(CrashPlan::default());
        rack.register(miner("m9", "10.0.0.9"), &by()).await.unwrap();
        let context = format!("call {k}, failing {fail_for} times: {result:?}");
        agree(&site, &rack, &context);
        let left = site.things.len() - 1;
        match result {
            Ok(gone) => assert_eq!((gone.len(), left), (4, 0), "{context}"),
            Err(e) if e.sent() == Sent::No => assert_eq!(left, 4, "{context}"),
            Err(_) => assert!(left == 0 || left == 4, "{context}"),
        }
        outcomes[usize::from(left == 0)] += 1;
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_power_cut() {
    for seed in 0..20_u32 {
        let site = Site::new().await;
        let rack = site.rack("r1").await;
        let drafts = (0..20).map(|n| miner(&format!("m{n}"), &format!("10.0.0.{n}"))).collect();
        assert!(rack.register_many(drafts, &by()).await.iter().all(Result::is_ok));
        for n in 0..seed % 5 {
            rack.update(&id("m1"), change(json!({"info": {"n": n}})), &by()).await.unwrap();
        }
        let revision = site.things.get(&id("m1")).unwrap().revision();
        let disk = site.disk.cut();
        let store = ControlStore::open_on(&site.cx, Arc::new(disk), &options(7)).await.unwrap();
        let things = Things::open(&site.cx, store).await.unwrap();
        assert_eq!((things.len(), things.get(&id("m1")).unwrap().revision()), (20, revision));
    }
}

#[tokio::test(start_paused = true)]
async fn two_registries_over_one_store_cannot_both_write() {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    let other = Site {
        things: Things::open(&site.cx, site.things.store().clone()).await.unwrap(),
        ..site_like(&site)
    };
    let second = other.rack("r1").await;
    rack.register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    let e = second.register(miner("m1", "10.0.0.2"), &by()).await.unwrap_err();
    assert_eq!((e.kind(), other.things.len()), (ErrorKind::Conflict, 0));
}

fn site_like(site: &Site) -> Site {
    Site {
        cx: site.cx.clone(),
        lab: site.lab.clone(),
        disk: site.disk.clone(),
        last_disk: site.last_disk.clone(),
        things: Arc::clone(&site.things),
        last: site.last.clone(),
    }
}

/// A disk without room: changes are refused with what to do, everything else goes on, and writing comes back by itself.
#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_changes_and_nothing_else() {
    let site = Site::with(&StoreOptions { reserve_bytes: 1 << 20, ..options(7) }).await;
    let rack = site.rack("r1").await;
    site.lab.place("10.0.0.1", Device::default());
    rack.register(miner("m1", "10.0.0.1"), &by()).await.unwrap();
    site.pass(8).await;
    let before = site.things.get(&id("m1")).unwrap();
    site.disk.plan(CrashPlan { capacity: Some(site.disk.used() + 200_000), ..CrashPlan::default() });
    let mut full = None;
    for n in 0..2_000 {
        let new = json!({"id": format!("x{n}"), "opts": {}, "info": {"note": "n".repeat(20_000)}});
        if let Err(e) = rack.register(draft(new), &by()).await {
            full = Some(e);
            break;
        }
    }
    let full = full.unwrap();
    assert_eq!((full.code(), full.sent()), (crate::store::code::FULL, Sent::No), "{full}");
    for refused in [
        rack.register(miner("m2", "10.0.0.2"), &by()).await.map(drop),
        rack.save_comment(&id("m1"), "hot", None, &by()).await.map(drop),
        rack.forget(&crate::rack::Which::All, &by()).await.map(drop),
        rack.save_settings(map(json!({"a": 1})), &by()).await.map(drop),
    ] {
        let e = refused.unwrap_err();
        assert_eq!((e.code(), e.sent()), (crate::store::code::FULL, Sent::No), "{e}");
    }
    agree(&site, &rack, "full");
    assert_eq!(site.things.get(&id("m1")).unwrap(), before, "what was there is there");
    assert_eq!(rack.count(&crate::query::Filter::all()).await.unwrap(), site.things.len() as u64);
    let seq = rack.last(&id("m1")).await.unwrap().unwrap().seq;
    site.pass(30).await;
    assert!(rack.last(&id("m1")).await.unwrap().unwrap().seq > seq, "it is still read");
    assert_eq!(listed(&rack, "m1").await["last"]["link"], "online");
    site.disk.plan(CrashPlan::default());
    site.pass(60).await;
    rack.register(miner("m2", "10.0.0.2"), &by()).await.unwrap();
}

/// Fails so many calls that opening the file again fails too, and the look after it does not.
const JUST_UNKNOWN: std::ops::Range<u64> = 4..7;

/// A site whose things `a` and `b` have a comment each, on a disk that fails from call `k` on.
async fn failing(k: u64, fail_for: u64) -> (Site, LocalRack, String) {
    let site = Site::new().await;
    let rack = site.rack("r1").await;
    for (name, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        rack.register(miner(name, address), &by()).await.unwrap();
    }
    let comment = rack.save_comment(&id("a"), "fan", None, &by()).await.unwrap();
    // Another device answers at the address of `a`: only a thing in doubt can be merged.
    for n in [1, 2] {
        let said = crate::rack::Evidence {
            mac: Some(format!("C8:11:05:00:0A:0{n}").into()),
            serial: Some(format!("S{n}").into()),
            ..crate::rack::Evidence::default()
        };
        let later = Timestamp(site.cx.clock.wall().0 + n);
        site.things.sight(vec![crate::rack::Sighting::polled(id("a"), said, later)]).await.unwrap();
    }
    assert!(site.things.get(&id("a")).unwrap().held.is_some());
    site.disk.plan(CrashPlan { fail_at: Some(k), fail_for, ..CrashPlan::default() });
    (site, rack, comment.id)
}

#[tokio::test(start_paused = true)]
async fn a_record_that_stays_the_same_does_not_vouch_for_those_beside_it() {
    let mut looked = 0;
    for k in 0..24 {
        for fail_for in JUST_UNKNOWN {
            let (site, rack, comment) = failing(k, fail_for).await;
            let opened = site.things.store().health().opened;
            let which = crate::rack::CommentRef { id: Some(comment), ts: None };
            let (a, caller) = (id("a"), by());
            // The same text again: byte for byte what is there. Both share one commit.
            let (_, told) = tokio::join!(
                rack.edit_comment(&a, &which, "fan", &caller),
                rack.register(miner("c", "10.0.0.3"), &caller)
            );
            site.disk.plan(CrashPlan::default());
            looked += usize::from(site.things.store().health().opened > opened);
            let kept = site.things.store().get_record(Space::Things, "c").is_some();
            let context = format!("call {k}, failing {fail_for} times: {told:?}");
            match told {
                Ok(_) => assert!(kept, "{context}"),
                Err(e) => assert!(e.sent() == Sent::Maybe || !kept, "{context}"),
            }
        }
    }
    assert!(looked > 12, "{looked}");
}

#[tokio::test(start_paused = true)]
async fn after_a_look_records_have_the_commit_that_wrote_them() {
    let mut looked = 0;
    for k in 0..24 {
        for fail_for in JUST_UNKNOWN {
            let (site, rack, _) = failing(k, fail_for).await;
            let opened = site.things.store().health().opened;
            // What goes stands before what stays.
            let told = site.things.merge(&id("b"), &id("a"), &by()).await;
            site.disk.plan(CrashPlan::default());
            looked += usize::from(site.things.store().health().opened > opened);
            let context = format!("call {k}, failing {fail_for} times: {told:?}");
            let changed = rack.update(&id("b"), change(json!({"info": {"n": 1}})), &by()).await;
            assert!(changed.is_ok(), "{context}: {changed:?}");
            assert_eq!(told.is_ok() || site.things.len() == 1, site.things.len() == 1, "{context}");
        }
    }
    assert!(looked > 12, "{looked}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_looked_for_without_another_request() {
    let mut unknown = [0, 0];
    for k in 0..40 {
        let (site, rack, _) = failing(k, 40).await;
        let told = rack.register(miner("c", "10.0.0.3"), &by()).await;
        site.disk.plan(CrashPlan::default());
        site.pass(3).await;
        // What another process would find now.
        let file = CrashBackend::with_bytes(1, site.disk.bytes());
        let there = ControlStore::open_on(&site.cx, Arc::new(file), &options(7)).await.unwrap();
        let kept = there.get_record(Space::Things, "c").is_some();
        let context = format!("call {k}: {told:?}");
        assert_eq!(site.things.get(&id("c")).is_some(), kept, "{context}");
        agree(&site, &rack, &context);
        if told.is_err_and(|e| e.sent() == Sent::Maybe) {
            unknown[usize::from(kept)] += 1;
        }
    }
    assert!(unknown[0] > 0 && unknown[1] > 0, "{unknown:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_refused_for_what_is_not_known() {
    let (site, rack, _) = failing(0, 10_000).await;
    let first = rack.register(miner("c", "10.0.0.3"), &by()).await.unwrap_err();
    assert_eq!(first.sent(), Sent::Maybe);
    // Whether it is there nobody knows yet, so it is neither unknown nor taken.
    let gone = rack.update(&id("c"), change(json!({"info": {"n": 1}})), &by()).await.unwrap_err();
    let taken = rack.register(miner("a", "10.0.0.9"), &by()).await.unwrap_err();
    let wrong = rack.register(draft(json!({"id": "d", "code": "x"})), &by()).await.unwrap_err();
    for e in [&gone, &taken] {
        assert_eq!((e.code(), e.sent()), (crate::store::code::IO, Sent::No), "{e}");
    }
    assert_eq!(wrong.code(), "ERR_THING_CODE_INVALID");
    site.disk.plan(CrashPlan::default());
    let taken = rack.register(miner("a", "10.0.0.9"), &by()).await.unwrap_err();
    assert_eq!(taken.code(), "ERR_THING_WITH_ID_ALREADY_EXISTS");
}
