//! A scripted device with API v3 on a network in memory, after the vendor's rules and not after the driver: it keeps a
//! salt, checks account, time and token of every `set.` command, and counts what it carried out.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt, KeyInit},
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use headframe_core::{
    Result, ThingId,
    driver::{Direct, Driver, DriverInfo, Evidence, Match, ProbeSpec, Thing},
    io::{Ctx, MemNet, Net},
    model::{MinerSnapshot, ThingConf},
};
use headframe_drivers::whatsminer::v3::V3;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const AT: &str = "10.9.0.7:4433";
pub const PASSWORD: &str = "Rack_07x";
/// A token holds for so long, s.
const HOLDS_S: i64 = 120;

/// How the device treats the replies to `set.` commands.
#[derive(Debug, Clone, Default)]
pub enum Answers {
    #[default]
    All,
    /// Carries out and closes without a byte.
    Mute,
    /// Carries out and closes after so many bytes of the reply.
    Cut(usize),
    /// Closes without carrying it out.
    Deaf,
    /// Carries out and answers what is no JSON.
    Garbage,
    /// Carries out and never answers.
    Hang,
    /// Says yes and does nothing.
    Lie,
    /// Refuses with code and text.
    Refuse(i64, &'static str),
}

#[derive(Debug)]
pub struct State {
    pub info: Value,
    pub summary: Value,
    pub edevs: Value,
    pub pools: Value,
    pub salt: String,
    pub password: String,
    pub answers: Answers,
    /// By how much its clock is ahead, s.
    pub ahead: i64,
    /// Salts of later boots: each is in force after one `set.` command more.
    pub next_salts: Vec<&'static str>,
    pub executed: BTreeMap<String, usize>,
    pub asked: Vec<String>,
    /// Replies instead of the device's own, by section.
    pub raw: BTreeMap<String, Vec<u8>>,
    /// The section that is never answered.
    pub hangs: &'static str,
    /// When mining began, ms of the clock.
    pub since_ms: i64,
}

#[derive(Debug)]
pub struct Device {
    pub state: Mutex<State>,
    cx: Ctx,
    open: AtomicUsize,
    /// The most connections that were open at the same time.
    pub peak: AtomicUsize,
}

impl Device {
    pub async fn start(cx: &Ctx, net: &MemNet) -> Arc<Self> {
        let mut listener = net.listen(AT.parse::<SocketAddr>().unwrap()).await.unwrap();
        let state = State {
            info: info(),
            summary: summary(),
            edevs: edevs(),
            pools: json!([
                pool("stratum+tcp://pool.example:3333", 0, true),
                pool("stratum+tcp://backup.example:3333", 1, false)
            ]),
            salt: "uhCiDyVj".into(),
            password: PASSWORD.into(),
            answers: Answers::All,
            ahead: 0,
            next_salts: Vec::new(),
            executed: BTreeMap::new(),
            asked: Vec::new(),
            raw: BTreeMap::new(),
            hangs: "",
            since_ms: cx.clock.wall().0 - 50_000_000,
        };
        let (open, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let device = Arc::new(Self { state: Mutex::new(state), cx: cx.clone(), open, peak });
        let served = device.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let device = served.clone();
                tokio::spawn(async move {
                    let now = device.open.fetch_add(1, Ordering::SeqCst) + 1;
                    device.peak.fetch_max(now, Ordering::SeqCst);
                    device.serve(&mut stream).await;
                    device.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        device
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub fn executed(&self) -> BTreeMap<String, usize> {
        self.with(|s| s.executed.clone())
    }

    /// The requests since the last call: the section for a status, else the command.
    pub fn asked(&self) -> Vec<String> {
        self.with(|s| std::mem::take(&mut s.asked))
    }

    async fn serve(&self, stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
        let mut header = [0; 4];
        if stream.read_exact(&mut header).await.is_err() {
            return;
        }
        let mut body = vec![0; usize::try_from(u32::from_le_bytes(header)).unwrap()];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let request: Value = serde_json::from_slice(&body).unwrap();
        let writes = request["cmd"].as_str().unwrap().starts_with("set.");
        if writes && matches!(self.with(|s| s.answers.clone()), Answers::Deaf) {
            return;
        }
        let reply = self.reply(&request);
        if self.with(|s| s.asked.last().is_some_and(|asked| *asked == s.hangs)) {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        let mut framed = u32::try_from(reply.len()).unwrap().to_le_bytes().to_vec();
        framed.extend(reply);
        match self.with(|s| s.answers.clone()) {
            Answers::Mute if writes => {}
            Answers::Cut(n) if writes => drop(stream.write_all(&framed[..n.min(framed.len())]).await),
            Answers::Garbage if writes => drop(stream.write_all(b"\x05\0\0\0hello").await),
            Answers::Hang if writes => std::future::pending::<()>().await,
            _ => drop(stream.write_all(&framed).await),
        }
    }

    fn now_s(&self, state: &State) -> i64 {
        self.cx.clock.wall().0 / 1000 + state.ahead
    }

    fn reply(&self, request: &Value) -> Vec<u8> {
        let mut state = self.state.lock().unwrap();
        let cmd = request["cmd"].as_str().unwrap().to_owned();
        let section =
            request["param"].as_str().filter(|_| cmd == "get.miner.status").unwrap_or(&cmd).to_owned();
        state.asked.push(section.clone());
        if let Some(raw) = state.raw.get(&section) {
            return raw.clone();
        }
        let when = self.now_s(&state);
        let (code, msg) = match (cmd.as_str(), request["param"].as_str()) {
            ("get.device.info", Some("salt")) => (0, json!({"salt": state.salt})),
            ("get.device.info", _) => (0, state.info.clone()),
            ("get.miner.status", Some("summary")) => {
                let mut summary = state.summary.clone();
                if !summary["elapsed"].is_null() {
                    summary["elapsed"] = json!((self.cx.clock.wall().0 - state.since_ms) / 1000);
                }
                (0, json!({"summary": summary}))
            }
            ("get.miner.status", Some("edevs")) => (0, json!({"edevs": state.edevs})),
            ("get.miner.status", Some("pools")) => (0, json!({"pools": state.pools})),
            (cmd, _) if cmd.starts_with("set.") => match self.permits(&state, request) {
                Ok(key) => self.set(&mut state, cmd, &request["param"], &key),
                Err(why) => (-4, json!(why)),
            },
            _ => (-1, json!("unknown cmd")),
        };
        if cmd.starts_with("set.")
            && let Some(salt) = state.next_salts.pop()
        {
            state.salt = salt.into();
            state.info["salt"] = json!(salt);
        }
        json!({"code": code, "when": when, "msg": msg, "desc": cmd}).to_string().into_bytes()
    }

    /// The key of the command, if account, time and token are right.
    fn permits(&self, state: &State, request: &Value) -> Result<[u8; 32], &'static str> {
        let cmd = request["cmd"].as_str().unwrap();
        let ts = request["ts"].as_i64().ok_or("no ts")?;
        if request["account"] != "super" {
            return Err("no such account");
        }
        if (self.now_s(state) - ts).abs() > HOLDS_S {
            return Err("token error");
        }
        let text = format!("{cmd}{}{}{ts}", state.password, state.salt);
        let hash = Sha256::digest(text.as_bytes());
        if request["token"].as_str() != Some(&STANDARD.encode(hash)[..8]) {
            return Err("token error");
        }
        Ok(hash.into())
    }

    fn set(&self, state: &mut State, cmd: &str, param: &Value, key: &[u8; 32]) -> (i64, Value) {
        match state.answers {
            Answers::Refuse(code, text) => return (code, json!(text)),
            Answers::Lie => return (0, json!("ok")),
            _ => {}
        }
        let restarts = (self.cx.clock.wall().0, cmd == "set.system.reboot" || param == "restart");
        let done = match (cmd, param.as_str()) {
            ("set.system.reboot", None) => true,
            ("set.miner.service", Some("start" | "restart")) => {
                state.info["miner"]["working"] = json!("true");
                true
            }
            ("set.miner.service", Some("stop")) => {
                state.info["miner"]["working"] = json!("false");
                true
            }
            ("set.miner.mode", Some(mode)) => {
                let number = ["low", "normal", "high"].iter().position(|m| *m == mode);
                state.info["power"]["mode"] = json!(number.map(|n| n.to_string()));
                number.is_some()
            }
            ("set.miner.power_limit", None) if param.is_i64() => {
                state.summary["power-limit"] = param.clone();
                true
            }
            ("set.system.led", Some("auto")) => {
                state.info["system"]["ledstatus"] = json!("auto");
                true
            }
            ("set.system.led", None)
                if *param == json!([{"color": "red", "period": 200, "duration": 100, "start": 0}]) =>
            {
                state.info["system"]["ledstatus"] = json!("manual");
                true
            }
            ("set.miner.pools", Some(sealed)) => self.set_pools(state, sealed, key),
            _ => return (-1, json!("unknown cmd")),
        };
        if !done {
            return (-2, json!("bad param"));
        }
        if let (now, true) = restarts {
            state.since_ms = now + 20_000;
        }
        *state.executed.entry(cmd.to_owned()).or_default() += 1;
        (0, json!("ok"))
    }

    fn set_pools(&self, state: &mut State, sealed: &str, key: &[u8; 32]) -> bool {
        let mut bytes = STANDARD.decode(sealed).unwrap();
        assert_eq!(bytes.len() % 16, 0);
        let cipher = Aes256::new(key.into());
        for block in bytes.chunks_exact_mut(16) {
            cipher.decrypt_block(block.try_into().unwrap());
        }
        let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
        let Ok(list) = serde_json::from_slice::<Vec<Value>>(&bytes[..end]) else { return false };
        let one = |(i, p): (usize, &Value)| {
            assert!(p["passwd"].is_string());
            json!({"url": p["pool"], "account": p["worker"], "status": "alive", "stratum-active": i == 0, "pool-priority": i})
        };
        state.pools = list.iter().enumerate().map(one).collect();
        true
    }
}

fn pool(url: &str, priority: usize, active: bool) -> Value {
    json!({"account": "site1.wm0001", "pool-priority": priority, "status": "alive", "stratum-active": active, "url": url})
}

fn info() -> Value {
    json!({
        "network": {"ip": "10.9.0.7", "proto": "dhcp", "netmask": "255.255.0.0", "dns": "10.9.0.1 1.1.1.1",
            "mac": "ce-02-01-00-8c-36", "gateway": "10.9.0.1", "hostname": "WhatsMiner"},
        "miner": {"working": "true", "type": "M60S_VK40", "board-num": "3", "miner-sn": "HTM60S1",
            "pcbsn0": "B0", "pcbsn1": "B1", "pcbsn2": "B2", "fast-boot": "disable", "hash-percent": "0",
            "pool-strategy": "FAILOVER"},
        "system": {"api": "3.0.2", "apiswitch": "1", "platform": "H616", "fwversion": "20251209.16.Rel2",
            "control-board-version": "CB6V10", "ledstatus": "auto"},
        "power": {"type": "P221B", "mode": "1", "swversion": "230224.220429", "model": "P221B", "sn": "P1",
            "fanspeed": 6344},
        "salt": "uhCiDyVj",
    })
}

fn summary() -> Value {
    json!({"elapsed": 50_000, "freq-avg": 625, "hash-average": 170.8, "hash-realtime": 171.259, "hash-1min": 171.2,
        "hash-15min": 170.5, "factory-hash": 181.051, "power-realtime": 3156.0, "power-5min": 3100.0,
        "power-limit": 3600, "power-rate": 17.6, "environment-temperature": 28.5,
        "board-temperature": [41.1, 40.1, 41.5], "chip-temp-min": 68.0, "chip-temp-max": 82.0,
        "chip-temp-avg": 75.5, "fan-speed-in": 5400, "fan-speed-out": 5280, "up-freq-finish": 1})
}

fn edevs() -> Value {
    let board = |id: u32| {
        json!({"id": id, "status": "alive", "hash-average": 57.1, "hash-realtime": 57.0 + f64::from(id),
            "factory-hash": 60.35, "freq": 625.0, "effective-chips": 75, "chip-temp-min": 68.0,
            "chip-temp-avg": 74.0, "chip-temp-max": 80.0 + f64::from(id)})
    };
    json!([board(0), board(1), board(2)])
}

/// Opens the engine itself.
#[derive(Debug)]
pub struct Engine3(DriverInfo);

impl Engine3 {
    pub fn new() -> Self {
        Self(DriverInfo::new("whatsminer", "miner", "Whatsminer", ""))
    }
}

#[async_trait]
impl Driver for Engine3 {
    fn info(&self) -> &DriverInfo {
        &self.0
    }

    fn probes(&self) -> &[ProbeSpec] {
        &[]
    }

    fn recognise(&self, _: &Evidence) -> Option<Match> {
        None
    }

    async fn open(&self, _: &Ctx, conf: &ThingConf) -> Result<Arc<dyn Thing>> {
        Ok(Arc::new(V3::open(conf)?))
    }
}

pub fn conf() -> ThingConf {
    ThingConf::new(ThingId::new("wm1").unwrap(), "whatsminer")
        .opt("address", "10.9.0.7")
        .opt("password", PASSWORD)
}

pub fn open() -> V3 {
    V3::open(&conf()).unwrap()
}

pub async fn direct(cx: &Ctx, conf: &ThingConf) -> Direct {
    Direct::open(&Engine3::new(), cx, conf).await.unwrap()
}

pub async fn read(cx: &Ctx, thing: &dyn Thing) -> Result<MinerSnapshot> {
    let cx = cx.deadline_in(Duration::from_secs(10));
    thing.snapshot(&cx).await.map(|s| s.miner().unwrap().clone())
}

pub async fn pass(cx: &Ctx, seconds: u64) {
    cx.clock.sleep_until(cx.clock.mono() + Duration::from_secs(seconds)).await;
}
