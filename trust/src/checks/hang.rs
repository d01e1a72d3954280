//! `b-hang`: devices that take connections and never answer cost the healthy ones nothing, and no shutdown waits for
//! them. Time is simulated.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use headframe_core::{
    Result, ThingId,
    driver::{Driver, DriverInfo, Evidence, Match, ProbeSpec, Registry, Thing},
    io::{Ctx, MemNet, SeededRng, SystemClock},
    model::{Capability, MinerSnapshot, Snapshot, ThingConf},
    rack::{Collector, CollectorOptions, NullSink},
};

use super::Check;
use crate::{
    rig::{needed, simulate},
    run::{Case, Run},
};

pub const CHECK: Check = Check {
    name: "b-hang",
    bug: "shared-semaphore",
    ci: 16,
    long: 200,
    probes: &["a fifth is dead", "half is dead", "dies while it runs", "shut down beside the dead"],
    run,
};

const THINGS: usize = 1_000;
/// Fewer lanes than there are dead things: where they shared them, nobody else would have one.
const LANES: usize = 64;
const INTERVAL: Duration = Duration::from_secs(10);
/// First polls take place, and it shows who is dead.
const WARM_UP: u32 = 6;
const MEASURED: u32 = 12;
/// A figure of `trust.md`: the healthy are at most a tenth later, or 10 ms where they are not late at all.
const SHARE: f64 = 1.1;
const LEAST: Duration = Duration::from_millis(10);
const SHUTDOWN: Duration = Duration::from_secs(10);

fn run(run: &mut Run) -> Result<(), String> {
    run.form_ran("memory");
    run.until(run.n(), |case| simulate(one(case)));
    Ok(())
}

/// The same site without and with dead things.
async fn one(case: &mut Case) -> Result<(), String> {
    let half = case.index % 2 == 1;
    let dead = if half { THINGS / 2 } else { THINGS / 5 };
    case.hit(if half { "half is dead" } else { "a fifth is dead" });
    // Of half of the sites the dead ones answer at first.
    let from = matches!(case.index % 4, 1 | 2).then_some(INTERVAL * 2);
    case.hit_if(from.is_some(), "dies while it runs");
    let seed = case.rng.u64(..);
    let alone = lateness(seed, 0, from).await?;
    let beside = lateness(seed, dead, from).await?;
    case.hit("shut down beside the dead");
    let limit = alone.mul_f64(SHARE).max(alone + LEAST);
    if beside > limit {
        return Err(format!(
            "99 % of the healthy begin within {beside:?} beside {dead} dead, within {alone:?} alone"
        ));
    }
    Ok(())
}

/// How late healthy things are polled beside so many dead ones.
async fn lateness(seed: u64, dead: usize, from: Option<Duration>) -> Result<Duration, String> {
    let clock = Arc::new(SystemClock::default());
    let cx = Ctx::new(clock, Arc::new(SeededRng::new(seed)), Arc::new(MemNet::new()));
    let mut registry = Registry::new();
    registry.register(Sometimes { info: DriverInfo::new("sometimes", "miner", "Sometimes", ""), from });
    let mut options = CollectorOptions::every(INTERVAL);
    (options.lanes, options.slow_lanes) = (LANES, 16);
    let started = Collector::start(cx.clone(), Arc::new(registry), options, Arc::new(NullSink));
    let collector = needed("no collector", started)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut confs = Vec::with_capacity(THINGS);
    for n in 0..THINGS {
        let id = needed("no id", ThingId::new(&format!("t{n}")))?;
        let latency = rng.u64(20..200);
        let conf = ThingConf::new(id, "sometimes").opt("latency_ms", latency);
        confs.push(conf.opt("dead", n * 7919 % THINGS < dead));
    }
    needed("things are refused", collector.add_many(confs))?;
    let end = cx.clock.mono() + INTERVAL * (WARM_UP + MEASURED);
    cx.clock.sleep_until(end).await;
    let late = collector.counts().lateness_p99;
    let before = cx.clock.mono();
    collector.shutdown(SHUTDOWN).await;
    let took = cx.clock.mono().since(before);
    if took > SHUTDOWN + LEAST {
        return Err(format!("the shutdown took {took:?}"));
    }
    Ok(late)
}

/// The driver of things that answer after a while, or never.
#[derive(Debug)]
struct Sometimes {
    info: DriverInfo,
    from: Option<Duration>,
}

#[derive(Debug)]
struct Device {
    latency: Duration,
    /// From when on it hangs.
    hangs_from: Option<Duration>,
}

#[async_trait]
impl Driver for Sometimes {
    fn info(&self) -> &DriverInfo {
        &self.info
    }

    fn probes(&self) -> &[ProbeSpec] {
        &[]
    }

    fn recognise(&self, _: &Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        let latency = conf.opts.get("latency_ms").and_then(serde_json::Value::as_u64).unwrap_or_default();
        let dead = conf.opts.get("dead").and_then(serde_json::Value::as_bool) == Some(true);
        let hangs_from = dead.then(|| self.from.unwrap_or_default());
        Ok(Arc::new(Device { latency: Duration::from_millis(latency), hangs_from }))
    }
}

#[async_trait]
impl Thing for Device {
    fn capability(&self) -> Arc<Capability> {
        Capability::read_only()
    }

    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        let now = cx.clock.mono();
        if self.hangs_from.is_some_and(|from| now.since_origin() >= from) {
            std::future::pending::<()>().await;
        }
        cx.clock.sleep_until(now + self.latency).await;
        let mut snapshot = MinerSnapshot::default();
        snapshot.success = true;
        Ok(snapshot.into())
    }
}
