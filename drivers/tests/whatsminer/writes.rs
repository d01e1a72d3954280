//! What writes do to a device, and what is known of them when something goes wrong.

use std::time::Duration;

use headframe_core::{
    ErrorKind, Sent,
    driver::NOT_CONFIRMED,
    model::{Command, NetworkSetup, OutcomeState, PoolSetup, PowerMode, Preheat, State},
    testkit,
    units::Watts,
};
use headframe_sim::{Fault, WhatsminerOptions};

use crate::bench::Bench;

async fn bench(cx: headframe_core::io::Ctx) -> Bench {
    let options = WhatsminerOptions { password: "Rack_07x".into(), ..WhatsminerOptions::default() };
    Bench::start(cx, options).await
}

fn limit(w: f64) -> Command {
    Command::SetPowerLimit(Watts::new(w).unwrap())
}

#[test]
fn a_reply_that_is_cut_anywhere_is_one_write() {
    for after in [0, 1, 7, 8, 30, 60, 120] {
        testkit::run(|cx, _net| async move {
            let bench = bench(cx).await;
            for (command, name, shows) in [
                (Command::SetLed(true), "set_led", true),
                (Command::SetFanZeroSpeed(true), "set_fan_zero_speed", false),
                (Command::SetPowerMode(PowerMode::Sleep), "power_off", true),
            ] {
                bench.device.fault_on(name, Fault::Cut { after });
                match bench.write(&command).await {
                    Ok(outcome) => assert_eq!((outcome.state, shows), (OutcomeState::Verified, true)),
                    Err(e) => assert_eq!((e.sent(), shows), (Sent::Maybe, false), "{after}: {e:?}"),
                }
                assert_eq!((bench.got(name), bench.done(name)), (1, 1), "{name} cut after {after}");
            }
        });
    }
}

#[test]
fn a_device_that_hangs_is_sent_to_once() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        for (command, name, kind) in [
            (Command::SetFanZeroSpeed(true), "set_fan_zero_speed", ErrorKind::Timeout),
            (Command::SetLed(true), "set_led", ErrorKind::Timeout),
            // Its silence means that it was sent, so only the read-back tells.
            (Command::SuspendMining, "power_off", ErrorKind::Rejected),
        ] {
            bench.device.fault_on(name, Fault::Hang);
            let e = bench.write(&command).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (kind, Sent::Maybe), "{name}: {e:?}");
            assert_eq!((bench.got(name), bench.done(name)), (1, 0));
        }
    });
}

#[test]
fn silence_is_confirmed_by_reading_back() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        let outcome = bench.write(&Command::SetPowerMode(PowerMode::High)).await.unwrap();
        assert_eq!((outcome.state, outcome.receipt.unwrap().reply), (OutcomeState::Verified, None));
        bench.device.fault_on("set_low_power", Fault::IgnoreWrites);
        let e = bench.write(&Command::SetPowerMode(PowerMode::Low)).await.unwrap_err();
        assert_eq!((e.code(), e.sent()), (NOT_CONFIRMED, Sent::Maybe));
    });
}

#[test]
fn a_parameter_that_the_device_refuses_was_not_carried_out() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        let zone = headframe_core::model::Zone { timezone: "x".into(), zonename: "y".into() };
        bench.write(&Command::SetZone(zone)).await.unwrap();
        bench.write(&Command::SetFastBoot(true)).await.unwrap();
        let e = bench.write(&Command::SetUpfreqSpeed(4)).await.unwrap_err();
        assert_eq!(
            (e.kind(), e.sent(), bench.got("adjust_upfreq_speed")),
            (ErrorKind::Rejected, Sent::No, 0)
        );
    });
}

/// What the before-image brings back.
fn state(bench: &Bench) -> String {
    let truth = bench.device.truth();
    let mut settings = truth.settings.clone();
    // The colour of a light that is off, and that a limit at the ordinary power is one, change nothing.
    for same in ["led", "power_limit"] {
        settings.remove(same);
    }
    let pools: Vec<_> = truth.pools.iter().map(|p| (&p.url, &p.user)).collect();
    format!(
        "{:?} {:?} {:?} {} {} {pools:?} {settings:?} {:?}",
        truth.mode, truth.asleep, truth.power_limit_w, truth.percent, truth.hostname, truth.led
    )
}

