use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::*;
use crate::history::{BackupReport, Disk, DiskPlan, code};

const MANIFEST: &str = "history.backup";

fn taken(history: &History) -> (MemDisk, BackupReport) {
    let target = MemDisk::new(77);
    let report = history.backup(&target, Timestamp(NOON)).unwrap();
    assert_eq!(report.bytes() + target.bytes(MANIFEST).unwrap().len() as u64, target.used());
    (target, report)
}

fn restored(backup: &MemDisk, options: HistoryOptions, now: i64) -> History {
    let disk = MemDisk::new(78);
    let report = History::restore(backup, &disk).unwrap();
    assert_eq!(report.taken, Timestamp(NOON));
    let (history, opened) = History::open(Arc::new(disk), options, Timestamp(now)).unwrap();
    assert_eq!((opened.cut_bytes, opened.leftovers, opened.damaged.len()), (0, 0, 0), "{opened:?}");
    assert_eq!(opened.foreign, [""; 0]);
    history
}

/// A history with logs, parts and days.
fn built(seed: u64) -> (MemDisk, History, Model, i64) {
    let (disk, mut model, mut rng) = (MemDisk::new(seed), Model::default(), fastrand::Rng::with_seed(seed));
    let history = create(&disk, small());
    let mut now = NOON;
    for step in 0..40 {
        append(&history, &mut model, &mut rng, now);
        history.commit().unwrap();
        now += if step % 15 == 14 { DAY_MS } else { 60_000 };
        settle(&history, now);
    }
    append(&history, &mut model, &mut rng, now);
    history.commit().unwrap();
    (disk, history, model, now)
}

#[test]
fn a_restored_history_answers_as_the_one_that_was_backed_up() {
    for seed in 0..6 {
        let (_, history, mut model, now) = built(seed);
        let (backup, report) = taken(&history);
        assert_eq!((report.samples, &report.left_out[..]), (model.0.len() as u64, &[][..]));
        assert_eq!(report.sequence, history.stats().durable_sequence);
        // What comes after the backup is not in it, and what was not committed neither.
        let mut rng = fastrand::Rng::with_seed(seed);
        let before = model.clone();
        append(&history, &mut model, &mut rng, now);
        let (second, _) = taken(&history);
        for backup in [&backup, &second] {
            let again = restored(backup, small(), now);
            before.compare(&again, &ALL);
            assert_eq!(again.stats().samples, before.0.len() as u64);
            settle(&again, now + 3 * DAY_MS);
            before.compare(&again, &ALL);
        }
    }
}

/// Writes until told to stop; `acknowledged` is the last sequence that is certainly durable.
fn write(history: &History, model: &mut Model, done: &AtomicBool, acknowledged: &AtomicU64) -> i64 {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut now = NOON;
    while !done.load(Relaxed) {
        append(history, model, &mut rng, now);
        if rng.bool() {
            history.commit().unwrap();
            acknowledged.store(model.0.last().map_or(0, |kept| kept.seq), Relaxed);
        }
        for _ in 0..rng.u32(0..8) {
            history.maintain(Timestamp(now)).unwrap();
        }
        now += if rng.u32(0..20) == 0 { DAY_MS / 3 } else { 30_000 };
    }
    now
}

/// Takes backups while another thread writes and maintains.
fn while_written(
    options: HistoryOptions,
    backups: usize,
) -> (Vec<(MemDisk, BackupReport)>, Model, History, i64) {
    let history = create(&MemDisk::new(5), options);
    let (done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut model = Model::default();
    let mut all = Vec::new();
    let now = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&history, &mut model, &done, &acknowledged));
        while all.len() < backups && !writer.is_finished() {
            let durable = acknowledged.load(Relaxed);
            let (disk, report) = taken(&history);
            assert!(report.sequence >= durable, "{} {durable}", report.sequence);
            assert_eq!(report.left_out, []);
            all.push((disk, report));
            let until = durable + 40;
            while acknowledged.load(Relaxed) < until && !writer.is_finished() {
                std::thread::yield_now();
            }
        }
        done.store(true, Relaxed);
        writer.join().unwrap()
    });
    assert_eq!(all.len(), backups);
    (all, model, history, now)
}

