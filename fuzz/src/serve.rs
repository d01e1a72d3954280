//! A device on a network in memory that answers with the bytes of a case.
//!
//! A case is two bytes of choices and then replies with `0x1e` between them. A reply whose first line is a word is
//! for requests that hold this word; all others are given in turn.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aes::{
    Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use headframe_core::io::{BoxStream, Ctx, MemNet, Net, SeededRng, SystemClock, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Between the replies of a case.
pub const BETWEEN: u8 = 0x1e;
/// The longest input of a case; what is behind is left away.
pub const LONGEST: usize = 512 * 1024;
/// How much a device sends that does not stop: more than any reply may have.
const FLOOD: usize = 2 * 1024 * 1024;
/// In how many pieces a reply comes at most.
const PIECES: usize = 4_096;
/// The longest request that is waited for.
const REQUEST: usize = 256 * 1024;
/// The key of Whatsminer packets for the password [`PASSWORD`](crate::device::PASSWORD) and the salt `abcdefgh`.
const KEY: [u8; 32] = [
    0xeb, 0x11, 0x2e, 0x23, 0x14, 0x65, 0x06, 0x81, 0xee, 0xcf, 0x17, 0x92, 0x9b, 0x38, 0x52, 0x90, 0x58,
    0x1a, 0xe0, 0x76, 0xfb, 0x93, 0x29, 0x76, 0x1e, 0xc1, 0x2c, 0x96, 0xb0, 0xd6, 0x44, 0x1e,
];

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// JSON; `enc:` begins a reply that is sent as an encrypted packet.
    Rpc,
    /// JSON behind its length; `raw:` begins a reply that is sent as it is.
    Framed,
    /// HTTP; what does not begin with `HTTP/` is the body of a reply with status 200.
    Http,
}

/// How replies go out, and the replies.
#[derive(Debug)]
pub struct Script {
    ways: u8,
    replies: Mutex<Replies>,
}

#[derive(Debug, Default)]
struct Replies {
    keyed: Vec<Keyed>,
    others: Vec<Vec<u8>>,
    next: usize,
}

#[derive(Debug)]
struct Keyed {
    word: Vec<u8>,
    bodies: Vec<Vec<u8>>,
    next: usize,
}

impl Script {
    /// Reads a case; gives its second byte too, which chooses what is asked of the device.
    pub fn read(data: &[u8]) -> Option<(Arc<Self>, u8)> {
        let data = data.get(..LONGEST).unwrap_or(data);
        let (&[ways, choice], rest) = data.split_first_chunk()?;
        let mut replies = Replies::default();
        for chunk in rest.split(|byte| *byte == BETWEEN) {
            replies.add(chunk);
        }
        Some((Arc::new(Self { ways, replies: Mutex::new(replies) }), choice))
    }

    fn reply(&self, request: &[u8]) -> Vec<u8> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).of(request)
    }

    /// How many bytes leave at a time.
    fn piece(&self) -> usize {
        [usize::MAX, 1, 7, 100][usize::from(self.ways & 3)]
    }

    fn stays_open(&self) -> bool {
        self.ways & 4 != 0
    }

    fn floods(&self) -> bool {
        self.ways & 8 != 0
    }

    /// Whether a device with several ports has one closed.
    pub fn hides_a_port(&self) -> bool {
        self.ways & 0x40 != 0
    }

    /// Answers at `at` until the runtime ends.
    pub async fn serve(self: &Arc<Self>, net: &MemNet, at: SocketAddr, speaks: Speaks) {
        let Ok(mut listener) = net.listen(at).await else { return };
        let script = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&script).answer(stream, speaks));
            }
        });
    }

    async fn answer(self: Arc<Self>, mut stream: BoxStream, speaks: Speaks) {
        let mut held = Vec::new();
        loop {
            let Some(request) = request(&mut stream, &mut held, speaks).await else { return };
            let reply = dressed(self.reply(&request), speaks);
            // Long replies would take long byte by byte, and show nothing more.
            let piece = self.piece().max(reply.len() / PIECES);
            for piece in reply.chunks(piece) {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            if self.floods() {
                let byte = reply.last().copied().unwrap_or(b' ');
                let _gone = stream.write_all(&vec![byte; FLOOD]).await;
                return;
            }
            if speaks == Speaks::Http && !self.stays_open() {
                continue;
            }
            if !self.stays_open() {
                return;
            }
            std::future::pending::<()>().await;
        }
    }
}

