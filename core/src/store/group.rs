//! Who runs the engine: a thread of its own, which takes all batches that wait as one group, or the caller itself.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    control::Writer,
    engine::{Engine, Job, Plan, Shared},
    fault::{closed, code},
};
use crate::{Error, ErrorKind, Result};

const MAX_WAITING: usize = 16_384;
const MAX_WAITING_BYTES: usize = 64 << 20;
/// A lane of their own, so that stop actions find room whatever else waits.
const MAX_URGENT: usize = 1_024;
const MAX_GROUP: usize = 1_024;
const MAX_GROUP_BYTES: usize = 8 << 20;
const MEND_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
struct Waiting {
    urgent: VecDeque<Job>,
    ordinary: VecDeque<Job>,
    scrubs: Vec<oneshot::Sender<Result<()>>>,
    bytes: usize,
    closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<()> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(closed("store.commit"));
        }
        let bytes = job.batch.bytes();
        let room = if job.batch.urgent {
            waiting.urgent.len() < MAX_URGENT
        } else {
            waiting.ordinary.len() < MAX_WAITING && waiting.bytes.saturating_add(bytes) <= MAX_WAITING_BYTES
        };
        if !room {
            let text = "too many commits wait: wait before the next";
            return Err(Error::new(ErrorKind::RateLimited, "store.commit", text).code_as(code::BUSY));
        }
        if job.batch.urgent {
            waiting.urgent.push_back(job);
        } else {
            waiting.bytes += bytes;
            waiting.ordinary.push_back(job);
        }
        self.bell.notify_one();
        Ok(())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.ordinary.is_empty() && self.scrubs.is_empty()
    }

    fn group(&mut self) -> Vec<Job> {
        let mut group: Vec<Job> = self.urgent.drain(..).collect();
        let mut bytes = 0;
        while group.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
            let Some(job) = self.ordinary.pop_front() else { break };
            bytes += job.batch.bytes();
            group.push(job);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        group
    }
}

/// Runs an engine until it is closed or dropped.
#[derive(Debug)]
pub(super) enum Runner {
    Thread { queue: Arc<Queue>, thread: Mutex<Option<JoinHandle<()>>> },
    Inline(Mutex<Option<Box<Engine>>>),
}

impl Runner {
    /// Opens the file where it will be used; gives the site it belongs to.
    pub(super) async fn open(writer: Writer, plan: Plan, shared: Arc<Shared>) -> Result<(Self, String)> {
        if writer == Writer::Inline {
            let (engine, site) = Engine::open(plan, shared)?;
            return Ok((Self::Inline(Mutex::new(Some(Box::new(engine)))), site));
        }
        let queue = Arc::new(Queue::default());
        let (opened, result) = oneshot::channel();
        let thread = {
            let queue = queue.clone();
            let work = move || match Engine::open(plan, shared) {
                Ok((engine, site)) => {
                    if opened.send(Ok(site)).is_ok() {
                        serve(&queue, engine);
                    }
                }
                Err(e) => drop(opened.send(Err(e))),
            };
            std::thread::Builder::new().name("headframe-store".into()).spawn(work)
        };
        let thread = thread.map_err(|e| {
            Error::new(ErrorKind::Internal, "store.open", "no thread can be started").caused_by(e)
        })?;
        let gone = |_| Error::new(ErrorKind::Internal, "store.open", "the store's thread ended");
        let site = result.await.map_err(gone)??;
        Ok((Self::Thread { queue, thread: Mutex::new(Some(thread)) }, site))
    }

    /// Whether whoever commits does the work.
    pub(super) const fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_))
    }

    /// Hands a job over; the answer comes through its channel.
    pub(super) fn submit(&self, job: Job) -> Result<()> {
        match self {
            Self::Thread { queue, .. } => queue.push(job),
            Self::Inline(engine) => match &mut *lock(engine) {
                Some(engine) => {
                    engine.run(vec![job]);
                    Ok(())
                }
                None => Err(closed("store.commit")),
            },
        }
    }

    /// Compares every block of the file.
    pub(super) async fn scrub(&self) -> Result<()> {
        match self {
            Self::Thread { queue, .. } => {
                let (reply, answer) = oneshot::channel();
                {
                    let mut waiting = queue.lock();
                    if waiting.closed {
                        return Err(closed("store.verify"));
                    }
                    waiting.scrubs.push(reply);
                }
                queue.bell.notify_one();
                answer.await.map_err(|_| closed("store.verify"))?
            }
            Self::Inline(engine) => match &mut *lock(engine) {
                Some(engine) => engine.scrub(),
                None => Err(closed("store.verify")),
            },
        }
    }

    /// Finishes what waits and closes the file.
    pub(super) fn close(&self) {
        match self {
            Self::Thread { queue, thread } => {
                queue.close();
                let thread = lock(thread).take();
                if thread.is_some_and(|thread| thread.join().is_err()) {
                    tracing::error!("the store's thread did not end well");
                }
            }
            Self::Inline(engine) => drop(lock(engine).take()),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers all who wait when the thread ends, however it ends.
struct Ending<'a>(&'a Queue);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        *waiting = Waiting { closed: true, ..Waiting::default() };
    }
}

fn serve(queue: &Queue, mut engine: Engine) {
    let _ending = Ending(queue);
    loop {
        let mut waiting = queue.lock();
        while waiting.is_empty() && !waiting.closed {
            if !engine.ails() {
                waiting = queue.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (again, timeout) =
                queue.bell.wait_timeout(waiting, MEND_EVERY).unwrap_or_else(PoisonError::into_inner);
            waiting = again;
            if timeout.timed_out() {
                drop(waiting);
                engine.mend();
                waiting = queue.lock();
            }
        }
        if waiting.is_empty() {
            return;
        }
        let scrubs = std::mem::take(&mut waiting.scrubs);
        let group = waiting.group();
        drop(waiting);
        if !group.is_empty() {
            engine.run(group);
        }
        for reply in scrubs {
            let _unheard = reply.send(engine.scrub());
        }
    }
}
