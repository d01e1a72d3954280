//! Power cuts while a history is written, maintained and opened.

use headframe_core::history::code;

use super::{Cut, Past, bounded, drawn::DAY_MS, small};
use crate::{rig::needed, run::Case};

/// Calls of the disk among which the power is cut.
const CALLS: u64 = 400;
/// The same of an opening.
const FIRST_CALLS: u64 = 40;
const STEPS: usize = 80;
/// Commits at the end of a life within which the power is cut: where it may go at any moment it seldom tears one.
const TORN: usize = 5;

/// One history that lives through several cuts.
pub fn life(case: &mut Case) -> Result<(), String> {
    let busy = case.rng.u8(..3) == 0;
    let options = if !busy && case.rng.bool() { bounded() } else { small() };
    let mut past = Past::new(case, options)?;
    past.busy = busy;
    past.make(case)?;
    for _ in 0..if busy { case.rng.usize(8..20) } else { case.rng.usize(2..9) } {
        past.round(case)?;
        case.unit();
    }
    for _ in 0..TORN {
        past.cut_commit(case)?;
        past.cut()?;
        past.reopen(case)?;
    }
    past.ends(case)
}

impl Past {
    /// Makes the history; now and then the power is cut meanwhile.
    fn make(&mut self, case: &mut Case) -> Result<(), String> {
        for _ in 0..case.rng.usize(0..3) {
            self.plan(Some(case.rng.u64(0..8)));
            let made = match self.create() {
                Err(e) if e.code() == code::EXISTS => self.open(),
                made => made,
            };
            if let Err(e) = &made {
                self.judged(e)?;
                case.hit("cut while a history was made");
            }
            drop(made);
            self.disk = self.disk.cut();
            self.planned = false;
        }
        // What was cut is none yet, or an empty one.
        let (history, _) = match self.open() {
            Err(e) if e.code() == code::MISSING => needed("a history cannot be made", self.create())?,
            other => needed("a history that was being made is refused", other)?,
        };
        self.model.compare(&history)?;
        self.history = Some(history);
        Ok(())
    }

    fn round(&mut self, case: &mut Case) -> Result<(), String> {
        let cut_at = (case.rng.u8(..5) > 0).then(|| case.rng.u64(0..CALLS));
        self.plan(cut_at);
        let mut on = true;
        for _ in 0..case.rng.usize(1..STEPS) {
            on = on && self.step(case)?;
        }
        match case.rng.u8(..9) {
            0..=2 if on => self.cut_commit(case)?,
            3 => self.kill(case)?,
            // The process alone ends, and the power goes when another begins.
            4 => {
                self.history = None;
                self.open_until_cut(case)?;
            }
            _ => {}
        }
        self.cut()?;
        for _ in 0..3 {
            if case.rng.u8(..3) == 0 {
                self.cut_again(case)?;
            }
        }
        self.reopen(case)
    }

    /// The power is cut; the bound was kept until then.
    fn cut(&mut self) -> Result<(), String> {
        self.history = None;
        if self.disk.peak() > self.options.bound_bytes {
            return Err(format!("{} bytes at most of {}", self.disk.peak(), self.options.bound_bytes));
        }
        self.disk = self.disk.cut();
        self.planned = false;
        Ok(())
    }

    /// The power goes within a commit, wherever it was to go before.
    fn cut_commit(&mut self, case: &mut Case) -> Result<(), String> {
        self.plan(None);
        let history = self.history.take().ok_or("there is no history")?;
        self.append(case, &history)?;
        self.plan(Some(case.rng.u64(0..3)));
        self.commit(&history).map(drop)
    }

    /// The process alone ends, and another finds what it wrote. What that shows stays, also over a cut.
    fn kill(&mut self, case: &mut Case) -> Result<(), String> {
        self.history = None;
        self.plan(None);
        case.hit("killed before the cut");
        self.reopen(case)
    }

    /// The power is cut again while the history is opened.
    fn cut_again(&mut self, case: &mut Case) -> Result<(), String> {
        self.open_until_cut(case)?;
        self.disk = self.disk.cut();
        self.planned = false;
        Ok(())
    }

    fn open_until_cut(&mut self, case: &mut Case) -> Result<(), String> {
        self.plan(Some(case.rng.u64(0..FIRST_CALLS)));
        match self.open() {
            Ok(_) => {}
            Err(e) => {
                self.judged(&e)?;
                case.hit("cut while a history was opened");
            }
        }
        Ok(())
    }

    fn reopen(&mut self, case: &mut Case) -> Result<(), String> {
        let (history, report) = needed("refused after a cut", self.open())?;
        if !report.damaged.is_empty() || !report.foreign.is_empty() {
            return Err(format!("a cut left damage: {report:?}"));
        }
        case.hit_if(report.cut_bytes > 0, "a torn commit");
        case.hit_if(report.leftovers > 0, "an unfinished step was put right");
        match self.model.after_cut(&history)? {
            Cut::Between => {}
            Cut::Whole => case.hit("the commit at the cut was durable"),
            Cut::Lost => case.hit("the commit at the cut was not"),
        }
        self.history = Some(history);
        Ok(())
    }

    /// All becomes days; the bound was kept.
    fn ends(&mut self, case: &mut Case) -> Result<(), String> {
        self.plan(None);
        self.now += 3 * DAY_MS;
        let history = self.history.take().ok_or("there is no history")?;
        self.settle(case, &history)?;
        self.model.compare(&history)?;
        let verified = needed("cannot be verified", history.verify())?;
        if let Some(bad) = verified.iter().find(|file| !file.problems.is_empty()) {
            return Err(format!("damage without a reason: {bad:?}"));
        }
        let (used, told) = (self.disk.used(), history.stats().bytes);
        if self.disk.peak() > self.options.bound_bytes || told != used {
            return Err(format!("{} bytes at most, and {used} told as {told}", self.disk.peak()));
        }
        Ok(())
    }
}
