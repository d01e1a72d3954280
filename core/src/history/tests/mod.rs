//! The whole history against a naive model: a list of all samples.

mod backup;
mod bound;
mod crash;
mod flips;
mod random;
mod simple;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{History, HistoryOptions, MAX_TS, MemDisk, RowsQuery, Sample, Shape, name::DAY_MS};
use crate::io::Timestamp;

/// Noon of 2025-11-26.
const NOON: i64 = 1_764_158_400_000;
const ALL: std::ops::Range<Timestamp> = Timestamp(0)..Timestamp(MAX_TS + 1);

/// One sample as the model keeps it.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    owner: String,
    seq: u64,
    ts: i64,
    /// Bits of the members that are present.
    values: BTreeMap<String, u64>,
    text: Option<String>,
}

/// All samples that were taken.
#[derive(Debug, Clone, Default)]
struct Model(Vec<Kept>);

type Found = Vec<(i64, u64, BTreeMap<String, u64>)>;

impl Model {
    fn add(&mut self, seq: u64, sample: &Sample<'_>) {
        let members = sample.shape.members().iter().zip(sample.values).filter(|(_, v)| v.is_finite());
        self.0.push(Kept {
            owner: sample.owner.into(),
            seq,
            ts: sample.ts.0,
            values: members.map(|(name, v)| (name.to_string(), v.to_bits())).collect(),
            text: sample.texts.map(Into::into),
        });
    }

    fn owners(&self) -> BTreeSet<String> {
        self.0.iter().map(|kept| kept.owner.clone()).collect()
    }

    fn of(&self, owner: &str, range: &std::ops::Range<Timestamp>) -> Vec<&Kept> {
        let within = |kept: &&Kept| kept.owner == owner && range.contains(&Timestamp(kept.ts));
        let mut all: Vec<&Kept> = self.0.iter().filter(within).collect();
        all.sort_by_key(|kept| (kept.ts, kept.seq));
        all
    }

    fn rows(&self, owner: &str, range: &std::ops::Range<Timestamp>) -> Found {
        self.of(owner, range).into_iter().map(|k| (k.ts, k.seq, k.values.clone())).collect()
    }

    /// Compares every answer about some owners in a range.
    fn compare(&self, history: &History, range: &std::ops::Range<Timestamp>) {
        let owners: BTreeSet<String> =
            self.0.iter().filter(|k| range.contains(&Timestamp(k.ts))).map(|k| k.owner.clone()).collect();
        // Owners are known by the span of their samples in a file.
        let found: BTreeSet<String> =
            history.owners(range.clone()).unwrap().iter().map(ToString::to_string).collect();
        assert!(owners.is_subset(&found), "{owners:?} of {found:?}");
        for owner in self.owners() {
            let expected = self.of(&owner, range);
            assert_eq!(rows(history, &owner, range), self.rows(&owner, range), "{owner} {range:?}");
            let members: BTreeSet<String> = expected.iter().flat_map(|k| k.values.keys().cloned()).collect();
            let found: BTreeSet<String> =
                history.members(&owner, range.clone()).unwrap().iter().map(ToString::to_string).collect();
            // What stands in one chunk with the range can be among them.
            let all = self.of(&owner, &ALL);
            assert!(
                members.is_subset(&found)
                    && found.iter().all(|m| all.iter().any(|k| k.values.contains_key(m)))
            );
            if let Some(member) = members.first() {
                let series = history.series(&owner, member, range.clone()).unwrap();
                let points: Vec<_> = series.points.iter().map(|(ts, v)| (*ts, v.to_bits())).collect();
                let of = |k: &&Kept| k.values.get(member).map(|v| (k.ts, *v));
                assert_eq!(points, expected.iter().filter_map(of).collect::<Vec<_>>());
            }
            self.compare_texts(history, &owner, range);
            compare_columns(history, &owner, range, &expected);
            let query = RowsQuery { members: Some(&["a", "e"]), latest_per_ts: true };
            let latest = history.rows(&owner, range.clone(), query).unwrap();
            let mut by_ts: BTreeMap<i64, &Kept> = BTreeMap::new();
            by_ts.extend(expected.iter().map(|k| (k.ts, *k)));
            assert_eq!(latest.rows.len(), by_ts.len());
            for (row, kept) in latest.rows.iter().zip(by_ts.values()) {
                assert_eq!((row.ts.0, row.seq), (kept.ts, kept.seq));
                let bits = |name: &str| kept.values.get(name).copied();
                let found: Vec<_> = row.values.iter().map(|v| (!v.is_nan()).then(|| v.to_bits())).collect();
                assert_eq!(found, [bits("a"), bits("e")]);
            }
        }
    }

    fn compare_texts(&self, history: &History, owner: &str, range: &std::ops::Range<Timestamp>) {
        let all = self.of(owner, &(Timestamp(0)..range.end));
        let texts: Vec<_> = all.iter().filter_map(|k| Some((k.ts, k.text.clone()?))).collect();
        let start = texts.partition_point(|(ts, _)| *ts < range.start.0).saturating_sub(1);
        let found = history.texts(owner, range.clone()).unwrap();
        let found: Vec<_> = found.iter().map(|(ts, text)| (ts.0, text.to_string())).collect();
        assert_eq!(found, texts[start..]);
        let last = history.last(owner).unwrap();
        let newest = self.of(owner, &ALL).last().map(|k| (k.ts, k.seq));
        assert_eq!(last.rows.last().map(|row| (row.ts.0, row.seq)), newest);
    }
}

