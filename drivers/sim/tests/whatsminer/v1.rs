use headframe_sim::{Join, Role, V1Options, WhatsminerOptions};
use serde_json::{Value, json};

use crate::client::{Bench, code, near, number};

/// A v1 device that spells well, and joins nothing.
fn tidy() -> WhatsminerOptions {
    let v1 = V1Options { raw_newlines: false, trailing_commas: false, ..V1Options::default() };
    WhatsminerOptions { v1, join: Join::None, ..WhatsminerOptions::v1() }
}

#[tokio::test(start_paused = true)]
async fn errors_board_and_supply_stand_in_the_summary() {
    let bench = Bench::new(tidy()).await;
    bench.device.set_errors(&["218", "110"]);
    let summary = bench.summary().await;
    let truth = bench.device.truth();
    assert!(near(number(&summary, "HS RT"), truth.rates.realtime, 1e-6));
    assert_eq!((&summary["Error Code Count"], &summary["Error Code 1"]), (&json!(2), &json!(110)));
    assert_eq!(
        (&summary["CB Platform"], &summary["Firmware Version"]),
        (&json!("H3"), &json!("'20210819.18.REL'"))
    );
    assert_eq!(summary["Power_RT"], truth.power_w.round() as i64);
    let volts = number(&summary, "Voltage") / 100.0;
    assert!((200.0..250.0).contains(&volts));
    for name in ["CB Version", "Power Fanspeed", "Power Current", "Liquid Cooling", "Security Mode"] {
        assert!(!summary[name].is_null(), "{name}");
    }
    let version = bench.read("get_version").await["Msg"].clone();
    assert_eq!(
        (&version["api_ver"], &version["fw_ver"]),
        (&json!("whatsminer v1.4"), &json!("20210819.18.REL"))
    );
    let status = bench.status().await;
    assert_eq!((&status["btmineroff"], status.get("mineroff")), (&json!("false"), None));
    assert_eq!(status["Firmware Version"], "'20210819.18.REL'");
    let devs = bench.read("edevs").await["DEVS"].clone();
    assert_eq!((devs[0].get("Frequency"), devs[0]["Chip Frequency"].as_i64()), (None, Some(680)));
    assert_eq!(bench.read("devdetails").await["DEVDETAILS"][0]["Model"], "M30S+_VF30");
    assert_eq!(bench.device.address(Role::RpcV3), None);
}

#[tokio::test(start_paused = true)]
async fn what_api_v1_does_not_know() {
    let bench = Bench::new(tidy()).await;
    for command in ["get_error_code", "get_token", "power_off", "reboot", "open_write_api", "stats"] {
        let reply = bench.read(command).await;
        assert_eq!((code(&reply), &reply["STATUS"]), (14, &json!("E")), "{command}");
    }
    assert_eq!(code(&bench.json(&json!({ "enc": 1, "data": "AAAA" })).await), 14);
    assert!(bench.device.truth().mining && bench.device.executed().is_empty());
    assert_eq!(code(&bench.read("get_psu").await), 131);
    let v1 = V1Options { psu: false, ..tidy().v1 };
    let without = Bench::new(WhatsminerOptions { v1, ..tidy() }).await;
    assert_eq!(code(&without.read("get_psu").await), 14);
}

#[tokio::test(start_paused = true)]
async fn line_breaks_and_commas_that_json_forbids() {
    let bench = Bench::new(WhatsminerOptions::v1()).await;
    let text = bench.text(r#"{"cmd":"summary"}"#).await;
    assert!(text.contains("\"'20210819.18.REL\n'\"") && text.contains(",}]"), "{text}");
    assert!(serde_json::from_str::<Value>(&text).is_err());
    let mended = text.replace('\n', "").replace(",}", "}");
    let summary = serde_json::from_str::<Value>(&mended).unwrap()["SUMMARY"][0].clone();
    assert_eq!(summary["Firmware Version"], "'20210819.18.REL'");
    for command in ["devs", "pools"] {
        let text = bench.text(&json!({ "cmd": command }).to_string()).await;
        assert!(serde_json::from_str::<Value>(&text).is_err());
        assert!(serde_json::from_str::<Value>(&text.replace(",}", "}")).is_ok());
    }
    // The flat answers are well-formed.
    assert_eq!(code(&bench.read("get_version").await), 131);
}
