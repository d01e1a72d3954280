//! Whatsminer API v3: the recorded replies in frames.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use headframe_core::{
    ThingId,
    driver::Thing,
    io::{MemNet, Net},
    model::{CommandName, ErrorCode, MinerSnapshot, MissingReason, PowerMode, State, Status, ThingConf},
    testkit,
};
use headframe_drivers::whatsminer::v3::V3;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{folder, replies};

const AT: &str = "10.9.0.7:4433";

/// A device that answers every request with the file of its name and section.
async fn serve(net: &MemNet, replies: BTreeMap<String, Vec<u8>>) {
    let mut listener = net.listen(AT.parse::<SocketAddr>().unwrap()).await.unwrap();
    let replies = Arc::new(replies);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let replies = replies.clone();
            tokio::spawn(async move {
                let length = usize::try_from(stream.read_u32_le().await.unwrap()).unwrap();
                let mut request = vec![0; length];
                stream.read_exact(&mut request).await.unwrap();
                let request: Value = serde_json::from_slice(&request).unwrap();
                let mut name = request["cmd"].as_str().unwrap().replace('.', "_");
                if let Some(section) = request["param"].as_str() {
                    name = format!("{name}_{section}");
                }
                let reply = &replies[&name];
                stream.write_u32_le(u32::try_from(reply.len()).unwrap()).await.unwrap();
                stream.write_all(reply).await.unwrap();
            });
        }
    });
}

fn thing() -> V3 {
    let id = ThingId::new("capture").unwrap();
    V3::open(&ThingConf::new(id, "whatsminer").opt("address", "10.9.0.7")).unwrap()
}

fn files(errors: bool) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut replies = replies(&folder("whatsminer-v3")?);
    assert_eq!(replies.len(), 5);
    let with_errors = replies.remove("get_device_info_with_errors").unwrap();
    if errors {
        replies.insert("get_device_info".into(), with_errors);
    }
    Some(replies)
}

fn snapshot(errors: bool) -> Option<MinerSnapshot> {
    let files = files(errors)?;
    let out = Arc::new(Mutex::new(None));
    let slot = out.clone();
    testkit::run(|cx, net| async move {
        serve(&net, files).await;
        let cx = cx.deadline_in(Duration::from_secs(30));
        let got = thing().snapshot(&cx).await.unwrap();
        *slot.lock().unwrap() = got.miner().cloned();
    });
    out.lock().unwrap().take()
}

