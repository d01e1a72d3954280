//! What keeps actions from going on, whatever was approved. Beginning one takes nobody's vote; lifting it takes two
//! people.

use serde::{Deserialize, Serialize};

use super::{Person, state::Order};
use crate::{
    Error, ErrorKind, Result,
    model::{RackId, Text},
};

/// Most stops at a time.
const MOST: usize = 1_000;

/// What is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "of")]
#[non_exhaustive]
pub enum StopScope {
    /// Everything: no call begins any more, of running actions neither. What was sent is not taken back, and no power is
    /// changed.
    Halt,
    /// No action begins; those that run go on.
    Freeze,
    /// A person: no push and no vote counts, and no call of an action that the person pushed begins.
    Person(Person),
    /// A rack: no call to it begins.
    Rack(RackId),
}

impl StopScope {
    /// What beginning it is called in the audit log.
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Freeze => "freeze",
            Self::Person(_) | Self::Rack(_) => "lock",
        }
    }
}

/// A stop that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// What is stopped.
    pub scope: StopScope,
    /// Who began it.
    pub by: Person,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Text>,
    /// Since when, ms.
    pub since: i64,
    /// Who wants it lifted. Two people lift it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifts: Vec<Person>,
}

/// All stops that hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stops(Vec<Stop>);

/// People that it takes to lift a stop.
pub const LIFTERS: usize = 2;

impl Stops {
    pub(super) const KEY: &'static str = "action.stops";

    /// One by one, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Stop> {
        self.0.iter()
    }

    /// Whether a stop of this scope holds.
    pub fn holds(&self, scope: &StopScope) -> bool {
        self.0.iter().any(|stop| stop.scope == *scope)
    }

    /// The latest time in it, ms.
    pub(super) fn since(&self) -> i64 {
        self.0.iter().map(|stop| stop.since).max().unwrap_or_default()
    }

    /// Begins one; one that holds already stays as it is, with all wishes to lift it struck out.
    pub(super) fn begin(&mut self, stop: Stop) -> Result<()> {
        if let Some(held) = self.0.iter_mut().find(|held| held.scope == stop.scope) {
            held.lifts.clear();
            return Ok(());
        }
        if self.0.len() >= MOST {
            let why = "there are 1,000 stops already: lift some, or halt the site";
            return Err(Error::new(ErrorKind::Conflict, "action.stop", why).code_as("ERR_TOO_MANY_STOPS"));
        }
        self.0.push(stop);
        Ok(())
    }

    /// Adds a wish to lift one; gives whether it is lifted now.
    pub(super) fn lift(&mut self, scope: &StopScope, person: &Person) -> Result<bool> {
        let missing = || {
            let e = Error::new(ErrorKind::NotFound, "action.lift", "no such stop holds");
            e.code_as("ERR_STOP_NOT_FOUND")
        };
        let at = self.0.iter().position(|stop| stop.scope == *scope).ok_or_else(missing)?;
        let stop = self.0.get_mut(at).ok_or_else(missing)?;
        if stop.scope == StopScope::Person(person.clone()) {
            let e = Error::new(ErrorKind::Forbidden, "action.lift", "nobody unlocks himself");
            return Err(e.code_as("ERR_LOCKED"));
        }
        if stop.lifts.contains(person) {
            let e = Error::new(ErrorKind::Conflict, "action.lift", "this person wants it lifted already");
            return Err(e.code_as("ERR_VOTER_EXISTS"));
        }
        stop.lifts.push(person.clone());
        if stop.lifts.len() < LIFTERS {
            return Ok(false);
        }
        self.0.remove(at);
        Ok(true)
    }

    /// Why no action of this order may begin.
    pub(super) fn against(&self, order: &Order) -> Option<String> {
        let stopped = |stop: &&Stop| match &stop.scope {
            StopScope::Halt | StopScope::Freeze => true,
            StopScope::Person(person) => order.creator == *person,
            StopScope::Rack(_) => false,
        };
        self.0.iter().find(stopped).map(Stop::text)
    }

    /// Why this call of a running action may not begin.
    pub(super) fn against_call(&self, order: &Order, n: u32) -> Option<String> {
        let stopped = |stop: &&Stop| match &stop.scope {
            StopScope::Halt => true,
            StopScope::Freeze => false,
            StopScope::Person(person) => order.creator == *person,
            StopScope::Rack(rack) => order.rack_of(n) == Some(rack),
        };
        self.0.iter().find(stopped).map(Stop::text)
    }

    /// Refuses a person that is locked.
    pub(super) fn admit(&self, person: &Person) -> Result<()> {
        if !self.holds(&StopScope::Person(person.clone())) {
            return Ok(());
        }
        let e = Error::new(ErrorKind::Forbidden, "action", "this person is locked");
        Err(e.code_as("ERR_LOCKED"))
    }
}

impl Stop {
    fn text(&self) -> String {
        let what = match &self.scope {
            StopScope::Halt => "the site is halted".to_owned(),
            StopScope::Freeze => "actions are frozen".to_owned(),
            StopScope::Person(person) => format!("{} is locked", person.shown()),
            StopScope::Rack(rack) => format!("the rack {rack} is locked"),
        };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{what} by {}{why}", self.by.shown())
    }
}
