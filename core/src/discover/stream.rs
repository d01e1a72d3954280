use std::{
    collections::VecDeque,
    future::poll_fn,
    net::Ipv4Addr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    AddressRange, Addresses, Outcome, Progress, ScanEvent, ScanReport, UnknownHost,
    probe::{Examiner, Look, Seen, guarded},
};
use crate::{
    Error, ErrorKind, Result,
    io::{Ctx, Mono},
};

const OP: &str = "discover.scan";

#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub second_look: bool,
    pub silent_events: bool,
    /// How many second looks run at a time.
    pub second_at_once: usize,
}

/// What the workers of a scan share.
#[derive(Debug)]
pub(super) struct Shared {
    cx: Ctx,
    examiner: Examiner,
    options: Options,
    started: Mono,
    second: Semaphore,
    queue: Mutex<Queue>,
}

/// Every address of the range is in exactly one of these, in the hands of a worker, or done.
#[derive(Debug)]
struct Queue {
    fresh: Addresses,
    /// Answered, but not to everything in time: with what was seen at the first look.
    doubtful: VecDeque<(Ipv4Addr, UnknownHost)>,
    /// Did not answer in time.
    again: VecDeque<Ipv4Addr>,
    /// Given up without an outcome.
    unfinished: Vec<Ipv4Addr>,
    progress: Progress,
}

impl Shared {
    pub(super) fn new(cx: Ctx, examiner: Examiner, range: &AddressRange, options: Options) -> Self {
        let queue = Queue {
            fresh: range.iter(),
            doubtful: VecDeque::new(),
            again: VecDeque::new(),
            unfinished: Vec::new(),
            progress: Progress { total: range.len(), ..Progress::default() },
        };
        let second = Semaphore::new(options.second_at_once);
        Self { started: cx.clock.mono(), cx, examiner, options, second, queue: Mutex::new(queue) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn late(&self) -> bool {
        self.cx.remaining() == Some(Duration::ZERO)
    }

    /// The next address. Past the deadline only those are given that have something to report.
    fn claim(&self) -> Option<Claim<'_>> {
        let late = self.late();
        let mut queue = self.queue();
        let claim = |ip, look, earlier| Some(Claim { shared: self, ip, look, earlier, settled: false });
        if !late && let Some(ip) = queue.fresh.next() {
            return claim(ip, Look::First, None);
        }
        if let Some((ip, earlier)) = queue.doubtful.pop_front() {
            return claim(ip, Look::Second, Some(earlier));
        }
        if late {
            return None;
        }
        queue.again.pop_front().and_then(|ip| claim(ip, Look::Second, None))
    }

    async fn look(&self, ip: Ipv4Addr, look: Look) -> Result<Seen> {
        let _slot = match look {
            Look::First => None,
            Look::Second => {
                let closed = |e| Error::new(ErrorKind::Closed, OP, "the scan was closed").caused_by(e);
                Some(self.second.acquire().await.map_err(closed)?)
            }
        };
        guarded(self.examiner.look(&self.cx, &ip.to_string(), ip.into(), look)).await
    }

    fn report(&self) -> ScanReport {
        let queue = self.queue();
        let doubtful = queue.doubtful.iter().map(|(ip, _)| ip);
        let left = queue.unfinished.iter().chain(&queue.again).chain(doubtful).copied().collect();
        let not_reached = queue.fresh.rest().union(&left);
        ScanReport::new(queue.progress, not_reached, self.cx.clock.mono().since(self.started))
    }
}

/// One address in the hands of a worker. Whatever happens to the worker, the address is accounted for.
struct Claim<'a> {
    shared: &'a Shared,
    ip: Ipv4Addr,
    look: Look,
    earlier: Option<UnknownHost>,
    settled: bool,
}

