use std::sync::Arc;

use super::collect::{CollectorOptions, NullSink, SnapshotSink};
use crate::{Error, Result, driver::Registry};

/// How a [`LocalRack`](super::LocalRack) works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RackOptions {
    /// The driver of things that name none.
    pub default_driver: String,
    /// Tags that all its things have, such as `antminer`.
    pub tags: Vec<String>,
    /// Whether two miners may have one address: simulated devices on ports of one machine.
    pub allow_duplicate_ips: bool,
    /// How its things are polled.
    pub collector: CollectorOptions,
    /// Where readings go beside the last rows.
    pub sink: Arc<dyn SnapshotSink>,
}

impl RackOptions {
    /// The defaults, with this driver for things that name none.
    pub fn new(default_driver: &str) -> Self {
        Self {
            default_driver: default_driver.into(),
            tags: Vec::new(),
            allow_duplicate_ips: false,
            collector: CollectorOptions::default(),
            sink: Arc::new(NullSink),
        }
    }

    pub(super) fn check(&self, drivers: &Registry) -> Result<()> {
        super::tags::check(&self.tags)?;
        self.collector.validate()?;
        let known = drivers.driver(&self.default_driver).map(|_| ());
        known.map_err(|e| Error::invalid("rack.open", "default_driver", e.message().to_owned()))
    }
}
