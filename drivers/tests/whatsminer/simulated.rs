//! The driver beside simulated devices: what it asks, and whether it tells the truth.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use headframe_core::{
    ErrorKind, Result, ThingId,
    driver::{Driver, Thing},
    io::Ctx,
    model::{MinerSnapshot, MissingReason, State, ThingConf},
    testkit,
};
use headframe_drivers::whatsminer::Whatsminer;
use headframe_sim::{Device, Fault, Fleet, FleetBuilder, Join, Lie, Role, WhatsminerOptions};

use crate::device::pass;

const DEADLINE: Duration = Duration::from_secs(10);

async fn start(cx: &Ctx, options: WhatsminerOptions) -> (Fleet, Device, Arc<dyn Thing>) {
    let fleet =
        FleetBuilder::new().seed(7).base(Ipv4Addr::new(10, 7, 0, 1)).whatsminer(options).start(cx).await;
    let fleet = fleet.unwrap();
    let device = fleet.devices()[0].clone();
    let at = device.address(Role::Rpc).unwrap();
    let conf = ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer")
        .opt("address", at.ip().to_string())
        .opt("port", at.port());
    let thing = Whatsminer::new().open(cx, &conf).await.unwrap();
    (fleet, device, thing)
}

async fn read(cx: &Ctx, thing: &dyn Thing) -> Result<MinerSnapshot> {
    let cx = cx.deadline_in(DEADLINE);
    thing.snapshot(&cx).await.map(|s| s.miner().unwrap().clone())
}

/// Numbers equal the device's, less its rounding.
fn same_as_truth(got: &MinerSnapshot, device: &Device) {
    let truth = device.truth();
    let near = |what: &str, got: f64, want: f64, by: f64| {
        assert!((got - want).abs() <= by, "{what}: {got}, in truth {want}");
    };
    let stats = &got.stats;
    let rates = stats.hashrate_mhs.unwrap();
    near("now", rates.realtime.unwrap().mhs(), truth.rates.realtime, 0.02);
    near("5 s", rates.t_5s.unwrap().mhs(), truth.rates.s5, 0.02);
    near("average", rates.avg.unwrap().mhs(), truth.rates.average, 0.02);
    near("nominal", stats.nominal_hashrate_mhs.unwrap().mhs(), truth.nominal_mhs, 1e3);
    near("power", stats.power_w.unwrap().get(), truth.power_w, 0.51);
    near("limit", stats.power_limit_w.unwrap().get(), truth.power_limit_w, 0.51);
    near("efficiency", stats.efficiency_w_ths.unwrap().get(), truth.efficiency_jth().unwrap(), 0.02);
    let temps = stats.temperature_c.as_ref().unwrap();
    near("ambient", temps.ambient.unwrap().get(), truth.ambient_c, 0.11);
    near("chips", temps.avg.unwrap().get(), truth.chip_c(), 0.11);
    assert_eq!(stats.uptime_ms, Some(truth.elapsed_s * 1000));
    assert_eq!(stats.boards.len(), truth.boards.len());
    for (ours, theirs) in stats.boards.iter().zip(&truth.boards) {
        assert_eq!((ours.slot, ours.chips), (theirs.slot.into(), Some(theirs.chips.into())));
        assert_eq!(ours.serial.as_deref(), Some(theirs.serial.as_str()));
        near("board", ours.hashrate_mhs.unwrap().mhs(), theirs.rate_mhs, 0.02);
        near("hottest chip", ours.chip_max_c.unwrap().get(), theirs.chip_max_c, 0.11);
    }
    let fans: Vec<f64> =
        stats.fans.iter().filter(|f| f.name != "psu").map(|f| f.rpm.unwrap().into()).collect();
    assert_eq!(fans.len(), truth.fans_rpm.len());
    fans.iter().zip(&truth.fans_rpm).for_each(|(ours, theirs)| near("fan", *ours, *theirs, 1.0));
    let pools = stats.pool_status.as_ref().unwrap();
    assert_eq!(pools[0].accepted, Some(truth.accepted));
    assert_eq!(pools.len(), truth.pools.len());
    let info = got.info.as_deref().unwrap();
    assert_eq!((info.mac.as_deref(), info.serial.as_deref()), (Some(device.mac()), Some(device.serial())));
}

