//! A write from its check to its read-back, for callers that have no journal to keep.

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
    let row = thing.capability().check(command)?.clone();
    let look = cx.deadline_in(SEND);
    let before = look.within(OP, thing.observe(&look, command.name())).await?;
    if let Some(expected) = expected {
        expected.prove(&before.identity)?;
    }
    let was = before.now.clone();
    if matches!(row.read_back, ReadBack::Value { .. })
        && was.as_ref().is_some_and(|now| command.is_already(now))
    {
        return Ok(Outcome::new(OutcomeState::Unchanged, was, None));
    }
    let (receipt, failure) = match send(thing, cx, command, &Permit::of(&before)).await {
        Ok(receipt) => (Some(receipt), None),
        // Within the deadline of the whole nothing may be sent again, but it can be found out what became of it.
        Err(e) if e.sent() == Sent::Maybe => (None, Some(e)),
        Err(e) => return Err(e),
    };
    let readable = receipt.as_ref().is_none_or(|r| !r.unreadable);
    match row.read_back.within().filter(|_| readable) {
        Some(within) => {
            let until = cx.clock.mono() + within;
            confirm(thing, cx, command, &row, &before, until).await.map_err(|e| failure.unwrap_or(e))?;
            Ok(Outcome::new(OutcomeState::Verified, was, receipt))
        }
        None => match failure {
            Some(e) => Err(e),
            None => Ok(Outcome::new(OutcomeState::Accepted, was, receipt)),
        },
    }
}

async fn send(thing: &dyn Thing, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
    let image = matches!(command, Command::UpdateFirmware(_));
    let cx = cx.deadline_in(if image { SEND_IMAGE } else { SEND });
    let work = async { Ok(thing.execute(&cx, command, permit).await) };
    // A thing that does not keep the deadline itself cannot say how far it came.
    cx.within(OP, work).await.map_err(Error::maybe_sent)?
}

/// Looks at the device until the effect shows.
async fn confirm(
    thing: &dyn Thing,
    cx: &Ctx,
    command: &Command,
    row: &CommandRow,
    before: &Observed,
    until: Mono,
) -> Result<()> {
    let mut pauses = PAUSES.into_iter();
    let mut last = None;
    loop {
        let wake = cx.clock.mono() + pauses.next().unwrap_or(LOOK);
        let stop = cx.deadline.map_or(until, |deadline| deadline.min(until));
        if wake >= stop {
            return Err(not_confirmed(command, last.as_ref()));
        }
        cx.clock.sleep_until(wake).await;
        let look = cx.deadline_in(LOOK.min(stop.since(wake)));
        match look.within(OP, thing.observe(&look, command.name())).await {
            Ok(shown) if before.identity.prove(&shown.identity).is_err() => {
                // Another device took the address meanwhile: it says nothing about the one that was told.
                last = Some(Error::new(ErrorKind::Conflict, OP, "another device answers at the address"));
            }
            Ok(shown) if shows(row, command, before, &shown) => return Ok(()),
            Ok(_) => last = None,
            Err(e) => last = Some(e),
        }
    }
}

/// Whether what is shown now is the command's effect.
pub(crate) fn shows(row: &CommandRow, command: &Command, before: &Observed, shown: &Observed) -> bool {
    match row.read_back {
        ReadBack::Value { .. } => shown.now.as_ref().is_some_and(|now| command.is_met_by(now)),
        ReadBack::Restarted { .. } => {
            // An image without a version is confirmed by the restart alone.
            let any = matches!(command, Command::UpdateFirmware(image) if image.version.is_none());
            let wanted = any || shown.now.as_ref().is_none_or(|now| command.is_met_by(now));
            shown.restarted_since(before) && wanted
        }
        ReadBack::None => false,
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
