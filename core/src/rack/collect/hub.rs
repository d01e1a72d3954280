use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use tokio::task::JoinSet;

use super::reading::Reading;
use crate::io::Clock;

const BATCH: usize = 512;
const LINGER: Duration = Duration::from_millis(50);
const MOST_BUFFERED: usize = 1 << 20;

/// Where readings go: a history, a message broker, a file.
#[async_trait]
pub trait SnapshotSink: std::fmt::Debug + Send + Sync + 'static {
    /// Takes at most 512 readings, in the order in which the polls ended. While it works, further readings wait in
    /// a bounded queue; polls never wait for it.
    async fn put(&self, batch: &[Arc<Reading>]);
}

/// A sink that keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSink;

#[async_trait]
impl SnapshotSink for NullSink {
    async fn put(&self, _batch: &[Arc<Reading>]) {}
}

/// A reading as one subscriber gets it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    /// What a poll brought.
    pub reading: Arc<Reading>,
    /// How many readings this subscriber missed just before this one, because it read too slowly.
    pub missed: u64,
}

/// `{thing, ts, missed, seq, link, tookMs, error, snapshot}`, the snapshot [in MiningOS's form](Reading::snapshot).
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { reading, missed } = self;
        let mut told = serializer.serialize_struct("Event", 8)?;
        told.serialize_field("thing", &reading.thing)?;
        told.serialize_field("ts", &reading.ts)?;
        told.serialize_field("missed", missed)?;
        told.serialize_field("seq", &reading.seq)?;
        told.serialize_field("link", &reading.link)?;
        told.serialize_field("tookMs", &u64::try_from(reading.took.as_millis()).unwrap_or(u64::MAX))?;
        told.serialize_field("error", &reading.outcome.as_ref().err())?;
        told.serialize_field("snapshot", &reading.snapshot())?;
        told.end()
    }
}

/// A reader of all readings from now on. Its buffer is its own: when it is full the oldest reading is dropped, and
/// the next event says how many were. Also a [`Stream`].
#[derive(Debug)]
pub struct Subscription(Arc<Ring>);

impl Subscription {
    /// The next reading; `None` when the collector ended and everything was read.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_next(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A bounded buffer with one reader. A push never waits.
#[derive(Debug)]
struct Ring {
    capacity: usize,
    inner: Mutex<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    queue: VecDeque<Arc<Reading>>,
    missed: u64,
    closed: bool,
    /// The reader, and how many readings it waits for.
    reader: Option<(Waker, usize)>,
}

impl Ring {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, inner: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends all; gives how many old ones were dropped, `None` when it is closed.
    fn push(&self, readings: &[Arc<Reading>]) -> Option<u64> {
        let (dropped, reader) = {
            let mut inner = self.lock();
            if inner.closed {
                return None;
            }
            inner.queue.extend(readings.iter().cloned());
            let over = inner.queue.len().saturating_sub(self.capacity);
            inner.queue.drain(..over);
            let dropped = u64::try_from(over).unwrap_or(u64::MAX);
            inner.missed += dropped;
            let len = inner.queue.len();
            (dropped, inner.reader.take_if(|(_, wanted)| *wanted <= len))
        };
        if let Some((waker, _)) = reader {
            waker.wake();
        }
        Some(dropped)
    }

    fn close(&self) {
        let reader = {
            let mut inner = self.lock();
            inner.closed = true;
            inner.reader.take()
        };
        if let Some((waker, _)) = reader {
            waker.wake();
        }
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut inner = self.lock();
        match inner.queue.pop_front() {
            Some(reading) => Poll::Ready(Some(Event { reading, missed: std::mem::take(&mut inner.missed) })),
            None if inner.closed => Poll::Ready(None),
            None => {
                inner.reader = Some((cx.waker().clone(), 1));
                Poll::Pending
            }
        }
    }

    /// Ready when at least `wanted` readings are there or no more will come.
    fn poll_holds(&self, wanted: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.closed || inner.queue.len() >= wanted {
            return Poll::Ready(());
        }
        inner.reader = Some((cx.waker().clone(), wanted));
        Poll::Pending
    }

