use std::{net::SocketAddr, sync::Arc};

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use headframe_core::io::{BoxStream, Ctx, MemNet, SeededRng, SystemClock, Timestamp};
use headframe_sim::{Device, Fleet, FleetBuilder, Role, WhatsminerOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const BORN: i64 = 1_764_000_000_000;

/// One device in memory with a client beside it.
pub struct Bench {
    pub cx: Ctx,
    pub device: Device,
    pub at: SocketAddr,
    _fleet: Fleet,
}

pub fn memory() -> Ctx {
    let clock = SystemClock::starting_at(Timestamp(BORN));
    Ctx::new(Arc::new(clock), Arc::new(SeededRng::new(1)), Arc::new(MemNet::new()))
}

impl Bench {
    pub async fn new(options: WhatsminerOptions) -> Self {
        Self::over(memory(), FleetBuilder::new().seed(11).whatsminer(options)).await
    }

    pub async fn ordinary() -> Self {
        Self::new(WhatsminerOptions::default()).await
    }

    pub async fn over(cx: Ctx, builder: FleetBuilder) -> Self {
        let fleet = builder.start(&cx).await.unwrap();
        let device = fleet.devices()[0].clone();
        let at = device.address(Role::Rpc).unwrap();
        Self { cx, device, at, _fleet: fleet }
    }

    pub async fn connect(&self) -> BoxStream {
        self.cx.net.tcp(self.at).await.unwrap()
    }

    /// Sends bytes and reads until the device closes.
    pub async fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut all = Vec::new();
        // A device that goes away in the middle may reset the connection.
        let _ended = stream.read_to_end(&mut all).await;
        all
    }

    pub async fn text(&self, request: &str) -> String {
        let bytes = self.raw(request.as_bytes()).await;
        String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_owned()
    }

    pub async fn json(&self, request: &Value) -> Value {
        let text = self.text(&request.to_string()).await;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// The answer to one plain command.
    pub async fn read(&self, command: &str) -> Value {
        self.json(&json!({ "cmd": command })).await
    }

    pub async fn summary(&self) -> Value {
        self.read("summary").await["SUMMARY"][0].clone()
    }

    pub async fn status(&self) -> Value {
        self.read("status").await["Msg"].clone()
    }

    pub async fn login(&self, password: &str) -> Session {
        let reply = self.read("get_token").await;
        Session::new(&reply["Msg"], password)
    }

    /// Sends an encrypted command; the decrypted answer, or `None` when the device closed without a byte.
    pub async fn write(&self, session: &Session, command: Value) -> Option<Value> {
        let packet = session.packet(command, Fill::Zero);
        let text = self.text(&packet).await;
        if text.is_empty() { None } else { Some(session.answer(&text)) }
    }

    /// Logs in with `admin` and sends one encrypted command.
    pub async fn order(&self, command: Value) -> Option<Value> {
        let session = self.login("admin").await;
        self.write(&session, command).await
    }

    pub async fn wait(&self, seconds: u64) {
        let clock = &self.cx.clock;
        clock.sleep_until(clock.mono() + std::time::Duration::from_secs(seconds)).await;
    }
}

#[derive(Clone, Copy)]
pub enum Fill {
    Zero,
    Pkcs7,
}

/// What a client derives from a `get_token` answer.
pub struct Session {
    pub sign: String,
    key: Aes256,
}

fn last_field(crypted: Vec<u8>) -> String {
    String::from_utf8(crypted).unwrap().rsplit('$').next().unwrap().to_owned()
}

impl Session {
    pub fn new(message: &Value, password: &str) -> Self {
        let part = |name: &str| message[name].as_str().unwrap().as_bytes().to_vec();
        let key = last_field(md5crypt::md5crypt(password.as_bytes(), &part("salt")));
        let signed = [key.as_bytes(), &part("time")].concat();
        let sign = last_field(md5crypt::md5crypt(&signed, &part("newsalt")));
        Self { sign, key: Aes256::new(&Sha256::digest(key.as_bytes())) }
    }

    /// The packet for a command, whose token is added when it has none.
    pub fn packet(&self, mut command: Value, fill: Fill) -> String {
        if command.get("token").is_none() {
            command["token"] = json!(self.sign);
        }
        let mut bytes = command.to_string().into_bytes();
        let missing = 16 - bytes.len() % 16;
        match fill {
            Fill::Zero => bytes.resize(bytes.len().next_multiple_of(16), 0),
            Fill::Pkcs7 => bytes.resize(bytes.len() + missing, missing as u8),
        }
        for block in bytes.chunks_exact_mut(16) {
            self.key.encrypt_block(block.try_into().unwrap());
        }
        json!({ "enc": 1, "data": STANDARD.encode(bytes) }).to_string()
    }

    /// Reads an answer to an encrypted command, whatever form it has.
    pub fn answer(&self, text: &str) -> Value {
        let mut reply: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        if let Some(inner) = reply.as_str() {
            reply = serde_json::from_str(inner).unwrap();
        }
        match reply["enc"].as_str() {
            Some(data) => self.decrypt(data).0,
            None => reply,
        }
    }

    /// The message in a packet and the bytes after its last brace.
    pub fn decrypt(&self, data: &str) -> (Value, Vec<u8>) {
        let mut bytes = STANDARD.decode(data).unwrap();
        for block in bytes.chunks_exact_mut(16) {
            self.key.decrypt_block(block.try_into().unwrap());
        }
        let end = bytes.iter().rposition(|b| *b == b'}').unwrap() + 1;
        (serde_json::from_slice(&bytes[..end]).unwrap(), bytes[end..].to_vec())
    }
}

pub fn code(reply: &Value) -> i64 {
    reply["Code"].as_i64().unwrap_or_else(|| panic!("no Code: {reply}"))
}

/// A member that must be a number.
pub fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"))
}

/// Whether two numbers differ by at most this fraction.
pub fn near(a: f64, b: f64, fraction: f64) -> bool {
    (a - b).abs() <= fraction * b.abs().max(1e-9)
}

/// One message that ends in a NUL.
pub async fn until_nul(stream: &mut BoxStream) -> String {
    let mut text = Vec::new();
    loop {
        match stream.read_u8().await.unwrap() {
            0 => return String::from_utf8(text).unwrap(),
            byte => text.push(byte),
        }
    }
}
