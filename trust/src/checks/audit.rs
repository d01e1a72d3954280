//! `v-audit`: whatever is done to an audit log shows against a witnessed checkpoint, at the entry where it was done.
//!
//! The log is written through a control store. What was changed, and so what has to be said, is known here; of the code
//! that is tried only the hash is used, to forge with.

use std::{borrow::Cow, time::Duration};

use headframe_core::{
    audit::{self, AuditKey, Checkpoint, Draft, FileWitness, Hash, Log, Tree, Why, Witness, verify},
    store::{Batch, CrashBackend},
};
use serde_json::json;

use super::Check;
use crate::{
    args::Profile,
    rig::{Folder, Rig, in_real_time, needed},
    run::{Case, Run},
    watch::Watch,
};

pub const CHECK: Check = Check {
    name: "v-audit",
    bug: "chain-only",
    ci: 1_000,
    long: 10_000,
    probes: &[
        "edited",
        "number edited",
        "hash edited",
        "not an entry",
        "dropped",
        "inserted",
        "copied",
        "swapped",
        "cut",
        "made anew",
        "one checkpoint",
        "several checkpoints",
        "the last entry",
        "the first entry",
        "verified as a whole",
    ],
    run,
};

const SIZE: usize = 10_000;
/// Sizes at which the witness got a checkpoint.
const WITNESSED: [usize; 5] = [1, 1_000, 4_096, 7_777, SIZE];
/// A figure of `trust.md`.
const LIMIT_MS: u64 = 10_000;
const MANY: u64 = 1_000_000;
const FEW: u64 = 50_000;
const CHUNK: u64 = 5_000;

/// A log and its checkpoints, as they left the site.
#[derive(Debug)]
struct Site {
    lines: Vec<Vec<u8>>,
    checkpoints: Vec<Checkpoint>,
}

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("memory");
    let mut made = Err("no case made the log".to_owned());
    run.each(1, |_, case| {
        made = in_real_time(site(case));
        let site = made.as_ref().map_err(Clone::clone)?;
        case.hit("verified as a whole");
        let told = verify(&site.lines, &site.checkpoints)
            .map_err(|fault| format!("a whole log is refused: {fault}"))?;
        // The control's checkpoints are ignored.
        if told.size == SIZE as u64 { Ok(()) } else { Err(format!("{} entries were verified", told.size)) }
    });
    let site = made?;
    run.each(run.n(), |_, case| one(case, &site));
    if !run.is_control() {
        let (many, limited) = match run.profile() {
            Profile::Quick => (FEW, false),
            Profile::Ci => (MANY, false),
            Profile::Long => (MANY, true),
        };
        run.each(1, |_, case| in_bulk(case, many, limited));
    }
    Ok(())
}

fn key() -> Result<AuditKey, String> {
    needed("no key", AuditKey::from_bytes("headframe/trust", [9; 32]))
}

fn draft(rng: &mut fastrand::Rng, n: u64) -> Draft {
    let what = ["push", "vote", "decided", "begin", "intent", "outcome", "done"][rng.usize(..7)];
    let ts = 1_760_000_000_000 + i64::try_from(n).unwrap_or(0) * 250;
    let draft = Draft::new(ts, format!("person-{}", rng.u8(..30)), what).action(n / 7);
    match rng.u8(..3) {
        0 => draft.why("the grid asks for 20 % less"),
        1 => draft.data(
            json!({"target": format!("miner-{}", rng.u32(..5_000)), "before": {"power_w": rng.u16(..)}}),
        ),
        _ => draft,
    }
}

