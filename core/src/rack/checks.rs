//! What a thing must be, and what only one thing may have. Pure.

use serde_json::{Map, Value};

use super::{inventory, record::ThingRecord};
use crate::{Error, ErrorKind, Result, ThingId, model::Text};

const REGISTER: &str = "thing.register";
const MOST_BYTES: usize = 64 << 10;
const MOST_DEPTH: usize = 32;

/// The container of things that are being repaired: they are not polled.
pub(super) const MAINTENANCE: &str = "maintenance";

/// What only one thing of a site may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Claim {
    Code,
    Serial,
    Mac,
    Place,
    Address,
    ParentId,
    ParentCode,
}

impl Claim {
    const fn code(self) -> &'static str {
        match self {
            Self::Code => "ERR_THING_WITH_CODE_ALREADY_EXISTS",
            Self::Serial => "ERR_THING_SERIALNUM_EXISTS",
            Self::Mac => "ERR_THING_MACADDRESS_EXISTS",
            Self::Place => "ERR_THING_POS_EXISTS",
            Self::Address => "ERR_THING_IP_ADDRESS_EXISTS",
            Self::ParentId => "ERR_THING_PARENTDEVICEID_EXISTS",
            Self::ParentCode => "ERR_THING_PARENTDEVICECODE_EXISTS",
        }
    }

    const fn field(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Serial => "info.serialNum",
            Self::Mac => "info.macAddress",
            Self::Place => "info.pos",
            Self::Address => "opts.address",
            Self::ParentId => "info.parentDeviceId",
            Self::ParentCode => "info.parentDeviceCode",
        }
    }

    /// Why a thing that claims the same as `owner` is refused.
    pub fn taken(self, op: &'static str, owner: &ThingId) -> Error {
        let text = format!("another thing has the same {}", self.field());
        Error::new(ErrorKind::Conflict, op, text)
            .code_as(self.code())
            .with("field", self.field())
            .with("owner", owner)
    }
}

/// One claim: what is claimed, and its value as it is compared.
pub(super) type ClaimKey = (Claim, Box<str>);

/// Everything that `thing` claims. Claims of one family do not meet those of another, except codes.
pub(super) fn claims(thing: &ThingRecord) -> Vec<ClaimKey> {
    let family = thing.family();
    let mut out: Vec<ClaimKey> = vec![(Claim::Code, thing.code.as_str().into())];
    let mut claim = |claim, value: &str| out.push((claim, key(family, value)));
    if !matches!(family, "miner" | "inventory") || inventory::is_work_order(&thing.thing_type) {
        return out;
    }
    if inventory::is_single(&thing.thing_type) {
        thing.info.text("parentDeviceId").into_iter().for_each(|id| claim(Claim::ParentId, &id));
        let code = thing.info.text("parentDeviceCode").map(|code| code.to_lowercase());
        code.iter().for_each(|code| claim(Claim::ParentCode, code));
    }
    let seen = thing.evidence.as_ref();
    let mac = thing.info.text("macAddress").map(|mac| normal_mac(&mac));
    let seen_mac = seen.and_then(|e| e.mac.clone()).filter(|m| mac.as_ref() != Some(m));
    mac.iter().chain(&seen_mac).for_each(|mac| claim(Claim::Mac, mac));
    let serial = thing.info.text("serialNum");
    let seen_serial = seen.and_then(|e| e.serial.as_deref()).filter(|s| serial.as_deref() != Some(*s));
    serial.as_deref().into_iter().chain(seen_serial).for_each(|serial| claim(Claim::Serial, serial));
    if family == "miner" {
        if let Some(pos) = thing.info.text("pos") {
            let container = thing.info.text("container").unwrap_or_default();
            claim(Claim::Place, &format!("{pos}\u{1f}{container}"));
        }
        if let Some(address) = thing.address() {
            out.push((Claim::Address, address_key(address)));
        }
    }
    out
}

/// How the claim of a miner to a MAC address or serial number is written.
pub(super) fn identity_key(told: &str) -> Box<str> {
    key("miner", told)
}

/// How the claim of a miner to an address is written.
pub(super) fn address_key(address: &str) -> Box<str> {
    let address = address.trim();
    let host = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match host.parse::<std::net::IpAddr>() {
        // One address has many spellings.
        Ok(ip) => key("miner", &ip.to_canonical().to_string()),
        Err(_) => key("miner", &address.to_ascii_lowercase()),
    }
}

fn key(family: &str, value: &str) -> Box<str> {
    format!("{family}\u{1f}{value}").into()
}

/// A text that is there and not empty.
pub(super) fn text<'a>(info: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    info.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A MAC address as it is compared: capitals and colons.
pub(super) fn normal_mac(mac: &str) -> Text {
    mac.to_ascii_uppercase().replace('-', ":").into()
}

