use headframe_sim::{ErrorForm, Fault, Padding, WhatsminerOptions};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::client::{Bench, Fill, Session, code, until_nul};

fn on() -> Value {
    json!({ "cmd": "power_on" })
}

#[tokio::test(start_paused = true)]
async fn a_token_opens_the_write_api() {
    let bench = Bench::ordinary().await;
    let reply = bench.read("get_token").await;
    assert_eq!((code(&reply), &reply["STATUS"]), (134, &json!("S")));
    let session = Session::new(&reply["Msg"], "admin");
    let done = bench.write(&session, on()).await.unwrap();
    assert_eq!((code(&done), &done["Msg"], &done["STATUS"]), (131, &json!("API command OK"), &json!("S")));
    // One token serves many commands.
    assert_eq!(code(&bench.write(&session, on()).await.unwrap()), 131);
    assert_eq!(bench.device.counts()["power_on"], 2);
    assert_eq!(bench.device.executed()["power_on"], 2);
    // `command` instead of `cmd`, in any order.
    assert_eq!(code(&bench.write(&session, json!({ "command": "power_on" })).await.unwrap()), 131);
}

#[tokio::test(start_paused = true)]
async fn the_token_code_can_be_the_ordinary_one() {
    let bench = Bench::new(WhatsminerOptions { token_code: 131, ..Default::default() }).await;
    assert_eq!(code(&bench.read("get_token").await), 131);
}

#[tokio::test(start_paused = true)]
async fn the_seventeenth_token_is_refused_without_status() {
    let bench = Bench::ordinary().await;
    let first = bench.login("admin").await;
    for _ in 1..16 {
        assert_eq!(code(&bench.read("get_token").await), 134);
    }
    let refused = bench.read("get_token").await;
    assert_eq!(refused, json!({ "Code": 136 }));
    // Those given out stay good, and new ones come when they expire.
    assert_eq!(code(&bench.write(&first, on()).await.unwrap()), 131);
    bench.wait(30 * 60 + 1).await;
    assert_eq!(code(&bench.read("get_token").await), 134);
    assert_eq!(bench.device.counts()["get_token"], 18);
}

