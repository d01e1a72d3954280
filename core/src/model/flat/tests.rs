use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    ErrorKind,
    io::Timestamp,
    model::{
        Board, DeviceError, ErrorCode, Fan, HashrateWindows, MinerConfig, MinerSnapshot, MissingReason,
        RawTemps, Temperatures,
    },
    units::{Celsius, Hashrate, Watts},
};

/// What [`unflatten`] has to give back: the JSON as it is read, without the ages.
fn json_of<T: Serialize>(value: &T) -> Value {
    let mut json: Value = serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap();
    if let Some(object) = json.as_object_mut() {
        object.remove("age_ms");
    }
    json
}

fn there_and_back<T: Serialize>(flattener: &mut Flattener, value: &T) -> Value {
    let flat = flattener.flatten_value(value).unwrap();
    assert_eq!(flat.shape.members().len(), flat.values.len());
    assert!(flat.values.iter().all(|value| value.is_finite()));
    unflatten(flat.shape.members(), flat.values, flat.texts).unwrap()
}

fn miner() -> Snapshot {
    let mut miner = MinerSnapshot { success: true, ..MinerSnapshot::default() };
    let stats = &mut miner.stats;
    stats.power_w = Watts::new(3500.5);
    stats.uptime_ms = Some(86_400_000);
    stats.is_mining = Some(true);
    stats.hashrate_mhs =
        Some(HashrateWindows { t_5m: Hashrate::from_ths(200.0), ..HashrateWindows::default() });
    stats.boards = vec![
        Board { slot: 0, chip_max_c: Celsius::new(71.5), serial: Some("HB1".into()), ..Board::default() },
        Board { slot: 1, ..Board::default() },
    ];
    stats.fans = vec![Fan { name: "in".into(), rpm: Some(4200) }];
    stats.errors = vec![DeviceError {
        code: Some(ErrorCode::PerBoard(vec!["a\"1".into(), "b".into()])),
        timestamp: Some(Timestamp(1_764_000_000_123)),
        ..DeviceError::default()
    }];
    let temps = |list: &[f64]| list.iter().copied().collect();
    let raw = RawTemps { index: 0, pic: temps(&[45.0, 65.3]), pcb: temps(&[]), chip: temps(&[71.99, 0.1]) };
    stats.temperature_c = Some(Temperatures { raw_temps: vec![raw], ..Temperatures::default() });
    miner.raw_errors = Some(Vec::new());
    miner.config = Some(MinerConfig::default());
    miner.missing.insert("stats.efficiency_w_ths", MissingReason::Derived);
    miner.age_ms.insert("live", 17);
    miner.extra.insert("odd.name", json!({"0": 1, "a.b": [null, {"c\\d": -0.25, "": {}}], "big": u64::MAX}));
    miner.into()
}

#[test]
fn a_snapshot_is_numbers_by_path_and_one_text() {
    let mut flattener = Flattener::new();
    let snapshot = miner();
    let flat = flattener.flatten(&snapshot).unwrap();
    let numbers: BTreeMap<&str, f64> =
        flat.shape.members().iter().map(|path| &**path).zip(flat.values.iter().copied()).collect();
    let expected = [
        (r"extra.odd\.name.\0", 1.0),
        (r"extra.odd\.name.a\.b.1.c\\d", -0.25),
        ("stats.boards.0.chip_max_c", 71.5),
        ("stats.boards.0.slot", 0.0),
        ("stats.boards.1.slot", 1.0),
        ("stats.fans.0.rpm", 4200.0),
        ("stats.hashrate_mhs.t_5m", 2e8),
        ("stats.power_w", 3500.5),
        ("stats.temperature_c.raw_temps.0.chip.0", 71.99),
        ("stats.temperature_c.raw_temps.0.chip.1", 0.1),
        ("stats.temperature_c.raw_temps.0.index", 0.0),
        ("stats.temperature_c.raw_temps.0.pic.0", 45.0),
        ("stats.temperature_c.raw_temps.0.pic.1", 65.3),
        ("stats.uptime_ms", 86_400_000.0),
    ];
    assert_eq!(numbers, expected.into());
    let texts: Value = serde_json::from_str(flat.texts).unwrap();
    for (path, value) in [
        ("stats.status", json!("offline")),
        ("stats.is_mining", json!(true)),
        ("stats.boards.0.serial", json!("HB1")),
        ("stats.errors.0.code.0", json!("a\"1")),
        ("stats.errors.0.timestamp", json!(1_764_000_000_123_i64)),
        ("raw_errors", json!([])),
        (r"missing.stats\.efficiency_w_ths", json!("derived")),
        (r"extra.odd\.name.a\.b.1.", json!({})),
        (r"extra.odd\.name.big", json!(u64::MAX)),
    ] {
        assert_eq!(texts.get(path), Some(&value), "{path}");
    }
    assert!(!flat.texts.contains("age_ms"));
    assert_eq!(there_and_back(&mut flattener, &snapshot), json_of(&snapshot));
}

