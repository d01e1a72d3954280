//! Clocks that jump, processes that slept, and what is so now.

use super::*;

const MIN: i64 = 60_000;

#[test]
fn years_without_samples_cost_nothing() {
    let mut engine = engine(DAY);
    Sample::of(DAY, 4.0).give(&mut engine).is_counted();
    let year = 365 * 86_400_000;
    let closing = engine.close_until(Timestamp(DAY + 1000 * year));
    let names: Vec<_> = closing.closed.iter().map(|closed| closed.window.name()).collect();
    assert_eq!(names, ["stat-1m", "stat-5m", "stat-15m", "stat-30m", "stat-3h", "stat-1D"]);
    let minutes = u64::try_from(1000 * year / MIN).unwrap();
    assert!(!closing.more && closing.skipped > minutes, "{}", closing.skipped);
    assert_eq!(engine.counters().skipped, closing.skipped);
    let at = DAY + 1000 * year + 30_000;
    Sample::of(at, 4.0).give(&mut engine).is_counted();
    assert_eq!(close(&mut engine, at + 2 * MIN).len(), 2);
}

#[test]
fn a_long_hold_is_closed_in_parts_and_ends_after_a_day() {
    let mut engine = engine(DAY);
    Sample { hold: i64::MAX, ..Sample::of(DAY, 1.0) }.give(&mut engine).is_counted();
    let closing = engine.close_until(Timestamp(DAY + 30 * 86_400_000));
    assert!(closing.more && closing.closed.len() < 25, "{}", closing.closed.len());
    let rest = close(&mut engine, DAY + 30 * 86_400_000);
    let day = rest.iter().find(|closed| closed.window == Window::D1).unwrap();
    assert_eq!(day.cells.get(0).unwrap().integral(0), 86_400_000.0);
    assert_eq!(rest.iter().filter(|closed| closed.window == Window::D1).count(), 1);
}

#[test]
fn samples_far_ahead_wait_until_what_ended_is_closed() {
    let mut engine = engine(DAY);
    let ahead = Sample::of(DAY + 20 * MIN, 1.0);
    assert_eq!(ahead.give(&mut engine), Fate::Ahead);
    assert_eq!(engine.remove(0, Timestamp(DAY)).unwrap(), Fate::Counted);
    close(&mut engine, DAY + 20 * MIN);
    ahead.give(&mut engine).is_counted();
    assert_eq!(engine.counters().ahead, 1);
}

#[test]
fn what_is_so_now_leaves_out_what_has_run_out() {
    let mut engine = engine(DAY);
    Sample { values: [2.0, 7.0], ..Sample::of(DAY, 2.0) }.give(&mut engine).is_counted();
    Sample { thing: 1, predicates: 2, ..Sample::of(DAY + 30_000, 3.0) }.give(&mut engine).is_counted();
    let now = |engine: &Engine, at: i64| {
        let rows = engine.now_totals(Timestamp(DAY + at));
        rows.get(0).map(|t| (t.integral(0), t.known_ms(1), t.count_ms(1), t.held_ms(), t.max(0)))
    };
    assert_eq!(now(&engine, 59_999), Some((5.0, 1, 1, 2, None)));
    assert_eq!(now(&engine, 60_000), Some((3.0, 0, 1, 1, None)));
    close(&mut engine, DAY + 75_000);
    assert_eq!(now(&engine, 75_000), Some((3.0, 0, 1, 1, None)));
    assert_eq!(now(&engine, 90_000), None);
}

#[test]
fn after_a_jump_back_now_follows_the_second_pass() {
    let mut engine = engine(DAY);
    for at in [0, 20_000, 40_000, 60_000, 80_000] {
        Sample::of(DAY + at, 10.0).give(&mut engine).is_counted();
        close(&mut engine, DAY + at);
    }
    let now = |engine: &Engine, at: i64| {
        engine
            .now_totals(Timestamp(DAY + at))
            .iter()
            .map(|(cell, t)| (cell, t.integral(0)))
            .collect::<Vec<_>>()
    };
    // The clock goes back by 70 s: minute 0 was closed, minute 1 is open.
    let second = Sample { cell: 1, ..Sample::of(DAY + 10_000, 20.0) };
    let late = Late { from: Timestamp(DAY), until: Timestamp(DAY + 2 * MIN) };
    assert_eq!(second.give(&mut engine), Fate::Late(late));
    assert_eq!((now(&engine, 11_000), now(&engine, 81_000)), (vec![(1, 20.0)], vec![(0, 10.0)]));
    // Gone in the second pass.
    let Fate::Late(_) = engine.remove(0, Timestamp(DAY + 12_000)).unwrap() else { panic!("it is before") };
    assert_eq!(now(&engine, 13_000), []);
    // The second pass goes on where the first one ended.
    Sample { cell: 1, ..Sample::of(DAY + 90_000, 20.0) }.give(&mut engine).is_counted();
    assert_eq!(now(&engine, 91_000), [(1, 20.0)]);
    let closed = close(&mut engine, DAY + 2 * MIN + 10_000);
    assert_eq!(
        told(&closed),
        ["stat-1m 2 [0: 300/30 max Some(10.0), 1: 600/30 max Some(20.0)]"],
        "of the first pass, until the thing went on"
    );
    assert_eq!(engine.counters().late, 2);
}

#[test]
fn after_a_jump_far_ahead_and_back_now_is_still_told() {
    let mut engine = engine(DAY);
    close(&mut engine, DAY + 50 * 86_400_000);
    let late = Sample::of(DAY + 30_000, 5.0).give(&mut engine);
    assert_eq!(late, Fate::Late(Late { from: Timestamp(DAY), until: Timestamp(DAY + 2 * MIN) }));
    let rows = engine.now_totals(Timestamp(DAY + 31_000));
    assert_eq!(rows.get(0).map(|totals| totals.integral(0)), Some(5.0));
    assert!(engine.now_totals(Timestamp(DAY + 91_000)).is_empty());
    assert_eq!(late_minutes(late), [DAY, DAY + MIN]);
    assert!(!engine.is_idle(0));
}

fn late_minutes(fate: Fate) -> Vec<i64> {
    let Fate::Late(late) = fate else { panic!("it is late") };
    late.minutes().map(|minute| minute.0).collect()
}
