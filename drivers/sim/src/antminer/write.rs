//! The CGIs that change something.

use serde_json::{Value, json};

use super::{
    Antminer, BlinkRule, bmu,
    conf::{self, Conf, LOW, NORMAL, SLEEP},
    http::{Reply, Request},
    network::{self, Network},
    upload,
    web::Answer,
};
use crate::{
    conn,
    device::DeviceCore,
    physics::{FanControl, Led, Physics, PowerMode},
};

/// Seconds in which a reply can still leave before the device goes down.
const LAST_WORDS_S: f64 = 0.5;

/// CGIs that change something.
pub(super) const WRITES: [&str; 7] =
    ["set_miner_conf", "blink", "reboot", "set_network_conf", "passwd", "reset_conf", "upgrade"];

/// The device's own words for how a write went.
fn outcome(good: bool, code: &str, message: &str) -> Reply {
    let stats = if good { "success" } else { "error" };
    Reply::json(json!({"stats": stats, "code": code, "msg": message}).to_string().into_bytes())
}

impl Antminer {
    /// Carries out the write of this name; `None` when it is none.
    pub(super) fn write(&self, core: &DeviceCore, name: &str, request: &Request) -> Option<Answer> {
        if !WRITES.contains(&name) {
            return None;
        }
        if request.method != "POST" && name != "reboot" {
            return Some(Reply::status(405).into());
        }
        let answer = match name {
            "set_miner_conf" => self.set_miner_conf(core, &request.body),
            "blink" => self.blink(core, &request.body),
            "reboot" => self.reboot(core),
            "set_network_conf" => self.set_network_conf(core, &request.body),
            "passwd" => self.passwd(core, &request.body),
            "reset_conf" => self.reset_conf(core),
            _ => self.upgrade(core, request),
        };
        Some(if conn::is_mute(core, name) { Answer::Nothing } else { answer })
    }

    /// Whether a valid write is carried out; it is counted then.
    fn carries_out(&self, core: &DeviceCore, name: &str) -> bool {
        let really = !conn::ignores_writes(core, name);
        if really {
            core.executed(name);
        }
        really
    }

    fn set_miner_conf(&self, core: &DeviceCore, body: &[u8]) -> Answer {
        let rules = conf::Rules {
            rule: self.options.conf_rule,
            form: self.options.mode_form,
            low: self.options.low_mode,
            tells_freq: self.options.tells_freq,
        };
        let mut stored = self.lock().conf.clone();
        stored.pools = core.act(|physics, _| physics.pools().to_vec());
        let next = match stored.changed(body, rules) {
            Ok(next) => next,
            Err(conf::Refused(code, message)) => return outcome(false, code, message).into(),
        };
        if self.carries_out(core, "set_miner_conf") {
            self.store(core, next);
        }
        if self.options.conf_answered { outcome(true, "M000", "OK!").into() } else { Answer::Nothing }
    }

    /// Writes the configuration file and restarts the mining software with it.
    fn store(&self, core: &DeviceCore, conf: Conf) {
        let restart = self.options.restart.as_secs_f64();
        let nominal = self.options.model.sheet.frequency_mhz;
        core.act(|physics, now| apply(physics, now, &conf, nominal, restart));
        let mut state = self.lock();
        state.restarts_until = core.now() + restart;
        state.conf = conf;
    }

    fn blink(&self, core: &DeviceCore, body: &[u8]) -> Answer {
        let body: Option<Value> = serde_json::from_slice(body).ok();
        let wanted = body.as_ref().and_then(|b| b.get("blink")).and_then(|v| self.blink_value(v));
        let Some(wanted) = wanted else { return outcome(false, "B001", "Invalid data!").into() };
        if let Some(on) = wanted
            && self.carries_out(core, "blink")
        {
            core.act(|physics, _| physics.led = if on { Led::Locate } else { Led::Auto });
        }
        let code = if wanted == Some(false) { "B100" } else { "B000" };
        outcome(true, code, "OK!").into()
    }

    /// What a value means here: outside `None` it is refused, inside `None` it changes nothing.
    fn blink_value(&self, value: &Value) -> Option<Option<bool>> {
        match (self.options.blink_rule, value) {
            (BlinkRule::TextOnly, Value::Bool(_)) => Some(None),
            (_, Value::Bool(on)) => Some(Some(*on)),
            (BlinkRule::Truthy, Value::String(text)) => Some(Some(!text.is_empty())),
            (_, Value::String(text)) => text.parse().ok().map(Some),
            _ => None,
        }
    }

