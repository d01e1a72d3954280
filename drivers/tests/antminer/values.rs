//! What a snapshot says of the machine.

use headframe_core::model::{MissingReason, PowerMode, State, Status};
use headframe_sim::{AntminerModel, AntminerOptions, Fault, Lie};

use crate::rig::{Rig, near, options};

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
    assert_eq!(first.missing.get("stats.all_pools_shares"), Some(&MissingReason::Derived));
    let before = rig.device().truth().accepted;
    rig.wait(300).await;
    let shares = rig.snapshot().await.stats.all_pools_shares.unwrap();
    assert_eq!(shares.accepted, rig.device().truth().accepted - before);
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
            assert_eq!(asleep.missing.get("stats.boards"), Some(&MissingReason::Asleep));
        }
        rig.device().fault_on("stats", Fault::Garbage);
        assert_eq!(rig.snapshot().await.stats.state, State::Idle, "the configuration tells");
        rig.device().fault_on("get_miner_conf", Fault::HalfJson);
        let untold = rig.snapshot().await.stats;
        assert_ne!(untold.status, Status::Sleeping);
        assert!(matches!(untold.state, State::Unknown | State::Starting) && untold.is_mining != Some(true));
        rig.device().clear();
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
        assert_eq!(snapshot.missing.get(path), Some(&MissingReason::Implausible), "{path}");
    }
    assert_eq!((snapshot.stats.state, snapshot.stats.is_mining), (State::Unknown, None));
    assert_eq!(snapshot.stats.status, Status::Error);
    assert!(snapshot.stats.errors[0].msg.is_some() && snapshot.success);
    rig.device().clear();
    rig.device().fault(Fault::Lie(Lie::Factor(1e3)));
    let snapshot = rig.snapshot().await;
    assert_eq!(snapshot.missing.get("stats.temperature_c.max"), Some(&MissingReason::Implausible));
    rig.device().clear();
    rig.device().fault(Fault::Lie(Lie::Zero));
    let snapshot = rig.snapshot().await;
    assert_eq!(snapshot.missing.get("stats.temperature_c.max"), Some(&MissingReason::Sentinel));
    assert_eq!(snapshot.stats.is_mining, Some(false));
}
