//! Hash boards, their sensors, and fans.

use headframe_core::{
    model::{
        Board, BoardTemps, ChipClock, ChipTemps, Fan, Frequencies, MinerStats, MissingReason, RawTemps,
        Temperatures,
    },
    units::{Celsius, Megahertz, floor2},
};

use super::{
    identity::{Gaps, Known},
    map::{hashrate, mhs_per},
    models::Layout,
    wire::{Chain, Read, Stats},
};

/// What is physically possible for a sensor on a board, °C.
const POSSIBLE: std::ops::RangeInclusive<f64> = -60.0..=200.0;

/// The sensors of one board by meaning, °C.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sensors {
    inlet: Read<f64>,
    outlet: Read<f64>,
    /// First chip sensor: what MiningOS takes for the board's chips.
    chip: Read<f64>,
    /// Hottest of all chip sensors.
    hottest: Read<f64>,
    /// First sensor of the circuit board, which MiningOS calls ambient.
    near: Read<f64>,
    /// Mean of the circuit board's sensors.
    board: Read<f64>,
}

/// Sensors that exist and say what is possible. Zero means that there is none.
fn usable(list: &[f64]) -> Read<impl Iterator<Item = f64> + '_> {
    let exist = |v: &&f64| **v != 0.0;
    if !list.iter().any(|v| *v != 0.0) {
        return Err(if list.is_empty() { MissingReason::NotReported } else { MissingReason::Sentinel });
    }
    if !list.iter().filter(exist).any(|v| POSSIBLE.contains(v)) {
        return Err(MissingReason::Implausible);
    }
    Ok(list.iter().copied().filter(|v| *v != 0.0 && POSSIBLE.contains(v)))
}

fn first(list: &[f64]) -> Read<f64> {
    usable(list)?.next().ok_or(MissingReason::Sentinel)
}

fn highest(list: &[f64]) -> Read<f64> {
    usable(list)?.reduce(f64::max).ok_or(MissingReason::Sentinel)
}

fn mean(list: &[f64]) -> Read<f64> {
    let (sum, n) = usable(list)?.fold((0.0, 0u32), |(sum, n), v| (sum + v, n + 1));
    if n == 0 { Err(MissingReason::Sentinel) } else { Ok(sum / f64::from(n)) }
}

impl Sensors {
    fn of(chain: &Chain, layout: Layout) -> Self {
        let list = |l: &'_ Option<Vec<f64>>| -> [f64; 4] {
            let mut out = [0.0; 4];
            for (to, from) in out.iter_mut().zip(l.iter().flatten()) {
                *to = *from;
            }
            out
        };
        let (pic, pcb) = (list(&chain.temp_pic), list(&chain.temp_pcb));
        let (chip, boards) = (chain.temp_chip.as_deref().unwrap_or_default(), chain.temp_pcb.as_deref());
        let plain = Self {
            inlet: highest(&pic[2..3]),
            outlet: highest(&pic[1..2]),
            chip: first(chip),
            hottest: highest(chip),
            near: first(boards.unwrap_or_default()),
            board: mean(boards.unwrap_or_default()),
        };
        match layout {
            Layout::Crossed => plain,
            Layout::Pairs => Self { inlet: highest(&pic[2..4]), outlet: highest(&pic[0..2]), ..plain },
            Layout::Water => {
                let board = mean(&[pic[1], pic[2], pic[3], pcb[1], pcb[3]]);
                Self {
                    inlet: highest(&pcb[0..1]),
                    outlet: highest(&pcb[2..3]),
                    chip: first(&pic[0..1]),
                    hottest: highest(&pic[0..1]),
                    near: board,
                    board,
                }
            }
        }
    }
}

