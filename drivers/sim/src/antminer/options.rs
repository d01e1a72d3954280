//! What kind of Antminer is simulated: its machine, its firmware and how that firmware behaves.

use std::time::Duration;

use super::models::AntminerModel;
use crate::Join;

/// How a port or a web server receives a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// It works.
    Open,
    /// Nothing listens.
    Closed,
    /// Every request is answered with 401, whatever its credentials.
    Unauthorized,
    /// Every request is answered with 403.
    Forbidden,
}

/// The HTTP side port 6060.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SidePort {
    /// Nothing listens there.
    Absent,
    /// `/warning` answers JSON.
    Json,
    /// `/warning` answers the text of old builds, which do not know the command.
    OldText,
}

/// The key under which `stats` tells the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerKey {
    /// It does not.
    Absent,
    /// `watt`.
    Watt,
    /// `power`.
    Power,
}

/// What `set_miner_conf` does with a body that lacks members of the browser's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfRule {
    /// Refuses it and changes nothing.
    Full,
    /// Takes every missing member as empty and stores that: pools are lost.
    Wipes,
    /// Changes only what the body names; firmware from 2023-07.
    Partial,
}

/// How `get_miner_conf` writes the mode, and what `set_miner_conf` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeForm {
    /// `bitmain-work-mode` as text; writes may use text or number.
    Text,
    /// `bitmain-work-mode` as number; writes may use text or number.
    Number,
    /// `bitmain-work-mode` as text; a number in a write is passed over without a word.
    TextOnly,
    /// `miner-mode` as text; writes may use text or number.
    MinerMode,
}

/// How `blink` understands its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlinkRule {
    /// Booleans and their texts mean what they say.
    Both,
    /// Any text that is not empty counts as true, `"false"` too.
    Truthy,
    /// Only texts count; a boolean changes nothing.
    TextOnly,
}

/// How `get_blink_status` writes its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlinkForm {
    /// `true`
    Bool,
    /// `"true"`
    Text,
    /// `1`
    Number,
}

/// What reads answer while the mining software restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarting {
    /// `SUMMARY`, `STATS` and `POOLS` are empty arrays.
    Empty,
    /// The connection closes without an answer.
    Drop,
}

/// Port 4028.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcOptions {
    /// `api-listen`; when false, nothing listens.
    pub listens: bool,
    /// Whether a NUL byte follows the answer.
    pub nul: bool,
    /// Whether the connection stays open after the answer.
    pub stays_open: bool,
    /// Which commands can be joined with `+`.
    pub join: Join,
    /// Whether `new_api` is known.
    pub new_api: bool,
    /// Whether the comma between the two objects of the legacy `stats` is missing.
    pub missing_comma: bool,
}

impl Default for RpcOptions {
    fn default() -> Self {
        Self {
            listens: true,
            nul: true,
            stays_open: false,
            join: Join::None,
            new_api: true,
            missing_comma: false,
        }
    }
}

/// Everything that can be chosen about a simulated Antminer. The defaults are an S21 on firmware of 2025.
#[derive(Debug, Clone, PartialEq)]
pub struct AntminerOptions {
    /// The machine.
    pub model: AntminerModel,
    /// Build date as `fw_version` and `CompileTime` write it.
    pub built: String,
    /// `system_filesystem_version`.
    pub version: String,
    /// Build date after a firmware upload.
    pub upgraded: String,
    /// Whether `get_system_info` tells the serial number.
    pub tells_serial: bool,
    /// Web account at delivery and after a factory reset.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How long a nonce is good.
    pub nonce_ttl: Duration,
    /// Whether the challenge offers `qop="auth"`.
    pub qop: bool,
    /// Wrong passwords in a row after which the web user is locked, and for how long.
    pub lockout: Option<(u32, Duration)>,
    /// The web server on port 80.
    pub web: Door,
    /// Whether replies come in chunks instead of with a length.
    pub chunked: bool,
    /// Whether the web server closes after every reply.
    pub close_after_reply: bool,
    /// How long an idle connection stays open.
    pub idle: Duration,
    /// CGIs that this build lacks, such as `miner_type`: 404.
    pub lacks: Vec<String>,
    /// Port 6060.
    pub side_port: SidePort,
    /// Whether port 6060 demands the digest.
    pub side_port_auth: bool,
    /// Power in `stats`.
    pub power_key: PowerKey,
    /// Whether `summary.status[]` has entries.
    pub status_list: bool,
    /// Incomplete `set_miner_conf` bodies.
    pub conf_rule: ConfRule,
    /// Whether a successful `set_miner_conf` is answered before the mining software restarts.
    pub conf_answered: bool,
    /// Whether `set_network_conf` is answered before the address changes.
    pub network_answered: bool,
    /// Whether a static address in `set_network_conf` really moves the device there.
    pub network_moves: bool,
    /// The mode in `get_miner_conf` and `set_miner_conf`.
    pub mode_form: ModeForm,
    /// Whether `get_miner_conf` shows `bitmain-freq` and `bitmain-voltage` and `set_miner_conf` takes them; else a
    /// write that names them is answered well and they are passed over.
    pub tells_freq: bool,
    /// Whether mode 3 exists; without it such a write is answered well and the mode stays.
    pub low_mode: bool,
    /// How `blink` reads its body.
    pub blink_rule: BlinkRule,
    /// How `get_blink_status` answers.
    pub blink_form: BlinkForm,
    /// Whether `SUMMARY` and `STATS` are empty while the machine sleeps.
    pub sleep_empty: bool,
    /// Whether `upgrade` looks into a bundle: its checksum, and whether it holds an image for this machine. A file
    /// that is no bundle is taken as it is.
    pub checks_image: bool,
    /// How long the mining software takes to restart.
    pub restart: Duration,
    /// What reads answer meanwhile.
    pub restarting: Restarting,
    /// Port 4028.
    pub rpc: RpcOptions,
}

