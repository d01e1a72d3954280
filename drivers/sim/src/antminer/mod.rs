//! Antminer with Bitmain's stock firmware of the modern generation: the web interface with its CGIs behind
//! digest authentication, the side port with warnings and power, and the cgminer-style API.

mod bmu;
mod cgi;
mod conf;
mod digest;
mod http;
mod legacy;
mod models;
mod network;
mod options;
mod reading;
mod rpc;
mod side;
mod upload;
mod web;
mod write;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use headframe_core::io::BoxStream;

pub use models::{AntminerModel, Sensors};
pub use options::{
    AntminerOptions, BlinkForm, BlinkRule, ConfRule, Door, ModeForm, PowerKey, Restarting, RpcOptions,
    SidePort,
};

use self::{conf::Conf, digest::Guard, network::Network, reading::Facts, reading::Reading};
use crate::{
    Family, FleetBuilder,
    device::DeviceCore,
    fleet::Plan,
    physics::Truth,
    serve::{Firmware, Role},
};

impl FleetBuilder {
    /// Adds `n` Antminers S21 on firmware of 2025.
    #[must_use]
    pub fn antminers(self, n: usize) -> Self {
        (0..n).fold(self, |fleet, _| fleet.antminer(AntminerOptions::default()))
    }

    /// Adds one Antminer.
    #[must_use]
    pub fn antminer(self, options: AntminerOptions) -> Self {
        self.push(Plan {
            model: options.model.sheet,
            oui: [0x02, 0x41, 0x4d],
            serial_prefix: "SMTTY",
            hostname: network::HOSTNAME,
            firmware: Box::new(Antminer::new(options)),
        })
    }
}

/// One Antminer: its options and what only this family remembers.
#[derive(Debug)]
struct Antminer {
    options: AntminerOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    guard: Guard,
    /// The boot that the nonces belong to; they do not outlive it.
    boots: u64,
    user: String,
    password: String,
    /// The pools stand in the shared physics and are put in for the time of a read or write.
    conf: Conf,
    network: Network,
    built: String,
    firmware_bytes: usize,
    /// Until when the mining software restarts.
    restarts_until: f64,
}

impl Antminer {
    fn new(options: AntminerOptions) -> Self {
        let state = State {
            guard: Guard::default(),
            boots: 0,
            user: options.user.clone(),
            password: options.password.clone(),
            conf: Conf::new(options.model.sheet.frequency_mhz, Vec::new()),
            network: Network::default(),
            built: options.built.clone(),
            firmware_bytes: 0,
            restarts_until: f64::NEG_INFINITY,
        };
        Self { options, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restarting(&self, core: &DeviceCore) -> bool {
        core.now() < self.lock().restarts_until
    }

    /// Whether `SUMMARY` and `STATS` have nothing to say now.
    fn silent(&self, core: &DeviceCore) -> bool {
        let asleep = self.lock().conf.mode == conf::SLEEP;
        self.restarting(core) || (asleep && self.options.sleep_empty)
    }

    fn reading(&self, core: &DeviceCore) -> Reading {
        let truth = core.observe();
        let state = self.lock();
        let facts = Facts {
            model: &self.options.model,
            built: &state.built,
            mode: state.conf.mode,
            freq_level: state.conf.freq_level,
            status_list: self.options.status_list,
        };
        Reading::of(&truth, facts)
    }
}

#[async_trait]
impl Firmware for Antminer {
    fn family(&self) -> Family {
        Family::Antminer
    }

    fn roles(&self) -> &'static [Role] {
        use Role::{Rpc, Side, Web};
        let web = self.options.web != Door::Closed;
        let side = self.options.side_port != SidePort::Absent;
        match (web, side, self.options.rpc.listens) {
            (true, true, true) => &[Web, Side, Rpc],
            (true, true, false) => &[Web, Side],
            (true, false, true) => &[Web, Rpc],
            (true, false, false) => &[Web],
            (false, true, true) => &[Side, Rpc],
            (false, true, false) => &[Side],
            (false, false, true) => &[Rpc],
            (false, false, false) => &[],
        }
    }

    async fn serve(&self, core: &DeviceCore, role: Role, stream: BoxStream, _peer: SocketAddr) {
        match role {
            Role::Rpc => self.serve_rpc(core, stream).await,
            role => self.serve_http(core, role, stream).await,
        }
    }

    fn ip_report(&self, core: &DeviceCore) -> Vec<u8> {
        format!("{},{}", core.ip(), core.identity().mac).into_bytes()
    }

    fn codes(&self, truth: &Truth) -> Vec<String> {
        reading::codes(truth, self.options.model.sheet.boards)
    }

    fn settings(&self, _core: &DeviceCore) -> BTreeMap<String, String> {
        let state = self.lock();
        let mut out = BTreeMap::new();
        let mut put = |key: &str, value: String| {
            out.insert(key.to_owned(), value);
        };
        put("miner-mode", state.conf.mode.to_string());
        put("freq-level", state.conf.freq_level.to_string());
        put("bitmain-freq", state.conf.freq.clone());
        put("bitmain-fan-ctrl", state.conf.fan_ctrl.to_string());
        put("bitmain-fan-pwm", state.conf.fan_pwm.to_string());
        put("password", state.password.clone());
        put("fw_version", state.built.clone());
        put("firmware_bytes", state.firmware_bytes.to_string());
        put("nettype", state.network.kind().to_owned());
        put("conf_ipaddress", state.network.address.clone());
        put("conf_gateway", state.network.gateway.clone());
        put("conf_dnsservers", state.network.dns.clone());
        out
    }

    fn set_password(&self, password: &str) {
        self.lock().password = password.to_owned();
    }
}
