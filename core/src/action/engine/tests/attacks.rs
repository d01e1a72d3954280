//! What hostile callers try; each ends in one typed error or one outcome, with nothing else changed and nothing sent.

use std::collections::BTreeMap;

use super::*;
use crate::{ErrorKind, action::policy::Raised, testkit::MemFault};

/// What the store holds of actions, so that a refusal can be shown to change nothing.
fn held(engine: &Engine) -> (usize, u64) {
    (engine.0.shared.headers(..).len(), engine.audit().size())
}

#[tokio::test(start_paused = true)]
async fn a_thousand_votes_of_one_person_are_one() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let id = push(&engine, "three", json!({}), "ann").await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        let name = ["bob", " BOB ", "Bob", "ｂｏｂ"][n % 4];
        let engine = engine.clone();
        tasks.spawn(async move { vote(&engine, id, true, name).await.map_err(|e| e.code()) });
    }
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for end in tasks.join_all().await {
        *ends.entry(end.map_or_else(|code| code, |_| "ok")).or_default() += 1;
    }
    assert_eq!(ends, [("ok", 1), ("ERR_VOTER_EXISTS", 999)].into());
    assert_eq!(engine.header(id).unwrap().votes.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_vote_a_cancel_and_the_end_of_time_have_one_outcome() {
    for order in 0..6 {
        let lab = Lab::hourly(1).await;
        let engine = lab.start().await;
        let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
        let left = engine.header(id).unwrap().order.terms.expires_at_ms - START.0;
        // Time is up at the very tick in which the others come.
        lab.pass(u64::try_from(left).unwrap() - u64::from(order % 2 == 0)).await;
        let (a, b) = (engine.clone(), engine.clone());
        let vote = async move { vote(&a, id, true, "bob").await.is_ok() };
        let cancel = async move { b.cancel(id, &by("ann")).await.is_ok() };
        let (voted, cancelled) = if order % 3 == 0 {
            tokio::join!(vote, cancel)
        } else {
            let (cancelled, voted) = tokio::join!(cancel, vote);
            (voted, cancelled)
        };
        lab.pass(5_000).await;
        let status = engine.header(id).unwrap().status;
        let fits = match status {
            Status::Cancelled => cancelled && lab.rack.sent() == 0,
            Status::Completed => voted && !cancelled && lab.rack.sent() == 1,
            Status::Expired => !voted && !cancelled && lab.rack.sent() == 0,
            _ => false,
        };
        assert!(fits, "{status:?} voted {voted} cancelled {cancelled}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_reboot_in_small_pieces_is_one_fleet_reboot() {
    let people = everybody(&["ann", "bob", "cid", "dan"]);
    let lab = Lab::safe(50, people).await;
    let engine = lab.start().await;
    let mut raised = 0;
    for n in 0..50 {
        let pushed =
            engine.push(draft("reboot", one(n)), &By::new(Person::from_text("ann").unwrap())).await.unwrap();
        raised += usize::from(pushed.errors.iter().any(|error| error.starts_with(Raised::CODE)));
    }
    lab.pass(5_000).await;
    assert!(raised >= 40, "{raised}");
    assert_eq!(lab.rack.sent() as usize, 50 - raised);
}

#[tokio::test(start_paused = true)]
async fn queries_that_probe_or_burn_are_refused() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let before = held(&engine);
    let mut deep = json!({"id": "x"});
    for _ in 0..1_000 {
        deep = json!({"$or": [deep]});
    }
    let many: Vec<String> = (0..1_000_000).map(|n| n.to_string()).collect();
    for query in [
        json!({"$where": "sleep(1000)"}),
        json!({"id": {"$where": "1"}}),
        deep,
        json!({"id": {"$regex": "(a*)*".repeat(2_000)}}),
        json!({"id": {"$in": many}}),
        json!([]),
        json!("all"),
    ] {
        let shown = query.to_string().chars().take(60).collect::<String>();
        let refused = Draft::new("reboot", Vec::new(), query).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Invalid, "ERR_QUERY_INVALID"), "{shown}");
    }
    for (action, params) in [
        ("", vec![]),
        ("re\nboot", vec![]),
        (&*"x".repeat(65), vec![]),
        ("reboot", vec![json!("x".repeat(2 << 20))]),
        ("reboot", vec![Value::Null; 33]),
    ] {
        let refused = Draft::new(action, params, json!({})).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    assert_eq!((held(&engine), lab.rack.sent()), (before, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_matches_nobody_knows_and_too_many_store_nothing() {
    let lab = Lab::mos(2).await;
    lab.fleet.rack("miner-wm-2", "miner-wm", 100_001, &[("flood", 1)]).unwrap();
    let engine = lab.start().await;
    let before = held(&engine);
    let empty = engine.push(draft("reboot", json!({"id": "nobody"})), &by("ann")).await.unwrap();
    assert!(nothing(&empty) && empty.errors.len() == 1);
    let unknown = engine.push(draft("meltdown", json!({})), &by("ann")).await.unwrap();
    assert_eq!(unknown.errors, ["ERR_ACTION_UNKOWN", "ERR_ORK_ACTION_CALLS_EMPTY"]);
    let many = engine.push(draft("flood", json!({})), &by("ann")).await.unwrap_err();
    assert_eq!((many.kind(), many.code()), (ErrorKind::Invalid, "ERR_TOO_MANY_TARGETS"));
    let e = vote(&engine, ActionId::new(7), true, "bob").await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::NotFound, "ERR_ACTION_ID_NOT_FOUND"));
    assert!("0x7".parse::<ActionId>().is_err() && "-1".parse::<ActionId>().is_err());
    assert_eq!((held(&engine), lab.rack.sent()), (before, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_has_one_engine_at_a_time() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let store = engine.store().clone();
    let open = || Engine::open(&lab.cx, store.clone(), Arc::clone(&lab.fleet) as _, lab.options.clone());
    let refused = open().unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "ERR_ENGINE_OPEN"));
    let clone = engine.clone();
    assert!(engine.close(Duration::from_secs(1)).await);
    assert_eq!(open().unwrap_err().code(), "ERR_ENGINE_OPEN", "somebody still has a handle");
    drop(clone);
    lab.pass(1).await;
    let again = open().unwrap();
    let id = push(&again, "reboot", one(0), "alice").await;
    until(&again, id, Status::Completed).await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_ends_in_time_beside_a_device_that_hangs() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    lab.rack.fault(&thing(0), MemFault::Hangs);
    let id = push(&engine, "reboot", json!({}), "alice").await;
    lab.pass(2_000).await;
    let (start, store) = (lab.cx.clock.mono(), engine.store().clone());
    assert!(!engine.close(Duration::from_secs(3)).await, "a call was broken off");
    assert_eq!(lab.cx.clock.mono().since(start), Duration::from_secs(3));
    lab.pass(1).await;
    store.close().await.unwrap();
    lab.pass(1).await;
    let again = lab.start().await;
    let header = until(&again, id, Status::Completed).await;
    assert_eq!(
        (header.counts.ok, lab.rack.sent()),
        (2, 2),
        "what was broken off is looked at, not sent again"
    );
}
