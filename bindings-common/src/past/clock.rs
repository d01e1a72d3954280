//! Time that passes only where nobody has anything to do.
//!
//! The library takes time from its `Clock` alone, so no runtime has to be told to pretend: the package that is shipped has
//! nothing of tokio's that is for tests.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use headframe::io::{Clock, Mono, Timestamp};

/// A clock that stands still, and [jumps](Self::jump) to the next moment that somebody waits for.
#[derive(Debug)]
pub struct SimulatedClock {
    start: Timestamp,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    now: Mono,
    /// Who waits until when; who came first is woken first.
    sleepers: BTreeMap<(Mono, u64), Waker>,
    last: u64,
}

impl SimulatedClock {
    /// Begins at a wall time.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, inner: Mutex::default() }
    }

    /// Goes on to the next moment that somebody waits for, and wakes all who do.
    pub fn jump(&self) {
        let mut woken = Vec::new();
        {
            let mut inner = self.lock();
            let Some(at) = inner.sleepers.keys().next().map(|(at, _)| *at) else { return };
            inner.now = inner.now.max(at);
            while let Some(first) = inner.sleepers.first_entry().filter(|first| first.key().0 == at) {
                woken.push(first.remove());
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn wall(&self) -> Timestamp {
        let passed: Duration = self.mono().since_origin();
        Timestamp(self.start.0.saturating_add(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)))
    }

    fn mono(&self) -> Mono {
        self.lock().now
    }

    async fn sleep_until(&self, at: Mono) {
        Sleep { clock: self, at, number: None }.await;
    }
}

struct Sleep<'c> {
    clock: &'c SimulatedClock,
    at: Mono,
    number: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.lock();
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            inner.last += 1;
            inner.last
        });
        inner.sleepers.insert((self.at, number), cx.waker().clone());
        drop(inner);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.lock().sleepers.remove(&(self.at, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn simulated() -> (Arc<SimulatedClock>, Runtime) {
        let clock = Arc::new(SimulatedClock::starting_at(Timestamp(1_000)));
        let jumps = Arc::clone(&clock);
        (clock, Builder::new_current_thread().on_thread_park(move || jumps.jump()).build().unwrap())
    }

    #[test]
    fn a_year_passes_at_once_and_all_wake_in_their_order() {
        let (clock, runtime) = simulated();
        let day = Duration::from_secs(86_400);
        let woken = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for days in [3, 1, 365, 2, 1] {
                let (clock, woken) = (Arc::clone(&clock), Arc::clone(&woken));
                tasks.push(tokio::spawn(async move {
                    clock.sleep_until(Mono::default() + day * days).await;
                    woken.lock().unwrap().push((days, clock.wall().0));
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
        let at = |days: u32| (days, 1_000 + 86_400_000 * i64::from(days));
        assert_eq!(*woken.lock().unwrap(), [at(1), at(1), at(2), at(3), at(365)]);
    }

    #[test]
    fn a_wait_that_was_given_up_is_no_moment_any_more() {
        let (clock, runtime) = simulated();
        let second = Duration::from_secs(1);
        runtime.block_on(async {
            let soon = clock.sleep_until(clock.mono() + second);
            let late = clock.sleep_until(clock.mono() + second * 60);
            tokio::select! { biased; () = late => {}, () = soon => {} }
            clock.sleep_until(clock.mono() + second * 9).await;
        });
        assert_eq!(clock.mono().since_origin(), second * 10);
        assert!(clock.lock().sleepers.is_empty());
    }
}
