//! What was done to a log is found where it was done.

use proptest::prelude::*;

use super::{super::*, checkpoint, draft, made};

const SIZE: usize = 24;

type Lines = Vec<Vec<u8>>;

/// A line with another text in place of one.
fn edit(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(line).unwrap();
    let new = text.replacen(from, to, 1);
    assert_ne!(text, new);
    new.into_bytes()
}

fn forged(lines: &Lines, at: usize) -> Vec<u8> {
    let mut log = Log::new();
    lines[..at].iter().for_each(|_| drop(log.append(draft(log.size())).unwrap()));
    log.append(Draft::new(5, "eve", "push")).unwrap().to_vec()
}

/// The log as it would be had `eve` written entry `at`.
fn rebuilt(at: usize) -> Lines {
    let mut log = Log::new();
    let eve = |n| if n == at as u64 { Draft::new(5, "eve", "push") } else { draft(n) };
    (0..SIZE as u64).map(|n| log.append(eve(n)).unwrap().to_vec()).collect()
}

/// The log that was written.
fn written() -> &'static (Lines, Vec<Log>) {
    static MADE: std::sync::OnceLock<(Lines, Vec<Log>)> = std::sync::OnceLock::new();
    MADE.get_or_init(|| made(SIZE as u64))
}

fn fault(lines: &Lines, marks: &[usize]) -> Fault {
    let heads = &written().1;
    let marks: Vec<_> = marks.iter().rev().map(|size| checkpoint(&heads[*size])).collect();
    verify(lines, &marks).unwrap_err()
}

fn is(lines: &Lines, marks: &[usize], entry: usize, why: Why) {
    assert_eq!(fault(lines, marks), Fault { entry: entry as u64, why }, "{marks:?}");
}

/// Sets of checkpoints: at the end, before the end, at every place near `at`.
fn marks(at: usize) -> Vec<Vec<usize>> {
    let mut sets = vec![vec![], vec![SIZE], vec![0, SIZE], vec![SIZE - 5], (0..=SIZE).collect()];
    sets.extend((at.saturating_sub(2)..=(at + 3).min(SIZE)).map(|n| vec![n, SIZE]));
    sets.extend((at.saturating_sub(2)..=(at + 3).min(SIZE)).map(|n| vec![n]));
    sets
}

#[test]
fn a_whole_log_is_verified_with_any_checkpoints() {
    let (lines, heads) = made(SIZE as u64);
    for set in marks(9) {
        let marks: Vec<_> = set.iter().map(|n| checkpoint(&heads[*n])).collect();
        let verified = verify(&lines, &marks).unwrap();
        assert_eq!(verified.size, SIZE as u64);
        assert_eq!(verified.root, heads[SIZE].root());
        assert_eq!(verified.witnessed, set.iter().max().map_or(0, |n| *n as u64));
    }
    assert_eq!(verify([[0; 0]; 0], &[]).unwrap().root, Hash::empty());
}

#[test]
fn one_change_is_found_at_its_entry() {
    let (lines, _) = made(SIZE as u64);
    for at in 0..SIZE {
        for marks in marks(at) {
            // The last entry has nobody behind it that vouches for it but a checkpoint.
            let last = at + 1 == SIZE;
            let witnessed = marks.iter().copied().find(|n| *n > at);
            let mut bad = lines.clone();
            bad[at] = edit(&lines[at], "person", "nobody");
            if !last {
                let sure = at + 2 < SIZE || marks.contains(&(at + 1));
                is(&bad, &marks, at, if sure { Why::Altered } else { Why::Broken });
            } else if let Some(checkpoint) = witnessed {
                let sound = marks.iter().copied().filter(|n| *n <= at).max().unwrap_or(0);
                is(&bad, &marks, sound, Why::Rebuilt { checkpoint: checkpoint as u64 });
            }
            bad[at] = edit(&lines[at], "{\"seq\":", "{\"seq\":9");
            is(&bad, &marks, at, Why::Altered);
            let prev = String::from_utf8(lines[at][lines[at].len() - 66..].to_vec()).unwrap();
            bad[at] = edit(&lines[at], &prev, &format!("{}\"}}", "f".repeat(64)));
            if !last || at == 0 || witnessed.is_some() || marks.contains(&at) {
                is(&bad, &marks, at, Why::Altered);
            } else {
                is(&bad, &marks, at - 1, Why::Broken);
            }
            bad[at].truncate(40);
            is(&bad, &marks, at, Why::Unreadable);
        }
    }
}

