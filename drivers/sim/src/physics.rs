//! A small physical model of a miner. It is computed from the clock when it is asked, so that a device costs
//! nothing while nobody looks; times are seconds on the monotonic clock and may lie before its origin.

use std::collections::{BTreeMap, BTreeSet};

use headframe_core::io::Timestamp;

use crate::{curve::Segment, noise::noise};

pub(crate) use crate::noise::{mix, unit};
pub use crate::truth::{Board, Cooling, ErrorEntry, FanControl, Led, Model, Pool, PowerMode, Rates, Truth};

/// Seconds in which temperatures settle to 63 %.
const THERMAL_S: f64 = 90.0;
/// The same for a device whose cooling has failed under load: nothing carries the heat away.
const RUNAWAY_S: f64 = 12.0;
/// Board temperature at which a device stops hashing, °C.
const PROTECT_C: f64 = 95.0;
/// Board temperature towards which a device without cooling goes, °C.
const RUNAWAY_C: f64 = 118.0;
/// Seconds in which hashing ends after a stop.
const STOP_S: f64 = 2.0;
const MEGAHASHES_PER_DIFFICULTY: f64 = 4_294.967_296;
const SHARE_DIFFICULTY: f64 = 262_144.0;
/// Segments kept; older ones are folded into one sum.
const SEGMENTS: usize = 12;

/// How fast a device starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// Seconds of a reboot in which nothing listens.
    pub boot_s: f64,
    /// Seconds from the start of mining to the full rate.
    pub ramp_s: f64,
}

/// The state of one device and its writes; every method that depends on time takes it as `now`.
#[derive(Debug)]
pub(crate) struct Physics {
    pub model: &'static Model,
    pub hostname: String,
    pub led: Led,
    pub fan_control: FanControl,
    pub errors: Vec<ErrorEntry>,
    pools: Vec<Pool>,
    pace: Pace,
    seed: u64,
    spread: f64,
    booted: f64,
    started: f64,
    asleep: bool,
    mode: PowerMode,
    percent: f64,
    frequency_percent: f64,
    limit_w: Option<f64>,
    segments: Vec<Segment>,
    folded_mh: f64,
    heat: (f64, f64),
    overheating: bool,
    pools_dead: bool,
    lost_boards: BTreeSet<u8>,
    failed_fans: BTreeSet<u8>,
    outage: Option<(f64, f64)>,
    boots: u64,
}

impl Physics {
    /// A device that has run for a while, or, when `cold`, one that boots now.
    pub fn new(model: &'static Model, seed: u64, pace: Pace, pools: Vec<Pool>, now: f64, cold: bool) -> Self {
        let ran = if cold { 0.0 } else { 3_600.0 + 86_400.0 * 6.0 * unit(seed, 1) };
        let mut physics = Self {
            model,
            pools,
            hostname: String::new(),
            led: Led::Auto,
            fan_control: FanControl::Auto,
            errors: Vec::new(),
            pace,
            seed,
            spread: 0.985 + 0.03 * unit(seed, 2),
            booted: now - ran - if cold { 0.0 } else { pace.boot_s },
            started: now - ran,
            asleep: false,
            mode: PowerMode::Normal,
            percent: 100.0,
            frequency_percent: 0.0,
            limit_w: None,
            segments: Vec::new(),
            folded_mh: 0.0,
            heat: (now - ran, 0.0),
            overheating: false,
            pools_dead: false,
            lost_boards: BTreeSet::new(),
            failed_fans: BTreeSet::new(),
            outage: None,
            boots: 0,
        };
        physics.heat.1 = physics.ambient(now - ran);
        physics.begin_session(now - ran);
        physics
    }

    /// When the device is off: from and until; until may be infinite. Past outages are forgotten.
    pub fn outage(&mut self, now: f64) -> Option<(f64, f64)> {
        self.settle(now);
        self.outage
    }

    /// Whether the device answers at all.
    pub fn up(&mut self, now: f64) -> bool {
        self.outage(now).is_none_or(|(from, _)| now < from)
    }

    /// Reboots since the start of the simulation.
    pub fn boots(&mut self, now: f64) -> u64 {
        self.settle(now);
        self.boots
    }

    /// Seconds of an ordinary reboot.
    pub fn boot_s(&self) -> f64 {
        self.pace.boot_s
    }

    /// Turns everything off at `at` and boots for `down` seconds.
    pub fn reboot(&mut self, at: f64, down: f64) {
        self.outage = Some((at, at + down));
    }

