//! `w-model`: whatever happens to actions, in any order, becomes of them what a second, independent reading of the rules
//! says: status, votes, counts, codes.
//!
//! Most cases step the engine's own state machine; every order of up to four events is among them. Others go through the
//! whole engine, with restarts and devices that misbehave; see `model_engine`.

use headframe_core::{
    action::{
        ActionId, Status,
        policy::{ActionClass, Policy as _, Proposal, Recent, Rules, Sums},
        state::{Counts, Event, Fixed, Header, Order, RackCalls, Vote, step},
    },
    io::Timestamp,
    model::RackId,
};
use serde_json::json;

use super::{Check, model_engine};
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
    site::{Act, Heap, Reference, START_MS, Terms, name, person},
};

pub const CHECK: Check = Check {
    name: "w-model",
    bug: "vote-after-cancel",
    ci: 10_000,
    long: 100_000,
    probes: &[
        "every order of events",
        "through the engine",
        "VOTING",
        "APPROVED",
        "EXECUTING",
        "INTERRUPTED",
        "COMPLETED",
        "PARTIAL",
        "FAILED",
        "DENIED",
        "CANCELLED",
        "EXPIRED",
        "ERR_ACTION_DECIDED",
        "ERR_VOTER_EXISTS",
        "ERR_VOTER_NOT_FOUND",
        "ERR_VOTER_IS_CREATOR",
        "ERR_CALLER_NOT_CREATOR",
        "votes struck out",
        "held",
        "restarted",
        "settled",
    ],
    run,
};

/// One case in so many goes through the engine.
const ENGINE: u64 = 20;
/// Events of a case.
const EVENTS: usize = 40;
const PEOPLE: usize = 5;
const EXPIRES_MS: i64 = 60_000;
const WITHIN_MS: i64 = 90_000;

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("state machine");
    run.form_ran("engine");
    // For each kind of terms.
    run.each(8, |kind, case| {
        case.hit("every order of events");
        let terms = Terms {
            yes: 1 + (kind as usize % 4) / 2 + usize::from(kind % 4 == 3),
            no: 1 + usize::from(kind >= 4),
            own: kind % 2 == 0,
            expires: START_MS + EXPIRES_MS,
            within: WITHIN_MS,
        };
        orders(&terms)
    });
    run.until(run.n(), |case| {
        if case.index % ENGINE == 0 { simulate(model_engine::one(case)) } else { sequence(case) }
    });
    Ok(())
}

/// The engine's state and the reference, side by side.
#[derive(Debug, Clone)]
pub struct Pair {
    header: Header,
    model: Reference,
}

impl Pair {
    fn new(terms: &Terms, calls: u32) -> Result<Self, String> {
        let mut rules = Rules::mos();
        let rule = &mut rules.default;
        rule.votes_for = u32::try_from(terms.yes).unwrap_or(1);
        rule.votes_against = u32::try_from(terms.no).unwrap_or(1);
        rule.own_vote = terms.own;
        rule.expires_s = u32::try_from((terms.expires - START_MS) / 1_000).unwrap_or(1);
        rule.begin_within_s = u32::try_from(terms.within / 1_000).unwrap_or(1);
        let creator = person(&name(0))?;
        let proposal = Proposal {
            action: "reboot",
            class: ActionClass::Restart,
            creator: &creator,
            families: &["miner".into()],
            size: Sums::of((0..calls).map(|_| None)),
            rack_votes: 1,
            now: Timestamp(START_MS),
            recent: Recent::default(),
        };
        let order = Order {
            action: "reboot".into(),
            params: Vec::new(),
            query: json!({}),
            creator: creator.clone(),
            claims: None,
            families: vec!["miner".into()],
            racks: vec![RackCalls {
                id: needed("no rack", RackId::new("miner-wm-1"))?,
                calls,
                excluded: 0,
                error: None,
            }],
            targets: "".into(),
            terms: needed("no terms", rules.terms(&proposal))?,
            shed: None,
            class: ActionClass::Restart,
            size: Sums::default(),
            pushed_ms: START_MS,
        };
        let mut header = Header::new(ActionId::new(1), needed("no order", Fixed::new(order))?, calls);
        // Where pushing leaves it, which only the engine itself can do: without the creator's vote nothing is decided.
        header.votes.push(ballot(0, true)?);
        let model = Reference::pushed(terms.clone(), calls, START_MS);
        if model.status == "APPROVED" {
            header.status = Status::Approved;
            header.decided_ms = Some(START_MS);
        }
        Ok(Self { header, model })
    }

