//! `s-rot`: bits that flip in a file at rest, and in a file or its reads while the store is open.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use headframe_core::{
    Result,
    store::{Backend, CrashBackend, code},
};

use super::{Check, step};
use crate::{
    oracle::{Model, Oracle},
    past,
    rig::{Rig, needed, simulate},
    run::{Case, Run},
    workload::{WITH_HISTORY, actions},
};

pub const CHECK: Check = Check {
    name: "s-rot",
    bug: "no-checksum",
    ci: 4_500,
    long: 9_000,
    probes: &[
        "flip at rest",
        "flip while open",
        "flip in a read",
        "eight flips",
        "first page",
        "refused",
        "harmless",
        "noticed by verify",
        "a commit met the damage",
        "opened in spite of a wrong read",
        "a damaged header",
        "a damaged target row",
        "a damaged journal row",
        "a damaged stop",
        "a damaged audit entry",
        "targets altered beneath an engine",
        "a journal altered beneath an engine",
        "others went on",
        "a damaged log",
        "a damaged part",
        "a damaged day",
        "taken for a torn end",
        "what is damaged is refused",
        "other days are read",
        "a commit on top of damage",
        "maintenance met the damage",
    ],
    run,
};

/// The stores that the cases damage, one of each workload, new after so many rounds.
const SAME_STORE: u64 = 100;
/// The same of actions, whose sites differ more.
const SAME_SITE: u64 = 20;
const BATCHES: u64 = 40;

struct Sample {
    bytes: Vec<u8>,
    content: Model,
}

/// `n` flips at rest, and `n` while the store is open.
fn run(run: &mut Run) -> std::result::Result<(), String> {
    run.form_ran("backend");
    let mut samples = BTreeMap::new();
    let (mut acted, mut kept) = (None, None);
    run.each(run.n().saturating_mul(2), |i, case| {
        let round = i / WITH_HISTORY.len() as u64;
        let whose = case.turn;
        if case.is_over_actions() {
            if acted.is_none() || round.is_multiple_of(SAME_SITE) {
                acted = Some(simulate(actions::sample(case))?);
            }
            let Some(sample) = &acted else { return Err("there is no site to damage".into()) };
            return simulate(actions::rot(case, sample, round));
        }
        if case.is_over_history() {
            if kept.is_none() || round.is_multiple_of(SAME_STORE) {
                kept = Some(past::sample(case)?);
            }
            let Some(sample) = &kept else { return Err("there is no history to damage".into()) };
            return past::rot(case, sample, round);
        }
        if round.is_multiple_of(SAME_STORE) {
            samples.insert(whose, simulate(make(case))?);
        }
        let Some(sample) = samples.get(whose) else { return Err("there is no store to damage".into()) };
        match round % 4 {
            0 | 2 => simulate(at_rest(case, sample)),
            1 => simulate(while_open(case, sample)),
            _ => simulate(in_a_read(case, sample)),
        }
    });
    Ok(())
}

async fn make(case: &mut Case) -> std::result::Result<Sample, String> {
    let disk = CrashBackend::new(case.seed);
    let registry = needed("a store cannot be made", Rig::new(case).create(disk.clone()).await)?;
    let mut oracle = Oracle::empty();
    for n in 0..BATCHES {
        step::sound(case, &*registry, &mut oracle, n).await?;
    }
    let content = registry.content();
    drop(registry);
    Ok(Sample { bytes: disk.bytes(), content })
}

/// Flips one bit or eight, often in the first page: it leads to all others.
pub fn flip(case: &mut Case, disk: &CrashBackend) {
    let first = case.rng.u32(0..4) == 0;
    let end = if first { 512 } else { disk.bytes().len() };
    let many = case.rng.u32(0..3) == 0;
    for _ in 0..(if many { 8 } else { 1 }) {
        disk.flip(case.rng.usize(0..end * 8));
    }
    case.hit_if(first, "first page");
    case.hit_if(many, "eight flips");
}

async fn at_rest(case: &mut Case, sample: &Sample) -> std::result::Result<(), String> {
    case.hit("flip at rest");
    let disk = CrashBackend::with_bytes(case.seed, sample.bytes.clone());
    flip(case, &disk);
    let before = disk.bytes();
    match Rig::new(case).open(disk.clone()).await {
        Ok(registry) if registry.content() == sample.content => case.hit("harmless"),
        Ok(_) => return Err("a damaged file gave a wrong answer".into()),
        Err(e) if !e.code().starts_with("STORE_") => return Err(format!("no error of a store: {e:?}")),
        Err(_) if disk.bytes() != before => return Err("a refused file was changed".into()),
        Err(_) => case.hit("refused"),
    }
    Ok(())
}