/// Writes a log through a store, gives checkpoints to a witness on the way, and exports it.
async fn site(case: &mut Case) -> Result<Site, String> {
    let rig = Rig::new(case);
    let folder = Folder::new()?;
    let store = needed("no store", rig.create_store(CrashBackend::new(case.seed)).await)?;
    let key = key()?;
    let (mut log, mut tree) = (needed("no log", Log::open(&store))?, Tree::new());
    let path = folder.join("witness");
    let witness = needed("no witness", FileWitness::create(&path, key.verifier()))?;
    let mut checkpoints = Vec::new();
    let mut witnessed = 0;
    while log.size() < SIZE as u64 {
        let left = WITNESSED.iter().map(|n| *n as u64).find(|n| *n > log.size()).unwrap_or(SIZE as u64);
        let to = (log.size() + case.rng.u64(1..400)).min(left);
        let drafts = (log.size()..to).map(|n| draft(&mut case.rng, n)).collect();
        let (batch, next) = needed("not staged", log.stage(Batch::new(), drafts))?;
        needed("not committed", store.commit(batch).await)?;
        log = next;
        if log.size() == left {
            let note = key.checkpoint(&log);
            let proof = needed("no proof", tree.consistency(&store, &log, witnessed, left))?;
            needed("not witnessed", witness.receive(&rig.cx, &note, &proof).await)?;
            checkpoints.push(needed("not signed", key.verifier().open(note.as_bytes()))?);
            witnessed = left;
        }
    }
    let mut export = Vec::new();
    needed("not exported", audit::export(&store, &mut export))?;
    let lines = audit::lines(&export).map(<[u8]>::to_vec).collect();
    Ok(Site { lines, checkpoints })
}

/// What has to be said of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// This entry is the first wrong one.
    Entry(usize),
    /// This checkpoint is the first that does not match, and the one before it is the last that does.
    Checkpoint { sound: usize, broken: usize },
}

type Lines<'a> = Vec<Cow<'a, [u8]>>;

fn one(case: &mut Case, site: &Site) -> Result<(), String> {
    let several = case.rng.bool();
    case.hit(if several { "several checkpoints" } else { "one checkpoint" });
    let from = if several { 0 } else { WITNESSED.len() - 1 };
    let mut lines: Lines<'_> = site.lines.iter().map(Cow::from).collect();
    // The borders are drawn as often as all others together.
    let border = [0, 1, SIZE - 2, SIZE - 1, WITNESSED[case.rng.usize(1..4)] - case.rng.usize(..2)];
    let at = if case.rng.bool() { border[case.rng.usize(..5)] } else { case.rng.usize(..SIZE) };
    case.hit_if(at == SIZE - 1, "the last entry");
    case.hit_if(at == 0, "the first entry");
    let expected = match case.rng.u8(..10) {
        kind @ 0..=3 => {
            lines[at] = edited(case, kind, &lines[at], at)?.into();
            // Nothing but the checkpoint vouches for the last entry's content.
            let last = kind == 0 && at == SIZE - 1;
            if last { checkpoint(at, &WITNESSED[from..]) } else { Expected::Entry(at) }
        }
        4 | 5 => {
            case.hit("made anew");
            let made = anew(case, &lines[at..])?;
            lines.truncate(at);
            lines.extend(made.into_iter().map(Cow::from));
            checkpoint(at, &WITNESSED[from..])
        }
        _ => moved(case, &mut lines, at)?,
    };
    judge(&lines, &site.checkpoints[from..], expected)
}

/// Changes which entries there are, or their order; gives the first place that differs then.
fn moved(case: &mut Case, lines: &mut Lines<'_>, at: usize) -> Result<Expected, String> {
    let mut first = at;
    match case.rng.u8(..5) {
        0 => {
            case.hit("dropped");
            lines.remove(at);
        }
        1 => {
            case.hit("inserted");
            let forged = text(case, &lines[at])?;
            lines.insert(at, forged.into());
        }
        2 => {
            case.hit("copied");
            let copy = lines[case.rng.usize(..SIZE)].clone();
            // Of the same line twice the second is the copy.
            first += usize::from(copy == lines[at]);
            lines.insert(at, copy);
        }
        3 => {
            case.hit("swapped");
            let other = (at + case.rng.usize(1..SIZE)) % SIZE;
            first = at.min(other);
            lines.swap(at, other);
        }
        _ => {
            case.hit("cut");
            lines.truncate(at);
        }
    }
    Ok(Expected::Entry(first))
}

/// The checkpoint that shows a change of entry `at`.
fn checkpoint(at: usize, sizes: &[usize]) -> Expected {
    let sound = sizes.iter().copied().filter(|size| *size <= at).max().unwrap_or(0);
    Expected::Checkpoint { sound, broken: sizes.iter().copied().find(|size| *size > at).unwrap_or(SIZE) }
}

