//! The life of a site whose process is killed: real engine, real store, real processes. Devices and client are here, and
//! know what is true.

mod client;
mod devices;
pub mod process;
mod script;
mod verdict;

use std::{fs, time::Duration};

use headframe_core::{
    audit::{self, Checkpoint, verify},
    io::Ctx,
    store::ControlStore,
};
use serde_json::Value;

use crate::{
    act::{self, SPEED, Setup},
    child,
    rig::{Folder, in_real_time, needed},
    watch::Watch,
};
use client::Client;
use devices::Devices;
pub use process::{Out, Process};
pub use script::Everything;
use script::Script;

/// When the wall clock of a site begins, ms.
const START: i64 = 1_764_000_000_000;
/// A life that is longer does not end.
const LIMIT_MS: u64 = 40_000;
const WAIT: Duration = Duration::from_millis(2);

/// When a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// So many ms after it was started.
    Early(u64),
    /// So many ms after it began to answer.
    Later(u64),
    /// So many ms after a push was asked for, unless it was answered.
    Pushing(u64),
    /// When devices have received so many commands.
    Received(u64),
    /// When the command of this number is on its way, before its device has it.
    Sending(u64),
    /// When all actions ended.
    AtTheEnd,
    /// Only where it stands: it comes there by itself, whatever the client still asks.
    Standing,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was killed as planned, before it had begun to answer.
    BeforeItBegan,
    /// It was killed as planned.
    Killed,
    /// It was killed where it stood.
    Stood,
    /// It was killed when all was done.
    Done,
}

/// A folder with an empty store.
pub fn folder() -> Result<Folder, String> {
    let folder = Folder::new()?;
    in_real_time(async {
        let made = ControlStore::create(&Ctx::system(), &folder, &child::options()).await;
        let store = needed("a store cannot be made", made)?;
        needed("close", store.close().await)
    })?;
    Ok(folder)
}

/// See the module.
#[derive(Debug)]
pub struct Life {
    folder: Folder,
    born: Watch,
    things: u32,
    in_flight: usize,
    /// How far the wall clock was put on, ms.
    pub jump: i64,
    /// Who asks.
    pub client: Client,
    /// Who is written to.
    pub devices: Devices,
    /// What left the site of its audit log.
    checkpoints: Vec<Checkpoint>,
    began: bool,
    /// Commands that were on their way when their sender was killed.
    pub on_the_way: u64,
}

impl Life {
    /// A site with so many things in each rack, whose client asks for everything there is, or for some of it.
    pub fn new(rng: &mut fastrand::Rng, things: u32, everything: Everything) -> Result<Self, String> {
        let folder = folder()?;
        let script = Script::of(rng, everything);
        Ok(Self {
            folder,
            born: Watch::start(),
            things,
            in_flight: rng.usize(4..64),
            jump: 0,
            client: Client::new(script, rng.u64(..)),
            devices: Devices::new(rng.u64(..), things),
            checkpoints: Vec::new(),
            began: false,
            on_the_way: 0,
        })
    }

    /// Has one process live until it is killed as planned, or at a point that it passed so often before.
    pub fn process(&mut self, kill: Kill, point: Option<(&str, u64)>) -> Result<End, String> {
        let passed = i64::try_from(self.born.ms()).unwrap_or(0) * i64::from(SPEED);
        let setup = Setup {
            wall: START + self.jump + passed,
            things: self.things,
            in_flight: self.in_flight,
            point: point.map(|(name, _)| name.to_owned()),
            skip: point.map_or(0, |(_, skip)| skip),
            rule: None,
        };
        let setup = serde_json::to_string(&setup).map_err(|e| e.to_string())?;
        let mut process = Process::start("act", &self.folder, &setup, &[])?;
        self.began = false;
        let mut held = None;
        let lived = self.lives(&mut process, kill, &mut held);
        let began = self.began;
        for line in held.into_iter().chain(process.kill()?) {
            self.on_the_way += u64::from(is_send(&line));
            self.line(&line, None)?;
        }
        self.client.cut();
        let end = lived?;
        if let Some(broken) = self.devices.broken.first() {
            return Err(broken.clone());
        }
        Ok(if began || end != End::Killed { end } else { End::BeforeItBegan })
    }