/// Boards, clocks, temperatures and fans from `stats`.
pub(super) fn fill(out: &mut MinerStats, gaps: &mut Gaps, row: &Stats, known: &Known) {
    fans(out, gaps, row, known);
    let Some(chains) = &row.chain else {
        board_gaps(gaps, MissingReason::NotReported);
        return;
    };
    if chains.is_empty() {
        board_gaps(gaps, MissingReason::Sentinel);
        return;
    }
    let mhs = mhs_per(row.rate_unit.as_deref());
    let sensors: Vec<Sensors> = chains.iter().map(|c| Sensors::of(c, known.layout)).collect();
    let mut lost = Lost::default();
    for (i, (chain, sensors)) in chains.iter().zip(&sensors).enumerate() {
        let mut board = Board::default();
        board.slot = chain.index.and_then(|n| u32::try_from(n).ok()).unwrap_or(index(i));
        board.hashrate_mhs = lost.keep("stats.boards.hashrate_mhs", hashrate(chain.rate_real, mhs));
        let ideal = hashrate(chain.rate_ideal.filter(|r| *r != 0.0), mhs);
        board.nominal_hashrate_mhs = lost.keep("stats.boards.nominal_hashrate_mhs", ideal);
        board.chips = chain.asic_num.and_then(|n| u32::try_from(n).ok());
        board.chips_expected = known.model.map(|m| m.chips);
        board.frequency_mhz = lost.keep("stats.boards.frequency_mhz", clock(chain));
        board.temperature_c = lost.keep("stats.boards.temperature_c", sensors.board).and_then(celsius);
        board.chip_max_c = lost.keep("stats.boards.chip_max_c", sensors.hottest).and_then(celsius);
        board.hw_errors = chain.hw;
        board.serial = chain.sn.clone().filter(|s| !s.is_empty());
        out.boards.push(board);
    }
    gaps.extend(lost.0);
    clocks(out, gaps, chains);
    temperatures(out, gaps, chains, &sensors);
}

/// Why members of boards are absent, each path once.
#[derive(Debug, Default)]
struct Lost(Gaps);

impl Lost {
    fn keep<T>(&mut self, path: &'static str, read: Read<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(reason) => {
                if !self.0.iter().any(|(p, _)| *p == path) {
                    self.0.push((path, reason));
                }
                None
            }
        }
    }
}

fn index(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(u32::MAX)
}

fn celsius(value: f64) -> Option<Celsius> {
    Celsius::new(floor2(value))
}

/// As delivered: MiningOS copies inlets and outlets without rounding.
fn copied(read: Read<f64>) -> Option<Celsius> {
    read.ok().and_then(Celsius::new)
}

fn clock(chain: &Chain) -> Read<Megahertz> {
    let mhz = chain.freq_avg.ok_or(MissingReason::NotReported)?;
    let mhz = if mhz < 0.0 { None } else { Megahertz::new(floor2(mhz)) };
    mhz.ok_or(MissingReason::Implausible)
}

fn clocks(out: &mut MinerStats, gaps: &mut Gaps, chains: &[Chain]) {
    let chips = |(i, chain)| ChipClock { index: index(i), current: clock(chain).ok(), target: None };
    let mut all = Frequencies::default();
    all.chips = chains.iter().enumerate().map(chips).collect();
    let valid = || chains.iter().filter(|c| clock(c).is_ok()).filter_map(|c| c.freq_avg);
    let n = valid().count();
    if n == 0 {
        let reason = chains.first().map_or(Ok(()), |c| clock(c).map(|_| ()));
        gaps.push(("stats.frequency_mhz.avg", reason.err().unwrap_or(MissingReason::NotReported)));
    } else {
        all.avg = Megahertz::new(floor2(valid().sum::<f64>() / n as f64));
    }
    out.frequency_mhz = Some(all);
}

