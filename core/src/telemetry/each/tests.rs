use serde_json::{Map, Value, json};

use super::*;
use crate::{
    rack::Tail,
    stats::{
        families,
        fold::{FoldRequest, fold},
    },
    telemetry::{
        TelemetryOptions,
        tests::{Lab, LabRack, NOON, draft, miner},
    },
};

/// What the gateway asks for of each family: the field sets of its routes, and what people look at.
const MINER: &[&str] = &[
    "alerts_aggr",
    "efficiency_w_ths_avg_aggr",
    "efficiency_w_ths_container_group_avg_aggr",
    "efficiency_w_ths_pdu_rack_group_avg_aggr",
    "efficiency_w_ths_type_group_avg_aggr",
    "error_cnt",
    "error_miners_amount_aggr",
    "hashrate_mhs_1m_cnt_aggr",
    "hashrate_mhs_1m_container_group_sum_aggr",
    "hashrate_mhs_1m_group_aggr",
    "hashrate_mhs_1m_sum_aggr",
    "hashrate_mhs_5m_active_container_group_cnt",
    "hashrate_mhs_5m_container_group_sum_aggr",
    "hashrate_mhs_5m_pdu_rack_group_avg_aggr",
    "hashrate_mhs_5m_pdu_rack_group_sum_aggr",
    "hashrate_mhs_5m_sum_aggr",
    "hashrate_mhs_5m_type_group_sum_aggr",
    "maintenance_type_cnt",
    "miner_inventory_location_group_cnt_aggr",
    "miner_inventory_status_group_cnt_aggr",
    "nominal_efficiency_w_ths_avg_aggr",
    "nominal_hashrate_mhs_avg_aggr",
    "nominal_hashrate_mhs_sum_aggr",
    "not_mining_cnt",
    "not_mining_miners_amount_aggr",
    "offline_cnt",
    "offline_or_sleeping_miners_amount_aggr",
    "online_or_minor_error_miners_amount_aggr",
    "pools_rejected_shares_total_aggr",
    "power_mode_group_aggr",
    "power_mode_high_cnt",
    "power_mode_low_cnt",
    "power_mode_normal_cnt",
    "power_mode_sleep_cnt",
    "power_w_container_group_sum_aggr",
    "power_w_group_aggr",
    "power_w_pdu_rack_group_sum_aggr",
    "power_w_sum_aggr",
    "power_w_type_group_sum_aggr",
    "status_group_aggr",
    "temperature_c_group_avg_aggr",
    "temperature_c_group_max_aggr",
    "type_cnt",
];
const CONTAINER: &[&str] = &[
    "alerts_aggr",
    "container_nominal_efficiency_w_ths_avg_aggr",
    "container_nominal_miner_capacity_sum_aggr",
    "container_power_w_aggr",
    "container_specific_stats_group_aggr",
    "container_status_aggr",
];
const METER: &[&str] = &["alerts_aggr", "power_w_pos_group_aggr", "site_power_w", "transformer_power_w"];
const SATEC: &[&str] = &["powermeter_specific_stats_group_aggr", "site_power_w"];
const PARTS: &[&str] = &["spare_part_inventory_status_group_cnt_aggr", "spare_parts_cnt_aggr"];
/// There is nothing to tell of these in what the things of these tests say.
const EMPTY: &[&str] = &["alerts_aggr", "maintenance_type_cnt"];

/// The fold of a log's newest row, of the fields.
fn folded(lab: &Lab, rack: &LabRack, (key, tag): (&str, &str), fields: &[&str]) -> Map<String, Value> {
    let family = tag.strip_prefix("t-").unwrap_or("miner");
    let spec = families::fold(family).unwrap();
    let request = FoldRequest::of(fields.iter().copied());
    let mut query = lab.query(key, tag);
    query.newest = Some(1);
    query.wanted = Some(spec.only(&request.fields).sources().into_iter().map(str::to_owned).collect());
    let Tail::Rows(rows) = lab.tail(rack, &query) else { panic!("rows are totals") };
    fold(&spec, &rows, &request).pop().unwrap().row.to_json()
}

/// Every field is in the rows and in what is so now, and says something.
fn none_is_missing(lab: &Lab, rack: &LabRack, family: &str, fields: &[&str], keys: &[&str]) {
    for key in keys {
        let row = folded(lab, rack, (key, &format!("t-{family}")), fields);
        for field in fields {
            let value = row.get(*field).unwrap_or_else(|| panic!("{key}: {field} is missing in {row:?}"));
            let is_empty = value.as_object().is_some_and(Map::is_empty);
            assert!(!value.is_null() && (!is_empty || EMPTY.contains(field)), "{key} {field}: {value}");
        }
    }
}

async fn miners(lab: &Lab) -> LabRack {
    let drafts = [draft("m1", "bay-1", "1_1"), draft("m2", "bay-1", "1_2"), draft("m3", "bay-2", "2_1")];
    lab.rack("miner-am-s21", "hall-1", &drafts).await
}

