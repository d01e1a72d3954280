//! What the machine is doing, from what it says about orders and rates.

use headframe_core::model::{State, Status};

/// Below this share of what it aims for, a machine that has settled is degraded.
const ENOUGH: f64 = 0.8;
/// A machine without hashrate is on its way up for so long after a start, s.
const START_S: f64 = 600.0;
/// Tuning after a start takes up to so long, s.
const TUNING_S: f64 = 900.0;

/// What the decision rests on; rates in MH/s.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Signs {
    /// Whether it was ordered not to mine.
    pub off: Option<bool>,
    /// Hashrate now.
    pub now: Option<f64>,
    /// Hashrate since mining started.
    pub average: Option<f64>,
    /// Hashrate it should reach in its present mode.
    pub aim: Option<f64>,
    /// Whether the clock has reached its final value.
    pub settled: Option<bool>,
    /// Since mining started, s.
    pub elapsed: Option<f64>,
    /// Since the machine started, s.
    pub uptime: Option<f64>,
    /// Whether it reports errors.
    pub errors: bool,
    /// Whether it reports fewer boards than its model has.
    pub boards_missing: bool,
}

impl Signs {
    /// Whether it hashes. The average says little: it stays above 0 for a while after a stop.
    pub fn is_mining(&self) -> Option<bool> {
        match (self.off, self.now) {
            (Some(true), _) => Some(false),
            (_, Some(now)) => Some(now > 0.0),
            (Some(false), None) => Some(true),
            (None, None) => None,
        }
    }

    /// Whether it stands by order: as it says, else by MiningOS's rule that an average of 0 means it.
    pub fn suspended(&self) -> Option<bool> {
        match (self.off, self.now, self.average) {
            (Some(off), ..) => Some(off),
            (None, Some(now), _) if now > 0.0 => Some(false),
            (None, _, average) => average.map(|average| average == 0.0),
        }
    }

    /// MiningOS's status.
    pub fn status(&self) -> Status {
        match (self.is_mining(), self.suspended()) {
            _ if self.errors => Status::Error,
            (Some(true), _) => Status::Mining,
            (Some(false), Some(true)) => Status::Sleeping,
            (Some(false), _) => Status::NotMining,
            // It answered, but nothing that counts: MiningOS calls that an error.
            (None, _) => Status::Error,
        }
    }

    /// Headframe's state.
    pub fn state(&self) -> State {
        // An elapsed time of 0 says that mining has not begun, not when.
        let since = self.elapsed.filter(|s| *s > 0.0).or(self.uptime);
        let up = |limit: f64| since.is_some_and(|s| s < limit);
        match (self.off, self.now) {
            (Some(true), _) => State::Idle,
            (_, None) => State::Unknown,
            (_, Some(now)) if now > 0.0 => self.hashing(now),
            // Without a word about orders, standing still cannot be told from a fault.
            (None, Some(_)) => State::Unknown,
            (Some(false), _) if up(START_S) || self.uptime.is_some_and(|s| s < START_S) => State::Starting,
            (Some(false), _) if self.settled == Some(false) && up(TUNING_S) => State::Starting,
            (Some(false), _) => State::Fault,
        }
    }

    fn hashing(&self, now: f64) -> State {
        if self.errors || self.boards_missing {
            return State::Degraded;
        }
        let settled = self.settled.unwrap_or_else(|| self.elapsed.is_some_and(|s| s >= TUNING_S));
        if self.settled == Some(false) {
            State::Starting
        } else if settled && self.aim.is_some_and(|aim| now < ENOUGH * aim) {
            State::Degraded
        } else {
            State::Hashing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashing() -> Signs {
        Signs {
            off: Some(false),
            now: Some(2e8),
            average: Some(2e8),
            aim: Some(2e8),
            settled: Some(true),
            elapsed: Some(7000.0),
            uptime: Some(7100.0),
            ..Signs::default()
        }
    }

    #[test]
    fn orders_rates_and_errors() {
        let h = hashing();
        for (signs, mining, status, state) in [
            (h, Some(true), Status::Mining, State::Hashing),
            (Signs { errors: true, ..h }, Some(true), Status::Error, State::Degraded),
            (Signs { boards_missing: true, ..h }, Some(true), Status::Mining, State::Degraded),
            (Signs { now: Some(1.5e8), ..h }, Some(true), Status::Mining, State::Degraded),
            (Signs { now: Some(1.5e8), aim: None, ..h }, Some(true), Status::Mining, State::Hashing),
            (
                Signs { now: Some(1.5e8), settled: Some(false), ..h },
                Some(true),
                Status::Mining,
                State::Starting,
            ),
            (
                Signs { now: Some(1e8), settled: None, elapsed: Some(60.0), ..h },
                Some(true),
                Status::Mining,
                State::Hashing,
            ),
            // The average outlives a stop.
            (Signs { off: Some(true), ..h }, Some(false), Status::Sleeping, State::Idle),
            (Signs { now: Some(0.0), ..h }, Some(false), Status::NotMining, State::Fault),
            (
                Signs { now: Some(0.0), elapsed: Some(30.0), ..h },
                Some(false),
                Status::NotMining,
                State::Starting,
            ),
            (
                Signs { now: Some(0.0), elapsed: Some(800.0), settled: Some(false), ..h },
                Some(false),
                Status::NotMining,
                State::Starting,
            ),
            (Signs { now: None, ..h }, Some(true), Status::Mining, State::Unknown),
            (Signs { now: Some(0.0), elapsed: Some(0.0), ..h }, Some(false), Status::NotMining, State::Fault),
            // Nothing is known about orders.
            (Signs { off: None, ..h }, Some(true), Status::Mining, State::Hashing),
            (Signs { off: None, now: Some(0.0), ..h }, Some(false), Status::NotMining, State::Unknown),
            (
                Signs { off: None, now: Some(0.0), average: Some(0.0), ..h },
                Some(false),
                Status::Sleeping,
                State::Unknown,
            ),
            (Signs::default(), None, Status::Error, State::Unknown),
        ] {
            assert_eq!(
                (signs.is_mining(), signs.status(), signs.state()),
                (mining, status, state),
                "{signs:?}"
            );
        }
    }

    #[test]
    fn who_hashes_is_not_suspended() {
        let ramping = Signs { off: None, average: Some(0.0), ..hashing() };
        assert_eq!(ramping.suspended(), Some(false));
        assert_eq!(Signs { off: Some(true), ..hashing() }.suspended(), Some(true));
        assert_eq!(Signs::default().suspended(), None);
    }
}
