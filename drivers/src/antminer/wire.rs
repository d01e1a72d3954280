//! The CGI replies as the web interface sends them; port 4028 sends the same with `new_api`.
//!
//! What no member reads is skipped by the parser: the chip maps are most of a `stats` reply.

use std::fmt;

use headframe_core::{
    codec::lenient::{bool_opt, f64_opt, i64_opt, objects_or_none, text_opt, u64_opt},
    model::{MissingReason, Text},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// What a read gave: a value, or why there is none.
pub(super) type Read<T> = Result<T, MissingReason>;

/// `summary`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SummaryReply {
    #[serde(rename = "SUMMARY", deserialize_with = "objects_or_none")]
    pub rows: Option<Vec<Summary>>,
}

/// The one row of `summary`. Rates are in `rate_unit`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    #[serde(deserialize_with = "u64_opt")]
    pub elapsed: Option<u64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_5s: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_30m: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_avg: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_ideal: Option<f64>,
    #[serde(deserialize_with = "text_opt")]
    pub rate_unit: Option<Text>,
    #[serde(deserialize_with = "u64_opt")]
    pub hw_all: Option<u64>,
    /// The self-tests.
    #[serde(deserialize_with = "objects_or_none")]
    pub status: Option<Vec<SelfTest>>,
}

/// One self-test: `s` good, `w` warning, `e` error, nothing while starting.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct SelfTest {
    #[serde(rename = "type", deserialize_with = "text_opt")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    pub status: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    pub code: Option<String>,
    #[serde(deserialize_with = "text_opt")]
    pub msg: Option<String>,
}

/// `stats`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StatsReply {
    #[serde(rename = "STATS", deserialize_with = "objects_or_none")]
    pub rows: Option<Vec<Stats>>,
}

/// The one row of `stats`. Rates are in `rate_unit`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Stats {
    #[serde(deserialize_with = "u64_opt")]
    pub elapsed: Option<u64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_5s: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_30m: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_avg: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_ideal: Option<f64>,
    #[serde(deserialize_with = "text_opt")]
    pub rate_unit: Option<Text>,
    /// Work mode: see [`power_mode`](super::judge::power_mode).
    #[serde(rename = "miner-mode", deserialize_with = "i64_opt")]
    pub mode: Option<i64>,
    #[serde(deserialize_with = "f64_opt")]
    pub watt: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub power: Option<f64>,
    #[serde(rename = "Power", deserialize_with = "f64_opt")]
    pub power_upper: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub chain_power: Option<f64>,
    #[serde(deserialize_with = "numbers_or_none")]
    pub fan: Option<Vec<f64>>,
    #[serde(deserialize_with = "objects_or_none")]
    pub chain: Option<Vec<Chain>>,
    /// Only rows of the legacy form have it: the mark that `new_api` was not understood.
    #[serde(rename = "BMMiner", deserialize_with = "text_opt")]
    pub bmminer: Option<Text>,
    #[serde(rename = "Type", deserialize_with = "text_opt")]
    pub kind: Option<Text>,
}

impl Stats {
    /// Power in W, wherever this firmware writes it.
    pub fn watts(&self) -> Option<f64> {
        self.watt.or(self.power).or(self.power_upper).or(self.chain_power)
    }
}

/// One hash board.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Chain {
    #[serde(deserialize_with = "u64_opt")]
    pub index: Option<u64>,
    #[serde(deserialize_with = "f64_opt")]
    pub freq_avg: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_ideal: Option<f64>,
    #[serde(deserialize_with = "f64_opt")]
    pub rate_real: Option<f64>,
    #[serde(deserialize_with = "u64_opt")]
    pub asic_num: Option<u64>,
    #[serde(deserialize_with = "numbers_or_none")]
    pub temp_pic: Option<Vec<f64>>,
    #[serde(deserialize_with = "numbers_or_none")]
    pub temp_pcb: Option<Vec<f64>>,
    #[serde(deserialize_with = "numbers_or_none")]
    pub temp_chip: Option<Vec<f64>>,
    #[serde(deserialize_with = "u64_opt")]
    pub hw: Option<u64>,
    #[serde(deserialize_with = "text_opt")]
    pub sn: Option<Text>,
}

