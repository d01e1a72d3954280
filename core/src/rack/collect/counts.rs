use std::time::Duration;

use serde::Serialize;

use crate::units::as_millis;

/// What a collector has and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// Things there are: the sum of the next five.
    pub things: usize,
    /// Things with [`Link::Online`](super::Link::Online).
    pub online: usize,
    /// Things with [`Link::Offline`](super::Link::Offline).
    pub offline: usize,
    /// Things with [`Link::Error`](super::Link::Error).
    pub error: usize,
    /// Things with [`Link::Stale`](super::Link::Stale).
    pub stale: usize,
    /// Things with [`Link::Never`](super::Link::Never).
    pub never: usize,
    /// Things that missed their last poll and wait longer for the next.
    pub slow: usize,
    /// Polls that run now.
    pub in_flight: usize,
    /// Polls that are due and wait for a lane.
    pub waiting: usize,
    /// Polls that ended with a reading.
    pub polls_done: u64,
    /// Those of `polls_done` that gave no snapshot.
    pub polls_failed: u64,
    /// Polls of healthy things, which are those that answered their last one, that began late: a tenth of the interval, but at most 1 s, after they were due.
    pub polls_late: u64,
    /// Polls ended before their deadline because they lasted while others waited for their lane.
    pub polls_cut: u64,
    /// Polls that did not take place because the thing's previous one, or the wait for a lane, lasted too long.
    pub ticks_missed: u64,
    /// Readings that the sink did not get, because its queue was full or it panicked.
    pub sink_dropped: u64,
    /// Readings that subscribers did not get because they read too slowly, over all subscribers.
    pub events_missed: u64,
    /// Half of the recent polls of healthy things began at most this long after they were due.
    #[serde(rename = "latenessP50Ms", serialize_with = "as_millis")]
    pub lateness_p50: Duration,
    /// 99 % of the recent polls of healthy things began at most this long after they were due.
    #[serde(rename = "latenessP99Ms", serialize_with = "as_millis")]
    pub lateness_p99: Duration,
}

impl Counts {
    /// Both together; of latenesses the greater.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            things: self.things + other.things,
            online: self.online + other.online,
            offline: self.offline + other.offline,
            error: self.error + other.error,
            stale: self.stale + other.stale,
            never: self.never + other.never,
            slow: self.slow + other.slow,
            in_flight: self.in_flight + other.in_flight,
            waiting: self.waiting + other.waiting,
            polls_done: self.polls_done + other.polls_done,
            polls_failed: self.polls_failed + other.polls_failed,
            polls_late: self.polls_late + other.polls_late,
            polls_cut: self.polls_cut + other.polls_cut,
            ticks_missed: self.ticks_missed + other.ticks_missed,
            sink_dropped: self.sink_dropped + other.sink_dropped,
            events_missed: self.events_missed + other.events_missed,
            lateness_p50: self.lateness_p50.max(other.lateness_p50),
            lateness_p99: self.lateness_p99.max(other.lateness_p99),
        }
    }
}

const PER_OCTAVE: u64 = 4;
const BUCKETS: usize = 140;
const RECENT: u64 = 1 << 17;

/// Times in buckets of four per doubling, from 1 µs to 9 h; older ones fade.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [u64; BUCKETS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        if self.total >= RECENT {
            self.buckets.iter_mut().for_each(|n| *n /= 2);
            self.total = self.buckets.iter().sum();
        }
        if let Some(n) = self.buckets.get_mut(bucket(time).min(BUCKETS - 1)) {
            *n += 1;
            self.total += 1;
        }
    }

    /// The upper bound of the bucket that holds the time which `percent` % do not exceed; zero when empty.
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.total * percent).div_ceil(100);
        let mut seen = 0;
        for (index, n) in self.buckets.iter().enumerate() {
            seen += n;
            if *n > 0 && seen >= wanted {
                return upper(index);
            }
        }
        Duration::ZERO
    }
}

/// Bucket 0 holds less than 1 µs; below 4 µs a bucket is 1 µs wide, then a quarter of its octave.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let index = if micros < PER_OCTAVE {
        micros
    } else {
        let octave = u64::from(micros.ilog2());
        (octave - 1) * PER_OCTAVE + ((micros >> (octave - 2)) - PER_OCTAVE)
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn upper(index: usize) -> Duration {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    let micros = if index < PER_OCTAVE {
        index
    } else {
        let (octave, quarter) = (index / PER_OCTAVE + 1, index % PER_OCTAVE);
        ((PER_OCTAVE + quarter + 1) << (octave - 2)) - 1
    };
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_its_upper_bound() {
        for micros in (0..5_000).chain([65_535, 65_536, 1_000_000, 30_000_000]) {
            let index = bucket(Duration::from_micros(micros));
            let most = u64::try_from(upper(index).as_micros()).unwrap();
            assert!(most >= micros && most <= micros + micros / 4, "{micros} µs in ..={most}");
            assert!(bucket(Duration::from_micros(most + 1)) == index + 1, "{micros}");
        }
    }

    #[test]
    fn percentiles_are_never_too_low_and_old_times_fade() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(99), Duration::ZERO);
        (1..=1_000).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        let half = histogram.percentile(50).as_millis();
        assert!((500..630).contains(&half), "{half}");
        let most = histogram.percentile(99).as_millis();
        assert!((990..1_250).contains(&most), "{most}");
        (0..4 * RECENT).for_each(|_| histogram.add(Duration::ZERO));
        assert_eq!(histogram.percentile(99), Duration::ZERO);
        histogram.add(Duration::MAX);
        assert!(histogram.percentile(100) > Duration::from_secs(3600));
    }
}
