use std::collections::{BTreeMap, BTreeSet};

use super::MINUTE;
use crate::{io::Timestamp, stats::live::Late};

/// Most minutes of a rack that wait: two days.
pub(super) const MOST: usize = 2_880;
/// Minutes that are made anew at once, and over how much time they may lie: each thing is read once for all.
const AT_ONCE: usize = 4;
const SPREAD: i64 = 3_600_000;
/// How long after its end a minute waits for others, where reading all things takes many ticks, ms.
const PATIENCE: i64 = 5 * MINUTE;
/// How often a minute is tried again.
const AGAIN: u8 = 5;

/// How it stands with a dirty minute.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    /// How often it failed.
    tries: u8,
    /// The tick before which it is not tried again.
    not_before: u64,
    /// Whether longer windows are made anew even if the minute does not change: a restart may have cut them.
    pub windows: bool,
    /// Whether the minute's own rows were given out by an earlier run, complete: they stay, for it knew more of who was
    /// there.
    pub stays: bool,
}

/// Minutes of a rack that are to be made anew, by their starts.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Dirty {
    minutes: BTreeMap<i64, Mark>,
    /// Minutes that were made anew.
    pub rebuilt: u64,
    /// Minutes that were given up.
    pub dropped: u64,
    /// The end of the last window of which an earlier run gave out a row.
    pub(super) given: Option<Timestamp>,
}

impl Dirty {
    /// Marks what a late sample may have changed.
    pub fn mark_late(&mut self, late: Late) {
        late.minutes().for_each(|start| self.mark(start.0, Mark::default()));
    }

    /// Marks the windows with a minute in them, which a restart may have cut; the minute itself is right.
    pub(super) fn mark_windows(&mut self, start: i64) {
        self.mark(start, Mark { windows: true, stays: true, ..Mark::default() });
    }

    /// Marks the minutes that begin in `[from, until)`, which a restart cut, with all windows that they are in.
    pub(super) fn mark_cut(&mut self, from: i64, until: i64) {
        let count = usize::try_from(until.saturating_sub(from) / MINUTE).unwrap_or(0);
        let left_out = count.saturating_sub(MOST);
        self.drop_all(left_out);
        let mark = Mark { windows: true, ..Mark::default() };
        for start in (from..until).step_by(60_000).skip(left_out) {
            self.mark(start, mark);
        }
    }

    fn mark(&mut self, start: i64, mark: Mark) {
        let known = self.minutes.entry(start).or_insert(mark);
        known.windows |= mark.windows;
        known.stays &= mark.stays;
        known.tries = known.tries.max(mark.tries);
        known.not_before = known.not_before.max(mark.not_before);
        while self.minutes.len() > MOST {
            self.minutes.pop_first();
            self.drop_all(1);
        }
    }

    /// Whether an earlier run may have given out the row of a window that ends at `end`: the clock was set back then.
    pub fn comes_again(&self, end: Timestamp) -> bool {
        self.given.is_some_and(|given| end <= given)
    }

    /// Counts minutes that are given up.
    pub(super) fn drop_all(&mut self, count: usize) {
        self.dropped += count as u64;
    }

    /// Takes a few minutes that have ended at `until`, the oldest ones; one that failed alone, after all others. Unless it
    /// is `cheap`, it waits for a few to be there.
    pub(super) fn take(&mut self, until: Timestamp, tick: u64, cheap: bool) -> BTreeMap<i64, Mark> {
        let ended = self.minutes.range(..=until.0.saturating_sub(MINUTE));
        let due: Vec<(i64, Mark)> =
            ended.filter(|(_, m)| m.not_before <= tick).map(|(s, m)| (*s, *m)).collect();
        let Some((first, mark)) = due.iter().min_by_key(|(start, mark)| (mark.tries, *start)).copied() else {
            return BTreeMap::new();
        };
        if !cheap && due.len() < AT_ONCE && first > until.0.saturating_sub(PATIENCE) {
            return BTreeMap::new();
        }
        let together = |(start, other): &&(i64, Mark)| {
            *start == first || (mark.tries == 0 && other.tries == 0 && *start - first < SPREAD)
        };
        let taken: BTreeMap<i64, Mark> = due.iter().filter(together).take(AT_ONCE).copied().collect();
        self.minutes.retain(|start, _| !taken.contains_key(start));
        taken
    }

