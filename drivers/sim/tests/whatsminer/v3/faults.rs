use std::time::Duration;

use headframe_core::{Error, ErrorKind};
use headframe_sim::{Fault, Lie, WhatsminerOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Rig, code, framed, next_frame};
use crate::client::{near, number};

const SUMMARY: &[u8] = br#"{"cmd":"get.miner.status","param":"summary"}"#;
const SERVICE: &str = "set.miner.service";

/// What arrives within so many seconds, and whether the device closed.
async fn within(rig: &Rig, request: &[u8], seconds: u64) -> (Vec<u8>, bool) {
    let mut stream = rig.connect().await;
    stream.write_all(request).await.unwrap();
    let mut all = Vec::new();
    let cx = rig.bench.cx.deadline_in(Duration::from_secs(seconds));
    let read = cx.within("test.read", async {
        stream
            .read_to_end(&mut all)
            .await
            .map_err(|e| Error::new(ErrorKind::Closed, "test.read", e.to_string()))
    });
    let ended = read.await.is_ok();
    (all, ended)
}

#[tokio::test(start_paused = true)]
async fn junk_is_closed_without_a_word() {
    let rig = Rig::ordinary().await;
    for junk in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\0",
        b"\x01\0\x01\0{}",
        b"\xff\xff\xff\xff{\"cmd\":\"get.device.info\"}",
        &framed(b"no json"),
        &framed(b"[1]"),
        &framed(b"\xff\xfe"),
    ] {
        assert_eq!(within(&rig, junk, 5).await, (Vec::new(), true), "{junk:?}");
    }
    assert_eq!(rig.bench.device.counts()["(invalid)"], 7);
    // A frame that is never finished is left after a while.
    for short in [&b"\x28\0"[..], b"\x28\0\0\0{\"cmd\":"] {
        assert!(!within(&rig, short, 30).await.1);
        assert_eq!(within(&rig, short, 90).await, (Vec::new(), true));
    }
    assert_eq!(code(&rig.ask("get.device.info", Value::Null).await), 0);
}

