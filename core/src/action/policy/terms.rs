use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    rolling::Sums,
    window::{self, Window},
};
use crate::{
    Error, Result,
    action::{Bare, Rights},
    auth::{Access, Area, Permission},
    io::Timestamp,
    model::Text,
};

/// A profile of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Headframe's own: two people for what is dangerous, more for what is large.
    Safe,
    /// MiningOS's numbers, for its gateway.
    Mos,
}

impl Profile {
    /// What a name without levels means in the `authPerms` of a vote. In a push it is always malformed.
    pub const fn bare_in_votes(self) -> Bare {
        match self {
            Self::Safe => Bare::GrantNothing,
            Self::Mos => Bare::CountAsWrite,
        }
    }
}

/// A right in one area, `container:w`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Right {
    /// The area.
    pub area: Area,
    /// Reading or writing.
    pub access: Access,
}

impl FromStr for Right {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Permission { area, read, write } = text.parse()?;
        let wrong =
            || Error::invalid("action.policy", "right", "takes one area and one level, such as miner:w");
        let access = match (read, write) {
            (true, false) => Access::Read,
            (false, true) => Access::Write,
            _ => return Err(wrong()),
        };
        Ok(Self { area: area.ok_or_else(wrong)?, access })
    }
}

impl TryFrom<String> for Right {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Right> for String {
    fn from(right: Right) -> Self {
        right.to_string()
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area, self.access)
    }
}

impl fmt::Debug for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// So many of those who have a right have to be among the votes. A person stands for one factor only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// The right.
    pub right: Right,
    /// How many people.
    pub votes: u32,
}

/// Why more votes are needed than the action by itself would need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raised {
    /// `ERR_POLICY_AGGREGATE`: together with what was proposed before it is a large action.
    pub code: Text,
    /// Votes that the action by itself would need.
    pub votes_alone: u32,
    /// The window, s.
    pub window_s: u32,
    /// Targets within it, those of this action included.
    pub targets: u64,
    /// kW that these change by at most, those of which it is known.
    pub kw: f64,
    /// Targets of which it is not known.
    pub kw_unknown: u64,
}

impl Raised {
    /// The code of [`Raised`].
    pub const CODE: &'static str = "ERR_POLICY_AGGREGATE";

    pub(super) fn of(votes_alone: u32, window_s: u32, all: Sums) -> Self {
        let Sums { targets, kw, unknown } = all;
        Self { code: Self::CODE.into(), votes_alone, window_s, targets, kw, kw_unknown: unknown }
    }
}

/// What has to be so before an action is carried out. It is fixed when the action is pushed, and part of what is voted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Terms {
    /// Whose rules these are.
    pub profile: Profile,
    /// Votes that approve it, 1 or more; each of another person.
    pub votes_for: u32,
    /// Votes that deny it, 1 or more.
    pub votes_against: u32,
    /// Whether its creator is one of those who approve it.
    pub own_vote: bool,
    /// The right that a vote needs; absent for writing in the family of every target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<Right>,
    /// Who has to be among those who approve it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<Factor>,
    /// Why it needs more votes than it would by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Raised>,
    /// When voting ends, ms since 1970: undecided then, it has expired.
    pub expires_at_ms: i64,
    /// How long after the first moment at which it may begin an approved action has to begin, s.
    pub begin_within_s: u32,
    /// How long it waits after it was approved, so that it can be cancelled, s.
    pub wait_s: u32,
    /// When it may begin; always, when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Targets that are written to at the same time, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
}

/// Whether an approved action may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It may.
    Now,
    /// Not yet: look again then.
    NotBefore(Timestamp),
    /// Not any more: it has expired.
    TooLate,
}

impl Terms {
    /// One other person until `expires_at`, to begin within an hour; the members can be changed.
    pub const fn new(profile: Profile, expires_at: Timestamp) -> Self {
        Self {
            profile,
            votes_for: 1,
            votes_against: 1,
            own_vote: false,
            voters: None,
            factors: Vec::new(),
            raised: None,
            expires_at_ms: expires_at.0,
            begin_within_s: 3_600,
            wait_s: 0,
            windows: Vec::new(),
            max_in_flight: None,
        }
    }

    /// Whether somebody with `rights` may vote on targets of `families`. Without a target and without a right that
    /// votes need nobody may.
    pub fn may_vote<S: AsRef<str>>(&self, rights: &Rights, families: &[S]) -> bool {
        match self.voters {
            Some(right) => rights.allows(right.area, right.access),
            None => {
                !families.is_empty() && families.iter().all(|family| rights.allows_write(family.as_ref()))
            }
        }
    }

    /// Which factors somebody with `rights` can stand for, in their order.
    pub fn factors_of(&self, rights: &Rights) -> Vec<bool> {
        self.factors.iter().map(|factor| rights.allows(factor.right.area, factor.right.access)).collect()
    }

    /// Whether its time for votes is over.
    pub const fn is_expired(&self, now: Timestamp) -> bool {
        now.0 >= self.expires_at_ms
    }

    /// Whether an action that was approved at `approved` may begin. A freeze is another matter:
    /// [`Policy::frozen`](super::Policy::frozen).
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a window's zone is not known here; then it may not.
    pub fn begin(&self, approved: Timestamp, now: Timestamp) -> Result<Begin> {
        let Some(first) = window::next_open(&self.windows, later(approved, self.wait_s))? else {
            return Ok(Begin::TooLate);
        };
        let last = later(first, self.begin_within_s);
        if now < first {
            return Ok(Begin::NotBefore(first));
        }
        if now >= last {
            return Ok(Begin::TooLate);
        }
        Ok(match window::next_open(&self.windows, now)? {
            Some(open) if open <= now => Begin::Now,
            Some(open) => Begin::NotBefore(open.min(last)),
            None => Begin::NotBefore(last),
        })
    }

    /// Whether one of its windows is open, or it has none.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn is_open(&self, at: Timestamp) -> Result<bool> {
        Ok(window::next_open(&self.windows, at)?.is_some_and(|open| open <= at))
    }
}

pub(super) const fn later(at: Timestamp, seconds: u32) -> Timestamp {
    Timestamp(at.0.saturating_add(seconds as i64 * 1_000))
}
