use headframe_sim::{Fault, Generation, Role, Upgrade, WhatsminerOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Bench, Fill, code, until_nul};

const VERSION: &str = "20251209.16.Rel2";

fn to(generation: Generation) -> WhatsminerOptions {
    let upgrade = Upgrade { firmware: VERSION.into(), generation, ..Upgrade::default() };
    WhatsminerOptions { upgrade, ..WhatsminerOptions::v2() }
}

/// Announces `size` bytes, sends `image` and gives the device's last word, if it has one.
async fn upload(bench: &Bench, size: u32, image: &[u8]) -> Option<Value> {
    let session = bench.login("admin").await;
    let mut stream = bench.connect().await;
    let order = session.packet(json!({ "cmd": "update_firmware" }), Fill::Zero);
    stream.write_all(order.as_bytes()).await.unwrap();
    let ready = session.answer(&until_nul(&mut stream).await);
    assert_eq!((code(&ready), &ready["Msg"]), (131, &json!("ready")));
    stream.write_all(&size.to_le_bytes()).await.unwrap();
    for part in image.chunks(10_000) {
        stream.write_all(part).await.unwrap();
    }
    let mut text = Vec::new();
    if (image.len() as u64) < u64::from(size) {
        stream.shutdown().await.unwrap();
    }
    let _ended = stream.read_to_end(&mut text).await;
    let text = String::from_utf8(text).unwrap();
    (!text.is_empty()).then(|| session.answer(text.trim_end_matches('\0')))
}

async fn version(bench: &Bench) -> Value {
    bench.read("get_version").await["Msg"]["fw_ver"].clone()
}

#[tokio::test(start_paused = true)]
async fn an_upload_changes_the_version_after_a_reboot() {
    let bench = Bench::new(to(Generation::V2)).await;
    assert_eq!(code(&upload(&bench, 100_000, &vec![7; 100_000]).await.unwrap()), 131);
    assert_eq!(bench.device.truth().settings["firmware_bytes"], "100000");
    bench.wait(1).await;
    assert!(!bench.device.truth().up);
    bench.wait(65).await;
    assert_eq!(
        (version(&bench).await, bench.device.truth().settings["firmware"].as_str()),
        (json!(VERSION), VERSION)
    );
    assert_eq!(bench.read("get_version").await["Msg"]["api_ver"], "2.0.5");
    assert_eq!(bench.device.executed()["update_firmware"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_image_of_another_length_changes_nothing() {
    let bench = Bench::new(to(Generation::V3)).await;
    for (size, bytes) in [(0, 0), (u32::MAX, 10), (100, 101), (20_000, 40_000)] {
        let refused = upload(&bench, size, &vec![7; bytes]).await.map(|reply| code(&reply));
        // A client whose bytes are left unread may lose the reply.
        assert!(refused.is_none_or(|code| code == 132), "{size} {bytes}");
    }
    for bytes in [0, 1, 29_999] {
        assert_eq!(upload(&bench, 30_000, &vec![7; bytes]).await, None, "cut after {bytes}");
    }
    bench.wait(70).await;
    assert_eq!(version(&bench).await, "20230911.12.REL");
    assert!(bench.device.executed().is_empty() && bench.device.truth().up);
    assert_eq!(bench.device.truth().settings["firmware_bytes"], "0");
    assert_eq!(bench.device.counts()["update_firmware"], 7);
}

#[tokio::test(start_paused = true)]
async fn an_upload_can_bring_api_v3() {
    let bench = Bench::new(to(Generation::V3)).await;
    let v3 = bench.device.address(Role::RpcV3).unwrap();
    assert_eq!(bench.cx.net.tcp(v3).await.unwrap_err().fact("refused"), Some("true"));
    upload(&bench, 5, b"image").await.unwrap();
    bench.wait(70).await;
    assert_eq!(version(&bench).await, VERSION);
    let mut stream = bench.cx.net.tcp(v3).await.unwrap();
    stream.write_all(b"\x1a\0\0\0{\"cmd\":\"get.device.info\" }").await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let info: Value = serde_json::from_slice(&all[4..]).unwrap();
    assert_eq!(info["msg"]["system"]["fwversion"], VERSION);
    let refused = bench.order(json!({ "cmd": "power_off" })).await.unwrap();
    assert_eq!(code(&refused), 45, "the old way to write is closed");
}

#[tokio::test(start_paused = true)]
async fn an_upload_can_lock_the_write_api() {
    let mut options = to(Generation::V2);
    options.upgrade.locks_writes = true;
    let bench = Bench::new(options).await;
    upload(&bench, 5, b"image").await.unwrap();
    assert_eq!(bench.device.truth().settings["write_enabled"], "true");
    bench.wait(70).await;
    assert_eq!(bench.device.truth().settings["write_enabled"], "false");
}

#[tokio::test(start_paused = true)]
async fn mute_installs_and_ignored_uploads_do_not() {
    let bench = Bench::new(to(Generation::V2)).await;
    bench.device.fault(Fault::IgnoreWrites);
    assert_eq!(code(&upload(&bench, 5, b"image").await.unwrap()), 131);
    bench.wait(70).await;
    assert_eq!(version(&bench).await, "20230911.12.REL");
    bench.device.clear();
    bench.device.fault_on("update_firmware", Fault::Mute);
    assert_eq!(upload(&bench, 5, b"image").await, None);
    bench.wait(70).await;
    assert_eq!(version(&bench).await, VERSION);
    assert_eq!(bench.device.executed()["update_firmware"], 1);
}
