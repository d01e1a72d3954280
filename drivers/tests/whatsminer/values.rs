//! What the values mean.

use std::sync::Arc;

use headframe_core::{
    model::{MissingReason, State, Status},
    testkit,
};
use serde_json::{Value, json};

use crate::device::{Device, Joins, healthy, open, pass, read};

#[test]
fn marks_for_unknown_and_impossible_values_are_missing() {
    testkit::run(|cx, net| async move {
        let mut answers = healthy();
        let s = &mut answers["summary"]["SUMMARY"][0];
        for (key, value) in [
            ("Power", json!(-1)),
            ("Power Rate", json!("nan")),
            ("Env Temp", json!(-273)),
            ("MHS 5s", json!(-4.0)),
            ("Factory GHS", json!(-0.004)),
            ("Power Limit", json!(0)),
            ("Power Mode", json!("")),
        ] {
            s[key] = value;
        }
        answers["edevs"]["DEVS"][1]["Temperature"] = json!(900);
        answers["get_miner_info"]["Msg"]["ledstat"] = json!("");
        let _device = Device::start(&net, Joins::Everything, &answers).await;
        let got = read(&cx, &*open(&cx, "miner-wm-m99").await).await.unwrap();
        for (path, reason) in [
            ("stats.power_w", MissingReason::Sentinel),
            ("stats.efficiency_w_ths", MissingReason::NotReported),
            ("stats.temperature_c.ambient", MissingReason::Sentinel),
            ("stats.hashrate_mhs.t_5s", MissingReason::Implausible),
            ("stats.nominal_hashrate_mhs", MissingReason::Sentinel),
            ("stats.power_limit_w", MissingReason::Sentinel),
            ("stats.boards.temperature_c", MissingReason::Implausible),
            ("config.led_status", MissingReason::Sentinel),
            ("stats.psu.serial", MissingReason::Sentinel),
        ] {
            assert_eq!(got.missing.get(path), Some(&reason), "{path}");
        }
        let stats = &got.stats;
        assert!(
            stats.power_w.is_none()
                && stats.power_source.is_none()
                && stats.nominal_efficiency_w_ths.is_none()
        );
        assert_eq!(stats.boards[1].temperature_c, None);
        // The power mode is also in `status`.
        assert_eq!(got.config.unwrap().power_mode, Some(headframe_core::model::PowerMode::Normal));
        assert!(!serde_json::to_string(&stats).unwrap().contains("null"));
    });
}

#[test]
fn orders_come_from_status() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Everything, &healthy()).await;
        let thing = open(&cx, "miner-wm-m63").await;
        device.set(
            "status",
            r#"{"STATUS":"S","Code":131,"Msg":{"mineroff":"true","mineroff_reason":"power_off"}}"#,
        );
        // The average is still above 0 just after a stop.
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!((got.stats.status, got.stats.state), (Status::Sleeping, State::Idle));
        assert_eq!((got.stats.is_mining, got.config.unwrap().suspended), (Some(false), Some(true)));
        assert_eq!(got.extra.get("mineroff_reason"), Some(&"power_off".into()));
        device.set("status", r#"{"STATUS":"S","Code":131,"Msg":{"btmineroff":"false"}}"#);
        let mut summary = healthy()["summary"].clone();
        for key in ["MHS av", "MHS 5s", "MHS 1m", "MHS 5m", "MHS 15m", "HS RT", "Power"] {
            summary["SUMMARY"][0][key] = json!(0);
        }
        device.set("summary", summary.to_string());
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!((got.stats.status, got.stats.state), (Status::NotMining, State::Fault));
        assert_eq!(got.config.unwrap().suspended, Some(false));
    });
}

