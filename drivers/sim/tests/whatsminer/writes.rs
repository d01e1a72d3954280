use std::net::Ipv4Addr;

use headframe_core::io::Ctx;
use headframe_sim::{Fault, FleetBuilder, Led, PowerMode, WhatsminerOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Bench, Fill, code, near, number, until_nul};

async fn ok(bench: &Bench, command: Value) {
    let reply = bench.order(command.clone()).await.unwrap_or_else(|| panic!("no reply to {command}"));
    assert_eq!(code(&reply), 131, "{command}: {reply}");
}

async fn refused(bench: &Bench, command: Value) {
    let reply = bench.order(command.clone()).await.unwrap_or_else(|| panic!("no reply to {command}"));
    assert_eq!((code(&reply), &reply["STATUS"]), (132, &json!("E")), "{command}: {reply}");
}

async fn silent(bench: &Bench, command: Value) {
    assert_eq!(bench.order(command.clone()).await, None, "{command}");
}

#[tokio::test(start_paused = true)]
async fn power_off_and_on() {
    let bench = Bench::ordinary().await;
    ok(&bench, json!({ "cmd": "power_off", "respbefore": "true" })).await;
    bench.wait(10).await;
    let truth = bench.device.truth();
    assert!(truth.asleep && !truth.mining && truth.up);
    assert!(truth.power_w < 100.0 && truth.rates.realtime == 0.0);
    let status = bench.status().await;
    assert_eq!((&status["mineroff"], &status["mineroff_reason"]), (&json!("true"), &json!("power_off")));
    assert_eq!(status["mineroff_time"], "2025-11-24 16:00:00");
    let summary = bench.summary().await;
    assert!(number(&summary, "MHS av") > 1e6, "the average lags behind");
    assert_eq!(number(&summary, "HS RT"), 0.0);
    ok(&bench, json!({ "cmd": "power_on" })).await;
    assert_eq!(bench.status().await["mineroff"], "false");
    bench.wait(60).await;
    assert!(bench.device.truth().ramping && bench.device.truth().mining);
    assert_eq!(bench.summary().await["Upfreq Complete"], 0);
    bench.wait(300).await;
    assert!(near(bench.device.truth().rates.realtime, bench.device.model().nominal_mhs, 0.03));
}

#[tokio::test(start_paused = true)]
async fn power_off_without_respbefore_is_silent() {
    for command in [json!({ "cmd": "power_off" }), json!({ "cmd": "power_off", "respbefore": "false" })] {
        let bench = Bench::ordinary().await;
        silent(&bench, command).await;
        assert!(bench.device.truth().asleep);
    }
    // `respbefore` is a text on this API.
    let bench = Bench::ordinary().await;
    silent(&bench, json!({ "cmd": "power_off", "respbefore": true })).await;
    let talkative = Bench::new(WhatsminerOptions { silent: false, ..Default::default() }).await;
    ok(&talkative, json!({ "cmd": "power_off" })).await;
}

