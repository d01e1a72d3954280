//! The old replies of port 4028, which every firmware gives: numbered flat members instead of lists.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use headframe_core::{
    codec::{
        cgminer::StatusBlock,
        lenient::{bool_opt, f64_opt, objects_or_none, text_opt, u64_opt},
    },
    model::Text,
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::wire::{Chain, Pool, Stats, Summary};

/// Rates of the old replies are GH/s unless they say otherwise.
const UNIT: &str = "GH/s";

/// `stats`: one row says what the machine is, another what it does.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StatsReply {
    #[serde(rename = "STATUS")]
    pub status: StatusBlock,
    #[serde(rename = "STATS", deserialize_with = "objects_or_none")]
    pub rows: Option<Vec<StatsRow>>,
}

/// One row of `stats`, its numbered members gathered by number.
#[derive(Debug, Default)]
pub(super) struct StatsRow {
    kind: Option<Text>,
    built: Option<Text>,
    version: Option<Text>,
    elapsed: Option<f64>,
    rate_5s: Option<f64>,
    rate_30m: Option<f64>,
    rate_avg: Option<f64>,
    rate_ideal: Option<f64>,
    rate_unit: Option<Text>,
    power: Option<f64>,
    serial: Option<Text>,
    frequency: Option<f64>,
    fan_num: Option<f64>,
    fans: BTreeMap<u32, f64>,
    boards: BTreeMap<u32, Numbered>,
}

#[derive(Debug, Default)]
struct Numbered {
    freq: Option<f64>,
    chips: Option<f64>,
    errors: Option<f64>,
    rate: Option<f64>,
    pic: Vec<f64>,
    pcb: Vec<f64>,
    chip: Vec<f64>,
}

impl Numbered {
    /// Places without a board are listed too, with an empty rate and no chips.
    fn exists(&self) -> bool {
        self.chips.is_some_and(|n| n > 0.0) || self.rate.is_some_and(|r| r > 0.0)
    }
}

/// What the machine says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub kind: Option<Text>,
    pub built: Option<Text>,
    pub version: Option<Text>,
    pub api: Option<Text>,
    pub serial: Option<Text>,
}

/// The rows of a legacy `stats` in the form of the CGI reply; no row while the mining software is down.
pub(super) fn stats(rows: Vec<StatsRow>) -> (Option<Stats>, Identity) {
    let mut identity = Identity::default();
    let mut found = None;
    for row in rows {
        identity.kind = row.kind.clone().or(identity.kind);
        identity.built = row.built.clone().or(identity.built);
        identity.version = row.version.clone().or(identity.version);
        identity.serial = row.serial.clone().or(identity.serial);
        if found.is_none() && (row.elapsed.is_some() || row.rate_avg.is_some() || !row.boards.is_empty()) {
            found = Some(row.into_stats());
        }
    }
    (found, identity)
}

impl StatsRow {
    fn into_stats(self) -> Stats {
        let fallback = self.frequency.filter(|f| *f > 0.0);
        // Numbers start at 1, 6 or 11 depending on the firmware; slots are counted from the first board.
        let first = self.boards.iter().find(|(_, b)| b.exists()).map_or(1, |(n, _)| *n);
        let chain = self.boards.into_iter().filter(|(_, b)| b.exists()).map(|(n, b)| Chain {
            index: Some(u64::from(n - first)),
            freq_avg: b.freq.filter(|f| *f > 0.0).or(fallback),
            rate_real: b.rate,
            asic_num: whole(b.chips),
            temp_pic: Some(b.pic),
            temp_pcb: Some(b.pcb),
            temp_chip: Some(b.chip),
            hw: whole(b.errors),
            ..Chain::default()
        });
        let chain = chain.collect();
        Stats {
            elapsed: whole(self.elapsed),
            rate_5s: self.rate_5s,
            rate_30m: self.rate_30m,
            rate_avg: self.rate_avg,
            rate_ideal: self.rate_ideal,
            rate_unit: Some(self.rate_unit.unwrap_or_else(|| UNIT.into())),
            power: self.power,
            fan: Some(fans(&self.fans, self.fan_num)),
            chain: Some(chain),
            ..Stats::default()
        }
    }

