//! Commands with arguments that every simulated device accepts.

use headframe_core::{
    Secret,
    model::{
        Command, CommandName, FanControl, FirmwareImage, NetworkSetup, PoolSetup, PowerMode, Preheat, Zone,
    },
    units::{Megahertz, Watts},
};
use headframe_sim::Family;

/// The SHA-256 of [`IMAGE`].
const IMAGE_SHA256: &str = "20424164d2ecb40e072521d3a1bfa1178e56eb5274d823f38cd6f36d527819c8";
/// Small, so that every byte of its way can be tried.
const IMAGE: [u8; 600] = [0x5a; 600];

/// A command of this name that changes a device as it is delivered, or as [`Site::prepare`](super::Site::prepare)
/// made it.
pub fn sample(family: Family, name: CommandName) -> Result<Command, String> {
    use CommandName as N;
    let wrong = || format!("no argument for {name}");
    Ok(match name {
        // Whether an Antminer has the low mode, it shows only while it is in it.
        N::SetPowerMode if family == Family::Antminer => Command::SetPowerMode(PowerMode::Sleep),
        N::SetPowerMode => Command::SetPowerMode(PowerMode::Low),
        N::Reboot => Command::Reboot,
        N::RestartMinerSoftware => Command::RestartMinerSoftware,
        N::SuspendMining => Command::SuspendMining,
        N::ResumeMining => Command::ResumeMining,
        N::PrePowerOn => Command::PrePowerOn(Preheat::Begin),
        N::SetPowerLimit => Command::SetPowerLimit(Watts::new(3000.0).ok_or_else(wrong)?),
        N::SetPowerPct => Command::SetPowerPct(90),
        N::SetFrequency => Command::SetFrequency(Megahertz::new(480.0).ok_or_else(wrong)?),
        N::SetTargetFreq => Command::SetTargetFreq(-10),
        N::SetUpfreqSpeed => Command::SetUpfreqSpeed(5),
        N::SetFastBoot => Command::SetFastBoot(true),
        N::SetTempOffset => Command::SetTempOffset(-5),
        N::SetPowerOffCool => Command::SetPowerOffCool(true),
        N::SetFanZeroSpeed => Command::SetFanZeroSpeed(true),
        N::SetFan => Command::SetFan(FanControl::Fixed(70)),
        N::SetupPools => Command::SetupPools(vec![
            PoolSetup::new("stratum+tcp://new.example:3333", "site9.w1", "p00l-w0rd"),
            PoolSetup::new("stratum+tcp://spare.example:3333", "site9.w1", "p00l-w0rd"),
        ]),
        N::SetWebPools => Command::SetWebPools(false),
        N::SetLed => Command::SetLed(true),
        N::SetHostname => Command::SetHostname("rack-7-03".into()),
        N::SetZone => Command::SetZone(Zone { timezone: "CST-8".into(), zonename: "Asia/Shanghai".into() }),
        N::SetNetworkInformation => Command::SetNetworkInformation(NetworkSetup::Static {
            ip_address: [10, 7, 3, 9].into(),
            ip_netmask: [255, 255, 0, 0].into(),
            ip_gw: [10, 7, 250, 1].into(),
            dns: vec![[10, 7, 250, 2].into(), [1, 1, 1, 1].into()],
        }),
        N::UpdateAdminPassword => Command::UpdateAdminPassword(Secret::new("N3w_0ne")),
        N::FactoryReset => Command::FactoryReset,
        N::UpdateFirmware => {
            Command::UpdateFirmware(FirmwareImage::new("image.bin", IMAGE_SHA256, IMAGE.to_vec()))
        }
        N::DownloadLogs => Command::DownloadLogs,
        _ => return Err(wrong()),
    })
}
