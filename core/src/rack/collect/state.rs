use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::task::AbortHandle;

use super::{
    counts::{Counts, Histogram},
    lanes::{Class, Lanes, Move},
    options::Limits,
    reading::{Kept, Link, Reading, ThingState, link, unreached},
    schedule::{Place, Schedule, backoff},
    slot::{Fate, Flight, Landed, PackedConf, Run, Slot},
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::Thing,
    io::{Mono, Timestamp},
    model::{Snapshot, ThingConf},
    planted::{Bug, planted},
};

/// A poll ends this long after the deadline that its driver was told, so that a driver which keeps the deadline
/// can still say what it was waiting for.
const GRACE: Duration = Duration::from_millis(20);

/// Everything a collector knows, and what follows from each event. It never waits and reads no clock.
#[derive(Debug)]
pub(super) struct State {
    limits: Limits,
    schedule: Schedule,
    lanes: Lanes,
    slots: Vec<Option<Slot>>,
    places: BTreeMap<ThingId, Place>,
    leaving: BTreeMap<ThingId, Place>,
    /// Things to be closed.
    pub closing: VecDeque<Arc<dyn Thing>>,
    stopping: bool,
    lateness: Histogram,
    totals: Counts,
    /// Polls that ended by themselves, and that were ended, since the collector began to stop.
    pub finished: usize,
    pub aborted: usize,
}

impl State {
    pub fn new(limits: Limits, now: Mono) -> Self {
        Self {
            schedule: Schedule::new(limits.interval, now),
            lanes: Lanes::new(limits.lanes, limits.slow_lanes, limits.deadline),
            slots: Vec::new(),
            places: BTreeMap::new(),
            leaving: BTreeMap::new(),
            closing: VecDeque::new(),
            stopping: false,
            lateness: Histogram::default(),
            totals: Counts::default(),
            finished: 0,
            aborted: 0,
            limits,
        }
    }

