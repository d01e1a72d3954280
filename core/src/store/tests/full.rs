use std::time::Duration;

use super::*;

const RESERVE: u64 = 1 << 20;

fn with_reserve() -> StoreOptions {
    StoreOptions { reserve_bytes: RESERVE, ..inline() }
}

async fn create_with_reserve(disk: &CrashBackend, cx: &Ctx) -> ControlStore {
    ControlStore::create_on(cx, Arc::new(disk.clone()), &with_reserve()).await.unwrap()
}

async fn open_with_reserve(disk: &CrashBackend) -> ControlStore {
    ControlStore::open_on(&cx(2), Arc::new(disk.clone()), &with_reserve()).await.unwrap()
}

fn stop(n: usize) -> Batch {
    Batch::new().put(Space::Journal, format!("stop{n}"), &"halt").put(Space::Meta, "last", &n).urgent()
}

/// Writes until the disk is full.
async fn fill(store: &ControlStore) -> Error {
    let big = "z".repeat(20_000);
    for n in 0_u32.. {
        let batch = Batch::new().put(Space::Things, format!("t{n}"), &big);
        if let Err(e) = store.commit(batch).await {
            return e;
        }
    }
    unreachable!("the disk never became full")
}

/// A store on a disk that is full to the last byte, with `stops` stop actions in its reserve.
async fn full_with(disk: &CrashBackend, cx: &Ctx, stops: usize) -> ControlStore {
    let store = create_with_reserve(disk, cx).await;
    disk.plan(CrashPlan { capacity: Some(disk.used()), ..CrashPlan::default() });
    fill(&store).await;
    for n in 0..stops {
        store.commit(stop(n)).await.unwrap();
    }
    store
}

