use std::sync::atomic::Ordering;

use super::{
    trust::{YEAR_MS, settable},
    *,
};
use crate::{
    action::{ActionQuery, Bucket, Settled},
    audit::{lines, verify},
    query::{Filter, Projection},
    store::Space,
    testkit::{MemArchive, MemFault},
};

const HOUR_MS: u64 = 3_600_000;

/// A site with an archive and so many things.
async fn archiving(things: u32) -> (Lab, Arc<MemArchive>) {
    let (mut lab, shelf) = (Lab::mos(things).await, Arc::<MemArchive>::default());
    lab.options.archive = Some(Arc::clone(&shelf) as _);
    (lab, shelf)
}

/// Lets so many days pass at once, and all that is old be moved.
async fn days_pass(lab: &Lab, clock: &super::trust::Set, days: i64) {
    clock.1.fetch_add(days * 86_400_000, Ordering::SeqCst);
    lab.pass(HOUR_MS + 60_000).await;
}

fn done(engine: &Engine, change: impl FnOnce(&mut ActionQuery)) -> Vec<(ActionId, Value)> {
    let mut query = ActionQuery::new(Bucket::Done);
    change(&mut query);
    engine.query(&query).unwrap().into_iter().map(|listed| (listed.id, listed.view)).collect()
}

/// What callers see of the actions that ended.
fn seen(engine: &Engine, ids: &[ActionId]) -> (Vec<Value>, Vec<(ActionId, Value)>) {
    (ids.iter().map(|id| engine.get(*id).unwrap().unwrap().0).collect(), done(engine, |_| ()))
}

fn counts(engine: &Engine) -> [usize; 3] {
    [Space::Actions, Space::Targets, Space::Journal].map(|space| engine.store().count(space))
}

/// Some that ended in different ways: completed, denied, cancelled, failed.
async fn ended(lab: &Lab, engine: &Engine) -> Vec<ActionId> {
    let rebooted = push(engine, "reboot", json!({}), "ann").await;
    until(engine, rebooted, Status::Completed).await;
    let denied = push(engine, "three", one(1), "ann").await;
    vote(engine, denied, false, "bob").await.unwrap();
    let cancelled = push(engine, "three", one(2), "ann").await;
    engine.cancel(cancelled, &by("ann")).await.unwrap();
    lab.rack.fault(&thing(1), MemFault::Refuses);
    let failed = push(engine, "setPowerMode", one(1), "ann").await;
    until(engine, failed, Status::Failed).await;
    lab.rack.fault(&thing(1), MemFault::None);
    vec![rebooted, denied, cancelled, failed]
}

