use std::time::Duration;

use headframe_core::{
    Error, ErrorKind,
    io::{Ctx, Mono},
};
use headframe_sim::{Fault, Lie, WhatsminerOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Bench, code, near, number};

const SUMMARY: &[u8] = b"{\"cmd\":\"summary\"}";

/// What arrives within so many seconds, and how long it took until the device closed.
async fn within(bench: &Bench, request: &[u8], seconds: u64) -> (Vec<u8>, Option<Duration>) {
    let started: Mono = bench.cx.clock.mono();
    let mut stream = bench.connect().await;
    stream.write_all(request).await.unwrap();
    let mut all = Vec::new();
    let cx: Ctx = bench.cx.deadline_in(Duration::from_secs(seconds));
    let read = cx.within("test.read", async {
        stream
            .read_to_end(&mut all)
            .await
            .map_err(|e| Error::new(ErrorKind::Closed, "test.read", e.to_string()))
    });
    let ended = read.await.ok().map(|_| bench.cx.clock.mono().since(started));
    (all, ended)
}

#[tokio::test(start_paused = true)]
async fn hang_never_answers_and_never_acts() {
    let bench = Bench::ordinary().await;
    let session = bench.login("admin").await;
    bench.device.fault(Fault::Hang);
    let off = session.packet(json!({ "cmd": "power_off", "respbefore": "true" }), crate::client::Fill::Zero);
    for request in [SUMMARY, off.as_bytes(), b"{\"cmd\":}"] {
        assert_eq!(within(&bench, request, 600).await, (Vec::new(), None));
    }
    assert!(bench.device.truth().mining && bench.device.executed().is_empty());
    assert_eq!((bench.device.counts()["summary"], bench.device.counts()["power_off"]), (1, 1));
    bench.device.clear();
    assert_eq!(code(&bench.read("summary").await["STATUS"][0]), 11);
}

#[tokio::test(start_paused = true)]
async fn cut_ends_the_reply_after_so_many_bytes_and_acts() {
    let bench = Bench::ordinary().await;
    let whole = bench.raw(SUMMARY).await;
    for after in [0, 1, 100, whole.len() - 1] {
        bench.device.fault(Fault::Cut { after });
        assert_eq!(bench.raw(SUMMARY).await, whole[..after]);
    }
    bench.device.clear();
    let session = bench.login("admin").await;
    bench.device.fault_on("power_off", Fault::Cut { after: 3 });
    let off = session.packet(json!({ "cmd": "power_off", "respbefore": "true" }), crate::client::Fill::Zero);
    assert_eq!(bench.raw(off.as_bytes()).await, b"{\"e");
    assert!(bench.device.truth().asleep);
    assert_eq!(bench.read("summary").await["id"], 1, "other commands are answered in full");
}

#[tokio::test(start_paused = true)]
async fn a_cut_closes_where_connections_stay_open() {
    let bench = Bench::new(WhatsminerOptions { keep_open: true, ..Default::default() }).await;
    assert_eq!(within(&bench, SUMMARY, 60).await.1, None);
    bench.device.fault(Fault::Cut { after: 5 });
    let (got, ended) = within(&bench, SUMMARY, 60).await;
    assert_eq!((got.len(), ended.is_some()), (5, true));
}

#[tokio::test(start_paused = true)]
async fn drip_slow_and_flood() {
    let bench = Bench::ordinary().await;
    let request = b"{\"cmd\":\"get_version\"}";
    let whole = bench.raw(request).await;
    bench.device.fault(Fault::Drip { bytes: 1, every: Duration::from_millis(500) });
    let (got, took) = within(&bench, request, 600).await;
    // All but the time of the answer is the same.
    assert_eq!((got.len(), &got[..60]), (whole.len(), &whole[..60]));
    assert!(took.unwrap() >= Duration::from_millis(500 * whole.len() as u64));
    bench.device.clear();
    bench.device.fault(Fault::Slow { delay: Duration::from_secs(9) });
    assert!(within(&bench, request, 8).await == (Vec::new(), None));
    let (got, took) = within(&bench, request, 600).await;
    assert_eq!((got.len(), took.unwrap() >= Duration::from_secs(9)), (whole.len(), true));
    bench.device.clear();
    bench.device.fault(Fault::Flood);
    let (got, took) = within(&bench, request, 2).await;
    assert!(got.len() > 1_000_000 && took.is_none());
}

#[tokio::test(start_paused = true)]
async fn garbage_halves_and_giants() {
    let bench = Bench::ordinary().await;
    bench.device.fault(Fault::Garbage);
    let got = bench.raw(SUMMARY).await;
    assert!(!got.is_empty() && String::from_utf8(got).is_err());
    bench.device.clear();
    bench.device.fault(Fault::HalfJson);
    let half = bench.text("{\"cmd\":\"summary\"}").await;
    assert!(half.starts_with('{') && serde_json::from_str::<Value>(&half).is_err());
    bench.device.clear();
    bench.device.fault(Fault::Oversized { bytes: 3_000_000 });
    let big = bench.text("{\"cmd\":\"summary\"}").await;
    assert!(big.len() >= 3_000_000);
    assert!(serde_json::from_str::<Value>(&big).unwrap()["SUMMARY"].is_array());
}

