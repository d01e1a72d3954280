use headframe_sim::{FleetBuilder, M56S, WhatsminerOptions};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{BORN, Bench, code, near, number};

#[tokio::test(start_paused = true)]
async fn summary_says_what_is_true() {
    let bench = Bench::ordinary().await;
    let reply = bench.read("summary").await;
    assert_eq!(reply["STATUS"][0]["STATUS"], "S");
    assert_eq!(reply["STATUS"][0]["Code"], 11);
    assert_eq!(reply["STATUS"][0]["When"], BORN / 1_000);
    let summary = &reply["SUMMARY"][0];
    let truth = bench.device.truth();
    assert!(truth.mining && truth.up && !truth.ramping && !truth.asleep);
    for (key, value) in [
        ("HS RT", truth.rates.realtime),
        ("MHS 5s", truth.rates.s5),
        ("MHS 1m", truth.rates.m1),
        ("MHS 5m", truth.rates.m5),
        ("MHS 15m", truth.rates.m15),
        ("MHS av", truth.rates.average),
        ("Factory GHS", truth.nominal_mhs / 1e3),
        ("Power Limit", truth.power_limit_w),
        ("Total MH", truth.total_mh),
    ] {
        assert!(near(number(summary, key), value, 1e-6), "{key}: {} is not {value}", summary[key]);
    }
    for (key, value, within) in [
        ("Power", truth.power_w, 0.5),
        ("Temperature", truth.board_c(), 0.051),
        ("Env Temp", truth.ambient_c, 0.051),
        ("Chip Temp Avg", truth.chip_c(), 0.051),
        ("Power Rate", truth.efficiency_jth().unwrap(), 0.0051),
        ("Fan Speed In", truth.fans_rpm[0], 0.5),
        ("Fan Speed Out", truth.fans_rpm[1], 0.5),
    ] {
        assert!((number(summary, key) - value).abs() <= within, "{key}: {} is not {value}", summary[key]);
    }
    assert_eq!(summary["Accepted"], truth.accepted);
    assert_eq!(summary["Rejected"], truth.rejected);
    assert_eq!(summary["Elapsed"], truth.elapsed_s);
    assert_eq!(summary["Uptime"], truth.uptime_s);
    assert_eq!(summary["Power Mode"], "Normal");
    assert_eq!(summary["MAC"], bench.device.mac());
    assert_eq!(summary["Upfreq Complete"], 1);
    assert_eq!(summary["Hash Stable"], true);
    // Plausible for the model: within a few percent of its data sheet.
    assert!(near(truth.rates.m15, bench.device.model().nominal_mhs, 0.04));
    assert!(near(truth.power_w, bench.device.model().nominal_w, 0.02));
}

#[tokio::test(start_paused = true)]
async fn boards_pools_and_details() {
    let bench = Bench::ordinary().await;
    let truth = bench.device.truth();
    for command in ["devs", "edevs"] {
        let reply = bench.read(command).await;
        assert_eq!(reply["STATUS"][0]["Code"], 9);
        assert_eq!(reply["STATUS"][0]["Msg"], "3 ASC(s)");
        let boards = reply["DEVS"].as_array().unwrap();
        assert_eq!(boards.len(), truth.boards.len());
        for (got, board) in boards.iter().zip(&truth.boards) {
            assert_eq!(got["ASC"], board.slot);
            assert_eq!(got["Slot"], board.slot);
            assert_eq!(got["Status"], "Alive");
            assert_eq!(got["PCB SN"], board.serial);
            assert_eq!(got["Effective Chips"], board.chips);
            assert!(near(number(got, "MHS av"), board.average_mhs, 1e-6));
            assert!(near(number(got, "Temperature"), board.pcb_c, 0.01));
        }
        let sum: f64 = boards.iter().map(|b| number(b, "HS RT")).sum();
        assert!(near(sum, truth.rates.realtime, 1e-6));
    }
    let pools = bench.read("pools").await;
    assert_eq!(pools["STATUS"][0]["Code"], 7);
    assert_eq!(pools["POOLS"].as_array().unwrap().len(), 3);
    assert_eq!(pools["POOLS"][0]["POOL"], 1, "the index starts at 1");
    assert_eq!(pools["POOLS"][0]["URL"], truth.pools[0].url);
    assert_eq!(pools["POOLS"][0]["User"], "site1.w000000");
    assert_eq!(pools["POOLS"][0]["Stratum Active"], true);
    assert_eq!(pools["POOLS"][0]["Accepted"], truth.accepted);
    assert_eq!(pools["POOLS"][1]["Stratum Active"], false);
    let details = bench.read("devdetails").await;
    assert_eq!(details["STATUS"][0]["Code"], 69);
    assert_eq!(details["DEVDETAILS"][2]["Model"], bench.device.model().name);
    assert_eq!(details["DEVDETAILS"][0]["Driver"], "bitmicro");
}

