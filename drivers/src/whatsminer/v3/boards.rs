//! From boards, chips and fans to snapshot members.

use headframe_core::{
    model::{Board, ChipClock, ChipTemps, Fan, Frequencies, MissingReason, PcbTemp, Temperatures},
    units::{Celsius, Hashrate, floor2},
};

use super::{
    facts::Facts,
    reply::{Edev, Summary},
};
use crate::whatsminer::{
    models::Model,
    value::{self, Missing, Reading, celsius, clock, degrees, either, reported, rpm},
};

pub(super) type Devs<'a> = Reading<&'a [Edev]>;
pub(super) type Sum<'a> = Reading<&'a Summary>;

/// MH/s from the device's TH/s, to the nearest: the device's figures have no more digits.
fn mhs(ths: f64) -> f64 {
    (ths * 1e6).round()
}

/// A rate.
pub(super) fn rate(ths: Option<f64>) -> Reading<Hashrate> {
    value::rate(ths.map(mhs))
}

/// A rate of the factory; −0.001 times the number of boards, like any that is not above 0, means unknown.
pub(super) fn factory(ths: Option<f64>) -> Reading<Hashrate> {
    let ths = reported(ths)?;
    Hashrate::from_mhs(mhs(ths)).filter(|_| ths > 0.0).ok_or(MissingReason::Sentinel)
}

fn small(n: Option<u64>) -> Option<u32> {
    n.and_then(|n| u32::try_from(n).ok())
}

/// The temperature of the board at place `i` of `devs`. The list of temperatures goes by the boards' numbers, unless
/// it is as short as the list of boards that are there.
fn board_c(i: usize, devs: &[Edev], summary: Sum<'_>) -> Reading<f64> {
    let list = summary.and_then(|s| reported(s.boards_c.as_ref()))?;
    let number = devs.get(i).and_then(|dev| usize::try_from(dev.id?).ok());
    let at = if list.len() == devs.len() { i } else { number.unwrap_or(i) };
    degrees(list.get(at).copied().flatten())
}

fn rounded(c: Reading<f64>) -> Reading<Celsius> {
    c.and_then(|c| Celsius::new(floor2(c)).ok_or(MissingReason::Implausible))
}

/// The hash boards; those that are missing have no entry.
pub(super) fn boards(devs: Devs<'_>, summary: Sum<'_>, facts: &Facts, missing: &mut Missing) -> Vec<Board> {
    let some = devs.and_then(|devs| if devs.is_empty() { Err(MissingReason::NotReported) } else { Ok(devs) });
    let Some(devs) = missing.keep("stats.boards", some) else { return Vec::new() };
    (0..devs.len()).map(|i| board(i, devs, summary, facts, missing)).collect()
}

fn board(i: usize, devs: &[Edev], summary: Sum<'_>, facts: &Facts, missing: &mut Missing) -> Board {
    let mut board = Board::default();
    let Some(dev) = devs.get(i) else { return board };
    board.slot = small(dev.id).or_else(|| u32::try_from(i).ok()).unwrap_or(u32::MAX);
    let now = rate(dev.realtime.or(dev.average));
    board.hashrate_mhs = missing.keep("stats.boards.hashrate_mhs", now);
    board.nominal_hashrate_mhs = missing.keep("stats.boards.nominal_hashrate_mhs", factory(dev.factory));
    board.chips = missing.keep("stats.boards.chips", reported(small(dev.chips)));
    board.chips_expected = facts.model.parts.chips;
    board.frequency_mhz =
        missing.keep("stats.boards.frequency_mhz", clock(dev.clock)).map(|clock| clock.floor2());
    let own = rounded(board_c(i, devs, summary));
    board.temperature_c = missing.keep("stats.boards.temperature_c", own);
    board.chip_max_c = missing.keep("stats.boards.chip_max_c", celsius(dev.chip_max));
    missing.keep("stats.boards.hw_errors", Err::<(), _>(MissingReason::NotReported));
    let serial = usize::try_from(board.slot).ok().and_then(|slot| facts.board_serials.get(slot));
    let serial = serial.map_or(Err(MissingReason::NotReported), Clone::clone);
    board.serial = missing.keep("stats.boards.serial", serial);
    board
}

