use std::{
    error::Error as _,
    future::{Future, poll_fn},
    io::ErrorKind as IoKind,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::Full;
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::http1::{Builder, Connection, SendRequest},
};

use super::{
    HttpReply, Progress,
    io::{Io, Traffic},
};
use crate::{
    Error, ErrorKind, Result,
    io::Ctx,
    planted::{Bug, planted},
};

/// Bound of a reply's header; hyper bounds the number of fields by 100.
const MAX_HEAD: usize = 64 * 1024;

/// One connection. It makes progress only while a request runs: no task stands behind it.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<Io, Full<Bytes>>,
    /// A connection that ended must not be polled again.
    ended: bool,
    traffic: Arc<Traffic>,
}

impl Link {
    pub(super) async fn open(cx: &Ctx, op: &'static str, at: SocketAddr) -> Result<Self> {
        let traffic = Arc::new(Traffic::default());
        let io = Io::new(cx.net.tcp(at).await?, traffic.clone());
        let mut builder = Builder::new();
        // Embedded servers are found that know header fields in this spelling only, and that write odd ones.
        builder.title_case_headers(true);
        builder.allow_spaces_after_header_name_in_responses(true);
        builder.max_buf_size(MAX_HEAD);
        let opened = builder.handshake(io).await;
        let (sender, connection) =
            opened.map_err(|e| Error::new(ErrorKind::Internal, op, "no HTTP connection").caused_by(e))?;
        Ok(Self { sender, connection, ended: false, traffic })
    }

    /// Whether any byte came since the last request began.
    pub(super) fn heard(&self) -> bool {
        self.traffic.read()
    }

    /// Whether another request can go out; never waits.
    pub(super) async fn is_idle(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            let ready = !self.ended && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())));
            Poll::Ready(ready)
        })
        .await
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        // A failure of the connection reaches the request or the body that waits for it.
        self.ended = self.ended || Pin::new(&mut self.connection).poll(cx).is_ready();
    }

    /// Sends one request and reads its whole reply; notes in `progress` how far it comes.
    pub(super) async fn send(
        &mut self,
        op: &'static str,
        request: Request<Full<Bytes>>,
        max_body: usize,
        progress: &Progress,
    ) -> Result<HttpReply> {
        self.traffic.begin();
        let mut response = pin!(self.sender.send_request(request));
        let head = poll_fn(|cx| {
            self.drive(cx);
            progress.note(&self.traffic);
            match response.as_mut().poll(cx) {
                Poll::Ready(out) => Poll::Ready(out.map_err(Some)),
                Poll::Pending if self.ended => Poll::Ready(Err(None)),
                Poll::Pending => Poll::Pending,
            }
        });
        let (head, body) = head.await.map_err(|e| self.failed(op, e))?.into_parts();
        let body = self.body(op, body, max_body).await?;
        Ok(HttpReply { status: head.status.as_u16(), headers: head.headers, body, at: None })
    }

    async fn body(&mut self, op: &'static str, mut body: Incoming, max: usize) -> Result<Bytes> {
        let too_long = || {
            Error::new(ErrorKind::BadReply, op, "the body of the reply is above the bound").with("max", max)
        };
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let max = if planted(Bug::ReadToEnd) { usize::MAX } else { max };
        if announced > max {
            return Err(too_long());
        }
        // A body that comes in one piece is not copied.
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame(&mut body).await {
            let Ok(data) = frame.map_err(|e| self.failed(op, e))?.into_data() else { continue };
            if first.len().max(all.len()) + data.len() > max {
                return Err(too_long());
            }
            if first.is_empty() {
                first = data;
                continue;
            }
            if all.is_empty() {
                all.reserve(announced.max(2 * (first.len() + data.len())).min(max));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// The next piece of a body; an error is `None` when the connection ended without naming one.
    async fn frame(&mut self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, Option<hyper::Error>>> {
        poll_fn(|cx| {
            // Asking first tells the connection that there is room for more.
            if let Poll::Ready(out) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(out.map(|f| f.map_err(Some)));
            }
            self.drive(cx);
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(out) => Poll::Ready(out.map(|f| f.map_err(Some))),
                Poll::Pending if self.ended => Poll::Ready(Some(Err(None))),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn failed(&self, op: &'static str, e: Option<hyper::Error>) -> Error {
        let io = e
            .as_ref()
            .and_then(|e| e.source())
            .and_then(|s| s.downcast_ref::<std::io::Error>())
            .map(std::io::Error::kind);
        let broke = io.is_some_and(|kind| kind != IoKind::UnexpectedEof);
        let error = if e.as_ref().is_some_and(hyper::Error::is_parse) {
            Error::new(ErrorKind::BadReply, op, "the reply is not HTTP that can be read")
        } else if broke {
            Error::new(ErrorKind::Unreachable, op, "the connection broke")
        } else if self.heard() {
            Error::new(ErrorKind::BadReply, op, "the connection was closed inside the reply")
        } else {
            Error::new(ErrorKind::BadReply, op, "closed without a reply").with("empty", true)
        };
        match e {
            Some(e) => error.caused_by(e),
            None => error,
        }
    }
}