async fn wait(cx: &Ctx) {
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn stops_are_durable_whatever_another_program_takes_and_when() {
    for seed in 0..16 {
        let (disk, cx) = (CrashBackend::new(seed), cx(seed));
        let store = create_with_reserve(&disk, &cx).await;
        let capacity = Some(disk.used() + 30_000 * seed);
        disk.plan(CrashPlan { capacity, greedy: true, ..CrashPlan::default() });
        for n in 0..10 {
            let e = fill(&store).await;
            assert_eq!((e.code(), e.sent()), (code::FULL, Sent::No), "seed {seed}");
            store.commit(stop(n)).await.unwrap();
            // Half of them after a try to write again.
            if n % 2 == 0 {
                wait(&cx).await;
            }
            let after = open(&disk.cut()).await.unwrap();
            assert_eq!(
                (after.count(Space::Journal), content(&after)),
                (n + 1, content(&store)),
                "seed {seed}"
            );
        }
        disk.take_space(0);
        disk.plan(CrashPlan::default());
        wait(&cx).await;
        store.commit(Batch::new().put(Space::Meta, "more", &1)).await.unwrap();
        let health = store.health();
        assert_eq!((health.full, health.reserve_bytes), (false, RESERVE), "seed {seed}");
        assert_eq!(store.count(Space::Journal), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn stops_in_the_reserve_outlive_restarts_with_and_without_space() {
    let (disk, cx) = (CrashBackend::new(1), cx(1));
    let store = full_with(&disk, &cx, 3).await;
    // More than what is free within the file.
    store.commit(Batch::new().put(Space::Journal, "large", &"z".repeat(400_000)).urgent()).await.unwrap();
    let (revision, things) = (store.revision(), content(&store));
    assert!(store.health().reserve_bytes < RESERVE);
    drop(store);
    disk.plan(CrashPlan { capacity: Some(disk.used()), ..CrashPlan::default() });
    let store = open_with_reserve(&disk).await;
    assert_eq!((store.revision(), store.count(Space::Journal)), (revision, 4));
    assert!(store.health().full);
    store.commit(stop(3)).await.unwrap();
    drop(store);
    disk.plan(CrashPlan::default());
    let store = open_with_reserve(&disk).await;
    let health = store.health();
    assert_eq!((health.full, health.reserve_bytes), (false, RESERVE));
    assert_eq!((content(&store), store.count(Space::Journal)), (things, 5));
    assert_eq!(store.get::<u32>(Space::Meta, "last").unwrap().unwrap().value, 3);
    drop(store);
    // Taken over is not taken over twice.
    let store = open_with_reserve(&disk).await;
    store.commit(Batch::new().delete(Space::Journal, "stop0")).await.unwrap();
    drop(store);
    assert_eq!(open_with_reserve(&disk).await.count(Space::Journal), 4);
}

#[tokio::test(start_paused = true)]
async fn an_error_at_any_call_loses_no_stop_of_the_reserve() {
    for k in 0..60 {
        let (disk, cx) = (CrashBackend::new(k), cx(k));
        let store = full_with(&disk, &cx, 3).await;
        wait(&cx).await;
        let fail_for = [1, 3, 40][k as usize % 3];
        let plan = CrashPlan { fail_at: Some(k), fail_for, forget_failed_sync: true, ..CrashPlan::default() };
        disk.plan(plan);
        let told = store.commit(stop(3)).await;
        let after = open(&disk.cut()).await.unwrap();
        assert!(after.count(Space::Journal) >= 3 + usize::from(told.is_ok()), "call {k}");
        disk.plan(CrashPlan::default());
        for _ in 0..2 {
            wait(&cx).await;
            let _any = store.commit(Batch::new().put(Space::Meta, "mended", &true)).await;
        }
        let after = open(&disk.cut()).await.unwrap();
        assert!(after.get_record(Space::Meta, "mended").is_some(), "call {k}");
        let there = after.count(Space::Journal);
        match told {
            Ok(_) => assert_eq!(there, 4, "call {k}"),
            Err(e) if e.sent() == Sent::No => assert_eq!(there, 3, "call {k}: {e}"),
            Err(_) => assert!(there >= 3, "call {k}"),
        }
        assert_eq!(store.health().reserve_bytes, RESERVE, "call {k}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reserve_that_is_used_up_refuses_and_is_whole_when_space_returns() {
    let (disk, cx) = (CrashBackend::new(2), cx(2));
    let store = full_with(&disk, &cx, 0).await;
    let large = "z".repeat(300_000);
    let stop = |n: u32| Batch::new().put(Space::Journal, format!("s{n}"), &large).urgent();
    let mut kept = 0;
    let e = loop {
        match store.commit(stop(kept)).await {
            Ok(_) => kept += 1,
            Err(e) => break e,
        }
    };
    assert_eq!((e.code(), e.sent(), kept), (code::FULL, Sent::No, 3));
    // A smaller one still fits.
    store.commit(Batch::new().put(Space::Journal, "small", &1).urgent()).await.unwrap();
    disk.plan(CrashPlan::default());
    wait(&cx).await;
    store.commit(stop(kept)).await.unwrap();
    assert_eq!((store.count(Space::Journal), store.health().reserve_bytes), (5, RESERVE));
}

#[tokio::test(start_paused = true)]
async fn stops_of_another_file_and_damaged_ones_are_not_read() {
    let (disk, cx) = (CrashBackend::new(3), cx(3));
    let store = full_with(&disk, &cx, 0).await;
    let backup = disk.bytes();
    drop(store);
    disk.plan(CrashPlan::default());
    let store = open_with_reserve(&disk).await;
    store.commit(Batch::new().put(Space::Meta, "later", &1)).await.unwrap();
    disk.plan(CrashPlan { capacity: Some(disk.used()), ..CrashPlan::default() });
    fill(&store).await;
    for n in 0..3 {
        store.commit(stop(n)).await.unwrap();
    }
    drop(store);
    // A backup from before is put back, the reserve stays.
    let (damaged, later) = (disk.cut(), disk.bytes());
    disk.plan(CrashPlan::default());
    disk.set_size(backup.len() as u64).unwrap();
    disk.write(0, &backup).unwrap();
    assert_eq!(open_with_reserve(&disk).await.count(Space::Journal), 0);

    // The first entry stays good, the second does not, and so the third has nothing that it continues.
    let mut entry = vec![0; 2_000];
    damaged.read_kept(0, &mut entry).unwrap();
    let second = 28 + usize::from(entry[24]) + (usize::from(entry[25]) << 8);
    entry[second + 40] ^= 1;
    damaged.write_kept(0, &entry).unwrap();
    assert_eq!(damaged.bytes().len(), later.len());
    assert_eq!(open_with_reserve(&damaged).await.count(Space::Journal), 1);
}
