use serde_json::{Map, Value, json};

use super::{Generation, Whatsminer};
use crate::{
    device::DeviceCore,
    physics::{Board, Led, PowerMode, Truth, unit},
    rpc,
};

/// The description in answers of the old style.
pub(super) const DESCRIPTION: &str = "cgminer 4.9.2";

/// API version 2.0.x that brought `get_error_code`; before, errors stand in `summary`.
const ERROR_CODE_SINCE: u8 = 1;

/// Whether a command is one of the old-style reports.
pub(super) fn is_report(name: &str) -> bool {
    matches!(name, "summary" | "pools" | "devs" | "edevs" | "devdetails")
}

impl Whatsminer {
    /// Whether this firmware has a read of this name. `get_token` is none: it changes the device.
    pub(super) fn has_read(&self, name: &str) -> bool {
        let generation = self.generation();
        if generation == Generation::V3 && self.options.v3.lacks.iter().any(|lacking| lacking == name) {
            return false;
        }
        match name {
            "get_error_code" => !self.errors_in_summary(),
            "get_psu" => generation != Generation::V1 || self.options.v1.psu,
            "get_version" | "get_miner_info" | "status" => true,
            _ => is_report(name),
        }
    }

    /// The answer to a read; `None` when there is no such read.
    pub(super) fn read(&self, core: &DeviceCore, name: &str) -> Option<Value> {
        if !self.has_read(name) {
            return None;
        }
        let truth = self.half_booted(core);
        let report = |code, message: &str, section, entries| {
            Some(rpc::report(rpc::status(core, "S", code, message, DESCRIPTION), section, entries))
        };
        match name {
            "summary" => report(11, "Summary", "SUMMARY", vec![self.summary(core, &truth)]),
            "pools" => {
                let pools = pools(&truth);
                report(7, &format!("{} Pool(s)", pools.len()), "POOLS", pools)
            }
            "devs" | "edevs" => {
                let mut boards: Vec<Value> = truth.boards.iter().map(|b| board(&truth, b)).collect();
                if self.generation() == Generation::V1 {
                    boards
                        .iter_mut()
                        .filter_map(Value::as_object_mut)
                        .for_each(|b| drop(b.remove("Frequency")));
                }
                report(9, &format!("{} ASC(s)", boards.len()), "DEVS", boards)
            }
            "devdetails" => report(69, "Device Details", "DEVDETAILS", details(core, &truth)),
            _ => {
                let message = match name {
                    "get_version" => self.version(core),
                    "get_miner_info" => self.miner_info(core, &truth),
                    "get_psu" => psu(core, &truth),
                    "get_error_code" => json!({ "error_code": error_list(&truth) }),
                    _ if self.generation() == Generation::V1 => self.v1_status(&truth),
                    _ => self.status(&truth),
                };
                let mut reply = rpc::status(core, "S", 131, "", "");
                reply["Msg"] = message;
                Some(reply)
            }
        }
    }

    /// What the device measures; for a while after a boot it has no pools and no boards.
    pub(super) fn half_booted(&self, core: &DeviceCore) -> Truth {
        let mut truth = core.observe();
        if core.boots() > 0 && truth.uptime_s < self.options.half_booted.as_secs() {
            truth.pools.clear();
            truth.boards.clear();
        }
        truth
    }

    /// Whether errors stand in `summary` instead of having a read of their own.
    fn errors_in_summary(&self) -> bool {
        self.generation() == Generation::V1 || self.options.api < ERROR_CODE_SINCE
    }

