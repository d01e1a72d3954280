use super::*;
use crate::{
    Error, ErrorKind,
    model::{MinerSnapshot, Snapshot},
    rack::{Link, Reading},
    units::Watts,
};

#[tokio::test(start_paused = true)]
async fn a_value_holds_until_the_next_or_for_two_and_a_half_intervals() {
    let lab = Lab::at(NOON + HOUR).await;
    lab.say("m1", NOON - 90_000, 1_000.0);
    lab.say("m1", NOON + 90_000, 3_000.0);
    lab.say("m1", NOON + 120_000, f64::NAN);
    lab.say("m1", NOON + 180_000, 2_000.0);
    lab.say("m1", NOON + 180_000, 4_000.0);
    let mut query = power_of(&["m1"], NOON, NOON + 8 * MINUTE);
    let points = lab.points(&query).remove(0);
    let expected =
        [Some(1_000.0), Some(3_000.0), None, Some(4_000.0), Some(4_000.0), Some(4_000.0), None, None];
    assert_eq!(values(&points), expected);
    let coverage: Vec<f64> = points.iter().map(|point| point.coverage).collect();
    assert_eq!(coverage, [1.0, 0.5, 0.0, 1.0, 1.0, 0.5, 0.0, 0.0]);
    query.aggregate = Aggregate::Sum;
    assert_eq!(values(&lab.points(&query)[0])[1], Some(1_500.0));
    query.aggregate = Aggregate::Energy;
    query.step = Step::Whole;
    let joules = 60.0 * 1_000.0 + 30.0 * 3_000.0 + 150.0 * 4_000.0;
    assert_eq!(values(&lab.points(&query)[0]), [Some(joules / 3_600.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_not_over_is_as_long_as_it_was() {
    let lab = Lab::at(NOON + 90_000).await;
    lab.say("m1", NOON, 1_000.0);
    lab.say("m1", NOON + MINUTE, 2_000.0);
    let mut query = power_of(&["m1", "m2"], NOON, NOON + 4 * MINUTE);
    (query.over, query.aggregate) = (Over::Together, Aggregate::Sum);
    let answer = lab.telemetry.series(&query).unwrap();
    assert_eq!(answer.steps[1], Span::ms(NOON + MINUTE, NOON + 2 * MINUTE));
    let points = answer.columns[0].points();
    assert_eq!(values(points), [Some(1_000.0), Some(2_000.0), None, None]);
    assert_eq!((points[1].coverage, points[1].contributors), (0.5, 1.0));
    assert_eq!(points[2], Point::default());
    // Neither has begun, and nothing was asked.
    query.range = range(NOON + HOUR, NOON + HOUR + MINUTE);
    assert_eq!(lab.points(&query)[0], [Point::default()]);
    query.range = range(NOON, NOON);
    assert_eq!(lab.points(&query)[0], []);
}

#[tokio::test(start_paused = true)]
async fn raw_samples_come_as_they_were_said() {
    let lab = Lab::at(NOON).await;
    for (ts, value) in
        [(NOON + 5, 5.0), (NOON + 1, 1.0), (NOON + 5, f64::NAN), (NOON + 5, 7.0), (NOON + 9, 9.0)]
    {
        lab.say("m1", ts, value);
    }
    let mut query = power_of(&["m2", "m1", "m2"], NOON + 1, NOON + 9);
    (query.step, query.interval) = (Step::Raw, None);
    let answer = lab.telemetry.series(&query).unwrap();
    let samples: Vec<_> = answer.columns[0].samples().iter().map(|s| (s.ts.0 - NOON, s.value)).collect();
    assert_eq!(samples, [(1, Some(1.0)), (5, Some(5.0)), (5, None), (5, Some(7.0))]);
    let ids: Vec<_> = answer.columns.iter().flat_map(|column| &column.thing).map(ThingId::as_str).collect();
    assert_eq!((ids, answer.columns[1].samples(), answer.steps.len()), (vec!["m1", "m2"], &[][..], 0));
    assert!(answer.failed.is_empty() && answer.removed_before.is_none());
}

#[tokio::test(start_paused = true)]
async fn things_are_found_by_tag_and_filter_and_hold_as_their_rack_polls() {
    let lab = Lab::at(NOON + HOUR).await;
    lab.rack("slow", Duration::from_secs(120), &["s1", "s2"]).await;
    lab.rack("fast", Duration::from_secs(10), &["f1"]).await;
    ["s1", "s2", "f1", "gone"].iter().for_each(|of| lab.say(of, NOON, 1_000.0));
    let mut query = SeriesQuery::new(ThingsOf::Tag("of-slow".into()), POWER, range(NOON, NOON + 10 * MINUTE));
    (query.step, query.aggregate) = (Step::Whole, Aggregate::Coverage);
    let asked = |query: &SeriesQuery| -> Vec<(String, Option<f64>)> {
        let answer = lab.telemetry.series(query).unwrap();
        let name = |column: &Column| column.thing.clone().unwrap().as_str().to_owned();
        answer.columns.iter().map(|column| (name(column), column.points()[0].value)).collect()
    };
    assert_eq!(asked(&query), [("s1".into(), Some(0.5)), ("s2".into(), Some(0.5))]);
    let filter = |filter| ThingsOf::Matching(Filter::parse(&filter).unwrap());
    query.things = filter(json!({"info.site": "fast"}));
    assert_eq!(asked(&query), [("f1".into(), Some(25.0 / 600.0))]);
    query.things = ThingsOf::Matching(Filter::all());
    query.interval = Some(Duration::from_secs(60));
    assert_eq!(asked(&query).len(), 3, "the interval is for things that no rack has");
    assert_eq!(asked(&query)[2].1, Some(0.5));
    query.things = filter(json!({"id": "nobody"}));
    assert_eq!(asked(&query), []);
    query.over = Over::Together;
    assert_eq!(lab.points(&query), [[Point::default()]]);

    // Of one that was forgotten it is not known how long its samples hold, unless that is told.
    query.things = ThingsOf::Ids(vec![id("gone"), id("s1")]);
    assert_eq!(lab.points(&query)[0][0].value, Some((0.25 + 0.5) / 2.0));
    query.interval = None;
    let answer = lab.telemetry.series(&query).unwrap();
    assert_eq!(answer.columns[0].points()[0].value, Some(0.25));
    let (thing, e) = &answer.failed[0];
    assert_eq!((thing.as_str(), e.kind(), e.code()), ("gone", ErrorKind::NotFound, "ERR_THING_NOTFOUND"));
}

/// What a poll brought that took a second.
fn reading(seq: u64, ended: i64, power: Option<f64>) -> Arc<Reading> {
    let mut snapshot = MinerSnapshot { success: true, ..MinerSnapshot::default() };
    snapshot.stats.power_w = power.and_then(Watts::new);
    let failed = || Arc::new(Error::new(ErrorKind::Timeout, "dummy", "nobody answers"));
    Arc::new(Reading {
        thing: id("m1"),
        seq,
        ts: Timestamp(ended),
        took: Duration::from_secs(1),
        outcome: power.map(|_| Arc::new(Snapshot::from(snapshot))).ok_or_else(failed),
        link: if power.is_some() { Link::Online } else { Link::Stale },
        good: None,
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_rack_collects_is_answered_and_a_failed_poll_is_unknown() {
    let lab = Lab::at(NOON + 5 * MINUTE).await;
    let (_, sink) = lab.rack("a", Duration::from_secs(60), &["m1"]).await;
    let powers = [Some(3_000.0), None, Some(3_300.0), Some(3_200.0)];
    for (n, power) in (0..).zip(powers) {
        sink.put(&[reading(n + 1, NOON + n as i64 * MINUTE + 1_000, power)]).await;
    }
    let query = SeriesQuery::new(ThingsOf::Tag("of-a".into()), POWER, range(NOON, NOON + 5 * MINUTE));
    let expected = [Some(3_000.0), None, Some(3_300.0), Some(3_200.0), Some(3_200.0)];
    assert_eq!(values(&lab.points(&query)[0]), expected);
}
