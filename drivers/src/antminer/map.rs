//! Readings to snapshot. Pure; every unit is converted here and nowhere else.

use std::time::Duration;

use headframe_core::{
    driver::ShareMeter,
    io::Timestamp,
    model::{
        DeviceError, HashrateWindows, MinerSnapshot, MissingReason, Path, PoolStatus, PowerSource, Shares,
        Status,
    },
    units::{Hashrate, JoulesPerTerahash, Watts},
};
use serde_json::Value;

use super::{
    boards,
    identity::{Gaps, Known, Slow},
    judge::{self, Facts},
    wire::{MinerConf, Pool, Read, SelfTest, Stats, Summary},
};

/// Where the live values came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// The web interface.
    Http,
    /// Port 4028 with `new_api`.
    Rpc,
    /// Port 4028 with its old replies.
    RpcLegacy,
}

impl Via {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rpc => "rpc",
            Self::RpcLegacy => "rpc_legacy",
        }
    }
}

/// What one poll read. `None` inside `Ok` is an empty list: the mining software sleeps or restarts.
#[derive(Debug)]
pub(super) struct Live {
    pub via: Via,
    pub summary: Read<Option<Summary>>,
    pub stats: Read<Option<Stats>>,
    pub pools: Read<Vec<Pool>>,
    /// Code of `/warning`.
    pub warning: Read<Option<String>>,
    /// W of `/miner_power`.
    pub power: Read<f64>,
}

impl Live {
    /// The row of `stats`, when there is one.
    pub fn stats_row(&self) -> Option<&Stats> {
        self.stats.as_ref().ok().and_then(Option::as_ref)
    }

    /// The row of `summary`, when there is one.
    pub fn summary_row(&self) -> Option<&Summary> {
        self.summary.as_ref().ok().and_then(Option::as_ref)
    }

    /// Whether a reply came and holds no values.
    pub fn is_silent(&self) -> bool {
        matches!(self.summary, Ok(None)) || (self.summary.is_err() && matches!(self.stats, Ok(None)))
    }
}

/// What the thing knows besides the readings.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub slow: Slow<'a>,
    pub known: &'a Known,
    pub nominal: Option<JoulesPerTerahash>,
    /// Work mode that was read from the configuration in this very poll.
    pub mode_now: Option<i64>,
    /// How long the device has answered without values.
    pub silent: Option<Duration>,
    pub at: Timestamp,
}

/// The rates and the time of one row, whichever reply has them.
struct Rates<'a> {
    now: Option<f64>,
    half_hour: Option<f64>,
    average: Option<f64>,
    ideal: Option<f64>,
    unit: Option<&'a str>,
    elapsed: Option<u64>,
}

impl<'a> Rates<'a> {
    fn of(live: &'a Live) -> Option<Self> {
        let of_summary = |s: &'a Summary| Self {
            now: s.rate_5s,
            half_hour: s.rate_30m,
            average: s.rate_avg,
            ideal: s.rate_ideal,
            unit: s.rate_unit.as_deref(),
            elapsed: s.elapsed,
        };
        let of_stats = |s: &'a Stats| Self {
            now: s.rate_5s,
            half_hour: s.rate_30m,
            average: s.rate_avg,
            ideal: s.rate_ideal,
            unit: s.rate_unit.as_deref(),
            elapsed: s.elapsed,
        };
        live.summary_row().map(of_summary).or_else(|| live.stats_row().map(of_stats))
    }
}

/// MH/s in one of the unit. Without a unit it is GH/s.
pub(super) fn mhs_per(unit: Option<&str>) -> Read<f64> {
    match unit.map(|u| u.trim().as_bytes()) {
        None | Some([]) => Ok(1e3),
        Some([first, ..]) => match first.to_ascii_uppercase() {
            b'H' => Ok(1e-6),
            b'K' => Ok(1e-3),
            b'M' => Ok(1.0),
            b'G' => Ok(1e3),
            b'T' => Ok(1e6),
            b'P' => Ok(1e9),
            _ => Err(MissingReason::BadReply),
        },
    }
}

/// A rate in MH/s, rounded as MiningOS does.
pub(super) fn hashrate(value: Option<f64>, mhs: Read<f64>) -> Read<Hashrate> {
    let value = value.ok_or(MissingReason::NotReported)?;
    if value < 0.0 {
        return Err(MissingReason::Implausible);
    }
    Hashrate::from_mhs(value * mhs?).map(Hashrate::floor2).ok_or(MissingReason::Implausible)
}

