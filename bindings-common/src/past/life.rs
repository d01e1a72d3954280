//! The simulated life of a site.

use std::{collections::BTreeSet, ops::Range, path::Path, sync::Arc, time::Duration};

use headframe::{
    Error, ErrorKind, Result, ThingId,
    driver::{Direct, Registry},
    io::{Ctx, MemNet, Mono, SeededRng, SystemRng},
    model::{Command, Members, PowerMode, ThingConf},
    rack::{Caller, RackId, ThingDraft},
    site::{Site, SiteConf},
    store::{StoreOptions, Writer},
    telemetry::TelemetryOptions,
};
use headframe_sim::{Device, Family, FleetConf, Role};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    Happened, OP, Past, PastConf, RackOf,
    clock::SimulatedClock,
    events::{Event, events},
};

/// How often is written what things said: what does not come to its end is thrown away.
const COMMIT_EVERY: Duration = Duration::from_secs(60);
/// The same of what they said last: only the end counts.
const LAST_EVERY: Duration = Duration::from_secs(86_400);
/// How long a miner has to do what it is told.
const TOLD_WITHIN: Duration = Duration::from_secs(900);
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// Miners of one container.
const CONTAINER: usize = 20;
/// Who registers things.
const BY: &str = "simulation@headframe";

/// Lets a site live in the folder for the time.
pub async fn live(conf: &PastConf, time: Range<i64>, clock: Arc<SimulatedClock>, dir: &Path) -> Result<Past> {
    let cx = Ctx::new(clock, Arc::new(SeededRng::new(conf.seed)), Arc::new(MemNet::new()));
    let fleet = fleet(conf).builder()?.start(&cx).await?;
    let miners: Vec<Miner> = fleet.devices().iter().map(Miner::new).collect();
    let site = open(&cx, dir, &conf.site().to_string()).await?;
    register(&site, &miners).await?;
    let mut events = events(conf.seed, miners.len(), time.clone());
    events.sort_by_key(|event| event.time.start);
    World { cx: &cx, drivers: Arc::new(headframe::registry()), miners: &miners, events: &events }
        .live(&time)
        .await?;
    let polls = site.counts().polls_done;
    site.shutdown(ENDED_WITHIN).await?;
    fleet.stop().await;
    let things = |devices: &[usize]| devices.iter().map(|at| miners[*at].id.clone()).collect();
    let happened = |Event { kind, devices, time }: &Event| Happened {
        kind: *kind,
        things: things(devices),
        start: time.start,
        end: time.end,
    };
    Ok(Past {
        conf: conf.site(),
        things: miners.iter().map(|miner| miner.id.clone()).collect(),
        start: time.start,
        end: time.end,
        polls,
        events: events.iter().map(happened).collect(),
    })
}

fn fleet(conf: &PastConf) -> FleetConf {
    let mut fleet = FleetConf::default();
    (fleet.seed, fleet.base) = (conf.seed, conf.base);
    (fleet.whatsminers, fleet.antminers) = (conf.whatsminers, conf.antminers);
    fleet
}

async fn open(cx: &Ctx, dir: &Path, conf: &str) -> Result<Site> {
    let conf = SiteConf::from_json(conf)?;
    let builder = || {
        let mut store = StoreOptions::default();
        (store.reserve_bytes, store.writer, store.last_every) = (0, Writer::Inline, LAST_EVERY);
        let mut history = TelemetryOptions::default();
        history.commit_every = COMMIT_EVERY;
        Ok::<_, Error>(Site::builder(headframe::registry()).conf(&conf)?.store(store).history(Some(history)))
    };
    // Its id and its key are of the system's randomness: they are nobody's who knows the seed.
    let mut secret = cx.clone();
    secret.rng = Arc::new(SystemRng);
    builder()?.create(&secret, dir).await?.shutdown(ENDED_WITHIN).await?;
    builder()?.open(cx, dir).await
}

async fn register(site: &Site, miners: &[Miner]) -> Result<()> {
    for rack in [RackOf::WHATSMINERS, RackOf::ANTMINERS] {
        let drafts: Vec<_> = miners.iter().filter(|miner| miner.rack == rack).map(Miner::draft).collect();
        if drafts.is_empty() {
            continue;
        }
        let id = RackId::new(&format!("{}-{}", rack.thing_type, rack.name))?;
        for made in site.register_many(&id, drafts, &Caller::new(BY)).await? {
            made?;
        }
    }
    Ok(())
}

