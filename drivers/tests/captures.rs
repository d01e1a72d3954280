//! Replies recorded from real devices, served byte for byte to the drivers.
//!
//! `HEADFRAME_CAPTURES` names the folder that holds them; `cargo xtask test` sets it where the folder exists. Without
//! it the test says how many captures it skips; set to a folder without captures it fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use headframe_core::{
    ThingId,
    driver::{Driver, Registry},
    io::{Ctx, MemNet, Net},
    model::{MinerSnapshot, PowerMode, State, Status, ThingConf},
    testkit,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[path = "captures_v3/mod.rs"]
mod v3;

const FOLDERS: [(&str, usize); 3] = [("whatsminer-v2", 9), ("whatsminer-v3", 5), ("antminer-v2020", 6)];
const RPC: &str = "10.9.0.7:4028";
const WEB: &str = "10.9.0.7:80";

/// The folder of captures; `None`, said aloud, when none was named.
fn folder(name: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("HEADFRAME_CAPTURES") else {
        let n = FOLDERS.iter().find(|(folder, _)| *folder == name).map_or(0, |(_, n)| *n);
        // Straight to the terminal: what a passing test prints is otherwise not shown.
        let text = format!("skipped: {n} captures of {name}, since HEADFRAME_CAPTURES is not set\n");
        std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
        return None;
    };
    Some(Path::new(&root).join(name))
}

/// All replies of a folder, by file name without ending.
fn replies(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files =
        std::fs::read_dir(folder).unwrap_or_else(|e| panic!("no captures in {}: {e}", folder.display()));
    let mut replies = BTreeMap::new();
    for file in files.map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "json")) {
        replies.insert(file.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&file).unwrap());
    }
    assert!(!replies.is_empty(), "no captures in {}", folder.display());
    replies
}

/// A device on the cgminer-style API that knows nothing but `replies`; joined commands are unknown to it.
async fn serve_rpc(net: &MemNet, replies: BTreeMap<String, Vec<u8>>) {
    let mut listener = net.listen(RPC.parse::<SocketAddr>().unwrap()).await.unwrap();
    let replies = Arc::new(replies);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let replies = replies.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let n = stream.read(&mut request).await.unwrap();
                let asked = String::from_utf8_lossy(&request[..n]).into_owned();
                let command = asked.split('"').nth(3).unwrap_or_default().to_owned();
                let new_api = asked.contains("new_api");
                let unknown: &[u8] =
                    br#"{"STATUS":[{"STATUS":"E","When":1,"Code":14,"Msg":"Invalid command"}],"id":1}"#;
                let reply = replies.get(&command).filter(|_| !new_api).map_or(unknown, Vec::as_slice);
                stream.write_all(reply).await.unwrap();
                stream.write_all(b"\0").await.unwrap();
            });
        }
    });
}

/// A web server that has only the pages in `pages` and asks for no password.
async fn serve_web(net: &MemNet, pages: BTreeMap<String, Vec<u8>>) {
    let mut listener = net.listen(WEB.parse::<SocketAddr>().unwrap()).await.unwrap();
    let pages = Arc::new(pages);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let pages = pages.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut request).await {
                    let asked = String::from_utf8_lossy(&request[..n]).into_owned();
                    let path = asked.split(' ').nth(1).unwrap_or_default();
                    let name = path.trim_start_matches("/cgi-bin/").trim_end_matches(".cgi");
                    let (status, body) = match pages.get(name) {
                        Some(body) => ("200 OK", body.as_slice()),
                        None => ("404 Not Found", &b"{}"[..]),
                    };
                    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                    stream.write_all(head.as_bytes()).await.unwrap();
                    stream.write_all(body).await.unwrap();
                }
            });
        }
    });
}

async fn read(cx: &Ctx, driver: &str) -> MinerSnapshot {
    let mut registry = Registry::new();
    headframe_drivers::register_all(&mut registry);
    let driver: &Arc<dyn Driver> = registry.driver(driver).unwrap();
    let conf = ThingConf::new(ThingId::new("capture").unwrap(), driver.info().id).opt("address", "10.9.0.7");
    let cx = cx.deadline_in(Duration::from_secs(30));
    let thing = driver.open(&cx, &conf).await.unwrap();
    thing.snapshot(&cx).await.unwrap().miner().unwrap().clone()
}

