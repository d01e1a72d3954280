use fastrand::Rng;

use super::{naive::Naive, *};

const SERIES: usize = 2_000;
const ALL: [Aggregate; 8] = [
    Aggregate::Mean,
    Aggregate::Sum,
    Aggregate::Min,
    Aggregate::Max,
    Aggregate::Last,
    Aggregate::Count,
    Aggregate::Energy,
    Aggregate::Coverage,
];

/// A quarter of a watt is exact in binary, and so are its sums.
fn value(rng: &mut Rng) -> f64 {
    match rng.u32(0..20) {
        0 | 1 => f64::NAN,
        2 => f64::INFINITY,
        3 => -1e250,
        4 => 0.0,
        _ => f64::from(rng.i32(-4_000..14_000)) / 4.0,
    }
}

/// What a thing says from `at` on: mostly once an interval, with gaps, doubles and what comes late.
fn says(rng: &mut Rng, mut at: i64, interval: i64, count: usize) -> Vec<(i64, f64)> {
    let mut said: Vec<(i64, f64)> = Vec::new();
    for _ in 0..count {
        let ts = match rng.u32(0..20) {
            0 => said.last().map_or(at, |last| last.0),
            1 | 2 => (at - rng.i64(0..4 * interval)).max(0),
            _ => at,
        };
        said.push((ts, value(rng)));
        at += match rng.u32(0..12) {
            0 => rng.i64(interval..8 * interval),
            1 => 0,
            2 => interval * 5 / 2,
            _ => interval + rng.i64(-interval / 3..=interval / 3),
        };
    }
    said
}

/// A question over the time in which `things` said something, of not too many steps.
fn question(rng: &mut Rng, things: &[ThingId], from: i64, interval: i64, count: usize) -> SeriesQuery {
    let length = interval * count as i64;
    let start = (from + rng.i64(-length / 2..length)).max(0);
    let end = start + rng.i64(1..=length);
    let mut query = SeriesQuery::new(ThingsOf::Ids(things.to_vec()), POWER, range(start, end));
    query.interval = Some(Duration::from_millis(interval as u64));
    query.threads = rng.usize(1..=4);
    let shortest = (end - start) / 200;
    let fixed: Vec<i64> = [1, 3, 10, 60, 61, 300, 3_600, 86_400]
        .into_iter()
        .map(|s| s * 1_000)
        .filter(|ms| *ms >= shortest)
        .collect();
    query.step = match rng.u32(0..5) {
        0 => Step::Whole,
        _ => Step::Fixed(fixed[rng.usize(0..fixed.len().min(4))]),
    };
    query
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// Compares all aggregates of each and of all; gives how many points had a value.
fn compare(lab: &Lab, query: &mut SeriesQuery, naive: &[Naive], seed: &str) -> usize {
    let mut valued = 0;
    let all: Vec<&Naive> = naive.iter().collect();
    for aggregate in ALL {
        query.aggregate = aggregate;
        query.over = Over::Each;
        let each = lab.telemetry.series(query).unwrap();
        assert!(each.failed.is_empty() && each.columns.len() == naive.len());
        for (column, thing) in each.columns.iter().zip(naive) {
            let point = |step: &Span| naive::point(&[thing], *step, NOON, aggregate);
            let expected: Vec<Point> = each.steps.iter().map(point).collect();
            assert_eq!(column.points(), expected, "{seed} {aggregate:?} {:?}", column.thing);
            valued += expected.iter().filter(|point| point.value.is_some()).count();
        }
        query.over = Over::Together;
        let together = lab.telemetry.series(query).unwrap();
        assert_eq!((together.columns.len(), &together.steps), (1, &each.steps));
        for (at, (step, found)) in each.steps.iter().zip(together.columns[0].points()).enumerate() {
            let expected = naive::point(&all, *step, NOON, aggregate);
            assert_eq!(*found, expected, "{seed} {aggregate:?} over all {step}");
            if matches!(aggregate, Aggregate::Sum | Aggregate::Energy | Aggregate::Count) {
                let sum: f64 = each.columns.iter().filter_map(|column| column.points()[at].value).sum();
                assert!(
                    close(sum, found.value.unwrap_or(0.0)),
                    "{seed} {aggregate:?} {step}: {sum} {found:?}"
                );
            }
        }
    }
    valued
}

#[tokio::test(start_paused = true)]
async fn random_series_are_what_a_walk_over_every_moment_gives() {
    let options = HistoryOptions { seal_log_bytes: 64 << 10, ..HistoryOptions::default() };
    let lab = Lab::with(NOON, options).await;
    let mut rng = Rng::with_seed(42);
    let (mut series, mut valued, mut round) = (0, 0, 0);
    while series < SERIES {
        let interval = [1_000, 7_001, 60_000, 301_000, 3_600_000][rng.usize(0..5)];
        let count = rng.usize(1..60);
        // Some go on beyond now, and some begin shortly before a day does.
        let from = NOON - rng.i64(-interval..3 * interval * count as i64) - [0, DAY / 2][rng.usize(0..2)];
        let ids: Vec<ThingId> = (0..rng.usize(1..13)).map(|n| id(&format!("m{round}-{n:02}"))).collect();
        let hold = interval * 5 / 2;
        let mut things = Vec::new();
        for one in &ids {
            let said = says(&mut rng, from, interval, count);
            said.iter().for_each(|(ts, value)| lab.say(one.as_str(), *ts, *value));
            things.push(Naive { said, hold });
            if rng.u32(0..150) == 0 {
                lab.settle(NOON + 2 * DAY);
            }
        }
        let mut query = question(&mut rng, &ids, from, interval, count);
        match lab.telemetry.series(&query) {
            Err(e) => {
                // Another number is always there.
                assert_eq!(e.code(), code::METRIC_NOT_FOUND);
                let Range { start, end } = query.range.clone();
                let in_range =
                    |(ts, value): &&(i64, f64)| (start.0..end.0.min(NOON)).contains(ts) && value.is_finite();
                assert_eq!(things.iter().flat_map(|thing| &thing.said).filter(in_range).count(), 0);
            }
            Ok(_) => valued += compare(&lab, &mut query, &things, &format!("round {round}")),
        }
        series += ids.len();
        round += 1;
    }
    let stats = lab.history().stats();
    assert!(stats.days > 2 && valued > 100_000, "{stats:?} {valued}");
}
