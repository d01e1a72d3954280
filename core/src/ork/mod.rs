//! Unites racks: one listing, one registry, one place to register things, whichever rack holds them.
//!
//! [`Orchestrator`] is the typed interface; [`call`] speaks MiningOS's methods over it.

mod actions;
pub mod call;
mod ext;
mod fan;
mod files;
mod hands;
mod history;
mod reassign;
mod registry;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;
mod thing_map;
mod things;

pub use ext::{ExtData, ExtQuery};
pub use files::{FileDraft, FileMeta, FileOwner, FileStore};
pub use hands::{LocalHands, OrkFleet};
pub use reassign::Holder;
pub use registry::RackRecord;
use registry::Registry;
pub use thing_map::{Holding, Move, ThingMap};
pub use things::Placed;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use serde_json::{Map, Value};

use crate::{
    Error, ErrorKind, Result,
    action::{Engine, Hands, catalogue::FirmwareStore},
    auth::{Access, Permissions},
    io::Ctx,
    rack::{Rack, RackId, RackInfo, Things},
    store::{Batch, ControlStore, Expect, Revision, Space, Versioned},
};

use ext::ExtSlot;
use fan::{Attached, Fan, Target};
use files::FileSlot;

const OP: &str = "ork";
const MAP_KEY: &str = "thing-map";
const CONFIG_KEY: &str = "global-config";

/// How an [`Orchestrator`] works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OrkOptions {
    /// Calls that one rack is given at a time; others wait for it within their deadline.
    pub calls_per_rack: usize,
    /// How long a rack may take to answer a question.
    pub read_deadline: Duration,
    /// How long a caller waits for a rack's write. The write itself is not broken off.
    pub write_deadline: Duration,
    /// The site's configuration, for `getGlobalConfig`; what is set while running is laid over it.
    pub global_config: Option<Map<String, Value>>,
    /// The registry of this process's racks, for `getHistoricalLogs`.
    pub things: Option<Arc<Things>>,
    /// Firmware images, for `listFirmwares`.
    pub firmware: Option<Arc<dyn FirmwareStore>>,
    /// Files of work orders, for `storeFile` and its siblings.
    pub files: Option<Arc<dyn FileStore>>,
    /// Sources of data from outside by their types: see [`Orchestrator::serve_ext`].
    pub ext: Vec<(String, Arc<dyn ExtData>)>,
}

impl Default for OrkOptions {
    fn default() -> Self {
        Self {
            calls_per_rack: 8,
            read_deadline: Duration::from_secs(10),
            write_deadline: Duration::from_secs(30),
            global_config: None,
            things: None,
            firmware: None,
            files: None,
            ext: Vec::new(),
        }
    }
}

/// What a rack's configuration tells callers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RackConf {
    /// The configuration, for `getWrkConf`.
    pub config: Option<Map<String, Value>>,
    /// The pools of its miners, for `getThingConf`. Secrets in them are never given.
    pub pools: Option<Vec<Value>>,
}

/// Unites racks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orchestrator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: ControlStore,
    registry: Registry,
    fan: Fan,
    calls_per_rack: usize,
    global_config: Option<Map<String, Value>>,
    things: Option<Arc<Things>>,
    attached: RwLock<BTreeMap<RackId, Arc<Attached>>>,
    map: RwLock<Arc<Versioned<ThingMap>>>,
    sources: Sources,
    /// What carries actions out, as long as its owner keeps it.
    actions: RwLock<Option<Weak<Engine>>>,
    /// Held while registry, racks or map change, so that each change is judged by the state that it meets.
    changing: tokio::sync::Mutex<()>,
}

/// Where what is no rack's comes from.
#[derive(Debug, Default)]
struct Sources {
    ext: RwLock<Vec<ExtSlot>>,
    files: Option<FileSlot>,
    firmware: Option<Arc<dyn FirmwareStore>>,
}

impl Orchestrator {
    /// An orchestrator without attached racks over a site's store.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when what the store holds of racks and addresses is damaged; those of
    /// [`serve_ext`](Self::serve_ext).
    pub fn open(cx: &Ctx, store: ControlStore, options: OrkOptions) -> Result<Self> {
        let map = store.get(Space::Meta, MAP_KEY)?;
        let map = map.unwrap_or(Versioned { value: ThingMap::default(), revision: Revision::default() });
        let registry = Registry::new(store.clone());
        registry.list()?;
        let files = options.files.clone().map(|files| FileSlot::new(files, options.calls_per_rack));
        let sources = Sources { ext: RwLock::default(), files, firmware: options.firmware.clone() };
        let ork = Self(Arc::new(Inner {
            fan: Fan::new(cx.clone(), &options),
            calls_per_rack: options.calls_per_rack,
            registry,
            store,
            global_config: options.global_config,
            things: options.things,
            attached: RwLock::default(),
            map: RwLock::new(Arc::new(map)),
            sources,
            actions: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
        }));
        for (ext_type, source) in options.ext {
            ork.serve_ext(&ext_type, source)?;
        }
        Ok(ork)
    }

