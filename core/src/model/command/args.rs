use std::net::Ipv4Addr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use std::sync::Arc;

use crate::Secret;

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

impl PowerMode {
    /// The mode's name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Sleep => "sleep",
        }
    }
}

/// A pool to work for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolSetup {
    /// URL, for example `stratum+tcp://pool.example:3333`.
    pub url: String,
    /// Worker name, `account.worker`.
    pub username: String,
    /// The worker's password.
    pub password: Secret,
}

impl PoolSetup {
    /// A pool.
    pub fn new(url: impl Into<String>, username: impl Into<String>, password: impl Into<Arc<str>>) -> Self {
        Self { url: url.into(), username: username.into(), password: Secret::new(password) }
    }
}

/// Whether two lists name the same pools in the same order; unused places at the end do not count.
pub(super) fn same_pools(a: &[PoolSetup], b: &[PoolSetup]) -> bool {
    let used = |pools: &[PoolSetup]| pools.iter().rposition(|p| !p.url.is_empty()).map_or(0, |last| last + 1);
    let (a, b) = (a.get(..used(a)).unwrap_or_default(), b.get(..used(b)).unwrap_or_default());
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.url == b.url && a.username == b.username)
}

/// How fans run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FanControl {
    /// As the firmware decides.
    Auto,
    /// At this fixed speed, 0 to 100 %.
    Fixed(u8),
}

/// How a device gets its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum NetworkSetup {
    /// From a DHCP server.
    Dhcp,
    /// As given here.
    Static {
        /// Its address.
        ip_address: Ipv4Addr,
        /// Network mask.
        ip_netmask: Ipv4Addr,
        /// Gateway.
        ip_gw: Ipv4Addr,
        /// Name servers.
        #[serde(default)]
        dns: Vec<Ipv4Addr>,
    },
}

/// A time zone in the two forms that devices want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// POSIX form, for example `CST-8`.
    pub timezone: String,
    /// IANA name, for example `Asia/Shanghai`.
    pub zonename: String,
}

/// Which step of warming up is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preheat {
    /// Begin, and say whether the temperature is reached.
    Begin,
    /// Go on although it is not reached.
    Continue,
    /// It is reached.
    Complete,
}

/// A firmware image. Its JSON carries everything but the bytes, so that a vote can be bound to it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FirmwareImage {
    /// File name.
    pub name: String,
    /// SHA-256 of the file, 64 hexadecimal digits; the image is refused when its bytes have another.
    pub sha256: String,
    /// The version that the device shows once it runs; absent, the effect is confirmed by the restart alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The file.
    #[serde(skip)]
    pub bytes: Bytes,
}

impl FirmwareImage {
    /// An image.
    pub fn new(name: impl Into<String>, sha256: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), sha256: sha256.into(), version: None, bytes: bytes.into() }
    }
}

impl std::fmt::Debug for FirmwareImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirmwareImage")
            .field("name", &self.name)
            .field("sha256", &self.sha256)
            .field("version", &self.version)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}
