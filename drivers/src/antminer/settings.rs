//! The configuration: what `get_miner_conf` says, and the form that `set_miner_conf` takes.
//!
//! A write sends everything that was read, whether it is known here or not, with the command's own members changed:
//! firmware before 2023-07 refuses less or stores what is absent as empty.

use bytes::Bytes;
use headframe_core::{
    Error, ErrorKind, Result,
    model::{FanControl, PoolSetup},
    units::Megahertz,
};
use serde_json::{Map, Value, json};

use super::{receipt, rows::POOLS};

const OP: &str = "antminer.settings";
/// The form's name of the mode.
const MODE: &str = "miner-mode";
/// What most firmwares call it when it is read.
const WORK_MODE: &str = "bitmain-work-mode";
const LEVEL: &str = "freq-level";
const LEVEL_READ: &str = "bitmain-freq-level";
const FAN: &str = "bitmain-fan-ctrl";
/// MiningOS writes `bitmain-fan-pwn`, which no firmware reads.
const FAN_PCT: &str = "bitmain-fan-pwm";
const CLOCK: &str = "bitmain-freq";

/// One reading of the configuration.
pub(super) struct Settings(Map<String, Value>);

impl Settings {
    /// Takes what `get_miner_conf` said.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply) when the pools or the mode are absent: the machine is still starting, or
    /// what answered is no configuration. Writing that back would lose the pools.
    pub fn of(read: Map<String, Value>) -> Result<Self> {
        let out = Self(read);
        let rows = out.0.get("pools").and_then(Value::as_array);
        if rows.is_none_or(|rows| !rows.iter().all(Value::is_object)) {
            return Err(out.unfit("pools"));
        }
        if out.mode().is_none() {
            return Err(out.unfit(WORK_MODE));
        }
        Ok(out)
    }

    fn unfit(&self, lacking: &str) -> Error {
        let text =
            "the machine does not tell its configuration, perhaps because it is starting: nothing was sent";
        Error::new(ErrorKind::BadReply, OP, text).with("lacking", lacking).with("members", self.0.len())
    }

