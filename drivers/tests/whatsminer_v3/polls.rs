//! What a poll asks, and what it makes of replies that are missing or wrong.

use std::sync::atomic::Ordering;

use headframe_core::{
    ErrorKind,
    driver::Thing,
    io::{Ctx, MemNet},
    model::{MissingReason, State},
    testkit,
};
use headframe_drivers::whatsminer::v3::V3;

use crate::device::{AT, Device, open, pass, read};

#[test]
fn a_poll_is_four_requests_over_two_connections() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let thing = open();
        for _ in 0..12 {
            read(&cx, &thing).await.unwrap();
            let mut asked = device.asked();
            asked.sort();
            assert_eq!(asked, ["edevs", "get.device.info", "pools", "summary"]);
            pass(&cx, 60).await;
        }
        assert!(device.peak.load(Ordering::SeqCst) <= 2);
    });
}

#[test]
fn what_changes_rarely_is_read_again_when_old_or_when_the_device_is_another() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let thing = open();
        assert_eq!(read(&cx, &thing).await.unwrap().age_ms.get("slow"), Some(&0));
        pass(&cx, 60).await;
        device.with(|s| s.info["miner"]["miner-sn"] = "HTM60S2".into());
        let kept = read(&cx, &thing).await.unwrap();
        assert_eq!(kept.age_ms.get("slow"), Some(&60_000));
        assert_eq!(kept.info.as_ref().unwrap().serial.as_deref(), Some("HTM60S1"));
        device.with(|s| s.info["network"]["mac"] = "CE:02:01:00:8C:37".into());
        let other = read(&cx, &thing).await.unwrap();
        assert_eq!(other.age_ms.get("slow"), Some(&0));
        assert_eq!(other.info.as_ref().unwrap().serial.as_deref(), Some("HTM60S2"));
        device.with(|s| s.info["system"]["fwversion"] = "20260101.1.Rel".into());
        let updated = read(&cx, &thing).await.unwrap();
        assert_eq!(updated.config.unwrap().firmware_ver.as_deref(), Some("20260101.1.Rel"));
        pass(&cx, 60).await;
        // Snapshots share what has not changed.
        let again = read(&cx, &thing).await.unwrap();
        assert!(std::sync::Arc::ptr_eq(&updated.info.unwrap(), &again.info.unwrap()));
        device.with(|s| s.since_ms += 40_000_000);
        assert_eq!(read(&cx, &thing).await.unwrap().age_ms.get("slow"), Some(&0), "it restarted");
        pass(&cx, 300).await;
        assert_eq!(read(&cx, &thing).await.unwrap().age_ms.get("slow"), Some(&0), "they are old");
    });
}

#[test]
fn a_part_that_fails_costs_only_its_own_members() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let refusal = br#"{"code":-1,"when":1,"msg":"not ready","desc":"x"}"#.to_vec();
        let empty = br#"{"code":0,"when":1,"msg":{},"desc":"x"}"#.to_vec();
        let cut = br#"{"code":0,"when":1,"msg":{"#.to_vec();
        let text = br#"{"code":0,"msg":"starting"}"#.to_vec();
        for (reply, reason) in [
            (refusal, MissingReason::Refused),
            (empty, MissingReason::BadReply),
            (cut, MissingReason::BadReply),
            (text, MissingReason::BadReply),
        ] {
            for (part, paths) in [
                ("summary", &["stats.hashrate_mhs", "stats.power_w", "stats.uptime_ms"][..]),
                ("edevs", &["stats.boards", "stats.temperature_c.chips"]),
                ("pools", &["stats.pool_status", "config.pool_config", "stats.all_pools_shares"]),
            ] {
                device.with(|s| s.raw.insert(part.into(), reply.clone()));
                let got = read(&cx, &open()).await.unwrap();
                for path in paths {
                    assert_eq!(got.missing.get(path), Some(&reason), "{part} {path}");
                }
                assert!(got.success && got.config.as_ref().unwrap().power_mode.is_some());
                device.with(|s| s.raw.clear());
            }
        }
    });
}

#[test]
fn a_part_that_hangs_leaves_time_for_the_rest() {
    for (part, path) in [
        ("get.device.info", "config.led_status"),
        ("summary", "stats.power_w"),
        ("edevs", "stats.boards"),
        ("pools", "stats.pool_status"),
    ] {
        testkit::run(|cx, net| async move {
            let device = Device::start(&cx, &net).await;
            device.with(|s| s.hangs = part);
            let thing = open();
            let begun = cx.clock.mono();
            let got = read(&cx, &thing).await.unwrap();
            assert!(cx.clock.mono().since(begun) < std::time::Duration::from_secs(9), "of 10 s");
            assert_eq!(got.missing.get(path), Some(&MissingReason::NoReply), "{part}");
            let others = ["config.led_status", "stats.power_w", "stats.boards", "stats.pool_status"];
            let missing = others.iter().filter(|other| got.missing.contains_key(other)).count();
            assert_eq!(missing, 1, "{part}");
        });
    }
}

