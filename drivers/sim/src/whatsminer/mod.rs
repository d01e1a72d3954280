//! MicroBT Whatsminer: API v1 and v2 on the cgminer-style port, API v3 on its own.

mod crypto;
mod error_codes;
mod models;
mod options;
mod packet;
mod reads;
mod tokens;
mod unlock;
mod upload;
mod v1;
mod v3;
mod writes;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use headframe_core::io::BoxStream;
use serde_json::Value;
use tokio::io::AsyncReadExt;

pub use self::{
    crypto::Padding,
    models::{M30S_PLUS, M50S, M56S, M60S, M63},
    options::{ErrorForm, Generation, Upgrade, WhatsminerOptions},
    v1::V1Options,
    v3::{ErrorList, PoolsParam, Replay, V3Options},
};
use self::{packet::Outcome, tokens::Tokens};
use crate::{
    Family, FleetBuilder, Role, conn,
    device::DeviceCore,
    fleet::Plan,
    physics::{Truth, mix},
    rpc::{self, BadRequest, Join, Request},
    serve::Firmware,
};

impl FleetBuilder {
    /// Adds `n` Whatsminers of the default kind, which have API v2.
    #[must_use]
    pub fn whatsminers(self, n: usize) -> Self {
        self.whatsminers_with(n, WhatsminerOptions::default())
    }

    /// Adds `n` Whatsminers of this kind.
    #[must_use]
    pub fn whatsminers_with(self, n: usize, options: WhatsminerOptions) -> Self {
        let options = Arc::new(options);
        (0..n).fold(self, |fleet, _| fleet.add_whatsminer(options.clone()))
    }

    /// Adds one Whatsminer.
    #[must_use]
    pub fn whatsminer(self, options: WhatsminerOptions) -> Self {
        self.add_whatsminer(Arc::new(options))
    }

    fn add_whatsminer(self, options: Arc<WhatsminerOptions>) -> Self {
        self.push(Plan {
            model: options.model,
            oui: [0xc4, 0x11, 0x04],
            serial_prefix: "HTM",
            hostname: "WhatsMiner",
            firmware: Box::new(Whatsminer::new(options)),
        })
    }
}

/// The state of one device that only this family has.
#[derive(Debug)]
struct Whatsminer {
    options: Arc<WhatsminerOptions>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    password: String,
    write_enabled: bool,
    tokens: Tokens,
    /// Percentage that was set last, for as long as it is in force.
    percent: Option<f64>,
    power_limit_set: Option<f64>,
    off_since: Option<headframe_core::io::Timestamp>,
    warming_since: Option<f64>,
    network: Option<Network>,
    flash: upload::Flash,
    v3: v3::Secrets,
    settings: BTreeMap<&'static str, String>,
}

/// A static network setting.
#[derive(Debug, Clone)]
struct Network {
    mask: String,
    gateway: String,
    dns: String,
}