    /// Stops mining; the control board stays up.
    pub fn sleep(&mut self, now: f64) {
        self.settle(now);
        if !self.asleep {
            self.asleep = true;
            self.replan(now, STOP_S);
        }
    }

    /// Mines again, ramping from nothing; a device that mines already goes on.
    pub fn wake(&mut self, now: f64) {
        self.settle(now);
        if self.asleep {
            self.asleep = false;
            self.restart_mining(now);
        }
    }

    /// Ends the mining session and begins another, as its software's restart does.
    pub fn restart_mining(&mut self, now: f64) {
        self.settle(now);
        self.percent = 100.0;
        self.heat = (now, self.board_c(now));
        self.begin_session(now);
    }

    /// Sets the power mode and restarts mining.
    pub fn set_mode(&mut self, now: f64, mode: PowerMode) {
        self.settle(now);
        self.mode = mode;
        self.restart_mining(now);
    }

    /// Sets or lifts the power limit and restarts mining.
    pub fn set_limit(&mut self, now: f64, limit_w: Option<f64>) {
        self.settle(now);
        self.limit_w = limit_w;
        self.restart_mining(now);
    }

    /// Sets the power percentage; it holds until mining restarts.
    pub fn set_percent(&mut self, now: f64, percent: f64) {
        self.settle(now);
        self.percent = percent;
        self.replan(now, 10.0);
    }

    /// Moves the chips' frequency by so many percent and restarts mining.
    pub fn set_frequency_percent(&mut self, now: f64, percent: f64) {
        self.settle(now);
        self.frequency_percent = percent;
        self.restart_mining(now);
    }

    /// The configured pools.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// Configures pools; without any, nothing hashes.
    pub fn set_pools(&mut self, now: f64, pools: Vec<Pool>) {
        self.settle(now);
        let before = self.full_rate();
        self.pools = pools;
        if (self.full_rate() > 0.0) != (before > 0.0) {
            self.replan(now, if before > 0.0 { STOP_S } else { self.pace.ramp_s });
        }
    }

    /// Power that this mode needs at 100 %, W.
    pub fn mode_power_w(&self) -> f64 {
        self.model.nominal_w * self.mode_factors().1
    }

    /// Power limit in force, W.
    pub fn limit_w(&self) -> f64 {
        self.limit_w.unwrap_or_else(|| self.mode_power_w())
    }

    /// Lets the cooling fail or repairs it.
    pub fn set_overheating(&mut self, now: f64, on: bool) {
        self.settle(now);
        if self.overheating != on {
            self.heat = (now, self.board_c(now));
            self.overheating = on;
            self.replan(now, if on { 0.0 } else { self.pace.ramp_s });
        }
    }

    /// Lets all pools go away or return.
    pub fn set_pools_dead(&mut self, now: f64, on: bool) {
        self.settle(now);
        if self.pools_dead != on {
            self.pools_dead = on;
            self.replan(now, STOP_S);
        }
    }

    /// Removes hash boards.
    pub fn set_lost_boards(&mut self, now: f64, lost: BTreeSet<u8>) {
        self.settle(now);
        if self.lost_boards != lost {
            self.lost_boards = lost;
            self.replan(now, STOP_S);
        }
    }

    /// Stops fans.
    pub fn set_failed_fans(&mut self, failed: BTreeSet<u8>) {
        self.failed_fans = failed;
    }