#[tokio::test(start_paused = true)]
async fn a_token_lives_for_half_an_hour() {
    let bench = Bench::ordinary().await;
    let session = bench.login("admin").await;
    bench.wait(29 * 60).await;
    assert_eq!(code(&bench.write(&session, on()).await.unwrap()), 131);
    bench.wait(60).await;
    let late = bench.write(&session, on()).await.unwrap();
    assert_eq!((code(&late), &late["STATUS"]), (135, &json!("E")));
    assert_eq!(bench.device.executed()["power_on"], 1);
    assert_eq!(bench.device.counts()["power_on"], 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_do_not_outlive_a_reboot() {
    let bench = Bench::ordinary().await;
    let session = bench.login("admin").await;
    bench.device.fault(Fault::Reboot { down: std::time::Duration::from_secs(20) });
    bench.wait(21).await;
    assert_eq!(code(&bench.write(&session, on()).await.unwrap()), 135);
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_tokens_and_packets() {
    let bench = Bench::ordinary().await;
    let good = bench.login("admin").await;
    let wrong = bench.login("other").await;
    let text = bench.text(&wrong.packet(on(), Fill::Zero)).await;
    let reply: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code(&reply), &reply["Msg"]), (23, &json!("enc json load err")));
    let made_up = bench.write(&good, json!({ "cmd": "power_on", "token": "made.up" })).await.unwrap();
    assert_eq!(code(&made_up), 135);
    let unknown = bench.write(&good, json!({ "cmd": "fly" })).await.unwrap();
    assert_eq!(code(&unknown), 14);
    assert_eq!(code(&bench.json(&json!({ "enc": 1, "data": "?" })).await), 137);
    assert_eq!(code(&bench.json(&json!({ "enc": 1, "data": "AAAA" })).await), 23);
    assert_eq!(code(&bench.json(&json!({ "enc": 1 })).await), 23);
    assert!(bench.device.executed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_write_api_must_be_enabled() {
    let bench = Bench::new(WhatsminerOptions { write_enabled: false, ..Default::default() }).await;
    let refused = bench.order(json!({ "cmd": "power_off", "respbefore": "true" })).await.unwrap();
    assert_eq!((code(&refused), &refused["Msg"]), (45, &json!("can't access write cmd")));
    assert!(bench.device.truth().mining && bench.device.executed().is_empty());
    assert_eq!(bench.device.counts()["power_off"], 1);
}

#[tokio::test(start_paused = true)]
async fn both_paddings_are_taken_and_given() {
    for (padding, end) in [(Padding::Zero, 0u8), (Padding::Pkcs7, 16)] {
        let bench = Bench::new(WhatsminerOptions { padding, ..Default::default() }).await;
        let session = bench.login("admin").await;
        for fill in [Fill::Zero, Fill::Pkcs7] {
            let text = bench.text(&session.packet(on(), fill)).await;
            let packet: Value = serde_json::from_str(&text).unwrap();
            let (message, rest) = session.decrypt(packet["enc"].as_str().unwrap());
            assert_eq!(code(&message), 131);
            assert!(
                rest.len() <= 16
                    && rest.iter().all(|b| if end == 0 { *b == 0 } else { *b as usize == rest.len() })
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_come_in_three_forms() {
    for (errors, begin) in [
        (ErrorForm::Plain, "{\"Code\""),
        (ErrorForm::Encrypted, "{\"enc\""),
        (ErrorForm::Double, "\"{\\\"enc\\\""),
    ] {
        let bench = Bench::new(WhatsminerOptions { errors, ..Default::default() }).await;
        let session = bench.login("admin").await;
        let packet = session.packet(json!({ "cmd": "set_power_pct", "percent": "101" }), Fill::Zero);
        let text = bench.text(&packet).await;
        assert!(text.starts_with(begin), "{text}");
        assert_eq!(code(&session.answer(&text)), 132);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_password_changes_the_key_at_once() {
    let bench = Bench::new(WhatsminerOptions { password: "Rack_07x".into(), ..Default::default() }).await;
    let session = bench.login("Rack_07x").await;
    for (old, new) in [("wrong", "abc"), ("Rack_07x", ""), ("Rack_07x", "ninechars"), ("Rack_07x", "no-dash")]
    {
        let refused =
            bench.write(&session, json!({ "cmd": "update_pwd", "old": old, "new": new })).await.unwrap();
        assert_eq!(code(&refused), 132, "{old} {new}");
    }
    let done =
        bench.write(&session, json!({ "cmd": "update_pwd", "old": "Rack_07x", "new": "site_1" })).await;
    assert_eq!(code(&done.unwrap()), 131);
    assert_eq!(bench.device.truth().settings["password"], "site_1");
    let stale: Value = serde_json::from_str(&bench.text(&session.packet(on(), Fill::Zero)).await).unwrap();
    assert_eq!((code(&stale), &stale["Msg"]), (23, &json!("enc json load err")));
    let fresh = bench.login("site_1").await;
    assert_eq!(code(&bench.write(&fresh, on()).await.unwrap()), 131);
}

#[tokio::test(start_paused = true)]
async fn a_partner_switches_the_write_api_on() {
    let (id, secret) = ("acme", "a made-up secret");
    let options = WhatsminerOptions {
        write_enabled: false,
        unlock: Some((id.into(), secret.into())),
        ..Default::default()
    };
    let bench = Bench::new(options).await;
    let ask = |client: &str| json!({ "command": "open_write_api", "client": client, "enable": true });
    assert_eq!(code(&bench.json(&ask("other")).await), 45);
    for (secret, expected) in [("wrong", 135), (secret, 131)] {
        let mut stream = bench.connect().await;
        stream.write_all(ask(id).to_string().as_bytes()).await.unwrap();
        let challenge: Value = serde_json::from_str(&until_nul(&mut stream).await).unwrap();
        let part = |name: &str| challenge["Msg"][name].as_str().unwrap().to_owned();
        let crypted = md5crypt::md5crypt(b"admin", part("salt").as_bytes());
        let hash = String::from_utf8(crypted).unwrap().split_off("$1$xxxxxxxx$".len());
        let digest = Md5::digest(format!("{}{}{secret}{hash}", part("time"), part("newsalt")));
        let token: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        stream.write_all(json!({ "token": token }).to_string().as_bytes()).await.unwrap();
        let result: Value = serde_json::from_str(&until_nul(&mut stream).await).unwrap();
        assert_eq!(code(&result), expected);
    }
    assert_eq!(code(&bench.order(on()).await.unwrap()), 131);
    let ordinary = Bench::ordinary().await;
    assert_eq!(code(&ordinary.json(&ask(id)).await), 14, "most firmwares do not know it");
}
