use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    net::{IpAddr, SocketAddr},
};

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::{BoxStream, Datagram, Listener, Net, Rng};
use crate::{Error, ErrorKind, Result};

/// Sockets of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNet;

/// Random bytes of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, out: &mut [u8]) {
        if getrandom::fill(out).is_err() {
            // Without the system's generator only nonces and spreading depend on these bytes; the hasher's keys
            // were drawn when the process had it.
            for chunk in out.chunks_mut(8) {
                let bytes = RandomState::new().build_hasher().finish().to_le_bytes();
                chunk.copy_from_slice(&bytes[..chunk.len()]);
            }
        }
    }
}

fn failed(op: &'static str, at: SocketAddr, e: io::Error) -> Error {
    let kind = match e.kind() {
        io::ErrorKind::AddrInUse => ErrorKind::Conflict,
        io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
        _ => ErrorKind::Unreachable,
    };
    let refused = e.kind() == io::ErrorKind::ConnectionRefused;
    let error = Error::new(kind, op, e.to_string()).with("address", at).caused_by(e);
    if refused { error.with("refused", true) } else { error }
}

#[async_trait]
#[allow(clippy::disallowed_methods, reason = "this is the one door to the machine's sockets")]
impl Net for SystemNet {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let stream = TcpStream::connect(at).await.map_err(|e| failed("net.tcp", at, e))?;
        stream.set_nodelay(true).map_err(|e| failed("net.tcp", at, e))?;
        Ok(Box::new(stream))
    }

    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>> {
        let socket = UdpSocket::bind(at).await.map_err(|e| failed("net.udp", at, e))?;
        let local = socket.local_addr().map_err(|e| failed("net.udp", at, e))?;
        Ok(Box::new(SystemDatagram { socket, local }))
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        let listener = TcpListener::bind(at).await.map_err(|e| failed("net.listen", at, e))?;
        let local = listener.local_addr().map_err(|e| failed("net.listen", at, e))?;
        Ok(Box::new(SystemListener { listener, local }))
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let failed =
            |text: String| Error::new(ErrorKind::Unreachable, "net.resolve", text).with("host", host);
        let found = tokio::net::lookup_host((host, 0)).await.map_err(|e| failed(e.to_string()))?;
        let ips: Vec<IpAddr> = found.map(|a| a.ip()).collect();
        if ips.is_empty() { Err(failed("the name has no address".into())) } else { Ok(ips) }
    }
}

#[derive(Debug)]
struct SystemDatagram {
    socket: UdpSocket,
    local: SocketAddr,
}

#[async_trait]
impl Datagram for SystemDatagram {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        self.socket.recv_from(buffer).await.map_err(|e| failed("net.recv", self.local, e))
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<()> {
        self.socket.send_to(bytes, to).await.map_err(|e| failed("net.send", to, e))?;
        Ok(())
    }
}

#[derive(Debug)]
struct SystemListener {
    listener: TcpListener,
    local: SocketAddr,
}

#[async_trait]
impl Listener for SystemListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn accept(&mut self) -> Result<(BoxStream, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await.map_err(|e| failed("net.accept", self.local, e))?;
        stream.set_nodelay(true).map_err(|e| failed("net.accept", peer, e))?;
        Ok((Box::new(stream), peer))
    }
}
