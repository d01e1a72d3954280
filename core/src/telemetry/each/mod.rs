//! Results that have one value for each thing, or the last of each group: totals of sets of things do not give them.
//!
//! What is so now comes of the last readings. Of a window it is computed from the readings in the history when somebody
//! asks: of a number its mean over the time in which it was known, of anything else what held last. Things stand in the
//! groups in which they are now. Nothing of it is kept: modes and statuses change rarely, and the readings have them.

mod logs;
mod parts;
mod rows;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

use std::sync::Arc;

use serde_json::json;

use super::{Inner, Telemetry, code, holds::Holds, last::began, look::document, mos::said, read::unknown};
use crate::{
    Result,
    io::Timestamp,
    model::RackId,
    rack::{Reading, TailQuery, ThingRecord},
    stats::{Json, Kind, Row, Spec, Tally, families, live::Window},
};

/// Most windows times things of one answer that has values of single things: 1,000 things over 1,000 windows.
pub const MAX_EACH: usize = 1_000_000;
/// Most readings that are read of one number for such an answer: 1,000 things that are polled every 10 s, over 5 days.
pub const MAX_EACH_SAMPLES: u64 = 50_000_000;

/// Which values of which things are asked for.
struct Each {
    spec: Spec,
    /// In order of ids.
    things: Vec<Arc<ThingRecord>>,
    holds: Holds,
}

fn is_fresh(reading: &Reading, holds: Holds, now: Timestamp) -> bool {
    let hold = if reading.outcome.is_ok() { holds.answered } else { holds.failed };
    began(reading).0.saturating_add(hold) > now.0
}

impl Telemetry {
    /// Rows of a rack by windows of this length, oldest first. Of a row that was made anew only the newest counts. Empty for
    /// a tag that nobody has.
    ///
    /// Results with a value for each thing come of the readings in the history. Of miners they are computed only where
    /// [`TailQuery::wanted`] names them; where all results are wanted, they are left out of an answer for which they would
    /// be too many.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a rack without statistics; `ERR_LIMIT_EXCEEDED` for named values of
    /// single things beyond [`MAX_EACH`] or [`MAX_EACH_SAMPLES`]; those of the history.
    pub fn rows(&self, rack: &RackId, window: Window, query: &TailQuery) -> Result<Vec<Row>> {
        let mut rows = self.totals(rack, window, query)?;
        if !rows.is_empty()
            && let Some(each) = self.0.each(rack, query, false)?
        {
            let mut more = rows.clone();
            match self.0.add_each(&each, window, query, &mut more) {
                Ok(()) => rows = more,
                Err(e) if query.wanted.is_none() && e.code() == code::LIMIT_EXCEEDED => {}
                Err(e) => return Err(e),
            }
        }
        Ok(rows)
    }

    /// What the things of a rack with the query's tag say now, without a time stamp; `None` for a tag that nobody has. Of
    /// single miners it tells what [`TailQuery::wanted`] names.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a rack without statistics.
    pub fn now(&self, rack: &RackId, query: &TailQuery) -> Result<Option<Row>> {
        let Some(mut row) = self.totals_now(rack, &query.tag, |name| query.wants(name))? else {
            return Ok(None);
        };
        if let Some(each) = self.0.each(rack, query, true)? {
            let now = self.0.cx.clock.wall();
            let readings = self.0.lasts(rack, &each.things);
            let mut tally = Tally::new(&each.spec);
            for (record, reading) in each.things.iter().zip(&readings) {
                let Some(reading) = reading.as_deref().filter(|reading| is_fresh(reading, each.holds, now))
                else {
                    continue;
                };
                let ext = document(record);
                let entry = json!({"last": said(reading), "info": ext.get("info")});
                tally.add(&Json { entry: &entry, ext: Some(&ext) });
            }
            row.merge(&tally.finish());
        }
        Ok(Some(row))
    }
}

impl Inner {
    /// What is asked of single things, of now or of windows; `None` when nothing is.
    fn each(&self, rack: &RackId, query: &TailQuery, is_now: bool) -> Result<Option<Each>> {
        let (spec, holds, is_common) = {
            let racks = self.racks();
            let stats = racks.get(rack).ok_or_else(|| unknown(rack))?;
            let holds = stats.holds();
            (families::spec(&stats.facts.info.thing_type), holds, stats.sorting.is_common(&query.tag))
        };
        let is_asked = |name: &str, on_demand: bool| match on_demand {
            true => query.names(name),
            false => query.wants(name),
        };
        let is_each = |kind: Kind| match kind {
            Kind::Group | Kind::GroupMultipleStats => true,
            // Totals have the greatest of a window, not of now.
            Kind::GroupMax => is_now,
            _ => false,
        };
        let spec = spec.unwrap_or_default();
        let spec = spec.only(|name, op| is_each(op.kind) && is_asked(name, op.on_demand));
        if spec.ops().len() == 0 {
            return Ok(None);
        }
        Ok(Some(Each { spec, things: self.tagged(rack, &query.tag, is_common), holds }))
    }

    /// The things of a rack with a tag, in order of ids.
    fn tagged(&self, rack: &RackId, tag: &str, is_common: bool) -> Vec<Arc<ThingRecord>> {
        let mut things = self.things.of_rack(rack);
        things.retain(|thing| is_common || thing.tags.iter().any(|own| own.as_str() == tag));
        things
    }
}
