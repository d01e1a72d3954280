use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use serde_json::json;

use super::{Engine, Inner};
use crate::{
    Result,
    action::{
        ActionId, Person, RightsSource, Status,
        id::unknown,
        note::Note,
        policy::Begin,
        record::{self, TargetRow},
        state::{Effect, Event, Header},
    },
    io::Timestamp,
    planted::{Bug, planted},
};

/// What was stored is not what was voted for.
pub(super) const CHANGED: &str = "ERR_ACTION_CHANGED";

impl Engine {
    /// Begins every approved action that may begin now; gives how many began. Needed only where
    /// [`begin_by_itself`](super::EngineOptions::begin_by_itself) is off.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin_ready(&self) -> Result<usize> {
        self.reconciled().await;
        let mut begun = 0;
        for id in self.0.shared.unfinished() {
            let approved = self.0.shared.header(id).is_some_and(|h| h.status == Status::Approved);
            if approved && Arc::clone(&**self.0).begin(id).await? {
                begun += 1;
            }
        }
        Ok(begun)
    }
}

impl Inner {
    /// Keeps since when an action is approved, by a clock that nobody sets.
    pub(super) fn note_approval(&self, id: ActionId, effect: &Effect) {
        let mut all = self.approved_at.lock().unwrap_or_else(PoisonError::into_inner);
        match effect {
            Effect::Approved => drop(all.insert(id, self.cx.clock.mono())),
            _ => drop(all.remove(&id)),
        }
    }

    /// Whether it waits for its own time still, whatever the wall clock says.
    fn waits(&self, header: &Header) -> bool {
        let all = self.approved_at.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = Duration::from_secs(header.order.terms.wait_s.into());
        all.get(&header.id).is_some_and(|since| self.cx.clock.mono() < *since + wait)
    }

    /// An action was approved.
    pub(super) fn approved(self: &Arc<Self>, id: ActionId) {
        if !self.options.begin_by_itself {
            return;
        }
        if !self.beginning.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return;
        }
        let inner = Arc::clone(self);
        let begin = async move {
            if let Err(error) = Arc::clone(&inner).begin(id).await {
                tracing::warn!(%error, action = %id, "an approved action could not begin");
            }
            inner.beginning.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.spawn(&runtime, begin);
        }
    }

    /// Begins an approved action unless something stands against it; gives whether it began.
    pub(super) async fn begin(self: Arc<Self>, id: ActionId) -> Result<bool> {
        let header = self.shared.header(id).ok_or_else(unknown)?;
        if header.status != Status::Approved || !self.may_begin(&header)? {
            return Ok(false);
        }
        if self.voted_rows(&header)?.is_none() {
            self.hold(id, CHANGED, Note::own("changed")).await?;
            return Ok(false);
        }
        let cx = self.cx.deadline_in(self.options.look_within);
        let void = cx.within("action.begin", self.void(&header)).await?;
        self.point("before_begin").await;
        let event = Event::Begin { void };
        let begun = self
            .ask(move |desk| {
                let header = desk.current(id).ok_or_else(unknown)?;
                // Somebody may have been quicker: it is cancelled, held or begun then.
                let open = header.status == Status::Approved && header.hold.is_none();
                if !open || desk.stops().against(&header.order).is_some() {
                    return Ok(false);
                }
                let note = Note::own("begin").data(json!({"digest": header.digest}));
                desk.step(id, &event, note).map(|header| header.status == Status::Executing)
            })
            .await?;
        self.point("after_begin").await;
        Ok(begun)
    }

    /// Whether its time has come and nothing is stopped.
    fn may_begin(&self, header: &Header) -> Result<bool> {
        if header.hold.is_some() || self.shared.halted.load(Ordering::SeqCst) {
            return Ok(false);
        }
        if self.shared.stops().against(&header.order).is_some() {
            return Ok(false);
        }
        if self.waits(header) {
            return Ok(false);
        }
        let decided = Timestamp(header.decided_ms.unwrap_or_default());
        let now = Timestamp(self.shared.now());
        let terms = &header.order.terms;
        // A clock that was set back says what time of day it is.
        let is_open = terms.is_open(Timestamp(self.shared.wall()))?;
        Ok(is_open && !self.is_frozen(header) && terms.begin(decided, now)? == Begin::Now)
    }

    /// Whether its class is frozen, by the wall clock or by the time that the engine counts.
    pub(super) fn is_frozen(&self, header: &Header) -> bool {
        let times = [self.shared.now(), self.shared.wall()];
        times.iter().any(|ms| self.policy.frozen(header.order.class, Timestamp(*ms)).is_some())
    }

    /// Why what is to be done is not what was voted for.
    pub(super) fn changed(&self, header: &Header) -> Result<Option<&'static str>> {
        Ok(self.voted_rows(header)?.is_none().then_some(CHANGED))
    }

    /// The targets of an action; `None` when what is to be done is not what was voted for.
    pub(super) fn voted_rows(&self, header: &Header) -> Result<Option<Vec<TargetRow>>> {
        let (rows, targets) = record::load_rows(&self.shared.store, header.id)?;
        let same = targets == header.order.targets && header.digest == header.order.digest();
        // Nobody voted for a shedding of load, and nothing holds it up.
        let any = header.order.shed.is_some() || planted(Bug::DigestWithoutTargets);
        Ok((same || any).then_some(rows))
    }

    /// Holds an action because of what the engine found.
    pub(super) async fn hold(&self, id: ActionId, why: &'static str, note: Note) -> Result<()> {
        let event = Event::Pause { by: "headframe".into(), why: Some(why.into()) };
        self.ask(move |desk| desk.step(id, &event, note.why(Some(why)))).await.map(drop)
    }

    /// Voters whose votes do not hold any more. Where rights come as claims, those of the votes are used.
    pub(super) async fn void(&self, header: &Header) -> Result<Vec<Person>> {
        let stops = self.shared.stops();
        let mut void = Vec::new();
        for vote in &header.votes {
            let mut holds = stops.admit(&vote.person).is_ok();
            if let RightsSource::Current(principals) = &self.rights
                && !planted(Bug::CachedRights)
            {
                let now = principals.of(&vote.person).await?;
                let rights = crate::action::Voter::from(now).rights;
                holds &= header.order.terms.may_vote(&rights, &header.order.families);
            }
            if !holds {
                void.push(vote.person.clone());
            }
        }
        Ok(void)
    }

    /// Tells whoever wants to know that the engine is here.
    pub(super) async fn point(&self, name: &'static str) {
        self.shared.point(name).await;
    }
}
