#![doc = include_str!("docs.md")]

mod ask;
mod boards;
mod config;
mod errors;
mod map;
mod models;
mod probe;
mod reply;
mod slow;
mod state;
mod thing;
pub mod v3;
mod value;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{
    Result,
    driver::{Driver, DriverInfo, Evidence, Match, PortRole, ProbeRequest, ProbeSpec, Thing},
    io::Ctx,
    model::ThingConf,
};

pub use config::WhatsminerConf;

const ID: &str = "whatsminer";
const MAKE: &str = "Whatsminer";
/// The port of the API on a real device.
const PORT: u16 = 4028;

const fn rpc(command: &'static str) -> ProbeSpec {
    ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer(command) }
}

const PROBES: &[ProbeSpec] = &[rpc("version"), rpc("devdetails"), rpc("get_version")];

/// The driver of MicroBT Whatsminers.
#[derive(Debug)]
pub struct Whatsminer {
    info: DriverInfo,
}

impl Whatsminer {
    /// The driver.
    pub const fn new() -> Self {
        Self { info: DriverInfo::new(ID, "miner", MAKE, include_str!("docs.md")) }
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

    fn probes(&self) -> &[ProbeSpec] {
        PROBES
    }

    fn recognise(&self, evidence: &Evidence) -> Option<Match> {
        probe::recognise(evidence)
    }

    async fn open(&self, _cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        Ok(Arc::new(thing::Whatsminer::open(conf)?))
    }
}
