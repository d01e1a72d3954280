use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    SITE,
    live::{LIMITS, Limits, Live, POLICY},
    people::PrincipalRecord,
};
use crate::{
    Error, ErrorKind, Result,
    action::{
        Ask, Before, Call, Fleet, FleetRack, Hands, Look, Person, Pick, Reply, Seen, Selection,
        desk::{Desk, Work},
        engine::ask_on,
        note::Note,
        policy::Rules,
    },
    driver::Permit,
    io::Ctx,
    model::RackId,
    store::{ControlStore, Key, Space},
};

/// A fleet, with the site itself among its racks.
#[derive(Debug)]
pub(in crate::action) struct WithSite {
    pub fleet: Arc<dyn Fleet>,
    pub admin: Arc<AdminHands>,
    pub site: RackId,
}

impl Fleet for WithSite {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        let mut racks = self.fleet.racks()?;
        let hands = Some(Arc::clone(&self.admin) as Arc<dyn Hands>);
        racks.push(FleetRack { id: self.site.clone(), thing_type: SITE.into(), hands });
        racks.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(racks)
    }
}

/// Changes what the site itself is told.
#[derive(Debug)]
pub(in crate::action) struct AdminHands {
    pub live: Arc<Live>,
    pub store: ControlStore,
    pub requests: mpsc::Sender<Work>,
}

/// A change to the site.
enum Change {
    Policy(Rules),
    Limits(Limits),
    Principal(PrincipalRecord),
    Remove(Person),
}

impl Change {
    /// What an action changes; `None` when it is none of the site.
    fn parse(action: &str, params: &[Value]) -> Result<Option<Self>> {
        if !["setPolicy", "setLimits", "setPrincipal", "removePrincipal"].contains(&action) {
            return Ok(None);
        }
        let [param] = params else {
            let e = Error::invalid("action.admin", "params", "takes one parameter");
            return Err(e.code_as("ERR_PARAMS_INVALID"));
        };
        Ok(Some(match action {
            "setPolicy" => Self::Policy(Rules::parse(param)?),
            "setLimits" => Self::Limits(Limits::parse(param)?),
            "setPrincipal" => Self::Principal(PrincipalRecord::parse(param)?),
            _ => Self::Remove(Person::from_json(param)?),
        }))
    }

    fn place(&self) -> (Space, Key) {
        match self {
            Self::Policy(_) => (Space::Settings, POLICY.into()),
            Self::Limits(_) => (Space::Settings, LIMITS.into()),
            Self::Principal(record) => (Space::Users, PrincipalRecord::key(&record.name)),
            Self::Remove(name) => (Space::Users, PrincipalRecord::key(name)),
        }
    }

    fn value(&self) -> Option<Value> {
        match self {
            Self::Policy(rules) => serde_json::to_value(rules).ok(),
            Self::Limits(limits) => serde_json::to_value(limits).ok(),
            Self::Principal(record) => serde_json::to_value(record).ok(),
            Self::Remove(_) => None,
        }
    }
}

fn unknown(action: &str) -> Error {
    Error::unsupported("action.admin", action)
}

#[async_trait]
impl Hands for AdminHands {
    async fn select(&self, _: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        if Change::parse(&ask.action, &ask.params)?.is_none() {
            return Ok(None);
        }
        let pick = Pick { id: ask.action.clone(), tags: Vec::new(), power_w: Some(0.0) };
        Ok(Some(Selection { votes: 1, picks: vec![pick], excluded: Vec::new() }))
    }

    async fn look(&self, _: &Ctx, call: &Call) -> Result<Look> {
        let change = Change::parse(&call.action, &call.params)?.ok_or_else(|| unknown(&call.action))?;
        if let Change::Principal(PrincipalRecord { owner: Some(owner), .. }) = &change
            && self.store.get_record(Space::Users, PrincipalRecord::key(owner)).is_none()
        {
            let e =
                Error::new(ErrorKind::NotFound, "action.admin", "the owner is nobody whom the site knows");
            return Err(e.code_as("ERR_PRINCIPAL_NOT_FOUND"));
        }
        self.keeps_somebody(&change)?;
        Ok(Look { already: self.is_so(&change), ..Look::default() })
    }

    async fn send(&self, _: &Ctx, call: &Call, _: &Permit) -> Result<Reply> {
        let change = Change::parse(&call.action, &call.params)?.ok_or_else(|| unknown(&call.action))?;
        let (space, key) = change.place();
        let (value, id, action) = (change.value(), call.id, call.action.clone());
        let work = move |desk: &mut Desk| {
            match value {
                Some(value) => desk.put(space, key, value),
                None => desk.delete(space, key),
            }
            desk.note(Some(id), Note::own("admin").data(json!({"action": action})), None);
            Ok(())
        };
        ask_on(&self.requests, work).await?;
        self.take(change);
        Ok(Reply { result: json!({"success": true}), receipt: None, confirm: false })
    }

    async fn confirm(&self, _: &Ctx, call: &Call, _: &Before, _: Duration) -> Seen {
        match Change::parse(&call.action, &call.params) {
            Ok(Some(change)) if self.is_so(&change) => {
                self.take(change);
                Seen::Applied
            }
            Ok(Some(_)) => Seen::NotApplied,
            _ => Seen::Unknown,
        }
    }
}

impl AdminHands {
    /// Refuses a change after which nobody could say who may what.
    fn keeps_somebody(&self, change: &Change) -> Result<()> {
        let (name, new) = match change {
            Change::Principal(record) => (&record.name, Some(record)),
            Change::Remove(name) => (name, None),
            Change::Policy(_) | Change::Limits(_) => return Ok(()),
        };
        let held = self.store.scan_prefix(Space::Users, PrincipalRecord::PREFIX);
        let held: Vec<PrincipalRecord> = held.iter().filter_map(|record| record.parse().ok()).collect();
        let others = held.iter().filter(|record| record.name != *name);
        // A site whose people stand elsewhere has none here.
        if held.is_empty() || others.chain(new).any(PrincipalRecord::may_change_people) {
            return Ok(());
        }
        let text = "nobody would be left who may say who may what";
        Err(Error::new(ErrorKind::Conflict, "action.admin", text).code_as("ERR_LAST_PRINCIPAL"))
    }

    /// Whether the store holds what is wanted.
    fn is_so(&self, change: &Change) -> bool {
        let (space, key) = change.place();
        let held = self.store.get_record(space, key).and_then(|record| record.parse::<Value>().ok());
        held == change.value()
    }

    /// Has a durable change take effect.
    fn take(&self, change: Change) {
        match change {
            Change::Policy(rules) => self.live.set_policy(rules),
            Change::Limits(limits) => self.live.set_limits(limits),
            Change::Principal(_) | Change::Remove(_) => {}
        }
    }
}
