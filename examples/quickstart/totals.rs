//! Rows of the table and their sums.

use std::collections::BTreeMap;

use headframe::{
    io::Timestamp,
    model::State,
    rack::{Good, Link, Reading},
    site::Site,
};

use crate::fleet::Fleets;

/// One miner, as the table shows it.
pub struct Row {
    /// Address.
    pub address: String,
    /// Group it belongs to.
    pub group: String,
    /// Maker and model.
    pub model: String,
    /// Whether it answered its last poll.
    pub online: bool,
    /// What it does.
    pub state: State,
    /// Hashrate now, MH/s; absent when not known.
    pub hashrate_mhs: Option<f64>,
    /// Power now, W.
    pub power_w: Option<f64>,
    /// Hottest chip, °C.
    pub max_c: Option<f64>,
    /// First error.
    pub note: String,
}

/// Reads the last snapshot of each thing. A value that is not of now is not shown as one.
pub fn rows(fleet: &Fleets, site: &Site) -> Vec<Row> {
    let mut rows = Vec::new();
    for id in site.things().ids() {
        let Some(record) = site.things().get(&id) else { continue };
        let address = record.address().unwrap_or_default().to_owned();
        let mut row = Row {
            group: fleet.group(&address),
            address,
            model: String::new(),
            online: false,
            state: State::Unknown,
            hashrate_mhs: None,
            power_w: None,
            max_c: None,
            note: String::new(),
        };
        if let Ok(rack) = site.rack(&record.rack)
            && let Some(now) = rack.state(&id)
        {
            fill(&mut row, now.link, now.last.as_deref(), now.good.as_ref());
        }
        rows.push(row);
    }
    rows.sort_by_key(|row| row.address.parse::<std::net::Ipv4Addr>().ok());
    rows
}

fn fill(row: &mut Row, link: Link, last: Option<&Reading>, good: Option<&Good>) {
    row.state = match link {
        Link::Offline => State::Unreachable,
        Link::Stale => State::Stale,
        _ => State::Unknown,
    };
    if let Some(Err(e)) = last.map(|reading| &reading.outcome) {
        e.message().clone_into(&mut row.note);
    }
    let Some(miner) = good.and_then(|good| good.snapshot.miner()) else { return };
    let stats = &miner.stats;
    if let Some(info) = &miner.info {
        row.model = format!("{} {}", info.make, info.model.as_deref().unwrap_or("(unknown model)"));
    }
    if link != Link::Online {
        return;
    }
    (row.online, row.state) = (true, stats.state);
    row.hashrate_mhs = stats.hashrate_mhs.and_then(|h| h.current()).map(|h| h.mhs());
    row.power_w = stats.power_w.map(|p| p.get());
    row.max_c = stats.temperature_c.as_ref().and_then(|t| t.max).map(|t| t.get());
    if let Some(e) = stats.errors.first() {
        row.note = e.text.clone().or_else(|| e.name.clone()).unwrap_or_default();
    }
}

/// Sums, each with the number of miners that contribute.
#[derive(Default)]
pub struct Totals {
    /// Miners.
    pub things: usize,
    /// Miners that answer.
    pub online: usize,
    /// Sum of hashrates, MH/s, and contributors.
    pub hashrate_mhs: (f64, usize),
    /// Sum of powers, W, and contributors.
    pub power_w: (f64, usize),
    /// Power and hashrate of the miners that have both, and their number.
    both: (f64, f64, usize),
    /// Hottest chip, °C.
    pub max_c: Option<f64>,
    /// Miners per state.
    pub states: BTreeMap<State, usize>,
}

impl Totals {
    /// Sums `rows`.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut sum = Self::default();
        for row in rows {
            sum.things += 1;
            *sum.states.entry(row.state).or_default() += 1;
            sum.online += usize::from(row.online);
            if let Some(x) = row.hashrate_mhs {
                sum.hashrate_mhs = (sum.hashrate_mhs.0 + x, sum.hashrate_mhs.1 + 1);
            }
            if let Some(x) = row.power_w {
                sum.power_w = (sum.power_w.0 + x, sum.power_w.1 + 1);
            }
            if let (Some(rate), Some(power)) = (row.hashrate_mhs, row.power_w) {
                sum.both = (sum.both.0 + power, sum.both.1 + rate, sum.both.2 + 1);
            }
            sum.max_c = [sum.max_c, row.max_c].into_iter().flatten().reduce(f64::max);
        }
        sum
    }

    /// Efficiency in J/TH over the miners that tell both power and hashrate.
    pub fn efficiency(&self) -> Option<f64> {
        (self.both.1 > 0.0).then(|| self.both.0 / (self.both.1 / 1e6))
    }

    /// One line of `--json`. A sum without contributors is absent.
    pub fn json(&self, ts: Timestamp, last: bool) -> serde_json::Value {
        let mut out = serde_json::json!({
            "ts": ts, "things": self.things, "online": self.online,
            "hashrate_contributors": self.hashrate_mhs.1, "power_contributors": self.power_w.1,
            "efficiency_contributors": self.both.2, "states": self.states,
        });
        let known = |(sum, contributors): (f64, usize)| (contributors > 0).then_some(sum);
        let sums = [
            ("hashrate_mhs", known(self.hashrate_mhs)),
            ("power_w", known(self.power_w)),
            ("efficiency_j_th", self.efficiency()),
            ("temperature_max_c", self.max_c),
        ];
        for (key, value) in sums {
            if let Some(value) = value {
                out[key] = ((value * 100.0).round() / 100.0).into();
            }
        }
        if last {
            out["final"] = true.into();
        }
        out
    }
}
