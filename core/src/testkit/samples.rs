//! Commands with arguments that devices accept.

#![allow(clippy::unwrap_used, reason = "every number here is one")]

use crate::{
    Secret,
    model::{
        Command, CommandName, FanControl, FirmwareImage, NetworkSetup, PoolSetup, PowerMode, Preheat, Zone,
    },
    units::{Megahertz, Watts},
};

/// A command of this name that changes a device as it is delivered.
pub fn sample(name: CommandName) -> Command {
    match name {
        CommandName::RestartMinerSoftware => Command::RestartMinerSoftware,
        CommandName::SuspendMining => Command::SuspendMining,
        CommandName::ResumeMining => Command::ResumeMining,
        CommandName::PrePowerOn => Command::PrePowerOn(Preheat::Begin),
        CommandName::SetPowerMode => Command::SetPowerMode(PowerMode::Low),
        CommandName::SetPowerLimit => Command::SetPowerLimit(Watts::new(3000.0).unwrap()),
        CommandName::SetPowerPct => Command::SetPowerPct(90),
        CommandName::SetFrequency => Command::SetFrequency(Megahertz::new(480.0).unwrap()),
        CommandName::SetTargetFreq => Command::SetTargetFreq(-10),
        CommandName::SetUpfreqSpeed => Command::SetUpfreqSpeed(5),
        CommandName::SetFastBoot => Command::SetFastBoot(true),
        CommandName::SetTempOffset => Command::SetTempOffset(-5),
        CommandName::SetPowerOffCool => Command::SetPowerOffCool(true),
        CommandName::SetFanZeroSpeed => Command::SetFanZeroSpeed(true),
        CommandName::SetFan => Command::SetFan(FanControl::Fixed(70)),
        CommandName::SetupPools => Command::SetupPools(vec![
            PoolSetup::new("stratum+tcp://new.example:3333", "site9.w1", "p00l-w0rd"),
            PoolSetup::new("stratum+tcp://spare.example:3333", "site9.w1", "p00l-w0rd"),
        ]),
        CommandName::SetWebPools => Command::SetWebPools(false),
        CommandName::SetLed => Command::SetLed(true),
        CommandName::SetHostname => Command::SetHostname("rack-7-03".into()),
        CommandName::SetZone => {
            Command::SetZone(Zone { timezone: "CST-8".into(), zonename: "Asia/Shanghai".into() })
        }
        CommandName::SetNetworkInformation => Command::SetNetworkInformation(NetworkSetup::Static {
            ip_address: [10, 7, 3, 9].into(),
            ip_netmask: [255, 255, 0, 0].into(),
            ip_gw: [10, 7, 250, 1].into(),
            dns: vec![[10, 7, 250, 2].into(), [1, 1, 1, 1].into()],
        }),
        CommandName::UpdateAdminPassword => Command::UpdateAdminPassword(Secret::new("N3w_0ne")),
        CommandName::FactoryReset => Command::FactoryReset,
        CommandName::UpdateFirmware => Command::UpdateFirmware(image()),
        CommandName::DownloadLogs => Command::DownloadLogs,
        CommandName::Reboot => Command::Reboot,
    }
}

/// 64 KiB of no particular content.
fn image() -> FirmwareImage {
    // SHA-256 of 65,536 bytes 0x5a.
    const SHA256: &str = "944044fe482bc4e91085c15c5a923a1b9e02eac98d3bce04997d6dbecd2a5b8d";
    FirmwareImage::new("image.bin", SHA256, vec![0x5a; 1 << 16])
}
