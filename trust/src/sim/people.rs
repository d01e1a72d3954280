//! What people do.

use std::{sync::Arc, time::Duration};

use headframe_core::{Error, io::Ctx};
use serde_json::{Value, json};

use super::{
    OPERATORS,
    desk::{Desk, PEOPLE},
    house::Fact,
    ledger::{Halt, Ledger, Push, Vote},
    queries,
    trace::Trace,
};

/// What people push, with its parameters.
pub const ACTIONS: [&str; 11] = [
    "setLED",
    "setPowerMode",
    "setupPools",
    "reboot",
    "suspendMining",
    "resumeMining",
    "setHostname",
    "setPowerLimit",
    "restartMinerSoftware",
    "setPowerPct",
    "downloadLogs",
];

/// Somebody at the site. Clones are other people at the same one.
#[derive(Debug, Clone)]
pub struct Crew {
    /// How they speak.
    pub desk: Desk,
    /// What they know.
    pub ledger: Ledger,
    /// Their clock.
    pub cx: Ctx,
    /// Where it is noted.
    pub trace: Trace,
    /// The things.
    pub facts: Arc<Vec<Fact>>,
}

/// Parameters of an action.
pub fn params(rng: &mut fastrand::Rng, action: &str) -> Value {
    match action {
        "setLED" => json!([rng.bool()]),
        "setPowerMode" => {
            let mode = ["sleep", "low", "normal"][rng.usize(..3)];
            json!([mode])
        }
        "setupPools" => json!([{"config": {"id": "pool-1", "poolUrls": [
            {"url": format!("stratum+tcp://p{}.example:3333", rng.u8(..3)), "workerName": "site", "workerPassword": "w"},
        ]}}]),
        "setHostname" => json!([format!("h{}", rng.u8(..5))]),
        "setPowerLimit" => json!([3000 + 100 * rng.u32(..4)]),
        "setPowerPct" => json!([80 + rng.u32(..20)]),
        _ => json!([]),
    }
}

impl Crew {
    /// One call, with its answer noted.
    pub async fn call(&self, who: &str, method: &str, body: Value) -> Result<Value, Error> {
        let now = || self.cx.clock.mono();
        self.trace.note(now(), method, format!("{who} {body}").as_bytes());
        let told = self.desk.call(who, method, body).await;
        match &told {
            Ok(value) => self.trace.note(now(), "answered", value.to_string().as_bytes()),
            Err(e) => {
                self.trace.note(now(), "refused", format!("{} {}", e.code(), e.message()).as_bytes());
                *self.ledger.book().codes.entry(e.code().to_owned()).or_default() += 1;
            }
        }
        told
    }

    /// Pushes an action on the things that an operator finds.
    pub async fn push(
        &self,
        who: &'static str,
        action: &'static str,
        params: Value,
        (operator, k): (usize, u32),
    ) -> Option<u64> {
        let (_, query, is) = &OPERATORS[operator];
        let body = json!({"query": query(k), "action": action, "params": params, "why": "simulated"});
        let told = self.call(who, "pushAction", body).await.ok()?;
        self.pushed(who, action, false, &told, |fact| is(k, fact))
    }

    fn pushed(
        &self,
        who: &'static str,
        action: &'static str,
        shed: bool,
        told: &Value,
        is: impl Fn(&Fact) -> bool,
    ) -> Option<u64> {
        let id = told["id"].as_u64()?;
        let things = self.facts.iter().filter(|fact| is(fact)).map(|fact| fact.id.clone()).collect();
        let mut book = self.ledger.book();
        book.hits.insert(action);
        if book.pushes.insert(id, Push { who, action, shed, things }).is_some() {
            book.wrong.push(format!("two pushes got the id {id}"));
        }
        Some(id)
    }

    /// Votes.
    pub async fn vote(&self, who: &'static str, id: u64, approve: bool) -> Result<Value, Error> {
        let asked = self.cx.clock.mono();
        let at = {
            let mut book = self.ledger.book();
            book.votes.push(Vote { id, who, approve, asked, acked: false });
            book.votes.len() - 1
        };
        let told = self.call(who, "voteAction", json!({"id": id, "approve": approve})).await;
        if told.is_ok() {
            let mut book = self.ledger.book();
            book.votes[at].acked = true;
            book.hits.insert(if approve { "voted for" } else { "voted against" });
        }
        told
    }

    /// Takes a vote back.
    pub async fn withdraw(&self, who: &'static str, id: u64) {
        self.ledger.book().withdrawn.insert((id, who));
        if self.call(who, "withdrawVote", json!({"id": id})).await.is_ok() {
            self.ledger.hit("withdrawn");
        }
    }

    /// Cancels an action as whoever pushed it.
    pub async fn cancel(&self, id: u64) {
        let who = self.ledger.book().pushes.get(&id).map_or("ann", |push| push.who);
        let told = self.call(who, "cancelActionsBatch", json!({"ids": [id]})).await;
        if told.is_ok_and(|told| told[0]["success"] == true) {
            let mut book = self.ledger.book();
            book.cancelled.insert(id);
            book.hits.insert("cancelled");
        }
    }

