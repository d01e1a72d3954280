//! The verdict: what devices received, what people were told, and what the site says in the end, compared. It shares nothing
//! with the engine.

use std::collections::{BTreeMap, BTreeSet};

use headframe_core::{
    action::{ActionId, ActionQuery, Bucket},
    audit,
    io::Mono,
};
use serde_json::Value;

use super::{
    eyes::{Told, Try},
    house::{FAMILIES, House, Process, THREE},
    ledger::{Book, Ledger, Push},
};

/// Codes of calls that may have had an effect all the same.
const OPEN: [&str; 3] = ["ERR_OUTCOME_UNKNOWN", "ERR_NOT_CONFIRMED", "ERR_DEVICE_REFUSED"];
const NEVER_RAN: [&str; 3] = ["DENIED", "CANCELLED", "EXPIRED"];
/// Actions that only read from devices.
const READS: [&str; 1] = ["downloadLogs"];

/// What a device did of an action: the commands, and when the first came.
#[derive(Debug, Default)]
struct Done {
    commands: BTreeMap<String, u32>,
    tries: BTreeSet<usize>,
}

struct Evidence<'a> {
    house: &'a House,
    book: &'a Book,
    tries: Vec<Try>,
    done: BTreeMap<(u64, String), Done>,
    hits: BTreeSet<&'static str>,
}

/// Judges a site whose actions have ended; gives what was reached.
pub fn judge(house: &House, process: &Process, ledger: &Ledger) -> Result<BTreeSet<&'static str>, String> {
    let book = ledger.book();
    if let Some(wrong) = book.wrong.first() {
        return Err(wrong.clone());
    }
    let (tries, done, hits) = (house.eyes.tries(), BTreeMap::new(), BTreeSet::new());
    let mut evidence = Evidence { house, book: &book, tries, done, hits };
    evidence.collect()?;
    let mut views = BTreeMap::new();
    for bucket in Bucket::ALL {
        for listed in process.engine.query(&ActionQuery::new(bucket)).map_err(|e| e.to_string())? {
            let view = process.engine.get(ActionId::new(listed.id.get())).map_err(|e| e.to_string())?;
            views.insert(listed.id.get(), view.ok_or("an action is gone")?.0);
        }
    }
    for (id, view) in &views {
        evidence.action(*id, view).map_err(|e| {
            format!("action {id} ({} of {}, {}): {e}", view["action"], view["votesPos"], view["status"])
        })?;
    }
    evidence.acknowledged(&views)?;
    evidence.halted()?;
    if let Some(((id, target), _)) = evidence.done.iter().find(|((id, _), _)| !views.contains_key(id)) {
        // Load is shed also where nothing can be recorded of it.
        if !book.shed_untold {
            return Err(format!("{target} got a command of {id}, which is not there"));
        }
    }
    let verified =
        audit::verify_stored(process.engine.store(), &[]).map_err(|e| format!("the audit log: {e}"))?;
    house.trace.note(house.cx.clock.mono(), "audit", verified.root.to_string().as_bytes());
    audited(process, &book)?;
    Ok(evidence.hits)
}

