mod actions;
mod audit;
mod calls;
mod ext;
mod fake;
mod files;
mod gateway;
mod local;
mod map;
mod matrix;
mod mos;
mod racks;
mod tail;
mod union;

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    action::catalogue::FirmwareShelf,
    auth::Principal,
    io::{MemNet, SeededRng, SystemClock, Timestamp},
    store::{CrashBackend, SealKey, StoreOptions, Writer},
    testkit::{MemExtData, MemPool, MemPoolStyle},
};

pub(super) use fake::{Fake, Mode};
use files::MemFiles;

pub(super) const FRONT: &str = "miner-wm-m56s-front";
pub(super) const BACK: &str = "miner-am-s21-back";
pub(super) const COOLING: &str = "container-as-hk3-cooling";

pub(super) fn id(text: &str) -> RackId {
    RackId::new(text).unwrap()
}

pub(super) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub(super) fn cx() -> Ctx {
    let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
    Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()))
}

pub(super) fn store_options() -> StoreOptions {
    StoreOptions {
        reserve_bytes: 0,
        writer: Writer::Inline,
        key: Some(SealKey::from_bytes([7; 32])),
        ..StoreOptions::default()
    }
}

pub(super) async fn store() -> ControlStore {
    let disk = CrashBackend::new(1);
    ControlStore::create_on(&cx(), Arc::new(disk), &store_options()).await.unwrap()
}

/// An orchestrator over three racks: two of miners, one of containers.
pub(super) struct Site {
    pub ork: Orchestrator,
    pub front: Arc<Fake>,
    pub back: Arc<Fake>,
    pub cooling: Arc<Fake>,
    pub f2pool: Arc<MemExtData>,
    pub ocean: Arc<MemExtData>,
    pub supply: Arc<MemExtData>,
    pub files: Arc<MemFiles>,
    /// The SHA-256 of its firmware image.
    pub firmware: String,
}

impl Site {
    pub async fn new() -> Self {
        let config = json!({"isAutoSleepAllowed": false, "nominalSiteMinerCapacity": 600});
        let cx = cx();
        let account = |style, name: &str, workers| vec![MemPool::new(style, name, workers)];
        let f2pool = account(MemPoolStyle::F2Pool, "farm", 20);
        let f2pool = Arc::new(MemExtData::minerpool(&cx, "north", 1, f2pool));
        let ocean = account(MemPoolStyle::Ocean, "bc1qfarm", 10);
        let ocean = Arc::new(MemExtData::minerpool(&cx, "south", 2, ocean));
        let supply = Arc::new(MemExtData::electricity(&cx, "grid", 3));
        let network: Arc<dyn ExtData> = Arc::new(MemExtData::mempool(&cx, "net", 4));
        let (files, shelf) = (Arc::new(MemFiles::default()), FirmwareShelf::default());
        let firmware = shelf.add_named("S21 2026-02", "image");
        let options = OrkOptions {
            global_config: config.as_object().cloned(),
            firmware: Some(Arc::new(shelf)),
            files: Some(files.clone()),
            ext: vec![
                ("minerpool-f2pool".into(), f2pool.clone()),
                ("minerpool-ocean".into(), ocean.clone()),
                ("electricity".into(), supply.clone()),
                ("mempool".into(), network),
            ],
            ..OrkOptions::default()
        };
        let ork = Orchestrator::open(&cx, store().await, options).unwrap();
        let rack = |thing_type, name| Arc::new(Fake::new(thing_type, name));
        let front = rack("miner-wm-m56s", "front");
        let back = rack("miner-am-s21", "back");
        let cooling = rack("container-as-hk3", "cooling");
        for (rack, n) in [(&front, 3), (&back, 2), (&cooling, 1)] {
            for i in 1..=n {
                rack.put(&format!("{}-{i}", rack.info().id), json!({"n": i}));
            }
        }
        let conf = RackConf {
            config: json!({"site": "north", "limit": 5}).as_object().cloned(),
            pools: Some(vec![json!({"url": "stratum+tcp://pool", "workerPassword": "hunter2"})]),
        };
        ork.attach(front.clone(), conf).await.unwrap();
        ork.attach(back.clone(), RackConf::default()).await.unwrap();
        ork.attach(cooling.clone(), RackConf::default()).await.unwrap();
        Self { ork, front, back, cooling, f2pool, ocean, supply, files, firmware }
    }

    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.call_as(&["*:rw"], method, params).await
    }

    pub async fn call_as(&self, list: &[&str], method: &str, params: Value) -> Result<Value> {
        let who = Principal::new("ann@site", Permissions::parse(list).unwrap());
        self.ork.call(&who, method, &params.to_string()).await
    }

    /// Everything that a call could change.
    pub fn state(&self) -> String {
        let spaces = Space::ALL.iter().map(|space| {
            let records = self.ork.0.store.scan(*space, .., usize::MAX);
            records.iter().map(|r| format!("{:?}={:?}", r.key, r.json)).collect::<Vec<_>>().join(";")
        });
        let racks = [&self.front, &self.back, &self.cooling].map(|rack| rack.state());
        let told = ["availableEnergy", "forecastSettings"].map(|key| self.supply.told(key));
        let files = self.files.state();
        format!("{:?} {racks:?} {:?} {told:?} {files}", spaces.collect::<Vec<_>>(), self.ork.racks().unwrap())
    }
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
