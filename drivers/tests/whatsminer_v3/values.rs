//! Values, marks for unknown, and states.

use headframe_core::{
    model::{MinerSnapshot, MissingReason, PowerMode, State, Status},
    testkit,
};
use serde_json::{Value, json};

use crate::device::{Device, State as Script, open, read};

fn snapshot(change: impl FnOnce(&mut Script) + Send + 'static) -> MinerSnapshot {
    let out = std::sync::Arc::new(std::sync::Mutex::new(None));
    let slot = out.clone();
    testkit::run(|cx, net| async move {
        let device = Device::start(&cx, &net).await;
        device.with(change);
        *slot.lock().unwrap() = Some(read(&cx, &open()).await.unwrap());
    });
    let got = out.lock().unwrap().take();
    got.unwrap()
}

#[test]
fn marks_for_unknown_are_no_values() {
    let got = snapshot(|s| {
        s.summary["factory-hash"] = json!(-0.003);
        s.summary["power-realtime"] = json!(-1);
        s.summary["power-limit"] = json!(0);
        s.summary["power-rate"] = json!("");
        s.edevs[1]["factory-hash"] = json!(-0.001);
        s.info["power"]["sn"] = json!("");
        s.summary["environment-temperature"] = json!(-273.0);
    });
    for path in [
        "stats.nominal_hashrate_mhs",
        "stats.power_w",
        "stats.power_limit_w",
        "stats.boards.nominal_hashrate_mhs",
        "stats.psu.serial",
        "stats.temperature_c.ambient",
    ] {
        assert_eq!(got.missing.get(path), Some(&MissingReason::Sentinel), "{path}");
    }
    assert_eq!((got.stats.power_w, got.stats.power_source), (None, None));
    assert_eq!(got.stats.efficiency_w_ths, None);
    assert_eq!(got.stats.boards[1].nominal_hashrate_mhs, None);
    assert_eq!(got.stats.boards[0].nominal_hashrate_mhs.unwrap().mhs(), 60_350_000.0);
    let broken = snapshot(|s| s.summary["power-realtime"] = json!(0));
    assert_eq!(broken.missing.get("stats.power_w"), Some(&MissingReason::Implausible), "it hashes");
}

#[test]
fn efficiency_is_computed_where_it_is_not_told() {
    let got = snapshot(|s| s.summary["power-rate"] = Value::Null);
    assert_eq!(got.stats.efficiency_w_ths.unwrap().get(), 18.42, "3,156 W by 171.259 TH/s");
}

#[test]
fn modes_and_orders() {
    for (mode, want) in [
        (json!("0"), Some(PowerMode::Low)),
        (json!("1"), Some(PowerMode::Normal)),
        (json!(2), Some(PowerMode::High)),
        (json!("High"), Some(PowerMode::High)),
        (json!("7"), None),
        (Value::Null, None),
    ] {
        let got = snapshot(move |s| s.info["power"]["mode"] = mode);
        assert_eq!(got.config.unwrap().power_mode, want);
    }
    let asleep = snapshot(|s| {
        s.info["miner"]["working"] = json!("false");
        s.summary["hash-realtime"] = json!(0);
    });
    // The average outlives a stop.
    assert!(asleep.stats.hashrate_mhs.unwrap().avg.unwrap().mhs() > 0.0);
    let config = asleep.config.unwrap();
    assert_eq!((config.suspended, config.power_mode), (Some(true), Some(PowerMode::Sleep)));
    assert_eq!((asleep.stats.state, asleep.stats.status), (State::Idle, Status::Sleeping));
    let lit = snapshot(|s| s.info["system"]["ledstatus"] = json!("manual"));
    assert_eq!(lit.config.unwrap().led_status, Some(true));
}

