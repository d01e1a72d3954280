//! `v-race`: many callers vote, take back and cancel at once: the tally is that of distinct people, every acknowledged
//! change is in it once, and nothing is both cancelled and executed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use headframe_core::action::{ActionId, Engine, RightsSource, policy::Rules, state::Header};

use super::Check;
use crate::{
    rig::simulate,
    run::{Case, Run},
    site::{Act, Reference, START_MS, Site, Terms, by, code, header, name, push, spelt, vote},
};

pub const CHECK: Check = Check {
    name: "v-race",
    bug: "stale-read",
    ci: 2_000,
    long: 20_000,
    probes: &[
        "approved",
        "denied",
        "cancelled",
        "nothing decided",
        "cancelled after the decision",
        "too late to cancel",
        "a vote taken back",
        "voted twice at once",
        "several changes in one commit",
    ],
    run,
};

const CALLERS: usize = 64;
const RACK: &str = "miner-wm-1";
/// A week, as under MiningOS's rules here.
const WEEK_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// What a caller did, and what it was told.
#[derive(Debug)]
struct Told {
    act: Act,
    who: usize,
    answer: Result<Arc<Header>, &'static str>,
}

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("engine");
    run.until(run.n(), |case| simulate(one(case)));
    Ok(())
}

async fn one(case: &mut Case) -> Result<(), String> {
    let rng = &mut case.rng;
    let mut rules = Rules::mos();
    rules.default.votes_against = [1, 2, 3, 64][rng.usize(..4)];
    let (no, yes) = (rules.default.votes_against as usize, [2, 3, 8, 20, 60][rng.usize(..5)]);
    let (things, people) = (rng.u32(1..5), rng.usize(4..=CALLERS));
    let site = Site::new(case, &[(RACK, things)], rules, RightsSource::Claims).await?;
    let engine = site.start().await?;
    let id = push(&engine, u32::try_from(yes).unwrap_or(2), &name(0)).await?;
    let told = Arc::<Mutex<Vec<Told>>>::default();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let seed = case.rng.u64(..);
        callers.spawn(call(site.cx.clone(), engine.clone(), id, caller % people, seed, Arc::clone(&told)));
    }
    while let Some(ended) = callers.join_next().await {
        ended.map_err(|e| format!("a caller: {e}"))??;
    }
    site.pass(10_000).await;
    let told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    let last = header(&engine, id)?;
    let terms = Terms { yes, no, own: true, expires: START_MS + WEEK_MS, within: WEEK_MS };
    let model = replayed(case, terms, things, &told)?;
    refused(case, &told, &model)?;
    agrees("in the end", &last, &model)?;
    ended(case, &site, &last, &told, things)?;
    let engine = site.restart(engine).await?;
    let after = header(&engine, id)?;
    let same = (after.status, &after.votes, after.counts) == (last.status, &last.votes, last.counts);
    if same { Ok(()) } else { Err(format!("after a restart {last:?} is {after:?}")) }
}

/// One caller's few changes, with pauses between them.
async fn call(
    cx: headframe_core::io::Ctx,
    engine: Engine,
    id: ActionId,
    who: usize,
    seed: u64,
    told: Arc<Mutex<Vec<Told>>>,
) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..rng.usize(1..5) {
        match rng.u8(..4) {
            0 => {
                cx.clock.sleep_until(cx.clock.mono() + std::time::Duration::from_millis(rng.u64(..30))).await
            }
            1 => tokio::task::yield_now().await,
            _ => {}
        }
        let name = spelt(&mut rng, &name(who));
        let (act, result) = match rng.u8(..10) {
            0 => (Act::Cancel(who), engine.cancel(id, &by(&name)?).await),
            1 | 2 => (Act::Withdraw(who), engine.withdraw(id, &by(&name)?).await),
            3 => (Act::Vote(who, false), vote(&engine, id, false, &name).await?),
            _ => (Act::Vote(who, true), vote(&engine, id, true, &name).await?),
        };
        let code = code(&result);
        let told_so = Told { act, who, answer: result.map_err(|_| code) };
        told.lock().unwrap_or_else(PoisonError::into_inner).push(told_so);
    }
    Ok(())
}

