//! Moments at which a process ends or the power goes, and what the folder holds then.

use super::*;
use crate::history::{Disk, DiskPlan, code};

fn tiny() -> HistoryOptions {
    HistoryOptions { bound_bytes: 64 << 10, seal_log_bytes: 4 << 10, max_block_bytes: 16 << 10, ..small() }
}

/// Appends a sample each 40 minutes until a call fails; gives the times that were committed.
fn fill(history: &History, rng: &mut fastrand::Rng, now: &mut i64, samples: usize) -> (Vec<i64>, bool) {
    let shape = Shape::new((0..40).map(|i| format!("m{i}"))).unwrap();
    let mut committed = Vec::new();
    for _ in 0..samples {
        let values: Vec<f64> = (0..40).map(|_| rng.f64()).collect();
        let sample = Sample { owner: "o", ts: Timestamp(*now), shape: &shape, values: &values, texts: None };
        history.append(&[sample]).unwrap();
        if history.commit().is_err() {
            return (committed, false);
        }
        committed.push(*now);
        *now += 2_400_000;
        loop {
            match history.maintain(Timestamp(*now)) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return (committed, false),
            }
        }
    }
    (committed, true)
}

#[test]
fn a_cut_while_days_are_removed_leaves_no_half_of_one_and_they_are_told() {
    let (mut cuts, mut notes) = (0, 0);
    for seed in 0..150 {
        let (mut rng, mut now) = (fastrand::Rng::with_seed(seed), NOON);
        let mut disk = MemDisk::new(seed);
        let history = create(&disk, tiny());
        let (mut committed, _) = fill(&history, &mut rng, &mut now, 150);
        disk.plan(DiskPlan { cut_at: Some(rng.u64(0..600)), ..DiskPlan::default() });
        let (more, went_on) = fill(&history, &mut rng, &mut now, 60);
        committed.extend(more);
        drop(history);
        disk = disk.cut();
        notes += usize::from(disk.list().unwrap().iter().any(|(name, _)| name.ends_with(".gone")));
        for _ in 0..2 {
            let history = open(&disk, tiny(), now);
            let series = history.series("o", "m7", ALL).unwrap();
            let found: BTreeSet<i64> = series.points.iter().map(|(ts, _)| *ts).collect();
            let first = *found.first().unwrap();
            assert!(committed.iter().filter(|ts| **ts >= first).all(|ts| found.contains(ts)), "seed {seed}");
            let removed = series.removed_before.map_or(0, |removed| removed.0);
            let gone = committed.iter().filter(|ts| **ts < first).max();
            assert!(gone.is_none_or(|gone| *gone < removed), "seed {seed}: {gone:?} is gone, {removed}");
        }
        let left = disk.list().unwrap().into_iter().filter(|(name, _)| name.ends_with(".gone")).count();
        assert_eq!(left, 0, "seed {seed}");
        cuts += usize::from(!went_on);
    }
    assert!(cuts > 50 && notes > 5, "{cuts} {notes}");
}

#[test]
fn what_a_killed_process_wrote_and_others_read_survives_a_power_cut() {
    for seed in 0..30 {
        let disk = MemDisk::new(seed);
        let history = create(&disk, small());
        let shape = Shape::new(["x"]).unwrap();
        let sample = Sample { owner: "o", ts: Timestamp(NOON), shape: &shape, values: &[1.5], texts: None };
        history.append(&[sample]).unwrap();
        // Killed between writing and syncing.
        disk.plan(DiskPlan { fail_at: Some(1), ..DiskPlan::default() });
        assert_eq!(history.commit().unwrap_err().code(), code::IO);
        drop(history);
        disk.plan(DiskPlan::default());
        let seen = rows(&open(&disk, small(), NOON), "o", &ALL);
        assert_eq!(seen.len(), 1);
        assert_eq!(rows(&open(&disk.cut(), small(), NOON), "o", &ALL), seen, "seed {seed}");
    }
}

#[test]
fn a_read_that_goes_wrong_once_cuts_nothing() {
    let disk = MemDisk::new(3);
    let history = create(&disk, small());
    let mut model = Model::default();
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..4 {
        append(&history, &mut model, &mut rng, NOON);
        history.commit().unwrap();
    }
    drop(history);
    let (mut refused, mut right) = (0, 0);
    for call in 0..30 {
        let disk = disk.cut();
        disk.plan(DiskPlan { wrong_at: Some(call), ..DiskPlan::default() });
        match History::open(Arc::new(disk.clone()), small(), Timestamp(NOON)) {
            Ok((history, report)) => {
                assert_eq!(report.cut_bytes, 0, "call {call}");
                model.compare(&history, &ALL);
                right += 1;
            }
            Err(e) => {
                assert_eq!(e.code(), code::CORRUPT);
                disk.plan(DiskPlan::default());
                model.compare(&open(&disk, small(), NOON), &ALL);
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && right > 10, "{refused} {right}");
}
