//! Bits of a history's files that flip at rest, while it is open, and in a single read.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use headframe_core::{
    Error, Result,
    history::{Disk as _, History, MAX_TS, MemDisk, OpenReport, code},
    io::Timestamp,
};

use super::{
    MOST_STEPS, Past,
    drawn::{self, DAY_MS, owners},
    hooked::{Hook, hooked},
    model::{ALL, Kept, Model, Row, rows},
    small,
};
use crate::run::Case;

type Said<T> = std::result::Result<T, String>;

/// A history with logs, parts and days, and what it holds.
pub struct Sample {
    disk: MemDisk,
    model: Model,
    now: i64,
}

/// Makes one.
pub fn sample(case: &mut Case) -> Said<Sample> {
    let mut past = Past::new(case, small())?;
    let history = past.create().map_err(|e| e.to_string())?.0;
    for day in 0..3 {
        for _ in 0..case.rng.usize(20..40) {
            past.append(case, &history)?;
            past.commit(&history)?;
            past.now += 60_000;
            past.settle(case, &history)?;
        }
        if day < 2 {
            past.now += DAY_MS;
            past.settle(case, &history)?;
        }
    }
    // Some stay in logs, the older of which nobody has sealed yet.
    for _ in 0..2 {
        for _ in 0..4 {
            past.append(case, &history)?;
            past.commit(&history)?;
        }
        history.rotate(Timestamp(past.now)).map_err(|e| e.to_string())?;
    }
    for _ in 0..3 {
        past.append(case, &history)?;
        past.commit(&history)?;
    }
    past.model.compare(&history)?;
    Ok(Sample { disk: past.disk, model: past.model, now: past.now })
}

/// One case of damage.
pub fn one(case: &mut Case, sample: &Sample, round: u64) -> Said<()> {
    // All is synced: after a cut it is the same.
    let rot = Rot { disk: sample.disk.cut(), model: sample.model.clone(), now: sample.now, logs: false };
    match round % 4 {
        0 | 2 => rot.at_rest(case),
        1 => rot.while_open(case),
        _ => rot.in_a_read(case),
    }
}

struct Rot {
    disk: MemDisk,
    model: Model,
    now: i64,
    /// Whether a log was damaged.
    logs: bool,
}

impl Rot {
    fn open(&self) -> Result<(History, OpenReport)> {
        History::open(Arc::new(self.disk.clone()), small(), Timestamp(self.now))
    }

    fn files(&self) -> Said<Vec<(String, u64)>> {
        self.disk.list().map_err(|e| e.to_string())
    }

    /// Flips one bit of a file or eight, often where it begins or ends; gives its name.
    fn flip(&self, case: &mut Case) -> Said<String> {
        let mut files = self.files()?;
        files.retain(|(_, bytes)| *bytes > 0);
        let (name, bytes) = files.swap_remove(case.rng.usize(0..files.len()));
        let bits = usize::try_from(bytes).unwrap_or(0) * 8;
        let many = case.rng.u8(..3) == 0;
        for _ in 0..(if many { 8 } else { 1 }) {
            self.disk.flip(
                &name,
                match case.rng.u8(..4) {
                    0 => case.rng.usize(0..bits.min(320)),
                    1 => bits - 1 - case.rng.usize(0..bits.min(480)),
                    _ => case.rng.usize(0..bits),
                },
            );
        }
        case.hit_if(many, "eight flips");
        case.hit_if(name.ends_with(".log"), "a damaged log");
        case.hit_if(name.ends_with(".part"), "a damaged part");
        case.hit_if(name.ends_with(".day"), "a damaged day");
        Ok(name)
    }

    fn at_rest(mut self, case: &mut Case) -> Said<()> {
        case.hit("flip at rest");
        let name = self.flip(case)?;
        self.logs = name.ends_with(".log");
        let before = self.image()?;
        let (history, report) = match self.open() {
            Ok(opened) => opened,
            Err(e) => {
                case.hit("refused");
                let expected = self.logs && e.code() == code::CORRUPT && e.to_string().contains(&name);
                return match (expected, self.image()? == before) {
                    (true, true) => Ok(()),
                    (true, false) => Err("a refused history was changed".into()),
                    _ => Err(format!("{name} is damaged, and it is refused with {e}")),
                };
            }
        };
        self.torn(case, &history, &report)?;
        let damaged = self.compare(case, &history, Some(&name))?;
        let problems = history.verify().map_err(|e| e.to_string())?;
        let seen = problems.iter().any(|file| !file.problems.is_empty());
        case.hit_if(seen, "noticed by verify");
        if damaged && !seen {
            return Err(format!("what {name} holds is refused, and verify sees nothing"));
        }
        self.go_on(case, history)
    }