#[test]
fn states() {
    let state = |change: fn(&mut Script)| snapshot(change).stats.state;
    assert_eq!(state(|_| {}), State::Hashing);
    assert_eq!(state(|s| s.summary["hash-realtime"] = json!(0)), State::Fault);
    assert_eq!(state(|s| s.summary["hash-realtime"] = json!(100)), State::Degraded, "of 181");
    assert_eq!(state(|s| s.summary["up-freq-finish"] = json!(0)), State::Starting);
    let low: fn(&mut Script) = |s| {
        s.summary["hash-realtime"] = json!(100);
        s.info["power"]["mode"] = json!("0");
    };
    assert_eq!(state(low), State::Hashing, "a low mode has a rate of its own");
    let half: fn(&mut Script) = |s| {
        s.summary["hash-realtime"] = json!(100);
        s.info["miner"]["hash-percent"] = json!("60");
    };
    assert_eq!(state(half), State::Hashing);
    assert_eq!(state(|s| drop(s.edevs.as_array_mut().unwrap().pop())), State::Degraded);
}

#[test]
fn a_dead_mining_program_is_no_sleep() {
    let got = snapshot(|s| {
        s.info["error-code"] = json!("btminer process is down err");
        s.info["miner"]["working"] = json!("false");
        s.summary["hash-realtime"] = json!(0);
        s.summary["hash-average"] = json!(0);
    });
    assert_eq!((got.stats.status, got.stats.state), (Status::Error, State::Unknown));
    assert_eq!(got.config.unwrap().suspended, None);
    assert_eq!(got.raw_errors.unwrap().len(), 1);
}

#[test]
fn boards_keep_their_temperatures_and_serials_when_one_is_missing() {
    let got = snapshot(|s| drop(s.edevs.as_array_mut().unwrap().remove(1)));
    let boards: Vec<_> = got
        .stats
        .boards
        .iter()
        .map(|b| (b.slot, b.temperature_c.unwrap().get(), b.serial.as_deref().unwrap()))
        .collect();
    assert_eq!(boards, [(0, 41.1, "B0"), (2, 41.5, "B2")]);
    // A list as short as the boards goes by their order.
    let short = snapshot(|s| {
        s.edevs.as_array_mut().unwrap().remove(1);
        s.summary["board-temperature"] = json!([41.1, null]);
    });
    let pcb = &short.stats.temperature_c.as_ref().unwrap().pcb;
    let pcb: Vec<_> = pcb.iter().map(|t| (t.index, t.current.map(|c| c.get()))).collect();
    assert_eq!(pcb, [(0, Some(41.1)), (1, None)]);
    assert!(short.missing.contains_key("stats.temperature_c.pcb.current"));
    let alone = snapshot(|s| s.edevs = Value::Null);
    assert_eq!(alone.stats.temperature_c.unwrap().pcb.len(), 3);
}

#[test]
fn what_the_device_does_not_count_is_missing() {
    let got = snapshot(|_| {});
    for path in [
        "stats.all_pools_shares",
        "stats.pool_status.accepted",
        "stats.pool_status.rejected",
        "stats.pool_status.stale",
        "stats.hashrate_mhs.t_5s",
        "stats.frequency_mhz.target",
        "stats.miner_specific",
    ] {
        assert_eq!(got.missing.get(path), Some(&MissingReason::NotReported), "{path}");
    }
    let rates = got.stats.hashrate_mhs.unwrap();
    assert_eq!((rates.t_5m, rates.t_5s), (rates.t_1m, None));
    assert_eq!(got.substituted.get("stats.hashrate_mhs.t_5m").unwrap(), "stats.hashrate_mhs.t_1m");
    assert_eq!(got.config.unwrap().network_config.dns.as_ref().unwrap(), &["10.9.0.1", "1.1.1.1"]);
}

#[test]
fn pools_come_in_the_order_of_their_priority() {
    let got = snapshot(|s| {
        s.pools.as_array_mut().unwrap().reverse();
        s.pools.as_array_mut().unwrap().push(json!({"url": "stratum+tcp://third.example:1"}));
    });
    let urls: Vec<String> =
        got.config.unwrap().pool_config.unwrap().into_iter().map(|p| p.url.into()).collect();
    assert_eq!(
        urls,
        [
            "stratum+tcp://pool.example:3333",
            "stratum+tcp://backup.example:3333",
            "stratum+tcp://third.example:1"
        ]
    );
}
