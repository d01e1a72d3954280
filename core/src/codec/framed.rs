//! Messages behind their length: 4 bytes little-endian, then so many bytes. One connection, one request, one reply.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Error, ErrorKind, Result,
    codec::located,
    io::{BoxStream, Ctx},
    planted::{Bug, planted},
};

/// The longest reply that [`call`] takes unless told; real ones have a few KiB.
pub const MAX_REPLY: usize = 256 * 1024;

const OP: &str = "framed.call";
const LENGTH: usize = 4;

/// Sends one request over a connection of its own and gives the reply.
///
/// For reads; [`call_write`] is for what may change the device.
///
/// # Errors
/// [`Unreachable`](ErrorKind::Unreachable) without a connection (`refused=true` when nothing listens),
/// [`Timeout`](ErrorKind::Timeout) past the deadline, [`BadReply`](ErrorKind::BadReply) for a length above `max`
/// (`max=…`) or below 1, a reply that ends early, or none at all (`empty=true`). All carry `address`.
pub async fn call(cx: &Ctx, at: SocketAddr, request: &[u8], max: usize) -> Result<Vec<u8>> {
    let sent = AtomicBool::new(false);
    cx.within(OP, exchange(cx, at, request, max, &sent)).await.map_err(|e| located(e, at))
}

/// [`call`] for a write: an error after the request may have left is marked
/// [`Sent::Maybe`](crate::Sent::Maybe).
///
/// # Errors
/// As [`call`]. Whether silence (`empty=true`) means success, the command decides.
pub async fn call_write(cx: &Ctx, at: SocketAddr, request: &[u8], max: usize) -> Result<Vec<u8>> {
    let sent = AtomicBool::new(false);
    let mut out = cx.within(OP, exchange(cx, at, request, max, &sent)).await;
    if out.is_err() && planted(Bug::RetryOnTimeout) {
        out = cx.within(OP, exchange(cx, at, request, max, &sent)).await;
    }
    let maybe = sent.load(Ordering::Relaxed) && !planted(Bug::NothingSent);
    out.map_err(|e| located(if maybe { e.maybe_sent() } else { e }, at))
}

async fn exchange(
    cx: &Ctx,
    at: SocketAddr,
    request: &[u8],
    max: usize,
    sent: &AtomicBool,
) -> Result<Vec<u8>> {
    let length = u32::try_from(request.len())
        .map_err(|_| Error::invalid(OP, "request", "is longer than a length can say"))?;
    let mut stream = cx.net.tcp(at).await?;
    sent.store(true, Ordering::Relaxed);
    // One piece: some devices read a request with a single call.
    let mut frame = Vec::with_capacity(LENGTH + request.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(request);
    stream.write_all(&frame).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut head = [0; LENGTH];
    fill(&mut stream, &mut head, true).await?;
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if (length == 0 || length > max) && !planted(Bug::UncheckedLength) {
        let text = "the device announces a reply of a length that cannot be";
        return Err(Error::new(ErrorKind::BadReply, OP, text).with("length", length).with("max", max));
    }
    let mut reply = vec![0; length];
    fill(&mut stream, &mut reply, false).await?;
    Ok(reply)
}

/// Fills `buffer`; `first` when no byte came before.
async fn fill(stream: &mut BoxStream, buffer: &mut [u8], first: bool) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let n = stream.read(&mut buffer[filled..]).await.map_err(broken)?;
        if n == 0 {
            return Err(match first && filled == 0 {
                true => Error::new(ErrorKind::BadReply, OP, "closed without a reply").with("empty", true),
                false => Error::new(ErrorKind::BadReply, OP, "closed in the middle of the reply"),
            });
        }
        filled += n;
    }
    Ok(())
}

fn broken(e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unreachable, OP, "the connection broke").caused_by(e)
}

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        Sent,
        io::{MemNet, Net, SeededRng, SystemClock},
    };

    /// A device that answers one request with these bytes, in two pieces, and closes.
    async fn answer(bytes: &[u8], cut: usize) -> Result<Vec<u8>> {
        let net = MemNet::new();
        let at: SocketAddr = "10.0.0.7:4433".parse().unwrap();
        let mut listener = net.listen(at).await.unwrap();
        let cx = Ctx::new(Arc::new(SystemClock::default()), Arc::new(SeededRng::new(1)), Arc::new(net));
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        let (first, second) = (first.to_vec(), second.to_vec());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = [0; 44];
            stream.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"\x28\x00\x00\x00{\"cmd\":\"get.device.info\",\"param\":\"salt\"}");
            for piece in [first, second] {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let cx = cx.deadline_in(Duration::from_secs(5));
        call_write(&cx, at, br#"{"cmd":"get.device.info","param":"salt"}"#, 64).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_is_whole_wherever_it_is_cut() {
        let reply = b"\x07\x00\x00\x00{\"a\":1}";
        for cut in 0..=reply.len() {
            assert_eq!(answer(reply, cut).await.unwrap(), b"{\"a\":1}", "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_lengths_and_early_ends_are_typed() {
        for (bytes, fact) in [
            (&b""[..], Some(("empty", "true"))),
            (b"\x00\x00\x00\x00", Some(("length", "0"))),
            (b"\xff\xff\xff\xff{}", Some(("max", "64"))),
            (b"\x41\x00\x00\x00{}", Some(("length", "65"))),
            (b"\x02\x00", None),
            (b"\x08\x00\x00\x00{\"a\":1}", None),
        ] {
            let e = answer(bytes, 3).await.unwrap_err();
            assert_eq!((e.kind(), e.sent()), (ErrorKind::BadReply, Sent::Maybe), "{bytes:?}: {e:?}");
            if let Some((key, value)) = fact {
                assert_eq!(e.fact(key), Some(value), "{bytes:?}");
            }
        }
    }
}
