use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    Result,
    io::{BoxStream, Datagram, Listener, Net},
};

/// A network that notes every byte written to connections, in the order of writing.
#[derive(Debug, Clone)]
pub struct TraceNet {
    inner: Arc<dyn Net>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl TraceNet {
    /// Notes what goes out through `inner`.
    pub fn new(inner: Arc<dyn Net>) -> Self {
        Self { inner, written: Arc::default() }
    }

    /// All bytes written so far.
    pub fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Net for TraceNet {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let stream = self.inner.tcp(at).await?;
        Ok(Box::new(Traced { stream, written: self.written.clone() }))
    }

    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>> {
        self.inner.udp(at).await
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        self.inner.listen(at).await
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        self.inner.resolve(host).await
    }
}

#[derive(Debug)]
struct Traced {
    stream: BoxStream,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Traced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Traced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let out = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(n)) = &out {
            self.written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buf[..*n]);
        }
        out
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
