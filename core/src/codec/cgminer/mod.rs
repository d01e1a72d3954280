//! The cgminer-style API of miners: one TCP connection, one request, one reply (usually port 4028).
//!
//! Firmwares end a reply with a NUL, with a newline, with nothing, or keep the connection open behind it;
//! [`ReplyEnd`] finds the end whichever it is. [`parse`] reads the reply, repairing the JSON only when a
//! strict parser refuses it.

mod parse;
mod reply_end;
mod status;

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

pub use parse::parse;
pub use reply_end::ReplyEnd;
pub use status::StatusBlock;

use crate::{
    Error, ErrorKind, Result,
    codec::located,
    io::{BoxStream, Ctx},
    planted::{Bug, planted},
};

/// The longest reply that [`call`] takes; the longest seen in the field are 25 KiB.
pub const MAX_REPLY: usize = 256 * 1024;

const OP: &str = "cgminer.call";
/// The most that is read at once; most replies are shorter.
const CHUNK: usize = 8 * 1024;
/// What a proxy in front of a dead miner process answers inside a connection that it accepted.
const REFUSED: &[u8] = b"Socket connect failed: Connection refused";

/// Sends one request over a connection of its own and gives the reply without a terminating NUL.
///
/// For reads; [`call_write`] is for what may change the device. A request that is dropped closes its connection.
///
/// # Errors
/// [`Unreachable`](ErrorKind::Unreachable) without a connection (`refused=true` when nothing listens, or the
/// miner process behind a proxy is dead), [`Timeout`](ErrorKind::Timeout) past the deadline, and
/// [`BadReply`](ErrorKind::BadReply) for a reply above the bound (`max=…`) or without a byte (`empty=true`).
/// All carry `address`.
pub async fn call(cx: &Ctx, at: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    call_bounded(cx, at, request, MAX_REPLY).await
}

/// [`call`] with another bound than [`MAX_REPLY`].
///
/// # Errors
/// As [`call`].
pub async fn call_bounded(cx: &Ctx, at: SocketAddr, request: &[u8], max: usize) -> Result<Vec<u8>> {
    let sent = AtomicBool::new(false);
    cx.within(OP, exchange(cx, at, request, max, &sent)).await.map_err(|e| located(e, at))
}

/// [`call`] for a write: an error after the request may have left is marked
/// [`Sent::Maybe`](crate::Sent::Maybe).
///
/// # Errors
/// As [`call`]. Whether silence (`empty=true`) means success, the command decides.
pub async fn call_write(cx: &Ctx, at: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let sent = AtomicBool::new(false);
    let mut out = cx.within(OP, exchange(cx, at, request, MAX_REPLY, &sent)).await;
    if out.is_err() && planted(Bug::RetryOnTimeout) {
        out = cx.within(OP, exchange(cx, at, request, MAX_REPLY, &sent)).await;
    }
    let maybe = sent.load(Ordering::Relaxed) && !planted(Bug::NothingSent);
    out.map_err(|e| located(if maybe { e.maybe_sent() } else { e }, at))
}

/// `{"command":"…"}`.
pub fn request(command: &str) -> String {
    format!("{{\"command\":{}}}", quoted(command))
}

/// `{"command":"…","parameter":"…"}`.
pub fn request_with(command: &str, parameter: &str) -> String {
    format!("{{\"command\":{},\"parameter\":{}}}", quoted(command), quoted(parameter))
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

async fn exchange(
    cx: &Ctx,
    at: SocketAddr,
    request: &[u8],
    max: usize,
    sent: &AtomicBool,
) -> Result<Vec<u8>> {
    let cut = |e: std::io::Error| Error::new(ErrorKind::Unreachable, OP, "the connection broke").caused_by(e);
    let mut stream = cx.net.tcp(at).await?;
    sent.store(true, Ordering::Relaxed);
    stream.write_all(request).await.map_err(cut)?;
    stream.flush().await.map_err(cut)?;
    let mut reply = Vec::new();
    let mut end = ReplyEnd::new();
    loop {
        let before = reply.len();
        let n = read_some(&mut stream, &mut reply).await.map_err(cut)?;
        let found = end.feed(&reply[before..]).map(|in_chunk| before + in_chunk);
        if reply.starts_with(REFUSED) {
            // The proxy passed nothing on.
            sent.store(false, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Unreachable, OP, "the miner process does not listen")
                .with("refused", true));
        }
        let len = found.unwrap_or(reply.len());
        if len > max && !planted(Bug::ReadToEnd) {
            return Err(Error::new(ErrorKind::BadReply, OP, "the reply is above the bound").with("max", max));
        }
        if n == 0 || found.is_some() {
            reply.truncate(len);
            break;
        }
    }
    if reply.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new(ErrorKind::BadReply, OP, "closed without a reply").with("empty", true));
    }
    Ok(reply)
}

