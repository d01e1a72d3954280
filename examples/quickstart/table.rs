//! The table on the screen.

use std::{collections::BTreeMap, io::Write};

use console::Term;
use headframe::model::State;

use crate::{
    fleet::Fleets,
    totals::{Row, Totals},
};

/// Where the table is drawn: over itself on a terminal, one below the other elsewhere.
pub struct Screen {
    term: Option<Term>,
    drawn: usize,
    noted: Vec<String>,
}

/// What is drawn.
pub struct Shown<'a> {
    /// The miners.
    pub rows: &'a [Row],
    /// Their sums.
    pub sum: &'a Totals,
    /// The last minutes, a line.
    pub trend: Option<String>,
    /// What happened.
    pub notes: &'a [String],
    /// How many seconds passed.
    pub second: u64,
    /// Of so many.
    pub seconds: u64,
}

impl Screen {
    /// The standard output; nothing is ever drawn with `quiet`.
    pub fn new(quiet: bool) -> Self {
        let term = Term::stdout();
        Self { term: (!quiet && term.features().is_attended()).then_some(term), drawn: 0, noted: Vec::new() }
    }

    /// Draws the fleet. Off a terminal only the sums, and notes that are new, are shown until the end.
    pub fn draw(&mut self, fleet: &Fleets, shown: &Shown<'_>) {
        let Shown { rows, sum, notes, second, seconds, .. } = *shown;
        let (height, width) = self.term.as_ref().map_or((usize::MAX, 200), |t| {
            let (h, w) = t.size();
            (usize::from(h), usize::from(w))
        });
        let mut lines = vec![format!("Headframe  {second}/{seconds} s   {}", states(sum)), heading()];
        for (name, group) in groups(fleet, rows) {
            lines.push(sums(&name, &Totals::of(group)));
        }
        lines.push(sums("site", sum));
        let whole = self.term.is_some() || second == seconds;
        let told = std::mem::replace(&mut self.noted, notes.to_vec());
        let notes = notes.iter().filter(|note| whole || !told.contains(note)).cloned();
        if whole {
            lines.extend(shown.trend.clone());
            lines.extend(notes);
            lines.push(String::new());
            lines.push(format!(
                "{:<16} {:<24} {:>9} {:>8} {:>6} {:>7}  {}",
                "address", "model", "TH/s", "W", "J/TH", "max °C", "state"
            ));
            let space = height.saturating_sub(lines.len() + 2);
            lines.extend(miners(rows, space));
        } else {
            lines.drain(..lines.len() - 1);
            lines.extend(notes);
        }
        self.put(&lines, width);
    }

    fn put(&mut self, lines: &[String], width: usize) {
        let Some(term) = &self.term else {
            let mut out = std::io::stdout().lock();
            // A reader that went away, such as `head`, has seen what it wanted.
            let _gone = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
            return;
        };
        // A terminal that went away loses the picture, nothing else.
        let _gone = term.clear_last_lines(self.drawn);
        for line in lines {
            let _gone = term.write_line(&line.chars().take(width).collect::<String>());
        }
        self.drawn = lines.len();
    }
}

fn heading() -> String {
    format!(
        "{:<16} {:>8} {:>18} {:>18} {:>8} {:>8}",
        "group", "online", "PH/s (miners)", "kW (miners)", "J/TH", "max °C"
    )
}

fn states(sum: &Totals) -> String {
    let parts: Vec<String> = sum.states.iter().map(|(state, n)| format!("{n} {state}")).collect();
    parts.join(", ")
}

fn groups<'a>(fleet: &Fleets, rows: &'a [Row]) -> BTreeMap<String, Vec<&'a Row>> {
    let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(fleet.group(&row.address)).or_default().push(row);
    }
    groups
}

fn number(x: Option<f64>, decimals: usize) -> String {
    x.map_or_else(|| "-".into(), |x| format!("{x:.decimals$}"))
}

fn sums(name: &str, sum: &Totals) -> String {
    let with = |(value, n): (f64, usize), scale: f64, decimals: usize| {
        format!("{:.decimals$} ({n}/{})", value / scale, sum.things)
    };
    format!(
        "{name:<16} {:>8} {:>18} {:>18} {:>8} {:>8}",
        format!("{}/{}", sum.online, sum.things),
        with(sum.hashrate_mhs, 1e9, 3),
        with(sum.power_w, 1e3, 1),
        number(sum.efficiency(), 1),
        number(sum.max_c, 0),
    )
}

/// The miners, those in trouble first, as many as fit.
fn miners(rows: &[Row], space: usize) -> Vec<String> {
    let mut order: Vec<&Row> = rows.iter().collect();
    order.sort_by_key(|row| (row.state == State::Hashing && row.note.is_empty(), row.group.clone()));
    let fits = if order.len() > space { space.saturating_sub(1) } else { order.len() };
    let mut lines: Vec<String> = order.iter().take(fits).map(|row| miner(row)).collect();
    if fits < order.len() {
        lines.push(format!("… and {} more", order.len() - fits));
    }
    lines
}

fn miner(row: &Row) -> String {
    let efficiency = match (row.power_w, row.hashrate_mhs) {
        (Some(power), Some(rate)) if rate > 0.0 => Some(power / (rate / 1e6)),
        _ => None,
    };
    let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
    format!(
        "{:<16} {:<24} {:>9} {:>8} {:>6} {:>7}  {}{note}",
        row.address,
        row.model,
        number(row.hashrate_mhs.map(|x| x / 1e6), 1),
        number(row.power_w, 0),
        number(efficiency, 1),
        number(row.max_c, 0),
        row.state,
    )
}
