use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::{Generation, Network, Whatsminer, default_settings, packet::Write};
use crate::{
    device::DeviceCore,
    physics::{Led, Pool, PowerMode},
};

/// Restores the ordinary power limit.
const LIMIT_DEFAULT_W: f64 = 99_999.0;
/// Pause between a reboot's order and its begin, in which the reply leaves.
pub(super) const REBOOT_DELAY_S: f64 = 0.5;
/// How long `pre_power_on` lets a client wait.
const WARM_UP_S: f64 = 20.0;

const WRITES: [&str; 29] = [
    "reboot",
    "restart_btminer",
    "power_off",
    "power_on",
    "pre_power_on",
    "set_low_power",
    "set_normal_power",
    "set_high_power",
    "adjust_power_limit",
    "set_power_pct",
    "set_power_pct_v2",
    "set_target_freq",
    "adjust_upfreq_speed",
    "enable_btminer_fast_boot",
    "disable_btminer_fast_boot",
    "set_temp_offset",
    "set_poweroff_cool",
    "set_fan_zero_speed",
    "update_pools",
    "set_led",
    "set_hostname",
    "set_zone",
    "net_config",
    "update_pwd",
    "enable_web_pools",
    "disable_web_pools",
    "factory_reset",
    "update_firmware",
    "upgrade_firmware",
];
/// What only API 2.0.5 has.
const LATE_WRITES: [&str; 4] =
    ["adjust_power_limit", "set_power_pct_v2", "adjust_upfreq_speed", "set_temp_offset"];

impl Whatsminer {
    /// Whether this firmware has a write of this name.
    pub(super) fn has_write(&self, name: &str) -> bool {
        self.generation() != Generation::V1
            && WRITES.contains(&name)
            && (self.options.api >= 5 || !LATE_WRITES.contains(&name))
    }

    /// Whether a write closes the connection without a reply.
    pub(super) fn is_silent(&self, write: &Write) -> bool {
        let restarts = matches!(
            write.command.as_str(),
            "reboot"
                | "restart_btminer"
                | "power_off"
                | "set_low_power"
                | "set_normal_power"
                | "set_high_power"
        );
        restarts && self.options.silent && !write.respond_before()
    }

