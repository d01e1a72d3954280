//! The answers of the cgminer-style port 4028 that need no credentials.

use serde_json::{Map, Value, json};

use super::{
    options::PowerKey,
    reading::{PoolReading, Reading, cents},
};

pub(super) const DESCRIPTION: &str = "cgminer 1.0.0";
/// Places that the legacy answer always lists, filled or not.
const MIN_CHAINS: u8 = 4;

fn status(when: i64, code: u32, letter: &str, message: &str) -> Value {
    json!([{"STATUS": letter, "When": when, "Code": code, "Msg": message, "Description": DESCRIPTION}])
}

fn answer(when: i64, (code, message): (u32, &str), section: &str, rows: Vec<Value>) -> Value {
    let mut out = Map::new();
    out.insert("STATUS".to_owned(), status(when, code, "S", message));
    out.insert(section.to_owned(), Value::Array(rows));
    out.insert("id".to_owned(), json!(1));
    Value::Object(out)
}

/// The answer to a report command; `None` when the name is none.
pub(super) fn report(command: &str, reading: &Reading, power: PowerKey, empty: bool) -> Option<Value> {
    let when = reading.when;
    Some(match command {
        "version" => answer(when, (22, "CGMiner versions"), "VERSION", vec![version(reading)]),
        "summary" => {
            let rows = if empty { Vec::new() } else { vec![summary(reading)] };
            answer(when, (11, "Summary"), "SUMMARY", rows)
        }
        "stats" => {
            let mut rows = vec![json!({
                "BMMiner": "1.0.0",
                "Miner": "uart_trans.1.3",
                "CompileTime": reading.built,
                "Type": reading.kind,
            })];
            if !empty {
                rows.push(stats(reading, power));
            }
            answer(when, (70, "CGMiner stats"), "STATS", rows)
        }
        "pools" => {
            let rows = reading.pools.iter().enumerate().map(|(i, p)| pool(i, p, reading.difficulty));
            let rows: Vec<Value> = rows.collect();
            let message = format!("{} Pool(s)", rows.len());
            answer(when, (7, message.as_str()), "POOLS", rows)
        }
        "devs" => answer(when, (9, "1 ASC(s)"), "DEVS", vec![device(reading)]),
        _ => return None,
    })
}

fn version(reading: &Reading) -> Value {
    json!({
        "BMMiner": "1.0.0",
        "API": "3.1",
        "Miner": "uart_trans.1.3",
        "CompileTime": reading.built,
        "Type": reading.kind,
    })
}

fn totals(reading: &Reading) -> (u64, u64, u64) {
    reading.pools.iter().fold((0, 0, 0), |(a, r, s), p| (a + p.accepted, r + p.rejected, s + p.stale))
}

fn summary(reading: &Reading) -> Value {
    let (accepted, rejected, stale) = totals(reading);
    json!({
        "Elapsed": reading.elapsed,
        "GHS 5s": cents(reading.rates.now),
        "GHS av": cents(reading.rates.average),
        "GHS 30m": cents(reading.rates.half_hour),
        "Found Blocks": 0,
        "Getwork": accepted + rejected,
        "Accepted": accepted,
        "Rejected": rejected,
        "Hardware Errors": reading.errors(),
        "Utility": 0.0,
        "Discarded": 0,
        "Stale": stale,
        "Get Failures": 0,
        "Local Work": 0,
        "Remote Failures": 0,
        "Network Blocks": 0,
        "Total MH": cents(reading.rates.average * 1000.0) * reading.elapsed as f64,
        "Difficulty Accepted": accepted * reading.difficulty,
        "Difficulty Rejected": rejected * reading.difficulty,
        "Difficulty Stale": stale * reading.difficulty,
        "Best Share": reading.best_share,
        "Device Hardware%": 0.0,
        "Device Rejected%": 0.0,
        "Pool Rejected%": 0.0,
        "Pool Stale%": 0.0,
        "Last getwork": reading.when,
    })
}

fn device(reading: &Reading) -> Value {
    let (accepted, rejected, _) = totals(reading);
    // The firmware misspells the temperature and reports no rate here; both are as on real machines.
    json!({
        "ASC": 0,
        "Name": "BTM_SOC",
        "ID": 0,
        "Enabled": "Y",
        "Status": "Alive",
        "Tenperature": 0.0,
        "MHS av": 0.0,
        "MHS 5s": 0.0,
        "Accepted": accepted,
        "Rejected": rejected,
        "Hardware Errors": reading.errors(),
        "Utility": 0.0,
        "Last Share Pool": 0,
        "Last Share Time": reading.when,
        "Total MH": 0.0,
        "Diff1 Work": 0,
        "Difficulty Accepted": accepted * reading.difficulty,
        "Difficulty Rejected": rejected * reading.difficulty,
        "Last Share Difficulty": reading.difficulty,
        "Device Hardware%": 0.0,
        "Device Rejected%": 0.0,
        "Device Elapsed": reading.elapsed,
    })
}

