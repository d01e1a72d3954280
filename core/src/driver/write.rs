//! A write in three steps, for callers that keep a journal between them: look, send, confirm; and all of it at once for
//! those that have none to keep.

use std::time::Duration;

use super::{Identity, Observed, Permit, Thing};
use crate::{
    Error, ErrorKind, Result, Sent,
    io::{Ctx, Mono},
    model::{Command, CommandRow, Outcome, OutcomeState, ReadBack, Receipt},
};

const OP: &str = "thing.write";
/// Code of a write that the device took, or may have taken, and whose effect does not show.
pub const NOT_CONFIRMED: &str = "ERR_NOT_CONFIRMED";
/// Pauses between looks at a device that was told to change: the first is short, as most changes show at once.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// The longest that one look may take: a device that restarts answers slowly or not at all.
const LOOK: Duration = Duration::from_secs(10);
/// The longest that sending may take: the slowest devices write their settings file before they answer.
const SEND: Duration = Duration::from_secs(60);
/// The same for a firmware image.
const SEND_IMAGE: Duration = Duration::from_secs(15 * 60);

/// What a look at a device shows right before a write.
#[derive(Debug)]
pub(crate) struct Looked {
    /// What is known of the command.
    pub row: CommandRow,
    /// Who answered, and how that which is to change is now.
    pub before: Observed,
    /// The device is as wanted already: nothing has to be sent.
    pub already: bool,
}

/// What reading back shows.
#[derive(Debug)]
pub(crate) enum Confirmed {
    /// The effect is there.
    Shown,
    /// The device answers, and the effect is not there.
    NotShown,
    /// Nothing can be said: the last look failed, with this error; or the device does not show such an effect, or was
    /// not looked at in time.
    Untold(Option<Error>),
}

/// Carries `command` out: refuses what the device cannot do, looks at who answers and what the state is, sends once,
/// and reads back until the effect shows or the command's time is over.
///
/// `expected` is who the device must be; without it the device is only proven to be the same before and during the
/// write.
pub(super) async fn carry_out(
    thing: &dyn Thing,
    cx: &Ctx,
    command: &Command,
    expected: Option<&Identity>,
) -> Result<Outcome> {
    let Looked { row, before, already } = look(thing, cx, command, expected).await?;
    let was = before.now.clone();
    if already {
        return Ok(Outcome::new(OutcomeState::Unchanged, was, None));
    }
    let (receipt, failure) = match send(thing, cx, command, &Permit::of(&before)).await {
        Ok(receipt) => (Some(receipt), None),
        // Within the deadline of the whole nothing may be sent again, but it can be found out what became of it.
        Err(e) if e.sent() == Sent::Maybe => (None, Some(e)),
        Err(e) => return Err(e),
    };
    match to_confirm(&row, receipt.as_ref()) {
        Some(within) => {
            let until = cx.clock.mono() + within;
            match confirm(thing, cx, command, &row, &before, until).await {
                Confirmed::Shown => Ok(Outcome::new(OutcomeState::Verified, was, receipt)),
                Confirmed::NotShown => Err(failure.unwrap_or_else(|| not_confirmed(command, None))),
                Confirmed::Untold(last) => {
                    Err(failure.unwrap_or_else(|| not_confirmed(command, last.as_ref())))
                }
            }
        }
        None => match failure {
            Some(e) => Err(e),
            None => {
                let state = receipt.as_ref().map_or(OutcomeState::Sent, Receipt::state);
                Ok(Outcome::new(state, was, receipt))
            }
        },
    }
}

/// Refuses what the device cannot do and any other device than the one `expected`; says how it is now. Only reads.
pub(crate) async fn look(
    thing: &dyn Thing,
    cx: &Ctx,
    command: &Command,
    expected: Option<&Identity>,
) -> Result<Looked> {
    let row = thing.capability().check(command)?.clone();
    let cx = cx.deadline_in(SEND);
    let before = cx.within(OP, thing.observe(&cx, command.name())).await?;
    if let Some(expected) = expected {
        expected.prove(&before.identity)?;
    }
    let already = matches!(row.read_back, ReadBack::Value { .. })
        && before.now.as_ref().is_some_and(|now| command.is_already(now));
    Ok(Looked { row, before, already })
}