fn whatsminer(variant: bool) -> Option<MinerSnapshot> {
    let mut replies = replies(&folder("whatsminer-v2")?);
    assert_eq!(replies.len(), 9);
    let with_errors = replies.remove("get_error_code_with_errors").unwrap();
    if variant {
        replies.insert("get_error_code".into(), with_errors);
    }
    let out = Arc::new(std::sync::Mutex::new(None));
    let slot = out.clone();
    testkit::run(|cx, net| async move {
        serve_rpc(&net, replies).await;
        *slot.lock().unwrap() = Some(read(&cx, "whatsminer").await);
    });
    out.lock().unwrap().take()
}

#[test]
fn whatsminer_v2_statistics() {
    let Some(s) = whatsminer(false) else { return };
    let stats = &s.stats;
    assert!(s.success);
    assert_eq!((stats.status, stats.state, stats.is_mining), (Status::Mining, State::Hashing, Some(true)));
    assert_eq!(s.raw_errors.as_deref(), Some(&[][..]));
    let rates = stats.hashrate_mhs.unwrap();
    assert_eq!(rates.avg.unwrap().mhs(), 125_000_000.0, "MHS av, MH/s");
    assert_eq!(rates.realtime.unwrap().ths(), 124.5, "HS RT, MH/s");
    assert_eq!((rates.t_5s, rates.t_1m, rates.t_5m, rates.t_15m), (None, None, None, None));
    assert_eq!(stats.nominal_hashrate_mhs.unwrap().ths(), 126.0, "Factory GHS, GH/s");
    assert_eq!(stats.power_w.unwrap().get(), 3200.0, "W");
    assert_eq!(stats.power_limit_w.unwrap().get(), 3300.0, "W");
    assert_eq!(stats.uptime_ms, Some(25_000_000), "Elapsed, s");
    let clocks = stats.frequency_mhz.as_ref().unwrap();
    assert_eq!(clocks.target.unwrap().get(), 600.0, "MHz");
    assert_eq!(clocks.chips.iter().map(|c| c.current.unwrap().get()).collect::<Vec<_>>(), [600.0; 3]);
    let temps = stats.temperature_c.as_ref().unwrap();
    assert_eq!((temps.ambient.unwrap().get(), temps.max.unwrap().get()), (28.5, 81.0), "°C");
    assert_eq!(temps.pcb.iter().map(|t| t.current.unwrap().get()).collect::<Vec<_>>(), [65.0, 66.0, 67.0]);
    let chips: Vec<_> = temps
        .chips
        .iter()
        .map(|c| (c.min.unwrap().get(), c.avg.unwrap().get(), c.max.unwrap().get()))
        .collect();
    assert_eq!(chips, [(62.0, 71.5, 80.0), (63.0, 72.0, 81.0), (62.5, 73.5, 81.0)]);
    assert_eq!(temps.avg.unwrap().get(), 72.33, "mean of the boards' Chip Temp Avg");
    assert_eq!(
        stats.efficiency_w_ths.unwrap().get(),
        25.7,
        "3,200 W by 124.5 TH/s: the capture has no Power Rate"
    );
    assert_eq!(s.extra.get("hash_stable"), Some(&true.into()));
    assert_eq!(s.extra.get("os_uptime_ms"), Some(&25_500_000.into()), "Uptime, s");
    let fans: Vec<_> = stats.fans.iter().map(|f| (f.name.as_str(), f.rpm.unwrap())).collect();
    assert_eq!(fans, [("in", 5400), ("out", 5280), ("psu", 6000)]);
    assert_eq!(stats.psu.as_ref().unwrap().model.as_deref(), Some("P222B"));
    assert_eq!(stats.psu.as_ref().unwrap().firmware.as_deref(), Some("230208.220429"));
}