    /// The end of the newest log cannot be told from one that a crash tore: whole commits, the last ones, are gone and told.
    fn torn(&mut self, case: &mut Case, history: &History, report: &OpenReport) -> Said<()> {
        if report.cut_bytes == 0 && report.leftovers == 0 {
            return Ok(());
        }
        case.hit("taken for a torn end");
        let mut found = BTreeSet::new();
        for owner in owners() {
            if let Ok(rows) = rows(history, &owner, ALL) {
                found.extend(rows.into_iter().map(|(seq, _)| seq));
            }
        }
        let log = self.model.durable.keys().next_back().map_or(0, |seq| seq >> 32);
        let of_log = |seq: &u64| seq >> 32 == log;
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for (seq, kept) in self.model.durable.iter().filter(|(seq, _)| of_log(seq)) {
            if found.contains(seq) { there.push(kept.commit) } else { gone.push(kept.commit) }
        }
        let Some(first) = gone.into_iter().min() else { return Ok(()) };
        if there.into_iter().any(|commit| commit >= first) {
            return Err(format!("of the log {log} more is lost than its last commits: {report:?}"));
        }
        self.model.durable.retain(|seq, kept| !(of_log(seq) && kept.commit >= first));
        Ok(())
    }

    /// Compares all answers: right ones, or errors that say what is damaged. With the file that is damaged, other days have to be
    /// readable. Gives whether there were errors.
    fn compare(&self, case: &mut Case, history: &History, name: Option<&str>) -> Said<bool> {
        let day = name.and_then(drawn::day_of_name);
        let mut damaged = false;
        for owner in owners() {
            match rows(history, &owner, ALL) {
                Ok(found) => self.same(&owner, &found, i64::MIN..i64::MAX)?,
                Err(e) => {
                    is_damage(&e)?;
                    damaged = true;
                    case.hit("what is damaged is refused");
                }
            }
            let Some(day) = day else { continue };
            for range in [0..day * DAY_MS, (day + 1) * DAY_MS..MAX_TS] {
                let span = Timestamp(range.start)..Timestamp(range.end);
                let found = rows(history, &owner, span);
                let found = found.map_err(|e| format!("a day without damage cannot be read: {e}"))?;
                self.same(&owner, &found, range)?;
            }
            case.hit_if(damaged, "other days are read");
        }
        self.answers(history)?;
        Ok(damaged)
    }

    /// Series and texts: right, or an error.
    fn answers(&self, history: &History) -> Said<()> {
        for owner in owners() {
            let mut all: Vec<&Kept> = self.of(&owner).map(|(_, kept)| kept).collect();
            all.sort_by_key(|kept| kept.ts);
            match history.series(&owner, "a", ALL) {
                Ok(series) => {
                    let points: Vec<_> = series.points.iter().map(|(ts, v)| (*ts, v.to_bits())).collect();
                    let of = |kept: &&Kept| Some((kept.ts, *kept.values.get("a")?));
                    if points != all.iter().filter_map(of).collect::<Vec<_>>() {
                        return Err(format!("a wrong series of {owner}"));
                    }
                }
                Err(e) => is_damage(&e)?,
            }
            match history.texts(&owner, ALL) {
                Ok(texts) => {
                    let texts: Vec<_> = texts.iter().map(|(ts, text)| (ts.0, &**text)).collect();
                    let said = all.iter().filter_map(|kept| Some((kept.ts, kept.text.as_deref()?)));
                    if texts != said.collect::<Vec<_>>() {
                        return Err(format!("wrong texts of {owner}"));
                    }
                }
                Err(e) => is_damage(&e)?,
            }
            if let Err(e) = history.members(&owner, ALL).and(history.last(&owner).map(drop)) {
                is_damage(&e)?;
            }
        }
        history.owners(ALL).map_or_else(|e| is_damage(&e), |_| Ok(()))
    }

    fn of(&self, owner: &str) -> impl Iterator<Item = (&u64, &Kept)> {
        let all = self.model.durable.iter().chain(&self.model.waiting);
        all.filter(move |(_, kept)| kept.owner == owner)
    }

    fn same(&self, owner: &str, found: &[(u64, Row)], range: Range<i64>) -> Said<()> {
        let mut expected: Vec<_> = self
            .of(owner)
            .filter(|(_, kept)| range.contains(&kept.ts))
            .map(|(seq, kept)| (kept.ts, *seq))
            .collect();
        expected.sort_unstable();
        let of = |seq: &u64| self.model.durable.get(seq).or_else(|| self.model.waiting.get(seq));
        let right = found.iter().all(|(seq, row)| of(seq).is_some_and(|kept| kept.values == row.1));
        if !right || found.iter().map(|(seq, row)| (row.0, *seq)).ne(expected.iter().copied()) {
            return Err(format!("a wrong answer about {owner}"));
        }
        Ok(())
    }

