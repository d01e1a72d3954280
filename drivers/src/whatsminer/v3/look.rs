//! Looks at a device for a write: who it is, and how what a command changes is now. Every look is over connections of
//! its own.

use std::{net::SocketAddr, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result,
    codec::framed::{self, frame},
    driver::{Identity, Observed},
    io::Ctx,
    model::{Command, CommandName, PoolSetup, PowerMode, Text},
};

use super::{
    ask::{contents, in_order},
    map,
    reply::{Device, Live, OfPools, OfSummary, Pool, Salt, Summary},
    wire::{READ, Reply, Stamp, ask},
};
use crate::whatsminer::value::{Reading, limit, mac, millis, text};

/// What `get.device.info` says, all of it from one reply.
pub(super) struct Look {
    pub live: Live,
    pub device: Device,
    salt: Option<Text>,
}

impl Look {
    /// Asks the device.
    ///
    /// # Errors
    /// Those of a read; [`BadReply`](ErrorKind::BadReply) also for what is no Whatsminer with API v3.
    pub async fn at(cx: &Ctx, at: SocketAddr) -> Result<Self> {
        let mut json = Vec::new();
        framed::read(cx, at, &frame(ask::INFO), &mut json).await?;
        let look = Self::of(&json).map_err(|e| e.with("request", ask::INFO).with("address", at))?;
        if look.is_v3() { Ok(look) } else { Err(stranger(at)) }
    }

    /// Reads a reply's JSON.
    ///
    /// # Errors
    /// As [`Reply::contents`].
    pub fn of(json: &[u8]) -> Result<Self> {
        let (live, device) = (Reply::<Live>::parse(json)?, Reply::<Device>::parse(json)?);
        let salt = Reply::<Salt>::parse(json)?.contents()?.salt;
        Ok(Self { live: live.contents()?, device: device.contents()?, salt })
    }

    /// Whether this is how a Whatsminer with API v3 describes itself.
    pub fn is_v3(&self) -> bool {
        let system = self.device.system.as_ref();
        let api = system.is_some_and(|s| text(s.api.as_ref()).is_ok_and(|api| api.starts_with('3')));
        let named = self.device.miner.as_ref().is_some_and(|m| text(m.model.as_ref()).is_ok());
        api || (named && system.is_some_and(|s| text(s.firmware.as_ref()).is_ok()))
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        let address = self.device.network.as_ref().and_then(|n| mac(n.mac.as_ref()).ok());
        let serial = self.device.miner.as_ref().and_then(|m| text(m.serial.as_ref()).ok());
        Identity::new(address, serial)
    }

    /// The salt that tokens are made with; asked for alone where the device does not tell it beside the rest.
    ///
    /// # Errors
    /// Those of a read.
    pub async fn salt(&self, cx: &Ctx, at: SocketAddr) -> Result<Text> {
        if let Ok(salt) = text(self.salt.as_ref()) {
            return Ok(salt);
        }
        let told: Salt = contents(cx, at, ask::SALT, &mut Vec::new()).await?;
        text(told.salt.as_ref()).map_err(|_| {
            let lacks = "the device tells no salt, without which no command can be proven";
            Error::new(ErrorKind::BadReply, READ, lacks).with("address", at)
        })
    }

    /// Whether the device's own switch of its write API is off.
    pub fn writes_are_off(&self) -> bool {
        let switch = self.device.system.as_ref().and_then(|s| text(s.api_switch.as_ref()).ok());
        switch.as_deref() == Some("0")
    }

    /// The power mode, with `Sleep` for a device that was ordered not to mine.
    pub fn mode(&self) -> Reading<PowerMode> {
        match self.live.off() {
            Some(true) => Ok(PowerMode::Sleep),
            _ => map::mode(&self.live),
        }
    }
}

fn stranger(at: SocketAddr) -> Error {
    let text = "what answers there is no Whatsminer with API v3: nothing was sent to it";
    Error::new(ErrorKind::BadReply, READ, text).with("address", at)
}

/// How what `name` changes is now.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a command without a row; else those of a read.
pub(super) async fn observe(cx: &Ctx, at: SocketAddr, name: CommandName) -> Result<Observed> {
    if super::rows::find(name).is_none() {
        return Err(Error::unsupported("whatsminer.v3.observe", name.as_str()));
    }
    let look = Look::at(cx, at).await?;
    let identity = look.identity();
    match name {
        CommandName::Reboot | CommandName::RestartMinerSoftware => {
            let up = up(cx, at, &look).await?;
            Ok(Observed::new(identity, None).up_for(cx, up))
        }
        CommandName::SetPowerLimit => {
            let watts = summary(cx, at).await.map(|s| limit(s.power_limit).ok())?;
            Ok(Observed::new(identity, watts.map(Command::SetPowerLimit)))
        }
        CommandName::SetupPools => {
            let list = pools(cx, at).await?;
            let version = version(&list);
            let setup =
                |p: Pool| PoolSetup::new(p.url.unwrap_or_default(), p.account.unwrap_or_default(), "");
            let now = Command::SetupPools(list.into_iter().map(setup).collect());
            Ok(Observed::new(identity, Some(now)).version(version))
        }
        CommandName::SetLed => Ok(Observed::new(identity, map::led(&look.live).ok().map(Command::SetLed))),
        _ => Ok(Observed::new(identity, look.mode().ok().map(Command::SetPowerMode))),
    }
}

async fn summary(cx: &Ctx, at: SocketAddr) -> Result<Summary> {
    let of: OfSummary = contents(cx, at, ask::SUMMARY, &mut Vec::new()).await?;
    of.summary.ok_or_else(|| lacks("summary", at))
}

/// For how long it mines: the only time that the device tells and whose meaning is known. A machine that does not
/// mine has none.
async fn up(cx: &Ctx, at: SocketAddr, look: &Look) -> Result<Option<Duration>> {
    if look.live.off() != Some(false) {
        return Ok(None);
    }
    let elapsed = millis(summary(cx, at).await?.elapsed).ok();
    Ok(elapsed.map(Duration::from_millis))
}

/// The pools in the order of their priority.
///
/// # Errors
/// Those of a read; a device that is still starting has no list.
pub(super) async fn pools(cx: &Ctx, at: SocketAddr) -> Result<Vec<Pool>> {
    let of: OfPools = contents(cx, at, ask::POOLS, &mut Vec::new()).await?;
    of.pools.map(in_order).ok_or_else(|| lacks("pools", at))
}

/// Fingerprint of a list of pools.
pub(super) fn version(pools: &[Pool]) -> u64 {
    let text = |x: &Option<Text>| x.clone().unwrap_or_default();
    pools.iter().fold(Stamp::default(), |stamp, p| stamp.add(&text(&p.url)).add(&text(&p.account))).get()
}

fn lacks(section: &'static str, at: SocketAddr) -> Error {
    let text = "the reply lacks the section that was asked for: the device may still be starting";
    Error::new(ErrorKind::BadReply, READ, text).with("section", section).with("address", at)
}