    /// Does the same to both, which then have to agree; gives the code of a refusal.
    fn act(&mut self, act: &Act, now: i64) -> Result<&'static str, String> {
        let expected = self.model.after(act, now);
        let told = step(&self.header, &event(&self.header, act)?, now);
        match (expected, told) {
            (Ok(model), Ok((header, _))) => {
                if header.rev != self.header.rev + 1 || header.order != self.header.order {
                    return Err(format!("after {act:?} the revision is {}", header.rev));
                }
                agree(&header, &model).map_err(|e| format!("after {act:?} on {:?}: {e}", self.model))?;
                (self.header, self.model) = (header, model);
                Ok("")
            }
            (Err(code), Err(e)) if e.code() == code => Ok(code),
            (Err(code), Err(e)) => {
                Err(format!("{act:?} on {:?} is refused as {} instead of {code}", self.model, e.code()))
            }
            (Ok(_), Err(e)) => Err(format!("{act:?} on {:?} is refused: {e}", self.model)),
            (Err(code), Ok((header, _))) => {
                Err(format!("{act:?} on {:?} gives {:?} instead of {code}", self.model, header.status))
            }
        }
    }
}

fn ballot(who: usize, approve: bool) -> Result<Vote, String> {
    let person = person(&name(who))?;
    Ok(Vote { person, approve, ts: START_MS, why: None, claims: None, counts: true, factors: Vec::new() })
}

fn event(header: &Header, act: &Act) -> Result<Event, String> {
    Ok(match act {
        Act::Vote(who, yes) => Event::Vote(Box::new(ballot(*who, *yes)?)),
        Act::Withdraw(who) => Event::Withdraw { person: person(&name(*who))? },
        Act::Cancel(who) => Event::Cancel { person: person(&name(*who))? },
        Act::Time => Event::Time,
        Act::Begin(void) => {
            let void: Result<_, String> = void.iter().map(|who| person(&name(*who))).collect();
            Event::Begin { void: void? }
        }
        Act::Move(from, to) => Event::Calls { counts: moved(header.counts, *from, *to) },
        Act::Pause => Event::Pause { by: "user1".into(), why: None },
        Act::Resume => Event::Resume,
        Act::Restart => Event::Restarted,
        Act::Looked => Event::Reconciled,
    })
}

/// Counts after one call moved.
fn moved(mut counts: Counts, from: Heap, to: Heap) -> Counts {
    let mut change = |heap: Heap, by: i32| {
        let heaps: &mut [&mut u32] = match heap {
            Heap::Waiting => &mut [],
            Heap::Open => &mut [&mut counts.open],
            Heap::Ok => &mut [&mut counts.ok],
            Heap::Failed => &mut [&mut counts.failed],
            Heap::Unknown => &mut [&mut counts.unknown],
            Heap::Lost => &mut [&mut counts.unknown, &mut counts.lost],
        };
        heaps.iter_mut().for_each(|n| **n = n.saturating_add_signed(by));
    };
    change(from, -1);
    change(to, 1);
    counts
}

/// Status, votes and counts are the same.
pub fn agree(header: &Header, model: &Reference) -> Result<(), String> {
    let votes: Vec<(String, bool)> =
        header.votes.iter().map(|v| (v.person.key().to_owned(), v.approve)).collect();
    let wanted: Vec<(String, bool)> = model.votes.iter().map(|(who, yes)| (name(*who), *yes)).collect();
    let Counts { open, ok, failed, unknown, lost, .. } = header.counts;
    let heaps = [Heap::Open, Heap::Ok, Heap::Failed, Heap::Unknown, Heap::Lost].map(|heap| model.heap(heap));
    let [_, _, _, forgotten, crashed] = heaps;
    let counts = [open, ok, failed, unknown, lost];
    let expected = [heaps[0], heaps[1], heaps[2], forgotten + crashed, crashed];
    let status = header.status.as_str();
    let waiting = header.counts.waiting() == model.heap(Heap::Waiting);
    if (status, header.hold.is_some()) != (model.status, model.held)
        || votes != wanted
        || counts != expected
        || !waiting
    {
        return Err(format!(
            "{status} held {} {votes:?} {counts:?} instead of {model:?}",
            header.hold.is_some()
        ));
    }
    Ok(())
}

