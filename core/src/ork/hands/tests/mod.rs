//! Hands over a rack as it is, with devices that say and do what they are told.

mod racks;
mod select;
mod writes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::{
    Error, ErrorKind, ThingId,
    action::{ActionId, catalogue::FirmwareShelf},
    driver::{self, Driver, DriverInfo, Generation, Identity, Match, Observed, ProbeSpec, Thing},
    io::{MemNet, SeededRng, SystemClock, Timestamp},
    model::{
        Capability, Command, CommandName, CommandRow, MinerInfo, MinerSnapshot, PoolSetup, PowerMode,
        ReadBack, Receipt, ReplyRule, Restart, Snapshot, ThingConf, Undo,
    },
    rack::{CollectorOptions, RackInfo, RackOptions, ThingDraft, Things},
    store::{ControlStore, CrashBackend, SealKey, StoreOptions, Writer},
    testkit::permit_of,
};

static ROWS: &[CommandRow] = &[
    CommandRow::new(
        CommandName::Reboot,
        ReplyRule::Expected,
        ReadBack::restarted(300),
        Undo::None,
        Restart::Machine,
    ),
    CommandRow::new(
        CommandName::SetPowerMode,
        ReplyRule::Expected,
        ReadBack::value("config.power_mode", 60),
        Undo::Before,
        Restart::Mining,
    ),
    CommandRow::new(
        CommandName::SetupPools,
        ReplyRule::Expected,
        ReadBack::value("config.pool_config", 60),
        Undo::Before,
        Restart::None,
    ),
    CommandRow::new(
        CommandName::FactoryReset,
        ReplyRule::Expected,
        ReadBack::None,
        Undo::None,
        Restart::Machine,
    ),
    CommandRow::new(
        CommandName::DownloadLogs,
        ReplyRule::Expected,
        ReadBack::None,
        Undo::None,
        Restart::None,
    ),
];

/// What stands at an address.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub serial: &'static str,
    pub power_w: f64,
    pub mode: PowerMode,
    pub pools: Vec<PoolSetup>,
    pub up_since_ms: Option<i64>,
    /// Whether it takes commands at all.
    pub writable: bool,
    /// Whether it says yes and does nothing.
    pub lies: bool,
    pub executed: Vec<Command>,
}

impl Device {
    pub fn new(serial: &'static str) -> Self {
        Self {
            serial,
            power_w: 3400.0,
            mode: PowerMode::Normal,
            pools: Vec::new(),
            up_since_ms: Some(-3_600_000),
            writable: true,
            lies: false,
            executed: Vec::new(),
        }
    }

    fn does(&mut self, command: &Command, now_ms: i64) {
        self.executed.push(command.clone());
        match command {
            _ if self.lies => {}
            Command::SetPowerMode(mode) => self.mode = *mode,
            Command::SetupPools(pools) => self.pools = pools.clone(),
            Command::Reboot => self.up_since_ms = Some(now_ms + 2_000),
            _ => {}
        }
    }
}

/// A driver whose devices stand at addresses, and how often each thing was opened and closed.
#[derive(Debug, Clone)]
pub(super) struct Lab {
    devices: Arc<Mutex<BTreeMap<String, Device>>>,
    log: Arc<Mutex<Vec<(String, &'static str)>>>,
    info: DriverInfo,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lab {
    fn new() -> Self {
        const GENERATIONS: &[Generation] =
            &[Generation { name: "1", firmware: "", transport: "", commands: &[ROWS], undescribed: &[] }];
        let info = DriverInfo::new("dummy", "miner", "Nobody", "").generations(GENERATIONS);
        Self { devices: Arc::default(), log: Arc::default(), info }
    }

    pub fn place(&self, address: &str, device: Device) {
        lock(&self.devices).insert(address.into(), device);
    }

    pub fn take(&self, address: &str) -> Device {
        lock(&self.devices).remove(address).unwrap()
    }

    pub fn change(&self, address: &str, change: impl FnOnce(&mut Device)) {
        change(lock(&self.devices).get_mut(address).unwrap());
    }

    pub fn executed(&self, address: &str) -> Vec<Command> {
        lock(&self.devices).get(address).map(|device| device.executed.clone()).unwrap_or_default()
    }

    /// How often a thing was `open`ed or `close`d.
    pub fn count(&self, id: &str, what: &str) -> usize {
        lock(&self.log).iter().filter(|(one, did)| one == id && *did == what).count()
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

    fn recognise(&self, _: &driver::Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        let address = conf.opts.get("address").and_then(Value::as_str).unwrap_or_default().to_owned();
        lock(&self.log).push((conf.id.to_string(), "open"));
        let met = Mutex::new(Arc::default());
        Ok(Arc::new(Opened { lab: self.clone(), id: conf.id.to_string(), address, met }))
    }
}

#[derive(Debug)]
struct Opened {
    lab: Lab,
    id: String,
    address: String,
    met: Mutex<Arc<Capability>>,
}

impl Opened {
    fn device(&self) -> Result<Device> {
        let device = lock(&self.lab.devices).get(&self.address).cloned();
        device.ok_or_else(|| Error::new(ErrorKind::Unreachable, "dummy", "nobody is there"))
    }
}

#[async_trait]
impl Thing for Opened {
    fn capability(&self) -> Arc<Capability> {
        lock(&self.met).clone()
    }

    async fn snapshot(&self, _: &Ctx) -> Result<Snapshot> {
        let device = self.device()?;
        if device.writable {
            let mut all = Capability::new(ROWS.iter().cloned());
            all.power_modes = [PowerMode::Sleep, PowerMode::Normal].into();
            all.pools_max = Some(3);
            *lock(&self.met) = Arc::new(all);
        }
        let mut snapshot = MinerSnapshot { success: true, ..MinerSnapshot::default() };
        snapshot.info =
            Some(Arc::new(MinerInfo { serial: Some(device.serial.into()), ..MinerInfo::default() }));
        snapshot.stats.power_w = serde_json::from_value(json!(device.power_w)).unwrap();
        Ok(snapshot.into())
    }

    async fn observe(&self, _: &Ctx, name: CommandName) -> Result<Observed> {
        let device = self.device()?;
        let now = match name {
            CommandName::SetPowerMode => Some(Command::SetPowerMode(device.mode)),
            CommandName::SetupPools => Some(Command::SetupPools(device.pools.clone())),
            _ => None,
        };
        let mut observed = Observed::new(Identity::new(None, Some(device.serial.into())), now);
        observed.up_since_ms = device.up_since_ms;
        Ok(observed)
    }

    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        let device = self.device()?;
        permit.prove(&Identity::new(None, Some(device.serial.into())))?;
        let now = i64::try_from(cx.clock.mono().since_origin().as_millis()).unwrap();
        self.lab.change(&self.address, |device| device.does(command, now));
        let mut receipt = Receipt::new(command.name().as_str(), Some("ok".into()));
        receipt.data = (*command == Command::DownloadLogs).then(|| b"a log"[..].into());
        Ok(receipt)
    }

    async fn close(&self) {
        lock(&self.lab.log).push((self.id.clone(), "close"));
    }
}

/// A rack of miners with its hands, and another one beside it.
pub(super) struct Bench {
    pub cx: Ctx,
    pub lab: Lab,
    pub things: Arc<Things>,
    pub rack: Arc<LocalRack>,
    pub other: Arc<LocalRack>,
    pub hands: LocalHands,
}

pub(super) const RACK: &str = "miner-x-a";
pub(super) const START: i64 = 1_764_000_000_000;

impl Bench {
    pub async fn new() -> Self {
        let clock = SystemClock::starting_at(Timestamp(START));
        let cx = Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(7)), Arc::new(MemNet::new()));
        let options = StoreOptions {
            reserve_bytes: 0,
            writer: Writer::Inline,
            key: Some(SealKey::from_bytes([7; 32])),
            ..StoreOptions::default()
        };
        let store = ControlStore::create_on(&cx, Arc::new(CrashBackend::new(1)), &options).await.unwrap();
        let things = Things::open(&cx, store).await.unwrap();
        let lab = Lab::new();
        let rack = Self::open(&cx, &lab, &things, "a").await;
        let other = Self::open(&cx, &lab, &things, "b").await;
        let hands = Self::hands(&cx, &rack);
        Self { cx, lab, things, rack, other, hands }
    }

