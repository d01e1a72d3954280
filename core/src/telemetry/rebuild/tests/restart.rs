use super::*;

#[tokio::test(start_paused = true)]
async fn after_a_kill_rows_are_those_of_a_run_without_one() {
    let lab = Lab::new().await;
    let mut rebuilt = 0;
    for seed in 0..40 {
        let mut rng = Rng::with_seed(1_000 + seed);
        let (before, away) = (rng.i64(1..14), [0, 20_000, 90_000, 7 * MINUTE, 50 * MINUTE][rng.usize(0..5)]);
        let killed = START + before * MINUTE + rng.i64(1..MINUTE);
        let mut says = random(&mut rng, START, before + 1);
        says.retain(|say| say.comes < killed);
        let back = killed + 1_000 + away;
        let again = random(&mut rng, back, 8);
        let end = START + 2 * HOUR;

        let ours = lab.fresh(START);
        ours.hear(&says).await;
        ours.tick_at(killed);
        let (readings, rows) = (ours.readings.cut(), ours.rows.cut());
        drop(ours);
        let ours = lab.run(back, readings, rows);
        ours.hear(&again).await;
        ours.settle(end);

        let expected = lab.fresh(START);
        expected.hear(&says.iter().chain(&again).cloned().collect::<Vec<_>>()).await;
        expected.settle(end);
        for run in [&ours, &expected] {
            for at in [2 * DAY, 2 * DAY + 40 * MINUTE] {
                run.tick_at(START + at);
                run.hear(&[say("m1", START + at, 1.0)]).await;
            }
            run.settle(START + 2 * DAY + 2 * HOUR);
        }
        assert_eq!(expected.telemetry.counters().rebuilt, 0);
        let counters = ours.telemetry.counters();
        assert_eq!((counters.failures, counters.rebuilds_dropped), (0, 0), "{counters:?}");
        same(&ours, &expected, &format!("seed {seed}, killed at +{} ms, away {away} ms", killed - START));
        rebuilt += counters.rebuilt;
    }
    assert!(rebuilt > 40, "{rebuilt}");
}

