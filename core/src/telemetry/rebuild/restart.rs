use std::sync::Arc;

use super::MINUTE;
use crate::{
    Result,
    io::Timestamp,
    model::RackId,
    stats::{Plan, live::Window},
    telemetry::{
        Inner,
        kept::Kept,
        name,
        owners::Owner,
        rack::RackStats,
        read::read,
        write::{RowOf, Shapes},
    },
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
        stats.dirty.given = newest.map(Timestamp);
        let Some(last) = self.last_reading(rack, stats) else { return Ok(()) };
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
        // It says something of those around it, and of the one that was open then there is no row.
        let around = (last.saturating_sub(longest), last.saturating_add(longest).saturating_sub(1));
        let (first, until) =
            (Window::M1.start_of(Timestamp(around.0)), Window::M1.end_of(Timestamp(around.1)));
        stats.dirty.mark_cut(first.max(end).0, until.0);
        Ok(())
    }

    /// Appends the row of a window of which an earlier run may have given one out, in place of that.
    ///
    /// # Errors
    /// Those of the history of rows.
    pub(in crate::telemetry) fn put_again(
        &self,
        of: RowOf<'_>,
        plan: &Arc<Plan>,
        mut kept: Kept,
        shapes: &mut Shapes,
    ) -> Result<()> {
        let (_, members) = shapes.of(plan, of.owner)?;
        let name = name::name(of.window, of.rack, plan, of.owner);
        let ends = of.end..Timestamp(of.end.0.saturating_add(1));
        let old = read(&self.rows, &name, plan, &members, ends)?.remove(&of.end);
        match old {
            Some(old) if !kept.differs(&old, &members) => return Ok(()),
            Some(old) => kept.rev = old.rev.saturating_add(1),
            None => {}
        }
        self.put_row(of, plan, &kept, shapes)
    }

    /// The time of the last reading that was kept of a rack's things. Each thing's own is noted.
    fn last_reading(&self, rack: &RackId, stats: &mut RackStats) -> Option<i64> {
        let mut last = None;
        for thing in self.things.of_rack(rack) {
            match self.raw.last(thing.id.as_str()) {
                Ok(rows) => {
                    let Some(row) = rows.rows.last() else { continue };
                    stats.members.kept_until(&thing.id, row.ts);
                    last = last.max(Some(row.ts.0));
                }
                Err(error) => self.failed(&error, "the last reading of a thing"),
            }
        }
        last
    }
}
