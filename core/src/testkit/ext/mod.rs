//! Data from outside, in memory: what a source says follows from its seed and the clock alone, in the shapes of
//! MiningOS's workers.

mod electricity;
mod mempool;
mod minerpool;

pub use minerpool::{MemPool, MemPoolStyle};

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::{Timestamp as Instant, civil, tz::TimeZone};
use serde_json::{Map, Value};

use crate::{
    Error, ErrorKind, Result,
    io::{Clock, Ctx, Timestamp},
    ork::{ExtData, ExtQuery},
    rack::Caller,
};

const OP: &str = "memory.ext";
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// No answer goes back further than so many days.
const MOST_DAYS: i64 = 3_660;

/// Rows that an orchestrator takes.
const MOST_ROWS: usize = 100_000;

type Row = Map<String, Value>;

/// How a source in memory misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemExtFault {
    /// Not at all.
    #[default]
    None,
    /// It cannot be reached.
    Fails,
    /// It never answers.
    Hangs,
    /// It gives more rows than anybody takes.
    Floods,
    /// It comes to a bad end.
    Panics,
}

/// A source in memory.
#[derive(Debug)]
pub struct MemExtData {
    name: String,
    clock: Arc<dyn Clock>,
    kind: Kind,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Kind {
    Minerpool(minerpool::Pools),
    Mempool(mempool::Network),
    Electricity(electricity::Supply),
}

#[derive(Debug, Default)]
struct State {
    fault: MemExtFault,
    asked: u64,
    told: BTreeMap<String, Value>,
}

impl MemExtData {
    /// Accounts at pools, for the type `minerpool` or one below it. It answers `stats`, `stats-history`, `transactions`,
    /// `workers` and `workers-count`.
    pub fn minerpool(cx: &Ctx, name: &str, seed: u64, pools: Vec<MemPool>) -> Self {
        Self::of(cx, name, Kind::Minerpool(minerpool::Pools::new(Draws(seed), pools)))
    }

    /// The network and its prices, for the type `mempool`. It answers `current_price`, `prices`, `HISTORICAL_PRICES`,
    /// `HISTORICAL_BLOCKSIZES`, `HISTORICAL_HASHRATE`, and all other questions with the present.
    pub fn mempool(cx: &Ctx, name: &str, seed: u64) -> Self {
        Self::of(cx, name, Kind::Mempool(mempool::Network::new(Draws(seed))))
    }

    /// The supply of energy, for the type `electricity`. It answers `stats-history`, `forecast`, `forecastHistory`,
    /// `forecastSettings` and `availableEnergy`, and can be told the last two.
    pub fn electricity(cx: &Ctx, name: &str, seed: u64) -> Self {
        Self::of(cx, name, Kind::Electricity(electricity::Supply::new(Draws(seed))))
    }

    fn of(cx: &Ctx, name: &str, kind: Kind) -> Self {
        Self { name: name.into(), clock: Arc::clone(&cx.clock), kind, state: Mutex::default() }
    }

    /// From now on it misbehaves so.
    pub fn fault(&self, fault: MemExtFault) {
        self.lock().fault = fault;
    }

    /// How often it was asked or told anything.
    pub fn asked(&self) -> u64 {
        self.lock().asked
    }

    /// What it was told last under a key.
    pub fn told(&self, key: &str) -> Option<Value> {
        self.lock().told.get(key).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(clippy::panic, reason = "this is how it misbehaves")]
    async fn enter(&self) -> Result<bool> {
        let fault = {
            let mut state = self.lock();
            state.asked += 1;
            state.fault
        };
        match fault {
            MemExtFault::None => Ok(false),
            MemExtFault::Floods => Ok(true),
            MemExtFault::Fails => Err(Error::new(ErrorKind::Unreachable, OP, "the service is off")),
            MemExtFault::Hangs => std::future::pending().await,
            MemExtFault::Panics => panic!("a defect of this source"),
        }
    }
}

#[async_trait]
impl ExtData for MemExtData {
    fn name(&self) -> &str {
        &self.name
    }

    async fn rows(&self, query: &ExtQuery) -> Result<Vec<Row>> {
        if self.enter().await? {
            return Ok(vec![Row::new(); MOST_ROWS + 1]);
        }
        let now = self.clock.wall();
        match &self.kind {
            Kind::Minerpool(pools) => pools.rows(query, now),
            Kind::Mempool(network) => network.rows(query, now),
            Kind::Electricity(supply) => supply.rows(query, now, &self.lock().told),
        }
    }

    fn takes(&self, key: &str) -> bool {
        matches!(self.kind, Kind::Electricity(_)) && electricity::TAKES.contains(&key)
    }

    async fn set(&self, key: &str, value: Value, _: &Caller) -> Result<Value> {
        self.enter().await?;
        electricity::check(key, &value)?;
        self.lock().told.insert(key.into(), value);
        Ok(Value::Null)
    }
}

/// Numbers that follow from a seed, a name and a time.
#[derive(Debug, Clone, Copy)]
struct Draws(u64);

impl Draws {
    /// From 0 to 1, without 1.
    fn unit(self, what: &str, at: i64) -> f64 {
        // FNV-1a over the name, then the last steps of SplitMix64.
        let named = what.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut mixed = named ^ at.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(self, low: f64, high: f64, what: &str, at: i64) -> f64 {
        low + (high - low) * self.unit(what, at)
    }
}

/// With as many decimals as a satoshi has.
fn btc(value: f64) -> f64 {
    (value * 1e8).round() / 1e8
}

fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

/// The begins of the steps that lie in a range and have begun, both ends included. More than anybody takes are not made.
fn steps(start: Timestamp, end: Timestamp, now: Timestamp, step: i64) -> impl Iterator<Item = i64> {
    let from = start.0.max(now.0 - MOST_DAYS * DAY);
    let (first, last) = (from.div_euclid(step) + i64::from(from.rem_euclid(step) > 0), end.0.min(now.0));
    (first..=last.div_euclid(step)).take(MOST_ROWS + 1).map(move |n| n * step)
}

/// The day of a time in UTC.
fn date(ms: i64) -> Result<civil::Date> {
    let wrong = |e| Error::invalid(OP, "query.start", "is no time of the calendar").caused_by(e);
    Ok(TimeZone::UTC.to_datetime(Instant::from_millisecond(ms).map_err(wrong)?).date())
}