#[test]
fn whatsminer_v3_statistics() {
    let Some(s) = snapshot(false) else { return };
    let stats = &s.stats;
    assert!(s.success);
    assert_eq!((stats.status, stats.state, stats.is_mining), (Status::Mining, State::Hashing, Some(true)));
    let rates = stats.hashrate_mhs.unwrap();
    assert_eq!(rates.avg.unwrap().mhs(), 170_800_000.0, "hash-average, TH/s");
    assert_eq!(rates.realtime.unwrap().mhs(), 171_259_000.0, "hash-realtime, TH/s");
    assert_eq!(rates.t_1m.unwrap().mhs(), 171_200_000.0, "hash-1min, TH/s");
    assert_eq!(rates.t_15m.unwrap().mhs(), 170_500_000.0, "hash-15min, TH/s");
    assert_eq!((rates.t_5m, rates.t_5s), (rates.t_1m, None), "there is no window of 5 s or 5 min");
    assert_eq!(s.substituted.get("stats.hashrate_mhs.t_5m").unwrap(), "stats.hashrate_mhs.t_1m");
    assert_eq!(stats.nominal_hashrate_mhs.unwrap().mhs(), 181_051_000.0, "factory-hash, TH/s");
    assert_eq!(stats.power_w.unwrap().get(), 3156.0, "power-realtime, W");
    assert_eq!(stats.power_limit_w.unwrap().get(), 3600.0, "W");
    assert_eq!(stats.efficiency_w_ths.unwrap().get(), 17.6, "power-rate, J/TH");
    assert_eq!(stats.uptime_ms, Some(50_000_000), "elapsed, s");
    let clocks = stats.frequency_mhz.as_ref().unwrap();
    assert_eq!((clocks.avg.unwrap().get(), clocks.target), (625.0, None), "freq-avg, MHz");
    assert_eq!(clocks.chips.iter().map(|c| c.current.unwrap().get()).collect::<Vec<_>>(), [625.0; 3]);
    let temps = stats.temperature_c.as_ref().unwrap();
    assert_eq!(temps.ambient.unwrap().get(), 28.5, "environment-temperature, °C");
    assert_eq!((temps.max.unwrap().get(), temps.avg.unwrap().get()), (82.0, 75.0), "of the boards, °C");
    let pcb: Vec<_> = temps.pcb.iter().map(|t| (t.index, t.current.unwrap().get())).collect();
    assert_eq!(pcb, [(0, 41.1), (1, 40.1), (2, 41.5)], "board-temperature by index");
    let chips = temps.chips.iter();
    let chips = chips.map(|c| (c.min.unwrap().get(), c.avg.unwrap().get(), c.max.unwrap().get()));
    assert_eq!(chips.collect::<Vec<_>>(), [(68.0, 74.0, 80.0), (69.0, 75.0, 82.0), (70.0, 76.0, 81.0)]);
    let fans: Vec<_> = stats.fans.iter().map(|f| (f.name.as_str(), f.rpm.unwrap())).collect();
    assert_eq!(fans, [("in", 5400), ("out", 5280), ("psu", 6344)]);
    let psu = stats.psu.as_ref().unwrap();
    assert_eq!((psu.model.as_deref(), psu.serial.as_deref()), (Some("P221B"), Some("1436B2429603097")));
    assert_eq!((psu.firmware.as_deref(), psu.input_w), (Some("230224.220429"), None));
    for (key, value) in [
        ("api_switch", Value::from("1")),
        ("bootup_time_raw", 1323.into()),
        ("control_board_version", "CB6V10".into()),
        ("fast_boot", "disable".into()),
        ("hash_percent", 0.into()),
        ("pool_strategy", "FAILOVER".into()),
        ("power_5m_w", 3100.into()),
        ("upfreq_complete", true.into()),
    ] {
        assert_eq!(s.extra.get(key), Some(&value), "{key}");
    }
    assert_eq!(s.extra.len(), 8);
}

