use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::{
    ErrorKind, Sent,
    action::{Shed, StopScope},
    testkit::MemFault,
};

#[tokio::test(start_paused = true)]
async fn nothing_begins_after_a_halt_until_two_people_lift_it() {
    let mut lab = Lab::mos(50).await;
    lab.options.in_flight = 4;
    lab.options.run_within = Duration::from_secs(7 * 24 * 3_600);
    (0..50).for_each(|n| lab.rack.fault(&thing(n), MemFault::Hangs));
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, id, Status::Executing).await;
    lab.pass(2_000).await;
    engine.halt(Some("smoke"), &by("eve")).await.unwrap();
    let sent = lab.rack.sent();
    let later = push(&engine, "reboot", one(0), "ann").await;
    lab.pass(48 * 3_600 * 1_000).await;
    assert_eq!(lab.rack.sent(), sent);
    // The stop outlives the process.
    lab.kill(engine).await;
    let engine = lab.start().await;
    engine.reconciled().await;
    lab.pass(10_000).await;
    assert_eq!((lab.rack.sent(), engine.header(later).unwrap().counts.open), (sent, 0));
    (0..50).for_each(|n| lab.rack.fault(&thing(n), MemFault::None));
    assert!(!engine.lift(StopScope::Halt, None, &by("eve")).await.unwrap());
    let again = engine.lift(StopScope::Halt, None, &by(" Eve ")).await.unwrap_err();
    assert_eq!(again.code(), "ERR_VOTER_EXISTS");
    assert!(engine.lift(StopScope::Halt, None, &by("bob")).await.unwrap());
    until(&engine, id, Status::Completed).await;
    (0..50).for_each(|n| assert_eq!(lab.rack.received(&thing(n)).iter().filter(|a| **a == id).count(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_freeze_lets_what_runs_go_on() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    engine.begin_stopping(StopScope::Freeze, None, &by("eve")).await.unwrap();
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(20_000).await;
    assert_eq!(engine.header(id).unwrap().status, Status::Approved);
    for name in ["bob", "eve"] {
        engine.lift(StopScope::Freeze, None, &by(name)).await.unwrap();
    }
    until(&engine, id, Status::Completed).await;
}

#[tokio::test(start_paused = true)]
async fn a_locked_person_neither_pushes_nor_votes_nor_unlocks() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    let scope = StopScope::Person(Person::from_text("bob").unwrap());
    engine.begin_stopping(scope.clone(), None, &by("eve")).await.unwrap();
    let code = |e: Error| (e.kind(), e.code());
    assert_eq!(code(vote(&engine, id, true, "BOB").await.unwrap_err()), (ErrorKind::Forbidden, "ERR_LOCKED"));
    let pushed = engine.push(draft("reboot", json!({})), &by("bob")).await;
    assert_eq!(code(pushed.unwrap_err()), (ErrorKind::Forbidden, "ERR_LOCKED"));
    let lifted = engine.lift(scope, None, &by("bob")).await;
    assert_eq!(code(lifted.unwrap_err()), (ErrorKind::Forbidden, "ERR_LOCKED"));
}

#[tokio::test(start_paused = true)]
async fn load_is_shed_at_once_and_no_faster_than_the_ramp() {
    let mut lab = Lab::mos(100).await;
    lab.options.emergency_ramp_kw_per_s = 30.0;
    let engine = lab.start().await;
    engine.halt(None, &by("eve")).await.unwrap();
    let pushed = engine.shed(Shed::new(json!({}), "grid signal"), &by("bob")).await.unwrap();
    let id = pushed.into_id().unwrap();
    lab.pass(500).await;
    assert!(lab.rack.sent() >= 1);
    // 3 kW each, 30 kW in each second.
    for second in 1..=9_u64 {
        lab.pass(1_000).await;
        let most = (second + 1) * 10 + 1;
        assert!(lab.rack.sent() <= most, "{} after {second} s", lab.rack.sent());
    }
    let header = until(&engine, id, Status::Completed).await;
    assert_eq!((header.counts.ok, header.order.action.as_str()), (100, "setPowerMode"));
    let refused = engine.shed(Shed { kw_per_s: Some(31.0), ..Shed::new(json!({}), "x") }, &by("bob")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

/// A store that becomes slow at a point.
#[derive(Debug)]
struct SlowSoon(Ctx, AtomicBool, &'static str);

#[async_trait]
impl Points for SlowSoon {
    async fn at(&self, name: &'static str) {
        if name == self.2 {
            self.1.store(true, Ordering::SeqCst);
        } else if name == "before_commit" && self.1.load(Ordering::SeqCst) {
            self.0.clock.sleep_until(self.0.clock.mono() + Duration::from_secs(3)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shed_ends_though_its_intent_is_durable_late_and_its_device_is_away_at_first() {
    let mut lab = Lab::mos(3).await;
    lab.options.points = Some(Arc::new(SlowSoon(lab.cx.clone(), AtomicBool::new(false), "after_shed")));
    let engine = lab.start().await;
    for n in [0, 1] {
        lab.rack.fault(&thing(n), MemFault::LosesRequest);
    }
    let pushed = engine.shed(Shed::new(json!({}), "grid signal"), &by("bob")).await.unwrap();
    lab.pass(1_000).await;
    assert_eq!(lab.rack.received(&thing(2)).len(), 1, "nothing waits for the store");
    lab.rack.fault(&thing(0), MemFault::None);
    let header = until(&engine, pushed.into_id().unwrap(), Status::Partial).await;
    assert_eq!((header.counts.ok, header.counts.failed), (2, 1));
    let received: Vec<usize> = (0..3).map(|n| lab.rack.received(&thing(n)).len()).collect();
    assert_eq!(received, [1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_was_shed_without_a_journal_is_not_failed_by_whoever_stops_it() {
    let mut lab = Lab::mos(2).await;
    lab.options.points = Some(Arc::new(SlowSoon(lab.cx.clone(), AtomicBool::new(false), "after_shed")));
    lab.options.emergency_ramp_kw_per_s = 0.01;
    let engine = lab.start().await;
    let pushed = engine.shed(Shed::new(json!({}), "grid signal"), &by("bob")).await.unwrap();
    let (id, shared) = (pushed.into_id().unwrap(), Arc::clone(&engine.0.shared));
    lab.pass(2_000).await;
    assert_eq!(lab.rack.sent(), 1, "the other one waits for the ramp");
    assert_eq!([0, 1].map(|n| shared.is_unrecorded(id, n)), [true, false]);
    lab.pass(30_000).await;
    assert!(!shared.is_unrecorded(id, 0) && shared.header(id).unwrap().counts.ok == 1);
    shared.sends_unrecorded(id, 1);
    engine.stop(id, None, &by("bob")).await.unwrap();
    assert_eq!(shared.header(id).unwrap().counts.failed, 0, "it may have been sent");
    shared.recorded(id, 1);
    engine.stop(id, None, &by("bob")).await.unwrap();
    let header = until(&engine, id, Status::Partial).await;
    assert_eq!((header.counts.ok, header.counts.failed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_of_what_was_shed_that_comes_late_says_that_nobody_knows() {
    let mut lab = Lab::mos(3).await;
    lab.options.points = Some(Arc::new(SlowSoon(lab.cx.clone(), AtomicBool::new(false), "before_shed")));
    let engine = lab.start().await;
    let shed = engine.shed(Shed::new(json!({}), "grid signal"), &by("bob")).await.unwrap_err();
    assert_eq!((shed.kind(), shed.sent()), (ErrorKind::Timeout, Sent::Maybe));
    lab.pass(30_000).await;
    assert_eq!(lab.rack.sent(), 3, "it is shed all the same, and once");
    let headers = engine.0.shared.headers(..);
    assert_eq!(headers.len(), 1);
    let (status, counts) = (headers[0].status, &headers[0].counts);
    assert_eq!((status, counts.unknown, counts.waiting()), (Status::Interrupted, 3, 0), "{counts:?}");
}