#[test]
fn what_a_machine_is_comes_from_the_slow_replies() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Everything, &healthy()).await;
        let thing = open(&cx, "miner-wm-m63").await;
        let got = read(&cx, &*thing).await.unwrap();
        let info = got.info.clone().unwrap();
        assert_eq!((info.model.as_deref(), info.variant.as_deref()), (Some("M63S"), Some("VK30")));
        assert_eq!((info.vendor_model.as_deref(), info.model_known), (Some("M63S_VK34"), true));
        assert_eq!(info.mac.as_deref(), Some("CA:7A:0A:00:02:23"));
        assert_eq!((info.serial.as_deref(), info.boards_expected), (Some("HHM38S0001"), Some(4)));
        let psu = got.stats.psu.unwrap();
        assert_eq!((psu.model.as_deref(), psu.input_v), (Some("P562B"), None));
        assert_eq!(got.extra.get("psu_vin_raw"), Some(&"39600".into()));
        // Liquid-cooled: no case fans.
        assert_eq!(got.stats.fans.len(), 1);
        device.asked();
        pass(&cx, 301).await;
        let later = read(&cx, &*thing).await.unwrap();
        assert_eq!(device.asked()[1], "get_version+get_miner_info+devdetails+get_psu");
        assert!(Arc::ptr_eq(&info, later.info.as_ref().unwrap()), "nothing changed");
        assert_eq!(later.age_ms.get("slow"), Some(&0));
    });
}

#[test]
fn api_v1_tells_in_its_summary() {
    testkit::run(|cx, net| async move {
        let summary = "{\"STATUS\":[{\"STATUS\":\"S\",\"Code\":11}],\"SUMMARY\":[{\"Elapsed\":7000,\"MHS av\":1e8,\
            \"HS RT\":1e8,\"Power\":3400,\"Firmware Version\":\"'20200917.22.REL'\n\",\"CB Platform\":\"H3\",\
            \"Power Fanspeed\":7000,\"Error Code Count\":2,\"Error Code 0\":532,\"Error Code 1\":\"2010\",},],\"id\":1}";
        let device = Device::start(&net, Joins::Nothing, &json!({})).await;
        device.set("summary", summary);
        let got = read(&cx, &*open(&cx, "miner-wm-m30sp").await).await.unwrap();
        let codes: Vec<Value> = got.raw_errors.iter().flatten().map(|e| json!(e.code)).collect();
        assert_eq!(codes, ["532", "2010"]);
        let info = got.info.unwrap();
        assert_eq!(
            (info.firmware.as_deref(), info.control_board.as_deref()),
            (Some("20200917.22.REL"), Some("H3"))
        );
        assert_eq!(got.config.unwrap().firmware_ver.as_deref(), Some("20200917.22.REL"));
        assert_eq!((got.stats.status, got.stats.state), (Status::Error, State::Degraded));
        assert_eq!(got.missing.get("stats.boards"), Some(&MissingReason::Refused));
        assert_eq!(got.stats.fans.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["psu"]);
    });
}

#[test]
fn error_lists_of_every_shape_are_read() {
    let lists = [
        r#"[{"532":"2025-11-20 10:00:00"},{"110":"x","111":"y"}]"#,
        r#"["532":"2025-11-20 10:00:00","110":"x","111":"y"]"#,
        r#"[532,"110",{"111":null,"reason":"hot"},null]"#,
        r#"{"532":"","110":"x","111":"y"}"#,
    ];
    for list in lists {
        testkit::run(|cx, net| async move {
            let device = Device::start(&net, Joins::Everything, &healthy()).await;
            device.set(
                "get_error_code",
                format!("{{\"STATUS\":\"S\",\"Code\":131,\"Msg\":{{\"error_code\":{list}}}}}"),
            );
            let got = read(&cx, &*open(&cx, "miner-wm-m63").await).await.unwrap();
            let codes: Vec<Value> = got.raw_errors.iter().flatten().map(|e| json!(e.code)).collect();
            let same =
                codes.len() == 3 && ["532", "110", "111"].iter().all(|code| codes.contains(&json!(code)));
            assert!(same, "{list}: {codes:?}");
        });
    }
}

#[test]
fn a_list_of_errors_cut_at_the_devices_buffer_still_counts() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Nothing, &healthy()).await;
        let cut = r#"{"STATUS":"S","Code":131,"Msg":{"error_code":[{"532":"2025-11-20 10:00:00"},{"11"#;
        device.set("get_error_code", cut);
        let thing = open(&cx, "miner-wm-m63").await;
        assert_eq!(read(&cx, &*thing).await.unwrap().raw_errors.unwrap().len(), 1);
        // Without a whole entry it is not "no errors".
        device.set("get_error_code", r#"{"STATUS":"S","Code":131,"Msg":{"error_code":[{"53"#);
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!((got.raw_errors, got.missing.get("raw_errors")), (None, Some(&MissingReason::BadReply)));
    });
}
