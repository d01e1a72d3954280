//! A process that keeps a rack's readings and statistics in folders, killed at points and at random times.

use std::{path::Path, sync::Arc, time::Duration};

use headframe_core::{
    history::{FolderDisk, History},
    io::Timestamp,
};

use super::{
    child::{FOLDERS, quick},
    lab::{HOUR, Lab, MINUTE, START, Say},
    rows,
};
use crate::{
    child::BEGAN,
    life::process::{Out, Process},
    past::{KILLS, PATIENCE_MS, Setup, aim},
    rig::{Folder, needed},
    run::Case,
    site::Jumping,
    watch::Watch,
};

const LOOK: Duration = Duration::from_millis(20);
/// What the last process gets to make anew what waits.
const SETTLES_MS: u64 = 20_000;

/// What the parent knows.
struct Told {
    /// What was said and was not lost, in the order in which it came.
    says: Vec<Say>,
    durable: i64,
    now: i64,
}

/// One rack whose process is killed over and over.
pub async fn life(case: &mut Case) -> Result<(), String> {
    let folder = Folder::new()?;
    let mut told = Told { says: Vec::new(), durable: 0, now: START };
    for n in 0..KILLS {
        killed(case, &folder, &mut told, aim(case.index, n))?;
        kept(case, &folder, &mut told)?;
        told.now += if case.rng.bool() { case.rng.i64(0..20 * MINUTE) } else { 1_000 };
        case.unit();
    }
    ends(case, &folder, &told).await
}

fn killed(case: &mut Case, dir: &Path, told: &mut Told, point: Option<&'static str>) -> Result<(), String> {
    let setup = Setup {
        seed: case.rng.u64(..),
        wall: told.now,
        point: point.map(Into::into),
        skip: case.rng.u64(0..3),
    };
    let setup = serde_json::to_string(&setup).map_err(|e| e.to_string())?;
    let process = Process::start("measure", dir, &setup, &[])?;
    let (watch, mut began, life) = (Watch::start(), None, case.rng.u64(0..250));
    loop {
        match process.next(LOOK) {
            Out::Line(line) if line == "at" => {
                case.hit(point.ok_or("it stands where nobody asked it to")?);
                break;
            }
            Out::Line(line) => {
                if line == BEGAN {
                    began = Some(watch.ms());
                }
                told.hears(&line)?;
            }
            Out::Nothing => {}
            Out::Ended => return Err("a process ended before it was killed".into()),
        }
        let limit = if point.is_some() { PATIENCE_MS } else { life };
        if began.is_some_and(|began| watch.ms() >= began + limit) || watch.ms() > 5 * PATIENCE_MS {
            case.hit_if(point.is_none(), "killed at a random time");
            break;
        }
    }
    process.kill()?.iter().try_for_each(|line| told.hears(line))
}

impl Told {
    fn hears(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["put", thing, ts, power] => {
                let thing = thing.parse().map_err(|_| "no thing")?;
                let ts = ts.parse().map_err(|_| "no time")?;
                self.says.push(Say { thing, ts, power: power.parse().ok() });
                self.now = self.now.max(ts);
            }
            ["durable", ts] => self.durable = ts.parse().map_err(|_| "no time")?,
            _ => {}
        }
        Ok(())
    }
}

/// What the folder of readings holds after a kill.
fn kept(case: &mut Case, dir: &Path, told: &mut Told) -> Result<(), String> {
    let disk = Arc::new(needed("no folder", FolderDisk::open(dir.join(FOLDERS[0])))?);
    let found = match History::open(disk, quick().readings, Timestamp(told.now)) {
        // It was killed before there was any.
        Err(e) if told.says.is_empty() && e.code() == headframe_core::history::code::MISSING => Vec::new(),
        opened => rows::readings(&needed("refused after a kill", opened)?.0)?,
    };
    if let Some(say) = found.iter().find(|say| !told.says.contains(say)) {
        return Err(format!("{say:?} was never said"));
    }
    for say in &told.says {
        let times = found.iter().filter(|other| *other == say).count();
        case.hit_if(times == 0, "readings were lost");
        case.hit_if(times == 1 && say.ts <= told.durable, "readings were durable");
        if times > 1 || (times == 0 && say.ts <= told.durable) {
            return Err(format!("{say:?} is there {times} times; all until {} was durable", told.durable));
        }
    }
    told.says.retain(|say| found.contains(say));
    Ok(())
}

/// Another process makes anew what waits: rows are what was integrated by hand.
async fn ends(case: &mut Case, dir: &Path, told: &Told) -> Result<(), String> {
    let clock = Arc::new(Jumping::starting_at(Timestamp(told.now)));
    let lab = Lab::new(clock.clone()).await?;
    let disk = |name: &str| needed("no folder", FolderDisk::open(dir.join(name)));
    let disks = (Arc::new(disk(FOLDERS[0])?) as _, Arc::new(disk(FOLDERS[1])?) as _);
    let run = needed("refused in the end", lab.run(disks, &quick()))?;
    clock.jump(2 * HOUR);
    let over = lab.now() - HOUR;
    let mut says = told.says.clone();
    // Windows end when something is said after them.
    let last = Say { thing: 0, ts: lab.now() - 700, power: Some(1.0) };
    run.hear(&last).await?;
    says.push(last);
    let expected = rows::by_hand(&says);
    let watch = Watch::start();
    lab.pass(50).await;
    clock.jump(3 * MINUTE);
    loop {
        lab.pass(50).await;
        let found = rows::rows(run.telemetry.statistics())?;
        match rows::windows(&found, &expected, over) {
            Ok(()) => break,
            Err(e) if watch.ms() > SETTLES_MS => return Err(e),
            Err(_) => {}
        }
    }
    let counters = run.telemetry.counters();
    case.hit_if(counters.rebuilt > 0, "rows made anew");
    if (counters.failures, counters.rebuilds_dropped) != (0, 0) {
        return Err(format!("failures without a reason: {counters:?}"));
    }
    run.close()
}
