//! One connection through [`Wires`].

#![allow(
    clippy::disallowed_methods,
    reason = "a stream is polled without a context; its cases run under paused time, which the clock follows"
)]

use std::{
    fmt,
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    time::{Sleep, sleep},
};

use super::net::Wires;

/// How much is read at once.
const PIECE: usize = 8 * 1024;

/// What becomes of a request and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The reply comes after so long.
    Late(Duration),
    /// The device gets so many bytes, then the connection breaks.
    Cut(usize),
    /// The device gets nothing, and no reply comes.
    Lost,
    /// The device gets it, and no reply comes.
    Silence,
    /// The device gets it, and the connection breaks after so many bytes of the reply.
    Torn(usize),
}

/// A connection, seen from the site.
pub(super) struct Wire {
    wires: Wires,
    number: u32,
    ip: IpAddr,
    /// Gone after a break.
    inner: Option<DuplexStream>,
    /// Whether a request is being sent.
    asking: bool,
    fate: Fate,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub fn new(wires: Wires, number: u32, ip: IpAddr, inner: DuplexStream) -> Self {
        let fate = Fate::Late(Duration::ZERO);
        Self { wires, number, ip, inner: Some(inner), asking: false, fate, pause: None }
    }

    fn note(&self, what: &str, bytes: &[u8]) {
        self.wires.trace.note(self.wires.clock.mono(), &format!("{what} {} {}", self.number, self.ip), bytes);
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.wires.poll_open(self.ip, cx));
        if std::mem::take(&mut self.asking)
            && let Fate::Late(by) = self.fate
        {
            self.pause = Some(Box::pin(sleep(by)));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let most = match self.fate {
            Fate::Lost | Fate::Silence => return Poll::Pending,
            Fate::Torn(0) => {
                self.inner = None;
                return Poll::Ready(Err(broken()));
            }
            Fate::Torn(left) => left,
            Fate::Late(_) | Fate::Cut(_) => usize::MAX,
        };
        let Some(inner) = &mut self.inner else { return Poll::Ready(Err(broken())) };
        let mut piece = [0; PIECE];
        let room = most.min(buf.remaining()).min(PIECE);
        let mut part = ReadBuf::new(&mut piece[..room]);
        ready!(Pin::new(inner).poll_read(cx, &mut part))?;
        let got = part.filled();
        buf.put_slice(got);
        if let Fate::Torn(left) = &mut self.fate {
            *left -= got.len();
        }
        self.note("read", got);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.wires.poll_open(self.ip, cx));
        if !std::mem::replace(&mut self.asking, true) {
            self.fate = self.wires.request(self.number, bytes);
            self.pause = None;
        }
        let part = match self.fate {
            Fate::Cut(0) => {
                self.inner = None;
                return Poll::Ready(Err(broken()));
            }
            Fate::Cut(left) => &bytes[..left.min(bytes.len())],
            Fate::Lost => return Poll::Ready(Ok(bytes.len())),
            _ => bytes,
        };
        let Some(inner) = &mut self.inner else { return Poll::Ready(Err(broken())) };
        let n = ready!(Pin::new(inner).poll_write(cx, part))?;
        if let Fate::Cut(left) = &mut self.fate {
            *left -= n;
            if *left == 0 {
                self.inner = None;
            }
        }
        self.note("write", &bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("number", &self.number).field("ip", &self.ip).finish_non_exhaustive()
    }
}