    fn summary(&self, core: &DeviceCore, truth: &Truth) -> Value {
        let rates = &truth.rates;
        let mut all = json!({
            "Elapsed": truth.elapsed_s, "Uptime": truth.uptime_s,
            "MHS av": hundredth(rates.average), "MHS 5s": hundredth(rates.s5), "MHS 1m": hundredth(rates.m1),
            "MHS 5m": hundredth(rates.m5), "MHS 15m": hundredth(rates.m15), "HS RT": hundredth(rates.realtime),
            "Factory GHS": (truth.nominal_mhs / 1e3).round() as i64,
            "Accepted": truth.accepted, "Rejected": truth.rejected, "Total MH": truth.total_mh.round(),
            "Temperature": tenth(truth.board_c()), "freq_avg": truth.frequency_mhz.round() as i64,
            "Target Freq": truth.frequency_mhz.round() as i64,
        });
        let fan = |i: usize| truth.fans_rpm.get(i).map_or(0, |rpm| rpm.round() as i64);
        let chips = |pick: fn(&Board) -> f64, fold: fn(f64, f64) -> f64| {
            truth.boards.iter().map(pick).reduce(fold).map_or(0.0, tenth)
        };
        merge(
            &mut all,
            json!({
                "Target MHS": truth.nominal_mhs.round(),
                "Fan Speed In": fan(0), "Fan Speed Out": fan(1),
                "Power": truth.power_w.round() as i64,
                "Power Rate": hundredth(truth.efficiency_jth().unwrap_or(0.0)),
                "Power Limit": truth.power_limit_w.round() as i64,
                "Power Mode": mode_name(truth.mode), "Env Temp": tenth(truth.ambient_c),
                "Chip Temp Min": chips(|b| b.chip_min_c, f64::min),
                "Chip Temp Max": chips(|b| b.chip_max_c, f64::max), "Chip Temp Avg": tenth(truth.chip_c()),
                "Pool Rejected%": percent(truth.rejected, truth.accepted + truth.rejected),
                "Pool Stale%": percent(truth.stale, truth.accepted + truth.stale),
                "Hash Stable": truth.mining && !truth.ramping,
                "Hash Deviation%": 100.0 * unit(core.identity().seed, 60) / 200.0,
                "Btminer Fast Boot": self.setting("btminer_fast_boot"),
                "Upfreq Complete": i32::from(truth.mining && !truth.ramping),
                "Debug": "", "MAC": core.identity().mac, "Best Share": truth.accepted * 7_919 % 1_000_003,
            }),
        );
        if self.generation() == Generation::V1 {
            merge(&mut all, self.v1_summary(core, truth));
        }
        if self.errors_in_summary() {
            all["Error Code Count"] = json!(truth.errors.len());
            for (i, error) in truth.errors.iter().enumerate() {
                all[format!("Error Code {i}")] = number(&error.code);
            }
        }
        all
    }

    fn version(&self, core: &DeviceCore) -> Value {
        let api = match self.generation() {
            Generation::V1 => self.options.v1.api.clone(),
            Generation::V2 => format!("2.0.{}", self.options.api),
            Generation::V3 => self.options.v3.api.clone(),
        };
        json!({
            "api_ver": api, "fw_ver": self.firmware_version(),
            "platform": core.identity().model.platform, "chip": "K16",
        })
    }

    fn miner_info(&self, core: &DeviceCore, truth: &Truth) -> Value {
        let mut all = self.network(core, truth);
        let more = json!({
            "ledstat": led_name(truth.led), "upfreq_speed": self.setting("upfreq_speed"),
            "minersn": core.identity().serial,
        });
        merge(&mut all, more);
        all
    }

    pub(super) fn network(&self, core: &DeviceCore, truth: &Truth) -> Value {
        let network = self.state().network.clone();
        let octets = core.ip().to_string();
        let subnet = octets.rsplit_once('.').map_or("0.0.0", |(net, _)| net);
        let (mask, gateway, dns) = match &network {
            Some(n) => (n.mask.clone(), n.gateway.clone(), n.dns.clone()),
            None => ("255.255.255.0".into(), format!("{subnet}.1"), format!("{subnet}.2 9.9.9.9")),
        };
        json!({
            "ip": core.ip().to_string(), "proto": if network.is_some() { "static" } else { "dhcp" },
            "netmask": mask, "gateway": gateway, "dns": dns, "hostname": truth.hostname,
            "mac": core.identity().mac,
        })
    }

    fn status(&self, truth: &Truth) -> Value {
        let off = truth.asleep;
        let percent = self.percent_set(truth);
        let state = self.state();
        json!({
            "mineroff": if off { "true" } else { "false" },
            "mineroff_reason": if off { "power_off" } else { "" },
            "mineroff_time": state.off_since.filter(|_| off).map_or(String::new(), |t| local_time(t.0)),
            "FirmwareVersion": state.flash.installed.firmware,
            "power_mode": mode_name(truth.mode).to_lowercase(),
            "hash_percent": percent,
            "power_limit_set": state.power_limit_set.map_or(String::new(), |w| format!("{w:.0}")),
        })
    }

