use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    io::Timestamp,
    stats::{
        Cell, Json, Row, Semantics, Source, Tally, families,
        live::{Engine, Options, Said, Window},
    },
};

const START: i64 = 1_795_687_200_000;

/// A miner as two documents.
fn thing(
    status: &str,
    mode: &str,
    container: &str,
    pos: &str,
    power: Option<f64>,
    rate: Option<f64>,
) -> Value {
    let mut stats =
        json!({"status": status, "temperature_c": {"avg": power, "max": rate.map(|r| r / 7.0 - 40.0)}});
    if let Some(power) = power {
        stats["power_w"] = json!(power);
        stats["efficiency_w_ths"] = json!(power / 150.0);
    }
    stats["hashrate_mhs"] = json!({"t_5m": rate});
    let info = json!({"container": container, "pos": pos, "nominalHashrateMhs": 190e6, "location": "bay"});
    json!({"id": "m", "type": "miner-am-s21", "tags": [], "info": info,
        "last": {"snap": {"stats": stats, "config": {"power_mode": mode}}}})
}

fn things() -> impl Strategy<Value = Vec<Value>> {
    let status = prop::sample::select(vec!["mining", "sleeping", "offline", "error", "not_mining"]);
    let mode = prop::sample::select(vec!["low", "normal", "high"]);
    let container = prop::sample::select(vec!["c1", "c2", "maintenance", ""]);
    let pos = prop::sample::select(vec!["1_1", "1_2", "2_1"]);
    let number = || prop::option::of(-5_000.0..5_000.0_f64);
    let one = (status, mode, container, pos, number(), number()).prop_map(
        |(status, mode, container, pos, power, rate)| thing(status, mode, container, pos, power, rate),
    );
    prop::collection::vec(one, 1..40)
}

/// The row of a minute through which all things say the same.
fn row_of(plan: &Plan, things: &[Value]) -> Row {
    let mut engine = Engine::new(plan.layout(), Options::default(), Timestamp(START)).unwrap();
    let mut columns = Columns::default();
    let mut sets: BTreeMap<(usize, String), Vec<u32>> = BTreeMap::new();
    for (n, thing) in (0..).zip(things) {
        let source = Json { entry: thing, ext: Some(thing) };
        let seen: Vec<Seen<'_>> = plan.looks().iter().map(|(of, path)| source.look(*of, path)).collect();
        plan.read(&seen, &mut columns);
        let said = Said {
            cell: n,
            ts: Timestamp(START),
            hold_until: Timestamp(START + 90_000),
            values: &columns.values,
            predicates: columns.predicates,
            maxes: &columns.maxes,
        };
        let _fate = engine.update(n, &said).unwrap();
        for (at, group) in plan.groups().iter().enumerate() {
            if let Some(name) = group.name(&source, Semantics::Corrected) {
                sets.entry((at, name.into_owned())).or_default().push(n);
            }
        }
    }
    let closing = engine.close_until(Timestamp(START + 80_000));
    let minute = closing.closed.iter().find(|closed| closed.window == Window::M1).unwrap();
    let total = |cells: &[u32]| {
        let mut totals = crate::stats::live::Totals::new(plan.layout());
        cells.iter().filter_map(|cell| minute.cells.get(*cell)).for_each(|view| totals.add(view));
        totals
    };
    let all: Vec<u32> = (0..u32::try_from(things.len()).unwrap()).collect();
    let all = total(&all);
    let of_sets: Vec<_> =
        sets.iter().map(|((at, name), cells)| (*at, name.as_str().into(), total(cells))).collect();
    let groups: Vec<_> = of_sets
        .iter()
        .map(|(group, name, totals): &(usize, Arc<str>, _)| Named {
            group: *group,
            name: Arc::clone(name),
            totals: (totals.view(), Window::M1.length_ms()),
        })
        .collect();
    plan.row(None, &(all.view(), Window::M1.length_ms()), &groups, |_| true)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

fn same(name: &str, ours: Option<&Cell>, told: Option<&Cell>) {
    match (ours, told) {
        (Some(Cell::Number(_, a)), Some(Cell::Number(_, b))) => {
            assert!(close(a.value(), b.value()), "{name}: {a:?} {b:?}");
        }
        (Some(Cell::Groups(_, a)), Some(Cell::Groups(_, b))) => {
            assert!(a.keys().eq(b.keys()), "{name}: {a:?} {b:?}");
            assert!(
                a.values().zip(b.values()).all(|(a, b)| close(a.value(), b.value())),
                "{name}: {a:?} {b:?}"
            );
        }
        (a, b) => assert_eq!(a.is_some(), b.is_some(), "{name}: {a:?} {b:?}"),
    }
}

proptest! {
    /// Over a minute in which nobody says anything new, the mean over time is what everybody says.
    #[test]
    fn a_steady_minute_is_the_fold_of_what_is_said(things in things()) {
        let spec = families::spec("miner-am-s21").unwrap();
        let plan = Plan::of(&spec).unwrap();
        let ours = row_of(&plan, &things);
        let mut tally = Tally::new(&spec);
        things.iter().for_each(|thing| tally.add(&Json { entry: thing, ext: Some(thing) }));
        let told = tally.finish();
        let rest: Vec<&str> = plan.rest().ops().map(|(name, _)| &**name).collect();
        for (name, _) in spec.ops().filter(|(name, _)| !rest.contains(&&***name)) {
            same(name, ours.get(name), told.get(name));
        }
    }
}

#[test]
fn every_family_has_a_plan() {
    for thing_type in
        ["miner-wm-m63", "container-as-hk3", "powermeter-satec-pm180", "sensor-temp", "inventory-x"]
    {
        let spec = families::spec(thing_type).unwrap();
        let plan = Plan::of(&spec).unwrap();
        assert_eq!(plan.rest().ops().len() + plan.rules.len(), spec.ops().len(), "{thing_type}");
    }
    let miner = Plan::of(&families::spec("miner-am-s21").unwrap()).unwrap();
    let later: Vec<&str> = miner.rest().ops().map(|(name, _)| &**name).collect();
    assert_eq!(
        later,
        ["alerts_cnt", "hashrate_mhs_1m_group", "power_mode_group", "power_w_group", "status_group"]
    );
}

#[test]
fn columns_are_called_by_what_they_count() {
    let miner = Plan::of(&families::spec("miner-am-s21").unwrap()).unwrap();
    let names: Vec<String> = miner.members(None).into_iter().map(|(name, _)| name).collect();
    for name in [
        "held",
        "sum last.snap.stats.power_w",
        "known last.snap.stats.power_w",
        r#"count last.snap.stats.status="mining""#,
        r#"count (info.container!="maintenance"&last.snap.stats.status in ["offline","sleeping"])"#,
    ] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
}