#[tokio::test(start_paused = true)]
async fn a_frame_in_pieces_and_connections_that_stay_open() {
    let rig = Rig::new(WhatsminerOptions { keep_open: true, ..WhatsminerOptions::v3() }).await;
    let mut stream = rig.connect().await;
    for _ in 0..3 {
        for piece in framed(SUMMARY).chunks(7) {
            stream.write_all(piece).await.unwrap();
            rig.bench.wait(1).await;
        }
        assert_eq!(code(&next_frame(&mut stream).await.unwrap()), 0);
    }
    assert_eq!((rig.bench.device.connections(), rig.bench.device.requests()), (1, 3));
    let ordinary = Rig::ordinary().await;
    let both = [framed(SUMMARY), framed(SUMMARY)].concat();
    let once = ordinary.raw(&both).await;
    assert_eq!(once.len(), 4 + u32::from_le_bytes(once[..4].try_into().unwrap()) as usize);
    assert_eq!(ordinary.bench.device.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn hang_cut_and_drip() {
    let rig = Rig::ordinary().await;
    let whole = rig.raw(&framed(SUMMARY)).await;
    let key = rig.key("super").await;
    let stop = framed(key.signed(SERVICE, json!("stop")).to_string().as_bytes());
    rig.bench.device.fault(Fault::Hang);
    for request in [&framed(SUMMARY)[..], &stop, &framed(b"no json")] {
        assert_eq!(within(&rig, request, 600).await, (Vec::new(), false));
    }
    assert!(rig.bench.device.truth().mining && rig.bench.device.executed().is_empty());
    rig.bench.device.clear();
    for after in [0, 2, 4, 100] {
        rig.bench.device.fault(Fault::Cut { after });
        assert_eq!(rig.raw(&framed(SUMMARY)).await.len(), after);
    }
    rig.bench.device.clear();
    rig.bench.device.fault_on(SERVICE, Fault::Cut { after: 6 });
    let fresh = rig.key("super").await.signed(SERVICE, json!("stop"));
    assert_eq!(rig.raw(&framed(fresh.to_string().as_bytes())).await.len(), 6);
    assert!(rig.bench.device.truth().asleep, "a cut reply does not undo the write");
    rig.bench.device.clear();
    rig.bench.device.fault(Fault::Drip { bytes: 3, every: Duration::from_secs(1) });
    let started = rig.bench.cx.clock.mono();
    let (got, ended) = within(&rig, &framed(SUMMARY), 3_600).await;
    assert!(ended && got.len() > whole.len() / 2);
    assert!(rig.bench.cx.clock.mono().since(started) >= Duration::from_secs(got.len() as u64 / 3));
}

#[tokio::test(start_paused = true)]
async fn garbage_halves_giants_and_floods() {
    let rig = Rig::ordinary().await;
    let device = &rig.bench.device;
    device.fault(Fault::Garbage);
    assert!(String::from_utf8(rig.raw(&framed(SUMMARY)).await[4..].to_vec()).is_err());
    device.clear();
    device.fault(Fault::HalfJson);
    let half = rig.raw(&framed(SUMMARY)).await;
    assert!(half[4] == b'{' && serde_json::from_slice::<Value>(&half[4..]).is_err());
    device.clear();
    device.fault(Fault::Oversized { bytes: 2_000_000 });
    let big = rig.raw(&framed(SUMMARY)).await;
    assert!(big.len() >= 2_000_000 && serde_json::from_slice::<Value>(&big[4..]).is_ok());
    device.clear();
    device.fault(Fault::Flood);
    let (flood, ended) = within(&rig, &framed(SUMMARY), 1).await;
    assert!(flood.len() > 100_000 && !ended);
    device.clear();
    device.fault(Fault::Slow { delay: Duration::from_secs(9) });
    assert_eq!(within(&rig, &framed(SUMMARY), 8).await, (Vec::new(), false));
    device.clear();
    device.fault(Fault::Lie(Lie::Negative));
    let truth = device.truth().rates.realtime;
    assert!(near(number(&rig.status("summary").await, "hash-realtime") * 1e6, -truth, 0.03));
}

#[tokio::test(start_paused = true)]
async fn mute_and_ignored_writes() {
    let rig = Rig::ordinary().await;
    let device = &rig.bench.device;
    device.fault(Fault::Mute);
    assert_eq!(rig.order(SERVICE, json!("stop")).await, None);
    assert!(device.truth().asleep && rig.executed(SERVICE) == 1);
    device.clear();
    device.fault(Fault::IgnoreWrites);
    let reply = rig.order(SERVICE, json!("start")).await.unwrap();
    assert_eq!((code(&reply), &reply["msg"]), (0, &json!("ok")));
    assert!(device.truth().asleep);
    assert_eq!((device.counts()[SERVICE], rig.executed(SERVICE)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn faults_on_one_part_of_the_status() {
    let rig = Rig::ordinary().await;
    rig.bench.device.fault_on("get.miner.status:pools", Fault::Cut { after: 0 });
    assert_eq!(rig.send(&json!({ "cmd": "get.miner.status", "param": "pools" })).await, None);
    assert!(number(&rig.status("summary").await, "hash-realtime") > 1.0);
    rig.bench.device.clear();
    rig.bench.device.fault_on("get.miner.status", Fault::Cut { after: 0 });
    for part in ["summary", "pools", "edevs"] {
        assert_eq!(rig.send(&json!({ "cmd": "get.miner.status", "param": part })).await, None);
    }
    assert_eq!(code(&rig.ask("get.device.info", Value::Null).await), 0);
    assert_eq!(rig.bench.device.counts()["get.miner.status"], 5);
}

#[tokio::test(start_paused = true)]
async fn refuse_closes_both_ports() {
    let rig = Rig::ordinary().await;
    rig.bench.device.fault(Fault::Refuse);
    rig.bench.wait(1).await;
    assert!(rig.bench.cx.net.tcp(rig.at).await.is_err() && rig.bench.cx.net.tcp(rig.bench.at).await.is_err());
    rig.bench.device.clear();
    rig.bench.wait(1).await;
    assert_eq!(code(&rig.ask("get.device.info", Value::Null).await), 0);
}
