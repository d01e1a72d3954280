//! One connection through the [`Proxy`].

#![allow(
    clippy::disallowed_methods,
    reason = "a stream is polled without a context; its cases run under paused time, which the clock follows"
)]

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use headframe_core::io::BoxStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    act::{Act, End, Make, Reply, Request, Script},
    proxy::{Exchange, Proxy},
};

/// A reply is whole when nothing has come for so long.
const QUIET: Duration = Duration::from_millis(20);
/// How much of a reply is read at once.
const PIECE: usize = 16 * 1024;

/// What the driver reads next.
enum Reading {
    Pass,
    Count(usize, End),
    Late(Pin<Box<Sleep>>),
    Collect { got: Vec<u8>, make: Make, end: End, quiet: Option<Pin<Box<Sleep>>> },
    Made { bytes: Vec<u8>, at: usize, end: End },
    Script(Script, Option<Pin<Box<Sleep>>>),
    Over(End),
}

/// A connection.
pub(super) struct Wire {
    proxy: Proxy,
    number: usize,
    at: SocketAddr,
    /// Gone after a cut.
    inner: Option<BoxStream>,
    /// The number of the exchange that runs.
    exchange: Option<usize>,
    /// Whether something was read since the request.
    answered: bool,
    /// Whether a write went over this connection.
    writes: bool,
    request: Request,
    reading: Reading,
}

impl Wire {
    pub fn new(proxy: Proxy, number: usize, at: SocketAddr, inner: Option<BoxStream>) -> Self {
        Self {
            proxy,
            number,
            at,
            inner,
            exchange: None,
            answered: false,
            writes: false,
            request: Request::Pass,
            reading: Reading::Pass,
        }
    }

    /// A connection to nobody but the script.
    pub fn early(proxy: Proxy, number: usize, at: SocketAddr, script: Script) -> Self {
        let mut wire = Self::new(proxy, number, at, None);
        wire.request = Request::Swallow;
        wire.reading = Reading::Script(script, None);
        // There is no reply to anything: the script stays what it is.
        wire.exchange = Some(usize::MAX);
        wire
    }

    /// A request begins with these bytes.
    fn begin(&mut self, bytes: &[u8]) {
        let write = is_write(bytes) || (self.writes && !bytes.starts_with(b"GET "));
        self.writes |= write;
        let exchange = Exchange {
            connection: self.number,
            at: self.at,
            write,
            request: bytes.to_vec(),
            arrived: 0,
            reply: Vec::new(),
        };
        let (number, Act { request, reply }) = self.proxy.begin(exchange);
        (self.exchange, self.answered, self.request) = (Some(number), false, request);
        self.reading = match reply {
            Reply::Pass => Reading::Pass,
            Reply::Cut(n, end) => Reading::Count(n, end),
            Reply::Late(time) => Reading::Late(Box::pin(sleep(time))),
            Reply::Made(make, end) => Reading::Collect { got: Vec::new(), make, end, quiet: None },
            Reply::Script(script) => Reading::Script(script, None),
        };
    }

    /// From the device, noted.
    fn poll_device(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let before = buf.filled().len();
        ready!(Pin::new(inner).poll_read(cx, buf))?;
        if let Some(number) = self.exchange {
            self.proxy.replied(number, &buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the device's reply until it is whole.
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; PIECE];
        loop {
            let mut buf = ReadBuf::new(&mut piece);
            let read = self.poll_device(cx, &mut buf);
            let Reading::Collect { got, make, end, quiet } = &mut self.reading else {
                return Poll::Ready(());
            };
            match read {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    got.extend_from_slice(buf.filled());
                    *quiet = Some(Box::pin(sleep(QUIET)));
                    continue;
                }
                Poll::Pending => match quiet {
                    Some(quiet) => ready!(quiet.as_mut().poll(cx)),
                    None => return Poll::Pending,
                },
                Poll::Ready(_) => {}
            }
            let (bytes, end) = (make.of(got), *end);
            self.reading = Reading::Made { bytes, at: 0, end };
            return Poll::Ready(());
        }
    }