#[test]
fn a_backup_is_one_commit_while_others_append_and_maintain() {
    let (backups, model, history, now) = while_written(small(), 25);
    for (backup, report) in &backups {
        let then = Model(model.0.iter().filter(|kept| kept.seq <= report.sequence).cloned().collect());
        assert_eq!(report.samples, then.0.len() as u64);
        then.compare(&restored(backup, small(), now), &ALL);
    }
    let (first, last) = (&backups[0].1, &backups[backups.len() - 1].1);
    assert!(last.samples > first.samples && last.files.len() > 3, "{last:?}");
    model.compare(&history, &ALL);
}

#[test]
fn a_backup_goes_on_while_old_days_are_removed() {
    let options = || HistoryOptions { bound_bytes: 96 << 10, max_block_bytes: 24 << 10, ..small() };
    let (backups, model, history, now) = while_written(options(), 60);
    assert!(history.stats().removed_days > 0);
    for (backup, report) in &backups {
        let again = restored(backup, options(), now);
        for owner in model.owners() {
            let found = rows(&again, &owner, &ALL);
            let mut then = model.rows(&owner, &ALL);
            then.retain(|(_, seq, _)| *seq <= report.sequence);
            assert!(found.iter().all(|row| then.contains(row)), "{owner}: rows that nobody appended");
            // Days go as a whole, the oldest first; samples in logs stay.
            let day = |ts: i64| ts.div_euclid(DAY_MS);
            let newest = then.iter().map(|row| day(row.0)).max();
            let of = |rows: &Found| rows.iter().filter(|row| Some(day(row.0)) == newest).count();
            assert!(of(&found) <= of(&then));
        }
    }
}

#[test]
fn each_flipped_byte_is_refused_and_nothing_is_written() {
    let mut rng = fastrand::Rng::with_seed(2);
    let (mut model, mut now) = (Model::default(), NOON);
    let history = create(&MemDisk::new(2), small());
    for _ in 0..3 {
        append(&history, &mut model, &mut rng, now);
        history.commit().unwrap();
        now += DAY_MS;
        settle(&history, now);
    }
    append(&history, &mut model, &mut rng, now);
    history.commit().unwrap();
    let (backup, report) = taken(&history);
    let names: Vec<&str> = report.files.iter().map(|file| file.name.as_str()).collect();
    assert!(
        names.iter().any(|name| name.ends_with(".log")) && names.iter().any(|name| name.ends_with(".day"))
    );
    let refused = || {
        let to = MemDisk::new(3);
        let e = History::restore(&backup, &to).unwrap_err();
        assert_eq!((e.code(), to.list().unwrap().len()), (code::BACKUP_INVALID, 0), "{e}");
        assert_eq!(History::check_backup(&backup).unwrap_err().code(), code::BACKUP_INVALID);
    };
    for (name, len) in backup.list().unwrap() {
        for byte in 0..usize::try_from(len).unwrap() {
            let bit = byte * 8 + rng.usize(0..8);
            backup.flip(&name, bit);
            refused();
            backup.flip(&name, bit);
        }
        let file = backup.open(&name).unwrap();
        file.write_at(&[0], len).unwrap();
        refused();
        file.set_len(len - 1).unwrap();
        refused();
        file.set_len(len).unwrap();
        refused();
        backup.remove(&name).unwrap();
        refused();
        let bytes = taken(&history).0.bytes(&name).unwrap();
        backup.create(&name).unwrap().write_at(&bytes, 0).unwrap();
    }
    model.compare(&restored(&backup, small(), now), &ALL);
}

#[test]
fn folders_that_are_not_empty_are_refused_and_stay() {
    let (disk, history, ..) = built(1);
    let (backup, _) = taken(&history);
    let used = |disk: &MemDisk| disk.list().unwrap();
    for full in [&disk, &backup] {
        let before = used(full);
        assert_eq!(history.backup(full, Timestamp(NOON)).unwrap_err().code(), code::EXISTS);
        assert_eq!(History::restore(&backup, full).unwrap_err().code(), code::EXISTS);
        assert_eq!(used(full), before);
    }
    // A backup is not opened as a history: that would change it.
    let open = History::open(Arc::new(backup.clone()), small(), Timestamp(NOON));
    assert_eq!(open.unwrap_err().code(), code::EXISTS);
    let none = History::restore(&MemDisk::new(1), &MemDisk::new(2)).unwrap_err();
    assert_eq!(none.code(), code::BACKUP_INVALID);
}