impl Default for AntminerOptions {
    fn default() -> Self {
        Self {
            model: AntminerModel::S21,
            built: "Thu Oct  9 18:55:45 CST 2025".to_owned(),
            version: "FR-1.12(251009-S21)".to_owned(),
            upgraded: "Mon Feb  2 10:20:30 CST 2026".to_owned(),
            tells_serial: true,
            user: "root".to_owned(),
            password: "root".to_owned(),
            nonce_ttl: Duration::from_secs(600),
            qop: true,
            lockout: None,
            web: Door::Open,
            chunked: false,
            close_after_reply: false,
            idle: Duration::from_secs(30),
            lacks: Vec::new(),
            side_port: SidePort::Absent,
            side_port_auth: false,
            power_key: PowerKey::Watt,
            status_list: true,
            conf_rule: ConfRule::Partial,
            conf_answered: true,
            network_answered: true,
            network_moves: true,
            mode_form: ModeForm::Text,
            tells_freq: true,
            low_mode: true,
            blink_rule: BlinkRule::Both,
            blink_form: BlinkForm::Bool,
            sleep_empty: true,
            checks_image: false,
            restart: Duration::from_secs(20),
            restarting: Restarting::Empty,
            rpc: RpcOptions::default(),
        }
    }
}

impl AntminerOptions {
    /// An S21 on firmware of 2025: power in `stats`, `summary.status[]` filled, no side port.
    pub fn s21_2025() -> Self {
        Self::default()
    }

    /// An S21 on firmware of 2024: power and warnings on the side port only.
    pub fn s21_2024() -> Self {
        Self {
            built: "Fri Mar 15 11:40:02 CST 2024".to_owned(),
            version: "FR-1.4(240315-S21)".to_owned(),
            tells_serial: false,
            side_port: SidePort::Json,
            power_key: PowerKey::Absent,
            status_list: false,
            ..Self::default()
        }
    }

    /// An S19 XP on firmware of 2022: full form only, no power anywhere, an old side port.
    pub fn s19_xp_2022() -> Self {
        Self { model: AntminerModel::S19_XP, ..Self::old() }
    }

    /// An S19 on firmware of 2020: no `miner_type`, the mode under `miner-mode`, full form only, no low mode, no side
    /// port, no power and no self-tests anywhere, and port 4028 without `new_api`.
    pub fn s19_2020() -> Self {
        Self {
            model: AntminerModel::S19,
            built: "Wed Aug 12 15:23:44 CST 2020".to_owned(),
            version: "Wed Aug 12 15:10:02 CST 2020".to_owned(),
            lacks: vec!["miner_type".to_owned()],
            side_port: SidePort::Absent,
            status_list: false,
            mode_form: ModeForm::MinerMode,
            low_mode: false,
            rpc: RpcOptions { missing_comma: true, new_api: false, ..RpcOptions::default() },
            ..Self::old()
        }
    }

    /// An S19j Pro on firmware of 2022: full form only, the comma missing in its legacy `stats`.
    pub fn s19j_pro_2022() -> Self {
        let rpc = RpcOptions { missing_comma: true, new_api: false, ..RpcOptions::default() };
        Self { model: AntminerModel::S19J_PRO, rpc, ..Self::old() }
    }

    /// The 2025 firmware on another machine.
    pub fn with_model(model: AntminerModel) -> Self {
        Self { model, ..Self::default() }
    }

    fn old() -> Self {
        Self {
            built: "Tue Dec  6 16:12:30 CST 2022".to_owned(),
            version: "Tue Dec  6 16:02:11 CST 2022".to_owned(),
            tells_serial: false,
            side_port: SidePort::OldText,
            power_key: PowerKey::Absent,
            conf_rule: ConfRule::Full,
            ..Self::default()
        }
    }
}
