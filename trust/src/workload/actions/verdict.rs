//! Whether the records of an engine agree with each other, and with what devices received.

use std::collections::BTreeMap;

use headframe_core::{
    action::{
        ActionId, Engine, Status,
        state::{Counts, Header},
    },
    audit::{Entry, Rows},
    store::Space,
};
use serde_json::Value;

use super::{World, look::ids};
use crate::{rig::needed, site::Sent};

/// How a call is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    None,
    Ok,
    Failed,
    Unknown,
}

fn fate(call: &Value) -> Fate {
    match call["error"].as_str() {
        Some("ERR_OUTCOME_UNKNOWN") => Fate::Unknown,
        Some(_) => Fate::Failed,
        None if call["result"]["success"] == true => Fate::Ok,
        None => Fate::None,
    }
}

/// What the audit log says of one action.
#[derive(Debug, Default)]
struct Audited {
    /// How often it was changed.
    changes: u64,
    status: String,
    /// The hashes of its journal's rows.
    rows: Vec<String>,
}

/// Header, targets, journal and audit entries of every action say the same, and what is shown is what is stored.
pub fn consistent(engine: &Engine) -> Result<(), String> {
    let store = engine.store();
    let mut audited = BTreeMap::<u64, Audited>::new();
    for record in store.scan(Space::Audit, .., usize::MAX) {
        let entry = needed("an audit entry cannot be read", Entry::parse(&record.json))?;
        let Some(id) = entry.action else { continue };
        let all = audited.entry(id).or_default();
        if let Some(status) = entry.data["status"].as_str() {
            all.changes += 1;
            status.clone_into(&mut all.status);
        }
        all.rows.extend(entry.rows);
    }
    for record in store.scan(Space::Actions, .., usize::MAX) {
        let header: Header = needed("a header cannot be read", record.parse())?;
        let id = header.id;
        let audited = audited.remove(&id.get()).unwrap_or_default();
        one(engine, &header, &audited).map_err(|e| format!("action {id}: {e}: {header:?}"))?;
    }
    if let Some((id, _)) = audited.first_key_value() {
        return Err(format!("the audit log speaks of {id}, which is not there"));
    }
    for (space, name) in [(Space::Targets, "targets"), (Space::Journal, "journal rows")] {
        let known = ids(engine);
        let owner = |key: &str| key.split('/').next()?.parse().ok().map(ActionId::new);
        let all = store.scan(space, .., usize::MAX);
        if all.iter().any(|record| owner(record.key.as_str()).is_none_or(|id| !known.contains(&id))) {
            return Err(format!("there are {name} of no action"));
        }
    }
    Ok(())
}

fn one(engine: &Engine, header: &Header, audited: &Audited) -> Result<(), String> {
    let shown = engine.header(header.id).ok_or("it is stored and not shown")?;
    if *shown != *header {
        return Err(format!("shown is {shown:?}"));
    }
    if audited.changes != header.rev || audited.status != header.status.as_str() {
        return Err(format!("the audit log says {audited:?}"));
    }
    let prefix = format!("{}/", headframe_core::store::Key::number(header.id.get()));
    let journal = engine.store().scan_prefix(Space::Journal, &prefix);
    let hash = |r: &headframe_core::store::Record| {
        Rows::new().add(Space::Journal, &r.key, &r.json).hash().to_string()
    };
    if journal.iter().map(hash).collect::<Vec<_>>() != audited.rows {
        return Err("the audit log vouches for another journal".into());
    }
    let view = needed("it cannot be seen", engine.get(header.id))?.ok_or("it is not shown")?.0;
    let mut found = Counts::default();
    for (_, part) in view["targets"].as_object().into_iter().flatten() {
        for call in part["calls"].as_array().into_iter().flatten() {
            found.total += 1;
            match fate(call) {
                Fate::None => {}
                Fate::Ok => found.ok += 1,
                Fate::Failed => found.failed += 1,
                Fate::Unknown => found.unknown += 1,
            }
        }
    }
    let counts = Counts { open: 0, lost: 0, ..header.counts };
    if found != counts {
        return Err(format!("its calls are {found:?}"));
    }
    Ok(())
}

/// Nothing was sent twice, without a decision, or after a halt; and of what a device received nothing is told that is not
/// so. Load is shed though its journal cannot be written: of such a command the next engine cannot know, and sends it once
/// more. It is the one that changes nothing when it comes again.
pub fn devices(world: &World, engine: &Engine) -> Result<(), String> {
    let log = world.site.plant.log();
    if let Some(had) = world.told.since_halt()
        && let Some(sent) = log.iter().skip(had).find(|sent| sent.what[0] != "setPowerMode")
    {
        return Err(format!("sent in spite of a halt: {sent:?}"));
    }
    let mut received = BTreeMap::<(ActionId, &str), u32>::new();
    // Load that could not even be pushed is shed under the time as its id, which another action can have.
    let unrecorded = |sent: &&Sent| {
        let sheds = engine.header(sent.id).is_some_and(|header| header.order.shed.is_some());
        sent.what[0] == "setPowerMode" && !sheds && world.told.may_be_unrecorded()
    };
    for sent in log.iter().filter(|sent| !unrecorded(sent)) {
        let times = received.entry((sent.id, &sent.thing)).or_default();
        *times += 1;
        if *times > 1 && sent.what[0] != "setPowerMode" {
            return Err(format!("{sent:?} was sent again"));
        }
    }
    let mut shown = BTreeMap::new();
    for (id, target) in received.keys() {
        let Some(header) = engine.header(*id) else {
            return Err(format!("{target} received a command of {id}, which is not there"));
        };
        let never = [Status::Voting, Status::Approved, Status::Denied, Status::Cancelled, Status::Expired];
        if never.contains(&header.status) {
            return Err(format!("{target} received a command of {id}, which is {:?}", header.status));
        }
        shown.insert(*id, world.told.calls(engine, *id)?);
    }
    fates(world, engine, &received, shown)
}

/// Of every call only that is told which is so.
fn fates(
    world: &World,
    engine: &Engine,
    received: &BTreeMap<(ActionId, &str), u32>,
    mut shown: BTreeMap<ActionId, Vec<(String, String, Value)>>,
) -> Result<(), String> {
    for header in world.told.headers() {
        let calls = match shown.remove(&header.id) {
            Some(calls) => calls,
            None if header.counts.ok > 0 => world.told.calls(engine, header.id)?,
            None => continue,
        };
        let wanted = world.told.wanted(header.id).unwrap_or_default();
        // The site's own actions have no device.
        for (_, target, call) in calls.iter().filter(|(rack, ..)| rack != "site") {
            if world.told.is_settled(header.id, target) {
                continue;
            }
            let got = received.contains_key(&(header.id, target.as_str()));
            let did = got && world.site.plant.did(target, &wanted);
            match fate(call) {
                Fate::Ok if !did && header.order.shed.is_none() => {
                    return Err(format!("{} to {target} is told as done and was not: {call}", header.id));
                }
                // Load is shed though its journal cannot be written, and somebody can end it before that is made good.
                Fate::Failed if did && header.order.shed.is_none() => {
                    return Err(format!("{} to {target} is told as failed and was done: {call}", header.id));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Nothing that began is left undone.
pub fn ended(world: &World, engine: &Engine) -> Result<(), String> {
    for header in world.told.headers().filter(|header| header.begun_ms.is_some()) {
        for (_, target, call) in world.told.calls(engine, header.id)? {
            if fate(&call) == Fate::None {
                return Err(format!("{target} was forgotten in {}: {header:?}", header.id));
            }
        }
    }
    Ok(())
}