#[test]
fn what_is_dropped_put_in_and_swapped_is_found_where_it_was() {
    let (lines, _) = made(SIZE as u64);
    for at in 0..SIZE {
        for marks in marks(at) {
            let mut bad = lines.clone();
            bad.remove(at);
            if at + 1 < SIZE {
                is(&bad, &marks, at, Why::Missing { found: at as u64 + 1 });
            } else if let Some(checkpoint) = marks.iter().copied().find(|n| *n == SIZE) {
                is(&bad, &marks, at, Why::Cut { checkpoint: checkpoint as u64 });
            }
            let mut bad = lines.clone();
            bad.insert(at, forged(&lines, at));
            let known = at + 1 < SIZE || marks.contains(&SIZE) || marks.contains(&at.wrapping_add(1));
            is(&bad, &marks, if known { at } else { at + 1 }, Why::Inserted);
            for copy in [0, at, at + 1, SIZE - 1, 9] {
                let mut bad = lines.clone();
                bad.insert(at, lines[copy.min(SIZE - 1)].clone());
                let first = (0..SIZE).find(|i| bad[*i] != lines[*i]).unwrap_or(SIZE);
                is(&bad, &marks, first, Why::Inserted);
            }
            for other in [at + 1, at + 2, SIZE - 1] {
                if other <= at || other >= SIZE {
                    continue;
                }
                let mut bad = lines.clone();
                bad.swap(at, other);
                let found = fault(&bad, &marks);
                assert_eq!(found.entry, at as u64, "{other} {marks:?} {found}");
                let swapped = matches!(found.why, Why::Swapped { found } if found == other as u64);
                // At the end nothing tells a swap from an entry that was put in.
                assert!(swapped || other == at + 1 && other + 1 == SIZE, "{other} {marks:?} {found}");
            }
        }
    }
}

#[test]
fn a_log_that_was_cut_or_made_anew_does_not_match_the_first_checkpoint_behind() {
    let (lines, heads) = made(SIZE as u64);
    for at in 0..SIZE {
        let bad = rebuilt(at);
        for marks in marks(at) {
            let Some(broken) = marks.iter().copied().find(|n| *n > at) else {
                let marks: Vec<_> = marks.iter().map(|n| checkpoint(&heads[*n])).collect();
                assert!(verify(&bad, &marks).is_ok());
                continue;
            };
            let sound = marks.iter().copied().filter(|n| *n <= at).max().unwrap_or(0);
            is(&bad, &marks, sound, Why::Rebuilt { checkpoint: broken as u64 });
            is(&lines[..at].to_vec(), &marks, at, Why::Cut { checkpoint: broken as u64 });
        }
        // The first part made anew, the second as it was.
        let mut half = bad.clone();
        half[15..].clone_from_slice(&lines[15..]);
        if at < 14 {
            is(&half, &[15, SIZE], 0, Why::Rebuilt { checkpoint: 15 });
        }
    }
    let other = checkpoint(&{
        let mut log = Log::new();
        (0..10).for_each(|n| {
            let eve = if n == 3 { Draft::new(5, "eve", "push") } else { draft(n) };
            log.append(eve).unwrap();
        });
        log
    });
    let why = Why::Contradiction { checkpoint: 10 };
    assert_eq!(verify(&lines, &[checkpoint(&heads[10]), other]).unwrap_err(), Fault { entry: 10, why });
}

#[test]
fn a_line_reads_in_one_way_only() {
    let (lines, _) = made(3);
    for (from, to) in [
        ("{\"seq\":1,", "{\"seq\":01,"),
        ("{\"seq\":1,", "{ \"seq\":1,"),
        ("{\"seq\":1,", "{\"seq\":1.0,"),
        ("{\"seq\":1,", "{\"seq\":1,\"seq\":1,"),
        ("{\"seq\":1,", "{\"ts\":1,\"seq\":1,"),
        ("\"ts\":", "\"prev\":\"x\",\"ts\":"),
        ("\"}", "\"} "),
        ("\"ts\":", "x\"ts\":"),
        ("\"}", "\"}{}"),
    ] {
        let mut bad = lines.clone();
        bad[1] = edit(&lines[1], from, to);
        is(&bad, &[], 1, Why::Unreadable);
    }
    // Members that a later release may add are let pass by.
    let mut log = Log::new();
    let line = log.append(Draft::new(1, "ada", "push")).unwrap();
    let later = edit(&line, "\"ts\"", "\"more\":[{}],\"ts\"");
    assert_eq!(verify([later], &[]).unwrap().size, 1);
}

proptest! {
    #[test]
    fn any_lines_are_no_panic(rows in prop::collection::vec((0..SIZE, 0..SIZE, any::<u8>()), 0..12), mark in 0..=SIZE) {
        let (original, heads) = written();
        let mut lines = original.clone();
        for (at, to, with) in &rows {
            match with % 4 {
                0 => { let line = lines[at % lines.len()].clone(); lines.insert(to % lines.len(), line); }
                1 if lines.len() > 2 => { lines.remove(at % lines.len()); }
                2 => { let n = lines.len(); lines.swap(at % n, to % n); }
                _ => { let n = lines.len(); let line = &mut lines[at % n]; let m = line.len(); if m > 0 { line[to % m] = *with; } }
            }
        }
        let whole = lines == *original;
        let told = verify(&lines, &[checkpoint(&heads[SIZE]), checkpoint(&heads[mark])]);
        prop_assert_eq!(whole, told.is_ok());
        if let Err(fault) = told {
            // At most one behind the first place that differs: where the entry behind a changed one is gone too, nothing
            // vouches for the changed one.
            let first = lines.iter().zip(original).position(|(a, b)| a != b);
            let first = first.unwrap_or(lines.len().min(SIZE));
            prop_assert!(fault.entry <= first as u64 + 1, "{fault} {first}");
        }
    }
}
