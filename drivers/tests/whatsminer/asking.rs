//! What is asked, and what becomes of replies that are refused, garbled or cut.

use std::sync::atomic::Ordering;

use headframe_core::{
    ErrorKind, ThingId,
    driver::Driver,
    model::{MissingReason, State, ThingConf},
    testkit,
};
use headframe_drivers::whatsminer::Whatsminer;
use proptest::prelude::*;
use serde_json::json;

use crate::device::{Device, Joins, healthy, open, pass, read};

#[test]
fn each_kind_of_firmware_is_asked_as_it_likes() {
    for (joins, first, then) in [
        (Joins::Everything, 2, vec!["summary+edevs+pools+status+get_error_code"]),
        (Joins::Reports, 1 + 2 + 4, vec!["summary+edevs+pools", "status", "get_error_code"]),
        (Joins::Nothing, 1 + 5 + 4, vec!["summary", "edevs", "pools", "status", "get_error_code"]),
    ] {
        testkit::run(|cx, net| async move {
            let device = Device::start(&net, joins, &healthy()).await;
            let thing = open(&cx, "miner-wm-m63").await;
            read(&cx, &*thing).await.unwrap();
            assert_eq!(device.asked().len(), first, "{joins:?}");
            for _ in 0..4 {
                pass(&cx, 60).await;
                let got = read(&cx, &*thing).await.unwrap();
                let (mut asked, mut want) = (device.asked(), then.clone());
                asked.sort_unstable();
                want.sort_unstable();
                assert_eq!(asked, want, "{joins:?}");
                assert_eq!(got.stats.state, State::Hashing, "{joins:?}");
            }
            assert!(device.peak.load(Ordering::SeqCst) <= 3);
        });
    }
}

#[test]
fn what_stays_the_same_rests_where_it_costs_a_connection() {
    let live = |joins| match joins {
        Joins::Reports => vec!["summary+edevs+pools"],
        _ => vec!["edevs", "pools", "summary"],
    };
    for joins in [Joins::Nothing, Joins::Reports] {
        testkit::run(|cx, net| async move {
            let device = Device::start(&net, joins, &healthy()).await;
            let thing = open(&cx, "miner-wm-m63").await;
            // Nothing rests before it has come twice.
            let first = read(&cx, &*thing).await.unwrap();
            device.asked();
            read(&cx, &*thing).await.unwrap();
            assert_eq!(device.asked().len(), live(joins).len() + 2, "{joins:?}");
            for second in 1..=45_u64 {
                pass(&cx, 1).await;
                let got = read(&cx, &*thing).await.unwrap();
                let (mut asked, age) = (device.asked(), second % 15);
                asked.sort_unstable();
                match age {
                    0 => assert_eq!(asked.len(), live(joins).len() + 2, "{joins:?} {second}"),
                    _ => assert_eq!(asked, live(joins), "{joins:?} {second}"),
                }
                for (group, age) in [("live", 0), ("status", age * 1000), ("errors", age * 1000)] {
                    assert_eq!(got.age_ms.get(group), Some(&age), "{joins:?} {second} {group}");
                }
                assert_eq!((&got.raw_errors, &got.extra), (&first.raw_errors, &first.extra));
                assert_eq!((got.config, got.stats.state), (first.config.clone(), State::Hashing));
            }
        });
    }
}

#[test]
fn nothing_rests_when_the_machine_does_something_else() {
    for joins in [Joins::Nothing, Joins::Reports] {
        for (member, value) in [("HS RT", json!(0)), ("Elapsed", json!(1)), ("Power Mode", json!("Low"))] {
            testkit::run(|cx, net| async move {
                let device = Device::start(&net, joins, &healthy()).await;
                let thing = open(&cx, "miner-wm-m63").await;
                for _ in 0..3 {
                    device.asked();
                    read(&cx, &*thing).await.unwrap();
                }
                let rested =
                    |asked: Vec<String>| !asked.iter().any(|a| a == "status" || a == "get_error_code");
                assert!(rested(device.asked()), "{joins:?}");
                let mut summary = healthy()["summary"].clone();
                summary["SUMMARY"][0][member] = value;
                device.set("summary", summary.to_string());
                let status = json!({"STATUS": "S", "Code": 131, "Msg": {"mineroff": "true"}});
                device.set("status", status.to_string());
                let got = read(&cx, &*thing).await.unwrap();
                assert!(!rested(device.asked()), "{joins:?} {member}");
                assert_eq!((got.config.unwrap().suspended, got.stats.state), (Some(true), State::Idle));
                assert_eq!(got.age_ms.get("status"), Some(&0));
            });
        }
    }
}

