//! The network of a site: every link between the site and a device can be slow, lose, cut, refuse and clog.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use headframe_core::{
    Error, ErrorKind, Result,
    io::{BoxStream, Clock, Datagram, Listener, Mono, Net},
};
use tokio::{io::duplex, sync::mpsc};

use super::{
    eyes::WRITING,
    stream::{Fate, Wire},
    trace::Trace,
};

const PIPE_BYTES: usize = 64 * 1024;
const BACKLOG: usize = 1024;
/// Connections come from addresses of their own, made from their number.
const PEERS: [u8; 2] = [10, 250];

/// How bad the network is: of a thousand connections or requests, so many go wrong in this way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Connections that are refused.
    pub refuse: u32,
    /// Requests that come to the device in part, before the connection breaks.
    pub cut: u32,
    /// Requests that are lost.
    pub lose: u32,
    /// Replies that never come.
    pub silence: u32,
    /// Replies that end in the middle.
    pub torn: u32,
    /// Replies that are late.
    pub late: u32,
    /// By how much at most, ms.
    pub late_ms: u64,
}

/// The network. Clones share it.
#[derive(Clone)]
pub struct Wires {
    hub: Arc<Mutex<Hub>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trace: Trace,
}

struct Hub {
    rng: fastrand::Rng,
    weather: Weather,
    listeners: BTreeMap<SocketAddr, mpsc::Sender<(BoxStream, SocketAddr)>>,
    links: BTreeMap<IpAddr, Link>,
    /// Who answers at an address, where that is another one than it should be.
    moved: BTreeMap<IpAddr, IpAddr>,
    connections: u32,
    /// Which writes went over a connection, and from when on.
    writes: BTreeMap<u32, Vec<(Mono, usize)>>,
    hits: BTreeSet<&'static str>,
}

#[derive(Default)]
struct Link {
    clogged: bool,
    waiting: Vec<Waker>,
}

