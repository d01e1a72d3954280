//! `s-secret`: no secret is readable anywhere but where it is asked for: not in files and their free pages, copies,
//! exports, logs, errors or `Debug`, also while the key is changed.

mod acted;
mod asked;
mod canaries;
mod keys;
mod records;

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use acted::Acted;
use asked::Asked;
use canaries::Canaries;
use headframe_core::{
    io::Ctx,
    store::{
        CONTROL_FILE, ControlStore, CrashBackend, KEY_FILE, Key, Place, SealKey, Space, doctor, salvage,
    },
};
use records::Writer;
use serde_json::{Value, json};

use super::Check;
use crate::{
    args::Profile,
    child, log,
    rig::{Folder, Rig, in_real_time, needed, simulate},
    run::{Case, Run},
    workload::{ControlWorkload, Opened, TURNS, Workload},
};

pub use keys::rotate;

pub const CHECK: Check = Check {
    name: "s-secret",
    bug: "plain-secret",
    ci: 3_000,
    long: 10_000,
    probes: &[
        "registered",
        "rotated",
        "forgotten",
        "read back",
        "moved secret refused",
        "wrong key refused",
        "guard refused",
        "wrong shape refused",
        "exported",
        "carved",
        "cut",
        "a failing disk",
        "something was logged",
        "key changed",
        "a cut left the old key",
        "a cut left the new key",
        "process killed in a change",
        "backup opened",
        "backup without key refused",
        "a device got its secret",
        "waited over a change of the key",
        "actions listed",
        "audit log exported",
        "a secret cannot be asked for",
    ],
    run,
};

const THINGS: usize = 120;
/// How often the bytes of the file are looked through on the way.
const LOOKS: u64 = 8;
/// The secret of each thing that there is.
type Kept = HashMap<String, String>;

fn run(run: &mut Run) -> Result<(), String> {
    static LOGS: AtomicBool = AtomicBool::new(false);
    if !LOGS.swap(true, Ordering::Relaxed) {
        log::keep()?;
    }
    // A sixth of the operations each: on a folder and on a disk that loses power, of records, the registry and actions.
    let part = run.n().div_ceil(2 * TURNS.len() as u64);
    let kills = match run.profile() {
        Profile::Quick => 4,
        Profile::Ci => 12,
        Profile::Long => 60,
    };
    run.form_ran("files");
    run.each(TURNS.len() as u64, |_, case| in_real_time(on_files(case, part, kills)));
    run.form_ran("backend");
    run.each(TURNS.len() as u64, |_, case| simulate(on_a_disk(case, part)));
    Ok(())
}

