//! Writes: what goes over the wire, what survives, what is refused, and what nobody can know.

use std::time::Duration;

use headframe_core::{
    ErrorKind, Secret, Sent, ThingId,
    driver::{Direct, NOT_CONFIRMED},
    model::{Command, CommandName, FanControl, OutcomeState, PoolSetup, PowerMode, ThingConf},
    units::Megahertz,
};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{AntminerOptions, BlinkRule, ConfRule, Fault, ModeForm, Pool};
use serde_json::{Value, json};

use crate::{
    rig::{conf, options},
    site::{Site, fixed, pools, refused},
};

#[tokio::test(start_paused = true)]
async fn forms_hold_what_was_read_and_the_change() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().set_pools(vec![Pool {
        url: "stratum+tcp://a:1".into(),
        user: "u".into(),
        password: "x".into(),
    }]);
    site.verified(Command::SuspendMining).await;
    site.wait(60).await;
    site.verified(Command::SetFan(FanControl::Fixed(70))).await;
    site.wait(60).await;
    site.verified(Command::SetFrequency(Megahertz::new(450.0).unwrap())).await;
    let [sleep, fan, clock] = &site.bodies("set_miner_conf")[..] else { panic!("three writes") };
    assert_eq!((&sleep["miner-mode"], &sleep["bitmain-work-mode"]), (&json!("1"), &json!("1")));
    assert_eq!(sleep["pools"][0], json!({"url": "stratum+tcp://a:1", "user": "u", "pass": "x"}));
    assert_eq!(sleep["pools"].as_array().unwrap().len(), 3);
    for (member, value) in [
        ("freq-level", json!("100")),
        ("bitmain-fan-ctrl", json!(false)),
        ("bitmain-fan-pwm", json!("100")),
        ("api-allow", json!("A:0/0,W:*")),
        ("bitmain-use-vil", json!(true)),
        ("bitmain-voltage", json!("1380")),
    ] {
        assert_eq!(sleep[member], value, "{member}");
    }
    let but = |changes: &[(&str, Value)]| {
        let mut form = sleep.clone();
        changes.iter().for_each(|(member, value)| form[*member] = value.clone());
        form
    };
    let fans = [("bitmain-fan-ctrl", json!(true)), ("bitmain-fan-pwm", json!("70"))];
    assert_eq!(*fan, but(&fans), "nothing but the fans changed");
    let clocked = [fans[0].clone(), fans[1].clone(), ("bitmain-freq", json!("450"))];
    assert_eq!(*clock, but(&clocked));
    assert_eq!((site.setting("bitmain-fan-pwm"), site.setting("bitmain-freq")), ("70".into(), "450".into()));
}

