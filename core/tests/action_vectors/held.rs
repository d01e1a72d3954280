//! Actions that run while something stands against them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    action::{Bare, By, Claims, Person, Principals, RightsSource, Standing, StopScope},
    auth::Permissions,
    model::RackId,
    store::{Batch, Space},
};
use serde_json::{Value, json};

use super::{
    closing::{push, sends, status, world},
    steps,
    world::{Death, World, simulate},
};

fn with(name: &str, right: &str) -> By {
    By::claiming(Person::from_text(name).unwrap(), Claims::parse(&json!([right]), Bare::Refused).unwrap())
}

fn warden(name: &str) -> By {
    with(name, "actions:rw")
}

fn writer(name: &str) -> By {
    with(name, "miner:w")
}

#[test]
fn a_locked_rack_is_left_alone() {
    simulate(async {
        let mut world = world(0).await;
        steps::plain(&mut world, &push("reboot")).await;
        let engine = world.engine().clone();
        let rack = StopScope::Rack(RackId::new("miner-a-0").unwrap());
        engine.begin_stopping(rack.clone(), Some("a ladder stands there"), &warden("w1")).await.unwrap();
        engine.begin_ready().await.unwrap();
        world.wait(Duration::from_secs(30)).await;
        let looks = world.site.looks.load(Ordering::SeqCst);
        assert_eq!(looks, 0, "a locked rack is left alone");
        assert_eq!((status(&world, world.ids["P"]), sends(&world)), (json!("EXECUTING"), 0));
        assert!(!engine.lift(rack.clone(), None, &warden("w1")).await.unwrap());
        assert!(engine.lift(rack, None, &warden("w2")).await.unwrap());
        world.rest().await.unwrap();
        assert_eq!((status(&world, world.ids["P"]), sends(&world)), (json!("COMPLETED"), 3));
    });
}

#[test]
fn an_action_that_is_held_keeps_no_other_from_running() {
    simulate(async {
        let mut world = world(0).await;
        world.in_flight = 2;
        world.crash(Death::Kill);
        world.open().await;
        steps::plain(&mut world, &push("reboot")).await;
        world.gate.hold_at("before_journal");
        world.engine().begin_ready().await.unwrap();
        world.gate.held().await;
        world.settle().await;
        let (held, who) = (world.ids["P"], writer("u2"));
        world.engine().pause(held, None, &who).await.unwrap();
        world.gate.let_go();
        world.wait(Duration::from_secs(5)).await;
        let mut other = push("reboot");
        (other["as"], other["query"]) = ("Q".into(), json!({"id": "m1"}));
        steps::plain(&mut world, &other).await;
        world.engine().begin_ready().await.unwrap();
        world.wait(Duration::from_secs(5)).await;
        assert_eq!((status(&world, world.ids["Q"]), sends(&world)), (json!("COMPLETED"), 1));
        assert_eq!(status(&world, held), "EXECUTING");
        world.engine().resume(held, &who).await.unwrap();
        world.rest().await.unwrap();
        assert_eq!((status(&world, held), sends(&world)), (json!("COMPLETED"), 4));
    });
}

/// An action that dies before its first call is journalled, with `meanwhile` done to the site before it is opened again.
async fn left_behind(rights: RightsSource, meanwhile: impl AsyncFnOnce(&mut World)) -> World {
    let mut world = world(0).await;
    world.rights = rights;
    world.crash(Death::Kill);
    world.open().await;
    steps::plain(&mut world, &push("reboot")).await;
    world.gate.kill_at("before_journal");
    world.engine().begin_ready().await.unwrap();
    world.gate.died().await;
    meanwhile(&mut world).await;
    if !world.is_down() {
        world.crash(Death::Kill);
    }
    world.open().await;
    world.wait(Duration::from_secs(10)).await;
    world
}

async fn is_held_until_somebody_lets_it_go_on(world: &World, why: &str) {
    let id = world.ids["P"];
    let header = world.engine().header(id).unwrap();
    let hold = header.hold.as_ref().and_then(|hold| hold.why.clone()).unwrap();
    assert!(hold.contains(why), "{hold}");
    assert_eq!((status(world, id), sends(world)), (json!("EXECUTING"), 0));
    world.engine().resume(id, &writer("u2")).await.unwrap();
    world.rest().await.unwrap();
    assert_eq!((status(world, id), sends(world)), (json!("COMPLETED"), 3));
}

#[test]
fn nothing_goes_on_by_itself_into_a_freeze() {
    simulate(async {
        let world = left_behind(RightsSource::Claims, async |world| {
            world.engine().begin_stopping(StopScope::Freeze, None, &warden("w1")).await.unwrap();
        });
        is_held_until_somebody_lets_it_go_on(&world.await, "frozen").await;
    });
}

#[test]
fn nothing_goes_on_by_itself_when_its_targets_were_changed() {
    simulate(async {
        let world = left_behind(RightsSource::Claims, async |world| {
            world.crash(Death::Kill);
            let store = world.store().await;
            let row = store.scan_prefix(Space::Targets, "").remove(0);
            let mut other: Value = row.parse().unwrap();
            other["calls"][0]["id"] = "m9".into();
            store.commit(Batch::new().put(Space::Targets, row.key, &other)).await.unwrap();
        });
        let world = world.await;
        let header = world.engine().header(world.ids["P"]).unwrap();
        assert_eq!(header.hold.as_ref().and_then(|hold| hold.why.as_deref()), Some("ERR_ACTION_CHANGED"));
        assert_eq!(sends(&world), 0);
    });
}

#[test]
fn nothing_goes_on_by_itself_while_nobody_knows_who_may_what() {
    for (silent, why) in [(false, "ERR_OFFLINE"), (true, "ERR_TIMEOUT")] {
        simulate(async {
            let directory = Arc::new(Directory::default());
            let broken = if silent { &directory.silent } else { &directory.down };
            let rights = RightsSource::Current(Arc::clone(&directory) as Arc<_>);
            let world = left_behind(rights, async |_| broken.store(true, Ordering::SeqCst)).await;
            broken.store(false, Ordering::SeqCst);
            is_held_until_somebody_lets_it_go_on(&world, why).await;
        });
    }
}

/// Everybody may do everything, as long as anything is known of anybody.
#[derive(Debug, Default)]
struct Directory {
    down: AtomicBool,
    silent: AtomicBool,
}

#[async_trait]
impl Principals for Directory {
    async fn of(&self, person: &Person) -> Result<Standing> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unreachable, "directory", "it does not answer"));
        }
        let rights: Permissions = ["*:rw".parse().unwrap()].into_iter().collect();
        Ok(Standing::new(person.clone(), true, rights))
    }
}

#[test]
fn what_was_sent_is_followed_to_its_end_though_nobody_knows_who_may_what() {
    simulate(async {
        let mut world = world(0).await;
        let directory = Arc::new(Directory::default());
        world.rights = RightsSource::Current(Arc::clone(&directory) as Arc<_>);
        world.crash(Death::Kill);
        world.open().await;
        steps::plain(&mut world, &push("reboot")).await;
        world.gate.hold_at("after_reply_before_outcome");
        world.engine().begin_ready().await.unwrap();
        world.gate.held().await;
        directory.down.store(true, Ordering::SeqCst);
        world.wait(Duration::from_secs(5)).await;
        world.gate.let_go();
        world.rest().await.unwrap();
        assert_eq!((status(&world, world.ids["P"]), sends(&world)), (json!("COMPLETED"), 3));
    });
}
