use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    action::{
        ActionId, Claims, Person, Status,
        policy::{ActionClass, Sums, Terms},
    },
    model::{RackId, Text},
};

/// SHA-256 over what a vote is for: action, parameters, targets, terms. 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub(in crate::action) Text);

impl Digest {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One action: everything about it but its targets and what became of each, which stand in records of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its identity.
    pub id: ActionId,
    /// `<ms>-<uid>[-<suffix>]` of the batch that it was pushed in.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "batchActionUID")]
    pub batch: Option<Text>,
    /// What is to be done; never changed.
    pub order: Order,
    /// Where it stands.
    pub status: Status,
    /// The votes that count or counted, in their order. The creator's stands first.
    pub votes: Vec<Vote>,
    /// How its calls stand.
    pub counts: Counts,
    /// Why nothing more of it is sent at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// When the decision fell, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_ms: Option<i64>,
    /// When execution began, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_ms: Option<i64>,
    /// When it ended, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// How often it was changed.
    pub rev: u64,
}

impl Header {
    /// An action without a vote, of so many calls.
    pub fn new(id: ActionId, order: Order, total: u32) -> Self {
        Self {
            id,
            batch: None,
            order,
            status: Status::Voting,
            votes: Vec::new(),
            counts: Counts { total, ..Counts::default() },
            hold: None,
            decided_ms: None,
            begun_ms: None,
            ended_ms: None,
            rev: 1,
        }
    }
}

/// What an action is for. A vote is bound to it by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The action's name.
    pub action: Text,
    /// Its parameters, secrets sealed.
    pub params: Vec<Value>,
    /// The question that chose the targets.
    pub query: Value,
    /// Who pushed it.
    pub creator: Person,
    /// The rights that the push claimed, where claims are what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// The families of its targets.
    pub families: Vec<Text>,
    /// Its racks, in the order of their ids; the calls of each stand one after the other.
    pub racks: Vec<RackCalls>,
    /// SHA-256 of the rows of its targets.
    pub targets: Text,
    /// What is asked before it may be done.
    pub terms: Terms,
    /// It sheds load: begun by one person, paced, and stopped by no stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<Ramp>,
    /// Its class.
    pub class: ActionClass,
    /// How much it touches.
    pub size: Sums,
    /// When it was pushed, ms.
    pub pushed_ms: i64,
    /// SHA-256 over all of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// How fast load is shed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ramp {
    /// At most so many kW in each second.
    pub kw_per_s: f64,
}

impl Order {
    /// The rack of the call at this place.
    pub fn rack_of(&self, n: u32) -> Option<&RackId> {
        let mut first = 0_u32;
        self.racks.iter().find_map(|rack| {
            first = first.saturating_add(rack.calls);
            (n < first).then_some(&rack.id)
        })
    }
}

/// What an action does in one rack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RackCalls {
    /// The rack.
    pub id: RackId,
    /// How many calls.
    pub calls: u32,
    /// How many things fell out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub excluded: u32,
    /// Why it fell out as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// Who.
    pub person: Person,
    /// For or against.
    pub approve: bool,
    /// When, ms.
    pub ts: i64,
    /// What the person said to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Text>,
    /// The rights that came with the vote, where claims are what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// Whether it counts: votes of programs do not.
    pub counts: bool,
    /// Which factors of the terms the person can stand for, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<bool>,
}

/// How an action's calls stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Journalled as about to be sent, without an outcome.
    pub open: u32,
    /// Ended well.
    pub ok: u32,
    /// Ended without effect.
    pub failed: u32,
    /// Ended, and nobody can say how.
    pub unknown: u32,
    /// Of these, those whose fate was lost in a crash and for which a person is waited for.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u32,
}

impl Counts {
    /// Calls that never began.
    pub const fn waiting(&self) -> u32 {
        self.total.saturating_sub(self.open).saturating_sub(self.ended())
    }

    /// Calls that ended, in whatever way.
    pub const fn ended(&self) -> u32 {
        self.ok.saturating_add(self.failed).saturating_add(self.unknown)
    }
}

/// Why nothing more of an action is sent at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who held it.
    pub by: Text,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Text>,
    /// Since when, ms.
    pub since: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}