#[tokio::test(start_paused = true)]
async fn modes_go_out_as_they_are_read() {
    for (form, expected) in [
        (ModeForm::Text, json!(["1", "1"])),
        (ModeForm::TextOnly, json!(["1", "1"])),
        (ModeForm::Number, json!([1, 1])),
        (ModeForm::MinerMode, json!(["1", null])),
    ] {
        for rule in [ConfRule::Full, ConfRule::Wipes, ConfRule::Partial] {
            let site = Site::new(options(|o| (o.mode_form, o.conf_rule) = (form, rule))).await;
            let before = site.device().truth().pools;
            site.verified(Command::SetPowerMode(PowerMode::Sleep)).await;
            let body = &site.bodies("set_miner_conf")[0];
            assert_eq!(json!([body["miner-mode"], body["bitmain-work-mode"]]), expected, "{form:?}");
            assert_eq!(site.device().truth().pools, before, "{form:?} {rule:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_wakes_to_the_mode_before_sleep() {
    let site = Site::new(AntminerOptions::default()).await;
    assert!(!site.direct.capability().power_modes.contains(&PowerMode::Low), "nothing proves that it has it");
    crate::rig::set_mode(&site.cx, site.device(), 3).await;
    site.wait(60).await;
    site.direct.snapshot(&site.cx).await.unwrap();
    assert!(site.direct.capability().power_modes.contains(&PowerMode::Low), "it was seen in it");
    let slept = site.verified(Command::SuspendMining).await;
    assert_eq!(slept.before, Some(Command::SetPowerMode(PowerMode::Low)));
    site.wait(60).await;
    let woken = site.verified(Command::ResumeMining).await;
    assert_eq!(
        (site.setting("miner-mode"), woken.before),
        ("3".into(), Some(Command::SetPowerMode(PowerMode::Sleep)))
    );
    let again = site.run(Command::ResumeMining).await.unwrap();
    assert_eq!((again.state, again.receipt), (OutcomeState::Unchanged, None));
    // A handle that has seen nothing else wakes to normal.
    site.verified(Command::SuspendMining).await;
    let other = Direct::open(&Antminer::new(), &site.cx, &conf(site.device())).await.unwrap();
    other.snapshot(&site.cx).await.unwrap();
    other.execute(&site.cx, &Command::ResumeMining).await.unwrap();
    assert_eq!(site.setting("miner-mode"), "0");
}

#[tokio::test(start_paused = true)]
async fn what_was_before_undoes_it() {
    let site = Site::new(AntminerOptions::default()).await;
    let start = site.device().truth();
    let commands = [
        pools(),
        Command::SetFan(FanControl::Fixed(40)),
        Command::SetFrequency(Megahertz::new(400.0).unwrap()),
        Command::SetPowerMode(PowerMode::Sleep),
        Command::SetLed(true),
        Command::SetHostname("rack-7-03".into()),
        fixed(9),
    ];
    for command in commands {
        let name = command.name();
        let outcome = site.verified(command).await;
        site.wait(60).await;
        let undone = site.run(outcome.before.unwrap_or_else(|| panic!("{name}"))).await.unwrap();
        // Back to a lease: nobody can look for it.
        let leased = name == CommandName::SetNetworkInformation;
        let state = if leased { OutcomeState::Accepted } else { OutcomeState::Verified };
        assert_eq!(undone.state, state, "{name}");
        site.wait(60).await;
        let now = site.device().truth();
        assert_eq!(now.pools, start.pools, "{name}: passwords too");
        for setting in ["miner-mode", "bitmain-freq", "bitmain-fan-ctrl", "nettype", "conf_ipaddress"] {
            assert_eq!(now.settings.get(setting), start.settings.get(setting), "{name} {setting}");
        }
        assert_eq!((now.led, &now.hostname), (start.led, &start.hostname), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn pools_are_padded_and_keep_the_passwords_they_have() {
    let site = Site::new(options(|o| o.conf_rule = ConfRule::Full)).await;
    let kept = Pool { url: "stratum+tcp://a:1".into(), user: "u".into(), password: "kept".into() };
    site.device().set_pools(vec![kept.clone()]);
    let new = PoolSetup::new("stratum+tcp://b:2", "v", "given");
    let outcome =
        site.verified(Command::SetupPools(vec![new, PoolSetup::new("stratum+tcp://a:1", "u", "")])).await;
    let body = &site.bodies("set_miner_conf")[0];
    assert_eq!(body["pools"][0], json!({"url": "stratum+tcp://b:2", "user": "v", "pass": "given"}));
    assert_eq!(body["pools"][1], json!({"url": "stratum+tcp://a:1", "user": "u", "pass": "kept"}));
    assert_eq!(body["pools"][2], json!({"url": "", "user": "", "pass": ""}));
    assert_eq!(site.device().truth().pools[1], kept);
    assert_eq!(site.count("reboot"), 0, "the CGI restarts the mining software itself");
    let shown = format!("{outcome:?} {}", serde_json::to_string(&outcome).unwrap());
    assert!(!shown.contains("given") && !shown.contains("kept"), "{shown}");
    let bad = Command::SetupPools(vec![PoolSetup::new("nowhere", "v", "x")]);
    let e = refused(site.run(bad).await, ErrorKind::Rejected, Sent::No);
    assert!(e.message().contains("Invalid pool!") && e.fact("device_code") == Some("M001"), "{e:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_posts_nothing() {
    for fault in [Fault::Garbage, Fault::HalfJson, Fault::Cut { after: 0 }, Fault::Cut { after: 300 }] {
        for command in [Command::SuspendMining, pools(), Command::SetFan(FanControl::Fixed(50))] {
            let site = Site::new(options(|o| o.conf_rule = ConfRule::Wipes)).await;
            let pools = site.device().truth().pools;
            site.device().fault_on("get_miner_conf", fault.clone());
            let e = site.run(command).await.unwrap_err();
            assert_eq!(e.sent(), Sent::No, "{e:?}");
            assert_eq!((site.count("set_miner_conf"), site.device().truth().pools), (0, pools));
        }
    }
}

/// A reply cut after each class of its bytes: nothing, half a status, its header, half its body.
#[tokio::test(start_paused = true)]
async fn a_cut_reply_is_settled_by_looking() {
    let writes = [
        ("set_miner_conf", Command::SuspendMining),
        ("blink", Command::SetLed(true)),
        ("set_network_conf", Command::SetHostname("rack-7-03".into())),
        ("reboot", Command::Reboot),
        ("passwd", Command::UpdateAdminPassword(Secret::new("N3w_0ne"))),
    ];
    for (cgi, command) in writes {
        for after in [0, 1, 12, 60, 190] {
            let site = Site::new(AntminerOptions::default()).await;
            site.device().fault_on(cgi, Fault::Cut { after });
            let outcome = site.run(command.clone()).await;
            site.device().clear();
            let outcome = outcome.unwrap_or_else(|e| panic!("{cgi} {after}: {e:?}"));
            let told = outcome.receipt.as_ref().map_or(OutcomeState::Verified, |receipt| receipt.state());
            let state = if cgi == "passwd" { told } else { OutcomeState::Verified };
            assert_eq!(outcome.state, state, "{cgi} {after}");
            assert_eq!(site.device().executed().get(cgi), Some(&1), "{cgi} {after}");
            site.wait(900).await;
            site.direct.snapshot(&site.cx).await.unwrap();
            assert!(!site.direct.capability().commands().is_empty(), "{cgi}: the account is ours");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_is_sent_once_and_open() {
    for (cgi, command) in
        [("set_miner_conf", pools()), ("blink", Command::SetLed(true)), ("reboot", Command::Reboot)]
    {
        let site = Site::new(AntminerOptions::default()).await;
        site.device().fault_on(cgi, Fault::Hang);
        let e = site.run(command).await.unwrap_err();
        assert_eq!((e.sent(), site.count(cgi)), (Sent::Maybe, 1), "{e:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_light_falls_back_to_texts_once() {
    for (rule, writes) in [(BlinkRule::Both, 1), (BlinkRule::Truthy, 1), (BlinkRule::TextOnly, 2)] {
        let site = Site::new(options(|o| o.blink_rule = rule)).await;
        for on in [true, false] {
            let before = site.count("blink");
            let outcome = site.verified(Command::SetLed(on)).await;
            assert_eq!(site.count("blink") - before, writes, "{rule:?} {on}");
            assert_eq!(outcome.receipt.unwrap().requests.len() as u64, writes);
            assert_eq!(site.device().executed()["blink"], 1 + u64::from(!on), "{rule:?}");
        }
    }
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault(Fault::IgnoreWrites);
    let e = refused(site.run(Command::SetLed(true)).await, ErrorKind::Rejected, Sent::Maybe);
    assert_eq!((e.code(), site.count("blink")), (NOT_CONFIRMED, 2));
    assert_eq!(site.bodies("blink"), [json!({"blink": true}), json!({"blink": "true"})]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_seen_unless_the_machine_sleeps() {
    let site = Site::new(AntminerOptions::default()).await;
    site.wait(600).await;
    site.verified(Command::Reboot).await;
    site.wait(600).await;
    site.verified(Command::SuspendMining).await;
    site.wait(60).await;
    let outcome = site.run(Command::Reboot).await.unwrap();
    assert_eq!((outcome.state, outcome.receipt.unwrap().unreadable), (OutcomeState::Sent, true));
    assert_eq!(site.device().executed()["reboot"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_tells_nothing_can_be_restarted() {
    for fault in [Fault::Hang, Fault::Garbage] {
        let site = Site::new(AntminerOptions::default()).await;
        site.device().fault_on("summary", fault);
        let outcome = site.run(Command::Reboot).await.unwrap();
        assert_eq!((outcome.state, outcome.receipt.unwrap().unreadable), (OutcomeState::Sent, true));
        assert_eq!(site.device().executed()["reboot"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_factory_reset_and_a_log() {
    let site = Site::new(AntminerOptions::default()).await;
    let log = site.run(Command::DownloadLogs).await.unwrap().receipt.unwrap();
    assert!(String::from_utf8_lossy(&log.data.unwrap()).contains("Antminer S21"));
    site.device().fault_on("log", Fault::Flood);
    let e = site.direct.execute(&site.cx.deadline_in(Duration::from_secs(20)), &Command::DownloadLogs).await;
    assert_eq!(e.unwrap_err().sent(), Sent::No);
    site.device().fault_on("log", Fault::Oversized { bytes: (4 << 20) + 1 });
    refused(site.run(Command::DownloadLogs).await, ErrorKind::BadReply, Sent::No);
    site.device().clear();
    site.run(Command::FactoryReset).await.unwrap();
    assert_eq!(site.device().executed()["reset_conf"], 1);
    assert_eq!(site.bodies("reset_conf"), [json!({})]);
}

#[tokio::test(start_paused = true)]
async fn polls_show_what_a_write_changed() {
    let site = Site::new(AntminerOptions::default()).await;
    site.verified(pools()).await;
    let snapshot = site.direct.snapshot(&site.cx).await.unwrap();
    let config = snapshot.miner().unwrap().config.clone().unwrap();
    assert_eq!(config.pool_config.unwrap()[0].url, "stratum+tcp://new.example:3333");
    site.wait(60).await;
    site.verified(Command::SetFan(FanControl::Fixed(55))).await;
    let snapshot = site.direct.snapshot(&site.cx).await.unwrap();
    assert_eq!(snapshot.miner().unwrap().extra.get("fan_pct"), Some(&json!(55)));
}

#[tokio::test(start_paused = true)]
async fn a_write_does_not_wait_for_a_poll() {
    let site = Site::new(AntminerOptions::default()).await;
    site.device().fault_on("stats", Fault::Hang);
    let poll = site.cx.deadline_in(Duration::from_secs(100));
    tokio::select! {
        biased;
        _ = site.direct.snapshot(&poll) => panic!("the poll hangs"),
        outcome = site.run(Command::SuspendMining) => {
            assert_eq!(outcome.unwrap().state, OutcomeState::Verified);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn commands_that_no_source_describes_are_unsupported() {
    let site = Site::new(AntminerOptions::default()).await;
    assert!(!site.direct.capability().has(CommandName::SetPowerLimit));
    refused(site.run(Command::RestartMinerSoftware).await, ErrorKind::Unsupported, Sent::No);
    let id = ThingId::new("am9").unwrap();
    let conf = ThingConf::new(id, "antminer").opt("address", "10.7.9.9");
    let unread = Direct::open(&Antminer::new(), &site.cx, &conf).await.unwrap();
    assert!(unread.capability().commands().is_empty(), "nothing is known of it");
}
