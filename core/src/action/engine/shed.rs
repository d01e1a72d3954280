use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{By, Draft, Engine, Inner, Pushed, call::UNKNOWN, draft, push};
use crate::{
    Error, ErrorKind, Result,
    action::{
        ActionId, Call,
        desk::Desk,
        id::unknown,
        note::{Note, by},
        record::{Fate, Intent, Outcome, Step},
        state::{Header, Ramp},
    },
    driver::Permit,
    io::{Ctx, Mono},
    model::{RackId, Text},
    query::Filter,
};

const OP: &str = "action.shed";
/// What a target counts of which nobody knows the power, kW: more than any miner takes, so that the ramp is kept.
const UNKNOWN_KW: f64 = 10.0;

/// Load that has to go at once.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Shed {
    /// Which things, in the query language; `{}` for all.
    pub query: Value,
    /// How fast at most, kW in each second; the site's emergency ramp when absent, which it cannot exceed.
    pub kw_per_s: Option<f64>,
    /// Why; it goes into the audit log.
    pub why: Text,
}

impl Shed {
    /// The things that match `query`.
    pub fn new(query: Value, why: &str) -> Self {
        Self { query, kw_per_s: None, why: why.into() }
    }
}

impl Engine {
    /// Puts miners to sleep at once, without anybody's vote: the emergency stop of a site's power. One person with the
    /// right to write to miners is enough; it is kept apart from all other actions, is not held up by stops, by what an
    /// earlier engine left unfinished or by a full disk, and goes no faster than the emergency ramp, because a site that
    /// drops at once is an event for the grid itself. Cooling is not touched.
    ///
    /// It is an action like others afterwards: [`Engine::get`] tells what became of each target.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right; [`Invalid`](ErrorKind::Invalid) for a query or ramp that is
    /// none; `ERR_ORK_ACTION_CALLS_EMPTY` when nothing matches; those of the store, where nothing could be recorded: load
    /// is shed all the same, and the error says so.
    pub async fn shed(&self, shed: Shed, who: &By) -> Result<Pushed> {
        let inner = &self.0;
        let voter = inner.voter(who).await?;
        inner.shared.stops().admit(&voter.person)?;
        if !voter.rights.allows_write("miner") {
            let e = Error::new(ErrorKind::Forbidden, OP, "shedding load needs the right to write to miners");
            return Err(e.code_as("ERR_ACTION_DENIED").with("needs", "miner:w"));
        }
        let ramp = inner.ramp(&shed)?;
        Filter::parse(&shed.query).map_err(|e| e.code_as("ERR_QUERY_INVALID"))?;
        let mut draft = Draft::new("setPowerMode", vec!["sleep".into()], shed.query)?;
        draft.why = draft::reason(Some(&shed.why))?;
        let ready = match inner.judge(draft, who, &voter).await? {
            Ok(ready) => ready,
            Err(pushed) => return Ok(pushed),
        };
        let shown = by(&voter.person);
        let targets = ready.chosen();
        inner.point("before_shed").await;
        let late = Arc::new(AtomicBool::new(false));
        let given_up = Arc::clone(&late);
        let owned = Arc::clone(inner);
        let store = move |desk: &mut Desk| {
            if given_up.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Timeout, OP, "load is shed without a record already"));
            }
            push::store_as(desk, *ready, None, Some(ramp), |header: &Header, why: Option<&str>| {
                Note::new(&shown, "shed").why(why).data(json!({
                    "targets": header.counts.total,
                    "kw": header.order.size.kw,
                    "kwPerS": ramp.kw_per_s,
                    "digest": header.digest,
                }))
            })
        };
        let mut storing = Box::pin(async move { owned.ask_urgently(store).await });
        let clock = &inner.cx.clock;
        let stored = tokio::select! {
            biased;
            stored = &mut storing => Some(stored),
            () = clock.sleep_until(clock.mono() + inner.options.shed_journal_within) => None,
        };
        late.store(true, Ordering::SeqCst);
        inner.point("after_shed").await;
        let stored = stored.unwrap_or_else(|| {
            let inner = Arc::clone(inner);
            tokio::spawn(async move {
                if let Ok(Pushed { id: Some(id), .. }) = storing.await {
                    inner.lose(id).await;
                }
            });
            Err(Error::new(ErrorKind::Timeout, OP, "the store did not answer in time").maybe_sent())
        });
        match stored {
            Ok(Pushed { id: Some(id), .. }) => inner.run(id),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Invalid => return Err(e),
            Err(e) => {
                let told = e.with("shed", "load is shed all the same, without a record");
                tracing::error!(error = %told, "load is shed though it cannot be recorded");
                inner.shed_unrecorded(targets, ramp, voter.person.shown());
                return Err(told);
            }
        }
        stored
    }
}