/// The snapshot, and the share totals that it was made with.
pub(super) fn snapshot(live: &Live, around: &Around<'_>, meter: &mut ShareMeter) -> MinerSnapshot {
    let mut out = MinerSnapshot::default();
    out.success = true;
    let mut gaps = around.known.gaps.clone();
    let reported = live.stats_row().and_then(|s| s.mode);
    let asleep = reported.or(around.mode_now).map(|m| matches!(m, 1 | 5));
    let why = absence(live, asleep == Some(true));

    rates(&mut out, &mut gaps, live, why, asleep == Some(true));
    power(&mut out, &mut gaps, live);
    efficiency(&mut out, &mut gaps, around.nominal);
    pools(&mut out, &mut gaps, &live.pools, meter);
    match live.stats_row() {
        Some(row) => boards::fill(&mut out.stats, &mut gaps, row, around.known),
        None => boards::absent(&mut gaps, why),
    }
    let mode = reported
        .or(around.mode_now)
        .map_or_else(|| around.slow.conf.and_then(|c| c.mode().ok_or(MissingReason::NotReported)), Ok);
    let pool_list = live.pools.as_deref().map_err(|reason| *reason);
    out.config = Some(around.slow.config(around.known, mode, pool_list, &mut gaps));
    out.info = Some(around.known.info.clone());

    let facts = judged(&mut out, &mut gaps, live, around, asleep);
    out.stats.is_mining = facts.is_mining();
    if out.stats.is_mining.is_none() {
        gaps.push(("stats.is_mining", MissingReason::Derived));
    }
    out.stats.state = facts.state();
    out.stats.status = facts.status();
    if out.stats.status == Status::Error && !facts.errors {
        out.stats.errors.push(unreadable(around.at));
    }
    out.raw_errors = Some(out.stats.errors.clone());
    extra(&mut out, live, around, mode);
    out.missing.extend(gaps.into_iter().map(|(path, reason)| (Path::from(path), reason)));
    out
}

/// Why the values of `summary` and `stats` are absent.
fn absence(live: &Live, asleep: bool) -> MissingReason {
    match (&live.stats, asleep) {
        (Err(reason), _) => *reason,
        (Ok(_), true) => MissingReason::Asleep,
        // An empty list is what it answers while the mining software restarts.
        (Ok(_), false) => MissingReason::Sentinel,
    }
}

fn rates(out: &mut MinerSnapshot, gaps: &mut Gaps, live: &Live, why: MissingReason, asleep: bool) {
    let Some(rates) = Rates::of(live) else {
        let zero = Hashrate::from_mhs(0.0);
        if asleep && live.is_silent() {
            // It says that it does not hash; that is its word for 0.
            let mut windows = HashrateWindows::default();
            (windows.avg, windows.t_5s, windows.t_5m, windows.t_30m) = (zero, zero, zero, zero);
            out.stats.hashrate_mhs = Some(windows);
            substitute(out);
        } else {
            gaps.push(("stats.hashrate_mhs", live.summary.as_ref().err().copied().unwrap_or(why)));
        }
        gaps.push(("stats.nominal_hashrate_mhs", why));
        gaps.push(("stats.uptime_ms", why));
        return;
    };
    let mhs = mhs_per(rates.unit);
    let mut one = |path, value| hashrate(value, mhs).map_err(|reason| gaps.push((path, reason))).ok();
    let mut windows = HashrateWindows::default();
    windows.avg = one("stats.hashrate_mhs.avg", rates.average);
    windows.t_5s = one("stats.hashrate_mhs.t_5s", rates.now);
    windows.t_30m = one("stats.hashrate_mhs.t_30m", rates.half_hour);
    windows.t_5m = windows.t_30m;
    let nominal = one("stats.nominal_hashrate_mhs", rates.ideal.filter(|ideal| *ideal != 0.0));
    out.stats.nominal_hashrate_mhs = nominal;
    out.stats.hashrate_mhs = Some(windows);
    if windows.t_5m.is_some() {
        substitute(out);
    } else {
        gaps.push(("stats.hashrate_mhs.t_5m", MissingReason::Derived));
    }
    out.stats.uptime_ms = rates.elapsed.map(|s| s.saturating_mul(1000));
    if rates.elapsed.is_none() {
        gaps.push(("stats.uptime_ms", MissingReason::NotReported));
    }
}

/// The firmware has no window of 5 minutes; MiningOS and all that reads it expect one.
fn substitute(out: &mut MinerSnapshot) {
    out.substituted.insert(Path::from("stats.hashrate_mhs.t_5m"), "stats.hashrate_mhs.t_30m".into());
}

fn power(out: &mut MinerSnapshot, gaps: &mut Gaps, live: &Live) {
    let read = live.stats_row().and_then(Stats::watts).map_or(live.power, Ok);
    // A machine that answers draws something: 0 is a sensor that is not there.
    let plausible = read.and_then(|w| if w > 0.0 { Ok(w) } else { Err(MissingReason::Implausible) });
    match plausible.map(f64::trunc).map(Watts::new) {
        Ok(Some(watts)) => {
            out.stats.power_w = Some(watts);
            out.stats.power_source = Some(PowerSource::Device);
        }
        Ok(None) => gaps.push(("stats.power_w", MissingReason::Implausible)),
        Err(reason) => gaps.push(("stats.power_w", reason)),
    }
}

