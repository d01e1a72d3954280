use super::{Counts, Effect, Event, Header, Hold, Vote};
use crate::{
    Error, ErrorKind, Result,
    action::{
        Person, Status,
        policy::{self, Begin, Tally, Verdict},
    },
    io::Timestamp,
    planted::{Bug, planted},
};

const OP: &str = "action.step";

/// What becomes of an action when `event` happens to it at `now` (ms). Nothing but its arguments has a say.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) with `ERR_ACTION_DECIDED` for what the status does not allow, `ERR_VOTER_EXISTS`,
/// `ERR_VOTER_NOT_FOUND`, and [`Forbidden`](ErrorKind::Forbidden) with `ERR_CALLER_NOT_CREATOR`; nothing is changed
/// then.
pub fn step(state: &Header, event: &Event, now: i64) -> Result<(Header, Vec<Effect>)> {
    let mut next = state.clone();
    let effects = match event {
        Event::Vote(vote) => voted(&mut next, vote, now)?,
        Event::Withdraw { person } => withdrawn(&mut next, person, now)?,
        Event::Cancel { person } => cancelled(&mut next, person, now)?,
        Event::Time => out_of_time(&mut next, now)?,
        Event::Begin { void } => begun(&mut next, void, now)?,
        Event::Calls { counts } => moved(&mut next, *counts, now)?,
        Event::Pause { by, why } => {
            allow(&next, matches!(next.status, Status::Approved | Status::Executing))?;
            next.hold = Some(Hold { by: by.clone(), why: why.clone(), since: now });
            Vec::new()
        }
        Event::Resume => {
            allow(&next, next.hold.is_some())?;
            next.hold = None;
            Vec::new()
        }
        Event::Restarted => {
            allow(&next, next.status == Status::Executing)?;
            next.status = Status::Interrupted;
            Vec::new()
        }
        Event::Reconciled => reconciled(&mut next, now)?,
    };
    next.rev += 1;
    Ok((next, effects))
}

/// Where an action begins, the vote of its creator with it.
pub(in crate::action) fn first(state: &mut Header, now: i64) -> Vec<Effect> {
    if state.order.shed.is_some() {
        state.status = Status::Executing;
        (state.decided_ms, state.begun_ms) = (Some(now), Some(now));
        return Vec::new();
    }
    decide(state, now)
}

fn allow(state: &Header, allowed: bool) -> Result<()> {
    if allowed {
        return Ok(());
    }
    let text = "the action is past the state that this needs";
    let e = Error::new(ErrorKind::Conflict, OP, text).code_as("ERR_ACTION_DECIDED");
    Err(e.with("status", state.status.as_str()))
}

fn voted(state: &mut Header, vote: &Vote, now: i64) -> Result<Vec<Effect>> {
    let late = state.status == Status::Cancelled && planted(Bug::VoteAfterCancel);
    // What ran out is not revived, whether or not somebody has looked since.
    allow(state, (state.status == Status::Voting && !is_over(state, now)) || late)?;
    if state.votes.iter().any(|v| v.person == vote.person) {
        let e = Error::new(ErrorKind::Conflict, OP, "this person has voted on this action");
        return Err(e.code_as("ERR_VOTER_EXISTS"));
    }
    state.votes.push(vote.clone());
    Ok(decide(state, now))
}

fn verdict(state: &Header) -> Verdict {
    let side = |approve: bool| -> Vec<policy::Vote<'_>> {
        let votes = state.votes.iter().filter(|vote| vote.approve == approve);
        votes.map(|v| policy::Vote { person: &v.person, counts: v.counts, factors: &v.factors }).collect()
    };
    Tally::of(&state.order.terms, &state.order.creator, &side(true), &side(false)).verdict
}

/// What the votes say.
fn decide(state: &mut Header, now: i64) -> Vec<Effect> {
    match verdict(state) {
        Verdict::Open => {
            state.status = Status::Voting;
            Vec::new()
        }
        Verdict::Approved => {
            state.status = Status::Approved;
            state.decided_ms = Some(now);
            vec![Effect::Approved]
        }
        Verdict::Denied => {
            state.decided_ms = Some(now);
            end(state, Status::Denied, now)
        }
    }
}

fn end(state: &mut Header, status: Status, now: i64) -> Vec<Effect> {
    state.status = status;
    state.ended_ms = Some(now);
    state.hold = None;
    vec![Effect::Ended]
}