/// Every acknowledged push and vote stands in the audit log.
fn audited(process: &Process, book: &Book) -> Result<(), String> {
    let (mut entries, mut from) = (BTreeSet::new(), 0);
    loop {
        let page = audit::page(process.engine.store(), from, 1_000).map_err(|e| e.to_string())?;
        for line in &page.lines {
            let entry: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            entries.insert((entry["action"].as_u64().unwrap_or(0), text("what"), text("by")));
        }
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    let has = |id: u64, what: &str, by: &str| entries.contains(&(id, what.to_owned(), by.to_owned()));
    for (id, push) in &book.pushes {
        if !has(*id, if push.shed { "shed" } else { "push" }, push.who) {
            return Err(format!("the audit log does not know that {} pushed {id}", push.who));
        }
    }
    match book.votes.iter().find(|vote| vote.acked && !has(vote.id, "vote", vote.who)) {
        Some(vote) => Err(format!("the audit log does not know of {vote:?}")),
        None => Ok(()),
    }
}

impl Evidence<'_> {
    /// What each device did, by action and thing.
    fn collect(&mut self) -> Result<(), String> {
        for (thing, device) in self.house.devices().iter().enumerate() {
            let fact = &self.house.facts[thing];
            for execution in device.executions() {
                let peer = execution.peer.ok_or("a device executed something that nobody sent")?;
                let number = self.house.wires.write_of(peer, execution.at);
                let one = number.and_then(|number| self.tries.get(number));
                let (Some(number), Some(one)) = (number, one) else {
                    return Err(format!("{} executed {} outside of any call", fact.id, execution.command));
                };
                if one.target != fact.id {
                    return Err(format!("{} executed {} of {one:?}", fact.id, execution.command));
                }
                if one.told == Some(Told::NotSent) {
                    return Err(format!(
                        "{} executed {}, told as not sent: {one:?}",
                        fact.id, execution.command
                    ));
                }
                self.hits.insert(FAMILIES[fact.rack]);
                let done = self.done.entry((one.action, fact.id.clone())).or_default();
                *done.commands.entry(execution.command.clone()).or_default() += 1;
                done.tries.insert(number);
            }
        }
        Ok(())
    }

    /// Judges one action.
    fn action(&mut self, id: u64, view: &Value) -> Result<(), String> {
        let status = view["status"].as_str().unwrap_or_default();
        let sent: Vec<&Try> =
            self.tries.iter().filter(|one| one.action == id && one.told != Some(Told::NotSent)).collect();
        let ran = !sent.is_empty() || self.done.keys().any(|(of, _)| *of == id);
        if (NEVER_RAN.contains(&status) || self.book.cancelled.contains(&id)) && ran {
            return Err(format!("it is {status}, and something was sent: {:?}", sent.first()));
        }
        if let Some(first) = sent.iter().map(|one| one.at).min() {
            self.approved(id, view, first)?;
        }
        let mut found = [0_u64; 3];
        let mut total = 0;
        let push = self.book.pushes.get(&id);
        for (_, part) in view["targets"].as_object().into_iter().flatten() {
            for call in part["calls"].as_array().into_iter().flatten() {
                total += 1;
                let target = call["id"].as_str().unwrap_or_default();
                if push.is_some_and(|push| !push.things.contains(target)) {
                    return Err(format!("{target} was not asked for"));
                }
                let fate = self.call(id, target, view, call)?;
                if let Some(fate) = fate {
                    found[fate] += 1;
                }
            }
        }
        let count = |name: &str| view["counts"][name].as_u64().unwrap_or(0);
        let counts = [count("ok"), count("failed"), count("unknown")];
        if counts != found || count("total") != total {
            return Err(format!("it counts {}, and its calls are {found:?} of {total}", view["counts"]));
        }
        let ended = found.iter().sum::<u64>() == total;
        let right = match status {
            "COMPLETED" => ended && found[1] + found[2] == 0,
            "FAILED" => ended && found[0] + found[2] == 0,
            "PARTIAL" => ended && found[0] + found[2] > 0 && found[1] + found[2] > 0,
            "VOTING" | "DENIED" | "CANCELLED" | "EXPIRED" => found == [0; 3],
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("it stands there with {found:?}")) }
    }

    /// Judges one call; gives whether it is ok, failed or unknown.
    fn call(&mut self, id: u64, target: &str, view: &Value, call: &Value) -> Result<Option<usize>, String> {
        let nothing = Done::default();
        let key = (id, target.to_owned());
        let done = self.done.get(&key).unwrap_or(&nothing);
        let tries: Vec<&Try> = done.tries.iter().filter_map(|n| self.tries.get(*n)).collect();
        if tries.len() > 1 {
            return Err(format!("{target} got it in {} calls: {tries:?}", tries.len()));
        }
        // A light that shows otherwise is told in another form once more: see the driver.
        let most = |command: &str| if command == "blink" { 2 } else { 1 };
        if let Some((command, times)) = done.commands.iter().find(|(command, times)| **times > most(command))
        {
            return Err(format!("{target} executed {command} {times} times: {tries:?}"));
        }
        let settled = self.book.settled.get(&key).copied();
        let error = call["error"].as_str();
        let fate = match error {
            Some("ERR_OUTCOME_UNKNOWN") => Some(2),
            Some(_) => Some(1),
            None if call["result"]["success"] == true => Some(0),
            None => None,
        };
        if let Some(said) = settled {
            self.hits.insert("a call settled");
            let right = fate == ["ok", "failed", "unknown"].iter().position(|one| *one == said);
            return if right { Ok(fate) } else { Err(format!("{target} was settled as {said}: {call}")) };
        }
        let executed = !done.commands.is_empty();
        let code = error.and_then(|e| e.split([':', ' ']).next()).unwrap_or_default();
        self.hits.insert(match fate {
            Some(0) => "a call ok",
            Some(1) => "a call failed",
            Some(_) => "a call unknown",
            None => "a call never begun",
        });
        if fate == Some(1) && executed && !OPEN.contains(&code) {
            return Err(format!("{target} did it, and is told as failed: {call}, {done:?}"));
        }
        let reads = view["action"].as_str().is_some_and(|action| READS.contains(&action));
        let tried = self.tries.iter().any(|one| one.action == id && one.target == target);
        // Of a device that answers nothing by its nature and shows nothing at the moment nobody knows more than that it was
        // sent, and it is told as that.
        let silent = call["result"]["state"] == "sent" && call["receipt"]["reply"].is_null();
        let shows = silent || self.house.eyes.is_so(id, target);
        if fate == Some(0) && !executed && !reads && !shows && !self.lied(id, target) {
            return Err(format!("{target} is told as done, and did nothing (tried: {tried}): {call}"));
        }
        Ok(fate)
    }

    /// Whether the device took the call and may have lied about it.
    fn lied(&self, id: u64, target: &str) -> bool {
        let answered =
            |one: &&Try| one.action == id && one.target == target && one.told == Some(Told::Answered);
        self.book.hits.contains("a device lies about success") && self.tries.iter().any(|one| answered(&one))
    }

    /// Enough different people were for it before anything was sent.
    fn approved(&self, id: u64, view: &Value, first: Mono) -> Result<(), String> {
        let creator = view["votesPos"][0].as_str().unwrap_or_default();
        let push: Option<&Push> = self.book.pushes.get(&id);
        let by = push.map_or(creator, |push| push.who);
        let action = view["action"].as_str().unwrap_or_default();
        if push.is_some_and(|push| push.shed) || self.maybe_shed(id, view) {
            return Ok(());
        }
        let voted =
            self.book.votes.iter().filter(|vote| vote.id == id && vote.approve && vote.asked <= first);
        let mut people: BTreeSet<&str> = voted.map(|vote| vote.who).collect();
        let total = view["counts"]["total"].as_u64().unwrap_or(0);
        let mos = self.house.knobs.mos;
        let needed = match (mos, action) {
            (_, "setHostname") => THREE as usize,
            (true, "setUpfreqSpeed") => 2,
            (true, _) => 1,
            // Who moves the money does not approve it.
            (false, "setupPools") => 1,
            (false, "setLED" | "downloadLogs") => 1,
            (false, _) if total >= 10 => 2,
            (false, _) => 1,
        };
        if mos || action != "setupPools" {
            people.insert(by);
        } else {
            people.remove(by);
        }
        if people.len() < needed {
            return Err(format!("{people:?} were for it, and {needed} are needed for {total} things"));
        }
        Ok(())
    }

    /// Whether it may be load that was shed, of which nobody was told because the process died.
    fn maybe_shed(&self, id: u64, view: &Value) -> bool {
        let sleep = view["action"] == "setPowerMode" && view["params"][0] == "sleep";
        self.book.shed_untold && sleep && !self.book.pushes.contains_key(&id)
    }

    /// What was acknowledged is there.
    fn acknowledged(&self, views: &BTreeMap<u64, Value>) -> Result<(), String> {
        for (id, push) in &self.book.pushes {
            let view = views.get(id).ok_or_else(|| format!("the action {id} of {} is lost", push.who))?;
            if view["action"] != push.action {
                return Err(format!("{id} was {}, and is {}", push.action, view["action"]));
            }
        }
        for vote in self.book.votes.iter().filter(|vote| vote.acked) {
            let view = views.get(&vote.id).ok_or_else(|| format!("{vote:?} is for nothing"))?;
            let side = &view[if vote.approve { "votesPos" } else { "votesNeg" }];
            let there = side.as_array().is_some_and(|all| all.iter().any(|who| who == vote.who));
            let gone =
                self.book.withdrawn.contains(&(vote.id, vote.who)) || self.book.locked.contains(vote.who);
            if !there && !gone {
                return Err(format!("{vote:?} is lost: {side}"));
            }
        }
        match self.book.cancelled.iter().find(|id| views[*id]["status"] != "CANCELLED") {
            Some(id) => Err(format!("{id} was cancelled, and is {}", views[id]["status"])),
            None => Ok(()),
        }
    }

    /// Nothing was sent while the site was halted, but load that was shed.
    fn halted(&self) -> Result<(), String> {
        let shed = |id: u64| match self.book.pushes.get(&id) {
            Some(push) => push.shed,
            None => self.book.shed_untold,
        };
        for one in self.tries.iter().filter(|one| one.told != Some(Told::NotSent) && !shed(one.action)) {
            let during =
                |halt: &&super::ledger::Halt| one.at > halt.from && halt.to.is_none_or(|to| one.at < to);
            if let Some(halt) = self.book.halts.iter().find(during) {
                return Err(format!("{one:?} was sent during {halt:?}"));
            }
        }
        Ok(())
    }
}
