use std::{collections::BTreeMap, sync::Arc};

use super::{
    addressing::Addressing,
    collect::{CollectorOptions, NullSink, SnapshotSink},
    logs::RackLogs,
};
use crate::{Error, Result, driver::Registry};

/// The driver of things that nobody asks: spare parts, work orders.
pub(super) const NO_DRIVER: &str = "none";

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
    /// Where addresses of miners come from that have none. Unless they are [given](Addressing::Given), many miners are
    /// registered one after another.
    pub addressing: Addressing,
    /// Subnets of containers, as CIDR: a miner's `info.subnet` follows its container.
    pub container_subnets: BTreeMap<String, String>,
    /// How its things are polled.
    pub collector: CollectorOptions,
    /// Where readings go beside the last rows.
    pub sink: Arc<dyn SnapshotSink>,
    /// Where its logs are; a [`Site`](crate::site::Site) that keeps a history sets it.
    pub logs: Option<Arc<dyn RackLogs>>,
}

impl RackOptions {
    /// The defaults, with this driver for things that name none.
    pub fn new(default_driver: &str) -> Self {
        Self {
            default_driver: default_driver.into(),
            tags: Vec::new(),
            allow_duplicate_ips: false,
            addressing: Addressing::default(),
            container_subnets: BTreeMap::new(),
            collector: CollectorOptions::default(),
            sink: Arc::new(NullSink),
            logs: None,
        }
    }

    /// The defaults of a rack whose things are no devices and are not polled: spare parts, work orders.
    pub fn without_devices() -> Self {
        Self::new(NO_DRIVER)
    }

    pub(crate) fn check(&self, drivers: &Registry) -> Result<()> {
        super::tags::check(&self.tags)?;
        self.collector.validate()?;
        for (container, subnet) in &self.container_subnets {
            subnet.parse::<ipnet::Ipv4Net>().map_err(|e| {
                let e =
                    Error::invalid("rack.open", "container_subnets", "takes networks as CIDR").caused_by(e);
                e.with("container", container)
            })?;
        }
        if self.default_driver == NO_DRIVER {
            return Ok(());
        }
        let known = drivers.driver(&self.default_driver).map(|_| ());
        known.map_err(|e| Error::invalid("rack.open", "default_driver", e.message().to_owned()))
    }
}
