//! How the calls of one action stand.

use super::{
    record::{self, BeforeRow, Fate, Step},
    state::{Counts, Header},
};
use crate::{
    Error, ErrorKind, Result,
    store::{ControlStore, Space},
};

/// How one call stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallState {
    /// Not begun; so many attempts were certainly not sent.
    Waiting { attempts: u16 },
    /// Journalled as about to be sent.
    Open { attempt: u16, since: i64, before: Option<Box<BeforeRow>> },
    /// Ended.
    Ended { attempt: u16, fate: Fate },
}

/// All calls of an action, with their counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Calls {
    states: Vec<CallState>,
    counts: Counts,
    /// Journal rows so far.
    pub rows: u64,
}

impl Calls {
    pub fn new(total: u32) -> Self {
        let states = vec![CallState::Waiting { attempts: 0 }; total as usize];
        Self { states, counts: Counts { total, ..Counts::default() }, rows: 0 }
    }

    /// As the journal of an action has them.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when its steps do not follow one another.
    pub fn load(store: &ControlStore, header: &Header) -> Result<Self> {
        let mut calls = Self::new(header.counts.total);
        for row in store.scan_prefix(Space::Journal, &record::prefix(header.id)) {
            calls.rows += 1;
            for step in row.parse::<Vec<Step>>()? {
                calls.apply(&step).map_err(|e| {
                    let text = "the journal of an action does not follow: run doctor";
                    Error::new(ErrorKind::Corrupt, "action.open", text).with("action", header.id).caused_by(e)
                })?;
            }
        }
        Ok(calls)
    }

    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The last attempt at a call.
    pub fn attempt(&self, n: u32) -> Option<u16> {
        self.states.get(n as usize).map(|state| match state {
            CallState::Waiting { attempts } => *attempts,
            CallState::Open { attempt, .. } | CallState::Ended { attempt, .. } => *attempt,
        })
    }

    /// Whether a call ended and nobody can say how.
    pub fn is_unknown(&self, n: u32) -> bool {
        let state = self.states.get(n as usize);
        matches!(state, Some(CallState::Ended { fate: Fate::Unknown | Fate::Lost, .. }))
    }

    /// Calls that never began.
    pub fn waiting(&self) -> impl Iterator<Item = (u32, u16)> + '_ {
        (0..).zip(&self.states).filter_map(|(n, state)| match state {
            CallState::Waiting { attempts } => Some((n, *attempts)),
            _ => None,
        })
    }

    /// Calls that were journalled and have no outcome.
    pub fn open(&self) -> impl Iterator<Item = (u32, u16, i64, Option<&BeforeRow>)> + '_ {
        (0..).zip(&self.states).filter_map(|(n, state)| match state {
            CallState::Open { attempt, since, before } => Some((n, *attempt, *since, before.as_deref())),
            _ => None,
        })
    }

    /// Applies a step; gives the state that was there.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) for a step that cannot follow: a call is sent at most once per attempt, and
    /// ends once.
    pub fn apply(&mut self, step: &Step) -> Result<CallState> {
        let at = step.n() as usize;
        let state = self.states.get(at).ok_or_else(|| refused("there is no such call"))?;
        let next = match (state, step) {
            (CallState::Waiting { attempts }, Step::Intent(intent)) if intent.attempt == attempts + 1 => {
                CallState::Open {
                    attempt: intent.attempt,
                    since: intent.ts,
                    before: intent.before.clone().map(Box::new),
                }
            }
            // It ends without ever having been sent.
            (CallState::Waiting { attempts }, Step::Outcome(o))
                if o.attempt == *attempts && o.fate == Fate::Failed =>
            {
                CallState::Ended { attempt: o.attempt, fate: o.fate }
            }
            (CallState::Waiting { attempts }, Step::Outcome(o))
                if o.attempt == *attempts && o.fate == Fate::Ok =>
            {
                CallState::Ended { attempt: o.attempt, fate: o.fate }
            }
            // Nobody says how a call ended that is still under way.
            (CallState::Open { attempt, .. }, Step::Outcome(o))
                if o.attempt == *attempt && o.by.is_none() =>
            {
                match o.fate {
                    Fate::NotSent => CallState::Waiting { attempts: *attempt },
                    fate => CallState::Ended { attempt: *attempt, fate },
                }
            }
            // A person settles what nobody knew.
            (CallState::Ended { attempt, fate: Fate::Unknown | Fate::Lost }, Step::Outcome(o))
                if o.attempt == *attempt
                    && o.by.is_some()
                    && !matches!(o.fate, Fate::Lost | Fate::NotSent) =>
            {
                CallState::Ended { attempt: *attempt, fate: o.fate }
            }
            _ => return Err(decided()),
        };
        Ok(self.put(at, next))
    }

    /// Puts a state back that [`apply`](Self::apply) gave.
    pub fn restore(&mut self, n: u32, state: CallState) {
        if (n as usize) < self.states.len() {
            self.put(n as usize, state);
        }
    }

    fn put(&mut self, at: usize, next: CallState) -> CallState {
        let old = std::mem::replace(&mut self.states[at], next);
        count(&mut self.counts, &old, false);
        let new = &self.states[at];
        count(&mut self.counts, new, true);
        old
    }
}

fn count(counts: &mut Counts, state: &CallState, more: bool) {
    let change = |n: &mut u32| *n = if more { *n + 1 } else { n.saturating_sub(1) };
    match state {
        CallState::Waiting { .. } => {}
        CallState::Open { .. } => change(&mut counts.open),
        CallState::Ended { fate: Fate::Ok, .. } => change(&mut counts.ok),
        CallState::Ended { fate: Fate::Failed | Fate::NotSent, .. } => change(&mut counts.failed),
        CallState::Ended { fate: Fate::Unknown, .. } => change(&mut counts.unknown),
        CallState::Ended { fate: Fate::Lost, .. } => {
            change(&mut counts.unknown);
            change(&mut counts.lost);
        }
    }
}

/// The fate of a call is known.
pub(super) fn decided() -> Error {
    refused("the call is past that")
}

fn refused(why: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, "action.journal", why).code_as("ERR_CALL_DECIDED")
}
