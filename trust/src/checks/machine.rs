//! The part of `x-clock` with a process of its own: the machine's clock jumps under it, which libfaketime does for this
//! process alone. Its store, its tasks and its clock are real; only its devices are here.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    process::Command,
    time::Duration,
};

use headframe_core::io::Ctx;
use serde_json::{Value, json};

use crate::{
    act::{self, ONE, RACKS, Setup, TWO},
    args::Profile,
    child,
    life::{self, Out, Process},
    rig::Folder,
    run::{Case, Run},
    watch::{self, Watch},
};

/// Things in each rack.
const THINGS: u32 = 8;
const HOUR_S: i64 = 3_600;
const JUMPS_S: [i64; 6] = [1, 61, HOUR_S, 24 * HOUR_S, 365 * 24 * HOUR_S, 3_652 * 24 * HOUR_S];
const EXPIRES_S: i64 = 20;
const WAIT_S: u64 = 2;
/// How long a device takes for a command, ms.
const CALL_MS: u64 = 150;
/// Nothing here takes as long, on any machine.
const LIMIT_MS: u64 = 120_000;
const POLL: Duration = Duration::from_millis(5);
/// How far a clock that was set may be from what is expected of it, ms.
const OFF_MS: i64 = 30_000;

/// Runs them, where the library is there.
pub fn runs(run: &mut Run) -> Result<(), String> {
    let Some(library) = library() else {
        eprintln!("{}: no clock of a machine was set: libfaketime is not installed", run.name());
        return Ok(());
    };
    run.form_ran("libfaketime");
    let times = match run.profile() {
        Profile::Quick => 1,
        Profile::Ci => 4,
        Profile::Long => 20,
    };
    run.each(times, |_, case| one(case, &library));
    Ok(())
}

/// Where its own program says that the library is.
fn library() -> Option<String> {
    let mut command = Command::new("faketime");
    command.args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]);
    let (said, well) = watch::output(&mut command, Duration::from_secs(5)).ok()?;
    Some(said.trim().to_owned()).filter(|path| well && !path.is_empty())
}

fn one(case: &mut Case, library: &str) -> Result<(), String> {
    let mut server = Server::new(library)?;
    let mut stories = [Server::waits, Server::runs_out, Server::carries_out];
    case.rng.shuffle(&mut stories);
    for story in stories {
        story(&mut server, case)?;
        if case.rng.bool() {
            case.hit("restarted");
            server.restart()?;
        }
        server.look()?;
    }
    server.ends()
}

/// A command that reached a device.
#[derive(Debug)]
struct Sent {
    id: u64,
    target: String,
    at_ms: u64,
}

/// A process under a clock that can be set.
struct Server {
    folder: Folder,
    variables: Vec<(&'static str, OsString)>,
    process: Option<Process>,
    watch: Watch,
    asked: u64,
    sent: Vec<Sent>,
    /// How far its clock is ahead of the machine's, and was at most, s.
    ahead: i64,
    farthest: i64,
    ids: Vec<u64>,
    expired: BTreeSet<u64>,
}

impl Server {
    fn new(library: &str) -> Result<Self, String> {
        let folder = life::folder()?;
        let variables = vec![
            ("LD_PRELOAD", library.into()),
            ("FAKETIME_TIMESTAMP_FILE", folder.join("ahead").into()),
            // The file is read at each look at the clock.
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ];
        let mut server = Self {
            folder,
            variables,
            process: None,
            watch: Watch::start(),
            asked: 0,
            sent: Vec::new(),
            ahead: 0,
            farthest: 0,
            ids: Vec::new(),
            expired: BTreeSet::new(),
        };
        server.write_clock()?;
        server.start()?;
        Ok(server)
    }

    fn write_clock(&self) -> Result<(), String> {
        // In one step: it is read while it is written.
        let (new, file) = (self.folder.join("ahead.new"), self.folder.join("ahead"));
        let written = fs::write(&new, format!("{:+}", self.ahead)).and_then(|()| fs::rename(&new, &file));
        written.map_err(|e| format!("the clock cannot be set: {e}"))
    }

    fn start(&mut self) -> Result<(), String> {
        let rule =
            json!({"own_vote": true, "expires_s": EXPIRES_S, "wait_s": WAIT_S, "begin_within_s": HOUR_S});
        let setup = Setup { wall: 0, things: THINGS, in_flight: 2, point: None, skip: 0, rule: Some(rule) };
        let setup = serde_json::to_string(&setup).map_err(|e| e.to_string())?;
        self.process = Some(Process::start("act", &self.folder, &setup, &self.variables)?);
        let since = self.watch.ms();
        while !self.heard(None)?.is_some_and(|line| line.starts_with(child::BEGAN)) {
            self.in_time(since, "it does not begin")?;
        }
        self.check_clock()
    }

    /// Kills it, and starts it again.
    fn restart(&mut self) -> Result<(), String> {
        if let Some(process) = self.process.take() {
            for line in process.kill()? {
                self.device(&line)?;
            }
        }
        self.start()
    }

