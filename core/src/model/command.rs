use serde::{Deserialize, Serialize};

use super::PoolConfig;
use crate::units::{Megahertz, Watts};

/// A write that a thing may carry out. [`Capability`](super::Capability) says which it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", content = "args", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Command {
    /// Restart the whole machine.
    Reboot,
    /// Change the power mode; `Sleep` stops mining, any other starts it.
    SetPowerMode(PowerMode),
    /// Limit the power drawn.
    SetPowerLimit(Watts),
    /// Replace the pools, in order of preference.
    SetupPools(Vec<PoolConfig>),
    /// Switch the locating light on or off.
    SetLed(bool),
    /// Set the chips' clock.
    SetFrequency(Megahertz),
}

/// Name of a [`Command`], as MiningOS writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CommandName {
    /// [`Command::Reboot`].
    Reboot,
    /// [`Command::SetPowerMode`].
    SetPowerMode,
    /// [`Command::SetPowerLimit`].
    SetPowerLimit,
    /// [`Command::SetupPools`].
    SetupPools,
    /// [`Command::SetLed`].
    #[serde(rename = "setLED")]
    SetLed,
    /// [`Command::SetFrequency`].
    SetFrequency,
}

impl CommandName {
    /// Every command there is.
    pub const ALL: [Self; 6] = [
        Self::Reboot,
        Self::SetPowerMode,
        Self::SetPowerLimit,
        Self::SetupPools,
        Self::SetLed,
        Self::SetFrequency,
    ];

    /// The name's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::SetPowerMode => "setPowerMode",
            Self::SetPowerLimit => "setPowerLimit",
            Self::SetupPools => "setupPools",
            Self::SetLed => "setLED",
            Self::SetFrequency => "setFrequency",
        }
    }
}

impl Command {
    /// The command's name.
    pub const fn name(&self) -> CommandName {
        match self {
            Self::Reboot => CommandName::Reboot,
            Self::SetPowerMode(_) => CommandName::SetPowerMode,
            Self::SetPowerLimit(_) => CommandName::SetPowerLimit,
            Self::SetupPools(_) => CommandName::SetupPools,
            Self::SetLed(_) => CommandName::SetLed,
            Self::SetFrequency(_) => CommandName::SetFrequency,
        }
    }
}

/// MiningOS's power modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PowerMode {
    /// Less power than normal.
    Low,
    /// As the model was sold.
    Normal,
    /// More power than normal.
    High,
    /// Not mining.
    Sleep,
}

/// What a device did with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It confirmed the command; the effect was not read back.
    Accepted,
    /// The effect was read back.
    Verified,
}