    /// The next of the `left` bytes that still come.
    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        left: usize,
        end: End,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; PIECE];
        let room = left.min(buf.remaining()).min(PIECE);
        let mut part = ReadBuf::new(&mut piece[..room]);
        ready!(self.poll_device(cx, &mut part))?;
        let n = part.filled().len();
        buf.put_slice(part.filled());
        // A device that ends before is a device that ended.
        let ended = n == 0 && room > 0;
        self.reading = if ended { Reading::Over(End::AsItIs) } else { Reading::Count(left - n, end) };
        Poll::Ready(Ok(()))
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.reading {
                Reading::Pass | Reading::Over(End::AsItIs) => return self.poll_device(cx, buf),
                Reading::Over(End::Closed) => return Poll::Ready(Ok(())),
                Reading::Over(End::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Reading::Over(End::Silence) => return Poll::Pending,
                Reading::Count(0, end) => self.reading = Reading::Over(*end),
                Reading::Count(left, end) => {
                    let (left, end) = (*left, *end);
                    return self.poll_part(cx, buf, left, end);
                }
                Reading::Late(until) => {
                    ready!(until.as_mut().poll(cx));
                    self.reading = Reading::Pass;
                }
                Reading::Collect { .. } => ready!(self.poll_whole(cx)),
                Reading::Made { bytes, at, end } => {
                    let n = buf.remaining().min(bytes.len() - *at);
                    if n == 0 {
                        self.reading = Reading::Over(*end);
                        continue;
                    }
                    buf.put_slice(&bytes[*at..*at + n]);
                    *at += n;
                    return Poll::Ready(Ok(()));
                }
                Reading::Script(script, pause) => {
                    if let Some(every) = script.drip {
                        let wait = pause.get_or_insert_with(|| Box::pin(sleep(every)));
                        ready!(wait.as_mut().poll(cx));
                        *pause = None;
                    }
                    let mut piece = [0; PIECE];
                    let room = buf.remaining().min(PIECE);
                    match script.next(&mut piece[..room]) {
                        0 => self.reading = Reading::Over(script.end),
                        n => {
                            buf.put_slice(&piece[..n]);
                            return Poll::Ready(Ok(()));
                        }
                    }
                }
            }
        }
    }
}

/// Whether a request changes something: it is a form, encrypted, or names a setting.
fn is_write(bytes: &[u8]) -> bool {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|w| w == word);
    bytes.starts_with(b"POST ") || has(b"\"enc\"") || has(b"\"set.")
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_reply(cx, buf))?;
        let n = buf.filled().len() - before;
        self.answered |= n > 0;
        self.proxy.took(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let first = self.exchange.is_none() || (self.answered && self.exchange != Some(usize::MAX));
        if first && !bytes.is_empty() {
            self.begin(bytes);
        }
        let number = self.exchange.unwrap_or(usize::MAX);
        let (taken, arrived) = match self.request {
            Request::Swallow => (bytes.len(), 0),
            Request::Cut(0) => {
                self.inner = None;
                self.reading = Reading::Over(End::Reset);
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Request::Pass | Request::Cut(_) => {
                let limit = if let Request::Cut(left) = self.request { left } else { bytes.len() };
                let part = &bytes[..limit.min(bytes.len())];
                let Some(inner) = &mut self.inner else {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                };
                let n = ready!(Pin::new(inner).poll_write(cx, part))?;
                if let Request::Cut(left) = &mut self.request {
                    *left -= n;
                    if *left == 0 {
                        // What left is with the device; nothing more comes or goes.
                        self.inner = None;
                        self.reading = Reading::Over(End::Reset);
                    }
                }
                (n, n)
            }
        };
        let noted = if first { &[] } else { &bytes[..taken] };
        self.proxy.requested(number, noted, arrived);
        Poll::Ready(Ok(taken))
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
        f.debug_struct("Wire").field("at", &self.at).finish_non_exhaustive()
    }
}