fn temperatures(out: &mut MinerStats, gaps: &mut Gaps, chains: &[Chain], sensors: &[Sensors]) {
    let mut all = Temperatures::default();
    for (i, (chain, sensors)) in chains.iter().zip(sensors).enumerate() {
        let chip = sensors.chip.ok().and_then(celsius);
        all.chips.push(ChipTemps { index: index(i), max: chip, min: None, avg: chip });
        let (inlet, outlet) = (copied(sensors.inlet), copied(sensors.outlet));
        all.temp.push(BoardTemps { index: index(i), pcb_inlet: inlet, pcb_outlet: outlet });
        let raw = |list: &Option<Vec<f64>>| list.iter().flatten().copied().collect();
        all.raw_temps.push(RawTemps {
            index: index(i),
            pic: raw(&chain.temp_pic),
            pcb: raw(&chain.temp_pcb),
            chip: raw(&chain.temp_chip),
        });
    }
    let mut over = |path, of: fn(&Sensors) -> Read<f64>, fold: fn(&[f64]) -> f64| {
        let values: Vec<f64> = sensors.iter().filter_map(|s| of(s).ok()).collect();
        if values.is_empty() {
            gaps.push((path, sensors.iter().find_map(|s| of(s).err()).unwrap_or(MissingReason::NotReported)));
            return None;
        }
        celsius(fold(&values))
    };
    all.ambient = over("stats.temperature_c.ambient", |s| s.near, average);
    all.max = over("stats.temperature_c.max", |s| s.chip, |v| v.iter().copied().fold(f64::MIN, f64::max));
    all.avg = over("stats.temperature_c.avg", |s| s.chip, average);
    let _ = over("stats.temperature_c.temp.pcbInlet", |s| s.inlet, average);
    let _ = over("stats.temperature_c.temp.pcbOutlet", |s| s.outlet, average);
    out.temperature_c = Some(all);
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Highest speed that is taken for one, rpm.
const FASTEST: f64 = 100_000.0;

fn fans(out: &mut MinerStats, gaps: &mut Gaps, row: &Stats, known: &Known) {
    let none = known.model.is_some_and(|m| m.fans == 0);
    match &row.fan {
        Some(list) if !list.is_empty() => {
            for (i, rpm) in list.iter().enumerate() {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
                let rpm = (0.0..FASTEST).contains(rpm).then_some(*rpm as u32);
                out.fans.push(Fan { name: i.to_string().into(), rpm });
            }
            if out.fans.iter().any(|f| f.rpm.is_none()) {
                gaps.push(("stats.fans.rpm", MissingReason::Implausible));
            }
        }
        // A machine cooled by liquid has none.
        _ if none => {}
        Some(_) => gaps.push(("stats.fans", MissingReason::Sentinel)),
        None => gaps.push(("stats.fans", MissingReason::NotReported)),
    }
}

/// Notes that nothing of `stats` is there.
pub(super) fn absent(gaps: &mut Gaps, reason: MissingReason) {
    board_gaps(gaps, reason);
    gaps.push(("stats.fans", reason));
}

fn board_gaps(gaps: &mut Gaps, reason: MissingReason) {
    gaps.extend(["stats.boards", "stats.frequency_mhz", "stats.temperature_c"].map(|path| (path, reason)));
}

/// Whether boards that the model has are absent or do nothing. Without a list of boards nobody can tell.
pub(super) fn missing(stats: &MinerStats, known: &Known) -> bool {
    let works = |b: &&Board| b.chips != Some(0) && b.hashrate_mhs.is_none_or(|rate| rate.mhs() > 0.0);
    let working = stats.boards.iter().filter(works).count();
    let expected = known.model.map_or(stats.boards.len(), |m| m.boards as usize);
    !stats.boards.is_empty() && working < expected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(pic: &[f64], pcb: &[f64], chip: &[f64]) -> Chain {
        Chain {
            temp_pic: Some(pic.to_vec()),
            temp_pcb: Some(pcb.to_vec()),
            temp_chip: Some(chip.to_vec()),
            ..Chain::default()
        }
    }

    #[test]
    fn each_layout_reads_its_own_places() {
        let board = chain(&[45.0, 58.0, 44.0, 57.0], &[47.0, 62.0, 46.0, 61.0], &[66.0, 73.0, 65.0, 72.0]);
        let read = |layout| {
            let s = Sensors::of(&board, layout);
            [s.inlet, s.outlet, s.chip, s.hottest, s.near, s.board].map(|r| r.unwrap())
        };
        assert_eq!(read(Layout::Crossed), [44.0, 58.0, 66.0, 73.0, 47.0, 54.0]);
        assert_eq!(read(Layout::Pairs), [57.0, 58.0, 66.0, 73.0, 47.0, 54.0]);
        assert_eq!(read(Layout::Water), [47.0, 46.0, 45.0, 45.0, 56.4, 56.4]);
    }

    #[test]
    fn zero_is_no_sensor_and_the_impossible_is_none_either() {
        let s = Sensors::of(&chain(&[0.0; 4], &[0.0, 52.0], &[300.0, -80.0]), Layout::Crossed);
        assert_eq!(s.inlet, Err(MissingReason::Sentinel));
        assert_eq!((s.near, s.board), (Ok(52.0), Ok(52.0)));
        assert_eq!((s.chip, s.hottest), (Err(MissingReason::Implausible), Err(MissingReason::Implausible)));
        let s = Sensors::of(&Chain::default(), Layout::Crossed);
        assert_eq!((s.chip, s.board), (Err(MissingReason::NotReported), Err(MissingReason::NotReported)));
    }
}
