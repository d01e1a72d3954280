//! The floor: a bare socket client that makes the same connections and requests as the driver and reads the same
//! bytes, without parsing them. It shares no code with the driver.

use std::{fmt::Write as _, time::Duration};

use headframe::{Error, ErrorKind, Result};
use headframe_benches::{Family, cpu, simulator::Simulators};
use md5::{Digest, Md5};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{Cost, cost};

/// The question that a Whatsminer gets on each poll.
const JOINED: &[u8] = b"{\"command\":\"summary+edevs+pools+status+get_error_code\"}";
/// The pages that an Antminer is asked for on each poll.
const PAGES: [&str; 3] = ["/cgi-bin/summary.cgi", "/cgi-bin/stats.cgi", "/cgi-bin/pools.cgi"];
const RPC_PORT: u16 = 14_028;
const WEB_PORT: u16 = 14_080;
/// From this interval on connections are not kept.
const KEEP_BELOW: Duration = Duration::from_secs(5);

fn failed(e: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "collect.floor", e.to_string())
}

/// Polls each address once per interval, evenly spread, for `window`.
#[allow(clippy::disallowed_methods, reason = "the floor stands outside Headframe's seams")]
pub async fn run(
    family: Family,
    addresses: Vec<String>,
    interval: Duration,
    window: Duration,
    simulators: &mut Simulators,
) -> Result<Cost> {
    let count = u32::try_from(addresses.len()).map_err(failed)?;
    let gap = interval / count;
    let start = Instant::now() + Duration::from_millis(200);
    let warm = start + interval + Duration::from_secs(1);
    let end = warm + window;
    let mut tasks = tokio::task::JoinSet::new();
    for (place, address) in (0..count).zip(addresses) {
        let first = start + gap * place;
        tasks.spawn(async move { client(family, address, first, interval, warm, end).await });
    }
    tokio::time::sleep_until(warm).await;
    let (requests, cpu) = (simulators.requests().await?, cpu::time());
    tokio::time::sleep_until(end).await;
    let used = cpu::time().saturating_sub(cpu);
    let asked = simulators.requests().await?.saturating_sub(requests);
    let mut polls = 0;
    while let Some(done) = tasks.join_next().await {
        polls += done.map_err(failed)??;
    }
    cost(polls, used, asked)
}

#[allow(clippy::disallowed_methods, reason = "the floor stands outside Headframe's seams")]
async fn client(
    family: Family,
    address: String,
    mut at: Instant,
    interval: Duration,
    from: Instant,
    to: Instant,
) -> Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut web = Web::new(&address, interval <= KEEP_BELOW);
    let mut polls = 0;
    while at < to {
        tokio::time::sleep_until(at).await;
        match family {
            Family::Whatsminer => joined(&address, &mut buffer).await?,
            Family::Antminer => web.poll(&mut buffer).await?,
        }
        polls += u64::from(at >= from);
        at += interval;
    }
    Ok(polls)
}

#[allow(clippy::disallowed_methods, reason = "the floor stands outside Headframe's seams")]
async fn connect(address: &str, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((address, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// One connection, one question, one reply up to its closing NUL.
async fn joined(address: &str, buffer: &mut [u8]) -> Result<()> {
    let mut stream = connect(address, RPC_PORT).await?;
    stream.write_all(JOINED).await.map_err(failed)?;
    loop {
        let n = stream.read(buffer).await.map_err(failed)?;
        if n == 0 || buffer[n - 1] == 0 {
            return Ok(());
        }
    }
}

/// A connection to the web port, and the nonce it was given.
struct Web {
    address: String,
    keep: bool,
    stream: Option<TcpStream>,
    nonce: String,
    count: u32,
}

impl Web {
    fn new(address: &str, keep: bool) -> Self {
        Self { address: address.to_owned(), keep, stream: None, nonce: String::new(), count: 0 }
    }

    async fn poll(&mut self, buffer: &mut [u8]) -> Result<()> {
        for page in PAGES {
            self.get(page, buffer).await?;
        }
        if !self.keep {
            self.stream = None;
        }
        Ok(())
    }

    async fn get(&mut self, page: &str, buffer: &mut [u8]) -> Result<()> {
        for _ in 0..2 {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => connect(&self.address, WEB_PORT).await?,
            };
            let request = self.request(page);
            stream.write_all(request.as_bytes()).await.map_err(failed)?;
            let head = read(&mut stream, buffer).await?;
            self.stream = Some(stream);
            if !head.starts_with("HTTP/1.1 401") {
                return Ok(());
            }
            let nonce = head.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
            nonce.ok_or_else(|| failed("no nonce"))?.clone_into(&mut self.nonce);
            self.count = 0;
        }
        Err(failed("the credentials were refused"))
    }

    fn request(&mut self, page: &str) -> String {
        let mut text = format!("GET {page} HTTP/1.1\r\nHost: {}:{WEB_PORT}\r\n", self.address);
        if !self.nonce.is_empty() {
            self.count += 1;
            let (nonce, nc) = (&self.nonce, self.count);
            let ha1 = hex_md5("root:antMiner Configuration:root");
            let ha2 = hex_md5(&format!("GET:{page}"));
            let response = hex_md5(&format!("{ha1}:{nonce}:{nc:08x}:0a4f113b:auth:{ha2}"));
            text += &format!(
                "Authorization: Digest username=\"root\", realm=\"antMiner Configuration\", nonce=\"{nonce}\", \
                 uri=\"{page}\", qop=auth, nc={nc:08x}, cnonce=\"0a4f113b\", response=\"{response}\"\r\n"
            );
        }
        text += "\r\n";
        text
    }
}

/// Reads head and body; gives the head.
async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<String> {
    let mut have = 0;
    loop {
        let n = stream.read(&mut buffer[have..]).await.map_err(failed)?;
        have += n;
        if let Some(head) = buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let whole = head + 4 + length.ok_or_else(|| failed("no Content-Length"))?;
            while have < whole {
                let n = stream.read(&mut buffer[have..]).await.map_err(failed)?;
                if n == 0 {
                    return Err(failed("cut body"));
                }
                have += n;
            }
            return Ok(text);
        }
        if n == 0 {
            return Err(failed("cut head"));
        }
    }
}

fn hex_md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ok = write!(hex, "{byte:02x}");
        hex
    })
}
