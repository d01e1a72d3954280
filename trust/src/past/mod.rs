//! The real history under faults: random samples over a disk in memory that loses power and flips bits, or in a folder whose
//! process is killed, against a plain list of what was appended.

mod child;
mod drawn;
pub mod hooked;
mod kill;
mod model;
mod power;
mod rot;

use std::{sync::Arc, time::Duration};

use headframe_core::{
    Error,
    history::{DiskPlan, History, HistoryOptions, Maintained, MemDisk, OpenReport, Shape, code},
    io::Timestamp,
};

pub use child::{Setup, keep};
pub use kill::{KILLS, PATIENCE_MS, aim, life as kill_life};
pub use power::life as power_life;
pub use rot::{one as rot, sample};

use crate::run::Case;
use drawn::DAY_MS;
use model::{Cut, Model};

/// The name of its turns.
pub const NAME: &str = "over history";

/// Noon of 2025-11-26.
const NOON: i64 = 1_764_158_400_000;
/// More pieces of work than ever are due at once.
const MOST_STEPS: usize = 100_000;

/// Small files, so that all steps happen often.
pub fn small() -> HistoryOptions {
    HistoryOptions {
        bound_bytes: 1 << 20,
        seal_log_bytes: 2 << 10,
        seal_age: Duration::from_secs(3_600),
        max_block_bytes: 8 << 10,
        max_open_files: 3,
        step_values: 150,
        level: 2,
        ..HistoryOptions::default()
    }
}

/// So small that days are removed often.
pub fn bounded() -> HistoryOptions {
    HistoryOptions { bound_bytes: 16 << 10, max_block_bytes: 4 << 10, ..small() }
}

/// A history in a case.
struct Past {
    disk: MemDisk,
    history: Option<History>,
    options: HistoryOptions,
    model: Model,
    shapes: Vec<Arc<Shape>>,
    now: i64,
    /// Whether all is of one day.
    busy: bool,
    /// Whether the disk fails some time.
    planned: bool,
}

impl Past {
    /// On an empty disk, without a history.
    fn new(case: &Case, options: HistoryOptions) -> Result<Self, String> {
        Ok(Self {
            disk: MemDisk::new(case.seed),
            history: None,
            options,
            model: Model::default(),
            shapes: drawn::shapes()?,
            now: NOON,
            busy: false,
            planned: false,
        })
    }

    fn open(&self) -> headframe_core::Result<(History, OpenReport)> {
        History::open(Arc::new(self.disk.clone()), self.options.clone(), Timestamp(self.now))
    }

    fn create(&self) -> headframe_core::Result<(History, OpenReport)> {
        History::create(Arc::new(self.disk.clone()), self.options.clone(), Timestamp(self.now))
    }

    fn plan(&mut self, cut_at: Option<u64>) {
        self.planned = cut_at.is_some();
        self.disk.plan(DiskPlan { cut_at, ..DiskPlan::default() });
    }

    /// Whether an error may be: `Ok` when the power went.
    fn judged(&self, e: &Error) -> Result<(), String> {
        if self.planned && e.code() == code::IO {
            return Ok(());
        }
        Err(format!("failed although nothing is wrong: {e} [{}]", e.code()))
    }

    /// One step; false when the power went.
    fn step(&mut self, case: &mut Case) -> Result<bool, String> {
        let history = self.history.take().ok_or("there is no history")?;
        let went_on = match case.rng.u32(0..12) {
            0..=4 => self.append(case, &history),
            5 | 6 => self.commit(&history),
            7..=9 => {
                let most = case.rng.usize(1..60);
                self.maintain(case, &history, most).map(|done| done.is_some())
            }
            10.. if self.busy => {
                self.now += case.rng.i64(0..60_000);
                Ok(true)
            }
            10 => {
                self.now += case.rng.i64(0..2 * 3_600_000);
                Ok(true)
            }
            _ => {
                let day = case.rng.u32(0..3) == 0;
                self.now += if day { case.rng.i64(0..DAY_MS) } else { 1_000 };
                Ok(true)
            }
        };
        self.history = Some(history);
        went_on
    }

    fn append(&mut self, case: &mut Case, history: &History) -> Result<bool, String> {
        let drawn = drawn::samples(&mut case.rng, &self.shapes, self.now);
        match drawn::append(history, &drawn) {
            Ok(last) => {
                self.model.add(last, &drawn);
                let is_late = |drawn: &drawn::Drawn| drawn.ts < self.now - self.now.rem_euclid(DAY_MS);
                case.hit_if(drawn.iter().any(is_late), "a sample of an earlier day");
                Ok(true)
            }
            // Too much waits: nothing of it was taken.
            Err(e) if e.code() == code::BOUND => Ok(true),
            Err(e) => Err(format!("samples are refused: {e}")),
        }
    }

    fn commit(&mut self, history: &History) -> Result<bool, String> {
        match history.commit() {
            Ok(()) => self.model.committed(),
            // Logs have to be sealed first; what waits stays.
            Err(e) if e.code() == code::FULL => {}
            Err(e) => return self.judged(&e).map(|()| false),
        }
        Ok(true)
    }

    /// Does what is due; `None` when the power went, or how many pieces it did.
    fn maintain(&mut self, case: &mut Case, history: &History, most: usize) -> Result<Option<usize>, String> {
        let removed = history.stats().removed_days;
        for n in 0..most {
            match history.maintain(Timestamp(self.now)) {
                Ok(None) => return Ok(Some(n)),
                Ok(Some(Maintained::Rotated { .. })) => self.model.committed(),
                Ok(Some(Maintained::Sealed { .. })) => case.hit("a log sealed"),
                Ok(Some(Maintained::Merged { .. })) => case.hit("parts merged"),
                Ok(Some(Maintained::DayMade { .. })) => case.hit("a day made"),
                Ok(_) => {}
                Err(e) => {
                    self.judged(&e)?;
                    case.hit("cut within maintenance");
                    return Ok(None);
                }
            }
            case.hit_if(history.stats().removed_days > removed, "days removed");
        }
        Ok(Some(most))
    }

    /// Maintains until nothing is due.
    fn settle(&mut self, case: &mut Case, history: &History) -> Result<(), String> {
        match self.maintain(case, history, MOST_STEPS)? {
            Some(done) if done < MOST_STEPS => Ok(()),
            _ => Err("maintenance does not end".into()),
        }
    }
}