impl Claim<'_> {
    /// The outcome; `None` when there is none yet, or none any more.
    async fn outcome(&mut self) -> Option<Outcome> {
        let seen = self.shared.cx.within(OP, self.shared.look(self.ip, self.look)).await;
        let late = self.shared.late();
        let repeats = self.look == Look::First && self.shared.options.second_look && !late;
        match seen {
            // It answered once, which the second look does not undo.
            Ok(Seen { outcome: Outcome::Silent { .. }, .. }) | Err(_) if self.earlier.is_some() => {
                self.earlier.take().map(Outcome::Unknown)
            }
            Ok(Seen { outcome: Outcome::Unknown(unknown), unsure: true }) if repeats => {
                self.put_back(Some(unknown));
                None
            }
            Ok(Seen { outcome: Outcome::Silent { .. }, unsure: true }) if repeats => {
                self.put_back(None);
                None
            }
            // The deadline cut the time short that it would have had.
            Ok(Seen { outcome: Outcome::Silent { .. }, unsure: true }) if late => None,
            Ok(seen) => Some(seen.outcome),
            Err(_) => None,
        }
    }

    fn put_back(&mut self, seen: Option<UnknownHost>) {
        let mut queue = self.shared.queue();
        queue.progress.waiting += 1;
        match seen {
            Some(unknown) => queue.doubtful.push_back((self.ip, unknown)),
            None => queue.again.push_back(self.ip),
        }
        self.settled = true;
    }

    /// Counts and sends in one step, so that no outcome is counted without being sent, and the progress that
    /// events carry never goes back.
    fn settle(mut self, outcome: Outcome, slot: Option<mpsc::Permit<'_, ScanEvent>>) {
        let mut queue = self.shared.queue();
        if self.look == Look::Second {
            queue.progress.waiting -= 1;
        }
        queue.progress.count(&outcome);
        if let Some(slot) = slot {
            slot.send(ScanEvent::new(self.ip, self.shared.examiner.ports(), outcome, queue.progress));
        }
        self.settled = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.shared.queue().unfinished.push(self.ip);
        }
    }
}

/// Takes addresses until there are none left.
pub(super) async fn work(shared: Arc<Shared>, events: mpsc::Sender<ScanEvent>) {
    while let Some(mut claim) = shared.claim() {
        // Addresses that refuse at once must not keep a thread from everything else.
        tokio::task::yield_now().await;
        let Some(outcome) = claim.outcome().await else { continue };
        let silent = matches!(outcome, Outcome::Silent { .. });
        let slot = if silent && !shared.options.silent_events {
            None
        } else {
            let Ok(slot) = events.reserve().await else { return };
            Some(slot)
        };
        claim.settle(outcome, slot);
    }
}

/// The outcomes of a running [`Scan`](super::Scan). Dropping it ends the scan.
#[derive(Debug)]
pub struct ScanStream {
    events: mpsc::Receiver<ScanEvent>,
    workers: JoinSet<()>,
    shared: Arc<Shared>,
    report: Option<ScanReport>,
}

impl ScanStream {
    pub(super) fn new(events: mpsc::Receiver<ScanEvent>, workers: JoinSet<()>, shared: Arc<Shared>) -> Self {
        Self { events, workers, shared, report: None }
    }

    /// The next outcome; `None` when the scan has ended. Nothing is lost when the call is dropped.
    pub async fn next(&mut self) -> Option<ScanEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// How far the scan is now.
    pub fn progress(&self) -> Progress {
        self.shared.queue().progress
    }

    /// A handle that tells the progress while the stream is used elsewhere.
    pub fn watch(&self) -> ScanProgress {
        ScanProgress(self.shared.clone())
    }

    /// What the scan has done; `None` until the stream has ended.
    pub fn report(&self) -> Option<&ScanReport> {
        self.report.as_ref()
    }

    /// Ends the scan now. Outcomes that are ready are still streamed; the rest is reported as not reached.
    pub fn stop(&mut self) {
        self.workers.abort_all();
    }

    /// Waits for the end, passing over the outcomes that are still to come, and reports.
    pub async fn finish(mut self) -> ScanReport {
        while self.next().await.is_some() {}
        self.report.take().unwrap_or_else(|| self.shared.report())
    }
}

impl Stream for ScanStream {
    type Item = ScanEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ScanEvent>> {
        let polled = self.events.poll_recv(cx);
        if matches!(polled, Poll::Ready(None)) && self.report.is_none() {
            // The last worker gave its address back before it closed its end of the channel.
            self.report = Some(self.shared.report());
        }
        polled
    }
}

/// Tells how far a scan is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ScanProgress(Arc<Shared>);

impl ScanProgress {
    /// How far the scan is now.
    pub fn get(&self) -> Progress {
        self.0.queue().progress
    }
}
