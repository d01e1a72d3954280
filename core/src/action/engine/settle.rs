use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{By, Engine, draft, run};
use crate::{
    Error, ErrorKind, Result,
    action::{
        ActionId, Status, Voter, calls,
        note::{Note, by},
        record::{Fate, Outcome, Step},
        state::{Event, Header},
    },
    model::RackId,
};

/// What a person says became of a call of which nobody knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// It had its effect.
    Ok,
    /// It had none.
    Failed,
    /// It will never be known.
    Unknown,
}

impl Engine {
    /// Says what became of a call whose fate is unknown. When no call of an interrupted action is unknown any more, it
    /// ends.
    ///
    /// # Errors
    /// `ERR_ACTION_ID_NOT_FOUND`; `ERR_THING_NOTFOUND` when the action has no such call; `ERR_CALL_DECIDED` when its fate is
    /// known, or still to come; `ERR_ACTION_DENIED` without the right to write to it; those of the store.
    pub async fn settle(
        &self,
        id: ActionId,
        (rack, target): (&RackId, &str),
        settled: Settled,
        why: Option<&str>,
        who: &By,
    ) -> Result<Arc<Header>> {
        let header = self.0.shared.known(id)?;
        let voter = self.entitled(&header, who).await?;
        let found = self.0.targets(id)?.into_iter().find(|(_, (r, t))| r == rack && *t == *target);
        let missing = || {
            let e = Error::new(ErrorKind::NotFound, "action.settle", "the action has no such call");
            e.code_as("ERR_THING_NOTFOUND")
        };
        let n = found.ok_or_else(missing)?.0;
        let (shown, why) = (by(&voter.person), draft::reason(why)?);
        let outcome = move |attempt, ts, shown: &str| {
            let (fate, error, result) = match settled {
                Settled::Ok => (Fate::Ok, None, Some(json!({"success": true, "settled": true}))),
                Settled::Failed => (Fate::Failed, Some("ERR_NOT_CONFIRMED".into()), None),
                Settled::Unknown => (Fate::Unknown, Some("ERR_OUTCOME_UNKNOWN".into()), None),
            };
            Outcome { n, attempt, ts, fate, result, error, receipt: None, by: Some(shown.into()) }
        };
        self.0.point("before_settle").await;
        self.0
            .ask(move |desk| {
                // Those of an action of which everything is known are not kept.
                let calls = desk.calls(id).ok_or_else(calls::decided)?;
                let attempt = calls.attempt(n).ok_or_else(missing)?;
                if !calls.is_unknown(n) {
                    return Err(calls::decided());
                }
                let ts = desk.now();
                desk.journal(id, Step::Outcome(outcome(attempt, ts, &shown)))?;
                let note = Note::new(&shown, "settle").why(why.as_deref());
                desk.note(Some(id), note.data(json!({"call": n, "settled": settled})), None);
                Ok(())
            })
            .await?;
        self.0.point("after_settle").await;
        self.0.shared.known(id)
    }

    /// Holds an action: calls that have not begun do not begin. What was sent goes on.
    ///
    /// # Errors
    /// `ERR_ACTION_ID_NOT_FOUND`, `ERR_ACTION_DECIDED`, `ERR_ACTION_DENIED`; those of the store.
    pub async fn pause(&self, id: ActionId, why: Option<&str>, who: &By) -> Result<Arc<Header>> {
        let header = self.0.shared.known(id)?;
        let voter = self.entitled(&header, who).await?;
        let shown = by(&voter.person);
        let why = draft::reason(why)?;
        let note = Note::new(&shown, "pause").why(why.as_deref());
        let event = Event::Pause { by: shown.as_str().into(), why };
        self.0.point("before_pause").await;
        let held = self.0.ask(move |desk| desk.step(id, &event, note)).await?;
        self.0.point("after_pause").await;
        Ok(held)
    }

    /// Lets a held action go on. One that has begun does not while somebody who voted for it may not vote any more.
    ///
    /// # Errors
    /// As [`pause`](Self::pause); `ERR_ACTION_CHANGED` when what is stored is not what was voted for: such an action never
    /// goes on, and its creator [cancels](Self::cancel) it, or somebody [stops](Self::stop) it.
    pub async fn resume(&self, id: ActionId, who: &By) -> Result<Arc<Header>> {
        let header = self.0.shared.known(id)?;
        if let Some(code) = self.0.changed(&header)? {
            let text = "what is stored of the action is not what was voted for";
            return Err(Error::new(ErrorKind::Conflict, "action.resume", text).code_as(code));
        }
        let voter = self.entitled(&header, who).await?;
        let begun = matches!(header.status, Status::Executing | Status::Interrupted);
        if begun && !self.0.void(&header).await?.is_empty() {
            let why = "somebody who voted for it may not any more: stop it, and push what is left anew";
            let e = Error::new(ErrorKind::Forbidden, "action.resume", why);
            return Err(e.code_as("ERR_ACTION_DENIED"));
        }
        let note = Note::new(&by(&voter.person), "resume");
        self.0.point("before_resume").await;
        let resumed = self.0.ask(move |desk| desk.step(id, &Event::Resume, note)).await?;
        self.0.point("after_resume").await;
        Ok(resumed)
    }

    /// Ends an executing action early: calls that have not begun end as failed with `ERR_ACTION_STOPPED`.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub async fn stop(&self, id: ActionId, why: Option<&str>, who: &By) -> Result<Arc<Header>> {
        let header = self.0.shared.known(id)?;
        let voter = self.entitled(&header, who).await?;
        let (shown, why) = (by(&voter.person), draft::reason(why)?);
        self.0.point("before_stop").await;
        self.0
            .ask(move |desk| {
                let header = desk.known(id)?;
                if header.status != Status::Executing {
                    let text = "only an action that executes is stopped";
                    let e =
                        Error::new(ErrorKind::Conflict, "action.stop", text).code_as("ERR_ACTION_DECIDED");
                    return Err(e.with("status", header.status.as_str()));
                }
                let ended = run::end_waiting(desk, id, "ERR_ACTION_STOPPED", Some(&shown.as_str().into()))?;
                let note = Note::new(&shown, "stop").why(why.as_deref()).data(json!({"ended": ended}));
                desk.note(Some(id), note, None);
                Ok(())
            })
            .await?;
        self.0.point("after_stop").await;
        self.0.shared.known(id)
    }

    /// Somebody who may write to every target.
    async fn entitled(&self, header: &Header, who: &By) -> Result<Voter> {
        let voter = self.0.voter(who).await?;
        self.0.shared.stops().admit(&voter.person)?;
        let missing = header.order.families.iter().find(|family| !voter.rights.allows_write(family));
        match missing {
            None => Ok(voter),
            Some(family) => {
                let e =
                    Error::new(ErrorKind::Forbidden, "action", "the caller may not write to every target");
                Err(e.code_as("ERR_ACTION_DENIED").with("needs", format_args!("{family}:w")))
            }
        }
    }
}
