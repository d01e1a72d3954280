use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::*;
use crate::history::{Disk, DiskPlan, FolderDisk, code};

const BOUND: u64 = 512 << 10;

fn bounded() -> HistoryOptions {
    HistoryOptions {
        bound_bytes: BOUND,
        seal_log_bytes: 32 << 10,
        step_values: 2_000,
        max_block_bytes: 64 << 10,
        ..small()
    }
}

/// Appends `bytes` of samples, an hour a step.
fn fill(history: &History, rng: &mut fastrand::Rng, now: &mut i64, bytes: u64) {
    let shape = Shape::new((0..40).map(|i| format!("m{i}"))).unwrap();
    let before = || history.stats();
    let mut written = 0;
    while written < bytes {
        for owner in 0..10 {
            let values: Vec<f64> = (0..40).map(|_| rng.f64()).collect();
            let owner = format!("owner-{owner}");
            let sample =
                Sample { owner: &owner, ts: Timestamp(*now), shape: &shape, values: &values, texts: None };
            history.append(&[sample]).unwrap();
            written += 9 * 40;
        }
        history.commit().unwrap();
        *now += 600_000;
        while history.maintain(Timestamp(*now)).unwrap().is_some() {
            assert!(before().bytes <= BOUND);
        }
    }
}

#[test]
fn the_bound_holds_on_a_disk_that_has_no_more() {
    let disk = MemDisk::new(9);
    disk.plan(DiskPlan { capacity: Some(BOUND), ..DiskPlan::default() });
    let (mut rng, mut now) = (fastrand::Rng::with_seed(9), NOON);
    let mut history = create(&disk, bounded());
    for _ in 0..3 {
        fill(&history, &mut rng, &mut now, 3 * BOUND);
        let stats = history.stats();
        assert!(stats.removed_days > 0 && stats.removed_bytes > 0 && stats.removed_samples > 0);
        assert_eq!(stats.bytes, disk.used());
        let all = history.series("owner-3", "m7", ALL).unwrap();
        let removed = all.removed_before.unwrap();
        let recent = history.series("owner-3", "m7", removed..Timestamp(MAX_TS)).unwrap();
        let later = all.points.iter().filter(|(ts, _)| *ts >= removed.0).count();
        assert_eq!((recent.points.len(), recent.removed_before), (later, None));
        assert!(!all.points.is_empty() && all.points.is_sorted_by(|a, b| a.0 < b.0));
        drop(history);
        history = open(&disk, bounded(), now);
        let again = history.series("owner-3", "m7", ALL).unwrap();
        assert_eq!(again.points, all.points);
    }
    assert!(disk.peak() <= BOUND, "{}", disk.peak());
}

#[test]
fn a_log_that_nobody_seals_does_not_break_the_bound() {
    let history = create(&MemDisk::new(1), bounded());
    let shape = Shape::new(["x"]).unwrap();
    let sample =
        Sample { owner: "o", ts: Timestamp(NOON), shape: &shape, values: &[0.123_456_789], texts: None };
    let refused = (0..100_000).find_map(|_| {
        history.append(&[sample; 50]).unwrap();
        history.commit().err()
    });
    assert_eq!(refused.unwrap().code(), code::FULL);
    // Nothing was lost: sealing makes room, and the commit goes through.
    settle(&history, NOON);
    history.commit().unwrap();
    assert_eq!(history.stats().durable_sequence, history.stats().sequence);
}

/// Bytes of the folder's files, and of those that are open and have no name any more.
fn on_disk(path: &std::path::Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path).unwrap() {
        bytes += entry.unwrap().metadata().map_or(0, |meta| meta.len());
    }
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return bytes };
    for entry in open.filter_map(Result::ok) {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        let removed = target.starts_with(path) && target.to_string_lossy().ends_with("(deleted)");
        bytes += if removed { std::fs::metadata(entry.path()).map_or(0, |meta| meta.len()) } else { 0 };
    }
    bytes
}

#[test]
fn the_bound_holds_in_a_folder_while_others_read() {
    let path = std::env::temp_dir().join(format!("headframe-history-bound-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::open(&path).unwrap());
    let (history, _) = History::create(disk, bounded(), Timestamp(NOON)).unwrap();
    let (done, most, answers) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (history, done, answers) = (&history, &done, &answers);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(reader);
                while !done.load(Relaxed) {
                    let owner = format!("owner-{}", rng.u32(0..10));
                    let series = history.series(&owner, "m7", ALL).unwrap();
                    let ordered = series.points.is_sorted_by(|a, b| a.0 < b.0);
                    assert!(ordered, "a value comes twice");
                    answers.fetch_add(1, Relaxed);
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Relaxed) {
                most.fetch_max(on_disk(&path), Relaxed);
            }
        });
        let (mut rng, mut now) = (fastrand::Rng::with_seed(9), NOON);
        for _ in 0..3 {
            fill(&history, &mut rng, &mut now, 3 * BOUND);
        }
        done.store(true, Relaxed);
    });
    assert!(history.stats().removed_days > 3 && answers.load(Relaxed) > 10);
    assert!((1..=BOUND).contains(&most.load(Relaxed)), "{}", most.load(Relaxed));
    drop(history);
    std::fs::remove_dir_all(&path).unwrap();
}