    fn reboot(&self, core: &DeviceCore) -> Answer {
        if !self.carries_out(core, "reboot") {
            return outcome(true, "R000", "OK!").into();
        }
        // The device goes down before it could answer.
        core.act(|physics, now| physics.reboot(now, physics.boot_s()));
        self.lock().restarts_until = f64::NEG_INFINITY;
        Answer::Nothing
    }

    fn set_network_conf(&self, core: &DeviceCore, body: &[u8]) -> Answer {
        let Some((network, hostname)) = Network::parse(body) else {
            return outcome(false, "N001", "Invalid network!").into();
        };
        if self.carries_out(core, "set_network_conf") {
            core.act(|physics, _| physics.hostname = hostname);
            let target = network.address.parse().ok().filter(|_| network.fixed && self.options.network_moves);
            self.lock().network = network;
            if let Some(target) = target.filter(|ip| *ip != core.ip()) {
                core.move_to(target);
            }
        }
        if self.options.network_answered { outcome(true, "N000", "OK!").into() } else { Answer::Nothing }
    }

    fn passwd(&self, core: &DeviceCore, body: &[u8]) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let (Some(current), Some(new), Some(again)) = (text("curPwd"), text("newPwd"), text("confirmPwd"))
        else {
            return outcome(false, "P003", "Invalid data!").into();
        };
        if current != self.lock().password {
            return outcome(false, "P001", "Current password is wrong!").into();
        }
        if new != again || new.is_empty() {
            return outcome(false, "P002", "New passwords do not match!").into();
        }
        if self.carries_out(core, "passwd") {
            self.lock().password = new.to_owned();
        }
        outcome(true, "P000", "OK!").into()
    }

    fn reset_conf(&self, core: &DeviceCore) -> Answer {
        if self.carries_out(core, "reset_conf") {
            self.store(core, Conf::new(self.options.model.sheet.frequency_mhz, Vec::new()));
            core.act(|physics, _| physics.hostname = network::HOSTNAME.to_owned());
            let mut state = self.lock();
            state.network = Network::default();
            state.user.clone_from(&self.options.user);
            state.password.clone_from(&self.options.password);
        }
        outcome(true, "R000", "OK!").into()
    }

    fn upgrade(&self, core: &DeviceCore, request: &Request) -> Answer {
        let content_type = request.header("content-type").unwrap_or_default();
        let image = upload::part(content_type, &request.body, "firmware").filter(|i| !i.is_empty());
        let Some(image) = image else { return outcome(false, "U001", "Invalid firmware!").into() };
        if self.options.checks_image
            && !bmu::fits(image, self.options.model.sheet.name, &self.options.model.subtype())
        {
            return outcome(false, "U001", "Invalid firmware!").into();
        }
        if self.carries_out(core, "upgrade") {
            {
                let mut state = self.lock();
                state.firmware_bytes = image.len();
                state.built.clone_from(&self.options.upgraded);
                state.restarts_until = f64::NEG_INFINITY;
            }
            core.act(|physics, now| physics.reboot(now + LAST_WORDS_S, physics.boot_s()));
        }
        outcome(true, "U000", "OK!").into()
    }
}

fn apply(physics: &mut Physics, now: f64, conf: &Conf, nominal_mhz: f64, restart: f64) {
    physics.set_pools(now, conf.pools.clone());
    physics.fan_control =
        if conf.fan_ctrl { FanControl::Percent(f64::from(conf.fan_pwm)) } else { FanControl::Auto };
    let share = conf.freq.parse::<f64>().map_or(1.0, |mhz| mhz / nominal_mhz);
    physics.set_frequency_percent(now, f64::from(conf.freq_level) * share - 100.0);
    match conf.mode {
        SLEEP => physics.sleep(now),
        mode => {
            let power = if mode == LOW { PowerMode::Low } else { PowerMode::Normal };
            physics.set_mode(now, power);
            physics.wake(now);
        }
    }
    debug_assert!(matches!(conf.mode, NORMAL | SLEEP | LOW));
    // Nothing hashes until the software is back.
    physics.restart_mining(now + restart);
}
