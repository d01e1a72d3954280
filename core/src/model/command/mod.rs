//! The writes that a thing may carry out.

mod args;
mod check;
mod name;
mod row;

use serde::{Deserialize, Serialize};

pub use self::{
    args::{FanControl, FirmwareImage, NetworkSetup, PoolSetup, PowerMode, Preheat, Zone},
    name::CommandName,
    row::{CommandRow, ReadBack, ReplyRule, Restart, Undo},
};
use crate::{
    Secret,
    units::{Megahertz, Watts},
};

/// A write that a thing may carry out. [`Capability`](super::Capability) says which it has, and what is known of
/// each.
///
/// JSON is `{"name": "setPowerMode", "args": "low"}`. Secrets in it are shown as `***`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", content = "args", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Command {
    /// Restart the whole machine.
    Reboot,
    /// Restart the mining software only.
    RestartMinerSoftware,
    /// Stop mining; the control board stays up. The same as `SetPowerMode(Sleep)`.
    SuspendMining,
    /// Mine again, in the mode that was there before [`Command::SuspendMining`].
    ResumeMining,
    /// Warm up before mining begins; liquid-cooled machines.
    PrePowerOn(Preheat),
    /// Change the power mode; `Sleep` stops mining, any other starts it.
    SetPowerMode(PowerMode),
    /// Limit the power drawn.
    SetPowerLimit(Watts),
    /// Scale the power, % of what is drawn in the present mode; it is gone after a restart.
    SetPowerPct(u16),
    /// Set the chips' clock.
    SetFrequency(Megahertz),
    /// Shift the clock that the tuner aims for, %.
    SetTargetFreq(i16),
    /// How fast the clock rises after a start, 0 (normal) to 9 (fastest).
    SetUpfreqSpeed(u8),
    /// Start without the long tuning.
    SetFastBoot(bool),
    /// Shift the board temperature that the tuner aims for, °C.
    SetTempOffset(i16),
    /// Whether the fans go on when mining is stopped.
    SetPowerOffCool(bool),
    /// Whether the fans may stand still.
    SetFanZeroSpeed(bool),
    /// Set the fans.
    SetFan(FanControl),
    /// Replace the pools, in order of preference.
    SetupPools(Vec<PoolSetup>),
    /// Whether the device's own pages may change pools.
    SetWebPools(bool),
    /// Switch the locating light on or off.
    #[serde(rename = "setLED")]
    SetLed(bool),
    /// Set the host name.
    SetHostname(String),
    /// Set the time zone.
    SetZone(Zone),
    /// Set how the device gets its address.
    SetNetworkInformation(NetworkSetup),
    /// Replace the password of the account that the thing is opened with.
    UpdateAdminPassword(Secret),
    /// Set everything as delivered, the password too.
    FactoryReset,
    /// Install a firmware.
    UpdateFirmware(FirmwareImage),
    /// Fetch the device's log.
    DownloadLogs,
}

impl Command {
    /// The command's name.
    pub const fn name(&self) -> CommandName {
        match self {
            Self::Reboot => CommandName::Reboot,
            Self::RestartMinerSoftware => CommandName::RestartMinerSoftware,
            Self::SuspendMining => CommandName::SuspendMining,
            Self::ResumeMining => CommandName::ResumeMining,
            Self::PrePowerOn(_) => CommandName::PrePowerOn,
            Self::SetPowerMode(_) => CommandName::SetPowerMode,
            Self::SetPowerLimit(_) => CommandName::SetPowerLimit,
            Self::SetPowerPct(_) => CommandName::SetPowerPct,
            Self::SetFrequency(_) => CommandName::SetFrequency,
            Self::SetTargetFreq(_) => CommandName::SetTargetFreq,
            Self::SetUpfreqSpeed(_) => CommandName::SetUpfreqSpeed,
            Self::SetFastBoot(_) => CommandName::SetFastBoot,
            Self::SetTempOffset(_) => CommandName::SetTempOffset,
            Self::SetPowerOffCool(_) => CommandName::SetPowerOffCool,
            Self::SetFanZeroSpeed(_) => CommandName::SetFanZeroSpeed,
            Self::SetFan(_) => CommandName::SetFan,
            Self::SetupPools(_) => CommandName::SetupPools,
            Self::SetWebPools(_) => CommandName::SetWebPools,
            Self::SetLed(_) => CommandName::SetLed,
            Self::SetHostname(_) => CommandName::SetHostname,
            Self::SetZone(_) => CommandName::SetZone,
            Self::SetNetworkInformation(_) => CommandName::SetNetworkInformation,
            Self::UpdateAdminPassword(_) => CommandName::UpdateAdminPassword,
            Self::FactoryReset => CommandName::FactoryReset,
            Self::UpdateFirmware(_) => CommandName::UpdateFirmware,
            Self::DownloadLogs => CommandName::DownloadLogs,
        }
    }