#[test]
fn without_the_device_info_the_rest_is_read() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        device.with(|s| s.raw.insert("get.device.info".into(), br#"{"code":7,"msg":"busy"}"#.to_vec()));
        let got = read(&cx, &open()).await.unwrap();
        assert_eq!(got.stats.hashrate_mhs.unwrap().realtime.unwrap().mhs(), 171_259_000.0);
        assert_eq!((got.raw_errors, got.stats.state), (None, State::Hashing));
        for path in ["raw_errors", "stats.errors", "config.power_mode", "config.led_status", "info.mac"] {
            assert_eq!(got.missing.get(path), Some(&MissingReason::Refused), "{path}");
        }
        assert!(got.age_ms.get("slow").is_none());
    });
}

#[test]
fn a_half_booted_device_says_little_and_nothing_false() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        device.with(|s| {
            for section in ["summary", "edevs", "pools"] {
                s.raw.insert(section.into(), br#"{"code":-2,"msg":"miner not ready"}"#.to_vec());
            }
            s.info = serde_json::json!({"network": {"mac": "CE:02:01:00:8C:36"}, "miner": null, "system": "x",
                "power": [], "error-code": null});
        });
        let got = read(&cx, &open()).await.unwrap();
        assert_eq!((got.stats.state, got.stats.is_mining), (State::Unknown, None));
        let config = got.config.unwrap();
        assert_eq!((config.suspended, config.power_mode, config.pool_config), (None, None, None));
        assert_eq!(got.raw_errors, Some(vec![]));
        assert_eq!(got.info.unwrap().mac.as_deref(), Some("CE:02:01:00:8C:36"));
        for path in ["info.serial", "stats.psu", "config.firmware_ver", "info.vendor_model"] {
            assert!(got.missing.contains_key(path), "{path}");
        }
    });
}

#[test]
fn nothing_that_says_how_it_does_is_an_error() {
    testkit::run(|cx, net| async move {
        let e = read(&cx, &open()).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("address")), (ErrorKind::Unreachable, Some(AT)));
        let device = Device::start(&cx, &net).await;
        for section in ["get.device.info", "summary", "edevs"] {
            device.with(|s| s.raw.insert(section.into(), br#"{"code":-1,"msg":"no"}"#.to_vec()));
        }
        let e = read(&cx, &open()).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("device_code")), (ErrorKind::BadReply, Some("-1")));
    });
}

#[test]
fn a_probe_knows_its_own() {
    async fn answer(cx: &Ctx, net: &MemNet, reply: &'static [u8]) -> bool {
        let device = Device::start(cx, net).await;
        device.with(|s| s.raw.insert("get.device.info".into(), reply.to_vec()));
        V3::probe(cx, AT.parse().unwrap()).await.unwrap()
    }
    testkit::run(|cx, net| async move {
        assert!(!V3::probe(&cx, AT.parse().unwrap()).await.unwrap(), "nothing listens");
        net.silence("10.9.0.8".parse().unwrap());
        let short = cx.deadline_in(std::time::Duration::from_secs(1));
        let e = V3::probe(&short, "10.9.0.8:4433".parse().unwrap()).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Timeout);
        let device = Device::start(&cx, &net).await;
        assert!(V3::probe(&cx, AT.parse().unwrap()).await.unwrap());
        assert_eq!(device.asked(), ["get.device.info"]);
    });
    for reply in [
        &b"{\"code\":0,\"msg\":{\"system\":{\"api\":\"2.0.5\"}}}"[..],
        b"{\"code\":-1,\"msg\":\"unknown cmd\"}",
        b"{\"code\":0,\"msg\":{}}",
        b"SSH-2.0-dropbear",
    ] {
        testkit::run(|cx, net| async move { assert!(!answer(&cx, &net, reply).await) });
    }
}

#[test]
fn polls_of_one_device_wait_for_each_other() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        let thing: std::sync::Arc<dyn Thing> = std::sync::Arc::new(open());
        let polls: Vec<_> = (0..8)
            .map(|_| {
                let (cx, thing) = (cx.clone(), thing.clone());
                tokio::spawn(async move { read(&cx, &*thing).await.unwrap() })
            })
            .collect();
        for poll in polls {
            assert!(poll.await.unwrap().success);
        }
        assert!(device.peak.load(Ordering::SeqCst) <= 2);
    });
}
