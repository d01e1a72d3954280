use super::*;
use crate::{history::Disk, stats::live::Late, telemetry::rebuild::dirty::MOST};

#[tokio::test(start_paused = true)]
async fn what_is_too_much_is_dropped_and_counted() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    run.hear(&(0..5).map(|n| say("m1", START + n * MINUTE, 1_000.0)).collect::<Vec<_>>()).await;
    let day = |n: i64| Late::over(Timestamp(START - n * DAY), Timestamp(START - (n - 1) * DAY));
    for n in 1..=3 {
        run.telemetry.0.racks().values_mut().for_each(|stats| stats.dirty.mark_late(day(n)));
    }
    let counters = run.telemetry.counters();
    assert_eq!(counters.rebuilds_dropped, 3 * 1_440 - MOST as u64);
    for n in 0..(MOST / 4 + 8) {
        run.tick_at(START + 10 * MINUTE + n as i64);
    }
    let counters = run.telemetry.counters();
    assert_eq!((counters.rebuilt, counters.rebuilds_dropped), (0, 3 * 1_440 - MOST as u64));
    assert_eq!(run.power(Window::M1, START + 2 * MINUTE), 1_000.0);
}

/// A run over three days whose readings of the second are damaged, opened again.
async fn damaged(lab: &Lab) -> Run<'_> {
    let run = lab.fresh(START);
    for day in 0..3 {
        let from = START + 30 * MINUTE + day * DAY;
        run.tick_at(from);
        run.hear(&(0..8).map(|n| say("m1", from + n * MINUTE, 1_000.0)).collect::<Vec<_>>()).await;
    }
    let now = START + 4 * DAY;
    run.settle(now);
    let raw = run.telemetry.readings();
    raw.rotate(Timestamp(now)).unwrap();
    while raw.maintain(Timestamp(now)).unwrap().is_some() {}
    run.telemetry.close().unwrap();
    let names = run.readings.list().unwrap().into_iter().map(|file| file.0);
    let day = names.into_iter().find(|name| name.starts_with("2025-11-28")).unwrap();
    assert!(day.ends_with(".day"), "{day}");
    run.readings.flip(&day, 8 * 100);
    lab.run(now, run.readings.clone(), run.rows.clone())
}

#[tokio::test(start_paused = true)]
async fn a_damaged_day_is_given_up_and_others_are_made_anew() {
    let lab = Lab::new().await;
    let run = damaged(&lab).await;
    let now = START + 4 * DAY;
    run.settle(now);
    let before = run.telemetry.counters();
    for day in 0..3 {
        let ts = START + 32 * MINUTE + day * DAY + 15_000;
        run.take(&Say { comes: now, ..say("m1", ts, 5_000.0) }).await;
    }
    run.settle(now);
    let counters = run.telemetry.counters();
    assert_eq!(counters.rebuilt - before.rebuilt, 2, "{counters:?}");
    // The late reading's minute, and the two that it could have reached into.
    assert_eq!(counters.rebuilds_dropped - before.rebuilds_dropped, 3, "{counters:?}");
    assert!(counters.failures > before.failures);
    for (day, watts, rev) in [(0, 4_000.0, 1), (1, 1_000.0, 0), (2, 4_000.0, 1)] {
        let end = START + 33 * MINUTE + day * DAY;
        let row = run.row(Window::M1, "t-miner", end).unwrap();
        assert_eq!((row.number("power_w_sum").unwrap().value(), row.rev), (watts, rev), "day {day}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_row_that_was_made_anew_stays_the_one_through_seal_and_merge() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    run.hear(&(0..12).map(|n| say("m1", START + n * MINUTE, 1_000.0)).collect::<Vec<_>>()).await;
    let rows = &run.telemetry.0.rows;
    let seal = |now: i64| {
        rows.rotate(Timestamp(now)).unwrap();
        while rows.maintain(Timestamp(now)).unwrap().is_some() {}
    };
    seal(START + 12 * MINUTE);
    run.take(&Say { comes: START + 12 * MINUTE, ..say("m1", START + 150_000, 3_000.0) }).await;
    run.settle(START + 12 * MINUTE);
    let (end, five) = (START + 3 * MINUTE, START + 5 * MINUTE);
    let is_new = |when: &str| {
        let row = run.row(Window::M1, "t-miner", end).unwrap();
        assert_eq!((row.number("power_w_sum").unwrap().value(), row.rev), (2_000.0, 1), "{when}");
        assert!((run.power(Window::M5, five) - 1_200.0).abs() < 1e-9, "{when}");
        assert_eq!(run.telemetry.rows(run.id(), Window::M1, &whole(end)).unwrap().len(), 1, "{when}");
    };
    is_new("while the first is sealed and the second is not");
    // One that comes after it without having been made anew does not take its place.
    let old = run.all().into_iter().find(|((name, at), _)| *at == end && name.ends_with('\u{1f}'));
    let ((name, _), kept) = old.unwrap();
    let shape = crate::history::Shape::new(["held", "sum last.snap.stats.power_w"]).unwrap();
    let values = [kept.held(), 7.0];
    let sample = crate::history::Sample {
        owner: &name,
        ts: Timestamp(end),
        shape: &shape,
        values: &values,
        texts: None,
    };
    rows.append(&[sample]).unwrap();
    is_new("before one that is newer and was not made anew");
    seal(START + 13 * MINUTE);
    is_new("when all are in parts");
    seal(START + 2 * DAY);
    assert!(run.rows.list().unwrap().iter().any(|(name, _)| name.ends_with(".day")));
    is_new("when all are in the day's file");
    run.telemetry.close().unwrap();
}

fn whole(end: i64) -> TailQuery {
    TailQuery::new(LogKey::Stat(Window::M1), "t-miner", Timestamp(end), Timestamp(end))
}