/// Chip clocks. Without a mean of its own the boards' mean stands for it.
pub(super) fn frequencies(devs: Devs<'_>, summary: Sum<'_>, missing: &mut Missing) -> Option<Frequencies> {
    let mut out = Frequencies::default();
    let list = devs.unwrap_or_default();
    let clocks: Vec<_> = list.iter().map(|dev| clock(dev.clock).ok()).collect();
    let chip = |(index, mhz): (u32, &Option<headframe_core::units::Megahertz>)| ChipClock {
        index,
        current: mhz.map(|clock| clock.floor2()),
        target: None,
    };
    out.chips = (0..).zip(&clocks).map(chip).collect();
    let mean = || {
        let sum: Option<f64> = clocks.iter().map(|mhz| mhz.map(|clock| clock.get())).sum();
        sum.filter(|_| !clocks.is_empty()).map(|sum| sum / clocks.len() as f64)
    };
    let own = summary.and_then(|s| clock(s.clock));
    let avg = either(own, || clock(mean()));
    out.avg = missing.keep("stats.frequency_mhz.avg", avg).map(|clock| clock.floor2());
    missing.keep("stats.frequency_mhz.target", Err::<(), _>(MissingReason::NotReported));
    if clocks.iter().any(Option::is_none) {
        missing.keep("stats.frequency_mhz.chips.current", Err::<(), _>(MissingReason::NotReported));
    }
    let any = out.avg.is_some() || !out.chips.is_empty();
    missing.keep("stats.frequency_mhz", if any { Ok(out) } else { Err(why(devs, summary)) })
}

/// Temperatures. Highest and mean are those of the boards; the machine's own stand for them without boards.
pub(super) fn temperatures(devs: Devs<'_>, summary: Sum<'_>, missing: &mut Missing) -> Option<Temperatures> {
    let mut out = Temperatures::default();
    let list = devs.unwrap_or_default();
    for (index, dev) in (0..).zip(list) {
        out.chips.push(ChipTemps {
            index,
            max: missing.keep("stats.temperature_c.chips.max", celsius(dev.chip_max)),
            min: missing.keep("stats.temperature_c.chips.min", celsius(dev.chip_min)),
            avg: missing.keep("stats.temperature_c.chips.avg", celsius(dev.chip_avg)),
        });
    }
    out.pcb = circuit_boards(devs, summary, missing);
    let hottest = list.iter().filter_map(|dev| degrees(dev.chip_max).ok()).reduce(f64::max);
    let means: Vec<f64> = list.iter().filter_map(|dev| degrees(dev.chip_avg).ok()).collect();
    let mean = (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64);
    let or_own = |boards: Option<f64>, own: fn(&Summary) -> Option<f64>| match boards {
        Some(c) => rounded(Ok(c)),
        None => summary.and_then(|s| celsius(own(s))),
    };
    out.max = missing.keep("stats.temperature_c.max", or_own(hottest, |s| s.chip_max));
    out.avg = missing.keep("stats.temperature_c.avg", or_own(mean, |s| s.chip_avg));
    out.ambient = missing.keep("stats.temperature_c.ambient", summary.and_then(|s| celsius(s.ambient)));
    missing.keep("stats.temperature_c.chips", devs.map(|_| ()));
    let any = out.max.is_some()
        || out.avg.is_some()
        || out.ambient.is_some()
        || !out.chips.is_empty()
        || !out.pcb.is_empty();
    missing.keep("stats.temperature_c", if any { Ok(out) } else { Err(why(devs, summary)) })
}

/// One entry per board that is there; without the boards, one per temperature.
fn circuit_boards(devs: Devs<'_>, summary: Sum<'_>, missing: &mut Missing) -> Vec<PcbTemp> {
    let list = summary.and_then(|s| reported(s.boards_c.as_ref()));
    let Some(list) = missing.keep("stats.temperature_c.pcb", list) else { return Vec::new() };
    let there = devs.ok();
    let entry = |i: usize| {
        let current = match there {
            Some(devs) => board_c(i, devs, summary),
            None => degrees(list.get(i).copied().flatten()),
        };
        let current = missing.keep("stats.temperature_c.pcb.current", rounded(current));
        PcbTemp { index: u32::try_from(i).unwrap_or(u32::MAX), current }
    };
    (0..there.map_or(list.len(), <[Edev]>::len)).map(entry).collect()
}

/// Why nothing came of boards and summary together.
fn why(devs: Devs<'_>, summary: Sum<'_>) -> MissingReason {
    summary.err().or(devs.err()).unwrap_or(MissingReason::NotReported)
}

/// Fans of the case and of the power supply. Liquid-cooled machines report fans at 0 rpm that they do not have.
pub(super) fn fans(
    summary: Sum<'_>,
    psu: Reading<Option<f64>>,
    model: &Model,
    missing: &mut Missing,
) -> Vec<Fan> {
    let mut fans = Vec::with_capacity(3);
    if let (false, Ok(s)) = (model.parts.fans == Some(0), summary) {
        for (name, read) in [("in", rpm(s.fan_in)), ("out", rpm(s.fan_out))] {
            let rpm = missing.keep("stats.fans.rpm", read);
            if !matches!(read, Err(MissingReason::NotReported)) {
                fans.push(Fan { name: name.into(), rpm });
            }
        }
    }
    if let Ok(rpm) = psu.and_then(rpm) {
        fans.push(Fan { name: "psu".into(), rpm: Some(rpm) });
    }
    if fans.is_empty() {
        missing.keep("stats.fans", summary.and(Err::<(), _>(MissingReason::NotReported)));
    }
    fans
}
