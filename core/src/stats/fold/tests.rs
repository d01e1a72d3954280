use serde_json::json;

use super::*;
use crate::stats::{corrected::Tally, families, source::Json, spec::Spec};

fn stat(value: f64, weight: f64) -> Stat {
    Stat::new(value, weight).unwrap()
}

fn number(how: Merge, value: f64, weight: f64) -> Cell {
    Cell::Number(how, stat(value, weight))
}

fn groups(how: Merge, each: &[(&str, f64, f64)]) -> Cell {
    Cell::Groups(how, each.iter().map(|(name, v, w)| ((*name).into(), stat(*v, *w))).collect())
}

fn row(ts: i64, cells: Vec<(&str, Cell)>) -> Row {
    let mut row = Row::new(Some(Timestamp(ts)));
    cells.into_iter().for_each(|(name, cell)| row.set(name, cell));
    row
}

fn spec() -> FoldSpec {
    let fields = json!({
        "power": {"op": "sum", "src": "power_w_sum"},
        "power_avg": {"op": "avg", "src": "power_w_avg"},
        "eff": {"op": "obj_concat", "src": "eff_group_avg"},
        "temp": {"op": "obj_concat", "src": "temp_group_max"},
        "status": {"op": "obj_concat", "src": "status_group"},
        "racks": {"op": "cnt"},
    });
    FoldSpec::parse(&fields).unwrap()
}

/// A rack of a thousand things, and a rack of one.
fn two_racks(ts: i64) -> [Row; 2] {
    let status = |text: &str| Cell::Values(json!({"bay-1": text}).as_object().unwrap().clone());
    [
        row(
            ts,
            vec![
                ("power_w_sum", number(Merge::Sum, 3e6, 1e3)),
                ("power_w_avg", number(Merge::Mean, 3e3, 1e3)),
                ("eff_group_avg", groups(Merge::Mean, &[("bay-1", 20.0, 3.0), ("bay-2", 30.0, 1.0)])),
                ("temp_group_max", groups(Merge::Max, &[("bay-1", 70.0, 3.0), ("cold", -5.0, 1.0)])),
                ("status_group", status("on")),
            ],
        ),
        row(
            ts,
            vec![
                ("power_w_sum", number(Merge::Sum, 1e3, 1.0)),
                ("power_w_avg", number(Merge::Mean, 1e3, 1.0)),
                ("eff_group_avg", groups(Merge::Mean, &[("bay-1", 22.0, 1.0)])),
                ("temp_group_max", groups(Merge::Max, &[("bay-1", 80.0, 1.0)])),
                ("status_group", status("off")),
            ],
        ),
    ]
}

fn shown(folded: &[Folded]) -> Value {
    folded.iter().map(|f| Value::Object(f.to_json())).collect()
}

#[test]
fn racks_fold_weighted_and_nothing_is_added_that_is_no_sum() {
    let rows = two_racks(300_000);
    let expected = json!([{
        "ts": 300_000, "aggrTsRange": "", "aggrCount": 2, "aggrIntervals": 1,
        "power": 3_001_000, "power_avg": 3_001_000.0 / 1_001.0, "eff": {"bay-1": 20.5, "bay-2": 30},
        "temp": {"bay-1": 80, "cold": -5}, "status": {"bay-1": "off"}, "racks": 2,
    }]);
    assert_eq!(shown(&fold(&spec(), &rows, &FoldRequest::default())), expected);
}

#[test]
fn a_rack_without_a_value_changes_nothing_but_the_count() {
    let mut rows = two_racks(300_000).to_vec();
    let before = fold(&spec(), &rows, &FoldRequest::of(["power_avg", "temp"]));
    rows.push(row(300_000, vec![]));
    let after = fold(&spec(), &rows, &FoldRequest::of(["power_avg", "temp"]));
    assert_eq!(before[0].row, after[0].row);
    assert_eq!((after[0].count, after[0].intervals), (3, 1));
    let alone = fold(&spec(), &[row(5, vec![])], &FoldRequest::of(["power"]));
    let expected = json!([{"ts": 5, "aggrTsRange": "", "aggrCount": 1, "aggrIntervals": 0}]);
    assert_eq!(shown(&alone), expected);
}

