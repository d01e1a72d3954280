//! What totals are, computed in the plainest way: at each moment a thing holds what it said last.

use std::collections::BTreeMap;

use super::*;

#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    pub integral: [f64; 2],
    /// The same with each value's magnitude: what errors are measured against.
    pub magnitude: [f64; 2],
    pub known: [i64; 2],
    pub count: [i64; 3],
    pub held: i64,
    pub max: f64,
}

impl Truth {
    fn nothing() -> Self {
        Self { integral: [0.0; 2], magnitude: [0.0; 2], known: [0; 2], count: [0; 3], held: 0, max: f64::NAN }
    }

    /// Why `view` is not this.
    pub fn differs(&self, view: View<'_>, with_max: bool) -> Option<String> {
        for column in 0..2 {
            let off = (view.integral(column) - self.integral[column]).abs();
            if off > 1e-9 * self.magnitude[column] || view.known_ms(column) != self.known[column] {
                return Some(format!("value {column}: {} {view:?}", self.integral[column]));
            }
        }
        let counts: Vec<i64> = (0..3).map(|column| view.count_ms(column)).collect();
        let max = view.max(0).unwrap_or(f64::NAN);
        let same_max = !with_max || max.to_bits() == self.max.to_bits();
        (counts != self.count || view.held_ms() != self.held || !same_max)
            .then(|| format!("{counts:?} {} {max}", view.held_ms()))
    }
}

/// What `thing` holds at `at`: its last sample by time, of equal ones the last that came, unless its time is up.
fn holds(samples: &[Sample], thing: u32, at: i64) -> Option<&Sample> {
    let mut last: Option<&Sample> = None;
    for sample in samples.iter().filter(|sample| sample.thing == thing && sample.ts <= at) {
        if last.is_none_or(|last| sample.ts >= last.ts) {
            last = Some(sample);
        }
    }
    last.filter(|last| !last.removed && at < last.hold)
}

/// Totals of all windows of length `window`, by start and cell. `samples` are in the order in which they came.
pub fn truths(samples: &[Sample], window: Window) -> BTreeMap<(i64, u32), Truth> {
    let mut out = BTreeMap::new();
    let mut things: Vec<u32> = samples.iter().map(|sample| sample.thing).collect();
    things.sort_unstable();
    things.dedup();
    for thing in things {
        let own = || samples.iter().filter(|sample| sample.thing == thing);
        let mut moments: Vec<i64> = own().flat_map(|sample| [sample.ts, sample.hold]).collect();
        let (first, last) = (*moments.iter().min().unwrap(), *moments.iter().max().unwrap());
        let mut boundary = window.start_of(Timestamp(first)).0;
        while boundary < last {
            moments.push(boundary);
            boundary += window.length_ms();
        }
        moments.sort_unstable();
        for span in moments.windows(2) {
            let (at, ms) = (span[0], span[1] - span[0]);
            let Some(sample) = holds(samples, thing, at).filter(|_| ms > 0) else { continue };
            let start = window.start_of(Timestamp(at)).0;
            count(out.entry((start, sample.cell)).or_insert_with(Truth::nothing), sample, ms);
        }
    }
    out
}

#[allow(clippy::cast_precision_loss, reason = "spans of some minutes")]
fn count(truth: &mut Truth, sample: &Sample, ms: i64) {
    for (column, value) in sample.values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
        truth.integral[column] += value * ms as f64;
        truth.magnitude[column] += value.abs() * ms as f64;
        truth.known[column] += ms;
    }
    for bit in 0..3 {
        truth.count[bit] += if sample.predicates >> bit & 1 == 1 { ms } else { 0 };
    }
    truth.held += ms;
    if sample.max[0] > truth.max || truth.max.is_nan() {
        truth.max = sample.max[0];
    }
}
