use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::client::Rig;

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Members that one of the two has and the other has not, or in another type. Entries of lists are held against
/// the first of the other.
fn differences(real: &Value, ours: &Value, path: &str, out: &mut Vec<String>) {
    if kind(real) != kind(ours) {
        out.push(format!("{path}: {} is a {}, not a {}", ours, kind(ours), kind(real)));
        return;
    }
    match (real, ours) {
        (Value::Object(real), Value::Object(ours)) => {
            for (name, value) in real {
                match ours.get(name) {
                    Some(own) => differences(value, own, &format!("{path}.{name}"), out),
                    None => out.push(format!("{path}.{name} is missing")),
                }
            }
            let more = ours.keys().filter(|name| !real.contains_key(*name));
            out.extend(more.map(|name| format!("{path}.{name} is ours alone")));
        }
        (Value::Array(real), Value::Array(ours)) => {
            assert!(!ours.is_empty(), "{path} is empty");
            for entry in ours {
                differences(&real[0], entry, &format!("{path}[]"), out);
            }
        }
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn replies_have_the_members_and_types_of_real_ones() {
    let Some(captures) = std::env::var_os("HEADFRAME_CAPTURES").map(PathBuf::from) else {
        eprintln!("skipped: HEADFRAME_CAPTURES names no folder of captures");
        return;
    };
    let rig = Rig::ordinary().await;
    for (file, cmd, param) in [
        ("get_device_info", "get.device.info", Value::Null),
        ("get_device_info_with_errors", "get.device.info", Value::Null),
        ("get_miner_status_summary", "get.miner.status", json!("summary")),
        ("get_miner_status_edevs", "get.miner.status", json!("edevs")),
        ("get_miner_status_pools", "get.miner.status", json!("pools")),
    ] {
        let path = captures.join("whatsminer-v3").join(file).with_extension("json");
        let real: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        // The codes that the real device reported, so that the members with their names are the same.
        if let Some(first) = real["msg"]["error-code"].get(0) {
            let code = first.as_object().unwrap().keys().find(|k| *k != "reason").unwrap().clone();
            rig.bench.device.set_errors(&[&code]);
        } else {
            rig.bench.device.set_errors(&[]);
        }
        let ours = rig.ask(cmd, param).await;
        let mut out = Vec::new();
        differences(&real, &ours, file, &mut out);
        assert!(out.is_empty(), "{out:#?}");
    }
}
