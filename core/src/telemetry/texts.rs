//! Which texts belong to which of a thing's readings: one is kept with its texts only when these changed.

use std::{ops::Range, sync::Arc};

use crate::{
    Result,
    history::{History, HistoryRow},
    io::Timestamp,
};

/// Texts of a thing's readings, by time and sequence.
#[derive(Debug)]
pub(super) struct TextsOf(Vec<(i64, u64, Arc<str>)>);

impl TextsOf {
    /// Those of `rows`, which are the readings in a range.
    ///
    /// # Errors
    /// Those of the history.
    pub fn read(
        history: &History,
        owner: &str,
        range: Range<Timestamp>,
        rows: &[HistoryRow],
    ) -> Result<Self> {
        let first = rows.iter().map(|row| row.seq).min().zip(rows.first());
        match first {
            None => Ok(Self(Vec::new())),
            // After the first, so that its own texts will do: an earlier day is not looked at in vain.
            Some((seq, row)) => {
                let range = Timestamp(row.ts.0.saturating_add(1))
                    ..range.end.max(Timestamp(row.ts.0.saturating_add(2)));
                history.texts_with_seq(owner, range, seq).map(Self)
            }
        }
    }

    /// The texts of a reading: the last ones up to its time among those that were there when it came. Texts of a reading
    /// that came late are its own alone.
    pub fn of(&self, row: &HistoryRow) -> Option<&Arc<str>> {
        let end = self.0.partition_point(|(ts, seq, _)| (*ts, *seq) <= (row.ts.0, row.seq));
        let before = self.0.get(..end).unwrap_or_default().iter().rev();
        before.filter(|(_, seq, _)| *seq <= row.seq).map(|(_, _, text)| text).next()
    }
}