#[test]
fn the_before_image_undoes_a_write() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        for command in [
            Command::SetPowerPct(80),
            Command::SetPowerMode(PowerMode::Low),
            Command::SetPowerMode(PowerMode::Sleep),
            Command::SuspendMining,
            Command::SetUpfreqSpeed(7),
            Command::SetFastBoot(true),
            Command::SetLed(true),
            Command::SetHostname("rack-7-03".into()),
            Command::SetupPools(vec![PoolSetup::new("stratum+tcp://new.example:3333", "site9.w1", "x")]),
            limit(2_800.0),
        ] {
            let before = state(&bench);
            let outcome = bench.write(&command).await.unwrap();
            assert_eq!(outcome.state, OutcomeState::Verified, "{command:?}");
            assert_ne!(state(&bench), before, "{command:?}");
            bench.pass(1800).await;
            let back = outcome.before.unwrap();
            let outcome = bench.write(&back).await.unwrap();
            assert_eq!(outcome.state, OutcomeState::Verified, "{back:?}");
            bench.pass(1800).await;
            assert_eq!(state(&bench), before, "{command:?}, undone by {back:?}");
        }
    });
}

#[test]
fn waking_restores_the_mode_and_a_mode_wakes() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        let mode = |bench: &Bench| format!("{:?} {}", bench.device.truth().mode, bench.device.truth().asleep);
        bench.write(&Command::SetPowerMode(PowerMode::Low)).await.unwrap();
        let asleep = bench.write(&Command::SuspendMining).await.unwrap();
        assert_eq!(asleep.before, Some(Command::SetPowerMode(PowerMode::Low)));
        let snapshot = bench.read().await;
        assert_eq!((snapshot.stats.state, snapshot.config.unwrap().suspended), (State::Idle, Some(true)));
        bench.write(&Command::ResumeMining).await.unwrap();
        assert_eq!(mode(&bench), "Low false");
        assert_eq!((bench.done("power_on"), bench.done("set_low_power")), (1, 1));
        bench.write(&Command::SuspendMining).await.unwrap();
        bench.write(&Command::SetPowerMode(PowerMode::High)).await.unwrap();
        assert_eq!(mode(&bench), "High false");
        assert_eq!((bench.done("power_on"), bench.done("set_high_power")), (2, 1));
        // When waking fails the mode is not sent; when the mode fails, the unit was woken all the same.
        bench.write(&Command::SuspendMining).await.unwrap();
        bench.device.fault_on("power_on", Fault::Mute);
        let outcome = bench.write(&Command::SetPowerMode(PowerMode::Normal)).await;
        assert_eq!((bench.done("power_on"), bench.done("set_normal_power")), (3, 0));
        assert_eq!((outcome.unwrap_err().sent(), mode(&bench).as_str()), (Sent::Maybe, "High false"));
    });
}

#[test]
fn the_limit_is_the_devices_and_target_and_power_are_apart() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        let range = bench.direct.capability().power_limit_w.unwrap();
        assert_eq!((range.min, range.default, range.max), (None, Watts::new(3276.0), Watts::new(3276.0)));
        bench.write(&limit(3_000.0)).await.unwrap();
        bench.pass(3600).await;
        let stats = bench.read().await.stats;
        assert_eq!(stats.power_limit_w, Watts::new(3000.0));
        let power = stats.power_w.unwrap().get();
        assert!((power - 3000.0).abs() < 90.0 && power != 3000.0, "{power}");
        // A limit that is set does not become the range.
        assert_eq!(bench.direct.capability().power_limit_w, Some(range));
        let e = bench.write(&limit(3_400.0)).await.unwrap_err();
        assert_eq!(
            (e.kind(), e.fact("max"), bench.done("adjust_power_limit")),
            (ErrorKind::Invalid, Some("3276"), 1)
        );
    });
}

