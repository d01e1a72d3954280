//! Which statistics a type of thing has, and how those of several racks become one.
//!
//! `families.json` holds it as data. A type's family is what it begins with (`miner` of `miner-am-s21`); within it the
//! longest pattern that fits chooses the variant, and a type that none fits has the statistics of the default variant, so
//! that no statistic is lost because a vendor is new. Units stand in the names: hashrate MH/s, power W, efficiency W per
//! TH/s, temperature °C, frequency MHz, uptime ms. MiningOS's names beginning with `hashrate_mhs_1m_` read the five-minute
//! rate as those with `_5m_` do; `hashrate_mhs_1m_group` alone reads the one-minute rate.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    fold::FoldSpec,
    refused,
    spec::{Names, Spec},
};
use crate::Result;

/// The variant for types that no other one is for.
const DEFAULT: &str = "default";

/// All families.
#[derive(Debug, Default)]
struct Families(BTreeMap<String, Family>);

#[derive(Debug)]
struct Family {
    variants: Vec<Variant>,
    fold: Arc<FoldSpec>,
    skip_tags: Vec<String>,
}

#[derive(Debug)]
struct Variant {
    name: String,
    types: Vec<String>,
    spec: Arc<Spec>,
}

#[derive(Deserialize)]
struct Wire {
    filters: Map<String, Value>,
    groups: Map<String, Value>,
    families: BTreeMap<String, WireFamily>,
}

#[derive(Deserialize)]
struct WireFamily {
    skip_tags: Vec<String>,
    variants: BTreeMap<String, WireVariant>,
    fold: Value,
}

#[derive(Deserialize)]
struct WireVariant {
    #[serde(default)]
    types: Vec<String>,
    extends: Option<String>,
    ops: Map<String, Value>,
}

/// The statistics of a type of thing; `None` for a family that has none.
pub fn spec(thing_type: &str) -> Option<Arc<Spec>> {
    variant(thing_type).map(|variant| Arc::clone(&variant.spec))
}

/// The operations that MiningOS itself has for a type: of those of [`spec`] not the ones that only Headframe gives to its
/// vendor. A type of which MiningOS knows nothing has those of [`spec`].
pub fn mos_spec(thing_type: &str) -> Option<Arc<Spec>> {
    let spec = spec(thing_type)?;
    let is = |prefix: &str| thing_type.starts_with(prefix);
    let has = |name: &str, on_demand: bool| match name {
        _ if on_demand => is("miner-wm-m63"),
        "pools_accepted_shares_total" | "pools_rejected_shares_total" | "pools_stale_shares_total" => {
            is("miner-wm-")
        }
        "alerts_cnt" => !is("powermeter-abb-") && !is("sensor-"),
        _ => true,
    };
    Some(Arc::new(spec.only(|name, op| has(name, op.on_demand))))
}

/// The name of the variant that a type has, such as `antspace`.
pub fn variant_name(thing_type: &str) -> Option<&'static str> {
    variant(thing_type).map(|variant| variant.name.as_str())
}

/// How rows of a family's racks become one.
pub fn fold(family: &str) -> Option<Arc<FoldSpec>> {
    all().0.get(family).map(|family| Arc::clone(&family.fold))
}

/// Tags that begin like this have no statistics of their own.
pub fn skip_tags(family: &str) -> &'static [String] {
    all().0.get(family).map_or(&[], |family| &family.skip_tags)
}

/// The families that there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().0.keys().map(String::as_str)
}

fn variant(thing_type: &str) -> Option<&'static Variant> {
    let name = thing_type.split('-').next()?;
    let variants = &all().0.get(name)?.variants;
    let fitting = variants.iter().filter_map(|v| Some((v.fits(thing_type)?, v)));
    let best = fitting.max_by_key(|(length, _)| *length).map(|(_, v)| v);
    best.or_else(|| variants.iter().find(|v| v.name == DEFAULT))
}

fn all() -> &'static Families {
    static ALL: OnceLock<Families> = OnceLock::new();
    // The data is part of the program, and a test reads it: it is never anything else.
    ALL.get_or_init(|| Families::parse(include_str!("families.json")).unwrap_or_default())
}