    /// Attaches a rack of this process; it needs no registration.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_RACK_EXISTS` when there is a rack of this id.
    pub async fn attach(&self, rack: Arc<dyn Rack>, conf: RackConf) -> Result<()> {
        self.attach_local(rack, conf, None).await
    }

    /// As [`attach`](Self::attach), for a rack to whose things the action engine may write: see [`OrkFleet`].
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub async fn attach_with_hands(
        &self,
        rack: Arc<dyn Rack>,
        conf: RackConf,
        hands: Arc<dyn Hands>,
    ) -> Result<()> {
        self.attach_local(rack, conf, Some(hands)).await
    }

    async fn attach_local(
        &self,
        rack: Arc<dyn Rack>,
        conf: RackConf,
        hands: Option<Arc<dyn Hands>>,
    ) -> Result<()> {
        let _changing = self.0.changing.lock().await;
        if self.0.registry.get(&rack.info().id)?.is_some() {
            return Err(exists(&rack.info().id));
        }
        let mut attached = Attached::new(rack, conf, true, self.0.calls_per_rack);
        attached.hands = hands;
        self.add(attached)
    }

    /// Attaches the connection to a registered rack that runs elsewhere.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it is not registered, else as [`attach`](Self::attach).
    pub async fn attach_remote(&self, rack: Arc<dyn Rack>, conf: RackConf) -> Result<()> {
        let _changing = self.0.changing.lock().await;
        if self.0.registry.get(&rack.info().id)?.is_none() {
            return Err(unknown(&rack.info().id));
        }
        self.add(Attached::new(rack, conf, false, self.0.calls_per_rack))
    }

    fn add(&self, attached: Attached) -> Result<()> {
        let id = attached.rack.info().id.clone();
        let mut racks = self.0.attached.write().unwrap_or_else(PoisonError::into_inner);
        if racks.contains_key(&id) {
            return Err(exists(&id));
        }
        racks.insert(id, Arc::new(attached));
        Ok(())
    }

    /// Detaches a rack and gives it back. A rack that is registered stays so.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it is not attached.
    pub async fn detach(&self, id: &RackId) -> Result<Arc<dyn Rack>> {
        let _changing = self.0.changing.lock().await;
        self.remove(id).map(|attached| attached.rack.clone()).ok_or_else(|| unknown(id))
    }

