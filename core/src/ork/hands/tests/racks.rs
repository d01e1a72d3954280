use serde_json::json;

use super::*;

async fn confirmed(bench: &Bench, call: &Call, since: u64) -> Seen {
    bench.hands.confirm(&bench.cx, call, &Before::default(), Duration::from_secs(since)).await
}

#[tokio::test(start_paused = true)]
async fn the_registry_is_changed_and_says_by_which_action() {
    let bench = Bench::new().await;
    let new = json!([{"rackId": RACK, "id": "n1", "opts": {"address": "10.0.0.1"}, "info": {"pos": "1"}}]);
    let register = call("registerThing", new, "n1");
    assert_eq!(confirmed(&bench, &register, 1).await, Seen::NotApplied);
    let (reply, seen) = bench.run(&register).await.unwrap();
    assert_eq!((reply.result, reply.confirm, seen), (json!(1), false, None));
    let record = bench.things.get(&id("n1")).unwrap();
    assert_eq!((record.rack.as_str(), record.info.get("lastActionId")), (RACK, Some(json!(7000))));
    assert_eq!(confirmed(&bench, &register, 1).await, Seen::Applied);
    let e = bench.run(&register).await.unwrap_err();
    assert_eq!((e.code(), e.sent()), ("ERR_THING_WITH_ID_ALREADY_EXISTS", crate::Sent::No));
    let history = bench.things.history(&id("n1")).unwrap();
    assert_eq!(history.first().map(|entry| entry.by.as_str()), Some("ann@site"));

    let change = json!([{"rackId": RACK, "id": "n1", "info": {"pos": "2"}}]);
    let update = Call { id: ActionId::new(7_001), ..call("updateThing", change, "n1") };
    assert_eq!(confirmed(&bench, &update, 1).await, Seen::NotApplied);
    assert_eq!(bench.run(&update).await.unwrap().0.result, 1);
    let record = bench.things.get(&id("n1")).unwrap();
    assert_eq!(
        (record.info.text("pos").as_deref(), record.info.get("lastActionId")),
        (Some("2"), Some(json!(7001)))
    );
    assert_eq!(confirmed(&bench, &update, 1).await, Seen::Applied);
    assert_eq!(confirmed(&bench, &register, 1).await, Seen::Unknown, "a later action wrote over its mark");

    let forget = call("forgetThings", json!([{"rackId": RACK, "query": {"id": "n1"}}]), "n1");
    assert_eq!(confirmed(&bench, &forget, 1).await, Seen::NotApplied);
    assert_eq!(bench.run(&forget).await.unwrap().0.result, 1);
    assert_eq!(confirmed(&bench, &forget, 1).await, Seen::Applied);
    for gone in [&forget, &update] {
        let e = bench.hands.look(&bench.cx, gone).await.unwrap_err();
        assert_eq!(e.code(), "ERR_THING_NOTFOUND");
        let e = bench.hands.send(&bench.cx, gone, &permit_of(&Observed::default())).await.unwrap_err();
        assert_eq!((e.code(), e.sent()), ("ERR_THING_NOTFOUND", crate::Sent::No));
    }
    assert_eq!(confirmed(&bench, &update, 1).await, Seen::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_thing_without_an_id_is_found_by_its_action() {
    let bench = Bench::new().await;
    let register = call("registerThing", json!([{"rackId": RACK, "opts": {"address": "10.0.0.1"}}]), RACK);
    assert_eq!(confirmed(&bench, &register, 1).await, Seen::NotApplied);
    bench.run(&register).await.unwrap();
    assert_eq!(confirmed(&bench, &register, 1).await, Seen::Applied);
    let other = Call { id: ActionId::new(7_001), ..register };
    assert_eq!(confirmed(&bench, &other, 1).await, Seen::NotApplied);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_opens_all_connections_anew_and_ends_no_process() {
    let bench = Bench::new().await;
    for n in 1..=3 {
        bench.thing(n, Device::new(["S1", "S2", "S3"][usize::from(n) - 1]), json!({})).await;
    }
    bench.pass(10).await;
    let reboot = call("rackReboot", json!([{"rackId": RACK}]), RACK);
    assert_eq!(confirmed(&bench, &reboot, 5).await, Seen::NotApplied);
    assert_eq!(bench.run(&reboot).await.unwrap().0.result, 1);
    assert_eq!(confirmed(&bench, &reboot, 5).await, Seen::Applied);
    bench.pass(10).await;
    for id in ["m1", "m2", "m3"] {
        assert_eq!((bench.lab.count(id, "open"), bench.lab.count(id, "close")), (2, 1), "{id}");
    }
    // A process that starts opens everything, so what it was told before has come about.
    let started = Bench::hands(&bench.cx, &bench.rack);
    let seen = started.confirm(&bench.cx, &reboot, &Before::default(), Duration::from_secs(60)).await;
    assert_eq!(seen, Seen::Applied);
    bench.rack.shutdown(Duration::from_secs(1)).await;
    let e = bench.hands.send(&bench.cx, &reboot, &permit_of(&Observed::default())).await.unwrap_err();
    assert_eq!((e.kind(), e.sent()), (ErrorKind::Closed, crate::Sent::No));
}
