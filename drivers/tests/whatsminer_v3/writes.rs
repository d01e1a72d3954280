//! Writes: what the device carries out, how often, and what the caller learns.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use headframe_core::{
    ErrorKind, Result, Sent,
    driver::{Direct, IDENTITY_MISMATCH, Identity, NOT_CONFIRMED, Thing},
    io::Ctx,
    model::{Command, CommandName, Outcome, OutcomeState, PoolSetup, PowerMode},
    testkit,
    units::Watts,
};
use serde_json::json;

use crate::{
    device::{Answers, Device, PASSWORD, conf, direct, open, pass},
    snip::Snip,
};

fn all() -> Vec<Command> {
    vec![
        Command::Reboot,
        Command::RestartMinerSoftware,
        Command::SuspendMining,
        Command::SetPowerMode(PowerMode::High),
        Command::SetPowerLimit(Watts::new(3000.0).unwrap()),
        Command::SetLed(true),
        pools(),
    ]
}

fn pools() -> Command {
    let pool = |host: &str| PoolSetup::new(format!("stratum+tcp://{host}:3333"), "site9.w1", "p00l-w0rd");
    Command::SetupPools(vec![pool("new.example"), pool("spare.example")])
}

async fn write(cx: &Ctx, direct: &Direct, command: &Command) -> Result<Outcome> {
    direct.execute(&cx.deadline_in(Duration::from_secs(1800)), command).await
}

fn once(names: &[&str]) -> BTreeMap<String, usize> {
    names.iter().map(|name| ((*name).to_owned(), 1)).collect()
}

#[test]
fn each_command_is_carried_out_once_and_seen() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        for (command, wire) in [
            (Command::Reboot, &["set.system.reboot"][..]),
            (Command::RestartMinerSoftware, &["set.miner.service"]),
            (Command::SuspendMining, &["set.miner.service"]),
            (Command::ResumeMining, &["set.miner.service"]),
            (Command::SetPowerMode(PowerMode::Sleep), &["set.miner.service"]),
            (Command::SetPowerMode(PowerMode::Low), &["set.miner.mode", "set.miner.service"]),
            (Command::SetPowerMode(PowerMode::High), &["set.miner.mode"]),
            (Command::SetPowerLimit(Watts::new(3000.0).unwrap()), &["set.miner.power_limit"]),
            (Command::SetLed(true), &["set.system.led"]),
            (Command::SetLed(false), &["set.system.led"]),
            (pools(), &["set.miner.pools"]),
        ] {
            device.with(|s| s.executed.clear());
            let outcome =
                write(&cx, &direct, &command).await.unwrap_or_else(|e| panic!("{command:?}: {e:?}"));
            assert_eq!(outcome.state, OutcomeState::Verified, "{command:?}");
            assert_eq!(device.executed(), once(wire), "{command:?}");
            let receipt = outcome.receipt.clone().unwrap();
            assert_eq!((receipt.requests.len(), receipt.reply.as_deref()), (wire.len(), Some("ok")));
            let shown = format!("{outcome:?} {}", serde_json::to_string(&outcome).unwrap());
            assert!(!shown.contains(PASSWORD) && !shown.contains("p00l-w0rd"), "{shown}");
            pass(&cx, 120).await;
            // No device tells its pools' passwords, so the same ones may be new.
            let repeats =
                matches!(command, Command::Reboot | Command::RestartMinerSoftware | Command::SetupPools(_));
            if repeats {
                continue;
            }
            let again = write(&cx, &direct, &command).await.unwrap();
            assert_eq!(again.state, OutcomeState::Unchanged, "{command:?}");
            assert_eq!(device.executed(), once(wire), "{command:?}");
        }
    });
}

#[test]
fn whatever_becomes_of_the_reply_it_is_carried_out_once() {
    let framed = 4 + json!({"code": 0, "when": 1_764_000_000, "msg": "ok", "desc": "set.miner.pools"})
        .to_string()
        .len();
    let mut ways: Vec<Answers> = (0..framed).step_by(7).map(Answers::Cut).collect();
    ways.extend([Answers::Mute, Answers::Hang, Answers::Garbage]);
    for way in ways {
        for command in all() {
            let way = way.clone();
            testkit::run(|cx, net| async move {
                let device = Device::start(&cx, &net).await;
                let direct = direct(&cx, &conf()).await;
                device.with(|s| s.answers = way.clone());
                let outcome = write(&cx, &direct, &command).await;
                let done: Vec<usize> = device.executed().into_values().collect();
                assert_eq!(done, [1], "{way:?} {command:?}: {outcome:?}");
                // The read-back settles what the reply did not.
                assert_eq!(outcome.unwrap().state, OutcomeState::Verified, "{way:?} {command:?}");
            });
        }
    }
}

