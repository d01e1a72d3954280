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

type Sets = BTreeMap<i64, BTreeMap<u32, Kept>>;

fn sets(stats: &RackStats, job: &Job, start: i64) -> BTreeMap<u32, Kept> {
    let cells = job.cells.get(&start).into_iter().flatten();
    stats.sets(cells.map(|(cell, totals)| (*cell, totals.view())))
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
            None if kept.held == 0.0 => return Ok(false),
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
        sets: &Sets,
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
            let new = sets.get(start).and_then(|sets| sets.get(&number));
            let kept = new.cloned().unwrap_or_else(|| Kept::new(self.plan.layout()));
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

    /// A longer window of one set, of the rows of the next shorter one, which were made anew before it.
    fn window(&mut self, window: Window, start: Timestamp, number: u32, owner: &Owner) -> Result<()> {
        let end = Timestamp(start.0.saturating_add(window.length_ms()));
        let finer = Window::ALL.into_iter().rfind(|finer| finer.length_ms() < window.length_ms());
        let finer = finer.unwrap_or(Window::M1);
        let members = self.members(owner)?;
        let (is_open, part) = {
            let racks = self.inner.racks();
            let Some(stats) = racks.get(self.rack) else { return Ok(()) };
            let part = stats.filling.part(finer, start, end, number);
            let part = part.map(|(end, kept)| (end, kept.clone()));
            (stats.filling.is_open(window, start, stats.open_from()), part)
        };
        let share = finer.length_ms() as f64 / window.length_ms() as f64;
        let mut kept = Kept::new(self.plan.layout());
        let mut rows = self.read(finer, owner, &members, start..end)?;
        // A window that comes again, because the clock was set back, may have a row.
        rows.extend(part);
        rows.values().for_each(|part| kept.add(part, share));
        if !is_open {
            let old = self.read(window, owner, &members, start..end)?.remove(&end);
            self.put(RowOf { rack: self.rack, window, end, owner }, kept, old.as_ref())?;
            return Ok(());
        }
        let mut ended = Vec::new();
        let mut racks = self.inner.racks();
        let Some(stats) = racks.get_mut(self.rack) else { return Ok(()) };
        stats.filling.set(window, start, number, kept, &mut ended);
        for ended in ended {
            self.inner.put_rows(self.rack, stats, &ended, &mut self.shapes);
        }
        Ok(())
    }
}
