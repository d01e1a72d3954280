//! `v-replay`: every push and every vote comes three times, in any order, at once, cut off before its answer, and again
//! after a restart: it has one effect and one answer, and the same key with another body is refused.

use std::collections::{BTreeMap, BTreeSet};

use headframe_core::{
    Error, ErrorKind,
    action::{ActionId, Ballot, BatchOptions, Bucket, Engine, Pushed, RightsSource, policy::Rules},
};
use serde_json::json;

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    site::{Site, by, code, draft, name, spelt},
};

pub const CHECK: Check = Check {
    name: "v-replay",
    bug: "no-keys",
    ci: 1_000,
    long: 10_000,
    probes: &[
        "pushed again",
        "pushed again in a batch",
        "voted again",
        "several at once",
        "its answer was lost",
        "again after a restart",
        "another body for a push",
        "another body for a vote",
        "somebody else's key",
        "voted again after it was taken back",
        "again after it was decided",
    ],
    run,
};

const RACK: &str = "miner-wm-1";
const THINGS: u32 = 3;
const TIMES: usize = 3;

/// A push that comes several times.
#[derive(Debug, Clone)]
struct Push {
    who: usize,
    key: String,
    votes: u32,
    params: u32,
    thing: u32,
}

/// A vote that comes several times.
#[derive(Debug, Clone)]
struct Vote {
    who: usize,
    key: String,
    push: usize,
    approve: bool,
}

/// What a case knows.
#[derive(Debug, Default)]
struct Known {
    pushes: Vec<Push>,
    answers: BTreeMap<usize, Pushed>,
    votes: Vec<Vote>,
    /// Votes that were acknowledged.
    counted: BTreeSet<usize>,
    /// Votes that were taken back.
    back: BTreeSet<usize>,
}

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.until(run.n(), |case| simulate(one(case)));
    Ok(())
}

async fn one(case: &mut Case) -> Result<(), String> {
    let site = Site::new(case, &[(RACK, THINGS)], Rules::mos(), RightsSource::Claims).await?;
    let mut engine = site.start().await?;
    let mut known = drawn(case);
    pushes(case, &engine, &mut known, TIMES).await?;
    other_bodies(case, &engine, &known).await?;
    votes(case, &engine, &mut known, TIMES).await?;
    taken_back(case, &engine, &mut known).await?;
    for _ in 0..case.rng.usize(1..3) {
        engine = site.restart(engine).await?;
        site.pass(case.rng.u64(..3_000)).await;
        case.hit("again after a restart");
        pushes(case, &engine, &mut known, 1).await?;
        votes(case, &engine, &mut known, 1).await?;
        other_bodies(case, &engine, &known).await?;
    }
    site.pass(10_000).await;
    effects(case, &site, &engine, &known)
}

fn drawn(case: &mut Case) -> Known {
    let rng = &mut case.rng;
    let mut known = Known::default();
    for n in 0..rng.usize(2..6) {
        let (who, votes) = (rng.usize(..3), rng.u32(2..5));
        known.pushes.push(Push {
            who,
            key: format!("p{n}"),
            votes,
            params: rng.u32(..9),
            thing: rng.u32(..THINGS),
        });
    }
    for n in 0..rng.usize(2..9) {
        let (push, who) = (rng.usize(..known.pushes.len()), rng.usize(3..8));
        if known.votes.iter().any(|v| (v.who, v.push) == (who, push)) {
            continue;
        }
        known.votes.push(Vote { who, key: format!("v{n}"), push, approve: rng.u8(..8) > 0 });
    }
    known
}

fn content(push: &Push) -> Result<headframe_core::action::Draft, String> {
    let query = json!({"id": crate::site::thing(RACK, push.thing)});
    let mut draft = draft(push.votes, vec![json!({"n": push.params})], query)?;
    draft.client_key = Some(push.key.as_str().into());
    Ok(draft)
}

