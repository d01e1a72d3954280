use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::*;
use crate::{
    ErrorKind, ThingId,
    io::Timestamp,
    model::Snapshot,
    store::{FileBackend, LAST_FILE, LastRow, LastStore},
};

fn id(n: u32) -> ThingId {
    ThingId::new(&format!("t{n}")).unwrap()
}

fn row(ts: i64) -> LastRow {
    LastRow { ts: Timestamp(ts), err: None, snap: Some(Snapshot::offline()) }
}

fn start(cx: &Ctx, disk: &CrashBackend) -> (LastStore, Vec<(ThingId, LastRow)>) {
    let (store, restored) = LastStore::open_on(cx, Arc::new(disk.clone()), "site", Writer::Inline).unwrap();
    assert_eq!(restored.unreadable, 0);
    (store, restored.rows)
}

#[tokio::test(start_paused = true)]
async fn rows_become_durable_once_a_second_and_come_back() {
    let (cx, disk) = (cx(1), CrashBackend::new(1));
    LastStore::create_on(Arc::new(disk.clone()), "site").unwrap();
    let (store, rows) = start(&cx, &disk);
    assert!(rows.is_empty() && store.durable_until().is_none());
    disk.plan(CrashPlan::default());
    for n in 0..20 {
        store.record(&id(n), &row(i64::from(n)));
    }
    assert_eq!(disk.calls(), 0);
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(1)).await;
    store.record(&id(3), &row(1_000));
    store.forget(&id(4));
    let until = store.durable_until().unwrap();
    assert!(until <= cx.clock.wall());
    store.flush().unwrap();
    let (_, rows) = start(&cx, &disk.cut());
    assert_eq!(rows.len(), 19);
    assert_eq!(rows.iter().find(|(i, _)| *i == id(3)).unwrap().1, row(1_000));
    assert_eq!(store.dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn rows_wait_as_long_as_was_said() {
    let (cx, disk) = (cx(1), CrashBackend::new(1));
    LastStore::create_on(Arc::new(disk.clone()), "site").unwrap();
    let (store, _) = start(&cx, &disk);
    store.set_every(Duration::from_secs(60));
    for (seconds, is_durable) in [(59, false), (1, true)] {
        cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(seconds)).await;
        store.record(&id(1), &row(1));
        assert_eq!(store.durable_until().is_some(), is_durable);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_the_rows_and_mends_itself() {
    for k in 0..60 {
        let (cx, disk) = (cx(1), CrashBackend::new(k));
        LastStore::create_on(Arc::new(disk.clone()), "site").unwrap();
        let (store, _) = start(&cx, &disk);
        disk.plan(CrashPlan { fail_at: Some(k), forget_failed_sync: true, ..CrashPlan::default() });
        for n in 0..10 {
            store.record(&id(n), &row(1));
            let failed = store.flush().is_err();
            if !failed {
                assert!(store.durable_until().is_some());
            }
        }
        disk.plan(CrashPlan::default());
        store.close().unwrap();
        assert_eq!(start(&cx, &disk.cut()).1.len(), 10, "call {k}");
    }
}

#[test]
fn a_thread_flushes_by_itself_and_at_the_end() {
    let disk = CrashBackend::new(1);
    let cx = cx(1);
    LastStore::create_on(Arc::new(disk.clone()), "site").unwrap();
    let (store, _) = LastStore::open_on(&cx, Arc::new(disk.clone()), "site", Writer::Thread).unwrap();
    store.record(&id(1), &row(1));
    drop(store.clone());
    drop(store);
    assert_eq!(start(&cx, &disk).1.len(), 1);
}

#[test]
fn another_sites_rows_are_refused() {
    let disk = CrashBackend::new(1);
    LastStore::create_on(Arc::new(disk.clone()), "other").unwrap();
    let before = disk.bytes();
    let e = LastStore::open_on(&cx(1), Arc::new(disk.clone()), "site", Writer::Inline).unwrap_err();
    assert_eq!(e.code(), code::FOREIGN);
    assert!(disk.bytes() == before);
}

/// Several transactions' worth, with others written meanwhile.
#[test]
fn a_backup_holds_all_rows_while_others_are_written() {
    let to = std::env::temp_dir().join(format!("headframe-last-backup-{}", std::process::id()));
    let _old = fs::remove_dir_all(&to);
    let (cx, disk) = (cx(1), CrashBackend::new(1));
    LastStore::create_on(Arc::new(disk.clone()), "site").unwrap();
    let (store, _) = start(&cx, &disk);
    let large = |ts| LastRow { ts: Timestamp(ts), err: Some("x".repeat(100_000)), snap: None };
    for n in 0..200 {
        store.record(&id(n), &large(7));
    }
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for ts in (0_i64..).take_while(|_| !ended.load(Ordering::Relaxed)) {
                (200..220).for_each(|n| store.record(&id(n), &row(ts)));
                store.forget(&id(200));
                store.flush().unwrap();
            }
        });
        store.backup(&to).unwrap();
        ended.store(true, Ordering::Relaxed);
    });
    let e = store.backup(&to).unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Conflict, code::EXISTS), "{e}");
    let copy = Arc::new(FileBackend::open(&to.join(LAST_FILE), None).unwrap());
    let (copied, restored) = LastStore::open_on(&cx, copy, "site", Writer::Inline).unwrap();
    let of = |n| restored.rows.iter().find(|(thing, _)| *thing == id(n)).map(|(_, row)| row.clone());
    assert!((0..200).all(|n| of(n) == Some(large(7))), "{} rows", restored.rows.len());
    assert!(restored.unreadable == 0 && restored.rows.len() <= 220);
    copied.close().unwrap();
    store.clone().close().unwrap();
    fs::remove_dir_all(&to).unwrap();
    assert_eq!(store.backup(&to).unwrap_err().kind(), ErrorKind::Closed);
    fs::remove_dir_all(&to).unwrap();
}