#[test]
fn whatsminer_v2_boards_pools_and_identity() {
    let Some(s) = whatsminer(false) else { return };
    let boards: Vec<_> = s
        .stats
        .boards
        .iter()
        .map(|b| {
            (
                b.slot,
                b.hashrate_mhs.unwrap().ths(),
                b.nominal_hashrate_mhs.unwrap().ths(),
                b.chips.unwrap(),
                b.serial.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        boards,
        [
            (0, 41.5, 42.0, 135, "BHM5CSD1302803K30001"),
            (1, 41.8, 42.0, 135, "BHM5CSD1302803K30002"),
            (2, 41.7, 42.0, 135, "BHM5CSD1302803K30003"),
        ]
    );
    let pools: Vec<_> = s
        .stats
        .pool_status
        .as_ref()
        .unwrap()
        .iter()
        .map(|p| (p.pool.as_str(), p.accepted, p.rejected, p.active))
        .collect();
    assert_eq!(
        pools,
        [
            ("stratum+tcp://btc.example.pool:3333", Some(5412), Some(0), Some(true)),
            ("stratum+tcp://btc2.example.pool:3333", Some(0), Some(0), Some(false)),
            ("stratum+tcp://btc3.example.pool:3333", Some(0), Some(0), Some(false)),
        ]
    );
    let parts = s.stats.boards.iter().map(|b| {
        (b.temperature_c.unwrap().get(), b.chip_max_c.unwrap().get(), b.frequency_mhz.unwrap().get())
    });
    assert_eq!(parts.collect::<Vec<_>>(), [(65.0, 80.0, 600.0), (66.0, 81.0, 600.0), (67.0, 81.0, 600.0)]);
    let config = s.config.as_ref().unwrap();
    assert_eq!(config.power_mode, Some(PowerMode::Normal), "of the summary, before that of status");
    assert_eq!(config.pool_config.as_ref().unwrap()[0].username, "asic-rs.test");
    assert_eq!((config.led_status, config.suspended), (Some(false), Some(false)));
    assert_eq!(config.firmware_ver.as_deref(), Some("20230803.11.REL"));
    let info = s.info.as_deref().unwrap();
    assert_eq!(info.mac.as_deref(), Some("D4:01:02:03:04:05"));
    assert_eq!(info.hostname.as_deref(), Some("WhatsMiner"));
    assert_eq!((info.api.as_deref(), info.control_board.as_deref()), (Some("2.0.5"), Some("H616")));
    assert_eq!(
        (info.model.as_deref(), info.model_known),
        (None, false),
        "devdetails is not among the captures"
    );
    assert!(s.missing.contains_key("info.model"));
}

#[test]
fn whatsminer_v2_errors() {
    let Some(s) = whatsminer(true) else { return };
    let errors: Vec<_> =
        s.stats.errors.iter().map(|e| (e.message.as_deref().unwrap(), e.since.as_deref().unwrap())).collect();
    assert_eq!(
        errors,
        [("Error code 218", "2024-06-15 10:30:00"), ("Error code 110", "2024-06-15 09:15:00")]
    );
    assert_eq!((s.stats.status, s.stats.state), (Status::Error, State::Degraded));
    assert_eq!(s.stats.errors[1].component.as_deref(), Some("fan:0"));
}

fn antminer_legacy() -> Option<MinerSnapshot> {
    let replies = replies(&folder("antminer-v2020")?);
    assert_eq!(replies.len(), 6);
    let out = Arc::new(std::sync::Mutex::new(None));
    let slot = out.clone();
    testkit::run(|cx, net| async move {
        serve_rpc(&net, replies).await;
        *slot.lock().unwrap() = Some(read(&cx, "antminer").await);
    });
    out.lock().unwrap().take()
}

#[test]
fn antminer_legacy_statistics() {
    let Some(s) = antminer_legacy() else { return };
    let stats = &s.stats;
    let rates = stats.hashrate_mhs.unwrap();
    assert!((rates.t_5s.unwrap().mhs() - 110_566_890.0).abs() < 1.0, "GHS 5s, GH/s");
    assert!((rates.t_30m.unwrap().mhs() - 111_878_260.0).abs() < 1.0, "rate_30m, GH/s");
    assert!((rates.avg.unwrap().mhs() - 111_834_630.0).abs() < 500.0, "GHS av, GH/s");
    assert_eq!(stats.nominal_hashrate_mhs.unwrap().ths(), 110.0, "total_rateideal, GH/s");
    assert_eq!((stats.is_mining, stats.uptime_ms), (Some(true), Some(50_474_000)));
    assert_eq!(stats.power_w, None);
    assert!(s.missing.contains_key("stats.power_w"));
    assert_eq!(stats.fans.iter().map(|f| f.rpm.unwrap()).collect::<Vec<_>>(), [6000, 5880, 5040, 5040]);
    let clocks = stats.frequency_mhz.as_ref().unwrap();
    assert_eq!(clocks.avg.unwrap().get(), 525.0, "MHz");
    let boards: Vec<_> = stats
        .boards
        .iter()
        .map(|b| (b.hashrate_mhs.unwrap().ths(), b.chips.unwrap(), b.hw_errors.unwrap()))
        .collect();
    assert_eq!(
        boards,
        [(37.6033, 114, 183), (35.53622, 114, 195), (37.42738, 114, 184)],
        "chain_rateN, GH/s as text"
    );
    assert_eq!((stats.status, stats.state), (Status::Mining, State::Hashing));
    assert_eq!(stats.boards.iter().map(|b| b.frequency_mhz.unwrap().get()).collect::<Vec<_>>(), [525.0; 3]);
    assert_eq!(
        stats.boards.iter().map(|b| b.chip_max_c.unwrap().get()).collect::<Vec<_>>(),
        [78.0, 71.0, 69.0]
    );
    let raw = &stats.temperature_c.as_ref().unwrap().raw_temps;
    assert_eq!(raw.len(), 3);
    assert_eq!(raw[0].chip.as_slice(), [78.0, 50.0, 69.0, 70.0]);
    assert_eq!(raw[1].pcb.as_slice(), [47.0, 50.0, 65.0, 66.0]);
    assert_eq!(raw[2].pic.as_slice(), [36.0, 34.0, 54.0, 53.0]);
}

#[test]
fn antminer_legacy_pools_and_identity() {
    let Some(s) = antminer_legacy() else { return };
    let pools: Vec<_> = s
        .stats
        .pool_status
        .as_ref()
        .unwrap()
        .iter()
        .map(|p| (p.pool.as_str(), p.accepted, p.rejected, p.stale, p.active))
        .collect();
    let url = "stratum+tcp://btc.global.luxor.tech:700";
    assert_eq!(
        pools,
        [
            (url, Some(4057), Some(11), Some(1), Some(true)),
            (url, Some(0), Some(0), Some(0), Some(false)),
            (url, Some(0), Some(0), Some(0), Some(false)),
        ]
    );
    let info = s.info.as_deref().unwrap();
    assert_eq!((info.model.as_deref(), info.model_known), (Some("S19 Pro"), true));
    assert_eq!(info.vendor_model.as_deref(), Some("Antminer S19 Pro"));
    assert_eq!((info.boards_expected, info.fans_expected), (Some(3), Some(4)));
    assert!(s.missing.contains_key("info.mac") && s.missing.contains_key("config.led_status"));
}

#[test]
fn antminer_system_info_of_an_s21() {
    let Some(folder) = folder("antminer-v2020") else { return };
    let system_info = replies(&folder).remove("system_info").unwrap();
    testkit::run(|cx, net| async move {
        // Nothing but identity comes from this device; the live pages are the simulator's business.
        let empty = br#"{"STATUS":{"STATUS":"S"},"SUMMARY":[],"STATS":[],"POOLS":[]}"#.to_vec();
        let pages = [
            ("get_system_info", system_info),
            ("summary", empty.clone()),
            ("stats", empty.clone()),
            ("pools", empty),
        ];
        serve_web(&net, pages.map(|(name, body)| (name.to_owned(), body)).into()).await;
        let s = read(&cx, "antminer").await;
        let info = s.info.as_deref().unwrap();
        assert_eq!((info.model.as_deref(), info.model_known), (Some("S21"), true));
        assert_eq!(info.serial.as_deref(), Some("THQING0BDJAB024NF"));
        assert_eq!(info.hostname.as_deref(), Some("Antminer"));
        assert_eq!(info.firmware.as_deref(), Some("FR-1.12(251009-S21)"));
        // The recorded MAC address holds a letter that is no hexadecimal digit.
        assert_eq!(info.mac, None);
        assert!(s.missing.contains_key("info.mac"));
    });
}