#[test]
fn a_static_address_keeps_the_host_name_and_is_followed() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        bench.write(&Command::SetHostname("rack-7-03".into())).await.unwrap();
        let network = |last| {
            Command::SetNetworkInformation(NetworkSetup::Static {
                ip_address: [10, 7, 3, last].into(),
                ip_netmask: [255, 255, 0, 0].into(),
                ip_gw: [10, 7, 250, 1].into(),
                dns: vec![[10, 7, 250, 2].into()],
            })
        };
        assert_eq!(bench.write(&network(9)).await.unwrap().state, OutcomeState::Verified);
        assert_eq!(bench.device.ip().to_string(), "10.7.3.9");
        assert_eq!(bench.device.truth().hostname, "rack-7-03");
        // The polls follow too, and what they ask for rarely is not out of date.
        let snapshot = bench.read().await;
        assert_eq!(snapshot.info.unwrap().hostname.as_deref(), Some("rack-7-03"));
        let network_now = snapshot.config.unwrap().network_config;
        assert_eq!(network_now.ip_address.as_deref(), Some("10.7.3.9"));
        bench.write(&Command::SetLed(true)).await.unwrap();
        // One that says yes and stays is found again where it was.
        bench.device.fault_on("net_config", Fault::IgnoreWrites);
        let e = bench.write(&network(77)).await.unwrap_err();
        assert_eq!((e.code(), e.sent()), (NOT_CONFIRMED, Sent::Maybe));
        bench.device.clear();
        let lease = bench.write(&Command::SetNetworkInformation(NetworkSetup::Dhcp)).await.unwrap();
        assert_eq!((lease.state, lease.receipt.unwrap().unreadable), (OutcomeState::Accepted, true));
    });
}

#[test]
fn a_unit_that_has_just_started_keeps_its_pools() {
    testkit::run(|cx, _net| async move {
        let options =
            WhatsminerOptions { half_booted: Duration::from_secs(100), ..WhatsminerOptions::default() };
        let bench = Bench::start(cx, options).await;
        bench.device.fault(Fault::Reboot { down: Duration::from_secs(20) });
        let pools = Command::SetupPools(vec![PoolSetup::new("stratum+tcp://new.example:3333", "w", "")]);
        bench.pass(60).await;
        let e = bench.write(&pools).await.unwrap_err();
        assert_eq!(
            (e.kind(), e.sent(), bench.got("update_pools")),
            (ErrorKind::Rejected, Sent::No, 0),
            "{e:?}"
        );
        bench.pass(200).await;
        assert_eq!(bench.write(&pools).await.unwrap().state, OutcomeState::Verified);
        assert_eq!(bench.device.truth().pools.iter().filter(|p| !p.url.is_empty()).count(), 1);
    });
}

#[test]
fn a_write_does_not_wait_for_a_poll_that_hangs() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        bench.device.fault_on("summary+edevs+pools+status+get_error_code", Fault::Hang);
        let (direct, cx) = (bench.direct.clone(), bench.cx.deadline_in(Duration::from_secs(60)));
        let poll = tokio::spawn(async move { direct.snapshot(&cx).await.map(|_| ()) });
        tokio::task::yield_now().await;
        let start = bench.cx.clock.mono();
        bench.write(&Command::SuspendMining).await.unwrap();
        assert!(bench.cx.clock.mono().since(start) < Duration::from_secs(2));
        poll.await.unwrap().unwrap_err();
        assert!(bench.device.peak_connections() <= 3, "{}", bench.device.peak_connections());
    });
}

#[test]
fn warming_up_is_one_request_whose_answer_is_in_the_receipt() {
    testkit::run(|cx, _net| async move {
        let bench = bench(cx).await;
        for (passed, complete) in [(0, "false"), (30, "true")] {
            bench.pass(passed).await;
            let outcome = bench.write(&Command::PrePowerOn(Preheat::Begin)).await.unwrap();
            let reply = outcome.receipt.unwrap().reply.unwrap();
            assert!(reply.contains(&format!("\"complete\":\"{complete}\"")), "{reply}");
        }
        assert_eq!(bench.got("pre_power_on"), 2);
    });
}