/// `pools`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PoolsReply {
    #[serde(rename = "POOLS", deserialize_with = "objects_or_none")]
    pub rows: Option<Vec<Pool>>,
}

/// One pool.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Pool {
    #[serde(deserialize_with = "text_opt")]
    pub url: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub user: Option<Text>,
    /// `Alive`, `Dead` or `Disabled`.
    #[serde(deserialize_with = "text_opt")]
    pub status: Option<Text>,
    #[serde(deserialize_with = "u64_opt")]
    pub accepted: Option<u64>,
    #[serde(deserialize_with = "u64_opt")]
    pub rejected: Option<u64>,
    #[serde(deserialize_with = "u64_opt")]
    pub stale: Option<u64>,
    /// Whether the miner works for it; only the legacy form tells.
    #[serde(skip)]
    pub active: Option<bool>,
}

/// `miner_type`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct MinerType {
    #[serde(deserialize_with = "text_opt")]
    pub miner_type: Option<Text>,
    /// Control board, `_`, hash board.
    #[serde(deserialize_with = "text_opt")]
    pub subtype: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub fw_version: Option<Text>,
}

/// `get_system_info`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct SystemInfo {
    #[serde(deserialize_with = "text_opt")]
    pub minertype: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub macaddr: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub hostname: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub gateway: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub dnsservers: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub system_filesystem_version: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub serinum: Option<Text>,
}

/// `get_network_info`. The members without `conf_` are what is in force.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct NetworkInfo {
    #[serde(deserialize_with = "text_opt")]
    pub nettype: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub macaddr: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub ipaddress: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub netmask: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub conf_hostname: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub conf_gateway: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub conf_dnsservers: Option<Text>,
}

/// `get_miner_conf`. The pools' passwords, which it holds in clear text, are not read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct MinerConf {
    #[serde(deserialize_with = "objects_or_none")]
    pub pools: Option<Vec<ConfPool>>,
    #[serde(rename = "bitmain-work-mode", deserialize_with = "i64_opt")]
    work_mode: Option<i64>,
    #[serde(rename = "miner-mode", deserialize_with = "i64_opt")]
    miner_mode: Option<i64>,
    /// Whether the fans run at `fan_pwm` instead of as the firmware decides.
    #[serde(rename = "bitmain-fan-ctrl", deserialize_with = "bool_opt")]
    fan_ctrl: Option<bool>,
    #[serde(rename = "bitmain-fan-pwm", deserialize_with = "percent")]
    fan_pwm: Option<u8>,
    /// Whether the chips' clock is there. Where it is not shown it cannot be set.
    #[serde(rename = "bitmain-freq", deserialize_with = "is_number")]
    clock: bool,
}

impl MinerConf {
    /// Whether it is that of a machine that is up: the file's pools and its mode are there.
    pub fn is_whole(&self) -> bool {
        self.pools.is_some() && self.mode().is_some()
    }

    /// Whether the firmware lets the clock be chosen.
    pub const fn shows_clock(&self) -> bool {
        self.clock
    }

    /// Whether the firmware lets the fans be chosen.
    pub const fn shows_fan(&self) -> bool {
        self.fan_ctrl.is_some()
    }

    /// The fixed speed of the fans, %.
    pub fn fan_pct(&self) -> Option<u8> {
        self.fan_pwm.filter(|_| self.fan_ctrl == Some(true))
    }

    /// The configured work mode, under the name that this firmware gives it.
    pub fn mode(&self) -> Option<i64> {
        self.work_mode.or(self.miner_mode)
    }
}

fn percent<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u8>, D::Error> {
    Ok(i64_opt(d)?.and_then(|n| u8::try_from(n).ok()))
}

fn is_number<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(f64_opt(d)?.is_some())
}

/// One configured pool.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct ConfPool {
    #[serde(deserialize_with = "text_opt")]
    pub url: Option<Text>,
    #[serde(deserialize_with = "text_opt")]
    pub user: Option<Text>,
}

/// `get_blink_status`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Blink {
    #[serde(deserialize_with = "bool_opt")]
    pub blink: Option<bool>,
}

