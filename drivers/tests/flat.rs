//! What simulated devices of every generation say, as flat members and back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test support: a failure ends the test")]

use std::{net::Ipv4Addr, time::Duration};

use headframe_core::{
    ThingId,
    driver::{Ports, Registry},
    io::Ctx,
    model::{
        Snapshot, ThingConf,
        flat::{Flattener, unflatten},
    },
    testkit,
};
use headframe_sim::{AntminerOptions, Family, Fault, FleetBuilder, WhatsminerOptions};
use serde_json::Value;

/// Snapshots of one device over half an hour of simulated time: at rest, hot, and silent for a while.
async fn snapshots(cx: &Ctx, subnet: u8, fleet: FleetBuilder, password: &str) -> Vec<Snapshot> {
    let fleet = fleet.seed(11).base(Ipv4Addr::new(10, 7, subnet, 1)).start(cx).await.unwrap();
    let device = &fleet.devices()[0];
    let (id, ports) = (ThingId::new("m1").unwrap(), Ports::simulated());
    let conf = match device.family() {
        Family::Antminer => ThingConf::new(id, "antminer")
            .opt("port", ports.web)
            .opt("rpc_port", ports.rpc)
            .opt("side_port", ports.side),
        _ => ThingConf::new(id, "whatsminer").opt("port", ports.rpc).opt("v3_port", ports.v3),
    };
    let conf = conf.opt("address", device.ip().to_string()).opt("password", password);
    let mut drivers = Registry::new();
    headframe_drivers::register_all(&mut drivers);
    let thing = drivers.driver(&conf.driver).unwrap().open(cx, &conf).await.unwrap();
    let mut all = vec![Snapshot::offline(), Snapshot::unusable("it said \"no\"", cx.clock.wall())];
    for minute in 0..30 {
        if minute == 12 {
            device.fault(Fault::Overheat);
        }
        let cx = cx.deadline_in(Duration::from_secs(20));
        all.push(thing.snapshot(&cx).await.unwrap());
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(60)).await;
    }
    all
}

fn json_of(snapshot: &Snapshot) -> Value {
    let mut json: Value = serde_json::from_str(&serde_json::to_string(snapshot).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("age_ms");
    json
}

#[test]
fn every_generation_comes_back_from_flat_members() {
    testkit::run(|cx, _| async move {
        let mut flattener = Flattener::new();
        let whatsminers = [WhatsminerOptions::v1(), WhatsminerOptions::v2(), WhatsminerOptions::v3()];
        let antminers = [
            AntminerOptions::s19_2020(),
            AntminerOptions::s19_xp_2022(),
            AntminerOptions::s19j_pro_2022(),
            AntminerOptions::s21_2024(),
            AntminerOptions::s21_2025(),
        ];
        let fleets = whatsminers
            .into_iter()
            .map(|options| (options.password.clone(), FleetBuilder::new().whatsminer(options)))
            .chain(
                antminers
                    .into_iter()
                    .map(|options| (options.password.clone(), FleetBuilder::new().antminer(options))),
            );
        for (subnet, (password, fleet)) in (1..).zip(fleets) {
            let (mut shapes, mut texts) = (Vec::new(), Vec::new());
            for snapshot in snapshots(&cx, subnet, fleet, &password).await {
                let flat = flattener.flatten(&snapshot).unwrap();
                let back = unflatten(flat.shape.members(), flat.values, flat.texts).unwrap();
                assert_eq!(back, json_of(&snapshot));
                if !shapes.contains(flat.shape) {
                    shapes.push(flat.shape.clone());
                }
                texts.push(flat.texts_hash);
            }
            let most = shapes.iter().map(|shape| shape.members().len()).max().unwrap();
            assert!(most > 30, "{most} numbers");
            texts.dedup();
            // What seldom changes is not written with each poll.
            assert!(shapes.len() < 10 && texts.len() < 25, "{} shapes, {} texts", shapes.len(), texts.len());
        }
    });
}