#[test]
fn a_damaged_file_is_left_out_and_named_and_all_else_is_backed_up() {
    let (disk, history, model, now) = built(4);
    let name = disk.list().unwrap().into_iter().map(|f| f.0).find(|name| name.ends_with(".day")).unwrap();
    disk.flip(&name, 60 * 8);
    let (backup, report) = taken(&history);
    assert_eq!(report.left_out.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&name]);
    assert!(report.left_out[0].1.contains("damaged"), "{:?}", report.left_out);
    assert_eq!(History::check_backup(&backup).unwrap().left_out, [name.as_str()]);
    let again = restored(&backup, small(), now);
    assert_eq!(again.stats().samples, report.samples);
    let day = (-9..99).map(|n| NOON - NOON % DAY_MS + n * DAY_MS).find(|start| {
        let date = crate::history::name::day_name(crate::history::name::day_of(*start));
        name.starts_with(&date)
    });
    let range = Timestamp(day.unwrap() + DAY_MS)..Timestamp(MAX_TS);
    for owner in model.owners() {
        assert_eq!(rows(&again, &owner, &range), model.rows(&owner, &range));
    }
}

#[test]
fn a_disk_that_fails_or_fills_up_leaves_an_empty_target() {
    let (disk, history, model, now) = built(6);
    let (backup, _) = taken(&history);
    let full = MemDisk::new(1);
    full.plan(DiskPlan { capacity: Some(backup.used() - 1), ..DiskPlan::default() });
    assert_eq!(history.backup(&full, Timestamp(NOON)).unwrap_err().code(), code::FULL);
    assert_eq!(full.list().unwrap(), []);
    let (full, without) = (MemDisk::new(1), backup.bytes(MANIFEST).unwrap().len() as u64);
    full.plan(DiskPlan { capacity: Some(backup.used() - without - 1), ..DiskPlan::default() });
    assert_eq!(History::restore(&backup, &full).unwrap_err().code(), code::FULL);
    assert_eq!(full.list().unwrap(), []);
    for call in (0..60).step_by(3) {
        let target = MemDisk::new(call);
        target.plan(DiskPlan { fail_at: Some(call), fail_for: 1, ..DiskPlan::default() });
        if history.backup(&target, Timestamp(NOON)).is_err() {
            assert_eq!(target.list().unwrap(), [], "call {call}");
        }
        let target = MemDisk::new(call);
        target.plan(DiskPlan { fail_at: Some(call), fail_for: 1, ..DiskPlan::default() });
        if History::restore(&backup, &target).is_err() && target.calls() < 200 {
            let left = target.list().unwrap();
            match History::open(Arc::new(target.clone()), small(), Timestamp(now)) {
                // All was done but for the promise that it stays.
                Ok((history, _)) => model.compare(&history, &ALL),
                Err(e) => assert!(!left.is_empty() || e.code() == code::MISSING, "call {call}: {e}"),
            }
        }
    }
    disk.plan(DiskPlan { fail_at: Some(2), fail_for: 1, ..DiskPlan::default() });
    let target = MemDisk::new(1);
    assert_eq!(history.backup(&target, Timestamp(NOON)).unwrap_err().code(), code::IO);
    assert_eq!(target.list().unwrap(), []);
    disk.plan(DiskPlan::default());
    model.compare(&history, &ALL);
}

#[test]
fn a_power_cut_leaves_all_of_a_backup_or_restore_or_none() {
    let (_, history, model, now) = built(7);
    let (whole, _) = taken(&history);
    let (mut some, mut all) = (0, 0);
    for cut_at in 0..90 {
        let plan = || DiskPlan { cut_at: Some(cut_at), ..DiskPlan::default() };
        let target = MemDisk::new(cut_at);
        target.plan(plan());
        let ended = history.backup(&target, Timestamp(NOON)).is_ok();
        let target = target.cut();
        match History::check_backup(&target) {
            Ok(_) => model.compare(&restored(&target, small(), now), &ALL),
            Err(e) => assert!(!ended && e.code() == code::BACKUP_INVALID, "{e}"),
        }
        let to = MemDisk::new(cut_at);
        to.plan(plan());
        let ended = History::restore(&whole, &to).is_ok();
        match History::open(Arc::new(to.cut()), small(), Timestamp(now)) {
            Ok((history, _)) => {
                model.compare(&history, &ALL);
                all += 1;
            }
            Err(e) => {
                assert!(!ended && [code::MISSING, code::BACKUP_INVALID].contains(&e.code()), "{e}");
                some += 1;
            }
        }
    }
    assert!(some > 10 && all > 10, "{some} {all}");
}