    async fn open(cx: &Ctx, lab: &Lab, things: &Arc<Things>, name: &str) -> Arc<LocalRack> {
        let mut drivers = driver::Registry::new();
        drivers.register(lab.clone());
        let mut options = RackOptions::new("dummy");
        options.collector = CollectorOptions::every(Duration::from_secs(5));
        let info = RackInfo::new("miner-x", name).unwrap();
        let rack = LocalRack::open(cx.clone(), Arc::new(drivers), Arc::clone(things), info, options, None);
        Arc::new(rack.await.unwrap())
    }

    pub fn hands(cx: &Ctx, rack: &Arc<LocalRack>) -> LocalHands {
        let pools = vec![json!({"url": "stratum+tcp://own.example:1", "workerName": "site"})];
        let images = Images::new(Some(Arc::new(FirmwareShelf::default())));
        LocalHands::new(cx, Arc::clone(rack), Some(pools), Arc::new(images))
    }

    /// A thing at `10.0.0.<n>` with this device there, registered and not polled yet.
    pub async fn thing(&self, n: u8, device: Device, more: Value) {
        let (id, address) = (format!("m{n}"), format!("10.0.0.{n}"));
        self.lab.place(&address, device);
        let mut draft = json!({"id": id, "opts": {"address": address}});
        draft.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let draft: ThingDraft = serde_json::from_value(draft).unwrap();
        self.rack.register(draft, &by()).await.unwrap();
    }

    pub async fn pass(&self, seconds: u64) {
        self.cx.clock.sleep_until(self.cx.clock.mono() + Duration::from_secs(seconds)).await;
    }

    pub async fn select(&self, action: &str, params: Value, query: Value) -> Result<Option<Selection>> {
        let params: Vec<Value> = serde_json::from_value(params).unwrap();
        let ask = Ask { action: action.into(), params: params.into(), query, rack_call: None };
        self.hands.select(&self.cx, &ask).await
    }

    /// From the look to the read-back, as the engine does it.
    pub async fn run(&self, call: &Call) -> Result<(Reply, Option<Seen>)> {
        let look = self.hands.look(&self.cx, call).await?;
        let begun = self.cx.clock.mono();
        let reply = self.hands.send(&self.cx, call, &permit_of(&look.observed)).await?;
        let before = Before { observed: look.observed, up_since_wall_ms: None };
        let since = self.cx.clock.mono().since(begun);
        let seen =
            if reply.confirm { Some(self.hands.confirm(&self.cx, call, &before, since).await) } else { None };
        Ok((reply, seen))
    }
}

pub(super) fn by() -> crate::rack::Caller {
    crate::rack::Caller::new("ann@site")
}

pub(super) fn id(text: &str) -> ThingId {
    ThingId::new(text).unwrap()
}

pub(super) fn call(action: &str, params: Value, target: &str) -> Call {
    let params: Vec<Value> = serde_json::from_value(params).unwrap();
    Call {
        id: ActionId::new(7_000),
        user: "ann@site".into(),
        action: action.into(),
        params: params.into(),
        target: target.into(),
    }
}
