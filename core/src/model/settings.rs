//! What a miner is and how it is set.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{PowerMode, Text};

/// Settings of a miner.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MinerConfig {
    /// Network settings; shared by the snapshots between two readings of them.
    pub network_config: Arc<NetworkConfig>,
    /// Pools in order of preference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_config: Option<Vec<PoolConfig>>,
    /// Power mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_mode: Option<PowerMode>,
    /// Stopped by order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// Whether the locating light blinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub led_status: Option<bool>,
    /// Firmware version as the device writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_ver: Option<Text>,
}

/// Network settings of a miner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// `dhcp` or `static`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Text>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<Text>,
    /// Name servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Vec<Text>>,
    /// Gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_gw: Option<Text>,
    /// Network mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_netmask: Option<Text>,
}

/// One pool of a miner. Passwords of pools are never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolConfig {
    /// URL as the device has it.
    pub url: Text,
    /// Worker name, `account.worker`.
    pub username: Text,
}

/// What a miner is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MinerInfo {
    /// Maker, such as `Whatsminer`.
    pub make: Text,
    /// Canonical model, such as `M50S`; absent while the device has not told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Text>,
    /// Chip bin or board variant, such as `VH30`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Text>,
    /// What the device calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_model: Option<Text>,
    /// Whether the model is in our tables; an unknown one is read generically.
    pub model_known: bool,
    /// Firmware version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Text>,
    /// Version of the device's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Text>,
    /// Control board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_board: Option<Text>,
    /// MAC address, upper case with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Text>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Text>,
    /// Host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Text>,
    /// Boards that the model has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boards_expected: Option<u32>,
    /// Fans that the model has; 0 for liquid cooling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fans_expected: Option<u32>,
}
