//! One call, from the look at its target to its outcome.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Inner, shed::Pace};
use crate::{
    Error, ErrorKind, Result, Sent,
    action::{
        ActionId, Before, Call, Hands, Look, Reply, Seen,
        record::{BeforeRow, Fate, Intent, Outcome, Step},
    },
    driver::{NOT_CONFIRMED, Permit},
    model::{RackId, Receipt, Text},
    planted::{Bug, planted},
};

const OP: &str = "action.call";
/// Nobody can say what became of a call.
pub(super) const UNKNOWN: &str = "ERR_OUTCOME_UNKNOWN";
/// How long is waited before a call is tried again, or an outcome that could not be journalled is journalled again.
const AGAIN: Duration = Duration::from_secs(1);
/// Most characters of an error's text that are kept.
const TEXT_CHARS: usize = 300;

/// What follows a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it ended.
    Ended,
    /// It has not begun: the action is held.
    Held,
    /// It has not begun: the store cannot keep that it does.
    Unkept,
    /// It was certainly not sent, and may be tried again.
    Again,
}

/// By which rules a call is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane<'a> {
    /// Approved, and stopped by any stop.
    Usual,
    /// Sheds load at this pace: stopped by no stop, and sent even where its journal cannot be written.
    Shed(&'a Pace, Option<f64>),
}

/// How a call ended, before it is journalled.
#[derive(Debug)]
pub(super) struct End {
    fate: Fate,
    result: Option<Value>,
    error: Option<Text>,
    receipt: Option<Receipt>,
    /// It was sent before its intent could be journalled, which is made good with the outcome.
    unjournalled: bool,
}

impl End {
    fn ok(result: Value, receipt: Option<Receipt>) -> Self {
        Self { fate: Fate::Ok, result: Some(result), error: None, receipt, unjournalled: false }
    }

    fn failed(error: Text) -> Self {
        Self { fate: Fate::Failed, result: None, error: Some(error), receipt: None, unjournalled: false }
    }

    /// Of a call whose fate was lost, and that a person has to say.
    pub(super) fn lost() -> Self {
        Self { fate: Fate::Lost, ..Self::unknown(None) }
    }

    fn unknown(receipt: Option<Receipt>) -> Self {
        Self { fate: Fate::Unknown, result: None, error: Some(UNKNOWN.into()), receipt, unjournalled: false }
    }
}

/// The code, and what there is to say after it.
pub(super) fn text(e: &Error) -> Text {
    let detail: String = e.message().chars().take(TEXT_CHARS).filter(|c| !c.is_control()).collect();
    if detail.is_empty() { e.code().into() } else { format!("{}: {detail}", e.code()).into() }
}

impl Inner {
    /// Makes one attempt at a call; `attempts` were made before, none of them sent.
    pub(super) async fn call(
        self: &Arc<Self>,
        rack: &RackId,
        n: u32,
        attempts: u16,
        call: &Call,
        lane: Lane<'_>,
    ) -> Next {
        self.point("before_look").await;
        let (hands, look) = match self.look(rack, call).await {
            Ok(found) => found,
            Err(e) => return self.end(call.id, n, attempts, End::failed(text(&e))).await,
        };
        if look.already {
            let result = json!({"success": true, "state": "unchanged"});
            return self.end(call.id, n, attempts, End::ok(result, None)).await;
        }
        let attempt = attempts.saturating_add(1);
        let up_since_wall_ms = look.observed.up_since_wall_ms(&self.cx);
        let before = Before { observed: look.observed.clone(), up_since_wall_ms };
        self.point("before_journal").await;
        if let Some(next) = self.out_of_order(&*hands, call, &look, &before, lane, (n, attempt)).await {
            return next;
        }
        let journalled = match self.announce(call.id, n, attempt, &before, lane).await {
            Ok(journalled) => journalled,
            Err(next) => return next,
        };
        self.point("after_journal_before_send").await;
        if let Lane::Shed(pace, power_w) = lane {
            // Those that the journal held up do not go all at once.
            pace.wait(&self.cx, &self.shed_sent, power_w).await;
        }
        let mut sent = self.send(&*hands, call, &look, &before, lane).await;
        if !journalled {
            sent = self.until_sent(rack, call, &before, lane, attempt, sent).await;
        }
        let end = match sent {
            Ok(end) => end,
            Err((e, end)) => {
                let again = e.kind() == ErrorKind::Unreachable && attempt < self.options.attempts;
                let again = again || e.code() == "ERR_ACTION_HELD";
                if again && journalled {
                    let end = End { fate: Fate::NotSent, ..end };
                    self.end(call.id, n, attempt, end).await;
                    return Next::Again;
                }
                end
            }
        };
        self.point("after_reply_before_outcome").await;
        if !journalled {
            self.end_later(call.id, n, attempt, End { unjournalled: true, ..end });
            return Next::Ended;
        }
        let next = self.end(call.id, n, attempt, end).await;
        self.point("after_outcome").await;
        next
    }

