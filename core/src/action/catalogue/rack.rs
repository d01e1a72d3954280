//! Actions on racks themselves: `registerThing`, `updateThing`, `forgetThings`, `rackReboot`.

use serde_json::{Map, Value};

use super::{
    args::{Args, OP, bounded},
    table::{ActionKind, row},
};
use crate::{
    Error, Result, ThingId,
    model::{RackId, Text},
};

/// Code of the error for a rack action that names no rack.
pub const MISSING_RACK: &str = "ERR_ACTION_INVALID_MISSING_RACKID";
/// Code of the error for `updateThing` without an id.
pub const MISSING_ID: &str = "ERR_ACTION_INVALID_MISSING_ID";
/// Code of the error for `forgetThings` that does not name its thing.
pub const QUERY_ID: &str = "ERR_ACTION_INVALID_QUERY_ID";
/// Most racks that one `rackReboot` names.
const MOST_RACKS: usize = 1_000;

/// A change to a rack. What stands in the records is checked by the rack, when it carries the change out.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum RackAction {
    /// Registers a thing.
    Register {
        /// The rack that gets it.
        rack: RackId,
        /// Its id; the rack makes one where there is none.
        id: Option<ThingId>,
        /// The thing's members, without the rack's id. Secrets are among them.
        thing: Map<String, Value>,
    },
    /// Changes a thing.
    Update {
        /// The rack that has it.
        rack: RackId,
        /// Its id.
        id: ThingId,
        /// What changes. Secrets are among it.
        change: Map<String, Value>,
    },
    /// Forgets a thing.
    Forget {
        /// The rack that has it.
        rack: RackId,
        /// Its id.
        id: ThingId,
    },
    /// Closes all connections of racks and begins to collect anew.
    Reboot(Racks),
}

/// Which racks are rebooted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Racks {
    /// Those named.
    Named(Vec<RackId>),
    /// Every one that knows the action and whose family the pusher may write.
    Every,
}

impl RackAction {
    /// Reads a rack action; `None` when `action` is none.
    ///
    /// `every` lets `rackReboot` with neither parameters nor query mean every rack, as MiningOS's dashboard pushes it;
    /// profile `mos` grants that.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field, with [`MISSING_RACK`], [`MISSING_ID`] or
    /// [`QUERY_ID`]; the fact `rack` is the rack that the parameters name. With `ERR_PARAMS_INVALID` for parameters of
    /// another form.
    pub fn parse(action: &str, params: &[Value], query: &Value, every: bool) -> Result<Option<Self>> {
        let Some(row) = row(action).filter(|row| row.kind == ActionKind::Rack) else { return Ok(None) };
        bounded(params)?;
        let args = Args { row, params };
        let given = args.optional()?.map(|value| {
            value.as_object().ok_or_else(|| args.wrong("params[0]", "is an object that names its rack"))
        });
        let given = given.transpose()?;
        if action == "rackReboot" {
            return racks(&args, given, query, every).map(|racks| Some(Self::Reboot(racks)));
        }
        let members = given.ok_or_else(missing_rack)?;
        let rack = rack_of(members.get("rackId").ok_or_else(missing_rack)?)?;
        let parsed = match action {
            "registerThing" => Self::register(&args, rack.clone(), members),
            "updateThing" => Self::update(rack.clone(), members),
            _ => Self::forget(&args, rack.clone(), members),
        };
        parsed.map(Some).map_err(|e| e.with("rack", &rack))
    }

    /// Whether it is an action of this rack.
    pub fn is_for(&self, rack: &RackId) -> bool {
        match self {
            Self::Register { rack: own, .. }
            | Self::Update { rack: own, .. }
            | Self::Forget { rack: own, .. } => own == rack,
            Self::Reboot(Racks::Named(named)) => named.contains(rack),
            Self::Reboot(Racks::Every) => true,
        }
    }

    /// What its one call in `rack` is named after: the thing, or the rack where no thing has an id yet.
    pub fn call_id(&self, rack: &RackId) -> Text {
        match self {
            Self::Register { id: Some(id), .. } | Self::Update { id, .. } | Self::Forget { id, .. } => {
                id.as_str().into()
            }
            Self::Register { id: None, .. } | Self::Reboot(_) => rack.as_str().into(),
        }
    }

