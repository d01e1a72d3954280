//! What time does to actions: they run out, and begin when their time has come.

use std::{sync::Weak, time::Duration};

use super::Inner;
use crate::action::{
    Status, keys,
    note::Note,
    state::{Event, is_over},
};

const TICK: Duration = Duration::from_secs(1);
/// How many ticks pass between two looks for client keys that nobody needs any more.
const CLEAN_EVERY: u64 = 600;
/// How many of them go at a time.
const CLEAN_MOST: usize = 1_000;

/// Serves until the engine ends.
pub(super) async fn serve(inner: Weak<Inner>) {
    let mut ticks = 0_u64;
    while let Some(engine) = inner.upgrade() {
        engine.run_out().await;
        if *engine.reconciled.borrow() && engine.options.begin_by_itself {
            engine.begin_due();
        }
        if ticks.is_multiple_of(CLEAN_EVERY) {
            engine.forget_keys().await;
        }
        ticks = ticks.wrapping_add(1);
        let clock = engine.cx.clock.clone();
        drop(engine);
        clock.sleep_until(clock.mono() + TICK).await;
    }
}

impl Inner {
    /// Ends what waited for too long.
    async fn run_out(&self) {
        let now = self.shared.now();
        for id in self.shared.unfinished() {
            if !self.shared.header(id).is_some_and(|h| is_over(&h, now)) {
                continue;
            }
            self.point("before_expire").await;
            let expired = self.ask(move |desk| desk.step(id, &Event::Time, Note::own("expire"))).await;
            if let Err(error) = expired {
                tracing::debug!(%error, action = %id, "an action did not run out");
            }
            self.point("after_expire").await;
        }
    }

    fn begin_due(self: &std::sync::Arc<Self>) {
        for id in self.shared.unfinished() {
            if self.shared.header(id).is_some_and(|h| h.status == Status::Approved) {
                self.approved(id);
            }
        }
    }

    async fn forget_keys(&self) {
        let old = keys::old(&self.shared.store, self.shared.now(), CLEAN_MOST);
        if old.is_empty() {
            return;
        }
        self.point("before_forget").await;
        let forget = move |desk: &mut crate::action::desk::Desk| {
            old.into_iter().for_each(|key| desk.delete(crate::store::Space::Meta, key));
            desk.note(None, Note::own("forget-keys"), None);
            Ok(())
        };
        if let Err(error) = self.ask(forget).await {
            tracing::debug!(%error, "old client keys are forgotten later");
        }
        self.point("after_forget").await;
    }
}