    fn take(&mut self, key: &str, value: Scalar) {
        match key {
            "Type" => self.kind = value.text(),
            "CompileTime" => self.built = value.text(),
            "Miner" => self.version = value.text(),
            "Elapsed" => self.elapsed = value.number(),
            "GHS 5s" => self.rate_5s = value.number(),
            "GHS av" => self.rate_avg = value.number(),
            "rate_30m" => self.rate_30m = value.number(),
            "total_rateideal" => self.rate_ideal = value.number(),
            "rate_unit" => self.rate_unit = value.text(),
            "chain_power" | "power" | "Power" | "watt" => self.power = self.power.or(value.number()),
            "serinum" => self.serial = value.text(),
            "frequency" => self.frequency = value.number(),
            "fan_num" => self.fan_num = value.number(),
            _ => self.take_numbered(key, value),
        }
    }

    fn take_numbered(&mut self, key: &str, value: Scalar) {
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let Ok(n) = key[stem.len()..].parse::<u32>() else { return };
        if n > MAX_NUMBER {
            return;
        }
        if stem == "fan" {
            self.fans.extend(value.number().map(|rpm| (n, rpm)));
            return;
        }
        let known = matches!(
            stem,
            "freq"
                | "freq_avg"
                | "chain_acn"
                | "chain_hw"
                | "chain_rate"
                | "temp_pic"
                | "temp_pcb"
                | "temp_chip"
        );
        if !known {
            return;
        }
        let board = self.boards.entry(n).or_default();
        match stem {
            "freq_avg" => board.freq = value.number(),
            "freq" => board.freq = board.freq.or(value.number()),
            "chain_acn" => board.chips = value.number(),
            "chain_hw" => board.errors = value.number(),
            "chain_rate" => board.rate = value.number(),
            "temp_pic" => board.pic = value.sensors(),
            "temp_pcb" => board.pcb = value.sensors(),
            _ => board.chip = value.sensors(),
        }
    }
}

/// Highest number of a board or fan that is taken over: no machine has more places.
const MAX_NUMBER: u32 = 64;

/// Fans start at 1, 3 or 5: `fan_num` of them from the first that turns, else those that turn.
fn fans(all: &BTreeMap<u32, f64>, count: Option<f64>) -> Vec<f64> {
    let Some(first) = all.iter().find(|(_, rpm)| **rpm != 0.0).map(|(n, _)| *n) else { return Vec::new() };
    match whole(count).filter(|n| *n > 0) {
        Some(count) => {
            let last = all.keys().next_back().map_or(first, |n| *n);
            // A fan that stands still at the front must not push the others out of the count.
            let fits = u64::from(last - first) + 1 >= count;
            let from = if fits { first } else { all.keys().next().map_or(first, |n| *n) };
            let take = usize::try_from(count).unwrap_or(usize::MAX);
            all.range(from..).take(take).map(|(_, rpm)| *rpm).collect()
        }
        None => all.values().copied().filter(|rpm| *rpm != 0.0).collect(),
    }
}

fn whole(value: Option<f64>) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    value.filter(|v| (0.0..9e15).contains(v)).map(|v| v as u64)
}

/// `78-50-69-70`. A second dash is the sign of a number below zero.
fn joined(text: &str) -> Vec<f64> {
    let mut out = Vec::with_capacity(4);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let sign = usize::from(rest.starts_with('-'));
        let end = rest[sign..].find('-').map_or(rest.len(), |i| i + sign);
        out.push(rest[..end].trim().parse().ok().filter(|v: &f64| v.is_finite()).unwrap_or(0.0));
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out
}

