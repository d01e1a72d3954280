//! Changes to the rack itself: its registry and its connections. What became of one is known by the store.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{LocalHands, OP};
use crate::{
    Error, ErrorKind, Result, ThingId,
    action::{
        Ask, Call, Look, Pick, Reply, Seen, Selection,
        catalogue::{ActionRow, RackAction},
    },
    io::Ctx,
    ork::call::code_of_member,
    query::Filter,
    rack::{Caller, Rack, ThingChange, ThingDraft, ThingRecord, Which},
};

/// Where a record keeps the last action that changed it.
const LAST_ACTION: &str = "lastActionId";

/// The rack action that a call is. Whether it may touch every rack was decided when it was pushed.
fn parse(action: &str, params: &[Value]) -> Result<RackAction> {
    let parsed = RackAction::parse(action, params, &json!({}), true)?;
    parsed.ok_or_else(|| Error::unsupported(OP, action))
}

/// Refuses members that no rack takes, before anybody votes on them.
fn check(action: &RackAction) -> Result<()> {
    match action {
        RackAction::Register { thing, .. } => members::<ThingDraft>(thing.clone()).map(drop),
        RackAction::Update { change, .. } => members::<ThingChange>(change.clone()).map(drop),
        _ => Ok(()),
    }
}

impl LocalHands {
    /// Whether the thing is there is not asked: an action before this one may be about to register it.
    pub(super) fn select_rack(&self, row: &ActionRow, ask: &Ask) -> Result<Selection> {
        let action = parse(&ask.action, &ask.params)?;
        check(&action)?;
        let mut selection = Selection { votes: row.votes, ..Selection::default() };
        let rack = &self.rack.info().id;
        if action.is_for(rack) {
            let id = ask.rack_call.clone().unwrap_or_else(|| action.call_id(rack));
            selection.picks.push(Pick { id, tags: Vec::new(), power_w: Some(0.0) });
        }
        Ok(selection)
    }

    pub(super) fn look_rack(&self, call: &Call) -> Result<Look> {
        match parse(&call.action, &call.params)? {
            RackAction::Update { id, .. } | RackAction::Forget { id, .. } => {
                self.rack.target(id.as_str()).map(|_| Look::default())
            }
            _ => Ok(Look::default()),
        }
    }

    pub(super) async fn send_rack(&self, cx: &Ctx, call: &Call) -> Result<Reply> {
        let by = Caller::new(&call.user);
        match parse(&call.action, &call.params)? {
            RackAction::Register { thing, .. } => {
                let mut draft: ThingDraft = members(thing)?;
                draft.info.insert(LAST_ACTION.into(), call.id.get().into());
                self.rack.register(draft, &by).await?;
            }
            RackAction::Update { id, change, .. } => {
                let mut change: ThingChange = members(change)?;
                change.action_id = Some(call.id.get());
                self.rack.update(&id, change, &by).await?;
            }
            RackAction::Forget { id, .. } => {
                let gone = self.rack.forget(&Which::Matching(named(&id)?), &by).await?;
                if gone.is_empty() {
                    return Err(self.rack.target(id.as_str()).err().unwrap_or_else(|| overtaken(&id)));
                }
            }
            RackAction::Reboot(_) => {
                let things = self.rack.restart()?;
                *self.restarted() = cx.clock.mono();
                tracing::info!(rack = %self.rack.info().id, action = %call.id, things, "collects anew");
            }
        }
        // MiningOS's answer to each of them.
        Ok(Reply { result: 1.into(), receipt: None, confirm: false })
    }

    pub(super) async fn confirm_rack(&self, cx: &Ctx, call: &Call, since: Duration) -> Seen {
        let Ok(action) = parse(&call.action, &call.params) else { return Seen::Unknown };
        if let RackAction::Reboot(_) = action {
            // A start of the process opens all connections anew, too.
            let sent_at = cx.clock.mono() - since;
            return if *self.restarted() >= sent_at { Seen::Applied } else { Seen::NotApplied };
        }
        if cx.within(OP, self.rack.settled()).await.is_err() {
            return Seen::Unknown;
        }
        let own = call.id.get();
        match action {
            RackAction::Register { id: Some(id), .. } => match self.record(&id) {
                Some(record) => by_action(last_action(&record), own),
                None => Seen::NotApplied,
            },
            RackAction::Register { id: None, .. } => {
                let made = self.rack.all().iter().any(|record| last_action(record) == Some(own));
                if made { Seen::Applied } else { Seen::NotApplied }
            }
            RackAction::Update { id, .. } => match self.record(&id) {
                Some(record) => by_action(last_action(&record), own),
                None => Seen::Unknown,
            },
            RackAction::Forget { id, .. } => match self.record(&id) {
                Some(_) => Seen::NotApplied,
                None => Seen::Applied,
            },
            RackAction::Reboot(_) => Seen::Unknown,
        }
    }

    fn record(&self, id: &ThingId) -> Option<std::sync::Arc<ThingRecord>> {
        self.rack.target(id.as_str()).ok()
    }
}

/// What the last action that changed a record says of this one.
fn by_action(last: Option<u64>, own: u64) -> Seen {
    match last {
        Some(last) if last == own => Seen::Applied,
        // A later one wrote over what this one may have left.
        Some(last) if last > own => Seen::Unknown,
        _ => Seen::NotApplied,
    }
}

fn last_action(record: &ThingRecord) -> Option<u64> {
    record.info.get(LAST_ACTION)?.as_u64()
}

fn named(id: &ThingId) -> Result<Filter> {
    Filter::parse(&json!({"id": {"$eq": id.as_str()}}))
}

fn overtaken(id: &ThingId) -> Error {
    let text = "the thing was forgotten and registered again meanwhile: read it again";
    Error::new(ErrorKind::Conflict, OP, text).with("thing", id)
}

/// The members of a record as the rack takes them.
fn members<T: DeserializeOwned>(map: Map<String, Value>) -> Result<T> {
    serde_path_to_error::deserialize(Value::Object(map)).map_err(|e| {
        // The error's own text quotes the value, which can be a password.
        let path = e.path().to_string();
        let code = code_of_member(&path).unwrap_or("ERR_PARAMS_INVALID");
        Error::invalid(OP, &format!("params[0].{path}"), "has the wrong form").code_as(code)
    })
}
