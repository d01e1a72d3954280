//! `s-secret`: no secret is readable anywhere but where it is asked for: not in files and their free pages, exports,
//! logs, errors or `Debug`.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use headframe_core::{
    Error, Secret,
    io::Ctx,
    store::{
        Batch, CONTROL_FILE, ControlStore, CrashBackend, CrashPlan, Expect, KEY_FILE, Key, Place, Revision,
        SealKey, Sealed, Sealer, Space, doctor, salvage,
    },
};
use serde_json::{Value, json};

use super::Check;
use crate::{
    child, log,
    rig::{Folder, Rig, files, in_real_time, needed, simulate},
    run::{Case, Run},
};

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
    ],
    run,
};

const CANARIES: usize = 50;
/// Any so long piece of a secret counts as found.
const PIECE: usize = 8;
const THINGS: usize = 120;
/// How often the bytes of the file are looked through on the way.
const LOOKS: u64 = 8;

/// The secrets, and pieces of them to look for.
struct Canaries {
    secrets: Vec<String>,
    pieces: HashMap<[u8; PIECE], usize>,
}

impl Canaries {
    fn new(rng: &mut fastrand::Rng) -> Self {
        let secret = |rng: &mut fastrand::Rng| (0..28).map(|_| rng.alphanumeric()).collect::<String>();
        let mut canaries = Self { secrets: Vec::new(), pieces: HashMap::new() };
        (0..CANARIES).for_each(|_| canaries.add(secret(rng).into_bytes()));
        canaries
    }

    fn add(&mut self, secret: Vec<u8>) {
        let number = self.secrets.len();
        for piece in secret.windows(PIECE) {
            if let Some(piece) = piece.first_chunk::<PIECE>() {
                self.pieces.insert(*piece, number);
            }
        }
        self.secrets.push(String::from_utf8(secret).unwrap_or_default());
    }

    fn any(&self, rng: &mut fastrand::Rng) -> &str {
        &self.secrets[rng.usize(0..CANARIES)]
    }

    /// An error when a piece of a secret is in `bytes`.
    fn absent(&self, place: &str, bytes: &[u8]) -> Result<(), String> {
        let found = bytes
            .windows(PIECE)
            .enumerate()
            .find_map(|(at, window)| Some((at, self.pieces.get(window.first_chunk::<PIECE>()?)?)));
        match found {
            Some((at, number)) => Err(format!("{place}: secret {number} is readable at byte {at}")),
            None => Ok(()),
        }
    }

    fn not_told(&self, what: &str, e: &Error) -> Result<(), String> {
        let context: Vec<_> = e.context().collect();
        self.absent(what, format!("{e} {e:?} {e:#?} {context:?} {}", e.message()).as_bytes())
    }
}

fn run(run: &mut Run) -> Result<(), String> {
    static LOGS: AtomicBool = AtomicBool::new(false);
    if !LOGS.swap(true, Ordering::Relaxed) {
        log::keep()?;
    }
    // Half of the operations on a folder, half on a disk that loses power.
    let half = run.n().div_ceil(2);
    run.form_ran("files");
    run.until(half, |case| in_real_time(on_files(case, half)));
    run.form_ran("backend");
    run.until(run.n() - half.min(run.n()), |case| simulate(on_a_disk(case, half)));
    Ok(())
}

async fn on_files(case: &mut Case, n: u64) -> Result<(), String> {
    let (dir, cx, mut canaries) = (Folder::new()?, Ctx::system(), Canaries::new(&mut case.rng));
    let store = needed("create", ControlStore::create(&cx, &dir, &child::options()).await)?;
    // The key is a secret too.
    let key = fs::read_to_string(dir.join(KEY_FILE)).map_err(|e| e.to_string())?;
    canaries.add(key.trim().as_bytes().to_vec());
    let mut writer = Writer { store: &store, cx: &cx, canaries: &canaries, kept: HashMap::new() };
    for i in 0..n {
        writer.operation(case, i).await?;
        if i % (n / LOOKS).max(1) == 0 {
            in_files(&dir, &canaries)?;
        }
    }
    writer.wrongs(case).await?;
    needed("verify", store.verify().await)?;
    drop(store);
    in_files(&dir, &canaries)?;
    let report = needed("doctor", doctor(&cx, &dir))?;
    canaries.absent("doctor", format!("{report:?} {}", json!(report)).as_bytes())?;
    export(case, &dir, &canaries)?;
    canaries.absent("logs", log::kept().as_bytes())?;
    Ok(())
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
    in_files(dir, canaries)
}

