//! `v-bind`: a vote is for one content. A digest of anything else is refused, and what was altered in the store after the
//! vote is not executed: only what was voted for is ever sent.

use std::{collections::BTreeSet, sync::Arc};

use headframe_core::{
    action::{ActionId, Ballot, Draft, Engine, RightsSource, Status, policy::Rules, state::Header},
    store::{Batch, ControlStore, Key, Space},
};
use serde_json::{Value, json};

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    site::{Site, by, code, header, name, thing},
};

pub const CHECK: Check = Check {
    name: "v-bind",
    bug: "digest-without-targets",
    ci: 4_000,
    long: 20_000,
    probes: &[
        "other parameters",
        "another target",
        "another policy",
        "another expiry",
        "another firmware",
        "another creator",
        "another action",
        "a digit of the digest",
        "the same content",
        "altered while votes are taken",
        "altered after the decision",
        "altered while the engine was down",
        "altered while it ran",
        "a target changed",
        "a target added",
        "a target taken away",
        "another rack",
        "targets swapped",
        "a row taken away",
        "a row added",
        "a row of another action",
        "the order altered",
        "asked to go on",
    ],
    run,
};

const RACKS: [&str; 2] = ["miner-wm-1", "miner-wm-2"];
const THINGS: u32 = 6;
/// Of each rack so many are voted for.
const CHOSEN: u32 = 4;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.until(
        run.n(),
        |case| {
            if case.rng.u8(..3) == 0 { simulate(digests(case)) } else { simulate(altered(case)) }
        },
    );
    Ok(())
}

/// What is pushed.
#[derive(Debug, Clone)]
struct Content {
    action: &'static str,
    params: Value,
    things: BTreeSet<String>,
    creator: String,
    expires_s: u32,
    within_s: u32,
}

impl Content {
    fn drawn(rng: &mut fastrand::Rng) -> Self {
        let things = RACKS.iter().flat_map(|rack| (0..CHOSEN).map(|n| thing(rack, n))).collect();
        let hash: String = (0..64).map(|_| char::from(b"0123456789abcdef"[rng.usize(..16)])).collect();
        let params = json!([{"sha256": hash, "level": rng.u8(..), "restart": rng.bool()}]);
        Self { action: "needs-2", params, things, creator: name(0), expires_s: 86_400, within_s: 3_600 }
    }

    fn rules(&self) -> Rules {
        let mut rules = Rules::mos();
        (rules.default.expires_s, rules.default.begin_within_s) = (self.expires_s, self.within_s);
        rules
    }

    fn draft(&self) -> Result<Draft, String> {
        let params = self.params.as_array().cloned().unwrap_or_default();
        let query = json!({"id": {"$in": self.things}});
        needed("no draft", Draft::new(self.action, params, query))
    }

    async fn site(&self, case: &Case) -> Result<Site, String> {
        let racks = RACKS.map(|rack| (rack, THINGS));
        Site::new(case, &racks, self.rules(), RightsSource::Claims).await
    }

    async fn push(&self, engine: &Engine) -> Result<ActionId, String> {
        let pushed = engine.push(self.draft()?, &by(&self.creator)?).await;
        needed("not pushed", needed("not pushed", pushed)?.into_id())
    }
}

/// Something else that could have been voted for.
fn other(case: &mut Case, content: &Content) -> Content {
    let mut other = content.clone();
    let first = thing(RACKS[0], case.rng.u32(..CHOSEN));
    match case.rng.u8(..8) {
        0 => {
            case.hit("other parameters");
            other.params[0]["restart"] = json!(other.params[0]["restart"] == json!(false));
        }
        1 => {
            case.hit("another target");
            other.things.remove(&first);
            if case.rng.bool() {
                other.things.insert(thing(RACKS[0], CHOSEN));
            }
        }
        2 => {
            case.hit("another policy");
            other.within_s += 1;
        }
        3 => {
            case.hit("another expiry");
            other.expires_s -= 1;
        }
        4 => {
            case.hit("another firmware");
            let hash = other.params[0]["sha256"].as_str().unwrap_or_default();
            let digit = if hash.starts_with('0') { "1" } else { "0" };
            other.params[0]["sha256"] = format!("{digit}{}", &hash[1..]).into();
        }
        5 => {
            case.hit("another creator");
            other.creator = name(7);
        }
        6 => {
            case.hit("another action");
            other.action = "needs-3";
        }
        _ => case.hit("the same content"),
    }
    other
}

/// Pushes a content at the same time on a site of its own; gives its digest.
async fn digest(case: &Case, content: &Content) -> Result<String, String> {
    let site = content.site(case).await?;
    let engine = site.start().await?;
    let id = content.push(&engine).await?;
    Ok(header(&engine, id)?.digest.to_string())
}

