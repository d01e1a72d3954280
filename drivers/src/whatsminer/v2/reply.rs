//! Members of the replies that the driver uses, by the device's names. All are lenient; units, and the marks for
//! unknown values, are still the device's.

use std::fmt;

use headframe_core::{codec::lenient, model::Text};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// Entries of an error list that are kept; firmware gone wrong sends hundreds.
const MAX_ERRORS: usize = 256;

/// `Error Code 0` to `Error Code 9` of `summary`.
const KEPT_ERRORS: u64 = 10;

/// `SUMMARY[0]`. Rates are MH/s except `Factory GHS`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    #[serde(rename = "Elapsed", deserialize_with = "lenient::f64_opt")]
    pub elapsed: Option<f64>,
    #[serde(rename = "Uptime", deserialize_with = "lenient::f64_opt")]
    pub uptime: Option<f64>,
    #[serde(rename = "MHS av", deserialize_with = "lenient::f64_opt")]
    pub mhs_av: Option<f64>,
    #[serde(rename = "MHS 5s", deserialize_with = "lenient::f64_opt")]
    pub mhs_5s: Option<f64>,
    #[serde(rename = "MHS 1m", deserialize_with = "lenient::f64_opt")]
    pub mhs_1m: Option<f64>,
    #[serde(rename = "MHS 5m", deserialize_with = "lenient::f64_opt")]
    pub mhs_5m: Option<f64>,
    #[serde(rename = "MHS 15m", deserialize_with = "lenient::f64_opt")]
    pub mhs_15m: Option<f64>,
    #[serde(rename = "HS RT", deserialize_with = "lenient::f64_opt")]
    pub hs_rt: Option<f64>,
    #[serde(rename = "Factory GHS", deserialize_with = "lenient::f64_opt")]
    pub factory_ghs: Option<f64>,
    #[serde(rename = "Target MHS", deserialize_with = "lenient::f64_opt")]
    pub target_mhs: Option<f64>,
    #[serde(deserialize_with = "lenient::f64_opt")]
    pub freq_avg: Option<f64>,
    #[serde(rename = "Target Freq", deserialize_with = "lenient::f64_opt")]
    pub target_freq: Option<f64>,
    #[serde(rename = "Fan Speed In", deserialize_with = "lenient::f64_opt")]
    pub fan_in: Option<f64>,
    #[serde(rename = "Fan Speed Out", deserialize_with = "lenient::f64_opt")]
    pub fan_out: Option<f64>,
    #[serde(rename = "Power", deserialize_with = "lenient::f64_opt")]
    pub power: Option<f64>,
    #[serde(rename = "Power_RT", deserialize_with = "lenient::f64_opt")]
    pub power_rt: Option<f64>,
    #[serde(rename = "Power Rate", deserialize_with = "lenient::f64_opt")]
    pub power_rate: Option<f64>,
    #[serde(rename = "Power Limit", deserialize_with = "lenient::f64_opt")]
    pub power_limit: Option<f64>,
    #[serde(rename = "Power Mode", deserialize_with = "lenient::text_opt")]
    pub power_mode: Option<Text>,
    #[serde(rename = "Power Fanspeed", deserialize_with = "lenient::f64_opt")]
    pub power_fan: Option<f64>,
    /// 0.01 V.
    #[serde(rename = "Voltage", deserialize_with = "lenient::f64_opt")]
    pub voltage: Option<f64>,
    #[serde(rename = "Power Current", deserialize_with = "lenient::f64_opt")]
    pub power_current: Option<f64>,
    #[serde(rename = "Env Temp", deserialize_with = "lenient::f64_opt")]
    pub env_temp: Option<f64>,
    #[serde(rename = "Chip Temp Max", deserialize_with = "lenient::f64_opt")]
    pub chip_temp_max: Option<f64>,
    #[serde(rename = "Chip Temp Avg", deserialize_with = "lenient::f64_opt")]
    pub chip_temp_avg: Option<f64>,
    #[serde(rename = "Pool Rejected%", deserialize_with = "lenient::f64_opt")]
    pub pool_rejected: Option<f64>,
    #[serde(rename = "Hash Stable", deserialize_with = "lenient::bool_opt")]
    pub hash_stable: Option<bool>,
    #[serde(rename = "Hash Deviation%", deserialize_with = "lenient::f64_opt")]
    pub hash_deviation: Option<f64>,
    #[serde(rename = "Btminer Fast Boot", deserialize_with = "lenient::text_opt")]
    pub fast_boot: Option<Text>,
    #[serde(rename = "Upfreq Complete", deserialize_with = "lenient::bool_opt")]
    pub upfreq_complete: Option<bool>,
    #[serde(rename = "MAC", deserialize_with = "lenient::text_opt")]
    pub mac: Option<Text>,
    #[serde(rename = "CB Platform", deserialize_with = "lenient::text_opt")]
    pub platform: Option<Text>,
    #[serde(rename = "Firmware Version", deserialize_with = "lenient::text_opt")]
    pub firmware: Option<Text>,
    #[serde(rename = "Liquid Cooling", deserialize_with = "lenient::bool_opt")]
    pub liquid_cooling: Option<bool>,
    #[serde(rename = "Error Code Count", deserialize_with = "lenient::u64_opt")]
    pub error_count: Option<u64>,
    #[serde(rename = "Error Code 0", deserialize_with = "lenient::text_opt")]
    pub error_0: Option<Text>,
    #[serde(rename = "Error Code 1", deserialize_with = "lenient::text_opt")]
    pub error_1: Option<Text>,
    #[serde(rename = "Error Code 2", deserialize_with = "lenient::text_opt")]
    pub error_2: Option<Text>,
    #[serde(rename = "Error Code 3", deserialize_with = "lenient::text_opt")]
    pub error_3: Option<Text>,
    #[serde(rename = "Error Code 4", deserialize_with = "lenient::text_opt")]
    pub error_4: Option<Text>,
    #[serde(rename = "Error Code 5", deserialize_with = "lenient::text_opt")]
    pub error_5: Option<Text>,
    #[serde(rename = "Error Code 6", deserialize_with = "lenient::text_opt")]
    pub error_6: Option<Text>,
    #[serde(rename = "Error Code 7", deserialize_with = "lenient::text_opt")]
    pub error_7: Option<Text>,
    #[serde(rename = "Error Code 8", deserialize_with = "lenient::text_opt")]
    pub error_8: Option<Text>,
    #[serde(rename = "Error Code 9", deserialize_with = "lenient::text_opt")]
    pub error_9: Option<Text>,
}

