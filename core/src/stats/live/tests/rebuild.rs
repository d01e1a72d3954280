//! Restarts and rebuilds give what an engine that missed nothing gives.

use std::collections::BTreeMap;

use super::{
    random::{Dice, fold_all},
    *,
};

const MIN: i64 = 60_000;

fn three_hours() -> Vec<Sample> {
    let mut dice = Dice::new(77);
    let mut all = Vec::new();
    for thing in 0..6 {
        let mut ts = DAY + 4 * 3_600_000 + i64::from(thing) * 7919;
        while ts < DAY + 7 * 3_600_000 {
            let cell = u32::try_from(dice.below(3)).unwrap();
            let value = f64::from(i32::try_from(dice.below(1_000_000)).unwrap()) * 0.01;
            all.push(Sample { thing, cell, hold: ts + 150_000, ..Sample::of(ts, value) });
            ts += 55_000 + dice.below(20_000);
        }
    }
    all.sort_by_key(|sample| sample.ts);
    all
}

fn run(engine: &mut Engine, samples: &[Sample], until: i64) -> BTreeMap<(Window, i64), Closed> {
    let mut told = BTreeMap::new();
    for sample in samples {
        let closed = close(engine, sample.ts);
        told.extend(closed.into_iter().map(|closed| ((closed.window, closed.start.0), closed)));
        // A restart gives the last samples before the first open minute again, whose past is in the seeds.
        let _: Fate = sample.give(engine);
    }
    let closed = close(engine, until);
    told.extend(closed.into_iter().map(|closed| ((closed.window, closed.start.0), closed)));
    told
}

#[test]
fn a_restarted_engine_goes_on_as_if_nothing_had_been() {
    let (samples, end) = (three_hours(), DAY + 86_400_000 + 10_000);
    let whole = run(&mut engine(DAY + 4 * 3_600_000), &samples, end);
    let at = DAY + 5 * 3_600_000 + 47 * MIN + 13_000;
    let mut second = engine(at);
    let spans = second.unseeded();
    let text = spans.iter().map(|(w, a, b)| format!("{w} {} {}", (a.0 - DAY) / MIN, (b.0 - DAY) / MIN));
    assert_eq!(
        text.collect::<Vec<_>>(),
        ["stat-5m 345 347", "stat-30m 330 345", "stat-3h 180 330", "stat-1D 0 180"]
    );
    for (window, start, end) in spans {
        let mut minute = start.0;
        while minute < end.0 {
            for (cell, totals) in fold_all(&samples, Window::M1, minute) {
                second.seed(window, cell, totals.view()).unwrap();
            }
            minute += MIN;
        }
    }
    assert!(second.seed(Window::M1, 0, Totals::new(layout()).view()).is_err());
    // Each thing's last samples, and those from there on.
    let from = second.open_from().0 - 150_000;
    let rest: Vec<Sample> = samples.into_iter().filter(|sample| sample.ts >= from).collect();
    let again = run(&mut second, &rest, end);
    assert!(again.len() > 70 + 15 + 5 + 3 + 1);
    for (key, closed) in again {
        let before = whole.get(&key).unwrap();
        assert_eq!(told(&[closed]), told(std::slice::from_ref(before)), "{key:?}");
    }
}

#[test]
fn a_rebuilt_minute_goes_into_the_open_windows_once() {
    let mut engine = engine(DAY);
    let first = Sample::of(DAY, 10.0);
    first.give(&mut engine).is_counted();
    let minute = close(&mut engine, DAY + 75_000).remove(0);
    assert_eq!(told(&[minute]), ["stat-1m 1 [0: 600/60 max Some(10.0)]"]);
    let late = Sample { hold: DAY + 50_000, ..Sample::of(DAY + 30_000, 40.0) };
    assert!(matches!(late.give(&mut engine), Fate::Late(_)));
    let old = fold_all(std::slice::from_ref(&first), Window::M1, DAY).remove(&0).unwrap();
    let new = fold_all(&[first, late], Window::M1, DAY).remove(&0).unwrap();
    let change = |old: &Totals, new: &Totals| [Change { cell: 0, old: old.clone(), new: new.clone() }];
    assert_eq!(engine.replace(Timestamp(DAY + MIN), &change(&old, &new)), Replaced::StillOpen);
    let into = engine.replace(Timestamp(DAY), &change(&old, &new));
    assert_eq!(into, Replaced::Into { window: Window::M5, max_unsure: false });
    // And back: the maximum may have been this minute's.
    let lower = engine.replace(Timestamp(DAY), &change(&new, &old));
    assert_eq!(lower, Replaced::Into { window: Window::M5, max_unsure: true });
    engine.replace(Timestamp(DAY), &change(&old, &new));
    let closed = close(&mut engine, DAY + 5 * MIN + 10_000);
    // 30 s of 10 and 20 s of 40.
    assert_eq!(told(&closed), ["stat-5m 5 [0: 1100/50 max Some(40.0)]"]);
    let into = engine.replace(Timestamp(DAY), &change(&new, &old));
    assert_eq!(into, Replaced::Into { window: Window::M15, max_unsure: true });
    close(&mut engine, DAY + 86_410_000);
    assert_eq!(engine.replace(Timestamp(DAY), &change(&old, &new)), Replaced::AllClosed);
}