    fn take(&self, most: usize) -> Vec<Arc<Reading>> {
        let mut inner = self.lock();
        let n = inner.queue.len().min(most);
        inner.queue.drain(..n).collect()
    }

    fn len(&self) -> usize {
        self.lock().queue.len()
    }
}

/// Hands readings to the subscribers and to the queue of the sink.
#[derive(Debug)]
pub(super) struct Hub {
    subscribers: Mutex<Vec<Arc<Ring>>>,
    closed: std::sync::atomic::AtomicBool,
    queue: Arc<Ring>,
    handing_over: AtomicUsize,
    sink_dropped: AtomicU64,
    events_missed: AtomicU64,
}

impl Hub {
    pub fn new(sink_queue: usize) -> Self {
        Self {
            subscribers: Mutex::default(),
            closed: std::sync::atomic::AtomicBool::new(false),
            queue: Ring::new(sink_queue),
            handing_over: AtomicUsize::new(0),
            sink_dropped: AtomicU64::new(0),
            events_missed: AtomicU64::new(0),
        }
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Arc<Ring>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn subscribe(&self, capacity: usize) -> Subscription {
        let ring = Ring::new(capacity.clamp(1, MOST_BUFFERED));
        let mut subscribers = self.subscribers();
        if self.closed.load(Ordering::SeqCst) {
            ring.close();
        } else {
            subscribers.push(Arc::clone(&ring));
        }
        Subscription(ring)
    }

    pub fn publish(&self, readings: &[Arc<Reading>]) {
        if readings.is_empty() {
            return;
        }
        let dropped = self.queue.push(readings).unwrap_or(0);
        self.sink_dropped.fetch_add(dropped, Ordering::Relaxed);
        let mut missed = 0;
        self.subscribers().retain(|ring| ring.push(readings).map(|n| missed += n).is_some());
        self.events_missed.fetch_add(missed, Ordering::Relaxed);
    }

    /// Ends the subscriptions and, when it is empty, the queue of the sink.
    pub fn close(&self) {
        let mut subscribers = self.subscribers();
        self.closed.store(true, Ordering::SeqCst);
        subscribers.drain(..).for_each(|ring| ring.close());
        drop(subscribers);
        self.queue.close();
    }

    pub fn sink_dropped(&self) -> u64 {
        self.sink_dropped.load(Ordering::Relaxed)
    }

    pub fn events_missed(&self) -> u64 {
        self.events_missed.load(Ordering::Relaxed)
    }

    /// How many readings the sink has not taken yet.
    pub fn undelivered(&self) -> usize {
        self.queue.len() + self.handing_over.load(Ordering::SeqCst)
    }

    /// Feeds the sink until the queue is closed and empty.
    pub async fn feed(&self, sink: Arc<dyn SnapshotSink>, clock: Arc<dyn Clock>) {
        let full = BATCH.min(self.queue.capacity.div_ceil(2));
        // A set, so that a put that hangs ends together with this task.
        let mut puts = JoinSet::new();
        loop {
            poll_fn(|cx| self.queue.poll_holds(1, cx)).await;
            tokio::select! {
                biased;
                () = poll_fn(|cx| self.queue.poll_holds(full, cx)) => {}
                () = clock.sleep_until(clock.mono() + LINGER) => {}
            }
            let batch = self.queue.take(BATCH);
            if batch.is_empty() {
                return;
            }
            let len = batch.len();
            self.handing_over.store(len, Ordering::SeqCst);
            let sink = Arc::clone(&sink);
            puts.spawn(async move { sink.put(&batch).await });
            if let Some(Err(error)) = puts.join_next().await {
                self.sink_dropped.fetch_add(u64::try_from(len).unwrap_or(u64::MAX), Ordering::Relaxed);
                tracing::error!(%error, readings = len, "the sink of a collector failed");
            }
            self.handing_over.store(0, Ordering::SeqCst);
        }
    }
}