#[test]
fn a_request_that_nobody_heard_may_have_been_sent() {
    for command in all() {
        testkit::run(|cx, net| async move {
            let device = Device::start(&cx, &net).await;
            let direct = direct(&cx, &conf()).await;
            device.with(|s| s.answers = Answers::Deaf);
            let e = write(&cx, &direct, &command).await.unwrap_err();
            assert_eq!(e.sent(), Sent::Maybe, "{command:?}: {e:?}");
            assert!(device.executed().is_empty());
        });
    }
}

#[test]
fn a_request_that_breaks_at_any_byte_is_sent_once() {
    for at in 0..84 {
        testkit::run(|cx, net| async move {
            let device = Device::start(&cx, &net).await;
            let snip = Arc::new(Snip::new(net, at));
            let cx = Ctx { net: snip.clone(), ..cx };
            let direct = direct(&cx, &conf()).await;
            let e = write(&cx, &direct, &Command::Reboot).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::Unreachable, Sent::Maybe), "{at}: {e:?}");
            assert!(device.executed().is_empty());
            assert_eq!(snip.broken(), 1, "{at}");
        });
    }
}

#[test]
fn a_device_that_only_says_yes_is_not_believed() {
    for command in all() {
        testkit::run(|cx, net| async move {
            let device = Device::start(&cx, &net).await;
            let direct = direct(&cx, &conf()).await;
            device.with(|s| s.answers = Answers::Lie);
            let e = write(&cx, &direct, &command).await.unwrap_err();
            assert_eq!((e.code(), e.sent()), (NOT_CONFIRMED, Sent::Maybe), "{command:?}");
        });
    }
}

#[test]
fn a_refusal_is_the_devices_and_nothing_was_done() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        for (code, text, kind) in [
            (-2, "param out of range", ErrorKind::Rejected),
            (-4, "permission denied", ErrorKind::Unauthenticated),
        ] {
            device.with(|s| s.answers = Answers::Refuse(code, text));
            for command in all() {
                let e = write(&cx, &direct, &command).await.unwrap_err();
                assert_eq!((e.kind(), e.sent()), (kind, Sent::No), "{command:?}");
                assert!(e.message().contains(text), "{e}");
            }
        }
        device.with(|s| s.answers = Answers::Refuse(-1, "unknown cmd"));
        let e = write(&cx, &direct, &Command::SetPowerMode(PowerMode::Low)).await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Unsupported, Sent::No));
        assert!(e.message().contains("port 4028"), "{e}");
        assert!(device.executed().is_empty());
    });
}

#[test]
fn a_second_step_that_fails_says_that_the_first_was_done() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        write(&cx, &direct, &Command::SuspendMining).await.unwrap();
        device.with(|s| s.executed.clear());
        // Another salt is in force after each command: the second one is refused once.
        device.with(|s| s.next_salts = vec!["NewSalt2", "NewSalt1"]);
        let outcome = write(&cx, &direct, &Command::SetPowerMode(PowerMode::High)).await.unwrap();
        assert_eq!(outcome.state, OutcomeState::Verified);
        assert_eq!(device.executed(), once(&["set.miner.mode", "set.miner.service"]));
        write(&cx, &direct, &Command::SuspendMining).await.unwrap();
        // The start is taken, and then the mode is refused.
        device.with(|s| s.info["power"]["mode"] = json!("0"));
        device
            .with(|s| s.raw.insert("set.miner.mode".into(), br#"{"code":-1,"msg":"unknown cmd"}"#.to_vec()));
        let cx = cx.deadline_in(Duration::from_secs(30));
        let e = direct.execute(&cx, &Command::SetPowerMode(PowerMode::High)).await.unwrap_err();
        assert_eq!(e.sent(), Sent::Maybe, "{e:?}");
    });
}

#[test]
fn a_stale_salt_is_fetched_again_once() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        // The device's information lags behind the salt in force.
        device.with(|s| {
            s.salt = "Changed1".into();
            s.next_salts = vec!["Changed1"];
        });
        let outcome = write(&cx, &direct, &Command::SetLed(true)).await.unwrap();
        assert_eq!(outcome.state, OutcomeState::Verified);
        assert_eq!(device.executed(), once(&["set.system.led"]));
        let sets = device.asked().into_iter().filter(|a| a == "set.system.led").count();
        assert_eq!(sets, 2);
    });
}

