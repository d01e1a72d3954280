use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    Error, ErrorKind, Result,
    auth::{Access::Read, Area, Scope},
    ork::{RackRecord, fan::Target},
    query::Projection,
    rack::{Partial, Rack, RackId, first_secret},
};

use super::{Call, OP, Reply, params::truthy, things::seen};

pub(super) async fn register(call: Call<'_>) -> Result<Reply> {
    let members = call.params.object()?;
    if let Some(secret) = first_secret(members) {
        return Err(Error::invalid(OP, &secret, "is called like a secret, and racks are listed"));
    }
    let record = RackRecord::new(members.clone())?;
    call.ork.register_rack(record).await?;
    Ok(Reply::of(1))
}

pub(super) async fn forget(call: Call<'_>) -> Result<Reply> {
    let wrong = || Error::invalid(OP, "ids", "takes a list of texts, or all: true instead");
    let ids = if truthy(call.params.get("all")?) {
        None
    } else {
        let list = call.params.get("ids")?.and_then(Value::as_array).ok_or_else(wrong)?;
        let texts = list.iter().map(|id| id.as_str().ok_or_else(wrong)).collect::<Result<Vec<_>>>()?;
        // What cannot be an id is the id of no rack.
        Some(texts.into_iter().filter_map(|id| RackId::new(id).ok()).collect::<BTreeSet<_>>())
    };
    let gone = call.ork.forget_racks(ids.as_ref()).await?;
    Ok(Reply::of(gone.len()))
}

pub(super) async fn list(call: Call<'_>) -> Result<Reply> {
    let wanted = call.params.get("type")?;
    let prefix = wanted.map_or(Some(""), Value::as_str).ok_or_else(type_invalid)?;
    let keys = truthy(call.params.get("keys")?);
    if keys {
        call.who.permissions.check(OP, Scope::Area(Area::Racks), Read)?;
    }
    let mut racks = Vec::new();
    for target in call.ork.allowed(call.who.permissions, Read)? {
        let info = target.info;
        if info.thing_type.starts_with(prefix) {
            let record = call.ork.0.registry.get(&info.id)?.map(|record| record.value(keys));
            let local = || json!({"id": info.id, "type": info.thing_type, "info": {}});
            racks.push(record.unwrap_or_else(local));
        }
    }
    Ok(Reply::of(racks))
}

/// Racks of exactly this type or of one below it, `miner` and `miner-…`, that the caller may read.
pub(super) fn of_type(call: &Call<'_>, wanted: &str) -> Result<Vec<Target>> {
    let mut targets = call.ork.allowed(call.who.permissions, Read)?;
    targets.retain(|target| {
        let rest = target.info.thing_type.strip_prefix(wanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    Ok(targets)
}

fn type_invalid() -> Error {
    Error::invalid(OP, "type", "takes a text").code_as("ERR_TYPE_INVALID")
}

pub(super) async fn conf(call: Call<'_>) -> Result<Reply> {
    let fields = call.params.fields()?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for target in of_type(&call, call.params.text("type", "ERR_TYPE_INVALID")?)? {
        let config = match target.slot() {
            Ok(slot) => slot.conf.config.clone(),
            Err(e) => {
                failed.push((target.info.id.clone(), e));
                None
            }
        };
        let config = config.map(|config| fields.apply(&config.into()));
        rows.push(json!({"rackId": target.info.id, "config": config}));
    }
    Ok(Reply::named(rows, failed))
}

pub(super) async fn thing_conf(call: Call<'_>) -> Result<Reply> {
    let targets = of_type(&call, call.params.text("type", "ERR_TYPE_INVALID")?)?;
    let ids: Vec<RackId> = targets.iter().map(|target| target.info.id.clone()).collect();
    let Partial { items, failed } = match call.params.text("requestType", "ERR_INVALID_REQUEST_TYPE")? {
        "nextAvailableCode" => {
            let code = |rack: std::sync::Arc<dyn Rack>| async move { Ok(rack.next_code().await?.into()) };
            call.ork.0.fan.each(targets, Read, code).await
        }
        "poolConfig" => pools(targets),
        _ => {
            let e = Error::invalid(OP, "requestType", "takes nextAvailableCode or poolConfig");
            return Err(e.code_as("ERR_INVALID_REQUEST_TYPE"));
        }
    };
    let row = |id: &RackId| match items.iter().find(|(rack, _)| rack == id) {
        Some((_, value)) => json!({"rackId": id, "requestValue": value}),
        None => json!({"rackId": id, "config": null}),
    };
    let rows: Vec<Value> = ids.iter().map(row).collect();
    Ok(Reply::named(rows, failed))
}

fn pools(targets: Vec<Target>) -> Partial<Vec<(RackId, Value)>> {
    let mut all = Partial::whole(Vec::new());
    for target in targets {
        let none = || Error::new(ErrorKind::NotFound, OP, "the rack has no pools");
        let pools = target.slot().and_then(|slot| slot.conf.pools.clone().ok_or_else(none));
        match pools {
            Ok(pools) => {
                let shown: Vec<Value> = pools.iter().map(|pool| Projection::all().apply(pool)).collect();
                all.items.push((target.info.id, shown.into()));
            }
            Err(e) => all.failed.push((target.info.id, e)),
        }
    }
    all
}

pub(super) async fn settings(call: Call<'_>) -> Result<Reply> {
    let rack = call.params.rack()?;
    if !seen(&call, &rack)? {
        return Ok(Reply::of(0));
    }
    let settings = call.ork.settings(&rack).await;
    shown(settings.map_err(|e| e.code_as("ERR_GET_SETTINGS_FAILED"))?)
}

pub(super) async fn save_settings(call: Call<'_>) -> Result<Reply> {
    let rack = call.params.rack()?;
    let Some(Value::Object(entries)) = call.params.get("entries")? else {
        return Err(Error::invalid(OP, "entries", "takes an object").code_as("ERR_ENTRIES_INVALID"));
    };
    if entries.contains_key("error") {
        let why = "callers would take settings with this name for a failure";
        return Err(Error::invalid(OP, "entries.error", why).code_as("ERR_ENTRIES_INVALID"));
    }
    if !seen(&call, &rack)? {
        return Ok(Reply::of(0));
    }
    let saved = call.ork.save_settings(&rack, entries.clone(), &call.caller()).await;
    shown(saved.map_err(|e| match e.kind() {
        ErrorKind::Invalid | ErrorKind::Conflict => e,
        _ => e.code_as("ERR_SAVE_SETTINGS_FAILED"),
    })?)
}

fn shown(settings: Map<String, Value>) -> Result<Reply> {
    Ok(Reply::of(Projection::all().apply(&settings.into())))
}