fn pool(index: usize, pool: &PoolReading, difficulty: u64) -> Value {
    let host = pool.url.split_once("://").map_or(pool.url.as_str(), |(_, rest)| rest);
    let host = host.split(':').next().unwrap_or_default();
    json!({
        "POOL": index,
        "URL": pool.url,
        "Status": pool.status,
        "Priority": index,
        "Quota": 1,
        "Long Poll": "N",
        "Getworks": pool.accepted + pool.rejected,
        "Accepted": pool.accepted,
        "Rejected": pool.rejected,
        "Discarded": 0,
        "Stale": pool.stale,
        "Get Failures": 0,
        "Remote Failures": 0,
        "User": pool.user,
        "Last Share Time": if pool.active { "0:00:05" } else { "0" },
        "Diff": if pool.active { format!("{}K", difficulty / 1000) } else { String::new() },
        "Diff1 Shares": 0,
        "Proxy Type": "",
        "Proxy": "",
        "Difficulty Accepted": pool.accepted * difficulty,
        "Difficulty Rejected": pool.rejected * difficulty,
        "Difficulty Stale": pool.stale * difficulty,
        "Last Share Difficulty": if pool.active { difficulty } else { 0 },
        "Has Stratum": true,
        "Stratum Active": pool.active,
        "Stratum URL": if pool.active { host } else { "" },
        "Has GBT": false,
        "Best Share": 0,
        "Pool Rejected%": 0.0,
        "Pool Stale%%": 0.0,
    })
}

fn stats(reading: &Reading, power: PowerKey) -> Value {
    let mut out = Map::new();
    let mut put = |key: String, value: Value| {
        out.insert(key, value);
    };
    put("STATS".into(), json!(0));
    put("ID".into(), json!("BTM_SOC0"));
    put("Elapsed".into(), json!(reading.elapsed));
    put("GHS 5s".into(), json!(cents(reading.rates.now)));
    put("GHS av".into(), json!(cents(reading.rates.average)));
    put("rate_30m".into(), json!(cents(reading.rates.half_hour)));
    // Not the mode of the CGI: hashing machines say 2.
    put("Mode".into(), json!(2));
    put("miner_count".into(), json!(reading.boards.len()));
    let mhz = reading.boards.first().map_or(0.0, |b| b.mhz.round());
    put("frequency".into(), json!(mhz));
    put("fan_num".into(), json!(reading.fans.len()));
    for (i, rpm) in reading.fans.iter().enumerate() {
        put(format!("fan{}", i + 1), json!(rpm));
    }
    put("temp_num".into(), json!(reading.boards.len()));
    for slot in 0..reading.slots.max(MIN_CHAINS) {
        for (key, value) in chain(reading, slot) {
            put(key, value);
        }
    }
    put("total_rateideal".into(), json!(cents(reading.rates.ideal)));
    put("rate_unit".into(), json!("GH"));
    put("total_freqavg".into(), json!(mhz));
    put("total_acn".into(), json!(reading.boards.iter().map(|b| b.alive).sum::<u32>()));
    put("total rate".into(), json!(cents(reading.rates.average)));
    put("temp_max".into(), json!(0));
    put("no_matching_work".into(), json!(reading.errors()));
    put("miner_version".into(), json!("uart_trans.1.3"));
    put("miner_id".into(), json!("no miner id now"));
    match power {
        PowerKey::Absent => {}
        PowerKey::Watt => put("watt".into(), json!(reading.watts)),
        PowerKey::Power => put("power".into(), json!(reading.watts)),
    }
    Value::Object(out)
}

fn joined(temperatures: [f64; 4]) -> String {
    temperatures.map(|t| t.round().to_string()).join("-")
}

/// The members of one place, numbered from 1; all of them exist where no board is.
fn chain(reading: &Reading, slot: u8) -> Vec<(String, Value)> {
    let n = slot + 1;
    let board = reading.boards.iter().find(|b| b.slot == slot);
    let temps = board.map_or([[0.0; 4]; 3], |b| [b.pic, b.pcb, b.chip]);
    vec![
        (format!("freq{n}"), json!(board.map_or(0.0, |b| b.mhz.round()))),
        (format!("temp_pic{n}"), json!(joined(temps[0]))),
        (format!("temp_pcb{n}"), json!(joined(temps[1]))),
        (format!("temp_chip{n}"), json!(joined(temps[2]))),
        (format!("chain_acn{n}"), json!(board.map_or(0, |b| b.alive))),
        (format!("chain_acs{n}"), json!(board.map_or_else(String::new, |b| reading.chip_map(b, true)))),
        (format!("chain_hw{n}"), json!(board.map_or(0, |b| b.errors))),
        (format!("chain_rate{n}"), json!(board.map_or_else(String::new, |b| format!("{:.2}", b.rate)))),
    ]
}
