//! What people were told and saw of actions, and whether it still holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use headframe_core::{
    action::{
        ActionId, Engine, Pushed, Status, Stops,
        state::{Counts, Header},
    },
    audit::{Checkpoint, VerifierKey, verify_stored},
    store::Space,
};
use serde_json::{Value, json};

use super::{Answer, push_number};
use crate::{rig::needed, run::Case, site::person};

/// Something that was pushed.
#[derive(Debug, Clone)]
pub struct Push {
    pub who: &'static str,
    pub action: String,
    pub params: Vec<Value>,
    pub query: Value,
    /// What became of it; `None` while nobody knows.
    stored: Option<Option<ActionId>>,
}

impl Push {
    /// Nobody knows yet what becomes of it.
    pub fn new(who: &'static str, action: &str, params: Vec<Value>, query: Value) -> Self {
        Self { who, action: action.to_owned(), params, query, stored: None }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Told {
    verifier: VerifierKey,
    pushes: BTreeMap<u64, Push>,
    /// Headers as they were seen last.
    seen: BTreeMap<ActionId, Arc<Header>>,
    /// Fates that were seen of calls, by target.
    fates: BTreeMap<(ActionId, String), Value>,
    stops: Option<Arc<Stops>>,
    /// The last checkpoint of the audit log.
    checkpoint: Option<Checkpoint>,
    /// Votes that their people wanted back.
    withdrawn: BTreeSet<(ActionId, String)>,
    /// Calls of which people said what became of them, or tried to.
    settled: BTreeSet<(ActionId, String)>,
    /// Commands that devices had when a halt was acknowledged.
    halted: Option<usize>,
    /// Load was shed, and nobody knows whether that was recorded.
    shed_unrecorded: bool,
    /// A halt could not be kept: the engine holds it in memory, and only another one can be lifted.
    halt_failed: bool,
}

impl Told {
    /// Nobody was told anything; checkpoints are signed by this key.
    pub const fn new(verifier: VerifierKey) -> Self {
        Self {
            verifier,
            pushes: BTreeMap::new(),
            seen: BTreeMap::new(),
            fates: BTreeMap::new(),
            stops: None,
            checkpoint: None,
            withdrawn: BTreeSet::new(),
            settled: BTreeSet::new(),
            halted: None,
            shed_unrecorded: false,
            halt_failed: false,
        }
    }

    /// Takes note of what was told of a push.
    pub fn pushed(&mut self, n: u64, mut push: Push, answer: &Answer<Pushed>) -> Result<(), String> {
        let before = self.pushes.get(&n).and_then(|push| push.stored);
        push.stored = match answer {
            Answer::Yes(pushed) => Some(pushed.id),
            // What a refusal says is that nothing was stored; a store that failed says so too.
            Answer::Refused | Answer::Failed(_) => before.or(Some(None)),
            Answer::Unknown => before,
        };
        if let (Some(Some(old)), Some(new)) = (before, push.stored)
            && new != Some(old)
        {
            return Err(format!("the push {n} was {old} and is {new:?}"));
        }
        self.pushes.insert(n, push);
        Ok(())
    }

    /// Pushes of which nobody knows what became, and those that were told undone: they may be asked for again.
    pub fn doubtful(&self) -> Vec<(u64, Push)> {
        let doubtful = |push: &Push| !matches!(push.stored, Some(Some(_)));
        self.pushes.iter().filter(|(_, push)| doubtful(push)).map(|(n, push)| (*n, push.clone())).collect()
    }

    /// A vote was granted.
    pub fn voted(&mut self, id: ActionId, who: &str, now: &Arc<Header>) -> Result<(), String> {
        let who = person(who)?;
        if now.id != id || !now.votes.iter().any(|vote| vote.person == who) {
            return Err(format!("a vote for {id} was granted and is not in it"));
        }
        self.saw(now)
    }

    /// Somebody wants a vote back.
    pub fn withdraws(&mut self, id: ActionId, who: &str) -> Result<(), String> {
        self.withdrawn.insert((id, person(who)?.key().to_owned()));
        Ok(())
    }

    /// Somebody says what became of a call.
    pub fn settles(&mut self, id: ActionId, target: &str) {
        self.settled.insert((id, target.to_owned()));
    }

    /// Whether somebody did.
    pub fn is_settled(&self, id: ActionId, target: &str) -> bool {
        self.settled.contains(&(id, target.to_owned()))
    }

    /// Stops are about to change.
    pub fn stops_change(&mut self) {
        self.stops = None;
    }

    /// Stops are as the engine says.
    pub fn stops_are(&mut self, engine: &Engine) {
        self.stops = Some(engine.stops());
    }

    /// A halt was acknowledged when devices had so many commands, or may be lifted.
    pub fn halted(&mut self, received: Option<usize>) {
        self.halted = if received.is_some() { self.halted.or(received) } else { None };
    }

    /// A halt was asked for; whether the store kept it.
    pub const fn halt_kept(&mut self, kept: bool) {
        self.halt_failed = !kept;
    }

    /// Whether a halt holds in memory alone.
    pub const fn is_halt_unkept(&self) -> bool {
        self.halt_failed
    }

    /// How many commands devices had when a halt was acknowledged that holds.
    pub const fn since_halt(&self) -> Option<usize> {
        self.halted
    }

    /// Load was shed; without an id nobody knows what is recorded of it.
    pub fn shed(&mut self, id: Option<ActionId>) {
        self.shed_unrecorded |= id.is_none();
    }

    /// Whether commands may have no action.
    pub const fn may_be_unrecorded(&self) -> bool {
        self.shed_unrecorded
    }

    /// Whether a change of the site itself is under way, or may be.
    pub fn site_changes(&self) -> bool {
        let doubtful = |push: &Push| push.action.starts_with("set") && push.stored.is_none();
        self.pushes.values().any(doubtful)
            || self.seen.values().any(|h| h.order.action.starts_with("set") && h.ended_ms.is_none())
    }

    /// All headers that were seen.
    pub fn headers(&self) -> impl Iterator<Item = &Arc<Header>> {
        self.seen.values()
    }

    /// What the command of an action is, as devices write it down.
    pub fn wanted(&self, id: ActionId) -> Option<Value> {
        let header = self.seen.get(&id)?;
        Some(json!([header.order.action, header.order.params]))
    }

    /// Whether anything executes, and whether a call is under way.
    pub fn under_way(&self) -> (bool, bool) {
        let running = |h: &&Arc<Header>| matches!(h.status, Status::Executing | Status::Interrupted);
        let open = self.seen.values().any(|h| h.counts.open > 0);
        (self.seen.values().any(|h| running(&h)), open)
    }

    /// The calls of an action: rack, target, and what is shown of it.
    pub fn calls(&self, engine: &Engine, id: ActionId) -> Result<Vec<(String, String, Value)>, String> {
        let view = needed("an action cannot be seen", engine.get(id))?;
        let view = view.ok_or_else(|| format!("the action {id} is gone"))?.0;
        let mut all = Vec::new();
        for (rack, part) in view["targets"].as_object().into_iter().flatten() {
            for call in part["calls"].as_array().into_iter().flatten() {
                let target = call["id"].as_str().unwrap_or_default().to_owned();
                all.push((rack.clone(), target, call.clone()));
            }
        }
        Ok(all)
    }

    /// Looks at everything that can be seen. All of it is durable, so it may only go on from there.
    pub fn look(&mut self, engine: &Engine) -> Result<(), String> {
        for id in ids(engine) {
            // What is durable is not yet seen while its commit is being looked for.
            let Some(header) = engine.header(id) else { continue };
            let changed = self.seen.get(&id).is_none_or(|seen| seen.rev != header.rev);
            self.saw(&header)?;
            if changed && header.begun_ms.is_some() {
                for (_, target, call) in self.calls(engine, id)? {
                    self.fate(id, target, call)?;
                }
            }
        }
        let note = needed("no checkpoint", engine.checkpoint())?;
        let checkpoint = needed("no checkpoint", self.verifier.open(note.as_bytes()))?;
        self.checkpoint = (checkpoint.size() > 0).then_some(checkpoint);
        Ok(())
    }

    /// Somebody saw this header.
    pub fn saw(&mut self, header: &Arc<Header>) -> Result<(), String> {
        if let Some(before) = self.seen.get(&header.id) {
            if before.rev > header.rev {
                // An answer can be older than what was seen meanwhile.
                return Ok(());
            }
            self.follows(before, header)?;
        }
        self.seen.insert(header.id, Arc::clone(header));
        Ok(())
    }

    /// A fate is told once, and again only when a person said it.
    fn fate(&mut self, id: ActionId, target: String, call: Value) -> Result<(), String> {
        let told = json!([call["result"], call["error"]]);
        if told == json!([null, null]) {
            return match self.fates.get(&(id, target)) {
                Some(before) => Err(format!("a call of {id} was {before} and is nothing")),
                None => Ok(()),
            };
        }
        let settled = self.is_settled(id, &target);
        let key = (id, target);
        if let Some(before) = self.fates.get(&key)
            && *before != told
            && !settled
        {
            return Err(format!("a call of {id} to {} was {before} and is {told}", key.1));
        }
        self.fates.insert(key, told);
        Ok(())
    }

    /// Whether an action can have become what it is.
    fn follows(&self, old: &Header, new: &Header) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("action {}: {what}: {old:?} and then {new:?}", new.id));
        if old.rev > new.rev {
            return wrong("what was seen is lost");
        }
        if old.rev == new.rev && old != new {
            return wrong("the same revision is something else");
        }
        if old.order != new.order || old.digest != new.digest || old.batch != new.batch {
            return wrong("what was pushed changed");
        }
        let back = |vote: &headframe_core::action::state::Vote| {
            self.withdrawn.contains(&(new.id, vote.person.key().to_owned()))
        };
        let kept = |vote: &&headframe_core::action::state::Vote| new.votes.contains(vote) || back(vote);
        if !old.votes.iter().all(|vote| kept(&vote)) {
            return wrong("a vote is lost");
        }
        let is_final = |s: Status| matches!(s, Status::Denied | Status::Cancelled | Status::Expired);
        if (is_final(old.status) && new.status != old.status) || rank(new.status) < rank(old.status) {
            return wrong("it goes back");
        }
        let Counts { total, ok, failed, .. } = old.counts;
        let fewer =
            new.counts.ok < ok || new.counts.failed < failed || new.counts.ended() < old.counts.ended();
        if new.counts.total != total || fewer {
            return wrong("calls are lost");
        }
        Ok(())
    }

