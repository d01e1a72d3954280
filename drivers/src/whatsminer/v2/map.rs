//! From the replies of one poll to a snapshot. No I/O; units are converted here and in [`value`](crate::whatsminer::value) only.

use std::sync::Arc;

use headframe_core::{
    driver::ShareMeter,
    model::{
        DeviceError, HashrateWindows, Members, MinerConfig, MinerSnapshot, MinerStats, MissingReason,
        PoolConfig, PoolStatus, PowerMode, PowerSource, Shares, Text,
    },
    units::{Hashrate, JoulesPerTerahash, Volts, floor2},
};
use serde_json::Value;

use super::{
    boards,
    reply::{Dev, ErrorList, Pool, Status, Summary},
    slow::Facts,
    wire::{Got, Replies},
};
use crate::whatsminer::{
    errors,
    state::Signs,
    value::{Missing, Reading, efficiency, either, factory, limit, millis, rate, reported, text, watts},
};

/// The live replies, each with the reason where it is missing.
struct Live<'a> {
    summary: Reading<&'a Summary>,
    devs: Reading<&'a [Dev]>,
    pools: Reading<&'a [Pool]>,
    status: Reading<&'a Status>,
    errors: Reading<&'a ErrorList>,
}

fn reading<T>(got: &Option<Got<T>>) -> Reading<&T> {
    match got {
        Some(Ok(value)) => Ok(value),
        Some(Err(failure)) => Err(failure.reason()),
        None => Err(MissingReason::NoReply),
    }
}

impl<'a> Live<'a> {
    fn of(replies: &'a Replies) -> Self {
        let edevs = reading(&replies.edevs);
        let devs = if replies.devs.is_some() { edevs.or(reading(&replies.devs)) } else { edevs };
        Self {
            summary: reading(&replies.summary),
            devs: devs.map(Vec::as_slice),
            pools: reading(&replies.pools).map(Vec::as_slice),
            status: reading(&replies.status),
            errors: reading(&replies.errors),
        }
    }
}

/// Everything but the shares since the previous snapshot, which [`shares`] adds.
pub(super) fn snapshot(replies: &Replies, facts: &Facts, nominal: Option<f64>) -> MinerSnapshot {
    let live = Live::of(replies);
    let mut missing = Missing(facts.missing.0.clone());
    let mut stats = MinerStats::default();
    let summary = live.summary;
    stats.boards = boards::boards(live.devs, facts.parts, &mut missing);
    stats.frequency_mhz = boards::frequencies(live.devs, summary, &mut missing);
    stats.temperature_c = boards::temperatures(live.devs, summary, &mut missing);
    stats.fans = boards::fans(summary, reported(facts.supply.fan), facts.parts, &mut missing);
    stats.psu.clone_from(&facts.psu);
    mains(&mut stats, summary, &mut missing);
    stats.miner_specific.clone_from(&facts.specific);
    stats.hashrate_mhs = hashrates(summary, &mut missing);
    let now = stats.hashrate_mhs.and_then(|h| h.current());
    stats.nominal_hashrate_mhs =
        missing.keep("stats.nominal_hashrate_mhs", summary.and_then(|s| factory(s.factory_ghs)));
    power(&mut stats, &live, now, &mut missing);
    let nominal = reported(nominal.and_then(JoulesPerTerahash::new));
    stats.nominal_efficiency_w_ths = missing.keep("stats.nominal_efficiency_w_ths", nominal);
    let uptime = summary.and_then(|s| millis(s.elapsed));
    stats.uptime_ms = missing.keep("stats.uptime_ms", uptime);
    stats.pool_status =
        missing.keep("stats.pool_status", live.pools).map(|pools| pool_status(pools, &mut missing));
    let raw_errors = device_errors(&live, &mut missing);
    if let Some(list) = &raw_errors {
        stats.are_all_errors_minor = Some(errors::all_minor(list, facts.info.model.as_deref()));
        stats.errors.clone_from(list);
    }
    let signs = signs(&live, &stats, facts);
    stats.is_mining = missing.keep("stats.is_mining", reported(signs.is_mining()));
    stats.status = signs.status();
    stats.state = signs.state();

    let mut out = MinerSnapshot::default();
    out.success = true;
    out.config = Some(config(&live, &signs, facts, &mut missing));
    out.extra = extra(&live, facts);
    out.info = Some(facts.info.clone());
    out.raw_errors = raw_errors;
    out.stats = stats;
    out.missing = missing.0;
    out
}