#[test]
fn all_kinds_of_joining_tell_the_truth_with_few_requests() {
    for (join, requests) in [(Join::All, 1), (Join::Reports, 3), (Join::None, 5)] {
        for (api, firmware) in [(5, "20230911.12.REL"), (4, "20230106.11.REL"), (1, "20220801.10.REL")] {
            testkit::run(|cx, _net| async move {
                let options = WhatsminerOptions {
                    join,
                    api,
                    firmware: firmware.into(),
                    ..WhatsminerOptions::default()
                };
                let (_fleet, device, thing) = start(&cx, options).await;
                device.set_errors(&["110", "5213"]);
                same_as_truth(&read(&cx, &*thing).await.unwrap(), &device);
                for _ in 0..4 {
                    pass(&cx, 60).await;
                    let before = device.requests();
                    let got = read(&cx, &*thing).await.unwrap();
                    assert_eq!(device.requests() - before, requests, "{join:?} {api}");
                    same_as_truth(&got, &device);
                    assert_eq!(got.stats.errors.len(), 2);
                    assert_eq!(got.stats.errors[1].component.as_deref(), Some("chip:1:3"));
                    assert!(got.stats.psu.as_ref().unwrap().temperature_c.is_some(), "{join:?} {api}");
                    assert_eq!(got.stats.state, State::Degraded);
                }
                assert!(device.peak_connections() <= 3);
            });
        }
    }
}

#[test]
fn firmware_without_an_error_command_has_its_errors_in_the_summary() {
    testkit::run(|cx, _net| async move {
        let options = WhatsminerOptions { api: 0, ..WhatsminerOptions::default() };
        let (_fleet, device, thing) = start(&cx, options).await;
        device.set_errors(&["532"]);
        for _ in 0..2 {
            let got = read(&cx, &*thing).await.unwrap();
            assert_eq!(got.raw_errors.unwrap()[0].text.as_deref(), Some("board 2: missing"));
        }
    });
}

#[test]
fn liquid_cooled_models_have_no_case_fans() {
    for model in [&headframe_sim::M56S, &headframe_sim::M63] {
        testkit::run(|cx, _net| async move {
            let options = WhatsminerOptions { model, ..WhatsminerOptions::default() };
            let (_fleet, device, thing) = start(&cx, options).await;
            let got = read(&cx, &*thing).await.unwrap();
            same_as_truth(&got, &device);
            assert!(got.info.unwrap().model_known);
        });
    }
}

