//! What API v1, of firmware before 2022-07-29, says otherwise on port 4028. It has no `get_error_code`: the errors
//! stand in `summary`, with the control board and the supply. Its writes are described nowhere, so they are unknown.

use serde_json::{Value, json};

use super::Whatsminer;
use crate::{
    device::DeviceCore,
    physics::{Cooling, Truth, unit},
};

/// What only API v1 has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Options {
    /// `api_ver`.
    pub api: String,
    /// Whether `get_psu` exists; some values of the supply stand in `summary` all the same.
    pub psu: bool,
    /// Whether the firmware version in `summary` holds a line break as it is, which JSON forbids.
    pub raw_newlines: bool,
    /// Whether the last member of an entry is followed by a comma, which JSON forbids.
    pub trailing_commas: bool,
}

impl Default for V1Options {
    fn default() -> Self {
        Self { api: "whatsminer v1.4".into(), psu: true, raw_newlines: true, trailing_commas: true }
    }
}

impl Whatsminer {
    /// The members that `summary` has more than on API v2, without the errors.
    pub(super) fn v1_summary(&self, core: &DeviceCore, truth: &Truth) -> Value {
        let model = core.identity().model;
        let volts = 225.0 + 15.0 * unit(core.identity().seed, 62);
        let end = if self.options.v1.raw_newlines { "\n" } else { "" };
        json!({
            "CB Platform": model.platform, "CB Version": "V10",
            "Firmware Version": format!("'{}{end}'", self.firmware_version()),
            "Power_RT": truth.power_w.round() as i64, "Power Fanspeed": truth.psu_fan_rpm.round() as i64,
            "Power Current": (1_000.0 * truth.power_w / volts).round() as i64,
            "Voltage": (100.0 * volts).round() as i64,
            "Liquid Cooling": model.cooling == Cooling::Liquid, "Security Mode": 0,
        })
    }

    pub(super) fn v1_status(&self, truth: &Truth) -> Value {
        json!({
            "btmineroff": if truth.asleep { "true" } else { "false" },
            "Firmware Version": format!("'{}'", self.firmware_version()),
        })
    }

    /// Puts into the text what this firmware writes wrongly.
    pub(super) fn v1_spell(&self, text: String) -> String {
        let version = self.firmware_version();
        let text = text.replace(&format!("{version}\\n'"), &format!("{version}\n'"));
        if self.options.v1.trailing_commas { with_trailing_commas(&text) } else { text }
    }
}

/// Puts a comma behind the last member of each object that ends an array.
fn with_trailing_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut in_string, mut escaped) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_entry = c == '}' && chars.peek() == Some(&']') && !out.ends_with('{');
        if !in_string && ends_entry {
            out.push(',');
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_behind_entries_only() {
        let text = r#"{"STATUS":[{"a":1}],"POOLS":[{"u":"x}]\"}]"},{"u":"y"}],"N":[{}],"id":1}"#;
        let wrong = r#"{"STATUS":[{"a":1,}],"POOLS":[{"u":"x}]\"}]"},{"u":"y",}],"N":[{}],"id":1}"#;
        assert_eq!(with_trailing_commas(text), wrong);
    }
}
