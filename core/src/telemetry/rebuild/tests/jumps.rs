use super::*;
use crate::history::DiskPlan;

/// Two things speak twice a minute.
fn talk(from: i64, until: i64) -> Vec<Say> {
    let at = |ts: i64| [say("m1", ts, 1_000.0 + (ts % 977) as f64), say("m3", ts + 7_000, 2_000.0)];
    (from..until).step_by(30_000).flat_map(at).collect()
}

#[tokio::test(start_paused = true)]
async fn a_minute_that_was_open_when_the_clock_was_set_back_gets_its_row_when_its_time_comes() {
    let lab = Lab::new().await;
    let says = talk(START + 1_000, START + 50_000);
    let ours = lab.fresh(START);
    for say in &says {
        ours.take(say).await;
    }
    ours.tick_at(START - 40 * DAY);
    let ours = lab.run(START - 40 * DAY + MINUTE, ours.readings.cut(), ours.rows.cut());
    ours.settle(START - 40 * DAY + HOUR);
    ours.settle(START + 2 * HOUR);
    assert_eq!(ours.telemetry.counters().rebuilds_dropped, 0);
    let expected = lab.fresh(START);
    expected.hear(&says).await;
    expected.settle(START + 2 * HOUR);
    same(&ours, &expected, "40 days back");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_the_clock_was_set_back_into_has_no_row_before_it_is_over() {
    let lab = Lab::new().await;
    let (first, then) =
        (talk(START + 1_000, START + 5 * MINUTE), talk(START + 5 * MINUTE, START + 12 * MINUTE));
    // What is kept begins with the clock an hour ahead.
    let ours = lab.fresh(START + HOUR);
    ours.tick_at(START + HOUR + 10_000);
    ours.hear(&first).await;
    ours.tick_at(START + 5 * MINUTE + 10_000);
    assert!(ours.row(Window::M1, "t-miner", START + 4 * MINUTE).is_some());
    assert!(ours.row(Window::M5, "t-miner", START + 5 * MINUTE).is_some());
    for window in [Window::M15, Window::M30, Window::H3, Window::D1] {
        assert!(ours.row(window, "t-miner", START + 10 * MINUTE).is_none(), "{window:?}");
    }
    let ours = lab.run(START + 5 * MINUTE + 12_000, ours.readings.cut(), ours.rows.cut());
    ours.hear(&then).await;
    ours.settle(START + 2 * HOUR);

    let expected = lab.fresh(START);
    expected.hear(&first.into_iter().chain(then).collect::<Vec<_>>()).await;
    expected.settle(START + 2 * HOUR);
    same(&ours, &expected, "an hour back");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_the_clock_was_set_back_into_has_its_row_though_nobody_speaks_at_its_end() {
    let lab = Lab::new().await;
    let says = talk(START + 1_000, START + 5 * MINUTE);
    let ours = lab.fresh(START + HOUR);
    ours.tick_at(START + HOUR + 10_000);
    ours.hear(&says).await;
    ours.settle(START + 20 * MINUTE);
    let expected = lab.fresh(START);
    expected.hear(&says).await;
    expected.settle(START + 20 * MINUTE);
    for window in [Window::M5, Window::M15, Window::M30] {
        let end = START + 10 * MINUTE;
        assert!((ours.power(window, end) - expected.power(window, end)).abs() < 1e-6, "{window:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_row_counts_a_reading_that_a_power_cut_took() {
    let lab = Lab::new().await;
    let ours = lab.fresh(START);
    ours.hear(&talk(START + 1_000, START + MINUTE)).await;
    for say in talk(START + MINUTE + 1_000, START + 2 * MINUTE) {
        ours.take(&say).await;
    }
    // The power goes while the readings are made durable.
    ours.readings.plan(DiskPlan { cut_at: Some(0), ..DiskPlan::default() });
    ours.tick_at(START + 2 * MINUTE + 6_000);
    let ours = lab.run(START + 2 * MINUTE + 8_000, ours.readings.cut(), ours.rows.cut());
    assert!(
        ours.telemetry
            .snapshots(&ThingId::new("m1").unwrap(), Timestamp(START + MINUTE)..Timestamp(MAX_TS))
            .unwrap()
            .is_empty()
    );
    assert!(ours.row(Window::M1, "t-miner", START + 2 * MINUTE).is_none());
    ours.settle(START + HOUR);
    // What was said before holds on.
    let expected = lab.fresh(START);
    expected.hear(&talk(START + 1_000, START + MINUTE)).await;
    expected.settle(START + HOUR);
    same(&ours, &expected, "after the cut");
}
