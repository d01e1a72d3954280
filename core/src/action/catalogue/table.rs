//! Which actions there are, for which families, and how many votes MiningOS's racks ask for. Data.

use crate::model::CommandName as N;

/// One action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActionRow {
    /// Its name, as MiningOS writes it where it has one.
    pub name: &'static str,
    /// Families whose racks know it.
    pub families: &'static [&'static str],
    /// Votes that a rack asks for, the pusher's included.
    pub votes: u32,
    /// What it does.
    pub kind: ActionKind,
    /// Code of the error for wrong parameters.
    pub code: &'static str,
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActionKind {
    /// A command to each thing.
    Device(N),
    /// A command to each thing for which no typed [`Command`](crate::model::Command) exists yet: the action is known
    /// by name, and refused as [`Unsupported`](crate::ErrorKind::Unsupported).
    Untyped,
    /// A change to the rack itself: [`RackAction`](super::RackAction).
    Rack,
}

const MINER: &[&str] = &["miner"];
const CONTAINER: &[&str] = &["container"];
/// Racks that own things. Workers of pools, prices and the like take no action.
const THINGS: &[&str] = &["container", "inventory", "miner", "powermeter", "sensor"];

const fn device(command: N, votes: u32, code: &'static str) -> ActionRow {
    ActionRow { name: command.as_str(), families: MINER, votes, kind: ActionKind::Device(command), code }
}

/// A command without parameters.
const fn plain(command: N) -> ActionRow {
    device(command, 1, PARAMS)
}

const fn container(name: &'static str, votes: u32, code: &'static str) -> ActionRow {
    ActionRow { name, families: CONTAINER, votes, kind: ActionKind::Untyped, code }
}

const fn rack(name: &'static str, votes: u32) -> ActionRow {
    ActionRow { name, families: THINGS, votes, kind: ActionKind::Rack, code: PARAMS }
}

/// Code of the error for parameters of the wrong number, size or form, where an action has none of its own.
pub(super) const PARAMS: &str = "ERR_PARAMS_INVALID";

/// Every action. Two votes are asked for where MiningOS's racks ask for two.
pub static ACTIONS: &[ActionRow] = &[
    plain(N::Reboot),
    plain(N::RestartMinerSoftware),
    plain(N::SuspendMining),
    plain(N::ResumeMining),
    device(N::PrePowerOn, 1, "ERR_PRE_POWER_ON_INVALID"),
    device(N::SetPowerMode, 1, "ERR_SET_POWER_MODE_INVALID"),
    device(N::SetPowerLimit, 1, "ERR_SET_POWER_LIMIT_INVALID"),
    device(N::SetPowerPct, 1, "ERR_SET_POWER_PCT_INVALID"),
    device(N::SetFrequency, 1, "ERR_SET_FREQUENCY_INVALID"),
    device(N::SetTargetFreq, 1, "ERR_SET_TARGET_FREQ_INVALID"),
    device(N::SetUpfreqSpeed, 2, "ERR_SET_UPFREQ_SPEED_INVALID"),
    device(N::SetFastBoot, 1, "ERR_SET_FAST_BOOT_INVALID"),
    device(N::SetTempOffset, 1, "ERR_SET_TEMP_OFFSET_INVALID"),
    device(N::SetPowerOffCool, 1, "ERR_SET_POWER_OFF_COOL_INVALID"),
    device(N::SetFanZeroSpeed, 1, "ERR_SET_FAN_ZERO_SPEED_INVALID"),
    device(N::SetFan, 1, "ERR_SET_FAN_INVALID"),
    device(N::SetupPools, 1, "ERR_SETUP_POOLS_INVALID"),
    device(N::SetWebPools, 1, "ERR_SET_WEB_POOLS_INVALID"),
    device(N::SetLed, 1, "ERR_SET_LED_ENABLED_INVALID"),
    device(N::SetHostname, 1, "ERR_SET_HOSTNAME_INVALID"),
    device(N::SetZone, 1, "ERR_SET_ZONE_INVALID"),
    device(N::SetNetworkInformation, 1, "ERR_SET_NETWORK_INFORMATION_INVALID"),
    device(N::UpdateAdminPassword, 1, "ERR_UPDATE_ADMIN_PASSWORD_INVALID"),
    plain(N::FactoryReset),
    device(N::UpdateFirmware, 1, "ERR_INVALID_FIRMWARE"),
    plain(N::DownloadLogs),
    container("switchContainer", 1, "ERR_SWITCH_CONTAINER_ENABLED_INVALID"),
    container("switchSocket", 1, "ERR_SWITCH_SOCKET_ARGS_INVALID"),
    container("switchCoolingSystem", 1, "ERR_SWITCH_COOLING_SYSTEM_ENABLED_INVALID"),
    container("resetCoolingSystem", 2, PARAMS),
    container("setLiquidSupplyTemperature", 2, PARAMS),
    container("setCoolingFanThreshold", 1, PARAMS),
    container("setTankEnabled", 1, PARAMS),
    container("setAirExhaustEnabled", 1, PARAMS),
    container("resetAlarm", 1, PARAMS),
    container("setTemperatureSettings", 2, PARAMS),
    rack("registerThing", 1),
    rack("updateThing", 1),
    rack("forgetThings", 1),
    rack("rackReboot", 2),
];

/// The action called `name`.
pub fn row(name: &str) -> Option<&'static ActionRow> {
    ACTIONS.iter().find(|row| row.name == name)
}

/// Whether racks of this family know the action.
pub fn knows(family: &str, action: &str) -> bool {
    votes(family, action).is_some()
}

/// Votes that a rack of this family asks for, under MiningOS's rules; `None` when it does not know the action.
pub fn votes(family: &str, action: &str) -> Option<u32> {
    row(action).filter(|row| row.families.contains(&family)).map(|row| row.votes)
}
