//! Rules of spare parts and work orders. Pure.

use serde_json::{Map, Value};

use super::checks::{text, wrong};
use crate::{Error, ErrorKind, Result};

/// Where a part can be; MiningOS's gateway and miners have these words.
const LOCATIONS: [&str; 11] = [
    "workshop.warehouse",
    "workshop.lab",
    "site.warehouse",
    "site.lab",
    "site.container",
    "miner.room",
    "vendor",
    "acme.container",
    "scrapped",
    "disposed",
    "unknown",
];
const DEVICES: [&str; 4] = ["miner", "psu", "hashboard", "controller"];
const WORK_ORDER: &str = "inventory-work_order";
const MINER_PART: &str = "inventory-miner_part-";
const CONTAINER_PART: &str = "inventory-container_part-";
const INFO: &str = "ERR_THING_VALIDATE_INFO_INVALID";

/// Whether things of this type are work orders. They name the numbers of parts that are not theirs.
pub(super) fn is_work_order(thing_type: &str) -> bool {
    thing_type == WORK_ORDER
}

/// Whether a parent has one part of this type only.
pub(super) fn is_single(thing_type: &str) -> bool {
    thing_type.strip_prefix(MINER_PART) == Some("controller")
}

/// Checks the facts of a part or a work order; `old` are those before an update.
pub(super) fn check(
    thing_type: &str,
    info: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
) -> Result<()> {
    if info.is_empty() {
        return Err(wrong("info", "is needed", INFO));
    }
    if is_work_order(thing_type) {
        return order(info);
    }
    for name in ["serialNum", "macAddress", "parentDeviceId", "parentDeviceCode", "container"] {
        if !info.get(name).is_none_or(|v| v.is_null() || v.is_string()) {
            return Err(wrong(&format!("info.{name}"), "is a text", INFO));
        }
    }
    if text(info, "parentDeviceId").is_some() != text(info, "parentDeviceCode").is_some() {
        let why = "and info.parentDeviceCode come together";
        return Err(wrong("info.parentDeviceId", why, "ERR_PARENT_DEVICE_INFO_INVALID"));
    }
    if let (Some(kind), Some(model)) = (text(info, "parentDeviceType"), text(info, "parentDeviceModel"))
        && !kind.contains(model)
    {
        let code = match old {
            None => "ERR_PARENT_DEVICE_MODEL_TYPE_MISMATCH",
            Some(_) => "ERR_UPDATE_PARENT_DEVICE_TYPE_MODEL_MISMATCH",
        };
        return Err(wrong("info.parentDeviceType", "contains info.parentDeviceModel", code));
    }
    if let Some(location) = info.get("location").filter(|location| !location.is_null())
        && !location.as_str().is_some_and(|location| LOCATIONS.contains(&location))
    {
        let why = format!("is one of {}", LOCATIONS.join(", "));
        return Err(wrong("info.location", &why, "ERR_INVALID_LOCATION"));
    }
    identified(thing_type, info)
}

/// What tells a part from others of its kind.
fn identified(thing_type: &str, info: &Map<String, Value>) -> Result<()> {
    let has = |name: &str| text(info, name).is_some();
    let serial = || wrong("info.serialNum", "is needed", "ERR_THING_VALIDATE_SERIAL_NUMBER_REQUIRED");
    if thing_type.starts_with(CONTAINER_PART) {
        if !has("serialNum") {
            return Err(serial());
        }
        if !has("container") {
            return Err(wrong("info.container", "is needed", "ERR_THING_VALIDATE_CONTAINER_REQUIRED"));
        }
        return Ok(());
    }
    match thing_type.strip_prefix(MINER_PART) {
        Some("psu" | "hashboard") if !has("serialNum") => Err(serial()),
        Some("controller") if !has("serialNum") && !has("macAddress") => {
            let why = "or info.macAddress is needed";
            Err(wrong("info.serialNum", why, "ERR_THING_VALIDATE_MAC_OR_SERIAL_REQUIRED"))
        }
        _ => Ok(()),
    }
}

