//! What is done once a second: rows of windows that have ended, commits, and a piece of the histories' own work.

use std::sync::{Arc, Weak};

use super::{
    Inner, Telemetry,
    filling::Ended,
    rack::RackStats,
    write::{RowOf, Shapes},
};
use crate::{
    Result,
    history::{History, Maintained},
    io::Timestamp,
    model::RackId,
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
        self.0.close_and_commit().and(self.0.rows.commit())
    }

    /// Ends windows as [`flush`](Self::flush) does, but lets go of their rows: to measure what it costs. Gives how many rows.
    #[cfg(feature = "testkit")]
    pub fn close_windows(&self) -> usize {
        let now = self.0.cx.clock.wall();
        self.0
            .racks()
            .values_mut()
            .flat_map(|stats| stats.close(now))
            .map(|ended| ended.sets.iter().count())
            .sum()
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
    pub(super) fn tick(&self, ticks: u64) {
        if ticks.is_multiple_of(SWEEP_EVERY) {
            self.sweep();
        }
        if let Err(error) = self.close_and_commit() {
            self.failed(&error, "readings or rows");
        }
        // What it appends is made durable by the next tick: no reading waits for it.
        self.rebuild(ticks);
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
            if let Err(error) = stats.sweep(now, here) {
                self.failed(&error, "statistics");
            }
        }
    }

    /// Makes readings durable, and says until when they are.
    fn commit(&self) -> Result<()> {
        let until: Vec<(RackId, Timestamp)> =
            self.racks().iter().map(|(rack, stats)| (rack.clone(), stats.all_until())).collect();
        let committed = self.raw.commit();
        if committed.is_err() {
            // Texts that wait in a block that is lost would be missing for long.
            self.racks().values_mut().for_each(|stats| stats.members.forget_texts());
        }
        committed?;
        let mut racks = self.racks();
        for (rack, ts) in until.into_iter().filter(|(_, ts)| ts.0 > 0) {
            let Some(stats) = racks.get_mut(&rack) else { continue };
            // The clock may have been set back meanwhile.
            stats.until.durable = ts.min(stats.all_until());
        }
        Ok(())
    }

    /// Makes readings durable, and appends the rows of windows that have ended, which become durable with the next commit: no
    /// row counts a reading that a power cut takes away. Which minutes wait is durable before the readings that they wait for.
    ///
    /// # Errors
    /// Those of [`History::commit`]. What waits stays, and is tried again.
    fn close_and_commit(&self) -> Result<()> {
        // A rebuild reads what windows are made of, and then sets it.
        let mut rebuilds = self.rebuilds();
        let now = self.cx.clock.wall();
        if let Err(error) = self.count_parts(now) {
            self.failed(&error, "parts");
        }
        let close = |(rack, stats): (&RackId, &mut RackStats)| (rack.clone(), stats.close(now));
        let closed: Vec<(RackId, Vec<Ended>)> = self.racks().iter_mut().map(close).collect();
        self.note_pending(&mut rebuilds);
        let noted = self.rows.commit();
        let committed = self.commit();
        let mut shapes = Shapes::default();
        let racks = self.racks();
        for (rack, all) in &closed {
            let Some(stats) = racks.get(rack) else { continue };
            all.iter().for_each(|ended| self.put_rows(rack, stats, ended, &mut shapes));
        }
        drop(racks);
        self.store_mos(now);
        noted.and(committed)
    }

    /// Appends the rows of a window. One that cannot be kept is counted.
    pub(super) fn put_rows(&self, rack: &RackId, stats: &RackStats, ended: &Ended, shapes: &mut Shapes) {
        for (number, kept) in ended.sets.iter() {
            let Some(owner) = stats.owners.get(number) else { continue };
            let of = RowOf { rack, window: ended.window, end: ended.end, owner };
            let put = match stats.dirty.comes_again(ended.end) {
                true => self.put_again(of, &stats.plan, kept.to_own(), shapes),
                false => self.put_row(of, &stats.plan, &kept, shapes),
            };
            if let Err(error) = put {
                self.failed(&error, "a row");
            }
        }
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