/// Power by the average since the start, to the nearest 0.01, as MiningOS computes it.
fn efficiency(out: &mut MinerSnapshot, gaps: &mut Gaps, nominal: Option<JoulesPerTerahash>) {
    let average = out.stats.hashrate_mhs.and_then(|h| h.avg);
    let exact = out.stats.power_w.zip(average).and_then(|(w, rate)| JoulesPerTerahash::of(w, rate));
    let rounded = exact.and_then(|e| JoulesPerTerahash::new((e.get() * 100.0).round() / 100.0));
    out.stats.efficiency_w_ths = rounded;
    if rounded.is_none() {
        gaps.push(("stats.efficiency_w_ths", MissingReason::Derived));
    }
    out.stats.nominal_efficiency_w_ths = nominal;
    if nominal.is_none() {
        gaps.push(("stats.nominal_efficiency_w_ths", MissingReason::NotReported));
    }
}

fn pools(out: &mut MinerSnapshot, gaps: &mut Gaps, read: &Read<Vec<Pool>>, meter: &mut ShareMeter) {
    let list = match read {
        Ok(list) => list,
        Err(reason) => {
            gaps.push(("stats.pool_status", *reason));
            gaps.push(("stats.all_pools_shares", MissingReason::Derived));
            return;
        }
    };
    let pools: Vec<PoolStatus> = list.iter().map(pool_status).collect();
    let counted = |p: &PoolStatus| p.accepted.is_some() && p.rejected.is_some() && p.stale.is_some();
    // An empty or half-read list must not look like a reset of the counters.
    let shares =
        if !pools.is_empty() && pools.iter().all(counted) { meter.advance(Shares::of(&pools)) } else { None };
    if shares.is_none() {
        gaps.push(("stats.all_pools_shares", MissingReason::Derived));
    }
    if pools.iter().any(|p| p.active.is_none()) {
        gaps.push(("stats.pool_status.active", MissingReason::NotReported));
    }
    out.stats.all_pools_shares = shares;
    out.stats.pool_status = Some(pools);
}

fn pool_status(pool: &Pool) -> PoolStatus {
    let mut out = PoolStatus::default();
    out.pool = pool.url.clone().unwrap_or_default();
    (out.accepted, out.rejected, out.stale) = (pool.accepted, pool.rejected, pool.stale);
    out.alive = match pool.status.as_deref() {
        Some("Alive") => Some(true),
        Some("Dead" | "Disabled") => Some(false),
        _ => None,
    };
    out.active = pool.active;
    out
}

/// Puts in the device's errors; gives what status and state follow from.
fn judged(
    out: &mut MinerSnapshot,
    gaps: &mut Gaps,
    live: &Live,
    around: &Around<'_>,
    asleep: Option<bool>,
) -> Facts {
    let tests: &[SelfTest] = live.summary_row().and_then(|s| s.status.as_deref()).unwrap_or_default();
    let code = live.warning.as_ref().ok().and_then(Option::as_deref);
    // A machine that was told to stop leaves its pools.
    let dead = asleep != Some(true) && live.pools.as_deref().is_ok_and(judge::all_pools_dead);
    let (failed, warnings) = judge::failed_tests(tests, code);
    let errors = dead.then(judge::dead_pools).into_iter().chain(code.map(judge::warned)).chain(failed);
    out.stats.errors = errors.collect();
    if let Err(reason) = live.warning
        && tests.is_empty()
    {
        gaps.push(("stats.errors", reason));
    }
    if !warnings.is_empty() {
        out.extra.insert(Path::from("warnings"), warnings.into_iter().map(warning).collect());
    }
    let windows = out.stats.hashrate_mhs.unwrap_or_default();
    Facts {
        asleep,
        rate: windows.t_5s.or(windows.t_30m).map(Hashrate::mhs),
        ideal: out.stats.nominal_hashrate_mhs.map(Hashrate::mhs),
        elapsed: out.stats.uptime_ms.map(Duration::from_millis),
        silent: around.silent,
        untested: judge::untested(tests),
        errors: !out.stats.errors.is_empty(),
        boards_missing: boards::missing(&out.stats, around.known),
    }
}

fn warning(test: &SelfTest) -> Value {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    serde_json::json!({
        "type": text(&test.kind), "status": text(&test.status), "code": text(&test.code), "msg": text(&test.msg),
    })
}

/// Without a rate that can be used nobody knows whether it hashes: said where MiningOS says that a collection
/// failed.
fn unreadable(at: Timestamp) -> DeviceError {
    let mut error = DeviceError::default();
    error.msg = Some("the machine answers, but its hashrate cannot be read".into());
    error.timestamp = Some(at);
    error
}

fn extra(out: &mut MinerSnapshot, live: &Live, around: &Around<'_>, mode: Read<i64>) {
    let mut put = |key: &'static str, value: Value| out.extra.insert(Path::from(key), value);
    put("transport", live.via.name().into());
    if let Some(errors) = live.summary_row().and_then(|s| s.hw_all) {
        put("hw_errors", errors.into());
    }
    if let Some(mac) = &around.known.raw_mac {
        put("mac_raw", mac.as_str().into());
    }
    if let Some(percent) = around.slow.conf.ok().and_then(MinerConf::fan_pct) {
        put("fan_pct", percent.into());
    }
    if let Ok(mode) = mode
        && judge::power_mode(mode).is_none()
    {
        put("work_mode", mode.into());
    }
}