async fn while_open(case: &mut Case, sample: &Sample) -> std::result::Result<(), String> {
    case.hit("flip while open");
    let disk = CrashBackend::with_bytes(case.seed, sample.bytes.clone());
    let rig = Rig::new(case);
    let registry = needed("a good file is refused", rig.open(disk.clone()).await)?;
    let bit = case.rng.usize(0..disk.bytes().len() * 8);
    disk.flip(bit);
    if case.rng.bool() {
        match registry.store().verify().await {
            Err(e) if e.code() == code::CORRUPT => case.hit("noticed by verify"),
            other => return Err(format!("verify did not see the flip of bit {bit}: {other:?}")),
        }
    }
    let mut oracle = Oracle::empty();
    go_on(case, &rig, registry, &disk, (&mut oracle, sample)).await
}

/// Writes on in a store that may be damaged, and opens it again: right answers or errors, nothing else.
async fn go_on(
    case: &mut Case,
    rig: &Rig,
    registry: Arc<dyn crate::workload::Registry>,
    disk: &CrashBackend,
    (oracle, sample): (&mut Oracle, &Sample),
) -> std::result::Result<(), String> {
    oracle.start(&sample.content);
    for n in 0..8 {
        let told = step::change(case, &*registry, oracle, 1_000 + n).await?;
        if told.is_err() && !step::refused(&told) {
            case.hit("a commit met the damage");
        }
        if !oracle.unsure() {
            oracle.found(&registry.content())?;
        }
    }
    drop(registry);
    match rig.open(disk.clone()).await {
        Ok(registry) => oracle.found(&registry.content()),
        Err(e) if e.code().starts_with("STORE_") => Ok(()),
        Err(e) => Err(format!("no error of a store: {e:?}")),
    }
}

/// A disk that gives one wrong bit in one read, and the right one ever after.
#[derive(Debug)]
pub struct WrongOnce {
    disk: CrashBackend,
    reads: AtomicU64,
    at: u64,
    bit: usize,
}

impl WrongOnce {
    /// `disk`, of which the read `at` is wrong in this bit.
    pub const fn new(disk: CrashBackend, at: u64, bit: usize) -> Self {
        Self { disk, reads: AtomicU64::new(0), at, bit }
    }
}

impl Backend for WrongOnce {
    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(at, out)?;
        if self.reads.fetch_add(1, Ordering::Relaxed) == self.at && !out.is_empty() {
            let bit = self.bit % (out.len() * 8);
            out[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write(at, bytes)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.disk.set_size(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync()
    }

    fn probe(&self, bytes: u64) -> io::Result<()> {
        self.disk.probe(bytes)
    }

    fn occupy(&self, bytes: u64) -> io::Result<()> {
        self.disk.occupy(bytes)
    }

    fn occupied(&self) -> u64 {
        self.disk.occupied()
    }

    fn read_kept(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read_kept(at, out)
    }

    fn write_kept(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_kept(at, bytes)
    }
}

async fn in_a_read(case: &mut Case, sample: &Sample) -> std::result::Result<(), String> {
    case.hit("flip in a read");
    let disk = CrashBackend::with_bytes(case.seed, sample.bytes.clone());
    let rig = Rig::new(case);
    let at = case.rng.u64(0..60);
    let wrong = WrongOnce::new(disk.clone(), at, case.rng.usize(..));
    let opened: Result<_> = rig.open(wrong).await;
    let registry = match opened {
        Ok(registry) => registry,
        Err(e) if e.code().starts_with("STORE_") => {
            case.hit("refused");
            if disk.bytes() != sample.bytes {
                return Err("a refused file was changed".into());
            }
            return Ok(());
        }
        Err(e) => return Err(format!("no error of a store: {e:?}")),
    };
    if registry.content() != sample.content {
        return Err("a wrong read gave a wrong answer".into());
    }
    case.hit("opened in spite of a wrong read");
    let mut oracle = Oracle::empty();
    go_on(case, &rig, registry, &disk, (&mut oracle, sample)).await
}
