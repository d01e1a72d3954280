//! Rules as data.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::{
    ActionClass, Policy, Proposal, check,
    rolling::Sums,
    terms::{Factor, Profile, Raised, Right, Terms, later},
    window::{self, Window},
};
use crate::{Error, Result, io::Timestamp, model::Text};

const OP: &str = "action.policy";
/// How much of what is wrong an error repeats.
const SHOWN_CHARS: usize = 200;

/// What has to be so before an action is carried out, as data. JSON; unknown members are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Whose rules these are. It decides what names without levels mean in votes.
    pub profile: Profile,
    /// The rule of every action that no row names.
    #[serde(default)]
    pub default: Rule,
    /// Rules of actions and classes. A row with the action's name comes before one with its class. At most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// Times when nothing begins, approved or not. At most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
}

/// A rule and what it is for. No action and no class stands in two rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Names of actions, `setPowerMode`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub actions: BTreeSet<Text>,
    /// Classes of actions.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<ActionClass>,
    /// The whole rule: what it leaves out has the value of [`Rule::default`], not that of [`Rules::default`].
    pub rule: Rule,
}

/// What one kind of action needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// People who have to approve, 1 to 64. Racks can ask for more, and so can `factors` and `size`.
    pub votes_for: u32,
    /// People who can deny together, 1 to 64.
    pub votes_against: u32,
    /// Whether the creator is one of those who approve.
    pub own_vote: bool,
    /// The right that a vote needs, `users:w`; absent for writing in the family of every target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voters: Option<Right>,
    /// Who has to be among those who approve: at most 8 factors. A person stands for one of them only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<Factor>,
    /// More people for larger actions.
    pub size: Size,
    /// How long votes are taken, s: 1 to 30 days.
    pub expires_s: u32,
    /// How long after the first moment at which it may begin an approved action has to begin, s: 1 to 30 days.
    pub begin_within_s: u32,
    /// How long an approved action waits, so that it can be cancelled, s: 0 to 30 days.
    pub wait_s: u32,
    /// When execution may begin; always, without any. At most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Targets that are written to at the same time, at most; 1 or more. Absent: the engine's own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
}

impl Default for Rule {
    /// One other person, within a day, to begin within an hour.
    fn default() -> Self {
        Self {
            votes_for: 1,
            votes_against: 1,
            own_vote: false,
            voters: None,
            factors: Vec::new(),
            size: Size::default(),
            expires_s: 24 * 3_600,
            begin_within_s: 3_600,
            wait_s: 0,
            windows: Vec::new(),
            max_in_flight: None,
        }
    }
}

/// How many people approve actions of some size.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Size {
    /// By number of targets, in rising order; at most 32 steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_targets: Vec<TargetStep>,
    /// By the most that the power can change by, in rising order; at most 32 steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_kw: Vec<KwStep>,
    /// What a target counts whose power nobody can say, kW, 0 or more.
    pub kw_of_unknown: f64,
    /// Actions of late count too; absent, each action is judged by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling: Option<Rolling>,
}

/// From so many targets on so many people approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetStep {
    /// Targets, 1 or more.
    pub from_targets: u64,
    /// People, 1 to 64.
    pub votes: u32,
}

/// From so many kW on so many people approve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KwStep {
    /// kW, above 0.
    pub from_kw: f64,
    /// People, 1 to 64.
    pub votes: u32,
}

/// The actions of the same class within a window of time are judged together with the new one, so that many small ones
/// count as one large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rolling {
    /// The window, s: 1 to 30 days.
    pub window_s: u32,
    /// Those of the same creator count.
    pub per_creator: bool,
    /// Those of everybody count.
    pub per_site: bool,
}

/// A time when nothing begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// When it begins, RFC 3339: `2026-12-24T00:00:00Z`.
    #[serde(with = "rfc3339")]
    pub from: Timestamp,
    /// When it ends; then things begin again.
    #[serde(with = "rfc3339")]
    pub to: Timestamp,
    /// What is frozen; everything but the rules themselves, when nothing is named. `policy` cannot be: nobody could
    /// end it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<ActionClass>,
    /// Why, for people; at most 256 characters.
    #[serde(default)]
    pub reason: Text,
}