#[test]
fn things_of_a_kind_share_a_shape_and_texts_change_with_their_hash() {
    let mut flattener = Flattener::new();
    let Snapshot::Miner(mut miner) = miner();
    let one = flattener.flatten(&Snapshot::Miner(miner.clone())).unwrap();
    let (shape, texts, hash) = (one.shape.clone(), one.texts.to_owned(), one.texts_hash);
    miner.stats.power_w = Watts::new(1.0);
    miner.age_ms.insert("live", 18);
    let two = flattener.flatten(&Snapshot::Miner(miner.clone())).unwrap();
    assert!(two.shape.is(&shape) && two.texts == texts && two.texts_hash == hash);
    miner.stats.status = crate::model::Status::Mining;
    let other = flattener.flatten(&Snapshot::Miner(miner.clone())).unwrap();
    assert!(other.shape.is(&shape) && other.texts_hash != hash);
    miner.stats.power_w = None;
    let fewer = flattener.flatten(&Snapshot::Miner(miner.clone())).unwrap();
    assert!(*fewer.shape != shape && fewer.shape.members().len() + 1 == shape.members().len());
    // Another flattener finds the same list in memory, and so does whoever reads it from a file.
    miner.stats.power_w = Watts::new(7.0);
    assert!(Flattener::new().flatten(&Snapshot::Miner(miner)).unwrap().shape.is(&shape));
    assert!(shape.members().iter().collect::<Shape>().is(&shape));
    assert_eq!(hash, 14_797_911_747_494_384_184, "the hash is part of what is stored");
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut flattener = Flattener::new();
    for round in 0..40 {
        let many: BTreeMap<String, f64> = (0..5000).map(|n| (format!("r{round}.{n}"), 0.5)).collect();
        assert_eq!(flattener.flatten_value(&many).unwrap().values.len(), 5000);
    }
    assert_eq!(there_and_back(&mut flattener, &miner()), json_of(&miner()));
}

#[test]
fn what_json_cannot_say_is_refused_or_null() {
    #[derive(Serialize)]
    struct Loose {
        a: f64,
        b: (f32, u8),
        c: Option<i128>,
    }
    let mut flattener = Flattener::new();
    let loose = Loose { a: f64::NAN, b: (f32::INFINITY, 3), c: Some(-1) };
    let flat = flattener.flatten_value(&loose).unwrap();
    assert_eq!((flat.values, flat.texts, flat.not_finite), (&[3.0, -1.0][..], r#"{"a":null,"b.0":null}"#, 2));
    assert_eq!(there_and_back(&mut flattener, &loose), json_of(&loose));
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!({ "d": deep });
    }
    for wrong in [deep, json!([1]), json!("text"), json!(null), json!(2.5), json!(7)] {
        assert_eq!(flattener.flatten_value(&wrong).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let names: BTreeMap<Vec<u8>, u8> = [(vec![1], 1)].into();
    assert_eq!(flattener.flatten_value(&names).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(there_and_back(&mut flattener, &json!({})), json!({}));
}

#[test]
fn variants_have_the_form_that_json_gives_them() {
    #[derive(Serialize)]
    enum Kind {
        Unit,
        New(f64),
        Pair(u8, bool),
        Named { x: f64 },
        Nothing {},
    }
    let all = BTreeMap::from([(1, vec![Kind::Unit, Kind::New(0.5), Kind::Pair(1, true)]), (2, vec![])]);
    let mut flattener = Flattener::new();
    assert_eq!(there_and_back(&mut flattener, &all), json_of(&all));
    for root in [Kind::New(1.5), Kind::Pair(2, false), Kind::Named { x: 2.5 }, Kind::Nothing {}] {
        assert_eq!(there_and_back(&mut flattener, &root), json_of(&root));
    }
}

#[test]
fn parts_and_damaged_lists_come_back_or_are_refused() {
    let some =
        unflatten(&["stats.fans.1.rpm", "stats.power_w", "gone"], &[5.0, 2.5, f64::NAN], "{}").unwrap();
    assert_eq!(some, json!({"stats": {"fans": [null, {"rpm": 5}], "power_w": 2.5}}));
    let deep = vec!["a"; 200].join(".");
    for (paths, texts) in [
        (vec!["a"], "[]"),
        (vec!["a"], "{"),
        (vec!["a", "a.b"], "{}"),
        (vec!["a.0", "a.b"], "{}"),
        (vec!["a", "a"], "{}"),
        (vec!["a.b"], r#"{"a":"text"}"#),
        (vec!["a.4000000000"], "{}"),
        (vec!["a.18446744073709551615"], "{}"),
        (vec!["a.60000", "b.60000"], "{}"),
        (vec![&*deep], "{}"),
    ] {
        let error = unflatten(&paths, &[1.0, 2.0], texts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{paths:?} {texts}");
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|n| Value::from(f64::from(n) + 0.25)),
        ".{0,8}".prop_map(Value::from),
    ]
}

fn object() -> impl Strategy<Value = Value> {
    let name = prop_oneof!["[a-c]{1,2}", "[0-2]{1,2}", ".{0,4}", r"[.\\]{1,3}"];
    let nested = leaf().prop_recursive(4, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let top = prop_oneof!["[a-c]{1,2}", "[0-2]{1,2}", r"[.\\]{0,3}"];
    prop::collection::btree_map(top, nested, 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn any_object_comes_back(objects in prop::collection::vec(object(), 1..4)) {
        let mut flattener = Flattener::new();
        for object in objects.iter().chain(&objects) {
            prop_assert_eq!(&there_and_back(&mut flattener, object), object);
        }
    }
}