    /// The percentage that was set and is still in force, else `0`.
    pub(super) fn percent_set(&self, truth: &Truth) -> String {
        let set = self.state().percent.filter(|p| *p == truth.percent);
        set.map_or("0".to_owned(), |p| format!("{p:.0}"))
    }

    pub(super) fn setting(&self, name: &str) -> String {
        self.state().settings.get(name).cloned().unwrap_or_default()
    }

    /// Puts into the text what some firmwares write wrongly.
    pub(super) fn spell(&self, text: String) -> String {
        if self.generation() == Generation::V1 {
            return self.v1_spell(text);
        }
        let text = if self.options.api == 4 { with_wrong_brackets(text) } else { text };
        if self.firmware_version().starts_with("20230106") {
            return text.replace("\",\"temp0\"", "\"\"temp0\"");
        }
        text
    }
}

fn pools(truth: &Truth) -> Vec<Value> {
    let used = truth.pools.iter().filter(|p| !p.url.is_empty());
    let entry = |(i, pool): (usize, &crate::Pool)| {
        // Only the first pool works; the others stand by.
        let active = i == 0 && truth.pools_alive;
        let count = |n: u64| if i == 0 { n } else { 0 };
        let last = if active && truth.accepted > 0 { truth.at.0 / 1_000 } else { 0 };
        json!({
            "POOL": i + 1, "URL": pool.url, "Status": if truth.pools_alive { "Alive" } else { "Dead" },
            "Priority": i, "Quota": 1, "Long Poll": "N", "Getworks": count(truth.elapsed_s / 30 + 1),
            "Accepted": count(truth.accepted), "Rejected": count(truth.rejected),
            "Stale": count(truth.stale), "Works": count(truth.accepted * 3), "Discarded": 0,
            "Get Failures": 0, "Remote Failures": 0, "User": pool.user, "Last Share Time": last,
            "Stratum Active": active, "Stratum Difficulty": if active { truth.difficulty } else { 0.0 },
            "Pool Rejected%": percent(count(truth.rejected), truth.accepted + truth.rejected),
            "Pool Stale%": percent(count(truth.stale), truth.accepted + truth.stale),
            "Bad Work": 0, "Current Block Height": 0, "Current Block Version": 536_870_912,
        })
    };
    used.enumerate().map(entry).collect()
}

fn board(truth: &Truth, board: &Board) -> Value {
    let n = truth.boards.len().max(1) as f64;
    let rate = |whole: f64| hundredth(whole / n);
    let fan = |i: usize| truth.fans_rpm.get(i).map_or(0, |rpm| rpm.round() as i64);
    let mut all = json!({
        "ASC": board.slot, "Slot": board.slot, "ID": board.slot, "Name": "SM", "Enabled": "Y",
        "Status": if truth.ramping && !truth.mining { "Initialising" } else { "Alive" },
        "Temperature": tenth(board.pcb_c), "Chip Frequency": board.frequency_mhz.round() as i64,
        "Frequency": tenth(board.frequency_mhz), "MHS av": hundredth(board.average_mhs),
        "MHS 5s": rate(truth.rates.s5), "MHS 1m": rate(truth.rates.m1), "MHS 5m": rate(truth.rates.m5),
        "MHS 15m": rate(truth.rates.m15), "HS RT": hundredth(board.rate_mhs),
    });
    merge(
        &mut all,
        json!({
            "Factory GHS": (board.nominal_mhs / 1e3).round() as i64, "Accepted": truth.accepted / n as u64,
            "Rejected": truth.rejected / n as u64, "Device Elapsed": truth.elapsed_s,
            "Upfreq Complete": i32::from(truth.mining && !truth.ramping), "Effective Chips": board.chips,
            "PCB SN": board.serial, "Chip Data": "K16M03-2301  BINV04-204X0D",
            "Chip Temp Min": tenth(board.chip_min_c), "Chip Temp Max": tenth(board.chip_max_c),
            "Chip Temp Avg": tenth(board.chip_avg_c), "chip_vol_diff": 9 + board.slot,
            "Fan Speed In": fan(0), "Fan Speed Out": fan(1),
        }),
    );
    all
}