fn in_files(dir: &Path, canaries: &Canaries) -> Result<(), String> {
    for (path, bytes) in files(dir)? {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name != KEY_FILE {
            canaries.absent(&name, &bytes)?;
        }
    }
    Ok(())
}

async fn on_a_disk(case: &mut Case, n: u64) -> Result<(), String> {
    let canaries = Canaries::new(&mut case.rng);
    let rig = Rig::new(case);
    let mut disk = CrashBackend::new(case.seed);
    let registry = needed("create", rig.create(disk.clone()).await)?;
    let mut store = registry.store().clone();
    drop(registry);
    let mut kept = HashMap::new();
    for round in 0..LOOKS {
        let mut writer = Writer { store: &store, cx: &rig.cx, canaries: &canaries, kept };
        for i in 0..n.div_ceil(LOOKS) {
            writer.operation(case, round * n + i).await?;
        }
        writer.failing(case, &disk).await?;
        kept = writer.kept;
        canaries.absent("the disk", &disk.bytes())?;
        disk = disk.cut();
        canaries.absent("the disk after a cut", &disk.bytes())?;
        case.hit("cut");
        drop(store);
        store = needed("refused after a cut", rig.open(disk.clone()).await)?.store().clone();
    }
    let mut other = Rig::new(case);
    other.options.key = Some(SealKey::from_bytes([8; 32]));
    drop(store);
    match other.open(disk.clone()).await {
        Ok(_) => return Err("a store opened with a wrong key".into()),
        Err(e) => canaries.not_told("wrong key", &e)?,
    }
    case.hit("wrong key refused");
    let logged = log::kept();
    case.hit_if(!logged.is_empty(), "something was logged");
    canaries.absent("logs", logged.as_bytes())
}

/// Writes things with secrets, and asks for them again.
struct Writer<'a> {
    store: &'a ControlStore,
    cx: &'a Ctx,
    canaries: &'a Canaries,
    kept: HashMap<String, String>,
}