    fn register(args: &Args<'_>, rack: RackId, members: &Map<String, Value>) -> Result<Self> {
        let id = match members.get("id") {
            None | Some(Value::Null) => None,
            Some(id) => Some(thing(id).ok_or_else(|| args.wrong("params[0].id", "is the id of a thing"))?),
        };
        Ok(Self::Register { rack, id, thing: without(members, &["rackId"]) })
    }

    fn update(rack: RackId, members: &Map<String, Value>) -> Result<Self> {
        let missing = || Error::invalid(OP, "params[0].id", "names the thing to change").code_as(MISSING_ID);
        let id = members.get("id").and_then(thing).ok_or_else(missing)?;
        Ok(Self::Update { rack, id, change: without(members, &["rackId", "id"]) })
    }

    fn forget(args: &Args<'_>, rack: RackId, members: &Map<String, Value>) -> Result<Self> {
        let missing =
            || Error::invalid(OP, "params[0].query.id", "names the thing to forget").code_as(QUERY_ID);
        let query = members.get("query").and_then(Value::as_object).ok_or_else(missing)?;
        let id = query.get("id").and_then(thing).ok_or_else(missing)?;
        // MiningOS would go by the rest of the query, too, and by `all`: more than was voted on.
        let more = members.keys().find(|name| !["rackId", "query"].contains(&name.as_str()));
        let more = more.map(|name| format!("params[0].{name}"));
        let more = more.or_else(|| {
            query.keys().find(|name| *name != "id").map(|name| format!("params[0].query.{name}"))
        });
        match more {
            Some(field) => Err(args.wrong(&field, "is not taken: one thing is forgotten, by its id")),
            None => Ok(Self::Forget { rack, id }),
        }
    }
}

impl std::fmt::Debug for RackAction {
    /// Without what can be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Register { rack, id, .. } => f.debug_tuple("Register").field(rack).field(id).finish(),
            Self::Update { rack, id, .. } => f.debug_tuple("Update").field(rack).field(id).finish(),
            Self::Forget { rack, id } => f.debug_tuple("Forget").field(rack).field(id).finish(),
            Self::Reboot(racks) => f.debug_tuple("Reboot").field(racks).finish(),
        }
    }
}

fn racks(args: &Args<'_>, given: Option<&Map<String, Value>>, query: &Value, every: bool) -> Result<Racks> {
    let Some(members) = given else {
        let selects = query.as_object().is_none_or(|query| !query.is_empty());
        return if every && !selects { Ok(Racks::Every) } else { Err(missing_rack()) };
    };
    if let Some(other) = members.keys().find(|name| !["rackId", "rackIds"].contains(&name.as_str())) {
        return Err(args.wrong(&format!("params[0].{other}"), "is no member of this parameter"));
    }
    match (members.get("rackId"), members.get("rackIds")) {
        (Some(one), None) => Ok(Racks::Named(vec![rack_of(one)?])),
        (None, Some(Value::Array(list))) if list.len() <= MOST_RACKS && !list.is_empty() => {
            let mut racks = list.iter().map(rack_of).collect::<Result<Vec<_>>>()?;
            racks.sort();
            racks.dedup();
            Ok(Racks::Named(racks))
        }
        (None, None) => Err(missing_rack()),
        _ => {
            let why = format!("is a list of 1 to {MOST_RACKS} racks, or rackId names one");
            Err(args.wrong("params[0].rackIds", why))
        }
    }
}

fn rack_of(value: &Value) -> Result<RackId> {
    value.as_str().and_then(|text| RackId::new(text).ok()).ok_or_else(missing_rack)
}

fn missing_rack() -> Error {
    Error::invalid(OP, "params[0].rackId", "names the rack").code_as(MISSING_RACK)
}

fn thing(value: &Value) -> Option<ThingId> {
    ThingId::new(value.as_str()?).ok()
}

fn without(members: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let rest = members.iter().filter(|(name, _)| !names.contains(&name.as_str()));
    rest.map(|(name, value)| (name.clone(), value.clone())).collect()
}
