use super::*;
use crate::{
    action::{Settled, StopScope},
    testkit::MemFault,
};

#[tokio::test(start_paused = true)]
async fn every_call_ends_as_the_device_has_it() {
    let lab = Lab::mos(7).await;
    let faults = [
        (0, MemFault::None, "ok"),
        (1, MemFault::Refuses, "ERR_DEVICE_REFUSED"),
        (2, MemFault::LosesRequest, "ERR_OFFLINE"),
        (3, MemFault::LosesReply, "ok"),
        (4, MemFault::LosesBoth, "ERR_NOT_CONFIRMED"),
        (5, MemFault::Lies, "ERR_NOT_CONFIRMED"),
    ];
    faults.iter().for_each(|(n, fault, _)| lab.rack.fault(&thing(*n), *fault));
    lab.rack.fault(&thing(6), MemFault::LosesReply);
    lab.rack.mute(&thing(6), true);
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    let header = until(&engine, id, Status::Partial).await;
    for (n, fault, ends) in faults {
        let call = call(&engine, id, &thing(n));
        match ends {
            "ok" => assert_eq!(call["result"]["success"], true, "{fault:?}: {call}"),
            code => assert!(call["error"].as_str().unwrap().starts_with(code), "{fault:?}: {call}"),
        }
        let received = lab.rack.received(&thing(n)).len();
        assert!(received <= 1, "{fault:?}: {received}");
    }
    assert_eq!(call(&engine, id, &thing(6))["error"], "ERR_OUTCOME_UNKNOWN");
    assert_eq!((header.counts.ok, header.counts.failed, header.counts.unknown), (2, 4, 1));
    // What nobody knew a person can say later.
    let target = (&rack(), &*thing(6));
    let settled = engine.settle(id, target, Settled::Ok, Some("looked at it"), &by("bob")).await.unwrap();
    assert_eq!((settled.status, settled.counts.unknown), (Status::Partial, 0));
    let again = engine.settle(id, target, Settled::Failed, None, &by("bob")).await.unwrap_err();
    assert_eq!(again.code(), "ERR_CALL_DECIDED");
}

#[tokio::test(start_paused = true)]
async fn a_paused_action_begins_no_call_and_a_stopped_one_ends() {
    let mut lab = Lab::mos(20).await;
    lab.options.in_flight = 2;
    (0..20).for_each(|n| lab.rack.fault(&thing(n), MemFault::Hangs));
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, id, Status::Executing).await;
    lab.pass(5_000).await;
    assert_eq!(lab.rack.sent(), 2);
    engine.pause(id, Some("smoke"), &by("bob")).await.unwrap();
    let header = engine.stop(id, None, &by("bob")).await.unwrap();
    assert_eq!((header.counts.open, header.counts.failed), (2, 18));
    // Those that hang are given up and looked at.
    let header = until(&engine, id, Status::Partial).await;
    assert_eq!((header.counts.ok, lab.rack.sent()), (2, 2));
    assert_eq!(call(&engine, id, &thing(19))["error"], "ERR_ACTION_STOPPED");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_action_holds_up_no_other() {
    let lab = Lab::mos(2).await;
    lab.rack.fault(&thing(0), MemFault::Hangs);
    let engine = lab.start().await;
    let hangs = push(&engine, "reboot", one(0), "ann").await;
    let other = push(&engine, "reboot", one(1), "ann").await;
    until(&engine, other, Status::Completed).await;
    assert_eq!(engine.header(hangs).unwrap().status, Status::Executing);
}