/// A simulated miner and its thing.
#[derive(Debug)]
struct Miner {
    id: String,
    rack: RackOf,
    device: Device,
}

impl Miner {
    fn new(device: &Device) -> Self {
        let rack = match device.family() {
            Family::Antminer => RackOf::ANTMINERS,
            _ => RackOf::WHATSMINERS,
        };
        Self { id: format!("{}-{:02}", rack.prefix, device.index() + 1), rack, device: device.clone() }
    }

    /// How its driver reaches it.
    fn opts(&self) -> Members<Value> {
        let port = |role| self.device.address(role).map(|at| at.port());
        let roles: &[(&str, Role)] = match self.device.family() {
            Family::Antminer => &[("port", Role::Web), ("rpc_port", Role::Rpc), ("side_port", Role::Side)],
            _ => &[("port", Role::Rpc), ("v3_port", Role::RpcV3)],
        };
        let mut opts = Members::default();
        opts.insert("address", json!(self.device.ip().to_string()));
        for (name, role) in roles {
            if let Some(port) = port(*role) {
                opts.insert(*name, json!(port));
            }
        }
        opts.insert("password", json!(self.rack.password));
        opts
    }

    fn draft(&self) -> ThingDraft {
        let mut draft = ThingDraft::default();
        (draft.id, draft.opts) = (Some(self.id.clone()), Some(self.opts()));
        let container = format!("container-{}", self.device.index() / CONTAINER + 1);
        let info = json!({"container": container, "macAddress": self.device.mac()});
        draft.info = info.as_object().cloned().unwrap_or_default();
        draft
    }

    fn conf(&self) -> Result<ThingConf> {
        let mut conf = ThingConf::new(ThingId::new(&self.id)?, self.rack.driver).typed(self.rack.thing_type);
        conf.opts = self.opts();
        Ok(conf)
    }
}

/// The miners, and what happens to them.
struct World<'w> {
    cx: &'w Ctx,
    drivers: Arc<Registry>,
    miners: &'w [Miner],
    events: &'w [Event],
}

impl World<'_> {
    async fn live(&self, time: &Range<i64>) -> Result<()> {
        let until = async |at: i64| {
            let passed = Duration::from_millis((at - time.start).unsigned_abs());
            self.cx.clock.sleep_until(Mono::from_origin(passed)).await;
        };
        let both = |(number, event): (usize, &Event)| {
            [(event.time.start, number, true), (event.time.end, number, false)]
        };
        let mut changes: Vec<_> = self.events.iter().enumerate().flat_map(both).collect();
        changes.sort_unstable();
        let mut under_way = BTreeSet::new();
        for (at, number, begins) in changes {
            until(at).await;
            if begins {
                under_way.insert(number)
            } else {
                under_way.remove(&number)
            };
            self.change(&self.events[number], begins, &under_way).await?;
        }
        until(time.end).await;
        Ok(())
    }

    /// An event begins or ends.
    async fn change(&self, event: &Event, begins: bool, under_way: &BTreeSet<usize>) -> Result<()> {
        if event.kind.fault().is_none() {
            let mode = if begins { PowerMode::Sleep } else { PowerMode::Normal };
            return self.tell(&event.devices, mode).await;
        }
        for at in &event.devices {
            let device = &self.miners[*at].device;
            device.clear();
            let all = under_way.iter().map(|number| &self.events[*number]);
            for fault in all.filter(|event| event.devices.contains(at)).filter_map(|e| e.kind.fault()) {
                device.fault(fault);
            }
        }
        Ok(())
    }

    /// Somebody tells miners what to do, as a person does outside the site: all at once.
    async fn tell(&self, devices: &[usize], mode: PowerMode) -> Result<()> {
        let mut told = JoinSet::new();
        for at in devices {
            let (conf, drivers) = (self.miners[*at].conf()?, Arc::clone(&self.drivers));
            let cx = self.cx.deadline_in(TOLD_WITHIN);
            told.spawn(async move {
                let miner = Direct::open(&**drivers.driver(&conf.driver)?, &cx, &conf).await?;
                let done = miner.execute(&cx, &Command::SetPowerMode(mode)).await;
                miner.close().await;
                done.map(drop)
            });
        }
        while let Some(done) = told.join_next().await {
            let ended = |e| Error::new(ErrorKind::Internal, OP, "a miner could not be told").caused_by(e);
            done.map_err(ended)??;
        }
        Ok(())
    }
}
