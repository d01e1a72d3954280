//! Firmware before 2022-07-29: read as far as it tells, never written to.

use headframe_core::{
    ErrorKind, Sent,
    driver::Direct,
    model::{Command, CommandName, PowerMode, State},
    testkit,
    units::{Volts, Watts},
};
use headframe_drivers::whatsminer::Whatsminer;
use serde_json::{Value, json};

use crate::device::{Device, Joins, conf, healthy, open, read};

const SUMMARY: &str = include_str!("../fixtures/whatsminer/v1_summary.txt");

/// The replies that can be written as JSON; `summary` is none.
fn answers() -> Value {
    let board = |slot: u32| {
        json!({"ASC": slot, "Slot": slot, "Temperature": 76.5, "Chip Frequency": 622, "MHS av": 29.3e6,
            "HS RT": 29.3e6, "Factory GHS": 29333, "Effective Chips": 148, "PCB SN": "", "Chip Temp Min": 68,
            "Chip Temp Max": 91, "Chip Temp Avg": 82.3})
    };
    let pools = healthy()["pools"].clone();
    json!({
        "edevs": {"STATUS": [{"STATUS": "S"}], "DEVS": [board(0), board(1), board(2)], "id": 1},
        "pools": pools,
        "devdetails": {"STATUS": [{"STATUS": "S"}], "DEVDETAILS": [{"Driver": "bitmicro", "Model": "M30S_VE40"}]},
        "status": {"STATUS": "S", "Code": 131, "Msg": {"btmineroff": "false",
            "Firmware Version": "'20210819.18.REL'"}},
        "get_version": {"STATUS": "S", "Code": 131, "Msg": {"api_ver": "whatsminer v1.4",
            "fw_ver": "20210819.18.REL"}},
    })
}

#[test]
fn everything_it_tells_is_read() {
    for joins in [Joins::Nothing, Joins::Reports] {
        testkit::run(|cx, net| async move {
            let device = Device::start(&net, joins, &answers()).await;
            device.set("summary", SUMMARY);
            let thing = open(&cx, "miner-wm-m30sp").await;
            for _ in 0..2 {
                let got = read(&cx, &*thing).await.unwrap();
                let (stats, info) = (&got.stats, got.info.as_deref().unwrap());
                assert_eq!(info.firmware.as_deref(), Some("20210819.18.REL"));
                assert_eq!(
                    (info.api.as_deref(), info.control_board.as_deref()),
                    (Some("whatsminer v1.4"), Some("H3"))
                );
                assert_eq!(
                    (info.mac.as_deref(), info.model.as_deref()),
                    (Some("C4:11:04:00:00:31"), Some("M30S"))
                );
                assert_eq!((stats.power_w, stats.power_limit_w), (Watts::new(3360.0), Watts::new(3500.0)));
                assert_eq!(stats.psu.as_ref().unwrap().input_v, Volts::new(230.12));
                assert_eq!(got.extra.get("power_current_raw"), Some(&json!(14650)));
                let codes: Vec<_> = stats.errors.iter().map(|e| e.message.as_deref().unwrap()).collect();
                assert_eq!(codes, ["Error code 540", "Error code 2010"]);
                assert_eq!(
                    (stats.boards.len(), stats.is_mining, stats.state),
                    (3, Some(true), State::Degraded)
                );
                let fans: Vec<_> = stats.fans.iter().map(|f| (f.name.to_string(), f.rpm.unwrap())).collect();
                assert_eq!(fans.len(), 3, "{fans:?}");
                let config = got.config.unwrap();
                assert_eq!((config.suspended, config.power_mode), (Some(false), Some(PowerMode::Normal)));
                assert!(
                    !got.missing.contains_key("raw_errors") && !got.extra.contains_key("errors_left_out")
                );
            }
            // What it does not have is not asked for again.
            device.asked();
            read(&cx, &*thing).await.unwrap();
            assert!(!device.asked().iter().any(|asked| asked.contains("get_error_code")));
        });
    }
}

#[test]
fn an_order_to_stop_and_many_errors_show() {
    testkit::run(|cx, net| async move {
        let mut answers = answers();
        answers["status"]["Msg"]["btmineroff"] = json!("true");
        let device = Device::start(&net, Joins::Nothing, &answers).await;
        device.set("summary", SUMMARY.replace("\"Error Code Count\":2", "\"Error Code Count\":14"));
        let got = read(&cx, &*open(&cx, "miner-wm-m30sp").await).await.unwrap();
        assert_eq!((got.stats.state, got.config.unwrap().suspended), (State::Idle, Some(true)));
        assert_eq!(got.extra.get("errors_left_out"), Some(&json!(4)));
    });
}

#[test]
fn it_has_no_command() {
    testkit::run(|cx, net| async move {
        let device = Device::start(&net, Joins::Nothing, &answers()).await;
        device.set("summary", SUMMARY);
        let direct = Direct::open(&Whatsminer::new(), &cx, &conf("miner-wm-m30sp")).await.unwrap();
        direct.snapshot(&cx).await.unwrap();
        device.asked();
        assert!(CommandName::ALL.iter().all(|name| !direct.capability().has(*name)));
        let e = direct.execute(&cx, &Command::Reboot).await.unwrap_err();
        assert_eq!((e.kind(), e.sent()), (ErrorKind::Unsupported, Sent::No));
        assert!(device.asked().is_empty());
    });
}
