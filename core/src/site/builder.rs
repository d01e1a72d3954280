use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{Site, archive::Archive, backup};
#[cfg(feature = "history")]
use crate::telemetry::TelemetryOptions;
use crate::{
    Error, ErrorKind, Result,
    action::{
        Engine, EngineOptions, Policy, RightsSource, StaticPrincipals,
        catalogue::{FirmwareStore, Images},
        policy::Rules,
    },
    driver,
    io::Ctx,
    ork::{ExtData, FileStore, LocalHands, Orchestrator, OrkFleet, OrkOptions, RackConf},
    rack::{LastRows, LocalRack, Rack, RackId, RackInfo, RackOptions, Things},
    store::{ControlStore, LastStore, StoreOptions, code},
};

/// Describes a [`Site`].
#[derive(Debug)]
pub struct SiteBuilder {
    drivers: driver::Registry,
    racks: Vec<(String, String, RackOptions, RackConf)>,
    store: StoreOptions,
    orchestrator: OrkOptions,
    actions: EngineOptions,
    #[cfg(feature = "history")]
    history: Option<TelemetryOptions>,
    #[cfg(feature = "history")]
    mos_compatible: bool,
}

impl SiteBuilder {
    pub(super) fn new(drivers: driver::Registry) -> Self {
        let (store, orchestrator) = (StoreOptions::default(), OrkOptions::default());
        // Nobody may do anything until the program says who may.
        let nobody = RightsSource::Current(Arc::new(StaticPrincipals::new()));
        let actions = EngineOptions::new(Arc::new(Rules::safe()), nobody);
        Self {
            drivers,
            racks: Vec::new(),
            store,
            orchestrator,
            actions,
            #[cfg(feature = "history")]
            history: Some(TelemetryOptions::default()),
            #[cfg(feature = "history")]
            mos_compatible: false,
        }
    }

    /// How history and statistics are kept; `None` keeps none. Without this they are kept by the defaults of
    /// [`TelemetryOptions`].
    #[cfg(feature = "history")]
    #[must_use]
    pub fn history(mut self, options: Option<TelemetryOptions>) -> Self {
        self.history = options;
        self
    }

    /// Whether tail logs and statistics are those that MiningOS itself would have stored, mistakes included
    /// (`mosCompatible`); off without this. Such a site keeps a history: without one it does not open.
    ///
    /// See [`TelemetryOptions::mos_compatible`], which it turns on.
    #[cfg(feature = "history")]
    #[must_use]
    pub fn mos_compatible(mut self, on: bool) -> Self {
        self.mos_compatible = on;
        self
    }

    /// Adds the rack called `name` for things of `thing_type`; its id is `<thing_type>-<name>`.
    #[must_use]
    pub fn rack(self, thing_type: &str, name: &str, options: RackOptions) -> Self {
        self.rack_with(thing_type, name, options, RackConf::default())
    }

    /// As [`rack`](Self::rack), with what the rack's configuration tells callers.
    #[must_use]
    pub fn rack_with(mut self, thing_type: &str, name: &str, options: RackOptions, conf: RackConf) -> Self {
        self.racks.push((thing_type.into(), name.into(), options, conf));
        self
    }

    /// How the stores are kept: reserve for a full disk, key of sealed secrets.
    #[must_use]
    pub fn store(mut self, options: StoreOptions) -> Self {
        self.store = options;
        self
    }

    /// The site's configuration, for `getGlobalConfig`.
    #[must_use]
    pub fn global_config(mut self, config: Map<String, Value>) -> Self {
        self.orchestrator.global_config = Some(config);
        self
    }

    /// Where actions find firmware images, and `listFirmwares` their names; without it no firmware is updated.
    #[must_use]
    pub fn firmware(mut self, images: Arc<dyn FirmwareStore>) -> Self {
        self.orchestrator.firmware = Some(images);
        self
    }

