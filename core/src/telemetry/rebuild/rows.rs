//! The rows that come of minutes that were counted anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use super::{MINUTE, job::Job};
use crate::{
    Result,
    io::Timestamp,
    model::RackId,
    stats::{Member, Plan, live::Window},
    telemetry::{
        Inner,
        kept::Kept,
        name,
        owners::Owner,
        rack::RackStats,
        read::read,
        sets::Sets,
        write::{RowOf, Shapes},
    },
};

/// What is written of a rack.
struct Anew<'a> {
    inner: &'a Inner,
    rack: &'a RackId,
    plan: Arc<Plan>,
    owners: Vec<Owner>,
    shapes: Shapes,
    /// Rows before this are not complete, because they were removed.
    removed_before: Timestamp,
    /// Minutes until then are over by the clock.
    over: Timestamp,
}

impl Inner {
    /// Writes rows anew: of minutes, then of longer windows with them. Gives how many minutes changed.
    ///
    /// # Errors
    /// Those of the history of rows. What was written stays, and nothing is counted twice when it is done again.
    pub(super) fn make_anew(&self, rack: &RackId, job: &Job) -> Result<u64> {
        let (mut anew, sets) = {
            let racks = self.racks();
            let Some(stats) = racks.get(rack) else { return Ok(0) };
            let sets = job.minutes.keys().map(|start| (*start, sets(stats, job, *start))).collect();
            (Anew::of(self, rack, stats), sets)
        };
        let mut changed = BTreeSet::new();
        let mut touched = Vec::new();
        for (number, owner) in (0..).zip(anew.owners.clone()) {
            if anew.minutes(job, &sets, number, &owner, &mut changed)? {
                touched.push((number, owner));
            }
        }
        for window in Window::ALL.into_iter().skip(1) {
            let starts = job.minutes.keys().map(|start| window.start_of(Timestamp(*start)));
            let starts: BTreeSet<Timestamp> = starts.filter(|start| *start >= anew.removed_before).collect();
            for start in starts {
                for (number, owner) in &touched {
                    anew.window(window, start, *number, owner)?;
                }
            }
        }
        Ok(changed.len() as u64)
    }
}

fn sets(stats: &RackStats, job: &Job, start: i64) -> Sets {
    let cells = job.cells.get(&start).into_iter().flatten();
    stats.sets(cells.map(|(cell, totals)| (*cell, totals.view())), MINUTE)
}

impl<'a> Anew<'a> {
    fn of(inner: &'a Inner, rack: &'a RackId, stats: &RackStats) -> Self {
        let numbers = 0..u32::try_from(stats.owners.len()).unwrap_or(u32::MAX);
        Self {
            inner,
            rack,
            plan: Arc::clone(&stats.plan),
            owners: numbers.filter_map(|number| stats.owners.get(number).cloned()).collect(),
            shapes: Shapes::default(),
            removed_before: inner.rows.begins().1.unwrap_or(Timestamp(i64::MIN)),
            over: inner.over(),
        }
    }

    fn members(&mut self, owner: &Owner) -> Result<Arc<[(String, Member)]>> {
        Ok(self.shapes.of(&self.plan, owner)?.1)
    }

    /// Rows of a set whose windows end in `(from, until]`.
    fn read(
        &self,
        window: Window,
        owner: &Owner,
        members: &[(String, Member)],
        ends: Range<Timestamp>,
    ) -> Result<BTreeMap<Timestamp, Kept>> {
        let name = name::name(window, self.rack, &self.plan, owner);
        let ends = Timestamp(ends.start.0.saturating_add(1))..Timestamp(ends.end.0.saturating_add(1));
        read(&self.inner.rows, &name, &self.plan, members, ends)
    }

    /// Writes a row in place of the one that is there, if it is another. Whether it did.
    fn put(&mut self, of: RowOf<'_>, mut kept: Kept, old: Option<&Kept>) -> Result<bool> {
        let members = self.members(of.owner)?;
        kept.rev = match old {
            Some(old) if !kept.differs(old, &members) => return Ok(false),
            None if kept.held() == 0.0 => return Ok(false),
            Some(old) => old.rev.saturating_add(1),
            None => 0,
        };
        self.inner.put_row(of, &self.plan, &kept, &mut self.shapes)?;
        Ok(true)
    }

    /// The minutes of one set; whether its longer windows are to be made anew.
    fn minutes(
        &mut self,
        job: &Job,
        sets: &BTreeMap<i64, Sets>,
        number: u32,
        owner: &Owner,
        changed: &mut BTreeSet<i64>,
    ) -> Result<bool> {
        let (Some(first), Some(last)) = (job.minutes.keys().next(), job.minutes.keys().next_back()) else {
            return Ok(false);
        };
        let ends = Timestamp(*first)..Timestamp(last.saturating_add(MINUTE));
        let members = self.members(owner)?;
        let there = self.read(Window::M1, owner, &members, ends)?;
        let mut touched = false;
        for (start, mark) in &job.minutes {
            let end = Timestamp(start.saturating_add(MINUTE));
            let old = there.get(&end);
            let new = sets.get(start).and_then(|sets| sets.get(number));
            let kept = new.as_ref().map_or_else(|| Kept::new(self.plan.layout()), Kept::to_own);
            if !mark.stays
                && self.put(RowOf { rack: self.rack, window: Window::M1, end, owner }, kept, old)?
            {
                changed.insert(*start);
                touched = true;
            }
            // Also for a set that has nothing in the minutes that were cut: its longer windows were lost with the others.
            touched |= mark.windows;
        }
        Ok(touched)
    }

    /// A longer window of one set, of the rows of the next shorter one, which were made anew before it. One that is being
    /// filled holds those of them that have ended.
    fn window(&mut self, window: Window, start: Timestamp, number: u32, owner: &Owner) -> Result<()> {
        let end = Timestamp(start.0.saturating_add(window.length_ms()));
        let finer = Window::ALL.into_iter().rfind(|finer| finer.length_ms() < window.length_ms());
        let finer = finer.unwrap_or(Window::M1);
        let members = self.members(owner)?;
        let until = match self.inner.racks().get(self.rack) {
            Some(stats) => stats.filling.ended(finer).min(end),
            None => return Ok(()),
        };
        let rows = self.read(finer, owner, &members, start..until)?;
        let kept = Kept::joined(&self.plan, rows.values(), finer, window);
        if let Some(stats) = self.inner.racks().get_mut(self.rack)
            && let Some(open) = stats.filling.open(window, start)
        {
            open.set(number, &kept);
            return Ok(());
        }
        if end > self.over {
            // The clock was set back into it: it is made when it is over.
            if let Some(stats) = self.inner.racks().get_mut(self.rack) {
                stats.dirty.mark_windows(end.0.saturating_sub(MINUTE));
            }
            return Ok(());
        }
        let old = self.read(window, owner, &members, start..end)?.remove(&end);
        self.put(RowOf { rack: self.rack, window, end, owner }, kept, old.as_ref())?;
        Ok(())
    }
}
