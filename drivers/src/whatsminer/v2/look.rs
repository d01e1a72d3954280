//! What a unit says of what a command changes, read anew.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use headframe_core::{
    Error, ErrorKind, Result,
    driver::{Identity, Observed},
    io::Ctx,
    model::{Command, CommandName, FirmwareImage, NetworkSetup, PoolSetup, PowerMode, Text},
};

use super::{
    ask, map,
    reply::{Info, Pool, Status, Summary, Version},
    wire::{Ask, Failure, Got, Replies},
};
use crate::whatsminer::{
    state::Signs,
    value::{limit, mac, millis, text},
};

const OP: &str = "whatsminer.observe";
/// A machine that has no pools and is up for less than this may not have read its settings yet.
const BOOTED: Duration = Duration::from_secs(180);

/// One look.
#[derive(Debug)]
pub(super) struct Look {
    /// Where.
    pub at: SocketAddr,
    /// Who answered.
    pub identity: Identity,
    replies: Replies,
}

/// What must be known for a command, beside who the unit is.
const fn needed(name: CommandName) -> &'static [Ask] {
    match name {
        CommandName::Reboot | CommandName::RestartMinerSoftware | CommandName::SetFastBoot => &[Ask::Summary],
        CommandName::SuspendMining
        | CommandName::ResumeMining
        | CommandName::SetPowerMode
        | CommandName::SetPowerLimit
        | CommandName::SetPowerPct => &[Ask::Summary, Ask::Status],
        CommandName::SetUpfreqSpeed => &[Ask::Summary, Ask::Info],
        CommandName::SetupPools => &[Ask::Pools],
        CommandName::SetLed | CommandName::SetHostname | CommandName::SetNetworkInformation => &[Ask::Info],
        CommandName::UpdateFirmware => &[Ask::Summary, Ask::Version],
        _ => &[],
    }
}

fn got<T>(got: Option<&Got<T>>) -> Option<&T> {
    got.and_then(|got| got.as_ref().ok())
}

impl Look {
    /// Reads who the unit at `at` is, and what `name` needs, over connections of its own, at most three.
    ///
    /// # Errors
    /// Those of the connections, and [`BadReply`](ErrorKind::BadReply).
    pub async fn take(cx: &Ctx, at: SocketAddr, name: Option<CommandName>) -> Result<Self> {
        let needed = name.map_or(&[][..], needed);
        let mut asks = vec![Ask::Info, Ask::Summary];
        asks.extend(needed.iter().filter(|ask| !matches!(ask, Ask::Info | Ask::Summary)));
        let mut replies = Replies::default();
        let mut failed = ask::singles_into(&ask::portion(cx, 1, 1), at, &asks, &mut replies).await;
        let identity = identity(got(replies.info.as_ref()), got(replies.summary.as_ref()));
        // What the firmware does not have is not known, which is no failure.
        let unread = |f: Option<Failure>| matches!(f, Some(Failure::Silent | Failure::Garbled));
        let open = needed.iter().find(|ask| unread(replies.failure(**ask)));
        if identity.is_empty() || open.is_some() {
            let text = "the device does not say what must be known before the command";
            let e = failed.take().unwrap_or_else(|| Error::new(ErrorKind::BadReply, OP, text));
            let ask = open.copied().unwrap_or(Ask::Info);
            return Err(e.with("command", ask.name()).with("address", at));
        }
        Ok(Self { at, identity, replies })
    }

    /// What `replies` show.
    #[cfg(test)]
    pub fn of(replies: Replies) -> Self {
        let identity = identity(got(replies.info.as_ref()), got(replies.summary.as_ref()));
        Self { at: SocketAddr::from(([10, 9, 0, 7], 4028)), identity, replies }
    }

    fn summary(&self) -> Option<&Summary> {
        got(self.replies.summary.as_ref())
    }

    fn status(&self) -> Option<&Status> {
        got(self.replies.status.as_ref())
    }

    fn info(&self) -> Option<&Info> {
        got(self.replies.info.as_ref())
    }

    fn version(&self) -> Option<&Version> {
        got(self.replies.version.as_ref())
    }

    /// Whether it was told not to mine.
    pub fn asleep(&self) -> Option<bool> {
        let summary = self.summary();
        let signs = Signs {
            off: self.status().and_then(|s| s.mineroff.or(s.btmineroff)),
            now: summary.and_then(|s| s.hs_rt.or(s.mhs_5s).or(s.mhs_1m)),
            average: summary.and_then(|s| s.mhs_av),
            ..Signs::default()
        };
        signs.suspended()
    }

    /// The mode in which it mines, or mines again once it is told to.
    pub fn mode(&self) -> Option<PowerMode> {
        let own = self.summary().and_then(|s| map::mode(s.power_mode.as_ref()).ok());
        own.or_else(|| self.status().and_then(|s| map::mode(s.power_mode.as_ref()).ok()))
    }

