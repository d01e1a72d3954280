use std::{
    collections::BTreeMap,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::{runtime::Handle, sync::mpsc, task::AbortHandle};

use super::report_parse::{Said, labelled, pair};
use crate::{
    Error, ErrorKind, Result,
    io::{Ctx, Datagram, Mono, Timestamp},
};

const OP: &str = "discover.report";
/// Real reports are below 60 bytes. A datagram that fills the buffer is none.
const LONGEST: usize = 512;
/// Limits count per window of this length.
const WINDOW: Duration = Duration::from_secs(10);
/// Reports of one sender in a window. A relay speaks for many devices, but a button is pressed by hand.
const MOST_PER_SENDER: u32 = 20;
/// Reports in a window. It also bounds the table of senders.
const MOST_IN_ALL: u32 = 1000;
/// Reports that one stream holds for a reader that does not come.
const WAITING: usize = 256;
/// Pause after an error of the socket, so that a lasting one does not take a processor.
const PAUSE: Duration = Duration::from_millis(100);

/// The ports to listen on. Port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportPorts {
    /// Where Antminers report.
    pub antminer: u16,
    /// Where Whatsminers report.
    pub whatsminer: u16,
}

impl Default for ReportPorts {
    fn default() -> Self {
        Self { antminer: 14235, whatsminer: 8888 }
    }
}

/// A device said where it is, or somebody in its name: the datagram is not authenticated. The use of it is to
/// look at [`ip`](IpReport::ip), see [`probe_one`](super::probe_one).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IpReport {
    /// The vendor whose port it came to: `antminer` or `whatsminer`. A hint, as the rest.
    pub family: &'static str,
    /// Where the device is: the address in the report, or the sender's where it holds none.
    pub ip: IpAddr,
    /// The address in the report.
    pub reported_ip: Option<IpAddr>,
    /// Who sent it. Behind a relay this is the relay.
    pub sender: SocketAddr,
    /// Its MAC address as `AA:BB:CC:DD:EE:FF`.
    pub mac: Option<String>,
    /// When it came.
    pub at: Timestamp,
}

impl IpReport {
    /// Whether the report names another address than its sender's: a relay, or a lie.
    pub fn differs(&self) -> bool {
        self.reported_ip.is_some_and(|ip| ip != self.sender.ip())
    }
}

/// What a [`ReportStream`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportEvent {
    /// A report.
    Report(IpReport),
    /// The reader was too slow: so many reports did not reach it since it was last told.
    Missed(u64),
}

/// What has arrived. `received = reports + acknowledgements + malformed + limited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ReportCounts {
    /// Datagrams.
    pub received: u64,
    /// Reports passed on to the streams.
    pub reports: u64,
    /// Acknowledgements of vendors' tools.
    pub acknowledgements: u64,
    /// Datagrams that say nothing.
    pub malformed: u64,
    /// Reports dropped because their sender, or all together, sent too many.
    pub limited: u64,
    /// Reports that streams did not get because they were read too slowly, over all streams.
    pub missed: u64,
}