#[test]
fn a_unit_that_is_gone_is_not_made_up_from_what_rests() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Nothing, &healthy()).await;
        let thing = open(&cx, "miner-wm-m63").await;
        for _ in 0..3 {
            device.asked();
            read(&cx, &*thing).await.unwrap();
        }
        assert_eq!(device.asked().len(), 3);
        for command in ["summary", "edevs", "pools", "status", "get_error_code"] {
            device.set(command, "");
        }
        assert_eq!(read(&cx, &*thing).await.unwrap_err().kind(), ErrorKind::BadReply);
        assert_eq!(device.asked().len(), 5);
        device.unset("status");
        device.set("status", healthy()["status"].to_string());
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!(got.missing.get("raw_errors"), Some(&MissingReason::NoReply));
        assert_eq!((got.age_ms.get("status"), got.age_ms.get("errors")), (Some(&0), None));
    });
}

#[test]
fn devs_takes_the_place_of_edevs() {
    for (joins, then) in [
        (Joins::Everything, vec!["summary+devs+pools+status+get_error_code"]),
        (Joins::Nothing, vec!["devs", "get_error_code", "pools", "status", "summary"]),
    ] {
        testkit::run(|cx, net| async move {
            let mut answers = healthy();
            let boards = answers.as_object_mut().unwrap().remove("edevs").unwrap();
            answers["devs"] = boards;
            let device = Device::start(&net, joins, &answers).await;
            let thing = open(&cx, "miner-wm-m63").await;
            assert_eq!(read(&cx, &*thing).await.unwrap().stats.boards.len(), 4);
            device.asked();
            assert_eq!(read(&cx, &*thing).await.unwrap().stats.boards.len(), 4);
            let mut asked = device.asked();
            asked.sort_unstable();
            assert_eq!(asked, then);
        });
    }
}

#[test]
fn what_the_firmware_lacks_is_asked_again_after_an_update() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Everything, &healthy()).await;
        device.unset("get_error_code");
        let thing = open(&cx, "miner-wm-m63").await;
        read(&cx, &*thing).await.unwrap();
        device.asked();
        assert!(read(&cx, &*thing).await.unwrap().raw_errors.is_none());
        assert_eq!(device.asked(), ["summary+edevs+pools+status"]);
        // An update restarts the machine: its uptime falls, and all that is slow is read at once.
        let answers = healthy();
        let mut summary = answers["summary"].clone();
        summary["SUMMARY"][0]["Uptime"] = json!(20);
        device.set("summary", summary.to_string());
        device.set("get_error_code", answers["get_error_code"].to_string());
        let version =
            json!({"STATUS": "S", "Code": 131, "Msg": {"api_ver": "2.0.5", "fw_ver": "20240102.01.REL"}});
        device.set("get_version", version.to_string());
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!(got.info.unwrap().firmware.as_deref(), Some("20240102.01.REL"));
        device.asked();
        assert!(read(&cx, &*thing).await.unwrap().raw_errors.is_some());
        assert_eq!(device.asked(), ["summary+edevs+pools+status+get_error_code"]);
    });
}

#[test]
fn a_garbled_part_is_asked_for_alone_in_the_same_poll() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Everything, &healthy()).await;
        let thing = open(&cx, "miner-wm-m63").await;
        read(&cx, &*thing).await.unwrap();
        device.asked();
        device.set("pools", "{\"STATUS\":[{\"STATUS\":\"S\"}],\"POOLS\":\"busy\"}");
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!(device.asked(), ["summary+edevs+pools+status+get_error_code", "pools"]);
        assert_eq!(got.missing.get("stats.pool_status"), Some(&MissingReason::BadReply));
        assert_eq!(got.missing.get("config.pool_config"), Some(&MissingReason::BadReply));
        assert!(got.success && got.stats.power_w.is_some());
        device.set("pools", healthy()["pools"].to_string());
        assert!(read(&cx, &*thing).await.unwrap().stats.pool_status.is_some());
        assert_eq!(device.asked(), ["summary+edevs+pools+status+get_error_code"]);
    });
}