/// Delivers every push so many times.
async fn pushes(case: &mut Case, engine: &Engine, known: &mut Known, times: usize) -> Result<(), String> {
    let mut order: Vec<usize> = (0..known.pushes.len()).cycle().take(known.pushes.len() * times).collect();
    case.rng.shuffle(&mut order);
    for chunk in order.chunks(case.rng.usize(1..5)) {
        let mut tasks = Vec::new();
        for n in chunk {
            let push = &known.pushes[*n];
            let who = by(&spelt(&mut case.rng, &name(push.who)))?;
            let (engine, draft, batched) = (engine.clone(), content(push)?, case.rng.u8(..4) == 0);
            case.hit_if(batched, "pushed again in a batch");
            let task = tokio::spawn(async move {
                if batched {
                    let twice = vec![draft.clone(), draft];
                    engine.push_batch(twice, &BatchOptions::default(), &who).await
                } else {
                    engine.push(draft, &who).await.map(|pushed| vec![pushed])
                }
            });
            tasks.push((*n, task, cut_off(case).await));
        }
        case.hit_if(tasks.len() > 1, "several at once");
        for (n, task, cut) in tasks {
            if cut {
                case.hit("its answer was lost");
                task.abort();
            }
            let Ok(answers) = task.await else { continue };
            for answer in needed("not pushed", answers)? {
                case.hit_if(known.answers.contains_key(&n), "pushed again");
                let first = known.answers.entry(n).or_insert_with(|| answer.clone());
                if *first != answer || answer.id.is_none() {
                    return Err(format!("{:?} got {first:?} and then {answer:?}", known.pushes[n]));
                }
            }
        }
    }
    // Those of which every answer was lost come once more.
    for n in 0..known.pushes.len() {
        if !known.answers.contains_key(&n) {
            let who = by(&name(known.pushes[n].who))?;
            let answer = needed("not pushed", engine.push(content(&known.pushes[n])?, &who).await)?;
            known.answers.insert(n, answer);
        }
    }
    Ok(())
}

/// Some callers go away before they are answered, after some steps of the others.
async fn cut_off(case: &mut Case) -> bool {
    let cut = case.rng.u8(..6) == 0;
    if cut {
        for _ in 0..case.rng.usize(..6) {
            tokio::task::yield_now().await;
        }
    }
    cut
}

fn id_of(known: &Known, push: usize) -> Result<ActionId, String> {
    let id = known.answers.get(&push).and_then(|answer| answer.id);
    id.ok_or_else(|| "a push without an id".to_owned())
}

/// Delivers every vote so many times.
async fn votes(case: &mut Case, engine: &Engine, known: &mut Known, times: usize) -> Result<(), String> {
    let mut order: Vec<usize> = (0..known.votes.len()).cycle().take(known.votes.len() * times).collect();
    case.rng.shuffle(&mut order);
    for chunk in order.chunks(case.rng.usize(1..5)) {
        let mut tasks = Vec::new();
        for n in chunk {
            let vote = &known.votes[*n];
            let who = by(&spelt(&mut case.rng, &name(vote.who)))?;
            let (engine, id) = (engine.clone(), id_of(known, vote.push)?);
            let mut ballot = Ballot::new(vote.approve);
            ballot.client_key = Some(vote.key.as_str().into());
            tasks.push((*n, id, tokio::spawn(async move { engine.vote(id, ballot, &who).await })));
        }
        for (n, id, task) in tasks {
            let answer = task.await.map_err(|e| e.to_string())?;
            let before = known.counted.contains(&n);
            let decided = engine.header(id).is_some_and(|h| h.status.as_str() != "VOTING");
            case.hit_if(before, "voted again");
            case.hit_if(before && decided, "again after it was decided");
            case.hit_if(known.back.contains(&n), "voted again after it was taken back");
            match answer {
                Ok(header) if header.id == id => drop(known.counted.insert(n)),
                Err(e) if !before && decided && e.code() == "ERR_ACTION_DECIDED" => {}
                other => {
                    return Err(format!("{:?}, counted before: {before}, got {other:?}", known.votes[n]));
                }
            }
        }
    }
    Ok(())
}

