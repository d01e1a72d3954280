//! Models by name, and what each is built of.

use headframe_core::{driver::ModelInfo, model::Text};

/// One model as its maker built it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// Canonical name, without `Antminer`.
    pub name: &'static str,
    /// Other names under which firmwares report it, in the form of [`key`].
    also: &'static [&'static str],
    /// Hash boards.
    pub boards: u32,
    /// Chips on one board.
    pub chips: u32,
    /// Fans; 0 for liquid cooling.
    pub fans: u32,
}

const fn row(name: &'static str, also: &'static [&'static str], boards: u32, chips: u32, fans: u32) -> Model {
    Model { name, also, boards, chips, fans }
}

/// Every model that is known.
pub(super) static MODELS: [Model; 65] = [
    row("D3", &[], 3, 60, 4),
    row("HS3", &[], 3, 92, 4),
    row("L3+", &[], 4, 72, 2),
    row("L3++", &[], 4, 72, 2),
    row("KA3", &[], 3, 92, 4),
    row("KS3", &[], 3, 92, 2),
    row("DR5", &[], 3, 72, 2),
    row("KS5", &[], 3, 92, 4),
    row("KS5 Pro", &[], 3, 92, 4),
    row("L7", &[], 3, 120, 4),
    row("K7", &[], 3, 92, 2),
    row("D7", &[], 3, 70, 4),
    row("E9 Pro", &[], 2, 8, 4),
    row("D9", &[], 3, 126, 4),
    row("S9", &[], 3, 63, 2),
    row("S9i", &[], 3, 63, 2),
    row("S9j", &[], 3, 63, 2),
    row("T9", &[], 3, 54, 2),
    row("L9", &[], 3, 110, 4),
    row("L11", &[], 3, 88, 4),
    row("Z15", &[], 3, 3, 2),
    row("Z15 Pro", &[], 3, 6, 2),
    row("S17", &[], 3, 48, 4),
    row("S17+", &[], 3, 65, 4),
    row("S17 Pro", &[], 3, 48, 4),
    row("S17e", &[], 3, 135, 4),
    row("T17", &[], 3, 30, 4),
    row("T17+", &[], 3, 44, 4),
    row("T17e", &[], 3, 78, 4),
    row("S19", &[], 3, 76, 4),
    row("S19L", &[], 3, 76, 4),
    row("S19 Pro", &[], 3, 114, 4),
    row("S19j", &[], 3, 114, 4),
    row("S19i", &[], 3, 80, 4),
    row("S19+", &[], 3, 80, 4),
    row("S19j NoPIC", &["S19J88NOPIC"], 3, 88, 4),
    row("S19 Pro+", &[], 3, 120, 4),
    row("S19j Pro", &[], 3, 126, 4),
    row("S19j Pro+", &[], 3, 120, 4),
    row("S19 XP", &[], 3, 110, 4),
    row("S19a", &[], 3, 72, 4),
    row("S19a Pro", &[], 3, 100, 4),
    row("S19 Hydro", &[], 4, 104, 0),
    row("S19 Pro Hydro", &[], 4, 180, 0),
    row("S19 Pro+ Hydro", &[], 4, 180, 0),
    row("S19K Pro", &[], 3, 77, 4),
    row("S19j XP", &[], 3, 110, 4),
    row("T19", &[], 3, 76, 4),
    row("S21", &["BHB68601", "BHB68606"], 3, 108, 4),
    row("S21 Pro", &[], 3, 65, 4),
    row("S21 Pro+", &[], 3, 65, 4),
    row("S21 XP", &[], 3, 91, 4),
    row("S21+", &[], 3, 55, 4),
    row("S21 Hydro", &[], 3, 216, 0),
    row("S21+ Hydro", &[], 3, 95, 0),
    row("S21e XP Hydro", &[], 3, 160, 0),
    row("T21", &[], 3, 108, 4),
    row("S19 NoPIC", &[], 3, 88, 4),
    row("S19j+", &[], 3, 108, 4),
    row("S19j Pro NoPIC", &[], 3, 126, 4),
    row("S19j Pro+ NoPIC", &[], 3, 120, 4),
    row("S19K Pro NoPIC", &[], 3, 77, 4),
    row("S19 Pro A", &[], 3, 114, 4),
    row("S19 XP Hydro", &[], 3, 204, 0),
    row("S19 XP+", &[], 3, 108, 4),
];

/// The whole table, under the names that firmwares write.
pub(super) fn all() -> Vec<ModelInfo> {
    let info = |model: &Model| ModelInfo {
        name: model.name.to_owned(),
        aliases: std::iter::once(format!("Antminer {}", model.name))
            .chain(model.also.iter().map(|name| format!("Antminer {name}")))
            .collect(),
        boards: Some(model.boards),
        chips: Some(model.chips),
        fans: Some(model.fans),
    };
    MODELS.iter().map(info).collect()
}

/// Where a family of boards has its temperature sensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Outlet `pic[1]`, inlet `pic[2]`: most models.
    Crossed,
    /// Outlet is the warmer of `pic[0..2]`, inlet the warmer of `pic[2..4]`: S19 XP.
    Pairs,
    /// Inlet `pcb[0]`, outlet `pcb[2]`, chip `pic[0]`: S21+ Hydro.
    Water,
}