async fn digests(case: &mut Case) -> Result<(), String> {
    let content = Content::drawn(&mut case.rng);
    let site = content.site(case).await?;
    let engine = site.start().await?;
    let id = content.push(&engine).await?;
    let before = header(&engine, id)?;
    let own = before.digest.to_string();
    let other = other(case, &content);
    let same = format!("{other:?}") == format!("{content:?}");
    let foreign = digest(case, &other).await?;
    if (foreign == own) != same {
        return Err(format!("{content:?} and {other:?} have the digests {own} and {foreign}"));
    }
    case.hit("a digit of the digest");
    let at = case.rng.usize(..own.len());
    let digit = if own[at..].starts_with('0') { "1" } else { "0" };
    let mut wrong = vec![
        format!("{}{digit}{}", &own[..at], &own[at + 1..]),
        own[..own.len() - 1].to_owned(),
        format!("{own}0"),
        own.to_uppercase(),
        format!(" {own}"),
    ];
    wrong.retain(|text| *text != own);
    wrong.extend((!same).then_some(foreign));
    for text in wrong {
        case.unit();
        let mut ballot = Ballot::new(true);
        ballot.digest = Some(text.as_str().into());
        let told = engine.vote(id, ballot, &by(&name(1))?).await;
        if code(&told) != "ERR_ACTION_CHANGED" {
            return Err(format!("a vote for {text} instead of {own} got {told:?}"));
        }
    }
    if header(&engine, id)? != before {
        return Err("a refused vote changed the action".into());
    }
    let mut ballot = Ballot::new(true);
    ballot.digest = Some(own.as_str().into());
    needed("the vote for the right content", engine.vote(id, ballot, &by(&name(1))?).await)?;
    site.pass(5_000).await;
    sent(&site, &content, id)?;
    if header(&engine, id)?.status == Status::Completed { Ok(()) } else { Err("it was not executed".into()) }
}

/// Only what was voted for is sent, once.
fn sent(site: &Site, content: &Content, id: ActionId) -> Result<(), String> {
    let what = json!([content.action, content.params]);
    for sent in site.plant.log() {
        if sent.id == id && (!content.things.contains(&sent.thing) || sent.what != what) {
            return Err(format!("{} received {}, which nobody voted for", sent.thing, sent.what));
        }
    }
    match site.plant.received(id).into_iter().find(|(_, times)| *times > 1) {
        Some((thing, times)) => Err(format!("{thing} received it {times} times")),
        None => Ok(()),
    }
}

/// Votes, with something altered in the store on the way.
async fn altered(case: &mut Case) -> Result<(), String> {
    let content = Content::drawn(&mut case.rng);
    let mut site = content.site(case).await?;
    site.options.begin_by_itself = false;
    site.options.in_flight = 1 + case.rng.usize(..3);
    for thing in &content.things {
        site.plant.weigh(thing, case.rng.u64(100..600), 3.0);
    }
    let mut engine = site.start().await?;
    let id = content.push(&engine).await?;
    let mut decoy = content.clone();
    decoy.things = [thing(RACKS[0], CHOSEN), thing(RACKS[1], CHOSEN + 1)].into();
    let decoy = decoy.push(&engine).await?;
    let moment = case.rng.u8(..4);
    if moment == 0 {
        case.hit("altered while votes are taken");
        rows(case, engine.store(), id, decoy).await?;
    }
    needed("not voted", engine.vote(id, Ballot::new(true), &by(&name(1))?).await)?;
    let mut begun = 0;
    match moment {
        0 => {}
        1 => {
            case.hit("altered after the decision");
            rows(case, engine.store(), id, decoy).await?;
        }
        2 => {
            case.hit("altered while the engine was down");
            (engine, _) = while_down(case, &site, engine, id, decoy).await?;
        }
        _ => {
            case.hit("altered while it ran");
            needed("not begun", engine.begin_ready().await)?;
            site.pass(case.rng.u64(300..1_500)).await;
            (engine, begun) = while_down(case, &site, engine, id, decoy).await?;
        }
    }
    held(case, &site, &engine, id, begun, moment).await?;
    case.hit("asked to go on");
    // An action that was never held is held by the next look at the latest.
    drop(engine.resume(id, &by(&name(2))?).await);
    held(case, &site, &engine, id, begun, moment).await?;
    sent(&site, &content, id)
}