    /// Adds a source of data of one type from outside, `minerpool` or `electricity` for example, for `getWrkExtData`; see
    /// [`Orchestrator::serve_ext`].
    #[must_use]
    pub fn ext_data(mut self, ext_type: &str, source: Arc<dyn ExtData>) -> Self {
        self.orchestrator.ext.push((ext_type.into(), source));
        self
    }

    /// Where files of work orders are kept; without it `storeFile` and its siblings are `ERR_NOT_CONFIGURED`.
    #[must_use]
    pub fn files(mut self, files: Arc<dyn FileStore>) -> Self {
        self.orchestrator.files = Some(files);
        self
    }

    /// By which rules actions are approved; [`Rules::safe`] without it.
    #[must_use]
    pub fn policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.actions.policy = policy;
        self
    }

    /// Who may propose and approve actions; without it nobody may.
    #[must_use]
    pub fn rights(mut self, rights: RightsSource) -> Self {
        self.actions.rights = rights;
        self
    }

    /// How actions are carried out, with policy and rights: in place of all that was said of them before.
    #[must_use]
    pub fn actions(mut self, options: EngineOptions) -> Self {
        self.actions = options;
        self
    }

    /// Makes the stores of a new site in `dir` and starts it.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when `dir` holds a site or a backup already; as [`open`](Self::open).
    pub async fn create(self, cx: &Ctx, dir: &Path) -> Result<Site> {
        self.check()?;
        backup::refuse(dir)?;
        let store = ControlStore::create(cx, dir, &self.store).await?;
        LastStore::create(dir)?;
        self.start(cx, dir, store).await
    }

    /// Opens the stores of an existing site in `dir` and starts it. Nothing is ever made anew: a store that is missing,
    /// damaged or of a newer release is an error that says what to do.
    ///
    /// # Errors
    /// Those of [`ControlStore::open`], [`LastStore::open`] and [`LocalRack::open`];
    /// [`Conflict`](ErrorKind::Conflict) with `ERR_BACKUP_INVALID` when a [restore](Site::restore) into `dir` did not end, and
    /// with `ERR_BACKUP_EXISTS` when `dir` holds a backup.
    pub async fn open(self, cx: &Ctx, dir: &Path) -> Result<Site> {
        self.check()?;
        backup::refuse(dir)?;
        let store = ControlStore::open(cx, dir, &self.store).await?;
        self.start(cx, dir, store).await
    }

    /// Opens the site in `dir`, or makes one where `dir` is empty or not there. For first steps and tests: a program
    /// that runs a site calls [`open`](Self::open), so that a lost disk does not look like a new site.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub async fn open_or_create(self, cx: &Ctx, dir: &Path) -> Result<Site> {
        self.check()?;
        backup::refuse(dir)?;
        match ControlStore::open(cx, dir, &self.store).await {
            Ok(store) => self.start(cx, dir, store).await,
            Err(e) if e.kind() == ErrorKind::NotFound && e.code() == code::MISSING && is_empty(dir) => {
                self.create(cx, dir).await
            }
            Err(e) => Err(e),
        }
    }

    /// What is wrong with the description, before any file is touched.
    fn check(&self) -> Result<()> {
        self.actions.check()?;
        #[cfg(feature = "history")]
        if self.mos_compatible && self.history.is_none() {
            let why = "needs a history: give one, or leave this off";
            return Err(Error::invalid("site.open", "mosCompatible", why));
        }
        let mut sources = BTreeSet::new();
        for (ext_type, source) in &self.orchestrator.ext {
            let id = RackInfo::new(ext_type, source.name())?.id;
            if !sources.insert(id.clone()) {
                let e = Error::new(ErrorKind::Conflict, "site.open", "two sources have this type and name");
                return Err(e.code_as("ERR_EXT_DATA_EXISTS").with("source", &id));
            }
        }
        let mut ids = BTreeSet::new();
        for (thing_type, name, options, _) in &self.racks {
            let id = RackInfo::new(thing_type, name)?.id;
            options.check(&self.drivers).map_err(|e| e.with("rack", &id))?;
            if !ids.insert(id.clone()) {
                let e = Error::new(ErrorKind::Conflict, "site.open", "two racks have this id");
                return Err(e.code_as("ERR_RACK_EXISTS").with("rack", &id));
            }
        }
        Ok(())
    }

    async fn start(self, cx: &Ctx, dir: &Path, store: ControlStore) -> Result<Site> {
        let opened = LastStore::open(cx, dir, self.store.writer);
        let started = match opened {
            Ok((last, restored)) => {
                if restored.unreadable > 0 {
                    let rows = restored.unreadable;
                    tracing::warn!(rows, "last snapshots that could not be read are left out");
                }
                last.set_every(self.store.last_every);
                let rows = LastRows::new(last.clone(), restored);
                let started = self.racks_over(cx, dir, store.clone(), rows).await;
                if started.is_err()
                    && let Err(error) = last.close()
                {
                    tracing::warn!(%error, "the last rows were not closed well");
                }
                started
            }
            Err(e) => Err(e),
        };
        if started.is_err() {
            // Whoever mends what is wrong can open it at once.
            store.close().await?;
        }
        started
    }

    async fn racks_over(self, cx: &Ctx, dir: &Path, store: ControlStore, last: LastRows) -> Result<Site> {
        let things = Things::open(cx, store.clone()).await?;
        let drivers = Arc::new(self.drivers);
        let images = Arc::new(Images::new(self.orchestrator.firmware.clone()));
        let orchestrator = Orchestrator::open(
            cx,
            store.clone(),
            OrkOptions { things: Some(Arc::clone(&things)), ..self.orchestrator },
        )?;
        #[cfg(feature = "history")]
        let history = self.history.map(|options| {
            let mos_compatible = options.mos_compatible || self.mos_compatible;
            TelemetryOptions { mos_compatible, ..options }
        });
        let archive = Archive::open(
            cx,
            dir,
            &things,
            #[cfg(feature = "history")]
            history,
        )?;
        let mut racks = BTreeMap::new();
        for (thing_type, name, options, conf) in self.racks {
            let info = RackInfo::new(&thing_type, &name)?;
            let options = archive.attach(&info, options).map_err(|e| e.with("rack", &info.id))?;
            let rack = LocalRack::open(
                cx.clone(),
                Arc::clone(&drivers),
                Arc::clone(&things),
                info.clone(),
                options,
                Some(last.clone()),
            );
            let rack = Arc::new(rack.await.map_err(|e| e.with("rack", &info.id))?);
            let hands = LocalHands::new(cx, Arc::clone(&rack), conf.pools.clone(), Arc::clone(&images));
            orchestrator.attach_with_hands(Arc::clone(&rack) as Arc<dyn Rack>, conf, Arc::new(hands)).await?;
            racks.insert(info.id, rack);
        }
        let mut left: BTreeMap<RackId, usize> = BTreeMap::new();
        for record in things.ids().iter().filter_map(|id| things.get(id)) {
            if !racks.contains_key(&record.rack) {
                *left.entry(record.rack.clone()).or_default() += 1;
            }
        }
        for (rack, things) in left {
            tracing::warn!(%rack, things, "things of a rack that is not open are neither polled nor listed");
        }
        // Only now: it looks at once for what an earlier one left unfinished.
        let fleet = Arc::new(OrkFleet::new(orchestrator.clone()));
        let actions =
            EngineOptions { archive: self.actions.archive.or_else(|| archive.actions()), ..self.actions };
        let engine = Arc::new(Engine::open(cx, store, fleet, actions)?);
        orchestrator.serve_actions(&engine);
        let archive = archive.start();
        let (cx, dir) = (cx.clone(), std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
        Ok(Site { cx, dir, drivers, things, last, racks, orchestrator, engine, archive })
    }
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir)
        .map_or_else(|e| e.kind() == std::io::ErrorKind::NotFound, |mut d| d.next().is_none())
}
