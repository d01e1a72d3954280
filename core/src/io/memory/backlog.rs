use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::io::BoxStream;

/// Connections that wait to be accepted; whoever connects to a full listener waits too.
const MOST: usize = 1024;

pub(super) type Call = (BoxStream, SocketAddr);

/// Connections that a listener has not accepted yet. A site in memory has a hundred thousand listeners: one that nobody calls
/// takes next to nothing, where a channel has room for many messages at once.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: Mutex<Waiting>,
    came: Notify,
    went: Notify,
}

#[derive(Default)]
struct Waiting {
    calls: VecDeque<Call>,
    closed: bool,
}

impl Backlog {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, and says whether there is still somebody who may accept.
    pub async fn call(&self, call: Call) -> bool {
        loop {
            let went = self.went.notified();
            {
                let mut waiting = self.waiting();
                if waiting.closed {
                    return false;
                }
                if waiting.calls.len() < MOST {
                    waiting.calls.push_back(call);
                    self.came.notify_one();
                    return true;
                }
            }
            went.await;
        }
    }

    /// The next call; `None` once it is closed.
    pub async fn next(&self) -> Option<Call> {
        loop {
            {
                let mut waiting = self.waiting();
                if let Some(call) = waiting.calls.pop_front() {
                    self.went.notify_waiters();
                    return Some(call);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.came.notified().await;
        }
    }

    /// Nobody calls or accepts any more; calls that wait are hung up.
    pub fn close(&self) {
        let calls = {
            let mut waiting = self.waiting();
            waiting.closed = true;
            std::mem::take(&mut waiting.calls)
        };
        drop(calls);
        self.went.notify_waiters();
        self.came.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.waiting().closed
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").field("calls", &self.waiting().calls.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, sync::Arc};

    use tokio::io::duplex;

    use super::*;

    fn call(n: usize) -> Call {
        (Box::new(duplex(1).0), SocketAddr::from(([10, 0, 0, 1], u16::try_from(n).unwrap())))
    }

    fn poll<F: Future>(future: F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn calls_come_in_order_and_wait_for_room() {
        let backlog = Arc::new(Backlog::default());
        for n in 0..MOST {
            assert_eq!(poll(backlog.call(call(n))), Some(true));
        }
        let calls: Vec<_> = (MOST..MOST + 3)
            .map(|n| {
                let backlog = Arc::clone(&backlog);
                tokio::spawn(async move { backlog.call(call(n)).await })
            })
            .collect();
        tokio::task::yield_now().await;
        for n in 0..MOST + 3 {
            let (_, from) = backlog.next().await.unwrap();
            assert_eq!(usize::from(from.port()), n);
        }
        for call in calls {
            assert!(call.await.unwrap());
        }
        assert!(poll(backlog.next()).is_none(), "it waits");
    }

    #[tokio::test]
    async fn who_waits_is_told_that_it_closes() {
        let backlog = Arc::new(Backlog::default());
        let accepts = tokio::spawn({
            let backlog = Arc::clone(&backlog);
            async move { backlog.next().await.is_none() }
        });
        tokio::task::yield_now().await;
        backlog.close();
        assert!(accepts.await.unwrap());
        assert!(!backlog.call(call(1)).await);

        let backlog = Arc::new(Backlog::default());
        for n in 0..MOST {
            assert_eq!(poll(backlog.call(call(n))), Some(true));
        }
        let calls = tokio::spawn({
            let backlog = Arc::clone(&backlog);
            async move { backlog.call(call(MOST)).await }
        });
        tokio::task::yield_now().await;
        backlog.close();
        assert!(!calls.await.unwrap());
        assert!(backlog.next().await.is_none());
    }
}
