use proptest::prelude::*;
use serde_json::json;

use super::{super::source::Json, *};

fn tally(ops: &Value, things: &[Value]) -> Value {
    Value::Object(row(ops, things).to_json())
}

fn row(ops: &Value, things: &[Value]) -> Row {
    let spec = Spec::parse(ops).unwrap();
    let mut tally = Tally::new(&spec);
    things.iter().for_each(|thing| tally.add(&Json { entry: thing, ext: Some(thing) }));
    tally.finish()
}

/// One operation of each kind that gives numbers, over the value `v` in the groups `g`.
fn numeric() -> Value {
    let op = |op: &str| json!({"op": op, "src": "v", "group": {"ext": "g"}});
    let kinds = ["sum", "avg", "group_sum", "group_avg", "group_max"];
    kinds.iter().map(|kind| ((*kind).to_owned(), op(kind))).collect::<Map<_, _>>().into()
}

#[test]
fn what_has_no_value_contributes_nothing() {
    let things = [
        json!({"g": "a", "v": -12}),
        json!({"g": "a", "v": -3}),
        json!({"g": "b", "v": "9"}),
        json!({"g": "b", "v": null}),
        json!({"g": "c"}),
        json!({"g": "a", "v": "n/a"}),
        json!({"v": true}),
        json!({"g": "", "v": 5}),
    ];
    let expected = json!({
        "sum": -10, "avg": -10.0 / 3.0,
        "group_sum": {"a": -15}, "group_avg": {"a": -7.5}, "group_max": {"a": -3},
    });
    assert_eq!(tally(&numeric(), &things), expected);
    let row = row(&numeric(), &things);
    assert_eq!(row.number("avg").unwrap().weight(), 3.0);
    let Some(Cell::Groups(Merge::Mean, groups)) = row.get("group_avg") else { panic!("{row:?}") };
    assert_eq!(groups["a"].weight(), 2.0);
}

#[test]
fn of_what_nobody_has_there_is_no_result() {
    let expected = json!({"group_sum": {}, "group_avg": {}, "group_max": {}});
    assert_eq!(tally(&numeric(), &[json!({"g": "a", "v": null})]), expected);
    assert_eq!(tally(&numeric(), &[]), json!({}));
    let count = json!({"n": {"op": "cnt", "filter": {"path": "v", "cmp": "truthy"}}});
    assert_eq!(tally(&count, &[json!({})]), json!({"n": 0}));
    assert_eq!(tally(&count, &[]), json!({}));
}

#[test]
fn filters_by_what_a_thing_is_work_for_every_operation() {
    let things = [json!({"v": 5, "type": "A", "g": "x"}), json!({"v": 7, "type": "B", "g": "x"})];
    let filter = json!({"of": "ext", "path": "type", "cmp": "eq", "value": "A"});
    let mut ops = numeric();
    for op in ops.as_object_mut().unwrap().values_mut() {
        op["filter"] = filter.clone();
    }
    ops["cnt"] = json!({"op": "cnt", "filter": filter});
    let expected = json!({"sum": 5, "avg": 5, "cnt": 1,
        "group_sum": {"x": 5}, "group_avg": {"x": 5}, "group_max": {"x": 5}});
    assert_eq!(tally(&ops, &things), expected);
}

#[test]
fn alerts_without_severity_count_as_medium_and_stay_as_they_are() {
    let ops = json!({"alerts": {"op": "alerts_group_cnt", "src": "alerts"}});
    let things = [
        json!({"alerts": [{"severity": "high"}, {"name": "x"}, {"severity": ""}, {"severity": null}, null]}),
        json!({"alerts": null}),
    ];
    let before = things.clone();
    assert_eq!(tally(&ops, &things), json!({"alerts": {"high": 1, "medium": 3}}));
    assert_eq!(things, before);
}

#[test]
fn the_last_known_value_of_a_group_stays() {
    let ops = json!({
        "status": {"op": "group", "src": "s", "group": {"entry": "g"}},
        "many": {"op": "group_multiple_stats", "group": {"entry": "g"},
            "srcs": [{"name": "s", "src": "s"}, {"name": "t", "src": "t"}]},
    });
    let things = [
        json!({"g": "a", "s": "mining", "t": 3}),
        json!({"g": "a", "s": "offline"}),
        json!({"g": "a", "s": null}),
        json!({"g": "b"}),
    ];
    let expected = json!({"status": {"a": "offline"}, "many": {"a": {"s": "offline", "t": 3}}});
    assert_eq!(tally(&ops, &things), expected);
}

