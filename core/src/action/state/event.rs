use super::{Counts, Vote};
use crate::{action::Person, model::Text};

/// What happens to an action.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody votes. Whether the person may was judged before.
    Vote(Box<Vote>),
    /// Somebody takes his vote back.
    Withdraw {
        /// Who.
        person: Person,
    },
    /// Somebody wants it cancelled.
    Cancel {
        /// Who.
        person: Person,
    },
    /// Time passed.
    Time,
    /// Execution is to begin.
    Begin {
        /// Voters who may not vote any more.
        void: Vec<Person>,
    },
    /// Calls moved on.
    Calls {
        /// The counts as they are now.
        counts: Counts,
    },
    /// Somebody holds it: what has not begun does not begin.
    Pause {
        /// Who.
        by: Text,
        /// Why.
        why: Option<Text>,
    },
    /// Somebody lets it go on.
    Resume,
    /// The engine was started over it.
    Restarted,
    /// Every call that was sent before the restart was looked at.
    Reconciled,
}

/// What a step means beside the new state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Votes are enough: it may begin.
    Approved,
    /// It begins: calls may be journalled and sent.
    Begun,
    /// Nothing of it is sent any more.
    Ended,
    /// Votes were struck out because who gave them may not vote any more.
    Voided(Vec<Person>),
}
