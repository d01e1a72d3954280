//! What the client wants, in its order.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::act::{ONE, RACKS, SHORT, TWO};

/// One wish. It is repeated until it is answered.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What is asked for.
    pub what: &'static str,
    /// Of which push, by its number; or of which action, by its id.
    pub of: Of,
    /// Who asks.
    pub who: &'static str,
    /// What else is said.
    pub body: Value,
    /// Whether it is asked for again when the action is not so far yet.
    pub insists: bool,
    /// How often it was asked for.
    pub tries: u32,
}

/// What a wish is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// No action.
    Site,
    /// The action of a push.
    Push(u64),
    /// An action.
    Id(u64),
}

impl Wish {
    /// `who` asks for `what`.
    pub fn new(what: &'static str, of: Of, who: &'static str, body: Value) -> Self {
        Self { what, of, who, body, insists: false, tries: 0 }
    }

    fn insisting(mut self) -> Self {
        self.insists = true;
        self
    }
}

/// A client's wishes, and which rack each push is for: all of them where it is none.
#[derive(Debug, Default)]
pub struct Script {
    /// The wishes.
    pub wishes: VecDeque<Wish>,
    /// The racks.
    pub racks: BTreeMap<u64, Option<&'static str>>,
}

/// The number of the push that sheds load.
const LOAD: u64 = 0;

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Everything {
    /// A part.
    No,
    /// All of it.
    Yes,
    /// All of it, but perhaps not what takes long: an action that runs out.
    Brief,
}

impl Script {
    /// A script of everything that can be asked for, or of a part of it.
    pub fn of(rng: &mut fastrand::Rng, everything: Everything) -> Self {
        let mut script = Self::default();
        script.push(1, TWO, None);
        if everything == Everything::Yes || rng.u8(..5) == 0 {
            script.short();
        }
        let mut some = || everything != Everything::No || rng.u8(..5) < 2;
        if some() {
            let rack = Some(RACKS[0]);
            script.push(2, TWO, rack);
            script.wish("cancel", Of::Push(2), "ann", Value::Null);
            script.push(3, TWO, rack);
            script.vote(3, "carol", false);
        }
        script.vote(1, "bob", true);
        if some() {
            script.wish("pause", Of::Push(1), "carol", Value::Null);
            script.wish("resume", Of::Push(1), "bob", Value::Null);
        }
        if some() {
            script.push(4, ONE, Some(RACKS[1]));
            script.wishes.push_back(Wish::new("stop", Of::Push(4), "bob", Value::Null).insisting());
        }
        for (stop, kind) in [("freeze", "freeze"), ("halt", "halt")] {
            if some() {
                let scope = json!({"scope": {"kind": kind}});
                script.wish(stop, Of::Site, "carol", scope.clone());
                script.wish("lift", Of::Site, "ann", scope.clone());
                script.wish("lift", Of::Site, "bob", scope);
            }
        }
        if some() {
            script.racks.insert(LOAD, Some(RACKS[2]));
            script.wish("shed", Of::Push(LOAD), "carol", json!({"query": {"rack": RACKS[2]}}));
        }
        if some() {
            script.push(5, ONE, Some(RACKS[0]));
        }
        script
    }

    /// An action that runs out, with a vote that is taken back.
    fn short(&mut self) {
        self.push(6, SHORT, None);
        self.vote(6, "bob", true);
        self.wish("withdraw", Of::Push(6), "bob", Value::Null);
    }

    fn wish(&mut self, what: &'static str, of: Of, who: &'static str, body: Value) {
        self.wishes.push_back(Wish::new(what, of, who, body));
    }

    fn push(&mut self, n: u64, action: &str, rack: Option<&'static str>) {
        self.racks.insert(n, rack);
        let query = rack.map_or_else(|| json!({}), |rack| json!({"rack": rack}));
        let body = json!({"action": action, "params": [n], "query": query, "clientKey": format!("push-{n}")});
        self.wish("push", Of::Push(n), "ann", body);
    }

    fn vote(&mut self, n: u64, who: &'static str, approve: bool) {
        let body = json!({"approve": approve, "clientKey": format!("vote-{n}-{who}")});
        self.wish("vote", Of::Push(n), who, body);
    }
}
