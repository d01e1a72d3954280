//! Windows longer than a minute, while they are filled with minutes.

use std::collections::BTreeMap;

use super::kept::Kept;
use crate::{
    io::Timestamp,
    stats::live::{Layout, Window},
};

/// Totals of a window that has ended, by the number of the set.
pub(super) struct Ended {
    pub window: Window,
    pub end: Timestamp,
    pub sets: BTreeMap<u32, Kept>,
}

/// The window of one length that is being filled.
#[derive(Debug)]
struct Open {
    window: Window,
    start: i64,
    sets: BTreeMap<u32, Kept>,
}

/// The windows that are being filled, at most one of each length.
#[derive(Debug)]
pub(super) struct Filling {
    layout: Layout,
    open: Vec<Open>,
}

impl Filling {
    pub fn new(layout: Layout) -> Self {
        Self { layout, open: Vec::new() }
    }

    /// Adds a minute to all windows; those that it ends go to `ended`.
    pub fn minute(&mut self, minute: Timestamp, sets: &BTreeMap<u32, Kept>, ended: &mut Vec<Ended>) {
        for window in Window::ALL.into_iter().skip(1) {
            let layout = self.layout;
            let open = self.at(window, window.start_of(minute), ended);
            let share = Window::M1.length_ms() as f64 / window.length_ms() as f64;
            for (owner, kept) in sets {
                open.sets.entry(*owner).or_insert_with(|| Kept::new(layout)).add(kept, share);
            }
            let last = minute.0 + Window::M1.length_ms();
            if last == open.start + window.length_ms() {
                ended.extend(open.take(last));
            }
        }
    }

    /// The window that begins at `start`. One that was filled before goes to `ended`.
    fn at(&mut self, window: Window, start: Timestamp, ended: &mut Vec<Ended>) -> &mut Open {
        let at = match self.open.iter().position(|open| open.window == window) {
            Some(at) => at,
            None => {
                self.open.push(Open { window, start: start.0, sets: BTreeMap::new() });
                self.open.len() - 1
            }
        };
        let open = &mut self.open[at];
        if open.start != start.0 {
            ended.extend(open.take(start.0));
        }
        open
    }

    /// Whether the row of a window is still to come, when minutes from `open_from` on are not over.
    pub fn is_open(&self, window: Window, start: Timestamp, open_from: Timestamp) -> bool {
        match self.open.iter().find(|open| open.window == window) {
            Some(open) if open.start >= start.0 => open.start == start.0,
            _ => open_from.0 < start.0 + window.length_ms(),
        }
    }

    /// What is in the open window of this length that begins in `[from, until)`, of one set, and the window's end.
    pub fn part(
        &self,
        window: Window,
        from: Timestamp,
        until: Timestamp,
        owner: u32,
    ) -> Option<(Timestamp, &Kept)> {
        let is_inside = |open: &&Open| open.window == window && (from.0..until.0).contains(&open.start);
        let open = self.open.iter().find(is_inside)?;
        Some((Timestamp(open.start + window.length_ms()), open.sets.get(&owner)?))
    }

    /// Sets what is in an open window, of one set.
    pub fn set(&mut self, window: Window, start: Timestamp, owner: u32, kept: Kept, ended: &mut Vec<Ended>) {
        let open = self.at(window, start, ended);
        if kept.held > 0.0 {
            open.sets.insert(owner, kept);
        } else {
            open.sets.remove(&owner);
        }
    }
}

impl Open {
    fn take(&mut self, next: i64) -> Option<Ended> {
        let end = Timestamp(self.start + self.window.length_ms());
        self.start = next;
        let sets = std::mem::take(&mut self.sets);
        (!sets.is_empty()).then_some(Ended { window: self.window, end, sets })
    }
}
