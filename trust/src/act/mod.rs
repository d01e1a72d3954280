//! A process with the real engine over a real store in a folder. Its devices and its client live in the parent: they speak
//! over its input and output, one line each.
//!
//! | line | from | says |
//! |---|---|---|
//! | `{…}` | parent, first | [`Setup`] |
//! | `ask N {…}` | parent | a client's request |
//! | `re N {…}` | parent | what a device says |
//! | `began {…}` | process | it is open; the audit log lies in `audit` |
//! | `dev N {…}` | process | something to a device |
//! | `ack N {…}` | process | the answer to a request |
//! | `at NAME` | process | it stands at the place where it is to be killed |
//! | `panic …` | process | what it says |

mod clock;
mod hands;
mod requests;
mod shelf;

use std::{
    fs,
    io::BufRead,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    action::{Engine, EngineOptions, Points, RightsSource, policy::Rules},
    audit::{self, AuditKey, Log},
    io::{Clock, Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    store::ControlStore,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{child, rig::needed};
use clock::Quick;
use hands::{Link, Site};
use shelf::Shelf;

/// How many times as fast as real time the process lives.
pub const SPEED: u32 = 40;
/// The file that the audit log is exported to.
pub const AUDIT: &str = "audit";
/// Racks of the site; its things are spread evenly.
pub const RACKS: [&str; 3] = ["miner-am-1", "miner-wm-1", "miner-wm-2"];
/// What can be asked for, and how many votes it takes. The last runs out soon.
pub const ACTIONS: [(&str, u32); 4] = [(TWO, 2), (ONE, 1), ("setPowerMode", 1), (SHORT, 3)];
/// Takes two votes.
pub const TWO: &str = "setUpfreqSpeed";
/// Takes its creator's vote only.
pub const ONE: &str = "setTargetTemp";
/// Takes three votes and runs out soon.
pub const SHORT: &str = "setTargetFreq";
const SHORT_S: u32 = 12;

/// How a process is to begin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The wall clock, ms.
    pub wall: i64,
    /// Things in each rack.
    pub things: u32,
    /// Calls at the same time.
    pub in_flight: usize,
    /// The place where it stops, to be killed.
    pub point: Option<String>,
    /// How often it passes there before.
    pub skip: u64,
    /// The rule of all actions, on the machine's own clock. Without it the clock is [`Quick`], and the rules are those of
    /// [`Rules::mos`], but that [`SHORT`] runs out soon.
    pub rule: Option<Value>,
}

/// The key that signs the audit log's checkpoints.
pub fn key() -> Result<AuditKey, String> {
    needed("no key", AuditKey::from_bytes("headframe/trust", [9; 32]))
}

/// The id of a thing.
pub fn thing(rack: &str, n: u32) -> String {
    format!("{rack}-{n:06}")
}

/// Serves until the input ends.
pub async fn serve(dir: &Path) -> Result<(), String> {
    std::panic::set_hook(Box::new(|panic| child::say(&format!("panic {}", one_line(&panic.to_string())))));
    let mut lines = std::io::stdin().lock().lines();
    let first = lines.next().ok_or("no setup")?.map_err(|e| e.to_string())?;
    let setup: Setup = serde_json::from_str(&first).map_err(|e| e.to_string())?;
    drop(lines);
    let (link, requests) = listen();
    let clock: Arc<dyn Clock> = match setup.rule {
        None => Arc::new(Quick::new(Timestamp(setup.wall))),
        Some(_) => Arc::new(SystemClock::default()),
    };
    let cx = Ctx::new(clock, Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()));
    let store = needed("refused", ControlStore::open(&cx, dir, &child::options()).await)?;
    let note = export(&store, dir)?;
    let fleet = Arc::new(Site::new(&setup, &link)?);
    let engine = needed("no engine", Engine::open(&cx, store, fleet, options(dir, &setup)?))?;
    child::say(&format!("{} {}", child::BEGAN, json!({"note": note})));
    answer(&cx, engine, requests).await;
    Ok(())
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

fn options(dir: &Path, setup: &Setup) -> Result<EngineOptions, String> {
    let mut rules = serde_json::to_value(Rules::mos()).map_err(|e| e.to_string())?;
    let all = ACTIONS.map(|(name, _)| name);
    let row = match &setup.rule {
        None => json!({"actions": [SHORT], "rule": {"own_vote": true, "expires_s": SHORT_S}}),
        Some(rule) => json!({"actions": all, "rule": rule}),
    };
    rules.get_mut("rows").and_then(Value::as_array_mut).ok_or("no rules")?.push(row);
    let rules = needed("no rules", Rules::parse(&rules))?;
    let mut options = EngineOptions::new(Arc::new(rules), RightsSource::Claims);
    options.in_flight = setup.in_flight;
    options.archive = Some(Arc::new(Shelf::new(dir)));
    options.call_within = Duration::from_secs(4);
    // Its half a second is less than a commit takes here: a busy machine is not what this tries.
    options.shed_journal_within = Duration::from_secs(600);
    if let Some(name) = &setup.point {
        options.points =
            Some(Arc::new(Stands { name: name.clone(), skip: setup.skip, passed: AtomicU64::new(0) }));
    }
    Ok(options)
}

/// Writes the audit log to a file, and gives a checkpoint of it.
fn export(store: &ControlStore, dir: &Path) -> Result<String, String> {
    let mut lines = Vec::new();
    needed("not exported", audit::export(store, &mut lines))?;
    fs::write(dir.join(AUDIT), &lines).map_err(|e| e.to_string())?;
    Ok(key()?.checkpoint(&needed("no log", Log::open(store))?))
}

/// Reads what the parent says; the requests come out.
fn listen() -> (Arc<Link>, mpsc::UnboundedReceiver<(u64, Value)>) {
    let (requests, inbox) = mpsc::unbounded_channel();
    let link = Arc::new(Link::default());
    let replies = Arc::clone(&link);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Some((word, n, value)) = split(&line) else { continue };
            if word == "re" {
                replies.answer(n, value);
            } else if requests.send((n, value)).is_err() {
                break;
            }
        }
        // Without a parent nobody would end it where it stands.
        std::process::exit(0);
    });
    (link, inbox)
}

/// `WORD N {…}`.
pub fn split(line: &str) -> Option<(&str, u64, Value)> {
    let mut parts = line.splitn(3, ' ');
    let (word, n, text) = (parts.next()?, parts.next()?, parts.next()?);
    Some((word, n.parse().ok()?, serde_json::from_str(text).ok()?))
}

/// Every request has a task of its own.
async fn answer(cx: &Ctx, engine: Engine, mut requests: mpsc::UnboundedReceiver<(u64, Value)>) {
    while let Some((n, body)) = requests.recv().await {
        let (engine, cx) = (engine.clone(), cx.clone());
        tokio::spawn(async move {
            let told = match requests::perform(&cx, &engine, &body).await {
                Ok(value) => json!({"ok": value}),
                Err(e) => json!({"error": e.code(), "text": e.message()}),
            };
            child::say(&format!("ack {n} {told}"));
        });
    }
}

/// Stops at one place for ever, with everything that runs.
#[derive(Debug)]
struct Stands {
    name: String,
    skip: u64,
    passed: AtomicU64,
}

#[async_trait]
impl Points for Stands {
    async fn at(&self, name: &'static str) {
        if name != self.name || self.passed.fetch_add(1, Ordering::SeqCst) != self.skip {
            return;
        }
        child::say(&format!("at {name}"));
        loop {
            std::thread::park();
        }
    }
}
