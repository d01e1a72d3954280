use jiff::ToSpan;
use serde_json::{Value, json};

use super::{DAY, Draws, HOUR, OP, Row, btc, date, row, steps};
use crate::{Error, Result, io::Timestamp, ork::ExtQuery};

/// H/s of one worker.
const HASHRATE: f64 = 2.0e14;
/// BTC that 1 PH/s earns in a day.
const BTC_PER_PH_DAY: f64 = 6.0e-4;
const MINUTE: i64 = 60_000;
/// Most workers of one answer.
const PAGE: usize = 500;

/// Whose records an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemPoolStyle {
    /// F2Pool: one payment a day, in BTC.
    F2Pool,
    /// Ocean: a share of each block, in satoshi.
    Ocean,
}

impl MemPoolStyle {
    /// MiningOS's name of the pool.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F2Pool => "f2pool",
            Self::Ocean => "ocean",
        }
    }
}

/// An account at a pool.
#[derive(Debug, Clone)]
pub struct MemPool {
    /// Whose records it has.
    pub style: MemPoolStyle,
    /// Its name.
    pub account: String,
    /// Its workers; each tenth is off.
    pub workers: usize,
}

impl MemPool {
    /// An account with so many workers.
    pub fn new(style: MemPoolStyle, account: &str, workers: usize) -> Self {
        Self { style, account: account.into(), workers }
    }

    fn online(&self) -> usize {
        self.workers - self.workers / 10
    }
}

#[derive(Debug)]
pub(super) struct Pools {
    draws: Draws,
    pools: Vec<MemPool>,
}

impl Pools {
    pub fn new(draws: Draws, pools: Vec<MemPool>) -> Self {
        Self { draws, pools }
    }

    pub fn rows(&self, query: &ExtQuery, now: Timestamp) -> Result<Vec<Row>> {
        let wanted = |pool: &&MemPool| query.pool.as_deref().is_none_or(|name| name == pool.style.name());
        let pools: Vec<&MemPool> = self.pools.iter().filter(wanted).collect();
        let minute = now.0 - now.0.rem_euclid(MINUTE);
        Ok(match query.needs_key()? {
            "stats" => vec![self.stats(&pools, minute)?],
            "stats-history" => {
                let (start, end) = query.needs_range()?;
                let step = step(query)?;
                steps(start, end, now, step).map(|ts| self.stats(&pools, ts)).collect::<Result<_>>()?
            }
            "transactions" => {
                let (start, end) = query.needs_range()?;
                let day = |ts| row(json!({"ts": ts, "transactions": self.transactions(&pools, ts, now.0)}));
                steps(start, end, now, DAY).map(day).collect()
            }
            "workers" => self.workers(&pools, query, now)?,
            "workers-count" => {
                let (start, end) = query.needs_range()?;
                let count: usize = pools.iter().map(|pool| pool.workers).sum();
                steps(start, end, now, DAY).map(|ts| row(json!({"ts": ts, "count": count}))).collect()
            }
            // MiningOS's workers say nothing to a key that they do not know.
            _ => Vec::new(),
        })
    }

    fn hashrate(&self, pool: &MemPool, at: i64) -> f64 {
        let share = self.draws.between(0.97, 1.03, &format!("hashrate/{}", pool.account), at);
        (pool.online() as f64 * HASHRATE * share).round()
    }

    /// What a day earns, BTC.
    fn revenue(&self, pool: &MemPool, day: i64) -> f64 {
        btc(self.hashrate(pool, day) / 1e15 * BTC_PER_PH_DAY)
    }

    fn stats(&self, pools: &[&MemPool], ts: i64) -> Result<Row> {
        let of = |pool: &&MemPool| {
            let today = ts - ts.rem_euclid(DAY);
            let day = self.revenue(pool, today - DAY);
            let unsettled = btc(day * self.draws.between(0.1, 0.9, &format!("owed/{}", pool.account), today));
            Ok(json!({
                "poolType": pool.style.name(), "username": pool.account, "timestamp": ts,
                "hashrate": self.hashrate(pool, ts), "hashrate_1h": self.hashrate(pool, ts / HOUR),
                "hashrate_24h": self.hashrate(pool, today), "hashrate_stale_1h": 0, "hashrate_stale_24h": 0,
                "worker_count": pool.workers, "active_workers_count": pool.online(),
                "balance": btc(unsettled + day), "unsettled": unsettled, "revenue_24h": day,
                "estimated_today_income": self.revenue(pool, today),
                "yearlyBalances": self.months(pool, ts)?,
            }))
        };
        let stats = pools.iter().map(of).collect::<Result<Vec<Value>>>()?;
        Ok(row(json!({"ts": ts, "stats": stats})))
    }

