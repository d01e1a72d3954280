//! What the codes of the side port's `/warning` mean.

use headframe_core::model::Severity;

/// One code: the device's, MiningOS's name, plain words, the part concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Warning {
    /// The device's code.
    pub code: &'static str,
    /// MiningOS's name.
    pub name: &'static str,
    /// What it means.
    pub text: &'static str,
    /// The part concerned, when the code tells.
    pub component: Option<&'static str>,
}

impl Warning {
    /// How bad it is by MiningOS's list. Its misspelt `V:2` falls to `high` there, for errors that it does not know;
    /// ours is what its list means.
    pub fn severity(&self) -> Severity {
        match self.name {
            "high_temp_protection" | "low_temp_protection" | "temp_sensor_error" => Severity::Critical,
            _ => Severity::Medium,
        }
    }
}

const fn row(
    code: &'static str,
    name: &'static str,
    text: &'static str,
    component: Option<&'static str>,
) -> Warning {
    Warning { code, name, text, component }
}

/// Every code that is known. MiningOS misspells the name of `V:2`, so that its own alert never finds it; ours is
/// the one its configuration means.
static WARNINGS: [Warning; 26] = [
    row("R:1", "hashrate_low", "hashrate below the expected level", None),
    row("N:1", "hashrate_high", "average hashrate well above the safe limit", None),
    row("V:1", "power_init_error", "power supply start or output voltage fault", Some("psu")),
    row("V:2", "power_supply_not_calibrated", "power supply not calibrated", Some("psu")),
    row("J0:8", "insufficient_hashboards", "fewer hash boards than required", None),
    row("P:1", "high_temp_protection", "stopped: too hot", None),
    row("P:2", "low_temp_protection", "stopped: too cold", None),
    row("J1:4", "eeprom_data_error", "EEPROM data wrong (chain 1)", Some("board:1")),
    row("J2:4", "eeprom_data_error", "EEPROM data wrong (chain 2)", Some("board:2")),
    row("J3:4", "eeprom_data_error", "EEPROM data wrong (chain 3)", Some("board:3")),
    row("J4:4", "eeprom_data_error", "EEPROM data wrong (chain 4)", Some("board:4")),
    row("J5:4", "eeprom_data_error", "EEPROM data wrong (chain 5)", Some("board:5")),
    row("J6:4", "eeprom_data_error", "EEPROM data wrong (chain 6)", Some("board:6")),
    row("J7:4", "eeprom_data_error", "EEPROM data wrong (chain 7)", Some("board:7")),
    row("J0:6", "temp_sensor_error", "temperature sensor fault", None),
    row("M:1", "memory_malloc_error", "memory allocation failed", None),
    row("J0:2", "chip_insufficient", "board 0: fewer chips than designed", Some("board:0")),
    row("J1:2", "chip_insufficient", "board 1: fewer chips than designed", Some("board:1")),
    row("J2:2", "chip_insufficient", "board 2: fewer chips than designed", Some("board:2")),
    row(
        "L0:1",
        "voltage_freq_exceeds_limit",
        "voltage or frequency above the limit (chain 0)",
        Some("board:0"),
    ),
    row(
        "L1:1",
        "voltage_freq_exceeds_limit",
        "voltage or frequency above the limit (chain 1)",
        Some("board:1"),
    ),
    row(
        "L2:1",
        "voltage_freq_exceeds_limit",
        "voltage or frequency above the limit (chain 2)",
        Some("board:2"),
    ),
    row("L0:2", "voltage_freq_mismatch", "voltage and frequency do not match (chain 0)", Some("board:0")),
    row("L1:2", "voltage_freq_mismatch", "voltage and frequency do not match (chain 1)", Some("board:1")),
    row("L2:2", "voltage_freq_mismatch", "voltage and frequency do not match (chain 2)", Some("board:2")),
    row("L255:2", "mixed_level_not_found", "mixed level not found", None),
];

/// What `code` means; `None` for one that is not listed.
pub(super) fn meaning(code: &str) -> Option<&'static Warning> {
    WARNINGS.iter().find(|w| w.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Listed {
        code: String,
        text: String,
        mos_severity: Severity,
        intended_severity: Option<Severity>,
    }

    #[test]
    fn texts_and_severities_are_those_of_the_list() {
        let text = include_str!("../../tests/fixtures/antminer/warning_codes.json");
        let listed: Vec<Listed> = serde_json::from_str(text).unwrap();
        assert_eq!(listed.len(), WARNINGS.len());
        for row in listed {
            let known = meaning(&row.code).unwrap();
            assert_eq!(known.text, row.text);
            assert_eq!(known.severity(), row.intended_severity.unwrap_or(row.mos_severity), "{}", row.code);
        }
    }

    #[test]
    fn codes_are_listed_once() {
        for warning in &WARNINGS {
            assert_eq!(meaning(warning.code), Some(warning));
        }
        assert_eq!(meaning("J3:2"), None);
        assert_eq!(meaning("L1:2").unwrap().component, Some("board:1"));
    }
}