fn order(info: &Map<String, Value>) -> Result<()> {
    if !order_type(info).is_some_and(|kind| kind == 1 || kind == 2) {
        return Err(wrong("info.type", "is 1, register, or 2, regular", "ERR_WO_TYPE_INVALID"));
    }
    if !text(info, "deviceType").is_some_and(|device| DEVICES.contains(&device)) {
        let why = format!("is one of {}", DEVICES.join(", "));
        return Err(wrong("info.deviceType", &why, "ERR_WO_DEVICE_TYPE_INVALID"));
    }
    for (name, code) in [
        ("deviceModel", "ERR_WO_DEVICE_MODEL_INVALID"),
        ("deviceIdentifier", "ERR_WO_DEVICE_IDENTIFIER_INVALID"),
    ] {
        if text(info, name).is_none() {
            return Err(wrong(&format!("info.{name}"), "is a text that is not empty", code));
        }
    }
    if order_type(info) == Some(2) && text(info, "issue").is_none() {
        return Err(wrong("info.issue", "is a text that is not empty", "ERR_WO_ISSUE_INVALID"));
    }
    status(info).map(drop)
}

fn order_type(info: &Map<String, Value>) -> Option<u64> {
    info.get("type").and_then(Value::as_u64)
}

/// How far a work order is; open unless it says otherwise.
fn status(info: &Map<String, Value>) -> Result<&str> {
    let status = match info.get("status") {
        None | Some(Value::Null) => "open",
        Some(status) => status.as_str().unwrap_or_default(),
    };
    if ["open", "in_progress", "closed", "cancelled"].contains(&status) {
        return Ok(status);
    }
    let why = "is open, in_progress, closed or cancelled";
    Err(wrong("info.status", why, "ERR_WO_INVALID_STATUS_TRANSITION"))
}

