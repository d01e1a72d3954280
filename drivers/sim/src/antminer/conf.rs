//! The miner's configuration file: what `get_miner_conf` shows and `set_miner_conf` changes.

use serde_json::{Map, Value, json};

use super::options::{ConfRule, ModeForm};
use crate::Pool;

/// Slots of the browser's form.
const POOLS: usize = 3;

pub(super) const NORMAL: u8 = 0;
pub(super) const SLEEP: u8 = 1;
pub(super) const LOW: u8 = 3;

/// The stored configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conf {
    /// Always as many as the form has.
    pub pools: Vec<Pool>,
    pub fan_ctrl: bool,
    pub fan_pwm: u8,
    pub mode: u8,
    pub freq: String,
    pub voltage: String,
    pub freq_level: u32,
}

/// A refusal in the form `{"stats":"error","code":…,"msg":…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused(pub &'static str, pub &'static str);

const INVALID_POOL: Refused = Refused("M001", "Invalid pool!");
const INVALID_FORM: Refused = Refused("M002", "Invalid data!");

/// How this firmware takes a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub rule: ConfRule,
    pub form: ModeForm,
    pub low: bool,
    /// Whether the configuration has the chips' frequency and voltage.
    pub tells_freq: bool,
}

impl Conf {
    pub fn new(mhz: f64, pools: Vec<Pool>) -> Self {
        Self {
            pools: padded(pools),
            fan_ctrl: false,
            fan_pwm: 100,
            mode: NORMAL,
            freq: format!("{mhz:.0}"),
            voltage: "1380".to_owned(),
            freq_level: 100,
        }
    }

    /// The JSON of `get_miner_conf`.
    pub fn show(&self, form: ModeForm, tells_freq: bool, listens: bool) -> Vec<u8> {
        let pools: Vec<Value> =
            self.pools.iter().map(|p| json!({"url": p.url, "user": p.user, "pass": p.password})).collect();
        let mut out = json!({
            "pools": pools,
            "api-listen": listens,
            "api-network": listens,
            "api-groups": "A:stats:pools:devs:summary:version",
            "api-allow": "A:0/0,W:*",
            "bitmain-fan-ctrl": self.fan_ctrl,
            "bitmain-fan-pwm": self.fan_pwm.to_string(),
            "bitmain-use-vil": true,
            "bitmain-ccdelay": "0",
            "bitmain-pwth": "0",
            "bitmain-freq-level": self.freq_level.to_string(),
        });
        if tells_freq {
            out["bitmain-freq"] = json!(self.freq);
            out["bitmain-voltage"] = json!(self.voltage);
        }
        let (key, mode) = match form {
            ModeForm::Text | ModeForm::TextOnly => ("bitmain-work-mode", json!(self.mode.to_string())),
            ModeForm::Number => ("bitmain-work-mode", json!(self.mode)),
            ModeForm::MinerMode => ("miner-mode", json!(self.mode.to_string())),
        };
        out[key] = mode;
        out.to_string().into_bytes()
    }

    /// The configuration after a write with this body.
    pub fn changed(&self, body: &[u8], rules: Rules) -> Result<Self, Refused> {
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return Err(INVALID_FORM) };
        let mut next = match rules.rule {
            ConfRule::Full => {
                complete(&body)?;
                self.clone()
            }
            ConfRule::Partial => self.clone(),
            ConfRule::Wipes => Self { pools: padded(Vec::new()), ..Self::new(0.0, Vec::new()) }.keeping(self),
        };
        if let Some(pools) = body.get("pools") {
            next.pools = pools_of(pools, rules.rule)?;
        }
        if let Some(on) = body.get("bitmain-fan-ctrl") {
            next.fan_ctrl = on.as_bool().ok_or(INVALID_FORM)?;
        }
        // Only the right spelling counts: `bitmain-fan-pwn` is passed over, as on the device.
        if let Some(percent) = body.get("bitmain-fan-pwm") {
            let percent = number(percent).filter(|p| *p <= 100).ok_or(INVALID_FORM)?;
            next.fan_pwm = u8::try_from(percent).map_err(|_| INVALID_FORM)?;
        }
        if let Some(level) = body.get("freq-level") {
            next.freq_level = number(level).filter(|l| (1..=200).contains(l)).ok_or(INVALID_FORM)?;
        }
        for (key, place) in [("bitmain-freq", &mut next.freq), ("bitmain-voltage", &mut next.voltage)] {
            // A firmware that does not show them passes them over.
            if let Some(value) = body.get(key).filter(|_| rules.tells_freq) {
                *place = number(value).ok_or(INVALID_FORM)?.to_string();
            }
        }
        if let Some(mode) = body.get("miner-mode").or_else(|| body.get("bitmain-work-mode")) {
            next.take_mode(mode, rules)?;
        }
        Ok(next)
    }

    /// What the browser's form does not hold survives even a write that wipes.
    fn keeping(self, old: &Self) -> Self {
        Self { freq: old.freq.clone(), voltage: old.voltage.clone(), ..self }
    }

    fn take_mode(&mut self, value: &Value, rules: Rules) -> Result<(), Refused> {
        if rules.form == ModeForm::TextOnly && value.is_number() {
            return Ok(());
        }
        match number(value).ok_or(INVALID_FORM)? {
            0 => self.mode = NORMAL,
            1 => self.mode = SLEEP,
            3 if rules.low => self.mode = LOW,
            // A mode that the firmware does not have is answered well and passed over.
            _ => {}
        }
        Ok(())
    }
}

