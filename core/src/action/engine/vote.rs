use std::sync::Arc;

use serde_json::{Value, json};

use super::{By, Engine, draft, push::claims};
use crate::{
    Error, ErrorKind, Result,
    action::{
        ActionId, Rights, Status, Voter,
        keys::{self, Answer},
        note::{Note, by},
        policy::Profile,
        state::{Event, Header, Vote},
    },
    model::Text,
};

const OP: &str = "action.vote";

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ballot {
    /// For or against.
    pub approve: bool,
    /// The digest of the action that the voter saw; another one is refused.
    pub digest: Option<Text>,
    /// What the voter says to it; it goes into the audit log.
    pub why: Option<Text>,
    /// The same key and the same vote get the same answer, however often they come.
    pub client_key: Option<Text>,
}

impl Ballot {
    /// A vote for or against.
    pub const fn new(approve: bool) -> Self {
        Self { approve, digest: None, why: None, client_key: None }
    }

    /// The vote in a body: `approve`, `digest?`, `why?`, `clientKey?`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with `ERR_PAYLOAD_APPROVE_REQUIRED` or `ERR_PAYLOAD_INVALID`.
    pub fn from_body(body: &Value) -> Result<Self> {
        let approve = body.get("approve").and_then(Value::as_bool);
        let approve = approve.ok_or_else(|| {
            Error::invalid(OP, "approve", "takes true or false").code_as("ERR_PAYLOAD_APPROVE_REQUIRED")
        })?;
        Ok(Self {
            approve,
            digest: draft::text(body, "digest")?,
            why: draft::reason(body.get("why").and_then(Value::as_str))?,
            client_key: draft::text(body, "clientKey")?,
        })
    }
}

impl Engine {
    /// Votes on an action. The vote is durable, and with it what it decides.
    ///
    /// # Errors
    /// `ERR_CLIENT_KEY_CONFLICT`, `ERR_ACTION_ID_NOT_FOUND`, `ERR_ACTION_DECIDED`, `ERR_ACTION_CHANGED`,
    /// `ERR_ACTION_DENIED` for a voter without the rights, `ERR_VOTER_EXISTS`; those of the store. Nothing is changed then.
    pub async fn vote(&self, id: ActionId, ballot: Ballot, who: &By) -> Result<Arc<Header>> {
        let why = draft::reason(ballot.why.as_deref())?;
        draft::label("clientKey", ballot.client_key.as_ref())?;
        let voter = self.0.person(who).await?;
        let shown = by(&who.person);
        self.0.point("before_vote").await;
        let voted = self
            .0
            .ask(move |desk| {
                let body = keys::vote_body(id, ballot.approve, ballot.digest.as_deref());
                if let Some(key) = &ballot.client_key
                    && let Some(Answer::Voted(id)) = keys::staged(desk, &voter.person, key, &body)?
                {
                    return desk.known(id);
                }
                let header = desk.known(id)?;
                desk.stops().admit(&voter.person)?;
                may_vote(&header, &ballot, &voter)?;
                let vote = Vote {
                    person: voter.person.clone(),
                    approve: ballot.approve,
                    ts: desk.now(),
                    why: why.clone(),
                    factors: header.order.terms.factors_of(&in_terms(&header, &voter.rights)),
                    counts: voter.counts,
                    claims: claims(&voter),
                };
                let note = Note::new(&shown, "vote")
                    .why(why.as_deref())
                    .data(json!({"approve": ballot.approve, "digest": header.digest}));
                let header = desk.step(id, &Event::Vote(Box::new(vote)), note)?;
                if let Some(key) = &ballot.client_key {
                    keys::remember(desk, &voter.person, key, &body, &Answer::Voted(id));
                }
                Ok(header)
            })
            .await?;
        self.0.point("after_vote").await;
        Ok(voted)
    }

    /// Takes a vote back, as long as the action waits for votes.
    ///
    /// # Errors
    /// `ERR_ACTION_ID_NOT_FOUND`, `ERR_ACTION_DECIDED`, `ERR_VOTER_NOT_FOUND`; `ERR_VOTER_IS_CREATOR` for who pushed the
    /// action; those of the store.
    pub async fn withdraw(&self, id: ActionId, who: &By) -> Result<Arc<Header>> {
        let voter = self.0.person(who).await?;
        let shown = by(&who.person);
        let event = Event::Withdraw { person: voter.person };
        self.0.point("before_withdraw").await;
        let left = self.0.ask(move |desk| desk.step(id, &event, Note::new(&shown, "withdraw"))).await?;
        self.0.point("after_withdraw").await;
        Ok(left)
    }

    /// Cancels an action before its execution began.
    ///
    /// # Errors
    /// `ERR_ACTION_ID_NOT_FOUND`, `ERR_ACTION_DECIDED`, `ERR_CALLER_NOT_CREATOR`; those of the store.
    pub async fn cancel(&self, id: ActionId, who: &By) -> Result<Arc<Header>> {
        let voter = self.0.person(who).await?;
        let shown = by(&who.person);
        let event = Event::Cancel { person: voter.person };
        self.0.point("before_cancel").await;
        let ended = self.0.ask(move |desk| desk.step(id, &event, Note::new(&shown, "cancel"))).await?;
        self.0.point("after_cancel").await;
        Ok(ended)
    }
}

/// Rights as the profile of the action reads them: what a name without levels grants is its matter.
fn in_terms(header: &Header, rights: &Rights) -> Rights {
    match (header.order.terms.profile, rights) {
        (Profile::Safe, Rights::Claimed(claims)) => Rights::Claimed(claims.with_levels()),
        _ => rights.clone(),
    }
}

fn may_vote(header: &Header, ballot: &Ballot, voter: &Voter) -> Result<()> {
    // Whoever may not vote hears first that it is decided, as from MiningOS.
    if header.status != Status::Voting {
        return Ok(());
    }
    if let Some(digest) = &ballot.digest
        && header.digest.as_str() != digest.as_str()
    {
        let e = Error::new(ErrorKind::Conflict, OP, "the vote is for another content than this action has");
        return Err(e.code_as("ERR_ACTION_CHANGED"));
    }
    if header.order.terms.may_vote(&in_terms(header, &voter.rights), &header.order.families) {
        return Ok(());
    }
    let e = Error::new(ErrorKind::Forbidden, OP, "the voter lacks a right that this action asks for");
    let needs =
        header.order.terms.voters.map_or_else(|| "w on the family of every target".into(), |r| r.to_string());
    Err(e.code_as("ERR_ACTION_DENIED").with("needs", needs))
}