#[tokio::test(start_paused = true)]
async fn after_restarts_within_windows_of_all_lengths_rows_are_those_of_a_run_without_one() {
    let lab = Lab::new().await;
    // 20:58, 21:00 being where three hours begin, and midnight where they end.
    let from = START - 172 * MINUTE;
    // In minutes from there: within a window of each length, where a finer one ends, some of them in silence.
    let restarts = [4, 7, 9, 17, 19, 32, 34, 100, 107, 181, 182, 183, 187];
    for seed in 0..3 {
        let mut rng = Rng::with_seed(7_000 + seed);
        let spells = [(0, 38), (98, 12), (176, 14)].map(|(after, minutes)| {
            let begins = from + after * MINUTE;
            let mut says = random(&mut rng, begins, minutes);
            // What is known of its sets alone is soon in longer windows only.
            says.retain(|say| say.thing != "m1" || say.ts < begins + 5 * MINUTE);
            says
        });
        let says = spells.concat();
        let mut ours = lab.fresh(from);
        let mut heard = 0;
        for at in restarts.map(|at| from + at * MINUTE + [1_000, 7_000, 40_000][rng.usize(0..3)]) {
            let until = says.partition_point(|say| say.comes < at);
            ours.hear(&says[heard..until]).await;
            heard = until;
            ours.tick_at(at);
            ours.telemetry.close().unwrap();
            ours = lab.run(at, ours.readings.clone(), ours.rows.clone());
        }
        ours.hear(&says[heard..]).await;
        ours.settle(START + 2 * DAY);
        let counters = ours.telemetry.counters();
        assert_eq!((counters.failures, counters.rebuilds_dropped), (0, 0), "{counters:?}");

        let expected = lab.fresh(from);
        expected.hear(&says).await;
        expected.settle(START + 2 * DAY);
        assert_eq!(expected.telemetry.counters().rebuilt, 0);
        same(&ours, &expected, &format!("seed {seed}"));
        let days = expected.all().into_keys().filter(|(name, _)| name.contains("stat-1D")).count();
        assert!(days > 4, "rows of days: {days}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_which_nothing_is_missing_rewrites_nothing() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    run.hear(&(0..8).map(|n| say("m1", START + n * MINUTE, 1_000.0)).collect::<Vec<_>>()).await;
    // Nobody says anything any more, and all is closed.
    run.settle(START + HOUR);
    let all = run.all();
    run.telemetry.close().unwrap();
    let again = lab.run(START + HOUR + MINUTE, run.readings.clone(), run.rows.clone());
    again.settle(START + HOUR + 5 * MINUTE);
    let (counters, after) = (again.telemetry.counters(), again.all());
    assert_eq!((counters.rebuilt, counters.rebuilds_dropped, counters.failures), (0, 0, 0));
    let revs = |all: &BTreeMap<(String, i64), Kept>| -> Vec<_> {
        all.iter().map(|(name, kept)| (name.clone(), kept.rev, kept.held())).collect()
    };
    assert_eq!(revs(&after), revs(&all));
}

#[tokio::test(start_paused = true)]
async fn what_came_late_before_a_kill_is_counted_after_it() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    run.hear(&(0..12).map(|n| say("m1", START + n * MINUTE, 1_000.0)).collect::<Vec<_>>()).await;
    let now = START + 12 * MINUTE;
    run.take(&Say { comes: now, ..say("m1", START + 150_000, 3_000.0) }).await;
    // What is made anew in a tick is durable with the next one, which never comes.
    run.tick_at(now);
    let (readings, rows) = (run.readings.cut(), run.rows.cut());
    drop(run);
    for _ in 0..2 {
        let again = lab.run(now + MINUTE, readings.clone(), rows.clone());
        again.settle(now + 10 * MINUTE);
        again.telemetry.close().unwrap();
        let row = again.row(Window::M1, "t-miner", START + 3 * MINUTE).unwrap();
        assert_eq!((row.number("power_w_sum").unwrap().value(), row.rev), (2_000.0, 1));
        assert!((again.power(Window::M5, START + 5 * MINUTE) - 1_200.0).abs() < 1e-9);
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_that_had_nothing_in_the_minutes_that_a_kill_cut_gets_its_longer_windows() {
    let lab = Lab::new().await;
    // What is in the second container says something once, and the rest goes on.
    let first: Vec<Say> = (0..7).map(|n| say("m1", START + n * MINUTE, 1_000.0)).collect();
    let says: Vec<Say> = [say("m3", START + 20_000, 500.0)].into_iter().chain(first).collect();
    let back = START + 40 * MINUTE;
    let after = say("m1", back, 700.0);
    let ours = lab.fresh(START);
    ours.hear(&says).await;
    let (readings, rows) = (ours.readings.cut(), ours.rows.cut());
    drop(ours);
    let ours = lab.run(back, readings, rows);
    ours.hear(std::slice::from_ref(&after)).await;
    let expected = lab.fresh(START);
    expected.hear(&says.iter().cloned().chain([after]).collect::<Vec<_>>()).await;
    for run in [&ours, &expected] {
        run.settle(START + 2 * HOUR);
        run.hear(&[say("m1", START + 2 * DAY, 1.0)]).await;
        run.settle(START + 2 * DAY + 2 * HOUR);
    }
    same(&ours, &expected, "after a kill");
}

#[tokio::test(start_paused = true)]
async fn windows_that_come_again_after_a_clock_was_set_back_hold_both_passes() {
    let lab = Lab::new().await;
    let pass = |from: i64, until: i64, off: i64, watts: f64| -> Vec<Say> {
        (from..until).map(|n| say("m1", START + n * MINUTE + off, watts)).collect()
    };
    let (first, second) = (pass(0, 25, 5_000, 1_000.0), pass(7, 40, 35_000, 3_000.0));
    let ours = lab.fresh(START);
    ours.hear(&first).await;
    ours.settle(START + 26 * MINUTE);
    ours.telemetry.close().unwrap();
    // An hour later by the sun, but the clock was set back.
    let ours = lab.run(START + 7 * MINUTE, ours.readings.clone(), ours.rows.clone());
    ours.hear(&second).await;
    let mut both: Vec<Say> = first.into_iter().chain(second).collect();
    both.sort_by_key(|say| say.ts);
    both.iter_mut().for_each(|say| say.comes = say.ts + 700);
    let expected = lab.fresh(START);
    expected.hear(&both).await;
    for run in [&ours, &expected] {
        run.settle(START + 2 * HOUR);
        run.hear(&[say("m1", START + 2 * DAY, 1.0)]).await;
        run.settle(START + 2 * DAY + 2 * HOUR);
    }
    assert_eq!(ours.telemetry.counters().rebuilds_dropped, 0);
    same(&ours, &expected, "after the clock was set back");
}

#[tokio::test(start_paused = true)]
async fn what_comes_by_a_clock_that_was_set_back_is_not_told_as_durable_before_it_is() {
    let lab = Lab::new().await;
    let run = lab.fresh(START);
    run.hear(&(0..3).map(|n| say("m1", START + n * MINUTE, 1_000.0)).collect::<Vec<_>>()).await;
    let until = run.telemetry.durable_until(run.id()).0;
    assert!(until > START + MINUTE, "{until}");
    let again = START - HOUR;
    lab.clock.0.store(again, Ordering::Relaxed);
    run.take(&say("m1", again, 2_000.0)).await;
    assert!(run.telemetry.durable_until(run.id()).0 < again);
    run.tick_at(again + 1_000);
    run.take(&say("m2", again + MINUTE, 2_000.0)).await;
    run.tick_at(again + MINUTE + 1_000);
    let until = run.telemetry.durable_until(run.id()).0;
    assert!((again..again + MINUTE).contains(&until), "{until}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_after_a_restart_has_its_own_texts_and_so_does_the_next() {
    let lab = Lab::new().await;
    let first = [say("m1", START, 1_000.0), Say { snap: None, ..say("m1", START + MINUTE, 0.0) }];
    let run = lab.fresh(START);
    run.hear(&first).await;
    run.telemetry.close().unwrap();
    let back = START + 3 * MINUTE;
    let again = lab.run(back, run.readings.clone(), run.rows.clone());
    let late = Say { comes: back, ..say("m1", START + 30_000, 3_000.0) };
    let next = say("m1", back + MINUTE, 2_000.0);
    again.hear(&[late.clone(), next.clone()]).await;
    let expected = lab.fresh(START);
    let [good, failed] = first;
    let late = Say { comes: late.ts, ..late };
    expected.hear(&[good, late, failed, next]).await;
    for run in [&again, &expected] {
        run.settle(START + 2 * HOUR);
    }
    let readings = |run: &Run<'_>| {
        let texts = run.telemetry.readings().texts("m1", Timestamp(0)..Timestamp(MAX_TS)).unwrap();
        texts.last().map(|(ts, text)| (*ts, text.contains("\"err\"")))
    };
    assert_eq!(readings(&again), Some((Timestamp(back + MINUTE), false)));
    same(&again, &expected, "late after a restart");
}