/// `/warning` of the side port.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WarningReply {
    #[serde(deserialize_with = "text_opt")]
    error_message: Option<String>,
}

/// The code that `/warning` names; `None` when it names none.
///
/// Old builds answer `error 6060 cmd`: they have the port but not the command.
pub(super) fn warning(body: &[u8]) -> Read<Option<String>> {
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with("error 6060") {
        return Err(MissingReason::NotReported);
    }
    let reply: WarningReply = serde_json::from_str(text.trim_end_matches(['\0', '\r', '\n', ' ']))
        .map_err(|_| MissingReason::BadReply)?;
    let code = reply.error_message.ok_or(MissingReason::BadReply)?;
    let code = code.trim();
    let clean = code.is_empty() || code.eq_ignore_ascii_case("none");
    Ok((!clean).then(|| code.to_owned()))
}

/// The W of `/miner_power`, which answers `miner power:3498`.
pub(super) fn miner_power(body: &[u8]) -> Read<f64> {
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with("error 6060") {
        return Err(MissingReason::NotReported);
    }
    let (_, number) = text.split_once(':').ok_or(MissingReason::BadReply)?;
    headframe_core::codec::lenient::parse_float(number).ok_or(MissingReason::BadReply)
}

/// A list of numbers in which every element keeps its place: one that is no number is 0, the device's own mark
/// for a sensor that does not exist. Anything but a list is `None`.
fn numbers_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<f64>>, D::Error> {
    d.deserialize_any(Numbers)
}

#[derive(Deserialize)]
struct Number(#[serde(deserialize_with = "f64_opt")] Option<f64>);

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Option<Vec<f64>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::with_capacity(4);
        while let Some(Number(value)) = seq.next_element()? {
            out.push(value.unwrap_or(0.0));
        }
        Ok(Some(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_keep_their_place() {
        let chain: Chain =
            serde_json::from_str(r#"{"temp_pic":[45,"58.5",null,{},[1],-3],"temp_pcb":"","sn":7}"#).unwrap();
        assert_eq!(chain.temp_pic, Some(vec![45.0, 58.5, 0.0, 0.0, 0.0, -3.0]));
        assert_eq!((chain.temp_pcb, chain.sn.as_deref()), (None, Some("7")));
    }

    #[test]
    fn warnings_and_their_absence() {
        assert_eq!(warning(br#"{"error_message":"None"}"#), Ok(None));
        assert_eq!(warning(b"{\"error_message\": \"P:1\"}\n\0"), Ok(Some("P:1".into())));
        assert_eq!(warning(b"error 6060 cmd"), Err(MissingReason::NotReported));
        assert_eq!(warning(b"{}"), Err(MissingReason::BadReply));
        assert_eq!(warning(b"\xff<html>"), Err(MissingReason::BadReply));
    }

    #[test]
    fn power_as_text() {
        assert_eq!(miner_power(b"miner power:3498"), Ok(3498.0));
        assert_eq!(miner_power(b"miner power: 3498 W\n"), Ok(3498.0));
        assert_eq!(miner_power(b"miner power:NaN"), Err(MissingReason::BadReply));
        assert_eq!(miner_power(b"error 6060 cmd"), Err(MissingReason::NotReported));
    }

    #[test]
    fn power_under_every_name() {
        for json in
            [r#"{"watt":3250}"#, r#"{"power":"3250"}"#, r#"{"Power":3250.0}"#, r#"{"chain_power":"3250 W"}"#]
        {
            let stats: Stats = serde_json::from_str(json).unwrap();
            assert_eq!(stats.watts(), Some(3250.0), "{json}");
        }
    }

    #[test]
    fn the_configured_mode_under_both_names() {
        for json in [r#"{"bitmain-work-mode":"1"}"#, r#"{"bitmain-work-mode":1}"#, r#"{"miner-mode":"1"}"#] {
            assert_eq!(serde_json::from_str::<MinerConf>(json).unwrap().mode(), Some(1), "{json}");
        }
        assert_eq!(serde_json::from_str::<MinerConf>(r#"{"pools":[]}"#).unwrap().mode(), None);
    }
}
