use std::time::Duration;

use headframe_sim::{Replay, V3Options, WhatsminerOptions};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::client::{Key, Rig, code, with};
use crate::client::until_nul;

const MODE: &str = "set.miner.mode";

fn low(key: &Key) -> Value {
    key.signed(MODE, json!("low"))
}

#[tokio::test(start_paused = true)]
async fn account_token_and_time_must_be_right() {
    let rig = Rig::ordinary().await;
    let key = rig.key("super").await;
    let good = low(&key);
    for (name, value) in [
        ("account", json!("admin")),
        ("account", Value::Null),
        ("token", json!("AAAAAAAA")),
        ("token", Value::Null),
        ("ts", json!(key.ts + 1)),
        ("ts", json!(key.ts.to_string())),
        ("ts", Value::Null),
        ("cmd", json!("set.miner.service")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        rig.refused(&bad).await;
    }
    rig.refused(&low(&rig.key("wrong").await)).await;
    assert_eq!(code(&rig.send(&good).await.unwrap()), 0);
    assert_eq!((rig.bench.device.counts()[MODE], rig.executed(MODE)), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_is_refused() {
    for (skew, good, bad) in [(None, 300, 301), (Some(20), 20, 21)] {
        let mut v3 = V3Options::default();
        v3.skew = skew.map_or(v3.skew, Duration::from_secs);
        let rig = Rig::new(with(v3)).await;
        for sign in [-1, 1] {
            let now = rig.key("super").await;
            let at =
                |off: i64| Key { ts: now.ts + sign * off, salt: now.salt.clone(), password: "super".into() };
            rig.refused(&low(&at(bad))).await;
            assert_eq!(code(&rig.send(&low(&at(good))).await.unwrap()), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_switched_off_write_api() {
    let rig = Rig::new(WhatsminerOptions { write_enabled: false, ..WhatsminerOptions::v3() }).await;
    let key = rig.key("super").await;
    rig.refused(&low(&key)).await;
    assert_eq!(rig.info().await["system"]["apiswitch"], "0");
    assert_eq!(rig.setting("write_enabled"), "false");
}

#[tokio::test(start_paused = true)]
async fn a_new_password_brings_a_new_salt() {
    let rig = Rig::ordinary().await;
    let old = rig.key("super").await;
    assert_eq!(rig.setting("salt"), old.salt);
    rig.bench.device.change_password("Rack_07x");
    assert_eq!(rig.setting("super_password"), "Rack_07x");
    rig.refused(&low(&old)).await;
    rig.refused(&low(&Key { password: "Rack_07x".into(), ..old })).await;
    let fresh = rig.key("Rack_07x").await;
    assert_eq!(code(&rig.send(&low(&fresh)).await.unwrap()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_salt_can_have_an_end() {
    let v3 = V3Options { salt_life: Some(Duration::from_secs(3_600)), ..V3Options::default() };
    let rig = Rig::new(with(v3)).await;
    let first = rig.key("super").await;
    rig.bench.wait(3_601).await;
    let now = rig.key("super").await;
    assert_ne!(first.salt, now.salt);
    rig.refused(&low(&Key { ts: now.ts, ..first })).await;
    assert_eq!(code(&rig.send(&low(&now)).await.unwrap()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_comes_again() {
    for (replay, again) in [(Replay::Accepted, 0), (Replay::Refused, -4)] {
        let rig = Rig::new(with(V3Options { replay, ..V3Options::default() })).await;
        let packet = low(&rig.key("super").await);
        assert_eq!(code(&rig.send(&packet).await.unwrap()), 0);
        assert_eq!(rig.bench.device.counts().get("(replayed)"), None);
        assert_eq!(code(&rig.send(&packet).await.unwrap()), again);
        let counts = rig.bench.device.counts();
        assert_eq!((counts[MODE], counts["(replayed)"]), (2, 1));
        assert_eq!(rig.executed(MODE), if again == 0 { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn writes_of_which_only_the_name_is_known() {
    let rig = Rig::ordinary().await;
    let key = rig.key("super").await;
    for name in [
        "set.system.factory_reset",
        "set.system.hostname",
        "set.miner.power_percent",
        "set.user.change_passwd",
        "set.fan.zero_speed",
        "set.shell.debug",
    ] {
        assert_eq!(rig.refused(&key.signed(name, json!("x"))).await, "unknown param", "{name}");
    }
    assert_eq!(rig.refused(&key.signed("set.miner.fly", Value::Null)).await, "invalid command");
    for (name, param) in [
        ("set.system.reboot", json!("now")),
        ("set.miner.service", json!("pause")),
        ("set.miner.service", Value::Null),
        (MODE, json!("sleep")),
        (MODE, json!(0)),
        ("set.miner.pools", json!("no base64!")),
        ("set.miner.pools", Value::Null),
    ] {
        rig.refused(&key.signed(name, param)).await;
    }
    assert!(rig.bench.device.truth().mining);
}

#[tokio::test(start_paused = true)]
async fn a_partner_unlocks_with_the_fixed_word() {
    let (id, secret) = ("acme", "a made-up secret");
    let options = WhatsminerOptions {
        write_enabled: false,
        password: "another".into(),
        unlock: Some((id.into(), secret.into())),
        ..WhatsminerOptions::v3()
    };
    let rig = Rig::new(options).await;
    for (word, expected) in [("another", 135), ("super", 135), ("admin", 131)] {
        let mut stream = rig.bench.connect().await;
        let ask = json!({ "command": "open_write_api", "client": id, "enable": true });
        stream.write_all(ask.to_string().as_bytes()).await.unwrap();
        let challenge: Value = serde_json::from_str(&until_nul(&mut stream).await).unwrap();
        let part = |name: &str| challenge["Msg"][name].as_str().unwrap().to_owned();
        let crypted = md5crypt::md5crypt(word.as_bytes(), part("salt").as_bytes());
        let hash = String::from_utf8(crypted).unwrap().split_off("$1$xxxxxxxx$".len());
        let digest = Md5::digest(format!("{}{}{secret}{hash}", part("time"), part("newsalt")));
        let token: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        stream.write_all(json!({ "token": token }).to_string().as_bytes()).await.unwrap();
        let result: Value = serde_json::from_str(&until_nul(&mut stream).await).unwrap();
        assert_eq!(crate::client::code(&result), expected, "{word}");
    }
    rig.ok(MODE, json!("low")).await;
}
