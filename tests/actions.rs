//! Writing to a whole site: proposed by one, approved by another, carried out on simulated miners, and in the audit log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use headframe::{
    ErrorKind, ThingId,
    action::{
        ActionId, Ballot, Bucket, By, Engine, EngineOptions, Person, Points, RightsSource, StaticPrincipals,
        Status, policy::Rules,
    },
    audit::{self, AuditKey, Log},
    auth::{Permissions, Principal},
    driver::Ports,
    io::Ctx,
    site::{Login, Site},
};
#[cfg(feature = "history")]
use headframe::{
    io::{Clock, Mono, SystemClock, Timestamp},
    store::Space,
};
use headframe_sim::{Device, Fault};
use serde_json::{Value, json};
use support::{Folder, builder, fleet, me, until, until_online};

const BOUND: Duration = Duration::from_secs(5);

fn person(name: &str) -> Person {
    Person::from_text(name).unwrap()
}

fn signed_in(name: &str) -> Principal {
    Principal::new(name, Permissions::parse(["miner:rw", "actions:rw"]).unwrap())
}

fn rights() -> RightsSource {
    let people = StaticPrincipals::new();
    for name in ["ann", "bob"] {
        people.set(&person(name), signed_in(name).permissions).unwrap();
    }
    RightsSource::Current(Arc::new(people))
}

async fn call(site: &Site, who: &str, method: &str, params: Value) -> Value {
    site.orchestrator().call(&signed_in(who), method, &params.to_string()).await.unwrap()
}

/// What all miners draw now, as far as it is known.
fn power_w(site: &Site) -> f64 {
    let drawn = |id: &ThingId| {
        let record = site.things().get(id).unwrap();
        let state = site.rack(&record.rack).unwrap().state(id)?;
        Some(state.good?.snapshot.miner()?.stats.power_w?.get())
    };
    site.things().ids().iter().filter_map(drawn).sum()
}

fn status(engine: &Engine, id: ActionId) -> Status {
    engine.header(id).unwrap().status
}

/// Finds simulated Whatsminers, with the password that writing needs, and waits until each is known.
async fn register(cx: &Ctx, site: &Site, range: &str, n: usize) {
    let login = Login::new("whatsminer").with("password", "admin");
    let range = range.parse().unwrap();
    let found = site.find_and_register(range, Ports::simulated(), &[login], &me()).await.unwrap();
    assert_eq!(found.registered.len(), n, "{found:?}");
    until_online(cx, site, n).await;
    // Nothing is written to a device that cannot be told from another.
    let known = |id: &ThingId| site.things().get(id).unwrap().evidence.is_some();
    until(cx, "all identities are known", || site.things().ids().iter().all(known)).await;
}

/// Waits for the end of an action.
async fn completed(cx: &Ctx, site: &Site, id: ActionId) {
    for _ in 0..300 {
        if status(site.actions(), id).bucket() == Bucket::Done {
            break;
        }
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_millis(100)).await;
    }
    let view = site.actions().get(id).unwrap().unwrap().0;
    assert_eq!(status(site.actions(), id), Status::Completed, "{view:#}");
}

