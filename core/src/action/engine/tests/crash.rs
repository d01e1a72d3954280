use super::*;
use crate::{
    action::{Settled, catalogue},
    audit::Log,
    store::CrashPlan,
    testkit::MemFault,
};

/// Kills the engine at `point` of an action on two things and starts it again; gives how it ended.
async fn killed_at(point: &'static str, fault: MemFault, mute: bool) -> (Lab, Engine, ActionId) {
    let mut lab = Lab::mos(2).await;
    lab.rack.fault(&thing(0), fault);
    lab.rack.mute(&thing(0), mute);
    lab.options.points = Some(Arc::new(Dies(point)));
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(5_000).await;
    lab.kill(engine).await;
    lab.options.points = None;
    lab.rack.fault(&thing(0), MemFault::None);
    let engine = lab.start().await;
    engine.reconciled().await;
    (lab, engine, id)
}

#[tokio::test(start_paused = true)]
async fn before_the_journal_it_is_sent_once_after_the_start() {
    for point in ["before_begin", "after_begin", "before_journal"] {
        let (lab, engine, id) = killed_at(point, MemFault::None, false).await;
        until(&engine, id, Status::Completed).await;
        assert_eq!(lab.rack.received(&thing(0)).len(), 1, "{point}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_journal_it_is_never_sent_again() {
    for (point, mute, status) in [
        ("after_journal_before_send", false, Status::Failed),
        ("after_journal_before_send", true, Status::Interrupted),
        ("after_reply_before_outcome", false, Status::Completed),
        ("after_reply_before_outcome", true, Status::Interrupted),
        ("after_outcome", true, Status::Completed),
    ] {
        let (lab, engine, id) = killed_at(point, MemFault::None, mute).await;
        let both = |status: Status| if mute { Status::Interrupted } else { status };
        let status = if point == "after_outcome" { status } else { both(status) };
        until(&engine, id, status).await;
        lab.pass(60_000).await;
        let sent = u32::from(point != "after_journal_before_send");
        assert_eq!(lab.rack.received(&thing(0)).len(), sent as usize, "{point} {mute}");
        assert_eq!(lab.rack.received(&thing(1)).len(), sent as usize, "{point} {mute}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_waits_for_a_store_that_takes_nothing() {
    let mut lab = Lab::mos(2).await;
    lab.options.points = Some(Arc::new(Dies("after_reply_before_outcome")));
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(5_000).await;
    lab.kill(engine).await;
    lab.options.points = None;
    let engine = lab.start().await;
    lab.disk.plan(CrashPlan { fail_at: Some(0), fail_for: u64::MAX, ..CrashPlan::default() });
    lab.pass(5_000).await;
    assert_eq!(engine.header(id).unwrap().status, Status::Executing);
    lab.disk.plan(CrashPlan::default());
    engine.reconciled().await;
    until(&engine, id, Status::Completed).await;
    assert_eq!(lab.rack.received(&thing(0)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_site_with_secrets_in_its_actions_gets_another_key() {
    let lab = Lab::mos(1).await;
    lab.fleet.rack("miner-wm-2", "miner-wm", 1, &[("setupPools", 2)]).unwrap();
    let engine = lab.start().await;
    let pool = json!({"url": "stratum+tcp://p:1", "workerName": "w", "workerPassword": "p00l-w0rd"});
    let params = vec![json!({"config": {"poolUrls": [pool]}})];
    let pushed = engine.push(Draft::new("setupPools", params.clone(), json!({})).unwrap(), &by("ann")).await;
    let id = pushed.unwrap().into_id().unwrap();
    lab.kill(engine).await;
    let new = SealKey::from_bytes([9; 32]);
    let told =
        ControlStore::rotate_key_on(&lab.cx, Arc::new(lab.disk.clone()), &store_options(), &new).unwrap();
    assert_eq!(told.secrets, 1);
    let options = StoreOptions { key: Some(new), ..store_options() };
    let store = ControlStore::open_on(&lab.cx, Arc::new(lab.disk.clone()), &options).await.unwrap();
    let engine = Engine::open(&lab.cx, store, Arc::clone(&lab.fleet) as _, lab.options.clone()).unwrap();
    let header = engine.header(id).unwrap();
    let opened = catalogue::open(engine.store().sealer(), &id.key(), "setupPools", &header.order.params);
    assert_eq!(opened.unwrap(), params);
}

#[tokio::test(start_paused = true)]
async fn a_person_settles_what_a_crash_lost() {
    let (lab, engine, id) = killed_at("after_reply_before_outcome", MemFault::None, true).await;
    let header = until(&engine, id, Status::Interrupted).await;
    assert_eq!((header.counts.lost, header.counts.ok), (1, 1));
    assert_eq!(call(&engine, id, &thing(1))["result"], json!({"success": true, "reconciled": true}));
    // Also over another restart.
    lab.kill(engine).await;
    let engine = lab.start().await;
    engine.reconciled().await;
    let settled = engine.settle(id, (&rack(), &*thing(0)), Settled::Unknown, None, &by("bob")).await.unwrap();
    assert_eq!(settled.status, Status::Partial);
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_the_look_after_a_crash_is_one_more_of_the_same() {
    let (mut lab, engine, _) = killed_at("after_journal_before_send", MemFault::None, false).await;

    lab.kill(engine).await;
    lab.options.points = Some(Arc::new(Dies("after_journal_before_send")));
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(5_000).await;
    for point in ["before_reconcile", "after_reconcile"] {
        lab.kill(engine.clone()).await;
        lab.options.points = Some(Arc::new(Dies(point)));
        let engine = lab.start().await;
        lab.pass(5_000).await;
        assert_ne!(engine.header(id).unwrap().status, Status::Completed, "{point}");
        lab.kill(engine).await;
    }
    lab.options.points = None;
    let engine = lab.start().await;
    until(&engine, id, Status::Failed).await;
    assert_eq!(lab.rack.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_audit_log_has_every_transition() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    vote(&engine, id, true, "bob").await.unwrap();
    until(&engine, id, Status::Completed).await;
    let mut text = Vec::new();
    crate::audit::export(engine.store(), &mut text).unwrap();
    let entries: Vec<Value> =
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of: Vec<(&str, &str)> = entries
        .iter()
        .filter(|e| e["action"] == id.get())
        .map(|e| (e["by"].as_str().unwrap(), e["what"].as_str().unwrap()))
        .collect();
    assert_eq!(of[..3], [("ann", "push"), ("bob", "vote"), ("headframe", "begin")], "{of:?}");
    assert_eq!(entries.last().unwrap()["data"]["status"], "COMPLETED");
    assert!(Log::open(engine.store()).unwrap().size() as usize == entries.len());
}
