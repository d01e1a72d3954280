use serde_json::Value;

use super::{
    PoolsParam, Request,
    auth::{self, PARAM, Refusal, UNKNOWN},
};
use crate::{
    device::DeviceCore,
    physics::{Led, Pool, PowerMode},
    whatsminer::{Whatsminer, writes::REBOOT_DELAY_S},
};

/// The most pools that a device has.
const POOLS: usize = 3;
/// Seconds between two pushed reports.
const GAP_S: std::ops::RangeInclusive<u64> = 1..=86_400;

/// Writes of which nothing but the name is known: any parameter is refused.
const NAMES: [&str; 23] = [
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

/// A write whose parameter was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Reboot,
    /// The colours that blink; none for the firmware's own choice.
    Led(Vec<String>),
    Start,
    Stop,
    Restart,
    /// W
    PowerLimit(f64),
    Mode(PowerMode),
    Pools(Vec<Pool>),
    /// Seconds between pushed reports.
    Report(u64),
}

impl Whatsminer {
    /// Whether a write of this name exists at all.
    pub(super) fn has_v3_write(&self, name: &str) -> bool {
        match name {
            "set.miner.mode" => self.options.v3.mode,
            "set.system.reboot" | "set.system.led" | "set.miner.service" | "set.miner.power_limit" => true,
            "set.miner.pools" | "set.miner.report" => true,
            name => NAMES.contains(&name),
        }
    }

    /// What a permitted write says. `hash` is the one of its token.
    pub(super) fn order(
        &self,
        core: &DeviceCore,
        request: &Request,
        hash: &[u8; 32],
    ) -> Result<Order, Refusal> {
        let param = request.param.as_ref();
        let word = param.and_then(Value::as_str);
        match request.cmd.as_str() {
            "set.system.reboot" => param.is_none().then_some(Order::Reboot).ok_or(PARAM),
            "set.system.led" if word == Some("auto") => Ok(Order::Led(Vec::new())),
            "set.system.led" => param.and_then(colors).map(Order::Led).ok_or(PARAM),
            "set.miner.service" => match word {
                Some("start" | "enable") => Ok(Order::Start),
                Some("stop" | "disable") => Ok(Order::Stop),
                Some("restart") => Ok(Order::Restart),
                _ => Err(PARAM),
            },
            "set.miner.power_limit" => {
                let ordinary = core.identity().model.nominal_w.ceil();
                let watts = param.and_then(Value::as_f64).filter(|w| *w > 0.0).ok_or(PARAM)?;
                if watts > ordinary {
                    Err(Refusal(-1, "power limit too high"))
                } else {
                    Ok(Order::PowerLimit(watts))
                }
            }
            "set.miner.mode" if self.options.v3.mode => match word {
                Some("low") => Ok(Order::Mode(PowerMode::Low)),
                Some("normal") => Ok(Order::Mode(PowerMode::Normal)),
                Some("high") => Ok(Order::Mode(PowerMode::High)),
                _ => Err(PARAM),
            },
            "set.miner.pools" => self.pool_list(param, hash).map(Order::Pools),
            "set.miner.report" => {
                let gap = param.and_then(|p| p.get("gap")).and_then(Value::as_u64);
                gap.filter(|s| GAP_S.contains(s)).map(Order::Report).ok_or(PARAM)
            }
            name if self.has_v3_write(name) => Err(Refusal(-1, "unknown param")),
            _ => Err(UNKNOWN),
        }
    }

    fn pool_list(&self, param: Option<&Value>, hash: &[u8; 32]) -> Result<Vec<Pool>, Refusal> {
        let opened;
        let list = match param {
            Some(Value::String(data)) => {
                opened = auth::open(hash, data).ok_or(Refusal(-1, "param decrypt error"))?;
                opened.as_array()
            }
            Some(Value::Array(list)) if self.options.v3.pools == PoolsParam::Any => Some(list),
            _ => None,
        };
        let list = list.filter(|l| (1..=POOLS).contains(&l.len())).ok_or(Refusal(-1, "invalid pools"))?;
        let text = |entry: &Value, name: &str| entry.get(name)?.as_str().map(str::to_owned);
        let pool = |entry: &Value| {
            let url = text(entry, "pool").filter(|url| !url.is_empty())?;
            Some(Pool { url, user: text(entry, "worker")?, password: text(entry, "passwd")? })
        };
        list.iter().map(pool).collect::<Option<_>>().ok_or(Refusal(-1, "invalid pools"))
    }

    /// Carries out an order. Reports are pushed by whoever holds the connection.
    pub(super) fn obey(&self, core: &DeviceCore, order: &Order) {
        match order {
            Order::Reboot => core.act(|p, now| p.reboot(now + REBOOT_DELAY_S, p.boot_s())),
            Order::Led(colors) => {
                let led = if colors.is_empty() { Led::Auto } else { Led::Locate };
                self.set("led", if colors.is_empty() { "auto".into() } else { colors.join("+") });
                core.act(|p, _| p.led = led);
            }
            Order::Start => core.act(|p, now| p.wake(now)),
            Order::Stop => {
                if !core.observe().asleep {
                    self.state().off_since = Some(core.wall());
                }
                core.act(|p, now| p.sleep(now));
            }
            Order::Restart => core.act(|p, now| p.restart_mining(now)),
            Order::PowerLimit(watts) => {
                core.act(|p, now| p.set_limit(now, Some(*watts)));
                self.state().power_limit_set = Some(*watts);
            }
            Order::Mode(mode) => core.act(|p, now| p.set_mode(now, *mode)),
            Order::Pools(pools) => core.act(|p, now| p.set_pools(now, pools.clone())),
            Order::Report(gap) => self.set("report_gap", gap.to_string()),
        }
    }
}

/// The colours of `[{"color":"red","period":200,"duration":100,"start":0}]`.
fn colors(param: &Value) -> Option<Vec<String>> {
    let list = param.as_array().filter(|l| !l.is_empty() && l.len() <= 2)?;
    let color = |entry: &Value| {
        let times = ["period", "duration", "start"].map(|name| entry.get(name).and_then(Value::as_u64));
        let color = entry.get("color")?.as_str().filter(|c| matches!(*c, "red" | "green"))?;
        times.iter().all(Option::is_some).then(|| color.to_owned())
    };
    list.iter().map(color).collect()
}
