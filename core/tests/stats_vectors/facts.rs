//! The facts of `families.json` against those of the reference.

use std::collections::{BTreeMap, BTreeSet};

use headframe_core::stats::{Filter, Group, Op, Spec, families, fold::FoldSpec};
use serde_json::{Map, Value};

use super::file::reference;

/// A type of each variant of the reference, and the statistics that we have beyond it.
const VARIANTS: &[(&str, &str, &[&str])] = &[
    (
        "miner/default",
        "miner-am-s21",
        &[
            "pools_accepted_shares_total",
            "pools_rejected_shares_total",
            "pools_stale_shares_total",
            "hashrate_mhs_1m_group",
            "power_mode_group",
            "power_w_group",
            "status_group",
        ],
    ),
    (
        "miner/whatsminer",
        "miner-wm-m56s",
        &["hashrate_mhs_1m_group", "power_mode_group", "power_w_group", "status_group"],
    ),
    ("miner/whatsminer-m63", "miner-wm-m63", &[]),
    ("container/default", "container-new-vendor", &[]),
    ("container/microbt", "container-mbt-kehua", &[]),
    ("container/antspace", "container-as-hk3", &[]),
    ("container/bitdeer", "container-bd-d40-m56", &[]),
    ("powermeter/satec", "powermeter-satec-pm180", &[]),
    ("powermeter/schneider", "powermeter-schneider-p3u30", &[]),
    ("powermeter/abb", "powermeter-abb-b23", &["alerts_cnt"]),
    ("sensor/seneca", "sensor-temp-seneca", &["alerts_cnt"]),
    ("inventory/default", "inventory-miner_part-psu", &[]),
];

/// Operations that ours marks: they give a value for each thing.
const ON_DEMAND: [&str; 4] = ["hashrate_mhs_1m_group", "power_mode_group", "power_w_group", "status_group"];

/// The reference's own facts, with what filters and groups are in place of their names.
struct Specs {
    all: Value,
}

impl Specs {
    fn read() -> Option<Self> {
        let all: Value = serde_json::from_str(&reference("stats-specs.json")?).unwrap();
        assert_eq!((&all["format"], &all["version"]), (&"headframe-stats-specs".into(), &1.into()));
        Some(Self { all })
    }

    fn variant(&self, name: &str) -> &Value {
        let id = |v: &Value| format!("{}/{}", v["family"].as_str().unwrap(), v["variant"].as_str().unwrap());
        self.all["rack"].as_array().unwrap().iter().find(|v| id(v) == name).unwrap()
    }

    /// The variant's operations with those that it extends.
    fn ops(&self, name: &str) -> Map<String, Value> {
        let variant = self.variant(name);
        let mut ops = variant["extends"].as_str().map_or_else(Map::new, |base| self.ops(base));
        for (name, op) in variant["ops"].as_object().unwrap() {
            let mut op = op.clone();
            for (member, names) in [("filter", "filters"), ("group", "groups")] {
                if let Some(known) = op[member].as_str().map(|name| self.all[names][name].clone()) {
                    op[member] = known;
                }
            }
            op.as_object_mut().unwrap().retain(|_, v| !v.is_null());
            ops.insert(name.clone(), op);
        }
        ops
    }
}

#[test]
fn operations_are_those_of_the_reference_and_ours_beyond_are_listed() {
    let Some(specs) = Specs::read() else { return };
    let theirs: BTreeSet<String> = specs.all["rack"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| format!("{}/{}", v["family"].as_str().unwrap(), v["variant"].as_str().unwrap()))
        .collect();
    assert_eq!(theirs, VARIANTS.iter().map(|(name, _, _)| (*name).to_owned()).collect());
    for (variant, thing_type, beyond) in VARIANTS {
        let ours = families::spec(thing_type).unwrap();
        let expected = Spec::parse(&Value::Object(specs.ops(variant))).unwrap();
        let expected: BTreeMap<&str, &Op> = expected.ops().map(|(name, op)| (&**name, op)).collect();
        let more: BTreeSet<&str> =
            ours.ops().map(|(name, _)| &**name).filter(|name| !expected.contains_key(*name)).collect();
        assert_eq!(more, beyond.iter().copied().collect(), "{variant}");
        let theirs = families::mos_spec(thing_type).unwrap();
        let theirs: BTreeSet<&str> = theirs.ops().map(|(name, _)| &**name).collect();
        assert_eq!(theirs, expected.keys().copied().collect(), "{variant}");
        for (name, op) in expected {
            let own = ours.op(name).unwrap_or_else(|| panic!("{variant}: {name} is missing"));
            let mut plain = own.clone();
            plain.on_demand = false;
            assert_eq!(plain, *op, "{variant}: {name}");
            assert_eq!(own.on_demand, ON_DEMAND.contains(&name), "{variant}: {name}");
        }
    }
}

#[test]
fn tags_without_statistics_are_those_of_the_reference() {
    let Some(specs) = Specs::read() else { return };
    for variant in specs.all["rack"].as_array().unwrap() {
        let skipped: Vec<String> = serde_json::from_value(variant["skip_tag_prefixes"].clone()).unwrap();
        assert_eq!(families::skip_tags(variant["family"].as_str().unwrap()), skipped, "{variant}");
    }
}

#[test]
fn every_pattern_of_the_reference_chooses_its_variant() {
    let Some(specs) = Specs::read() else { return };
    for (variant, _, beyond) in VARIANTS {
        for pattern in specs.variant(variant)["applies_to"].as_array().unwrap() {
            // One stands there in words.
            let Some(thing_type) = pattern.as_str().filter(|p| !p.contains(' ')) else { continue };
            let spec = families::spec(&thing_type.replace('*', "x")).unwrap();
            assert_eq!(spec.ops().len(), specs.ops(variant).len() + beyond.len(), "{variant}");
        }
    }
}

#[test]
fn folds_are_those_of_the_reference() {
    let Some(specs) = Specs::read() else { return };
    let theirs = specs.all["ork"]["families"].as_object().unwrap();
    assert_eq!(families::names().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (family, fields) in theirs {
        assert_eq!(*families::fold(family).unwrap(), FoldSpec::parse(fields).unwrap(), "{family}");
    }
}

#[test]
fn every_field_that_the_gateway_asks_for_has_a_source() {
    let Some(specs) = Specs::read() else { return };
    let mut seen = 0;
    let sets = specs.all["gateway_fields"].as_object().unwrap();
    for (field, family) in
        sets.iter().filter(|(n, _)| *n != "never_produced").flat_map(|(_, s)| s.as_object().unwrap())
    {
        let family = family.as_str().unwrap();
        if !families::names().any(|name| name == family) {
            assert_eq!(field, "alerts_aggr", "{family}");
            continue;
        }
        let fold = families::fold(family).unwrap();
        let field = fold.fields().find(|f| *f.name == **field).unwrap_or_else(|| panic!("{family}: {field}"));
        let src = field.src.as_ref().unwrap().text();
        let spec = families::spec(&format!("{family}-new-vendor")).unwrap();
        let made = spec.op(src).is_some() || src == "container_specific_stats_group";
        assert!(made, "{family}: nothing makes {src}");
        seen += 1;
    }
    assert!(seen > 50);
}

#[test]
fn groups_and_filters_of_the_reference_are_understood() {
    let Some(specs) = Specs::read() else { return };
    for (name, filter) in specs.all["filters"].as_object().unwrap() {
        assert!(Filter::parse(filter).is_ok(), "{name}");
    }
    for (name, group) in specs.all["groups"].as_object().unwrap() {
        assert!(Group::parse(group).is_ok(), "{name}");
    }
}