fn padded(mut pools: Vec<Pool>) -> Vec<Pool> {
    pools.resize(POOLS, Pool { url: String::new(), user: String::new(), password: String::new() });
    pools
}

/// The old CGI takes nothing less than the browser's form.
fn complete(body: &Map<String, Value>) -> Result<(), Refused> {
    if !body.contains_key("pools") {
        return Err(INVALID_POOL);
    }
    let manual = body.get("bitmain-fan-ctrl").and_then(Value::as_bool).ok_or(INVALID_FORM)?;
    // In auto mode the duty cycle is not looked at; clients that misspell it get through.
    let fan = !manual || body.contains_key("bitmain-fan-pwm");
    let mode = body.contains_key("miner-mode") || body.contains_key("bitmain-work-mode");
    if fan && mode && body.contains_key("freq-level") { Ok(()) } else { Err(INVALID_FORM) }
}

fn pools_of(value: &Value, rule: ConfRule) -> Result<Vec<Pool>, Refused> {
    let rows = value.as_array().ok_or(INVALID_POOL)?;
    let enough = if rule == ConfRule::Full { rows.len() == POOLS } else { (1..=POOLS).contains(&rows.len()) };
    if !enough {
        return Err(INVALID_POOL);
    }
    let pools: Option<Vec<Pool>> = rows.iter().map(pool_of).collect();
    let pools = pools.ok_or(INVALID_POOL)?;
    let bad = |p: &Pool| p.url.contains(char::is_whitespace) || (!p.url.is_empty() && !p.url.contains(':'));
    if pools.iter().any(bad) || pools.first().is_none_or(|p| p.url.is_empty()) {
        return Err(INVALID_POOL);
    }
    Ok(padded(pools))
}

fn pool_of(row: &Value) -> Option<Pool> {
    let text = |key: &str| row.get(key)?.as_str().map(str::to_owned);
    Some(Pool { url: text("url")?, user: text("user")?, password: text("pass")? })
}