    fn in_time(&self, since: u64, what: &str) -> Result<(), String> {
        if self.watch.ms() - since < LIMIT_MS { Ok(()) } else { Err(what.to_owned()) }
    }

    /// Sets the clock so far ahead of the machine's.
    fn set(&mut self, ahead: i64) -> Result<(), String> {
        self.ahead = ahead;
        self.farthest = self.farthest.max(ahead);
        self.write_clock()?;
        self.check_clock()
    }

    /// Sets it on or back.
    fn jump(&mut self, case: &mut Case) -> Result<(), String> {
        let far = JUMPS_S[case.rng.usize(..JUMPS_S.len())];
        let back = case.rng.bool();
        case.hit(if back { "back" } else { "forward" });
        self.set(self.ahead + if back { -far } else { far })
    }

    /// It is no check if its clock does not do what is wanted.
    fn check_clock(&mut self) -> Result<(), String> {
        let wall = self.ask(&json!({"do": "time"}))?["ok"].as_i64().ok_or("it has no clock")?;
        let off = wall - Ctx::system().clock.wall().0 - self.ahead * 1_000;
        if off.abs() < OFF_MS { Ok(()) } else { Err(format!("its clock is off by {off} ms")) }
    }

    /// Hears one line, if any comes; a device answers it at once. Others come out.
    fn heard(&mut self, wait: Option<Duration>) -> Result<Option<String>, String> {
        let Some(process) = &mut self.process else { return Err("there is no process".into()) };
        let line = match process.next(wait.unwrap_or(POLL)) {
            Out::Line(line) => line,
            Out::Nothing => return Ok(None),
            Out::Ended => return Err("the process ended by itself".into()),
        };
        match self.device(&line)? {
            Some(reply) => self.say(&reply).map(|()| None),
            None => Ok(Some(line)),
        }
    }

    fn say(&mut self, line: &str) -> Result<(), String> {
        self.process.as_mut().map(|process| process.say(line)).ok_or_else(|| "there is no process".into())
    }

    /// What a device says, if it is spoken to.
    fn device(&mut self, line: &str) -> Result<Option<String>, String> {
        if let Some(panic) = line.strip_prefix("panic ") {
            return Err(format!("panic: {panic}"));
        }
        let Some(("dev", n, body)) = act::split(line) else { return Ok(None) };
        let (id, target) = (body["id"].as_u64().unwrap_or(0), body["target"].as_str().unwrap_or_default());
        let has = |sent: &Sent| sent.id == id && sent.target == target;
        let reply = match body["op"].as_str().unwrap_or_default() {
            "send" => {
                if self.sent.iter().any(has) {
                    return Err(format!("{target} got the command of {id} twice"));
                }
                self.sent.push(Sent { id, target: target.to_owned(), at_ms: self.watch.ms() });
                json!({"says": "ok", "delay": CALL_MS})
            }
            "confirm" if self.sent.iter().any(has) => json!({"seen": "applied"}),
            "confirm" => json!({"seen": "not_applied"}),
            _ => json!({"serial": target}),
        };
        Ok(Some(format!("re {n} {reply}")))
    }

    /// Asks, and waits for the answer.
    fn ask(&mut self, body: &Value) -> Result<Value, String> {
        self.asked += 1;
        let n = self.asked;
        self.say(&format!("ask {n} {body}"))?;
        let since = self.watch.ms();
        loop {
            self.in_time(since, &format!("no answer to {body}"))?;
            let Some(line) = self.heard(None)? else { continue };
            if let Some(("ack", of, answer)) = act::split(&line)
                && of == n
            {
                return Ok(answer);
            }
        }
    }

