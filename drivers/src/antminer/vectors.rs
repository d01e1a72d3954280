//! MiningOS's own snapshots for given answers, member by member.

use headframe_core::{
    ThingId,
    codec::cgminer,
    driver::ShareMeter,
    io::Timestamp,
    model::{MinerSnapshot, MissingReason, State, Status, ThingConf},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    config::AntminerConf,
    identity::Slow,
    legacy,
    map::{self, Around, Live, Via},
    wire::{self, Read},
};

#[derive(Debug, Deserialize)]
struct Vector {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    nominal: f64,
    answers: serde_json::Map<String, Value>,
    snapshot: Value,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../tests/fixtures/antminer/snapshot_vectors.json");
    serde_json::from_str(text).unwrap()
}

impl Vector {
    fn page<T: DeserializeOwned>(&self, name: &str) -> Read<T> {
        T::deserialize(&self.answers[name]).map_err(|_| MissingReason::BadReply)
    }

    /// What the driver makes of the same answers; `mode` is the work mode of a configuration read just now.
    fn ours(&self, mode: Option<i64>) -> MinerSnapshot {
        let conf = ThingConf::new(ThingId::new("am1").unwrap(), "antminer")
            .opt("address", "10.7.1.13")
            .opt("nominal_efficiency_w_ths", self.nominal)
            .typed(&self.kind);
        let conf = AntminerConf::read(&conf).unwrap();
        let first = |read: Read<Value>| read.map(|_| ());
        first(self.page("summary")).unwrap();
        let summary: Read<wire::SummaryReply> = self.page("summary");
        let stats: Read<wire::StatsReply> = self.page("stats");
        let pools: Read<wire::PoolsReply> = self.page("pools");
        let text = |name: &str| match &self.answers[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let live = Live {
            via: Via::Http,
            summary: summary.map(|r| r.rows.unwrap().into_iter().next()),
            stats: stats.map(|r| r.rows.unwrap().into_iter().next()),
            pools: pools.map(|r| r.rows.unwrap()),
            warning: wire::warning(text("warning").as_bytes()),
            power: wire::miner_power(text("miner_power").as_bytes()),
        };
        let (kind, network) = (self.page("miner_type"), self.page("get_network_info"));
        let (miner_conf, blink) = (self.page("get_miner_conf"), self.page("get_blink_status"));
        let slow = Slow {
            kind: kind.as_ref().map_err(|r| *r),
            system: Err(MissingReason::NotReported),
            network: network.as_ref().map_err(|r| *r),
            conf: miner_conf.as_ref().map_err(|r| *r),
            blink: blink.as_ref().map_err(|r| *r),
            rpc: None,
        };
        let around = Around {
            slow,
            known: &slow.known(conf.layout),
            nominal: conf.nominal_efficiency_w_ths,
            mode_now: mode,
            silent: (mode == Some(0)).then_some(std::time::Duration::ZERO),
            at: Timestamp(0),
        };
        map::snapshot(&live, &around, &mut ShareMeter::default())
    }
}

/// Paths at which `ours` lacks or changes what `expected` has. Numbers are compared as numbers.
fn differences(path: &str, expected: &Value, ours: Option<&Value>, out: &mut Vec<String>) {
    match (expected, ours) {
        (Value::Object(members), Some(Value::Object(have))) => {
            for (key, value) in members {
                differences(&format!("{path}.{key}"), value, have.get(key), out);
            }
        }
        (Value::Array(items), Some(Value::Array(have))) if items.len() == have.len() => {
            for (i, item) in items.iter().enumerate() {
                differences(&format!("{path}[{i}]"), item, have.get(i), out);
            }
        }
        (Value::Number(want), Some(Value::Number(have))) if want.as_f64() == have.as_f64() => {}
        (want, Some(have)) if want == have => {}
        _ => out.push(path.trim_start_matches('.').to_owned()),
    }
}

fn compared(vector: &Vector, mode: Option<i64>) -> (Vec<String>, MinerSnapshot) {
    let ours = vector.ours(mode);
    let json = serde_json::to_value(&ours).unwrap();
    let mut out = Vec::new();
    differences("", &vector.snapshot, Some(&json), &mut out);
    (out, ours)
}

fn named(part: &str) -> Vector {
    vectors().into_iter().find(|v| v.name.contains(part)).unwrap()
}

/// The first snapshot has nothing to count shares from.
const FIRST: &str = "stats.all_pools_shares";

#[test]
fn a_mining_machine_is_told_as_miningos_tells_it() {
    let (differ, ours) = compared(&named("mining, DHCP"), None);
    assert_eq!(differ, [FIRST]);
    assert_eq!(ours.stats.efficiency_w_ths.unwrap().get(), 17.49);
    assert_eq!((ours.stats.state, ours.stats.is_mining), (State::Hashing, Some(true)));
    assert_eq!(ours.substituted.get("stats.hashrate_mhs.t_5m").unwrap(), "stats.hashrate_mhs.t_30m");
    assert_eq!(ours.stats.boards.len(), 3);
    assert_eq!(ours.stats.boards[1].chip_max_c.unwrap().get(), 74.0);
    assert_eq!(ours.stats.boards[0].chips_expected, Some(108));
    assert_eq!(ours.stats.fans.iter().filter_map(|f| f.rpm).collect::<Vec<_>>(), [4200, 4230, 4260, 4290]);
    assert_eq!(ours.stats.nominal_hashrate_mhs.unwrap().mhs(), 200_400_000.0);
    let info = ours.info.unwrap();
    assert_eq!((info.model.as_deref(), info.control_board.as_deref()), (Some("S21"), Some("AMLCtrl")));
    assert_eq!((info.variant.as_deref(), info.mac.as_deref()), (Some("BHB68601"), Some("02:11:22:33:44:55")));
}

#[test]
fn a_warning_and_a_static_address() {
    let (differ, ours) = compared(&named("static address"), None);
    assert_eq!(differ, [FIRST, "stats.efficiency_w_ths"]);
    assert_eq!(ours.stats.efficiency_w_ths.unwrap().get(), 26.5);
    assert_eq!(ours.stats.errors[0].text.as_deref(), Some("stopped: too hot"));
}

#[test]
fn low_power_is_mining() {
    let (differ, ours) = compared(&named("low-power"), None);
    assert_eq!(differ, ["config.power_mode", FIRST, "stats.status"]);
    assert_eq!(ours.stats.status, Status::Mining);
    assert_eq!(serde_json::to_value(ours.config.unwrap().power_mode).unwrap(), "low");
}

#[test]
fn sleep_needs_the_devices_word() {
    let vector = named("asleep");
    let (differ, ours) = compared(&vector, Some(1));
    let absent = [FIRST, "stats.frequency_mhz", "stats.temperature_c", "stats.uptime_ms"];
    assert_eq!(differ, absent);
    assert!(absent[1..].iter().all(|path| ours.missing.get(path) == Some(&MissingReason::Asleep)));
    assert_eq!((ours.stats.status, ours.stats.state), (Status::Sleeping, State::Idle));
    // The configuration of the vector itself says mode 0, so it restarts.
    let (_, ours) = compared(&vector, Some(0));
    assert_eq!((ours.stats.status, ours.stats.hashrate_mhs), (Status::NotMining, None));
    assert_eq!(ours.missing.get("stats.hashrate_mhs"), Some(&MissingReason::Sentinel));
}

#[test]
fn a_failed_read_of_the_pools_is_not_dead_pools() {
    let (differ, ours) = compared(&named("pools read fails"), None);
    assert_eq!(differ, ["raw_errors", FIRST, "stats.errors", "stats.pool_status", "stats.status"]);
    assert_eq!(ours.missing.get("stats.pool_status"), Some(&MissingReason::BadReply));
    assert_eq!(ours.stats.status, Status::Mining);
}

#[test]
fn an_unlisted_code_costs_nothing_else() {
    let vector = named("unlisted");
    let ours = vector.ours(None);
    assert!(ours.success && ours.config.is_some());
    assert_eq!(ours.stats.errors[0].name.as_deref(), Some("unknown_error"));
    assert_eq!(serde_json::to_value(&ours.stats.errors[0].code).unwrap(), "J3:2");
    assert_eq!(ours.stats.status, Status::Error);
}

#[test]
fn every_absent_member_has_its_reason() {
    for vector in vectors() {
        let ours = vector.ours(Some(1));
        let stats = &ours.stats;
        for (path, there) in [
            ("stats.power_w", stats.power_w.is_some()),
            ("stats.uptime_ms", stats.uptime_ms.is_some()),
            ("stats.pool_status", stats.pool_status.is_some()),
            ("stats.all_pools_shares", stats.all_pools_shares.is_some()),
            ("stats.hashrate_mhs", stats.hashrate_mhs.is_some()),
            ("stats.boards", !stats.boards.is_empty()),
            ("stats.fans", !stats.fans.is_empty()),
            ("info.serial", ours.info.as_ref().is_some_and(|i| i.serial.is_some())),
        ] {
            assert_ne!(there, ours.missing.contains_key(path), "{path} in {}", vector.name);
        }
    }
}

/// The copied data must be what it was copied from, where that is at hand.
#[test]
fn copies_equal_their_originals() {
    let Some(shared) = std::env::var_os("HEADFRAME_SHARED") else { return };
    let path = std::path::Path::new(&shared).join("reference/miners-maps.json");
    let maps: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let copy = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let ours = |v: &&Value| v["family"] == "antminer";
    let vectors: Vec<&Value> =
        maps["snapshot_vectors"]["vectors"].as_array().unwrap().iter().filter(ours).collect();
    let kept = copy(include_str!("../../tests/fixtures/antminer/snapshot_vectors.json"));
    assert_eq!(vectors, kept.as_array().unwrap().iter().collect::<Vec<_>>());
    let kept = copy(include_str!("../../tests/fixtures/antminer/models.json"));
    assert_eq!(maps["models"]["antminer"], kept);
    let kept = copy(include_str!("../../tests/fixtures/antminer/warning_codes.json"));
    assert_eq!(maps["antminer_warning_codes"], kept);
}

/// Replies recorded from real machines, where they are at hand: an S19 Pro on port 4028, and an S21's system page.
#[test]
fn captures_are_read() {
    let Some(shared) = std::env::var_os("HEADFRAME_SHARED") else { return };
    let folder = std::path::Path::new(&shared).join("captures/antminer-v2020");
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let stats: legacy::StatsReply = cgminer::parse("test", &bytes("stats.json")).unwrap();
    let summary: legacy::SummaryReply = cgminer::parse("test", &bytes("summary.json")).unwrap();
    let pools: legacy::PoolsReply = cgminer::parse("test", &bytes("pools.json")).unwrap();
    let version: legacy::VersionReply = cgminer::parse("test", &bytes("version.json")).unwrap();
    assert!(stats.status.is_ok() && summary.status.is_ok() && pools.status.is_ok() && version.status.is_ok());
    let (row, identity) = legacy::stats(stats.rows.unwrap());
    let told = legacy::Identity::from(version.rows.unwrap().remove(0));
    assert_eq!((told.kind.as_deref(), told.api.as_deref()), (Some("Antminer S19 Pro"), Some("3.1")));
    let summary = summary.rows.unwrap().remove(0);
    let no = MissingReason::NoReply;
    let live = Live {
        via: Via::RpcLegacy,
        summary: Ok(Some(legacy::summary(summary, row.as_ref()))),
        stats: Ok(row),
        pools: Ok(pools.rows.unwrap().into_iter().map(wire::Pool::from).collect()),
        warning: Err(MissingReason::NotReported),
        power: Err(MissingReason::NotReported),
    };
    let slow = Slow {
        kind: Err(no),
        system: Err(no),
        network: Err(no),
        conf: Err(no),
        blink: Err(no),
        rpc: Some(&identity),
    };
    let known = slow.known(None);
    let (nominal, mode_now, silent) = (None, None, None);
    let around = Around { slow, known: &known, nominal, mode_now, silent, at: Timestamp(0) };
    let got = map::snapshot(&live, &around, &mut ShareMeter::default());
    let rates = got.stats.hashrate_mhs.unwrap();
    assert_eq!(rates.t_5s.unwrap().mhs(), 110_566_890.0);
    assert_eq!(rates.t_30m.unwrap().mhs(), 111_878_260.0);
    assert_eq!(got.stats.nominal_hashrate_mhs.unwrap().mhs(), 110e6);
    assert_eq!(got.stats.uptime_ms, Some(50_474_000));
    assert_eq!(got.stats.boards.iter().map(|b| b.hw_errors.unwrap()).collect::<Vec<_>>(), [183, 195, 184]);
    assert_eq!(got.stats.boards[0].hashrate_mhs.unwrap().mhs(), 37_603_300.0);
    assert_eq!(got.stats.fans.iter().map(|f| f.rpm.unwrap()).collect::<Vec<_>>(), [6000, 5880, 5040, 5040]);
    assert_eq!(got.stats.temperature_c.as_ref().unwrap().max.unwrap().get(), 78.0);
    assert_eq!(got.stats.pool_status.as_ref().unwrap()[0].accepted, Some(4057));
    assert_eq!(got.stats.pool_status.as_ref().unwrap()[0].active, Some(true));
    assert_eq!((got.stats.status, got.stats.state), (Status::Mining, State::Hashing));
    assert_eq!(got.info.as_ref().unwrap().model.as_deref(), Some("S19 Pro"));
    assert_eq!(got.missing.get("config.power_mode"), Some(&no));

    let system: wire::SystemInfo = serde_json::from_slice(&bytes("system_info.json")).unwrap();
    let known = Slow { system: Ok(&system), rpc: None, ..slow }.known(None);
    assert_eq!(known.info.serial.as_deref(), Some("THQING0BDJAB024NF"));
    assert_eq!(known.raw_mac.as_deref(), Some("02:55:97:22:3M:72"));
    assert_eq!(known.info.firmware.as_deref(), Some("FR-1.12(251009-S21)"));
}

/// Everything of the mapping, for whatever a machine may send.
fn mapped_from(bytes: &[u8]) {
    let legacy: Result<legacy::StatsReply, _> = cgminer::parse("test", bytes);
    let stats: Result<wire::StatsReply, _> = cgminer::parse("test", bytes);
    let summary: Result<wire::SummaryReply, _> = cgminer::parse("test", bytes);
    let pools: Result<wire::PoolsReply, _> = cgminer::parse("test", bytes);
    let old = legacy.ok().and_then(|r| r.rows).and_then(|rows| legacy::stats(rows).0);
    let new = stats.ok().and_then(|r| r.rows).and_then(|rows| rows.into_iter().next());
    let bad = MissingReason::BadReply;
    let live = Live {
        via: Via::Rpc,
        summary: summary.map(|r| r.rows.and_then(|rows| rows.into_iter().next())).map_err(|_| bad),
        stats: Ok(old.or(new)),
        pools: pools.map(|r| r.rows.unwrap_or_default()).map_err(|_| bad),
        warning: wire::warning(bytes),
        power: wire::miner_power(bytes),
    };
    let slow = Slow {
        kind: Err(bad),
        system: Err(bad),
        network: Err(bad),
        conf: Err(bad),
        blink: Err(bad),
        rpc: None,
    };
    let known = slow.known(None);
    let around =
        Around { slow, known: &known, nominal: None, mode_now: Some(0), silent: None, at: Timestamp(0) };
    let out = map::snapshot(&live, &around, &mut ShareMeter::default());
    assert!(serde_json::to_string(&out).is_ok_and(|text| !text.contains("null")));
}

const NAMES: &str = concat!(
    "(rate_5s|rate_avg|elapsed|fan|fan_num|fan1|chain|chain_rate[0-9]|chain_acn[0-9]|temp_chip[0-9]|",
    "miner-mode|watt|status|GHS av|Elapsed|accepted|url|rate_unit)",
);
const VALUES: &str = concat!(
    r#"(-?[0-9]{1,20}(\.[0-9]{1,3})?(e[0-9]{1,3})?|null|true|"[-0-9a-zH/ ]{0,9}"|\[[-0-9]{0,3}[0-9]\]|"#,
    r#"\[\{"rate_real":-?[0-9]{1,9},"temp_pic":\[1,-9,400\]\}\])"#,
);

proptest::proptest! {
    #[test]
    fn no_reply_makes_it_panic(
        members in proptest::collection::vec((NAMES, VALUES), 0..12),
        section in "(STATS|SUMMARY|POOLS)",
        cut in 0usize..400,
    ) {
        let body: Vec<String> = members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        let mut text = format!("{{\"{section}\":[{{{}}}]}}", body.join(","));
        mapped_from(text.as_bytes());
        text.truncate(cut);
        mapped_from(text.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8..=255, 0..200)) {
        mapped_from(&bytes);
    }
}

#[test]
fn the_tables_are_the_references() {
    let models: std::collections::BTreeMap<String, Value> =
        serde_json::from_str(include_str!("../../tests/fixtures/antminer/models.json")).unwrap();
    assert_eq!(models.len(), super::models::MODELS.len());
    for (name, row) in &models {
        for alias in row["aliases"].as_array().unwrap() {
            let (_, known) = super::models::identify(alias.as_str().unwrap()).unwrap();
            let known = known.unwrap_or_else(|| panic!("{name} is not known as {alias}"));
            let want = [&row["boards"], &row["chips_per_board"], &row["fans"]];
            assert_eq!([known.boards, known.chips, known.fans], want.map(|v| v.as_u64().unwrap() as u32));
        }
    }
    let codes: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/fixtures/antminer/warning_codes.json")).unwrap();
    for row in codes {
        let known = super::warnings::meaning(row["code"].as_str().unwrap()).unwrap();
        let name = row.get("intended_name").unwrap_or(&row["mos_name"]);
        assert_eq!((known.name, known.text), (name.as_str().unwrap(), row["text"].as_str().unwrap()));
    }
}
