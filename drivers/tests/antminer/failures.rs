//! What fails, what is used instead, and what the snapshot says of it.

use headframe_core::{
    ErrorKind,
    driver::Driver,
    io::MemNet,
    model::{MissingReason, State, Status},
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{AntminerOptions, Device, Door, Fault, FleetBuilder, Restarting, SidePort};
use std::{sync::Arc, time::Duration};

use crate::rig::{DEADLINE, Rig, conf, context, near, options, via};

#[tokio::test(start_paused = true)]
async fn a_refused_account_falls_back_and_is_not_offered_again() {
    let fleet = FleetBuilder::new().seed(7).antminers(1);
    let rig = Rig::with(fleet, |conf| conf.opt("password", "wrong")).await;
    for _ in 0..4 {
        let snapshot = rig.snapshot().await;
        assert_eq!(
            (via(&snapshot), snapshot.extra.get("web_error").and_then(|v| v.as_str())),
            ("rpc", Some("ERR_UNAUTHENTICATED"))
        );
        assert_eq!(snapshot.missing.get("config.network_config.mode"), Some(&MissingReason::Refused));
        assert_eq!(snapshot.missing.get("config.led_status"), Some(&MissingReason::Refused));
        assert_eq!(snapshot.config.unwrap().pool_config.unwrap().len(), 3);
        assert_eq!(snapshot.info.unwrap().model.as_deref(), Some("S21"));
        rig.wait(60).await;
    }
    assert_eq!(rig.count("auth.wrong"), 1);
    rig.wait(120).await;
    rig.snapshot().await;
    assert_eq!(rig.count("auth.wrong"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_account_and_a_closed_port_say_so() {
    let fleet = || FleetBuilder::new().seed(7).antminer(options(|o| o.rpc.listens = false));
    let rig = Rig::with(fleet(), |conf| conf.opt("password", "Rack_07x")).await;
    for _ in 0..3 {
        let e = rig.read().await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unauthenticated);
        let shown = format!("{e:?} {e} {:?} {:?}", std::error::Error::source(&e), rig.thing);
        assert!(!shown.contains("Rack_07x"), "{shown}");
    }
    assert_eq!(rig.count("auth.wrong"), 1);
    let rig = Rig::with(fleet(), |conf| conf).await;
    rig.snapshot().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_account_is_offered_once_even_when_nothing_else_answers() {
    let fleet = FleetBuilder::new().seed(7).antminers(1);
    let rig = Rig::with(fleet, |conf| conf.opt("password", "wrong")).await;
    rig.device().fault_on("rpc.stats", Fault::Hang);
    let kinds = [ErrorKind::Unauthenticated, ErrorKind::Timeout, ErrorKind::Timeout];
    for kind in kinds {
        assert_eq!(rig.read().await.unwrap_err().kind(), kind);
    }
    assert_eq!(rig.count("auth.wrong"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_web_port_falls_back() {
    for (new_api, name) in [(true, "rpc"), (false, "rpc_legacy")] {
        let rig = Rig::new(options(|o| {
            o.web = Door::Closed;
            o.rpc.new_api = new_api;
            o.rpc.missing_comma = true;
        }))
        .await;
        let got = rig.snapshot().await;
        let truth = rig.device().truth();
        assert_eq!(via(&got), name);
        let rates = got.stats.hashrate_mhs.unwrap();
        assert!(near(rates.t_5s.unwrap().mhs(), truth.rates.s5, 10.0));
        assert!(near(rates.t_30m.unwrap().mhs(), truth.rates.m30, 10.0));
        assert_eq!(got.stats.boards.len(), 3);
        assert_eq!(got.stats.boards[2].slot, 2);
        assert!(near(got.stats.boards[2].hashrate_mhs.unwrap().mhs(), truth.boards[2].rate_mhs, 10.0));
        assert_eq!(got.stats.fans.len(), 4);
        assert_eq!(got.stats.pool_status.as_ref().unwrap()[0].accepted, Some(truth.accepted));
        assert_eq!((got.stats.status, got.stats.state), (Status::Mining, State::Hashing));
        assert_eq!(got.missing.get("config.network_config.ip_address"), Some(&MissingReason::NoReply));
        assert_eq!(got.info.as_ref().unwrap().model.as_deref(), Some("S21"));
        assert_eq!(got.config.unwrap().firmware_ver.as_deref(), Some("Thu Oct  9 18:55:45 CST 2025"));
        let before = rig.device().requests();
        rig.snapshot().await;
        assert_eq!(rig.device().requests() - before, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_web_interface_is_used_again_when_it_returns() {
    let rig = Rig::new(AntminerOptions::default()).await;
    rig.device().fault_on("summary", Fault::Hang);
    rig.device().fault_on("rpc.stats", Fault::Slow { delay: Duration::from_secs(1) });
    assert_eq!(via(&rig.snapshot().await), "rpc");
    assert_eq!(via(&rig.snapshot().await), "rpc");
    // Two in a row: port 4028 is asked first now.
    let started = rig.cx.clock.mono();
    assert_eq!(via(&rig.snapshot().await), "rpc");
    assert!(rig.cx.clock.mono().since(started) < Duration::from_secs(3));
    rig.device().clear();
    assert_eq!(via(&rig.snapshot().await), "rpc");
    rig.wait(301).await;
    let back = rig.snapshot().await;
    assert_eq!(via(&back), "http");
    assert_eq!(back.extra.get("web_error"), None);
}

#[tokio::test(start_paused = true)]
async fn pages_that_are_forbidden_or_absent_fall_back() {
    let forbidden = Rig::new(options(|o| o.web = Door::Forbidden)).await;
    assert_eq!(forbidden.snapshot().await.missing.get("config.led_status"), Some(&MissingReason::Refused));
    let old = Rig::new(options(|o| o.lacks = ["summary", "stats", "pools"].map(Into::into).into())).await;
    let snapshot = old.snapshot().await;
    assert_eq!(via(&snapshot), "rpc");
    assert_eq!(snapshot.missing.get("config.led_status"), Some(&MissingReason::NotReported));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_absent_costs_only_itself() {
    let rig =
        Rig::new(options(|o| o.lacks = ["miner_type", "get_blink_status"].map(Into::into).into())).await;
    let snapshot = rig.snapshot().await;
    assert_eq!(snapshot.info.unwrap().model.as_deref(), Some("S21"));
    assert_eq!(snapshot.missing.get("config.led_status"), Some(&MissingReason::NotReported));
    assert_eq!(snapshot.config.unwrap().firmware_ver.as_deref(), Some("FR-1.12(251009-S21)"));
}

#[tokio::test(start_paused = true)]
async fn nothing_listens() {
    let rig = Rig::new(options(|o| {
        o.web = Door::Closed;
        o.rpc.listens = false;
    }))
    .await;
    let e = rig.read().await.unwrap_err();
    assert_eq!((e.kind(), e.fact("refused")), (ErrorKind::Unreachable, Some("true")));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_deadline() {
    let rig = Rig::new(AntminerOptions::default()).await;
    rig.snapshot().await;
    rig.device().fault(Fault::Hang);
    for _ in 0..4 {
        let started = rig.cx.clock.mono();
        assert_eq!(rig.read().await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(rig.cx.clock.mono().since(started) <= DEADLINE);
    }
    rig.device().clear();
    assert_eq!(via(&rig.snapshot().await), "http", "a machine that was off is read as before");
}

#[tokio::test(start_paused = true)]
async fn broken_replies_are_errors_and_never_values() {
    for fault in [
        Fault::Garbage,
        Fault::HalfJson,
        Fault::Flood,
        Fault::Cut { after: 0 },
        Fault::Cut { after: 40 },
        Fault::Cut { after: 400 },
        Fault::Oversized { bytes: 2 << 20 },
    ] {
        let rig = Rig::new(options(|o| o.side_port = SidePort::Json)).await;
        rig.device().fault(fault.clone());
        for _ in 0..2 {
            let e = rig.read().await.unwrap_err();
            let expected =
                matches!(e.kind(), ErrorKind::BadReply | ErrorKind::Unreachable | ErrorKind::Timeout);
            assert!(expected, "{fault:?}: {e}");
        }
        rig.device().clear();
        let snapshot = rig.snapshot().await;
        assert_eq!(snapshot.stats.state, State::Hashing, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_pieces_are_put_together() {
    let rig = Rig::new(options(|o| o.chunked = true)).await;
    rig.device().fault(Fault::Drip { bytes: 512, every: Duration::from_millis(10) });
    assert_eq!(rig.snapshot().await.stats.boards.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_live_page_fails_alone() {
    for (page, path) in
        [("stats", "stats.boards"), ("pools", "stats.pool_status"), ("summary", "stats.all_pools_shares")]
    {
        for (fault, reason) in [
            (Fault::Garbage, MissingReason::BadReply),
            (Fault::HalfJson, MissingReason::BadReply),
            (Fault::Hang, MissingReason::NoReply),
        ] {
            if (page, &fault) == ("summary", &Fault::Hang) {
                continue; // The first page that hangs is a web interface that hangs.
            }
            let rig = Rig::new(AntminerOptions::default()).await;
            rig.device().fault_on(page, fault);
            let snapshot = rig.snapshot().await;
            if page != "summary" {
                assert_eq!(snapshot.missing.get(path), Some(&reason), "{page}");
            }
            assert!(snapshot.missing.contains_key(path), "{page}");
            assert_eq!(
                (snapshot.stats.status, snapshot.stats.state),
                (Status::Mining, State::Hashing),
                "{page}"
            );
            assert!(snapshot.stats.hashrate_mhs.unwrap().avg.is_some(), "{page}");
            assert!(snapshot.stats.errors.is_empty(), "{page}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_summary_and_stats_nobody_knows() {
    let rig = Rig::new(AntminerOptions::default()).await;
    rig.device().fault_on("summary", Fault::Garbage);
    rig.device().fault_on("stats", Fault::HalfJson);
    let snapshot = rig.snapshot().await;
    assert_eq!((snapshot.stats.status, snapshot.stats.state), (Status::Error, State::Unknown));
    assert_eq!((snapshot.stats.hashrate_mhs, snapshot.stats.is_mining), (None, None));
    assert_eq!(snapshot.missing.get("stats.hashrate_mhs"), Some(&MissingReason::BadReply));
    assert!(snapshot.stats.pool_status.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_drops_connections_is_an_error_and_then_over() {
    let rig = Rig::new(options(|o| o.restarting = Restarting::Drop)).await;
    rig.snapshot().await;
    rig.set_mode(0).await;
    rig.wait(2).await;
    let e = rig.read().await.unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::BadReply | ErrorKind::Unreachable), "{e}");
    rig.wait(60).await;
    assert_eq!(via(&rig.snapshot().await), "http");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_poll_leaves_the_thing_usable() {
    let rig = Rig::new(AntminerOptions::default()).await;
    rig.device().fault_on("stats", Fault::Hang);
    let short = rig.cx.deadline_in(Duration::from_secs(60));
    tokio::select! {
        biased;
        _ = rig.thing.snapshot(&short) => unreachable!("the machine hangs"),
        () = rig.wait(1) => {}
    }
    rig.device().clear();
    let snapshot = rig.snapshot().await;
    assert_eq!((snapshot.stats.state, via(&snapshot)), (State::Hashing, "http"));
}

#[tokio::test(start_paused = true)]
async fn a_host_name_is_looked_up_again_when_nobody_answers() {
    let net = MemNet::new();
    let mut cx = context();
    cx.net = Arc::new(net.clone());
    let fleet = FleetBuilder::new().seed(7).antminers(2).start(&cx).await.unwrap();
    let ips: Vec<_> = fleet.devices().iter().map(Device::ip).collect();
    net.name("am1.site.example", ips[0]);
    let conf = conf(&fleet.devices()[0]).opt("address", "am1.site.example");
    let thing = Antminer::new().open(&cx, &conf).await.unwrap();
    let rig = Rig { cx, fleet, thing };
    rig.snapshot().await;
    rig.device().fault(Fault::Refuse);
    rig.wait(1).await;
    net.name("am1.site.example", ips[1]);
    assert_eq!(rig.read().await.unwrap_err().kind(), ErrorKind::Unreachable);
    let moved = rig.snapshot().await;
    assert_eq!(moved.stats.state, State::Hashing);
    let mac = moved.info.unwrap().mac.clone();
    assert_eq!(mac.as_deref(), Some(rig.fleet.devices()[1].mac()));
    assert_eq!(moved.stats.all_pools_shares, None, "another machine has other counters");
}