    /// Everything that was told and seen, against what a new engine shows.
    pub fn found(&mut self, case: &mut Case, engine: &Engine) -> Result<(), String> {
        let seen: Vec<_> = self.seen.values().cloned().collect();
        for old in &seen {
            let new = engine.header(old.id).ok_or_else(|| format!("the action {} is lost", old.id))?;
            if old.rev > new.rev {
                return Err(format!(
                    "action {}: revision {} was seen, {} is there",
                    old.id, old.rev, new.rev
                ));
            }
            let was_open = old.counts.open > 0;
            case.hit_if(was_open && new.counts.open == 0, "reconciled after a cut");
            case.hit_if(new.counts.lost > old.counts.lost, "nobody knows after a cut");
        }
        if let Some(stops) = &self.stops {
            let there = engine.stops();
            if **stops != *there {
                return Err(format!("stops were {stops:?} and are {there:?}"));
            }
            case.hit_if(stops.iter().next().is_some(), "stops hold over a cut");
        }
        let checkpoints: Vec<Checkpoint> = self.checkpoint.iter().cloned().collect();
        needed("the audit log is not the one that was seen", verify_stored(engine.store(), &checkpoints))?;
        self.look(engine)?;
        // What nobody waited for is known now.
        self.stops_are(engine);
        self.pushes_are_there()?;
        self.site_is_as_told(engine)
    }

