//! What a history should hold: a plain list of what was appended. It shares nothing with `core::history`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use headframe_core::{
    Result,
    history::{History, MAX_TS, Rows, RowsQuery},
    io::Timestamp,
};

use super::drawn::{DAY_MS, Drawn, owners};
use crate::rig::needed;

/// All of time.
pub const ALL: Range<Timestamp> = Timestamp(0)..Timestamp(MAX_TS + 1);
/// Sequences hold the number of their log in these upper bits.
const LOG_BITS: u32 = 32;

/// One sample that was appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub owner: String,
    pub ts: i64,
    /// Bits of the members that are present.
    pub values: BTreeMap<String, u64>,
    pub text: Option<String>,
    /// The commit that it belongs to.
    pub commit: u64,
}

impl Kept {
    fn day(&self) -> i64 {
        self.ts.div_euclid(DAY_MS)
    }
}

/// What was found after a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing waited for a commit.
    Between,
    /// What waited is there as a whole.
    Whole,
    /// Nothing of what waited is there.
    Lost,
}

/// What was appended, by sequence.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Covered by a commit that succeeded.
    pub durable: BTreeMap<u64, Kept>,
    /// Appended since.
    pub waiting: BTreeMap<u64, Kept>,
    commits: u64,
}

/// Time and bits of the members that are present.
pub type Row = (i64, BTreeMap<String, u64>);

impl Model {
    /// Samples were appended, the last with this sequence.
    pub fn add(&mut self, last: u64, drawn: &[Drawn]) {
        for (back, drawn) in (0..).zip(drawn.iter().rev()) {
            let members = drawn.shape.members().iter().zip(&drawn.values).filter(|(_, v)| v.is_finite());
            let kept = Kept {
                owner: drawn.owner.clone(),
                ts: drawn.ts,
                values: members.map(|(name, v)| (name.to_string(), v.to_bits())).collect(),
                text: drawn.text.clone(),
                commit: self.commits,
            };
            self.waiting.insert(last - back, kept);
        }
    }

    /// A commit succeeded.
    pub fn committed(&mut self) {
        self.durable.append(&mut self.waiting);
        self.commits += 1;
    }

    /// Compares a history that was opened after a cut, and goes on with what it holds.
    pub fn after_cut(&mut self, history: &History) -> std::result::Result<Cut, String> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut all = self.durable.clone();
        all.extend(waiting.iter().map(|(seq, kept)| (*seq, kept.clone())));
        let found = found(history, &all)?;
        let there = waiting.keys().filter(|seq| found.contains(*seq)).count();
        if there != 0 && there != waiting.len() {
            return Err(format!("{there} of {} samples of one commit are there", waiting.len()));
        }
        if there == 0 {
            all.retain(|seq, _| !waiting.contains_key(seq));
        }
        removed(history, &all, &found)?;
        all.retain(|seq, _| found.contains(seq));
        self.durable = all;
        self.commits += 1;
        Ok(match (waiting.is_empty(), there) {
            (true, _) => Cut::Between,
            (_, 0) => Cut::Lost,
            _ => Cut::Whole,
        })
    }

    /// Compares a history that is open: all that was appended is there, but for days that were removed.
    pub fn compare(&mut self, history: &History) -> std::result::Result<(), String> {
        let mut all = self.durable.clone();
        all.extend(self.waiting.iter().map(|(seq, kept)| (*seq, kept.clone())));
        let found = found(history, &all)?;
        if let Some((seq, kept)) = self.waiting.iter().find(|(seq, _)| !found.contains(*seq)) {
            return Err(format!("{kept:?} with sequence {seq} was appended and cannot be read"));
        }
        removed(history, &all, &found)?;
        self.durable.retain(|seq, _| found.contains(seq));
        Ok(())
    }
}

/// The sequences that a history holds, after every answer about them was compared.
fn found(history: &History, all: &BTreeMap<u64, Kept>) -> std::result::Result<BTreeSet<u64>, String> {
    let mut found = BTreeSet::new();
    let pool = owners();
    for owner in needed("owners cannot be listed", history.owners(ALL))? {
        if !pool.iter().any(|known| **known == *owner) {
            return Err(format!("an owner {owner} that nobody appended"));
        }
    }
    for owner in &pool {
        let rows = needed("rows cannot be read", rows(history, owner, ALL))?;
        for (seq, row) in &rows {
            let known = all.get(seq).filter(|kept| kept.owner == *owner);
            if known.is_none_or(|kept| (kept.ts, &kept.values) != (row.0, &row.1)) {
                return Err(format!("{row:?} of {owner} with sequence {seq} was never appended: {known:?}"));
            }
            if !found.insert(*seq) {
                return Err(format!("sequence {seq} of {owner} is there twice"));
            }
        }
        answers(history, owner, &rows, all)?;
    }
    Ok(found)
}

