//! What a write's outcome may claim, judged by what the devices know.

use std::collections::BTreeMap;

use headframe_core::{
    Error, Sent,
    model::{Command, FanControl, NetworkSetup, Outcome, OutcomeState, PoolSetup, PowerMode},
};
use headframe_sim::{self as sim, Device, Led, Truth};

use super::site::Site;

/// What the devices had done and were before a write.
#[derive(Debug)]
pub struct Before {
    executed: BTreeMap<String, u64>,
    others: Vec<BTreeMap<String, u64>>,
    truth: Truth,
}

impl Before {
    /// As the devices are now.
    pub fn of(site: &Site) -> Self {
        let others = site.others().iter().map(Device::executed).collect();
        Self { executed: site.device().executed(), others, truth: site.device().truth() }
    }

    /// What the device that is meant executed since, by the names on the wire.
    pub fn since(&self, site: &Site) -> BTreeMap<String, u64> {
        difference(&self.executed, site.device().executed())
    }
}

fn difference(before: &BTreeMap<String, u64>, mut now: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    now.retain(|name, count| {
        *count -= before.get(name).copied().unwrap_or(0);
        *count > 0
    });
    now
}

/// Judges a write after the device did all it got: executed once at most, by no other device, and told as it is.
pub fn judge(
    site: &Site,
    before: &Before,
    command: &Command,
    outcome: &Result<Outcome, Error>,
) -> Result<(), String> {
    let done = before.since(site);
    let told = || match outcome {
        Ok(outcome) => format!("{}: told {:?}, executed {done:?}", command.name(), outcome.state),
        Err(e) => format!("{}: told {e:?}, executed {done:?}", command.name()),
    };
    if done.values().any(|n| *n > 1) {
        return Err(format!("executed more than once: {}", told()));
    }
    for (other, had) in site.others().iter().zip(&before.others) {
        let landed = difference(had, other.executed());
        if !landed.is_empty() {
            return Err(format!("another device executed {landed:?}: {}", told()));
        }
    }
    match outcome {
        Err(e) if e.sent() == Sent::No && !done.is_empty() => {
            Err(format!("executed, and told as not sent: {}", told()))
        }
        Err(e) if e.message().is_empty() || e.code().is_empty() => Err(format!("untyped: {}", told())),
        Ok(o) if o.state == OutcomeState::Verified && !shows(site.device(), before, command, &done) => {
            Err(format!("told as verified, and not so: {}", told()))
        }
        Ok(o) if o.state == OutcomeState::Unchanged && !done.is_empty() => {
            Err(format!("executed, and told as unchanged: {}", told()))
        }
        _ => Ok(()),
    }
}

/// Whether the device is in truth as the command wants it.
fn shows(device: &Device, before: &Before, command: &Command, done: &BTreeMap<String, u64>) -> bool {
    let truth = device.truth();
    let near = |a: f64, b: f64| (a - b).abs() < 0.5;
    match command {
        Command::SetPowerMode(PowerMode::Sleep) | Command::SuspendMining => truth.asleep,
        Command::ResumeMining => !truth.asleep,
        Command::SetPowerMode(mode) => !truth.asleep && mode_of(*mode) == Some(truth.mode),
        Command::SetPowerLimit(w) => near(truth.power_limit_w, w.get()),
        Command::SetPowerPct(percent) => near(truth.percent, f64::from(*percent)),
        Command::SetFrequency(mhz) => near(truth.frequency_mhz, mhz.get()),
        Command::SetFan(FanControl::Fixed(percent)) => {
            truth.fan_control == sim::FanControl::Percent(f64::from(*percent))
        }
        Command::SetupPools(pools) => same_pools(pools, &truth.pools),
        Command::SetLed(on) => (truth.led == Led::Locate) == *on,
        Command::SetHostname(name) => truth.hostname == *name,
        Command::SetNetworkInformation(NetworkSetup::Static { ip_address, .. }) => device.ip() == *ip_address,
        Command::Reboot | Command::RestartMinerSoftware | Command::UpdateFirmware(_) => {
            truth.uptime_s < before.truth.uptime_s || truth.elapsed_s < before.truth.elapsed_s
        }
        _ => !done.is_empty(),
    }
}

fn same_pools(wanted: &[PoolSetup], are: &[sim::Pool]) -> bool {
    let used: Vec<_> = are.iter().filter(|pool| !pool.url.is_empty()).collect();
    used.len() == wanted.len()
        && wanted.iter().zip(used).all(|(want, is)| want.url == is.url && want.username == is.user)
}

const fn mode_of(mode: PowerMode) -> Option<sim::PowerMode> {
    match mode {
        PowerMode::Low => Some(sim::PowerMode::Low),
        PowerMode::Normal => Some(sim::PowerMode::Normal),
        PowerMode::High => Some(sim::PowerMode::High),
        _ => None,
    }
}
