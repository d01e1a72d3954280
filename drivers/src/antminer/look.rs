//! Who a machine is and what a command would change, read over a connection of its own.

use std::time::Duration;

use headframe_core::{
    ErrorKind, Result,
    codec::{
        http::HttpClient,
        lenient::{objects_or_none, text_opt},
    },
    driver::{Identity, Observed},
    io::Ctx,
    model::{Command, CommandName, FirmwareImage},
};
use serde::Deserialize;

use super::{
    fetch::page,
    identity::mac,
    judge,
    network::Network,
    settings::Settings,
    wire::{Blink, Summary, SystemInfo},
};

pub(super) const CONF: &str = "/cgi-bin/get_miner_conf.cgi";
pub(super) const NETWORK: &str = "/cgi-bin/get_network_info.cgi";
pub(super) const BLINK: &str = "/cgi-bin/get_blink_status.cgi";
const SYSTEM: &str = "/cgi-bin/get_system_info.cgi";
const SUMMARY: &str = "/cgi-bin/summary.cgi";
/// Longest wait for the uptime.
const PATIENCE: Duration = Duration::from_secs(5);

/// The member that only one of two pages may have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Mac {
    #[serde(deserialize_with = "text_opt")]
    macaddr: Option<String>,
}

/// What `summary` tells of a start.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Start {
    #[serde(rename = "INFO")]
    info: Build,
    #[serde(rename = "SUMMARY", deserialize_with = "objects_or_none")]
    rows: Option<Vec<Summary>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Build {
    #[serde(rename = "CompileTime", deserialize_with = "text_opt")]
    built: Option<String>,
}

impl Start {
    /// Tells nothing where it cannot be read: that must not keep a machine that hangs from being restarted.
    pub async fn read(web: &HttpClient, cx: &Ctx) -> Self {
        let cx = &cx.deadline_in(PATIENCE);
        cx.within("antminer.uptime", page(web, cx, SUMMARY)).await.unwrap_or_default()
    }

    /// For how long the mining software runs; `None` while it sleeps or starts. The machine tells no other uptime.
    pub fn uptime(&self) -> Option<Duration> {
        self.rows.iter().flatten().next().and_then(|row| row.elapsed).map(Duration::from_secs)
    }
}

/// Who answers, and what it says of itself.
///
/// # Errors
/// When neither of the two pages that tell can be read.
pub(super) async fn who(web: &HttpClient, cx: &Ctx) -> Result<(Identity, SystemInfo)> {
    let system = page::<SystemInfo>(web, cx, SYSTEM).await;
    let (system, failed) = match system {
        Ok(system) => (system, None),
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::BadReply) => {
            (SystemInfo::default(), Some(e))
        }
        Err(e) => return Err(e),
    };
    let mut address = system.macaddr.as_deref().and_then(mac);
    if address.is_none() {
        match page::<Mac>(web, cx, NETWORK).await {
            Ok(network) => address = network.macaddr.as_deref().and_then(mac),
            Err(e) => return Err(failed.unwrap_or(e)),
        }
    }
    let serial = system.serinum.as_deref().map(str::trim).filter(|s| !s.is_empty()).map(Into::into);
    Ok((Identity::new(address, serial), system))
}

/// What the machine shows of what `name` changes.
pub(super) async fn observe(web: &HttpClient, cx: &Ctx, name: CommandName) -> Result<Observed> {
    let (identity, system) = who(web, cx).await?;
    let seen = |now| Observed::new(identity.clone(), now);
    Ok(match name {
        CommandName::SuspendMining
        | CommandName::ResumeMining
        | CommandName::SetPowerMode
        | CommandName::SetupPools
        | CommandName::SetFan
        | CommandName::SetFrequency => {
            let settings = Settings::of(page(web, cx, CONF).await?)?;
            seen(set(&settings, name)).version(settings.fingerprint())
        }
        CommandName::SetLed => {
            let blink: Blink = page(web, cx, BLINK).await?;
            seen(blink.blink.map(Command::SetLed))
        }
        CommandName::SetHostname => {
            let name = match system.hostname.filter(|name| !name.trim().is_empty()) {
                Some(name) => Some(name.trim().to_owned()),
                None => page::<Network>(web, cx, NETWORK).await?.hostname().map(str::to_owned),
            };
            seen(name.map(Command::SetHostname))
        }
        CommandName::SetNetworkInformation => {
            let network: Network = page(web, cx, NETWORK).await?;
            seen(network.now().map(Command::SetNetworkInformation))
        }
        CommandName::Reboot => seen(None).up_for(cx, Start::read(web, cx).await.uptime()),
        CommandName::UpdateFirmware => {
            let start = Start::read(web, cx).await;
            let mut image = FirmwareImage::default();
            image.version.clone_from(&start.info.built);
            let now = image.version.is_some().then_some(Command::UpdateFirmware(image));
            seen(now).up_for(cx, start.uptime())
        }
        _ => seen(None),
    })
}

/// A part of the configuration as the command that would bring it about.
fn set(settings: &Settings, name: CommandName) -> Option<Command> {
    match name {
        CommandName::SetupPools => Some(Command::SetupPools(settings.pools())),
        CommandName::SetFan => settings.fan().map(Command::SetFan),
        CommandName::SetFrequency => settings.clock().map(Command::SetFrequency),
        _ => settings.mode().and_then(judge::power_mode).map(Command::SetPowerMode),
    }
}