#[test]
fn whatsminer_v3_boards_and_pools() {
    let Some(s) = snapshot(false) else { return };
    let boards = s.stats.boards.iter();
    let boards: Vec<_> = boards
        .map(|b| {
            (
                b.slot,
                b.hashrate_mhs.unwrap().mhs(),
                b.nominal_hashrate_mhs.unwrap().mhs(),
                b.chips.unwrap(),
                b.serial.clone().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        boards,
        [
            (0, 57_200_000.0, 60_350_000.0, 75, "BKM3CSE1404807K42757".into()),
            (1, 57_000_000.0, 60_350_000.0, 75, "BKM3CSE1404812K43675".into()),
            (2, 57_100_000.0, 60_350_000.0, 75, "BKM3CSE1404807K42762".into()),
        ]
    );
    let parts = s.stats.boards.iter().map(|b| {
        (b.temperature_c.unwrap().get(), b.chip_max_c.unwrap().get(), b.frequency_mhz.unwrap().get())
    });
    assert_eq!(parts.collect::<Vec<_>>(), [(41.1, 80.0, 625.0), (40.1, 82.0, 625.0), (41.5, 81.0, 625.0)]);
    let pools = s.stats.pool_status.as_ref().unwrap().iter();
    assert_eq!(
        pools.map(|p| (p.pool.as_str(), p.accepted, p.alive, p.active)).collect::<Vec<_>>(),
        [
            ("stratum+tcp://btc.example.pool:3333", None, Some(true), Some(true)),
            ("stratum+tcp://btc2.example.pool:3333", None, Some(true), Some(false)),
            ("stratum+tcp://btc3.example.pool:3333", None, Some(true), Some(false)),
        ]
    );
    assert_eq!(s.missing.get("stats.pool_status.accepted"), Some(&MissingReason::NotReported));
    let config = s.config.as_ref().unwrap();
    assert_eq!((config.power_mode, config.suspended), (Some(PowerMode::Normal), Some(false)));
    assert_eq!((config.led_status, config.firmware_ver.as_deref()), (Some(false), Some("20251209.16.Rel2")));
    let pools = config.pool_config.as_ref().unwrap();
    assert!(pools.len() == 3 && pools.iter().all(|p| p.username == "asic-rs.test"));
}

#[test]
fn whatsminer_v3_identity_and_network() {
    let Some(s) = snapshot(false) else { return };
    let net = &s.config.as_ref().unwrap().network_config;
    assert_eq!((net.mode.as_deref(), net.ip_address.as_deref()), (Some("dhcp"), Some("172.16.2.58")));
    assert_eq!(
        (net.ip_gw.as_deref(), net.ip_netmask.as_deref()),
        (Some("172.16.2.1"), Some("255.255.255.0"))
    );
    assert_eq!(net.dns.as_deref(), Some(&["172.16.2.1".into()][..]));
    let info = s.info.as_deref().unwrap();
    assert_eq!((info.vendor_model.as_deref(), info.model.as_deref()), (Some("M60S_VK40"), Some("M60S")));
    assert_eq!((info.variant.as_deref(), info.model_known), (Some("VK40"), true));
    assert_eq!((info.boards_expected, info.fans_expected), (Some(3), Some(2)));
    assert_eq!((info.api.as_deref(), info.control_board.as_deref()), (Some("3.0.2"), Some("H616")));
    assert_eq!(info.mac.as_deref(), Some("CE:02:01:00:8C:36"));
    assert_eq!(info.serial.as_deref(), Some("BTM3CS40HD24083100000000000000000"));
    assert_eq!(
        (info.hostname.as_deref(), info.firmware.as_deref()),
        (Some("WhatsMiner"), Some("20251209.16.Rel2"))
    );
}

#[test]
fn whatsminer_v3_errors() {
    let Some(healthy) = snapshot(false) else { return };
    assert_eq!((healthy.raw_errors.as_deref(), healthy.stats.errors.len()), (Some(&[][..]), 0));
    let Some(s) = snapshot(true) else { return };
    let code = |e: &headframe_core::model::DeviceError| match &e.code {
        Some(ErrorCode::One(code)) => code.clone(),
        other => panic!("{other:?}"),
    };
    let errors: Vec<_> = s.stats.errors.iter().map(|e| (code(e), e.since.clone().unwrap())).collect();
    let want = [
        ("264", "2026-05-23 09:19:10"),
        ("265", "2026-05-23 09:19:10"),
        ("266", "2026-05-23 09:19:11"),
        ("267", "2026-05-23 09:19:11"),
        ("270", "2026-05-23 09:19:11"),
    ];
    assert_eq!(errors, want.map(|(code, since)| (code.to_owned(), since.to_owned())));
    assert_eq!(s.raw_errors.as_ref().unwrap(), &s.stats.errors);
    assert_eq!(s.stats.errors[3].component.as_deref(), Some("psu:0"));
    assert_eq!((s.stats.status, s.stats.state), (Status::Error, State::Degraded));
    assert_eq!(s.stats.are_all_errors_minor, Some(false), "no list is known for this model");
}

#[test]
fn whatsminer_v3_is_known_and_looked_at_for_writes() {
    let Some(files) = files(false) else { return };
    testkit::run(|cx, net| async move {
        serve(&net, files).await;
        let cx = cx.deadline_in(Duration::from_secs(30));
        assert!(V3::probe(&cx, AT.parse().unwrap()).await.unwrap());
        let thing = thing();
        for row in thing.capability().commands() {
            let seen = thing.observe(&cx, row.name).await.unwrap();
            assert_eq!(seen.identity.mac.as_deref(), Some("CE:02:01:00:8C:36"), "{}", row.name);
            let restarts = matches!(row.name, CommandName::Reboot | CommandName::RestartMinerSoftware);
            assert_eq!(
                (seen.now.is_some(), seen.up_since_ms.is_some()),
                (!restarts, restarts),
                "{}",
                row.name
            );
        }
    });
}
