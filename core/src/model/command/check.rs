//! What can be said of a command's arguments without knowing the device.

use super::{Command, FanControl, FirmwareImage, NetworkSetup, PoolSetup, Zone};
use crate::{Error, Result};

const OP: &str = "command.check";
/// RFC 1035: a label of a host name.
const HOSTNAME_MAX: usize = 63;
/// Bounds of texts that devices store; far above any that is used.
const TEXT_MAX: usize = 256;

impl Command {
    /// Refuses arguments that no device can take.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::SetPowerLimit(limit) => within("power_limit_w", limit.get(), 1.0, 1e6),
            Self::SetPowerPct(percent) => within("percent", f64::from(*percent), 1.0, 200.0),
            Self::SetFrequency(clock) => within("frequency_mhz", clock.get(), 1.0, 5_000.0),
            Self::SetTargetFreq(percent) => within("percent", f64::from(*percent), -100.0, 100.0),
            Self::SetUpfreqSpeed(speed) => within("upfreq_speed", f64::from(*speed), 0.0, 9.0),
            Self::SetTempOffset(offset) => within("temp_offset", f64::from(*offset), -30.0, 0.0),
            Self::SetFan(FanControl::Fixed(percent)) => within("percent", f64::from(*percent), 0.0, 100.0),
            Self::SetupPools(pools) => check_pools(pools),
            Self::SetHostname(name) => check_hostname(name),
            Self::SetZone(Zone { timezone, zonename }) => {
                text("timezone", timezone)?;
                text("zonename", zonename)
            }
            Self::SetNetworkInformation(network) => check_network(network),
            Self::UpdateAdminPassword(password) => text("password", password.expose()),
            Self::UpdateFirmware(image) => check_image(image),
            _ => Ok(()),
        }
    }
}

fn within(field: &'static str, value: f64, min: f64, max: f64) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(OP, field, format!("is {min} to {max}")).with("value", value))
}

fn text(field: &'static str, value: &str) -> Result<()> {
    let fit = !value.is_empty() && value.len() <= TEXT_MAX && !value.chars().any(char::is_control);
    if fit { Ok(()) } else { Err(Error::invalid(OP, field, "is empty, too long or has control characters")) }
}

fn check_pools(pools: &[PoolSetup]) -> Result<()> {
    if pools.is_empty() {
        return Err(Error::invalid(
            OP,
            "pools",
            "no pool is given: the device would have nothing to work for",
        ));
    }
    for pool in pools {
        text("url", &pool.url)?;
        text("username", &pool.username)?;
        if !pool.password.expose().is_empty() {
            text("password", pool.password.expose())?;
        }
        if pool.url.contains(char::is_whitespace) || pool.username.contains(char::is_whitespace) {
            return Err(Error::invalid(OP, "url", "a pool's URL and worker name have no blanks"));
        }
    }
    Ok(())
}

fn check_hostname(name: &str) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let ends = name.starts_with('-') || name.ends_with('-');
    if (1..=HOSTNAME_MAX).contains(&name.len()) && plain && !ends {
        return Ok(());
    }
    Err(Error::invalid(OP, "hostname", "is 1 to 63 letters, digits and inner hyphens"))
}

fn check_network(network: &NetworkSetup) -> Result<()> {
    let NetworkSetup::Static { ip_address, ip_netmask, ip_gw, .. } = network else { return Ok(()) };
    let mask = u32::from(*ip_netmask);
    let contiguous = mask.leading_ones() + mask.trailing_zeros() == u32::BITS;
    if !contiguous || !(8..=30).contains(&mask.leading_ones()) {
        return Err(Error::invalid(OP, "ip_netmask", "is no network mask of 8 to 30 bits"));
    }
    let (address, gateway) = (u32::from(*ip_address), u32::from(*ip_gw));
    let host = address & !mask;
    if host == 0 || host == !mask || ip_address.is_multicast() || ip_address.is_unspecified() {
        return Err(Error::invalid(OP, "ip_address", "is no address of a host in its network"));
    }
    // A device with a gateway outside its network cannot be reached again from another one.
    if address & mask != gateway & mask || address == gateway {
        return Err(Error::invalid(OP, "ip_gw", "is not another address of the same network"));
    }
    Ok(())
}

fn check_image(image: &FirmwareImage) -> Result<()> {
    text("name", &image.name)?;
    if image.sha256.len() != 64 || !image.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::invalid(OP, "sha256", "is 64 hexadecimal digits"));
    }
    if image.bytes.is_empty() {
        return Err(Error::invalid(OP, "bytes", "the image is empty: load the file before it is sent"));
    }
    Ok(())
}
