use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Driver, Identity, Thing, write};
use crate::{
    Result,
    io::Ctx,
    model::{Capability, Command, Outcome, Snapshot, ThingConf},
};

/// One device, opened outside any site by its owner: the only handle besides an action that can write.
#[derive(Debug)]
pub struct Direct {
    thing: Arc<dyn Thing>,
    /// It has answered: until then a driver may not know what the device can do.
    heard: AtomicBool,
}

impl Direct {
    /// Opens `conf` with `driver`.
    ///
    /// # Errors
    /// As [`Driver::open`].
    pub async fn open(driver: &dyn Driver, cx: &Ctx, conf: &ThingConf) -> Result<Self> {
        let thing = cx.within("direct.open", driver.open(cx, conf)).await?;
        Ok(Self { thing, heard: AtomicBool::new(false) })
    }

    /// What the device can do, as far as is known: some drivers know it once the device has answered.
    pub fn capability(&self) -> Arc<Capability> {
        self.thing.capability()
    }

    /// What the device says now.
    ///
    /// # Errors
    /// As [`Thing::snapshot`].
    pub async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        let said = cx.within("direct.snapshot", self.thing.snapshot(cx)).await?;
        self.heard.store(true, Ordering::Relaxed);
        Ok(said)
    }

    /// Asks a device of which nothing is known yet, so that it is not taken for one that can do nothing.
    async fn meet(&self, cx: &Ctx) -> Result<()> {
        if !self.heard.load(Ordering::Relaxed) && self.thing.capability().commands().is_empty() {
            self.snapshot(cx).await?;
        }
        Ok(())
    }

    /// Carries out a write: refuses what the device cannot do, looks at the device, sends once, and reads back until
    /// the effect shows. A device that is as wanted already is left alone, and one that was never asked is asked first.
    ///
    /// The read-back takes as long as the command's [row](crate::model::CommandRow) says, minutes for a restart; a
    /// deadline of `cx` bounds the whole.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) and [`Invalid`](crate::ErrorKind::Invalid) before a byte of it is
    /// sent; [`Rejected`](crate::ErrorKind::Rejected) when the device refuses, or, with the code
    /// [`NOT_CONFIRMED`](super::NOT_CONFIRMED), when no effect shows. [`Error::sent`](crate::Error::sent) says
    /// whether the device may have received the write.
    pub async fn execute(&self, cx: &Ctx, command: &Command) -> Result<Outcome> {
        self.meet(cx).await?;
        write::carry_out(&*self.thing, cx, command, None).await
    }

    /// [`execute`](Self::execute) for the device that is `expected` only.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and [`Conflict`](crate::ErrorKind::Conflict) with the code
    /// [`IDENTITY_MISMATCH`](super::IDENTITY_MISMATCH) when another device answers.
    pub async fn execute_as(&self, cx: &Ctx, expected: &Identity, command: &Command) -> Result<Outcome> {
        self.meet(cx).await?;
        write::carry_out(&*self.thing, cx, command, Some(expected)).await
    }

    /// Ends its connections.
    pub async fn close(&self) {
        self.thing.close().await;
    }
}
