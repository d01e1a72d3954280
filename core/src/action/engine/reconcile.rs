//! After a restart: what was under way is looked at before anything is sent.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{Inner, call::End, push};
use crate::{
    Result,
    action::{
        ActionId, Before, Call, Status, StopScope,
        desk::Desk,
        id::unknown,
        note::Note,
        record::{self, BeforeRow},
        state::{Event, Header},
    },
    model::{RackId, Text},
};

/// Looks at every call that an earlier engine left open.
pub(super) async fn all(inner: &Arc<Inner>) {
    let mut actions = JoinSet::new();
    for id in inner.shared.unfinished() {
        let Some(header) = inner.shared.header(id) else { continue };
        // Calls that never began are left when the engine died once more, while it reconciled.
        let interrupted = header.status == Status::Interrupted && header.counts.ended() < header.counts.total;
        if header.status != Status::Executing && !interrupted {
            continue;
        }
        let inner = Arc::clone(inner);
        actions.spawn(async move {
            if let Err(error) = inner.reconcile(id, interrupted).await {
                tracing::error!(%error, action = %id, "an interrupted action could not be reconciled");
            }
        });
    }
    while actions.join_next().await.is_some() {}
}

/// A call that was open: place, attempt, since when, and what was there before.
type Open = (u32, u16, i64, Option<BeforeRow>);

impl Inner {
    async fn reconcile(self: Arc<Self>, id: ActionId, interrupted: bool) -> Result<()> {
        self.point("before_restarted").await;
        if !interrupted {
            self.insist(move |desk| desk.step(id, &Event::Restarted, Note::own("restarted"))).await?;
        }
        self.point("before_reconcile").await;
        let open = move |desk: &mut Desk| {
            let calls = desk.calls(id).ok_or_else(unknown)?;
            let open = calls.open().map(|(n, attempt, since, before)| (n, attempt, since, before.cloned()));
            Ok(open.collect::<Vec<Open>>())
        };
        let open = self.insist(open).await?;
        let targets = self.targets(id)?;
        let header = self.shared.header(id).ok_or_else(unknown)?;
        // Of other targets than those that were voted for nothing can be said.
        let voted = self.voted_rows(&header)?.is_some();
        let params = push::params(&self, &header)?;
        let mut looks = JoinSet::new();
        for (n, attempt, since, before) in open {
            let Some((rack, target)) = targets.get(&n).cloned().filter(|_| voted) else {
                self.end(id, n, attempt, End::lost()).await;
                continue;
            };
            let call = Call {
                id,
                user: header.order.creator.shown().into(),
                action: header.order.action.clone(),
                params: Arc::clone(&params),
                target,
            };
            let before = before.map_or_else(Before::default, |row| row.to_before());
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return Ok(()) };
            let inner = Arc::clone(&self);
            looks.spawn(async move {
                let passed = inner.cx.clock.wall().0.saturating_sub(since);
                let since = Duration::from_millis(u64::try_from(passed).unwrap_or_default());
                let end = inner.look_back(&rack, &call, &before, since).await;
                inner.end(id, n, attempt, end).await;
                drop(place);
            });
        }
        while looks.join_next().await.is_some() {}
        self.point("after_reconcile").await;
        let against = self.against(&header).await;
        let done = move |desk: &mut Desk| {
            let header = desk.current(id).ok_or_else(unknown)?;
            // The last outcome may have ended it.
            if header.status != Status::Interrupted || header.counts.ended() == header.counts.total {
                return Ok(header);
            }
            let header = desk.step(id, &Event::Reconciled, Note::own("reconciled"))?;
            let Some(why) = against.clone().filter(|_| header.status == Status::Executing) else {
                return Ok(header);
            };
            let event = Event::Pause { by: "headframe".into(), why: Some(why.as_str().into()) };
            desk.step(id, &event, Note::own("pause").why(Some(&why)))
        };
        self.insist(done).await?;
        self.point("after_reconciled").await;
        Ok(())
    }

    /// Why calls that never began do not begin by themselves after a restart: the time between may have changed what the
    /// votes were for, and who may vote.
    async fn against(&self, header: &Header) -> Option<String> {
        if header.counts.waiting() == 0 || header.order.shed.is_some() {
            return None;
        }
        // Other stops hold each call as long as they hold.
        if self.shared.stops().holds(&StopScope::Freeze) {
            return Some("actions are frozen".into());
        }
        if self.is_frozen(header) {
            return Some("actions of its class are frozen".into());
        }
        let changed = self.changed(header).map(|why| why.map(str::to_owned));
        let void = match changed {
            // Nothing begins while anything is reconciled, so this has an end.
            Ok(None) => {
                let cx = self.cx.deadline_in(self.options.look_within);
                cx.within("action.reconcile", self.void(header)).await.map(|void| !void.is_empty())
            }
            Ok(why) => return why,
            Err(e) => Err(e),
        };
        match void {
            Ok(false) => None,
            Ok(true) => Some("who voted for it may not any more".into()),
            Err(error) => Some(format!("whether it may go on could not be found out: {}", error.code())),
        }
    }

    /// Rack and target of each call, by its place.
    pub(super) fn targets(&self, id: ActionId) -> Result<BTreeMap<u32, (RackId, Text)>> {
        let mut targets = BTreeMap::new();
        for row in record::load_rows(&self.shared.store, id)?.0 {
            let Some(rack) = row.rack else { continue };
            let calls = (row.first..).zip(row.calls);
            targets.extend(calls.map(|(n, call)| (n, (rack.clone(), call.id))));
        }
        Ok(targets)
    }
}