impl Writer<'_> {
    async fn operation(&mut self, case: &mut Case, i: u64) -> Result<(), String> {
        let id = format!("wm{}", case.rng.usize(0..THINGS));
        let known = self.kept.contains_key(&id);
        case.unit();
        match case.rng.u32(0..10) {
            0 if known => {
                self.commit(Batch::new().delete(Space::Things, id.as_str())).await?;
                self.kept.remove(&id);
                case.hit("forgotten");
            }
            1 | 2 if known => {
                self.read_back(&id)?;
                case.hit("read back");
            }
            3 => {
                let text = json!({"text": format!("replaced the fan, {i}"), "by": "ops@example.com"});
                self.commit(Batch::new().put(Space::Comments, format!("{id}/{i}"), &text)).await?;
            }
            4 => self.guarded(case, &id).await?,
            _ => {
                let secret = self.canaries.any(&mut case.rng).to_owned();
                self.put(&id, &secret, i).await?;
                case.hit(if known { "rotated" } else { "registered" });
                self.kept.insert(id, secret);
            }
        }
        Ok(())
    }

    async fn put(&self, id: &str, secret: &str, i: u64) -> Result<(), String> {
        let key = Key::from(id);
        let Value::Object(mut opts) = json!({
            "address": "10.0.0.7",
            "username": "admin",
            "password": secret,
            "pools": i,
            "apiToken": {"value": secret, "n": i},
        }) else {
            return Err("no object".into());
        };
        let sealed = self.store.sealer().seal_map(&*self.cx.rng, (Space::Things, &key), "opts", &mut opts);
        needed("seal", sealed)?;
        let field = Place { space: Space::Things, key: &key, field: "pool" };
        let sealed = needed("seal", self.store.sealer().seal(&*self.cx.rng, &field, &Secret::new(secret)))?;
        self.canaries.absent("Debug of a sealed secret", format!("{sealed:?}").as_bytes())?;
        self.commit(Batch::new().put(Space::Things, &key, &json!({"opts": opts, "pool": sealed}))).await
    }

    /// A write that the disk does not take: the error and the logs say nothing.
    async fn failing(&self, case: &mut Case, disk: &CrashBackend) -> Result<(), String> {
        let secret = self.canaries.any(&mut case.rng).to_owned();
        let fail_at = Some(case.rng.u64(0..6));
        disk.plan(CrashPlan { fail_at, fail_for: 200, ..CrashPlan::default() });
        let told = self.put("failing", &secret, 0).await;
        disk.plan(CrashPlan::default());
        let Err(text) = told else { return Err("a disk that fails took a write".into()) };
        self.canaries.absent("an error of the disk", text.as_bytes())?;
        case.hit("a failing disk");
        Ok(())
    }

    async fn commit(&self, batch: Batch) -> Result<(), String> {
        self.canaries.absent("Debug of a batch", format!("{batch:?}").as_bytes())?;
        needed("commit", self.store.commit(batch).await.map(drop))
    }

    /// The secret opens where it belongs and nowhere else.
    fn read_back(&self, id: &str) -> Result<(), String> {
        let key = Key::from(id);
        let record = self.store.get_record(Space::Things, &key).ok_or("an acknowledged record is lost")?;
        self.canaries.absent("Debug of a record", format!("{record:?}").as_bytes())?;
        let value: Value = needed("parse", record.parse())?;
        let sealed: Sealed =
            serde_json::from_value(value["pool"].clone()).map_err(|_| "the secret is not sealed")?;
        let place = Place { space: Space::Things, key: &key, field: "pool" };
        let secret = needed("unseal", self.store.sealer().open(&place, &sealed))?;
        if self.kept.get(id).map(String::as_str) != Some(secret.expose()) {
            return Err("another secret came back".into());
        }
        let shown = format!("{secret} {secret:?} {} {:?}", json!(secret), self.store);
        self.canaries.absent("Debug of a secret or a store", shown.as_bytes())
    }

    async fn guarded(&self, case: &mut Case, id: &str) -> Result<(), String> {
        let never = Expect::Revision(Revision(u64::MAX));
        let secret = Secret::new(self.canaries.any(&mut case.rng));
        let batch = Batch::new().require(Space::Things, id, never).put(Space::Things, id, &secret);
        match self.store.commit(batch).await {
            Ok(_) => return Err("a guard that cannot hold let a batch pass".into()),
            Err(e) => self.canaries.not_told("guard", &e)?,
        }
        case.hit("guard refused");
        Ok(())
    }

    /// Everything that must be refused without a word of what it was about.
    async fn wrongs(&mut self, case: &mut Case) -> Result<(), String> {
        let secret = self.canaries.any(&mut case.rng).to_owned();
        self.put("wrong", &secret, 0).await?;
        let record = self.store.get_record(Space::Things, "wrong").ok_or("lost")?;
        let value: Value = needed("parse", record.parse())?;
        let sealed: Sealed = serde_json::from_value(value["pool"].clone()).map_err(|_| "not sealed")?;
        let key = Key::from("another");
        let moved = Place { space: Space::Things, key: &key, field: "pool" };
        let Err(e) = self.store.sealer().open(&moved, &sealed) else {
            return Err("a secret opened at another place".into());
        };
        self.canaries.not_told("moved secret", &e)?;
        case.hit("moved secret refused");
        let Err(e) = self.store.get::<u64>(Space::Things, "wrong") else {
            return Err("a record of another shape was read".into());
        };
        self.canaries.not_told("wrong shape", &e)?;
        case.hit("wrong shape refused");
        let sealer = Sealer::new(&SealKey::random(&*self.cx.rng));
        let own = Key::from("wrong");
        let place = Place { space: Space::Things, key: &own, field: "pool" };
        let Err(e) = sealer.open(&place, &sealed) else {
            return Err("a secret opened with another key".into());
        };
        self.canaries.not_told("another key", &e)
    }
}
