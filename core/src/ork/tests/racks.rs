use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::json;

use super::{super::*, BACK, COOLING, FRONT, Fake, Mode, Site, cx, id, ip, secs, store, store_options};
use crate::{
    Sent, ThingId,
    query::{Filter, Query},
    rack::{Caller, Partial, ThingDraft, ThingRecord, Which},
    store::CrashBackend,
};

fn ann() -> Caller {
    Caller::new("ann@site")
}

fn draft(value: Value) -> ThingDraft {
    serde_json::from_value(value).unwrap()
}

fn names<T>(partial: &Partial<T>) -> Vec<&str> {
    partial.failed.iter().map(|(rack, _)| rack.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rack_that_fails_is_named_and_costs_only_itself() {
    let site = Site::new().await;
    for (mode, kind) in [
        (Mode::Fails, ErrorKind::Unreachable),
        (Mode::Hangs, ErrorKind::Timeout),
        (Mode::Panics, ErrorKind::Internal),
    ] {
        site.back.set(mode);
        let before = cx().clock.mono();
        let all = site.ork.list(&Query::default()).await.unwrap();
        assert_eq!((names(&all), all.items.items.len()), (vec![BACK], 4), "{mode:?}");
        assert_eq!((all.failed[0].1.kind(), all.failed[0].1.fact("rack")), (kind, Some(BACK)));
        let count = site.ork.count(&Filter::all()).await.unwrap();
        assert_eq!((names(&count), count.items), (vec![BACK], 4));
        let found = site.ork.get(&ThingId::new(&format!("{BACK}-1")).unwrap()).await.unwrap();
        assert!(found.items.is_none() && names(&found) == [BACK]);
        assert!(cx().clock.mono().since(before) < secs(31));
    }
    site.back.set(Mode::Good);
    let all = site.ork.list(&Query::default()).await.unwrap();
    assert!(all.failed.is_empty() && all.items.items.len() == 6);
}

#[tokio::test(start_paused = true)]
async fn silent_racks_take_no_place_of_others() {
    let context = cx();
    let ork = Orchestrator::open(&context, store().await, OrkOptions::default()).unwrap();
    let racks: Vec<Arc<Fake>> = (0..80).map(|i| Arc::new(Fake::new("miner-x", &format!("{i:02}")))).collect();
    for (i, rack) in racks.iter().enumerate() {
        rack.put(&format!("t{i}"), json!({}));
        rack.set(if i < 40 { Mode::Hangs } else { Mode::Slow(9) });
        ork.attach(rack.clone(), RackConf::default()).await.unwrap();
    }
    let begin = context.clock.mono();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let ork = ork.clone();
        asked.spawn(async move { ork.list(&Query::default()).await.unwrap() });
    }
    let answers = asked.join_all().await;
    assert_eq!(context.clock.mono().since(begin), secs(10), "one deadline, whoever waits");
    let whole = answers.iter().filter(|all| all.items.items.len() == 40).count();
    assert_eq!(whole, 8, "as many as a rack takes at a time");
    assert!(racks[..40].iter().all(|rack| rack.calls() <= 12));
    let all = ork.list(&Query::default()).await.unwrap();
    assert_eq!((names(&all).len(), all.items.items.len()), (40, 40));
}

#[tokio::test(start_paused = true)]
async fn a_rack_is_given_so_many_calls_at_a_time() {
    let site = Site::new().await;
    site.front.set(Mode::Hangs);
    let before = site.front.calls();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let ork = site.ork.clone();
        asked.spawn(async move { ork.settings(&id(FRONT)).await.unwrap_err().kind() });
    }
    cx().clock.sleep_until(cx().clock.mono() + secs(9)).await;
    assert_eq!(site.front.calls() - before, 8);
    assert!(asked.join_all().await.iter().all(|kind| *kind == ErrorKind::Timeout));
    site.front.set(Mode::Good);
    assert!(site.ork.settings(&id(FRONT)).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_late_write_goes_on_and_says_that_it_may_have_happened() {
    let site = Site::new().await;
    site.front.set(Mode::Slow(60));
    let e = site.ork.register(draft(json!({"id": "late"})), Some(&id(FRONT)), &ann()).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), e.fact("rack")), (ErrorKind::Timeout, Sent::Maybe, Some(FRONT)));
    assert!(!e.retryable());
    assert!(!site.front.state().contains("late"));
    cx().clock.sleep_until(cx().clock.mono() + secs(121)).await;
    assert!(site.front.state().contains("late"));
}