impl Replies {
    fn add(&mut self, chunk: &[u8]) {
        let line = chunk.iter().position(|byte| *byte == b'\n').map(|end| chunk.split_at(end));
        match line {
            Some((word, body)) if !word.is_empty() && word.iter().all(is_of_a_word) => {
                let body = body.get(1..).unwrap_or_default().to_vec();
                match self.keyed.iter_mut().find(|keyed| keyed.word == word) {
                    Some(keyed) => keyed.bodies.push(body),
                    None => self.keyed.push(Keyed { word: word.to_vec(), bodies: vec![body], next: 0 }),
                }
            }
            _ => self.others.push(chunk.to_vec()),
        }
    }

    /// The reply to a request; of several for one word the last stays.
    fn of(&mut self, request: &[u8]) -> Vec<u8> {
        let holds = |word: &[u8]| request.windows(word.len()).any(|part| part == word);
        if let Some(keyed) = self.keyed.iter_mut().find(|keyed| holds(&keyed.word)) {
            let body = keyed.bodies.get(keyed.next).cloned().unwrap_or_default();
            keyed.next = (keyed.next + 1).min(keyed.bodies.len().saturating_sub(1));
            return body;
        }
        let body = self.others.get(self.next).cloned().unwrap_or_default();
        self.next = (self.next + 1) % self.others.len().max(1);
        body
    }
}

fn is_of_a_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-' | b'/')
}

/// The next request on a connection.
async fn request(stream: &mut BoxStream, held: &mut Vec<u8>, speaks: Speaks) -> Option<Vec<u8>> {
    held.clear();
    loop {
        if stream.read_buf(held).await.unwrap_or(0) == 0 || held.len() > REQUEST {
            return None;
        }
        let whole = match speaks {
            Speaks::Rpc => true,
            Speaks::Framed => held.first_chunk().is_some_and(|head| {
                usize::try_from(u32::from_le_bytes(*head)).is_ok_and(|length| held.len() >= 4 + length)
            }),
            Speaks::Http => {
                let text = String::from_utf8_lossy(held);
                text.split_once("\r\n\r\n").is_some_and(|(head, body)| body.len() >= body_of(head))
            }
        };
        if whole {
            return Some(std::mem::take(held));
        }
    }
}

fn body_of(head: &str) -> usize {
    let head = head.to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0)
}

fn dressed(reply: Vec<u8>, speaks: Speaks) -> Vec<u8> {
    match speaks {
        Speaks::Rpc => match reply.strip_prefix(b"enc:") {
            Some(plain) => sealed(plain),
            None => reply,
        },
        Speaks::Framed => match reply.strip_prefix(b"raw:") {
            Some(raw) => raw.to_vec(),
            None => [&u32::try_from(reply.len()).unwrap_or(u32::MAX).to_le_bytes()[..], &reply].concat(),
        },
        Speaks::Http if reply.starts_with(b"HTTP/") => reply,
        Speaks::Http => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", reply.len());
            [head.as_bytes(), &reply].concat()
        }
    }
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    let cipher = Aes256::new(&KEY.into());
    for chunk in bytes.chunks_exact_mut(16) {
        if let Ok(block) = chunk.try_into() {
            cipher.encrypt_block(block);
        }
    }
    format!("{{\"enc\":\"{}\"}}", STANDARD.encode(bytes)).into_bytes()
}

/// Runs a case on a network in memory; time is simulated, so that waiting costs nothing.
pub fn run<F: Future<Output = ()>>(case: impl FnOnce(Ctx, MemNet) -> F) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // Nobody can do anything about a system without a timer.
    let Ok(runtime) = builder.enable_time().start_paused(true).build() else { return };
    runtime.block_on(async {
        let net = MemNet::new();
        let clock = SystemClock::starting_at(Timestamp(1_764_000_000_000));
        let cx = Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(7)), Arc::new(net.clone()));
        case(cx, net).await;
    });
}

/// Lets simulated time pass.
pub async fn pass(cx: &Ctx, time: Duration) {
    cx.clock.sleep_until(cx.clock.mono() + time).await;
}