/// Sends `command`, once. After an error that says [`Sent::Maybe`] it can be found out what became of it with
/// [`confirm`]; nothing may be sent again.
pub(crate) async fn send(thing: &dyn Thing, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
    let image = matches!(command, Command::UpdateFirmware(_));
    let cx = cx.deadline_in(if image { SEND_IMAGE } else { SEND });
    let work = async { Ok(thing.execute(&cx, command, permit).await) };
    // A thing that does not keep the deadline itself cannot say how far it came.
    cx.within(OP, work).await.map_err(Error::maybe_sent)?
}

/// How long the effect of what was sent takes to show at most; `None` when there is nothing to read back. Without a
/// receipt nobody knows what was sent.
pub(crate) fn to_confirm(row: &CommandRow, receipt: Option<&Receipt>) -> Option<Duration> {
    row.read_back.within().filter(|_| receipt.is_none_or(|receipt| !receipt.unreadable))
}

/// Looks at the device until the effect shows or the time is over.
pub(crate) async fn confirm(
    thing: &dyn Thing,
    cx: &Ctx,
    command: &Command,
    row: &CommandRow,
    before: &Observed,
    until: Mono,
) -> Confirmed {
    let mut pauses = PAUSES.into_iter();
    let mut last = Confirmed::Untold(None);
    loop {
        let wake = cx.clock.mono() + pauses.next().unwrap_or(LOOK);
        let stop = cx.deadline.map_or(until, |deadline| deadline.min(until));
        if wake >= stop {
            return last;
        }
        cx.clock.sleep_until(wake).await;
        last = look_back(thing, &cx.deadline_in(stop.since(wake)), command, row, before).await;
        if matches!(last, Confirmed::Shown) {
            return last;
        }
    }
}

/// Looks once whether the effect is there.
pub(crate) async fn look_back(
    thing: &dyn Thing,
    cx: &Ctx,
    command: &Command,
    row: &CommandRow,
    before: &Observed,
) -> Confirmed {
    let look = cx.deadline_in(LOOK);
    match look.within(OP, thing.observe(&look, command.name())).await {
        Ok(shown) if before.identity.prove(&shown.identity).is_err() => {
            // Another device took the address meanwhile: it says nothing about the one that was told.
            let e = Error::new(ErrorKind::Conflict, OP, "another device answers at the address");
            Confirmed::Untold(Some(e))
        }
        Ok(shown) => match shows(row, command, before, &shown) {
            Some(true) => Confirmed::Shown,
            Some(false) => Confirmed::NotShown,
            None => Confirmed::Untold(None),
        },
        Err(e) => Confirmed::Untold(Some(e)),
    }
}

/// Whether what is shown now is the command's effect; `None` when that cannot be told from it.
fn shows(row: &CommandRow, command: &Command, before: &Observed, shown: &Observed) -> Option<bool> {
    match row.read_back {
        ReadBack::Value { .. } => shown.now.as_ref().map(|now| command.is_met_by(now)),
        ReadBack::Restarted { .. } => {
            // An image without a version is confirmed by the restart alone.
            let any = matches!(command, Command::UpdateFirmware(image) if image.version.is_none());
            let wanted = any || shown.now.as_ref().is_none_or(|now| command.is_met_by(now));
            let told = before.up_since_ms.is_some() && shown.up_since_ms.is_some();
            told.then(|| shown.restarted_since(before) && wanted)
        }
        ReadBack::None => None,
    }
}

fn not_confirmed(command: &Command, last: Option<&Error>) -> Error {
    let text = match last {
        Some(e) => format!("the command was sent, but its effect cannot be read back ({})", e.message()),
        None => {
            "the device took the command, but shows no effect of it: look at it before trying again".into()
        }
    };
    Error::new(ErrorKind::Rejected, OP, text)
        .code_as(NOT_CONFIRMED)
        .maybe_sent()
        .with("command", command.name())
}
