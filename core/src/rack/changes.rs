//! Register, update and forget: each judged against everything that is registered or about to be.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    addressing::{self, Addressing},
    api::{Caller, Comment, RackId, RackInfo, ThingChange, ThingDraft, family_of},
    checks::{self, Claim},
    codes, comments,
    desk::Desk,
    facts::Facts,
    history::{self, HistoryKind},
    identity, inventory,
    options::NO_DRIVER,
    record::{Stamp, ThingRecord},
    secrets, tags,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Registry,
    model::{Members, Text, ThingConf},
};

const REGISTER: &str = "thing.register";
const UPDATE: &str = "thing.update";
const FORGET: &str = "thing.forget";
const REASSIGN: &str = "thing.reassign";
/// So that an id fits into the keys of the store.
const MOST_ID_BYTES: usize = 256;
/// Most things forgotten at once: they are forgotten together.
pub(super) const MOST_FORGOTTEN: usize = 9_000;

/// What a rack asks of its things.
#[derive(Debug)]
pub(super) struct Rules {
    pub info: RackInfo,
    pub drivers: Arc<Registry>,
    pub default_driver: String,
    pub tags: Vec<String>,
    pub allow_duplicate_ips: bool,
    pub addressing: Addressing,
    pub container_subnets: BTreeMap<String, String>,
}

pub(super) fn register(
    desk: &mut Desk,
    rules: &Rules,
    draft: ThingDraft,
    by: &Caller,
) -> Result<Arc<ThingRecord>> {
    let family = rules.info.family();
    let id = new_id(desk, draft.id.as_deref())?;
    if let Some(code) = &draft.code {
        codes::check(code)?;
    }
    tags::check(&draft.tags)?;
    let opts = match draft.opts {
        Some(opts) => opts,
        None if family == "miner" => {
            let text = "a miner needs options: its address at least";
            return Err(Error::invalid(REGISTER, "opts", text).code_as("ERR_THING_VALIDATE_OPTS_INVALID"));
        }
        None => Members::new(),
    };
    check_opts(opts.iter(), opts.get("address"))?;
    check_info(&rules.info.thing_type, &draft.info, None)?;
    let driver = driver(rules, draft.driver)?;
    let mut conf = ThingConf::new(id.clone(), &driver).typed(&rules.info.thing_type);
    conf.opts.clone_from(&opts);
    check_conf(REGISTER, rules, &conf)?;
    let now = desk.now();
    let comment = draft.comment.map(|text| comment(desk, now, &text, None, by)).transpose()?;

    let cx = &desk.shared.cx;
    let sealer = desk.shared.store.sealer();
    let mut info = draft.info;
    addressing::subnet(&rules.container_subnets, family, &mut info);
    secrets::seal_info(sealer, &*cx.rng, &id, &mut info)?;
    info.insert("createdAt".into(), now.into());
    info.insert("updatedAt".into(), now.into());
    let opts = secrets::seal(sealer, &*cx.rng, &id, &opts)?;
    let code = draft.code.unwrap_or_else(|| new_code(desk, &rules.info.thing_type, &info)).into();
    let mut record = ThingRecord {
        id,
        code,
        rack: rules.info.id.clone(),
        thing_type: rules.info.thing_type.as_str().into(),
        driver: driver.into(),
        tags: Vec::new(),
        opts: Facts::from(opts).into(),
        info: info.into(),
        comments: comment.into_iter().collect(),
        read_only: draft.read_only,
        held: None,
        evidence: None,
        revision: Stamp::default(),
    };
    record.tags = all_tags(rules, &record, &texts(&draft.tags));
    desk.free(REGISTER, &record, None, rules.allow_duplicate_ips)?;
    let entry = history::entry(now, HistoryKind::Register, by, None, Some(&record));
    Ok(desk.put(record, entry))
}