    /// A command that was on its way when it was killed goes to `held`.
    fn lives(&mut self, process: &mut Process, kill: Kill, held: &mut Option<String>) -> Result<End, String> {
        let mut began = None;
        loop {
            if self.began {
                began = began.or_else(|| Some(process.age_ms()));
                if let Some(line) = self.client.ask(self.born.ms(), &mut self.devices)? {
                    process.say(&line);
                }
            }
            let due = match kill {
                Kill::Early(ms) => process.age_ms() >= ms,
                Kill::Later(ms) => began.is_some_and(|began| process.age_ms() >= began + ms),
                Kill::Pushing(ms) => self.client.pushing().is_some_and(|asked| self.born.ms() >= asked + ms),
                Kill::Received(n) => self.devices.received >= n,
                Kill::Sending(_) | Kill::AtTheEnd | Kill::Standing => false,
            };
            if (self.client.done() && kill != Kill::Standing) || !self.devices.broken.is_empty() {
                return Ok(End::Done);
            }
            if due {
                return Ok(End::Killed);
            }
            if self.born.ms() > LIMIT_MS {
                return Err(format!("it does not end: {}", Value::Array(self.client.known.list.clone())));
            }
            match process.next(WAIT) {
                Out::Line(line) if line.starts_with("at ") => return Ok(End::Stood),
                Out::Line(line) if is_send(&line) && kill == Kill::Sending(self.devices.received + 1) => {
                    *held = Some(line);
                    return Ok(End::Killed);
                }
                Out::Line(line) => self.line(&line, Some(process))?,
                Out::Nothing => {}
                Out::Ended => return Err("the process ended by itself".into()),
            }
        }
    }

    /// A process says something; without one it is dead.
    fn line(&mut self, line: &str, process: Option<&mut Process>) -> Result<(), String> {
        if let Some(panic) = line.strip_prefix("panic ") {
            return Err(format!("panic: {panic}"));
        }
        if let Some(note) = line.strip_prefix(child::BEGAN) {
            self.began = true;
            return self.audited(note);
        }
        if line.starts_with("at ") {
            return Ok(());
        }
        let (word, n, value) = act::split(line).ok_or_else(|| format!("no line: {line}"))?;
        if word == "ack" {
            return self.client.hear(n, &value, self.born.ms(), &mut self.devices);
        }
        let reply = self.devices.hear(&value, process.is_none())?;
        if let (Some(process), Some(reply)) = (process, reply) {
            process.say(&format!("re {n} {reply}"));
        }
        Ok(())
    }

    /// The audit log as it was found, against everything that left the site before.
    fn audited(&mut self, note: &str) -> Result<(), String> {
        let note: Value = serde_json::from_str(note).map_err(|e| e.to_string())?;
        let export = fs::read(self.folder.join(act::AUDIT)).map_err(|e| e.to_string())?;
        let note = note["note"].as_str().unwrap_or_default();
        let checkpoint = needed("not signed", act::key()?.verifier().open(note.as_bytes()))?;
        if checkpoint.size() > 0 {
            self.checkpoints.push(checkpoint);
        }
        let told = verify(audit::lines(&export), &self.checkpoints);
        told.map(drop).map_err(|fault| format!("the audit log is not sound: {fault}"))
    }

    /// Lets every action end, kills the process once more, and judges what the next one shows.
    pub fn ends(&mut self) -> Result<(), String> {
        while self.client.works() {
            self.process(Kill::AtTheEnd, None)?;
        }
        self.client.looks_again();
        while !self.client.done() {
            self.process(Kill::AtTheEnd, None)?;
        }
        verdict::judge(&self.client, &self.devices, self.things)
    }
}

fn is_send(line: &str) -> bool {
    line.starts_with("dev ") && line.contains("\"op\":\"send\"")
}