impl Layout {
    /// The layout of a canonical model name.
    pub fn of_model(name: &str) -> Self {
        match name {
            "S19 XP" => Self::Pairs,
            "S21+ Hydro" => Self::Water,
            _ => Self::Crossed,
        }
    }
}

/// What a firmware says of its model: the canonical name, and the model when it is known.
///
/// Firmwares write `Antminer S21 Hyd.`, `ANTMINER S21 HYDRO`, `Antminer S19j Pro (88)`, and some name the hash
/// board instead of the model.
pub(super) fn identify(vendor: &str) -> Option<(Text, Option<&'static Model>)> {
    let name = vendor.split(" (").next().unwrap_or(vendor).trim();
    let name = strip_make(name);
    if name.is_empty() {
        return None;
    }
    let wanted = key(name);
    let known = MODELS.iter().find(|m| key(m.name) == wanted || m.also.contains(&wanted.as_str()));
    Some((known.map_or(name, |m| m.name).into(), known))
}

fn strip_make(name: &str) -> &str {
    const MAKE: &str = "antminer";
    match name.get(..MAKE.len()) {
        Some(head) if head.eq_ignore_ascii_case(MAKE) => name[MAKE.len()..].trim_start(),
        _ => name,
    }
}

/// The form in which names are compared: upper case, no blanks or dots, `HYDRO` as `HYD`.
fn key(name: &str) -> String {
    let bare: String =
        name.chars().filter(|c| !c.is_whitespace() && *c != '.').flat_map(char::to_uppercase).collect();
    match bare.strip_suffix("HYDRO") {
        Some(stem) => format!("{stem}HYD"),
        None => bare,
    }
}

/// MiningOS's thing types `miner-am-…`, also without that prefix: nominal efficiency in J/TH and layout.
pub(super) fn of_thing_type(thing_type: &str) -> Option<(f64, Layout)> {
    match thing_type.strip_prefix("miner-am-").unwrap_or(thing_type) {
        "s19xp" => Some((21.0, Layout::Pairs)),
        "s19xp_h" => Some((20.8, Layout::Crossed)),
        "s21" => Some((17.5, Layout::Crossed)),
        "s21pro" => Some((17.0, Layout::Crossed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(vendor: &str) -> (String, bool) {
        let (name, model) = identify(vendor).unwrap();
        (name.into(), model.is_some())
    }

    #[test]
    fn names_in_every_spelling() {
        for (vendor, canonical) in [
            ("Antminer S21", "S21"),
            ("ANTMINER BHB68601", "S21"),
            ("Antminer BHB68606", "S21"),
            ("Antminer S21 Hyd.", "S21 Hydro"),
            ("ANTMINER S21+ HYDRO", "S21+ Hydro"),
            ("Antminer S19 XP Hyd.", "S19 XP Hydro"),
            ("Antminer S21pro", "S21 Pro"),
            ("Antminer S19j Pro (88)", "S19j Pro"),
            ("Antminer S19Pro+", "S19 Pro+"),
            ("ANTMINER S19J88NOPIC", "S19j NoPIC"),
            ("S9i", "S9i"),
        ] {
            assert_eq!(name(vendor), (canonical.to_owned(), true), "{vendor}");
        }
    }

    #[test]
    fn an_unknown_name_stays_as_it_is() {
        assert_eq!(name("Antminer S99k Turbo"), ("S99k Turbo".into(), false));
        assert_eq!(name("Antminer BHB42XXX"), ("BHB42XXX".into(), false));
        assert_eq!(identify("Antminer "), None);
        assert_eq!(identify("äöü"), Some(("äöü".into(), None)));
    }

    #[test]
    fn no_two_models_share_a_name() {
        let mut keys: Vec<String> =
            MODELS.iter().flat_map(|m| m.also.iter().map(|a| (*a).to_owned()).chain([key(m.name)])).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn thing_types_with_and_without_prefix() {
        assert_eq!(of_thing_type("miner-am-s21"), Some((17.5, Layout::Crossed)));
        assert_eq!(of_thing_type("s19xp"), Some((21.0, Layout::Pairs)));
        assert_eq!(of_thing_type("miner-am-s99"), None);
    }
}
