//! Snapshots that MiningOS's driver made, member by member.

use std::path::Path;

use headframe_core::{
    model::{MinerSnapshot, MissingReason},
    testkit,
};
use serde_json::{Value, json};

use crate::device::{Device, Joins, open, read, vectors};

/// What `want` has and `got` does not have in the same way.
fn differences(path: &str, want: &Value, got: &Value, out: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            for (key, want) in want {
                differences(&format!("{path}.{key}"), want, got.get(key).unwrap_or(&Value::Null), out);
            }
        }
        (Value::Array(want), Value::Array(got)) if want.len() == got.len() => {
            for (i, (want, got)) in want.iter().zip(got).enumerate() {
                differences(&format!("{path}[{i}]"), want, got, out);
            }
        }
        (Value::Number(want), Value::Number(got)) if want.as_f64() == got.as_f64() => {}
        (want, got) if want == got => {}
        _ => out.push(path.to_owned()),
    }
}

fn compare(want: &Value, got: &MinerSnapshot) -> Vec<String> {
    let mut out = Vec::new();
    differences("", want, &serde_json::to_value(got).unwrap(), &mut out);
    out
}

#[test]
fn the_copied_vectors_are_the_references() {
    let Some(shared) = std::env::var_os("HEADFRAME_SHARED") else { return };
    let maps = std::fs::read(Path::new(&shared).join("reference/miners-maps.json")).unwrap();
    let maps: Value = serde_json::from_slice(&maps).unwrap();
    let all = maps["snapshot_vectors"]["vectors"].as_array().unwrap().iter();
    let ours: Vec<Value> = all.filter(|v| v["family"] == "whatsminer").cloned().collect();
    assert_eq!(vectors(), ours);
}

#[test]
fn snapshots_equal_miningos_but_for_the_known_differences() {
    for joins in [Joins::Nothing, Joins::Reports, Joins::Everything] {
        for (i, vector) in vectors().into_iter().enumerate().take(3) {
            testkit::run(|cx, net| async move {
                let device = Device::start(&net, joins, &vector["answers"]).await;
                let thing = open(&cx, vector["type"].as_str().unwrap()).await;
                let first = read(&cx, &*thing).await.unwrap();
                // Nothing to compare the counters with yet; of an entry with two codes both are shown.
                let known: &[&str] = match i {
                    1 => &[".raw_errors", ".stats.all_pools_shares", ".stats.errors"],
                    _ => &[".stats.all_pools_shares"],
                };
                assert_eq!(compare(&vector["snapshot"], &first), known, "{}", vector["name"]);
                assert_eq!(first.missing.get("stats.all_pools_shares"), Some(&MissingReason::Derived));
                if i == 1 {
                    let codes: Vec<Value> =
                        first.raw_errors.iter().flatten().map(|e| json!(e.code)).collect();
                    assert_eq!(codes, ["532", "110", "111", "9999"]);
                }
                let Some(later) = vector.get("answers2") else { return };
                for (command, reply) in later.as_object().unwrap() {
                    device.set(command, reply.to_string());
                }
                let second = read(&cx, &*thing).await.unwrap();
                assert_eq!(compare(&vector["snapshot_next"], &second), Vec::<String>::new());
            });
        }
    }
}

#[test]
fn refused_errors_cost_the_errors_only() {
    testkit::run(|cx, net| async move {
        let vector = &vectors()[3];
        let _device = Device::start(&net, Joins::Nothing, &vector["answers"]).await;
        let got = read(&cx, &*open(&cx, "miner-wm-m56s").await).await.unwrap();
        assert!(got.success && got.stats.power_w.is_some() && got.raw_errors.is_none());
        for path in ["raw_errors", "stats.errors", "stats.are_all_errors_minor"] {
            assert_eq!(got.missing.get(path), Some(&MissingReason::Refused), "{path}");
        }
        // Errors aside it is the first machine.
        let mut want = vectors()[0]["snapshot"].clone();
        want["stats"]["nominal_efficiency_w_ths"] = vector["nominal"].clone();
        let known = [".raw_errors", ".stats.all_pools_shares", ".stats.are_all_errors_minor"];
        assert_eq!(compare(&want, &got), known);
    });
}