    /// Everything that can be measured now. `wall` is the wall time of `now`.
    pub fn read(&mut self, now: f64, wall: Timestamp) -> Truth {
        let up = self.up(now);
        let rate = if up { self.rate(now) } else { 0.0 };
        let elapsed = (now - self.started).max(0.0);
        let total_mh = self.total(now);
        let shares = total_mh / (SHARE_DIFFICULTY * MEGAHASHES_PER_DIFFICULTY);
        let rejected = (shares * 0.002).floor();
        let noisy = |value: f64, every: f64, depth: f64, salt: u64| {
            value * (1.0 + depth * noise(self.seed, salt, (now / every).floor()))
        };
        let rates = Rates {
            realtime: noisy(rate, 1.0, 0.01, 3),
            s5: noisy(self.window(now, 5.0), 5.0, 0.01, 4),
            m1: noisy(self.window(now, 60.0), 5.0, 0.004, 5),
            m5: noisy(self.window(now, 300.0), 5.0, 0.002, 6),
            m15: noisy(self.window(now, 900.0), 5.0, 0.001, 7),
            m30: noisy(self.window(now, 1_800.0), 5.0, 0.001, 8),
            average: if elapsed > 0.0 { total_mh / elapsed } else { 0.0 },
        };
        let power_w = if up { noisy(self.power_w(now), 1.0, 0.004, 9) } else { 0.0 };
        Truth {
            at: wall,
            up,
            mining: up && rate > 0.0,
            asleep: self.asleep,
            ramping: !self.asleep && self.full_rate() > 0.0 && rate < self.full_rate() * 0.98,
            uptime_s: (now - self.booted).max(0.0) as u64,
            elapsed_s: elapsed as u64,
            nominal_mhs: self.model.nominal_mhs,
            total_mh,
            accepted: (shares.floor() - rejected).max(0.0) as u64,
            rejected: rejected as u64,
            stale: (shares * 0.0005).floor() as u64,
            difficulty: SHARE_DIFFICULTY,
            power_w,
            power_limit_w: self.limit_w(),
            percent: self.percent,
            mode: self.mode,
            ambient_c: self.ambient(now),
            boards: self.boards(now, &rates),
            boards_expected: self.model.boards,
            frequency_mhz: self.frequency(),
            fans_rpm: self.fans(now),
            psu_fan_rpm: if up { 3_600.0 + 2_400.0 * power_w / self.model.nominal_w } else { 0.0 },
            fan_control: self.fan_control,
            pools: self.pools.clone(),
            pools_alive: !self.pools_dead,
            led: self.led,
            errors: self.errors.clone(),
            hostname: self.hostname.clone(),
            protecting: self.protecting(now),
            settings: BTreeMap::new(),
            rates,
        }
    }

    /// Carries out an outage that has ended by `now`.
    fn settle(&mut self, now: f64) {
        let Some((from, until)) = self.outage else { return };
        if now < until {
            return;
        }
        let cooled = self.ambient(until) + (self.board_c(from) - self.ambient(from)) * decay(until - from);
        self.outage = None;
        self.booted = until;
        self.boots += 1;
        self.led = Led::Auto;
        self.percent = 100.0;
        self.heat = (until, cooled);
        self.begin_session(until);
    }

    fn begin_session(&mut self, now: f64) {
        self.started = now;
        self.folded_mh = 0.0;
        self.segments.clear();
        self.replan(now, self.pace.ramp_s);
    }

    /// Draws the hashrate's curve anew from `now`, reaching its level in `ramp` seconds.
    fn replan(&mut self, now: f64, ramp: f64) {
        let start = self.rate(now);
        self.heat = (now, self.board_c(now));
        self.segments.retain(|s| s.from < now);
        self.segments.push(Segment { from: now, ramp, start, level: self.full_rate() });
        if self.overheating {
            let from = now + self.seconds_to_protection();
            let start = self.rate(from);
            self.segments.push(Segment { from, ramp: 0.0, start, level: 0.0 });
        }
        while self.segments.len() > SEGMENTS {
            let first = self.segments.remove(0);
            self.folded_mh += self.segments.first().map_or(0.0, |next| first.hashes(next.from));
        }
    }

    fn seconds_to_protection(&self) -> f64 {
        let at = self.heat.1;
        if at >= PROTECT_C {
            return 0.0;
        }
        RUNAWAY_S * ((RUNAWAY_C - at) / (RUNAWAY_C - PROTECT_C)).ln()
    }

    fn protecting(&self, now: f64) -> bool {
        self.overheating && self.board_c(now) >= PROTECT_C - 0.01
    }

    fn segment(&self, t: f64) -> Option<&Segment> {
        self.segments.iter().rev().find(|s| s.from <= t)
    }

    fn rate(&self, t: f64) -> f64 {
        self.segment(t).map_or(0.0, |s| s.rate(t))
    }

    /// Millions of hashes of this session until `t`.
    fn total(&self, t: f64) -> f64 {
        let t = self.outage.map_or(t, |(from, _)| t.min(from));
        let mut sum = self.folded_mh;
        for (i, segment) in self.segments.iter().enumerate() {
            let end = self.segments.get(i + 1).map_or(t, |next| next.from.min(t));
            sum += segment.hashes(end);
        }
        sum
    }

    fn window(&self, now: f64, seconds: f64) -> f64 {
        let Some(first) = self.segments.first() else { return 0.0 };
        let from = (now - seconds).max(first.from);
        if now - from <= 0.0 {
            return 0.0;
        }
        (self.total(now) - self.total(from)) / (now - from)
    }

    fn mode_factors(&self) -> (f64, f64) {
        match self.mode {
            PowerMode::Low => self.model.low,
            PowerMode::Normal => (1.0, 1.0),
            PowerMode::High => self.model.high.unwrap_or((1.0, 1.0)),
        }
    }