    fn remove(&self, id: &RackId) -> Option<Arc<Attached>> {
        self.0.attached.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Registers a rack that runs elsewhere, or replaces its registration.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when a rack of this process has that id; those of [`ControlStore::commit`].
    pub async fn register_rack(&self, record: RackRecord) -> Result<RackInfo> {
        let _changing = self.0.changing.lock().await;
        let id = record.info()?.id;
        if self.attached().get(&id).is_some_and(|attached| attached.local) {
            return Err(exists(&id));
        }
        self.0.registry.register(record).await
    }

    /// Forgets registered racks, all or those named, and detaches them; gives the ids of those that were there. Racks
    /// of this process stay.
    ///
    /// # Errors
    /// Those of [`ControlStore::commit`]; nothing is forgotten then.
    pub async fn forget_racks(&self, ids: Option<&BTreeSet<RackId>>) -> Result<Vec<RackId>> {
        let _changing = self.0.changing.lock().await;
        let gone = self.0.registry.forget(ids).await?;
        gone.iter().for_each(|id| drop(self.remove(id)));
        Ok(gone)
    }

    /// All racks, attached and registered, in the order of their ids.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when a registration is damaged.
    pub fn racks(&self) -> Result<Vec<RackInfo>> {
        Ok(self.targets(|_| true)?.into_iter().map(|target| target.info).collect())
    }

    /// Who owns which addresses, and the commit that said so.
    pub fn thing_map(&self) -> Arc<Versioned<ThingMap>> {
        self.0.map.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the map of addresses, only if its revision is still `if_revision` when that is given. Things stay where
    /// they are until they are reassigned.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a rack that does not exist, [`Conflict`](ErrorKind::Conflict) when the map
    /// changed meanwhile; those of [`ControlStore::commit`].
    pub async fn set_thing_map(&self, map: ThingMap, if_revision: Option<Revision>) -> Result<Revision> {
        let _changing = self.0.changing.lock().await;
        let known: BTreeSet<RackId> = self.racks()?.into_iter().map(|info| info.id).collect();
        if let Some(rack) = map.racks().into_keys().find(|rack| !known.contains(*rack)) {
            let e = Error::invalid("ork.thing_map", "thingMap", "there is no such rack");
            return Err(e.code_as("ERR_THING_MAP_INVALID").with("rack", rack));
        }
        let mut batch = Batch::new().put(Space::Meta, MAP_KEY, &map);
        if let Some(revision) = if_revision {
            let none = revision == Revision::default();
            let expect = if none { Expect::Absent } else { Expect::Revision(revision) };
            batch = batch.require(Space::Meta, MAP_KEY, expect);
        }
        let revision = self.0.store.commit(batch).await?;
        let map = Arc::new(Versioned { value: map, revision });
        *self.0.map.write().unwrap_or_else(PoisonError::into_inner) = map;
        Ok(revision)
    }

    /// The site's configuration with what was set while running; `None` when there is neither.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when what was set is damaged.
    pub fn global_config(&self) -> Result<Option<Map<String, Value>>> {
        let set = self.0.store.get::<Map<String, Value>>(Space::Settings, CONFIG_KEY)?;
        let Some(mut config) = self.0.global_config.clone() else { return Ok(None) };
        config.extend(set.map(|set| set.value).unwrap_or_default());
        Ok(Some(config))
    }

    /// Sets members of the site's configuration, durably; gives all of it.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) with `ERR_GLOBAL_CONFIG_NOT_FOUND` when the site has none; those of
    /// [`ControlStore::commit`].
    pub async fn set_global_config(&self, members: Map<String, Value>) -> Result<Map<String, Value>> {
        let _changing = self.0.changing.lock().await;
        let missing = || {
            let e = Error::new(ErrorKind::NotFound, "ork.config", "the site has no global configuration");
            e.code_as("ERR_GLOBAL_CONFIG_NOT_FOUND")
        };
        let mut config = self.global_config()?.ok_or_else(missing)?;
        let set = self.0.store.get::<Map<String, Value>>(Space::Settings, CONFIG_KEY)?;
        let mut set = set.map(|set| set.value).unwrap_or_default();
        set.extend(members);
        self.0.store.commit(Batch::new().put(Space::Settings, CONFIG_KEY, &set)).await?;
        config.extend(set);
        Ok(config)
    }

    /// Id of the site.
    pub fn site(&self) -> &str {
        self.0.store.site()
    }

    fn attached(&self) -> BTreeMap<RackId, Arc<Attached>> {
        self.0.attached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Racks that `wanted` takes, in the order of their ids.
    fn targets(&self, wanted: impl Fn(&RackInfo) -> bool) -> Result<Vec<Target>> {
        let mut targets = BTreeMap::new();
        for record in self.0.registry.list()? {
            let info = record.info()?;
            targets.insert(info.id.clone(), Target { info, slot: None });
        }
        for (id, slot) in self.attached() {
            targets.insert(id, Target { info: slot.rack.info().clone(), slot: Some(slot) });
        }
        Ok(targets.into_values().filter(|target| wanted(&target.info)).collect())
    }

    /// Racks whose family the permissions allow.
    fn allowed(&self, permissions: Permissions, access: Access) -> Result<Vec<Target>> {
        self.targets(|info| permissions.allows_family(info.family(), access))
    }

    fn target(&self, id: &RackId) -> Result<Target> {
        if let Some(slot) = self.attached().remove(id) {
            return Ok(Target { info: slot.rack.info().clone(), slot: Some(slot) });
        }
        let record = self.0.registry.get(id)?.ok_or_else(|| unknown(id))?;
        Ok(Target { info: record.info()?, slot: None })
    }
}

fn unknown(id: &RackId) -> Error {
    let e = Error::new(ErrorKind::NotFound, OP, "there is no such rack");
    e.code_as("ERR_RACK_NOT_FOUND").with("rack", id)
}

fn exists(id: &RackId) -> Error {
    let e = Error::new(ErrorKind::Conflict, OP, "there is a rack of this id already");
    e.code_as("ERR_RACK_EXISTS").with("rack", id)
}
