//! How many people, and who, have to approve an action, and when it may begin.

mod check;
mod class;
mod profiles;
mod rolling;
mod rules;
mod tally;
mod terms;
#[cfg(test)]
mod tests;
mod window;

pub use class::ActionClass;
pub use rolling::{Recent, Sums};
pub use rules::{Freeze, KwStep, Rolling, Row, Rule, Rules, Size, TargetStep};
pub use tally::{Tally, Verdict, Vote};
pub use terms::{Begin, Factor, Profile, Raised, Right, Terms};
pub use window::{Day, LocalTime, Window};

use super::Person;
use crate::{Result, io::Timestamp, model::Text};

/// Decides what an action needs. [`Rules`] are one; a program can bring its own.
pub trait Policy: std::fmt::Debug + Send + Sync + 'static {
    /// What has to be so before the proposed action is carried out. Asked once, when it is pushed: the answer is kept with
    /// the action and does not change with the rules.
    ///
    /// # Errors
    /// A refusal of the push. It names what stands against it.
    fn terms(&self, proposal: &Proposal<'_>) -> Result<Terms>;

    /// Over how many seconds [`Proposal::recent`] has to reach back for this action; 0 where it does not matter.
    fn looks_back_s(&self, action: &str, class: ActionClass) -> u32;

    /// Until when no action of a class may begin; `None` when it may. Asked right before execution, of the rules of
    /// that moment: a freeze comes before any approval.
    fn frozen(&self, class: ActionClass, now: Timestamp) -> Option<Timestamp>;
}

/// An action that somebody pushes.
#[derive(Debug, Clone)]
pub struct Proposal<'a> {
    /// Its name, `setPowerMode`.
    pub action: &'a str,
    /// Its class.
    pub class: ActionClass,
    /// The person who pushes it: the owner, where it is pushed under another name.
    pub creator: &'a Person,
    /// Families of its targets, each once.
    pub families: &'a [Text],
    /// How much it touches.
    pub size: Sums,
    /// The most votes that one of the racks asks for.
    pub rack_votes: u32,
    /// Now.
    pub now: Timestamp,
    /// What was proposed before, without this action.
    pub recent: Recent,
}