    /// Tries a call again that was certainly not sent. Its intent may become durable yet: all this is one attempt.
    async fn until_sent(
        &self,
        rack: &RackId,
        call: &Call,
        before: &Before,
        lane: Lane<'_>,
        first: u16,
        mut sent: Result<End, (Error, End)>,
    ) -> Result<End, (Error, End)> {
        for _ in first..self.options.attempts {
            match &sent {
                Err((e, _)) if e.kind() == ErrorKind::Unreachable => {}
                _ => break,
            }
            self.pause().await;
            sent = match self.look(rack, call).await {
                Ok((hands, look)) => self.send(&*hands, call, &look, before, lane).await,
                Err(e) => {
                    let end = End::failed(text(&e));
                    Err((e, end))
                }
            };
        }
        sent
    }

    /// The same call, with the planted bugs of its order.
    async fn out_of_order(
        &self,
        hands: &dyn Hands,
        call: &Call,
        look: &Look,
        before: &Before,
        lane: Lane<'_>,
        (n, attempt): (u32, u16),
    ) -> Option<Next> {
        if planted(Bug::IntentAfterSend) {
            let end = self.send(hands, call, look, before, lane).await;
            drop(self.intend(call.id, n, attempt, before, lane).await);
            let (Ok(end) | Err((_, end))) = end;
            return Some(self.end(call.id, n, attempt, end).await);
        }
        if planted(Bug::OutcomeBeforeReply) && self.intend(call.id, n, attempt, before, lane).await.is_ok() {
            let next = self.end(call.id, n, attempt, End::ok(json!({"success": true}), None)).await;
            drop(self.send(hands, call, look, before, lane).await);
            return Some(next);
        }
        None
    }

    /// Journals that a call is about to be sent. Where load is shed it is sent all the same when that fails, and `false` is
    /// given.
    async fn announce(
        &self,
        id: ActionId,
        n: u32,
        attempt: u16,
        before: &Before,
        lane: Lane<'_>,
    ) -> Result<bool, Next> {
        match self.intend(id, n, attempt, before, lane).await {
            Ok(()) => Ok(true),
            // Somebody ended it while the target was looked at.
            Err(e) if e.code() == "ERR_CALL_DECIDED" => Err(Next::Ended),
            // Held, halted or ended meanwhile.
            Err(e) if e.kind() == ErrorKind::Conflict => Err(Next::Held),
            Err(error) if matches!(lane, Lane::Shed(..)) => {
                tracing::error!(%error, action = %id, "load is shed though its journal cannot be written");
                self.shared.sends_unrecorded(id, n);
                Ok(false)
            }
            // It could not be made durable, so it must not be sent.
            Err(_) => Err(Next::Unkept),
        }
    }

