//! The registry and the rack over a store in memory, with devices that say what they are told.

mod addressing;
mod comments;
mod identity;
mod inventory;
mod life;
mod queries;
mod races;
mod reassign;
mod register;
mod secrets;
mod stores;
mod update;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{
    Caller, CollectorOptions, LastRows, LocalRack, Rack, RackInfo, RackOptions, ThingChange, ThingDraft,
    ThingRecord, Things,
};
use crate::{
    Error, ErrorKind, Result, ThingId,
    driver::{Driver, DriverInfo, Evidence, Match, ProbeSpec, Registry, Thing},
    io::{Ctx, MemNet, SeededRng, SystemClock, Timestamp},
    model::{Board, Capability, MinerInfo, MinerSnapshot, Snapshot, Text, ThingConf},
    store::{ControlStore, CrashBackend, LastStore, SealKey, StoreOptions, Writer},
};

const START: Timestamp = Timestamp(1_764_000_000_000);
const TYPE: &str = "miner-xx-one";

/// What a device says of itself.
#[derive(Debug, Clone, Default)]
struct Device {
    mac: Option<&'static str>,
    serial: Option<&'static str>,
    boards: Vec<&'static str>,
}

impl Device {
    fn new(mac: &'static str, serial: &'static str) -> Self {
        Self { mac: Some(mac), serial: Some(serial), boards: Vec::new() }
    }
}

/// A driver whose devices stand at addresses, and a log of what was opened how.
#[derive(Clone)]
struct Lab {
    devices: Arc<Mutex<BTreeMap<String, Device>>>,
    opened: Arc<Mutex<Vec<(String, String, String)>>>,
    closed: Arc<Mutex<Vec<String>>>,
    /// Whether nobody answers, and nobody refuses.
    hangs: Arc<AtomicBool>,
    info: DriverInfo,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lab")
    }
}

impl Lab {
    fn new() -> Self {
        Self {
            devices: Arc::default(),
            opened: Arc::default(),
            closed: Arc::default(),
            hangs: Arc::default(),
            info: DriverInfo::new("dummy", "miner", "Nobody", ""),
        }
    }

    fn place(&self, address: &str, device: Device) {
        lock(&self.devices).insert(address.into(), device);
    }

    fn remove(&self, address: &str) {
        lock(&self.devices).remove(address);
    }

    /// Address and password of each opening of a thing.
    fn opened(&self, id: &str) -> Vec<(String, String)> {
        let all = lock(&self.opened);
        all.iter().filter(|(i, ..)| i == id).map(|(_, a, p)| (a.clone(), p.clone())).collect()
    }
}

#[async_trait]
impl Driver for Lab {
    fn info(&self) -> &DriverInfo {
        &self.info
    }

    fn probes(&self) -> &[ProbeSpec] {
        &[]
    }

    fn recognise(&self, _: &Evidence) -> Option<Match> {
        None
    }

    fn check(&self, conf: &ThingConf) -> Result<()> {
        match conf.opts.get("port") {
            Some(port) if !port.is_number() => Err(Error::invalid("dummy.conf", "port", "is a number")),
            _ => Ok(()),
        }
    }

    async fn open(&self, _: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        let text = |name: &str| conf.opts.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        lock(&self.opened).push((conf.id.to_string(), text("address"), text("password")));
        Ok(Arc::new(Opened { lab: self.clone(), id: conf.id.to_string(), address: text("address") }))
    }
}

#[derive(Debug)]
struct Opened {
    lab: Lab,
    id: String,
    address: String,
}

#[async_trait]
impl Thing for Opened {
    fn capability(&self) -> Arc<Capability> {
        Arc::default()
    }

    async fn snapshot(&self, _: &Ctx) -> Result<Snapshot> {
        if self.lab.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let device = lock(&self.lab.devices).get(&self.address).cloned();
        let device = device.ok_or_else(|| Error::new(ErrorKind::Unreachable, "dummy", "nobody is there"))?;
        let mut snapshot = MinerSnapshot { success: true, ..MinerSnapshot::default() };
        snapshot.info = Some(Arc::new(MinerInfo {
            mac: device.mac.map(Into::into),
            serial: device.serial.map(Into::into),
            ..MinerInfo::default()
        }));
        let board = |serial: &&str| Board { serial: Some((*serial).into()), ..Board::default() };
        snapshot.stats.boards = device.boards.iter().map(board).collect();
        Ok(snapshot.into())
    }