fn new_id(desk: &Desk, given: Option<&str>) -> Result<ThingId> {
    let Some(text) = given else {
        let id = ThingId::random(&*desk.shared.cx.rng);
        return if desk.current(&id).is_none() { Ok(id) } else { new_id(desk, None) };
    };
    let id = ThingId::new(text).map_err(|e| e.code_as("ERR_THING_ID_INVALID"))?;
    if text.len() > MOST_ID_BYTES {
        let why = "an id has at most 256 bytes";
        return Err(Error::invalid(REGISTER, "id", why).code_as("ERR_THING_ID_INVALID"));
    }
    if desk.current(&id).is_some() {
        let e = Error::new(ErrorKind::Conflict, REGISTER, "a thing has this id already");
        return Err(e.code_as("ERR_THING_WITH_ID_ALREADY_EXISTS").with("field", "id").with("thing", &id));
    }
    Ok(id)
}

fn new_code(desk: &Desk, thing_type: &str, info: &Map<String, Value>) -> String {
    match inventory::code_prefix(thing_type, info) {
        Some((prefix, digits)) => desk.codes.next_of(&prefix, digits),
        None => desk.codes.next(&codes::prefix(thing_type)),
    }
}

fn driver(rules: &Rules, wanted: Option<String>) -> Result<String> {
    let driver = wanted.unwrap_or_else(|| rules.default_driver.clone());
    if driver != NO_DRIVER || rules.default_driver != NO_DRIVER {
        let known = rules.drivers.driver(&driver).map(|_| ());
        known.map_err(|e| Error::invalid(REGISTER, "driver", e.message().to_owned()))?;
    }
    Ok(driver)
}

/// Has the driver look at the options of a thing that is somewhere.
fn check_conf(op: &'static str, rules: &Rules, conf: &ThingConf) -> Result<()> {
    let somewhere = conf.opts.get("address").and_then(Value::as_str).is_some_and(|a| !a.is_empty());
    let Some(driver) = rules.drivers.driver(&conf.driver).ok().filter(|_| somewhere) else { return Ok(()) };
    driver.check(conf).map_err(|e| {
        let field = format!("opts.{}", e.fact("field").unwrap_or_default());
        let e = Error::invalid(op, field.trim_end_matches('.'), e.message().to_owned());
        e.code_as("ERR_THING_VALIDATE_OPTS_INVALID").with("driver", &conf.driver)
    })
}

fn check_info(thing_type: &str, info: &Map<String, Value>, old: Option<&Map<String, Value>>) -> Result<()> {
    checks::size("info", info.iter().map(|(name, value)| (name.as_str(), value)))?;
    match family_of(thing_type) {
        "inventory" => inventory::check(thing_type, info, old),
        family => checks::info(family, info),
    }
}

fn check_opts<'a>(opts: impl Iterator<Item = (&'a str, &'a Value)>, address: Option<&Value>) -> Result<()> {
    checks::size("opts", opts)?;
    match address {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if !text.chars().any(|c| c.is_whitespace() || c.is_control()) => Ok(()),
        Some(_) => Err(Error::invalid(REGISTER, "opts.address", "an address is a text without white space")
            .code_as("ERR_THING_VALIDATE_OPTS_INVALID")),
    }
}

fn all_tags(rules: &Rules, record: &ThingRecord, given: &[Text]) -> Vec<Text> {
    let from = tags::From {
        thing_type: &record.thing_type,
        rack: &rules.tags,
        id: record.id.as_str(),
        code: &record.code,
        info: &record.info,
    };
    tags::all(from, given)
}

fn texts(tags: &[String]) -> Vec<Text> {
    tags.iter().map(Text::from).collect()
}

/// A comment with a new id.
pub(super) fn comment(desk: &Desk, ts: i64, text: &str, pos: Option<&str>, by: &Caller) -> Result<Comment> {
    comments::check(text)?;
    let id = ThingId::random(&*desk.shared.cx.rng).as_str().to_owned();
    let pos = pos.filter(|pos| !pos.is_empty()).map(Into::into);
    Ok(Comment { id, ts, comment: text.into(), user: by.user.clone(), pos })
}

/// The thing of this rack.
pub(super) fn own(desk: &Desk, rack: &RackId, id: &ThingId, op: &'static str) -> Result<Arc<ThingRecord>> {
    desk.current(id).filter(|record| record.rack == *rack).ok_or_else(|| unknown(op, id))
}

