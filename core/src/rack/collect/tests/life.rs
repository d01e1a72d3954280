use super::{super::ShutdownReport, *};

#[tokio::test(start_paused = true)]
async fn things_come_and_go_by_id() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    collector.add(conf("b")).unwrap();
    assert_eq!(collector.add(conf("b")).unwrap_err().kind(), ErrorKind::Conflict);
    let twice = collector.add_many(vec![conf("c"), conf("a"), conf("c")]).unwrap_err();
    assert_eq!((twice.kind(), twice.fact("thing")), (ErrorKind::Conflict, Some("c")));
    assert_eq!(collector.things(), [id("b")], "all or none");
    collector.add_many(vec![conf("c"), conf("a")]).unwrap();
    assert_eq!(collector.things(), [id("a"), id("b"), id("c")]);
    assert_eq!(collector.remove(&id("x")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(collector.update(conf("x")).unwrap_err().kind(), ErrorKind::NotFound);
    rig.pass(seconds(2)).await;
    collector.remove(&id("b")).unwrap();
    rig.pass(seconds(1)).await;
    assert_eq!((collector.counts().things, collector.last(&id("b")).is_none()), (2, true));
    assert_eq!(rig.times("b", Did::Close).len(), 1);
    rig.pass(seconds(120)).await;
    assert_eq!(rig.times("b", Did::Begin).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_poll_in_flight_ends_with_its_thing_and_gives_no_reading() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    let mut subscription = collector.subscribe(10);
    rig.tell("m", Answer::Hang);
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(1)).await;
    assert_eq!(collector.counts().in_flight, 1);
    collector.remove(&id("m")).unwrap();
    // Added again before the old poll had a chance to end.
    rig.tell("m", QUICK);
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(1)).await;
    assert_eq!(rig.times("m", Did::Begin).len(), 2);
    assert_eq!(rig.times("m", Did::Close).len(), 1);
    let event = subscription.next().await.unwrap();
    assert!(event.reading.outcome.is_ok() && event.reading.seq == 1);
    collector.remove(&id("m")).unwrap();
    rig.pass(seconds(1)).await;
    assert_eq!((collector.counts().in_flight, collector.counts().things), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_update_drops_the_poll_and_opens_anew() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(1)).await;
    rig.tell("m", Answer::Hang);
    rig.pass(seconds(60)).await;
    assert_eq!(collector.counts().in_flight, 1);
    rig.tell("m", QUICK);
    collector.update(conf("m").opt("address", "10.0.0.8")).unwrap();
    rig.pass(seconds(2)).await;
    assert_eq!((rig.times("m", Did::Open).len(), rig.times("m", Did::Close).len()), (2, 1));
    assert_eq!(collector.last(&id("m")).unwrap().seq, 2, "the readings go on");
    assert_eq!((collector.counts().online, collector.counts().polls_failed), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_update_ends_the_pause_of_a_thing_that_did_not_answer() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    rig.tell("m", Answer::Fail(ErrorKind::Unreachable));
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(900)).await;
    rig.tell("m", QUICK);
    let changed = rig.ms();
    collector.update(conf("m")).unwrap();
    rig.pass(seconds(2)).await;
    assert!(rig.times("m", Did::Begin).last().unwrap() - changed <= 1_002);
    assert_eq!(collector.counts().online, 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_polls_closes_things_and_drains() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::every(seconds(10)));
    let mut subscription = collector.subscribe(100);
    rig.tell("slow", Answer::Good(seconds(3)));
    collector.add_many(vec![conf("idle"), conf("slow")]).unwrap();
    rig.pass(seconds(1)).await;
    let began = rig.ms();
    let report = collector.shutdown(seconds(8)).await;
    assert_eq!(report, ShutdownReport { finished: 1, ..ShutdownReport::default() });
    assert!(rig.ms() - began < 3_000, "it ends when everything has");
    for thing in ["idle", "slow"] {
        assert_eq!(rig.times(thing, Did::Close).len(), 1, "{thing}");
    }
    assert!(rig.times("idle", Did::Close)[0] < rig.times("slow", Did::Close)[0]);
    let mut seen = Vec::new();
    while let Some(event) = subscription.next().await {
        seen.push(event.reading.thing.to_string());
    }
    assert_eq!(seen, ["idle", "slow"]);
    assert_eq!(collector.shutdown(seconds(8)).await, report);
    assert_eq!(collector.add(conf("late")).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(collector.remove(&id("idle")).unwrap_err().kind(), ErrorKind::Closed);
    rig.pass(seconds(60)).await;
    assert_eq!(rig.times("idle", Did::Begin).len(), 1);
}

#[derive(Debug)]
struct HangingSink;

#[async_trait]
impl SnapshotSink for HangingSink {
    async fn put(&self, _batch: &[Arc<Reading>]) {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_keeps_its_bound_whatever_hangs() {
    let rig = Rig::new();
    let collector = rig.with_sink(CollectorOptions::every(seconds(60)), Arc::new(HangingSink));
    rig.tell("hangs", Answer::Hang);
    rig.tell("open", Answer::HangOpen);
    rig.tell("close", Answer::HangClose);
    collector.add_many(vec![conf("hangs"), conf("open"), conf("close"), conf("good")]).unwrap();
    rig.pass(seconds(2)).await;
    let began = rig.ms();
    let report = collector.shutdown(seconds(4)).await;
    assert!(rig.ms() - began <= 4_001, "{} ms", rig.ms() - began);
    let expected = ShutdownReport { finished: 0, aborted: 2, unclosed: 1, undelivered: 2 };
    assert_eq!(report, expected);
    assert_eq!(rig.times("hangs", Did::Close).len(), 1, "an aborted poll's thing is closed too");
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_zero_ends_everything_now() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    rig.tell("m", Answer::Hang);
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(1)).await;
    let report = collector.shutdown(Duration::ZERO).await;
    assert_eq!(report.aborted, 1);
    tokio::task::yield_now().await;
    assert_eq!(rig.times("m", Did::End).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_collector_ends_its_polls() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    rig.tell("m", Answer::Hang);
    collector.add_many(vec![conf("m"), conf("n")]).unwrap();
    rig.pass(seconds(1)).await;
    drop(collector);
    rig.pass(seconds(200)).await;
    assert_eq!((rig.times("m", Did::Begin).len(), rig.times("m", Did::End).len()), (1, 1));
    assert_eq!(rig.times("n", Did::Begin).len(), 1);
}

#[test]
fn handles_are_shareable() {
    fn shareable<T: Send + Sync + 'static>() {}
    shareable::<Collector>();
    shareable::<super::super::Subscription>();
    shareable::<Reading>();
}

#[test]
fn starting_needs_a_runtime_and_sound_options() {
    let start = |options| {
        let rig_cx =
            Ctx::new(Arc::new(SystemClock::default()), Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()));
        Collector::start(rig_cx, Arc::default(), options, Arc::new(NullSink)).unwrap_err()
    };
    assert_eq!(start(CollectorOptions::default()).fact("field"), Some("runtime"));
    assert_eq!(start(CollectorOptions::every(Duration::ZERO)).fact("field"), Some("interval"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_works_on_many_threads() {
    let rig = Rig::new();
    let mut options = CollectorOptions::every(Duration::from_millis(20));
    options.lanes = 16;
    options.deadline = Some(seconds(600));
    let collector = rig.collector(options);
    let mut subscription = collector.subscribe(10_000);
    for i in 0..50 {
        rig.tell(&format!("m{i:05}"), Answer::Good(Duration::from_millis(1)));
    }
    collector.add_many(confs("m", 50)).unwrap();
    for _ in 0..500 {
        assert!(subscription.next().await.unwrap().reading.outcome.is_ok());
    }
    let report = collector.shutdown(seconds(20)).await;
    assert_eq!((report.aborted, report.unclosed, report.undelivered), (0, 0, 0));
}