    /// Checks the parameters: the message of the good reply, or why they are refused.
    pub(super) fn check(&self, core: &DeviceCore, write: &Write) -> Result<Value, &'static str> {
        let body = &write.body;
        let good = match write.command.as_str() {
            "pre_power_on" => return self.pre_power_on(core, body),
            "adjust_power_limit" => {
                let ordinary = core.identity().model.nominal_w;
                let fits = |w: f64| w == LIMIT_DEFAULT_W || (w > 0.0 && w <= ordinary.ceil());
                whole(body, "power_limit").is_some_and(fits)
            }
            "set_power_pct" => whole(body, "percent").is_some_and(|p| (0.0..=100.0).contains(&p)),
            "set_power_pct_v2" => whole(body, "percent").is_some_and(|p| p > 0.0 && p <= 200.0),
            "set_target_freq" => whole(body, "percent").is_some_and(|p| (-100.0..=100.0).contains(&p)),
            "adjust_upfreq_speed" => {
                let slow_boot = self.setting_is("btminer_fast_boot", "disable");
                slow_boot && either(body, "upfreq_speed").is_some_and(|s| (0.0..=9.0).contains(&s))
            }
            "set_temp_offset" => {
                body.get("temp_offset").and_then(Value::as_i64).is_some_and(|t| (-30..=0).contains(&t))
            }
            "set_poweroff_cool" => is_switch(body, "poweroff_cool"),
            "set_fan_zero_speed" => is_switch(body, "fan_zero_speed"),
            "update_pools" => {
                return match pools(body) {
                    Some(_) => ok(),
                    None => Err("API parse pools param error"),
                };
            }
            "set_led" => is_led(body),
            "set_hostname" => text(body, "hostname").is_some_and(|h| !h.is_empty()),
            "set_zone" => text(body, "timezone").is_some() && text(body, "zonename").is_some(),
            "net_config" => text(body, "param") == Some("dhcp") || network(body).is_some(),
            "update_pwd" => self.may_change_password(body),
            _ => true,
        };
        if good { ok() } else { Err("API command ERROR") }
    }

    /// Carries out a write whose parameters were checked.
    pub(super) fn apply(&self, core: &DeviceCore, write: &Write) {
        let body = &write.body;
        match write.command.as_str() {
            "reboot" => core.act(|p, now| p.reboot(now + REBOOT_DELAY_S, p.boot_s())),
            "restart_btminer" => core.act(|p, now| p.restart_mining(now)),
            "power_off" => {
                if !core.observe().asleep {
                    self.state().off_since = Some(core.wall());
                }
                core.act(|p, now| p.sleep(now));
            }
            "power_on" => {
                core.act(|p, now| p.wake(now));
                self.state().warming_since = None;
            }
            "set_low_power" => core.act(|p, now| p.set_mode(now, PowerMode::Low)),
            "set_normal_power" => core.act(|p, now| p.set_mode(now, PowerMode::Normal)),
            "set_high_power" => core.act(|p, now| p.set_mode(now, PowerMode::High)),
            "adjust_power_limit" => {
                let limit = whole(body, "power_limit").filter(|w| *w != LIMIT_DEFAULT_W);
                core.act(|p, now| p.set_limit(now, limit));
                self.state().power_limit_set = limit;
            }
            "set_power_pct" | "set_power_pct_v2" => {
                let percent = whole(body, "percent").unwrap_or(100.0);
                core.act(|p, now| p.set_percent(now, percent));
                self.state().percent = Some(percent);
            }
            "set_target_freq" => {
                let percent = whole(body, "percent").unwrap_or(0.0);
                core.act(|p, now| p.set_frequency_percent(now, percent));
                self.set("target_freq", format!("{percent:.0}"));
            }
            "update_pools" => {
                let pools = pools(body).unwrap_or_default();
                core.act(|p, now| p.set_pools(now, pools));
            }
            "set_led" => self.set_led(core, body),
            "set_hostname" => {
                let name = text(body, "hostname").unwrap_or_default().to_owned();
                core.act(|p, _| p.hostname = name);
            }
            "net_config" => self.set_network(core, body),
            "update_pwd" => {
                let mut state = self.state();
                state.password = text(body, "new").unwrap_or_default().to_owned();
                state.tokens.forget();
            }
            "factory_reset" => self.reset(core),
            _ => self.apply_setting(&write.command, body),
        }
    }

    fn apply_setting(&self, command: &str, body: &Map<String, Value>) {
        let number = |name| either(body, name).map_or(String::new(), |n| format!("{n:.0}"));
        match command {
            "enable_btminer_fast_boot" => self.set("btminer_fast_boot", "enable".into()),
            "disable_btminer_fast_boot" => self.set("btminer_fast_boot", "disable".into()),
            "enable_web_pools" => self.set("web_pools", "enable".into()),
            "disable_web_pools" => self.set("web_pools", "disable".into()),
            "adjust_upfreq_speed" => self.set("upfreq_speed", number("upfreq_speed")),
            "set_temp_offset" => self.set("temp_offset", number("temp_offset")),
            "set_poweroff_cool" => self.set("poweroff_cool", number("poweroff_cool")),
            "set_fan_zero_speed" => self.set("fan_zero_speed", number("fan_zero_speed")),
            "set_zone" => {
                self.set("timezone", text(body, "timezone").unwrap_or_default().to_owned());
                self.set("zonename", text(body, "zonename").unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }

    pub(super) fn set(&self, name: &'static str, value: String) {
        self.state().settings.insert(name, value);
    }

    fn setting_is(&self, name: &str, value: &str) -> bool {
        self.state().settings.get(name).is_some_and(|v| v == value)
    }

    fn set_led(&self, core: &DeviceCore, body: &Map<String, Value>) {
        let auto = text(body, "param") == Some("auto");
        let color = text(body, "color").unwrap_or("auto").to_owned();
        self.set("led", if auto { "auto".into() } else { color });
        core.act(|p, _| p.led = if auto { Led::Auto } else { Led::Locate });
    }

    fn set_network(&self, core: &DeviceCore, body: &Map<String, Value>) {
        let Some((ip, network, host)) = network(body) else {
            self.state().network = None;
            return;
        };
        self.state().network = Some(network);
        if !host.is_empty() {
            core.act(|p, _| p.hostname = host);
        }
        core.move_to(ip);
    }

    fn may_change_password(&self, body: &Map<String, Value>) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (Some(old), Some(new)) = (text(body, "old"), text(body, "new")) else { return false };
        old == self.state().password && (1..=8).contains(&new.len()) && new.chars().all(plain)
    }

    /// Warms up once; the answer says whether that is done.
    fn pre_power_on(&self, core: &DeviceCore, body: &Map<String, Value>) -> Result<Value, &'static str> {
        const MESSAGES: [&str; 3] = ["wait for adjust temp", "adjust complete", "adjust continue"];
        if text(body, "msg").is_some_and(|m| !MESSAGES.contains(&m)) {
            return Err("API command ERROR");
        }
        let now = core.now();
        let since = *self.state().warming_since.get_or_insert(now);
        let done = now - since >= WARM_UP_S;
        Ok(json!({
            "complete": if done { "true" } else { "false" },
            "msg": if done { MESSAGES[1] } else { MESSAGES[0] },
        }))
    }

    fn reset(&self, core: &DeviceCore) {
        {
            let mut state = self.state();
            state.password = "admin".into();
            state.write_enabled = false;
            state.tokens.forget();
            state.v3.change_password("super");
            state.network = None;
            state.power_limit_set = None;
            state.settings = default_settings();
        }
        core.act(|p, now| {
            p.hostname = "WhatsMiner".into();
            p.led = Led::Auto;
            p.set_pools(now, Vec::new());
            p.set_limit(now, None);
            p.set_frequency_percent(now, 0.0);
            p.set_mode(now, PowerMode::Normal);
        });
    }
}

