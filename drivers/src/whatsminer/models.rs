//! Which boards, chips and fans a model has.

use headframe_core::{driver::ModelInfo, model::Text};

/// What a model is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Model {
    /// Canonical name, such as `M56S`.
    pub name: Text,
    /// Such as `VH30`.
    pub variant: Option<Text>,
    /// Whether it is in the table.
    pub known: bool,
    pub parts: Parts,
}

/// How many parts a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parts {
    pub boards: Option<u32>,
    /// Per board.
    pub chips: Option<u32>,
    /// 0 for liquid cooling.
    pub fans: Option<u32>,
}

/// One line per model, then its variants as `name:boards:chips per board:fans`; unknown chips are left out.
const TABLE: &str = include_str!("models.txt");

/// The whole table.
pub(super) fn all() -> Vec<ModelInfo> {
    let variants = |line: &'static str| {
        let (model, variants) = line.split_once(' ').unwrap_or((line, ""));
        variants.split(' ').map(move |variant| (model, variant))
    };
    let info = |(model, row): (&str, &str)| {
        let mut fields = row.split(':');
        let variant = fields.next().filter(|v| *v != "-").unwrap_or_default();
        let mut numbers = fields.map(|n| n.parse().ok());
        let mut next = || numbers.next().flatten();
        ModelInfo {
            name: format!("{model} {variant}").trim_end().to_owned(),
            aliases: vec![if variant.is_empty() { model.to_owned() } else { format!("{model}_{variant}") }],
            boards: next(),
            chips: next(),
            fans: next(),
        }
    };
    TABLE.lines().flat_map(variants).map(info).collect()
}

/// Reads what a device calls itself, such as `M56S_VH37`, and looks it up.
///
/// The last character is a revision that does not change the machine, so the tables have 0 there.
pub(super) fn find(vendor_model: &str) -> Model {
    let text: String = vendor_model.trim().to_ascii_uppercase().replace('_', "");
    let (name, variant) = match text.find('V').filter(|at| *at > 0) {
        Some(at) => text.split_at(at),
        None => (text.as_str(), "-"),
    };
    let variants = TABLE.lines().find_map(|line| {
        let (model, variants) = line.split_once(' ')?;
        (model == name).then_some(variants)
    });
    let base = if variant == "-" { variant.to_owned() } else { without_revision(variant) };
    let row = |wanted: &str| {
        variants?.split(' ').find_map(|v| v.strip_prefix(wanted)?.strip_prefix(':')).map(str::to_owned)
    };
    let mut model = Model { name: name.into(), ..Model::default() };
    // A few variants end in a letter of their own.
    let found = row(variant).map(|r| (variant, r)).or_else(|| row(&base).map(|r| (base.as_str(), r)));
    let shown = found.as_ref().map_or(base.as_str(), |(variant, _)| *variant);
    model.variant = (shown != "-").then(|| shown.into());
    if let Some((_, row)) = found {
        let mut numbers = row.split(':').map(|n| n.parse::<u32>().ok());
        model.known = true;
        model.parts.boards = numbers.next().flatten();
        model.parts.chips = numbers.next().flatten();
        model.parts.fans = numbers.next().flatten();
    }
    model
}

fn without_revision(variant: &str) -> String {
    let mut chars = variant.chars();
    chars.next_back();
    format!("{}0", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_under_its_own_name() {
        let mut rows = 0;
        for line in TABLE.lines() {
            let (name, variants) = line.split_once(' ').unwrap();
            for row in variants.split(' ') {
                let fields: Vec<&str> = row.split(':').collect();
                let variant = if fields[0] == "-" { "" } else { fields[0] };
                let model = find(&format!("{name}_{variant}"));
                assert!(model.known, "{name} {variant}");
                assert_eq!(model.parts.boards.unwrap().to_string(), fields[1]);
                assert_eq!(model.parts.chips.map(|c| c.to_string()).unwrap_or_default(), fields[2]);
                assert_eq!(model.parts.fans.unwrap().to_string(), fields[3]);
                rows += 1;
            }
        }
        assert_eq!(rows, 500);
    }

    #[test]
    fn revisions_are_one_model() {
        let want = Model {
            name: "M56S".into(),
            variant: Some("VH30".into()),
            known: true,
            parts: Parts { boards: Some(4), chips: Some(152), fans: Some(0) },
        };
        for text in ["M56S_VH30", "M56S_VH37", "m56svh31", " M56S_VH3A"] {
            assert_eq!(find(text), want);
        }
        assert_eq!(find("M60_VK6A").variant.as_deref(), Some("VK6A"));
    }

    #[test]
    fn unknown_models_keep_their_name() {
        let model = find("M99S++_VZ12");
        assert_eq!(
            (model.name.as_str(), model.variant.as_deref(), model.known),
            ("M99S++", Some("VZ10"), false)
        );
        assert_eq!((find("M20S").variant, find("").name.as_str(), find("V").name.as_str()), (None, "", "V"));
        assert!(!find("M56S_é").known);
    }
}
