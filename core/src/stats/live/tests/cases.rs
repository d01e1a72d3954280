//! Cases that a reader can compute by hand.

use super::*;
use crate::ErrorKind;

const MIN: i64 = 60_000;

#[test]
fn windows_are_aligned_to_the_clock_in_utc() {
    for window in Window::ALL {
        let start = window.start_of(Timestamp(DAY + 7_384_123));
        let end = window.end_of(Timestamp(DAY + 7_384_123));
        assert_eq!(end.0 - start.0, window.length_ms());
        assert_eq!((start.0 - DAY) % window.length_ms(), 0);
        assert_eq!(window.start_of(start), start);
        assert_eq!(window.end_of(start), end);
        assert_eq!(Window::named(window.name()), Some(window));
        assert_eq!(window.start_of(Timestamp(-1)).0, -window.length_ms());
    }
    assert_eq!((Window::D1.to_string().as_str(), Window::named("stat-2h")), ("stat-1D", None));
}

#[test]
fn a_sample_holds_until_the_next_or_until_its_time_is_up() {
    let mut engine = engine(DAY);
    assert_eq!(Sample::of(DAY + 10_000, 2.0).give(&mut engine), Fate::Counted);
    assert_eq!(Sample::of(DAY + 40_000, 3.0).give(&mut engine), Fate::Counted);
    let all = close(&mut engine, DAY + 6 * MIN);
    // 30 s of 2 and 20 s of 3; then 40 s of 3 until its minute is over.
    assert_eq!(
        told(&all),
        [
            "stat-1m 1 [0: 120/50 max Some(3.0)]",
            "stat-1m 2 [0: 120/40 max Some(3.0)]",
            "stat-5m 5 [0: 240/90 max Some(3.0)]",
        ]
    );
    assert_eq!(
        engine.counters().skipped,
        9,
        "the windows before, of which one minute was open, and minutes 3 to 5"
    );
    assert!(!engine.is_idle(0));
    assert_eq!(close(&mut engine, DAY + 86_410_000).len(), 4);
    assert!(engine.is_idle(0));
}

#[test]
fn samples_on_their_way_count_in_the_minute_of_their_time() {
    let mut engine = engine(DAY);
    let of = |thing, ts, value| Sample { thing, ..Sample::of(ts, value) };
    assert_eq!(of(0, DAY + 61_000, 5.0).give(&mut engine), Fate::Counted);
    assert!(close(&mut engine, DAY + 69_999).is_empty(), "the grace is 10 s");
    assert_eq!(of(1, DAY + 59_000, 7.0).give(&mut engine), Fate::Counted);
    let closed = close(&mut engine, DAY + 70_000);
    assert_eq!(told(&closed), ["stat-1m 1 [0: 7/1 max Some(7.0)]"]);
    assert_eq!(told(&close(&mut engine, DAY + 130_000)), ["stat-1m 2 [0: 708/118 max Some(7.0)]"]);
}

#[test]
fn the_greatest_value_counts_in_each_window_in_which_it_was_held() {
    let mut engine = engine(DAY);
    let of = |thing, ts, value| Sample { thing, hold: ts + 3 * MIN, ..Sample::of(ts, value) };
    of(0, DAY + 1000, 90.0).give(&mut engine).is_counted();
    of(1, DAY + 1000, 50.0).give(&mut engine).is_counted();
    // Replaced at once: held at no time.
    of(2, DAY + 2000, 99.0).give(&mut engine).is_counted();
    of(2, DAY + 2000, 40.0).give(&mut engine).is_counted();
    of(0, DAY + MIN + 1, 60.0).give(&mut engine).is_counted();
    of(0, DAY + 2 * MIN, 30.0).give(&mut engine).is_counted();
    let maxima: Vec<_> = close(&mut engine, DAY + 4 * MIN + 10_000)
        .iter()
        .map(|window| window.cells.get(0).and_then(|totals| totals.max(0)))
        .collect();
    assert_eq!(maxima, [Some(90.0), Some(90.0), Some(50.0), Some(50.0)]);
}

#[test]
fn an_unknown_value_ends_the_one_before() {
    let mut engine = engine(DAY);
    Sample::of(DAY, 4.0).give(&mut engine).is_counted();
    Sample::of(DAY + 15_000, f64::NAN).give(&mut engine).is_counted();
    let closed = close(&mut engine, DAY + 70_000);
    let totals = closed[0].cells.get(0).unwrap();
    assert_eq!((totals.integral(0), totals.known_ms(0)), (60_000.0, 15_000));
    assert_eq!((totals.count_ms(0), totals.count_ms(1), totals.held_ms()), (60_000, 0, 60_000));
    assert_eq!((totals.known_ms(1), totals.max(0), totals.max(7)), (0, Some(4.0), None));
}

#[test]
fn a_thing_that_moves_or_goes_leaves_nothing_behind() {
    let mut engine = engine(DAY);
    Sample { values: [0.1, 1e15], ..Sample::of(DAY, 0.0) }.give(&mut engine).is_counted();
    let moved = Sample { cell: 3, values: [0.3, f64::NAN], ..Sample::of(DAY + 1, 0.0) };
    moved.give(&mut engine).is_counted();
    engine.remove(0, Timestamp(DAY + 31_000)).unwrap().is_counted();
    assert_eq!(engine.remove(9, Timestamp(DAY)).unwrap(), Fate::Counted);
    let now = engine.now_totals(Timestamp(DAY + 40_000));
    assert!(now.is_empty());
    let closed = close(&mut engine, DAY + 130_000);
    assert_eq!(closed.len(), 1);
    let cells: Vec<_> =
        closed[0].cells.iter().map(|(cell, t)| (cell, t.integral(0), t.known_ms(1))).collect();
    assert_eq!(cells, [(0, 0.1, 1), (3, 0.3 * 30_999.0, 0)]);
}

#[test]
fn what_cannot_be_counted_is_refused_or_unknown() {
    let mut engine = engine(DAY);
    let good = Sample::of(DAY, 1.0);
    let wrong = [
        (1 << 20, good.said()),
        (0, Said { cell: u32::MAX, ..good.said() }),
        (0, Said { values: &[1.0], ..good.said() }),
        (0, Said { maxes: &[], ..good.said() }),
        (0, Said { ts: Timestamp(i64::MAX), ..good.said() }),
    ];
    for (thing, said) in wrong {
        assert_eq!(engine.update(thing, &said).unwrap_err().kind(), ErrorKind::Invalid, "{said:?}");
    }
    assert_eq!(engine.remove(0, Timestamp(i64::MIN)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(Layout::new(65, 0, 0).unwrap_err().fact("field"), Some("values"));
    let long = Options { grace: std::time::Duration::from_secs(3601), ..Options::default() };
    assert_eq!(Engine::new(layout(), long, Timestamp(DAY)).unwrap_err().kind(), ErrorKind::Invalid);
    let values = [f64::INFINITY, 1e300];
    Sample { values, max: [f64::NEG_INFINITY], predicates: 0xFF, ..good }.give(&mut engine).is_counted();
    assert_eq!(engine.counters().implausible, 3);
    let closed = close(&mut engine, DAY + 70_000);
    let totals = closed[0].cells.get(0).unwrap();
    assert_eq!((totals.known_ms(0), totals.known_ms(1), totals.max(0)), (0, 0, None));
    assert_eq!((totals.count_ms(2), totals.count_ms(3)), (60_000, 0), "there are three predicates");
}
