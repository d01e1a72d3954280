use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Engine, Inner};
use crate::{
    Result,
    action::{
        ActionId,
        archive::{self, Old},
        catalogue,
        record::{self, Outcome, Step, TargetRow},
        state::Header,
    },
    model::RackId,
};

/// The member with what an action is for, rack by rack.
pub(super) const TARGETS: &str = "targets";

/// An action as callers see it, MiningOS's members and ours.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionView(pub Value);

impl Engine {
    /// One action with its targets, and what became of each; `None` when there is none with this id.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for records that this release cannot read.
    pub fn get(&self, id: ActionId) -> Result<Option<ActionView>> {
        self.0.view(id, true)
    }
}

impl Inner {
    pub(super) fn view(&self, id: ActionId, tags: bool) -> Result<Option<ActionView>> {
        let Some(header) = self.shared.header(id) else { return self.view_old(id, tags) };
        let mut doc = summary(&header);
        self.add_targets(&mut doc, &header, tags)?;
        Ok(Some(ActionView(doc)))
    }

    /// An action that is in the archive.
    fn view_old(&self, id: ActionId, tags: bool) -> Result<Option<ActionView>> {
        let Some(moved) = self.old().moved(id)? else { return Ok(None) };
        let mut headers = self.old().headers(&[(id, moved.at)])?;
        let Some(header) = headers.remove(&id) else {
            return Ok(Some(ActionView(archive::rest(id, &moved))));
        };
        let mut doc = summary(&header);
        self.add_targets(&mut doc, &header, tags)?;
        Ok(Some(ActionView(doc)))
    }

    /// What is in the archive.
    pub(super) fn old(&self) -> Old<'_> {
        Old::new(&self.shared.store, self.options.archive.as_ref())
    }

    /// Targets and journal of an action, wherever it is.
    fn records(&self, id: ActionId) -> Result<(Vec<TargetRow>, Vec<Step>)> {
        let store = &self.shared.store;
        let here = (record::load_rows(store, id)?.0, record::load_journal(store, id)?);
        // Asked last: it may leave at any moment, and what was read is whole only if it had not.
        match self.old().moved(id)? {
            Some(moved) => self.old().rows(id, &moved),
            None => Ok(here),
        }
    }

    /// Adds to a [`summary`] what stands in records of its own.
    pub(super) fn add_targets(&self, doc: &mut Value, header: &Header, tags: bool) -> Result<()> {
        let (rows, journal) = self.records(header.id)?;
        let mut outcomes = outcomes(journal);
        if let Some(members) = doc.as_object_mut() {
            members.insert(TARGETS.into(), targets(header, rows, &mut outcomes, tags));
        }
        Ok(())
    }
}

/// The last outcome of each call.
fn outcomes(journal: Vec<Step>) -> BTreeMap<u32, Outcome> {
    let mut last = BTreeMap::new();
    for step in journal {
        match step {
            Step::Intent(intent) => drop(last.remove(&intent.n)),
            Step::Outcome(outcome) if outcome.fate == record::Fate::NotSent => drop(last.remove(&outcome.n)),
            Step::Outcome(outcome) => drop(last.insert(outcome.n, outcome)),
        }
    }
    last
}

/// An action as callers see it, without its targets.
pub(super) fn summary(header: &Header) -> Value {
    let order = &header.order;
    let names = |approve: bool| -> Vec<Value> {
        let votes = header.votes.iter().filter(|vote| vote.approve == approve);
        votes.map(|vote| serde_json::to_value(&vote.person).unwrap_or_default()).collect()
    };
    let mut doc = json!({
        "id": header.id,
        "action": order.action,
        "params": catalogue::redact(&order.action, &order.params),
        "requiredPerms": order.families,
        "votesPos": names(true),
        "votesNeg": names(false),
        "reqVotesPos": order.terms.votes_for,
        "reqVotesNeg": order.terms.votes_against,
        "status": header.status,
        "digest": header.digest,
        "counts": header.counts,
        "terms": order.terms,
        "query": order.query,
        "pushedAt": order.pushed_ms,
        "rev": header.rev,
    });
    let mut put = |name: &str, value: Value| {
        if let Some(members) = doc.as_object_mut().filter(|_| !value.is_null()) {
            members.insert(name.into(), value);
        }
    };
    put("batchActionUID", json!(header.batch));
    put("hold", json!(header.hold));
    put("decidedAt", json!(header.decided_ms));
    put("begunAt", json!(header.begun_ms));
    put("endedAt", json!(header.ended_ms));
    doc
}

fn targets(
    header: &Header,
    rows: Vec<TargetRow>,
    outcomes: &mut BTreeMap<u32, Outcome>,
    tags: bool,
) -> Value {
    let mut racks: BTreeMap<RackId, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for row in rows {
        let Some(rack) = row.rack else { continue };
        let (calls, excluded) = racks.entry(rack).or_default();
        excluded.extend(row.excluded.iter().map(|e| json!(e)));
        for (n, call) in (row.first..).zip(row.calls) {
            let mut doc = Map::new();
            doc.insert("id".into(), call.id.as_str().into());
            if tags {
                doc.insert("tags".into(), json!(call.tags));
            }
            if let Some(outcome) = outcomes.remove(&n) {
                told(&mut doc, outcome);
            }
            calls.push(Value::Object(doc));
        }
    }
    let mut out = Map::new();
    for rack in &header.order.racks {
        let (calls, excluded) = racks.remove(&rack.id).unwrap_or_default();
        let mut doc = json!({"calls": calls});
        if let Some(error) = &rack.error {
            doc["error"] = error.as_str().into();
        }
        if !excluded.is_empty() {
            doc["excluded"] = excluded.into();
        }
        out.insert(rack.id.as_str().into(), doc);
    }
    Value::Object(out)
}

/// What became of a call.
fn told(doc: &mut Map<String, Value>, outcome: Outcome) {
    let parts = [
        ("result", outcome.result),
        ("error", outcome.error.map(|error| error.as_str().into())),
        ("receipt", outcome.receipt.map(|receipt| json!(receipt))),
        ("settledBy", outcome.by.map(|by| by.as_str().into())),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            doc.insert(name.into(), value);
        }
    }
}
