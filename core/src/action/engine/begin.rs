use std::sync::{Arc, PoisonError, atomic::Ordering};

use serde_json::json;

use super::{Engine, Inner};
use crate::{
    Result,
    action::{
        ActionId, Person, RightsSource, Status,
        id::unknown,
        note::Note,
        policy::Begin,
        record,
        state::{Event, Header},
    },
    io::Timestamp,
    planted::{Bug, planted},
};

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
        if let Some(why) = self.changed(&header)? {
            let by = "headframe".into();
            let event = Event::Pause { by, why: Some(why.into()) };
            self.ask(move |desk| desk.step(id, &event, Note::own("changed").why(Some(why)))).await?;
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
        let now = self.cx.clock.wall();
        let decided = Timestamp(header.decided_ms.unwrap_or_default());
        if self.policy.frozen(header.order.class, now).is_some() {
            return Ok(false);
        }
        Ok(header.order.terms.begin(decided, now)? == Begin::Now)
    }

    /// Why what is to be done is not what was voted for.
    pub(super) fn changed(&self, header: &Header) -> Result<Option<&'static str>> {
        let (_, targets) = record::load_rows(&self.shared.store, header.id)?;
        let same = targets == header.order.targets && header.digest == header.order.digest();
        Ok(if same || planted(Bug::DigestWithoutTargets) { None } else { Some("ERR_ACTION_CHANGED") })
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
