use super::{Layout, Said, Totals, said::plausible};
use crate::io::Timestamp;

/// Totals of **one thing** over `[start, end)`, for each cell in which it was, from all its samples in the order of
/// `(ts, seq)`: a separate computation, and the exact one.
///
/// The samples begin with the last one before `start`, if any, and go up to `end` at least. Of two with the same `ts`,
/// the second counts. [`Said::removed`] stands for a removal. An empty or backward span gives nothing.
pub fn fold_series(
    layout: Layout,
    samples: &[Said<'_>],
    start: Timestamp,
    end: Timestamp,
) -> Vec<(u32, Totals)> {
    let mut cells: Vec<(u32, Totals)> = Vec::new();
    for (at, said) in samples.iter().enumerate() {
        let next = samples.get(at + 1).map_or(i64::MAX, |next| next.ts.0);
        let from = said.ts.0.max(start.0);
        let until = next.min(said.held_until()).min(end.0);
        if until <= from {
            continue;
        }
        let place = cells.iter().position(|(cell, _)| *cell == said.cell).unwrap_or(cells.len());
        if place == cells.len() {
            cells.push((said.cell, Totals::new(layout)));
        }
        if let Some((_, totals)) = cells.get_mut(place) {
            hold(layout, totals, said, until - from);
        }
    }
    cells
}

fn hold(layout: Layout, totals: &mut Totals, said: &Said<'_>, ms: i64) {
    let row = totals.row();
    let (known, rest) = row.times.split_at_mut(layout.values());
    for ((sum, known), value) in row.sums.iter_mut().zip(known).zip(said.values) {
        if plausible(*value) {
            sum.add_product(*value, ms);
            *known += ms;
        }
    }
    if let Some((held, counts)) = rest.split_last_mut() {
        *held += ms;
        for (bit, count) in counts.iter_mut().enumerate() {
            if said.predicates >> bit & 1 == 1 {
                *count += ms;
            }
        }
    }
    for (max, value) in row.max.iter_mut().zip(said.maxes) {
        if plausible(*value) {
            *max = max.max(*value);
        }
    }
}