#[derive(Debug)]
struct Subscriber {
    sender: mpsc::Sender<IpReport>,
    missed: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Hub {
    counts: ReportCounts,
    subscribers: Vec<Subscriber>,
    limiter: Limiter,
}

/// Counts per fixed window: at most [`MOST_IN_ALL`] senders are remembered, and none for longer than [`WINDOW`].
#[derive(Debug, Default)]
struct Limiter {
    began: Option<Mono>,
    total: u32,
    senders: BTreeMap<IpAddr, u32>,
}

impl Limiter {
    fn allows(&mut self, sender: IpAddr, now: Mono) -> bool {
        if self.began.is_none_or(|began| now.since(began) >= WINDOW) {
            *self = Self { began: Some(now), ..Self::default() };
        }
        if self.total >= MOST_IN_ALL {
            return false;
        }
        let sent = self.senders.entry(sender).or_default();
        if *sent >= MOST_PER_SENDER {
            return false;
        }
        *sent += 1;
        self.total += 1;
        true
    }
}

impl Hub {
    fn take(&mut self, cx: &Ctx, family: &'static str, said: Said, sender: SocketAddr) {
        self.counts.received += 1;
        let (ip, mac) = match said {
            Said::Report { ip, mac } => (ip.map(IpAddr::from), mac),
            Said::Acknowledgement => {
                self.counts.acknowledgements += 1;
                return;
            }
            Said::Nothing => {
                self.counts.malformed += 1;
                return;
            }
        };
        if !self.limiter.allows(sender.ip(), cx.clock.mono()) {
            self.counts.limited += 1;
            return;
        }
        self.counts.reports += 1;
        let from = sender.ip().to_canonical();
        let at = cx.clock.wall();
        let missed = &mut self.counts.missed;
        let report = IpReport { family, ip: ip.unwrap_or(from), reported_ip: ip, sender, mac, at };
        self.subscribers.retain(|s| match s.sender.try_send(report.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                s.missed.fetch_add(1, Ordering::Relaxed);
                *missed += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }
}

fn lock(hub: &Mutex<Hub>) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens for the reports of devices whose IP-report button is pressed. The ports are bound once, for any
/// number of [`ReportStream`]s; dropping the listener releases them and ends the streams.
#[derive(Debug)]
pub struct ReportListener {
    hub: Arc<Mutex<Hub>>,
    ports: ReportPorts,
    tasks: Vec<AbortHandle>,
}

impl ReportListener {
    /// Binds both ports at `ip`. Call it in a tokio runtime. A deadline of `cx` holds for the binding only.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when a port is taken, [`Forbidden`](ErrorKind::Forbidden) when it may
    /// not be used; both name the `address`. [`Internal`](ErrorKind::Internal) outside of a tokio runtime.
    pub async fn bind(cx: &Ctx, ip: IpAddr, ports: ReportPorts) -> Result<Self> {
        let no_runtime =
            |e| Error::new(ErrorKind::Internal, OP, "must be bound in a tokio runtime").caused_by(e);
        let runtime = Handle::try_current().map_err(no_runtime)?;
        let first = cx.within(OP, cx.net.udp(SocketAddr::new(ip, ports.antminer))).await?;
        let second = cx.within(OP, cx.net.udp(SocketAddr::new(ip, ports.whatsminer))).await?;
        let ports =
            ReportPorts { antminer: first.local_addr().port(), whatsminer: second.local_addr().port() };
        let hub = Arc::<Mutex<Hub>>::default();
        let hear = |socket, family, parse| {
            runtime.spawn(hear(cx.clone(), socket, family, parse, hub.clone())).abort_handle()
        };
        let tasks =
            vec![hear(first, "antminer", pair as Parse), hear(second, "whatsminer", labelled as Parse)];
        Ok(Self { hub, ports, tasks })
    }

    /// The ports it listens on.
    pub fn ports(&self) -> ReportPorts {
        self.ports
    }

    /// A stream of all reports from now on.
    pub fn subscribe(&self) -> ReportStream {
        let (sender, reports) = mpsc::channel(WAITING);
        let missed = Arc::<AtomicU64>::default();
        lock(&self.hub).subscribers.push(Subscriber { sender, missed: missed.clone() });
        ReportStream { reports, missed }
    }

    /// What has arrived so far.
    pub fn counts(&self) -> ReportCounts {
        lock(&self.hub).counts
    }
}

impl Drop for ReportListener {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        lock(&self.hub).subscribers.clear();
    }
}

type Parse = fn(&[u8]) -> Said;

async fn hear(cx: Ctx, socket: Box<dyn Datagram>, family: &'static str, parse: Parse, hub: Arc<Mutex<Hub>>) {
    let mut buffer = [0; LONGEST];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((n, sender)) => {
                let said = if n < LONGEST { parse(&buffer[..n]) } else { Said::Nothing };
                lock(&hub).take(&cx, family, said, sender);
            }
            Err(e) if e.kind() == ErrorKind::Closed => return,
            Err(e) => {
                tracing::debug!(error = %e, family, "cannot receive reports");
                cx.clock.sleep_until(cx.clock.mono() + PAUSE).await;
            }
        }
    }
}

/// Reports as they come. It ends when the [`ReportListener`] is dropped.
#[derive(Debug)]
pub struct ReportStream {
    reports: mpsc::Receiver<IpReport>,
    missed: Arc<AtomicU64>,
}

impl ReportStream {
    /// The next event; `None` when the listener is gone. Nothing is lost when the call is dropped.
    pub async fn next(&mut self) -> Option<ReportEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for ReportStream {
    type Item = ReportEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ReportEvent>> {
        match self.missed.swap(0, Ordering::Relaxed) {
            0 => self.reports.poll_recv(cx).map(|report| report.map(ReportEvent::Report)),
            n => Poll::Ready(Some(ReportEvent::Missed(n))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_per_sender_and_in_all_until_the_window_ends() {
        let mut limiter = Limiter::default();
        let at = |s| Mono::from_origin(Duration::from_secs(s));
        let sender = |n: u32| IpAddr::from(n.to_be_bytes());
        let passed = (0..100).filter(|_| limiter.allows(sender(1), at(5))).count();
        assert_eq!(passed, 20);
        let passed = (2..5000).filter(|n| limiter.allows(sender(*n), at(14))).count();
        assert_eq!((passed, limiter.senders.len()), (980, 981));
        assert!(!limiter.allows(sender(6000), at(14)) && limiter.allows(sender(1), at(15)));
        assert_eq!(limiter.senders.len(), 1);
    }
}