#[test]
fn a_cut_joined_reply_is_never_taken_for_a_small_machine() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Everything, &healthy()).await;
        let thing = open(&cx, "miner-wm-m63").await;
        read(&cx, &*thing).await.unwrap();
        let joined = "summary+edevs+pools+status+get_error_code";
        let whole = device.reply(joined);
        for end in [1, 40, whole.len() / 4, whole.len() / 3, whole.len() / 2, whole.len() - 20] {
            device.set(joined, &whole[..end]);
            let got = read(&cx, &*thing).await.unwrap();
            assert_eq!((got.stats.boards.len(), got.stats.state), (4, State::Hashing), "cut at {end}");
            device.unset(joined);
            read(&cx, &*thing).await.unwrap();
        }
        // Single replies that are cut are bad replies.
        for command in ["edevs", "summary", "pools", "status"] {
            let whole = device.reply(command);
            device.set(command, &whole[..whole.len() / 2]);
        }
        device.set(joined, "{\"summary\":[{\"STA");
        assert_eq!(read(&cx, &*thing).await.unwrap_err().kind(), ErrorKind::BadReply);
    });
}

#[test]
fn joining_rests_when_it_hurts_and_is_tried_again() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Everything, &healthy()).await;
        let joined = "summary+edevs+pools+status+get_error_code";
        device.set(joined, "");
        let thing = open(&cx, "miner-wm-m63").await;
        for _ in 0..2 {
            assert!(read(&cx, &*thing).await.unwrap().success);
            assert!(device.asked().contains(&joined.to_owned()));
        }
        read(&cx, &*thing).await.unwrap();
        assert!(!device.asked().contains(&joined.to_owned()));
        device.unset(joined);
        pass(&cx, 1801).await;
        read(&cx, &*thing).await.unwrap();
        assert!(device.asked().contains(&joined.to_owned()));
        read(&cx, &*thing).await.unwrap();
        assert_eq!(device.asked(), [joined]);
    });
}

#[test]
fn unreachable_means_one_attempt_and_names_are_resolved() {
    testkit::run(|cx, net| async move {
        let conf =
            ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer").opt("address", "wm1.site.example");
        let thing = Whatsminer::new().open(&cx, &conf).await.unwrap();
        assert_eq!(read(&cx, &*thing).await.unwrap_err().kind(), ErrorKind::Unreachable);
        assert_eq!(net.connections(), 0);
        net.name("wm1.site.example", "10.9.0.7".parse().unwrap());
        // Once the port of API v3 is tried too.
        for connections in [2, 3] {
            let e = read(&cx, &*thing).await.unwrap_err();
            assert_eq!(
                (e.kind(), e.fact("refused"), net.connections()),
                (ErrorKind::Unreachable, Some("true"), connections)
            );
        }
        let _device = Device::start(&net, Joins::Everything, &healthy()).await;
        assert!(read(&cx, &*thing).await.unwrap().success);
    });
}

#[test]
fn a_stranger_that_knows_no_command_is_an_error() {
    testkit::run(|cx, net| async move {
        let _device = Device::start(&net, Joins::Nothing, &json!({})).await;
        let e = read(&cx, &*open(&cx, "miner-wm-m63").await).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::BadReply);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_reply_makes_it_panic(
        joined in any::<bool>(),
        at in 0usize..4000,
        noise in prop::collection::vec(any::<u8>(), 0..40),
        text in r#"[\[\]{}",:\-\.0-9eE a-z]{0,120}"#,
    ) {
        testkit::run(|cx, net| async move {
            let joins = if joined { Joins::Everything } else { Joins::Nothing };
            let device = Device::start(&net, joins, &healthy()).await;
            for command in ["summary", "edevs", "status", "get_error_code", "get_psu"] {
                let mut reply = device.reply(command);
                let at = at % reply.len();
                reply.splice(at..(at + noise.len()).min(reply.len()), noise.iter().copied());
                device.set(command, reply);
            }
            device.set("pools", text);
            if let Ok(got) = read(&cx, &*open(&cx, "miner-wm-m63").await).await {
                assert!(!serde_json::to_string(&got).unwrap().contains(":null"));
            }
        });
    }
}
