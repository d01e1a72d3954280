//! One run's engine, store, clock and devices.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use headframe_core::{
    action::{ActionId, ActionQuery, Bucket, Engine, EngineOptions, RightsSource, Status, policy::Rules},
    io::{Clock, Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
};

use super::{
    fleet::{Racks, Site},
    gate::Gate,
    ways::{self, Face, Way},
};

const START: Timestamp = Timestamp(1_764_000_000_000);
/// How long the executor is given until nothing moves any more.
const REST: Duration = Duration::from_secs(120);
/// Longer than anything that needs no timer.
const MOMENT: Duration = Duration::from_millis(1);

/// Longer than any run takes, in its own time.
const WHOLE: Duration = Duration::from_secs(3_600);

/// Runs `work` in a time of its own, which passes when nobody has anything to do.
///
/// # Panics
/// When it does not end.
pub fn simulate<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = SystemClock::default();
        tokio::select! {
            biased;
            done = work => done,
            () = clock.sleep_until(clock.mono() + WHOLE) => panic!("a run has no end"),
        }
    })
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It is killed: what it wrote is there.
    Kill,
    /// The power goes: of what it did not sync, any part is there.
    PowerCut,
}

/// See the module.
pub struct World {
    pub cx: Ctx,
    pub site: Arc<Site>,
    pub gate: Arc<Gate>,
    pub disk: CrashBackend,
    pub ids: BTreeMap<String, ActionId>,
    /// Whose rights count.
    pub rights: RightsSource,
    /// Calls under way at the same time.
    pub in_flight: usize,
    seed: u64,
    engine: Option<Engine>,
    face: Face,
    way: Option<Arc<dyn Way>>,
}

fn cx(seed: u64, wall: Timestamp) -> Ctx {
    let clock = Arc::new(SystemClock::starting_at(wall));
    Ctx::new(clock, Arc::new(SeededRng::new(seed)), Arc::new(MemNet::new()))
}

fn store_options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.reserve_bytes = 0;
    options.writer = Writer::Inline;
    options.key = Some(SealKey::from_bytes([7; 32]));
    options
}

impl World {
    pub async fn start(site: Arc<Site>, gate: Arc<Gate>, seed: u64) -> Self {
        Self::start_behind(Face::Engine, site, gate, seed).await
    }

    /// The same; callers go this way to the engine.
    pub async fn start_behind(face: Face, site: Arc<Site>, gate: Arc<Gate>, seed: u64) -> Self {
        let (cx, disk) = (cx(seed, START), CrashBackend::new(seed));
        let made = ControlStore::create_on(&cx, Arc::new(disk.clone()), &store_options()).await.unwrap();
        made.close().await.unwrap();
        let (ids, rights) = (BTreeMap::new(), RightsSource::Claims);
        let (engine, way) = (None, None);
        let mut world = Self { cx, site, gate, disk, ids, rights, in_flight: 64, seed, engine, face, way };
        world.open().await;
        world
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// How callers reach the engine.
    pub fn way(&self) -> Arc<dyn Way> {
        Arc::clone(self.way.as_ref().unwrap())
    }

    pub fn is_down(&self) -> bool {
        self.engine.is_none()
    }

    /// Starts an engine over what is on the disk, and returns when it has reconciled.
    pub async fn open(&mut self) {
        self.launch().await;
        self.engine().reconciled().await;
    }

    /// The same without waiting.
    pub async fn launch(&mut self) {
        let store = self.store().await;
        let mut options = EngineOptions::new(Arc::new(Rules::mos()), self.rights.clone());
        options.begin_by_itself = false;
        (options.in_flight, options.in_flight_per_rack) = (self.in_flight, self.in_flight);
        options.points = Some(Arc::clone(&self.gate) as Arc<_>);
        let fleet = Arc::new(Racks(Arc::clone(&self.site)));
        let engine = Engine::open(&self.cx, store, fleet, options).unwrap();
        self.way = Some(ways::way(self.face, &self.cx, &engine));
        self.engine = Some(engine);
    }

    /// What is on the disk, while no engine is open over it.
    pub async fn store(&self) -> ControlStore {
        ControlStore::open_on(&self.cx, Arc::new(self.disk.clone()), &store_options()).await.unwrap()
    }

    /// The process ends; another one can be opened over what it left.
    pub fn crash(&mut self, death: Death) {
        self.disk = match death {
            Death::Kill => CrashBackend::with_bytes(self.seed, self.disk.bytes()),
            Death::PowerCut => self.disk.cut(),
        };
        (self.engine, self.way) = (None, None);
        self.site.forget_hung();
        self.gate.revive();
        // Another process counts from another origin.
        self.cx = cx(self.seed + 1, self.cx.clock.wall());
    }

    /// Hands the engine over, for whoever ends it in order.
    pub fn hand_over(&mut self) -> Engine {
        self.way = None;
        self.engine.take().unwrap()
    }

    /// Lets everything happen that needs no timer.
    pub async fn settle(&self) {
        self.wait(MOMENT).await;
    }

    pub async fn wait(&self, time: Duration) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + time).await;
    }

    /// Waits until nothing moves without an answer from a device.
    pub async fn rest(&self) -> Result<(), String> {
        let until = self.cx.clock.mono() + REST;
        self.settle().await;
        while !self.rests() {
            if self.cx.clock.mono() >= until {
                return Err(format!("still moving after {REST:?}"));
            }
            self.wait(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    fn rests(&self) -> bool {
        let executing = self.engine().query(&ActionQuery::new(Bucket::Executing)).unwrap();
        executing.iter().all(|listed| {
            let header = self.engine().header(listed.id).unwrap();
            let waits = header.counts.open == self.site.hung(listed.id) && header.counts.waiting() == 0;
            waits || header.status == Status::Interrupted && header.counts.open == 0
        })
    }
}