fn details(core: &DeviceCore, truth: &Truth) -> Vec<Value> {
    let model = core.identity().model.name;
    let entry = |(i, board): (usize, &Board)| {
        json!({
            "DEVDETAILS": i, "Name": "SM", "ID": board.slot, "Driver": "bitmicro", "Kernel": "",
            "Model": model, "Device Path": "",
        })
    };
    truth.boards.iter().enumerate().map(entry).collect()
}

fn psu(core: &DeviceCore, truth: &Truth) -> Value {
    let seed = core.identity().seed;
    let volts = 388.0 + 16.0 * unit(seed, 61);
    let text = |value: f64| format!("{value:.0}");
    json!({
        "name": "P562", "model": "P562B", "hw_version": "V01.00", "sw_version": "230412.114730",
        "enable": if truth.mining { "1" } else { "0" }, "vin": text(volts * 100.0),
        "iin": text(1_000.0 * truth.power_w / volts), "pin": text(truth.power_w),
        "fan_speed": text(truth.psu_fan_rpm), "serial_no": format!("PS{:010}", seed % 10_000_000_000),
        "vendor": "7", "temp0": format!("{:.1}", truth.ambient_c + 12.0 * truth.power_w / 3_000.0),
    })
}

fn error_list(truth: &Truth) -> Vec<Value> {
    let entry = |error: &crate::ErrorEntry| {
        let mut one = Map::new();
        one.insert(error.code.clone(), local_time(error.since.0).into());
        Value::Object(one)
    };
    truth.errors.iter().map(entry).collect()
}

/// API 2.0.4 writes the list of errors as an array with the inside of an object.
fn with_wrong_brackets(text: String) -> String {
    const MEMBER: &str = "\"error_code\":[";
    let Some(start) = text.find(MEMBER).map(|at| at + MEMBER.len()) else { return text };
    let Some(end) = text[start..].find(']').map(|at| at + start) else { return text };
    let inside: String = text[start..end].chars().filter(|c| !matches!(c, '{' | '}')).collect();
    format!("{}{inside}{}", &text[..start], &text[end..])
}

pub(super) fn led_name(led: Led) -> &'static str {
    if led == Led::Auto { "auto" } else { "manual" }
}

pub(super) fn mode_name(mode: PowerMode) -> &'static str {
    match mode {
        PowerMode::Low => "Low",
        PowerMode::Normal => "Normal",
        PowerMode::High => "High",
    }
}

/// `YYYY-MM-DD HH:MM:SS` without a zone, as the device writes it; its clock runs in UTC.
pub(super) fn local_time(epoch_ms: i64) -> String {
    let seconds = epoch_ms.div_euclid(1_000);
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01 of the proleptic calendar; years begin in March so that leap days come last.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

pub(super) fn number(code: &str) -> Value {
    code.parse::<u64>().map_or_else(|_| Value::from(code), Value::from)
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (1e6 * part as f64 / whole as f64).round() / 1e4 }
}

pub(super) fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

pub(super) fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times() {
        assert_eq!(local_time(0), "1970-01-01 00:00:00");
        assert_eq!(local_time(1_709_210_096_000), "2024-02-29 12:34:56");
        assert_eq!(local_time(1_764_000_000_000), "2025-11-24 16:00:00");
    }

    #[test]
    fn wrong_brackets_stand_in_that_array_only() {
        let text = r#"{"Msg":{"error_code":[{"110":"a"},{"218":"b"}]},"x":[{"y":1}]}"#;
        let wrong = r#"{"Msg":{"error_code":["110":"a","218":"b"]},"x":[{"y":1}]}"#;
        assert_eq!(with_wrong_brackets(text.into()), wrong);
        assert_eq!(with_wrong_brackets(r#"{"error_code":[]}"#.into()), r#"{"error_code":[]}"#);
    }
}
