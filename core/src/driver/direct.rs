use std::sync::Arc;

use super::{Driver, Permit, Thing};
use crate::{
    Result,
    io::Ctx,
    model::{Capability, Command, Outcome, Snapshot, ThingConf},
};

/// One device, opened outside any site by its owner: the only handle besides an action that can write.
#[derive(Debug)]
pub struct Direct(Arc<dyn Thing>);

impl Direct {
    /// Opens `conf` with `driver`.
    ///
    /// # Errors
    /// As [`Driver::open`].
    pub async fn open(driver: &dyn Driver, cx: &Ctx, conf: &ThingConf) -> Result<Self> {
        Ok(Self(cx.within("direct.open", driver.open(cx, conf)).await?))
    }

    /// What the device can do.
    pub fn capability(&self) -> Arc<Capability> {
        self.0.capability()
    }

    /// What the device says now.
    ///
    /// # Errors
    /// As [`Thing::snapshot`].
    pub async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        cx.within("direct.snapshot", self.0.snapshot(cx)).await
    }

    /// Carries out a write.
    ///
    /// # Errors
    /// As [`Thing::execute`].
    pub async fn execute(&self, cx: &Ctx, command: &Command) -> Result<Outcome> {
        self.0.execute(cx, command, &Permit::direct()).await
    }

    /// Ends its connections.
    pub async fn close(&self) {
        self.0.close().await;
    }
}