#[tokio::test(start_paused = true)]
async fn flat_reads() {
    let bench = Bench::ordinary().await;
    let truth = bench.device.truth();
    let version = bench.read("get_version").await;
    assert_eq!((code(&version), &version["STATUS"]), (131, &json!("S")));
    assert_eq!(version["Msg"]["api_ver"], "2.0.5");
    assert_eq!(version["Msg"]["fw_ver"], "20230911.12.REL");
    let info = bench.read("get_miner_info").await["Msg"].clone();
    assert_eq!(info["mac"], bench.device.mac());
    assert_eq!(info["minersn"], bench.device.serial());
    assert_eq!(info["ip"], bench.device.ip().to_string());
    assert_eq!((&info["ledstat"], &info["proto"]), (&json!("auto"), &json!("dhcp")));
    assert_eq!(info["hostname"], truth.hostname);
    let psu = bench.read("get_psu").await["Msg"].clone();
    assert!(psu.as_object().unwrap().values().all(serde_json::Value::is_string), "numbers are texts: {psu}");
    assert_eq!(psu["pin"], format!("{:.0}", truth.power_w));
    assert_eq!(bench.read("get_error_code").await["Msg"]["error_code"], json!([]));
    let status = bench.status().await;
    assert_eq!((&status["mineroff"], &status["power_mode"]), (&json!("false"), &json!("normal")));
    assert_eq!((&status["hash_percent"], &status["power_limit_set"]), (&json!("0"), &json!("")));
}

