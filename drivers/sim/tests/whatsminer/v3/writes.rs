use headframe_core::io::Ctx;
use headframe_sim::{FleetBuilder, Led, PoolsParam, Role, V3Options, WhatsminerOptions};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::client::{Rig, code, framed, next_frame, with};
use crate::client::{Bench, Fill, near, number};

#[tokio::test(start_paused = true)]
async fn the_mining_service_stops_and_starts() {
    let rig = Rig::ordinary().await;
    for (stop, start) in [("stop", "start"), ("disable", "enable")] {
        rig.ok("set.miner.service", json!(stop)).await;
        rig.bench.wait(10).await;
        let truth = rig.bench.device.truth();
        assert!(truth.asleep && !truth.mining && truth.up && truth.power_w < 100.0);
        assert_eq!(rig.info().await["miner"]["working"], "false");
        assert_eq!(rig.bench.status().await["mineroff"], "true");
        rig.ok("set.miner.service", json!(start)).await;
        assert_eq!(rig.info().await["miner"]["working"], "true");
        rig.bench.wait(60).await;
        assert!(rig.bench.device.truth().mining && rig.bench.device.truth().ramping);
        assert_eq!(rig.status("summary").await["up-freq-finish"], 0);
    }
    rig.bench.wait(400).await;
    rig.ok("set.miner.service", json!("restart")).await;
    assert!(rig.bench.device.truth().elapsed_s <= 1);
    assert_eq!(rig.executed("set.miner.service"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_is_silent_and_full() {
    let rig = Rig::ordinary().await;
    assert_eq!(rig.order("set.system.reboot", Value::Null).await, None);
    assert_eq!(rig.executed("set.system.reboot"), 1);
    rig.bench.wait(2).await;
    assert!(rig.bench.cx.net.tcp(rig.at).await.is_err());
    rig.bench.wait(60).await;
    assert!(number(&rig.status("summary").await, "elapsed") < 10.0);

    let talkative = Rig::new(with(V3Options { silent: Vec::new(), ..V3Options::default() })).await;
    talkative.ok("set.system.reboot", Value::Null).await;
    let v3 = V3Options { silent: vec!["set.miner.mode".into()], ..V3Options::default() };
    let silent = Rig::new(with(v3)).await;
    assert_eq!(silent.order("set.miner.mode", json!("low")).await, None);
    assert_eq!(silent.info().await["power"]["mode"], "0");
}

#[tokio::test(start_paused = true)]
async fn the_light() {
    let rig = Rig::ordinary().await;
    let blink = |color: &str| json!({ "color": color, "period": 200, "duration": 100, "start": 0 });
    for (param, setting) in [
        (json!([blink("red")]), "red"),
        (json!([blink("green"), blink("red")]), "green+red"),
        (json!("auto"), "auto"),
    ] {
        rig.ok("set.system.led", param).await;
        assert_eq!(rig.setting("led"), setting);
        let auto = setting == "auto";
        assert_eq!(rig.bench.device.truth().led == Led::Auto, auto);
        assert_eq!(rig.info().await["system"]["ledstatus"] == "auto", auto);
        rig.bench.wait(1).await;
    }
    let key = rig.key("super").await;
    for bad in
        [json!("on"), json!([]), json!([blink("blue")]), json!([{ "color": "red" }]), json!(blink("red"))]
    {
        rig.refused(&key.signed("set.system.led", bad)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_power_limit_in_watts() {
    let rig = Rig::ordinary().await;
    for watts in [json!(3_000), json!(2_500.0)] {
        rig.ok("set.miner.power_limit", watts.clone()).await;
        assert!(near(number(&rig.status("summary").await, "power-limit"), watts.as_f64().unwrap(), 1e-9));
        rig.bench.wait(400).await;
        assert!(rig.bench.device.truth().power_w <= watts.as_f64().unwrap() * 1.01);
    }
    assert_eq!(
        (rig.setting("power_limit"), rig.bench.status().await["power_limit_set"].clone()),
        ("2500".into(), json!("2500"))
    );
    let key = rig.key("super").await;
    for bad in [json!(3_400), json!(99_999), json!(0), json!(-1), json!("3000"), Value::Null] {
        rig.refused(&key.signed("set.miner.power_limit", bad)).await;
    }
    assert_eq!(rig.bench.device.truth().power_limit_w, 2_500.0);
}

fn pool(n: u8) -> Value {
    json!({ "pool": format!("stratum+tcp://new{n}.example:3333"), "worker": format!("w{n}"), "passwd": "p" })
}

#[tokio::test(start_paused = true)]
async fn pools_come_encrypted() {
    let rig = Rig::ordinary().await;
    let key = rig.key("super").await;
    let reply = rig.send(&key.pools(&json!([pool(1), pool(2)]))).await.unwrap();
    assert_eq!((code(&reply), rig.executed("set.miner.pools")), (0, 1));
    let pools = rig.bench.device.truth().pools;
    assert_eq!((pools.len(), pools[1].user.as_str(), pools[1].password.as_str()), (2, "w2", "p"));
    let shown = rig.status("pools").await;
    assert_eq!(
        (&shown[1]["url"], shown.as_array().unwrap().len()),
        (&json!("stratum+tcp://new2.example:3333"), 2)
    );
    // The plain list, too many, none, no list, a member missing, another key.
    let plain = key.signed("set.miner.pools", json!([pool(1)]));
    rig.refused(&plain).await;
    for bad in [
        json!([pool(1), pool(2), pool(3), pool(4)]),
        json!([]),
        pool(1),
        json!([{ "pool": "stratum+tcp://a:1", "worker": "w" }]),
        json!([{ "pool": "", "worker": "w", "passwd": "" }]),
    ] {
        rig.refused(&key.pools(&bad)).await;
    }
    let later = super::client::Key { ts: key.ts + 1, salt: key.salt.clone(), password: "super".into() };
    let mut mixed = key.pools(&json!([pool(3)]));
    let data = mixed["param"].take();
    rig.refused(&later.signed("set.miner.pools", data)).await;
    assert_eq!(rig.bench.device.truth().pools, pools);

    let lenient = Rig::new(with(V3Options { pools: PoolsParam::Any, ..V3Options::default() })).await;
    lenient.ok("set.miner.pools", json!([pool(1)])).await;
    assert_eq!(lenient.bench.device.truth().pools.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn reports_are_pushed_on_the_same_connection() {
    let rig = Rig::ordinary().await;
    let key = rig.key("super").await;
    rig.refused(&key.signed("set.miner.report", json!({ "gap": 0 }))).await;
    rig.refused(&key.signed("set.miner.report", json!(5))).await;
    let mut stream = rig.connect().await;
    let order = key.signed("set.miner.report", json!({ "gap": 5 }));
    stream.write_all(&framed(order.to_string().as_bytes())).await.unwrap();
    assert_eq!(next_frame(&mut stream).await.unwrap()["msg"], "ok");
    for n in 1..=3 {
        let report = next_frame(&mut stream).await.unwrap();
        assert_eq!((code(&report), &report["desc"]), (0, &json!("get.miner.report")));
        assert_eq!(report["when"], key.ts + 5 * n);
        assert!(number(&report["msg"]["summary"], "hash-realtime") > 1.0);
    }
    assert_eq!(rig.executed("set.miner.report"), 1);
    assert_eq!(rig.bench.device.open_connections(), 1);
    drop(stream);
    rig.bench.wait(6).await;
    assert_eq!(rig.bench.device.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_firmware_without_the_mode_leaves_it_to_port_4028() {
    let v3 = V3Options { mode: false, v2_writes: true, ..V3Options::default() };
    let options = WhatsminerOptions { password: "other".into(), ..with(v3) };
    let rig = Rig::new(options).await;
    let key = rig.key("super").await;
    rig.refused(&key.signed("set.miner.mode", json!("low"))).await;
    // The accounts have passwords of their own.
    let session = rig.bench.login("other").await;
    assert_eq!(rig.bench.write(&session, json!({ "cmd": "set_low_power" })).await, None);
    assert_eq!((rig.executed("set_low_power"), &rig.info().await["power"]["mode"]), (1, &json!("0")));
}

#[tokio::test(start_paused = true)]
async fn port_4028_refuses_writes() {
    let rig = Rig::ordinary().await;
    let session = rig.bench.login("admin").await;
    for command in ["power_off", "set_low_power", "reboot"] {
        let refused = rig.bench.write(&session, json!({ "cmd": command })).await.unwrap();
        assert_eq!(crate::client::code(&refused), 45);
    }
    let text = rig.bench.text(&session.packet(json!({ "cmd": "fly" }), Fill::Zero)).await;
    assert_eq!(crate::client::code(&session.answer(&text)), 14);
    assert!(rig.bench.device.truth().mining && rig.bench.device.executed().is_empty());
    assert_eq!(rig.bench.device.counts()["power_off"], 1);
}

#[tokio::test]
async fn writes_over_a_real_socket() {
    let [_, _, a, b] = std::process::id().to_be_bytes();
    let port = 11_000 + u16::from_be_bytes([a, b]) % 2_900;
    let builder = FleetBuilder::new()
        .base(std::net::Ipv4Addr::LOCALHOST)
        .by_port(port)
        .whatsminer(WhatsminerOptions::v3());
    let bench = Bench::over(Ctx::system(), builder).await;
    let at = bench.device.address(Role::RpcV3).unwrap();
    let rig = Rig { bench, at };
    rig.ok("set.miner.mode", json!("low")).await;
    assert_eq!(rig.info().await["power"]["mode"], "0");
    assert_eq!(rig.bench.summary().await["Power Mode"], "Low");
}
