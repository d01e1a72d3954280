use super::*;
use crate::{
    ErrorKind,
    history::{Disk, FolderDisk, Maintained, code},
};

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("headframe-history-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_folder_is_made_once_locked_and_opened_again() {
    let folder = Folder::new("folder");
    let disk = || FolderDisk::open(&folder.0).map(|disk| Arc::new(disk) as Arc<dyn Disk>);
    let missing = History::open(disk().unwrap(), small(), Timestamp(NOON)).unwrap_err();
    assert_eq!((missing.kind(), missing.code()), (ErrorKind::NotFound, code::MISSING));
    let (history, report) = History::create(disk().unwrap(), small(), Timestamp(NOON)).unwrap();
    assert_eq!(report, crate::history::OpenReport::default());
    assert_eq!(disk().unwrap_err().code(), code::LOCKED);
    let mut model = Model::default();
    let mut rng = fastrand::Rng::with_seed(2);
    let mut now = NOON;
    for _ in 0..40 {
        append(&history, &mut model, &mut rng, now);
        history.commit().unwrap();
        now += 3_600_000;
        settle(&history, now);
    }
    model.compare(&history, &ALL);
    drop(history);
    assert_eq!(History::create(disk().unwrap(), small(), Timestamp(now)).unwrap_err().code(), code::EXISTS);
    std::fs::write(folder.0.join("notes.txt"), "mine").unwrap();
    let (history, report) = History::open(disk().unwrap(), small(), Timestamp(now)).unwrap();
    assert_eq!(report.foreign, ["notes.txt"]);
    model.compare(&history, &ALL);

    // Whoever still holds a closed one reads, and writes no more.
    append(&history, &mut model, &mut rng, now);
    history.close().unwrap();
    let (next, _) = History::open(disk().unwrap(), small(), Timestamp(now)).unwrap();
    model.compare(&next, &ALL);
    let shape = Shape::new(["x"]).unwrap();
    let late = Sample { owner: "late", ts: Timestamp(now), shape: &shape, values: &[1.0], texts: None };
    assert_eq!(history.append(&[late]).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(history.commit().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(history.maintain(Timestamp(now + 86_400_000)).unwrap(), None);
}

#[test]
fn a_folder_that_is_only_read_cannot_be_changed() {
    let folder = Folder::new("read-only");
    let none = FolderDisk::read_only(&folder.0);
    assert!(none.list().is_err() && !folder.0.exists());
    let disk = FolderDisk::open(&folder.0).unwrap();
    disk.create("1.log").unwrap().write_at(b"abc", 0).unwrap();
    // Beside one that has it open.
    let reader = FolderDisk::read_only(&folder.0);
    let file = reader.open("1.log").unwrap();
    let mut read = [0; 3];
    file.read_at(&mut read, 0).unwrap();
    assert_eq!((&read, file.len().unwrap()), (b"abc", 3));
    assert!(file.write_at(b"x", 0).is_err() && file.set_len(0).is_err());
    let refused = std::io::ErrorKind::ReadOnlyFilesystem;
    assert_eq!(reader.create("2.log").unwrap_err().kind(), refused);
    assert_eq!(reader.rename("1.log", "2.log").unwrap_err().kind(), refused);
    assert_eq!(reader.remove("1.log").unwrap_err().kind(), refused);
    assert_eq!(reader.list().unwrap(), [("1.log".to_owned(), 3)]);
}

#[test]
fn samples_out_of_bounds_are_refused_as_a_whole() {
    let history = create(&MemDisk::new(0), small());
    let shape = Shape::new(["x"]).unwrap();
    let long = "o".repeat(129);
    let big = "t".repeat((1 << 20) + 1);
    let good = Sample { owner: "o", ts: Timestamp(NOON), shape: &shape, values: &[1.0], texts: None };
    let cases = [
        ("owner", Sample { owner: "", ..good }),
        ("owner", Sample { owner: &long, ..good }),
        ("ts", Sample { ts: Timestamp(-1), ..good }),
        ("ts", Sample { ts: Timestamp(MAX_TS + 1), ..good }),
        ("values", Sample { values: &[], ..good }),
        ("texts", Sample { texts: Some(&big), ..good }),
    ];
    for (field, bad) in cases {
        let e = history.append(&[good, bad]).unwrap_err();
        assert_eq!(
            (e.kind(), e.fact("field"), e.fact("sample")),
            (ErrorKind::Invalid, Some(field), Some("1"))
        );
    }
    assert_eq!(history.stats().samples, 0);
    assert_eq!(Shape::new((0..4_097).map(|i| i.to_string())).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(Shape::new(["x", "x"]).is_err() && Shape::new([""]).is_err());
    let options = HistoryOptions { bound_bytes: 1, ..small() };
    assert!(History::create(Arc::new(MemDisk::new(0)), options, Timestamp(NOON)).is_err());
}

#[test]
fn what_waits_for_a_commit_is_bounded_and_can_be_read() {
    let history = create(&MemDisk::new(0), HistoryOptions { max_block_bytes: 4 << 10, ..small() });
    let shape = Shape::new(["x", "y"]).unwrap();
    let sample =
        Sample { owner: "o", ts: Timestamp(NOON), shape: &shape, values: &[1.0, f64::INFINITY], texts: None };
    let mut taken = 0;
    let refused = loop {
        match history.append(&[sample]) {
            Ok(_) => taken += 1,
            Err(e) => break e,
        }
    };
    assert_eq!((refused.code(), refused.kind()), (code::BOUND, ErrorKind::RateLimited));
    assert_eq!(history.series("o", "x", ALL).unwrap().points.len(), taken);
    let gaps = history.series_with_gaps("o", "y", ALL).unwrap().points;
    assert!(gaps.len() == taken && gaps.iter().all(|(_, v)| v.is_nan()));
    let stats = history.stats();
    assert_eq!((stats.infinite_values, stats.durable_sequence), (taken as u64, 1 << 32));
    history.commit().unwrap();
    assert_eq!(history.stats().durable_sequence, (1 << 32) + taken as u64 - 1);
    history.append(&[sample]).unwrap();
}

#[test]
fn a_day_goes_from_log_to_parts_to_one_file_and_late_samples_follow() {
    let disk = MemDisk::new(3);
    let options = HistoryOptions { step_values: 1 << 20, ..small() };
    let history = create(&disk, options);
    let shape = Shape::new(["x"]).unwrap();
    let put = |ts: i64| {
        let values = [ts as f64];
        let sample = Sample { owner: "o", ts: Timestamp(ts), shape: &shape, values: &values, texts: None };
        history.append(&[sample]).unwrap();
        history.commit().unwrap();
    };
    let names = || {
        let mut names: Vec<String> = disk.list().unwrap().into_iter().map(|file| file.0).collect();
        names.sort();
        names
    };
    let maintain = |now| history.maintain(Timestamp(now)).unwrap();
    put(NOON);
    assert_eq!(maintain(NOON + 1_000), None);
    assert_eq!(maintain(NOON + 3_600_000), Some(Maintained::Rotated { log: 1 }));
    assert_eq!(maintain(NOON + 3_600_000), Some(Maintained::Sealed { log: 1, parts: 1 }));
    assert_eq!(
        (names(), maintain(NOON + 3_600_000)),
        (vec!["2.log".into(), "2025-11-26.3.part".into()], None)
    );
    let next = NOON + DAY_MS;
    put(next);
    assert_eq!(maintain(next), Some(Maintained::Rotated { log: 2 }));
    settle(&history, next);
    assert_eq!(names(), ["2025-11-26.6.day", "2025-11-27.5.part", "4.log"]);
    put(NOON + 5);
    settle(&history, next + 3_600_000);
    assert_eq!(names().iter().filter(|name| name.starts_with("2025-11-26")).count(), 2);
    settle(&history, next + 8 * 3_600_000);
    assert_eq!(names().iter().filter(|name| name.starts_with("2025-11-26")).count(), 1);
    let points = history.series("o", "x", ALL).unwrap().points;
    assert_eq!(points, [NOON, NOON + 5, next].map(|ts| (ts, ts as f64)));
}

#[test]
fn a_day_never_has_many_parts() {
    let disk = MemDisk::new(4);
    let history = create(&disk, small());
    let (mut model, mut rng) = (Model::default(), fastrand::Rng::with_seed(4));
    for i in 0..200 {
        append(&history, &mut model, &mut rng, NOON + i);
        history.commit().unwrap();
        append(&history, &mut model, &mut rng, NOON + i);
        history.commit().unwrap();
        settle(&history, NOON + i * 1_000);
        let parts = disk.list().unwrap().iter().filter(|file| file.0.starts_with("2025-11-26")).count();
        assert!(parts <= 16, "{parts}");
    }
    model.compare(&history, &ALL);
    let peak = disk.peak();
    assert!(peak < 4 << 20, "{peak}");
}
