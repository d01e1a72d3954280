use std::collections::BTreeMap;

use headframe_core::io::Timestamp;

/// Data sheet of one model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// Name as the device reports it.
    pub name: &'static str,
    /// Nominal hashrate in normal mode, MH/s.
    pub nominal_mhs: f64,
    /// Power in normal mode, W.
    pub nominal_w: f64,
    /// Power of the control board and its supply while nothing hashes, W.
    pub idle_w: f64,
    /// Hash boards.
    pub boards: u8,
    /// Chips on one board.
    pub chips: u16,
    /// Fans of the case.
    pub fans: u8,
    /// Chip frequency in normal mode, MHz.
    pub frequency_mhz: f64,
    /// Cooling.
    pub cooling: Cooling,
    /// Hashrate and power in low mode as fractions of normal mode.
    pub low: (f64, f64),
    /// Hashrate and power in high mode as fractions of normal mode; `None` where the model has none.
    pub high: Option<(f64, f64)>,
    /// Control board as the device reports it.
    pub platform: &'static str,
}

/// How a model is cooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cooling {
    /// Fans.
    Air,
    /// Water or oil.
    Liquid,
}

/// Power mode of a mining device. Whether it mines is another matter: see [`Truth::asleep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PowerMode {
    /// Less hashrate at better efficiency.
    Low,
    /// The data sheet's.
    Normal,
    /// More hashrate at worse efficiency.
    High,
}

/// A configured pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pool {
    /// `stratum+tcp://…`, empty for an unused slot.
    pub url: String,
    /// Worker name.
    pub user: String,
    /// Worker password.
    pub password: String,
}

impl Pool {
    /// A pool with a worker and the password `x`.
    pub fn new(url: impl Into<String>, user: impl Into<String>) -> Self {
        Self { url: url.into(), user: user.into(), password: "x".into() }
    }
}

/// The locator light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Led {
    /// The firmware decides.
    Auto,
    /// It blinks so that somebody finds the device.
    Locate,
}

/// Who decides about the fans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FanControl {
    /// They follow the temperature.
    Auto,
    /// A fixed duty cycle in percent.
    Percent(f64),
}

/// An error that the device reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEntry {
    /// The vendor's code.
    pub code: String,
    /// Since when.
    pub since: Timestamp,
}

/// Hashrates over several windows, MH/s.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Now.
    pub realtime: f64,
    /// Over five seconds.
    pub s5: f64,
    /// Over one minute.
    pub m1: f64,
    /// Over five minutes.
    pub m5: f64,
    /// Over fifteen minutes.
    pub m15: f64,
    /// Over thirty minutes.
    pub m30: f64,
    /// Since mining started.
    pub average: f64,
}

/// One hash board.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Its slot, from 0.
    pub slot: u8,
    /// Hashrate now, MH/s.
    pub rate_mhs: f64,
    /// Hashrate since mining started, MH/s.
    pub average_mhs: f64,
    /// Nominal hashrate, MH/s.
    pub nominal_mhs: f64,
    /// Temperature of the board, °C.
    pub pcb_c: f64,
    /// Lowest chip temperature, °C.
    pub chip_min_c: f64,
    /// Mean chip temperature, °C.
    pub chip_avg_c: f64,
    /// Highest chip temperature, °C.
    pub chip_max_c: f64,
    /// Chips that answer.
    pub chips: u16,
    /// Frequency now, MHz.
    pub frequency_mhz: f64,
    /// Serial number.
    pub serial: String,
}

/// What is physically so in a device at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Wall time of this reading.
    pub at: Timestamp,
    /// Whether the device is switched on and has booted.
    pub up: bool,
    /// Whether it hashes now.
    pub mining: bool,
    /// Whether it was told not to mine.
    pub asleep: bool,
    /// Whether it still ramps up to its full rate.
    pub ramping: bool,
    /// Seconds since the control board booted.
    pub uptime_s: u64,
    /// Seconds since mining started.
    pub elapsed_s: u64,
    /// Hashrates.
    pub rates: Rates,
    /// Data-sheet hashrate, MH/s.
    pub nominal_mhs: f64,
    /// Hashes of this mining session, in millions.
    pub total_mh: f64,
    /// Shares accepted in this mining session.
    pub accepted: u64,
    /// Shares rejected in this mining session.
    pub rejected: u64,
    /// Shares that came too late.
    pub stale: u64,
    /// Difficulty of a share.
    pub difficulty: f64,
    /// Electrical power now, W.
    pub power_w: f64,
    /// Power limit in force, W.
    pub power_limit_w: f64,
    /// Power percentage in force, relative to the mode.
    pub percent: f64,
    /// Power mode.
    pub mode: PowerMode,
    /// Air or coolant temperature, °C.
    pub ambient_c: f64,
    /// Hash boards that are present.
    pub boards: Vec<Board>,
    /// Hash boards that the model has.
    pub boards_expected: u8,
    /// Target frequency, MHz.
    pub frequency_mhz: f64,
    /// Fans of the case, rpm.
    pub fans_rpm: Vec<f64>,
    /// Fan of the power supply, rpm.
    pub psu_fan_rpm: f64,
    /// Who decides about the fans.
    pub fan_control: FanControl,
    /// Pools in order of priority.
    pub pools: Vec<Pool>,
    /// Whether the pools answer.
    pub pools_alive: bool,
    /// Locator light.
    pub led: Led,
    /// Errors in force.
    pub errors: Vec<ErrorEntry>,
    /// Host name.
    pub hostname: String,
    /// Whether a device protects itself against heat.
    pub protecting: bool,
    /// Settings that only this family has, by the vendor's names.
    pub settings: BTreeMap<String, String>,
}

impl Truth {
    /// Mean board temperature, °C; the ambient one without boards.
    pub fn board_c(&self) -> f64 {
        self.mean(|b| b.pcb_c)
    }

    /// Mean chip temperature, °C; the ambient one without boards.
    pub fn chip_c(&self) -> f64 {
        self.mean(|b| b.chip_avg_c)
    }

    /// Efficiency in J/TH; `None` while nothing hashes.
    pub fn efficiency_jth(&self) -> Option<f64> {
        (self.rates.realtime > 0.0).then(|| self.power_w / (self.rates.realtime / 1e6))
    }

    fn mean(&self, of: impl Fn(&Board) -> f64) -> f64 {
        if self.boards.is_empty() {
            return self.ambient_c;
        }
        self.boards.iter().map(of).sum::<f64>() / self.boards.len() as f64
    }

    /// Applies `f` to every measured quantity; settings and names stay.
    pub(crate) fn scale(&mut self, f: impl Fn(f64) -> f64) {
        let Rates { realtime, s5, m1, m5, m15, m30, average } = &mut self.rates;
        for value in [realtime, s5, m1, m5, m15, m30, average, &mut self.power_w, &mut self.ambient_c] {
            *value = f(*value);
        }
        for board in &mut self.boards {
            for value in [
                &mut board.rate_mhs,
                &mut board.average_mhs,
                &mut board.pcb_c,
                &mut board.chip_min_c,
                &mut board.chip_avg_c,
                &mut board.chip_max_c,
            ] {
                *value = f(*value);
            }
        }
        for fan in &mut self.fans_rpm {
            *fan = f(*fan);
        }
        self.psu_fan_rpm = f(self.psu_fan_rpm);
    }
}
