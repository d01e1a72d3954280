//! Cases of a device that behaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a failed case ends its test"
)]

use std::{sync::Arc, time::Duration};

use super::{Rig, RigTruth, TraceNet, rig::SEED};
use crate::{
    ErrorKind, Result,
    discover::{Outcome, open_one, probe_one},
    driver::{Direct, Registry, Thing},
    io::{Ctx, SeededRng},
    model::{MinerSnapshot, Snapshot, ThingConf},
};

/// Time that any one case gives a snapshot.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn open(rig: &impl Rig) -> Arc<dyn Thing> {
    open_with(rig, &rig.cx(), &rig.conf()).await.expect("the configuration is right")
}

async fn open_with(rig: &impl Rig, cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
    let cx = cx.deadline_in(DEADLINE);
    cx.within("conformance.open", rig.driver().open(&cx, conf)).await
}

pub(super) async fn read(cx: &Ctx, thing: &dyn Thing) -> Result<Snapshot> {
    let cx = cx.deadline_in(DEADLINE);
    cx.within("conformance.snapshot", thing.snapshot(&cx)).await
}

async fn good(cx: &Ctx, thing: &dyn Thing) -> MinerSnapshot {
    let snapshot = read(cx, thing).await.expect("a healthy device is read");
    snapshot.miner().expect("a miner").clone()
}

/// Its id, kind, maker and page are there.
pub async fn info_is_well_formed(rig: impl Rig) {
    let driver = rig.driver();
    let info = driver.info();
    assert!(info.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    assert!(!info.kind.is_empty() && !info.make.is_empty());
    assert!(info.docs.len() > 500, "the driver's page says what it supports and what is doubtful");
    assert!(!driver.probes().is_empty());
    let e = open_with(&rig, &rig.cx(), &ThingConf::new(rig.conf().id, info.id)).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("address")));
}

/// The scanner finds the device, and the driver leaves all other families alone.
pub async fn recognises_its_own_device_and_no_other(rig: impl Rig) {
    let mut registry = Registry::new();
    registry.register_arc(rig.driver());
    let (host, ports) = rig.at();
    let outcome = probe_one(&rig.cx().deadline_in(DEADLINE), &registry, &host, ports).await.unwrap();
    let Outcome::Device(found) = outcome else { panic!("its own device is not recognised: {outcome:?}") };
    assert_eq!(found.driver, rig.driver().info().id);
    let thing = registry.open(&rig.cx().deadline_in(DEADLINE), &found.conf(rig.conf().id)).await;
    assert!(thing.is_ok(), "what the scanner found can be opened: {thing:?}");
    for stranger in rig.strangers() {
        assert_eq!(rig.driver().recognise(&stranger), None, "claims a stranger: {stranger:?}");
    }
}

/// A wrong password is an error that says so, or does no harm where reading needs none.
pub async fn wrong_password_is_told(rig: impl Rig) {
    let cx = rig.cx();
    let thing = open_with(&rig, &cx, &rig.conf_with_wrong_password()).await.unwrap();
    let outcome = read(&cx, &*thing).await;
    if rig.reads_need_password() {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unauthenticated);
    } else {
        assert!(outcome.unwrap().miner().unwrap().success);
    }
}

/// Numbers equal what the device does.
pub async fn snapshot_is_the_devices_truth(rig: impl Rig) {
    let (cx, thing) = (rig.cx(), open(&rig).await);
    good(&cx, &*thing).await;
    rig.pass(Duration::from_secs(1800)).await;
    let (snapshot, truth) = (good(&cx, &*thing).await, rig.truth());
    assert!(snapshot.success && truth.mining);
    assert_eq!(snapshot.stats.is_mining, Some(true));
    check_numbers(&snapshot, &truth, tells_power(&rig));
    let shares = snapshot.stats.all_pools_shares;
    assert_ne!(shares.is_some(), rig.never_reported().contains(&"stats.all_pools_shares"));
    assert!(shares.is_none_or(|s| s.accepted > 0 && s.accepted <= truth.accepted));
}

/// Some firmwares tell no power anywhere.
fn tells_power(rig: &impl Rig) -> bool {
    !rig.never_reported().contains(&"stats.power_w")
}

