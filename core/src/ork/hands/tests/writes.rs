use serde_json::json;

use super::*;
use crate::{driver::IDENTITY_MISMATCH, rack::IDENTITY_UNKNOWN};

fn sleep(target: &str) -> Call {
    call("setPowerMode", json!(["sleep"]), target)
}

async fn refused(bench: &Bench, call: &Call) -> (ErrorKind, &'static str) {
    let e = bench.hands.look(&bench.cx, call).await.unwrap_err();
    assert_eq!(e.sent(), crate::Sent::No);
    (e.kind(), e.code())
}

#[tokio::test(start_paused = true)]
async fn a_write_is_sent_once_to_the_thing_that_is_polled() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({})).await;
    bench.pass(10).await;
    let call = sleep("m1");
    let (reply, seen) = bench.run(&call).await.unwrap();
    assert_eq!(reply.result, json!({"success": true, "state": "accepted"}));
    assert_eq!((reply.confirm, seen), (true, Some(Seen::Applied)));
    assert_eq!(reply.receipt.unwrap().requests, ["setPowerMode"]);
    assert_eq!(bench.lab.executed("10.0.0.1"), [Command::SetPowerMode(PowerMode::Sleep)]);
    assert_eq!(bench.lab.count("m1", "open"), 1);
    let again = bench.hands.look(&bench.cx, &call).await.unwrap();
    assert!(again.already, "it sleeps");
    let (reply, seen) = bench.run(&super::call("downloadLogs", json!([]), "m1")).await.unwrap();
    assert_eq!(reply.result["data"], json!({"byteLength": 5, "minerId": "m1"}));
    assert_eq!(seen, None, "a log changes nothing that could be read back");
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_was_never_polled_is_met_first() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({"info": {"serialNum": " s1 "}})).await;
    let (_, seen) = bench.run(&sleep("m1")).await.unwrap();
    assert_eq!(seen, Some(Seen::Applied));
    bench.pass(10).await;
    assert_eq!(
        (bench.lab.count("m1", "open"), bench.lab.count("m1", "close")),
        (1, 0),
        "polls take the same one"
    );
}

