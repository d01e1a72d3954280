mod backlog;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::{io::duplex, sync::mpsc};

use super::{BoxStream, Datagram, Listener, Net, Rng};
use crate::{Error, ErrorKind, Result};
use backlog::Backlog;

const PIPE_BYTES: usize = 64 * 1024;
/// Datagrams that wait at a socket; further ones are lost.
const LETTERS: usize = 1024;
const FIRST_FREE_PORT: u16 = 40_000;

/// A network in memory: listeners, connections and datagrams between addresses of any kind, for tests and
/// simulation. Clones share it. Nothing listening means refused; [`MemNet::silence`] makes an address swallow
/// connection attempts as a switched-off host does.
#[derive(Debug, Clone, Default)]
pub struct MemNet {
    inner: Arc<Mutex<Inner>>,
}

type Letter = (Vec<u8>, SocketAddr);

#[derive(Debug, Default)]
struct Inner {
    listeners: BTreeMap<SocketAddr, Arc<Backlog>>,
    sockets: BTreeMap<SocketAddr, mpsc::Sender<Letter>>,
    silent: BTreeSet<IpAddr>,
    names: BTreeMap<String, IpAddr>,
    connections: u64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.listeners.values().for_each(|listener| listener.close());
    }
}

impl MemNet {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes connections to `ip` wait for ever.
    pub fn silence(&self, ip: IpAddr) {
        self.lock().silent.insert(ip);
    }

    /// Gives `host` an address.
    pub fn name(&self, host: &str, ip: IpAddr) {
        self.lock().names.insert(host.to_owned(), ip);
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u64 {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(op: &'static str, at: SocketAddr) -> Error {
    Error::new(ErrorKind::Unreachable, op, "connection refused").with("address", at).with("refused", true)
}

/// Of one that is closed the address is free again.
fn free_port<T>(
    taken: &BTreeMap<SocketAddr, T>,
    is_closed: impl Fn(&T) -> bool,
    at: SocketAddr,
    op: &'static str,
) -> Result<SocketAddr> {
    let is_free = |at: &SocketAddr| taken.get(at).is_none_or(&is_closed);
    let in_use = || Error::new(ErrorKind::Conflict, op, "address in use").with("address", at);
    if at.port() != 0 {
        return if is_free(&at) { Ok(at) } else { Err(in_use()) };
    }
    (FIRST_FREE_PORT..u16::MAX).map(|port| SocketAddr::new(at.ip(), port)).find(is_free).ok_or_else(in_use)
}

#[async_trait]
impl Net for MemNet {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let (silent, listener) = {
            let mut inner = self.lock();
            inner.connections += 1;
            (inner.silent.contains(&at.ip()), inner.listeners.get(&at).cloned())
        };
        if silent {
            std::future::pending::<()>().await;
        }
        let listener = listener.ok_or_else(|| refused("net.tcp", at))?;
        let (ours, theirs) = duplex(PIPE_BYTES);
        let from = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), FIRST_FREE_PORT);
        match listener.call((Box::new(theirs), from)).await {
            true => Ok(Box::new(ours)),
            false => Err(refused("net.tcp", at)),
        }
    }

    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>> {
        let mut inner = self.lock();
        let local = free_port(&inner.sockets, mpsc::Sender::is_closed, at, "net.udp")?;
        let (sender, receiver) = mpsc::channel(LETTERS);
        inner.sockets.insert(local, sender);
        Ok(Box::new(MemDatagram { net: self.clone(), local, receiver: tokio::sync::Mutex::new(receiver) }))
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        let mut inner = self.lock();
        let local = free_port(&inner.listeners, |listener| listener.is_closed(), at, "net.listen")?;
        let backlog = Arc::new(Backlog::default());
        inner.listeners.insert(local, Arc::clone(&backlog));
        Ok(Box::new(MemListener { local, backlog }))
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        match self.lock().names.get(host) {
            Some(ip) => Ok(vec![*ip]),
            None => Err(Error::new(ErrorKind::Unreachable, "net.resolve", "unknown name").with("host", host)),
        }
    }
}

#[derive(Debug)]
struct MemListener {
    local: SocketAddr,
    backlog: Arc<Backlog>,
}

impl Drop for MemListener {
    fn drop(&mut self) {
        self.backlog.close();
    }
}

#[async_trait]
impl Listener for MemListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn accept(&mut self) -> Result<(BoxStream, SocketAddr)> {
        let gone = || Error::new(ErrorKind::Closed, "net.accept", "the network is gone");
        self.backlog.next().await.ok_or_else(gone)
    }
}

#[derive(Debug)]
struct MemDatagram {
    net: MemNet,
    local: SocketAddr,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Letter>>,
}

#[async_trait]
impl Datagram for MemDatagram {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let gone = || Error::new(ErrorKind::Closed, "net.recv", "the network is gone");
        let (bytes, from) = self.receiver.lock().await.recv().await.ok_or_else(gone)?;
        let n = bytes.len().min(buffer.len());
        buffer[..n].copy_from_slice(&bytes[..n]);
        Ok((n, from))
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<()> {
        let socket = self.net.lock().sockets.get(&to).cloned();
        if let Some(socket) = socket {
            // A full or closed socket loses the datagram, as on a wire.
            let _lost = socket.try_send((bytes.to_vec(), self.local));
        }
        Ok(())
    }
}

/// Random bytes from a seed: the same seed gives the same bytes.
#[derive(Debug)]
pub struct SeededRng(Mutex<fastrand::Rng>);

impl SeededRng {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Rng for SeededRng {
    fn fill(&self, out: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(out);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn connects_refuses_and_carries_bytes() {
        let net = MemNet::new();
        let at: SocketAddr = "10.0.0.1:4028".parse().unwrap();
        assert_eq!(net.tcp(at).await.unwrap_err().fact("refused"), Some("true"));
        let mut listener = net.listen(at).await.unwrap();
        let mut client = net.tcp(at).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"summary").await.unwrap();
        let mut got = [0; 7];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"summary");
        assert_eq!(net.listen(at).await.unwrap_err().kind(), ErrorKind::Conflict);
        drop(listener);
        assert!(net.tcp(at).await.is_err());
        net.listen(at).await.unwrap();
    }

    #[tokio::test]
    async fn datagrams_reach_the_bound_socket() {
        let net = MemNet::new();
        let a = net.udp("10.0.0.1:14235".parse().unwrap()).await.unwrap();
        let b = net.udp("10.0.0.2:0".parse().unwrap()).await.unwrap();
        b.send_to(b"10.0.0.2,AA:BB", a.local_addr()).await.unwrap();
        let mut buffer = [0; 64];
        let (n, from) = a.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..n], from), (&b"10.0.0.2,AA:BB"[..], b.local_addr()));
    }

    #[test]
    fn same_seed_same_bytes() {
        let (a, b) = (SeededRng::new(7), SeededRng::new(7));
        assert_eq!([a.u64(), a.u64()], [b.u64(), b.u64()]);
    }
}