    fn frequency(&self) -> f64 {
        self.model.frequency_mhz * self.mode_factors().0 * (1.0 + self.frequency_percent / 100.0)
    }

    fn present(&self) -> impl Iterator<Item = u8> + '_ {
        (0..self.model.boards).filter(|slot| !self.lost_boards.contains(slot))
    }

    /// Power with the mode, percentage, limit and boards in force, W, once the rate is reached.
    fn busy_w(&self) -> f64 {
        let wanted = self.mode_power_w() * self.percent / 100.0 * (1.0 + self.frequency_percent / 100.0);
        let share = self.present().count() as f64 / f64::from(self.model.boards.max(1));
        (wanted * share).min(self.limit_w())
    }

    /// The rate that would be reached with the settings in force, MH/s.
    fn full_rate(&self) -> f64 {
        if self.asleep || self.pools_dead || self.pools.iter().all(|p| p.url.is_empty()) {
            return 0.0;
        }
        let (rate, power) = self.mode_factors();
        let part = (self.busy_w() / (self.model.nominal_w * power)).max(0.0);
        // Chips get less efficient near their limit, so less power costs less than its share of the rate.
        self.model.nominal_mhs * self.spread * rate * part.powf(0.9)
    }

    fn power_w(&self, now: f64) -> f64 {
        let (full, idle) = (self.full_rate(), self.model.idle_w);
        let rate = self.rate(now);
        if full <= 0.0 || self.protecting(now) {
            return idle + rate * (self.model.nominal_w - idle) / self.model.nominal_mhs;
        }
        let part = (rate / full).clamp(0.0, 1.0);
        // Boards draw a good part of their power before they hash.
        idle + (self.busy_w() - idle).max(0.0) * (0.3 + 0.7 * part)
    }

    fn ambient(&self, t: f64) -> f64 {
        self.site_c() + 0.4 * noise(self.seed, 11, (t / 60.0).floor())
    }

    /// Mean temperature where this device stands, °C.
    fn site_c(&self) -> f64 {
        22.0 + 8.0 * unit(self.seed, 10)
    }

    fn board_c(&self, t: f64) -> f64 {
        let ambient = self.site_c();
        let target = if self.overheating {
            RUNAWAY_C
        } else if self.full_rate() > 0.0 {
            ambient + 38.0 * self.busy_w() / self.model.nominal_w
        } else {
            ambient + 3.0
        };
        let pace = if self.overheating { THERMAL_S / RUNAWAY_S } else { 1.0 };
        target + (self.heat.1 - target) * decay(pace * (t - self.heat.0))
    }

    fn boards(&self, now: f64, rates: &Rates) -> Vec<Board> {
        let n = self.present().count().max(1) as f64;
        let pcb = self.board_c(now);
        let hot = if rates.realtime > 0.0 { 1.0 } else { 0.1 };
        let board = |slot: u8| {
            let salt = 20 + u64::from(slot);
            let own = 1.5 * noise(self.seed, salt, 0.0);
            let full = self.full_rate();
            Board {
                slot,
                rate_mhs: rates.realtime / n,
                average_mhs: rates.average / n,
                nominal_mhs: self.model.nominal_mhs / f64::from(self.model.boards.max(1)),
                pcb_c: pcb + own,
                chip_min_c: pcb + own + 2.0 * hot,
                chip_avg_c: pcb + own + 8.0 * hot,
                chip_max_c: pcb + own + 15.0 * hot,
                chips: self.model.chips,
                frequency_mhz: if full > 0.0 {
                    self.frequency() * (rates.realtime / full).min(1.0)
                } else {
                    0.0
                },
                serial: format!("HS{:010X}B{slot}", mix(self.seed, salt) & 0xff_ffff_ffff),
            }
        };
        self.present().map(board).collect()
    }

    fn fans(&self, now: f64) -> Vec<f64> {
        let auto = ((self.board_c(now) - 32.0) / 45.0).clamp(0.0, 1.0);
        let duty = match self.fan_control {
            FanControl::Auto => 0.3 + 0.7 * auto,
            FanControl::Percent(percent) => (percent / 100.0).clamp(0.0, 1.0),
        };
        let fan = |i: u8| {
            if self.failed_fans.contains(&i) {
                return 0.0;
            }
            let salt = 40 + u64::from(i);
            (6_600.0 * duty * (1.0 + 0.01 * noise(self.seed, salt, (now / 2.0).floor())) / 30.0).round()
                * 30.0
        };
        (0..self.model.fans).map(fan).collect()
    }
}

fn decay(seconds: f64) -> f64 {
    (-(seconds.max(0.0)) / THERMAL_S).exp()
}