#[tokio::test(start_paused = true)]
async fn errors_are_listed_with_their_time() {
    let bench = Bench::ordinary().await;
    bench.device.set_errors(&["218", "110"]);
    let list = bench.read("get_error_code").await["Msg"]["error_code"].clone();
    assert_eq!(list, json!([{ "218": "2025-11-24 16:00:00" }, { "110": "2025-11-24 16:00:00" }]));
    assert_eq!(bench.device.truth().errors.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn older_api_versions() {
    let old = Bench::new(WhatsminerOptions { api: 0, ..Default::default() }).await;
    old.device.set_errors(&["218"]);
    assert_eq!(code(&old.read("get_error_code").await), 14);
    let summary = old.summary().await;
    assert_eq!((&summary["Error Code Count"], &summary["Error Code 0"]), (&json!(1), &json!(218)));
    assert_eq!(
        code(&old.order(json!({"cmd": "adjust_power_limit", "power_limit": "3000"})).await.unwrap()),
        14
    );

    let broken = Bench::new(WhatsminerOptions { api: 4, ..Default::default() }).await;
    broken.device.set_errors(&["218", "110"]);
    let text = broken.text(r#"{"cmd":"get_error_code"}"#).await;
    assert!(text.contains(r#""error_code":["218":"2025-11-24 16:00:00","110":"#), "{text}");
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());

    let options = WhatsminerOptions { firmware: "20230106.10.REL".into(), ..Default::default() };
    let psu = Bench::new(options).await.text(r#"{"cmd":"get_psu"}"#).await;
    assert!(psu.contains(r#"""temp0""#), "{psu}");
}

#[tokio::test(start_paused = true)]
async fn requests_in_every_form() {
    let bench = Bench::ordinary().await;
    for request in [
        r#"{"cmd":"summary"}"#,
        r#"{"command":"summary"}"#,
        "{\"command\" : \"summary\"}\n",
        " {\"command\":\"summary\",\"parameter\":\"\"}\0",
    ] {
        let text = bench.text(request).await;
        assert!(text.contains("\"HS RT\""), "{request}: {text}");
    }
    for request in ["summary", "summary\n", "summary\0"] {
        let text = bench.text(request).await;
        assert!(text.starts_with("STATUS=S,Code=11,"), "{text}");
        assert!(text.contains("|SUMMARY,"), "{text}");
    }
    let pools = bench.text("pools").await;
    assert!(pools.contains("|POOL=1,") && pools.contains(",URL=stratum+tcp://pool1.example:3333"), "{pools}");
    assert_eq!(bench.device.counts()["summary"], 7);
    assert_eq!(bench.device.requests(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_pieces_is_put_together() {
    let bench = Bench::ordinary().await;
    let mut stream = bench.connect().await;
    for piece in [&b"{\"cm"[..], b"d\":\"get_", b"version\"", b"}"] {
        stream.write_all(piece).await.unwrap();
        bench.wait(3).await;
    }
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert!(String::from_utf8(all).unwrap().contains("2.0.5"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request() {
    let bench = Bench::ordinary().await;
    for (request, expected) in [
        ("{\"cmd\":\"stats\"}", 14),
        ("{\"cmd\":\"version\"}", 14),
        ("{}", 14),
        ("{\"x\":1}", 14),
        ("{\"cmd\":}", 23),
        ("\u{1}\u{2}", 23),
        // A write without a token.
        ("{\"cmd\":\"power_off\"}", 45),
        ("{\"cmd\":\"reboot\",\"token\":\"x\"}", 45),
    ] {
        let reply: serde_json::Value = serde_json::from_str(&bench.text(request).await).unwrap();
        assert_eq!((code(&reply), &reply["STATUS"]), (expected, &json!("E")), "{request}");
    }
    let long = format!("{{\"cmd\":\"{}", "x".repeat(40_000));
    assert!(bench.text(&long).await.contains("\"Code\":23"));
    assert!(bench.device.truth().mining && bench.device.executed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nul_and_open_connections() {
    let bare = Bench::new(WhatsminerOptions { nul: false, ..Default::default() }).await;
    assert_eq!(bare.raw(b"{\"cmd\":\"get_version\"}").await.last(), Some(&b'}'));
    let bench = Bench::ordinary().await;
    assert_eq!(bench.raw(b"{\"cmd\":\"get_version\"}").await.last(), Some(&0));

    let open = Bench::new(WhatsminerOptions { keep_open: true, ..Default::default() }).await;
    let mut stream = open.connect().await;
    stream.write_all(b"{\"cmd\":\"get_version\"}").await.unwrap();
    let mut byte = [1];
    while byte != [0] {
        stream.read_exact(&mut byte).await.unwrap();
    }
    let deadline = open.cx.clock.mono() + std::time::Duration::from_secs(30);
    tokio::select! {
        biased;
        _ = stream.read(&mut byte) => panic!("the connection should stay open"),
        () = open.cx.clock.sleep_until(deadline) => {}
    }
    assert_eq!(open.device.peak_connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_liquid_cooled_model_has_no_fans() {
    let options = WhatsminerOptions { model: &M56S, ..Default::default() };
    let bench = Bench::new(options).await;
    let summary = bench.summary().await;
    assert_eq!((&summary["Fan Speed In"], &summary["Fan Speed Out"]), (&json!(0), &json!(0)));
    assert_eq!(bench.read("devs").await["DEVS"].as_array().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_cold_device_ramps_up() {
    let builder = FleetBuilder::new().cold().whatsminers(1);
    let bench = Bench::over(crate::client::memory(), builder).await;
    let full = bench.device.model().nominal_mhs;
    let mut last = -1.0;
    for _ in 0..5 {
        let rate = number(&bench.summary().await, "HS RT");
        assert!(rate > last, "{rate} after {last}");
        last = rate;
        bench.wait(60).await;
    }
    bench.wait(60).await;
    assert!(near(number(&bench.summary().await, "HS RT"), full, 0.03));
    assert_eq!(bench.summary().await["Upfreq Complete"], 1);
}