#[tokio::test(start_paused = true)]
async fn power_modes_restart_mining_without_a_word() {
    let bench = Bench::ordinary().await;
    let normal = bench.device.truth();
    for (command, mode, name) in [
        ("set_low_power", PowerMode::Low, "Low"),
        ("set_high_power", PowerMode::High, "High"),
        ("set_normal_power", PowerMode::Normal, "Normal"),
    ] {
        silent(&bench, json!({ "cmd": command })).await;
        assert_eq!(bench.device.truth().mode, mode);
        assert!(bench.device.truth().elapsed_s <= 1, "mining began anew");
        let summary = bench.summary().await;
        assert_eq!(summary["Power Mode"], name);
        assert_eq!(bench.status().await["power_mode"], name.to_lowercase());
        bench.wait(400).await;
        let truth = bench.device.truth();
        match mode {
            PowerMode::Low => assert!(truth.power_w < normal.power_w * 0.8 && truth.mining),
            PowerMode::High => assert!(truth.power_w > normal.power_w * 1.1),
            PowerMode::Normal => assert!(near(truth.power_w, normal.power_w, 0.02)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_power_limit() {
    let bench = Bench::ordinary().await;
    for bad in [json!("0"), json!("-5"), json!("9000"), json!("x"), json!(3000)] {
        refused(&bench, json!({ "cmd": "adjust_power_limit", "power_limit": bad })).await;
    }
    assert!(bench.device.truth().elapsed_s > 1_000, "nothing happened yet");
    ok(&bench, json!({ "cmd": "adjust_power_limit", "power_limit": "2500" })).await;
    assert!(bench.device.truth().elapsed_s <= 1, "mining began anew");
    assert_eq!(bench.status().await["power_limit_set"], "2500");
    assert_eq!(bench.summary().await["Power Limit"], 2500);
    bench.wait(400).await;
    assert!(near(bench.device.truth().power_w, 2_500.0, 0.01));
    ok(&bench, json!({ "cmd": "adjust_power_limit", "power_limit": "99999" })).await;
    assert_eq!(bench.summary().await["Power Limit"], bench.device.model().nominal_w as i64);
}

#[tokio::test(start_paused = true)]
async fn the_power_percentage_lasts_until_mining_restarts() {
    let bench = Bench::ordinary().await;
    let full = bench.device.truth();
    for bad in [json!("101"), json!("-1"), json!("x"), json!(90)] {
        refused(&bench, json!({ "cmd": "set_power_pct", "percent": bad })).await;
    }
    for bad in ["0", "201", "-1"] {
        refused(&bench, json!({ "cmd": "set_power_pct_v2", "percent": bad })).await;
    }
    for (command, percent) in [("set_power_pct", 80.0), ("set_power_pct_v2", 70.0)] {
        ok(&bench, json!({ "cmd": command, "percent": format!("{percent:.0}") })).await;
        bench.wait(20).await;
        let truth = bench.device.truth();
        assert!(near(truth.power_w, full.power_w * percent / 100.0, 0.02), "{}", truth.power_w);
        assert!(truth.elapsed_s > full.elapsed_s, "mining went on");
        assert_eq!(bench.status().await["hash_percent"], format!("{percent:.0}"));
    }
    silent(&bench, json!({ "cmd": "restart_btminer" })).await;
    assert_eq!(bench.status().await["hash_percent"], "0");
    bench.wait(400).await;
    assert!(near(bench.device.truth().power_w, full.power_w, 0.02));
}

#[tokio::test(start_paused = true)]
async fn a_reboot_makes_the_device_unreachable_for_a_while() {
    let bench = Bench::ordinary().await;
    let before = bench.device.truth();
    ok(&bench, json!({ "cmd": "reboot", "respbefore": "true" })).await;
    bench.wait(2).await;
    assert_eq!(bench.cx.net.tcp(bench.at).await.unwrap_err().fact("refused"), Some("true"));
    assert!(!bench.device.truth().up && bench.device.truth().power_w == 0.0);
    bench.wait(60).await;
    let summary = bench.summary().await;
    assert!(number(&summary, "Uptime") < 10.0 && before.uptime_s > 1_000);
    assert!(bench.device.truth().ramping);
    silent(&bench, json!({ "cmd": "reboot" })).await;
    assert_eq!(bench.device.executed()["reboot"], 2);
}

#[tokio::test(start_paused = true)]
async fn pools_need_all_nine_parameters() {
    let bench = Bench::ordinary().await;
    let mut nine = json!({ "cmd": "update_pools" });
    for n in 1..=3 {
        for (part, value) in
            [("pool", format!("stratum+tcp://new{n}.example:3333")), ("worker", "site.w".into())]
        {
            nine[format!("{part}{n}")] = json!(if n == 3 { String::new() } else { value });
        }
        nine[format!("passwd{n}")] = json!("x");
    }
    for missing in ["pool3", "worker2", "passwd1"] {
        let mut eight = nine.clone();
        eight.as_object_mut().unwrap().remove(missing);
        let reply = bench.order(eight).await.unwrap();
        assert_eq!((code(&reply), &reply["Msg"]), (132, &json!("API parse pools param error")));
    }
    let before = bench.device.truth().pools;
    ok(&bench, nine).await;
    let truth = bench.device.truth();
    assert_ne!(truth.pools, before);
    assert_eq!(truth.pools[0].url, "stratum+tcp://new1.example:3333");
    let pools = bench.read("pools").await;
    assert_eq!(pools["POOLS"].as_array().unwrap().len(), 2, "an empty slot is not listed");
    assert_eq!(pools["POOLS"][1]["URL"], "stratum+tcp://new2.example:3333");
    assert!(truth.mining);
}

#[tokio::test(start_paused = true)]
async fn led_and_host_name() {
    let bench = Bench::ordinary().await;
    for color in ["red", "green"] {
        ok(&bench, json!({ "cmd": "set_led", "color": color, "period": 200, "duration": 100, "start": 0 }))
            .await;
        assert_eq!(
            (bench.device.truth().led, &bench.device.truth().settings["led"][..]),
            (Led::Locate, color)
        );
        assert_ne!(bench.read("get_miner_info").await["Msg"]["ledstat"], "auto");
    }
    refused(
        &bench,
        json!({ "cmd": "set_led", "color": "red", "period": "200", "duration": 100, "start": 0 }),
    )
    .await;
    refused(&bench, json!({ "cmd": "set_led", "color": "blue", "period": 200, "duration": 100, "start": 0 }))
        .await;
    ok(&bench, json!({ "cmd": "set_led", "param": "auto" })).await;
    assert_eq!(bench.device.truth().led, Led::Auto);
    ok(&bench, json!({ "cmd": "set_hostname", "hostname": "rack7-12" })).await;
    assert_eq!(bench.read("get_miner_info").await["Msg"]["hostname"], "rack7-12");
    refused(&bench, json!({ "cmd": "set_hostname" })).await;
}

#[tokio::test(start_paused = true)]
async fn small_settings() {
    let bench = Bench::ordinary().await;
    for (command, name, value) in [
        (json!({ "cmd": "adjust_upfreq_speed", "upfreq_speed": "5" }), "upfreq_speed", "5"),
        (json!({ "cmd": "adjust_upfreq_speed", "upfreq_speed": 9 }), "upfreq_speed", "9"),
        (json!({ "cmd": "enable_btminer_fast_boot" }), "btminer_fast_boot", "enable"),
        (json!({ "cmd": "disable_btminer_fast_boot" }), "btminer_fast_boot", "disable"),
        (json!({ "cmd": "set_temp_offset", "temp_offset": -5 }), "temp_offset", "-5"),
        (json!({ "cmd": "set_poweroff_cool", "poweroff_cool": "1" }), "poweroff_cool", "1"),
        (json!({ "cmd": "set_poweroff_cool", "poweroff_cool": 0 }), "poweroff_cool", "0"),
        (json!({ "cmd": "set_fan_zero_speed", "fan_zero_speed": "1" }), "fan_zero_speed", "1"),
        (
            json!({ "cmd": "set_zone", "timezone": "CST6CDT", "zonename": "America/Chicago" }),
            "timezone",
            "CST6CDT",
        ),
        (json!({ "cmd": "disable_web_pools" }), "web_pools", "disable"),
        (json!({ "cmd": "enable_web_pools" }), "web_pools", "enable"),
        (json!({ "cmd": "set_target_freq", "percent": "-10" }), "target_freq", "-10"),
    ] {
        ok(&bench, command.clone()).await;
        assert_eq!(bench.device.truth().settings[name], value, "{command}");
        bench.wait(31 * 60).await;
    }
    assert!(near(bench.device.truth().frequency_mhz, 0.9 * bench.device.model().frequency_mhz, 1e-6));
    for bad in [
        json!({ "cmd": "adjust_upfreq_speed", "upfreq_speed": "10" }),
        json!({ "cmd": "set_temp_offset", "temp_offset": "-5" }),
        json!({ "cmd": "set_temp_offset", "temp_offset": -31 }),
        json!({ "cmd": "set_poweroff_cool", "poweroff_cool": "2" }),
        json!({ "cmd": "set_zone", "timezone": "CST6CDT" }),
        json!({ "cmd": "set_target_freq", "percent": "101" }),
    ] {
        refused(&bench, bad).await;
    }
    // The speed of the frequency ramp and fast boot exclude each other.
    ok(&bench, json!({ "cmd": "enable_btminer_fast_boot" })).await;
    refused(&bench, json!({ "cmd": "adjust_upfreq_speed", "upfreq_speed": "5" })).await;
}

#[tokio::test(start_paused = true)]
async fn pre_power_on_is_polled_until_it_is_complete() {
    let bench = Bench::ordinary().await;
    ok(&bench, json!({ "cmd": "power_off", "respbefore": "true" })).await;
    let session = bench.login("admin").await;
    let first = bench.write(&session, json!({ "cmd": "pre_power_on" })).await.unwrap();
    assert_eq!((code(&first), &first["Msg"]["complete"]), (131, &json!("false")));
    bench.wait(25).await;
    let ask = json!({ "cmd": "pre_power_on", "complete": "false", "msg": "wait for adjust temp" });
    let last = bench.write(&session, ask).await.unwrap();
    assert_eq!(last["Msg"], json!({ "complete": "true", "msg": "adjust complete" }));
    refused(&bench, json!({ "cmd": "pre_power_on", "complete": "false", "msg": "now" })).await;
}

#[tokio::test(start_paused = true)]
async fn a_static_network_moves_the_device() {
    let bench = Bench::ordinary().await;
    ok(&bench, json!({ "cmd": "net_config", "param": "dhcp" })).await;
    refused(&bench, json!({ "cmd": "net_config", "ip": "10.7.1.12", "mask": "255.255.0.0" })).await;
    let new = json!({ "cmd": "net_config", "ip": "10.7.1.12", "mask": "255.255.0.0", "gate": "10.7.0.1",
        "dns": "10.7.0.2 1.1.1.1", "host": "wm1" });
    ok(&bench, new).await;
    bench.wait(1).await;
    assert!(bench.cx.net.tcp(bench.at).await.is_err());
    let moved = bench.device.address(headframe_sim::Role::Rpc).unwrap();
    assert_eq!(moved.ip().to_string(), "10.7.1.12");
    let mut stream = bench.cx.net.tcp(moved).await.unwrap();
    stream.write_all(b"{\"cmd\":\"get_miner_info\"}").await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let text = String::from_utf8(all).unwrap();
    for part in ["\"static\"", "\"10.7.1.12\"", "\"10.7.0.2 1.1.1.1\"", "\"wm1\""] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_factory_reset_disables_the_write_api() {
    let bench = Bench::new(WhatsminerOptions { password: "Rack_07x".into(), ..Default::default() }).await;
    let session = bench.login("Rack_07x").await;
    let done = bench.write(&session, json!({ "cmd": "factory_reset" })).await.unwrap();
    assert_eq!(code(&done), 131);
    let refused = bench.order(json!({ "cmd": "power_on" })).await.unwrap();
    assert_eq!(code(&refused), 45);
    bench.wait(10).await;
    let truth = bench.device.truth();
    assert!(!truth.mining, "without pools nothing is mined");
    assert_eq!(truth.settings["write_enabled"], "false");
    assert_eq!(
        bench.read("get_error_code").await["Msg"]["error_code"][0],
        json!({ "2000": "2025-11-24 16:00:00" })
    );
}

#[tokio::test(start_paused = true)]
async fn a_firmware_image_comes_on_the_same_connection() {
    for command in ["update_firmware", "upgrade_firmware"] {
        let bench = Bench::ordinary().await;
        let session = bench.login("admin").await;
        let mut stream = bench.connect().await;
        stream.write_all(session.packet(json!({ "cmd": command }), Fill::Zero).as_bytes()).await.unwrap();
        let ready = session.answer(&until_nul(&mut stream).await);
        assert_eq!((code(&ready), &ready["Msg"]), (131, &json!("ready")));
        let image = vec![7; 100_000];
        stream.write_all(&100_000u32.to_le_bytes()).await.unwrap();
        assert!(bench.device.executed().is_empty());
        stream.write_all(&image).await.unwrap();
        assert_eq!(code(&session.answer(&until_nul(&mut stream).await)), 131);
        assert_eq!(bench.device.truth().settings["firmware_bytes"], "100000");
        bench.wait(1).await;
        assert!(!bench.device.truth().up, "it reboots");
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_booted_device_answers_with_empty_lists() {
    let half_booted = std::time::Duration::from_secs(45);
    let bench = Bench::new(WhatsminerOptions { half_booted, ..Default::default() }).await;
    assert_eq!(bench.read("pools").await["POOLS"].as_array().unwrap().len(), 3);
    ok(&bench, json!({ "cmd": "power_off", "respbefore": "true" })).await;
    silent(&bench, json!({ "cmd": "reboot" })).await;
    bench.wait(70).await;
    assert_eq!(bench.read("pools").await["POOLS"], json!([]));
    assert_eq!(bench.read("devs").await["DEVS"], json!([]));
    bench.wait(40).await;
    assert_eq!(bench.read("pools").await["POOLS"].as_array().unwrap().len(), 3);
    assert!(bench.device.truth().asleep, "a reboot does not wake it");
}

#[tokio::test]
async fn a_write_over_a_real_socket() {
    let [_, _, a, b] = std::process::id().to_be_bytes();
    // One address and a port of its own, which every system has.
    let port = 20_000 + u16::from_be_bytes([a, b]) % 10_000;
    let builder = FleetBuilder::new().base(Ipv4Addr::LOCALHOST).by_port(port).whatsminers(1);
    let bench = Bench::over(Ctx::system(), builder).await;
    ok(&bench, json!({ "cmd": "set_hostname", "hostname": "real" })).await;
    assert_eq!(bench.read("get_miner_info").await["Msg"]["hostname"], "real");
    silent(&bench, json!({ "cmd": "set_low_power" })).await;
    assert_eq!(bench.summary().await["Power Mode"], "Low");
    bench.device.fault(Fault::Oversized { bytes: 2_000_000 });
    assert_eq!(bench.summary().await["Power Mode"], "Low");
}