async fn lab() -> Lab {
    Lab::new(TelemetryOptions::default()).await
}

/// For so many minutes, twice in each.
async fn go_on(lab: &Lab, rack: &LabRack, minutes: usize, said: &[(&str, Value)]) {
    for _ in 0..minutes * 2 {
        for (thing, said) in said {
            rack.say(lab, thing, said.clone()).await;
        }
        lab.pass(30).await;
    }
}

const ALL_KEYS: &[&str] = &["stat-1m", "stat-5m", "stat-rtd"];

#[tokio::test(start_paused = true)]
async fn no_name_of_the_gateway_is_missing_of_miners() {
    let lab = lab().await;
    let rack = miners(&lab).await;
    let states = [
        ("sleeping", "sleep"),
        ("mining", "low"),
        ("mining", "normal"),
        ("mining", "high"),
        ("offline", "normal"),
        ("error", "normal"),
        ("not_mining", "normal"),
    ];
    // Each in its turn, so that every counter has counted something in the five minutes.
    for (at, (status, mode)) in states.iter().enumerate() {
        let ids = ["m1", "m2", "m3"];
        rack.say(&lab, ids[at % 3], miner(status, mode, 3_000.0)).await;
        rack.say(&lab, ids[(at + 1) % 3], miner("mining", "high", 3_100.0)).await;
        lab.pass(43).await;
    }
    lab.pass(6).await;
    none_is_missing(&lab, &rack, "miner", MINER, &["stat-5m"]);
    let now: Vec<&str> = MINER.iter().copied().filter(|name| !name.ends_with("_cnt")).collect();
    none_is_missing(&lab, &rack, "miner", &now, &["stat-rtd"]);
}

#[tokio::test(start_paused = true)]
async fn no_name_of_the_gateway_is_missing_of_other_families() {
    let lab = lab().await;
    let container = lab.rack("container-as-hk3", "yard", &[draft("c1", "bay-1", "1")]).await;
    let meters = [draft("p1", "bay-1", "site"), draft("p2", "bay-1", "tr1")];
    let meter = lab.rack("powermeter-schneider-p3u30", "yard", &meters).await;
    let satec = lab.rack("powermeter-satec-pm180", "yard", &[draft("s1", "bay-1", "site")]).await;
    let part = json!({"id": "psu-1", "info": {"status": "ok", "location": "site.warehouse", "serialNum": "SN1",
        "parentDeviceModel": "s21", "parentDeviceType": "miner-am-s21"}});
    let parts = lab.rack("inventory-miner_part-psu", "store", &[part]).await;
    let said =
        |status: &str, power: f64| json!({"success": true, "stats": {"status": status, "power_w": power}});
    for _ in 0..12 {
        container.say(&lab, "c1", said("mining", 9_000.0)).await;
        meter.say(&lab, "p1", said("mining", 70_000.0)).await;
        meter.say(&lab, "p2", said("mining", 71_000.0)).await;
        satec.say(&lab, "s1", said("mining", 72_000.0)).await;
        lab.pass(30).await;
    }
    let generic = |names: &'static [&str]| -> Vec<&str> {
        names.iter().copied().filter(|name| !name.contains("_specific_")).collect()
    };
    none_is_missing(&lab, &container, "container", &generic(CONTAINER), ALL_KEYS);
    none_is_missing(&lab, &meter, "powermeter", METER, ALL_KEYS);
    none_is_missing(&lab, &satec, "powermeter", &generic(SATEC), ALL_KEYS);
    none_is_missing(&lab, &parts, "inventory", PARTS, ALL_KEYS);
    let spread = folded(&lab, &meter, ("stat-5m", "t-powermeter"), &["power_w_pos_group_aggr"]);
    assert_eq!(spread["power_w_pos_group_aggr"], json!({"site": 70_000, "tr1": 71_000}));
    specifics(&lab, &container, &satec).await;
}