/// Checks the step from `old` to `new`; `given` are the facts of the request.
pub(super) fn step(
    thing_type: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    given: &Map<String, Value>,
) -> Result<()> {
    if is_work_order(thing_type) {
        let (from, to) = (status(old)?, status(new)?);
        let allowed = match from {
            "open" => true,
            "in_progress" => to != "open",
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        let text = format!("a work order that is {from} cannot become {to}, nor change once it is done");
        return Err(Error::new(ErrorKind::Conflict, "thing.update", text)
            .code_as("ERR_WO_INVALID_STATUS_TRANSITION")
            .with("field", "info.status"));
    }
    let moved = ["location", "status"].iter().any(|name| old.get(*name) != new.get(*name));
    if moved && text(given, "workOrderId").is_none() {
        let why = "is needed where location or status changes";
        return Err(wrong("info.workOrderId", why, "ERR_PART_MOVE_REQUIRES_WO"));
    }
    Ok(())
}

/// What the code of a part or work order begins with, and how many digits its number has at least; `None` where the
/// type's own prefix does.
pub(super) fn code_prefix(thing_type: &str, info: &Map<String, Value>) -> Option<(String, usize)> {
    if is_work_order(thing_type) {
        return Some((format!("IVI-{}", order_type(info)?), 4));
    }
    let part = match thing_type.strip_prefix(MINER_PART)? {
        "psu" => "PS",
        "hashboard" => "HB",
        "controller" => "CB",
        _ => return None,
    };
    let word = |name| text(info, name).map(|t| t.split_whitespace().collect::<Vec<_>>().join("_"));
    let prefix = format!("{part}-{}-{}", word("parentDeviceModel")?, word("subType")?);
    Some((prefix.to_uppercase(), 2))
}

/// Whether the next code of a type can be told without its facts.
pub(super) fn codes_need_facts(thing_type: &str) -> bool {
    is_work_order(thing_type) || thing_type.starts_with(MINER_PART)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PSU: &str = "inventory-miner_part-psu";
    const BOARD: &str = "inventory-miner_part-controller";
    const COOLER: &str = "inventory-container_part-drycooler";

    fn map(value: &Value) -> &Map<String, Value> {
        value.as_object().unwrap()
    }

    fn refusal(thing_type: &str, info: &Value) -> Option<(&'static str, String)> {
        let e = check(thing_type, map(info), None).err()?;
        Some((e.code(), e.fact("field").unwrap_or_default().to_owned()))
    }

    #[test]
    fn a_part_has_what_its_kind_needs() {
        let good = json!({"serialNum": "P1", "location": "site.lab", "parentDeviceType": "miner-am-s21",
            "parentDeviceModel": "s21", "parentDeviceId": "m1", "parentDeviceCode": "AM-S21-0001"});
        assert_eq!(refusal(PSU, &good), None);
        assert_eq!(refusal(BOARD, &json!({"macAddress": "C8:11:05:00:0A:01"})), None);
        assert_eq!(refusal(COOLER, &json!({"serialNum": "D1", "container": "c1"})), None);
        for (thing_type, info, code, field) in [
            (PSU, json!({}), INFO, "info"),
            (PSU, json!({"x": 1}), "ERR_THING_VALIDATE_SERIAL_NUMBER_REQUIRED", "info.serialNum"),
            (PSU, json!({"serialNum": 7}), INFO, "info.serialNum"),
            (BOARD, json!({"x": 1}), "ERR_THING_VALIDATE_MAC_OR_SERIAL_REQUIRED", "info.serialNum"),
            (COOLER, json!({"serialNum": "D1"}), "ERR_THING_VALIDATE_CONTAINER_REQUIRED", "info.container"),
            (
                PSU,
                json!({"serialNum": "P1", "location": "Site Lab"}),
                "ERR_INVALID_LOCATION",
                "info.location",
            ),
            (
                PSU,
                json!({"serialNum": "P1", "parentDeviceId": "m1"}),
                "ERR_PARENT_DEVICE_INFO_INVALID",
                "info.parentDeviceId",
            ),
            (
                PSU,
                json!({"serialNum": "P1", "parentDeviceType": "miner-am-s19", "parentDeviceModel": "s21"}),
                "ERR_PARENT_DEVICE_MODEL_TYPE_MISMATCH",
                "info.parentDeviceType",
            ),
        ] {
            assert_eq!(refusal(thing_type, &info), Some((code, field.to_owned())), "{info}");
        }
    }

    #[test]
    fn a_part_moves_by_work_order_only() {
        let (old, new) = (json!({"location": "site.lab"}), json!({"location": "vendor"}));
        let step = |given: Value| step(PSU, map(&old), map(&new), map(&given)).map_err(|e| e.code());
        assert_eq!(step(json!({"location": "vendor"})), Err("ERR_PART_MOVE_REQUIRES_WO"));
        assert_eq!(step(json!({"location": "vendor", "workOrderId": "w1"})), Ok(()));
        let wrong = json!({"serialNum": "P1", "parentDeviceType": "a", "parentDeviceModel": "b"});
        let e = check(PSU, map(&wrong), Some(map(&old))).unwrap_err();
        assert_eq!(e.code(), "ERR_UPDATE_PARENT_DEVICE_TYPE_MODEL_MISMATCH");
    }

    #[test]
    fn a_work_order_goes_forward_and_ends() {
        let facts = |more: Value| {
            let mut all = json!({"type": 2, "deviceType": "psu", "deviceModel": "x", "deviceIdentifier": "P1",
                "issue": "dead"});
            all.as_object_mut().unwrap().extend(map(&more).clone());
            all
        };
        assert_eq!(refusal(WORK_ORDER, &facts(json!({}))), None);
        assert_eq!(refusal(WORK_ORDER, &facts(json!({"type": 1, "issue": null}))), None);
        for (wrong, code) in [
            (json!({"type": 3}), "ERR_WO_TYPE_INVALID"),
            (json!({"deviceType": "fan"}), "ERR_WO_DEVICE_TYPE_INVALID"),
            (json!({"deviceModel": ""}), "ERR_WO_DEVICE_MODEL_INVALID"),
            (json!({"deviceIdentifier": 7}), "ERR_WO_DEVICE_IDENTIFIER_INVALID"),
            (json!({"issue": null}), "ERR_WO_ISSUE_INVALID"),
            (json!({"status": "gone"}), "ERR_WO_INVALID_STATUS_TRANSITION"),
        ] {
            assert_eq!(refusal(WORK_ORDER, &facts(wrong.clone())).unwrap().0, code, "{wrong}");
        }
        let may = |from: &str, to: &str| {
            let (old, new) = (facts(json!({"status": from})), facts(json!({"status": to})));
            step(WORK_ORDER, map(&old), map(&new), &Map::new()).is_ok()
        };
        let all = ["open", "in_progress", "closed", "cancelled"];
        let allowed = |from: &str| all.iter().filter(|to| may(from, to)).count();
        assert_eq!(all.map(allowed), [4, 3, 0, 0]);
        assert!(!may("in_progress", "open"));
    }

    #[test]
    fn codes_of_parts_tell_what_they_are() {
        let info = json!({"parentDeviceModel": "s21", "subType": "apw 17"});
        assert_eq!(code_prefix(PSU, map(&info)), Some(("PS-S21-APW_17".into(), 2)));
        assert_eq!(code_prefix(PSU, &Map::new()), None);
        assert_eq!(code_prefix(WORK_ORDER, map(&json!({"type": 2}))), Some(("IVI-2".into(), 4)));
        assert_eq!(code_prefix(COOLER, map(&info)), None);
    }
}
