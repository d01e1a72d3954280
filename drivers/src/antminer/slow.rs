//! What is read every five minutes, and the side port.

use std::time::Duration;

use headframe_core::{
    ErrorKind, Result,
    codec::http::HttpClient,
    driver::Aged,
    io::{Ctx, Mono},
    model::{MissingReason, Path},
};
use serde::de::DeserializeOwned;

use super::{
    fetch::{self, page, reason},
    identity::Slow,
    legacy::Identity,
    rows::Found,
    wire::{self, Blink, MinerConf, MinerType, NetworkInfo, Read, SystemInfo},
};

/// One rarely read page.
#[derive(Debug)]
struct Group<T> {
    aged: Aged<T>,
    /// Why there is no value.
    why: MissingReason,
    /// Whether the last refresh read it.
    just_read: bool,
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self { aged: Aged::empty(), why: MissingReason::NoReply, just_read: false }
    }
}

impl<T: PartialEq + DeserializeOwned> Group<T> {
    fn get(&self) -> Read<&T> {
        self.aged.get().ok_or(self.why)
    }

    /// Reads it when it is due. Gives whether the value changed.
    async fn refresh(&mut self, web: &HttpClient, cx: &Ctx, path: &str) -> Result<bool> {
        let now = cx.clock.mono();
        self.just_read = false;
        if !self.aged.due(now) {
            return Ok(false);
        }
        // Counted as tried before the answer, so that a poll that is dropped meanwhile counts too.
        self.aged.failed(now);
        match page::<T>(web, cx, path).await {
            Ok(value) => {
                let changed = self.aged.get() != Some(&value);
                self.aged.put(value, now);
                self.just_read = true;
                Ok(changed)
            }
            Err(e) => {
                let changed = self.aged.get().is_none() && self.why != reason(&e);
                self.why = reason(&e);
                if gone(e.kind()) { Err(e) } else { Ok(changed) }
            }
        }
    }
}

/// Whether the machine does not answer at all, so that its other pages wait for another poll.
fn gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::Unauthenticated)
}

/// The rarely read pages.
#[derive(Debug, Default)]
pub(super) struct Pages {
    kind: Group<MinerType>,
    system: Group<SystemInfo>,
    network: Group<NetworkInfo>,
    conf: Group<MinerConf>,
    blink: Group<Blink>,
    /// From port 4028; boxed, because few machines need it.
    rpc: Option<Box<Identity>>,
    version: Aged<Box<Identity>>,
}

