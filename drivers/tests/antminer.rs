//! The Antminer driver against simulated machines, over the in-memory network.
#![cfg(feature = "antminer")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use headframe_core::{
    Error, ErrorKind, Secret, ThingId,
    codec::http::HttpClient,
    driver::{Driver, Thing},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::{MinerSnapshot, MissingReason, PowerMode, State, Status, ThingConf},
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{
    AntminerModel, AntminerOptions, Device, Door, Fault, Fleet, FleetBuilder, Lie, PowerKey, Restarting,
    Role, SidePort,
};

const DEADLINE: Duration = Duration::from_secs(20);

struct Rig {
    cx: Ctx,
    fleet: Fleet,
    thing: Arc<dyn Thing>,
}

fn context() -> Ctx {
    let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
    Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()))
}

fn conf(device: &Device) -> ThingConf {
    ThingConf::new(ThingId::new("am1").unwrap(), "antminer")
        .opt("address", device.ip().to_string())
        .opt("port", 14_080)
        .opt("rpc_port", 14_028)
        .opt("side_port", 16_060)
}

impl Rig {
    async fn new(options: AntminerOptions) -> Self {
        Self::with(FleetBuilder::new().seed(7).antminer(options), |conf| conf).await
    }

    async fn with(fleet: FleetBuilder, change: impl Fn(ThingConf) -> ThingConf) -> Self {
        let cx = context();
        let fleet = fleet.start(&cx).await.unwrap();
        let conf = change(conf(&fleet.devices()[0]));
        let thing = Antminer::new().open(&cx, &conf).await.unwrap();
        Self { cx, fleet, thing }
    }

    fn device(&self) -> &Device {
        &self.fleet.devices()[0]
    }

    async fn read(&self) -> Result<MinerSnapshot, Error> {
        let cx = self.cx.deadline_in(DEADLINE);
        let out = cx.within("test", self.thing.snapshot(&cx)).await?;
        Ok(out.miner().unwrap().clone())
    }

    async fn snapshot(&self) -> MinerSnapshot {
        self.read().await.unwrap()
    }

    async fn wait(&self, seconds: u64) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + Duration::from_secs(seconds)).await;
    }

    fn count(&self, name: &str) -> u64 {
        self.device().counts().get(name).copied().unwrap_or(0)
    }

    /// Changes the machine's configuration as its web page does.
    async fn set_mode(&self, mode: u8) {
        let at = self.device().address(Role::Web).unwrap();
        let web = HttpClient::new(at, "am").credentials("root", Secret::new("root"));
        let body = Bytes::from(format!("{{\"miner-mode\":{mode}}}"));
        web.post(&self.cx, "/cgi-bin/set_miner_conf.cgi", "application/json", body).await.unwrap();
    }
}

fn options(change: impl FnOnce(&mut AntminerOptions)) -> AntminerOptions {
    let mut options = AntminerOptions::default();
    change(&mut options);
    options
}

fn near(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() <= by
}

