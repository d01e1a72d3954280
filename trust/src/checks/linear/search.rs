//! Looks for an order of calls that explains what was told: after Wing and Gong, with the states that were tried kept, as
//! Lowe has it.

use std::collections::HashSet;

use crate::site::{Act, Reference, START_MS, name};

/// States that are tried before it is given up.
const MOST: usize = 2_000_000;

/// What a caller sees of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub status: &'static str,
    pub votes: Vec<(String, bool)>,
    pub rev: u64,
}

/// One call of a history.
#[derive(Debug, Clone)]
pub struct Call {
    /// The change; none for a read.
    pub act: Option<Act>,
    /// When it was asked.
    pub asked: u64,
    /// When it was answered, or given up.
    pub answered: u64,
    /// What was told: the action, or a code, empty for any error that did nothing. `None` without an answer: it may have its
    /// effect at any later time, once, or never.
    pub told: Option<Result<Shown, &'static str>>,
}

/// The register: the action, and how often it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Register {
    action: Reference,
    rev: u64,
}

/// Which calls stand in the order already.
type Placed = [u64; 8];

impl Register {
    fn shows(&self, shown: &Shown) -> bool {
        let votes = self.action.votes.iter().map(|(who, yes)| (name(*who), *yes));
        self.rev == shown.rev && self.action.status == shown.status && votes.eq(shown.votes.iter().cloned())
    }

    /// After a call that was told this; `None` when it cannot stand here.
    fn after(&self, call: &Call) -> Option<Self> {
        let Some(act) = &call.act else {
            let shown = call.told.as_ref()?.as_ref().ok()?;
            return self.shows(shown).then(|| self.clone());
        };
        let next = self.action.after(act, START_MS).map(|action| Self { action, rev: self.rev + 1 });
        match (&call.told, next) {
            (Some(Ok(shown)), Ok(next)) => next.shows(shown).then_some(next),
            (Some(Err(told)), Err(code)) => (told.is_empty() || *told == code).then(|| self.clone()),
            (Some(Err(told)), Ok(_)) => told.is_empty().then(|| self.clone()),
            // Without an effect it need not stand anywhere.
            (None, Ok(next)) => Some(next),
            _ => None,
        }
    }
}

/// Finds an order, or says how far it came.
pub fn order(calls: &[Call], start: Reference) -> Result<(), String> {
    let mut sorted: Vec<&Call> = calls.iter().collect();
    sorted.sort_by_key(|call| call.asked);
    if sorted.len() > 64 * 8 {
        return Err(format!("a history of {} calls", sorted.len()));
    }
    let mut tried = HashSet::new();
    let mut stack = vec![([0; 8], Register { action: start, rev: 1 })];
    let mut most = 0;
    while let Some((placed, register)) = stack.pop() {
        if tried.len() >= MOST {
            return Err(format!("no order was found among {MOST} states"));
        }
        if !tried.insert((placed, register.clone())) {
            continue;
        }
        let left = |n: &usize| placed[n / 64] >> (n % 64) & 1 == 0;
        let open: Vec<usize> = (0..sorted.len()).filter(left).collect();
        // Nothing that was asked after another call's answer stands before that.
        let answered = open.iter().filter(|n| sorted[**n].told.is_some()).map(|n| sorted[*n].answered);
        let Some(first) = answered.min() else { return Ok(()) };
        most = most.max(sorted.len() - open.len());
        let mut next: Vec<(usize, Placed, Register)> = Vec::new();
        for n in open {
            if sorted[n].asked > first {
                break;
            }
            if let Some(after) = register.after(sorted[n]) {
                let mut placed = placed;
                placed[n / 64] |= 1 << (n % 64);
                next.push((n, placed, after));
            }
        }
        // Tried last are those without an answer, and those that were answered late.
        next.sort_by_key(|(n, ..)| (sorted[*n].told.is_some(), std::cmp::Reverse(sorted[*n].answered)));
        stack.extend(next.into_iter().map(|(_, placed, register)| (placed, register)));
    }
    Err(format!("{most} of {} calls can be placed", sorted.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Terms;

    fn start() -> Reference {
        let terms = Terms { yes: 2, no: 1, own: true, expires: START_MS + 1_000, within: 1_000 };
        Reference::pushed(terms, 1, START_MS)
    }

    fn shown(status: &'static str, voters: &[usize], rev: u64) -> Shown {
        Shown { status, votes: voters.iter().map(|who| (name(*who), true)).collect(), rev }
    }

    fn call(act: Option<Act>, asked: u64, answered: u64, told: Option<Result<Shown, &'static str>>) -> Call {
        Call { act, asked, answered, told }
    }

    #[test]
    fn calls_at_once_may_stand_in_any_order() {
        let vote = call(Some(Act::Vote(1, true)), 0, 3, Some(Ok(shown("APPROVED", &[0, 1], 2))));
        let early = call(None, 1, 2, Some(Ok(shown("VOTING", &[0], 1))));
        assert!(order(&[vote.clone(), early.clone()], start()).is_ok());
        let late = Call { asked: 4, answered: 5, ..early };
        assert!(order(&[vote, late], start()).is_err());
    }

    #[test]
    fn a_call_without_an_answer_happens_once_or_never() {
        let maybe = call(Some(Act::Vote(1, true)), 0, 1, None);
        let read = |at, shown| call(None, at, at + 1, Some(Ok(shown)));
        let voting = read(2, shown("VOTING", &[0], 1));
        let approved = read(4, shown("APPROVED", &[0, 1], 2));
        assert!(order(&[maybe.clone(), voting.clone()], start()).is_ok());
        assert!(order(&[maybe.clone(), voting.clone(), approved.clone()], start()).is_ok());
        let back = Call { asked: 6, answered: 7, ..voting };
        assert!(order(&[maybe, approved.clone(), back], start()).is_err());
        assert!(order(&[approved], start()).is_err());
    }

    #[test]
    fn a_lost_vote_is_found() {
        let first = call(Some(Act::Vote(1, true)), 0, 1, Some(Ok(shown("APPROVED", &[0, 1], 2))));
        let second = call(Some(Act::Vote(2, true)), 2, 3, Some(Ok(shown("APPROVED", &[0, 2], 2))));
        assert!(order(&[first, second], start()).is_err());
    }
}