impl Inner {
    /// Sheds load while the store is of no use. What becomes of it is only logged.
    fn shed_unrecorded(self: &Arc<Self>, mut targets: Vec<Chosen>, ramp: Ramp, user: &str) {
        targets.sort_by(|a, b| b.power_w.unwrap_or(0.0).total_cmp(&a.power_w.unwrap_or(0.0)));
        let (inner, user) = (Arc::clone(self), Text::from(user));
        // No action has this id.
        let id = ActionId::new(0);
        let params: Arc<[Value]> = Arc::new(["sleep".into()]);
        let pace = Pace::new(ramp);
        tokio::spawn(async move {
            let mut calls = JoinSet::new();
            for Chosen { rack, target, power_w } in targets {
                pace.wait(&inner.cx, &inner.shed_busy, power_w).await;
                let action = "setPowerMode".into();
                let call = Call { id, user: user.clone(), action, params: Arc::clone(&params), target };
                let inner = Arc::clone(&inner);
                calls.spawn(async move {
                    match inner.call_unrecorded(&rack, &call).await {
                        Ok(()) => {
                            tracing::error!(%rack, thing = %call.target, "put to sleep, without a record")
                        }
                        Err(error) => {
                            tracing::error!(%rack, thing = %call.target, %error, "not put to sleep")
                        }
                    }
                });
            }
            while calls.join_next().await.is_some() {}
        });
    }

    /// The record of what was shed without one became durable all the same: what became of its calls a person has to say.
    async fn lose(&self, id: ActionId) {
        let lost = move |desk: &mut Desk| {
            let waiting: Vec<(u32, u16)> = desk.calls(id).ok_or_else(unknown)?.waiting().collect();
            let ts = desk.now();
            for (n, attempts) in waiting {
                let attempt = attempts + 1;
                desk.journal(id, Step::Intent(Intent { n, attempt, ts, before: None }))?;
                let error = Some(UNKNOWN.into());
                let (fate, result, receipt, by) = (Fate::Lost, None, None, None);
                desk.journal(
                    id,
                    Step::Outcome(Outcome { n, attempt, ts, fate, result, error, receipt, by }),
                )?;
            }
            Ok(())
        };
        if let Err(error) = self.insist(lost).await {
            tracing::error!(%error, action = %id, "what was shed is recorded as if it had not begun");
        }
    }

    async fn call_unrecorded(&self, rack: &RackId, call: &Call) -> Result<()> {
        let hands = self.hands(rack)?;
        let cx = self.cx.deadline_in(self.options.look_within);
        let look = cx.within(OP, hands.look(&cx, call)).await?;
        if !look.already {
            let cx = self.cx.deadline_in(self.options.call_within);
            cx.within(OP, hands.send(&cx, call, &Permit::of(&look.observed))).await?;
        }
        Ok(())
    }

    fn ramp(&self, shed: &Shed) -> Result<Ramp> {
        let most = self.live.limits().emergency_ramp_kw_per_s;
        let kw_per_s = shed.kw_per_s.unwrap_or(most);
        if kw_per_s.is_finite() && kw_per_s > 0.0 && kw_per_s <= most {
            return Ok(Ramp { kw_per_s });
        }
        let why = format!("takes a number above 0, and at most the emergency ramp of {most} kW per second");
        Err(Error::invalid(OP, "kw_per_s", why))
    }
}

/// A target of which the power is shed.
#[derive(Debug)]
pub(super) struct Chosen {
    pub rack: RackId,
    pub target: Text,
    pub power_w: Option<f64>,
}

/// Lets calls go no faster than a ramp allows.
#[derive(Debug)]
pub(super) struct Pace {
    kw_per_s: f64,
}

impl Pace {
    pub const fn new(ramp: Ramp) -> Self {
        Self { kw_per_s: ramp.kw_per_s }
    }

    /// Waits until a target of so many W fits, behind all that fills the site's ramp until `busy`. The first goes at once.
    pub async fn wait(&self, cx: &Ctx, busy: &Mutex<Mono>, power_w: Option<f64>) {
        let kw = power_w.filter(|w| w.is_finite()).map_or(UNKNOWN_KW, |w| w.abs() / 1_000.0);
        let takes = Duration::try_from_secs_f64(kw / self.kw_per_s).unwrap_or(Duration::from_secs(60));
        let begins = {
            let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
            let begins = (*busy).max(cx.clock.mono());
            *busy = begins + takes;
            begins
        };
        cx.clock.sleep_until(begins).await;
    }
}
