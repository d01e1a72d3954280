use std::{ops::RangeInclusive, time::Duration};

use crate::{Error, Result};

const OP: &str = "collector.options";
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const MOST_LANES: usize = 65_536;
const MOST_QUEUED: usize = 1 << 20;
const KEEP_CONNECTIONS_UP_TO: Duration = Duration::from_secs(5);

/// How a [`Collector`](super::Collector) works. `None` derives the value from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectorOptions {
    /// Time between two polls of one thing; 60 s. Up to 5 s, drivers may keep connections open in between.
    pub interval: Duration,
    /// Time that one poll has, opening and signing in included; the interval, but at most 30 s.
    pub deadline: Option<Duration>,
    /// How many polls of healthy things run at once; 256. Things that never answered yet use at most half.
    pub lanes: usize,
    /// How many polls of things that missed their last poll run at once, beside `lanes`; 64.
    pub slow_lanes: usize,
    /// The longest pause between two polls of a thing that does not answer; 10 intervals, but at most 5 min
    /// and at least the interval.
    pub max_backoff: Option<Duration>,
    /// From this age the last good snapshot is stale; 2.5 intervals.
    pub stale_after: Option<Duration>,
    /// A thing that cannot be reached is offline when its last good answer is older than this; 30 s, as
    /// MiningOS's `lastSeenTimeout`.
    pub offline_after: Duration,
    /// How many readings wait for the sink; 16,384. When it is full the oldest is dropped and counted.
    pub sink_queue: usize,
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            deadline: None,
            lanes: 256,
            slow_lanes: 64,
            max_backoff: None,
            stale_after: None,
            offline_after: Duration::from_secs(30),
            sink_queue: 16_384,
        }
    }
}

impl CollectorOptions {
    /// The defaults, polling once per `interval`.
    pub fn every(interval: Duration) -> Self {
        Self { interval, ..Self::default() }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field.
    pub fn validate(&self) -> Result<()> {
        self.resolve().map(|_| ())
    }

    /// How long a poll may take, and the longest time between two polls of a thing that does not answer.
    #[cfg(feature = "history")]
    pub(crate) fn bounds(&self) -> Result<(Duration, Duration)> {
        self.resolve().map(|limits| (limits.deadline, limits.max_backoff))
    }

    pub(super) fn resolve(&self) -> Result<Limits> {
        let interval = time("interval", self.interval, SHORTEST)?;
        let deadline = self.deadline.unwrap_or(interval.min(Duration::from_secs(30)));
        let max_backoff = self
            .max_backoff
            .unwrap_or_else(|| interval.saturating_mul(10).min(Duration::from_secs(300)).max(interval));
        let stale_after = self.stale_after.unwrap_or_else(|| interval.saturating_mul(5) / 2);
        Ok(Limits {
            interval,
            deadline: time("deadline", deadline, SHORTEST)?,
            lanes: number("lanes", self.lanes, 1..=MOST_LANES)?,
            slow_lanes: number("slow_lanes", self.slow_lanes, 1..=MOST_LANES)?,
            max_backoff: time("max_backoff", max_backoff, interval)?,
            stale_after: bounded("stale_after", stale_after, interval, LONGEST * 10)?,
            offline_after: bounded("offline_after", self.offline_after, SHORTEST, LONGEST * 10)?,
            sink_queue: number("sink_queue", self.sink_queue, 1..=MOST_QUEUED)?,
            keep_connections: interval <= KEEP_CONNECTIONS_UP_TO,
        })
    }
}

/// Checked options with every value present.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub interval: Duration,
    pub deadline: Duration,
    pub lanes: usize,
    pub slow_lanes: usize,
    pub max_backoff: Duration,
    pub stale_after: Duration,
    pub offline_after: Duration,
    pub sink_queue: usize,
    pub keep_connections: bool,
}

fn time(field: &'static str, value: Duration, least: Duration) -> Result<Duration> {
    bounded(field, value, least, LONGEST)
}

fn bounded(field: &'static str, value: Duration, least: Duration, most: Duration) -> Result<Duration> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(OP, field, format!("{value:?} is not between {least:?} and {most:?}")))
}

fn number(field: &'static str, value: usize, range: RangeInclusive<usize>) -> Result<usize> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(OP, field, format!("{value} is not between {} and {}", range.start(), range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut CollectorOptions)) -> String {
        let mut options = CollectorOptions::default();
        change(&mut options);
        options.validate().unwrap_err().fact("field").unwrap().to_owned()
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let second = Duration::from_secs(1);
        assert_eq!(refused(|o| o.interval = Duration::ZERO), "interval");
        assert_eq!(refused(|o| o.interval = Duration::MAX), "interval");
        assert_eq!(refused(|o| o.deadline = Some(Duration::ZERO)), "deadline");
        assert_eq!(refused(|o| o.lanes = 0), "lanes");
        assert_eq!(refused(|o| o.lanes = usize::MAX), "lanes");
        assert_eq!(refused(|o| o.slow_lanes = 0), "slow_lanes");
        assert_eq!(refused(|o| o.max_backoff = Some(second)), "max_backoff");
        assert_eq!(refused(|o| o.stale_after = Some(second)), "stale_after");
        assert_eq!(refused(|o| o.offline_after = Duration::ZERO), "offline_after");
        assert_eq!(refused(|o| o.sink_queue = 0), "sink_queue");
    }

    #[test]
    fn what_is_left_open_follows_the_interval() {
        let seconds = Duration::from_secs;
        let minute = CollectorOptions::default().resolve().unwrap();
        assert_eq!((minute.deadline, minute.max_backoff), (seconds(30), seconds(300)));
        assert_eq!((minute.stale_after, minute.keep_connections), (seconds(150), false));
        let quick = CollectorOptions::every(seconds(5)).resolve().unwrap();
        assert_eq!((quick.deadline, quick.max_backoff), (seconds(5), seconds(50)));
        assert!(quick.keep_connections);
        let rare = CollectorOptions::every(seconds(600)).resolve().unwrap();
        assert_eq!((rare.deadline, rare.max_backoff), (seconds(30), seconds(600)));
    }
}
