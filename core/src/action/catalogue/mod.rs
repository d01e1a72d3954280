//! MiningOS's actions: their names and JSON parameters, and the typed commands that they are.
//!
//! [`ACTIONS`] lists all of them with the families that know them and the votes that MiningOS asks for. An action on
//! things becomes a [`Command`] with [`to_command`], and back with [`of_command`]; one on racks becomes a
//! [`RackAction`]. Actions of containers are known by name, but there is no typed command for them until there are
//! drivers: they are refused as [`Unsupported`](ErrorKind::Unsupported).
//!
//! Parameters are positional. Wrong ones are [`Invalid`](ErrorKind::Invalid), name the field and carry the code of
//! [`ActionRow::code`], MiningOS's where it has one. Nothing may stand behind the parameters of an action: MiningOS's
//! executor appends `{actionId, user}` there, which devices with optional arguments took for one.
//!
//! | action | parameters |
//! |---|---|
//! | `reboot`, `restartMinerSoftware`, `suspendMining`, `resumeMining`, `factoryReset`, `downloadLogs` | none |
//! | `prePowerOn` | `begin`, `continue` or `complete` |
//! | `setPowerMode` | `low`, `normal`, `high` or `sleep` |
//! | `setPowerLimit` | W |
//! | `setPowerPct`, `setTargetFreq` | % |
//! | `setFrequency` | MHz |
//! | `setUpfreqSpeed` | 0 to 9 |
//! | `setTempOffset` | °C |
//! | `setLED`, `setFastBoot`, `setPowerOffCool`, `setFanZeroSpeed`, `setWebPools` | true or false |
//! | `setFan` | `"auto"` or `{"fixed": <%>}` |
//! | `setHostname`, `updateAdminPassword` | a text |
//! | `setZone` | `{"timezone": "CST-8", "zonename": "Asia/Shanghai"}` |
//! | `setNetworkInformation` | `{"mode": "dhcp"}` or `{"mode": "static", "ip_address", "ip_netmask", "ip_gw", "dns"?}` |
//! | `setupPools` | none for the pools of the rack's configuration, or `{"config": {"id"?, "poolUrls": [{"url", "workerName", "workerPassword"?}], "appendId"?}}` |
//! | `updateFirmware` | `{"name", "sha256", "version"?}` |
//!
//! The id of each thing is appended to the worker names of `setupPools`, as `.<id>`, unless `appendId` is `false`; a
//! worker without a password gets `.`.

mod args;
mod firmware;
mod pools;
mod rack;
mod secrets;
mod table;
#[cfg(test)]
mod tests;

pub use firmware::{
    FIRMWARE_CHANGED, FIRMWARE_NOT_FOUND, FirmwareEntry, FirmwareShelf, FirmwareStore, Images,
};
pub use rack::{MISSING_ID, MISSING_RACK, QUERY_ID, RackAction, Racks};
pub use secrets::{open, redact, seal};
pub use table::{ACTIONS, ActionKind, ActionRow, knows, row, votes};

use serde_json::{Value, json};

use crate::{
    Error, ErrorKind, Result, Secret,
    model::{Command, CommandName as N, OutcomeState},
};
use args::{Args, OP};

/// What the parameters of an action are completed with.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Id of the thing, for its worker names.
    pub thing: &'a str,
    /// The pools of the rack's configuration, in MiningOS's form.
    pub pools: Option<&'a [Value]>,
    /// Firmware images.
    pub images: &'a Images,
}

/// The command that an action is for one thing.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), naming the field, with the action's own code, with `ERR_PARAMS_INVALID` for
/// parameters that are too many or too large, and with `ERR_ACTION_UNKOWN` for an unknown action;
/// [`Unsupported`](ErrorKind::Unsupported) for one that is no typed command; those of [`Images::get`].
pub fn to_command(action: &str, params: &[Value], scope: &Scope<'_>) -> Result<Command> {
    let row = row(action).ok_or_else(|| unknown(action))?;
    let ActionKind::Device(name) = row.kind else {
        let e = Error::new(ErrorKind::Unsupported, OP, "no driver carries this action out");
        return Err(e.with("action", row.name));
    };
    args::bounded(params)?;
    let command = read(name, &Args { row, params }, scope)?;
    // The same value can be refused by its form and by its range: callers see one code for both.
    command.check().map_err(|e| e.code_as(row.code).with("action", row.name))?;
    Ok(command)
}