fn sleep(site: &Site) -> Value {
    let things: Vec<String> = site.things().ids().iter().map(ToString::to_string).collect();
    json!({"query": {"id": {"$in": things}}, "action": "setPowerMode", "params": ["sleep"], "why": "price"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_put_miners_to_sleep_and_the_log_says_so() {
    let (cx, folder) = (Ctx::system(), Folder::new("actions"));
    let fleet = fleet(&cx, 71, 10, 0).await;
    let site = builder().rights(rights()).create(&cx, folder.path()).await.unwrap();
    register(&cx, &site, "127.71.0.1-127.71.0.10", 10).await;
    let before = power_w(&site);
    assert!(before > 10_000.0, "{before}");

    // Ten miners are worth a second person by the rules that a site has without being told.
    let pushed = call(&site, "ann", "pushAction", sleep(&site)).await;
    assert_eq!((&pushed["data"]["status"], &pushed["data"]["reqVotesPos"]), (&json!("VOTING"), &json!(2)));
    let id = ActionId::new(pushed["id"].as_u64().unwrap());
    let again = site.actions().vote(id, Ballot::new(true), &By::new(person(" ANN "))).await.unwrap_err();
    assert_eq!(again.code(), "ERR_VOTER_EXISTS");
    let key = AuditKey::random("headframe/test", &*cx.rng).unwrap();
    let early = key.checkpoint(&Log::open(site.actions().store()).unwrap());
    let stranger = site.actions().vote(id, Ballot::new(true), &By::new(person("eve"))).await.unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::Forbidden);
    assert_eq!(call(&site, "bob", "voteAction", json!({"id": id, "approve": true})).await, 1);
    completed(&cx, &site, id).await;
    until(&cx, "power fell", || power_w(&site) < before / 4.0).await;
    let told = |device: &Device| device.executed().get("power_off").copied();
    assert!(fleet.devices().iter().all(|device| told(device) == Some(1)), "each is told once");
    let late = key.checkpoint(&Log::open(site.actions().store()).unwrap());
    assert!(!site.shutdown(BOUND).await.unwrap().actions_broken_off);

    let site = builder().rights(rights()).open(&cx, folder.path()).await.unwrap();
    site.actions().reconciled().await;
    let view = call(&site, "ann", "getAction", json!({"id": id, "type": "done"})).await;
    assert_eq!((&view["status"], &view["votesPos"]), (&json!("COMPLETED"), &json!(["ann", "bob"])));
    let calls = view["targets"]["miner-wm-m50s-hall-1"]["calls"].as_array().unwrap();
    assert!(calls.len() == 10 && calls.iter().all(|call| call["result"]["success"] == true), "{view}");
    let notes = [early, late].map(|note| key.verifier().open(note.as_bytes()).unwrap());
    let verified = audit::verify_stored(site.actions().store(), &notes).unwrap();
    assert_eq!(verified.witnessed, notes[1].size());
    let page = audit::page(site.actions().store(), 0, 100).unwrap();
    let entries: Vec<_> = page.lines.iter().map(|l| audit::Entry::parse(l.as_bytes()).unwrap()).collect();
    for (by, what, why) in [("ann", "push", Some("price")), ("bob", "vote", None)] {
        let found = |e: &audit::Entry| e.by == by && e.what == what && e.action == Some(id.get());
        let entry = entries.iter().find(|e| found(e)).unwrap_or_else(|| panic!("no {what} of {by}"));
        assert_eq!(entry.why.as_deref(), why);
    }
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_waits_for_votes_waits_through_a_restart() {
    let (cx, folder) = (Ctx::system(), Folder::new("waits"));
    let fleet = fleet(&cx, 72, 10, 0).await;
    let site = builder().rights(rights()).create(&cx, folder.path()).await.unwrap();
    register(&cx, &site, "127.72.0.1-127.72.0.10", 10).await;
    let pushed = call(&site, "ann", "pushAction", sleep(&site)).await;
    let id = ActionId::new(pushed["id"].as_u64().unwrap());
    // A handle that somebody kept holds no store open.
    let (engine, ork) = (site.actions().clone(), site.orchestrator().clone());
    site.shutdown(BOUND).await.unwrap();
    let site = builder().rights(rights()).open(&cx, folder.path()).await.unwrap();
    let e = engine.vote(id, Ballot::new(true), &By::new(person("bob"))).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
    let e = ork.call(&signed_in("bob"), "getStops", "{}").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
    until_online(&cx, &site, 10).await;
    assert_eq!(status(site.actions(), id), Status::Voting);
    site.actions().vote(id, Ballot::new(true), &By::new(person("bob"))).await.unwrap();
    completed(&cx, &site, id).await;
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_to_a_site_that_was_not_told_who_may() {
    let (cx, folder) = (Ctx::system(), Folder::new("closed"));
    let fleet = fleet(&cx, 73, 1, 0).await;
    let site = builder().create(&cx, folder.path()).await.unwrap();
    register(&cx, &site, "127.73.0.1", 1).await;
    let pushed = call(&site, "ann", "pushAction", sleep(&site)).await;
    let denied = "miner-wm-m50s-hall-1: ERR_ACTION_DENIED";
    assert_eq!(pushed, json!({"id": null, "errors": [denied, "ERR_ORK_ACTION_CALLS_EMPTY"]}));
    let e = site.orchestrator().call(&signed_in("ann"), "haltSite", "{}").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Forbidden, "{e}");
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;
}

/// Whether a call has begun.
#[derive(Debug, Default)]
struct Begun(AtomicBool);

#[async_trait]
impl Points for Begun {
    async fn at(&self, name: &'static str) {
        if name == "before_look" {
            self.0.store(true, SeqCst);
        }
    }
}

/// A device that does not answer holds up neither the end of a site nor the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_broken_off_by_the_end_of_the_site_goes_on_with_the_next() {
    let (cx, folder) = (Ctx::system(), Folder::new("broken-off"));
    let fleet = fleet(&cx, 74, 1, 0).await;
    let begun = Arc::<Begun>::default();
    let mut options = EngineOptions::new(Arc::new(Rules::safe()), rights());
    options.points = Some(begun.clone());
    let site = builder().actions(options).create(&cx, folder.path()).await.unwrap();
    register(&cx, &site, "127.74.0.1", 1).await;
    fleet.devices()[0].fault(Fault::Hang);
    // One miner is nobody else's business by the usual rules.
    let pushed = call(&site, "ann", "pushAction", sleep(&site)).await;
    let id = ActionId::new(pushed["id"].as_u64().unwrap());
    until(&cx, "its call has begun", || begun.0.load(SeqCst)).await;
    let view = site.actions().get(id).unwrap().unwrap().0;
    assert_eq!(status(site.actions(), id), Status::Executing, "{view:#}");
    let began = cx.clock.mono();
    let report = site.shutdown(Duration::from_millis(300)).await.unwrap();
    assert!(report.actions_broken_off, "{report:?}");
    assert!(cx.clock.mono().since(began) < BOUND);

    fleet.devices()[0].clear();
    let site = builder().rights(rights()).open(&cx, folder.path()).await.unwrap();
    completed(&cx, &site, id).await;
    assert_eq!(fleet.devices()[0].executed().get("power_off"), Some(&1));
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;
}

/// A clock that is set forward between two starts.
#[cfg(feature = "history")]
#[derive(Debug)]
struct Later(SystemClock, i64);

#[cfg(feature = "history")]
#[async_trait]
impl Clock for Later {
    fn wall(&self) -> Timestamp {
        Timestamp(self.0.wall().0 + self.1)
    }

    fn mono(&self) -> Mono {
        self.0.mono()
    }

    async fn sleep_until(&self, at: Mono) {
        self.0.sleep_until(at).await;
    }
}

#[cfg(feature = "history")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_ended_long_ago_is_found_in_the_history() {
    let folder = Folder::new("long-ago");
    let later = |days: i64| {
        let clock = Arc::new(Later(SystemClock::default(), days * 86_400_000));
        Ctx { clock, ..Ctx::system() }
    };
    let cx = later(0);
    let fleet = fleet(&cx, 75, 1, 0).await;
    let site = builder().rights(rights()).create(&cx, folder.path()).await.unwrap();
    register(&cx, &site, "127.75.0.1", 1).await;
    let pushed = call(&site, "ann", "pushAction", sleep(&site)).await;
    let id = ActionId::new(pushed["id"].as_u64().unwrap());
    completed(&cx, &site, id).await;
    let asked = json!({"id": id, "type": "done"});
    let listed = json!({"queries": [{"type": "done"}]});
    let view = call(&site, "ann", "getAction", asked.clone()).await;
    let list = call(&site, "ann", "queryActions", listed.clone()).await;
    site.shutdown(BOUND).await.unwrap();
    for days in [40, 41] {
        let cx = later(days);
        let site = builder().rights(rights()).open(&cx, folder.path()).await.unwrap();
        until(&cx, "it is in the archive", || site.actions().header(id).is_none()).await;
        assert_eq!(site.actions().store().count(Space::Actions), 0);
        assert_eq!(call(&site, "ann", "getAction", asked.clone()).await, view);
        assert_eq!(call(&site, "ann", "queryActions", listed.clone()).await, list);
        audit::verify_stored(site.actions().store(), &[]).unwrap();
        site.shutdown(BOUND).await.unwrap();
    }
    let (copy, restored) = (Folder::new("long-ago-copy"), Folder::new("long-ago-restored"));
    let cx = later(41);
    let site = builder().rights(rights()).open(&cx, folder.path()).await.unwrap();
    site.backup(copy.path()).await.unwrap();
    site.shutdown(BOUND).await.unwrap();
    Site::restore(copy.path(), restored.path()).await.unwrap();
    std::fs::copy(folder.path().join("site.key"), restored.path().join("site.key")).unwrap();
    let site = builder().rights(rights()).open(&cx, restored.path()).await.unwrap();
    assert_eq!(call(&site, "ann", "getAction", asked.clone()).await, view);
    site.shutdown(BOUND).await.unwrap();
    // A site that keeps no history knows what was decided, and no more.
    let cx = later(42);
    let site = builder().rights(rights()).history(None).open(&cx, folder.path()).await.unwrap();
    let left = call(&site, "ann", "getAction", asked).await;
    assert_eq!((&left["digest"], &left["status"]), (&view["digest"], &view["status"]));
    assert!(left.get("targets").is_none());
    site.shutdown(BOUND).await.unwrap();
    fleet.stop().await;
}