fn compare_columns(history: &History, owner: &str, range: &std::ops::Range<Timestamp>, expected: &[&Kept]) {
    for wanted in [None, Some(&["e", "none", "a"][..])] {
        let found = history.columns(owner, range.clone(), wanted).unwrap();
        assert_eq!(found.ts, expected.iter().map(|k| k.ts).collect::<Vec<_>>());
        if let Some(wanted) = wanted.filter(|_| !expected.is_empty()) {
            assert!(found.members.iter().map(|name| &**name).eq(wanted.iter().copied()));
        }
        for (name, column) in found.members.iter().zip(&found.values) {
            let bits: Vec<_> = column.iter().map(|v| (!v.is_nan()).then(|| v.to_bits())).collect();
            assert_eq!(bits, expected.iter().map(|k| k.values.get(&**name).copied()).collect::<Vec<_>>());
        }
    }
}

fn try_rows(history: &History, owner: &str, range: &std::ops::Range<Timestamp>) -> crate::Result<Found> {
    let found = history.rows(owner, range.clone(), RowsQuery::default())?;
    let values = |row: &super::HistoryRow| {
        let present = found.members.iter().zip(&row.values).filter(|(_, v)| !v.is_nan());
        present.map(|(name, v)| (name.to_string(), v.to_bits())).collect()
    };
    Ok(found.rows.iter().map(|row| (row.ts.0, row.seq, values(row))).collect())
}

fn rows(history: &History, owner: &str, range: &std::ops::Range<Timestamp>) -> Found {
    try_rows(history, owner, range).unwrap()
}

fn small() -> HistoryOptions {
    HistoryOptions {
        bound_bytes: 64 << 20,
        seal_log_bytes: 4 << 10,
        seal_age: Duration::from_secs(3_600),
        step_values: 150,
        max_open_files: 3,
        max_block_bytes: 1 << 20,
        level: 4,
        ..HistoryOptions::default()
    }
}

fn create(disk: &MemDisk, options: HistoryOptions) -> History {
    History::create(Arc::new(disk.clone()), options, Timestamp(NOON)).unwrap().0
}

fn open(disk: &MemDisk, options: HistoryOptions, now: i64) -> History {
    History::open(Arc::new(disk.clone()), options, Timestamp(now)).unwrap().0
}

/// Shapes that overlap.
fn shapes() -> Vec<Arc<Shape>> {
    let all = [&["a", "b", "c"][..], &["a", "d"], &["e", "c", "b", "a", "f"], &[]];
    all.into_iter().map(|names| Shape::new(names.iter().copied()).unwrap()).collect()
}

fn value(rng: &mut fastrand::Rng) -> f64 {
    match rng.u32(0..10) {
        0 => f64::NAN,
        1 => -0.0,
        2 => f64::from_bits(rng.u64(1..1 << 52)),
        3 => std::iter::repeat_with(|| f64::from_bits(rng.u64(..))).find(|v| v.is_finite()).unwrap_or(0.0),
        4 => 7.5,
        5 => f64::from(rng.i32(..)) / 10_000.0,
        _ => f64::from(rng.i32(3_000..3_500)) / 10.0,
    }
}

/// Appends samples to both; gives how many the history took.
fn append(history: &History, model: &mut Model, rng: &mut fastrand::Rng, now: i64) -> usize {
    let shapes = shapes();
    let n = rng.usize(1..20);
    let mut drawn = Vec::new();
    for _ in 0..n {
        let shape = shapes[rng.usize(0..shapes.len())].clone();
        let values: Vec<f64> = (0..shape.len()).map(|_| value(rng)).collect();
        let back = match rng.u32(0..20) {
            0 => rng.i64(0..3 * DAY_MS),
            1..=4 => rng.i64(0..60_000),
            _ => 0,
        };
        let text = (rng.u32(0..8) == 0).then(|| format!("{{\"n\":{}}}", rng.u16(..)));
        drawn.push((format!("owner-{}", rng.u32(0..5)), now - back, shape, values, text));
    }
    let samples: Vec<Sample<'_>> = drawn
        .iter()
        .map(|(owner, ts, shape, values, text)| Sample {
            owner,
            ts: Timestamp(*ts),
            shape,
            values,
            texts: text.as_deref(),
        })
        .collect();
    let last = history.append(&samples).unwrap();
    for (i, sample) in samples.iter().enumerate() {
        model.add(last - (n - 1 - i) as u64, sample);
    }
    n
}

/// Maintains until nothing is due.
fn settle(history: &History, now: i64) {
    let mut calls = 0;
    while history.maintain(Timestamp(now)).unwrap().is_some() {
        calls += 1;
        assert!(calls < 100_000, "maintenance does not end");
    }
}
