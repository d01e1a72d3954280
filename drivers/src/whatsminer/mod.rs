#![doc = include_str!("docs.md")]

mod config;
mod errors;
mod models;
mod probe;
mod state;
mod thing;
mod v2;
pub mod v3;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{
    Result,
    driver::{
        Driver, DriverInfo, Evidence, Generation, Match, ModelInfo, PortRole, ProbeRequest, ProbeSpec, Thing,
    },
    io::Ctx,
    model::ThingConf,
};

pub use config::{Api, WhatsminerConf};

const ID: &str = "whatsminer";
const MAKE: &str = "Whatsminer";
/// The port of the API on a real device.
const PORT: u16 = 4028;

const fn rpc(command: &'static str) -> ProbeSpec {
    ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer(command) }
}

/// What a unit with API v3 says of itself, for one whose port 4028 is closed.
const DEVICE_INFO: ProbeSpec =
    ProbeSpec { role: PortRole::V3, request: ProbeRequest::Framed(v3::DEVICE_INFO) };

const PROBES: &[ProbeSpec] = &[rpc("version"), rpc("devdetails"), rpc("get_version"), DEVICE_INFO];

static GENERATIONS: &[Generation] = &[
    Generation {
        name: "API v1",
        firmware: "before 2022-07-29",
        transport: "4028, JSON",
        commands: &[],
        undescribed: &[],
    },
    Generation {
        name: "API 2.0.0 to 2.0.4",
        firmware: "2022-07-29 to 2024-10-31",
        transport: "4028, JSON; writes encrypted",
        commands: &[v2::rows::COMMON, v2::rows::EARLY],
        undescribed: &["download_logs"],
    },
    Generation {
        name: "API 2.0.5",
        firmware: "2022-07-29 to 2024-10-31",
        transport: "4028, JSON; writes encrypted",
        commands: &[v2::rows::COMMON, v2::rows::LATE],
        undescribed: &["download_logs"],
    },
    Generation {
        name: "API v3",
        firmware: "from 2024-11-01",
        transport: "4433, JSON behind its length; 4028 for reading",
        commands: &[v3::rows::ROWS],
        undescribed: v3::UNDESCRIBED,
    },
];

/// The driver of MicroBT Whatsminers.
#[derive(Debug)]
pub struct Whatsminer {
    info: DriverInfo,
}

impl Whatsminer {
    /// The driver.
    pub const fn new() -> Self {
        Self { info: DriverInfo::new(ID, "miner", MAKE, include_str!("docs.md")).generations(GENERATIONS) }
    }
}

impl Default for Whatsminer {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Driver for Whatsminer {
    fn info(&self) -> &DriverInfo {
        &self.info
    }

    fn models(&self) -> Vec<ModelInfo> {
        models::all()
    }

    fn probes(&self) -> &[ProbeSpec] {
        PROBES
    }

    fn recognise(&self, evidence: &Evidence) -> Option<Match> {
        probe::recognise(evidence)
    }

    fn check(&self, conf: &ThingConf) -> Result<()> {
        thing::Whatsminer::open(conf).map(drop)
    }

    async fn open(&self, _cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        Ok(Arc::new(thing::Whatsminer::open(conf)?))
    }
}
