use super::{Engine, Totals, View, Window, engine::index};
use crate::{Error, Result, io::Timestamp};

/// What a rebuild found for one cell in a minute (or in another span that was closed).
#[derive(Debug, Clone)]
pub struct Change {
    /// The cell.
    pub cell: u32,
    /// What counted so far: the totals that were given out, or only the part of the thing that is rebuilt.
    pub old: Totals,
    /// What is to count instead, of the same things.
    pub new: Totals,
}

/// What a rebuild changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replaced {
    /// The minute is still open: rebuild it once it is closed.
    StillOpen,
    /// All coarser windows with it have been given out: rebuild these too.
    AllClosed,
    /// The finest open window with it has the difference now, and so will the coarser ones. Finer ones that have been given
    /// out have to be rebuilt as well.
    Into {
        /// That window.
        window: Window,
        /// A maximum fell that may be the window's: once it is given out, its maxima have to be rebuilt.
        max_unsure: bool,
    },
}

impl Engine {
    /// Puts rebuilt totals of the closed minute that starts at `start` into the coarser windows that are still open, as a
    /// difference. Nothing else is changed.
    pub fn replace(&mut self, start: Timestamp, changes: &[Change]) -> Replaced {
        if start.0 >= self.from {
            return Replaced::StillOpen;
        }
        let holds = |window: Window, its: i64| window.start_of(start).0 == its;
        let Some(coarse) = self.coarse.iter_mut().find(|coarse| holds(coarse.window, coarse.start)) else {
            return Replaced::AllClosed;
        };
        let mut max_unsure = false;
        for change in changes {
            let cell = index(change.cell);
            coarse.add(cell, change.old.view(), -1);
            let mut row = coarse.add(cell, change.new.view(), 1);
            row.settle();
            let fell = change.old.view().max.iter().zip(change.new.view().max).zip(&*row.max);
            max_unsure |= fell.into_iter().any(|((old, new), max)| (new.is_nan() || new < old) && old >= max);
        }
        Replaced::Into { window: coarse.window, max_unsure }
    }

    /// The spans whose totals an engine that was just made does not have, one for each window that was open then: to be
    /// filled from the history with [`seed`](Self::seed). Empty ones are left out.
    pub fn unseeded(&self) -> Vec<(Window, Timestamp, Timestamp)> {
        let mut end = self.from;
        let mut spans = Vec::new();
        for coarse in &self.coarse {
            if coarse.start < end {
                spans.push((coarse.window, Timestamp(coarse.start), Timestamp(end)));
            }
            end = coarse.start;
        }
        spans
    }

    /// Adds totals of `cell` over the span that [`unseeded`](Self::unseeded) gives for `window`. After the spans,
    /// [`update`](Self::update) takes each thing's last sample before the first open minute and those from there on.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a minute, which is made of nothing finer.
    pub fn seed(&mut self, window: Window, cell: u32, totals: View<'_>) -> Result<()> {
        let coarse = self.coarse.iter_mut().find(|coarse| coarse.window == window);
        let coarse = coarse.ok_or_else(|| {
            Error::invalid("stats.live", "window", "a minute is counted from samples, not from totals")
        })?;
        coarse.add(index(cell), totals, 1).settle();
        Ok(())
    }
}
