use std::net::SocketAddr;

use aes::{
    Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use headframe_core::io::BoxStream;
use headframe_sim::{FleetBuilder, Role, V3Options, WhatsminerOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Bench, memory};

/// One device with API v3 and a client beside it.
pub struct Rig {
    pub bench: Bench,
    pub at: SocketAddr,
}

/// The ordinary device, but for these options.
pub fn with(v3: V3Options) -> WhatsminerOptions {
    WhatsminerOptions { v3, ..WhatsminerOptions::v3() }
}

pub fn code(reply: &Value) -> i64 {
    reply["code"].as_i64().unwrap_or_else(|| panic!("no code: {reply}"))
}

pub fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes()[..], body].concat()
}

/// What a signature is made of.
pub struct Key {
    pub password: String,
    pub salt: String,
    pub ts: i64,
}

impl Key {
    fn hash(&self, cmd: &str) -> [u8; 32] {
        Sha256::digest([cmd, &self.password, &self.salt, &self.ts.to_string()].concat()).into()
    }

    pub fn signed(&self, cmd: &str, param: Value) -> Value {
        let token = STANDARD.encode(self.hash(cmd))[..8].to_owned();
        json!({ "cmd": cmd, "param": param, "ts": self.ts, "account": "super", "token": token })
    }

    /// `set.miner.pools` with its list encrypted.
    pub fn pools(&self, list: &Value) -> Value {
        let cmd = "set.miner.pools";
        let cipher = Aes256::new(&self.hash(cmd).into());
        let mut bytes = list.to_string().into_bytes();
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        for block in bytes.chunks_exact_mut(16) {
            cipher.encrypt_block(block.try_into().unwrap());
        }
        self.signed(cmd, json!(STANDARD.encode(bytes)))
    }
}

/// One frame; `None` when the device closes without a byte.
pub async fn next_frame(stream: &mut BoxStream) -> Option<Value> {
    let mut head = [0; 4];
    let first = stream.read(&mut head[..1]).await.unwrap_or(0);
    if first == 0 {
        return None;
    }
    stream.read_exact(&mut head[1..]).await.unwrap();
    let mut body = vec![0; u32::from_le_bytes(head) as usize];
    stream.read_exact(&mut body).await.unwrap();
    Some(serde_json::from_slice(&body).unwrap())
}

impl Rig {
    pub async fn new(options: WhatsminerOptions) -> Self {
        let bench = Bench::over(memory(), FleetBuilder::new().seed(11).whatsminer(options)).await;
        let at = bench.device.address(Role::RpcV3).unwrap();
        Self { bench, at }
    }

    pub async fn ordinary() -> Self {
        Self::new(WhatsminerOptions::v3()).await
    }

    pub async fn connect(&self) -> BoxStream {
        self.bench.cx.net.tcp(self.at).await.unwrap()
    }

    /// Sends bytes and reads until the device closes.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut all = Vec::new();
        let _ended = stream.read_to_end(&mut all).await;
        all
    }

    /// The answer to one request; `None` when the device closed without a byte. It closes after each.
    pub async fn send(&self, request: &Value) -> Option<Value> {
        let all = self.raw(&framed(request.to_string().as_bytes())).await;
        if all.is_empty() {
            return None;
        }
        let length = u32::from_le_bytes(all[..4].try_into().unwrap()) as usize;
        assert_eq!(all.len(), 4 + length, "one frame and no byte more");
        Some(serde_json::from_slice(&all[4..]).unwrap())
    }

    pub async fn ask(&self, cmd: &str, param: Value) -> Value {
        let reply = self.send(&json!({ "cmd": cmd, "param": param })).await.unwrap();
        assert_eq!(reply["desc"], cmd);
        reply
    }

    /// One part of a good `get.miner.status`.
    pub async fn status(&self, part: &str) -> Value {
        let reply = self.ask("get.miner.status", json!(part)).await;
        assert_eq!(code(&reply), 0, "{reply}");
        reply["msg"][part].clone()
    }

    pub async fn info(&self) -> Value {
        self.ask("get.device.info", Value::Null).await["msg"].clone()
    }

    /// What signs with `password` now.
    pub async fn key(&self, password: &str) -> Key {
        let reply = self.ask("get.device.info", json!("salt")).await;
        Key {
            password: password.to_owned(),
            salt: reply["msg"]["salt"].as_str().unwrap().to_owned(),
            ts: self.bench.cx.clock.wall().0 / 1_000,
        }
    }

    /// Fetches the salt and sends one signed command.
    pub async fn order(&self, cmd: &str, param: Value) -> Option<Value> {
        let key = self.key("super").await;
        self.send(&key.signed(cmd, param)).await
    }

    pub async fn ok(&self, cmd: &str, param: Value) {
        let before = self.executed(cmd);
        let reply = self.order(cmd, param.clone()).await.unwrap_or_else(|| panic!("no reply to {cmd}"));
        assert_eq!((code(&reply), &reply["msg"], &reply["desc"]), (0, &json!("ok"), &json!(cmd)), "{param}");
        assert_eq!(self.executed(cmd), before + 1);
    }

    /// The text with which a command is refused; nothing is done.
    pub async fn refused(&self, request: &Value) -> String {
        let before = self.bench.device.executed();
        let reply = self.send(request).await.unwrap_or_else(|| panic!("no reply to {request}"));
        assert_ne!(code(&reply), 0, "{request}");
        assert_eq!(self.bench.device.executed(), before, "{request}");
        reply["msg"].as_str().unwrap().to_owned()
    }

    pub fn executed(&self, cmd: &str) -> u64 {
        self.bench.device.executed().get(cmd).copied().unwrap_or(0)
    }

    pub fn setting(&self, name: &str) -> String {
        self.bench.device.truth().settings[name].clone()
    }
}