#[tokio::test]
async fn a_thing_goes_to_the_rack_named_or_to_the_owner_of_its_address() {
    let site = Site::new().await;
    let text = format!(r#"{{"{FRONT}": "10.0.0.0/24", "{BACK}": "10.0.1.0/24"}}"#);
    site.ork.set_thing_map(ThingMap::parse(&text).unwrap(), None).await.unwrap();
    let at = |address: &str| draft(json!({"opts": {"address": address}}));

    let (rack, record) = site.ork.register(at("10.0.1.7"), None, &ann()).await.unwrap();
    assert_eq!(rack, id(BACK));
    let (holder, found) =
        site.ork.get(&ThingId::new(record.id.as_str()).unwrap()).await.unwrap().items.unwrap();
    assert_eq!((holder, &found.code), (id(BACK), &record.code));
    let (rack, _) = site.ork.register(at("10.0.0.7"), Some(&id(FRONT)), &ann()).await.unwrap();
    assert_eq!(rack, id(FRONT));
    let (rack, _) = site.ork.register(at("10.8.0.7"), Some(&id(COOLING)), &ann()).await.unwrap();
    assert_eq!(rack, id(COOLING), "an address that nobody owns goes where the caller says");
    let (rack, _) = site.ork.register(draft(json!({})), Some(&id(FRONT)), &ann()).await.unwrap();
    assert_eq!(rack, id(FRONT));

    let before = site.state();
    let e = site.ork.register(at("10.0.1.8"), Some(&id(FRONT)), &ann()).await.unwrap_err();
    assert_eq!((e.code(), e.fact("owner")), ("ERR_THING_MAP_OTHER_RACK", Some(BACK)));
    let e = site.ork.register(at("10.8.0.8"), None, &ann()).await.unwrap_err();
    assert_eq!(e.code(), "ERR_ACTION_INVALID_MISSING_RACKID");
    let e = site.ork.register(draft(json!({})), Some(&id("nowhere")), &ann()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::NotFound, "ERR_RACK_NOT_FOUND"));
    assert_eq!(site.state(), before);
}

