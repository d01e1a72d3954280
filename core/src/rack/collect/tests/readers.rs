use super::*;

/// A sink that takes its time and remembers the sizes of its batches.
#[derive(Debug)]
struct SlowSink {
    rig: Rig,
    takes: Duration,
    batches: Mutex<Vec<usize>>,
    panics: bool,
}

impl SlowSink {
    fn new(rig: &Rig, takes: Duration) -> Self {
        Self { rig: rig.clone(), takes, batches: Mutex::default(), panics: false }
    }

    fn taken(&self) -> usize {
        self.batches.lock().unwrap().iter().sum()
    }
}

#[async_trait]
impl SnapshotSink for SlowSink {
    async fn put(&self, batch: &[Arc<Reading>]) {
        assert!(!self.panics, "as told");
        self.rig.pass(self.takes).await;
        self.batches.lock().unwrap().push(batch.len());
    }
}

fn per_second() -> CollectorOptions {
    let mut options = CollectorOptions::every(seconds(1));
    options.sink_queue = 100;
    options
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_delays_no_poll_and_its_losses_are_counted() {
    let rig = Rig::new();
    let sink = Arc::new(SlowSink::new(&rig, seconds(3)));
    let collector = rig.with_sink(per_second(), Arc::clone(&sink) as Arc<dyn SnapshotSink>);
    collector.add_many(confs("m", 50)).unwrap();
    rig.pass(seconds(60)).await;
    let counts = collector.counts();
    assert_eq!((counts.polls_late, counts.ticks_missed), (0, 0));
    assert!(counts.sink_dropped > 500, "{counts:?}");
    let report = collector.shutdown(seconds(10)).await;
    assert_eq!(report.undelivered, 0);
    let counts = collector.counts();
    let taken = u64::try_from(sink.taken()).unwrap();
    assert_eq!(counts.polls_done, taken + counts.sink_dropped, "every reading is taken or counted");
    assert!(sink.batches.lock().unwrap().iter().all(|n| *n <= 100));
}

#[tokio::test(start_paused = true)]
async fn a_quick_sink_gets_everything_in_batches() {
    let rig = Rig::new();
    let sink = Arc::new(SlowSink::new(&rig, Duration::ZERO));
    let collector = rig.with_sink(per_second(), Arc::clone(&sink) as Arc<dyn SnapshotSink>);
    collector.add_many(confs("m", 200)).unwrap();
    rig.pass(seconds(20)).await;
    collector.shutdown(seconds(2)).await;
    let counts = collector.counts();
    assert_eq!((counts.sink_dropped, u64::try_from(sink.taken()).unwrap()), (0, counts.polls_done));
    let batches = sink.batches.lock().unwrap().len();
    assert!(batches <= 20 * 21, "{batches} batches in 20 s");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_loses_its_batch_and_goes_on() {
    let rig = Rig::new();
    let sink = SlowSink { panics: true, ..SlowSink::new(&rig, Duration::ZERO) };
    let collector = rig.with_sink(per_second(), Arc::new(sink));
    collector.add(conf("m")).unwrap();
    rig.pass(seconds(5)).await;
    let counts = collector.counts();
    assert!(counts.sink_dropped >= 4 && counts.online == 1, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn each_subscriber_is_told_what_it_missed() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::every(seconds(1)));
    let (mut slow, mut quick) = (collector.subscribe(3), collector.subscribe(1_000));
    let gone = collector.subscribe(1);
    collector.add(conf("m")).unwrap();
    drop(gone);
    rig.pass(Duration::from_millis(9_500)).await;
    let event = slow.next().await.unwrap();
    assert_eq!((event.reading.seq, event.missed), (8, 7));
    let event = slow.next().await.unwrap();
    assert_eq!((event.reading.seq, event.missed), (9, 0));
    for seq in 1..=10 {
        let event = quick.next().await.unwrap();
        assert_eq!((event.reading.seq, event.missed), (seq, 0));
    }
    assert_eq!(collector.counts().events_missed, 7);
    let next = quick.next().await.unwrap();
    assert_eq!((next.reading.seq, rig.ms() / 100), (11, 100), "it waits for the next one");
    drop(collector);
    while slow.next().await.is_some() {}
    assert!(quick.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_a_stream() {
    fn is_stream<T: futures_core::Stream<Item = super::super::Event> + Unpin + Send>(_: &T) {}
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::default());
    is_stream(&collector.subscribe(0));
    collector.shutdown(seconds(1)).await;
    assert!(collector.subscribe(5).next().await.is_none());
}
