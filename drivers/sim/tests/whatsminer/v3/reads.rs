use headframe_sim::{ErrorList, Fault, PowerMode, V3Options, WhatsminerOptions};
use serde_json::{Value, json};

use super::client::{Rig, code, with};
use crate::client::{BORN, near, number};

#[tokio::test(start_paused = true)]
async fn the_summary_says_what_is_true() {
    let rig = Rig::ordinary().await;
    let reply = rig.ask("get.miner.status", json!("summary")).await;
    assert_eq!((code(&reply), reply["when"].as_i64()), (0, Some(BORN / 1_000)));
    let summary = &reply["msg"]["summary"];
    let truth = rig.bench.device.truth();
    for (key, mhs) in [
        ("hash-realtime", truth.rates.realtime),
        ("hash-1min", truth.rates.m1),
        ("hash-15min", truth.rates.m15),
        ("hash-average", truth.rates.average),
        ("factory-hash", truth.nominal_mhs),
    ] {
        assert!(
            near(number(summary, key) * 1e6, mhs, 1e-5),
            "{key}: {} TH/s is not {mhs} MH/s",
            summary[key]
        );
    }
    for (key, value, within) in [
        ("power-realtime", truth.power_w, 0.051),
        ("power-limit", truth.power_limit_w, 0.5),
        ("power-rate", truth.efficiency_jth().unwrap(), 0.0051),
        ("environment-temperature", truth.ambient_c, 0.051),
        ("chip-temp-avg", truth.chip_c(), 0.051),
        ("fan-speed-in", truth.fans_rpm[0], 0.5),
        ("fan-speed-out", truth.fans_rpm[1], 0.5),
        ("elapsed", truth.elapsed_s as f64, 0.0),
        ("freq-avg", truth.frequency_mhz, 0.5),
        ("up-freq-finish", 1.0, 0.0),
    ] {
        assert!((number(summary, key) - value).abs() <= within, "{key}: {} is not {value}", summary[key]);
    }
    let temperatures = summary["board-temperature"].as_array().unwrap();
    for (got, board) in temperatures.iter().zip(&truth.boards) {
        assert!((got.as_f64().unwrap() - board.pcb_c).abs() <= 0.051);
    }
    assert_eq!(temperatures.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn boards_and_pools() {
    let rig = Rig::ordinary().await;
    rig.bench.device.fault(Fault::BoardLost { slot: 1 });
    rig.bench.wait(60).await;
    let truth = rig.bench.device.truth();
    let boards = rig.status("edevs").await;
    let ids: Vec<u64> = boards.as_array().unwrap().iter().map(|b| b["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [0, 2]);
    for (got, board) in boards.as_array().unwrap().iter().zip(&truth.boards) {
        assert!(near(number(got, "hash-realtime") * 1e6, board.rate_mhs, 1e-4));
        assert_eq!((got["effective-chips"].as_u64(), &got["status"]), (Some(75), &json!("alive")));
        assert!((number(got, "chip-temp-max") - board.chip_max_c).abs() <= 0.051);
    }
    let pools = rig.status("pools").await;
    assert_eq!(pools.as_array().unwrap().len(), 3);
    assert_eq!(pools[0]["url"], truth.pools[0].url);
    assert_eq!((&pools[0]["account"], &pools[1]["stratum-active"]), (&json!("site1.w000000"), &json!(false)));
    rig.bench.device.fault(Fault::PoolsDead);
    assert_eq!(rig.status("pools").await[0]["status"], "dead");
    let info = rig.info().await;
    assert_eq!((&info["miner"]["board-num"], info["miner"].get("pcbsn1")), (&json!("2"), None));
}

#[tokio::test(start_paused = true)]
async fn device_information_whole_and_in_sections() {
    let rig = Rig::ordinary().await;
    let device = &rig.bench.device;
    for request in [json!({ "cmd": "get.device.info" }), json!({ "cmd": "get.device.info", "param": null })] {
        let info = rig.send(&request).await.unwrap()["msg"].clone();
        assert_eq!(
            (&info["miner"]["type"], &info["miner"]["hash-board"]),
            (&json!("M60S_VK40"), &json!("K40"))
        );
        assert_eq!((&info["miner"]["working"], &info["power"]["mode"]), (&json!("true"), &json!("1")));
        assert_eq!(
            (&info["network"]["mac"], &info["miner"]["miner-sn"]),
            (&json!(device.mac()), &json!(device.serial()))
        );
        assert_eq!((&info["system"]["api"], &info["system"]["apiswitch"]), (&json!("3.0.2"), &json!("1")));
        assert_eq!(info["system"]["fwversion"], "20251209.16.Rel2");
        assert_eq!(info["salt"].as_str().unwrap().len(), 8);
        assert_eq!(info.get("error-code"), None);
        let sum: f64 = info["miner"]["detect-hash-rate"]
            .as_str()
            .unwrap()
            .split(':')
            .map(|g| g.parse::<f64>().unwrap())
            .sum();
        assert!(near(sum * 1e3, device.truth().nominal_mhs, 1e-4));
        for section in ["miner", "network", "power", "system", "salt"] {
            let one = rig.ask("get.device.info", json!(section)).await["msg"].clone();
            assert_eq!(one, json!({ section: info[section] }));
        }
    }
    assert_eq!(rig.ask("get.device.info", json!("error-code")).await["msg"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn modes_are_numbers_in_text() {
    let rig = Rig::ordinary().await;
    for (word, number, mode) in
        [("low", "0", PowerMode::Low), ("high", "2", PowerMode::High), ("normal", "1", PowerMode::Normal)]
    {
        rig.ok("set.miner.mode", json!(word)).await;
        assert_eq!(rig.info().await["power"]["mode"], number);
        assert_eq!(rig.bench.device.truth().mode, mode);
        assert!(rig.bench.device.truth().elapsed_s <= 1, "mining began anew");
        rig.bench.wait(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn errors_come_in_five_forms() {
    let time = "2025-11-24 16:00:00";
    for (form, none, some) in [
        (ErrorList::Objects, None, json!([{ "264": time, "reason": "error 264. code: 0xffffffffc0000000" }])),
        (ErrorList::Numbers, None, json!([264])),
        (ErrorList::Digits, None, json!(["264"])),
        (ErrorList::Null, Some(json!([null])), json!([null, 264])),
        (ErrorList::Text, None, json!("btminer process is down err")),
    ] {
        let rig = Rig::new(with(V3Options { errors: form, ..V3Options::default() })).await;
        assert_eq!(rig.info().await.get("error-code"), none.as_ref());
        rig.bench.device.set_errors(&["264"]);
        assert_eq!(rig.info().await["error-code"], some);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_nominal_rate() {
    let rig = Rig::new(with(V3Options { tells_factory_hash: false, ..V3Options::default() })).await;
    assert_eq!(rig.status("summary").await["factory-hash"], -0.003);
    assert_eq!(rig.status("edevs").await[0]["factory-hash"], -0.001);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_read() {
    let rig = Rig::ordinary().await;
    for request in [
        json!({ "cmd": "get.everything" }),
        json!({ "cmd": "summary" }),
        json!({ "cmd": "" }),
        json!({ "x": 1 }),
        json!({ "cmd": "get.miner.status" }),
        json!({ "cmd": "get.miner.status", "param": "summary+pools" }),
        json!({ "cmd": "get.device.info", "param": "fans" }),
        json!({ "cmd": "get.device.info", "param": ["salt"] }),
        json!({ "cmd": "get.miner.setting" }),
        json!({ "cmd": "get.miner.history", "param": { "start": "1", "stop": "2" } }),
    ] {
        assert!(!rig.refused(&request).await.is_empty());
    }
    assert_eq!(rig.bench.device.counts()["get.everything"], 1);
}

#[tokio::test(start_paused = true)]
async fn port_4028_answers_most_reads() {
    let v3 = V3Options { lacks: vec!["get_psu".into()], ..V3Options::default() };
    let rig = Rig::new(with(v3)).await;
    let bench = &rig.bench;
    let version = bench.read("get_version").await["Msg"].clone();
    assert_eq!((&version["api_ver"], &version["fw_ver"]), (&json!("3.0.2"), &json!("20251209.16.Rel2")));
    assert!(near(number(&bench.summary().await, "HS RT"), bench.device.truth().rates.realtime, 1e-6));
    assert_eq!(crate::client::code(&bench.read("get_psu").await), 14);
    assert_eq!(bench.device.counts()["summary"], 1);
    let devs = bench.read("devs").await["DEVS"].clone();
    assert_eq!(devs.as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_half_booted_device_has_empty_lists() {
    let half_booted = std::time::Duration::from_secs(45);
    let rig = Rig::new(WhatsminerOptions { half_booted, ..WhatsminerOptions::v3() }).await;
    assert_eq!(rig.order("set.system.reboot", Value::Null).await, None);
    rig.bench.wait(70).await;
    assert_eq!((rig.status("pools").await, rig.status("edevs").await), (json!([]), json!([])));
    rig.bench.wait(40).await;
    assert_eq!(rig.status("pools").await.as_array().unwrap().len(), 3);
}
