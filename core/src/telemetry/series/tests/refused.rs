use super::*;
use crate::telemetry::series::ask::{Ask, Limits};

fn said(lab: &Lab) {
    for n in 0..10 {
        lab.say("m1", NOON + n * MINUTE, 3_000.0);
        lab.say("m2", NOON + n * MINUTE, f64::NAN);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_is_refused_by_code_and_field() {
    let lab = Lab::at(NOON + HOUR).await;
    said(&lab);
    let refused = |change: &dyn Fn(&mut SeriesQuery)| {
        let mut query = power_of(&["m1"], NOON, NOON + HOUR);
        change(&mut query);
        let e = lab.telemetry.series(&query).unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::Invalid, "{e}");
        (e.code(), e.fact("field").unwrap_or_default().to_owned())
    };
    for ms in [0, -1_000, 999, 1_500, i64::MAX] {
        assert_eq!(refused(&|q| q.step = Step::Fixed(ms)), ("ERR_STEP_INVALID", "step".into()), "{ms}");
    }
    let raw = |q: &mut SeriesQuery| (q.step, q.over) = (Step::Raw, Over::Together);
    assert_eq!(refused(&raw), ("ERR_STEP_INVALID", "step".into()));
    for bad in [range(NOON, NOON - 1), range(-1, NOON), range(NOON, i64::MAX)] {
        assert_eq!(refused(&|q| q.range = bad.clone()), ("ERR_RANGE_INVALID", "range".into()));
    }
    for limit in [0, MAX_POINTS + 1, 59] {
        assert_eq!(refused(&|q| q.limit = limit), ("ERR_LIMIT_EXCEEDED", "limit".into()), "{limit}");
    }
    assert_eq!(refused(&|q| q.range = range(0, NOON)).0, "ERR_LIMIT_EXCEEDED");
    for threads in [0, MAX_THREADS + 1] {
        assert_eq!(refused(&|q| q.threads = threads), ("ERR_LIMIT_EXCEEDED", "threads".into()));
    }
    assert_eq!(refused(&|q| q.metric = String::new()), ("ERR_METRIC_NOT_FOUND", "metric".into()));
    assert_eq!(refused(&|q| q.metric = "x".repeat(257)), ("ERR_METRIC_NOT_FOUND", "metric".into()));
    assert_eq!(refused(&|q| q.interval = Some(Duration::ZERO)), ("ERR_INVALID", "interval".into()));
    let energy = |q: &mut SeriesQuery| {
        (q.metric, q.aggregate) = ("stats.temperature_c.max".into(), Aggregate::Energy);
    };
    assert_eq!(refused(&energy), ("ERR_AGGREGATE_INVALID", "aggregate".into()));
    let zone = |zone: &str, count| Step::Calendar { unit: Unit::Day, count, zone: zone.into() };
    assert_eq!(refused(&|q| q.step = zone("Mars/Base", 1)), ("ERR_INVALID", "zone".into()));
    assert_eq!(refused(&|q| q.step = zone("UTC", 0)), ("ERR_INVALID", "count".into()));
    for filter in [json!({"last.snap.success": true}), json!({"$expr": {"$eq": ["$id", "m1"]}})] {
        let filter = Filter::parse(&filter).unwrap();
        let code = refused(&|q| q.things = ThingsOf::Matching(filter.clone()));
        assert_eq!(code, ("ERR_QUERY_INVALID", "things".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_that_nobody_said_names_the_ones_that_are_called_alike() {
    let lab = Lab::at(NOON + HOUR).await;
    said(&lab);
    let ask = |metric: &str, of: &str, from: i64| {
        let mut query = power_of(&[of], from, from + HOUR);
        query.metric = metric.into();
        lab.telemetry.series(&query)
    };
    for (metric, similar) in [
        ("stats.powr_w", "stats.power_w"),
        ("power_w", "stats.power_w"),
        ("STATS.POWER_W", "stats.power_w"),
        ("stats.temperature_c.avg", "stats.temperature_c.max"),
        ("zzz", ""),
    ] {
        let e = ask(metric, "m1", NOON).unwrap_err();
        assert_eq!((e.code(), e.fact("similar")), (code::METRIC_NOT_FOUND, Some(similar)), "{e}");
        assert_eq!((e.fact("metric"), e.fact("field")), (Some(metric), Some("metric")));
    }
    // It said others.
    assert_eq!(ask(POWER, "m2", NOON).unwrap_err().code(), code::METRIC_NOT_FOUND);
    // Nothing is known of what was said in a time in which nobody said anything, nor of a thing that never did.
    for (of, from) in [("m1", NOON - 2 * DAY), ("m1", NOON + 10 * DAY), ("m9", NOON)] {
        let answer = ask("stats.powr_w", of, from).unwrap();
        assert_eq!(values(answer.columns[0].points()), [None; 60]);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_and_work_are_bounded() {
    let lab = Lab::at(NOON + HOUR).await;
    said(&lab);
    let refused = |query: &SeriesQuery, limits: Limits| {
        let e = Ask::new(&lab.telemetry.0, query, limits).and_then(Ask::answer).unwrap_err();
        assert_eq!(e.code(), code::LIMIT_EXCEEDED);
        e.fact("field").unwrap().to_owned()
    };
    let mut query = power_of(&["m1", "m2"], NOON, NOON + HOUR);
    query.limit = 119;
    assert_eq!(refused(&query, Limits::default()), "limit");
    query.over = Over::Together;
    query.limit = 60;
    assert_eq!(lab.points(&query).len(), 1);
    assert_eq!(refused(&query, Limits { things: 1, ..Limits::default() }), "things");
    assert_eq!(refused(&query, Limits { samples: 19, ..Limits::default() }), "limit");
    let exact = Limits { samples: 20, ..Limits::default() };
    assert!(Ask::new(&lab.telemetry.0, &query, exact).and_then(Ask::answer).is_ok());
    // How many raw samples there are is seen on the way only.
    (query.over, query.step, query.limit) = (Over::Each, Step::Raw, 20);
    assert_eq!(lab.telemetry.series(&query).unwrap().columns.len(), 2);
    query.limit = 19;
    assert_eq!(refused(&query, Limits::default()), "limit");
}