impl Freeze {
    fn holds(&self, class: ActionClass, now: Timestamp) -> bool {
        let named = if self.classes.is_empty() {
            class != ActionClass::Policy
        } else {
            self.classes.contains(&class)
        };
        named && (self.from..self.to).contains(&now)
    }
}

impl Rules {
    /// Reads and checks rules.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with code `ERR_POLICY_INVALID`, naming the wrong field.
    pub fn parse(json: &Value) -> Result<Self> {
        let rules: Self = serde_path_to_error::deserialize(json).map_err(|e| {
            let (field, why) = (shortened(&e.path().to_string()), shortened(&e.inner().to_string()));
            Error::invalid(OP, &field, why).code_as(check::CODE)
        })?;
        rules.check()?;
        Ok(rules)
    }

    /// Refuses rules that nobody can mean.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn check(&self) -> Result<()> {
        check::rules(self)
    }

    /// The rule of an action.
    pub fn rule(&self, action: &str, class: ActionClass) -> &Rule {
        let named = self.rows.iter().find(|row| row.actions.contains(action));
        let row = named.or_else(|| self.rows.iter().find(|row| row.classes.contains(&class)));
        row.map_or(&self.default, |row| &row.rule)
    }
}

/// As much of a text as an error repeats.
fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

impl Size {
    /// How many people approve so much.
    fn votes(&self, of: Sums) -> u32 {
        #[expect(clippy::cast_precision_loss, reason = "no site has so many targets that it would matter")]
        let kw = of.kw + of.unknown as f64 * self.kw_of_unknown;
        // No number is not a small number.
        let kw = if kw.is_nan() { f64::INFINITY } else { kw };
        let by_targets = self.by_targets.iter().filter(|step| of.targets >= step.from_targets);
        let by_kw = self.by_kw.iter().filter(|step| kw >= step.from_kw);
        by_targets.map(|step| step.votes).chain(by_kw.map(|step| step.votes)).max().unwrap_or(0)
    }
}

impl Policy for Rules {
    fn terms(&self, proposal: &Proposal<'_>) -> Result<Terms> {
        let rule = self.rule(proposal.action, proposal.class);
        let factors = rule.factors.iter().map(|factor| factor.votes).sum();
        let alone = rule.votes_for.max(proposal.rack_votes).max(factors).max(rule.size.votes(proposal.size));
        let mut raised = None;
        let mut votes_for = alone;
        if let Some(rolling) = rule.size.rolling {
            let of_creator = rolling.per_creator.then_some(proposal.recent.creator);
            let of_site = rolling.per_site.then_some(proposal.recent.site);
            for recent in of_creator.into_iter().chain(of_site) {
                let all = recent.and(proposal.size);
                let votes = rule.size.votes(all);
                if votes > votes_for {
                    votes_for = votes;
                    raised = Some(Raised::of(alone, rolling.window_s, all));
                }
            }
        }
        Ok(Terms {
            votes_for,
            votes_against: rule.votes_against,
            own_vote: rule.own_vote,
            voters: rule.voters,
            factors: rule.factors.clone(),
            raised,
            begin_within_s: rule.begin_within_s,
            wait_s: rule.wait_s,
            windows: rule.windows.clone(),
            max_in_flight: rule.max_in_flight,
            ..Terms::new(self.profile, later(proposal.now, rule.expires_s))
        })
    }

    fn looks_back_s(&self, action: &str, class: ActionClass) -> u32 {
        self.rule(action, class).size.rolling.map_or(0, |rolling| rolling.window_s)
    }

    fn frozen(&self, class: ActionClass, now: Timestamp) -> Option<Timestamp> {
        self.freezes.iter().filter(|freeze| freeze.holds(class, now)).map(|freeze| freeze.to).max()
    }
}

/// Times as people write them.
mod rfc3339 {
    use super::{Deserialize, Deserializer, Serializer, Text, Timestamp, de, window};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let instant = window::instant(*at).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&instant)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let instant: Result<jiff::Timestamp, _> = text.parse();
        let wrong = |_| de::Error::custom("is no time such as 2026-12-24T00:00:00Z");
        Ok(Timestamp(instant.map_err(wrong)?.as_millisecond()))
    }
}