/// One member's value: text or number, whichever the firmware writes.
#[derive(Debug, Default, Deserialize)]
struct Scalar(#[serde(deserialize_with = "text_opt")] Option<Text>);

impl Scalar {
    fn number(&self) -> Option<f64> {
        self.0.as_deref().and_then(headframe_core::codec::lenient::parse_float)
    }

    fn text(self) -> Option<Text> {
        self.0.filter(|t| !t.trim().is_empty())
    }

    fn sensors(&self) -> Vec<f64> {
        self.0.as_deref().map(joined).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for StatsRow {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = StatsRow;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StatsRow, A::Error> {
        let mut row = StatsRow::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            // The chip maps are long and not read.
            if key.starts_with("chain_acs") {
                map.next_value::<IgnoredAny>()?;
            } else {
                row.take(&key, map.next_value()?);
            }
        }
        Ok(row)
    }
}

/// `summary`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SummaryReply {
    #[serde(rename = "STATUS")]
    pub status: StatusBlock,
    #[serde(rename = "SUMMARY", deserialize_with = "objects_or_none")]
    pub rows: Option<Vec<SummaryRow>>,
}

/// The row of `summary`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SummaryRow {
    #[serde(rename = "Elapsed", deserialize_with = "u64_opt")]
    elapsed: Option<u64>,
    #[serde(rename = "GHS 5s", deserialize_with = "f64_opt")]
    rate_5s: Option<f64>,
    #[serde(rename = "GHS 30m", deserialize_with = "f64_opt")]
    rate_30m: Option<f64>,
    #[serde(rename = "GHS av", deserialize_with = "f64_opt")]
    rate_avg: Option<f64>,
    #[serde(rename = "Hardware Errors", deserialize_with = "u64_opt")]
    hw_all: Option<u64>,
}

/// A legacy `summary` in the form of the CGI reply; what it lacks comes from `stats`.
pub(super) fn summary(row: SummaryRow, stats: Option<&Stats>) -> Summary {
    Summary {
        elapsed: row.elapsed,
        rate_5s: row.rate_5s,
        rate_30m: row.rate_30m.or_else(|| stats.and_then(|s| s.rate_30m)),
        rate_avg: row.rate_avg,
        rate_ideal: stats.and_then(|s| s.rate_ideal),
        rate_unit: stats.and_then(|s| s.rate_unit.clone()).or_else(|| Some(UNIT.into())),
        hw_all: row.hw_all,
        status: None,
    }
}

/// `pools`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PoolsReply {
    #[serde(rename = "STATUS")]
    pub status: StatusBlock,
    #[serde(rename = "POOLS", deserialize_with = "objects_or_none")]
    pub rows: Option<Vec<PoolRow>>,
}

/// One pool.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PoolRow {
    #[serde(rename = "URL", deserialize_with = "text_opt")]
    url: Option<Text>,
    #[serde(rename = "User", deserialize_with = "text_opt")]
    user: Option<Text>,
    #[serde(rename = "Status", deserialize_with = "text_opt")]
    status: Option<Text>,
    #[serde(rename = "Accepted", deserialize_with = "u64_opt")]
    accepted: Option<u64>,
    #[serde(rename = "Rejected", deserialize_with = "u64_opt")]
    rejected: Option<u64>,
    #[serde(rename = "Stale", deserialize_with = "u64_opt")]
    stale: Option<u64>,
    #[serde(rename = "Stratum Active", deserialize_with = "bool_opt")]
    active: Option<bool>,
}

impl From<PoolRow> for Pool {
    fn from(row: PoolRow) -> Self {
        let PoolRow { url, user, status, accepted, rejected, stale, active } = row;
        Self { url, user, status, accepted, rejected, stale, active }
    }
}

/// `version`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct VersionReply {
    #[serde(rename = "STATUS")]
    pub status: StatusBlock,
    #[serde(rename = "VERSION", deserialize_with = "objects_or_none")]
    pub rows: Option<Vec<VersionRow>>,
}

