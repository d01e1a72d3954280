//! What is done once a second: rows of windows that have ended, commits, and a piece of the histories' own work.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, Weak},
};

use super::{
    Inner, Telemetry,
    kept::columns,
    name,
    owners::Owner,
    rack::{Ended, RackStats},
};
use crate::{
    Result,
    history::{History, Maintained, Sample, Shape},
    io::Timestamp,
    model::RackId,
    stats::{Member, Plan},
};

/// Pieces of work on each history in one tick.
const STEPS: usize = 4;
/// Things that are not a rack's any more are looked for every so many ticks.
const SWEEP_EVERY: u64 = 60;

impl Telemetry {
    /// Does what is due once a second, until the last other handle is gone.
    pub async fn run(self) {
        let inline = self.is_inline();
        let weak = Arc::downgrade(&self.0);
        let (clock, every) = (Arc::clone(&self.0.cx.clock), self.0.options.commit_every);
        drop(self);
        let mut ticks: u64 = 0;
        let mut at = clock.mono();
        loop {
            at = at + every;
            clock.sleep_until(at).await;
            ticks += 1;
            let Some(inner) = Weak::upgrade(&weak) else { return };
            let work = move || inner.tick(ticks);
            if inline {
                work();
            } else if let Err(error) = tokio::task::spawn_blocking(work).await {
                tracing::error!(%error, "telemetry came to a bad end");
                return;
            }
        }
    }

    /// Makes durable what has come, with the rows of windows that have ended.
    ///
    /// # Errors
    /// Those of [`History::commit`]. What waits stays, and is tried again.
    pub fn flush(&self) -> Result<()> {
        self.0.close_windows()?;
        self.0.rows.commit()?;
        self.0.commit()
    }

    /// Ends windows as [`flush`](Self::flush) does, but lets go of their rows: to measure what it costs. Gives how many rows.
    #[cfg(feature = "testkit")]
    pub fn close_windows(&self) -> usize {
        let now = self.0.cx.clock.wall();
        self.0.racks().values_mut().flat_map(|stats| stats.close(now)).map(|ended| ended.sets.len()).sum()
    }

    /// Makes durable what has come, and lets the histories be opened again. Nothing is kept afterwards.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). They are closed all the same.
    pub fn close(&self) -> Result<()> {
        let flushed = self.flush();
        let closed = self.0.rows.close().and(self.0.raw.close());
        flushed.and(closed)
    }
}

impl Inner {
    fn tick(&self, ticks: u64) {
        if ticks.is_multiple_of(SWEEP_EVERY) {
            self.sweep();
        }
        if let Err(error) = self.close_windows().and_then(|()| self.rows.commit()) {
            self.failed(&error, "rows");
        }
        if let Err(error) = self.commit() {
            self.failed(&error, "readings");
        }
        for (history, what) in [(&self.raw, "readings"), (&self.rows, "rows")] {
            if let Err(error) = maintain(history, self.cx.clock.wall()) {
                self.failed(&error, what);
            }
        }
    }

    fn sweep(&self) {
        let now = self.cx.clock.wall();
        for (rack, stats) in self.racks().iter_mut() {
            let here = |id: &crate::ThingId| self.things.get(id).is_some_and(|thing| thing.rack == *rack);
            self.lasts.retain(rack, here);
            if let Err(error) = stats.sweep(now, here) {
                self.failed(&error, "statistics");
            }
        }
    }

    /// Makes readings durable, and says until when they are.
    fn commit(&self) -> Result<()> {
        let until: Vec<(RackId, Timestamp)> = {
            let racks = self.racks();
            let until = |stats: &RackStats| {
                let deadline = i64::try_from(stats.facts.deadline.as_millis()).unwrap_or(i64::MAX);
                // Polls that began later may still be under way.
                Timestamp(stats.ended.0.saturating_sub(deadline))
            };
            racks.iter().map(|(rack, stats)| (rack.clone(), until(stats))).collect()
        };
        let committed = self.raw.commit();
        if committed.is_err() {
            // Texts that wait in a block that is lost would be missing for long.
            self.racks().values_mut().for_each(RackStats::forget_texts);
        }
        committed?;
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        for (rack, ts) in until.into_iter().filter(|(_, ts)| ts.0 > 0) {
            let known = durable.entry(rack).or_insert(ts);
            *known = (*known).max(ts);
        }
        Ok(())
    }

    fn close_windows(&self) -> Result<()> {
        let now = self.cx.clock.wall();
        self.count_parts(now)?;
        let mut shapes = Shapes::default();
        for (rack, stats) in self.racks().iter_mut() {
            for ended in stats.close(now) {
                self.put_rows(rack, stats, &ended, &mut shapes)?;
            }
        }
        self.store_mos(now);
        Ok(())
    }

    fn put_rows(&self, rack: &RackId, stats: &RackStats, ended: &Ended, shapes: &mut Shapes) -> Result<()> {
        for (number, kept) in &ended.sets {
            let Some(owner) = stats.owners.get(*number) else { continue };
            let (shape, members) = shapes.of(&stats.plan, owner)?;
            let values: Vec<f64> = members.iter().map(|member| member.of(kept)).collect();
            let name = name::name(ended.window, rack, &stats.plan, owner);
            let sample = Sample { owner: &name, ts: ended.end, shape: &shape, values: &values, texts: None };
            if let Err(error) = self.rows.append(&[sample]) {
                self.failed(&error, "a row");
            }
        }
        Ok(())
    }
}

/// Columns as they are kept, and which they are.
type Columns = (Arc<Shape>, Arc<[Member]>);

/// The columns of sets, by plan and group.
#[derive(Debug, Default)]
struct Shapes(HashMap<(usize, Option<usize>), Columns>);

impl Shapes {
    fn of(&mut self, plan: &Arc<Plan>, owner: &Owner) -> Result<Columns> {
        let group = owner.group.as_ref().map(|(group, _)| *group);
        let key = (Arc::as_ptr(plan) as usize, group);
        if let Some((shape, members)) = self.0.get(&key) {
            return Ok((Arc::clone(shape), Arc::clone(members)));
        }
        let (names, members): (Vec<String>, Vec<Member>) = columns(plan, group).into_iter().unzip();
        let (shape, members) = (Shape::new(names)?, Arc::from(members));
        self.0.insert(key, (Arc::clone(&shape), Arc::clone(&members)));
        Ok((shape, members))
    }
}

fn maintain(history: &History, now: Timestamp) -> Result<()> {
    for _ in 0..STEPS {
        match history.maintain(now)? {
            None => return Ok(()),
            Some(Maintained::Working | Maintained::Rotated { .. }) => {}
            Some(done) => tracing::debug!(?done, "history"),
        }
    }
    Ok(())
}
