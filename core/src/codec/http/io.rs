use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::BoxStream;

const STAGE: usize = 16 * 1024;

/// What went over a connection since the last request began.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    wrote: AtomicBool,
    flushed: AtomicBool,
    read: AtomicBool,
}

impl Traffic {
    pub(super) fn begin(&self) {
        self.wrote.store(false, Ordering::Relaxed);
        self.flushed.store(false, Ordering::Relaxed);
        self.read.store(false, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// Whether the request went out whole: hyper flushes when nothing of it is left to write.
    pub(super) fn whole(&self) -> bool {
        self.wrote() && self.flushed.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }
}

/// A [`BoxStream`] as hyper wants it.
///
/// hyper's buffers take bytes without unsafe code only by copying, so they pass through a stage.
#[derive(Debug)]
pub(super) struct Io {
    stream: BoxStream,
    stage: Box<[u8]>,
    traffic: Arc<Traffic>,
}

impl Io {
    pub(super) fn new(stream: BoxStream, traffic: Arc<Traffic>) -> Self {
        Self { stream, stage: vec![0; STAGE].into(), traffic }
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let room = into.remaining().min(STAGE);
        let mut staged = ReadBuf::new(&mut this.stage[..room]);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut staged))?;
        if !staged.filled().is_empty() {
            this.traffic.read.store(true, Ordering::Relaxed);
            into.put_slice(staged.filled());
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        if n > 0 {
            self.traffic.wrote.store(true, Ordering::Relaxed);
            self.traffic.flushed.store(false, Ordering::Relaxed);
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.traffic.flushed.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
