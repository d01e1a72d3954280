use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{
    Counters, Fate, Late, Layout, MINUTE, Said, Window,
    close::Coarse,
    maxima::{Maxima, Sample},
    now::Behind,
    open::{Open, State},
    said::{FARTHEST, plausible},
    slots::Slots,
    table::Table,
};
use crate::{Error, Result, io::Timestamp};

const OP: &str = "stats.live";

/// Most things and most cells: numbers are places in tables.
const MOST: u32 = 1 << 20;

/// Longest grace; each minute of it is one more that is open.
const LONGEST_GRACE: Duration = Duration::from_secs(3600);

/// Minutes that may be open besides those of the grace: the one of now, and a few that a caller has not closed yet.
const OPEN_BESIDES: i64 = 8;

/// How an engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long a minute stays open after its end for samples that are still on their way; at most an hour.
    pub grace: Duration,
    /// Whether windows longer than a minute are filled too. Whoever keeps minutes can add them up, by sets of cells.
    pub coarser: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), coarser: true }
    }
}

/// Statistics over time windows; see the [module](super).
///
/// Time comes with each call. Things and cells are numbers that the caller gives, best from 0 without gaps: memory goes
/// by the greatest.
#[derive(Debug)]
pub struct Engine {
    pub(super) layout: Layout,
    pub(super) grace: i64,
    /// Start of the first open minute.
    pub(super) from: i64,
    /// Open minutes from `from` on, as far as something is in them.
    pub(super) open: VecDeque<Open>,
    /// What is held at `from`, by cell.
    pub(super) held: Table,
    /// Things held at `from`.
    pub(super) present: i64,
    pub(super) coarse: Vec<Coarse>,
    pub(super) slots: Slots,
    pub(super) maxima: Maxima,
    /// What things said with a time before that of their last sample.
    pub(super) behind: HashMap<u32, Behind>,
    /// The longest hold so far, ms: how far a late sample can reach.
    longest: i64,
    pub(super) counters: Counters,
}

impl Engine {
    /// An engine without things, whose first open minute is the earliest that the grace still allows at `now`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a grace of more than an hour.
    pub fn new(layout: Layout, options: Options, now: Timestamp) -> Result<Self> {
        if options.grace > LONGEST_GRACE {
            return Err(Error::invalid(OP, "grace", "a minute stays open for an hour at most"));
        }
        let grace = i64::try_from(options.grace.as_millis()).unwrap_or(0);
        let from = Window::M1.start_of(Timestamp(now.0.clamp(-FARTHEST, FARTHEST) - grace)).0;
        Ok(Self {
            layout,
            grace,
            from,
            open: VecDeque::new(),
            held: Table::new(layout),
            present: 0,
            coarse: Window::COARSE
                .into_iter()
                .filter(|_| options.coarser)
                .map(|w| Coarse::new(layout, w, from))
                .collect(),
            slots: Slots::new(layout),
            maxima: Maxima::default(),
            behind: HashMap::new(),
            longest: 0,
            counters: Counters::default(),
        })
    }

    /// Its columns.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Start of the first minute that is still open.
    pub fn open_from(&self) -> Timestamp {
        Timestamp(self.from)
    }

    /// What was left out so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// `thing` says something: from `ts` on, in place of what it said before. Another cell moves it there.
    ///
    /// A sample before the first open minute counts from that minute's start on, and is `Late` for what lies before. One
    /// before the thing's last sample changes no totals, and is `Late` for all it may change.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a number of a thing or cell of 2²⁰ or more, another number of columns
    /// than the layout has, or a time outside of 8.64·10¹⁵ ms around 1970. Nothing was changed then.
    pub fn update(&mut self, thing: u32, said: &Said<'_>) -> Result<Fate> {
        self.check(thing, said)?;
        let absurd = |x: &&f64| !x.is_nan() && !plausible(**x);
        let wrong = said.values.iter().chain(said.maxes).filter(absurd).count();
        if wrong == 0 {
            return Ok(self.take(thing, said));
        }
        self.counters.implausible += u64::try_from(wrong).unwrap_or(0);
        let clean =
            |all: &[f64]| all.iter().map(|x| if plausible(*x) { *x } else { f64::NAN }).collect::<Vec<_>>();
        let (values, maxes) = (clean(said.values), clean(said.maxes));
        Ok(self.take(thing, &Said { values: &values, maxes: &maxes, ..*said }))
    }

