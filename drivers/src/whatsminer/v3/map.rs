//! From the replies of one poll to a snapshot. No I/O; units are converted here and in [`boards`] only.

use headframe_core::{
    model::{
        DeviceError, HashrateWindows, Members, MinerConfig, MinerSnapshot, MinerStats, MissingReason,
        PoolConfig, PoolStatus, PowerMode, PowerSource,
    },
    units::{Hashrate, JoulesPerTerahash, floor2},
};
use serde_json::Value;

use super::{
    ask::Polled,
    boards::{self, Devs, Sum, factory, rate},
    codes::ErrorList,
    facts::Facts,
    reply::{Live, Pool},
    wire::{Failure, Got},
};
use crate::whatsminer::{
    errors,
    state::Signs,
    value::{Missing, Reading, efficiency, limit, millis, reported, text, watts},
};

/// The replies, each with the reason where it is missing.
struct Read<'a> {
    live: Reading<&'a Live>,
    summary: Sum<'a>,
    devs: Devs<'a>,
    pools: Reading<&'a [Pool]>,
}

fn reading<T>(got: &Got<T>) -> Reading<&T> {
    got.as_ref().map_err(|failure: &Failure| failure.reason())
}

/// What the device said in one poll. `nominal` is the efficiency as sold, J/TH.
pub(super) fn snapshot(polled: &Polled, facts: &Facts, nominal: Option<f64>) -> MinerSnapshot {
    let read = Read {
        live: reading(&polled.live),
        summary: reading(&polled.summary),
        devs: reading(&polled.edevs).map(Vec::as_slice),
        pools: reading(&polled.pools).map(Vec::as_slice),
    };
    let mut missing = Missing(facts.missing.0.clone());
    let mut stats = MinerStats::default();
    let (summary, devs) = (read.summary, read.devs);
    stats.boards = boards::boards(devs, summary, facts, &mut missing);
    stats.frequency_mhz = boards::frequencies(devs, summary, &mut missing);
    stats.temperature_c = boards::temperatures(devs, summary, &mut missing);
    let psu_fan = read.live.map(|l| l.power.as_ref().and_then(|p| p.fan));
    stats.fans = boards::fans(summary, psu_fan, &facts.model, &mut missing);
    stats.psu.clone_from(&facts.psu);
    missing.keep("stats.miner_specific", Err::<(), _>(MissingReason::NotReported));
    let mut out = MinerSnapshot::default();
    stats.hashrate_mhs = hashrates(summary, &mut out.substituted, &mut missing);
    stats.nominal_hashrate_mhs =
        missing.keep("stats.nominal_hashrate_mhs", summary.and_then(|s| factory(s.factory)));
    power(&mut stats, summary, &mut missing);
    let nominal = reported(nominal.and_then(JoulesPerTerahash::new));
    stats.nominal_efficiency_w_ths = missing.keep("stats.nominal_efficiency_w_ths", nominal);
    stats.uptime_ms = missing.keep("stats.uptime_ms", summary.and_then(|s| millis(s.elapsed)));
    stats.pool_status = missing.keep("stats.pool_status", read.pools).map(|p| pool_status(p, &mut missing));
    missing
        .keep("stats.all_pools_shares", Err::<(), _>(read.pools.err().unwrap_or(MissingReason::NotReported)));

    out.raw_errors = device_errors(read.live, &mut missing);
    if let Some(list) = &out.raw_errors {
        stats.are_all_errors_minor = Some(errors::all_minor(list, facts.info.model.as_deref()));
        stats.errors.clone_from(list);
    }
    let signs = signs(&read, &stats, facts);
    stats.is_mining = missing.keep("stats.is_mining", reported(signs.is_mining()));
    stats.status = signs.status();
    stats.state = signs.state();
    out.success = true;
    out.config = Some(config(&read, &signs, facts, &mut missing));
    out.extra = extra(&read, facts);
    out.info = Some(facts.info.clone());
    out.stats = stats;
    out.missing = missing.0;
    out
}

