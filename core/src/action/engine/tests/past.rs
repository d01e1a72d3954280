//! Faults of earlier systems, one by one: `docs/past-bugs.md` says which test shows which.

use std::{collections::BTreeSet, sync::Mutex};

use super::*;
use crate::{
    ErrorKind, Result,
    action::{
        ActionQuery, Ask, Bare, BatchOptions, Before, Bucket, Call, Fleet, FleetRack, Hands, Look, Reply,
        Seen, Selection, Shed,
    },
    driver::Permit,
    ork::{Orchestrator, OrkOptions},
    testkit::MemFault,
};

/// The lists in which an action stands.
fn buckets(engine: &Engine, id: ActionId) -> Vec<Bucket> {
    let holds = |bucket: &Bucket| {
        engine.query(&ActionQuery::new(*bucket)).unwrap().iter().any(|listed| listed.id == id)
    };
    Bucket::ALL.into_iter().filter(holds).collect()
}

fn stored(engine: &Engine) -> usize {
    Bucket::ALL.into_iter().map(|bucket| engine.query(&ActionQuery::new(bucket)).unwrap().len()).sum()
}

/// A disk that takes 20 s for every commit.
#[derive(Debug)]
struct SlowDisk(Ctx);

#[async_trait]
impl Points for SlowDisk {
    async fn at(&self, name: &'static str) {
        if name == "before_commit" {
            self.0.clock.sleep_until(self.0.clock.mono() + Duration::from_secs(20)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_whose_caller_gave_up_is_there_once() {
    let mut lab = Lab::mos(1).await;
    lab.options.points = Some(Arc::new(SlowDisk(lab.cx.clone())));
    let engine = lab.start().await;
    let keyed = Draft { client_key: Some("k1".into()), ..draft("three", json!({})) };
    let gateway = lab.cx.deadline_in(Duration::from_secs(15));
    let e = gateway.within("gateway", engine.push(keyed.clone(), &by("ann"))).await.unwrap_err();
    assert_eq!((e.kind(), stored(&engine)), (ErrorKind::Timeout, 0), "not durable yet");
    let again = engine.push(keyed.clone(), &by("ann")).await.unwrap();
    let later = engine.push(keyed, &by("ann")).await.unwrap();
    assert!(again.id.is_some());
    assert_eq!((again, stored(&engine)), (later, 1));
}

#[tokio::test(start_paused = true)]
async fn an_approval_does_not_wait_for_ever() {
    let mut lab = Lab::safe(1, everybody(&["ann"])).await;
    lab.options.begin_by_itself = false;
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    let header = engine.header(id).unwrap();
    assert_eq!(header.status, Status::Approved);
    lab.pass(u64::from(header.order.terms.begin_within_s) * 1_000 + 2_000).await;
    assert_eq!(engine.header(id).unwrap().status, Status::Expired);
    assert_eq!((engine.begin_ready().await.unwrap(), lab.rack.sent()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_falls_out_of_a_push_is_named_and_kept() {
    let lab = Lab::mos(3).await;
    lab.rack.swapped(&thing(1), true);
    let cooling = lab.fleet.rack("container-as-1", "container-as", 2, &[("reboot", 2)]).unwrap();
    lab.fleet.rack("miner-wm-2", "miner-wm", 1, &[("reboot", 1)]).unwrap().reachable(false);
    // A rack that knows no actions is none that could fall out.
    lab.fleet.rack("minerpool-f2-1", "minerpool-f2", 1, &[]).unwrap();
    let engine = lab.start().await;
    let pushed = engine.push(draft("reboot", json!({})), &by("ann")).await.unwrap();
    let held = format!("{RACK}: ERR_THING_HELD: {}", thing(1));
    let expected = ["container-as-1: ERR_ACTION_DENIED", held.as_str(), "miner-wm-2: ERR_RACK_UNREACHABLE"];
    assert_eq!(pushed.errors, expected);
    let id = pushed.id.unwrap();
    until(&engine, id, Status::Completed).await;
    let targets = engine.get(id).unwrap().unwrap().0["targets"].clone();
    let racks: Vec<&String> = targets.as_object().unwrap().keys().collect();
    assert_eq!(racks, ["container-as-1", RACK, "miner-wm-2"]);
    assert_eq!(targets["container-as-1"], json!({"calls": [], "error": "ERR_ACTION_DENIED"}));
    assert_eq!(targets["miner-wm-2"], json!({"calls": [], "error": "ERR_RACK_UNREACHABLE"}));
    assert_eq!(targets[RACK]["excluded"], json!([{"id": thing(1), "error": "ERR_THING_HELD"}]));
    assert_eq!((lab.rack.sent(), cooling.sent()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reboot_of_racks_names_them() {
    let lab = Lab::mos(1).await;
    for id in ["miner-a-1", "miner-b-1"] {
        lab.fleet.rack(id, "miner-a", 1, &[("rackReboot", 2)]).unwrap();
    }
    let engine = lab.start().await;
    let named = Draft::new("rackReboot", vec![json!({"rackId": "miner-b-1"})], json!({})).unwrap();
    let id = engine.push(named, &by("ann")).await.unwrap().into_id().unwrap();
    let header = engine.header(id).unwrap();
    let racks: Vec<&str> = header.order.racks.iter().map(|rack| rack.id.as_str()).collect();
    assert_eq!((racks, header.order.terms.votes_for), (vec!["miner-b-1"], 2));
    // A query says nothing about racks, and is no way to name them.
    let queried = engine.push(draft("rackReboot", json!({"rack": "miner-b-1"})), &by("ann")).await.unwrap();
    assert!(nothing(&queried), "{queried:?}");
    assert_eq!(queried.errors[0], "ERR_ACTION_INVALID_MISSING_RACKID");
}

#[tokio::test(start_paused = true)]
async fn stops_do_not_stand_behind_a_fleet_that_hangs() {
    let mut lab = Lab::mos(50).await;
    lab.options.in_flight = 4;
    (0..50).for_each(|n| lab.rack.fault(&thing(n), MemFault::Hangs));
    let other = lab.fleet.rack("miner-wm-2", "miner-wm", 10, &[("setPowerMode", 1)]).unwrap();
    let engine = lab.start().await;
    let fleet = push(&engine, "reboot", json!({}), "ann").await;
    lab.pass(2_000).await;
    assert_eq!(lab.rack.sent(), 4, "every place is taken");
    let begun = lab.cx.clock.mono();
    let shed = Shed::new(json!({"rack": "miner-wm-2"}), "grid signal");
    let id = engine.shed(shed, &by("bob")).await.unwrap().into_id().unwrap();
    until(&engine, id, Status::Completed).await;
    engine.halt(None, &by("bob")).await.unwrap();
    assert!(lab.cx.clock.mono().since(begun) < Duration::from_secs(2));
    assert_eq!((other.sent(), lab.rack.sent()), (10, 4));
    assert_eq!(engine.header(fleet).unwrap().counts.open, 4);
}

#[tokio::test(start_paused = true)]
async fn pushes_do_not_wait_for_each_other() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let begun = lab.cx.clock.mono();
    let mut pushes = tokio::task::JoinSet::new();
    for n in 0..200 {
        let engine = engine.clone();
        pushes.spawn(async move { push(&engine, "three", json!({}), &format!("user{n}")).await });
    }
    let ids: BTreeSet<ActionId> = pushes.join_all().await.into_iter().collect();
    assert_eq!((ids.len(), stored(&engine)), (200, 200));
    assert!(lab.cx.clock.mono().since(begun) < Duration::from_secs(1), "20 in a second would take 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_uses_no_id_twice() {
    let mut lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let first = push(&engine, "three", json!({}), "ann").await;
    lab.kill(engine).await;
    let clock = Arc::new(SystemClock::starting_at(Timestamp(START.0 - 3_600_000)));
    lab.cx = Ctx::new(clock, Arc::new(SeededRng::new(2)), Arc::new(MemNet::new()));
    let engine = lab.start().await;
    let second = push(&engine, "three", json!({}), "ann").await;
    assert!(second > first, "{second} after {first}");
    assert_eq!(stored(&engine), 2);
}

/// The rack of the lab, with a note of what its devices are told.
#[derive(Debug)]
struct Noting {
    rack: Arc<MemRack>,
    told: Mutex<Vec<Value>>,
}

#[async_trait]
impl Hands for Noting {
    async fn select(&self, cx: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        self.rack.select(cx, ask).await
    }

    async fn look(&self, cx: &Ctx, call: &Call) -> Result<Look> {
        self.rack.look(cx, call).await
    }

    async fn send(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        self.told.lock().unwrap().push(json!([call.action, *call.params]));
        self.rack.send(cx, call, permit).await
    }

    async fn confirm(&self, cx: &Ctx, call: &Call, before: &Before, since: Duration) -> Seen {
        self.rack.confirm(cx, call, before, since).await
    }
}

#[derive(Debug)]
struct OneRack(Arc<Noting>);

impl Fleet for OneRack {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        let hands = Some(Arc::clone(&self.0) as Arc<dyn Hands>);
        Ok(vec![FleetRack { id: rack(), thing_type: "miner-wm".into(), hands }])
    }
}

#[tokio::test(start_paused = true)]
async fn devices_get_the_parameters_and_nothing_behind_them() {
    let lab = Lab::mos(1).await;
    let noting = Arc::new(Noting { rack: Arc::clone(&lab.rack), told: Mutex::default() });
    let store = ControlStore::open_on(&lab.cx, Arc::new(lab.disk.clone()), &store_options()).await.unwrap();
    let fleet = Arc::new(OneRack(Arc::clone(&noting)));
    let engine = Engine::open(&lab.cx, store, fleet, lab.options.clone()).unwrap();
    let sleep = Draft::new("setPowerMode", vec!["sleep".into()], json!({})).unwrap();
    let id = engine.push(sleep, &by("ann")).await.unwrap().into_id().unwrap();
    until(&engine, id, Status::Completed).await;
    let reboot = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, reboot, Status::Completed).await;
    assert_eq!(*noting.told.lock().unwrap(), [json!(["setPowerMode", ["sleep"]]), json!(["reboot", []])]);
    assert_eq!(engine.get(id).unwrap().unwrap().0["params"], json!(["sleep"]), "nor is it in the record");
}

#[tokio::test(start_paused = true)]
async fn what_a_device_said_is_kept() {
    let lab = Lab::mos(2).await;
    lab.rack.fault(&thing(1), MemFault::Refuses);
    let engine = lab.start().await;
    let id = push(&engine, "reboot", json!({}), "ann").await;
    until(&engine, id, Status::Partial).await;
    let good = call(&engine, id, &thing(0));
    assert_eq!(good["result"], json!({"success": true}));
    assert_eq!(good["receipt"]["requests"], json!([format!("reboot {}", thing(0))]));
    let refused = call(&engine, id, &thing(1));
    assert_eq!(refused["error"], "ERR_DEVICE_REFUSED: the device refused");
}

/// Both at once, the first one first; gives whether each succeeded.
async fn race<A, B>(first: A, second: B) -> (bool, bool)
where
    A: Future<Output = Result<Arc<Header>>> + Send + 'static,
    B: Future<Output = Result<Arc<Header>>> + Send + 'static,
{
    let (first, second) = (tokio::spawn(first), tokio::spawn(second));
    (first.await.unwrap().is_ok(), second.await.unwrap().is_ok())
}

#[tokio::test(start_paused = true)]
async fn of_yes_and_no_at_once_one_decides() {
    for yes_first in [true, false] {
        let lab = Lab::mos(1).await;
        let engine = lab.start().await;
        let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
        let (one, two) = (engine.clone(), engine.clone());
        let yes = async move { vote(&one, id, true, "bob").await };
        let no = async move { vote(&two, id, false, "cid").await };
        let (yes, no) = if yes_first {
            race(yes, no).await
        } else {
            let (no, yes) = race(no, yes).await;
            (yes, no)
        };
        assert_eq!((yes, no), (yes_first, !yes_first), "the first decides, the other is told");
        until(&engine, id, if yes { Status::Completed } else { Status::Denied }).await;
        lab.pass(10_000).await;
        assert_eq!((lab.rack.sent(), buckets(&engine, id)), (u64::from(yes), vec![Bucket::Done]));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_that_it_is_cancelled_can_rely_on_it() {
    for cancel_first in [true, false] {
        let lab = Lab::mos(1).await;
        let engine = lab.start().await;
        let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
        let (one, two) = (engine.clone(), engine.clone());
        let yes = async move { vote(&one, id, true, "bob").await };
        let cancel = async move { two.cancel(id, &by("ann")).await };
        let cancelled = if cancel_first { race(cancel, yes).await.0 } else { race(yes, cancel).await.1 };
        until(&engine, id, if cancelled { Status::Cancelled } else { Status::Completed }).await;
        lab.pass(10_000).await;
        assert!(cancelled || !cancel_first);
        assert_eq!((lab.rack.sent(), buckets(&engine, id)), (u64::from(!cancelled), vec![Bucket::Done]));
    }
}

#[tokio::test(start_paused = true)]
async fn readers_nobody_and_silence_approve_nothing() {
    let lab = Lab::mos(1).await;
    let engine = lab.start().await;
    let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    let claims = Claims::parse(&json!(["miner:r", "actions:rw"]), Bare::Refused).unwrap();
    let reader = By::claiming(Person::from_text("rob").unwrap(), claims);
    let e = engine.vote(id, Ballot::new(true), &reader).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Forbidden, "ERR_ACTION_DENIED"));
    assert_eq!(By::voting(&json!({"authPerms": ["miner:w"]})).unwrap_err().code(), "ERR_VOTER_INVALID");
    assert_eq!(Ballot::from_body(&json!({})).unwrap_err().code(), "ERR_PAYLOAD_APPROVE_REQUIRED");
    let header = engine.header(id).unwrap();
    assert_eq!((header.status, header.votes.len()), (Status::Voting, 1));
}

#[tokio::test(start_paused = true)]
async fn firmware_takes_a_second_person_whatever_the_rack_asks_for() {
    let lab = Lab::safe(1, everybody(&["ann", "bob"])).await;
    let other = lab.fleet.rack("miner-wm-2", "miner-wm", 1, &[("updateFirmware", 1)]).unwrap();
    let engine = lab.start().await;
    let id = push(&engine, "updateFirmware", json!({}), "ann").await;
    lab.pass(5_000).await;
    assert_eq!((engine.header(id).unwrap().status, other.sent()), (Status::Voting, 0));
    assert_eq!(vote(&engine, id, true, " ANN").await.unwrap_err().code(), "ERR_VOTER_EXISTS");
    vote(&engine, id, true, "bob").await.unwrap();
    until(&engine, id, Status::Completed).await;
    assert_eq!(other.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_seen_at_once_and_in_one_list() {
    let mut lab = Lab::mos(1).await;
    lab.options.begin_by_itself = false;
    let engine = lab.start().await;
    let shows = |id| (engine.get(id).unwrap().unwrap().0["status"].clone(), buckets(&engine, id));
    let id = push(&engine, "setUpfreqSpeed", json!({}), "ann").await;
    assert_eq!(shows(id), (json!("VOTING"), vec![Bucket::Voting]));
    vote(&engine, id, true, "bob").await.unwrap();
    assert_eq!(shows(id), (json!("APPROVED"), vec![Bucket::Ready]));
    engine.cancel(id, &by("Ann ")).await.unwrap();
    assert_eq!(shows(id), (json!("CANCELLED"), vec![Bucket::Done]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_its_own_members_and_a_type_of_rack_is_a_filter() {
    let lab = Lab::mos(2).await;
    let engine = lab.start().await;
    let options = BatchOptions { suffix: Some("repair".into()), ..BatchOptions::default() };
    let drafts = vec![draft("three", one(0)), draft("three", one(1))];
    let batch = engine.push_batch(drafts, &options, &by("ann")).await.unwrap();
    let single = push(&engine, "three", json!({}), "ann").await;
    let groups = engine.query_groups(&ActionQuery::new(Bucket::Voting)).unwrap();
    let ids = |at: usize| -> Vec<ActionId> { groups[at].actions.iter().map(|one| one.id).collect() };
    let members: Vec<ActionId> = batch.iter().filter_map(|pushed| pushed.id).collect();
    assert_eq!((groups.len(), ids(0), ids(1)), (2, members, vec![single]));
    let (pushed, suffix) = groups[0].batch.as_deref().unwrap().split_once('-').unwrap();
    assert!(suffix == "repair" && pushed.parse::<i64>().is_ok() && groups[1].batch.is_none());
    for (wanted, found) in [("miner", true), ("miner-wm", true), ("mine", false), ("minerpool", false)] {
        let draft = Draft { rack_type: Some(wanted.into()), ..draft("three", json!({})) };
        assert_eq!(engine.push(draft, &by("ann")).await.unwrap().id.is_some(), found, "{wanted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_survives_a_restart() {
    let lab = Lab::mos(1).await;
    let open = async || {
        let store =
            ControlStore::open_on(&lab.cx, Arc::new(lab.disk.clone()), &store_options()).await.unwrap();
        let given = json!({"isAutoSleepAllowed": false});
        let options = OrkOptions { global_config: given.as_object().cloned(), ..OrkOptions::default() };
        (store.clone(), Orchestrator::open(&lab.cx, store, options).unwrap())
    };
    let (store, ork) = open().await;
    let members = json!({"isAutoSleepAllowed": true});
    ork.set_global_config(members.as_object().cloned().unwrap()).await.unwrap();
    drop(ork);
    store.close().await.unwrap();
    let (_, ork) = open().await;
    assert_eq!(ork.global_config().unwrap().unwrap()["isAutoSleepAllowed"], true);
}