#[tokio::test]
async fn map_and_registry_survive_a_restart_and_change_by_compare_and_set() {
    let disk = CrashBackend::new(3);
    let store = ControlStore::create_on(&cx(), Arc::new(disk.clone()), &store_options()).await.unwrap();
    let ork = Orchestrator::open(&cx(), store.clone(), OrkOptions::default()).unwrap();
    let far = json!({"id": "far", "type": "miner-x", "info": {"rpcPublicKey": "ab"}});
    ork.register_rack(RackRecord::new(far.as_object().cloned().unwrap()).unwrap()).await.unwrap();
    let map = |text: &str| ThingMap::parse(text).unwrap();
    let none = ork.thing_map().revision;
    let first = ork.set_thing_map(map(r#"{"far": "10.0.0.1"}"#), Some(none)).await.unwrap();
    for stale in [none, Revision(first.0 + 7)] {
        let e = ork.set_thing_map(map(r#"{"far": "10.0.0.2"}"#), Some(stale)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Conflict);
    }
    ork.set_thing_map(map(r#"{"far": "10.0.0.3"}"#), Some(first)).await.unwrap();
    let e = ork.set_thing_map(map(r#"{"gone": "10.0.0.3"}"#), None).await.unwrap_err();
    assert_eq!((e.code(), e.fact("rack")), ("ERR_THING_MAP_INVALID", Some("gone")));
    drop(ork);
    store.close().await.unwrap();

    let store = ControlStore::open_on(&cx(), Arc::new(disk), &store_options()).await.unwrap();
    let ork = Orchestrator::open(&cx(), store, OrkOptions::default()).unwrap();
    assert_eq!(ork.thing_map().value.owner(ip("10.0.0.3")), Some(&id("far")));
    assert_eq!(ork.racks().unwrap()[0].thing_type, "miner-x");
}

#[tokio::test]
async fn racks_come_and_go() {
    let site = Site::new().await;
    let rack: Arc<Fake> = Arc::new(Fake::new("miner-x", "far"));
    let far = id("miner-x-far");
    let e = site.ork.attach_remote(rack.clone(), RackConf::default()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    site.call("registerRack", json!({"id": far, "type": "miner-x", "info": {"rpcPublicKey": "ab"}}))
        .await
        .unwrap();
    // Registered, not connected: named, never hidden.
    let all = site.ork.list(&Query::default()).await.unwrap();
    assert_eq!((names(&all), all.failed[0].1.kind()), (vec!["miner-x-far"], ErrorKind::Unreachable));
    let e = site.ork.attach(rack.clone(), RackConf::default()).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, "ERR_RACK_EXISTS"));
    site.ork.attach_remote(rack.clone(), RackConf::default()).await.unwrap();
    assert!(site.ork.attach_remote(rack.clone(), RackConf::default()).await.is_err());
    assert!(site.ork.list(&Query::default()).await.unwrap().failed.is_empty());
    site.ork.detach(&far).await.unwrap();
    assert!(site.ork.detach(&far).await.is_err());
    site.ork.attach_remote(rack, RackConf::default()).await.unwrap();
    assert_eq!(site.ork.forget_racks(None).await.unwrap(), std::slice::from_ref(&far));
    assert_eq!(site.ork.racks().unwrap().len(), 3, "racks of this process stay");
    assert_eq!(site.ork.detach(&far).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn forgetting_is_a_sum_of_racks() {
    let site = Site::new().await;
    let one = Filter::parse(&json!({"info.n": 2})).unwrap();
    let gone = site.ork.forget(&Which::Matching(one), &ann()).await.unwrap();
    let ids: Vec<String> = gone.items.iter().flat_map(|(_, ids)| ids).map(ToString::to_string).collect();
    assert_eq!(ids, [format!("{BACK}-2"), format!("{FRONT}-2")]);
    assert_eq!(site.ork.count(&Filter::all()).await.unwrap().items, 4);
}

/// Moves nothing, and notes what it was told.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl Holder for Notes {
    async fn reassign(
        &self,
        thing: &ThingId,
        from: &RackId,
        to: &RackId,
        _: &Caller,
    ) -> Result<Arc<ThingRecord>> {
        self.0.lock().unwrap().push(format!("{thing} {from} {to}"));
        let e = Error::new(ErrorKind::Conflict, "fake", "it is elsewhere");
        Err(e)
    }
}

#[tokio::test]
async fn things_are_reassigned_within_their_family_only() {
    let site = Site::new().await;
    for (rack, name, address) in [
        (&site.front, format!("{FRONT}-1"), "10.0.1.1"),
        (&site.front, format!("{FRONT}-2"), "10.0.0.2"),
        (&site.cooling, format!("{COOLING}-1"), "10.0.0.9"),
    ] {
        rack.edit(&name, "address", address.into());
    }
    let text = format!(r#"{{"{FRONT}": "10.0.0.0/24", "{BACK}": "10.0.1.0/24"}}"#);
    site.ork.set_thing_map(ThingMap::parse(&text).unwrap(), None).await.unwrap();
    let Partial { items: moves, failed } = site.ork.misplaced().await.unwrap();
    assert!(failed.is_empty());
    let shown: Vec<_> = moves.iter().map(|m| (m.id.to_string(), m.to.as_str())).collect();
    assert_eq!(shown, [(format!("{COOLING}-1"), FRONT), (format!("{FRONT}-1"), BACK)]);
    let notes = Notes::default();
    let done = site.ork.reassign(&notes, moves, &ann()).await;
    let codes: Vec<_> = done.iter().map(|(_, moved)| moved.as_ref().unwrap_err().code()).collect();
    assert_eq!(codes, ["ERR_RACK_FAMILY", "ERR_CONFLICT"]);
    assert_eq!(*notes.0.lock().unwrap(), [format!("{FRONT}-1 {FRONT} {BACK}")]);
}

#[tokio::test]
async fn many_are_registered_each_in_its_rack_and_in_order() {
    let site = Site::new().await;
    let text = format!(r#"{{"{FRONT}": "10.0.0.0/24", "{BACK}": "10.0.1.0/24"}}"#);
    site.ork.set_thing_map(ThingMap::parse(&text).unwrap(), None).await.unwrap();
    let at = |id: &str, address: &str| draft(json!({"id": id, "opts": {"address": address}}));
    let drafts = vec![
        at("a", "10.0.0.1"),
        at("b", "10.0.1.1"),
        at("c", "10.9.0.1"),
        at("a", "10.0.0.2"),
        at("d", "10.0.0.3"),
    ];
    site.back.set(Mode::Fails);
    let made = site.ork.register_many(drafts.clone(), None, &ann()).await;
    let shown = |made: &[Result<things::Placed>]| -> Vec<String> {
        made.iter()
            .map(|one| one.as_ref().map_or_else(|e| e.code().into(), |(rack, _)| rack.to_string()))
            .collect()
    };
    let none = "ERR_ACTION_INVALID_MISSING_RACKID";
    let twice = "ERR_THING_WITH_ID_ALREADY_EXISTS";
    // The fake judges one after another, so its failure is that of the one draft.
    assert_eq!(shown(&made), [FRONT, "ERR_OFFLINE", none, twice, FRONT]);
    site.back.set(Mode::Panics);
    let made = site.ork.register_many(drafts, None, &ann()).await;
    assert_eq!(shown(&made), [twice, "ERR_INTERNAL", none, twice, twice]);
    assert_eq!(made[1].as_ref().unwrap_err().fact("rack"), Some(BACK));
    let e = site.ork.settings(&id(BACK)).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("rack")), (ErrorKind::Internal, Some(BACK)));
}

#[test]
fn it_can_be_shared() {
    fn shareable<T: Send + Sync + Clone + 'static>() {}
    shareable::<Orchestrator>();
    shareable::<Arc<dyn Holder>>();
}