impl Whatsminer {
    fn new(options: Arc<WhatsminerOptions>) -> Self {
        let state = State {
            password: options.password.clone(),
            write_enabled: options.write_enabled,
            tokens: Tokens::default(),
            percent: None,
            power_limit_set: None,
            off_since: None,
            warming_since: None,
            network: None,
            flash: upload::Flash::new(&options),
            v3: v3::Secrets::new(&options.v3.password),
            settings: default_settings(),
        };
        Self { options, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with the firmware that the last boot brought.
    fn booted(&self, core: &DeviceCore) -> MutexGuard<'_, State> {
        let boots = core.boots();
        let mut state = self.state();
        if state.flash.boot(boots) {
            state.write_enabled &= !state.flash.installed.locks_writes;
        }
        state
    }

    fn generation(&self) -> Generation {
        self.state().flash.installed.generation
    }

    /// `YYYYMMDD.NN.REL`
    fn firmware_version(&self) -> String {
        self.state().flash.installed.firmware.clone()
    }

    /// The salt of the password's hash. It stays while the password does.
    fn salt(&self, core: &DeviceCore) -> String {
        tokens::letters(mix(core.identity().seed, 77), 8)
    }

    /// The names in a request that are to be looked up one by one.
    fn names(&self, request: &Request) -> Option<Vec<String>> {
        rpc::joined_names(&request.command).filter(|_| self.options.join != Join::None)
    }

    /// Answers a request without encryption.
    fn answer(&self, core: &DeviceCore, request: &Request, peer: SocketAddr) -> Value {
        let Some(names) = self.names(request) else {
            return match request.command.as_str() {
                "get_token" if self.generation() != Generation::V1 => self.get_token(core, peer),
                name => self.read(core, name).unwrap_or_else(|| self.refuse(core, name)),
            };
        };
        let part = |name: String| {
            let joins = self.options.join == Join::All || reads::is_report(&name);
            let read = if joins { self.read(core, &name) } else { None };
            let answer = read.unwrap_or_else(|| {
                if self.knows(&name) {
                    rpc::refusal(core, 45, "Access denied", reads::DESCRIPTION)
                } else {
                    rpc::refusal(core, 14, "Invalid command", reads::DESCRIPTION)
                }
            });
            (name, answer)
        };
        rpc::joined(names.into_iter().map(part).collect())
    }

    /// A single command that is not answered: a write without a token, or an unknown name.
    fn refuse(&self, core: &DeviceCore, name: &str) -> Value {
        if self.knows(name) {
            rpc::status(core, "E", 45, "permission denied", "")
        } else {
            rpc::status(core, "E", 14, "invalid cmd", "")
        }
    }

    fn knows(&self, name: &str) -> bool {
        let tokens = self.generation() != Generation::V1;
        (name == "get_token" && tokens) || self.has_read(name) || self.has_write(name)
    }

    fn get_token(&self, core: &DeviceCore, peer: SocketAddr) -> Value {
        let salt = self.salt(core);
        let mut state = self.state();
        let password = state.password.clone();
        match state.tokens.issue(core, peer.ip(), &password, &salt) {
            Some(message) => {
                let mut reply = rpc::status(core, "S", self.options.token_code, "", "");
                reply["Msg"] = message;
                reply
            }
            // The real reply has no STATUS here.
            None => serde_json::json!({ "Code": 136 }),
        }
    }

    async fn one_request(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        peer: SocketAddr,
    ) -> std::io::Result<()> {
        let Some(bytes) = rpc::read_request(core, stream).await else { return Ok(()) };
        core.request();
        let request = match rpc::parse(&bytes) {
            Ok(request) if request.command.is_empty() && !request.body.contains_key("enc") => {
                Err(BadRequest::NoCommand)
            }
            other => other,
        };
        let request = match request {
            Ok(request) => request,
            Err(bad) => {
                let (code, text) = match bad {
                    BadRequest::Syntax => (23, "Invalid JSON"),
                    BadRequest::NoCommand => (14, "invalid cmd"),
                };
                core.received("(invalid)");
                let refusal = rpc::status(core, "E", code, text, "");
                return self.refused(core, stream, "(invalid)", refusal.to_string()).await;
            }
        };
        if request.body.contains_key("enc") {
            return match self.open(core, &request.body, peer) {
                Outcome::Refused { command, text } => self.refused(core, stream, &command, text).await,
                Outcome::Write(write) => self.carry_out(core, stream, write).await,
            };
        }
        let command = request.command.clone();
        match self.names(&request) {
            Some(names) => names.iter().for_each(|name| core.received(name)),
            None => core.received(&command),
        }
        if conn::stall(core, stream, &command).await {
            return Ok(());
        }
        if command == unlock::COMMAND && self.options.unlock.is_some() {
            return self.unlock(core, stream, &request.body).await;
        }
        let answer = self.answer(core, &request, peer);
        let old_style = answer.get("Code").is_none();
        let text = if request.text && old_style { rpc::to_text(&answer) } else { answer.to_string() };
        let text = self.spell(text);
        self.send(core, stream, &command, text).await
    }

    async fn refused(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        command: &str,
        text: String,
    ) -> std::io::Result<()> {
        if conn::stall(core, stream, command).await {
            return Ok(());
        }
        self.send(core, stream, command, text).await
    }

    /// Sends one message, with the NUL that ends it on most firmwares.
    async fn send(
        &self,
        core: &DeviceCore,
        stream: &mut BoxStream,
        command: &str,
        text: String,
    ) -> std::io::Result<()> {
        let mut body = conn::mangle(core, command, text.into_bytes());
        if self.options.nul {
            body.push(0);
        }
        conn::send(core, stream, command, &body).await
    }
}

fn default_settings() -> BTreeMap<&'static str, String> {
    let off = |name| (name, "0".to_owned());
    let mut settings: BTreeMap<&'static str, String> =
        ["upfreq_speed", "temp_offset", "poweroff_cool", "fan_zero_speed", "target_freq"].map(off).into();
    for (name, value) in [
        ("btminer_fast_boot", "disable"),
        ("web_pools", "enable"),
        ("timezone", "CST-8"),
        ("zonename", "Asia/Shanghai"),
        ("led", "auto"),
    ] {
        settings.insert(name, value.to_owned());
    }
    settings
}