#[tokio::test(start_paused = true)]
async fn lies_and_drift_are_well_formed_and_untrue() {
    let bench = Bench::ordinary().await;
    let read = async || {
        let summary = bench.summary().await;
        (number(&summary, "HS RT"), number(&summary, "Power"), number(&summary, "Elapsed"))
    };
    let true_rate = bench.device.truth().rates.realtime;
    bench.device.fault(Fault::Lie(Lie::Zero));
    assert_eq!(read().await.0, 0.0);
    bench.device.fault(Fault::Lie(Lie::Negative));
    assert!(near(read().await.0, -true_rate, 0.02) && read().await.1 < 0.0);
    bench.device.fault(Fault::Lie(Lie::Factor(1_000.0)));
    assert!(near(read().await.0, true_rate * 1_000.0, 0.02));
    bench.device.fault(Fault::Lie(Lie::Frozen));
    let frozen = read().await;
    bench.wait(900).await;
    assert_eq!(read().await, frozen);
    bench.device.clear();
    assert!(read().await.2 > frozen.2 + 800.0);
    bench.device.fault(Fault::Drift { per_hour: 0.5 });
    bench.wait(7_200).await;
    assert!(near(read().await.1, 2.0 * bench.device.truth().power_w, 0.01));
    assert!(near(bench.device.truth().rates.m15, true_rate, 0.03), "the truth stays");
}

#[tokio::test(start_paused = true)]
async fn refuse_and_reboot_close_the_port() {
    let bench = Bench::ordinary().await;
    let mut open = bench.connect().await;
    bench.device.fault(Fault::Refuse);
    bench.wait(1).await;
    assert_eq!(bench.cx.net.tcp(bench.at).await.unwrap_err().fact("refused"), Some("true"));
    assert_eq!(open.read(&mut [0; 8]).await.unwrap_or(0), 0, "open connections end");
    bench.device.clear();
    bench.wait(1).await;
    assert_eq!(code(&bench.read("status").await), 131);
    bench.device.fault(Fault::Reboot { down: Duration::from_secs(30) });
    bench.wait(29).await;
    assert!(bench.cx.net.tcp(bench.at).await.is_err());
    bench.wait(2).await;
    assert!(number(&bench.summary().await, "Uptime") <= 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_in_the_middle_of_a_slow_write_leaves_no_reply() {
    let bench = Bench::ordinary().await;
    let session = bench.login("admin").await;
    bench.device.fault_on("set_hostname", Fault::Slow { delay: Duration::from_secs(10) });
    let packet =
        session.packet(json!({ "cmd": "set_hostname", "hostname": "new" }), crate::client::Fill::Zero);
    let device = bench.device.clone();
    let reboot = async {
        bench.wait(5).await;
        device.fault(Fault::Reboot { down: Duration::from_secs(30) });
    };
    let (got, ()) = tokio::join!(bench.raw(packet.as_bytes()), reboot);
    assert!(got.is_empty());
    assert_eq!(bench.device.executed()["set_hostname"], 1);
    assert_eq!(bench.device.truth().hostname, "new");
}

#[tokio::test(start_paused = true)]
async fn mute_executes_and_ignored_writes_do_not() {
    let bench = Bench::ordinary().await;
    bench.device.fault(Fault::Mute);
    assert_eq!(bench.order(json!({ "cmd": "set_hostname", "hostname": "a" })).await, None);
    assert_eq!(bench.device.truth().hostname, "a");
    assert_eq!(code(&bench.read("status").await), 131, "reads are answered");
    bench.device.clear();
    bench.device.fault(Fault::IgnoreWrites);
    let reply = bench.order(json!({ "cmd": "set_hostname", "hostname": "b" })).await.unwrap();
    assert_eq!(code(&reply), 131);
    assert_eq!(bench.device.truth().hostname, "a");
    assert_eq!((bench.device.counts()["set_hostname"], bench.device.executed()["set_hostname"]), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn overheating_ends_in_protection() {
    let bench = Bench::ordinary().await;
    let before = bench.device.truth();
    bench.device.fault(Fault::Overheat);
    bench.wait(4).await;
    assert!(bench.device.truth().board_c() > before.board_c() + 5.0 && bench.device.truth().mining);
    bench.wait(600).await;
    let truth = bench.device.truth();
    assert!(truth.protecting && !truth.mining && !truth.asleep && truth.power_w < 100.0);
    let errors = bench.read("get_error_code").await["Msg"]["error_code"].clone();
    assert_eq!(errors[0].as_object().unwrap().keys().next().unwrap(), "350");
    assert!(number(&bench.summary().await, "Temperature") > 95.0);
    bench.device.clear();
    bench.wait(900).await;
    let cooled = bench.device.truth();
    assert!(cooled.mining && !cooled.protecting && near(cooled.board_c(), before.board_c(), 0.05));
    assert_eq!(bench.read("get_error_code").await["Msg"]["error_code"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn lost_boards_failed_fans_and_dead_pools() {
    let bench = Bench::ordinary().await;
    let full = bench.device.truth().rates.realtime;
    bench.device.fault(Fault::BoardLost { slot: 1 });
    bench.device.fault(Fault::FanFailed { fan: 0 });
    bench.wait(60).await;
    let devs = bench.read("devs").await["DEVS"].clone();
    let slots: Vec<_> = devs.as_array().unwrap().iter().map(|d| d["Slot"].as_u64().unwrap()).collect();
    assert_eq!(slots, [0, 2]);
    let summary = bench.summary().await;
    assert!(near(number(&summary, "HS RT"), full * 2.0 / 3.0, 0.08));
    assert_eq!(summary["Fan Speed In"], 0);
    let codes: Vec<String> = bench.device.truth().errors.into_iter().map(|e| e.code).collect();
    assert_eq!(codes, ["411", "110"]);
    bench.device.clear();
    bench.device.fault(Fault::PoolsDead);
    bench.wait(60).await;
    assert!(!bench.device.truth().mining);
    assert_eq!(bench.read("pools").await["POOLS"][0]["Status"], "Dead");
}