/// One of `DEVS[]`: a hash board.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Dev {
    #[serde(rename = "ASC", deserialize_with = "lenient::u64_opt")]
    pub asc: Option<u64>,
    #[serde(rename = "Slot", deserialize_with = "lenient::u64_opt")]
    pub slot: Option<u64>,
    #[serde(rename = "Temperature", deserialize_with = "lenient::f64_opt")]
    pub temperature: Option<f64>,
    #[serde(rename = "Chip Frequency", deserialize_with = "lenient::f64_opt")]
    pub chip_frequency: Option<f64>,
    #[serde(rename = "Frequency", deserialize_with = "lenient::f64_opt")]
    pub frequency: Option<f64>,
    #[serde(rename = "MHS av", deserialize_with = "lenient::f64_opt")]
    pub mhs_av: Option<f64>,
    #[serde(rename = "MHS 5s", deserialize_with = "lenient::f64_opt")]
    pub mhs_5s: Option<f64>,
    #[serde(rename = "MHS 1m", deserialize_with = "lenient::f64_opt")]
    pub mhs_1m: Option<f64>,
    #[serde(rename = "HS RT", deserialize_with = "lenient::f64_opt")]
    pub hs_rt: Option<f64>,
    #[serde(rename = "Factory GHS", deserialize_with = "lenient::f64_opt")]
    pub factory_ghs: Option<f64>,
    #[serde(rename = "Effective Chips", deserialize_with = "lenient::u64_opt")]
    pub effective_chips: Option<u64>,
    #[serde(rename = "Hardware Errors", deserialize_with = "lenient::u64_opt")]
    pub hw_errors: Option<u64>,
    #[serde(rename = "PCB SN", deserialize_with = "lenient::text_opt")]
    pub serial: Option<Text>,
    #[serde(rename = "Chip Temp Min", deserialize_with = "lenient::f64_opt")]
    pub chip_temp_min: Option<f64>,
    #[serde(rename = "Chip Temp Max", deserialize_with = "lenient::f64_opt")]
    pub chip_temp_max: Option<f64>,
    #[serde(rename = "Chip Temp Avg", deserialize_with = "lenient::f64_opt")]
    pub chip_temp_avg: Option<f64>,
    #[serde(deserialize_with = "lenient::f64_opt")]
    pub chip_vol_diff: Option<f64>,
}

