//! What a vendor family supplies: a [`Driver`] that recognises and opens devices, and the opened [`Thing`].

mod direct;
mod identity;
mod info;
mod observed;
mod permit;
mod poll;
mod probe;
mod registry;
mod write;

pub use direct::Direct;
pub use identity::{IDENTITY_MISMATCH, Identity};
pub use info::{DriverInfo, Generation, ModelInfo};
pub use observed::Observed;
pub use permit::Permit;
pub use poll::{Aged, REFRESH, ShareMeter};
pub use probe::{Evidence, Match, PortRole, Ports, ProbeReply, ProbeRequest, ProbeSpec};
pub use registry::Registry;
pub use write::NOT_CONFIRMED;
#[cfg(feature = "store")]
pub(crate) use write::{Confirmed, confirm, look, look_back, send, to_confirm};

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    Error, Result,
    io::Ctx,
    model::{Capability, Command, CommandName, Receipt, Snapshot, ThingConf},
};

/// Knows one vendor family.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &DriverInfo;

    /// The models that it knows; any other of its family is read too.
    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    /// What to ask an address to find out whether one of the family's devices is there. The scanner sends each
    /// distinct request once for all drivers, and never a password.
    fn probes(&self) -> &[ProbeSpec];

    /// Whether the answers are those of one of its devices.
    fn recognise(&self, evidence: &Evidence) -> Option<Match>;

    /// Checks a configuration without asking anybody, so that a wrong one is refused when it is registered.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the option, as [`open`](Self::open) would.
    fn check(&self, conf: &ThingConf) -> Result<()> {
        let _any = conf;
        Ok(())
    }

    /// Opens a thing. It may connect, but need not: an unreachable device can be opened and answers later.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field, for a configuration it cannot use.
    async fn open(&self, cx: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>>;
}

/// An opened device.
#[async_trait]
pub trait Thing: fmt::Debug + Send + Sync + 'static {
    /// What it can do, as far as is known by now.
    fn capability(&self) -> Arc<Capability>;

    /// What it says now. Fields fail alone: what could not be read is absent, with the reason in `missing`.
    ///
    /// # Errors
    /// When nothing could be read: [`Unreachable`](crate::ErrorKind::Unreachable),
    /// [`Timeout`](crate::ErrorKind::Timeout), [`Unauthenticated`](crate::ErrorKind::Unauthenticated) or
    /// [`BadReply`](crate::ErrorKind::BadReply).
    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot>;

    /// What a command changes, as it is now, and who the device is. Only reads, over connections of its own.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a command that the device does not have; else as
    /// [`snapshot`](Self::snapshot).
    async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        let _unused = cx;
        Err(Error::unsupported("thing.observe", name.as_str()))
    }

    /// Sends a write, once. Only an action or [`Direct`] can make the `permit`.
    ///
    /// Right before it sends, it reads who the device is and calls [`Permit::prove`]. It changes only the command's
    /// own section of the settings: a section that can only be written whole is read, checked with
    /// [`Permit::unchanged`], changed and written, never from an empty reading or one of a device that is still
    /// starting. A write goes over a connection of its own and is never repeated unless the device said that it did
    /// not carry it out.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported), [`Invalid`](crate::ErrorKind::Invalid) and
    /// [`Conflict`](crate::ErrorKind::Conflict) before a byte of the command is sent; any later error says by
    /// [`Error::sent`] whether the device may have received the write.
    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        let _unused = (cx, permit);
        Err(Error::unsupported("thing.execute", command.name().as_str()))
    }

    /// Ends its connections.
    async fn close(&self) {}
}
