use serde_json::{Map, Value, json};

use super::{
    ErrorList, Request,
    auth::{PARAM, Refusal, UNKNOWN},
};
use crate::{
    device::DeviceCore,
    physics::{Board, ErrorEntry, PowerMode, Truth, unit},
    whatsminer::{
        Whatsminer,
        reads::{hundredth, led_name, local_time, number, tenth},
    },
};

/// Reads of which nothing but the name is known.
const NAMES: [&str; 6] = [
    "get.miner.setting",
    "get.system.setting",
    "get.fan.setting",
    "get.psu.command",
    "get.log.download",
    "get.miner.history",
];
/// What `get.device.info` can be asked for alone.
const SECTIONS: [&str; 6] = ["network", "miner", "system", "power", "salt", "error-code"];

impl Whatsminer {
    /// The message of the answer to a read.
    pub(super) fn v3_read(&self, core: &DeviceCore, request: &Request) -> Result<Value, Refusal> {
        let truth = self.half_booted(core);
        match request.cmd.as_str() {
            "get.device.info" => {
                let all = self.device_info(core, &truth);
                match &request.param {
                    None => Ok(Value::Object(all)),
                    Some(Value::String(section)) if SECTIONS.contains(&section.as_str()) => {
                        Ok(all.into_iter().filter(|(name, _)| name == section).collect::<Map<_, _>>().into())
                    }
                    Some(_) => Err(PARAM),
                }
            }
            "get.miner.status" => match request.param.as_ref().and_then(Value::as_str) {
                Some("summary") => Ok(self.v3_summary(&truth)),
                Some("pools") => Ok(json!({ "pools": pools(&truth) })),
                Some("edevs") => {
                    let boards: Vec<Value> = truth.boards.iter().map(|b| self.edev(&truth, b)).collect();
                    Ok(json!({ "edevs": boards }))
                }
                _ => Err(PARAM),
            },
            name if NAMES.contains(&name) => Err(PARAM),
            _ => Err(UNKNOWN),
        }
    }

    fn device_info(&self, core: &DeviceCore, truth: &Truth) -> Map<String, Value> {
        let (salt, write_enabled) = {
            let state = self.state();
            (self.v3_salt(core, &state.v3), state.write_enabled)
        };
        let mut all = Map::new();
        if let Some(errors) = errors(&truth.errors, self.options.v3.errors) {
            all.insert("error-code".into(), errors);
        }
        all.insert("miner".into(), self.miner(core, truth));
        all.insert("network".into(), self.network(core, truth));
        all.insert("power".into(), power(core, truth));
        all.insert("salt".into(), salt.into());
        let system = json!({
            "api": self.options.v3.api, "apiswitch": if write_enabled { "1" } else { "0" },
            "control-board-version": "CB6V10", "fwversion": self.firmware_version(),
            "ledstatus": led_name(truth.led), "platform": core.identity().model.platform,
        });
        all.insert("system".into(), system);
        all
    }

    fn miner(&self, core: &DeviceCore, truth: &Truth) -> Value {
        let name = core.identity().model.name;
        // The hash board stands in the model's name, behind the bin: M60S_VK40 has K40.
        let hash_board = name.split_once("_V").map_or(name, |(_, board)| board);
        let detected: Vec<String> =
            truth.boards.iter().map(|b| format!("{:.0}", b.nominal_mhs / 1e3)).collect();
        let mut all = json!({
            "board-num": truth.boards.len().to_string(), "detect-hash-rate": detected.join(":"),
            "fast-boot": self.setting("btminer_fast_boot"), "hash-board": hash_board,
            "hash-percent": self.percent_set(truth), "miner-sn": core.identity().serial,
            "pool-strategy": "FAILOVER", "type": name, "working": if truth.asleep { "false" } else { "true" },
        });
        for board in &truth.boards {
            all[format!("chipdata{}", board.slot)] = "K8EC374-2426 BINVE6-197806A".into();
            all[format!("pcbsn{}", board.slot)] = board.serial.as_str().into();
        }
        all
    }

