//! The polls of one unit, and what is remembered between them.

use std::net::{IpAddr, SocketAddr};

use headframe_core::{
    Result,
    driver::{Aged, ShareMeter},
    io::Ctx,
    model::{Snapshot, Text},
};

use super::{ask::Asker, map, rows::Kind, slow::Slow, wire::Replies};
use crate::whatsminer::WhatsminerConf;

/// What is remembered between polls.
#[derive(Debug)]
pub(super) struct Unit {
    at: Aged<SocketAddr>,
    asker: Asker,
    slow: Slow,
    shares: ShareMeter,
    mark: Mark,
}

impl Unit {
    pub fn new() -> Self {
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
        let uptime = replies.summary().and_then(|s| s.uptime);
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

impl Unit {
    /// Makes everything due: a write may have changed what is read rarely.
    pub fn expire(&mut self) {
        self.slow.expire();
        self.asker.expire();
    }

    /// Where to ask: at `moved`, if a write sent the unit there.
    async fn locate(&mut self, cx: &Ctx, conf: &WhatsminerConf, moved: Option<IpAddr>) -> Result<SocketAddr> {
        let now = cx.clock.mono();
        if let Some(ip) = moved {
            return Ok(SocketAddr::new(ip, conf.port));
        }
        if let (false, Some(at)) = (self.at.due(now), self.at.get()) {
            return Ok(*at);
        }
        let at = conf.resolve(cx).await?;
        self.at.put(at, now);
        Ok(at)
    }

    /// Reads a snapshot, and what it tells of the commands that the unit has.
    pub async fn poll(
        &mut self,
        cx: &Ctx,
        conf: &WhatsminerConf,
        nominal: Option<f64>,
        moved: Option<IpAddr>,
    ) -> Result<(Snapshot, Kind)> {
        let at = self.locate(cx, conf, moved).await?;
        // What is left of the time is for the slow replies, without which a snapshot is still good.
        let live_cx = match cx.remaining() {
            Some(left) => cx.deadline_in(left / 8 * 7),
            None => cx.clone(),
        };
        let replies = self.asker.live(&live_cx, at).await.inspect_err(|_| self.at.expire())?;
        let read_at = cx.clock.mono();
        if self.mark.moved(&replies) {
            self.slow.expire();
        }
        let due = self.slow.due(read_at);
        if !due.is_empty() {
            let answers = self.asker.slow(cx, at, &due).await;
            if self.slow.take(&due, answers, replies.summary(), cx.clock.mono()) {
                self.asker.forget();
            }
        }
        let mut out = map::snapshot(&replies, &self.slow.facts, nominal);
        map::shares(&mut out, &mut self.shares);
        let now = cx.clock.mono();
        let ages = [("live", Some(now.since(read_at))), ("slow", self.slow.age(now))];
        for (group, age) in ages.into_iter().chain(self.asker.ages(now)) {
            if let Some(age) = age {
                out.age_ms.insert(group, u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            }
        }
        let kind = Kind::of(&replies, &self.slow.facts);
        Ok((out.into(), kind))
    }
}
