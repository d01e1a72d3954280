//! A process that keeps a history in a folder, killed at points and at random times, and what the folder holds then.

use std::{fs, path::Path, time::Duration};

use headframe_core::{
    history::{FolderDisk, History, RowsQuery},
    io::Timestamp,
};

use super::{
    Cut, MOST_STEPS, Model, NOON, bounded,
    child::{self, Setup},
    drawn::DAY_MS,
    model::ALL,
};
use crate::{
    child::BEGAN,
    life::process::{Out, Process},
    rig::{Folder, needed},
    run::Case,
    watch::Watch,
};

/// The points, which are probes too.
const POINTS: [&str; 10] = [
    "begins a log",
    "begins a sealed file",
    "writes a commit",
    "writes a sealed file",
    "names a part",
    "names a day",
    "removes a log",
    "removes a part",
    "removes a day",
    "syncs the folder",
];
/// Kills of one folder.
pub const KILLS: u64 = 6;
/// How long a process may take to its point.
pub const PATIENCE_MS: u64 = 4_000;
const LOOK: Duration = Duration::from_millis(20);

/// What the parent knows.
struct Told {
    model: Model,
    seed: u64,
    now: i64,
    /// What the process said last.
    last: String,
}

/// At which point the kill `n` of a case comes; each third comes at a random time. History and telemetry have cases in turn,
/// and each of them its points one after the other.
pub fn aim(index: u64, n: u64) -> Option<&'static str> {
    let at = index / 2 * 4 + n - n / 3;
    (n % 3 != 2).then(|| POINTS[usize::try_from(at).unwrap_or(0) % POINTS.len()])
}

/// One folder whose process is killed over and over.
pub fn life(case: &mut Case) -> Result<(), String> {
    let folder = Folder::new()?;
    let dir = folder.join("history");
    let mut told = Told { model: Model::default(), seed: 0, now: NOON, last: String::new() };
    for n in 0..KILLS {
        killed(case, &dir, &mut told, aim(case.index, n))?;
        reopened(case, &dir, &mut told)?;
        case.unit();
    }
    let (history, _) = needed("refused in the end", open(&dir, told.now + 3 * DAY_MS))?;
    for n in 0.. {
        if needed("maintenance failed", history.maintain(Timestamp(told.now + 3 * DAY_MS)))?.is_none() {
            break;
        }
        if n == MOST_STEPS {
            return Err("maintenance does not end".into());
        }
    }
    told.model.compare(&history)?;
    let verified = needed("cannot be verified", history.verify())?;
    match verified.iter().find(|file| !file.problems.is_empty()) {
        Some(bad) => Err(format!("damage without a reason: {bad:?}")),
        None => Ok(()),
    }
}

fn open(dir: &Path, now: i64) -> headframe_core::Result<(History, headframe_core::history::OpenReport)> {
    History::open(std::sync::Arc::new(FolderDisk::open(dir)?), bounded(), Timestamp(now))
}

/// Starts a process and kills it, at a point or some time.
fn killed(case: &mut Case, dir: &Path, told: &mut Told, point: Option<&'static str>) -> Result<(), String> {
    told.seed = case.rng.u64(..);
    let skip = case.rng.u64(0..3);
    let setup = Setup { seed: told.seed, wall: told.now, point: point.map(Into::into), skip };
    let setup = serde_json::to_string(&setup).map_err(|e| e.to_string())?;
    let process = Process::start("keep", dir, &setup, &[])?;
    let (watch, mut began, life) = (Watch::start(), None, case.rng.u64(0..120));
    loop {
        match process.next(LOOK) {
            Out::Line(line) if line == "at" => {
                let point = point.ok_or("it stands where nobody asked it to")?;
                case.hit(point);
                let bytes = on_disk(dir)? + process.unlinked();
                if bytes > bounded().bound_bytes {
                    return Err(format!("{bytes} bytes are on the disk, before it {point}"));
                }
                break;
            }
            Out::Line(line) => {
                if line.starts_with(BEGAN) {
                    began = Some(watch.ms());
                }
                told.hears(case, &line)?;
            }
            Out::Nothing => {}
            Out::Ended => return Err("a process ended before it was killed".into()),
        }
        let limit = if point.is_some() { PATIENCE_MS } else { life };
        if began.is_some_and(|began| watch.ms() >= began + limit) || watch.ms() > 2 * PATIENCE_MS {
            case.hit_if(point.is_none(), "killed at a random time");
            break;
        }
    }
    for line in process.kill()? {
        if line != "at" {
            told.hears(case, &line)?;
        }
    }
    Ok(())
}

impl Told {
    fn hears(&mut self, case: &mut Case, line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        match words.next() {
            Some("put") => {
                let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).ok_or("no number");
                let (n, now, last) = (number()?, number()?, number()?);
                self.now = i64::try_from(now).map_err(|e| e.to_string())?;
                self.model.add(last, &child::of(self.seed, n, self.now)?);
            }
            Some("ok" | "rotated") => self.model.committed(),
            Some("removed") => case.hit("days removed"),
            Some("sealed") => case.hit("a log sealed"),
            Some("merged") => case.hit("parts merged"),
            Some("day") => case.hit("a day made"),
            _ => {}
        }
        line.clone_into(&mut self.last);
        Ok(())
    }
}

/// What the folder holds after a kill.
fn reopened(case: &mut Case, dir: &Path, told: &mut Told) -> Result<(), String> {
    let bytes = on_disk(dir)?;
    if bytes > bounded().bound_bytes {
        return Err(format!("{bytes} bytes are on the disk after a kill"));
    }
    case.hit_if(told.last == "rotated" || told.last == "working", "killed within maintenance");
    let opened = open(dir, told.now);
    let (history, report) = match opened {
        Err(e) if told.model.durable.is_empty() && e.code() == headframe_core::history::code::MISSING => {
            told.model.waiting.clear();
            return Ok(());
        }
        other => needed("refused after a kill", other)?,
    };
    if !report.damaged.is_empty() || !report.foreign.is_empty() {
        return Err(format!("a kill left damage: {report:?}"));
    }
    case.hit_if(report.leftovers > 0, "an unfinished step was put right");
    let asked = needed("rows cannot be read", history.rows("owner-0", ALL, RowsQuery::default()))?;
    case.hit_if(asked.removed_before.is_some(), "days removed");
    match told.model.after_cut(&history)? {
        Cut::Between => {}
        Cut::Whole => case.hit("the commit at the kill is there"),
        Cut::Lost => case.hit("the commit at the kill is not"),
    }
    Ok(())
}

/// Bytes of the files in the folder.
fn on_disk(dir: &Path) -> Result<u64, String> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(0) };
    Ok(entries.filter_map(Result::ok).filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum())
}