    pub(super) fn slot(&mut self, place: Place) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(place).ok()?)?.as_mut()
    }

    pub fn contains(&self, id: &ThingId) -> bool {
        self.places.contains_key(id)
    }

    pub fn ids(&self) -> Vec<ThingId> {
        self.places.keys().cloned().collect()
    }

    pub(super) fn must_run(&self, op: &'static str) -> Result<()> {
        if self.stopping {
            return Err(Error::new(ErrorKind::Closed, op, "the collector was shut down"));
        }
        Ok(())
    }

    /// Adds a thing whose id is not there yet.
    pub fn add(&mut self, conf: ThingConf, now: Mono) -> Result<()> {
        self.must_run("collector.add")?;
        if self.contains(&conf.id) {
            let error = Error::new(ErrorKind::Conflict, "collector.add", "the thing exists already");
            return Err(error.with("thing", &conf.id));
        }
        let id = conf.id.clone();
        if let Some(place) = self.leaving.remove(&id) {
            // Its old poll is still ending: take the slot over, so that no second poll begins before.
            if let Some(slot) = self.slot(place) {
                let run = std::mem::replace(&mut slot.run, Run::Idle);
                *slot = Slot { run, ..Slot::new(&conf) };
            }
            self.places.insert(id, place);
            return Ok(());
        }
        let full = || Error::new(ErrorKind::Invalid, "collector.add", "too many things").with("thing", &id);
        let place = self.schedule.take_place().ok_or_else(full)?;
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Slot::new(&conf));
        }
        self.places.insert(id, place);
        self.schedule.plan_first(place, now);
        Ok(())
    }

    pub fn update(&mut self, conf: ThingConf, now: Mono) -> Result<()> {
        self.must_run("collector.update")?;
        let place = self.place("collector.update", &conf.id)?;
        if let Some(slot) = self.slot(place) {
            slot.conf = PackedConf::new(&conf);
        }
        self.reopen(place, now);
        Ok(())
    }

    /// Closes a thing, so that the next poll, which comes as soon as that of an added thing, opens it anew.
    fn reopen(&mut self, place: Place, now: Mono) {
        let idle = self.halt(place);
        let Some(slot) = self.slot(place) else { return };
        (slot.misses, slot.proven) = (0, false);
        let old = slot.thing.take();
        self.closing.extend(old);
        if idle {
            self.schedule.plan_first(place, now);
        }
    }

    /// Does so with all of them; says how many there are.
    #[cfg(feature = "store")]
    pub fn reopen_all(&mut self, now: Mono) -> Result<usize> {
        self.must_run("collector.restart")?;
        let places: Vec<Place> = self.places.values().copied().collect();
        places.iter().for_each(|place| self.reopen(*place, now));
        Ok(places.len())
    }

    pub fn remove(&mut self, id: &ThingId) -> Result<()> {
        self.must_run("collector.remove")?;
        let place = self.place("collector.remove", id)?;
        self.places.remove(id);
        let idle = self.halt(place);
        let Some(slot) = self.slot(place) else { return Ok(()) };
        slot.leaving = true;
        let old = slot.thing.take();
        self.closing.extend(old);
        if idle {
            self.release(place);
        } else {
            self.leaving.insert(id.clone(), place);
        }
        Ok(())
    }

    pub(super) fn place(&self, op: &'static str, id: &ThingId) -> Result<Place> {
        let unknown = || Error::new(ErrorKind::NotFound, op, "no such thing").with("thing", id);
        self.places.get(id).copied().ok_or_else(unknown)
    }

    fn release(&mut self, place: Place) {
        if let Some(slot) = self.slots.get_mut(usize::try_from(place).unwrap_or(usize::MAX)) {
            *slot = None;
        }
        self.schedule.give_back(place);
    }

    /// Makes a thing have nothing planned, and its running poll end. True when none runs.
    fn halt(&mut self, place: Place) -> bool {
        self.schedule.cancel(place);
        let Some(slot) =
            self.slots.get_mut(usize::try_from(place).unwrap_or(usize::MAX)).and_then(Option::as_mut)
        else {
            return true;
        };
        match &mut slot.run {
            Run::Idle => true,
            Run::Waiting { due } => {
                self.lanes.unwait(*due, place);
                slot.run = Run::Idle;
                true
            }
            Run::Flying { started, task, fate, .. } => {
                *fate = Fate::Unwanted;
                self.lanes.ending(*started, place);
                if let Some(task) = task {
                    task.abort();
                }
                false
            }
        }
    }

    /// Ends the polls whose deadline passed, lets those that are due take their place, and gives the next one to
    /// start; ask until there is none.
    pub fn next_flight(&mut self, now: Mono) -> Option<Flight> {
        while let Some(place) = self.lanes.pop_expired(now, self.limits.deadline + GRACE) {
            self.end(place, Fate::Expired);
        }
        while let Some((place, due)) = self.schedule.pop_due(now) {
            let Some(slot) = self.slot(place) else { continue };
            slot.run = Run::Waiting { due };
            let class = slot.class();
            self.lanes.wait(class, due, place);
        }
        loop {
            match self.lanes.next(now)? {
                Move::Cut { place } => {
                    self.totals.polls_cut += 1;
                    self.end(place, Fate::Cut);
                }
                Move::Start { place, due, slow } => {
                    let late = now.since(due);
                    let (late_after, Some(slot)) = (self.late_after(), self.slot(place)) else { continue };
                    // A newcomer may be dead, and may wait behind dead ones: nobody knows yet who is healthy.
                    let healthy = !slow && slot.class() == Class::Proven;
                    slot.run = Run::Flying { started: now, due, slow, task: None, fate: Fate::Wanted };
                    let flight = Flight { place, target: slot.target() };
                    if healthy {
                        self.lateness.add(late);
                        self.totals.polls_late += u64::from(late > late_after);
                    }
                    return Some(flight);
                }
            }
        }
    }

    fn late_after(&self) -> Duration {
        (self.limits.interval / 10).min(Duration::from_secs(1))
    }

    /// The task of a flight that was given just now.
    pub fn launched(&mut self, place: Place, handle: AbortHandle) {
        if let Some(Slot { run: Run::Flying { task, .. }, .. }) = self.slot(place) {
            *task = Some(handle);
        }
    }

    fn end(&mut self, place: Place, why: Fate) {
        if let Some(Slot { run: Run::Flying { task, fate, .. }, .. }) = self.slot(place) {
            if *fate == Fate::Wanted {
                *fate = why;
            }
            if let Some(task) = task {
                task.abort();
            }
        }
    }

    /// A flight opened its thing; gives the one to poll. A writer may have opened it meanwhile.
    pub fn opened(&mut self, place: Place, thing: Arc<dyn Thing>) -> Arc<dyn Thing> {
        match self.slot(place) {
            Some(slot) if !matches!(slot.run, Run::Flying { fate: Fate::Unwanted, .. }) => {
                let kept = Arc::clone(slot.thing.get_or_insert_with(|| Arc::clone(&thing)));
                if !Arc::ptr_eq(&kept, &thing) {
                    self.closing.push_back(thing);
                }
                kept
            }
            _ => {
                self.closing.push_back(Arc::clone(&thing));
                thing
            }
        }
    }

    /// When to look again although nothing happens.
    pub fn wake_at(&self) -> Option<Mono> {
        let lanes = self.lanes.wake_at(self.limits.deadline + GRACE);
        [self.schedule.next_due(), lanes].into_iter().flatten().min()
    }

    /// Takes the end of a flight, plans the next one, and gives the reading. `random` varies pauses.
    pub fn landed(
        &mut self,
        place: Place,
        landed: Landed,
        now: Mono,
        random: impl FnOnce() -> u64,
    ) -> Option<Arc<Reading>> {
        let slot = self.slot(place)?;
        let Run::Flying { started, due, slow, fate, .. } = std::mem::replace(&mut slot.run, Run::Idle) else {
            return None;
        };
        if slot.leaving {
            let id = slot.id.clone();
            self.leaving.remove(&id);
        }
        self.lanes.ended(started, place);
        let ended_by_us = matches!(landed, Landed::Ended { .. });
        if fate == Fate::Unwanted {
            self.unwanted(place, now, ended_by_us);
            return None;
        }
        let panicked = matches!(landed, Landed::Panicked { .. });
        let (result, at, ts) = self.verdict(place, landed, fate, now);
        let reading = self.record(place, result, at.since(started), at, ts)?;
        let slot = self.slot(place)?;
        // What panicked may have been left in any state: open it anew.
        let broken = if panicked { slot.thing.take() } else { None };
        let misses = slot.misses;
        self.closing.extend(broken);
        if self.stopping {
            self.finished += 1;
            self.retire(place);
        } else if misses > 0 {
            let pause = backoff(self.limits.interval, self.limits.max_backoff, misses, random());
            self.schedule.plan_after(place, now, pause);
        } else {
            let missed = self.schedule.plan_tick(place, due, now);
            self.totals.ticks_missed += if slow { 0 } else { missed };
        }
        Some(reading)
    }

    fn unwanted(&mut self, place: Place, now: Mono, ended_by_us: bool) {
        if self.stopping {
            *(if ended_by_us { &mut self.aborted } else { &mut self.finished }) += 1;
            self.retire(place);
        }
        match self.slot(place).map(|slot| slot.leaving) {
            Some(true) => self.release(place),
            Some(false) if !self.stopping => self.schedule.plan_first(place, now),
            _ => {}
        }
    }

    fn retire(&mut self, place: Place) {
        let thing = self.slot(place).and_then(|slot| slot.thing.take());
        self.closing.extend(thing);
    }

    fn verdict(
        &mut self,
        place: Place,
        landed: Landed,
        fate: Fate,
        now: Mono,
    ) -> (Result<Snapshot>, Mono, Timestamp) {
        let opening = self.slot(place).is_none_or(|slot| slot.thing.is_none());
        let during = if opening { "open" } else { "snapshot" };
        let error = |kind, message: &str| Error::new(kind, "collector.poll", message).with("during", during);
        match landed {
            Landed::Done { result, at, ts } => (result, at, ts),
            Landed::Panicked { text, ts } => {
                let error = error(ErrorKind::Internal, "the driver panicked").with("panic", text);
                (Err(error), now, ts)
            }
            Landed::Ended { ts } => {
                let message = match fate {
                    Fate::Cut => "no answer soon enough while other things waited",
                    _ => "not finished before the deadline",
                };
                (Err(error(ErrorKind::Timeout, message)), now, ts)
            }
        }
    }

    /// Keeps what a poll brought.
    fn record(
        &mut self,
        place: Place,
        result: Result<Snapshot>,
        took: Duration,
        at: Mono,
        ts: Timestamp,
    ) -> Option<Arc<Reading>> {
        let limits = self.limits;
        self.totals.polls_done += 1;
        if result.is_ok() {
            self.lanes.observe(took);
        } else {
            self.totals.polls_failed += 1;
        }
        let slot = self.slot(place)?;
        let outcome = match result {
            Ok(snapshot) => {
                let snapshot = Arc::new(snapshot);
                slot.good = Some(Kept { snapshot: Arc::clone(&snapshot), ts, at });
                Ok(snapshot)
            }
            Err(error) => Err(Arc::new(error)),
        };
        // A thing that held its lane for long before it failed is as bad for others as one that hangs.
        let missed = outcome.as_ref().is_err_and(|e| unreached(e) || took > limits.deadline / 2);
        slot.misses = if missed { slot.misses.saturating_add(1) } else { 0 };
        slot.proven |= !missed;
        slot.seq += 1;
        let good_at = slot.good.as_ref().map(|good| good.at);
        let reading = Arc::new(Reading {
            thing: slot.id.clone(),
            seq: slot.seq,
            ts,
            took,
            link: link(&limits, Some((outcome.as_ref().err().map(AsRef::as_ref), at)), good_at, at),
            good: slot.good.as_ref().map(|good| good.good(at)),
            outcome,
        });
        slot.last = Some((Arc::clone(&reading), at));
        if planted(Bug::LeakReading) {
            std::mem::forget(Arc::clone(&reading));
        }
        Some(reading)
    }

    /// Plans nothing more; things without a running poll are closed.
    pub fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        for index in 0..self.slots.len() {
            let Ok(place) = Place::try_from(index) else { return };
            self.schedule.cancel(place);
            let Some(slot) = self.slot(place) else { continue };
            if !matches!(slot.run, Run::Flying { .. }) {
                if let Run::Waiting { due } = std::mem::replace(&mut slot.run, Run::Idle) {
                    self.lanes.unwait(due, place);
                }
                self.retire(place);
            }
        }
    }

    /// Tells every running poll to end.
    pub fn abort_all(&mut self) {
        for index in 0..self.slots.len() {
            let Ok(place) = Place::try_from(index) else { return };
            if self.slot(place).is_some_and(|slot| matches!(slot.run, Run::Flying { .. })) {
                self.halt(place);
            }
        }
    }

    pub fn last(&self, id: &ThingId) -> Option<Arc<Reading>> {
        self.known(id)?.last.as_ref().map(|(reading, _)| Arc::clone(reading))
    }

    fn known(&self, id: &ThingId) -> Option<&Slot> {
        self.slots.get(usize::try_from(*self.places.get(id)?).ok()?)?.as_ref()
    }

    pub fn state(&self, id: &ThingId, now: Mono) -> Option<ThingState> {
        let slot = self.known(id)?;
        Some(ThingState {
            link: slot.link(&self.limits, now),
            good: slot.good.as_ref().map(|good| good.good(now)),
            last: slot.last.as_ref().map(|(reading, _)| Arc::clone(reading)),
            misses: slot.misses,
        })
    }

    pub fn counts(&self, now: Mono) -> Counts {
        let mut counts = self.totals;
        for slot in self.slots.iter().flatten().filter(|slot| !slot.leaving) {
            counts.things += 1;
            counts.slow += usize::from(slot.misses > 0);
            *match slot.link(&self.limits, now) {
                Link::Online => &mut counts.online,
                Link::Error => &mut counts.error,
                Link::Offline => &mut counts.offline,
                Link::Stale => &mut counts.stale,
                Link::Never => &mut counts.never,
            } += 1;
        }
        counts.in_flight = self.lanes.in_flight();
        counts.waiting = self.lanes.waiting();
        counts.lateness_p50 = self.lateness.percentile(50);
        counts.lateness_p99 = self.lateness.percentile(99);
        counts
    }
}