/// Shares since the previous snapshot. The first has nothing to compare with, and an empty list of pools counts
/// nothing. Firmware that does not count stale shares counts them as 0, and `missing` says so.
pub(super) fn shares(out: &mut MinerSnapshot, meter: &mut ShareMeter) {
    const PATH: &str = "stats.all_pools_shares";
    let pools = out.stats.pool_status.as_deref().unwrap_or_default();
    let lacks = |count: fn(&PoolStatus) -> Option<u64>| pools.iter().any(|pool| count(pool).is_none());
    let reason = match &out.stats.pool_status {
        None => Some(MissingReason::Derived),
        Some(_) if pools.is_empty() || lacks(|p| p.accepted) => Some(MissingReason::NotReported),
        Some(_) => None,
    };
    let (rejected, stale) = (lacks(|p| p.rejected), lacks(|p| p.stale));
    if let Some(reason) = reason {
        out.missing.insert(PATH, reason);
        return;
    }
    out.stats.all_pools_shares = meter.advance(Shares::of(pools));
    if out.stats.all_pools_shares.is_none() {
        out.missing.insert(PATH, MissingReason::Derived);
    }
    for (path, lacking) in
        [("stats.all_pools_shares.rejected", rejected), ("stats.all_pools_shares.stale", stale)]
    {
        if lacking {
            out.missing.insert(path, MissingReason::NotReported);
        }
    }
}

fn hashrates(summary: Reading<&Summary>, missing: &mut Missing) -> Option<HashrateWindows> {
    let summary = missing.keep("stats.hashrate_mhs", summary)?;
    let mut out = HashrateWindows::default();
    out.avg = missing.keep("stats.hashrate_mhs.avg", rate(summary.mhs_av));
    out.realtime = missing.keep("stats.hashrate_mhs.realtime", rate(summary.hs_rt));
    out.t_5s = missing.keep("stats.hashrate_mhs.t_5s", rate(summary.mhs_5s));
    out.t_1m = missing.keep("stats.hashrate_mhs.t_1m", rate(summary.mhs_1m));
    out.t_5m = missing.keep("stats.hashrate_mhs.t_5m", rate(summary.mhs_5m));
    out.t_15m = missing.keep("stats.hashrate_mhs.t_15m", rate(summary.mhs_15m));
    // Without any window the reason of the average speaks for all.
    let none = out == HashrateWindows::default();
    missing.keep(
        "stats.hashrate_mhs",
        if none { Err(rate(summary.mhs_av).err().unwrap_or(MissingReason::NotReported)) } else { Ok(out) },
    )
}

/// API v1 tells in the summary what its supply is connected to, also where it tells nothing more of the supply.
fn mains(stats: &mut MinerStats, summary: Reading<&Summary>, missing: &mut Missing) {
    const OTHERS: [&str; 5] = [
        "stats.psu.model",
        "stats.psu.serial",
        "stats.psu.firmware",
        "stats.psu.input_w",
        "stats.psu.temperature_c",
    ];
    let told = summary.ok().and_then(|s| s.voltage).filter(|x| *x > 0.0);
    let Some(volts) = told.and_then(|x| Volts::new(floor2(x / 100.0))) else { return };
    Arc::make_mut(stats.psu.get_or_insert_default()).input_v = Some(volts);
    if let Some(reason) = missing.0.remove("stats.psu") {
        for path in OTHERS {
            missing.0.insert(path, reason);
        }
    }
}

/// Power, its limit and efficiency. Without an efficiency of its own the device's power and present rate give it.
fn power(stats: &mut MinerStats, live: &Live<'_>, now: Option<Hashrate>, missing: &mut Missing) {
    let summary = live.summary;
    let hashing = now.is_some_and(|rate| rate.mhs() > 0.0);
    let drawn = either(summary.and_then(|s| watts(s.power)), || summary.and_then(|s| watts(s.power_rt)));
    // Nothing hashes for nothing.
    let drawn =
        drawn.and_then(|w| if hashing && w.get() == 0.0 { Err(MissingReason::Implausible) } else { Ok(w) });
    stats.power_w = missing.keep("stats.power_w", drawn);
    stats.power_source = stats.power_w.map(|_| PowerSource::Device);
    let set =
        either(summary.and_then(|s| limit(s.power_limit)), || live.status.and_then(|s| limit(s.power_limit)));
    stats.power_limit_w = missing.keep("stats.power_limit_w", set);
    let told = summary.and_then(|s| watts(s.power_rate));
    stats.efficiency_w_ths = missing.keep("stats.efficiency_w_ths", efficiency(told, stats.power_w, now));
}

fn pool_status(pools: &[Pool], missing: &mut Missing) -> Vec<PoolStatus> {
    let one = |pool: &Pool| {
        let mut out = PoolStatus::default();
        out.pool = pool.url.clone().unwrap_or_default();
        out.accepted = missing.keep("stats.pool_status.accepted", reported(pool.accepted));
        out.rejected = missing.keep("stats.pool_status.rejected", reported(pool.rejected));
        out.stale = missing.keep("stats.pool_status.stale", reported(pool.stale));
        out.alive = pool.status.as_deref().map(|status| status.eq_ignore_ascii_case("alive"));
        out.active = pool.active;
        out
    };
    pools.iter().map(one).collect()
}

/// The errors from `get_error_code`, else from the summary, where API v1 has them.
fn device_errors(live: &Live<'_>, missing: &mut Missing) -> Option<Vec<DeviceError>> {
    if let Ok(list) = live.errors {
        return Some(list.0.iter().map(|(code, since)| errors::decode(code, since.as_deref())).collect());
    }
    if let Some(codes) = live.summary.ok().and_then(Summary::error_codes) {
        return Some(codes.map(|code| errors::decode(code, None)).collect());
    }
    let reason = live.errors.err().unwrap_or(MissingReason::NoReply);
    for path in ["raw_errors", "stats.errors", "stats.are_all_errors_minor"] {
        missing.keep(path, Err::<(), _>(reason));
    }
    None
}