/// The device has no window of 5 s or 5 min. Statistics look at 5 min, so the nearest that it has, 1 min, stands for
/// it and is marked.
fn hashrates(
    summary: Sum<'_>,
    substituted: &mut Members<headframe_core::model::Path>,
    missing: &mut Missing,
) -> Option<HashrateWindows> {
    let summary = missing.keep("stats.hashrate_mhs", summary)?;
    let mut out = HashrateWindows::default();
    out.avg = missing.keep("stats.hashrate_mhs.avg", rate(summary.average));
    out.realtime = missing.keep("stats.hashrate_mhs.realtime", rate(summary.realtime));
    out.t_1m = missing.keep("stats.hashrate_mhs.t_1m", rate(summary.rate_1m));
    out.t_15m = missing.keep("stats.hashrate_mhs.t_15m", rate(summary.rate_15m));
    out.t_5m = missing.keep("stats.hashrate_mhs.t_5m", out.t_1m.ok_or(MissingReason::NotReported));
    if out.t_5m.is_some() {
        substituted.insert("stats.hashrate_mhs.t_5m", "stats.hashrate_mhs.t_1m".into());
    }
    missing.keep("stats.hashrate_mhs.t_5s", Err::<(), _>(MissingReason::NotReported));
    // Without any window the reason of the average speaks for all.
    let none = out == HashrateWindows::default();
    let reason = rate(summary.average).err().unwrap_or(MissingReason::NotReported);
    missing.keep("stats.hashrate_mhs", if none { Err(reason) } else { Ok(out) })
}

/// Power, its limit and efficiency. Without an efficiency of its own the device's power and present rate give it.
fn power(stats: &mut MinerStats, summary: Sum<'_>, missing: &mut Missing) {
    let now = stats.hashrate_mhs.and_then(|h| h.current());
    let hashing = now.is_some_and(|rate| rate.mhs() > 0.0);
    let drawn = summary.and_then(|s| watts(s.power));
    // Nothing hashes for nothing.
    let drawn =
        drawn.and_then(|w| if hashing && w.get() == 0.0 { Err(MissingReason::Implausible) } else { Ok(w) });
    stats.power_w = missing.keep("stats.power_w", drawn);
    stats.power_source = stats.power_w.map(|_| PowerSource::Device);
    stats.power_limit_w = missing.keep("stats.power_limit_w", summary.and_then(|s| limit(s.power_limit)));
    let told = summary.and_then(|s| watts(s.power_rate));
    stats.efficiency_w_ths = missing.keep("stats.efficiency_w_ths", efficiency(told, stats.power_w, now));
}

/// The device counts no shares.
fn pool_status(pools: &[Pool], missing: &mut Missing) -> Vec<PoolStatus> {
    if !pools.is_empty() {
        for path in ["stats.pool_status.accepted", "stats.pool_status.rejected", "stats.pool_status.stale"] {
            missing.keep(path, Err::<(), _>(MissingReason::NotReported));
        }
    }
    let one = |pool: &Pool| {
        let mut out = PoolStatus::default();
        out.pool = pool.url.clone().unwrap_or_default();
        out.alive = pool.status.as_deref().map(|status| status.eq_ignore_ascii_case("alive"));
        out.active = pool.active;
        out
    };
    pools.iter().map(one).collect()
}

/// The device's errors. It leaves the member out when there are none.
fn device_errors(live: Reading<&Live>, missing: &mut Missing) -> Option<Vec<DeviceError>> {
    match live {
        Ok(live) => Some(live.errors.as_ref().map(ErrorList::decoded).unwrap_or_default()),
        Err(reason) => {
            for path in ["raw_errors", "stats.errors", "stats.are_all_errors_minor"] {
                missing.keep(path, Err::<(), _>(reason));
            }
            None
        }
    }
}