/// One of `POOLS[]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pool {
    #[serde(rename = "URL", deserialize_with = "lenient::text_opt")]
    pub url: Option<Text>,
    #[serde(rename = "User", deserialize_with = "lenient::text_opt")]
    pub user: Option<Text>,
    #[serde(rename = "Status", deserialize_with = "lenient::text_opt")]
    pub status: Option<Text>,
    #[serde(rename = "Accepted", deserialize_with = "lenient::u64_opt")]
    pub accepted: Option<u64>,
    #[serde(rename = "Rejected", deserialize_with = "lenient::u64_opt")]
    pub rejected: Option<u64>,
    #[serde(rename = "Stale", deserialize_with = "lenient::u64_opt")]
    pub stale: Option<u64>,
    #[serde(rename = "Stratum Active", deserialize_with = "lenient::bool_opt")]
    pub active: Option<bool>,
}

/// `Msg` of `status`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    #[serde(deserialize_with = "lenient::bool_opt")]
    pub mineroff: Option<bool>,
    #[serde(deserialize_with = "lenient::bool_opt")]
    pub btmineroff: Option<bool>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub mineroff_reason: Option<Text>,
    #[serde(rename = "FirmwareVersion", alias = "Firmware Version", deserialize_with = "lenient::text_opt")]
    pub firmware: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub power_mode: Option<Text>,
    #[serde(deserialize_with = "lenient::f64_opt")]
    pub hash_percent: Option<f64>,
    /// 0 when the device says that none is set.
    #[serde(rename = "power_limit_set", deserialize_with = "zero_when_empty")]
    pub power_limit: Option<f64>,
}

fn zero_when_empty<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    Ok(Some(lenient::f64_opt(d)?.unwrap_or(0.0)))
}

/// `Msg` of `get_version`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(in crate::whatsminer) struct Version {
    #[serde(rename = "api_ver", deserialize_with = "lenient::text_opt")]
    pub api: Option<Text>,
    #[serde(rename = "fw_ver", deserialize_with = "lenient::text_opt")]
    pub firmware: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub platform: Option<Text>,
}

/// `Msg` of `get_miner_info`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
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
    #[serde(deserialize_with = "lenient::text_opt")]
    pub ledstat: Option<Text>,
    #[serde(deserialize_with = "lenient::u64_opt")]
    pub upfreq_speed: Option<u64>,
    #[serde(rename = "minersn", deserialize_with = "lenient::text_opt")]
    pub serial: Option<Text>,
}

/// `DEVDETAILS[0]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(in crate::whatsminer) struct Details {
    #[serde(rename = "Driver", deserialize_with = "lenient::text_opt")]
    pub driver: Option<Text>,
    #[serde(rename = "Model", deserialize_with = "lenient::text_opt")]
    pub model: Option<Text>,
}