fn check_numbers(snapshot: &MinerSnapshot, truth: &RigTruth, tells_power: bool) {
    let near = |what: &str, got: f64, want: f64, share: f64| {
        assert!((got - want).abs() <= want.abs() * share, "{what}: {got}, in truth {want}");
    };
    let stats = &snapshot.stats;
    let rate = stats.hashrate_mhs.and_then(|h| h.current()).expect("a hashrate").mhs();
    near("hashrate", rate, truth.hashrate_mhs, 0.10);
    if tells_power {
        near("power", stats.power_w.expect("power").get(), truth.power_w, 0.05);
    }
    let hottest = stats.temperature_c.as_ref().and_then(|t| t.max).expect("a chip temperature").get();
    near("hottest chip", hottest, truth.chip_max_c, 0.10);
    assert_eq!(stats.boards.len(), truth.boards);
    let on_boards: f64 = stats.boards.iter().filter_map(|b| b.hashrate_mhs).map(|h| h.mhs()).sum();
    near("sum of the boards", on_boards, truth.hashrate_mhs, 0.10);
    assert!(stats.fans.iter().all(|fan| fan.rpm.is_none_or(|rpm| rpm < 20_000)));
}

/// Paths of the members that a miner's snapshot should have, and whether this one has them.
fn expected_members(s: &MinerSnapshot) -> Vec<(&'static str, bool)> {
    let (stats, info) = (&s.stats, s.info.as_deref());
    let config = s.config.as_ref();
    vec![
        ("stats.is_mining", stats.is_mining.is_some()),
        ("stats.power_w", stats.power_w.is_some()),
        ("stats.efficiency_w_ths", stats.efficiency_w_ths.is_some()),
        ("stats.uptime_ms", stats.uptime_ms.is_some()),
        ("stats.hashrate_mhs", stats.hashrate_mhs.is_some()),
        ("stats.nominal_hashrate_mhs", stats.nominal_hashrate_mhs.is_some()),
        ("stats.frequency_mhz", stats.frequency_mhz.is_some()),
        ("stats.temperature_c", stats.temperature_c.is_some()),
        ("stats.pool_status", stats.pool_status.is_some()),
        ("stats.all_pools_shares", stats.all_pools_shares.is_some()),
        ("stats.boards", !stats.boards.is_empty()),
        ("stats.fans", !stats.fans.is_empty()),
        ("raw_errors", s.raw_errors.is_some()),
        ("config.pool_config", config.is_some_and(|c| c.pool_config.is_some())),
        ("config.power_mode", config.is_some_and(|c| c.power_mode.is_some())),
        ("config.suspended", config.is_some_and(|c| c.suspended.is_some())),
        ("config.led_status", config.is_some_and(|c| c.led_status.is_some())),
        ("config.firmware_ver", config.is_some_and(|c| c.firmware_ver.is_some())),
        ("config.network_config.ip_address", config.is_some_and(|c| c.network_config.ip_address.is_some())),
        ("info.model", info.is_some_and(|i| i.model.is_some())),
        ("info.mac", info.is_some_and(|i| i.mac.is_some())),
        ("info.firmware", info.is_some_and(|i| i.firmware.is_some())),
    ]
}

/// Paths of all members that a miner's snapshot should have.
pub fn expected() -> Vec<&'static str> {
    expected_members(&MinerSnapshot::default()).into_iter().map(|(path, _)| path).collect()
}

/// Whatever is absent says why, and a healthy device lacks nothing that its family reports.
pub async fn absent_members_have_a_reason(rig: impl Rig) {
    let (cx, thing) = (rig.cx(), open(&rig).await);
    let first = good(&cx, &*thing).await;
    for (path, there) in expected_members(&first) {
        assert!(there || first.missing.contains_key(path), "{path} is absent without a reason");
    }
    rig.pass(Duration::from_secs(1800)).await;
    let second = good(&cx, &*thing).await;
    for (path, there) in expected_members(&second) {
        assert!(there || rig.never_reported().contains(&path), "{path} is absent: {:?}", second.missing);
        assert!(!there || !second.missing.contains_key(path), "{path} is there and said to be missing");
    }
    let json = serde_json::to_string(&second).unwrap();
    assert!(!json.contains(":null"), "an absent member is absent, not null: {json}");
    let back: Snapshot = serde_json::from_str(&json).unwrap();
    assert_eq!(back.miner(), Some(&second), "JSON carries the snapshot without loss");
}

/// Every group states its age; live values are of now, all others at most 10 minutes old.
pub async fn slow_values_are_at_most_ten_minutes_old(rig: impl Rig) {
    let (cx, thing) = (rig.cx(), open(&rig).await);
    for _ in 0..45 {
        let snapshot = good(&cx, &*thing).await;
        let live = snapshot.age_ms.get("live").expect("live values state their age");
        assert!(*live <= 10_000);
        // A device that lacks members may well have live values only.
        let several = snapshot.age_ms.len() > 1 || !rig.never_reported().is_empty();
        assert!(several, "slow groups state their age: {:?}", snapshot.age_ms);
        for (group, age) in snapshot.age_ms.iter() {
            assert!(*age <= 600_000, "{group} is {age} ms old");
        }
        rig.pass(Duration::from_secs(60)).await;
    }
}