    /// `thing` says nothing any more from `ts` on. Its number can be given to another thing.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn remove(&mut self, thing: u32, ts: Timestamp) -> Result<Fate> {
        check_number("thing", thing)?;
        check_time(ts)?;
        let known = self.slots.get(thing).map(|slot| (slot.cell, slot.ts));
        if let Some(fate) = self.out_of_order(ts.0, known.map(|(_, last)| last)) {
            if let (Fate::Late(_), Some((cell, _))) = (fate, known) {
                self.behind.insert(thing, Behind::nothing(ts.0, cell));
            }
            return Ok(fate);
        }
        self.behind.remove(&thing);
        let at = ts.0.max(self.from);
        if let Some(slot) = self.slots.holding(thing) {
            let end = slot.hold.min(at);
            self.finish(thing, end);
        }
        self.slots.remove(thing, ts.0);
        Ok(self.counted(ts.0))
    }

    fn check(&self, thing: u32, said: &Said<'_>) -> Result<()> {
        check_number("thing", thing)?;
        check_number("cell", said.cell)?;
        let columns = [
            ("values", said.values.len(), self.layout.values()),
            ("maxes", said.maxes.len(), self.layout.maxes()),
        ];
        for (field, given, wanted) in columns {
            if given != wanted {
                return Err(Error::invalid(OP, field, "the layout has another number of columns")
                    .with("columns", given)
                    .with("layout", wanted));
            }
        }
        check_time(said.ts)
    }

    fn take(&mut self, thing: u32, said: &Said<'_>) -> Fate {
        let (ts, hold) = (said.ts.0, said.held_until());
        self.longest = self.longest.max(hold.saturating_sub(ts));
        if let Some(fate) = self.out_of_order(ts, self.slots.get(thing).map(|slot| slot.ts)) {
            if matches!(fate, Fate::Late(_)) {
                self.behind.insert(thing, Behind::new(self.layout, said));
            }
            return fate;
        }
        if !self.behind.is_empty() {
            self.behind.remove(&thing);
        }
        self.place(thing, said, hold, ts.max(self.from));
        if ts < hold && hold <= self.from {
            self.behind.insert(thing, Behind::new(self.layout, said));
        }
        self.counted(ts)
    }

    /// The fate of a sample that changes no totals: one far ahead, or one before the thing's last one.
    fn out_of_order(&mut self, ts: i64, last: Option<i64>) -> Option<Fate> {
        if ts - self.from >= self.grace + OPEN_BESIDES * MINUTE {
            self.counters.ahead += 1;
            return Some(Fate::Ahead);
        }
        let last = last.filter(|last| ts < *last)?;
        self.counters.late += 1;
        Some(Fate::Late(Late::between(ts, last.min(ts.saturating_add(self.longest)))))
    }

    fn counted(&mut self, ts: i64) -> Fate {
        if ts >= self.from {
            return Fate::Counted;
        }
        self.counters.late += 1;
        // What the thing said before may have been held longer than this.
        Fate::Late(Late::between(ts, self.from.min(ts.saturating_add(self.longest))))
    }

    /// A thing holds something new from `at` on, which lies in an open minute.
    fn place(&mut self, thing: u32, said: &Said<'_>, hold: i64, at: i64) {
        let live = hold > at;
        let cell = index(said.cell);
        let new = State { values: said.values, predicates: self.layout.mask(said.predicates), held: true };
        match self.slots.holding(thing).copied() {
            Some(slot) if slot.hold >= at && slot.cell == said.cell && live => {
                self.leave_maxima(thing, at);
                let (layout, rest) = (self.layout, self.rest(at));
                let old = self.slots.state(thing);
                if let Some(open) = open_at(&mut self.open, layout, self.from, at) {
                    open.shift(layout, cell, rest, old, new);
                }
            }
            slot => {
                if let Some(slot) = slot {
                    self.finish(thing, slot.hold.min(at));
                }
                if live {
                    self.shift(cell, at, State::NOTHING, new);
                }
            }
        }
        let minute = self.minute(at);
        let stamp = self.slots.say(thing, said, hold, minute, live);
        if live && self.layout.maxes() > 0 {
            let slots = &self.slots;
            let sample = Sample { minute, thing, stamp, maxes: said.maxes };
            self.maxima.begin(cell, sample, |thing, stamp| slots.alive(thing, stamp));
        }
    }

    /// What a thing holds ends at `end`, which lies in an open minute.
    pub(super) fn finish(&mut self, thing: u32, end: i64) {
        self.leave_maxima(thing, end);
        let Some(slot) = self.slots.holding(thing) else { return };
        let (layout, rest, cell) = (self.layout, self.rest(end), index(slot.cell));
        let old = self.slots.state(thing);
        if let Some(open) = open_at(&mut self.open, layout, self.from, end) {
            open.shift(layout, cell, rest, old, State::NOTHING);
        }
        self.slots.release(thing);
    }

    /// Counts the maxima of what a thing held until `end` in the open minutes in which it did.
    fn leave_maxima(&mut self, thing: u32, end: i64) {
        let Some(slot) = self.slots.holding(thing).filter(|_| self.layout.maxes() > 0) else { return };
        let (cell, mut at) = (index(slot.cell), slot.ts.max(self.from));
        self.maxima.end(cell, slot.minute);
        let maxes = self.slots.maxes(thing);
        while at < end {
            if let Some(open) = open_at(&mut self.open, self.layout, self.from, at) {
                open.raise(cell, maxes);
            }
            at = Window::M1.end_of(Timestamp(at)).0;
        }
    }

    fn shift(&mut self, cell: usize, at: i64, from: State<'_>, to: State<'_>) {
        let (layout, rest) = (self.layout, self.rest(at));
        if let Some(open) = open_at(&mut self.open, layout, self.from, at) {
            open.shift(layout, cell, rest, from, to);
        }
    }

    fn minute(&self, at: i64) -> i64 {
        at - at.rem_euclid(MINUTE)
    }

    fn rest(&self, at: i64) -> i64 {
        MINUTE - at.rem_euclid(MINUTE)
    }
}

/// The open minute of `at`, which is not before `from`.
fn open_at(open: &mut VecDeque<Open>, layout: Layout, from: i64, at: i64) -> Option<&mut Open> {
    let place = usize::try_from((at - from) / MINUTE).ok()?;
    while open.len() <= place {
        open.push_back(Open::new(layout));
    }
    open.get_mut(place)
}

fn check_number(field: &str, number: u32) -> Result<()> {
    if number < MOST {
        return Ok(());
    }
    Err(Error::invalid(OP, field, "the number is too large").with("number", number).with("most", MOST - 1))
}

fn check_time(ts: Timestamp) -> Result<()> {
    if (-FARTHEST..=FARTHEST).contains(&ts.0) {
        return Ok(());
    }
    Err(Error::invalid(OP, "ts", "the time is outside of what can be counted").with("ts", ts.0))
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
