//! What the trust checks found, each as a case of its own.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::*;
use crate::{
    action::{Principals, Settled, Shed, Standing},
    io::{Clock, Mono},
    store::{Batch, CrashPlan, Key, Space},
    testkit::MemFault,
};

/// A clock that somebody sets.
#[derive(Debug)]
pub(super) struct Set(SystemClock, pub(super) AtomicI64);

#[async_trait]
impl Clock for Set {
    fn wall(&self) -> Timestamp {
        Timestamp(self.0.wall().0 + self.1.load(Ordering::SeqCst))
    }

    fn mono(&self) -> Mono {
        self.0.mono()
    }

    async fn sleep_until(&self, at: Mono) {
        self.0.sleep_until(at).await;
    }
}

pub(super) fn settable(lab: &mut Lab) -> Arc<Set> {
    let clock = Arc::new(Set(SystemClock::starting_at(START), AtomicI64::new(0)));
    lab.cx.clock = Arc::clone(&clock) as _;
    clock
}

pub(super) const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;

#[tokio::test(start_paused = true)]
async fn a_vote_does_not_revive_what_ran_out() {
    let mut lab = Lab::mos(1).await;
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    // Before the engine looks at what ran out.
    clock.1.store(YEAR_MS, Ordering::SeqCst);
    assert_eq!(vote(&engine, id, true, "bob").await.unwrap_err().code(), "ERR_ACTION_DECIDED");
    clock.1.store(0, Ordering::SeqCst);
    assert_eq!(vote(&engine, id, true, "bob").await.unwrap_err().code(), "ERR_ACTION_DECIDED");
    lab.pass(2_000).await;
    assert_eq!(engine.header(id).unwrap().status, Status::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_neither_ends_a_run_nor_shortens_a_wait() {
    let mut lab = Lab::mos(3).await;
    let mut rules = Rules::mos();
    rules.default.wait_s = 60;
    lab.options.policy = Arc::new(rules);
    lab.options.in_flight = 1;
    lab.options.call_within = Duration::from_secs(60);
    (0..2).for_each(|n| lab.rack.fault(&thing(n), MemFault::Hangs));
    let clock = settable(&mut lab);
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(5_000).await;
    clock.1.store(120_000, Ordering::SeqCst);
    lab.pass(30_000).await;
    assert_eq!((engine.header(id).unwrap().status, lab.rack.sent()), (Status::Approved, 0));
    lab.pass(40_000).await;
    assert_eq!(lab.rack.sent(), 1);
    clock.1.store(YEAR_MS, Ordering::SeqCst);
    until(&engine, id, Status::Completed).await;
    assert_eq!(lab.rack.sent(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    let mut lab = Lab::mos(2).await;
    let mut rules = Rules::mos();
    (rules.default.wait_s, rules.default.expires_s) = (60, 600);
    lab.options.policy = Arc::new(rules);
    let clock = settable(&mut lab);
    clock.1.store(10 * YEAR_MS, Ordering::SeqCst);
    let engine = lab.start().await;
    let waits = push(&engine, "reboot", json!({}), "ann").await;
    let votes = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    clock.1.store(0, Ordering::SeqCst);
    lab.pass(50_000).await;
    assert_eq!((engine.header(waits).unwrap().status, lab.rack.sent()), (Status::Approved, 0));
    lab.pass(20_000).await;
    assert_eq!((engine.header(waits).unwrap().status, lab.rack.sent()), (Status::Completed, 2));
    assert_eq!(engine.header(votes).unwrap().status, Status::Voting);
    lab.pass(540_000).await;
    assert_eq!(engine.header(votes).unwrap().status, Status::Expired);
    // Times that stand in actions go on too.
    let ended = engine.header(waits).unwrap();
    let times = [ended.decided_ms, ended.begun_ms, ended.ended_ms].map(Option::unwrap);
    assert!(times[0] + 60_000 <= times[1] && times[1] <= times[2], "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_is_open_by_the_clock_that_was_set_back() {
    let mut lab = Lab::mos(1).await;
    let mut rules = Rules::mos();
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let window = json!([{"days": days, "from": "10:00", "to": "11:00", "zone": "UTC"}]);
    rules.default.windows = serde_json::from_value(window).unwrap();
    rules.default.begin_within_s = 86_400;
    lab.options.policy = Arc::new(rules);
    let clock = settable(&mut lab);
    // It is 10:30, as far as anybody knows, and then nine hours earlier.
    let half_past_ten = 37_800_000 + 86_400_000 - START.0 % 86_400_000;
    clock.1.store(half_past_ten, Ordering::SeqCst);
    let engine = lab.start().await;
    lab.pass(1_000).await;
    clock.1.store(half_past_ten - 9 * 3_600_000, Ordering::SeqCst);
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(60_000).await;
    assert_eq!((engine.header(id).unwrap().status, lab.rack.sent()), (Status::Approved, 0));
    lab.pass(9 * 3_600_000).await;
    assert_eq!((engine.header(id).unwrap().status, lab.rack.sent()), (Status::Approved, 0));
    // The day after both are within it.
    clock.1.store(half_past_ten, Ordering::SeqCst);
    lab.pass(15 * 3_600_000).await;
    assert_eq!((engine.header(id).unwrap().status, lab.rack.sent()), (Status::Completed, 1));
}

#[tokio::test(start_paused = true)]
async fn targets_that_were_changed_during_a_run_get_nothing_after_a_restart() {
    let mut lab = Lab::mos(3).await;
    lab.options.in_flight = 1;
    lab.rack.fault(&thing(0), MemFault::Hangs);
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({"id": {"$in": [thing(0), thing(1)]}}), "ann").await;
    lab.pass(5_000).await;
    let key = Key::number(id.get()).join(Key::number(0));
    let mut row: Value = engine.store().get_record(Space::Targets, &key).unwrap().parse().unwrap();
    row["calls"][1]["id"] = thing(2).into();
    engine.store().commit(Batch::new().put(Space::Targets, key, &row)).await.unwrap();
    lab.kill(engine).await;
    let engine = lab.start().await;
    lab.pass(10_000).await;
    let header = engine.header(id).unwrap();
    assert_eq!(header.hold.as_ref().unwrap().why.as_deref(), Some("ERR_ACTION_CHANGED"));
    assert_eq!((header.counts.lost, lab.rack.sent()), (1, 1));
    assert_eq!(engine.resume(id, &by("bob")).await.unwrap_err().code(), "ERR_ACTION_CHANGED");
    lab.pass(10_000).await;
    assert_eq!(lab.rack.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_unknown_is_settled() {
    let mut lab = Lab::mos(2).await;
    lab.options.in_flight = 1;
    lab.rack.fault(&thing(0), MemFault::Hangs);
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(5_000).await;
    for n in 0..2 {
        let told = engine.settle(id, (&rack(), &*thing(n)), Settled::Ok, None, &by("bob")).await;
        assert_eq!(told.unwrap_err().code(), "ERR_CALL_DECIDED", "{n}");
    }
}

/// People whose rights cannot always be found out.
#[derive(Debug)]
struct Flaky(Arc<StaticPrincipals>, AtomicBool);

#[async_trait]
impl Principals for Flaky {
    async fn of(&self, person: &Person) -> crate::Result<Standing> {
        if self.1.load(Ordering::SeqCst) {
            return Err(Error::new(crate::ErrorKind::Unreachable, "test", "the directory is down"));
        }
        self.0.of(person).await
    }
}

#[tokio::test(start_paused = true)]
async fn rights_that_nobody_knows_hold_a_run_and_cut_no_call() {
    let people = everybody(&["ann", "bob"]);
    let flaky = Arc::new(Flaky(Arc::clone(&people), AtomicBool::new(false)));
    let mut lab = Lab::mos(3).await;
    lab.options.rights = RightsSource::Current(Arc::clone(&flaky) as _);
    lab.options.in_flight = 1;
    lab.options.call_within = Duration::from_secs(30);
    lab.rack.fault(&thing(0), MemFault::Hangs);
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(5_000).await;
    flaky.1.store(true, Ordering::SeqCst);
    lab.pass(60_000).await;
    let header = engine.header(id).unwrap();
    assert_eq!((header.hold.is_some(), header.counts.open, header.counts.ok), (true, 0, 1));
    flaky.1.store(false, Ordering::SeqCst);
    people.remove(&Person::from_text("ann").unwrap());
    assert_eq!(engine.resume(id, &by("bob")).await.unwrap_err().code(), "ERR_ACTION_DENIED");
    people.set(&Person::from_text("ann").unwrap(), Permissions::parse(["miner:rw"]).unwrap()).unwrap();
    engine.resume(id, &by("bob")).await.unwrap();
    until(&engine, id, Status::Completed).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_ended_during_its_look_does_not_spin() {
    let mut lab = Lab::mos(2).await;
    lab.options.points = Some(Arc::new(Waits));
    lab.rack.fault(&thing(0), MemFault::Hangs);
    lab.options.in_flight = 2;
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(1_000).await;
    engine.stop(id, None, &by("bob")).await.unwrap();
    lab.pass(10_000).await;
    assert_eq!((engine.header(id).unwrap().status, lab.rack.sent()), (Status::Failed, 0));
}

/// Takes its time before each journal entry.
#[derive(Debug)]
struct Waits;

#[async_trait]
impl Points for Waits {
    async fn at(&self, name: &'static str) {
        if name == "before_journal" {
            tokio::task::yield_now().await;
            let clock = SystemClock::default();
            clock.sleep_until(clock.mono() + Duration::from_secs(5)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn load_is_shed_while_the_store_does_not_answer_and_another_rack_hangs() {
    let mut lab = Lab::mos(10).await;
    let other = lab.fleet.rack("miner-wm-0", "miner-wm", 40, ACTIONS).unwrap();
    let hanging: Vec<String> = other.things().map(str::to_owned).collect();
    hanging.iter().for_each(|id| other.fault(id, MemFault::Hangs));
    lab.options.shed_in_flight = 4;
    let engine = lab.start().await;
    lab.disk.plan(CrashPlan { fail_at: Some(0), fail_for: u64::MAX, ..CrashPlan::default() });
    let told = engine.shed(Shed::new(json!({}), "grid signal"), &by("bob")).await;
    assert!(told.is_err());
    lab.pass(1_000).await;
    assert_eq!(lab.rack.sent(), 10);
    lab.disk.plan(CrashPlan::default());
    lab.pass(10_000).await;
    // Recorded, a rack that hangs takes its own places only.
    engine.shed(Shed::new(json!({}), "again"), &by("bob")).await.unwrap();
    lab.pass(5_000).await;
    assert_eq!(lab.rack.sent(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_was_shed_without_its_journal_is_told_when_the_store_is_back() {
    let mut lab = Lab::mos(40).await;
    lab.options.shed_in_flight = 4;
    lab.options.emergency_ramp_kw_per_s = 30.0;
    let engine = lab.start().await;
    let id = engine.shed(Shed::new(json!({}), "grid signal"), &by("bob")).await.unwrap().into_id().unwrap();
    lab.pass(500).await;
    lab.disk.plan(CrashPlan { fail_at: Some(0), fail_for: u64::MAX, ..CrashPlan::default() });
    lab.pass(30_000).await;
    // Neither the journal nor those that wait for it hold the others up.
    assert_eq!(lab.rack.sent(), 40);
    lab.disk.plan(CrashPlan::default());
    let header = until(&engine, id, Status::Completed).await;
    assert_eq!((header.counts.ok, lab.rack.sent()), (40, 40));
}

#[tokio::test(start_paused = true)]
async fn an_action_whose_time_ran_out_while_the_store_failed_ends_when_it_is_back() {
    let mut lab = Lab::mos(3).await;
    lab.options.run_within = Duration::from_secs(60);
    let engine = lab.start().await;
    let scope = crate::action::StopScope::Rack(crate::model::RackId::new(RACK).unwrap());
    engine.begin_stopping(scope, None, &by("ann")).await.unwrap();
    let id = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, id, Status::Executing).await;
    lab.disk.plan(CrashPlan { fail_at: Some(0), fail_for: u64::MAX, ..CrashPlan::default() });
    lab.pass(90_000).await;
    assert_eq!(engine.header(id).unwrap().status, Status::Executing);
    lab.disk.plan(CrashPlan::default());
    let header = until(&engine, id, Status::Failed).await;
    assert_eq!((header.counts.failed, lab.rack.sent()), (3, 0));
}
