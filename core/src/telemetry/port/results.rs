//! Rows of statistics that MiningOS computed. They are results, not totals: kept and shown as they were.

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Map, Value, value::RawValue};

use super::{
    DAY_MS,
    import::Import,
    line::{Timed, of_row, timed},
    there::{There, last},
};
use crate::{
    Error, ErrorKind, Result,
    history::{MAX_OWNER_BYTES, Sample, Shape},
    io::Timestamp,
    telemetry::{OP, Telemetry, name},
};

/// Rows that are compared with the history at once; they are of one day.
const BATCH: usize = 2_048;

impl Telemetry {
    /// Rows of statistics that were imported, oldest first, as they were: they are never folded with ours. Of several with
    /// one time the one that was imported last counts.
    ///
    /// # Errors
    /// Those of the history.
    pub fn imported_rows(
        &self,
        key: &str,
        thing_type: &str,
        tag: &str,
        range: Range<Timestamp>,
    ) -> Result<Vec<Value>> {
        let texts = self.0.rows.texts(&name::imported(key, thing_type, tag), range.clone())?;
        let mut rows = BTreeMap::new();
        // The first can be from before the range.
        rows.extend(texts.into_iter().filter(|(ts, _)| range.contains(ts)));
        let row = |text: &str| {
            serde_json::from_str(text)
                .map_err(|e| Error::new(ErrorKind::Corrupt, OP, "an imported row is no JSON").caused_by(e))
        };
        rows.into_values().map(|text| row(&text)).collect()
    }
}

impl Import<'_> {
    pub fn results(&mut self, key: &str, thing_type: &str, tag: &str, rows: &[&RawValue]) -> Result<()> {
        let bad = |name: &str| name.is_empty() || name.chars().any(char::is_control);
        let owner = name::imported(key, thing_type, tag);
        if [key, thing_type, tag].into_iter().any(bad) || owner.len() > MAX_OWNER_BYTES {
            return self
                .skip("key, type and tag have 1 to 122 bytes together and no control characters".into());
        }
        let shape = Shape::new::<&str>([])?;
        let (rows, bad) = timed(rows);
        bad.into_iter().try_for_each(|why| self.skip(why))?;
        for day in rows.chunk_by(|a, b| a.ts / DAY_MS == b.ts / DAY_MS) {
            for batch in day.chunks(BATCH) {
                self.result_batch(&owner, &shape, batch)?;
                self.commit_some()?;
            }
        }
        Ok(())
    }

    fn result_batch(
        &mut self,
        owner: &str,
        shape: &std::sync::Arc<Shape>,
        batch: &[Timed<'_>],
    ) -> Result<()> {
        let (Some(first), Some(end)) = (batch.first(), batch.last()) else { return Ok(()) };
        let history = &self.inner.rows;
        let there = match last(history, owner)?.is_some_and(|newest| newest >= first.ts) {
            true => There::read(history, owner, first.ts, end.ts)?,
            false => There::default(),
        };
        let mut before: Option<&Timed<'_>> = None;
        for row in batch {
            let text = row.raw.get();
            let again = before.is_some_and(|before| before.ts == row.ts && before.raw.get() == text);
            before = Some(row);
            if again || there.says(row.ts, text) {
                self.done.same += 1;
                continue;
            }
            if let Err(e) = serde_json::from_str::<Map<String, Value>>(text) {
                self.skip(of_row(row.at, &format!("it is no row: {e}")))?;
                continue;
            }
            let sample = Sample { owner, ts: Timestamp(row.ts), shape, values: &[], texts: Some(text) };
            match self.append(history, sample)? {
                Ok(()) => self.done.rows += 1,
                Err(why) => self.skip(of_row(row.at, &why))?,
            }
        }
        Ok(())
    }
}