fn signs(read: &Read<'_>, stats: &MinerStats, facts: &Facts) -> Signs {
    let rates = stats.hashrate_mhs.unwrap_or_default();
    let summary = read.summary.ok();
    let boards = u32::try_from(stats.boards.len()).unwrap_or(u32::MAX);
    // A machine whose mining program is gone does not hash either, but nobody ordered that.
    let down = read.live.is_ok_and(Live::down);
    Signs {
        off: read.live.ok().and_then(Live::off),
        now: rates.current().map(Hashrate::mhs),
        average: rates.avg.map(Hashrate::mhs).filter(|_| !down),
        aim: aim(read, stats.nominal_hashrate_mhs.map(Hashrate::mhs)),
        settled: summary.and_then(|s| s.settled),
        elapsed: summary.and_then(|s| s.elapsed),
        uptime: None,
        errors: !stats.errors.is_empty(),
        boards_missing: read.devs.is_ok()
            && facts.model.parts.boards.is_some_and(|expected| boards < expected),
    }
}

/// What it should hash in its present mode, MH/s: the factory's rate is that of normal mode at full power.
fn aim(read: &Read<'_>, nominal: Option<f64>) -> Option<f64> {
    let live = read.live.ok()?;
    if mode(live) == Ok(PowerMode::Low) {
        return None;
    }
    let percent = live.miner.as_ref().and_then(|m| m.hash_percent).filter(|p| *p > 0.0 && *p < 100.0);
    Some(nominal? * percent.unwrap_or(100.0) / 100.0)
}

/// The power mode that is set, whether or not the device mines.
pub(super) fn mode(live: &Live) -> Reading<PowerMode> {
    match text(live.mode())?.to_ascii_lowercase().as_str() {
        "0" | "low" => Ok(PowerMode::Low),
        "1" | "normal" => Ok(PowerMode::Normal),
        "2" | "high" => Ok(PowerMode::High),
        _ => Err(MissingReason::BadReply),
    }
}

/// Whether the locating light blinks.
pub(super) fn led(live: &Live) -> Reading<bool> {
    text(live.led()).map(|led| !led.eq_ignore_ascii_case("auto"))
}

fn config(read: &Read<'_>, signs: &Signs, facts: &Facts, missing: &mut Missing) -> MinerConfig {
    let mut config = MinerConfig::default();
    config.network_config = facts.network.clone();
    config.firmware_ver.clone_from(&facts.info.firmware);
    let one = |pool: &Pool| PoolConfig {
        url: pool.url.clone().unwrap_or_default(),
        username: pool.account.clone().unwrap_or_default(),
    };
    let pools = read.pools.map(|pools| pools.iter().map(one).collect());
    config.pool_config = missing.keep("config.pool_config", pools);
    let unknown = read.live.err().unwrap_or(MissingReason::NotReported);
    config.suspended = missing.keep("config.suspended", signs.suspended().ok_or(unknown));
    let mode = match config.suspended {
        Some(true) => Ok(PowerMode::Sleep),
        _ => read.live.and_then(mode),
    };
    config.power_mode = missing.keep("config.power_mode", mode);
    config.led_status = missing.keep("config.led_status", read.live.and_then(led));
    config
}

/// Members that only this family has.
fn extra(read: &Read<'_>, facts: &Facts) -> Members<Value> {
    let mut out = Members::new();
    let mut put = |key: &'static str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(key, value);
        }
    };
    if let Ok(s) = read.summary {
        put("upfreq_complete", s.settled.map(Value::from));
        put("power_5m_w", watts(s.power_5m).ok().map(|w| number(w.get())));
        put("bootup_time_raw", s.bootup.map(number));
    }
    if let Ok(live) = read.live {
        put("hash_percent", live.miner.as_ref().and_then(|m| m.hash_percent).map(number));
    }
    for (key, value) in &facts.extra {
        put(key, Some(value.clone()));
    }
    out
}

/// A number as MiningOS writes it: two decimals, none where it is whole.
#[allow(clippy::cast_possible_truncation, reason = "whole and far below the bounds")]
fn number(x: f64) -> Value {
    let x = floor2(x);
    if x.fract() == 0.0 && x.abs() < 1e15 { Value::from(x as i64) } else { Value::from(x) }
}
