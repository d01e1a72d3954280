//! Something that JavaScript holds until it is closed.

use std::{future::Future, sync::Arc};

use headframe::{Error, ErrorKind, Result};
use tokio::sync::{RwLock, watch};

/// A thing that can be closed while calls are under way: those end at once, as closed.
#[derive(Debug)]
pub struct Held<T> {
    inner: RwLock<Option<Arc<T>>>,
    closing: watch::Sender<bool>,
}

impl<T> Held<T> {
    pub fn new(inner: T) -> Self {
        Self { inner: RwLock::new(Some(Arc::new(inner))), closing: watch::Sender::new(false) }
    }

    /// Does `work` with it.
    pub async fn with<R, F>(&self, work: impl FnOnce(Arc<T>) -> F) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let mut closing = self.closing.subscribe();
        let inner = self.inner.read().await;
        let inner = inner.as_ref().map(Arc::clone).ok_or_else(closed)?;
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Err(closed().maybe_sent()),
            done = work(inner) => done,
        }
    }

    /// What it says without waiting.
    pub fn now<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R> {
        let inner = self.inner.try_read().map_err(|_| closed())?;
        inner.as_deref().map(look).ok_or_else(closed)
    }

    /// Takes it out, once every call under way has ended; `None` when that was done before.
    pub async fn take(&self) -> Option<T> {
        self.closing.send_replace(true);
        let inner = self.inner.write().await.take()?;
        // Whoever had it had the lock, too.
        Arc::into_inner(inner)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "node", "it was closed")
}