    /// Holds an action, lets it go on, or ends it early.
    pub async fn hold(&self, who: &str, id: u64, method: &'static str) -> bool {
        let done = self.call(who, method, json!({"id": id})).await.is_ok();
        if done {
            self.ledger.hit(method);
        }
        done
    }

    /// Halts the site.
    pub async fn halt(&self) -> bool {
        let told = self.call("dan", "haltSite", json!({"why": "smoke"})).await;
        let from = self.cx.clock.mono();
        let mut book = self.ledger.book();
        if told.is_err() {
            book.half_halted = true;
            return false;
        }
        book.half_halted = false;
        book.hits.insert("halted");
        book.halts.push(Halt { from, to: None, lifts: 0 });
        true
    }

    /// Wants a stop lifted.
    pub async fn lift(&self, who: &str, scope: Value) -> bool {
        if scope["kind"] == "halt" {
            let now = self.cx.clock.mono();
            let mut book = self.ledger.book();
            if let Some(halt) = book.halts.last_mut().filter(|halt| halt.to.is_none()) {
                halt.lifts += 1;
                halt.to = (halt.lifts > 1).then_some(now);
            }
        }
        let told = self.call(who, "liftStop", json!({"scope": scope})).await;
        let lifted = told.is_ok_and(|told| told["lifted"] == true);
        if lifted {
            self.ledger.hit("lifted");
        }
        lifted
    }

    /// Stops something and has it lifted by two people after a while.
    pub async fn stop_for(&self, scope: Value, time: Duration) {
        let halt = scope["kind"] == "halt";
        let stopped = if halt {
            self.halt().await
        } else {
            if let Some(person) = scope["of"].as_str().filter(|_| scope["kind"] == "person") {
                self.ledger.book().locked.insert(person.to_owned());
            }
            self.call("dan", "stopScope", json!({"scope": scope})).await.is_ok()
        };
        if !stopped {
            return;
        }
        self.ledger.hit(if halt { "halted" } else { "locked" });
        self.pass(time).await;
        self.lift("bob", scope.clone()).await;
        self.pass(time / 4).await;
        self.lift("cat", scope).await;
    }

    /// Sheds load.
    pub async fn shed(&self, who: &'static str, (operator, k): (usize, u32), kw_per_s: u32) {
        let (_, query, is) = &OPERATORS[operator];
        let body = json!({"query": query(k), "why": "the grid asks", "kwPerS": kw_per_s});
        let told = std::mem::replace(&mut self.ledger.book().shed_untold, true);
        let answer = self.call(who, "shedLoad", body).await;
        if answer.is_ok() {
            self.ledger.book().shed_untold = told;
        }
        if let Ok(told) = answer
            && self.pushed(who, "setPowerMode", true, &told, |fact| is(k, fact)).is_some()
        {
            self.ledger.hit("shed");
        }
    }

    /// Says what became of every call of which nobody knows.
    pub async fn settle(&self, id: u64, view: &Value) {
        let racks = view["targets"].as_object().into_iter().flatten();
        for (rack, part) in racks {
            for call in part["calls"].as_array().into_iter().flatten() {
                let Some(target) = call["id"].as_str().filter(|_| call["error"] == "ERR_OUTCOME_UNKNOWN")
                else {
                    continue;
                };
                let said = ["ok", "failed", "unknown"][(id as usize + target.len()) % 3];
                let body = json!({"id": id, "rackId": rack, "thingId": target, "settled": said});
                if self.call("bob", "settleCall", body).await.is_ok() {
                    let mut book = self.ledger.book();
                    book.settled.insert((id, target.to_owned()), said);
                    book.hits.insert("settled");
                }
            }
        }
    }

    /// Asks for things, and compares.
    pub async fn ask(&self, operator: usize, k: u32) {
        let row = &OPERATORS[operator];
        let body = json!({"query": (row.1)(k), "fields": {"id": 1}, "limit": 1000});
        match self.call("ann", "listThings", body).await {
            Ok(answer) => {
                let judged = queries::judge(row, k, &self.facts, &answer);
                let mut book = self.ledger.book();
                book.hits.insert(row.0);
                book.wrong.extend(judged.err());
            }
            Err(e) => self.ledger.book().wrong.push(format!("{} is refused: {e}", row.0)),
        }
    }

    /// Looks through the lists of actions.
    pub async fn list(&self) {
        let queries = json!({"queries": [{"type": "voting"}, {"type": "ready"}, {"type": "executing"}]});
        if self.call("ann", "queryActions", queries).await.is_ok() {
            self.ledger.hit("queryActions");
        }
    }

    /// Somebody without rights tries.
    pub async fn outsider(&self, id: Option<u64>) {
        // In MiningOS's way rights come with the call: there everybody whom the gateway lets in has them.
        if self.desk.gateway {
            return;
        }
        let eve = PEOPLE[4];
        let Some(id) = id else { return };
        let vote = self.call(eve, "voteAction", json!({"id": id, "approve": true})).await;
        let mut book = self.ledger.book();
        if vote.is_ok() {
            book.wrong.push(format!("a vote of somebody without rights counts for {id}"));
        }
        book.hits.insert("an outsider");
    }

    /// Time passes.
    pub async fn pass(&self, time: Duration) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + time).await;
    }
}