/// Waits for bytes and adds what came to `reply`. They pass over the stack: a request that waits holds no room for its
/// reply, and a short reply takes no more than it has.
async fn read_some(stream: &mut BoxStream, reply: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut room = [const { MaybeUninit::uninit() }; CHUNK];
        let mut came = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut came))?;
        reply.extend_from_slice(came.filled());
        Poll::Ready(Ok(came.filled().len()))
    })
    .await
}

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::{
        Sent,
        io::{MemNet, Net, SeededRng, SystemClock},
    };

    /// What a simulated device does with a connection after it read the request.
    #[derive(Clone, Copy)]
    enum Then {
        Close,
        KeepOpen,
    }

    async fn device(chunks: Vec<&'static [u8]>, then: Then) -> (Ctx, SocketAddr) {
        let net = MemNet::new();
        let at: SocketAddr = "10.0.0.7:4028".parse().unwrap();
        let mut listener = net.listen(at).await.unwrap();
        let cx = Ctx::new(Arc::new(SystemClock::default()), Arc::new(SeededRng::new(1)), Arc::new(net));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut got = vec![0; 1024];
                let n = stream.read(&mut got).await.unwrap();
                assert_eq!(&got[..n], b"{\"command\":\"summary\"}");
                for chunk in &chunks {
                    if stream.write_all(chunk).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                if matches!(then, Then::KeepOpen) {
                    std::future::pending::<()>().await;
                }
            }
        });
        (cx.deadline_in(Duration::from_secs(5)), at)
    }

    async fn answer(chunks: Vec<&'static [u8]>, then: Then) -> Result<Vec<u8>> {
        let (cx, at) = device(chunks, then).await;
        call(&cx, at, request("summary").as_bytes()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_ends_at_nul_brace_or_close() {
        for then in [Then::Close, Then::KeepOpen] {
            assert_eq!(answer(vec![b"{\"a\":", b"[1]}"], then).await.unwrap(), b"{\"a\":[1]}");
            assert_eq!(answer(vec![b"STATUS=S|", b"\0more"], then).await.unwrap(), b"STATUS=S|");
        }
        assert_eq!(answer(vec![b",\"id\":1}"], Then::Close).await.unwrap(), b",\"id\":1}");
        assert_eq!(answer(vec![b"{\"a\":1"], Then::Close).await.unwrap(), b"{\"a\":1");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_slowness_are_told_apart() {
        let empty = answer(vec![], Then::Close).await.unwrap_err();
        assert_eq!((empty.kind(), empty.fact("empty")), (ErrorKind::BadReply, Some("true")));
        assert_eq!(empty.fact("address"), Some("10.0.0.7:4028"));
        let slow = answer(vec![b"{\"a\":1"], Then::KeepOpen).await.unwrap_err();
        assert_eq!((slow.kind(), slow.sent()), (ErrorKind::Timeout, Sent::No));
        assert_eq!(slow.fact("address"), Some("10.0.0.7:4028"));
    }

    #[tokio::test(start_paused = true)]
    async fn refused_behind_a_proxy_is_refused() {
        for then in [Then::Close, Then::KeepOpen] {
            let (cx, at) = device(vec![b"Socket connect failed: ", b"Connection refused\n"], then).await;
            let e = call_write(&cx, at, request("summary").as_bytes()).await.unwrap_err();
            assert_eq!((e.kind(), e.fact("refused")), (ErrorKind::Unreachable, Some("true")));
            assert_eq!(e.sent(), Sent::No);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_reply_is_refused_with_its_bound() {
        static LONG: [u8; 5000] = [b' '; 5000];
        let (cx, at) = device(vec![b"[", &LONG, &LONG, b"]"], Then::KeepOpen).await;
        let ask = request("summary");
        let e = call_bounded(&cx, at, ask.as_bytes(), 10_001).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("max")), (ErrorKind::BadReply, Some("10001")));
        let (cx, at) = device(vec![b"[", &LONG, &LONG, b"]\0"], Then::KeepOpen).await;
        assert_eq!(call_bounded(&cx, at, ask.as_bytes(), 10_002).await.unwrap().len(), 10_002);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_an_answer_may_have_arrived() {
        for (chunks, then) in [(vec![], Then::Close), (vec![&b"{"[..]], Then::KeepOpen)] {
            let (cx, at) = device(chunks, then).await;
            let e = call_write(&cx, at, request("summary").as_bytes()).await.unwrap_err();
            assert_eq!(e.sent(), Sent::Maybe);
        }
        let (cx, _) = device(vec![], Then::Close).await;
        let nobody = "10.0.0.8:4028".parse().unwrap();
        let e = call_write(&cx, nobody, b"x").await.unwrap_err();
        assert_eq!((e.kind(), e.sent(), e.fact("refused")), (ErrorKind::Unreachable, Sent::No, Some("true")));
    }

    #[test]
    fn requests_are_json() {
        assert_eq!(request("summary+pools"), "{\"command\":\"summary+pools\"}");
        assert_eq!(
            request_with("ascset", "0,led,\"1\""),
            "{\"command\":\"ascset\",\"parameter\":\"0,led,\\\"1\\\"\"}"
        );
    }
}
