use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn guards_are_judged_one_by_one() {
    let disk = CrashBackend::new(1);
    let store = create(&disk).await;
    let put = |expect| Batch::new().require(Space::Things, "t", expect).put(Space::Things, "t", &1);
    let e = store.commit(put(Expect::Exists)).await.unwrap_err();
    assert_eq!((e.kind(), e.sent(), e.fact("found")), (crate::ErrorKind::Conflict, Sent::No, Some("absent")));
    let first = store.commit(put(Expect::Absent)).await.unwrap();
    assert!(store.commit(put(Expect::Absent)).await.is_err());
    let second = store.commit(put(Expect::Revision(first))).await.unwrap();
    assert!(second > first);
    assert!(store.commit(put(Expect::Revision(first))).await.is_err());
    assert_eq!(store.get::<u32>(Space::Things, "t").unwrap().unwrap().revision, second);
    assert_eq!(store.health().refused, 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_told_before_anything_is_written() {
    let store = create(&CrashBackend::new(1)).await;
    let bad = [
        Batch::new().put(Space::Things, "", &1),
        Batch::new().delete(Space::Things, "a\u{7}"),
        Batch::new().put(Space::Things, "big", &"x".repeat(9 << 20)),
        Batch::new().put(Space::Things, "map", &BTreeMap::from([((1, 2), 3)])),
        (0..5).fold(Batch::new(), |b, i| b.put(Space::Things, format!("{i}"), &"x".repeat(7 << 20))),
    ];
    for batch in bad {
        assert_eq!(store.commit(batch).await.unwrap_err().kind(), crate::ErrorKind::Invalid);
    }
    assert_eq!(store.count(Space::Things), 0);
}

#[tokio::test]
async fn scans_take_every_range() {
    let store = create(&CrashBackend::new(1)).await;
    let batch = ["a", "b", "b/1", "b/2", "c"].iter().fold(Batch::new(), |b, k| b.put(Space::Racks, *k, &k));
    store.commit(batch).await.unwrap();
    let keys = |records: Vec<super::super::Record>| -> Vec<String> {
        records.iter().map(|r| r.key.to_string()).collect()
    };
    let key = super::super::Key::from;
    assert_eq!(keys(store.scan(Space::Racks, key("b")..key("c"), 2)), ["b", "b/1"]);
    assert_eq!(keys(store.scan(Space::Racks, .., usize::MAX)).len(), 5);
    assert!(store.scan(Space::Racks, key("c")..key("a"), 9).is_empty());
    assert_eq!(keys(store.scan_prefix(Space::Racks, "b/")), ["b/1", "b/2"]);
    assert!(store.scan_prefix(Space::Things, "").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_among_many_writers() {
    let options = StoreOptions { writer: Writer::Thread, ..inline() };
    let disk = CrashBackend::new(3);
    let store = ControlStore::create_on(&cx(3), Arc::new(disk.clone()), &options).await.unwrap();
    store.commit(Batch::new().put(Space::Meta, "n", &0_u32)).await.unwrap();
    let adder = |store: ControlStore| async move {
        let mut done = 0;
        while done < 40 {
            let now = store.get::<u32>(Space::Meta, "n").unwrap().unwrap();
            let batch = Batch::new().require(Space::Meta, "n", Expect::Revision(now.revision)).put(
                Space::Meta,
                "n",
                &(now.value + 1),
            );
            done += u32::from(store.commit(batch).await.is_ok());
        }
    };
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(adder(store.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.get::<u32>(Space::Meta, "n").unwrap().unwrap().value, 320);
    let health = store.health();
    assert!(health.commits <= health.batches && health.waiting == 0);
    store.close().await.unwrap();
    assert_eq!(open(&disk).await.unwrap().get::<u32>(Space::Meta, "n").unwrap().unwrap().value, 320);
}

#[tokio::test]
async fn batches_of_a_group_become_durable_together_and_are_refused_alone() {
    let options = StoreOptions { writer: Writer::Thread, ..inline() };
    let store = ControlStore::create_on(&cx(4), Arc::new(CrashBackend::new(4)), &options).await.unwrap();
    let commit = |i: usize| {
        let store = store.clone();
        let expect = if i.is_multiple_of(3) { Expect::Exists } else { Expect::Absent };
        let batch = Batch::new().require(Space::Things, format!("t{i}"), expect).put(
            Space::Things,
            format!("t{i}"),
            &i,
        );
        tokio::spawn(async move { store.commit(batch).await })
    };
    let tasks: Vec<_> = (0..300).map(commit).collect();
    for (i, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().is_ok(), !i.is_multiple_of(3), "{i}");
    }
    let health = store.health();
    assert_eq!((health.batches, health.refused), (200, 100));
    assert!(health.commits < 100, "{} transactions for 200 batches", health.commits);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    for writer in [Writer::Inline, Writer::Thread] {
        let options = StoreOptions { writer, ..inline() };
        let store = ControlStore::create_on(&cx(5), Arc::new(CrashBackend::new(5)), &options).await.unwrap();
        let other = store.clone();
        store.close().await.unwrap();
        let e = other.commit(Batch::new().put(Space::Meta, "a", &1)).await.unwrap_err();
        assert_eq!(e.kind(), crate::ErrorKind::Closed);
        assert_eq!(other.verify().await.unwrap_err().kind(), crate::ErrorKind::Closed);
    }
}

#[derive(Debug, Clone)]
enum Do {
    Batch(Vec<(u8, u8, Option<u16>)>),
    Open,
}

fn actions() -> impl Strategy<Value = Vec<Do>> {
    let write = (0_u8..6, 0_u8..4, proptest::option::of(any::<u16>()));
    let one = prop_oneof![
        8 => proptest::collection::vec(write, 1..5).prop_map(Do::Batch),
        1 => Just(Do::Open),
    ];
    proptest::collection::vec(one, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Any sequence of guarded batches and restarts does what a map with revisions does.
    #[test]
    fn batches_do_what_a_map_does(actions in actions()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let disk = CrashBackend::new(9);
            let mut store = create(&disk).await;
            let mut model: BTreeMap<u8, (u16, Revision)> = BTreeMap::new();
            for action in actions {
                let Do::Batch(writes) = action else {
                    drop(store);
                    store = open(&disk).await.unwrap();
                    continue;
                };
                let mut batch = Batch::new();
                let mut holds = true;
                for (key, guard, value) in &writes {
                    let known = model.get(key).map(|(_, revision)| *revision);
                    let name = format!("k{key}");
                    let (expect, fits) = match guard {
                        0 => (Expect::Absent, known.is_none()),
                        1 => (Expect::Exists, known.is_some()),
                        2 => (Expect::Revision(known.unwrap_or(Revision(u64::MAX))), known.is_some()),
                        _ => (Expect::Exists, true),
                    };
                    if *guard < 3 {
                        batch = batch.require(Space::Users, name.as_str(), expect);
                        holds &= fits;
                    }
                    batch = match value {
                        Some(value) => batch.put(Space::Users, name, value),
                        None => batch.delete(Space::Users, name),
                    };
                }
                let result = store.commit(batch).await;
                assert_eq!(result.is_ok(), holds);
                let Ok(revision) = result else { continue };
                for (key, _, value) in writes {
                    match value {
                        Some(value) => model.insert(key, (value, revision)),
                        None => model.remove(&key),
                    };
                }
            }
            let found: BTreeMap<u8, (u16, Revision)> = store
                .scan(Space::Users, .., usize::MAX)
                .iter()
                .map(|r| (r.key.as_str()[1..].parse().unwrap(), (r.parse().unwrap(), r.revision)))
                .collect();
            assert_eq!(found, model);
        });
    }
}
