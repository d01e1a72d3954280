//! Writes to devices.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{LocalHands, OP, power::swing};
use crate::{
    Error, ErrorKind, Result,
    action::{
        Ask, Before, Call, Excluded, Look, Pick, Reply, Seen, Selection,
        catalogue::{self, ActionKind, ActionRow, Scope, to_command},
    },
    driver::{self, Confirmed, Permit, Thing},
    io::{Ctx, Mono},
    model::{Command, CommandName, CommandRow, Receipt},
    query::Filter,
    rack::{Caller, IDENTITY_UNKNOWN, Link, Rack, ThingChange, ThingRecord},
};

/// Most things that one action touches in a rack, as in MiningOS.
const MOST: usize = 100_000;
/// How many things are judged before others get their turn.
const CHUNK: usize = 1024;
/// How long a device may take to say what it can do.
const MEET: Duration = Duration::from_secs(30);
/// Pause between two attempts to reach a device that restarts.
const AGAIN: Duration = Duration::from_secs(5);

impl LocalHands {
    pub(super) async fn select_things(&self, row: &ActionRow, ask: &Ask) -> Result<Selection> {
        let filter = Filter::parse(&ask.query)?;
        let command = match row.kind {
            ActionKind::Device(_) => Some(self.any_command(&ask.action, &ask.params)?),
            _ => None,
        };
        let records = self.rack.chosen(&filter).await?;
        if records.len() > MOST {
            let why = format!("matches {} things; an action touches at most {MOST}", records.len());
            return Err(Error::invalid(OP, "query", why).code_as("ERR_QUERY_INVALID"));
        }
        let mut selection = Selection { votes: row.votes, ..Selection::default() };
        for (at, record) in records.into_iter().enumerate() {
            if at % CHUNK == CHUNK - 1 {
                tokio::task::yield_now().await;
            }
            match self.pick(ask, command.as_ref(), &record) {
                Ok(pick) => selection.picks.push(pick),
                Err(e) => selection
                    .excluded
                    .push(Excluded { id: record.id.as_str().into(), error: e.code().into() }),
            }
        }
        Ok(selection)
    }

    /// The command as any thing would get it, so that wrong parameters are refused once, and not once per thing.
    fn any_command(&self, action: &str, params: &[Value]) -> Result<Command> {
        let command = self.command_for(action, params, "x");
        command.map_err(|e| match e.kind() {
            ErrorKind::Invalid => e,
            // An image that is not there, for example.
            _ => {
                let wrong = Error::invalid(OP, e.fact("field").unwrap_or("params"), e.message());
                wrong.code_as(e.code()).with("action", action)
            }
        })
    }

    fn command_for(&self, action: &str, params: &[Value], thing: &str) -> Result<Command> {
        to_command(action, params, &Scope { thing, pools: self.pools.as_deref(), images: &self.images })
    }

    fn command(&self, call: &Call) -> Result<Command> {
        self.command_for(&call.action, &call.params, &call.target)
    }

    fn pick(&self, ask: &Ask, command: Option<&Command>, record: &ThingRecord) -> Result<Pick> {
        record.check_writable()?;
        let command = command.ok_or_else(|| Error::unsupported(OP, &ask.action))?;
        // Pools alone differ from thing to thing.
        let own = matches!(command, Command::SetupPools(_))
            .then(|| self.command_for(&ask.action, &ask.params, record.id.as_str()))
            .transpose()?;
        let command = own.as_ref().unwrap_or(command);
        // What was not met yet is judged when it is looked at.
        let capability = self.rack.capability(&record.id);
        let row = capability.as_ref().map(|capability| capability.check(command)).transpose()?;
        let state = self.rack.state(&record.id).filter(|state| state.link == Link::Online);
        let stats = state.as_ref().and_then(|state| state.good.as_ref()?.snapshot.miner());
        let power_w = stats.and_then(|miner| swing(command, row, &miner.stats, capability.as_deref()));
        Ok(Pick { id: record.id.as_str().into(), tags: record.tags.clone(), power_w })
    }

    pub(super) async fn look_thing(&self, cx: &Ctx, call: &Call) -> Result<Look> {
        let record = self.writable(call)?;
        let command = self.command(call)?;
        let expected = record.identity();
        if expected.is_empty() {
            let text = "neither MAC address nor serial number of the thing is known, so no device can be proven to \
                        be it: poll it or register one of them";
            let e = Error::new(ErrorKind::Conflict, OP, text).code_as(IDENTITY_UNKNOWN);
            return Err(e.with("thing", &record.id));
        }
        let thing = self.rack.thing(cx, &record.id).await?;
        meet(cx, &*thing).await?;
        let looked = driver::look(&*thing, cx, &command, Some(&expected)).await;
        let looked = looked.map_err(|e| e.with("thing", &record.id))?;
        if looked.already {
            self.note_pools(call, &record).await;
        }
        Ok(Look { observed: looked.before, already: looked.already })
    }

