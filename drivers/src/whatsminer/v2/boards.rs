//! From `edevs` and the fan members to boards, chip temperatures, chip clocks and fans.

use headframe_core::{
    model::{Board, ChipClock, ChipTemps, Fan, Frequencies, MissingReason, PcbTemp, Temperatures},
    units::{Celsius, floor2},
};

use super::reply::{Dev, Summary};
use crate::whatsminer::{
    models::Parts,
    value::{Missing, Reading, celsius, clock, degrees, either, factory, rate, reported, rpm, text},
};

type Devs<'a> = Reading<&'a [Dev]>;
type Sum<'a> = Reading<&'a Summary>;

/// The hash boards; those that are missing have no entry.
pub(super) fn boards(devs: Devs<'_>, parts: Parts, missing: &mut Missing) -> Vec<Board> {
    let some = devs.and_then(|devs| if devs.is_empty() { Err(MissingReason::NotReported) } else { Ok(devs) });
    let Some(devs) = missing.keep("stats.boards", some) else { return Vec::new() };
    devs.iter().enumerate().map(|(i, dev)| board(i, dev, parts, missing)).collect()
}

fn board(i: usize, dev: &Dev, parts: Parts, missing: &mut Missing) -> Board {
    let small = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
    let mut board = Board::default();
    board.slot = small(dev.asc.or(dev.slot)).unwrap_or_else(|| u32::try_from(i).unwrap_or(u32::MAX));
    let now = dev.hs_rt.or(dev.mhs_5s).or(dev.mhs_1m).or(dev.mhs_av);
    board.hashrate_mhs = missing.keep("stats.boards.hashrate_mhs", rate(now));
    board.nominal_hashrate_mhs = missing.keep("stats.boards.nominal_hashrate_mhs", factory(dev.factory_ghs));
    board.chips = missing.keep("stats.boards.chips", reported(small(dev.effective_chips)));
    board.chips_expected = parts.chips;
    let mhz = clock(dev.chip_frequency.or(dev.frequency));
    board.frequency_mhz = missing.keep("stats.boards.frequency_mhz", mhz).map(|f| f.floor2());
    board.temperature_c = missing.keep("stats.boards.temperature_c", celsius(dev.temperature));
    board.chip_max_c = missing.keep("stats.boards.chip_max_c", celsius(dev.chip_temp_max));
    board.hw_errors = dev.hw_errors;
    board.serial = missing.keep("stats.boards.serial", text(dev.serial.as_ref()));
    board
}

/// Chip clocks. Without a mean of its own the boards' mean stands for it.
pub(super) fn frequencies(devs: Devs<'_>, summary: Sum<'_>, missing: &mut Missing) -> Option<Frequencies> {
    let mut out = Frequencies::default();
    let list = devs.unwrap_or_default();
    let chips = list.iter().map(|dev| clock(dev.chip_frequency.or(dev.frequency)).ok());
    let clocks = (0..).zip(chips.clone());
    out.chips = clocks
        .map(|(index, mhz)| ChipClock { index, current: mhz.map(|f| f.floor2()), target: None })
        .collect();
    let mean = || {
        let sum: Option<f64> = chips.clone().map(|f| f.map(|f| f.get())).sum();
        sum.filter(|_| !list.is_empty()).map(|sum| sum / list.len() as f64)
    };
    let avg = summary.and_then(|s| clock(s.freq_avg));
    out.avg = missing.keep("stats.frequency_mhz.avg", either(avg, || clock(mean()))).map(|f| f.floor2());
    out.target = missing.keep("stats.frequency_mhz.target", summary.and_then(|s| clock(s.target_freq)));
    if out.chips.iter().any(|chip| chip.current.is_none()) {
        missing.keep("stats.frequency_mhz.chips.current", Err::<(), _>(MissingReason::NotReported));
    }
    let any = out.avg.is_some() || out.target.is_some() || !out.chips.is_empty();
    missing.keep("stats.frequency_mhz", if any { Ok(out) } else { Err(why(devs, summary)) })
}

/// Temperatures. Highest and mean are those of the boards; the machine's own stand for them without boards.
pub(super) fn temperatures(devs: Devs<'_>, summary: Sum<'_>, missing: &mut Missing) -> Option<Temperatures> {
    let mut out = Temperatures::default();
    let list = devs.unwrap_or_default();
    for (index, dev) in (0..).zip(list) {
        out.chips.push(ChipTemps {
            index,
            max: missing.keep("stats.temperature_c.chips.max", celsius(dev.chip_temp_max)),
            min: missing.keep("stats.temperature_c.chips.min", celsius(dev.chip_temp_min)),
            avg: missing.keep("stats.temperature_c.chips.avg", celsius(dev.chip_temp_avg)),
        });
        let current = missing.keep("stats.temperature_c.pcb.current", celsius(dev.temperature));
        out.pcb.push(PcbTemp { index, current });
    }
    let hottest = list.iter().filter_map(|dev| degrees(dev.chip_temp_max).ok()).reduce(f64::max);
    let means: Vec<f64> = list.iter().filter_map(|dev| degrees(dev.chip_temp_avg).ok()).collect();
    let mean = (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64);
    let or_own = |boards: Option<f64>, own: fn(&Summary) -> Option<f64>| match boards {
        Some(c) => Celsius::new(floor2(c)).ok_or(MissingReason::Implausible),
        None => summary.and_then(|s| celsius(own(s))),
    };
    out.max = missing.keep("stats.temperature_c.max", or_own(hottest, |s| s.chip_temp_max));
    out.avg = missing.keep("stats.temperature_c.avg", or_own(mean, |s| s.chip_temp_avg));
    out.ambient = missing.keep("stats.temperature_c.ambient", summary.and_then(|s| celsius(s.env_temp)));
    let chips = devs.map(|_| ());
    missing.keep("stats.temperature_c.chips", chips);
    missing.keep("stats.temperature_c.pcb", chips);
    let any = out.max.is_some() || out.avg.is_some() || out.ambient.is_some() || !out.chips.is_empty();
    missing.keep("stats.temperature_c", if any { Ok(out) } else { Err(why(devs, summary)) })
}

/// Why nothing came of boards and summary together.
fn why(devs: Devs<'_>, summary: Sum<'_>) -> MissingReason {
    summary.err().or(devs.err()).unwrap_or(MissingReason::NotReported)
}

/// Fans of the case and of the power supply. Liquid-cooled machines report fans at 0 rpm that they do not have.
pub(super) fn fans(summary: Sum<'_>, psu: Reading<u32>, parts: Parts, missing: &mut Missing) -> Vec<Fan> {
    let liquid = parts.fans == Some(0) || summary.is_ok_and(|s| s.liquid_cooling == Some(true));
    let mut fans = Vec::with_capacity(3);
    if let (false, Ok(s)) = (liquid, summary) {
        for (name, read) in [("in", rpm(s.fan_in)), ("out", rpm(s.fan_out))] {
            let rpm = missing.keep("stats.fans.rpm", read);
            if !matches!(read, Err(MissingReason::NotReported)) {
                fans.push(Fan { name: name.into(), rpm });
            }
        }
    }
    if let Ok(rpm) = either(summary.and_then(|s| rpm(s.power_fan)), || psu) {
        fans.push(Fan { name: "psu".into(), rpm: Some(rpm) });
    }
    if fans.is_empty() {
        missing.keep("stats.fans", summary.and(Err::<(), _>(MissingReason::NotReported)));
    }
    fans
}
