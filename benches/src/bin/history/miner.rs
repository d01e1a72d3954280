//! Members of a simulated Whatsminer, rounded as it reports them.

use std::sync::Arc;

use headframe_core::{Result, history::Shape};
use headframe_sim::Truth;

/// Boards of the model.
const BOARDS: usize = 3;
const BASE: [&str; 25] = [
    "stats.power_w",
    "stats.power_limit_w",
    "stats.efficiency_w_ths",
    "stats.hashrate_mhs.now",
    "stats.hashrate_mhs.t_5s",
    "stats.hashrate_mhs.t_1m",
    "stats.hashrate_mhs.t_5m",
    "stats.hashrate_mhs.t_15m",
    "stats.hashrate_mhs.avg",
    "stats.nominal_hashrate_mhs",
    "stats.uptime_ms",
    "stats.elapsed_ms",
    "stats.temperature_c.ambient",
    "stats.temperature_c.avg",
    "stats.temperature_c.chips_min",
    "stats.temperature_c.chips_avg",
    "stats.temperature_c.chips_max",
    "stats.frequency_mhz.avg",
    "stats.shares.accepted",
    "stats.shares.rejected",
    "stats.shares.rejected_pct",
    "stats.shares.stale",
    "stats.fans.0.rpm",
    "stats.fans.1.rpm",
    "stats.psu.fan_rpm",
];
const BOARD: [&str; 8] = [
    "hashrate_mhs.now",
    "hashrate_mhs.avg",
    "temperature_c.pcb",
    "temperature_c.chips_min",
    "temperature_c.chips_avg",
    "temperature_c.chips_max",
    "frequency_mhz",
    "chips",
];

/// The members that [`values`] fills.
///
/// # Errors
/// Never: the names are good.
pub fn shape() -> Result<Arc<Shape>> {
    let board = |i: usize| BOARD.iter().map(move |name| format!("stats.boards.{i}.{name}"));
    Shape::new(BASE.iter().map(|name| (*name).to_owned()).chain((0..BOARDS).flat_map(board)))
}

fn tenth(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

fn hundredth(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}

/// What the device says, in the shape's order.
pub fn values(truth: &Truth, out: &mut Vec<f64>) {
    let rates = &truth.rates;
    let chips = |pick: fn(&headframe_sim::Board) -> f64, fold: fn(f64, f64) -> f64| {
        truth.boards.iter().map(pick).reduce(fold).map_or(f64::NAN, tenth)
    };
    let fan = |i: usize| truth.fans_rpm.get(i).map_or(f64::NAN, |rpm| rpm.round());
    let shares = (truth.accepted + truth.rejected).max(1) as f64;
    out.clear();
    out.extend([
        truth.power_w.round(),
        truth.power_limit_w.round(),
        truth.efficiency_jth().map_or(f64::NAN, hundredth),
        hundredth(rates.realtime),
        hundredth(rates.s5),
        hundredth(rates.m1),
        hundredth(rates.m5),
        hundredth(rates.m15),
        hundredth(rates.average),
        truth.nominal_mhs.round(),
        truth.uptime_s as f64 * 1e3,
        truth.elapsed_s as f64 * 1e3,
        tenth(truth.ambient_c),
        tenth(truth.board_c()),
        chips(|b| b.chip_min_c, f64::min),
        tenth(truth.chip_c()),
        chips(|b| b.chip_max_c, f64::max),
        truth.frequency_mhz.round(),
        truth.accepted as f64,
        truth.rejected as f64,
        (1e6 * truth.rejected as f64 / shares).round() / 1e4,
        truth.stale as f64,
        fan(0),
        fan(1),
        truth.psu_fan_rpm.round(),
    ]);
    for slot in 0..BOARDS {
        match truth.boards.get(slot) {
            None => out.extend([f64::NAN; BOARD.len()]),
            Some(board) => out.extend([
                hundredth(board.rate_mhs),
                hundredth(board.average_mhs),
                tenth(board.pcb_c),
                tenth(board.chip_min_c),
                tenth(board.chip_avg_c),
                tenth(board.chip_max_c),
                tenth(board.frequency_mhz),
                f64::from(board.chips),
            ]),
        }
    }
}
