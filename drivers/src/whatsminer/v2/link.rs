//! One connection of a write: what is sent over it, how far that came, and the replies.

use std::{net::SocketAddr, time::Duration};

use headframe_core::{
    Error, ErrorKind, Result,
    codec::cgminer::ReplyEnd,
    io::{BoxStream, Ctx},
    planted::{Bug, planted},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const OP: &str = "whatsminer.write";
/// The longest reply to a write; real ones are below 300 bytes.
const MAX_REPLY: usize = 64 * 1024;
/// What a proxy in front of a dead miner process answers inside a connection that it accepted.
const REFUSED: &[u8] = b"Socket connect failed";
/// Bytes of a long body that are handed over at a time.
const PIECE: usize = 16 * 1024;

/// How far something to send has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// No byte has left.
    Nothing,
    /// Some may have left.
    Part,
    /// All have left.
    All,
}

/// What came of a packet.
#[derive(Debug)]
pub(super) enum Answer {
    /// A reply, whole or cut by the end of the connection.
    Reply(Vec<u8>),
    /// The whole packet was taken, and no byte came back before the connection or the time ended.
    Silent(Error),
    /// Anything else.
    Failed(Error),
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: BoxStream,
    at: SocketAddr,
    buffer: Vec<u8>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// [`Unreachable`](ErrorKind::Unreachable) or [`Timeout`](ErrorKind::Timeout); nothing was sent.
    pub async fn open(cx: &Ctx, at: SocketAddr) -> Result<Self> {
        let stream = cx.within(OP, cx.net.tcp(at)).await.map_err(|e| e.with("address", at))?;
        Ok(Self { stream, at, buffer: Vec::new() })
    }

    /// Sends one packet and waits for its reply, at most for `wait`.
    pub async fn ask(&mut self, cx: &Ctx, packet: &[u8], wait: Duration) -> Answer {
        let cx = cx.deadline_in(wait);
        let mut progress = Progress::Nothing;
        let work = async {
            self.put(&mut progress, packet).await?;
            self.take().await
        };
        match cx.within(OP, work).await {
            Ok(reply) if reply.starts_with(REFUSED) => {
                let text = "the miner process does not listen: nothing was passed on to it";
                Answer::Failed(Error::new(ErrorKind::Unreachable, OP, text).with("address", self.at))
            }
            Ok(reply) => Answer::Reply(reply),
            Err(e) => {
                let silent = progress == Progress::All && self.buffer.is_empty();
                let e = after(e, progress).with("address", self.at);
                if silent { Answer::Silent(e) } else { Answer::Failed(e) }
            }
        }
    }

    /// Sends a long body in pieces.
    ///
    /// # Errors
    /// As the connection's; how far it came stands in `progress`.
    pub async fn stream(&mut self, cx: &Ctx, parts: &[&[u8]], progress: &mut Progress) -> Result<()> {
        let work = async {
            for piece in parts.iter().flat_map(|part| part.chunks(PIECE)) {
                self.put(progress, piece).await?;
                *progress = Progress::Part;
            }
            *progress = Progress::All;
            Ok(())
        };
        cx.within(OP, work).await.map_err(|e| e.with("address", self.at))
    }

    /// Waits for a reply to what was sent before.
    ///
    /// # Errors
    /// [`BadReply`](ErrorKind::BadReply) for none, [`Timeout`](ErrorKind::Timeout),
    /// [`Unreachable`](ErrorKind::Unreachable) for a connection that broke.
    pub async fn wait(&mut self, cx: &Ctx, wait: Duration) -> Result<Vec<u8>> {
        cx.deadline_in(wait).within(OP, self.take()).await.map_err(|e| e.with("address", self.at))
    }

    async fn put(&mut self, progress: &mut Progress, bytes: &[u8]) -> Result<()> {
        *progress = (*progress).max(Progress::Part);
        self.stream.write_all(bytes).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        *progress = Progress::All;
        Ok(())
    }

    /// The next reply, without the NUL that ends it.
    async fn take(&mut self) -> Result<Vec<u8>> {
        let above = || {
            let e = Error::new(ErrorKind::BadReply, OP, "the reply is above the bound");
            e.with("max", MAX_REPLY)
        };
        let (mut end, mut fed, mut skipped) = (ReplyEnd::new(), 0, 0);
        loop {
            if fed == 0 {
                // What ended the reply before.
                let rest = self.buffer.iter().position(|b| *b != 0 && !b.is_ascii_whitespace());
                let rest = rest.unwrap_or(self.buffer.len());
                skipped += rest;
                if skipped > MAX_REPLY {
                    return Err(above());
                }
                self.buffer.drain(..rest);
            }
            if let Some(more) = self.buffer.get(fed..).filter(|more| !more.is_empty())
                && let Some(n) = end.feed(more)
            {
                let rest = self.buffer.split_off(fed + n);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            fed = self.buffer.len();
            if fed > MAX_REPLY && !planted(Bug::ReadToEnd) {
                return Err(above());
            }
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? > 0 {
                continue;
            }
            if fed > 0 {
                return Ok(std::mem::take(&mut self.buffer));
            }
            return Err(Error::new(ErrorKind::BadReply, OP, "closed without a reply").with("empty", true));
        }
    }
}

/// Marks an error with what it says of the write.
pub(super) fn after(e: Error, progress: Progress) -> Error {
    if progress == Progress::Nothing || planted(Bug::NothingSent) { e } else { e.maybe_sent() }
}

fn broken(e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unreachable, OP, "the connection broke").caused_by(e)
}
