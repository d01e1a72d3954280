use std::sync::atomic::Ordering;

use serde_json::json;

use super::{By, Engine, Inner, draft};
use crate::{
    Error, ErrorKind, Result,
    action::{
        Claims, Stop, StopScope, Voter,
        note::{Note, by},
        stops::Stops,
    },
    auth::{Access, Area},
    planted::{Bug, planted},
};

impl Engine {
    /// Halts the site: no send begins any more once this returns, of no action. What was sent is not taken back and no power
    /// is changed. It needs nobody's vote and the right to write actions; two people [lift](Self::lift) it.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right. When the store cannot keep it, an error that says so, and the
    /// site is halted all the same as long as this process runs.
    pub async fn halt(&self, why: Option<&str>, who: &By) -> Result<()> {
        let voter = self.stopper(who).await?;
        // Before anything that takes time.
        if !planted(Bug::StopInQueue) {
            self.0.shared.halted.store(true, Ordering::SeqCst);
        }
        let (engine, why) = (self.clone(), draft::reason(why)?);
        // It is begun whether or not the caller waits for it.
        let begun = tokio::spawn(async move {
            let begun = engine.begin_stop(StopScope::Halt, why.as_deref(), voter).await;
            if begun.is_err() {
                // Also when somebody lifted another halt meanwhile.
                engine.0.shared.halted.store(true, Ordering::SeqCst);
            }
            begun
        });
        let ended = |_| {
            Error::new(ErrorKind::Internal, "action.halt", "the halt ended without an answer").maybe_sent()
        };
        begun.await.map_err(ended)?
    }

    /// Freezes, locks a person or a rack: see [`StopScope`]. It needs nobody's vote; two people [lift](Self::lift) it.
    ///
    /// # Errors
    /// As [`halt`](Self::halt).
    pub async fn begin_stopping(&self, scope: StopScope, why: Option<&str>, who: &By) -> Result<()> {
        if scope == StopScope::Halt {
            return self.halt(why, who).await;
        }
        let voter = self.stopper(who).await?;
        self.begin_stop(scope, why, voter).await
    }

    /// Wants a stop lifted; gives whether it is, which is so when a second person wants it.
    ///
    /// # Errors
    /// `ERR_STOP_NOT_FOUND`, `ERR_VOTER_EXISTS` for a person that wants it already, `ERR_LOCKED` for one that is locked
    /// by it; [`Forbidden`](ErrorKind::Forbidden) without the right; those of the store.
    pub async fn lift(&self, scope: StopScope, why: Option<&str>, who: &By) -> Result<bool> {
        let voter = self.stopper(who).await?;
        self.0.shared.stops().admit(&voter.person)?;
        let scope = self.0.owner_of(scope).await?;
        let (shown, why) = (by(&voter.person), draft::reason(why)?);
        self.0.point("before_lift").await;
        let lifted = self
            .0
            .ask_urgently(move |desk| {
                let mut stops = Stops::clone(&desk.stops());
                if !voter.counts {
                    return Err(not_counted());
                }
                let lifted = stops.lift(&scope, &voter.person)?;
                let note = Note::new(&shown, "lift").why(why.as_deref());
                desk.stop(stops, note.data(json!({"scope": scope, "lifted": lifted})));
                Ok(lifted)
            })
            .await?;
        self.0.point("after_lift").await;
        Ok(lifted)
    }

    async fn begin_stop(&self, scope: StopScope, why: Option<&str>, voter: Voter) -> Result<()> {
        let scope = self.0.owner_of(scope).await?;
        let (shown, why) = (by(&voter.person), draft::reason(why)?);
        self.0.point("before_stopping").await;
        self.0
            .ask_urgently(move |desk| {
                let mut stops = Stops::clone(&desk.stops());
                let since = desk.now();
                let stop = Stop {
                    scope: scope.clone(),
                    by: voter.person,
                    why: why.clone(),
                    since,
                    lifts: Vec::new(),
                };
                stops.begin(stop)?;
                let note = Note::new(&shown, scope.verb()).why(why.as_deref()).data(json!({"scope": scope}));
                desk.stop(stops, note);
                Ok(())
            })
            .await?;
        self.0.point("after_stopping").await;
        Ok(())
    }

    /// Somebody who may stop things: who may write actions, or to any family.
    async fn stopper(&self, who: &By) -> Result<Voter> {
        let voter = self.0.voter(who).await?;
        let racks = self.0.fleet.racks()?;
        let any = || racks.iter().any(|rack| voter.rights.allows_write(rack.family()));
        if voter.rights.allows(Area::Actions, Access::Write) || any() {
            return Ok(voter);
        }
        let e = Error::new(ErrorKind::Forbidden, "action.stop", "stopping needs the right to write actions");
        Err(e.code_as("ERR_WRITE_PERM_REQUIRED").with("needs", "actions:w"))
    }
}

impl Inner {
    /// A scope with the person whom a name belongs to.
    async fn owner_of(&self, scope: StopScope) -> Result<StopScope> {
        match scope {
            StopScope::Person(name) => {
                Ok(StopScope::Person(self.rights.of(&name, &Claims::default()).await?.person))
            }
            other => Ok(other),
        }
    }
}

fn not_counted() -> Error {
    Error::new(ErrorKind::Forbidden, "action.lift", "only people lift a stop").code_as("ERR_VOTER_INVALID")
}