    /// Journals how a call ended when the store allows it again; nothing waits for that.
    fn end_later(self: &Arc<Self>, id: ActionId, n: u32, attempt: u16, end: End) {
        let inner = Arc::clone(self);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.spawn(&runtime, async move {
                inner.end(id, n, attempt, end).await;
                inner.shared.recorded(id, n);
            });
        }
    }

    async fn look(&self, rack: &RackId, call: &Call) -> Result<(Arc<dyn Hands>, Look)> {
        let hands = self.hands(rack)?;
        let cx = self.cx.deadline_in(self.options.look_within);
        let look = cx.within(OP, hands.look(&cx, call)).await?;
        Ok((hands, look))
    }

    /// The hands of a rack, now.
    pub(super) fn hands(&self, rack: &RackId) -> Result<Arc<dyn Hands>> {
        let found = self.fleet.racks()?.into_iter().find(|r| r.id == *rack);
        let gone = || Error::new(ErrorKind::NotFound, OP, "the rack is not registered any more");
        let found = found.ok_or_else(|| gone().code_as("ERR_RACK_NOTFOUND"))?;
        found.hands.ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, OP, "there is no connection to the rack")
                .code_as("ERR_RACK_UNREACHABLE")
        })
    }

    async fn intend(
        &self,
        id: ActionId,
        n: u32,
        attempt: u16,
        before: &Before,
        lane: Lane<'_>,
    ) -> Result<()> {
        let before = BeforeRow::of(before);
        let intent = self.ask(move |desk| {
            let ts = desk.now();
            desk.journal(id, Step::Intent(Intent { n, attempt, ts, before }))
        });
        match lane {
            Lane::Usual => intent.await,
            Lane::Shed(..) => self.cx.deadline_in(self.options.shed_journal_within).within(OP, intent).await,
        }
    }

    /// Sends, and finds out what became of it. An error is one of a call that was certainly not sent.
    async fn send(
        &self,
        hands: &dyn Hands,
        call: &Call,
        look: &Look,
        before: &Before,
        lane: Lane<'_>,
    ) -> Result<End, (Error, End)> {
        let permit = match lane {
            Lane::Usual => Permit::of(&look.observed).unless(&self.shared.halted),
            Lane::Shed(..) => Permit::of(&look.observed),
        };
        let cx = self.cx.deadline_in(self.options.call_within);
        let sent = async { Ok(hands.send(&cx, call, &permit).await) };
        // Hands that do not keep the deadline themselves cannot say how far they came.
        let sent = cx.within(OP, sent).await.map_err(Error::maybe_sent).and_then(|sent| sent);
        self.point("after_send_before_reply").await;
        match sent {
            Ok(reply) if is_refused(&reply.result) => {
                let error = refusal(&reply.result);
                Ok(End {
                    fate: Fate::Failed,
                    result: Some(reply.result),
                    error: Some(error),
                    receipt: reply.receipt,
                    unjournalled: false,
                })
            }
            Ok(reply) if !reply.confirm => Ok(End::ok(reply.result, reply.receipt)),
            Ok(reply) => Ok(self.confirm(hands, call, before, reply).await),
            Err(e) if e.sent() == Sent::No => {
                let end = End::failed(text(&e));
                Err((e, end))
            }
            Err(e) => {
                let result = json!({"success": true, "state": "verified"});
                let reply = Reply { result, receipt: None, confirm: true };
                let mut end = self.confirm(hands, call, before, reply).await;
                if end.fate == Fate::Failed {
                    // The device's own word says more than that nothing is seen.
                    let own = if e.kind() == ErrorKind::Rejected { text(&e) } else { not_confirmed() };
                    end.error = Some(own);
                }
                Ok(end)
            }
        }
    }

    async fn confirm(&self, hands: &dyn Hands, call: &Call, before: &Before, reply: Reply) -> End {
        self.point("before_confirm").await;
        let seen = self.seen(hands, call, before, Duration::ZERO).await;
        self.point("after_confirm").await;
        match seen {
            Seen::Applied => {
                let mut result = reply.result;
                if let Some(state) = result.get_mut("state") {
                    *state = "verified".into();
                }
                End::ok(result, reply.receipt)
            }
            Seen::NotApplied => End { receipt: reply.receipt, ..End::failed(not_confirmed()) },
            Seen::Unknown => End::unknown(reply.receipt),
        }
    }

    /// What can be seen of a call, within bounds that hands which keep none cannot pass.
    async fn seen(&self, hands: &dyn Hands, call: &Call, before: &Before, since: Duration) -> Seen {
        let cx = self.cx.deadline_in(self.options.confirm_within);
        cx.within(OP, async { Ok(hands.confirm(&cx, call, before, since).await) })
            .await
            .unwrap_or(Seen::Unknown)
    }

    /// What a look after a crash shows of a call that was journalled as about to be sent.
    pub(super) async fn look_back(
        &self,
        rack: &RackId,
        call: &Call,
        before: &Before,
        since: Duration,
    ) -> End {
        self.point("before_look_back").await;
        let seen = match self.hands(rack) {
            Ok(hands) => self.seen(&*hands, call, before, since).await,
            Err(_) => Seen::Unknown,
        };
        self.point("after_look_back").await;
        match seen {
            Seen::Applied => End::ok(json!({"success": true, "reconciled": true}), None),
            Seen::NotApplied => End::failed(not_confirmed()),
            Seen::Unknown => End::lost(),
        }
    }

    /// Journals how a call ended, however long that takes: it has happened.
    pub(super) async fn end(&self, id: ActionId, n: u32, attempt: u16, end: End) -> Next {
        loop {
            let End { fate, result, error, receipt, unjournalled } = &end;
            let (fate, result, error, receipt) = (*fate, result.clone(), error.clone(), receipt.clone());
            let unjournalled = *unjournalled;
            let journal = move |desk: &mut crate::action::desk::Desk| {
                let ts = desk.now();
                if unjournalled {
                    // The intent may have become durable all the same.
                    drop(desk.journal(id, Step::Intent(Intent { n, attempt, ts, before: None })));
                }
                desk.journal(
                    id,
                    Step::Outcome(Outcome { n, attempt, ts, fate, result, error, receipt, by: None }),
                )
            };
            match self.ask(journal).await {
                Ok(()) => return Next::Ended,
                // It stands already: ended by somebody else, or by this very request whose answer was lost.
                Err(e) if matches!(e.kind(), ErrorKind::Conflict | ErrorKind::Closed) => return Next::Ended,
                Err(error) => {
                    tracing::warn!(%error, action = %id, "an outcome could not be journalled yet");
                    self.pause().await;
                }
            }
        }
    }

    pub(super) async fn pause(&self) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + AGAIN).await;
    }
}

fn not_confirmed() -> Text {
    NOT_CONFIRMED.into()
}

/// MiningOS's devices refuse in band.
fn is_refused(result: &Value) -> bool {
    result.get("success").and_then(Value::as_bool) == Some(false)
}

fn refusal(result: &Value) -> Text {
    let said = result.get("error_msg").and_then(Value::as_str).unwrap_or_default();
    let said: String = said.chars().take(TEXT_CHARS).filter(|c| !c.is_control()).collect();
    match said.split_whitespace().next() {
        Some(code) if code.starts_with("ERR_") => said.into(),
        Some(_) => format!("ERR_DEVICE_REFUSED: {said}").into(),
        None => "ERR_DEVICE_REFUSED".into(),
    }
}