fn ok() -> Result<Value, &'static str> {
    Ok("API command OK".into())
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}

/// A whole number written as text, the only form that most commands take.
fn whole(body: &Map<String, Value>, name: &str) -> Option<f64> {
    text(body, name)?.parse::<i32>().ok().map(f64::from)
}

/// A whole number as text or as number.
fn either(body: &Map<String, Value>, name: &str) -> Option<f64> {
    whole(body, name).or_else(|| body.get(name)?.as_i64().map(|n| n as f64))
}

fn is_switch(body: &Map<String, Value>, name: &str) -> bool {
    either(body, name).is_some_and(|n| n == 0.0 || n == 1.0)
}

fn is_led(body: &Map<String, Value>) -> bool {
    let blink = |name| body.get(name).and_then(Value::as_u64).is_some();
    text(body, "param") == Some("auto")
        || (matches!(text(body, "color"), Some("red" | "green"))
            && ["period", "duration", "start"].into_iter().all(blink))
}

/// The pools of `update_pools`: all nine parameters must be there, empty ones for unused slots.
fn pools(body: &Map<String, Value>) -> Option<Vec<Pool>> {
    let part = |name: &str, n: usize| text(body, &format!("{name}{n}")).map(str::to_owned);
    (1..=3)
        .map(|n| Some(Pool { url: part("pool", n)?, user: part("worker", n)?, password: part("passwd", n)? }))
        .collect()
}

fn network(body: &Map<String, Value>) -> Option<(IpAddr, Network, String)> {
    let get = |name| text(body, name).map(str::to_owned);
    let ip: std::net::Ipv4Addr = get("ip")?.parse().ok()?;
    let network = Network { mask: get("mask")?, gateway: get("gate")?, dns: get("dns")? };
    let valid = |a: &str| a.parse::<std::net::Ipv4Addr>().is_ok();
    let dns = network.dns.split(' ').filter(|d| !d.is_empty()).all(valid);
    (valid(&network.mask) && valid(&network.gateway) && dns).then_some((ip.into(), network, get("host")?))
}
