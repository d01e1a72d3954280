//! Something that another language holds until it is closed.

use std::{future::Future, sync::Arc};

use headframe::{Error, ErrorKind, Result};
use headframe_core::planted::{Bug, planted};
use tokio::sync::{RwLock, watch};

/// A thing that can be closed while calls are under way: those end at once, as closed.
///
/// Calls own their part of it. A thread that is ended (a worker of Node) gives back what it holds at once, in the middle of its
/// calls, and they end as closed too.
#[derive(Debug)]
pub struct Held<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: RwLock<Option<Arc<T>>>,
    closing: watch::Sender<bool>,
}

impl<T: Send + Sync + 'static> Held<T> {
    /// Holds it.
    pub fn new(value: T) -> Self {
        let value = RwLock::new(Some(Arc::new(value)));
        Self(Arc::new(Inner { value, closing: watch::Sender::new(false) }))
    }

    /// Does `work` with it.
    ///
    /// # Errors
    /// Those of the work, and [`Closed`](ErrorKind::Closed); one that was closed under way may have done its work.
    pub fn with<R, F, W>(&self, work: W) -> impl Future<Output = Result<R>> + use<T, R, F, W>
    where
        F: Future<Output = Result<R>>,
        W: FnOnce(Arc<T>) -> F,
    {
        let held = Arc::clone(&self.0);
        async move {
            let mut closing = held.closing.subscribe();
            let value = held.value.read().await;
            let value = value.as_ref().map(Arc::clone).ok_or_else(closed)?;
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => Err(closed().maybe_sent()),
                done = work(value) => done,
            }
        }
    }

    /// What it says without waiting.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed).
    pub fn now<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R> {
        let value = self.0.value.try_read().map_err(|_| closed())?;
        value.as_deref().map(look).ok_or_else(closed)
    }

    /// Takes it out, once every call under way has ended; `None` when that was done before.
    pub fn take(&self) -> impl Future<Output = Option<T>> + use<T> {
        let held = Arc::clone(&self.0);
        async move {
            held.closing.send_replace(true);
            let value = held.value.write().await.take()?;
            // Whoever had it had the lock, too.
            Arc::into_inner(value)
        }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.0.closing.send_replace(true);
    }
}

fn closed() -> Error {
    assert!(!planted(Bug::UnguardedPanic), "it was closed");
    Error::new(ErrorKind::Closed, "handle", "it was closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn calls_under_way_end_as_closed_when_it_is_taken_or_dropped() {
        let held = Held::new(7);
        let call = held.with(|_| std::future::pending::<Result<()>>());
        let (ended, taken) = run(async { tokio::join!(call, held.take()) });
        assert_eq!((ended.unwrap_err().kind(), taken), (ErrorKind::Closed, Some(7)));
        assert_eq!(held.now(|n| *n).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(run(held.take()), None);

        let held = Held::new(7);
        let call = held.with(|_| std::future::pending::<Result<()>>());
        drop(held);
        assert_eq!(run(call).unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn a_panic_leaves_it_as_it_was() {
        let held = Held::new(7);
        let call = held.with(|seven| async move { Ok([0; 7][*seven]) });
        let ended = run(async { tokio::spawn(call).await });
        assert!(ended.unwrap_err().is_panic());
        assert_eq!(held.now(|n| *n).unwrap(), 7);
        assert_eq!(run(held.take()), Some(7));
    }
}