/// The rows of an owner as they are read, in their order.
pub fn rows(history: &History, owner: &str, range: Range<Timestamp>) -> Result<Vec<(u64, Row)>> {
    let Rows { members, rows, .. } = history.rows(owner, range, RowsQuery::default())?;
    let values = |values: &[f64]| {
        let present = members.iter().zip(values).filter(|(_, v)| !v.is_nan());
        present.map(|(name, v)| (name.to_string(), v.to_bits())).collect()
    };
    Ok(rows.iter().map(|row| (row.seq, (row.ts.0, values(&row.values)))).collect())
}

/// Whether the other questions about an owner get the same answers.
fn answers(
    history: &History,
    owner: &str,
    rows: &[(u64, Row)],
    all: &BTreeMap<u64, Kept>,
) -> std::result::Result<(), String> {
    let order: Vec<_> = rows.iter().map(|(seq, row)| (row.0, *seq)).collect();
    if !order.is_sorted() {
        return Err(format!("rows of {owner} are not in order"));
    }
    let members: BTreeSet<&String> = rows.iter().flat_map(|(_, row)| row.1.keys()).collect();
    for member in members {
        let series = needed("a series cannot be read", history.series(owner, member, ALL))?;
        let points: Vec<_> = series.points.iter().map(|(ts, v)| (*ts, v.to_bits())).collect();
        let of = |(_, row): &(u64, Row)| row.1.get(member).map(|v| (row.0, *v));
        if points != rows.iter().filter_map(of).collect::<Vec<_>>() {
            return Err(format!("the series {member} of {owner} is not that of its rows"));
        }
    }
    let texts = needed("texts cannot be read", history.texts(owner, ALL))?;
    let texts: Vec<_> = texts.iter().map(|(ts, text)| (ts.0, &**text)).collect();
    let of = |(seq, row): &(u64, Row)| Some((row.0, all.get(seq)?.text.as_deref()?));
    if texts != rows.iter().filter_map(of).collect::<Vec<_>>() {
        return Err(format!("the texts of {owner} are not those that were appended"));
    }
    let last = needed("the last row cannot be read", history.last(owner))?;
    if last.rows.last().map(|row| row.seq) != rows.last().map(|(seq, _)| *seq) {
        return Err(format!("the last row of {owner} is not the last of its rows"));
    }
    Ok(())
}

/// Whether what is not there went to keep the bound: whole days, the oldest first, of all logs that were sealed then, and
/// told.
fn removed(
    history: &History,
    all: &BTreeMap<u64, Kept>,
    found: &BTreeSet<u64>,
) -> std::result::Result<(), String> {
    let gone: Vec<(u64, &Kept)> =
        all.iter().filter(|(seq, _)| !found.contains(*seq)).map(|(seq, kept)| (*seq, kept)).collect();
    let Some((seq, newest)) = gone.iter().max_by_key(|(_, kept)| kept.day()) else { return Ok(()) };
    let all_rows = needed("rows cannot be read", history.rows("owner-0", ALL, RowsQuery::default()))?;
    let before = all_rows.removed_before.map_or(0, |before| before.0);
    if before < (newest.day() + 1) * DAY_MS {
        return Err(format!(
            "{newest:?} with sequence {seq} is lost, and only before {before} days were removed"
        ));
    }
    // Of each day and all before, the newest log that was sealed when it went.
    let mut logs: BTreeMap<i64, u64> = BTreeMap::new();
    for (seq, kept) in &gone {
        let log = logs.entry(kept.day()).or_default();
        *log = (*log).max(seq >> LOG_BITS);
    }
    for (seq, kept) in all.iter().filter(|(seq, _)| found.contains(*seq)) {
        let log = logs.range(kept.day()..).map(|(_, log)| *log).max();
        if log.is_some_and(|log| log >= seq >> LOG_BITS) {
            return Err(format!(
                "{kept:?} with sequence {seq} stayed when its day or a later one was removed; by day, the newest log of \
                 what is gone: {logs:?}; removed before {before}"
            ));
        }
    }
    Ok(())
}
