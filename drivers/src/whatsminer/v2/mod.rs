//! The API on port 4028: reads of every generation, and the writes of v2.

mod ask;
mod boards;
mod commands;
mod crypto;
mod firmware;
mod link;
mod look;
mod map;
mod packet;
mod read;
pub(super) mod reply;
mod rest;
pub(super) mod rows;
mod slow;
#[cfg(test)]
mod tests;
mod token;
mod unlock;
pub(super) mod wire;
mod write;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex as Held, OnceLock, PoisonError},
    time::Duration,
};

use headframe_core::{
    Error, Result,
    driver::Observed,
    io::Ctx,
    model::{Capability, CommandName, Snapshot},
};
use tokio::sync::Mutex;

use self::{look::Look, read::Unit, rows::Kind, write::Writer};
use super::WhatsminerConf;

/// A unit that was told to take another address and still answers at the old one after this time stays there.
const MOVED: Duration = Duration::from_secs(120);

/// One unit behind port 4028.
#[derive(Debug)]
pub(super) struct V2 {
    conf: Arc<WhatsminerConf>,
    nominal: Option<f64>,
    /// One poll at a time: the device takes few connections, and share deltas need an order.
    unit: Mutex<Unit>,
    known: Held<Known>,
    /// What writes have to remember. Most units are never written to, so it is made by the first write.
    writer: OnceLock<Box<Writer>>,
}

/// What the last poll told of the unit's commands.
#[derive(Debug)]
struct Known {
    kind: Kind,
    capability: Arc<Capability>,
}

impl V2 {
    /// A unit; `nominal` is its efficiency as sold, J/TH.
    pub fn new(conf: Arc<WhatsminerConf>, nominal: Option<f64>) -> Self {
        let known = Known { kind: Kind::default(), capability: Capability::read_only() };
        Self {
            conf,
            nominal,
            unit: Mutex::new(Unit::new()),
            known: Held::new(known),
            writer: OnceLock::new(),
        }
    }

    /// What it can do. Before the first poll that is nothing: which API it has is not known.
    pub fn capability(&self) -> Arc<Capability> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).capability.clone()
    }

    /// Whether the unit's firmware has API v3, where this port is for reading only.
    pub fn is_v3(&self) -> bool {
        self.kind().generation == rows::Generation::V3
    }

    fn kind(&self) -> Kind {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).kind
    }

    fn learn(&self, kind: Kind) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kind.after(known.kind);
        if kind != known.kind {
            *known = Known { kind, capability: kind.capability() };
        }
    }

    /// What it says now.
    ///
    /// # Errors
    /// When nothing came that says how it does.
    pub async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        let wait = async { Ok(self.unit.lock().await) };
        let mut unit = cx.within("whatsminer.snapshot", wait).await?;
        let moved = self.writer.get().and_then(|w| w.moved()).filter(|m| m.seen).map(|m| m.ip);
        if self.writer.get().is_some_and(|w| w.take_changed()) {
            unit.expire();
        }
        let (snapshot, kind) = unit.poll(cx, &self.conf, self.nominal, moved).await?;
        self.learn(kind);
        Ok(snapshot)
    }

    /// What `name` changes, as it is now.
    ///
    /// # Errors
    /// [`Unsupported`](headframe_core::ErrorKind::Unsupported), and those of the connections.
    pub async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        if !self.capability().has(name) {
            return Err(Error::unsupported("whatsminer.observe", name.as_str()));
        }
        let look = self.look(cx, Some(name)).await?;
        Ok(look.observed(cx, name))
    }

    /// Looks at the unit, first where a write has sent it.
    async fn look(&self, cx: &Ctx, name: Option<CommandName>) -> Result<Look> {
        let moved = self.writer.get().and_then(|w| Some((w, w.moved()?)));
        let Some((writer, moved)) = moved else {
            return Look::take(cx, self.conf.resolve(cx).await?, name).await;
        };
        let at = SocketAddr::new(moved.ip, self.conf.port);
        if moved.seen {
            return Look::take(cx, at, name).await;
        }
        // Half of the time is for the old address: on its way the unit answers there, or nowhere.
        let there = Look::take(&ask::portion(cx, 1, 2), at, name).await;
        if let Ok(look) = there
            && moved.identity.prove(&look.identity).is_ok()
        {
            writer.arrived();
            return Ok(look);
        }
        let look = Look::take(cx, moved.from, name).await?;
        let stays = cx.clock.mono().since(moved.since) > MOVED;
        if stays && moved.identity.prove(&look.identity).is_ok() {
            writer.stays();
        }
        Ok(look)
    }

    /// Forgets its token. No connection stays open between calls.
    pub async fn close(&self) {
        if let Some(writer) = self.writer.get() {
            writer.forget();
        }
    }
}