#[async_trait]
impl Firmware for Whatsminer {
    fn family(&self) -> Family {
        Family::Whatsminer
    }

    fn roles(&self) -> &'static [Role] {
        let ever = [self.options.generation, self.options.upgrade.generation];
        if ever.contains(&Generation::V3) { &[Role::Rpc, Role::RpcV3] } else { &[Role::Rpc] }
    }

    fn listens(&self, core: &DeviceCore, role: Role) -> bool {
        role == Role::Rpc || self.booted(core).flash.installed.generation == Generation::V3
    }

    async fn serve(&self, core: &DeviceCore, role: Role, mut stream: BoxStream, peer: SocketAddr) {
        drop(self.booted(core));
        if role == Role::RpcV3 {
            return self.serve_v3(core, stream).await;
        }
        let served = self.one_request(core, &mut stream, peer).await;
        if served.is_ok() && self.options.keep_open {
            let mut scrap = [0; 256];
            while stream.read(&mut scrap).await.is_ok_and(|n| n > 0) {}
        }
    }

    fn ip_report(&self, core: &DeviceCore) -> Vec<u8> {
        // Real datagrams end in one more byte.
        format!("IP:{}MAC:{}\0", core.ip(), core.identity().mac).into_bytes()
    }

    fn codes(&self, truth: &Truth) -> Vec<String> {
        error_codes::of(truth)
    }

    fn settings(&self, core: &DeviceCore) -> BTreeMap<String, String> {
        let state = self.booted(core);
        let mut all: BTreeMap<String, String> =
            state.settings.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        all.insert("password".into(), state.password.clone());
        all.insert("write_enabled".into(), state.write_enabled.to_string());
        all.insert("firmware_bytes".into(), state.flash.image_bytes.to_string());
        all.insert("firmware".into(), state.flash.installed.firmware.clone());
        all.insert("power_limit".into(), state.power_limit_set.map_or(String::new(), |w| format!("{w:.0}")));
        all.insert("proto".into(), if state.network.is_some() { "static" } else { "dhcp" }.into());
        if state.flash.installed.generation == Generation::V3 {
            all.insert("super_password".into(), state.v3.password.clone());
            all.insert("salt".into(), self.v3_salt(core, &state.v3));
        }
        all
    }

    fn set_password(&self, password: &str) {
        let mut state = self.state();
        if state.flash.installed.generation == Generation::V3 {
            state.v3.change_password(password);
        } else {
            state.password = password.to_owned();
            state.tokens.forget();
        }
    }
}