fn withdrawn(state: &mut Header, person: &Person, now: i64) -> Result<Vec<Effect>> {
    allow(state, state.status == Status::Voting && !is_over(state, now))?;
    if state.order.creator == *person {
        let e = Error::new(ErrorKind::Conflict, OP, "the creator takes nothing back: he cancels the action");
        return Err(e.code_as("ERR_VOTER_IS_CREATOR"));
    }
    let before = state.votes.len();
    state.votes.retain(|vote| vote.person != *person);
    if state.votes.len() == before {
        let e = Error::new(ErrorKind::NotFound, OP, "this person has not voted on this action");
        return Err(e.code_as("ERR_VOTER_NOT_FOUND"));
    }
    Ok(Vec::new())
}

fn cancelled(state: &mut Header, person: &Person, now: i64) -> Result<Vec<Effect>> {
    allow(state, matches!(state.status, Status::Voting | Status::Approved))?;
    if state.order.creator != *person {
        let e = Error::new(ErrorKind::Forbidden, OP, "only who pushed an action cancels it");
        return Err(e.code_as("ERR_CALLER_NOT_CREATOR"));
    }
    Ok(end(state, Status::Cancelled, now))
}

/// Whether it waited for too long where it is.
pub(in crate::action) fn is_over(state: &Header, now: i64) -> bool {
    let now = Timestamp(now);
    match state.status {
        Status::Voting => state.order.terms.is_expired(now),
        Status::Approved => {
            let approved = Timestamp(state.decided_ms.unwrap_or_default());
            matches!(state.order.terms.begin(approved, now), Ok(Begin::TooLate))
        }
        _ => false,
    }
}

fn out_of_time(state: &mut Header, now: i64) -> Result<Vec<Effect>> {
    allow(state, is_over(state, now))?;
    Ok(end(state, Status::Expired, now))
}

fn begun(state: &mut Header, void: &[Person], now: i64) -> Result<Vec<Effect>> {
    allow(state, state.status == Status::Approved && state.hold.is_none() && !is_over(state, now))?;
    if void.contains(&state.order.creator) {
        // Nobody stands for it any more.
        return Ok(end(state, Status::Cancelled, now));
    }
    let before = state.votes.len();
    state.votes.retain(|vote| !void.contains(&vote.person));
    if state.votes.len() < before {
        state.decided_ms = None;
        let mut effects = vec![Effect::Voided(void.to_vec())];
        effects.extend(decide(state, now));
        if state.status != Status::Approved {
            return Ok(effects);
        }
        state.status = Status::Executing;
        state.begun_ms = Some(now);
        effects.push(Effect::Begun);
        return Ok(effects);
    }
    state.status = Status::Executing;
    state.begun_ms = Some(now);
    Ok(vec![Effect::Begun])
}

/// How an action whose calls have all ended is called.
fn result(counts: &Counts) -> Status {
    if counts.ok == counts.total {
        Status::Completed
    } else if counts.ok == 0 && counts.unknown == 0 {
        Status::Failed
    } else {
        Status::Partial
    }
}

const fn by_calls(status: Status) -> bool {
    matches!(status, Status::Completed | Status::Partial | Status::Failed)
}

fn moved(state: &mut Header, counts: Counts, now: i64) -> Result<Vec<Effect>> {
    let live = matches!(state.status, Status::Executing | Status::Interrupted);
    // What ended is only settled: no call begins or ends anew.
    let settled = by_calls(state.status) && counts.ended() == counts.total;
    allow(state, live || settled)?;
    if counts.total != state.counts.total || counts.ended() + counts.open > counts.total {
        return Err(Error::new(ErrorKind::Internal, OP, "the counts of calls do not add up"));
    }
    state.counts = counts;
    if counts.ended() < counts.total {
        return Ok(Vec::new());
    }
    if counts.lost > 0 {
        state.status = Status::Interrupted;
        return Ok(Vec::new());
    }
    if by_calls(state.status) {
        state.status = result(&counts);
        return Ok(Vec::new());
    }
    Ok(end(state, result(&counts), now))
}

fn reconciled(state: &mut Header, now: i64) -> Result<Vec<Effect>> {
    allow(state, state.status == Status::Interrupted && state.counts.open == 0)?;
    if state.counts.waiting() > 0 {
        state.status = Status::Executing;
        return Ok(vec![Effect::Begun]);
    }
    if state.counts.lost > 0 {
        return Ok(Vec::new());
    }
    Ok(end(state, result(&state.counts), now))
}
