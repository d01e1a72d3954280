use super::{super::Link, *};
use crate::model::{State, Status};

#[tokio::test(start_paused = true)]
async fn a_thousand_hanging_things_never_make_a_healthy_one_late() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    for i in 0..1_000 {
        rig.tell(&format!("dead{i:05}"), Answer::Hang);
    }
    collector.add_many(confs("good", 100)).unwrap();
    rig.pass(seconds(10)).await;
    collector.add_many(confs("dead", 1_000)).unwrap();
    rig.pass(seconds(1_200)).await;
    for i in 0..100 {
        let begun = rig.times(&format!("good{i:05}"), Did::Begin);
        for pair in begun[1..].windows(2) {
            assert!(pair[1].abs_diff(pair[0] + 60_000) <= 2, "good{i}: {begun:?}");
        }
        assert!(begun.len() >= 20);
    }
    let counts = collector.counts();
    assert_eq!((counts.online, counts.offline + counts.never), (100, 1_000));
    assert_eq!(counts.ticks_missed, 0);
    assert!(rig.script().most_at_once <= 256 + 64);
}

#[tokio::test(start_paused = true)]
async fn hanging_things_share_their_own_few_lanes() {
    let rig = Rig::new();
    let mut options = CollectorOptions::every(seconds(60));
    options.slow_lanes = 5;
    let collector = rig.collector(options);
    for i in 0..200 {
        rig.tell(&format!("dead{i:05}"), Answer::Hang);
    }
    collector.add_many(confs("dead", 200)).unwrap();
    rig.pass(seconds(100)).await;
    let mut most = 0;
    for _ in 0..600 {
        rig.pass(seconds(1)).await;
        most = most.max(collector.counts().in_flight);
    }
    assert_eq!((most, collector.counts().slow), (5, 200));
    assert!(collector.counts().waiting > 100);
}

#[tokio::test(start_paused = true)]
async fn things_that_begin_to_hang_together_give_way() {
    let rig = Rig::new();
    let mut options = CollectorOptions::every(seconds(60));
    options.lanes = 32;
    options.slow_lanes = 8;
    let collector = rig.collector(options);
    collector.add_many(confs("dies", 600)).unwrap();
    collector.add_many(confs("good", 100)).unwrap();
    rig.pass(seconds(180)).await;
    for i in 0..600 {
        rig.tell(&format!("dies{i:05}"), Answer::Hang);
    }
    rig.pass(seconds(120)).await;
    let counts = collector.counts();
    assert_eq!((counts.polls_late, counts.ticks_missed), (0, 0), "{counts:?}");
    assert!(counts.polls_cut > 0, "32 lanes do not hold 10 new hanging things a second for 30 s");
    assert_eq!(counts.offline, 600);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_to_their_bound_and_end_with_a_good_poll() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    rig.tell("m", Answer::Fail(ErrorKind::Unreachable));
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(1_800)).await;
    let begun = rig.times("m", Did::Begin);
    let gaps: Vec<u64> = begun.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    for (gap, full) in gaps.iter().zip([60, 120, 240, 300, 300, 300]) {
        assert!((full * 3 / 4..=full).contains(gap), "{gaps:?}");
    }
    assert_eq!(collector.counts().slow, 1);
    rig.tell("m", QUICK);
    rig.pass(seconds(600)).await;
    let begun = rig.times("m", Did::Begin);
    let last = &begun[begun.len() - 4..];
    assert!(last.windows(2).all(|pair| pair[1] - pair[0] == 60_000), "{last:?}");
    assert_eq!(last[0] % 60_000, begun[0] % 60_000, "back on its phase");
    assert_eq!((collector.counts().slow, collector.counts().online), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn one_deadline_covers_opening_and_the_snapshot() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::every(seconds(10)));
    rig.tell("open", Answer::HangOpen);
    rig.tell("snap", Answer::Hang);
    collector.add_many(vec![conf("open"), conf("snap")]).unwrap();
    rig.pass(seconds(11)).await;
    for (name, during) in [("open", "open"), ("snap", "snapshot")] {
        let reading = collector.last(&id(name)).unwrap();
        let error = reading.outcome.as_ref().unwrap_err();
        assert_eq!((error.kind(), error.fact("during")), (ErrorKind::Timeout, Some(during)));
        assert!(reading.took >= seconds(10) && reading.took < Duration::from_millis(10_100));
        assert_eq!(reading.link, Link::Offline);
    }
    rig.tell("open", QUICK);
    rig.tell("snap", QUICK);
    rig.pass(seconds(30)).await;
    assert_eq!(rig.times("open", Did::Open).len(), 2);
    assert_eq!(rig.times("snap", Did::Open).len(), 1, "what was opened before the deadline stays open");
    assert_eq!(collector.counts().online, 2);
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_cannot_be_opened_says_why_and_is_opened_again() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::every(seconds(10)));
    rig.tell("m", Answer::FailOpen);
    collector.add(conf("m")).unwrap();
    collector.add(ThingConf::new(id("x"), "unknown")).unwrap();
    rig.pass(seconds(1)).await;
    let reading = collector.last(&id("m")).unwrap();
    assert_eq!(reading.outcome.as_ref().unwrap_err().fact("field"), Some("address"));
    assert_eq!(reading.link, Link::Error);
    let reading = collector.last(&id("x")).unwrap();
    assert_eq!(reading.outcome.as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    rig.tell("m", QUICK);
    rig.pass(seconds(30)).await;
    assert_eq!(rig.times("m", Did::Open).len(), 2);
    assert_eq!(collector.state(&id("m")).unwrap().link, Link::Online);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_own_thing_one_poll() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::every(seconds(10)));
    rig.tell("bad", Answer::Panic);
    collector.add_many(vec![conf("bad"), conf("good")]).unwrap();
    rig.pass(seconds(11)).await;
    let reading = collector.last(&id("bad")).unwrap();
    let error = reading.outcome.as_ref().unwrap_err();
    assert_eq!((error.kind(), error.fact("panic")), (ErrorKind::Internal, Some("as told")));
    assert_eq!(reading.link, Link::Error);
    rig.tell("bad", QUICK);
    rig.pass(seconds(10)).await;
    assert_eq!(collector.counts().online, 2);
    assert!(rig.times("bad", Did::Open).len() >= 2, "what panicked is opened anew");
}