impl Families {
    fn parse(text: &str) -> Result<Self> {
        let wire: Wire =
            serde_json::from_str(text).map_err(|e| refused("families", "no data").caused_by(e))?;
        let names = Names { filters: Some(&wire.filters), groups: Some(&wire.groups) };
        let family = |(name, wire): (String, WireFamily)| {
            let variant = |(name, own): (&String, &WireVariant)| {
                let mut ops = match &own.extends {
                    None => Map::new(),
                    Some(other) => match wire.variants.get(other) {
                        Some(WireVariant { extends: None, ops, .. }) => ops.clone(),
                        _ => return Err(refused(other, "a variant extends one that extends no other")),
                    },
                };
                ops.extend(own.ops.clone());
                let spec = Arc::new(Spec::named(&ops, names)?);
                Ok(Variant { name: name.clone(), types: own.types.clone(), spec })
            };
            let variants = wire.variants.iter().map(variant).collect::<Result<_>>()?;
            let fold = Arc::new(FoldSpec::parse(&wire.fold)?);
            Ok((name, Family { variants, fold, skip_tags: wire.skip_tags }))
        };
        Ok(Self(wire.families.into_iter().map(family).collect::<Result<_>>()?))
    }
}

impl Variant {
    /// How many characters of the type its best pattern names.
    fn fits(&self, thing_type: &str) -> Option<usize> {
        let fit = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => thing_type.starts_with(prefix).then_some(prefix.len()),
            None => (thing_type == pattern).then_some(pattern.len() + 1),
        };
        self.types.iter().filter_map(fit).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_read_whole() {
        let families = Families::parse(include_str!("families.json")).unwrap();
        let expected = ["container", "inventory", "miner", "minerpool", "powermeter", "sensor"];
        assert_eq!(families.0.keys().collect::<Vec<_>>(), expected);
        assert_eq!(names().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_type_chooses_its_variant_and_an_unknown_vendor_the_default() {
        for (thing_type, variant, count) in [
            ("miner-am-s21", "default", 75),
            ("miner-wm-m63", "default", 75),
            ("miner-new-x1", "default", 75),
            ("miner", "default", 75),
            ("container-as-hk3", "antspace", 9),
            ("container-mbt-kehua", "microbt", 9),
            ("container-bd-d40-m56", "bitdeer", 9),
            ("container-new", "default", 8),
            ("powermeter-satec-pm180", "satec", 4),
            ("powermeter-schneider-p3u30", "schneider", 5),
            ("powermeter-abb-b23", "abb", 3),
            ("powermeter-new", "default", 5),
            ("sensor-temp-seneca-temp-seneca", "default", 1),
            ("inventory-miner_part-psu", "default", 5),
        ] {
            assert_eq!(variant_name(thing_type), Some(variant), "{thing_type}");
            assert_eq!(spec(thing_type).unwrap().ops().len(), count, "{thing_type}");
        }
        assert!(spec("electricity-x").is_none());
        assert!(spec("minerpool-f2pool").is_none());
        assert!(fold("minerpool").is_some());
        assert_eq!(skip_tags("miner"), ["pos-", "id-", "code-", "site-"]);
    }

    #[test]
    fn statistics_of_single_things_wait_until_somebody_asks() {
        let spec = spec("miner-am-s21").unwrap();
        let waiting: Vec<&str> = spec.ops().filter(|(_, op)| op.on_demand).map(|(name, _)| &**name).collect();
        assert_eq!(waiting, ["hashrate_mhs_1m_group", "power_mode_group", "power_w_group", "status_group"]);
        assert_eq!(spec.standing().ops().len(), 71);
    }

    #[test]
    fn a_longer_pattern_wins_and_an_exact_one_over_its_prefix() {
        let variant = |types: &[&str]| {
            let types = types.iter().map(|t| (*t).to_owned()).collect();
            Variant { name: "x".into(), types, spec: Arc::default() }
        };
        assert_eq!(variant(&["a-*", "a-b-*"]).fits("a-b-c"), Some(4));
        assert_eq!(variant(&["a-b-c"]).fits("a-b-c"), Some(6));
        assert_eq!(variant(&["a-b-c*"]).fits("a-b-c"), Some(5));
        assert_eq!(variant(&["a-b-c"]).fits("a-b-cd"), None);
    }
}
