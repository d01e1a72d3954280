use super::*;
use crate::history::{Disk, code as history};

fn small() -> HistoryOptions {
    HistoryOptions { seal_log_bytes: 4 << 10, ..HistoryOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_day_costs_its_own_time_of_the_things_in_it() {
    let start = NOON - DAY / 2;
    let now = start + 3 * DAY + HOUR;
    let lab = Lab::with(now, small()).await;
    for ts in (start - 30_000..start + 3 * DAY).step_by(60_000) {
        lab.say("m1", ts, 1_000.0);
        let in_the_second_day = (start + DAY..start + 2 * DAY).contains(&ts);
        if !in_the_second_day {
            lab.say("m2", ts, 2_000.0);
        }
    }
    lab.settle(now);
    let day = lab.disk.list().unwrap().into_iter().map(|file| file.0);
    let day = day.into_iter().find(|name| name.starts_with("2025-11-27") && name.ends_with(".day")).unwrap();
    let Lab { cx, things, telemetry, disk, shape } = lab;
    drop(telemetry);
    disk.flip(&day, 8 * 100);
    let telemetry = open(&cx, &things, &disk, small());
    let lab = Lab { cx, things, telemetry, disk, shape };

    let mut query = power_of(&["m1", "m2"], start, start + 3 * DAY);
    query.step = Step::Fixed(DAY);
    let answer = lab.telemetry.series(&query).unwrap();
    let of = |n: usize| answer.columns[n].points();
    assert_eq!(values(of(0)), [Some(1_000.0), None, Some(1_000.0)]);
    assert_eq!((of(0)[0].coverage, of(0)[1].coverage), (1.0, 0.0));
    // Nothing is known from the damaged day's start on, until the first sample after it.
    assert_eq!(of(0)[2].coverage, (DAY - 30_000) as f64 / DAY as f64);
    let (thing, e) = &answer.failed[0];
    assert_eq!((thing.as_str(), e.code()), ("m1", history::CORRUPT));
    let facts = [(start + DAY).to_string(), (start + 2 * DAY).to_string()];
    assert_eq!([e.fact("from").unwrap(), e.fact("to").unwrap()], facts);

    (query.over, query.aggregate) = (Over::Together, Aggregate::Sum);
    let answer = lab.telemetry.series(&query).unwrap();
    let points = answer.columns[0].points();
    assert_eq!(points[0].value, Some(3_000.0));
    assert!(points[1].contributors < 0.01, "{:?}", points[1]);
    assert!(answer.failed.iter().any(|(thing, _)| thing.as_str() == "m1"));
    query.step = Step::Raw;
    query.over = Over::Each;
    let answer = lab.telemetry.series(&query).unwrap();
    assert_eq!(answer.columns[0].samples().len(), 2 * 24 * 60);
    // What cannot be read is not said to be unknown to all.
    query.range = range(start + DAY + HOUR, start + DAY + 2 * HOUR);
    query.things = ThingsOf::Ids(vec![id("m1")]);
    assert_eq!(lab.telemetry.series(&query).unwrap().failed.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_to_keep_the_bound_is_told() {
    let bounded = HistoryOptions {
        bound_bytes: 320 << 10,
        seal_log_bytes: 16 << 10,
        max_block_bytes: 64 << 10,
        ..HistoryOptions::default()
    };
    let start = NOON - DAY / 2;
    let end = start + 20 * DAY;
    let lab = Lab::with(end, bounded).await;
    let mut rng = fastrand::Rng::with_seed(3);
    let rest = (0..9).map(|n| format!("x{n}"));
    let shape = Shape::new(std::iter::once(POWER.to_owned()).chain(rest)).unwrap();
    for ts in (start..end).step_by(120_000) {
        let values: Vec<f64> = (0..10).map(|_| rng.f64()).collect();
        let sample = Sample { owner: "m1", ts: Timestamp(ts), shape: &shape, values: &values, texts: None };
        lab.history().append(&[sample]).unwrap();
        if ts % (6 * HOUR) == 0 {
            lab.settle(ts);
        }
    }
    let mut query = power_of(&["m1"], start, end);
    query.step = Step::Fixed(DAY);
    let answer = lab.telemetry.series(&query).unwrap();
    let removed = answer.removed_before.unwrap();
    let points = answer.columns[0].points();
    assert!(removed.0 > start + DAY && removed.0 < end, "{removed:?}");
    for (step, point) in answer.steps.iter().zip(points) {
        assert_eq!(point.value.is_none(), step.end <= removed, "{step} {point:?}");
    }
    query.range = range(removed.0 + DAY, end);
    assert_eq!(lab.telemetry.series(&query).unwrap().removed_before, None);
    query.range = range(removed.0, end);
    let first = lab.telemetry.series(&query).unwrap();
    assert_eq!(first.removed_before, Some(removed), "what held into it is not known");
    query.step = Step::Raw;
    assert_eq!(lab.telemetry.series(&query).unwrap().removed_before, None);
    let exported = |from: i64, to: i64| {
        let (things, members) = (vec![id("m1")], Some(vec![POWER.to_owned()]));
        let query = ExportQuery { things, members, range: range(from, to), with_texts: false };
        let done = lab.telemetry.export_csv(&query, &mut Vec::new()).unwrap();
        (done.rows, done.removed_before)
    };
    let left = u64::try_from((end - removed.0) / 120_000).unwrap();
    assert_eq!(exported(0, end), (left, Some(removed)));
    assert_eq!(exported(start, start + DAY), (0, Some(removed)));
    assert_eq!(exported(removed.0, end), (left, None));
}