#[tokio::test(start_paused = true)]
async fn online_stale_offline_error_and_never_are_told_apart() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::every(seconds(10)));
    let link = || collector.state(&id("m")).unwrap().link;
    collector.add(conf("m")).unwrap();
    assert_eq!(link(), Link::Never);
    rig.pass(seconds(1)).await;
    assert_eq!(link(), Link::Online);

    rig.tell("m", Answer::Fail(ErrorKind::BadReply));
    rig.pass(seconds(10)).await;
    assert_eq!(link(), Link::Error);
    let reading = collector.last(&id("m")).unwrap();
    assert_eq!(reading.good.as_ref().unwrap().age, Duration::from_millis(9_980));
    let Snapshot::Miner(form) = reading.snapshot().as_ref().clone();
    assert_eq!((form.stats.status, form.success), (Status::Error, false));
    assert_eq!(form.stats.errors[0].msg.as_deref(), Some("ERR_BAD_REPLY"));
    assert_eq!(form.stats.errors[0].timestamp, Some(reading.ts));

    rig.tell("m", Answer::Fail(ErrorKind::Unreachable));
    rig.pass(seconds(10)).await;
    assert_eq!(link(), Link::Stale, "seen 20 s ago");
    let form = collector.last(&id("m")).unwrap().snapshot();
    assert_eq!((form.status(), form.state()), (Status::Error, State::Stale));
    rig.pass(seconds(10)).await;
    assert_eq!(link(), Link::Offline, "not seen for 30 s");
    rig.pass(seconds(20)).await;
    let reading = collector.last(&id("m")).unwrap();
    assert_eq!((reading.link, reading.snapshot().status()), (Link::Offline, Status::Offline));
    let state = collector.state(&id("m")).unwrap();
    assert!(state.good.unwrap().age > seconds(50) && state.misses >= 2);

    rig.tell("m", QUICK);
    rig.pass(seconds(60)).await;
    assert_eq!((link(), collector.state(&id("m")).unwrap().misses), (Link::Online, 0));
    assert_eq!(collector.state(&id("nobody")).map(|s| s.link), None);
}

#[tokio::test(start_paused = true)]
async fn a_good_snapshot_goes_stale_while_the_next_poll_is_late() {
    let rig = Rig::new();
    let mut options = CollectorOptions::every(seconds(10));
    options.deadline = Some(seconds(60));
    let collector = rig.collector(options);
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(1)).await;
    rig.tell("m", Answer::Good(seconds(50)));
    rig.pass(seconds(23)).await;
    assert_eq!(collector.counts().online, 1);
    rig.pass(seconds(2)).await;
    let state = collector.state(&id("m")).unwrap();
    assert_eq!((state.link, collector.counts().stale), (Link::Stale, 1));
    assert!(state.good.unwrap().age > seconds(25));
    assert_eq!(state.last.unwrap().link, Link::Online, "as it was when the poll ended");
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_fails_slowly_counts_as_one_that_hangs() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    rig.tell("slow", Answer::FailAfter(ErrorKind::BadReply, seconds(20)));
    rig.tell("quick", Answer::Fail(ErrorKind::BadReply));
    collector.add_many(vec![conf("slow"), conf("quick")]).unwrap();
    rig.pass(seconds(40)).await;
    assert_eq!((collector.counts().slow, collector.counts().error), (1, 2));
}