    pub(super) fn v3_summary(&self, truth: &Truth) -> Value {
        let chips = |pick: fn(&Board) -> f64, fold: fn(f64, f64) -> f64| {
            truth.boards.iter().map(pick).reduce(fold).map_or(0.0, tenth)
        };
        let fan = |i: usize| truth.fans_rpm.get(i).map_or(0, |rpm| rpm.round() as i64);
        let rates = &truth.rates;
        let temperatures: Vec<f64> = truth.boards.iter().map(|b| tenth(b.pcb_c)).collect();
        let nominal = self.factory_hash(truth.nominal_mhs, truth.boards_expected);
        json!({ "summary": {
            "Debug": "", "board-temperature": temperatures,
            // Much shorter than `elapsed` where it was seen; what it counts is not known.
            "bootup-time": truth.uptime_s.saturating_sub(truth.elapsed_s),
            "chip-temp-avg": tenth(truth.chip_c()), "chip-temp-max": chips(|b| b.chip_max_c, f64::max),
            "chip-temp-min": chips(|b| b.chip_min_c, f64::min), "elapsed": truth.elapsed_s,
            "environment-temperature": tenth(truth.ambient_c), "factory-hash": nominal,
            "fan-speed-in": fan(0), "fan-speed-out": fan(1), "freq-avg": truth.frequency_mhz.round() as i64,
            "hash-15min": tera(rates.m15), "hash-1min": tera(rates.m1), "hash-average": tera(rates.average),
            "hash-realtime": tera(rates.realtime), "power-5min": tenth(truth.power_w),
            "power-limit": truth.power_limit_w.round() as i64,
            "power-rate": hundredth(truth.efficiency_jth().unwrap_or(0.0)),
            "power-realtime": tenth(truth.power_w),
            "up-freq-finish": i32::from(truth.mining && !truth.ramping),
        }})
    }

    fn edev(&self, truth: &Truth, board: &Board) -> Value {
        let starts = truth.ramping && !truth.mining;
        json!({
            "chip-temp-avg": tenth(board.chip_avg_c), "chip-temp-max": tenth(board.chip_max_c),
            "chip-temp-min": tenth(board.chip_min_c), "effective-chips": board.chips,
            "factory-hash": self.factory_hash(board.nominal_mhs, 1), "freq": tenth(board.frequency_mhz),
            "hash-average": tera(board.average_mhs), "hash-realtime": tera(board.rate_mhs),
            "id": board.slot, "status": if starts { "initialising" } else { "alive" },
        })
    }

    /// TH/s of so many boards; −0.001 for each when it is unknown.
    fn factory_hash(&self, mhs: f64, boards: u8) -> f64 {
        if self.options.v3.tells_factory_hash { tera(mhs) } else { -f64::from(boards) / 1e3 }
    }
}

fn power(core: &DeviceCore, truth: &Truth) -> Value {
    let seed = core.identity().seed;
    let mode = match truth.mode {
        PowerMode::Low => "0",
        PowerMode::Normal => "1",
        PowerMode::High => "2",
    };
    json!({
        "fanspeed": truth.psu_fan_rpm.round() as i64, "hwversion": "RT0159", "mode": mode, "model": "P221B",
        "sn": format!("PS{:010}", seed % 10_000_000_000),
        "swversion": format!("2302{:02}.220429", 10 + (18.0 * unit(seed, 63)) as u8),
        "type": "P221B", "vendor": "1",
    })
}

fn pools(truth: &Truth) -> Vec<Value> {
    let used = truth.pools.iter().filter(|p| !p.url.is_empty());
    let entry = |(i, pool): (usize, &crate::Pool)| {
        json!({
            "account": pool.user, "pool-priority": i, "status": if truth.pools_alive { "alive" } else { "dead" },
            "stratum-active": i == 0 && truth.pools_alive, "url": pool.url,
        })
    };
    used.enumerate().map(entry).collect()
}

/// The member `error-code`; `None` when it is absent.
fn errors(entries: &[ErrorEntry], form: ErrorList) -> Option<Value> {
    if entries.is_empty() && form != ErrorList::Null {
        return None;
    }
    let object = |e: &ErrorEntry| {
        let mut one = Map::new();
        one.insert(e.code.clone(), local_time(e.since.0).into());
        one.insert("reason".into(), format!("error {}. code: 0xffffffffc0000000", e.code).into());
        Value::Object(one)
    };
    let numbers = entries.iter().map(|e| number(&e.code));
    Some(match form {
        ErrorList::Objects => entries.iter().map(object).collect(),
        ErrorList::Numbers => numbers.collect(),
        ErrorList::Digits => entries.iter().map(|e| Value::from(e.code.as_str())).collect(),
        ErrorList::Null => std::iter::once(Value::Null).chain(numbers).collect(),
        ErrorList::Text => "btminer process is down err".into(),
    })
}

/// TH/s as the device rounds them.
fn tera(mhs: f64) -> f64 {
    (mhs / 1e3).round() / 1e3
}