#[test]
fn rows_about_now_have_no_time_and_times_are_in_order() {
    let [a, b] = two_racks(0);
    let now = a.clone().at(None);
    let later = b.at(Some(Timestamp(600_000)));
    let folded = fold(&spec(), &[later, a, now.clone(), now], &FoldRequest::of(["power"]));
    let expected = json!([
        {"aggrTsRange": "", "aggrCount": 2, "aggrIntervals": 1, "power": 6_000_000},
        {"ts": 0, "aggrTsRange": "", "aggrCount": 1, "aggrIntervals": 1, "power": 3_000_000},
        {"ts": 600_000, "aggrTsRange": "", "aggrCount": 1, "aggrIntervals": 1, "power": 1_000},
    ]);
    assert_eq!(shown(&folded), expected);
}

/// One row for each of the times, each of 1.
fn ones(times: &[i64]) -> Vec<Row> {
    times.iter().map(|ts| row(*ts, vec![("power_w_sum", number(Merge::Sum, 1.0, 1.0))])).collect()
}

fn sums(rows: &[Row], edges: Edges, spans: &[(i64, i64)]) -> Vec<f64> {
    let spans = spans.iter().map(|(start, end)| Span::ms(*start, *end)).collect();
    let folded = fold(&spec(), rows, &FoldRequest::of(["power"]).over(spans).edges(edges));
    folded.iter().map(|f| f.row.number("power").unwrap().value()).collect()
}

#[test]
fn a_row_on_the_border_of_two_spans_counts_once() {
    let rows = ones(&[0, 1_000, 2_000, 3_000, 4_000]);
    for edges in [Edges::WindowEnds, Edges::Instants] {
        assert_eq!(sums(&rows, edges, &[(0, 2_000), (2_000, 4_000)]), [2.0, 2.0], "{edges:?}");
        // The dashboard writes the end of a day as its last millisecond.
        assert_eq!(sums(&rows, edges, &[(0, 1_999), (2_000, 3_999)]), [2.0, 2.0], "{edges:?}");
        assert_eq!(sums(&rows, edges, &[(2_500, 2_600), (0, 1_000)]), [1.0], "{edges:?}");
    }
    let day = |edges| sums(&ones(&[86_400_000]), edges, &[(0, 86_399_999), (86_400_000, 172_799_999)]);
    assert_eq!(day(Edges::WindowEnds), [1.0]);
    let spans = vec![Span::ms(0, 86_399_999), Span::ms(86_400_000, 172_799_999)];
    let folded = fold(&spec(), &ones(&[86_400_000]), &FoldRequest::default().over(spans));
    assert_eq!(folded[0].to_json()["aggrTsRange"], "0-86399999");
    assert_eq!(folded[0].to_json()["ts"], 0);
}

#[test]
fn means_and_maxima_of_a_span_are_those_of_its_rows() {
    let [a, b] = two_racks(1_000);
    let b = b.at(Some(Timestamp(2_000)));
    let request = FoldRequest::of(["power", "power_avg", "temp", "status"]).over(vec![Span::ms(0, 5_000)]);
    let folded = fold(&spec(), &[b, a], &request);
    assert_eq!(folded[0].row.number("power_avg"), Some(stat(3_001_000.0 / 1_001.0, 1_001.0)));
    assert_eq!(folded[0].to_json()["status"], json!({"bay-1": "off"}), "the later one");
    assert_eq!(folded[0].intervals, 2);
}

