//! What the device says at one moment, before it is written as CGI JSON or as legacy JSON.

use super::models::{AntminerModel, Sensors};
use crate::{Board, Truth};

/// Seconds after the start of mining in which the self-tests have no result.
const SELF_TEST_S: u64 = 30;

/// The values behind `summary`, `stats` and `pools` in every form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// Unix time, seconds.
    pub when: i64,
    /// Type text.
    pub kind: String,
    /// `CompileTime`.
    pub built: String,
    /// Seconds since mining began.
    pub elapsed: u64,
    pub rates: GigaRates,
    /// Boards that are found; a lost one is absent.
    pub boards: Vec<BoardReading>,
    /// Places for boards.
    pub slots: u8,
    /// Chips that a whole board has.
    pub chips: u32,
    /// rpm.
    pub fans: Vec<i64>,
    pub watts: i64,
    pub mode: u8,
    pub freq_level: u32,
    pub pools: Vec<PoolReading>,
    pub status: Vec<StatusReading>,
    pub best_share: u64,
    /// Difficulty of a share.
    pub difficulty: u64,
}

/// What the configuration adds to the measured truth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub model: &'a AntminerModel,
    pub built: &'a str,
    pub mode: u8,
    pub freq_level: u32,
    /// Whether `summary.status[]` has entries.
    pub status_list: bool,
}

/// GH/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct GigaRates {
    pub now: f64,
    pub half_hour: f64,
    pub average: f64,
    pub ideal: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct BoardReading {
    /// Slot from 0.
    pub slot: u8,
    pub serial: String,
    /// Chips that answer.
    pub alive: u32,
    pub mhz: f64,
    /// GH/s.
    pub rate: f64,
    /// GH/s.
    pub ideal: f64,
    pub errors: u64,
    pub pic: [f64; 4],
    pub pcb: [f64; 4],
    pub chip: [f64; 4],
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PoolReading {
    pub url: String,
    pub user: String,
    pub status: &'static str,
    pub accepted: u64,
    pub rejected: u64,
    pub stale: u64,
    /// Whether the miner works for it now.
    pub active: bool,
}

/// One line of `summary.status[]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StatusReading {
    pub kind: &'static str,
    /// `s` good, `w` warning, `e` error, nothing while starting.
    pub level: &'static str,
    pub code: u32,
    pub message: String,
}

impl Reading {
    pub fn of(truth: &Truth, facts: Facts<'_>) -> Self {
        let sheet = facts.model.sheet;
        let giga = |mhs: f64| mhs / 1000.0;
        Self {
            when: truth.at.0 / 1000,
            kind: sheet.name.to_owned(),
            built: facts.built.to_owned(),
            elapsed: truth.elapsed_s,
            rates: GigaRates {
                now: giga(truth.rates.s5),
                half_hour: giga(truth.rates.m30),
                average: giga(truth.rates.average),
                ideal: giga(truth.nominal_mhs),
            },
            boards: truth.boards.iter().map(|b| BoardReading::of(b, facts.model.sensors)).collect(),
            slots: sheet.boards,
            chips: u32::from(sheet.chips),
            fans: truth.fans_rpm.iter().map(|rpm| rpm.round() as i64).collect(),
            watts: truth.power_w.round() as i64,
            mode: facts.mode,
            freq_level: facts.freq_level,
            pools: pools(truth),
            status: if facts.status_list { status(truth, sheet.boards) } else { Vec::new() },
            best_share: truth.accepted.saturating_mul(truth.difficulty as u64 * 3),
            difficulty: truth.difficulty as u64,
        }
    }

    /// Hardware errors of all boards.
    pub fn errors(&self) -> u64 {
        self.boards.iter().map(|b| b.errors).sum()
    }

    /// The chip map of a board in groups as the legacy answer writes it; the CGI has it without blanks.
    pub fn chip_map(&self, board: &BoardReading, blanks: bool) -> String {
        let mut map = String::with_capacity(self.chips as usize * 4 / 3 + 1);
        for chip in 0..self.chips {
            if blanks && chip % 3 == 0 {
                map.push(' ');
            }
            map.push(if chip < board.alive { 'o' } else { 'x' });
        }
        map
    }
}