fn read(name: N, args: &Args<'_>, scope: &Scope<'_>) -> Result<Command> {
    let plain = |command| args.none().map(|()| command);
    match name {
        N::Reboot => plain(Command::Reboot),
        N::RestartMinerSoftware => plain(Command::RestartMinerSoftware),
        N::SuspendMining => plain(Command::SuspendMining),
        N::ResumeMining => plain(Command::ResumeMining),
        N::FactoryReset => plain(Command::FactoryReset),
        N::DownloadLogs => plain(Command::DownloadLogs),
        N::PrePowerOn => args.typed("step").map(Command::PrePowerOn),
        N::SetPowerMode => args.typed("mode").map(Command::SetPowerMode),
        N::SetPowerLimit => args.typed("power_limit_w").map(Command::SetPowerLimit),
        N::SetPowerPct => args.whole("percent").map(Command::SetPowerPct),
        N::SetFrequency => args.typed("frequency_mhz").map(Command::SetFrequency),
        N::SetTargetFreq => args.whole("percent").map(Command::SetTargetFreq),
        N::SetUpfreqSpeed => args.whole("upfreq_speed").map(Command::SetUpfreqSpeed),
        N::SetTempOffset => args.whole("temp_offset").map(Command::SetTempOffset),
        N::SetFastBoot => args.flag("enabled").map(Command::SetFastBoot),
        N::SetPowerOffCool => args.flag("enabled").map(Command::SetPowerOffCool),
        N::SetFanZeroSpeed => args.flag("enabled").map(Command::SetFanZeroSpeed),
        N::SetWebPools => args.flag("enabled").map(Command::SetWebPools),
        N::SetLed => args.flag("enabled").map(Command::SetLed),
        N::SetFan => args.typed("fan").map(Command::SetFan),
        N::SetHostname => args.text("hostname").map(|name| Command::SetHostname(name.into())),
        N::SetZone => args.typed("zone").map(Command::SetZone),
        N::SetNetworkInformation => args.typed("network").map(Command::SetNetworkInformation),
        N::UpdateAdminPassword => {
            args.text("password").map(|new| Command::UpdateAdminPassword(Secret::new(new)))
        }
        N::SetupPools => pools::parse(args, scope).map(Command::SetupPools),
        N::UpdateFirmware => firmware::parse(args, scope.images).map(Command::UpdateFirmware),
    }
}

/// The action and the parameters that a command is, secrets included: [`to_command`] gives the same command again, for
/// any thing. Of an image the bytes stay where they are, and unused places at the end of a list of pools fall away.
pub fn of_command(command: &Command) -> (&'static str, Vec<Value>) {
    let params = match command {
        Command::Reboot
        | Command::RestartMinerSoftware
        | Command::SuspendMining
        | Command::ResumeMining
        | Command::FactoryReset
        | Command::DownloadLogs => Vec::new(),
        Command::PrePowerOn(step) => vec![json!(step)],
        Command::SetPowerMode(mode) => vec![json!(mode)],
        Command::SetPowerLimit(limit) => vec![json!(limit)],
        Command::SetFrequency(clock) => vec![json!(clock)],
        Command::SetPowerPct(percent) => vec![json!(percent)],
        Command::SetTargetFreq(number) | Command::SetTempOffset(number) => vec![json!(number)],
        Command::SetUpfreqSpeed(speed) => vec![json!(speed)],
        Command::SetFastBoot(on)
        | Command::SetPowerOffCool(on)
        | Command::SetFanZeroSpeed(on)
        | Command::SetWebPools(on)
        | Command::SetLed(on) => vec![json!(on)],
        Command::SetFan(fan) => vec![json!(fan)],
        Command::SetHostname(name) => vec![json!(name)],
        Command::SetZone(zone) => vec![json!(zone)],
        Command::SetNetworkInformation(network) => vec![json!(network)],
        Command::UpdateAdminPassword(new) => vec![json!(new.expose())],
        Command::SetupPools(list) => vec![pools::of(list)],
        Command::UpdateFirmware(image) => vec![json!(image)],
    };
    (command.name().as_str(), params)
}

/// Id of the pool configuration that an action sets; the thing's record keeps it as `info.poolConfig`.
pub fn pool_config<'a>(action: &str, params: &'a [Value]) -> Option<&'a Value> {
    (action == N::SetupPools.as_str()).then(|| pools::config_id(params)).flatten()
}

/// What callers see of a call to a device that is ok, with how much is known of its effect.
pub fn success(state: OutcomeState) -> Value {
    json!({"success": true, "state": state})
}

fn unknown(action: &str) -> Error {
    // Whoever sends no action's name can send a text of any length.
    let shown: String = action.chars().take(64).collect();
    Error::invalid(OP, "action", "there is no such action").code_as("ERR_ACTION_UNKOWN").with("action", shown)
}