#[tokio::test(start_paused = true)]
async fn a_swapped_device_gets_nothing() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    lab.rack.swapped(&thing(0), true);
    vote(&engine, id, true, "bob").await.unwrap();
    until(&engine, id, Status::Partial).await;
    assert!(call(&engine, id, &thing(0))["error"].as_str().unwrap().starts_with("ERR_IDENTITY_MISMATCH"));
    assert_eq!((lab.rack.received(&thing(0)).len(), lab.rack.received(&thing(1)).len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_runs_for_too_long_is_given_up() {
    let mut lab = Lab::mos(4).await;
    lab.options.in_flight = 1;
    lab.options.run_within = Duration::from_secs(3_600);
    lab.options.call_within = Duration::from_secs(24 * 3_600);
    (0..4).for_each(|n| lab.rack.fault(&thing(n), MemFault::Hangs));
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    let header = until(&engine, id, Status::Partial).await;
    assert_eq!((header.counts.ok, header.counts.failed), (1, 3));
    assert_eq!(call(&engine, id, &thing(3))["error"], "ERR_ACTION_DEADLINE");
}

#[tokio::test(start_paused = true)]
async fn a_locked_rack_holds_its_calls() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let scope = StopScope::Rack(rack());
    engine.begin_stopping(scope.clone(), Some("fire drill"), &by("eve")).await.unwrap();
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(10_000).await;
    assert_eq!((engine.header(id).unwrap().status, lab.rack.sent()), (Status::Executing, 0));
    assert!(!engine.lift(scope.clone(), None, &by("eve")).await.unwrap());
    assert!(engine.lift(scope, None, &by("bob")).await.unwrap());
    until(&engine, id, Status::Completed).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_what_it_missed() {
    let mut lab = Lab::mos(1).await;
    lab.options.watchers = 4;
    let engine = lab.start().await;
    let mut watch = engine.watch();
    for _ in 0..4 {
        let id = push(&engine, "reboot", json!({}), "ann").await;
        until(&engine, id, Status::Completed).await;
    }
    assert!(matches!(watch.next().await, Some(crate::action::Watched::Missed(n)) if n > 0));
    assert!(matches!(watch.next().await, Some(crate::action::Watched::Changed(_))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_sent_keeps_its_turn() {
    let mut lab = Lab::mos(2).await;
    lab.options.in_flight = 1;
    lab.rack.fault(&thing(0), MemFault::LosesRequest);
    lab.rack.fault(&thing(1), MemFault::Hangs);
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, id, Status::Executing).await;
    // Both attempts at the first end before the second begins, which then hangs.
    lab.pass(10_000).await;
    let counts = engine.header(id).unwrap().counts;
    assert_eq!((counts.failed, counts.open, lab.rack.sent()), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_preview_says_what_a_push_would_do_and_does_nothing() {
    let lab = Lab::mos(3).await;
    lab.rack.swapped(&thing(1), true);
    let engine = lab.start().await;
    let revision = engine.store().revision();
    let preview = engine.preview(draft("three", json!({})), &by("ann")).await.unwrap();
    assert_eq!(preview.targets[&rack()], [thing(0), thing(2)]);
    assert_eq!((preview.size.targets, preview.racks[0].excluded), (2, 1));
    assert_eq!(preview.terms.as_ref().map(|terms| terms.votes_for), Some(3));
    assert_eq!(preview.errors, [format!("{RACK}: ERR_THING_HELD: {}", thing(1))]);
    assert_eq!((engine.store().revision(), engine.audit().size()), (revision, 0));
    let pushed = engine.push(draft("three", json!({})), &by("ann")).await.unwrap();
    let header = engine.header(pushed.id.unwrap()).unwrap();
    assert_eq!((Some(&header.order.terms), &pushed.errors), (preview.terms.as_ref(), &preview.errors));
    let nothing = engine.preview(draft("three", one(1)), &by("ann")).await.unwrap();
    assert!(
        nothing.terms.is_none() && nothing.errors.last().is_some_and(|e| e == "ERR_ORK_ACTION_CALLS_EMPTY")
    );
    let wrong = Draft { why: Some("x".repeat(501).into()), ..draft("three", json!({})) };
    assert_eq!(engine.preview(wrong, &by("ann")).await.unwrap_err().code(), "ERR_WHY_INVALID");
}