/// Takes some votes back: one that comes again later does not count again.
async fn taken_back(case: &mut Case, engine: &Engine, known: &mut Known) -> Result<(), String> {
    for n in known.counted.clone() {
        let vote = &known.votes[n];
        if case.rng.bool() && engine.withdraw(id_of(known, vote.push)?, &by(&name(vote.who))?).await.is_ok() {
            known.back.insert(n);
        }
    }
    Ok(())
}

fn is_conflict<T: std::fmt::Debug>(what: &str, answer: &Result<T, Error>) -> Result<(), String> {
    match answer {
        Err(e) if e.kind() == ErrorKind::Conflict && e.code() == "ERR_CLIENT_KEY_CONFLICT" => Ok(()),
        other => Err(format!("{what} with another body got {other:?}")),
    }
}

/// The same keys with other bodies, and those of other people.
async fn other_bodies(case: &mut Case, engine: &Engine, known: &Known) -> Result<(), String> {
    let n = case.rng.usize(..known.pushes.len());
    let push = known.pushes[n].clone();
    let mut other = push.clone();
    match case.rng.u8(..3) {
        0 => other.params += 1,
        1 => other.votes += 1,
        _ => other.thing = (other.thing + 1) % THINGS,
    }
    case.hit("another body for a push");
    is_conflict("a push", &engine.push(content(&other)?, &by(&name(push.who))?).await)?;
    if let Some(vote) = known.counted.iter().next().map(|n| &known.votes[*n]) {
        case.hit("another body for a vote");
        let id = id_of(known, vote.push)?;
        let mut ballot = Ballot::new(!vote.approve);
        ballot.client_key = Some(vote.key.as_str().into());
        is_conflict("a vote", &engine.vote(id, ballot, &by(&name(vote.who))?).await)?;
        // Of somebody else it is another key: it is judged as any other vote.
        case.hit("somebody else's key");
        let mut ballot = Ballot::new(true);
        ballot.client_key = Some(vote.key.as_str().into());
        let answer = engine.vote(id, ballot, &by("stranger")?).await;
        if code(&answer) == "ERR_CLIENT_KEY_CONFLICT" {
            return Err("somebody else's key is taken for the voter's".into());
        }
    }
    Ok(())
}

/// One action for each push, one vote for each vote, one command for each approved target.
fn effects(case: &mut Case, site: &Site, engine: &Engine, known: &Known) -> Result<(), String> {
    let ids: BTreeSet<ActionId> = known.answers.values().filter_map(|answer| answer.id).collect();
    let mut stored = BTreeSet::new();
    for bucket in Bucket::ALL {
        let listed = needed("no list", engine.query(&headframe_core::action::ActionQuery::new(bucket)))?;
        stored.extend(listed.into_iter().map(|listed| listed.id));
    }
    if stored != ids || ids.len() != known.pushes.len() {
        return Err(format!("{} pushes made the actions {stored:?}", known.pushes.len()));
    }
    case.unit();
    for (n, push) in known.pushes.iter().enumerate() {
        let id = id_of(known, n)?;
        let header = crate::site::header(engine, id)?;
        let mut people = BTreeSet::from([name(push.who)]);
        for n in known.counted.difference(&known.back) {
            let vote = &known.votes[*n];
            if vote.push == id_place(known, id)? {
                people.insert(name(vote.who));
            }
        }
        let shown: Vec<&str> = header.votes.iter().map(|v| v.person.key()).collect();
        let distinct: BTreeSet<String> =
            shown.iter().filter(|who| **who != "stranger").map(|who| (*who).to_owned()).collect();
        if distinct.len() + usize::from(shown.contains(&"stranger")) != shown.len() || distinct != people {
            return Err(format!("the votes {shown:?} are not those of {people:?}"));
        }
        let received = site.plant.received(id);
        let wanted = usize::from(header.status.as_str() == "COMPLETED");
        if received.len() != wanted || received.values().any(|times| *times != 1) {
            return Err(format!("{}, and devices received {received:?}", header.status.as_str()));
        }
    }
    Ok(())
}

fn id_place(known: &Known, id: ActionId) -> Result<usize, String> {
    let found = known.answers.iter().find(|(_, answer)| answer.id == Some(id));
    found.map(|(n, _)| *n).ok_or_else(|| "no such push".into())
}
