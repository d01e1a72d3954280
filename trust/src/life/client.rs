//! The client: asks, asks again after a crash, and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    devices::Devices,
    script::{Of, Script, Wish},
    verdict,
};

/// How long it waits before it looks again how actions stand, ms.
const LOOK_EVERY_MS: u64 = 15;
/// How often it asks again for what cannot be yet.
const TRIES: u32 = 60;
const SETTLED: [&str; 3] = ["ok", "failed", "unknown"];

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Actions have to end.
    Works,
    /// All ended; everything is looked at.
    Looks,
    /// It was.
    Done,
}

/// What a client was told.
#[derive(Debug, Default)]
pub struct Known {
    /// Ids of pushes.
    pub ids: BTreeMap<u64, u64>,
    /// Wishes that were granted.
    pub granted: Vec<Wish>,
    /// What it said became of calls, by action and target.
    pub settled: BTreeMap<(u64, String), &'static str>,
    /// Votes that it wanted back, by push and voter.
    pub withdrawn: BTreeSet<(u64, &'static str)>,
    /// How actions stand.
    pub list: Vec<Value>,
    /// The actions with their targets.
    pub views: BTreeMap<u64, Value>,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    script: Script,
    rng: fastrand::Rng,
    stage: Stage,
    asked: Option<(u64, Wish)>,
    /// When that was, ms.
    asked_at: u64,
    last: u64,
    not_before: u64,
    /// What it knows.
    pub known: Known,
    looked: BTreeSet<u64>,
    /// A push was asked for again.
    pub repeated: bool,
}

impl Client {
    /// Who wants what the script says.
    pub fn new(script: Script, seed: u64) -> Self {
        Self {
            script,
            rng: fastrand::Rng::with_seed(seed),
            stage: Stage::Works,
            asked: None,
            asked_at: 0,
            last: 0,
            not_before: 0,
            known: Known::default(),
            looked: BTreeSet::new(),
            repeated: false,
        }
    }

    /// The racks of a push; `None` for one that was never made.
    pub fn racks(&self, push: u64) -> Option<Option<&'static str>> {
        self.script.racks.get(&push).copied()
    }

    /// Whether all actions ended.
    pub fn works(&self) -> bool {
        self.stage == Stage::Works
    }

    /// Everything is looked at, from the start.
    pub fn looks_again(&mut self) {
        self.stage = Stage::Looks;
        self.script.wishes.clear();
        self.known.views.clear();
    }

    /// Whether all was looked at.
    pub fn done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// The next thing that it asks, at this moment (ms).
    pub fn ask(&mut self, now: u64, devices: &mut Devices) -> Result<Option<String>, String> {
        if self.asked.is_some() || now < self.not_before || self.stage == Stage::Done {
            return Ok(None);
        }
        let list = || Wish::new("list", Of::Site, "ann", Value::Null);
        let mut wish = self.script.wishes.pop_front().unwrap_or_else(list);
        let mut body = json!({
            "do": wish.what, "voter": wish.who, "authPerms": ["miner:rw", "actions:rw"], "query": {},
        });
        let id = match wish.of {
            Of::Push(push) => self.known.ids.get(&push).copied(),
            Of::Id(id) => Some(id),
            Of::Site => None,
        };
        if let (Some(all), Value::Object(more)) = (body.as_object_mut(), wish.body.clone()) {
            all.extend(more);
        }
        body["id"] = json!(id);
        match (wish.what, wish.of) {
            ("lift", _) => devices.halted = false,
            ("withdraw", Of::Push(push)) => drop(self.known.withdrawn.insert((push, wish.who))),
            _ => {}
        }
        self.repeated |= wish.what == "push" && wish.tries > 0;
        wish.tries += 1;
        self.last += 1;
        (self.asked, self.asked_at) = (Some((self.last, wish)), now);
        Ok(Some(format!("ask {} {body}", self.last)))
    }

    /// Since when the answer to a push is waited for, ms.
    pub fn pushing(&self) -> Option<u64> {
        self.asked.as_ref().filter(|(_, wish)| wish.what == "push").map(|_| self.asked_at)
    }

    /// Whoever was asked is gone.
    pub fn cut(&mut self) {
        if let Some((_, wish)) = self.asked.take() {
            self.script.wishes.push_front(wish);
        }
        self.not_before = 0;
    }