impl BoardReading {
    /// Every temperature is a multiple of a true one, so that a device that lies about those lies about all.
    fn of(board: &Board, sensors: Sensors) -> Self {
        let t = |value: f64| (value * 10.0).round() / 10.0;
        let (inlet, outlet) = (t(board.pcb_c * 0.76), t(board.pcb_c * 0.98));
        let (cold, warm) = (t(board.pcb_c * 0.9), t(board.pcb_c * 1.1));
        let (low, high) = (t(board.chip_min_c), t(board.chip_max_c));
        let middle = t((4.0 * board.chip_avg_c - board.chip_min_c - board.chip_max_c) / 2.0);
        let mean = t(board.pcb_c);
        let (pic, pcb, chip) = match sensors {
            Sensors::Crossed => {
                ([cold, outlet, inlet, outlet], [cold, warm, cold, warm], [middle, high, low, middle])
            }
            Sensors::Pairs => {
                ([outlet, outlet, inlet, inlet], [warm, warm, cold, cold], [middle, high, low, middle])
            }
            Sensors::Water => {
                ([t(board.chip_avg_c), mean, mean, mean], [inlet, mean, outlet, mean], [0.0; 4])
            }
        };
        Self {
            slot: board.slot,
            serial: board.serial.clone(),
            alive: u32::from(board.chips),
            mhz: board.frequency_mhz,
            rate: board.rate_mhs / 1000.0,
            ideal: board.nominal_mhs / 1000.0,
            errors: 0,
            pic,
            pcb,
            chip,
        }
    }
}

/// The machine works for the first pool that is configured; all shares are there.
fn pools(truth: &Truth) -> Vec<PoolReading> {
    let configured = truth.pools.iter().filter(|p| !p.url.is_empty());
    let row = |(i, pool): (usize, &crate::Pool)| {
        let shares = |n: u64| if i == 0 { n } else { 0 };
        PoolReading {
            url: pool.url.clone(),
            user: pool.user.clone(),
            status: if truth.pools_alive { "Alive" } else { "Dead" },
            accepted: shares(truth.accepted),
            rejected: shares(truth.rejected),
            stale: shares(truth.stale),
            active: i == 0 && truth.pools_alive,
        }
    };
    configured.enumerate().map(row).collect()
}

fn good(kind: &'static str) -> StatusReading {
    StatusReading { kind, level: "s", code: 0, message: String::new() }
}

fn bad(kind: &'static str, level: &'static str, code: u32, message: impl Into<String>) -> StatusReading {
    StatusReading { kind, level, code, message: message.into() }
}

/// The self-tests. A code of the side port shows in the line that it concerns.
fn status(truth: &Truth, boards: u8) -> Vec<StatusReading> {
    let mut lines = [good("rate"), good("network"), good("fans"), good("temp")];
    if truth.ramping && truth.elapsed_s < SELF_TEST_S {
        for line in &mut lines {
            line.level = "";
        }
        return lines.into();
    }
    if !truth.ramping && truth.rates.m5 < truth.nominal_mhs * 0.5 {
        lines[0] = bad("rate", "w", 1, "hashrate is low");
    }
    if !truth.pools_alive {
        lines[1] = bad("network", "e", 2, "all pools are dead");
    }
    if truth.fans_rpm.contains(&0.0) {
        lines[2] = bad("fans", "e", 1, "a fan stands still");
    }
    for error in &truth.errors {
        let (line, kind) =
            if matches!(error.code.as_str(), "P:1" | "P:2" | "J0:6") { (3, "temp") } else { (0, "rate") };
        let number = error.code.rsplit(':').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let message = match error.code.as_str() {
            "P:1" => "temperature is too high".to_owned(),
            "J0:8" => format!("found {} of {boards} hash boards", truth.boards.len()),
            other => other.to_owned(),
        };
        lines[line] = bad(kind, "e", number, message);
    }
    lines.into()
}

/// Codes for what is physically wrong, the worst first.
pub(super) fn codes(truth: &Truth, boards: u8) -> Vec<String> {
    let hot = truth.protecting.then(|| "P:1".to_owned());
    let lost = (truth.boards.len() < usize::from(boards)).then(|| "J0:8".to_owned());
    hot.into_iter().chain(lost).collect()
}

/// Two decimals, as the firmware prints rates.
pub(super) fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
