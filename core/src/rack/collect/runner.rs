use std::{
    any::Any,
    collections::HashMap,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
};

use super::{
    hub::Hub,
    options::Limits,
    reading::Reading,
    schedule::Place,
    slot::{Flight, Landed, Target},
    state::State,
};
use crate::{
    driver::{Registry, Thing},
    io::{Ctx, Mono},
};

const MOST_PANIC_CHARS: usize = 200;

/// What the collector, its runner and its polls share.
#[derive(Debug)]
pub(super) struct Shared {
    pub cx: Ctx,
    pub limits: Limits,
    pub registry: Arc<Registry>,
    pub hub: Hub,
    pub wake: Notify,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    stop: Option<Stop>,
}

/// When the runner must have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// Polls that still run are ended now.
    pub abort_at: Mono,
    /// The runner ends now.
    pub until: Mono,
}

/// What the runner left behind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drained {
    pub finished: usize,
    pub aborted: usize,
    pub unclosed: usize,
}

impl Shared {
    pub fn new(mut cx: Ctx, limits: Limits, registry: Arc<Registry>) -> Self {
        cx.deadline = None;
        cx.keep_connections = limits.keep_connections;
        let state = State::new(limits, cx.clock.mono());
        let inner = Mutex::new(Inner { state, stop: None });
        Self { cx, limits, registry, hub: Hub::new(limits.sink_queue), wake: Notify::new(), inner }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn with<T>(&self, work: impl FnOnce(&mut State, Mono) -> T) -> T {
        let now = self.cx.clock.mono();
        work(&mut self.lock().state, now)
    }

    /// Lets the runner end; the first call decides when.
    pub fn stop(&self, stop: Stop) {
        let mut inner = self.lock();
        inner.state.stop();
        inner.stop.get_or_insert(stop);
        drop(inner);
        self.wake.notify_one();
    }
}

type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
type Ended = Result<(Id, Landed), JoinError>;

/// Runs the collector until it is stopped.
pub(super) async fn run(shared: Arc<Shared>) -> Drained {
    let clock = Arc::clone(&shared.cx.clock);
    let mut runner = Runner::new(Arc::clone(&shared));
    // One timer for everything, kept while its time stays the same.
    let mut timer: Option<(Mono, Sleep<'_>)> = None;
    loop {
        let wake = match runner.advance() {
            Next::Wait(wake) => wake,
            Next::End(drained) => return drained,
        };
        if timer.as_ref().map(|(at, _)| *at) != wake {
            timer = wake.map(|at| (at, clock.sleep_until(at)));
        }
        tokio::select! {
            biased;
            Some(ended) = runner.polls.join_next_with_id(), if !runner.polls.is_empty() => runner.take_ends(ended),
            Some(closed) = runner.closers.join_next(), if !runner.closers.is_empty() => {
                runner.unclosed += usize::from(!matches!(closed, Ok(true)));
            }
            () = shared.wake.notified() => {}
            () = passed(&mut timer) => timer = None,
        }
    }
}

async fn passed(timer: &mut Option<(Mono, Sleep<'_>)>) {
    match timer {
        Some((_, sleep)) => sleep.as_mut().await,
        None => pending().await,
    }
}

enum Next {
    Wait(Option<Mono>),
    End(Drained),
}

struct Runner {
    shared: Arc<Shared>,
    polls: JoinSet<Landed>,
    flights: HashMap<Id, Place>,
    closers: JoinSet<bool>,
    unclosed: usize,
    aborting: bool,
    readings: Vec<Arc<Reading>>,
}

impl Runner {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            polls: JoinSet::new(),
            flights: HashMap::new(),
            closers: JoinSet::new(),
            unclosed: 0,
            aborting: false,
            readings: Vec::new(),
        }
    }

    /// Does everything that is due, and says until when to wait.
    fn advance(&mut self) -> Next {
        let shared = Arc::clone(&self.shared);
        let now = shared.cx.clock.mono();
        let mut inner = shared.lock();
        let stop = inner.stop;
        let state = &mut inner.state;
        if stop.is_some_and(|stop| stop.abort_at <= now) && !std::mem::replace(&mut self.aborting, true) {
            state.abort_all();
        }
        while let Some(flight) = state.next_flight(now) {
            let place = flight.place;
            let task = self.polls.spawn(poll(Arc::clone(&shared), flight));
            self.flights.insert(task.id(), place);
            state.launched(place, task);
        }
        while self.closers.len() < shared.limits.slow_lanes
            && let Some(thing) = state.closing.pop_front()
        {
            self.closers.spawn(close(Arc::clone(&shared), thing));
        }
        let Some(stop) = stop else { return Next::Wait(state.wake_at()) };
        let idle = self.polls.is_empty() && self.closers.is_empty() && state.closing.is_empty();
        if idle || stop.until <= now {
            return Next::End(Drained {
                finished: state.finished,
                aborted: state.aborted + self.polls.len(),
                unclosed: self.unclosed + self.closers.len() + state.closing.len(),
            });
        }
        let stop_at = if stop.abort_at > now { stop.abort_at } else { stop.until };
        Next::Wait(Some(state.wake_at().map_or(stop_at, |at| at.min(stop_at))))
    }

    fn take_ends(&mut self, first: Ended) {
        let shared = Arc::clone(&self.shared);
        let mut next = Some(first);
        while let Some(ended) = next {
            self.take_end(&shared, ended);
            next = self.polls.try_join_next_with_id();
        }
        shared.hub.publish(&self.readings);
        self.readings.clear();
    }

    fn take_end(&mut self, shared: &Shared, ended: Ended) {
        let (id, landed) = match ended {
            Ok(done) => done,
            Err(error) => {
                let (id, ts) = (error.id(), shared.cx.clock.wall());
                let landed = match error.try_into_panic() {
                    Ok(payload) => Landed::Panicked { text: panic_text(payload.as_ref()), ts },
                    Err(_) => Landed::Ended { ts },
                };
                (id, landed)
            }
        };
        let Some(place) = self.flights.remove(&id) else { return };
        let reading = shared.with(|state, now| state.landed(place, landed, now, || shared.cx.rng.u64()));
        self.readings.extend(reading);
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").chars().take(MOST_PANIC_CHARS).collect()
}

async fn poll(shared: Arc<Shared>, flight: Flight) -> Landed {
    let cx = shared.cx.deadline_in(shared.limits.deadline);
    let work = async {
        let thing = match flight.target {
            Target::Open(thing) => thing,
            Target::Closed(conf) => {
                let thing = shared.registry.open(&cx, &conf?).await?;
                shared.with(|state, _| state.opened(flight.place, thing))
            }
        };
        thing.snapshot(&cx).await
    };
    let result = work.await;
    Landed::Done { result, at: cx.clock.mono(), ts: cx.clock.wall() }
}

/// True when the thing closed within the time of a poll.
async fn close(shared: Arc<Shared>, thing: Arc<dyn Thing>) -> bool {
    let cx = shared.cx.deadline_in(shared.limits.deadline);
    let closing = async {
        thing.close().await;
        Ok(())
    };
    cx.within("collector.close", closing).await.is_ok()
}
