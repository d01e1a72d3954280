use super::*;

#[tokio::test(start_paused = true)]
async fn polls_are_spread_evenly_and_each_thing_is_polled_once_per_interval() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    collector.add_many(confs("m", 600)).unwrap();
    rig.pass(seconds(120)).await;
    rig.script().log.clear();
    rig.pass(seconds(60)).await;
    let begun: Vec<(u64, String, Did)> =
        rig.script().log.iter().filter(|(_, _, did)| *did == Did::Begin).cloned().collect();
    let mut per_thing = BTreeMap::<&str, u32>::new();
    let mut per_second = BTreeMap::<u64, u32>::new();
    for (at, id, _) in &begun {
        *per_thing.entry(id).or_default() += 1;
        *per_second.entry(at / 1_000).or_default() += 1;
    }
    assert_eq!((per_thing.len(), per_thing.values().max()), (600, Some(&1)));
    let (least, most) = (per_second.values().min().unwrap(), per_second.values().max().unwrap());
    assert!(*least >= 8 && *most <= 12, "{least} to {most} polls a second");
    let counts = collector.counts();
    assert_eq!((counts.things, counts.online), (600, 600));
    assert_eq!((counts.polls_late, counts.ticks_missed, counts.polls_failed), (0, 0, 0));
    assert!(counts.lateness_p99 <= Duration::from_millis(2), "{:?}", counts.lateness_p99);
}

#[tokio::test(start_paused = true)]
async fn the_first_poll_comes_within_its_bound_whenever_a_thing_is_added() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    let mut things = 0;
    for (batch, n) in [1, 400, 1, 1_500, 7].into_iter().enumerate() {
        let added = rig.ms();
        let prefix = format!("b{batch}-");
        collector.add_many(confs(&prefix, n)).unwrap();
        things += n;
        let bound = 1_000 + 1_000 * u64::try_from(things).unwrap() / 500;
        rig.pass(Duration::from_millis(bound) + Duration::from_millis(1)).await;
        for i in 0..n {
            let first = rig.times(&format!("{prefix}{i:05}"), Did::Begin)[0];
            assert!(first - added <= bound + 1, "{prefix}{i}: {} ms", first - added);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_poll_keeps_the_phase_and_missed_ticks_are_counted() {
    let rig = Rig::new();
    let mut options = CollectorOptions::every(seconds(10));
    options.deadline = Some(seconds(60));
    let collector = rig.collector(options);
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(15)).await;
    rig.tell("m", Answer::Good(seconds(33)));
    rig.pass(seconds(10)).await;
    rig.tell("m", QUICK);
    rig.pass(seconds(50)).await;
    let begun = rig.times("m", Did::Begin);
    assert_eq!(begun.iter().map(|ms| ms / 100).collect::<Vec<_>>(), [0, 100, 200, 600, 700]);
    assert_eq!(collector.counts().ticks_missed, 3);
}

#[tokio::test(start_paused = true)]
async fn lanes_bound_the_polls_in_flight_and_lateness_is_told() {
    let rig = Rig::new();
    let mut options = CollectorOptions::every(seconds(10));
    options.lanes = 4;
    let collector = rig.collector(options);
    collector.add_many(confs("m", 40)).unwrap();
    for i in 0..40 {
        rig.tell(&format!("m{i:05}"), Answer::Good(Duration::from_millis(1_500)));
    }
    rig.pass(seconds(100)).await;
    let counts = collector.counts();
    assert_eq!(rig.script().most_at_once, 4);
    assert!(counts.polls_late > 0 && counts.ticks_missed > 0 && counts.waiting > 0, "{counts:?}");
    assert!(counts.lateness_p50 > seconds(1) && counts.lateness_p99 < seconds(30), "{counts:?}");
    assert_eq!((counts.polls_failed, counts.polls_cut), (0, 0), "too much work is not the things' fault");
}

async fn diary(seed: u64) -> Vec<String> {
    let rig = Rig::seeded(seed);
    let mut options = CollectorOptions::every(seconds(10));
    options.lanes = 8;
    options.slow_lanes = 2;
    let collector = rig.collector(options);
    let mut subscription = collector.subscribe(10_000);
    collector.add_many(confs("m", 60)).unwrap();
    for i in (0..60).step_by(7) {
        rig.tell(&format!("m{i:05}"), [Answer::Hang, Answer::Panic, Answer::HangOpen][i / 7 % 3]);
    }
    rig.pass(seconds(65)).await;
    collector.remove(&id("m00001")).unwrap();
    rig.tell("m00000", QUICK);
    rig.pass(seconds(60)).await;
    collector.shutdown(seconds(4)).await;
    let mut lines = Vec::new();
    while let Some(event) = subscription.next().await {
        lines.push(line(&event.reading));
    }
    lines
}

#[test]
fn the_same_seed_gives_the_same_readings() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(diary(seed))
    };
    let first = run(1);
    assert!(first.len() > 500, "{}", first.len());
    assert_eq!(first, run(1));
    assert_ne!(first, run(2), "pauses vary with the seed");
}
