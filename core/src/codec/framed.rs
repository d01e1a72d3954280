//! Messages behind their length: four bytes, least significant first, then so many bytes, in both directions. One
//! request and one reply per connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::located;
use crate::{
    Error, ErrorKind, Result,
    io::Ctx,
    planted::{Bug, planted},
};

/// The longest reply that is taken; the longest seen are 2 KiB.
pub const MAX_REPLY: usize = 256 * 1024;

const OP: &str = "framed.call";
const HEADER: usize = 4;
/// Room that is made for a reply before any of it came, whatever its length claims.
const FIRST_READ: usize = 8 * 1024;

/// How much of a request has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    Part,
    Whole,
}

/// A write without a reply that could be read.
#[derive(Debug)]
pub struct Lost {
    /// Why; it says whether the device may have received the write.
    pub error: Error,
    /// Whether the whole request had left.
    pub whole: bool,
}

impl Lost {
    /// Whether to send it again: never, because the device may have received it.
    pub fn again(&self) -> bool {
        self.error.kind() == ErrorKind::Timeout && planted(Bug::RetryOnTimeout)
    }
}

/// The frame of `message`.
pub fn frame(message: &str) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&length[..], message.as_bytes()].concat()
}

/// The length that a header tells.
///
/// # Errors
/// [`BadReply`](ErrorKind::BadReply) for a frame without contents or above [`MAX_REPLY`] (`max=…`).
pub fn length(header: [u8; HEADER]) -> Result<usize> {
    let told = u32::from_le_bytes(header);
    match usize::try_from(told) {
        Ok(0) => Err(Error::new(ErrorKind::BadReply, OP, "the reply is a frame without contents")),
        Ok(n) if n <= MAX_REPLY || planted(Bug::UncheckedLength) => Ok(n),
        _ => Err(Error::new(ErrorKind::BadReply, OP, "the reply's length is above the bound")
            .with("max", MAX_REPLY)
            .with("length", told)),
    }
}

/// Sends the frame `request` over a connection of its own and puts the reply's contents into `reply`.
///
/// For reads; [`write()`] is for what may change the device.
///
/// # Errors
/// [`Unreachable`](ErrorKind::Unreachable) without a connection (`refused=true` when nothing listens),
/// [`Timeout`](ErrorKind::Timeout) past the deadline, and [`BadReply`](ErrorKind::BadReply) for a reply that is cut,
/// above the bound (`max=…`) or without a byte (`empty=true`). All carry `address`.
pub async fn read(cx: &Ctx, at: SocketAddr, request: &[u8], reply: &mut Vec<u8>) -> Result<()> {
    let mut progress = Progress::Nothing;
    let talk = talk(cx, at, request, reply, &mut progress);
    cx.within(OP, talk).await.map_err(|e| located(e, at))
}

