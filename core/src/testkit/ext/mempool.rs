use serde_json::{Value, json};

use super::{DAY, Draws, Row, row, steps};
use crate::{Result, io::Timestamp, ork::ExtQuery};

/// Days that are given when no range says how many.
const DAYS: i64 = 100;
/// Height of the chain at a time, ms, and the time that a block takes.
const HEIGHT: (i64, i64, i64) = (900_841, 1_749_556_800_000, 600_000);
const SUBSIDY: f64 = 3.125;

#[derive(Debug)]
pub(super) struct Network {
    draws: Draws,
}

impl Network {
    pub fn new(draws: Draws) -> Self {
        Self { draws }
    }

    pub fn rows(&self, query: &ExtQuery, now: Timestamp) -> Result<Vec<Row>> {
        let today = now.0 - now.0.rem_euclid(DAY);
        let by_day = |of: &dyn Fn(i64) -> Value| {
            let start = query.start.unwrap_or(Timestamp(today - (DAYS - 1) * DAY));
            let days = steps(start, query.end.unwrap_or(now), now, DAY);
            Ok(days.map(|day| row(of(day))).collect())
        };
        match query.key.as_deref() {
            Some("current_price") => Ok(vec![row(json!({"currentPrice": self.price(now.0)}))]),
            Some("HISTORICAL_PRICES" | "prices") => {
                by_day(&|day| json!({"ts": day, "priceUSD": self.price(day)}))
            }
            Some("HISTORICAL_BLOCKSIZES") => by_day(&|day| self.block(day)),
            Some("HISTORICAL_HASHRATE") => {
                by_day(&|day| json!({"ts": day, "avgHashrateMHs": self.hashrate(day) / 1e6}))
            }
            _ => Ok(vec![row(self.live(now.0, today))]),
        }
    }

    /// USD.
    fn price(&self, at: i64) -> f64 {
        (self.draws.between(95_000.0, 105_000.0, "price", at - at.rem_euclid(300_000)) * 100.0).round()
            / 100.0
    }

    /// H/s.
    fn hashrate(&self, at: i64) -> f64 {
        self.draws.between(9.0e20, 9.4e20, "hashrate", at - at.rem_euclid(DAY)).round()
    }

    /// BTC in a block: the subsidy and the fees.
    fn reward(&self, day: i64) -> f64 {
        super::btc(SUBSIDY + self.draws.between(0.01, 0.05, "fees", day))
    }

    /// The block that stands for a day; rewards in satoshi, as the service has them.
    fn block(&self, day: i64) -> Value {
        let reward = (self.reward(day) * 1e8).round() as u64;
        json!({
            "ts": day, "blockReward": reward, "blockTotalFees": reward - (SUBSIDY * 1e8) as u64,
            "blockSize": self.draws.between(1.2e6, 1.9e6, "size", day) as u64,
            "blockHash": format!("{:064x}", day / DAY),
        })
    }

    fn live(&self, now: i64, today: i64) -> Value {
        let (height, at, block_ms) = HEIGHT;
        let (price, before) = (self.price(now), self.price(now - DAY));
        let mean = |days: i64| {
            let all = (0..days).map(|n| self.reward(today - n * DAY));
            super::btc(all.sum::<f64>() / days as f64)
        };
        json!({
            "currentPrice": price, "priceChange24Hrs": ((price - before) / before * 10_000.0).round() / 100.0,
            "blockHeight": height + (now - at).div_euclid(block_ms),
            "currentHashrate": self.hashrate(now), "currentDifficulty": 1.26e14,
            "adjustments": {
                "progressToDifficulty": 41.2, "nextAdjustmentTs": today + 9 * DAY, "nextAdjustmentExp": 1.8,
                "prevAdjustment": 4.38, "avgBlockTime": 9.8,
            },
            "blockRewardAvgs": {
                "24h": mean(1), "3d": mean(3), "1w": mean(7), "1m": mean(30), "3m": mean(91), "6m": mean(182),
                "1y": mean(365), "2y": mean(730), "3y": mean(1_095),
            },
            "transactionFees": {"fastest": 4, "halfHour": 3, "hour": 2},
        })
    }
}
