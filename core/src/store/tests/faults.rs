use std::time::Duration;

use super::*;

/// Twelve batches, one key each, over a disk with a plan; says of each what its caller was told.
async fn told(store: &ControlStore) -> Vec<Option<Sent>> {
    let mut told = Vec::new();
    for i in 0..12_u32 {
        let batch = Batch::new().put(Space::Actions, format!("a{i}"), &i).put(Space::Meta, "last", &i);
        told.push(match store.commit(batch).await {
            Ok(_) => None,
            Err(e) => {
                assert!(is_typed(&e), "{e}");
                Some(e.sent())
            }
        });
    }
    told
}

fn assert_true(context: &str, told: &[Option<Sent>], store: &ControlStore) {
    for (i, told) in told.iter().enumerate() {
        let there = store.get_record(Space::Actions, format!("a{i}")).is_some();
        match told {
            None => assert!(there, "{context}: batch {i} was acknowledged and is lost"),
            Some(Sent::No) => assert!(!there, "{context}: batch {i} was told undone and is there"),
            Some(Sent::Maybe) => {}
        }
    }
}

#[tokio::test]
async fn an_error_at_any_call_is_answered_truthfully_and_mended() {
    let mut unknown = 0;
    for k in (0..200).step_by(2) {
        let disk = CrashBackend::new(k);
        let store = create(&disk).await;
        let fail_for = [1, 3, 40][k as usize % 3];
        disk.plan(CrashPlan { fail_at: Some(k), fail_for, forget_failed_sync: true, ..CrashPlan::default() });
        let told = told(&store).await;
        unknown += told.iter().filter(|t| **t == Some(Sent::Maybe)).count();
        let context = format!("call {k}, failing {fail_for} times");
        disk.plan(CrashPlan::default());
        store.commit(Batch::new().put(Space::Meta, "mended", &true)).await.unwrap();
        assert_true(&context, &told, &store);
        assert_eq!(store.health().broken, None);
        // What a failed sync forgot was written once more: it is still there after a cut.
        let after = open(&disk.cut()).await.unwrap();
        assert_true(&context, &told, &after);
        assert!(after.get_record(Space::Meta, "mended").is_some(), "{context}");
    }
    assert!(unknown < 100, "{unknown} of 1,200 outcomes stayed unknown");
}

#[tokio::test]
async fn a_commit_whose_last_sync_failed_is_found_again() {
    // Somewhere among the calls of a commit is the one after which it is durable although it fails.
    let mut both = [0, 0];
    for k in 0..40 {
        let disk = CrashBackend::new(k);
        let store = create(&disk).await;
        disk.plan(CrashPlan { fail_at: Some(k), ..CrashPlan::default() });
        let result = store.commit(Batch::new().put(Space::Meta, "k", &k)).await;
        let opened = store.health().opened;
        if opened > 1 {
            both[usize::from(result.is_ok())] += 1;
        }
        assert_eq!(result.is_ok(), store.get_record(Space::Meta, "k").is_some(), "call {k}");
    }
    assert!(both[0] > 0 && both[1] > 0, "{both:?}");
}

fn with_reserve() -> StoreOptions {
    StoreOptions { reserve_bytes: 1 << 20, ..inline() }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_writes_serves_reads_keeps_room_for_stops_and_resumes() {
    let disk = CrashBackend::new(5);
    let cx = cx(5);
    let store = ControlStore::create_on(&cx, Arc::new(disk.clone()), &with_reserve()).await.unwrap();
    assert_eq!(store.health().reserve_bytes, 1 << 20);
    disk.plan(CrashPlan { capacity: Some(disk.used() + 300_000), ..CrashPlan::default() });
    let big = "z".repeat(20_000);
    let mut written = 0;
    let full = loop {
        match store.commit(Batch::new().put(Space::Things, format!("t{written}"), &big)).await {
            Ok(_) => written += 1,
            Err(e) => break e,
        }
    };
    assert_eq!((full.code(), full.sent(), full.retryable()), (code::FULL, Sent::No, true));
    assert!(store.health().full);
    assert_eq!(store.count(Space::Things), written);

    for i in 0..10 {
        let stop = Batch::new().put(Space::Journal, format!("stop{i}"), &"halt").urgent();
        store.commit(stop).await.unwrap();
    }
    assert!((1..1 << 20).contains(&store.health().reserve_bytes));
    let still = store.commit(Batch::new().put(Space::Meta, "m", &1)).await.unwrap_err();
    assert_eq!(still.code(), code::FULL);

    disk.plan(CrashPlan { capacity: Some(disk.used() + (4 << 20)), ..CrashPlan::default() });
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(2)).await;
    store.commit(Batch::new().put(Space::Meta, "m", &1)).await.unwrap();
    let health = store.health();
    assert_eq!((health.full, health.reserve_bytes), (false, 1 << 20));
    assert!(health.refused_full >= 2);
    let after = open(&disk.cut()).await.unwrap();
    assert_eq!((after.count(Space::Things), after.count(Space::Journal)), (written, 10));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_at_any_point_loses_nothing() {
    for room in (0..40).map(|n| n * 9_000) {
        let disk = CrashBackend::new(room);
        let store = ControlStore::create_on(&cx(6), Arc::new(disk.clone()), &with_reserve()).await.unwrap();
        disk.plan(CrashPlan { capacity: Some(disk.used() + room), ..CrashPlan::default() });
        let told = told(&store).await;
        let stop = store.commit(Batch::new().put(Space::Journal, "stop", &"halt").urgent()).await;
        stop.unwrap();
        assert_true(&format!("room {room}"), &told, &store);
        let after = open(&disk.cut()).await.unwrap();
        assert_true(&format!("room {room}, after a cut"), &told, &after);
        assert!(after.get_record(Space::Journal, "stop").is_some());
    }
}

#[tokio::test]
async fn a_disk_that_lost_confirmed_commits_is_told_and_never_written_again() {
    let disk = CrashBackend::new(8);
    let (store, models) = filled(&disk, 8, 5).await;
    let old = CrashBackend::with_bytes(8, disk.bytes());
    drop(old);
    let before = disk.bytes();
    store.commit(Batch::new().put(Space::Meta, "later", &1)).await.unwrap();
    // The file goes back to what it was: as if a confirmed commit had never happened.
    let len = before.len() as u64;
    disk.set_size(len).unwrap();
    disk.write(0, &before).unwrap();
    let e = store.commit(Batch::new().put(Space::Meta, "next", &1)).await.unwrap_err();
    assert!(is_typed(&e), "{e}");
    let e = store.commit(Batch::new().put(Space::Meta, "next", &1)).await.unwrap_err();
    assert!([code::LOST, code::CORRUPT].contains(&e.code()), "{e}");
    assert_eq!(content(&store), models[5]);
    assert!(store.health().broken.is_some());
}
