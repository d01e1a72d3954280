use super::MINUTE;
use crate::{
    Result,
    io::Timestamp,
    model::RackId,
    stats::live::Window,
    telemetry::{Inner, name, owners::Owner, rack::RackStats},
};

impl Inner {
    /// Marks the minutes that a restart cut: from the last one that has a row to where the last reading before it stops
    /// to hold. Until a thing has said something again, the engine does not know what it holds, so some of these are
    /// still to come. Where the clock is behind what there are rows of, minutes that come again are among them.
    ///
    /// # Errors
    /// Those of the history of rows. A thing whose last reading cannot be read is left out, and counted as a failure.
    pub(in crate::telemetry) fn after_restart(&self, rack: &RackId, stats: &mut RackStats) -> Result<()> {
        let whole = Owner { tag: None, group: None };
        let rows = self.rows.last(&name::name(Window::M1, rack, &stats.plan, &whole))?;
        let newest = rows.rows.last().map(|row| row.ts.0);
        let Some(last) = self.last_reading(rack) else { return Ok(()) };
        let (from, longest) = (stats.open_from().0, stats.holds().longest());
        // A reading of a clock that was far ahead says nothing of the minutes until then.
        let ahead = newest.unwrap_or(from).max(from).saturating_add(longest + MINUTE);
        let until = last.saturating_add(longest).min(ahead).max(newest.unwrap_or(i64::MIN));
        let first = newest.map_or(last.saturating_sub(longest), |newest| from.min(newest));
        if let Some(newest) = newest {
            stats.dirty.mark_windows(newest - MINUTE);
        }
        let start = Window::M1.start_of(Timestamp(first));
        let end = Window::M1.end_of(Timestamp(until.saturating_sub(1)));
        stats.dirty.mark_cut(start.0, end.0);
        Ok(())
    }

    /// The time of the last reading that was kept of a rack's things.
    fn last_reading(&self, rack: &RackId) -> Option<i64> {
        let mut last = None;
        for thing in self.things.of_rack(rack) {
            match self.raw.last(thing.id.as_str()) {
                Ok(rows) => last = last.max(rows.rows.last().map(|row| row.ts.0)),
                Err(error) => self.failed(&error, "the last reading of a thing"),
            }
        }
        last
    }
}