    /// Every push is there once, or not at all where that was told.
    fn pushes_are_there(&mut self) -> Result<(), String> {
        let mut found: BTreeMap<u64, ActionId> = BTreeMap::new();
        for header in self.seen.values().filter(|h| !h.order.action.starts_with("set")) {
            let n = push_number(header).ok_or_else(|| format!("nobody pushed {}", header.id))?;
            if let Some(other) = found.insert(n, header.id) {
                return Err(format!("the push {n} became {other} and {}", header.id));
            }
        }
        for (n, push) in self.pushes.iter_mut().filter(|(_, push)| !push.action.starts_with("set")) {
            let there = found.remove(n);
            match (push.stored, there) {
                (Some(Some(id)), there) if there != Some(id) => {
                    return Err(format!("the push {n} was acknowledged as {id} and is lost"));
                }
                (Some(None), Some(id)) => return Err(format!("the push {n} was told undone and is {id}")),
                (None, None) => push.stored = Some(None),
                (None, Some(id)) => push.stored = Some(Some(id)),
                _ => {}
            }
            if let Some(header) = there.and_then(|id| self.seen.get(&id))
                && (header.order.creator != person(push.who)? || header.order.query != push.query)
            {
                return Err(format!("the push {n} is not what it was"));
            }
        }
        match found.first_key_value() {
            Some((n, id)) => Err(format!("nobody asked for the push {n}, which is {id}")),
            None => Ok(()),
        }
    }

