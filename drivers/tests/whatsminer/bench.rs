//! A simulated device, and the handle that writes to it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use headframe_core::{
    Result, ThingId,
    driver::Direct,
    io::Ctx,
    model::{Command, MinerSnapshot, Outcome, ThingConf},
};
use headframe_drivers::whatsminer::Whatsminer;
use headframe_sim::{Device, Fleet, FleetBuilder, Role, WhatsminerOptions};

use crate::device::pass;

/// A unit and its handle.
pub struct Bench {
    pub cx: Ctx,
    pub device: Device,
    pub direct: Arc<Direct>,
    _fleet: Fleet,
}

impl Bench {
    pub async fn start(cx: Ctx, options: WhatsminerOptions) -> Self {
        Self::with(cx, options, |conf| conf).await
    }

    pub async fn with(
        cx: Ctx,
        options: WhatsminerOptions,
        change: impl FnOnce(ThingConf) -> ThingConf,
    ) -> Self {
        let password = options.password.clone();
        let fleet = FleetBuilder::new().seed(7).base(Ipv4Addr::new(10, 7, 0, 1)).whatsminer(options);
        let fleet = fleet.start(&cx).await.unwrap();
        let device = fleet.devices()[0].clone();
        let at = device.address(Role::Rpc).unwrap();
        let conf = ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer")
            .opt("address", at.ip().to_string())
            .opt("port", at.port())
            .opt("password", password);
        let direct = Direct::open(&Whatsminer::new(), &cx, &change(conf)).await.unwrap();
        let bench = Self { cx, device, direct: Arc::new(direct), _fleet: fleet };
        bench.read().await;
        bench
    }

    pub async fn read(&self) -> MinerSnapshot {
        let cx = self.cx.deadline_in(Duration::from_secs(10));
        self.direct.snapshot(&cx).await.unwrap().miner().unwrap().clone()
    }

    pub async fn write(&self, command: &Command) -> Result<Outcome> {
        self.direct.execute(&self.cx, command).await
    }

    /// How often the unit has carried a command out.
    pub fn done(&self, command: &str) -> u64 {
        self.device.executed().get(command).copied().unwrap_or_default()
    }

    /// How often it has received one.
    pub fn got(&self, command: &str) -> u64 {
        self.device.counts().get(command).copied().unwrap_or_default()
    }

    pub fn setting(&self, name: &str) -> String {
        self.device.truth().settings.get(name).cloned().unwrap_or_default()
    }

    pub async fn pass(&self, seconds: u64) {
        pass(&self.cx, seconds).await;
    }
}
