use std::{
    fmt,
    num::NonZeroU64,
    ops::{Add, Sub},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Wall-clock time: milliseconds since 1970-01-01 UTC. It can jump; use [`Mono`] for durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Monotonic time since an origin that the clock chose, to the nanosecond, for 584 years. Comparable within one
/// [`Clock`] only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(NonZeroU64);

impl Mono {
    /// The time `since` the clock's origin.
    pub fn from_origin(since: Duration) -> Self {
        // One more than the nanoseconds, so that an absent time needs no room of its own.
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// The time since the clock's origin.
    pub const fn since_origin(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }

    /// How long after `earlier` this is; zero when it is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Mono {
    fn default() -> Self {
        Self(NonZeroU64::MIN)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self::from_origin(self.since_origin().saturating_add(rhs))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self::from_origin(self.since_origin().saturating_sub(rhs))
    }
}

impl fmt::Debug for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:?}", self.since_origin())
    }
}

/// Source of time.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Wall-clock time.
    fn wall(&self) -> Timestamp;
    /// Monotonic time.
    fn mono(&self) -> Mono;
    /// Waits until `at`; returns at once when it has passed.
    async fn sleep_until(&self, at: Mono);
}

/// The machine's clock. Under tokio's paused time it follows that, so simulations advance it at will.
#[derive(Clone, Copy)]
pub struct SystemClock {
    origin: tokio::time::Instant,
    wall_at_origin: Option<i64>,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: now(), wall_at_origin: None }
    }
}

impl SystemClock {
    /// A clock whose wall time starts at `wall` and then follows monotonic time; for simulation.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { origin: now(), wall_at_origin: Some(wall.0) }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one door to the machine's clock")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "this is the one door to the machine's clock")]
fn system_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        match self.wall_at_origin {
            None => Timestamp(system_ms()),
            Some(ms) => Timestamp(
                ms.saturating_add(i64::try_from(self.mono().since_origin().as_millis()).unwrap_or(i64::MAX)),
            ),
        }
    }

    fn mono(&self) -> Mono {
        Mono::from_origin(now().duration_since(self.origin))
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one door to the machine's clock")]
    async fn sleep_until(&self, at: Mono) {
        match self.origin.checked_add(at.since_origin()) {
            Some(instant) => tokio::time::sleep_until(instant).await,
            // Farther away than the machine can count: never.
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemClock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_wall_time_follows_monotonic_time() {
        let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
        clock.sleep_until(clock.mono() + Duration::from_secs(90)).await;
        assert_eq!(clock.wall(), Timestamp(1_764_000_090_000));
        assert_eq!(clock.mono().since_origin(), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_until_the_past_returns_at_once() {
        let clock = SystemClock::default();
        clock.sleep_until(Mono::default()).await;
        assert_eq!(clock.mono().since_origin(), Duration::ZERO);
    }
}
