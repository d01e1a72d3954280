//! Parts of a miner and what is measured at them.

use serde::{Deserialize, Serialize};

use super::{Sensors, Text};
use crate::units::{Amperes, Celsius, Hashrate, Megahertz, Volts, Watts};

/// Chip clocks, MHz.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Frequencies {
    /// Mean over boards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<Megahertz>,
    /// What the tuner aims for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Megahertz>,
    /// Per board, in the order of the answer.
    pub chips: Vec<ChipClock>,
}

/// Clock of one board's chips, MHz.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChipClock {
    /// Position in the answer, from 0.
    pub index: u32,
    /// Clock now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Megahertz>,
    /// Clock aimed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Megahertz>,
}

/// Temperatures, °C.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Temperatures {
    /// Around the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ambient: Option<Celsius>,
    /// Hottest chip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Celsius>,
    /// Mean of the boards' chips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<Celsius>,
    /// Chips per board.
    pub chips: Vec<ChipTemps>,
    /// Circuit boards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pcb: Vec<PcbTemp>,
    /// Inlet and outlet per board.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temp: Vec<BoardTemps>,
    /// The sensors as reported, per board.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub raw_temps: Vec<RawTemps>,
}

/// Temperatures of one board's chips, °C.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChipTemps {
    /// Position in the answer, from 0.
    pub index: u32,
    /// Hottest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Celsius>,
    /// Coolest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Celsius>,
    /// Mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<Celsius>,
}

/// Temperature of one circuit board, °C.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PcbTemp {
    /// Position in the answer, from 0.
    pub index: u32,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Celsius>,
}

/// Inlet and outlet of one board, °C.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BoardTemps {
    /// Position in the answer, from 0.
    pub index: u32,
    /// Where air or liquid enters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcb_inlet: Option<Celsius>,
    /// Where it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcb_outlet: Option<Celsius>,
}

/// All sensors of one board as reported, °C; 0 means that there is no sensor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawTemps {
    /// Position in the answer, from 0.
    pub index: u32,
    /// At the board's controller.
    pub pic: Sensors,
    /// On the circuit board.
    pub pcb: Sensors,
    /// On the chips.
    pub chip: Sensors,
}

/// Members of one family only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MinerSpecific {
    /// Whatsminer: how fast the clock rises after a start, 0 to 9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upfreq_speed: Option<u32>,
}

/// One hash board.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Board {
    /// The slot's number as the device counts.
    pub slot: u32,
    /// What it hashes now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate_mhs: Option<Hashrate>,
    /// What it should hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nominal_hashrate_mhs: Option<Hashrate>,
    /// Chips that work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chips: Option<u32>,
    /// Chips that the model has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chips_expected: Option<u32>,
    /// Clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_mhz: Option<Megahertz>,
    /// Circuit board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
    /// Hottest chip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chip_max_c: Option<Celsius>,
    /// Hardware errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hw_errors: Option<u64>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Text>,
}

/// One fan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fan {
    /// Which: `in`, `out`, `psu`, or a number from 0.
    pub name: Text,
    /// Speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
}

/// Power supply.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Psu {
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Text>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Text>,
    /// Firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Text>,
    /// Power taken from the wall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_w: Option<Watts>,
    /// Tension of the wall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_v: Option<Volts>,
    /// Current from the wall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_a: Option<Amperes>,
    /// Temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
}