#[test]
fn miningos_folds_rows_without_a_time_and_with_a_text_for_it() {
    let rows = [json!({"power_w_sum": 1}), json!({"power_w_sum": 2})];
    let request = FoldRequest::of(["power"]);
    let found: Value = fold_mos(&spec(), &rows, &request).into_iter().map(Value::Object).collect();
    assert_eq!(found, json!([{"power": 3, "aggrTsRange": "", "aggrCount": 2, "aggrIntervals": 0}]));
    let rows = [
        json!({"ts": "10-19", "power_w_sum": 1}),
        json!({"ts": "20-29", "power_w_sum": 2}),
        json!({"ts": "10-19", "power_w_sum": "4"}),
    ];
    let found: Value = fold_mos(&spec(), &rows, &request).into_iter().map(Value::Object).collect();
    let row = |ts: &str, power: i64, count: i64| json!({"ts": ts, "power": power, "aggrTsRange": "", "aggrCount": count, "aggrIntervals": 1});
    assert_eq!(found, json!([row("10-19", 5, 2), row("20-29", 2, 1)]));
}

#[test]
fn what_rows_cannot_fold_is_refused() {
    for bad in [
        json!({"a": {"op": "group_sum", "src": "b"}}),
        json!({"a": {"op": "median", "src": "b"}}),
        json!({"a": {"op": "sum", "src": ".."}}),
        json!([]),
    ] {
        assert_eq!(FoldSpec::parse(&bad).unwrap_err().code(), "ERR_STATS_SPEC_INVALID", "{bad}");
    }
}

/// Things of two racks, with values that are exact in any order of additions.
fn things(rack: i64) -> Vec<Value> {
    let thing = |i: i64| {
        let power = if i % 4 == 0 { json!(null) } else { json!(3_000 + i + rack) };
        let info = json!({"container": format!("bay-{}", i % 3), "pos": format!("{}_{i}", i % 2)});
        let stats = json!({"status": if i % 5 == 0 { "offline" } else { "mining" }, "power_w": power,
            "temperature_c": {"avg": 60 - i, "max": 64 + i}, "hashrate_mhs": {"t_5m": 1_000 * i}});
        json!({"last": {"snap": {"stats": stats}, "alerts": [{}]}, "info": info, "type": "miner-am-s21"})
    };
    (rack..rack + 10).map(thing).collect()
}

fn family_row(spec: &Spec, things: &[Value]) -> Row {
    let mut tally = Tally::new(spec);
    things.iter().for_each(|thing| tally.add(&Json { entry: thing, ext: Some(thing) }));
    tally.finish().at(Some(Timestamp(300_000)))
}

#[test]
fn the_fold_of_racks_is_the_fold_of_their_things_in_any_order() {
    let spec = families::spec("miner-am-s21").unwrap().standing();
    let fold_spec = families::fold("miner").unwrap();
    let (a, b) = (things(0), things(37));
    let racks = [family_row(&spec, &a), family_row(&spec, &b)];
    let turned = [racks[1].clone(), racks[0].clone()];
    let whole = [family_row(&spec, &[a, b].concat())];
    let one = |rows: &[Row]| fold(&fold_spec, rows, &FoldRequest::default()).remove(0).row;
    assert_eq!(one(&racks).cells().len(), one(&whole).cells().len());
    assert!(one(&whole).cells().len() > 40);
    for rows in [&racks, &turned] {
        for ((name, cell), (other, expected)) in one(rows).cells().zip(one(&whole).cells()) {
            assert_eq!(name, other);
            near(name, cell, expected);
        }
    }
}

fn near(name: &str, a: &Cell, b: &Cell) {
    let pairs: Vec<(Stat, Stat)> = match (a, b) {
        (Cell::Number(_, a), Cell::Number(_, b)) => vec![(*a, *b)],
        (Cell::Groups(_, a), Cell::Groups(_, b)) => {
            assert!(a.keys().eq(b.keys()), "{name}");
            a.values().copied().zip(b.values().copied()).collect()
        }
        other => panic!("{name}: {other:?}"),
    };
    for (a, b) in pairs {
        assert_eq!(a.weight(), b.weight(), "{name}");
        assert!((a.value() - b.value()).abs() <= 1e-9 * b.value().abs().max(1.0), "{name}: {a:?} {b:?}");
    }
}