    /// The minutes that wait, with others, as spans `[from, until)`. Those whose rows stay are found anew by who opens them.
    pub(super) fn spans(&self, others: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
        let wait = self.minutes.iter().filter(|(_, mark)| !mark.stays).map(|(start, _)| *start);
        let all: BTreeSet<i64> = wait.chain(others).collect();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for start in all {
            match spans.last_mut() {
                Some((_, until)) if *until == start => *until += MINUTE,
                _ => spans.push((start, start + MINUTE)),
            }
        }
        spans
    }

    /// Whether minutes that have ended at `until` wait.
    #[cfg(test)]
    #[cfg(feature = "testkit")]
    pub(super) fn waits(&self, until: Timestamp) -> bool {
        self.minutes.range(..=until.0.saturating_sub(MINUTE)).next().is_some()
    }

    /// Puts back minutes that failed, to be tried again later; gives how many are given up.
    pub(super) fn failed(&mut self, minutes: BTreeMap<i64, Mark>, tick: u64) -> usize {
        let mut dropped = 0;
        for (start, mark) in minutes {
            if mark.tries == AGAIN {
                dropped += 1;
                continue;
            }
            let not_before = tick.saturating_add(1 << mark.tries);
            // Its own rows may have been written already, without those of the windows.
            self.mark(start, Mark { tries: mark.tries + 1, not_before, windows: true, ..mark });
        }
        self.drop_all(dropped);
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp(i64::MAX);

    #[test]
    fn the_oldest_go_when_too_many_wait_and_are_counted() {
        let mut dirty = Dirty::default();
        dirty.mark_cut(0, (MOST as i64 + 7) * MINUTE);
        assert_eq!((dirty.minutes.len(), dirty.dropped), (MOST, 7));
        dirty.mark_late(Late::over(Timestamp(9_000 * MINUTE), Timestamp(9_002 * MINUTE)));
        assert_eq!((dirty.minutes.len(), dirty.dropped), (MOST, 9));
        assert_eq!(dirty.minutes.first_key_value().map(|(start, _)| *start), Some(9 * MINUTE));
        dirty.mark_late(Late::over(Timestamp(9_000 * MINUTE), Timestamp(9_002 * MINUTE)));
        assert_eq!(dirty.dropped, 9, "they wait already");
    }

    #[test]
    fn minutes_are_taken_when_they_have_ended_a_few_at_once() {
        let mut dirty = Dirty::default();
        dirty.mark_cut(0, 6 * MINUTE);
        assert!(dirty.take(Timestamp(MINUTE - 1), 0, true).is_empty());
        assert_eq!(
            dirty.take(Timestamp(3 * MINUTE), 0, true).into_keys().collect::<Vec<_>>(),
            [0, MINUTE, 2 * MINUTE]
        );
        dirty.mark_late(Late::over(Timestamp(5 * SPREAD), Timestamp(5 * SPREAD + 1)));
        assert_eq!(dirty.take(END, 0, true).len(), 3, "what lies hours later is read apart");
        assert_eq!(dirty.take(END, 0, true).into_keys().collect::<Vec<_>>(), [5 * SPREAD]);
        assert!(dirty.take(END, 0, true).is_empty());
    }

    #[test]
    fn where_it_costs_much_a_few_wait_for_each_other() {
        let mut dirty = Dirty::default();
        dirty.mark_cut(0, 3 * MINUTE);
        assert!(dirty.take(Timestamp(PATIENCE - 1), 0, false).is_empty());
        assert_eq!(dirty.take(Timestamp(PATIENCE), 0, false).len(), 3);
        dirty.mark_cut(0, 4 * MINUTE);
        assert_eq!(dirty.take(Timestamp(4 * MINUTE), 0, false).len(), AT_ONCE);
    }

    #[test]
    fn what_fails_is_tried_again_alone_five_times() {
        let mut dirty = Dirty::default();
        dirty.mark_cut(0, 2 * MINUTE);
        let mut taken = dirty.take(END, 0, true);
        assert_eq!((taken.len(), dirty.failed(taken, 0)), (2, 0));
        let (mut tick, mut tries) = (0, 0);
        while dirty.dropped < 2 {
            assert!(tick < 1_000, "it never ends");
            taken = dirty.take(END, tick, true);
            assert!(taken.len() <= 1);
            tries += taken.len();
            dirty.failed(taken, tick);
            tick += 1;
        }
        assert_eq!((tries, dirty.minutes.len(), dirty.rebuilt), (10, 0, 0));
    }
}