#[tokio::test(start_paused = true)]
async fn three_requests_over_one_connection_a_poll() {
    let rig = Rig::new(AntminerOptions::default()).await;
    let first = rig.snapshot().await;
    assert_eq!(first.extra["transport"], "http");
    assert_eq!(rig.count("auth.missing"), 1);
    for _ in 0..3 {
        rig.wait(20).await;
        let (requests, connections) = (rig.device().requests(), rig.device().connections());
        let snapshot = rig.snapshot().await;
        assert_eq!(rig.device().requests() - requests, 3);
        assert_eq!(rig.device().connections() - connections, 1);
        assert_eq!(snapshot.age_ms["live"], 0);
        assert!(snapshot.age_ms["info"] > 0);
    }
    assert_eq!(rig.count("auth.missing"), 1, "the nonce is used again");
    tokio::task::yield_now().await;
    assert_eq!(rig.device().open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn slow_values_are_read_every_five_minutes() {
    let rig = Rig::new(AntminerOptions::default()).await;
    rig.snapshot().await;
    for _ in 0..9 {
        rig.wait(60).await;
        rig.snapshot().await;
    }
    assert_eq!((rig.count("summary"), rig.count("get_miner_conf"), rig.count("miner_type")), (10, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_side_port_is_asked_for_what_only_it_has() {
    for (power_key, requests) in [(PowerKey::Watt, 4), (PowerKey::Absent, 5)] {
        let rig = Rig::new(options(|o| {
            o.side_port = SidePort::Json;
            o.power_key = power_key;
        }))
        .await;
        rig.snapshot().await;
        let before = rig.device().requests();
        let snapshot = rig.snapshot().await;
        assert_eq!(rig.device().requests() - before, requests);
        assert!(near(snapshot.stats.power_w.unwrap().get(), rig.device().truth().power_w, 1.0));
        rig.device().set_errors(&["V:1"]);
        let snapshot = rig.snapshot().await;
        assert_eq!(snapshot.stats.errors.len(), 1, "the self-test shows the same error");
        assert_eq!(snapshot.stats.errors[0].name.as_deref(), Some("power_init_error"));
        assert_eq!((snapshot.stats.status, snapshot.stats.state), (Status::Error, State::Degraded));
    }
}

#[tokio::test(start_paused = true)]
async fn a_side_port_that_wants_the_account_gets_it() {
    let rig = Rig::new(options(|o| {
        o.side_port = SidePort::Json;
        o.side_port_auth = true;
        o.power_key = PowerKey::Absent;
    }))
    .await;
    assert!(rig.snapshot().await.stats.power_w.is_some());
    rig.snapshot().await;
    assert_eq!((rig.count("auth.missing"), rig.count("auth.wrong")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_side_port_without_the_command_is_left_alone() {
    let rig = Rig::new(options(|o| {
        o.side_port = SidePort::OldText;
        o.power_key = PowerKey::Absent;
    }))
    .await;
    let snapshot = rig.snapshot().await;
    assert_eq!(snapshot.missing["stats.power_w"], MissingReason::NotReported);
    assert_eq!(snapshot.missing["stats.efficiency_w_ths"], MissingReason::Derived);
    let before = rig.device().requests();
    rig.snapshot().await;
    assert_eq!(rig.device().requests() - before, 3);
    rig.wait(601).await;
    let before = rig.count("side.warning") + rig.count("warning");
    rig.snapshot().await;
    assert_eq!(rig.count("side.warning") + rig.count("warning") - before, 1, "tried again after ten minutes");
}

#[tokio::test(start_paused = true)]
async fn values_are_the_machines() {
    for model in [
        AntminerModel::S21,
        AntminerModel::S21_PRO,
        AntminerModel::S21_PLUS_HYD,
        AntminerModel::S19_XP,
        AntminerModel::S19_XP_HYD,
        AntminerModel::UNKNOWN,
    ] {
        let rig = Rig::new(options(|o| o.model = model)).await;
        let (got, truth) = (rig.snapshot().await, rig.device().truth());
        let (stats, info) = (&got.stats, got.info.as_ref().unwrap());
        let name = model.sheet.name;
        let rates = stats.hashrate_mhs.unwrap();
        assert!(near(rates.t_5s.unwrap().mhs(), truth.rates.s5, 10.0), "{name}");
        assert!(near(rates.avg.unwrap().mhs(), truth.rates.average, 10.0), "{name}");
        assert!(near(rates.t_30m.unwrap().mhs(), truth.rates.m30, 10.0), "{name}");
        assert!(near(stats.power_w.unwrap().get(), truth.power_w, 1.0), "{name}");
        assert_eq!(stats.uptime_ms, Some(truth.elapsed_s * 1000), "{name}");
        assert_eq!(stats.boards.len(), truth.boards.len(), "{name}");
        for (board, true_one) in stats.boards.iter().zip(&truth.boards) {
            assert!(near(board.hashrate_mhs.unwrap().mhs(), true_one.rate_mhs, 10.0), "{name}");
            assert!(near(board.temperature_c.unwrap().get(), true_one.pcb_c, 0.6), "{name}");
            assert_eq!(board.chips, Some(u32::from(true_one.chips)), "{name}");
            assert_eq!(board.serial.as_deref(), Some(true_one.serial.as_str()), "{name}");
            let hottest = board.chip_max_c.unwrap().get();
            assert!(near(hottest, true_one.chip_max_c, 8.0), "{name}: {hottest} {}", true_one.chip_max_c);
        }
        for temps in &stats.temperature_c.as_ref().unwrap().temp {
            assert!(temps.pcb_inlet.unwrap() < temps.pcb_outlet.unwrap(), "{name}");
        }
        let fans: Vec<f64> = stats.fans.iter().map(|f| f64::from(f.rpm.unwrap())).collect();
        assert_eq!(fans, truth.fans_rpm.iter().map(|r| r.round()).collect::<Vec<_>>(), "{name}");
        let pool = &stats.pool_status.as_ref().unwrap()[0];
        assert_eq!((pool.accepted, pool.alive), (Some(truth.accepted), Some(true)), "{name}");
        assert_eq!(info.mac.as_deref(), Some(rig.device().mac()), "{name}");
        assert_eq!(info.serial.as_deref(), Some(rig.device().serial()), "{name}");
        assert_eq!(info.hostname.as_deref(), Some(truth.hostname.as_str()), "{name}");
        assert_eq!(info.vendor_model.as_deref(), Some(name));
        assert_eq!(info.model_known, model != AntminerModel::UNKNOWN, "{name}");
        assert_eq!((stats.status, stats.state), (Status::Mining, State::Hashing), "{name}");
        assert_eq!(stats.is_mining, Some(true), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn shares_count_between_snapshots() {
    let rig = Rig::new(AntminerOptions::default()).await;
    let first = rig.snapshot().await;
    assert_eq!(first.missing["stats.all_pools_shares"], MissingReason::Derived);
    let before = rig.device().truth().accepted;
    rig.wait(300).await;
    let shares = rig.snapshot().await.stats.all_pools_shares.unwrap();
    assert_eq!(shares.accepted, rig.device().truth().accepted - before);
}

#[tokio::test(start_paused = true)]
async fn a_stale_nonce_costs_one_round() {
    let rig = Rig::new(options(|o| o.nonce_ttl = Duration::from_secs(30))).await;
    rig.snapshot().await;
    rig.wait(31).await;
    assert_eq!(rig.snapshot().await.extra["transport"], "http");
    assert_eq!((rig.count("auth.missing"), rig.count("auth.wrong")), (1, 0));
    assert_eq!(rig.count("auth.stale"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_account_falls_back_and_is_not_offered_again() {
    let fleet = FleetBuilder::new().seed(7).antminers(1);
    let rig = Rig::with(fleet, |conf| conf.opt("password", "wrong")).await;
    for _ in 0..4 {
        let snapshot = rig.snapshot().await;
        assert_eq!(
            (&snapshot.extra["transport"], &snapshot.extra["web_error"]),
            (&"rpc".into(), &"ERR_UNAUTHENTICATED".into())
        );
        assert_eq!(snapshot.missing["config.network_config.mode"], MissingReason::Refused);
        assert_eq!(snapshot.missing["config.led_status"], MissingReason::Refused);
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
        assert_eq!(got.extra["transport"], name);
        let rates = got.stats.hashrate_mhs.unwrap();
        assert!(near(rates.t_5s.unwrap().mhs(), truth.rates.s5, 10.0));
        assert!(near(rates.t_30m.unwrap().mhs(), truth.rates.m30, 10.0));
        assert_eq!(got.stats.boards.len(), 3);
        assert_eq!(got.stats.boards[2].slot, 2);
        assert!(near(got.stats.boards[2].hashrate_mhs.unwrap().mhs(), truth.boards[2].rate_mhs, 10.0));
        assert_eq!(got.stats.fans.len(), 4);
        assert_eq!(got.stats.pool_status.as_ref().unwrap()[0].accepted, Some(truth.accepted));
        assert_eq!((got.stats.status, got.stats.state), (Status::Mining, State::Hashing));
        assert_eq!(got.missing["config.network_config.ip_address"], MissingReason::NoReply);
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
    assert_eq!(rig.snapshot().await.extra["transport"], "rpc");
    assert_eq!(rig.snapshot().await.extra["transport"], "rpc");
    // Two in a row: port 4028 is asked first now.
    let started = rig.cx.clock.mono();
    assert_eq!(rig.snapshot().await.extra["transport"], "rpc");
    assert!(rig.cx.clock.mono().since(started) < Duration::from_secs(3));
    rig.device().clear();
    assert_eq!(rig.snapshot().await.extra["transport"], "rpc");
    rig.wait(301).await;
    let back = rig.snapshot().await;
    assert_eq!(back.extra["transport"], "http");
    assert_eq!(back.extra.get("web_error"), None);
}

#[tokio::test(start_paused = true)]
async fn pages_that_are_forbidden_or_absent_fall_back() {
    let forbidden = Rig::new(options(|o| o.web = Door::Forbidden)).await;
    assert_eq!(forbidden.snapshot().await.missing["config.led_status"], MissingReason::Refused);
    let old = Rig::new(options(|o| o.lacks = ["summary", "stats", "pools"].map(Into::into).into())).await;
    let snapshot = old.snapshot().await;
    assert_eq!(snapshot.extra["transport"], "rpc");
    assert_eq!(snapshot.missing["config.led_status"], MissingReason::NotReported);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_absent_costs_only_itself() {
    let rig =
        Rig::new(options(|o| o.lacks = ["miner_type", "get_blink_status"].map(Into::into).into())).await;
    let snapshot = rig.snapshot().await;
    assert_eq!(snapshot.info.unwrap().model.as_deref(), Some("S21"));
    assert_eq!(snapshot.missing["config.led_status"], MissingReason::NotReported);
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
    assert_eq!(rig.snapshot().await.extra["transport"], "http", "a machine that was off is read as before");
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
                assert_eq!(snapshot.missing[path], reason, "{page}");
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
    assert_eq!(snapshot.missing["stats.hashrate_mhs"], MissingReason::BadReply);
    assert!(snapshot.stats.pool_status.is_some());
}

#[tokio::test(start_paused = true)]
async fn sleep_low_power_and_waking() {
    for sleep_empty in [true, false] {
        let rig = Rig::new(options(|o| o.sleep_empty = sleep_empty)).await;
        rig.snapshot().await;
        rig.set_mode(1).await;
        rig.wait(60).await;
        let asleep = rig.snapshot().await;
        assert_eq!((asleep.stats.status, asleep.stats.state), (Status::Sleeping, State::Idle));
        assert_eq!(asleep.stats.hashrate_mhs.unwrap().t_5s.unwrap().mhs(), 0.0);
        assert_eq!(asleep.stats.is_mining, Some(false));
        let config = asleep.config.unwrap();
        assert_eq!((config.power_mode, config.suspended), (Some(PowerMode::Sleep), Some(true)));
        if sleep_empty {
            assert_eq!(asleep.missing["stats.boards"], MissingReason::Asleep);
        }
        rig.set_mode(3).await;
        rig.wait(5).await;
        let waking = rig.snapshot().await;
        assert_eq!((waking.stats.status, waking.stats.state), (Status::NotMining, State::Starting));
        assert_eq!(waking.stats.hashrate_mhs, None);
        rig.wait(1800).await;
        let low = rig.snapshot().await;
        assert_eq!(low.stats.status, Status::Mining);
        assert_eq!(low.config.unwrap().power_mode, Some(PowerMode::Low));
    }
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
    assert_eq!(rig.snapshot().await.extra["transport"], "http");
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_in_the_machine_shows() {
    let rig = Rig::new(AntminerOptions::default()).await;
    rig.device().fault(Fault::BoardLost { slot: 1 });
    rig.wait(2).await;
    let lost = rig.snapshot().await;
    assert_eq!((lost.stats.state, lost.stats.boards.len()), (State::Degraded, 2));
    assert_eq!(lost.info.unwrap().boards_expected, Some(3));
    assert_eq!(lost.stats.boards[1].slot, 2);
    rig.device().clear();

    let rig = Rig::new(AntminerOptions::default()).await;
    rig.device().fault(Fault::FanFailed { fan: 2 });
    rig.wait(2).await;
    let fan = rig.snapshot().await;
    assert_eq!(fan.stats.fans[2].rpm, Some(0));
    assert_eq!(fan.stats.errors[0].component.as_deref(), Some("fans"));

    let rig = Rig::new(AntminerOptions::default()).await;
    rig.device().fault(Fault::PoolsDead);
    rig.wait(1800).await;
    let dead = rig.snapshot().await;
    assert_eq!(dead.stats.errors[0].name.as_deref(), Some("all_pools_dead"));
    assert_eq!((dead.stats.status, dead.stats.state), (Status::Error, State::Fault));
    assert_eq!(dead.stats.is_mining, Some(false));
}

#[tokio::test(start_paused = true)]
async fn impossible_values_are_absent() {
    let rig = Rig::new(AntminerOptions::default()).await;
    rig.device().fault(Fault::Lie(Lie::Negative));
    let snapshot = rig.snapshot().await;
    for path in ["stats.hashrate_mhs.t_5s", "stats.power_w", "stats.boards.hashrate_mhs", "stats.fans.rpm"] {
        assert_eq!(snapshot.missing[path], MissingReason::Implausible, "{path}");
    }
    assert_eq!((snapshot.stats.state, snapshot.stats.is_mining), (State::Unknown, None));
    assert_eq!(snapshot.stats.status, Status::Error);
    assert!(snapshot.stats.errors[0].msg.is_some() && snapshot.success);
    rig.device().clear();
    rig.device().fault(Fault::Lie(Lie::Factor(1e3)));
    let snapshot = rig.snapshot().await;
    assert_eq!(snapshot.missing["stats.temperature_c.max"], MissingReason::Implausible);
    rig.device().clear();
    rig.device().fault(Fault::Lie(Lie::Zero));
    let snapshot = rig.snapshot().await;
    assert_eq!(snapshot.missing["stats.temperature_c.max"], MissingReason::Sentinel);
    assert_eq!(snapshot.stats.is_mining, Some(false));
}

#[tokio::test(start_paused = true)]
async fn many_snapshots_at_once_are_served_one_by_one() {
    let rig = Arc::new(Rig::new(AntminerOptions::default()).await);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let rig = rig.clone();
            tokio::spawn(async move { rig.snapshot().await.stats.state })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), State::Hashing);
    }
    assert_eq!(rig.device().peak_connections(), 1);
    assert_eq!((rig.count("auth.missing"), rig.count("auth.wrong")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn connections_are_kept_when_told() {
    let mut rig = Rig::new(AntminerOptions::default()).await;
    rig.cx.keep_connections = true;
    rig.snapshot().await;
    rig.wait(10).await;
    rig.snapshot().await;
    assert_eq!((rig.device().connections(), rig.device().open_connections()), (1, 1));
    rig.thing.close().await;
    tokio::task::yield_now().await;
    assert_eq!(rig.device().open_connections(), 0);
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
    assert_eq!((snapshot.stats.state, &snapshot.extra["transport"]), (State::Hashing, &"http".into()));
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
    net.name("am1.site.example", ips[1]);
    assert_eq!(rig.read().await.unwrap_err().kind(), ErrorKind::Unreachable);
    let moved = rig.snapshot().await;
    assert_eq!(moved.stats.state, State::Hashing);
    rig.wait(301).await;
    let mac = rig.snapshot().await.info.unwrap().mac.clone();
    assert_eq!(mac.as_deref(), Some(rig.fleet.devices()[1].mac()));
}

#[tokio::test(start_paused = true)]
async fn it_only_reads() {
    use headframe_core::{driver::Direct, model::Command};
    let rig = Rig::new(AntminerOptions::default()).await;
    assert!(rig.thing.capability().commands.is_empty());
    let direct = Direct::open(&Antminer::new(), &rig.cx, &conf(rig.device())).await.unwrap();
    let e = direct.execute(&rig.cx, &Command::Reboot).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert_eq!(rig.device().requests(), 0);
}