/// Every event that can happen to an action of two calls.
fn alphabet() -> Vec<(Act, i64)> {
    let now = [
        Act::Vote(1, true),
        Act::Vote(1, false),
        Act::Vote(2, true),
        Act::Vote(0, true),
        Act::Withdraw(1),
        Act::Withdraw(0),
        Act::Cancel(0),
        Act::Cancel(1),
        Act::Time,
        Act::Begin(vec![]),
        Act::Begin(vec![1]),
        Act::Begin(vec![0]),
        Act::Pause,
        Act::Resume,
        Act::Restart,
        Act::Looked,
        Act::Move(Heap::Waiting, Heap::Open),
        Act::Move(Heap::Open, Heap::Ok),
        Act::Move(Heap::Open, Heap::Lost),
    ];
    let mut all: Vec<(Act, i64)> = now.into_iter().map(|act| (act, START_MS + 1)).collect();
    let late = [Act::Time, Act::Vote(2, true), Act::Withdraw(1), Act::Begin(vec![])];
    all.extend(late.into_iter().map(|act| (act, START_MS + EXPIRES_MS + WITHIN_MS)));
    all
}

/// Whether a call can move like this; what the engine's journal sees to is not asked of its states.
fn possible(model: &Reference, act: &Act) -> bool {
    let Act::Move(from, _) = act else { return true };
    model.heap(*from) > 0
}

/// Every order of up to four events.
fn orders(terms: &Terms) -> Result<(), String> {
    let alphabet = alphabet();
    let mut now = vec![Pair::new(terms, 2)?];
    for _ in 0..4 {
        let mut next = Vec::new();
        for pair in &now {
            for (act, at) in alphabet.iter().filter(|(act, _)| possible(&pair.model, act)) {
                let mut after = pair.clone();
                if after.act(act, *at)?.is_empty() {
                    next.push(after);
                }
            }
        }
        // What was refused changes nothing, so whatever follows it was tried already.
        now = next;
    }
    Ok(())
}

/// A long random order of events.
fn sequence(case: &mut Case) -> Result<(), String> {
    let calls = case.rng.u32(1..5);
    let terms = Terms {
        yes: case.rng.usize(1..5),
        no: case.rng.usize(1..4),
        own: case.rng.bool(),
        expires: START_MS + EXPIRES_MS,
        within: WITHIN_MS,
    };
    let mut pair = Pair::new(&terms, calls)?;
    let mut now = START_MS;
    for _ in 0..EVENTS {
        now += if case.rng.u8(..12) == 0 { case.rng.i64(..90_000) } else { case.rng.i64(..500) };
        let act = drawn(&mut case.rng, &pair.model);
        let votes = pair.model.votes.len();
        let code = pair.act(&act, now)?;
        case.hit_if(!code.is_empty(), if code.is_empty() { "held" } else { code });
        let accepted = code.is_empty();
        case.hit_if(
            accepted && matches!(act, Act::Begin(_)) && pair.model.votes.len() < votes,
            "votes struck out",
        );
        case.hit_if(accepted && act == Act::Restart, "restarted");
        case.hit_if(pair.model.held, "held");
        case.hit_if(accepted && matches!(act, Act::Move(Heap::Lost | Heap::Unknown, _)), "settled");
        case.hit(pair.model.status);
    }
    Ok(())
}

/// Something that can happen, more often something that makes sense now.
fn drawn(rng: &mut fastrand::Rng, model: &Reference) -> Act {
    let who = rng.usize(..PEOPLE);
    let ends = [Heap::Ok, Heap::Failed, Heap::Unknown, Heap::Lost];
    let shift = |rng: &mut fastrand::Rng| {
        let from: Vec<Heap> = model.calls.iter().filter(|(_, n)| **n > 0).map(|(heap, _)| *heap).collect();
        let from = from[rng.usize(..from.len())];
        let to = match from {
            Heap::Waiting => [Heap::Open, Heap::Failed, Heap::Ok][rng.usize(..3)],
            Heap::Open => ends[rng.usize(..4)],
            // A person settles it, or leaves it.
            Heap::Lost | Heap::Unknown => [Heap::Ok, Heap::Failed, Heap::Unknown][rng.usize(..3)],
            ended => return Act::Move(ended, ended),
        };
        Act::Move(from, to)
    };
    match (model.status, rng.u8(..20)) {
        ("EXECUTING" | "INTERRUPTED" | "PARTIAL", 0..=11) => shift(rng),
        ("APPROVED", 0..=4) => Act::Begin(Vec::new()),
        ("INTERRUPTED", 12..=15) => Act::Looked,
        (_, 0..=8) => Act::Vote(who, rng.u8(..4) > 0),
        (_, 9 | 10) => Act::Withdraw(who),
        (_, 11) => Act::Cancel(if rng.bool() { 0 } else { who }),
        (_, 12) => Act::Time,
        (_, 13 | 14) => Act::Begin((0..PEOPLE).filter(|_| rng.u8(..5) == 0).collect()),
        (_, 15) => Act::Pause,
        (_, 16 | 17) => Act::Resume,
        (_, 18) => Act::Restart,
        _ => Act::Looked,
    }
}
