//! `s-refuse`: what is not this site's whole store is refused, and stays as it was to the last byte.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use headframe_core::{
    io::Ctx,
    store::{
        CONTROL_FILE, ControlStore, LAST_FILE, LastStore, SITE_FILE, StoreOptions, Writer, code, doctor,
    },
};
use redb::{Database, TableDefinition};
use serde_json::Value;

use super::{Check, step};
use crate::{
    args::Profile,
    child, fixture,
    oracle::Oracle,
    rig::{Folder, files, in_real_time, needed, simulate},
    run::{Case, Run},
    watch,
    workload::actions::Folded,
};

pub const CHECK: Check = Check {
    name: "s-refuse",
    bug: "create-on-open",
    ci: 3,
    long: 10,
    probes: &[
        "no file",
        "no bytes",
        "cut file",
        "foreign file",
        "another kind of store",
        "another site's store",
        "newer format",
        "older format without a way",
        "store of a release",
        "open in another process",
        "open after the other was killed",
    ],
    run,
};

const STEP: usize = 4096;
/// Within the first header, around its parts.
const SHORT: [usize; 8] = [1, 8, 9, 57, 64, 319, 320, 511];
/// One cut in so many is shown to the doctor too: it measures the disk each time.
const DOCTOR: usize = 24;

/// `n` stores, each with all its damages; every damage counts as a case.
fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("files");
    let fine = run.profile() == Profile::Long;
    run.each(run.n(), |_, case| {
        in_real_time(one_store(case, fine))?;
        releases()?.iter().try_for_each(|release| simulate(released(case, release)))
    });
    Ok(())
}

/// The stores that earlier releases and this one wrote.
fn releases() -> Result<Vec<PathBuf>, String> {
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/fixtures/stores");
    let entries = fs::read_dir(&stores).map_err(|e| format!("{}: {e}", stores.display()))?;
    let all: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| p.is_dir()).collect();
    if all.is_empty() { Err(format!("{}: no store of a release", stores.display())) } else { Ok(all) }
}

/// A copy of a release's store opens and shows what it showed then; changed ones are refused as they are.
async fn released(case: &mut Case, release: &Path) -> Result<(), String> {
    let (dir, cx) = (Folder::new()?, fixture::context());
    let path = dir.join(CONTROL_FILE);
    let copy = || fs::copy(release.join(CONTROL_FILE), &path).map_err(|e| e.to_string());
    copy()?;
    fs::copy(release.join(SITE_FILE), dir.join(SITE_FILE)).map_err(|e| e.to_string())?;
    let whole = fs::read(&path).map_err(|e| e.to_string())?;
    let what = |what: &str| format!("{}: {what}", release.display());
    refused_as(&cx, &dir, &child::options(), &what("without its key"), &[code::KEY]).await?;
    mark(&path, u32::MAX).map_err(|e| e.to_string())?;
    refused_as(&cx, &dir, &fixture::options(), &what("as a newer one"), &[code::NEWER]).await?;
    fs::write(&path, whole).map_err(|e| e.to_string())?;
    let store = needed(&what("refused"), ControlStore::open(&cx, &dir, &fixture::options()).await)?;
    let opened = needed(&what("no registry"), fixture::Opened::new(&cx, store).await)?;
    let seen = needed(&what("not read"), opened.seen(&cx).await)?;
    let text = fs::read(release.join(fixture::EXPECTED_FILE)).map_err(|e| e.to_string())?;
    let expected: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    if seen != expected {
        return Err(what("it does not show what it showed"));
    }
    case.hit("store of a release");
    case.unit();
    Ok(())
}

/// A store has to be refused with one of `codes`, a remedy, and no change to any file.
async fn refused_as(
    cx: &Ctx,
    dir: &Path,
    options: &StoreOptions,
    what: &str,
    codes: &[&str],
) -> Result<(), String> {
    let before = files(dir)?;
    let e = match ControlStore::open(cx, dir, options).await {
        Ok(_) => return Err(format!("{what}: it was opened")),
        Err(e) => e,
    };
    if files(dir)? != before {
        return Err(format!("{what}: refused, but changed"));
    }
    if !codes.contains(&e.code()) {
        return Err(format!("{what}: refused as {}: {e}", e.code()));
    }
    let remedies = ["estore", "backup", "Run that release", "stop that first", "Open it once with"];
    if remedies.iter().any(|remedy| e.message().contains(remedy)) {
        Ok(())
    } else {
        Err(format!("{what}: no remedy: {e}"))
    }
}

