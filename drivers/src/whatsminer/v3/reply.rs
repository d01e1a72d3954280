//! Members of the replies that the driver uses, by the device's names.

use headframe_core::{codec::lenient, model::Text};
use serde::Deserialize;

use super::{
    codes::ErrorList,
    wire::{numbers, object},
};

/// The part of `get.device.info` that changes from poll to poll, and what tells whether the rest did.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Live {
    #[serde(deserialize_with = "object")]
    pub miner: Option<LiveMiner>,
    #[serde(deserialize_with = "object")]
    pub system: Option<LiveSystem>,
    #[serde(deserialize_with = "object")]
    pub power: Option<LivePower>,
    #[serde(deserialize_with = "object")]
    pub network: Option<LiveNetwork>,
    /// Absent without errors.
    #[serde(rename = "error-code")]
    pub errors: Option<ErrorList>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LiveMiner {
    #[serde(deserialize_with = "lenient::bool_opt")]
    pub working: Option<bool>,
    #[serde(rename = "hash-percent", deserialize_with = "lenient::f64_opt")]
    pub hash_percent: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LiveSystem {
    #[serde(rename = "ledstatus", deserialize_with = "lenient::text_opt")]
    pub led: Option<Text>,
    #[serde(rename = "fwversion", deserialize_with = "lenient::text_opt")]
    pub firmware: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LivePower {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub mode: Option<Text>,
    #[serde(rename = "fanspeed", deserialize_with = "lenient::f64_opt")]
    pub fan: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LiveNetwork {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub mac: Option<Text>,
}

impl Live {
    /// Whether it was ordered not to mine. A machine whose mining program is gone was not.
    pub fn off(&self) -> Option<bool> {
        self.miner.as_ref()?.working.map(|working| !working).filter(|off| !(*off && self.down()))
    }

    /// Whether it says that its mining program is gone.
    pub fn down(&self) -> bool {
        self.errors.as_ref().is_some_and(|list| list.down)
    }

    /// The power mode's number or name.
    pub fn mode(&self) -> Option<&Text> {
        self.power.as_ref()?.mode.as_ref()
    }

    /// What the locating light does.
    pub fn led(&self) -> Option<&Text> {
        self.system.as_ref()?.led.as_ref()
    }
}

/// The part of `get.device.info` that changes rarely.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Device {
    #[serde(deserialize_with = "object")]
    pub miner: Option<Miner>,
    #[serde(deserialize_with = "object")]
    pub system: Option<System>,
    #[serde(deserialize_with = "object")]
    pub power: Option<Power>,
    #[serde(deserialize_with = "object")]
    pub network: Option<Network>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Miner {
    #[serde(rename = "type", deserialize_with = "lenient::text_opt")]
    pub model: Option<Text>,
    #[serde(rename = "board-num", deserialize_with = "lenient::u64_opt")]
    pub boards: Option<u64>,
    #[serde(rename = "miner-sn", deserialize_with = "lenient::text_opt")]
    pub serial: Option<Text>,
    #[serde(rename = "fast-boot", deserialize_with = "lenient::text_opt")]
    pub fast_boot: Option<Text>,
    #[serde(rename = "pool-strategy", deserialize_with = "lenient::text_opt")]
    pub pool_strategy: Option<Text>,
    // No machine has more than eight boards.
    #[serde(rename = "pcbsn0", deserialize_with = "lenient::text_opt")]
    pub board_0: Option<Text>,
    #[serde(rename = "pcbsn1", deserialize_with = "lenient::text_opt")]
    pub board_1: Option<Text>,
    #[serde(rename = "pcbsn2", deserialize_with = "lenient::text_opt")]
    pub board_2: Option<Text>,
    #[serde(rename = "pcbsn3", deserialize_with = "lenient::text_opt")]
    pub board_3: Option<Text>,
    #[serde(rename = "pcbsn4", deserialize_with = "lenient::text_opt")]
    pub board_4: Option<Text>,
    #[serde(rename = "pcbsn5", deserialize_with = "lenient::text_opt")]
    pub board_5: Option<Text>,
    #[serde(rename = "pcbsn6", deserialize_with = "lenient::text_opt")]
    pub board_6: Option<Text>,
    #[serde(rename = "pcbsn7", deserialize_with = "lenient::text_opt")]
    pub board_7: Option<Text>,
}

impl Miner {
    /// Serial numbers of the boards, by the boards' numbers.
    pub const fn board_serials(&self) -> [Option<&Text>; 8] {
        [
            self.board_0.as_ref(),
            self.board_1.as_ref(),
            self.board_2.as_ref(),
            self.board_3.as_ref(),
            self.board_4.as_ref(),
            self.board_5.as_ref(),
            self.board_6.as_ref(),
            self.board_7.as_ref(),
        ]
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct System {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub api: Option<Text>,
    #[serde(rename = "apiswitch", deserialize_with = "lenient::text_opt")]
    pub api_switch: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub platform: Option<Text>,
    #[serde(rename = "fwversion", deserialize_with = "lenient::text_opt")]
    pub firmware: Option<Text>,
    #[serde(rename = "control-board-version", deserialize_with = "lenient::text_opt")]
    pub board_version: Option<Text>,
}

/// The power supply. The units of `vin` and `iin` are not known.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Power {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub model: Option<Text>,
    #[serde(rename = "type", deserialize_with = "lenient::text_opt")]
    pub kind: Option<Text>,
    #[serde(rename = "swversion", deserialize_with = "lenient::text_opt")]
    pub firmware: Option<Text>,
    #[serde(rename = "sn", deserialize_with = "lenient::text_opt")]
    pub serial: Option<Text>,
    #[serde(deserialize_with = "lenient::f64_opt")]
    pub pin: Option<f64>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub vin: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub iin: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Network {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub ip: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub proto: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub netmask: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub gateway: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub dns: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub hostname: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub mac: Option<Text>,
}

/// The salt of `get.device.info`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Salt {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub salt: Option<Text>,
}

/// `get.miner.status` of `summary`. Rates are TH/s.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    #[serde(deserialize_with = "lenient::f64_opt")]
    pub elapsed: Option<f64>,
    #[serde(rename = "bootup-time", deserialize_with = "lenient::f64_opt")]
    pub bootup: Option<f64>,
    #[serde(rename = "hash-average", deserialize_with = "lenient::f64_opt")]
    pub average: Option<f64>,
    #[serde(rename = "hash-realtime", deserialize_with = "lenient::f64_opt")]
    pub realtime: Option<f64>,
    #[serde(rename = "hash-1min", deserialize_with = "lenient::f64_opt")]
    pub rate_1m: Option<f64>,
    #[serde(rename = "hash-15min", deserialize_with = "lenient::f64_opt")]
    pub rate_15m: Option<f64>,
    #[serde(rename = "factory-hash", deserialize_with = "lenient::f64_opt")]
    pub factory: Option<f64>,
    #[serde(rename = "freq-avg", deserialize_with = "lenient::f64_opt")]
    pub clock: Option<f64>,
    #[serde(rename = "power-realtime", deserialize_with = "lenient::f64_opt")]
    pub power: Option<f64>,
    #[serde(rename = "power-5min", deserialize_with = "lenient::f64_opt")]
    pub power_5m: Option<f64>,
    #[serde(rename = "power-limit", deserialize_with = "lenient::f64_opt")]
    pub power_limit: Option<f64>,
    #[serde(rename = "power-rate", deserialize_with = "lenient::f64_opt")]
    pub power_rate: Option<f64>,
    #[serde(rename = "environment-temperature", deserialize_with = "lenient::f64_opt")]
    pub ambient: Option<f64>,
    #[serde(rename = "board-temperature", deserialize_with = "numbers")]
    pub boards_c: Option<Vec<Option<f64>>>,
    #[serde(rename = "chip-temp-avg", deserialize_with = "lenient::f64_opt")]
    pub chip_avg: Option<f64>,
    #[serde(rename = "chip-temp-max", deserialize_with = "lenient::f64_opt")]
    pub chip_max: Option<f64>,
    #[serde(rename = "fan-speed-in", deserialize_with = "lenient::f64_opt")]
    pub fan_in: Option<f64>,
    #[serde(rename = "fan-speed-out", deserialize_with = "lenient::f64_opt")]
    pub fan_out: Option<f64>,
    #[serde(rename = "up-freq-finish", deserialize_with = "lenient::bool_opt")]
    pub settled: Option<bool>,
}

/// One of `edevs`: a hash board. Rates are TH/s.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Edev {
    #[serde(deserialize_with = "lenient::u64_opt")]
    pub id: Option<u64>,
    #[serde(rename = "hash-average", deserialize_with = "lenient::f64_opt")]
    pub average: Option<f64>,
    #[serde(rename = "hash-realtime", deserialize_with = "lenient::f64_opt")]
    pub realtime: Option<f64>,
    #[serde(rename = "factory-hash", deserialize_with = "lenient::f64_opt")]
    pub factory: Option<f64>,
    #[serde(rename = "freq", deserialize_with = "lenient::f64_opt")]
    pub clock: Option<f64>,
    #[serde(rename = "effective-chips", deserialize_with = "lenient::u64_opt")]
    pub chips: Option<u64>,
    #[serde(rename = "chip-temp-min", deserialize_with = "lenient::f64_opt")]
    pub chip_min: Option<f64>,
    #[serde(rename = "chip-temp-avg", deserialize_with = "lenient::f64_opt")]
    pub chip_avg: Option<f64>,
    #[serde(rename = "chip-temp-max", deserialize_with = "lenient::f64_opt")]
    pub chip_max: Option<f64>,
}

/// One of `pools`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pool {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub url: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub account: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub status: Option<Text>,
    #[serde(rename = "stratum-active", deserialize_with = "lenient::bool_opt")]
    pub active: Option<bool>,
    #[serde(rename = "pool-priority", deserialize_with = "lenient::i64_opt")]
    pub priority: Option<i64>,
}

/// Contents of `get.miner.status`, each under the name that was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfSummary {
    #[serde(deserialize_with = "object")]
    pub summary: Option<Summary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfEdevs {
    #[serde(deserialize_with = "lenient::objects_or_none")]
    pub edevs: Option<Vec<Edev>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfPools {
    #[serde(deserialize_with = "lenient::objects_or_none")]
    pub pools: Option<Vec<Pool>>,
}
