//! Between the engine and the hands of its racks: notes every call that is sent, and has the network know which one its
//! bytes belong to.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Result, Sent,
    action::{Ask, Before, Call, Hands, Look, Reply, Seen, Selection},
    driver::Permit,
    io::{Ctx, Mono},
    ork::LocalHands,
};

use super::trace::Trace;

tokio::task_local! {
    /// The number of the call that is being sent.
    pub static WRITING: usize;
}

/// What came of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The device answered.
    Answered,
    /// It is certain that the device got nothing.
    NotSent,
    /// Nobody can say.
    Maybe,
}

/// A call that was sent.
#[derive(Debug, Clone)]
pub struct Try {
    /// When the sending began.
    pub at: Mono,
    /// Of which action.
    pub action: u64,
    /// To which thing.
    pub target: String,
    /// What came of it; nothing when it was broken off by a crash.
    pub told: Option<Told>,
}

#[derive(Debug, Default)]
struct Inner {
    tries: Vec<Try>,
    /// Targets that were as wanted already.
    already: BTreeSet<(u64, String)>,
    /// Targets whose effect was seen.
    seen: BTreeSet<(u64, String)>,
}

/// Everything that was sent, over all starts of the site. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Eyes(Arc<Mutex<Inner>>);

impl Eyes {
    /// All that was sent, in its order.
    pub fn tries(&self) -> Vec<Try> {
        self.lock().tries.clone()
    }

    /// How many calls are under way.
    pub fn count(&self) -> usize {
        self.lock().tries.len()
    }

    /// Whether the target was as wanted before anything was sent to it, or showed the effect.
    pub fn is_so(&self, action: u64, target: &str) -> bool {
        let inner = self.lock();
        let key = (action, target.to_owned());
        inner.already.contains(&key) || inner.seen.contains(&key)
    }

    fn begin(&self, at: Mono, call: &Call) -> usize {
        let mut inner = self.lock();
        let (action, target) = (call.id.get(), call.target.to_string());
        inner.tries.push(Try { at, action, target, told: None });
        inner.tries.len() - 1
    }

    fn end(&self, number: usize, told: Told) {
        if let Some(one) = self.lock().tries.get_mut(number) {
            one.told = Some(told);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hands of a rack, watched.
#[derive(Debug)]
pub struct Watched {
    /// The real ones.
    pub hands: LocalHands,
    /// Who watches.
    pub eyes: Eyes,
    /// Where it is noted.
    pub trace: Trace,
}

impl Watched {
    fn note(&self, cx: &Ctx, what: &str, call: &Call) {
        self.trace.note(
            cx.clock.mono(),
            what,
            format!("{} {} {}", call.id, call.action, call.target).as_bytes(),
        );
    }
}

#[async_trait]
impl Hands for Watched {
    async fn select(&self, cx: &Ctx, ask: &Ask) -> Result<Option<Selection>> {
        self.hands.select(cx, ask).await
    }

    async fn look(&self, cx: &Ctx, call: &Call) -> Result<Look> {
        let look = self.hands.look(cx, call).await;
        if look.as_ref().is_ok_and(|look| look.already) {
            self.eyes.lock().already.insert((call.id.get(), call.target.to_string()));
        }
        self.note(cx, if look.is_ok() { "looked" } else { "looked in vain" }, call);
        look
    }

    async fn send(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        let number = self.eyes.begin(cx.clock.mono(), call);
        self.note(cx, "send", call);
        let reply = WRITING.scope(number, self.hands.send(cx, call, permit)).await;
        let told = match &reply {
            Ok(_) => Told::Answered,
            Err(e) if e.sent() == Sent::No => Told::NotSent,
            Err(_) => Told::Maybe,
        };
        self.eyes.end(number, told);
        let what = reply.as_ref().map_or_else(|e| e.to_string(), |reply| reply.result.to_string());
        self.note(cx, &format!("sent: {what}"), call);
        reply
    }

    async fn confirm(&self, cx: &Ctx, call: &Call, before: &Before, since: Duration) -> Seen {
        let seen = self.hands.confirm(cx, call, before, since).await;
        if seen == Seen::Applied {
            self.eyes.lock().seen.insert((call.id.get(), call.target.to_string()));
        }
        self.note(cx, &format!("confirmed {seen:?}"), call);
        seen
    }
}