pub(super) fn unknown(op: &'static str, id: &ThingId) -> Error {
    let e = Error::new(ErrorKind::NotFound, op, "there is no such thing");
    e.code_as("ERR_THING_NOTFOUND").with("thing", id)
}

pub(super) fn update(
    desk: &mut Desk,
    rules: &Rules,
    id: &ThingId,
    change: ThingChange,
    by: &Caller,
) -> Result<Arc<ThingRecord>> {
    let old = own(desk, &rules.info.id, id, UPDATE)?;
    if change.if_revision.is_some_and(|wanted| wanted != old.revision()) {
        let e = Error::new(ErrorKind::Conflict, UPDATE, "the thing was changed meanwhile: read it again");
        return Err(e.with("thing", id).with("revision", old.revision()));
    }
    let now = desk.now();
    let mut new = ThingRecord::clone(&old);
    if let Some(opts) = change.opts {
        new.opts = changed_opts(desk, &old, opts, change.force_overwrite)?.into();
    }
    if let Some(address) = change.address {
        new.opts.set("address", address.map_or(Value::Null, |ip| ip.to_string().into()));
    }
    if old.opts != new.opts {
        check_conf(UPDATE, rules, &new.conf(desk.shared.store.sealer())?)?;
    }
    let mut info = facts(desk, rules, &old, change.info, change.force_overwrite)?;
    if let Some(action) = change.action_id {
        info.insert("lastActionId".into(), action.into());
    }
    info.insert("updatedAt".into(), now.into());
    new.info = info.into();
    if let Some(text) = change.comment {
        let added = comment(desk, now, &text, None, by)?;
        comments::add(&mut new.comments, added)?;
    }
    let given = match change.tags {
        Some(given) => {
            tags::check(&given)?;
            texts(&given)
        }
        None => tags::given(&old.tags, &rules.tags),
    };
    new.tags = all_tags(rules, &new, &given);
    let same = |name: &str| old.info.get(name) == new.info.get(name);
    if !(same("macAddress") && same("serialNum")) {
        // A person said which device it is; what it says is learnt anew.
        new.evidence = None;
    }
    new.read_only = change.read_only.unwrap_or(old.read_only);
    if identity::is_settled(&old, &new) {
        new.held = None;
    }
    desk.free(UPDATE, &new, Some(&old), rules.allow_duplicate_ips)?;
    let entry = history::entry(now, HistoryKind::Update, by, Some(&old), Some(&new));
    Ok(desk.put(new, entry))
}

/// The facts of `old` with those given, checked as a whole.
fn facts(
    desk: &Desk,
    rules: &Rules,
    old: &ThingRecord,
    given: Option<Map<String, Value>>,
    overwrite: bool,
) -> Result<Map<String, Value>> {
    let (named, before) = (given.clone().unwrap_or_default(), old.info.map());
    let mut new = match given {
        Some(given) => changed_info(desk, old, given, overwrite)?,
        None => before.clone(),
    };
    if named.contains_key("container") && !named.contains_key("subnet") {
        addressing::subnet(&rules.container_subnets, old.family(), &mut new);
    }
    check_info(&old.thing_type, &new, Some(&before))?;
    if old.family() == "inventory" {
        inventory::step(&old.thing_type, &before, &new, &named)?;
    }
    if ["location", "container"].iter().any(|name| named.contains_key(*name)) {
        checks::location(old.family(), &new)?;
    }
    Ok(new)
}

fn changed_opts(desk: &Desk, old: &ThingRecord, given: Members<Value>, overwrite: bool) -> Result<Facts> {
    let sealed = secrets::seal(desk.shared.store.sealer(), &*desk.shared.cx.rng, &old.id, &given)?;
    let mut opts = if overwrite { Map::new() } else { old.opts.all().map() };
    opts.extend(sealed);
    check_opts(opts.iter().map(|(name, value)| (name.as_str(), value)), opts.get("address"))?;
    Ok(opts.into())
}

