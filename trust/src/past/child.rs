//! The process that keeps a history in a folder and is killed. It says what it did after it did it:
//!
//! | line | says |
//! |---|---|
//! | `began {…}` | the history is open |
//! | `put N NOW LAST` | the samples that [`drawn`] gives for number N were appended, the last with this sequence |
//! | `ok` | all of them are committed |
//! | `rotated` | so they are, and a new log was begun |
//! | `sealed`, `merged`, `day`, `working` | maintenance did this |
//! | `removed` | days went to keep the bound |
//! | `at` | it stands at the point where it is to be killed |

use std::{
    io::{self, BufRead, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use headframe_core::{
    Result,
    history::{FolderDisk, History, Maintained, code},
    io::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    bounded, drawn,
    hooked::{Call, Hook, hooked},
};
use crate::{
    child::{BEGAN, say},
    rig::needed,
};

/// Steps of a process that nobody kills.
const STEPS: u64 = 20_000;

/// How a process is to begin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub seed: u64,
    /// The time, ms.
    pub wall: i64,
    /// The point at which it stops, to be killed.
    pub point: Option<String>,
    /// How often it passes there before.
    pub skip: u64,
}

impl Setup {
    /// Reads it from the input.
    pub fn read() -> std::result::Result<Self, String> {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(|e| e.to_string())?;
        serde_json::from_str(&line).map_err(|e| e.to_string())
    }

    /// What stops the process at its point.
    pub fn stop(&self) -> Arc<dyn Hook> {
        Arc::new(Stop { point: self.point.clone(), left: AtomicU64::new(self.skip) })
    }
}

/// The name of the point before a call.
pub fn point(call: Call<'_>) -> Option<&'static str> {
    let ends = |name: &str, with: &str| name.ends_with(with);
    Some(match call {
        Call::Create(name) if ends(name, ".log") => "begins a log",
        Call::Create(_) => "begins a sealed file",
        Call::Write(name) if ends(name, ".log") => "writes a commit",
        Call::Write(_) => "writes a sealed file",
        Call::Rename(name) if ends(name, ".part") => "names a part",
        Call::Rename(_) => "names a day",
        Call::Remove(name) if ends(name, ".log") => "removes a log",
        Call::Remove(name) if ends(name, ".part") => "removes a part",
        Call::Remove(name) if ends(name, ".day") => "removes a day",
        Call::SyncDir => "syncs the folder",
        Call::Remove(_) | Call::Other => return None,
    })
}

/// Stops at a point for good.
#[derive(Debug)]
struct Stop {
    point: Option<String>,
    left: AtomicU64,
}

impl Hook for Stop {
    fn before(&self, call: Call<'_>) -> io::Result<()> {
        if self.point.is_none() || self.point.as_deref() != point(call) {
            return Ok(());
        }
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            say("at");
            // Until it is killed, or who would do that is gone.
            let _end = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(1);
        }
        Ok(())
    }
}

/// Keeps a history in `dir` until it is killed.
pub fn keep(dir: &Path) -> std::result::Result<(), String> {
    let setup = Setup::read()?;
    let disk = hooked(needed("no folder", FolderDisk::open(dir))?, setup.stop());
    let now = Timestamp(setup.wall);
    let opened = match History::open(disk.clone(), bounded(), now) {
        Err(e) if e.code() == code::MISSING => History::create(disk, bounded(), now),
        other => other,
    };
    let (history, report) = needed("refused", opened)?;
    say(&format!("{BEGAN} {}", json!({"cut": report.cut_bytes, "leftovers": report.leftovers})));
    let (mut rng, mut now, mut removed) = (fastrand::Rng::with_seed(setup.seed), setup.wall, 0);
    for n in 0..STEPS {
        match rng.u32(0..8) {
            0..=2 => put(&history, setup.seed, n, now)?,
            3 => commit(&history)?,
            4..=6 => needed("maintenance failed", maintain(&history, now))?,
            _ => now += if rng.u32(0..10) == 0 { rng.i64(0..drawn::DAY_MS) } else { rng.i64(0..600_000) },
        }
        let days = history.stats().removed_days;
        if days > removed {
            removed = days;
            say("removed");
        }
    }
    Ok(())
}

/// The samples of a number.
pub fn of(seed: u64, n: u64, now: i64) -> std::result::Result<Vec<drawn::Drawn>, String> {
    let mut rng = fastrand::Rng::with_seed(seed ^ (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Ok(drawn::samples(&mut rng, &drawn::shapes()?, now))
}

fn put(history: &History, seed: u64, n: u64, now: i64) -> std::result::Result<(), String> {
    match drawn::append(history, &of(seed, n, now)?) {
        Ok(last) => say(&format!("put {n} {now} {last}")),
        Err(e) if e.code() == code::BOUND => {}
        Err(e) => return Err(format!("samples are refused: {e}")),
    }
    Ok(())
}

fn commit(history: &History) -> std::result::Result<(), String> {
    match history.commit() {
        Ok(()) => say("ok"),
        Err(e) if e.code() == code::FULL => {}
        Err(e) => return Err(format!("a commit failed: {e}")),
    }
    Ok(())
}

fn maintain(history: &History, now: i64) -> Result<()> {
    for _ in 0..20 {
        let Some(done) = history.maintain(Timestamp(now))? else { break };
        say(match done {
            Maintained::Rotated { .. } => "rotated",
            Maintained::Sealed { .. } => "sealed",
            Maintained::Merged { .. } => "merged",
            Maintained::DayMade { .. } => "day",
            _ => "working",
        });
    }
    Ok(())
}