/// `Msg` of `get_psu`. The units of `vin` and `iin` are not known.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Psu {
    #[serde(deserialize_with = "lenient::text_opt")]
    pub name: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub model: Option<Text>,
    #[serde(rename = "sw_version", deserialize_with = "lenient::text_opt")]
    pub firmware: Option<Text>,
    #[serde(rename = "serial_no", deserialize_with = "lenient::text_opt")]
    pub serial: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub iin: Option<Text>,
    #[serde(deserialize_with = "lenient::text_opt")]
    pub vin: Option<Text>,
    #[serde(deserialize_with = "lenient::f64_opt")]
    pub pin: Option<f64>,
    #[serde(rename = "fan_speed", deserialize_with = "lenient::f64_opt")]
    pub fan: Option<f64>,
    #[serde(rename = "temp0", deserialize_with = "lenient::f64_opt")]
    pub temperature: Option<f64>,
}

impl Summary {
    /// How many errors it counts beyond those that are kept.
    pub fn errors_left_out(&self) -> Option<u64> {
        self.error_count?.checked_sub(KEPT_ERRORS).filter(|n| *n > 0)
    }

    /// The error codes that API v1 puts here; `None` when it does not.
    pub fn error_codes(&self) -> Option<impl Iterator<Item = &str>> {
        let count = usize::try_from(self.error_count?).unwrap_or(usize::MAX);
        let codes = [
            &self.error_0,
            &self.error_1,
            &self.error_2,
            &self.error_3,
            &self.error_4,
            &self.error_5,
            &self.error_6,
            &self.error_7,
            &self.error_8,
            &self.error_9,
        ];
        Some(codes.into_iter().take(count).filter_map(|code| code.as_deref()))
    }
}

/// `error_code` of `get_error_code`: code and, where the device tells it, since when.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ErrorList(pub Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for ErrorList {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ErrorVisitor)
    }
}

/// Entries are objects of one or more codes, or bare numbers or texts. The list itself can be an object: some
/// firmware writes `["110":"…"]`.
struct ErrorVisitor;

impl<'de> Visitor<'de> for ErrorVisitor {
    type Value = ErrorList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error codes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ErrorList, A::Error> {
        let mut out = ErrorList::default();
        while let Some(code) = map.next_key::<String>()? {
            let since = map.next_value::<Since>()?.0;
            if !code.eq_ignore_ascii_case("reason") && out.0.len() < MAX_ERRORS {
                out.0.push((code, since.filter(|s| !s.is_empty())));
            }
        }
        Ok(out)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ErrorList, A::Error> {
        let mut out = ErrorList::default();
        while let Some(entry) = seq.next_element::<ErrorList>()? {
            out.0.extend(entry.0);
            out.0.truncate(MAX_ERRORS);
        }
        Ok(out)
    }

    fn visit_str<E>(self, code: &str) -> Result<ErrorList, E> {
        let code = code.trim();
        Ok(ErrorList(if code.is_empty() { Vec::new() } else { vec![(code.to_owned(), None)] }))
    }

    fn visit_u64<E>(self, code: u64) -> Result<ErrorList, E> {
        Ok(ErrorList(vec![(code.to_string(), None)]))
    }

    fn visit_i64<E>(self, code: i64) -> Result<ErrorList, E> {
        Ok(ErrorList(vec![(code.to_string(), None)]))
    }

    fn visit_f64<E>(self, code: f64) -> Result<ErrorList, E> {
        Ok(ErrorList(vec![(code.to_string(), None)]))
    }

    fn visit_bool<E>(self, _: bool) -> Result<ErrorList, E> {
        Ok(ErrorList::default())
    }

    fn visit_unit<E>(self) -> Result<ErrorList, E> {
        Ok(ErrorList::default())
    }
}

#[derive(Deserialize)]
struct Since(#[serde(deserialize_with = "lenient::text_opt")] Option<String>);
