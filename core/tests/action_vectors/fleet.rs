//! Racks and devices that do what a scenario says of them, and count what reaches them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    action::{
        ActionId, Ask, Before, Call, Excluded, Fleet, FleetRack, Hands, Look, Pick, Reply, Seen, Selection,
    },
    driver::{Identity, Observed, Permit},
    io::Ctx,
    model::RackId,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::gate::Gate;

/// How a rack that is not online shows that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offline {
    /// Its transport answers that the channel is closed.
    Closed,
    /// There is no connection.
    Absent,
    /// Nothing answers.
    Silent,
}

/// How a device that fails says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// The command was refused for certain.
    Refused,
    /// The rack cannot say whether the command had its effect; the read-back shows that it had not.
    InDoubt,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SimRack {
    id: String,
    r#type: String,
    whitelist: Vec<(String, u32)>,
    things: Vec<SimThing>,
    #[serde(default = "yes")]
    online: bool,
    #[serde(default)]
    hang: bool,
    #[serde(default)]
    no_write_calls: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SimThing {
    id: String,
    tags: Vec<String>,
    invalid: Option<String>,
    fail: Option<String>,
    reply: Option<Value>,
}

const fn yes() -> bool {
    true
}

/// The site's racks with their devices. They outlive the engine.
#[derive(Debug)]
pub struct Site {
    racks: Mutex<BTreeMap<String, SimRack>>,
    calls: Mutex<Vec<(String, Value)>>,
    hung: Mutex<BTreeMap<ActionId, u32>>,
    /// How often a target was looked at.
    pub looks: AtomicUsize,
    readback: Mutex<Seen>,
    offline: Offline,
    failing: Failing,
    /// The process dies when the device has got the command.
    pub dies_after_send: AtomicBool,
    gate: Arc<Gate>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(kind: ErrorKind, code: &str) -> Error {
    // Codes of errors are constants; those of a scenario are read from a file.
    Error::new(kind, "sim", "").code_as(code.to_owned().leak())
}

impl Site {
    pub fn new(racks: &[Value], offline: Offline, failing: Failing, gate: Arc<Gate>) -> Self {
        let racks = racks.iter().map(|rack| {
            let rack: SimRack = serde_json::from_value(rack.clone()).unwrap();
            (rack.id.clone(), rack)
        });
        let readback = if failing == Failing::InDoubt { Seen::NotApplied } else { Seen::Unknown };
        Self {
            racks: Mutex::new(racks.collect()),
            calls: Mutex::default(),
            hung: Mutex::default(),
            looks: AtomicUsize::new(0),
            readback: Mutex::new(readback),
            offline,
            failing,
            dies_after_send: AtomicBool::new(false),
            gate,
        }
    }

    /// What the devices show from now on.
    pub fn show(&self, readback: &str) {
        *lock(&self.readback) = match readback {
            "applied" => Seen::Applied,
            "not_applied" => Seen::NotApplied,
            "none" => Seen::Unknown,
            other => panic!("no read-back is called {other}"),
        };
    }

    /// Sends of an action that never answer.
    pub fn hung(&self, id: ActionId) -> u32 {
        lock(&self.hung).get(&id).copied().unwrap_or_default()
    }

    /// Nobody waits for answers any more.
    pub fn forget_hung(&self) {
        lock(&self.hung).clear();
    }

    /// What reached the devices, by rack.
    pub fn calls(&self) -> Value {
        let mut by_rack = Map::new();
        for (rack, call) in lock(&self.calls).iter() {
            let calls = by_rack.entry(rack).or_insert_with(|| json!([]));
            calls.as_array_mut().unwrap().push(call.clone());
        }
        Value::Object(by_rack)
    }

    pub fn forget_racks(&self) -> usize {
        std::mem::take(&mut *lock(&self.racks)).len()
    }

    pub fn add_thing(&self, rack: &str, thing: &Value) {
        let thing = serde_json::from_value(thing.clone()).unwrap();
        lock(&self.racks).get_mut(rack).unwrap().things.push(thing);
    }

    pub fn remove_thing(&self, rack: &str, id: &str) {
        lock(&self.racks).get_mut(rack).unwrap().things.retain(|thing| thing.id != id);
    }

    fn rack(&self, id: &str) -> Option<SimRack> {
        lock(&self.racks).get(id).cloned()
    }
}

/// The site as the engine sees it.
#[derive(Debug)]
pub struct Racks(pub Arc<Site>);

impl Fleet for Racks {
    fn racks(&self) -> Result<Vec<FleetRack>> {
        let racks = lock(&self.0.racks);
        let one = |rack: &SimRack| {
            let hands: Arc<dyn Hands> =
                Arc::new(RackHands { id: rack.id.clone(), site: Arc::clone(&self.0) });
            let absent = !rack.online && self.0.offline == Offline::Absent;
            Ok(FleetRack {
                id: RackId::new(&rack.id)?,
                thing_type: rack.r#type.as_str().into(),
                hands: (!absent).then_some(hands),
            })
        };
        racks.values().map(one).collect()
    }
}

#[derive(Debug)]
struct RackHands {
    id: String,
    site: Arc<Site>,
}

impl RackHands {
    /// The rack, when it answers.
    async fn reach(&self) -> Result<SimRack> {
        let closed = || error(ErrorKind::Unreachable, "CHANNEL_CLOSED");
        let rack = self.site.rack(&self.id).ok_or_else(closed)?;
        if rack.online {
            return Ok(rack);
        }
        if self.site.offline == Offline::Silent {
            std::future::pending::<()>().await;
        }
        Err(closed())
    }
}

const RACK_ACTIONS: [&str; 4] = ["registerThing", "updateThing", "forgetThings", "rackReboot"];

fn matches(thing: &SimThing, query: &Value) -> bool {
    let doc = json!({"id": thing.id, "tags": thing.tags});
    let wanted = query.as_object().unwrap();
    wanted.iter().all(|(name, value)| match &doc[name] {
        Value::Array(list) => list.contains(value),
        own => own == value,
    })
}

#[async_trait]
impl Hands for RackHands {
    async fn select(&self, _: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        let rack = self.reach().await?;
        let row = rack.whitelist.iter().find(|(action, _)| *action == *ask.action);
        let Some((_, votes)) = row.filter(|_| !rack.no_write_calls) else { return Ok(None) };
        let mut selection = Selection { votes: *votes, ..Selection::default() };
        let pick = |id: &str| Pick { id: id.into(), tags: Vec::new(), power_w: None };
        if RACK_ACTIONS.contains(&ask.action.as_str()) {
            selection.picks.push(pick(ask.rack_call.as_ref().unwrap()));
            return Ok(Some(selection));
        }
        assert_eq!(ask.rack_call, None, "{} is an action on things", ask.action);
        let mut things: Vec<&SimThing> =
            rack.things.iter().filter(|thing| matches(thing, &ask.query)).collect();
        things.sort_by(|a, b| a.id.cmp(&b.id));
        for thing in things {
            match &thing.invalid {
                None => selection.picks.push(pick(&thing.id)),
                Some(code) => {
                    let (id, error) = (thing.id.as_str().into(), code.as_str().into());
                    selection.excluded.push(Excluded { id, error });
                }
            }
        }
        Ok(Some(selection))
    }

    async fn look(&self, _: &Ctx, call: &Call) -> Result<Look> {
        self.site.looks.fetch_add(1, Ordering::SeqCst);
        let rack = self.reach().await?;
        let there = rack.things.iter().any(|thing| thing.id == *call.target);
        if there || RACK_ACTIONS.contains(&call.action.as_str()) {
            return Ok(Look { observed: Observed::new(identity(call), None), already: false });
        }
        Err(error(ErrorKind::NotFound, "ERR_THING_NOTFOUND"))
    }

    async fn send(&self, _: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        permit.prove(&identity(call))?;
        let rack = self.reach().await?;
        let of_rack = RACK_ACTIONS.contains(&call.action.as_str());
        let got = if of_rack { rack_call(call) } else { thing_call(call) };
        lock(&self.site.calls).push((self.id.clone(), got));
        if self.site.dies_after_send.load(Ordering::SeqCst) {
            self.site.gate.die().await;
        }
        if rack.hang {
            *lock(&self.site.hung).entry(call.id).or_default() += 1;
            std::future::pending::<()>().await;
        }
        if of_rack {
            return Ok(Reply { result: json!(1), ..Reply::default() });
        }
        let thing = rack.things.iter().find(|thing| thing.id == *call.target).unwrap();
        match (&thing.fail, self.site.failing) {
            (None, _) => {
                let result = thing.reply.clone().unwrap_or_else(|| json!({"success": true}));
                Ok(Reply { result, ..Reply::default() })
            }
            (Some(code), Failing::Refused) => Err(error(ErrorKind::Rejected, code)),
            (Some(code), Failing::InDoubt) => Err(error(ErrorKind::Rejected, code).maybe_sent()),
        }
    }

    async fn confirm(&self, _: &Ctx, _: &Call, _: &Before, _: Duration) -> Seen {
        *lock(&self.site.readback)
    }
}

/// Who answers where a call goes.
fn identity(call: &Call) -> Identity {
    Identity::new(None, Some(call.target.clone()))
}

fn thing_call(call: &Call) -> Value {
    json!({"method": call.action, "thing": call.target, "params": *call.params})
}

/// The rack's own methods get the action's id, and its creator, inside their record.
fn rack_call(call: &Call) -> Value {
    let mut data = call.params.first().and_then(Value::as_object).cloned().unwrap_or_default();
    if call.action == *"forgetThings" {
        data.retain(|name, _| name == "query");
    } else {
        data.insert("user".into(), call.user.as_str().into());
    }
    data.insert("actionId".into(), json!(call.id));
    json!({"method": call.action, "data": data})
}
