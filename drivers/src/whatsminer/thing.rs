use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    driver::{Aged, ShareMeter, Thing},
    io::Ctx,
    model::{Capability, Snapshot, Text, ThingConf},
};
use tokio::sync::Mutex;

use super::{WhatsminerConf, ask::Asker, map, slow::Slow, wire::Replies};

/// An opened Whatsminer.
#[derive(Debug)]
pub(super) struct Whatsminer {
    conf: WhatsminerConf,
    nominal: Option<f64>,
    capability: Arc<Capability>,
    /// One poll at a time: the device takes few connections, and share deltas need an order.
    unit: Mutex<Unit>,
}

/// What is remembered between polls.
#[derive(Debug)]
struct Unit {
    at: Aged<SocketAddr>,
    asker: Asker,
    slow: Slow,
    shares: ShareMeter,
    mark: Mark,
}

impl Unit {
    fn new() -> Self {
        Self {
            at: Aged::empty(),
            asker: Asker::default(),
            slow: Slow::default(),
            shares: ShareMeter::default(),
            mark: Mark::default(),
        }
    }
}

/// What tells that the machine has restarted: its uptime falls, or its firmware is another.
#[derive(Debug, Default, Clone, PartialEq)]
struct Mark {
    uptime: Option<f64>,
    firmware: Option<Text>,
}

impl Mark {
    /// Whether the machine restarted since the previous call.
    fn moved(&mut self, replies: &Replies) -> bool {
        let uptime = replies.summary.as_ref().and_then(|s| s.as_ref().ok()?.uptime);
        let firmware = replies.status.as_ref().and_then(|s| s.as_ref().ok()?.firmware.as_ref());
        let restarted = matches!((self.uptime, uptime), (Some(before), Some(now)) if now < before);
        let other = matches!((&self.firmware, firmware), (Some(before), Some(now)) if before != now);
        self.uptime = uptime.or(self.uptime);
        if firmware.is_some() && self.firmware.as_ref() != firmware {
            self.firmware = firmware.cloned();
        }
        restarted || other
    }
}

impl Whatsminer {
    pub fn open(conf: &ThingConf) -> Result<Self> {
        let opts = WhatsminerConf::read(conf)?;
        Ok(Self {
            nominal: opts.nominal_efficiency(conf.thing_type.as_deref()),
            conf: opts,
            capability: Capability::read_only(),
            unit: Mutex::new(Unit::new()),
        })
    }

    async fn locate(&self, cx: &Ctx, unit: &mut Unit) -> Result<SocketAddr> {
        let now = cx.clock.mono();
        if let (false, Some(at)) = (unit.at.due(now), unit.at.get()) {
            return Ok(*at);
        }
        let host = self.conf.address.as_str();
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => {
                let found = cx.within("whatsminer.resolve", cx.net.resolve(host)).await?;
                let none =
                    || Error::new(ErrorKind::Unreachable, "whatsminer.resolve", "the name has no address");
                found.into_iter().next().ok_or_else(|| none().with("host", host))?
            }
        };
        let at = SocketAddr::new(ip, self.conf.port);
        unit.at.put(at, now);
        Ok(at)
    }

    async fn poll(&self, cx: &Ctx, unit: &mut Unit) -> Result<Snapshot> {
        let at = self.locate(cx, unit).await?;
        // What is left of the time is for the slow replies, without which a snapshot is still good.
        let live_cx = match cx.remaining() {
            Some(left) => cx.deadline_in(left / 8 * 7),
            None => cx.clone(),
        };
        let replies = unit.asker.live(&live_cx, at).await.inspect_err(|_| unit.at.expire())?;
        let read_at = cx.clock.mono();
        if unit.mark.moved(&replies) {
            unit.slow.expire();
        }
        let due = unit.slow.due(read_at);
        if !due.is_empty() {
            let answers = unit.asker.slow(cx, at, &due).await;
            let summary = replies.summary.as_ref().and_then(|s| s.as_ref().ok());
            if unit.slow.take(&due, answers, summary, cx.clock.mono()) {
                unit.asker.forget();
            }
        }
        let mut out = map::snapshot(&replies, &unit.slow.facts, self.nominal);
        map::shares(&mut out, &mut unit.shares);
        let now = cx.clock.mono();
        let ages = [("live", Some(now.since(read_at))), ("slow", unit.slow.age(now))];
        for (group, age) in ages {
            if let Some(age) = age {
                out.age_ms.insert(group, u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            }
        }
        Ok(out.into())
    }
}

#[async_trait]
impl Thing for Whatsminer {
    fn capability(&self) -> Arc<Capability> {
        self.capability.clone()
    }

    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        let wait = async { Ok(self.unit.lock().await) };
        let mut unit = cx.within("whatsminer.snapshot", wait).await?;
        self.poll(cx, &mut unit).await
    }
}