fn changed_info(
    desk: &Desk,
    old: &ThingRecord,
    mut given: Map<String, Value>,
    overwrite: bool,
) -> Result<Map<String, Value>> {
    secrets::seal_info(desk.shared.store.sealer(), &*desk.shared.cx.rng, &old.id, &mut given)?;
    let mut info = if overwrite { Map::new() } else { old.info.map() };
    info.extend(given);
    match old.info.get("createdAt") {
        Some(created) => info.insert("createdAt".into(), created),
        None => info.remove("createdAt"),
    };
    Ok(info)
}

/// Takes a thing from one rack to another that is open; everything of it stays but rack, type and made tags.
pub(super) fn reassign(
    desk: &mut Desk,
    id: &ThingId,
    from: &RackId,
    to: &RackId,
    by: &Caller,
) -> Result<Arc<ThingRecord>> {
    let old = desk.current(id).ok_or_else(|| unknown(REASSIGN, id))?;
    if old.rack != *from {
        let e = Error::new(ErrorKind::Conflict, REASSIGN, "the thing is in another rack");
        return Err(e.code_as("ERR_THING_RACK_CHANGED").with("thing", id).with("from", from));
    }
    if from == to {
        let e = Error::invalid(REASSIGN, "to", "the thing is in that rack already");
        return Err(e.with("thing", id).with("to", to));
    }
    let closed = || {
        let e = Error::new(ErrorKind::NotFound, REASSIGN, "there is no such rack, or it is not open");
        e.code_as("ERR_RACK_NOT_FOUND").with("rack", to)
    };
    let rules = desk.shared.follower(to).ok_or_else(closed)?.rules();
    if old.family() != rules.info.family() {
        let e = Error::invalid(REASSIGN, "rack", "the rack is for things of another family");
        return Err(e.code_as("ERR_RACK_FAMILY").with("from", from).with("to", to));
    }
    driver(&rules, Some(old.driver.as_str().to_owned())).map_err(|e| e.with("thing", id).with("to", to))?;
    // The tags of a rack that is not open cannot be told from those of people.
    let before = desk.shared.follower(from).map(|from| from.rules());
    let given = tags::given(&old.tags, before.as_ref().map_or(&[], |rules| &rules.tags));
    if !rules.allow_duplicate_ips
        && let Some(other) = desk.owners(&old, &[Claim::Address]).first()
    {
        return Err(Claim::Address.taken(REASSIGN, other).with("thing", id).with("to", to));
    }
    let now = desk.now();
    let mut new = ThingRecord {
        rack: rules.info.id.clone(),
        thing_type: rules.info.thing_type.as_str().into(),
        ..ThingRecord::clone(&old)
    };
    new.info.set("updatedAt", now);
    new.tags = all_tags(&rules, &new, &given);
    let entry = history::entry(now, HistoryKind::Moved, by, Some(&old), Some(&new));
    Ok(desk.put(new, entry))
}

/// Forgets all of `which` or none: each must still be as it was when it was chosen.
pub(super) fn forget(
    desk: &mut Desk,
    rack: &RackId,
    which: &[(ThingId, u64)],
    by: &Caller,
) -> Result<Vec<ThingId>> {
    if which.len() > MOST_FORGOTTEN {
        let text = format!("{} things match; at most {MOST_FORGOTTEN} are forgotten at once", which.len());
        return Err(Error::invalid(FORGET, "query", text));
    }
    for (id, revision) in which {
        let now = desk.current(id).filter(|record| record.rack == *rack);
        if now.is_none_or(|record| record.revision() != *revision) {
            let e = Error::new(ErrorKind::Conflict, FORGET, "a thing was changed meanwhile: ask again");
            return Err(e.with("thing", id));
        }
    }
    for (id, _) in which {
        drop_thing(desk, id, HistoryKind::Forget, by);
    }
    Ok(which.iter().map(|(id, _)| id.clone()).collect())
}

pub(super) fn drop_thing(desk: &mut Desk, id: &ThingId, what: HistoryKind, by: &Caller) {
    let old = desk.current(id);
    let entry = history::entry(desk.now(), what, by, old.as_deref(), None);
    desk.remove(id, entry);
}