/// Every acknowledged change one after the other, as their revisions say; each has to give what its caller was told.
fn replayed(case: &mut Case, terms: Terms, things: u32, told: &[Told]) -> Result<Reference, String> {
    let mut done: Vec<(u64, &Told, &Header)> =
        told.iter().filter_map(|t| t.answer.as_ref().ok().map(|h| (h.rev, t, &**h))).collect();
    done.sort_by_key(|(rev, ..)| *rev);
    if let Some(pair) = done.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("two changes made the same revision: {:?} and {:?}", pair[0].1, pair[1].1));
    }
    let mut model = Reference::pushed(terms, things, START_MS);
    for (_, told, header) in done {
        case.hit_if(matches!(told.act, Act::Withdraw(_)), "a vote taken back");
        let approved = model.status == "APPROVED";
        model = model
            .after(&told.act, header.decided_ms.unwrap_or(START_MS))
            .map_err(|code| format!("{:?} was acknowledged instead of {code}", told.act))?;
        case.hit_if(approved && model.status == "CANCELLED", "cancelled after the decision");
        agrees("to a caller", header, &model)?;
    }
    Ok(model)
}

/// A header against what it should be, as far as votes have a say.
fn agrees(whom: &str, header: &Header, model: &Reference) -> Result<(), String> {
    let mut votes = Vec::new();
    for (who, yes) in &model.votes {
        votes.push((name(*who), *yes));
    }
    let shown: Vec<(String, bool)> =
        header.votes.iter().map(|v| (v.person.key().to_owned(), v.approve)).collect();
    let people: BTreeSet<&String> = shown.iter().map(|(name, _)| name).collect();
    if people.len() != shown.len() {
        return Err(format!("{whom}: somebody stands twice in {shown:?}"));
    }
    let begun = ["EXECUTING", "COMPLETED"].contains(&header.status.as_str()) && model.status == "APPROVED";
    if shown != votes || !(begun || header.status.as_str() == model.status) {
        return Err(format!(
            "{whom}: {} with {shown:?} instead of {} with {votes:?}",
            header.status.as_str(),
            model.status
        ));
    }
    Ok(())
}

/// Every refusal has a reason that could have been there.
fn refused(case: &mut Case, told: &[Told], model: &Reference) -> Result<(), String> {
    for t in told {
        let Err(code) = t.answer else { continue };
        let voted = |who: usize| {
            who == 0
                || told.iter().any(|t| t.who == who && t.answer.is_ok() && matches!(t.act, Act::Vote(..)))
        };
        case.hit_if(code == "ERR_VOTER_EXISTS" && t.who != 0, "voted twice at once");
        let right = match code {
            "ERR_ACTION_DECIDED" => model.status != "VOTING",
            "ERR_VOTER_EXISTS" => matches!(t.act, Act::Vote(..)) && voted(t.who),
            "ERR_VOTER_NOT_FOUND" => matches!(t.act, Act::Withdraw(_)) && t.who != 0,
            "ERR_VOTER_IS_CREATOR" => matches!(t.act, Act::Withdraw(0)),
            "ERR_CALLER_NOT_CREATOR" => matches!(t.act, Act::Cancel(_)) && t.who != 0,
            _ => false,
        };
        if !right {
            return Err(format!("{:?} was refused as {code}, but it ended as {}", t.act, model.status));
        }
    }
    Ok(())
}

/// What was sent is what the status says.
fn ended(case: &mut Case, site: &Site, last: &Header, told: &[Told], things: u32) -> Result<(), String> {
    let received = site.plant.received(last.id);
    let cancelled = told.iter().any(|t| matches!(t.act, Act::Cancel(_)) && t.answer.is_ok());
    let late = |t: &Told| matches!(t.act, Act::Cancel(0)) && t.answer.is_err();
    let status = last.status.as_str();
    case.hit(match status {
        "CANCELLED" => "cancelled",
        "DENIED" => "denied",
        "VOTING" => "nothing decided",
        "COMPLETED" => "approved",
        _ => return Err(format!("it ended as {status}")),
    });
    case.hit_if(status == "COMPLETED" && told.iter().any(late), "too late to cancel");
    let commits = site_commits(told);
    case.hit_if(commits, "several changes in one commit");
    if cancelled != (status == "CANCELLED") {
        return Err(format!("a cancel was acknowledged: {cancelled}, and it ended as {status}"));
    }
    let wanted = if status == "COMPLETED" { things as usize } else { 0 };
    if received.len() != wanted || received.values().any(|n| *n != 1) {
        return Err(format!("it ended as {status}, and devices received {received:?}"));
    }
    Ok(())
}

/// Whether two callers were told at the same instant.
fn site_commits(told: &[Told]) -> bool {
    let mut seen = BTreeSet::new();
    let votes = told.iter().filter_map(|t| t.answer.as_ref().ok()).filter_map(|h| h.votes.last());
    votes.filter(|vote| !seen.insert(vote.ts)).count() > 0
}
