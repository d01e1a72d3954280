//! What the site has beside things: configurations of pools, firmware images.

use serde_json::{Value, json};

use crate::{
    Error, Result,
    action::catalogue::FirmwareEntry,
    auth::Access::Read,
    ork::fan::Target,
    query::Projection,
    rack::{Partial, RackId},
};

use super::{Call, OP, Reply, blocking};

/// The one type of configuration that there is.
const POOL: &str = "pool";
/// Most images of one answer.
const MOST_IMAGES: usize = 10_000;

/// Configurations that things can be given.
pub(super) async fn configs(call: Call<'_>) -> Result<Reply> {
    let wanted = call.params.text("type", "ERR_TYPE_INVALID")?;
    let filter = call.params.filter()?.unwrap_or_default();
    let fields = call.params.fields()?;
    if wanted != POOL {
        return Ok(Reply::of(Vec::<Value>::new()));
    }
    let (mut answered, mut all) = (false, Partial::whole(Vec::new()));
    for target in call.ork.allowed(call.who.permissions, Read)? {
        match pools(&target) {
            Ok(config) => {
                answered = true;
                all.items.extend(config.filter(|config| filter.matches(config)));
            }
            Err(e) => all.failed.push((target.info.id, e)),
        }
    }
    Reply::partial(answered, all, |configs| {
        configs.iter().map(|config| with_id(fields.apply(config), config)).collect()
    })
}

/// The pools of a rack's miners, in the form that `setupPools` takes; none where the rack has no such configuration.
fn pools(target: &Target) -> Result<Option<Value>> {
    let id: &RackId = &target.info.id;
    let pools = target.slot()?.conf.pools.as_deref();
    let config = |pools: &[Value]| {
        // Without the passwords.
        let shown: Vec<Value> = pools.iter().map(|pool| Projection::all().apply(pool)).collect();
        json!({"id": id, "rackId": id, "type": target.info.thing_type, "poolUrls": shown})
    };
    Ok(pools.map(config))
}

/// Whatever is asked for, the id is there: callers look for things by it.
fn with_id(mut shown: Value, of: &Value) -> Value {
    if let (Some(members), Some(id)) = (shown.as_object_mut(), of.get("id")) {
        members.insert("id".into(), id.clone());
    }
    shown
}

/// Firmware images by the hashes that `updateFirmware` takes.
pub(super) async fn firmwares(call: Call<'_>) -> Result<Reply> {
    call.params.object()?;
    let Some(store) = call.ork.0.sources.firmware.clone() else { return Ok(Reply::of(Vec::<Value>::new())) };
    let images = blocking(call.ork, move || store.list()).await?;
    if images.len() > MOST_IMAGES {
        let e = Error::invalid(OP, "firmware", "the store lists more than 10,000 images");
        return Err(e.code_as("ERR_LIMIT_EXCEEDED"));
    }
    let row = |image: &FirmwareEntry| json!({"id": image.sha256, "name": image.name, "file": image.file});
    Ok(Reply::of(images.iter().map(row).collect::<Vec<_>>()))
}
