//! A client that shares nothing with the drivers and nothing with the device.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use headframe_core::{
    Result,
    io::{BoxStream, Ctx, MemNet, SeededRng, SystemClock, Timestamp},
};
use headframe_sim::{AntminerOptions, Device, Fleet, FleetBuilder, Pool, Role};
use md5::{Digest, Md5};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Monday 24 November 2025, 16:00 UTC.
pub const START: i64 = 1_764_000_000;

pub fn context() -> Ctx {
    let clock = SystemClock::starting_at(Timestamp(START * 1000));
    Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()))
}

pub async fn wait(cx: &Ctx, seconds: u64) {
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(seconds)).await;
}

/// One device in its own network in memory.
pub struct Site {
    pub cx: Ctx,
    pub fleet: Fleet,
}

impl Site {
    pub async fn new(options: AntminerOptions) -> Self {
        let cx = context();
        let pools = vec![
            Pool::new("stratum+tcp://pool.example:3333", "site1.am0001"),
            Pool::new("stratum+tcp://backup.example:3333", "site1.am0001"),
            Pool::default(),
        ];
        let fleet = FleetBuilder::new().seed(7).pools(pools).antminer(options).start(&cx).await.unwrap();
        Self { cx, fleet }
    }

    pub fn device(&self) -> &Device {
        &self.fleet.devices()[0]
    }

    pub fn client(&self) -> Client {
        self.client_with("root")
    }

    pub fn client_with(&self, password: &str) -> Client {
        Client::new(&self.cx, self.device().address(Role::Web).unwrap(), password)
    }

    /// Sends bytes to a port and reads until the device closes.
    pub async fn raw(&self, role: Role, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.cx.net.tcp(self.device().address(role).unwrap()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut out = Vec::new();
        stream.read_to_end(&mut out).await.unwrap();
        out
    }

    pub fn counted(&self, name: &str) -> u64 {
        self.device().counts().get(name).copied().unwrap_or(0)
    }

    pub fn executed(&self, name: &str) -> u64 {
        self.device().executed().get(name).copied().unwrap_or(0)
    }
}

/// One HTTP reply.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim().to_owned())
        })
    }

    pub fn nonce(&self) -> String {
        let challenge = self.header("www-authenticate").unwrap();
        challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

/// Reads one reply; `None` when the connection ended before or inside it.
pub async fn read_reply(stream: &mut BoxStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut reply = Reply { status, head, body: bytes.split_off(head_end) };
    if let Some(length) = reply.header("content-length") {
        let length: usize = length.parse().ok()?;
        while reply.body.len() < length {
            if stream.read_buf(&mut reply.body).await.ok()? == 0 {
                return None;
            }
        }
    } else {
        while !reply.body.ends_with(b"\r\n0\r\n\r\n") {
            if stream.read_buf(&mut reply.body).await.ok()? == 0 {
                return None;
            }
        }
        reply.body = joined_chunks(&reply.body)?;
    }
    Some(reply)
}

fn joined_chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let at = bytes.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(bytes.get(at + 2..at + 2 + size)?);
        bytes = &bytes[at + 4 + size..];
    }
}

pub fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// The value of `Authorization` for the account `root`.
pub fn authorization(password: &str, method: &str, uri: &str, nonce: &str, nc: u32) -> String {
    let realm = "antMiner Configuration";
    let ha1 = md5_hex(&format!("root:{realm}:{password}"));
    let ha2 = md5_hex(&format!("{method}:{uri}"));
    let response = md5_hex(&format!("{ha1}:{nonce}:{nc:08x}:0a4f113b:auth:{ha2}"));
    format!(
        "Digest username=\"root\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth, \
         nc={nc:08x}, cnonce=\"0a4f113b\", response=\"{response}\""
    )
}

/// The bytes of one request.
pub fn request(method: &str, uri: &str, authorization: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {uri} HTTP/1.1\r\nHost: miner\r\n");
    if let Some(value) = authorization {
        out.push_str(&format!("Authorization: {value}\r\n"));
    }
    if method == "POST" {
        out.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// A client with a connection that lives as long as the device lets it, and a nonce that it reuses.
pub struct Client {
    cx: Ctx,
    at: SocketAddr,
    password: String,
    stream: Option<BoxStream>,
    pub nonce: Option<String>,
    pub nc: u32,
}

impl Client {
    pub fn new(cx: &Ctx, at: SocketAddr, password: &str) -> Self {
        Self { cx: cx.clone(), at, password: password.to_owned(), stream: None, nonce: None, nc: 0 }
    }

    pub fn moved(mut self, ip: IpAddr) -> Self {
        self.at.set_ip(ip);
        self.stream = None;
        self
    }

    /// Forgets the connection but not the nonce.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    /// Sends bytes and reads one reply; on a connection that the device closed, once more on a new one.
    pub async fn exchange(&mut self, bytes: &[u8]) -> Result<Option<Reply>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.cx.net.tcp(self.at).await?,
        };
        if stream.write_all(bytes).await.is_err() {
            return Ok(None);
        }
        let reply = read_reply(&mut stream).await;
        let closes = |r: &Reply| r.header("connection").as_deref() == Some("close");
        if reply.as_ref().is_some_and(|r| !closes(r)) {
            self.stream = Some(stream);
        }
        Ok(reply)
    }

    /// One request with credentials; fetches a nonce first when it has none. Never repeats a refused one.
    pub async fn send(&mut self, method: &str, uri: &str, body: &[u8]) -> Result<Option<Reply>> {
        if self.nonce.is_none() {
            let Some(challenge) = self.exchange(&request(method, uri, None, body)).await? else {
                return Ok(None);
            };
            assert_eq!(challenge.status, 401);
            self.nonce = Some(challenge.nonce());
            self.nc = 0;
        }
        self.nc += 1;
        let nonce = self.nonce.clone().unwrap_or_default();
        let header = authorization(&self.password, method, uri, &nonce, self.nc);
        self.exchange(&request(method, uri, Some(&header), body)).await
    }

    pub async fn get(&mut self, cgi: &str) -> Reply {
        self.send("GET", &format!("/cgi-bin/{cgi}.cgi"), b"").await.unwrap().unwrap()
    }

    /// Sends a firmware file as the browser does; the nonce must be there.
    pub async fn upload(&mut self, file: &[u8]) -> Value {
        let uri = "/cgi-bin/upgrade.cgi";
        let part = b"--b7\r\nContent-Disposition: form-data; name=\"firmware\"; filename=\"a.bmu\"\r\n\r\n";
        let body = [&part[..], file, b"\r\n--b7--\r\n"].concat();
        self.nc += 1;
        let nonce = self.nonce.clone().unwrap_or_default();
        let header = authorization(&self.password, "POST", uri, &nonce, self.nc);
        let request = request("POST", uri, Some(&header), &body);
        let json = b"application/json";
        let at = request.windows(json.len()).position(|w| w == json).unwrap();
        let kind = b"multipart/form-data; boundary=b7";
        let bytes = [&request[..at], kind, &request[at + json.len()..]].concat();
        self.exchange(&bytes).await.unwrap().unwrap().json()
    }

    pub async fn post(&mut self, cgi: &str, body: &Value) -> Option<Reply> {
        let uri = format!("/cgi-bin/{cgi}.cgi");
        self.send("POST", &uri, body.to_string().as_bytes()).await.unwrap()
    }
}