/// Members of one vendor, which no driver says yet, come with what was imported.
async fn specifics(lab: &Lab, container: &LabRack, satec: &LabRack) {
    let said = |stats: Value| json!({"ts": lab.now() - 1_000, "err": null, "snap": {"stats": stats}});
    let tank = json!({"status": "running", "container_specific": {"supply_liquid_temp": 35.5, "supply_liquid_flow": 60}});
    let meter = json!({"status": "ok", "powermeter_specific": {"historical_values": {"real_import_power_w_last15m_avg": 64}}});
    let lines = [("c1", said(tank)), ("s1", said(meter))]
        .map(|(id, row)| json!({"thing": id, "rows": [row]}).to_string());
    let text = lines.join("\n");
    let taken =
        lab.telemetry.import(&mut text.as_bytes(), &crate::telemetry::ImportOptions::default()).unwrap();
    assert_eq!(taken.readings, 2, "{taken:?}");
    for _ in 0..9 {
        for (rack, id) in [(container, "c1"), (satec, "s1")] {
            rack.say(lab, id, json!({"success": true, "stats": {"status": "mining"}})).await;
        }
        lab.pass(30).await;
    }
    none_is_missing(lab, container, "container", CONTAINER, &["stat-5m"]);
    none_is_missing(lab, satec, "powermeter", SATEC, &["stat-5m"]);
    let tank = folded(lab, container, ("stat-5m", "t-container"), &["container_specific_stats_group_aggr"]);
    let expected = json!({"bay-1": {"supply_liquid_temp_group": 35.5, "supply_liquid_flow_group": 60}});
    assert_eq!(tank["container_specific_stats_group_aggr"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_number_is_its_mean_and_a_text_what_held_last() {
    let lab = lab().await;
    let rack = miners(&lab).await;
    rack.say(&lab, "m1", miner("mining", "high", 3_000.0)).await;
    rack.say(&lab, "m2", miner("mining", "low", 1_000.0)).await;
    lab.pass(30).await;
    rack.say(&lab, "m1", miner("sleeping", "sleep", 100.0)).await;
    // The other one is silent: what it said holds for 75 s.
    lab.pass(30).await;
    rack.say(&lab, "m1", miner("error", "sleep", 100.0)).await;
    lab.pass(6).await;
    let fields = ["power_w_group_aggr", "power_mode_group_aggr", "status_group_aggr"];
    let row = folded(&lab, &rack, ("stat-1m", "t-miner"), &fields);
    assert_eq!(row["power_w_group_aggr"], json!({"bay-1-1_1": 1_550, "bay-1-1_2": 1_000}));
    assert_eq!(row["power_mode_group_aggr"], json!({"bay-1-1_1": "sleep", "bay-1-1_2": "low"}));
    assert_eq!(row["status_group_aggr"], json!({"bay-1-1_1": "sleeping", "bay-1-1_2": "mining"}));
    let now = folded(&lab, &rack, ("stat-rtd", "t-miner"), &fields);
    assert_eq!(now["status_group_aggr"], json!({"bay-1-1_1": "error", "bay-1-1_2": "mining"}));
    lab.pass(20).await;
    let now = folded(&lab, &rack, ("stat-rtd", "t-miner"), &fields);
    assert_eq!(now["status_group_aggr"], json!({"bay-1-1_1": "error"}), "what is old is not told as of now");
    lab.pass(60).await;
    let row = folded(&lab, &rack, ("stat-1m", "t-miner"), &fields);
    assert_eq!(row["power_w_group_aggr"], json!({"bay-1-1_1": 100, "bay-1-1_2": 1_000}));
}

#[tokio::test(start_paused = true)]
async fn values_of_single_miners_wait_until_they_are_named_and_are_bounded() {
    let lab = lab().await;
    let rack = miners(&lab).await;
    go_on(&lab, &rack, 2, &[("m1", miner("mining", "high", 3_000.0))]).await;
    lab.pass(6).await;
    let all = lab.query("stat-1m", "t-miner");
    let Tail::Rows(rows) = lab.tail(&rack, &all) else { panic!() };
    assert!(rows.iter().all(|row| row.get("status_group").is_none() && row.get("power_w_sum").is_some()));
    assert!(lab.telemetry.now(&rack.id, &all).unwrap().unwrap().get("status_group").is_none());
    assert_eq!(rows::check(1_000, 1_000).map_err(|e| e.code().to_owned()), Ok(()));
    let error = rows::check(1_001, 1_000).unwrap_err();
    assert_eq!((error.code(), error.kind()), (code::LIMIT_EXCEEDED, crate::ErrorKind::Invalid));
}

#[tokio::test(start_paused = true)]
async fn shares_and_the_start_up_are_logs_of_their_own() {
    let lab = lab().await;
    let rack = miners(&lab).await;
    let said = [
        ("m1", miner("mining", "high", 3_000.0)),
        ("m2", miner("sleeping", "sleep", 30.0)),
        ("m3", miner("mining", "high", 3_000.0)),
    ];
    go_on(&lab, &rack, 11, &said).await;
    let Tail::Rows(shares) = lab.tail(&rack, &lab.query("stat-shares-1m", "container-bay-1")) else {
        panic!()
    };
    let whole: Vec<_> = shares.iter().filter_map(|row| row.number("pools_accepted_shares_total")).collect();
    assert!(
        whole.len() >= 9 && whole.iter().all(|stat| stat.value() == 40.0 && stat.weight() == 2.0),
        "{whole:?}"
    );
    let Tail::Rows(startup) = lab.tail(&rack, &lab.query("stat-startup", "t-miner")) else { panic!() };
    let status = startup.iter().map(|row| (row.ts.unwrap().0, row.number("startupStatus").unwrap().value()));
    assert_eq!(status.collect::<Vec<_>>(), [(NOON + 300_000, 1.0), (NOON + 600_000, 1.0)]);
    let sum = folded(&lab, &rack, ("stat-startup", "t-miner"), &["full_mining_startup_count"]);
    assert_eq!(sum["full_mining_startup_count"], 1);
}
