#![doc = include_str!("docs.md")]

mod boards;
mod config;
mod fetch;
mod firmware;
mod identity;
mod judge;
mod legacy;
mod look;
mod map;
mod models;
mod network;
mod reach;
mod receipt;
mod rows;
mod settings;
mod slow;
mod thing;
#[cfg(test)]
mod vectors;
mod warnings;
mod wire;
mod write;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{
    Result,
    codec::cgminer,
    driver::{
        Driver, DriverInfo, Evidence, Generation, Match, ModelInfo, PortRole, Ports, ProbeReply,
        ProbeRequest, ProbeSpec, Thing,
    },
    io::Ctx,
    model::ThingConf,
};

pub use config::AntminerConf;

/// The driver's id.
pub const ID: &str = "antminer";
const MAKE: &str = "Antminer";

static INFO: DriverInfo =
    DriverInfo::new(ID, "miner", MAKE, include_str!("docs.md")).generations(&GENERATIONS);

static GENERATIONS: [Generation; 2] = [
    Generation {
        name: "the modern web interface",
        firmware: "2020 and newer: S19, S21, T21 and the other families of that time",
        transport: "HTTP with digest on port 80; 6060 and 4028 for readings",
        commands: &[&rows::ALL],
        undescribed: &["reload"],
    },
    Generation {
        name: "port 4028 alone",
        firmware: "older web interfaces (S9, S17), and any machine whose web interface does not serve us",
        transport: "cgminer-style JSON on port 4028, without an account",
        commands: &[],
        undescribed: &[],
    },
];

static PROBES: [ProbeSpec; 2] = [
    ProbeSpec { role: PortRole::Rpc, request: ProbeRequest::Cgminer("version") },
    ProbeSpec { role: PortRole::Web, request: ProbeRequest::HttpGet("/") },
];

/// Marks of other firmwares that run on the same machines, and still call themselves Antminer.
const FOREIGN: [&str; 9] =
    ["BOSMINER", "BOSER", "LUXMINER", "VNISH", "KAONSU", "MARAFW", "HIVEON", "RWGLR", "BITMICRO"];

/// The same for what web pages of other firmwares show.
const FOREIGN_PAGES: [&str; 4] = ["Braiins OS", "Luxor Firmware", "AnthillOS", "VolcMiner"];

/// The driver for Antminers with Bitmain's stock firmware.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Antminer;

impl Antminer {
    /// The driver.
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Driver for Antminer {
    fn info(&self) -> &DriverInfo {
        &INFO
    }

    fn models(&self) -> Vec<ModelInfo> {
        models::all()
    }

    fn probes(&self) -> &[ProbeSpec] {
        &PROBES
    }

    fn recognise(&self, evidence: &Evidence) -> Option<Match> {
        if FOREIGN.iter().any(|mark| evidence.cgminer_says(mark)) || shows_foreign_page(evidence) {
            return None;
        }
        let realm = evidence.realm();
        let ours = realm.is_some_and(|r| begins_with(r, "antminer"));
        // Hammer, Volcminer and Elphapex are built upon the same web interface.
        if realm.is_some_and(|r| begins_with(r, "blackminer") || begins_with(r, "daoge")) {
            return None;
        }
        if !ours && !evidence.cgminer_says("ANTMINER") {
            return None;
        }
        let mut found = Match::new(ID, MAKE, evidence);
        let reply = evidence.cgminer("version").and_then(|b| cgminer::parse("antminer.probe", b).ok());
        let version: Option<legacy::VersionReply> = reply;
        let first = version.and_then(|v| v.rows).and_then(|rows| rows.into_iter().next());
        if let Some(identity) = first.map(legacy::Identity::from) {
            found.model = identity.kind.map(Into::into);
            found.firmware = identity.built.map(Into::into);
        }
        let usual = Ports::default();
        for (option, port, usual) in [
            ("port", evidence.ports.web, usual.web),
            ("rpc_port", evidence.ports.rpc, usual.rpc),
            ("side_port", evidence.ports.side, usual.side),
        ] {
            if port != usual {
                found.opts.insert(option, port.into());
            }
        }
        Some(found)
    }

    fn check(&self, conf: &ThingConf) -> Result<()> {
        AntminerConf::read(conf).map(drop)
    }

    async fn open(&self, _cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        Ok(Arc::new(thing::Machine::new(AntminerConf::read(conf)?)))
    }
}

fn shows_foreign_page(evidence: &Evidence) -> bool {
    evidence.replies.values().any(|reply| match reply {
        ProbeReply::Http { body, .. } => {
            let shows = |mark: &&str| body.windows(mark.len()).any(|w| w == mark.as_bytes());
            FOREIGN_PAGES.iter().any(shows)
        }
        _ => false,
    })
}

fn begins_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}