    fn while_open(mut self, case: &mut Case) -> Said<()> {
        case.hit("flip while open");
        let (history, _) = self.open().map_err(|e| format!("a good history is refused: {e}"))?;
        if case.rng.bool() {
            self.compare(case, &history, None)?;
        }
        let name = self.flip(case)?;
        self.logs = name.ends_with(".log");
        self.compare(case, &history, Some(&name))?;
        self.go_on(case, history)
    }

    fn in_a_read(mut self, case: &mut Case) -> Said<()> {
        case.hit("flip in a read");
        let before = self.image()?;
        let (at, bit) = (case.rng.u64(0..80), case.rng.usize(..));
        let wrong = Arc::new(WrongRead { reads: AtomicU64::new(0), at, bit });
        match History::open(hooked(self.disk.clone(), wrong), small(), Timestamp(self.now)) {
            Err(e) => {
                case.hit("refused");
                is_damage(&e)?;
                if self.image()? != before {
                    return Err("a refused history was changed".into());
                }
                let (history, report) = self.open().map_err(|e| format!("a good history is refused: {e}"))?;
                self.torn(case, &history, &report)?;
                self.compare(case, &history, None)?;
                self.go_on(case, history)
            }
            Ok((history, report)) => {
                case.hit("opened in spite of a wrong read");
                if report.cut_bytes > 0 || report.leftovers > 0 {
                    return Err(format!("a wrong read made it cut what was acknowledged: {report:?}"));
                }
                self.compare(case, &history, None)?;
                self.go_on(case, history)
            }
        }
    }

    /// Appends, commits, maintains and opens again: all of it works or says what is damaged.
    fn go_on(mut self, case: &mut Case, history: History) -> Said<()> {
        let shapes = drawn::shapes()?;
        for _ in 0..3 {
            let drawn = drawn::samples(&mut case.rng, &shapes, self.now);
            match drawn::append(&history, &drawn) {
                Ok(last) => self.model.add(last, &drawn),
                Err(e) => return Err(format!("samples are refused: {e}")),
            }
            match history.commit() {
                Ok(()) => {
                    case.hit("a commit on top of damage");
                    self.model.committed();
                }
                Err(e) => is_damage(&e)?,
            }
            self.maintain(case, &history)?;
            self.compare(case, &history, None)?;
            self.now += case.rng.i64(0..DAY_MS);
        }
        self.model.committed();
        let closed = history.close();
        closed.map_err(|e| format!("it cannot be closed: {e}"))?;
        drop(history);
        match self.open() {
            Ok((history, report)) => {
                self.torn(case, &history, &report)?;
                self.compare(case, &history, None).map(drop)
            }
            Err(e) => is_damage(&e),
        }
    }

    /// Does what is due; each damaged day or log is told once.
    fn maintain(&self, case: &mut Case, history: &History) -> Said<()> {
        let mut told = 0;
        for _ in 0..MOST_STEPS {
            match history.maintain(Timestamp(self.now)) {
                Ok(None) => {
                    case.hit_if(told > 0, "maintenance met the damage");
                    return Ok(());
                }
                Ok(Some(_)) => {}
                Err(e) => {
                    is_damage(&e)?;
                    told += 1;
                    if told > 20 {
                        return Err(format!("maintenance tells of the same damage again and again: {e}"));
                    }
                }
            }
        }
        Err("maintenance does not end".into())
    }

    fn image(&self) -> Said<Vec<(String, Option<Vec<u8>>)>> {
        let mut files: Vec<_> =
            self.files()?.into_iter().map(|(name, _)| (name.clone(), self.disk.bytes(&name))).collect();
        files.sort();
        Ok(files)
    }
}

fn is_damage(e: &Error) -> Said<()> {
    if e.code() == code::CORRUPT { Ok(()) } else { Err(format!("no error of damage: {e} [{}]", e.code())) }
}

/// One read that gives one wrong bit; the same read is right ever after.
#[derive(Debug)]
struct WrongRead {
    reads: AtomicU64,
    at: u64,
    bit: usize,
}

impl Hook for WrongRead {
    fn read(&self, out: &mut [u8]) {
        if self.reads.fetch_add(1, Ordering::Relaxed) == self.at && !out.is_empty() {
            let bit = self.bit % (out.len() * 8);
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