    /// What the last twelve months earned, the newest first.
    fn months(&self, pool: &MemPool, ts: i64) -> Result<Vec<Value>> {
        let mut month = date(ts)?.first_of_month();
        let wrong = |e| Error::invalid(OP, "query.start", "is no time of the calendar").caused_by(e);
        let mut months = Vec::new();
        for _ in 0..12 {
            let (year, number) = (month.year(), month.month());
            let at = i64::from(year) * 12 + i64::from(number);
            let earned = btc(self.revenue(pool, at) * f64::from(month.days_in_month()));
            months.push(json!({"month": format!("{number}-{year}"), "balance": earned}));
            month = month.checked_sub(1.month()).map_err(wrong)?;
        }
        Ok(months)
    }

    fn transactions(&self, pools: &[&MemPool], day: i64, now: i64) -> Vec<Value> {
        pools.iter().flat_map(|pool| self.of_day(pool, day, now)).collect()
    }

    fn of_day(&self, pool: &MemPool, day: i64, now: i64) -> Vec<Value> {
        let earned = self.revenue(pool, day);
        match pool.style {
            // Booked a day after it was worked.
            MemPoolStyle::F2Pool => vec![json!({
                "id": day / DAY, "type": "revenue_fpps", "username": pool.account,
                "changed_balance": earned, "created_at": day / 1_000,
                "mining_extra": {
                    "mining_date": (day - DAY) / 1_000, "settle_date": day / 1_000, "pps": btc(earned * 0.98),
                    "pps_fee_rate": 0.02, "tx_fee": btc(earned * 0.02), "tx_fee_rate": 0.02,
                    "hash_rate": self.hashrate(pool, day),
                },
                "payout_extra": null,
            })],
            MemPoolStyle::Ocean => {
                let blocks = 2 + day.div_euclid(DAY).rem_euclid(3);
                let each = (earned * 1e8 / blocks as f64).round();
                let block = |n: i64| {
                    json!({
                        "ts": day + (n + 1) * DAY / (blocks + 1), "block_hash": format!("{:024x}", day / DAY * 10 + n),
                        "username": pool.account, "shares_in_window": 128_515_457,
                        "satoshis_net_earned": each as u64, "fees_colected_satoshis": (each / 100.0) as u64,
                    })
                };
                let found = |row: &Value| row["ts"].as_i64().is_some_and(|ts| ts <= now);
                (0..blocks).map(block).filter(found).collect()
            }
        }
    }

    /// The present, or with a range a row for each day.
    fn workers(&self, pools: &[&MemPool], query: &ExtQuery, now: Timestamp) -> Result<Vec<Row>> {
        let (offset, limit) = (query.count("offset")?.unwrap_or(0), query.count("limit")?.unwrap_or(100));
        let page = |at: i64, name: Option<&str>| {
            let all = pools.iter().flat_map(|pool| (0..pool.workers).map(|n| self.worker(pool, n, at)));
            let all = all.filter(|worker| name.is_none_or(|name| worker["name"] == name));
            all.skip(offset).take(limit.min(PAGE)).collect::<Vec<_>>()
        };
        match (query.start, query.end) {
            (Some(start), Some(end)) => {
                let name = query.text("name");
                let day = |ts| row(json!({"ts": ts, "workers": page(ts, name)}));
                Ok(steps(start, end, now, DAY).map(day).collect())
            }
            // MiningOS's time of what is so now.
            _ => Ok(vec![row(json!({"ts": 0, "workers": page(now.0, None)}))]),
        }
    }

    fn worker(&self, pool: &MemPool, n: usize, at: i64) -> Value {
        let online = n % 10 != 9;
        let name = format!("{}.rig{n:04}", pool.account);
        let share = self.draws.between(0.9, 1.1, &name, at / HOUR);
        let hashrate = if online { (HASHRATE * share).round() } else { 0.0 };
        json!({
            "username": pool.account, "id": name, "name": name, "online": u8::from(online),
            "last_updated": at / 1_000, "hashrate": hashrate, "hashrate_1h": hashrate, "hashrate_24h": hashrate,
            "hashrate_stale_1h": 0, "hashrate_stale_24h": 0,
        })
    }
}

fn step(query: &ExtQuery) -> Result<i64> {
    match query.text("interval") {
        None | Some("5m") => Ok(5 * MINUTE),
        Some("30m") => Ok(30 * MINUTE),
        Some("3h") => Ok(3 * HOUR),
        Some("1D") => Ok(DAY),
        Some(_) => Err(Error::invalid(OP, "query.interval", "takes 5m, 30m, 3h or 1D")),
    }
}