    /// Whether it is to start without tuning.
    pub fn fast_boot(&self) -> Option<bool> {
        let word = text(self.summary()?.fast_boot.as_ref()).ok()?.to_ascii_lowercase();
        match word.as_str() {
            "enable" | "enabled" | "true" | "1" => Some(true),
            "disable" | "disabled" | "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// Its host name.
    pub fn hostname(&self) -> Option<Text> {
        text(self.info()?.hostname.as_ref()).ok()
    }

    /// Its control board, such as `h616`.
    pub fn platform(&self) -> Option<String> {
        text(self.version()?.platform.as_ref()).ok().map(|p| p.to_ascii_lowercase())
    }

    fn pools(&self) -> Option<&[Pool]> {
        got(self.replies.pools.as_ref()).map(Vec::as_slice)
    }

    /// Whether it has begun so lately that an empty list of pools may only not have been read yet.
    pub fn is_half_booted(&self) -> bool {
        let up = self.summary().and_then(|s| millis(s.uptime).ok()).map(Duration::from_millis);
        self.pools().is_some_and(<[Pool]>::is_empty) && up.is_some_and(|up| up < BOOTED)
    }

    /// Fingerprint of the section that `name` rewrites whole.
    pub fn section(&self, name: CommandName) -> Option<u64> {
        if name != CommandName::SetupPools {
            return None;
        }
        let texts = self.pools()?.iter().flat_map(|pool| [pool.url.as_deref(), pool.user.as_deref()]);
        Some(fingerprint(texts.map(Option::unwrap_or_default)))
    }

    /// The state that `name` changes, as the command that would bring it about.
    pub fn now(&self, name: CommandName) -> Option<Command> {
        match name {
            CommandName::SuspendMining | CommandName::ResumeMining | CommandName::SetPowerMode => {
                let mode = if self.asleep()? { PowerMode::Sleep } else { self.mode()? };
                Some(Command::SetPowerMode(mode))
            }
            CommandName::SetPowerLimit => {
                let set = self.status().and_then(|s| limit(s.power_limit).ok());
                set.or_else(|| limit(self.summary()?.power_limit).ok()).map(Command::SetPowerLimit)
            }
            CommandName::SetPowerPct => percent(self.status()?.hash_percent?).map(Command::SetPowerPct),
            CommandName::SetUpfreqSpeed => {
                self.info()?.upfreq_speed?.try_into().ok().map(Command::SetUpfreqSpeed)
            }
            CommandName::SetFastBoot => self.fast_boot().map(Command::SetFastBoot),
            CommandName::SetupPools => {
                let one = |pool: &Pool| {
                    let (url, user) = (pool.url.as_deref(), pool.user.as_deref());
                    PoolSetup::new(url.unwrap_or_default(), user.unwrap_or_default(), "")
                };
                self.pools().map(|pools| Command::SetupPools(pools.iter().map(one).collect()))
            }
            CommandName::SetLed => {
                text(self.info()?.ledstat.as_ref()).ok().map(|led| Command::SetLed(led != "auto"))
            }
            CommandName::SetHostname => self.hostname().map(|name| Command::SetHostname(name.into())),
            CommandName::SetNetworkInformation => network(self.info()?).map(Command::SetNetworkInformation),
            CommandName::UpdateFirmware => {
                let version = text(self.version()?.firmware.as_ref()).ok()?;
                let image = FirmwareImage { version: Some(version.into()), ..FirmwareImage::default() };
                Some(Command::UpdateFirmware(image))
            }
            _ => None,
        }
    }

    /// For how long that is up which `name` restarts.
    fn up(&self, name: CommandName) -> Option<Duration> {
        let summary = self.summary()?;
        let seconds = match name {
            CommandName::Reboot | CommandName::UpdateFirmware => summary.uptime,
            CommandName::RestartMinerSoftware => summary.elapsed,
            _ => None,
        };
        millis(seconds).ok().map(Duration::from_millis)
    }

    /// All of it, as the core wants it.
    pub fn observed(&self, cx: &Ctx, name: CommandName) -> Observed {
        let out = Observed::new(self.identity.clone(), self.now(name)).up_for(cx, self.up(name));
        match self.section(name) {
            Some(version) => out.version(version),
            None => out,
        }
    }
}

fn identity(info: Option<&Info>, summary: Option<&Summary>) -> Identity {
    let own = info.and_then(|i| mac(i.mac.as_ref()).ok());
    let own = own.or_else(|| summary.and_then(|s| mac(s.mac.as_ref()).ok()));
    Identity::new(own, info.and_then(|i| text(i.serial.as_ref()).ok()))
}

/// 0 says that no percentage is set, which is the whole power.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within 0 and 1000")]
fn percent(x: f64) -> Option<u16> {
    match x {
        0.0 => Some(100),
        x if (0.5..=1000.0).contains(&x) => Some(x.round() as u16),
        _ => None,
    }
}

fn network(info: &Info) -> Option<NetworkSetup> {
    let of = |x: Option<&_>| text(x).ok();
    if of(info.proto.as_ref())?.eq_ignore_ascii_case("dhcp") {
        return Some(NetworkSetup::Dhcp);
    }
    let address = |x: Option<&_>| of(x)?.parse::<Ipv4Addr>().ok();
    let dns = of(info.dns.as_ref()).unwrap_or_default();
    Some(NetworkSetup::Static {
        ip_address: address(info.ip.as_ref())?,
        ip_netmask: address(info.netmask.as_ref())?,
        ip_gw: address(info.gateway.as_ref())?,
        dns: dns.split_whitespace().filter_map(|d| d.parse().ok()).collect(),
    })
}

/// FNV-1a, which stays the same in every release: it is kept in journals.
fn fingerprint<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = texts.flat_map(|text| text.bytes().chain([0]));
    bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_of_0_is_none() {
        for (told, want) in [(0.0, Some(100)), (90.0, Some(90)), (-1.0, None), (0.2, None), (1e9, None)] {
            assert_eq!(percent(told), want, "{told}");
        }
    }

    #[test]
    fn fingerprints_tell_lists_apart() {
        let of = |texts: &[&str]| fingerprint(texts.iter().copied());
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert!(of(&["a", "b"]) != of(&["ab"]) && of(&[]) != of(&[""]) && of(&["a", ""]) != of(&["", "a"]));
    }
}