    /// Whether a device whose state is `now` is as this command wants it. Passwords are not compared: no device
    /// tells them. Numbers may differ by what devices round, 1 W and 1 MHz.
    pub fn is_met_by(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::SuspendMining, Self::SetPowerMode(mode)) => *mode == PowerMode::Sleep,
            (Self::ResumeMining, Self::SetPowerMode(mode)) => *mode != PowerMode::Sleep,
            (Self::SetPowerLimit(a), Self::SetPowerLimit(b)) => near(a.get(), b.get()),
            (Self::SetFrequency(a), Self::SetFrequency(b)) => near(a.get(), b.get()),
            (Self::SetupPools(a), Self::SetupPools(b)) => args::same_pools(a, b),
            (Self::UpdateFirmware(a), Self::UpdateFirmware(b)) => {
                a.version.is_some() && a.version == b.version
            }
            (a, b) => a == b,
        }
    }
}

impl Command {
    /// Whether sending this command to a device whose state is `now` would change nothing. Stricter than
    /// [`is_met_by`](Self::is_met_by): a pool's new password is a change unless the device tells the same one.
    pub fn is_already(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::SetupPools(wanted), Self::SetupPools(there)) => {
                let known = |(a, b): (&PoolSetup, &PoolSetup)| {
                    a.password.expose().is_empty() || a.password == b.password
                };
                args::same_pools(wanted, there) && wanted.iter().zip(there).all(known)
            }
            _ => self.is_met_by(now),
        }
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1.0
}

/// What a device did with a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// How much is known of it.
    pub state: OutcomeState,
    /// The command that brings the state back that was there before; absent when the device does not tell its state,
    /// or nothing can bring it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Command>,
    /// What went over the wire; absent when nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

impl Outcome {
    /// An outcome.
    pub const fn new(state: OutcomeState, before: Option<Command>, receipt: Option<Receipt>) -> Self {
        Self { state, before, receipt }
    }
}

/// How much is known of a command's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutcomeState {
    /// The device confirmed the command; the effect cannot be read back.
    Accepted,
    /// The command went out whole, the device said nothing, as it does to this one, and the effect cannot be read back:
    /// nobody knows more.
    Sent,
    /// The effect was read back.
    Verified,
    /// The device was as wanted already: nothing was sent.
    Unchanged,
}

/// What went over the wire for one command, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Receipt {
    /// The requests that changed something, in order, with secrets as `***`.
    pub requests: Vec<String>,
    /// What the device answered last; absent when it was silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Whether this very command's effect cannot be read back, though its kind's can: a DHCP lease moves the device to
    /// an address that nobody knows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// What the command fetched, such as a log.
    #[serde(skip)]
    pub data: Option<bytes::Bytes>,
}

impl Receipt {
    /// How much is known of a command whose effect cannot be read back.
    pub const fn state(&self) -> OutcomeState {
        if self.reply.is_some() { OutcomeState::Accepted } else { OutcomeState::Sent }
    }

    /// A receipt of `request`, which was answered by `reply` or by silence.
    pub fn new(request: impl Into<String>, reply: Option<String>) -> Self {
        Self { requests: vec![request.into()], reply, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