/// How a case opens its store. An engine goes on while it is compared: without a thread of the store's own it stands still for
/// that.
fn options(case: &Case) -> StoreOptions {
    let mut options = child::options();
    if case.is_over_actions() {
        options.writer = Writer::Inline;
    }
    options
}

/// What a site's store holds.
enum Content {
    Registry(Oracle),
    Actions(Box<Folded>),
}

impl Content {
    /// Writes it to a new store.
    async fn make(case: &mut Case, store: ControlStore) -> Result<Self, String> {
        if case.is_over_actions() {
            return Ok(Self::Actions(Box::new(Folded::make(case, store).await?)));
        }
        let registry = needed("no registry", case.workload.over(store).await)?;
        let mut oracle = Oracle::empty();
        for n in 0..30 {
            step::sound(case, &*registry, &mut oracle, n).await?;
        }
        Ok(Self::Registry(oracle))
    }

    /// All of it is there.
    async fn found(self, case: &mut Case, store: ControlStore) -> Result<(), String> {
        match self {
            Self::Actions(folded) => folded.found(case, store).await,
            Self::Registry(mut oracle) => {
                let registry = needed("no registry", case.workload.over(store).await)?;
                oracle.found(&registry.content())
            }
        }
    }
}

/// A site in a folder.
struct Site {
    dir: Folder,
    cx: Ctx,
    path: PathBuf,
    whole: Vec<u8>,
}

impl Site {
    async fn make(case: &mut Case) -> Result<(Self, Content), String> {
        let (dir, cx) = (Folder::new()?, Ctx::system());
        let store = needed("create", ControlStore::create(&cx, &dir, &options(case)).await)?;
        let content = Content::make(case, store).await?;
        let path = dir.join(CONTROL_FILE);
        let whole = fs::read(&path).map_err(|e| e.to_string())?;
        Ok((Self { dir, cx, path, whole }, content))
    }

    fn put(&self, bytes: &[u8]) -> Result<(), String> {
        fs::write(&self.path, bytes).map_err(|e| e.to_string())
    }

    /// The store has to be refused with one of `codes`, a remedy, and no change to any file.
    async fn refused(&self, what: &str, codes: &[&str]) -> Result<(), String> {
        refused_as(&self.cx, &self.dir, &child::options(), what, codes).await
    }

    fn examined(&self, what: &str) -> Result<(), String> {
        let before = files(&self.dir)?;
        let report = needed("doctor", doctor(&self.cx, &self.dir))?;
        if files(&self.dir)? != before {
            return Err(format!("{what}: the doctor changed a file"));
        }
        let named = report.control.records.is_none() && !report.problems.is_empty();
        if named { Ok(()) } else { Err(format!("{what}: the doctor found nothing")) }
    }
}

const DAMAGED: &[&str] = &[code::CORRUPT, code::FOREIGN];

async fn one_store(case: &mut Case, fine: bool) -> Result<(), String> {
    let (site, content) = Site::make(case).await?;
    nothing(case, &site).await?;
    cuts(case, &site, fine).await?;
    foreign(case, &site).await?;
    formats(case, &site).await?;
    site.put(&site.whole)?;
    in_use(case, &site).await?;
    let store = needed("the whole file", ControlStore::open(&site.cx, &site.dir, &options(case)).await)?;
    content.found(case, store).await
}

async fn nothing(case: &mut Case, site: &Site) -> Result<(), String> {
    site.put(&[])?;
    site.refused("a file without bytes", &[code::EMPTY]).await?;
    site.examined("a file without bytes")?;
    case.hit("no bytes");
    case.unit();
    fs::remove_file(&site.path).map_err(|e| e.to_string())?;
    site.refused("no file", &[code::MISSING]).await?;
    case.hit("no file");
    case.unit();
    Ok(())
}

async fn cuts(case: &mut Case, site: &Site, fine: bool) -> Result<(), String> {
    for length in SHORT {
        site.put(&site.whole[..length])?;
        site.refused(&format!("cut after {length} bytes"), DAMAGED).await?;
        case.unit();
    }
    for at in (STEP..site.whole.len()).step_by(STEP) {
        let lengths =
            if fine { vec![at - 1, at, at + 1, case.rng.usize(1..site.whole.len())] } else { vec![at] };
        for length in lengths {
            let what = format!("cut after {length} bytes");
            site.put(&site.whole[..length])?;
            site.refused(&what, DAMAGED).await?;
            case.unit();
        }
        if (at / STEP) % DOCTOR == 1 {
            site.examined(&format!("cut after {at} bytes"))?;
        }
    }
    case.hit("cut file");
    Ok(())
}

