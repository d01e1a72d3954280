//! Tokens, and what becomes of a write that the device does not let in.

use std::time::Duration;

use headframe_core::{
    ErrorKind, Secret, Sent,
    codec::cgminer,
    model::{Command, OutcomeState},
    testkit,
};
use headframe_sim::{ErrorForm, Fault, Padding, Role, WhatsminerOptions};

use crate::bench::Bench;

fn rack() -> WhatsminerOptions {
    WhatsminerOptions { password: "Rack_07x".into(), ..WhatsminerOptions::default() }
}

#[test]
fn many_writes_at_once_share_a_token() {
    testkit::run(|cx, _net| async move {
        let bench = Bench::start(cx, rack()).await;
        let mut tasks = Vec::new();
        for _ in 0..50 {
            let (direct, cx) = (bench.direct.clone(), bench.cx.clone());
            tasks.push(tokio::spawn(async move {
                direct.execute(&cx, &Command::SetPowerOffCool(true)).await.unwrap().state
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), OutcomeState::Accepted);
        }
        assert_eq!((bench.done("set_poweroff_cool"), bench.got("get_token")), (50, 1));
    });
}

#[test]
fn a_token_is_renewed_before_it_ends_and_after_a_restart_of_the_device() {
    testkit::run(|cx, _net| async move {
        let bench = Bench::start(cx, rack()).await;
        for (passed, tokens) in [(0, 1), (20 * 60, 1), (6 * 60, 2), (60 * 60, 3)] {
            bench.pass(passed).await;
            bench.write(&Command::SetWebPools(false)).await.unwrap();
            assert_eq!(bench.got("get_token"), tokens);
        }
        let refused = bench.got("disable_web_pools");
        assert_eq!((refused, bench.done("disable_web_pools")), (4, 4));
        // A device that restarts forgets its tokens: code 135, a new token, and the same command once more.
        bench.device.fault(Fault::Reboot { down: Duration::from_secs(30) });
        bench.pass(300).await;
        bench.write(&Command::SetWebPools(false)).await.unwrap();
        assert_eq!((bench.got("disable_web_pools"), bench.done("disable_web_pools")), (6, 5));
        assert_eq!(bench.got("get_token"), 4);
    });
}

#[test]
fn too_many_tokens_are_a_limit_that_passes() {
    testkit::run(|cx, _net| async move {
        let bench = Bench::start(cx, rack()).await;
        let at = bench.device.address(Role::Rpc).unwrap();
        for _ in 0..16 {
            cgminer::call(&bench.cx, at, br#"{"cmd":"get_token"}"#).await.unwrap();
        }
        let e = bench.write(&Command::SetLed(true)).await.unwrap_err();
        assert_eq!((e.kind(), e.sent(), e.fact("code")), (ErrorKind::RateLimited, Sent::No, Some("136")));
        assert!(e.message().contains("30 minutes") && e.retryable());
        bench.pass(31 * 60).await;
        bench.write(&Command::SetLed(true)).await.unwrap();
        assert_eq!(bench.done("set_led"), 1);
    });
}

#[test]
fn a_wrong_password_is_told_apart_and_burns_no_tokens() {
    for errors in [ErrorForm::Encrypted, ErrorForm::Plain, ErrorForm::Double] {
        testkit::run(|cx, _net| async move {
            let options = WhatsminerOptions { errors, ..rack() };
            let bench = Bench::with(cx, options, |conf| conf.opt("password", "wr0ng")).await;
            for _ in 0..6 {
                let e = bench.write(&Command::Reboot).await.unwrap_err();
                assert_eq!((e.kind(), e.sent()), (ErrorKind::Unauthenticated, Sent::No));
                assert!(!format!("{e:?}").contains("wr0ng"));
            }
            assert_eq!(bench.got("get_token"), 1);
            assert!(bench.device.executed().is_empty());
        });
    }
}

#[test]
fn a_write_api_that_is_off_says_what_to_do() {
    for (errors, padding) in [
        (ErrorForm::Encrypted, Padding::Zero),
        (ErrorForm::Encrypted, Padding::Pkcs7),
        (ErrorForm::Plain, Padding::Zero),
        (ErrorForm::Double, Padding::Pkcs7),
    ] {
        testkit::run(|cx, _net| async move {
            let options = WhatsminerOptions { write_enabled: false, errors, padding, ..rack() };
            let bench = Bench::start(cx, options).await;
            let e = bench.write(&Command::SetHostname("a1".into())).await.unwrap_err();
            assert_eq!((e.kind(), e.sent(), e.fact("code")), (ErrorKind::Forbidden, Sent::No, Some("45")));
            assert!(e.message().contains("vendor's tool") && e.message().contains("password"), "{e}");
            assert_eq!((bench.got("set_hostname"), bench.got("open_write_api")), (1, 0));
        });
    }
}

#[test]
fn the_handshake_is_run_once_and_only_with_the_operators_secret() {
    for (secret, works) in [("s3cret_0", true), ("s3cret_1", false)] {
        testkit::run(|cx, _net| async move {
            let unlock = Some(("acme".into(), "s3cret_0".into()));
            let options = WhatsminerOptions { write_enabled: false, unlock, ..rack() };
            let partner = |conf: headframe_core::model::ThingConf| {
                conf.opt("unlock_client", "acme").opt("unlock_secret", secret)
            };
            let bench = Bench::with(cx, options, partner).await;
            let written = bench.write(&Command::SetHostname("a1".into())).await;
            assert_eq!(bench.got("open_write_api"), 1);
            assert_eq!((bench.got("set_hostname"), bench.done("set_hostname")), (2, u64::from(works)));
            match written {
                Ok(outcome) => {
                    let shown = format!("{outcome:?}");
                    assert!(
                        works && shown.contains("open_write_api") && !shown.contains("s3cret"),
                        "{shown}"
                    );
                }
                Err(e) => assert_eq!((works, e.kind(), e.sent()), (false, ErrorKind::Forbidden, Sent::No)),
            }
        });
    }
}

#[test]
fn a_new_password_is_used_at_once_also_when_its_reply_was_lost() {
    testkit::run(|cx, _net| async move {
        let bench = Bench::start(cx, rack()).await;
        bench.write(&Command::UpdateAdminPassword(Secret::new("N3w_0ne"))).await.unwrap();
        bench.write(&Command::SetWebPools(false)).await.unwrap();
        bench.device.fault_on("update_pwd", Fault::Mute);
        let lost = Command::UpdateAdminPassword(Secret::new("N3w_2wo"));
        let e = bench.write(&lost).await.unwrap_err();
        assert_eq!((e.sent(), bench.setting("password").as_str()), (Sent::Maybe, "N3w_2wo"));
        bench.device.clear();
        // Which of the two is in force shows the first write.
        bench.write(&Command::SetWebPools(true)).await.unwrap();
        bench.device.fault_on("update_pwd", Fault::Hang);
        let e = bench.write(&Command::UpdateAdminPassword(Secret::new("N3w_3"))).await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Timeout, Sent::Maybe));
        bench.device.clear();
        bench.write(&Command::SetWebPools(false)).await.unwrap();
        assert_eq!((bench.setting("password").as_str(), bench.done("update_pwd")), ("N3w_2wo", 2));
        // Refused before the device is written to.
        let e = bench.write(&Command::UpdateAdminPassword(Secret::new("much_too_long"))).await.unwrap_err();
        assert_eq!((e.kind(), e.sent(), e.fact("field")), (ErrorKind::Invalid, Sent::No, Some("password")));
    });
}
