//! `v-authz`: who may call what. Every caller asks every method of every action in sites of every kind, and is told what a
//! second table says; a refused call changes nothing and sends nothing.
//!
//! A method that says of nobody what it needs does not build: a row of the dispatcher's table has no default. One that the
//! second table does not know, or the other way round, is a violation of its own.

use std::collections::BTreeSet;

use headframe_core::{
    Error, ErrorKind, Result as Answer,
    auth::Area,
    ork::call::{Reply, methods},
};
use serde_json::Value;

use super::Check;
use crate::{
    authz::{
        AREAS, Cell, Expect, Held, Lab, Mark, Profile, SETTINGS, Setting, TABLE, THINGS, Target, Who, cells,
        everybody, expect, good, hostile,
    },
    rig::simulate,
    run::{Case, Run},
};

pub const CHECK: Check = Check {
    name: "v-authz",
    bug: "open-route",
    ci: 125_000,
    long: 800_000,
    probes: &[
        "the tables name the same methods",
        "no such method",
        "MiningOS's rules",
        "the site's list of people",
        "no stop",
        "halted",
        "frozen",
        "a rack locked",
        "the caller locked",
        "an absent action",
        "voting",
        "voted",
        "pushed by the caller",
        "of two families",
        "of the site itself",
        "a push for the site itself",
        "approved",
        "executing",
        "paused",
        "ended",
        "of unknown fate",
        "may not read",
        "may not write",
        "refused by the engine",
        "refused in the answer",
        "not seen",
        "allowed to read",
        "allowed to write",
        "a stranger's body",
        "a stranger's body, taken",
        "goes on",
    ],
    run,
};

/// Cells of a case.
const BLOCK: usize = 200;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.each(1, |_, case| tables(case));
    let people = everybody();
    let all = cells(&people);
    let seed = run.seed();
    let mut shuffled: Vec<Vec<Cell>> = Vec::new();
    for setting in 0..SETTINGS {
        let mut own = all.clone();
        fastrand::Rng::with_seed(seed ^ setting.wrapping_mul(0x9e37_79b9)).shuffle(&mut own);
        shuffled.push(own);
    }
    run.until(run.n(), |case| {
        let kind = case.index % SETTINGS;
        let own = shuffled.get(usize::try_from(kind).unwrap_or_default()).ok_or("no such kind")?;
        let blocks = own.len().div_ceil(BLOCK);
        let at = usize::try_from(case.index / SETTINGS).unwrap_or_default() % blocks;
        let block = own.chunks(BLOCK).nth(at).unwrap_or_default();
        simulate(asked(case, Setting::of(kind), &people, block))
    });
    Ok(())
}

/// The dispatcher and the table name the same methods and the same areas.
fn tables(case: &mut Case) -> Result<(), String> {
    let known: BTreeSet<&str> = methods().iter().map(|row| row.name).collect();
    let declared: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    if known != declared || known.len() != methods().len() || declared.len() != TABLE.len() {
        let differ: Vec<_> = known.symmetric_difference(&declared).collect();
        return Err(format!("methods that only one table names, or names twice: {differ:?}"));
    }
    let areas: BTreeSet<&str> = Area::ALL.iter().map(|area| area.as_str()).collect();
    if areas != AREAS.into() {
        return Err(format!(
            "areas that only one table names: {:?}",
            areas.symmetric_difference(&AREAS.into())
        ));
    }
    case.hit("the tables name the same methods");
    Ok(())
}

async fn asked(case: &mut Case, setting: Setting, people: &[Who], block: &[Cell]) -> Result<(), String> {
    reached(case, setting);
    let mut lab = Lab::new(case, setting).await?;
    unknown(case, &lab, people).await?;
    for cell in block {
        let who = people.get(cell.who).ok_or("nobody")?;
        case.unit();
        case.hit_if(cell.target != Target::None, cell.target.name());
        let body = good(&lab, cell.row, cell.target, who);
        let strange = case.rng.u8(..8) == 0;
        if strange {
            let text = hostile(&mut case.rng, &body);
            if !stranger(case, &lab, cell, who, &text).await? {
                lab = Lab::new(case, setting).await?;
            }
        }
        let body = good(&lab, cell.row, cell.target, who);
        let before = lab.mark()?;
        let told = lab.ask(who, cell.row.name, &body.to_string()).await?;
        let expected = expect(cell, who, setting);
        let verdict =
            judge(case, cell, who, expected, &told).and_then(|()| same(cell, expected, &before, &lab));
        verdict.map_err(|why| {
            format!("{setting:?}, {}: {}, {}: {why}", cell.row.name, who.name, cell.target.name())
        })?;
        if lab.mark()? != before && !cell.row.leaves_all_as_it_was() {
            lab = Lab::new(case, setting).await?;
        }
    }
    if setting.held == Held::Open {
        lab.goes_on().await?;
        case.hit("goes on");
    }
    Ok(())
}

fn reached(case: &mut Case, setting: Setting) {
    case.hit(match setting.profile {
        Profile::Mos => "MiningOS's rules",
        Profile::Safe => "the site's list of people",
    });
    case.hit(match setting.held {
        Held::Open => "no stop",
        Held::Halted => "halted",
        Held::Frozen => "frozen",
        Held::RackLocked => "a rack locked",
        Held::CarolLocked => "the caller locked",
    });
}

