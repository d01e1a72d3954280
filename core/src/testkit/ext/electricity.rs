use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{DAY, Draws, HOUR, OP, Row, date, row, steps};
use crate::{Error, Result, io::Timestamp, ork::ExtQuery};

/// What it can be told.
pub(super) const TAKES: [&str; 2] = ["availableEnergy", SETTINGS];
const SETTINGS: &str = "forecastSettings";
/// What the settings of forecasts consist of, each an object.
const OF_SETTINGS: [&str; 5] =
    ["miningRevenueTaxFees", "sellingEnergyTaxFees", "buyingEnergyTaxFees", "lcoe", "siteEfficiency"];
/// MW that the site may draw.
const CONTRACT_MW: f64 = 60.0;
/// How far a forecast goes, hours.
const AHEAD: i64 = 48;

#[derive(Debug)]
pub(super) struct Supply {
    draws: Draws,
}

/// Refuses what has the wrong form.
pub(super) fn check(key: &str, value: &Value) -> Result<()> {
    let refused = |why: &str| Err(Error::invalid(OP, "value", why).code_as("ERR_VALUE_INVALID"));
    let objects = |all: &Vec<Value>| all.iter().all(Value::is_object);
    match key {
        SETTINGS if OF_SETTINGS.iter().all(|name| value[*name].is_object()) => Ok(()),
        SETTINGS => refused("takes the five objects of the settings"),
        _ if value.as_array().is_some_and(objects) => Ok(()),
        _ => refused("takes a list of objects"),
    }
}

impl Supply {
    pub fn new(draws: Draws) -> Self {
        Self { draws }
    }

    pub fn rows(&self, query: &ExtQuery, now: Timestamp, told: &BTreeMap<String, Value>) -> Result<Vec<Row>> {
        let hour = |ts| row(self.forecast(ts));
        Ok(match query.needs_key()? {
            "stats-history" => self.history(query, now)?,
            "forecast" => {
                let first = now.0.div_euclid(HOUR) + 1;
                (first..first + AHEAD).map(|n| hour(n * HOUR)).collect()
            }
            "forecastHistory" => {
                let (start, end) = query.needs_range()?;
                steps(start, end, now, HOUR).map(hour).collect()
            }
            SETTINGS => vec![row(told.get(SETTINGS).cloned().unwrap_or_else(settings))],
            key @ "availableEnergy" => {
                let rows = told.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
                rows.into_iter().map(row).collect()
            }
            _ => Vec::new(),
        })
    }

    /// Energy of each hour, day or month that lies in the range.
    fn history(&self, query: &ExtQuery, now: Timestamp) -> Result<Vec<Row>> {
        let (start, end) = query.needs_range()?;
        let mut rows: Vec<(i64, Energy)> = Vec::new();
        for ts in steps(start, end, now, HOUR) {
            let label = match query.text("groupRange") {
                None => ts,
                Some("1D") => ts - ts.rem_euclid(DAY),
                Some("1M") => {
                    let day = ts - ts.rem_euclid(DAY);
                    day - i64::from(date(ts)?.day() - 1) * DAY
                }
                Some(_) => return Err(Error::invalid(OP, "query.groupRange", "takes 1D or 1M")),
            };
            match rows.last_mut().filter(|(at, _)| *at == label) {
                Some((_, energy)) => energy.add(&self.energy(ts)),
                None => rows.push((label, self.energy(ts))),
            }
        }
        Ok(rows.into_iter().map(|(ts, energy)| energy.row(ts)).collect())
    }

    fn energy(&self, hour: i64) -> Energy {
        let available = CONTRACT_MW * self.draws.between(0.95, 1.0, "available", hour);
        Energy { available, used: available * self.draws.between(0.8, 0.98, "used", hour) }
    }

    fn forecast(&self, ts: i64) -> Value {
        let price = (self.draws.between(20.0, 90.0, "price", ts) * 100.0).round() / 100.0;
        json!({"ts": ts, "pricePerMwh": price, "currency": "USD", "availableMwh": self.energy(ts).available})
    }
}

/// MWh.
struct Energy {
    used: f64,
    available: f64,
}

impl Energy {
    fn add(&mut self, more: &Self) {
        self.used += more.used;
        self.available += more.available;
    }

    /// Under the names of both readers: the gateway's and the dashboard's.
    fn row(&self, ts: i64) -> Row {
        row(json!({
            "ts": ts,
            "energy_aggr": {"active_energy_in_aggr": self.used, "ute_energy_aggr": self.available},
            "energy": {"usedEnergy": self.used, "availableEnergy": self.available},
        }))
    }
}

fn settings() -> Value {
    let rate = |percent: f64| json!({"percent": percent});
    json!({
        "miningRevenueTaxFees": rate(2.0), "sellingEnergyTaxFees": rate(1.5), "buyingEnergyTaxFees": rate(1.0),
        "lcoe": {"usdPerMwh": 38.5}, "siteEfficiency": {"wPerTh": 21.0},
    })
}
