use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};

use crate::{
    Error, Result,
    action::{
        ActionId, Bucket, Claims, Person, Status,
        hex::hex,
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
    pub order: Fixed,
    /// SHA-256 over the order as it is stored: what a vote is for.
    pub digest: Digest,
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
    pub fn new(id: ActionId, order: Fixed, total: u32) -> Self {
        Self {
            id,
            batch: None,
            digest: order.digest(),
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

    /// Whether it ended before that, ms, and nothing of it can change any more: what became of a call of which nobody knows,
    /// somebody may still say.
    pub(in crate::action) fn is_over_since(&self, before: i64) -> bool {
        self.status.bucket() == Bucket::Done
            && self.counts.unknown == 0
            && self.ended_ms.is_some_and(|ended| ended < before)
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
}

/// An order in the bytes in which it was stored first. They are what its digest is over, so they are kept: a number that is
/// read and written again can differ.
#[derive(Clone)]
pub struct Fixed(Arc<(Order, Box<RawValue>)>);

impl Fixed {
    /// Fixes an order.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it cannot be written as JSON.
    pub fn new(order: Order) -> Result<Self> {
        let raw = serde_json::value::to_raw_value(&order)
            .map_err(|e| Error::invalid("action.order", "order", "cannot be written as JSON").caused_by(e))?;
        Ok(Self(Arc::new((order, raw))))
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        Digest(hex(&Sha256::digest(self.0.1.get())).into())
    }
}

impl std::ops::Deref for Fixed {
    type Target = Order;

    fn deref(&self) -> &Order {
        &self.0.0
    }
}

impl PartialEq for Fixed {
    fn eq(&self, other: &Self) -> bool {
        self.0.1.get() == other.0.1.get()
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

impl Serialize for Fixed {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.1.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let order = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Self(Arc::new((order, raw))))
    }
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
