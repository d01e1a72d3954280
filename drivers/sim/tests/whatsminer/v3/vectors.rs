use std::sync::Arc;

use headframe_core::io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp};
use headframe_sim::{FleetBuilder, Role, V3Options, WhatsminerOptions};
use serde_json::json;

use super::client::{Key, Rig, code};
use crate::client::Bench;

const SALT: &str = "uhCiDyVj";

/// A device whose clock, salt and password are those of a vector.
async fn at(ts: i64, password: &str) -> Rig {
    let clock = SystemClock::starting_at(Timestamp(ts * 1_000));
    let cx = Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()));
    let v3 = V3Options {
        password: password.into(),
        salt: Some(SALT.into()),
        silent: Vec::new(),
        ..V3Options::default()
    };
    let options = WhatsminerOptions { v3, ..WhatsminerOptions::v3() };
    let bench = Bench::over(cx, FleetBuilder::new().whatsminer(options)).await;
    let at = bench.device.address(Role::RpcV3).unwrap();
    Rig { bench, at }
}

#[tokio::test(start_paused = true)]
async fn the_frames_of_reads_and_of_the_salt() {
    let rig = at(1_764_000_000, "super").await;
    let ask = b"\x28\0\0\0{\"cmd\":\"get.device.info\",\"param\":\"salt\"}";
    let reply =
        b"\x4f\0\0\0{\"code\":0,\"when\":1764000000,\"msg\":{\"salt\":\"uhCiDyVj\"},\"desc\":\"get.device.info\"}";
    assert_eq!(rig.raw(ask).await, reply);
    let ask = b"\x2c\0\0\0{\"cmd\":\"get.miner.status\",\"param\":\"summary\"}";
    assert!(rig.raw(ask).await.len() > 100);
}

#[tokio::test(start_paused = true)]
async fn every_write_is_accepted_as_it_stands() {
    for (password, ts, head, body) in [
        (
            "super",
            1_773_869_570,
            [0x50, 0, 0, 0],
            r#"{"cmd":"set.system.reboot","ts":1773869570,"account":"super","token":"ZIxWqUqH"}"#,
        ),
        (
            "super",
            1_773_869_570,
            [0xb1, 0, 0, 0],
            r#"{"cmd":"set.miner.pools","param":"0jyQ4VIoVHugPmyQway8TEacLTwJuggc0YkqDjDYFr4raqi+aNUtIiL8IoQQzAVXMu6PC5H/W1qlWnsQZU0Cnw==","ts":1773869570,"account":"super","token":"aNSg+F95"}"#,
        ),
        (
            "Rack_07x",
            1_764_000_000,
            [0x5f, 0, 0, 0],
            r#"{"cmd":"set.miner.service","param":"stop","ts":1764000000,"account":"super","token":"P6IPRSf9"}"#,
        ),
        (
            "Rack_07x",
            1_764_000_000,
            [0x61, 0, 0, 0],
            r#"{"cmd":"set.miner.power_limit","param":3000,"ts":1764000000,"account":"super","token":"DSAyekP9"}"#,
        ),
        (
            "Rack_07x",
            1_764_000_000,
            [0x8d, 0, 0, 0],
            r#"{"cmd":"set.system.led","param":[{"color":"red","period":200,"duration":100,"start":0}],"ts":1764000000,"account":"super","token":"VU1PTmgF"}"#,
        ),
        (
            "Rack_07x",
            1_764_000_000,
            [0x45, 1, 0, 0],
            r#"{"cmd":"set.miner.pools","param":"OX3UPzeUC8eBJ7V5ioD8IRp7cglUeDAOVPOuAu6rATLcVXdHlnOEkZTDWRwxakN9kjn8SXFXbRwy1AMLlZhcG1nu+/BMfteTxEsx7EX0eoOdIVCB33LULyqwWNGJ4G1UCxIJ82blcLLE/+NYAaA4WrQax+0/8MRfvQ6L6p76VFnjY4FuVhneD6yoRCPVVglt8BTpqLF497Isqoea6iKqaEtquS33q4peNntEJdVsxOM=","ts":1764000000,"account":"super","token":"eFFwAdWa"}"#,
        ),
    ] {
        let rig = at(ts, password).await;
        let bytes = rig.raw(&[&head[..], body.as_bytes()].concat()).await;
        let reply: serde_json::Value = serde_json::from_slice(&bytes[4..]).unwrap();
        assert_eq!(code(&reply), 0, "{body}");
        assert_eq!(rig.bench.device.executed().values().sum::<u64>(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_vectors_say_is_done() {
    let rig = at(1_764_000_000, "Rack_07x").await;
    let key = Key { password: "Rack_07x".into(), salt: SALT.into(), ts: 1_764_000_000 };
    let list =
        json!([{ "pool": "stratum+tcp://pool.example:3333", "worker": "site1.wm0001", "passwd": "x" }]);
    let packet = key.pools(&list);
    assert_eq!(packet["token"], "eFFwAdWa");
    assert_eq!(code(&rig.send(&packet).await.unwrap()), 0);
    let pools = rig.bench.device.truth().pools;
    assert_eq!((pools.len(), pools[0].url.as_str()), (1, "stratum+tcp://pool.example:3333"));
}
