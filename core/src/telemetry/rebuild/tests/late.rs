use super::*;

/// Two days later one thing says something, so that windows of all lengths end.
fn afterword() -> [Say; 2] {
    [say("m1", START + 2 * DAY, 1.0), say("m1", START + 2 * DAY + 40 * MINUTE, 1.0)]
}

/// Has all that ended be written: what comes late, then what ends later windows.
async fn finish(run: &Run<'_>) {
    run.settle(START + 2 * HOUR);
    for say in afterword() {
        run.tick_at(say.comes);
        run.hear(&[say]).await;
    }
    run.settle(START + 2 * DAY + 2 * HOUR);
}

#[tokio::test(start_paused = true)]
async fn after_a_rebuild_rows_are_those_of_a_run_in_which_nothing_came_late() {
    let lab = Lab::new().await;
    let (mut late, mut rebuilt, mut again) = (0, 0, 0);
    // Four minutes before midnight.
    let from = START + 6 * MINUTE;
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let minutes = rng.i64(3..9);
        let mut says = random(&mut rng, from, minutes);
        let expected = lab.fresh(from);
        expected.hear(&says).await;
        finish(&expected).await;
        assert_eq!(expected.telemetry.counters().late, 0);

        for say in &mut says {
            if rng.u32(0..4) == 0 {
                let most = [MINUTE, 4 * MINUTE, 15 * MINUTE][rng.usize(0..3)];
                say.comes += rng.i64(1..most);
            }
        }
        let ours = lab.fresh(from);
        ours.hear(&says).await;
        finish(&ours).await;
        let counters = ours.telemetry.counters();
        assert_eq!((counters.dropped, counters.failures, counters.rebuilds_dropped), (0, 0, 0));
        same(&ours, &expected, &format!("seed {seed}"));
        let revs: u32 = ours.all().values().map(|kept| kept.rev).max().unwrap();
        assert!(revs == 0 || counters.rebuilt > 0, "seed {seed}: {counters:?}");
        again += u32::from(revs > 0);
        late += counters.late;
        rebuilt += counters.rebuilt;
    }
    assert!(late > 200 && rebuilt > 200, "{late} came late, {rebuilt} minutes were made anew");
    assert!(again > 100, "rows were given out twice in {again} runs");
}

