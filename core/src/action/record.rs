//! The records of an action beside its header: target rows, which never change, and journal rows, which are only
//! added.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use std::sync::Arc;

use super::{ActionId, Before, Excluded, fleet::Pick, hex::hex};
use crate::{
    Result,
    driver::{Identity, Observed},
    model::{Command, RackId, Receipt, Text},
    store::{Batch, ControlStore, Expect, Key, Space},
};

/// The JSON text of a record.
pub(super) type Json = Arc<[u8]>;

/// How many calls or excluded things one row holds.
const ROW: usize = 500;

/// Targets of one rack that stand together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TargetRow {
    pub rack: Option<RackId>,
    /// Place of its first call in the action.
    pub first: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<TargetCall>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<Excluded>,
}

/// One call as it was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TargetCall {
    pub id: Text,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
}

impl From<Pick> for TargetCall {
    fn from(pick: Pick) -> Self {
        Self { id: pick.id, tags: pick.tags, power_w: pick.power_w }
    }
}

/// The rows of a rack's targets; calls first.
pub(super) fn rows(
    rack: &RackId,
    first: u32,
    calls: Vec<TargetCall>,
    excluded: Vec<Excluded>,
) -> Vec<TargetRow> {
    let mut out = Vec::new();
    let mut at = first;
    let mut calls = calls.into_iter().peekable();
    while calls.peek().is_some() {
        let part: Vec<TargetCall> = calls.by_ref().take(ROW).collect();
        let next = at.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
        out.push(TargetRow { rack: Some(rack.clone()), first: at, calls: part, excluded: Vec::new() });
        at = next;
    }
    for part in excluded.chunks(ROW) {
        let excluded = part.to_vec();
        out.push(TargetRow { rack: Some(rack.clone()), first: at, calls: Vec::new(), excluded });
    }
    out
}

/// The text of target rows, and its fingerprint.
pub(super) fn pack(rows: &[TargetRow]) -> Result<(Vec<Json>, Text)> {
    let mut hash = Sha256::new();
    let mut packed = Vec::with_capacity(rows.len());
    for row in rows {
        let json = Batch::json(Space::Targets, "row", row)?;
        hash.update(Sha256::digest(&json));
        packed.push(json);
    }
    Ok((packed, hex(&hash.finalize()).into()))
}

/// Writes packed target rows.
pub(super) fn put_rows(mut batch: Batch, id: ActionId, rows: &[Json]) -> Batch {
    for (n, json) in rows.iter().enumerate() {
        let key = id.key().join(Key::number(n as u64));
        batch = batch.require(Space::Targets, &key, Expect::Absent).put_json(
            Space::Targets,
            key,
            Ok(json.clone()),
        );
    }
    batch
}

/// The target rows of an action, and their fingerprint.
pub(super) fn load_rows(store: &ControlStore, id: ActionId) -> Result<(Vec<TargetRow>, Text)> {
    let mut hash = Sha256::new();
    let mut rows = Vec::new();
    for record in store.scan_prefix(Space::Targets, &prefix(id)) {
        hash.update(Sha256::digest(&record.json));
        rows.push(record.parse()?);
    }
    Ok((rows, hex(&hash.finalize()).into()))
}

/// What the keys of an action's rows begin with.
pub(super) fn prefix(id: ActionId) -> String {
    format!("{}/", id.key())
}

/// One thing that happened to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// It is about to be sent.
    Intent(Intent),
    /// It ended.
    Outcome(Outcome),
}

/// That a call is about to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// Place of the call in the action.
    pub n: u32,
    /// Counted from 1. A second one exists only after the first was certainly not sent.
    pub attempt: u16,
    pub ts: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<BeforeRow>,
}

/// What was seen right before, for the look after a crash and for undoing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BeforeRow {
    #[serde(default)]
    pub identity: Identity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Command>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_since_wall_ms: Option<i64>,
}

impl BeforeRow {
    pub fn of(before: &Before) -> Option<Self> {
        let row = Self {
            identity: before.observed.identity.clone(),
            now: before.observed.now.clone(),
            up_since_wall_ms: before.up_since_wall_ms,
        };
        (row != Self { identity: Identity::default(), now: None, up_since_wall_ms: None }).then_some(row)
    }

    pub fn to_before(&self) -> Before {
        Before {
            observed: Observed::new(self.identity.clone(), self.now.clone()),
            up_since_wall_ms: self.up_since_wall_ms,
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// With its effect.
    Ok,
    /// Without.
    Failed,
    /// Nobody can say how.
    Unknown,
    /// The same, and it was lost in a crash: a person is waited for.
    Lost,
    /// Not at all: this attempt was certainly not sent, another may follow.
    NotSent,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub n: u32,
    pub attempt: u16,
    pub ts: i64,
    pub fate: Fate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// A code, and what there is to say after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// Who said so, when a person settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Text>,
}

impl Step {
    pub const fn n(&self) -> u32 {
        match self {
            Self::Intent(intent) => intent.n,
            Self::Outcome(outcome) => outcome.n,
        }
    }
}

/// The journal of an action, oldest first.
pub(super) fn load_journal(store: &ControlStore, id: ActionId) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for record in store.scan_prefix(Space::Journal, &prefix(id)) {
        steps.extend(record.parse::<Vec<Step>>()?);
    }
    Ok(steps)
}
