//! What a history has already around samples that are to be added.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Result,
    history::{History, HistoryRow, RowsQuery, Shape},
    io::Timestamp,
};

/// The first stretch in which the next sample is looked for, ms.
const NEAR: i64 = 3_600_000;

/// Samples of an owner within a batch of new ones, and the next after it.
#[derive(Debug, Default)]
pub(super) struct There {
    places: HashMap<Box<str>, usize>,
    rows: Vec<HistoryRow>,
    /// Changes of texts, with the one that held before the batch.
    texts: Vec<(i64, Arc<str>)>,
    /// The time of the first sample after the batch, and whether it has texts of its own.
    next: Option<(i64, bool)>,
}

fn range(first: i64, last: i64) -> std::ops::Range<Timestamp> {
    Timestamp(first)..Timestamp(last + 1)
}

/// The time of an owner's last sample.
pub(super) fn last(history: &History, owner: &str) -> Result<Option<i64>> {
    Ok(history.last(owner)?.rows.last().map(|row| row.ts.0))
}

impl There {
    /// Reads what there is from the batch's first to its last ms.
    pub fn read(history: &History, owner: &str, first: i64, last_ms: i64) -> Result<Self> {
        let Some(newest) = last(history, owner)?.filter(|newest| *newest >= first) else {
            return Ok(Self::default());
        };
        let rows = history.rows(owner, range(first, last_ms), RowsQuery::default())?;
        let texts = history.texts(owner, range(first, last_ms))?;
        let places = rows.members.into_iter().enumerate().map(|(at, name)| (name, at)).collect();
        let next = match next(history, owner, last_ms, newest)? {
            None => None,
            Some(ts) => {
                let said = history.texts(owner, range(ts, ts))?;
                Some((ts, said.iter().any(|(at, _)| at.0 == ts)))
            }
        };
        let texts = texts.into_iter().map(|(ts, text)| (ts.0, text)).collect();
        Ok(Self { places, rows: rows.rows, texts, next })
    }

    /// The texts that hold at a time.
    pub fn held(&self, ts: i64) -> Option<&str> {
        let count = self.texts.partition_point(|(at, _)| *at <= ts);
        count.checked_sub(1).map(|at| &*self.texts[at].1)
    }

    /// Whether a sample with this time, these values and these texts is there.
    pub fn has(&self, ts: i64, shape: &Shape, values: &[f64], texts: &str) -> bool {
        let from = self.rows.partition_point(|row| row.ts.0 < ts);
        let mut at = self.rows[from..].iter().take_while(|row| row.ts.0 == ts);
        let said = self.texts.iter().any(|(at, text)| *at == ts && **text == *texts);
        (said || self.held(ts - 1) == Some(texts)) && at.any(|row| self.is_equal(row, shape, values))
    }

    fn is_equal(&self, row: &HistoryRow, shape: &Shape, values: &[f64]) -> bool {
        let present = row.values.iter().filter(|value| !value.is_nan()).count();
        let equal = |name: &str, value: &f64| {
            let there = self.places.get(name).and_then(|at| row.values.get(*at));
            there.is_some_and(|there| there.to_bits() == value.to_bits())
        };
        present == values.len() && shape.members().iter().zip(values).all(|(name, value)| equal(name, value))
    }

    /// Whether a sample with these texts would change what the one after it seems to say.
    pub fn changes_next(&self, ts: i64, texts: &str) -> bool {
        if self.held(ts) == Some(texts) {
            return false;
        }
        let inside = self.rows.get(self.rows.partition_point(|row| row.ts.0 <= ts)).map(|row| row.ts.0);
        match inside {
            Some(next) => !self.texts.iter().any(|(at, _)| *at == next),
            None => self.next.is_some_and(|(_, says)| !says),
        }
    }

    /// Whether texts changed after one time, up to another.
    pub fn changed_between(&self, after: i64, until: i64) -> bool {
        self.texts.iter().any(|(at, _)| after < *at && *at <= until)
    }

    /// Whether these texts came at this time.
    pub fn says(&self, ts: i64, text: &str) -> bool {
        self.texts.iter().any(|(at, said)| *at == ts && **said == *text)
    }
}

/// The time of the first sample after `after`; `newest` is that of the last.
fn next(history: &History, owner: &str, after: i64, newest: i64) -> Result<Option<i64>> {
    let (mut from, mut stretch) = (after + 1, NEAR);
    while from <= newest {
        let query = RowsQuery { members: Some(&[]), latest_per_ts: false };
        let until = from.saturating_add(stretch).min(newest);
        if let Some(row) = history.rows(owner, range(from, until), query)?.rows.first() {
            return Ok(Some(row.ts.0));
        }
        (from, stretch) = (until + 1, stretch * 2);
    }
    Ok(None)
}