impl Pages {
    pub fn slow(&self) -> Slow<'_> {
        Slow {
            kind: self.kind.get(),
            system: self.system.get(),
            network: self.network.get(),
            conf: self.conf.get(),
            blink: self.blink.get(),
            rpc: self.rpc.as_deref(),
        }
    }

    /// Makes the configuration due: only it tells whether a machine without values sleeps.
    pub fn expire_conf(&mut self) {
        self.conf.aged.expire();
    }

    /// Makes everything due, after a write.
    pub fn expire(&mut self) {
        self.kind.aged.expire();
        self.system.aged.expire();
        self.network.aged.expire();
        self.conf.aged.expire();
        self.blink.aged.expire();
    }

    /// What commands depend on.
    pub fn found(&self) -> Found {
        let conf = self.conf.aged.get().filter(|conf| conf.is_whole());
        Found {
            conf: conf.is_some(),
            clock: conf.is_some_and(MinerConf::shows_clock),
            fan: conf.is_some_and(MinerConf::shows_fan),
            led: self.blink.aged.get().is_some_and(|blink| blink.blink.is_some()),
        }
    }

    /// The work mode of the configuration, if the last [`refresh`](Self::refresh) read it.
    pub fn mode_now(&self) -> Option<i64> {
        self.conf.aged.get().filter(|_| self.conf.just_read).and_then(MinerConf::mode)
    }

    /// Reads what is due over the web interface. Gives whether what the machine is may have changed.
    pub async fn refresh(&mut self, web: &HttpClient, cx: &Ctx) -> bool {
        let mut changed = false;
        // The configuration first: the state can hang on it.
        let _gone = self.try_all(web, cx, &mut changed).await;
        changed
    }

    async fn try_all(&mut self, web: &HttpClient, cx: &Ctx, changed: &mut bool) -> Result<()> {
        self.conf.refresh(web, cx, "/cgi-bin/get_miner_conf.cgi").await?;
        *changed |= self.kind.refresh(web, cx, "/cgi-bin/miner_type.cgi").await?;
        *changed |= self.system.refresh(web, cx, "/cgi-bin/get_system_info.cgi").await?;
        *changed |= self.network.refresh(web, cx, "/cgi-bin/get_network_info.cgi").await?;
        self.blink.refresh(web, cx, "/cgi-bin/get_blink_status.cgi").await?;
        Ok(())
    }

    /// Notes that the web interface does not serve us; values read before stay, and grow older.
    pub fn shut(&mut self, why: MissingReason) -> bool {
        let before = self.kind.why;
        for reason in [
            &mut self.kind.why,
            &mut self.system.why,
            &mut self.network.why,
            &mut self.conf.why,
            &mut self.blink.why,
        ] {
            *reason = why;
        }
        before != why
    }

    /// Keeps what port 4028 said of the machine. Gives whether that is new.
    pub fn told(&mut self, mut identity: Identity) -> bool {
        if let Some(version) = self.version.get() {
            identity.api.clone_from(&version.api);
        }
        let changed = self.rpc.as_deref() != Some(&identity);
        if changed {
            self.rpc = Some(Box::new(identity));
        }
        changed
    }

    /// Reads `version` of port 4028 when it is due.
    pub async fn refresh_version(&mut self, cx: &Ctx, at: std::net::SocketAddr) {
        let now = cx.clock.mono();
        if self.version.due(now) {
            self.version.failed(now);
            if let Ok(version) = fetch::version(cx, at).await {
                self.version.put(Box::new(version), now);
            }
        }
    }

    /// How old each group of values is.
    pub fn ages(&self, now: Mono) -> impl Iterator<Item = (Path, u64)> {
        let info = self.kind.aged.age(now).max(self.system.aged.age(now));
        let groups = [
            ("info", info),
            ("config.network_config", self.network.aged.age(now)),
            ("config.pool_config", self.conf.aged.age(now)),
            ("config.led_status", self.blink.aged.age(now)),
        ];
        groups.into_iter().filter_map(|(name, age)| Some((Path::from(name), millis(age?))))
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How long a side port that does not answer is left alone.
const SIDE_PAUSE: Duration = Duration::from_secs(600);
/// Longest wait for one of its answers: what it adds is not worth a whole poll.
const SIDE_WAIT: Duration = Duration::from_secs(3);

/// What is known of port 6060.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    /// It answered the last time, or was not tried yet; `failures` in a row since.
    Open { failures: u8 },
    /// It is left alone until then.
    Closed { until: Mono, why: MissingReason },
}

impl Default for Side {
    fn default() -> Self {
        Self::Open { failures: 0 }
    }
}

impl Side {
    /// Reads the code of `/warning`, and the power when nothing else tells it.
    pub async fn read(
        &mut self,
        client: &HttpClient,
        cx: &Ctx,
        power: bool,
    ) -> (Read<Option<String>>, Read<f64>) {
        let now = cx.clock.mono();
        if let Self::Closed { until, why } = *self
            && now < until
        {
            return (Err(why), Err(why));
        }
        let wait = cx.remaining().map_or(SIDE_WAIT, |left| (left / 4).min(SIDE_WAIT));
        let before = *self;
        // A poll that is dropped in the middle must not try again on every poll.
        *self = Self::Closed { until: now + SIDE_PAUSE, why: MissingReason::NoReply };
        let reply = client.get(&cx.deadline_in(wait), "/warning").await.and_then(|r| r.ok("antminer.side"));
        let warning = match reply {
            Ok(body) => wire::warning(&body),
            Err(e) => {
                let tries = matches!(before, Self::Open { failures: 0 }) && e.fact("refused").is_none();
                let why = if e.fact("refused").is_some() { MissingReason::NotReported } else { reason(&e) };
                *self = match e.kind() {
                    ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::BadReply if tries => {
                        Self::Open { failures: 1 }
                    }
                    _ => Self::Closed { until: now + SIDE_PAUSE, why },
                };
                return (Err(why), Err(why));
            }
        };
        if warning == Err(MissingReason::NotReported) {
            *self = Self::Closed { until: now + SIDE_PAUSE, why: MissingReason::NotReported };
            return (warning, Err(MissingReason::NotReported));
        }
        *self = Self::Open { failures: 0 };
        if !power {
            return (warning, Err(MissingReason::NotReported));
        }
        let reply = client.get(&cx.deadline_in(wait), "/miner_power").await;
        let body = reply.and_then(|r| r.ok("antminer.side")).map_err(|e| reason(&e));
        (warning, body.and_then(|b| wire::miner_power(&b)))
    }
}
