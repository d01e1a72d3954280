#![doc = include_str!("docs.md")]

mod ask;
mod auth;
mod boards;
mod codes;
mod config;
mod facts;
mod look;
mod map;
mod refusal;
mod reply;
pub(super) mod rows;
mod wire;
mod writes;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex as Lock, PoisonError},
};

use async_trait::async_trait;
pub use config::{PORT, V3Opts};
use headframe_core::{
    Error, ErrorKind, Result, Secret,
    driver::{Aged, Observed, Permit, Thing},
    io::Ctx,
    model::{Capability, Command, CommandName, Receipt, Snapshot, ThingConf},
};
use tokio::sync::Mutex;

use self::{facts::Slow, look::Look, reply::Device, wire::Reply, writes::Write};
use super::WhatsminerConf;

/// The question that a unit with API v3 answers without credentials.
pub(super) const DEVICE_INFO: &str = wire::ask::INFO;

/// Commands that firmwares have and whose parameters no source writes down.
pub(super) const UNDESCRIBED: &[&str] = &[
    "set.system.factory_reset",
    "set.system.update_firmware",
    "set.system.net_config",
    "set.system.time_randomized",
    "set.system.timezone",
    "set.system.hostname",
    "set.system.webpools",
    "set.system.ntp_server",
    "set.miner.target_freq",
    "set.miner.heat_mode",
    "set.miner.cointype",
    "set.miner.fastboot",
    "set.miner.power_percent",
    "set.miner.pre_power_on",
    "set.miner.restore_setting",
    "set.miner.upfreq_speed",
    "set.log.upload",
    "set.user.change_passwd",
    "set.user.permission",
    "set.fan.temp_offset",
    "set.fan.poweroff_cool",
    "set.fan.zero_speed",
    "set.shell.debug",
];

/// Who answered the question [`DEVICE_INFO`] of a scan: model and firmware; `None` when it is no Whatsminer with API
/// v3.
pub(super) fn recognise(reply: &[u8]) -> Option<(Option<String>, Option<String>)> {
    let look = Look::of(reply).ok().filter(Look::is_v3)?;
    let model = look.device.miner.as_ref().and_then(|m| super::value::text(m.model.as_ref()).ok());
    let firmware = look.device.system.as_ref().and_then(|s| super::value::text(s.firmware.as_ref()).ok());
    Some((model.map(Into::into), firmware.map(Into::into)))
}

const SNAPSHOT: &str = "whatsminer.v3.snapshot";

/// A Whatsminer over API v3.
///
/// Polls wait for each other, and so do writes, but a write never waits for a poll: at most three connections are
/// open at a time, each for one request.
#[derive(Debug)]
pub struct V3 {
    host: String,
    port: u16,
    password: Secret,
    nominal: Option<f64>,
    at: Lock<Aged<SocketAddr>>,
    slow: Mutex<Slow>,
    writes: Mutex<()>,
}

impl V3 {
    /// For the device that `conf` and `opts` describe; `nominal` is its efficiency as sold, J/TH. Does not connect.
    pub fn new(conf: &WhatsminerConf, opts: &V3Opts, nominal: Option<f64>) -> Self {
        Self {
            host: conf.address.to_string(),
            port: opts.v3_port,
            password: opts.password(conf),
            nominal,
            at: Lock::new(Aged::empty()),
            slow: Mutex::new(Slow::new()),
            writes: Mutex::new(()),
        }
    }

    /// Reads the options of `conf`. Does not connect.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), naming the field.
    pub fn open(conf: &ThingConf) -> Result<Self> {
        let common = WhatsminerConf::read(conf)?;
        let nominal = common.nominal_efficiency(conf.thing_type.as_deref());
        Ok(Self::new(&common, &V3Opts::read(conf)?, nominal))
    }

    /// Whether a Whatsminer with API v3 answers at `at`: one `get.device.info`, without credentials.
    ///
    /// # Errors
    /// [`Unreachable`](ErrorKind::Unreachable) and [`Timeout`](ErrorKind::Timeout) when it cannot be told; a refused
    /// connection and an answer of another kind are a no.
    pub async fn probe(cx: &Ctx, at: SocketAddr) -> Result<bool> {
        match Look::at(cx, at).await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::BadReply || e.fact("refused") == Some("true") => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn address(&self) -> std::sync::MutexGuard<'_, Aged<SocketAddr>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn locate(&self, cx: &Ctx) -> Result<SocketAddr> {
        let now = cx.clock.mono();
        {
            let known = self.address();
            if let (false, Some(at)) = (known.due(now), known.get()) {
                return Ok(*at);
            }
        }
        let host = self.host.as_str();
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => {
                let found = cx.within("whatsminer.v3.resolve", cx.net.resolve(host)).await?;
                let none =
                    || Error::new(ErrorKind::Unreachable, "whatsminer.v3.resolve", "the name has no address");
                found.into_iter().next().ok_or_else(|| none().with("host", host))?
            }
        };
        let at = SocketAddr::new(ip, self.port);
        self.address().put(at, now);
        Ok(at)
    }

    async fn poll(&self, cx: &Ctx, slow: &mut Slow) -> Result<Snapshot> {
        let at = self.locate(cx).await?;
        let polled = ask::poll(cx, at).await.inspect_err(|_| self.address().expire())?;
        let read_at = cx.clock.mono();
        match &polled.live {
            Ok(live) => {
                let elapsed = polled.summary.as_ref().ok().and_then(|s| s.elapsed);
                if slow.due(live, elapsed, read_at) {
                    // The same JSON was just read once.
                    if let Ok(device) = Reply::<Device>::parse(&polled.info_json).and_then(Reply::contents) {
                        slow.take(&device, read_at);
                    }
                }
            }
            Err(failure) => slow.fail(failure.reason()),
        }
        let mut out = map::snapshot(&polled, &slow.facts, self.nominal);
        let now = cx.clock.mono();
        let ages = [("live", Some(now.since(read_at))), ("slow", slow.age(now))];
        for (group, age) in ages {
            if let Some(age) = age {
                out.age_ms.insert(group, u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            }
        }
        Ok(out.into())
    }
}

#[async_trait]
impl Thing for V3 {
    fn capability(&self) -> Arc<Capability> {
        rows::capability()
    }

    async fn snapshot(&self, cx: &Ctx) -> Result<Snapshot> {
        let wait = async { Ok(self.slow.lock().await) };
        let mut slow = cx.within(SNAPSHOT, wait).await?;
        self.poll(cx, &mut slow).await
    }

    async fn observe(&self, cx: &Ctx, name: CommandName) -> Result<Observed> {
        let at = self.locate(cx).await?;
        look::observe(cx, at, name).await
    }

    async fn execute(&self, cx: &Ctx, command: &Command, permit: &Permit) -> Result<Receipt> {
        let wait = async { Ok(self.writes.lock().await) };
        let _turn = cx.within(writes::OP, wait).await?;
        let at = self.locate(cx).await?;
        Write { at, password: &self.password, command, permit }.carry_out(cx).await
    }
}
