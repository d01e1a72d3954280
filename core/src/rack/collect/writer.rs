//! Opened things for whoever may write to them: the same that are polled, so that both share tokens and what is known.
//! Polls and writes need not wait for each other: a thing observes and executes over connections of its own.

use std::sync::Arc;

use super::{
    collector::Collector,
    runner::Shared,
    slot::{Slot, Target},
    state::State,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Thing,
    io::Ctx,
    model::{Capability, ThingConf},
};

const OP: &str = "collector.thing";

impl Collector {
    /// The opened thing; it is opened when it is not yet, within the time of a poll.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a thing that is not polled, [`Closed`](ErrorKind::Closed) after the end;
    /// [`Conflict`](ErrorKind::Conflict) when it was changed while it was opened; those of opening it.
    pub(crate) async fn thing(&self, cx: &Ctx, id: &ThingId) -> Result<Arc<dyn Thing>> {
        self.shared.thing(cx, id).await
    }

    /// What a thing can do; `None` while that is not known, because no poll since it was opened told.
    pub(crate) fn capability(&self, id: &ThingId) -> Option<Arc<Capability>> {
        let (thing, told) = self.shared.with(|state, _| state.lent(id))?;
        let capability = thing.capability();
        // A driver that has not met its device yet offers nothing, as does one for a device that is only read.
        (told || !capability.commands().is_empty()).then_some(capability)
    }

    /// Closes all things and opens them anew by polls that are spread as those of added things; says how many.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after the end.
    pub(crate) fn restart(&self) -> Result<usize> {
        let count = self.shared.with(State::reopen_all)?;
        self.shared.wake.notify_one();
        Ok(count)
    }
}

impl Shared {
    async fn thing(&self, cx: &Ctx, id: &ThingId) -> Result<Arc<dyn Thing>> {
        let conf = match self.with(|state, _| state.target(id))? {
            Target::Open(thing) => return Ok(thing),
            Target::Closed(conf) => conf?,
        };
        let cx = cx.deadline_in(self.limits.deadline);
        let thing = cx.within(OP, self.registry.open(&cx, &conf)).await?;
        let kept = self.with(|state, _| state.adopt(&conf, thing));
        self.wake.notify_one();
        kept
    }
}

impl State {
    fn target(&mut self, id: &ThingId) -> Result<Target> {
        self.must_run(OP)?;
        let place = self.place(OP, id)?;
        let gone = || Error::new(ErrorKind::NotFound, OP, "no such thing").with("thing", id);
        self.slot(place).map(|slot| slot.target()).ok_or_else(gone)
    }

    /// Keeps what was opened outside a poll, unless a poll was quicker.
    fn adopt(&mut self, conf: &ThingConf, thing: Arc<dyn Thing>) -> Result<Arc<dyn Thing>> {
        let kept = self.kept(conf, &thing);
        if !kept.as_ref().is_ok_and(|kept| Arc::ptr_eq(kept, &thing)) {
            self.closing.push_back(thing);
        }
        kept
    }

    fn kept(&mut self, conf: &ThingConf, thing: &Arc<dyn Thing>) -> Result<Arc<dyn Thing>> {
        self.must_run(OP)?;
        let place = self.place(OP, &conf.id)?;
        match self.slot(place) {
            Some(slot) if slot.conf.is(conf) => {
                Ok(Arc::clone(slot.thing.get_or_insert_with(|| Arc::clone(thing))))
            }
            _ => {
                let e = Error::new(ErrorKind::Conflict, OP, "the thing was changed while it was opened");
                Err(e.with("thing", &conf.id))
            }
        }
    }

    /// The thing, when it is open, and whether its last poll told what it can do.
    fn lent(&mut self, id: &ThingId) -> Option<(Arc<dyn Thing>, bool)> {
        let place = self.place(OP, id).ok()?;
        let Slot { thing, proven, last, .. } = self.slot(place)?;
        let told = *proven && last.as_ref().is_some_and(|(reading, _)| reading.outcome.is_ok());
        Some((Arc::clone(thing.as_ref()?), told))
    }
}