    async fn close(&self) {
        lock(&self.lab.closed).push(self.id.clone());
    }
}

/// One process after another on the same disks.
struct Site {
    cx: Ctx,
    lab: Lab,
    disk: CrashBackend,
    last_disk: CrashBackend,
    things: Arc<Things>,
    last: LastRows,
}

fn options(seal: u8) -> StoreOptions {
    StoreOptions {
        reserve_bytes: 0,
        writer: Writer::Inline,
        key: Some(SealKey::from_bytes([seal; 32])),
        ..StoreOptions::default()
    }
}

impl Site {
    async fn new() -> Self {
        Self::with(&options(7)).await
    }

    async fn with(options: &StoreOptions) -> Self {
        let clock = Arc::new(SystemClock::starting_at(START));
        let cx = Ctx::new(clock, Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
        let (disk, last_disk) = (CrashBackend::new(1), CrashBackend::new(2));
        let store = ControlStore::create_on(&cx, Arc::new(disk.clone()), options).await.unwrap();
        LastStore::create_on(Arc::new(last_disk.clone()), store.site()).unwrap();
        Self::start(cx, Lab::new(), disk, last_disk, store).await
    }

    async fn start(
        cx: Ctx,
        lab: Lab,
        disk: CrashBackend,
        last_disk: CrashBackend,
        store: ControlStore,
    ) -> Self {
        let (rows, restored) =
            LastStore::open_on(&cx, Arc::new(last_disk.clone()), store.site(), Writer::Inline).unwrap();
        let things = Things::open(&cx, store).await.unwrap();
        Self { cx, lab, disk, last_disk, things, last: LastRows::new(rows, restored) }
    }

    /// Ends the process and starts the next one.
    async fn restart(self) -> Self {
        let Self { cx, lab, disk, last_disk, things, last } = self;
        last.store().flush().unwrap();
        drop((things, last));
        tokio::task::yield_now().await;
        let store = ControlStore::open_on(&cx, Arc::new(disk.clone()), &options(7)).await.unwrap();
        Self::start(cx, lab, disk, last_disk, store).await
    }

    async fn rack_of(
        &self,
        thing_type: &str,
        name: &str,
        change: impl FnOnce(&mut RackOptions),
    ) -> LocalRack {
        let mut registry = Registry::new();
        registry.register(self.lab.clone());
        let mut options = RackOptions::new("dummy");
        options.collector = CollectorOptions::every(Duration::from_secs(5));
        change(&mut options);
        let info = RackInfo::new(thing_type, name).unwrap();
        let (things, last) = (Arc::clone(&self.things), Some(self.last.clone()));
        LocalRack::open(self.cx.clone(), Arc::new(registry), things, info, options, last).await.unwrap()
    }

    async fn rack(&self, name: &str) -> LocalRack {
        self.rack_of(TYPE, name, |_| {}).await
    }

    async fn pass(&self, seconds: u64) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + Duration::from_secs(seconds)).await;
    }
}

fn by() -> Caller {
    Caller::new("ann@site")
}

fn id(text: &str) -> ThingId {
    ThingId::new(text).unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A draft from MiningOS's JSON.
fn draft(value: Value) -> ThingDraft {
    serde_json::from_value(value).unwrap()
}

fn change(value: Value) -> ThingChange {
    serde_json::from_value(value).unwrap()
}

/// A draft of a miner at an address.
fn miner(id: &str, address: &str) -> ThingDraft {
    draft(json!({ "id": id, "opts": { "address": address } }))
}

fn refused<T>(result: Result<T>) -> (&'static str, Option<String>) {
    let Err(e) = result else { panic!("it was accepted") };
    (e.code(), e.fact("field").map(Into::into))
}

/// What one listing gives of a thing.
async fn listed(rack: &LocalRack, id: &str) -> Value {
    let query =
        crate::query::Query::parse_str(&json!({"query": {"id": id}, "status": 1}).to_string()).unwrap();
    let page = rack.list(&query).await.unwrap();
    page.items.into_iter().next().map_or(Value::Null, |item| item.value.into_value())
}

fn tags_of(record: &ThingRecord) -> Vec<&str> {
    record.tags.iter().map(Text::as_str).collect()
}