/// Neither `Debug` nor errors show a password.
pub async fn secrets_do_not_show(rig: impl Rig) {
    let (cx, thing) = (rig.cx(), open(&rig).await);
    let snapshot = good(&cx, &*thing).await;
    let mut shown = format!(
        "{thing:?} {:?} {:?} {}",
        rig.conf(),
        rig.driver(),
        serde_json::to_string(&snapshot).unwrap()
    );
    for conf in [rig.conf_with_wrong_password(), rig.conf().opt("password", 424_242)] {
        match open_with(&rig, &cx, &conf).await {
            Ok(thing) => shown += &format!("{thing:?} {:?}", read(&cx, &*thing).await.map(|_| ())),
            Err(e) => shown += &format!("{e:?} {e}"),
        }
    }
    for secret in rig.secrets() {
        assert!(!shown.contains(&secret), "a secret is shown");
    }
    assert!(!shown.contains("424242"), "a password of the wrong type is shown");
}

/// A hundred callers get a hundred whole snapshots.
pub async fn a_hundred_snapshots_at_once(rig: impl Rig) {
    let (cx, thing) = (rig.cx().deadline_in(Duration::from_secs(120)), open(&rig).await);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (cx, thing) = (cx.clone(), thing.clone());
        all.spawn(async move { thing.snapshot(&cx).await });
    }
    let mut whole = 0;
    while let Some(outcome) = all.join_next().await {
        let snapshot = outcome.expect("no panic").expect("a healthy device is read");
        let power = |m: &MinerSnapshot| m.stats.power_w.is_some() || !tells_power(&rig);
        assert!(snapshot.miner().is_some_and(|m| m.success && power(m)));
        whole += 1;
    }
    assert_eq!(whole, 100);
}

/// The same seed sends the same bytes.
pub async fn same_seed_same_bytes(rig: impl Rig) {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut cx = rig.cx();
        let trace = TraceNet::new(cx.net.clone());
        cx.net = Arc::new(trace.clone());
        cx.rng = Arc::new(SeededRng::new(SEED));
        let thing = open_with(&rig, &cx, &rig.conf()).await.unwrap();
        good(&cx, &*thing).await;
        thing.close().await;
        runs.push(without_nonces(&trace.written()));
    }
    assert!(!runs[0].is_empty());
    assert_eq!(runs[0], runs[1]);
}

/// The device draws its nonces itself, so that they and what is computed from them differ from run to run.
fn without_nonces(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(|line| {
        if line.to_ascii_lowercase().starts_with("authorization:") { "authorization" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// After a snapshot no connection stays open, unless the caller asked for it.
pub async fn connections_are_closed_unless_kept(rig: impl Rig) {
    let mut cx = rig.cx();
    let thing = open(&rig).await;
    good(&cx, &*thing).await;
    rig.pass(Duration::from_secs(1)).await;
    assert_eq!(rig.open_connections(), 0);
    cx.keep_connections = true;
    good(&cx, &*thing).await;
    thing.close().await;
    rig.pass(Duration::from_secs(1)).await;
    assert_eq!(rig.open_connections(), 0, "close() ends kept connections");
}

/// The site-less handle reads as the collector's does.
pub async fn the_direct_handle_reads_too(rig: impl Rig) {
    let cx = rig.cx();
    let direct = Direct::open(&*rig.driver(), &cx, &rig.conf()).await.unwrap();
    let snapshot = direct.snapshot(&cx.deadline_in(DEADLINE)).await.unwrap();
    check_numbers(snapshot.miner().unwrap(), &rig.truth(), tells_power(&rig));
    direct.close().await;
    let mut registry = Registry::new();
    registry.register_arc(rig.driver());
    let (host, ports) = rig.at();
    let conf = rig.conf();
    let password = conf.opts.get("password").and_then(|p| p.as_str()).unwrap_or_default();
    let found = open_one(&cx.deadline_in(DEADLINE), &registry, &host, ports, &[("password", password)]).await;
    let snapshot = found.unwrap().snapshot(&cx.deadline_in(DEADLINE)).await.unwrap();
    assert!(snapshot.miner().unwrap().success);
    rig.fault(super::RigFault::Refuse);
    rig.pass(Duration::from_millis(100)).await;
    let nobody = open_one(&cx.deadline_in(DEADLINE), &registry, &host, ports, &[]).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Unreachable);
}