    /// An answer came.
    pub fn hear(&mut self, n: u64, answer: &Value, now: u64, devices: &mut Devices) -> Result<(), String> {
        let Some((_, wish)) = self.asked.take_if(|(asked, _)| *asked == n) else {
            return Err(format!("an answer to nothing: {answer}"));
        };
        if let Some(code) = answer["error"].as_str() {
            if !code.starts_with("ERR_") {
                return Err(format!("{} of {:?} got {code}: {}", wish.what, wish.of, answer["text"]));
            }
            if code == "ERR_ACTION_DECIDED" && wish.insists && wish.tries < TRIES {
                self.script.wishes.push_front(wish);
                self.not_before = now + 5;
            }
            return Ok(());
        }
        let told = &answer["ok"];
        match wish.what {
            "list" => return self.listed(told, now),
            "get" => return self.got(&wish, told, devices),
            "push" | "shed" => {
                let (Of::Push(push), Some(id)) = (wish.of, told.as_u64()) else {
                    return Err(format!("a push stored nothing: {answer}"));
                };
                if self.known.ids.insert(push, id).is_some_and(|other| other != id) {
                    return Err(format!("the push {push} was made twice"));
                }
            }
            "halt" => devices.halted = true,
            _ => {}
        }
        self.known.granted.push(wish);
        Ok(())
    }

    /// Sees how actions stand, and does what they wait for.
    fn listed(&mut self, told: &Value, now: u64) -> Result<(), String> {
        let actions = told["actions"].as_array().ok_or("no list")?;
        let mut wishes = Vec::new();
        let mut all_ended = true;
        for action in actions {
            let of = Of::Id(action["id"].as_u64().ok_or("an action without an id")?);
            let Of::Id(id) = of else { continue };
            let (status, counts) = (action["status"].as_str().unwrap_or_default(), &action["counts"]);
            let count = |name: &str| counts[name].as_u64().unwrap_or(0);
            let every_call = count("ok") + count("failed") + count("unknown") == count("total");
            match status {
                "INTERRUPTED" if every_call => wishes.push(Wish::new("get", of, "ann", Value::Null)),
                "PARTIAL" if count("unknown") > 0 && self.looked.insert(id) => {
                    wishes.push(Wish::new("get", of, "ann", Value::Null));
                }
                "APPROVED" | "EXECUTING" if action["held"] == true => {
                    wishes.push(Wish::new("resume", of, "ann", Value::Null));
                }
                _ => {}
            }
            let open = ["VOTING", "APPROVED", "EXECUTING", "INTERRUPTED"].contains(&status);
            all_ended &= !open;
            if self.stage == Stage::Looks && open {
                return Err(format!("{id} had ended, and is {status} again"));
            }
        }
        self.known.list.clone_from(actions);
        if self.stage == Stage::Looks {
            let view = |a: &Value| Some(Wish::new("get", Of::Id(a["id"].as_u64()?), "ann", Value::Null));
            self.script.wishes.extend(actions.iter().filter_map(view));
            if actions.is_empty() {
                return Err("no action is left".into());
            }
            return Ok(());
        }
        if all_ended && wishes.is_empty() {
            if told["stopped"] != 0 {
                return Err("a stop holds that was lifted".into());
            }
            self.stage = Stage::Looks;
        }
        self.script.wishes.extend(wishes);
        self.not_before = now + LOOK_EVERY_MS;
        Ok(())
    }

    /// Sees the calls of an action, and settles those of which nobody knows.
    fn got(&mut self, wish: &Wish, told: &Value, devices: &Devices) -> Result<(), String> {
        let Of::Id(id) = wish.of else { return Err("a view of nothing".into()) };
        if self.stage == Stage::Looks {
            self.known.views.insert(id, told.clone());
            if self.known.views.len() == self.known.list.len() {
                self.stage = Stage::Done;
            }
            return Ok(());
        }
        for (rack, target, call) in calls(told) {
            let key = (id, target.to_owned());
            if call["error"] != "ERR_OUTCOME_UNKNOWN" || self.known.settled.contains_key(&key) {
                continue;
            }
            let truth = devices.calls.get(&key);
            verdict::unknown(truth, devices.shows(target))
                .map_err(|e| format!("{target}: {e}: {truth:?}"))?;
            let done = truth.is_some_and(|truth| truth.done);
            let said = if self.rng.u8(..5) == 0 { SETTLED[2] } else { SETTLED[usize::from(!done)] };
            self.known.settled.insert(key, said);
            let body = json!({"rack": rack, "target": target, "settled": said});
            self.script.wishes.push_back(Wish::new("settle", Of::Id(id), "bob", body));
        }
        Ok(())
    }
}

/// The calls of a view: rack, target and what became of it.
pub fn calls(view: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let racks = view["targets"].as_object().into_iter().flatten();
    racks.flat_map(|(rack, part)| {
        let calls = part["calls"].as_array().into_iter().flatten();
        calls.map(move |call| (rack.as_str(), call["id"].as_str().unwrap_or_default(), call))
    })
}
