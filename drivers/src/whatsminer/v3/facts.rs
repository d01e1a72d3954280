//! What changes rarely: read every few minutes from the reply that is asked for anyway, and turned into snapshot
//! members once.

use std::{sync::Arc, time::Duration};

use headframe_core::{
    driver::Aged,
    io::Mono,
    model::{MinerInfo, MissingReason, NetworkConfig, Psu, Text},
    units::floor2,
};
use serde_json::Value;

use super::reply::{Device, Live, Miner, Network, Power, System};
use crate::whatsminer::{
    MAKE,
    models::{self, Model},
    value::{Missing, Reading, either, mac, reported, text, watts},
};

/// The members of a snapshot that rest on what changes rarely.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub info: Arc<MinerInfo>,
    pub model: Model,
    pub network: Arc<NetworkConfig>,
    pub psu: Option<Arc<Psu>>,
    /// Serial numbers of the boards, by the boards' numbers.
    pub board_serials: Vec<Reading<Text>>,
    /// Members that only this family has.
    pub extra: Vec<(&'static str, Value)>,
    pub missing: Missing,
}

/// Facts, how old they are, and what tells that they are out of date.
#[derive(Debug)]
pub(super) struct Slow {
    pub facts: Facts,
    read: Aged<()>,
    firmware: Option<Text>,
    mac: Option<Text>,
    elapsed: Option<f64>,
}

impl Slow {
    pub fn new() -> Self {
        let facts = derive(Err(MissingReason::NoReply));
        Self { facts, read: Aged::empty(), firmware: None, mac: None, elapsed: None }
    }

    /// Whether facts are due: by age, or since another device or firmware answers, or since it restarted.
    pub fn due(&mut self, live: &Live, elapsed: Option<f64>, now: Mono) -> bool {
        let firmware = live.system.as_ref().and_then(|s| s.firmware.as_ref());
        let mac = live.network.as_ref().and_then(|n| n.mac.as_ref());
        let restarted = matches!((self.elapsed, elapsed), (Some(before), Some(now)) if now < before);
        let moved = restarted || self.firmware.as_ref() != firmware || self.mac.as_ref() != mac;
        if moved {
            self.firmware = firmware.cloned();
            self.mac = mac.cloned();
        }
        self.elapsed = elapsed.or(self.elapsed);
        moved || self.read.due(now)
    }

    /// Takes what was read.
    pub fn take(&mut self, device: &Device, now: Mono) {
        let fresh = derive(Ok(device));
        // Snapshots share what has not changed.
        let (info, network) = (self.facts.info.clone(), self.facts.network.clone());
        self.facts = fresh;
        if *self.facts.info == *info {
            self.facts.info = info;
        }
        if self.facts.network == network {
            self.facts.network = network;
        }
        self.read.put((), now);
    }

    /// Notes why nothing could be read; what was read before stays, and grows older.
    pub fn fail(&mut self, reason: MissingReason) {
        if self.read.get().is_none() {
            self.facts = derive(Err(reason));
        }
    }

    /// How old the facts are.
    pub fn age(&self, now: Mono) -> Option<Duration> {
        self.read.age(now)
    }
}

/// Why a section is absent from a reply that came.
fn section<'a, T>(device: Reading<&'a Device>, pick: fn(&'a Device) -> Option<&'a T>) -> Reading<&'a T> {
    device.and_then(|device| reported(pick(device)))
}

fn derive(device: Reading<&Device>) -> Facts {
    let mut facts = Facts::default();
    let miner = section(device, |d| d.miner.as_ref());
    let system = section(device, |d| d.system.as_ref());
    let network = section(device, |d| d.network.as_ref());
    about(&mut facts, miner, system, network);
    addresses(&mut facts, network);
    supply(&mut facts, section(device, |d| d.power.as_ref()));
    facts.board_serials = match miner {
        Ok(miner) => miner.board_serials().map(text).to_vec(),
        Err(reason) => vec![Err(reason); 8],
    };
    facts.extra = extra(device);
    facts
}

