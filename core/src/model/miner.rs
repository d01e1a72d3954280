use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Board, Fan, Frequencies, Members, MinerConfig, MinerInfo, MinerSpecific, MissingReason, Path, Psu, State,
    Status, Temperatures, Text,
};
use crate::{
    io::Timestamp,
    units::{Hashrate, JoulesPerTerahash, Watts},
};

/// What a miner said: MiningOS's members under MiningOS's keys, and beside them what MiningOS drops.
///
/// A member that is not known is absent, and `missing` says why under its path.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MinerSnapshot {
    /// False when nothing usable was read.
    pub success: bool,
    /// The device's errors; absent when the snapshot failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_errors: Option<Vec<DeviceError>>,
    /// Measured values.
    pub stats: MinerStats,
    /// Settings; absent when the snapshot failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<MinerConfig>,
    /// What the device is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Arc<MinerInfo>>,
    /// Why members are absent: path such as `stats.power_w` to reason.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub missing: Members<MissingReason>,
    /// Members that MiningOS's consumers expect but the device does not have: path to the path it was copied from.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub substituted: Members<Path>,
    /// Age in ms of each group of values: `live` on every poll, the others read more rarely.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub age_ms: Members<u64>,
    /// Values that only this vendor has.
    #[serde(default, skip_serializing_if = "Members::is_empty")]
    pub extra: Members<Value>,
}

impl MinerSnapshot {
    /// Gives back room that its lists reserved for more entries; what things of a kind have in common is kept once.
    pub(super) fn shrink(&mut self) {
        self.missing.pack_shared();
        self.substituted.pack_shared();
        self.age_ms.pack();
        self.extra.pack();
        let stats = &mut self.stats;
        stats.boards.shrink_to_fit();
        stats.fans.shrink_to_fit();
        stats.errors.shrink_to_fit();
        stats.pool_status.iter_mut().for_each(Vec::shrink_to_fit);
        stats.frequency_mhz.iter_mut().for_each(|f| f.chips.shrink_to_fit());
        if let Some(temperatures) = &mut stats.temperature_c {
            temperatures.chips.shrink_to_fit();
            temperatures.pcb.shrink_to_fit();
            temperatures.temp.shrink_to_fit();
            temperatures.raw_temps.shrink_to_fit();
        }
    }
}

/// Measured values of a miner.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MinerStats {
    /// MiningOS's status.
    pub status: Status,
    /// Headframe's finer state.
    pub state: State,
    /// Whether it hashes, from the device's own best source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_mining: Option<bool>,
    /// The device's errors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<DeviceError>,
    /// Whether all errors are on the vendor's list of minor ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub are_all_errors_minor: Option<bool>,
    /// Power drawn, W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// Where `power_w` comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_source: Option<PowerSource>,
    /// Power that the device was told to stay below, W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<Watts>,
    /// Efficiency, J/TH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efficiency_w_ths: Option<JoulesPerTerahash>,
    /// Efficiency as the model was sold, J/TH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nominal_efficiency_w_ths: Option<JoulesPerTerahash>,
    /// Shares per pool since the miner started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_status: Option<Vec<PoolStatus>>,
    /// Shares of all pools since the previous snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_pools_shares: Option<Shares>,
    /// Time since mining started, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// Hashrate per averaging window, MH/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate_mhs: Option<HashrateWindows>,
    /// Hashrate that the device says it should reach, MH/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nominal_hashrate_mhs: Option<Hashrate>,
    /// Chip clock, MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_mhz: Option<Frequencies>,
    /// Temperatures, °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Temperatures>,
    /// Members of one family only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner_specific: Option<MinerSpecific>,
    /// Hash boards that the device reports, in the order of its answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<Board>,
    /// Fans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fans: Vec<Fan>,
    /// Power supply; shared by the snapshots between two readings of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psu: Option<Arc<Psu>>,
}

/// Averaging windows, MH/s. Which of them exist depends on the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HashrateWindows {
    /// Since mining started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<Hashrate>,
    /// The device's shortest window, of a length it does not state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime: Option<Hashrate>,
    /// 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_5s: Option<Hashrate>,
    /// 30 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_30s: Option<Hashrate>,
    /// 1 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_1m: Option<Hashrate>,
    /// 5 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_5m: Option<Hashrate>,
    /// 15 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_15m: Option<Hashrate>,
    /// 30 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_30m: Option<Hashrate>,
}

impl HashrateWindows {
    /// The most current of the windows that exist: what the miner does now.
    pub fn current(&self) -> Option<Hashrate> {
        self.realtime.or(self.t_5s).or(self.t_30s).or(self.t_1m).or(self.t_5m).or(self.avg)
    }
}

/// Where a power figure comes from; they differ by 5 to 20 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PowerSource {
    /// A meter.
    Meter,
    /// A socket of a power distribution unit.
    Pdu,
    /// The device's own measurement or estimate.
    Device,
    /// The figure the model was sold with.
    Nameplate,
}

/// An error that a device reports.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DeviceError {
    /// MiningOS's name of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// MiningOS's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The device's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// What the code means, in plain words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The part concerned, such as `board:2` or `fan:0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// How bad it is, where MiningOS ranks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// When it began, in the device's own words and zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Text of a failed collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// Time of a failed collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

/// How bad an error is, as MiningOS ranks the errors that it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Worth a look some day.
    Low,
    /// Costs something.
    Medium,
    /// Costs much, or nobody knows what it means.
    High,
    /// The device protects itself or earns nothing.
    Critical,
}

/// A device's error code: one text, or one per board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ErrorCode {
    /// One code.
    One(String),
    /// One code per board.
    PerBoard(Vec<String>),
}

/// Shares of one pool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The pool's URL as the device has it.
    pub pool: Text,
    /// Shares accepted since the miner started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u64>,
    /// Shares rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
    /// Shares that came too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<u64>,
    /// Whether the miner has a connection to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alive: Option<bool>,
    /// Whether the miner works for it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

/// Share counts. Counters of a poll are summed over all pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// Accepted.
    pub accepted: u64,
    /// Rejected.
    pub rejected: u64,
    /// Stale.
    pub stale: u64,
}

impl Shares {
    /// What was added since `before`. A counter that became smaller was reset and counts in full; each counter is
    /// judged alone.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let delta = |now: u64, then: u64| if now < then { now } else { now - then };
        Self {
            accepted: delta(self.accepted, before.accepted),
            rejected: delta(self.rejected, before.rejected),
            stale: delta(self.stale, before.stale),
        }
    }

    /// The sum over pools.
    pub fn of(pools: &[PoolStatus]) -> Self {
        pools.iter().fold(Self::default(), |sum, pool| Self {
            accepted: sum.accepted.saturating_add(pool.accepted.unwrap_or(0)),
            rejected: sum.rejected.saturating_add(pool.rejected.unwrap_or(0)),
            stale: sum.stale.saturating_add(pool.stale.unwrap_or(0)),
        })
    }
}
