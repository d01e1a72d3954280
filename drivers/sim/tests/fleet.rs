//! Fleets as a user's own tests have them: addresses, real sockets, seeds, and the program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use headframe_core::{
    ErrorKind,
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
};
use headframe_sim::{Family, Fault, Fleet, FleetBuilder, Ports, Role};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn memory() -> Ctx {
    let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
    Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()))
}

async fn ask(cx: &Ctx, at: SocketAddr, request: &str) -> headframe_core::Result<Vec<u8>> {
    let mut stream = cx.net.tcp(at).await?;
    let mut all = Vec::new();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut all).await.unwrap();
    Ok(all)
}

async fn summary(cx: &Ctx, at: SocketAddr) -> Value {
    let bytes = ask(cx, at, "{\"cmd\":\"summary\"}").await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    serde_json::from_str::<Value>(text.trim_end_matches('\0')).unwrap()["SUMMARY"][0].clone()
}

/// Loopback addresses that no other process running these tests has.
fn own_base(last: u8) -> Ipv4Addr {
    let [_, _, a, b] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + a % 64, b, last)
}

fn rpc(fleet: &Fleet) -> Vec<SocketAddr> {
    fleet.devices().iter().filter_map(|d| d.address(Role::Rpc)).collect()
}

#[tokio::test(start_paused = true)]
async fn addresses_follow_each_other_and_skip_ends_of_subnets() {
    let cx = memory();
    let base = Ipv4Addr::new(127, 20, 0, 253);
    let fleet = FleetBuilder::new().base(base).whatsminers(4).antminers(1).start(&cx).await.unwrap();
    let ips: Vec<String> = fleet.devices().iter().map(|d| d.ip().to_string()).collect();
    assert_eq!(ips, ["127.20.0.253", "127.20.0.254", "127.20.1.1", "127.20.1.2", "127.20.1.3"]);
    assert_eq!(fleet.devices()[4].family(), Family::Antminer);
    assert_eq!(fleet.devices()[4].address(Role::Web).unwrap().port(), 14_080);
    assert_eq!(fleet.devices()[0].address(Role::Web), None);
    let names: BTreeSet<&str> = fleet.devices().iter().flat_map(|d| [d.mac(), d.serial()]).collect();
    assert_eq!(names.len(), 10, "nobody shares a MAC address or a serial number");
    let free: SocketAddr = "127.20.0.255:14028".parse().unwrap();
    assert_eq!(ask(&cx, free, "x").await.unwrap_err().fact("refused"), Some("true"));
    let second = fleet.device_at("127.20.1.1:14028".parse().unwrap()).unwrap();
    assert_eq!(second.index(), 2);
    let taken = FleetBuilder::new().base(base).whatsminers(1).start(&cx).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    fleet.stop().await;
    assert!(FleetBuilder::new().base(base).whatsminers(1).start(&cx).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_address_and_many_ports() {
    let cx = memory();
    let fleet = FleetBuilder::new()
        .base(Ipv4Addr::LOCALHOST)
        .by_port(20_000)
        .antminers(1)
        .whatsminers(2)
        .start(&cx)
        .await
        .unwrap();
    let ports: BTreeSet<u16> = fleet
        .devices()
        .iter()
        .flat_map(|d| [Role::Web, Role::Side, Role::Rpc].map(|r| d.address(r)))
        .flatten()
        .map(|a| a.port())
        .collect();
    let consecutive: BTreeSet<u16> = (20_000..20_000 + ports.len() as u16).collect();
    assert!(ports == consecutive && ports.len() >= 4, "{ports:?}");
    let refused = FleetBuilder::new().by_port(65_535).whatsminers(2).start(&cx).await.unwrap_err();
    assert_eq!((refused.kind(), refused.fact("field")), (ErrorKind::Invalid, Some("by_port")));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_bytes() {
    let mut traces = Vec::new();
    for seed in [5, 5, 6] {
        let cx = memory();
        let fleet = FleetBuilder::new().seed(seed).whatsminers(3).start(&cx).await.unwrap();
        let mut trace = Vec::new();
        for _ in 0..4 {
            for at in rpc(&fleet) {
                for command in ["summary+devs+get_psu+get_miner_info", "get_token"] {
                    trace.extend(ask(&cx, at, &format!("{{\"cmd\":\"{command}\"}}")).await.unwrap());
                }
            }
            cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(77)).await;
        }
        traces.push(trace);
    }
    assert_eq!(traces[0], traces[1]);
    assert_ne!(traces[0], traces[2]);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_devices_in_one_process() {
    let cx = memory();
    let fleet = FleetBuilder::new().whatsminers(3_000).start(&cx).await.unwrap();
    let addresses = rpc(&fleet);
    let mut total = 0.0;
    for at in addresses.iter().step_by(10) {
        total += summary(&cx, *at).await["HS RT"].as_f64().unwrap();
    }
    let truth: f64 = fleet.devices().iter().step_by(10).map(|d| d.truth().rates.realtime).sum();
    assert!((total - truth).abs() < 1e-6 * truth);
    assert_eq!(fleet.devices().iter().map(|d| d.requests()).sum::<u64>(), 300);
}

#[tokio::test(start_paused = true)]
async fn shares_and_hashes_add_up() {
    let cx = memory();
    let fleet = FleetBuilder::new().whatsminers(1).start(&cx).await.unwrap();
    let device = &fleet.devices()[0];
    let before = device.truth();
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(3_600)).await;
    let after = device.truth();
    let hashes = after.total_mh - before.total_mh;
    assert!((hashes / 3_600.0 / after.rates.m15 - 1.0).abs() < 0.01);
    let shares = (after.accepted - before.accepted + after.rejected - before.rejected) as f64;
    assert!((shares - hashes / after.difficulty / 4_294.967296).abs() <= 1.0, "{shares}");
    assert_eq!(after.uptime_s - before.uptime_s, 3_600);
}

#[tokio::test(start_paused = true)]
async fn the_button_reports_the_address() {
    let cx = memory();
    let fleet = FleetBuilder::new().whatsminers(1).antminers(1).start(&cx).await.unwrap();
    let listener = cx.net.udp("10.0.0.9:8888".parse().unwrap()).await.unwrap();
    let mut buffer = [0; 100];
    for (device, expected) in fleet.devices().iter().zip([
        format!("IP:127.20.0.1MAC:{}\0", fleet.devices()[0].mac()),
        format!("127.20.0.2,{}", fleet.devices()[1].mac()),
    ]) {
        device.press_ip_report(&cx, listener.local_addr()).await.unwrap();
        let (n, from) = listener.recv_from(&mut buffer).await.unwrap();
        assert_eq!((std::str::from_utf8(&buffer[..n]).unwrap(), from.ip()), (&expected[..], device.ip()));
    }
}

#[cfg(not(target_os = "macos"))]
#[tokio::test]
async fn real_sockets() {
    let cx = Ctx::system();
    let base = own_base(1);
    let fleet = FleetBuilder::new().base(base).whatsminers(20).start(&cx).await.unwrap();
    for (at, device) in rpc(&fleet).into_iter().zip(fleet.devices()) {
        assert_eq!(summary(&cx, at).await["MAC"], device.mac());
    }
    let nobody = SocketAddr::new(own_base(21).into(), 14_028);
    assert_eq!(ask(&cx, nobody, "x").await.unwrap_err().fact("refused"), Some("true"));
    let device = &fleet.devices()[0];
    let at = device.address(Role::Rpc).unwrap();
    device.fault(Fault::Cut { after: 10 });
    assert_eq!(ask(&cx, at, "{\"cmd\":\"summary\"}").await.unwrap().len(), 10);
    device.clear();
    device.fault(Fault::Refuse);
    while cx.net.tcp(at).await.is_ok() {
        tokio::task::yield_now().await;
    }
    device.clear();
    while cx.net.tcp(at).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert!(summary(&cx, at).await["HS RT"].is_number());
}

#[cfg(not(target_os = "macos"))]
#[tokio::test]
async fn the_program_says_when_it_is_ready_and_stops_with_its_input() {
    let base = own_base(101).to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_headframe-sim"))
        .args(["--whatsminers", "2", "--antminers", "1", "--base", &base, "--seed", "9", "--json"])
        .arg("--until-stdin-closes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&ready["ready"], &ready["seed"]), (&Value::Bool(true), &Value::from(9)));
    let range = &ready["ranges"][0];
    let at = SocketAddr::new(own_base(102).into(), 14_028);
    assert_eq!((&range["first"], &range["last"]), (&format!("{base}:14028").into(), &at.to_string().into()));
    assert_eq!(summary(&Ctx::system(), at).await["Power Mode"], "Normal");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[cfg(not(target_os = "macos"))]
#[tokio::test]
async fn the_program_serves_every_generation() {
    let base = own_base(121).to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_headframe-sim"))
        .args(["--whatsminers", "1", "--whatsminers-v1", "1", "--whatsminers-v3", "2", "--antminers", "1"])
        .args(["--base", &base, "--json", "--until-stdin-closes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let range = |family: &str, role: &str| {
        let all = ready["ranges"].as_array().unwrap();
        let one = all.iter().find(|r| r["family"] == family && r["role"] == role).unwrap();
        (one["count"].as_u64().unwrap(), one["first"].as_str().unwrap().to_owned())
    };
    assert_eq!(range("whatsminer", "rpc"), (4, format!("{base}:14028")));
    assert_eq!(range("whatsminer", "rpc_v3"), (2, format!("{}:14433", own_base(123))));
    assert_eq!(range("antminer", "web"), (1, format!("{}:14080", own_base(125))));
    let at = SocketAddr::new(own_base(124).into(), 14_433);
    let cx = Ctx::system();
    let reply = ask(&cx, at, "\x1a\0\0\0{\"cmd\":\"get.device.info\" }").await.unwrap();
    assert!(String::from_utf8(reply[4..].to_vec()).unwrap().contains("\"M60S_VK40\""));
    let version = ask(&cx, SocketAddr::new(own_base(122).into(), 14_028), "{\"cmd\":\"get_version\"}").await;
    assert!(String::from_utf8(version.unwrap()).unwrap().contains("whatsminer v1."));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn default_ports() {
    let ports = Ports::default();
    assert_eq!((ports.rpc, ports.web, ports.rpc_v3, ports.side), (14_028, 14_080, 14_433, 16_060));
}
