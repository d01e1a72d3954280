use serde::{Deserialize, Serialize};

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Waits for votes.
    Voting,
    /// Decided yes; execution has not begun.
    Approved,
    /// Targets are checked, journalled and sent.
    Executing,
    /// The engine ended while it was executing: nothing is sent until each unfinished target is reconciled, and
    /// targets whose fate stays unknown wait for a person.
    Interrupted,
    /// Every call is ok.
    Completed,
    /// A call at least is ok or unknown, and not every one is ok.
    Partial,
    /// No call is ok and none unknown.
    Failed,
    /// Voted down.
    Denied,
    /// Withdrawn by its creator before execution began.
    Cancelled,
    /// Its time ran out before the decision, or before execution began.
    Expired,
}

/// MiningOS's four lists of actions. An action is in exactly one at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    /// Undecided.
    Voting,
    /// Approved and not begun.
    Ready,
    /// Begun and not ended.
    Executing,
    /// Ended, in whatever way.
    Done,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Voting,
        Self::Approved,
        Self::Executing,
        Self::Interrupted,
        Self::Completed,
        Self::Partial,
        Self::Failed,
        Self::Denied,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The list that it belongs to.
    pub const fn bucket(self) -> Bucket {
        match self {
            Self::Voting => Bucket::Voting,
            Self::Approved => Bucket::Ready,
            Self::Executing | Self::Interrupted => Bucket::Executing,
            Self::Completed
            | Self::Partial
            | Self::Failed
            | Self::Denied
            | Self::Cancelled
            | Self::Expired => Bucket::Done,
        }
    }

    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voting => "VOTING",
            Self::Approved => "APPROVED",
            Self::Executing => "EXECUTING",
            Self::Interrupted => "INTERRUPTED",
            Self::Completed => "COMPLETED",
            Self::Partial => "PARTIAL",
            Self::Failed => "FAILED",
            Self::Denied => "DENIED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }
}

impl Bucket {
    /// All of them, in the order in which MiningOS looks.
    pub const ALL: [Self; 4] = [Self::Voting, Self::Ready, Self::Executing, Self::Done];

    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voting => "voting",
            Self::Ready => "ready",
            Self::Executing => "executing",
            Self::Done => "done",
        }
    }
}