#[tokio::test(start_paused = true)]
async fn what_changed_since_the_push_stops_a_write() {
    let bench = Bench::new().await;
    for n in 1..=4 {
        bench.thing(n, Device::new(["S1", "S2", "S3", "S4"][usize::from(n) - 1]), json!({})).await;
    }
    bench.thing(5, Device { writable: false, ..Device::new("S5") }, json!({})).await;
    bench.pass(15).await;
    let change = |json: Value| serde_json::from_value::<crate::rack::ThingChange>(json).unwrap();
    let rack = &bench.rack;
    let which = crate::rack::Which::Matching(crate::query::Filter::parse(&json!({"id": "m1"})).unwrap());
    rack.forget(&which, &by()).await.unwrap();
    let other = bench.other.info().id.clone();
    bench.things.reassign(&id("m2"), &rack.info().id, &other, &by()).await.unwrap();
    rack.update(&id("m3"), change(json!({"info": {"container": "maintenance"}})), &by()).await.unwrap();
    rack.update(&id("m4"), change(json!({"readOnly": true})), &by()).await.unwrap();
    for (target, expected) in [
        ("m1", (ErrorKind::NotFound, "ERR_THING_NOTFOUND")),
        ("no such id", (ErrorKind::NotFound, "ERR_THING_NOTFOUND")),
        ("m2", (ErrorKind::Conflict, "ERR_THING_RACK_CHANGED")),
        ("m3", (ErrorKind::Conflict, "ERR_THING_IN_MAINTENANCE")),
        ("m4", (ErrorKind::Forbidden, "ERR_THING_READ_ONLY")),
        ("m5", (ErrorKind::Unsupported, "ERR_UNSUPPORTED")),
    ] {
        assert_eq!(refused(&bench, &sleep(target)).await, expected, "{target}");
        let permit = permit_of(&Observed::new(Identity::new(None, Some("S1".into())), None));
        let e = bench.hands.send(&bench.cx, &sleep(target), &permit).await.unwrap_err();
        assert_eq!((e.code(), e.sent()), (expected.1, crate::Sent::No), "{target}");
    }
    assert!((1..=5).all(|n| bench.lab.executed(&format!("10.0.0.{n}")).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn nobody_but_the_device_that_is_known_is_written_to() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({})).await;
    assert_eq!(refused(&bench, &sleep("m1")).await, (ErrorKind::Conflict, IDENTITY_UNKNOWN));
    bench.pass(10).await;
    let look = bench.hands.look(&bench.cx, &sleep("m1")).await.unwrap();
    assert_eq!(look.observed.identity.serial.as_deref(), Some("S1"));
    // Another device takes the address between the look and the write, and before the next look.
    let first = bench.lab.take("10.0.0.1");
    bench.lab.place("10.0.0.1", Device::new("S9"));
    let e = bench.hands.send(&bench.cx, &sleep("m1"), &permit_of(&look.observed)).await.unwrap_err();
    assert_eq!((e.code(), e.sent()), (IDENTITY_MISMATCH, crate::Sent::No));
    assert_eq!(refused(&bench, &sleep("m1")).await, (ErrorKind::Conflict, IDENTITY_MISMATCH));
    assert!(bench.lab.executed("10.0.0.1").is_empty() && first.executed.is_empty());
    let before = Before { observed: look.observed, up_since_wall_ms: None };
    let seen = bench.hands.confirm(&bench.cx, &sleep("m1"), &before, Duration::ZERO).await;
    assert_eq!(seen, Seen::Unknown, "it says nothing about the one that was told");
}

#[tokio::test(start_paused = true)]
async fn the_read_back_tells_applied_from_not_and_from_unknown() {
    let bench = Bench::new().await;
    bench.thing(1, Device { lies: true, ..Device::new("S1") }, json!({})).await;
    bench.pass(10).await;
    let begun = bench.cx.clock.mono();
    let (_, seen) = bench.run(&sleep("m1")).await.unwrap();
    assert_eq!(seen, Some(Seen::NotApplied));
    let took = bench.cx.clock.mono().since(begun).as_secs();
    assert!((40..=60).contains(&took), "the row says 60 s: {took}");

    let observed = bench.hands.look(&bench.cx, &sleep("m1")).await.unwrap().observed;
    let before = Before { observed, up_since_wall_ms: None };
    let late = Duration::from_secs(3600);
    assert_eq!(bench.hands.confirm(&bench.cx, &sleep("m1"), &before, late).await, Seen::NotApplied);
    // Somebody waits for less than the command's time: that says nothing yet.
    let short = bench.cx.deadline_in(Duration::from_secs(5));
    assert_eq!(bench.hands.confirm(&short, &sleep("m1"), &before, Duration::ZERO).await, Seen::Unknown);
    let device = bench.lab.take("10.0.0.1");
    assert_eq!(
        bench.hands.confirm(&bench.cx, &sleep("m1"), &before, late).await,
        Seen::Unknown,
        "nobody answers"
    );
    bench.lab.place("10.0.0.1", Device { mode: PowerMode::Sleep, ..device });
    assert_eq!(bench.hands.confirm(&bench.cx, &sleep("m1"), &before, late).await, Seen::Applied);
    let blind = call("factoryReset", json!([]), "m1");
    assert_eq!(
        bench.hands.confirm(&bench.cx, &blind, &before, late).await,
        Seen::Unknown,
        "it shows nowhere"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_told_over_the_wall_clock_after_a_crash() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({})).await;
    bench.pass(10).await;
    let reboot = call("reboot", json!([]), "m1");
    let look = bench.hands.look(&bench.cx, &reboot).await.unwrap();
    let up_since_wall_ms = look.observed.up_since_wall_ms(&bench.cx);
    assert_eq!(up_since_wall_ms, Some(START - 3_600_000));
    let mut observed = look.observed;
    observed.up_since_ms = None;
    let before = Before { observed: observed.clone(), up_since_wall_ms };
    let confirm = async |before: &Before, since| {
        bench.hands.confirm(&bench.cx, &reboot, before, Duration::from_secs(since)).await
    };
    assert_eq!(confirm(&before, 400).await, Seen::NotApplied, "it is up since before it was told");
    // The wall clock was set an hour forward meanwhile: the device seems to have come up later, and has not restarted.
    let stepped = Before { up_since_wall_ms: Some(START - 7_200_000), ..before.clone() };
    assert_eq!(confirm(&stepped, 400).await, Seen::NotApplied);
    assert_eq!(confirm(&Before { up_since_wall_ms: None, ..before.clone() }, 400).await, Seen::Unknown);
    let now = i64::try_from(bench.cx.clock.mono().since_origin().as_millis()).unwrap();
    bench.lab.change("10.0.0.1", |device| device.up_since_ms = Some(now - 60_000));
    assert_eq!(confirm(&before, 100).await, Seen::Applied);
    bench.lab.change("10.0.0.1", |device| device.up_since_ms = None);
    assert_eq!(confirm(&before, 400).await, Seen::Unknown, "it does not tell how long it is up");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_a_device_that_is_still_away_is_waited_for() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({"info": {"serialNum": "S1"}})).await;
    let observed = Observed::new(Identity::new(None, Some("S1".into())), None);
    let before = Before { observed, up_since_wall_ms: Some(START - 3_600_000) };
    let mut device = bench.lab.take("10.0.0.1");
    let reboot = call("reboot", json!([]), "m1");
    let (seen, ()) =
        tokio::join!(bench.hands.confirm(&bench.cx, &reboot, &before, Duration::from_secs(20)), async {
            bench.pass(60).await;
            device.up_since_ms = Some(50_000);
            bench.lab.place("10.0.0.1", device);
        });
    assert_eq!(seen, Seen::Applied);
}

#[tokio::test(start_paused = true)]
async fn pools_of_a_configuration_are_kept_in_the_record() {
    let bench = Bench::new().await;
    bench.thing(1, Device::new("S1"), json!({})).await;
    bench.pass(10).await;
    let config = json!([{"config": {"id": "p7", "poolUrls": [
        {"url": "stratum+tcp://new.example:1", "workerName": "w", "workerPassword": "p00l-w0rd"}
    ]}}]);
    let call = super::call("setupPools", config, "m1");
    let kept = || bench.things.get(&id("m1")).unwrap().info.get("poolConfig");
    assert_eq!(kept(), None);
    let (reply, seen) = bench.run(&call).await.unwrap();
    assert_eq!((reply.confirm, seen), (true, Some(Seen::Applied)));
    let pools = vec![PoolSetup::new("stratum+tcp://new.example:1", "w.m1", "p00l-w0rd")];
    assert_eq!(bench.lab.executed("10.0.0.1"), [Command::SetupPools(pools)]);
    assert_eq!(kept(), Some(json!("p7")));
    let own = super::call("setupPools", json!([]), "m1");
    bench.run(&own).await.unwrap();
    let last = bench.lab.executed("10.0.0.1").pop();
    assert_eq!(
        last,
        Some(Command::SetupPools(vec![PoolSetup::new("stratum+tcp://own.example:1", "site.m1", ".")]))
    );
    assert!(!format!("{:?} {reply:?}", bench.hands).contains("p00l-w0rd"));
}
