use std::sync::Arc;

use async_trait::async_trait;
use headframe_core::{
    Result,
    driver::{Observed, Permit, Thing},
    io::Ctx,
    model::{Capability, Command, CommandName, Receipt, Snapshot, ThingConf},
};

use super::{WhatsminerConf, v2::V2};

/// An opened Whatsminer.
#[derive(Debug)]
pub(super) struct Whatsminer {
    engine: V2,
}

impl Whatsminer {
    pub fn open(conf: &ThingConf) -> Result<Self> {
        let opts = WhatsminerConf::read(conf)?;
        let nominal = opts.nominal_efficiency(conf.thing_type.as_deref());
        Ok(Self { engine: V2::new(Arc::new(opts), nominal) })
    }
}

#[async_trait]
impl Thing for Whatsminer {
    fn capability(&self) -> Arc<Capability> {
        self.engine.capability()
    }

    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        self.engine.snapshot(cx).await
    }

    async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        self.engine.observe(cx, name).await
    }

    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        self.engine.execute(cx, command, permit).await
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