#[test]
fn a_wrong_password_is_tried_once() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf().opt("super_password", "wr0ng-w0rd")).await;
        for command in all() {
            device.asked();
            let e = write(&cx, &direct, &command).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::Unauthenticated, Sent::No));
            assert!(!format!("{e:?}").contains("wr0ng-w0rd"));
            let sets = device.asked().into_iter().filter(|a| a.starts_with("set.")).count();
            assert_eq!(sets, 1, "{command:?}");
        }
        // As delivered: nothing is configured, and the device was identified first.
        let plain =
            headframe_core::model::ThingConf::new(headframe_core::ThingId::new("wm2").unwrap(), "whatsminer");
        device.with(|s| s.password = "super".into());
        let direct = crate::device::direct(&cx, &plain.opt("address", "10.9.0.7")).await;
        write(&cx, &direct, &Command::SetLed(true)).await.unwrap();
    });
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        device.with(|s| s.ahead = 3600);
        let e = write(&cx, &direct(&cx, &conf()).await, &Command::SetLed(true)).await.unwrap_err();
        assert_eq!((e.fact("clock_skew_s"), e.sent()), (Some("3600"), Sent::No));
        assert!(e.message().contains("set the clocks"), "{e}");
    });
}

#[test]
fn what_is_no_whatsminer_gets_no_proof() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        device.with(|s| s.info = json!({"network": {"mac": "CE:02:01:00:8C:36"}, "salt": "uhCiDyVj"}));
        for command in all() {
            let e = write(&cx, &direct, &command).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::BadReply, Sent::No), "{command:?}");
        }
        assert!(device.asked().iter().all(|asked| !asked.starts_with("set.")));
    });
}

#[test]
fn another_device_gets_nothing() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        for other in [
            Identity::new(Some("02:00:00:00:00:01".into()), None),
            Identity::new(Some("CE:02:01:00:8C:36".into()), Some("SOMEBODY-ELSE".into())),
        ] {
            for command in all() {
                let e = direct.execute_as(&cx, &other, &command).await.unwrap_err();
                assert_eq!((e.code(), e.sent()), (IDENTITY_MISMATCH, Sent::No));
            }
        }
        assert!(device.executed().is_empty());
        let seen = open().observe(&cx, CommandName::SetLed).await.unwrap().identity;
        let want = Identity::new(Some("CE:02:01:00:8C:36".into()), Some("HTM60S1".into()));
        assert_eq!(seen, want);
    });
}

#[test]
fn pools_that_cannot_be_read_are_not_replaced() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        for reply in [&br#"{"code":0,"msg":{}}"#[..], br#"{"code":-2,"msg":"not ready"}"#, b"{\"code\":0,"] {
            device.with(|s| s.raw.insert("pools".into(), reply.to_vec()));
            let e = write(&cx, &direct, &pools()).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::BadReply, Sent::No));
        }
        assert!(device.executed().is_empty());
        device.with(|s| s.raw.clear());
        let (kept, info) = device.with(|s| (s.pools.clone(), s.info.clone()));
        device.with(|s| {
            s.pools = json!([]);
            s.info["miner"]["working"] = json!(null);
        });
        let e = write(&cx, &direct, &pools()).await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::BadReply, Sent::No), "it is starting");
        device.with(|s| s.info = info);
        // A unit as delivered has none.
        assert_eq!(write(&cx, &direct, &pools()).await.unwrap().state, OutcomeState::Verified);
        device.with(|s| s.pools = kept);
        let thing = open();
        let before = thing.observe(&cx, CommandName::SetupPools).await.unwrap();
        device.with(|s| s.pools[1]["account"] = json!("meddler.1"));
        let after = thing.observe(&cx, CommandName::SetupPools).await.unwrap();
        assert!(before.version.is_some() && before.version != after.version);
    });
}

#[test]
fn a_device_that_stands_shows_no_restart() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let thing = open();
        assert!(thing.observe(&cx, CommandName::Reboot).await.unwrap().up_since_ms.is_some());
        device.with(|s| s.info["miner"]["working"] = json!("false"));
        assert_eq!(thing.observe(&cx, CommandName::Reboot).await.unwrap().up_since_ms, None);
        let e = thing.observe(&cx, CommandName::FactoryReset).await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Unsupported, Sent::No));
    });
}

#[test]
fn what_the_device_does_not_have_sends_nothing() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let direct = direct(&cx, &conf()).await;
        let four = Command::SetupPools(vec![PoolSetup::new("stratum+tcp://a:1", "w", "x"); 4]);
        for (command, kind) in [
            (Command::FactoryReset, ErrorKind::Unsupported),
            (Command::SetPowerPct(90), ErrorKind::Unsupported),
            (Command::SetHostname("a".into()), ErrorKind::Unsupported),
            (four, ErrorKind::Invalid),
        ] {
            let e = write(&cx, &direct, &command).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (kind, Sent::No));
        }
        assert!(device.asked().is_empty());
    });
}