    pub(super) async fn send_thing(&self, cx: &Ctx, call: &Call, permit: &Permit) -> Result<Reply> {
        let record = self.writable(call)?;
        let command = self.command(call)?;
        let thing = self.rack.thing(cx, &record.id).await?;
        let row = thing.capability().check(&command)?.clone();
        let sent = driver::send(&*thing, cx, &command, permit).await;
        let receipt = sent.map_err(|e| e.with("thing", &record.id))?;
        let confirm = driver::to_confirm(&row, Some(&receipt)).is_some();
        if !confirm {
            self.note_pools(call, &record).await;
        }
        Ok(Reply { result: result(call, &receipt), receipt: Some(receipt), confirm })
    }

    pub(super) async fn confirm_thing(
        &self,
        cx: &Ctx,
        call: &Call,
        before: &Before,
        since: Duration,
    ) -> Seen {
        match self.seen(cx, call, before, since).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::debug!(action = %call.id, thing = %call.target, %error, "an effect cannot be read back");
                Seen::Unknown
            }
        }
    }

    async fn seen(&self, cx: &Ctx, call: &Call, before: &Before, since: Duration) -> Result<Seen> {
        // Maintenance or a doubt that came after the write do not make it undone.
        let record = self.rack.target(&call.target)?;
        let command = self.command(call)?;
        let sent_at = cx.clock.mono();
        let until = |within: Duration| sent_at + within.saturating_sub(since);
        let slowest = self.rack.slowest(&record.driver, command.name()).unwrap_or_default();
        let (thing, row) = self.known(cx, &record, command.name(), until(slowest)).await?;
        let Some(within) = driver::to_confirm(&row, None) else { return Ok(Seen::Unknown) };
        let before = before.observed.clone().came_up(cx, before.up_since_wall_ms, since);
        let until = until(within);
        let mut shown = driver::confirm(&*thing, cx, &command, &row, &before, until).await;
        if !matches!(shown, Confirmed::Shown) {
            // What comes last decides, and the looks so far ended some seconds before the time is over.
            cx.clock.sleep_until(cx.deadline.map_or(until, |deadline| deadline.min(until))).await;
            shown = driver::look_back(&*thing, cx, &command, &row, &before).await;
        }
        match shown {
            Confirmed::Shown => {
                self.note_pools(call, &record).await;
                Ok(Seen::Applied)
            }
            // The caller's deadline can come before the command's time is over.
            Confirmed::NotShown if cx.deadline.is_none_or(|deadline| until <= deadline) => {
                Ok(Seen::NotApplied)
            }
            Confirmed::NotShown | Confirmed::Untold(None) => Ok(Seen::Unknown),
            Confirmed::Untold(Some(e)) => Err(e),
        }
    }

    /// The opened thing and what is known of the command. After a start of this process nothing is known yet, and the
    /// device may be restarting: it is tried until the time is over.
    async fn known(
        &self,
        cx: &Ctx,
        record: &ThingRecord,
        name: CommandName,
        until: Mono,
    ) -> Result<(Arc<dyn Thing>, CommandRow)> {
        loop {
            let thing = self.rack.thing(cx, &record.id).await?;
            let met = meet(cx, &*thing).await;
            if let Some(row) = thing.capability().row(name) {
                return Ok((Arc::clone(&thing), row.clone()));
            }
            let again = cx.clock.mono() + AGAIN;
            let late = again >= until || cx.deadline.is_some_and(|deadline| again >= deadline);
            match met {
                Ok(()) => return Err(Error::unsupported(OP, name.as_str())),
                Err(e) if late => return Err(e),
                Err(_) => cx.clock.sleep_until(again).await,
            }
        }
    }

    fn writable(&self, call: &Call) -> Result<Arc<ThingRecord>> {
        let record = self.rack.target(&call.target)?;
        record.check_writable()?;
        Ok(record)
    }

    /// Keeps in the record which pool configuration its device has now. The device has it whether or not this
    /// succeeds, so a failure is told to the log and not to the caller.
    async fn note_pools(&self, call: &Call, record: &ThingRecord) {
        let Some(config) = catalogue::pool_config(&call.action, &call.params) else { return };
        if record.info.get("poolConfig").as_ref() == Some(config) {
            return;
        }
        let info = Map::from_iter([("poolConfig".to_owned(), config.clone())]);
        let mut change = ThingChange::default();
        change.info = Some(info);
        if let Err(error) = self.rack.update(&record.id, change, &Caller::new(&call.user)).await {
            tracing::warn!(thing = %record.id, action = %call.id, %error, "info.poolConfig is not kept");
        }
    }
}

/// Has a device that was never polled say what it can do.
async fn meet(cx: &Ctx, thing: &dyn Thing) -> Result<()> {
    if !thing.capability().commands().is_empty() {
        return Ok(());
    }
    let cx = cx.deadline_in(MEET);
    cx.within(OP, thing.snapshot(&cx)).await.map(drop)
}

fn result(call: &Call, receipt: &Receipt) -> Value {
    let mut result = catalogue::success(receipt.state());
    if let (Some(data), Some(members)) = (&receipt.data, result.as_object_mut()) {
        members.insert("data".into(), json!({"byteLength": data.len(), "minerId": call.target}));
    }
    result
}