/// Kills the engine, alters something, and starts it again; gives how much had been sent.
async fn while_down(
    case: &mut Case,
    site: &Site,
    engine: Engine,
    id: ActionId,
    decoy: ActionId,
) -> Result<(Engine, usize), String> {
    let store = engine.store().clone();
    drop(engine);
    site.pass(1).await;
    let begun = site.plant.count();
    if case.rng.bool() {
        order(case, &store, id).await?;
    } else {
        rows(case, &store, id, decoy).await?;
    }
    needed("not closed", store.close().await)?;
    site.pass(1).await;
    let engine = site.start().await?;
    engine.reconciled().await;
    Ok((engine, begun))
}

/// Nothing is sent any more, and the action says why.
async fn held(
    case: &mut Case,
    site: &Site,
    engine: &Engine,
    id: ActionId,
    begun: usize,
    moment: u8,
) -> Result<(), String> {
    needed("not begun", engine.begin_ready().await)?;
    site.pass(case.rng.u64(3_000..20_000)).await;
    let now = header(engine, id)?;
    if site.plant.count() > begun {
        let log = site.plant.log();
        return Err(format!("{:?} was sent after the store was altered, {}", log.last(), shown(&now)));
    }
    // A run that was cut may have had nothing left.
    let over = moment == 3 && now.counts.open == 0 && now.counts.waiting() == 0;
    let why = now.hold.as_ref().and_then(|hold| hold.why.as_deref());
    if over || why == Some("ERR_ACTION_CHANGED") { Ok(()) } else { Err(format!("not held: {}", shown(&now))) }
}

fn shown(header: &Arc<Header>) -> String {
    format!("{} {:?} {:?}", header.status.as_str(), header.counts, header.hold)
}

fn of(store: &ControlStore, id: ActionId) -> Vec<(Key, Value)> {
    let prefix = format!("{}/", Key::number(id.get()));
    let records = store.scan_prefix(Space::Targets, &prefix);
    records.into_iter().filter_map(|r| Some((r.key.clone(), r.parse::<Value>().ok()?))).collect()
}

/// Alters the targets of an action.
async fn rows(case: &mut Case, store: &ControlStore, id: ActionId, decoy: ActionId) -> Result<(), String> {
    let mut all = of(store, id);
    let at = case.rng.usize(..all.len());
    let (key, row) = all[at].clone();
    let (mut row, mut batch) = (row, Batch::new());
    let calls = row["calls"].as_array_mut().ok_or("a row without calls")?;
    let call = case.rng.usize(..calls.len());
    let foreign = thing(RACKS[at], CHOSEN + case.rng.u32(..2));
    match case.rng.u8(..8) {
        0 => {
            case.hit("a target changed");
            calls[call]["id"] = foreign.into();
        }
        1 => {
            case.hit("a target added");
            calls.push(json!({"id": foreign}));
        }
        2 => {
            case.hit("a target taken away");
            calls.remove(call);
        }
        3 => {
            case.hit("another rack");
            row["rack"] = RACKS[1 - at].into();
        }
        4 => {
            case.hit("targets swapped");
            calls.swap(call, (call + 1) % CHOSEN as usize);
        }
        5 => {
            case.hit("a row taken away");
            batch = batch.delete(Space::Targets, &key);
            all.clear();
        }
        6 => {
            case.hit("a row added");
            let mut more = row.clone();
            more["first"] = (2 * CHOSEN).into();
            more["calls"] = json!([{"id": foreign}]);
            let key = Key::number(id.get()).join(Key::number(2));
            batch = batch.put(Space::Targets, key, &more);
            all.clear();
        }
        _ => {
            case.hit("a row of another action");
            row = of(store, decoy).first().ok_or("no other action")?.1.clone();
        }
    }
    if !all.is_empty() {
        batch = batch.put(Space::Targets, key, &row);
    }
    needed("not altered", store.commit(batch).await).map(drop)
}

/// Alters what an action is for.
async fn order(case: &mut Case, store: &ControlStore, id: ActionId) -> Result<(), String> {
    case.hit("the order altered");
    let key = Key::number(id.get());
    let record = store.get_record(Space::Actions, &key).ok_or("no record")?;
    let mut record: Value = needed("no header", record.parse())?;
    let order = &mut record["order"];
    match case.rng.u8(..6) {
        0 => order["params"][0]["level"] = 1_000.into(),
        1 => order["action"] = "needs-3".into(),
        2 => order["targets"] = "0".repeat(64).into(),
        3 => order["terms"]["votes_for"] = 1.into(),
        4 => order["terms"]["begin_within_s"] = 3_601.into(),
        _ => order["creator"] = name(9).into(),
    }
    needed("not altered", store.commit(Batch::new().put(Space::Actions, key, &record)).await).map(drop)
}
