use super::*;
use crate::history::{Disk, code};

/// A history with a log, parts and days, and what it holds.
fn built() -> (MemDisk, Model, i64) {
    let (disk, mut model, mut rng) = (MemDisk::new(1), Model::default(), fastrand::Rng::with_seed(1));
    let history = create(&disk, small());
    let mut now = NOON;
    for day in 0..3 {
        for _ in 0..if day == 2 { 60 } else { 30 } {
            append(&history, &mut model, &mut rng, now);
            history.commit().unwrap();
            now += 60_000;
            settle(&history, now);
        }
        if day < 2 {
            now += DAY_MS;
            settle(&history, now);
        }
    }
    for _ in 0..3 {
        append(&history, &mut model, &mut rng, now);
        history.commit().unwrap();
    }
    drop(history);
    let names: Vec<String> = disk.list().unwrap().into_iter().map(|file| file.0).collect();
    for ending in [".log", ".part", ".day"] {
        assert!(names.iter().any(|name| name.ends_with(ending)), "{ending}: {names:?}");
    }
    (disk, model, now)
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing() {
    let (disk, model, now) = built();
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut refused, mut errors, mut right) = (0, 0, 0);
    for (name, len) in disk.list().unwrap() {
        let bits = len as usize * 8;
        // More of header and end than of the rest.
        let ends = (0..bits.min(320)).step_by(13).chain((bits.saturating_sub(480)..bits).step_by(7));
        let bits: Vec<usize> = ends.chain((0..60).map(|_| rng.usize(0..bits))).collect();
        for bit in bits {
            let disk = disk.cut();
            disk.flip(&name, bit);
            let opened = History::open(Arc::new(disk), small(), Timestamp(now));
            let (history, report) = match opened {
                Ok(opened) => opened,
                Err(e) => {
                    assert!(name.ends_with(".log") && e.code() == code::CORRUPT, "{name} bit {bit}: {e}");
                    assert!(e.to_string().contains(&name) && e.to_string().contains("Restore it"));
                    refused += 1;
                    continue;
                }
            };
            // The end of the newest log cannot be told from a commit that a crash tore.
            let torn = report.cut_bytes > 0 || report.leftovers > 0;
            let mut damaged = false;
            for owner in model.owners() {
                match try_rows(&history, &owner, &ALL) {
                    Ok(found) if torn => {
                        let all = model.rows(&owner, &ALL);
                        assert!(found.iter().all(|row| all.contains(row)));
                    }
                    Ok(found) => assert_eq!(found, model.rows(&owner, &ALL), "{name} bit {bit}"),
                    Err(e) => {
                        assert_eq!(e.code(), code::CORRUPT, "{name} bit {bit}: {e}");
                        damaged = true;
                    }
                }
            }
            assert!(!torn || name.ends_with(".log"), "{name} bit {bit}");
            let problems = history.verify().unwrap().iter().any(|file| !file.problems.is_empty());
            // Only what nobody asks rows for may be found by the check alone.
            assert!(problems || !damaged, "{name} bit {bit}: the check does not see it");
            assert!(damaged || torn || problems, "{name} bit {bit} changes nothing");
            if damaged { errors += 1 } else { right += 1 }
        }
    }
    assert!(refused > 50 && errors > 100, "{refused} {errors} {right}");
}

#[test]
fn other_days_and_owners_stay_readable_and_maintenance_goes_on() {
    let (disk, mut model, now) = built();
    let (name, len) = disk.list().unwrap().into_iter().find(|f| f.0.starts_with("2025-11-26")).unwrap();
    assert!(name.ends_with(".day"));
    disk.flip(&name, 40 * 8);
    disk.flip(&name, (len as usize / 2) * 8);
    let history = open(&disk, small(), now);
    let day = now - now.rem_euclid(DAY_MS);
    let (bad, good) = (Timestamp(0)..Timestamp(day), Timestamp(day)..Timestamp(MAX_TS));
    let failed = model.owners().iter().filter(|owner| try_rows(&history, owner, &bad).is_err()).count();
    assert!((1..=4).contains(&failed), "{failed}");
    for owner in model.owners() {
        assert_eq!(rows(&history, &owner, &good), model.rows(&owner, &good));
    }
    // Late samples of the damaged day cannot be merged into it: said once, and the rest goes on.
    let mut rng = fastrand::Rng::with_seed(3);
    let late = NOON;
    for i in 0..6 {
        append(&history, &mut model, &mut rng, late + i);
        append(&history, &mut model, &mut rng, now + i);
        history.commit().unwrap();
        let mut errors = 0;
        for _ in 0..5_000 {
            match history.maintain(Timestamp(now + i * 4_000_000)) {
                Ok(None) => break,
                Ok(_) => {}
                Err(e) => {
                    assert_eq!(e.code(), code::CORRUPT);
                    errors += 1;
                }
            }
        }
        assert!(errors <= 1);
    }
    assert_eq!(history.stats().stuck_days, 1);
    for owner in model.owners() {
        assert_eq!(rows(&history, &owner, &good), model.rows(&owner, &good));
    }
}

#[test]
fn a_log_that_rots_while_it_is_open_harms_only_whom_it_belongs_to() {
    let disk = MemDisk::new(5);
    let history = create(&disk, small());
    let shape = Shape::new(["x"]).unwrap();
    for owner in ["one", "two"] {
        let sample = Sample { owner, ts: Timestamp(NOON), shape: &shape, values: &[1.5], texts: None };
        history.append(&[sample]).unwrap();
        history.commit().unwrap();
    }
    let (name, len) = disk.list().unwrap().into_iter().next().unwrap();
    disk.flip(&name, len as usize * 8 - 3);
    assert!(history.rows("one", ALL, RowsQuery::default()).is_ok());
    assert_eq!(history.rows("two", ALL, RowsQuery::default()).unwrap_err().code(), code::CORRUPT);
    assert!(history.verify().unwrap().iter().any(|file| !file.problems.is_empty()));
}
