//! What error codes mean. MiningOS's name of a code stays as it is, right or wrong, because alert rules use it;
//! the meaning stands beside it.

use headframe_core::model::{DeviceError, ErrorCode, Severity};

/// Lines of `code|component|MiningOS's name|last n that the name covers|severity|meaning`. In a code `n` is a board,
/// pool or level, and `c` a chip. The severity (critical, high, medium by its first letter) is MiningOS's where it has
/// one for the name, else the reference's proposal.
const TABLE: &str = include_str!("errors.txt");

/// Codes that MiningOS's configuration calls minor, on M30 and M56.
const MINOR_M56: &[u32] = &[
    203, 204, 205, 206, 217, 219, 236, 248, 270, 275, 320, 321, 322, 620, 714, 901, 2320, 2330, 2350, 5140,
    5141,
];
/// The same on M53.
const MINOR_M53: &[u32] =
    &[202, 205, 217, 264, 265, 266, 267, 270, 271, 272, 273, 274, 275, 276, 277, 278, 279, 280];

struct Row {
    component: &'static str,
    name: &'static str,
    covers: Option<u32>,
    severity: Severity,
    text: &'static str,
}

/// An error of the device: its code, and since when in the device's own words.
pub(super) fn decode(code: &str, since: Option<&str>) -> DeviceError {
    let mut error = DeviceError::default();
    error.name = Some("Unknown error".into());
    error.message = Some(format!("Error code {code}"));
    error.code = Some(ErrorCode::One(code.into()));
    error.since = since.map(Into::into);
    let numeric = code.len() >= 3 && code.bytes().all(|b| b.is_ascii_digit());
    // A code that nobody knows is as bad as MiningOS takes it.
    error.severity = Some(Severity::High);
    let Some((row, n, c)) = numeric.then(|| find(code)).flatten() else { return error };
    error.component = match row.component {
        "" => None,
        "board:n" => Some(format!("board:{n}")),
        "chip:n:c" => Some(format!("chip:{n}:{c}")),
        part => Some(part.into()),
    };
    error.text = Some(words(row.text, n, c));
    error.severity = Some(row.severity);
    if !row.name.is_empty() && row.covers.is_none_or(|last| n <= last) {
        error.name = Some(row.name.into());
    }
    error
}

/// Puts the numbers where the words `n` and `c` stand.
fn words(text: &str, n: u32, c: u32) -> String {
    let number = |word: &str| match word {
        "n" => n.to_string(),
        "n:" => format!("{n}:"),
        "c:" => format!("{c}:"),
        word => word.to_owned(),
    };
    text.split(' ').map(number).collect::<Vec<_>>().join(" ")
}

/// The row of a code with its `n` and `c`. An exact code wins over a pattern; six digits that do not begin with 1
/// hold a chip number of three digits.
fn find(code: &str) -> Option<(Row, u32, u32)> {
    if let Some(row) = rows().find(|(pattern, _)| *pattern == code) {
        return Some((row.1, 0, 0));
    }
    let long = code.len() == 6 && !code.starts_with('1');
    let short = if long { format!("{}0", &code[..3]) } else { code.to_owned() };
    let (digits, chip) = (short.as_str(), long.then(|| code[3..].parse().ok()).flatten());
    rows().find_map(|(pattern, row)| {
        let (n, c) = fits(pattern, digits)?;
        let chips = pattern.ends_with('c');
        (chips || chip.is_none()).then(|| (row, n, chip.unwrap_or(c)))
    })
}

fn fits(pattern: &str, digits: &str) -> Option<(u32, u32)> {
    if pattern.len() != digits.len() {
        return None;
    }
    let (mut n, mut c) = (0, 0);
    for (p, d) in pattern.chars().zip(digits.chars()) {
        match p {
            'n' => n = d.to_digit(10)?,
            'c' => c = d.to_digit(10)?,
            p if p == d => {}
            _ => return None,
        }
    }
    Some((n, c))
}

fn rows() -> impl Iterator<Item = (&'static str, Row)> {
    TABLE.lines().filter_map(|line| {
        let mut fields = line.split('|');
        let code = fields.next()?;
        let (component, name) = (fields.next()?, fields.next()?);
        let covers = fields.next()?.parse().ok();
        let severity = match fields.next()? {
            "c" => Severity::Critical,
            "h" => Severity::High,
            _ => Severity::Medium,
        };
        Some((code, Row { component, name, covers, severity, text: fields.next()? }))
    })
}

