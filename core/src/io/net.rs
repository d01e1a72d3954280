use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Result;

/// A connected byte stream.
pub trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin + 'static> Stream for T {}

/// A [`Stream`] of any kind.
pub type BoxStream = Box<dyn Stream>;

/// Sockets. Bytes only: every codec, HTTP included, runs above it.
#[async_trait]
pub trait Net: fmt::Debug + Send + Sync + 'static {
    /// Connects to `at`.
    ///
    /// # Errors
    /// [`Unreachable`](crate::ErrorKind::Unreachable), with the fact `refused=true` when the host answered that
    /// nothing listens there.
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream>;

    /// Binds a datagram socket; port 0 takes a free one.
    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>>;

    /// Listens for connections; port 0 takes a free one.
    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>>;

    /// Addresses of a host name or of an address in text form, never empty.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>>;
}

/// A bound datagram socket.
#[async_trait]
pub trait Datagram: fmt::Debug + Send + Sync + 'static {
    /// The address it is bound to.
    fn local_addr(&self) -> SocketAddr;
    /// Receives one datagram, cut to the buffer; gives its length and sender.
    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)>;
    /// Sends one datagram.
    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<()>;
}

/// A listening socket; closed when dropped.
#[async_trait]
pub trait Listener: fmt::Debug + Send + Sync + 'static {
    /// The address it listens on.
    fn local_addr(&self) -> SocketAddr;
    /// Waits for a connection; gives it with the peer's address.
    async fn accept(&mut self) -> Result<(BoxStream, SocketAddr)>;
}
