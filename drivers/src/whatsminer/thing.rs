//! Which API a unit has, and the thing that speaks it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    driver::{Observed, Permit, REFRESH, Thing},
    io::{Ctx, Mono},
    model::{Capability, Command, CommandName, Receipt, Snapshot, ThingConf},
};

use super::{
    WhatsminerConf,
    config::Api,
    v2::V2,
    v3::{V3, V3Opts},
};

/// How long the port of v3 may take to show that it is there.
const PROBE: Duration = Duration::from_secs(2);
/// After so long a unit whose firmware turns out to have v3 is asked for it again: it may have been starting.
const AGAIN: Duration = Duration::from_secs(60);

/// An opened Whatsminer.
#[derive(Debug)]
pub(super) struct Whatsminer {
    conf: Arc<WhatsminerConf>,
    v3: V3Opts,
    nominal: Option<f64>,
    known: Mutex<Known>,
    /// One search at a time.
    search: tokio::sync::Mutex<()>,
}

/// What was found.
#[derive(Debug, Default)]
struct Known {
    engine: Option<Engine>,
    /// When it was looked for; `None` makes the next call look.
    at: Option<Mono>,
}

#[derive(Debug, Clone)]
enum Engine {
    V2(Arc<V2>),
    V3(Arc<V3>),
}

impl Whatsminer {
    pub fn open(conf: &ThingConf) -> Result<Self> {
        let opts = WhatsminerConf::read(conf)?;
        let nominal = opts.nominal_efficiency(conf.thing_type.as_deref());
        Ok(Self {
            conf: Arc::new(opts),
            v3: V3Opts::read(conf)?,
            nominal,
            known: Mutex::default(),
            search: tokio::sync::Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Engine> {
        let known = self.known();
        known.engine.clone().filter(|_| known.at.is_some())
    }

    /// What speaks with the unit; looks for its API when that is not known.
    async fn engine(&self, cx: &Ctx) -> Result<Engine> {
        if let Some(engine) = self.current() {
            return Ok(engine);
        }
        let turn = async { Ok(self.search.lock().await) };
        let _turn = cx.within("whatsminer.api", turn).await?;
        if let Some(engine) = self.current() {
            return Ok(engine);
        }
        let v3 = match self.conf.api {
            Api::V2 => false,
            Api::V3 => true,
            Api::Auto => self.has_v3(cx).await?,
        };
        let mut known = self.known();
        known.at = Some(cx.clock.mono());
        let engine = match known.engine.take() {
            Some(same @ Engine::V2(_)) if !v3 => same,
            Some(same @ Engine::V3(_)) if v3 => same,
            _ if v3 => Engine::V3(Arc::new(V3::new(&self.conf, &self.v3, self.nominal))),
            _ => Engine::V2(Arc::new(V2::new(self.conf.clone(), self.nominal))),
        };
        known.engine = Some(engine.clone());
        Ok(engine)
    }

    /// Whether the port of API v3 answers as a Whatsminer. One that says nothing in time counts as closed.
    async fn has_v3(&self, cx: &Ctx) -> Result<bool> {
        let at = SocketAddr::new(self.conf.resolve(cx).await?.ip(), self.v3.v3_port);
        // Most of the time is for the poll itself.
        let limit = cx.remaining().map_or(PROBE, |left| PROBE.min(left / 4));
        let cx = cx.deadline_in(limit);
        Ok(cx.within("whatsminer.api", V3::probe(&cx, at)).await.unwrap_or(false))
    }

    /// Lets the next call look for the API again, when what happened may mean that it is another one.
    fn judge(&self, cx: &Ctx, engine: &Engine, failure: Option<&Error>) {
        if self.conf.api != Api::Auto {
            return;
        }
        let lost = failure.is_some_and(|e| matches!(e.kind(), ErrorKind::Unreachable | ErrorKind::BadReply));
        let patience = match engine {
            Engine::V2(v2) if v2.is_v3() => AGAIN,
            _ if lost => REFRESH,
            _ => return,
        };
        let mut known = self.known();
        if known.at.is_some_and(|at| cx.clock.mono().since(at) >= patience) {
            known.at = None;
        }
    }
}

#[async_trait]
impl Thing for Whatsminer {
    /// Before the first poll it is nothing: which API the unit has is not known.
    fn capability(&self) -> Arc<Capability> {
        match &self.known().engine {
            Some(Engine::V2(v2)) => v2.capability(),
            Some(Engine::V3(v3)) => v3.capability(),
            None => Capability::read_only(),
        }
    }

    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        let engine = self.engine(cx).await?;
        let out = match &engine {
            Engine::V2(v2) => v2.snapshot(cx).await,
            Engine::V3(v3) => v3.snapshot(cx).await,
        };
        self.judge(cx, &engine, out.as_ref().err());
        out
    }

    async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        match self.engine(cx).await? {
            Engine::V2(v2) => v2.observe(cx, name).await,
            Engine::V3(v3) => v3.observe(cx, name).await,
        }
    }

    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        match self.engine(cx).await? {
            Engine::V2(v2) => v2.execute(cx, command, permit).await,
            Engine::V3(v3) => v3.execute(cx, command, permit).await,
        }
    }

    async fn close(&self) {
        let engine = self.known().engine.clone();
        match engine {
            Some(Engine::V2(v2)) => v2.close().await,
            Some(Engine::V3(v3)) => v3.close().await,
            None => {}
        }
    }
}
