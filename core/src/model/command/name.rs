use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

macro_rules! names {
    ($($(#[$serde:meta])? $name:ident = $text:literal),+ $(,)?) => {
        /// Name of a [`Command`](super::Command), as MiningOS writes it where it has one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum CommandName {
            $(
                #[doc = concat!("`", $text, "`.")]
                #[serde(rename = $text)]
                $name,
            )+
        }

        impl CommandName {
            /// Every command there is.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name's text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

names! {
    Reboot = "reboot",
    RestartMinerSoftware = "restartMinerSoftware",
    SuspendMining = "suspendMining",
    ResumeMining = "resumeMining",
    PrePowerOn = "prePowerOn",
    SetPowerMode = "setPowerMode",
    SetPowerLimit = "setPowerLimit",
    SetPowerPct = "setPowerPct",
    SetFrequency = "setFrequency",
    SetTargetFreq = "setTargetFreq",
    SetUpfreqSpeed = "setUpfreqSpeed",
    SetFastBoot = "setFastBoot",
    SetTempOffset = "setTempOffset",
    SetPowerOffCool = "setPowerOffCool",
    SetFanZeroSpeed = "setFanZeroSpeed",
    SetFan = "setFan",
    SetupPools = "setupPools",
    SetWebPools = "setWebPools",
    SetLed = "setLED",
    SetHostname = "setHostname",
    SetZone = "setZone",
    SetNetworkInformation = "setNetworkInformation",
    UpdateAdminPassword = "updateAdminPassword",
    FactoryReset = "factoryReset",
    UpdateFirmware = "updateFirmware",
    DownloadLogs = "downloadLogs",
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CommandName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.iter().find(|name| name.as_str() == text);
        known.copied().ok_or_else(|| Error::invalid("command.name", "name", "no command has this name"))
    }
}