/// [`read`] for a write.
///
/// # Errors
/// As [`read`], marked [`Sent::Maybe`](crate::Sent::Maybe) from the first byte on.
pub async fn write(cx: &Ctx, at: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Lost> {
    let mut progress = Progress::Nothing;
    let mut reply = Vec::new();
    let out = cx.within(OP, talk(cx, at, request, &mut reply, &mut progress)).await;
    match out {
        Ok(()) => Ok(reply),
        Err(e) => {
            let e = located(e, at);
            let nothing = progress == Progress::Nothing || planted(Bug::NothingSent);
            let error = if nothing { e } else { e.maybe_sent() };
            Err(Lost { error, whole: progress == Progress::Whole })
        }
    }
}

async fn talk(
    cx: &Ctx,
    at: SocketAddr,
    request: &[u8],
    reply: &mut Vec<u8>,
    progress: &mut Progress,
) -> Result<()> {
    let broke =
        |e: std::io::Error| Error::new(ErrorKind::Unreachable, OP, "the connection broke").caused_by(e);
    let mut stream = cx.net.tcp(at).await?;
    *progress = Progress::Part;
    stream.write_all(request).await.map_err(broke)?;
    stream.flush().await.map_err(broke)?;
    *progress = Progress::Whole;
    let mut header = [0; HEADER];
    let mut got = 0;
    while got < HEADER {
        match stream.read(&mut header[got..]).await.map_err(broke)? {
            0 if got == 0 => {
                let e = Error::new(ErrorKind::BadReply, OP, "closed without a reply");
                return Err(e.with("empty", true));
            }
            0 => return Err(cut(got, HEADER)),
            n => got += n,
        }
    }
    let length = length(header)?;
    reply.clear();
    // The reader wants some room behind what it reads.
    reply.reserve(length.min(FIRST_READ) + 64);
    let bound = u64::try_from(length).unwrap_or(u64::MAX);
    let n = stream.take(bound).read_to_end(reply).await.map_err(broke)?;
    if n < length { Err(cut(n, length)) } else { Ok(()) }
}

fn cut(got: usize, of: usize) -> Error {
    Error::new(ErrorKind::BadReply, OP, "the reply is cut").with("got", got).with("of", of)
}

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests {
    use std::{sync::Arc, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        Sent,
        io::{MemNet, Net},
        testkit,
    };

    const AT: &str = "10.9.0.7:4433";

    /// A device that reads a frame, sends `chunks`, and closes, or stays silent for ever.
    async fn device(net: &MemNet, request: Vec<u8>, chunks: Vec<Vec<u8>>, closes: bool) -> SocketAddr {
        let at: SocketAddr = AT.parse().unwrap();
        let mut listener = net.listen(at).await.unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut got = vec![0; request.len()];
                stream.read_exact(&mut got).await.unwrap();
                assert_eq!(got, request);
                for chunk in &chunks {
                    let _gone = stream.write_all(chunk).await;
                    tokio::task::yield_now().await;
                }
                open.extend((!closes).then_some(stream));
            }
        });
        at
    }

    /// What a request gets whose reply comes in `chunks`.
    fn answer(chunks: Vec<Vec<u8>>, closes: bool) -> (Result<Vec<u8>>, Result<Vec<u8>, Lost>) {
        let out = Arc::new(std::sync::Mutex::new(None));
        let slot = out.clone();
        testkit::run(|cx, net| async move {
            let request = frame("{}");
            let at = device(&net, request.clone(), chunks, closes).await;
            let mut reply = b"old".to_vec();
            let limit = Duration::from_secs(5);
            let got = read(&cx.deadline_in(limit), at, &request, &mut reply).await.map(|()| reply);
            *slot.lock().unwrap() = Some((got, write(&cx.deadline_in(limit), at, &request).await));
        });
        let got = out.lock().unwrap().take();
        got.unwrap()
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        let max = u32::try_from(MAX_REPLY).unwrap();
        assert_eq!(length(max.to_le_bytes()).unwrap(), MAX_REPLY);
        // −1 is the largest length there is, and "{"co" is what a device of another kind may send.
        for header in [(max + 1).to_le_bytes(), (-1_i32).to_le_bytes(), i32::MIN.to_le_bytes(), *b"{\"co"] {
            let e = length(header).unwrap_err();
            assert_eq!((e.kind(), e.fact("max")), (ErrorKind::BadReply, Some("262144")));
        }
        assert_eq!(length([0; 4]).unwrap_err().kind(), ErrorKind::BadReply);
        let (read, write) = answer(vec![vec![0xff; 64]], false);
        assert_eq!(read.unwrap_err().fact("address"), Some(AT));
        assert_eq!(write.unwrap_err().error.sent(), Sent::Maybe);
    }

    #[test]
    fn silence_a_cut_and_slowness_are_told_apart() {
        let whole = frame(r#"{"code":0}"#);
        let (read, write) = answer(vec![], true);
        assert_eq!(read.unwrap_err().fact("empty"), Some("true"));
        let lost = write.unwrap_err();
        assert_eq!((lost.whole, lost.error.sent()), (true, Sent::Maybe));
        for n in 1..whole.len() {
            let (read, write) = answer(vec![whole[..n].to_vec()], true);
            let e = read.unwrap_err();
            assert_eq!((e.kind(), e.fact("empty"), e.sent()), (ErrorKind::BadReply, None, Sent::No), "{n}");
            assert_eq!(write.unwrap_err().error.sent(), Sent::Maybe, "{n}");
            let (read, _) = answer(vec![whole[..n].to_vec()], false);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Timeout, "{n}");
        }
    }

    #[test]
    fn without_a_connection_nothing_was_sent() {
        testkit::run(|cx, _| async move {
            let lost = write(&cx, AT.parse().unwrap(), b"x").await.unwrap_err();
            let e = lost.error;
            assert_eq!((e.kind(), e.sent(), lost.whole), (ErrorKind::Unreachable, Sent::No, false));
            assert_eq!(e.fact("refused"), Some("true"));
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_reply_is_the_same_however_it_is_split(
            json in "[ -~é]{1,200}",
            cuts in prop::collection::vec(0usize..220, 0..8),
            behind in prop::collection::vec(any::<u8>(), 0..9),
            closes: bool,
        ) {
            let mut bytes = frame(&json);
            bytes.extend(behind);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|at| *at < bytes.len()).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for at in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(bytes[from..at].to_vec());
                from = at;
            }
            let (read, write) = answer(chunks, closes);
            prop_assert_eq!(read.unwrap(), json.as_bytes());
            prop_assert_eq!(write.unwrap(), json.as_bytes());
        }

        #[test]
        fn no_bytes_make_it_panic_or_wait(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let whole = bytes.len() >= 4 && {
                let told = usize::try_from(u32::from_le_bytes(bytes[..4].try_into().unwrap())).unwrap();
                (1..=bytes.len() - 4).contains(&told)
            };
            let (read, _) = answer(vec![bytes], true);
            prop_assert_eq!(read.is_ok(), whole);
        }
    }
}