#[tokio::test(start_paused = true)]
async fn what_ended_long_ago_is_seen_as_before_and_leaves_the_store() {
    let (mut lab, shelf) = archiving(3).await;
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    let ids = ended(&lab, &engine).await;
    let waits = push(&engine, "three", json!({}), "ann").await;
    let before = seen(&engine, &ids);
    let digests: Vec<String> = ids.iter().map(|id| engine.header(*id).unwrap().digest.to_string()).collect();
    days_pass(&lab, &clock, 29).await;
    assert_eq!(counts(&engine)[0], 5, "none is old");
    assert!(shelf.documents().is_empty());
    days_pass(&lab, &clock, 1).await;
    // The one that waited has run out, and is not old.
    assert_eq!(engine.header(waits).unwrap().status, Status::Expired);
    assert_eq!(counts(&engine), [1, 1, 0]);
    let (views, list) = seen(&engine, &ids);
    assert_eq!(views, before.0);
    assert_eq!(list[..4], before.1[..]);
    let mut text = Vec::new();
    crate::audit::export(engine.store(), &mut text).unwrap();
    verify(lines(&text), &[]).unwrap();
    let text = String::from_utf8(text).unwrap();
    let moved: Vec<&str> = text.lines().filter(|line| line.contains("\"archive\"")).collect();
    assert_eq!(moved.len(), 4);
    assert!(digests.iter().all(|digest| moved.iter().any(|line| line.contains(digest))));
    for id in ids {
        assert!(engine.header(id).is_none());
        assert_eq!(vote(&engine, id, true, "cid").await.unwrap_err().code(), "ERR_ACTION_DECIDED");
        assert_eq!(engine.cancel(id, &by("ann")).await.unwrap_err().code(), "ERR_ACTION_DECIDED");
        assert_eq!(engine.stop(id, None, &by("ann")).await.unwrap_err().code(), "ERR_ACTION_DECIDED");
    }
    let none = vote(&engine, ActionId::new(7), true, "cid").await.unwrap_err();
    assert_eq!(none.code(), "ERR_ACTION_ID_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn lists_go_over_both_in_order() {
    let (mut lab, _) = archiving(2).await;
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    let mut ids = Vec::new();
    for n in 0..300 {
        let id = push(&engine, "three", one(n % 2), "ann").await;
        engine.cancel(id, &by("ann")).await.unwrap();
        ids.push(id);
    }
    days_pass(&lab, &clock, 31).await;
    assert_eq!(counts(&engine), [0, 0, 0]);
    for n in 0..3 {
        let id = push(&engine, "three", one(n % 2), "ann").await;
        engine.cancel(id, &by("ann")).await.unwrap();
        ids.push(id);
    }
    let only = |list: Vec<(ActionId, Value)>| list.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(only(done(&engine, |_| ())), ids);
    let mut back = ids.clone();
    back.reverse();
    assert_eq!(only(done(&engine, |q| q.reverse = true)), back);
    let last = |q: &mut ActionQuery| (q.reverse, q.limit) = (true, Some(5));
    assert_eq!(only(done(&engine, last)), back[..5]);
    let range = |q: &mut ActionQuery| {
        (q.from, q.to) = (std::ops::Bound::Excluded(ids[10]), std::ops::Bound::Included(ids[301]));
    };
    assert_eq!(only(done(&engine, range)), ids[11..=301]);
    let filter = json!({"targets.miner-wm-1.calls.id": thing(1)});
    let of_one = done(&engine, |q| {
        q.filter = Some(Filter::parse(&filter).unwrap());
        q.fields = Some(Projection::parse(&json!({"status": 1, "targets": 1})).unwrap());
    });
    assert_eq!(of_one.len(), 151);
    assert!(of_one.iter().all(|(_, view)| view["status"] == "CANCELLED" && view.get("digest").is_none()));
    let mut voting = ActionQuery::new(Bucket::Voting);
    voting.limit = Some(5);
    assert!(engine.query(&voting).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_is_in_one_place_wherever_the_process_dies() {
    for point in ["before_archive", "after_keep", "before_commit", "after_commit", "after_archive"] {
        let (mut lab, _) = archiving(3).await;
        let clock = settable(&mut lab);
        let engine = lab.start().await;
        let ids = ended(&lab, &engine).await;
        let before = seen(&engine, &ids);
        lab.kill(engine).await;
        clock.1.store(40 * 86_400_000, Ordering::SeqCst);
        lab.options.points = Some(Arc::new(Dies(point)));
        let engine = lab.start().await;
        lab.pass(60_000).await;
        assert_eq!(seen(&engine, &ids), before, "{point}");
        lab.kill(engine).await;
        lab.options.points = None;
        let engine = lab.start().await;
        assert_eq!(seen(&engine, &ids), before, "{point}, started again");
        lab.pass(60_000).await;
        assert_eq!(counts(&engine), [0, 0, 0], "{point}");
        assert_eq!(seen(&engine, &ids), before, "{point}, moved");
    }
}

#[tokio::test(start_paused = true)]
async fn ids_go_on_from_those_in_the_archive() {
    let (mut lab, _) = archiving(3).await;
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    let ids = ended(&lab, &engine).await;
    days_pass(&lab, &clock, 400).await;
    assert_eq!(counts(&engine), [0, 0, 0]);
    lab.kill(engine).await;
    clock.1.store(-YEAR_MS, Ordering::SeqCst);
    let engine = lab.start().await;
    let next = push(&engine, "three", json!({}), "ann").await;
    assert!(ids.iter().all(|id| *id < next));
    assert_eq!(seen(&engine, &ids).1.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_stays_and_what_nobody_knows_waits() {
    let (mut lab, shelf) = archiving(2).await;
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    lab.rack.fault(&thing(0), MemFault::LosesReply);
    lab.rack.mute(&thing(0), true);
    let id = push(&engine, "reboot", one(0), "ann").await;
    until(&engine, id, Status::Partial).await;
    days_pass(&lab, &clock, 40).await;
    assert_eq!(counts(&engine)[0], 1, "somebody may say what became of it");
    engine.settle(id, (&rack(), &thing(0)), Settled::Ok, None, &by("ann")).await.unwrap();
    shelf.full(true);
    days_pass(&lab, &clock, 1).await;
    let view = engine.get(id).unwrap().unwrap();
    assert_eq!((counts(&engine)[0], &view.0["status"]), (1, &json!("COMPLETED")));
    shelf.full(false);
    days_pass(&lab, &clock, 0).await;
    assert_eq!(counts(&engine), [0, 0, 0]);
    assert_eq!(engine.get(id).unwrap().unwrap(), view);
}

#[tokio::test(start_paused = true)]
async fn what_the_archive_lost_is_said_and_what_was_altered_is_found() {
    let (mut lab, shelf) = archiving(3).await;
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    let ids = ended(&lab, &engine).await;
    days_pass(&lab, &clock, 31).await;
    let whole = shelf.documents();
    shelf.alter(|all| all[0].1.json = all[0].1.json.replacen("ann", "eve", 1));
    assert_eq!(engine.get(ids[0]).unwrap_err().code(), "ERR_ARCHIVE_CORRUPT");
    assert_eq!(engine.query(&ActionQuery::new(Bucket::Done)).unwrap_err().code(), "ERR_ARCHIVE_CORRUPT");
    assert!(engine.get(ids[1]).is_ok());
    shelf.alter(|all| {
        *all = whole.clone();
        all[1].1.json = all[1].1.json.replacen("reboot", "rebot", 1).replacen("attempt", "atempt", 1);
    });
    assert_eq!(engine.get(ids[0]).unwrap_err().code(), "ERR_ARCHIVE_CORRUPT");
    shelf.alter(|all| drop(all.drain(..2)));
    let rest = engine.get(ids[0]).unwrap().unwrap().0;
    assert_eq!(rest["status"], "COMPLETED");
    assert!(rest["digest"].is_string() && rest["archivedAt"].is_number() && rest.get("targets").is_none());
    let list = done(&engine, |_| ());
    assert_eq!(list.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    assert_eq!(list[0].1, rest);
}

#[tokio::test(start_paused = true)]
async fn secrets_do_not_go_along() {
    let (mut lab, shelf) = archiving(1).await;
    lab.fleet.rack("miner-wm-2", "miner-wm", 1, &[("setupPools", 2)]).unwrap();
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    let pool = json!({"url": "stratum+tcp://p:1", "workerName": "w", "workerPassword": "hunter2"});
    let params = vec![json!({"config": {"poolUrls": [pool]}})];
    let id = engine.push(Draft::new("setupPools", params, json!({})).unwrap(), &by("ann")).await;
    let id = id.unwrap().into_id().unwrap();
    let sealed = serde_json::to_string(&*engine.header(id).unwrap()).unwrap();
    assert!(sealed.contains("$sealed") && !sealed.contains("hunter2"));
    engine.cancel(id, &by("ann")).await.unwrap();
    let before = engine.get(id).unwrap();
    days_pass(&lab, &clock, 31).await;
    assert_eq!((counts(&engine), engine.get(id).unwrap()), ([0, 0, 0], before));
    let kept = format!("{:?}", shelf.documents());
    assert!(kept.contains("stratum") && !kept.contains("$sealed") && !kept.contains("hunter2"));
}
