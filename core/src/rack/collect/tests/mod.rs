//! The whole collector under tokio's paused clock, with things that do as they are told.

mod health;
mod life;
mod readers;
mod state;
mod timing;
#[cfg(feature = "store")]
mod writer;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{Collector, CollectorOptions, NullSink, Reading, SnapshotSink};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::{Driver, DriverInfo, Evidence, Match, ProbeSpec, Registry, Thing},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::{Capability, MinerSnapshot, Snapshot, ThingConf},
};

const START: Timestamp = Timestamp(1_764_000_000_000);

/// How a thing answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Good(Duration),
    Fail(ErrorKind),
    FailAfter(ErrorKind, Duration),
    Hang,
    Panic,
    /// Opening hangs.
    HangOpen,
    /// Opening is refused.
    FailOpen,
    /// Opening takes this long.
    #[cfg(feature = "store")]
    SlowOpen(Duration),
    /// Good, but closing hangs.
    HangClose,
}

const QUICK: Answer = Answer::Good(Duration::from_millis(20));

#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Open,
    Begin,
    End,
    Close,
}

/// A scripted site: answers per thing, and everything that was asked of them, with the time.
#[derive(Debug, Clone)]
struct Rig {
    cx: Ctx,
    inner: Arc<Mutex<Script>>,
    info: DriverInfo,
}

#[derive(Debug, Default)]
struct Script {
    answers: BTreeMap<String, Answer>,
    log: Vec<(u64, String, Did)>,
    in_flight: BTreeMap<String, u32>,
    most_at_once: u32,
}

impl Rig {
    fn new() -> Self {
        Self::seeded(7)
    }

    fn seeded(seed: u64) -> Self {
        let clock = Arc::new(SystemClock::starting_at(START));
        let cx = Ctx::new(clock, Arc::new(SeededRng::new(seed)), Arc::new(MemNet::new()));
        Self { cx, inner: Arc::default(), info: DriverInfo::new("dummy", "miner", "Nobody", "") }
    }

    fn collector(&self, options: CollectorOptions) -> Collector {
        self.with_sink(options, Arc::new(NullSink))
    }

    fn with_sink(&self, options: CollectorOptions, sink: Arc<dyn SnapshotSink>) -> Collector {
        let mut registry = Registry::new();
        registry.register(self.clone());
        Collector::start(self.cx.clone(), Arc::new(registry), options, sink).unwrap()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: &str, answer: Answer) {
        self.script().answers.insert(id.into(), answer);
    }

    fn answer(&self, id: &str) -> Answer {
        self.script().answers.get(id).copied().unwrap_or(QUICK)
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.cx.clock.mono().since_origin().as_millis()).unwrap()
    }

    fn did(&self, id: &str, did: Did) {
        let now = self.ms();
        self.script().log.push((now, id.into(), did));
    }

    /// When, in ms, `what` was done to the thing.
    fn times(&self, id: &str, what: Did) -> Vec<u64> {
        self.script().log.iter().filter(|(_, i, d)| i == id && *d == what).map(|(at, _, _)| *at).collect()
    }

    async fn pass(&self, time: Duration) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + time).await;
    }
}

#[async_trait]
impl Driver for Rig {
    fn info(&self) -> &DriverInfo {
        &self.info
    }

    fn probes(&self) -> &[ProbeSpec] {
        &[]
    }

    fn recognise(&self, _evidence: &Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        let id = conf.id.as_str();
        self.did(id, Did::Open);
        match self.answer(id) {
            Answer::HangOpen => std::future::pending().await,
            Answer::FailOpen => Err(Error::invalid("dummy.open", "address", "missing")),
            #[cfg(feature = "store")]
            Answer::SlowOpen(time) => {
                self.pass(time).await;
                Ok(Arc::new(Dummy { rig: self.clone(), id: id.into() }))
            }
            _ => Ok(Arc::new(Dummy { rig: self.clone(), id: id.into() })),
        }
    }
}

#[derive(Debug)]
struct Dummy {
    rig: Rig,
    id: String,
}

/// Notes the end of a poll, also of one that is dropped.
struct Flight<'a>(&'a Dummy);

impl<'a> Flight<'a> {
    fn begin(dummy: &'a Dummy) -> Self {
        dummy.rig.did(&dummy.id, Did::Begin);
        let mut script = dummy.rig.script();
        let running = script.in_flight.entry(dummy.id.clone()).or_default();
        *running += 1;
        assert_eq!(*running, 1, "{} has two polls at once", dummy.id);
        let all = script.in_flight.values().sum();
        script.most_at_once = script.most_at_once.max(all);
        Self(dummy)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        *self.0.rig.script().in_flight.entry(self.0.id.clone()).or_default() -= 1;
        self.0.rig.did(&self.0.id, Did::End);
    }
}

#[async_trait]
impl Thing for Dummy {
    fn capability(&self) -> Arc<Capability> {
        Arc::default()
    }

    async fn snapshot(&self, _cx: &Ctx) -> Result<Snapshot> {
        let _flight = Flight::begin(self);
        let fail = |kind| Err(Error::new(kind, "dummy.snapshot", "as told"));
        match self.rig.answer(&self.id) {
            Answer::Good(latency) => {
                self.rig.pass(latency).await;
                Ok(MinerSnapshot { success: true, ..MinerSnapshot::default() }.into())
            }
            Answer::Fail(kind) => fail(kind),
            Answer::FailAfter(kind, latency) => {
                self.rig.pass(latency).await;
                fail(kind)
            }
            Answer::Panic => panic!("as told"),
            Answer::HangClose => Ok(MinerSnapshot::default().into()),
            #[cfg(feature = "store")]
            Answer::SlowOpen(_) => Ok(MinerSnapshot::default().into()),
            Answer::Hang | Answer::HangOpen | Answer::FailOpen => std::future::pending().await,
        }
    }

    async fn close(&self) {
        self.rig.did(&self.id, Did::Close);
        if self.rig.answer(&self.id) == Answer::HangClose {
            std::future::pending::<()>().await;
        }
    }
}

fn id(text: &str) -> ThingId {
    ThingId::new(text).unwrap()
}

fn conf(text: &str) -> ThingConf {
    ThingConf::new(id(text), "dummy")
}

fn confs(prefix: &str, n: usize) -> Vec<ThingConf> {
    (0..n).map(|i| conf(&format!("{prefix}{i:05}"))).collect()
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A reading in one line, everything but the snapshot.
fn line(reading: &Reading) -> String {
    let outcome = reading.outcome.as_ref().map_or_else(|e| e.code().to_owned(), |_| "ok".into());
    let Reading { thing, seq, ts, took, link, .. } = reading;
    format!("{thing} {seq} {} {took:?} {outcome} {link}", ts.0)
}