/// A whole number, written as one or as text.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|n| u32::try_from(n).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Rules = Rules { rule: ConfRule::Full, form: ModeForm::Text, low: true, tells_freq: true };
    const PARTIAL: Rules = Rules { rule: ConfRule::Partial, ..FULL };
    const WIPES: Rules = Rules { rule: ConfRule::Wipes, ..FULL };

    fn conf() -> Conf {
        Conf::new(490.0, vec![Pool::new("stratum+tcp://a:1", "u"), Pool::new("stratum+tcp://b:2", "v")])
    }

    fn body(mode: &Value, pools: usize) -> Value {
        let slot = |i| if i == 0 { "stratum+tcp://pool.example:3333" } else { "" };
        let pools: Vec<Value> =
            (0..pools).map(|i| json!({"url": slot(i), "user": "w", "pass": "x"})).collect();
        json!({"pools": pools, "bitmain-fan-ctrl": false, "bitmain-fan-pwm": "80", "freq-level": "100",
               "miner-mode": mode})
    }

    fn change(body: &Value, rules: Rules) -> Result<Conf, Refused> {
        conf().changed(body.to_string().as_bytes(), rules)
    }

    #[test]
    fn the_full_form_takes_numbers_and_texts() {
        for mode in [json!(1), json!("1")] {
            let next = change(&body(&mode, 3), FULL).unwrap();
            assert_eq!((next.mode, next.fan_pwm, next.pools.len()), (SLEEP, 80, 3));
            assert_eq!(next.pools[0].url, "stratum+tcp://pool.example:3333");
        }
        let text_only = Rules { form: ModeForm::TextOnly, ..FULL };
        assert_eq!(change(&body(&json!(1), 3), text_only).unwrap().mode, NORMAL);
        assert_eq!(change(&body(&json!("1"), 3), text_only).unwrap().mode, SLEEP);
        let no_low = Rules { low: false, ..FULL };
        assert_eq!(change(&body(&json!(3), 3), no_low).unwrap().mode, NORMAL);
        assert_eq!(change(&body(&json!(3), 3), FULL).unwrap().mode, LOW);
    }

    #[test]
    fn old_firmware_refuses_anything_less() {
        assert_eq!(change(&body(&json!(1), 2), FULL), Err(INVALID_POOL));
        for key in ["pools", "bitmain-fan-ctrl", "freq-level", "miner-mode"] {
            let mut less = body(&json!(0), 3);
            less.as_object_mut().unwrap().remove(key);
            assert!(change(&less, FULL).is_err(), "{key}");
        }
        let mut misspelt = body(&json!(0), 3);
        misspelt.as_object_mut().unwrap().remove("bitmain-fan-pwm");
        misspelt["bitmain-fan-pwn"] = json!("30");
        assert_eq!(change(&misspelt, FULL).unwrap().fan_pwm, 100);
        misspelt["bitmain-fan-ctrl"] = json!(true);
        assert_eq!(change(&misspelt, FULL), Err(INVALID_FORM));
    }

    #[test]
    fn newer_firmware_changes_what_is_named() {
        let next = change(&json!({"miner-mode": "3", "bitmain-work-mode": "3"}), PARTIAL).unwrap();
        assert_eq!(next, Conf { mode: LOW, ..conf() });
        let next = change(&json!({"bitmain-fan-ctrl": true, "bitmain-fan-pwm": "70"}), PARTIAL).unwrap();
        assert_eq!(next, Conf { fan_ctrl: true, fan_pwm: 70, ..conf() });
        let one = json!({"pools": [{"url": "stratum+tcp://c:3", "user": "w", "pass": "x"}]});
        let next = change(&one, PARTIAL).unwrap();
        assert_eq!((next.pools[0].user.as_str(), next.pools[1].url.as_str(), next.pools.len()), ("w", "", 3));
    }

    #[test]
    fn a_wiping_firmware_loses_the_pools() {
        let next = change(&json!({"success": false, "error": "oops", "miner-mode": 1}), WIPES).unwrap();
        assert_eq!((next.mode, next.pools[0].url.as_str(), next.freq.as_str()), (SLEEP, "", "490"));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            json!({"pools": []}),
            json!({"pools": "x"}),
            json!({"pools": [{"url": "", "user": "", "pass": ""}]}),
            json!({"pools": [{"url": "has blank:1", "user": "", "pass": ""}]}),
            json!({"pools": [{"url": "a:1"}]}),
        ] {
            assert_eq!(change(&bad, PARTIAL), Err(INVALID_POOL), "{bad}");
        }
        for bad in [
            json!({"bitmain-fan-pwm": "101"}),
            json!({"bitmain-fan-pwm": "-1"}),
            json!({"freq-level": "much"}),
            json!({"miner-mode": true}),
            json!([1]),
        ] {
            assert_eq!(change(&bad, PARTIAL), Err(INVALID_FORM), "{bad}");
        }
        assert_eq!(conf().changed(b"not json", PARTIAL), Err(INVALID_FORM));
    }

    #[test]
    fn the_read_names_the_mode_as_the_firmware_does() {
        let shown = |form| -> Value { serde_json::from_slice(&conf().show(form, true, true)).unwrap() };
        assert_eq!(shown(ModeForm::Text)["bitmain-work-mode"], json!("0"));
        assert_eq!(shown(ModeForm::Number)["bitmain-work-mode"], json!(0));
        assert_eq!(shown(ModeForm::MinerMode)["miner-mode"], json!("0"));
        assert_eq!(shown(ModeForm::MinerMode).get("bitmain-work-mode"), None);
    }

    #[test]
    fn a_frequency_counts_where_the_read_shows_it() {
        let body = json!({"bitmain-freq": "450"});
        assert_eq!(change(&body, PARTIAL).unwrap().freq, "450");
        assert_eq!(change(&json!({"bitmain-freq": "fast"}), PARTIAL), Err(INVALID_FORM));
        let hidden = Rules { tells_freq: false, ..PARTIAL };
        assert_eq!(change(&body, hidden).unwrap(), conf());
        let shown: Value = serde_json::from_slice(&conf().show(ModeForm::Text, false, true)).unwrap();
        assert_eq!((shown.get("bitmain-freq"), shown["bitmain-freq-level"].as_str()), (None, Some("100")));
    }
}
