//! What a caller sees of a site's store. `core/tests/releases.rs` compares it with what the release that wrote the store
//! saw, and the crate `headframe-trust` writes that down, so both hold this file.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    driver::{Driver, DriverInfo, Evidence, Match, ProbeSpec, Registry, Thing},
    io::Ctx,
    model::ThingConf,
    ork::{Orchestrator, OrkOptions, RackConf},
    query::Query,
    rack::{LocalRack, Rack, RackInfo, RackOptions, Things},
    store::{ControlStore, Space},
};
use serde_json::{Value, json};

/// Type, name and driver of the racks.
pub const RACKS: [(&str, &str, &str); 2] =
    [("miner-am-s19xp", "hall-1", "antminer"), ("miner-wm-m56s", "hall-2", "whatsminer")];
/// Time in which every thing is opened once.
const OPENED_WITHIN: Duration = Duration::from_secs(30);

type Options = Arc<Mutex<BTreeMap<String, Value>>>;

/// A driver whose devices are not there; it keeps the options that it got, secrets unsealed.
#[derive(Debug)]
struct Absent {
    info: DriverInfo,
    options: Options,
}

#[async_trait]
impl Driver for Absent {
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
        let mut options = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        options.insert(conf.id.to_string(), json!(conf.opts));
        Err(Error::new(ErrorKind::Unreachable, "test.open", "nobody is there"))
    }
}

/// A site's registry and racks, opened by this release.
#[derive(Debug)]
pub struct Opened {
    pub things: Arc<Things>,
    pub racks: Vec<Arc<LocalRack>>,
    pub orchestrator: Orchestrator,
    options: Options,
}

impl Opened {
    /// Opens what is in `store`.
    pub async fn new(cx: &Ctx, store: ControlStore) -> Result<Self> {
        let options = Options::default();
        let mut drivers = Registry::new();
        for (_, _, driver) in RACKS {
            let info = DriverInfo::new(driver, "miner", "", "");
            drivers.register(Absent { info, options: Arc::clone(&options) });
        }
        let (drivers, things) = (Arc::new(drivers), Things::open(cx, store.clone()).await?);
        let orchestrator = Orchestrator::open(cx, store, OrkOptions::default())?;
        let mut racks = Vec::new();
        for (thing_type, name, driver) in RACKS {
            let (info, conf) = (RackInfo::new(thing_type, name)?, RackOptions::new(driver));
            let rack =
                LocalRack::open(cx.clone(), Arc::clone(&drivers), Arc::clone(&things), info, conf, None);
            let rack = Arc::new(rack.await?);
            orchestrator.attach(Arc::clone(&rack) as Arc<dyn Rack>, RackConf::default()).await?;
            racks.push(rack);
        }
        Ok(Self { things, racks, orchestrator, options })
    }

    /// Everything that a caller of this release sees.
    pub async fn seen(&self, cx: &Ctx) -> Result<Value> {
        // Their drivers are opened within that.
        cx.clock.sleep_until(cx.clock.mono() + OPENED_WITHIN).await;
        let store = self.things.store();
        let mut racks = BTreeMap::new();
        for rack in &self.racks {
            let all = rack.list(&Query::parse_str(r#"{"sort": {"id": 1}, "limit": 1000}"#)?).await?;
            let things: Vec<Value> = all.items.into_iter().map(|item| item.value.into_value()).collect();
            let next = rack.next_code().await?;
            let shown = json!({"things": things, "settings": rack.settings().await?, "nextCode": next});
            racks.insert(rack.info().id.to_string(), shown);
        }
        let mut histories = BTreeMap::new();
        for record in store.scan_prefix(Space::Audit, "thing ") {
            let id = record.key.as_str().split(' ').nth(1).unwrap_or_default();
            let history = self.things.history(&headframe_core::ThingId::new(id)?)?;
            histories.insert(id.to_owned(), json!(history));
        }
        let mut evidence = BTreeMap::new();
        for record in self.things.ids().iter().filter_map(|id| self.things.get(id)) {
            evidence.insert(record.id.to_string(), json!(record.evidence));
        }
        let options = self.options.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(json!({
            "site": store.site(),
            "revision": store.revision(),
            "racks": racks,
            "histories": histories,
            "evidence": evidence,
            "options": options,
            "thingMap": self.orchestrator.thing_map().value,
            "registered": self.orchestrator.racks()?,
        }))
    }
}
