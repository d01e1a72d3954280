use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::Mutex,
    task::{AbortHandle, JoinHandle},
};

use super::{
    counts::Counts,
    hub::{SnapshotSink, Subscription},
    options::CollectorOptions,
    reading::{Reading, ThingState},
    runner::{Drained, Shared, Stop, run},
};
use crate::{Error, ErrorKind, Result, ThingId, driver::Registry, io::Ctx, model::ThingConf};

/// Polls things once per interval and hands on what they say.
///
/// Polls are spread evenly over the interval and keep their phase; they run in bounded lanes, where a thing that
/// hangs delays itself only. A thing that missed a poll is polled again after pauses that double, until it answers.
/// One thing never has two polls at once. Dropping the collector ends its polls at once, without closing things;
/// [`shutdown`](Self::shutdown) ends it in order.
#[derive(Debug)]
pub struct Collector {
    pub(super) shared: Arc<Shared>,
    tasks: Mutex<Tasks>,
    abort: [AbortHandle; 2],
}

#[derive(Debug)]
struct Tasks {
    runner: JoinHandle<Drained>,
    feeder: JoinHandle<()>,
    drained: Option<Drained>,
    report: Option<ShutdownReport>,
}

/// How a collector ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Polls in flight that still ended by themselves.
    pub finished: usize,
    /// Polls in flight that were ended.
    pub aborted: usize,
    /// Things that did not close in time.
    pub unclosed: usize,
    /// Readings that the sink did not take in time.
    pub undelivered: usize,
}

impl Collector {
    /// Starts a collector without things, on the tokio runtime of the caller.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), naming the option that is wrong or, as `runtime`, that there is no tokio
    /// runtime.
    pub fn start(
        cx: Ctx,
        registry: Arc<Registry>,
        options: CollectorOptions,
        sink: Arc<dyn SnapshotSink>,
    ) -> Result<Self> {
        let limits = options.resolve()?;
        let runtime = Handle::try_current().map_err(|e| {
            Error::invalid("collector.start", "runtime", "no tokio runtime is running here").caused_by(e)
        })?;
        let shared = Arc::new(Shared::new(cx, limits, registry));
        let runner = runtime.spawn(run(Arc::clone(&shared)));
        let feeding = Arc::clone(&shared);
        let feeder = runtime.spawn(async move {
            feeding.hub.feed(sink, Arc::clone(&feeding.cx.clock)).await;
        });
        let abort = [runner.abort_handle(), feeder.abort_handle()];
        let tasks = Mutex::new(Tasks { runner, feeder, drained: None, report: None });
        Ok(Self { shared, tasks, abort })
    }

    /// Adds a thing. Its first poll opens it, and comes within min(interval, 1 s + N/500 s) for N things if a lane
    /// is free.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when a thing with this id exists; [`Closed`](ErrorKind::Closed) after
    /// [`shutdown`](Self::shutdown).
    pub fn add(&self, conf: ThingConf) -> Result<()> {
        self.shared.with(|state, now| state.add(conf, now))?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Adds several things, or none of them.
    ///
    /// # Errors
    /// As [`add`](Self::add); two things with one id are a conflict too.
    pub fn add_many(&self, confs: Vec<ThingConf>) -> Result<()> {
        self.shared.with(|state, now| {
            let mut ids = BTreeSet::new();
            if let Some(twice) = confs.iter().find(|c| state.contains(&c.id) || !ids.insert(&c.id)) {
                let error = Error::new(ErrorKind::Conflict, "collector.add", "the thing exists already");
                return Err(error.with("thing", &twice.id));
            }
            confs.into_iter().try_for_each(|conf| state.add(conf, now))
        })?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Replaces the configuration of a thing: a poll in flight is dropped, the thing is closed, and opened anew
    /// by a poll that comes as soon as that of an added thing. Its readings so far stay.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown id; [`Closed`](ErrorKind::Closed) after
    /// [`shutdown`](Self::shutdown).
    pub fn update(&self, conf: ThingConf) -> Result<()> {
        self.shared.with(|state, now| state.update(conf, now))?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Removes a thing: a poll in flight is dropped and gives no reading, and the thing is closed.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn remove(&self, id: &ThingId) -> Result<()> {
        self.shared.with(|state, _| state.remove(id))?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// The ids of all things, in order.
    pub fn things(&self) -> Vec<ThingId> {
        self.shared.with(|state, _| state.ids())
    }

    /// The last reading of a thing; `None` when there is no such thing or no poll of it has ended yet. How old it
    /// is and whether it still holds says [`state`](Self::state).
    pub fn last(&self, id: &ThingId) -> Option<Arc<Reading>> {
        self.shared.with(|state, _| state.last(id))
    }

    /// How a thing stands now; `None` when there is no such thing.
    pub fn state(&self, id: &ThingId) -> Option<ThingState> {
        self.shared.with(|state, now| state.state(id, now))
    }

    /// What there is and what was done. Takes time in proportion to the number of things.
    pub fn counts(&self) -> Counts {
        let mut counts = self.shared.with(|state, now| state.counts(now));
        counts.sink_dropped = self.shared.hub.sink_dropped();
        counts.events_missed = self.shared.hub.events_missed();
        counts
    }

    /// All readings from now on, through a buffer of `capacity` readings (1 to 1,048,576).
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.shared.hub.subscribe(capacity)
    }

    /// Ends the collector within `bound`. No poll begins any more. Things that are not being polled are closed at
    /// once; polls in flight have three quarters of the bound to end, then they are aborted; the rest is for
    /// closing their things and for the sink to take what is left. Subscribers read what they have, then see the
    /// end.
    ///
    /// A second call gives the report of the first.
    pub async fn shutdown(&self, bound: Duration) -> ShutdownReport {
        let clock = &self.shared.cx.clock;
        let until = clock.mono() + bound;
        self.shared.stop(Stop { abort_at: until - bound / 4, until });
        let mut tasks = self.tasks.lock().await;
        if let Some(report) = tasks.report {
            return report;
        }
        let drained = match tasks.drained {
            Some(drained) => drained,
            None => (&mut tasks.runner).await.unwrap_or_default(),
        };
        tasks.drained = Some(drained);
        self.shared.hub.close();
        tokio::select! {
            biased;
            _ = &mut tasks.feeder => {}
            () = clock.sleep_until(until) => tasks.feeder.abort(),
        }
        let report = ShutdownReport {
            finished: drained.finished,
            aborted: drained.aborted,
            unclosed: drained.unclosed,
            undelivered: self.shared.hub.undelivered(),
        };
        tasks.report = Some(report);
        report
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.abort.iter().for_each(AbortHandle::abort);
        self.shared.hub.close();
    }
}