async fn foreign(case: &mut Case, site: &Site) -> Result<(), String> {
    let noise = |rng: &mut fastrand::Rng, n: usize| -> Vec<u8> { (0..n).map(|_| rng.u8(..)).collect() };
    let mut headed = site.whole.clone();
    headed[9..320].fill_with(|| case.rng.u8(..));
    let others = [
        b"#!/bin/sh\nexit 0\n".to_vec(),
        b"SQLite format 3\0".iter().copied().chain(noise(&mut case.rng, 8_176)).collect(),
        b"\x7fELF".iter().copied().chain(noise(&mut case.rng, 70_000)).collect(),
        vec![0; site.whole.len()],
        vec![0xff; 4096],
        noise(&mut case.rng, 100_000),
        b"{\"things\": []}".to_vec(),
        headed,
    ];
    for (i, bytes) in others.iter().enumerate() {
        site.put(bytes)?;
        site.refused(&format!("foreign file {i}"), DAMAGED).await?;
        site.examined(&format!("foreign file {i}"))?;
        case.hit("foreign file");
        case.unit();
    }
    // A good database of somebody else, and a good store of another kind.
    fs::remove_file(&site.path).map_err(|e| e.to_string())?;
    drop(Database::create(&site.path).map_err(|e| e.to_string())?);
    site.refused("a database of another program", DAMAGED).await?;
    needed("last", LastStore::create(&site.dir))?;
    fs::copy(site.dir.join(LAST_FILE), &site.path).map_err(|e| e.to_string())?;
    fs::remove_file(site.dir.join(LAST_FILE)).map_err(|e| e.to_string())?;
    site.refused("a store of another kind", &[code::FOREIGN]).await?;
    case.hit("another kind of store");
    let (other, _) = Site::make(case).await?;
    site.put(&other.whole)?;
    site.refused("the store of another site", &[code::FOREIGN]).await?;
    case.hit("another site's store");
    let about = fs::read(site.dir.join(SITE_FILE)).map_err(|e| e.to_string())?;
    fs::write(site.dir.join(SITE_FILE), b"{").map_err(|e| e.to_string())?;
    site.put(&site.whole)?;
    site.refused("a site file that cannot be read", &[code::CORRUPT]).await?;
    fs::write(site.dir.join(SITE_FILE), about).map_err(|e| e.to_string())?;
    (0..4).for_each(|_| case.unit());
    Ok(())
}

/// Formats that this release does not know.
async fn formats(case: &mut Case, site: &Site) -> Result<(), String> {
    for (format, expected, probe) in [
        (2, code::NEWER, "newer format"),
        (u32::MAX, code::NEWER, "newer format"),
        (0, code::TOO_OLD, "older format without a way"),
    ] {
        site.put(&site.whole)?;
        mark(&site.path, format).map_err(|e| e.to_string())?;
        site.refused(&format!("format {format}"), &[expected]).await?;
        case.hit(probe);
        case.unit();
    }
    Ok(())
}

/// Gives a file another format, as another release would have.
fn mark(path: &Path, format: u32) -> Result<(), redb::Error> {
    let header: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");
    let mut db = Database::open(path)?;
    let mut tx = db.begin_write()?;
    tx.set_quick_repair(true);
    tx.open_table(header)?.insert("format", format.to_le_bytes().as_slice())?;
    tx.commit()?;
    db.check_integrity()?;
    Ok(())
}

/// Another process has the store open; then it is killed.
async fn in_use(case: &mut Case, site: &Site) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.args(["child", "hold"]).arg(&*site.dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut other = command.stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    let mut line = String::new();
    let read = other.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
    let held = read.is_some_and(|r| r.is_ok()) && line.trim() == child::BEGAN;
    let refused = if held {
        site.refused("open in another process", &[code::LOCKED]).await
    } else {
        Err("the other process could not open the store".into())
    };
    watch::end(&mut other);
    refused?;
    case.hit("open in another process");
    let opened = ControlStore::open(&site.cx, &site.dir, &child::options()).await;
    needed("open after the other was killed", opened).map(drop)?;
    case.hit("open after the other was killed");
    case.unit();
    Ok(())
}
