use std::time::Duration;

use crate::{io::Mono, model::Shares};

/// Values that are not live are read again after this time. With polls at most 5 minutes apart no value is then
/// older than 10 minutes; with rarer polls it is read on every one.
pub const REFRESH: Duration = Duration::from_secs(300);

/// A value and when it was read.
#[derive(Debug, Clone, Default)]
pub struct Aged<T> {
    value: Option<T>,
    read_at: Option<Mono>,
    tried_at: Option<Mono>,
}

impl<T> Aged<T> {
    /// Nothing read yet.
    pub const fn empty() -> Self {
        Self { value: None, read_at: None, tried_at: None }
    }

    /// Whether it is time to read it (again): never tried, or last tried [`REFRESH`] ago.
    pub fn due(&self, now: Mono) -> bool {
        self.tried_at.is_none_or(|at| now.since(at) >= REFRESH)
    }

    /// Keeps what was read.
    pub fn put(&mut self, value: T, now: Mono) {
        self.value = Some(value);
        self.read_at = Some(now);
        self.tried_at = Some(now);
    }

    /// Notes a failed attempt; the value read before stays, and grows older.
    pub fn failed(&mut self, now: Mono) {
        self.tried_at = Some(now);
    }

    /// Makes it due at once, after a write for example.
    pub fn expire(&mut self) {
        self.tried_at = None;
    }

    /// The value, however old.
    pub const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// How old the value is; `None` without one.
    pub fn age(&self, now: Mono) -> Option<Duration> {
        self.read_at.map(|at| now.since(at))
    }
}

/// Turns lifetime counters into what was added since the previous snapshot.
#[derive(Debug, Clone, Default)]
pub struct ShareMeter(Option<Shares>);

impl ShareMeter {
    /// The shares added since the previous call; `None` on the first, which has nothing to compare with.
    pub fn advance(&mut self, totals: Shares) -> Option<Shares> {
        self.0.replace(totals).map(|before| totals.since(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_due_until_read_and_again_when_old() {
        let at = |s| Mono::from_origin(Duration::from_secs(s));
        let mut value = Aged::empty();
        assert!(value.due(at(0)));
        value.put(1, at(10));
        assert!(!value.due(at(309)) && value.due(at(310)));
        value.failed(at(310));
        assert!(!value.due(at(400)));
        assert_eq!((value.get(), value.age(at(400))), (Some(&1), Some(Duration::from_secs(390))));
        value.expire();
        assert!(value.due(at(400)));
    }

    #[test]
    fn shares_count_from_the_second_snapshot_and_survive_a_reset() {
        let totals = |accepted, stale| Shares { accepted, rejected: 3, stale };
        let mut meter = ShareMeter::default();
        assert_eq!(meter.advance(totals(412, 1)), None);
        let delta = Shares { accepted: 5, rejected: 0, stale: 0 };
        assert_eq!(meter.advance(totals(417, 1)), Some(delta));
        let after_reset = Shares { accepted: 9, rejected: 0, stale: 1 };
        assert_eq!(meter.advance(totals(9, 2)), Some(after_reset));
    }
}