/// A name that is none stays one, whoever asks.
async fn unknown(case: &mut Case, lab: &Lab, people: &[Who]) -> Result<(), String> {
    let who = people.get(case.rng.usize(..people.len())).ok_or("nobody")?;
    let row = &TABLE[case.rng.usize(..TABLE.len())];
    let name = match case.rng.u8(..4) {
        0 => row.name.to_uppercase(),
        1 => format!("{} ", row.name),
        2 => format!("{}\0", row.name),
        _ => "queryThing".to_owned(),
    };
    let before = lab.mark()?;
    let told = lab.ask(who, &name, "{}").await?;
    case.hit("no such method");
    match told {
        Err(e) if e.code() == "UNKNOWN_METHOD" && lab.mark()? == before => Ok(()),
        other => Err(format!("the method {name:?} is none, and {} was told {other:?}", who.name)),
    }
}

/// A call with a body that no client sends; gives whether the site is as before. Without the right it is refused before
/// anybody looks at the body; an error leaves everything as it is, and so does whatever only reads.
async fn stranger(case: &mut Case, lab: &Lab, cell: &Cell, who: &Who, body: &str) -> Result<bool, String> {
    let before = lab.mark()?;
    let told = lab.ask(who, cell.row.name, body).await?;
    let same = lab.mark()? == before;
    case.hit("a stranger's body");
    case.hit_if(told.is_ok(), "a stranger's body, taken");
    let wrong = |why: &str| Err(format!("{} of {} {why} with {body:?}: {told:?}", cell.row.name, who.name));
    if let Expect::NoRight(code) = expect(cell, who, lab.setting)
        && !(is_refused(&told, code) && same)
    {
        return wrong("is open");
    }
    if !same && (told.is_err() || !cell.row.writes()) {
        return wrong("changed something");
    }
    match &told {
        Err(e) if matches!(e.kind(), ErrorKind::Internal | ErrorKind::Corrupt) => wrong("ended badly"),
        _ => Ok(same),
    }
}

fn is_refused(told: &Answer<Reply>, code: &str) -> bool {
    told.as_ref().is_err_and(|e| e.kind() == ErrorKind::Forbidden && e.code() == code)
}

/// Whether the answer is the expected one.
fn judge(
    case: &mut Case,
    cell: &Cell,
    who: &Who,
    expected: Expect,
    told: &Answer<Reply>,
) -> Result<(), String> {
    let right = match (expected, told) {
        (Expect::NoRight(code), _) => is_refused(told, code),
        (Expect::Refused(code), Err(e)) => e.code() == code,
        (Expect::AnsweredNo(code), Ok(reply)) => says_no(&reply.value, code),
        (Expect::Nothing, Ok(reply)) => reply.value == 0,
        (Expect::Done, Ok(reply)) => says_yes(&reply.value) && sees(cell, who, reply),
        (Expect::Otherwise, Err(e)) => !is_of_rights(e),
        _ => false,
    };
    case.hit(match expected {
        Expect::NoRight("ERR_AUTH_FAIL_NO_PERMS") => "may not read",
        Expect::NoRight(_) => "may not write",
        Expect::Refused(_) | Expect::Otherwise => "refused by the engine",
        Expect::AnsweredNo(_) => "refused in the answer",
        Expect::Nothing => "not seen",
        Expect::Done if cell.row.writes() => "allowed to write",
        Expect::Done => "allowed to read",
    });
    if right { Ok(()) } else { Err(format!("expected {expected:?}, told {told:?}")) }
}

fn is_of_rights(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Internal)
}

/// Answers that say no: of a push, and of a cancel.
fn says_no(value: &Value, code: &str) -> bool {
    let no = |one: &Value| one["id"].is_null() || one["success"] == false;
    let told = |one: &Value| no(one) && one.to_string().contains(code);
    value.as_array().map_or_else(|| told(value), |all| !all.is_empty() && all.iter().all(told))
}

fn says_yes(value: &Value) -> bool {
    let no = |one: &Value| {
        one.get("id").is_some_and(Value::is_null) || one["success"] == false || one["moved"] == false
    };
    value.as_array().map_or_else(|| !no(value), |all| !all.iter().any(no))
}

/// Whether a caller sees all that is its own to see, and nothing else.
fn sees(cell: &Cell, who: &Who, reply: &Reply) -> bool {
    let own = || THINGS.iter().filter(|(_, _, area)| who.has(area, 'r'));
    let racks: BTreeSet<&str> = own().map(|(_, rack, _)| *rack).collect();
    let named = |member: &str| -> Option<BTreeSet<&str>> {
        reply.value.as_array()?.iter().map(|one| one[member].as_str()).collect()
    };
    match cell.row.name {
        "listThings" => named("id") == Some(own().map(|(id, ..)| *id).collect()),
        "getThingsCount" => reply.value == own().count(),
        "listRacks" => named("id") == Some(racks),
        "getHistoricalLogs" => named("rack") == Some(racks),
        "getWrkConf" | "getThingConf" => {
            named("rackId") == Some(racks.into_iter().filter(|rack| rack.starts_with("miner")).collect())
        }
        "getMisplacedThings" => {
            named("id") == Some(own().map(|(id, ..)| *id).filter(|id| *id == "f2").collect())
        }
        _ => true,
    }
}

/// Whether only what was allowed changed anything, and sent nothing on the spot that nobody voted for.
fn same(cell: &Cell, expected: Expect, before: &Mark, lab: &Lab) -> Result<(), String> {
    let changed = lab.mark()? != *before;
    let may = expected == Expect::Done && cell.row.writes();
    if changed && !may {
        return Err(format!("something changed: {before:?} is {:?} now", lab.mark()?));
    }
    // There is no rack that was registered.
    let nothing = cell.row.name == "forgetRacks";
    if may && !changed && !nothing { Err("it was allowed, and nothing changed".into()) } else { Ok(()) }
}