#[tokio::test(start_paused = true)]
async fn a_late_reading_rewrites_its_minute_and_the_windows_with_it() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    let minute = |n: i64, watts| say("m1", START + n * MINUTE, watts);
    let says: Vec<Say> = (0..12).map(|n| minute(n, 1_000.0)).collect();
    run.hear(&says).await;
    let end = START + 3 * MINUTE;
    assert_eq!(run.row(Window::M1, "t-miner", end).unwrap().rev, 0);
    for (rev, watts) in [(1, 2_500.0), (2, 4_000.0)] {
        let half = START + 2 * MINUTE + 30_000 + i64::from(rev);
        run.take(&Say { comes: START + 12 * MINUTE, ..say("m1", half, watts) }).await;
        run.settle(START + 12 * MINUTE);
        for tag in ["t-miner", "zone-a", "container-bay-1"] {
            let row = run.row(Window::M1, tag, end).unwrap();
            assert_eq!((row.rev, row.ts), (rev, Some(Timestamp(end))), "{tag}");
            assert!(!row.to_json().contains_key("rev"), "MiningOS has no such member");
        }
        assert_eq!(run.row(Window::M5, "t-miner", START + 5 * MINUTE).unwrap().rev, rev);
        assert_eq!(run.row(Window::M1, "t-miner", end - MINUTE).unwrap().rev, 0, "its neighbour is right");
        assert_eq!(run.telemetry.counters().rebuilt, u64::from(rev));
    }
    // 30,001 ms at 1 kW, 1 ms at 2.5 kW, the rest at 4 kW.
    let mean = (30_001.0 * 1_000.0 + 2_500.0 + 29_998.0 * 4_000.0) / 60_000.0;
    assert!((run.power(Window::M1, end) - mean).abs() < 1e-9);
    assert!((run.power(Window::M5, START + 5 * MINUTE) - (4_000.0 + mean) / 5.0).abs() < 1e-9);
    assert_eq!((run.telemetry.counters().late, run.telemetry.counters().rebuilds_dropped), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn texts_of_a_late_reading_are_its_own_alone() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    let with = |ts: i64, status: &str| Say {
        snap: Some(snap(Some(5.0), 1.0, 50.0, status, "low", 1)),
        ..say("m1", START + ts, 5.0)
    };
    let said =
        [(0, "mining"), (60_000, "mining"), (30_000, "error"), (120_000, "mining"), (90_000, "mining")];
    for (ts, status) in said {
        run.take(&with(ts, status)).await;
    }
    run.take(&Say { snap: None, ..say("m1", START + 130_000, 0.0) }).await;
    run.take(&with(140_000, "mining")).await;
    let id = ThingId::new("m1").unwrap();
    let kept = run.telemetry.snapshots(&id, Timestamp(0)..Timestamp(MAX_TS)).unwrap();
    let status: Vec<_> = kept.iter().map(|row| row["snap"]["stats"]["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["mining", "error", "mining", "mining", "mining", "offline", "mining"]);
    assert_eq!(kept[5]["err"], "ERR_TIMEOUT");
    assert!(kept[6]["err"].is_null());
    // From the middle: the texts before it are those of the reading that came before.
    let from = Timestamp(START + 50_000);
    let kept = run.telemetry.snapshots(&id, from..Timestamp(START + 70_000)).unwrap();
    assert_eq!(kept[0]["snap"]["stats"]["status"], "mining");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_back_leaves_both_passes() {
    let lab = Lab::new().await;
    let pass = |from: i64, until: i64, offset: i64, watts: f64| -> Vec<Say> {
        let things = IDS.into_iter().take(3).enumerate();
        let each = things.flat_map(|(n, thing)| {
            (from..until)
                .map(move |at| say(thing, START + at * MINUTE + offset + n as i64, watts * (n + 1) as f64))
        });
        each.collect()
    };
    let (first, second) = (pass(0, 20, 10_000, 1_000.0), pass(10, 30, 40_000, 3_000.0));
    let ours = lab.fresh(START);
    ours.hear(&first).await;
    ours.hear(&second).await;
    let counters = ours.telemetry.counters();
    assert!(counters.late >= 30, "{counters:?}");
    finish(&ours).await;

    let expected = lab.fresh(START);
    let all: Vec<Say> = first.iter().chain(&second).cloned().collect();
    expected.hear(&all).await;
    finish(&expected).await;
    assert_eq!(expected.telemetry.counters().late, 0);
    same(&ours, &expected, "both passes");
    // In each of the minutes both watts hold, half a minute each.
    assert!((ours.power(Window::M1, START + 16 * MINUTE) - 12_000.0).abs() < 1e-9);
    assert!(ours.row(Window::M1, "t-miner", START + 16 * MINUTE).unwrap().rev > 0);
    assert_eq!(ours.row(Window::M1, "t-miner", START + 27 * MINUTE).unwrap().rev, 0);
}

#[tokio::test(start_paused = true)]
async fn windows_end_in_time_while_nobody_says_anything() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    // It holds for two and a half minutes; midnight is ten minutes away.
    run.take(&say("m1", START, 6_000.0)).await;
    run.tick_at(START + 5 * MINUTE + 4_000);
    assert_eq!(run.row(Window::M5, "t-miner", START + 5 * MINUTE), None, "a late reading may still come");
    run.tick_at(START + 5 * MINUTE + 6_000);
    assert!((run.power(Window::M5, START + 5 * MINUTE) - 3_000.0).abs() < 1e-9);
    assert_eq!(run.row(Window::M15, "t-miner", START + 10 * MINUTE), None);
    run.tick_at(START + 10 * MINUTE + 6_000);
    for (window, part) in [(Window::M15, 6.0), (Window::M30, 12.0), (Window::H3, 72.0), (Window::D1, 576.0)] {
        assert!((run.power(window, START + 10 * MINUTE) - 6_000.0 / part).abs() < 1e-9, "{window}");
        assert_eq!(run.row(window, "t-miner", START + 10 * MINUTE).unwrap().rev, 0, "{window}");
    }
    assert_eq!(run.row(Window::M5, "t-miner", START + 10 * MINUTE), None, "nothing was said in it");
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_moved_counts_where_it_was() {
    let lab = Lab::new().await;
    lab.register("m9", "bay-1", &json!(["zone-a"])).await;
    let run = lab.fresh(START);
    let minute = |n: i64| Say { thing: "m9", ..say("m1", START + n * MINUTE, 1_000.0) };
    run.hear(&(0..5).map(minute).collect::<Vec<_>>()).await;
    let before = run.row(Window::M1, "container-bay-1", START + 2 * MINUTE).unwrap();
    let change = serde_json::from_value(json!({"info": {"container": "bay-2"}})).unwrap();
    let id = ThingId::new("m9").unwrap();
    lab.rack.update(&id, change, &Caller::new("ann@site")).await.unwrap();
    run.hear(&(5..9).map(minute).collect::<Vec<_>>()).await;
    run.take(&Say { ts: START + 100_000, ..minute(1) }).await;
    run.take(&Say { thing: "m9", snap: power(3_000.0), ..say("m1", START + 90_000, 3_000.0) }).await;
    run.settle(START + 12 * MINUTE);
    let after = run.row(Window::M1, "container-bay-1", START + 2 * MINUTE).unwrap();
    let watts = |row: &Row| row.number("power_w_sum").map(|stat| stat.value());
    assert_eq!((watts(&before), after.rev), (Some(1_000.0), 1));
    assert!((watts(&after).unwrap() - 4_000.0 / 3.0).abs() < 1e-9, "10 s of 3 kW in the minute");
    assert_eq!(run.row(Window::M1, "container-bay-2", START + 2 * MINUTE), None);
    assert_eq!(watts(&run.row(Window::M1, "container-bay-2", START + 8 * MINUTE).unwrap()), Some(1_000.0));
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_comes_while_ticks_stall_is_counted_in_the_end() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    run.take(&say("m1", START, 1_000.0)).await;
    // For twenty minutes nothing is closed.
    run.take(&say("m1", START + 20 * MINUTE, 2_000.0)).await;
    assert_eq!(run.telemetry.counters().late, 1);
    run.settle(START + 30 * MINUTE);
    let power = |n: i64| {
        run.row(Window::M1, "t-miner", START + n * MINUTE).map(|row| {
            let stat = row.number("power_w_sum").unwrap();
            (stat.value(), stat.weight())
        })
    };
    assert_eq!((power(2), power(3)), (Some((1_000.0, 1.0)), Some((500.0, 0.5))));
    assert_eq!((power(4), power(20)), (None, None));
    assert_eq!((power(21), power(23)), (Some((2_000.0, 1.0)), Some((1_000.0, 0.5))));
    assert!((run.power(Window::M5, START + 25 * MINUTE) - 1_000.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_was_removed_counts_until_then() {
    let lab = Lab::new().await;
    lab.register("m9", "bay-1", &json!(["zone-a"])).await;
    let run = lab.fresh(START);
    let of = |thing, n: i64| Say { thing, ..say("m1", START + n * MINUTE, 1_000.0) };
    let says: Vec<Say> = (0..5).flat_map(|n| [of("m1", n), of("m9", n)]).collect();
    run.hear(&says).await;
    let which = crate::query::Filter::parse(&json!({"id": "m9"})).unwrap();
    let which = crate::rack::Which::Matching(which);
    lab.rack.forget(&which, &Caller::new("ann@site")).await.unwrap();
    let now = START + 5 * MINUTE + 10_000;
    let of_gone = || {
        let empty = crate::model::Snapshot::offline();
        Arc::new(Reading::made(ThingId::new("m9").unwrap(), 9, Timestamp(now), Duration::ZERO, empty))
    };
    run.sink.put(&[of_gone()]).await;
    assert_eq!(run.telemetry.counters().of_gone, 1, "it was looked up anew");
    // In one of these ticks it is found to be gone.
    (0..61).for_each(|_| run.tick_at(now));
    run.take(&Say { comes: now, ..say("m1", START + 90_000, 3_000.0) }).await;
    run.settle(START + 20 * MINUTE);
    run.take(&Say { comes: now, ..say("m1", START + 5 * MINUTE + 20_000, 2_000.0) }).await;
    run.settle(START + 20 * MINUTE);
    assert!(lab.things.get(&ThingId::new("m9").unwrap()).is_none());
    assert_eq!(
        run.power(Window::M1, START + 2 * MINUTE),
        3_000.0,
        "1 kW, and half a minute each of 1 and 3 kW"
    );
    assert!(run.row(Window::M1, "t-miner", START + 2 * MINUTE).unwrap().rev > 0);
    // It held for ten seconds of the minute in which it was removed; the other one all the time.
    let row = run.row(Window::M1, "t-miner", START + 6 * MINUTE).unwrap();
    let left = row.number("power_w_sum").unwrap();
    assert_eq!(row.rev, 1);
    assert!((left.weight() - 70.0 / 60.0).abs() < 1e-9, "{left:?}");
    run.sink.put(&[of_gone()]).await;
    assert_eq!(run.telemetry.counters().of_gone, 2);
}