    /// Of a push that was told undone nothing is there, as far as can be read.
    pub fn undone(&self, engine: &Engine) -> Result<(), String> {
        for header in ids(engine).into_iter().filter_map(|id| engine.header(id)) {
            let push = push_number(&header).and_then(|n| self.pushes.get(&n));
            if push.is_some_and(|push| push.stored == Some(None)) && !header.order.action.starts_with("set") {
                return Err(format!("a push was told undone and is {}", header.id));
            }
        }
        Ok(())
    }

    /// Policy and limits are those of the last action that changed them.
    fn site_is_as_told(&mut self, engine: &Engine) -> Result<(), String> {
        for push in self.pushes.values_mut().filter(|push| push.action.starts_with("set")) {
            let there = self
                .seen
                .values()
                .find(|h| h.order.action.as_str() == push.action && h.order.params == push.params);
            let there = there.map(|header| header.id);
            if let Some(Some(id)) = push.stored.filter(|stored| *stored != there) {
                return Err(format!("the change {id} of the site was acknowledged and is lost"));
            }
            push.stored = Some(there);
        }
        for (action, key) in [("setPolicy", "action.policy"), ("setLimits", "action.limits")] {
            let last = self.seen.values().rfind(|h| h.order.action.as_str() == action && h.counts.ok == 1);
            let Some(last) = last else { continue };
            let held = engine.store().get_record(Space::Settings, key);
            let held = held.and_then(|record| record.parse::<Value>().ok()).unwrap_or_default();
            let later = |h: &Header| h.order.action.as_str() == action && h.id >= last.id;
            let wanted: Vec<&Value> =
                self.seen.values().filter(|h| later(h)).filter_map(|h| h.order.params.first()).collect();
            if !wanted.contains(&&held) {
                return Err(format!("{action} of {} was done, and {key} is {held}", last.id));
            }
        }
        Ok(())
    }
}

/// The actions in the store.
pub fn ids(engine: &Engine) -> Vec<ActionId> {
    let records = engine.store().scan(Space::Actions, .., usize::MAX);
    records.iter().filter_map(|record| record.key.as_str().parse().ok().map(ActionId::new)).collect()
}

/// What cannot be left for something lower.
const fn rank(status: Status) -> u8 {
    match status {
        Status::Voting => 0,
        Status::Approved => 1,
        Status::Executing | Status::Interrupted => 2,
        _ => 3,
    }
}
