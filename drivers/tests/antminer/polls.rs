//! What a poll asks for, and how often.

use headframe_core::model::{MissingReason, State, Status};
use headframe_drivers::antminer::Antminer;
use headframe_sim::{AntminerOptions, PowerKey, SidePort};
use std::{sync::Arc, time::Duration};

use crate::rig::{Rig, conf, near, options, via};

#[tokio::test(start_paused = true)]
async fn three_requests_over_one_connection_a_poll() {
    let rig = Rig::new(AntminerOptions::default()).await;
    let first = rig.snapshot().await;
    assert_eq!(via(&first), "http");
    assert_eq!(rig.count("auth.missing"), 1);
    for _ in 0..3 {
        rig.wait(20).await;
        let (requests, connections) = (rig.device().requests(), rig.device().connections());
        let snapshot = rig.snapshot().await;
        assert_eq!(rig.device().requests() - requests, 3);
        assert_eq!(rig.device().connections() - connections, 1);
        assert_eq!(snapshot.age_ms.get("live"), Some(&0));
        assert!(snapshot.age_ms.get("info").is_some_and(|age| *age > 0));
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
    assert_eq!(snapshot.missing.get("stats.power_w"), Some(&MissingReason::NotReported));
    assert_eq!(snapshot.missing.get("stats.efficiency_w_ths"), Some(&MissingReason::Derived));
    let before = rig.device().requests();
    rig.snapshot().await;
    assert_eq!(rig.device().requests() - before, 3);
    rig.wait(601).await;
    let before = rig.count("side.warning") + rig.count("warning");
    rig.snapshot().await;
    assert_eq!(rig.count("side.warning") + rig.count("warning") - before, 1, "tried again after ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_stale_nonce_costs_one_round() {
    let rig = Rig::new(options(|o| o.nonce_ttl = Duration::from_secs(30))).await;
    rig.snapshot().await;
    rig.wait(31).await;
    assert_eq!(via(&rig.snapshot().await), "http");
    assert_eq!((rig.count("auth.missing"), rig.count("auth.wrong")), (1, 0));
    assert_eq!(rig.count("auth.stale"), 1);
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

/// What it can do is known since its first answer: until then that is not taken for nothing.
#[tokio::test(start_paused = true)]
async fn one_that_was_never_asked_is_asked_before_it_is_written_to() {
    use headframe_core::{
        driver::Direct,
        model::{Command, CommandName, OutcomeState},
    };
    let rig = Rig::new(AntminerOptions::default()).await;
    let direct = Direct::open(&Antminer::new(), &rig.cx, &conf(rig.device())).await.unwrap();
    assert!(direct.capability().commands().is_empty());
    let outcome = direct.execute(&rig.cx, &Command::Reboot).await.unwrap();
    assert_eq!(outcome.state, OutcomeState::Verified);
    assert!(direct.capability().has(CommandName::Reboot));
    assert_eq!(rig.device().executed().values().sum::<u64>(), 1);
}