#[test]
fn lists_and_objects() {
    let ops = json!({
        "list": {"op": "arr_concat", "src": "l"},
        "numbers": {"op": "obj_concat", "src": "n"},
        "mixed": {"op": "obj_concat", "src": "m"},
        "alerts": {"op": "alerts_aggr", "src": "n"},
        "nested": {"op": "nested_obj_concat", "src": "x", "nestedOps": [
            {"op": "sum", "src": "kwh"}, {"op": "arr_concat", "src": "ids"}, {"op": "avg", "src": "price"}]},
        "folded": {"op": "array_obj_calc", "src": "rows", "objOps": [
            {"op": "sum", "src": "e"}, {"op": "avg", "src": "p"}, {"op": "cnt", "src": "c"}]},
    });
    let things = [
        json!({"l": [1, [2]], "n": {"a": 1, "b": null}, "m": {"a": 1, "s": "on"},
            "x": {"01": {"kwh": 10, "price": 4, "ids": [1], "note": "x"}},
            "rows": [{"e": 2, "p": 10, "c": 1}, {"e": 3, "p": 20, "c": 1}, {"e": 0, "p": 0}]}),
        json!({"l": 3, "n": {"a": 10}, "m": {"a": 2, "s": "off"},
            "x": {"01": {"kwh": 5, "price": 8, "ids": [2], "note": "y"}, "02": {"kwh": 1, "price": "?"}},
            "rows": [{"e": 5, "p": 30, "c": 1}]}),
        json!({"l": null, "n": null, "rows": 5}),
    ];
    let expected = json!({
        "list": [1, [2], 3],
        "numbers": {"a": 11},
        "mixed": {"a": 3, "s": "off"},
        "alerts": {"a": 11},
        "nested": {"01": {"kwh": 15, "price": 6, "ids": [1, 2], "note": "x"}, "02": {"kwh": 1, "ids": []}},
        "folded": {"e": 10, "p": 15, "c": 3},
    });
    assert_eq!(tally(&ops, &things), expected);
}

#[test]
fn a_sum_that_is_too_large_is_absent() {
    let things = [json!({"g": "a", "v": f64::MAX}), json!({"g": "a", "v": f64::MAX})];
    let expected = json!({"group_sum": {}, "group_avg": {}, "group_max": {}});
    assert_eq!(tally(&numeric(), &things), expected);
}

/// A thing: perhaps with a value, perhaps in a group.
fn thing() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        4 => (-1e12..1e12).prop_map(|v: f64| json!(v)),
        2 => (-1_000..1_000_i64).prop_map(|v| json!(v)),
        1 => Just(json!(f64::MAX)),
        1 => Just(json!(null)),
        1 => Just(json!("7")),
        1 => Just(json!([1])),
    ];
    (value, prop_oneof![Just("a"), Just("b"), Just("")]).prop_map(|(v, g)| json!({"v": v, "g": g}))
}

/// Equal but for rounding.
fn close(a: &Row, b: &Row) -> bool {
    let near = |a: &Stat, b: &Stat| {
        a.weight() == b.weight() && (a.value() - b.value()).abs() <= 1e-9 * a.value().abs().max(1e3)
    };
    a.cells().len() == b.cells().len()
        && a.cells().zip(b.cells()).all(|((_, a), (_, b))| match (a, b) {
            (Cell::Number(_, a), Cell::Number(_, b)) => near(a, b),
            (Cell::Groups(_, a), Cell::Groups(_, b)) => {
                a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| near(a, b))
            }
            _ => false,
        })
}

/// Without numbers that only show that sums can overflow.
fn usual(things: Vec<Value>) -> Vec<Value> {
    things.into_iter().filter(|t| t["v"] != json!(f64::MAX)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_finite_numbers_comes_out(things in prop::collection::vec(thing(), 0..12)) {
        let row = row(&numeric(), &things);
        for (_, cell) in row.cells() {
            let fine = match cell {
                Cell::Number(_, stat) => stat.value().is_finite(),
                Cell::Groups(_, groups) => groups.values().all(|stat| stat.value().is_finite()),
                _ => false,
            };
            prop_assert!(fine);
        }
    }

    #[test]
    fn a_thing_without_a_value_changes_nothing(
        things in prop::collection::vec(thing(), 1..12),
        none in prop_oneof![Just(json!(null)), Just(json!("7")), Just(json!({})), Just(json!(true))],
        at in 0..12_usize,
    ) {
        let before = row(&numeric(), &things);
        let mut more = things;
        more.insert(at.min(more.len()), json!({"g": "a", "v": none}));
        prop_assert_eq!(row(&numeric(), &more), before);
    }

    #[test]
    fn rows_of_parts_make_the_row_of_the_whole(
        things in prop::collection::vec(thing(), 1..24),
        cut in 0..24_usize,
    ) {
        let things = usual(things);
        let (a, b) = things.split_at(cut.min(things.len()));
        let (a, b) = (row(&numeric(), a), row(&numeric(), b));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        let whole = row(&numeric(), &things);
        prop_assert!(close(&ab, &whole), "{ab:?} {whole:?}");
        prop_assert!(close(&ba, &whole), "{ba:?} {whole:?}");
    }
}