fn judge(lines: &[Cow<'_, [u8]>], checkpoints: &[Checkpoint], expected: Expected) -> Result<(), String> {
    let Err(fault) = verify(lines, checkpoints) else { return Err(format!("not noticed: {expected:?}")) };
    let right = match (expected, fault.why) {
        (Expected::Checkpoint { sound, broken }, Why::Rebuilt { checkpoint }) => {
            (fault.entry, checkpoint) == (sound as u64, broken as u64)
        }
        (Expected::Entry(at), why) => fault.entry == at as u64 && !matches!(why, Why::Rebuilt { .. }),
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("{expected:?} was wrong, but told was: {fault}")) }
}

/// Another line in the place of one.
fn edited(case: &mut Case, kind: u8, line: &[u8], at: usize) -> Result<Vec<u8>, String> {
    let mut out = line.to_vec();
    match kind {
        0 => {
            case.hit("edited");
            return text(case, line);
        }
        1 => {
            case.hit("number edited");
            let number = (at + case.rng.usize(1..SIZE)) % SIZE;
            let rest = out.split_off(format!("{{\"seq\":{at}").len());
            return Ok([format!("{{\"seq\":{number}").as_bytes(), &rest].concat());
        }
        2 => {
            case.hit("hash edited");
            // The 64 digits before the two bytes at the end.
            let place = out.len() - 3 - case.rng.usize(..64);
            out[place] = if out[place] == b'7' { b'8' } else { b'7' };
        }
        _ => {
            case.hit("not an entry");
            out.truncate(case.rng.usize(..line.len()));
        }
    }
    Ok(out)
}

/// A line that tells something else.
fn text(case: &mut Case, line: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    let other = match case.rng.u8(..3) {
        0 => text.replacen("\"by\":\"person-", "\"by\":\"eve-", 1),
        1 => text.replacen("\"ts\":17", "\"ts\":16", 1),
        _ => text.replacen(",\"action\":", ",\"action\":9", 1),
    };
    if other == text { Err(format!("not changed: {text}")) } else { Ok(other.into_bytes()) }
}

/// The lines with the first changed, and all behind it chained to that.
fn anew(case: &mut Case, lines: &[Cow<'_, [u8]>]) -> Result<Vec<Vec<u8>>, String> {
    let (first, rest) = lines.split_first().ok_or("no lines")?;
    let mut out = vec![text(case, first)?];
    for line in rest {
        let prev = out.last().map(|last| Hash::leaf(last).to_string()).unwrap_or_default();
        let head = line.len() - 66;
        out.push([&line[..head], prev.as_bytes(), &line[head + 64..]].concat());
    }
    Ok(out)
}

/// Verifies a long log, which is made again while it is read.
fn in_bulk(case: &mut Case, many: u64, limited: bool) -> Result<(), String> {
    let mut log = Log::new();
    for n in 0..many {
        needed("not made", log.append(draft(&mut fastrand::Rng::with_seed(n), n)))?;
    }
    let key = key()?;
    let checkpoint = needed("not signed", key.verifier().open(key.checkpoint(&log).as_bytes()))?;
    let mut again = Log::new();
    let mut making = Duration::ZERO;
    let chunks = (0..many.div_ceil(CHUNK)).flat_map(|chunk| {
        let watch = Watch::start();
        let numbers = chunk * CHUNK..many.min((chunk + 1) * CHUNK);
        let lines = numbers.map_while(|n| again.append(draft(&mut fastrand::Rng::with_seed(n), n)).ok());
        let lines: Vec<_> = lines.collect();
        making += Duration::from_secs_f64(watch.seconds());
        lines
    });
    let watch = Watch::start();
    let told = verify(chunks, &[checkpoint]);
    let all = watch.ms();
    let ms = all.saturating_sub(u64::try_from(making.as_millis()).unwrap_or(0));
    let told = told.map_err(|fault| format!("a whole log is refused: {fault}"))?;
    case.took(ms);
    eprintln!("v-audit: {many} entries verified in {ms} ms");
    if told.size != many || told.root != log.root() || told.witnessed != many {
        return Err(format!("another log was verified: {told:?}"));
    }
    if limited && ms > LIMIT_MS {
        return Err(format!("{many} entries took {ms} ms"));
    }
    Ok(())
}
