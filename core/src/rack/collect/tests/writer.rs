use super::*;

fn opened(rig: &Rig, thing: &str) -> (usize, usize) {
    (rig.times(thing, Did::Open).len(), rig.times(thing, Did::Close).len())
}

#[tokio::test(start_paused = true)]
async fn a_writer_and_the_polls_share_one_thing() {
    let rig = Rig::new();
    let collector = rig.collector(CollectorOptions::every(seconds(5)));
    collector.add(conf("a")).unwrap();
    let thing = collector.thing(&rig.cx, &id("a")).await.unwrap();
    assert!(collector.capability(&id("a")).is_none(), "it was not polled yet");
    rig.pass(seconds(12)).await;
    let again = collector.thing(&rig.cx, &id("a")).await.unwrap();
    assert!(Arc::ptr_eq(&thing, &again));
    assert_eq!(opened(&rig, "a"), (1, 0));
    assert!(collector.capability(&id("a")).is_some_and(|c| c.commands().is_empty()), "it is only read");
    let unknown = collector.thing(&rig.cx, &id("b")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    collector.shutdown(seconds(1)).await;
    assert_eq!(collector.thing(&rig.cx, &id("a")).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn who_opens_second_closes_its_own() {
    let rig = Rig::new();
    rig.tell("a", Answer::SlowOpen(seconds(2)));
    let collector = rig.collector(CollectorOptions::every(seconds(5)));
    collector.add(conf("a")).unwrap();
    // The poll begins to open within a second, and the writer at once: it is done before.
    let thing = collector.thing(&rig.cx, &id("a")).await.unwrap();
    rig.pass(seconds(10)).await;
    assert!(Arc::ptr_eq(&thing, &collector.thing(&rig.cx, &id("a")).await.unwrap()));
    assert_eq!(opened(&rig, "a"), (2, 1));
    assert!(collector.last(&id("a")).unwrap().outcome.is_ok(), "the poll went on with the writer's");
}

#[tokio::test(start_paused = true)]
async fn what_was_opened_with_old_options_is_not_kept() {
    let rig = Rig::new();
    rig.tell("a", Answer::SlowOpen(seconds(2)));
    let collector = rig.collector(CollectorOptions::every(seconds(60)));
    collector.add(conf("a")).unwrap();
    let a = id("a");
    let (refused, ()) = tokio::join!(collector.thing(&rig.cx, &a), async {
        rig.pass(seconds(1)).await;
        collector.update(conf("a").opt("address", "10.0.0.9")).unwrap();
    });
    let e = refused.unwrap_err();
    assert_eq!((e.kind(), e.retryable()), (ErrorKind::Conflict, true));
    rig.pass(seconds(10)).await;
    // The writer's is closed, the first poll's was broken off before it was one, and the second poll's stays.
    assert_eq!(opened(&rig, "a"), (3, 1));
    assert!(collector.last(&id("a")).unwrap().outcome.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_restart_opens_everything_anew_and_keeps_the_readings() {
    let rig = Rig::new();
    rig.tell("silent", Answer::Fail(ErrorKind::Unreachable));
    let collector = rig.collector(CollectorOptions::every(seconds(5)));
    collector.add_many(vec![conf("a"), conf("b"), conf("silent")]).unwrap();
    rig.pass(seconds(12)).await;
    let before = collector.last(&id("a")).unwrap().seq;
    assert_eq!(collector.restart().unwrap(), 3);
    assert!(collector.last(&id("a")).is_some() && collector.capability(&id("a")).is_none());
    rig.pass(seconds(3)).await;
    for thing in ["a", "b", "silent"] {
        assert_eq!(opened(&rig, thing), (2, 1), "{thing}");
    }
    assert!(collector.last(&id("a")).unwrap().seq > before);
    collector.shutdown(seconds(1)).await;
    assert_eq!(collector.restart().unwrap_err().kind(), ErrorKind::Closed);
}
