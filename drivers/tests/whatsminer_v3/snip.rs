//! A network on which the connection of every `set.` command breaks in the middle of the request.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use headframe_core::{
    Result,
    io::{BoxStream, Datagram, Listener, MemNet, Net},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug)]
pub struct Snip {
    net: MemNet,
    at: usize,
    broken: Arc<AtomicUsize>,
}

impl Snip {
    /// Breaks after `at` bytes.
    pub fn new(net: MemNet, at: usize) -> Self {
        Self { net, at, broken: Arc::default() }
    }

    /// How many requests broke.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Net for Snip {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let inner = self.net.tcp(at).await?;
        Ok(Box::new(Thread { inner, left: None, at: self.at, broken: self.broken.clone() }))
    }

    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>> {
        self.net.udp(at).await
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        self.net.listen(at).await
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        self.net.resolve(host).await
    }
}

#[derive(Debug)]
struct Thread {
    inner: BoxStream,
    left: Option<usize>,
    at: usize,
    broken: Arc<AtomicUsize>,
}

impl AsyncRead for Thread {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Thread {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let at = self.at;
        if bytes.windows(5).any(|w| w == b"\"set.") {
            self.left.get_or_insert(at);
        }
        match self.left {
            None => Pin::new(&mut self.inner).poll_write(cx, bytes),
            Some(0) => {
                self.broken.fetch_add(1, Ordering::SeqCst);
                Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()))
            }
            Some(left) => {
                let n = left.min(bytes.len());
                let written = Pin::new(&mut self.inner).poll_write(cx, &bytes[..n]);
                if let Poll::Ready(Ok(n)) = written {
                    self.left = Some(left - n);
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