/// The row of `version`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct VersionRow {
    #[serde(rename = "Type", deserialize_with = "text_opt")]
    kind: Option<Text>,
    #[serde(rename = "CompileTime", deserialize_with = "text_opt")]
    built: Option<Text>,
    #[serde(rename = "Miner", deserialize_with = "text_opt")]
    version: Option<Text>,
    #[serde(rename = "API", deserialize_with = "text_opt")]
    api: Option<Text>,
}

impl From<VersionRow> for Identity {
    fn from(row: VersionRow) -> Self {
        let VersionRow { kind, built, version, api } = row;
        Self { kind, built, version, api, serial: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Stats, Identity) {
        let reply: StatsReply = serde_json::from_str(json).unwrap();
        let (row, identity) = stats(reply.rows.unwrap());
        (row.unwrap(), identity)
    }

    #[test]
    fn boards_and_fans_may_start_anywhere() {
        for (board, fan) in [(1, 1), (6, 3), (11, 5)] {
            let mut flat = serde_json::json!({"Elapsed": 7, "GHS av": "95000.5", "fan_num": 2});
            for n in 1..=16 {
                let here = (board..board + 3).contains(&n);
                flat[format!("chain_rate{n}")] = if here { "31000.25".into() } else { "".into() };
                flat[format!("chain_acn{n}")] = if here { 76.into() } else { 0.into() };
                flat[format!("temp_chip{n}")] = if here { "78-50-69-70".into() } else { "0-0-0-0".into() };
            }
            for n in 1..=8 {
                flat[format!("fan{n}")] = if (fan..fan + 2).contains(&n) { 5000 + n } else { 0 }.into();
            }
            let (got, _) = read(&serde_json::json!({"STATS": [{"Type": "Antminer S19"}, flat]}).to_string());
            let chain = got.chain.unwrap();
            assert_eq!(chain.iter().map(|c| c.index.unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
            assert_eq!(chain[0].rate_real, Some(31_000.25));
            assert_eq!(chain[0].temp_chip, Some(vec![78.0, 50.0, 69.0, 70.0]));
            assert_eq!(got.fan, Some(vec![f64::from(5000 + fan), f64::from(5001 + fan)]));
            assert_eq!((got.elapsed, got.rate_avg), (Some(7), Some(95_000.5)));
        }
    }

    #[test]
    fn numbers_and_texts_are_both_read() {
        let (got, identity) = read(
            r#"{"STATS":[{"Type":"Antminer L9","CompileTime":"x"},
                {"chain_rate1":3.5,"chain_acn1":"110","freq1":1200,"chain_power":"3250 W","rate_unit":"GH"}]}"#,
        );
        assert_eq!(got.watts(), Some(3250.0));
        assert_eq!(got.chain.unwrap()[0].freq_avg, Some(1200.0));
        assert_eq!(identity.kind.as_deref(), Some("Antminer L9"));
    }

    #[test]
    fn a_fan_that_stands_still_keeps_its_place() {
        let (got, _) =
            read(r#"{"STATS":[{"Elapsed":1,"fan_num":4,"fan1":0,"fan2":5000,"fan3":0,"fan4":5100}]}"#);
        assert_eq!(got.fan, Some(vec![0.0, 5000.0, 0.0, 5100.0]));
    }

    #[test]
    fn temperatures_below_zero_in_a_joined_text() {
        assert_eq!(joined("78-50-69-70"), [78.0, 50.0, 69.0, 70.0]);
        assert_eq!(joined("-5--3-0-2"), [-5.0, -3.0, 0.0, 2.0]);
        assert_eq!(joined("x-1"), [0.0, 1.0]);
        assert_eq!(joined(""), Vec::<f64>::new());
        assert_eq!(joined("-"), [0.0]);
    }

    #[test]
    fn only_an_identity_means_that_nothing_runs() {
        let reply: StatsReply = serde_json::from_str(r#"{"STATS":[{"Type":"Antminer S21"}]}"#).unwrap();
        let (row, identity) = stats(reply.rows.unwrap());
        assert_eq!((row, identity.kind.as_deref()), (None, Some("Antminer S21")));
    }
}
