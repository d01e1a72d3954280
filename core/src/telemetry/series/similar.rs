//! Whether a number is one that things say, and which ones are called alike.

use std::{collections::BTreeSet, ops::Range};

use super::{OP, code};
use crate::{Error, Result, ThingId, history::History, io::Timestamp};

/// How many things are looked at, evenly among all.
const THINGS: usize = 32;
/// How many members are compared.
const MEMBERS: usize = 4_096;
/// How many are named.
const NAMED: usize = 5;
/// As much of the caller's text as is repeated.
const SHOWN: usize = 80;

/// The error for a number of which nothing was found, when things said others in the range. `Ok` when they said none:
/// then nothing is known of it either.
pub(super) fn refuse_unknown(
    history: &History,
    things: &[ThingId],
    metric: &str,
    range: Range<Timestamp>,
) -> Result<()> {
    let mut said: BTreeSet<Box<str>> = BTreeSet::new();
    for thing in things.iter().step_by(things.len().div_ceil(THINGS).max(1)) {
        said.extend(history.members(thing.as_str(), range.clone())?);
        if said.len() > MEMBERS {
            break;
        }
    }
    if said.is_empty() || said.contains(metric) {
        return Ok(());
    }
    let shown: String = metric.chars().take(SHOWN).collect();
    let e = Error::invalid(OP, "metric", "no thing said this number in the range");
    Err(e.code_as(code::METRIC_NOT_FOUND).with("metric", shown).with("similar", similar(metric, &said)))
}

/// The names that are most like `metric`, the best first.
fn similar(metric: &str, said: &BTreeSet<Box<str>>) -> String {
    let ending = |text: &str| text.rsplit('.').next().map(str::to_ascii_lowercase);
    let mut ranked: Vec<(bool, usize, &str)> = Vec::new();
    for name in said.iter().take(MEMBERS) {
        let changes = changes(metric, name);
        let other_end = ending(metric) != ending(name);
        if !other_end || changes * 2 <= metric.len().max(name.len()) {
            ranked.push((other_end, changes, name));
        }
    }
    ranked.sort();
    let names: Vec<&str> = ranked.iter().take(NAMED).map(|(_, _, name)| *name).collect();
    names.join(", ")
}

/// How many letters are to be added, left out or changed (Levenshtein's distance), without regard to case.
fn changes(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let changed = corner + usize::from(!x.eq_ignore_ascii_case(&y));
            corner = *cell;
            left = changed.min(corner + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