/// Whether all errors are on the vendor's list of minor ones; a list there is only for some models.
pub(super) fn all_minor(errors: &[DeviceError], model: Option<&str>) -> bool {
    let list = match model.and_then(|m| m.get(..3)) {
        Some("M30" | "M56") => MINOR_M56,
        Some("M53") => MINOR_M53,
        _ => return false,
    };
    !errors.is_empty()
        && errors.iter().all(|error| match &error.code {
            Some(ErrorCode::One(code)) => code.parse().is_ok_and(|code| list.contains(&code)),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_miningos_or_proposed() {
        for (code, severity) in [
            ("532", Severity::High),
            ("350", Severity::Critical),
            ("110", Severity::Medium),
            ("100", Severity::High),
            ("8610", Severity::Medium),
            ("999999", Severity::High),
        ] {
            assert_eq!(decode(code, None).severity, Some(severity), "{code}");
        }
    }

    fn parts(code: &str) -> (String, Option<String>, Option<String>) {
        let e = decode(code, None);
        (e.name.unwrap(), e.component, e.text)
    }

    fn want(name: &str, component: &str, text: &str) -> (String, Option<String>, Option<String>) {
        let opt = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        (name.into(), opt(component), opt(text))
    }

    #[test]
    fn codes_are_decoded() {
        for (code, expected) in [
            ("532", want("hashboard_error", "board:2", "board 2: missing")),
            ("534", want("Unknown error", "board:4", "board 4: missing")),
            ("110", want("hashrate_low", "fan:0", "intake fan speed wrong")),
            (
                "329",
                want(
                    "temp_sensor_detection_error",
                    "control",
                    "control board temperature sensor does not answer",
                ),
            ),
            ("323", want("temp_reading_error", "board:3", "board 3: temperature sensor cannot be read")),
            ("5213", want("Unknown error", "chip:1:3", "board 1 chip 3: wrong nonces")),
            ("520103", want("Unknown error", "chip:0:103", "board 0 chip 103: wrong nonces")),
            ("562007", want("Unknown error", "chip:2:7", "board 2 chip 7: no nonces")),
            (
                "100001",
                want("antiv_signature_illegal", "control", "security check: signature file not valid"),
            ),
            ("2021", want("pool_connect_failed", "", "pool 1: connection failed")),
            ("2029", want("Unknown error", "", "pool 9: connection failed")),
            ("8531", want("Unknown error", "", "power use outside standard, level 3")),
            ("9999", want("Unknown error", "", "unknown")),
            ("361", want("Unknown error", "board:1", "hash board too hot (slot 1)")),
        ] {
            assert_eq!(parts(code), expected, "{code}");
        }
    }

    #[test]
    fn what_is_no_known_code_keeps_its_text() {
        for code in ["", "1", "53", "12345", "777777", "abc", "５３２", "-53", "btminer process is down"] {
            assert_eq!(parts(code), want("Unknown error", "", ""), "{code}");
            assert_eq!(decode(code, None).code, Some(ErrorCode::One(code.into())));
        }
    }

    #[test]
    fn the_time_is_kept_as_the_device_writes_it() {
        let e = decode("218", Some("2024-06-15 10:30:00"));
        assert_eq!(e.message.as_deref(), Some("Error code 218"));
        assert_eq!(e.since.as_deref(), Some("2024-06-15 10:30:00"));
    }

    #[test]
    fn the_table_is_whole() {
        assert_eq!(rows().count(), 202);
        for (code, row) in rows() {
            assert!(!row.text.is_empty() && code.len() >= 3, "{code}");
        }
    }

    #[test]
    fn minor_errors_depend_on_the_model() {
        let errors = |codes: &[&str]| codes.iter().map(|c| decode(c, None)).collect::<Vec<_>>();
        assert!(all_minor(&errors(&["203", "2330"]), Some("M56S+")));
        assert!(!all_minor(&errors(&["203", "532"]), Some("M30S++")));
        assert!(!all_minor(&errors(&["203"]), Some("M53S")));
        assert!(all_minor(&errors(&["264"]), Some("M53")));
        assert!(!all_minor(&errors(&["264"]), Some("M63")) && !all_minor(&[], Some("M53")));
        assert!(!all_minor(&errors(&["264"]), None));
    }
}