fn about(facts: &mut Facts, miner: Reading<&Miner>, system: Reading<&System>, network: Reading<&Network>) {
    let missing = &mut facts.missing;
    let mut info = MinerInfo::default();
    info.make = MAKE.into();
    info.vendor_model = missing.keep("info.vendor_model", miner.and_then(|m| text(m.model.as_ref())));
    match &info.vendor_model {
        Some(name) => {
            facts.model = models::find(name);
            info.model = Some(facts.model.name.clone()).filter(|name| !name.is_empty());
            info.variant.clone_from(&facts.model.variant);
        }
        None => {
            missing.keep("info.model", Err::<(), _>(MissingReason::Derived));
        }
    }
    info.model_known = facts.model.known;
    let told = miner.ok().and_then(|m| u32::try_from(m.boards?).ok()).filter(|n| *n > 0);
    facts.model.parts.boards = facts.model.parts.boards.or(told);
    info.boards_expected = facts.model.parts.boards;
    info.fans_expected = facts.model.parts.fans;
    info.firmware = missing.keep("info.firmware", system.and_then(|s| text(s.firmware.as_ref())));
    missing.keep("config.firmware_ver", info.firmware.as_ref().ok_or(MissingReason::Derived));
    info.api = missing.keep("info.api", system.and_then(|s| text(s.api.as_ref())));
    info.control_board = missing.keep("info.control_board", system.and_then(|s| text(s.platform.as_ref())));
    info.mac = missing.keep("info.mac", network.and_then(|n| mac(n.mac.as_ref())));
    info.serial = missing.keep("info.serial", miner.and_then(|m| text(m.serial.as_ref())));
    info.hostname = missing.keep("info.hostname", network.and_then(|n| text(n.hostname.as_ref())));
    facts.info = Arc::new(info);
}

fn addresses(facts: &mut Facts, network: Reading<&Network>) {
    let missing = &mut facts.missing;
    let of = |read: fn(&Network) -> Option<&Text>| network.and_then(|n| text(read(n)));
    let mut net = NetworkConfig::default();
    net.mode = missing.keep("config.network_config.mode", of(|n| n.proto.as_ref()));
    net.ip_address = missing.keep("config.network_config.ip_address", of(|n| n.ip.as_ref()));
    net.ip_gw = missing.keep("config.network_config.ip_gw", of(|n| n.gateway.as_ref()));
    net.ip_netmask = missing.keep("config.network_config.ip_netmask", of(|n| n.netmask.as_ref()));
    let apart = |c: char| c.is_whitespace() || c == ',';
    let list = |dns: Text| dns.split(apart).filter(|s| !s.is_empty()).map(Text::from).collect();
    net.dns = missing.keep("config.network_config.dns", of(|n| n.dns.as_ref()).map(list));
    facts.network = Arc::new(net);
}

fn supply(facts: &mut Facts, power: Reading<&Power>) {
    let missing = &mut facts.missing;
    let Some(told) = missing.keep("stats.psu", power) else { return };
    let mut psu = Psu::default();
    let model = either(text(told.model.as_ref()), || text(told.kind.as_ref()));
    psu.model = missing.keep("stats.psu.model", model);
    psu.serial = missing.keep("stats.psu.serial", text(told.serial.as_ref()));
    psu.firmware = missing.keep("stats.psu.firmware", text(told.firmware.as_ref()));
    psu.input_w = missing.keep("stats.psu.input_w", watts(told.pin.map(floor2)));
    missing.keep("stats.psu.temperature_c", Err::<(), _>(MissingReason::NotReported));
    facts.psu = Some(Arc::new(psu));
}

fn extra(device: Reading<&Device>) -> Vec<(&'static str, Value)> {
    let Ok(device) = device else { return Vec::new() };
    let (miner, system, power) = (device.miner.as_ref(), device.system.as_ref(), device.power.as_ref());
    let members = [
        ("api_switch", system.and_then(|s| s.api_switch.as_ref())),
        ("control_board_version", system.and_then(|s| s.board_version.as_ref())),
        ("fast_boot", miner.and_then(|m| m.fast_boot.as_ref())),
        ("pool_strategy", miner.and_then(|m| m.pool_strategy.as_ref())),
        ("psu_iin_raw", power.and_then(|p| p.iin.as_ref())),
        ("psu_vin_raw", power.and_then(|p| p.vin.as_ref())),
    ];
    members.into_iter().filter_map(|(key, value)| Some((key, Value::from(text(value).ok()?)))).collect()
}
