use super::{naive::Naive, *};

fn ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// Powers of every ten minutes from two days before to two days after, compared by day and by hour with a walk over the
/// days' borders in UTC, which are written down here.
async fn days(zone: &str, borders: &[&str]) {
    let borders: Vec<i64> = borders.iter().map(|text| ms(text)).collect();
    let (first, last) = (borders[0], borders[borders.len() - 1]);
    let lab = Lab::at(last + 3 * DAY).await;
    let mut naive = Naive { said: Vec::new(), hold: 25 * MINUTE };
    for (n, ts) in (first - 2 * DAY + 61_007..last + 2 * DAY).step_by(600_000).enumerate() {
        let (varying, steady) = (f64::from((n as u32).wrapping_mul(2_654_435_761) >> 20) / 4.0, 1_000.0);
        naive.said.push((ts, varying));
        lab.say("varying", ts, varying);
        lab.say("steady", ts, steady);
    }
    let mut query = power_of(&["varying", "steady"], first + 1, last - 1);
    query.interval = Some(Duration::from_secs(600));
    query.aggregate = Aggregate::Energy;
    query.step = Step::Calendar { unit: Unit::Day, count: 1, zone: zone.into() };
    let answer = lab.telemetry.series(&query).unwrap();
    let steps: Vec<Span> = borders.windows(2).map(|pair| Span::ms(pair[0], pair[1])).collect();
    assert_eq!(answer.steps, steps, "{zone}");
    let hours: Vec<f64> = steps.iter().map(|step| (step.end.0 - step.start.0) as f64 / HOUR as f64).collect();
    let steady = answer.columns.iter().find(|column| column.thing == Some(id("steady"))).unwrap();
    let energies: Vec<f64> = hours.iter().map(|hours| hours * 1_000.0).collect();
    assert_eq!(steady.points().iter().filter_map(|point| point.value).collect::<Vec<_>>(), energies);
    assert!(steady.points().iter().all(|point| point.coverage == 1.0));
    let expected: Vec<Point> =
        steps.iter().map(|step| naive::point(&[&naive], *step, i64::MAX, Aggregate::Energy)).collect();
    assert_eq!(answer.columns[1].points(), expected, "{zone}");

    query.step = Step::Calendar { unit: Unit::Hour, count: 1, zone: zone.into() };
    let hourly = lab.points(&query);
    let sum = |points: &[Point]| points.iter().filter_map(|point| point.value).sum::<f64>();
    for (day, hour) in answer.columns.iter().zip(&hourly) {
        assert!((sum(day.points()) - sum(hour)).abs() < 1e-6, "{zone}: hours add up to days");
    }
}

#[tokio::test(start_paused = true)]
async fn days_of_zones_are_as_long_as_their_clocks_say() {
    let spring = ["2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"];
    days("America/New_York", &spring).await;
    let autumn = ["2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"];
    days("America/New_York", &autumn).await;
    // Half an hour.
    days("Australia/Lord_Howe", &["2026-04-03T13:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"])
        .await;
    days("Australia/Lord_Howe", &["2026-10-02T13:30:00Z", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"])
        .await;
    days("Asia/Kathmandu", &["2025-12-31T18:15:00Z", "2026-01-01T18:15:00Z", "2026-01-02T18:15:00Z"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_day_that_never_was_has_no_step_and_takes_nothing() {
    // The 29th was followed by the 31st: ten hours behind UTC (in summer time), then fourteen before it.
    days(
        "Pacific/Apia",
        &["2011-12-28T10:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"],
    )
    .await;
}
