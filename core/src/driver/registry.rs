use std::{collections::BTreeMap, sync::Arc};

use super::{Driver, Evidence, Match, ProbeSpec, Thing};
use crate::{Error, ErrorKind, Result, io::Ctx, model::ThingConf};

/// The drivers of a program, by id. Drivers are added by explicit calls, never by the linker.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    drivers: BTreeMap<&'static str, Arc<dyn Driver>>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a driver; one with the same id is replaced.
    pub fn register(&mut self, driver: impl Driver) {
        self.register_arc(Arc::new(driver));
    }

    /// Adds a driver that is already shared.
    pub fn register_arc(&mut self, driver: Arc<dyn Driver>) {
        self.drivers.insert(driver.info().id, driver);
    }

    /// The driver called `id`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), listing the drivers there are.
    pub fn driver(&self, id: &str) -> Result<&Arc<dyn Driver>> {
        self.drivers.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.drivers.keys().copied().collect();
            Error::new(ErrorKind::NotFound, "registry.driver", format!("no driver is called '{id}'"))
                .with("field", "driver")
                .with("known", known.join(" "))
        })
    }

    /// All drivers, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.drivers.values()
    }

    /// Opens a thing with the driver its configuration names.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown driver, else as [`Driver::open`].
    pub async fn open(&self, cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        self.driver(&conf.driver)?.open(cx, conf).await
    }

    /// The distinct probes of all drivers.
    pub fn probes(&self) -> Vec<ProbeSpec> {
        let mut all: Vec<ProbeSpec> = self.iter().flat_map(|d| d.probes()).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The device behind `evidence`: a third-party firmware wins over the stock one it is built upon.
    pub fn recognise(&self, evidence: &Evidence) -> Option<Match> {
        let mut matches: Vec<Match> = self.iter().filter_map(|d| d.recognise(evidence)).collect();
        matches.sort_by_key(|m| m.stock);
        matches.into_iter().next()
    }
}