impl Wires {
    /// A network in good weather.
    pub fn new(seed: u64, clock: Arc<dyn Clock>, trace: Trace) -> Self {
        let hub = Hub {
            rng: fastrand::Rng::with_seed(seed),
            weather: Weather::default(),
            listeners: BTreeMap::new(),
            links: BTreeMap::new(),
            moved: BTreeMap::new(),
            connections: 0,
            writes: BTreeMap::new(),
            hits: BTreeSet::new(),
        };
        Self { hub: Arc::new(Mutex::new(hub)), clock, trace }
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The weather from now on.
    pub fn weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Nothing passes the link to a device, either way, until it is let through again.
    pub fn clog(&self, ip: IpAddr, clogged: bool) {
        let waiting = {
            let mut hub = self.lock();
            let link = hub.links.entry(ip).or_default();
            link.clogged = clogged;
            if clogged { Vec::new() } else { std::mem::take(&mut link.waiting) }
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Two devices change their places; the same again changes them back.
    pub fn swap(&self, one: IpAddr, two: IpAddr) {
        let mut hub = self.lock();
        let at = |hub: &Hub, ip| hub.moved.get(&ip).copied().unwrap_or(ip);
        let (first, second) = (at(&hub, one), at(&hub, two));
        hub.moved.insert(one, second);
        hub.moved.insert(two, first);
    }

    /// Every device is at its place again.
    pub fn unswap(&self) {
        self.lock().moved.clear();
    }

    /// Which write was under way over the connection from `peer` at that time.
    pub fn write_of(&self, peer: SocketAddr, at: Mono) -> Option<usize> {
        let IpAddr::V4(ip) = peer.ip() else { return None };
        let [_, _, a, b] = ip.octets();
        let number = u32::from(a) << 24 | u32::from(b) << 16 | u32::from(peer.port());
        let hub = self.lock();
        let writes = hub.writes.get(&number)?;
        writes.iter().rev().find(|(from, _)| *from <= at).map(|(_, write)| *write)
    }

    /// What went wrong so far.
    pub fn hits(&self) -> BTreeSet<&'static str> {
        self.lock().hits.clone()
    }

    /// Waits while the link is clogged.
    pub(super) fn poll_open(&self, ip: IpAddr, cx: &Context<'_>) -> Poll<()> {
        let mut hub = self.lock();
        let Some(link) = hub.links.get_mut(&ip).filter(|link| link.clogged) else { return Poll::Ready(()) };
        if !link.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            link.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// What becomes of the next request of a connection. When it is part of a write, that is noted.
    pub(super) fn request(&self, number: u32, bytes: &[u8]) -> Fate {
        let now = self.clock.mono();
        let mut hub = self.lock();
        let write = WRITING.try_with(|write| *write).ok();
        if let Some(write) = write {
            hub.writes.entry(number).or_default().push((now, write));
        }
        let weather = hub.weather;
        let mut drawn = hub.rng.u32(0..1000);
        let mut is = |share: u32| {
            let hit = drawn < share;
            drawn = drawn.saturating_sub(share);
            if hit {
                drawn = u32::MAX;
            }
            hit
        };
        let (fate, hit) = if is(weather.cut) {
            (Fate::Cut(hub.rng.usize(0..=bytes.len())), "a request cut")
        } else if is(weather.lose) {
            (Fate::Lost, "a request lost")
        } else if is(weather.silence) {
            (Fate::Silence, "a reply lost")
        } else if is(weather.torn) {
            (Fate::Torn(hub.rng.usize(0..64)), "a reply torn")
        } else if is(weather.late) {
            let late = hub.rng.u64(0..=weather.late_ms);
            (Fate::Late(Duration::from_millis(late)), "a reply late")
        } else {
            return Fate::Late(Duration::from_millis(hub.rng.u64(1..6)));
        };
        hub.hits.insert(hit);
        fate
    }
}

fn refused(at: SocketAddr) -> Error {
    Error::new(ErrorKind::Unreachable, "sim.tcp", "connection refused")
        .with("address", at)
        .with("refused", true)
}

#[async_trait]
impl Net for Wires {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let (number, refuse) = {
            let mut hub = self.lock();
            let number = hub.connections;
            hub.connections = number.wrapping_add(1);
            let share = hub.weather.refuse;
            (number, hub.rng.u32(0..1000) < share)
        };
        self.trace.note(self.clock.mono(), "connect", at.to_string().as_bytes());
        if refuse {
            self.lock().hits.insert("a connection refused");
            return Err(refused(at));
        }
        poll_fn(|cx| self.poll_open(at.ip(), cx)).await;
        let listener = {
            let hub = self.lock();
            let ip = hub.moved.get(&at.ip()).copied().unwrap_or(at.ip());
            hub.listeners.get(&SocketAddr::new(ip, at.port())).cloned()
        };
        let listener = listener.ok_or_else(|| refused(at))?;
        let (ours, theirs) = duplex(PIPE_BYTES);
        let [a, b, c, d] = number.to_be_bytes();
        let peer = SocketAddr::from(([PEERS[0], PEERS[1], a, b], u16::from_be_bytes([c, d])));
        listener.send((Box::new(theirs), peer)).await.map_err(|_| refused(at))?;
        Ok(Box::new(Wire::new(self.clone(), number, at.ip(), ours)))
    }

    async fn udp(&self, _: SocketAddr) -> Result<Box<dyn Datagram>> {
        Err(Error::unsupported("sim.udp", "datagrams"))
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        let mut hub = self.lock();
        hub.listeners.retain(|_, open| !open.is_closed());
        if hub.listeners.contains_key(&at) {
            return Err(Error::new(ErrorKind::Conflict, "sim.listen", "address in use").with("address", at));
        }
        let (sender, calls) = mpsc::channel(BACKLOG);
        hub.listeners.insert(at, sender);
        Ok(Box::new(Port { at, calls }))
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        let unknown = |_| Error::new(ErrorKind::Unreachable, "sim.resolve", "unknown name");
        host.parse().map(|ip| vec![ip]).map_err(unknown)
    }
}

#[derive(Debug)]
struct Port {
    at: SocketAddr,
    calls: mpsc::Receiver<(BoxStream, SocketAddr)>,
}

#[async_trait]
impl Listener for Port {
    fn local_addr(&self) -> SocketAddr {
        self.at
    }

    async fn accept(&mut self) -> Result<(BoxStream, SocketAddr)> {
        let gone = || Error::new(ErrorKind::Closed, "sim.accept", "the network is gone");
        self.calls.recv().await.ok_or_else(gone)
    }
}

impl fmt::Debug for Wires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use headframe_core::io::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::rig::simulate;

    const SECOND: Duration = Duration::from_secs(1);

    fn wires() -> (Wires, Arc<SystemClock>, SocketAddr) {
        let clock = Arc::new(SystemClock::default());
        (Wires::new(1, Arc::clone(&clock) as _, Trace::default()), clock, ([10, 0, 0, 1], 80).into())
    }

    #[test]
    fn a_clogged_link_passes_nothing_until_it_is_let_through() {
        let case = async {
            let (wires, clock, at) = wires();
            let mut port = wires.listen(at).await.unwrap();
            let mut stream = wires.tcp(at).await.unwrap();
            let (mut device, _) = port.accept().await.unwrap();
            wires.clog(at.ip(), true);
            let asked = tokio::spawn(async move { stream.write_all(b"hello").await.is_ok() });
            let dialled = tokio::spawn({
                let wires = wires.clone();
                async move { wires.tcp(at).await.is_ok() }
            });
            clock.sleep_until(clock.mono() + SECOND * 60).await;
            assert!(!asked.is_finished() && !dialled.is_finished());
            wires.clog(at.ip(), false);
            assert!(asked.await.unwrap() && dialled.await.unwrap());
            let mut got = [0; 5];
            device.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"hello");
            Ok(())
        };
        simulate(case).unwrap();
    }

    #[test]
    fn bytes_belong_to_the_write_that_sends_them() {
        let case = async {
            let (wires, clock, at) = wires();
            let mut port = wires.listen(at).await.unwrap();
            let mut stream = wires.tcp(at).await.unwrap();
            let (_device, peer) = port.accept().await.unwrap();
            stream.write_all(b"read").await.unwrap();
            assert_eq!(wires.write_of(peer, clock.mono()), None);
            let mut other = wires.tcp(at).await.unwrap();
            let (_other, from) = port.accept().await.unwrap();
            WRITING.scope(7, other.write_all(b"write")).await.unwrap();
            assert_eq!(
                (wires.write_of(peer, clock.mono()), wires.write_of(from, clock.mono())),
                (None, Some(7))
            );
            Ok(())
        };
        simulate(case).unwrap();
    }

    #[test]
    fn a_cut_request_comes_in_part() {
        let case = async {
            let (wires, _, at) = wires();
            wires.weather(Weather { cut: 1_000, ..Weather::default() });
            let mut port = wires.listen(at).await.unwrap();
            let mut stream = wires.tcp(at).await.unwrap();
            let (mut device, _) = port.accept().await.unwrap();
            let _sent = stream.write_all(b"0123456789").await;
            assert!(stream.read(&mut [0; 8]).await.is_err(), "the connection is broken");
            let mut got = Vec::new();
            device.read_to_end(&mut got).await.unwrap();
            assert!(b"0123456789".starts_with(&got[..]));
            assert!(wires.hits().contains("a request cut"));
            Ok(())
        };
        simulate(case).unwrap();
    }
}