#[test]
fn a_lost_board_and_dead_pools_show() {
    testkit::run(|cx, _net| async move {
        let (_fleet, device, thing) = start(&cx, WhatsminerOptions::default()).await;
        device.fault(Fault::BoardLost { slot: 1 });
        pass(&cx, 1800).await;
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!(got.stats.boards.iter().map(|b| b.slot).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(got.stats.state, State::Degraded);
        device.clear();
        device.fault(Fault::PoolsDead);
        pass(&cx, 1800).await;
        let got = read(&cx, &*thing).await.unwrap();
        assert_eq!((got.stats.is_mining, got.config.unwrap().suspended), (Some(false), Some(false)));
        assert_eq!(got.stats.state, State::Fault);
    });
}

#[test]
fn a_command_that_hangs_costs_its_own_members() {
    testkit::run(|cx, _net| async move {
        let options = WhatsminerOptions { join: Join::None, ..WhatsminerOptions::default() };
        let (_fleet, device, thing) = start(&cx, options).await;
        for (command, path) in
            [("get_psu", "stats.psu"), ("pools", "stats.pool_status"), ("edevs", "stats.boards")]
        {
            device.fault_on(command, Fault::Hang);
            let got = read(&cx, &*thing).await.unwrap();
            assert_eq!(got.missing.get(path), Some(&MissingReason::NoReply), "{command}");
            assert!(got.info.unwrap().model.is_some() && got.stats.power_w.is_some());
            device.clear();
            pass(&cx, 300).await;
            assert!(!read(&cx, &*thing).await.unwrap().missing.contains_key(path), "{command}");
        }
    });
}

#[test]
fn joined_requests_that_hang_are_given_up() {
    testkit::run(|cx, _net| async move {
        let (_fleet, device, thing) = start(&cx, WhatsminerOptions::default()).await;
        device.fault_on("get_version+get_miner_info+devdetails+get_psu", Fault::Hang);
        assert!(read(&cx, &*thing).await.unwrap().stats.psu.is_some());
        device.fault_on("summary+edevs+pools+status+get_error_code", Fault::Hang);
        assert_eq!(read(&cx, &*thing).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(read(&cx, &*thing).await.unwrap_err().kind(), ErrorKind::Timeout);
        same_as_truth(&read(&cx, &*thing).await.unwrap(), &device);
    });
}

#[test]
fn lies_of_the_wrong_sign_are_implausible() {
    testkit::run(|cx, _net| async move {
        let (_fleet, device, thing) = start(&cx, WhatsminerOptions::default()).await;
        device.fault(Fault::Lie(Lie::Negative));
        let got = read(&cx, &*thing).await.unwrap();
        for path in
            ["stats.power_w", "stats.hashrate_mhs.realtime", "stats.boards.hashrate_mhs", "stats.fans.rpm"]
        {
            assert_eq!(got.missing.get(path), Some(&MissingReason::Implausible), "{path}");
        }
        assert!(got.stats.power_w.is_none() && got.stats.fans[0].rpm.is_none());
    });
}

#[test]
fn faults_are_typed_errors_within_the_deadline() {
    for join in [Join::All, Join::Reports, Join::None] {
        for (fault, kinds) in [
            (Fault::Hang, vec![ErrorKind::Timeout]),
            (Fault::Refuse, vec![ErrorKind::Unreachable]),
            (Fault::Garbage, vec![ErrorKind::BadReply]),
            (Fault::HalfJson, vec![ErrorKind::BadReply]),
            (Fault::Cut { after: 60 }, vec![ErrorKind::BadReply, ErrorKind::Unreachable]),
            (Fault::Cut { after: 0 }, vec![ErrorKind::BadReply, ErrorKind::Unreachable]),
            (Fault::Oversized { bytes: 400_000 }, vec![ErrorKind::BadReply]),
            (Fault::Slow { delay: Duration::from_secs(60) }, vec![ErrorKind::Timeout]),
            (Fault::Drip { bytes: 1, every: Duration::from_secs(1) }, vec![ErrorKind::Timeout]),
        ] {
            testkit::run(|cx, _net| async move {
                let (_fleet, device, known) =
                    start(&cx, WhatsminerOptions { join, ..WhatsminerOptions::default() }).await;
                read(&cx, &*known).await.unwrap();
                device.fault(fault.clone());
                pass(&cx, 2).await;
                for _ in 0..4 {
                    let start = cx.clock.mono();
                    let e = read(&cx, &*known).await.unwrap_err();
                    assert!(kinds.contains(&e.kind()), "{join:?} {fault:?}: {e:?}");
                    assert!(cx.clock.mono().since(start) <= DEADLINE, "{join:?} {fault:?}");
                    pass(&cx, 60).await;
                }
                device.clear();
                pass(&cx, 2).await;
                assert!(read(&cx, &*known).await.unwrap().success, "{join:?} {fault:?}");
            });
        }
    }
}

#[test]
fn without_a_deadline_a_hanging_device_is_left_after_half_a_minute() {
    testkit::run(|cx, _net| async move {
        let (_fleet, device, thing) = start(&cx, WhatsminerOptions::default()).await;
        device.fault(Fault::Hang);
        let start = cx.clock.mono();
        assert_eq!(thing.snapshot(&cx).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(cx.clock.mono().since(start) <= Duration::from_secs(100));
    });
}

#[test]
fn a_unit_that_was_away_is_asked_by_one_request_again() {
    testkit::run(|cx, _net| async move {
        let (_fleet, device, thing) = start(&cx, WhatsminerOptions::default()).await;
        read(&cx, &*thing).await.unwrap();
        for fault in [Fault::Hang, Fault::Refuse, Fault::Garbage] {
            device.fault(fault);
            pass(&cx, 2).await;
            for _ in 0..5 {
                read(&cx, &*thing).await.unwrap_err();
                pass(&cx, 60).await;
            }
            device.clear();
            pass(&cx, 2).await;
            for _ in 0..3 {
                read(&cx, &*thing).await.unwrap();
            }
            let before = device.requests();
            read(&cx, &*thing).await.unwrap();
            assert_eq!(device.requests() - before, 1);
        }
    });
}