    /// A number that changes when anything in it changes, and with nothing else.
    pub fn fingerprint(&self) -> u64 {
        // FNV-1a over the text, whose members are in the order of their names.
        let text = Value::Object(self.0.clone()).to_string();
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// The work mode.
    pub fn mode(&self) -> Option<i64> {
        [WORK_MODE, MODE].iter().find_map(|key| whole(self.0.get(*key)?))
    }

    /// The pools that are in use, with their passwords.
    pub fn pools(&self) -> Vec<PoolSetup> {
        let text =
            |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let pool = |row| PoolSetup::new(text(row, "url"), text(row, "user"), text(row, "pass"));
        self.rows().iter().map(pool).filter(|pool| !pool.url.is_empty()).collect()
    }

    fn rows(&self) -> &[Value] {
        self.0.get("pools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// How the fans run.
    pub fn fan(&self) -> Option<FanControl> {
        match truth(self.0.get(FAN)?)? {
            false => Some(FanControl::Auto),
            true => Some(FanControl::Fixed(u8::try_from(whole(self.0.get(FAN_PCT)?)?).ok()?)),
        }
    }

    /// The chips' clock.
    pub fn clock(&self) -> Option<Megahertz> {
        let mhz = match self.0.get(CLOCK)? {
            Value::String(text) => text.trim().parse().ok()?,
            other => other.as_f64()?,
        };
        Megahertz::new(mhz)
    }

    /// Changes the work mode, in the type in which this firmware writes it: some pass over the other.
    pub fn set_mode(&mut self, mode: u8) {
        let number = json!(mode);
        let kind = [WORK_MODE, MODE].iter().find_map(|key| self.0.get(*key));
        let new = like(kind, &number);
        if let Some(read) = self.0.get_mut(WORK_MODE) {
            *read = like(Some(&*read), &number);
        }
        let new = self.0.get(MODE).map_or(new, |read| like(Some(read), &number));
        self.0.insert(MODE.into(), new);
    }

    /// Replaces the pools. A pool that is given without a password and is there already keeps its own.
    pub fn set_pools(&mut self, pools: &[PoolSetup]) {
        let row = |pool: &PoolSetup| {
            let same = |row: &&Value| {
                row.get("url").and_then(Value::as_str) == Some(&pool.url)
                    && row.get("user").and_then(Value::as_str) == Some(&pool.username)
            };
            let stored = self.rows().iter().find(same).and_then(|row| row.get("pass")?.as_str());
            let given = Some(pool.password.expose()).filter(|p| !p.is_empty());
            json!({"url": pool.url, "user": pool.username, "pass": given.or(stored).unwrap_or_default()})
        };
        let mut rows: Vec<Value> = pools.iter().map(row).collect();
        rows.resize(POOLS.max(rows.len()), json!({"url": "", "user": "", "pass": ""}));
        self.0.insert("pools".into(), rows.into());
    }

    /// Changes how the fans run; the fixed speed stays for the next time.
    pub fn set_fan(&mut self, fan: FanControl) {
        self.0.insert(FAN.into(), json!(fan != FanControl::Auto));
        if let FanControl::Fixed(percent) = fan {
            let new = like(self.0.get(FAN_PCT), &json!(percent));
            self.0.insert(FAN_PCT.into(), new);
        }
    }

    /// Changes the chips' clock, in whole MHz.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the machine does not show its clock: it would pass over it.
    pub fn set_clock(&mut self, clock: Megahertz) -> Result<()> {
        let Some(read) = self.0.get_mut(CLOCK) else {
            return Err(Error::unsupported(OP, "a chosen clock"));
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most 5000 by the command's own check")]
        let mhz = clock.get().round() as i64;
        *read = like(Some(&*read), &json!(mhz));
        Ok(())
    }

    /// The body of `set_miner_conf`.
    pub fn body(&self) -> Bytes {
        self.form().to_string().into()
    }

    /// The same without secrets.
    pub fn shown(&self) -> String {
        let mut form = self.form();
        receipt::redact(&mut form);
        form.to_string()
    }

    /// What was read, and beside it what the form calls otherwise or cannot be without.
    fn form(&self) -> Value {
        let mut form = self.0.clone();
        let mode = [MODE, WORK_MODE].iter().find_map(|key| form.get(*key).cloned());
        let level = form.get(LEVEL_READ).cloned().unwrap_or_else(|| json!("100"));
        for (key, value) in
            [(MODE, mode.unwrap_or_default()), (LEVEL, level), (FAN, json!(false)), (FAN_PCT, json!("100"))]
        {
            form.entry(key).or_insert(value);
        }
        // The CGI takes exactly as many as the form has.
        if let Some(Value::Array(rows)) = form.get_mut("pools") {
            rows.resize(POOLS.max(rows.len()), json!({"url": "", "user": "", "pass": ""}));
        }
        Value::Object(form)
    }
}

/// A whole number, written as one or as text.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64().map(|n| n != 0),
    }
}

/// `number` in the type of `read`; text where nothing was read, as firmware writes its numbers.
fn like(read: Option<&Value>, number: &Value) -> Value {
    match read {
        Some(Value::Number(_)) => number.clone(),
        _ => number.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Settings {
        let Value::Object(map) = json else { panic!("an object") };
        Settings::of(map).unwrap()
    }

    fn pools() -> Value {
        let empty = json!({"url": "", "user": "", "pass": ""});
        json!([{"url": "stratum+tcp://pool.example:3333", "user": "w", "pass": "x"}, empty, empty])
    }

    fn usual() -> Settings {
        read(json!({"pools": pools(), "bitmain-work-mode": "0", "bitmain-freq-level": "100",
                    "bitmain-fan-ctrl": false, "bitmain-fan-pwm": "100"}))
    }

    fn sent(settings: &Settings) -> Value {
        serde_json::from_slice(&settings.body()).unwrap()
    }

    /// The five members of every known form, `bitmain-work-mode` beside them where it was read, and the rest of what
    /// was read.
    #[test]
    fn forms_are_those_of_the_reference() {
        let mut settings = usual();
        settings.set_mode(1);
        assert_eq!(
            sent(&settings),
            json!({"pools": pools(), "bitmain-fan-ctrl": false, "bitmain-fan-pwm": "100", "freq-level": "100",
                   "miner-mode": "1", "bitmain-work-mode": "1", "bitmain-freq-level": "100"})
        );
        let mut settings = usual();
        settings.set_fan(FanControl::Fixed(70));
        let form = sent(&settings);
        assert_eq!((&form["bitmain-fan-ctrl"], &form["bitmain-fan-pwm"]), (&json!(true), &json!("70")));
        assert_eq!((&form["miner-mode"], &form["bitmain-work-mode"]), (&json!("0"), &json!("0")));
        assert_eq!(form.get("bitmain-fan-pwn"), None);
    }

    #[test]
    fn the_mode_keeps_its_name_and_type() {
        for (given, expected) in [
            (json!({"bitmain-work-mode": 0}), json!({"miner-mode": 3, "bitmain-work-mode": 3})),
            (json!({"bitmain-work-mode": "0"}), json!({"miner-mode": "3", "bitmain-work-mode": "3"})),
            (json!({"miner-mode": "0"}), json!({"miner-mode": "3"})),
            (json!({"miner-mode": 1}), json!({"miner-mode": 3})),
            (
                json!({"miner-mode": 1, "bitmain-work-mode": "1"}),
                json!({"miner-mode": 3, "bitmain-work-mode": "3"}),
            ),
        ] {
            let mut given = given;
            given["pools"] = pools();
            let mut settings = read(given);
            settings.set_mode(3);
            let form = sent(&settings);
            for key in [MODE, WORK_MODE] {
                assert_eq!(form.get(key), expected.get(key), "{form}");
            }
            assert_eq!(settings.mode(), Some(3));
        }
    }

    #[test]
    fn members_that_nobody_knows_survive() {
        let mut settings = read(json!({"pools": pools(), "miner-mode": 0, "odd": {"deep": [1, "two"]},
                                       "api-allow": "A:0/0,W:*", "bitmain-voltage": "1380"}));
        settings.set_clock(Megahertz::new(500.0).unwrap()).unwrap_err();
        settings.set_pools(&[PoolSetup::new("stratum+tcp://new:1", "a", "b")]);
        let form = sent(&settings);
        assert_eq!(form["odd"], json!({"deep": [1, "two"]}));
        assert_eq!((&form["api-allow"], &form["bitmain-voltage"]), (&json!("A:0/0,W:*"), &json!("1380")));
        assert_eq!(form["pools"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_pool_that_stays_keeps_its_password() {
        let mut settings = usual();
        settings.set_pools(&[
            PoolSetup::new("stratum+tcp://other:1", "w", ""),
            PoolSetup::new("stratum+tcp://pool.example:3333", "w", ""),
            PoolSetup::new("stratum+tcp://pool.example:3333", "other", ""),
        ]);
        let passwords: Vec<String> =
            settings.pools().iter().map(|p| p.password.expose().to_owned()).collect();
        assert_eq!(passwords, ["", "x", ""]);
        let shown = settings.shown();
        assert!(shown.contains("\"***\"") && !shown.contains("\"x\""), "{shown}");
    }

    #[test]
    fn a_machine_that_starts_is_not_written_to() {
        for json in [
            json!({}),
            json!({"pools": pools()}),
            json!({"bitmain-work-mode": "0"}),
            json!({"pools": null, "miner-mode": 0}),
            json!({"pools": ["x"], "miner-mode": 0}),
            json!({"pools": pools(), "miner-mode": ""}),
        ] {
            let Value::Object(map) = json.clone() else { panic!("an object") };
            let e = Settings::of(map).err().unwrap();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::BadReply, headframe_core::Sent::No), "{json}");
        }
    }

    #[test]
    fn fingerprints_tell_changes() {
        let mut settings = usual();
        let before = settings.fingerprint();
        assert_eq!(before, usual().fingerprint());
        settings.set_mode(0);
        settings.set_fan(FanControl::Auto);
        settings.set_fan(FanControl::Fixed(99));
        assert_ne!(before, settings.fingerprint());
    }

    #[test]
    fn fans_and_clock_in_either_type() {
        let mut settings =
            read(json!({"pools": pools(), "miner-mode": 0, "bitmain-freq": 490, "bitmain-fan-pwm": 60,
                        "bitmain-fan-ctrl": "true"}));
        assert_eq!(settings.fan(), Some(FanControl::Fixed(60)));
        assert_eq!(settings.clock(), Megahertz::new(490.0));
        settings.set_clock(Megahertz::new(500.4).unwrap()).unwrap();
        settings.set_fan(FanControl::Fixed(0));
        assert_eq!(
            (&sent(&settings)["bitmain-freq"], &sent(&settings)["bitmain-fan-pwm"]),
            (&json!(500), &json!(0))
        );
        assert_eq!(usual().fan(), Some(FanControl::Auto));
    }
}
