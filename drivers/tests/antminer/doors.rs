//! Writes that change how a machine is reached, and machines that do not let us in.

use std::time::Duration;

use headframe_core::{
    ErrorKind, Secret, Sent,
    driver::{Direct, NOT_CONFIRMED},
    model::{Command, CommandName, NetworkSetup, OutcomeState},
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{AntminerOptions, Door, Fault, FleetBuilder};
use serde_json::json;

use crate::{
    rig::{conf, context, options},
    site::{Site, fixed, pools, refused},
};

#[tokio::test(start_paused = true)]
async fn a_refused_account_is_offered_once() {
    let site = Site::new(options(|o| o.lockout = Some((3, Duration::from_secs(600))))).await;
    site.device().change_password("somebody-elses");
    for command in [Command::SetLed(true), pools(), Command::DownloadLogs] {
        refused(site.run(command).await, ErrorKind::Unauthenticated, Sent::No);
    }
    assert_eq!(site.count("auth.wrong"), 1);
    site.direct.snapshot(&site.cx).await.unwrap();
    assert!(site.direct.capability().commands().is_empty(), "only port 4028 is left");
    refused(site.run(Command::SetLed(true)).await, ErrorKind::Unsupported, Sent::No);
}

#[tokio::test(start_paused = true)]
async fn a_web_interface_that_does_not_serve_us_leaves_no_commands() {
    for door in [Door::Closed, Door::Forbidden, Door::Unauthorized] {
        let site = Site::new(options(|o| o.web = door)).await;
        assert!(site.direct.capability().commands().is_empty(), "{door:?}");
        let snapshot = site.direct.snapshot(&site.cx).await.unwrap();
        assert!(snapshot.miner().unwrap().extra.contains_key("web_error"), "{door:?}: the reason shows");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_password_is_ours_once_it_opens() {
    let site =
        Site::with(options(|o| o.password = "Rack_07x".into()), |c| c.opt("password", "Rack_07x")).await;
    let new = Command::UpdateAdminPassword(Secret::new("N3w_0ne"));
    let outcome = site.run(new.clone()).await.unwrap();
    assert_eq!(outcome.state, OutcomeState::Accepted);
    assert_eq!(
        site.bodies("passwd"),
        [json!({"curPwd": "Rack_07x", "newPwd": "N3w_0ne", "confirmPwd": "N3w_0ne"})]
    );
    let shown = format!("{outcome:?} {}", serde_json::to_string(&outcome).unwrap());
    assert!(!shown.contains("Rack_07x") && !shown.contains("N3w_0ne"), "{shown}");
    site.direct.snapshot(&site.cx).await.unwrap();
    site.verified(Command::SetLed(true)).await;
    assert_eq!((site.setting("password"), site.count("auth.wrong")), ("N3w_0ne".into(), 0));
    // A device that only says yes keeps its password, and so do we.
    site.device().fault(Fault::IgnoreWrites);
    let other = Command::UpdateAdminPassword(Secret::new("0ther"));
    let e = refused(site.run(other).await, ErrorKind::Rejected, Sent::Maybe);
    assert_eq!((e.code(), e.fact("old_works")), (NOT_CONFIRMED, Some("true")));
    site.device().clear();
    site.verified(Command::SetLed(false)).await;
}

#[tokio::test(start_paused = true)]
async fn the_driver_follows_to_a_new_address() {
    for answered in [true, false] {
        let site = Site::new(options(|o| o.network_answered = answered)).await;
        let old = site.device().ip();
        site.verified(fixed(9)).await;
        assert_eq!(site.device().ip().to_string(), "10.7.3.9");
        assert_eq!(
            site.bodies("set_network_conf"),
            [json!({"ipHost": "Antminer", "ipPro": 2, "ipAddress": "10.7.3.9", "ipSub": "255.255.0.0",
                    "ipGateway": "10.7.250.1", "ipDns": "10.7.250.2,1.1.1.1"})]
        );
        let snapshot = site.direct.snapshot(&site.cx).await.unwrap();
        assert_eq!(snapshot.miner().unwrap().extra.get("transport"), Some(&json!("http")), "{old}");
        site.verified(Command::SetHostname("rack-7-03".into())).await;
        assert_eq!(site.bodies("set_network_conf")[1]["ipAddress"], "10.7.3.9", "the address stays");
        let lease = site.run(Command::SetNetworkInformation(NetworkSetup::Dhcp)).await.unwrap();
        let state = if answered { OutcomeState::Accepted } else { OutcomeState::Sent };
        assert_eq!((lease.state, lease.receipt.unwrap().unreadable), (state, true));
        let hostname = &site.bodies("set_network_conf")[2]["ipHost"];
        assert_eq!(hostname, "rack-7-03");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_stays_is_found_where_it_was() {
    let site = Site::new(options(|o| o.network_moves = false)).await;
    let e = refused(site.run(fixed(9)).await, ErrorKind::Rejected, Sent::Maybe);
    assert_eq!(e.code(), NOT_CONFIRMED);
    site.verified(Command::SetLed(true)).await;
    site.direct.snapshot(&site.cx).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_machine_at_the_new_address_is_left_alone() {
    let cx = context();
    let stays = options(|o| o.network_moves = false);
    let fleet = FleetBuilder::new().seed(7).antminer(stays).antminers(1).start(&cx).await.unwrap();
    let [ours, other] = fleet.devices() else { panic!("two machines") };
    let std::net::IpAddr::V4(taken) = other.ip() else { panic!("IPv4") };
    let direct = Direct::open(&Antminer::new(), &cx, &conf(ours)).await.unwrap();
    direct.snapshot(&cx).await.unwrap();
    let [a, b, ..] = taken.octets();
    let network = NetworkSetup::Static {
        ip_address: taken,
        ip_netmask: [255, 255, 0, 0].into(),
        ip_gw: [a, b, 250, 1].into(),
        dns: Vec::new(),
    };
    for password in ["root", "somebody-elses"] {
        other.change_password(password);
        let out = direct.execute(&cx, &Command::SetNetworkInformation(network.clone())).await;
        assert_eq!(refused(out, ErrorKind::Rejected, Sent::Maybe).code(), NOT_CONFIRMED);
        for on in [true, false] {
            let outcome = direct.execute(&cx, &Command::SetLed(on)).await.unwrap();
            assert_eq!(outcome.state, OutcomeState::Verified);
        }
    }
    assert!(other.executed().is_empty());
    assert!(other.counts().get("auth.wrong").is_none_or(|n| *n <= 2), "{:?}", other.counts());
}

#[tokio::test(start_paused = true)]
async fn a_password_change_without_an_answer_keeps_the_one_that_opens() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault_on("passwd", Fault::Hang);
    let new = Command::UpdateAdminPassword(Secret::new("N3w_0ne"));
    refused(site.run(new.clone()).await, ErrorKind::Timeout, Sent::Maybe);
    assert_eq!((site.count("passwd"), site.count("auth.wrong")), (1, 1));
    site.device().clear();
    site.verified(Command::SetLed(true)).await;
    site.device().fault_on("passwd", Fault::Mute);
    site.run(new).await.unwrap();
    site.device().clear();
    site.verified(Command::SetLed(false)).await;
    assert_eq!(site.setting("password"), "N3w_0ne");
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_runs_during_a_password_change_does_not_shut_the_door() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault_on("summary", Fault::Slow { delay: Duration::from_secs(5) });
    let change = async {
        site.wait(1).await;
        site.run(Command::UpdateAdminPassword(Secret::new("N3w_0ne"))).await.unwrap();
    };
    let (_, ()) = tokio::join!(site.direct.snapshot(&site.cx), change);
    site.device().clear();
    let snapshot = site.direct.snapshot(&site.cx).await.unwrap();
    assert_eq!(snapshot.miner().unwrap().extra.get("transport"), Some(&json!("http")));
    assert!(site.direct.capability().has(CommandName::SetLed));
}