/// Checks what a thing of `family` says of itself.
pub(super) fn info(family: &str, info: &Map<String, Value>) -> Result<()> {
    if family == "miner" {
        mac(info.get("macAddress"))?;
        for name in ["serialNum", "pos", "container"] {
            if !info.get(name).is_none_or(|v| v.is_null() || v.is_string()) {
                let field = format!("info.{name}");
                return Err(wrong(&field, "is a text", "ERR_THING_VALIDATE_INFO_INVALID"));
            }
        }
    }
    Ok(())
}

fn mac(value: Option<&Value>) -> Result<()> {
    let invalid = || {
        wrong(
            "info.macAddress",
            "is six pairs of hexadecimal digits with one separator, ':' or '-'",
            "ERR_THING_MACADDRESS_INVALID",
        )
    };
    let text = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(text)) if text.is_empty() => return Ok(()),
        Some(Value::String(text)) => text,
        Some(_) => return Err(invalid()),
    };
    let separator = if text.contains('-') { '-' } else { ':' };
    let pairs: Vec<&str> = text.split(separator).collect();
    let hex = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    if pairs.len() != 6 || !pairs.iter().all(hex) {
        return Err(invalid());
    }
    let first = u8::from_str_radix(pairs[0], 16).map_err(|_| invalid())?;
    if first & 1 == 1 {
        let why = "is a group address, no device's own";
        return Err(wrong("info.macAddress", why, "ERR_THING_MACADDRESS_MULTICAST"));
    }
    Ok(())
}

/// Checks that a location inside a container comes with the container.
pub(super) fn location(family: &str, info: &Map<String, Value>) -> Result<()> {
    let inside = text(info, "location").and_then(|l| l.split('.').nth(1)) == Some("container");
    if family == "miner" && inside && text(info, "container").is_none() {
        let why = "is needed for a location inside a container";
        return Err(wrong("info.container", why, "ERR_THING_VALIDATE_CONTAINER_INVALID"));
    }
    Ok(())
}

/// Bounds what is kept of one thing.
pub(super) fn size<'a>(
    field: &'static str,
    members: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Result<()> {
    let mut bytes = 0_usize;
    for (name, value) in members {
        if !shallow(value, MOST_DEPTH) {
            return Err(Error::invalid(REGISTER, field, format!("{field} is nested too deeply")));
        }
        let len = serde_json::to_string(value).map_or(usize::MAX, |text| text.len());
        bytes = bytes.saturating_add(len).saturating_add(name.len());
    }
    if bytes > MOST_BYTES {
        return Err(Error::invalid(REGISTER, field, format!("{field} has more than 64 KiB")));
    }
    Ok(())
}

fn shallow(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(list) => depth > 0 && list.iter().all(|v| shallow(v, depth - 1)),
        Value::Object(map) => depth > 0 && map.values().all(|v| shallow(v, depth - 1)),
        _ => true,
    }
}

pub(super) fn wrong(field: &str, why: &str, code: &'static str) -> Error {
    Error::invalid(REGISTER, field, format!("{field} {why}")).code_as(code)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code_of(value: &Value) -> Option<&'static str> {
        info("miner", value.as_object().unwrap()).err().map(|e| e.code())
    }

    #[test]
    fn mac_addresses_are_six_pairs_and_no_group() {
        for good in [json!("c8:11:05:00:0A:01"), json!("C8-11-05-00-0a-01"), json!(""), json!(null)] {
            assert_eq!(code_of(&json!({ "macAddress": good })), None, "{good}");
        }
        let invalid = Some("ERR_THING_MACADDRESS_INVALID");
        for bad in
            ["C8:11:05:00:0A", "C8:11-05:00:0A:01", "C81105000A01", "C8:11:05:00:0A:0G", "é8:11:05:00:0A:01"]
        {
            assert_eq!(code_of(&json!({ "macAddress": bad })), invalid, "{bad}");
        }
        assert_eq!(code_of(&json!({"macAddress": 7})), invalid);
        let group = Some("ERR_THING_MACADDRESS_MULTICAST");
        assert_eq!(code_of(&json!({"macAddress": "01:00:5E:00:00:01"})), group);
        assert_eq!(code_of(&json!({"pos": 7})), Some("ERR_THING_VALIDATE_INFO_INVALID"));
    }

    #[test]
    fn a_location_in_a_container_names_it() {
        let map = |v: Value| v.as_object().unwrap().clone();
        assert!(location("miner", &map(json!({"location": "site.container"}))).is_err());
        assert!(location("miner", &map(json!({"location": "site.container", "container": "c1"}))).is_ok());
        assert!(location("miner", &map(json!({"location": "site.lab"}))).is_ok());
    }

    #[test]
    fn sizes_are_bounded() {
        let big = json!("x".repeat(65 << 10));
        assert_eq!(size("info", [("a", &big)].into_iter()).unwrap_err().fact("field"), Some("info"));
        let deep = (0..40).fold(json!(1), |v, _| json!([v]));
        assert!(size("opts", [("a", &deep)].into_iter()).is_err());
    }
}