    fn wish(&mut self, what: &str, who: &str, more: &Value) -> Result<Value, String> {
        let mut body = json!({
            "do": what, "voter": who, "authPerms": ["miner:rw", "actions:rw"], "query": {},
        });
        if let (Some(all), Some(more)) = (body.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        self.ask(&body)
    }

    /// Pushes; the id is greater than all before, whatever the clock says.
    fn push(&mut self, action: &str) -> Result<u64, String> {
        let told = self.wish("push", "ann", &json!({"action": action, "params": [self.ids.len() + 1]}))?;
        let id = told["ok"].as_u64().ok_or_else(|| format!("a push got {told}"))?;
        if let Some(last) = self.ids.last().filter(|last| **last >= id) {
            return Err(format!("the id {id} came after {last}"));
        }
        self.ids.push(id);
        Ok(id)
    }

    /// Whether a vote counts.
    fn vote(&mut self, id: u64) -> Result<bool, String> {
        let told = self.wish("vote", "bob", &json!({"id": id, "approve": true}))?;
        match told["error"].as_str() {
            None => Ok(true),
            Some(code) if code.starts_with("ERR_ACTION") => Ok(false),
            Some(_) => Err(format!("a vote got {told}")),
        }
    }

    /// All actions, by their ids. None that ran out comes back, and the times of each follow one another.
    fn look(&mut self) -> Result<BTreeMap<u64, Value>, String> {
        let told = self.ask(&json!({"do": "list"}))?;
        let mut all = BTreeMap::new();
        for action in told["ok"]["actions"].as_array().ok_or_else(|| format!("a list got {told}"))? {
            let id = action["id"].as_u64().ok_or("an action without an id")?;
            let times = action["times"].as_array().into_iter().flatten().filter_map(Value::as_i64);
            if !times.is_sorted() {
                return Err(format!("the times of {id} are {}", action["times"]));
            }
            if action["status"] == "EXPIRED" {
                self.expired.insert(id);
            } else if self.expired.contains(&id) {
                return Err(format!("{id} had run out, and is {} again", action["status"]));
            }
            all.insert(id, action.clone());
        }
        Ok(all)
    }

    /// Waits until an action ended; what is held after a crash goes on. Gives its status.
    fn until_ended(&mut self, id: u64) -> Result<String, String> {
        let since = self.watch.ms();
        loop {
            let all = self.look()?;
            let action = all.get(&id).ok_or_else(|| format!("{id} is lost"))?;
            let status = action["status"].as_str().unwrap_or_default();
            match status {
                "COMPLETED" | "PARTIAL" | "FAILED" | "EXPIRED" => return Ok(status.to_owned()),
                "APPROVED" | "EXECUTING" if action["held"] == true => {
                    self.wish("resume", "ann", &json!({"id": id}))?;
                }
                _ => {}
            }
            self.in_time(since, &format!("{id} does not end: {action}"))?;
            self.heard(Some(20 * POLL))?;
        }
    }

    fn sent(&self, id: u64) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |sent| sent.id == id)
    }

    /// An action that is approved waits for as long as it has to, whatever the clock says meanwhile.
    fn waits(&mut self, case: &mut Case) -> Result<(), String> {
        let id = self.push(TWO)?;
        let since = self.watch.ms();
        if !self.vote(id)? {
            return Err(format!("{id} takes no vote"));
        }
        let farthest = self.farthest;
        self.jump(case)?;
        let status = self.until_ended(id)?;
        let first = self.sent(id).map(|sent| sent.at_ms).min();
        if first.is_some_and(|first| first < since + WAIT_S * 1_000) {
            return Err(format!("{id} began {first:?} ms in, and was approved {since} ms in"));
        }
        case.hit_if(first.is_some(), "waited for its time");
        // Its time to begin passed, as far as anybody can know.
        let passed = self.farthest - farthest >= HOUR_S;
        if status != "COMPLETED" && !(status == "EXPIRED" && passed) {
            return Err(format!("{id} ended as {status}"));
        }
        Ok(())
    }

    /// Votes end; setting the clock back does not let anybody vote again.
    fn runs_out(&mut self, case: &mut Case) -> Result<(), String> {
        let id = self.push(TWO)?;
        let far = JUMPS_S[case.rng.usize(1..JUMPS_S.len())];
        self.set(self.farthest + far)?;
        let early = case.rng.bool() && self.vote(id)?;
        let status = self.until_ended(id)?;
        self.set(self.ahead - far - EXPIRES_S - JUMPS_S[case.rng.usize(..JUMPS_S.len())])?;
        let after = self.vote(id)?;
        self.restart()?;
        let again = self.vote(id)?;
        case.hit("ran out");
        case.hit("a vote for what ran out");
        if status != "EXPIRED" || early || after || again {
            return Err(format!("{id} is {status}, and took votes: {early}, {after}, {again}"));
        }
        Ok(())
    }

    /// An action that is under way is carried out, once.
    fn carries_out(&mut self, case: &mut Case) -> Result<(), String> {
        let id = self.push(ONE)?;
        let since = self.watch.ms();
        let some = case.rng.usize(1..6);
        while self.sent(id).count() < some {
            self.in_time(since, &format!("{id} does not begin"))?;
            self.heard(None)?;
        }
        self.jump(case)?;
        let killed = case.rng.bool();
        if killed {
            self.restart()?;
        }
        let status = self.until_ended(id)?;
        let (sent, all) = (self.sent(id).count(), THINGS as usize * RACKS.len());
        let is_whole = status == "COMPLETED" && sent == all;
        // A command that was about to be sent is not sent after a kill.
        if !(is_whole || killed && ["COMPLETED", "PARTIAL"].contains(&status.as_str())) {
            return Err(format!("{id} ended as {status}, and {sent} of {all} got it"));
        }
        case.hit("executed");
        Ok(())
    }

    /// What ran out was not sent.
    fn ends(&mut self) -> Result<(), String> {
        let all = self.look()?;
        for id in &self.ids {
            let action = all.get(id).ok_or_else(|| format!("{id} is lost"))?;
            if action["status"] == "EXPIRED" && self.sent(*id).next().is_some() {
                return Err(format!("{id} ran out, and was sent"));
            }
        }
        match self.process.take() {
            Some(process) => process.kill().map(drop),
            None => Ok(()),
        }
    }
}
