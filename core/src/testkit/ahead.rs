use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::io::{Clock, Mono, SystemClock, Timestamp};

/// The machine's clock, which can be put ahead: over real sockets half an hour cannot be waited for. Clones are the
/// same clock. Whoever waits for a time that has passed then is woken.
#[derive(Debug, Clone)]
pub struct AheadClock {
    machine: SystemClock,
    ahead: Arc<watch::Sender<Duration>>,
}

impl Default for AheadClock {
    fn default() -> Self {
        Self { machine: SystemClock::default(), ahead: Arc::new(watch::Sender::new(Duration::ZERO)) }
    }
}

impl AheadClock {
    /// Puts it ahead by this much more.
    pub fn put_ahead(&self, by: Duration) {
        self.ahead.send_modify(|ahead| *ahead = ahead.saturating_add(by));
    }

    fn ahead(&self) -> Duration {
        *self.ahead.borrow()
    }
}

#[async_trait]
impl Clock for AheadClock {
    fn wall(&self) -> Timestamp {
        let ahead = i64::try_from(self.ahead().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.machine.wall().0.saturating_add(ahead))
    }

    fn mono(&self) -> Mono {
        self.machine.mono() + self.ahead()
    }

    async fn sleep_until(&self, at: Mono) {
        let mut changes = self.ahead.subscribe();
        loop {
            let machine = at - *changes.borrow_and_update();
            tokio::select! {
                biased;
                () = self.machine.sleep_until(machine) => return,
                // It cannot end: the sender is this clock's.
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_time_that_is_skipped_is_woken_at_once() {
        let clock = AheadClock::default();
        let (wall, start) = (clock.wall(), clock.mono());
        let (waiting, until) = (clock.clone(), start + Duration::from_secs(1_800));
        let woken = tokio::spawn(async move { waiting.sleep_until(until).await });
        tokio::task::yield_now().await;
        clock.put_ahead(Duration::from_secs(1_000));
        tokio::task::yield_now().await;
        assert!(!woken.is_finished());
        clock.put_ahead(Duration::from_secs(900));
        woken.await.unwrap();
        let passed = clock.mono().since(start);
        assert!((Duration::from_secs(1_900)..Duration::from_secs(1_960)).contains(&passed), "{passed:?}");
        assert!((1_900_000..1_960_000).contains(&(clock.wall().0 - wall.0)));
    }

    #[tokio::test]
    async fn what_is_not_skipped_is_waited_for() {
        let clock = AheadClock::default();
        clock.put_ahead(Duration::from_secs(60));
        let machine = SystemClock::default();
        clock.sleep_until(clock.mono() + Duration::from_millis(30)).await;
        assert!(machine.mono().since_origin() >= Duration::from_millis(30));
    }
}
