//! What is kept of readings and rows, as it lies in the histories, and what rows should be: a second reading of
//! `docs/telemetry.md`, which shares nothing with the engine of statistics.

use std::collections::{BTreeMap, BTreeSet};

use headframe_core::{
    history::{History, MAX_TS, RowsQuery},
    io::Timestamp,
    stats::live::Window,
};

use super::lab::{HOLDS, HOLDS_FAILED, IDS, MINUTE, Say};
use crate::rig::needed;

const ALL: std::ops::Range<Timestamp> = Timestamp(0)..Timestamp(MAX_TS + 1);
const POWER: &str = "stats.power_w";
/// How the name of rows of all things of the rack ends.
const ALL_THINGS: &str = "\u{1f}miner-xx-hall-1\u{1f}";

/// A row by the name of its set and the end of its window.
pub type RowKey = (String, i64);

/// The time that a row is about.
pub fn window((name, end): &RowKey) -> std::ops::Range<i64> {
    let of = |window: &&Window| name.starts_with(&format!("{}\u{1f}", window.name()));
    let length = Window::ALL.iter().find(of).map_or(0, |window| window.length_ms());
    end - length..*end
}

/// The numbers of a row, and how many times it was made anew.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    pub rev: u32,
    pub numbers: BTreeMap<String, f64>,
}

/// All readings that are kept, each once, in the order of things and time.
pub fn readings(history: &History) -> Result<Vec<Say>, String> {
    let mut all = Vec::new();
    for owner in needed("owners cannot be listed", history.owners(ALL))? {
        let thing = IDS.iter().position(|id| **id == *owner).ok_or(format!("readings of {owner}"))?;
        let query = RowsQuery { members: Some(&[POWER]), latest_per_ts: false };
        for row in needed("readings cannot be read", history.rows(&owner, ALL, query))?.rows {
            let power = row.values.first().copied().filter(|power| !power.is_nan());
            all.push(Say { thing, ts: row.ts.0, power });
        }
    }
    Ok(all)
}

/// All rows, of each the one that counts: that which was made anew most often, and of several of those the last. Those of which
/// nothing is left are not among them.
pub fn rows(history: &History) -> Result<BTreeMap<RowKey, Numbers>, String> {
    let mut all = BTreeMap::new();
    for owner in needed("sets cannot be listed", history.owners(ALL))? {
        if !owner.starts_with("stat-") {
            continue;
        }
        let found = needed("rows cannot be read", history.rows(&owner, ALL, RowsQuery::default()))?;
        for row in found.rows {
            let present = found.members.iter().zip(&row.values).filter(|(_, v)| !v.is_nan());
            let mut numbers: BTreeMap<String, f64> =
                present.map(|(name, v)| (name.to_string(), *v)).collect();
            let rev = numbers.remove("rev").unwrap_or(0.0) as u32;
            // Counts and sums that are 0 may be left out.
            numbers.retain(|_, number| *number != 0.0);
            let known = all.entry((owner.to_string(), row.ts.0)).or_insert_with(Numbers::default);
            if known.rev <= rev {
                *known = Numbers { rev, numbers };
            }
        }
    }
    all.retain(|_, row| row.numbers.get("held").is_some_and(|held| *held > 0.0));
    Ok(all)
}

/// That rows are the same but for rounding and `rev`.
pub fn same(ours: &BTreeMap<RowKey, Numbers>, expected: &BTreeMap<RowKey, Numbers>) -> Result<(), String> {
    let keys = |all: &BTreeMap<RowKey, Numbers>| all.keys().cloned().collect::<BTreeSet<_>>();
    let (have, want) = (keys(ours), keys(expected));
    if let Some((name, end)) = want.difference(&have).next() {
        return Err(format!("there is no row of {name:?} until {end}"));
    }
    if let Some((name, end)) = have.difference(&want).next() {
        let row = ours.get(&(name.clone(), *end));
        return Err(format!(
            "there is a row of {name:?} until {end}, of which nobody said anything: {row:?}"
        ));
    }
    for (key, row) in ours {
        let Some(other) = expected.get(key) else { continue };
        let names: BTreeSet<&String> = row.numbers.keys().chain(other.numbers.keys()).collect();
        for name in names {
            let of = |row: &Numbers| row.numbers.get(name).copied().unwrap_or(0.0);
            if !close(of(row), of(other)) {
                return Err(format!("{key:?}: {name} is {}, not {}", of(row), of(other)));
            }
        }
    }
    Ok(())
}

pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

/// What all things of the rack held in a minute, integrated by hand.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Minute {
    /// ∫ things dt / minute: those that said anything, and those whose power was known.
    pub held: f64,
    pub known: f64,
    /// ∫ W dt / minute.
    pub power: f64,
}

/// Each minute in which anything was held, by its end, of readings in the order in which they came.
pub fn by_hand(says: &[Say]) -> BTreeMap<i64, Minute> {
    let mut minutes: BTreeMap<i64, Minute> = BTreeMap::new();
    for thing in 0..IDS.len() {
        let mut of: Vec<&Say> = says.iter().filter(|say| say.thing == thing).collect();
        // Of two at the same time the later one counts.
        of.sort_by_key(|say| say.ts);
        for (n, say) in of.iter().enumerate() {
            let holds = if say.power.is_some() { HOLDS } else { HOLDS_FAILED };
            let until = of.get(n + 1).map_or(i64::MAX, |next| next.ts).min(say.ts + holds);
            let mut at = say.ts;
            while at < until {
                let end = (at.div_euclid(MINUTE) + 1) * MINUTE;
                let share = (end.min(until) - at) as f64 / MINUTE as f64;
                let minute = minutes.entry(end).or_default();
                minute.held += share;
                if let Some(power) = say.power {
                    minute.known += share;
                    minute.power += share * power;
                }
                at = end;
            }
        }
    }
    minutes
}

/// The lengths of windows that are compared, by what the names of their rows begin with, in minutes.
const WINDOWS: [(&str, i64); 4] = [("stat-1m", 1), ("stat-5m", 5), ("stat-15m", 15), ("stat-30m", 30)];

/// Rows of all things over windows that are over are what was integrated by hand; none counts more time than there is.
pub fn windows(
    rows: &BTreeMap<RowKey, Numbers>,
    expected: &BTreeMap<i64, Minute>,
    over: i64,
) -> Result<(), String> {
    for (window, minutes) in WINDOWS {
        let length = minutes * MINUTE;
        let mut by_window: BTreeMap<i64, Minute> = BTreeMap::new();
        for (end, minute) in expected {
            let end = (end - MINUTE).div_euclid(length) * length + length;
            let sum = by_window.entry(end).or_default();
            sum.held += minute.held / minutes as f64;
            sum.known += minute.known / minutes as f64;
            sum.power += minute.power / minutes as f64;
        }
        same_windows(window, &of_all(rows, window), &by_window, over)?;
    }
    Ok(())
}

/// The rows of all things of the rack over one length of window, by their ends.
fn of_all(rows: &BTreeMap<RowKey, Numbers>, window: &str) -> BTreeMap<i64, Minute> {
    let name = format!("{window}{ALL_THINGS}");
    let of = |row: &Numbers, name: &str| row.numbers.get(name).copied().unwrap_or(0.0);
    let found = rows.iter().filter(|((of, _), _)| *of == name).map(|((_, end), row)| {
        let (known, power) =
            (of(row, "known last.snap.stats.power_w"), of(row, "sum last.snap.stats.power_w"));
        (*end, Minute { held: of(row, "held"), known, power })
    });
    found.collect()
}

fn same_windows(
    window: &str,
    found: &BTreeMap<i64, Minute>,
    expected: &BTreeMap<i64, Minute>,
    over: i64,
) -> Result<(), String> {
    for (end, row) in found {
        if row.held > IDS.len() as f64 + 1e-9 || row.known > row.held + 1e-9 {
            return Err(format!("the {window} until {end} counts time twice: {row:?}"));
        }
    }
    let ends: BTreeSet<&i64> = found.keys().chain(expected.keys()).filter(|end| **end <= over).collect();
    for end in ends {
        let of = |all: &BTreeMap<i64, Minute>| all.get(end).copied().unwrap_or_default();
        let (a, b) = (of(found), of(expected));
        if !(close(a.held, b.held) && close(a.known, b.known) && close(a.power, b.power)) {
            return Err(format!("the {window} until {end} has {a:?}, not {b:?}"));
        }
    }
    Ok(())
}