/// Whose turn it is.
enum By<'a> {
    Records(Writer<'a>),
    Registry(Asked<'a>),
    Actions(Box<Acted<'a>>),
}

impl<'a> By<'a> {
    async fn new(
        case: &mut Case,
        store: &'a ControlStore,
        cx: &'a Ctx,
        canaries: &'a Canaries,
    ) -> Result<Self, String> {
        if case.is_over_actions() {
            return Ok(Self::Actions(Box::new(Acted::new(case, store, canaries).await?)));
        }
        if case.workload.name() == ControlWorkload.name() {
            return Ok(Self::Records(Writer { store, cx, canaries }));
        }
        let opened = needed("no registry", Opened::new(store.clone()).await)?;
        Ok(Self::Registry(Asked { opened, canaries }))
    }

    async fn operation(&self, case: &mut Case, kept: &mut Kept, i: u64) -> Result<(), String> {
        case.unit();
        match self {
            Self::Records(writer) => writer.operation(case, kept, i).await,
            Self::Registry(asked) => asked.operation(case, kept, i).await,
            Self::Actions(acted) => acted.operation(case, i).await,
        }
    }

    async fn wrongs(&self, case: &mut Case) -> Result<(), String> {
        match self {
            Self::Records(writer) => writer.wrongs(case).await,
            Self::Registry(asked) => asked.wrongs(case).await,
            Self::Actions(acted) => acted.wrongs(case),
        }
    }

    async fn failing(&self, case: &mut Case, disk: &CrashBackend) -> Result<(), String> {
        match self {
            Self::Records(writer) => writer.failing(case, disk).await,
            Self::Registry(asked) => asked.failing(case, disk).await,
            Self::Actions(acted) => acted.failing(case, disk).await,
        }
    }

    /// Waits until what was asked for is done.
    async fn rests(&self) {
        if let Self::Actions(acted) = self {
            acted.rests().await;
        }
    }

    /// Nobody writes any more.
    async fn end(self) -> Result<(), String> {
        match self {
            Self::Records(_) | Self::Registry(_) => Ok(()),
            Self::Actions(acted) => acted.end().await,
        }
    }
}

/// Every secret that should be there opens, and is the one that was given last.
fn all_open(store: &ControlStore, kept: &Kept, canaries: &Canaries) -> Result<(), String> {
    for (id, secret) in kept {
        let key = Key::from(id.as_str());
        let record = store.get_record(Space::Things, &key).ok_or("an acknowledged record is lost")?;
        canaries.absent("Debug of a record", format!("{record:?}").as_bytes())?;
        let value: Value = needed("parse", record.parse())?;
        let place = Place { space: Space::Things, key: &key, field: "opts.password" };
        let opened = needed("unseal", store.sealer().open_value(&place, &value["opts"]["password"]))?;
        if opened.as_str() != Some(secret) {
            return Err("another secret came back".into());
        }
    }
    Ok(())
}

async fn on_files(case: &mut Case, n: u64, kills: u64) -> Result<(), String> {
    let (dir, cx, mut canaries) = (Folder::new()?, Ctx::system(), Canaries::new(&mut case.rng));
    let store = needed("create", ControlStore::create(&cx, &dir, &child::options()).await)?;
    // The key is a secret too.
    let key = fs::read_to_string(dir.join(KEY_FILE)).map_err(|e| e.to_string())?;
    canaries.add(key.trim());
    let mut kept = Kept::new();
    let by = By::new(case, &store, &cx, &canaries).await?;
    for i in 0..n {
        by.operation(case, &mut kept, i).await?;
        if i % (n / LOOKS).max(1) == 0 {
            canaries.not_in_files(&dir)?;
        }
    }
    by.wrongs(case).await?;
    by.rests().await;
    needed("verify", store.verify().await)?;
    keys::backup(case, &store, (&dir, &cx), &kept, &canaries).await?;
    by.end().await?;
    drop(store);
    canaries.not_in_files(&dir)?;
    let report = needed("doctor", doctor(&cx, &dir))?;
    canaries.absent("doctor", format!("{report:?} {}", json!(report)).as_bytes())?;
    for k in 1..=kills {
        keys::killed(case, &dir, k, &kept, &canaries).await?;
    }
    keys::changed(case, &dir, &kept, &mut canaries).await?;
    export(case, &dir, &canaries)?;
    canaries.absent("logs", log::kept().as_bytes())
}

/// Salvages a whole file and a damaged one.
fn export(case: &mut Case, dir: &Path, canaries: &Canaries) -> Result<(), String> {
    let report = needed("salvage", salvage(dir, &dir.join("whole.jsonl")))?;
    case.hit_if(report.records > 0, "exported");
    let path = dir.join(CONTROL_FILE);
    let mut bytes = fs::read(&path).map_err(|e| e.to_string())?;
    bytes.iter_mut().take(512).for_each(|byte| *byte = 0xff);
    fs::write(&path, bytes).map_err(|e| e.to_string())?;
    let report = needed("salvage", salvage(dir, &dir.join("carved.jsonl")))?;
    case.hit_if(report.carved > 0, "carved");
    canaries.absent("report of salvage", format!("{report:?} {}", json!(report)).as_bytes())?;
    canaries.not_in_files(dir)
}

async fn on_a_disk(case: &mut Case, n: u64) -> Result<(), String> {
    let canaries = Canaries::new(&mut case.rng);
    let mut rig = Rig::new(case);
    let mut disk = CrashBackend::new(case.seed);
    let mut store = needed("create", rig.create_store(disk.clone()).await)?;
    let mut kept = Kept::new();
    for round in 0..LOOKS {
        let by = By::new(case, &store, &rig.cx, &canaries).await?;
        for i in 0..n.div_ceil(LOOKS) {
            by.operation(case, &mut kept, round * n + i).await?;
        }
        by.failing(case, &disk).await?;
        by.end().await?;
        canaries.absent("the disk", &disk.bytes())?;
        disk = disk.cut();
        canaries.absent("the disk after a cut", &disk.bytes())?;
        case.hit("cut");
        drop(store);
        keys::cut(case, &mut rig, &mut disk, &kept, &canaries).await?;
        store = needed("refused after a cut", rig.open_store(disk.clone()).await)?;
        all_open(&store, &kept, &canaries)?;
    }
    let mut other = Rig::new(case);
    other.options.key = Some(SealKey::from_bytes([8; 32]));
    drop(store);
    match other.open_store(disk.clone()).await {
        Ok(_) => return Err("a store opened with a wrong key".into()),
        Err(e) => canaries.not_told("wrong key", &e)?,
    }
    case.hit("wrong key refused");
    let logged = log::kept();
    case.hit_if(!logged.is_empty(), "something was logged");
    canaries.absent("logs", logged.as_bytes())
}
