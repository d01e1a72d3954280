//! The drivers, against a device that answers with the bytes of a case: wire, packets, pages and what is made of them.

use std::{net::SocketAddr, time::Duration};

use headframe_core::{
    ThingId,
    discover::{Outcome, probe_one},
    driver::{Direct, Driver, Ports, Registry},
    io::{Ctx, MemNet},
    model::{Command, FanControl, NetworkSetup, PoolSetup, PowerMode, Preheat, Snapshot, ThingConf, Zone},
    units::{Megahertz, Watts},
};
use headframe_drivers::{antminer::Antminer, register_all, whatsminer::Whatsminer};

use crate::{
    codec::{known, shown},
    serve::{Script, Speaks, pass, run},
};

/// The password of every device here; nothing may show it.
pub const PASSWORD: &str = "Rack_07x";
const HOST: &str = "10.9.0.7";
/// For one reading.
const POLL: Duration = Duration::from_secs(20);
/// For one write and a few looks at what came of it; the whole read-back can take minutes.
const WRITE: Duration = Duration::from_secs(8);
/// After so long values that change slowly are read again.
const SLOW: Duration = Duration::from_secs(301);
/// Longest snapshot as JSON: replies have bounds, so what is made of them has one too.
const SNAPSHOT: usize = 4 * 1024 * 1024;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, 7], port))
}

fn conf(driver: &str) -> ThingConf {
    let id = ThingId::new("m1").unwrap_or_else(|e| unreachable!("{e}"));
    ThingConf::new(id, driver).opt("address", HOST).opt("password", PASSWORD)
}

/// A Whatsminer with API v1 or v2.
pub fn whatsminer_v2(data: &[u8]) {
    let Some((script, choice)) = Script::read(data) else { return };
    run(|cx, net| async move {
        script.serve(&net, at(4028), Speaks::Rpc).await;
        let conf = conf("whatsminer").opt("api", "v2").typed("miner-wm-m56s");
        let conf = conf.opt("unlock_client", "fuzz").opt("unlock_secret", PASSWORD);
        drive(&cx, &Whatsminer::new(), &conf, choice).await;
    });
}

/// A Whatsminer with API v3.
pub fn whatsminer_v3(data: &[u8]) {
    let Some((script, choice)) = Script::read(data) else { return };
    run(|cx, net| async move {
        script.serve(&net, at(4433), Speaks::Framed).await;
        let conf = conf("whatsminer").opt("api", "v3").typed("miner-wm-m63");
        drive(&cx, &Whatsminer::new(), &conf, choice).await;
    });
}

/// An Antminer: its pages, and the same over its other ports.
pub fn antminer(data: &[u8]) {
    let Some((script, choice)) = Script::read(data) else { return };
    run(|cx, net| async move {
        if !script.hides_a_port() {
            script.serve(&net, at(80), Speaks::Http).await;
        }
        script.serve(&net, at(6060), Speaks::Http).await;
        script.serve(&net, at(4028), Speaks::Rpc).await;
        drive(&cx, &Antminer::new(), &conf("antminer").typed("miner-am-s21"), choice).await;
    });
}

/// Recognising: every port of an address answers with the bytes of the case.
pub fn probe(data: &[u8]) {
    let Some((script, _)) = Script::read(data) else { return };
    run(|cx, net| async move {
        every_port(&script, &net).await;
        let mut drivers = Registry::new();
        register_all(&mut drivers);
        match probe_one(&cx.deadline_in(POLL), &drivers, HOST, Ports::default()).await {
            Ok(Outcome::Device(found)) => {
                let text = format!("{found:?}");
                assert!(text.len() <= SNAPSHOT, "a device of {} bytes", text.len());
            }
            Ok(_) => {}
            Err(e) => known(&e),
        }
    });
}

async fn every_port(script: &std::sync::Arc<Script>, net: &MemNet) {
    let ports = Ports::default();
    for (port, speaks) in [
        (ports.rpc, Speaks::Rpc),
        (ports.web, Speaks::Http),
        (ports.side, Speaks::Http),
        (ports.v3, Speaks::Framed),
    ] {
        script.serve(net, at(port), speaks).await;
    }
}

/// Reads twice, with the slow values again, and writes.
async fn drive(cx: &Ctx, driver: &dyn Driver, conf: &ThingConf, choice: u8) {
    let direct = match Direct::open(driver, cx, conf).await {
        Ok(direct) => direct,
        Err(e) => unreachable!("{e}"),
    };
    for _ in 0..2 {
        match direct.snapshot(&cx.deadline_in(POLL)).await {
            Ok(snapshot) => sound(&snapshot),
            Err(e) => shown(&e),
        }
        pass(cx, SLOW).await;
    }
    if let Some(command) = command(choice) {
        match direct.execute(&cx.deadline_in(WRITE), &command).await {
            Ok(outcome) => {
                let text = format!("{outcome:?}");
                assert!(!text.contains(PASSWORD) && text.len() <= SNAPSHOT, "{} bytes", text.len());
            }
            Err(e) => shown(&e),
        }
    }
    assert!(!format!("{direct:?}").contains(PASSWORD), "the device shows its password");
    direct.close().await;
}

fn sound(snapshot: &Snapshot) {
    match serde_json::to_string(snapshot) {
        Ok(json) => {
            assert!(json.len() <= SNAPSHOT, "a snapshot of {} bytes", json.len());
            assert!(!json.contains(PASSWORD), "a snapshot shows the password");
        }
        Err(e) => unreachable!("a snapshot is no JSON: {e}"),
    }
}

/// The write that a byte chooses; most bytes choose none.
fn command(choice: u8) -> Option<Command> {
    Some(match choice {
        b'a' => Command::Reboot,
        b'b' => Command::SuspendMining,
        b'c' => Command::ResumeMining,
        b'd' => Command::SetPowerMode(PowerMode::Low),
        b'e' => Command::SetPowerLimit(Watts::new(3_000.0)?),
        b'f' => Command::SetPowerPct(80),
        b'g' => Command::SetFrequency(Megahertz::new(500.0)?),
        b'h' => Command::SetFan(FanControl::Fixed(70)),
        b'i' => Command::SetupPools(vec![PoolSetup::new("stratum+tcp://pool.example:3333", "a.b", PASSWORD)]),
        b'j' => Command::SetLed(true),
        b'k' => Command::SetHostname("rig-7".into()),
        b'l' => Command::SetZone(Zone { timezone: "CST-8".into(), zonename: "Asia/Shanghai".into() }),
        b'm' => Command::SetNetworkInformation(NetworkSetup::Dhcp),
        b'n' => Command::UpdateAdminPassword(headframe_core::Secret::new("Rack_08y")),
        b'o' => Command::FactoryReset,
        b'p' => Command::PrePowerOn(Preheat::Begin),
        b'q' => Command::DownloadLogs,
        b'r' => Command::RestartMinerSoftware,
        b's' => Command::SetFastBoot(true),
        b't' => Command::SetUpfreqSpeed(3),
        b'u' => Command::SetTargetFreq(5),
        b'v' => Command::SetTempOffset(2),
        _ => return None,
    })
}
