//! What a vendor family supplies: a [`Driver`] that recognises and opens devices, and the opened [`Thing`].

mod direct;
mod permit;
mod poll;
mod probe;
mod registry;

pub use direct::Direct;
pub use permit::Permit;
pub use poll::{Aged, REFRESH, ShareMeter};
pub use probe::{Evidence, Match, PortRole, Ports, ProbeReply, ProbeRequest, ProbeSpec};
pub use registry::Registry;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    Error, Result,
    io::Ctx,
    model::{Capability, Command, Outcome, Snapshot, ThingConf},
};

/// What a driver is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverInfo {
    /// Its id, used in [`ThingConf::driver`].
    pub id: &'static str,
    /// Kind of thing, as MiningOS's types begin: `miner`.
    pub kind: &'static str,
    /// The maker.
    pub make: &'static str,
    /// Its page: what it supports, what is doubtful, what an attacker on the wire can do. Markdown.
    pub docs: &'static str,
}

impl DriverInfo {
    /// Describes a driver.
    pub const fn new(id: &'static str, kind: &'static str, make: &'static str, docs: &'static str) -> Self {
        Self { id, kind, make, docs }
    }
}

/// Knows one vendor family.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &DriverInfo;

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

    /// Carries out a write. Only an action or [`Direct`] can make the `permit`.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) and [`Invalid`](crate::ErrorKind::Invalid) before a byte is
    /// sent; any later error says by [`Error::sent`] whether the device may have received the write.
    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Outcome> {
        let _unused = (cx, permit);
        Err(Error::unsupported("thing.execute", command.name().as_str()))
    }

    /// Ends its connections.
    async fn close(&self) {}
}