fn signs(live: &Live<'_>, stats: &MinerStats, facts: &Facts) -> Signs {
    let rates = stats.hashrate_mhs.unwrap_or_default();
    let summary = live.summary.ok();
    let boards = u32::try_from(stats.boards.len()).unwrap_or(u32::MAX);
    Signs {
        off: live.status.ok().and_then(|s| s.mineroff.or(s.btmineroff)),
        now: rates.current().map(Hashrate::mhs),
        average: rates.avg.map(Hashrate::mhs),
        aim: aim(live, stats.nominal_hashrate_mhs.map(Hashrate::mhs)),
        settled: summary.and_then(|s| s.upfreq_complete),
        elapsed: summary.and_then(|s| s.elapsed),
        uptime: summary.and_then(|s| s.uptime),
        errors: !stats.errors.is_empty(),
        boards_missing: live.devs.is_ok() && facts.parts.boards.is_some_and(|expected| boards < expected),
    }
}

/// What it should hash in its present mode, MH/s: the factory's rate is that of normal mode at full power.
fn aim(live: &Live<'_>, nominal: Option<f64>) -> Option<f64> {
    let summary = live.summary.ok()?;
    let low = mode(summary.power_mode.as_ref()) == Ok(PowerMode::Low);
    let target = summary.target_mhs.filter(|mhs| *mhs > 0.0 && nominal.is_none_or(|nominal| *mhs < nominal));
    let percent = live.status.ok().and_then(|s| s.hash_percent).filter(|p| *p > 0.0 && *p < 100.0);
    let whole = target.or(nominal.filter(|_| !low))?;
    Some(whole * percent.unwrap_or(100.0) / 100.0)
}

fn config(live: &Live<'_>, signs: &Signs, facts: &Facts, missing: &mut Missing) -> MinerConfig {
    let mut config = facts.config.clone();
    let pools = live.pools.map(|pools| {
        let one = |pool: &Pool| PoolConfig {
            url: pool.url.clone().unwrap_or_default(),
            username: pool.user.clone().unwrap_or_default(),
        };
        pools.iter().map(one).collect()
    });
    config.pool_config = missing.keep("config.pool_config", pools);
    let unknown = live.status.err().unwrap_or(MissingReason::NotReported);
    config.suspended = missing.keep("config.suspended", signs.suspended().ok_or(unknown));
    let own = live.summary.and_then(|s| mode(s.power_mode.as_ref()));
    let mode = match config.suspended {
        Some(true) => Ok(PowerMode::Sleep),
        _ => either(own, || live.status.and_then(|s| mode(s.power_mode.as_ref()))),
    };
    config.power_mode = missing.keep("config.power_mode", mode);
    config
}

pub(super) fn mode(word: Option<&Text>) -> Reading<PowerMode> {
    match text(word)?.to_ascii_lowercase().as_str() {
        "low" => Ok(PowerMode::Low),
        "normal" => Ok(PowerMode::Normal),
        "high" => Ok(PowerMode::High),
        _ => Err(MissingReason::BadReply),
    }
}

/// Members that only this family has.
fn extra(live: &Live<'_>, facts: &Facts) -> Members<Value> {
    let mut out = Members::new();
    let mut put = |key: &'static str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(key, value);
        }
    };
    if let Ok(s) = live.summary {
        put("hash_stable", s.hash_stable.map(Value::from));
        put("hash_deviation_pct", s.hash_deviation.map(number));
        put("upfreq_complete", s.upfreq_complete.map(Value::from));
        put("fast_boot", text(s.fast_boot.as_ref()).ok().map(Value::from));
        put("pool_rejected_pct", s.pool_rejected.map(number));
        put("os_uptime_ms", millis(s.uptime).ok().map(Value::from));
        put("power_current_raw", s.power_current.map(number));
        put("errors_left_out", s.errors_left_out().map(Value::from));
    }
    if let Ok(s) = live.status {
        put("mineroff_reason", text(s.mineroff_reason.as_ref()).ok().map(Value::from));
        put("hash_percent", s.hash_percent.map(number));
    }
    if let Ok(devs) = live.devs {
        let worst = devs.iter().filter_map(|dev| dev.chip_vol_diff).reduce(f64::max);
        put("chip_vol_diff", worst.map(number));
    }
    put("psu_vin_raw", facts.supply.vin.clone().map(Value::from));
    put("psu_iin_raw", facts.supply.iin.clone().map(Value::from));
    out
}

/// A number as MiningOS writes it: two decimals, none where it is whole.
#[allow(clippy::cast_possible_truncation, reason = "whole and far below the bounds")]
fn number(x: f64) -> Value {
    let x = floor2(x);
    if x.fract() == 0.0 && x.abs() < 1e15 { Value::from(x as i64) } else { Value::from(x) }
}
